"""Load the MNIST digits: find or download the files, and check them."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tinygrad_edu.data.idx import BROKEN_GZIP, read_idx
from tinygrad_edu.support.extras import import_library
from tinygrad_edu.support.files import cache_folder, damaged, replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Mnist", "mnist", "mnist_5k"]

# The published hashes of the *uncompressed* files. The hash of a .gz would not help,
# since each mirror compresses the files in its own way.
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
_OUR_DIGITS = Path(__file__).parent / "mnist_5k"
_TIMEOUT = 5  # seconds: fail soon if there is no network


class Mnist(NamedTuple):
    """Handwritten digits: images (n, 28, 28) and labels (n,) from 0 to 9, all uint8."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    source: str


def mnist(folder: str | os.PathLike[str] | None = None) -> Mnist:
    """Return the MNIST database of handwritten digits, in its original order.

    It reads from the first of these that is set: the argument `folder`; the folder in
    the environment variable ``TINYGRAD_EDU_DATA``; the user's cache. Files missing in
    the cache are downloaded, which needs the package ``pooch``.

    Parameters
    ----------
    folder : path, optional
        A folder with the four IDX files under their original names, with or without
        ``.gz``, directly or in a sub-folder ``mnist``.

    Returns
    -------
    Mnist
        uint8 arrays: 60,000 training and 10,000 test images with their labels, or as
        many as your own `folder` has; and ``source``, the folder.

    Raises
    ------
    FileNotFoundError
        If a file is missing and cannot be downloaded.
    ValueError
        If a file is damaged, or its content does not match its name.

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
    cache = cache_folder()
    _download_missing(cache)
    return _load(cache)


def mnist_5k() -> Mnist:
    """Return 5,000 real MNIST digits, which are part of this package.

    Use it where MNIST cannot be downloaded. The digits are the first 500 of each kind
    among MNIST's training examples. Every fifth one is a test example. They are in the
    order 0 to 9, again and again, so each part is balanced, and so are its first rows.

    Returns
    -------
    Mnist
        uint8 arrays: 4,000 training and 1,000 test images with their labels.

    Examples
    --------
    >>> mnist_5k().train_labels[:12].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    """
    return _load(_OUR_DIGITS)


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
            f"mnist: {folder} does not contain {missing} (with or without .gz, there "
            f"or in its sub-folder mnist); add it, pass another folder, or set "
            f"{_VARIABLE} to another folder"
        )
    train = _read_pair(*paths[:2])
    return Mnist(*train, *_read_pair(*paths[2:]), source=str(folder))


def _read_pair(
    images_path: Path, labels_path: Path
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.shape[1:] != (28, 28):
        fault = f"expected images of shape (n, 28, 28), got {images.shape}"
        raise damaged(images_path, fault)
    if labels.ndim != 1:
        fault = f"expected labels of shape (n,), got {labels.shape}"
        raise damaged(labels_path, fault)
    if labels.max() > 9:
        raise damaged(labels_path, f"expected labels 0..9, got {labels.max()}")
    if len(labels) != len(images):
        fault = f"it has {len(labels)} labels for {len(images)} images ({images_path})"
        raise damaged(labels_path, fault)
    return images, labels


def _download_missing(folder: Path) -> None:
    for name, digest in _SHA256.items():
        if _find(folder, name):
            continue
        faults = ""
        for mirror in _MIRRORS:
            try:
                _fetch(f"{mirror}{name}.gz", folder / "mnist" / f"{name}.gz", digest)
                break
            except (ImportError, OSError, ValueError, *BROKEN_GZIP) as error:
                faults += f"\n  {mirror}: {error}"
        else:
            raise FileNotFoundError(
                f"mnist: no folder was given, {_VARIABLE} is not set, the cache "
                f"({folder}) does not contain {name}, and no mirror could send it:"
                f"{faults}\n"
                f"Connect to the internet; or set {_VARIABLE} to a folder whose "
                "sub-folder mnist contains the four files; or use the 5,000 digits of "
                "mnist_5k()"
            )


def _fetch(url: str, target: Path, digest: str) -> None:
    """Download one file; give it its name only after its hash was checked."""
    import hashlib

    pooch = import_library("pooch", "mnist")
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing("mnist", target) as part:
        pooch.HTTPDownloader(timeout=_TIMEOUT)(url, str(part), None)
        with gzip.open(part) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digest:
            raise ValueError(f"wrong SHA-256: expected {digest}, got {found}")
