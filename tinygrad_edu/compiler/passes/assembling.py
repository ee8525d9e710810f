"""Passes that put parts side by side in one array, so that one call serves them all.

A recurrent network has the same weights in each step. So their gradient is a sum of
products, one a step, which is one product of all steps' arrays, one above the other.
In the fast style, what computes a part writes it into its place at once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_edu.compiler.functions import assembled
from tinygrad_edu.compiler.passes.tuning import MEDIUM, Rewriter, is_for_blas
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import is_plain_index
from tinygrad_edu.engine.op import OPS

__all__ = ["parts_in_one", "steps_in_one", "sums_over_steps"]

FEW = 3  # products: so many are worth an array
LARGE = 1 << 20  # elements

Term = tuple[Any, ...]


def _sums(
    program: Program, read: Callable[[Equation], Term | None]
) -> dict[Variable, list[Term]]:
    """Find the longest sums of terms of one kind; return the terms of each."""
    uses, results = program.uses(), set(program.results())
    terms: dict[Variable, list[Term]] = {}

    def is_term(x: Any, y: Variable) -> bool:
        is_read_once = x in terms and len(uses[x]) == 1 and x not in results
        return is_read_once and (x.shape, x.dtype) == (y.shape, y.dtype)

    for e in program.equations:
        y = e.output
        if e.function is np.add and all(is_term(x, y) for x in e.args):
            short, long = sorted((terms[x] for x in e.args), key=len)
            if short is not long:
                for x in e.args:
                    del terms[x]
                long += short  # in place, so that a long sum is read once
                terms[y] = long
        elif (term := read(e)) is not None:
            terms[y] = [term]
    return terms


# --- Parts of an array ----------------------------------------------------------------


def parts_in_one(program: Program) -> Program:
    """Put parts that were each added to zeros at its place into one array."""
    sums = _sums(program, _part)
    return Rewriter(program).rewrite(
        program, lambda e, r: _assembled(e, sums.get(e.output, []), r)
    )


def _part(e: Equation) -> Term | None:
    if e.function is not OPS["add_at"].forward or not is_plain_index(e.params["index"]):
        return None
    return e.args[0], e.params["index"]


def _assembled(e: Equation, terms: list[Term], r: Rewriter) -> Any:
    """Write an array of its parts, if each element is of one of them."""
    y = e.output
    if not terms or y.size > LARGE or sum(x.size for x, _ in terms) != y.size:
        return None
    count = np.zeros(y.shape, np.int8)
    for _, index in terms:
        count[index] += 1
    if not count.all():
        return None
    parts, indices = map(list, zip(*terms))
    return r.enter(assembled, y.shape, parts, indices, y.shape)


# --- Steps ----------------------------------------------------------------------------


def sums_over_steps(program: Program) -> Program:
    """Compute a sum of products as one product, and a sum of sums as one sum."""
    rewriter = Rewriter(program)
    order = {e.output: i for i, e in enumerate(program.equations)}
    sums = _sums(program, lambda e: _product(e, rewriter))
    wholes: dict[Any, Variable] = {}

    def stack(parts: tuple[Variable, ...], r: Rewriter) -> Variable:
        """Put matrices one above the other."""
        if parts not in wholes:
            ends = np.cumsum([0, *(x.shape[0] for x in parts)]).tolist()
            shape = ends[-1], parts[0].shape[1]
            x = _whose_rows(parts, r)
            if x is not None:
                wholes[parts] = r.reshape(x, *shape)
            else:
                indices = [slice(*pair) for pair in pairwise(ends)]
                wholes[parts] = r.enter(assembled, shape, [*parts], indices, shape)
        return wholes[parts]

    def law(e: Equation, r: Rewriter) -> Any:
        terms = sums.get(e.output, [])
        if len(terms) < FEW:
            return None
        # A gradient passes through the last step first.
        terms.sort(key=lambda term: -order.get(term[-1], -1))
        first, *others = [stack(parts, r) for parts in zip(*terms)]
        if not others:
            return r.enter(np.sum, e.output.shape, first, axis=0)
        return r.enter(np.dot, e.output.shape, r.transpose(first), *others)

    return rewriter.rewrite(program, law)


def _product(e: Equation, r: Rewriter) -> Term | None:
    """Read ``a.T @ b`` as a and b, or the sum of the rows of b as b."""
    if e.function not in (np.dot, np.sum) or not is_for_blas(*e.args, e.output):
        return None
    if any(x.ndim != 2 or x.size > MEDIUM for x in e.args):
        return None
    if e.function is np.sum:
        return e.args if e.params == {"axis": 0} else None
    a, b = e.args
    if a.constant is not None:  # such as a state to begin with
        flipped = a.constant.T.copy()
        return Variable(flipped.shape, a.dtype, constant=flipped), b
    before = r.definition(a, np.transpose)
    return (before.args[0], b) if before else None


def _whose_rows(parts: tuple[Variable, ...], r: Rewriter) -> Variable | None:
    """Return the array that parts are all of: its first, its second, and so on."""
    found = [r.definition(part, operator.getitem) for part in parts]
    x: Any = found[0].args[0] if found[0] else None
    are_in_order = all(e and e.args == (x, i) for i, e in enumerate(found))
    return x if are_in_order and x.shape == (len(parts), *parts[0].shape) else None


def steps_in_one(program: Program) -> Program:
    """Multiply all parts of an array by a matrix at once, not one after the other."""
    rewriter = Rewriter(program)
    groups: dict[Any, dict[Variable, int]] = {}
    for e in program.equations:
        if e.function is np.dot and is_for_blas(*e.args):
            a, w = e.args
            part = rewriter.definition(a, operator.getitem)
            x, i = part.args if part else (a, None)
            if type(i) is int and x.ndim == 3 and w.ndim == 2:
                groups.setdefault((x, w), {})[e.output] = i
    taken = {
        y: (x, w, i)
        for (x, w), parts in groups.items()
        # All parts, and not too few.
        if x.shape[0] >= FEW and set(parts.values()) == set(range(x.shape[0]))
        for y, i in parts.items()
    }
    wholes: dict[Any, Variable] = {}

    def law(e: Equation, r: Rewriter) -> Any:
        if e.output not in taken:
            return None
        x, w, i = taken[e.output]
        if (x, w) not in wholes:
            n, rows, inner = x.shape
            columns = w.shape[1]
            flat = r.reshape(x, n * rows, inner)
            product = r.enter(np.dot, (n * rows, columns), flat, w)
            wholes[x, w] = r.reshape(product, n, rows, columns)
        return r.enter(operator.getitem, e.output.shape, wholes[x, w], i)

    return rewriter.rewrite(program, law)
