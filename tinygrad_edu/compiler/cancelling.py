"""The pass that cancels fractions, so that delta = a - y falls out of cross-entropy.

The gradient of a probability has the probability in a denominator, and the sigmoid's
rule multiplies by it again. As everywhere in algebra: write the product as a sum of
terms, cancel in each, expand what is left and collect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from tinygrad_edu.compiler.passes import _is_scalar, dead_code
from tinygrad_edu.compiler.program import Equation, Program, Variable, is_uniform

__all__ = ["cancel_fractions"]

# A polynomial: for each product of variables (a sorted tuple), its coefficient.
Polynomial = dict[tuple[Variable, ...], float]
# A factor of a term: a polynomial, frozen so that equal ones are found.
Factor = frozenset[Any]
MANY = 16  # terms, or factors in one of them: what grows beyond is left alone


class _Grows(Exception):  # noqa: N818, nothing is wrong
    """Multiplied out, a sum would have too many terms."""


class Term:
    """A number times factors, each to a power: below zero in the denominator."""

    def __init__(self, number: float, powers: Counter[Factor]) -> None:
        self.number = number
        self.powers = Counter({f: n for f, n in powers.items() if n})

    def __mul__(self, other: Term) -> Term:
        powers = Counter(self.powers)
        for factor, n in other.powers.items():
            powers[factor] += n
        return Term(self.number * other.number, powers)

    def over(self, other: Term) -> Term:
        inverse = Counter({factor: -n for factor, n in other.powers.items()})
        return self * Term(1 / other.number, inverse)

    @property
    def is_fraction(self) -> bool:
        return any(n < 0 for n in self.powers.values())

    def expanded(self) -> Polynomial:
        if self.powers.total() > MANY:
            raise _Grows
        factors = [dict(f) for f in self.powers.elements()]
        return reduce(_product, factors, {(): self.number})


Sum = list[Term]


def cancel_fractions(program: Program) -> Program:
    """Replace products in which all fractions cancel by what remains."""
    reader = _Reader(program)
    made: list[Equation] = []
    for e in program.equations:
        reader.read(e.output)  # in order, so that reading goes one step back at most
        simpler = reader.cancelled(e)
        if simpler is None:
            made.append(e)
        else:
            made += _write(simpler, e)
    return dead_code(replace(program, equations=tuple(made)))


class _Reader:
    """Reads variables as sums of terms."""

    def __init__(self, program: Program) -> None:
        self.definitions = program.definitions()
        self.known: dict[Variable, Sum] = {}

    def cancelled(self, e: Equation) -> Polynomial | None:
        """Return a product without its fractions, if all of them cancel."""
        if e.function is not np.multiply or e.output.dtype is None:
            return None
        if not any(self.has_fraction(x) for x in e.inputs):
            return None
        terms = self.read(e.output)
        if not _is_plain(terms):
            return None
        try:
            polynomial = _collect(terms)
        except _Grows:
            return None
        is_read = (e.output,) not in polynomial  # else it could only be called itself
        fits = len(polynomial) <= len(terms) and _keeps_dtype(polynomial, e.output)
        return polynomial if is_read and fits else None

    def has_fraction(self, x: Variable) -> bool:
        return any(t.is_fraction for t in self.read(x))

    def read(self, x: Any) -> Sum:
        number = _number_of(x)
        if number is not None:
            return [_number(number)]
        if x not in self.known:
            e = self.definitions.get(x)
            terms = None
            if e is not None and x.dtype is not None:
                with suppress(_Grows):
                    terms = self.read_equation(e)
            self.known[x] = _atom(x) if terms is None or len(terms) > MANY else terms
        return self.known[x]

    def read_equation(self, e: Equation) -> Sum | None:
        """Read an equation as a sum of terms, if it can be; raise if that grows."""
        if not all(_is_like(x, e.output) for x in e.args):
            return None
        if e.function is np.negative:
            return [t * _number(-1) for t in self.read(e.args[0])]
        if e.function is np.add:
            return self.read(e.args[0]) + self.read(e.args[1])
        if e.function is np.subtract:
            return self.read(e.args[0]) + [
                t * _number(-1) for t in self.read(e.args[1])
            ]
        if e.function is np.multiply:
            a, b = (_factor(self.read(x)) for x in e.args)
            return [s * t for s in a for t in b]
        if e.function is np.divide:
            number = _number_of(e.args[1])
            if number:
                return [t * _number(1 / number) for t in self.read(e.args[0])]
            return self.read_fraction(*e.args)
        return None

    def read_fraction(self, a: Any, b: Variable) -> Sum | None:
        """Read a / b, where b is guarded: another number if both would be 0."""
        denominator = self.unguarded(b, a)
        if denominator is None or not _is_plain(denominator):
            return None
        (below,) = _factor(denominator)
        return [t.over(below) for t in _factor(self.read(a))]

    def unguarded(self, b: Any, a: Any) -> Sum | None:
        """Read ``where(a == 0 and d == 0, 1, d)`` as d; or 1 + that, likewise."""
        sign, before = 1, []
        while (e := self.definitions.get(b)) and e.function in (np.add, np.subtract):
            x, y = e.args
            if _is_scalar(y) and e.function is np.add:
                x, y = y, x
            if not _is_scalar(x):
                return None
            before += [t * _number(sign) for t in self.read(x)]
            sign, b = (sign, y) if e.function is np.add else (-sign, y)
        if e is None or e.function is not np.where or len(e.args) != 3:
            return None
        mask, instead, d = e.args
        if not _is_scalar(instead) or not self.guards(mask, a):
            return None
        return before + [t * _number(sign) for t in self.read(d)]

    def guards(self, mask: Any, a: Any) -> bool:
        """Whether a mask, one condition and another, holds only where a is 0."""
        e = self.definitions.get(mask)
        if e is None or e.function is not np.bitwise_and:
            return False
        sides = map(self.definitions.get, e.args)
        equal = [s.args for s in sides if s is not None and s.function is np.equal]
        zero = [self.polynomial(x, y) for x, y in equal]
        return self.polynomial(self.without_number(a), 0) in zero

    def polynomial(self, x: Any, y: Any) -> Any:
        """What x - y is; equal for what is the same polynomial."""
        terms = self.read(x) + [t * _number(-1) for t in self.read(y)]
        return _collect(terms) if _is_plain(terms) else None

    def without_number(self, a: Any) -> Any:
        """Return a, or what it is a multiple of by a number."""
        while e := self.definitions.get(a):
            scales = e.function is np.multiply and _number_of(e.args[0]) is not None
            if not scales and e.function is not np.negative:
                break
            a = e.args[-1]
        return a


def _collect(terms: Sum) -> Polynomial:
    """Write a sum without fractions as a polynomial; raise if that grows."""
    total: Polynomial = {}
    for term in terms:
        total = _sum(total, term.expanded())
    return total


def _number_of(x: Any) -> float | None:
    """Return the number that x is, all over; infinity is none to calculate with."""
    number = x if _is_scalar(x) else np.nan
    constant = x.constant if isinstance(x, Variable) else None
    if constant is not None and constant.size and is_uniform(constant):
        number = constant.flat[0]
    return float(number) if np.isfinite(number) else None


def _number(x: float) -> Term:
    return Term(x, Counter())


def _atom(x: Variable) -> Sum:
    return [Term(1.0, Counter({frozenset({((x,), 1.0)}): 1}))]


def _is_plain(terms: Sum) -> bool:
    return not any(t.is_fraction for t in terms)


def _factor(terms: Sum) -> Sum:
    """Make a sum without fractions one factor, so that it may cancel as a whole."""
    if len(terms) == 1 or not _is_plain(terms):
        return terms
    polynomial = _collect(terms)
    return [Term(1.0, Counter({frozenset(polynomial.items()): 1}))]


def _is_like(x: Any, output: Variable) -> bool:
    if _is_scalar(x):
        return bool(np.isfinite(x))
    if not isinstance(x, Variable) or x.dtype is None or x.dtype.kind != "f":
        return False
    return x.shape == output.shape and np.can_cast(x.dtype, output.dtype)


def _keeps_dtype(polynomial: Polynomial, output: Variable) -> bool:
    """Whether every product is of the output's dtype, or is added to one that is."""
    full = [any(x.dtype == output.dtype for x in m) for m in polynomial]
    return any(full) and all(len(m) <= 1 or f for m, f in zip(polynomial, full))


