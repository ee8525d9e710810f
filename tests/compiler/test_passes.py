"""Each pass on its own: what it does, what it leaves alone, that the values stay."""

import math
import operator
import os
import re
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import tinygrad_edu as tg
from tinygrad_edu.compiler.compiling import FASTER, SHORTER
from tinygrad_edu.compiler.functions import astype, spread
from tinygrad_edu.compiler.passes import (
    common_subexpressions,
    dead_code,
    fold_constants,
    simplify,
    uniform_constants,
    use_broadcasting,
)
from tinygrad_edu.compiler.program import Equation, Program, Variable, change
from tinygrad_edu.compiler.report import program_cost
from tinygrad_edu.compiler.scaling import move_factors
from tinygrad_edu.compiler.tuning import spread_out, sums_as_products

PASSES = dict([*SHORTER, *FASTER])
# These only leave out, or say otherwise, what is computed: no bit changes.
WITHOUT_ALGEBRA = {
    "dead code",
    "constant folding",
    "uniform constants",
    "broadcasting",
    "common subexpressions",
    "rows spread out",
}

PROFILE = settings(
    max_examples=60, deadline=None, derandomize="CI" in os.environ, print_blob=False
)


class Builder:
    """Writes a small program, line by line."""

    def __init__(self) -> None:
        self.inputs: list[Variable] = []
        self.equations: list[Equation] = []

    def given(self, *shape: int, dtype: Any = np.float64) -> Variable:
        self.inputs.append(Variable(shape, np.dtype(dtype) if dtype else None))
        return self.inputs[-1]

    def __call__(self, function: Any, *args: Any, **params: Any) -> Variable:
        """Enter an equation; its output's shape and dtype are NumPy's answer's."""
        answer = np.asarray(function(*change(args, example), **change(params, example)))
        is_number = function.__module__ == "_operator" and function is not getitem
        output = Variable(answer.shape, None if is_number else answer.dtype)
        self.equations.append(Equation(output, function, args, params))
        return output

    def program(self, *outputs: Any, updates: Any = None) -> Program:
        return Program(
            tuple(self.inputs), tuple(self.equations), outputs, updates or {}
        )


getitem = operator.getitem


def example(x: Any) -> Any:
    if not isinstance(x, Variable):
        return x
    if x.constant is not None:
        return x.constant
    return np.ones(x.shape, x.dtype) if x.dtype is not None else 1.0


def constant(array: Any) -> Variable:
    array = np.asarray(array)
    return Variable(array.shape, array.dtype, constant=array)


def functions(program: Program) -> list[Any]:
    return [e.function for e in program.equations]


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


# --- Constant folding -----------------------------------------------------------------


def test_numbers_are_computed_beforehand() -> None:
    b = Builder()
    x = b.given(2)
    number = b(operator.truediv, b(operator.mul, 0.5, 3.0), 6)
    (e,) = fold_constants(b.program(b(np.multiply, number, x))).equations
    assert e.args == (0.25, x)


def test_an_unknown_number_and_an_array_are_not_folded() -> None:
    b = Builder()
    k, array = b.given(dtype=None), constant([1.0, 2.0])
    program = b.program(b(operator.mul, k, 3.0), b(np.exp, array))
    assert fold_constants(program).equations == program.equations


# --- Uniform constants ----------------------------------------------------------------


def test_an_array_of_one_number_becomes_the_number() -> None:
    b = Builder()
    x = b.given(2, 3)
    y = b(np.add, x, constant(np.full((2, 3), 2.5)))
    (e,) = uniform_constants(b.program(y)).equations
    assert e.args == (x, 2.5)


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.0, 2.0, 1.0]),
        np.ones((2, 3), np.float32),  # a number would do, but it is not x's dtype
        np.ones((4, 2, 3)),  # the answer has its shape
        np.ones((2, 3), int),
    ],
    ids=["several", "dtype", "shape", "int"],
)
def test_an_array_that_is_needed_stays(array: np.ndarray) -> None:
    b = Builder()
    x = b.given(2, 3)
    program = b.program(b(np.add, x, constant(array)))
    assert uniform_constants(program).equations == program.equations


def test_the_dtype_stays_where_a_number_would_change_it() -> None:
    b = Builder()
    x = b.given(2, dtype=np.float32)
    program = b.program(b(np.add, x, constant(np.ones(2))))
    assert uniform_constants(program).equations == program.equations


