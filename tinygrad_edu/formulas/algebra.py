"""Formulas: turn a recorded graph into formulas, as a mathematician would write them.

To print a backward rule, run it on Tensors, which records it; `read` turns the recorded
graph into a formula. A formula is simplified while it is built, as far as one would by
hand: numbers are multiplied, equal terms and factors are collected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from itertools import chain
from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import Node, Params, value_of
from tinygrad_edu.engine.op import OPS, Op, as_array

__all__ = [
    "Applied",
    "Derivative",
    "Formula",
    "Name",
    "Product",
    "Sum",
    "added",
    "applied",
    "as_product",
    "common_shape",
    "expanded",
    "has_fraction",
    "in_shape",
    "minus",
    "names_in",
    "number",
    "parts_of",
    "plus",
    "read",
    "replace",
    "terms_of",
    "times",
    "to_the",
    "without",
]

Shape = tuple[int, ...]

common_shape = lru_cache(np.broadcast_shapes)  # slow, and mostly of the same few


@dataclass(frozen=True, eq=False)
class Formula:
    """An expression. Each part of it has a shape and can compute its value."""

    shape: Shape

    @property
    def value(self) -> Any:
        """The number or array that it stands for."""
        return self.value_with({})

    def value_with(self, known: Mapping[Formula, Any]) -> Any:
        """Compute the value; for some quantities, others than their own are known."""


@dataclass(frozen=True, eq=False)
class Name(Formula):
    """A quantity that has a name; two are equal if they are the same object."""

    text: str
    data: Any
    constant: bool = field(default=False, kw_only=True)

    def value_with(self, known: Mapping[Formula, Any]) -> Any:
        return known.get(self, self.data)


@dataclass(frozen=True, eq=False)
class Derivative(Name):
    """The derivative of one named quantity with respect to another, "dL/dz" as text.

    A partial one, "∂L/∂z", leaves out other ways by which the one acts on the other. It
    may be that part of the whole which goes `via` a third quantity, or which `z` has in
    a certain `role`: "as first factor".
    """

    text: str = field(init=False)
    of: str
    by: str
    partial: bool = field(default=False, kw_only=True)
    via: str = field(default="", kw_only=True)
    role: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        d = "∂" if self.partial else "d"
        via = self.via and f"via {self.via}"
        words = filter(None, [f"{d}{self.of}/{d}{self.by}", via, self.role])
        object.__setattr__(self, "text", " ".join(words))


class Unordered(tuple[Any, ...]):
    """Different parts, of which the order is told and does not count."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and frozenset(self) == frozenset(other)

    def __hash__(self) -> int:
        return hash(frozenset(self))


