"""Rerun a recorded graph again, forward and backward, with changes at some places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.autodiff import keep_zeros, unbroadcast
from tinygrad_edu.engine.graph import Node, topological_order, value_of
from tinygrad_edu.engine.op import rules_of_arrays
from tinygrad_edu.formulas.naming import needs_gradient

__all__ = [
    "Edits",
    "Replay",
    "Rerun",
    "Spot",
    "cotangent_of",
    "difference",
    "share_of",
    "value_at",
]

Array = np.ndarray[Any, Any]


class Spot(NamedTuple):
    """A place of a backward or forward pass where a `Rerun` can differ from the graph.

    Attributes
    ----------
    what : {"value", "cotangent", "share"}
        The value of a quantity; its cotangent before it is passed on; or what a node
        passes to one of its inputs.
    of : int
        The quantity, by `id`.
    position : int
        Which input, for a share.
    """

    what: str
    of: int
    position: int = 0


# What a run has at a place: a function of the run, and of what would stand there.
Change = Callable[["Rerun", Any], Any]
Edits = Mapping[Spot, Change]


def value_at(x: Any) -> Spot:
    return Spot("value", id(x))


def cotangent_of(x: Node) -> Spot:
    return Spot("cotangent", id(x))


def share_of(node: Node, position: int) -> Spot:
    return Spot("share", id(node), position)


class Replay:
    """A recorded graph, to run again with changes.

    Parameters
    ----------
    y : Tensor
        The end of the graph, a single number.
    moved : iterable of (Tensor or array, array), optional
        Other values for leaves and constants.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> y = tg.exp(x * x)
    >>> forgotten = {share_of(y, 0): lambda run, share: run.cotangents[id(y)]}
    >>> print(Replay(y).run(forgotten).gradient(x))
    6.0
    """

    def __init__(self, y: Node, moved: Iterable[tuple[Any, Array]] = ()) -> None:
        self.nodes: list[Any] = topological_order(y)
        self._moved = {value_at(x): _to(value) for x, value in moved}

    def at(self, moved: Iterable[tuple[Any, Array]]) -> Replay:
        """Return the same graph with other values of leaves and constants."""
        return Replay(self.nodes[0], moved)

    @cached_property
    def right(self) -> Rerun:
        """The run without a slip."""
        return Rerun(self.nodes, self._moved, None)

    @cached_property
    def rounded(self) -> Rerun:
        """The run in which each cotangent is off by a rounding."""
        return self.run({cotangent_of(x): _rounded for x in self.nodes})

    def run(self, edits: Edits) -> Rerun:
        """Rerun the graph with changes."""
        return Rerun(self.nodes, edits, self.right)


def _to(value: Array) -> Change:
    return lambda run, before: value


def _rounded(run: Rerun, g: Any) -> Any:
    g = np.asarray(g)
    off = np.random.default_rng(0).uniform(-1, 1, g.shape)
    return np.asarray(g * (1 + np.finfo(g.dtype).eps * off), g.dtype)


class Rerun:
    """One forward and backward pass.

    It takes what no change reaches from another run, the right one.

    Attributes
    ----------
    cotangents : dict of int to array
        The gradient of the last node with respect to each, by `id`.
    shares : dict of Spot to array
        What each node passes back to each input.
    """

    def __init__(self, nodes: list[Any], edits: Edits, right: Rerun | None) -> None:
        self.nodes, self.edits, self._right = nodes, edits, right
        self._values: dict[int, Any] = {} if right is None else right._values
        self.shares: dict[Spot, Any] = {}
        self.cotangents: dict[int, Any] = {}
        with np.errstate(all="ignore"):
            if any(place.what == "value" for place in edits):
                self._go_forward()
                right = None
            self._go_backward(right)

    @property
    def right(self) -> Rerun:
        """The right run."""
        return self._right or self

    def value(self, x: Any) -> Any:
        """Return the value of a quantity in this run."""
        return self._values.get(id(x), value_of(x))

    def gradient(self, x: Node) -> Array:
        """Return the gradient with respect to a leaf."""
        g = self.cotangents.get(id(x))
        g = np.zeros_like(x.data) if g is None else g
        return np.asarray(self._edited(cotangent_of(x), g))

    def _edited(self, place: Spot, value: Any) -> Any:
        change = self.edits.get(place)
        return value if change is None else change(self, value)

    def _go_forward(self) -> None:
        given, self._values = self._values, {}
        for node in reversed(self.nodes):
            for x in (*node.inputs, node):
                if id(x) in self._values:
                    continue
                value = given.get(id(x), value_of(x))
                if x is node and node.op is not None:
                    value = node.op.compute(self._inputs(node), node.params)
                self._values[id(x)] = self._edited(value_at(x), value)

    def _inputs(self, node: Node) -> list[Any]:
        return [self.value(x) for x in node.inputs]

    def _go_backward(self, right: Rerun | None) -> None:
        y = self.nodes[0]
        one = np.ones_like(y.data) if right is None else right.cotangents[id(y)]
        self.cotangents[id(y)] = one
        for node in self.nodes:
            g = self.cotangents.get(id(node))
            if node.op is None or g is None:
                continue
            g = self.cotangents[id(node)] = self._edited(cotangent_of(node), g)
            is_right = right is not None and g is right.cotangents[id(node)]
            for position, x in enumerate(node.inputs):
                if not needs_gradient(x):
                    continue
                place = share_of(node, position)
                if right is not None and is_right:
                    share = right.shares[place]
                else:
                    share = self.share(node, position, g)
                share = self.shares[place] = self._edited(place, share)
                before = self.cotangents.get(id(x))
                total = share if before is None else before + share
                self.cotangents[id(x)] = total

    def share(
        self,
        node: Node,
        position: int,
        g: Any,
        instead: Mapping[int, Any] | None = None,
        y: Any = None,
    ) -> Any:
        """Apply the rule of a node for one of its inputs.

        Parameters
        ----------
        node : Tensor
        position : int
            Which input.
        g : array
            The cotangent of the node.
        instead : dict of int to array, optional
            Values for inputs, by their position.
        y : array, optional
            A value for the node.
        """
        inputs, params, op = self._inputs(node), node.params or {}, node.op
        for place, value in (instead or {}).items():
            inputs[place] = value
        arguments = [g, self.value(node) if y is None else y, *inputs]
        rules = op.rule_of_each
        if op.variadic:
            rules = rules_of_arrays(rules, arguments, params)
            arguments, params = [], {}
        rule = next(islice(rules, position, None))
        share = rule(*arguments, **params)
        if not np.isfinite(share).all():
            share = keep_zeros(op, g, rule, *arguments, **params)
        try:
            return unbroadcast(share, value_of(node.inputs[position]), op)
        except ValueError:  # a slip may change the shape
            return share


def difference(array: Array, gradient: Array, unit: float = 1.0) -> float:
    """Return the largest difference, relative to the gradient's largest element.

    Relative to the unit, if the gradient is zero.
    """
    if array.shape != gradient.shape:
        return np.inf
    with np.errstate(all="ignore"):  # a slip may make an infinity
        size = np.max(np.abs(gradient), initial=0.0) or unit or 1.0
        return float(np.max(np.abs(array - gradient), initial=0.0) / size)
