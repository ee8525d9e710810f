"""Optimisers to test: one of each kind, and parameters for them."""

import numpy as np
import pytest
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from tinygrad_edu.optim import SGD, Adam, AdamW, RMSprop

SHAPES = [(), (3,), (2, 3)]
shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)

MAKERS = {
    "SGD": lambda params: SGD(params, lr=0.3),
    "SGD with momentum": lambda params: SGD(params, lr=0.3, momentum=0.9),
    "SGD with all": lambda params: SGD(params, 0.3, 0.9, True, weight_decay=0.1),
    "RMSprop": lambda params: RMSprop(params, lr=0.3),
    "Adam": lambda params: Adam(params, lr=0.3),
    "AdamW": lambda params: AdamW(params, lr=0.3, weight_decay=0.1),
}
each_optimiser = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def leaves(rng, dtype=np.float64):
    return [
        tg.Tensor(rng.standard_normal(shape), requires_grad=True, dtype=dtype)
        for shape in SHAPES
    ]


def differentiate(params, gradients):
    """Give each parameter its gradient by way of a backward pass."""
    for p, g in zip(params, gradients):
        (p * g).sum().backward()


def draw(rng, params):
    return [rng.standard_normal(p.shape) for p in params]
