"""How programs are written: names that clash with nothing, lines that are not long."""

import re
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.compiler.recording.recorder import Recording
from tinygrad_edu.compiler.writing.readable import Readable

X = np.arange(1.0, 4.0)
OPTIMISERS = [
    lambda params: tg.optim.SGD(params, lr=0.5, momentum=0.9),
    lambda params: tg.optim.SGD(params, 0.5, 0.9, nesterov=True, weight_decay=0.1),
    lambda params: tg.optim.RMSprop(params, lr=0.01),
    lambda params: tg.optim.Adam(params, lr=0.01),
    lambda params: tg.optim.AdamW(params, lr=0.01),
]
LOSSES = [
    lambda model, x, y: tg.losses.cross_entropy(model(x), y),
    lambda model, x, y: tg.losses.softmax_cross_entropy(model.logits(x), y),
]


NAMED_AS_OURS = [
    lambda c1, k1: 3 * (1 + np.exp(c1)) + k1 * c1,
    lambda t1, c2: 3 * (1 + np.exp(t1)) + c2 * t1,
    lambda exp, k3: 3 * (1 + np.exp(exp)) + k3 * exp,
    lambda np, k: 3 * (1 + tg.exp(np)) + k * np,
    lambda all_x, blocks_2_3: 3 * (1 + np.exp(all_x)) + blocks_2_3 * all_x,
]


@pytest.mark.parametrize("style", ["fast", "readable"])
@pytest.mark.parametrize("f", NAMED_AS_OURS)
def test_arguments_may_be_called_as_a_program_calls_things_of_its_own(
    f: Any, style: str
) -> None:
    compiled = tg.compile(f, style=style)
    for x in (X, X / 2):
        np.testing.assert_allclose(compiled(x, 2.0), f(x, 2.0), rtol=1e-15)


@pytest.mark.parametrize("style", ["fast", "readable"])
def test_a_numpy_number_meets_only_a_plain_one(style: str) -> None:
    """It decides about the dtype, and it may be divided by 0."""
    f = tg.grad(lambda x, k: tg.mean(x**2) / k)
    compiled = tg.compile(f, style=style)
    for dtype in (np.float32, np.float64):
        x = np.array([1.0, 2.0], dtype)
        for k in (0.3, 0.0):
            with np.errstate(divide="ignore"):
                wanted, found = f(x, k), compiled(x, k)
            assert found.dtype == wanted.dtype == dtype
            np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("style", ["fast", "readable"])
def test_a_power_of_booleans_is_that_of_the_op(style: str) -> None:
    x = np.array([True, False])
    compiled = tg.compile(lambda x: tg.power(x, 2), style=style)
    assert tg.power(x, 2).dtype == compiled(x).dtype == int
    np.testing.assert_array_equal(compiled(x), [1, 0])


def test_a_large_product_leaves_an_argument_called_rows_alone() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2000, 100)), rng.standard_normal((100, 100))
    compiled = tg.compile(lambda x, rows: x @ rows + x @ (2 * rows))
    np.testing.assert_allclose(compiled(x, w), 3 * x @ w, rtol=0, atol=1e-11)


def readable_step(optimiser: Any, loss: Any) -> str:
    model = tg.nn.MLP([5, 4, 3, 2], rng=0, dtype=float)
    adapting = optimiser(model.parameters())

    @tg.compile(style="readable")
    def step(x: Any, y: Any) -> Any:
        value = loss(model, x, y)
        adapting.zero_grad()
        value.backward()
        adapting.step()
        return value

    step(np.ones((6, 5)), np.full((6, 2), 0.5))
    source: str = step.source
    return source


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_lines_are_not_long(optimiser: Any, loss: Any) -> None:
    code = readable_step(optimiser, loss).split('"""')[2]
    assert max(map(len, code.splitlines())) <= 88


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize(("loss", "last"), [(LOSSES[0], 5), (LOSSES[1], 4)])
def test_what_is_not_in_the_graph_is_numbered_in_order(
    optimiser: Any, loss: Any, last: int
) -> None:
    """The graph's own numbers come before; the last of them is given."""
    numbers = re.findall(r"^    t(\d+) =", readable_step(optimiser, loss), re.MULTILINE)
    others = [n for n in map(int, numbers) if n > last]
    assert others == list(range(last + 1, last + 1 + len(others)))
    assert others


def test_no_number_is_given_twice() -> None:
    """Many lines are numbered while 1 - y, which is no name, is still needed."""

    def f(x: Any, y: Any) -> Any:
        return sum(tg.losses.cross_entropy(x**k, y) for k in range(1, 4))

    def gradient(x: Any, y: Any) -> Any:
        return tg.value_and_grad(lambda x: f(x, y))(x)

    compiled = tg.compile(gradient, style="readable")
    args = np.array([[0.3, 0.4]]), np.array([[0.5, 0.2]])
    np.testing.assert_allclose(compiled(*args)[1], gradient(*args)[1], rtol=1e-12)


