"""Change the shape or the dtype of an array; keep the order of its elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.op import as_array, composite, op
from tinygrad_edu.support.kinds import Axes, Shape

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def in_depth(x: Any, ndim: int) -> Any:
    """Return a stack of arrays with axes of size 1 before theirs, up to a number."""
    n, *sides = x.shape
    missing = ndim - len(sides)
    return reshape(x, shape=(n, *[1] * missing, *sides)) if missing else x


def align_stacks(stacked: Any, inputs: Any, cores: Any) -> Any:
    """Insert axes of size 1 in stacks, so that examples broadcast as they are.

    The last axes of each input, as many as `cores` says, do not broadcast. Return None
    if an input has fewer axes.
    """
    loops = [
        getattr(x, "ndim", 0) - s - core for x, s, core in zip(inputs, stacked, cores)
    ]
    if min(loops) < 0:
        return None
    most = max(loops)
    return [
        in_depth(x, most + core) if s else x
        for x, s, core in zip(inputs, stacked, cores)
    ]


def in_stack(axis: Any, ndim: int) -> Any:
    """Return the axes in a stack of arrays: one further on; all of them for None."""
    if axis is None or ndim == 0:
        axis = range(ndim)
    axes = tuple(i + 1 for i in normalize_axis_tuple(axis, ndim))
    return axes[0] if len(axes) == 1 else axes


@op()
def reshape(x: Any, *, shape: Shape) -> Any:
    """Change the shape, and keep the elements and their order."""
    return np.reshape(x, shape)


reshape.vjp(x=lambda g, y, x, shape: reshape(g, shape=x.shape))


def _reshape_stack(stacked: Any, x: Any, shape: Any) -> Any:
    one = np.reshape(_outline(x)[0], shape)  # it replaces -1 by a size
    return reshape(x, shape=(len(x), *one.shape))


reshape.vmap(_reshape_stack)


@op(tex="{x}^T")
def transpose(x: Any, *, axes: Sequence[int] | None = None) -> Any:
    """Permute the axes; reverse them if `axes` is None."""
    return np.transpose(x, axes)


def _transpose_x(g: Any, y: Any, x: Any, axes: Any) -> Any:
    if axes is not None:
        axes = tuple(np.argsort(normalize_axis_tuple(axes, x.ndim)))
    return transpose(g, axes=axes)


transpose.vjp(x=_transpose_x)


def _transpose_stack(stacked: Any, x: Any, axes: Any) -> Any:
    axes = range(x.ndim - 2, -1, -1) if axes is None else axes
    axes = normalize_axis_tuple(axes, x.ndim - 1)
    return transpose(x, axes=(0, *(i + 1 for i in axes)))


transpose.vmap(_transpose_stack)


@op()
def broadcast_to(x: Any, *, shape: Shape) -> Any:
    """Repeat along new axes and axes of size 1, as arithmetic does."""
    answer = np.empty(shape, np.asarray(x).dtype)
    answer[...] = x
    return answer


# The backward pass sums over the broadcast axes.
broadcast_to.vjp(x=lambda g, y, x, shape: g)


def _broadcast_stack(stacked: Any, x: Any, shape: Any) -> Any:
    shape = np.broadcast_to(_outline(x)[0], shape).shape
    return broadcast_to(in_depth(x, len(shape)), shape=(len(x), *shape))


broadcast_to.vmap(_broadcast_stack)


@op()
def astype(x: Any, *, dtype: DTypeLike) -> Any:
    """Convert to another dtype; the gradient is converted back."""
    return as_array(x).astype(dtype)


astype.vjp(x=lambda g, y, x, dtype: g)
astype.vmap(lambda stacked, x, dtype: astype(x, dtype=dtype))


def _outline(x: Any) -> np.ndarray[Any, Any]:
    """Return an array of the shape of x that takes the memory of one element."""
    return np.broadcast_to(np.False_, np.shape(x))


@composite()
def expand_dims(x: Any, *, axis: int | Sequence[int]) -> Any:
    """Insert axes of size 1; `axis` gives their positions in the result."""
    return reshape(x, np.expand_dims(_outline(x), axis).shape)


@composite()
def squeeze(x: Any, *, axis: Axes = None) -> Any:
    """Remove axes of size 1: all of them, or those in `axis`."""
    return reshape(x, np.squeeze(_outline(x), axis).shape)


@composite()
def atleast_1d(x: Any) -> Any:
    """Convert a number to a vector of one; keep arrays of more dimensions."""
    return reshape(x, np.atleast_1d(_outline(x)).shape)


@composite()
def atleast_2d(x: Any) -> Any:
    """Convert a vector to a matrix of one row; keep arrays of more dimensions."""
    return reshape(x, np.atleast_2d(_outline(x)).shape)


@composite()
def atleast_3d(x: Any) -> Any:
    """Add axes up to three: (n) becomes (1, n, 1), and (m, n) becomes (m, n, 1)."""
    return reshape(x, np.atleast_3d(_outline(x)).shape)


@composite()
def ravel(x: Any, *, order: Literal["C", "F"] = "C") -> Any:
    """Flatten to one dimension: row by row, or with order="F" column by column."""
    if order not in ("C", "F"):
        raise ValueError(
            f"ravel: order must be 'C', row by row, or 'F', column by column, not "
            f"{order!r}, which depends on the memory layout"
        )
    return reshape(x if order == "C" else transpose(x), -1)


def _numbered_axes(x: Any) -> np.ndarray[Any, Any]:
    """Return an array of shape (0, 1, 2, ...), whose shape shows how axes are moved."""
    return np.empty(range(np.ndim(x)))


@composite()
def swapaxes(x: Any, *, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    return transpose(x, np.swapaxes(_numbered_axes(x), axis1, axis2).shape)


@composite()
def moveaxis(
    x: Any, *, source: int | Sequence[int], destination: int | Sequence[int]
) -> Any:
    """Move one or more axes to new positions; the others keep their order."""
    return transpose(x, np.moveaxis(_numbered_axes(x), source, destination).shape)


@composite()
def rollaxis(x: Any, *, axis: int, start: int = 0) -> Any:
    """Move an axis so that it comes just before the axis `start`."""
    return transpose(x, np.rollaxis(_numbered_axes(x), axis, start).shape)
