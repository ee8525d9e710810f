"""Passes that put parts side by side in one array, so that one call serves them all.

A recurrent network has the same weights in each step. So their gradient is a sum of
products, one a step, which is one product of all steps' arrays, one above the other.
In the fast style, what computes a part writes it into its place at once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_edu.compiler.functions import assembled
from tinygrad_edu.compiler.passes import dead_code
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import is_plain_index
from tinygrad_edu.compiler.tuning import MEDIUM, is_for_blas
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
    made = [_assembled(e, sums.get(e.output, [])) or e for e in program.equations]
    return dead_code(replace(program, equations=tuple(made)))


def _part(e: Equation) -> Term | None:
    if e.function is not OPS["add_at"].forward or not is_plain_index(e.params["index"]):
        return None
    return e.args[0], e.params["index"]


def _assembled(e: Equation, terms: list[Term]) -> Equation | None:
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
    return replace(e, function=assembled, args=(parts, indices, y.shape), params={})


# --- Steps ----------------------------------------------------------------------------


def sums_over_steps(program: Program) -> Program:
    """Compute a sum of products as one product, and a sum of sums as one sum."""
    definitions = program.definitions()
    order = {e.output: i for i, e in enumerate(program.equations)}
    sums = _sums(program, lambda e: _product(e, definitions))
    made: list[Equation] = []
    wholes: dict[Any, Variable] = {}

    def stack(parts: tuple[Variable, ...], e: Equation) -> Variable:
        """Put matrices one above the other."""
        if parts not in wholes:
            ends = np.cumsum([0, *(x.shape[0] for x in parts)]).tolist()
            whole = wholes[parts] = Variable(
                (ends[-1], parts[0].shape[1]), parts[0].dtype
            )
            indices = [slice(*pair) for pair in pairwise(ends)]
            x = _whose_rows(parts, definitions)
            if x is None:
                args = list(parts), indices, whole.shape
                made.append(Equation(whole, assembled, args, {}, e.origin))
            else:
                made.append(Equation(whole, np.reshape, (x, whole.shape), {}, e.origin))
        return wholes[parts]

    for e in program.equations:
        terms = sums.get(e.output, [])
        if len(terms) < FEW:
            made.append(e)
            continue
        # A gradient passes through the last step first.
        terms.sort(key=lambda term: -order.get(term[-1], -1))
        stacks = [stack(parts, e) for parts in zip(*terms)]
        if len(stacks) == 1:
            made.append(
                replace(e, function=np.sum, args=(*stacks,), params={"axis": 0})
            )
        else:
            a, b = stacks
            flipped = Variable(a.shape[::-1], a.dtype)
            made.append(Equation(flipped, np.transpose, (a,), {}, e.origin))
            made.append(replace(e, function=np.dot, args=(flipped, b)))
    return dead_code(replace(program, equations=tuple(made)))


def _product(e: Equation, definitions: dict[Variable, Equation]) -> Term | None:
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
    before = definitions.get(a)
    is_flipped = before is not None and before.function is np.transpose
    return (before.args[0], b) if before and is_flipped else None


def steps_in_one(program: Program) -> Program:
    """Multiply all parts of an array by a matrix at once, not one after the other."""
    definitions = program.definitions()
    groups: dict[Any, dict[Variable, Any]] = {}
    for e in program.equations:
        if e.function is not np.dot or not is_for_blas(*e.args):
            continue
        a, w = e.args
        part = definitions.get(a)
        if part is not None and part.function is operator.getitem:
            x, i = part.args
            if type(i) is int and x.ndim == 3 and w.ndim == 2:
                groups.setdefault((x, w), {})[e.output] = i
    taken = {
        y: (key, i)
        for key, parts in groups.items()
        if _is_all(parts.values(), key[0])
        for y, i in parts.items()
    }
    made: list[Equation] = []
    wholes: dict[Any, Variable] = {}
    for e in program.equations:
        if e.output not in taken:
            made.append(e)
            continue
        (x, w), i = taken[e.output]
        if (x, w) not in wholes:
            n, rows, _ = x.shape
            flat = Variable((n * rows, x.shape[-1]), x.dtype)
            product = Variable((n * rows, w.shape[1]), e.output.dtype)
            whole = Variable((n, rows, w.shape[1]), e.output.dtype)
            made += [
                Equation(flat, np.reshape, (x, flat.shape), {}, e.origin),
                Equation(product, np.dot, (flat, w), {}, e.origin),
                Equation(whole, np.reshape, (product, whole.shape), {}, e.origin),
            ]
            wholes[x, w] = whole
        made.append(replace(e, function=operator.getitem, args=(wholes[x, w], i)))
    return dead_code(replace(program, equations=tuple(made)))


def _whose_rows(
    parts: tuple[Variable, ...], definitions: dict[Variable, Equation]
) -> Variable | None:
    """Return the array that parts are all of: its first, its second, and so on."""
    first = definitions.get(parts[0])
    if first is None or first.function is not operator.getitem:
        return None
    x: Variable = first.args[0]
    found = (definitions.get(part) for part in parts)
    are_in_order = all(
        e is not None and e.function is operator.getitem and e.args == (x, i)
        for i, e in enumerate(found)
    )
    return x if are_in_order and x.shape == (len(parts), *parts[0].shape) else None


def _is_all(indices: Iterable[int], x: Variable) -> bool:
    """Whether indices are those of all parts of an array, which are not too few."""
    return x.shape[0] >= FEW and set(indices) == set(range(x.shape[0]))
