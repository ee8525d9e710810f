"""The fast style: every array has its memory before the program starts.

One call of NumPy a line, which writes into a buffer; buffers are used again once what
they held has been read for the last time; parameters are updated where they are.
"""

from __future__ import annotations

import builtins
import operator
import re
from collections import Counter
from typing import Any

import numpy as np

from tinygrad_edu.compiler.expressions import (
    PREFIX,
    has_operator,
    may_overflow,
    write_number,
    write_operator,
    write_view,
)
from tinygrad_edu.compiler.functions import UFUNC_OF, assembled, astype, spread
from tinygrad_edu.compiler.namespace import Namespace
from tinygrad_edu.compiler.naming import name_variables
from tinygrad_edu.compiler.passes.tuning import rows_at_once, small_products_are_faster
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import is_elementwise, is_view, roots, schedule
from tinygrad_edu.formulas.brackets import Strength, Written
from tinygrad_edu.formulas.writing import write_index

__all__ = ["Fast"]

# What writes into a buffer, besides ufuncs and their reductions.
WITH_OUT = (np.dot, np.matmul, assembled, astype, spread)
LONG = 200  # characters of a number's expression: Python reads few nested brackets


class Fast:
    """Writes a program down in the fast style.

    Attributes
    ----------
    source : str
    buffers : list of int
        The sizes of the buffers, in bytes.
    """

    def __init__(self, program: Program) -> None:
        self.program, self.in_place = schedule(program)
        self.space = Namespace(self.program)
        self.names = name_variables(program, self.space.taken)
        self.constants: dict[Any, str] = {}
        self.setup: list[str] = []
        self.body: list[str] = []
        self.buffers: list[int] = []
        self.expressions: dict[Variable, Written] = {}  # of views and numbers
        self._buffer_of: dict[Variable, int] = {}
        self._first: list[Variable] = []  # whose memory each buffer was made for
        # What is the same memory in every call, with arrays that are laid out like it.
        self._static: dict[Variable, Any] = {}
        self._all_blocks: set[str] = set()
        self._free: dict[tuple[Any, int], list[int]] = {}
        self._root = roots(self.program)
        # What is written as a part of another array: which, where, and the layout.
        self._home: dict[Variable, tuple[Variable, Any, Any]] = {}
        self._lasting: set[Variable] = set()  # hold parts that are never written again
        self._results = set(self.program.results())
        self._uses = Counter(x for e in self.program.equations for x in e.inputs)
        self._inputs = set(self.program.inputs)
        self._fresh = {x for x in self.program.outputs if isinstance(x, Variable)}
        self._find_homes()
        self._last = self._last_uses()
        self._used_names = {np.empty: "empty"}
        for i, e in enumerate(self.program.equations):
            self._write(i, e)
        self.source = self._assemble()

    def _last_uses(self) -> dict[Variable, int]:
        last: dict[Variable, int] = {}
        for i, e in enumerate(self.program.equations):
            for x in e.inputs:
                last[self._root.get(x, x)] = i
        for x in self._results:
            last[self._root.get(x, x)] = len(self.program.equations)
        return last

    def _find_homes(self) -> None:
        """Find what can be written to its place in the array that is made of it."""
        definitions = self.program.definitions()
        for e in reversed(self.program.equations):  # the outer array comes last
            if e.function is not assembled or not self._is_into(e):
                continue
            whole = e.output
            if whole not in self._home:
                layout = np.empty(whole.shape, whole.dtype)
            else:
                layout = self._home[whole][2]
            for part, index in zip(*e.args[:2]):
                if part.constant is not None:
                    self._lasting.add(self._root.get(whole, whole))
                maker, view = definitions.get(part), layout[index]
                if maker is None or part in self._home or part in self._results:
                    continue
                is_able = maker.function is not np.dot or view.flags.c_contiguous
                same = (part.shape, part.dtype) == (view.shape, view.dtype)
                if same and is_able and self._is_into(maker):
                    self._home[part] = whole, index, view
                    self._root[part] = self._root.get(whole, whole)
        for x, root in self._root.items():
            self._root[x] = self._root.get(root, root)

    # --- One equation -----------------------------------------------------------------

    def _write(self, i: int, e: Equation) -> None:
        y = e.output
        if e.is_check:
            self.body.append(self._plain_call(e))
        elif y in self.in_place or self._is_into(e):
            self._write_into(i, e)
        elif y.dtype is None or (
            y.shape == ()
            and (has_operator(e) or e.function in PREFIX)
            and all(not isinstance(x, Variable) or x.shape == () for x in e.args)
        ):
            self._write_number(e)
        elif is_view(e):
            self._write_view(e)
        else:
            self._assign(e, self._plain_call(e))
        for x in e.inputs:
            root = self._root.get(x, x)
            if self._last.get(root) == i:
                self._release(root)

    def _write_number(self, e: Equation) -> None:
        """Write what has no dimensions by operators.

        A Python number that is used once is written where it is used. Not so what is
        computed of arrays: until then their memory may hold something else.
        """
        written = write_operator(e, self._written) or Written(self._plain_call(e))
        is_single = self._uses[e.output] <= 1 and e.output.dtype is None
        if is_single and len(written.text) <= LONG:
            self.expressions[e.output] = written
        else:
            self._assign(e, written.text)

    def _write_view(self, e: Equation) -> None:
        x = e.args[0]
        text = write_view(e, self._value(x, Strength.ATOM), self._any)
        name = self.names[e.output]
        memory = x.constant if x.constant is not None else self._static.get(x)
        view = None if memory is None else e.function(memory, *e.args[1:], **e.params)
        if view is not None and np.may_share_memory(view, memory):
            self.setup.append(f"{name} = {text}")
            self._static[e.output] = view
        elif e.function is np.transpose and e.args == (x,) and x in self._inputs:
            self.expressions[e.output] = Written(text)
        else:
            self.body.append(f"{name} = {text}")

    def _is_into(self, e: Equation) -> bool:
        """Whether an equation writes into a buffer."""
        y = e.output
        is_array = y.dtype is not None and y.shape != () and y not in self._fresh
        return is_array and y not in self.in_place and self._has_out(e)

    def _has_out(self, e: Equation) -> bool:
        if e.function is np.dot and not has_operator(e):
            return all(isinstance(x, Variable) and x.ndim for x in e.args)
        is_able = is_elementwise(e) or e.function in UFUNC_OF or e.function in WITH_OUT
        return is_able and e.params.keys() <= {"axis", "keepdims"}

    def _write_into(self, i: int, e: Equation) -> None:
        y = e.output
        target = self.in_place.get(y)
        if target is not None:
            out = self.names[target]
            self.expressions[y] = Written(out)
        else:
            self._take_memory(i, e)
            out = self.names[y]
        if e.function is np.dot:
            a, b = (self._value(x, Strength.ATOM) for x in e.args)
            rows = rows_at_once(*e.args)
            if rows and small_products_are_faster():
                blocks = self._blocks(y.shape[0], rows)
                self.body.append(f"for rows in {blocks}:")
                self.body.append(f"    {a}[rows].dot({b}, {out}[rows])")
            else:
                self.body.append(f"{a}.dot({b}, {out})")
        elif e.function in UFUNC_OF:
            name = self._function(UFUNC_OF[e.function])
            axis = e.params.get("axis")
            keep = ", True" if e.params.get("keepdims") else ""
            x = self._value(e.args[0])
            self.body.append(
                f"{name}.reduce({x}, {self._any(axis)}, None, {out}{keep})"
            )
        elif e.function is assembled:
            for part, index in zip(*e.args[:2]):
                home = self._home.get(part)
                if home is None or home[0] is not y or home[1] is not index:
                    lines = self.body if part.constant is None else self.setup
                    place = write_index(index, self._any)
                    lines.append(f"{out}[{place}] = {self._value(part)}")
        elif e.function in (astype, spread):
            self.body.append(f"{out}[...] = {self._value(e.args[0])}")
        else:
            args = [self._operand(x, e) for x in e.args]
            if may_overflow(e):
                self.body.append(f"{self._bounded(args[0], y)[:-1]}, out={out})")
                args = [out]
            # These two mean to take more than two operands one day.
            word = "out=" * (e.function in (np.maximum, np.minimum))
            text = ", ".join([*args, word + out])
            self.body.append(f"{self._function(e.function)}({text})")

    def _blocks(self, n: int, rows: int) -> str:
        name = f"blocks_{n}_{rows}"
        if name not in self._all_blocks:
            self._all_blocks.add(name)
            blocks = f"[slice(i, i + {rows}) for i in range(0, {n}, {rows})]"
            self.setup.append(f"{name} = {blocks}")
        return name

    def _assign(self, e: Equation, text: str) -> None:
        self.body.append(f"{self.names[e.output]} = {text}")

    def _plain_call(self, e: Equation) -> str:
        if e.function is np.dot and isinstance(e.args[0], Variable) and e.args[0].ndim:
            return (
                f"{self._value(e.args[0], Strength.ATOM)}.dot({self._any(e.args[1])})"
            )
        if e.function is operator.getitem:
            return write_view(e, self._value(e.args[0], Strength.ATOM), self._any)
        if e.function is astype:
            dtype = self.space.dtype(e.args[1])
            return f"{self._value(e.args[0], Strength.ATOM)}.astype({dtype})"
        args = [
            self._operand(x, e) if is_elementwise(e) else self._any(x) for x in e.args
        ]
        if may_overflow(e):
            args = [self._bounded(args[0], e.output)]
        params = [
            self.space.write_keyword(name, self._any(x)) for name, x in e.params.items()
        ]
        return f"{self._function(e.function)}({', '.join([*args, *params])})"

    # --- Arguments --------------------------------------------------------------------

    def _any(self, x: Any) -> str:
        """Write an argument of any kind."""
        return self.space.write(x, self._value)

    def _value(self, x: Any, least: int = 0) -> str:
        return self._written(x).within(least)

    def _written(self, x: Any) -> Written:
        if not isinstance(x, Variable):
            return write_number(self.space.value(x))
        if x.constant is not None:
            return Written(self._constant(x.constant))
        return self.expressions.get(x) or Written(self.names[x])

    def _operand(self, x: Any, e: Equation) -> str:
        """Write an operand: a number as an array, with which NumPy is faster."""
        is_known = not isinstance(x, Variable)
        if not is_known and x.dtype is not None:
            return self._value(x)
        if isinstance(x, list | tuple):
            return self._any(x)
        others = [
            z.dtype for z in e.args if isinstance(z, Variable) and z.dtype is not None
        ]
        is_plain = has_operator(e) or e.function in (np.maximum, np.minimum)
        if not others or isinstance(x, bool) or not is_plain or others[0].kind != "f":
            return self._value(x)
        dtype = others[0]
        if isinstance(x, np.generic):  # Python's numbers take the dtype of the array
            dtype = np.result_type(dtype, x)
        if is_known:
            return self._constant(np.array(x, dtype))
        key = (x, dtype)
        if key not in self.constants:
            name = self.constants[key] = self.space.taken.numbered("k")
            self.setup.append(f"{name} = empty((), {self.space.dtype(dtype)})")
            self.body.append(f"{name}[()] = {self._value(x)}")
        return self.constants[key]

    def _bounded(self, text: str, y: Variable) -> str:
        """Keep an exponent from overflowing, where the textbook's formula lets it."""
        limit = np.floor(np.log(np.finfo(y.dtype).max)).astype(y.dtype)
        bound = self._constant(np.asarray(limit))
        return f"{self._function(np.minimum)}({text}, {bound})"

    def _constant(self, array: Any) -> str:
        key = (array.dtype, array.shape, array.tobytes())
        if key not in self.constants:
            name = self.constants[key] = self.space.taken.numbered("c")
            self.setup.append(f"{name} = {self.space.value(array)}")
        return self.constants[key]

    def _function(self, function: Any) -> str:
        """Write a function's name; NumPy's are imported, since that is faster."""
        if function in self._used_names:
            return self._used_names[function]
        name = self.space.function(function)
        if not name.startswith("np.") or name.count(".") > 1:
            return name
        short = name.removeprefix("np.")
        if short in self.space.taken or hasattr(builtins, short):
            return name
        self._used_names[function] = short
        return short

    # --- Memory -----------------------------------------------------------------------

    def _take_memory(self, i: int, e: Equation) -> None:
        """Give an output memory: its place in another array, or a buffer.

        The buffer is that of an operand which is no longer needed, or another one.
        """
        y, buffer = e.output, None
        if y in self._static:  # a part was written before
            return
        if y in self._home:
            self._settle(y)
            return
        if is_elementwise(e):
            for x in e.inputs:
                is_last = self._last.get(x) == i and x in self._buffer_of
                if is_last and x.shape == y.shape and x.dtype == y.dtype:
                    buffer = self._buffer_of.pop(x)
                    break
        self._take_buffer(y, buffer)

    def _settle(self, y: Variable) -> None:
        """Give a part its place, and before that the whole."""
        inner = [y]
        while inner[-1] in self._home and inner[-1] not in self._static:
            inner.append(self._home[inner[-1]][0])
        whole = inner.pop()
        if whole not in self._static:
            self._take_buffer(whole)
        for x in reversed(inner):
            whole, index, self._static[x] = self._home[x]
            place = write_index(index, self._any)
            self.setup.append(f"{self.names[x]} = {self.names[whole]}[{place}]")

    def _take_buffer(self, y: Variable, buffer: int | None = None) -> None:
        key = (y.dtype, y.size)
        if buffer is None and self._free.get(key) and y not in self._lasting:
            buffer = self._free[key].pop()
        name = self.names[y]
        if buffer is None:
            buffer = len(self.buffers)
            self.buffers.append(y.nbytes)
            self._first.append(y)
            self.setup.append(f"{name} = empty({y.shape}, {self.space.dtype(y.dtype)})")
        else:
            first = self._first[buffer]
            if first.shape == y.shape and re.fullmatch(r"t\d+", name):
                self.names[y] = self.names[first]
            else:
                view = f".reshape({y.shape})" if first.shape != y.shape else ""
                self.setup.append(f"{name} = {self.names[first]}{view}")
        if y not in self._lasting:
            self._buffer_of[y] = buffer
        self._static[y] = np.empty(y.shape, y.dtype)

    def _release(self, x: Variable) -> None:
        buffer = self._buffer_of.pop(x, None)
        if buffer is not None and x not in self._results:
            self._free.setdefault((x.dtype, x.size), []).append(buffer)

    # --- The whole --------------------------------------------------------------------

    def _assemble(self) -> str:
        body = self.body
        for target, new in self.program.updates.items():
            if self.in_place.get(new) is target:
                continue
            body.append(f"{self.names[target]}[...] = {self._value(new)}")
        outputs = [self._output(x) for x in self.program.outputs]
        self.answer = ", ".join(outputs) or "None"
        body = [*body, f"return {self.answer}"]
        imports = sorted(set(self._used_names.values()))
        parameters = ", ".join(self.names[x] for x in self.program.inputs)
        lines = "\n    ".join(body)
        setup = "\n".join(self.setup)
        head = self.space.head()
        return (
            f"import numpy as np\nfrom numpy import {', '.join(imports)}\n{head}\n"
            f"{setup}\n\n\ndef step({parameters}):\n    {lines}\n"
        )

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
        lines = [*head, *(f"    {line}" for line in loop)]
        body = "\n    ".join(["answers = []", *lines, "return answers"])
        return (
            f"\n\ndef epoch(all_{x}, all_{y}, order, {', '.join(names)}):\n    {body}\n"
        )

    def _output(self, x: Any) -> str:
        text = self._value(x)
        if not isinstance(x, Variable) or x.dtype is None:
            return text
        mine = x in self._fresh and x not in self._static and x not in self._root
        given = x in self._inputs or x.constant is not None
        return text if mine and not given else f"{text}.copy()"
