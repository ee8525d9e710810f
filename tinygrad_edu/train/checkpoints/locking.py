"""A lock on a file, which the system releases when the process ends.

So a killed process leaves no lock behind: at most the file, which can be locked again.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from weakref import finalize

__all__ = ["Lock"]

_HELD = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK}
_FAR = 1 << 30  # Windows makes locked bytes unreadable: lock one beyond the end


class Lock:
    """A locked file; `release` unlocks it, and so does garbage collection.

    If the file system has no locks, nothing is locked.

    Parameters
    ----------
    path : path
        The file. It is created if needed, and removed on release.

    Raises
    ------
    BlockingIOError
        If another process holds the lock, or another object in this process. The
        message is the number of that process.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "lock"
    >>> lock = Lock(path)
    >>> Lock(path)
    Traceback (most recent call last):
    BlockingIOError: ...
    >>> lock.release()
    >>> path.exists()
    False
    """

    def __init__(self, path: Path) -> None:
        handle = None
        while handle is None:
            handle = _attempt(path)
        self.release = finalize(self, _release, path, handle)
        self.release.atexit = False  # a forked process that ends must not release it


def _attempt(path: Path) -> int | None:
    """Open and lock a file; return None if another process has just removed it."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags, 0o666)
    try:
        if not _lock(handle):
            holder = os.read(handle, 20).decode("ascii", "replace")
            raise BlockingIOError(holder if holder.isdigit() else "unknown")
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
            return handle
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _lock(handle: int) -> bool:
    """Lock a file; return False if it is locked already."""
    try:
        if sys.platform == "win32":
            windows = import_module("msvcrt")
            os.lseek(handle, _FAR, os.SEEK_SET)
            try:
                windows.locking(handle, windows.LK_NBLCK, 1)
            finally:
                os.lseek(handle, 0, os.SEEK_SET)
        else:
            posix = import_module("fcntl")
            posix.flock(handle, posix.LOCK_EX | posix.LOCK_NB)
    except OSError as error:
        return error.errno not in _HELD  # any other error: the file system has no locks
    return True


def _release(path: Path, handle: int) -> None:
    with suppress(OSError):  # Windows cannot remove an open file
        os.unlink(path)
    os.close(handle)
