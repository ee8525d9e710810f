"""Networks: a `Module` holds parameters, a layer is z = x w^T + b, an MLP is layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.graph import Node, new_index
from tinygrad_edu.ops.functions import sigmoid
from tinygrad_edu.ops.products import linear
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["MLP", "Linear", "Module"]


class Module:
    """Something with parameters that is called on inputs.

    A subclass keeps its parameters (Tensors that require a gradient) and its parts
    (other modules) in attributes, or in lists, tuples or dicts there, and defines
    ``forward``.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> class Line(tg.nn.Module):
    ...     def __init__(self):
    ...         self.slope = tg.Tensor(2.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> Line()(3.0).item()
    6.0
    >>> list(Line().named_parameters())
    ['slope']
    """

    def forward(self, x: Any) -> Any:
        """Compute the output; a subclass says how."""
        raise TypeError(f"{type(self).__name__}: define forward(self, x)")

    def __call__(self, x: Any) -> Any:
        return self._call(self.forward, x)

    def _call(self, function: Callable[[Any], Any], x: Any) -> Any:
        """Call one of the module's functions; what it gives remembers the call."""
        start = new_index()
        output = function(x)
        for node in (output,) if isinstance(output, Node) else _each(output):
            if node.op is not None and node.index > start:
                call = (self.__class__.__name__, start, id(self), id(x))  # a graph.Call
                node.calls = (*node.calls, call) if hasattr(node, "calls") else (call,)
        return output

    def named_parameters(self) -> dict[str, Tensor]:
        """Return each parameter once, under the path that leads to it."""
        found: dict[Tensor, str] = {}
        _find_parameters(self, (), found, set())
        return {path: parameter for parameter, path in found.items()}

    def parameters(self) -> list[Tensor]:
        """Return each parameter once, in the order of definition."""
        return list(self.named_parameters().values())


def _each(output: Any) -> list[Node]:
    """List the Tensors that a module gives, if it gives a tuple or a list of them."""
    several = output if isinstance(output, tuple | list) else ()
    return [x for x in several if isinstance(x, Node)]


def _find_parameters(
    thing: Any, path: tuple[str, ...], found: dict[Tensor, str], seen: set[int]
) -> None:
    """Enter the parameters in `thing` into `found`; a part may refer to its owner."""
    if isinstance(thing, Tensor):
        if thing.requires_grad and thing.is_leaf:
            found.setdefault(thing, ".".join(path))
        return
    if not isinstance(thing, Module | list | tuple | dict) or id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, Module):
        thing = vars(thing)
    parts = thing if isinstance(thing, dict) else dict(enumerate(thing))
    for name, part in parts.items():
        _find_parameters(part, (*path, str(name)), found, seen)


class Linear(Module):
    r"""One layer without its activation, :math:`z = x w^T + b`.

    Parameters
    ----------
    n_in, n_out : int
        The numbers of inputs and outputs.
    rng : Generator, RandomState or int, optional
        Where the initial values are drawn from, or its seed: first the bias, then the
        weight.
    init : {"scaled", "large"}
        Weights of standard deviation 1/sqrt(n_in), so that `z` is of moderate size
        whatever `n_in`; or 1. Biases have standard deviation 1.
    dtype : dtype
        The parameters' dtype.

    Attributes
    ----------
    weight : Tensor of shape (n_out, n_in)
    bias : Tensor of shape (n_out,)

    Raises
    ------
    ValueError
        If a size is not positive, or `init` is neither of the two.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.Linear(2, 3)(np.ones((4, 2))).shape
    (4, 3)
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        rng: Any = None,
        init: str = "scaled",
        dtype: DTypeLike = np.float64,
    ) -> None:
        ((self.weight,), (self.bias,)) = _draw((n_in, n_out), rng, init, dtype)

    def forward(self, x: Any) -> Any:
        """Return `z` of shape (..., n_out) for `x` of shape (..., n_in)."""
        return linear(x, self.weight, self.bias)


class MLP(Module):
    """The sigmoid multilayer perceptron: a = sigmoid(a w^T + b), layer after layer.

    Parameters
    ----------
    sizes : sequence of int
        The number of inputs, then of neurons in each layer: ``[784, 30, 10]``.
    rng : Generator, RandomState or int, optional
        Where the initial values are drawn from, or its seed: first the biases of all
        layers, then the weights of all layers.
    init : {"scaled", "large"}
        As for `Linear`.
    dtype : dtype
        The parameters' dtype.

    Attributes
    ----------
    weights : list of Tensor, of shape (n_out, n_in)
    biases : list of Tensor, of shape (n_out,)
        One for each layer, named W1, W2, ... and b1, b2, ...

    Raises
    ------
    ValueError
        If there are fewer than two sizes, or as for `Linear`.

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
        self.weights, self.biases = _draw(sizes, rng, init, dtype)

    def logits(self, x: Any) -> Any:
        """Return the last layer's `z`, of shape (N, n_out), for `x` of (N, n_in)."""
        return self._call(self._logits, x)

    def _logits(self, x: Any) -> Any:
        *hidden, last = zip(self.weights, self.biases)
        a = x
        for w, b in hidden:
            a = sigmoid(linear(a, w, b))
        return linear(a, *last)

    def forward(self, x: Any) -> Any:
        """Return the network's output, sigmoid(z) of the last layer."""
        return sigmoid(self._logits(x))


def _draw(
    sizes: Sequence[int], rng: Any, init: str, dtype: DTypeLike
) -> tuple[list[Tensor], list[Tensor]]:
    """Draw the weights and the biases: first all biases, then all weights.

    That is the order of M. Nielsen's programs, so that a generator in the same state
    gives the same network.
    """
    if not isinstance(sizes, Sequence | np.ndarray):
        raise TypeError(f"nn: the sizes are a list, as in [784, 30, 10], not {sizes!r}")
    if len(sizes) < 2 or any(n < 1 for n in sizes):
        raise ValueError(
            f"nn: the sizes are {list(sizes)}; give at least two, inputs first, "
            "and each at least 1"
        )
    if init not in ("scaled", "large"):
        raise ValueError(f"nn: init is 'scaled' or 'large', and not {init!r}")
    if not hasattr(rng, "standard_normal"):
        rng = np.random.default_rng(rng)
    layers = list(pairwise(sizes))
    biases = [rng.standard_normal(n_out) for _, n_out in layers]
    weights = [rng.standard_normal((n_out, n_in)) for n_in, n_out in layers]
    if init == "scaled":
        weights = [w / np.sqrt(w.shape[1]) for w in weights]
    return _tensors("W", weights, dtype), _tensors("b", biases, dtype)


def _tensors(
    letter: str, arrays: list[np.ndarray[Any, Any]], dtype: DTypeLike
) -> list[Tensor]:
    return [
        Tensor(array, requires_grad=True, dtype=dtype, name=f"{letter}{layer}")
        for layer, array in enumerate(arrays, 1)
    ]
