"""Parts side by side in one array: slices, steps, and where they are written."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from program_builder import Builder, constant, functions, getitem, step_of

import tinygrad_edu as tg
from tinygrad_edu.compiler.functions import assembled
from tinygrad_edu.compiler.passes.assembling import (
    parts_in_one,
    steps_in_one,
    sums_over_steps,
)
from tinygrad_edu.compiler.program import Program
from tinygrad_edu.compiler.writing.fast import Fast
from tinygrad_edu.engine.op import OPS

ADD_AT = OPS["add_at"].forward
LEFT, RIGHT, WHOLE = np.s_[:, :2], np.s_[:, 2:], slice(None)


def assert_same(before: Program, after: Program, seed: int = 0) -> None:
    """Both give the same, and so does what is written of it, twice."""
    rng = np.random.default_rng(seed)
    inputs = [rng.standard_normal(x.shape) for x in before.inputs]
    expected, _ = before.evaluate(*inputs)
    for values in (after.evaluate(*inputs)[0], *written(after, *inputs)):
        for x, y in zip(values, expected, strict=True):
            assert_allclose(x, y, rtol=1e-12, atol=1e-12)


def written(program: Program, *inputs: Any) -> list[Any]:
    """Run what is written of a program, with other numbers in between."""
    step = step_of(Fast(program))
    answers = [step(*z) for z in (inputs, [-x for x in inputs], inputs)]
    return [a if isinstance(a, tuple) else (a,) for a in answers[::2]]


# --- Parts ----------------------------------------------------------------------------


def at(b: Builder, x: Any, index: Any, shape: Any = (3, 4)) -> Any:
    return b(ADD_AT, x, index=index, shape=shape)


def test_parts_that_make_up_an_array_are_put_into_it() -> None:
    b = Builder()
    x, y = b.given(3, 2), b.given(3, 2)
    parts = at(b, b(np.exp, x), LEFT), at(b, b(np.sin, y), RIGHT)
    before = b.program(b(np.cos, b(np.add, *parts)))
    after = parts_in_one(before)
    assert functions(after) == [np.exp, np.sin, assembled, np.cos]
    assert_same(before, after)
    assert "add_at" not in Fast(after).source
    assert "] =" not in Fast(after).source  # each is written where it belongs


@pytest.mark.parametrize(
    "indices", [(LEFT, LEFT), (LEFT, np.s_[:, 1:3]), (RIGHT, np.s_[:, -2:]), ([0], [1])]
)
def test_parts_that_overlap_or_leave_a_gap_are_added(indices: Any) -> None:
    b = Builder()
    parts = []
    for index in indices:
        given = b.given(*np.zeros((3, 4))[index].shape)
        parts.append(at(b, given, index))
    before = b.program(b(np.add, *parts))
    after = parts_in_one(before)
    assert functions(after) == [ADD_AT, ADD_AT, np.add]
    assert_same(before, after)


def test_a_sum_that_is_read_on_the_way_stays() -> None:
    b = Builder()
    parts = [at(b, b.given(3, 2), index) for index in (LEFT, RIGHT)]
    other = at(b, b.given(3, 2), LEFT)
    before = b.program(b(np.add, *parts), parts[0], b(np.add, other, other))
    assert functions(parts_in_one(before)) == functions(before)


def test_a_large_array_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    b = Builder()
    whole = at(b, b.given(3, 4), WHOLE)
    program = b.program(b(np.exp, whole))
    assert functions(parts_in_one(program)) == [assembled, np.exp]
    monkeypatch.setattr("tinygrad_edu.compiler.passes.assembling.LARGE", 11)
    assert functions(parts_in_one(program)) == [ADD_AT, np.exp]


# --- Steps ----------------------------------------------------------------------------


def recurrent(steps: int, state: Any) -> tuple[Program, list[Any]]:
    """The gradients of a recurrent network's weights, and what each step adds."""
    b = Builder()
    xs, sums = b.given(steps, 2, 3), [None, None, None]
    for i in reversed(range(steps)):
        x, delta = b(getitem, xs, i), b(np.exp, b.given(2, 4))
        terms = (
            b(np.dot, state(b, i), delta),
            b(np.sum, delta, axis=0),
            b(np.dot, b(np.transpose, x), delta),
        )
        sums = [t if s is None else b(np.add, s, t) for s, t in zip(sums, terms)]
    return b.program(*(b(np.negative, x) for x in sums)), sums


