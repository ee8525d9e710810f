"""The table of operations: how each is computed and how its gradient is passed back.

A rule is called with `g`, the cotangent of the answer, `y`, the answer, and the inputs;
it gives the cotangent of one input. Rules are written in ops and operators: run on
arrays they give numbers, run on Tensors they are recorded. They need not undo
broadcasting: the traversal does.

The names are NumPy's, so `sum`, `max`, `min` and `abs` here are not Python's.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.graph import Node
from tinygrad_edu.op import BUILT_IN, OPS, Domain, composite, op

POSITIVE = Domain(low=0.0)
NONZERO = Domain(excluding=(0.0,))

# --- Arithmetic -----------------------------------------------------------------------

add = op(
    np.add,
    tex="{a} + {b}",
    signature="(),()->()",
    doc="Add.",
).vjp(
    a=lambda g, y, a, b: g,
    b=lambda g, y, a, b: g,
)

subtract = op(
    np.subtract,
    tex="{a} - {b}",
    signature="(),()->()",
    doc="Subtract `b` from `a`.",
).vjp(
    a=lambda g, y, a, b: g,
    b=lambda g, y, a, b: -g,
)

multiply = op(
    np.multiply,
    tex=r"{a} \odot {b}",
    signature="(),()->()",
    doc="Multiply, element by element.",
).vjp(
    a=lambda g, y, a, b: g * b,
    b=lambda g, y, a, b: g * a,
)

divide = op(
    np.divide,
    tex=r"\frac{{{a}}}{{{b}}}",
    signature="(),()->()",
    domain={"b": NONZERO},
    doc="Divide `a` by `b`.",
).vjp(
    a=lambda g, y, a, b: g / b,
    b=lambda g, y, a, b: -g * y / b,
)

negative = op(
    np.negative,
    tex="-{x}",
    signature="()->()",
    doc="Change the sign.",
).vjp(x=lambda g, y, x: -g)

positive = op(
    np.positive,
    tex="+{x}",
    signature="()->()",
    doc="A copy of the same value.",
).vjp(x=lambda g, y, x: g)


def _power_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    """The formula is b a^(b-1)."""
    exponent = b - 1.0
    if np.any(exponent < 0):  # inf to a negative power is 0, by the convention below
        a = where((a == 0) & (exponent < 0), np.inf, a)
    return g * b * a**exponent


def _power_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    """The formula is y log a; at a = 0 it is 0, for a negative base there is none."""
    return g * y * log(where(a == 0, 1, where(a < 0, np.nan, a)))


power = op(
    np.power,
    tex="{a}^{{{b}}}",
    signature="(),()->()",
    domain={"a": POSITIVE},
    subgradient="at a = 0: for a, 0 if b < 1 (its slope there is infinite or none); "
    "for b, 0",
    doc="`a` to the power of `b`. For a negative base, the gradient for `b` is NaN.",
).vjp(a=_power_a, b=_power_b)

square = op(
    np.square,
    tex="{x}^2",
    signature="()->()",
    doc="The square.",
).vjp(x=lambda g, y, x: g * (2 * x))

sqrt = op(
    np.sqrt,
    tex=r"\sqrt{{{x}}}",
    signature="()->()",
    domain=POSITIVE,
    subgradient="0 at x = 0, so that norms have the gradient 0 there and not NaN",
    doc="The square root.",
).vjp(x=lambda g, y, x: g / where(y == 0, np.inf, 2 * y))

abs = op(
    np.absolute,
    name="abs",
    tex=r"\left|{x}\right|",
    signature="()->()",
    kink=lambda x: x,
    subgradient="0 at x = 0",
    doc="The absolute value.",
).vjp(x=lambda g, y, x: g * sign(x))

sign = op(
    np.sign,
    tex=r"\operatorname{{sign}} {x}",
    signature="()->()",
    kink=lambda x: x,
    subgradient="0 everywhere",
    doc="-1, 0 or 1.",
).vjp(x=lambda g, y, x: 0 * g)

# --- Exponentials and what is made of them --------------------------------------------

exp = op(
    np.exp,
    tex="e^{{{x}}}",
    signature="()->()",
    doc="The exponential.",
).vjp(x=lambda g, y, x: g * y)

expm1 = op(
    np.expm1,
    tex="e^{{{x}}} - 1",
    signature="()->()",
    doc="exp(x) - 1, exact for small `x`.",
).vjp(x=lambda g, y, x: g * (y + 1))

log = op(
    np.log,
    tex=r"\log {x}",
    signature="()->()",
    domain=POSITIVE,
    doc="The natural logarithm.",
).vjp(x=lambda g, y, x: g / x)

log1p = op(
    np.log1p,
    tex=r"\log(1 + {x})",
    signature="()->()",
    domain=Domain(low=-1.0),
    doc="log(1 + x), exact for small `x`.",
).vjp(x=lambda g, y, x: g / (1 + x))

sin = op(
    np.sin,
    tex=r"\sin {x}",
    signature="()->()",
    doc="The sine.",
).vjp(x=lambda g, y, x: g * cos(x))

cos = op(
    np.cos,
    tex=r"\cos {x}",
    signature="()->()",
    doc="The cosine.",
).vjp(x=lambda g, y, x: -g * sin(x))

tanh = op(
    np.tanh,
    tex=r"\tanh {x}",
    signature="()->()",
    doc="The hyperbolic tangent.",
).vjp(x=lambda g, y, x: g * (1 - y * y))


@op(tex=r"\sigma({x})", signature="()->()")
def sigmoid(x: Any) -> Any:
    """The logistic function, 1/(1 + e^-x).

    Accurate to a few units in the last place for all `x`, without overflow: with
    e = exp(-abs(x)) it is 1/(1 + e) for positive `x` and e/(1 + e) for negative `x`.
    """
    x = _float(x)
    e = np.exp(-np.abs(x))
    return np.maximum(np.sign(x), e) / (1 + e)


sigmoid.vjp(x=lambda g, y, x: g * (y * (1 - y)))


@op(tex=r"\log(1 + e^{{{x}}})", signature="()->()")
def softplus(x: Any) -> Any:
    """log(1 + e^x), a smooth `relu`; accurate in both tails, without overflow."""
    x = _float(x)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


softplus.vjp(x=lambda g, y, x: g * sigmoid(x))


def _float(x: Any) -> Any:
    """Convert integers: the negative of an unsigned one would be a large one."""
    x = np.asarray(x)
    return x if x.dtype.kind in "fc" else x.astype(float)


def _floats(a: Any, b: Any) -> tuple[Any, Any]:
    a, b = (x if isinstance(x, int | float) else np.asarray(x) for x in (a, b))
    dtype = np.result_type(a, b, np.float16)
    return np.asarray(a, dtype), np.asarray(b, dtype)


@op(
    tex=r"{a} \log {b}",
    signature="(),()->()",
    domain={"b": POSITIVE},
    subgradient="0 at a = b = 0",
)
def xlogy(a: Any, b: Any) -> Any:
    """a log(b), and 0 where a = 0, also at b = 0: as cross-entropy wants it."""
    a, b = _floats(a, b)
    zero = (a == 0) & ~np.isnan(b)
    return np.where(zero, 0, a * np.log(np.where(zero, 1, b)))


xlogy.vjp(
    a=lambda g, y, a, b: g * log(where((a == 0) & (b == 0), 1, b)),
    b=lambda g, y, a, b: g * a / where((a == 0) & (b == 0), 1, b),
)


@op(
    tex=r"{a} \log(1 + {b})",
    signature="(),()->()",
    domain={"b": Domain(low=-1.0)},
    subgradient="0 at a = 0, b = -1",
)
def xlog1py(a: Any, b: Any) -> Any:
    """a log(1 + b), and 0 where a = 0, also at b = -1; exact for small `b`."""
    a, b = _floats(a, b)
    zero = (a == 0) & ~np.isnan(b)
    return np.where(zero, 0, a * np.log1p(np.where(zero, 0, b)))


xlog1py.vjp(
    a=lambda g, y, a, b: g * log1p(where((a == 0) & (b == -1), 0, b)),
    b=lambda g, y, a, b: g * a / (1 + where((a == 0) & (b == -1), 0, b)),
)


@op(tex=r"\log(1 + e^{{{z}}}) - {t} {z}", signature="(),()->()")
def sigmoid_cross_entropy(z: Any, t: Any) -> Any:
    """-t log(a) - (1-t) log(1-a) for a = sigmoid(z), accurate in both tails of `z`."""
    z, t = _floats(z, t)
    return np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))


sigmoid_cross_entropy.vjp(
    z=lambda g, y, z, t: g * (sigmoid(z) - t),
    t=lambda g, y, z, t: -g * z,
)

# --- Choices --------------------------------------------------------------------------


@op(
    tex=r"\max({x}, 0)",
    signature="()->()",
    kink=lambda x: x,
    subgradient="0 at x = 0",
    selects=True,
)
def relu(x: Any) -> Any:
    """The positive part; NaN stays NaN, in the gradient as well."""
    return np.maximum(x, 0)


relu.vjp(x=lambda g, y, x: g * sign(y))


def _won(g: Any, a: Any, b: Any) -> Any:
    """Give g where a > b, half of it where a = b; and g if one of them is NaN."""
    return where(a < b, 0, where(a == b, g / 2, g))


maximum = op(
    np.maximum,
    tex=r"\max({a}, {b})",
    signature="(),()->()",
    kink=lambda a, b: a - b,
    subgradient="half to each where a = b",
    selects=True,
    doc="The larger of two, element by element.",
).vjp(
    a=lambda g, y, a, b: _won(g, a, b),
    b=lambda g, y, a, b: _won(g, b, a),
)

minimum = op(
    np.minimum,
    tex=r"\min({a}, {b})",
    signature="(),()->()",
    kink=lambda a, b: a - b,
    subgradient="half to each where a = b",
    selects=True,
    doc="The smaller of two, element by element.",
).vjp(
    a=lambda g, y, a, b: _won(g, b, a),
    b=lambda g, y, a, b: _won(g, a, b),
)


@op(
    tex=r"{a} \text{{ where }} {condition} \text{{, else }} {b}",
    signature="(),(),()->()",
    selects=True,
)
def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`.

    Nothing of the branch that was not taken reaches a gradient, NaN included.
    """
    return np.where(condition, a, b)


