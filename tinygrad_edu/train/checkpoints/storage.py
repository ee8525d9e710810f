"""Arrays in a file, in the safetensors format: written whole or not at all.

A file has eight bytes for the length of the header, the header in JSON, and the arrays'
bytes. Unlike a pickle, it contains no code. The library `safetensors` writes it. When
reading, it checks every length, and loads an array only when it is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.support.extras import import_library
from tinygrad_edu.support.files import damaged, replacing
from tinygrad_edu.support.printable import printable

__all__ = ["Stored", "StoredPart", "joined", "write_arrays"]

Array = np.ndarray[Any, Any]

# The dtypes that NumPy has, by their names in the format.
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BOOL": "bool"}
_DTYPES |= {f"I{bits}": f"int{bits}" for bits in (64, 32, 16, 8)}
_DTYPES |= {f"U{bits}": f"uint{bits}" for bits in (64, 32, 16, 8)}
# The most quotes and commas in a header: enough for 10,000 arrays.
_MOST = 100_000
_RESERVED = "__metadata__"  # the format's name for the texts


def joined(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return all arrays by their names in a file; `Stored.part` takes them apart again.

    >>> joined({"": {"w": 1.0}, "optimiser": {"lr": 0.5}})
    {'w': 1.0, 'optimiser/lr': 0.5}
    """
    arrays = {}
    for part, own in parts.items():
        for name, array in own.items():
            if "/" in name:
                raise ValueError(
                    f"save: '{printable(name)}' has a slash in its name, but in a file "
                    "a slash marks arrays that are not weights; use another name"
                )
            arrays[f"{part}/{name}" if part else name] = array
    return arrays


def write_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    texts: Mapping[str, str] | None = None,
) -> None:
    """Write arrays, and texts about them, to a file.

    After a crash at any moment, the path has the old file (if there was one) or the
    complete new file.

    Raises
    ------
    ValueError
        If `Stored` could not read the file, because of a name, a dtype, or too many
        arrays.
    OSError
        If the file cannot be written.
    """
    library, path = _library(), Path(path)
    whole = {name: np.require(array, None, "C") for name, array in arrays.items()}
    for name, array in whole.items():
        _check_array(name, array)
    with replacing("save", path) as new:
        if not new.is_file():
            raise OSError(f"save: {path} is not a regular file; give another path")
        try:
            library.numpy.save_file(whole, str(new), dict(texts or {}) or None)
        except library.SafetensorError as error:
            raise OSError(f"save: {path} cannot be written: {error}") from None
        if _is_too_long(_read_header(new)):
            raise ValueError(
                f"save: load() could not read {len(whole)} arrays; the limit is about "
                "10,000; use fewer and larger ones"
            )


def _check_array(name: str, array: Array) -> None:
    """Refuse an array that could be written, but not read again."""
    fault = ""
    try:
        name.encode()
    except UnicodeEncodeError:
        fault = "has a name that is not valid text"
    if name == _RESERVED:
        fault = "has a name that the format reserves"
    elif array.dtype.name not in _DTYPES.values():
        fault = f"has dtype {array.dtype}, which the format does not support"
    if fault:
        raise ValueError(f"save: {name!r} {fault}; use another one")


def _library() -> Any:
    import_library("safetensors.numpy", "checkpoints")
    return import_library("safetensors", "checkpoints")


class StoredPart(Mapping[str, Array]):
    """Arrays in a file; each is read when it is used.

    Parameters
    ----------
    path : path
    file
        The file that the library has opened.
    names : dict of str to str
        The name in the file for each array's name.
    """

    def __init__(self, path: Path, file: Any, names: dict[str, str]) -> None:
        self.path, self._file, self._names = path, file, names

    def __getitem__(self, name: str) -> Array:
        kind, shape = self._view(name).get_dtype(), self.shape(name)
        whole = self._names[name]
        if kind not in _DTYPES or len(shape) > 64:
            what = f"{kind} array with {len(shape)} axes"
            fault = f"{printable(whole)} is a {what}, which NumPy does not support"
            raise damaged(self.path, fault)
        try:
            array: Array = self._file.get_tensor(whole)
        except ValueError as error:  # a shape that is too large for NumPy
            fault = f"{printable(whole)} of shape {shape}: {error}"
            raise damaged(self.path, fault) from None
        return array

    def shape(self, name: str) -> tuple[int, ...]:
        """Return an array's shape, without reading the array."""
        return tuple(self._view(name).get_shape())

    def _view(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(f"{self.path} has no array {printable(name)!r}")
        return self._file.get_slice(self._names[name])

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Stored(StoredPart):
    """All arrays in a file; each is read when it is used.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    texts : dict of str to str
        The texts about the arrays.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is damaged or has another format.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "two.safetensors")
    ...     write_arrays(path, {"a": np.zeros(2), "b": np.eye(2)}, {"of": "an example"})
    ...     with Stored(path) as stored:
    ...         list(stored), stored.texts, stored["a"]
    (['a', 'b'], {'of': 'an example'}, array([0., 0.]))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        library, path = _library(), Path(path)
        if _is_too_long(_read_header(path)):
            raise damaged(path, "its header is longer than that of any model")
        try:
            file = library.safe_open(str(path), framework="numpy")
        except library.SafetensorError as error:
            raise damaged(path, f"it is not a safetensors file ({error})") from None
        names = file.keys()
        super().__init__(path, file, dict(zip(names, names)))
        self.texts: dict[str, str] = file.metadata() or {}

    def __enter__(self) -> Stored:
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.__exit__(*error)

    def part(self, name: str) -> StoredPart:
        """Return the arrays with names ``name/...``, by the rest of their names.

        The part "" has the arrays without a slash in their names.
        """
        split = ((whole, *whole.rpartition("/")) for whole in self)
        names = {rest: whole for whole, part, _, rest in split if part == name}
        return StoredPart(self.path, self._file, names)


def _read_header(path: Path) -> bytes:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:
            raise damaged(path, f"its {size} bytes end within its header")
        return file.read(length)


def _is_too_long(header: bytes) -> bool:
    """Whether a header is too long; to parse it would take too much memory."""
    return max(header.count(b'"'), header.count(b",")) > _MOST
