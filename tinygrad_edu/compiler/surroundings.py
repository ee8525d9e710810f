"""What a function uses besides its arguments, and how to notice that it has changed.

From the function's own code: what its closures, globals, methods and attributes lead
to. Arrays found there become inputs of the program, read afresh at every call;
everything else is frozen into it, and guarded.
"""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import operator
from collections import deque
from collections.abc import Callable, Iterator
from io import IOBase
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.compiler.expressions import subscript
from tinygrad_edu.compiler.refusals import is_library, is_library_code
from tinygrad_edu.engine.op import BUILT_IN, Op
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.nn import Module
from tinygrad_edu.optim import Optimiser
from tinygrad_edu.support.randomness import is_generator

__all__ = ["Condition", "Site", "Surroundings", "may_be_lent", "said"]

MANY = 1000  # the elements of a longer list are not looked into
PLAIN = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype)
ITEMS = (list, dict, deque)  # what keeps things under a number or key
# Where code asks for attributes by names that are not written in it.
BY_NAME = {"getattr", "vars", "__dict__", "attrgetter"}


class Condition(NamedTuple):
    """What must hold for a program to be right: a Python expression, and of what."""

    source: str
    path: str


class Site(NamedTuple):
    """A place where an array or a number is kept, which a program reads afresh."""

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


class _Contents:
    """What something that may change held at first."""

    def __init__(self, whole: Any, path: str) -> None:
        self.whole, self.path = whole, path
        self.at_first = self._now()

    def _now(self) -> dict[Any, Any]:
        whole = self.whole
        if isinstance(whole, dict):
            return dict(whole)
        if isinstance(whole, type):
            return dict(vars(whole))
        if isinstance(whole, set):
            return dict.fromkeys(whole)
        if isinstance(whole, list | deque | bytearray):
            return dict(enumerate(whole))
        if isinstance(whole, _CELL):
            try:
                return {None: whole.cell_contents}
            except ValueError:
                return {}
        names = _slots(type(whole))
        return {name: getattr(whole, name) for name in names if hasattr(whole, name)}

    def changed(self, lent: set[tuple[int, Any]]) -> str:
        """Say what has changed, if anything has, other than what is lent."""
        now, whole = self._now(), id(self.whole)
        if len(now) != len(self.at_first) and isinstance(self.whole, list | deque):
            return f"the length of {self.path}"
        for key in {**self.at_first, **now}:
            same = now.get(key, now) is self.at_first.get(key, self.at_first)
            if not same and (whole, key) not in lent and not _is_internal(key):
                return self._path_to(key)
        return ""

    def _path_to(self, key: Any) -> str:
        if isinstance(self.whole, set | bytearray | _CELL):
            return self.path
        if isinstance(self.whole, ITEMS) and self.path and self.path[-1] != ".":
            return f"{self.path}[{said(key)}]"
        return f"{self.path}{key}"

    def restore(self) -> None:
        now, whole = self._now(), self.whole
        if isinstance(whole, list | deque | bytearray):
            whole.clear()
            whole.extend(self.at_first.values())
        elif isinstance(whole, set):
            whole.clear()
            whole.update(self.at_first)
        elif isinstance(whole, dict):
            for key in now.keys() - self.at_first.keys():
                if not _is_internal(key):
                    del whole[key]
            whole.update(self.at_first)
        elif isinstance(whole, _CELL):
            if self.at_first:
                (whole.cell_contents,) = self.at_first.values()
        else:
            for key in now.keys() - self.at_first.keys():
                delattr(whole, key)
            for key, value in self.at_first.items():
                if now.get(key, now) is not value:
                    setattr(whole, key, value)


_CELL = type((lambda x: lambda: x)(0).__closure__[0])  # type: ignore[index]


