"""Find what repeats in a sequence, as the turns of a loop do.

Each thing has a code, equal for things that look the same, and some numbers: positions,
or indices. In a loop, things with the same codes follow one another in every turn, and
their numbers grow by the same stride from turn to turn. The stride may be 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Span", "repeats"]

Array = np.ndarray[Any, Any]

FEWEST_TURNS = 4  # that count as a loop
FEWEST_BETWEEN = 6  # things between the first turn and the last one of a loop
MOST_PERIODS = 24  # to try
MIX = 1_000_003  # a factor that makes equal hashes unlikely


class Span(NamedTuple):
    """The things from `start` up to `stop`.

    They are turns of `period` things each; the period is 0 if they do not repeat.
    """

    start: int
    stop: int
    period: int

    @property
    def turns(self) -> int:
        return (self.stop - self.start) // self.period if self.period else 0


def repeats(
    code: Array, numbers: Array, distances: Array, fewest_between: int = FEWEST_BETWEEN
) -> list[Span]:
    """Return spans that repeat, in order; they do not overlap.

    The numbers of a loop's first turn may differ: it may start from something else.

    Parameters
    ----------
    code : int array, shape (n,)
    numbers : int array, shape (n, k)
        Where there are fewer numbers, -1.
    distances : int array, shape (n, any)
        More that should be equal in all turns: it is used only to guess periods.
    fewest_between : int
        The things between the first turn and the last one are no fewer.
    """
    found = [
        span
        for period in _periods(code, distances)
        for span in _repeats_of_period(code, numbers, period, fewest_between)
    ]
    found.sort(key=lambda s: (s.start - s.stop + 2 * s.period, s.period))
    taken = np.zeros(len(code), bool)
    spans = []
    for span in found:
        others = np.flatnonzero(taken[span.start : span.stop])
        if others.size:  # keep the turns behind them
            turns = int(others[-1]) // span.period + 1
            span = span._replace(start=span.start + turns * span.period)
        if span.turns >= _fewest_turns(span.period, fewest_between):
            taken[span.start : span.stop] = True
            spans.append(span)
    return sorted(spans)


def _fewest_turns(period: int, fewest_between: int) -> int:
    return max(FEWEST_TURNS, 2 - (-fewest_between // period))


def _repeats_of_period(
    code: Array, numbers: Array, period: int, fewest_between: int
) -> Iterator[Span]:
    same = np.zeros(len(code), bool)  # the code is equal to that one period before
    same[period:] = code[period:] == code[:-period]
    regular = np.zeros(len(code), bool)  # also two periods before, with equal strides
    step = numbers[period:] - numbers[:-period]
    steady = (step[period:] == step[:-period]).all(axis=1)
    regular[2 * period :] = same[2 * period :] & same[period:-period] & steady
    edges = np.flatnonzero(np.diff(regular, prepend=False, append=False))
    runs = edges.reshape(-1, 2)
    least = _fewest_turns(period, fewest_between)
    long = (runs[:, 1] - runs[:, 0]) // period >= least - 3
    for begin, stop in runs[long].tolist():
        turns = (stop - begin) // period + 2
        start = stop - turns * period
        before = start - period
        if before >= 0 and same[start : start + period].all():
            start = before
            turns += 1
        if turns >= least:
            yield Span(start, stop, period)


def _periods(code: Array, distances: Array) -> list[int]:
    """Guess periods: distances at which equal things occur often.

    A thing that occurs several times in a turn gives shorter distances too. So compare
    with the last few occurrences, and compare sequences of 2 and 3 things as well.
    """
    n = len(code)
    pieces = code * MIX + distances @ MIX ** np.arange(2, 2 + distances.shape[1])
    counts = np.zeros(n, np.int64)
    for _ in range(3):
        order = np.argsort(pieces, kind="stable")
        for nth in range(1, 5):
            same = pieces[order[nth:]] == pieces[order[:-nth]]
            counts += np.bincount((order[nth:] - order[:-nth])[same], minlength=n)
        pieces[1:] += pieces[:-1] * MIX
    counts[n // FEWEST_TURNS + 1 :] = 0
    often = np.argsort(-counts, kind="stable")[:MOST_PERIODS]
    return [int(period) for period in often if counts[period] > 0]
