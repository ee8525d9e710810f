"""Whether a saved state fits what it is loaded into: all that differs, told at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.support.printable import printable, type_name

__all__ = ["is_number", "matched", "raise_for", "wrong_names"]


def matched(state: Any, wanted: Mapping[str, Any], whose: str) -> dict[str, Any]:
    """Return copies of what is in a state, if it is what is wanted.

    Parameters
    ----------
    state : mapping of str to array, Tensor, number, or tuple of numbers
    wanted : mapping of the same
        What the state must be like: the same names; arrays of the same shapes and
        dtypes; numbers, and tuples of as many of them.
    whose : str
        Begins the error.

    Raises
    ------
    TypeError
        If the state is no mapping.
    ValueError
        If it differs. The message names every entry that is missing, unknown or of
        another kind.

    Examples
    --------
    >>> matched({"w": np.ones(2), "lr": 1}, {"w": np.zeros(2), "lr": 0.1}, "mine")
    {'w': array([1., 1.]), 'lr': 1}
    >>> matched({"w": np.ones(3), "v": 2}, {"w": np.zeros(2), "lr": 0.1}, "mine")
    Traceback (most recent call last):
    ValueError: mine: the state does not fit, and nothing was changed:
    - missing: lr
    - unknown: v
    - w: float64 (3,), where float64 (2,) is wanted
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
    """Tell which entries a state lacks, and which it should not have."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"{whose}: a state is a mapping, as state_dict() gives it, and not a "
            f"{type_name(state)}"
        )
    missing = [printable(name) for name in wanted if name not in state]
    unknown = [printable(name) for name in state if name not in wanted]
    faults = {"missing": missing, "unknown": unknown}
    return [f"{fault}: {', '.join(names)}" for fault, names in faults.items() if names]


def raise_for(faults: list[str], whose: str) -> None:
    """Raise if there are any."""
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
    """Return a copy of what is found, of the kind of what is wanted; or raise."""
    x = getattr(x, "array", x)  # a Tensor's value
    if isinstance(like, np.ndarray):
        fits = isinstance(x, np.ndarray | np.generic) and x.shape == like.shape
        if not fits or x.dtype != like.dtype:
            way_out = f"; convert it with astype({like.dtype})" * fits
            raise ValueError(f"{_tell(x)}, where {_tell(like)} is wanted{way_out}")
        return np.array(x)
    # Files know no tuples, and their numbers are arrays without dimensions.
    number = x.tolist() if isinstance(x, np.ndarray | np.generic) else x
    number = tuple(number) if isinstance(number, list) else number
    is_alike = is_number(number) and _kind(number) == _kind(like)
    if not is_alike:
        raise ValueError(f"{_tell(x)}, where {_kind(like)} is wanted")
    return number


def _tell(x: Any) -> str:
    return f"{x.dtype} {x.shape}" if hasattr(x, "dtype") else repr(x)


def _kind(number: Any) -> str:
    if isinstance(number, tuple):
        return f"a tuple of {len(number)} numbers"
    return "True or False" if isinstance(number, bool | np.bool) else "a number"
