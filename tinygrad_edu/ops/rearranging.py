"""Rearrange elements: reorder, repeat, or select them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu.engine.graph import Node, value_of
from tinygrad_edu.engine.op import Each, as_array, composite, op
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.indexing import add_at, gathered, getitem, take_along_axis
from tinygrad_edu.ops.joining import axis_index, concatenate
from tinygrad_edu.ops.shapes import broadcast_to, moveaxis, reshape
from tinygrad_edu.support.kinds import Axes, Operand
from tinygrad_edu.support.tree import leaves


@composite()
def flip(x: Any, *, axis: Axes = None) -> Any:
    """Reverse the order of the elements along one axis, several, or all."""
    x = as_array(x)
    axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    return getitem(
        x, tuple(slice(None, None, -1 if i in axes else 1) for i in range(x.ndim))
    )


@composite()
def flipud(x: Any) -> Any:
    """Reverse the order along the first axis: turn a matrix upside down."""
    return flip(x, 0)


@composite()
def fliplr(x: Any) -> Any:
    """Reverse the order along the second axis: exchange left and right."""
    return flip(x, 1)


@composite()
def rot90(x: Any, *, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Rotate by k right angles, from the first of two axes towards the second."""
    return gathered(x, lambda i: np.rot90(i, k, axes))


@op()
def roll(x: Any, *, shift: int | Sequence[int], axis: Axes = None) -> Any:
    """Shift along an axis; elements pushed out at the end return at the start."""
    return np.roll(x, shift, axis)


roll.vjp(x=lambda g, y, x, shift, axis: roll(g, np.negative(shift).tolist(), axis))


def _roll_stack(stacked: Any, x: Any, shift: Any, axis: Any) -> Any:
    if any(isinstance(part, Each) for part in leaves(shift)):
        return NotImplemented
    if axis is None:
        rows = roll(reshape(x, (len(x), -1)), np.sum(shift), 1)
        return reshape(rows, x.shape)
    axes = normalize_axis_tuple(axis, x.ndim - 1, allow_duplicate=True)
    return roll(x, shift, tuple(i + 1 for i in axes))


roll.vmap(_roll_stack)


@composite()
def repeat(x: Any, *, repeats: int | Sequence[int], axis: int | None = None) -> Any:
    """Repeat each element `repeats` times along an axis; without one, flatten first."""
    return gathered(x, lambda i: np.repeat(i, repeats, axis))


@composite()
def tile(x: Any, *, reps: int | Sequence[int]) -> Any:
    """Repeat the whole array, `reps` times along each axis."""
    return gathered(x, lambda i: np.tile(i, reps))


@composite()
def pad(
    x: Any,
    *,
    pad_width: Any,
    mode: Literal["constant", "edge", "reflect", "symmetric", "wrap"] = "constant",
    constant_values: Any = 0,
) -> Any:
    """Add margins; `pad_width` is the width for each side of each axis.

    The margins contain `constant_values`, or elements of `x` if the mode is "edge",
    "reflect", "symmetric" or "wrap".
    """
    x = as_array(x)
    if mode in ("edge", "reflect", "symmetric", "wrap"):
        return gathered(x, lambda i: np.pad(i, pad_width, mode))
    if mode != "constant":
        raise ValueError(
            "pad: mode must be 'constant', 'edge', 'reflect', 'symmetric' or 'wrap', "
            f"not {mode!r}"
        )
    inside = np.pad(np.ones(x.shape, bool), pad_width)
    margins = np.pad(
        np.zeros(x.shape, x.dtype), pad_width, constant_values=constant_values
    )
    return where(inside, add_at(reshape(x, -1), inside, inside.shape), margins)


def _neighbour_gaps(x: Any, axis: Any, **others: Any) -> Any:
    """Return the gaps between sorted neighbours."""
    return np.diff(np.sort(x, axis), axis=0 if axis is None else axis)


@composite(kink=_neighbour_gaps, subgradient="equal elements keep their order")
def sort(x: Any, *, axis: int | None = -1, kind: Any = "stable") -> Any:
    """Sort along an axis; sort all elements if it is None."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    return take_along_axis(x, np.argsort(value_of(x), axis, kind), axis)


@composite(kink=_neighbour_gaps, subgradient="equal elements in any order")
def partition(
    x: Any,
    *,
    kth: int | Sequence[int],
    axis: int | None = -1,
    kind: Any = "introselect",
) -> Any:
    """Put the k-th smallest element at index `kth`, and the smaller ones before it."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    return take_along_axis(x, np.argpartition(value_of(x), kth, axis, kind), axis)


@composite()
def diagonal(x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of a matrix; for a stack, the diagonals along the last axis.

    A positive `offset` means a diagonal above the main one, a negative one below it.
    """
    return gathered(x, lambda i: np.diagonal(i, offset, axis1, axis2))


@composite()
def diag(x: Any, *, k: int = 0) -> Any:
    """Make a matrix with a vector on its diagonal; or return a matrix's diagonal."""
    x = as_array(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(
            f"diag: pass a vector or a matrix, not an array of shape {x.shape}; "
            "for stacks of matrices use diagonal()"
        )
    return make_diagonal(x, k)


@composite()
def make_diagonal(x: Any, *, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Any:
    """Make a matrix with a vector on its diagonal; of a stack of vectors, a stack.

    The reverse of `diagonal`: the vectors lie along the last axis of `x`, and the
    matrices along two axes of the result.
    """
    x = as_array(x)
    n = np.arange(x.shape[-1])
    rows, columns = n + max(-offset, 0), n + max(offset, 0)
    side = n.size + abs(offset)
    whole = add_at(x, (..., rows, columns), (*x.shape[:-1], side, side))
    return moveaxis(whole, (-2, -1), (axis1, axis2))


@composite(signature="(m,n)->(m,n)")
def tril(x: Any, *, k: int = 0) -> Any:
    """Keep the lower triangle, up to and including diagonal `k`; set the rest to 0."""
    x = as_array(x)
    return where(_below(x, k), x, np.zeros((), x.dtype))


@composite(signature="(m,n)->(m,n)")
def triu(x: Any, *, k: int = 0) -> Any:
    """Keep the upper triangle, from diagonal `k` on; set the rest to 0."""
    x = as_array(x)
    return where(_below(x, k - 1), np.zeros((), x.dtype), x)


def _below(x: Any, k: int) -> Any:
    """Return the mask of the elements on and below diagonal `k`."""
    rows, columns = np.indices(x.shape[-2:] if x.ndim > 1 else x.shape * 2)
    return columns - rows <= k


@composite(tex=r"{x}_{{i+1}} - {x}_i")
def diff(
    x: Any,
    *,
    n: int = 1,
    axis: int = -1,
    prepend: Operand | None = None,
    append: Operand | None = None,
) -> Any:
    """Take differences of neighbours along an axis, `n` times.

    First, `prepend` and `append` are joined to the start and the end.
    """
    x = as_array(x)
    axis = normalize_axis_index(axis, x.ndim)
    if n < 0:
        raise ValueError(f"diff: n must be 0 or more, the number of times, not {n}")
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
    """Convert a number to a slice of x along an axis, filled with it."""
    if np.ndim(part) > 0:
        return part
    if not isinstance(part, Node):
        part = np.asarray(part, np.result_type(part, x.dtype))
    return broadcast_to(part, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
