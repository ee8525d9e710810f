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

from tinygrad_edu.compiler.passes import _is_scalar, dead_code, is_scalar_operand
from tinygrad_edu.compiler.program import (
    Equation,
    EquationOrigin,
    Program,
    Variable,
    same_dtype,
)

__all__ = ["move_factors"]

# A factor: a known number, and unknown ones, as an optimiser's learning rate.
Factor = tuple[float, tuple[Variable, ...]]
ONE: Factor = (1.0, ())

# By which arguments a function is linear, one of them at a time.
LINEAR_IN_EACH: dict[Any, tuple[int, ...]] = {
    np.dot: (0, 1),
    np.matmul: (0, 1),
    np.multiply: (0, 1),
    np.divide: (0,),
    np.negative: (0,),
    np.sum: (0,),
    np.transpose: (0,),
    np.reshape: (0,),
    np.broadcast_to: (0,),
    operator.getitem: (0,),
}
SUMS = {np.add, np.subtract}


def move_factors(program: Program) -> Program:
    """Multiply by a number where that takes the fewest products."""
    moved = dead_code(_Mover(program).moved())
    return moved if _products(moved) < _products(program) else program


def _products(program: Program) -> int:
    """How many elements are multiplied by numbers, calls counted as a thousand more."""
    found = [e for e in program.equations if _factor_of(e) is not None]
    return sum(1000 + e.output.size for e in found if e.output.dtype is not None)


def _factor_of(e: Equation) -> tuple[Factor, Variable] | None:
    """Read an equation as a number times a variable."""
    if e.output.dtype is None or e.output.dtype.kind != "f":
        return None
    if e.function is np.negative and isinstance(e.args[0], Variable):
        return (-1.0, ()), e.args[0]
    if e.function is np.multiply:
        for k, x in (e.args, e.args[::-1]):
            if is_scalar_operand(k) and _is_like(x, e.output):
                return _factor(k), x
    if e.function is np.divide and _is_scalar(e.args[1]) and e.args[1] != 0:
        x = e.args[0]
        if _is_like(x, e.output):
            return (1 / float(e.args[1]), ()), x
    return None


def _is_like(x: Any, output: Variable) -> bool:
    return isinstance(x, Variable) and same_dtype(x.dtype, output.dtype)


def _factor(k: Any) -> Factor:
    return (1.0, (k,)) if isinstance(k, Variable) else (float(k), ())


def _times(a: Factor, b: Factor) -> Factor:
    return a[0] * b[0], tuple(sorted((*a[1], *b[1]), key=id))


