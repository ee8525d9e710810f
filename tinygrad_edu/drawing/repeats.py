"""Choose what a large picture leaves out: repeats first, then the middle.

The nodes of a graph are in the order of creation. So a loop gives a repeating sequence:
the same ops on the same shapes, with inputs whose positions grow by the same stride in
each turn. The stride is 0 for a weight that all turns share. It is the length of a turn
for values of the turn before, and for inputs that are new in each turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.graph import Node

__all__ = ["Span", "spans_to_hide"]

Array = np.ndarray[Any, Any]

SMALL = 24  # a graph with at most this many ops is shown in full
LIMIT = 160  # the most ops that are shown of any graph
FEWEST_TURNS = 2  # hide no fewer; with the first and the last turn, a loop has 4
FEWEST_OPS = 6  # hide no fewer
SLOTS = 8  # an op with more inputs counts as different from all others
MOST_PERIODS = 24  # to try
FAR = 24  # inputs this many positions back, or more, all count as equally far
MIX = 1_000_003  # a factor that makes equal hashes unlikely


class Span(NamedTuple):
    """Ops that are not shown, from `start` up to `stop` in the order of creation.

    They are turns of `period` ops each; the period is 0 if they do not repeat.
    """

    start: int
    stop: int
    period: int

    @property
    def turns(self) -> int:
        return (self.stop - self.start) // self.period if self.period else 0


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
        spans = _repeats(*_as_numbers(nodes, labels))
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
    return code, wiring


def _repeats(code: Array, wiring: Array) -> list[Span]:
    """Find repeats; return all turns except the first and the last."""
    wiring = wiring[:, wiring.max(axis=0) >= 0]
    found = [
        span
        for period in _periods(code, wiring)
        for span in _repeats_of_period(code, wiring, period)
    ]
    found.sort(key=lambda span: (span.start - span.stop, span.period))
    taken = np.zeros(len(code), bool)
    spans = []
    for span in found:
        turn = span.period  # reserve the first and the last turn too: they are shown
        if not taken[span.start - turn : span.stop + turn].any():
            taken[span.start - turn : span.stop + turn] = True
            spans.append(span)
    return sorted(spans)


def _repeats_of_period(code: Array, wiring: Array, period: int) -> Iterator[Span]:
    same = np.zeros(len(code), bool)  # the code is equal to that one period before
    same[period:] = code[period:] == code[:-period]
    regular = np.zeros(len(code), bool)  # also two periods before, with equal strides
    step = wiring[period:] - wiring[:-period]
    steady = (step[period:] == step[:-period]).all(axis=1)
    regular[2 * period :] = same[2 * period :] & same[period:-period] & steady
    edges = np.flatnonzero(np.diff(regular, prepend=False, append=False))
    runs = edges.reshape(-1, 2)
    least = max(FEWEST_TURNS, -(-FEWEST_OPS // period))  # turns to hide
    long = (runs[:, 1] - runs[:, 0]) // period >= least - 1
    for begin, stop in runs[long].tolist():
        turns = (stop - begin) // period + 2
        start = stop - turns * period
        before = start - period  # a loop's first turn may have other inputs
        if before >= 0 and same[start : start + period].all():
            start = before
            turns += 1
        if turns - 2 >= least:
            yield Span(start + period, stop - period, period)


def _periods(code: Array, wiring: Array) -> list[int]:
    """Guess periods: distances at which equal ops occur often.

    An op that occurs several times in a turn gives shorter distances too. So compare
    with the last few occurrences, and compare sequences of 2 and 3 ops as well.
    """
    n = len(code)
    # The distance back to the inputs distinguishes ops. But an input that all turns
    # share is further back in each turn, so all far inputs count as equally far.
    back = np.minimum(wiring[:, :1] - wiring[:, 1:], FAR)
    pieces = code * MIX + back @ MIX ** np.arange(2, 2 + back.shape[1])
    counts = np.zeros(n, np.int64)
    for _ in range(3):
        order = np.argsort(pieces, kind="stable")
        for nth in range(1, 5):
            same = pieces[order[nth:]] == pieces[order[:-nth]]
            counts += np.bincount((order[nth:] - order[:-nth])[same], minlength=n)
        pieces[1:] += pieces[:-1] * MIX
    counts[n // (FEWEST_TURNS + 2) + 1 :] = 0
    often = np.argsort(-counts, kind="stable")[:MOST_PERIODS]
    return [int(period) for period in often if counts[period] > 0]
