"""The order in which equations are computed, and which outputs share memory."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import replace
from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_edu.compiler.functions import (
    UFUNC_OF,
    assembled,
    astype,
    replaced,
    spread,
)
from tinygrad_edu.compiler.program import Equation, Program, Variable

__all__ = [
    "is_elementwise",
    "is_plain_index",
    "is_view",
    "protect",
    "roots",
    "schedule",
]

VIEWS = {np.transpose, np.reshape, np.broadcast_to}
FRESH = {
    *UFUNC_OF,
    assembled,
    spread,
    astype,
    np.all,
    np.any,
    np.argmax,
    np.argmin,
    np.argsort,
    np.concatenate,
    np.cumprod,
    np.cumsum,
    np.dot,
    np.linalg.inv,
    np.linalg.solve,
    np.mean,
    np.outer,
    np.roll,
    np.stack,
    np.std,
    np.tensordot,
    np.var,
    np.vdot,
    np.where,
    replaced,
}


RAISING = {np.linalg.inv, np.linalg.solve}


def is_view(e: Equation) -> bool:
    """Whether an equation gives a view of its first argument."""
    x = e.args[0] if e.args else None
    if e.function is operator.getitem and is_plain_index(e.args[1]):
        return isinstance(x, Variable) and x.dtype is not None
    return e.function in VIEWS and isinstance(x, Variable)


def is_plain_index(index: Any) -> bool:
    """Whether an index gives a view, and names no element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    kinds = int, slice, type(None), EllipsisType  # a bool is a mask
    return all(type(i) in kinds for i in parts)


def protect(program: Program) -> Program:
    """Copy results that are views of inputs which the program writes to."""
    root = roots(program)
    copies: dict[Variable, Variable] = {}
    for x in program.results():
        if root.get(x, x) in program.updates:
            copies[x] = Variable(x.shape, x.dtype)
    made = [Equation(copy, np.positive, (x,)) for x, copy in copies.items()]
    return replace(
        program,
        equations=(*program.equations, *made),
        outputs=tuple(copies.get(x, x) for x in program.outputs),
        updates={x: copies.get(y, y) for x, y in program.updates.items()},
    )


def roots(program: Program) -> dict[Variable, Variable]:
    """Return for each variable that may be a view the owner of its memory."""
    found: dict[Variable, Variable] = {}
    for e in program.equations:
        if _is_fresh(e):
            continue
        arrays = [x for x in e.inputs if x.dtype is not None or x in found]
        if arrays:
            found[e.output] = found.get(arrays[0], arrays[0])
    return found


def _is_fresh(e: Equation) -> bool:
    """Whether an output surely has memory of its own: many functions give views."""
    f = e.function
    if isinstance(f, np.ufunc) or f in FRESH:
        return True
    return isinstance(getattr(f, "__self__", None), np.ufunc)  # such as np.add.outer


def schedule(program: Program) -> tuple[Program, dict[Variable, Variable]]:
    """Order the equations so that parameters can be updated where they are.

    Returns the program, and for each variable that may be written over an input that
    input. That is done last, so that a call that fails changes nothing.
    """
    able = _able_in_place(program)
    while risky := _risky(program, able):  # what fails shall leave all as it was
        able = {new: target for new, target in able.items() if new not in risky}
    program = _put_last(program, able)
    root = roots(program)
    last_read: dict[Variable, Equation] = {}
    for e in program.equations:
        for x in e.inputs:
            last_read[root.get(x, x)] = e
    place = {e.output: i for i, e in enumerate(program.equations)}
    in_place = {
        new: target
        for new, target in able.items()
        if target not in last_read or place[last_read[target].output] <= place[new]
    }
    return _put_last(program, in_place), in_place


def _able_in_place(program: Program) -> dict[Variable, Variable]:
    """Return the new values that can be written over an input, once nobody reads it."""
    definitions = program.definitions()
    outputs = {x for x in program.outputs if isinstance(x, Variable)}
    able: dict[Variable, Variable] = {}
    for target, new in program.updates.items():
        definition = definitions.get(new)
        is_taken = new in able or new in outputs
        if definition is not None and is_elementwise(definition) and not is_taken:
            able[new] = target
    return able


def _risky(program: Program, able: dict[Variable, Variable]) -> set[Variable]:
    """Return the new values that something needs which may raise."""
    behind: dict[Variable, set[Variable]] = {}  # the new values behind each variable
    for e in program.equations:
        news = set().union(*(behind.get(x, set()) for x in e.inputs))
        is_safe = is_elementwise(e) or is_view(e) or e.function in FRESH - RAISING
        if news and not is_safe:
            return news
        if e.output in able:
            news = news | {e.output}
        if news:
            behind[e.output] = news
    return set()


def _put_last(program: Program, late: Iterable[Variable]) -> Program:
    """Put some equations last, with what needs them; keep the order otherwise."""
    late = set(late)
    early, last = list[Equation](), list[Equation]()
    for e in program.equations:
        if e.output in late or not late.isdisjoint(e.inputs):
            late.add(e.output)
            last.append(e)
        else:
            early.append(e)
    return replace(program, equations=(*early, *last))


def is_elementwise(e: Equation) -> bool:
    return isinstance(e.function, np.ufunc) and e.function.signature is None
