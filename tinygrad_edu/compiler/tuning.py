"""Passes for programs of NumPy's calls: which are quick, and which are not.

What they write rounds otherwise here and there, since a sum is taken in another order.
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
from tinygrad_edu.compiler.laws import is_number
from tinygrad_edu.compiler.passes import dead_code
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
OFTEN = 3  # times: so often a matrix is worth a copy
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
    in a process, on a case where the answer is clear: by 40 percent, or not at all.
    """
    x, w = np.ones((128, 784), np.float32), np.ones((784, 30), np.float32)
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


class Reader:
    """What the laws below ask of a program, and the equations they write."""

    def __init__(self, program: Program) -> None:
        self.definitions = program.definitions()
        self.uses = program.uses()
        self.results = set(program.results())
        self.made: list[Equation] = []
        self._at: Any = None  # the equation that is read

    def rewrite(self, program: Program, *laws: Any) -> Program:
        """Write for each equation what the first law gives that gives something."""
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
        """Return x if it has the shape, unless it is to be the answer."""
        return x if x.shape == shape else self.enter(np.reshape, shape, x, shape)

    def transpose(self, x: Variable) -> Variable:
        e = self.definition(x, np.transpose)
        return e.args[0] if e else self.enter(np.transpose, x.shape[::-1], x)

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


def is_for_blas(x: Any) -> bool:
    """Whether x is an array of a dtype that BLAS may know."""
    is_float = isinstance(x, Variable) and x.dtype is not None and x.dtype.kind == "f"
    return is_float and x.dtype.itemsize > 2


# --- Products -------------------------------------------------------------------------


def products_in_one(program: Program) -> Program:
    """Write a product of stacks as one of matrices, and a transposed one as such."""
    return Reader(program).rewrite(
        program, _stack_by_matrix, _sum_of_stack, _transposed, _transposed_often
    )


def _stack_by_matrix(e: Equation, r: Reader) -> Any:
    if e.function is not np.matmul or not is_for_blas(e.output):
        return None
    a, b = e.args
    if a.ndim < 3 or b.ndim != 2 or not r.is_dense(a):
        return None
    *stack, n = a.shape
    rows = math.prod(stack), b.shape[1]
    product = r.enter(np.dot, rows, r.reshape(a, rows[0], n), b)
    return r.reshape(product, *e.output.shape)


def _sum_of_stack(e: Equation, r: Reader) -> Any:
    """A sum of products, each of a matrix that is transposed."""
    inner = r.definition(e.args[0], np.matmul) if e.function is np.sum else None
    if inner is None or not is_for_blas(e.output) or not r.is_private(inner):
        return None
    a, b = inner.args
    last = a.ndim - 1
    flipped = (*range(last - 1), last, last - 1)
    before = r.definition(a, np.transpose)
    axes = tuple(np.atleast_1d(e.params.get("axis", -1)))
    if (
        before is None
        or before.args[1:] != (flipped,)
        or a.ndim != b.ndim
        or a.shape[:-2] != b.shape[:-2]
        or axes != flipped[:-2]
        or set(e.params) != {"axis"}
    ):
        return None
    rows = b.size // b.shape[-1]
    a = r.reshape(before.args[0], rows, a.shape[-2])
    return r.enter(
        np.dot, e.output.shape, r.transpose(a), r.reshape(b, rows, b.shape[-1])
    )


def _transposed(e: Equation, r: Reader) -> Any:
    """A product that is transposed, and then met element by element."""
    if e.function is not np.transpose or len(e.args) > 1 or e.output.ndim != 2:
        return None
    inner = r.definition(e.args[0], np.dot)
    if inner is None or not r.is_private(inner):
        return None
    a, b = inner.args
    if not (
        a.ndim == b.ndim == 2 and any(map(is_elementwise, r.uses.get(e.output, ())))
    ):
        return None
    return r.enter(np.dot, e.output.shape, r.transpose(b), r.transpose(a))


def _transposed_often(e: Equation, r: Reader) -> Any:
    """A matrix by which several products multiply, transposed: BLAS likes a copy."""
    y = e.output
    if e.function is not np.transpose or y.ndim != 2 or y.size >= MEDIUM:
        return None
    readers = r.uses.get(y, ())
    often = sum(z.function is np.dot and z.args[1] is y for z in readers) >= OFTEN
    return (
        r.enter(spread, y.shape, r.enter(np.transpose, y.shape, *e.args), y.shape)
        if often
        else None
    )


def sums_as_products(program: Program) -> Program:
    """Sum over the first axes, or the last, as a product with ones: BLAS is faster."""
    return Reader(program).rewrite(program, _sum_as_product, _scalar_product)


def _scalar_product(e: Equation, r: Reader) -> Any:
    """The product of two arrays as of vectors, which is called faster."""
    if e.function is not np.vdot or not all(map(r.is_dense, e.args)):
        return None
    a, b = (r.reshape(x, x.size) for x in e.args)
    return r.enter(np.dot, (), a, b)


