"""Which equations share a nest of loops, and what they hand on to others."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from tinygrad_edu.compiler.expressions import INFIX
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import roots
from tinygrad_edu.compiler.writing.elements import is_fixed_view
from tinygrad_edu.compiler.writing.nests import (
    has_loop,
    is_alone,
    is_plain,
    reads_elsewhere,
)

__all__ = ["NUMBERS", "Groups", "is_arithmetic", "is_call"]

LONGEST = 40  # equations in a nest: what Numba does with them is not linear
# How arithmetic of Python's numbers is written.
NUMBERS: dict[Any, str] = {
    operator.neg: "-{}",
    operator.pos: "{}",
    operator.abs: "abs({})",
    **{f: f"{{}} {INFIX[f][0]} {{}}" for f in INFIX if f in vars(operator).values()},
}


def is_arithmetic(e: Equation) -> bool:
    """Whether an equation is arithmetic of Python's numbers."""
    return (
        e.function in NUMBERS
        and e.output.dtype is None
        and all(
            x.dtype is None if isinstance(x, Variable) else is_plain(x) for x in e.args
        )
    )


def is_call(e: Equation) -> bool:
    """Whether an equation can be neither a loop nor an operator nor a view."""
    return not (is_fixed_view(e) or is_arithmetic(e) or has_loop(e))


class Groups(list[list[Equation]]):
    """The groups of a program, in an order in which they can be computed.

    A group is equations that share a nest of loops, or one that is called as it is.

    Attributes
    ----------
    numbers : list of Equation
        Those of Python's numbers that can be computed before all groups.
    calls : set of int
        Which groups are called.
    """

    def __init__(self, program: Program, in_place: dict[Variable, Variable]) -> None:
        super().__init__()
        self.numbers: list[Equation] = []
        self.calls: set[int] = set()
        self._in_place = in_place
        self._root = roots(program)
        self._seen: dict[Variable, Variable] = {}  # by views of them
        self._made: dict[Variable, int] = {}  # in which group
        self._used: dict[Variable, int] = {}  # where last, each element for itself
        self._free_from: dict[Variable, int] = {}  # from which group for writing
        self._readers: dict[Variable, set[int]] = {}  # -1 is the caller
        self._last_call = -1
        for e in program.equations:
            if is_arithmetic(e) and self._made.keys().isdisjoint(e.inputs):
                self.numbers.append(e)
            elif is_fixed_view(e):
                self._seen[e.output] = self._seen.get(e.args[0], e.args[0])
            else:
                self._place(e)
        for x in program.outputs:
            if isinstance(x, Variable):
                self._readers.setdefault(self._root.get(x, x), set()).add(-1)

    def _place(self, e: Equation) -> None:
        """Put an equation where an operand was used last, if it may run there."""
        first, n = 0, -1  # the first group where it may run, and where it will
        reads: list[tuple[Variable, bool]] = []
        for x in e.inputs:
            root = self._root.get(x, x)
            elsewhere = reads_elsewhere(e, x, root)
            reads.append((root, elsewhere))
            # What a call gives may look at other memory: then both are waited for.
            for made in (root, self._seen.get(x, x)):
                first = max(first, self._made.get(made, -1) + elsewhere)
            if not elsewhere:
                n = max(n, self._used.get(root, -1))
        if e.output in self._in_place:  # a call may fail, and then nothing was written
            free = self._free_from.get(self._in_place[e.output], 0)
            first = max(first, free, self._last_call + 1)
        is_loop = has_loop(e)
        if not is_loop or n < first or not self._has_room(n, e):
            n = len(self)
            self.append([])
        if not is_loop:
            self.calls.add(n)
            self._last_call = n
        self[n].append(e)
        self._made[e.output] = self._used[e.output] = n
        for root, elsewhere in reads:
            self._readers.setdefault(root, set()).add(n)
            self._free_from[root] = max(self._free_from.get(root, 0), n + elsewhere)
            if not elsewhere:
                self._used[root] = n

    def _has_room(self, n: int, e: Equation) -> bool:
        """Whether one more equation may share the nest of a group."""
        first = self[n][0]
        same = first.output.shape == e.output.shape and not is_alone(first)
        return same and n not in self.calls and len(self[n]) < LONGEST

    def made(self, members: Iterable[int]) -> list[Variable]:
        return [e.output for n in members for e in self[n]]

    def leaves(self, y: Variable, members: Iterable[int]) -> bool:
        """Whether a variable is read outside some groups."""
        return not self._readers.get(y, set()).issubset(members)

    def stored(self, n: int) -> list[Variable]:
        """Return what is more than a number within its group, and needs memory."""
        return [
            y
            for y in self.made([n])
            if y in self._in_place or (y.ndim and self.leaves(y, [n]))
        ]
