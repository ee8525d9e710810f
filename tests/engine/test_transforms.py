"""Transforms: derivatives of plain NumPy functions, nested in any order and depth."""

import math
import re
import threading
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaves import leaf
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_edu as tg
from tinygrad_edu import Tensor

numbers = st.floats(-2, 2)


def network(x, w):
    """A function of two arrays that is not symmetric in anything."""
    return np.tanh(x @ w) * np.exp(-0.5 * x[..., :1])


# --- What comes out -------------------------------------------------------------------


@given(numbers)
def test_derivatives_of_every_order(x):
    f = tg.grad
    assert_allclose(f(np.sin)(x), math.cos(x))
    assert_allclose(f(f(np.sin))(x), -math.sin(x), atol=1e-15)
    assert_allclose(f(f(f(np.sin)))(x), -math.cos(x), atol=1e-15)
    assert_allclose(f(f(f(f(np.sin))))(x), math.sin(x), atol=1e-15)


def test_arrays_come_out_at_top_level():
    w = leaf([1.0, 2.0])  # that the function closes over a Tensor makes no difference
    value, g = tg.value_and_grad(lambda x: np.sum(w * x**2))(np.array([1.0, 3.0]))
    for array, expected in ((value, 19.0), (g, [2.0, 12.0])):
        assert type(array) is np.ndarray
        assert_array_equal(array, expected)
    assert w.grad is None


def test_tensors_come_out_for_tensors_and_can_be_differentiated(rng):
    x, w = leaf([1.0, 3.0]), leaf([1.0, 2.0])
    g = tg.grad(lambda x: np.sum(w * x**2))(x)
    assert isinstance(g, Tensor)
    assert_array_equal(g.data, [2, 12])
    np.sum(g**2).backward()  # g = 2 w x
    assert_array_equal(w.grad.data, 8 * w.data * x.data**2)
    assert_array_equal(x.grad.data, 8 * w.data**2 * x.data)


def test_a_constant_tensor_gives_what_depends_on_the_closure():
    """The gradient penalty: by the input first, then by the weights."""
    w = leaf([1.0, 2.0])
    g = tg.grad(lambda x: np.sum(w * x**2))(Tensor([1.0, 3.0]))
    np.sum(g).backward()
    assert_array_equal(w.grad.data, [2, 6])


def test_under_no_grad_tensors_are_constants():
    x = leaf([1.0, 3.0])
    with tg.no_grad():
        value, g = tg.value_and_grad(lambda x: np.sum(x**2))(x)
        y, pullback = tg.vjp(lambda x: x**2, x)
        (cotangent,) = pullback(np.array([1.0, 1.0]))
    for t, expected in ((value, 10), (g, [2, 6]), (y, [1, 9]), (cotangent, [2, 6])):
        assert isinstance(t, Tensor)
        assert not t.requires_grad
        assert_array_equal(t.data, expected)


def test_what_no_grad_hides_within_a_function_is_constant():
    def f(x):
        with tg.no_grad():
            slope = tg.grad(lambda y: y**3)(x)
        return slope * x

    assert_allclose(tg.grad(f)(2.0), 12)  # and not 36


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_dtype_is_kept(dtype):
    x = np.array([1.0, 2.0], dtype)
    value, g = tg.value_and_grad(lambda x: np.sum(x * x))(x)
    assert value.dtype == g.dtype == dtype
    assert tg.jacobian(np.sin)(x).dtype == dtype
    assert tg.jacobian(np.sin, mode="forward")(x).dtype == dtype
    assert tg.hessian(lambda x: np.sum(x**3))(x).dtype == dtype
    y, tangent = tg.jvp(np.sin, (x,), ([1.0, 0.0],))
    assert y.dtype == tangent.dtype == dtype


def test_gradients_share_memory_with_nothing():
    x, seed = np.ones(3), np.ones(3)
    _, pullback = tg.vjp(lambda x: x, x)
    (g,) = pullback(seed)
    assert not np.shares_memory(g, seed)
    assert not np.shares_memory(g, x)
    first, second = tg.grad(lambda a, b: np.sum(a + b), (0, 1))(x, x)
    assert not np.shares_memory(first, second)


def test_what_is_passed_in_is_not_changed(rng):
    x = rng.standard_normal(3)
    before = x.copy()
    tg.grad(lambda x: np.sum(x**2))(x)
    tg.hessian(lambda x: np.sum(x**2))(x)
    assert_array_equal(x, before)


