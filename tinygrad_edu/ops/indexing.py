"""Take a part of an array by an index; and the reverse, add a part to zeros."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import takewhile
from types import EllipsisType
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_edu.engine.graph import query, value_of
from tinygrad_edu.engine.op import Each, as_array, composite, op
from tinygrad_edu.ops.shapes import in_depth, reshape
from tinygrad_edu.support.kinds import Operand, Shape


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


def _getitem_stack(stacked: Any, x: Any, index: Any) -> Any:
    if (places := _places_of_each(stacked[0], index)) is not None:
        return getitem(x, places) if places else NotImplemented
    if _is_simple(index):
        return getitem(x, _behind_a_slice(index))
    n, *shape = x.shape
    return getitem(reshape(x, (n, -1)), (slice(None), _numbers(shape)[index]))


getitem.vmap(_getitem_stack)


def _add_at_stack(stacked: Any, x: Any, index: Any, shape: Any) -> Any:
    shape = np.broadcast_to(0, shape).shape
    if (places := _places_of_each(True, index)) is not None:
        return add_at(x, places, (len(places[0]), *shape)) if places else NotImplemented
    n = len(x)
    if _is_simple(index):
        return add_at(x, _behind_a_slice(index), (n, *shape))
    numbers = _numbers(shape)
    sums = add_at(x, (slice(None), numbers[index]), (n, numbers.size))
    return reshape(sums, (n, *shape))


add_at.vmap(_add_at_stack)


def _numbers(shape: Any) -> np.ndarray[Any, Any]:
    """Return an array of this shape with the elements' numbers, 0, 1, 2, ..."""
    return np.arange(math.prod(shape)).reshape(shape)


def _parts(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _behind_a_slice(index: Any) -> Any:
    parts = _parts(index)
    if parts and parts[0] is ... and all(part is None for part in parts[1:]):
        return parts  # it only adds axes
    return (slice(None), *parts)


def _is_simple(index: Any) -> bool:
    """Whether an index means the same with a slice before it.

    It does, unless it has several arrays: NumPy puts their axes first, before the slice
    too, if another part is between them.
    """
    parts = _parts(index)
    places = [part for part in parts if not isinstance(part, BASIC)]
    return len(places) < 2 or all(isinstance(part, int) for part in places)


BASIC = slice | EllipsisType | None


def _places_of_each(stacked: bool, index: Any) -> Any:
    """Return the index of a stack with places that differ from example to example.

    Return None if they do not differ, and an empty index if it is not so simple that
    slices come last.
    """
    parts = _parts(index)
    counts = {len(part.array) for part in parts if isinstance(part, Each)}
    if not counts:
        return None
    (n,) = counts
    places = list(takewhile(lambda part: not isinstance(part, BASIC), parts))
    rest = parts[len(places) :]
    if not all(isinstance(part, BASIC) for part in rest):
        return ()
    are_each = [isinstance(part, Each) for part in places]
    found = [
        value_of(part.array) if is_each else np.asarray(part)
        for part, is_each in zip(places, are_each)
    ]
    if any(x.dtype.kind == "b" for x in found):
        return ()
    most = max(x.ndim - is_each for x, is_each in zip(found, are_each))
    found = [in_depth(x, most) if is_each else x for x, is_each in zip(found, are_each)]
    rows = np.arange(n).reshape(n, *[1] * most)
    return (*[rows] * stacked, *found, *rest)


def _may_repeat(part: Any) -> bool:
    """Whether a part of an index may name an element twice; slices and masks cannot."""
    if isinstance(part, np.ndarray):
        return bool(part.dtype != bool)
    return not isinstance(part, int | slice | EllipsisType | None)


def gathered(x: Any, rearrange: Callable[[Any], Any]) -> Any:
    """Rearrange the elements of x as `rearrange` rearranges their numbers 0, 1, 2, ...

    Each number in the rearranged array says which element of x to put there.
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
    x = as_array(x)
    if axis is None:
        x, axis = reshape(x, -1), 0
    axis = normalize_axis_index(axis, x.ndim)
    places = query(np.take, np.arange(x.shape[axis]), indices, None, None, mode)
    return getitem(x, (slice(None),) * axis + (places,))


@composite()
def take_along_axis(x: Any, *, indices: Operand, axis: int | None = -1) -> Any:
    """Take elements along an axis by their indices, such as `argsort` returns."""
    return gathered(x, lambda i: query(np.take_along_axis, i, indices, axis))
