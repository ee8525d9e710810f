"""What `fit` costs over the bare loop, and saving over the disk's own speed.

    pytest tests/benchmarks/test_training.py

The bare loop runs the same step over the same mini-batches, [784, 30, 10] and 10
examples each, and does nothing else. Epochs take turns, and a round gives one ratio.
"""

import os
from time import perf_counter

import numpy as np
import pytest

import tinygrad_edu as tg

ROUNDS = 30
EXAMPLES, BATCH = 2_000, 10
AT_MOST = 1.05
PARAMETERS, AT_LEAST = 10_000_000, 0.7


class Trained:
    """A network, its examples, and an epoch by `fit` or by the bare loop."""

    def __init__(self, compiled):
        rng = np.random.default_rng(0)
        self.x = rng.random((EXAMPLES, 784), np.float32)
        self.y = tg.data.one_hot(rng.integers(10, size=EXAMPLES))
        self.model = tg.nn.MLP([784, 30, 10], 0, dtype=np.float32)
        self.optimiser = tg.optim.SGD(self.model.parameters(), lr=3.0)
        self.compiled = compiled
        self.bare_step = tg.compile(self.step) if compiled else self.step

    def step(self, x, y):
        loss = tg.losses.mse(self.model(x), y)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss

    def bare(self, epochs):
        rng = np.random.default_rng(0)
        for _ in range(epochs):
            for batch in tg.data.minibatches(self.x, self.y, BATCH, rng):
                self.bare_step(*batch)

    def fit(self, epochs):
        tg.train.fit(
            self.model,
            tg.losses.mse,
            self.optimiser,
            (self.x, self.y),
            epochs,
            batch_size=BATCH,
            rng=0,
            compile=self.compiled,
        )


def seconds(f, *args):
    start = perf_counter()
    f(*args)
    return perf_counter() - start


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
def test_fit_costs_little_over_the_bare_loop(compiled, report, capsys):
    """The first epoch of `fit` records; so it is timed by what more epochs take."""
    by_fit, bare = Trained(compiled), Trained(compiled)
    bare.bare(1)
    ratios = []
    for _ in range(ROUNDS):
        short, own = seconds(by_fit.fit, 1), seconds(bare.bare, 2)
        ratios.append((seconds(by_fit.fit, 3) - short) / own)
    ratio = np.median(ratios)
    report.append(
        f"fit over the bare loop, {'compiled' if compiled else 'eager'}: "
        f"{ratio:.3f} <= {AT_MOST}  {'ok' if ratio <= AT_MOST else 'over'}"
    )
    for p, other in zip(by_fit.model.parameters(), bare.model.parameters()):
        assert np.isfinite(p.data).all()
        assert p.shape == other.shape


def test_saving_runs_at_the_speed_of_the_disk(report, tmp_path):
    class Large(tg.nn.Module):
        def __init__(self):
            rng = np.random.default_rng(0)
            many = rng.random((10, PARAMETERS // 10), np.float32)
            self.weights = [tg.Tensor(x, requires_grad=True) for x in many]

    model, bytes_ = Large(), bytes(4 * PARAMETERS)

    def plainly(path):
        with open(path, "wb") as file:
            file.write(bytes_)
            file.flush()
            os.fsync(file.fileno())

    path, rates = tmp_path / "large.safetensors", []
    for _ in range(ROUNDS):
        path.unlink(missing_ok=True)  # so that both make a new file
        own = seconds(tg.checkpoints.save, path, model)
        disk = seconds(plainly, tmp_path / "plain")
        (tmp_path / "plain").unlink()
        rates.append(disk / own)
    low, rate, high = np.percentile(rates, [25, 50, 75])
    report.append(
        f"saving {PARAMETERS:,} parameters, of the disk's speed: {rate:.2f} "
        f"({low:.2f} to {high:.2f}) >= {AT_LEAST}  "
        f"{'ok' if rate >= AT_LEAST else 'under'}"
    )
    assert path.stat().st_size > 4 * PARAMETERS
