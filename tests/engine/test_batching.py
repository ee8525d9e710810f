"""`vmap`: the same as a loop over the examples, for every op and every transform."""

import math
import os
import re
from collections import Counter, namedtuple
from dataclasses import dataclass
from typing import Any

import built_in_calls
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaves import leaf
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.checking.strategies import Call
from tinygrad_edu.engine import batching
from tinygrad_edu.engine.op import Op

# As they are now: other tests may declare more.
OPS = dict(tg.OPS)
walk_ops = pytest.mark.parametrize("op", OPS.values(), ids=list(OPS))

N = 3  # examples
PROFILE = settings(
    max_examples=30, deadline=None, derandomize="CI" in os.environ, print_blob=False
)


@pytest.fixture
def x(rng):
    """Five examples of four numbers."""
    return rng.standard_normal((5, 4))


@pytest.fixture
def loops(monkeypatch):
    """Count what runs in a loop over the examples, by name."""
    counts: Counter[str] = Counter()
    in_turn = batching._in_turn

    def counting(n: int, name: str, *args: Any) -> Any:
        counts[name] += 1
        return in_turn(n, name, *args)

    monkeypatch.setattr(batching, "_in_turn", counting)
    return counts


def loop(f, *stacks):
    """Return what `vmap` should: the results, example by example, stacked."""
    return np.stack([np.asarray(f(*example)) for example in zip(*stacks)])


# --- Every op -------------------------------------------------------------------------


def another(op: Op, position: int, x: Any, i: int) -> Any:
    """Return other values that the op accepts: the same ones, in another order."""
    if op.name in built_in_calls.DIAGONALS and position == 0:
        return x * (1 + i / 8)  # as far from singular
    if op.name == "interp" and position == 1:
        return x + i / 8  # in rising order
    return np.roll(x, i).reshape(x.shape)


@walk_ops
@given(data=st.data())
@settings(PROFILE)
def test_an_op_of_many_examples_is_a_loop(op: Op, data: st.DataObject) -> None:
    call: Call = data.draw(built_in_calls.calls(op))
    inputs = call.inputs
    mapped = data.draw(
        st.lists(st.booleans(), min_size=len(inputs), max_size=len(inputs)).filter(any)
    )
    axes = [
        data.draw(st.integers(-x.ndim - 1, x.ndim)) if is_mapped else None
        for x, is_mapped in zip(inputs, mapped)
    ]
    examples = [
        [another(op, k, x, i) if mapped[k] else x for k, x in enumerate(inputs)]
        for i in range(N)
    ]
    stacks = [
        x if axis is None else np.stack(of_all, axis)
        for x, axis, of_all in zip(inputs, axes, zip(*examples))
    ]

    def run(*inputs: Any) -> Any:
        return call.run(inputs)

    expected = np.stack([run(*example) for example in examples])
    out = data.draw(st.integers(-expected.ndim, expected.ndim - 1))
    of_all = tg.vmap(run, axes, out)
    value = of_all(*stacks)
    assert isinstance(value, np.ndarray)
    assert value.dtype == expected.dtype
    assert_allclose(value, np.moveaxis(expected, 0, out), rtol=1e-12, atol=1e-12)

    variables = [k for k, x in enumerate(inputs) if x.dtype.kind == "f"]
    if not variables or value.dtype.kind != "f":
        return
    cotangent = np.random.default_rng(call.seed).standard_normal(value.shape)
    found = gradients(of_all, stacks, variables, cotangent)
    for_each = [
        gradients(run, example, variables, c)
        for example, c in zip(examples, np.moveaxis(cotangent, out, 0))
    ]
    # Per example, by the rules that run within.
    within = tg.vmap(lambda c, *xs: gradients(run, xs, variables, c), (out, *axes))(
        cotangent, *stacks
    )
    for k, got, inner, parts in zip(variables, found, within, zip(*for_each)):
        axis = axes[k]
        whole = np.sum(parts, axis=0) if axis is None else np.stack(parts, axis)
        assert_allclose(got, whole, rtol=1e-9, atol=1e-9)
        assert_allclose(inner, np.stack(parts), rtol=1e-9, atol=1e-9)


def test_arrays_are_joined_flat(x):
    flat = tg.vmap(lambda a, b: tg.concatenate([a, b], axis=None))
    joined = np.hstack([x, x[:, :2]])
    assert_array_equal(flat(x.reshape(5, 2, 2), x[:, :2]), joined)


