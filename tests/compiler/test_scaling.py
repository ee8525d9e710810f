"""Factors: where a product with a number is made."""

import operator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from program_builder import Builder, constant

import tinygrad_edu as tg
from tinygrad_edu.compiler.passes.scaling import move_factors
from tinygrad_edu.compiler.program import Program


def shapes_of_products(program: Program) -> list[Any]:
    """Return how large what is multiplied by numbers is."""
    return [
        e.output.shape
        for e in program.equations
        if e.function in (np.multiply, np.negative, np.divide)
        and e.output.dtype is not None
        and not all(getattr(x, "dtype", None) for x in e.args)
    ]


def moved(b: Builder, *outputs: Any, updates: Any = None) -> Program:
    """Apply the pass; the values must stay."""
    program = b.program(*outputs, updates=updates)
    after = move_factors(program)
    rng = np.random.default_rng(0)
    values = [rng.random(x.shape) + 0.5 for x in program.inputs]
    before, now = program.evaluate(*values), after.evaluate(*values)
    for x, y in zip([*before[0], *before[1]], [*now[0], *now[1]], strict=True):
        assert_allclose(y, x, rtol=1e-12)
    return after


def assert_stays(b: Builder, *outputs: Any) -> None:
    program = b.program(*outputs)
    assert move_factors(program) is program


def test_a_factor_goes_where_it_costs_least() -> None:
    """To the number that is there already, and all products share it."""
    b = Builder()
    a, x, w, bias = b.given(4, 3), b.given(4, 500), b.given(3, 500), b.given(3)
    lr = b.given(dtype=None)
    delta = b(np.multiply, 0.25, a)
    large = b(np.dot, b(np.transpose, delta), x)
    new = b(np.subtract, w, b(np.multiply, lr, large))
    step = b(np.multiply, lr, b(np.sum, delta, axis=0))
    after = moved(b, updates={w: new, bias: b(np.subtract, bias, step)})
    assert shapes_of_products(after) == [(4, 3)]
    assert operator.mul in [e.function for e in after.equations]


@pytest.mark.parametrize(
    "through",
    [
        lambda b, s: b(np.dot, s, constant(np.ones((1, 50)))),
        lambda b, s: b(np.dot, constant(np.ones((50, 4))), s),
        lambda b, s: b(np.dot, b(np.reshape, s, (1, 4)), b.given(4, 50)),
        lambda b, s: b(np.dot, b(np.negative, s), b.given(1, 50)),
        lambda b, s: b(np.dot, b(np.divide, s, b.given(4, 1)), b.given(1, 50)),
        lambda b, s: b(np.multiply, b(np.dot, s, b.given(1, 50)), b.given(4, 50)),
        lambda b, s: b(np.multiply, b.given(4, 50), b(np.dot, s, b.given(1, 50))),
    ],
)
def test_linear_functions(through: Any) -> None:
    b = Builder()
    small = b(np.sin, b.given(4, 1))
    after = moved(b, b(np.multiply, 0.5, through(b, small)))
    assert all(np.prod(shape) == 4 for shape in shapes_of_products(after))


def test_a_factor_that_is_well_placed_stays() -> None:
    b = Builder()
    x, y = b.given(4, 3), b.given(3, 2)
    assert_stays(b, b(np.dot, b(np.multiply, 0.5, x), y))


def test_what_is_no_factor() -> None:
    """Too large, too small, of another dtype, or no number."""
    b = Builder()
    x, y = b.given(4, 1), b.given(1, 500)
    small, other = b.given(4, 1, dtype=np.float32), b.given(1, 500, dtype=np.float32)
    large, largest = b(np.dot, x, y), b(np.dot, small, other)
    whole = b(np.dot, b.given(4, 1, dtype=int), b.given(1, 500, dtype=int))
    assert_stays(
        b,
        b(np.multiply, 2.0, large),
        b(np.multiply, 1e-200, large),
        b(np.multiply, np.nan, large),
        b(np.divide, large, 0.25),
        b(np.divide, large, x),
        b(np.divide, large, 0),
        b(np.multiply, np.float64(0.5), largest),
        b(np.negative, whole),
        b(np.multiply, 0.5, large, dtype=np.dtype(float)),
        b(np.multiply, 0.5, b(np.sum, b(np.multiply, x, y), axis=0, initial=1.0)),
    )


