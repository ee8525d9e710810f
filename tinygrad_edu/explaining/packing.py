"""Encode arrays as text, for a page of limited size."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Container
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
        self.numbers: dict[Any, int] = {}
        self.exact: set[int] = set()  # those that a program computes with
        self._arrays: list[Array] = []

    def add(self, array: Any, of: Any = None, exact: bool = False) -> int:
        """Keep a copy of an array, and return its number.

        An array `of` something is known by that: it has a number of its own.
        """
        array = np.asarray(array)
        kind = "f4" if _fits(array, 0 if exact else 1e-6) else "f8"
        array = array.astype(f"<{kind}")
        key = of or (array.shape, kind, array.tobytes())
        number = self.numbers.setdefault(key, len(self._arrays))
        if number == len(self._arrays):
            self._arrays.append(array)
        if exact:
            self.exact.add(number)
        return number

    def packed(
        self, budget: int, computed: Container[int] = ()
    ) -> list[dict[str, Any]]:
        """Write the arrays as text of at most `budget` characters in total.

        An array is written row by row (along its last axis), in base64: as float32,
        which has 7 digits, or as float64 if its values need the range. If the text
        would be too long, or an array larger than a screen, only every ``steps[0]``-th
        row and every ``steps[1]``-th column is kept. Very many arrays exceed the budget
        all the same. A text that is there already is not written again: ``data`` is
        then the number of the array that has it. It is None for the arrays `computed`,
        which are given by number: a program fills them in.
        """
        limit = max((array.size for array in self._arrays), default=0)
        while True:
            packed = [_pack(array, limit) for array in self._arrays]
            first: dict[str, int] = {}
            for number, each in enumerate(packed):
                if number in computed:
                    each |= {"steps": [1, 1], "data": None}
                    continue
                same = first.setdefault(each["data"], number)
                if same != number:
                    each["data"] = same
            if limit <= 1 or sum(map(len, first)) <= budget:
                return packed
            limit = limit * 7 // 8


def _fits(array: Array, rtol: float) -> bool:
    """Whether float32 holds the values, up to a relative error."""
    with np.errstate(all="ignore"):
        single = array.astype("f4")
        same = (single == array) | (array != array)
        return bool((same | (np.abs(single - array) <= rtol * np.abs(array))).all())


def _pack(array: Array, limit: int) -> dict[str, Any]:
    """Write an array with at most `limit` elements; thin out the longer axis first."""
    rows = array.reshape(-1, array.shape[-1] if array.ndim and array.size else 1)
    steps = [1, 1]
    part = rows
    longest = part.size or 1 if array.ndim == 4 else LONGEST  # images are side by side
    while part.size > max(limit, 1) or max(part.shape) > longest:
        steps[int(part.shape[0] <= part.shape[1])] += 1
        part = rows[:: steps[0], :: steps[1]]
    return {
        "shape": list(array.shape),
        "steps": steps,
        "type": array.dtype.str[1:],
        "data": b64encode(part.tobytes()).decode(),
    }
