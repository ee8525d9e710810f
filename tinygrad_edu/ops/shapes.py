"""The same elements in another shape, and in another dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.op import composite, op


@op()
def reshape(x: Any, *, shape: Any) -> Any:
    """Give the same elements, in the same order, another shape."""
    return np.reshape(x, shape)


reshape.vjp(x=lambda g, y, x, shape: reshape(g, shape=x.shape))


@op(tex="{x}^T")
def transpose(x: Any, *, axes: Any = None) -> Any:
    """Permute the axes; reverse them if `axes` is None."""
    return np.transpose(x, axes)


transpose.vjp(
    x=lambda g, y, x, axes: transpose(
        g, axes=axes and tuple(np.argsort(normalize_axis_tuple(axes, x.ndim)))
    )
)


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
    return np.asarray(x).astype(dtype)


astype.vjp(x=lambda g, y, x, dtype: g)


@composite()
def expand_dims(x: Any, *, axis: Any) -> Any:
    """Insert axes of size 1 at the places `axis` of the answer."""
    ndim = np.ndim(x) + np.size(axis)
    axes = normalize_axis_tuple(axis, ndim)
    sizes = iter(np.shape(x))
    return reshape(x, tuple(1 if i in axes else next(sizes) for i in range(ndim)))


@composite()
def squeeze(x: Any, *, axis: Any = None) -> Any:
    """Remove axes of size 1: all of them, or those named."""
    return reshape(x, np.squeeze(np.empty(np.shape(x), bool), axis).shape)