where.vjp(
    condition=lambda g, y, condition, a, b: 0 * g,
    a=lambda g, y, condition, a, b: where(condition, g, 0),
    b=lambda g, y, condition, a, b: where(condition, 0, g),
)


def _to_bounds(x: Any, min: Any, max: Any) -> Any:
    """How far x is from the nearest bound."""
    distances = [np.abs(x - bound) for bound in (min, max) if bound is not None]
    return reduce(np.minimum, distances, np.inf)


@composite(
    tex=r"\operatorname{{clip}}({x})",
    kink=_to_bounds,
    subgradient="1/2 at a bound: as the maximum and minimum that it is made of",
)
def clip(x: Any, *, min: Any = None, max: Any = None) -> Any:
    """Limit the values to an interval; a bound may be None, a number or an array."""
    if min is not None:
        x = maximum(x, min)
    if max is not None:
        x = minimum(x, max)
    return x


# --- Shapes ---------------------------------------------------------------------------


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


def _axis_index(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop),)


@op()
def concatenate(*arrays: Any, axis: int = 0) -> Any:
    """Join a list of arrays along an axis that they have."""
    return np.concatenate(arrays, axis=axis)


def _concatenate_arrays(g: Any, y: Any, *arrays: Any, axis: int, position: int) -> Any:
    axis %= y.ndim
    before = 0
    for a in arrays[:position]:
        before += a.shape[axis]
    return getitem(g, _axis_index(axis, before, before + arrays[position].shape[axis]))


