"""What a function uses besides its arguments, and how to notice that it has changed.

From the function's own code: what its closures, globals, methods and attributes lead to.
Arrays found there become inputs of the program, read afresh at every call; everything
else is frozen into it, and guarded.
"""

from __future__ import annotations

import functools
import inspect
import random
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.optim import Optimiser
from tinygrad_edu.tensor import Tensor

__all__ = ["Condition", "Site", "Surroundings"]

MANY = 1000  # the elements of a longer list are not looked at
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
PLAIN = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype)


class Condition(NamedTuple):
    """What must hold for a program to be right: a Python expression, and its subject."""

    source: str
    path: str


class Site(NamedTuple):
    """A place where an array or a number is kept, which a program reads afresh."""

    access: str  # a Python expression
    path: str  # what the user calls it
    container: Any
    key: Any

    def get(self) -> Any:
        if self.key is None:
            return self.container.cell_contents
        return self.container[self.key]

    def set(self, value: Any) -> None:
        if self.key is None:
            self.container.cell_contents = value
        else:
            self.container[self.key] = value


class Surroundings:
    """What a function leads to.

    Attributes
    ----------
    tensors : dict of Tensor to str
        With the path to each.
    arrays, numbers : list of Site
        The numbers are the optimisers': a learning rate may change from call to call.
    generators : list
        Of random numbers.
    conditions : list of Condition
    names : dict of str to object
        What the expressions speak of.
    """

    def __init__(self, f: Callable[..., Any], others: dict[str, Any]) -> None:
        self._f = f  # the user's, in whatever module: a docstring's, say
        self._words: set[str] = set()
        while True:  # a function that is found may mention more names
            before = len(self._words)
            self.tensors: dict[Tensor, str] = {}
            self.arrays: list[Site] = []
            self.numbers: list[Site] = []
            self.generators: list[Any] = []
            self.conditions: list[Condition] = []
            self.names: dict[str, Any] = {}
            self._references: dict[int, str] = {}
            self._seen: set[int] = set()
            self._array_sites: dict[int, Site] = {}
            self._containers: list[tuple[Any, Any]] = []
            self._visit(f, self.refer(f), "")
            for access, thing in others.items():
                self._visit(thing, access, access)
            if len(self._words) == before:
                break

    def refer(self, thing: Any) -> str:
        """Return a name for an object, by which expressions speak of it."""
        name = self._references.get(id(thing))
        if name is None:
            name = self._references[id(thing)] = f"o{len(self.names)}"
            self.names[name] = thing
        return name

    def _visit(
        self, thing: Any, access: str, path: str, site: Site | None = None
    ) -> None:
        if isinstance(thing, Tensor):
            self._require(f"{access} is {self.refer(thing)}", path)
            self.tensors.setdefault(thing, thing.name or path)
        elif isinstance(thing, np.ndarray) and thing.dtype.kind in "fiub":
            self._visit_array(thing, access, path, site)
        elif isinstance(thing, PLAIN):
            self._visit_plain(thing, access, path)
        else:
            reference = self.refer(thing)
            if access != reference:
                self._require(f"{access} is {reference}", path)
            if id(thing) in self._seen:
                return
            self._seen.add(id(thing))
            self._visit_inside(thing, reference, path)

    def _require(self, source: str, path: str) -> None:
        if source not in {c.source for c in self.conditions[-50:]}:
            self.conditions.append(Condition(source, path))

    def _visit_array(
        self, array: Any, access: str, path: str, site: Site | None
    ) -> None:
        if site is None:  # in a tuple, where nothing can be put in its place
            copy = self.refer(array.copy())
            self._require(f"({access} == {copy}).all()", path)
            return
        known = self._array_sites.setdefault(id(array), site)
        if known is site:
            self.arrays.append(site)
        else:
            self._require(f"{access} is {known.access}", path)

    def _visit_plain(self, thing: Any, access: str, path: str) -> None:
        if thing is None or isinstance(thing, bool):
            self._require(f"{access} is {thing}", path)
        elif thing != thing:
            self._require(f"{access} != {access}", path)
        else:
            self._require(f"{access} == {self.refer(thing)}", path)

    def _visit_inside(self, thing: Any, reference: str, path: str) -> None:
        if isinstance(thing, FunctionType):
            self._visit_function(thing, path)
        elif isinstance(thing, MethodType):
            self._visit(thing.__self__, self.refer(thing.__self__), path or "self")
            self._visit(thing.__func__, self.refer(thing.__func__), path)
        elif isinstance(thing, functools.partial):
            for part in (thing.func, thing.args, thing.keywords):
                self._visit(part, self.refer(part), path)
        elif isinstance(thing, list | tuple):
            if isinstance(thing, list):
                self._containers.append((thing, thing.copy()))
                self._require(
                    f"len({reference}) == {len(thing)}", f"the length of {path}"
                )
            for i, part in enumerate(thing[:MANY]):
                self._visit_item(part, thing, reference, i, f"{path}[{i}]")
        elif isinstance(thing, dict):
            self._containers.append((thing, thing.copy()))
            self._require(f"len({reference}) == {len(thing)}", f"the length of {path}")
            for key, part in list(thing.items())[:MANY]:
                self._visit_item(part, thing, reference, key, f"{path}[{key!r}]")
        elif isinstance(thing, ModuleType):
            if not _is_library(thing.__name__):
                self._visit_names(vars(thing), path)
        elif isinstance(thing, type):
            self._visit_class(thing, path)
        elif isinstance(thing, GENERATORS):
            self.generators.append(thing)
        elif isinstance(thing, Optimiser):
            self._visit_optimiser(thing, path)
        elif hasattr(thing, "__dict__"):
            self._visit(type(thing), self.refer(type(thing)), type(thing).__name__)
            everything = _is_library(type(thing).__module__)
            self._visit_names(vars(thing), path, everything)

    def _visit_item(
        self, part: Any, whole: Any, reference: str, key: Any, path: str
    ) -> None:
        literal = repr(key) if isinstance(key, str | int) else self.refer(key)
        access = f"{reference}[{literal}]"
        site = None if isinstance(whole, tuple) else Site(access, path, whole, key)
        self._visit(part, access, path, site)

    def _visit_names(self, names: dict[str, Any], path: str, all: bool = False) -> None:
        """Visit the attributes, or globals, that code speaks of."""
        self._containers.append((names, names.copy()))
        reference = self.refer(names)
        prefix = f"{path}." if path else ""
        for name, part in list(names.items()):
            if all or name in self._words:
                self._visit_item(part, names, reference, name, prefix + name)

    def _visit_optimiser(self, optimiser: Optimiser, path: str) -> None:
        attributes = vars(optimiser)
        self._containers.append((attributes, attributes.copy()))
        reference = self.refer(attributes)
        for name, part in attributes.items():
            if _is_number(part) or (
                isinstance(part, tuple) and all(map(_is_number, part))
            ):
                access = f"{reference}[{name!r}]"
                self.numbers.append(Site(access, f"{path}.{name}", attributes, name))
            else:
                self._visit_item(part, attributes, reference, name, f"{path}.{name}")
        self._visit(type(optimiser), self.refer(type(optimiser)), path)

    def _visit_function(self, f: FunctionType, path: str) -> None:
        if _is_library(f.__module__) and f is not self._f:
            return
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
            access = f"{self.refer(cell)}.cell_contents"
            try:
                part = cell.cell_contents
            except ValueError:  # not yet assigned
                continue
            self._visit(part, access, name, Site(access, name, cell, None))
        for part in (f.__defaults__, f.__kwdefaults__):
            if part:
                self._visit(part, self.refer(part), path)
        words = set(_words(f.__code__))
        self._words |= words
        used = {name: f.__globals__[name] for name in words if name in f.__globals__}
        reference = self.refer(f.__globals__)
        for name, part in used.items():
            self._visit_item(part, f.__globals__, reference, name, name)

    def _visit_class(self, kind: type, path: str) -> None:
        """Visit the methods and class attributes that code speaks of."""
        for base in kind.__mro__:
            if _is_library(base.__module__):
                continue
            for name, part in vars(base).items():
                if name.startswith("__") and name not in ("__call__", "__getitem__"):
                    continue
                if not (
                    name in self._words or name in ("__call__", "forward", "update")
                ):
                    continue
                if isinstance(part, staticmethod | classmethod):
                    part = part.__func__
                if isinstance(part, FunctionType | property):
                    part = part.fget if isinstance(part, property) else part
                    self._visit(part, self.refer(part), name)
                elif isinstance(part, PLAIN):
                    access = f"{self.refer(base)}.{name}"
                    self._visit_plain(part, access, f"{base.__name__}.{name}")

    def broken(self, args: Any, kwargs: Any) -> list[Condition]:
        """Return the conditions that no longer hold."""
        names = self.names | {"args": args, "kwargs": kwargs}
        return [c for c in self.conditions if not _holds(c, names)]

    def restore(self) -> None:
        """Put back what lists, dicts and attributes held at first."""
        for container, contents in self._containers:
            container.clear()
            container.update(contents) if isinstance(
                container, dict
            ) else container.extend(contents)


def _holds(condition: Condition, names: dict[str, Any]) -> bool:
    try:
        return bool(eval(condition.source, dict(names)))
    except (LookupError, AttributeError, ValueError):
        return False


def _is_number(x: Any) -> bool:
    return type(x) in (int, float)


def _words(code: CodeType) -> Iterator[str]:
    """Give the names that a function's code speaks of, those nested in it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _words(constant)


def _is_library(module: str | None) -> bool:
    """Whether code is not the user's: Python's, NumPy's, this package's."""
    root = (module or "").partition(".")[0]
    return root in sys.stdlib_module_names or root in (
        "numpy",
        "tinygrad_edu",
        "builtins",
    )
