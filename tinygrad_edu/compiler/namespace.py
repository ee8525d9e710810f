"""What a program's source calls things: a name for each thing, by identity.

The source is made of the generator's own names. What the user calls things is turned
into identifiers first. A value that no text is sure to give back is not written: the
program is given it, under a name.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import re
import symtable
import sys
import textwrap
import unicodedata
from collections.abc import Callable
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.compiler.expressions import dtype_name, literal, subscript
from tinygrad_edu.compiler.functions import (
    assembled,
    astype,
    replaced,
    restored,
    spread,
)
from tinygrad_edu.compiler.program import Program
from tinygrad_edu.engine.graph import Node
from tinygrad_edu.engine.op import BUILT_IN, OPS
from tinygrad_edu.formulas.naming import Taken
from tinygrad_edu.losses import check_labels, check_within_0_and_1
from tinygrad_edu.ops.reductions import check_weights

__all__ = ["Namespace", "helper_source", "identifier"]

RESERVED = {
    "np",
    "numpy",
    "step",
    "epoch",
    "array",
    "empty",
    "range",
    "reversed",
    "sum",
}
# What programs call things of their own: nothing of the user's may be called the same.
OURS = re.compile(
    r"[ckot]\d+|k|i\d*|rows|row|batch|order|answers|(all|blocks)_\w+|njit|"
    r"bool_|(float|int|uint)\d*|bool|slice|range|len"
)
# They compute nothing, and may raise.
CHECKS = check_labels, check_weights, check_within_0_and_1
LONGEST = 60  # characters in an identifier that is made of what the user says


def identifier(name: str) -> str:
    """Make an identifier of what the user calls something."""
    # Python takes identifiers that look alike for the same.
    name = unicodedata.normalize("NFKC", name[:LONGEST])
    name = re.sub(r"\W+", "_", name).strip("_")[:LONGEST].rstrip("_")
    if not f"_{name}".isidentifier():
        name = re.sub(r"[^a-zA-Z0-9]+", "_", name).strip("_")
    if not name.isidentifier() or keyword.iskeyword(name) or OURS.fullmatch(name):
        name = f"_{name or 'x'}"
    return name


def numpy_name(function: Any) -> str | None:
    """Return where a function is found in NumPy, if it is that very one."""
    own = getattr(function, "__name__", None)
    owner = getattr(function, "__self__", None)
    module = getattr(function, "__module__", None)
    if not isinstance(own, str):
        return None
    if isinstance(owner, np.ufunc):
        path = numpy_name(owner)
        return f"{path}.{own}" if path and getattr(owner, own) == function else None
    if isinstance(function, np.ufunc):
        module = "numpy"
    if not isinstance(module, str) or module.partition(".")[0] != "numpy":
        return None
    names = [*module.split(".")[1:], own]
    place: Any = np
    for name in names:
        place = getattr(place, "__dict__", {}).get(name)
    return ".".join(["np", *names]) if place is function else None


class Definition(NamedTuple):
    """What a name in a program stands for, and the source that says so."""

    thing: Any
    source: str


class Namespace:
    """The names in a program's source.

    Attributes
    ----------
    taken : Taken
        All names that the source has, and those that it must not have.
    given : dict of str to object
        What the source speaks of and cannot define: functions and values of the user's.
    """

    def __init__(self, program: Program) -> None:
        self.taken = Taken([*RESERVED, *keyword.kwlist])
        self.given: dict[str, Any] = {}
        self._names: dict[Any, str] = {}  # of functions that are not NumPy's
        self._called: dict[Any, None] = {}  # those of them that the source speaks of
        self._needs: dict[Any, dict[str, Definition]] = {}  # those it has, with what
        self._defined: dict[str, Definition] = {}
        self._builtins: set[str] = set()  # that those use
        self._values: dict[int, tuple[Any, str]] = {}
        used = dict.fromkeys(e.function for e in program.equations)
        for function in sorted(used, key=lambda f: not _is_ours(f)):
            if numpy_name(function) is None:
                self._names[function] = self._name(function)

    def _name(self, function: Any) -> str:
        """Give a function of the user's, or of this package's, a name."""
        own = getattr(function, "__name__", None)
        if _is_ours(function) and self._define(function):
            return str(own)
        name = identifier(own if isinstance(own, str) else type(function).__name__)
        if name in vars(np) or name in vars(builtins):
            name = f"{name}_2"
        return self.taken.unused(name)

    def _define(self, function: Any) -> bool:
        """Enter the source of a function of this package's, if it stands alone."""
        needs: dict[str, Definition] = {}
        try:
            read = helper_source(function, needs)
        except ValueError:
            return False
        defined = self._defined | needs
        hidden = self._builtins | (read - defined.keys() - RESERVED)
        changed = any(defined[k].thing is not d.thing for k, d in self._defined.items())
        if changed or defined.keys() & (hidden | RESERVED):
            return False
        self._defined, self._builtins, self._needs[function] = defined, hidden, needs
        self.taken.take(defined.keys() | hidden)
        return True

    def function(self, function: Any) -> str:
        """Write how a function is called."""
        name = numpy_name(function)
        if name is None:
            name = self._names[function]
            self._called[function] = None
            if function not in self._needs:
                self.given[name] = function
        return name

    def refer(self, value: Any) -> str:
        """Return the name under which the program is given a value."""
        if id(value) not in self._values:
            name = f"o{len(self._values) + 1}"
            self._values[id(value)] = value, name
            # An array might be changed; what was recorded is what it held then.
            self.given[name] = value.copy() if type(value) is np.ndarray else value
        return self._values[id(value)][1]

    def dtype(self, dtype: Any) -> str:
        """Write a dtype for a function of NumPy's."""
        return dtype_name(dtype) or self.refer(dtype)

    def value(self, value: Any) -> str:
        """Write a plain value, or refer to it."""
        return literal(value) or self.refer(value)

    def write(self, x: Any, write: Callable[[Any], str] | None = None) -> str:
        """Write an argument of any kind, with `write` for what stands in it."""
        write = write or self.value
        kind = type(x)
        if isinstance(x, slice):
            bounds = (x.start, x.stop, x.step)
            return f"slice({', '.join(self.write(b, write) for b in bounds)})"
        if not isinstance(x, tuple | list | dict):
            return write(x)
        if isinstance(x, dict):
            items = [
                f"{subscript(key, self.refer)}: {self.write(part, write)}"
                for key, part in x.items()
            ]
            return f"{{{', '.join(items)}}}"
        inner = ", ".join(self.write(part, write) for part in x)
        if hasattr(x, "_fields"):
            return f"{self.refer(kind)}({inner})"
        text = (
            f"[{inner}]" if isinstance(x, list) else f"({inner}{',' * (len(x) == 1)})"
        )
        return text if kind in (tuple, list) else f"{self.refer(kind)}({text})"

    def write_keyword(self, name: str, text: str) -> str:
        """Write an argument that is passed by its name."""
        if name.isascii() and name.isidentifier() and not keyword.iskeyword(name):
            return f"{name}={text}"
        return f"**{{{self.value(name)}: {text}}}"

    def head(self) -> str:
        """Write what comes after the imports."""
        text = ""
        if self.given:
            lines = textwrap.wrap(", ".join(self.given), 84, break_long_words=False)
            text = "\n# Not written here, but given to the program:\n"
            text += "".join(f"#   {line}\n" for line in lines)
        needed: dict[str, Definition] = {}
        for function in self._called:
            needed |= self._needs.get(function, {})
        return text + "".join(f"\n\n{d.source}\n" for d in needed.values())


