"""The laws of algebra: what they make of an equation, and that they keep every bit."""

import operator
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program_builder import Builder, constant, lines

from tinygrad_edu.compiler.functions import astype
from tinygrad_edu.compiler.passes.laws import simplify
from tinygrad_edu.compiler.program import Program, Variable

PROFILE = settings(
    max_examples=200, deadline=None, derandomize="CI" in os.environ, print_blob=False
)


def simplified(b: Builder, *outputs: Any) -> list[Any]:
    """Return what is left, as lines of a function and its arguments."""
    return lines(simplify(b.program(*outputs)))


def assert_stays(b: Builder, *outputs: Any) -> None:
    program = b.program(*outputs)
    assert simplify(program).equations == program.equations


# --- Of all functions -----------------------------------------------------------------


def test_an_unknown_number_and_an_array_are_not_computed() -> None:
    b = Builder()
    k, array = b.given(dtype=None), constant([1.0, 2.0])
    assert_stays(b, b(operator.mul, k, 3.0), b(np.exp, array), b(np.atleast_1d, 2.0))


def test_an_array_of_one_number_becomes_the_number() -> None:
    b = Builder()
    x = b.given(2, 3)
    y = b(np.add, x, constant(np.full((2, 3), 2.5)))
    assert simplified(b, y) == [(np.add, x, 2.5)]


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.0, 2.0, 1.0]),
        np.array([0.0, -0.0, 0.0]),
        np.ones((2, 3), np.float32),  # a number would do, but it is not x's dtype
        np.full((4, 2, 3), 2.0),  # the answer has its shape
        np.ones((0, 2, 3)),
        np.full((2, 3), 2),
    ],
    ids=["several", "zeros", "dtype", "shape", "none", "int"],
)
def test_an_array_that_is_needed_stays(array: np.ndarray) -> None:
    b = Builder()
    x = b.given(2, 3)
    assert_stays(b, b(np.add, x, constant(array)))


def test_the_dtype_stays_where_a_number_would_change_it() -> None:
    b = Builder()
    x = b.given(2, dtype=np.float32)
    assert_stays(b, b(np.add, x, constant(np.full(2, 3.0))))


def test_an_elementwise_function_broadcasts_by_itself() -> None:
    b = Builder()
    x, y = b.given(3, 2), b.given(2)
    mask = b.given(3, 2, dtype=bool)
    rows = b(np.broadcast_to, y, (3, 2))
    assert simplified(b, b(np.add, x, rows)) == [(np.add, x, y)]
    assert simplified(b, b(np.where, mask, rows, 0)) == [(np.where, mask, y, 0)]


def test_what_gives_the_answer_its_shape_stays() -> None:
    b = Builder()
    y = b.given(2)
    rows = b(np.broadcast_to, y, (3, 2))
    number = b(np.broadcast_to, 2.0, (3, 2))
    assert_stays(b, b(np.exp, rows), b(np.sum, rows), b(np.add, y, number))


# --- Of one function ------------------------------------------------------------------


def test_what_is_the_same() -> None:
    b = Builder()
    x = b.given(2, 2)
    same = [
        b(np.negative, b(np.negative, x)),
        b(np.multiply, 1, x),
        b(np.divide, x, 1),
        b(np.power, x, 1),
        b(np.positive, x),
        b(np.transpose, b(np.transpose, x)),
        b(np.transpose, x, (0, 1)),
        b(np.reshape, x, (2, 2)),
        b(np.broadcast_to, x, (2, 2)),
        b(astype, x, np.dtype(float)),
    ]
    program = simplify(b.program(*same))
    assert program.equations == ()
    assert set(program.outputs) == {x}


def test_signs_and_numbers() -> None:
    b = Builder()
    x, y = b.given(2, 2), b.given(2, 2)
    k = b.given(dtype=None)
    minus = b(np.negative, y)
    assert simplified(b, b(np.add, x, minus)) == [(np.subtract, x, y)]
    assert simplified(b, b(np.add, minus, x)) == [(np.subtract, x, y)]
    assert simplified(b, b(np.subtract, x, minus)) == [(np.add, x, y)]
    assert simplified(b, b(np.multiply, minus, b(np.negative, x))) == [
        (np.multiply, y, x)
    ]
    assert simplified(b, b(np.multiply, 2, minus)) == [(np.multiply, -2.0, y)]
    assert simplified(b, b(np.multiply, x, 2.0)) == [(np.multiply, 2.0, x)]
    assert simplified(b, b(np.multiply, x, k)) == [(np.multiply, k, x)]
    assert simplified(b, b(np.multiply, 3.0, b(np.multiply, 2.0, x))) == [
        (np.multiply, 6.0, x)
    ]
    assert simplified(b, b(np.multiply, -1, x)) == [(np.negative, x)]
    assert simplified(b, b(np.negative, b(np.multiply, 2, x))) == [
        (np.multiply, -2.0, x)
    ]


