"""Laws: what an equation is equal to, seeing how its arguments are computed.

A law keeps every bit, the signs of zeros, infinities and NaN included: ``x + 0`` is not
x, which may be -0.0, and ``-(x - y)`` is not ``y - x``. One law rounds otherwise: that
of ``c * (d * x)``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.compiler.functions import astype
from tinygrad_edu.compiler.passes.redundant import dead_code
from tinygrad_edu.compiler.program import (
    Equation,
    Program,
    Variable,
    is_uniform,
    same_dtype,
)
from tinygrad_edu.compiler.scheduling import is_elementwise

__all__ = ["is_normal", "is_plain_number", "kind_of", "simplify", "uniform"]

# c and d are known numbers. Arithmetic is that of floats: whole numbers may wrap.
TABLE = """
    1 * x = x
    -1 * x = -x
    x / 1 = x
    x ** 1 = x
    x ** 2 = square(x)
    -(-x) = x
    -(c * x) = (-c) * x
    c * (-x) = (-c) * x
    c * (d * x) = (c * d) * x
    x + (-y) = x - y
    (-x) + y = y - x
    x - (-y) = x + y
    (-x) * (-y) = x * y
    transpose(transpose(x)) = x
    reshape(reshape(x, s), t) = reshape(x, t)
"""
# Functions that change nothing if shape and dtype stay.
SAME = (np.positive, np.reshape, np.broadcast_to, astype)
# Functions whose laws hold for all dtypes: they only arrange. Others' need floats.
ARRANGING = (np.transpose, np.reshape)

Lookup = Callable[[Any], Equation | None]  # gives the equation behind a variable


def simplify(program: Program) -> Program:
    """Apply the laws to each equation in turn, until none applies to it."""
    known: dict[Variable, Equation] = {}
    same: dict[Variable, Any] = {}
    for e in program.equations:
        simpler: Any = e.substitute(same)
        while (next_one := _apply(simpler, known.get)) is not None:
            simpler = next_one
        if isinstance(simpler, Equation):
            known[e.output] = simpler
        else:
            same[e.output] = simpler
            if isinstance(simpler, Variable):
                simpler.label = simpler.label or e.output.label
    shorter = replace(program, equations=tuple(known.values())).substitute(same)
    return dead_code(shorter)


def _apply(e: Any, look: Lookup) -> Any:
    """Return what one law makes of an equation, or None."""
    if not isinstance(e, Equation) or e.params or not e.args:
        return None
    for law in (_of_the_table, _of_one_function, _uniform, _broadcast):
        for simpler in law(e, look):
            if _agrees(simpler, e.output):
                return simpler
    return None


# --- What a new equation gives --------------------------------------------------------


def _agrees(x: Any, output: Variable) -> bool:
    """Whether x, a value or an equation, is of the output's shape and dtype."""
    shape, dtype = kind_of(x)
    return shape == output.shape and same_dtype(dtype, output.dtype)


def kind_of(x: Any) -> tuple[tuple[int, ...], Any]:
    """Return the shape and dtype of a value, or of what an equation gives."""
    if not isinstance(x, Equation):
        return getattr(x, "shape", ()), getattr(x, "dtype", None)
    if not _broadcasts(x):
        return x.output.shape, x.output.dtype  # its laws leave them as they are
    shapes, dtypes = zip(*map(kind_of, x.args))
    # What has no dtype is a Python number, which takes that of the others.
    weak = [type(z) if is_plain_number(z) else float for z in x.args]
    kinds = [d or w for d, w in zip(dtypes, weak)]
    if x.function is np.where:
        dtype = np.result_type(*(d or w(1) for d, w in zip(dtypes[1:], weak[1:])))
    else:
        dtype = x.function.resolve_dtypes((*kinds, None))[-1]  # type: ignore[attr-defined]
    return np.broadcast_shapes(*shapes), dtype


def _broadcasts(e: Equation) -> bool:
    return is_elementwise(e) or e.function is np.where


def is_plain_number(x: Any) -> bool:
    """Whether x is a number that is known."""
    return type(x) in (int, float) or isinstance(x, np.number)


# --- The table ------------------------------------------------------------------------

OPERATORS = {
    ast.USub: np.negative,
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}


