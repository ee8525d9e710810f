"""The default MNIST run, compiled, against the program it goes back to.

    pytest tests/benchmarks

That program takes one example after the other, as columns, and sums their gradients.
Epochs of both are timed in turn, on random images, since the time does not depend on
what they show; both give the same three figures after each epoch. The per-example
program has a tenth of the images, and its time is scaled.
"""

import argparse
import runpy
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace

import numpy as np
import pytest
from turns import spread

ROOT = Path(__file__).parents[2]
AT_MOST = 1 / 18
ROUNDS, SCALE = 7, 10


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


class PerExample:
    """Layers of column vectors, one example at a time (after M. Nielsen's book)."""

    def __init__(self, sizes, rng):
        self.biases = [rng.standard_normal((n, 1)) for n in sizes[1:]]
        self.weights = [
            rng.standard_normal((n, m)) / np.sqrt(m) for m, n in pairwise(sizes)
        ]

    def output(self, a):
        for w, b in zip(self.weights, self.biases):
            a = sigmoid(np.dot(w, a) + b)
        return a

    def train(self, examples, batch_size, lr, rng):
        order = rng.permutation(len(examples))
        for first in range(0, len(examples), batch_size):
            batch = [examples[i] for i in order[first : first + batch_size]]
            dws = [np.zeros(w.shape) for w in self.weights]
            dbs = [np.zeros(b.shape) for b in self.biases]
            for x, y in batch:
                of_w, of_b = self.backprop(x, y)
                dws = [total + dw for total, dw in zip(dws, of_w)]
                dbs = [total + db for total, db in zip(dbs, of_b)]
            rate = lr / len(batch)
            self.weights = [w - rate * dw for w, dw in zip(self.weights, dws)]
            self.biases = [b - rate * db for b, db in zip(self.biases, dbs)]

    def backprop(self, x, y):
        activations = [x]
        for w, b in zip(self.weights, self.biases):
            activations.append(sigmoid(np.dot(w, activations[-1]) + b))
        h = activations.pop()
        delta = (h - y) * h * (1 - h)
        dws, dbs = [], []
        for w in reversed(self.weights):
            a = activations.pop()
            dws.insert(0, np.dot(delta, a.T))
            dbs.insert(0, delta)
            if activations:
                delta = np.dot(w.T, delta) * a * (1 - a)
        return dws, dbs

    def judge(self, examples):
        cost, right = 0.0, 0
        for x, y in examples:
            h = self.output(x)
            cost += 0.5 * np.sum((h - y) ** 2)
            right += np.argmax(h) == np.argmax(y)
        return cost / len(examples), right / len(examples)


def columns(images, labels):
    flat = images.reshape(-1, 784, 1) / np.float32(255)
    return list(zip(flat, np.eye(10)[labels][:, :, None]))


def test_the_default_run_is_timed(report, figures):
    pytest.importorskip("matplotlib", reason="the script draws with Matplotlib")
    pytest.importorskip("rich", reason="the script shows its progress by Rich")
    rng = np.random.default_rng(0)
    train = runpy.run_path(str(ROOT / "examples" / "train_mnist.py"))["train"]
    images = rng.integers(256, size=(70_000, 28, 28), dtype=np.uint8)
    labels = rng.integers(10, size=70_000)
    digits = SimpleNamespace(
        train_images=images[:60_000],
        train_labels=labels[:60_000],
        test_images=images[60_000:],
        test_labels=labels[60_000:],
    )
    args = argparse.Namespace(
        hidden=30, epochs=2, batch_size=10, lr=3.0, usual_lr=3.0, cost="mse", l2=0.0,
        init="scaled", seed=0, compile=True, checkpoint=None, resume=False,
    )  # fmt: skip
    few = columns(images[: 60_000 // SCALE], labels)
    tests = columns(images[: 10_000 // SCALE], labels)
    network = PerExample([784, 30, 10], rng)

    ours, theirs = [], []
    for _ in range(ROUNDS):
        seconds = train(digits, args)["seconds"]
        ours.append(seconds[-1])  # the first epoch records
        start = perf_counter()
        network.train(few, 10, 3.0, rng)
        judged = *network.judge(few), *network.judge(tests)
        theirs.append(SCALE * (perf_counter() - start))
        assert np.isfinite(judged).all()

    theirs = np.array(theirs)
    ratio = np.median(ours / theirs)
    mark = "ok" if ratio <= AT_MOST else "over"
    figures["an epoch of MNIST"] = {
        "seconds": spread(ours),
        "times as long": spread(theirs / ours),
    }
    report += [
        "",
        "seconds an epoch of the default MNIST run",
        f"train_mnist.py --compile {np.median(ours):.3f}, one example at a time "
        f"{np.median(theirs):.2f}: 1/{1 / ratio:.1f} <= 1/{1 / AT_MOST:.0f}  {mark}",
    ]