# --- Arguments ------------------------------------------------------------------------


def test_argnums():
    def f(a, b, c, scale=1.0):
        return scale * a * b**2 * c**3

    args = (2.0, 3.0, 5.0)
    by_a, by_b, by_c = 9 * 125, 2 * 6 * 125, 2 * 9 * 75
    assert tg.grad(f)(*args) == by_a
    assert tg.grad(f, 1)(*args) == by_b
    assert tg.grad(f, argnums=-1)(*args) == by_c
    assert tg.grad(f, (2, 0))(*args) == (by_c, by_a)
    assert tg.grad(f, [1])(*args) == (by_b,)
    assert tg.grad(f, 2)(*args, scale=10.0) == 10 * by_c
    assert tg.value_and_grad(f, (0, 1))(*args) == (2250, (by_a, by_b))


Point = namedtuple("Point", "x y")


def test_nested_structures():
    def f(p, q):
        return p["w"][0] * p["w"][1] ** 2 + np.sum(p["b"] * q.x) + q.y[0]

    b = np.array([1.0, 2.0])
    p = {"w": [2.0, 3.0], "b": b, "none": None}
    q = Point(np.array([3.0, 4.0]), (5.0,))
    by_p, by_q = tg.grad(f, (0, 1))(p, q)
    assert by_p.keys() == p.keys()
    assert (by_p["w"], by_p["none"]) == ([9, 12], None)
    assert_array_equal(by_p["b"], q.x)
    assert type(by_q) is Point
    assert_array_equal(by_q.x, b)
    assert by_q.y == (1,)


@dataclass(frozen=True)
class Layer:
    weight: Any
    bias: Any


def test_a_dataclass_of_parameters(rng):
    def z(layer, x):
        return x @ layer.weight.T + layer.bias

    def f(layers, x, c):
        return np.sum(c * np.tanh(z(layers[1], z(layers[0], x))))

    draw = rng.standard_normal
    layers = [Layer(draw((4, 3)), draw(4)), Layer(draw((2, 4)), draw(2))]
    x, c = draw((5, 3)), draw((5, 2))
    as_lists = [[layer.weight, layer.bias] for layer in layers]
    expected = tg.grad(lambda p: f([Layer(*part) for part in p], x, c))(as_lists)
    for derivative in tg.grad(f), tg.compile(tg.grad(f)), tg.grad(tg.remat(f)):
        for _ in range(2):
            found = derivative(layers, x, c)
            assert [type(part) for part in found] == [Layer, Layer]
            for layer, (weight, bias) in zip(found, expected):
                assert_allclose(layer.weight, weight, rtol=1e-12)
                assert_allclose(layer.bias, bias, rtol=1e-12)
    y, slope = tg.jvp(lambda p: f(p, x, c), (layers,), (found,))
    assert_allclose(y, f(layers, x, c))
    assert_allclose(slope, sum(np.sum(g**2) for pair in expected for g in pair))
    with pytest.raises(ValueError, match="expected one Layer, got a list of 2"):
        tg.jvp(lambda p: f(p, x, c), (layers,), (as_lists,))
    with pytest.raises(TypeError, match="a single number has a gradient"):
        tg.grad(lambda p: p)(layers[0])


def test_a_dataclass_is_an_argument_of_a_compiled_step():
    step = tg.compile(lambda p, x: Layer(p.weight - 0.1 * x, p.bias * 2.0))
    first = step(Layer(np.ones(2), 3.0), np.array([1.0, 2.0]))
    assert_allclose(first.weight, [0.9, 0.8])
    second = step(Layer(first.weight, 5.0), np.array([1.0, 2.0]))
    assert_allclose(second.weight, [0.8, 0.6])
    assert float(second.bias) == 10


