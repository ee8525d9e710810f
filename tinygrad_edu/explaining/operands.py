"""Lay out a formula as an equation of arrays, each with a letter for each axis.

The letters say which elements meet, as in ``np.einsum``: for ``z = x W^T + b`` they are
"ab" for z, "az" for x, "bz" for W and "b" for b. So z[a, b] is made of row a of x, row
b of W, and b[b]; a letter that the result does not have is summed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from string import ascii_lowercase, ascii_uppercase
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.errors import core_dimensions
from tinygrad_edu.engine.graph import Params
from tinygrad_edu.engine.op import OPS, Op
from tinygrad_edu.explaining.walking import Key
from tinygrad_edu.formulas.algebra import (
    Applied,
    Formula,
    Name,
    Product,
    as_product,
    parts_of,
    terms_of,
    to_the,
)
from tinygrad_edu.formulas.symbols import numeral
from tinygrad_edu.formulas.writing import in_text

__all__ = ["Figure", "ShownEquation", "equation_of"]

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
RULE = "rule"  # what a nested call is shown as: the formula says it in full
# The axes of a result have the first letters, those that are summed over the last ones.
LETTERS = ascii_lowercase[:13] + ascii_uppercase + ascii_lowercase[13:]
ALONE = "."  # the letter of an axis of size 1 that is copied along another
TIMES, MATRIX_TIMES = "\u00d7", "@"


class Figure(NamedTuple):
    """An array that a step shows, and the operator between it and the one before.

    Attributes
    ----------
    title : str
    array : array
    sign : str
        "+", "-", "×" (element by element), "@" (rows by columns), "/", "," or "=".
    at : str or None
        A letter for each axis; None if nothing simple is to be said.
    is_turned : bool
        Whether the transpose of the matrix is shown.
    of : Formula, Key or None
        What the array is the value of; None for a number that never changes.
    """

    title: str
    array: Array
    sign: str = ""
    at: str | None = None
    is_turned: bool = False
    of: Formula | Key | None = None


class ShownEquation(NamedTuple):
    """Figures, the last of which is made of the others.

    `call` is the function that makes it, or empty if it is their sum of products.
    """

    figures: list[Figure]
    call: str = ""


def equation_of(
    x: Formula, title: str, value: Any, of: Formula | Key | None = None
) -> ShownEquation:
    """Lay out a formula whose value, an array, has a title.

    Examples
    --------
    >>> from tinygrad_edu.formulas.algebra import times
    >>> row, column = Name((2,), "r", np.ones(2)), Name((3, 1), "c", np.ones((3, 1)))
    >>> figures, call = equation_of(times(row, column), "p", np.ones((3, 2)))
    >>> [(f.sign, f.title, f.at) for f in figures]
    [('', 'r', 'b'), ('×', 'c', 'a.'), ('=', 'p', 'ab')]
    """
    value = np.asarray(value)
    at = LETTERS[: value.ndim]
    result = Figure(title, value, "=", at, of=of)
    if isinstance(x, Applied) and not _is_transpose(x) and not _products(x, at):
        is_nested = not x.op.elementwise and not all(map(_is_plain, x.arguments))
        return ShownEquation(
            [*_arguments(x, at), result], RULE if is_nested else x.op.name
        )
    figures = [figure for term in terms_of(x) for figure in _term(term, at)]
    if figures[0].sign == "+":
        figures[0] = figures[0]._replace(sign="")
    return ShownEquation([*figures, result])


def _arguments(x: Applied, at: str) -> Iterator[Figure]:
    """Show what an op was called with; of a nested call, the quantities in it."""
    inputs: Iterable[Formula] = x.arguments
    letters: Iterable[str | None] = repeat(None)
    if x.op.elementwise:
        letters = repeat(at)
    elif not all(map(_is_plain, inputs)):
        inputs = dict.fromkeys(_names(x))
    elif found := _letters_of(x, at):
        letters, _ = found
    for i, (argument, own) in enumerate(zip(inputs, letters)):
        yield _operand(argument, own, "," if i else "")


def _is_plain(x: Formula) -> bool:
    return isinstance(x, Name) or not any(_names(x)) or _is_transpose(x)


def _names(x: Formula) -> Iterator[Name]:
    if isinstance(x, Name):
        yield x
    for part in parts_of(x):
        yield from _names(part)


def _operand(x: Formula, letters: str | None, sign: str = "") -> Figure:
    """Show a formula as one array, whose axes have these letters from the right."""
    if _is_transpose(x):
        inner = _operand(parts_of(x)[0], letters and letters[::-1], sign)
        return inner._replace(title=in_text(x), is_turned=True)
    if isinstance(x, Product) and not x.factors:  # a number fills any shape
        return Figure(in_text(x), np.asarray(x.coefficient), sign, letters and "")
    value = np.asarray(x.value)
    at = letters and _aligned(letters, value.shape)
    return Figure(in_text(x), value, sign, at, of=x)


def _is_transpose(x: Formula) -> bool:
    return isinstance(x, Applied) and x.op.name == "transpose" and len(x.shape) == 2


def _aligned(letters: str, shape: Shape) -> str:
    """Leave out the letters that an array has no axis for, or one of size 1."""
    at = letters.rjust(len(shape), ALONE)
    at = at[len(at) - len(shape) :]
    return "".join(ALONE if n == 1 else letter for letter, n in zip(at, shape))


# --- Sums of products -----------------------------------------------------------------


def _term(x: Formula, at: str) -> list[Figure]:
    """Lay out a term of a sum: its first figure has the sign of the term."""
    if products := _products(x, at):
        return [f._replace(sign=f.sign or "+") for product in products for f in product]
    known = as_product(x)
    size = abs(known.coefficient)
    figures = []
    if size != 1 or not known.factors or known.factors[0][1] < 0:
        figures.append(Figure(numeral(size), np.asarray(size), TIMES, ""))
    for factor, n in known.factors:
        figures += _power(factor, n, at)
    figures[0] = figures[0]._replace(sign="-" if known.coefficient < 0 else "+")
    return figures


def _power(x: Formula, n: float, at: str) -> list[Figure]:
    """Lay out a factor; a square as the factor twice, a cube three times."""
    products = _products(x, at) if n == 1 else None
    if products is not None and len(products) == 1:
        first, *others = products[0]
        return [first._replace(sign=TIMES), *others]
    sign = "/" if n < 0 else TIMES
    if abs(n) in (1, 2, 3):
        return [_operand(x, at, sign)] * int(abs(n))
    return [_operand(to_the(x, abs(n)), at, sign)]


def _products(x: Formula, at: str) -> list[list[Figure]] | None:
    """Lay out an op that computes a sum of products; None if it computes another."""
    if not isinstance(x, Applied) or x.op.elementwise or _is_transpose(x):
        return None
    found = _letters_of(x, at)
    terms = found and _terms_of(x.op, x.params, *found)
    if not found or not terms:
        return None
    letters, result = found
    return [_product([(x.arguments[i], letters[i]) for i in t], result) for t in terms]


def _product(factors: Sequence[tuple[Formula, str]], result: str) -> list[Figure]:
    """Show the factors of a product; two matrices so that rows meet columns."""
    letters = [set(at) for _, at in factors]
    is_sum = not set().union(*letters) <= set(result)
    sign = MATRIX_TIMES if is_sum and letters[0] != letters[-1] else TIMES
    figures = []
    for place, (x, at) in enumerate(factors):
        is_matrix = len(at) == 2 and sign == MATRIX_TIMES
        if is_matrix and at[place] not in result and at[1 - place] in result:
            x, at = _transposed(x), at[::-1]
        figures.append(_operand(x, at, sign if place else ""))
    return figures


def _transposed(x: Formula) -> Formula:
    if _is_transpose(x):
        return parts_of(x)[0]
    return Applied(x.shape[::-1], OPS["transpose"], (x,), {"axes": None}, "axes=None")


def _terms_of(
    op: Op, params: Params, letters: Sequence[str], result: str
) -> list[list[int]] | None:
    """Tell of which inputs' products an op computes the sum, by a call of it.

    The inputs are small arrays of random numbers. None if it computes something else.
    """
    sizes = {letter: 2 + i for i, letter in enumerate(sorted(set("".join(letters))))}
    rng = np.random.default_rng(0)
    values = [rng.standard_normal([sizes[a] for a in at]) for at in letters]
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(op.compute(values, params or None))
    except Exception:  # it may refuse such inputs for whatever reason
        return None
    shape = [sizes.get(a, 1) for a in result]
    n = len(values)
    candidates = [[[*range(k)], *([i] for i in range(k, n))] for k in range(n, 0, -1)]
    for terms in [*candidates, [[0, 0]]]:
        parts = []
        for term in terms:
            subscripts = ",".join(letters[i] for i in term)
            factors = [values[i] for i in term]
            ones = np.ones(shape)
            parts.append(np.einsum(f"{subscripts},{result}->{result}", *factors, ones))
        if found.shape == tuple(shape) and np.allclose(found, sum(parts)):
            return terms
    return None


# --- Letters --------------------------------------------------------------------------


def _letters_of(x: Applied, at: str) -> tuple[list[str], str] | None:
    """Return the letters of an op's inputs, and of its result, whose axes are `at`."""
    shapes = [a.shape for a in x.arguments]
    axes = None
    if x.op.signature is not None:
        axes = _axes_of_signature(x.op.signature, [*shapes, x.shape])
    elif len(shapes) == 1 and (not x.params or "axis" in x.params):
        axes = _axes_of_reduction(x.params.get("axis"), shapes[0], x.shape)
    if axes is None or any(len(set(names)) < len(names) for names in axes):
        return None
    letter = dict(zip(axes[-1], at))
    for name in chain(*axes):
        letter.setdefault(name, LETTERS[-1 - len(letter)])
    *letters, result = ("".join(letter[name] for name in names) for names in axes)
    return letters, result


