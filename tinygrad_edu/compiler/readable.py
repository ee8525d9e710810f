"""The readable style: one formula a line, in the textbook's names."""

from __future__ import annotations

import operator
import re
from itertools import count
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
from tinygrad_edu.compiler.program import Equation, Program, Variable
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
WIDTH = 88
MOST = WIDTH - 4  # of a line within a function


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
        self.uses = self._count_uses()
        self._dtypes: set[Any] = set()  # of what the equation being written reads
        self.lines: list[tuple[str, str]] = []  # code, comment
        self.source = self._write_all()

    def _count_uses(self) -> dict[Variable, int]:
        uses: dict[Variable, int] = {}
        for e in self.program.equations:
            for x in e.inputs:
                uses[x] = uses.get(x, 0) + 1
        for x in self.program.results():
            uses[x] = uses.get(x, 0) + 1
        return uses

    def _write_all(self) -> str:
        section = ""
        trains = any(e.origin.rule for e in self.program.equations)
        finals = set(self.program.updates.values())
        reads_old = self._reads_updated()
        outputs = {x for x in self.program.outputs if isinstance(x, Variable)}
        for e in self.program.equations:
            y = e.output
            written = self._fitting(e)
            if e.is_check:
                self.lines.append((written.text, ""))
                continue
            is_update = (
                y in finals and self.uses.get(y) == 1 and not (reads_old[y] - {y})
            )
            too_late = y in outputs and reads_old[y]  # when it is given out
            once = self.uses.get(y) == 1 or e.function is np.transpose
            inline = once and not self._deserves_a_line(e) and not too_late
            if is_update or inline:
                self.texts[y] = written
                continue
            now = "update" if self.program.updates else "rest"
            if e.origin.rule:
                now = "backward"
            elif section in ("", "forward"):
                now = "forward"
            if now != section and trains:
                self.lines.append((f"# {now}", ""))
                section = now
            self._add_line(e, written.text)
        if self.program.updates and section != "update":
            self.lines.append(("# update", ""))
        for target, new in self.program.updates.items():
            self.lines.append((self._update(target, new), ""))
        answers = [self.value(x) for x in self.program.outputs]
        given = {self.names[x] for x in self.program.inputs}
        answers = [
            f"{o}.copy()" if o in given and o not in self._numbers() else o
            for o in answers
        ]
        self.lines.append(
            (f"return {', '.join(answers)}" if answers else "return None", "")
        )
        return self._assemble()

    def _numbers(self) -> set[str]:
        return {self.names[x] for x in self.program.inputs if x.dtype is None}

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
                elif self.uses.get(x) == 1 and not self._has_line(x):
                    reads |= found.get(x, set())
            found[e.output] = reads - {target.get(e.output)}
        return found

    def _has_line(self, x: Variable) -> bool:
        e = self.definitions.get(x)
        return e is not None and self._deserves_a_line(e)

    def _deserves_a_line(self, e: Equation) -> bool:
        """Whether it bears a name that the textbook has, or is no formula."""
        y = e.output
        if y.dtype is None:
            return not isinstance(e.function, type(operator.add))
        is_named = not re.fullmatch(r"t\d+|d|d[at]\d+", self.names[y])
        return is_named and e.function is not np.transpose

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
            decides = self._dtypes - {getattr(x, "dtype", None)}  # the answer's dtype
            if isinstance(x, np.floating) and x.dtype != np.longdouble and not decides:
                x = float(x) if _same_as_number(x) else x
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
        y = e.output
        if y.label != self.names[y] and re.fullmatch(r"t\d+", self.names[y]):
            self.names[y] = f"t{next(self._line_numbers)}"  # in the order of the lines
        indent = ""
        if self._overflows(e):
            self.lines.append(('with np.errstate(over="ignore"):', ""))
            indent = "    "
        self.lines.append((f"{indent}{self.names[y]} = {text}", self._comment(e)))

    def _overflows(self, e: Equation) -> bool:
        """Whether a formula has an exponential that may overflow harmlessly."""
        inside = (self.definitions[x] for x in e.inputs if x in self.texts)
        return may_overflow(e) or any(map(self._overflows, inside))

    def _fitting(self, e: Equation) -> Written:
        """Write an equation; what makes it too long gets a line of its own, before."""
        written = self.write(e)
        start = len(f"{self.names[e.output]} = ")
        while start + len(written.text) > MOST and (
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
        told = e.origin.op and identifier(e.origin.op)
        if e.origin.rule:
            told = f"{identifier(op)}'s rule for {identifier(x)}"
        return f"{shape}  {told}".strip()

    def _assemble(self) -> str:
        margin = min(44, max(len(code) for code, _ in self.lines) + 2) + 4
        lines = []
        for code, comment in self.lines:
            line = f"    {code}"
            shape = comment.partition("  ")[0]
            ways = [f"{line:<{margin}}  # {comment}", f"{line}  # {comment}"]
            ways += [f"{line}  # {shape}"] * shape.startswith("(")
            fitting = [way for way in ways if comment and len(way) <= WIDTH]
            lines.append([*fitting, line][0])
        inputs = {self.names[x]: x for x in self.program.inputs}
        column = max(map(len, inputs), default=0)
        kinds = {
            name: "number" if x.dtype is None else f"{x.dtype} {x.shape}"
            for name, x in inputs.items()
        }
        shapes = [f"    {name:<{column}}  {kind}" for name, kind in kinds.items()]
        parameters = ", ".join(self.names[x] for x in self.program.inputs)
        head = [f"def step({parameters}):"]
        if len(head[0]) > WIDTH:
            head = ["def step(", *_wrapped(parameters), "):"]
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


def _wrapped(parameters: str) -> list[str]:
    lines, line = [], "   "
    for word in parameters.split(", "):
        if len(line) + len(word) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return [*lines, line]


def _same_as_number(x: Any) -> bool:
    """Whether a NumPy scalar may be written as a Python number."""
    return bool(x == x)