def _is_ours(function: Any) -> bool:
    """Whether a function is one of this package's, and not named or wrapped like it."""
    own = (assembled, astype, replaced, restored, spread, *CHECKS)
    ours = (*own, *(OPS[name].forward for name in BUILT_IN))
    return any(function is f for f in ours)


def helper_source(function: Any, known: dict[str, Definition]) -> set[str]:
    """Enter the source of a function of this package's, after that of what it uses.

    Decorators, annotations and docstrings are left out. Returns the names that it
    reads, those of builtins too.

    Raises
    ------
    ValueError
        If it is no plain function, or needs a name that means something else already.
    """
    name = function.__name__
    if name in known:
        _enter(known, name, function)
        return set()
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError):
        tree = None
    closure = inspect.getclosurevars(inspect.unwrap(function))
    if not isinstance(tree, ast.FunctionDef) or closure.nonlocals:
        raise ValueError(f"{name} is no plain function in a file")
    _enter(known, name, function)  # it may call itself
    # What was called is beneath the decorators, unless it wraps something itself.
    if not hasattr(function, "__wrapped__"):
        tree.decorator_list = []
    tree.returns = None
    for node in ast.walk(tree.args):
        if isinstance(node, ast.arg):
            node.annotation = None
    if ast.get_docstring(tree) is not None:
        tree.body = tree.body[1:] or [ast.Pass()]
    source = ast.unparse(tree)
    read = _names_from_around(source)
    around = {**inspect.unwrap(function).__globals__, **closure.globals}
    for other in sorted(read & around.keys()):
        thing = around[other]
        if inspect.isfunction(thing) and not _is_library(thing):
            read |= helper_source(thing, known)
        elif isinstance(thing, int | float | str | tuple | type(None)):
            _enter(known, other, thing, f"{other} = {thing!r}")
        elif inspect.isclass(thing) and issubclass(thing, Node):
            stub = f"class {other}:  # which nothing here is\n    pass"
            _enter(known, other, thing, stub)
        elif thing is not np:
            _enter(known, other, thing, _import(thing, other))
    del known[name]
    _enter(known, name, function, source)
    return read


def _enter(
    known: dict[str, Definition], name: str, thing: Any, source: str = ""
) -> None:
    """Enter what a name stands for, unless it stands for something else already."""
    if known.setdefault(name, Definition(thing, source)).thing is not thing:
        raise ValueError(f"{name} means two things")


def _names_from_around(source: str) -> set[str]:
    """Return the names that a function reads, and does not define itself."""
    scopes = [symtable.symtable(source, "<helper>", "exec")]
    found: set[str] = set()
    for scope in scopes:  # to which those within it are added
        names = scope.get_symbols()
        found |= {s.get_name() for s in names if s.is_global() and s.is_referenced()}
        scopes += scope.get_children()
    return found


def _is_library(thing: Any) -> bool:
    root = (thing.__module__ or "").partition(".")[0]
    return root == "numpy" or root in sys.stdlib_module_names


def _import(thing: Any, name: str) -> str:
    if inspect.ismodule(thing):
        return f"import {thing.__name__} as {name}"
    module, own = str(thing.__module__), str(thing.__name__)
    if thing is EllipsisType:
        module, own = "types", "EllipsisType"
    return f"from {module} import {own}" + f" as {name}" * (own != name)
