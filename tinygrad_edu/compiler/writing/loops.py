"""The program as loops, for Numba to compile.

For networks so small that calling NumPy takes longer than computing. Equations of one
shape share a nest of loops, and what is only used within it needs no array. What has no
loop is called as it is, between functions of loops.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from itertools import groupby
from typing import Any

from tinygrad_edu.compiler.functions import spread
from tinygrad_edu.compiler.namespace import Namespace
from tinygrad_edu.compiler.naming import name_variables
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import roots, schedule
from tinygrad_edu.compiler.writing.elements import Elements
from tinygrad_edu.compiler.writing.grouping import (
    NUMBERS,
    Groups,
    is_arithmetic,
    is_call,
)
from tinygrad_edu.compiler.writing.nests import Nest, is_plain
from tinygrad_edu.formulas.writing import write_index

__all__ = ["Loops"]

LONG = 100  # equations: from here on each nest is a function, and equal ones are one
JIT = '@njit(error_model="numpy")'
# For what no Python calls; it is compiled sooner.
INNER = '@njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)'


class Names(dict[Variable, str]):
    """Names of variables, which remembers those that it was asked for.

    Without names to take, it makes them, of numbers in the order of asking: functions
    that do the same thing read the same then.
    """

    def __init__(self, known: dict[Variable, str] | None = None) -> None:
        self._known = known

    def __missing__(self, x: Variable) -> str:
        known = self._known
        self[x] = f"x{len(self) + 1}" if known is None else known[x]
        return self[x]


class Loops:
    """Writes a program down as loops.

    Attributes
    ----------
    source : str
    """

    def __init__(self, program: Program) -> None:
        calls = filter(is_call, program.equations)
        # A call may fail: then nothing is to be written before all calls are made.
        results = (*program.outputs, *program.updates.values())
        self._is_python = any(calls) or not all(map(is_plain, results))
        self._jit = "" if self._is_python else f"{JIT}\n"
        self._in_place: dict[Variable, Variable] = {}
        if not self._is_python:
            program, self._in_place = schedule(program)
        self.program = self._with_copies(program)
        self.space = Namespace(self.program)
        self.names = name_variables(self.program, self.space.taken)
        self._elements = Elements(self.program, self._in_place, self.space, self.names)
        self._functions: dict[str, str] = {}  # their names, by what they do
        self._groups = Groups(self.program, self._in_place)
        self.source = self._assemble()

    def _with_copies(self, program: Program) -> Program:
        """Write the updates that are not in place, and copy what is given out."""
        root, outputs = roots(program), list(program.outputs)
        copies: list[Equation] = []
        given = {*program.inputs, *root}

        def copy(x: Any, like: Variable) -> Variable:
            y = like.like()
            copies.append(Equation(y, spread, (x, like.shape)))
            return y

        for k, x in enumerate(outputs):
            is_array = isinstance(x, Variable) and x.ndim
            if is_array and (x in given or x.constant is not None):
                outputs[k] = copy(x, x)
        for target, new in program.updates.items():
            if new not in self._in_place:
                self._in_place[copy(new, target)] = target
        equations = (*program.equations, *copies)
        return replace(program, equations=equations, outputs=tuple(outputs))

    # --- Functions of loops -----------------------------------------------------------

    def _nests(self, members: list[int], names: dict[Variable, str]) -> list[str]:
        """Write groups one after the other; many as calls of functions of their own."""
        lines: list[str] = []
        elements = self._elements.renamed(names)
        is_long = len(self._groups.made(members)) > LONG and len(members) > 1
        for n in members:
            if is_long:
                lines += self._call_of([n], Names(), names)
                continue
            stored = self._groups.stored(n)
            lines += [
                f"{names[y]} = np.empty({y.shape}, {elements.type(y.dtype)})"
                for y in stored
                if y not in self._in_place
            ]
            lines += Nest(self._groups[n], elements, stored).lines
        return lines

    def _call_of(
        self, members: list[int], own: Names, names: dict[Variable, str]
    ) -> list[str]:
        """Make a function of groups, unless there is one, and write its call."""
        lines = self._nests(members, own)
        made = {*self._groups.made(members)}
        given = [x for x in own if x not in made]
        results = [
            y
            for y in own
            if y in made and y not in self._in_place
            if self._groups.leaves(y, members)
        ]
        if results:
            lines.append(f"return {', '.join(own[y] for y in results)}")
        body = "\n    ".join(lines)
        by_python = self._is_python and names is self.names
        text = (
            f"{JIT if by_python else INNER}\n"
            f"def {{}}({', '.join(own[x] for x in given)}):\n    {body}\n\n"
        )
        if text not in self._functions:
            self._functions[text] = self.space.taken.numbered("loops")
        call = f"{self._functions[text]}({', '.join(names[x] for x in given)})"
        if not results:
            return [call]
        lines = [f"{', '.join(names[y] for y in results)} = {call}"]
        if by_python:
            lines += [
                f"{names[y]} = {self._elements.cast(y.dtype, names[y])}"
                for y in results
                if not y.ndim
            ]
        return lines

    # --- The step ---------------------------------------------------------------------

    def _stretches(self) -> list[str]:
        """Write functions of loops, and between them calls of NumPy."""
        lines: list[str] = []
        is_long = len(self.program.equations) > LONG
        groups = range(len(self._groups))
        for are_calls, members in groupby(groups, self._groups.calls.__contains__):
            if are_calls:
                lines += [self._call(e) for n in members for e in self._groups[n]]
            else:
                own = Names(None if is_long else self.names)
                lines += self._call_of([*members], own, self.names)
        return lines

    def _call(self, e: Equation) -> str:
        """Call what has no loop."""
        text = self._number(e) if is_arithmetic(e) else self._plain_call(e)
        if e.output in self._in_place:
            return f"{self.names[self._in_place[e.output]]}[...] = {text}"
        dtype = e.output.dtype
        if dtype is not None and dtype.kind in "biufc" and not e.output.ndim:
            text = self._elements.cast(dtype, text)
        return f"{self.names[e.output]} = {text}"

    def _plain_call(self, e: Equation) -> str:
        if e.function is operator.getitem:
            index = write_index(e.args[1], self._argument)
            return f"{self._argument(e.args[0])}[{index}]"
        params = [
            self.space.write_keyword(name, self._argument(x))
            for name, x in e.params.items()
        ]
        arguments = ", ".join([*map(self._argument, e.args), *params])
        return f"{self.space.function(e.function)}({arguments})"

    def _argument(self, x: Any) -> str:
        return self.space.write(x, self._value)

    def _value(self, x: Any) -> str:
        if not isinstance(x, Variable):
            return self.space.value(x)
        return self._elements.array(x)

    def _number(self, e: Equation) -> str:
        texts = [
            self.names[x] if isinstance(x, Variable) else f"({self.space.value(x)})"
            for x in e.args
        ]
        return NUMBERS[e.function].format(*texts)

    def _output(self, x: Any) -> str:
        if isinstance(x, Variable) and not x.ndim:
            return self._elements.element(x, [])
        return self._value(x)

    # --- The whole --------------------------------------------------------------------

    def _assemble(self) -> str:
        lines = [
            f"{self.names[e.output]} = {self._number(e)}" for e in self._groups.numbers
        ]
        if self._is_python:
            lines += self._stretches()
        else:
            lines += self._nests([*range(len(self._groups))], self.names)
        outputs = ", ".join(map(self._output, self.program.outputs)) or "()"
        constants = "".join(f"{c} = {x}\n" for x, c in self._elements.constants.items())
        functions = "".join(
            text.replace("{}", name, 1) for text, name in self._functions.items()
        )
        parameters = ", ".join(self.names[x] for x in self.program.inputs)
        body = "\n    ".join([*lines, f"return {outputs}"])
        return (
            f"import numpy as np\nfrom numba import njit\n{self.space.head()}\n"
            f"{constants}\n\n{functions}"
            f"{self._jit}def step({parameters}):\n    {body}\n"
        )

    def epoch(self, counts: dict[str, str]) -> str:
        """Write the loop over the mini-batches of an epoch, as `Fast.epoch`."""
        names = [self.names[x] for x in self.program.inputs]
        parameters = ", ".join(names)
        (size, *_) = self.program.inputs[0].shape
        dtype = self._elements.type(self.program.outputs[0].dtype)
        lines = [f"answers = np.empty(len(order) // {size}, {dtype})"]
        lines.append("for batch in range(len(answers)):")
        for x, name in zip(self.program.inputs[:2], names):
            lines += self._take_rows(name, x.shape)
        lines.append(f"    answers[batch] = step({parameters})")
        if counts:  # all at once: each is computed of the old ones
            counted = ", ".join(number.format(*names) for number in counts)
            new = ", ".join(text.format(*names) for text in counts.values())
            lines.append(f"    {counted} = {new}")
        body = "\n    ".join([*lines, "return answers"])
        all_names = ", ".join([f"all_{name}" for name in names[:2]])
        return (
            f"\n\n{self._jit}def epoch({all_names}, order, {parameters}):\n    {body}\n"
        )

    def _take_rows(self, x: str, shape: tuple[int, ...]) -> list[str]:
        """Write the loops that copy a mini-batch; slices take Numba a second."""
        rows = f"batch * {shape[0]} : (batch + 1) * {shape[0]}"
        if self._is_python:
            return [f"    {x}[...] = all_{x}[order[{rows}]]"]
        index = [f"i{k}" for k in range(len(shape))]
        lines = [
            f"{'    ' * (k + 1)}for {i} in range({n}):"
            for k, (i, n) in enumerate(zip(index, shape))
        ]
        row = ", ".join([f"order[batch * {shape[0]} + i0]", *index[1:]])
        place = ", ".join(index)
        return [*lines, f"{'    ' * (len(shape) + 1)}{x}[{place}] = all_{x}[{row}]"]
