"""A program: equations in the order in which they are computed, each variable once.

A function that is recorded becomes a `Program` of NumPy's own functions; every pass
makes a program of a program; emission writes it down as source.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.support import tree

__all__ = [
    "CHECK",
    "PLAIN",
    "Equation",
    "EquationOrigin",
    "Program",
    "Variable",
    "alike",
    "change",
    "is_uniform",
    "parts",
    "same_dtype",
]


def same_dtype(a: Any, b: Any) -> bool:
    """Whether two dtypes are the same. NumPy takes None, a number's, for float64."""
    return a is b or (a is not None and b is not None and bool(a == b))


def is_uniform(array: Any) -> bool:
    """Whether an array holds one value all over; 0.0 is not -0.0 here."""
    return bool(array.tobytes() == array.flat[0].tobytes() * array.size)


CHECK = object()  # the label of what a check gives: nothing


class Variable:
    """A value that a program computes or is given: its shape and dtype.

    The dtype is None for a Python number. `constant` is the array, if it is one that
    the function made or found where it cannot be told from others. Only an input that
    was not C-contiguous when it was recorded is not `contiguous`.
    """

    __slots__ = ("constant", "contiguous", "dtype", "label", "shape")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        label: Any = None,
        constant: Any = None,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.label = label  # what it is in the textbook; see `naming`
        self.constant = constant
        self.contiguous = True

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize if self.dtype is not None else 0

    def like(self) -> Variable:
        """Return another variable of the same shape and dtype."""
        return Variable(self.shape, self.dtype, self.label)

    def __repr__(self) -> str:
        return f"<{self.dtype} {self.shape} {self.label or ''}>"


@dataclass(slots=True)
class EquationOrigin:
    """Where an equation came from: the op, the rule that called it, the user's line."""

    op: str = ""
    rule: str = ""  # as "sigmoid.x": how its gradient is passed back to its input x
    line: tuple[Any, ...] = ("", 0)  # its file and number


@dataclass(init=False, eq=False, slots=True)
class Equation:
    """``output = function(*args, **params)``; never changed.

    Variables stand among the arguments and, nested, in lists, tuples, dicts and slices
    there, beside plain values. The inputs are the variables that it reads.
    """

    output: Variable
    function: Callable[..., Any]
    args: tuple[Any, ...]
    params: dict[str, Any]
    origin: EquationOrigin
    inputs: list[Variable] = field(init=False, repr=False)

    def __init__(  # by hand, since a long program makes many of them
        self,
        output: Variable,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        params: dict[str, Any] | None = None,
        origin: EquationOrigin | None = None,
    ) -> None:
        self.output, self.function, self.args = output, function, args
        self.params = params or {}
        self.origin = origin or EquationOrigin()
        found = parts(*args, *params.values()) if params else parts(*args)
        self.inputs = [x for x in found if type(x) is Variable]

    @property
    def is_check(self) -> bool:
        """Whether it computes nothing, but may raise."""
        return self.output.label is CHECK

    def substitute(self, mapping: dict[Variable, Any]) -> Equation:
        """Put other variables, or plain values, in place of those it reads."""
        if mapping.keys().isdisjoint(self.inputs):
            return self
        args = change(self.args, lambda x: _get(mapping, x))
        params = change(self.params, lambda x: _get(mapping, x))
        return Equation(self.output, self.function, args, params, self.origin)


def _get(mapping: dict[Variable, Any], x: Any) -> Any:
    return mapping.get(x, x) if isinstance(x, Variable) else x


PLAIN = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype)
STRUCTURES = (*tree.CONTAINERS, slice)


# They ask for the type: isinstance() is slow where a class pretends to be another.
def parts(*structures: Any) -> list[Any]:
    """List what stands in nested tuples, lists, dicts and slices."""
    found: list[Any] = []
    for whole in structures:
        kind = type(whole)
        if not issubclass(kind, STRUCTURES):
            found.append(whole)
        elif kind is slice:
            found += parts(whole.start, whole.stop, whole.step)
        else:
            found += parts(*(whole.values() if issubclass(kind, dict) else whole))
    return found


