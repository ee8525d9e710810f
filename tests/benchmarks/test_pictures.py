"""What a picture costs: from the graph to SVG, of small and of very large graphs.

    pytest tests/benchmarks

Only what is in the picture is asserted; times are printed, a limit marked ok or over.
"""

import time

import numpy as np

import tinygrad_edu as tg

ROUNDS = 5
LIMIT = 300  # milliseconds, for the picture of a training loss


def perceptron():
    rng = np.random.default_rng(0)
    x, y = rng.random((10, 784), np.float32), np.eye(10, dtype=np.float32)
    model = tg.nn.MLP([784, 30, 10], rng=0, dtype=np.float32)
    return tg.losses.cross_entropy_with_logits(model.logits(x), y)


def recurrent():
    w = tg.Tensor(np.eye(10), requires_grad=True)
    h = np.zeros(10)
    for x in np.random.default_rng(0).standard_normal((50, 10)):
        h = tg.tanh(h @ w + x)
    return tg.squared_norm(h)


def chain():
    y = tg.Tensor(1.0, requires_grad=True)
    for _ in range(100_000):
        y = y * 1.0001
    return y


def tangle():
    """Ops on any two of what was computed lately: nothing repeats."""
    rng = np.random.default_rng(0)
    values = [tg.Tensor([0.5], requires_grad=True) for _ in range(10)]
    ops = [tg.add, tg.subtract, tg.maximum]
    for op, i, j in rng.integers(0, [3, 10, 10], (100_000, 3)):
        values.append(tg.sin(ops[op](values[-1 - i], values[-1 - j])))
    return values[-1]


def test_a_picture_takes_no_time_to_speak_of(report):
    boxes = {perceptron: 12, recurrent: 12, chain: 4, tangle: None}
    report += ["", "draw(y).svg, the best of a few, in milliseconds"]
    report += [f"{'':<12} {'ops':>9} {'boxes':>6} {'to boxes':>9} {'to SVG':>8}"]
    for make, expected in boxes.items():
        y = make()
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            drawing = tg.draw(y)
            middle = time.perf_counter()
            svg = drawing.svg
            seconds.append((middle - start, time.perf_counter() - middle))
        shown = svg.count('class="node data')
        assert expected is None or shown == expected
        ms = 1e3 * np.min(seconds, axis=0)
        mark = ""
        if make is perceptron:
            mark = f"  <= {LIMIT}  {'ok' if ms.sum() <= LIMIT else 'over'}"
        report.append(
            f"{make.__name__:<12} {count(y):>9,} {shown:>6} {ms[0]:>9.1f} {ms[1]:>8.1f}"
            + mark
        )


def count(y):
    return sum(node.op is not None for node in tg.engine.graph.topological_order(y))
