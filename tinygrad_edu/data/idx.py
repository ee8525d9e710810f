"""Read the IDX file format: an array of bytes, or an error that says what is wrong."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.support.files import damaged

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BROKEN_GZIP", "read_idx"]

# The errors of gzip for a file that is damaged or not compressed.
BROKEN_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)
_CHUNK = 1 << 16
# A few bytes of gzip can unpack to gigabytes. MNIST's files become 4 to 10 times as
# large. A file is refused if it exceeds both of these limits.
_MOST_UNPACKED, _MOST_TIMES = 1 << 26, 200


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read an array of unsigned bytes from a file in the IDX format of MNIST.

    The format is: two zero bytes, one byte for the element type (8 is uint8), one byte
    for the number of dimensions; then each dimension as a big-endian 32-bit integer;
    then the elements.

    Parameters
    ----------
    path : path
        A file name that ends in ``.gz`` is read through gzip.

    Returns
    -------
    ndarray of uint8
        In the shape given by the header; never empty.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or of another format, if it does not fit in memory, or if
        it unpacks to more than 64 MB and more than 200 times its size. A wrong size in
        the header does not cost memory: the bytes are counted before it is allocated.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "pair-idx1-ubyte")
    ...     size = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 40, 50]))
    ...     read_idx(path)
    array([40, 50], dtype=uint8)
    """
    path = Path(path)
    is_packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if is_packed else path.open("rb") as file:
            zeros, kind, ndim = struct.unpack(">HBB", file.read(4))
            if zeros:
                fault = f"wrong magic number: expected 0000, got {zeros:04x}"
                raise damaged(path, f"{fault} (1f8b is gzip: then name it .gz)")
            if kind != 8:
                fault = f"wrong element type: expected 0x08 (uint8), got {kind:#04x}"
                raise damaged(path, fault)
            shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
            claimed = math.prod(shape)
            if not 0 < ndim <= 64 or not claimed:
                raise damaged(path, f"its header claims an impossible shape, {shape}")
            size = os.stat(path).st_size
            if is_packed and claimed > max(_MOST_UNPACKED, _MOST_TIMES * size):
                fault = (
                    f"its header claims {claimed} bytes, {shape}, more than "
                    f"{_MOST_TIMES} times its own {size}, too many for images; unpack "
                    "it yourself if you trust it"
                )
                raise damaged(path, fault)
            # The header may lie: count the bytes before allocating memory.
            start, found = file.tell(), 0
            while found <= claimed and (chunk := file.read(_CHUNK)):
                found += len(chunk)
            if found != claimed:
                what = "too few" if found < claimed else "too many (oversized)"
                fault = f"its header claims {claimed} bytes, {shape}, but {what} follow"
                raise damaged(path, fault)
            file.seek(start)
            array = np.empty(shape, np.uint8)
            file.readinto(array.data)
            return array
    except struct.error:
        raise damaged(path, "it ends within its header") from None
    except MemoryError:
        fault = f"its {claimed} bytes, {shape}, do not fit in the free memory"
        raise ValueError(f"{path}: {fault}; read it on a larger machine") from None
    except BROKEN_GZIP as error:
        raise damaged(path, f"damaged or not gzip ({error})") from None
