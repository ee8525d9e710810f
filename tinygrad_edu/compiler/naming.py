"""Names of a program's variables: those that `formulas` gives the quantities.

`label_variables` asks for them while the graph is there; `name_variables` makes
identifiers of them, none twice. The cotangent of z1 is delta1, that of W1 is dW1.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np

from tinygrad_edu.compiler.namespace import Namespace, identifier
from tinygrad_edu.compiler.program import Program, Variable
from tinygrad_edu.engine.graph import Node, new_constant, topological_order
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.formulas.naming import Taken, names_of
from tinygrad_edu.formulas.quantities import Quantities

__all__ = ["label_variables", "name_variables", "short_path"]


def label_variables(
    tape: Any, given: Collection[Variable], outputs: Collection[Any]
) -> None:
    """Label the variables with the names of what they stand for.

    The names are those that `explain` gives: of the graph that a walk back began at, or
    else of the graph of the outputs.
    """
    trains = bool(tape.roots)
    things: dict[int, Any] = {}  # what stands in the graph, by the id of what was used
    variables: dict[int, Variable] = {}  # by the id of what stands in the graph
    scope: dict[str, Any] = {}  # what the user calls arrays

    def enter(x: Any, thing: Any, variable: Variable) -> Any:
        things[id(x)], variables[id(thing)] = thing, variable
        return thing

    def standing(x: Any) -> Any:
        if not isinstance(x, Node) or id(x) in things:
            return things.get(id(x), x)
        variable = tape.place(x).first
        # A view, since one array may be given as two arguments.
        thing = x if type(x) is Tensor else x.array.view()
        if isinstance(variable.label, str):
            scope.setdefault(identifier(variable.label), thing)
        return enter(x, thing, variable)

    ends: dict[Variable, Node] = {}
    for result, variable, op, inputs, params in tape.applied:
        if trains and not result.requires_grad:  # a constant of the graph
            enter(result, result if type(result) is Tensor else result.array, variable)
            continue
        node = new_constant(Tensor, result.array)
        node.op, node.params, node.name = op, params, result.name
        node.inputs = tuple(map(standing, inputs))
        node.requires_grad = node.array.dtype.kind == "f"
        if hasattr(result, "calls"):
            node.calls = result.calls
        ends[variable] = enter(result, node, variable)
    roots = [things[id(root)] for root in tape.roots if id(root) in things]
    if not trains:
        roots = [ends[x] for x in outputs if isinstance(x, Variable) and x in ends]
    if not roots:
        return
    (end, *others) = dict.fromkeys(roots)
    if others:
        end = new_constant(Tensor, np.zeros(()))
        end.inputs = tuple(roots)
    names = names_of(end, variables=scope)
    if trains:
        # What else the program is given has a name already, too.
        taken = {-i: identifier(str(x.label)) for i, x in enumerate(given, 1)}
        names = Quantities(topological_order(end), taken | names).names
    for key, variable in variables.items():
        if key in names and not isinstance(variable.label, tuple):
            variable.label = names[key]


def name_variables(program: Program, taken: Taken | None = None) -> dict[Variable, str]:
    """Return a name for every variable of a program, none twice, and none that's taken.

    What has no label is numbered: t1, t2, ... is computed, c1, c2, ... are constants.
    """
    names: dict[Variable, str] = {}
    known = Namespace(program).taken if taken is None else taken

    def give(x: Variable, name: str) -> None:
        if x not in names:
            names[x] = known.unused(name)

    for x in program.inputs:
        give(x, identifier(str(x.label or "x")))
    for e in program.equations:
        label = e.output.label
        if isinstance(label, str) and re.fullmatch(r"\w+([.]\w+)*", label):
            is_number = re.fullmatch(r"[ct]\d+", label)
            give(e.output, label if is_number else identifier(label))
    outputs = [x for x in program.outputs if isinstance(x, Variable)]
    for i, x in enumerate(outputs):
        if not isinstance(x.label, tuple):
            give(x, f"y{i + 1}" if len(outputs) > 1 else "y")
    for target, x in program.updates.items():
        give(x, f"new_{names[target]}")
    for e in program.equations:
        of = e.output.label
        # Else the same came up forward, or nothing is known of what it belongs to.
        if isinstance(of, tuple) and e.origin.rule and of[1] in names:
            name = names[of[1]]
            delta = re.sub(r"^z(?=\d+$)", "delta", name)
            give(e.output, delta if delta != name else f"d{name}")
    for e in program.equations:
        for x in (e.output, *e.inputs):
            if x not in names:
                names[x] = known.numbered("t" if x.constant is None else "c")
    return names


def short_path(path: str) -> str:
    """Say "lr" for "optimiser.lr", "m_0" for "optimiser.state['m'][0]"."""
    words: list[str] = re.findall(r"\w+", path)
    if not words:
        return "x"
    return "_".join(words[-2:]) if words[-1].isdigit() else words[-1]
