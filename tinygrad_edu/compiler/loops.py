"""The program as loops, for Numba to compile: no call of NumPy's is left in it.

For networks so small that calling NumPy takes longer than computing. Equations of one
shape that follow on each other share a loop, and what is only used within one needs no
array.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.compiler.expressions import (
    INFIX,
    PREFIX,
    write_view,
)
from tinygrad_edu.compiler.functions import astype
from tinygrad_edu.compiler.namespace import Namespace, numpy_name
from tinygrad_edu.compiler.naming import name_variables
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import is_view, roots, schedule

__all__ = ["Loops"]

LARGE = 1 << 15  # products: from here on a matrix product is left to BLAS

# Where a reduction starts, and what each element does to it.
REDUCTIONS = {
    np.sum: ("0", "{y} += {0}"),
    np.vdot: ("0", "{y} += {0} * {1}"),
    np.prod: ("1", "{y} *= {0}"),
    np.max: ("-np.inf", "{y} = np.maximum({y}, {0})"),
    np.min: ("np.inf", "{y} = np.minimum({y}, {0})"),
}

NUMBERS = {operator.neg: "-{}", operator.pos: "{}", operator.abs: "np.absolute({})"}


def _axes(e: Equation) -> tuple[int, ...]:
    """Which axes a reduction goes over, counted from the front."""
    ndim = e.args[0].ndim
    axis = e.params.get("axis")
    if axis is None:
        return tuple(range(ndim))
    return normalize_axis_tuple(axis, ndim)


def _is_numpys_ufunc(function: Any) -> bool:
    return isinstance(function, np.ufunc) and numpy_name(function) is not None


def _place(e: Equation) -> str:
    return f"{e.origin.file}:{e.origin.line}"


class Loops:
    """Writes a program down as loops.

    Attributes
    ----------
    source : str
    """

    def __init__(self, program: Program) -> None:
        self.program, self.in_place = schedule(program)
        self.space = Namespace(self.program)
        self.names = name_variables(self.program, self.space.taken)
        self.definitions = self.program.definitions()
        self.root = roots(self.program)
        self.constants: dict[str, str] = {}  # by name, its value
        self.lines: list[str] = []
        self.workspace: dict[Any, int] = {}  # by dtype, how many elements
        self.outputs = {x for x in self.program.outputs if isinstance(x, Variable)}
        self.groups = self._group()
        self._written: set[Variable] = set()
        for group in self.groups:
            self._write_group(group)
        self._finish()
        self.source = self._assemble()

    # --- Which equations share a loop -------------------------------------------------

    def _group(self) -> list[list[Equation]]:
        groups: list[list[Equation]] = []
        for e in self.program.equations:
            if is_view(e):
                continue
            if groups and self._may_join(e, groups[-1]):
                groups[-1].append(e)
            else:
                groups.append([e])
        return groups

    def _may_join(self, e: Equation, group: list[Equation]) -> bool:
        if e.output.dtype is None or any(o.output.dtype is None for o in group):
            return e.output.dtype is None and group[-1].output.dtype is None
        if e.output.shape != group[0].output.shape or not self._is_loop(e):
            return False
        if not all(map(self._is_loop, group)):
            return False
        made = {o.output for o in group}
        changed = {self.in_place[o.output] for o in group if o.output in self.in_place}
        elsewhere = {x for o in group for x in self._read_elsewhere(o)}
        target = self.in_place.get(e.output)
        return not (self._read_elsewhere(e) & (made | changed) or target in elsewhere)

    def _is_loop(self, e: Equation) -> bool:
        if e.function is np.dot:
            return all(1 <= x.ndim <= 2 for x in e.args) and not self._is_large(e)
        return (
            (_is_numpys_ufunc(e.function) and not e.params)
            or e.function in (np.where, astype)
            or (
                e.function in REDUCTIONS
                and e.args[0].ndim > 0
                and e.params.keys() <= {"axis", "keepdims"}
            )
        )

    def _is_large(self, e: Equation) -> bool:
        products: int = e.output.size * e.args[0].shape[-1]
        return products > LARGE

    def _read_elsewhere(self, e: Equation) -> set[Variable]:
        """The variables of which an equation reads other elements than it writes."""
        found = set()
        for x in e.inputs:
            root = self.root.get(x, x)
            same = root is x and x.shape == e.output.shape
            if not same or e.function is np.dot or e.function in REDUCTIONS:
                found.add(root)
        return found

    # --- One group --------------------------------------------------------------------

    def _write_group(self, group: list[Equation]) -> None:
        first = group[0]
        if first.output.dtype is None:
            for e in group:
                self.lines.append(f"{self.names[e.output]} = {self._number(e)}")
            return
        if not self._is_loop(first):
            self._write_large(first)
            return
        shape = first.output.shape
        made = {e.output for e in group}
        last = {e.output: e for e in group}
        index = [f"i{k}" for k in range(len(shape))]
        inner: list[str] = []
        for e in group:
            self._write_element(e, index, made, inner)
        for y in last:
            if self._is_needed_outside(y, made):
                inner.append(f"{self._place(y, index)} = {self._scalar(y)}")
        depth = 0
        for i, n in zip(index, shape):
            self.lines.append("    " * depth + f"for {i} in range({n}):")
            depth += 1
        self.lines += ["    " * depth + line for line in inner]
        self._written |= made

    def _is_needed_outside(self, y: Variable, made: set[Variable]) -> bool:
        if y.shape == () and y not in self.in_place:
            return False  # it is a number, and stays one
        if y in {self.root.get(x, x) for x in self.program.results()}:
            return True
        return any(
            y in (self.root.get(x, x) for x in e.inputs)
            for e in self.program.equations
            if e.output not in made and not is_view(e)
        )

    def _write_element(
        self, e: Equation, index: list[str], made: set[Variable], lines: list[str]
    ) -> None:
        y = self._scalar(e.output)
        dtype = self._type(e.output.dtype)
        if e.function is np.dot:
            self._write_dot(e, index, lines)
        elif e.function in REDUCTIONS:
            self._write_reduction(e, index, lines)
        else:
            operands = e.args[:1] if e.function is astype else e.args
            texts = [self._element(x, e, index, made) for x in operands]
            lines.append(f"{y} = {dtype}({self._formula(e, texts)})")

    def _write_dot(self, e: Equation, index: list[str], lines: list[str]) -> None:
        """Sum over the products of the last axis of a with the first of b."""
        y, (a, b) = self._scalar(e.output), e.args
        lines.append(f"{y} = {self._type(e.output.dtype)}(0)")
        left = self._at(a, [*index[: a.ndim - 1], "k"])
        right = self._at(b, ["k", *index[a.ndim - 1 :]])
        lines.append(f"for k in range({a.shape[-1]}):")
        lines.append(f"    {y} += {left} * {right}")

    def _write_reduction(self, e: Equation, index: list[str], lines: list[str]) -> None:
        """Go over the axes that are summed, in loops of their own."""
        start, change = REDUCTIONS[e.function]
        y, x = self._scalar(e.output), e.args[0]
        reduced = set(_axes(e))
        outer = iter(index)
        place = []
        for i in range(x.ndim):
            kept = next(outer) if i not in reduced or e.params.get("keepdims") else ""
            place.append(f"k{i}" if i in reduced else kept)
        lines.append(f"{y} = {self._type(e.output.dtype)}({start})")
        depth = ""
        for i in sorted(reduced):
            lines.append(f"{depth}for k{i} in range({x.shape[i]}):")
            depth += "    "
        elements = [self._at(z, place) for z in e.args if isinstance(z, Variable)]
        lines.append(depth + change.format(*elements, y=y))

    def _write_large(self, e: Equation) -> None:
        """Call NumPy where it takes its time anyway."""
        if e.function is not np.dot:
            raise self._refusal(e)
        a, b = (self._array(x) for x in e.args)
        self.lines.append(f"np.dot({a}, {b}, {self._array(e.output)})")
        self._written.add(e.output)

    def _refusal(self, e: Equation) -> ValueError:
        name = self.space.function(e.function)
        told = f" with {', '.join(e.params)}" * bool(e.params)
        return ValueError(
            f"compile: the numba backend has no loops for {name}(){told}, called at "
            f"{_place(e)}; use backend='numpy'"
        )

    # --- Elements and numbers ---------------------------------------------------------

    def _formula(self, e: Equation, texts: list[str]) -> str:
        f = e.function
        if f in INFIX:
            return f"{texts[0]} {INFIX[f][0]} {texts[1]}"
        if f is np.invert:
            return f"not {texts[0]}" if e.args[0].dtype == bool else f"~{texts[0]}"
        if f in PREFIX:
            return f"-{texts[0]}"
        if f is np.reciprocal:
            return f"{self._known(1, e)} / {texts[0]}"
        if f is np.square:
            return f"{texts[0]} * {texts[0]}"
        if f is np.where:
            return f"{texts[1]} if {texts[0]} else {texts[2]}"
        if f in (astype, np.positive):
            return texts[0]
        return f"{self.space.function(f)}({', '.join(texts)})"

    def _element(
        self, x: Any, e: Equation, index: list[str], made: set[Variable]
    ) -> str:
        """Write the element of an operand that goes into the element at an index."""
        if not isinstance(x, Variable):
            return self._known(x, e)
        if x.dtype is None:
            others = [
                z.dtype
                for z in e.args
                if isinstance(z, Variable) and z.dtype is not None
            ]
            dtype = np.result_type(others[0], 0.0) if others else np.dtype(float)
            return f"{self._type(dtype)}({self.names[x]})"
        if x in made:
            return self._scalar(x)
        places = index[len(index) - x.ndim :]
        return self._at(x, ["0" if n == 1 else i for i, n in zip(places, x.shape)])

    def _at(self, x: Variable, index: list[str]) -> str:
        """Write an element of an array, or of a view of one."""
        e = self.definitions.get(x)
        if (
            e is not None
            and is_view(e)
            and e.function is np.transpose
            and len(e.args) == 1
        ):
            return self._at(e.args[0], index[::-1])
        if x.shape == () and x.constant is None:
            return self._scalar(x) if e is None or not is_view(e) else self._array(x)
        return f"{self._array(x)}[{', '.join(index)}]"

    def _place(self, y: Variable, index: list[str]) -> str:
        if not index:
            return f"{self._array(y)}[()]"
        return f"{self._array(y)}[{', '.join(index)}]"

    def _scalar(self, x: Variable) -> str:
        if x in self.program.inputs:
            return f"{self.names[x]}[()]"
        return self.names[x] if x.shape == () else f"{self.names[x]}_"

    def _array(self, x: Variable) -> str:
        """Write an array, or a view of one."""
        if x.constant is not None:
            return self._constant(self.space.value(x.constant))
        if x in self.in_place:
            return self.names[self.in_place[x]]
        e = self.definitions.get(x)
        if e is not None and is_view(e):
            inner = self._array(e.args[0])
            if e.function is np.reshape:  # which Numba has for contiguous arrays only
                inner = f"np.ascontiguousarray({inner})"
            return write_view(e, inner, self.space.write)
        return self.names[x]

    def _number(self, e: Equation) -> str:
        texts = [
            self.names[x] if isinstance(x, Variable) else f"({self.space.value(x)})"
            for x in e.args
        ]
        if e.function in INFIX:
            return f"{texts[0]} {INFIX[e.function][0]} {texts[1]}"
        if e.function in NUMBERS:
            return NUMBERS[e.function].format(texts[0])
        raise self._refusal(e)

    def _known(self, x: Any, e: Equation) -> str:
        others = [
            z.dtype for z in e.args if isinstance(z, Variable) and z.dtype is not None
        ]
        if isinstance(x, bool) or not others:
            return self.space.value(x)
        value = np.result_type(others[-1], x).type(x)
        return self._constant(self.space.value(value))

    def _type(self, dtype: Any) -> str:
        name = dtype.name if dtype.kind != "b" else "bool_"
        return self._constant(self.space.dtype(dtype), name)

    def _constant(self, value: str, name: str = "") -> str:
        for known, text in self.constants.items():
            if text == value:
                return known
        name = name or f"c{len(self.constants) + 1}"
        self.constants[name] = value
        return name

    # --- The whole --------------------------------------------------------------------

    def _finish(self) -> None:
        for target, new in self.program.updates.items():
            if new not in self.in_place:
                self.lines.append(f"{self.names[target]}[...] = {self._array(new)}")

    def _assemble(self) -> str:
        outputs = []
        for x in self.program.outputs:
            if not isinstance(x, Variable):
                outputs.append(self.space.value(x))
            elif x.dtype is None:
                outputs.append(self.names[x])
            elif x.shape == ():
                outputs.append(self._at(x, []))
            else:
                given = x in self.program.inputs or x in self.root or x in self.in_place
                outputs.append(self._array(x) + ".copy()" * given)
        arrays = [
            x
            for group in self.groups
            for e in group
            if (x := e.output).ndim
            and x not in self.in_place
            and self._is_needed_outside(x, {o.output for o in group})
        ]
        allocations = []
        for x in arrays:
            allocations.append(
                f"{self.names[x]} = np.empty({x.shape}, {self._type(x.dtype)})"
            )
        returned = f"return {', '.join(outputs)}" if outputs else "return None"
        body = "\n    ".join([*allocations, *self.lines, returned])
        constants = "\n".join(
            f"{name} = {value}" for name, value in self.constants.items()
        )
        parameters = ", ".join(self.names[x] for x in self.program.inputs)
        head = self.space.head()
        return (
            f"import numpy as np\nfrom numba import njit\n{head}\n{constants}\n\n\n"
            f'@njit(error_model="numpy")\ndef step({parameters}):\n    {body}\n'
        )

    def epoch(self, counts: dict[str, str]) -> str:
        """Write the loop over the mini-batches of an epoch, as `Fast.epoch`."""
        names = [self.names[x] for x in self.program.inputs]
        parameters = ", ".join(names)
        x, y = names[:2]
        (size, *_) = self.program.inputs[0].shape
        dtype = self._type(self.program.outputs[0].dtype)
        counted = [
            f"        {number.format(*names)} = {text.format(*names)}\n"
            for number, text in counts.items()
        ]
        return (
            '\n\n@njit(error_model="numpy")\n'
            f"def epoch(all_{x}, all_{y}, order, {parameters}):\n"
            f"    answers = np.empty(len(order) // {size}, {dtype})\n"
            "    for batch in range(len(answers)):\n"
            f"        for row in range({size}):\n"
            f"            {x}[row] = all_{x}[order[batch * {size} + row]]\n"
            f"            {y}[row] = all_{y}[order[batch * {size} + row]]\n"
            f"        answers[batch] = step({parameters})\n"
            + "".join(counted)
            + "    return answers\n"
        )
