"""Passes that put parts side by side in one array, so that one call serves them all.

A recurrent network has the same weights in each step. So their gradient is a sum of
products, one a step, which is one product of all steps' arrays, one above the other.
In the fast style, what computes a part writes it into its place at once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.compiler.functions import assembled
from tinygrad_edu.compiler.passes import dead_code
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import is_elementwise, is_plain_index
from tinygrad_edu.compiler.tuning import is_for_blas
from tinygrad_edu.engine.op import OPS

__all__ = ["parts_in_one", "slices_in_one", "steps_in_one", "sums_over_steps"]

FEW = 3  # products: so many are worth an array
LARGE = 1 << 20  # elements

Term = tuple[Any, ...]


def _sums(
    program: Program, read: Callable[[Equation], Term | None]
) -> dict[Variable, list[Term]]:
    """Find the longest sums of terms of one kind; return the terms of each."""
    uses, results = program.uses(), set(program.results())
    terms: dict[Variable, list[Term]] = {}

    def is_private(x: Any) -> bool:
        return x in terms and len(uses[x]) == 1 and x not in results

    for e in program.equations:
        if e.function is np.add and all(map(is_private, e.args)):
            short, long = sorted((terms[x] for x in e.args), key=len)
            if short is not long and len(short[0]) == len(long[0]):
                for x in e.args:
                    del terms[x]
                long += short  # in place, so that a long sum is read once
                terms[e.output] = long
        elif (term := read(e)) is not None:
            terms[e.output] = [term]
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


# --- Slices ---------------------------------------------------------------------------

Slice = tuple[int, int, int]  # along which axis, from where, to where


class _Group:
    """Equations that do the same to slices of the same arrays.

    Attributes
    ----------
    wholes : list
        For each argument the array or the group of which slices are taken; or None.
    members : dict of Variable to Slice
    region : Slice or None
        What the slices are together, if they lie side by side.
    whole : Variable or None
        What the function gives for the region, once that is written.
    """

    def __init__(self, wholes: list[Any]) -> None:
        self.wholes = wholes
        self.members: dict[Variable, Slice] = {}
        self.region: Slice | None = None
        self.whole: Variable | None = None

    def close(self) -> None:
        """Find the region, when all members are known."""
        axes, starts, ends = zip(*sorted(self.members.values()))
        inner = [x.region for x in self.wholes if isinstance(x, _Group)]
        is_row = len(starts) > 1 and starts[1:] == ends[:-1] and axes[0] == axes[-1]
        if is_row and None not in inner:
            self.region = axes[0], starts[0], ends[-1]


def slices_in_one(program: Program) -> Program:
    """Apply a function once to neighbouring slices of an array, not to each.

    The gates of a cell are such slices, and most of them go through a sigmoid.
    """
    results = set(program.results())
    slices: dict[Variable, tuple[Any, Slice]] = {}
    groups: dict[Any, _Group] = {}
    group_of: dict[Variable, _Group] = {}
    for e in program.equations:
        y = e.output
        if e.function is operator.getitem and (place := _slice(*e.args)) is not None:
            slices[y] = e.args[0], place
        if not is_elementwise(e) or e.params or y in results:
            continue
        arrays = [x for x in e.inputs if x.shape != ()]
        places = {slices[x][1] if x in slices else None for x in arrays}
        if (
            len(places) != 1
            or None in places
            or any(x.shape != y.shape for x in arrays)
        ):
            continue
        wholes = [slices[x][0] if x in arrays else None for x in e.args]
        key = (
            e.function,
            *(_known(x) if w is None else w for x, w in zip(e.args, wholes)),
        )
        group = group_of[y] = groups.setdefault(key, _Group(wholes))
        (group.members[y],) = places
        slices[y] = group, group.members[y]
    for group in groups.values():
        group.close()
    made: list[Equation] = []
    for e in program.equations:
        group = group_of.get(e.output)
        if group is None or group.region is None:
            made.append(e)
            continue
        if group.whole is None:
            args = tuple(
                x if w is None else _taken(w, group.region, made)
                for x, w in zip(e.args, group.wholes)
            )
            shape = next(x.shape for x, w in zip(args, group.wholes) if w is not None)
            group.whole = Variable(shape, e.output.dtype)
            made.append(replace(e, output=group.whole, args=args))
        made.append(_take(group, group.members[e.output], e.output))
    return dead_code(replace(program, equations=tuple(made)))


def _known(x: Any) -> Any:
    return x if isinstance(x, Variable) else (type(x), repr(x))


def _slice(x: Any, index: Any) -> Slice | None:
    """Read an index as a slice along one axis."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(i, slice) and i.step is None for i in parts):
        return None
    bounds = [i.indices(n)[:2] for i, n in zip(parts, x.shape)]
    cut = [a for a, (i, j) in enumerate(bounds) if (i, j) != (0, x.shape[a])]
    return (cut[0], *bounds[cut[0]]) if len(cut) == 1 else None


