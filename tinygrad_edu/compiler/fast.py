"""The fast style: every array has its memory before the program starts.

One call of NumPy a line, which writes into a buffer; buffers are used again once what
they held has been read for the last time; parameters are updated where they are.
"""

from __future__ import annotations

import heapq
import operator
import re
from dataclasses import replace
from functools import cache
from timeit import repeat
from typing import Any

import numpy as np

from tinygrad_edu.compiler.expressions import (
    COMPARISONS,
    INFIX,
    PREFIX,
    function_name,
    has_operator,
    helper_source,
    is_helper,
    literal,
    write_index,
)
from tinygrad_edu.compiler.naming import name_variables
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.tracer import astype, replaced
from tinygrad_edu.op import OPS

__all__ = ["Fast", "schedule"]

VIEWS = {np.transpose, np.reshape, np.broadcast_to}
REDUCTIONS = {
    np.sum: np.add,
    np.prod: np.multiply,
    np.max: np.maximum,
    np.min: np.minimum,
}


def SPREAD(x: Any, shape: Any) -> Any:  # noqa: N802
    """A copy of x, broadcast to a shape."""
    return np.broadcast_to(x, shape).copy()


FRESH = {
    *REDUCTIONS,
    SPREAD,
    astype,
    np.all,
    np.any,
    np.argmax,
    np.argmin,
    np.argsort,
    np.concatenate,
    np.cumprod,
    np.cumsum,
    np.dot,
    np.linalg.inv,
    np.linalg.solve,
    np.mean,
    np.outer,
    np.stack,
    np.std,
    np.tensordot,
    np.var,
    np.vdot,
    np.where,
    replaced,
}


def is_view(e: Equation) -> bool:
    """Whether an equation only looks at memory in another way."""
    if e.function is operator.getitem:
        index = e.args[1] if isinstance(e.args[1], tuple) else (e.args[1],)
        plain = all(isinstance(i, int | slice | None) or i is Ellipsis for i in index)
        return plain and isinstance(e.args[0], Variable) and e.args[0].dtype is not None
    return e.function in VIEWS and isinstance(e.args[0], Variable)


def protect(program: Program) -> Program:
    """Copy what is given out, where it looks at memory that will be written to."""
    root = roots(program)
    copies: dict[Variable, Variable] = {}
    for x in program.results():
        if root.get(x, x) in program.updates:
            copies[x] = Variable(x.shape, x.dtype)
    made = [Equation(copy, np.positive, (x,)) for x, copy in copies.items()]
    return replace(
        program,
        equations=(*program.equations, *made),
        outputs=tuple(copies.get(x, x) for x in program.outputs),
        updates={x: copies.get(y, y) for x, y in program.updates.items()},
    )


def roots(program: Program) -> dict[Variable, Variable]:
    """Return for each variable that may be a view the one whose memory it looks at."""
    found: dict[Variable, Variable] = {}
    for e in program.equations:
        arrays = [x for x in e.inputs if x.dtype is not None or x in found]
        if arrays and not _is_fresh(e):
            found[e.output] = found.get(arrays[0], arrays[0])
    return found


def _is_fresh(e: Equation) -> bool:
    """Whether an output surely has memory of its own: many functions give views."""
    of_ufunc = isinstance(getattr(e.function, "__self__", None), np.ufunc)
    return isinstance(e.function, np.ufunc) or of_ufunc or e.function in FRESH


def schedule(program: Program) -> tuple[Program, dict[Variable, Variable]]:
    """Order the equations so that parameters can be updated where they are.

    Returns the program, and for each variable that may be written over an input that
    input: it is computed as soon as nobody reads the old value any more.
    """
    program = protect(program)
    definitions = program.definitions()
    root = roots(program)
    readers: dict[Variable, list[int]] = {}
    for i, e in enumerate(program.equations):
        for x in e.inputs:
            readers.setdefault(root.get(x, x), []).append(i)
    place = {e.output: i for i, e in enumerate(program.equations)}
    before: dict[int, set[int]] = {
        i: {place[x] for x in e.inputs if x in place}
        for i, e in enumerate(program.equations)
    }
    in_place: dict[Variable, Variable] = {}
    for target, new in program.updates.items():
        definition = definitions.get(new)
        taken = new in in_place or new in program.outputs
        if definition is None or taken or not _elementwise(definition):
            continue
        mine = place[new]
        others = {i for i in readers.get(target, []) if i != mine}
        if any(mine in _behind(i, before) for i in others):
            continue  # something reads the new value and the old one
        in_place[new] = target
        before[mine] |= others
    order = _topological(before, {place[x] for x in in_place})
    equations = tuple(program.equations[i] for i in order)
    return replace(program, equations=equations), in_place


