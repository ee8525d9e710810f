"""The layers: `Linear`, activations, `Dropout`, and `Sequential`, which chains them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine.graph import sampled
from tinygrad_edu.engine.op import as_array
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.nn.initialising import draw_layers
from tinygrad_edu.nn.module import Module, walk
from tinygrad_edu.ops.functions import relu, sigmoid
from tinygrad_edu.ops.products import linear, matmul
from tinygrad_edu.ops.trigonometry import tanh
from tinygrad_edu.support.kinds import Operand
from tinygrad_edu.support.printable import printable
from tinygrad_edu.support.randomness import generator

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Dropout", "Function", "Linear", "ReLU", "Sequential", "Sigmoid", "Tanh"]


class Linear(Module):
    r"""One layer without its activation, :math:`z = x w^T + b`.

    Parameters
    ----------
    n_in, n_out : int
        The numbers of inputs and outputs.
    rng : Generator, RandomState or int, optional
        The random generator for the initial values, or its seed. It draws the bias
        first, then the weight.
    init : {"scaled", "large", "xavier", "he"}
        The distribution of the initial values.

        - ``"scaled"``: weights of standard deviation 1/sqrt(n_in), so that the size of
          `z` does not depend on `n_in`; biases of standard deviation 1 (Nielsen,
          *Neural Networks and Deep Learning*, chapter 3).
        - ``"large"``: weights and biases of standard deviation 1 (chapter 1).
        - ``"xavier"``: uniform weights within +-sqrt(6/(n_in + n_out)). This variance,
          2/(n_in + n_out), keeps activations and gradients about the same size through
          layers of tanh; biases 0 (Glorot and Bengio, 2010, equation 16).
        - ``"he"``: weights of standard deviation sqrt(2/n_in), which does the same for
          layers of relu; biases 0 (He et al., 2015, equation 10).

        All but ``"xavier"`` are normally distributed.
    dtype : dtype
        The dtype of the parameters.
    bias : bool
        Whether there is a bias. The weight is the same with and without it.

    Attributes
    ----------
    weight : Tensor of shape (n_out, n_in)
    bias : Tensor of shape (n_out,), or None

    Raises
    ------
    ValueError
        If a size is not positive, or `init` is unknown.
    TypeError
        If a size is no integer, or `bias` neither True nor False.

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
        bias: bool = True,
    ) -> None:
        if not isinstance(bias, bool | np.bool_):
            raise TypeError(
                f"Linear: bias must be True or False, not {type(bias).__name__}; for "
                "its values write layer.bias.data = b"
            )
        (self.weight,), biases = draw_layers((n_in, n_out), rng, init, dtype)
        self.bias: Any = biases[0] if bias else None

    def forward(self, x: Operand) -> Tensor:
        """Return `z` of shape (..., n_out) for `x` of shape (..., n_in)."""
        if self.bias is None:
            return matmul(x, self.weight.T)
        return linear(x, self.weight, self.bias)

    def _facts(self) -> tuple[Any, ...]:
        n_out, n_in = self.weight.shape
        return (n_in, n_out) if self.bias is not None else (n_in, n_out, "bias=False")


class Sigmoid(Module):
    """`sigmoid` as a module, for `Sequential`."""

    def forward(self, x: Operand) -> Tensor:
        """Return the sigmoid of each element."""
        return sigmoid(x)


class Tanh(Module):
    """`tanh` as a module, for `Sequential`."""

    def forward(self, x: Operand) -> Tensor:
        """Return the hyperbolic tangent of each element."""
        return tanh(x)


class ReLU(Module):
    """`relu` as a module, for `Sequential`."""

    def forward(self, x: Operand) -> Tensor:
        """Return each element, or 0 if it is negative."""
        return relu(x)