def test_structures_in_both_directions():
    def f(p):
        return {"sum": p[0] + p[1], "product": (p[0] * p[1],)}

    y, tangent = tg.jvp(f, ([2.0, 3.0],), ([1.0, 10.0],))
    assert (y, tangent) == (
        {"sum": 5, "product": (6,)},
        {"sum": 11, "product": (23,)},
    )
    y, pullback = tg.vjp(f, [2.0, 3.0])
    assert pullback({"product": (10.0,), "sum": 1.0}) == ([31, 21],)
    jacobian = tg.jacobian(f)([2.0, 3.0])
    assert jacobian == {"sum": [1, 1], "product": ([3, 2],)}
    assert tg.jacobian(f, mode="forward")([2.0, 3.0]) == jacobian
    h = tg.hessian(lambda p: p["a"] ** 2 * p["b"])({"a": 2.0, "b": 3.0})
    assert h == {"a": {"a": 6, "b": 4}, "b": {"a": 4, "b": 0}}
    h = tg.hessian(lambda a, b: a**2 * b, (0, 1))(2.0, 3.0)
    assert h == ((6, 4), (4, 0))


def test_aux():
    def f(x):
        return np.sum(x**2), {"x": x, "text": "kept", "twice": [2 * x]}

    x = np.array([1.0, 3.0])
    g, aux = tg.grad(f, has_aux=True)(x)
    (value, same), also = tg.value_and_grad(f, has_aux=True)(x)
    assert value == 10
    assert_array_equal(g, [2, 6])
    assert_array_equal(also, g)
    for found in (aux, same):
        assert found["text"] == "kept"
        assert type(found["x"]) is np.ndarray
        assert_array_equal(found["twice"][0], [2, 6])
    y, pullback, aux = tg.vjp(f, x, has_aux=True)
    assert_array_equal(pullback(1.0)[0], g)
    y, tangent, aux = tg.jvp(f, (x,), (x,), has_aux=True)
    assert (y, tangent, aux["text"]) == (10, 20, "kept")
    jacobian, aux = tg.jacobian(f, has_aux=True)(x)
    assert_array_equal(jacobian, g)
    hessian, aux = tg.hessian(f, has_aux=True)(x)
    assert_array_equal(hessian, 2 * np.eye(2))
    assert aux["text"] == "kept"


def test_a_structure_without_arrays_has_none_in_its_gradient():
    assert tg.grad(lambda x: 1.0)([]) == []
    assert tg.grad(lambda x, y: y**2, argnums=(0, 1))({"w": ()}, 3.0) == ({"w": ()}, 6)


def test_what_the_answer_does_not_depend_on_has_zeros():
    x = np.ones((2, 3), np.float32)
    for f in (lambda x: 1.0, lambda x: 3, lambda x: np.float32(2), lambda x: leaf(1.0)):
        _, g = tg.value_and_grad(f)(x)
        assert_array_equal(g, np.zeros((2, 3), np.float32), strict=True)
    outside = leaf([2.0])
    assert tg.grad(lambda x: outside)(1.0) == 0
    _, tangent = tg.jvp(lambda x: np.ones(3), (x,), (x,))
    assert_array_equal(tangent, np.zeros(3))
    assert_array_equal(tg.jacobian(lambda x: np.ones(2))(1.0), [0, 0])
    (g,) = tg.vjp(lambda x: np.ones(3), x)[1](np.ones(3))
    assert_array_equal(g, 0 * x)


def test_the_identity_and_an_answer_that_comes_twice():
    x = np.array([1.0, 2.0])
    assert tg.grad(lambda x: x)(3.0) == 1
    assert_array_equal(tg.jacobian(lambda x: x)(x), np.eye(2))
    _, tangent = tg.jvp(lambda x: (x, x), (x,), (x,))
    assert_array_equal(tangent, (x, x))

    def twice(x):
        y = x * x
        return y, y

    _, pullback = tg.vjp(twice, x)
    assert_array_equal(pullback((x, 10 * x))[0], 2 * x * 11 * x)


def test_a_function_keeps_its_name_and_parameters():
    def energy(x, mass=1.0):
        """What it costs."""
        return mass * x**2 / 2

    force = tg.grad(energy)
    assert force.__name__ == "gradient_of_energy"
    assert force.__wrapped__ is energy
    assert "What it costs." in force.__doc__
    assert tg.hessian(energy).__name__ == "Hessian_of_energy"
    assert tg.jacobian(np.sin)(0.0) == 1


def test_ways_to_pass_primals():
    x, v = np.array([1.0, 2.0]), np.array([1.0, 0.0])
    for primals, tangents in [((x,), (v,)), ([x], [v]), (x, v)]:
        _, tangent = tg.jvp(np.square, primals, tangents)
        assert_array_equal(tangent, [2, 0])
        product = tg.hvp(lambda x: np.sum(x**3), primals, tangents)
        assert_array_equal(product, [6, 0])


