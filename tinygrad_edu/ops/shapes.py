"""The same elements in another shape, and in another dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.op import as_array, composite, op

__all__ = [
    "astype",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_to",
    "expand_dims",
    "moveaxis",
    "ravel",
    "reshape",
    "rollaxis",
    "squeeze",
    "swapaxes",
    "transpose",
]


@op()
def reshape(x: Any, *, shape: Any) -> Any:
    """Give the same elements, in the same order, another shape."""
    return np.reshape(x, shape)


reshape.vjp(x=lambda g, y, x, shape: reshape(g, shape=x.shape))


@op(tex="{x}^T")
def transpose(x: Any, *, axes: Any = None) -> Any:
    """Permute the axes; reverse them if `axes` is None."""
    return np.transpose(x, axes)


def _transpose_x(g: Any, y: Any, x: Any, axes: Any) -> Any:
    if axes is not None:
        axes = tuple(np.argsort(normalize_axis_tuple(axes, x.ndim)))
    return transpose(g, axes=axes)


transpose.vjp(x=_transpose_x)


@op()
def broadcast_to(x: Any, *, shape: Any) -> Any:
    """Repeat along new axes and along axes of size 1, as arithmetic does."""
    answer = np.empty(shape, np.asarray(x).dtype)
    answer[...] = x
    return answer


# The traversal sums over what was broadcast.
broadcast_to.vjp(x=lambda g, y, x, shape: g)


@op()
def astype(x: Any, *, dtype: Any) -> Any:
    """Convert to another dtype; the gradient is converted back."""
    return as_array(x).astype(dtype)


astype.vjp(x=lambda g, y, x, dtype: g)


def _outline(x: Any) -> np.ndarray[Any, Any]:
    """An array of the shape of x, in the memory of one element."""
    return np.broadcast_to(np.False_, np.shape(x))


@composite()
def expand_dims(x: Any, *, axis: Any) -> Any:
    """Insert axes of size 1 at the places `axis` of the answer."""
    return reshape(x, np.expand_dims(_outline(x), axis).shape)


@composite()
def squeeze(x: Any, *, axis: Any = None) -> Any:
    """Remove axes of size 1: all of them, or those named."""
    return reshape(x, np.squeeze(_outline(x), axis).shape)


@composite()
def atleast_1d(x: Any) -> Any:
    """Make a number a vector of one; more dimensions stay."""
    return reshape(x, np.atleast_1d(_outline(x)).shape)


@composite()
def atleast_2d(x: Any) -> Any:
    """Make a vector a matrix of one row; more dimensions stay."""
    return reshape(x, np.atleast_2d(_outline(x)).shape)


@composite()
def atleast_3d(x: Any) -> Any:
    """Add axes up to three: (n) becomes (1, n, 1), and (m, n) becomes (m, n, 1)."""
    return reshape(x, np.atleast_3d(_outline(x)).shape)


@composite()
def ravel(x: Any, *, order: str = "C") -> Any:
    """Lay the elements in one row: row by row, or with order="F" column by column."""
    if order not in ("C", "F"):
        raise ValueError(
            f"ravel: order={order!r} depends on how NumPy laid out the memory; "
            "say order='C', row by row, or order='F', column by column"
        )
    return reshape(x if order == "C" else transpose(x), -1)


def _numbered_axes(x: Any) -> np.ndarray[Any, Any]:
    """An array of the shape (0, 1, 2, ...): permuted, its shape is the permutation."""
    return np.empty(range(np.ndim(x)))


@composite()
def swapaxes(x: Any, *, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    return transpose(x, np.swapaxes(_numbered_axes(x), axis1, axis2).shape)


@composite()
def moveaxis(x: Any, *, source: Any, destination: Any) -> Any:
    """Move an axis, or several, to new places; the others keep their order."""
    return transpose(x, np.moveaxis(_numbered_axes(x), source, destination).shape)


@composite()
def rollaxis(x: Any, *, axis: int, start: int = 0) -> Any:
    """Move an axis back until it lies before the axis `start`."""
    return transpose(x, np.rollaxis(_numbered_axes(x), axis, start).shape)
