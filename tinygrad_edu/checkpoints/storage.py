"""Arrays in a file, in the safetensors format: written whole or not at all.

The format is eight bytes for the length of a header; the header, which is JSON; and the
arrays' bytes. Unlike a pickle, it holds nothing that can be run. The library
`safetensors` writes it, and reads it lazily, with a check of every length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.extras import load
from tinygrad_edu.idx import damaged

__all__ = ["UNFINISHED", "Part", "Stored", "write"]

Array = np.ndarray[Any, Any]

UNFINISHED = ".unfinished-"  # how the names of files begin that are being written

# What NumPy can hold, by the names of the format.
_DTYPES = {
    *("F64", "F32", "F16"),
    *("I64", "I32", "I16", "I8"),
    *("U64", "U32", "U16", "U8", "BOOL"),
}
# The quotes and the commas there may be in a header: those of 4,000 arrays, at least.
_MOST = 40_000


def write(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    texts: Mapping[str, str] | None = None,
) -> None:
    """Write arrays, and texts that go with them, to a file.

    Whatever happens meanwhile, the path names the old file, if there was one, or the
    new one, whole: that has another name until the disk has it.
    """
    library, path = _library(), Path(path)
    whole = {name: np.require(array, None, "C") for name, array in arrays.items()}
    new = path.with_name(f"{UNFINISHED}{os.getpid()}-{path.name}")
    try:
        library.numpy.save_file(whole, str(new), dict(texts or {}) or None)
        _put_on_disk(new, os.O_RDWR)
        new.replace(path)
    except library.SafetensorError as error:
        raise OSError(f"{path}: it cannot be written: {error}") from None
    finally:
        new.unlink(missing_ok=True)
    _put_on_disk(path.parent, os.O_RDONLY)


def _put_on_disk(path: Path, flags: int) -> None:
    with suppress(PermissionError):  # Windows opens no folders, and needs not
        handle = os.open(path, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _library() -> Any:
    load("safetensors.numpy", "checkpoints")
    return load("safetensors", "checkpoints")


class Stored(Mapping[str, Array]):
    """The arrays in a file, each read when it is asked for.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    texts : dict of str to str
        What goes with the arrays.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged or of another format.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "two.safetensors")
    ...     write(path, {"a": np.zeros(2), "b": np.eye(2)}, {"of": "an example"})
    ...     with Stored(path) as stored:
    ...         list(stored), stored.texts, stored["a"]
    (['a', 'b'], {'of': 'an example'}, array([0., 0.]))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        library, self.path = _library(), Path(path)
        _check_header(self.path)
        try:
            self._file = library.safe_open(str(self.path), framework="numpy")
        except library.SafetensorError as error:
            raise damaged(self.path, f"it is no safetensors file ({error})") from None
        self._names = dict.fromkeys(self._file.keys())
        self.texts: dict[str, str] = self._file.metadata() or {}

    def __enter__(self) -> Stored:
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.__exit__(*error)

    def __getitem__(self, name: str) -> Array:
        view = self._view(name)
        kind, shape = view.get_dtype(), self.shape(name)
        if kind not in _DTYPES or len(shape) > 64:
            fault = f"{name} is an array of {kind} of {len(shape)} dimensions"
            raise damaged(self.path, f"{fault}, which NumPy has none of")
        try:
            array: Array = self._file.get_tensor(name)
        except ValueError as error:  # a shape beyond NumPy's limits
            raise damaged(self.path, f"{name} of shape {shape}: {error}") from None
        return array

    def shape(self, name: str) -> tuple[int, ...]:
        """Return an array's shape, without reading it."""
        return tuple(self._view(name).get_shape())

    def _view(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(f"{self.path} has no array {name!r}")
        return self._file.get_slice(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def part(self, name: str) -> Part:
        """Return the arrays called ``name/...``, by the rest of their names.

        The part "" is that of the names without a slash.
        """
        return Part(self, name)


class Part(Mapping[str, Array]):
    """Those of the arrays in a file that belong together; read lazily as well."""

    def __init__(self, stored: Stored, name: str) -> None:
        self._stored, self._names = stored, dict[str, str]()
        for whole in stored:
            part, _, rest = whole.rpartition("/")
            if part == name:
                self._names[rest] = whole

    def __getitem__(self, name: str) -> Array:
        return self._stored[self._names[name]]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return an array's shape, without reading it."""
        return self._stored.shape(self._names[name])

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _check_header(path: Path) -> None:
    """Refuse a header that says little at great length: to read it takes memory."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise damaged(path, f"its {size} bytes end within its header")
        header = file.read(length)
        if max(header.count(b'"'), header.count(b",")) > _MOST:
            raise damaged(path, "its header is longer than that of any model")
