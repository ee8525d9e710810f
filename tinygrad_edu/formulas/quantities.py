"""The quantities of a graph: what each is called, and how it was computed.

All that is told of a graph, `explain`'s table, the picture and the page of
`step_through`, takes its names and its formulas from here.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import Node, value_of
from tinygrad_edu.engine.op import OPS
from tinygrad_edu.formulas.algebra import (
    Applied,
    Derivative,
    Formula,
    Name,
    Product,
    minus,
    number,
    plus,
    read,
)
from tinygrad_edu.formulas.naming import Taken, needs_gradient, quantities
from tinygrad_edu.formulas.shares import Share
from tinygrad_edu.formulas.writing import in_text

__all__ = ["Quantities"]

Array = np.ndarray[Any, Any]


class Quantities:
    """The names and the formulas of all quantities of a graph.

    What has no name yet is numbered in the order of use: t1, t2, ... is computed, x1,
    x2, ... are leaves, c1, c2, ... constants and m1, m2, ... masks. The end is y, or
    loss. A constant that was made of another without being recorded is written as that:
    1 - y in cross-entropy, and x^T. A plain number has no name.

    Parameters
    ----------
    nodes : list of Tensor
        The graph, newest first.
    given : dict of int to str
        The names that there are, by `id`: see `names_of`.

    Attributes
    ----------
    names : dict of int to str
        All names, by `id`.
    known : dict of int to Formula
        What stands for each quantity in formulas, by `id`.
    constants : list of Name
        The arrays that went in, and those that rules made of them.
    leaves : list
        The Tensors and arrays with a name that no op computed.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.engine.graph import topological_order
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> nodes = topological_order(tg.sum(x * [3.0, 4.0]))
    >>> found = Quantities(nodes, {id(x): "x"})
    >>> [f"{found.name(z)} = {in_text(found.formula(z))}" for z in nodes if z.op]
    ['y = sum(t1)', 't1 = x * c1']
    """

    def __init__(self, nodes: Sequence[Node], given: Mapping[int, str]) -> None:
        self.nodes, self.given = nodes, given
        self.y = nodes[0]
        self.names = dict(given)
        self.constants: list[Name] = []
        self._taken = Taken(given.values())
        self._complements = _complements(reversed(nodes))
        self._alike: dict[Any, Any] = {}  # constants by where they are in memory
        self._formulas: dict[int, Formula] = {}
        if id(self.y) not in given:
            free = [name for name in ("y", "loss") if name not in given.values()]
            for name in free[:1]:
                self.names[id(self.y)] = self._taken.unused(name)
        self._all = quantities(nodes)
        for x in self._all:
            if isinstance(x, Node) and x.requires_grad:
                if id(x) not in self.names:
                    self.names[id(x)] = self._taken.numbered("t" if x.op else "x")
            elif id(x) in given or value_of(x).ndim:
                self._name_constant(x)

    @cached_property
    def known(self) -> dict[int, Formula]:
        for x in self._all:
            if id(x) in self.names:
                self._stands_for(x)
        return self._formulas

    @property
    def leaves(self) -> list[Any]:
        named = (x for x in self._all if id(x) in self.names)
        return [x for x in named if not (isinstance(x, Node) and x.op is not None)]

    def _name_constant(self, x: Any) -> None:
        """Name a constant; one that was made of another is written as that."""
        if id(x) not in self.names:
            formula = self._made_of(x)
            if formula is not None:
                self._formulas[id(x)] = formula
                self.names[id(x)] = in_text(formula)
                return
            self.names[id(x)] = self._taken.numbered(_letter(x))
        self._alike.setdefault(_layout(value_of(x)), x)

    def _made_of(self, x: Any) -> Formula | None:
        """Recognise an array that was made of another one without being recorded."""
        if isinstance(x, Node):
            return None
        if id(x) in self._complements:
            y = self._stands_for(self._complements[id(x)])
            return plus(number(1), minus(y))
        of = self._alike.get(_layout(x.T)) if x.ndim > 1 else None
        if of is None:
            return None
        argument = self._stands_for(of)
        return Applied(x.shape, OPS["transpose"], (argument,), {"axes": None}, "")

    def _stands_for(self, x: Any) -> Formula:
        """Return what stands for a quantity, which has a name, in formulas."""
        formula = self._formulas.get(id(x))
        if formula is None:
            value, constant = value_of(x), not needs_gradient(x)
            formula = Name(value.shape, self.name(x), value, constant=constant)
            self._formulas[id(x)] = formula
            if not isinstance(x, Node):
                self.constants.append(formula)
        return formula

    def name(self, x: Any) -> str:
        return self.names[id(x)]

    def constant(self, array: Array) -> Formula:
        """Return what stands for an array, which a rule may have made of others."""
        self._name_constant(array)
        return self._stands_for(array)

    def read(self, x: Any, known: Mapping[int, Formula]) -> Formula:
        """Write down how `x` was computed, down to what is known."""
        return read(x, known, self.constant)

    def formula(self, node: Node) -> Formula:
        """Return how a node was computed from its inputs."""
        itself = self.known.pop(id(node))
        formula = self.read(node, self.known)
        self.known[id(node)] = itself
        return formula

    def gradient(self, x: Node, value: Any = None, **how: Any) -> Derivative:
        """Return the derivative of the last quantity with respect to another."""
        return Derivative(x.data.shape, value, self.name(self.y), self.name(x), **how)

    def slope(self, y: Node, x: Node, factor: Formula, **how: Any) -> Derivative:
        """Return dy/dx where that is a factor, element by element."""
        is_number = isinstance(factor, Product) and not factor.factors
        same = is_number and y.data.shape == x.data.shape
        shape = () if same else x.data.shape
        return Derivative(shape, None, self.name(y), self.name(x), **how)

    def cotangent(self, share: Share) -> tuple[Derivative, Formula]:
        """Return the cotangent of a node, and what a rule makes of it for an input."""
        g = self.gradient(share.node, share.g.data)
        known = share.known(self.known) | {id(share.g): g}
        return g, self.read(share.cotangent, ChainMap(known, self.known))

    def name_constants(self, shares: Iterable[Share]) -> None:
        """Name what rules make of constants in the order of the walk back.

        So it has the same names, whoever reads the rules, and in whichever order.
        """
        for share in shares:
            if any(id(x) not in self.known for x in _arrays_in(share)):
                self.cotangent(share)


def _letter(x: Any) -> str:
    if value_of(x).dtype == bool:
        return "m"
    return "t" if isinstance(x, Node) and x.op is not None else "c"


def _layout(array: Array) -> Any:
    """Return where an array lies in memory, and in which order."""
    start = array.__array_interface__["data"]
    return start, array.shape, array.strides, array.dtype.str


def _complements(nodes: Iterable[Node]) -> dict[int, Any]:
    """Find each 1 - y of cross-entropy, by its id, and its y, which came just before.

    The loss has computed it of a constant, which is not recorded.
    """
    found, y = {}, None
    for node in nodes:
        if node.op is not None and node.op.name == "xlogy":
            y = node.inputs[0]
        elif node.op is not None and node.op.name == "xlog1py" and y is not None:
            x = node.inputs[0]
            if not isinstance(x, Node) and np.array_equal(x, 1 - value_of(y)):
                found[id(x)] = y
    return found


def _arrays_in(share: Share) -> Iterator[Array]:
    """Give the arrays that a rule was applied to."""
    stack: list[Any] = [share.cotangent]
    seen = set()
    while stack:
        x = stack.pop()
        if isinstance(x, np.ndarray) and x.ndim:
            yield x
        elif isinstance(x, Node) and x.index > share.g.index and id(x) not in seen:
            seen.add(id(x))
            if x.op is None:
                yield x.data
            stack += x.inputs
