"""Reverse mode: walk back from a result to the leaves, one chain rule per node.

The whole algorithm is the loop in `pull_back`. It visits the newest node first. It
passes the node's cotangent (the gradient of the result with respect to the node's
value) to the rules of the node's op, and adds what they return to the cotangents of the
node's inputs. A node is newer than its inputs. So when the loop reaches a node, every
node that uses it has added its share already.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from threading import Lock
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import Node, current_mode, new_constant, value_of
from tinygrad_edu.engine.op import Op, as_array, rules_of_arrays
from tinygrad_edu.ops.arithmetic import positive
from tinygrad_edu.ops.choices import where

__all__ = ["backward", "keep_zeros", "pull_back", "unbroadcast"]


class _Released:
    """Replaces a node's op after its graph was released; its rules raise."""

    name = "released"
    variadic = selects = elementwise = False

    @property
    def rule_of_each(self) -> Any:
        raise ValueError(
            "backward: an earlier backward() released a part of this graph; "
            "pass retain_graph=True to the earlier one, or compute the value again"
        )


RELEASED = _Released()


# Threads may share a leaf, and both add to its gradient.
_ACCUMULATING = Lock()


def backward(root: Node, gradient: Any, retain_graph: bool, create_graph: bool) -> None:
    """Add the gradient of `root` to the `.grad` of every leaf that it depends on.

    If a rule fails, every `.grad` and the graph stay as they were.
    """
    cotangents, visited = pull_back({root: gradient}, create_graph)
    tape = current_mode.get().tape
    with _ACCUMULATING:
        for leaf, g in cotangents.items():
            if tape is not None:
                tape.see(leaf)
            before = leaf.accumulated
            if before is not None:
                g = before + g if create_graph else value_of(before) + value_of(g)
            if not (create_graph and isinstance(g, Node)):
                kind, g = leaf.__class__, value_of(g)
                g = new_constant(kind, as_array(g)) if tape is None else kind(g)
            leaf.accumulated = g
    if not (retain_graph or create_graph):
        for node in visited:
            node.op, node.inputs, node.params = RELEASED, (), None


def pull_back(
    cotangents: Mapping[Any, Any],
    create_graph: bool = False,
    variables: range = range(0),
) -> tuple[dict[Any, Any], list[Node]]:
    """Return the cotangent of each leaf, and the visited nodes.

    Parameters
    ----------
    cotangents : dict of Node to array or Node
        The nodes to start from, with their cotangents. The nodes require gradients.
    create_graph : bool
        If true, run the rules on Tensors, which records them; else on arrays.
    variables : range
        For transforms: the indices of the nodes to differentiate with respect to. They
        count as leaves, even if an op made them; older nodes are constants.
    """
    tape = current_mode.get().tape
    oldest, newest = variables.start, variables.stop - 1
    # The sum of the cotangents of each node so far; at the end, only of the leaves.
    totals: dict[Node, Any] = {}
    frontier: list[Any] = []  # the nodes to visit: a heap, newest on top
    visited = []
    # Nodes of which every use so far may have left out elements.
    masked: set[Node] = set()

    for root, g in cotangents.items():
        if root.op is None or oldest <= root.index <= newest:
            totals[root] = positive(g)
        elif root.index > newest:
            totals[root] = g
            heappush(frontier, (-root.index, root))
    if tape is not None:
        tape.walk_back(cotangents)

    while frontier:
        node = heappop(frontier)[1]
        g = totals.pop(node)
        # Read the op last: a thread that releases this node writes the op first.
        inputs, params, op = node.inputs, node.params, node.op
        if node.origin is not None:
            node.origin.verify(node)
        visited.append(node)
        if create_graph:
            arguments = [g, node, *inputs]
        elif tape is not None:
            arguments = [g, *map(value_of, (node, *inputs))]
        else:
            arguments = [g, node.array]
            for x in inputs:
                arguments.append(x.array if isinstance(x, Node) else x)
        rules = op.rule_of_each
        if op.variadic:
            rules = rules_of_arrays(rules, arguments, params)
            arguments, params = [], None
        is_masked = op.selects or node in masked

        for x, rule in zip(inputs, rules):
            if not (isinstance(x, Node) and x.requires_grad and x.index >= oldest):
                continue
            if is_masked:
                cotangent = keep_zeros(op, g, rule, *arguments, **(params or {}))
                if x not in totals:
                    masked.add(x)
            else:
                cotangent = rule(*arguments, **params) if params else rule(*arguments)
                masked.discard(x)
            data = x.array
            dtype = getattr(cotangent, "dtype", None)
            if dtype is not data.dtype or cotangent.shape != data.shape:
                cotangent = unbroadcast(cotangent, data, op)
            if node.origin is not None:
                node.origin.verify_gradient(node, x, cotangent)
            if x in totals:
                totals[x] = totals[x] + cotangent
            elif x.op is None or x.index <= newest:
                # Users may change a leaf's gradient, so it gets its own memory.
                shared = cotangent is g or cotangent.base is not None
                totals[x] = positive(cotangent) if shared else cotangent
            else:
                totals[x] = cotangent
                heappush(frontier, (-x.index, x))
            if tape is not None:
                tape.passed_back(node, x, totals[x])
    return totals, visited


def unbroadcast(cotangent: Any, like: np.ndarray[Any, Any], op: Op) -> Any:
    """Undo broadcasting: sum over the axes along which the input was repeated."""
    if not hasattr(cotangent, "dtype") or cotangent.dtype.kind not in "fiub":
        raise TypeError(
            f"{op.name}: a backward rule returned {cotangent!r}; it must return an "
            "array of real numbers"
        )
    shape, given = like.shape, cotangent.shape
    extra = len(given) - len(shape)
    if extra > 0:
        cotangent = cotangent.sum(axis=0 if extra == 1 else tuple(range(extra)))
    if cotangent.shape != shape and cotangent.ndim == len(shape):
        repeated = tuple(i for i, n in enumerate(shape) if n == 1)
        cotangent = cotangent.sum(axis=repeated, keepdims=True)
    if cotangent.shape != shape:
        raise ValueError(
            f"{op.name}: a backward rule returned shape {given} for an input of shape "
            f"{shape}; it must return the input's shape, or a shape that the input was "
            "broadcast to" + (" (transposed?)" if given == shape[::-1] else "")
        )
    return cotangent if cotangent.dtype == like.dtype else cotangent.astype(like.dtype)


def keep_zeros(op: Op, g: Any, rule: Any, *arguments: Any, **params: Any) -> Any:
    """Run a rule, and return 0 where `g` is 0 and the rule's result is not finite.

    `g` is 0 for an element that a later op left out. The element gets gradient 0, even
    where its derivative is infinite or NaN (0 times infinity would be NaN).
    """
    with np.errstate(all="ignore"):
        cotangent = rule(*arguments, **params)
    if op.elementwise and cotangent is not g and cotangent.shape == g.shape:
        lost = (value_of(g) == 0) & ~np.isfinite(value_of(cotangent))
        if current_mode.get().tape is not None or lost.any():
            return where(lost, 0, cotangent)
    return cotangent
