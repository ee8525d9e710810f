"""How an answer is judged: each function returns the judge of an exercise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.checking.comparing import ComparedParameter, Judgement, compare
from tinygrad_edu.checking.gradient import GradientError, gradcheck
from tinygrad_edu.checking.replay import difference
from tinygrad_edu.engine.op import Op
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.exercising.exercise import Exercise, Judge, Verdict
from tinygrad_edu.support.language import say

__all__ = ["gradient", "own_op", "same", "well_done"]

BY_HAND = 5e-3  # three digits, as people copy numbers
EXACT = 1e-7


def well_done() -> Verdict:
    return Verdict(True, say("well done"))


def gradient(network: Callable[..., Mapping[str, Any]], *wrt: str) -> Judge:
    """Judge derivatives with `compare` and its catalogue of slips.

    Parameters
    ----------
    network : callable
        Takes the given numbers as Tensors, by name; returns all its quantities by name,
        among them the ``loss``: ``return locals()``.
    *wrt : str
        With respect to what the derivatives are.
    """

    def judge(exercise: Exercise, answer: Any) -> Verdict:
        mine = _result(exercise, answer)
        if isinstance(mine, Verdict):
            return mine
        leaves = {
            name: Tensor(x, requires_grad=name in wrt, name=name)
            for name, x in exercise.given.items()
        }
        quantities = network(**leaves)
        for name, x in quantities.items():
            x.name = name
        parameters = {name: leaves[name] for name in wrt}
        right = _result(exercise, exercise.right())
        if len(wrt) == 1:
            mine, right = [mine], [right]

        try:
            pairs = list(zip(mine, right, strict=True))
            rows = _wrong_rows(pairs, quantities["loss"], parameters)
        except (TypeError, ValueError) as error:
            return Verdict(
                False,
                say("gradients wanted: {n}; {error}", n=len(wrt), error=error),
            )
        if not rows:
            return well_done()
        return Verdict(
            False,
            "\n".join(_words(row, is_only=len(wrt) == 1) for row in rows),
            next((row.lesson for row in rows if row.lesson), ""),
        )

    return judge


def _wrong_rows(
    pairs: list[tuple[Any, Any]], loss: Any, parameters: dict[str, Tensor]
) -> list[ComparedParameter]:
    """Compare with the digits that are given; what is only near a slip is a guess."""

    def compared(gradients: list[Any], rtol: float) -> list[ComparedParameter]:
        table = compare(gradients, loss, parameters, rtol=rtol, reveal=False)
        return [row for row in table if not row.verdict.is_right]

    given = [mine for mine, _ in pairs]
    near = compared(given, BY_HAND)
    wrong = {row.parameter for row in near}
    for gradients in (given, [_unrounded(*pair) for pair in pairs]) if near else ():
        exact = [row for row in compared(gradients, EXACT) if row.parameter in wrong]
        if any(row.lesson for row in exact):
            return exact if gradients is given else [_perhaps(row) for row in exact]
    return [_perhaps(row) for row in near]


def _perhaps(row: ComparedParameter) -> ComparedParameter:
    """Say of a slip that it is a guess."""
    if not row.lesson:
        return row
    says = say("perhaps {slip}", slip=row.verdict.says)
    return row._replace(verdict=Judgement(says))


def _words(row: ComparedParameter, is_only: bool) -> str:
    says = row.verdict.says
    if is_only:
        return says
    return say("{parameter}: {says}", parameter=row.parameter, says=says)


def _unrounded(mine: Any, right: Any) -> Any:
    """Give an answer its missing digits back, also if its sign or a 2 is wrong."""
    mine = np.asarray(mine, float)
    multiples = (k * np.asarray(right) for k in (1, -1, 2, -2, 0.5, -0.5))
    return next((m for m in multiples if difference(mine, m) <= BY_HAND), mine)


def same(exercise: Exercise, answer: Any) -> Verdict:
    """Judge numbers, or what a function returns, by those of the solution."""
    mine = _result(exercise, answer)
    if isinstance(mine, Verdict):
        return mine
    right = _result(exercise, exercise.right())
    if isinstance(right, tuple) and len(_parts(mine)) != len(right):
        return Verdict(False, say("results wanted: {n}, in a tuple", n=len(right)))
    faults = _faults(mine, right)
    if not faults:
        return well_done()
    for slip, expression in exercise.declaration.slips.items():
        other = eval(expression, {"np": np, **exercise.given})
        if not _faults(mine, other):
            return Verdict(False, say(slip), exercise.declaration.lesson)
    return Verdict(False, faults[0], exercise.declaration.lesson)


def own_op(forward: Callable[..., Any]) -> Judge:
    """Judge an op: its values by those of `forward`, its rules by `gradcheck`."""

    def judge(exercise: Exercise, answer: Any) -> Verdict:
        if not isinstance(answer, Op):
            return Verdict(
                False,
                say("this is no op; declare it with @tg.op, and its rules with .vjp"),
                "write-your-own-op",
            )
        numbers = list(exercise.given.values())
        faults = _faults(answer(*numbers), forward(*numbers))
        if faults:
            says = say("its value: {fault}", fault=faults[0])
            return Verdict(False, says, "write-your-own-op")
        try:
            gradcheck(answer, *numbers, order=2)
        except (GradientError, TypeError, ValueError) as error:
            return Verdict(False, str(error), "is-my-gradient-right")
        return well_done()

    return judge


def _result(exercise: Exercise, answer: Any) -> Any:
    """Return the numbers of an answer; call a function with the given numbers."""
    if not callable(answer):
        return answer
    try:
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            result = answer(*exercise.given.values())
    except FloatingPointError as error:
        return Verdict(False, say("in your function: {error}", error=error))
    if result is None:
        return Verdict(False, say("your function returned None; end it with a return"))
    return result


def _parts(x: Any) -> list[Any]:
    return list(x) if isinstance(x, tuple | list) else [x]


def _faults(mine: Any, right: Any) -> list[str]:
    """List how results differ from the right ones, without telling these."""
    if isinstance(right, tuple):
        pairs = enumerate(zip(_parts(mine), right), 1)
        return [
            say("result {i}: {fault}", i=i, fault=fault)
            for i, pair in pairs
            for fault in _faults(*pair)
        ]
    try:
        mine = np.asarray(mine, float)
    except (TypeError, ValueError):
        return [say("numbers are wanted, not {mine!r}", mine=mine)]
    if mine.shape != np.shape(right):
        return [
            say(
                "the shape is {mine}, and should be {right}",
                mine=mine.shape,
                right=np.shape(right),
            )
        ]
    if difference(mine, np.asarray(right, float)) <= BY_HAND:
        return []
    return [say("no common slip explains it; try hint()")]
