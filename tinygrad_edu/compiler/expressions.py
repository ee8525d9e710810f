"""How values and functions are written in Python."""

from __future__ import annotations

import ast
import inspect
import operator
import symtable
import sys
import textwrap
from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import Equation, Variable
from tinygrad_edu.graph import Node, StandIn

__all__ = [
    "INFIX",
    "function_name",
    "helper_source",
    "literal",
    "write_any",
    "write_index",
    "write_view",
]

# Operators, with their precedence.
INFIX: dict[Any, tuple[str, int]] = {
    np.add: ("+", 5),
    np.subtract: ("-", 5),
    np.multiply: ("*", 6),
    np.divide: ("/", 6),
    np.floor_divide: ("//", 6),
    np.remainder: ("%", 6),
    np.power: ("**", 8),
    np.dot: ("@", 6),
    np.matmul: ("@", 6),
    np.less: ("<", 1),
    np.less_equal: ("<=", 1),
    np.greater: (">", 1),
    np.greater_equal: (">=", 1),
    np.equal: ("==", 1),
    np.not_equal: ("!=", 1),
    np.bitwise_and: ("&", 4),
    np.bitwise_or: ("|", 2),
    np.bitwise_xor: ("^", 3),
    operator.add: ("+", 5),
    operator.sub: ("-", 5),
    operator.mul: ("*", 6),
    operator.truediv: ("/", 6),
    operator.floordiv: ("//", 6),
    operator.mod: ("%", 6),
    operator.pow: ("**", 8),
}
# Python reads a < b < c as two comparisons.
COMPARISONS = {f for f, (_, precedence) in INFIX.items() if precedence == 1}
PREFIX: dict[Any, tuple[str, int]] = {
    np.negative: ("-", 7),
    operator.neg: ("-", 7),
    np.invert: ("~", 7),
}
ATOM = 9


def has_operator(e: Equation) -> bool:
    """Whether an operator of Python's says what an equation does: @ is a dot if 2-d."""
    if e.function not in INFIX or len(e.args) != 2 or e.params:
        return False
    return e.function is not np.dot or all(
        isinstance(x, Variable) and 1 <= x.ndim <= 2 for x in e.args
    )