class Surroundings:
    """What a function leads to.

    Attributes
    ----------
    tensors : dict of Tensor to str
        With the path to each.
    arrays, numbers : list of Site
        The numbers are the optimisers': a learning rate may change from call to call.
        An array may be in a tuple, which is what the site then holds.
    iterators : list of Site
    frozen : list of ndarray
        What is guarded to stay as it is: masks, and arrays that nothing can stand for.
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
            self.iterators: list[Site] = []
            self.frozen: list[Any] = []
            self.generators: list[Any] = []
            self.conditions: list[Condition] = []
            self.names: dict[str, Any] = {}
            self._references: dict[int, str] = {}
            self._proxies: dict[type, Any] = {}
            self._seen: set[int] = set()
            self._array_sites: dict[int, str] = {}
            self._contents: list[_Contents] = []
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

    def knows(self, thing: Any) -> bool:
        """Whether an object was found around the function."""
        return id(thing) in self._references

    def _visit(
        self, thing: Any, access: str, path: str, site: Site | None = None
    ) -> None:
        if isinstance(thing, Tensor):
            self._require(f"{access} is {self.refer(thing)}", path)
            self.tensors.setdefault(thing, thing.name or path)
        elif isinstance(thing, np.ndarray) and thing.dtype.kind != "O":
            self._visit_array(thing, access, path, site)
        elif isinstance(thing, PLAIN):
            self._visit_plain(thing, access, path)
        else:
            reference = self.refer(thing)
            if access != reference:
                self._require(f"{access} is {reference}", path)
            if isinstance(thing, tuple) and site is not None:
                if _has_arrays(thing) and not any(s is site for s in self.arrays):
                    self.arrays.append(site)
            elif id(thing) in self._seen:
                return
            self._seen.add(id(thing))
            self._visit_inside(thing, reference, path, site)

    def _require(self, source: str, path: str) -> None:
        if source not in {c.source for c in self.conditions[-50:]}:
            self.conditions.append(Condition(source, path))

    def _visit_array(
        self, array: Any, access: str, path: str, site: Site | None
    ) -> None:
        if site is None or not may_be_lent(array):
            self.frozen.append(array)
            copy = self.refer(array.copy())
            self._require(f"{access} is {self.refer(array)}", path)
            self._require(f"({access} == {copy}).all()", path)
            return
        known = self._array_sites.setdefault(id(array), access)
        if known != access:
            self._require(f"{access} is {known}", path)
        if site.access == access:
            self.arrays.append(site)

    def _visit_plain(self, thing: Any, access: str, path: str) -> None:
        if thing is None or isinstance(thing, bool):
            self._require(f"{access} is {thing}", path)
            return
        # The same object is the quick answer. 2 is not 2.0 here, and 0.0 not -0.0.
        kind = self.refer(type(thing))
        delicate = thing != thing or not thing
        if delicate:
            equal = f"repr({access}) == {self.refer(repr(thing))}"
        else:
            equal = f"{access} == {self.refer(thing)}"
        self._require(
            f"({access} is {self.refer(thing)} or "
            f"{access}.__class__ is {kind} and {equal})",
            path,
        )

    def _visit_inside(
        self, thing: Any, reference: str, path: str, site: Site | None
    ) -> None:
        if isinstance(thing, FunctionType):
            self._visit_function(thing, path)
        elif isinstance(thing, MethodType):
            self._visit(thing.__self__, self.refer(thing.__self__), path or "self")
            self._visit(thing.__func__, self.refer(thing.__func__), path)
        elif isinstance(thing, functools.partial):
            for part in (thing.func, thing.args, thing.keywords):
                self._visit(part, self.refer(part), path)
        elif isinstance(thing, Op):
            if thing.name not in BUILT_IN:
                of_it: list[Any] = [
                    thing.forward,
                    *thing.rules.values(),
                    thing.textbook,
                ]
                for part in of_it:
                    self._visit(part, self.refer(part), thing.name)
        elif isinstance(thing, list | tuple | deque):
            self._visit_elements(thing, reference, path, site)
        elif isinstance(thing, dict):
            self._contents.append(_Contents(thing, path))
            self._require(f"len({reference}) == {len(thing)}", f"the length of {path}")
            for key, part in list(thing.items())[:MANY]:
                self._visit_item(part, thing, reference, key, f"{path}[{said(key)}]")
            if len(thing) > MANY:
                known, is_ = self.refer([*thing.values()]), self.refer(operator.is_)
                self._require(f"all(map({is_}, {reference}.values(), {known}))", path)
        elif isinstance(thing, set | frozenset | bytearray):
            if not isinstance(thing, frozenset):
                self._contents.append(_Contents(thing, path))
            self._require(f"{reference} == {self.refer(type(thing)(thing))}", path)
        elif isinstance(thing, Iterator) and not isinstance(thing, IOBase):
            if site is not None:
                self.iterators.append(site)
        elif isinstance(thing, ModuleType):
            if not is_library(thing.__name__):
                self._visit_names(vars(thing), f"{path}.")
        elif isinstance(thing, type):
            self._visit_class(thing, path)
        elif is_generator(thing):
            self.generators.append(thing)
        elif isinstance(thing, Optimiser):
            self._visit_optimiser(thing, path)
        elif is_library(type(thing).__module__) and hasattr(thing, "__wrapped__"):
            wrapped = thing.__wrapped__  # another compiled function, or a cached one
            self._visit(wrapped, self.refer(wrapped), path)
        self._visit_attributes(thing, path)

    def _visit_attributes(self, thing: Any, path: str) -> None:
        """Visit what an object of a class of the user's, or a module, keeps."""
        kind = type(thing)
        ours = _is_ours(kind.__module__)
        if isinstance(thing, ModuleType | type | Optimiser | Op | FunctionType):
            return
        if hasattr(thing, "__wrapped__") or (kind.__module__ == "builtins"):
            return
        self._visit(kind, self.refer(kind), kind.__name__)
        everything = ours or isinstance(thing, Module) or bool(self._words & BY_NAME)
        if hasattr(thing, "__dict__"):
            names = vars(thing)
            self._require(
                f"len({self.refer(names)}) == {len(names)}", f"{path}'s attributes"
            )
            self._visit_names(names, f"{path}.", everything)
        slots = [] if is_library(kind.__module__) else list(_slots(kind))
        if slots:
            self._contents.append(_Contents(thing, f"{path}."))
        for name in slots:
            if hasattr(thing, name) and (everything or name in self._words):
                access = f"{self.refer(thing)}.{name}"
                where = f"{path}.{name}"
                self._visit(
                    getattr(thing, name),
                    access,
                    where,
                    Site(access, where, thing, name),
                )

    def _visit_elements(
        self, whole: Any, reference: str, path: str, site: Site | None
    ) -> None:
        if not isinstance(whole, tuple):
            self._contents.append(_Contents(whole, path))
            self._require(f"len({reference}) == {len(whole)}", f"the length of {path}")
        for i, part in enumerate(whole):
            if i == MANY:
                break
            access = f"{reference}[{i}]"
            if isinstance(whole, tuple):
                inner = site if isinstance(part, np.ndarray | tuple) else None
                self._visit(part, access, f"{path}[{i}]", inner)
            else:
                self._visit_item(part, whole, reference, i, f"{path}[{i}]")
        else:
            return
        if not isinstance(whole, tuple):  # only that its elements are the same
            known = self.refer(list(whole))
            is_ = self.refer(operator.is_)
            self._require(f"all(map({is_}, {reference}, {known}))", path)

    def _visit_item(
        self, part: Any, whole: Any, reference: str, key: Any, path: str
    ) -> None:
        access = f"{reference}[{subscript(key, self.refer)}]"
        self._visit(part, access, path, Site(access, path, whole, key))

    def _visit_names(self, names: dict[str, Any], path: str, all: bool = False) -> None:
        """Visit the attributes, or globals, that code speaks of."""
        self._contents.append(_Contents(names, path))
        reference = self.refer(names)
        for name, part in list(names.items()):
            if all or name in self._words:
                self._visit_item(part, names, reference, name, path + name)

    def _visit_optimiser(self, optimiser: Optimiser, path: str) -> None:
        attributes = vars(optimiser)
        self._contents.append(_Contents(attributes, f"{path}."))
        reference = self.refer(attributes)
        for name, part in attributes.items():
            if name == "_scratch":  # of no meaning from one step to the next
                continue
            if _is_number(part) or (
                isinstance(part, tuple) and all(map(_is_number, part))
            ):
                access = f"{reference}[{subscript(name, self.refer)}]"
                self.numbers.append(Site(access, f"{path}.{name}", attributes, name))
            else:
                self._visit_item(part, attributes, reference, name, f"{path}.{name}")
        self._visit(type(optimiser), self.refer(type(optimiser)), path)

    def _visit_function(self, f: FunctionType, path: str) -> None:
        module = f.__globals__.get("__name__")
        if is_library_code(f.__code__, f.__globals__):
            if _is_ours(module):  # as tg.grad() makes
                for cell in f.__closure__ or ():
                    self._visit(cell.cell_contents, self.refer(cell.cell_contents), "")
            return
        reference = self.refer(f)
        path = path or f.__name__
        self._require(f"{reference}.__code__ is {self.refer(f.__code__)}", path)
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
            self._contents.append(_Contents(cell, name))
            access = f"{self.refer(cell)}.cell_contents"
            try:
                part = cell.cell_contents
            except ValueError:  # not yet assigned
                continue
            self._visit(part, access, name, Site(access, name, cell, None))
        for name in ("__defaults__", "__kwdefaults__"):
            access, where = f"{reference}.{name}", f"the defaults of {path}"
            site = Site(access, where, f, name)
            self._visit(getattr(f, name), access, where, site)
        self._visit_names(vars(f), f"{path}.")
        self._words |= set(_words(f.__code__))
        names = f.__globals__
        loaded = dict.fromkeys(_globals(f.__code__))
        used = {name: names[name] for name in loaded if name in names}
        if id(names) not in self._seen:
            self._seen.add(id(names))
            self._contents.append(_Contents(names, ""))
        reference = self.refer(names)
        for name, part in used.items():
            self._visit_item(part, names, reference, name, name)
        hidden = frozenset(_globals(f.__code__)) & vars(builtins).keys() - names.keys()
        if hidden:  # a builtin may be hidden by a global of its name
            known = self.refer(hidden)
            self._require(
                f"{reference}.keys().isdisjoint({known})", ", ".join(sorted(hidden))
            )

    def _visit_class(self, kind: type, path: str) -> None:
        """Visit the methods and class attributes that code speaks of."""
        for base in kind.__mro__:
            if is_library(base.__module__):
                continue
            self._contents.append(_Contents(base, f"{base.__name__}."))
            names = self._proxies.setdefault(base, vars(base))
            reference = self.refer(names)
            self._require(
                f"len({reference}) == {len(names)}", f"{base.__name__}'s attributes"
            )
            for name, part in names.items():
                is_dunder = name.startswith("__") and name.endswith("__")
                if is_dunder and not isinstance(part, FunctionType):
                    continue
                if not (is_dunder or name in self._words or name in CALLED_BY_US):
                    continue
                access = f"{reference}[{subscript(name, self.refer)}]"
                where = f"{base.__name__}.{name}"
                if isinstance(part, staticmethod | classmethod | property):
                    self._require(f"{access} is {self.refer(part)}", where)
                    inner = part.fget if isinstance(part, property) else part.__func__
                    self._visit(inner, self.refer(inner), where)
                else:
                    self._visit(part, access, where, Site(access, where, base, name))

    def changed(self) -> str:
        """Say what the function has changed since, other than what can be lent."""
        sites = (*self.arrays, *self.numbers, *self.iterators)
        lent = {(id(site.container), site.key) for site in sites}
        return next(filter(None, (c.changed(lent) for c in self._contents)), "")

    def restore(self) -> None:
        """Put back what everything held at first."""
        for contents in self._contents:
            contents.restore()


def said(key: Any) -> str:
    """Say a key, for people to read."""
    try:
        return repr(key)
    except ValueError:  # as of a number with thousands of digits
        return type(key).__name__


def _is_ours(module: Any) -> bool:
    return isinstance(module, str) and module.startswith("tinygrad_edu.")


CALLED_BY_US = ("forward", "update")


def _is_internal(name: Any) -> bool:
    """Whether Python itself keeps something under a name, as a register of warnings."""
    return bool(name == "__warningregistry__")


def _has_arrays(x: Any) -> bool:
    if isinstance(x, tuple):
        return any(map(_has_arrays, x))
    return isinstance(x, np.ndarray) and may_be_lent(x)


def may_be_lent(array: Any) -> bool:
    """Whether a tracer can stand for an array: not for a mask, which makes shapes."""
    return bool(array.dtype.kind in "fiu")


def _slots(kind: type) -> Iterator[str]:
    """Give the names of the attributes that a class has slots for."""
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__"):
                yield name


def _is_number(x: Any) -> bool:
    return type(x) in (int, float)


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
