"""Choose what a large picture leaves out: repeats, or else the middle.

The nodes of a graph are in order of creation. So a loop gives a sequence that repeats:
the same ops on the same shapes, with inputs whose positions move on by the same stride
in each turn. The stride is 0 for a weight that all turns share, and the length of a
turn for values of the turn before, and for inputs that are new in each turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.graph import Node

__all__ = ["Span", "spans_to_hide"]

Array = np.ndarray[Any, Any]

SMALL = 24  # a graph of no more ops is shown in full
LIMIT = 160  # no more ops are shown, whatever the graph
FEWEST = 2  # turns that are hidden; with the first and the last they are four
WORTHWHILE = 6  # ops that are hidden
SLOTS = 8  # an op of more inputs counts as unlike any other
TRIED = 24  # periods that are tried
FAR = 24  # positions back, and no matter how many
MIX = 1_000_003  # makes numbers that are unlikely to be equal by chance


class Span(NamedTuple):
    """Ops that are not shown, from `start` up to `stop` in the order of creation.

    They are turns of `period` ops each; if that is 0, they are no repeats.
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
    """Return the spans of computed nodes that are not shown.

    Parameters
    ----------
    nodes : sequence of Node
        In the order of creation.
    labels : sequence
        A hashable description of each node; nodes that look the same have equal ones.
    collapse : bool
        Whether to leave out repeats. The rest is shown up to a limit in any case; of
        more, the first and the last.
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

    All values, computed or not, are numbered in the order in which they appear. The
    wiring is the node's own number and those of its inputs, -1 where there is none.
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
    """Find what repeats, and hide all turns but the first and the last."""
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
        turn = span.period  # the first and the last turn are to be shown
        if not taken[span.start - turn : span.stop + turn].any():
            taken[span.start - turn : span.stop + turn] = True
            spans.append(span)
    return sorted(spans)


def _repeats_of_period(code: Array, wiring: Array, period: int) -> Iterator[Span]:
    same = np.zeros(len(code), bool)  # equal to the node one period before
    same[period:] = code[period:] == code[:-period]
    regular = np.zeros(len(code), bool)  # so is that, and the inputs move on steadily
    step = wiring[period:] - wiring[:-period]
    steady = (step[period:] == step[:-period]).all(axis=1)
    regular[2 * period :] = same[2 * period :] & same[period:-period] & steady
    edges = np.flatnonzero(np.diff(regular, prepend=False, append=False))
    runs = edges.reshape(-1, 2)
    least = max(FEWEST, -(-WORTHWHILE // period))  # hidden turns
    long = (runs[:, 1] - runs[:, 0]) // period >= least - 1
    for begin, stop in runs[long].tolist():
        turns = (stop - begin) // period + 2
        start = stop - turns * period
        before = start - period  # the first turn of a loop may have been given more
        if before >= 0 and same[start : start + period].all():
            start = before
            turns += 1
        if turns - 2 >= least:
            yield Span(start + period, stop - period, period)


def _periods(code: Array, wiring: Array) -> list[int]:
    """Guess periods: distances at which the same occurs often.

    What stands several times in each turn is met at shorter distances too, so not only
    the last occurrence counts, and longer pieces than one op are looked at as well.
    """
    n = len(code)
    # How far back the inputs are tells ops apart, unless it is far: what all turns
    # share comes to be ever further back.
    back = np.minimum(wiring[:, :1] - wiring[:, 1:], FAR)
    pieces = code * MIX + back @ MIX ** np.arange(2, 2 + back.shape[1])
    counts = np.zeros(n, np.int64)
    for _ in range(3):
        order = np.argsort(pieces, kind="stable")
        for nth in range(1, 5):
            same = pieces[order[nth:]] == pieces[order[:-nth]]
            counts += np.bincount((order[nth:] - order[:-nth])[same], minlength=n)
        pieces[1:] += pieces[:-1] * MIX
    counts[n // (FEWEST + 2) + 1 :] = 0
    often = np.argsort(-counts, kind="stable")[:TRIED]
    return [int(period) for period in often if counts[period] > 0]
