"""Steps of training and gradients, beside their rivals: first equal, then timed.

    pytest tests/benchmarks/test_side_by_side.py

Every program runs on one thread: threadpoolctl holds the BLAS (see `conftest.py`).
That all programs compute the same thing is asserted; a time never is, the table only
marks each limit ok or over. All are timed in turn, in one loop.
"""

from itertools import pairwise

import gradients
import numpy as np
import pytest
import steps
from gradients import AUTOGRAD, GRAD, TENSOR
from steps import COMPILED, NUMBA, OURS
from turns import beside, time_in_turn

HAND, TORCH, JAX = "hand NumPy", "PyTorch", "JAX jit"
STEPS = [
    # sizes, batch, and for some pairs of programs the largest ratio of their times
    (
        [2, 3, 1],
        4,
        {(OURS, TORCH): 0.35, (COMPILED, HAND): 1.0, (NUMBA, JAX): 0.35},
    ),
    (
        [784, 30, 10],
        10,
        {
            (OURS, TORCH): 0.45,
            (OURS, HAND): 1.9,
            (COMPILED, HAND): 0.75,
            (COMPILED, JAX): 0.7,
        },
    ),
    (
        [784, 30, 10],
        128,
        {
            (OURS, TORCH): 0.85,
            (OURS, HAND): 1.25,
            (COMPILED, HAND): 0.97,
            (COMPILED, JAX): 1.0,
        },
    ),
    (
        [784, 100, 10],
        1024,
        {(OURS, HAND): 1.06, (COMPILED, HAND): 1.0, (COMPILED, JAX): 1.0},
    ),
]
GRADIENTS = [(n, square) for square in (False, True) for n in (3, 10, 30, 100)]
OF_GRADIENTS = {(GRAD, AUTOGRAD): 0.5, (GRAD, TENSOR): 1.3}
LEARNING_RATE = 0.5


@pytest.fixture(scope="module")
def cases():
    """Hold what is to be timed: of each case the steps by program, and the limits."""
    return {}


@pytest.fixture(scope="module")
def absent():
    """Hold why programs are left out."""
    return {}


def build(programs, absent, *args):
    """Build each program; an absent rival costs only its column."""
    for name, program in programs.items():
        try:
            yield name, program(*args)
        except ModuleNotFoundError as reason:
            absent[name] = reason


# --- Training steps -------------------------------------------------------------------


@pytest.mark.parametrize(("sizes", "batch", "limits"), STEPS, ids=str)
def test_training_steps_agree(sizes, batch, limits, cases, absent):
    problem = make_problem(sizes, batch)
    of = cases["steps", f"{sizes} x {batch}"] = {}, limits
    for name, (step, parameters) in build(
        steps.PROGRAMS, absent, *problem, LEARNING_RATE
    ):
        assert_right(name, step, parameters, problem)
        of[0][name] = step


def make_problem(sizes, batch):
    rng = np.random.default_rng(0)
    weights = [
        rng.standard_normal((n_out, n_in), np.float32) * n_in**-0.5
        for n_in, n_out in pairwise(sizes)
    ]
    biases = [rng.standard_normal(n_out, np.float32) for n_out in sizes[1:]]
    x = rng.random((batch, sizes[0]), np.float32)
    y = rng.random((batch, sizes[-1]), np.float32)
    return weights, biases, x, y


def assert_right(name, step, parameters, problem):
    """Three steps must cost, and must change the weights, as in float64 by hand."""
    weights, biases, x, y = problem
    weights = [w.astype(float) for w in weights]
    biases = [b.astype(float) for b in biases]
    x, y = x.astype(float), y.astype(float)
    judge, truth = steps.hand_numpy(weights, biases, x, y, LEARNING_RATE)

    for _ in range(3):
        expected = cost(truth(), x, y)
        judge()
        loss = step()
        assert loss is None or abs(loss.item() / expected - 1) < 1e-5, name

    # The change is compared, not the weights: a step that did nothing has to fail.
    for start, got, want in zip(weights + biases, parameters(), truth(), strict=True):
        assert got.dtype == np.float32, name
        error = np.linalg.norm(got - want) / np.linalg.norm(want - start)
        assert error < 1e-4, f"{name}: a change of shape {start.shape} is off"


def cost(parameters, x, y):
    h, depth = x, len(parameters) // 2
    for w, b in zip(parameters[:depth], parameters[depth:], strict=True):
        h = 1 / (1 + np.exp(-(h @ w.T + b)))
    return np.sum((y - h) ** 2) / (2 * len(x))


# --- Gradients ------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "square"), GRADIENTS)
def test_gradients_agree(n, square, cases, absent):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, n) if square else n)
    W, b = rng.standard_normal((n, n)) / np.sqrt(n), rng.standard_normal(n)
    y = np.tanh(x @ W + b)
    of = cases["gradients", "x".join(map(str, x.shape))] = {}, OF_GRADIENTS
    for name, gradient in build(gradients.PROGRAMS, absent, W, b):
        np.testing.assert_allclose(
            gradient(x), (1 - y * y) @ W.T, rtol=1e-9, atol=1e-12, err_msg=name
        )
        of[0][name] = lambda f=gradient: f(x)


# --- All in turn ----------------------------------------------------------------------


def test_all_are_timed_in_turn(cases, absent, report, figures):
    np.empty(1 << 21)  # so that the C library keeps what it is given back
    times, away = time_in_turn(
        {case: programs for case, (programs, _) in cases.items()}
    )
    bases = {"steps": COMPILED, "gradients": GRAD}
    for (group, case), of in times.items():
        figures.setdefault(group, {})[case] = beside(bases[group], of)
    figures["share of the time without a processor"] = round(away, 3)
    report += table(cases, times, absent)
    report.append(f"the processor was away for {away:.1%} of the time")


def table(cases, times, absent):
    for (group, case), of in times.items():
        yield ""
        yield f"{group}, {case}: median microseconds (the middle half of the rounds)"
        for name, rounds in of.items():
            low, median, high = np.quantile(rounds, [0.25, 0.5, 0.75])
            yield f"{name:>16}{median:>10.1f} ({low:.1f} to {high:.1f})"
        for (mine, rival), limit in cases[group, case][1].items():
            if mine in of and rival in of:
                low, ratio, high = np.quantile(of[mine] / of[rival], [0.25, 0.5, 0.75])
                mark = "ok" if ratio <= limit else "over"
                yield (
                    f"{mine:>16} / {rival:<10}  {ratio:.2f} ({low:.2f} to {high:.2f}) "
                    f"<= {limit:.2f}  {mark}"
                )
    yield ""
    yield from (f"{name}: skipped, {reason}" for name, reason in absent.items())
