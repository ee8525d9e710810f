"""A gradient of a plain NumPy function, against HIPS autograd and against Tensors.

    pytest tests/benchmarks

As in `test_steps.py`: that all agree is asserted, times are printed.
"""

import numpy as np
import pytest
from turns import time_in_turn

import tinygrad_edu as tg

SIZES = [3, 10, 30, 100]
AGAINST_AUTOGRAD = 2.0  # at least so many times as fast
AGAINST_TENSORS = 1.3  # at most so many times as slow


def by_grad(W, b):
    return tg.grad(lambda x: np.tanh(np.dot(x, W) + b).sum())


def by_tensors(W, b):
    def gradient(x):
        x = tg.Tensor(x, requires_grad=True)
        tg.tanh(tg.dot(x, W) + b).sum().backward()
        return x.grad.data

    return gradient


def by_autograd(W, b):
    autograd = pytest.importorskip("autograd", reason="HIPS autograd is not installed")
    anp = autograd.numpy
    return autograd.grad(lambda x: anp.tanh(anp.dot(x, W) + b).sum())


@pytest.fixture(scope="module")
def results(report, figures):
    """Filled by the test, printed when it is done."""
    lines, measured = [], {}
    yield lines, measured
    figures["microseconds a gradient"] = measured
    report += [
        "",
        "microseconds for grad of tanh(x W + b).sum(); limits: autograd / grad >= "
        f"{AGAINST_AUTOGRAD}, grad / Tensor <= {AGAINST_TENSORS}",
        f"{'x':>10}{'grad':>8}{'Tensor':>8}{'autograd':>10}"
        f"{'autograd / grad':>22}{'grad / Tensor':>20}",
        *lines,
    ]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rows", [1, None], ids=["vector", "square"])
def test_gradients_agree_and_are_timed(n, rows, results):
    np.empty(1 << 22)  # so that the C library keeps what it is given back
    rng = np.random.default_rng(0)
    x = rng.standard_normal(n if rows else (n, n))
    W, b = rng.standard_normal((n, n)) / np.sqrt(n), rng.standard_normal(n)
    programs = {"grad": by_grad, "Tensor": by_tensors, "autograd": by_autograd}
    gradients = {name: program(W, b) for name, program in programs.items()}
    y = np.tanh(x @ W + b)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            gradient(x), (1 - y * y) @ W.T, rtol=1e-9, atol=1e-12, err_msg=name
        )

    steps = {name: lambda g=g: g(x) for name, g in gradients.items()}
    times = time_in_turn(steps)
    faster = np.median(times["autograd"] / times["grad"])
    slower = np.median(times["grad"] / times["Tensor"])
    marks = [
        "ok" if faster >= AGAINST_AUTOGRAD else "over",
        "ok" if slower <= AGAINST_TENSORS else "over",
    ]
    cells = "".join(
        f"{np.median(times[name]):>{width}.1f}"
        for name, width in [("grad", 8), ("Tensor", 8), ("autograd", 10)]
    )
    shape = "x".join(map(str, x.shape))
    lines, measured = results
    measured[shape] = {name: round(np.median(of), 1) for name, of in times.items()}
    lines.append(
        f"{shape:>10}{cells}{faster:>17.2f} {marks[0]:<4}{slower:>15.2f} {marks[1]}"
    )
