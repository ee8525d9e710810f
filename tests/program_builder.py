"""Writes small programs for the compiler's passes, line by line."""

import operator
from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import (
    Equation,
    EquationOrigin,
    Program,
    Variable,
    change,
)

__all__ = [
    "Builder",
    "constant",
    "example",
    "functions",
    "getitem",
    "lines",
    "step_of",
]

getitem = operator.getitem


class Builder:
    """Writes a small program, line by line."""

    def __init__(self) -> None:
        self.inputs: list[Variable] = []
        self.equations: list[Equation] = []
        self.origin = EquationOrigin()

    def given(self, *shape: int, dtype: Any = np.float64) -> Variable:
        self.inputs.append(Variable(shape, np.dtype(dtype) if dtype else None))
        return self.inputs[-1]

    def __call__(self, function: Any, *args: Any, **params: Any) -> Variable:
        """Enter an equation; its output's shape and dtype are NumPy's answer's."""
        values, named = change(args, example), change(params, example)
        with np.errstate(all="ignore"):
            answer = np.asarray(function(*values, **named))
        is_number = function.__module__ == "_operator" and function is not getitem
        output = Variable(answer.shape, None if is_number else answer.dtype)
        e = Equation(output, function, args, params, self.origin)
        self.equations.append(e)
        return output

    def program(self, *outputs: Any, updates: Any = None) -> Program:
        return Program(
            tuple(self.inputs), tuple(self.equations), outputs, updates or {}
        )


def example(x: Any) -> Any:
    if not isinstance(x, Variable):
        return x
    if x.constant is not None:
        return x.constant
    return np.ones(x.shape, x.dtype) if x.dtype is not None else 1.0


def constant(array: Any) -> Variable:
    array = np.asarray(array)
    return Variable(array.shape, array.dtype, constant=array)


def functions(program: Program) -> list[Any]:
    return [e.function for e in program.equations]


def lines(program: Program) -> list[Any]:
    """Return each equation as its function and its arguments."""
    return [(e.function, *e.args) for e in program.equations]


def step_of(written: Any) -> Any:
    """Return the function that a writer has written."""
    names = dict(written.space.given)
    exec(written.source, names)
    return names["step"]
