"""Name the quantities of a graph, with the user's names or the textbook's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import ModuleCall, Node, topological_order, value_of
from tinygrad_edu.support.printable import name_of, printable, type_name

__all__ = ["ACTIVATIONS", "Taken", "names_of", "needs_gradient", "quantities"]

# Functions of a layer's z whose answer is the layer's a.
ACTIVATIONS = {"sigmoid", "tanh", "relu", "softplus", "softmax", "exp"}


class Taken:
    """The names that are taken, for choosing others.

    Examples
    --------
    >>> taken = Taken(["w", "t1"])
    >>> taken.unused("w"), taken.unused("w"), taken.unused("b")
    ('w_2', 'w_3', 'b')
    >>> taken.numbered("t"), taken.numbered("t")
    ('t2', 't3')
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = set(names)
        self._last = Counter[str]()  # the number that was tried last, by stem

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def take(self, names: Iterable[str]) -> None:
        self._names.update(names)

    def unused(self, name: str) -> str:
        """Take the name, with a number if someone has it already, and return it."""
        if name in self._names:
            self._last[f"{name}_"] = max(self._last[f"{name}_"], 1)
            return self.numbered(f"{name}_")
        self._names.add(name)
        return name

    def numbered(self, stem: str) -> str:
        """Take the stem with the next free number, t1, t2, ..., and return it."""
        while True:
            self._last[stem] += 1
            name = f"{stem}{self._last[stem]}"
            if name not in self._names:
                self._names.add(name)
                return name


def _op(x: Any) -> Any:
    return x.op if isinstance(x, Node) else None


def needs_gradient(x: Any) -> bool:
    """Whether the backward pass goes to a quantity."""
    return isinstance(x, Node) and x.requires_grad


def quantities(nodes: Sequence[Node]) -> list[Any]:
    """Return the nodes, and the arrays that went into them, in the order of use.

    Parameters
    ----------
    nodes : list of Tensor
        A graph, newest first.
    """
    found = {}
    for node in reversed(nodes):
        for x in (*node.inputs, node):
            if isinstance(x, Node | np.ndarray):
                found[id(x)] = x
    return list(found.values())


def names_of(
    y: Node, frame: FrameType | None = None, variables: Mapping[str, Any] | None = None
) -> dict[int, str]:
    """Return names by `id` for the quantities that `y` depends on, if they have one.

    The first choice is a Tensor's own ``.name``, then its path in the module whose
    parameter it is, then the variable that holds it in the user's program. The result
    of a layer is z1, z2, ..., that of its activation a1, a2, ...; an array that goes
    into a layer is x. No name is given twice.

    Parameters
    ----------
    y : Tensor
        The end of the graph.
    frame : frame, optional
        The user's frame, whose variables are searched.
    variables : dict, optional
        More variables, by name.
    """
    newest_first = topological_order(y)
    nodes, every = newest_first[::-1], quantities(newest_first)
    names: dict[int, str] = {}
    taken = Taken()

    def give(x: Any, name: str) -> None:
        if id(x) not in names:
            names[id(x)] = taken.unused(name)

    for x in every:
        if own := name_of(x):
            give(x, own)
    scopes = [variables or {}]
    if frame is not None:
        scopes += [frame.f_locals, frame.f_globals]
    called = _by_id(scopes)
    for x, path in _paths(nodes, called):
        give(x, path)
    for x in every:
        name = called.get(id(x)) or called.get(id(value_of(x)))
        if name is not None:
            give(x, printable(name))
    layers = _layers(nodes)
    for node in nodes:
        if node in layers:
            give(node, f"z{layers[node]}")
            if node.op.name == "linear" and not _op(node.inputs[0]):
                give(node.inputs[0], "x")
        elif node.op is not None and node.op.name in ACTIVATIONS:
            z = names.get(id(node.inputs[0]), "")
            if z[:1] == "z" and z[1:].isdigit():
                give(node, f"a{z[1:]}")
    return names


def _by_id(scopes: Iterable[Mapping[str, Any]]) -> Mapping[int, str]:
    """Find the names of variables by what they hold, the innermost scope first."""
    found: dict[int, str] = {}
    for scope in scopes:
        for name, x in scope.items():
            if name.isidentifier() and not name.startswith("_"):
                found.setdefault(id(x), name)
    return found


def _paths(
    nodes: list[Node], variables: Mapping[int, str]
) -> Iterator[tuple[Node, str]]:
    """Give the parameters of the modules that were called, and the paths to them.

    Outer modules come first. A path begins with the module's own name, that of its
    variable or class, if there are several modules, or if it would begin with a digit.
    """
    calls = (ModuleCall(*call) for node in nodes for call in getattr(node, "calls", ()))
    by_start = sorted(calls, key=lambda call: call.start)
    modules = {id(call.module): call.module for call in by_start}
    found: dict[Node, tuple[Any, str]] = {}
    for reference in modules.values():
        if (module := reference()) is not None:
            with suppress(ValueError):  # two parameters have the same path
                for path, x in module.named_parameters().items():
                    found.setdefault(x, (module, path))
    several = len({id(module) for module, _ in found.values()}) > 1
    for x, (module, path) in found.items():
        if several or path[:1].isdigit():
            own = variables.get(id(module), type_name(module).lower())
            path = f"{own}.{path}"
        yield x, printable(path)


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
