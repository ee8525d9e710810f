"""Reduce many numbers to one, along one or more axes: sums, means, the largest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.graph import query
from tinygrad_edu.engine.op import Op, as_array, composite, op
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.contractions import einsum
from tinygrad_edu.ops.functions import as_float, exp, sqrt, square
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.shapes import astype, broadcast_to, in_stack, reshape, transpose
from tinygrad_edu.support.kinds import Axes, Operand

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

# NumPy's types want a literal True or False as keepdims.
_numpy: Any = np


def _axes(axis: Any, ndim: int) -> Any:
    """Return the axes of a reduction as non-negative numbers."""
    if axis is None or ndim == 0:
        return range(ndim)
    return normalize_axis_tuple(axis, ndim)


def _kept_shape(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """Return the shape after a reduction with keepdims=True."""
    axes = _axes(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _kept(r: Any, x: Any, axis: Any) -> Any:
    """Add the lost axes to r, a reduction of x, so that it broadcasts against x."""
    return r if r.ndim == x.ndim else reshape(r, shape=_kept_shape(x.shape, axis))


def _of_each(reduce: Op) -> Any:
    """Return the rule for stacks: reduce the same axes of each array."""

    def rule(stacked: Any, x: Any, axis: Any, **params: Any) -> Any:
        return reduce(x, axis=in_stack(axis, x.ndim - 1), **params)

    return rule


def _count(x: Any, axis: Any) -> int:
    """Return how many elements of x each element of a reduction combines."""
    return math.prod(np.shape(x)[i] for i in _axes(axis, np.ndim(x)))


@op(tex=r"\sum_{{{axis}}} {x}")
def sum(
    x: Any, *, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False
) -> Any:
    """The sum over one axis, several, or all."""
    return _numpy.add.reduce(x, axis=axis, dtype=dtype, keepdims=keepdims)


sum.vjp(
    x=lambda g, y, x, axis, dtype, keepdims: broadcast_to(
        g if axis is None else _kept(g, x, axis), shape=x.shape
    )
).vmap(_of_each(sum))


@op(tex=r"\lVert {x} \rVert^2")
def squared_norm(x: Any) -> Any:
    """The sum of the squares of all elements.

    This is one op instead of two because it is faster: it needs no array of squares.
    """
    return np.vdot(x, x)


squared_norm.vjp(x=lambda g, y, x: 2 * g * x)


def _squared_norm_stack(stacked: Any, x: Any) -> Any:
    rows = reshape(x, shape=(len(x), -1))
    return einsum("zi,zi->z", rows, rows)


squared_norm.vmap(_squared_norm_stack)


def _gaps(x: Any, axis: Any) -> Any:
    """Return the gaps between sorted elements, for each group that is reduced."""
    axes = _axes(axis, x.ndim)
    kept = [i for i in range(x.ndim) if i not in axes]
    shape = [x.shape[i] for i in kept]
    rows = np.transpose(x, (*kept, *axes)).reshape(*shape, _count(x, axis))
    return np.diff(np.sort(rows))


def _share_of_best(g: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    best = (x == _kept(y, x, axis)) | (x != x)  # a NaN among x is the result
    ties = np.sum(best, axis=axis, keepdims=True, dtype=g.dtype)
    return where(best, _kept(g, x, axis) / ties, 0)


@op(
    tex=r"\max_{{{axis}}} {x}",
    kink=lambda x, axis, keepdims: _gaps(x, axis)[..., -1:],
    subgradient="shared evenly among ties",
    selects=True,
)
def max(x: Any, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """The largest element."""
    return _numpy.maximum.reduce(x, axis=axis, keepdims=keepdims)


max.vjp(x=_share_of_best).vmap(_of_each(max))


@op(
    tex=r"\min_{{{axis}}} {x}",
    kink=lambda x, axis, keepdims: _gaps(x, axis)[..., :1],
    subgradient="shared evenly among ties",
    selects=True,
)
def min(x: Any, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """The smallest element."""
    return _numpy.minimum.reduce(x, axis=axis, keepdims=keepdims)


min.vjp(x=_share_of_best).vmap(_of_each(min))


@op(tex=r"\log \sum e^{{{x}}}")
def logsumexp(x: Any, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))), without overflow: subtract the largest element first."""
    x = as_float(x)
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore", over="ignore"):  # if all are -inf, or one is inf
        total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis)


logsumexp.vjp(
    x=lambda g, y, x, axis, keepdims: (
        _kept(g, x, axis) * exp(x - _kept(where(y == -np.inf, 0, y), x, axis))
    )
).vmap(_of_each(logsumexp))


@op(tex=r"\log \operatorname{{softmax}} {x}")
def log_softmax(x: Any, *, axis: Axes = -1) -> Any:
    """The logarithm of `softmax`; accurate for large `x` and for softmax near 0."""
    x = as_float(x)
    x = x - np.max(x, axis=axis, keepdims=True)
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))


log_softmax.vjp(
    x=lambda g, y, x, axis: (
        # With all parameters written out, the call is faster.
        g - exp(y) * sum(g, axis=axis, dtype=None, keepdims=True)
    )
).vmap(_of_each(log_softmax))


