"""Write `tinygrad_edu/ops/__init__.pyi`: the ops as type checkers and editors see them.

Run it when the table of ops has changed: ``python tests/typed_ops.py``.
"""

import builtins
import collections.abc
import inspect
import re
import sys
import typing
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy.typing

from tinygrad_edu import ops
from tinygrad_edu.engine.array_like import ArrayLike
from tinygrad_edu.engine.op import BUILT_IN, OPS, Op
from tinygrad_edu.support import kinds

STUB = Path(ops.__file__).with_suffix(".pyi")

HEAD = '''\
"""The table of ops, as type checkers and editors see it.

Written by ``python tests/typed_ops.py`` from the declarations; do not edit.
"""
'''

# Where the names in annotations come from: one of these, or the op's own module.
HOMES = [builtins, collections.abc, typing, numpy.typing, kinds]


def stub() -> str:
    """Return the text of the file."""
    table = {name: OPS[name] for name in sorted(BUILT_IN)}
    lines = [HEAD, *imports(table.values()), "", "__all__ = ["]
    lines += [*(f'    "{name}",' for name in sorted(ops.__all__)), "]", ""]
    lines += ["class TensorMethods(Node):"]
    for name, op in table.items():
        if getattr(getattr(ArrayLike, name, None), "__wrapped__", None) is op:
            lines += indented(method(op))
    for name in sorted(ops.__all__):
        thing = getattr(ops, name)
        if isinstance(thing, Op):
            lines += ["", *function(thing)]
        else:  # a module; within it, ops have no types
            lines += ["", f"class _{name.title()}:"]
            for inner in thing.__all__:
                lines += indented(function(getattr(thing, inner), "self"))
            lines += ["", f"{name}: _{name.title()}"]
    return "\n".join([*lines, ""])


def imports(table: Iterable[Op]) -> Iterator[str]:
    """Yield the imports of all that annotations name."""
    homes = defaultdict(set)
    homes["collections.abc"] = {"Iterable"}
    homes["typing"] = {"Any", "overload"}
    homes["tinygrad_edu.engine.graph"] = {"Node"}
    homes["tinygrad_edu.engine.tensor"] = {"Tensor as Tensor"}  # handed on
    homes["tinygrad_edu.support.kinds"] = {"Operand"}
    for op in table:
        own = sys.modules[getattr(op.forward, "__module__", ops.__name__)]
        for text in annotations(op).values():
            for name in re.findall(r"[A-Za-z_]\w*", re.sub("'.*?'", "", text)):
                home = next(m for m in [*HOMES, own] if hasattr(m, name))
                homes[home.__name__].add(name)
    del homes["builtins"]
    for home, names in sorted(homes.items()):
        yield f"from {home} import {', '.join(sorted(names))}"


def annotations(op: Op) -> dict[str, str]:
    return getattr(op.forward, "__annotations__", {})  # a ufunc has none


def method(op: Op) -> Iterator[str]:
    """Yield the lines of a method of a Tensor, which returns a Tensor."""
    _, *others = parameters(op)
    yield f"{definition(op, ['self', *others], of_tensors(op))}:"
    yield described(op)


def function(op: Op, *first: str) -> Iterator[str]:
    """Yield the lines of a function: a Tensor among its inputs makes it a Tensor."""
    given = [*first, *parameters(op)]
    for i, parameter in enumerate(given):
        name, _, kind = parameter.partition(": ")
        if name.strip("*") in op.inputs:
            tensor = f"{name}: {kind.replace('Operand', 'Tensor')}"
            some = [*given[:i], tensor, *given[i + 1 :]]
            yield "@overload"
            yield f"{definition(op, some, of_tensors(op))}: ..."
    yield "@overload"
    yield f"{definition(op, given, annotations(op).get('return', 'Any'))}:"
    yield described(op)


def parameters(op: Op) -> list[str]:
    """Return the parameters of a call, with types; all may be given by position."""
    texts = []
    for p in inspect.signature(op).parameters.values():
        is_input = p.name in op.inputs
        kind = "Operand" if is_input else annotations(op)[p.name]
        if is_input and op.variadic and p.kind is not p.VAR_POSITIONAL:
            kind = f"Iterable[{kind}]"
        default = "" if p.default is p.empty else f" = {p.default!r}"
        texts.append(f"{'*' * (p.kind is p.VAR_POSITIONAL)}{p.name}: {kind}{default}")
    return texts


def of_tensors(op: Op) -> str:
    """Return what the op returns if an input is a Tensor."""
    return annotations(op).get("return", "Any").replace("Any", "Tensor")


def definition(op: Op, given: list[str], answer: str) -> str:
    return f"def {op.name}({', '.join(given)}) -> {answer}"


def described(op: Op) -> str:
    """Return the body: the first line of the op's description."""
    first, *_ = op.__doc__.removeprefix(f"{op}: ").splitlines()
    return f'    """{first}"""'


def indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


if __name__ == "__main__":
    STUB.write_text(stub())
