"""Functions of one or two numbers: powers, exponentials, logarithms, the sigmoid."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import query
from tinygrad_edu.engine.op import Domain, as_array, composite, op
from tinygrad_edu.ops.arithmetic import sign
from tinygrad_edu.ops.choices import where
from tinygrad_edu.support.kinds import Operand

POSITIVE = Domain(low=0.0)
LOG_2, LOG_10 = math.log(2), math.log(10)


def _power_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    """Return g b a^(b-1)."""
    exponent = b - 1.0
    if type(exponent) not in (int, float) or exponent < 0:
        # Replace `a` by infinity, so that the power is 0, in two cases: at a = 0 (the
        # subgradient below), and at b = 0 if 1/a overflows, since 0 * inf is NaN.
        tiny = np.finfo(a.dtype).tiny
        overflows = (-tiny < a) & (a < tiny) & (b == 0)
        a = where((exponent < 0) & ((a == 0) | overflows), np.inf, a)
    return g * b * a**exponent


def _power_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    """Return g y log(a): 0 at a = 0, NaN for a negative base."""
    return g * where(a == 0, 0, y) * log(where(a == 0, 1, where(a < 0, np.nan, a)))


power = op(
    np.power,
    tex="{a}^{{{b}}}",
    domain={"a": POSITIVE},
    subgradient="at a = 0: for a, 0 if b < 1 (where the slope is infinite or does not "
    "exist); for b, 0",
    doc="`a` to the power of `b`. For a negative base, the gradient for `b` is NaN.",
).vjp(a=_power_a, b=_power_b)

square = op(np.square, tex="{x}^2", doc="The square.").vjp(
    x=lambda g, y, x: g * (2 * x)
)

sqrt = op(
    np.sqrt,
    tex=r"\sqrt{{{x}}}",
    domain=POSITIVE,
    subgradient="0 at x = 0, so that norms have gradient 0 there, not NaN",
    doc="The square root.",
).vjp(x=lambda g, y, x: g / where(y == 0, np.inf, 2 * y))

cbrt = op(
    np.cbrt,
    tex=r"\sqrt[3]{{{x}}}",
    kink=lambda x: x,
    subgradient="0 at x = 0 (where the slope is infinite), as for the square root",
    doc="The cube root; it is negative for a negative number.",
).vjp(x=lambda g, y, x: g / where(y == 0, np.inf, 3 * y * y))

exp = op(np.exp, tex="e^{{{x}}}", doc="The exponential.").vjp(x=lambda g, y, x: g * y)

exp2 = op(np.exp2, tex="2^{{{x}}}", doc="2 to the power of `x`.").vjp(
    x=lambda g, y, x: g * y * LOG_2
)

expm1 = op(np.expm1, tex="e^{{{x}}} - 1", doc="exp(x) - 1, exact for small `x`.").vjp(
    x=lambda g, y, x: g * (y + 1)
)


@composite(tex=r"{x} \cdot 2^{{{exponent}}}")
def ldexp(x: Any, *, exponent: Operand) -> Any:
    """`x` times a power of 2; the exponent is an integer, and a constant."""
    x = as_array(x)
    one = np.ldexp(x.dtype.type(1), 0)
    # In two steps, since the power alone may overflow where the result does not.
    half = query(np.floor_divide, exponent, 2)
    rest = query(np.subtract, exponent, half)
    return x * query(np.ldexp, one, half) * query(np.ldexp, one, rest)


log = op(np.log, tex=r"\log {x}", domain=POSITIVE, doc="The natural logarithm.").vjp(
    x=lambda g, y, x: g / x
)

log2 = op(
    np.log2, tex=r"\log_2 {x}", domain=POSITIVE, doc="The logarithm to the base 2."
).vjp(x=lambda g, y, x: g / LOG_2 / x)

log10 = op(
    np.log10,
    tex=r"\log_{{10}} {x}",
    domain=POSITIVE,
    doc="The logarithm to the base 10.",
).vjp(x=lambda g, y, x: g / LOG_10 / x)

log1p = op(
    np.log1p,
    tex=r"\log(1 + {x})",
    domain=Domain(low=-1.0),
    doc="log(1 + x), exact for small `x`.",
).vjp(x=lambda g, y, x: g / (1 + x))


def _difference(a: Any, b: Any) -> Any:
    """Return a - b, but 0 where both are the same infinity."""
    same = (a == b) & np.isinf(a)
    return where(same, 0, a) - where(same, 0, b)


logaddexp = op(
    np.logaddexp,
    tex=r"\log(e^{{{a}}} + e^{{{b}}})",
    subgradient="half to each where both are the same infinity",
    doc="log(exp(a) + exp(b)), without overflow.",
).vjp(
    a=lambda g, y, a, b: g * sigmoid(_difference(a, b)),
    b=lambda g, y, a, b: g * sigmoid(_difference(b, a)),
)

logaddexp2 = op(
    np.logaddexp2,
    tex=r"\log_2(2^{{{a}}} + 2^{{{b}}})",
    subgradient="half to each where both are the same infinity",
    doc="log2(2^a + 2^b), without overflow.",
).vjp(
    a=lambda g, y, a, b: g * sigmoid(LOG_2 * _difference(a, b)),
    b=lambda g, y, a, b: g * sigmoid(LOG_2 * _difference(b, a)),
)


@op(
    tex=r"\sigma({x})",
    signature="()->()",
    textbook=lambda x: 1 / (1 + np.exp(-as_float(x))),
)
def sigmoid(x: Any) -> Any:
    """The logistic function, 1/(1 + e^-x).

    It is accurate to a few units in the last place for all `x`, and never overflows:
    with e = exp(-abs(x)) it is 1/(1 + e) for positive `x`, e/(1 + e) for negative `x`.
    """
    x = as_float(x)
    e = np.exp(-np.abs(x))
    return np.maximum(np.sign(x), e) / (1 + e)


sigmoid.vjp(x=lambda g, y, x: g * (y * (1 - y)))


@op(tex=r"\log(1 + e^{{{x}}})", signature="()->()")
def softplus(x: Any) -> Any:
    """log(1 + e^x), a smooth `relu`; accurate in both tails, without overflow."""
    x = as_float(x)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


softplus.vjp(x=lambda g, y, x: g * sigmoid(x))


@op(
    tex=r"\max({x}, 0)",
    signature="()->()",
    kink=lambda x: x,
    subgradient="0 at x = 0",
    selects=True,
)
def relu(x: Any) -> Any:
    """The positive part: max(x, 0). NaN stays NaN, also in the gradient."""
    return np.maximum(x, 0)


relu.vjp(x=lambda g, y, x: g * sign(y))


def as_float(x: Any) -> Any:
    """Convert integers to floats, since -x of an unsigned integer would be large."""
    x = as_array(x)
    return x if x.dtype.kind in "fc" else x.astype(float)


def as_floats(a: Any, b: Any) -> tuple[Any, Any]:
    a, b = (x if isinstance(x, int | float) else as_array(x) for x in (a, b))
    dtype = np.result_type(a, b, np.float16)
    return as_array(a).astype(dtype, copy=False), as_array(b).astype(dtype, copy=False)


@op(
    tex=r"{a} \log {b}",
    signature="(),()->()",
    domain={"b": POSITIVE},
    subgradient="0 at a = b = 0",
)
def xlogy(a: Any, b: Any) -> Any:
    """a log(b), but 0 where a = 0, even at b = 0, as cross-entropy needs it."""
    a, b = as_floats(a, b)
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
    """a log(1 + b), but 0 where a = 0, even at b = -1; exact for small `b`."""
    a, b = as_floats(a, b)
    zero = (a == 0) & ~np.isnan(b)
    return np.where(zero, 0, a * np.log1p(np.where(zero, 0, b)))


xlog1py.vjp(
    a=lambda g, y, a, b: g * log1p(where((a == 0) & (b == -1), 0, b)),
    b=lambda g, y, a, b: g * a / (1 + where((a == 0) & (b == -1), 0, b)),
)


@op(tex=r"\log(1 + e^{{{z}}}) - {t} {z}", signature="(),()->()")
def sigmoid_cross_entropy(z: Any, t: Any) -> Any:
    """-t log(a) - (1-t) log(1-a) for a = sigmoid(z), accurate in both tails of `z`."""
    z, t = as_floats(z, t)
    return np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))


sigmoid_cross_entropy.vjp(
    z=lambda g, y, z, t: g * (sigmoid(z) - t), t=lambda g, y, z, t: -g * z
)
