"""The pass that cancels fractions, so that delta = a - y falls out of cross-entropy.

The rule of a logarithm divides by a probability, with a guard for 0 / 0, and the
sigmoid's rule multiplies by it again. Each fraction that a rule wrote is followed from
there, through sums, signs and numbers, to the product that cancels it.

What a fraction meets is read as a few factors, each a variable plus a number. Nothing
else is multiplied out; so the work is in proportion to the length of the program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import product
from math import prod
from typing import Any

import numpy as np

from tinygrad_edu.compiler.laws import (
    is_normal,
    is_plain_number,
    kind_of,
    simplify,
    uniform,
)
from tinygrad_edu.compiler.program import Equation, Program, Variable

__all__ = ["cancel_fractions"]

MANY = 4  # terms of a sum, or factors of a term: longer ones are left alone
AND = (np.bitwise_and, np.logical_and)

Factor = tuple[Variable, float]  # the variable plus the number
Factors = tuple[Factor, ...]
Monomial = tuple[Variable, ...]


@dataclass(frozen=True)
class Term:
    """A number times factors; and, of a fraction, what it is or was divided by."""

    number: float
    above: Factors
    below: Factor | None = None
    is_open: bool = False  # not cancelled yet

    def times(self, number: float, factors: Factors = ()) -> Term:
        number, above = self.number * number, (*self.above, *factors)
        if not self.is_open or self.below not in factors:
            return replace(self, number=number, above=above)
        first = above.index(self.below)
        above = above[:first] + above[first + 1 :]
        return replace(self, number=number, above=above, is_open=False)


def cancel_fractions(program: Program) -> Program:
    """Replace the products that cancel the fractions of rules by what remains."""
    if not any(map(_is_of_a_rule, program.equations)):
        return program
    reader = _Reader(program)
    made: list[Equation] = []
    for e in program.equations:
        terms = reader.read(e) if _is_arithmetic(e) else []
        if any(t.is_open for t in terms):
            reader.fractions[e.output] = terms
            made.append(e)
        else:
            made += _write(terms, e)
    return simplify(replace(program, equations=tuple(made)))


def _is_of_a_rule(e: Equation) -> bool:
    return e.function is np.divide and bool(e.origin.rule)


class _Reader:
    """Reads equations, each by what is known of its arguments."""

    def __init__(self, program: Program) -> None:
        self.definitions = program.definitions()
        # What a variable is: k * x + c, as k, c and x.
        self.lines: dict[Any, tuple[float, float, Any]] = {}
        self.fractions: dict[Any, list[Term]] = {}

    def line(self, x: Any) -> tuple[float, float, Any]:
        """Return k, c and the variable; for a number c alone."""
        if is_plain_number(x):
            return 0.0, float(x), None
        if x not in self.lines:
            number = uniform(x)
            self.lines[x] = (1.0, 0.0, x) if number is None else (0.0, number, None)
        return self.lines[x]

    def read(self, e: Equation) -> list[Term]:
        """Read an equation as a sum of terms, if one of them is or was a fraction."""
        self.read_line(e)
        found = self.terms(e)
        is_small = len(found) <= MANY and all(
            len(t.above) <= MANY and is_normal(t.number, e.output.dtype) for t in found
        )
        return found if is_small else []

    def read_line(self, e: Equation) -> None:
        """Note the variable of which an equation gives a multiple, plus a number."""
        lines = [self.line(x) for x in e.args]
        k, c, x = lines[0]
        n, d, y = lines[-1]
        if e.function is np.negative:
            line = -k, -c, x
        elif x is not None and y is not None:
            return
        elif e.function is np.multiply:
            line = k * d + n * c, c * d, x or y
        elif e.function is np.divide:
            line = (k / d, c / d, x) if d and x else (0.0, 0.0, x)
        else:
            sign = 1 if e.function is np.add else -1
            line = k + sign * n, c + sign * d, x or y
        if is_normal(line[0], e.output.dtype) and np.isfinite(line[1]):
            self.lines[e.output] = line

    def factors(self, x: Any, whole: tuple[Any, ...]) -> tuple[float, Factors]:
        """Read x as a number times factors; those of `whole` are not taken apart."""
        number, found, rest = 1.0, list[Factor](), [x]
        while rest:
            k, c, x = self.line(rest.pop())
            if x is None:
                number *= c
                continue
            number, factor = number * k, (x, c / k)
            e = self.definitions.get(x)
            few = len(found) + len(rest) < MANY and factor not in whole
            if few and c == 0 and e and e.function is np.multiply and _is_arithmetic(e):
                rest += e.args
            else:
                found.append(factor)
        return number, tuple(found)

    def terms(self, e: Equation) -> list[Term]:
        a, b = e.args[0], e.args[-1]
        if e.function is np.divide:
            return self.fraction(a, b) if _is_of_a_rule(e) else []
        if a not in self.fractions and b not in self.fractions:
            return []
        if e.function is np.negative:
            return [t.times(-1) for t in self.fractions[a]]
        if e.function is np.multiply:
            a, b = (a, b) if a in self.fractions else (b, a)
            terms = self.fractions[a]
            factors = self.factors(b, tuple(t.below for t in terms))
            return [t.times(*factors) for t in terms]
        sign = 1 if e.function is np.add else -1
        return [*self.sum_of(a), *(t.times(sign) for t in self.sum_of(b))]

    def sum_of(self, x: Any) -> list[Term]:
        return self.fractions.get(x) or [Term(*self.factors(x, ()))]

    def fraction(self, a: Any, b: Any) -> list[Term]:
        """Read a / b, where b is guarded: another number if both would be 0."""
        k, c, guarded = self.line(b)
        e = self.definitions.get(guarded)
        if e is None or e.function is not np.where or not is_plain_number(e.args[1]):
            return []
        n, d, x = self.line(e.args[2])
        zeros = self.zeros(e.args[0])
        number, above = self.factors(a, zeros)
        if not _is_float(x, b.shape) or not set(zeros) & set(above):
            return []
        return [Term(number / (k * n), above, (x, (k * d + c) / (k * n)), is_open=True)]

    def zeros(self, mask: Any) -> Factors:
        """Return what is 0 wherever a mask, one equality and another, holds."""
        both = self.definitions.get(mask)
        if both is None or both.function not in AND:
            return ()
        found = []
        for e in map(self.definitions.get, both.args):
            if e is not None and e.function is np.equal and is_plain_number(e.args[1]):
                k, c, x = self.line(e.args[0])
                if x is not None:
                    found.append((x, (c - float(e.args[1])) / k))
        return tuple(found)


def _is_arithmetic(e: Equation) -> bool:
    """Whether it is arithmetic between floats, element by element as they stand."""
    known = (np.negative, np.add, np.subtract, np.multiply, np.divide)
    return (
        e.function in known
        and not e.params
        and _is_float(e.output)
        and all(
            np.isfinite(x) if is_plain_number(x) else _is_float(x, e.output.shape)
            for x in e.args
        )
    )


def _is_float(x: Any, shape: Any = None) -> bool:
    is_array = isinstance(x, Variable) and x.dtype is not None
    return is_array and x.dtype.kind == "f" and shape in (None, x.shape)


def _write(terms: list[Term], e: Equation) -> list[Equation]:
    """Write a sum without fractions as equations, if that is as short as it was."""
    polynomial = _multiplied_out(terms)
    left = {x for monomial in polynomial for x in monomial}
    cancelled = {t.below[0] for t in terms if t.below}
    # The NaN of what was cancelled must be in what remains.
    if not terms or len(polynomial) > len(terms) or not cancelled <= left:
        return [e]
    made: list[Equation] = []

    def enter(function: Any, a: Any, b: Any) -> Any:
        simpler = replace(e, function=function, args=(a, b))
        made.append(replace(simpler, output=Variable(*kind_of(simpler))))
        return made[-1].output

    multiply, add = partial(enter, np.multiply), partial(enter, np.add)
    sizes = set(map(abs, polynomial.values()))
    common = sizes.pop() if len(sizes) == 1 else 1.0
    products = [reduce(multiply, m, c / common) for m, c in polynomial.items()]
    last = multiply(common, reduce(add, products))
    made[-1] = replace(made[-1], output=e.output)
    return made if last.dtype == e.output.dtype else [e]


def _multiplied_out(terms: list[Term]) -> dict[Monomial, float]:
    """Return the number of each product of variables."""
    order = {x: i for i, (x, _) in enumerate(f for t in terms for f in t.above)}
    found: dict[Monomial, list[float]] = {}
    for term in terms:
        # Of each factor, x + c, either the variable or the number.
        for chosen in product(*(((x, 1.0), (None, c)) for x, c in term.above)):
            variables = (x for x, _ in chosen if x is not None)
            monomial = tuple(sorted(variables, key=order.__getitem__))
            number = prod((n for _, n in chosen), start=term.number)
            found.setdefault(monomial, []).append(number)
    total = {monomial: sum(numbers) for monomial, numbers in found.items()}
    return {
        monomial: number
        for monomial, number in total.items()
        if abs(number) > 1e-12 * max(map(abs, found[monomial]))
    }