def change(whole: Any, to: Callable[[Any], Any]) -> Any:
    """Return the same structure, with each thing in it changed."""
    kind = type(whole)
    if not issubclass(kind, STRUCTURES):
        return to(whole)
    if issubclass(kind, dict):
        return {key: change(part, to) for key, part in whole.items()}
    if kind is slice:
        return slice(*change((whole.start, whole.stop, whole.step), to))
    changed = [
        change(part, to) if issubclass(type(part), STRUCTURES) else to(part)
        for part in whole
    ]
    return kind(*changed) if hasattr(kind, "_fields") else kind(changed)


def alike(a: Any, b: Any) -> bool:
    """Whether two runs of a function gave the same."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if type(a) is Variable:
        if a.constant is None or b.constant is None:
            return False
        a, b = a.constant, b.constant
    if isinstance(a, np.ndarray):
        nan = a.dtype.kind in "fc"
        return a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=nan))
    if isinstance(a, slice):
        a, b = (a.start, a.stop, a.step), (b.start, b.stop, b.step)
    elif isinstance(a, dict):
        a, b = [*a.items()], [*b.items()]
    elif isinstance(a, (*PLAIN, set, frozenset)):
        return bool(a == b) or a != a
    elif not isinstance(a, list | tuple):
        return True  # made anew in each run, as a lambda is: nothing tells it apart
    same = len(a) == len(b)
    return same and (all(map(operator.is_, a, b)) or all(map(alike, a, b)))


@dataclass(frozen=True)
class Program:
    """Equations between inputs, outputs, and the inputs that are written to.

    Attributes
    ----------
    inputs : tuple of Variable
        The arguments' arrays, then what the function uses besides: parameters and
        their like, which the program may write to.
    equations : tuple of Equation
    outputs : tuple
        Variables, or plain values.
    updates : dict of Variable to Variable
        The inputs that are written to, with what they become.
    """

    inputs: tuple[Variable, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Any, ...]
    updates: dict[Variable, Any]

    def results(self) -> list[Variable]:
        """Return the variables that someone outside will see."""
        seen = (*self.outputs, *self.updates.values())
        return [x for x in seen if isinstance(x, Variable)]

    def uses(self) -> dict[Variable, list[Equation]]:
        """Return for each variable the equations that read it."""
        found: dict[Variable, list[Equation]] = {}
        for equation in self.equations:
            for x in equation.inputs:
                readers = found.get(x)
                if readers is None:
                    found[x] = [equation]
                elif readers[-1] is not equation:
                    readers.append(equation)
        return found

    def definitions(self) -> dict[Variable, Equation]:
        """Return for each variable the equation that computes it."""
        return {equation.output: equation for equation in self.equations}

    def substitute(self, mapping: dict[Variable, Any]) -> Program:
        """Put other variables in place of some that are read, the results included."""
        if not mapping:
            return self
        return replace(
            self,
            equations=tuple(e.substitute(mapping) for e in self.equations),
            outputs=tuple(_get(mapping, x) for x in self.outputs),
            updates={x: _get(mapping, y) for x, y in self.updates.items()},
        )

    def evaluate(self, *values: Any) -> tuple[tuple[Any, ...], list[Any]]:
        """Compute the outputs and the new values: what a written program must give."""
        known: dict[Variable, Any] = dict(zip(self.inputs, values))

        def value(x: Any) -> Any:
            if not isinstance(x, Variable):
                return x
            return x.constant if x.constant is not None else known[x]

        for e in self.equations:
            known[e.output] = e.function(
                *change(e.args, value), **change(e.params, value)
            )
        return tuple(map(value, self.outputs)), [
            value(x) for x in self.updates.values()
        ]