# --- Nesting --------------------------------------------------------------------------


def test_inner_and_outer_perturbations_are_not_confused():
    """The examples of J. Siskind, B. Pearlmutter, "Perturbation confusion", 2005."""
    d = tg.grad
    assert d(lambda x: x * d(lambda y: x + y)(1.0))(1.0) == 1
    assert d(lambda x: x * d(lambda y: x * y)(2.0))(3.0) == 6
    assert d(lambda x: x * d(lambda y: y * x)(x))(5.0) == 10
    assert d(lambda x: d(lambda y: y**2 * x)(x) + x)(3.0) == 13  # 2 x^2 + x

    def forward(f):
        return lambda x: tg.jvp(f, (x,), (1.0,))[1]

    for outer in (d, forward):
        for inner in (d, forward):
            assert outer(lambda x, i=inner: x * i(lambda y: x + y)(1.0))(1.0) == 1
            assert outer(lambda x, i=inner: x * i(lambda y: x * y)(x))(3.0) == 6
            assert outer(inner(lambda x: x**3))(2.0) == 12


@settings(deadline=None)
@given(numbers, st.lists(st.sampled_from(["grad", "jvp", "jacobian"]), max_size=4))
def test_transforms_nest_in_any_order(x, transforms):
    f, order = (lambda x: np.exp(0.5 * x) * x), len(transforms)
    for transform in transforms:
        if transform == "jvp":
            f = lambda x, f=f: tg.jvp(f, (x,), (1.0,))[1]  # noqa: E731
        else:
            f = getattr(tg, transform)(f)
    expected = 0.5**order * math.exp(0.5 * x) * (x + 2 * order)
    assert_allclose(Tensor(f(x)).data, expected, rtol=1e-12, atol=1e-12)


def test_an_inner_gradient_step_is_differentiated(rng):
    """Learning to learn: by the starting point, through a step of gradient descent."""
    x, start = rng.standard_normal(4), rng.standard_normal(4)

    def loss(w):
        return np.sum((w * x - 1) ** 2)

    def after_a_step(w):
        return loss(w - 0.1 * tg.grad(loss)(w))

    step = 1e-6
    expected = [
        (after_a_step(start + e) - after_a_step(start - e)) / (2 * step)
        for e in step * np.eye(4)
    ]
    assert_allclose(tg.grad(after_a_step)(start), expected, rtol=1e-6)


def test_an_answer_that_is_older_than_the_inner_variable_is_constant():
    def f(x):
        y = x * x
        return y + tg.grad(lambda z: y)(2.0)

    assert tg.grad(f)(3.0) == 6


def test_nested_derivatives_by_a_closure_that_only_the_inner_one_sees():
    def f(x):
        g = tg.grad(lambda y: np.sin(x * y))(2.0)  # x cos(2 x)
        assert isinstance(g, Tensor)
        return g

    assert_allclose(tg.grad(f)(0.3), math.cos(0.6) - 0.6 * math.sin(0.6))


def test_a_pullback_is_differentiated_by_its_cotangent(rng):
    x, c, v = rng.standard_normal((3, 4))
    _, pullback = tg.vjp(lambda x: np.sin(x) ** 2, x)
    g = tg.grad(lambda c: np.sum(pullback(c)[0] * v))(c)
    assert_allclose(g, np.sin(2 * x) * v)
    c = leaf(c)
    (cotangent,) = pullback(c)
    np.sum(cotangent * v).backward()
    assert_allclose(c.grad.data, np.sin(2 * x) * v)


def test_tangents_are_differentiated_by(rng):
    x, v = rng.standard_normal((2, 4))
    g = tg.grad(lambda v: np.sum(tg.jvp(np.sin, (x,), (v,))[1] ** 2))(v)
    assert_allclose(g, 2 * np.cos(x) ** 2 * v)


def test_backward_within_a_function_that_is_differentiated():
    w = leaf(3.0)

    def f(x):
        (w * x).backward()
        return x**2

    assert tg.grad(f)(2.0) == 4
    assert w.grad.item() == 2


def test_each_thread_has_its_own_nesting():
    inside, done = threading.Event(), threading.Event()
    kinds = []

    def f(x):
        inside.set()
        done.wait(10)
        return x * x

    thread = threading.Thread(target=lambda: tg.grad(f)(3.0))
    thread.start()
    inside.wait(10)
    kinds.append(type(tg.grad(lambda x: x * x)(3.0)))
    done.set()
    thread.join()
    assert kinds == [np.ndarray]


