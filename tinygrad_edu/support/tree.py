"""Nested tuples, lists and dicts: list their leaves, or replace them.

A *leaf* is anything else, except None, which counts as empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any

__all__ = ["leaves", "pairs", "rebuild"]

CONTAINERS = (tuple, list, dict)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves, in order.

    >>> leaves({"w": [1, 2], "b": (3, None)})
    [1, 2, 3]
    """
    if not isinstance(tree, CONTAINERS):
        return [] if tree is None else [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in leaves(part)]


def rebuild(tree: Any, contents: Iterable[Any]) -> Any:
    """Return a tree of the same structure with other leaves.

    >>> rebuild({"w": [1, 2], "b": (3, None)}, "xyz")
    {'w': ['x', 'y'], 'b': ('z', None)}
    """
    contents = iter(contents)
    if not isinstance(tree, CONTAINERS):
        return None if tree is None else next(contents)
    if isinstance(tree, dict):
        new = copy(tree)  # keeps a subclass of dict
        new.update((key, rebuild(part, contents)) for key, part in tree.items())
        return new
    parts = [rebuild(part, contents) for part in tree]
    kind = type(tree)
    return kind(*parts) if hasattr(tree, "_fields") else kind(parts)


def pairs(tree: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    """Pair the leaves of two trees of the same structure.

    Raises
    ------
    ValueError
        If the structures differ.
    """
    if isinstance(tree, dict):
        if not isinstance(other, dict) or tree.keys() != other.keys():
            raise ValueError(f"expected {_structure(tree)}, got {_structure(other)}")
        for key, part in tree.items():
            yield from pairs(part, other[key])
    elif isinstance(tree, tuple | list):
        if not isinstance(other, tuple | list) or len(tree) != len(other):
            raise ValueError(f"expected {_structure(tree)}, got {_structure(other)}")
        for part, counterpart in zip(tree, other):
            yield from pairs(part, counterpart)
    elif tree is not None:
        yield tree, other


def _structure(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict of {', '.join(map(repr, tree)) or 'nothing'}"
    if isinstance(tree, tuple | list):
        return f"a {type(tree).__name__} of {len(tree)}"
    return f"one {type(tree).__name__}"
