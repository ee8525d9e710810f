"""What all optimisers share: the step over the parameters, checks, saving, resuming.

A step changes each parameter in its own memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from tinygrad_edu.engine.graph import current_mode, value_of
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support.printable import type_name
from tinygrad_edu.support.states import is_number, matched, raise_for
from tinygrad_edu.support.table import html_table

__all__ = ["Optimiser", "checked_parameters"]

Array = np.ndarray[Any, Any]


class Optimiser:
    """The base class of optimisers; a subclass defines ``update``.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that require a gradient.
    *state : str
        The names of the arrays that ``update`` keeps for each parameter.

    Attributes
    ----------
    params : list of Tensor
    state : dict of str to list of ndarray
        For each name, an array per parameter, of its shape and dtype; zeros at first.
    steps : int
        The number of steps so far.
    limits : dict of str to float
        Of the class: the numbers that must be at least 0, by name, each with the limit
        that it must be below. The constructor, attributes and `load_state_dict` check
        them.

    Raises
    ------
    ValueError
        If there are no parameters, or one of them occurs twice.
    TypeError
        If a parameter is not a leaf Tensor that requires a gradient.

    Notes
    -----
    Numbers such as ``lr`` are attributes. You may change them between steps, also
    between calls of a compiled function. To write your own optimiser, keep its numbers
    in attributes and define ``update``.

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
        self.params = checked_parameters(params, type(self).__name__)
        if len(set(self.params)) < len(self.params):
            raise ValueError(f"{type(self).__name__}: a parameter occurs twice")
        self.state = {
            name: [np.zeros_like(p.data) for p in self.params] for name in state
        }
        self.steps = 0
        self._scratch: dict[Any, Array] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, unless it is a number beyond its limit."""
        faults = self._faults(name, value)
        if faults:
            raise ValueError(f"{type(self).__name__}: {faults[0]}")
        super().__setattr__(name, value)

    def _faults(self, name: str, value: Any) -> list[str]:
        """List what is wrong with the new value of a number."""
        limit = self.limits.get(name)
        if limit is None or current_mode.get().tape is not None:
            return []
        parts = {name: value}
        if isinstance(value, tuple):  # the first of betas is called beta1
            parts = {f"{name.removesuffix('s')}{i}": x for i, x in enumerate(value, 1)}
        below = f" and below {limit}" if limit < np.inf else ""
        faults = []
        for part, x in parts.items():
            if not is_number(x):
                raise TypeError(f"{type(self).__name__}: {part}={x!r} is not a number")
            if not 0 <= x < limit:
                faults.append(f"{part}={x!r} must be at least 0{below}")
        return faults

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={fact}" for name, fact in self._facts().items())
        return f"{type_name(self)}({facts})"

    def _repr_html_(self) -> str:
        return html_table((type_name(self), ""), self._facts().items())

    def _facts(self) -> dict[str, str]:
        """Return what to show, by name."""
        facts = {"parameters": len(self.params), **self._numbers()}
        return {name: str(fact) for name, fact in facts.items()}

    def scratch(self, like: Array) -> Array | None:
        """Return memory for an intermediate value of the shape and dtype of `like`.

        All such values share it, so that a step allocates nothing. While a tape follows
        the step, it is None, which means new memory.
        """
        if current_mode.get().tape is not None:
            return None
        key = like.shape, like.dtype
        memory = self._scratch.get(key)
        if memory is None:
            memory = self._scratch[key] = np.empty_like(like)
        return memory

    def update(self, p: Array, g: Array, *state: Any) -> None:
        """Change a parameter `p` and its state in place, using its gradient `g`.

        The arrays of the state have the order of their names.
        """
        names = "".join(f", {name}" for name in self.state)
        raise TypeError(f"{type(self).__name__}: define update(self, p, g{names})")

    def step(self) -> None:
        """Update every parameter that has a gradient.

        Raises
        ------
        ValueError
            If no parameter has a gradient.
        """
        tape = current_mode.get().tape
        if tape is not None:
            tape.step(self)
        rows = zip(self.params, *self.state.values())
        moved = [row for row in rows if row[0].accumulated is not None]
        if not moved:
            raise ValueError(
                f"{type(self).__name__}: no parameter has a gradient; "
                "call backward() on the loss before step()"
            )
        object.__setattr__(self, "steps", self.steps + 1)  # needs no check
        for p, *state in moved:
            if tape is None:
                self.update(p.array, p.accumulated.array, *state)
            else:
                self.update(value_of(p), value_of(p.grad), *state)

    def zero_grad(self) -> None:
        """Set the ``.grad`` of every parameter to None."""
        tape = current_mode.get().tape
        for p in self.params:
            if tape is not None:
                tape.see(p, is_read=False)
            p.accumulated = None

    # --- Saving and resuming ----------------------------------------------------------

    def state_dict(self, copy: bool = True) -> dict[str, Any]:
        """Return everything that the next step needs besides parameters and gradients.

        The dict has the numbers under their names (``lr``, ``steps``, ...), and copies
        of the arrays under their name and the parameter's position: ``m.0``. Without
        ``copy``, it has the arrays themselves; the next step changes them.

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
        """Continue from the `state_dict` of an optimiser like this one.

        The numbers, such as the learning rate, become the saved ones.

        Raises
        ------
        TypeError
            If the state is not a mapping.
        ValueError
            If an entry is missing, unknown, or of another shape or dtype, or if the
            constructor would refuse a number. The message lists all such entries, and
            nothing is changed.
        """
        numbers, arrays = self._numbers(), self._arrays()
        found = matched(state, numbers | arrays, type(self).__name__)
        self.check_numbers(found)
        for name in numbers:
            setattr(self, name, found[name])
        for name, array in arrays.items():
            array[...] = found[name]

    def check_numbers(self, state: Mapping[str, Any]) -> None:
        """Raise if the constructor would refuse a number of the state."""
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


def checked_parameters(params: Any, who: str) -> list[Tensor]:
    """Return a list of the parameters; raise if one is not a parameter."""
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise TypeError(
            f"{who}: {type(params).__name__} is not a list of parameters; pass "
            "model.parameters() or [w]"
        )
    leaves = list(params)
    if not leaves:
        raise ValueError(f"{who}: there are no parameters")
    for p in leaves:
        if not (isinstance(p, Tensor) and p.requires_grad and p.is_leaf):
            raise TypeError(
                f"{who}: {p!r} is not a leaf Tensor that requires a gradient; pass "
                "model.parameters()"
            )
    return leaves
