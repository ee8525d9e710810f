"""Convert the exact state of a random generator to plain data, and back.

Every number from a file is checked: an impossible state would make NumPy read memory
out of bounds.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

__all__ = ["from_plain", "to_plain"]

# The largest allowed integers, by their names in a state.
_LARGEST = {"pos": 624, "buffer_pos": 4, "has_gauss": 1, "has_uint32": 1}
_LARGEST |= {"uinteger": 2**32 - 1, "words": 2**32 - 1}  # words are Python's


def to_plain(state: Any) -> Any:
    """Return a generator's state as dicts, lists, numbers and text, for JSON.

    >>> to_plain(np.random.SFC64(0).state)["has_uint32"]
    0
    """
    if isinstance(state, dict):
        return {key: to_plain(part) for key, part in state.items()}
    if isinstance(state, tuple):
        return [to_plain(part) for part in state]
    return state.tolist() if isinstance(state, np.ndarray) else state


def from_plain(plain: Any, like: Any, name: str = "state") -> Any:
    """Return the generator's state from the plain data of `to_plain`.

    Parameters
    ----------
    plain : dict
        The data from a file. They are checked, since a file may contain anything.
    like : dict
        The present state of a generator of the same kind.
    name : str
        The start of the error message.

    Raises
    ------
    ValueError
        If it is the state of another kind of generator, or no state at all.

    Examples
    --------
    >>> a, b = np.random.PCG64(0), np.random.PCG64(1)
    >>> b.state = from_plain(to_plain(a.state), b.state)
    >>> a.random_raw() == b.random_raw()
    True
    """
    if isinstance(like, dict):
        if not isinstance(plain, dict) or plain.keys() != like.keys():
            raise ValueError(
                f"{name} of a random generator: expected {', '.join(like)}"
            )
        return {key: from_plain(plain[key], like[key], key) for key in like}
    if isinstance(like, tuple | np.ndarray):
        if not isinstance(plain, list) or len(plain) != len(like):
            raise ValueError(
                f"{name} of a random generator: expected {len(like)} items"
            )
        # Only states of Python's own generators have tuples.
        inner = "words" if isinstance(like, tuple) else name
        parts = [from_plain(x, part, inner) for x, part in zip(plain, like)]
        return tuple(parts) if isinstance(like, tuple) else np.array(parts, like.dtype)
    if isinstance(like, str):
        if plain != like:
            raise ValueError(f"a random generator is a {like}, not a {plain!r}")
        return like
    if like is None or isinstance(like, float):
        is_missing = plain is None and name == "words"  # no stored normal number
        if not is_missing and not (type(plain) is float and isfinite(plain)):
            raise ValueError(f"{name} of a random generator: expected a number")
        return plain
    bits = 8 * like.itemsize if isinstance(like, np.generic) else 128
    largest = _LARGEST.get(name, 2**bits - 1)
    if type(plain) is not int or not 0 <= plain <= largest:
        raise ValueError(
            f"{name} of a random generator: expected an integer up to {largest}"
        )
    return plain
