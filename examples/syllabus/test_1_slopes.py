"""Task 1."""

import numpy as np
import slopes

import tinygrad_edu as tg

z = np.random.default_rng(1).normal(size=6)


def test_sigmoid():
    np.testing.assert_allclose(slopes.sigmoid(z), tg.sigmoid(z))


def test_sigmoid_prime():
    leaf = tg.Tensor(z, requires_grad=True, name="z")
    a = tg.sigmoid(leaf)
    table = tg.compare([slopes.sigmoid_prime(z)], a.sum(), [leaf], reveal=False)
    assert table, f"\n{table}"