def gradients(f: Any, inputs: Any, variables: Any, cotangent: Any) -> Any:
    def of_variables(*values: Any) -> Any:
        whole = list(inputs)
        for k, x in zip(variables, values):
            whole[k] = x
        return f(*whole)

    _, pullback = tg.vjp(of_variables, *(inputs[k] for k in variables))
    return pullback(cotangent)


@pytest.mark.parametrize(
    "roll",
    [
        lambda row, i: tg.roll(row, (1, 2)),
        lambda row, i: tg.roll(row.reshape(2, 2), (1, -1), (0, 1)),
        lambda row, i: tg.roll(row.reshape(2, 2), (1, 2), (0, 0)),
        lambda row, i: tg.roll(row, i),
        lambda row, i: tg.roll(row.reshape(2, 2), (i, 1), (-1, 0)),
    ],
)
def test_examples_are_rolled_by_shifts_of_their_own_too(roll, x):
    shifts = np.arange(5)
    assert_array_equal(tg.vmap(roll)(x, shifts), loop(roll, x, shifts))


def test_a_number_has_no_axis_to_roll(x):
    with pytest.raises(ValueError, match="roll: axis 0 is out of bounds"):
        tg.vmap(lambda number: tg.roll(number, 1, 0))(x[0])


# What runs in a loop, in which calls: `dot` of numbers and of more than matrices.
LOOPS = {
    "convolve": {"convolve"},
    "dot": {"dot"},
    "interp": {"searchsorted"},
    "partition": {"take_along_axis"},
    "sort": {"take_along_axis"},
}


@walk_ops
def test_which_ops_run_in_a_loop(op: Op, loops) -> None:
    @settings(PROFILE, max_examples=10)
    @given(built_in_calls.calls(op))
    def check(call: Call) -> None:
        tg.vmap(lambda *inputs: call.run(inputs))(
            *(np.stack([x] * N) for x in call.inputs)
        )

    check()
    assert loops.keys() <= LOOPS.get(op.name, set())


# --- What comes out -------------------------------------------------------------------


def test_arrays_for_arrays_and_tensors_for_tensors(x):
    w = leaf(np.ones(4))
    of_array = tg.vmap(np.sin)(x)
    assert type(of_array) is np.ndarray
    assert_array_equal(of_array, np.sin(x))
    of_tensor = tg.vmap(np.sin)(Tensor(x))
    assert type(of_tensor) is Tensor
    assert not of_tensor.requires_grad
    assert_array_equal(of_tensor.data, np.sin(x))
    of_closure = tg.vmap(lambda row: row @ w)(x)
    of_closure.backward(np.arange(5.0))
    assert_allclose(w.grad.data, np.arange(5.0) @ x)


def test_what_does_not_vary_is_repeated(x):
    tensor = Tensor([1.0, 2.0])
    number, array, constant, nothing = tg.vmap(
        lambda row: (1.5, np.arange(3), tensor, None)
    )(x)
    assert_array_equal(number, [1.5] * 5)
    assert_array_equal(array, [[0, 1, 2]] * 5)
    assert type(constant) is Tensor
    assert_array_equal(constant.data, [[1, 2]] * 5)
    assert nothing is None
    (made_inside,) = tg.vmap(lambda row: [Tensor(2.0) * 3])(x)
    assert type(made_inside) is Tensor
    assert_array_equal(made_inside.data, [6.0] * 5)
    assert tg.vmap(lambda row: tensor.sum(), out_axes=None)(x).data == 3


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.longdouble, np.int32, bool]
)
def test_the_dtype_is_kept(dtype):
    x = np.array([[1, 0], [1, 1]], dtype)
    assert tg.vmap(lambda row: row)(x).dtype == dtype
    assert tg.vmap(lambda row: Tensor(row, dtype=np.float32))(x).dtype == np.float32
    if np.dtype(dtype).kind == "f":
        assert tg.vmap(tg.grad(lambda row: np.sum(row**2)))(x).dtype == dtype


