"""The same elements in another order, some of them repeated, or only some of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu.engine.graph import Node, value_of
from tinygrad_edu.engine.op import as_array, composite
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.indexing import add_at, gathered, getitem, take_along_axis
from tinygrad_edu.ops.joining import axis_index, concatenate
from tinygrad_edu.ops.shapes import broadcast_to, reshape

__all__ = [
    "diag",
    "diagonal",
    "diff",
    "flip",
    "fliplr",
    "flipud",
    "pad",
    "partition",
    "repeat",
    "roll",
    "rot90",
    "sort",
    "tile",
    "tril",
    "triu",
]


@composite()
def flip(x: Any, *, axis: Any = None) -> Any:
    """Reverse the order of the elements along an axis, along several, or along all."""
    x = as_array(x)
    axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    return getitem(
        x, tuple(slice(None, None, -1 if i in axes else 1) for i in range(x.ndim))
    )


@composite()
def flipud(x: Any) -> Any:
    """Reverse the order along the first axis: what was up is down."""
    return flip(x, 0)


@composite()
def fliplr(x: Any) -> Any:
    """Reverse the order along the second axis: what was left is right."""
    return flip(x, 1)


@composite()
def rot90(x: Any, *, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Turn by k right angles, from the first of two axes towards the second."""
    return gathered(x, lambda i: np.rot90(i, k, axes))


@composite()
def roll(x: Any, *, shift: Any, axis: Any = None) -> Any:
    """Shift along an axis; what falls off at the end comes in at the beginning."""
    return gathered(x, lambda i: np.roll(i, shift, axis))


@composite()
def repeat(x: Any, *, repeats: Any, axis: Any = None) -> Any:
    """Each element so many times in a row, along an axis, or laid flat."""
    return gathered(x, lambda i: np.repeat(i, repeats, axis))


@composite()
def tile(x: Any, *, reps: Any) -> Any:
    """The whole so many times, along each axis."""
    return gathered(x, lambda i: np.tile(i, reps))


@composite()
def pad(
    x: Any, *, pad_width: Any, mode: Any = "constant", constant_values: Any = 0
) -> Any:
    """Add margins, as wide as `pad_width` tells for each side of each axis.

    They hold `constant_values`; or elements of `x`, with a mode of "edge", "reflect",
    "symmetric" or "wrap".
    """
    x = as_array(x)
    if mode in ("edge", "reflect", "symmetric", "wrap"):
        return gathered(x, lambda i: np.pad(i, pad_width, mode))
    if mode != "constant":
        raise ValueError(
            f"pad: the mode {mode!r} is not known; there are 'constant', 'edge', "
            "'reflect', 'symmetric' and 'wrap'"
        )
    inside = np.pad(np.ones(x.shape, bool), pad_width)
    margins = np.pad(
        np.zeros(x.shape, x.dtype), pad_width, constant_values=constant_values
    )
    return where(inside, add_at(reshape(x, -1), inside, inside.shape), margins)


@composite(
    kink=lambda x, axis, kind: np.diff(
        np.sort(x, axis), axis=0 if axis is None else axis
    ),
    subgradient="equal elements keep their order",
)
def sort(x: Any, *, axis: Any = -1, kind: Any = "stable") -> Any:
    """Sort along an axis, or all elements if it is None."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    return take_along_axis(x, np.argsort(value_of(x), axis, kind), axis)


@composite(
    kink=lambda x, kth, axis, kind: np.diff(
        np.sort(x, axis), axis=0 if axis is None else axis
    ),
    subgradient="equal elements in any order",
)
def partition(x: Any, *, kth: Any, axis: Any = -1, kind: Any = "introselect") -> Any:
    """Bring the element `kth` by size to its place, the smaller ones before it."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    return take_along_axis(x, np.argpartition(value_of(x), kth, axis, kind), axis)


@composite()
def diagonal(x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of a matrix; of each in a stack, along the last axis.

    A positive `offset` means a diagonal above the main one, a negative one below.
    """
    return gathered(x, lambda i: np.diagonal(i, offset, axis1, axis2))


@composite()
def diag(x: Any, *, k: int = 0) -> Any:
    """The matrix with a vector on its diagonal; or the diagonal of a matrix."""
    x = as_array(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(
            f"diag: it takes a vector or a matrix, and this has the shape {x.shape}; "
            "diagonal() takes stacks of matrices"
        )
    places = np.diag(np.ones(x.shape, bool), k)
    return add_at(x, places, places.shape)


@composite(signature="(m,n)->(m,n)")
def tril(x: Any, *, k: int = 0) -> Any:
    """The lower triangle, 0 above; the diagonal `k` is the last that is kept."""
    x = as_array(x)
    return where(_below(x, k), x, np.zeros((), x.dtype))


@composite(signature="(m,n)->(m,n)")
def triu(x: Any, *, k: int = 0) -> Any:
    """The upper triangle, 0 below; the diagonal `k` is the first that is kept."""
    x = as_array(x)
    return where(_below(x, k - 1), np.zeros((), x.dtype), x)


def _below(x: Any, k: int) -> Any:
    """Where the elements of a matrix on and below the diagonal `k` are."""
    rows, columns = np.indices(x.shape[-2:] if x.ndim > 1 else x.shape * 2)
    return columns - rows <= k


@composite(tex=r"{x}_{{i+1}} - {x}_i")
def diff(
    x: Any, *, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None
) -> Any:
    """The differences between neighbours along an axis, `n` times over.

    `prepend` and `append` are set before and after the elements first.
    """
    x = as_array(x)
    axis = normalize_axis_index(axis, x.ndim)
    if n < 0:
        raise ValueError(f"diff: n={n} is how often differences are taken, 0 or more")
    if n == 0:
        return x
    parts = [part for part in (prepend, x, append) if part is not None]
    if len(parts) > 1:
        x = concatenate([_as_slice(part, x, axis) for part in parts], axis)
    later, earlier = axis_index(axis, 1, None), axis_index(axis, None, -1)
    for _ in range(n):
        x = getitem(x, later) - getitem(x, earlier)
    return x


def _as_slice(part: Any, x: Any, axis: int) -> Any:
    """A number stands for a slice of x along an axis, full of it."""
    if np.ndim(part) > 0:
        return part
    if not isinstance(part, Node):
        part = np.asarray(part, np.result_type(part, x.dtype))
    return broadcast_to(part, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