# --- Algebra --------------------------------------------------------------------------


def simplified(b: Builder, *outputs: Variable) -> list[Any]:
    """Return what is left, as lines of a function and its arguments."""
    return [(e.function, *e.args) for e in simplify(b.program(*outputs)).equations]


def test_the_laws_of_algebra() -> None:
    b = Builder()
    x, y = b.given(2, 2), b.given(2, 2)
    minus = b(np.negative, y)
    outputs = [
        b(np.negative, b(np.negative, x)),
        b(np.multiply, 1, x),
        b(np.add, 0.0, x),
        b(np.subtract, x, 0),
        b(np.divide, x, 1),
        b(np.power, x, 1),
        b(np.positive, x),
        b(np.transpose, b(np.transpose, x)),
        b(np.transpose, x, (0, 1)),
        b(np.reshape, x, (2, 2)),
        b(np.broadcast_to, x, (2, 2)),
        b(astype, x, np.dtype(float)),
    ]
    assert simplified(b, *outputs) == []
    assert set(simplify(b.program(*outputs)).outputs) == {x}

    assert simplified(b, b(np.add, x, minus)) == [(np.subtract, x, y)]
    assert simplified(b, b(np.subtract, x, minus)) == [(np.add, x, y)]
    assert simplified(b, b(np.negative, b(np.subtract, x, y))) == [(np.subtract, y, x)]
    assert simplified(b, b(np.multiply, minus, b(np.negative, x))) == [
        (np.multiply, y, x)
    ]
    assert simplified(b, b(np.multiply, x, 2.0)) == [(np.multiply, 2.0, x)]
    assert simplified(b, b(np.multiply, 3.0, b(np.multiply, 2.0, x))) == [
        (np.multiply, 6.0, x)
    ]
    assert simplified(b, b(np.multiply, -1, x)) == [(np.negative, x)]
    assert simplified(b, b(np.divide, x, 4.0)) == [(np.multiply, 0.25, x)]
    assert simplified(b, b(np.divide, 1.0, x)) == [(np.reciprocal, x)]
    assert simplified(b, b(np.power, x, 2)) == [(np.square, x)]


def test_a_choice_that_was_made_already_is_not_made_again() -> None:
    b = Builder()
    x, y, z = b.given(2), b.given(2), b.given(2)
    mask = b.given(2, dtype=bool)
    where = np.where
    assert simplified(b, b(where, mask, x, x)) == []
    assert simplified(b, b(where, mask, b(where, mask, x, y), z)) == [
        (where, mask, x, z)
    ]
    assert simplified(b, b(where, mask, x, b(where, mask, y, z))) == [
        (where, mask, x, z)
    ]
    assert simplified(b, b(where, b(np.invert, mask), x, y)) == [(where, mask, y, x)]


def test_what_is_no_law_is_left_alone() -> None:
    b = Builder()
    x, y, square = b.given(2), b.given(2), b.given(2, 2)
    whole, small = b.given(2, dtype=int), b.given(2, dtype=np.float32)
    outputs = [
        b(np.divide, x, 3.0),  # times 1/3 would not be the same number
        b(np.subtract, 0.0, x),
        b(np.multiply, 0.0, x),  # which may be NaN
        b(np.divide, x, x),
        b(np.add, 0.0, whole),  # makes it a float
        b(np.multiply, 1.0, whole),
        b(np.power, whole, 2.0),
        b(astype, small, np.dtype(float)),
        b(np.subtract, x, y),
        b(np.broadcast_to, x, (3, 2)),
        b(np.transpose, square, (1, 0)),
    ]
    program = b.program(*outputs)
    assert simplify(program).equations == program.equations


# --- Broadcasting ---------------------------------------------------------------------


def test_an_elementwise_function_broadcasts_by_itself() -> None:
    b = Builder()
    x, y = b.given(3, 2), b.given(2)
    rows = b(np.broadcast_to, y, (3, 2))
    total = b(np.add, x, rows)
    e = use_broadcasting(b.program(total)).equations[-1]
    assert e.args == (x, y)


def test_what_gives_the_answer_its_shape_stays() -> None:
    b = Builder()
    y = b.given(2)
    rows = b(np.broadcast_to, y, (3, 2))
    program = b.program(b(np.exp, rows), b(np.sum, rows))
    assert use_broadcasting(program).equations == program.equations