def _taken(whole: Any, region: Slice, made: list[Equation]) -> Variable:
    """Return a slice of an array, or of what a group gives."""
    if isinstance(whole, _Group) and whole.region == region:
        return whole.whole
    x = whole.whole if isinstance(whole, _Group) else whole
    axis, start, end = region
    shape = (*x.shape[:axis], end - start, *x.shape[axis + 1 :])
    made.append(_take(whole, region, Variable(shape, x.dtype)))
    return made[-1].output


def _take(whole: Any, region: Slice, output: Variable) -> Equation:
    axis, start, end = region
    first, x = 0, whole
    if isinstance(whole, _Group):
        first, x = whole.region[1], whole.whole
    index = (slice(None),) * axis + (slice(start - first, end - first),)
    return Equation(output, operator.getitem, (x, index))


# --- Steps ----------------------------------------------------------------------------


def sums_over_steps(program: Program) -> Program:
    """Compute a sum of products as one product, and a sum of sums as one sum."""
    definitions = program.definitions()
    order = {e.output: i for i, e in enumerate(program.equations)}
    made: list[Equation] = []
    wholes: dict[Any, Variable] = {}

    def read(e: Equation) -> Term | None:
        """Read ``a.T @ b``, or the sum of the rows of b."""
        if not is_for_blas(e.output):
            return None
        if e.function is np.sum and e.params == {"axis": 0} and e.args[0].ndim == 2:
            return e.args
        if e.function is not np.dot or any(x.ndim != 2 for x in e.args):
            return None
        a, b = e.args
        if a.constant is not None:  # such as a state to begin with
            constant = a.constant.T.copy()
            return Variable(constant.shape, a.dtype, constant=constant), b
        before = definitions.get(a)
        is_transposed = before is not None and before.function is np.transpose
        return (before.args[0], b) if is_transposed else None

    def stacked(e: Equation, parts: tuple[Variable, ...]) -> Variable:
        """Put matrices one above the other."""
        if parts in wholes:
            return wholes[parts]
        ends = np.cumsum([0, *(x.shape[0] for x in parts)]).tolist()
        whole = Variable((ends[-1], parts[0].shape[1]), parts[0].dtype)
        indices = [slice(*pair) for pair in zip(ends, ends[1:])]
        of = _rows_of(parts, definitions)
        function, args = assembled, (list(parts), indices, whole.shape)
        if of is not None:
            function, args = np.reshape, (of, whole.shape)
        made.append(Equation(whole, function, args, {}, e.origin))
        return wholes.setdefault(parts, whole)

    sums = _sums(program, read)
    for e in program.equations:
        terms = sums.get(e.output, [])
        if len(terms) < FEW:
            made.append(e)
            continue
        # A gradient passes through the last step first.
        terms.sort(key=lambda term: -order.get(term[-1], -1))
        wholes_of_e = [stacked(e, parts) for parts in zip(*terms)]
        if len(wholes_of_e) == 1:
            made.append(
                replace(e, function=np.sum, args=(wholes_of_e[0],), params={"axis": 0})
            )
        else:
            a, b = wholes_of_e
            flipped = Variable(a.shape[::-1], a.dtype)
            made.append(Equation(flipped, np.transpose, (a,), {}, e.origin))
            made.append(replace(e, function=np.dot, args=(flipped, b)))
    return dead_code(replace(program, equations=tuple(made)))


def steps_in_one(program: Program) -> Program:
    """Multiply all parts of an array by a matrix at once, not one after the other."""
    definitions = program.definitions()
    groups: dict[Any, dict[Variable, Any]] = {}
    for e in program.equations:
        part = definitions.get(e.args[0]) if e.function is np.dot else None
        if part is not None and part.function is operator.getitem:
            x, i = part.args
            if type(i) is int and x.ndim == 3 and e.args[1].ndim == 2:
                groups.setdefault((x, e.args[1]), {})[e.output] = i
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


def _rows_of(parts: tuple[Variable, ...], definitions: Any) -> Variable | None:
    """Return the array that parts are all of: its first, its second, and so on."""
    found = [definitions.get(x) for x in parts]
    if any(e is None or e.function is not operator.getitem for e in found):
        return None
    x = found[0].args[0]
    is_whole = x.dtype is not None and x.shape == (len(parts), *parts[0].shape)
    return (
        x if is_whole and all(e.args == (x, i) for i, e in enumerate(found)) else None
    )


def _is_all(indices: Iterable[int], x: Variable) -> bool:
    """Whether indices are those of all parts of an array, which are not too few."""
    return (
        len(x.shape) > 0
        and x.shape[0] >= FEW
        and set(indices) == set(range(x.shape[0]))
    )
