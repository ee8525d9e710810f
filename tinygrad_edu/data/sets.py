"""Data sets as arrays: exclusive or, normalised images, one-hot rows, mini-batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.support.randomness import shuffled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["minibatches", "normalise", "one_hot", "xor"]


def xor(dtype: DTypeLike = np.float32) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the truth table of exclusive or.

    Parameters
    ----------
    dtype : dtype, default float32
        The dtype of both arrays.

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
        If the images are not uint8 (perhaps they are normalised already), or not of
        shape (n, height, width).

    Examples
    --------
    >>> normalise(np.array([[[0, 51], [102, 255]]], np.uint8))
    array([[0. , 0.2, 0.4, 1. ]], dtype=float32)
    """
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(
            f"normalise: images must be uint8 of shape (n, height, width), not "
            f"{images.dtype} of shape {images.shape}; pass the images of mnist()"
        )
    count, height, width = images.shape
    rows = images.reshape(count, height * width)
    scaled: NDArray[Any] = np.divide(rows, 255, dtype=dtype)
    return scaled


def one_hot(
    labels: ArrayLike, classes: int = 10, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Return one row per label: 1 in the label's column, 0 elsewhere.

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
        If a label is out of range, or the labels are not a vector of integers.

    Examples
    --------
    >>> one_hot([2, 0], classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise ValueError(
            f"one_hot: labels must be integers of shape (n,), not {labels.dtype} of "
            f"shape {labels.shape}; try labels.astype(int).ravel()"
        )
    strays = np.flatnonzero((labels < 0) | (labels >= classes))
    if strays.size:
        at = strays[0]
        raise ValueError(
            f"one_hot: label {labels[at]} (at index {at}) is not one of the {classes} "
            f"classes 0..{classes - 1}; correct it, or pass a larger classes="
        )
    return np.eye(classes, dtype=dtype).take(labels, axis=0)


def minibatches(
    x: NDArray[Any], y: NDArray[Any], batch_size: int, rng: Any = None
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Iterate over the examples once, one mini-batch at a time.

    Parameters
    ----------
    x, y : ndarray, shapes (n, ...)
        One example per row.
    batch_size : int
        The number of rows; the last mini-batch may be shorter.
    rng : Generator, RandomState or int, optional
        Shuffles the examples; without it they keep their order. A seed gives the same
        order in every epoch; pass a generator for a new order each time.

    Returns
    -------
    iterator of (x, y)
        Copies of at most `batch_size` rows; x and y belong to the same examples.

    Raises
    ------
    ValueError
        If `x` and `y` differ in length, or `batch_size` is below 1.

    Examples
    --------
    >>> [len(inputs) for inputs, outputs in minibatches(*xor(), batch_size=3)]
    [3, 1]
    """
    if len(x) != len(y):
        raise ValueError(
            f"minibatches: x has {len(x)} rows and y has {len(y)}; they must be equal"
        )
    if batch_size < 1:
        raise ValueError(f"minibatches: batch_size must be 1 or more, not {batch_size}")
    order = shuffled(np.arange(len(x)), rng)
    batches = (order[i : i + batch_size] for i in range(0, len(x), batch_size))
    # take() gathers the few rows of a small batch in half the time of x[batch].
    return ((x.take(batch, axis=0), y.take(batch, axis=0)) for batch in batches)