def test_gradients_share_memory_with_nothing(x):
    first, second = tg.vmap(tg.grad(lambda a, b: np.sum(a + b), (0, 1)))(x, x)
    assert not np.shares_memory(first, second)
    assert not np.shares_memory(first, x)
    first, second = tg.vmap(
        lambda a, b, c: tg.vjp(lambda a, b: a.reshape(2, 2) + b.reshape(2, 2), a, b)[1](
            c
        )
    )(x, x, x.reshape(5, 2, 2))
    assert not np.shares_memory(first, second)
    assert not np.shares_memory(first, x)


def test_random_numbers_differ_from_example_to_example():
    dropout = tg.nn.Dropout(0.5, rng=0)
    kept = tg.vmap(dropout)(np.ones((4, 32)))
    assert len(np.unique(np.asarray(kept), axis=0)) == 4
    nested = tg.vmap(tg.vmap(dropout))(np.ones((2, 3, 32)))
    assert len(np.unique(np.asarray(nested).reshape(6, 32), axis=0)) == 6


# --- Axes and structures --------------------------------------------------------------

Point = namedtuple("Point", "x y")


def test_axes_of_nested_arguments(x):
    def f(params, point, *, scale):
        (w,), b = params["w"], params["b"]
        return {"z": w @ point.x * scale + b, "y": [point.y * 2]}

    w, b = np.moveaxis(x[:, :3], 0, 1), 0.5  # the examples of w come second
    y, scale = np.arange(6.0).reshape(2, 3).T, np.arange(3.0)
    params = {"w": [w[:, :3]], "b": b}
    point = Point(x.T[:3], y)
    axes = ({"w": [1], "b": None}, (1, 0))
    params["w"] = [x[:3, :3].T]
    point = Point(x[:3, :3].T, y)
    got = tg.vmap(f, axes, {"z": 0, "y": 1})(params, point, scale=scale)
    for i in range(3):
        expected = f(
            {"w": [params["w"][0][:, i]], "b": b},
            Point(point.x[:, i], y[i]),
            scale=scale[i],
        )
        assert_allclose(got["z"][i], expected["z"])
        assert_array_equal(got["y"][0][:, i], expected["y"][0])


@dataclass
class Line:
    slope: Any
    start: Any


def test_axes_of_a_dataclass(x):
    def f(line):
        return Line(line.slope * 2, line.slope[0] * line.start)

    got = tg.vmap(f, (Line(1, None),), Line(1, 0))(Line(x.T, 3.0))
    assert_array_equal(got.slope, 2 * x.T)
    assert_array_equal(got.start, 3 * x[:, 0])


def test_axes_count_from_the_end_too(x):
    got = tg.vmap(lambda row: 2 * row, in_axes=np.int64(-1), out_axes=-1)(x)
    assert_array_equal(got, 2 * x)
    got = tg.vmap(lambda a, b: a * b, (-2, None), 1)(x, 3.0)
    assert_array_equal(got, 3 * x.T)


# --- Nesting --------------------------------------------------------------------------


def network(w, x):
    """A function of two vectors that is symmetric in nothing."""
    return np.sum(np.tanh(w * x) * np.arange(1.0, 5)) * np.exp(w[0])


def test_per_example_gradients_are_those_of_jax(x, rng):
    jax = pytest.importorskip("jax")
    w, b = rng.standard_normal((3, 4)), rng.standard_normal(3)
    y = rng.standard_normal((5, 3))

    def loss(params, x, y, np=np):
        w, b = params
        return np.sum((np.tanh(w @ x + b) - y) ** 2)

    def loss_in_jax(params, x, y):
        return loss(params, x, y, jax.numpy)

    got = tg.vmap(tg.grad(loss), (None, 0, 0))([w, b], x, y)
    with jax.enable_x64():
        expected = jax.vmap(jax.grad(loss_in_jax), (None, 0, 0))([w, b], x, y)
    for g, e in zip(got, expected):
        assert_allclose(g, e, rtol=1e-12)


