"""Arithmetic, and functions that are constant between jumps: the sign, rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.engine.op import Domain, op

NONZERO = Domain(excluding=(0.0,))

add = op(np.add, tex="{a} + {b}", doc="Add.").vjp(
    a=lambda g, y, a, b: g, b=lambda g, y, a, b: g
)

subtract = op(np.subtract, tex="{a} - {b}", doc="Subtract `b` from `a`.").vjp(
    a=lambda g, y, a, b: g, b=lambda g, y, a, b: -g
)

multiply = op(
    np.multiply, tex=r"{a} \odot {b}", doc="Multiply, element by element."
).vjp(a=lambda g, y, a, b: g * b, b=lambda g, y, a, b: g * a)

divide = op(
    np.divide,
    tex=r"\frac{{{a}}}{{{b}}}",
    domain={"b": NONZERO},
    doc="Divide `a` by `b`.",
).vjp(a=lambda g, y, a, b: g / b, b=lambda g, y, a, b: -g * y / b)

reciprocal = op(
    np.reciprocal, tex=r"\frac{{1}}{{{x}}}", domain=NONZERO, doc="Divide 1 by `x`."
).vjp(x=lambda g, y, x: -g * y * y)

negative = op(np.negative, tex="-{x}", doc="Change the sign.").vjp(x=lambda g, y, x: -g)

positive = op(np.positive, tex="+{x}", doc="Copy the value.").vjp(x=lambda g, y, x: g)

abs = op(
    np.absolute,
    name="abs",
    tex=r"\lvert {x} \rvert",
    kink=lambda x: x,
    subgradient="0 at x = 0",
    doc="The absolute value.",
).vjp(x=lambda g, y, x: g * sign(x))

sign = op(
    np.sign,
    tex=r"\operatorname{{sign}} {x}",
    kink=lambda x: x,
    subgradient="0 everywhere",
    doc="The sign of `x`: -1, 0 or 1.",
).vjp(x=lambda g, y, x: 0 * g)

copysign = op(
    np.copysign,
    tex=r"\lvert {a} \rvert \operatorname{{sign}} {b}",
    kink=lambda a, b: np.minimum(np.abs(a), np.abs(b)),
    subgradient="for a, 0 at a = 0; for b, 0 everywhere",
    doc="`a` with the sign of `b`; -0.0 has a sign, too.",
).vjp(a=lambda g, y, a, b: g * sign(a) * copysign(1, b), b=lambda g, y, a, b: 0 * g)


def _to_integers(x: Any) -> Any:
    """Return the distance of x from the nearest integer, with its sign."""
    return x - np.rint(x)


def _to_halves(x: Any) -> Any:
    """Return the distance of x from the middle between two integers, with its sign."""
    return x - np.floor(x) - 0.5


floor = op(
    np.floor,
    tex=r"\lfloor {x} \rfloor",
    kink=_to_integers,
    subgradient="0 everywhere",
    doc="The largest integer that is not above `x`.",
).vjp(x=lambda g, y, x: 0 * g)

ceil = op(
    np.ceil,
    tex=r"\lceil {x} \rceil",
    kink=_to_integers,
    subgradient="0 everywhere",
    doc="The smallest integer that is not below `x`.",
).vjp(x=lambda g, y, x: 0 * g)

trunc = op(
    np.trunc,
    tex=r"\operatorname{{trunc}} {x}",
    # It does not jump at 0.
    kink=lambda x: np.abs(x) - np.maximum(np.rint(np.abs(x)), 1),
    subgradient="0 everywhere",
    doc="The integer part: drop the digits after the point.",
).vjp(x=lambda g, y, x: 0 * g)

rint = op(
    np.rint,
    tex=r"\operatorname{{rint}} {x}",
    kink=_to_halves,
    subgradient="0 everywhere",
    doc="The nearest integer; if two are equally near, the even one.",
).vjp(x=lambda g, y, x: 0 * g)


@op(
    tex=r"\operatorname{{round}} {x}",
    signature="()->()",
    kink=lambda x, decimals: _to_halves(x * 10.0**decimals),
    subgradient="0 everywhere",
)
def round(x: Any, *, decimals: int = 0) -> Any:
    """Round to a number of decimals; a tie goes to the even digit.

    A negative number of decimals rounds to a multiple of 10, 100, ...
    """
    return np.round(x, decimals)


round.vjp(x=lambda g, y, x, decimals: 0 * g)

floor_divide = op(
    np.floor_divide,
    tex=r"\left\lfloor \frac{{{a}}}{{{b}}} \right\rfloor",
    domain={"b": NONZERO},
    kink=lambda a, b: _to_integers(a / b),
    subgradient="0 everywhere",
    doc="Divide and round down: the largest integer that is not above `a` / `b`.",
).vjp(a=lambda g, y, a, b: 0 * g, b=lambda g, y, a, b: 0 * g)

remainder = op(
    np.remainder,
    tex=r"{a} \bmod {b}",
    domain={"b": NONZERO},
    kink=lambda a, b: _to_integers(a / b),
    subgradient="where a / b is an integer: 1 for a, -a / b for b, as elsewhere",
    doc="The remainder of `floor_divide`; it has the sign of `b`.",
).vjp(a=lambda g, y, a, b: g, b=lambda g, y, a, b: -g * floor_divide(a, b))

fmod = op(
    np.fmod,
    tex=r"{a} - {b} \operatorname{{trunc}} \frac{{{a}}}{{{b}}}",
    domain={"b": NONZERO},
    kink=lambda a, b: _to_integers(a / b),
    subgradient="where a / b is an integer: 1 for a, -a / b for b, as elsewhere",
    doc="The remainder of a division that is rounded towards 0; it has the sign of "
    "`a`.",
).vjp(a=lambda g, y, a, b: g, b=lambda g, y, a, b: -g * trunc(a / b))
