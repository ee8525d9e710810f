"""The readable style: one formula a line, in the textbook's names."""

from __future__ import annotations

import operator
import re
from collections import Counter
from itertools import count
from textwrap import wrap
from typing import Any

import numpy as np

from tinygrad_edu.compiler.expressions import (
    INFIX,
    may_overflow,
    write_number,
    write_operator,
    write_view,
)
from tinygrad_edu.compiler.functions import astype
from tinygrad_edu.compiler.namespace import Namespace, identifier
from tinygrad_edu.compiler.naming import name_variables
from tinygrad_edu.compiler.program import Equation, Program, Variable, same_dtype
from tinygrad_edu.compiler.writing.repeating import (
    WIDTH,
    ProgramLine,
    are_alike,
    with_loops,
)
from tinygrad_edu.formulas.brackets import Strength, Written, infixed
from tinygrad_edu.support.tree import CONTAINERS

__all__ = ["Readable"]

METHODS = {
    np.sum: "sum",
    np.max: "max",
    np.min: "min",
    np.prod: "prod",
    np.mean: "mean",
}
LONGEST = 88  # characters in a line


class Readable:
    """Writes a program down in the readable style.

    Attributes
    ----------
    source : str
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.definitions = program.definitions()
        self.space = Namespace(program)
        self.names = name_variables(program, self.space.taken)
        labels = [str(e.output.label) for e in program.equations]
        given = [int(x[1:]) for x in labels if re.fullmatch(r"t\d+", x)]
        self._line_numbers = count(1 + max(given, default=0))
        self.constants: dict[str, str] = {}
        self.texts: dict[Variable, Written] = {}  # of what has no line of its own
        self.uses = Counter(program.results())
        for e in program.equations:
            self.uses.update(e.inputs)
        self._dtypes: set[Any] = set()  # of what the equation being written reads
        self.lines: list[ProgramLine] = []
        self._inputs = set(program.inputs)
        self._finals = set(program.updates.values())
        self._outputs = {x for x in program.outputs if isinstance(x, Variable)}
        self._reads_old = self._reads_updated()
        self.sums = self._find_sums()
        self._waiting: dict[Variable, list[str]] = {}  # sums that nobody has read yet
        self.source = self._write_all()

    def _write_all(self) -> str:
        section = ""
        trains = any(e.origin.rule for e in self.program.equations)
        parts = {e.output for sum_ in self.sums.values() for e in sum_[:-1]}
        for e in self.program.equations:
            if not self._waiting.keys().isdisjoint(e.inputs):
                self._add_sums()
            if e.output in parts:
                continue
            if e.is_check:
                self.lines.append(ProgramLine(self._fitting(e).text))
                continue
            terms = self._terms(e)
            written = None if terms else self._fitting(e)
            if written and self._is_inline(e):
                self.texts[e.output] = written
                continue
            now = "update" if self.program.updates else "rest"
            if e.origin.rule:
                now = "backward"
            elif section in ("", "forward"):
                now = "forward"
            if now != section and trains:
                self._add_sums()
                self.lines.append(ProgramLine(f"# {now}"))
                section = now
            if written:
                self._add_line(e, written.text)
            else:
                self._waiting[e.output] = terms
        self._add_sums()
        if self.program.updates and section != "update":
            self.lines.append(ProgramLine("# update"))
        for target, new in self.program.updates.items():
            self.lines.append(ProgramLine(self._update(target, new)))
        answers = [self.value(x) for x in self.program.outputs]
        given = {self.names[x] for x in self.program.inputs if x.dtype is not None}
        answers = [f"{x}.copy()" if x in given else x for x in answers]
        self.lines.append(ProgramLine(f"return {', '.join(answers) or None}"))
        return self._assemble()

    def _reads_updated(self) -> dict[Variable, set[Any]]:
        """For each variable, which inputs that will be updated its text would read.

        Those of an update's own target do not count, nor what has a line of its own.
        """
        updated = set(self.program.updates)
        target = {new: old for old, new in self.program.updates.items()}
        found: dict[Variable, set[Any]] = {}
        for e in self.program.equations:
            reads: set[Any] = set()
            for x in e.inputs:
                if x in updated:
                    reads.add(x)
                elif self._may_be_inline(x):
                    reads |= found.get(x, set())
            found[e.output] = reads - {target.get(e.output)}
        return found

    def _may_be_inline(self, x: Variable) -> bool:
        """Whether a formula may stand where it is read."""
        e = self.definitions.get(x)
        if e is None:
            return False
        once = self.uses[x] == 1
        return (once or self._is_short(e)) and not self._deserves_a_line(e)

    def _is_short(self, e: Equation) -> bool:
        """Whether a formula is as good as a name in all places, as w.T and x[3] are."""
        if e.function is operator.getitem:
            x, index = e.args
            return isinstance(x, Variable) and x in self._inputs and type(index) is int
        return e.function is np.transpose

    def _is_inline(self, e: Equation) -> bool:
        """Whether a formula has no line of its own."""
        y = e.output
        is_update = y in self._finals and self.uses[y] == 1
        if is_update and not self._reads_old[y] - {y}:
            return True
        too_late = y in self._outputs and self._reads_old[y]  # when it is given out
        return self._may_be_inline(y) and not too_late

    def _deserves_a_line(self, e: Equation) -> bool:
        """Whether it bears a name that the textbook has, or is no formula."""
        y = e.output
        if y.dtype is None:
            return not isinstance(e.function, type(operator.add))
        is_named = not re.fullmatch(r"t\d+|d|d[at]\d+", self.names[y])
        return is_named and not self._is_short(e)

    # --- Sums -------------------------------------------------------------------------

    def _find_sums(self) -> dict[Variable, list[Equation]]:
        """Find sums of many terms, which may be loops; each is several equations."""
        sums: dict[Variable, list[Equation]] = {}
        for e in self.program.equations:
            if not _may_be_sum(e):
                continue
            x = e.args[0]
            is_part = x in sums and x not in self._finals
            is_part = is_part and self._is_inline(self.definitions[x])
            sums[e.output] = parts = sums.pop(x) if is_part else []
            parts.append(e)
        return {y: parts for y, parts in sums.items() if y not in self._finals}

    def _terms(self, e: Equation) -> list[str]:
        """Write the terms of a sum that may be a loop; none if it is no such sum."""
        equations = self.sums.get(e.output, [e])
        first = equations[0].args[:1]
        xs = [*first, *(part.args[1] for part in equations)] if equations[1:] else []
        terms = [self.value(x, Strength.PRODUCT) for x in xs]
        if are_alike(terms):
            return terms
        for part in equations[:-1]:
            self.texts[part.output] = self._fitting(part)
        return []

    def _add_sums(self) -> None:
        """Write the sums at last; they would stand between lines that repeat."""
        for y, terms in self._waiting.items():
            equations = self.sums[y]
            name, comment = self._name_line(equations[-1]), self._comment(equations[-1])
            xs = (x for e in equations for x in e.inputs if x in self.texts)
            is_quiet = any(self._overflows(self.definitions[x]) for x in xs)
            line = ProgramLine(f"{name} = ", comment, is_quiet, tuple(terms))
            self.lines.append(line)
        self._waiting.clear()

    # --- Expressions ------------------------------------------------------------------

    def write(self, e: Equation) -> Written:
        """Write an equation's right side."""
        f, args = e.function, e.args
        self._dtypes = {x.dtype for x in e.inputs} - {None}
        if (written := write_operator(e, self.written)) is not None:
            return written
        if f is np.reciprocal:
            return infixed(Written("1"), "/", self.written(args[0]), Strength.PRODUCT)
        if f is np.square:
            return infixed(self.written(args[0]), "**", Written("2"), Strength.POWER)
        if f is astype:
            dtype = self.space.dtype(args[1])
            return Written(f"{self.value(args[0], Strength.ATOM)}.astype({dtype})")
        is_flip = f is np.transpose and len(args) == 1 and not e.params
        if is_flip or f in (np.reshape, operator.getitem):
            return Written(write_view(e, self.value(args[0], Strength.ATOM), self.any))
        params = [
            self.space.write_keyword(name, self.any(x)) for name, x in e.params.items()
        ]
        if f in METHODS and isinstance(args[0], Variable):
            rest = ", ".join([*map(self.any, args[1:]), *params])
            whole = self.value(args[0], Strength.ATOM)
            return Written(f"{whole}.{METHODS[f]}({rest})")
        name = self.space.function(f)
        return Written(f"{name}({', '.join([*map(self.any, args), *params])})")

    def value(self, x: Any, least: int = 0) -> str:
        return self.written(x).within(least)

    def written(self, x: Any) -> Written:
        if isinstance(x, CONTAINERS):
            return Written(self.any(x))
        if not isinstance(x, Variable):
            is_short = isinstance(x, np.floating) and x.dtype != np.longdouble
            if is_short and x == x and self._dtypes == {x.dtype}:
                x = float(x)  # arrays decide about the answer's dtype
            return write_number(self.space.value(x))
        if x.constant is not None:
            text = self.space.value(x.constant)
            if x.size <= 20:
                return Written(text)
            self.constants[self.names[x]] = text
        return self.texts.get(x) or Written(self.names[x])

    def any(self, x: Any) -> str:
        """Write an argument of any kind."""
        return self.space.write(x, self.value)

    # --- Lines ------------------------------------------------------------------------

    def _add_line(self, e: Equation, text: str) -> None:
        code = f"{self._name_line(e)} = {text}"
        self.lines.append(ProgramLine(code, self._comment(e), self._overflows(e)))

    def _name_line(self, e: Equation) -> str:
        """Number the lines that have no other name in their order."""
        y = e.output
        if y.label != self.names[y] and re.fullmatch(r"t\d+", self.names[y]):
            self.names[y] = f"t{next(self._line_numbers)}"
        return self.names[y]

    def _overflows(self, e: Equation) -> bool:
        """Whether a formula has an exponential that may overflow harmlessly."""
        inside = (self.definitions[x] for x in e.inputs if x in self.texts)
        return may_overflow(e) or any(map(self._overflows, inside))

    def _fitting(self, e: Equation) -> Written:
        """Write an equation; what makes it too long gets a line of its own, before."""
        written = self.write(e)
        start = len(f"{self.names[e.output]} = ")
        while start + len(written.text) > WIDTH and (
            long := self._to_split(e.output, start + len(written.text))
        ):
            self._split(long)
            for x in e.inputs:
                self._write_again(x)
            written = self.write(e)
        return written

    def _to_split(self, y: Variable, length: int) -> Variable | None:
        """Choose a part of y's formula so that neither it nor the rest is long."""
        found: dict[Variable, int] = {}
        left = [y]
        while left:
            e = self.definitions.get(left.pop())
            inside = [x for x in e.inputs if x in self.texts] if e is not None else []
            left += inside
            found |= {x: len(self.texts[x].text) for x in inside}
        found = {x: n for x, n in found.items() if n >= 20}  # else little is won
        return min(found, key=lambda x: max(found[x], length - found[x]), default=None)

    def _split(self, x: Variable) -> None:
        """Give a part of a formula a line."""
        e = self.definitions[x]
        self._add_line(e, self._fitting(e).text)
        del self.texts[x]

    def _write_again(self, y: Any) -> None:
        if isinstance(y, Variable) and y in self.texts:
            e = self.definitions[y]
            for x in e.inputs:
                self._write_again(x)
            self.texts[y] = self.write(e)

    def _update(self, target: Variable, new: Variable) -> str:
        name = self.names[target]
        e = self.definitions.get(new)
        if (
            e is not None
            and new in self.texts
            and e.function in (np.subtract, np.add, np.multiply)
            and e.args[0] is target
        ):
            symbol = INFIX[e.function][0]
            return f"{name} {symbol}= {self.value(e.args[1])}"
        return f"{name}[...] = {self.value(new)}"

    def _comment(self, e: Equation) -> str:
        shape = f"{e.output.shape}" if e.output.shape else ""
        op, _, x = e.origin.rule.rpartition(".")
        source = e.origin.op and identifier(e.origin.op)
        if e.origin.rule:
            source = f"{identifier(op)}'s rule for {identifier(x)}"
        return f"{shape}  {source}".strip()

    def _assemble(self) -> str:
        given = [*(self.names[x] for x in self.program.inputs), *self.constants]
        known = dict.fromkeys(given)
        computed = [name for name in self.names.values() if name not in known]
        written = with_loops(self.lines, given, computed, self.space.taken)
        margin = min(44, max(len(code) for code, _ in written) + 2) + 4
        lines = []
        for code, comment in written:
            line = f"    {code}"
            shape = comment.partition("  ")[0]
            ways = [f"{line:<{margin}}  # {comment}", f"{line}  # {comment}"]
            ways += [f"{line}  # {shape}"] * shape.startswith("(")
            fitting = [way for way in ways if comment and len(way) <= LONGEST]
            lines.append([*fitting, line][0])
        answers = lines[-1].partition("return ")[2]
        if len(lines[-1]) > LONGEST and "'" not in answers:  # no text is broken
            lines[-1:] = ["    return (", *_wrapped(answers, " " * 8), "    )"]
        inputs = {self.names[x]: x for x in self.program.inputs}
        column = max(map(len, inputs), default=0)
        kinds = {
            name: "number" if x.dtype is None else f"{x.dtype} {x.shape}"
            for name, x in inputs.items()
        }
        shapes = [f"    {name:<{column}}  {kind}" for name, kind in kinds.items()]
        parameters = ", ".join(self.names[x] for x in self.program.inputs)
        head = [f"def step({parameters}):"]
        if len(head[0]) > LONGEST:
            head = ["def step(", *_wrapped(parameters, " " * 4), "):"]
        doc = [
            '    """The program that was recorded. Its arguments:',
            "",
            *shapes,
            '    """',
        ]
        constants = "".join(f"{n} = {text}\n" for n, text in self.constants.items())
        return (
            f"import numpy as np\n{self.space.head()}\n{constants}\n"
            + "\n".join([*head, *doc, *lines])
            + "\n"
        )


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(
        text,
        LONGEST,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _may_be_sum(e: Equation) -> bool:
    """Whether an equation adds to a sum, or to 0, as the function `sum` does.

    Only the sign of a zero may differ: `sum` begins with a 0 that is positive.
    """
    if e.function is not np.add or e.params or len(e.args) != 2:
        return False
    x, y = e.args
    is_zero = type(x) is int and x == 0
    if not isinstance(y, Variable) or not (is_zero or isinstance(x, Variable)):
        return False
    dtype = e.output.dtype
    is_float = dtype is not None and dtype.kind == "f"
    return is_float and all(same_dtype(dtype, z.dtype) for z in e.inputs)
