"""Arithmetic, and what is constant between its jumps: the sign, rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.op import Domain, op

__all__ = [
    "abs",
    "add",
    "ceil",
    "divide",
    "floor",
    "floor_divide",
    "multiply",
    "negative",
    "positive",
    "reciprocal",
    "remainder",
    "rint",
    "round",
    "sign",
    "subtract",
    "trunc",
]

NONZERO = Domain(excluding=(0.0,))

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

reciprocal = op(
    np.reciprocal,
    tex=r"\frac{{1}}{{{x}}}",
    signature="()->()",
    domain=NONZERO,
    doc="1 over `x`.",
).vjp(x=lambda g, y, x: -g * y * y)

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

abs = op(
    np.absolute,
    name="abs",
    tex=r"\lvert {x} \rvert",
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


def _to_integers(x: Any) -> Any:
    """How far x is from the nearest integer."""
    return x - np.rint(x)


def _to_halves(x: Any) -> Any:
    """How far x is from the middle between two integers."""
    return x - np.floor(x) - 0.5


floor = op(
    np.floor,
    tex=r"\lfloor {x} \rfloor",
    signature="()->()",
    kink=_to_integers,
    subgradient="0 everywhere",
    doc="The next integer below, or `x` itself if it is one.",
).vjp(x=lambda g, y, x: 0 * g)

ceil = op(
    np.ceil,
    tex=r"\lceil {x} \rceil",
    signature="()->()",
    kink=_to_integers,
    subgradient="0 everywhere",
    doc="The next integer above, or `x` itself if it is one.",
).vjp(x=lambda g, y, x: 0 * g)

trunc = op(
    np.trunc,
    tex=r"\operatorname{{trunc}} {x}",
    signature="()->()",
    # There is no jump at 0.
    kink=lambda x: np.abs(x) - np.maximum(np.rint(np.abs(x)), 1),
    subgradient="0 everywhere",
    doc="The integer part: the next integer towards 0, or `x` itself if it is one.",
).vjp(x=lambda g, y, x: 0 * g)

rint = op(
    np.rint,
    tex=r"\operatorname{{rint}} {x}",
    signature="()->()",
    kink=_to_halves,
    subgradient="0 everywhere",
    doc="The nearest integer; if two are, the even one.",
).vjp(x=lambda g, y, x: 0 * g)


@op(
    tex=r"\operatorname{{round}} {x}",
    signature="()->()",
    kink=lambda x, decimals: _to_halves(x * 10.0**decimals),
    subgradient="0 everywhere",
)
def round(x: Any, *, decimals: int = 0) -> Any:
    """The nearest number with so many decimals; if two are, that with the even digit.

    For a negative number of decimals, the nearest multiple of 10, 100, ...
    """
    return np.round(x, decimals)


round.vjp(x=lambda g, y, x, decimals: 0 * g)

floor_divide = op(
    np.floor_divide,
    tex=r"\left\lfloor \frac{{{a}}}{{{b}}} \right\rfloor",
    signature="(),()->()",
    domain={"b": NONZERO},
    kink=lambda a, b: _to_integers(a / b),
    subgradient="0 everywhere",
    doc="How often `b` goes into `a`: the next integer below `a` / `b`.",
).vjp(
    a=lambda g, y, a, b: 0 * g,
    b=lambda g, y, a, b: 0 * g,
)

remainder = op(
    np.remainder,
    tex=r"{a} \bmod {b}",
    signature="(),()->()",
    domain={"b": NONZERO},
    kink=lambda a, b: _to_integers(a / b),
    subgradient="where a / b is an integer: as elsewhere 1 for a, -a / b for b",
    doc="What `floor_divide` leaves of `a`; it has the sign of `b`.",
).vjp(
    a=lambda g, y, a, b: g,
    b=lambda g, y, a, b: -g * floor_divide(a, b),
)
