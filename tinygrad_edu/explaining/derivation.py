"""Derivations: the backward pass of a graph, written as formulas.

Several ops on quantities without a name are written into one line. A line applies at
most one non-linear function, so that its derivative is easy to see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from tinygrad_edu.engine.graph import Node
from tinygrad_edu.explaining.walking import acts_on_any
from tinygrad_edu.formulas.algebra import (
    Derivative,
    Formula,
    Name,
    in_shape,
    number,
    plus,
    replace,
    times,
    without,
)
from tinygrad_edu.formulas.quantities import Quantities
from tinygrad_edu.formulas.shares import Share, is_linear, walk_back

__all__ = ["Derivation", "Line", "Link"]

LARGEST_LINE = 8  # the most ops in one line


class Link(NamedTuple):
    """How a quantity depends on another one in its line.

    Attributes
    ----------
    y, x : Tensor
        The quantity to differentiate, and the one to differentiate with respect to.
    factor : Formula or None
        The derivative dy/dx, if the rule multiplies the cotangent by it; else None.
    cotangent : Formula
        The contribution to the cotangent of `x`, in terms of the cotangent of `y`.
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
    """The lines from the leaves to `y`, newest first, with all their derivatives.

    Parameters
    ----------
    nodes : list of Tensor
        The graph, newest first.
    given : dict of int to str
        The known names, by ``id`` of the node: see `names_of`.
    wanted : iterable of Tensor
        Quantities that get a line of their own even without a name.

    Attributes
    ----------
    lines : list of Line
    quantities : dict of Node to Name
        All quantities that have a name, constants included.
    constants : list of Name
        The names of arrays that are inputs of ops.
    cotangents : dict of Node to Derivative
        The derivative of `y` with respect to each quantity, with its value.
    """

    def __init__(
        self, nodes: list[Node], given: dict[int, str], wanted: Iterable[Node] = ()
    ) -> None:
        self._names = names = Quantities(nodes, given)
        self.y = nodes[0]
        shares, cotangents = walk_back(nodes)
        kept = _lines(nodes, shares, given, {self.y, *wanted})
        names.name_constants(chain.from_iterable(shares.values()))
        self.constants = names.constants
        inside = {id(node) for node in nodes if node not in kept}
        self._known = {k: x for k, x in names.known.items() if k not in inside}
        self.quantities = {
            node: name
            for node in reversed(nodes)
            if isinstance(name := self._known.get(id(node)), Name)
        }
        self.cotangents = {
            node: names.gradient(node, cotangents[node])
            for node in self.quantities
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

    def _read(self, x: Node) -> Formula:
        return self._names.read(x, self._known)

    def _line(self, y: Node, shares: dict[Node, list[Share]], kept: set[Node]) -> Line:
        """Differentiate a quantity with respect to the others in its line."""
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
        return Line(y, formula, sorted(links, key=_sort_key))

    def _link(self, y: Node, x: Node, cotangent: Formula) -> Link:
        g = self.cotangents[y]
        if y is self.y:  # its own cotangent is 1
            cotangent = replace(cotangent, g, number(1, g.shape))
            return Link(y, x, cotangent, cotangent)
        fits = g.shape in ((), x.data.shape)
        return Link(y, x, without(cotangent, g) if fits else None, cotangent)

    def equation(self, link: Link) -> tuple[Derivative, Formula]:
        """Return the two sides of the equation for a link's derivative.

        The left side is dy/dx. If `y` sums over elements of `x`, dy/dx is no single
        factor; then the left side is the part of the gradient dL/dx through `y`.
        """
        y, x, factor, cotangent = link
        if factor is not None:
            partial = self._acts_indirectly(x, y)
            return self._names.slope(y, x, factor, partial=partial), factor
        via = self._names.name(y) if len(self._into[x]) > 1 else ""
        return self._names.gradient(x, cotangent, via=via), cotangent

    def paths(self, x: Node, most: int, longest: int) -> list[list[Link]] | None:
        """Return all paths from `y` to `x`; None if they are too many or too long."""
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
        """Multiply the derivatives along a path: as symbols, and as formulas."""
        symbols: Formula = self.cotangents[self.y]
        written: Formula = number(1, self.y.data.shape)
        for link in path:
            symbol, formula = self.equation(link)
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
        """Return each cotangent between `y` and `x`, and the sum that it equals."""
        between = {x}
        for line in reversed(self.lines):
            if any(link.x in between for link in line.links):
                between.add(line.y)
        between.discard(self.y)
        return [
            (self.cotangents[z], plus(*(link.cotangent for link in self._into[z])))
            for z in sorted(between, key=lambda node: -node.index)
        ]

    def _acts_indirectly(self, x: Node, y: Node) -> bool:
        """Whether `x` affects `y` also through quantities between them."""
        others = [link.x for link in self._links[y] if link.x is not x]
        return len(self._into[x]) > 1 and acts_on_any(x, others, self._sources)

    def _sources(self, y: Node) -> list[Node]:
        return [link.x for link in self._links.get(y, [])]


def _sort_key(link: Link) -> tuple[bool, int]:
    """Sort leaves first, then by the order of creation."""
    return link.x.op is not None, link.x.index


def _lines(
    nodes: list[Node],
    shares: dict[Node, list[Share]],
    names: dict[int, str],
    wanted: set[Node],
) -> set[Node]:
    """Choose the quantities that get a line of their own.

    These are the quantities with a name. Others are added where a line would be too
    long, would apply a second non-linear function, or where several quantities use the
    result of a non-linear function.
    """
    uses = Counter(
        x for node in nodes for x in {z for z in node.inputs if isinstance(z, Node)}
    )
    kept = {node for node in nodes if id(node) in names or node.op is None} | wanted
    depths: dict[Node, int] = {}  # how many non-linear functions in a row, in its line
    sizes: dict[Node, int] = {}
    for node in reversed(nodes):
        if node not in shares:
            continue
        depth, size = 0, 1
        for share in shares[node]:
            x, more = share.x, not is_linear(share)
            before = 0 if x in kept else depths[x]
            if x not in kept and (before + more > 1 or size + sizes[x] > LARGEST_LINE):
                kept.add(x)
                before = 0
            depth = max(depth, before + more)
            size += 0 if x in kept else sizes[x]
        depths[node], sizes[node] = depth, size
        if depth and uses[node] > 1:
            kept.add(node)
    return kept
