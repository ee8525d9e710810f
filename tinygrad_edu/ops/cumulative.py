"""Cumulative sums and products along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_edu.engine.op import composite, op
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.joining import axis_index, concatenate
from tinygrad_edu.ops.reductions import as_factors
from tinygrad_edu.ops.shapes import in_stack, reshape

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


@op(tex=r"\textstyle\sum_{{j \le i}} {x}_j")
def cumsum(x: Any, *, axis: int | None = None, dtype: DTypeLike | None = None) -> Any:
    """The sum up to each element along an axis; without one, over all in order."""
    return np.cumsum(x, axis=axis, dtype=dtype)


def _from_the_end(g: Any, y: Any, x: Any, axis: Any, dtype: Any) -> Any:
    """Sum g from the end: an element is part of its own sum and of all later ones."""
    backwards = axis_index((axis or 0) % y.ndim, None, None, -1)
    total = getitem(cumsum(getitem(g, backwards), axis), backwards)
    return reshape(total, x.shape)


cumsum.vjp(x=_from_the_end)


def _cumsum_stack(stacked: Any, x: Any, axis: Any, dtype: Any) -> Any:
    if axis is None or x.ndim == 1:
        x, axis = reshape(x, (len(x), -1)), 0
    return cumsum(x, axis=in_stack(axis, x.ndim - 1), dtype=dtype)


cumsum.vmap(_cumsum_stack)


@composite(tex=r"\textstyle\prod_{{j \le i}} {x}_j")
def cumprod(x: Any, *, axis: int | None = None, dtype: DTypeLike | None = None) -> Any:
    """The product up to each element along an axis; without one, over all in order.

    The gradient is right even if a factor is 0. The op computes products of 1, 2, 4,
    8, ... neighbours in turn: in each round it multiplies each product by the one that
    ends just before it, until every product starts at the first element.
    """
    x = as_factors(x, dtype)
    if axis is None or x.ndim == 0:
        x, axis = reshape(x, -1), axis or 0
    axis = normalize_axis_index(axis, x.ndim)
    length = 1
    while length < x.shape[axis]:
        whole = getitem(x, axis_index(axis, None, length))
        earlier = getitem(x, axis_index(axis, None, -length))
        later = getitem(x, axis_index(axis, length, None))
        x = concatenate([whole, earlier * later], axis)
        length *= 2
    return x