def test_a_long_formula_is_broken_where_it_may_be() -> None:
    def f(a: Any, b: Any) -> Any:
        for _ in range(300):
            a = np.where(a > b, np.sin(a) * b, a + np.cos(b))
            b = b - a / 7
        return a

    compiled = tg.compile(f, style="readable")
    np.testing.assert_allclose(compiled(X, X / 2), f(X, X / 2), rtol=1e-9)
    assert max(map(len, compiled.source.splitlines())) <= 88


def test_a_chain_of_a_thousand_ops_is_written() -> None:
    def f(x: Any) -> Any:
        for _ in range(1000):
            x = np.sin(x)
        return x

    compiled = tg.compile(f, style="readable")
    np.testing.assert_allclose(compiled(X), f(X), rtol=1e-12)


def test_what_is_computed_forward_is_named_as_no_cotangent() -> None:
    """The cotangent of one factor is the other one."""
    compiled = tg.compile(
        tg.value_and_grad(lambda x: tg.sum(tg.exp(x) * tg.exp(x))), style="readable"
    )
    _, gradient = compiled(X)
    np.testing.assert_allclose(gradient, 2 * np.exp(2 * X))
    assert re.search(r"t1 = np.exp\(x\) .*\n +t3 = t1 \* t1", compiled.source)


@pytest.mark.parametrize("style", ["fast", "readable"])
def test_dot_of_numbers_that_are_arrays(style: str) -> None:
    def f(x: Any) -> Any:
        return np.dot(np.sin(x), x) * np.dot(x, np.cos(x))

    compiled = tg.compile(f, style=style)
    for x in (np.array(2.0), np.array(3.0)):
        np.testing.assert_allclose(compiled(x), f(x), rtol=1e-15)


@pytest.mark.parametrize("style", ["fast", "readable"])
def test_a_number_is_no_array_of_float64(style: str) -> None:
    """For NumPy, None is equal to the dtype float64."""

    def f(x: Any, y: Any, k: Any) -> Any:
        return tg.value_and_grad(lambda x: tg.losses.mse(x, y) * k)(x)

    compiled = tg.compile(f, style=style)
    for k in (2.0, 3.0):
        value, gradient = compiled(X, X / 2, k)
        np.testing.assert_allclose(value, k * np.sum(X**2) / 24, rtol=1e-15)
        np.testing.assert_allclose(gradient, k * X / 6, rtol=1e-15)


def test_an_update_does_not_read_what_was_updated_before() -> None:
    """The transpose is written in each of its places; none may come too late."""
    rng = np.random.default_rng(0)
    a, b = (tg.Tensor(rng.random((3, 3)), requires_grad=True) for _ in "ab")
    x, old_a, old_b = rng.random((3, 3)), a.data.copy(), b.data.copy()

    def step(x: Any) -> Any:
        with tg.no_grad():
            turned, first = a.T, a[0]
            answer = tg.sum(turned @ x) + tg.sum(first * x)
            p, q, change = a, b, 2 * turned * first
            p -= x
            q -= change
        return answer

    compiled = tg.compile(step, style="readable")
    np.testing.assert_allclose(compiled(x), np.sum(old_a.T @ x) + np.sum(old_a[0] * x))
    np.testing.assert_allclose(a.data, old_a - x, rtol=1e-14)
    np.testing.assert_allclose(b.data, old_b - 2 * old_a.T * old_a[0], rtol=1e-13)


def test_what_nobody_reads_can_be_written() -> None:
    def f(x: Any) -> Any:
        np.cos(x)
        return np.sin(x)

    source = Readable(Recording(f, (X,), {}).program).source
    assert re.search(r"t1 = np.cos\(x\)", source)


# --- Small things that only the source shows ------------------------------------------


@pytest.mark.parametrize("style", ["fast", "readable"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_answers_are_numbered_where_there_are_several(n: int, style: str) -> None:
    compiled = tg.compile(
        lambda x: tuple(np.sin(x) / (k + 3) for k in range(n)), style=style
    )
    compiled(X)
    wanted = ["y"] if n == 1 else [f"y{k}" for k in range(1, n + 1)]
    assert re.findall(r"^ +(y\d*) = ", compiled.source, re.MULTILINE) == wanted
    assert f"return {', '.join(wanted)}\n" in compiled.source


def test_what_has_no_dimensions_is_computed_by_operators() -> None:
    """They are quicker than NumPy's functions, and read as one knows them."""
    compiled = tg.compile(lambda x, a: (-(x.sum() * 2), x.sum() * (a + 1.0), -x.sum()))
    for got, wanted in zip(compiled(X, 3.0), (-12.0, 24.0, -6.0), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-15)
    body = compiled.source.partition("def step")[2]
    assert re.findall(r" = (.*)", body)[1:] == ["-2.0 * t1", "(a + 1.0) * t1", "-t1"]


def test_numbers_that_are_not_those_of_arrays_need_no_call() -> None:
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    optimiser = tg.optim.SGD([w], lr=0.5)

    def step(x: Any) -> None:
        optimiser.zero_grad()
        tg.sum(0.25 * w * x).backward()
        optimiser.step()

    compiled = tg.compile(step)
    compiled(X[:2])
    np.testing.assert_allclose(w.data, [0.875, 1.75])
    assert "k1[()] = 0.25 * lr" in compiled.source
