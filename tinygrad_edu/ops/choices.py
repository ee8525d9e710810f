"""Choose between values: `where`, the larger, the smaller.

A value that was not chosen gets gradient 0, even if it is NaN.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from tinygrad_edu.engine.op import as_array, composite, op
from tinygrad_edu.ops.arithmetic import sign
from tinygrad_edu.support.kinds import Operand


@op(
    tex=r"{a} \text{{ where }} {condition} \text{{, else }} {b}",
    signature="(),(),()->()",
    selects=True,
)
def where(condition: Any, a: Any, b: Any) -> Any:
    """Choose `a` where the condition is true, else `b`.

    The branch that was not chosen gets gradient 0, even if its value is NaN.
    """
    return np.where(condition, a, b)


where.vjp(
    condition=lambda g, y, condition, a, b: 0 * g,
    a=lambda g, y, condition, a, b: where(condition, g, 0),
    b=lambda g, y, condition, a, b: where(condition, 0, g),
)


@composite(tex=r"{choices}_i \text{{, the first }} i \text{{ with }} {condition}_i")
def select(condition: Any, choices: Any, *, default: Operand = 0) -> Any:
    """Choose from a list of arrays, for each element the first whose condition holds.

    `condition` is a list of as many arrays of booleans as there are `choices`. Where no
    condition holds, the result is `default`.
    """
    if len(condition) != len(choices):
        raise ValueError(
            f"select: {len(condition)} conditions for {len(choices)} choices; pass as "
            "many conditions as choices, and default= for the rest"
        )
    result = default
    for holds, choice in zip(reversed(condition), reversed(choices)):
        result = where(holds, choice, result)
    return result


@composite()
def nan_to_num(
    x: Any,
    *,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Any:
    """Replace NaN and the infinities by numbers; these elements get gradient 0.

    Without a number for it, an infinity becomes the largest finite number, with the
    same sign.
    """
    x = as_array(x)
    if x.dtype.kind != "f":
        return x
    largest = np.finfo(x.dtype).max
    x = where(x != x, nan, x)
    x = where(x == np.inf, largest if posinf is None else posinf, x)
    return where(x == -np.inf, -largest if neginf is None else neginf, x)


@composite(
    tex=r"[{a} > 0] + {b} [{a} = 0]",
    kink=lambda a, b: a,
    subgradient="for a, 0 everywhere",
)
def heaviside(a: Any, b: Any) -> Any:
    """The unit step: 0 for negative `a`, 1 for positive `a`, and `b` where `a` is 0."""
    a = as_array(a)
    return where(a == 0, b, (sign(a) + 1) / 2)


def _won(g: Any, a: Any, b: Any) -> Any:
    """Return g where a > b or one of them is NaN, g / 2 where a = b, else 0."""
    return where(a < b, 0, where(a == b, g / 2, g))


maximum = op(
    np.maximum,
    tex=r"\max({a}, {b})",
    kink=lambda a, b: a - b,
    subgradient="half to each where a = b",
    selects=True,
    doc="The larger of two, element by element.",
).vjp(a=lambda g, y, a, b: _won(g, a, b), b=lambda g, y, a, b: _won(g, b, a))

minimum = op(
    np.minimum,
    tex=r"\min({a}, {b})",
    kink=lambda a, b: a - b,
    subgradient="half to each where a = b",
    selects=True,
    doc="The smaller of two, element by element.",
).vjp(a=lambda g, y, a, b: _won(g, b, a), b=lambda g, y, a, b: _won(g, a, b))


def _unless_nan(share: Any, g: Any, a: Any, b: Any) -> Any:
    """Return `share` where a is a number; where it is NaN 0, or g / 2 if b is too."""
    return where(a != a, where(b != b, g / 2, 0), share)


fmax = op(
    np.fmax,
    tex=r"\max({a}, {b})",
    kink=lambda a, b: a - b,
    subgradient="half to each where a = b, and where both are NaN",
    selects=True,
    doc="The larger of two, element by element; if one is NaN, the other one.",
).vjp(
    a=lambda g, y, a, b: _unless_nan(_won(g, a, b), g, a, b),
    b=lambda g, y, a, b: _unless_nan(_won(g, b, a), g, b, a),
)

fmin = op(
    np.fmin,
    tex=r"\min({a}, {b})",
    kink=lambda a, b: a - b,
    subgradient="half to each where a = b, and where both are NaN",
    selects=True,
    doc="The smaller of two, element by element; if one is NaN, the other one.",
).vjp(
    a=lambda g, y, a, b: _unless_nan(_won(g, b, a), g, a, b),
    b=lambda g, y, a, b: _unless_nan(_won(g, a, b), g, b, a),
)


def _to_bounds(x: Any, min: Any, max: Any) -> Any:
    """Return the distance of x from the nearest bound."""
    distances = [np.abs(x - bound) for bound in (min, max) if bound is not None]
    return reduce(np.minimum, distances, np.inf)


@composite(
    tex=r"\operatorname{{clip}}({x})",
    kink=_to_bounds,
    subgradient="1/2 at a bound, as for maximum and minimum",
)
def clip(x: Any, *, min: Operand | None = None, max: Operand | None = None) -> Any:
    """Limit values to an interval; a bound may be None, a number or an array."""
    if min is not None:
        x = maximum(x, min)
    if max is not None:
        x = minimum(x, max)
    return x
