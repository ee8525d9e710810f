"""What a function uses besides its arguments, and how to notice that it has changed.

The function's own code leads to it: closures, globals, defaults, what these hold, and
the attributes of modules and optimisers among them. Arrays found there are read afresh
at every call of the program; everything else is frozen into it, and guarded.
"""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import operator
from collections import deque
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_edu.compiler.accesses import Condition, References, Site
from tinygrad_edu.compiler.expressions import subscript
from tinygrad_edu.compiler.program import PLAIN
from tinygrad_edu.compiler.refusals import is_library, is_library_code
from tinygrad_edu.engine.op import BUILT_IN, Op
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.nn import Module
from tinygrad_edu.optim import Optimiser
from tinygrad_edu.support.randomness import is_generator

__all__ = ["Captured", "check_kind", "is_lent", "is_setting", "key_text"]

MANY = 1000  # the elements of a longer list are not looked into
# Where code asks for attributes by names that are not written in it.
BY_NAME = {"getattr", "vars", "__dict__", "attrgetter"}
_EVERYTHING = "*"


class Captured:
    """What the code of functions leads to.

    Attributes
    ----------
    conditions : list of Condition
    sites : list of Site
        Where arrays are.
    tensors : dict of int to Tensor
        By `id`.
    masks : list of ndarray
        Arrays of bool, which are frozen into the program.
    optimisers : dict of Optimiser to str
        With what the user calls them.
    paths : dict of int to str
        What the user calls Tensors and optimisers, by `id`.
    """

    def __init__(self, things: dict[str, Any], refer: References) -> None:
        self.refer = refer
        self._words: set[str] = set()  # that the code speaks of
        known = -1
        while len(self._words) > known:  # a method may speak of more
            known = len(self._words)
            self._visit_all(things)

    def _visit_all(self, things: dict[str, Any]) -> None:
        self.conditions: list[Condition] = []
        self.sites: list[Site] = []
        self.tensors: dict[int, Tensor] = {}
        self.masks: list[np.ndarray[Any, Any]] = []
        self.optimisers: list[Optimiser] = []
        self.paths: dict[int, str] = {}
        self._seen: set[int] = set()
        self._arrays: dict[int, str] = {}  # with the access to the first of its sites
        for access, thing in things.items():
            self._visit(thing, access, "")

    def knows(self, thing: Any) -> bool:
        """Whether an object was found."""
        return id(thing) in self._seen

    def _require(self, source: str, path: str) -> None:
        self.conditions.append(Condition(source, path))

    def _visit(
        self, thing: Any, access: str, path: str, site: Site | None = None
    ) -> None:
        if isinstance(thing, np.ndarray) and thing.dtype.kind in "fiub":
            self._visit_array(thing, access, path, site)
            return
        if isinstance(thing, PLAIN):
            self._visit_plain(thing, access, path)
            return
        reference = self.refer(thing)
        if access != reference:
            self._require(f"{access} is {reference}", path)
        if isinstance(thing, tuple) and site is not None and _has_arrays(thing):
            self.sites.append(site)
        self.paths.setdefault(id(thing), path)
        if isinstance(thing, Tensor):
            self.tensors[id(thing)] = thing
        elif id(thing) not in self._seen:
            self._seen.add(id(thing))
            self._visit_inside(thing, reference, path)

    def _visit_array(
        self, array: Any, access: str, path: str, site: Site | None
    ) -> None:
        check_kind(array, path or "an array")
        if site is None or array.dtype == bool:  # a mask decides about shapes
            self._require(f"{access} is {self.refer(array)}", path)
        if array.dtype == bool:
            self._require(f"({access} == {self.refer(array.copy())}).all()", path)
            self.masks.append(array)
        if site is None or array.dtype == bool:
            return
        known = self._arrays.setdefault(id(array), access)
        if known != access:
            self._require(f"{access} is {known}", path)
        self.sites.append(site)

    def _visit_plain(self, thing: Any, access: str, path: str) -> None:
        if thing is None or isinstance(thing, bool):
            self._require(f"{access} is {thing}", path)
            return
        # The same object is the quick answer. 2 is not 2.0 here, and 0.0 not -0.0.
        kind = self.refer(type(thing))
        equal = f"{access} == {self.refer(thing)}"
        if thing != thing or not thing:
            equal = f"repr({access}) == {self.refer(repr(thing))}"
        same = f"{access} is {self.refer(thing)}"
        self._require(f"({same} or {access}.__class__ is {kind} and {equal})", path)

    def _visit_inside(self, thing: Any, reference: str, path: str) -> None:
        if isinstance(thing, FunctionType):
            self._visit_function(thing, path)
        elif isinstance(thing, MethodType):
            for part in (thing.__self__, thing.__func__):
                self._visit(part, self.refer(part), path or "self")
        elif isinstance(thing, functools.partial):
            for part in (thing.func, thing.args, thing.keywords):
                self._visit(part, self.refer(part), path)
        elif isinstance(thing, Op):
            if thing.name not in BUILT_IN:
                for part in (thing.forward, *thing.rules.values()):
                    self._visit(part, self.refer(part), thing.name)
        elif isinstance(thing, list | tuple | deque):
            self._visit_elements(thing, reference, path)
        elif isinstance(thing, dict):
            keys = self.refer(list(thing))
            self._require(f"[*{reference}] == {keys}", f"the keys of {path}")
            for key in list(thing)[:MANY]:
                self._visit_item(thing, reference, key, f"{path}[{key_text(key)}]")
        elif isinstance(thing, set | frozenset | bytearray):
            self._require(f"{reference} == {self.refer(type(thing)(thing))}", path)
        elif isinstance(thing, ModuleType):
            if not is_library(thing.__name__):
                self._visit_names(vars(thing), path, self._words)
        elif isinstance(thing, type) or is_generator(thing):
            pass
        elif isinstance(thing, Optimiser):
            self.optimisers.append(thing)
            self._visit_names(vars(thing), path, except_numbers=True)
        elif hasattr(
            thing, "__wrapped__"
        ):  # another compiled function, or a cached one
            self._visit(thing.__wrapped__, self.refer(thing.__wrapped__), path)
        elif isinstance(thing, Module | SimpleNamespace) or not is_library(
            type(thing).__module__
        ):
            self._visit_object(thing, reference, path)

    def _visit_object(self, thing: Any, reference: str, path: str) -> None:
        """Visit the attributes that the code speaks of, or all of a module's."""
        for base in type(thing).__mro__:
            if not is_library(base.__module__) and id(base) not in self._seen:
                self._seen.add(id(base))
                self._visit_class(base)
        everything = isinstance(thing, Module) or _EVERYTHING in self._words
        words = None if everything else self._words
        if hasattr(thing, "__dict__"):
            length = f"len({self.refer(vars(thing))}) == {len(vars(thing))}"
            self._require(length, f"{path}'s attributes")
            self._visit_names(vars(thing), path, words)
        for name in _slots(type(thing)):
            if (words is None or name in words) and hasattr(thing, name):
                access, where = f"{reference}.{name}", f"{path}.{name}"
                part = getattr(thing, name)
                self._visit(part, access, where, Site(access, where, thing, name))

    def _visit_class(self, kind: type) -> None:
        """Visit the methods and class attributes that the code speaks of."""
        length = f"len(vars({self.refer(kind)})) == {len(vars(kind))}"
        self._require(length, f"{kind.__name__}'s attributes")
        for name, part in list(vars(kind).items()):
            if name not in self._words and name not in ("forward", "__call__"):
                continue
            path = f"{kind.__name__}.{name}"
            access = f"vars({self.refer(kind)})[{name!r}]"
            if isinstance(part, staticmethod | classmethod | property):
                self._require(f"{access} is {self.refer(part)}", path)
                part = part.fget if isinstance(part, property) else part.__func__
                self._visit(part, self.refer(part), path)
            else:
                self._visit(part, access, path, Site(access, path, kind, name))

    def _visit_elements(self, whole: Any, reference: str, path: str) -> None:
        self._require(f"len({reference}) == {len(whole)}", f"the length of {path}")
        for i in range(min(len(whole), MANY)):
            self._visit_item(whole, reference, i, f"{path}[{i}]")
        if len(whole) > MANY:  # only that the others are the same
            rest, same = self.refer(list(whole)), self.refer(operator.is_)
            self._require(f"all(map({same}, {reference}, {rest}))", path)

    def _visit_item(self, whole: Any, reference: str, key: Any, path: str) -> None:
        access = f"{reference}[{subscript(key, self.refer)}]"
        site = None if isinstance(whole, tuple) else Site(access, path, whole, key)
        self._visit(whole[key], access, path, site)

    def _visit_names(
        self,
        names: dict[str, Any],
        path: str,
        words: set[str] | None = None,
        except_numbers: bool = False,
    ) -> None:
        """Visit attributes: all, or those of some names."""
        reference = self.refer(names)
        for name, part in list(names.items()):
            is_lent = is_setting(part) or name in ("_scratch", "state")
            if (words is None or name in words) and not (except_numbers and is_lent):
                self._visit_item(names, reference, name, f"{path}.{name}".strip("."))

    def _visit_function(self, f: FunctionType, path: str) -> None:
        inner = getattr(f, "__wrapped__", None)
        if is_library_code(f.__code__.co_filename, f.__globals__.get("__name__")):
            # As tg.grad(f), or @tg.no_grad, which keep the user's in a closure.
            for cell in f.__closure__ or ():
                if callable(cell.cell_contents):
                    self._visit(cell.cell_contents, self.refer(cell.cell_contents), "")
            if inner is not None:
                self._visit(inner, self.refer(inner), path)
            return
        reference = self.refer(f)
        self._require(f"{reference}.__code__ is {self.refer(f.__code__)}", f.__name__)
        words = set(_words(f.__code__))
        self._words |= words if words.isdisjoint(BY_NAME) else {_EVERYTHING}
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
            access = f"{self.refer(cell)}.cell_contents"
            try:
                part = cell.cell_contents
            except ValueError:  # not yet assigned
                continue
            self._visit(part, access, name, Site(access, name, cell, None))
        for name in ("__defaults__", "__kwdefaults__"):
            part, where = getattr(f, name), f"the defaults of {f.__name__}"
            access = f"{reference}.{name}"
            self._visit(part, access, where, Site(access, where, f, name))
        names = f.__globals__
        reference = self.refer(names)
        used = dict.fromkeys(_globals(f.__code__))
        for name in used:
            if name in names:
                self._visit_item(names, reference, name, name)
        hidden = frozenset(used) & vars(builtins).keys() - names.keys()
        if hidden:  # a builtin may be hidden by a global of its name
            known = self.refer(hidden)
            self._require(f"{reference}.keys().isdisjoint({known})", f.__name__)
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


def is_setting(x: Any) -> bool:
    """Whether an optimiser's attribute is a number, or a tuple of numbers."""
    if isinstance(x, tuple):
        return all(map(is_setting, x))
    kinds = int, float, np.integer, np.floating
    return isinstance(x, kinds) and not isinstance(x, bool)


def _has_arrays(x: Any) -> bool:
    if isinstance(x, tuple):
        return any(map(_has_arrays, x))
    return is_lent(x)


def is_lent(x: Any) -> bool:
    """Whether an array is read afresh: not a mask, which decides about shapes."""
    return isinstance(x, np.ndarray) and x.dtype.kind in "fiu"


def _slots(kind: type) -> Iterator[str]:
    """Give the names of the attributes that a class has slots for."""
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__"):
                yield name


def _words(code: CodeType) -> Iterator[str]:
    """Give the names that a function's code speaks of, those nested in it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _words(constant)


def _globals(code: CodeType) -> Iterator[str]:
    """Give the names of globals, or builtins, among them."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
        elif inspect.iscode(instruction.argval):
            yield from _globals(instruction.argval)
