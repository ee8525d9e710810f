"""What a wrong number at a step comes from: the catalogue of slips, step by step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from math import isclose
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.case import Case, Use
from tinygrad_edu.checking.catalogue import Attempt, attempts, usual_factors
from tinygrad_edu.checking.replay import Edits, Spot, cotangent_of, value_at
from tinygrad_edu.engine.graph import Node, value_of
from tinygrad_edu.explaining.narration import Narrator, Step
from tinygrad_edu.explaining.walking import Contribution
from tinygrad_edu.formulas.naming import needs_gradient

__all__ = ["AskedNumber", "Slips"]

Array = np.ndarray[Any, Any]

MOST_ATTEMPTS = 2000
MOST = 12  # that are told at a step


class AskedNumber(NamedTuple):
    """The number that a step asks for, and what it would be with a slip.

    Attributes
    ----------
    place : int
        Where it is in the step's result, in row order.
    slips : list of (str, float)
        What each slip is, and the number that it gives.
    """

    place: int
    slips: list[tuple[str, float]]


class Slips:
    """The slips at the steps of a page.

    The catalogue is the one of `compare`. A slip is told at the step at which it is
    made: in what an op passes back, in a gradient, or in a layer that lacks its bias.

    Parameters
    ----------
    narrator : Narrator

    Attributes
    ----------
    factors : list of (float, str)
        By what any of the numbers may be wrong, and what makes it so.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.engine.graph import topological_order
    >>> from tinygrad_edu.formulas.quantities import Quantities
    >>> x = tg.Tensor(0.5, requires_grad=True)
    >>> y = tg.tanh(x) * 3.0
    >>> narrator = Narrator(Quantities(topological_order(y), {}))
    >>> slips = Slips(narrator)
    >>> *_, last, done = narrator.steps()
    >>> for what, number in slips.at(last).slips[:2]:
    ...     print(f"{number:.3f}: {what}")
    3.000: tanh'(x1) is missing
    1.614: t1 is not squared
    """

    def __init__(self, narrator: Narrator) -> None:
        self._case = case = _CaseOfPage(narrator)
        self.factors = [*chain.from_iterable(usual_factors(case.sizes))]
        self._uses: dict[Spot, list[Use]] = defaultdict(list)  # by the gradient
        for use in case.uses:
            self._uses[cotangent_of(use.x)].append(use)
        gradient_of = {use.spot: cotangent_of(use.x) for use in case.uses}
        # The attempts by what they change: a gradient or, forward, a value.
        self._attempts: dict[Spot, list[Attempt]] = defaultdict(list)
        tried = islice(attempts(case), MOST_ATTEMPTS)
        for attempt in sorted(tried, key=lambda attempt: attempt.is_rare):
            changed = {gradient_of.get(spot, spot) for spot in attempt.edits}
            if len(changed) == 1 and not attempt.has_rate:
                self._attempts[changed.pop()].append(attempt)

    def at(self, step: Step, most: int = MOST) -> AskedNumber | None:
        """Return the slips at a step; None if it asks for no number."""
        if step.kind not in ("compute", "contribute"):
            return None
        right = np.asarray(step.equations[-1].figures[-1].array)
        size = np.where(np.isfinite(right), np.abs(right), -1.0)
        if not np.any(size >= 0):
            return None
        place = int(size.argmax())
        value = right.flat[place]
        slips = (
            (what, float(wrong.flat[place]))
            for what, wrong in self._wrong(step)
            if wrong.shape == right.shape
        )
        told = (
            (what, number)
            for what, number in slips
            if np.isfinite(number) and not isclose(number, value, rel_tol=1e-3)
        )
        return AskedNumber(place, list(islice(told, most)))

    def _wrong(self, step: Step) -> Iterator[tuple[str, Array]]:
        """Yield what comes out at a step with each slip."""
        if step.contribution is None:
            node: Any = step.node
            changed = [value_at(x) for x in node.inputs if self._case.is_parameter(x)]
            compute = partial(self._value, node)
        else:
            changed = [cotangent_of(step.contribution.share.x)]
            compute = partial(self._gradient, step.contribution)
        for attempt in chain.from_iterable(map(self._attempts.__getitem__, changed)):
            try:
                with np.errstate(all="ignore"):
                    wrong = compute(attempt.edits)
            except Exception:  # the shapes do not fit, or a user's op refuses
                continue
            yield from ((words, np.asarray(wrong)) for words in attempt.words(1.0))

    def _value(self, node: Node, edits: Edits) -> Any:
        """Compute a node, with changed inputs."""
        run = self._case.replay.right
        inputs = [
            edits[value_at(x)](run, run.value(x)) if value_at(x) in edits else x
            for x in node.inputs
        ]
        return node.op.compute([value_of(x) for x in inputs], node.params)

    def _gradient(self, contribution: Contribution, edits: Edits) -> Any:
        """Add up the contributions to a gradient so far, with changes."""
        run, x = self._case.replay.right, contribution.share.x
        shares = [
            edits[use.spot](run, run.shares[use.spot])
            if use.spot in edits
            else run.shares[use.spot]
            for use in self._uses[cotangent_of(x)][: contribution.number]
        ]
        total = sum(shares[1:], shares[0])
        is_complete = contribution.number == contribution.of
        if is_complete and cotangent_of(x) in edits:
            total = edits[cotangent_of(x)](run, total)
        return total


class _CaseOfPage(Case):
    """A graph with the names of the page, where no gradient is called delta."""

    def __init__(self, narrator: Narrator) -> None:
        self._slope = narrator.slope
        leaves = filter(needs_gradient, narrator.names.leaves)
        super().__init__(narrator.names, {narrator.name(x): x for x in leaves})

    def delta(self, node: Any) -> str:
        return self._slope(node)
