"""The pass that moves factors: a product with a number is made where it costs least.

In ``W - lr * (delta.T @ x)`` the factor goes to the small `delta`, and from there to
the number that `delta` is multiplied by anyway. All of that follows from one law, that
``k * f(x) = f(k * x)`` for a linear `f`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.compiler.passes.laws import is_plain_number
from tinygrad_edu.compiler.program import (
    Equation,
    EquationOrigin,
    Program,
    Variable,
    same_dtype,
)

__all__ = ["move_factors"]

# A factor: a known number and an unknown one, as an optimiser's learning rate, or None.
Factor = tuple[float, Variable | None]
ONE: Factor = (1.0, None)
# Known numbers that move: such as these make nothing too large and hardly too small.
LEAST, MOST = 2.0**-24, 1.0

# By which arguments a function is linear, one of them at a time.
LINEAR_IN_EACH: dict[Any, tuple[int, ...]] = {
    np.dot: (0, 1),
    np.multiply: (0, 1),
    np.divide: (0,),
    np.negative: (0,),
    np.sum: (0,),
    np.transpose: (0,),
    np.reshape: (0,),
}


def move_factors(program: Program) -> Program:
    """Multiply by a number where that takes the fewest products."""
    mover = _Mover(program)
    moved = mover.moved()
    before, after = map(_cost, (mover.multiples, mover.products))
    return moved if after < before else program


def _cost(products: Iterable[Variable]) -> int:
    """How many elements are multiplied, a call counted as a thousand more."""
    return sum(1000 + x.size for x in products)


class _Mover:
    """Goes from the results backwards, and meets each variable with its factors."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.definitions = program.definitions()
        # Numbers that need no arrays: they are computed first of all.
        self.numbers = {x for x in program.inputs if x.dtype is None}
        # Which variables are a factor times another one.
        self.multiples: dict[Variable, tuple[Factor, Variable]] = {}
        # How many products it takes to have a multiple of a variable in its place.
        self.costs: dict[Variable, int] = {}
        for e in program.equations:
            self.read(e)
        # What is asked for: of each variable, which multiples.
        self.wanted: dict[Variable, dict[Factor, Variable]] = {}
        self.origins: dict[Variable, EquationOrigin] = {}
        self.factors: dict[Factor, Equation] = {}  # what computes one
        self.made: list[Equation] = []  # the last one first
        self.products: list[Variable] = []  # that are made after all

    def moved(self) -> Program:
        program = self.program
        outputs = tuple(map(self.want, program.outputs))
        updates = {x: self.want(y) for x, y in program.updates.items()}
        numbers = [e for e in program.equations if e.output in self.numbers]
        for e in reversed(program.equations):
            if e.output not in self.numbers:
                self.make(e)
        for x in [x for x in self.wanted if x not in self.definitions]:
            self.scale(x)
        equations = (*numbers, *self.factors.values(), *reversed(self.made))
        return replace(program, equations=equations, outputs=outputs, updates=updates)

    def read(self, e: Equation) -> None:
        """Note what the passage back needs to know."""
        x = e.output
        if x.dtype is None and self.numbers.issuperset(e.inputs):
            self.numbers.add(x)
        elif (multiple := self.multiple(e)) is not None:
            self.multiples[x] = multiple
            self.costs[x] = 0
        elif (place := self.place(e)) is not None:
            self.costs[x] = self.cost(e.args[place])

    def cost(self, x: Variable) -> int:
        return self.costs.get(x, x.size + 1)

    def multiple(self, e: Equation) -> tuple[Factor, Variable] | None:
        """Read an equation as a factor times a variable."""
        if e.output.dtype is None or e.output.dtype.kind != "f" or e.params:
            return None
        pairs: list[tuple[Any, Any]] = []
        if e.function is np.negative:
            pairs = [(-1.0, e.args[0])]
        elif e.function is np.multiply:
            pairs = [e.args, e.args[::-1]]
        elif e.function is np.divide and is_plain_number(e.args[1]) and e.args[1]:
            pairs = [(1 / float(e.args[1]), e.args[0])]
        for k, x in pairs:
            if _is_like(x, e.output):
                if is_plain_number(k) and LEAST <= abs(k) <= MOST:
                    return (float(k), None), x
                if isinstance(k, Variable) and k in self.numbers:
                    return (1.0, k), x
        return None

    def place(self, e: Equation) -> int | None:
        """Which argument should be multiplied, in place of the output."""
        if not e.params.keys() <= {"axis", "keepdims"}:
            return None
        linear = LINEAR_IN_EACH.get(e.function, ())
        able = [i for i in linear if _is_like(e.args[i], e.output)]
        best = min(able, key=lambda i: self.cost(e.args[i]), default=None)
        # Elsewhere it is worth the trouble only if it is much less.
        least = e.output.size // 4
        return best if best is not None and self.cost(e.args[best]) <= least else None

    def want(self, x: Any, factor: Factor = ONE) -> Any:
        """Ask for a multiple of x; return the variable that it will be."""
        if not isinstance(x, Variable):
            return x
        y, is_itself = x, factor == ONE
        while multiple := self.multiples.get(y):
            product = _times(multiple[0], factor)
            if product is None:
                break
            factor, y = product, multiple[1]
        wanted = self.wanted.setdefault(y, {})
        if factor == ONE:
            wanted[factor] = y
        elif factor not in wanted:
            # A multiple of a cotangent is called as the cotangent.
            labels = [label for label in (x.label, y.label) if type(label) is tuple]
            label = x.label if is_itself and x.label else next(iter(labels), None)
            wanted[factor] = Variable(y.shape, y.dtype, label)
            if x in self.definitions:
                self.origins[wanted[factor]] = self.definitions[x].origin
        return wanted[factor]

    def make(self, e: Equation) -> None:
        """Compute what is wanted of an equation's output."""
        wanted = self.wanted.get(e.output, {})
        is_multiple = len(wanted) == 1 and ONE not in wanted
        place = self.place(e) if is_multiple else None
        if place is not None:
            ((factor, y),) = wanted.items()
            factors = {place: factor}
            args = (self.want(z, factors.get(i, ONE)) for i, z in enumerate(e.args))
            self.made.append(replace(e, output=y, args=tuple(args)))
        elif wanted or e.is_check:
            self.scale(e.output)
            others = {z: y for z in e.inputs if (y := self.want(z)) is not z}
            self.made.append(e.substitute(others))
            self.products += [e.output] if e.output in self.multiples else []

    def scale(self, x: Variable) -> None:
        """Multiply a variable by what it is wanted times."""
        for factor, y in self.wanted.get(x, {}).items():
            if y is not x:
                minus = (np.negative, (x,))
                times = (np.multiply, (self.number(factor), x))
                function, args = minus if factor == (-1.0, None) else times
                self.made.append(Equation(y, function, args, {}, self.origins.get(y)))
                self.products.append(y)

    def number(self, factor: Factor) -> Any:
        """Return a factor as one number, which is computed before all arrays."""
        known, unknown = factor
        if unknown is None or known == 1.0:
            return unknown or known
        if factor not in self.factors:
            product = Variable((), None)
            self.factors[factor] = Equation(product, operator.mul, factor)
        return self.factors[factor].output


def _times(a: Factor, b: Factor) -> Factor | None:
    """Multiply two factors, if the product is a factor that may move."""
    known = a[0] * b[0]
    if abs(known) < LEAST or (a[1] and b[1]):
        return None
    return known, a[1] or b[1]


def _is_like(x: Any, output: Variable) -> bool:
    """Whether x is an array of the output's dtype."""
    is_array = isinstance(x, Variable) and x.dtype is not None
    return is_array and same_dtype(x.dtype, output.dtype)
