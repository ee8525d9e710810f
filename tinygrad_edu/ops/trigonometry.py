"""Trigonometric and hyperbolic functions, and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import value_of
from tinygrad_edu.engine.op import Domain, as_array, op
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.functions import sqrt, square

WITHIN_1 = Domain(-1.0, 1.0)

# --- Trigonometric functions ----------------------------------------------------------

sin = op(np.sin, tex=r"\sin {x}", doc="The sine.").vjp(x=lambda g, y, x: g * cos(x))

cos = op(np.cos, tex=r"\cos {x}", doc="The cosine.").vjp(x=lambda g, y, x: -g * sin(x))

tan = op(
    np.tan,
    tex=r"\tan {x}",
    domain=Domain(excluding=(-math.pi / 2, math.pi / 2)),
    doc="The tangent, with a pole at each odd multiple of pi/2.",
).vjp(x=lambda g, y, x: g * (1 + y * y))


@op(tex=r"\frac{{\sin \pi {x}}}{{\pi {x}}}", signature="()->()")
def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), and 1 at x = 0, where it is smooth."""
    x = as_array(x)
    t = np.pi * np.where(x == 0, 1, x)
    return np.where(x == 0, 1, np.sin(t) / t)


def _sinc_slope(y: Any, x: Any) -> Any:
    """Return the derivative (cos(pi x) - y) / x; near 0, where it cancels, its series.

    With t = pi x, the sum of pi (-1)^k 2k t^(2k-1) / (2k+1)! over k = 1, 2, 3, ...
    """
    near = np.abs(value_of(x)) < 1 / np.pi
    t2 = square(np.pi * where(near, x, 0))
    series: Any = 1.0
    for k in range(9, 1, -1):
        series = 1 - series * t2 * (1 / (2 * (k - 1) * (2 * k + 1)))
    return where(
        near, -(np.pi**2) / 3 * x * series, (cos(np.pi * x) - y) / where(near, 1, x)
    )


sinc.vjp(x=lambda g, y, x: g * _sinc_slope(y, x))

arcsin = op(
    np.arcsin,
    tex=r"\arcsin {x}",
    domain=WITHIN_1,
    doc="The angle between -pi/2 and pi/2 whose sine is `x`.",
).vjp(x=lambda g, y, x: g / sqrt((1 - x) * (1 + x)))

arccos = op(
    np.arccos,
    tex=r"\arccos {x}",
    domain=WITHIN_1,
    doc="The angle between 0 and pi whose cosine is `x`.",
).vjp(x=lambda g, y, x: -g / sqrt((1 - x) * (1 + x)))

arctan = op(
    np.arctan,
    tex=r"\arctan {x}",
    doc="The angle between -pi/2 and pi/2 whose tangent is `x`.",
).vjp(x=lambda g, y, x: g * _over_squares(1.0, 1.0, x))

hypot = op(
    np.hypot,
    tex=r"\sqrt{{{a}^2 + {b}^2}}",
    kink=np.hypot,
    subgradient="0 at (0, 0), as for other norms",
    doc="The distance of the point (`a`, `b`) from the origin, without overflow.",
).vjp(
    a=lambda g, y, a, b: g * (a / where(y == 0, np.inf, y)),
    b=lambda g, y, a, b: g * (b / where(y == 0, np.inf, y)),
)


def _over_squares(x: Any, a: Any, b: Any) -> Any:
    """Return x / (a^2 + b^2), without overflow, and 0 at a = b = 0."""
    distance = hypot(a, b)
    distance = where(distance == 0, np.inf, distance)
    return x / distance / distance


arctan2 = op(
    np.arctan2,
    tex=r"\operatorname{{arctan2}}({a}, {b})",
    # The distance from the half-line where it jumps.
    kink=lambda a, b: np.hypot(a, np.maximum(b, 0)),
    subgradient="0 at (0, 0); at the jump, a = 0 and b < 0, the slope of both sides",
    doc="The angle of the point (`b`, `a`) seen from the origin, between -pi and pi; "
    "note the order.",
).vjp(
    a=lambda g, y, a, b: g * _over_squares(b, a, b),
    b=lambda g, y, a, b: -g * _over_squares(a, a, b),
)

deg2rad = op(
    np.deg2rad, tex=r"\frac{{\pi}}{{180}} {x}", doc="Convert degrees to radians."
).vjp(x=lambda g, y, x: deg2rad(g))

rad2deg = op(
    np.rad2deg, tex=r"\frac{{180}}{{\pi}} {x}", doc="Convert radians to degrees."
).vjp(x=lambda g, y, x: rad2deg(g))

# --- Hyperbolic functions -------------------------------------------------------------

sinh = op(np.sinh, tex=r"\sinh {x}", doc="The hyperbolic sine.").vjp(
    x=lambda g, y, x: g * cosh(x)
)

cosh = op(np.cosh, tex=r"\cosh {x}", doc="The hyperbolic cosine.").vjp(
    x=lambda g, y, x: g * sinh(x)
)

tanh = op(np.tanh, tex=r"\tanh {x}", doc="The hyperbolic tangent.").vjp(
    x=lambda g, y, x: g * (1 - y * y)
)

arcsinh = op(
    np.arcsinh,
    tex=r"\operatorname{{arsinh}} {x}",
    doc="The inverse of the hyperbolic sine.",
).vjp(x=lambda g, y, x: g / hypot(1.0, x))

arccosh = op(
    np.arccosh,
    tex=r"\operatorname{{arcosh}} {x}",
    domain=Domain(low=1.0),
    doc="The positive inverse of the hyperbolic cosine.",
).vjp(x=lambda g, y, x: g / (sqrt(x - 1) * sqrt(x + 1)))

arctanh = op(
    np.arctanh,
    tex=r"\operatorname{{artanh}} {x}",
    domain=WITHIN_1,
    doc="The inverse of the hyperbolic tangent.",
).vjp(x=lambda g, y, x: g / ((1 - x) * (1 + x)))
