"""Passes: from a program to an equal one that is shorter or faster.

Each is a function from `Program` to `Program`, to be read and tested on its own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.compiler.expressions import literal
from tinygrad_edu.compiler.functions import astype
from tinygrad_edu.compiler.program import (
    Equation,
    Program,
    Variable,
    is_uniform,
    parts,
    same_dtype,
)

__all__ = ["common_subexpressions", "dead_code", "fold_constants", "simplify"]


def dead_code(program: Program) -> Program:
    """Drop what nobody reads."""
    wanted = set(program.results())
    kept: list[Equation] = []
    for e in reversed(program.equations):
        if e.output in wanted:
            kept.append(e)
            wanted.update(e.inputs)
    return replace(program, equations=tuple(reversed(kept)))


def common_subexpressions(program: Program) -> Program:
    """Compute once what is computed twice."""
    first: dict[Any, Variable] = {}
    same: dict[Variable, Any] = {}
    kept: list[Equation] = []
    for e in program.equations:
        e = e.substitute(same)
        key = (e.function, _key(e.args), _key(e.params))
        known = first.setdefault(key, e.output)
        if known is e.output:
            kept.append(e)
        else:
            same[e.output] = known
            known.label = known.label or e.output.label
    return replace(program, equations=tuple(kept)).substitute(same)


def _key(x: Any) -> Any:
    """What is equal for equal arguments, and can be looked up."""
    if isinstance(x, dict):
        return tuple((name, _key(part)) for name, part in x.items())
    if isinstance(x, tuple | list):
        return (type(x), *map(_key, x))
    if isinstance(x, slice):
        return ("slice", _key(x.start), _key(x.stop), _key(x.step))
    if isinstance(x, Variable):
        return id(x if x.constant is None else x.constant)
    # 2 is not 2.0 here, and 0.0 not -0.0; what no text tells apart is only itself.
    return (type(x), literal(x) or id(x))


def fold_constants(program: Program) -> Program:
    """Compute now what needs numbers only."""
    known: dict[Variable, Any] = {}
    kept: list[Equation] = []
    for e in program.equations:
        e = e.substitute(known)
        if not e.inputs and all(_is_scalar(x) for x in parts(e.args, e.params)):
            with np.errstate(all="ignore"):
                value = e.function(*e.args, **e.params)
            if _is_scalar(value):
                known[e.output] = value
                continue
        kept.append(e)
    return replace(program, equations=tuple(kept)).substitute(known)


def _is_scalar(x: Any) -> bool:
    return type(x) in (int, float) or isinstance(x, np.number)


def simplify(program: Program) -> Program:
    """Apply the laws of algebra that make one equation simpler, until none does."""
    while True:
        before = program.equations
        definitions: dict[Variable, Equation] = {}
        same: dict[Variable, Any] = {}
        kept = []
        for e in before:
            e = e.substitute(same)
            law = LAWS.get(e.function)
            simpler = law(e, definitions.get) if law else e
            if isinstance(simpler, Equation):
                kept.append(simpler)
                definitions[e.output] = simpler
            elif _agrees(simpler, e.output):
                same[e.output] = simpler
                if isinstance(simpler, Variable):
                    simpler.label = simpler.label or e.output.label
            else:
                kept.append(e)
                definitions[e.output] = e
        program = dead_code(replace(program, equations=tuple(kept)).substitute(same))
        if len(kept) == len(before) and all(a is b for a, b in zip(kept, before)):
            return program


def _agrees(x: Any, output: Variable) -> bool:
    """Whether x may stand for an output: it is of its shape and dtype."""
    shape = x.shape if isinstance(x, Variable) else ()
    dtype = getattr(x, "dtype", None)
    return shape == output.shape and same_dtype(dtype, output.dtype)


# Laws: each takes an equation, and what gives the equation behind a variable. It gives
# a simpler equation, or what the output is equal to, or what it got.
Lookup = Callable[[Any], Equation | None]
Law = Callable[[Equation, Lookup], Any]
LAWS: dict[Any, Law] = {}


def law(*functions: Any) -> Callable[[Law], Law]:
    def enter(law: Law) -> Law:
        for function in functions:
            LAWS[function] = law
        return law

    return enter


def _by(function: Any, x: Any, look: Lookup) -> Equation | None:
    """Return the equation behind x if it is of a function."""
    e = look(x) if isinstance(x, Variable) else None
    return e if e is not None and e.function is function else None


def _is(x: Any, number: float) -> bool:
    return _is_scalar(x) and x == number


@law(np.positive)
def _positive(e: Equation, look: Lookup) -> Any:
    return e.args[0]


@law(np.negative)
def _negative(e: Equation, look: Lookup) -> Any:
    (x,) = e.args
    if twice := _by(np.negative, x, look):
        return twice.args[0]
    if difference := _by(np.subtract, x, look):
        a, b = difference.args
        return replace(e, function=np.subtract, args=(b, a))
    return e


@law(np.multiply, operator.mul)
def _multiply(e: Equation, look: Lookup) -> Any:
    a, b = e.args
    if _is_scalar(b):
        a, b = b, a  # a number stands first
    if _is(a, 1):
        return b if _agrees(b, e.output) else e
    if _is(a, -1) and _agrees(b, e.output):
        return replace(e, function=np.negative, args=(b,))
    if e.function is np.multiply and is_scalar_operand(a):
        if inner := _by(np.multiply, b, look):
            c, x = inner.args
            if is_scalar_operand(c) and _is_scalar(a) and _is_scalar(c):
                return replace(e, args=(_product(a, c), x))
        if _is_scalar(a) and (minus := _by(np.negative, b, look)):
            return replace(e, args=(-a, minus.args[0]))
    if _by(np.negative, a, look) and _by(np.negative, b, look):
        return replace(e, args=(look(a).args[0], look(b).args[0]))  # type: ignore[union-attr]
    return e if (a, b) == e.args or a is e.args[0] else replace(e, args=(a, b))


def is_scalar_operand(x: Any) -> bool:
    """Whether x is a number, known or not: no array."""
    return _is_scalar(x) or (isinstance(x, Variable) and x.dtype is None)


def _product(a: Any, c: Any) -> Any:
    """The product of two numbers, as a Python number; the result's dtype is x's."""
    return float(a) * float(c)


@law(np.divide, operator.truediv)
def _divide(e: Equation, look: Lookup) -> Any:
    a, b = e.args
    if _is(b, 1) and _agrees(a, e.output):
        return a
    if _is_scalar(b) and isinstance(a, Variable) and _power_of_two(b):
        return replace(e, function=np.multiply, args=(1 / float(b), a))
    if _is(a, 1) and isinstance(b, Variable) and same_dtype(b.dtype, e.output.dtype):
        return replace(e, function=np.reciprocal, args=(b,)) if b.ndim else e
    return e


def _power_of_two(x: Any) -> bool:
    return bool(np.isfinite(x) and x and np.frexp(abs(float(x)))[0] == 0.5)


@law(np.add, operator.add)
def _add(e: Equation, look: Lookup) -> Any:
    a, b = e.args
    for x, other in ((a, b), (b, a)):
        if _is(x, 0) and _agrees(other, e.output):
            return other
    if minus := _by(np.negative, b, look):
        return replace(e, function=np.subtract, args=(a, minus.args[0]))
    if minus := _by(np.negative, a, look):
        return replace(e, function=np.subtract, args=(b, minus.args[0]))
    return e


@law(np.subtract, operator.sub)
def _subtract(e: Equation, look: Lookup) -> Any:
    a, b = e.args
    if _is(b, 0) and _agrees(a, e.output):
        return a
    if minus := _by(np.negative, b, look):
        return replace(e, function=np.add, args=(a, minus.args[0]))
    return e


@law(np.power)
def _power(e: Equation, look: Lookup) -> Any:
    a, b = e.args
    if _is(b, 1) and _agrees(a, e.output):
        return a
    if _is(b, 2) and isinstance(a, Variable) and same_dtype(a.dtype, e.output.dtype):
        return replace(e, function=np.square, args=(a,))
    return e


@law(np.transpose)
def _transpose(e: Equation, look: Lookup) -> Any:
    x, *axes = e.args
    if axes:
        return x if axes == [tuple(range(e.output.ndim))] else e
    inner = _by(np.transpose, x, look)
    return e if inner is None or len(inner.args) > 1 else inner.args[0]


@law(np.reshape)
def _reshape(e: Equation, look: Lookup) -> Any:
    x, shape = e.args
    if isinstance(x, Variable) and x.shape == e.output.shape:
        return x
    if inner := _by(np.reshape, x, look):
        return replace(e, args=(inner.args[0], shape))
    return e


@law(np.broadcast_to)
def _broadcast_to(e: Equation, look: Lookup) -> Any:
    return e.args[0] if _agrees(e.args[0], e.output) else e


@law(astype)
def _astype(e: Equation, look: Lookup) -> Any:
    return e.args[0] if _agrees(e.args[0], e.output) else e


@law(np.sum, np.prod, np.max, np.min)
def _reduction(e: Equation, look: Lookup) -> Any:
    x = e.args[0]
    return x if isinstance(x, Variable) and x.ndim == 0 else e


@law(np.matmul)
def _matmul(e: Equation, look: Lookup) -> Any:
    if all(isinstance(x, Variable) and 1 <= x.ndim <= 2 for x in e.args):
        return replace(e, function=np.dot)
    return e


@law(np.where)
def _where(e: Equation, look: Lookup) -> Any:
    condition, a, b = e.args
    if a is b:
        return a
    if isinstance(condition, bool | np.bool_):
        return a if condition else b
    if inverted := _by(np.invert, condition, look):
        return replace(e, args=(inverted.args[0], b, a))
    if (inner := _by(np.where, a, look)) and inner.args[0] is condition:
        return replace(e, args=(condition, inner.args[1], b))
    if (inner := _by(np.where, b, look)) and inner.args[0] is condition:
        return replace(e, args=(condition, a, inner.args[2]))
    return e


def uniform_constants(program: Program) -> Program:
    """Where a constant array holds one number all over, let the number be there."""
    kept = []
    for e in program.equations:
        if isinstance(e.function, np.ufunc) and e.function.signature is None:
            args = tuple(_uniform(x, e) for x in e.args)
            if any(a is not b for a, b in zip(args, e.args)):
                e = replace(e, args=args)
        kept.append(e)
    return replace(program, equations=tuple(kept))


def _uniform(x: Any, e: Equation) -> Any:
    if not isinstance(x, Variable) or x.constant is None or x.constant.size == 0:
        return x
    others = [z for z in e.args if z is not x and isinstance(z, Variable)]
    first = x.constant.flat[0]
    if (
        x.dtype.kind == "f"
        and any(z.shape == e.output.shape and z.dtype == x.dtype for z in others)
        and is_uniform(x.constant)
    ):
        return first.item()
    return x


def use_broadcasting(program: Program) -> Program:
    """Leave broadcasting to elementwise functions, where they do it anyway."""
    definitions = program.definitions()
    kept = []
    for e in program.equations:
        if isinstance(e.function, np.ufunc) and e.function.signature is None:
            args = list(e.args)
            for i, x in enumerate(args):
                spread = _by(np.broadcast_to, x, definitions.get)
                if spread is None or not isinstance(spread.args[0], Variable):
                    continue
                args[i] = spread.args[0]
                shapes = [
                    np.shape(z) if not isinstance(z, Variable) else z.shape
                    for z in args
                ]
                if np.broadcast_shapes(*shapes) != e.output.shape:
                    args[i] = x
            if any(a is not b for a, b in zip(args, e.args)):
                e = replace(e, args=tuple(args))
        kept.append(e)
    return replace(program, equations=tuple(kept))
