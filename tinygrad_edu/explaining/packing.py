"""Encode arrays as text, for a page of limited size."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np

__all__ = ["Arrays"]

Array = np.ndarray[Any, Any]

LONGEST = 2000  # rows or columns of a matrix; no screen shows more


class Arrays:
    """Arrays that a page refers to by number; equal arrays are kept once.

    Examples
    --------
    >>> arrays = Arrays()
    >>> arrays.add(np.float32([1, 2])), arrays.add(np.zeros((2, 3)))
    (0, 1)
    >>> arrays.add(np.float32([1, 2]))
    0
    >>> arrays.packed(budget=1000)[0]
    {'shape': [2], 'steps': [1, 1], 'type': 'f4', 'data': 'AACAPwAAAEA='}
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._arrays: list[Array] = []

    def add(self, array: Any) -> int:
        """Keep a copy of an array, and return its number."""
        array = np.asarray(array)
        kind = "f4" if _fits(array) else "f8"
        array = array.astype(f"<{kind}")
        key = array.shape, kind, array.tobytes()
        if key not in self._numbers:
            self._numbers[key] = len(self._arrays)
            self._arrays.append(array)
        return self._numbers[key]

    def packed(self, budget: int) -> list[dict[str, Any]]:
        """Write the arrays as text of at most `budget` characters in total.

        An array is written row by row (along its last axis), in base64: as float32,
        which has 7 digits, or as float64 if its values need the range. If the text
        would be too long, or an array larger than a screen, only every ``steps[0]``-th
        row and every ``steps[1]``-th column is kept. Very many arrays exceed the budget
        all the same.
        """
        limit = max((array.size for array in self._arrays), default=0)
        while True:
            packed = [_pack(array, limit) for array in self._arrays]
            if limit <= 1 or sum(len(each["data"]) for each in packed) <= budget:
                return packed
            limit = limit * 7 // 8


def _fits(array: Array) -> bool:
    """Whether float32 holds the values to 7 digits."""
    with np.errstate(all="ignore"):
        return np.allclose(array.astype("f4"), array, rtol=1e-6, atol=0, equal_nan=True)


def _pack(array: Array, limit: int) -> dict[str, Any]:
    """Write an array with at most `limit` elements; thin out the longer axis first."""
    rows = array.reshape(-1, array.shape[-1] if array.ndim and array.size else 1)
    steps = [1, 1]
    part = rows
    longest = part.size if array.ndim == 4 else LONGEST  # images are side by side
    while part.size > max(limit, 1) or max(part.shape) > longest:
        steps[int(part.shape[0] <= part.shape[1])] += 1
        part = rows[:: steps[0], :: steps[1]]
    return {
        "shape": list(array.shape),
        "steps": steps,
        "type": array.dtype.str[1:],
        "data": b64encode(part.tobytes()).decode(),
    }