def test_an_error_within_a_function_leaves_nothing_behind():
    with pytest.raises(ZeroDivisionError):
        tg.grad(lambda x: 1 / 0)(1.0)
    assert type(tg.grad(lambda x: x * x)(3.0)) is np.ndarray


# --- Products with the Jacobian and the Hessian ---------------------------------------


def test_forward_and_reverse_agree_with_differences(rng):
    x, w = rng.standard_normal((2, 3)), rng.standard_normal((3, 2))
    v, u = rng.standard_normal((2, 3)), rng.standard_normal((3, 2))
    y, pullback = tg.vjp(network, x, w)
    same, tangent = tg.jvp(network, (x, w), (v, u))
    assert_array_equal(y, network(x, w))
    assert_array_equal(same, y)
    h = 1e-6
    ahead, behind = network(x + h * v, w + h * u), network(x - h * v, w - h * u)
    assert_allclose(tangent, (ahead - behind) / (2 * h), rtol=1e-7, atol=1e-9)
    c = rng.standard_normal(y.shape)
    by_x, by_w = pullback(c)
    assert_allclose(np.vdot(by_x, v) + np.vdot(by_w, u), np.vdot(c, tangent))


def test_jacobians_of_every_shape(rng):
    x, w = rng.standard_normal((2, 3)), rng.standard_normal((3, 2))
    reverse = tg.jacobian(network, (0, 1), mode="reverse")(x, w)
    forward = tg.jacobian(network, (0, 1), mode="forward")(x, w)
    chosen = tg.jacobian(network, (0, 1))(x, w)
    for r, f, c, shape in zip(reverse, forward, chosen, [(2, 3), (3, 2)], strict=True):
        assert r.shape == (2, 2, *shape)
        assert_allclose(f, r, rtol=1e-12, atol=1e-14)
        assert_allclose(c, r, rtol=1e-12, atol=1e-14)
    _, tangent = tg.jvp(network, (x, w), (x, w))
    contracted = np.tensordot(reverse[0], x) + np.tensordot(reverse[1], w)
    assert_allclose(tangent, contracted)
    assert tg.jacobian(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert tg.jacobian(lambda x: np.sum(x))(np.ones((0, 2))).shape == (0, 2)
    assert tg.jacobian(np.sum)(np.ones(2)).shape == (2,)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 100), (100, 1)])
def test_the_mode_is_chosen_by_shape(inputs, outputs, monkeypatch):
    """As many pull-backs are made as the shorter way takes."""
    calls = []
    from tinygrad_edu.engine import transforms

    def counted(*args):
        calls.append(args)
        return pull_back(*args)

    pull_back = transforms.pull_back
    monkeypatch.setattr(transforms, "pull_back", counted)
    w = np.ones((inputs, outputs))
    assert_array_equal(tg.jacobian(lambda x: x @ w)(np.ones(inputs)), w.T)
    assert len(calls) <= 3


def test_hessians(rng):
    x = rng.standard_normal(3)
    w = rng.standard_normal((3, 3))

    def f(x):
        return np.sum(np.exp(w @ x))

    h = tg.hessian(f)(x)
    assert_allclose(h, w.T @ np.diag(np.exp(w @ x)) @ w)
    v = rng.standard_normal(3)
    assert_allclose(tg.hvp(f, (x,), (v,)), h @ v)
    assert_allclose(tg.jvp(tg.grad(f), (x,), (v,))[1], h @ v)
    assert_allclose(tg.grad(lambda x: np.vdot(tg.grad(f)(x), v))(x), h @ v)
    third = tg.jacobian(tg.hessian(f))(x)
    assert_allclose(third, np.einsum("i,ia,ib,ic->abc", np.exp(w @ x), w, w, w))


def test_hvp_of_several_arguments(rng):
    a, b, u, v = rng.standard_normal((4, 3))

    def f(a, b):
        return np.sum(np.sin(a) * b**2)

    (aa, ab), (ba, bb) = tg.hessian(f, (0, 1))(a, b)
    by_a, by_b = tg.hvp(f, (a, b), (u, v))
    assert_allclose(by_a, aa @ u + ab @ v)
    assert_allclose(by_b, ba @ u + bb @ v)


