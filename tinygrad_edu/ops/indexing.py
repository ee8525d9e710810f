"""A part of an array, by its index; and the inverse, zeros with a part added in."""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import value_of
from tinygrad_edu.engine.op import as_array, composite, op
from tinygrad_edu.ops.shapes import reshape

__all__ = [
    "add_at",
    "getitem",
    "take",
    "take_along_axis",
]


@op(tex="{x}_{{{index}}}", selects=True)
def getitem(x: Any, *, index: Any) -> Any:
    """``x[index]``, with any index that NumPy takes."""
    return as_array(x)[index]


getitem.vjp(x=lambda g, y, x, index: add_at(g, index, x.shape))


@op()
def add_at(x: Any, *, index: Any, shape: Any) -> Any:
    """Zeros of a shape, with `x` added at an index; where it repeats, values add up."""
    x = np.asarray(x)
    answer = np.zeros(shape, x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if not any(map(_may_repeat, parts)):
        answer[index] = x  # faster
    elif answer.ndim == 1 and isinstance(index, np.ndarray):
        np.add.at(answer, index.ravel(), x.ravel())  # faster than the general case
    else:
        np.add.at(answer, index, x)
    return answer


add_at.vjp(x=lambda g, y, x, index, shape: getitem(g, index))


def _may_repeat(part: Any) -> bool:
    """Whether a part of an index may name an element twice: not slices, not masks."""
    if isinstance(part, np.ndarray):
        return bool(part.dtype != bool)
    return not isinstance(part, int | slice | EllipsisType | None)


def gathered(x: Any, rearrange: Callable[[Any], Any]) -> Any:
    """Do with the elements of x what `rearrange` does with the numbers 0, 1, 2, ...

    Of each element of the answer its number tells which element of x it is.
    """
    x = as_array(x)
    return getitem(reshape(x, -1), rearrange(np.arange(x.size).reshape(x.shape)))


@composite()
def take(x: Any, *, indices: Any, axis: Any = None, mode: Any = "raise") -> Any:
    """Elements, or slices along an axis, by their numbers; these may repeat.

    With mode="wrap" numbers out of bounds count round, with mode="clip" they mean the
    last.
    """
    indices = value_of(indices)
    return gathered(x, lambda i: np.take(i, indices, axis, mode=mode))


@composite()
def take_along_axis(x: Any, *, indices: Any, axis: Any = -1) -> Any:
    """Elements along an axis by their numbers, as `argsort` gives them."""
    indices = value_of(indices)
    return gathered(x, lambda i: np.take_along_axis(i, indices, axis))
