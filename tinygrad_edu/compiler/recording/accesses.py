"""Python expressions that lead to objects: a program finds them at every call."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

__all__ = ["References", "Site"]


class Site(NamedTuple):
    """A place where something is kept; an open one can be given something else."""

    access: str  # a Python expression
    path: str  # what the user calls it
    container: Any = None
    key: Any = None  # an item's number or key, or an attribute's name
    of_optimiser: bool = False  # which computes with it, and changes it

    def is_open(self) -> bool:
        return self.container is not None

    def get(self) -> Any:
        if isinstance(self.container, list | dict | deque):
            return self.container[self.key]
        return getattr(self.container, self.key)

    def set(self, value: Any) -> None:
        if isinstance(self.container, list | dict | deque):
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