def test_other_functions() -> None:
    b = Builder()
    x, y = b.given(2, 3), b.given(3, 2)
    assert simplified(b, b(np.power, x, 2)) == [(np.square, x)]
    assert simplified(b, b(np.matmul, x, y)) == [(np.dot, x, y)]
    assert simplified(b, b(np.reshape, b(np.reshape, x, (6,)), (3, -1))) == [
        (np.reshape, x, (3, -1))
    ]


def test_a_choice_that_is_known_is_made() -> None:
    b = Builder()
    x, y = b.given(2), b.given(2)
    assert simplify(b.program(b(np.where, True, x, y))).outputs == (x,)
    assert simplify(b.program(b(np.where, np.False_, x, y))).outputs == (y,)
    number = b(np.where, True, np.float64(2), np.float64(3))
    assert simplify(b.program(number)).outputs == (2.0,)


def test_one_law_may_lead_to_another() -> None:
    b = Builder()
    x = b.given(2)
    k = b.given(dtype=None)
    minus = b(np.negative, b(np.multiply, x, 2))
    y = b(np.add, k, b(np.multiply, b(np.multiply, 1, minus), -0.5))
    assert simplified(b, b(np.divide, y, 1.0)) == [(np.add, k, x)]


def test_what_is_no_law() -> None:
    b = Builder()
    x, y, square = b.given(2), b.given(2), b.given(2, 2)
    mask, choice = b.given(2, dtype=bool), b.given(2, dtype=bool)
    cube = b.given(2, 2, 2)
    assert_stays(
        b,
        b(np.divide, x, 3.0),  # times 1/3 would not be the same number
        b(np.divide, x, 0.0),
        b(np.subtract, 0.0, x),
        b(np.negative, b(np.subtract, x, y)),  # -0.0 where x is y; y - x is 0.0
        b(np.multiply, 0.0, x),  # which may be NaN
        b(np.divide, x, x),
        b(np.power, x, 3),
        b(np.subtract, x, y),
        b(np.broadcast_to, x, (3, 2)),
        b(np.transpose, square, (1, 0)),
        b(np.transpose, b(np.transpose, square), (1, 0)),
        b(np.transpose, square),
        b(np.matmul, cube, square),
        b(np.where, mask, b(np.where, choice, x, y), 0.0),
        b(np.where, b(np.greater, x, 0), x, y),
        b(np.add, x, y, dtype=np.dtype(float)),
    )


# --- Zeros, infinities, NaN -----------------------------------------------------------


def test_a_zero_keeps_its_sign() -> None:
    b = Builder()
    x = b.given(2)
    assert_stays(b, b(np.add, 0.0, x), b(np.add, x, 0), b(np.subtract, x, -0.0))
    (found,) = simplify(b.program(b(np.multiply, 0, b(np.negative, x)))).evaluate(
        np.array([1.0, -1.0])
    )[0]
    np.testing.assert_array_equal(np.signbit(found), [True, False])


@pytest.mark.parametrize(
    ("a", "c", "dtype"),
    [
        (1e200, 1e200, float),  # of 1e-300, it is not infinite
        (1e-200, 1e-200, float),
        (1e30, 1e30, np.float32),
        (1e-30, 1e-30, np.float32),
        (np.inf, 2.0, float),
        (0.0, 2.0, float),
        (3.0, 2.0, np.longdouble),  # more than a Python number can tell
        (np.float64(3.0), 2.0, np.float32),
        (3, 2, int),  # which may wrap
    ],
)
def test_numbers_are_not_multiplied_beforehand(a: Any, c: Any, dtype: Any) -> None:
    b = Builder()
    x = b.given(2, dtype=dtype)
    assert_stays(b, b(np.multiply, a, b(np.multiply, c, x)))


# --- Shapes and dtypes ----------------------------------------------------------------


