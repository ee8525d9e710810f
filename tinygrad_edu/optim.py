"""Optimisers: what a step does to the parameters, given their gradients.

A step changes each parameter in its own memory, and what it computes on the way is in
memory that is there from step to step: `Optimiser.scratch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, ClassVar

import numpy as np

from tinygrad_edu.engine.graph import current_mode, value_of
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support.states import is_number, matched, raise_for

__all__ = ["SGD", "Adam", "AdamW", "Optimiser", "RMSprop", "clip_gradients"]

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
    limits : dict of str to float
        Of the class: the numbers that are at least 0, by name, each below its limit.
        Whatever sets them is held to it: constructor, attribute and `load_state_dict`.

    Raises
    ------
    ValueError
        If there are none.
    TypeError
        If one of them is not such a Tensor.

    Notes
    -----
    Numbers such as ``lr`` are attributes, and may be changed between steps, those of a
    compiled function as well. To write an optimiser of your own, keep its numbers in
    attributes and define ``update``.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> class SignDescent(tg.optim.Optimiser):
    ...     def __init__(self, params, lr):
    ...         super().__init__(params)
    ...         self.lr = lr
    ...
    ...     def update(self, p, g):
    ...         p -= self.lr * np.sign(g)
    >>> w = tg.Tensor([3.0, -4.0], requires_grad=True)
    >>> optimiser = SignDescent([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimiser.step()
    >>> w.numpy()
    array([ 2.5, -3.5])
    """

    limits: ClassVar[dict[str, float]] = {"steps": np.inf}

    def __init__(self, params: Iterable[Tensor], *state: str) -> None:
        self.params = _leaves(params, type(self).__name__)
        if len(set(self.params)) < len(self.params):
            raise ValueError(f"{type(self).__name__}: a parameter is there twice")
        self.state = {
            name: [np.zeros_like(p.data) for p in self.params] for name in state
        }
        self.steps = 0
        self._scratch: dict[Any, Array] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, unless it is a number beyond its limit."""
        for fault in self._faults(name, value):
            raise ValueError(f"{type(self).__name__}: {fault}")
        super().__setattr__(name, value)

    def _faults(self, name: str, value: Any) -> list[str]:
        """Say what is wrong with a number that is to be set."""
        limit = self.limits.get(name)
        if limit is None or current_mode.get().tape is not None:
            return []
        parts = {name: value}
        if isinstance(value, tuple):  # of betas one is beta1
            parts = {f"{name.removesuffix('s')}{i}": x for i, x in enumerate(value, 1)}
        below = f" and below {limit}" if limit < np.inf else ""
        faults = []
        for part, x in parts.items():
            if not is_number(x):
                raise TypeError(f"{type(self).__name__}: {part}={x!r} is no number")
            if not 0 <= x < limit:
                faults.append(f"{part}={x!r} must be at least 0{below}")
        return faults

    def scratch(self, like: Array) -> Array | None:
        """Return memory for a value like another one, so that none is allocated.

        It is the same for all values of a shape and dtype; None, which means new
        memory, while the step is recorded by `compile`.
        """
        if current_mode.get().tape is not None:
            return None
        key = like.shape, like.dtype
        memory = self._scratch.get(key)
        if memory is None:
            memory = self._scratch[key] = np.empty_like(like)
        return memory

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
        tape = current_mode.get().tape
        if tape is not None:
            tape.lend(self)
        moved = [i for i, p in enumerate(self.params) if p.accumulated is not None]
        if not moved:
            raise ValueError(
                f"{type(self).__name__}: no parameter has a gradient; "
                "call backward() on the loss before step()"
            )
        super().__setattr__("steps", self.steps + 1)  # there is nothing to check
        for i in moved:
            p = self.params[i]
            state = [arrays[i] for arrays in self.state.values()]
            if tape is None:
                self.update(p.array, p.accumulated.array, *state)
            else:
                self.update(value_of(p), value_of(p.accumulated), *state)

    def zero_grad(self) -> None:
        """Forget the gradients that were accumulated."""
        if (tape := current_mode.get().tape) is not None:
            tape.lend(self)
        for p in self.params:
            p.accumulated = None

    # --- Saving and resuming ----------------------------------------------------------

    def state_dict(self, copy: bool = True) -> dict[str, Any]:
        """Return what the next step depends on besides parameters and gradients.

        That is its numbers under their names (``lr``, ``steps``, ...), and copies of
        the arrays it remembers, under the name and the parameter's position: ``m.0``.
        Without ``copy``, the arrays themselves, which the next step changes.

        Examples
        --------
        >>> import tinygrad_edu as tg
        >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> tg.optim.SGD([w], lr=0.1, momentum=0.9).state_dict()["velocity.0"]
        array([0., 0.])
        """
        arrays = self._arrays()
        if copy:
            arrays = {name: array.copy() for name, array in arrays.items()}
        return self._numbers() | arrays

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave, of an optimiser like this one.

        The learning rate becomes the saved one as well.

        Raises
        ------
        TypeError
            If it is no mapping.
        ValueError
            If anything is missing, unknown, or of another shape or dtype, or a number
            is one that the constructor refuses. The message names all of it, and
            nothing has changed.
        """
        numbers, arrays = self._numbers(), self._arrays()
        found = matched(state, numbers | arrays, type(self).__name__)
        self.check_numbers(found)
        for name in numbers:
            setattr(self, name, found[name])
        for name, array in arrays.items():
            array[...] = found[name]

    def check_numbers(self, state: Mapping[str, Any]) -> None:
        """Raise if a number of a state is one that the constructor refuses."""
        faults = [
            x for name in self._numbers() for x in self._faults(name, state[name])
        ]
        raise_for(faults, type(self).__name__)

    def _numbers(self) -> dict[str, Any]:
        return {name: x for name, x in vars(self).items() if is_number(x)}

    def _arrays(self) -> dict[str, Array]:
        return {
            f"{name}.{i}": array
            for name, arrays in self.state.items()
            for i, array in enumerate(arrays)
        }


