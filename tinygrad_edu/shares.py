"""Shares: what each use of a quantity adds to its cotangent, as its rule recorded it.

It is the walk of `backward`, keeping what that drops: each op's rule is run on Tensors,
with the cotangent of its answer as a Tensor of its own, so that it can be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.autodiff import RELEASED, fit, of_unchosen
from tinygrad_edu.graph import Node, mode, topological_order
from tinygrad_edu.op import rules_of_arrays
from tinygrad_edu.tensor import Tensor

__all__ = ["Share", "checked_graph", "is_linear", "walk_back"]


class Share(NamedTuple):
    """What one use of `x`, as the input `position` of `node`, adds to its cotangent.

    ``cotangent`` is a Tensor: its graph is the rule, applied to the cotangent `g` of
    `node`.
    """

    node: Node
    position: int
    x: Node
    g: Tensor
    cotangent: Tensor


def checked_graph(what: str, y: Any) -> list[Node]:
    """Return the nodes behind `y`, newest first, or raise if there is no graph.

    Raises
    ------
    TypeError
        If `y` is not a Tensor.
    ValueError
        If `y` is not a single number, if nothing behind it requires a gradient, or if
        its graph was released.
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
    return nodes


def walk_back(
    nodes: Iterable[Node],
) -> tuple[dict[Node, list[Share]], dict[Node, Any]]:
    """Return what each node adds to its inputs' cotangents; and all the cotangents.

    It is the walk of `backward`, keeping what that drops.

    Parameters
    ----------
    nodes : iterable of Tensor
        The graph, newest first: the first is what is differentiated.
    """
    shares: dict[Node, list[Share]] = {}
    cotangents: dict[Node, Any] = {}
    unchosen: set[Node] = set()
    with mode(recording=True, watch=None), np.errstate(all="ignore"):
        for node in nodes:
            if not cotangents:
                cotangents[node] = np.ones_like(node.data)
            if node.op is None or not node.requires_grad:
                continue
            if node.origin is not None:
                node.origin.verify(node)
            g = Tensor(cotangents[node], requires_grad=True)
            arguments, params = [g, node, *node.inputs], node.params or {}
            rules = node.op.rule_of_each
            if node.op.variadic:
                rules = rules_of_arrays(rules, arguments, params)
                arguments, params = [], {}
            chosen = not (node.op.selects or node in unchosen)
            shares[node] = []
            for position, (x, rule) in enumerate(zip(node.inputs, rules)):
                if not (isinstance(x, Node) and x.requires_grad):
                    continue
                if chosen:
                    cotangent = rule(*arguments, **params)
                else:
                    cotangent = of_unchosen(node.op, g, rule, arguments, params)
                    unchosen.add(x)
                cotangent = fit(cotangent, x.data, node.op)
                if not isinstance(cotangent, Node):  # the rule left the graph
                    cotangent = Tensor(cotangent)
                shares[node].append(Share(node, position, x, g, cotangent))
                known, value = cotangents.get(x), cotangent.data
                cotangents[x] = value if known is None else known + value
    return shares, cotangents


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
