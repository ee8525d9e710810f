"""Python expressions that lead to things: so a program finds them at every call."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

__all__ = ["Condition", "References", "Site"]

ITEMS = (list, dict, deque)  # what keeps things under a number or key
_CELL = type((lambda x: lambda: x)(0).__closure__[0])  # type: ignore[index]


class Condition(NamedTuple):
    """What must hold for a program to be right: a Python expression, and of what."""

    source: str
    path: str


class Site(NamedTuple):
    """A place where an array is kept, which a program reads afresh."""

    access: str  # a Python expression
    path: str  # what the user calls it
    container: Any
    key: Any  # an item's, or an attribute's; a closure's cell has none

    def get(self) -> Any:
        if isinstance(self.container, _CELL):
            return self.container.cell_contents
        if isinstance(self.container, ITEMS):
            return self.container[self.key]
        return getattr(self.container, self.key)

    def set(self, value: Any) -> None:
        if isinstance(self.container, _CELL):
            self.container.cell_contents = value
        elif isinstance(self.container, ITEMS):
            self.container[self.key] = value
        else:
            setattr(self.container, self.key, value)


class References:
    """Names for objects, of which expressions are made.

    Attributes
    ----------
    names : dict of str to object
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.names: dict[str, Any] = {}
        self._known: dict[int, str] = {}
        self._arguments = {"args": args, "kwargs": kwargs}

    def __call__(self, thing: Any) -> str:
        """Return the name of an object; give it one, if it has none yet."""
        name = self._known.setdefault(id(thing), f"o{len(self.names)}")
        self.names[name] = thing
        return name

    def evaluate(self, access: str) -> Any:
        return eval(access, self.names, self._arguments)
