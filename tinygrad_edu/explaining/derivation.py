"""Derivations: the backward pass of a graph, written as formulas.

What several ops do to quantities without a name is written into one line: at most one
function that is not linear, so that each line has a derivative that one sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.graph import Node, value_of
from tinygrad_edu.engine.op import OPS
from tinygrad_edu.formulas.algebra import (
    Call,
    Derivative,
    Formula,
    Name,
    in_shape,
    minus,
    number,
    plus,
    read,
    replace,
    times,
    without,
)
from tinygrad_edu.formulas.naming import is_transposed
from tinygrad_edu.formulas.shares import Share, is_linear, walk_back

__all__ = ["Derivation", "Line", "Link"]

LARGEST_LINE = 8  # the ops that are written into one line


def _complements(nodes: Iterable[Node]) -> Iterator[tuple[int, Any]]:
    """Find each 1 - y of cross-entropy, by its id, and the y.

    The loss computed it from a constant, so it is not recorded.
    """
    logs = [x for x in nodes if x.op is not None and x.op.name in ("xlogy", "xlog1py")]
    targets = [x.inputs[0] for x in logs if x.op.name == "xlogy"]
    for node in logs:
        x = node.inputs[0]
        for y in targets if node.op.name == "xlog1py" else ():
            if not isinstance(x, Node) and np.array_equal(x, 1 - value_of(y)):
                yield id(x), y


class Link(NamedTuple):
    """How one quantity depends on another, by the line that defines it.

    Attributes
    ----------
    y, x : Tensor
        The quantity to differentiate, and the one to differentiate with respect to.
    factor : Formula or None
        The derivative dy/dx, where the cotangent is multiplied by it; else None.
    cotangent : Formula
        What `y` adds to the cotangent of `x`, in terms of its own.
    """

    y: Node
    x: Node
    factor: Formula | None
    cotangent: Formula


class Line(NamedTuple):
    """One line of a derivation: a quantity, its formula, and its derivatives."""

    y: Node
    formula: Formula
    links: list[Link]


class Derivation:
    """The lines that lead from the leaves to `y`, newest first, and what they imply.

    Parameters
    ----------
    nodes : list of Tensor
        The graph, newest first.
    names : dict of int to str
        What is called how, by `id`.
    wanted : iterable of Tensor
        Quantities that get a line of their own, with a name or without.

    Attributes
    ----------
    lines : list of Line
    quantities : dict of Node to Name
        All that has a name, constants included.
    constants : list of Name
        The arrays that went into it.
    cotangents : dict of Node to Derivative
        The derivative of the last quantity by each of the others, with its value.
    """

    def __init__(
        self, nodes: list[Node], names: dict[int, str], wanted: Iterable[Node] = ()
    ) -> None:
        self.y = nodes[0]
        self._names = dict(names)
        self._taken = set(names.values())
        self._counts = Counter[str]()
        self._complements = dict(_complements(nodes))
        self._known: dict[int, Formula] = {}
        self.constants: list[Name] = []
        shares, cotangents = walk_back(nodes)
        kept = _lines(nodes, shares, names, {self.y, *wanted})

        self.quantities: dict[Node, Name] = {}
        for letter in ("y", "loss"):
            if letter not in self._taken:
                self._names.setdefault(id(self.y), letter)
                self._taken.add(letter)
        for node in reversed(nodes):
            is_number = not (node.requires_grad or node.data.ndim)
            if node in kept and (id(node) in names or not is_number):
                letter = "t" if node.op else "x" if node.requires_grad else "c"
                self.quantities[node] = self._name(node, letter)
        of = self.quantities[self.y].text
        self.cotangents = {
            node: Derivative(
                node.data.shape, f"d{of}/d{name.text}", cotangents[node], of, name.text
            )
            for node, name in self.quantities.items()
            if node in cotangents
        }
        self.lines = [
            self._line(node, shares, kept)
            for node in nodes
            if node in kept and node.op is not None
        ]
        self._links = {line.y: line.links for line in self.lines}
        self._into: dict[Node, list[Link]] = {}
        for line in self.lines:
            for link in line.links:
                self._into.setdefault(link.x, []).append(link)

    def _name(self, x: Any, letter: str) -> Name:
        """Give a quantity the name it has, or a letter and a number."""
        name = self._names.get(id(x)) or self._names.get(id(value_of(x)))
        while name is None:
            self._counts[letter] += 1
            new = f"{letter}{self._counts[letter]}"
            name = None if new in self._taken else new
        self._names[id(x)] = name
        constant = not (isinstance(x, Node) and x.requires_grad)
        quantity = Name(np.shape(x), name, value_of(x), constant=constant)
        self._known[id(x)] = quantity
        return quantity

    def _constant(self, x: Any) -> Formula:
        """Name an array that went into the graph: c1, or m1 for a mask.

        What was made of another one without being recorded is recognised: 1 - y in
        cross-entropy, and x^T.
        """
        if id(x) in self._complements:
            return plus(number(1), minus(self._read(self._complements[id(x)])))
        for other in self.constants:
            if id(x) not in self._names and is_transposed(x, other.data):
                return Call(x.shape, OPS["transpose"], (other,), {"axes": None}, "")
        name = self._name(x, "m" if x.dtype == bool else "c")
        self.constants.append(name)
        return name

    def _read(self, x: Any) -> Formula:
        return read(x, self._known, self._constant)

    def _line(self, y: Node, shares: dict[Node, list[Share]], kept: set[Node]) -> Line:
        """Differentiate a quantity by those that its line speaks of."""
        name = self._known.pop(id(y))
        formula = self._read(y)
        self._known[id(y)] = name
        cotangents: dict[Node, Formula] = {y: self.cotangents[y]}
        found: dict[Node, Formula] = {}
        inside = [y]
        while inside:
            inside.sort(key=lambda node: node.index)
            node = inside.pop()
            for share in shares[node]:
                self._known |= share.known(self._known)
                self._known[id(share.g)] = cotangents[node]
                cotangent = self._read(share.cotangent)
                is_inside = share.x not in kept
                among = cotangents if is_inside else found
                if share.x in among:
                    among[share.x] = plus(among[share.x], cotangent)
                else:
                    among[share.x] = cotangent
                    if is_inside:
                        inside.append(share.x)
        links = [self._link(y, x, cotangent) for x, cotangent in found.items()]
        return Line(y, formula, sorted(links, key=_place))

    def _link(self, y: Node, x: Node, cotangent: Formula) -> Link:
        g = self.cotangents[y]
        if y is self.y:  # whose own cotangent is 1
            cotangent = replace(cotangent, g, number(1, g.shape))
            return Link(y, x, cotangent, cotangent)
        fits = g.shape in ((), x.data.shape)
        return Link(y, x, without(cotangent, g) if fits else None, cotangent)

    def told(self, link: Link) -> tuple[Derivative, Formula]:
        """Return a derivative and what it is.

        It is dy/dx; or, where no factor will do since `y` sums over elements of `x`,
        what goes through `y` of dL/dx.
        """
        y, x, factor, cotangent = link
        by = self.quantities[x].text
        if factor is None:
            of, via = self.quantities[self.y].text, None
            if len(self._into[x]) > 1:
                via = self.quantities[y].text
            text = f"d{of}/d{by}" + (f" via {via}" if via else "")
            symbol = Derivative(x.data.shape, text, cotangent, of, by, via=via)
            return symbol, cotangent
        of, partial = self.quantities[y].text, self._acts_otherwise(x, y)
        d = "∂" if partial else "d"
        text = f"{d}{of}/{d}{by}"
        return Derivative(x.data.shape, text, factor, of, by, partial), factor

    def paths(self, x: Node, most: int, longest: int) -> list[list[Link]] | None:
        """Return the ways from `y` to `x`; None if there are too many, or too long."""
        ways, longest_to = Counter({self.y: 1}), Counter({self.y: 0})
        for line in self.lines:
            for link in line.links:
                ways[link.x] += ways[line.y]
                longest_to[link.x] = max(longest_to[link.x], longest_to[line.y] + 1)
        if ways[x] > most or longest_to[x] > longest:
            return None
        found = []
        unfinished: list[tuple[Node, list[Link]]] = [(x, [])]
        while unfinished:
            node, path = unfinished.pop()
            if node is self.y:
                found.append(path)
            for link in reversed(self._into.get(node, [])):
                unfinished.append((link.y, [link, *path]))
        return found

    def along(self, path: Iterable[Link]) -> tuple[Formula, Formula]:
        """Multiply the derivatives along a path: in symbols, and written out."""
        symbols: Formula = self.cotangents[self.y]
        written: Formula = number(1, self.y.data.shape)
        for link in path:
            symbol, formula = self.told(link)
            if link.y is self.y:
                symbols, written = symbol, formula
            elif link.factor is not None:
                symbols, written = times(symbols, symbol), times(written, formula)
            else:
                g = self.cotangents[link.y]
                symbols = replace(link.cotangent, g, symbols)
                written = replace(link.cotangent, g, written)
            written = in_shape(written, link.x.data.shape)
        return symbols, written

    def back_to(self, x: Node) -> list[tuple[Derivative, Formula]]:
        """Return the cotangents on the way from `y` back to `x`, each as a sum."""
        between = {x}
        for line in reversed(self.lines):
            if any(link.x in between for link in line.links):
                between.add(line.y)
        between.discard(self.y)
        return [
            (self.cotangents[z], plus(*(link.cotangent for link in self._into[z])))
            for z in sorted(between, key=lambda node: -node.index)
        ]

    def _acts_otherwise(self, x: Node, y: Node) -> bool:
        """Whether `x` acts on `y` also through quantities between them."""
        if len(self._into[x]) == 1:
            return False
        stack = [link.x for link in self._links[y] if link.x is not x]
        seen = set(stack)
        while stack:
            for link in self._links.get(stack.pop(), []):
                if link.x is x:
                    return True
                if link.x.index > x.index and link.x not in seen:
                    seen.add(link.x)
                    stack.append(link.x)
        return False


def _place(link: Link) -> tuple[bool, int]:
    """Leaves come first, and then the order is that of creation."""
    return link.x.op is not None, link.x.index


def _lines(
    nodes: list[Node],
    shares: dict[Node, list[Share]],
    names: dict[int, str],
    wanted: set[Node],
) -> set[Node]:
    """Choose the quantities that get a line of their own.

    Those that have a name, and those that another function than a linear one was
    applied to after such a function, or that several are made of.
    """
    uses = Counter(
        x for node in nodes for x in {z for z in node.inputs if isinstance(z, Node)}
    )
    kept = {node for node in nodes if id(node) in names or node.op is None} | wanted
    bends: dict[Node, int] = {}  # functions that are not linear, back to what is kept
    sizes: dict[Node, int] = {}
    for node in reversed(nodes):
        if node not in shares:
            continue
        most, size = 0, 1
        for share in shares[node]:
            x, bend = share.x, not is_linear(share)
            before = 0 if x in kept else bends[x]
            if x not in kept and (before + bend > 1 or size + sizes[x] > LARGEST_LINE):
                kept.add(x)
                before = 0
            most = max(most, before + bend)
            size += 0 if x in kept else sizes[x]
        bends[node], sizes[node] = most, size
        if most and uses[node] > 1:
            kept.add(node)
    return kept
