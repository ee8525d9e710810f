"""Passes for programs of NumPy's calls: which are quick, and which are not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from timeit import repeat

import numpy as np

from tinygrad_edu.compiler.functions import spread
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import is_elementwise

__all__ = [
    "rows_at_once",
    "small_products_are_faster",
    "spread_out",
    "sums_as_products",
]

SMALL = 1_000_000  # products: so many OpenBLAS takes to be a small matrix product


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


def spread_out(program: Program) -> Program:
    """Copy a row as often as it is needed, before it meets a matrix.

    NumPy writes a row into each row of a buffer much faster than it adds a row to each.
    """
    made: list[Equation] = []
    for e in program.equations:
        y = e.output
        if is_elementwise(e) and y.ndim and y.size < 1 << 16:
            args = list(e.args)
            for i, x in enumerate(args):
                if isinstance(x, Variable) and x.ndim and x.shape != y.shape:
                    args[i] = Variable(y.shape, x.dtype)
                    made.append(Equation(args[i], spread, (x, y.shape), {}, e.origin))
            e = replace(e, args=tuple(args))
        made.append(e)
    return replace(program, equations=tuple(made))


def sums_as_products(program: Program) -> Program:
    """Sum a matrix over an axis as its product with ones, which BLAS does faster."""
    made = []
    for e in program.equations:
        x = e.args[0] if e.args else None
        axis = e.params.get("axis")
        if (
            e.function is np.sum
            and isinstance(x, Variable)
            and x.ndim == 2
            and x.dtype == e.output.dtype
            and x.dtype.kind == "f"
            and x.dtype.itemsize > 2
            and axis in (0, 1, -1)
            and len(e.args) == 1
            and set(e.params) == {"axis"}
        ):
            ones = np.ones(x.shape[axis], x.dtype)
            constant = Variable(ones.shape, ones.dtype, constant=ones)
            args = (constant, x) if axis == 0 else (x, constant)
            e = replace(e, function=np.dot, args=args, params={})
        made.append(e)
    return replace(program, equations=tuple(made))
