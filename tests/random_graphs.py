"""Graphs that Hypothesis thinks of: some ops on matrices, rows and numbers."""

import numpy as np
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order

UNARY = [tg.tanh, tg.sigmoid, tg.square, tg.negative, tg.relu, lambda x: x[::-1]]
BINARY = [tg.add, tg.subtract, tg.multiply, tg.maximum, tg.matmul, lambda a, b: a + a]


@st.composite
def graphs(draw):
    """A random graph of some matrices, a row and a number, ending in one number."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrices = [
        tg.Tensor(rng.standard_normal((2, 2)), requires_grad=draw(st.booleans()))
        for _ in range(draw(st.integers(0, 2)))
    ]
    matrices.append(tg.Tensor(rng.standard_normal((2, 2)), requires_grad=True))
    row = tg.Tensor(rng.standard_normal(2), requires_grad=True)
    scalar = tg.Tensor(rng.standard_normal(), requires_grad=True)
    array = rng.standard_normal((2, 2))
    for _ in range(draw(st.integers(1, 8))):
        a, b = (draw(st.sampled_from(matrices)) for _ in range(2))
        op = draw(st.sampled_from(UNARY + BINARY))
        b = draw(st.sampled_from([b, b, array, row + b, scalar * b, 0.5 * b]))
        matrices.append(op(a, b) if op in BINARY else op(a))
    total = sum(rng.standard_normal() * m for m in matrices)
    return (total * rng.standard_normal((2, 2))).sum()


def leaves_of(y):
    return [x for x in topological_order(y) if x.requires_grad and x.op is None]
