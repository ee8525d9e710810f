"""Memory, as the tape follows it: writing gives it another variable.

So each variable of a program has one value, and only its last lines write.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from tinygrad_edu.compiler.program import Variable
from tinygrad_edu.compiler.recording.refusals import Line, current_tape, place
from tinygrad_edu.engine.graph import Node

__all__ = ["Memory"]


class Memory:
    """A piece of memory: which variable it holds, and whose it is.

    Attributes
    ----------
    variable, first : Variable
        What it holds now, and what it held at first.
    name : str
        What the user calls it; empty for what the function computes.
    writable : bool
        Whether the function may write to it.
    base : Memory or None
        The memory that this one is a view of.
    """

    __slots__ = (
        "_seen",
        "base",
        "changed_at",
        "first",
        "name",
        "nodes",
        "variable",
        "writable",
        "writes",
    )

    def __init__(
        self,
        variable: Variable,
        name: str = "",
        writable: bool = True,
        base: Memory | None = None,
    ) -> None:
        self.first = self.variable = variable
        self.name = name
        self.writable = writable
        self.base = base
        self.writes = 0
        self.changed_at: Line = ("", 0)  # of the last one
        self._seen = base.writes if base is not None else 0
        self.nodes: list[ref[Node]] = []  # those that have this memory

    def read(self) -> Variable:
        """Return the variable; refuse a view of memory that was written to since."""
        if self.base is not None and self.base.writes != self._seen:
            current_tape().fail(
                "an array is read that looks at the memory of another one "
                f"({self.base.name or 'an array of its own'}), which was changed "
                f"since, at {place(self.base.changed_at)}",
                "take a copy() of it before, or take the part again after the change",
            )
        return self.variable

    def write(self, variable: Variable, array: Any, line: Line) -> None:
        """Hold another variable, with an array for its value while recording."""
        self.variable = variable
        self.writes += 1
        self.changed_at = line
        alive = [node for find in self.nodes if (node := find()) is not None]
        self.nodes = [ref(node) for node in alive]
        for node in alive:
            node.array = array