def of_each_step(b: Builder, i: int) -> Any:
    """A state that is computed, but for the first."""
    return b(np.transpose, b(np.sin, b.given(2, 4))) if i else constant(np.eye(4, 2))


def the_same(b: Builder, i: int) -> Any:
    """A state that no step changes."""
    return b(np.transpose, b.inputs[1])


@pytest.mark.parametrize("state", [of_each_step, the_same])
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_sums_over_steps_are_one_product_each(steps: int, state: Any) -> None:
    before, _ = recurrent(steps, state)
    after = sums_over_steps(before)
    few = steps < 3
    assert functions(after).count(np.dot) == (2 * steps if few else 2)
    assert functions(after).count(np.sum) == (steps if few else 1)
    assert functions(after).count(np.add) == (3 * steps - 3 if few else 0)
    assert functions(after).count(getitem) == (steps if few else 0)  # xs is a whole
    assert_same(before, after)


def test_steps_in_another_order_or_not_all_are_put_together() -> None:
    for steps in ([1, 0, 2], [0, 1, 2], [0, 2, 3]):
        b = Builder()
        xs, total = b.given(4 if 3 in steps else 3, 2, 3), None
        for i in steps:
            x, delta = b(getitem, xs, i), b(np.exp, b.given(2, 4))
            term = b(np.dot, b(np.transpose, x), delta)
            total = term if total is None else b(np.add, total, term)
        before = b.program(b(np.negative, total))
        after = sums_over_steps(before)
        assert functions(after).count(assembled) == 2
        assert_same(before, after)


def products(b: Builder, *pairs: Any) -> Any:
    total = b(np.dot, *pairs[0])
    for pair in pairs[1:]:
        total = b(np.add, b(np.dot, *pair), total)
    return total


def test_other_sums_of_products_stay() -> None:
    b = Builder()
    x, y, row = b.given(2, 4), b.given(2, 4), b.given(1, 2)
    flipped, vector = b(np.transpose, x), b.given(4)
    half = b(np.transpose, b.given(2, 4, dtype=np.float16)), b.given(2, 4)
    answers = [
        products(b, *[(x, flipped)] * 3),
        products(b, *[(row, b(np.exp, y)), (flipped, y), (flipped, y)]),
        products(b, *[(x, vector)] * 3),
        products(b, *[half] * 3),
        b(np.add, b(np.add, b(np.sum, x, axis=1), b(np.sum, y, axis=1)), b.given(2)),
    ]
    twice = b(np.dot, flipped, y)
    answers += [b(np.add, b(np.add, twice, twice), b(np.dot, flipped, y)), twice]
    program = b.program(*answers)
    assert functions(sums_over_steps(program)) == functions(program)


def test_rows_of_all_steps_meet_a_matrix_at_once() -> None:
    b = Builder()
    xs, w = b.given(3, 2, 4), b(np.exp, b.given(4, 5))
    before = b.program(*(b(np.exp, b(np.dot, b(getitem, xs, i), w)) for i in (2, 0, 1)))
    after = steps_in_one(before)
    assert functions(after).count(np.dot) == 1
    assert_same(before, after)


def test_few_rows_or_not_all_or_other_ones_are_left_alone() -> None:
    b = Builder()
    two, four, w, v = b.given(2, 2, 4), b.given(4, 2, 4), b.given(4, 5), b.given(4)
    matrix = b.given(4, 4)
    parts = [b(getitem, two, i) for i in range(2)]
    parts += [b(getitem, four, i) for i in (0, 1, 2)]
    found = [b(np.dot, x, w) for x in parts]
    found += [b(np.dot, b(getitem, four, i), v) for i in range(4)]
    found += [b(np.dot, b(getitem, matrix, i), w) for i in range(4)]
    found += [b(np.dot, b(getitem, four, np.s_[i, :1]), w) for i in range(4)]
    found += [b(np.dot, 2.0, w), b(np.dot, b(np.exp, matrix), w)]
    program = b.program(*found)
    assert functions(steps_in_one(program)) == functions(program)


# --- In the fast style ----------------------------------------------------------------


