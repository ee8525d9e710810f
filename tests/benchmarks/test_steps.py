"""A training step of tinygrad_edu against its rivals: first equal, then timed.

    pytest tests/benchmarks

Every program runs on one thread: threadpoolctl holds the BLAS (see `conftest.py`).
That all programs compute the same thing is asserted; a time never is, the table only
marks each limit ok or over.
"""

from itertools import pairwise

import numpy as np
import pytest
from steps import COMPILED, NUMBA, OURS, PROGRAMS, hand_numpy
from turns import time_in_turn

HAND = "hand NumPy"
SETTINGS = [
    # sizes, batch, and for some pairs of programs the largest ratio of their times
    (
        [2, 3, 1],
        4,
        {
            (OURS, "PyTorch"): 0.35,
            (COMPILED, HAND): 1.0,
            (NUMBA, "JAX jit"): 0.35,
        },
    ),
    (
        [784, 30, 10],
        10,
        {
            (OURS, "PyTorch"): 0.45,
            (OURS, HAND): 1.9,
            (COMPILED, HAND): 0.75,
            (COMPILED, "JAX jit"): 0.7,
        },
    ),
    (
        [784, 30, 10],
        128,
        {
            (OURS, "PyTorch"): 0.85,
            (OURS, HAND): 1.25,
            (COMPILED, HAND): 0.97,
            (COMPILED, "JAX jit"): 1.0,
        },
    ),
    (
        [784, 100, 10],
        1024,
        {
            (OURS, HAND): 1.06,
            (COMPILED, HAND): 1.0,
            (COMPILED, "JAX jit"): 1.0,
        },
    ),
]
LEARNING_RATE = 0.5


def label(sizes, batch):
    return f"{sizes} x {batch}"


@pytest.fixture(scope="module")
def results(report, figures):
    """Filled by the tests, printed when the last one is done."""
    times, absent = {}, {}
    yield times, absent
    if times:
        report += table(times, absent)
        figures["microseconds a step"] = {
            setting: {name: round(np.median(of[name]), 2) for name in of}
            for setting, of in times.items()
        }
        # Of neighbours in time, so that what slowed one slowed both.
        figures["times as long as tg.compile"] = {
            setting: {
                name: round(np.median(of[name] / of[COMPILED]), 2)
                for name in of
                if name != COMPILED
            }
            for setting, of in times.items()
        }


@pytest.mark.parametrize(
    ("sizes", "batch"), [(sizes, batch) for sizes, batch, _ in SETTINGS], ids=str
)
def test_programs_agree_and_are_timed(sizes, batch, results):
    times, absent = results
    problem = make_problem(sizes, batch)
    steps = {}
    for name, program in PROGRAMS.items():
        try:
            step, parameters = program(*problem, LEARNING_RATE)
        except ModuleNotFoundError as reason:
            absent[name] = reason
            continue
        assert_right(name, step, parameters, problem)
        steps[name] = step
    times[label(sizes, batch)] = time_in_turn(steps)


# Agreement


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
    judge, truth = hand_numpy(weights, biases, x, y, LEARNING_RATE)

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


# The table


def table(times, absent):
    names = [name for name in PROGRAMS if name not in absent]
    ours = [name for name in names if name in (OURS, COMPILED, NUMBA)]
    rivals = [name for name in names if name not in ours]

    def row(title, names, cells):
        cells = zip(names, cells, strict=True)
        return f"{title:<22}" + "".join(f"{c:>{len(name) + 2}}" for name, c in cells)

    yield row("microseconds a step", names, names)
    for setting, of in times.items():
        yield row(setting, names, (f"{np.median(of[name]):.1f}" for name in names))
    yield from (f"{name}: skipped, {reason}" for name, reason in absent.items())

    for mine in ours:
        yield ""
        yield row(f"{mine} / each", rivals, rivals)
        for setting, of in times.items():
            ratios = (np.median(of[mine] / of[name]) for name in rivals)
            yield row(setting, rivals, (f"{ratio:.2f}" for ratio in ratios))

    yield ""
    yield "limits (in brackets the middle half of the rounds)"
    for sizes, batch, limits in SETTINGS:
        of = times.get(label(sizes, batch), {})
        for (mine, rival), limit in limits.items():
            if mine not in of or rival not in of:
                continue
            low, ratio, high = np.quantile(of[mine] / of[rival], [0.25, 0.5, 0.75])
            mark = "ok" if ratio <= limit else "over"
            yield (
                f"{label(sizes, batch):<22} {mine:>12} / {rival:<10}  "
                f"{ratio:.2f} ({low:.2f} to {high:.2f}) <= {limit:.2f}  {mark}"
            )
