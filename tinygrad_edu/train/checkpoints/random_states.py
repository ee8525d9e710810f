"""The states of random generators as plain data, exactly, and back.

What comes from a file is checked, number for number: a state that no generator can have
would make NumPy read beyond its memory.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

__all__ = ["from_plain", "to_plain"]

# The largest integers, by their names in a state.
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
    """Return the state that `to_plain` was given.

    Parameters
    ----------
    plain : dict
        From a file, so anything.
    like : dict
        The present state of a generator of the same kind.
    name : str
        Begins the error.

    Raises
    ------
    ValueError
        If it is the state of another kind of generator, or of none at all.

    Examples
    --------
    >>> a, b = np.random.PCG64(0), np.random.PCG64(1)
    >>> b.state = from_plain(to_plain(a.state), b.state)
    >>> a.random_raw() == b.random_raw()
    True
    """
    if isinstance(like, dict):
        if not isinstance(plain, dict) or plain.keys() != like.keys():
            raise ValueError(f"{name} of a random generator: {', '.join(like)} are due")
        return {key: from_plain(plain[key], like[key], key) for key in like}
    if isinstance(like, tuple | np.ndarray):
        if not isinstance(plain, list) or len(plain) != len(like):
            raise ValueError(f"{name} of a random generator: {len(like)} items are due")
        inner = "words" if isinstance(like, tuple) else name
        parts = [from_plain(x, part, inner) for x, part in zip(plain, like)]
        return tuple(parts) if isinstance(like, tuple) else np.array(parts, like.dtype)
    if isinstance(like, str):
        if plain != like:
            raise ValueError(f"a random generator is a {like}, and not a {plain!r}")
        return like
    if like is None or isinstance(like, float):
        is_missing = plain is None and name == "words"  # Python's, if there is none
        if not is_missing and not (type(plain) is float and isfinite(plain)):
            raise ValueError(f"{name} of a random generator: a number is due")
        return plain
    bits = 8 * like.itemsize if isinstance(like, np.generic) else 128
    largest = _LARGEST.get(name, 2**bits - 1)
    if type(plain) is not int or not 0 <= plain <= largest:
        raise ValueError(f"{name} of a random generator: at most {largest} is due")
    return plain