# What to say of numbers that do nothing if there was no momentum at first.
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

    limits: ClassVar = {
        **Optimiser.limits,
        **dict.fromkeys(("lr", "momentum", "weight_decay"), np.inf),
    }

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, *["velocity"] * bool(momentum))
        self.lr = lr
        self.momentum = momentum
        self.nesterov = nesterov
        self.weight_decay = weight_decay

    def _faults(self, name: str, value: Any) -> list[str]:
        faults = super()._faults(name, value)
        if name in _OF_VELOCITY and not (
            faults or self.state or current_mode.get().tape is not None or not value
        ):
            faults.append(_OF_VELOCITY[name])
        return faults

    def update(self, p: Array, g: Array, *velocity: Array) -> None:
        """See the class."""
        for v in velocity:
            v *= self.momentum
            v += g
            if self.nesterov:
                ahead = np.multiply(self.momentum, v, out=self.scratch(p))
                g = np.add(g, ahead, out=ahead)
            else:
                g = v
        if self.weight_decay:
            p *= 1 - self.lr * self.weight_decay
        p -= np.multiply(self.lr, g, out=self.scratch(p))


class RMSprop(Optimiser):
    r"""Steps relative to the recent gradients' size (Tieleman and Hinton, 2012).

    From lecture 6.5 of their course: with the running mean of squares
    :math:`v \leftarrow \alpha v + (1-\alpha) g^2`,

    .. math:: w \leftarrow w - \eta\, g / (\sqrt{v} + \epsilon)

    Parameters
    ----------
    params : iterable of Tensor
        The parameters, ``model.parameters()``.
    lr : float
        The learning rate, eta.
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
    The first step is that of a mean which began at 0, and so it is large.

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
        self.lr = lr
        self.alpha = alpha
        self.eps = eps

    def update(self, p: Array, g: Array, *state: Array) -> None:
        """See the class."""
        (v,) = state
        a = self.scratch(p)
        _average(v, self.alpha, np.multiply(g, g, out=a), a)
        root = np.sqrt(v, out=a)
        root += self.eps
        p -= np.multiply(self.lr, np.divide(g, root, out=a), out=a)


class Adam(Optimiser):
    r"""Steps of about one size for every weight (Kingma and Ba, 2015, algorithm 1).

    With the running means :math:`m \leftarrow \beta_1 m + (1-\beta_1) g` and
    :math:`v \leftarrow \beta_2 v + (1-\beta_2) g^2`, and :math:`\hat m`, :math:`\hat v`
    the same over :math:`1-\beta^t`,

    .. math:: w \leftarrow w - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)

    Numbers are put together first, as the paper says at the end of its section 2.

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
        self.lr = lr
        self.betas = beta1, beta2
        self.eps = eps

    def update(self, p: Array, g: Array, *state: Array) -> None:
        """See the class."""
        beta1, beta2 = self.betas
        m, v = state
        a = self.scratch(p)
        _average(m, beta1, g, a)
        _average(v, beta2, np.multiply(g, g, out=a), a)
        c1, c2 = 1 - beta1**self.steps, (1 - beta2**self.steps) ** 0.5
        root = np.sqrt(v, out=a)
        root += self.eps * c2
        p -= np.multiply(self.lr * c2 / c1, np.divide(m, root, out=a), out=a)


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

    def update(self, p: Array, g: Array, *state: Array) -> None:
        """See the class."""
        p *= 1 - self.lr * self.weight_decay
        super().update(p, g, *state)


