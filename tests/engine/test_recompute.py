"""`remat`: the same derivatives, and less memory."""

import tracemalloc

import numpy as np
import pytest
from leaves import leaf
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_edu as tg


def test_derivatives_are_the_same_in_every_mode_and_order(rng):
    w = rng.standard_normal((3, 3))

    def f(x):
        h = np.tanh(x @ w)
        return {"product": h * x, "others": (np.sum(h), x, None, "kept")}

    def loss(f):
        def of(x):
            y = f(x)
            total, same, *rest = y["others"]
            assert rest == [None, "kept"]
            return np.sum(y["product"] ** 2) * total + np.sum(same) ** 2

        return of

    x = rng.standard_normal(3)
    plain, recomputed = loss(f), loss(tg.remat(f))
    assert recomputed(x) == plain(x)
    assert_allclose(tg.grad(recomputed)(x), tg.grad(plain)(x), rtol=1e-13)
    assert_allclose(tg.hessian(recomputed)(x), tg.hessian(plain)(x), rtol=1e-12)
    for mode in ("forward", "reverse"):
        slopes = [tg.jacobian(g, mode=mode)(x) for g in (recomputed, plain)]
        assert_allclose(*slopes, rtol=1e-12)
    third = [tg.jacobian(tg.hessian(g))(x) for g in (recomputed, plain)]
    assert_allclose(*third, rtol=1e-11, atol=1e-12)


def test_gradients_reach_arguments_and_closures(rng):
    w, x = leaf(rng.standard_normal((2, 2))), leaf(rng.standard_normal(2))
    inside = w * 2.0  # a closure that is no leaf
    c = rng.standard_normal(2)

    def f(x, scale):
        return np.sin(inside @ x) * scale

    f(x, 3.0).backward(c, retain_graph=True)
    expected = w.grad.data, x.grad.data
    w.zero_grad(), x.zero_grad()
    tg.remat(f)(x, scale=3.0).backward(c)
    assert_array_equal(w.grad.data, expected[0])
    assert_array_equal(x.grad.data, expected[1])


def test_it_nests(rng):
    x = rng.standard_normal(3)
    inner = tg.remat(np.sin)
    outer = tg.remat(lambda x: np.sum(inner(inner(x)) ** 2))
    expected = tg.grad(lambda x: np.sum(np.sin(np.sin(x)) ** 2))(x)
    assert_allclose(tg.grad(outer)(x), expected)


def test_dtypes_are_kept():
    f = tg.remat(lambda a, b: (a * 2.0, b * 3.0))
    a, b = leaf(np.float32([1, 2])), leaf(np.float64([3]))
    y, z = f(a, b)
    assert (y.dtype, z.dtype) == (np.float32, np.float64)
    (np.sum(y) + np.sum(z)).backward()
    assert_array_equal(a.grad.data, np.float32([2, 2]), strict=True)
    assert_array_equal(b.grad.data, np.float64([3]), strict=True)


def test_what_needs_no_gradient_is_just_computed():
    f = tg.remat(lambda x: x + 1)
    assert f(1.0) == 2.0
    assert f(tg.Tensor(1.0)).is_leaf
    with tg.no_grad():
        assert f(leaf(1.0)).is_leaf
    x = leaf(1.0)
    assert tg.remat(lambda: x)() is x


def test_it_runs_once_forward_and_once_for_each_way_back():
    runs = []

    @tg.remat
    def f(x, y):
        runs.append(None)
        return x * y, x + y

    x, y = leaf(2.0), leaf(3.0)
    a, b = f(x, y)
    assert len(runs) == 1
    (a * b).backward(retain_graph=True)
    assert len(runs) == 2
    (a * b).backward()
    assert len(runs) == 3
    assert (x.grad.item(), y.grad.item()) == (2 * 21, 2 * 16)


def test_memory_is_that_of_the_answers():
    def step(x):
        for _ in range(10):
            x = np.sin(x)
        return x

    def peak(step):
        x = leaf(np.ones(100_000))
        tracemalloc.start()
        y = x
        for _ in range(10):
            y = step(y)
        y.backward(np.ones(100_000))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most / x.data.nbytes

    assert peak(step) > 100
    assert peak(tg.remat(step)) < 30


def test_a_function_that_gives_another_answer_is_found_out():
    rng = np.random.default_rng(0)
    y = tg.remat(lambda x: x * rng.random())(leaf(2.0))
    with pytest.raises(ValueError, match=r"^remat: .*it must not draw random numbers"):
        y.backward()


def test_debug_names_it():
    with tg.debug():
        y = tg.remat(lambda x: x * 2.0)(leaf([1.0]))
    y.data[0] = 5.0
    with pytest.raises(ValueError, match="remat: its result was changed"):
        y.backward([1.0])


def test_checkpoint_is_another_name_and_says_so(rng):
    assert "alias of `remat`" in tg.checkpoint.__doc__
    runs = []

    def f(x):
        runs.append(None)
        return np.sum(np.sin(x) ** 2)

    x = rng.standard_normal(3)
    assert_array_equal(tg.grad(tg.checkpoint(f))(x), tg.grad(tg.remat(f))(x))
    assert len(runs) == 4, "each runs once forward and once on the way back"