def _sum(p: Polynomial, q: Polynomial) -> Polynomial:
    total = {m: p.get(m, 0.0) + q.get(m, 0.0) for m in (*p, *q)}
    least = 1e-12 * _largest((p, q))
    return {m: c for m, c in total.items() if abs(c) > least}


def _largest(polynomials: Iterable[Polynomial]) -> float:
    return max((abs(c) for p in polynomials for c in p.values()), default=0.0)


def _product(p: Polynomial, q: Polynomial) -> Polynomial:
    degree = max(map(len, p), default=0) + max(map(len, q), default=0)
    if len(p) * len(q) > MANY**2 or degree > MANY:
        raise _Grows
    product: Polynomial = {}
    for m, c in p.items():
        for n, d in q.items():
            key = tuple(sorted((*m, *n), key=id))
            product[key] = product.get(key, 0.0) + c * d
    return {m: c for m, c in product.items() if c}


def _write(polynomial: Polynomial, e: Equation) -> list[Equation]:
    """Write a polynomial as equations, the last of which is in place of e."""
    made: list[Equation] = []

    def enter(function: Any, *args: Any) -> Variable:
        output = Variable(e.output.shape, e.output.dtype)
        made.append(Equation(output, function, args, origin=e.origin))
        return made[-1].output

    common = _largest([polynomial])
    if any(abs(c) != common for c in polynomial.values()):
        common = 1.0
    total: Variable | None = None

    # What is added comes first, so that no negative has to be computed.
    def order(item: tuple[tuple[Variable, ...], float]) -> Any:
        monomial, c = item
        return c < 0, all(x.dtype != e.output.dtype for x in monomial)

    for monomial, c in sorted(polynomial.items(), key=order):
        number = c / common
        x: Any = (
            reduce(lambda a, b: enter(np.multiply, a, b), monomial) if monomial else 1.0
        )
        if abs(number) != 1 or not monomial:
            x = enter(np.multiply, abs(number), x) if monomial else abs(number)
        if total is None:
            total = x if number > 0 else enter(np.negative, x) if monomial else -x
        else:
            total = enter(np.add if number > 0 else np.subtract, total, x)
    if common != 1 or total is None or not made:
        total = enter(np.multiply, common, 0.0 if total is None else total)
    made[-1] = replace(made[-1], output=e.output)
    return made
