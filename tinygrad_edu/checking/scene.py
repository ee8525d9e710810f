"""A recorded graph with the words of the textbook: where slips are looked for."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.replay import Place, Replay, Run, cotangent_of, share_of
from tinygrad_edu.engine.graph import Node, value_of
from tinygrad_edu.engine.op import OPS
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.formulas.naming import names_of, needs_gradient
from tinygrad_edu.formulas.quantities import Quantities
from tinygrad_edu.formulas.shares import Share, is_linear, walk_back
from tinygrad_edu.formulas.writing import in_text

__all__ = ["Edge", "Scene"]

Array = np.ndarray[Any, Any]

PRODUCTS = {"dot", "linear", "matmul", "multiply"}
LAYERS = {"dot", "linear", "matmul", "add"}
SQUARES = {"squared_norm", "square", "power", "multiply", "vdot"}


class Edge(NamedTuple):
    """What a node passes back to one of its inputs."""

    node: Any
    position: int
    x: Any

    @property
    def place(self) -> Place:
        return share_of(self.node, self.position)

    def g(self, run: Run) -> Any:
        """Return the cotangent of the node."""
        return run.cotangents[id(self.node)]

    def share(self, run: Run, **how: Any) -> Any:
        """Return what the rule passes back, with other inputs if these are given."""
        return run.share(self.node, self.position, how.pop("g", self.g(run)), **how)


class Scene:
    """A recorded graph in which slips are looked for.

    Parameters
    ----------
    y : Tensor
        The end of the graph, a single number.
    parameters : dict of str to Tensor
        The leaves with respect to which one differentiates.
    given : dict of str to array, optional
        The gradients that were derived by hand.
    frame : frame, optional
        The caller's, whose variables name quantities.
    """

    def __init__(
        self,
        y: Tensor,
        parameters: Mapping[str, Tensor],
        given: Mapping[str, Array] | None = None,
        frame: FrameType | None = None,
    ) -> None:
        self.y, self.parameters = y, parameters
        self._given = {
            id(parameters[name]): array for name, array in (given or {}).items()
        }
        self.replay = Replay(y)
        self.nodes = self.replay.nodes
        self._quantities = Quantities(self.nodes, names_of(y, frame, parameters))
        shares, _ = walk_back(self.nodes)
        self.shares = [share for found in shares.values() for share in found]
        self.edges = [
            Edge(node, position, x)
            for node in self.nodes
            if node.op is not None and node.requires_grad
            for position, x in enumerate(node.inputs)
            if needs_gradient(x)
        ]
        self._leaves = {id(x) for x in parameters.values()}

    def mine(self, x: Tensor) -> Array:
        """Return the gradient derived by hand, or else the right one."""
        given = self._given.get(id(x))
        right = self.replay.right.gradient(x)
        return right if given is None or given.shape != right.shape else given

    def is_parameter(self, x: Any) -> bool:
        return id(x) in self._leaves

    def parameter(self, x: Any) -> Any:
        """Return the parameter that `x` is, or that it is the transpose of."""
        if isinstance(x, Node) and x.op is not None and x.op.name == "transpose":
            x = x.inputs[0]
        return x if self.is_parameter(x) else None

    def name(self, x: Any) -> str:
        """Return the name of a quantity: the caller's, or the textbook's."""
        parameter = self.parameter(x)
        if parameter is not None and parameter is not x:
            return f"{self.name(parameter)}^T"
        return self._quantities.names.get(id(x), "a number")

    def delta(self, node: Any) -> str:
        """Return the name of a gradient: that of z2 is delta2."""
        name = self.name(node)
        if name[:1] == "z" and name[1:].isdigit():
            return f"delta{name[1:]}"
        return f"d{self.name(self.y)}/d{name}"

    def has_delta(self, node: Any) -> bool:
        """Whether the gradient of a node is a delta, that of a layer's z."""
        return self.delta(node).startswith("delta")

    def text(self, factor: Any, share: Share) -> str:
        """Write a factor of a rule."""
        known = ChainMap(share.known(self._quantities.known), self._quantities.known)
        text = in_text(self._quantities.read(factor, known))
        return f"({text})" if " " in text else text

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The numbers of examples and of outputs, by what they are."""
        layers = [x.shape for x in self.nodes if x.ndim == 2 and self.has_delta(x)]
        if not layers:
            shapes = (x.shape for x in self.nodes if not self.is_penalty(x))
            lengths = {n for shape in shapes for n in shape}
            return {f"the length of an axis, {n}": n for n in sorted(lengths)}
        n, m = layers[0]
        return {f"the number of examples, {n}": n, f"the number of outputs, {m}": m}

    def is_penalty(self, x: Any) -> bool:
        """Whether a quantity depends on parameters, and on no data."""
        return id(x) in self._penalty

    @cached_property
    def _penalty(self) -> set[int]:
        found = set(self._leaves)
        for node in reversed(self.nodes):
            arrays = [z for z in node.inputs if isinstance(z, Node | np.ndarray)]
            if arrays and all(id(z) in found for z in arrays):
                found.add(id(node))
        return found - self._leaves

    def derivative(self, edge: Edge, at: Any = None) -> str:
        """Return the name of a function's derivative: sigma'(z2)."""
        name = edge.node.op.name
        function = "sigma" if name == "sigmoid" else name
        return f"{function}'({self.name(edge.x if at is None else at)})"

    # --- Places where a slip can be made, as tuples ---

    def each_parameter(self) -> Iterator[tuple[Tensor]]:
        """Yield the parameters."""
        for x in self.parameters.values():
            yield (x,)

    def rules(self) -> Iterator[tuple[Share]]:
        """Yield what each use of a quantity adds to its gradient, with the rule."""
        for share in self.shares:
            yield (share,)

    def functions(self) -> Iterator[tuple[Edge]]:
        """Yield the edges of functions of one quantity: sigmoid, tanh, log, ..."""
        for share in self.shares:
            node, x = share.node, share.x
            if node.op.elementwise and len(node.inputs) == 1 and not is_linear(share):
                yield (Edge(node, 0, x),)

    def logits(self) -> Iterator[tuple[Edge]]:
        """Yield the edges of a cross-entropy to the z whose sigmoid it takes."""
        for edge in self.edges:
            if edge.node.op.name == "sigmoid_cross_entropy" and edge.position == 0:
                yield (edge,)

    def products(self) -> Iterator[tuple[Edge, int]]:
        """Yield the edges of products, and which other input is the other factor."""
        for edge in self.edges:
            if edge.node.op.name in PRODUCTS and edge.position < 2:
                other = 1 - edge.position
                if isinstance(value_of(edge.node.inputs[other]), np.ndarray):
                    yield edge, other

    def layers(self) -> Iterator[tuple[Edge]]:
        """Yield the edges of products and sums: what a layer's z is made of."""
        for edge in self.edges:
            if edge.node.op.name in LAYERS and not self.is_penalty(edge.node):
                yield (edge,)

    def paths(self) -> Iterator[tuple[Edge, ...]]:
        """Yield the edges to each quantity that is used several times, by the use."""
        penalised = {edges[0].place for edges in self.penalties()}
        for x in self.nodes:
            uses = self._uses(x)
            for edges in uses:
                if len(uses) + len(edges) > 2 and edges[0].place not in penalised:
                    yield tuple(edges)

    def penalties(self) -> Iterator[tuple[Edge, ...]]:
        """Yield the edges of each parameter's penalty."""
        for x in self.parameters.values():
            uses = self._uses(x)
            for edges in uses if len(uses) > 1 else ():
                if self.is_penalty(edges[0].node) and edges[0].node.op.name in SQUARES:
                    yield tuple(edges)

    def unpenalised(self) -> Iterator[tuple[Tensor]]:
        """Yield the parameters without a penalty."""
        penalised = {id(edges[0].x) for edges in self.penalties()}
        for x in self.parameters.values():
            if id(x) not in penalised:
                yield (x,)

    def columns(self) -> Iterator[tuple[Any, ...]]:
        """Yield the targets of shape (N, 1), all at once."""
        found = {}
        for node in self.nodes:
            if node.op is not None and node.op.elementwise and len(node.inputs) == 2:
                for y in node.inputs:
                    shape = np.shape(value_of(y))
                    is_column = len(shape) == 2 and shape[0] > shape[1] == 1
                    if is_column and not needs_gradient(y):
                        found[id(y)] = y
        if found:
            yield tuple(found.values())

    def scales(self) -> Iterator[tuple[Place, str]]:
        """Yield where a gradient can be multiplied, and its name: deltas first."""
        inner = [x for x in self.nodes if x.op is not None and not self.is_penalty(x)]
        inner.sort(key=self.has_delta, reverse=True)
        for x in [*inner, *self.parameters.values()]:
            yield cotangent_of(x), self.delta(x)
        for edge in self.edges:
            if self.is_parameter(edge.x):
                yield edge.place, self.delta(edge.x)

    # --- Quantities that can be mistaken for each other ---

    def inputs_of(self, op: Any) -> Iterator[Tensor]:
        """Yield the quantities that a function is applied to somewhere."""
        for (edge,) in self.functions():
            if edge.node.op is op:
                yield edge.x
        for (edge,) in self.logits() if op.name == "sigmoid" else ():
            yield edge.x

    def arrays(self, like: Any) -> Iterator[tuple[str, Callable[[Run], Any]]]:
        """Yield the names and values of the other quantities of the same shape."""
        shape, seen = np.shape(value_of(like)), {id(like)}
        for node in self.nodes:
            for x in (node, *node.inputs):
                value = value_of(x)
                if id(x) in seen or not isinstance(value, np.ndarray):
                    continue
                seen.add(id(x))
                if value.shape == shape and value.dtype.kind == "f":
                    yield self.name(x), partial(Run.value, x=x)
        for (edge,) in self.logits():
            if edge.x.shape == shape:
                name = self.name(edge.x)
                a = f"a{name[1:]}" if self.has_delta(edge.x) else f"sigmoid({name})"
                yield a, partial(_sigmoid_of, edge.x)

    def _uses(self, x: Tensor) -> list[list[Edge]]:
        """Return the edges by which `x` gets its gradient, those of a node together."""
        by_node: dict[int, list[Edge]] = {}
        for edge in self.edges:
            if edge.x is x:
                by_node.setdefault(id(edge.node), []).append(edge)
        return list(by_node.values())


def _sigmoid_of(z: Any, run: Run) -> Any:
    return OPS["sigmoid"](run.value(z))
