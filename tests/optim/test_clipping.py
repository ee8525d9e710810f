"""Clipping: gradients are shortened together, and nothing else happens to them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from optimisers import shapes

import tinygrad_edu as tg
from tinygrad_edu.optim import SGD, clip_gradients

finite = st.floats(-1e150, 1e150, allow_subnormal=False)


def with_gradients(arrays):
    params = [tg.Tensor(np.zeros_like(g), requires_grad=True) for g in arrays]
    for p, g in zip(params, arrays):
        p.grad = tg.Tensor(g.copy())
    return params


def length(arrays):
    return math.hypot(*(float(x) for g in arrays for x in g.ravel()))


@given(
    st.lists(hnp.arrays(float, shapes, elements=finite), min_size=1, max_size=3),
    st.floats(1e-3, 1e9),
)
def test_gradients_are_shortened_together_if_they_are_too_long(gradients, max_norm):
    params = with_gradients(gradients)
    memory = [p.grad.data for p in params]
    norm = clip_gradients(params, max_norm)
    np.testing.assert_allclose(norm, length(gradients), rtol=1e-12)
    scale = max_norm / max(norm, max_norm)
    for p, g, array in zip(params, gradients, memory):
        assert p.grad.data is array
        np.testing.assert_allclose(array, g * scale, rtol=1e-12)
        if norm <= max_norm:
            np.testing.assert_array_equal(array, g)
    assert length(memory) <= max_norm * (1 + 1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_no_square_overflows_or_vanishes_on_the_way_to_the_length(dtype):
    for size in (np.finfo(dtype).max / 8, np.finfo(dtype).tiny * 4):
        (p,) = with_gradients([np.array([3 * size, -4 * size], dtype)])
        norm = clip_gradients([p], 1.0)
        assert norm.dtype == p.grad.dtype == dtype
        rtol = 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(norm, dtype(5 * size), rtol=rtol)
        expected = [0.6, -0.8] if size > 1 else [3 * size, -4 * size]
        np.testing.assert_allclose(p.grad.data, np.array(expected, dtype), rtol=rtol)


@pytest.mark.parametrize("zeros", [np.zeros(3), np.zeros((0, 3))])
def test_no_gradient_to_speak_of_is_left_alone(zeros):
    (p,) = with_gradients([zeros])
    assert clip_gradients([p], 1.0) == 0
    np.testing.assert_array_equal(p.grad.data, zeros)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_without_a_length_the_gradients_stay_and_the_norm_tells(bad):
    gradients = [np.array([3.0, bad]), np.array([4.0])]
    params = with_gradients(gradients)
    norm = clip_gradients(params, 1.0)
    assert np.isnan(norm) if np.isnan(bad) else np.isposinf(norm)
    for p, g in zip(params, gradients):
        np.testing.assert_array_equal(p.grad.data, g)


def test_clipping_leaves_out_parameters_without_a_gradient():
    (first, second), extra = with_gradients([np.array(3.0), np.array(4.0)]), None
    extra = tg.Tensor(1.0, requires_grad=True)
    assert clip_gradients(iter([first, extra, second]), 1.0) == 5
    assert extra.grad is None
    np.testing.assert_allclose([first.grad.item(), second.grad.item()], [0.6, 0.8])


def test_clipping_leaves_a_graph_of_gradients_whole():
    """It remembers the gradient's value, which second derivatives need."""
    w = tg.Tensor(3.0, requires_grad=True)
    (w**3).backward(create_graph=True)
    remembered = w.grad
    assert clip_gradients([w], 1.0) == 27
    assert remembered.item() == 27
    assert w.grad.item() == 1
    assert w.grad.is_leaf
    w.zero_grad()
    (remembered**2).backward()
    assert w.grad.item() == 2 * 27 * 18


def test_what_clipping_cannot_do():
    w = tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="clip_gradients: no parameter has a gradient"):
        clip_gradients([w], 1.0)
    with pytest.raises(ValueError, match="clip_gradients: there are no parameters"):
        clip_gradients([], 1.0)
    with pytest.raises(TypeError, match="clip_gradients: Linear is not a list"):
        clip_gradients(tg.nn.Linear(1, 1), 1.0)
    with pytest.raises(TypeError, match=r"clip_gradients: .* is not a leaf Tensor"):
        clip_gradients([w * 1.0], 1.0)
    for max_norm in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match=f"max_norm={max_norm} must be above 0"):
            clip_gradients([w], max_norm)


@pytest.mark.parametrize("backend", ["numpy", "readable", "numba"])
def test_clipping_in_a_compiled_step(backend):
    if backend == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
        pytest.importorskip("scipy", reason="SciPy, which it needs, is not installed")
    options = {"style": backend} if backend == "readable" else {"backend": backend}

    def training():
        w = tg.Tensor([3.0, 4.0], requires_grad=True)
        optimiser = SGD([w], lr=0.5)

        def step(x, max_norm):
            optimiser.zero_grad()
            (w * x).sum().backward()
            norm = clip_gradients(optimiser.params, max_norm)
            optimiser.step()
            return norm

        return w, step

    (w, step), (other, eager) = training(), training()
    compiled = tg.compile(step, **options)
    for x in ([3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [np.inf, 0.0], [np.nan, 1.0]):
        for max_norm in (1.0, 2.5):
            got, wanted = compiled(np.array(x), max_norm), eager(np.array(x), max_norm)
            np.testing.assert_allclose(got, wanted, rtol=1e-14)
            np.testing.assert_allclose(w.data, other.data, rtol=1e-14)
    assert len(compiled._variants) == 1