@dataclass(frozen=True)
class Product(Formula):
    """A number times powers of formulas, element by element; `shape` may be larger."""

    coefficient: float
    factors: tuple[tuple[Formula, float], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", Unordered(self.factors))

    def value_with(self, known: Mapping[Formula, Any]) -> Any:
        values = [f.value_with(known) for f, _ in self.factors]
        powers = (x if n == 1 else x**n for x, (_, n) in zip(values, self.factors))
        return np.broadcast_to(
            reduce(np.multiply, powers, self.coefficient), self.shape
        )


@dataclass(frozen=True)
class Sum(Formula):
    """Formulas added up, none of them a sum."""

    terms: tuple[Formula, ...]

    def value_with(self, known: Mapping[Formula, Any]) -> Any:
        terms = (term.value_with(known) for term in self.terms)
        return np.broadcast_to(reduce(np.add, terms), self.shape)


@dataclass(frozen=True)
class Applied(Formula):
    """An op applied to formulas."""

    op: Op
    arguments: tuple[Formula, ...]
    params: Params = field(compare=False)
    of: str  # what the parameters are, to compare them: they may be arrays or slices

    def value_with(self, known: Mapping[Formula, Any]) -> Any:
        values = [as_array(x.value_with(known)) for x in self.arguments]
        return self.op.compute(values, self.params or None)


# --- Algebra --------------------------------------------------------------------------


def number(value: float, shape: Shape = ()) -> Product:
    """Return a number, or an array that is full of it."""
    return Product(shape, float(value), ())


def in_shape(x: Formula, shape: Shape) -> Formula:
    """Return the same formula for an array of a shape; a number fills any."""
    if isinstance(x, Product) and not x.factors:
        return number(x.coefficient, shape)
    return times(x, number(1, shape))


def as_product(x: Formula) -> Product:
    """Return a formula as a product, be it of one factor."""
    return x if isinstance(x, Product) else Product(x.shape, 1.0, ((x, 1.0),))


def _simplest(x: Product) -> Formula:
    """Return a product's only factor in its place, if it is nothing else."""
    if x.coefficient == 0:
        return number(0, x.shape)
    if x.coefficient == 1 and len(x.factors) == 1:
        ((factor, exponent),) = x.factors
        if exponent == 1 and factor.shape == x.shape:
            return factor
    return x


def times(*formulas: Formula) -> Formula:
    """Multiply, element by element; equal factors become a power."""
    coefficient, exponents = 1.0, dict[Formula, float]()
    for x in map(as_product, formulas):
        coefficient *= x.coefficient
        for factor, n in x.factors:
            exponents[factor] = exponents.get(factor, 0.0) + n
    shape = common_shape(*[x.shape for x in formulas])
    factors = tuple([(factor, n) for factor, n in exponents.items() if n != 0])
    return _simplest(Product(shape, coefficient, factors))


def to_the(x: Formula, n: float) -> Formula:
    """Raise to a power that is a number."""
    if n == 0:
        return number(1, x.shape)
    if isinstance(x, Product) and x.coefficient == 0 and n > 0:
        return x
    if isinstance(x, Product) and x.coefficient > 0 and float(n).is_integer():
        factors = tuple([(factor, m * n) for factor, m in x.factors])
        with np.errstate(over="ignore", under="ignore"):  # to infinity, as the op's
            coefficient = float(np.power(x.coefficient, n))
        return _simplest(Product(x.shape, coefficient, factors))
    return _simplest(Product(x.shape, 1.0, ((x, float(n)),)))


def terms_of(x: Formula) -> tuple[Formula, ...]:
    """Return what is added; of what is no sum, itself."""
    return x.terms if isinstance(x, Sum) else (x,)


def added(*formulas: Formula) -> Sum:
    """Return the sum of formulas as it stands: nothing is collected."""
    shape = common_shape(*[x.shape for x in formulas])
    return Sum(shape, tuple(chain.from_iterable(map(terms_of, formulas))))


def plus(*formulas: Formula) -> Formula:
    """Add; terms that differ in their numbers only become one."""
    coefficients = dict[tuple[tuple[Formula, float], ...], float]()
    for product in map(as_product, chain.from_iterable(map(terms_of, formulas))):
        known = coefficients.get(product.factors, 0.0)
        total = known + product.coefficient
        is_rounding = abs(total) < 1e-14 * abs(known)
        coefficients[product.factors] = 0.0 if is_rounding else total
    shape = common_shape(*[x.shape for x in formulas])
    terms = [
        _simplest(Product(common_shape(*[f.shape for f, _ in factors]), n, factors))
        for factors, n in coefficients.items()
        if n != 0
    ]
    if not terms:
        return number(0, shape)
    if len(terms) == 1:
        return in_shape(terms[0], shape)
    return Sum(shape, Unordered(terms))


def minus(x: Formula) -> Formula:
    """Change the sign."""
    return times(number(-1), x)


def expanded(x: Formula) -> Formula:
    """Multiply out; a sum that is divided by stays as it is.

    Sums of fractions come first: what cancels is still there.
    """
    if isinstance(x, Sum):
        parts = tuple(map(expanded, x.terms))
        return x if parts == tuple(x.terms) else plus(*parts)
    sums = [f for f, n in as_product(x).factors if isinstance(f, Sum) and n >= 1]
    if not sums:
        return x
    first = next(filter(has_fraction, sums), sums[0])
    rest = times(x, to_the(first, -1))
    return plus(*(expanded(times(term, rest)) for term in first.terms))


def has_fraction(x: Formula) -> bool:
    """Whether a term of a sum, or a product, divides by something."""
    powers = [n for term in terms_of(x) for _, n in as_product(term).factors]
    return min(powers, default=1) < 0


def replace(x: Formula, old: Formula, new: Formula) -> Formula:
    """Put one formula in another's place, wherever that stands."""
    if x == old:
        return new
    if isinstance(x, Product):
        parts = [to_the(replace(f, old, new), n) for f, n in x.factors]
        return times(number(x.coefficient, x.shape), *parts)
    if isinstance(x, Sum):
        return plus(*(replace(term, old, new) for term in x.terms))
    if isinstance(x, Applied):
        arguments = [replace(a, old, new) for a in x.arguments]
        return applied(x.op, arguments, x.params, x.shape)
    return x


def without(x: Formula, factor: Formula) -> Formula | None:
    """Divide by a factor that occurs once in every term; None if it does not."""
    if isinstance(x, Product) and x.coefficient == 0:
        return number(0)
    if isinstance(x, Sum):
        parts = [without(term, factor) for term in x.terms]
        found = [part for part in parts if part is not None]
        return plus(*found) if len(found) == len(parts) else None
    product = as_product(x)
    having = [(f, n) for f, n in product.factors if mentions(f, factor)]
    if len(having) != 1 or having[0][1] != 1:
        return None
    ((part, _),) = having
    quotient: Formula | None = number(1)
    if part != factor:
        quotient = without(part, factor) if isinstance(part, Sum) else None
    if quotient is None:
        return None
    others = [to_the(f, n) for f, n in product.factors if f != part]
    return times(number(product.coefficient), *others, quotient)


def mentions(x: Formula, part: Formula) -> bool:
    """Whether `part` stands somewhere in `x`."""
    return x == part or any(mentions(inner, part) for inner in parts_of(x))


def parts_of(x: Formula) -> tuple[Formula, ...]:
    """Return what a formula is made of."""
    match x:
        case Product(factors=factors):
            return tuple(f for f, _ in factors)
        case Sum(terms=terms):
            return terms
        case Applied(arguments=arguments):
            return arguments
    return ()


def names_in(*formulas: Formula) -> set[Name]:
    """Return the quantities that formulas speak of."""
    found, stack = set[Name](), list(formulas)
    while stack:
        x = stack.pop()
        if isinstance(x, Name):
            found.add(x)
        else:
            stack += parts_of(x)
    return found


# --- From the graph -------------------------------------------------------------------


def read(
    x: Any, known: Mapping[int, Formula], constant: Callable[[Any], Formula]
) -> Formula:
    """Write down how `x` was computed, down to what is known.

    Parameters
    ----------
    x : Tensor, array or number
        A node of the graph, or what went into one.
    known : dict of int to Formula
        What stands for a thing, by its `id`.
    constant : callable
        Gives a name to an array that is not known.
    """
    found: dict[int, Formula] = {}
    stack = [x]
    while stack:
        part = stack[-1]
        inputs = part.inputs if isinstance(part, Node) else ()
        missing = [z for z in inputs if not (id(z) in known or id(z) in found)]
        if id(part) in found:
            pass
        elif id(part) in known:
            found[id(part)] = known[id(part)]
        elif missing:
            stack += reversed(missing)
            continue
        elif isinstance(part, Node) and part.op is not None:
            arguments = [known.get(id(z)) or found[id(z)] for z in inputs]
            params = part.params or {}
            found[id(part)] = applied(part.op, arguments, params, part.data.shape)
        else:
            value = value_of(part)
            known_value = known.get(id(value))
            found[id(part)] = known_value or (
                constant(value) if np.ndim(value) else _of_number(value)
            )
        stack.pop()
    return found[id(x)]


def _of_number(x: Any) -> Formula:
    """Read a number; one of float32 as it prints, 0.3 and not 0.30000001192."""
    is_short = getattr(x, "dtype", None) in (np.float16, np.float32)
    return number(float(str(x) if is_short else x))


def applied(op: Op, arguments: list[Formula], params: Params, shape: Shape) -> Formula:
    """Apply an op to formulas: arithmetic is multiplied out, anything else a call."""
    match op.name, arguments:
        case "add", [a, b]:
            return plus(a, b)
        case "subtract", [a, b]:
            return plus(a, minus(b))
        case "negative", [a]:
            return minus(a)
        case "positive" | "astype", [a]:
            return a
        case "multiply", [Applied(op=inner) as a, b] if _is_column(a, b):
            return _call(OPS["outer"], shape, [a.arguments[0], b])
        case "multiply", [a, b]:
            return times(a, b)
        case "divide", [a, b]:
            return times(a, to_the(b, -1))
        case "reciprocal", [a]:
            return to_the(a, -1)
        case "square", [a]:
            return to_the(a, 2)
        case "power", [a, Product(coefficient=n, factors=(), shape=())]:
            return to_the(a, n)
        case "broadcast_to", [a]:
            return in_shape(a, shape)
        case "exp", [Applied(op=inner) as a] if inner.name == "log_softmax":
            return _call(OPS["softmax"], shape, a.arguments, a.params)
        case "reshape" | "getitem", [Product(coefficient=n, factors=())]:
            return number(n, shape)
        case "transpose", [a] if len(a.shape) < 2:
            return a
        case "transpose", [Applied(op=same) as a] if same is op and a.params == params:
            return a.arguments[0]
        case "where", [condition, a, b]:
            chosen = np.asarray(condition.value, bool)
            if not chosen.any() or _is_the_same(chosen, a, b):
                return in_shape(b, shape)
            if chosen.all():
                return in_shape(a, shape)
    return _call(op, shape, arguments, params)


def _is_column(a: Applied, b: Formula) -> bool:
    """Whether a vector is laid upright to be multiplied by another, a row."""
    match a.params.get("index"):
        case (EllipsisType(), None):
            return len(a.arguments[0].shape) == len(b.shape) == 1
    return False


def _is_the_same(chosen: Any, a: Formula, b: Formula) -> bool:
    """Whether `b` is `a` where that is chosen: of constants one can tell."""
    if not (_is_constant(a) and _is_constant(b)):
        return False
    return bool((~chosen | (a.value == b.value)).all())


def _is_constant(x: Formula) -> bool:
    return all(isinstance(name, Name) and name.constant for name in names_in(x))


def _call(
    op: Op, shape: Shape, arguments: Sequence[Formula], params: Params | None = None
) -> Applied:
    params = params or {}
    of = ", ".join(f"{k}={v if _is_plain(v) else id(v)}" for k, v in params.items())
    return Applied(shape, op, tuple(arguments), params, of)


def _is_plain(x: Any) -> bool:
    if isinstance(x, tuple | list):
        return all(map(_is_plain, x))
    return not isinstance(x, np.ndarray)
