"""Write files completely or not at all: the old file stays until the new one is ready.

Pictures, pages, histories, checkpoints and downloads are all written by `replacing`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG

__all__ = ["UNFINISHED", "cache_folder", "damaged", "data_folder", "replacing", "write"]

UNFINISHED = ".unfinished-"  # prefix of temporary folders
_LONGEST = 48  # length of the suffix of temporary folders: the end of the file's name


def write(who: str, path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file; see `replacing`."""
    with replacing(who, path) as new:
        new.write_bytes(content)


@contextmanager
def replacing(who: str, path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a temporary file; after the block, rename it to `path`.

    The temporary file is in the same folder, so that renaming is enough, and it is
    synced to disk before. It gets the permissions of the old file, or those of a new
    file if there is none. A symbolic link is kept, and its target is replaced. A device
    or a pipe is written directly.

    If the process is killed, the old file stays, and so does a temporary folder whose
    name starts with `UNFINISHED` and ends like that of `path`.

    Parameters
    ----------
    who : str
        The name of the called function; errors start with it.
    path : path_like

    Raises
    ------
    OSError
        If there is no such folder, if `path` is a folder, or if it cannot be written.
    ValueError
        If `path` is not a valid file name.

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
    from tempfile import TemporaryDirectory  # slow to import, and only needed here

    name = os.fspath(path)
    if not name:
        raise ValueError(f"{who}: the path is empty; give the name of a file")
    try:
        mode, target = _mode(who, name), Path(os.path.realpath(name))
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
            yield new  # some libraries replace the file, with other permissions
            _put_on_disk(new, os.O_RDWR)
            new.chmod(rights)
            new.replace(target)
        with suppress(OSError):  # not every system can open and sync a folder
            _put_on_disk(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno is None:  # raised above
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


def _mode(who: str, name: str) -> int:
    """Return the type and permissions of a file, or 0 if there is none."""
    try:
        return os.stat(name).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except ValueError as error:
        raise ValueError(f"{who}: {name!r} cannot be a file's name: {error}") from None


def cache_folder() -> Path:
    """Return the same folder as pooch.os_cache, without importing pooch."""
    return _folder("XDG_CACHE_HOME", ".cache", "tinygrad_edu/Cache", "Caches")


def data_folder() -> Path:
    """Return the folder for what a user keeps, next to `cache_folder`."""
    mac = "Application Support"
    return _folder("XDG_DATA_HOME", ".local/share", "tinygrad_edu/Data", mac)


def _folder(variable: str, linux: str, windows: str, mac: str) -> Path:
    if base := os.environ.get(variable):
        return Path(base, "tinygrad_edu")
    homes = {
        "win32": f"AppData/Local/tinygrad_edu/{windows}",
        "darwin": f"Library/{mac}/tinygrad_edu",
    }
    return Path.home() / homes.get(sys.platform, f"{linux}/tinygrad_edu")


def damaged(
    path: Path, fault: str, way_out: str = "put an intact copy in its place"
) -> ValueError:
    """Return the error for a damaged file: its name, the fault, the way out.

    >>> damaged(Path("train-labels"), "it is empty")
    ValueError('train-labels: it is empty; put an intact copy in its place')
    """
    return ValueError(f"{path}: {fault}; {way_out}")
