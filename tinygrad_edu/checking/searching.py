"""Search the catalogue for the slips that explain a gradient derived by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, reduce
from itertools import chain, combinations, filterfalse, islice, product
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.case import Case
from tinygrad_edu.checking.catalogue import Attempt, attempts, both
from tinygrad_edu.checking.replay import Edits, Replay, difference
from tinygrad_edu.engine.graph import value_of
from tinygrad_edu.support.language import say

__all__ = ["Finding", "Search"]

Array = np.ndarray[Any, Any]
STEPS = [10.0**-k for k in range(1, 10)]  # of differences
MOST_PAIRS = 2000
MOST_NUMBERS = 1_000_000  # that pairs of slips may compute


class Finding(NamedTuple):
    """What is wrong with one gradient.

    Attributes
    ----------
    says : str
    lesson : str
        The page of the documentation that explains it.
    """

    says: str
    lesson: str


class _Guess(NamedTuple):
    """One slip, or two, that would give the wrong gradient."""

    words: str
    slips: list[Attempt]
    lesson: str
    edits: Edits
    explained: int = 0  # how many gradients it explains


class Search:
    """Explains the gradients of one derivation, in the order of backpropagation.

    What was found for a gradient holds for the next ones: these may have inherited it.

    Parameters
    ----------
    case : Case
        The graph.
    mine : dict of str to array
        The gradients derived by hand, by parameter.
    tolerance : dict of str to float
        The relative difference that is allowed, by parameter.
    """

    def __init__(
        self, case: Case, mine: Mapping[str, Array], tolerance: Mapping[str, float]
    ) -> None:
        self.case, self.mine, self.tolerance = case, mine, tolerance
        self.edits: Edits = {}
        self._sources: dict[str, str] = {}  # where a parameter's gradient went wrong
        self._now = self._gradients({})
        self._units = {
            name: float(np.max(np.abs(g), initial=0.0)) for name, g in self._now.items()
        }
        self._known: dict[Any, dict[str, Array] | None] = {}  # what attempts give now
        self._is_lost = False  # whether a gradient was not explained

    @cached_property
    def _attempts(self) -> list[Attempt]:
        return list(attempts(self.case))

    def finding(self, name: str) -> Finding | None:
        """Return what is wrong with a gradient; None if nothing explains it."""
        if self._agrees(name, self._now):
            source = self._sources.get(name) or say("a row above")
            return Finding(say("inherited from {source}", source=source), "")
        guesses = self._guesses(name)
        if not guesses:
            self._is_lost = True
            return None
        best = guesses[0]
        self._accept(best)
        said = list(dict.fromkeys(guess.words for guess in guesses))
        words = _either(said[:3])
        if len(said) > 1:
            words = say(
                "{words} (these numbers cannot tell; try {numbers})",
                words=words,
                numbers=self._telling_apart(name, guesses),
            )
        return Finding(words, best.lesson)

    def step_of_differences(self, name: str) -> float | None:
        """Return the step if the gradient was computed by forward differences."""
        x, y, mine = self.case.parameters[name], self.case.y, self.mine[name]
        right = self.case.replay.right.gradient(x)
        if not difference(mine, right) < 0.1:
            return None
        errors = np.abs(mine - right)
        worst = np.argsort(errors, axis=None)[-3:]
        for step in STEPS:
            noise = 1e-14 * abs(float(y.data)) / step
            told = [i for i in worst if errors.flat[i] > 4 * noise]
            if told and all(
                abs(self._slope(x, i, step) - mine.flat[i])
                <= 1e-3 * errors.flat[i] + noise
                for i in told
            ):
                return step
        return None

    def _slope(self, x: Any, i: int, step: float) -> float:
        moved = x.data.copy()
        moved.flat[i] += step
        y = self.case.y
        change = self.case.replay.at([(x, moved)]).right.value(y) - y.data
        return float(change.item()) / step

    # --- Runs ---

    def _gradients(self, edits: Edits) -> dict[str, Array]:
        run = self.case.replay.run(edits)
        return {name: run.gradient(x) for name, x in self.case.parameters.items()}

    def _tried(self, edits: Edits) -> dict[str, Array] | None:
        """Return the gradients, or None if the shapes do not fit."""
        try:
            return self._gradients(edits)
        except (ValueError, IndexError):
            return None

    def _after(
        self, before: Edits, attempt: Attempt, rate: float = 1.0
    ) -> dict[str, Array] | None:
        """Return the gradients with one more slip."""
        key, edits = (id(attempt), rate), {**before, **attempt.at(rate)}
        if before is not self.edits:
            return self._tried(edits)
        if key not in self._known:
            self._known[key] = self._tried(edits)
        return self._known[key]

    def _agrees(self, name: str, gradients: Mapping[str, Array]) -> bool:
        mine, unit = self.mine[name], self._units[name]
        return difference(mine, gradients[name], unit) <= self.tolerance[name]

    # --- Guesses ---

    def _guesses(self, name: str) -> list[_Guess]:
        """Return the best guesses for a gradient; all of them explain it exactly."""
        singles = [
            guess
            for attempt in self._attempts
            for guess in self._fitted(name, attempt, self.edits)
        ]
        by_chance = MOST_PAIRS * min(1.0, self.tolerance[name]) ** self.mine[name].size
        is_open = not self._is_lost and by_chance < 0.01  # rounded: some pair would fit
        guesses = singles or (list(self._pairs(name)) if is_open else [])
        if not guesses:
            return []
        guesses = [self._counted(guess) for guess in guesses]
        most = max(guess.explained for guess in guesses)
        guesses = [guess for guess in guesses if guess.explained == most]
        return self._different(name, guesses)

    def _fitted(self, name: str, attempt: Attempt, before: Edits) -> Iterator[_Guess]:
        """Yield a guess for each reading of an attempt that gives the gradient."""
        if before.keys() & attempt.edits.keys():
            return
        rate = 1.0
        if attempt.has_rate:
            found = self._rate(name, attempt, before)
            if found is None:
                return
            rate = found
        gradients = self._after(before, attempt, rate)
        if gradients is None or not self._agrees(name, gradients):
            return
        words = attempt.words(rate)
        if words and (attempt.is_free or attempt.scaled):
            is_multiple = self._is_multiple(name, self._gradients(before), gradients)
            if attempt.is_free and is_multiple:
                return
            if attempt.scaled and not is_multiple:
                words = [f"{attempt.scaled}: {each}" for each in words]
        if words:
            edits = {**before, **attempt.at(rate)}
            yield _Guess(_either(words), [attempt], attempt.page(rate), edits)

    def _explained(
        self, then: Mapping[str, Array], now: Mapping[str, Array]
    ) -> tuple[Array, Array]:
        """Return the numbers that a slip explains: before it, and with it."""
        names = [
            name
            for name in self.mine
            if self._agrees(name, now)
            and not self._agrees(name, then)
            and then[name].shape == now[name].shape
        ]
        old, new = (
            np.concatenate([np.empty(0), *(each[name].ravel() for name in names)])
            for each in (then, now)
        )
        return old, new

    def _is_multiple(
        self, name: str, then: Mapping[str, Array], now: Mapping[str, Array]
    ) -> bool:
        """Whether a slip does no more than multiply what it explains by a number.

        Then a free rate proves nothing: there is one for every slip.
        """
        old, new = self._explained(then, now)
        factor = float(old @ new) / (float(old @ old) or 1.0)
        return new.size < 2 or self._is_same(name, factor * old, new)

    def _rate(self, name: str, attempt: Attempt, before: Edits) -> float | None:
        """Solve for the rate: the gradient is a straight line in it."""
        ends = [self._after(before, attempt, rate) for rate in (0.0, 1.0)]
        if ends[0] is None or ends[1] is None:
            return None
        start, end, wrong = ends[0][name], ends[1][name], self.mine[name]
        if not wrong.shape == start.shape == end.shape:
            return None
        line = (end - start).ravel()
        length = float(line @ line)
        if not length > 0 or not np.isfinite(length):
            return None
        return float((wrong - start).ravel() @ line) / length

    def _pairs(self, name: str) -> Iterator[_Guess]:
        """Yield the pairs of slips that give the gradient."""
        firsts = []
        for attempt in self._attempts:
            if attempt.has_rate or attempt.is_rare:
                continue
            gradients = self._after(self.edits, attempt)
            if gradients is not None and name in self._changed(self._now, gradients):
                firsts.append(attempt)
        size = sum(x.size for x in self.case.nodes)
        seconds = [attempt for attempt in self._attempts if not attempt.is_rare]
        seconds.sort(key=lambda attempt: not attempt.has_rate)
        most = min(MOST_PAIRS, MOST_NUMBERS // size)
        for second, first in islice(product(seconds, firsts), most):
            edits: Edits = {**self.edits, **first.edits}
            for guess in self._fitted(name, second, edits):
                _, explained = self._explained(self._now, self._gradients(guess.edits))
                if explained.size < 2:  # chance may give one number
                    continue
                yield guess._replace(
                    words=both(str(first.says), guess.words),
                    slips=[first, second],
                    lesson=first.page(),
                )

    def _counted(self, guess: _Guess) -> _Guess:
        """Count how many of the gradients a guess explains."""
        gradients = self._gradients(guess.edits)
        return guess._replace(
            explained=sum(self._agrees(name, gradients) for name in self.mine)
        )

    def _accept(self, guess: _Guess) -> None:
        changed = []
        for attempt in guess.slips:
            self.edits = {**self.edits, **{at: guess.edits[at] for at in attempt.edits}}
            before, self._now = self._now, self._gradients(self.edits)
            changed.append((self._changed(before, self._now), attempt.within))
        self._known = {}
        # The slip that changes fewer gradients is nearer to them.
        for names, within in sorted(changed, key=lambda each: -len(each[0])):
            self._sources.update(dict.fromkeys(names, within))

    def _changed(
        self, then: Mapping[str, Array], now: Mapping[str, Array]
    ) -> list[str]:
        """Return the names of the gradients that differ."""
        return [
            name
            for name, tolerance in self.tolerance.items()
            if difference(now[name], then[name]) > tolerance
        ]

    # --- Guesses that these numbers cannot tell apart ---

    def _different(self, name: str, guesses: list[_Guess]) -> list[_Guess]:
        """Leave out the guesses that say the same as an earlier one for all numbers."""
        kept: list[_Guess] = []
        for guess in guesses:
            known = (self._agree_at(self._elsewhere, name, guess, k) for k in kept)
            if not any(known):
                kept.append(guess)
        return kept

    @cached_property
    def _elsewhere(self) -> Replay:
        """The same graph at other numbers."""
        rng = np.random.default_rng(0)
        return self.case.replay.at(
            (x, np.where(value == 0, 0.3, value) * rng.uniform(0.6, 1.4, value.shape))
            for x in self._given()
            for value in [np.asarray(value_of(x))]
        )

    def _agree_at(
        self, elsewhere: Replay, name: str, one: _Guess, other: _Guess
    ) -> bool:
        x = self.case.parameters[name]
        first, second = (
            elsewhere.run(guess.edits).gradient(x) for guess in (one, other)
        )
        return self._is_same(name, first, second)

    def _is_same(self, name: str, one: Array, other: Array) -> bool:
        return difference(one, other) <= max(1e-6, self.tolerance[name])

    def _given(self) -> list[Any]:
        """Return the leaves and the constant arrays."""
        found = {}
        for node in self.case.nodes:
            for x in (node, *node.inputs):
                if getattr(x, "op", None) is None and self.case.is_quantity(x):
                    found[id(x)] = x
        return list(found.values())

    def _telling_apart(self, name: str, guesses: list[_Guess]) -> str:
        """Name quantities, and values for them, that tell the guesses apart."""
        new = [(x, _another(np.asarray(value_of(x)))) for x in self._given()]

        def do_agree(chosen: Iterable[tuple[Any, Array]]) -> bool:
            elsewhere = self.case.replay.at(chosen)
            pairs = combinations(guesses, 2)
            return any(self._agree_at(elsewhere, name, *pair) for pair in pairs)

        few = chain(combinations(new, 1), combinations(new, 2))
        chosen = next(filterfalse(do_agree, few), ())
        said = [
            f"{self.case.name(x)} = {value:g}"
            if value.ndim == 0
            else say("{name} with other numbers", name=self.case.name(x))
            for x, value in chosen
        ]
        return reduce(_and, said) if said else say("other numbers everywhere")


def _and(one: str, other: str) -> str:
    return say("{one} and {other}", one=one, other=other)


def _either(words: list[str]) -> str:
    return reduce(
        lambda one, other: say("{one}; or {other}", one=one, other=other), words
    )


def _another(value: Array) -> Array:
    return np.asarray(value + 1.0 if value.ndim == 0 else value * 1.5 + 0.1)
