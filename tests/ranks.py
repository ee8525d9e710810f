"""Ranks for tests: as threads of one process, and as processes by `mpiexec`."""

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

beside_python = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(beside_python) if beside_python.exists() else shutil.which("mpiexec")

needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or find_spec("mpi4py") is None,
    reason="the extra named mpi is not installed",
)


def mpiexec(ranks, *command, **variables):
    """Run Python in so many processes; return what became of it."""
    return subprocess.run(
        [MPIEXEC, "-n", str(ranks), sys.executable, "-W", "error", *map(str, command)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=100,
    )


class Threads:
    """What `DataParallel` asks of a communicator, between threads of one process."""

    def __init__(self, rank, size, meeting, slots):
        self.rank, self.size = rank, size
        self._meeting, self._slots = meeting, slots

    def allgather(self, thing):
        self._slots[self.rank] = thing
        self._meeting.wait()
        things = list(self._slots)
        self._meeting.wait()
        return things

    def bcast(self, thing):
        return self.allgather(thing)[0]

    def Dup(self):  # noqa: N802 (as MPI has it)
        return self

    def Iallreduce(self, sent, array):  # noqa: N802
        assert sent is None  # in place
        array[...] = sum(self.allgather(array.copy()))
        return SimpleNamespace(Test=lambda: True)


def on_ranks(size, f):
    """Call `f` with the communicator of each rank; return what each gave."""
    meeting, slots = threading.Barrier(size, timeout=60), [None] * size

    def run(rank):
        try:
            return f(Threads(rank, size, meeting, slots))
        except BaseException:
            meeting.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(run, rank) for rank in range(size)]
    errors = [error for f in futures if (error := f.exception())]
    if errors:  # of the rank that failed, not of those that waited for it
        raise min(errors, key=lambda e: isinstance(e, threading.BrokenBarrierError))
    return [f.result() for f in futures]
