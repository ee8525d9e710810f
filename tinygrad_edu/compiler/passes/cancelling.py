"""The pass that cancels fractions, so that delta = a - y falls out of cross-entropy.

The rule of a logarithm divides by a probability, with a guard for 0 / 0, and the
sigmoid's rule multiplies by it again. Each fraction that a rule wrote is followed from
there, as a formula that is multiplied out, to the equation where nothing is divided.

What a fraction meets is read as few factors and terms. So the work is in proportion to
the length of the program.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial, reduce
from typing import Any

import numpy as np

from tinygrad_edu.compiler.passes.laws import (
    is_normal,
    is_plain_number,
    kind_of,
    simplify,
    uniform,
)
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.engine.op import OPS
from tinygrad_edu.formulas.algebra import (
    Formula,
    Name,
    Product,
    applied,
    as_product,
    expanded,
    has_fraction,
    minus,
    names_in,
    number,
    parts_of,
    plus,
    terms_of,
)
from tinygrad_edu.formulas.algebra import replace as substitute

__all__ = ["cancel_fractions"]

MANY = 4  # terms of a sum, or factors of a term: longer ones are left alone
AND = (np.bitwise_and, np.logical_and)
SUMS = (np.add, np.subtract)
ARITHMETIC = (np.negative, np.multiply, np.divide, *SUMS)


def cancel_fractions(program: Program) -> Program:
    """Replace the products that cancel the fractions of rules by what remains."""
    if not any(map(_is_of_a_rule, program.equations)):
        return program
    reader = _Reader(program)
    made: list[Equation] = []
    for e in program.equations:
        formula = reader.read(e) if _is_arithmetic(e) else None
        if formula is not None and has_fraction(formula):
            reader.fractions[e.output] = formula
            formula = None
        made += [e] if formula is None else _write(formula, e)
    return simplify(replace(program, equations=tuple(made)))


def _is_of_a_rule(e: Equation) -> bool:
    return e.function is np.divide and bool(e.origin.rule)


class _Reader:
    """Reads equations as formulas of a few variables."""

    def __init__(self, program: Program) -> None:
        self.definitions = program.definitions()
        self.names: dict[Variable, Name] = {}
        self.fractions: dict[Any, Formula] = {}  # multiplied out

    def read(self, e: Equation) -> Formula | None:
        """Read an equation, if it has a fraction and does not get longer by that."""
        if _is_of_a_rule(e):
            args = self.guarded(*e.args)
        elif e.function is np.divide or self.fractions.keys().isdisjoint(e.args):
            return None
        else:
            args = [self.fractions.get(x) or self.formula(x) for x in e.args]
        if not args:
            return None
        formula = expanded(_calculated(e, args))
        longest = max(len(terms_of(x)) for x in args)
        is_short = len(terms_of(formula)) <= longest or has_fraction(formula)
        # The NaN of what was cancelled must be in what remains.
        is_all_there = names_in(*args) <= names_in(formula)
        is_able = is_short and is_all_there and _is_small(formula, e)
        return formula if is_able else None

    def formula(self, x: Any, depth: int = MANY) -> Formula:
        """Read x as a product, or as a product plus a number."""
        known = float(x) if is_plain_number(x) else uniform(x)
        if known is not None:
            return number(known)
        e = self.definitions.get(x)
        if e is not None and depth and _is_arithmetic(e):
            args = [self.formula(z, depth - 1) for z in e.args]
            formula = _calculated(e, args)
            is_long = e.function in SUMS and all(map(names_in, args))
            if not is_long and not has_fraction(formula) and _is_small(formula, e):
                return formula
        return self.names.setdefault(x, Name((), "", x))

    def guarded(self, a: Any, b: Any) -> list[Formula]:
        """Read the two parts of a fraction, if a guard keeps it from being 0 / 0."""
        divisor = self.formula(b)
        names = names_in(divisor)
        if len(names) != 1:
            return []
        (name,) = names
        e = self.definitions.get(name.data)
        if e is None or e.function is not np.where or not is_plain_number(e.args[1]):
            return []
        mask, _, guarded = e.args
        both = self.definitions.get(mask)
        if not _is_float(guarded, b.shape) or both is None or both.function not in AND:
            return []
        above = self.formula(a)
        for zero in map(self.definitions.get, both.args):
            if zero is not None and _is_comparison(zero):
                x, c = map(self.formula, zero.args)
                zeros = parts_of(as_product(plus(x, minus(c))))
                if zeros and set(zeros) <= set(parts_of(as_product(above))):
                    return [above, substitute(divisor, name, self.formula(guarded))]
        return []


def _is_comparison(e: Equation) -> bool:
    """Whether it asks if an array of floats equals a number."""
    is_equality = e.function is np.equal and _is_float(e.args[0])
    return is_equality and is_plain_number(e.args[1])


def _calculated(e: Equation, args: list[Formula]) -> Formula:
    return applied(OPS[e.function.__name__], args, {}, ())


def _is_small(x: Formula, e: Equation) -> bool:
    """Whether a formula is short, of numbers that the equation's dtype holds."""
    terms = list(map(as_product, terms_of(x)))
    is_short = max(len(terms), *[len(t.factors) for t in terms]) <= MANY
    return is_short and all(is_normal(t.coefficient, e.output.dtype) for t in terms)


def _is_arithmetic(e: Equation) -> bool:
    """Whether it is arithmetic between floats, element by element as they stand."""
    return (
        e.function in ARITHMETIC
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


def _variables(x: Product) -> list[Variable]:
    """Return the variables of a product, each as often as its exponent says."""
    return [f.data for f, n in x.factors if isinstance(f, Name) for _ in range(int(n))]


def _write(x: Formula, e: Equation) -> list[Equation]:
    """Write a sum of products as equations, if they give an array of the dtype."""
    made: list[Equation] = []

    def enter(function: Any, a: Any, b: Any) -> Any:
        simpler = replace(e, function=function, args=(a, b))
        made.append(replace(simpler, output=Variable(*kind_of(simpler))))
        return made[-1].output

    multiply, add = partial(enter, np.multiply), partial(enter, np.add)
    terms = list(map(as_product, terms_of(x)))
    sizes = {abs(t.coefficient) for t in terms}
    common = sizes.pop() if len(sizes) == 1 else 1.0
    written = [reduce(multiply, _variables(t), t.coefficient / common) for t in terms]
    last = multiply(common, reduce(add, written))
    made[-1] = replace(made[-1], output=e.output)
    return made if last.dtype == e.output.dtype else [e]