def test_transforms_within_and_around(x, rng):
    w = rng.standard_normal(4)
    v = rng.standard_normal(4)
    many = np.tile(np.eye(4), (3, 1))  # so many rows that jacobian uses vmap
    for derive in (
        tg.grad(network, 1),
        tg.jacobian(lambda w, x: many @ np.sin(w * x)),
        tg.jacobian(lambda w, x: tg.remat(np.sin)(many @ w) * x[0]),
        tg.hessian(network),
        tg.jacobian(tg.grad(network), 1),
        tg.jacobian(tg.grad(network), 1, mode="forward"),
        lambda w, x: tg.jvp(network, (w, x), (v, v))[1],
        lambda w, x: tg.hvp(lambda w: network(w, x), (w,), (v,)),
        tg.grad(tg.remat(network)),
    ):
        expected = np.stack([derive(w, row) for row in x])
        assert_allclose(tg.vmap(derive, (None, 0))(w, x), expected, rtol=1e-10)

    def penalty(w, x):  # second order: through the per-example gradients
        return np.sum(tg.vmap(tg.grad(network), (None, 0))(w, x) ** 2)

    def slowly(w, x):
        return np.sum(np.stack([tg.grad(network)(w, row) for row in x]) ** 2)

    assert_allclose(tg.grad(penalty)(w, x), tg.grad(slowly)(w, x), rtol=1e-10)
    assert_allclose(tg.grad(penalty, 1)(w, x), tg.grad(slowly, 1)(w, x), rtol=1e-10)
    pushed, expected = (tg.jvp(f, (w, x), (v, x))[1] for f in (penalty, slowly))
    assert_allclose(pushed, expected, rtol=1e-10)


def test_backward_goes_through_gradients_of_examples(x):
    w, rows = leaf([1.0, -1.0, 0.5, 2.0]), leaf(x)
    np.sum(tg.vmap(tg.grad(network), (None, 0))(w, rows) ** 2).backward()
    v, others = leaf(w.data), leaf(x)
    sum(np.sum(tg.grad(network)(v, row) ** 2) for row in others).backward()
    assert_allclose(w.grad.data, v.grad.data, rtol=1e-10)
    assert_allclose(rows.grad.data, others.grad.data, rtol=1e-10)


def test_each_derivative_keeps_to_its_own_variables(x):
    """The inner derivative is 1, whatever the outer variable is."""

    def f(a):
        slope = tg.grad(lambda b: a + b)(1.0)
        return a * slope

    assert_array_equal(tg.vmap(tg.grad(f))(x[0]), np.ones(4))
    total = tg.grad(lambda a: np.sum(tg.vmap(f)(a)))
    assert_array_equal(total(x[0]), np.ones(4))


def test_what_no_grad_hides_is_constant(x):
    w = leaf(np.ones(4))

    def f(row):
        with tg.no_grad():
            hidden = row @ w
        return hidden * w.sum()

    tg.vmap(f)(x).sum().backward()
    assert_allclose(w.grad.data, np.full(4, x.sum()))
    with tg.no_grad():
        assert not tg.vmap(lambda row: row @ w)(x).requires_grad
        slopes = tg.vmap(tg.grad(lambda row: np.sum(w * row**2)))(x)
    assert_array_equal(slopes, 2 * x)
    values = tg.vmap(lambda row: (row @ w).data)(Tensor(x))
    assert_array_equal(values, x @ w.data)


def test_vmap_within_vmap(x):
    def product(a, b):
        return a @ b

    by_rows = tg.vmap(tg.vmap(product, (None, 0)), (0, None))
    assert_allclose(by_rows(x, x), x @ x.T)
    closed_over = tg.vmap(lambda a: tg.vmap(lambda b: a @ b + a[0])(x))(x)
    assert_allclose(closed_over, x @ x.T + x[:, :1])
    slopes = tg.vmap(lambda a: tg.vmap(tg.grad(lambda b: np.sin(a @ b)))(x))(x)
    assert_allclose(slopes, np.cos(x @ x.T)[..., None] * x[:, None])
    w = leaf(np.ones(4))
    tg.vmap(lambda a: tg.vmap(lambda b: (a * b) @ w)(x))(x).sum().backward()
    assert_allclose(w.grad.data, x.sum(0) ** 2)
    constant = tg.vmap(lambda a: tg.vmap(lambda b: Tensor(a) * b)(x))(x)
    assert_allclose(constant.data, x[:, None] * x)


