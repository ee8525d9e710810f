"""Whether a function does the same each time that it is run."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import Variable
from tinygrad_edu.compiler.refusals import place
from tinygrad_edu.compiler.surroundings import PLAIN

__all__ = ["OutOfReach", "alike"]


class OutOfReach:
    """Stands for an iterator: what it gives next cannot be given back."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __iter__(self) -> Any:
        raise TypeError(
            f"compile: the function takes the next item of {self.path}, at {place()}, "
            "which the program would not do again; take it outside, and pass it as an "
            "argument"
        )

    __next__ = __iter__


def alike(a: Any, b: Any, same: dict[Variable, Variable]) -> bool:
    """Whether arguments of two runs are the same."""
    if isinstance(a, Variable) and isinstance(b, Variable):
        if a.constant is None or b.constant is None:
            return same.get(a) is b
        a, b = a.constant, b.constant
        nan = a.dtype.kind in "fc"
        return a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=nan))
    if type(a) is not type(b):
        return False
    if isinstance(a, slice):
        parts = zip((a.start, a.stop, a.step), (b.start, b.stop, b.step))
    elif isinstance(a, dict):
        parts = zip(a.values(), b.values())
        if a.keys() != b.keys():
            return False
    elif isinstance(a, list | tuple):
        parts = zip(a, b)
        if len(a) != len(b):
            return False
    else:
        return not isinstance(a, PLAIN) or bool(a == b) or a != a
    return all(alike(x, y, same) for x, y in parts)
