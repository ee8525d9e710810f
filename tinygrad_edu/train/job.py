"""A job of several processes by MPI: how it starts, where the ranks meet, how it ends.

A rank that waits for another one, which never comes, would wait for ever. So all ranks
come to each `Meeting` and say what for; and a rank that ends says so to those that are
still at work.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping
from functools import cache, partial
from time import perf_counter, sleep
from traceback import format_exception
from typing import Any, NoReturn

import numpy as np

from tinygrad_edu.support.extras import import_library

__all__ = ["END", "PASS", "STEP", "Meeting", "world"]

Array = np.ndarray[Any, Any]

IN_PLACE = None  # mpi4py: what is sent lies where the answer goes

STEP, PASS, END = 1, 2, 3
PURPOSES = {STEP: "another step", PASS: "a pass over the examples", END: "the end"}

GRACE = 5.0  # seconds for the other ranks to end too, once one has ended with an error
SPINS = 200  # how often a rank looks for the others before it sleeps now and then
QUIET = 30.0  # seconds after which a rank that waits at its end says so


@cache
def world() -> Any:
    """Start MPI, and return the communicator of all ranks of this job.

    Call it first of all, in every rank. From here on a rank that fails does not leave
    the others waiting, nor the job looking like a success: an exception that it does
    not catch is shown and ends the whole job, and so does ``os._exit()``. After
    ``sys.exit()`` with an error, the other ranks have five seconds to end as well.

    Returns
    -------
    mpi4py.MPI.Intracomm
        With ``rank``, the number of this one, from 0, and ``size``, how many there are:
        1, if the program was not started by ``mpiexec``.

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
        # Setting these is the one way to learn of an exit before it happens.
        sys.exit, os._exit = leaving.exit, leaving.exit_at_once
        atexit.register(leaving.wait_for_all)  # runs before mpi4py ends MPI
    return comm


def _end_job(comm: Any, *error: Any) -> None:
    """Show an exception that was not caught, in one piece, and end all ranks."""
    status = 1
    try:
        if issubclass(error[0], KeyboardInterrupt):
            status, shown = 130, "ended by Ctrl-C"
        else:
            shown = "".join(format_exception(*error))
        _tell(comm, shown)
    finally:
        comm.Abort(status)


def _tell(comm: Any, text: str) -> None:
    shown = f"rank {comm.rank} of {comm.size}: {text.rstrip()}"
    print(shown, file=sys.stderr, flush=True)
    sleep(1)  # mpiexec passes on what is printed, unless the job has ended before


class _Leaving:
    """The end of this rank, for which the others may be waiting."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._own = comm.Dup()  # no message of the program's is mixed up with ours
        self._process, self._at_once = os.getpid(), os._exit
        self._status: Any = None

    def exit(self, status: Any = None, /) -> NoReturn:
        """Exit as ``sys.exit`` does."""
        self._status = status
        raise SystemExit(status)

    def exit_at_once(self, status: int) -> NoReturn:
        """Exit as ``os._exit`` does; it would end all ranks, with the status 0 as well.

        A process that was forked off, as multiprocessing does, is no rank.
        """
        if os.getpid() == self._process:
            _tell(self._comm, f"os._exit({status}) ends the whole job")
            self._comm.Abort(status or 1)
        self._at_once(status)

    def wait_for_all(self) -> None:
        """Tell the ranks that are still at work that this one has ended; wait for them.

        MPI waits for them in any case. If this one failed, they have little time.
        """
        if os.getpid() != self._process:
            return
        requests = [meeting.leave() for meeting in _meetings if meeting.is_open]
        requests.append(self._own.Ibarrier())
        start, told = perf_counter(), False
        # All of them: MPI must not be at work in memory that Python gives back.
        while not all(request.Test() for request in requests):
            waited = perf_counter() - start
            if self._status and waited > GRACE:
                _tell(self._comm, "sys.exit() was called here, but not in all ranks")
                self._comm.Abort(1)
            if waited > QUIET and not told:
                _tell(self._comm, "this rank has ended, and waits for the others")
                told = True
            sleep(0.01)


_meetings: list[Meeting] = []


class Meeting:
    """Where all ranks come together, and add up their arrays.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
    length : int
        Of the array.
    dtype : dtype
        Of the array, floating.
    timeout : float
        How many seconds a rank waits for the others.

    Attributes
    ----------
    array : ndarray of shape (length,)
        What this rank brings, and after `hold` the sum of what all have brought.
    steps : int
        How many steps all ranks have made.
    """

    def __init__(self, comm: Any, length: int, dtype: Any, timeout: float) -> None:
        self._comm = comm.Dup()  # no message of the program's is mixed up with ours
        self._flat = np.zeros(length + comm.size, dtype)
        self.array, self._purposes = self._flat[:length], self._flat[length:]
        self.steps, self._timeout, self._fault = 0, timeout, ""
        if comm.size > 1:
            _meetings.append(self)

    def hold(self, purpose: int) -> None:
        """Add up the arrays of all ranks in place, if all have come for the same.

        Raises
        ------
        RuntimeError
            If they have not: in all ranks.
        TimeoutError
            If others do not come.
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
                    "make as many steps? If one needs so much time, raise the timeout "
                    "of DataParallel"
                )
                raise TimeoutError(self._fault)
            sleep(1e-5)  # gives way to ranks that share this core

    @property
    def is_open(self) -> bool:
        """Whether the ranks keep together."""
        return not self._fault

    def leave(self) -> Any:
        """Come for the end: it is noticed by a rank that comes for anything else."""
        return self._come_for(END)

    def _come_for(self, purpose: int) -> Any:
        self._purposes.fill(0)
        self._purposes[self._comm.rank] = purpose
        return self._comm.Iallreduce(IN_PLACE, self._flat)

    def _check(self) -> None:
        if self._fault:
            raise RuntimeError(self._fault)

    def compare(self, settings: Mapping[str, Any], way_out: str) -> None:
        """Raise a ValueError in all ranks if the settings of one differ; name them."""
        of_ranks = self._comm.allgather(dict(settings))
        names = list(dict.fromkeys(name for theirs in of_ranks for name in theirs))
        first, *others = (
            [theirs.get(name, "nothing") for name in names] for theirs in of_ranks
        )
        faults = []
        for i, name in enumerate(names):
            odd = (r for r, other in enumerate(others, 1) if other[i] != first[i])
            rank = next(odd, None)
            if rank is not None:
                pair = f"{first[i]} in rank 0, {others[rank - 1][i]} in rank {rank}"
                faults.append(f"- {name}: {pair}")
        if faults:
            self._fault = "parallel: the ranks differ:\n" + "\n".join(faults)
            raise ValueError(f"{self._fault}\n{way_out}")

    def of_first(self, thing: Any) -> Any:
        """Return what rank 0 has, in all ranks."""
        return self._comm.bcast(thing)


def _differing(purposes: list[float], steps: int) -> str:
    """Tell which ranks have come for what."""
    told = []
    for purpose, what in PURPOSES.items():
        ranks = [str(rank) for rank, p in enumerate(purposes) if p == purpose]
        if ranks:
            s = "s" * (len(ranks) > 1)
            told.append(f"rank{s} {', '.join(ranks)} came for {what}")
    return (
        f"parallel: the ranks do not keep together: after {steps} steps, "
        f"{', and '.join(told)}. All ranks make as many steps, and as many passes over "
        "the examples; call sys.exit() in all of them, or in none"
    )
