"""Many numbers made one, along one axis or several: sums, means, the largest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.op import as_array, composite, op
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.functions import as_float, exp, square
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.shapes import broadcast_to, reshape, transpose


def _axes(axis: Any, ndim: int) -> Any:
    """The axes of a reduction, counted from the front."""
    if axis is None or ndim == 0:
        return range(ndim)
    return normalize_axis_tuple(axis, ndim)


def _kept_shape(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """The shape after a reduction with keepdims=True."""
    axes = _axes(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _kept(r: Any, x: Any, axis: Any) -> Any:
    """Give r, a reduction of x, the axes it lost, so that it broadcasts against x."""
    return r if r.ndim == x.ndim else reshape(r, shape=_kept_shape(x.shape, axis))


def _count(x: Any, axis: Any) -> int:
    """How many elements of x go into each element of a reduction."""
    return math.prod(np.shape(x)[i] for i in _axes(axis, np.ndim(x)))


@op(tex=r"\sum {x}")
def sum(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    """The sum over an axis, over several, or over all."""
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


sum.vjp(
    x=lambda g, y, x, axis, keepdims: broadcast_to(
        g if axis is None else _kept(g, x, axis), shape=x.shape
    )
)


@op(tex=r"\left\|{x}\right\|^2")
def squared_norm(x: Any) -> Any:
    """The sum of the squares of all elements.

    One op and not two, since it is faster: no array of squares is made.
    """
    return np.vdot(x, x)


squared_norm.vjp(x=lambda g, y, x: 2 * g * x)


def _gaps(x: Any, axis: Any) -> Any:
    """The differences between neighbours by size, among what is reduced to one."""
    axes = _axes(axis, x.ndim)
    kept = [i for i in range(x.ndim) if i not in axes]
    shape = [x.shape[i] for i in kept]
    rows = np.transpose(x, (*kept, *axes)).reshape(*shape, _count(x, axis))
    return np.diff(np.sort(rows))


def _share_of_best(g: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    best = (x == _kept(y, x, axis)) | (x != x)  # NaN is the answer if there is one
    ties = np.sum(best, axis=axis, keepdims=True, dtype=g.dtype)
    return where(best, _kept(g, x, axis) / ties, 0)


@op(
    tex=r"\max {x}",
    kink=lambda x, axis, keepdims: _gaps(x, axis)[..., -1:],
    subgradient="shared evenly among ties",
    selects=True,
)
def max(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    """The largest element."""
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)


max.vjp(x=_share_of_best)


@op(
    tex=r"\min {x}",
    kink=lambda x, axis, keepdims: _gaps(x, axis)[..., :1],
    subgradient="shared evenly among ties",
    selects=True,
)
def min(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    """The smallest element."""
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims)


min.vjp(x=_share_of_best)


@op(tex=r"\log \sum e^{{{x}}}")
def logsumexp(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    """log(sum(exp(x))), without overflow: the largest is taken out of the sum first."""
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
)


@op(tex=r"\log \operatorname{{softmax}} {x}")
def log_softmax(x: Any, *, axis: Any = -1) -> Any:
    """The logarithm of `softmax`, accurate for large numbers and where it is near 0."""
    x = as_float(x)
    x = x - np.max(x, axis=axis, keepdims=True)
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))


log_softmax.vjp(x=lambda g, y, x, axis: g - exp(y) * sum(g, axis=axis, keepdims=True))


@composite(tex=r"\operatorname{{softmax}} {x}")
def softmax(x: Any, *, axis: Any = -1) -> Any:
    """exp(x) over its sum along an axis."""
    return exp(log_softmax(x, axis=axis))


@composite(tex=r"\operatorname{{mean}} {x}")
def mean(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    """The arithmetic mean."""
    return sum(x, axis=axis, keepdims=keepdims) / _count(x, axis)


@composite(tex=r"\operatorname{{var}} {x}")
def var(x: Any, *, axis: Any = None, ddof: int = 0, keepdims: Any = False) -> Any:
    """The variance: squared deviations from the mean, over their number less `ddof`."""
    deviations = square(x - mean(x, axis, keepdims=True))
    return sum(deviations, axis=axis, keepdims=keepdims) / (_count(x, axis) - ddof)


@composite(tex=r"\prod {x}")
def prod(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    """The product: a tree of products of two, so right also where a factor is 0."""
    x = as_array(x)
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