def test_compiled_it_is_the_formula(x, rng):
    w, y = rng.standard_normal((3, 4)), rng.standard_normal((5, 3))

    def loss(w, x, y):
        return np.sum((tg.sigmoid(w @ x) - y) ** 2) / 2

    eager = tg.vmap(tg.grad(loss), (None, 0, 0))
    compiled = tg.compile(eager, style="readable")
    assert_allclose(compiled(w, x, y), eager(w, x, y), rtol=1e-12)
    assert "x @ w.T" in compiled.source  # one product, not one per example
    assert "for " not in compiled.source
    fast = tg.compile(lambda w, x: tg.vmap(lambda row: np.tanh(row @ w.T) @ w)(x))
    assert_allclose(fast(w, x), np.tanh(x @ w.T) @ w, rtol=1e-12)
    inside = tg.vmap(tg.compile(lambda row: np.sum(row**2)))
    assert_allclose(inside(x), np.sum(x**2, axis=1))
    around = tg.compile(lambda w, x, k: tg.vmap(lambda row: k * w.T[0] @ row[:3])(x))
    assert_allclose(around(w, x, 2.0), 2 * x[:, :3] @ w[:, 0], rtol=1e-12)
    dropped = tg.compile(tg.vmap(tg.nn.Dropout(0.5, rng=0)))
    first, second = (np.asarray(dropped(np.ones((5, 32)))) for _ in range(2))
    assert len(np.unique(np.concatenate([first, second]), axis=0)) == 10


def test_debug_finds_the_line(x):
    with tg.debug():
        got = tg.vmap(tg.grad(lambda row: np.sum(np.exp(row))))(x)
        assert_allclose(got, np.exp(x))
        told = pytest.raises(ValueError, match=r"log: its result.*test_batching")
        with told, np.errstate(all="ignore"):
            tg.vmap(lambda row: np.log(row - row))(Tensor(x))
        told = pytest.raises(ValueError, match=r"log: its result.*test_batching")
        with told, np.errstate(all="ignore"):
            tg.vmap(tg.grad(lambda row: np.log(row - row).sum()))(x)
        assert_allclose(tg.vmap(tg.grad(lambda row: np.exp(row).sum()))(x), np.exp(x))
        jacobian = tg.jacobian(np.exp)(x.ravel())
        assert_allclose(jacobian, np.diag(np.exp(x.ravel())))


def test_a_module_of_one_example(x):
    net = tg.nn.MLP([4, 3, 2], rng=0)
    assert_allclose(tg.vmap(net)(x).data, net(x).data)


# --- Places that differ from example to example ---------------------------------------


def test_labels(x):
    labels = np.array([0, 3, 1, 1, 2])

    def loss(z, label):
        return -tg.log_softmax(z)[label]

    assert_allclose(tg.vmap(loss)(x, labels), loop(loss, x, labels))
    assert_allclose(
        tg.vmap(tg.grad(loss))(x, labels), loop(tg.grad(loss), x, labels), rtol=1e-10
    )
    compiled = tg.compile(tg.vmap(tg.grad(loss)))
    assert_allclose(compiled(x, labels), loop(tg.grad(loss), x, labels), rtol=1e-10)


@pytest.mark.parametrize(
    ("index", "looped"),
    [
        (lambda i: i, False),
        (lambda i: (i, 1), False),
        (lambda i: (i, [0, 2]), False),
        (lambda i: (i[:, None], i), False),
        (lambda i: (i, slice(1, None)), False),
        (lambda i: (i, None), False),
        (lambda i: (slice(None), i), True),
        (lambda i: (..., i), True),
        (lambda i: (slice(None), i[0], slice(1)), True),
        (lambda i: np.arange(3) == i[0], True),
    ],
)
def test_every_index_that_differs(index, looped, rng, loops):
    x, i = rng.standard_normal((N, 3, 3, 3)), rng.integers(0, 3, (N, 2))

    def f(x, i):
        return np.sin(x[index(i)])

    def slope(x, i):
        return tg.grad(lambda x: np.sum(f(x, i) ** 2))(x)

    table = x[0]
    assert_allclose(tg.vmap(f)(x, i), loop(lambda x, i: np.asarray(f(x, i)), x, i))
    assert_allclose(tg.vmap(slope)(x, i), loop(slope, x, i))
    same_for_all = tg.vmap(slope, (None, 0))(table, i)
    assert_allclose(same_for_all, loop(lambda i: slope(table, i), i))
    assert bool(loops) == looped


def test_elements_of_a_table(rng, loops):
    table, i = rng.standard_normal((7, 3)), rng.integers(0, 7, (N, 2))
    assert_array_equal(tg.vmap(lambda i: tg.take(table, i, axis=0))(i), table[i])
    assert not loops


