"""How an answer is judged: a judge returns its verdict on an answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import losses
from tinygrad_edu.checking.comparing import ComparedParameter, Judgement, compare
from tinygrad_edu.checking.gradient import GradientError, gradcheck
from tinygrad_edu.checking.replay import difference
from tinygrad_edu.compiler.compiling import Compiled
from tinygrad_edu.engine.op import Op
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.exercising.exercise import Exercise, Verdict
from tinygrad_edu.nn import MLP
from tinygrad_edu.optim import SGD, Optimiser
from tinygrad_edu.support.language import say

__all__ = ["compiled_step", "gradient", "own_op", "own_optimiser", "same"]

BY_HAND = 5e-3  # three digits, as people copy numbers
EXACT = 1e-7
STEPS = 3  # of an optimiser, or of a compiled step


def well_done() -> Verdict:
    return Verdict(True, say("well done"))


def gradient(exercise: Exercise, answer: Any) -> Verdict:
    """Judge derivatives with `compare` and its catalogue of slips."""
    mine = _result(exercise, answer)
    if isinstance(mine, Verdict):
        return mine
    wrt = exercise.declaration.wrt
    is_only = len(wrt) == 1
    leaves = {k: Tensor(x, requires_grad=k in wrt) for k, x in exercise.given.items()}
    quantities = exercise.run(exercise.declaration.program, **leaves)
    for name, x in quantities.items():
        if isinstance(x, Tensor):
            x.name = name
    right = _result(exercise, exercise.right())
    if is_only:
        mine, right = [mine], [right]
    try:
        pairs = list(zip(mine, right, strict=True))
        parameters = {name: leaves[name] for name in wrt}
        rows = _wrong_rows(pairs, quantities["loss"], parameters)
    except (TypeError, ValueError) as error:
        says = say("gradients wanted: {n}; {error}", n=len(wrt), error=error)
        return Verdict(False, says)
    if not rows:
        return well_done()
    says = "\n".join(_words(row, is_only) for row in rows)
    return Verdict(False, says, next((row.lesson for row in rows if row.lesson), ""))


def _wrong_rows(
    pairs: list[tuple[Any, Any]], loss: Any, parameters: dict[str, Tensor]
) -> list[ComparedParameter]:
    """Return the rows that are wrong; a slip is a guess if only three digits fit it."""

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
    """Restore digits that were rounded away, even if the sign or a 2 is wrong."""
    mine = np.asarray(mine, float)
    multiples = (k * np.asarray(right) for k in (1, -1, 2, -2, 0.5, -0.5))
    return next((m for m in multiples if difference(mine, m) <= BY_HAND), mine)


def same(exercise: Exercise, answer: Any) -> Verdict:
    """Compare numbers, or what a function returns, with the solution's."""
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
        other = exercise.run(f"answer = {expression}")["answer"]
        if not _faults(mine, other):
            return Verdict(False, say(slip), exercise.declaration.lesson)
    return Verdict(False, faults[0], exercise.declaration.lesson)


def own_op(exercise: Exercise, answer: Any) -> Verdict:
    """Compare an op's values with the program's, and check its rules by `gradcheck`."""
    page = "write-your-own-op"
    if not isinstance(answer, Op):
        says = say("this is no op; declare it with @tg.op, and its rules with .vjp")
        return Verdict(False, says, page)
    numbers = exercise.given.values()
    right = exercise.run(exercise.declaration.program)["value"]
    faults = _faults(answer(*numbers), right)
    if faults:
        return Verdict(False, say("its value: {fault}", fault=faults[0]), page)
    try:
        gradcheck(answer, *numbers, order=2)
    except (GradientError, TypeError, ValueError) as error:
        return Verdict(False, str(error), "is-my-gradient-right")
    return well_done()


def own_optimiser(exercise: Exercise, answer: Any) -> Verdict:
    """Compare a few steps of an optimiser with momentum with those of `SGD`."""
    page = "optimisers-and-layers"
    if not (isinstance(answer, type) and issubclass(answer, Optimiser)):
        says = say("this is no subclass of tg.optim.Optimiser")
        return Verdict(False, says, page)
    w, lr, mu = exercise.given.values()
    mine, right = (Tensor(w, requires_grad=True) for _ in range(2))
    optimisers = answer([mine], lr, mu), SGD([right], lr, momentum=mu)
    for step in range(1, STEPS + 1):
        for p, optimiser in zip((mine, right), optimisers):
            optimiser.zero_grad()
            (p**4).sum().backward()
            optimiser.step()
        if not np.allclose(mine.data, right.data, rtol=1e-9, atol=0):
            if step == 1:
                says = say("already step 1; mind what v keeps")
            else:
                says = say(
                    "the first is right, but not step {step}; mind what v keeps",
                    step=step,
                )
            return Verdict(False, says, page)
    return well_done()


def compiled_step(exercise: Exercise, answer: Any) -> Verdict:
    """Compare a compiled step with the same step without `compile`."""
    x, y, lr = exercise.given.values()
    mine, right = (MLP([2, 3, 1], rng=exercise.seed) for _ in range(2))
    optimiser = SGD(right.parameters(), lr)
    step = callable(answer) and answer(mine, SGD(mine.parameters(), lr))
    if not isinstance(step, Compiled):
        says = say("it should return what tg.compile returned")
        return Verdict(False, says, "from-tape-to-program")
    for count in range(1, STEPS + 1):
        loss = losses.mse(right(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found = step(x, y)
        if found is None:
            return Verdict(False, say("step returns None, and should return the loss"))
        if not np.allclose(np.asarray(found), loss.data, rtol=1e-9):
            return Verdict(
                False,
                say(
                    "the loss of step {step} is not right; which loss is it, and is "
                    "the gradient zeroed before each step?",
                    step=count,
                ),
                "lessons/07-training",
            )
    pairs = zip(mine.parameters(), right.parameters())
    if not all(np.allclose(p.data, q.data, rtol=1e-9) for p, q in pairs):
        says = say("the parameters are not right after the steps")
        return Verdict(False, says, "lessons/07-training")
    return well_done()


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
    """List what is wrong with results, without the right numbers."""
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