concatenate.vjp(arrays=_concatenate_arrays)


@composite()
def stack(*arrays: Any, axis: int = 0) -> Any:
    """Join arrays of one shape along a new axis."""
    return concatenate([expand_dims(a, axis) for a in arrays], axis)


@op(selects=True)
def getitem(x: Any, *, index: Any) -> Any:
    """``x[index]``, with any index that NumPy takes."""
    return np.asarray(x)[index]


getitem.vjp(x=lambda g, y, x, index: add_at(g, index, x.shape))


@op()
def add_at(x: Any, *, index: Any, shape: Any) -> Any:
    """Zeros of a shape, with `x` added at an index; where it repeats, values add up."""
    answer = np.zeros(shape, np.asarray(x).dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(isinstance(part, int | slice) for part in parts):
        answer[index] = x  # nothing repeats, and this is faster
    else:
        np.add.at(answer, index, x)
    return answer


add_at.vjp(x=lambda g, y, x, index, shape: getitem(g, index))

# --- Reductions -----------------------------------------------------------------------


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
    x = _float(x)
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


def _count(x: Any, axis: Any) -> int:
    """How many elements of x go into each element of a reduction."""
    return math.prod(np.shape(x)[i] for i in _axes(axis, np.ndim(x)))


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
    x = x if isinstance(x, Node) else np.asarray(x)
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


@op(tex=r"\log \operatorname{{softmax}} {x}")
def log_softmax(x: Any, *, axis: Any = -1) -> Any:
    """The logarithm of `softmax`, accurate for large numbers and where it is near 0."""
    x = _float(x)
    x = x - np.max(x, axis=axis, keepdims=True)
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))


log_softmax.vjp(x=lambda g, y, x, axis: g - exp(y) * sum(g, axis=axis, keepdims=True))


