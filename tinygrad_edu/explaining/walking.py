"""The backward pass of a recorded graph, step by step.

`autodiff.pull_back` does the same walk fast and keeps no intermediate result. This
module keeps every contribution to a gradient, so that it can be shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.graph import Node
from tinygrad_edu.formulas.naming import needs_gradient
from tinygrad_edu.formulas.shares import Share, walk_back

__all__ = ["Contribution", "Key", "acts_on_any", "backward_pass"]

Array = np.ndarray[Any, Any]
# Tells the numbers of both passes apart: ("value", id) and ("gradient", id) of a
# quantity; ("share", id, position) of what a node passes back to an input; and, of the
# sums of such shares, ("before", id, position) and ("total", id, position).
Key = tuple[Any, ...]


class Contribution(NamedTuple):
    """The contribution of one use of a quantity to its gradient.

    Attributes
    ----------
    share : Share
        The cotangent that passes from the op's output ``share.node`` to its input
        ``share.x``.
    before : array or None
        The sum of the earlier contributions, if there are any.
    total : array
        The sum after this contribution.
    number, of : int
        Which contribution it is, from 1, and how many there are.
    """

    share: Share
    before: Array | None
    total: Array
    number: int
    of: int


def backward_pass(nodes: Sequence[Node]) -> Iterator[Contribution]:
    """Go back from the newest node to the leaves, edge by edge.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.engine.graph import topological_order
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> for each in backward_pass(topological_order(x * x * x)):
    ...     print(each.share.g.data, each.share.cotangent.data, each.before, each.total)
    1.0 3.0 None 3.0
    1.0 9.0 None 9.0
    3.0 9.0 9.0 18.0
    3.0 9.0 18.0 27.0
    """
    of = Counter(x for node in nodes for x in node.inputs if needs_gradient(x))
    number: Counter[Node] = Counter()
    totals: dict[Node, Array] = {}
    shares, _ = walk_back(nodes)
    for share in chain.from_iterable(shares.values()):
        x, value = share.x, share.cotangent.data
        number[x] += 1
        before = totals.get(x)
        totals[x] = value if before is None else before + value
        yield Contribution(share, before, totals[x], number[x], of[x])


def acts_on_any(
    x: Node, others: Iterable[Node], inputs: Callable[[Node], Iterable[Node]]
) -> bool:
    """Whether any of the others was computed from `x`, through their inputs."""
    stack = list(others)
    seen = set(stack)
    while stack:
        for z in inputs(stack.pop()):
            if z is x:
                return True
            if z.index > x.index and z not in seen:
                seen.add(z)
                stack.append(z)
    return False
