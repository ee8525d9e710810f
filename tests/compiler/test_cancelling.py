"""Fractions that cancel, and those that must not."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from program_builder import Builder, constant, functions, lines

import tinygrad_edu as tg
from tinygrad_edu.compiler.passes.cancelling import cancel_fractions
from tinygrad_edu.compiler.program import EquationOrigin, Program, Variable


def backward_part(f: Any, *args: Any) -> str:
    """Return the backward part of what a function compiles to."""
    compiled = tg.compile(f, style="readable")
    compiled(*args)
    source: str = compiled.source
    return source.partition("# backward")[2]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_delta_is_a_minus_y(dtype: Any) -> None:
    """Also where the network is more exact than its data."""
    model = tg.nn.MLP([3, 4, 2], rng=0, dtype=np.float64)
    optimiser = tg.optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        loss = tg.losses.cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    rng = np.random.default_rng(0)
    x, y = rng.random((5, 3)).astype(dtype), rng.random((5, 2)).astype(dtype)
    source = backward_part(step, x, y)
    assert re.search(r"^    delta2 = 0\.2 \* \(a2 - y\) ", source, re.MULTILINE)
    assert "where" not in source


def gradient_source(loss: Any) -> str:
    """Return the backward part of what a loss of z and y compiles to."""

    def f(z: Any, y: Any) -> Any:
        value = loss(z, y)
        value.backward()
        return value

    rng = np.random.default_rng(0)
    z = tg.Tensor(rng.standard_normal((3, 2)), requires_grad=True)
    return backward_part(f, z, rng.random((3, 2)))


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


# --- Small programs -------------------------------------------------------------------


class Rule(Builder):
    """A program of h, y and w, as a gradient's rule would write it."""

    def __init__(self, dtype: Any = np.float64) -> None:
        super().__init__()
        self.origin = EquationOrigin(rule="own.h")
        self.h = self.given(4, dtype=dtype)
        self.y, self.w = self.given(4), self.given(4)

    def guarded(self, y: Any, h: Any, **how: Any) -> Variable:
        """Write y / h, but 0 where both are 0."""
        zero = how.get("zero", y), how.get("other", h)
        masks = [self(np.equal, x, 0) for x in zero]
        mask = self(how.get("both", np.logical_and), *masks)
        return self(np.divide, y, self(np.where, mask, how.get("instead", 1), h))

    def cancelled(self, *outputs: Any) -> Program:
        """Apply the pass; the values must stay."""
        program = self.program(*outputs)
        after = cancel_fractions(program)
        rng = np.random.default_rng(0)
        values = [(rng.random(4) + 0.5).astype(x.dtype) for x in program.inputs]
        pairs = zip(program.evaluate(*values)[0], after.evaluate(*values)[0])
        for before, now in pairs:
            assert_allclose(now, before, rtol=1e-12)
            assert before.dtype == now.dtype
        return after


def times_h(r: Rule, x: Any) -> Variable:
    return r(np.multiply, x, r.h)


def minus(r: Rule, x: Any) -> Variable:
    """Take away 1, as the gradient of -h, for h to remain."""
    return r(np.subtract, x, 1.0)


def narrow(r: Rule) -> Variable:
    return r(np.logical_and, r(np.greater, r.w, 0), r(np.equal, r.y, 0))


CANCELLED: list[Callable[[Rule], Variable]] = [
    lambda r: times_h(r, minus(r, r.guarded(r.y, r.h))),
    lambda r: r(np.multiply, r.h, minus(r, r.guarded(r.y, r.h, both=np.bitwise_and))),
    lambda r: times_h(r, r(np.add, 1.0, r(np.negative, r.guarded(r.y, r.h)))),
    # A number on the way, and one that is an array.
    lambda r: times_h(r, minus(r, r(np.multiply, 0.5, r.guarded(r.y, r.h)))),
    lambda r: times_h(
        r, minus(r, r(np.multiply, r.guarded(r.y, r.h), constant(np.full(4, 0.5))))
    ),
    # The numerator: a multiple of what is 0, or a product with it.
    lambda r: times_h(r, minus(r, r.guarded(r(np.divide, r.y, 2.0), r.h, zero=r.y))),
    lambda r: times_h(
        r, minus(r, r.guarded(r(np.multiply, r.w, r.y), r.h, zero=r.y))
    ),
    # The denominator: a multiple of what it is multiplied with.
    lambda r: times_h(r, minus(r, r.guarded(r.y, r(np.multiply, 2.0, r.h)))),
    # The guard: of more than two zeros.
    lambda r: times_h(r, minus(r, r(np.divide, r.y, r(np.where, narrow(r), 1, r.h)))),
    # It stands in a product, which is multiplied out.
    lambda r: r(
        np.multiply,
        minus(r, r.guarded(r.y, r.h)),
        r(np.multiply, r.h, r(np.multiply, 0.5, r.w)),
    ),
    # It is a product itself.
    lambda r: (
        lambda hw: r(np.multiply, minus(r, r.guarded(r.y, hw)), hw)
    )(r(np.multiply, r.h, r.w)),
]  # fmt: skip


