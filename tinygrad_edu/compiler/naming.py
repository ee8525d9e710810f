"""Names as the textbook has them: z1, a1, delta2, dW1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from tinygrad_edu.compiler.namespace import Namespace, free, identifier
from tinygrad_edu.compiler.program import Program, Variable
from tinygrad_edu.formulas.naming import ACTIVATIONS

__all__ = ["name_variables"]

SUMS = {"add", "subtract", "linear"}


def name_variables(
    program: Program, taken: Collection[str] | None = None
) -> dict[Variable, str]:
    """Return a name for every variable of a program, none twice, and none that's taken.

    The inputs of activations, and the outputs of layers, are z1, z2, ..., the
    activations' outputs a1, a2, ...; the cotangent of z is a delta, that of any other
    variable x is dx.
    """
    names: dict[Variable, str] = {}
    known = set(Namespace(program).taken if taken is None else taken)

    def give(x: Variable, name: str) -> None:
        if x not in names:
            names[x] = free(name, known)
            known.add(names[x])

    for x in program.inputs:
        give(x, identifier(_short(str(x.label or "x"))))
    for x, name in _layers(program).items():
        give(x, name)
    outputs = [x for x in program.outputs if isinstance(x, Variable)]
    scalars = [x for x in outputs if x.shape == () and x.dtype is not None]
    for x in scalars[:1] if _trains(program) else ():
        give(x, "loss")
    for target, x in program.updates.items():
        give(x, f"new_{names[target]}")
    definitions = program.definitions()
    for e in program.equations:
        of = e.output.label
        if isinstance(of, tuple) and e.origin.rule:  # else the same came up forward
            name = names.get(_first_term(of[1], definitions, names), "")
            give(e.output, re.sub("^z", "delta", name) if _is_z(name) else f"d{name}")
    for i, x in enumerate(outputs):
        give(x, f"y{i + 1}" if len(outputs) > 1 else "y")
    counts = Counter[str]()
    for e in program.equations:
        for x in (e.output, *e.inputs):
            if x not in names:
                letter = "t" if x.constant is None else "c"
                counts[letter] += 1
                give(x, f"{letter}{counts[letter]}")
    return names


def _first_term(x: Variable, definitions: Any, names: dict[Variable, str]) -> Variable:
    """Go back to what has a name through sums, whose terms have the sum's cotangent."""
    while x not in names and (e := definitions.get(x)) is not None:
        if e.function not in (np.add, np.subtract) or e.origin.op not in SUMS:
            break
        (x,) = [z for z in e.args if isinstance(z, Variable)][:1] or [x]
    return x


def _is_z(name: str) -> bool:
    return re.fullmatch(r"z\d+", name) is not None


def _trains(program: Program) -> bool:
    return any(isinstance(e.output.label, tuple) for e in program.equations)


def _short(path: str) -> str:
    """Say "lr" for "optimiser.lr", "m_0" for "optimiser.state['m'][0]"."""
    words: list[str] = re.findall(r"\w+", path)
    if not words:
        return "x"
    return "_".join(words[-2:]) if words[-1].isdigit() else words[-1]


def _layers(program: Program) -> dict[Variable, str]:
    """Find what each layer computes: its z, and its a."""
    found: dict[Variable, str] = {}
    layer = 0
    definitions = program.definitions()
    uses = program.uses()
    for e in program.equations:
        op, x = e.origin.op, e.output
        if op not in ACTIVATIONS | {"linear"} or x.ndim == 0:
            continue
        readers = uses.get(x, [])
        inside = [r for r in readers if r.origin == e.origin]
        if inside or (op == "linear" and e.origin.rule):  # not yet its answer
            continue
        if op == "linear":
            layer += 1
            found[x] = f"z{layer}"
            continue
        z = _source(x, e.origin, definitions)
        if z in program.inputs:
            continue
        if z not in found:
            if e.origin.rule:
                continue
            layer += 1
            found[z] = f"z{layer}"
        found.setdefault(x, found[z].replace("z", "a"))
    return found


def _source(x: Variable, origin: Any, definitions: dict[Variable, Any]) -> Variable:
    """Go back from an activation's answer to what it was applied to."""
    while (e := definitions.get(x)) is not None and e.origin == origin:
        arrays = (z for z in e.inputs if z.dtype is not None and z.constant is None)
        x = next(arrays)
    return x