def _elementwise(e: Equation) -> bool:
    return isinstance(e.function, np.ufunc) and e.function.signature is None


def _behind(i: int, before: dict[int, set[int]]) -> set[int]:
    found: set[int] = set()
    stack = [i]
    while stack:
        new = before[stack.pop()] - found
        found |= new
        stack += new
    return found


def _topological(before: dict[int, set[int]], early: set[int]) -> list[int]:
    """Keep the order where possible; put what is early as early as it can be."""
    after: dict[int, list[int]] = {}
    missing = {i: len(b) for i, b in before.items()}
    for i, b in before.items():
        for j in b:
            after.setdefault(j, []).append(i)
    ready = [(i not in early, i) for i, n in missing.items() if n == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        _, i = heapq.heappop(ready)
        order.append(i)
        for j in after.get(i, ()):
            missing[j] -= 1
            if missing[j] == 0:
                heapq.heappush(ready, (j not in early, j))
    return order


class Fast:
    """Writes a program down in the fast style.

    Attributes
    ----------
    source : str
    buffers : list of int
        The sizes of the buffers, in bytes.
    """

    def __init__(self, program: Program, name: str = "step") -> None:
        self.program, self.in_place = schedule(program)
        self.names = name_variables(program)
        self.constants: dict[Any, str] = {}
        self.helpers: dict[str, str] = {}
        self.setup: list[str] = []
        self.body: list[str] = []
        self.buffers: list[int] = []
        self.expressions: dict[Variable, tuple[str, int]] = {}  # of views and numbers
        self._buffer_of: dict[Variable, int] = {}
        self._first: list[Variable] = []  # whose memory each buffer was made for
        self._static: set[Variable] = set()  # the same memory in every call
        self._free: dict[tuple[Any, int], list[int]] = {}
        self._root = roots(self.program)
        self._results = set(self.program.results())
        self._fresh = {x for x in self.program.outputs if isinstance(x, Variable)}
        self._last = self._last_uses()
        self._used_names = {np.empty: "empty"}
        for i, e in enumerate(self.program.equations):
            self._write(i, e)
        self.source = self._assemble(name)

    def _last_uses(self) -> dict[Variable, int]:
        last: dict[Variable, int] = {}
        for i, e in enumerate(self.program.equations):
            for x in e.inputs:
                last[self._root.get(x, x)] = i
        for x in self._results:
            last[self._root.get(x, x)] = len(self.program.equations)
        return last

    # --- One equation -----------------------------------------------------------------

    def _write(self, i: int, e: Equation) -> None:
        y = e.output
        if y.dtype is None or (
            y.shape == ()
            and (has_operator(e) or e.function in PREFIX)
            and all(not isinstance(x, Variable) or x.shape == () for x in e.args)
        ):
            self._write_number(e)
        elif is_view(e):
            self._write_view(e)
        elif y.shape == () or y in self._fresh or not self._has_out(e):
            self._assign(e, self._plain_call(e))
        else:
            self._write_into(i, e)
        for x in dict.fromkeys(self._root.get(x, x) for x in e.inputs):
            if self._last.get(x) == i:
                self._release(x)

    def _write_number(self, e: Equation) -> None:
        """Numbers are Python expressions, and named if they are used twice."""
        text = self._infix(e) or self._plain_call(e)
        uses = sum(e.output in other.inputs for other in self.program.equations)
        if uses <= 1 and (e.output not in self._results or e.output.dtype is None):
            self.expressions[e.output] = text, _precedence(e)
        else:
            self._assign(e, text)

    def _infix(self, e: Equation) -> str | None:
        if has_operator(e):
            symbol, precedence = INFIX[e.function]
            chained = e.function in COMPARISONS or symbol == "**"
            a = self._value(e.args[0], precedence + chained)
            b = self._value(e.args[1], precedence + 1)
            return f"{a} {symbol} {b}"
        if e.function in PREFIX:
            symbol, precedence = PREFIX[e.function]
            return f"{symbol}{self._value(e.args[0], precedence)}"
        return None

    def _write_view(self, e: Equation) -> None:
        x = e.args[0]
        text = self._view(e)
        name = self.names[e.output]
        if x.constant is not None or x in self._static:
            self.setup.append(f"{name} = {text}")
            self._static.add(e.output)
        elif (
            e.function is np.transpose and len(e.args) == 1 and x in self.program.inputs
        ):
            self.expressions[e.output] = text, 9
        else:
            self.body.append(f"{name} = {text}")

    def _view(self, e: Equation) -> str:
        x = self._value(e.args[0], 9)
        if e.function is np.transpose:
            if len(e.args) == 1 and not e.params:
                return f"{x}.T"
            (axes,) = (*e.args[1:], *e.params.values())
            return f"{x}.transpose({self._any(axes)})"
        if e.function is np.reshape:
            return f"{x}.reshape({self._any(e.output.shape)})"
        if e.function is np.broadcast_to:
            return f"{self._function(np.broadcast_to)}({x}, {e.output.shape})"
        return f"{x}[{write_index(e.args[1], self._any)}]"

    def _has_out(self, e: Equation) -> bool:
        if e.function is np.dot and not has_operator(e):
            return all(isinstance(x, Variable) and x.ndim for x in e.args)
        return (
            _elementwise(e)
            or e.function in (np.dot, np.matmul, astype, SPREAD)
            or e.function in REDUCTIONS
        ) and not set(e.params) - {"axis", "keepdims"}

    def _write_into(self, i: int, e: Equation) -> None:
        y = e.output
        target = self.in_place.get(y)
        if target is not None:
            out = self.names[target]
            self.expressions[y] = out, 9
        else:
            self._take_buffer(i, e)
            out = self.names[y]
        if e.function is np.dot:
            a, b = (self._value(x, 9) for x in e.args)
            rows = rows_at_once(*e.args)
            if rows and small_products_are_faster():
                blocks = self._blocks(y.shape[0], rows)
                self.body.append(f"for rows in {blocks}:")
                self.body.append(f"    {a}[rows].dot({b}, {out}[rows])")
            else:
                self.body.append(f"{a}.dot({b}, {out})")
        elif e.function in REDUCTIONS:
            name = self._function(REDUCTIONS[e.function])
            axis = e.params.get("axis")
            keep = ", True" if e.params.get("keepdims") else ""
            x = self._value(e.args[0], 0)
            self.body.append(
                f"{name}.reduce({x}, {self._any(axis)}, None, {out}{keep})"
            )
        elif e.function in (astype, SPREAD):
            self.body.append(f"{out}[...] = {self._value(e.args[0], 0)}")
        else:
            args = [self._operand(x, e) for x in e.args]
            # These two mean to take more than two operands one day.
            word = "out=" * (e.function in (np.maximum, np.minimum))
            text = ", ".join([*args, word + out])
            self.body.append(f"{self._function(e.function)}({text})")

    def _blocks(self, n: int, rows: int) -> str:
        name = f"blocks_{n}_{rows}"
        line = f"{name} = [slice(i, i + {rows}) for i in range(0, {n}, {rows})]"
        if line not in self.setup:
            self.setup.append(line)
        return name

    def _assign(self, e: Equation, text: str) -> None:
        self.body.append(f"{self.names[e.output]} = {text}")

    def _plain_call(self, e: Equation) -> str:
        if e.function is np.dot and isinstance(e.args[0], Variable) and e.args[0].ndim:
            return f"{self._value(e.args[0], 9)}.dot({self._any(e.args[1])})"
        if e.function is operator.getitem:
            return f"{self._value(e.args[0], 9)}[{write_index(e.args[1], self._any)}]"
        if e.function is astype:
            return f"{self._value(e.args[0], 9)}.astype({self._any(e.args[1])})"
        if is_helper(e.function):
            helper_source(e.function, self.helpers)
        args = [
            self._operand(x, e) if _elementwise(e) else self._any(x) for x in e.args
        ]
        params = [f"{name}={self._any(x)}" for name, x in e.params.items()]
        return f"{self._function(e.function)}({', '.join([*args, *params])})"

    # --- Arguments --------------------------------------------------------------------

    def _any(self, x: Any) -> str:
        """Write an argument of any kind."""
        if isinstance(x, Variable):
            return self._value(x, 0)
        if isinstance(x, list):
            return f"[{', '.join(map(self._any, x))}]"
        if isinstance(x, tuple):
            return f"({', '.join(map(self._any, x))}{',' * (len(x) == 1)})"
        if isinstance(x, slice):
            return f"slice({', '.join(map(self._any, (x.start, x.stop, x.step)))})"
        return literal(x)

    def _value(self, x: Any, precedence: int) -> str:
        if not isinstance(x, Variable):
            text = literal(x)
            return f"({text})" if text.startswith("-") and precedence > 6 else text
        if x.constant is not None:
            return self._constant(x.constant)
        if x in self.expressions:
            text, own = self.expressions[x]
            return f"({text})" if own < precedence else text
        return self.names[x]

    def _operand(self, x: Any, e: Equation) -> str:
        """Write an operand: a number as an array, with which NumPy is faster."""
        is_known = not isinstance(x, Variable)
        if not is_known and x.dtype is not None:
            return self._value(x, 0)
        if isinstance(x, list | tuple):
            return self._value(x, 0)
        others = [
            z.dtype for z in e.args if isinstance(z, Variable) and z.dtype is not None
        ]
        if not others or isinstance(x, bool):
            return self._value(x, 0)
        dtype = np.result_type(others[0], *([0.0] if not is_known else [x]))
        if is_known:
            return self._constant(np.array(x, dtype))
        key = (x, dtype)
        if key not in self.constants:
            name = self.constants[key] = f"k{len(self.constants) + 1}"
            self.setup.append(f"{name} = empty((), {literal(dtype)})")
            self.body.append(f"{name}[()] = {self._value(x, 0)}")
        return self.constants[key]

    def _constant(self, array: Any) -> str:
        key = (array.dtype, array.shape, array.tobytes())
        if key not in self.constants:
            name = self.constants[key] = f"c{len(self.constants) + 1}"
            value = literal(array)
            if array.shape == ():
                value = f"np.array({literal(array.item())}, {literal(array.dtype)})"
            self.setup.append(f"{name} = {value}")
        return self.constants[key]

    def _function(self, function: Any) -> str:
        """Write a function's name; NumPy's are imported, since that is faster."""
        name = function_name(function)
        if not name.startswith("np.") or name.count(".") > 1:
            return name
        short = name.removeprefix("np.")
        if short in self.names.values() or short in dir(__builtins__):
            return name
        self._used_names[function] = short
        return short

    # --- Memory -----------------------------------------------------------------------

    def _take_buffer(self, i: int, e: Equation) -> None:
        """Give an output memory: that of an operand no longer needed, or other."""
        y = e.output
        buffer = None
        if _elementwise(e):
            for x in e.inputs:
                is_last = self._last.get(x) == i and x in self._buffer_of
                if is_last and x.shape == y.shape and x.dtype == y.dtype:
                    buffer = self._buffer_of.pop(x)
                    break
        key = (y.dtype, y.size)
        if buffer is None and self._free.get(key):
            buffer = self._free[key].pop()
        name = self.names[y]
        if buffer is None:
            buffer = len(self.buffers)
            self.buffers.append(y.nbytes)
            self._first.append(y)
            self.setup.append(f"{name} = empty({y.shape}, {literal(y.dtype)})")
        else:
            first = self._first[buffer]
            if first.shape == y.shape and re.fullmatch(r"t\d+", name):
                self.names[y] = self.names[first]
            else:
                view = f".reshape({y.shape})" if first.shape != y.shape else ""
                self.setup.append(f"{name} = {self.names[first]}{view}")
        self._buffer_of[y] = buffer
        self._static.add(y)

    def _release(self, x: Variable) -> None:
        buffer = self._buffer_of.pop(x, None)
        if buffer is not None and x not in self._results:
            self._free.setdefault((x.dtype, x.size), []).append(buffer)

    # --- The whole --------------------------------------------------------------------

    def _assemble(self, name: str) -> str:
        body = self.body
        for target, new in self.program.updates.items():
            if new in self.in_place:
                continue
            body.append(f"{self.names[target]}[...] = {self._value(new, 0)}")
        outputs = [self._output(x) for x in self.program.outputs]
        self.answer = ", ".join(outputs) or "None"
        body = self._quietly([*body, f"return {self.answer}"])
        imports = sorted(set(self._used_names.values()))
        helpers = "".join(f"\n\n{text}\n" for text in self.helpers.values())
        parameters = ", ".join(self.names[x] for x in self.program.inputs)
        lines = "\n    ".join(body)
        setup = "\n".join(self.setup)
        return (
            f"import numpy as np\nfrom numpy import {', '.join(imports)}\n{helpers}\n"
            f"{setup}\n\n\ndef {name}({parameters}):\n    {lines}\n"
        )

    def _quietly(self, body: list[str]) -> list[str]:
        """Silence the harmless overflow of what is written plainly."""
        if not any(_may_overflow(e) for e in self.program.equations):
            return body
        return ['with np.errstate(over="ignore"):', *(f"    {line}" for line in body)]

    def epoch(self, counts: dict[str, str]) -> str:
        """Write the loop over the mini-batches of an epoch, with the step in it.

        The counts tell what becomes of each number, with ``{0}`` for the first input.
        The first two inputs are a mini-batch, and the output is one number.
        """
        names = [self.names[x] for x in self.program.inputs]
        x, y = names[:2]
        (size, *_) = self.program.inputs[0].shape
        loop = [
            f"all_{x}.take(order[i : i + {size}], 0, {x}, 'clip')",
            f"all_{y}.take(order[i : i + {size}], 0, {y}, 'clip')",
            *self.body,
            f"answers.append({self.answer})",
            *(f"{k.format(*names)} = {n.format(*names)}" for k, n in counts.items()),
        ]
        head = [f"for i in range(0, len(order), {size}):"]
        lines = self._quietly([*head, *(f"    {line}" for line in loop)])
        body = "\n    ".join(["answers = []", *lines, "return answers"])
        return (
            f"\n\ndef epoch(all_{x}, all_{y}, order, {', '.join(names)}):\n    {body}\n"
        )

    def _output(self, x: Any) -> str:
        text = self._value(x, 0)
        if not isinstance(x, Variable) or x.dtype is None:
            return text
        mine = x in self._fresh and x not in self._static and x not in self._root
        given = x in self.program.inputs or x.constant is not None
        return text if mine and not given else f"{text}.copy()"


def _precedence(e: Equation) -> int:
    return (INFIX | PREFIX).get(e.function, ("", 9))[1]


def _may_overflow(e: Equation) -> bool:
    op = OPS.get(e.origin.op)
    return op is not None and op.plainly is not None and e.function is np.exp


SMALL = 1_000_000  # products: so many OpenBLAS takes to be a small matrix product


def rows_at_once(a: Variable, b: Variable) -> int:
    """Return how many rows of a large product are a small one, or 0: no need."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] * b.size <= SMALL:
        return 0
    rows = SMALL // max(b.size, 1) // 8 * 8
    return rows if rows >= 16 else 0


@cache
def small_products_are_faster() -> bool:
    """Measure whether BLAS is much faster at small products than at large ones.

    OpenBLAS is where it has kernels of its own for them, as with AVX-512. Measured once
    in a process, on a case where the answer is clear: by 40 percent, or not at all.
    """
    x, w = np.ones((128, 784), np.float32), np.ones((784, 30), np.float32)
    y = np.empty((128, 30), np.float32)
    parts = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 128, 32)]

    def whole() -> None:
        x.dot(w, y)

    def in_parts() -> None:
        for rows, answer in parts:
            rows.dot(w, answer)

    times = [min(repeat(run, number=3, repeat=5)) for run in (whole, in_parts)]
    return times[1] < 0.8 * times[0]


def spread_out(program: Program) -> Program:
    """Copy a row as often as it is needed, before it meets a matrix.

    NumPy writes a row into each row of a buffer much faster than it adds a row to each.
    """
    made: list[Equation] = []
    for e in program.equations:
        y = e.output
        if _elementwise(e) and y.ndim and y.size < 1 << 16:
            args = list(e.args)
            for i, x in enumerate(args):
                if isinstance(x, Variable) and x.ndim and x.shape != y.shape:
                    args[i] = Variable(y.shape, x.dtype)
                    made.append(Equation(args[i], SPREAD, (x, y.shape), {}, e.origin))
            e = replace(e, args=tuple(args))
        made.append(e)
    return replace(program, equations=tuple(made))


def flat_products(program: Program) -> Program:
    """Write the inner product of two arrays as that of two vectors, which is faster."""
    made: list[Equation] = []
    for e in program.equations:
        if e.function is np.vdot and all(isinstance(x, Variable) for x in e.args):
            flat = {}
            for x in dict.fromkeys(e.args):
                flat[x] = Variable((x.size,), x.dtype)
                args = (x, (x.size,))
                made.append(Equation(flat[x], np.reshape, args, origin=e.origin))
            e = replace(e, function=np.dot, args=tuple(flat[x] for x in e.args))
        made.append(e)
    return replace(program, equations=tuple(made))


def sums_as_products(program: Program) -> Program:
    """Sum a matrix over an axis as its product with ones, which BLAS does faster."""
    made = []
    for e in program.equations:
        x = e.args[0] if e.args else None
        axis = e.params.get("axis")
        if (
            e.function is np.sum
            and isinstance(x, Variable)
            and x.ndim == 2
            and x.dtype == e.output.dtype
            and x.dtype.kind == "f"
            and x.dtype.itemsize > 2
            and axis in (0, 1, -1)
            and len(e.args) == 1
            and set(e.params) == {"axis"}
        ):
            ones = np.ones(x.shape[axis], x.dtype)
            constant = Variable(ones.shape, ones.dtype, constant=ones)
            args = (constant, x) if axis == 0 else (x, constant)
            e = replace(e, function=np.dot, args=args, params={})
        made.append(e)
    return replace(program, equations=tuple(made))
