"""Passes that replace slow calls of NumPy by quick ones.

The results may differ in the last digits, since sums are taken in another order.
"""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from functools import cache
from timeit import repeat
from typing import Any

import numpy as np

from tinygrad_edu.compiler.functions import restored, spread
from tinygrad_edu.compiler.passes.laws import is_plain_number
from tinygrad_edu.compiler.passes.redundant import dead_code
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import is_elementwise

__all__ = [
    "is_for_blas",
    "products_in_one",
    "quick_functions",
    "rows_at_once",
    "small_products_are_faster",
    "spread_out",
    "sums_as_products",
]

SMALL = 1_000_000  # products: so many OpenBLAS takes to be a small matrix product
ROWS = 96  # that a transposed matrix meets: for so many a copy is worth it,
LITTLE = 1 << 12  # if it has no more elements than these
MEDIUM = 1 << 16  # elements: an array that stays in the cache


def rows_at_once(a: Variable, b: Variable) -> int:
    """Return how many rows of a large product are a small one, or 0: no need."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] * b.size <= SMALL:
        return 0
    rows = SMALL // max(b.size, 1) // 8 * 8
    return rows if rows >= 16 else 0


@cache
def small_products_are_faster() -> bool:
    """Measure whether BLAS is much faster at small products than at large ones.

    OpenBLAS is where it has kernels of its own for them, as with AVX-512. Measured once
    in a process, on a layer of MNIST: it takes 25 percent less time, or no less.
    """
    x, w = np.ones((128, 784), np.float32), np.ones((30, 784), np.float32).T
    y = np.empty((128, 30), np.float32)
    parts = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 128, 32)]

    def whole() -> None:
        x.dot(w, y)

    def in_parts() -> None:
        for rows, answer in parts:
            rows.dot(w, answer)

    times = [min(repeat(run, number=3, repeat=5)) for run in (whole, in_parts)]
    return times[1] < 0.8 * times[0]


# --- One equation after the other -----------------------------------------------------


class Rewriter:
    """What laws ask of a program, and the equations that they write."""

    def __init__(self, program: Program) -> None:
        self.definitions = program.definitions()
        self.uses = program.uses()
        self.results = set(program.results())
        self.made: list[Equation] = []
        self._at: Any = None  # the equation that is read

    def rewrite(self, program: Program, *laws: Any) -> Program:
        """Replace each equation by what the first law that fits it writes."""
        for e in program.equations:
            self._at, before = e, len(self.made)
            if any(law(e, self) is not None for law in laws):
                self.made[-1] = replace(self.made[-1], output=e.output)
            else:
                del self.made[before:]
                self.made.append(e)
        return dead_code(replace(program, equations=tuple(self.made)))

    def enter(self, function: Any, shape: Any, *args: Any, **params: Any) -> Variable:
        output = Variable(tuple(shape), self._at.output.dtype)
        self.made.append(Equation(output, function, args, params, self._at.origin))
        return output

    def reshape(self, x: Variable, *shape: int) -> Variable:
        """Reshape x, unless it has the shape."""
        return x if x.shape == shape else self.enter(np.reshape, shape, x, shape)

    def transpose(self, x: Variable) -> Variable:
        e = self.definition(x, np.transpose)
        return e.args[0] if e else self.enter(np.transpose, x.shape[::-1], x)

    def copy(self, x: Variable) -> Variable:
        return self.enter(spread, x.shape, x, x.shape)

    def ones(self, n: int) -> Variable:
        array = np.ones(n, self._at.output.dtype)
        return Variable(array.shape, array.dtype, constant=array)

    def definition(self, x: Any, *functions: Any) -> Equation | None:
        """Return the equation behind x, if it is of one of the functions."""
        e = self.definitions.get(x) if isinstance(x, Variable) else None
        return e if e and e.function in functions else None

    def is_private(self, e: Equation) -> bool:
        """Whether what an equation gives is read by one other equation only."""
        return len(self.uses[e.output]) == 1 and e.output not in self.results

    def is_dense(self, x: Variable) -> bool:
        """Whether reshaping x surely takes no copy."""
        views = (np.transpose, np.broadcast_to, operator.getitem)
        return not self.definition(x, *views)


def is_for_blas(*args: Any) -> bool:
    """Whether all are arrays of one dtype, and one for which BLAS is quick."""
    kinds = {x.dtype if isinstance(x, Variable) else None for x in args}
    (dtype,) = kinds if len(kinds) == 1 else (None,)
    return dtype is not None and dtype.kind == "f" and dtype.itemsize > 2


# --- Products -------------------------------------------------------------------------


def products_in_one(program: Program) -> Program:
    """Write a product of stacks as one of matrices, and a transposed one as such."""
    return Rewriter(program).rewrite(
        program, _stack_by_matrix, _sum_of_stack, _transposed, _transposed_for_many
    )


def _stack_by_matrix(e: Equation, r: Rewriter) -> Any:
    if e.function is not np.matmul or not is_for_blas(*e.args):
        return None
    a, b = e.args
    if a.ndim < 3 or b.ndim != 2 or not r.is_dense(a):
        return None
    *stack, n = a.shape
    rows = math.prod(stack), b.shape[1]
    product = r.enter(np.dot, rows, r.reshape(a, rows[0], n), b)
    return r.reshape(product, *e.output.shape)


def _sum_of_stack(e: Equation, r: Rewriter) -> Any:
    """A sum of products, each of a matrix that is transposed."""
    inner = r.definition(e.args[0], np.matmul) if e.function is np.sum else None
    if inner is None or not is_for_blas(*inner.args) or not r.is_private(inner):
        return None
    a, b = inner.args
    *stack, m, k = a.shape
    before, n = r.definition(a, np.transpose), len(stack)
    if before is None or before.args[1:] != ((*range(n), n + 1, n),):
        return None
    if b.shape[:-1] != (*stack, k):
        return None
    if _axes(e) != tuple(range(n)) or e.params.keys() != {"axis"}:
        return None
    rows = math.prod(stack) * k
    whole = r.reshape(before.args[0], rows, m), r.reshape(b, rows, b.shape[-1])
    return r.enter(np.dot, e.output.shape, r.transpose(whole[0]), whole[1])


def _transposed(e: Equation, r: Rewriter) -> Any:
    """A transposed product that is used element by element: it is ``b.T @ a.T``."""
    if e.function is not np.transpose or len(e.args) > 1 or e.output.ndim != 2:
        return None
    inner = r.definition(e.args[0], np.dot)
    if inner is None or not is_for_blas(*inner.args) or not r.is_private(inner):
        return None
    is_met = any(map(is_elementwise, r.uses.get(e.output, ())))
    if not is_met or any(x.ndim != 2 for x in inner.args):
        return None
    a, b = map(r.transpose, inner.args)
    return r.enter(np.dot, e.output.shape, b, a)


def _transposed_for_many(e: Equation, r: Rewriter) -> Any:
    """A transposed matrix that many rows are multiplied by is faster as a copy."""
    y = e.output
    if e.function is not np.transpose or y.ndim != 2 or y.size > LITTLE:
        return None
    readers = r.uses.get(y, ())
    products = (z.args for z in readers if z.function is np.dot and z.args[1] is y)
    if sum(a.shape[0] for a, b in products if is_for_blas(a, b) and a.ndim == 2) < ROWS:
        return None
    return r.copy(r.enter(np.transpose, y.shape, *e.args))


def sums_as_products(program: Program) -> Program:
    """Sum over the first axes, or the last, as a product with ones: BLAS is faster."""
    return Rewriter(program).rewrite(program, _sum_as_product)


def _sum_as_product(e: Equation, r: Rewriter) -> Any:
    x: Any = e.args[0] if e.args else None
    if e.function is not np.sum or not is_for_blas(x, e.output) or not x.size:
        return None
    if not x.ndim or len(e.args) > 1 or e.params.keys() - {"axis", "keepdims"}:
        return None
    if x.ndim != 2 and not r.is_dense(x):
        return None
    axes, every = _axes(e), tuple(range(x.ndim))
    n = math.prod(x.shape[a] for a in axes)
    others = x.size // n
    if axes == every:
        if n >= MEDIUM:
            return None
        total = r.enter(np.dot, (), r.ones(n), r.reshape(x, n))
    elif axes == every[: len(axes)]:
        total = r.enter(np.dot, (others,), r.ones(n), r.reshape(x, n, others))
    elif axes == every[-len(axes) :]:
        total = r.enter(np.dot, (others,), r.reshape(x, others, n), r.ones(n))
    else:
        return None
    return r.reshape(total, *e.output.shape)


def _axes(e: Equation) -> tuple[int, ...]:
    """Return the axes of a reduction, in order."""
    n, axis = e.args[0].ndim, e.params.get("axis")
    given = range(n) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(a % (n or 1) for a in given))


# --- Functions ------------------------------------------------------------------------


def quick_functions(program: Program) -> Program:
    """Replace slow functions by quick ones that give the same."""
    return Rewriter(program).rewrite(program, _restored, _sign, _peak, _broadcast)


def _restored(e: Equation, r: Rewriter) -> Any:
    """What `keep_zeros` records: it is quick to see that nothing needs a change."""
    if e.function is not np.where or not e.output.shape or len(e.args) != 3:
        return None
    mask, zero, x = e.args
    both = r.definition(mask, np.bitwise_and)
    if both is None or not _is_zero(zero):
        return None
    left_out = r.definition(both.args[0], np.equal)
    invert = r.definition(both.args[1], np.invert)
    finite = r.definition(invert.args[0], np.isfinite) if invert else None
    if not left_out or not finite or finite.args != (x,):
        return None
    g, number = left_out.args
    return r.enter(restored, e.output.shape, x, g) if _is_zero(number) else None


def _sign(e: Equation, r: Rewriter) -> Any:
    """The sign of numbers that are not negative: `sign` branches, which is slow."""
    below = r.definition(e.args[0], np.maximum) if e.function is np.sign else None
    if below is None or not is_for_blas(e.output) or not any(map(_is_zero, below.args)):
        return None
    shape = e.output.shape
    return r.enter(np.ceil, shape, r.enter(np.minimum, shape, below.output, 1.0))


def _peak(e: Equation, r: Rewriter) -> Any:
    """The maximum along a short last axis: along the first axis it is quicker."""
    x = e.args[0] if len(e.args) == 1 else None
    if e.function not in (np.max, np.min) or not isinstance(x, Variable):
        return None
    if e.params.keys() - {"axis", "keepdims"} or _axes(e) != (x.ndim - 1,):
        return None
    n = x.shape[-1]
    others = x.size // max(n, 1)
    if not (1 < n <= 64 and others >= 8 and x.size < MEDIUM):
        return None
    columns = r.copy(r.transpose(r.reshape(x, others, n)))
    return r.reshape(r.enter(e.function, (others,), columns, axis=0), *e.output.shape)


def _broadcast(e: Equation, r: Rewriter) -> Any:
    """An array that is broadcast for other functions: they are quicker on a copy."""
    y = e.output
    if e.function is not np.broadcast_to or y.size >= MEDIUM or y in r.results:
        return None
    is_met = all(map(is_elementwise, r.uses.get(y, ())))
    return r.enter(spread, y.shape, e.args[0], y.shape) if is_met else None


def _is_zero(x: Any) -> bool:
    return is_plain_number(x) and x == 0


# --- Rows -----------------------------------------------------------------------------


def spread_out(program: Program) -> Program:
    """Copy a row as often as it is needed, before it meets a matrix.

    NumPy writes a row into each row of a buffer much faster than it adds a row to each.
    """
    made: list[Equation] = []
    copies: dict[Any, Variable] = {}

    def copied(x: Any, e: Equation) -> Any:
        key = x, e.output.shape
        if not isinstance(x, Variable) or x.shape in ((), e.output.shape):
            return x
        if key not in copies:
            copies[key] = Variable(e.output.shape, x.dtype)
            made.append(Equation(copies[key], spread, key, {}, e.origin))
        return copies[key]

    for e in program.equations:
        if is_elementwise(e) and e.output.ndim and e.output.size < MEDIUM:
            args = tuple(copied(x, e) for x in e.args)
            if any(a is not b for a, b in zip(args, e.args)):
                e = replace(e, args=args)
        made.append(e)
    return replace(program, equations=tuple(made))