# --- Fractions ------------------------------------------------------------------------


def compiled_source(f: Any, *args: Any) -> str:
    compiled = tg.compile(f, style="readable")
    compiled(*args)
    return compiled.source


def backward_part(source: str) -> str:
    return source.partition("# backward")[2]


def test_delta_is_a_minus_y() -> None:
    model = tg.nn.MLP([3, 4, 2], rng=0)
    optimiser = tg.optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        loss = tg.losses.cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    rng = np.random.default_rng(0)
    source = compiled_source(step, rng.random((5, 3)), rng.random((5, 2)))
    assert re.search(r"^    delta2 = (0\.2 \* )?\(?a2 - y\)? ", source, re.MULTILINE)
    assert "where" in source
    assert "where" not in backward_part(source)


def gradient_source(loss: Any) -> str:
    """Return the backward part of what a loss of z and y compiles to."""

    def f(z: Any, y: Any) -> Any:
        value = loss(z, y)
        value.backward()
        return value

    rng = np.random.default_rng(0)
    z = tg.Tensor(rng.standard_normal((3, 2)), requires_grad=True)
    return backward_part(compiled_source(f, z, rng.random((3, 2))))


def test_fractions_cancel_in_other_losses() -> None:
    """In the likelihood of counts, whose rate is the exponential of z."""

    def poisson(z: Any, y: Any) -> Any:
        rate = tg.exp(z)
        return -tg.sum(tg.xlogy(y, rate) - rate)

    source = gradient_source(poisson)
    assert re.search(r"^    dz = \w+ - y ", source, re.MULTILINE)
    assert "where" not in source


def test_a_fraction_without_a_guard_stays() -> None:
    """If h rounds to 0 the function gives NaN, and so must its program."""

    def by_hand(z: Any, y: Any) -> Any:
        h = tg.sigmoid(z)
        return tg.sum(-(y * tg.log(h) + (1 - y) * tg.log(1 - h)))

    assert " / " in gradient_source(by_hand)


def test_a_sum_is_not_factored() -> None:
    """1 - h * h cancels against no 1 - h."""

    def by_tanh(z: Any, y: Any) -> Any:
        h = tg.tanh(z)
        return -tg.sum(tg.xlogy(1 + y, 1 + h) + tg.xlogy(1 - y, 1 - h))

    assert " / " in gradient_source(by_tanh)


# --- Factors --------------------------------------------------------------------------


def test_a_factor_goes_where_it_costs_least() -> None:
    b = Builder()
    delta, x = b.given(4, 1), b.given(4, 500)
    lr = b.given(dtype=None)
    small = b(np.multiply, 0.25, delta)
    large = b(np.dot, b(np.transpose, small), x)
    program = b.program(b(np.multiply, lr, large))
    moved = move_factors(program)
    products = [e for e in moved.equations if e.function is np.multiply]
    assert [e.output.shape for e in products] == [(4, 1)]


def test_a_factor_that_is_well_placed_stays() -> None:
    b = Builder()
    x, y = b.given(4, 3), b.given(3, 2)
    program = b.program(b(np.dot, b(np.multiply, 0.5, x), y))
    assert move_factors(program) is program


def test_several_multiples_may_become_one() -> None:
    """Zero times x, and minus zero times x."""
    b = Builder()
    x, y = b.given(2), b.given(2)
    zero = b(np.multiply, -0.0, x)
    other = b(np.multiply, b(np.negative, zero), y)
    program = b.program(zero, b(np.negative, zero), other)
    found, _ = move_factors(program).evaluate(
        np.array([1.0, 2.0]), np.array([3.0, 4.0])
    )
    np.testing.assert_array_equal(found, np.zeros((3, 2)))


# --- For speed ------------------------------------------------------------------------


def test_a_sum_over_an_axis_is_a_product() -> None:
    b = Builder()
    x = b.given(3, 4)
    (e,) = sums_as_products(b.program(b(np.sum, x, axis=0))).equations
    assert e.function is np.dot
    assert e.args[1] is x


