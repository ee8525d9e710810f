"""Name the quantities of a graph, with the user's names or the textbook's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import Node, topological_order, value_of
from tinygrad_edu.support.printable import name_of, printable

__all__ = ["ACTIVATIONS", "is_transposed", "names_of"]

# Functions of a layer's z whose answer is the layer's a.
ACTIVATIONS = {"sigmoid", "tanh", "relu", "softplus", "softmax", "exp"}


def names_of(y: Node, frame: FrameType | None = None) -> dict[int, str]:
    """Return names by `id` for the quantities that `y` depends on, if they have one.

    The first choice is a Tensor's own ``.name``, the second the variable that holds it
    in the user's program. The result of a layer is z1, z2, ..., that of its activation
    a1, a2, ...; an array that goes into a layer is x. No name is given twice.

    Parameters
    ----------
    y : Tensor
        The end of the graph.
    frame : frame, optional
        The user's frame, whose variables are searched.
    """
    nodes = topological_order(y)[::-1]
    quantities = list(_quantities(nodes))
    names: dict[int, str] = {}
    taken: dict[str, int] = {}

    def give(x: Any, name: str) -> None:
        if id(x) not in names:
            names[id(x)] = unused(name, taken)

    for x in quantities:
        if own := name_of(x):
            give(x, own)
    variables = _variables(frame)
    for x in quantities:
        name = variables.get(id(x)) or variables.get(id(value_of(x)))
        if name is not None:
            give(x, printable(name))
    layers = _layers(nodes)
    for node in nodes:
        if node in layers:
            give(node, f"z{layers[node]}")
            if node.op.name == "linear":
                give(node.inputs[0], "x")
        elif node.op is not None and node.op.name in ACTIVATIONS:
            z = names.get(id(node.inputs[0]), "")
            if z[:1] == "z" and z[1:].isdigit():
                give(node, f"a{z[1:]}")
    return names


def unused(name: str, taken: dict[str, int]) -> str:
    """Return the name, with a number if it is taken, and note that it is taken now.

    With each name that was asked for stands the last number that was tried.
    """
    choice = name
    while choice in taken:
        taken[name] += 1
        choice = f"{name}_{taken[name]}"
    taken[choice] = 1
    return choice


def _quantities(nodes: list[Node]) -> Iterator[Any]:
    """List the nodes and the arrays that are their inputs, in the order of use."""
    for node in nodes:
        yield from (x for x in node.inputs if isinstance(x, np.ndarray))
        yield node


def _variables(frame: FrameType | None) -> Mapping[int, str]:
    """Find the variables that hold Tensors or arrays, the innermost scope first."""
    found: dict[int, str] = {}
    for scope in (frame.f_locals, frame.f_globals) if frame is not None else ():
        for name, x in scope.items():
            is_public = name.isidentifier() and not name.startswith("_")
            if is_public and isinstance(x, Node | np.ndarray):
                found.setdefault(id(x), name)
    return found


def _layers(nodes: list[Node]) -> dict[Node, int]:
    """Number the layers: each z = x w^T + b, or sum with a product in it."""
    sums: dict[Node, None] = {}
    parts = set[Node]()  # of larger sums
    for node in nodes:
        if node.op is None or node.data.ndim == 0:
            continue
        if node.op.name == "linear":
            sums[node] = None
        elif node.op.name == "add":
            terms = [x for x in node.inputs if isinstance(x, Node) and x.op is not None]
            if any(x in sums or x.op.name in ("dot", "matmul") for x in terms):
                sums[node] = None
                parts.update(x for x in terms if x.op.name == "add")
    ends = (node for node in sums if node not in parts)
    return {node: n for n, node in enumerate(ends, 1)}


def is_transposed(array: np.ndarray[Any, Any], of: np.ndarray[Any, Any]) -> bool:
    """Whether an array is a view of another one with the axes reversed."""
    if array.ndim < 2:
        return False
    start, start_of = (a.__array_interface__["data"] for a in (array, of))
    return (start, array.shape, array.strides) == (start_of, of.T.shape, of.T.strides)
