"""Take a part of an array by an index; and the reverse, add a part to zeros."""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType
from typing import Any, Literal

import numpy as np

from tinygrad_edu.engine.graph import query
from tinygrad_edu.engine.op import as_array, composite, op
from tinygrad_edu.ops.shapes import reshape
from tinygrad_edu.support.kinds import Operand, Shape

__all__ = ["add_at", "getitem", "take", "take_along_axis"]


@op(tex="{x}_{{{index}}}", selects=True)
def getitem(x: Any, *, index: Any) -> Any:
    """Return ``x[index]``, with any index that NumPy accepts."""
    return as_array(x)[index]


getitem.vjp(x=lambda g, y, x, index: add_at(g, index, x.shape))


@op()
def add_at(x: Any, *, index: Any, shape: Shape) -> Any:
    """Add `x` to zeros of a shape at an index; repeated positions are summed."""
    x = np.asarray(x)
    answer = np.zeros(shape, x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if not any(map(_may_repeat, parts)):
        answer[index] = x  # faster
    elif isinstance(index, np.ndarray) and x.shape == index.shape + answer.shape[1:]:
        row = np.arange(answer[:1].size)  # one index is faster than the general case
        places = index.reshape(-1, 1) * row.size + row
        np.add.at(answer.reshape(-1), places.ravel(), x.ravel())
    else:
        np.add.at(answer, index, x)
    return answer


add_at.vjp(x=lambda g, y, x, index, shape: getitem(g, index))


def _may_repeat(part: Any) -> bool:
    """Whether a part of an index may name an element twice; slices and masks cannot."""
    if isinstance(part, np.ndarray):
        return bool(part.dtype != bool)
    return not isinstance(part, int | slice | EllipsisType | None)


def gathered(x: Any, rearrange: Callable[[Any], Any]) -> Any:
    """Rearrange the elements of x as `rearrange` rearranges their numbers 0, 1, 2, ...

    Each number in the rearranged array then tells which element of x goes there.
    """
    x = as_array(x)
    return getitem(reshape(x, -1), rearrange(np.arange(x.size).reshape(x.shape)))


@composite()
def take(
    x: Any,
    *,
    indices: Operand,
    axis: int | None = None,
    mode: Literal["raise", "wrap", "clip"] = "raise",
) -> Any:
    """Take elements, or slices along an axis, by their indices, which may repeat.

    For an index out of bounds, mode="wrap" starts again at the first element, and
    mode="clip" takes the nearest one.
    """
    return gathered(x, lambda i: query(np.take, i, indices, axis, mode=mode))


@composite()
def take_along_axis(x: Any, *, indices: Operand, axis: int | None = -1) -> Any:
    """Take elements along an axis by their indices, such as `argsort` returns."""
    return gathered(x, lambda i: query(np.take_along_axis, i, indices, axis))