def test_another_parameter_that_differs(rng):
    x, decimals = rng.standard_normal((N, 2)), np.array([0, 1, 2])
    rounded = tg.vmap(lambda x, k: tg.round(x, decimals=k))(x, decimals)
    expected = [np.round(row, k) for row, k in zip(x, decimals)]
    assert_array_equal(rounded, expected)


# --- Functions without a derivative ---------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (x > 0) & ~(x < 1) | (x == 0.5) ^ np.isfinite(x),
        lambda x: np.array([True, False]) & (x > 0),
        lambda x: np.array([True, False]) | (x > 0),
        lambda x: np.isclose(x, x[0]),
        lambda x: np.argmax(x, axis=0),
        lambda x: x.argmin(),
        lambda x: np.argsort(x, axis=-1),
        lambda x: np.any(x > 0, axis=(0, 1)),
        lambda x: np.all(x > -1, keepdims=True),
        lambda x: np.all(x > -1, axis=0, keepdims=True),
        lambda x: np.count_nonzero(x > 0),
        lambda x: np.shape(x) + np.zeros_like(x),
        lambda x: np.full_like(x, x[0, 0]),
        lambda x: np.searchsorted(np.arange(3.0), x),
        lambda x: np.linalg.slogdet(x).sign,
        lambda x: np.stack(np.nonzero(x != 0)),
        lambda x: np.stack([row * i for i, row in enumerate(x)]) * len(x),
    ],
)
def test_queries(f, rng):
    x = rng.standard_normal((N, 2, 2))
    got, expected = tg.vmap(f)(x), loop(f, x)
    assert_array_equal(got, expected)
    assert got.dtype == expected.dtype


def test_a_query_of_what_does_not_vary_is_answered(x):
    w = Tensor([1.0, -1.0])
    assert_array_equal(tg.vmap(lambda row: row if w[0] > 0 else -row)(x), x)


def test_weights_that_differ(x):
    def mean(row, weights):
        return np.average(row, weights=weights)

    assert_allclose(tg.vmap(mean)(x, x**2), loop(mean, x, x**2))


# --- Ops of the user's own ------------------------------------------------------------


@pytest.fixture
def forget_ops():
    """Forget what is declared within the test."""
    yield
    for name in set(tg.OPS) - set(OPS):
        del tg.OPS[name]


def declare(**declaration):
    @tg.op(name="reversed_square", **declaration)
    def reversed_square(x, *, factor=1.0):
        return factor * x[..., ::-1] ** 2

    return reversed_square.vjp(
        x=lambda g, y, x, factor: 2 * factor * x * np.flip(g, axis=-1)
    )


@pytest.mark.usefixtures("forget_ops")
@pytest.mark.parametrize("how", ["in a loop", "by its signature", "by its rule"])
def test_an_op_of_the_users_own(how, x, loops):
    op = declare(signature="(n)->(n)" if how == "by its signature" else None)
    if how == "by its rule":
        op.vmap(lambda stacked, x, factor: op(x, factor=factor))

    def f(row):
        return op(row, factor=3.0)

    assert_allclose(tg.vmap(f)(x), loop(f, x))
    assert ("reversed_square" in loops) == (how == "in a loop")

    def slope(row):
        return tg.grad(lambda row: np.sum(f(row) * np.arange(4.0)))(row)

    assert_allclose(tg.vmap(slope)(x), loop(slope, x))
    hessian = tg.hessian(lambda row: np.sum(f(row) * np.arange(4.0)))
    assert_allclose(tg.vmap(hessian)(x), loop(hessian, x))


@pytest.mark.usefixtures("forget_ops")
@pytest.mark.parametrize("how", ["signature", "`Op.vmap` rule"])
def test_an_op_that_is_not_as_declared(how, x):
    @tg.op(signature="(n)->()" if how == "signature" else None)
    def whole_sum(x):
        return np.sum(x, 0) if how != "signature" else np.sum(x)

    if how != "signature":
        whole_sum.vmap(lambda stacked, x: whole_sum(x))
    with pytest.raises(ValueError, match=f"whole_sum returned, of 5 .* its {how} is"):
        tg.vmap(whole_sum)(x)