class Dropout(Module):
    """During training, set random elements to 0 (Srivastava et al., 2014).

    Each element becomes 0 with probability `rate`. The others are divided by
    ``1 - rate``, so that the mean stays the same. In evaluation mode the layer returns
    its input unchanged. ``model.train()`` and ``model.eval()`` switch the mode.

    Parameters
    ----------
    rate : float
        The probability to drop an element: at least 0, below 1.
    rng : Generator, RandomState or int, optional
        The random generator that chooses the elements, or its seed. Its state is part
        of ``model.random_state()``.

    Raises
    ------
    ValueError
        If `rate` is out of range.

    Notes
    -----
    In a function compiled by `compile`, each call drops new elements, the same ones as
    without `compile`. Call ``model.eval()`` before you pass the model to `gradcheck` or
    anything else that runs a function several times to find its derivatives.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Dropout(0.5, rng=0)
    >>> layer(np.ones(8))
    array([2., 0., 0., 0., 2., 2., 2., 2.])
    >>> layer.eval()(np.ones(8))
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, rate: float = 0.5, rng: Any = None) -> None:
        if not 0 <= rate < 1:
            raise ValueError(
                f"Dropout: rate must be at least 0 and below 1, not {rate!r}"
            )
        self.rate = rate
        self.rng = generator(rng)

    def mask(self, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray[Any, Any]:
        """Draw the factors of the input: 0 or 1/(1 - rate)."""
        kept = self.rng.random(shape) >= self.rate
        return np.asarray(np.divide(kept, 1 - self.rate, dtype=dtype))

    def forward(self, x: Any) -> Any:
        """Return `x` with the dropped elements set to 0."""
        if not self.training or not self.rate:
            return x
        x = as_array(x)
        mask = sampled(self.mask, x.shape, np.result_type(x.dtype, 1.0))
        return x * (Tensor(mask, name="mask") if isinstance(x, Tensor) else mask)

    def _facts(self) -> tuple[Any, ...]:
        return (self.rate,)


class Function(Module):
    """A function as a module; `Sequential` wraps its functions in it.

    Parameters
    ----------
    function : callable
        An op, a NumPy function, your own function, or any callable. For a method of a
        module, the parameters of that module are found. Parameters that a function uses
        in another way are not found.

    Raises
    ------
    TypeError
        If it cannot be called, or is a class.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> module = tg.nn.Function(tg.relu)
    >>> module, module(np.array([-1.0, 2.0]))
    (relu, array([0., 2.]))
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        if isinstance(function, type):
            name = printable(function.__name__)
            raise TypeError(f"Function: {name} is a class; pass an instance, {name}()")
        if not callable(function):
            raise TypeError(f"Function: {function!r:.80} cannot be called")
        self.function = function
        owner = getattr(function, "__self__", None)
        if isinstance(owner, Module):
            self.owner = owner

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function and return its result."""
        return self.function(*args, **kwargs)

    @property
    def _title(self) -> str:
        function: Any = self.function
        while isinstance(function, partial):
            function = function.func
        return str(getattr(function, "__name__", type(function).__name__))

    def __repr__(self) -> str:
        return printable(self._title)


class Sequential(Module):
    """A chain of parts: each part is called on the output of the part before it.

    Parameters
    ----------
    *parts : Module or callable
        Their names are their positions, ``"0"``, ``"1"``, ... A function, such as
        ``tg.relu``, is wrapped in a `Function`.
    **named : Module or callable
        These parts come last, under the given names. Each is also an attribute.

    Notes
    -----
    The names of the parameters are those of the textbook, W1, b1, W2, b2, ...
    `Module.named_parameters` uses their paths, ``"0.weight"``.

    Raises
    ------
    TypeError
        If a part cannot be called, or is a class.
    ValueError
        If a name is already a method or attribute.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> nn = tg.nn
    >>> model = nn.Sequential(nn.Linear(2, 3), tg.tanh, output=nn.Linear(3, 1))
    >>> model(np.ones((4, 2))).shape
    (4, 1)
    >>> len(model), model[1], model.output
    (3, tanh, Linear(3, 1))
    >>> list(model.named_parameters())
    ['0.weight', '0.bias', 'output.weight', 'output.bias']
    """

    def __init__(self, *parts: Callable[..., Any], **named: Callable[..., Any]) -> None:
        given = {str(i): part for i, part in enumerate(parts)} | named
        for name, part in given.items():
            if not isinstance(part, Module):
                try:
                    given[name] = Function(part)
                except TypeError as error:
                    fault = str(error).removeprefix("Function: ")
                    raise TypeError(f"Sequential: part {name}: {fault}") from None
            if hasattr(Sequential, name):
                raise ValueError(
                    f"Sequential: {name} is already an attribute of Sequential; give "
                    "this part another name"
                )
        vars(self).update(given)
        layers = [part.thing for part in walk(self) if isinstance(part.thing, Linear)]
        for number, layer in enumerate(layers, 1):
            layer.weight.name = f"W{number}"
            if layer.bias is not None:
                layer.bias.name = f"b{number}"

    def forward(self, x: Any) -> Tensor:
        """Return the output of the last part."""
        for part in self:
            x = part(x)
        return x

    def __len__(self) -> int:
        return len(self._parts())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._parts().values())

    def __getitem__(self, index: int | slice | str) -> Any:
        """Return a part by position or name; for a slice, a `Sequential`."""
        parts = self._parts()
        if isinstance(index, str):
            return parts[index]
        names = list(parts)[index]
        if isinstance(names, str):
            return parts[names]
        some = Sequential()
        vars(some).update((name, parts[name]) for name in names)
        return some

    def _parts(self) -> dict[str, Module]:
        return {name: x for name, x in vars(self).items() if isinstance(x, Module)}

    def _facts(self) -> tuple[Any, ...]:
        return tuple(self)
