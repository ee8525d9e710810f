"""The passes: what they leave out, that values stay, that their work is linear."""

import operator
import os
from typing import Any

import numpy as np
import pytest
from counting import calls
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from program_builder import Builder, constant, functions, getitem

import tinygrad_edu as tg
from tinygrad_edu.compiler.compiling import FASTER, FOR_NUMPY, SHORTER
from tinygrad_edu.compiler.passes.redundant import common_subexpressions, dead_code
from tinygrad_edu.compiler.program import EquationOrigin, Program
from tinygrad_edu.compiler.recording.recorder import Recording
from tinygrad_edu.compiler.report import program_cost

PASSES = dict([*SHORTER, *FASTER, *FOR_NUMPY])
# These only leave out, or say otherwise, what is computed: no bit changes.
WITHOUT_ALGEBRA = {
    "dead code",
    "common subexpressions",
    "rows spread out",
}

PROFILE = settings(
    max_examples=60, deadline=None, derandomize="CI" in os.environ, print_blob=False
)


# --- Dead code ------------------------------------------------------------------------


def test_what_nobody_reads_is_dropped_and_what_it_reads() -> None:
    b = Builder()
    x = b.given(2)
    y = b(np.exp, x)
    b(np.log, b(np.sin, x))
    assert functions(dead_code(b.program(y))) == [np.exp]


def test_what_is_written_to_an_input_is_read() -> None:
    b = Builder()
    x = b.given(2)
    new = b(np.exp, x)
    assert functions(dead_code(b.program(updates={x: new}))) == [np.exp]


# --- Common subexpressions ------------------------------------------------------------


def test_what_is_computed_twice_is_computed_once() -> None:
    b = Builder()
    x, y = b.given(2), b.given(2)
    pairs = [b(np.exp, b(np.add, x, y)) for _ in range(2)]
    shorter = common_subexpressions(b.program(*pairs))
    assert functions(shorter) == [np.add, np.exp]
    assert shorter.outputs[0] is shorter.outputs[1]


def test_other_arguments_parameters_or_constants_are_not_the_same() -> None:
    b = Builder()
    x, y = b.given(2, 2), b.given(2, 2)
    different = [
        b(np.subtract, x, y),
        b(np.subtract, y, x),
        b(np.sum, x, axis=0),
        b(np.sum, x, axis=1),
        b(np.multiply, 1, x),
        b(np.multiply, 1.0, x),
        b(np.multiply, True, x),
        b(np.add, 0.0, x),
        b(np.add, -0.0, x),
        b(getitem, x, (slice(None), 0)),
        b(getitem, x, (0, slice(None))),
        b(np.add, x, constant([1.0, 2.0])),
        b(np.add, x, constant([1.0, 3.0])),
    ]
    program = b.program(*different)
    assert functions(common_subexpressions(program)) == functions(program)


# --- On random programs ---------------------------------------------------------------

ONE = [np.negative, np.tanh, np.exp, np.square, np.positive, np.transpose]
TWO = [np.add, np.subtract, np.multiply, np.maximum]
SIDE = 3


@st.composite
def random_programs(draw: st.DrawFn) -> Program:
    """Draw a program of matrices, rows and numbers, much of it said twice."""
    b = Builder()
    full, row = (SIDE, SIDE), (SIDE,)
    values = [b.given(*full), b.given(*full), b.given(*row), b.given(dtype=None)]
    number = st.sampled_from([0, 1, -1, 0.5, 2.0, -0.3, values[3]])
    for _ in range(draw(st.integers(1, 14))):
        arrays = st.sampled_from([x for x in values if x.dtype is not None])
        x, y = draw(arrays), draw(arrays)
        kind = draw(st.integers(0, 9))
        if kind < 2:
            made = b(draw(st.sampled_from(ONE)), b(np.tanh, x) if kind else x)
        elif kind < 4:
            made = b(draw(st.sampled_from(TWO)), x, y)
        elif kind < 6:
            function = draw(st.sampled_from([*TWO, np.divide]))
            if function is np.divide:  # not by zero, or by what is unknown
                made = b(np.divide, x, draw(st.sampled_from([1, 2.0, -0.3])))
            else:
                pair = [draw(number), x]
                made = b(function, *(pair if draw(st.booleans()) else pair[::-1]))
        elif kind == 6:
            made = b(np.where, b(np.greater, x, 0.1), y, draw(arrays))
        elif kind == 7:
            made = b(np.add, b(np.broadcast_to, x, full), constant(np.full(full, 0.5)))
        elif kind == 8:
            axis = draw(st.sampled_from([0, -1]))
            made = b(np.sum, b(np.add, x, constant(np.eye(SIDE))), axis=axis)
        else:
            k = b(operator.mul, b(operator.add, 0.5, 0.25), draw(number))
            made = b(np.multiply, k, b(np.dot, b(np.tanh, x), b(np.tanh, y)))
        values.append(b(np.tanh, made) if draw(st.booleans()) else made)
    outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
    squares = [x for x in values if x.shape == full]
    updates = {values[0]: draw(st.sampled_from(squares))}
    return b.program(*outputs, updates=updates if draw(st.booleans()) else {})