@pytest.mark.parametrize("f", CANCELLED)
def test_what_cancels(f: Callable[[Rule], Variable]) -> None:
    r = Rule()
    after = functions(r.cancelled(f(r)))
    assert np.divide not in after
    assert np.where not in after


def test_the_shortest_form_is_written() -> None:
    r = Rule()
    y = times_h(r, minus(r, r.guarded(r.y, r.h)))
    assert lines(r.cancelled(y)) == [(np.subtract, r.y, r.h)]


def test_the_dtype_is_the_products() -> None:
    r = Rule(np.float32)
    y = times_h(r, minus(r, r.guarded(r.y, r.h)))
    assert lines(r.cancelled(y)) == [(np.subtract, r.y, r.h)]


def quotient(r: Rule, **how: Any) -> Variable:
    return minus(r, r.guarded(r.y, r.h, **how))


def many_factors(r: Rule) -> Variable:
    product = r.h
    for _ in range(5):
        product = r(np.multiply, product, r.w)
    return r(np.multiply, quotient(r), product)


def many_terms(r: Rule) -> Variable:
    total = quotient(r)
    for k in range(5):
        total = r(np.add, total, r(np.sin, r(np.add, r.w, float(k))))
    return times_h(r, total)


def of_the_user(r: Rule) -> Variable:
    r.origin = EquationOrigin()
    return times_h(r, quotient(r))


def between_shapes(r: Rule) -> Variable:
    wide = r(np.broadcast_to, r.h, (2, 4))
    return r(np.multiply, quotient(r), wide)


def beside_a_number(r: Rule) -> Variable:
    """What is divided by is a number, or is multiplied by an unknown one."""
    k = r.given(dtype=None)
    r.inputs.remove(k)
    return times_h(r, r(np.divide, quotient(r), 0.3))


KEPT: list[Callable[[Rule], Variable]] = [
    # Nothing remains of h, not its NaN.
    lambda r: times_h(r, r.guarded(r.y, r.h)),
    # It is multiplied by something else.
    lambda r: r(np.multiply, quotient(r), r.w),
    lambda r: r(np.multiply, quotient(r), r(np.subtract, 1.0, r.h)),
    lambda r: r(np.multiply, quotient(r), quotient(r)),
    lambda r: r(np.divide, quotient(r), r.h),
    # The guard speaks of something else, or of less, or is none.
    lambda r: times_h(r, quotient(r, zero=r.w)),
    lambda r: times_h(r, quotient(r, zero=constant(np.zeros(4)))),
    lambda r: times_h(r, quotient(r, both=np.logical_or)),
    lambda r: times_h(r, quotient(r, instead=r.w)),
    lambda r: times_h(r, minus(r, r(np.divide, r.y, r.h))),
    lambda r: times_h(r, minus(r, r(np.divide, r.y, r(np.where, mask(r), 1, r.h)))),
    lambda r: times_h(r, minus(r, r(np.divide, 1.0, r(np.where, mask(r), 1, r.h)))),
    # Longer than it was.
    lambda r: r(
        np.multiply, quotient(r), r(np.multiply, r.h, r(np.subtract, 1.0, r.w))
    ),
    # No numbers to calculate with.
    lambda r: times_h(r, r(np.multiply, np.inf, quotient(r))),
    lambda r: times_h(r, r(np.add, quotient(r), np.nan)),
    lambda r: times_h(r, r(np.multiply, 1e-200, r(np.multiply, 1e-200, quotient(r)))),
    lambda r: times_h(r, r(np.multiply, r(np.equal, r.w, r.w), quotient(r))),
    many_factors,
    many_terms,
    of_the_user,
    between_shapes,
    beside_a_number,
]  # fmt: skip


def mask(r: Rule) -> Variable:
    return r(np.greater, r.w, 0)


@pytest.mark.parametrize("f", KEPT)
def test_what_stays(f: Callable[[Rule], Variable]) -> None:
    r = Rule()
    y = f(r)
    with np.errstate(all="ignore"):
        after = functions(r.cancelled(y))
    assert {np.divide, np.reciprocal}.intersection(after)


def test_a_guard_of_the_users_is_left_alone() -> None:
    """A NaN in y must stay one."""

    def f(x: Any, y: Any) -> Any:
        safe = np.where((x == 0) & (y == 0), 1, y)
        return x / safe * y

    x, y = np.array([2.0, 0.0]), np.array([np.nan, 0.0])
    assert_array_equal(tg.compile(f)(x, y), f(x, y))


def test_where_the_sigmoid_has_rounded_to_one() -> None:
    """The gradient is that of the formula on paper, not NaN."""
    compiled = tg.compile(
        tg.grad(lambda z, y: tg.losses.cross_entropy(tg.sigmoid(z), y))
    )
    z, y = np.array([[40.0], [np.nan]]), np.array([[0.0], [1.0]])
    assert_allclose(compiled(z, y), [[0.5], [np.nan]])
