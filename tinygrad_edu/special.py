"""SciPy's special functions, with rules: the error function, gamma, beta, Bessel.

They have SciPy's names and arguments. ``scipy.special.erf(t)`` of a Tensor calls the op
of this module. Import it only for functions that are not ufuncs in SciPy, which SciPy
therefore does not pass on: `logsumexp`, `softmax`, `log_softmax`, `polygamma` and
`multigammaln`.

These ops are not in ``tg.OPS``, and not methods of Tensors. Importing this module loads
SciPy.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import query, value_of
from tinygrad_edu.engine.op import Domain, Op, as_array
from tinygrad_edu.ops import functions, reductions
from tinygrad_edu.ops.arithmetic import sign
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.functions import (
    POSITIVE,
    cbrt,
    exp,
    exp2,
    expm1,
    log,
    log1p,
    xlog1py,
    xlogy,
)
from tinygrad_edu.ops.functions import sigmoid as expit
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.support.extras import import_library

scipy_special = import_library("scipy.special", "tinygrad_edu.special")

__all__ = [
    "beta",
    "betaln",
    "cbrt",
    "digamma",
    "erf",
    "erfc",
    "erfcinv",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammaln",
    "i0",
    "i1",
    "iv",
    "j0",
    "j1",
    "jn",
    "jv",
    "log1p",
    "log_softmax",
    "logit",
    "logsumexp",
    "multigammaln",
    "polygamma",
    "psi",
    "softmax",
    "xlog1py",
    "xlogy",
    "y0",
    "y1",
    "yn",
    "yv",
]

op = partial(Op, listed=False)

# --- The error function ---------------------------------------------------------------

ROOT = math.sqrt(math.pi)


def _bell(x: Any) -> Any:
    """Return exp(-x^2), without overflow of x^2."""
    far = (x < -150) | (x > 150)  # where it is 0 in every dtype
    x = where(far, 150, x)
    return exp(-x * x)


erf = op(
    scipy_special.erf,
    tex=r"\operatorname{{erf}} {x}",
    doc="The error function: 2/sqrt(pi) times the integral of exp(-t^2) from 0 to `x`.",
).vjp(x=lambda g, y, x: g * (2 / ROOT) * _bell(x))

erfc = op(
    scipy_special.erfc,
    tex=r"\operatorname{{erfc}} {x}",
    doc="1 - erf(x), accurate where it is small.",
).vjp(x=lambda g, y, x: g * (-2 / ROOT) * _bell(x))

erfinv = op(
    scipy_special.erfinv,
    tex=r"\operatorname{{erf}}^{{-1}} {x}",
    domain=Domain(-1.0, 1.0),
    doc="The number whose `erf` is `x`.",
).vjp(x=lambda g, y, x: g * (ROOT / 2) * exp(y * y))

erfcinv = op(
    scipy_special.erfcinv,
    tex=r"\operatorname{{erfc}}^{{-1}} {x}",
    domain=Domain(0.0, 2.0),
    doc="The number whose `erfc` is `x`.",
).vjp(x=lambda g, y, x: g * (-ROOT / 2) * exp(y * y))

logit = op(
    scipy_special.logit,
    tex=r"\log \frac{{{x}}}{{1 - {x}}}",
    domain=Domain(0.0, 1.0),
    doc="The logarithm of the odds: the number whose `sigmoid` is `x`.",
).vjp(x=lambda g, y, x: g / (x * (1 - x)))

# --- Gamma and beta -------------------------------------------------------------------


def _no_rule(name: str) -> Any:
    """Return a rule that raises, for an input whose derivative has no short formula."""

    def rule(g: Any, *_: Any) -> Any:
        raise TypeError(
            f"{name}: there is no rule for its first argument; pass a constant, not a "
            "Tensor that requires a gradient (or its .data)"
        )

    return rule


gamma = op(
    scipy_special.gamma,
    tex=r"\Gamma({x})",
    domain=POSITIVE,
    doc="The gamma function; n! is gamma(n + 1). It has poles at 0, -1, -2, ...",
).vjp(x=lambda g, y, x: g * y * digamma(x))

gammaln = op(
    scipy_special.gammaln,
    tex=r"\log \Gamma({x})",
    domain=POSITIVE,
    doc="The logarithm of the absolute value of `gamma`, without overflow.",
).vjp(x=lambda g, y, x: g * digamma(x))

digamma = psi = op(
    scipy_special.digamma,
    name="digamma",
    tex=r"\psi({x})",
    domain=POSITIVE,
    doc="The derivative of log(gamma(x)).",
).vjp(x=lambda g, y, x: g * polygamma(1, x))


def _polygamma(n: Any, x: Any) -> Any:
    """The n-th derivative of `digamma`; `n` is a constant."""
    x = functions.as_float(x)
    return np.asarray(scipy_special.polygamma(n, x), x.dtype)


polygamma = op(
    _polygamma, tex=r"\psi^{{({n})}}({x})", signature="(),()->()", domain=POSITIVE
).vjp(n=_no_rule("polygamma"), x=lambda g, y, n, x: g * polygamma(n + 1, x))

beta = op(
    scipy_special.beta,
    tex=r"\mathrm{{B}}({a}, {b})",
    domain=POSITIVE,
    doc="gamma(a) gamma(b) / gamma(a + b).",
).vjp(
    a=lambda g, y, a, b: g * y * (digamma(a) - digamma(a + b)),
    b=lambda g, y, a, b: g * y * (digamma(b) - digamma(a + b)),
)

betaln = op(
    scipy_special.betaln,
    tex=r"\log \mathrm{{B}}({a}, {b})",
    domain=POSITIVE,
    doc="The logarithm of `beta`, without overflow.",
).vjp(
    a=lambda g, y, a, b: g * (digamma(a) - digamma(a + b)),
    b=lambda g, y, a, b: g * (digamma(b) - digamma(a + b)),
)


def _gamma_density(a: Any, b: Any) -> Any:
    """Return b^(a-1) e^-b / gamma(a)."""
    return exp(xlogy(a - 1, b) - b - gammaln(a))


gammainc = op(
    scipy_special.gammainc,
    tex=r"P({a}, {b})",
    domain=POSITIVE,
    doc="The integral of t^(a-1) e^-t / gamma(a) from 0 to `b`; `a` is a constant.",
).vjp(a=_no_rule("gammainc"), b=lambda g, y, a, b: g * _gamma_density(a, b))

gammaincc = op(
    scipy_special.gammaincc,
    tex=r"Q({a}, {b})",
    domain=POSITIVE,
    doc="1 - gammainc(a, b), accurate where it is small; `a` is a constant.",
).vjp(a=_no_rule("gammaincc"), b=lambda g, y, a, b: -g * _gamma_density(a, b))


def multigammaln(a: Any, d: int) -> Any:
    """Return the logarithm of the gamma function of d x d matrices.

    Raises
    ------
    ValueError
        If `a` is not larger than (d - 1) / 2.

    Examples
    --------
    >>> round(float(multigammaln(3.0, 2)), 6)
    1.550195
    """
    query(_check_order, a, d)
    a = functions.as_float(a)[..., None]
    orders = a - (np.arange(d) / 2).astype(a.dtype)
    return d * (d - 1) / 4 * math.log(math.pi) + sum(gammaln(orders), -1)


def _check_order(a: Any, d: int) -> None:
    if np.any(np.less_equal(a, (d - 1) / 2)):
        raise ValueError(f"multigammaln: with d={d}, a must be above {(d - 1) / 2}")


# --- Bessel functions -----------------------------------------------------------------

# Those of order n have as derivative half the difference of their neighbours n-1 and
# n+1; the modified ones half the sum. The order is a constant.

j0 = op(
    scipy_special.j0, tex="J_0({x})", doc="The Bessel function of the first kind, J_0."
).vjp(x=lambda g, y, x: -g * j1(x))

j1 = op(
    scipy_special.j1, tex="J_1({x})", doc="The Bessel function of the first kind, J_1."
).vjp(x=lambda g, y, x: g * (j0(x) - jv(2, x)) / 2)

jv = jn = op(
    scipy_special.jv,
    tex="J_{{{a}}}({b})",
    domain={"b": POSITIVE},
    doc="The Bessel function of the first kind, of order `a`, which is a constant.",
).vjp(a=_no_rule("jv"), b=lambda g, y, a, b: g * (jv(a - 1, b) - jv(a + 1, b)) / 2)

y0 = op(
    scipy_special.y0,
    tex="Y_0({x})",
    domain=POSITIVE,
    doc="The Bessel function of the second kind, Y_0.",
).vjp(x=lambda g, y, x: -g * y1(x))

y1 = op(
    scipy_special.y1,
    tex="Y_1({x})",
    domain=POSITIVE,
    doc="The Bessel function of the second kind, Y_1.",
).vjp(x=lambda g, y, x: g * (y0(x) - yv(2, x)) / 2)

yv = yn = op(
    scipy_special.yv,
    tex="Y_{{{a}}}({b})",
    domain={"b": POSITIVE},
    doc="The Bessel function of the second kind, of order `a`, which is a constant.",
).vjp(a=_no_rule("yv"), b=lambda g, y, a, b: g * (yv(a - 1, b) - yv(a + 1, b)) / 2)

i0 = op(
    scipy_special.i0,
    tex="I_0({x})",
    doc="The modified Bessel function of the first kind, I_0.",
).vjp(x=lambda g, y, x: g * i1(x))

i1 = op(
    scipy_special.i1,
    tex="I_1({x})",
    doc="The modified Bessel function of the first kind, I_1.",
).vjp(x=lambda g, y, x: g * (i0(x) + iv(2, x)) / 2)

iv = op(
    scipy_special.iv,
    tex="I_{{{a}}}({b})",
    domain={"b": POSITIVE},
    doc="The modified Bessel function of the first kind, of order `a`, a constant.",
).vjp(a=_no_rule("iv"), b=lambda g, y, a, b: g * (iv(a - 1, b) + iv(a + 1, b)) / 2)

# --- Functions that are no ufuncs in SciPy: as there, but they take Tensors -----------


def softmax(x: Any, axis: Any = None) -> Any:
    """Return exp(x) divided by its sum: of all elements, unless `axis` says otherwise.

    Examples
    --------
    >>> softmax(np.log([[1.0, 2.0], [2.0, 3.0]]))
    array([[0.125, 0.25 ],
           [0.25 , 0.375]])
    """
    return reductions.softmax(x, axis)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """Return the logarithm of `softmax`, accurate where that is small.

    Examples
    --------
    >>> log_softmax([0.0, -1000.0])
    array([    0., -1000.])
    """
    return reductions.log_softmax(x, axis)


def logsumexp(
    a: Any,
    axis: Any = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
) -> Any:
    """Return log(sum(b exp(a))), without overflow.

    Parameters
    ----------
    a, b : array_like
        The exponents, and the factors, 1 by default; they broadcast. A factor may be
        negative or 0. Where it is 0, and ``exp(a)`` is larger than all that counts, the
        factor gets gradient 0.
    axis : int or tuple of int, optional
        The axes to sum over; all by default.
    keepdims : bool
        Keep the axes, with size 1.
    return_sign : bool
        Return the logarithm of the sum's absolute value, and its sign. Without it, the
        logarithm of a negative sum is NaN.

    Examples
    --------
    >>> float(logsumexp([1000.0, 1000.0], b=[3.0, -2.0]))
    1000.0
    """
    if b is None and not return_sign:
        return reductions.logsumexp(a, axis, keepdims)
    a, b = functions.as_float(a), 1 if b is None else b
    if not isinstance(b, int | float):  # else it takes the dtype of `a`
        b = as_array(b)
    counts = np.not_equal(value_of(b), 0)
    top = np.max(np.where(counts, value_of(a), -np.inf), axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    a = where(counts | (value_of(a) <= top), a, -np.inf)
    total = sum(b * exp(a - top), axis, keepdims=True)
    signs = sign(total)
    with np.errstate(divide="ignore", invalid="ignore"):
        answer = log(total * signs if return_sign else total) + top
    if not keepdims:
        answer, signs = (reductions.sum(x, axis) for x in (answer, signs))
    return (answer, signs) if return_sign else answer
