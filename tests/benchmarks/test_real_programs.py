"""Compiled steps of real programs beside JAX's, and how long each side compiles.

    pytest tests/benchmarks/test_real_programs.py

As in `test_side_by_side.py`: that all lose the same is asserted, a time never is; the
table only marks each limit ok or over. First calls take turns too: each is the fastest
of some, since what disturbs one only makes it longer.
"""

from functools import partial
from time import perf_counter

import numpy as np
import pytest
from real_programs import (
    PROBLEMS,
    buffers_by_hand,
    formulas_by_hand,
    jax_jit,
    ours,
)
from steps import NUMBA
from test_side_by_side import table
from turns import beside, time_in_turn

import tinygrad_edu as tg

pytest.importorskip("jax", reason="JAX is not installed")
pytest.importorskip("numba", reason="Numba is not installed")

COMPILED, JAX, FORMULAS, BUFFERS = "tg.compile", "JAX jit", "formulas", "with buffers"
PROGRAMS = {COMPILED: ours, JAX: jax_jit}
BY_HAND = {
    NUMBA: partial(ours, wrap=tg.compile(backend="numba")),
    FORMULAS: formulas_by_hand,
    BUFFERS: buffers_by_hand,
}
LIMITS = {name: {(COMPILED, JAX): 1.0} for name in PROBLEMS}
LIMITS["RNN, T 16, H 32, B 16"] = {(COMPILED, JAX): 0.8}
LIMITS["by hand 784-30-10 x 10"] = {
    (COMPILED, JAX): 0.75,
    (COMPILED, FORMULAS): 1.0,
    (COMPILED, BUFFERS): 1.0,
    (NUMBA, FORMULAS): 0.8,
    (NUMBA, BUFFERS): 0.8,
}
FIRST_CALLS, STEPS = 3, 5
LENGTHS = {1_000: 5, 10_000: 3, 50_000: 1}  # of chains, each made so many times
A_RECORDED_OP = 60  # microseconds


@pytest.fixture(scope="module")
def cases():
    """Hold what is to be timed: of each case the steps by program, and the limits."""
    return {}


@pytest.mark.parametrize("name", PROBLEMS)
def test_all_lose_the_same(name, cases):
    problem = PROBLEMS[name]()
    programs = PROGRAMS | (BY_HAND if (COMPILED, BUFFERS) in LIMITS[name] else {})
    steps = {who: build(problem) for who, build in programs.items()}
    eager = ours(problem, wrap=lambda f: f)
    before = np.inf
    for _ in range(STEPS):
        expected = eager().item()
        assert expected < before
        before = expected
        for who, step in steps.items():
            loss = step()
            assert loss.dtype == np.float32, who
            assert loss.item() == pytest.approx(expected, rel=1e-4), who
    cases["real programs", name] = steps, LIMITS[name]


def test_all_are_timed_in_turn(cases, report, figures):
    times, away = time_in_turn({case: steps for case, (steps, _) in cases.items()})
    for (group, case), of in times.items():
        figures.setdefault(group, {})[case] = beside(COMPILED, of)
    report += table(cases, times, {})
    report.append(f"the processor was away for {away:.1%} of the time")


def test_first_calls_are_timed(report, figures):
    """A new function each time, so that nothing is compiled already."""
    problems = {name: make() for name, make in PROBLEMS.items()}
    jax_jit(problems["MLP 64-64-64-10 x 32"])()  # not counted: JAX starts
    report += ["", f"milliseconds of a first call, fastest of {FIRST_CALLS}"]
    report += [f"{'':<38}{COMPILED:>12}{JAX:>10}{'ratio':>8}"]
    for name, problem in problems.items():
        rounds = [
            [seconds(build(problem)) for build in PROGRAMS.values()]
            for _ in range(FIRST_CALLS)
        ]
        mine, theirs = 1e3 * np.min(rounds, axis=0)
        figures.setdefault("first calls", {})[name] = {COMPILED: mine, JAX: theirs}
        mark = "ok" if mine <= theirs else "over"
        report.append(
            f"{name:<38}{mine:>12.0f}{theirs:>10.0f}{mine / theirs:>8.2f} <= 1  {mark}"
        )


@pytest.mark.parametrize("length", LENGTHS)
def test_a_first_call_is_linear_in_the_length_of_a_chain(length, report, figures):
    """What is recorded is forward only, so the ops are those written here."""
    w = tg.Tensor(np.float32([0.5, 0.9]), requires_grad=True, name="w")
    x = np.float32([1.0, -1.0])

    def chain(x):
        y = x
        for _ in range(length // 2):
            y = tg.tanh(y * w)
        return y

    tg.compile(lambda x: tg.tanh(x * w))(x)  # not counted: what is loaded once
    times = []
    for _ in range(LENGTHS[length]):
        compiled = tg.compile(lambda x: chain(x))
        times.append(seconds(compiled, x))
    np.testing.assert_allclose(compiled(x).data, chain(x).data, rtol=1e-4, atol=1e-6)
    micro = 1e6 * min(times) / length
    figures.setdefault("first call of a chain", {})[length] = micro
    mark = "ok" if micro <= A_RECORDED_OP else "over"
    report.append(
        f"first call of a chain of {length:>6,}: {micro:.1f} microseconds a recorded "
        f"op <= {A_RECORDED_OP}  {mark}"
    )


def seconds(f, *args):
    start = perf_counter()
    f(*args)
    return perf_counter() - start
