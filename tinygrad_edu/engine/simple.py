"""The whole idea on one page: a Tensor, six ops with their rules, and the walk back.

Run it to train exclusive or: ``python -m tinygrad_edu.engine.simple``. The other files
of this folder do the same, with more ops, more checks and more speed. A test checks
that both give the same gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

new_index = count().__next__


class Tensor:
    """A value, and how it was computed: the inputs and rules of the op."""

    def __init__(self, data: Any, inputs: Any = (), rules: Any = ()) -> None:
        self.data: Array = np.asarray(data, float)
        self.grad: Array = np.zeros_like(self.data)
        self.inputs: tuple[Tensor, ...] = inputs
        self.rules: tuple[Callable[..., Any], ...] = rules
        self.index = new_index()  # a Tensor is newer than its inputs

    def backward(self) -> None:
        """Add the gradient of this number to the `grad` of every leaf it depends on."""
        cotangents = {self: np.ones_like(self.data)}
        while cotangents:
            # Newest first: every Tensor that uses `y` has already sent its share to it.
            y = max(cotangents, key=lambda tensor: tensor.index)
            g = cotangents.pop(y)
            if not y.inputs:
                y.grad = y.grad + g
            for x, rule in zip(y.inputs, y.rules):
                share = rule(g, y.data, *(z.data for z in y.inputs))
                share = unbroadcast(share, x.data.shape)
                cotangents[x] = cotangents[x] + share if x in cotangents else share


def unbroadcast(share: Any, shape: tuple[int, ...]) -> Any:
    """Undo broadcasting: sum over the axes along which the input was repeated."""
    share = share.sum(axis=tuple(range(share.ndim - len(shape))))
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return share.sum(axis=repeated, keepdims=True)


def op(forward: Callable[..., Any], *rules: Callable[..., Any]) -> Any:
    """Declare an op: the forward computation, and one rule per input.

    A rule gets `g`, the gradient of the loss with respect to the result `y`; then `y`
    itself, and the inputs. It returns the gradient with respect to its own input: `g`
    times the local derivative.
    """

    def apply(*inputs: Any) -> Tensor:
        tensors = tuple(x if isinstance(x, Tensor) else Tensor(x) for x in inputs)
        return Tensor(forward(*(x.data for x in tensors)), tensors, rules)

    return apply


add = op(np.add, lambda g, y, a, b: g, lambda g, y, a, b: g)
subtract = op(np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g)
multiply = op(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
dot = op(np.dot, lambda g, y, a, b: g @ b.T, lambda g, y, a, b: a.T @ g)
sigmoid = op(lambda x: 1 / (1 + np.exp(-x)), lambda g, y, x: g * y * (1 - y))
total = op(np.sum, lambda g, y, x: g * np.ones_like(x))


def train(epochs: int = 2000, lr: float = 2.0) -> tuple[Tensor, Tensor]:
    """Train exclusive or with 2, 3 and 1 neurons; return the output and the loss."""
    rng = np.random.default_rng(0)
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
    shapes = [(2, 3), (1, 3), (3, 1), (1, 1)]
    w1, b1, w2, b2 = parameters = [Tensor(rng.normal(size=shape)) for shape in shapes]
    for _ in range(epochs):
        a1 = sigmoid(add(dot(x, w1), b1))
        a2 = sigmoid(add(dot(a1, w2), b2))
        error = subtract(a2, y)
        loss = multiply(1 / (2 * len(x)), total(multiply(error, error)))
        loss.backward()
        for p in parameters:
            p.data = p.data - lr * p.grad
            p.grad = np.zeros_like(p.data)
    return a2, loss


if __name__ == "__main__":
    answer, loss = train()
    print("0 xor 0, 0 xor 1, 1 xor 0, 1 xor 1:", answer.data.ravel().round(2))
    print("loss:", loss.data.round(6))
