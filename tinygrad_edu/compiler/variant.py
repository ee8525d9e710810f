"""A program for one signature: made by passes, written as source, linked, and run."""

from __future__ import annotations

import builtins
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.recording.recorder import Recording
from tinygrad_edu.compiler.report import CostReport, program_cost
from tinygrad_edu.compiler.scheduling import protect
from tinygrad_edu.compiler.writing.fast import Fast
from tinygrad_edu.compiler.writing.loops import Loops
from tinygrad_edu.compiler.writing.readable import Readable
from tinygrad_edu.engine.graph import current_mode, new_constant
from tinygrad_edu.engine.op import as_array
from tinygrad_edu.engine.tensor import Tensor

__all__ = ["Passes", "Variant", "Writer"]

NEXT = "\n    "
Passes = Sequence[tuple[str, Callable[[Program], Program]]]
Writer = Fast | Loops | Readable


class Variant:
    """A program for one signature, and when and how to run it."""

    def __init__(
        self, recording: Recording, passes: Passes, writer: type[Writer]
    ) -> None:
        self._recorded, self._passes = recording.program, passes
        ((_, program),) = deque(self._stages(), maxlen=1)  # the others are let go
        self._counts = recording.counts
        self._writer = writer(program)
        self.source: str = self._writer.source
        self._program: dict[str, Any] = dict(self._writer.space.given)
        self._execute(self.source)
        self._link(recording)

    def _stages(self) -> Iterator[tuple[str, Program]]:
        """Give the program as it was recorded, and then after each pass."""
        program = self._recorded
        yield "recording", program
        for name, change in self._passes:
            program = change(program)
            yield name, program
        yield "copies of answers", protect(_told_apart(program, self._recorded.outputs))

    def _execute(self, source: str) -> None:
        exec(builtins.compile(source, "<compiled>", "exec"), self._program)

    def _link(self, recording: Recording) -> None:
        """Write the functions that say whether the program fits, and that run it."""
        names = recording.names | {
            "array": as_array,
            "mode": current_mode,
            "program": self._program,
            "step": self._program["step"],
            "tensor": _tensor,
        }
        inputs = ", ".join(recording.accesses)
        call = f"step({inputs})"
        outputs = recording.program.outputs
        if len(outputs) == 1:
            call = f"({call},)"
        if isinstance(self._writer, Loops):  # which gives Python numbers
            names["kinds"] = [_kind(x) for x in outputs]
            call = f"[kind(x) if kind else x for kind, x in zip(kinds, {call})]"
        conditions = dict.fromkeys(recording.conditions)
        effects = recording.effects or ["pass"]
        source = f"""
def fits(args, kwargs):
    try:
        return ({" and ".join(conditions)})
    except (LookupError, AttributeError, ValueError):
        return False

def run(args, kwargs):
    r = {call}
    y = {recording.answer}
    {NEXT.join(effects)}
    return y

def epoch(args, x, y, order):
    answers = program['epoch'](x, y, order, {inputs})
    for _ in answers:
        {(NEXT + "    ").join(effects)}
    return answers
"""
        exec(builtins.compile(source, "<guards>", "exec"), names)
        self.fits: Callable[..., bool] = names["fits"]
        self.run: Callable[..., Any] = names["run"]
        self._epoch: Callable[..., Any] = names["epoch"]

    @property
    def epoch(self) -> Callable[..., Any] | None:
        """The function that runs many mini-batches in one loop, if there is one."""
        if isinstance(self._writer, Readable) or self._counts is None:
            return None
        if "epoch" not in self._program:
            source = self._writer.epoch(self._counts)
            self._execute(source)
            self.source += source
        return self._epoch

    def report(self) -> CostReport:
        rows = [(name, *program_cost(program)) for name, program in self._stages()]
        if isinstance(self._writer, Fast):
            sizes, (_, operations, flops, *_) = self._writer.buffers, rows[-1]
            cost = operations, flops, len(sizes), sum(sizes)
            rows.append(("sharing buffers", *cost))
        return CostReport(rows)


def _told_apart(program: Program, as_recorded: tuple[Any, ...]) -> Program:
    """Copy an output that a pass has made the same variable as another one."""
    outputs: list[Any] = []
    copies: list[Equation] = []
    given: dict[Any, Variable] = {}  # by what was recorded
    for x, recorded in zip(program.outputs, as_recorded):
        if isinstance(x, Variable) and x.dtype is not None:
            if recorded not in given and x in given.values():
                copies.append(Equation(Variable(x.shape, x.dtype), np.positive, (x,)))
                x = copies[-1].output
            x = given.setdefault(recorded, x)
        outputs.append(x)
    equations = (*program.equations, *copies)
    return replace(program, equations=equations, outputs=tuple(outputs))


def _kind(x: Any) -> Any:
    """Return the type of an output that is a NumPy scalar, else None."""
    is_scalar = isinstance(x, Variable) and x.shape == () and x.dtype is not None
    return x.dtype.type if is_scalar else None


def _tensor(value: Any) -> Tensor:
    """Make a constant Tensor of an output."""
    tensor: Tensor = new_constant(Tensor, as_array(value))
    return tensor
