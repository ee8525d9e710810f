"""Per-example gradients and Jacobians by `vmap`: first equal, then timed.

    pytest tests/benchmarks/test_vmap.py

As in `test_side_by_side.py`: that all agree is asserted, times are printed.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from turns import time_in_turn

import tinygrad_edu as tg
from tinygrad_edu.engine import transforms

jax = pytest.importorskip("jax", reason="JAX is not installed")

SIZES, BATCH = [784, 30, 10], 128
BATCH_GRADIENT, WRITING = "batch gradient", "writing the result"


@pytest.fixture(scope="module")
def results(report):
    """Filled by the tests, printed when the last one is done."""
    np.empty(1 << 22)  # so that the C library keeps what it is given back
    lines = []
    yield lines
    report += ["", *lines]


def table(title, base, steps, results, rounds=30):
    times, _ = time_in_turn({title: steps}, rounds)
    results.append(f"{title}, as times of: {base}")
    for name, of in times[title].items():
        ratio = np.median(of / times[title][base])
        results.append(f"    {name:<34}{np.median(of):>10.0f} us{ratio:>8.2f}")


def loss(params, x, y, sigmoid=tg.sigmoid, np=np):
    w1, b1, w2, b2 = params
    a2 = sigmoid(w2 @ sigmoid(w1 @ x + b1) + b2)
    return np.sum((a2 - y) ** 2) / 2


def loss_of_batch(params, x, y):
    w1, b1, w2, b2 = params
    a2 = tg.sigmoid(tg.linear(tg.sigmoid(tg.linear(x, w1, b1)), w2, b2))
    return np.sum((a2 - y) ** 2) / 2


def test_per_example_gradients_agree_and_are_timed(results):
    rng = np.random.default_rng(0)
    (n, h, o), kind = SIZES, np.float32
    params = [rng.standard_normal(s, kind) / 8 for s in ((h, n), (h,), (o, h), (o,))]
    x, y = rng.random((BATCH, n), kind), rng.random((BATCH, o), kind)

    def loss_in_jax(params, x, y):
        return loss(params, x, y, jax.nn.sigmoid, jax.numpy)

    one, each = tg.grad(loss), tg.vmap(tg.grad(loss), (None, 0, 0))
    in_jax = jax.jit(jax.vmap(jax.grad(loss_in_jax), (None, 0, 0)))
    of_batch, compiled = tg.grad(loss_of_batch), tg.compile(each)
    whole = np.empty((BATCH, sum(p.size for p in params)), kind)
    steps = {
        BATCH_GRADIENT: lambda: of_batch(params, x, y),
        "a loop over the examples": lambda: [
            np.stack(of_all) for of_all in zip(*(one(params, *xy) for xy in zip(x, y)))
        ],
        "vmap": lambda: each(params, x, y),
        "vmap, compiled": lambda: compiled(params, x, y),
        "JAX jit": lambda: jax.block_until_ready(in_jax(params, x, y)),
    }
    sums, *per_example = (step() for step in steps.values())
    for gradients in per_example:
        for g, total, first in zip(gradients, sums, per_example[0], strict=True):
            assert g.dtype == kind
            assert_allclose(np.sum(g, axis=0), total, rtol=1e-3, atol=1e-4)
            assert_allclose(g, first, rtol=1e-3, atol=1e-5)
    steps[WRITING] = lambda: whole.fill(1)
    title = f"{SIZES}, gradients of {BATCH} examples"
    table(title, BATCH_GRADIENT, steps, results)


@pytest.mark.parametrize("n", [10, 100])
def test_jacobians_agree_and_are_timed(n, results, monkeypatch):
    rng = np.random.default_rng(0)
    a, x = rng.standard_normal((n, n)) / n**0.5, rng.standard_normal(n)

    def f(x, np=np):
        return np.tanh(a @ np.tanh(a @ x))

    def one_by_one(derivative):
        def derive():
            with monkeypatch.context() as patch:
                patch.setattr(transforms, "ELEMENTS", 1)
                return derivative(x)

        return derive

    in_jax = jax.jit(jax.jacobian(lambda x: f(x, jax.numpy)))
    jacobian, hessian = tg.jacobian(f), tg.hessian(lambda x: np.sum(f(x) ** 2))
    for name, derivative in {"Jacobian": jacobian, "Hessian": hessian}.items():
        steps = {
            "one by one": one_by_one(derivative),
            "at once": lambda derivative=derivative: derivative(x),
        }
        if derivative is jacobian:
            steps["JAX jit, float32"] = lambda: jax.block_until_ready(in_jax(x))
        first, *others = (step() for step in steps.values())
        for other in others:
            assert_allclose(other, first, rtol=1e-3, atol=1e-5)
        table(f"{name} of {n} by {n}", "one by one", steps, results)
