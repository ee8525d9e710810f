"""What a second rank brings, measured in one job, and written as JSON.

    OPENBLAS_NUM_THREADS=1 mpiexec -n 2 python tests/benchmarks/ranks.py

One rank and all ranks take turns: rank 0 trains by itself while the others sleep, then
all train together. Each round gives one ratio of neighbours, so what slows a round
slows both. Then it is measured what `docs/many-processes.md` reckons with: how long a
step takes by the number of examples, and an all-reduce by the number of bytes.
"""

import json
import platform
import sys
from pathlib import Path
from time import perf_counter, sleep

import numpy as np

import tinygrad_edu as tg

SIZES, BATCH, BATCHES = [784, 100, 10], 1024, 20
ROUNDS = 25
FEWER = [BATCH >> k for k in range(11)]  # 1024, 512, ..., 1
BYTES = [8 << k for k in range(0, 22, 3)]  # 8 to 16 Mi


class Clocked:
    """A communicator that adds up the time spent in Allreduce."""

    def __init__(self, comm):
        self._comm, self.seconds = comm, 0.0

    def __getattr__(self, name):
        return getattr(self._comm, name)

    def Allreduce(self, *buffers):  # noqa: N802 (as MPI has it)
        start = perf_counter()
        self._comm.Allreduce(*buffers)
        self.seconds += perf_counter() - start


class Trainer:
    """A network, and how the ranks of a communicator train it."""

    def __init__(self, comm):
        model = tg.nn.MLP(SIZES, rng=0, dtype=np.float32)
        optimiser = tg.optim.SGD(model.parameters(), lr=0.5)

        @tg.compile
        def gradients(x, y):
            loss = tg.losses.mse(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            return loss

        self.optimiser, self.gradients, self.comm = optimiser, gradients, Clocked(comm)
        self.parallel = tg.parallel.DataParallel(model.parameters(), self.comm)

    def step(self, x, y):
        loss = self.parallel.run(self.gradients, x, y)
        self.optimiser.step()
        return loss

    def epoch(self, x, y):
        """Return the last loss, the seconds, and those of them in Allreduce."""
        self.comm.seconds, start = 0.0, perf_counter()
        for batch in self.parallel.minibatches(x, y, BATCH, np.random.default_rng(0)):
            loss = self.step(*batch)
        return loss, perf_counter() - start, self.comm.seconds


def meet(comm):
    """Wait for the other ranks, asleep: MPI's own barrier would keep a core busy."""
    request = comm.Ibarrier()
    while not request.Test():
        sleep(1e-4)


def side_by_side(comm, x, y):
    """Return for each round: examples a second of one and of all, the share."""
    one, all_ = Trainer(comm.Split(comm.rank)), Trainer(comm)
    rounds = []
    for _ in range(ROUNDS + 1):
        meet(comm)
        if comm.rank == 0:
            loss_of_one, seconds_of_one, reducing_of_one = one.epoch(x, y)
        meet(comm)
        loss, seconds, reducing = all_.epoch(x, y)
        if comm.rank == 0:
            assert abs(loss - loss_of_one) < 1e-5, (loss, loss_of_one)
            rounds.append(
                (
                    len(x) / seconds_of_one,
                    len(x) / seconds,
                    reducing_of_one / seconds_of_one,
                    reducing / seconds,
                )
            )
    return np.array(rounds[1:])  # the first one records


def time_steps(comm, x, y):
    """Return the seconds a step of one rank takes, by its number of examples."""
    trainer, seconds = Trainer(comm.Split(comm.rank)), {}
    meet(comm)
    if comm.rank == 0:
        for n in FEWER:
            times = []
            for _ in range(60):
                start = perf_counter()
                trainer.step(x[:n], y[:n])
                times.append(perf_counter() - start)
            seconds[n] = float(np.median(times[10:]))
    meet(comm)
    return seconds


def time_allreduce(comm):
    """Return the seconds of an all-reduce, by its number of bytes."""
    seconds = {}
    for size in BYTES:
        buffer = np.zeros(size // 4, np.float32)
        times = []
        for _ in range(60):
            comm.Barrier()
            start = perf_counter()
            comm.Allreduce(None, buffer)
            times.append(perf_counter() - start)
        seconds[size] = float(np.median(times[10:]))
    return seconds


def machine():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(s.partition(": ")[2] for s in lines if s.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    return cpu


def main():
    comm = tg.parallel.world()
    rng = np.random.default_rng(0)
    x = rng.random((BATCH * BATCHES, SIZES[0]), np.float32)
    y = tg.data.one_hot(rng.integers(10, size=len(x)))
    rounds = side_by_side(comm, x, y)
    step_seconds = time_steps(comm, x, y)
    allreduce_seconds = time_allreduce(comm)
    if comm.rank == 0:
        one, all_, share_of_one, share = np.median(rounds, axis=0)
        speedup = np.median(rounds[:, 1] / rounds[:, 0])
        parameters = sum(p.size for p in tg.nn.MLP(SIZES).parameters())
        figures = {
            "machine": machine(),
            "sizes": SIZES,
            "batch": BATCH,
            "parameters": parameters,
            "table": [
                {
                    "ranks": 1,
                    "examples_per_second": float(one),
                    "speedup": 1.0,
                    "allreduce_share": float(share_of_one),
                },
                {
                    "ranks": comm.size,
                    "examples_per_second": float(all_),
                    "speedup": float(speedup),
                    "allreduce_share": float(share),
                },
            ],
            "step_seconds": step_seconds,
            "allreduce_seconds": allreduce_seconds,
        }
        json.dump(figures, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()