# --- Errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tg.grad(np.sin)(np.ones(2)), r"float64 \(2,\), and only a single num"),
        (lambda: tg.grad(lambda x: None)(1.0), r"None \(is there a return\?\)"),
        (lambda: tg.grad(lambda x: [x])(1.0), "only a single number"),
        (lambda: tg.grad(np.argmax)(np.ones(3)), r"returned int64 \(\), and integers"),
        (lambda: tg.grad(lambda x: x > 0)(1.0), r"returned bool \(\), .* no deriv"),
        (lambda: tg.value_and_grad(lambda x: Tensor(1))(1.0), r"returned int64 \(\)"),
        (lambda: tg.grad(lambda x: "y")(1.0), "returned 'y'"),
        (lambda: tg.grad(lambda x: {})(1.0), "returned {}"),
        (lambda: tg.grad(lambda x: [x] * 1000)(1.0), "returned .{99,100}, and only"),
        (lambda: tg.grad(np.sin)(3), "to 3, since only floats .* pass 3.0 instead"),
        (lambda: tg.grad(np.sum)(np.arange(3)), r"to int64 \(3,\), .*astype\(float\)"),
        (lambda: tg.grad(np.sum)(Tensor([1, 2])), r"to int64 \(2,\)"),
        (
            lambda: tg.grad(np.sum)({"a": "b"}),
            "to 'b', .* pass it as an argument of its",
        ),
        (lambda: tg.grad(np.sin)(1j), "only floats"),
        (lambda: tg.grad(np.sin)(), "argnums is 0, but the call has 0 positional"),
        (lambda: tg.grad(np.sin, 1)(1.0), "argnums is 1, but the call has 1"),
        (lambda: tg.grad(np.sin, (0, -2))(1.0), r"argnums is \(0, -2\)"),
        (lambda: tg.grad(np.sin, has_aux=True)(1.0), "must return a pair"),
    ],
)
def test_type_errors(call, message):
    with pytest.raises(TypeError, match=f"grad: .*{message}"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tg.jvp(np.sin, (np.ones(3),), (np.ones(2),)),
            r"jvp: the tangent is float64 \(2,\), but it belongs to float64 \(3,\)",
        ),
        (
            lambda: tg.jvp(np.sin, (1.0,), (1.0, 2.0)),
            "jvp: in the tangent, expected a tuple of 1, got a tuple of 2",
        ),
        (
            lambda: tg.vjp(np.sin, np.ones(3))[1](1.0),
            r"vjp: the cotangent is 1.0, but it belongs to float64 \(3,\); their",
        ),
        (
            lambda: tg.vjp(lambda x: (x, x), 1.0)[1](1.0),
            "vjp: in the cotangent, expected a tuple of 2, got one float",
        ),
        (
            lambda: tg.jacobian(np.sin, mode="backward")(1.0),
            "jacobian: mode must be .*, not 'backward'",
        ),
    ],
)
def test_value_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- What would lose a derivative without a word --------------------------------------


def into_an_array(x):
    a = np.zeros(3)
    a[0] = x
    return np.sum(a)


@pytest.mark.parametrize(
    "f",
    [into_an_array, lambda x: x * math.sin(x), lambda x: x * int(x)],
    ids=["an array's element", "math.sin", "int"],
)
def test_a_python_number_is_refused_where_it_would_lose_the_derivative(f):
    with pytest.raises((TypeError, ValueError)) as caught:
        tg.grad(f)(1.5)
    cause = caught.value.__cause__ or caught.value
    assert re.match(
        r"(float|int): a Python number has no derivative|setitem: .* is a plain number",
        str(cause),
    )


def test_the_plain_value_can_be_had_all_the_same():
    seen = []
    slope = tg.grad(lambda x: (seen.append(x.item()), x * float(x.detach()))[1])(1.5)
    assert (slope, seen) == (1.5, [1.5])