def _average(mean: Array, beta: float, x: Array, memory: Array | None) -> None:
    """Let a mean follow `x`: ``mean <- beta * mean + (1 - beta) * x``."""
    mean += np.multiply(1 - beta, np.subtract(x, mean, out=memory), out=memory)


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Any:
    r"""Shorten the gradient, of all parameters as one vector, if it is too long.

    :math:`g \leftarrow g \, c / \max(\lVert g \rVert, c)` (Pascanu, Mikolov and Bengio,
    2013, algorithm 1), each in its own memory. Call it after ``backward()`` and before
    ``step()``; also in a compiled step.

    Parameters
    ----------
    parameters : iterable of Tensor
        Those without a gradient are left out.
    max_norm : float
        The largest length, c.

    Returns
    -------
    NumPy scalar
        The length before. If it is NaN or infinite, the gradients are as they were:
        there is no length to scale by, so look at it if that may happen.

    Raises
    ------
    ValueError
        If no parameter has a gradient, or `max_norm` is not positive.
    TypeError
        If one of them is no leaf Tensor that requires a gradient.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()  # the gradient is 2 w
    >>> tg.optim.clip_gradients([w], max_norm=5.0).item()
    10.0
    >>> w.grad
    Tensor([3., 4.])
    """
    if isinstance(max_norm, int | float) and not max_norm > 0:
        raise ValueError(f"clip_gradients: max_norm={max_norm!r} must be above 0")
    leaves = _leaves(parameters, "clip_gradients")
    moved = [p for p in leaves if p.grad is not None]
    if not moved:
        raise ValueError(
            "clip_gradients: no parameter has a gradient; call backward() on the loss "
            "before"
        )
    for p in moved:
        if not p.grad.is_leaf:  # its graph remembers the value
            p.grad = Tensor(p.grad.data.copy())
    gradients = [p.grad.data for p in moved]
    # In units of the largest element, so that no square overflows.
    largest = [np.max(np.abs(g)) for g in gradients if g.size]
    unit = reduce(np.maximum, largest or [0.0])
    unit = np.where(np.isfinite(unit) & (unit > 0), unit, 1)
    norm = unit * np.sqrt(sum(np.sum(np.square(g / unit)) for g in gradients))
    scale = np.where(np.isfinite(norm), max_norm / np.maximum(norm, max_norm), 1)
    for g in gradients:
        g *= scale
    return norm


def _leaves(params: Any, who: str) -> list[Tensor]:
    """Return a list of parameters; raise if they are none."""
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise TypeError(
            f"{who}: {type(params).__name__} is no list of parameters; pass "
            "model.parameters() or [w]"
        )
    leaves = list(params)
    if not leaves:
        raise ValueError(f"{who}: there are no parameters")
    for p in leaves:
        if not (isinstance(p, Tensor) and p.requires_grad and p.is_leaf):
            raise TypeError(
                f"{who}: {p!r} is no leaf Tensor that requires a gradient; pass "
                "model.parameters()"
            )
    return leaves
