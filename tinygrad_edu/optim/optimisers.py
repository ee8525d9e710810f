"""The optimisers: each is the formula of its paper.

`a` is memory for intermediate values, so that a step allocates nothing: see
`Optimiser.scratch`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from tinygrad_edu.engine.graph import current_mode
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.optim.base import Array, Optimiser

__all__ = ["SGD", "Adam", "AdamW", "RMSprop"]

# The faults of numbers that do nothing without momentum from the beginning.
_OF_VELOCITY = {
    "momentum": "momentum was 0 when it was made; make another one with momentum",
    "nesterov": "nesterov looks ahead by momentum; give momentum=0.9",
}


class SGD(Optimiser):
    r"""Stochastic gradient descent, :math:`w \leftarrow w - \eta\, g`.

    With momentum (Polyak, 1964) :math:`v \leftarrow \mu v + g` and
    :math:`w \leftarrow w - \eta\, v`; in Nesterov's form (Sutskever et al., 2013) the
    step looks ahead, :math:`w \leftarrow w - \eta\, (g + \mu v)`.

    Weight decay is decoupled from the gradient (Loshchilov and Hutter, 2019, algorithm
    1): before the step, :math:`w \leftarrow w - \eta \lambda w`.

    Parameters
    ----------
    params : iterable of Tensor
        The parameters, ``model.parameters()``.
    lr : float
        The learning rate, eta.
    momentum : float
        The momentum coefficient, mu.
    nesterov : bool
        Whether momentum has Nesterov's form.
    weight_decay : float
        The decay, lambda.

    Raises
    ------
    ValueError
        If a number is out of range, or `nesterov` comes without momentum.

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

    limits: ClassVar = Optimiser.limits | dict.fromkeys(
        ["lr", "momentum", "weight_decay"], np.inf
    )

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, *["velocity"] * bool(momentum))
        self.lr, self.momentum, self.nesterov = lr, momentum, nesterov
        self.weight_decay = weight_decay

    def _faults(self, name: str, value: Any) -> list[str]:
        faults = super()._faults(name, value)
        if name in _OF_VELOCITY and not (
            faults or self.state or current_mode.get().tape is not None or not value
        ):
            faults.append(_OF_VELOCITY[name])
        return faults

    def update(self, p: Array, g: Array, v: Array | None = None) -> None:
        a = self.scratch(p)
        if v is not None:
            v *= self.momentum
            v += g
            if self.nesterov:
                g = np.add(g, np.multiply(self.momentum, v, out=a), out=a)
            else:
                g = v
        if self.weight_decay:
            p *= 1 - self.lr * self.weight_decay
        p -= np.multiply(self.lr, g, out=a)


class RMSprop(Optimiser):
    r"""Steps relative to the recent gradients' size (Tieleman and Hinton, 2012).

    From lecture 6.5 of their course: with the running mean of squares
    :math:`v \leftarrow \alpha v + (1-\alpha) g^2`,

    .. math:: w \leftarrow w - \eta\, g / (\sqrt{v} + \epsilon)

    Parameters
    ----------
    params, lr
        As for `SGD`.
    alpha : float
        How slowly the mean forgets.
    eps : float
        Keeps the quotient finite.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    The first step is large, because the mean begins at 0.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor(1.0, requires_grad=True)
    >>> optimiser = tg.optim.RMSprop([w], lr=0.01)
    >>> (w * w).backward()
    >>> optimiser.step()
    >>> round(w.item(), 6)
    0.9
    """

    limits: ClassVar = {**Optimiser.limits, "lr": np.inf, "alpha": 1, "eps": np.inf}

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, "v")
        self.lr, self.alpha, self.eps = lr, alpha, eps

    def update(self, p: Array, g: Array, v: Array) -> None:
        a = self.scratch(p)
        _average(v, self.alpha, np.multiply(g, g, out=a), a)
        _descend(p, self.lr, g, v, self.eps, a)


class Adam(Optimiser):
    r"""Steps of about one size for every weight (Kingma and Ba, 2015, algorithm 1).

    With the running means :math:`m \leftarrow \beta_1 m + (1-\beta_1) g` and
    :math:`v \leftarrow \beta_2 v + (1-\beta_2) g^2`, and :math:`\hat m`, :math:`\hat v`
    the same over :math:`1-\beta^t`,

    .. math:: w \leftarrow w - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)

    It combines the numbers first, as the paper says at the end of its section 2.

    Parameters
    ----------
    params, lr, eps
        As for `RMSprop`.
    betas : tuple of float
        How slowly the two means forget.

    Raises
    ------
    ValueError
        If a number is out of range.

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

    limits: ClassVar = {**Optimiser.limits, "lr": np.inf, "betas": 1, "eps": np.inf}

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, "m", "v")
        beta1, beta2 = betas
        self.lr, self.betas, self.eps = lr, (beta1, beta2), eps

    def update(self, p: Array, g: Array, m: Array, v: Array) -> None:
        beta1, beta2 = self.betas
        a = self.scratch(p)
        _average(m, beta1, g, a)
        _average(v, beta2, np.multiply(g, g, out=a), a)
        c1, c2 = 1 - beta1**self.steps, (1 - beta2**self.steps) ** 0.5
        _descend(p, self.lr * c2 / c1, m, v, self.eps * c2, a)


class AdamW(Adam):
    r"""Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2).

    Before Adam's step, :math:`w \leftarrow w - \eta \lambda w`. The decay does not pass
    through Adam's quotient, as that of an L2 term in the loss would.

    Parameters
    ----------
    params, lr, betas, eps
        As for `Adam`.
    weight_decay : float
        The decay, lambda.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor(1.0, requires_grad=True)
    >>> optimiser = tg.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).backward()
    >>> optimiser.step()
    >>> round(w.item(), 6)  # 1 - 0.1 * 0.5, and Adam's 0.1 less
    0.85
    """

    limits: ClassVar = {**Adam.limits, "weight_decay": np.inf}

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps)
        self.weight_decay = weight_decay

    def update(self, p: Array, g: Array, m: Array, v: Array) -> None:
        p *= 1 - self.lr * self.weight_decay
        super().update(p, g, m, v)


def _average(mean: Array, beta: float, x: Array, a: Array | None) -> None:
    """Let a mean follow `x`: ``mean <- beta * mean + (1 - beta) * x``."""
    mean += np.multiply(1 - beta, np.subtract(x, mean, out=a), out=a)


def _descend(
    p: Array, lr: float, m: Array, v: Array, eps: float, a: Array | None
) -> None:
    """Step against `m`, in units of a size: ``p <- p - lr * m / (sqrt(v) + eps)``."""
    size = np.add(np.sqrt(v, out=a), eps, out=a)
    p -= np.multiply(lr, np.divide(m, size, out=a), out=a)
