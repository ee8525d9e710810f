"""Choose what a large picture leaves out: repeats first, then the middle.

The nodes of a graph are in the order of creation. So a loop gives a repeating sequence:
the same ops on the same shapes, with inputs whose positions grow by the same stride in
each turn. The stride is 0 for a weight that all turns share. It is the length of a turn
for values of the turn before, and for inputs that are new in each turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import Node
from tinygrad_edu.formulas.repeats import Span, repeats

__all__ = ["spans_to_hide"]

Array = np.ndarray[Any, Any]

SMALL = 24  # a graph with at most this many ops is shown in full
LIMIT = 160  # the most ops that are shown of any graph
SLOTS = 8  # an op with more inputs counts as different from all others
FAR = 24  # inputs this many positions back, or more, all count as equally far


def spans_to_hide(
    nodes: Sequence[Node], labels: Sequence[Any], collapse: bool = True
) -> list[Span]:
    """Return the spans of computed nodes to hide.

    Parameters
    ----------
    nodes : sequence of Node
        The nodes in the order of creation.
    labels : sequence
        A hashable description of each node, equal for nodes that look the same.
    collapse : bool
        Whether to hide repeats. If more than `LIMIT` nodes remain, the middle is hidden
        in any case.
    """
    spans: list[Span] = []
    if collapse and len(nodes) > SMALL:
        code, wiring = _as_numbers(nodes, labels)
        # The distance back to the inputs distinguishes ops. But an input that all turns
        # share is further back in each turn, so all far inputs count as equally far.
        back = np.minimum(wiring[:, :1] - wiring[:, 1:], FAR)
        loops = repeats(code, wiring, back)
        # The first turn and the last one are shown.
        spans = [Span(s.start + s.period, s.stop - s.period, s.period) for s in loops]
    hidden = sum(span.stop - span.start for span in spans)
    if len(nodes) - hidden <= LIMIT:
        return spans
    shown = np.ones(len(nodes), bool)
    for span in spans:
        shown[span.start : span.stop] = False
    positions = np.flatnonzero(shown)
    start = int(positions[LIMIT // 2])
    stop = int(positions[len(positions) - LIMIT // 2])
    ends = [span for span in spans if span.stop <= start or stop <= span.start]
    return sorted([*ends, Span(start, stop, 0)])


def _as_numbers(nodes: Sequence[Node], labels: Sequence[Any]) -> tuple[Array, Array]:
    """Return a code for each label, and the wiring of each node.

    All values, computed or not, are numbered in the order in which they appear. A
    node's wiring is its own number and its inputs' numbers (-1 for no input).
    """
    codes: dict[Any, int] = {}
    numbers: dict[int, int] = {}
    code = np.empty(len(nodes), np.int64)
    wiring = np.full((len(nodes), 1 + SLOTS), -1, np.int64)
    for i, (node, label) in enumerate(zip(nodes, labels)):
        if len(node.inputs) > SLOTS:
            label = i
        else:
            for slot, x in enumerate(node.inputs, 1):
                if isinstance(x, Node | np.ndarray):
                    wiring[i, slot] = numbers.setdefault(id(x), len(numbers))
        code[i] = codes.setdefault(label, len(codes))
        numbers[id(node)] = wiring[i, 0] = len(numbers)
    return code, wiring[:, wiring.max(axis=0) >= 0]
