"""Optimisers: what a step does to the parameters, given their gradients.

A step changes each parameter in its own memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu.graph import StandIn
from tinygrad_edu.tensor import Tensor

__all__ = ["SGD", "Adam", "Optimiser"]

Array = np.ndarray[Any, Any]


class Optimiser:
    """What optimisers share; a subclass defines ``update``.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that require a gradient.
    *state : str
        The names of what ``update`` remembers about each parameter from step to step.

    Attributes
    ----------
    params : list of Tensor
    state : dict of str to list of ndarray
        By name, an array for each parameter, of its shape and dtype; zeros at first.
    steps : int
        How many steps were made.

    Raises
    ------
    ValueError
        If there are none.
    TypeError
        If one of them is not such a Tensor.
    """

    def __init__(self, params: Iterable[Tensor], *state: str) -> None:
        if not isinstance(params, Iterable):
            raise TypeError(
                f"{type(self).__name__}: {type(params).__name__} is no list of "
                "parameters; pass model.parameters()"
            )
        self.params = list(params)
        if not self.params:
            raise ValueError(f"{type(self).__name__}: there are no parameters")
        for p in self.params:
            if not (isinstance(p, Tensor) and p.requires_grad and p.is_leaf):
                raise TypeError(
                    f"{type(self).__name__}: {p!r} is no leaf Tensor that requires a "
                    "gradient; pass model.parameters()"
                )
        if len(set(self.params)) < len(self.params):
            raise ValueError(f"{type(self).__name__}: a parameter is there twice")
        self.state = {
            name: [np.zeros_like(p.data) for p in self.params] for name in state
        }
        self.steps = 0
        self._scratch: dict[Any, Array] = {}

    def scratch(self, like: Array) -> Array | None:
        """Return memory for a value like another one, so that none is allocated.

        It is the same for all values of a shape and dtype; None, which means new
        memory, while the step is recorded by `compile`.
        """
        if isinstance(like, StandIn):
            return None
        key = like.shape, like.dtype
        if key not in self._scratch:
            self._scratch[key] = np.empty_like(like)
        return self._scratch[key]

    def update(self, p: Array, g: Array, *state: Array) -> None:
        """Change a parameter `p`, and its state, in place, given its gradient `g`.

        The state comes in the order of the names.
        """
        names = "".join(f", {name}" for name in self.state)
        raise TypeError(f"{type(self).__name__}: define update(self, p, g{names})")

    def step(self) -> None:
        """Update every parameter that has a gradient.

        Raises
        ------
        ValueError
            If none has.
        """
        moved = [i for i, p in enumerate(self.params) if p.grad is not None]
        if not moved:
            raise ValueError(
                f"{type(self).__name__}: no parameter has a gradient; "
                "call backward() on the loss before step()"
            )
        self.steps += 1
        for i in moved:
            p = self.params[i]
            state = [arrays[i] for arrays in self.state.values()]
            self.update(p.data, p.grad.data, *state)

    def zero_grad(self) -> None:
        """Forget the gradients that were accumulated."""
        for p in self.params:
            p.grad = None


class SGD(Optimiser):
    r"""Stochastic gradient descent, :math:`w \leftarrow w - \eta\, g`.

    With momentum :math:`v \leftarrow \mu v + g` and :math:`w \leftarrow w - \eta\, v`.

    Parameters
    ----------
    params : iterable of Tensor
        The parameters, ``model.parameters()``.
    lr : float
        The learning rate, eta.
    momentum : float
        The momentum coefficient, mu.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor(1.0, requires_grad=True)
    >>> optimiser = tg.optim.SGD([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimiser.step()
    >>> w.item()
    0.8
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.0
    ) -> None:
        super().__init__(params, *["velocity"] * bool(momentum))
        self.lr = lr
        self.momentum = momentum

    def update(self, p: Array, g: Array, *velocity: Array) -> None:
        """See the class."""
        for v in velocity:
            v *= self.momentum
            v += g
            g = v
        p -= np.multiply(self.lr, g, out=self.scratch(p))


class Adam(Optimiser):
    r"""Steps of about one size for every weight (Kingma and Ba, 2015, algorithm 1).

    With the running means :math:`m \leftarrow \beta_1 m + (1-\beta_1) g` and
    :math:`v \leftarrow \beta_2 v + (1-\beta_2) g^2`, and :math:`\hat m`, :math:`\hat v`
    the same over :math:`1-\beta^t`,

    .. math:: w \leftarrow w - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)

    Parameters
    ----------
    params : iterable of Tensor
        The parameters, ``model.parameters()``.
    lr : float
        The learning rate, eta.
    betas : tuple of float
        How slowly the two means forget.
    eps : float
        Keeps the quotient finite.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor(1.0, requires_grad=True)
    >>> optimiser = tg.optim.Adam([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimiser.step()
    >>> round(w.item(), 6)
    0.9
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, "m", "v")
        self.lr = lr
        self.betas = betas
        self.eps = eps

    def update(self, p: Array, g: Array, *state: Array) -> None:
        """See the class."""
        beta1, beta2 = self.betas
        m, v = state
        m += (1 - beta1) * (g - m)
        v += (1 - beta2) * (g * g - v)
        m_hat = m / (1 - beta1**self.steps)
        v_hat = v / (1 - beta2**self.steps)
        p -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