class _Mover:
    """Goes from the results backwards, and meets each variable with its factors."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.definitions = program.definitions()
        self.costs: dict[Variable, int] = {}
        for e in program.equations:  # in order, so that none has to go far back
            self.cost(e.output)
        self.wanted: dict[Variable, dict[Factor, Variable]] = {}
        self.numbers: dict[Factor, Any] = {}
        self.made: list[Equation] = []  # the last one first
        self.first: list[Equation] = []  # equations between numbers
        self.same: dict[Variable, Variable] = {}  # what became another variable
        self.origins: dict[Variable, EquationOrigin] = {}

    def moved(self) -> Program:
        program = self.program
        for x in program.results():
            self.want(x, ONE)
        for e in reversed(program.equations):
            self.make(e)
        for x in (*program.inputs, *self.constants()):
            self.scale_copies(x, x, self.wanted.get(x, {}))
        numbers = [e for e in self.program.equations if e.output.dtype is None]
        others = [e for e in reversed(self.made) if e.output.dtype is not None]
        is_free = _computable(program.inputs, numbers)
        early = [e for e in numbers if is_free(e)]
        late = [e for e in numbers if not is_free(e)]
        for y in reversed(self.same):  # the one that is furthest back first
            self.same[y] = self.same.get(self.same[y], self.same[y])
        equations = (*early, *self.first, *late, *others)
        return replace(program, equations=equations).substitute(self.same)

    def constants(self) -> list[Variable]:
        return [x for x in self.wanted if x.constant is not None]

    def want(self, x: Variable, factor: Factor) -> Variable:
        """Ask for `factor` times x; return the variable that it will be."""
        wanted = self.wanted.setdefault(x, {})
        if factor not in wanted:
            wanted[factor] = x if factor == ONE else x.like()
        return wanted[factor]

    def make(self, e: Equation) -> None:
        """Compute what is wanted of an equation's output."""
        x = e.output
        if x.dtype is None:
            for z in e.inputs:
                self.want(z, ONE)
            return
        wanted = self.wanted.get(x, {})
        if not wanted:
            return
        read = _factor_of(e)
        if read is not None:  # no equation of its own: asked for further back
            factor, source = read
            for k, y in wanted.items():  # several may come to one, as zeros do
                self.same[y] = self.want(source, _times(factor, k))
                self.origins[self.same[y]] = e.origin
            return
        if len(wanted) == 1:
            ((factor, y),) = wanted.items()
            if factor == (-1.0, ()) and (turned := self.turned(e)) is not None:
                self.made.append(replace(turned, output=y))
                return
            places = self.places(e) if factor != ONE else []
            if places:
                args = list(e.args)
                for i, z in enumerate(args):
                    if isinstance(z, Variable):
                        args[i] = self.want(z, factor if i in places else ONE)
                self.made.append(replace(e, output=y, args=tuple(args)))
                return
        self.scale_copies(x, x, wanted)
        for z in e.inputs:
            self.want(z, ONE)
        self.made.append(e)

    def scale_copies(
        self, x: Variable, base: Variable, wanted: dict[Factor, Variable]
    ) -> None:
        for factor, y in wanted.items():
            if factor == ONE:
                continue
            function: Any = np.multiply
            args: tuple[Any, ...] = (self.number(factor), base)
            if factor == (-1.0, ()):
                function, args = np.negative, (base,)
            origin = self.origins.get(y, EquationOrigin())
            self.made.append(Equation(y, function, args, origin=origin))

    def number(self, factor: Factor) -> Any:
        """Return a factor as one number, which may have to be computed."""
        known, unknown = factor
        if factor not in self.numbers:
            number: Any = known if known != 1 or not unknown else None
            for k in unknown:
                if number is None:
                    number = k
                    continue
                product = Variable((), None)
                self.first.append(Equation(product, operator.mul, (number, k)))
                number = product
            self.numbers[factor] = number
        return self.numbers[factor]

    def turned(self, e: Equation) -> Equation | None:
        """Write -(a + b) as (-b) - a, where b is small."""
        if e.function is not np.add or not all(isinstance(z, Variable) for z in e.args):
            return None
        a, b = sorted(e.args, key=lambda z: z.size, reverse=True)
        if self.cost(b) * 4 > a.size or not same_dtype(b.dtype, e.output.dtype):
            return None
        args = (self.want(b, (-1.0, ())), self.want(a, ONE))
        return replace(e, function=np.subtract, args=args)

    # --- Where a product costs least --------------------------------------------------

    def places(self, e: Equation) -> Iterable[int]:
        """Which arguments should be multiplied, in place of the output."""
        if e.function in SUMS:
            arrays = all(
                isinstance(z, Variable) and z.dtype is not None for z in e.args
            )
            return (0, 1) if arrays and self.cost_of_sum(e) * 4 <= e.output.size else ()
        least, place = e.output.size // 4, None  # else it is hardly worth it
        for i in LINEAR_IN_EACH.get(e.function, ()):
            z = e.args[i]
            if not _is_like(z, e.output):
                continue
            if z.constant is None and self.cost(z) <= least:
                least, place = self.cost(z), i
        return () if place is None else (place,)

    def cost_of_sum(self, e: Equation) -> int:
        return sum(self.cost(z) for z in e.args if isinstance(z, Variable))

    def cost(self, x: Variable) -> int:
        """How many products it takes to have a multiple of x in its place."""
        if x not in self.costs:
            self.costs[x] = x.size + 1
            e = self.definitions.get(x)
            if e is not None and _factor_of(e) is not None:
                self.costs[x] = 0
            elif e is not None:
                parts = [
                    self.cost(e.args[i])
                    for i in LINEAR_IN_EACH.get(e.function, ())
                    if isinstance(e.args[i], Variable)
                ]
                if e.function in SUMS:
                    parts = [self.cost_of_sum(e)]
                self.costs[x] = min([x.size + 1, *parts])
        return self.costs[x]


def _computable(inputs: tuple[Variable, ...], numbers: list[Equation]) -> Any:
    """Tell which equations between numbers need no arrays."""
    known = set(inputs)
    for e in numbers:
        if all(x in known for x in e.inputs):
            known.add(e.output)
    return lambda e: e.output in known