def function_name(function: Any) -> str:
    """Write a function of NumPy's, or of Python's, as one calls it."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{function.__name__}"
    if isinstance(function, np.ufunc):
        return f"np.{function.__name__}"
    module = getattr(function, "__module__", None) or ""
    if module.partition(".")[0] == "numpy":
        return f"{module.replace('numpy', 'np', 1)}.{function.__name__}"
    name: str = getattr(function, "__name__", "function")
    return name if name.isidentifier() else f"function{id(function)}"


def literal(x: Any) -> str:
    """Write a plain value."""
    if isinstance(x, np.dtype):
        return f"np.{x.name}" if x.name != "bool" else "np.bool_"
    if isinstance(x, type) and issubclass(x, np.generic):
        return f"np.{x.__name__}"
    if isinstance(x, np.ndarray):
        if not x.size:
            return f"np.empty({x.shape}, {literal(x.dtype)})"
        if (x == x.flat[0]).all():
            return (
                f"np.full({x.shape}, {literal(x.flat[0].item())}, {literal(x.dtype)})"
            )
        return f"np.array({_of_lists(x.tolist())}, {literal(x.dtype)})"
    if isinstance(x, np.longdouble):  # which no Python number is
        return f'np.longdouble("{x}")'
    if isinstance(x, np.generic):
        return f"np.{x.dtype.name}({literal(x.item())})"
    return _of_lists(x)


def _of_lists(x: Any) -> str:
    if isinstance(x, list):
        return f"[{', '.join(map(_of_lists, x))}]"
    if isinstance(x, float) and (x != x or x in (np.inf, -np.inf)):
        return f'float("{x}")'
    return repr(x)


def write_any(x: Any, write: Callable[[Any], str]) -> str:
    """Write an argument of any kind, what stands in it by `write`."""
    if isinstance(x, list):
        return f"[{', '.join(write_any(part, write) for part in x)}]"
    if isinstance(x, tuple):
        inner = ", ".join(write_any(part, write) for part in x)
        return f"({inner}{',' * (len(x) == 1)})"
    if isinstance(x, slice):
        bounds = (x.start, x.stop, x.step)
        return f"slice({', '.join(write_any(part, write) for part in bounds)})"
    return write(x)


def write_view(e: Equation, x: str, write: Callable[[Any], str]) -> str:
    """Write what looks at the memory of x in another way."""
    if e.function is np.transpose:
        return f"{x}.transpose({write(e.args[1])})" if len(e.args) > 1 else f"{x}.T"
    if e.function is np.reshape:
        return f"{x}.reshape({write(e.output.shape)})"
    if e.function is np.broadcast_to:
        return f"np.broadcast_to({x}, {write(e.output.shape)})"
    return f"{x}[{write_index(e.args[1], write)}]"


def write_index(index: Any, write: Callable[[Any], str]) -> str:
    """Write what stands in brackets."""
    if isinstance(index, tuple) and index:
        return ", ".join(_part(i, write) for i in index) + "," * (len(index) == 1)
    return _part(index, write)


def _part(i: Any, write: Callable[[Any], str]) -> str:
    if isinstance(i, slice):
        bounds = ["" if b is None else write(b) for b in (i.start, i.stop)]
        return ":".join(bounds) + (f":{write(i.step)}" if i.step is not None else "")
    if i is Ellipsis:
        return "..."
    return write(i)


def is_helper(function: Any) -> bool:
    """Whether a function is neither NumPy's nor Python's, so its source is needed."""
    if isinstance(function, np.ufunc) or isinstance(
        getattr(function, "__self__", None), np.ufunc
    ):
        return False
    module = getattr(function, "__module__", None) or ""
    return module.partition(".")[0] not in (
        "numpy",
        "operator",
        "_operator",
        "builtins",
    )


def helper_source(function: Any, known: dict[str, str]) -> None:
    """Enter a function's source, and that of those that it calls, under their names.

    Decorators, annotations and docstrings are left out. A user's function that needs
    more than NumPy is referred to instead.
    """
    name = function_name(function)
    if name in known:
        return
    if not _can_be_written(function):
        OPAQUE[id(function)] = function
        known[name] = (
            "# Defined elsewhere, and read from there at every call.\n"
            "from tinygrad_edu.compiler.expressions import OPAQUE\n"
            f"{name} = OPAQUE[{id(function)}]"
        )
        return
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        tree = None
    if not isinstance(tree, ast.FunctionDef):
        raise ValueError(
            f"compile: the source of {name} cannot be written into the program: it is "
            "no plain function in a file"
        )
    known[name] = ""  # a function may call itself
    # What was called is beneath the decorators, unless it wraps something itself.
    if not hasattr(function, "__wrapped__"):
        tree.decorator_list = []
    tree.returns = None
    for argument in [*tree.args.args, *tree.args.kwonlyargs, *tree.args.posonlyargs]:
        argument.annotation = None
    for star in (tree.args.vararg, tree.args.kwarg):
        if star is not None:
            star.annotation = None
    if ast.get_docstring(tree) is not None:
        tree.body = tree.body[1:] or [ast.Pass()]
    used = _names_from_around(ast.unparse(tree))
    closure = inspect.getclosurevars(inspect.unwrap(function))
    around = {**function.__globals__, **closure.globals, **closure.nonlocals}
    for other in sorted(used & around.keys()):
        thing = around[other]
        if inspect.isfunction(thing) and not _is_library(thing):
            helper_source(thing, known)
        elif isinstance(thing, int | float | str | tuple | type(None)):
            known[f"{other} ="] = f"{other} = {thing!r}"
        elif inspect.isclass(thing) and issubclass(thing, Node | StandIn):
            known[other] = f"class {other}:  # which nothing here is\n    pass"
        elif thing is not np:
            known[f"{other} import"] = _import(thing, other)
    source = known.pop(name, "")
    known[name] = source or ast.unparse(tree)


def _names_from_around(source: str) -> set[str]:
    """Return the names that a function reads, and does not define itself."""
    scopes = [symtable.symtable(source, "<helper>", "exec")]
    found: set[str] = set()
    for scope in scopes:  # to which those within it are added
        names = scope.get_symbols()
        found |= {s.get_name() for s in names if s.is_global() and s.is_referenced()}
        scopes += scope.get_children()
    return found


# The functions that cannot be written into a program's source, by their id.
OPAQUE: dict[int, Any] = {}


def _can_be_written(function: Any) -> bool:
    """Whether a function is this package's, or needs NumPy and builtins only."""
    if (getattr(function, "__module__", None) or "").startswith("tinygrad_edu."):
        return True
    try:
        source = textwrap.dedent(inspect.getsource(function)).lstrip()
        around = inspect.getclosurevars(function)
    except (OSError, TypeError, ValueError):
        return False
    names = {**around.globals, **around.nonlocals}
    return source.startswith(("def ", "@")) and all(x is np for x in names.values())


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