def test_the_dtype_stays() -> None:
    b = Builder()
    whole, small = b.given(2, dtype=np.int8), b.given(2, dtype=np.float32)
    wide = b.given(2)
    bits = b.given(2, dtype=np.uint8)
    minus = b(np.negative, bits)  # 255 for 1
    two = np.float64(2)
    assert_stays(
        b,
        b(np.add, -0.0, whole),  # makes it a float
        b(np.multiply, 1.0, whole),
        b(np.multiply, -1, whole),
        b(np.power, whole, 2.0),
        b(np.divide, whole, 1),
        b(np.negative, b(np.multiply, 2, whole)),
        b(astype, small, np.dtype(float)),
        b(np.divide, small, two),
        b(np.multiply, two, b(np.multiply, 3.0, small)),
        b(np.multiply, np.float64(1), small),
        b(np.multiply, np.float64(-1), small),
        b(np.power, small, two),
        b(np.add, wide, minus),
        b(np.subtract, wide, minus),
        b(np.multiply, minus, b(np.negative, wide)),
        b(np.multiply, 2, minus),
        b(np.negative, minus),
    )


def test_choices_by_whole_numbers_and_of_other_dtypes() -> None:
    b = Builder()
    x, small = b.given(2), b.given(2, dtype=np.float32)
    mask, whole = b.given(2, dtype=bool), b.given(2, dtype=int)
    wide, tall = b.given(3, 2), b.given(3, 1, dtype=bool)
    assert_stays(
        b,
        b(np.where, b(np.invert, whole), x, 0.0),  # ~1 is -2
        b(np.where, mask, b(np.where, mask, small, x), small),
        b(np.where, mask, small, b(np.where, mask, x, small)),
        b(np.where, mask, b(np.where, mask, x, wide), x),
        b(np.where, tall, x, x),
        b(np.where, True, small, x),
    )


NUMBERS = [
    0,
    1,
    -1,
    2,
    0.0,
    -0.0,
    0.5,
    4.0,
    np.float64(2),
    np.float32(1),
    np.inf,
    1e200,
]
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-310, 1.0, -2.0, 3.0, 1e300]
DTYPES = [float, np.float32, np.float16, np.int8, np.uint8, np.int64, bool]


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Draw what the laws are about, of all dtypes, in shapes that meet."""
    b = Builder()
    values: list[Any] = [
        b.given(*draw(st.sampled_from([(2,), (2, 2), (2, 1), ()])), dtype=dtype)
        for dtype in draw(st.lists(st.sampled_from(DTYPES), min_size=2, max_size=3))
    ]
    functions = [np.negative, np.positive, np.invert, np.transpose, np.square] + 2 * [
        np.add, np.subtract, np.multiply, np.divide, np.where
    ]  # fmt: skip
    for _ in range(draw(st.integers(1, 8))):
        function = draw(st.sampled_from(functions))
        n = 3 if function is np.where else getattr(function, "nin", 1)
        args = [draw(st.sampled_from(values)) for _ in range(n)]
        if n > 1 and draw(st.booleans()):
            args[draw(st.integers(n - 2, n - 1))] = draw(st.sampled_from(NUMBERS))
        try:
            values.append(b(function, *args))
        except (TypeError, ValueError, OverflowError):
            continue
    return b.program(*values)


@PROFILE
@given(program=programs(), seed=st.integers(0, 2**32 - 1))
def test_every_bit_stays(program: Program, seed: int) -> None:
    """But for a product of numbers, which is rounded once instead of twice."""
    rng = np.random.default_rng(seed)

    def array(x: Variable) -> Any:
        if x.dtype.kind == "f":
            with np.errstate(all="ignore"):
                return rng.choice(SPECIAL, x.shape).astype(x.dtype)
        return rng.integers(0, 2 if x.dtype == bool else 100, x.shape).astype(x.dtype)

    inputs = [array(x) for x in program.inputs]
    with np.errstate(all="ignore"):
        before, _ = program.evaluate(*inputs)
        after, _ = simplify(program).evaluate(*inputs)
    for x, y in zip(before, after, strict=True):
        assert (np.shape(x), x.dtype) == (np.shape(y), y.dtype)
        np.testing.assert_allclose(y, x, rtol=1e-3 if x.dtype.itemsize == 2 else 1e-6)
        number = ~np.isnan(x) if x.dtype.kind == "f" else np.array(True)
        assert (np.signbit(x) == np.signbit(y))[number].all()
