"""Arrays joined to one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.op import composite, op
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.shapes import expand_dims


@op()
def concatenate(*arrays: Any, axis: int = 0) -> Any:
    """Join a list of arrays along an axis that they have."""
    return np.concatenate(arrays, axis=axis)


def _concatenate_arrays(g: Any, y: Any, *arrays: Any, axis: int, position: int) -> Any:
    axis %= y.ndim
    before = 0
    for a in arrays[:position]:
        before += a.shape[axis]
    return getitem(g, axis_index(axis, before, before + arrays[position].shape[axis]))


concatenate.vjp(arrays=_concatenate_arrays)


def axis_index(axis: int, *part: int | None) -> tuple[slice, ...]:
    """The index that is ``slice(*part)`` along an axis."""
    return (slice(None),) * axis + (slice(*part),)


@composite()
def stack(*arrays: Any, axis: int = 0) -> Any:
    """Join arrays of one shape along a new axis."""
    return concatenate([expand_dims(a, axis) for a in arrays], axis)
