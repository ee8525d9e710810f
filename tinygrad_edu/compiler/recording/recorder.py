"""Run a function on a tape, twice, and make a `Program` of it.

Nothing is changed by it: what the function would write to is written down, and done
when the program runs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tinygrad_edu.compiler.naming import label_variables
from tinygrad_edu.compiler.passes.redundant import dead_code
from tinygrad_edu.compiler.program import Program, Variable, alike
from tinygrad_edu.compiler.recording.accesses import References
from tinygrad_edu.compiler.recording.arguments import Arguments, is_argument
from tinygrad_edu.compiler.recording.captured import Captured
from tinygrad_edu.compiler.recording.conditions import conditions_of
from tinygrad_edu.compiler.recording.inputs import Inputs
from tinygrad_edu.compiler.recording.lowering import Lowering
from tinygrad_edu.compiler.recording.memory import Memory
from tinygrad_edu.compiler.recording.refusals import place
from tinygrad_edu.compiler.recording.results import Results
from tinygrad_edu.engine.graph import current_mode
from tinygrad_edu.engine.modes import changed

__all__ = ["Recording"]


class Recording:
    """What a function does with arguments of one signature.

    Attributes
    ----------
    program : Program
        Its outputs are the arrays in the function's answer, then the gradients, then
        the numbers that change.
    accesses : list of str
        For each of the program's inputs, the expression that gives its value.
    conditions : list of str
        What must hold for the program to be right, in Python: first of the arguments.
    names : dict
        What the expressions speak of.
    answer, effects, counts
        As in `Results`.
    """

    def __init__(
        self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._f, self._refer = f, References(args, kwargs)
        self.names = self._refer.names
        self._arguments = Arguments(f, args, kwargs, self._refer)
        others = self._arguments.others | {self._refer(f): f}
        self._captured = Captured(others, self._refer)
        _, results = self._run(None)
        tape, _ = self._run(results)
        # A function may change what it leads to, if it does the same all the same.
        self.conditions = [
            f"mode.get().recording is {current_mode.get().recording}",
            *self._arguments.conditions,
            *Captured(others, self._refer).conditions,
            *conditions_of(self.program, tape, self._refer),
        ]

    def _run(self, first: Results | None) -> tuple[Lowering, Results]:
        """Run the function; in the second run, compare with the first."""
        known = first.inputs if first else []
        inputs = Inputs(self._f, self._arguments, self._captured, self._refer, known)
        tape = Lowering(inputs, first.equations if first else None)
        inside = changed({"tape": tape, "sample": inputs.sample, "nested": False})
        try:
            current_mode.set(inside)
            with inputs.lent(), np.errstate(all="ignore"):  # the program warns
                stand_ins = inputs.stand_ins()
                args, kwargs = self._arguments.with_stand_ins(stand_ins)
                answer = self._f(*args, **kwargs)
                if tape.failure is None:
                    tape.check_end()
                    results = Results(answer, stand_ins, tape, self._refer, first)
        except Exception:
            if tape.failure is None:
                raise
        finally:
            current_mode.set(inside.block.outside)
        if tape.failure is not None:
            raise tape.failure
        self._check_memory(tape)
        if first is not None:
            if not alike(first.whole, results.whole):
                tape.differ(inputs.line)
            self._read_off(tape, results)
        del args, kwargs, answer, stand_ins
        _check_forgotten(tape)
        return tape, results

    def _read_off(self, tape: Lowering, results: Results) -> None:
        """Make the program out of the tape."""
        inputs, outputs = tape.inputs, tuple(results.outputs)
        updates = results.updates
        program = Program((), tuple(tape.equations), outputs, updates)
        needed = dead_code(program).equations
        read = {*program.results(), *updates, *(x for e in needed for x in e.inputs)}

        def order(item: tuple[Variable, str]) -> tuple[bool, ...]:
            """Put arguments first, then parameters, state, random numbers, numbers."""
            x, access = item
            if is_argument(access):
                return (False,)
            in_turn = access in inputs.drawn, access in inputs.remembered
            return True, x.dtype is None, *in_turn

        used = {
            memory.first: access
            for memory, access in inputs.accesses.items()
            if memory.first in read or is_argument(access) or access in inputs.drawn
        }
        used = dict(sorted(used.items(), key=order))
        self.accesses = list(used.values())
        self.program = Program(tuple(used), program.equations, outputs, updates)
        self.answer, self.effects = results.answer, results.effects
        self.counts = results.counts(self.accesses)
        label_variables(tape, self.program.inputs, outputs)

    def _check_memory(self, tape: Lowering) -> None:
        """Raise if memory that is written to is also read as another input."""
        inputs, changed = tape.inputs, tape.changed
        spans = [
            (*byte_bounds(np.asarray(self._refer.evaluate(access))), memory)
            for memory, access in inputs.accesses.items()
            if memory.first.nbytes and access not in inputs.drawn
        ]
        before: list[tuple[int, Memory]] = []  # those that may reach as far as the next
        for low, high, b in sorted(spans, key=itemgetter(0)):
            before = [(end, other) for end, other in before if end > low]
            for _, other in before:
                if b in changed or other in changed:
                    one, two = (b, other) if b in changed else (other, b)
                    raise TypeError(
                        f"compile: the function changes {one.name}, at "
                        f"{place(changed[one])}, and {two.name} looks at the same "
                        "memory, which a program could not follow; pass or keep a "
                        "copy()"
                    )
            before.append((high, b))


def _check_forgotten(tape: Lowering) -> None:
    """Raise if something that was recorded is kept somewhere."""
    tape.forget()
    tape.inputs.forget()
    kept = [(node, line) for node, line in tape.inputs.made if node() is not None]
    if kept:
        gc.collect()  # gradients with a graph refer to themselves
    for node, line in reversed(kept):  # the last one is what was kept
        if node() is not None:
            raise TypeError(
                f"compile: what is computed at {place(line)} is kept "
                "after the call (in a list, an attribute or another object), where "
                "it would hold no value; return it from the function instead"
            )
