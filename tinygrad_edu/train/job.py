"""A job of several MPI processes: start it, let the ranks meet, and end it.

A rank must not wait for ever for a rank that never comes. So all ranks come to each
`Meeting` and say what they want to do. A rank that ends says so to the ranks that are
still running.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping
from functools import cache, partial
from itertools import chain
from time import perf_counter, sleep
from traceback import format_exception
from typing import Any, NoReturn

import numpy as np

from tinygrad_edu.support.extras import import_library

__all__ = ["END", "PASS", "STEP", "Meeting", "world"]

Array = np.ndarray[Any, Any]

IN_PLACE = None  # for mpi4py: send from the array that gets the result

STEP, PASS, END = 1, 2, 3
PURPOSES = {STEP: "another step", PASS: "a pass over the examples", END: "the end"}

GRACE = 5.0  # seconds for the other ranks to end too, once one has ended with an error
SPINS = 200  # how often a rank checks for the others before it sleeps between checks
QUIET = 30.0  # seconds after which a rank that has ended says that it waits


@cache
def world() -> Any:
    """Start MPI, and return the communicator of all ranks of this job.

    Call it first, in every rank. After that, a rank that fails ends the whole job, and
    the job's status is an error. An uncaught exception is printed and ends all ranks.
    ``os._exit()`` ends all ranks too. After ``sys.exit()`` with an error, the other
    ranks have five seconds to end as well.

    Returns
    -------
    mpi4py.MPI.Intracomm
        Its ``rank`` is the number of this process, from 0. Its ``size`` is the number
        of processes: 1, if the program was not started by ``mpiexec``.

    Raises
    ------
    ModuleNotFoundError
        If mpi4py or an MPI library is missing.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> comm = tg.parallel.world()
    >>> comm.rank, comm.size
    (0, 1)
    """
    comm = import_library("mpi4py.MPI", "parallel").COMM_WORLD
    if comm.size > 1:
        sys.excepthook = partial(_end_job, comm)
        leaving = _Leaving(comm)
        # Replacing these functions is the only way to act before an exit.
        sys.exit, os._exit = leaving.exit, leaving.exit_at_once
        atexit.register(leaving.wait_for_all)  # runs before mpi4py ends MPI
    return comm


def _end_job(comm: Any, *error: Any) -> None:
    """Print an uncaught exception, all at once, and end all ranks."""
    status = 1
    try:
        if issubclass(error[0], KeyboardInterrupt):
            status, text = 130, "ended by Ctrl-C"
        else:
            text = "".join(format_exception(*error))
        _print_from_rank(comm, text)
    finally:
        comm.Abort(status)


def _print_from_rank(comm: Any, text: str) -> None:
    line = f"rank {comm.rank} of {comm.size}: {text.rstrip()}"
    print(line, file=sys.stderr, flush=True)
    sleep(1)  # gives mpiexec time to pass the text on before the job ends


class _Leaving:
    """Ends this rank; the other ranks may be waiting for it."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._own = comm.Dup()  # keeps our messages apart from the program's
        self._process, self._at_once = os.getpid(), os._exit
        self._status: Any = None

    def exit(self, status: Any = None, /) -> NoReturn:
        """Exit as ``sys.exit`` does."""
        self._status = status
        raise SystemExit(status)

    def exit_at_once(self, status: int) -> NoReturn:
        """Exit as ``os._exit`` does, but end all ranks, always with an error.

        A forked process, for example of multiprocessing, is not a rank: it just exits.
        """
        if os.getpid() == self._process:
            _print_from_rank(self._comm, f"os._exit({status}) ends the whole job")
            self._comm.Abort(status or 1)
        self._at_once(status)

    def wait_for_all(self) -> None:
        """Tell the running ranks that this one has ended, and wait for them.

        MPI waits for them in any case. If this rank failed, they have little time.
        """
        if os.getpid() != self._process:
            return
        requests = [meeting.leave() for meeting in _meetings if meeting.is_open]
        requests.append(self._own.Ibarrier())
        start, has_printed = perf_counter(), False
        # Wait for all requests: MPI must not use memory that Python frees.
        while not all(request.Test() for request in requests):
            waited = perf_counter() - start
            if self._status and waited > GRACE:
                text = "sys.exit() was called here, but not in all ranks"
                _print_from_rank(self._comm, text)
                self._comm.Abort(1)
            if waited > QUIET and not has_printed:
                text = "this rank has ended, and waits for the others"
                _print_from_rank(self._comm, text)
                has_printed = True
            sleep(0.01)


