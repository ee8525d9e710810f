"""Shares: the part of a cotangent that each use of a quantity adds, as a graph.

This is the backward pass, but it keeps everything. It runs each op's rule on Tensors,
with a new Tensor for the cotangent of the result, so that the rule is recorded and can
be read as a formula.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.autodiff import RELEASED, keep_zeros, unbroadcast
from tinygrad_edu.engine.graph import Node, topological_order, value_of
from tinygrad_edu.engine.modes import Setting
from tinygrad_edu.engine.op import rules_of_arrays
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.formulas.naming import names_of

__all__ = ["Share", "check_unchanged", "checked_graph", "is_linear", "walk_back"]

MANY = 6  # quantities that are named in an error


class Share(NamedTuple):
    """What one use of `x`, as the input `position` of `node`, adds to its cotangent.

    ``cotangent`` is a Tensor: its graph is the rule, applied to the cotangent `g` of
    `node` and to `given`, which are the node's inputs; a Tensor of its own stands there
    for each constant array, so that it is recorded what the rule does with that.
    """

    node: Node
    position: int
    x: Node
    g: Tensor
    given: tuple[Any, ...]
    cotangent: Tensor

    def known(self, known: Mapping[int, Any]) -> dict[int, Any]:
        """Return what is known of the inputs also for what stands in their place."""
        pairs = zip(self.node.inputs, self.given)
        return {id(z): known[id(x)] for x, z in pairs if id(x) in known}


def checked_graph(what: str, y: Any, frame: FrameType | None = None) -> list[Node]:
    """Return the nodes behind `y`, newest first, or raise if there is no graph.

    Parameters
    ----------
    what : str
        The name of the called function; errors start with it.
    y : Tensor
        The end of the graph.
    frame : frame, optional
        Where the user is: whose variables name what was changed.

    Raises
    ------
    TypeError
        If `y` is not a Tensor.
    ValueError
        If `y` is not a single number, if nothing behind it requires a gradient, if its
        graph was released, or if what it was computed from has changed since.
    """
    if not isinstance(y, Node):
        raise TypeError(
            f"{what}: it takes a Tensor, and this is of type {type(y).__name__}; "
            "compute it from Tensors that require a gradient"
        )
    if y.data.size != 1:
        raise ValueError(
            f"{what}: this has shape {y.data.shape}, and only a single number has a "
            "gradient; sum() it"
        )
    if not y.requires_grad:
        raise ValueError(
            f"{what}: nothing that this was computed from requires a gradient (create "
            "the leaves with requires_grad=True, outside of no_grad())"
        )
    nodes = topological_order(y)
    if any(node.op is RELEASED for node in nodes):
        raise ValueError(
            f"{what}: a part of this graph was released by backward(); call {what} "
            "before it, or pass retain_graph=True to it"
        )
    check_unchanged(what, nodes, frame)
    return nodes


def check_unchanged(
    what: str, nodes: Sequence[Node], frame: FrameType | None = None
) -> None:
    """Apply each op of a graph again; raise if the result differs from the stored one.

    A difference means that a leaf or an array was changed, so that the stored values
    and the rules no longer belong together.
    """
    for node in reversed(nodes):
        if node.op is None:
            continue
        if node.origin is not None:
            node.origin.verify(node)
        with np.errstate(all="ignore"):
            is_same = _gives_the_same(node)
        if not is_same:
            raise ValueError(
                f"{what}: {node.op.name} gives another answer now than when this graph "
                f"was recorded, so {_suspects(node, names_of(nodes[0], frame))} was "
                "changed since (by a step of an optimiser?), and derivatives would be "
                f"wrong; compute the value again, or call {what} before the change"
            )


def _suspects(node: Node, names: Mapping[int, str]) -> str:
    """Name the leaves and arrays that an op was applied to, or else all its inputs."""
    inputs = [x for x in node.inputs if isinstance(x, Node | np.ndarray)]
    leaves = [x for x in inputs if not (isinstance(x, Node) and x.op)] or inputs
    called = [
        names.get(id(x), f"an array of shape {value_of(x).shape}") for x in leaves
    ]
    first, *others = dict.fromkeys(called)
    return " or ".join([first, *others[:MANY], *["another"] * (len(others) > MANY)])


def _gives_the_same(node: Node) -> bool:
    """Whether an op gives the same answer, but for the rounding, as it did."""
    then, inputs = node.data, list(map(value_of, node.inputs))
    try:
        now = node.op.compute(inputs, node.params)
    except (TypeError, ValueError, IndexError):  # of another shape or dtype
        return False
    if np.shape(now) != then.shape:
        return False
    if (now == then).all():
        return True
    size = np.max(np.abs(then), where=np.isfinite(then), initial=0.0)
    rounding = 8 * np.finfo(then.dtype).eps * size
    return np.allclose(now, then, rtol=0, atol=rounding, equal_nan=True)


def walk_back(
    nodes: Iterable[Node],
) -> tuple[dict[Node, list[Share]], dict[Node, Any]]:
    """Return the shares that each node adds to its inputs' cotangents; and those.

    This is the walk of `backward`, but it keeps all intermediate results.

    Parameters
    ----------
    nodes : iterable of Tensor
        The graph, newest first. The first node is the one to differentiate.
    """
    shares: dict[Node, list[Share]] = {}
    cotangents: dict[Node, Any] = {}
    masked: set[Node] = set()
    with Setting("explain", recording=True, watch=None), np.errstate(all="ignore"):
        for node in nodes:
            if not cotangents:
                cotangents[node] = np.ones_like(node.data)
            if node.op is None or not node.requires_grad:
                continue
            g = Tensor(cotangents[node], requires_grad=True)
            given = tuple(_recorded(x, node.data.dtype) for x in node.inputs)
            params, rules = node.params or {}, node.op.rule_of_each
            arguments: Sequence[Any] = (g, node, *given)
            plain: Sequence[Any] = (g, node, *node.inputs)
            if node.op.variadic:
                rules = rules_of_arrays(rules, arguments, params)
                arguments, plain, params = (), (), {}
            is_masked = node.op.selects or node in masked
            shares[node] = []
            for position, (x, rule) in enumerate(zip(node.inputs, rules)):
                if not (isinstance(x, Node) and x.requires_grad):
                    continue
                if is_masked:
                    rule = partial(keep_zeros, node.op, g, rule)
                    if x not in cotangents:
                        masked.add(x)
                else:
                    masked.discard(x)
                try:
                    cotangent = rule(*arguments, **params)
                except Exception:  # it wants a constant's numbers, or fails anyway
                    cotangent = rule(*plain, **params)
                cotangent = unbroadcast(cotangent, x.data, node.op)
                if not isinstance(cotangent, Node):  # the rule left the graph
                    cotangent = Tensor(cotangent)
                shares[node].append(Share(node, position, x, g, given, cotangent))
                known, value = cotangents.get(x), cotangent.data
                cotangents[x] = value if known is None else known + value
    return shares, cotangents


def _recorded(x: Any, dtype: Any) -> Any:
    """Return a Tensor for a constant array, which records what is done with it."""
    value = value_of(x)
    is_constant = not (isinstance(x, Node) and x.requires_grad)
    if is_constant and isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        x = Tensor(value, dtype=None if value.dtype.kind == "f" else dtype)
        x.requires_grad = True
    return x


def is_linear(share: Share) -> bool:
    """Whether a rule does nothing to the cotangent that depends on the graph."""
    stack: list[Node] = [share.cotangent]
    while stack:
        x = stack.pop()
        if x.index < share.g.index and x.requires_grad:
            return False
        if x is not share.g and x.index > share.g.index:
            stack += (z for z in x.inputs if isinstance(z, Node))
    return True
