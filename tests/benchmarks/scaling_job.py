"""What a second rank brings, measured in one job, and printed as a Python literal.

    mpiexec -n 2 python tests/benchmarks/scaling_job.py

One process and all ranks take turns: rank 0 trains by itself while the others sleep,
then all train together. Each round gives ratios of neighbours: what slows a round slows
all that is in it. Then it is measured how long a step takes by the number of examples,
and an all-reduce by the number of bytes. `docs/many-processes.md` reckons with that.
"""

import os
import platform
from itertools import pairwise
from pathlib import Path
from pprint import pprint
from time import perf_counter, sleep

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it on import

import numpy as np
from mpi4py import MPI

import tinygrad_edu as tg

SIZES, BATCH, BATCHES = [784, 100, 10], 1024, 20
PARAMETERS = sum(n_out * (n_in + 1) for n_in, n_out in pairwise(SIZES))
ROUNDS = 25
REPEATS = 50
FEWER = [BATCH >> k for k in range(11)]  # 1024, 512, ..., 1
BYTES = [8, 4 * PARAMETERS]  # next to nothing, and the gradients


class Clocked:
    """A communicator that adds up the time spent in Allreduce."""

    def __init__(self, comm):
        self._comm, self.seconds = comm, 0.0

    def __getattr__(self, name):
        return getattr(self._comm, name)

    def Dup(self):  # noqa: N802 (as MPI has it)
        self._comm = self._comm.Dup()
        return self

    def Iallreduce(self, *buffers):  # noqa: N802
        start = perf_counter()
        request = self._comm.Iallreduce(*buffers)
        request.Wait()
        self.seconds += perf_counter() - start
        return request


class Training:
    """A network, and how the ranks of a communicator train it; None: without MPI."""

    def __init__(self, comm):
        model = tg.nn.MLP(SIZES, rng=0, dtype=np.float32)
        optimiser = tg.optim.SGD(model.parameters(), lr=0.5)

        def gradients(x, y):
            loss = tg.losses.mse(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            return loss

        if comm is None:

            @tg.compile
            def step(x, y):
                loss = gradients(x, y)
                optimiser.step()
                return loss

            self.minibatches, self.step = tg.data.minibatches, step
            return

        compiled, self.comm = tg.compile(gradients), Clocked(comm)
        parallel = tg.parallel.DataParallel(model.parameters(), self.comm)

        def step(x, y):
            loss = parallel.run(compiled, x, y)
            optimiser.step()
            return loss

        self.minibatches, self.step = parallel.minibatches, step

    def epoch(self, x, y):
        """Return the last loss, and the seconds."""
        start = perf_counter()
        for batch in self.minibatches(x, y, BATCH, np.random.default_rng(0)):
            loss = self.step(*batch)
        return float(loss), perf_counter() - start


def meet(comm):
    """Wait for the other ranks, asleep: MPI's own barrier would keep a core busy."""
    request = comm.Ibarrier()
    while not request.Test():
        sleep(1e-4)


def side_by_side(comm, x, y):
    """Return how fast each way to train is in the median round.

    Examples a second, how many times those of one rank, the share of the time that is
    spent in Allreduce.
    """
    trainings = {
        "no MPI": Training(None),
        1: Training(comm.Split(comm.rank)),
        comm.size: Training(comm),
    }
    seconds = {name: [] for name in trainings}
    shares = {name: [] for name in trainings}
    losses = {}
    for _ in range(ROUNDS + 1):  # the first one records
        for name, training in trainings.items():
            meet(comm)
            if name == comm.size or comm.rank == 0:
                clock = getattr(training, "comm", Clocked(None))
                clock.seconds = 0.0
                losses[name], taken = training.epoch(x, y)
                seconds[name].append(taken)
                shares[name].append(clock.seconds / taken)
    if comm.rank == 0:
        np.testing.assert_allclose([*losses.values()], losses[1], rtol=1e-4)
    return {
        name: (
            len(x) / float(np.median(taken[1:])),
            float(np.median(np.divide(seconds[1], taken)[1:])),
            float(np.median(shares[name][1:])),
        )
        for name, taken in seconds.items()
        if comm.rank == 0
    }


def time_steps(comm, x, y):
    """Return the microseconds a step of one rank takes, by its number of examples."""
    step, times = Training(comm.Split(comm.rank)).step, {}
    meet(comm)
    if comm.rank == 0:
        for n in FEWER:
            batch = x[:n], y[:n]
            times[n] = microseconds(lambda: step(*batch))  # noqa: B023
    meet(comm)
    return times


def time_allreduce(comm):
    """Return the microseconds of an all-reduce, by its number of bytes."""
    times = {}
    for size in BYTES:
        buffer = np.zeros(size // 4, np.float32)
        times[size] = microseconds(lambda: comm.Allreduce(None, buffer))  # noqa: B023
    return times


def microseconds(f, at_a_time=5):
    """Return how long a call takes, in the median, after some that do not count."""
    times = []
    for _ in range(REPEATS + 5):
        start = perf_counter()
        for _ in range(at_a_time):
            f()
        times.append((perf_counter() - start) / at_a_time)
    return 1e6 * float(np.median(times[5:]))


def machine():
    """Say what this was measured on, and with."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(s.partition(": ")[2] for s in lines if s.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    library, version = MPI.get_vendor()
    software = f"{library} {'.'.join(map(str, version))}, NumPy {np.__version__}"
    return f"{cpu}, {os.cpu_count()} cores; {software}"


def rounded(figures):
    """Keep four digits of each number."""
    if isinstance(figures, dict):
        return {name: rounded(part) for name, part in figures.items()}
    if isinstance(figures, tuple):
        return tuple(map(rounded, figures))
    return float(f"{figures:.4g}") if isinstance(figures, float) else figures


def main():
    comm = tg.parallel.world()
    rng = np.random.default_rng(0)
    x = rng.random((BATCH * BATCHES, SIZES[0]), np.float32)
    y = tg.data.one_hot(rng.integers(10, size=len(x)))
    figures = {
        "machine": machine(),
        "sizes": SIZES,
        "batch": BATCH,
        "bytes": 4 * PARAMETERS,
        "speed": side_by_side(comm, x, y),
        "step_us": time_steps(comm, x, y),
        "allreduce_us": time_allreduce(comm),
    }
    if comm.rank == 0:
        pprint(rounded(figures), width=84, sort_dicts=False)


if __name__ == "__main__":
    main()
