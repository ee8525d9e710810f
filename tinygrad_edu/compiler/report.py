"""What each pass brings: operations, arithmetic, memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import is_view
from tinygrad_edu.support.table import Table

__all__ = ["Cost", "CostReport", "program_cost"]


class Cost(NamedTuple):
    """What a program takes."""

    operations: int  # calls that compute an array
    flops: int  # additions, multiplications and function values
    buffers: int  # arrays that it needs between its inputs and its outputs
    bytes: int  # in all of them


class CostReport(Table):
    """A line for each pass: what the program takes after it."""

    __slots__ = ()

    header = ("after", *Cost._fields)


def program_cost(program: Program) -> Cost:
    """Count what a program takes if every array has memory of its own."""
    computed = [
        e for e in program.equations if e.output.dtype is not None and not is_view(e)
    ]
    seen = {x for x in program.outputs if isinstance(x, Variable)}
    arrays = [e.output for e in computed if e.output.ndim and e.output not in seen]
    return Cost(
        len(computed),
        sum(map(_flops, computed)),
        len(arrays),
        sum(x.nbytes for x in arrays),
    )


def _flops(e: Equation) -> int:
    arrays = [x for x in e.inputs if x.dtype is not None]
    if e.function in (np.dot, np.matmul) and arrays and arrays[0].ndim:
        return 2 * e.output.size * arrays[0].shape[-1]
    if e.function is np.vdot:
        return 2 * arrays[0].size
    return max([e.output.size, *(x.size for x in arrays)]) if arrays else e.output.size