_meetings: list[Meeting] = []


class Meeting:
    """A point where all ranks wait for each other, and add up their arrays.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
    length : int
        The length of the array.
    dtype : dtype
        The dtype of the array, a float.
    timeout : float
        How many seconds a rank waits for the others.

    Attributes
    ----------
    array : ndarray of shape (length,)
        The values of this rank; after `hold`, the sum over all ranks.
    steps : int
        The number of steps that all ranks have made.
    """

    def __init__(self, comm: Any, length: int, dtype: Any, timeout: float) -> None:
        self._comm = comm.Dup()  # keeps our messages apart from the program's
        self._flat = np.zeros(length + comm.size, dtype)
        self.array, self._purposes = self._flat[:length], self._flat[length:]
        self.steps, self._timeout, self._fault = 0, timeout, ""
        if comm.size > 1:
            _meetings.append(self)

    def hold(self, purpose: int) -> None:
        """Add up the arrays of all ranks in place, if all have the same purpose.

        Raises
        ------
        RuntimeError
            In all ranks, if their purposes differ.
        TimeoutError
            If other ranks do not come in time.
        """
        self._check()
        self._wait_for(self._come_for(purpose))
        purposes = self._purposes.tolist()
        if purposes != [purpose] * self._comm.size:
            self._fault = _differing(purposes, self.steps)
        self._check()
        self.steps += purpose == STEP

    def _wait_for(self, request: Any) -> None:
        for _ in range(SPINS):
            if request.Test():
                return
        start = perf_counter()
        while not request.Test():
            if perf_counter() - start > self._timeout:
                self._fault = (
                    f"parallel: rank {self._comm.rank} has waited {self._timeout:g} "
                    f"seconds for the others, after {self.steps} steps. Do all ranks "
                    "make the same number of steps? If a step needs more time, use a "
                    "larger timeout: DataParallel(..., timeout=...)"
                )
                raise TimeoutError(self._fault)
            sleep(1e-5)  # lets other ranks on this core run

    @property
    def is_open(self) -> bool:
        """Whether no fault has occurred."""
        return not self._fault

    def leave(self) -> Any:
        """Come to the meeting because this rank ends; any other rank notices that."""
        return self._come_for(END)

    def _come_for(self, purpose: int) -> Any:
        self._purposes.fill(0)
        self._purposes[self._comm.rank] = purpose
        return self._comm.Iallreduce(IN_PLACE, self._flat)

    def _check(self) -> None:
        if self._fault:
            raise RuntimeError(self._fault)

    def compare(self, settings: Mapping[str, Any], way_out: str) -> None:
        """Raise a ValueError in all ranks that lists the settings that differ."""
        of_ranks = self._comm.allgather(dict(settings))
        faults = []
        for name in dict.fromkeys(chain(*of_ranks)):
            first, *others = (theirs.get(name, "nothing") for theirs in of_ranks)
            odd = [f"{x} in rank {r}" for r, x in enumerate(others, 1) if x != first]
            if odd:
                faults.append(f"- {name}: {first} in rank 0, {odd[0]}")
        if faults:
            self._fault = "parallel: the ranks differ:\n" + "\n".join(faults)
            raise ValueError(f"{self._fault}\n{way_out}")

    def of_first(self, thing: Any) -> Any:
        """Return the object of rank 0, in all ranks."""
        return self._comm.bcast(thing)


def _differing(purposes: list[float], steps: int) -> str:
    """Write which ranks came for which purpose."""
    reports = []
    for purpose, what in PURPOSES.items():
        ranks = [str(rank) for rank, p in enumerate(purposes) if p == purpose]
        if ranks:
            s = "s" * (len(ranks) > 1)
            reports.append(f"rank{s} {', '.join(ranks)} came for {what}")
    return (
        f"parallel: the ranks do different things: after {steps} steps, "
        f"{', and '.join(reports)}. All ranks must make the same number of steps and "
        "of passes over the examples; call sys.exit() in all of them, or in none"
    )
