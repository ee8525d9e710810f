"""Join arrays, and split them."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_edu.engine.graph import Node
from tinygrad_edu.engine.op import as_array, composite, op
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.shapes import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_to,
    expand_dims,
    in_stack,
    reshape,
)
from tinygrad_edu.support.kinds import Operand


@op()
def concatenate(*arrays: Any, axis: int | None = 0) -> Any:
    """Join a list of arrays along an existing axis; None flattens them first."""
    return np.concatenate(arrays, axis=axis)


def _concatenate_arrays(
    g: Any, y: Any, *arrays: Any, axis: int | None
) -> Callable[[int], Any]:
    """Return, for the i-th array, the part of g at that array's place."""
    shapes = [np.shape(a) for a in arrays]
    if axis is None:
        ends = [0, *accumulate(map(math.prod, shapes))]
        return lambda i: reshape(g[ends[i] : ends[i + 1]], shapes[i])
    place = normalize_axis_index(axis, y.ndim)
    ends = [0, *accumulate(shape[place] for shape in shapes)]
    return lambda i: getitem(g, axis_index(place, ends[i], ends[i + 1]))


concatenate.vjp(arrays=_concatenate_arrays)


def _concatenate_stacks(stacked: Any, *arrays: Any, axis: int | None) -> Any:
    n = len(arrays[stacked.index(True)])
    stacks = [
        x if s else broadcast_to(x, (n, *np.shape(x))) for x, s in zip(arrays, stacked)
    ]
    if axis is None:
        stacks, axis = [reshape(x, (n, -1)) for x in stacks], 0
    return concatenate(stacks, in_stack(axis, stacks[0].ndim - 1))


concatenate.vmap(_concatenate_stacks)


def axis_index(axis: int, *part: int | None) -> tuple[slice, ...]:
    """Return the index that applies ``slice(*part)`` to one axis."""
    return (slice(None),) * axis + (slice(*part),)


@composite()
def stack(*arrays: Any, axis: int = 0) -> Any:
    """Join arrays of equal shapes along a new axis."""
    shapes = dict.fromkeys(np.shape(a) for a in arrays)
    if len(shapes) > 1:
        raise ValueError(
            f"stack: the arrays must have equal shapes, but they have "
            f"{' and '.join(map(str, shapes))}; to join along an existing axis, use "
            "concatenate()"
        )
    shape = expand_dims(arrays[0], axis).shape
    return concatenate([reshape(a, shape) for a in arrays], axis)


@composite()
def vstack(*arrays: Any) -> Any:
    """Join along the first axis; vectors become rows."""
    return concatenate([atleast_2d(a) for a in arrays], 0)


@composite()
def hstack(*arrays: Any) -> Any:
    """Join along the second axis; join vectors end to end."""
    whole = [atleast_1d(a) for a in arrays]
    return concatenate(whole, 0 if whole[0].ndim == 1 else 1)


@composite()
def dstack(*arrays: Any) -> Any:
    """Join along the third axis."""
    return concatenate([atleast_3d(a) for a in arrays], 2)


@composite()
def column_stack(*arrays: Any) -> Any:
    """Join matrices along the second axis; vectors become columns."""
    columns = [reshape(a, (-1, 1)) if np.ndim(a) < 2 else a for a in arrays]
    return concatenate(columns, 1)


def stacked(whole: Any) -> Any:
    """Stack nested lists of Tensors and numbers; return anything else unchanged."""
    if isinstance(whole, list | tuple):
        parts = [stacked(part) for part in whole]
        if any(isinstance(part, Node | np.ndarray) for part in parts):
            return stack(parts)
    return whole


@composite()
def append(x: Any, values: Any, *, axis: int | None = None) -> Any:
    """Join two arrays along an axis; without one, flatten them first."""
    x, values = stacked(x), stacked(values)
    if axis is None:
        return concatenate([reshape(x, -1), reshape(values, -1)])
    return concatenate([x, values], axis)


@composite()
def array_split(x: Any, *, indices_or_sections: Operand, axis: int = 0) -> list[Any]:
    """Split along an axis: at indices, or into a number of nearly equal parts."""
    return _split(np.array_split, x, indices_or_sections, axis)


@composite()
def split(x: Any, *, indices_or_sections: Operand, axis: int = 0) -> list[Any]:
    """Split along an axis: at indices, or into a number of equal parts."""
    return _split(np.split, x, indices_or_sections, axis)


@composite()
def vsplit(x: Any, *, indices_or_sections: Operand) -> list[Any]:
    """Split along the first axis of an array of 2 or more dimensions."""
    return _split(np.split, _with_axes(x, 2, "vsplit"), indices_or_sections, 0)


@composite()
def hsplit(x: Any, *, indices_or_sections: Operand) -> list[Any]:
    """Split along the second axis; split a vector along its only axis."""
    x = _with_axes(x, 1, "hsplit")
    return _split(np.split, x, indices_or_sections, 0 if x.ndim == 1 else 1)


@composite()
def dsplit(x: Any, *, indices_or_sections: Operand) -> list[Any]:
    """Split along the third axis."""
    return _split(np.split, _with_axes(x, 3, "dsplit"), indices_or_sections, 2)


def _split(function: Callable[..., Any], x: Any, at: Any, axis: int) -> list[Any]:
    """Split x along an axis where a NumPy function splits the numbers 0, 1, 2, ..."""
    x = as_array(x)
    axis = normalize_axis_index(axis, x.ndim)
    parts = function(np.arange(x.shape[axis]), at)
    ends = [(part[0], part[-1] + 1) if part.size else (0, 0) for part in parts]
    return [getitem(x, axis_index(axis, *map(int, end))) for end in ends]


def _with_axes(x: Any, least: int, name: str) -> Any:
    x = as_array(x)
    if x.ndim < least:
        raise ValueError(
            f"{name}: it splits arrays of {least} dimensions or more, but this has "
            f"shape {x.shape}; use split() with axis="
        )
    return x
