"""Costs that must not creep in: time a link of a long chain, peak memory, import time.

    pytest tests/benchmarks

As in `test_side_by_side.py` only the numbers computed are asserted. Times and bytes are
printed, each limit marked ok or over.
"""

import gc
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from turns import spread

import tinygrad_edu as tg

ROUNDS = 5
MEMORY_LIMIT = 1.6
IMPORT_LIMIT = 20


def mark(value, limit):
    return f"<= {limit}  {'ok' if value <= limit else 'over'}"


def test_time_is_linear_in_the_length_of_a_chain(report, figures):
    lengths = [62_500, 125_000, 250_000, 500_000]
    rounds = [[1e6 * time_chain(n) / n for n in lengths] for _ in range(ROUNDS)]
    times = dict(zip(lengths, np.transpose(rounds)))
    first = lengths[0]
    report += ["", "microseconds a link of a chain of n multiplications, forward and "]
    report[-1] += "backward; linear is flat"
    for n, of in times.items():
        report.append(
            f"{n:>9,} {np.median(of):>10.2f} {np.median(of / times[first]):>6.2f}"
        )
    figures["a link of a chain"] = {
        "length": first,
        "microseconds": spread(times[first]),
        "times as long": {n: spread(times[n] / times[first]) for n in lengths[1:]},
    }


def time_chain(n):
    factor = 1 + 1e-7
    x = tg.Tensor(1.0, requires_grad=True)
    gc.collect()
    start = time.perf_counter()
    y = x
    for _ in range(n):
        y = y * factor
    y.backward()
    seconds = time.perf_counter() - start
    assert x.grad.item() == pytest.approx(factor**n, rel=1e-9)
    return seconds


def test_peak_memory_is_the_values_saved_and_the_gradient(report, figures):
    """Every op's answer is saved once, and backward needs little on top of them."""
    x = tg.Tensor(np.linspace(-1, 1, 1_000_000, dtype=np.float32), requires_grad=True)
    ops = [tg.sin, tg.sigmoid, lambda y: y * x, tg.square, tg.tanh] * 10
    gradient = np.ones(x.shape, np.float32)

    gc.collect()
    tracemalloc.start()
    y = x
    for op in ops:
        y = op(y)
    y.backward(gradient)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert x.grad.dtype == np.float32
    needed = (len(ops) + 1) * x.data.nbytes  # the answers, and the gradient of x
    figures["peak memory by what must be kept"] = round(peak / needed, 2)
    report += [
        "",
        f"peak memory of {len(ops)} elementwise ops on {x.size:,} float32: "
        f"{peak / 1e6:.0f} MB",
        f"peak / (saved values + gradient): {peak / needed:.2f} "
        + mark(peak / needed, MEMORY_LIMIT),
    ]


def test_import_costs_little_more_than_numpy(report, figures, pytestconfig):
    """NumPy is imported first, so the second stopwatch reads just what we add."""
    program = """if True:
        from time import perf_counter
        start = perf_counter()
        import numpy
        middle = perf_counter()
        import tinygrad_edu
        print(middle - start, perf_counter() - middle)
    """

    def fresh_interpreter():
        command = [sys.executable, "-c", program]
        printed = subprocess.check_output(command, cwd=pytestconfig.rootpath, text=True)
        return [1e3 * float(seconds) for seconds in printed.split()]

    fresh_interpreter()  # not counted: it may have to write the bytecode
    numpy, ours = np.transpose([fresh_interpreter() for _ in range(15)])
    numpy_ms, ours_ms = np.median(numpy), np.median(ours)
    figures["import"] = {
        "milliseconds of NumPy": spread(numpy),
        "times as long": spread(ours / numpy),
    }
    report += [
        "",
        f"import numpy: {numpy_ms:.1f} ms; tinygrad_edu on top of it: {ours_ms:.1f} ms "
        + mark(ours_ms, IMPORT_LIMIT),
    ]
