"""`MLP`: the multilayer perceptron of the textbooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.nn.initialising import draw_layers
from tinygrad_edu.nn.layers import Linear, Sequential, Sigmoid
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops.functions import sigmoid
from tinygrad_edu.ops.products import linear
from tinygrad_edu.support.kinds import Operand
from tinygrad_edu.support.table import Table

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["MLP"]


class MLP(Module):
    """The sigmoid multilayer perceptron: a = sigmoid(a w^T + b), layer after layer.

    Parameters
    ----------
    sizes : sequence of int
        The number of inputs, then of neurons in each layer: ``[784, 30, 10]``.
    rng : Generator, RandomState or int, optional
        The random generator for the initial values, or its seed. It draws the biases of
        all layers first, then the weights of all layers.
    init : {"scaled", "large", "xavier", "he"}
        As for `Linear`.
    dtype : dtype
        The dtype of the parameters.

    Attributes
    ----------
    weights : list of Tensor, of shape (n_out, n_in)
    biases : list of Tensor, of shape (n_out,)
        One per layer, named W1, W2, ... and b1, b2, ...

    Raises
    ------
    ValueError
        If there are fewer than two sizes, a size is not positive, or `init` is unknown.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> model = tg.nn.MLP([2, 3, 1], rng=0)
    >>> x, y = tg.data.xor()
    >>> model(x).shape
    (4, 1)
    >>> [p.name for p in model.parameters()]
    ['W1', 'W2', 'b1', 'b2']
    """

    def __init__(
        self,
        sizes: Sequence[int],
        rng: Any = None,
        init: str = "scaled",
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.weights, self.biases = draw_layers(sizes, rng, init, dtype)

    def logits(self, x: Operand) -> Tensor:
        """Return the last layer's `z`, of shape (N, n_out), for `x` of (N, n_in)."""
        return self._call(self._logits, (x,), {})

    def _logits(self, x: Any) -> Any:
        first, *others = zip(self.weights, self.biases)
        z = linear(x, *first)
        for w, b in others:
            z = linear(sigmoid(z), w, b)
        return z

    def forward(self, x: Operand) -> Tensor:
        """Return the network's output, sigmoid(z) of the last layer."""
        return sigmoid(self._logits(x))

    def summary(self, input_shape: tuple[int, ...] | None = None) -> Table:
        """Return a table of the layers: see `Module.summary`."""
        whole = Sequential()
        for n, (w, b) in enumerate(zip(self.weights, self.biases), 1):
            layer = Linear.__new__(Linear)
            layer.weight, layer.bias = w, b
            vars(whole).update({f"z{n}": layer, f"a{n}": Sigmoid()})
        return whole.summary(input_shape)

    def _facts(self) -> tuple[Any, ...]:
        shapes = [w.shape for w in self.weights]
        return ([shapes[0][1], *(n for n, _ in shapes)],)
