"""Nested tuples, lists, dicts and dataclasses: list their leaves, or replace them.

A *leaf* is anything else, except None, which counts as empty. The parts of a dataclass
are the fields that its ``__init__`` takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from functools import lru_cache
from typing import Any

__all__ = ["fields", "is_structure", "keyed_parts", "leaves", "pairs", "rebuild"]

CONTAINERS = (tuple, list, dict)


# Both run for each leaf of each call: cached, they are faster than `isinstance`.
@lru_cache(maxsize=1024)
def _has_parts(kind: Any) -> bool:
    return issubclass(kind, CONTAINERS) or bool(_field_names(kind))


@lru_cache(maxsize=1024)
def _field_names(kind: Any) -> tuple[str, ...]:
    # A Module is a leaf, even if it is a dataclass: it finds its own parameters.
    if not hasattr(kind, "__dataclass_fields__") or hasattr(kind, "load_state_dict"):
        return ()
    from dataclasses import fields  # there is a dataclass, so it is loaded already

    return tuple(field.name for field in fields(kind) if field.init)


def fields(x: Any) -> dict[str, Any]:
    """Return the parts of a dataclass; {} for anything else."""
    return {name: getattr(x, name) for name in _field_names(x.__class__)}


def is_structure(x: Any) -> bool:
    """Return whether `x` is a tuple, a list, a dict or a dataclass.

    >>> is_structure([1, 2]), is_structure("ab")
    (True, False)
    """
    return _has_parts(x.__class__)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves, in order.

    >>> leaves({"w": [1, 2], "b": (3, None)})
    [1, 2, 3]
    """
    if not _has_parts(tree.__class__):
        return [] if tree is None else [tree]
    if not isinstance(tree, CONTAINERS):
        return leaves(fields(tree))
    parts = tree.values() if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in leaves(part)]


def rebuild(tree: Any, contents: Iterable[Any]) -> Any:
    """Return a tree of the same structure with other leaves.

    >>> rebuild({"w": [1, 2], "b": (3, None)}, "xyz")
    {'w': ['x', 'y'], 'b': ('z', None)}
    """
    contents = iter(contents)
    if not _has_parts(tree.__class__):
        return None if tree is None else next(contents)
    if not isinstance(tree, CONTAINERS):
        parts = rebuild(fields(tree), contents)
        new = type(tree)(**parts)
        for name, part in parts.items():  # which a `__post_init__` may have changed
            object.__setattr__(new, name, part)
        return new
    if isinstance(tree, dict):
        new = copy(tree)  # keeps a subclass of dict
        new.update((key, rebuild(part, contents)) for key, part in tree.items())
        return new
    parts = [rebuild(part, contents) for part in tree]
    kind = type(tree)
    return kind(*parts) if hasattr(tree, "_fields") else kind(parts)


def keyed_parts(tree: Any) -> dict[Any, Any]:
    """Return the parts by their keys, positions or names; {} for a leaf."""
    if isinstance(tree, tuple | list):
        return dict(enumerate(tree))
    return tree if isinstance(tree, dict) else fields(tree)


def pairs(tree: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    """Pair the leaves of two trees of the same structure.

    Raises
    ------
    ValueError
        If the structures differ.
    """
    if not _has_parts(tree.__class__):
        if tree is not None:
            yield tree, other
        return
    own, others = keyed_parts(tree), keyed_parts(other)
    if _kind(tree) is not _kind(other) or own.keys() != others.keys():
        raise ValueError(f"expected {_structure(tree)}, got {_structure(other)}")
    for key, part in own.items():
        yield from pairs(part, others[key])


def _kind(tree: Any) -> Any:
    """Return the type; one for all dicts, and one for all tuples and lists."""
    if isinstance(tree, dict):
        return dict
    return list if isinstance(tree, tuple | list) else type(tree)


def _structure(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict of {', '.join(map(repr, tree)) or 'nothing'}"
    if isinstance(tree, tuple | list):
        return f"a {type(tree).__name__} of {len(tree)}"
    return f"one {type(tree).__name__}"
