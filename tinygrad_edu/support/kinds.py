"""Names for the types of arguments, for type checkers and readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

__all__ = ["Axes", "Operand", "Shape", "SupportsArray"]


class SupportsArray(Protocol):
    """What NumPy can convert to an array: a Tensor is one, and a Series of pandas."""

    def __array__(self) -> Any: ...


# An input of an op. Not a Sequence, because a string is one too.
Operand: TypeAlias = SupportsArray | float | list[Any] | tuple[Any, ...] | range

Axes: TypeAlias = int | Sequence[int] | None  # None: all of them
Shape: TypeAlias = int | Sequence[int]