def _axes_of_signature(
    signature: str, shapes: Sequence[Shape]
) -> list[list[str]] | None:
    """Name the axes of an op's inputs and of its result as its signature does."""
    before, _, after = signature.partition("->")
    inputs, results = core_dimensions(before), core_dimensions(after)
    if len(inputs) + len(results) != len(shapes):
        return None
    lacking = {
        name
        for names, shape in zip(inputs, shapes)
        for name in names
        if name.endswith("?") and len(shape) < len(names)
    }
    axes = []
    for names, shape in zip([*inputs, *results], shapes):
        core = [name for name in names if name not in lacking]
        loop = [f"loop {i}" for i in range(len(shape) - len(core), 0, -1)]
        axes.append([*loop, *core])
    return axes


def _axes_of_reduction(
    axis: Any, before: Shape, after: Shape
) -> list[list[str]] | None:
    """Name the axes of an array, and of what an op makes of it along some of them."""
    ndim = len(before)
    along = range(ndim) if axis is None else np.atleast_1d(axis) % max(ndim, 1)
    names = [f"axis {i}" for i in range(ndim)]
    if after == tuple(n for i, n in enumerate(before) if i not in along):
        return [names, [name for i, name in enumerate(names) if i not in along]]
    if len(after) == ndim:  # with the axes of size 1, or as long as before
        return [names, [f"its {x}" if i in along else x for i, x in enumerate(names)]]
    return None
