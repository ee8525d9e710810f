"""The IDX file format: read an array of bytes, or say what is wrong with the file."""

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

# Whatever gzip raises over a file that is damaged, or not compressed at all.
BROKEN_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)
_CHUNK = 1 << 16
# A few bytes of gzip can stand for gigabytes. MNIST's files are 4 to 10 times as large
# when unpacked; one that is larger than these, and by more, is refused.
_MOST_UNPACKED, _MOST_TIMES = 1 << 26, 200


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read an array of unsigned bytes from a file in the IDX format of MNIST.

    Two zero bytes, one for the element type (8 is uint8) and one for the number of
    dimensions; then each dimension as a big-endian 32-bit integer; then the elements.

    Parameters
    ----------
    path : path
        Read through gzip if it ends in ``.gz``.

    Returns
    -------
    ndarray of uint8
        Of the shape that the header gives, never empty.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged or of another format; or it does not fit in memory, or it
        unpacks to more than 64 MB and 200 times its size. Whatever size its header
        claims, memory is taken only once as many bytes have been counted.

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
                fault = f"wrong magic number: {zeros:04x} where 0000 is due"
                raise damaged(path, f"{fault} (1f8b? Then name it .gz)")
            if kind != 8:
                raise damaged(path, f"element type {kind:#04x} is not 0x08, uint8")
            shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
            claimed = math.prod(shape)
            if not 0 < ndim <= 64 or not claimed:
                raise damaged(path, f"no array has the shape {shape} that it claims")
            size = os.stat(path).st_size
            if is_packed and claimed > max(_MOST_UNPACKED, _MOST_TIMES * size):
                fault = (
                    f"its header claims {claimed} bytes, {shape}, more than "
                    f"{_MOST_TIMES} times its own {size}, as no images have; unpack it "
                    "if you trust it"
                )
                raise damaged(path, fault)
            # A header costs nothing to forge: count the bytes before making room.
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
        fault = f"its {claimed} bytes, {shape}, do not fit in the memory that is left"
        raise ValueError(f"{path}: {fault}; read it in parts, or elsewhere") from None
    except BROKEN_GZIP as error:
        raise damaged(path, f"damaged gzip, or none at all ({error})") from None