def _sum_as_product(e: Equation, r: Reader) -> Any:
    x = e.args[0] if e.args else None
    if e.function is not np.sum or not is_for_blas(x) or x.dtype != e.output.dtype:
        return None
    if len(e.args) > 1 or set(e.params) - {"axis", "keepdims"} or not x.size:
        return None
    given = e.params.get("axis")
    every = tuple(range(x.ndim))
    axes = (
        every
        if given is None
        else tuple(sorted(a % x.ndim for a in np.atleast_1d(given)))
    )
    if x.ndim != 2 and not r.is_dense(x):
        return None
    n = math.prod(x.shape[a] for a in axes)
    if axes == every:
        return _whole_sum(e, r, x) if x.size < MEDIUM else None
    ones = np.ones(n, x.dtype)
    constant = Variable(ones.shape, ones.dtype, constant=ones)
    others = x.size // n
    if axes == every[: len(axes)]:
        total = r.enter(np.dot, (others,), constant, r.reshape(x, n, others))
    elif axes == every[-len(axes) :]:
        total = r.enter(np.dot, (others,), r.reshape(x, others, n), constant)
    else:
        return None
    return r.reshape(total, *e.output.shape)


def _whole_sum(e: Equation, r: Reader, x: Variable) -> Any:
    square = r.definition(x, np.square)
    if square and r.is_private(square) and r.is_dense(square.args[0]):
        a = b = r.reshape(square.args[0], x.size)
    else:
        ones = np.ones(x.size, x.dtype)
        a = Variable(ones.shape, ones.dtype, constant=ones)
        b = r.reshape(x, x.size)
    return r.reshape(r.enter(np.dot, (), a, b), *e.output.shape)


# --- Functions ------------------------------------------------------------------------


def quick_functions(program: Program) -> Program:
    """Say by quick functions what slow ones say."""
    return Reader(program).rewrite(program, _restored, _sign, _peak, _broadcast)


def _restored(e: Equation, r: Reader) -> Any:
    """What `keep_zeros` does: most often nothing is to be done."""
    if e.function is not np.where or not e.output.shape or len(e.args) != 3:
        return None
    mask, zero, x = e.args
    both = r.definition(mask, np.bitwise_and)
    if both is None or not is_number(zero) or zero != 0:
        return None
    of_g, of_x = (r.definitions.get(z) for z in both.args)
    lost = of_x and r.definition(of_x.args[0], np.isfinite)
    if not (of_g and lost and of_g.function is np.equal and of_x.function is np.invert):
        return None
    g, number = of_g.args
    if lost.args != (x,) or not is_number(number) or number != 0:
        return None
    return r.enter(restored, e.output.shape, x, g)


def _sign(e: Equation, r: Reader) -> Any:
    """The sign of what is not negative: ceil and minimum are quick, sign branches."""
    below = r.definition(e.args[0], np.maximum) if e.function is np.sign else None
    if below is None or not any(is_number(x) and x == 0 for x in below.args):
        return None
    shape = e.output.shape
    return r.enter(np.ceil, shape, r.enter(np.minimum, shape, below.output, 1.0))


def _peak(e: Equation, r: Reader) -> Any:
    """The largest along a short last axis: along the first one it is quick."""
    x = e.args[0] if e.args else None
    if e.function not in (np.max, np.min) or not isinstance(x, Variable):
        return None
    if set(e.params) - {"axis", "keepdims"} or e.params.get("axis") not in (
        -1,
        x.ndim - 1,
    ):
        return None
    if not (
        x.ndim > 1 and 2 <= x.shape[-1] <= 64 and 8 * x.shape[-1] <= x.size < MEDIUM
    ):
        return None
    n, others = x.shape[-1], x.size // x.shape[-1]
    columns = r.transpose(r.reshape(x, others, n))
    copy = r.enter(spread, (n, others), columns, (n, others))
    return r.reshape(r.enter(e.function, (others,), copy, axis=0), *e.output.shape)


def _broadcast(e: Equation, r: Reader) -> Any:
    if e.function is not np.broadcast_to or e.output.size >= MEDIUM:
        return None
    readers = r.uses.get(e.output, ())
    if e.output in r.results or not all(map(is_elementwise, readers)):
        return None
    return r.enter(spread, e.output.shape, *e.args)


# --- Rows -----------------------------------------------------------------------------


def spread_out(program: Program) -> Program:
    """Copy a row as often as it is needed, before it meets a matrix.

    NumPy writes a row into each row of a buffer much faster than it adds a row to each.
    """
    made: list[Equation] = []
    known: dict[Any, Variable] = {}
    for e in program.equations:
        y = e.output
        if is_elementwise(e) and y.ndim and y.size < MEDIUM:
            args = list(e.args)
            for i, x in enumerate(args):
                if isinstance(x, Variable) and x.ndim and x.shape != y.shape:
                    args[i] = known.get((x, y.shape)) or Variable(y.shape, x.dtype)
                    if (x, y.shape) not in known:
                        known[x, y.shape] = args[i]
                        made.append(
                            Equation(args[i], spread, (x, y.shape), {}, e.origin)
                        )
            e = replace(e, args=tuple(args))
        made.append(e)
    return replace(program, equations=tuple(made))