@composite(tex=r"\operatorname{{softmax}} {x}")
def softmax(x: Any, *, axis: Any = -1) -> Any:
    """exp(x) over its sum along an axis."""
    return exp(log_softmax(x, axis=axis))


# --- Products of matrices -------------------------------------------------------------


def _matrix_transpose(a: Any) -> Any:
    """Transpose matrices: exchange the last two axes."""
    if a.ndim == 2:
        return a.T
    return transpose(a, (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))


def _dot_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if np.ndim(b) == 2 and np.ndim(a):
        return g.dot(b.T)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return g * b
    summed = _summed_axis(b)
    others = [i for i in range(b.ndim) if i != summed]
    return tensordot(g, b, (list(range(a.ndim - 1, g.ndim)), others))


def _dot_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if np.ndim(a) == 2 and 0 < np.ndim(b) <= 2:
        return dot(a.T, g)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return g * a
    rows = list(range(a.ndim - 1))
    product = tensordot(a, g, (rows, rows))  # the axis that was summed comes first
    summed = _summed_axis(b)
    return transpose(product, (*range(1, summed + 1), 0, *range(summed + 1, b.ndim)))


def _summed_axis(b: Any) -> int:
    return b.ndim - 2 if b.ndim > 1 else 0


@op(tex=r"{a} {b}", signature="(m?,k),(k,n?)->(m?,n?)")
def dot(a: Any, b: Any) -> Any:
    """The product of matrices or vectors.

    It sums over the last axis of `a` and the last but one of `b`, as NumPy's.
    """
    return np.dot(a, b)


dot.vjp(a=_dot_a, b=_dot_b)


def _matmul_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return g[..., None] * b
    if a.ndim == 1:
        return matmul(b, g[..., None])[..., 0]
    return g @ _matrix_transpose(b)


def _matmul_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1 and b.ndim == 1:
        return g * a
    if a.ndim == 1:
        return a[:, None] * g[..., None, :]
    if b.ndim == 1:
        return matmul(_matrix_transpose(a), g[..., None])[..., 0]
    return _matrix_transpose(a) @ g


matmul = op(
    np.matmul,
    tex=r"{a} {b}",
    signature="(m?,k),(k,n?)->(m?,n?)",
    doc="The product of matrices, or of stacks of them: ``a @ b``.",
).vjp(a=_matmul_a, b=_matmul_b)


@composite()
def tensordot(a: Any, b: Any, *, axes: Any = 2) -> Any:
    """Sum over pairs of axes: lay both flat as matrices and multiply them."""
    if isinstance(axes, int):
        axes = (range(np.ndim(a) - axes, np.ndim(a)), range(axes))
    a_summed = normalize_axis_tuple(axes[0], np.ndim(a))
    b_summed = normalize_axis_tuple(axes[1], np.ndim(b))
    a_kept = [i for i in range(np.ndim(a)) if i not in a_summed]
    b_kept = [i for i in range(np.ndim(b)) if i not in b_summed]
    summed = [np.shape(a)[i] for i in a_summed]
    if summed != [np.shape(b)[i] for i in b_summed]:
        raise ValueError(
            f"tensordot: shapes {np.shape(a)} and {np.shape(b)} do not align: the "
            f"sizes of the axes {a_summed} and {b_summed} must be equal"
        )
    k = math.prod(summed)
    rows = [np.shape(a)[i] for i in a_kept]
    columns = [np.shape(b)[i] for i in b_kept]
    left = reshape(transpose(a, (*a_kept, *a_summed)), (math.prod(rows), k))
    right = reshape(transpose(b, (*b_summed, *b_kept)), (k, math.prod(columns)))
    return reshape(dot(left, right), (*rows, *columns))


def _rows(x: Any) -> Any:
    """Lay all axes but the last flat."""
    *sizes, n = x.shape
    return x if len(sizes) == 1 else reshape(x, (math.prod(sizes), n))


@op(tex=r"{x} {w}^T + {b}", signature="(m?,k),(n,k),(n)->(m?,n)")
def linear(x: Any, w: Any, b: Any) -> Any:
    """One layer's z = x w^T + b: `x` has an example a row, `w` the shape (out, in).

    One op and not three, since it is faster: the gradient of `w` comes out in `w`'s own
    memory order.
    """
    return np.asarray(x).dot(np.asarray(w).T) + b


linear.vjp(
    x=lambda g, y, x, w, b: g.dot(w),
    w=lambda g, y, x, w, b: _rows(g).T.dot(_rows(x)),
    b=lambda g, y, x, w, b: g,
)

BUILT_IN.update(OPS)
