"""What a function uses besides its arguments, and how to notice that it has changed.

The function's own code leads to it: closures, globals, defaults, what these hold, and
the attributes of modules and optimisers among them. Arrays found there, and what an
optimiser computes with, are read afresh at every call of the program; everything else
is frozen into it, and guarded.
"""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import operator
from collections import deque
from collections.abc import Container, Iterable, Iterator
from types import CellType, CodeType, FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_edu.compiler.expressions import subscript
from tinygrad_edu.compiler.program import PLAIN
from tinygrad_edu.compiler.recording.accesses import References, Site
from tinygrad_edu.compiler.recording.refusals import is_library, is_library_code
from tinygrad_edu.engine.op import BUILT_IN, Op
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.nn import Module
from tinygrad_edu.optim import Optimiser

__all__ = ["Captured", "check_kind", "is_lent", "key_text"]

MANY = 1000  # the elements of a longer list are not looked into
# Where code asks for attributes by names that are not written in it.
BY_NAME = {"getattr", "vars", "__dict__", "attrgetter"}


class Captured:
    """The objects that the code of functions leads to.

    Attributes
    ----------
    conditions : list of str
        Python expressions: if one is false, something has changed.
    sites : dict of str to Site
        Where arrays are, and an optimiser's numbers; by the expressions.
    tensors : dict of int to Tensor
        By `id`.
    masks : list of ndarray
        Arrays of bool, which are frozen into the program.
    paths : dict of int to str
        What the user calls Tensors, by `id`.
    """

    def __init__(self, things: dict[str, Any], refer: References) -> None:
        self.refer = refer
        self._words: set[str] = set()  # that the code speaks of
        known = -1
        while len(self._words) > known:  # a method may speak of more
            known = len(self._words)
            self._visit_all(things)

    def _visit_all(self, things: dict[str, Any]) -> None:
        self.conditions: list[str] = []
        self.sites: dict[str, Site] = {}
        self.tensors: dict[int, Tensor] = {}
        self.masks: list[np.ndarray[Any, Any]] = []
        self.paths: dict[int, str] = {}
        self._seen: set[int] = set()
        self._classes: set[int] = set()
        self._arrays: dict[int, str] = {}  # with the access to the first of its sites
        for access, thing in things.items():
            self._visit(thing, Site(access, ""))

    def knows(self, thing: Any) -> bool:
        """Whether an object was found."""
        return id(thing) in self._seen

    def _visit(self, thing: Any, site: Site) -> None:
        if isinstance(thing, np.ndarray) and thing.dtype.kind in "fiub":
            self._visit_array(thing, site)
            return
        if isinstance(thing, PLAIN):
            self._visit_plain(thing, site.access)
            return
        reference = self.refer(thing)
        if site.access != reference:
            self.conditions.append(f"{site.access} is {reference}")
        if isinstance(thing, tuple) and site.is_open() and _has_arrays(thing):
            self.sites[site.access] = site
        self.paths.setdefault(id(thing), site.path)
        if isinstance(thing, Tensor):
            self.tensors[id(thing)] = thing
        elif id(thing) not in self._seen:
            self._seen.add(id(thing))
            self._visit_inside(thing, reference, site.path)

    def _visit_array(self, array: Any, site: Site) -> None:
        check_kind(array, site.path or "an array")
        access = site.access
        if site.is_open() and is_lent(array):
            self.sites.setdefault(access, site)  # it may be an optimiser's
            known = self._arrays.setdefault(id(array), access)
            if known != access:
                self.conditions.append(f"{access} is {known}")
            return
        self.conditions.append(f"{access} is {self.refer(array)}")
        if array.dtype == bool:
            self.conditions.append(f"({access} == {self.refer(array.copy())}).all()")
            self.masks.append(array)

    def _visit_plain(self, thing: Any, access: str) -> None:
        # The same object is the quick answer. 2 is not 2.0 here, and 0.0 not -0.0.
        kind = self.refer(type(thing))
        equal = f"{access} == {self.refer(thing)}"
        if thing != thing or not thing:
            equal = f"repr({access}) == {self.refer(repr(thing))}"
        same = f"{access} is {self.refer(thing)}"
        self.conditions.append(f"({same} or {access}.__class__ is {kind} and {equal})")

    def _visit_parts(self, parts: Iterable[Any], path: str) -> None:
        """Visit parts that an object always has."""
        for part in parts:
            self._visit(part, Site(self.refer(part), path))

    def _visit_inside(self, thing: Any, reference: str, path: str) -> None:
        if inspect.isfunction(thing):
            self._visit_function(thing, path)
        elif inspect.ismethod(thing):
            self._visit_parts((thing.__self__, thing.__func__), path or "self")
        elif isinstance(thing, functools.partial):
            self._visit_parts((thing.func, thing.args, thing.keywords), path)
        elif isinstance(thing, Op):
            if thing.name not in BUILT_IN:
                self._visit_parts((thing.forward, *thing.rules.values()), thing.name)
        elif isinstance(thing, list | tuple | deque):
            self._visit_elements(thing, reference, path)
        elif isinstance(thing, dict):
            keys = self.refer(list(thing))
            self.conditions.append(f"[*{reference}] == {keys}")
            for key in list(thing)[:MANY]:
                self._visit_item(thing, reference, key, f"{path}[{key_text(key)}]")
        elif isinstance(thing, set | frozenset | bytearray):
            content = self.refer(type(thing)(thing))
            self.conditions.append(f"{reference} == {content}")
        elif inspect.ismodule(thing):
            if not is_library(thing.__name__):
                self._visit_names(vars(thing), path, self._words)
        elif isinstance(thing, type):
            self._visit_classes(thing)
        elif isinstance(thing, Optimiser):
            self._visit_optimiser(thing, path)
        elif isinstance(thing, property):
            self._visit_parts([thing.fget], path)
        elif hasattr(thing, "__wrapped__"):  # as a compiled function, or a staticmethod
            self._visit_parts([thing.__wrapped__], path)
        elif isinstance(thing, Module | SimpleNamespace) or not is_library(
            type(thing).__module__
        ):
            self._visit_object(thing, reference, path)

    def _visit_object(self, thing: Any, reference: str, path: str) -> None:
        """Visit the attributes that the code speaks of, or all of a module's."""
        self._visit_classes(type(thing))
        by_name = not self._words.isdisjoint(BY_NAME)
        words = None if by_name or isinstance(thing, Module) else self._words
        if hasattr(thing, "__dict__"):
            attributes = self.refer(vars(thing))
            self.conditions.append(f"len({attributes}) == {len(vars(thing))}")
            self._visit_names(vars(thing), path, words)
        slots = [
            name
            for base in type(thing).__mro__
            if "__slots__" in vars(base)
            for name, slot in vars(base).items()
            if inspect.ismemberdescriptor(slot)
        ]
        for name in slots:
            if words is not None and name not in words:
                continue
            if hasattr(thing, name):
                site = Site(f"{reference}.{name}", f"{path}.{name}", thing, name)
                self._visit(site.get(), site)
            else:
                self.conditions.append(f"not hasattr({reference}, {name!r})")

    def _visit_classes(self, kind: type) -> None:
        """Visit the methods and class attributes that the code speaks of."""
        for base in kind.__mro__:
            if is_library(base.__module__) or id(base) in self._classes:
                continue
            self._classes.add(id(base))
            names = f"vars({self.refer(base)})"
            self.conditions.append(f"len({names}) == {len(vars(base))}")
            for name, part in list(vars(base).items()):
                if name in self._words or name in ("forward", "__call__"):
                    path = f"{base.__name__}.{name}"
                    self._visit(part, Site(f"{names}[{name!r}]", path, base, name))

    def _visit_elements(self, whole: Any, reference: str, path: str) -> None:
        self.conditions.append(f"len({reference}) == {len(whole)}")
        for i in range(min(len(whole), MANY)):
            self._visit_item(whole, reference, i, f"{path}[{i}]")
        if len(whole) > MANY:  # only that the others are the same
            rest, same = self.refer(list(whole)), self.refer(operator.is_)
            self.conditions.append(f"all(map({same}, {reference}, {rest}))")

    def _visit_item(self, whole: Any, reference: str, key: Any, path: str) -> None:
        access = f"{reference}[{subscript(key, self.refer)}]"
        is_open = not isinstance(whole, tuple)
        site = Site(access, path, whole, key) if is_open else Site(access, path)
        self._visit(whole[key], site)

    def _visit_names(
        self, names: dict[str, Any], path: str, words: Container[str] | None = None
    ) -> None:
        """Visit attributes: all, or those of some names."""
        reference = self.refer(names)
        for name in list(names):
            if words is None or name in words:
                self._visit_item(names, reference, name, f"{path}.{name}".strip("."))

    def _visit_optimiser(self, optimiser: Optimiser, path: str) -> None:
        """Note where its numbers and its state are; visit the rest."""
        attributes = vars(optimiser)
        numbers = [name for name, x in attributes.items() if _is_setting(x)]
        others = attributes.keys() - {*numbers, "state", "_scratch"}
        self._visit_names(attributes, path, others)
        places: list[Any] = [(attributes, name, f"{path}.{name}") for name in numbers]
        state = self.refer(optimiser.state)
        self.conditions.append(f"{self.refer(attributes)}['state'] is {state}")
        self.conditions.append(f"[*{state}] == {list(optimiser.state)!r}")
        for name, arrays in optimiser.state.items():
            self.conditions.append(f"{state}[{name!r}] is {self.refer(arrays)}")
            places += [(arrays, i, f"{path}.{name}[{i}]") for i in range(len(arrays))]
        for container, key, where in places:
            access = f"{self.refer(container)}[{key!r}]"
            self.sites[access] = Site(access, where, container, key, of_optimiser=True)

    def _visit_function(self, f: FunctionType, path: str) -> None:
        if is_library_code(f.__code__.co_filename, f.__globals__.get("__name__")):
            # As tg.grad(f), or @tg.no_grad, which keep the user's in a closure.
            parts = [cell.cell_contents for cell in f.__closure__ or ()]
            parts.append(getattr(f, "__wrapped__", None))
            self._visit_parts(filter(callable, parts), path)
            return
        reference, names = self.refer(f), self.refer(f.__globals__)
        self.conditions.append(f"{reference}.__code__ is {self.refer(f.__code__)}")
        codes = list(_codes(f.__code__))
        self._words.update(name for code in codes for name in code.co_names)
        sites = [
            Site(f"{self.refer(cell)}.cell_contents", name, cell, "cell_contents")
            for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ())
            if cell != CellType()  # not yet assigned
        ]
        for name in ("__defaults__", "__kwdefaults__"):
            where = f"the defaults of {f.__name__}"
            sites.append(Site(f"{reference}.{name}", where, f, name))
        for site in sites:
            self._visit(site.get(), site)
        used = dict.fromkeys(
            instruction.argval
            for code in codes
            for instruction in dis.get_instructions(code)
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
        )
        for name in used:
            if name in f.__globals__:
                self._visit_item(f.__globals__, names, name, name)
        hidden = frozenset(used) & vars(builtins).keys() - f.__globals__.keys()
        if hidden:  # a builtin may be hidden by a global of its name
            self.conditions.append(f"{names}.keys().isdisjoint({self.refer(hidden)})")
        self._visit_names(vars(f), f.__name__, self._words)


def key_text(key: Any) -> str:
    """Write a key for people to read."""
    try:
        return repr(key)
    except ValueError:  # as of a number with thousands of digits
        return type(key).__name__


def check_kind(array: Any, name: str) -> None:
    """Raise if an array is of a subclass that computes in its own way."""
    if isinstance(array, np.matrix | np.ma.MaskedArray | np.recarray):
        raise TypeError(
            f"compile: {name} is a {type(array).__name__}, which computes otherwise "
            "than an array does; use np.asarray() of it"
        )


def _is_setting(x: Any) -> bool:
    """Whether an optimiser's attribute is a number, or a tuple of numbers."""
    if isinstance(x, tuple):
        return all(map(_is_setting, x))
    kinds = int, float, np.integer, np.floating
    return isinstance(x, kinds) and not isinstance(x, bool)


def _has_arrays(x: Any) -> bool:
    if isinstance(x, tuple):
        return any(map(_has_arrays, x))
    return is_lent(x)


def is_lent(x: Any) -> bool:
    """Whether an array is read afresh: not a mask, which decides about shapes."""
    return isinstance(x, np.ndarray) and x.dtype.kind in "fiu"


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Give a function's code, and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _codes(constant)
