"""What `fit` costs over the bare loop, and saving over the disk's own speed.

    pytest tests/benchmarks/test_training.py

The bare loop runs the same step over the same mini-batches, [784, 30, 10] and 10
examples each, and does nothing else. Its epochs take turns with those of one call of
`fit`, whose callback runs them; so each pair of neighbours gives a ratio.
"""

import os
from time import perf_counter

import numpy as np
import pytest

import tinygrad_edu as tg

ROUNDS = 40
EXAMPLES, BATCH = 4_000, 10
AT_MOST = 1.05
PARAMETERS, AT_LEAST = 10_000_000, 0.7


def seconds(f, *args):
    start = perf_counter()
    f(*args)
    return perf_counter() - start


def network():
    model = tg.nn.MLP([784, 30, 10], 0, dtype=np.float32)
    return model, tg.optim.SGD(model.parameters(), lr=3.0)


def bare_loop(x, y, compiled):
    """Return a network, and what trains it for an epoch."""
    model, optimiser = network()
    rng = np.random.default_rng(0)

    def step(x, y):
        loss = tg.losses.mse(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    if compiled:
        step = tg.compile(step)

    def epoch():
        for batch in tg.data.minibatches(x, y, BATCH, rng):
            step(*batch)

    return model, epoch


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
def test_fit_costs_little_over_the_bare_loop(compiled, report):
    """From one callback to the next is an epoch of `fit`, with all that it does."""
    rng = np.random.default_rng(0)
    x = rng.random((EXAMPLES, 784), np.float32)
    y = tg.data.one_hot(rng.integers(10, size=EXAMPLES))
    other, epoch = bare_loop(x, y, compiled)
    ratios, ended = [], perf_counter()

    def take_turns(history):
        nonlocal ended
        own = perf_counter() - ended
        ratios.append(own / seconds(epoch))
        ended = perf_counter()

    model, optimiser = network()
    tg.train.fit(
        model,
        tg.losses.mse,
        optimiser,
        (x, y),
        ROUNDS,
        batch_size=BATCH,
        rng=0,
        callbacks=[take_turns],
        compile=compiled,
    )
    ratio = np.median(ratios[1:])  # the first epoch of both records
    report.append(
        f"fit over the bare loop, {'compiled' if compiled else 'eager'}: "
        f"{ratio:.3f} <= {AT_MOST}  {'ok' if ratio <= AT_MOST else 'over'}"
    )
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert p.numpy().tobytes() == q.numpy().tobytes(), "the same was done"


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
        own = seconds(tg.save, path, model)
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