@pytest.mark.usefixtures("forget_ops")
def test_a_jacobian_by_a_rule_that_looks_at_values(rng):
    @tg.op
    def doubled(x):
        return 2 * x

    doubled.vjp(x=lambda g, y, x: 2 * g if g.max() > 0 else g * 2)
    x = rng.standard_normal(9)
    assert_array_equal(tg.jacobian(doubled)(x), 2 * np.eye(9))


# --- Jacobians ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["reverse", "forward", None])
def test_jacobians_are_those_of_jax(mode, rng):
    jax = pytest.importorskip("jax")
    a, x = rng.standard_normal((12, 9)), rng.standard_normal(9)

    def f(x, np=np):
        return np.tanh(a @ x), np.prod(x) * x[:2]

    with jax.enable_x64():
        expected = jax.jacobian(lambda x: f(x, jax.numpy))(x)
    for got, e in zip(tg.jacobian(f, mode=mode)(x), expected):
        assert_allclose(got, e, rtol=1e-10, atol=1e-12)


def test_a_large_jacobian_is_computed_in_parts(rng, monkeypatch):
    a, x = rng.standard_normal((30, 20)), rng.standard_normal(20)
    expected = tg.jacobian(lambda x: np.tanh(a @ x))(x)
    monkeypatch.setattr(tg.engine.transforms, "ELEMENTS", 300)  # 10 rows at once
    assert_array_equal(tg.jacobian(lambda x: np.tanh(a @ x))(x), expected)
    monkeypatch.setattr(tg.engine.transforms, "ELEMENTS", 1)  # one by one
    assert_allclose(tg.jacobian(lambda x: np.tanh(a @ x))(x), expected, rtol=1e-12)


# --- Errors ---------------------------------------------------------------------------


def outside_of(f):
    return lambda x: tg.vmap(f)(x)


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda x: tg.vmap(3), TypeError, "must be a function, but it is of type int"),
        (
            lambda x: tg.vmap(np.add)(x, x[:3]),
            ValueError,
            "have 3 and 5 examples (shapes with the examples first: [(5, 4), (3, 4)])",
        ),
        (lambda x: tg.vmap(np.sin)(x[:0]), ValueError, "have 0 examples"),
        (lambda x: tg.vmap(np.sin, None)(x), ValueError, "no argument is mapped"),
        (lambda x: tg.vmap(np.sin, 2)(x), ValueError, "(5, 4) has no axis 2"),
        (lambda x: tg.vmap(np.sin, True)(x), ValueError, "True does not fit ndarray"),
        (lambda x: tg.vmap(np.add)(x, 2.0), ValueError, "write None at its place"),
        (lambda x: tg.vmap(np.add, (0,))(x, x), ValueError, "has 1 entries, but"),
        (lambda x: tg.vmap(np.sin, ([0],))(x), ValueError, "[0] does not fit ndarray"),
        (lambda x: tg.vmap(np.sin, ([0],))([x, x]), ValueError, "does not fit list"),
        (lambda x: tg.vmap(len, ({"a": 0},))({"b": x}), ValueError, "not fit dict"),
        (lambda x: tg.vmap(len, ({"a": 0},))([x]), ValueError, "does not fit list"),
        (lambda x: tg.vmap(len, ([0],))(2.0), ValueError, "[0] does not fit float"),
        (lambda x: tg.vmap(len, ([0],))(Line(x, x)), ValueError, "not fit Line"),
        (lambda x: tg.vmap(np.sin)(1j * x), TypeError, "pass .real and .imag"),
        (
            lambda x: tg.vmap(np.sum)(x, keepdims="a"),
            TypeError,
            "vmap: an argument of type str cannot be mapped: Tensor: a Tensor holds "
            "real numbers, not numbers of dtype <U1; if it is the same for all, write",
        ),
        (
            lambda x: tg.vmap(np.sin, out_axes=None)(x),
            ValueError,
            "out_axes is None for a result that differs",
        ),
        (lambda x: tg.vmap(np.sin, out_axes=2)(x), ValueError, "out_axes is 2, but"),
    ],
)
def test_wrong_arguments(call, kind, said, x):
    with pytest.raises(kind, match=re.escape(said)):
        call(x)


w = leaf(np.ones(4), name="w")


def write_data(row):
    w.data = w.data + 1


