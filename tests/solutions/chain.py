"""Task 2 of the syllabus, solved."""

import numpy as np


def _forward(x, w1, w2):
    h1 = 1 / (1 + np.exp(-x * w1))
    return h1, 1 / (1 + np.exp(-h1 * w2))


def loss(x, y, w1, w2):
    _, h2 = _forward(x, w1, w2)
    return (y - h2) ** 2 / 2


def gradients(x, y, w1, w2):
    h1, h2 = _forward(x, w1, w2)
    delta2 = -(y - h2) * h2 * (1 - h2)
    delta1 = delta2 * w2 * h1 * (1 - h1)
    return [delta1 * x, delta2 * h1]
