"""The results of a run: the program's outputs, and what becomes of them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.compiler.expressions import INFIX, literal
from tinygrad_edu.compiler.program import Variable, alike
from tinygrad_edu.compiler.recording.accesses import References
from tinygrad_edu.compiler.recording.stand_ins import Array, Number
from tinygrad_edu.compiler.recording.tape import Tape
from tinygrad_edu.engine.graph import Node
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support import tree

__all__ = ["Results"]

LONGEST = 500  # characters of a number's expression: Python reads few nested brackets


class Results:
    """What the function gave and what it set, read off when it has run.

    Attributes
    ----------
    equations : list of Equation
    inputs : list of tuple
        The variables, with the expressions for their values.
    outputs : list
        The arrays in the answer, then the gradients, then the numbers that change.
    updates : dict of Variable to Variable
        The inputs that are written to.
    constants : list
        What is given out and is not computed: plain values, arrays, keys, types.
    answer : str
        The expression that makes the function's answer of the outputs ``r[0], ...``.
    effects : list of str
        The statements that do the rest: set gradients, and numbers as an optimiser's
        count of steps.
    """

    def __init__(
        self,
        answer: Any,
        stand_ins: dict[str, Any],
        tape: Tape,
        refer: References,
        first: Results | None,
    ) -> None:
        self._inputs, self._tape, self._refer = tape.inputs, tape, refer
        self._first = first.constants if first else []
        self.constants: list[Any] = []
        self.equations = tape.equations
        self.updates = {memory.first: memory.read() for memory in tape.changed}
        self.outputs: list[Any] = []
        self.effects: list[str] = []
        self._counts: dict[str, str] = {}  # numbers that are computed from others
        self._known = {id(x): access for access, x in stand_ins.items()}
        self._known |= {id(x): site.access for site, _, x in tape.inputs.sites}
        self.answer = self._expression(answer)
        self._is_one = isinstance(answer, Node) and len(self.outputs) == 1
        self._set_gradients()
        self._set_places()
        accesses = tape.inputs.accesses
        self.inputs = [(memory.first, access) for memory, access in accesses.items()]
        # What two runs must have in common, besides the equations.
        self.whole = self.outputs, self.updates, self.answer, self.effects

    def _output(self, x: Variable) -> str:
        self.outputs.append(x)
        return f"r[{len(self.outputs) - 1}]"

    def _constant(self, x: Any) -> str:
        """Name a constant; if it equals that of the first run, take that one."""
        i = len(self.constants)
        if i < len(self._first) and alike(self._first[i], x):
            x = self._first[i]
        self.constants.append(x)
        return self._refer(x)

    def _expression(self, x: Any) -> str:
        """Write an expression for a part of the answer, or a new value."""
        if id(x) in self._known:
            return self._known[id(x)]
        text = self._written(x)
        if isinstance(x, Node | np.ndarray):  # may be there once more
            name = self._known[id(x)] = f"a{len(self._known)}"
            text = f"({name} := {text})"
        return text

    def _written(self, x: Any) -> str:
        write = self._expression
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            return f"{self._constant(type(x))}({', '.join(map(write, x))})"
        if type(x) is tuple:
            return f"({''.join(write(part) + ', ' for part in x)})"
        if type(x) is list:
            return f"[{', '.join(map(write, x))}]"
        if type(x) is dict:
            items = (f"{self._constant(key)}: {write(part)}" for key, part in x.items())
            return f"{{{', '.join(items)}}}"
        if fields := tree.fields(x):
            parts = (f"{name}={write(part)}" for name, part in fields.items())
            return f"{self._constant(type(x))}({', '.join(parts)})"
        if type(x) is Array or type(x) is Number:
            return self._output(self._tape.variable(x))
        if isinstance(x, Tensor):
            if id(x) in self._inputs.tensors or self._inputs.is_outside(x):
                return self._inputs.access(x)
            return f"tensor({self._output(self._tape.place(x).read())})"
        is_open = isinstance(x, np.ndarray | set | bytearray)  # it may be written to
        return self._constant(x) + ".copy()" * is_open

    def _set_gradients(self) -> None:
        inputs = self._inputs
        for key, tensor in list(inputs.tensors.items()):
            if key not in inputs.gradients:
                continue
            now = tensor.accumulated
            if key in inputs.read and now is inputs.gradients[key]:
                continue
            new = "None"
            if now is not None and id(now) not in inputs.used:
                new = f"tensor({self._output(self._tape.place(now).read())})"
            self.effects.append(f"{inputs.access(tensor)}.accumulated = {new}")

    def _set_places(self) -> None:
        """Set what has other memory, or another number: read all, then assign."""
        inputs, set_to = self._inputs, {}
        for memory, tensor in inputs.bound.items():
            now = self._tape.place(tensor)
            if now is not memory:
                value = inputs.accesses.get(now) or f"array({self._output(now.read())})"
                set_to[f"{inputs.access(tensor)}.array"] = value
        for site, _, stand_in in inputs.sites:
            new = site.get()
            if new is stand_in:
                continue
            if type(new) is Number and new.variable in self._texts:
                self._counts[site.access] = text = self._texts[new.variable]
                set_to[site.access] = text.format(*inputs.accesses.values())
            else:
                set_to[site.access] = self._expression(new)
        if set_to:
            places, values = ", ".join(set_to), ", ".join(set_to.values())
            self.effects.append(f"{places} = {values}")
        self._assigned = len(set_to)

    @cached_property
    def _texts(self) -> dict[Variable, str]:
        """Numbers as expressions, with ``{0}`` for the first input, unless too long."""
        texts = {m.first: f"{{{i}}}" for i, m in enumerate(self._inputs.accesses)}
        for e in self._tape.equations:
            if e.output.dtype is None and e.function in INFIX:
                pair = [
                    texts.get(x) if isinstance(x, Variable) else literal(x)
                    for x in e.args
                ]
                text = f"({f' {INFIX[e.function][0]} '.join(map(str, pair))})"
                if None not in pair and len(text) <= LONGEST:
                    texts[e.output] = text
        return texts

    def counts(self, accesses: list[str]) -> dict[str, str] | None:
        """Tell what becomes of each number, with ``{0}`` for the program's first input.

        None, if there is more to do after a run, or anything to give but one number; or
        if something has to be drawn before each run.
        """
        one = self._is_one and len(self.outputs) == 1 and self.outputs[0].shape == ()
        on_batch = accesses[:2] == ["args[0]", "args[1]"] and not self._inputs.drawn
        if not one or not on_batch or self._assigned > len(self._counts):
            return None
        place_of = {access: f"{{{i}}}" for i, access in enumerate(accesses)}
        places = [place_of.get(access) for _, access in self.inputs]
        counts = {
            place_of[access]: text.format(*places)
            for access, text in self._counts.items()
            if access in place_of
        }
        is_known = not any("None" in text for text in counts.values())
        return counts if is_known else None