def goes_on(row):
    try:
        return row if row[0] > 0 else -row
    except TypeError:
        return row


def write_in_place(row):
    v = w
    with tg.no_grad():
        v -= row


@pytest.mark.parametrize(
    ("f", "kind", "said"),
    [
        (lambda row: row if row[0] > 0 else -row, TypeError, "instead of `if x > 0`"),
        (lambda row: float(row[0]), TypeError, "vmap: float() asks for the value"),
        (lambda row: math.exp(row[0]), TypeError, "write np.exp(x) instead of math.ex"),
        (lambda row: np.asarray(row), TypeError, "np.stack() instead of np.array()"),
        (lambda row: np.eye(4)[row > 0], TypeError, "tg.take(table, i, axis=0)"),
        (lambda row: range(row.argmax()), TypeError, "vmap: index() asks"),
        (lambda row: print(Tensor(row)), TypeError, "print x.shape, or call"),
        (lambda row: (w @ row).backward(), TypeError, "use tg.grad within"),
        (lambda row: w.grad, TypeError, "use tg.grad within"),
        (goes_on, TypeError, "instead of `if x > 0`"),
        (write_data, TypeError, "vmap: the function writes to an array or a Tensor"),
        (write_in_place, TypeError, "vmap: the function writes to"),
        (lambda row: np.sin(row, out=np.ones(4)), TypeError, "the function writes to"),
        (
            lambda row: tg.optim.SGD([w], lr=1.0).step(),
            TypeError,
            "vmap: the function writes to",
        ),
        (
            lambda row: row[row > 0],
            ValueError,
            "vmap: getitem returned results of different shapes",
        ),
        (
            lambda row: tg.clip(row, min=0 if row[0] > 0 else 1),
            TypeError,
            "instead of `if x > 0`",
        ),
        # The shapes are those of one example.
        (lambda row: row @ np.ones(5), ValueError, "shapes (4,) and (5,) do not align"),
        (lambda row: row + np.ones(5), ValueError, "(4,) and (5,) do not broadcast"),
        (lambda row: row.reshape(3, -1), ValueError, "float64 (4,), shape=(3, -1)"),
        (lambda row: row[4], IndexError, "out of bounds for axis 0 with size 4"),
        (lambda row: row[..., 0, 0], IndexError, "too many indices"),
        (lambda row: row[0][..., 0], IndexError, "too many indices"),
        (lambda row: row.sum(axis=1), ValueError, "axis 1 is out of bounds"),
        (lambda row: row[0] @ np.ones(5), ValueError, "matmul:"),
        (lambda row: tg.linalg.inv(row), ValueError, "too few dimensions"),
        (lambda row: tg.linalg.solve(row, row), ValueError, "too few dimensions"),
        (lambda row: "a", TypeError, "holds real numbers"),
        (lambda row: iter(row), TypeError, "holds real numbers"),
        (
            lambda row: tg.linear(row[0], np.ones((3, 5)), np.ones(3)),
            ValueError,
            "linear: shapes () and (3, 5) and (3,) do not fit",
        ),
        (
            lambda row: tg.linear(np.ones(5), np.ones((3, 5)), row[:1]),
            ValueError,
            "linear: shapes (5,) and (3, 5) and (1,) do not align",
        ),
    ],
)
def test_what_the_function_cannot_do(f, kind, said, rng):
    x = rng.standard_normal((5, 4))
    with pytest.raises(kind, match=re.escape(said)):
        tg.vmap(f)(x)


def test_writing_to_an_element_tells_the_cause(x):
    def f(row):
        table = np.zeros(4)
        table[0] = row[0]

    with pytest.raises(ValueError, match="setting an array element") as error:
        tg.vmap(f)(x)
    assert "vmap: float() asks for the value" in str(error.value.__cause__)


def test_an_example_can_be_printed(x):
    shown = []
    tg.vmap(lambda row: shown.append(repr(row)))(x)
    assert shown == ["Example(float64 (4,))"]


@pytest.mark.parametrize("use", [np.sin, repr, np.shape, lambda x: x + 1])
def test_what_is_kept_is_unusable(use, x):
    kept = []
    tg.vmap(lambda row: kept.append(row) or kept.append(Tensor(row)))(x)
    for y in kept:
        with pytest.raises(ValueError, match="the function has ended; return it"):
            use(y)
