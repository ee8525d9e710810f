"""A recorded graph with the words of the textbook: where slips are looked for."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.replay import (
    Replay,
    Rerun,
    Spot,
    cotangent_of,
    difference,
    share_of,
)
from tinygrad_edu.engine.graph import Node, value_of
from tinygrad_edu.engine.op import OPS
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.formulas.naming import needs_gradient
from tinygrad_edu.formulas.quantities import Quantities
from tinygrad_edu.formulas.shares import Share, is_linear, walk_back
from tinygrad_edu.formulas.writing import in_text
from tinygrad_edu.support.language import say

__all__ = ["Case", "Use"]

Array = np.ndarray[Any, Any]

PRODUCTS = {"dot", "linear", "matmul", "multiply"}
LAYERS = {"dot", "linear", "matmul", "add"}
SQUARES = {"squared_norm", "square", "power", "multiply", "vdot"}


class Use(NamedTuple):
    """What a node passes back to one of its inputs."""

    node: Any
    position: int
    x: Any

    @property
    def spot(self) -> Spot:
        return share_of(self.node, self.position)

    def g(self, run: Rerun) -> Any:
        """Return the cotangent of the node."""
        return run.cotangents[id(self.node)]

    def pass_on(self, run: Rerun, _: Any) -> Any:
        """Return the cotangent of the node, without its rule."""
        return self.g(run)

    def share(self, run: Rerun, **how: Any) -> Any:
        """Return what the rule passes back, with other inputs if these are given."""
        return run.share(self.node, self.position, how.pop("g", self.g(run)), **how)


class Case:
    """A recorded graph in which slips are looked for.

    Parameters
    ----------
    quantities : Quantities
        The graph, whose end is a single number, and the names in it.
    parameters : dict of str to Tensor
        The leaves with respect to which one differentiates.
    given : dict of str to array, optional
        The gradients that were derived by hand.
    """

    def __init__(
        self,
        quantities: Quantities,
        parameters: Mapping[str, Tensor],
        given: Mapping[str, Array] | None = None,
    ) -> None:
        self.y, self.parameters = quantities.y, parameters
        self._given = {
            id(parameters[name]): array for name, array in (given or {}).items()
        }
        self.replay = Replay(self.y)
        self.nodes = self.replay.nodes
        self._quantities = quantities
        shares, _ = walk_back(self.nodes)
        self.shares = [share for found in shares.values() for share in found]
        self.uses = [
            Use(node, position, x)
            for node in self.nodes
            if node.op is not None and node.requires_grad
            for position, x in enumerate(node.inputs)
            if needs_gradient(x)
        ]
        self._leaves = {id(x) for x in parameters.values()}

    def mine(self, x: Tensor) -> Array:
        """Return the gradient derived by hand, or else the right one."""
        is_given = id(x) in self._given and self.fits(x)
        return self._given[id(x)] if is_given else self.replay.right.gradient(x)

    def fits(self, x: Tensor) -> bool:
        """Whether the gradient derived by hand, if there is one, has the shape of x."""
        given = self._given.get(id(x))
        return given is None or given.shape == x.shape

    def tolerance(self, x: Tensor) -> float:
        """Return the relative difference that is allowed to the gradient of `x`.

        It is larger if terms cancel: then little is left but their rounding.
        """
        usual = 1e-7 if x.dtype.itemsize >= 8 else 1e-3
        replay = self.replay
        return max(
            usual,
            100 * difference(replay.rounded.gradient(x), replay.right.gradient(x)),
        )

    def is_parameter(self, x: Any) -> bool:
        return id(x) in self._leaves

    def is_quantity(self, x: Any) -> bool:
        """Whether it is an array, or a number that the caller gave a name."""
        return isinstance(value_of(x), np.ndarray) or id(x) in self._quantities.names

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
        return self._quantities.names.get(id(x)) or say("a number")

    def with_formula(self, node: Any) -> str:
        """Return the name of a quantity, and its formula if the caller has no name."""
        name = self.name(node)
        if id(node) in self._quantities.given:
            return name
        return f"{name} = {in_text(self._quantities.formula(node))}"

    def delta(self, node: Any) -> str:
        """Return the name of a gradient: that of z2 is delta2."""
        name, y = self.name(node), self.name(self.y)
        if self.has_delta(node):
            return f"delta{name[1:]}"
        return f"d{y}" if node is self.y else f"d{y}/d{name}"

    def has_delta(self, node: Any) -> bool:
        """Whether the gradient of a node is a delta, that of a layer's z."""
        name = self.name(node)
        return name[:1] == "z" and name[1:].isdigit()

    def text(self, factor: Any, share: Share) -> str:
        """Write a factor of a rule."""
        if isinstance(factor, float):
            return self.name(factor)
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
            return {say("the length of an axis, {n}", n=n): n for n in sorted(lengths)}
        n, m = layers[0][::-1] if self.is_by_columns else layers[0]
        return {
            say("the number of examples, {n}", n=n): n,
            say("the number of outputs, {n}", n=m): m,
        }

    @cached_property
    def is_by_columns(self) -> bool:
        """Whether the examples are columns: z = W a + b."""
        return any(
            node.op is not None
            and node.op.name in ("matmul", "dot")
            and self.parameter(node.inputs[0]) is not None
            for node in self.nodes
        )

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
        return set() if id(self.y) in found else found - self._leaves

    def derivative(self, use: Use, at: Any = None) -> str:
        """Return the name of a function's derivative: sigma'(z2)."""
        name = use.node.op.name
        function = "sigma" if name == "sigmoid" else name
        return f"{function}'({self.name(use.x if at is None else at)})"

    # --- Places where a slip can be made, as tuples ---

    def each_parameter(self) -> Iterator[tuple[Tensor]]:
        """Yield the parameters."""
        for x in self.parameters.values():
            yield (x,)

    def rules(self) -> Iterator[tuple[Use, Share]]:
        """Yield the uses of quantities, each with the rule for it."""
        for share in self.shares:
            yield Use(share.node, share.position, share.x), share

    def functions(self) -> Iterator[tuple[Use]]:
        """Yield the uses of functions of one quantity: sigmoid, tanh, log, ..."""
        for use, share in self.rules():
            is_function = use.node.op.elementwise and len(use.node.inputs) == 1
            if is_function and not is_linear(share):
                yield (use,)

    def chains(self) -> Iterator[tuple[Use]]:
        """Yield the uses by functions and by layers: links of the chain."""
        for (use,) in self.functions():
            if use.node is not self.y and use.node.op.name not in SQUARES:
                yield (use,)
        for (use,) in self.layers():
            if self.has_delta(use.node):
                yield (use,)

    def logits(self) -> Iterator[tuple[Use]]:
        """Yield the uses of a cross-entropy to the z whose sigmoid it takes."""
        for use in self.uses:
            if use.node.op.name == "sigmoid_cross_entropy" and use.position == 0:
                yield (use,)

    def softmaxes(self) -> Iterator[tuple[Use]]:
        """Yield the uses of the z of which log softmax is taken."""
        for use in self.uses:
            if use.node.op.name == "log_softmax":
                yield (use,)

    def products(self) -> Iterator[tuple[Use, int]]:
        """Yield the uses of products, and which other input is the other factor."""
        for use in self.uses:
            if use.node.op.name in PRODUCTS and use.position < 2:
                other = 1 - use.position
                if self.is_quantity(use.node.inputs[other]):
                    yield use, other

    def layers(self) -> Iterator[tuple[Use]]:
        """Yield the uses of products and sums: what a layer's z is made of."""
        for use in self.uses:
            if use.node.op.name in LAYERS and not self.is_penalty(use.node):
                yield (use,)

    def sums(self) -> Iterator[tuple[Use, int, int]]:
        """Yield where a parameter's gradient is summed: which axis, over how many."""
        axis = int(self.is_by_columns)
        for (use,) in self.layers():
            is_batch = use.node.ndim == 2 and use.node.shape[axis] > 1
            if is_batch and self.parameter(use.x) is not None:
                yield use, axis, use.node.shape[axis]

    def biases(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield the parameters that are added to a layer: each alone, then all."""
        found = [
            use.x
            for (use,) in self.layers()
            if self.is_parameter(use.x)
            and (use.node.op.name == "add" or use.x.ndim < use.node.ndim)
        ]
        for x in found:
            yield (x,)
        if len(found) > 1:
            yield tuple(found)

    def paths(self) -> Iterator[tuple[Use, ...]]:
        """Yield the uses of each quantity that is used several times, by the node."""
        penalised = {uses[0].spot for uses in self.penalties()}
        for x in self.nodes:
            nodes = self._by_node(x)
            for uses in nodes:
                is_one_of_several = len(nodes) > 1 or len(uses) > 1
                if is_one_of_several and uses[0].spot not in penalised:
                    yield tuple(uses)

    def penalties(self) -> Iterator[tuple[Use, ...]]:
        """Yield the uses of each parameter in its penalty."""
        for x in self.parameters.values():
            nodes = self._by_node(x)
            for uses in nodes if len(nodes) > 1 else ():
                node = uses[0].node
                if self.is_penalty(node) and node.op.name in SQUARES:
                    yield tuple(uses)

    def unpenalised(self) -> Iterator[tuple[Tensor]]:
        """Yield the parameters without a penalty."""
        penalised = {id(uses[0].x) for uses in self.penalties()}
        for x in self.parameters.values():
            if id(x) not in penalised:
                yield (x,)

    def columns(self) -> Iterator[tuple[tuple[Any, Any], ...]]:
        """Yield the targets of shape (N, 1) and their nodes, all at once."""
        found = []
        for node in self.nodes:
            if node.op is not None and node.op.elementwise and len(node.inputs) == 2:
                for y in node.inputs:
                    shape = np.shape(value_of(y))
                    is_column = len(shape) == 2 and shape[0] > shape[1] == 1
                    if is_column and not needs_gradient(y):
                        found.append((y, node))
        if found:
            yield tuple(found)

    def scales(self) -> Iterator[tuple[Spot, str]]:
        """Yield where a gradient can be multiplied, and its name: deltas first."""
        inner = [x for x in self.nodes if x.op is not None and not self.is_penalty(x)]
        inner.sort(key=self.has_delta, reverse=True)
        for x in [*inner, *self.parameters.values()]:
            yield cotangent_of(x), self.delta(x)
        for use in self.uses:
            if self.is_parameter(use.x) and not self.is_penalty(use.node):
                yield use.spot, say("the part through {name}", name=self.name(use.node))

    # --- Quantities that can be mistaken for each other ---

    def inputs_of(self, op: Any) -> Iterator[Tensor]:
        """Yield the quantities that a function is applied to somewhere."""
        for (use,) in self.functions():
            if use.node.op is op:
                yield use.x
        for (use,) in self.logits() if op.name == "sigmoid" else ():
            yield use.x

    def arrays(
        self, like: Any, of_shape: bool = True
    ) -> Iterator[tuple[str, Callable[[Rerun], Any]]]:
        """Yield the names and values of the other quantities of the same shape."""
        shape, seen = np.shape(value_of(like)), {id(like)}
        for node in self.nodes:
            for x in (node, *node.inputs):
                value = value_of(x)
                if id(x) in seen or not isinstance(value, np.ndarray):
                    continue
                seen.add(id(x))
                fits = value.shape == shape if of_shape else value.ndim == len(shape)
                # A quantity of zeros is as a missing path.
                if fits and value.dtype.kind == "f" and value.any():
                    yield self.name(x), partial(Rerun.value, x=x)
        for (use,) in self.logits():
            if use.x.shape == shape:
                name = self.name(use.x)
                a = f"a{name[1:]}" if self.has_delta(use.x) else f"sigmoid({name})"
                yield a, partial(_sigmoid_of, use.x)

    def _by_node(self, x: Tensor) -> list[list[Use]]:
        """Return the uses of `x`, those by one node together."""
        by_node: dict[int, list[Use]] = {}
        for use in self.uses:
            if use.x is x:
                by_node.setdefault(id(use.node), []).append(use)
        return list(by_node.values())


def _sigmoid_of(z: Any, run: Rerun) -> Any:
    return OPS["sigmoid"](run.value(z))
