"""In which order equations are computed, and where what they give may be kept."""

from __future__ import annotations

import heapq
import operator
from dataclasses import replace
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

__all__ = ["is_elementwise", "is_plain_index", "is_view", "protect", "roots", "schedule"]

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
    np.stack,
    np.std,
    np.tensordot,
    np.var,
    np.vdot,
    np.where,
    replaced,
}


def is_view(e: Equation) -> bool:
    """Whether an equation only looks at memory in another way."""
    x = e.args[0] if e.args else None
    if e.function is operator.getitem and is_plain_index(e.args[1]):
        return isinstance(x, Variable) and x.dtype is not None
    return e.function in VIEWS and isinstance(x, Variable)


def is_plain_index(index: Any) -> bool:
    """Whether an index gives a view, and names no element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(i, int | slice | None) or i is Ellipsis for i in parts)


def protect(program: Program) -> Program:
    """Copy what is given out, where it looks at memory that will be written to."""
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
    """Return for each variable that may be a view the one whose memory it looks at."""
    found: dict[Variable, Variable] = {}
    for e in program.equations:
        arrays = [x for x in e.inputs if x.dtype is not None or x in found]
        if arrays and not _is_fresh(e):
            found[e.output] = found.get(arrays[0], arrays[0])
    return found


def _is_fresh(e: Equation) -> bool:
    """Whether an output surely has memory of its own: many functions give views."""
    of_ufunc = isinstance(getattr(e.function, "__self__", None), np.ufunc)
    return isinstance(e.function, np.ufunc) or of_ufunc or e.function in FRESH


def schedule(program: Program) -> tuple[Program, dict[Variable, Variable]]:
    """Order the equations so that parameters can be updated where they are.

    Returns the program, and for each variable that may be written over an input that
    input. That is done last, so that a call that fails changes nothing.
    """
    definitions = program.definitions()
    root = roots(program)
    readers: dict[Variable, list[int]] = {}
    for i, e in enumerate(program.equations):
        for x in e.inputs:
            readers.setdefault(root.get(x, x), []).append(i)
    place = {e.output: i for i, e in enumerate(program.equations)}
    before: dict[int, set[int]] = {
        i: {place[x] for x in e.inputs if x in place}
        for i, e in enumerate(program.equations)
    }
    in_place: dict[Variable, Variable] = {}
    for target, new in program.updates.items():
        definition = definitions.get(new)
        taken = new in in_place or new in program.outputs
        if definition is None or taken or not is_elementwise(definition):
            continue
        mine = place[new]
        others = {i for i in readers.get(target, []) if i != mine}
        if any(mine in _behind(i, before) for i in others):
            continue  # something reads the new value and the old one
        in_place[new] = target
        before[mine] |= others
    late = {place[x] for x in in_place}
    for i in range(len(program.equations)):
        if not late.isdisjoint(before[i]):
            late.add(i)
    order = _topological(before, late)
    equations = tuple(program.equations[i] for i in order)
    return replace(program, equations=equations), in_place


def is_elementwise(e: Equation) -> bool:
    return isinstance(e.function, np.ufunc) and e.function.signature is None


def _behind(i: int, before: dict[int, set[int]]) -> set[int]:
    found: set[int] = set()
    stack = [i]
    while stack:
        new = before[stack.pop()] - found
        found |= new
        stack += new
    return found


def _topological(before: dict[int, set[int]], late: set[int]) -> list[int]:
    """Keep the order where possible; put what is late as late as it can be."""
    after: dict[int, list[int]] = {}
    missing = {i: len(b) for i, b in before.items()}
    for i, b in before.items():
        for j in b:
            after.setdefault(j, []).append(i)
    ready = [(i in late, i) for i, n in missing.items() if n == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        _, i = heapq.heappop(ready)
        order.append(i)
        for j in after.get(i, ()):
            missing[j] -= 1
            if missing[j] == 0:
                heapq.heappush(ready, (j in late, j))
    return order
