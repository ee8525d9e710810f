"""What is quick in NumPy: sums, products of stacks, the largest, guards."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from program_builder import Builder, functions, step_of

from tinygrad_edu.compiler.functions import restored, spread
from tinygrad_edu.compiler.passes.tuning import (
    products_in_one,
    quick_functions,
    spread_out,
    sums_as_products,
)
from tinygrad_edu.compiler.program import Program
from tinygrad_edu.compiler.writing.fast import Fast


def assert_same(before: Program, after: Program) -> None:
    """Both give the same, and so does what is written of it."""
    rng = np.random.default_rng(0)
    inputs = [
        rng.integers(-9, 9, x.shape).astype(x.dtype)
        if x.dtype.kind != "f"
        else rng.standard_normal(x.shape).astype(x.dtype)
        for x in before.inputs
    ]
    expected, _ = before.evaluate(*inputs)
    answer = step_of(Fast(after))(*inputs)
    written = answer if isinstance(answer, tuple) else (answer,)
    for values in (after.evaluate(*inputs)[0], written):
        for x, y in zip(values, expected, strict=True):
            assert np.shape(x) == np.shape(y)
            assert np.asarray(x).dtype == np.asarray(y).dtype
            assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def unchanged(change: Any, program: Program) -> None:
    """What a change leaves alone has the same functions of the same arguments."""
    assert lines(change(program)) == lines(program)


def lines(program: Program) -> list[Any]:
    return [(e.function, e.args, e.params) for e in program.equations]


# --- Sums -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "params"),
    [
        ((3, 4), {"axis": 0}),
        ((3, 4), {"axis": 1}),
        ((3, 4), {"axis": -1, "keepdims": True}),
        ((2, 3, 4), {"axis": 0}),
        ((2, 3, 4), {"axis": (0, 1)}),
        ((2, 3, 4), {"axis": (-1, 1), "keepdims": True}),
        ((2, 3, 4), {"axis": -1}),
        ((2, 3, 4), {}),
        ((2, 3, 4), {"keepdims": True}),
        ((5,), {"axis": 0}),
        ((2, 3), {"axis": ()}),
    ],
    ids=str,
)
def test_a_sum_is_a_product(shape: Any, params: Any, dtype: Any) -> None:
    b = Builder()
    x = b.given(*shape, dtype=dtype)
    before = b.program(b(np.exp, b(np.sum, x, **params)))
    after = sums_as_products(before)
    assert np.dot in functions(after)
    assert np.sum not in functions(after)
    assert_same(before, after)


def test_other_sums_stay_sums() -> None:
    b = Builder()
    x, half = b.given(3, 4), b.given(3, 4, dtype=np.float16)
    whole, cube = b.given(3, 4, dtype=int), b.given(2, 3, 4)
    turned, large = b(np.transpose, cube), b.given(300, 300)
    program = b.program(
        b(np.sum, half, axis=0),
        b(np.sum, whole, axis=0),
        b(np.sum, cube, axis=1),
        b(np.sum, cube, axis=(0, 2)),
        b(np.sum, turned, axis=0),
        b(np.sum, b.given(0, 3)),
        b(np.sum, x, axis=0, dtype=np.float32),
        b(np.sum, x, 0),
        b(np.sum, large),
        b(np.sum, [1.0, 2.0]),
        b(np.sum, b.given(), axis=-1),
    )
    unchanged(sums_as_products, program)


# --- Products -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 2, 3, 4)])
def test_a_stack_meets_a_matrix_as_one(shape: Any) -> None:
    b = Builder()
    x, w = b.given(*shape), b.given(4, 5)
    before = b.program(b(np.exp, b(np.matmul, x, w)))
    after = products_in_one(before)
    assert functions(after) == [np.reshape, np.dot, np.reshape, np.exp]
    assert_same(before, after)


def test_other_products_of_stacks_stay() -> None:
    b = Builder()
    x, y, w = b.given(2, 3, 4), b.given(2, 4, 5), b.given(4, 5)
    turned, whole = b(np.transpose, b.given(4, 3, 2)), b.given(4, 5, dtype=int)
    program = b.program(
        b(np.matmul, x, y),
        b(np.matmul, b.given(5), b.given(2, 5, 3)),
        b(np.matmul, x, b.given(4)),
        b(np.matmul, turned, w),
        b(np.matmul, x, whole),
    )
    unchanged(products_in_one, program)


@pytest.mark.parametrize(("stack", "axis"), [((2,), 0), ((2, 5), (0, 1))])
def test_a_sum_over_a_stack_of_products_is_one(stack: Any, axis: Any) -> None:
    b = Builder()
    x, g, n = b.given(*stack, 3, 4), b.given(*stack, 3, 6), len(stack)
    flipped = b(np.transpose, x, (*range(n), n + 1, n))
    before = b.program(b(np.exp, b(np.sum, b(np.matmul, flipped, g), axis=axis)))
    after = products_in_one(before)
    assert functions(after).count(np.dot) == 1
    assert not {np.matmul, np.sum} & set(functions(after))
    assert_same(before, after)


def test_other_sums_over_stacks_stay() -> None:
    b = Builder()
    x, g, w = b.given(2, 3, 4), b.given(2, 3, 6), b.given(4, 6)
    flipped, turned = b(np.transpose, x, (0, 2, 1)), b(np.transpose, x)
    shown = b(np.matmul, flipped, g)
    half = b(np.transpose, b.given(2, 3, 4, dtype=np.float16), (0, 2, 1))
    program = b.program(
        b(np.sum, shown, axis=0),
        shown,
        b(np.sum, b(np.matmul, flipped, g), axis=1),
        b(np.sum, b(np.matmul, flipped, g), axis=0, keepdims=True),
        b(np.sum, b(np.matmul, turned, b.given(4, 2, 6)), axis=0),
        b(np.sum, b(np.matmul, b.given(2, 4, 3), g), axis=0),
        b(np.sum, b(np.matmul, half, g), axis=0),
        b(np.sum, b(np.matmul, flipped, b.given(1, 3, 6)), axis=0),
        b(np.sum, w, axis=0),
    )
    unchanged(products_in_one, program)


def test_a_transposed_product_is_written_as_it_is_met() -> None:
    b = Builder()
    a, g, w = b.given(3, 4), b.given(3, 5), b.given(5, 4)
    product = b(np.dot, b(np.transpose, a), g)
    before = b.program(b(np.subtract, w, b(np.transpose, product)))
    after = products_in_one(before)
    assert functions(after) == [np.transpose, np.dot, np.subtract]
    assert after.equations[1].args[1] is a
    assert_same(before, after)


def test_other_transposes_stay() -> None:
    b = Builder()
    a, g = b.given(3, 4), b.given(4, 5)
    shown, met = b(np.dot, a, g), b(np.exp, a)
    vector, half = b.given(4), b.given(4, 5, dtype=np.float16)
    cube = b(np.dot, vector, b.given(2, 4, 3))
    program = b.program(
        shown,
        b(np.exp, b(np.transpose, shown)),
        b(np.transpose, b(np.dot, a, g)),
        b(np.exp, b(np.transpose, met)),
        b(np.exp, b(np.transpose, b(np.dot, a, half))),
        b(np.exp, b(np.transpose, cube)),
        b(np.exp, b(np.transpose, b.given(2, 3, 4), (0, 2, 1))),
        b(np.transpose, b.given(2, 3, 4)),
    )
    unchanged(products_in_one, program)


def test_a_transposed_matrix_that_many_rows_meet_is_copied() -> None:
    b = Builder()
    w, xs = b.given(5, 4), [b.given(32, 4) for _ in range(3)]
    flipped = b(np.transpose, w)
    before = b.program(*(b(np.exp, b(np.dot, x, flipped)) for x in xs))
    after = products_in_one(before)
    assert functions(after)[:2] == [np.transpose, spread]
    assert_same(before, after)


def test_a_transposed_matrix_that_few_rows_meet_is_a_view() -> None:
    b = Builder()
    w, many = b(np.transpose, b.given(5, 4)), b.given(95, 4)
    half = b(np.transpose, b.given(5, 4, dtype=np.float16))
    large = b(np.transpose, b.given(300, 300))
    program = b.program(
        b(np.dot, many, w),
        b(np.dot, b.given(4), w),
        b(np.dot, w, b.given(5, 200)),
        b(np.dot, b.given(99, 4, dtype=np.float16), half),
        b(np.dot, b.given(99, 300), large),
    )
    unchanged(products_in_one, program)


# --- Functions ------------------------------------------------------------------------


def guard(b: Builder, g: Any, x: Any, zero: Any = 0) -> Any:
    """What `keep_zeros` records."""
    kept = b(np.invert, b(np.isfinite, x))
    return b(np.where, b(np.bitwise_and, b(np.equal, g, zero), kept), 0, x)


def test_a_guard_looks_first_whether_anything_is_lost() -> None:
    b = Builder()
    g, x = b.given(4), b.given(4)
    before = b.program(b(np.exp, guard(b, g, x)))
    after = quick_functions(before)
    assert functions(after) == [restored, np.exp]
    assert_same(before, after)


def test_what_is_no_guard_is_a_choice() -> None:
    b = Builder()
    g, x, y = b.given(4), b.given(4), b.given(4)
    zero = b(np.equal, g, 0)
    infinite = b(np.invert, b(np.isfinite, x))
    number = b(np.sum, x)
    program = b.program(
        guard(b, g, x, 1),
        guard(b, number, number),
        b(np.where, b(np.bitwise_and, zero, infinite), 1, x),
        b(np.where, b(np.bitwise_and, zero, infinite), y, x),
        b(np.where, b(np.bitwise_and, zero, infinite), 0, y),
        b(np.where, b(np.bitwise_or, zero, infinite), 0, x),
        b(np.where, b(np.bitwise_and, zero, zero), 0, x),
        b(np.where, b(np.bitwise_and, infinite, infinite), 0, x),
        b(np.where, b(np.bitwise_and, zero, b(np.invert, zero)), 0, x),
    )
    assert restored not in functions(quick_functions(program))


def test_what_is_lost_is_restored() -> None:
    g = np.float32([[0, 1, 0], [2, 0, 0]])
    x = np.float32([[np.nan, np.inf, 1], [np.nan, -np.inf, 2]])
    np.testing.assert_equal(restored(x, g), [[0, np.inf, 1], [np.nan, 0, 2]])
    large = np.full(3, 1e30, np.float32)  # whose squares overflow
    np.testing.assert_equal(restored(large, np.zeros(3)), large)
    finite = x[:, 2:]
    assert restored(finite, g[:, 2:]) is finite


def test_the_sign_of_what_is_not_negative_is_quick() -> None:
    b = Builder()
    x = b.given(8)
    before = b.program(*(b(np.sign, b(np.maximum, *z)) for z in ((x, 0.0), (0, x))))
    after = quick_functions(before)
    assert functions(after) == [np.maximum, np.minimum, np.ceil] * 2
    assert_same(before, after)
    values = np.array([np.nan, np.inf, 5e-324, 0, -1, -np.inf, 1, 2.5])
    for program in (before, after):
        for answer in program.evaluate(values)[0]:
            np.testing.assert_equal(answer, [np.nan, 1, 1, 0, 0, 0, 1, 1])


def test_the_sign_of_others_stays() -> None:
    b = Builder()
    x, whole = b.given(3, 4), b.given(3, dtype=int)
    args = x, b(np.maximum, x, 1), b(np.maximum, whole, 0)
    unchanged(quick_functions, b.program(*(b(np.sign, z) for z in args)))


@pytest.mark.parametrize("function", [np.max, np.min])
@pytest.mark.parametrize("params", [{"axis": -1}, {"axis": 2, "keepdims": True}])
def test_the_largest_is_looked_for_along_the_first_axis(
    function: Any, params: Any
) -> None:
    b = Builder()
    x = b.given(3, 4, 5, dtype=np.float32)
    before = b.program(b(np.exp, b(function, x, **params)))
    after = quick_functions(before)
    assert spread in functions(after)
    assert_same(before, after)


def test_the_largest_of_others_is_looked_for_where_it_is() -> None:
    b = Builder()
    x = b.given(3, 4, 5)
    program = b.program(
        b(np.max, x),
        b(np.max, x, axis=0),
        b(np.max, x, axis=(1, 2)),
        b(np.max, b.given(3, 5), axis=-1),
        b(np.max, b.given(9, 1), axis=-1),
        b(np.max, b.given(9, 65), axis=-1),
        b(np.max, b.given(3000, 60), axis=-1),
        b(np.max, b.given(9), axis=0),
        b(np.max, x, -1),
        b(np.max, x, axis=-1, initial=0.0),
        b(np.max, [1.0, 2.0]),
        b(np.max, b.given(), axis=-1),
    )
    unchanged(quick_functions, program)


def test_what_is_made_large_for_functions_is_copied() -> None:
    b = Builder()
    x, row = b.given(3, 4), b.given(4)
    before = b.program(b(np.multiply, x, b(np.broadcast_to, row, shape=(3, 4))))
    after = quick_functions(before)
    assert functions(after) == [spread, np.multiply]
    assert_same(before, after)
    b = Builder()
    row, large = b.given(4), b.given(300)
    program = b.program(
        b(np.broadcast_to, row, (3, 4)),
        b(np.dot, b(np.broadcast_to, row, (3, 4)), row),
        b(np.exp, b(np.broadcast_to, large, (300, 300))),
    )
    unchanged(quick_functions, program)


# --- Rows -----------------------------------------------------------------------------


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


def test_a_row_that_is_met_twice_is_copied_once() -> None:
    b = Builder()
    x, row = b.given(3, 4), b.given(4)
    before = b.program(
        b(np.multiply, b(np.add, x, row), row), b(np.add, row, b.given(2, 4))
    )
    after = spread_out(before)
    assert functions(after) == [spread, np.add, np.multiply, spread, np.add]
    assert_same(before, after)


def test_a_row_of_a_list_stays_one() -> None:
    b = Builder()
    program = b.program(b(np.add, b.given(3, 4), [1.0, 2.0, 3.0, 4.0]))
    unchanged(spread_out, program)
