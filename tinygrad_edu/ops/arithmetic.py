"""Arithmetic, and what is constant between its jumps: `sign`."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.op import Domain, op

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
