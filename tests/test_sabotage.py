"""Are the checks any good? Each rule is broken on purpose, and they must notice.

A check that cannot fail proves nothing. So the rules of each op are sabotaged, one at a
time, in the ways in which rules are wrong, and so is the traversal; then the checks of
`tinygrad_edu.testing` are made on a few calls, until one fails. What survives is listed,
with the reason why it is no fault.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, seed, settings

import tinygrad_edu as tg
from tinygrad_edu import autodiff, testing
from tinygrad_edu.op import Op
from tinygrad_edu.testing import Call

# As they are now: other tests may declare more.
OPS = dict(tg.OPS)
EXAMPLES = 150

Rule = Callable[..., Any]


def is_caught(op: Op) -> bool:
    """Whether a check fails, on some call of an op; the first that does is enough."""
    # The gradient comes first since it tells most.
    checks = [testing.check_gradient, *testing.CHECKS]
    try:
        for call in some_calls(op.name):
            for check in checks:
                check(call)
    except (AssertionError, IndexError, TypeError, ValueError):
        return True
    return False


@cache
def some_calls(name: str) -> list[Call]:
    """Draw calls of an op, always the same ones; none is shrunk or tried again."""
    drawn = []

    @settings(
        max_examples=EXAMPLES, phases=[Phase.generate], database=None, deadline=None
    )
    @seed(10)
    @given(testing.calls(OPS[name]))
    def draw(call: Call) -> None:
        drawn.append(call)

    draw()
    return drawn


@pytest.mark.parametrize("op", OPS.values(), ids=list(OPS))
def test_an_op_that_is_not_sabotaged_passes(op: Op) -> None:
    assert not is_caught(op)


# --- Rules ----------------------------------------------------------------------------

# Each takes an op, and the number of one of its inputs, and gives a wrong rule for it.
SABOTAGES: dict[str, Callable[[Op, int], Rule]] = {}


def sabotage(name: str) -> Callable[[Any], Any]:
    """Enter a way to spoil what a rule gives: a function of it and of the input."""

    def enter(spoil: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def spoiled(op: Op, i: int) -> Rule:
            rule = op.rules[op.inputs[i]]

            def wrong(g: Any, y: Any, *inputs: Any, **params: Any) -> Any:
                x = inputs[params.get("position", i)]
                return spoil(rule(g, y, *inputs, **params), x)

            return wrong

        SABOTAGES[name] = spoiled
        return spoil

    return enter


@sabotage("negated")
def negated(cotangent: Any, x: Any) -> Any:
    return -cotangent


@sabotage("doubled")
def doubled(cotangent: Any, x: Any) -> Any:
    return 2 * cotangent


@sabotage("zero")
def zero(cotangent: Any, x: Any) -> Any:
    return 0 * cotangent


@sabotage("transposed")
def transposed(cotangent: Any, x: Any) -> Any:
    *stack, m, n = (1, 1, *cotangent.shape)
    if m != n or m < 2:
        return cotangent
    last = cotangent.ndim - 1
    return tg.transpose(cotangent, (*range(last - 1), last, last - 1))


@sabotage("one slice in place of the sum over what was broadcast")
def one_slice(cotangent: Any, x: Any) -> Any:
    extra = cotangent.ndim - np.ndim(x)
    repeated = [slice(1) if n == 1 else slice(None) for n in np.shape(x)]
    return cotangent[(0,) * extra + tuple(repeated)]


def without_g(op: Op, i: int) -> Rule:
    rule = op.rules[op.inputs[i]]
    return lambda g, *rest, **params: rule(0 * g + 1, *rest, **params)


def of_the_next_input(op: Op, i: int) -> Rule:
    rule = op.rules[op.inputs[(i + 1) % len(op.inputs)]]
    if not op.variadic:
        return rule

    def shifted(g: Any, y: Any, *arrays: Any, position: int, **params: Any) -> Any:
        return rule(g, y, *arrays, position=(position + 1) % len(arrays), **params)

    return shifted


SABOTAGES["ones for g"] = without_g
SABOTAGES["that of the next input"] = of_the_next_input

# Why a sabotage is no fault: for the op, the input and the sabotage, "*" being any.
SURVIVORS: dict[tuple[str, str, str], str] = {}