@composite(tex=r"\operatorname{{softmax}} {x}")
def softmax(x: Any, *, axis: Axes = -1) -> Any:
    """exp(x) divided by its sum along an axis."""
    return exp(log_softmax(x, axis=axis))


@composite(tex=r"\operatorname{{mean}} {x}")
def mean(
    x: Any, *, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False
) -> Any:
    """The arithmetic mean; for integers, computed in float64."""
    x = as_array(x)
    if dtype is None and x.dtype == np.float16:  # the sum might overflow
        return astype(mean(x, axis, np.float32, keepdims), x.dtype)
    if dtype is None and x.dtype.kind in "iub":
        dtype = np.float64
    return sum(x, axis=axis, dtype=dtype, keepdims=keepdims) / _count(x, axis)


@composite(tex=r"\operatorname{{average}} {x}")
def average(
    x: Any, *, axis: Axes = None, weights: Operand | None = None, keepdims: bool = False
) -> Any:
    """The weighted mean: sum(w x) / sum(w).

    `weights` has the shape of `x`, or the shape of the axes to average over. A Tensor
    of weights gets a gradient too.
    """
    x = as_array(x)
    axes = None if axis is None else tuple(_axes(axis, x.ndim))
    if weights is None:
        return mean(x, axes, keepdims=keepdims)
    w = as_array(weights)
    kind = np.float64 if x.dtype.kind in "iub" else x.dtype
    w = astype(w, np.result_type(kind, w.dtype))
    if w.shape != x.shape:
        w = _along(w, x, axis)
    total = sum(w, axis=axes, keepdims=keepdims)
    query(check_weights, total)
    return sum(x * w, axis=axes, keepdims=keepdims) / total


def check_weights(total: Any) -> None:
    """Raise if the weights of an average add up to 0."""
    if np.any(total == 0):
        raise ValueError(
            "average: the weights add up to 0, so the average is not defined; "
            "sum(x * weights) does not divide"
        )


def _along(w: Any, x: Any, axis: Any) -> Any:
    """Reshape weights so that they broadcast along the averaged axes of x."""
    axes = () if axis is None else normalize_axis_tuple(axis, x.ndim)
    if axis is None or w.shape != tuple(x.shape[i] for i in axes):
        raise ValueError(
            f"average: the weights have shape {w.shape}; they must have the shape of "
            f"x, {x.shape}, or the shape of the axes in axis={axis}"
        )
    shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
    return reshape(transpose(w, tuple(np.argsort(axes))), shape)


@composite(tex=r"\operatorname{{var}} {x}")
def var(
    x: Any,
    *,
    axis: Axes = None,
    dtype: DTypeLike | None = None,
    ddof: float = 0,
    keepdims: bool = False,
) -> Any:
    """The variance: the sum of squared deviations from the mean, over n - `ddof`."""
    x = as_array(x)
    deviations = square(x - mean(x, axis, dtype, keepdims=True))
    total = sum(deviations, axis=axis, dtype=dtype, keepdims=keepdims)
    n = _count(x, axis) - ddof
    return total / (n if n > 0 else 0)  # NaN or infinity and a warning, as in NumPy


@composite(
    tex=r"\operatorname{{std}} {x}",
    kink=lambda x, axis, dtype, ddof, keepdims: (
        np.std(x, axis=axis) if _count(x, axis) > 1 else 1.0
    ),
    subgradient="0 where all elements are equal",
)
def std(
    x: Any,
    *,
    axis: Axes = None,
    dtype: DTypeLike | None = None,
    ddof: float = 0,
    keepdims: bool = False,
) -> Any:
    """The standard deviation: the square root of `var`."""
    return sqrt(var(x, axis, dtype, ddof, keepdims))


@composite(
    tex=r"\max {x} - \min {x}",
    kink=lambda x, axis, keepdims: np.minimum(
        _gaps(x, axis)[..., :1], _gaps(x, axis)[..., -1:]
    ),
    subgradient="shared evenly among ties",
)
def ptp(x: Any, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """The range from the smallest element to the largest ("peak to peak")."""
    return max(x, axis, keepdims) - min(x, axis, keepdims)


@composite(tex=r"\prod {x}")
def prod(
    x: Any, *, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False
) -> Any:
    """The product, as a tree of products of two; right even if a factor is 0."""
    x = as_factors(x, dtype)
    n = _count(x, axis)
    if n == 0:
        return sum(x, axis=axis, keepdims=keepdims) + 1  # the empty product
    reduced = _axes(axis, x.ndim)
    others = [i for i in range(x.ndim) if i not in reduced]
    shape = tuple(x.shape[i] for i in others)
    factors = reshape(transpose(x, (*reduced, *others)), (n, *shape))
    while n > 1:
        half, odd = divmod(n, 2)
        pairs = factors[:half] * factors[half : 2 * half]
        factors = concatenate([pairs, factors[-1:]]) if odd else pairs
        n = half + odd
    return reshape(factors, _kept_shape(x.shape, axis) if keepdims else shape)


def as_factors(x: Any, dtype: Any) -> Any:
    """Convert x to the dtype of NumPy's products: short integers become int."""
    x = as_array(x)
    dtype = np.prod(np.empty(0, x.dtype), dtype=dtype).dtype
    return x if x.dtype == dtype else astype(x, dtype)