# --- What is no function, and what is constant ----------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda loss, w: tg.grad(loss, w), "grad: .* is of type Tensor; .* w.grad"),
        (
            lambda loss, w: tg.value_and_grad(loss),
            "value_and_grad: .* must be a function",
        ),
        (lambda loss, w: tg.vjp(loss, w), "vjp: the first argument must be a function"),
        (lambda loss, w: tg.jvp(loss, w, 1.0), "jvp: .* must be a function"),
        (lambda loss, w: tg.jacobian(3), "jacobian: .* is of type int"),
        (lambda loss, w: tg.hessian(None), "hessian: .* is of type NoneType"),
        (lambda loss, w: tg.hvp(loss, w, 1.0), "hvp: .* must be a function"),
        (lambda loss, w: tg.remat(loss), "remat: .* must be a function"),
        (lambda loss, w: tg.compile(loss), "compile: .* is of type Tensor"),
        (lambda loss, w: tg.grad(np.sin, w), r"grad: argnums must be .* float64 \(\)"),
        (lambda loss, w: tg.jacobian(np.sin, "x"), "jacobian: argnums .*later"),
    ],
)
def test_a_transform_takes_a_function_and_numbers_of_arguments(call, message):
    w = tg.Tensor(2.0, requires_grad=True)
    with pytest.raises(TypeError, match=message):
        call(w * w, w)


def test_an_inner_gradient_that_nothing_else_goes_into_is_a_constant():
    """So a solver from elsewhere may ask for its numbers."""
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is not installed")

    def distance(x):
        return np.sum((x - 3.0) ** 2)

    def f(a):
        gradient = tg.grad(distance)(np.zeros(2))
        assert not gradient.requires_grad
        assert float(gradient[0]) == -6.0
        value, pullback = tg.vjp(distance, np.zeros(2))
        assert not value.requires_grad
        assert not pullback(1.0)[0].requires_grad
        found = optimize.minimize(distance, np.zeros(2), jac=tg.grad(distance))
        return a * found.x[0]

    np.testing.assert_allclose(tg.grad(f)(5.0), 3.0, rtol=1e-6)


def test_an_inner_gradient_that_the_outer_argument_goes_into_is_not(rng):
    x = rng.standard_normal(3)

    def f(a):
        gradient = tg.grad(lambda x: np.sum(a * x**2))(x)  # 2 a x
        with pytest.raises(TypeError, match="float: a Python number has no derivative"):
            float(gradient[0])
        return np.sum(gradient * x)

    np.testing.assert_allclose(tg.grad(f)(2.0), 2 * np.sum(x * x))


def test_an_inner_gradient_of_a_captured_parameter_is_recorded():
    w = tg.Tensor(3.0, requires_grad=True)
    tg.grad(lambda a: a * tg.grad(lambda x: w * x * x)(2.0))(1.0)
    gradient = tg.grad(lambda x: w * x * x)(tg.Tensor(2.0))  # 2 w x
    gradient.backward()
    assert w.grad.item() == 4.0


def test_a_constant_tensor_gives_a_constant_gradient():
    gradient = tg.grad(lambda x: x**3)(tg.Tensor(2.0))
    assert gradient.item() == 12.0
    assert not gradient.requires_grad


def test_an_argument_is_not_written_to():
    def f(x):
        x *= 2.0
        x += 1.0
        return np.sum(x * x)

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(tg.grad(f)(x), 4 * (2 * x + 1))
    t = tg.Tensor(x, requires_grad=True)
    np.testing.assert_allclose(tg.grad(f)(t).data, 4 * (2 * x + 1))
    assert x.tolist() == t.data.tolist() == [1.0, 2.0]


def test_a_rule_that_gives_a_tensor_gives_an_array_to_the_caller():
    @tg.op(signature="()->()")
    def doubled(x):
        return 2.0 * x

    doubled.vjp(x=lambda g, y, x: tg.Tensor(2.0 * g))
    gradient = tg.grad(lambda x: np.sum(doubled(x)))(np.ones(3))
    assert type(gradient) is np.ndarray
    assert gradient.tolist() == [2.0, 2.0, 2.0]
    w = tg.Tensor([1.0], requires_grad=True)
    for _ in range(2):
        doubled(w).sum().backward()
    assert type(w.grad.data) is np.ndarray
    assert w.grad.data.tolist() == [4.0]


@pytest.mark.parametrize("f", [np.argsort, lambda x: (x, x > 0), np.isfinite])
def test_positions_and_comparisons_have_no_jacobian(f, rng):
    with pytest.raises(TypeError, match=r"jacobian: .* integers, .* no derivative"):
        tg.jacobian(f)(rng.standard_normal(3))


def test_a_constant_has_a_jacobian_of_zeros():
    assert tg.jacobian(lambda x: (3, 2.5))(1.0) == (0.0, 0.0)
