"""A file is written whole or not at all: what was there stays until the new one is.

Pictures, pages, histories, checkpoints and downloads are all written by `replacing`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG

__all__ = ["UNFINISHED", "damaged", "replacing", "write"]

UNFINISHED = ".unfinished-"  # how the names of folders begin with a file in the making
_LONGEST = 48  # characters of a file's name that such a folder's name ends in


def write(who: str, path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file; see `replacing`."""
    with replacing(who, path) as new:
        new.write_bytes(content)


@contextmanager
def replacing(who: str, path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the path of a new file; once that is written, it takes the place of `path`.

    It is made in the same folder, so that to rename it is enough, and the disk has it
    before it is renamed. It has the rights of the file that was there, or else those
    that a new file has. A symbolic link stays one, and what it leads to is replaced.
    What is no regular file, as a device or a pipe, is written to itself.

    A process that is killed leaves the old file, and a folder whose name begins with
    `UNFINISHED` and ends as that of `path` does.

    Parameters
    ----------
    who : str
        What the errors begin with: the name of the function that was called.
    path : path_like

    Raises
    ------
    OSError
        If there is no such folder, if `path` is a folder, or if it cannot be written.
    ValueError
        If `path` can be the name of no file.

    Examples
    --------
    >>> page = getfixture("tmp_path") / "page.html"
    >>> with replacing("step_through", page) as new:
    ...     _ = new.write_text("all of it")
    ...     page.exists()
    False
    >>> page.read_text()
    'all of it'
    """
    from tempfile import TemporaryDirectory  # loads much that only writing needs

    name = os.fspath(path)
    if not name:
        raise ValueError(f"{who}: the path is empty; give the name of a file")
    try:
        mode, target = _mode(name), Path(os.path.realpath(name))
        folder = target.parent
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{who}: there is no folder {folder}; create it first"
            )
        if S_ISDIR(mode):
            raise IsADirectoryError(
                f"{who}: {name} cannot be written: it is a folder; name a file in it"
            )
        if mode and not S_ISREG(mode):
            yield Path(name)
            return
        end = f"-{target.name[-_LONGEST:]}"
        with TemporaryDirectory(
            end, UNFINISHED, folder, ignore_cleanup_errors=True
        ) as scratch:
            new = Path(scratch, target.name)
            new.touch()
            rights = S_IMODE(mode or new.stat().st_mode)
            yield new  # some libraries put a file of their own there, with other rights
            _put_on_disk(new, os.O_RDWR)
            new.chmod(rights)
            new.replace(target)
        with suppress(OSError):  # Windows opens no folders; some systems sync none
            _put_on_disk(folder, os.O_RDONLY)
    except _BadNameError as error:
        raise ValueError(f"{who}: {name!r} cannot be a file's name: {error}") from None
    except OSError as error:
        if error.errno is None:  # one of those above
            raise
        raise type(error)(
            f"{who}: {name} cannot be written: {error.strerror}"
        ) from None


def _put_on_disk(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _BadNameError(Exception):
    """What no file can be called."""


def _mode(name: str) -> int:
    """Return the kind and the rights of a file, or 0 if there is none."""
    try:
        return os.stat(name).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except ValueError as error:
        raise _BadNameError(error) from None


def damaged(path: Path, fault: str) -> ValueError:
    """Return the error to raise over a file: its name, the fault, the way out.

    >>> damaged(Path("train-labels"), "it is empty")
    ValueError('train-labels: it is empty; put an intact copy in its place')
    """
    return ValueError(f"{path}: {fault}; put an intact copy in its place")