def put(b: Builder, parts: Any, indices: Any, shape: Any) -> Any:
    return b(assembled, list(parts), list(indices), shape)


def lines(program: Program) -> list[str]:
    source = Fast(program).source
    return [line.strip() for line in source[source.index("def step") :].splitlines()]


def test_what_is_no_buffer_is_copied_into_its_place() -> None:
    b = Builder()
    x, y = b.given(2, 3), b.given(2, 3)
    made, shown = b(np.exp, x), b(np.sin, x)
    fixed = constant(np.ones((2, 3)))
    rows = [slice(i, i + 2) for i in range(0, 12, 2)]
    whole = put(
        b, [made, y, shown, fixed, made, b(np.transpose, b.given(3, 2))], rows, (12, 3)
    )
    before = b.program(b(np.cos, whole), shown)
    assert_same(before, before)
    copies = [line for line in lines(before) if "] = " in line]
    assert len(copies) == 4  # not the first use of `made`, and not what is fixed


def test_an_array_of_arrays_has_all_in_one_memory() -> None:
    b = Builder()
    inner = [
        put(
            b,
            [b(np.exp, b.given(2, 2)), b(np.sin, b.given(2, 1))],
            [LEFT, RIGHT],
            (2, 3),
        )
        for _ in range(3)
    ]
    rows = [slice(i, i + 2) for i in range(0, 6, 2)]
    outer = put(b, inner, rows, (6, 3))
    before = b.program(b(np.cos, outer), *(b(np.sum, x) for x in inner))
    assert_same(before, before)
    assert not [line for line in lines(before) if "] = " in line]
    assert Fast(before).buffers == [6 * 3 * 8]


def test_a_product_is_written_to_a_place_only_if_its_rows_are_dense() -> None:
    b = Builder()
    x, y = b.given(2, 2), b.given(2, 2)
    product, other = b(np.dot, x, y), b(np.exp, x)
    wide = put(b, [product, other], [LEFT, RIGHT], (2, 4))
    high = put(b, [b(np.dot, y, x), b(np.exp, y)], [slice(2), slice(2, 4)], (4, 2))
    before = b.program(b(np.cos, wide), b(np.cos, high))
    assert_same(before, before)
    assert len([line for line in lines(before) if "] = " in line]) == 1


def test_memory_with_a_fixed_part_is_not_used_again() -> None:
    b = Builder()
    x = b.given(2, 3)
    fixed = constant(np.ones((2, 3)))
    whole = put(b, [fixed, b(np.exp, x)], [slice(2), slice(2, 4)], (4, 3))
    again = b(np.negative, b(np.sin, b(np.cos, whole)))
    before = b.program(
        b(np.sum, again), b(np.sum, put(b, [x, x], [slice(2), slice(2, 4)], (4, 3)))
    )
    assert_same(before, before)


def test_an_array_that_is_answered_is_put_together_anew() -> None:
    b = Builder()
    before = b.program(
        put(b, [b(np.exp, b.given(2)), b.given(2)], [slice(2), slice(2, 4)], (4,))
    )
    assert_same(before, before)
    assert "assembled([" in Fast(before).source


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_cell_over_some_steps_learns_as_in_eager(dtype: Any) -> None:
    def trained(wrap: Any) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        W, U, v = (
            tg.Tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)
            for shape in ((3, 16), (4, 16), (4, 1))
        )
        optimiser = tg.optim.SGD([W, U, v], lr=0.1)

        @wrap
        def step(xs: Any) -> Any:
            h = c = np.zeros((5, 4), dtype)
            for x in xs:
                z = x @ W + h @ U
                i, f, o = (tg.sigmoid(z[:, k : k + 4]) for k in (0, 4, 8))
                c = f * c + i * np.tanh(z[:, 12:])
                h = o * np.tanh(c)
            loss = np.mean((h @ v) ** 2)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return loss

        xs = rng.standard_normal((6, 5, 3)).astype(dtype)
        losses = [step(xs).data for _ in range(4)]
        if wrap is tg.compile:
            assert "add_at" not in step.source
        return [*losses, W.data, U.data, v.data]

    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    for x, y in zip(trained(tg.compile), trained(lambda f: f)):
        assert x.dtype == y.dtype
        assert_allclose(x, y, rtol=tolerance, atol=tolerance)