def test_numbers_that_could_overflow_are_not_multiplied() -> None:
    """A huge learning rate times 4, or two of them."""
    b = Builder()
    x, y = b.given(4, 1), b.given(1, 500)
    lr, other = b.given(dtype=None), b.given(dtype=None)
    small = b(np.multiply, 4.0, x)
    first = b(np.multiply, lr, b(np.dot, small, y))
    second = b(np.multiply, other, first)
    third = b(np.multiply, 2.0**-20, b(np.multiply, 2.0**-20, second))
    after = move_factors(b.program(first, second, third))
    values = np.full((4, 1), 1e-100), np.full((1, 500), 1e-100), 1e308, 1e-308
    for found in after.evaluate(*values)[0]:
        assert np.isfinite(found).all()
        assert found.all()


def test_a_number_is_computed_before_it_is_used() -> None:
    """It stands late in the program, and what it is multiplied with, early."""
    b = Builder()
    a, x = b.given(4, 1), b.given(1, 500)
    steps = b.given(dtype=None)
    large = b(np.dot, b(np.multiply, 0.5, a), x)
    k = b(operator.truediv, 0.1, b(operator.add, steps, 1))
    after = moved(b, b(np.multiply, k, large), k)
    assert shapes_of_products(after) == [(4, 1)]


def test_two_products_share_the_number_that_they_need() -> None:
    b = Builder()
    x, y, lr = b.given(4, 1), b.given(1, 500), b.given(dtype=None)
    terms = [b(np.multiply, 0.5, b(f, x)) for f in (np.sin, np.cos)]
    after = moved(b, *(b(np.multiply, lr, b(np.dot, term, y)) for term in terms))
    assert [e.function for e in after.equations].count(operator.mul) == 1
    assert shapes_of_products(after) == [(4, 1), (4, 1)]


def test_a_number_that_needs_an_array_stays_behind_it() -> None:
    b = Builder()
    a, x = b.given(4, 1), b.given(1, 500)
    k = b(operator.mul, b(np.sum, a), 1.0)
    assert_stays(b, b(np.multiply, k, b(np.dot, a, x)))


def test_what_is_wanted_as_it_is_is_not_scaled() -> None:
    b = Builder()
    a, x = b.given(4, 1), b.given(1, 500)
    large = b(np.dot, a, x)
    assert_stays(b, b(np.multiply, 0.5, large), large)


def test_several_multiples_of_one_variable() -> None:
    """Of a result, an input and a constant; those of the small one are worth it."""
    b = Builder()
    a, x, lr = b.given(4, 1), b.given(1, 500), b.given(dtype=None)
    for small in (b(np.sin, a), a, constant(np.arange(4.0).reshape(4, 1))):
        first = b(np.multiply, lr, b(np.dot, small, x))
        second = b(np.multiply, -0.5, b(np.dot, small, b(np.sin, x)))
        after = moved(b, first, second, small, 3.0)
        assert shapes_of_products(after).count((4, 500)) <= 1


def test_several_multiples_may_become_one() -> None:
    """Minus half of x, asked for twice."""
    b = Builder()
    x, y = b.given(2), b.given(2)
    half = b(np.multiply, -0.5, x)
    other = b(np.multiply, b(np.negative, half), y)
    program = b.program(half, b(np.negative, half), other)
    values = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    for a, c in zip(
        program.evaluate(*values)[0], move_factors(program).evaluate(*values)[0]
    ):
        assert_array_equal(a, c)


@pytest.mark.parametrize("style", ["fast", "readable"])
def test_a_check_stays_where_factors_move(style: str) -> None:
    w = tg.Tensor([0.5, 0.4, 0.6], requires_grad=True)
    optimiser = tg.optim.SGD([w], lr=0.1)

    @tg.compile(style=style)
    def step(x: Any, y: Any) -> Any:
        optimiser.zero_grad()
        loss = 0.3 * tg.losses.cross_entropy(w * x * 0.5, y)
        loss.backward()
        optimiser.step()
        return loss

    x, y = np.array([0.5, 0.4, 0.6]), np.array([0.0, 1.0, 0.0])
    step(x, y)
    before = w.data.copy()
    with pytest.raises(ValueError, match="probabilities are between 0 and 1"):
        step(100 * x, y)
    assert_array_equal(w.data, before)