def test_other_sums_stay_sums() -> None:
    b = Builder()
    x, half = b.given(3, 4), b.given(3, 4, dtype=np.float16)
    whole, cube = b.given(3, 4, dtype=int), b.given(2, 3, 4)
    program = b.program(
        b(np.sum, x),
        b(np.sum, x, axis=0, keepdims=True),
        b(np.sum, half, axis=0),
        b(np.sum, whole, axis=0),
        b(np.sum, cube, axis=0),
    )
    assert sums_as_products(program).equations == program.equations


def test_a_row_is_copied_before_it_meets_a_matrix() -> None:
    b = Builder()
    x, row = b.given(3, 4), b.given(4)
    rows, total = spread_out(b.program(b(np.add, x, row))).equations
    assert (rows.function, rows.args) == (spread, (row, (3, 4)))
    assert total.args == (x, rows.output)


def test_numbers_and_large_matrices_are_not_copied() -> None:
    b = Builder()
    x, number = b.given(3, 4), b.given()
    large, row = b.given(300, 300), b.given(300)
    program = b.program(b(np.add, x, number), b(np.add, large, row))
    assert functions(spread_out(program)) == [np.add, np.add]


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
    for name, change_of in [*SHORTER, *FASTER]:
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


# --- More fractions -------------------------------------------------------------------


def guarded(numerator, denominator):
    """A fraction that is 0 where both would be 0."""
    both = (numerator == 0) & (denominator == 0)
    return numerator / np.where(both, 1, denominator)


@pytest.mark.parametrize(
    ("f", "left"),
    [
        # Coefficients that differ: 2 y (1 - h) + (1 - y) h is shorter as it is told.
        (lambda h, y: (2 * guarded(y, h) + guarded(y, h)) * (h * 3), 0),
        (lambda h, y: (2 * guarded(y, h) + 3 * guarded(y * y, h)) * h, 0),
        # Where the denominator is a sum that ends in a number.
        (lambda h, y: guarded_after(y, h) * (h + 1), 0),
        # A guard that speaks of something else does not count.
        (lambda h, y: y / np.where((h == 0) & (y == 1), 1, h) * h, 1),
        # Nor is a product of many factors worth it.
        (lambda h, y: guarded(y, h) * math.prod([h] * 20), 1),
    ],
)
def test_which_fractions_cancel(f, left):
    rng = np.random.default_rng(0)
    compiled = tg.compile(f, style="readable")
    for _ in range(2):
        h, y = rng.random((2, 4)) + 0.5
        assert_allclose(compiled(h, y), f(h, y), rtol=1e-12)
    assert compiled.source.count(" / ") == left


@pytest.mark.parametrize(
    "f",
    [
        lambda h, y, w: (guarded(y, h) + np.nan) * h,
        lambda h, y, w: (guarded(y, h) * np.inf) * h,
        lambda h, y, w: guarded(y, h) + np.full(4, np.nan) * h,
        # An answer of another shape than the fraction.
        lambda h, y, w: guarded(y, h) * w,
        lambda h, y, w: guarded(y, h) * w * h,
        lambda h, y, w: guarded_before(y, h) * (1 - h),
        lambda h, y, w: y / (h + y) * w,
        lambda h, y, w: y / ((h > 0) - h) * w,
    ],
)
def test_what_is_no_fraction_of_numbers_stays_as_it_is(f):
    rng = np.random.default_rng(0)
    h, y, w = rng.random(4) + 0.5, rng.random(4), rng.random((2, 4))
    assert_allclose(tg.compile(f)(h, y, w), f(h, y, w), rtol=1e-12)


def guarded_before(numerator, x):
    both = (numerator == 0) & (x == 1)
    return numerator / (1 - np.where(both, 0, x))


def guarded_after(numerator, x):
    both = (numerator == 0) & (x == -1)
    return numerator / (np.where(both, 0, x) + 1)


# --- What grows -----------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "f", [gru, lstm, residual, descent, logistic, squares, powers, sums]
)
def test_what_would_grow_is_not_multiplied_out(f):
    """Each step multiplies the terms of the last one: 2 to the power of 30 of them."""
    rng = np.random.default_rng(0)
    h, x, y = 0.1 + 0.8 * rng.random((3, 2, 3))
    gradient = tg.value_and_grad(lambda h, x, y: f(h, 30, x, y))
    compiled = tg.compile(gradient)
    start = time.process_time()
    got = compiled(h, x, y)
    assert time.process_time() - start < 10  # about one
    for a, b in zip(got, gradient(h, x, y), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)


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
