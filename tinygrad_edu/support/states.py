"""Check that a saved state fits the object that loads it; report all differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.support.printable import printable, type_name

__all__ = ["is_number", "matched", "raise_for", "wrong_names"]


def matched(state: Any, wanted: Mapping[str, Any], whose: str) -> dict[str, Any]:
    """Return copies of the entries of a state, if it matches `wanted`.

    Parameters
    ----------
    state : mapping of str to array, Tensor, number, or tuple of numbers
    wanted : mapping of the same
        The state must have the same names, arrays of the same shapes and dtypes,
        numbers for numbers, and tuples of the same length.
    whose : str
        The start of the error message.

    Raises
    ------
    TypeError
        If the state is not a mapping.
    ValueError
        If it does not match. The message lists every entry that is missing, unknown or
        of another kind.

    Examples
    --------
    >>> matched({"w": np.ones(2), "lr": 1}, {"w": np.zeros(2), "lr": 0.1}, "mine")
    {'w': array([1., 1.]), 'lr': 1}
    >>> matched({"w": np.ones(3), "v": 2}, {"w": np.zeros(2), "lr": 0.1}, "mine")
    Traceback (most recent call last):
    ValueError: mine: the state does not fit, and nothing was changed:
    - missing: lr
    - unknown: v
    - w: expected float64 (2,), got float64 (3,)
    """
    faults = wrong_names(state, wanted, whose)
    found = {}
    for name, like in wanted.items():
        if name in state:
            try:
                found[name] = _copy(state[name], like)
            except ValueError as fault:
                faults.append(f"{printable(name)}: {fault}")
    raise_for(faults, whose)
    return found


def wrong_names(state: Any, wanted: Mapping[str, Any], whose: str) -> list[str]:
    """List the missing and the unknown entries of a state, as error messages."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"{whose}: a state must be a mapping, such as state_dict() returns, not a "
            f"{type_name(state)}"
        )
    missing = [printable(name) for name in wanted if name not in state]
    unknown = [printable(name) for name in state if name not in wanted]
    faults = {"missing": missing, "unknown": unknown}
    return [f"{fault}: {', '.join(names)}" for fault, names in faults.items() if names]


def raise_for(faults: list[str], whose: str) -> None:
    """Raise a ValueError that lists the faults, if there are any."""
    if faults:
        raise ValueError(
            f"{whose}: the state does not fit, and nothing was changed:\n- "
            + "\n- ".join(faults)
        )


def is_number(x: Any) -> bool:
    """Whether x is a number, or a tuple of numbers."""
    if isinstance(x, tuple):
        return all(map(is_number, x))
    return isinstance(x, int | float | np.number | np.bool)


def _copy(x: Any, like: Any) -> Any:
    """Return a copy of `x` if it is of the same kind as `like`; else raise."""
    x = getattr(x, "array", x)  # a Tensor's value
    if isinstance(like, np.ndarray):
        x = _from_elsewhere(x) if hasattr(x, "__array__") else x
        fits = isinstance(x, np.ndarray | np.generic) and x.shape == like.shape
        if not fits or x.dtype != like.dtype:
            way_out = f"; convert it: np.asarray(x, {str(like.dtype)!r})" * fits
            raise ValueError(f"expected {_describe(like)}, got {_describe(x)}{way_out}")
        return np.array(x)
    # Files store tuples as lists, and numbers as arrays without dimensions.
    number = x.tolist() if isinstance(x, np.ndarray | np.generic) else x
    number = tuple(number) if isinstance(number, list) else number
    is_same_kind = is_number(number) and _number_kind(number) == _number_kind(like)
    if not is_same_kind:
        raise ValueError(f"expected {_number_kind(like)}, got {_describe(x)}")
    return number


def _from_elsewhere(x: Any) -> Any:
    """Convert another library's array, such as a torch.Tensor."""
    try:
        return np.asarray(x)
    except (TypeError, RuntimeError) as error:  # it is on a GPU, or records
        raise ValueError(f"{type_name(x)} is no array: {error}") from None


def _describe(x: Any) -> str:
    return f"{x.dtype} {x.shape}" if hasattr(x, "dtype") else repr(x)


def _number_kind(number: Any) -> str:
    if isinstance(number, tuple):
        return f"a tuple of {len(number)} numbers"
    return "True or False" if isinstance(number, bool | np.bool) else "a number"