def _parse(node: Any) -> Any:
    """Read one side of a law: a name, a number, or a function and what it is of."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Constant(value=number):
            return number
        case ast.UnaryOp(operand=ast.Constant(value=int(number))):
            return -number
        case ast.UnaryOp(op=op, operand=x):
            return OPERATORS[type(op)], _parse(x)
        case ast.BinOp(left=a, op=op, right=b):
            return OPERATORS[type(op)], _parse(a), _parse(b)
        case _:
            return getattr(np, node.func.id), *map(_parse, node.args)


LAWS: dict[Any, list[tuple[Any, Any]]] = {}
for line in TABLE.strip().splitlines():
    left, right = (
        _parse(ast.parse(s.strip(), mode="eval").body) for s in line.split(" = ")
    )
    LAWS.setdefault(left[0], []).append((left, right))


def _of_the_table(e: Equation, look: Lookup) -> Iterator[Any]:
    for left, right in LAWS.get(e.function, ()):
        found: dict[str, Any] = {}
        if _matches(left, e, look, found):
            simpler = _write(right, e, found)
            if "c" not in found or is_normal(simpler.args[0], e.output.dtype):
                yield simpler


def _matches(pattern: Any, e: Equation, look: Lookup, found: dict[str, Any]) -> bool:
    """Whether an equation is of a pattern; note what the names in it stand for."""
    function, *parts = pattern
    if e.function is not function or e.params or len(parts) != len(e.args):
        return False
    if function not in ARRANGING and getattr(e.output.dtype, "kind", "") != "f":
        return False
    for part, x in zip(parts, e.args):
        if isinstance(part, str):
            able = part not in "cd" or is_plain_number(x)
            fits = able and found.setdefault(part, x) is x
        elif isinstance(part, tuple):
            inner = look(x) if isinstance(x, Variable) else None
            fits = inner is not None and _matches(part, inner, look, found)
        else:
            fits = (
                is_plain_number(x) and x == part and bool(np.signbit(x)) == (part < 0)
            )
        if not fits:
            return False
    return True


def _write(pattern: Any, e: Equation, found: dict[str, Any]) -> Any:
    """Return what a pattern is, as an equation for the same output or its value."""
    if isinstance(pattern, str):
        return found[pattern]
    args = tuple(_write(p, e, found) for p in pattern[1:])
    if all(map(is_plain_number, args)):  # such as c * d
        with np.errstate(all="ignore"):
            return float(pattern[0](*map(float, args)))
    return replace(e, function=pattern[0], args=args)


# --- Other laws -----------------------------------------------------------------------


def _uniform(e: Equation, look: Lookup) -> Iterator[Any]:
    """Where a constant array holds one number all over, let the number be there."""
    for x in e.inputs:
        if x.constant is not None and _broadcasts(e) and (c := uniform(x)) is not None:
            # A number takes the dtype of an array; so there must be one, of the same.
            others = [z for z in e.inputs if z is not x]
            if any(same_dtype(z.dtype, x.dtype) for z in others):
                yield e.substitute({x: c})


def is_normal(number: float, dtype: Any) -> bool:
    """Whether a dtype holds a number with all its digits."""
    limits = np.finfo(dtype)
    is_between = float(limits.tiny) <= abs(number) <= float(limits.max)
    return is_between and dtype.itemsize <= 8  # else it has more than a float has


def uniform(x: Variable) -> float | None:
    """Return the number that a constant array of floats holds all over."""
    is_constant = x.constant is not None and x.size and x.dtype.kind == "f"
    return x.constant.flat[0].item() if is_constant and is_uniform(x.constant) else None


def _broadcast(e: Equation, look: Lookup) -> Iterator[Any]:
    """Leave broadcasting to functions that do it anyway."""
    for x in e.inputs:
        spread = look(x)
        if spread is None or spread.function is not np.broadcast_to:
            continue
        if isinstance(spread.args[0], Variable) and _broadcasts(e):
            yield e.substitute({x: spread.args[0]})


def _of_one_function(e: Equation, look: Lookup) -> Iterator[Any]:
    """Say what a function does more simply, or that it does nothing."""
    x, *others = e.args
    if e.function is np.multiply and _is_array(x) and not _is_array(*others):
        yield replace(e, args=(*others, x))  # a number stands first
    elif e.function is np.matmul:  # `dot` is called faster
        if all(isinstance(x, Variable) and 1 <= x.ndim <= 2 for x in e.args):
            yield replace(e, function=np.dot)
    elif e.function is np.where and isinstance(x, bool | np.bool_):
        yield others[0] if x else others[1]
    elif e.function is np.transpose:
        axes = tuple(range(e.output.ndim))
        if len(axes) < 2 or others == [axes]:
            yield x
    elif e.function in SAME:
        yield x


def _is_array(x: Any) -> bool:
    """Whether x is neither a known number nor an unknown one."""
    return kind_of(x)[1] is not None and not is_plain_number(x)