def values_of(program: Program, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs = [
        rng.standard_normal(x.shape) if x.dtype is not None else rng.random()
        for x in program.inputs
    ]
    with np.errstate(all="ignore"):
        outputs, updates = program.evaluate(*inputs)
    return [np.asarray(x) for x in (*outputs, *updates)]


def assert_values_stay(before: Program, after: Program, name: str, seed: int) -> None:
    for x, y in zip(values_of(before, seed), values_of(after, seed), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        if name in WITHOUT_ALGEBRA:
            assert x.tobytes() == y.tobytes()
        else:
            scale = np.max(np.abs(x), initial=1, where=np.isfinite(x))
            np.testing.assert_allclose(y, x, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("name", PASSES)
@PROFILE
@given(program=random_programs(), seed=st.integers(0, 1000))
def test_a_pass_changes_no_value(name: str, program: Program, seed: int) -> None:
    assert_values_stay(program, PASSES[name](program), name, seed)


@PROFILE
@given(program=random_programs(), seed=st.integers(0, 1000))
def test_the_passes_in_turn_change_no_value(program: Program, seed: int) -> None:
    for name, change_of in [*SHORTER, *FASTER, *FOR_NUMPY]:
        after = change_of(program)
        assert_values_stay(program, after, name, seed)
        program = after


@PROFILE
@given(program=random_programs())
def test_no_pass_that_shortens_adds_an_operation(program: Program) -> None:
    for _, shorter in SHORTER:
        after = shorter(program)
        assert program_cost(after).operations <= program_cost(program).operations
        program = after


@pytest.mark.parametrize("style", ["readable", "fast"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_the_report_never_grows_while_formulas_shorten(loss: str, style: str) -> None:
    model = tg.nn.MLP([3, 4, 2], rng=0)
    optimiser = tg.optim.Adam(model.parameters())

    @tg.compile(style=style)
    def step(x: Any, y: Any) -> Any:
        value = getattr(tg.losses, loss)(model(x), y)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        return value

    rng = np.random.default_rng(0)
    step(rng.random((5, 3)), rng.random((5, 2)))
    operations = [row[1] for row in step.report()][: 1 + len(SHORTER)]
    assert operations == sorted(operations, reverse=True)
    # Nothing in the mean squared error can be said in a shorter way.
    assert (operations[-1] < operations[0]) == (loss == "cross_entropy")


# --- The work -------------------------------------------------------------------------


def gru(h, steps, x, y):
    """A recurrent network that moves its state, with a loss at each step."""
    loss = 0.0
    for _ in range(steps):
        update = tg.sigmoid(h * x)
        h = h + update * (tg.tanh(h * x * tg.sigmoid(h * y)) - h)
        loss = loss + tg.losses.cross_entropy(tg.sigmoid(h * y), y)
    return loss


def lstm(h, steps, x, y):
    c = h
    for _ in range(steps):
        gate, write, show = (tg.sigmoid(x * k + h * y) for k in (1.0, 2.0, 3.0))
        c = gate * c + write * tg.tanh(x * y + h * x)
        h = show * tg.tanh(c)
    return tg.losses.mse(h, y)


def residual(h, steps, x, y):
    for _ in range(steps):
        h = h + 0.1 * tg.tanh(h * x)
    return tg.losses.mse(h, y)


def descent(h, steps, x, y):
    for _ in range(steps):
        h = h - 0.1 * tg.grad(lambda w: tg.losses.mse(tg.sigmoid(x * w), y))(h)
    return tg.losses.mse(tg.sigmoid(x * h), y)


def logistic(h, steps, x, y):
    for _ in range(steps):
        h = x * h * (1 - h)
    return tg.losses.cross_entropy(tg.sigmoid(h), y)


def squares(h, steps, x, y):
    for _ in range(steps):
        h = 0.5 * (h * h + h * h)
    return tg.losses.cross_entropy(tg.sigmoid(h * x), y)


def powers(h, steps, x, y):
    for _ in range(steps):
        h = h * h
    return tg.losses.cross_entropy(tg.sigmoid(h * x), y)


def sums(h, steps, x, y):
    for _ in range(steps):
        h = h + h
    return tg.sum(y / h)


def assert_work_is_linear(short: Program, long: Program) -> None:
    """Whether twice the program is twice the work, and never much of it."""
    for name, change in [*SHORTER, *FASTER, *FOR_NUMPY]:
        work = [calls(change, program) for program in (short, long)]
        lengths = [len(program.equations) for program in (short, long)]
        assert work[1] - work[0] <= 300 * (lengths[1] - lengths[0]), name
        assert work[1] / work[0] <= 1.1 * lengths[1] / lengths[0], name
        short, long = change(short), change(long)


@pytest.mark.parametrize(
    "f", [gru, lstm, residual, descent, logistic, squares, powers, sums]
)
def test_twice_the_steps_are_twice_the_work(f: Any) -> None:
    """Multiplied out, each step would double or quadruple the terms of the last."""
    args = tuple(0.1 + 0.8 * np.random.default_rng(0).random((3, 2, 3)))

    def recorded(steps: int) -> Program:
        gradient = tg.value_and_grad(lambda h, x, y: f(h, steps, x, y))
        return Recording(gradient, args, {}).program

    assert_work_is_linear(recorded(8), recorded(16))


CHAINS = [
    lambda b, h, y: b(np.add, h, y),
    lambda b, h, y: b(np.negative, b(np.subtract, y, h)),
    lambda b, h, y: b(np.multiply, 0.5, b(np.add, 1, h)),
    lambda b, h, y: b(np.where, b(np.greater, y, 0), h, y),
    lambda b, h, y: b(np.reshape, b(np.transpose, h), (2,)),
    lambda b, h, y: b(np.multiply, y, h),
    lambda b, h, y: b(np.multiply, 2.0**-30, b(np.multiply, b.inputs[2], h)),
]


def chain(step: Any, is_fraction: bool, n: int) -> Program:
    """Write a chain of n equations, which ends at a fraction or begins with it."""
    b = Builder()
    h, y, _ = b.given(2), b.given(2), b.given(dtype=None)
    b.origin = EquationOrigin(rule="own.h")
    both = b(np.logical_and, b(np.equal, y, 0), b(np.equal, h, 0))
    quotient = b(np.divide, y, b(np.where, both, 1, h))
    z = quotient if is_fraction else h
    while len(b.equations) < n:
        z = step(b, z, y)
    return b.program(b(np.multiply, z, b(np.multiply, quotient, h)))


@pytest.mark.parametrize("step", CHAINS)
@pytest.mark.parametrize("is_fraction", [False, True])
def test_a_chain_is_read_once(step: Any, is_fraction: bool) -> None:
    assert_work_is_linear(
        chain(step, is_fraction, 1_000), chain(step, is_fraction, 2_000)
    )


@pytest.mark.parametrize("step", CHAINS)
def test_a_chain_of_ten_thousand(step: Any) -> None:
    program = chain(step, is_fraction=True, n=10_000)
    for change in PASSES.values():
        program = change(program)
    assert program.outputs


@pytest.mark.parametrize(
    ("step", "end"),
    [
        (lambda h, y: h + y, lambda h, y: 0.5 * h),
        (lambda h, y: y - h, lambda h, y: h * y),
        (lambda h, y: 1 + h, lambda h, y: y / h * y),
        (lambda h, y: (h + y) * 0.5, lambda h, y: -h),
    ],
)
def test_a_chain_may_be_longer_than_the_stack(step, end):
    def f(h, y):
        for _ in range(1200):
            h = step(h, y)
        return end(h, y)

    h, y = np.random.default_rng(0).random((2, 3))
    assert_allclose(tg.compile(f)(h, y), f(h, y), rtol=1e-12)
