"""Are the checks any good? Each rule is broken on purpose, and they must notice.

A check that cannot fail proves nothing. So the rules of each op are sabotaged, one at a
time, in the ways in which rules are wrong, and so is the traversal; then the checks of
`tinygrad_edu.testing` are made on some calls, until one fails. What survives is listed,
with the reason why it is no fault.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import built_in_calls
import numpy as np
import pytest
from hypothesis import Phase, given, seed, settings

import tinygrad_edu as tg
from tinygrad_edu.checking import properties as testing
from tinygrad_edu.engine import autodiff
from tinygrad_edu.engine.op import Op
from tinygrad_edu.testing import Call

# As they are now: other tests may declare more.
OPS = dict(tg.OPS)
EXAMPLES = 250

Rule = Callable[..., Any]


def is_caught(op: Op) -> bool:
    """Whether a check fails, on some call of an op; the first that does is enough."""
    # The gradient comes first since it tells most.
    checks = [testing.check_gradient, *testing.CHECKS]
    try:
        for call in some_calls(op.name):
            for check in checks:
                check(call)
    except (AssertionError, IndexError, TypeError, ValueError, RuntimeWarning):
        return True
    return False


@cache
def some_calls(name: str) -> list[Call]:
    """Draw calls of an op, always the same ones; none is shrunk or tried again."""
    drawn = []

    @settings(
        max_examples=EXAMPLES, phases=[Phase.generate], database=None, deadline=None
    )
    @seed(5)
    @given(built_in_calls.calls(OPS[name]))
    def draw(call: Call) -> None:
        drawn.append(call)

    draw()
    return drawn


# --- Rules ----------------------------------------------------------------------------

# Each takes an op and the position of one of its inputs, and gives a wrong rule for it.
SABOTAGES: dict[str, Callable[[Op, int], Rule]] = {}


def sabotage(name: str) -> Callable[[Any], Any]:
    """Enter a way to spoil what a rule gives: a function of this and of the input."""

    def enter(spoil: Callable[[Any, Any], Any]) -> None:
        def spoiled(op: Op, i: int) -> Rule:
            rule = op.rules[op.inputs[i]]

            def wrong(g: Any, y: Any, *inputs: Any, **params: Any) -> Any:
                given = rule(g, y, *inputs, **params)
                if op.variadic:
                    return lambda k: spoil(given(k), inputs[k])
                return spoil(given, inputs[i])

            return wrong

        SABOTAGES[name] = spoiled

    return enter


sabotage("negated")(lambda cotangent, x: -cotangent)
sabotage("doubled")(lambda cotangent, x: 2 * cotangent)
sabotage("zero")(lambda cotangent, x: 0 * cotangent)


@sabotage("transposed")
def transposed(cotangent: Any, x: Any) -> Any:
    """Transpose square matrices."""
    last = cotangent.ndim - 1
    if last < 1 or cotangent.shape[-1] != cotangent.shape[-2]:
        return cotangent
    return tg.transpose(cotangent, (*range(last - 1), last, last - 1))


@sabotage("one slice for the sum")
def one_slice(cotangent: Any, x: Any) -> Any:
    """Where the input was broadcast, do not add up."""
    if cotangent.size == 0:
        return cotangent
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

    def shifted(g: Any, y: Any, *arrays: Any, **params: Any) -> Any:
        at = rule(g, y, *arrays, **params)
        return lambda i: at((i + 1) % len(arrays))

    return shifted


SABOTAGES |= {"ones for g": without_g, "that of the next input": of_the_next_input}


def applies(name: str, op: Op) -> bool:
    """Whether there can be a difference: by the number of inputs."""
    several = len(op.inputs) > 1
    if name == "one slice for the sum":
        return several or op is tg.broadcast_to
    return several or op.variadic or name != "that of the next input"


# What is no fault, and why: (op, input) and the sabotages.
ZERO = "its rule gives zeros, and so does this"
NOT_BROADCAST = "it is not broadcast"
VECTORS = "it takes vectors, which are not broadcast"
JUMPS = ["ceil", "floor", "rint", "round", "sign", "trunc"]
SURVIVORS: dict[tuple[str, str], dict[str, str]] = {
    ("add", "a"): {"that of the next input": "the rules are the same"},
    ("add", "b"): {"that of the next input": "the rules are the same"},
    ("cholesky", "x"): {"transposed": "the gradient is symmetric"},
    ("convolve", "a"): dict.fromkeys(["one slice for the sum", "transposed"], VECTORS),
    ("convolve", "v"): dict.fromkeys(["one slice for the sum", "transposed"], VECTORS),
    ("copysign", "b"): dict.fromkeys(
        SABOTAGES.keys() - {"that of the next input"}, ZERO
    ),
    ("dot", "a"): {"one slice for the sum": NOT_BROADCAST},
    ("dot", "b"): {"one slice for the sum": NOT_BROADCAST},
    ("eigensystem", "x"): {"transposed": "the gradient is symmetric"},
    ("floor_divide", "a"): dict.fromkeys(SABOTAGES, ZERO),
    ("floor_divide", "b"): dict.fromkeys(SABOTAGES, ZERO),
    ("linear", "x"): {"one slice for the sum": NOT_BROADCAST},
    ("linear", "w"): {"one slice for the sum": NOT_BROADCAST},
    ("where", "condition"): dict.fromkeys(
        SABOTAGES, "a condition has no gradient, so its rule is not called"
    ),
}
SURVIVORS |= {
    (name, "x"): dict.fromkeys(
        ["negated", "doubled", "zero", "transposed", "ones for g"], ZERO
    )
    for name in JUMPS
}


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.rules], ids=str)
def test_each_sabotage_of_a_rule_is_caught(op: Op) -> None:
    assert not is_caught(op)
    rules = dict(op.rules)
    for i, name in enumerate(rules):
        survivors = set()
        for way in (way for way in SABOTAGES if applies(way, op)):
            try:
                op.vjp(**rules | {name: SABOTAGES[way](op, i)})
                if not is_caught(op):
                    survivors.add(way)
            finally:
                op.vjp(**rules)
        assert survivors == SURVIVORS.get((op.name, name), {}).keys(), name


def test_survivors_are_rules_that_there_are() -> None:
    rules = {(op.name, name) for op in OPS.values() for name in op.rules}
    assert SURVIVORS.keys() - rules == set()


# --- The traversal --------------------------------------------------------------------

# What is broken: the function, pieces of its source and what is put in their place, and
# an op whose checks notice. (To visit the oldest first is by itself slow and not wrong,
# since a node comes again with what it was not given yet; so here it comes only once.)
BREAKAGES: dict[str, tuple[str, dict[str, str], Op]] = {
    "a leaf's gradients are not added up": (
        "pull_back",
        {"totals[x] + cotangent": "totals[x] * (x.op is not None) + cotangent"},
        tg.var,
    ),
    "a node's gradients are not added up": (
        "pull_back",
        {"totals[x] + cotangent": "totals[x] * (x.op is None) + cotangent"},
        tg.prod,
    ),
    "oldest first": (
        "pull_back",
        {
            "(-x.index, x)": "(x.index, x)",
            "totals.pop(node)": "totals[node]",
        },
        tg.prod,
    ),
    "gradients share memory": (
        "pull_back",
        {"positive(cotangent) if shared else cotangent": "cotangent"},
        tg.add,
    ),
    "one slice for the sum over new axes": (
        "unbroadcast",
        {
            "cotangent.sum(axis=0 if extra == 1 else tuple(range(extra)))": (
                "cotangent[(0,) * extra]"
            )
        },
        tg.multiply,
    ),
    "the mean for the sum over axes that were repeated": (
        "unbroadcast",
        {"cotangent.sum(axis=repeated": "cotangent.mean(axis=repeated"},
        tg.multiply,
    ),
    "the dtype is left as it is": (
        "unbroadcast",
        {"cotangent.astype(like.dtype)": "cotangent"},
        tg.astype,
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=list(BREAKAGES))
def test_each_breakage_of_the_traversal_is_caught(
    breakage: tuple[str, dict[str, str], Op], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, changes, op = breakage
    assert not is_caught(op)
    source = inspect.getsource(getattr(autodiff, name))
    for right, wrong in changes.items():
        assert source.count(right) == 1
        source = source.replace(right, wrong)
    names = dict(vars(autodiff))
    exec(source, names)
    monkeypatch.setattr(autodiff, name, names[name])
    assert is_caught(op)
