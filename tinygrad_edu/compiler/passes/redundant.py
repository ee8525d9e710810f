"""Passes that leave out equations: what nobody reads, and what is computed twice.

Each is a function from `Program` to `Program`, to be read and tested on its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinygrad_edu.compiler.expressions import literal
from tinygrad_edu.compiler.program import Equation, Program, Variable

__all__ = ["common_subexpressions", "dead_code"]


def dead_code(program: Program) -> Program:
    """Drop what nobody reads."""
    wanted = set(program.results())
    kept: list[Equation] = []
    for e in reversed(program.equations):
        if e.output in wanted or e.is_check:
            kept.append(e)
            wanted.update(e.inputs)
    if len(kept) == len(program.equations):
        return program
    return replace(program, equations=tuple(reversed(kept)))


def common_subexpressions(program: Program) -> Program:
    """Compute once what is computed twice."""
    first: dict[Any, Variable] = {}
    same: dict[Variable, Any] = {}
    kept: list[Equation] = []
    for e in program.equations:
        e = e.substitute(same)
        key = (e.function, *map(_key, e.args), _key(e.params))
        known = first.setdefault(key, e.output)
        if known is e.output:
            kept.append(e)
        else:
            same[e.output] = known
            known.label = known.label or e.output.label
    return replace(program, equations=tuple(kept)).substitute(same)


def _key(x: Any) -> Any:
    """What is equal for equal arguments, and can be looked up."""
    if type(x) is Variable:  # the usual case
        return id(x if x.constant is None else x.constant)
    if isinstance(x, dict):
        return tuple([(name, _key(part)) for name, part in x.items()])
    if isinstance(x, tuple | list):
        return (type(x), *map(_key, x))
    if isinstance(x, slice):
        return ("slice", _key(x.start), _key(x.stop), _key(x.step))
    # 2 is not 2.0 here, and 0.0 not -0.0; what no text tells apart is only itself.
    return (type(x), literal(x) or id(x))
