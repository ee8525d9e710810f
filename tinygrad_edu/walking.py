"""The forward and the backward pass of a recorded graph, as a list of steps.

`autodiff.pull_back` goes the same way as fast as it can and keeps nothing; here
everything that passes an edge is kept, so that it can be looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.autodiff import RELEASED, _fit, _of_unchosen
from tinygrad_edu.graph import Node, topological_order, value_of

__all__ = [
    "Share",
    "backward_pass",
    "check_graph",
    "forward_pass",
    "needs_gradient",
    "quantities",
]

Array = np.ndarray[Any, Any]


class Share(NamedTuple):
    """What the gradient of a node contributes to that of one of its inputs."""

    node: Node
    position: int  # which of the node's inputs it is
    x: Node  # that input
    gradient: Array  # of y by the node: complete, since whatever uses it came before
    local: Array | None  # the node by the input, if the op works elementwise
    contribution: Array
    before: Array | None  # what the contributions before it add up to, if there are any
    total: Array  # the same with this one
    number: int  # this is the first, second, ... contribution to it,
    of: int  # of so many


def check_graph(y: Any, task: str) -> None:
    """Raise if there is no backward pass from `y` that could be shown."""
    if not isinstance(y, Node):
        raise TypeError(f"{task}: y is a Tensor, and not a {type(y).__name__}")
    if not y.requires_grad:
        raise ValueError(
            f"{task}: nothing that y was computed from requires a gradient "
            "(create the leaves with requires_grad=True, outside of no_grad())"
        )
    if y.data.size != 1:
        raise ValueError(
            f"{task}: y has shape {y.data.shape}, and only a single number has a "
            "gradient; sum() it"
        )
    if any(node.op is RELEASED for node in topological_order(y)):
        raise ValueError(
            f"{task}: the graph was released by backward(); call {task} before that, "
            "or pass retain_graph=True to backward()"
        )


def forward_pass(y: Node) -> list[Node]:
    """Return what was computed on the way to `y`, in the order of its computation."""
    return [node for node in topological_order(y)[::-1] if node.op is not None]


def backward_pass(y: Node) -> Iterator[Share]:
    """Go from `y` back to the leaves, and give each edge's contribution in turn.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> for share in backward_pass(x * x * x):
    ...     print(share.gradient, share.local, share.contribution, share.total)
    1.0 3.0 3.0 3.0
    1.0 9.0 9.0 9.0
    3.0 3.0 9.0 18.0
    3.0 3.0 9.0 27.0
    """
    nodes = topological_order(y)
    of = Counter(x for node in nodes for x in node.inputs if needs_gradient(x))
    number: Counter[Node] = Counter()
    totals: dict[Node, Array] = {y: np.ones_like(y.data)}
    unchosen: set[Node] = set()
    for node in nodes:
        if node.op is None:
            continue
        if node.origin is not None:
            node.origin.verify(node)
        gradient = totals[node]
        for position, x, local, contribution in _shares(node, gradient, unchosen):
            number[x] += 1
            before = totals.get(x)
            totals[x] = contribution if before is None else before + contribution
            yield Share(
                *(node, position, x, gradient, local, contribution),
                *(before, totals[x], number[x], of[x]),
            )


def quantities(y: Node) -> list[Any]:
    """Return the nodes behind `y`, and the arrays that went in, in the order of use."""
    found = {}
    for node in topological_order(y)[::-1]:
        for x in (*node.inputs, node):
            if isinstance(x, Node | np.ndarray):
                found[id(x)] = x
    return list(found.values())


def needs_gradient(x: Any) -> bool:
    return isinstance(x, Node) and x.requires_grad


def _shares(
    node: Node, gradient: Array, unchosen: set[Node]
) -> Iterator[tuple[int, Node, Array | None, Array]]:
    """Run the rules of one node, as the traversal does."""
    arguments = [gradient, node.data, *map(value_of, node.inputs)]
    ones = [np.ones_like(node.data), *arguments[1:]]
    params = node.params or {}
    for position, (x, rule) in enumerate(zip(node.inputs, node.op.rule_of_each)):
        if not needs_gradient(x):
            continue
        chosen = not (node.op.selects or node in unchosen)
        if chosen:
            cotangent = rule(*arguments, **params)
        else:
            cotangent = _of_unchosen(node.op, rule, arguments, params)
            unchosen.add(x)
        local = None
        if node.op.elementwise:
            with np.errstate(all="ignore"):
                local = np.broadcast_to(rule(*ones, **params), node.data.shape)
        yield position, x, local, _fit(np.asarray(cotangent), x.data, node.op)
