"""Task 2."""

import chain
import numpy as np
import pytest

import tinygrad_edu as tg


@pytest.fixture(params=range(3))
def numbers(request):
    x, w1, w2 = np.random.default_rng(request.param).normal(size=3)
    return x, 0.3, w1, w2


def test_loss(numbers):
    x, y, w1, w2 = numbers
    h2 = tg.sigmoid(tg.sigmoid(x * w1) * w2)
    np.testing.assert_allclose(chain.loss(*numbers), (y - h2) ** 2 / 2)


def test_gradients(numbers):
    x, y, *weights = numbers
    w1, w2 = (tg.Tensor(w, requires_grad=True) for w in weights)
    x = tg.Tensor(x)
    z1 = x * w1
    h1 = tg.sigmoid(z1)
    z2 = h1 * w2
    h2 = tg.sigmoid(z2)
    loss = (y - h2) ** 2 / 2
    mine = chain.gradients(*numbers)
    table = tg.compare(mine, loss, {"w1": w1, "w2": w2}, reveal=False)
    assert table, f"\n{table}"
