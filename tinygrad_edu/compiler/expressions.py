"""How values and functions are written in Python."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import Equation, Variable, is_uniform
from tinygrad_edu.engine.op import OPS
from tinygrad_edu.formulas.brackets import Strength, Written, infixed
from tinygrad_edu.formulas.writing import write_index

__all__ = [
    "INFIX",
    "dtype_name",
    "literal",
    "may_overflow",
    "subscript",
    "write_number",
    "write_operator",
    "write_view",
]

# Operators, with how strongly what they write holds together.
INFIX: dict[Any, tuple[str, int]] = {
    np.add: ("+", Strength.SUM),
    np.subtract: ("-", Strength.SUM),
    np.multiply: ("*", Strength.PRODUCT),
    np.divide: ("/", Strength.PRODUCT),
    np.floor_divide: ("//", Strength.PRODUCT),
    np.remainder: ("%", Strength.PRODUCT),
    np.power: ("**", Strength.POWER),
    np.dot: ("@", Strength.PRODUCT),
    np.matmul: ("@", Strength.PRODUCT),
    np.less: ("<", Strength.COMPARISON),
    np.less_equal: ("<=", Strength.COMPARISON),
    np.greater: (">", Strength.COMPARISON),
    np.greater_equal: (">=", Strength.COMPARISON),
    np.equal: ("==", Strength.COMPARISON),
    np.not_equal: ("!=", Strength.COMPARISON),
    np.bitwise_and: ("&", Strength.AND),
    np.bitwise_or: ("|", Strength.OR),
    np.bitwise_xor: ("^", Strength.XOR),
    operator.add: ("+", Strength.SUM),
    operator.sub: ("-", Strength.SUM),
    operator.mul: ("*", Strength.PRODUCT),
    operator.truediv: ("/", Strength.PRODUCT),
    operator.floordiv: ("//", Strength.PRODUCT),
    operator.mod: ("%", Strength.PRODUCT),
    operator.pow: ("**", Strength.POWER),
}
PREFIX = {np.negative: "-", operator.neg: "-", np.invert: "~"}


def has_operator(e: Equation) -> bool:
    """Whether an operator of Python's says what an equation does.

    @ is a dot if 2-d, and NumPy writes ``x**2`` of booleans as its square, in int8.
    """
    if e.function not in INFIX or len(e.args) != 2 or e.params:
        return False
    if e.function is np.power and getattr(e.args[0], "dtype", None) == np.bool_:
        return False
    return e.function is not np.dot or all(
        isinstance(x, Variable) and 1 <= x.ndim <= 2 for x in e.args
    )


def write_operator(e: Equation, write: Callable[[Any], Written]) -> Written | None:
    """Write an equation by one of Python's operators, if there is one for it."""
    if has_operator(e) and e.inputs:  # else the number would be Python's
        symbol, strength = INFIX[e.function]
        return infixed(write(e.args[0]), symbol, write(e.args[1]), strength)
    if e.function in PREFIX:
        text = write(e.args[0]).within(Strength.FUNCTION)
        return Written(PREFIX[e.function] + text, Strength.FUNCTION)
    return None


def write_number(text: str) -> Written:
    """Say of a number's text how strongly it holds together: a sign may be torn off."""
    return Written(text, Strength.FUNCTION if text[0] == "-" else Strength.ATOM)


def may_overflow(e: Equation) -> bool:
    """Whether a textbook's formula lets an exponential overflow harmlessly."""
    op = OPS.get(e.origin.op) if e.function is np.exp else None
    return op is not None and op.textbook is not None


def literal(x: Any) -> str | None:
    """Write a plain value; None, if no text is sure to give it back."""
    kind = type(x)
    if isinstance(x, np.dtype):
        name = dtype_name(x)
        return name and f"np.dtype({name})"
    if isinstance(x, type):
        name = x.__name__
        return f"np.{name}" if vars(np).get(name) is x else None
    if kind is np.ndarray and x.dtype.kind in "biuf":
        return _array(x)
    if kind is np.longdouble:  # which no Python number is
        return f'np.longdouble("{x}")'
    if isinstance(x, np.generic) and x.dtype.kind in "biuf":
        return f"{dtype_name(x.dtype)}({literal(x.item())})"
    if kind is float and not math.isfinite(x):
        return f'float("{x}")'
    if kind is int and x.bit_length() > 64:  # Python may refuse to write it
        return None
    plain = (bool, int, float, str, bytes, type(None))
    return repr(x) if kind in plain else "..." if x is Ellipsis else None


def dtype_name(x: Any) -> str | None:
    """Write one of NumPy's own dtypes; a structure, or bytes swapped, is none."""
    name = "bool_" if x.name == "bool" else x.name
    return f"np.{name}" if vars(np).get(name) is x.type and x.isnative else None


def _array(x: Any) -> str | None:
    dtype = dtype_name(x.dtype)
    if dtype is None or not x.size:
        return dtype and f"np.empty({x.shape}, {dtype})"
    first = x.flat[0]
    if not x.ndim:
        return f"np.array({literal(x.item())}, {dtype})"
    if is_uniform(x):
        return f"np.full({x.shape}, {literal(first.item())}, {dtype})"
    return f"np.array({_of_lists(x.tolist())}, {dtype})"


def _of_lists(x: Any) -> str | None:
    return (
        f"[{', '.join(map(str, map(_of_lists, x)))}]" if type(x) is list else literal(x)
    )


def subscript(key: Any, refer: Callable[[Any], str]) -> str:
    """Write the key of a dict, or an index: by the text only where that is the key."""
    text = literal(key) if type(key) in (str, int) else None
    return text or refer(key)


def write_view(e: Equation, x: str, write: Callable[[Any], str]) -> str:
    """Write a view of x."""
    if e.function is np.transpose:
        return f"{x}.transpose({write(e.args[1])})" if len(e.args) > 1 else f"{x}.T"
    if e.function is np.reshape:
        return f"{x}.reshape{e.output.shape or '(())'}"
    if e.function is np.broadcast_to:
        return f"np.broadcast_to({x}, {write(e.output.shape)})"
    return f"{x}[{write_index(e.args[1], write)}]"
