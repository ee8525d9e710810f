"""The tape: the equations that a function has come to so far, and the memory it uses.

An `Array` stands for a Tensor's memory. Writing to an Array or a parameter gives its
memory another variable. In the second of two runs the equations are compared with those
of the first, as they come.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn
from weakref import ref

import numpy as np

from tinygrad_edu.compiler.functions import astype
from tinygrad_edu.compiler.program import (
    CHECK,
    Equation,
    EquationOrigin,
    Variable,
    alike,
    change,
    parts,
    same_dtype,
)
from tinygrad_edu.compiler.recording.arguments import is_argument
from tinygrad_edu.compiler.recording.inputs import Inputs
from tinygrad_edu.compiler.recording.memory import Memory
from tinygrad_edu.compiler.recording.refusals import (
    LOOK,
    MASK,
    REASONS,
    Line,
    place,
    user_line,
)
from tinygrad_edu.compiler.recording.stand_ins import Array, Number
from tinygrad_edu.engine.graph import Node, new_constant
from tinygrad_edu.engine.tensor import Tensor

__all__ = ["ARRAYS", "Tape", "plain"]

ARRAYS = (np.ndarray, np.generic)


class Tape:
    """What a function has done so far.

    Attributes
    ----------
    equations : list of Equation
    changed : dict of Memory to tuple
        The memory from outside that is to be written to, with the line that says so.
    guards : list of tuple
        The numbers whose truth was asked, with the answers.
    failure : Exception or None
        The first refusal, even if the function has caught it.
    """

    def __init__(self, inputs: Inputs, first: list[Equation] | None) -> None:
        self.inputs = inputs
        self.equations: list[Equation] = []
        self.changed: dict[Memory, Line] = {}
        self.guards: list[tuple[Variable, bool]] = []
        self.failure: Exception | None = None
        self._first = first  # what the first run has come to, in the second
        self._at_work: EquationOrigin | None = None  # of the op at work
        self._arrays: dict[Node, Array] = {}  # that have the memory of Tensors

    # --- Refusing ---------------------------------------------------------------------

    def refuse(self, what: str) -> NoReturn:
        """Raise, since Python asks for a number."""
        self.fail(*REASONS.get(what, REASONS["number"]))

    def fail(self, what: str, way_out: str = LOOK) -> NoReturn:
        """Raise, since a program would have to know a value, which changes."""
        self._raise(
            TypeError(
                f"compile: {what}, at {place()}, while the function is being recorded. "
                "The program will run on other values as well, and this line's answer "
                f"would be frozen into it: {way_out}"
            )
        )

    def _raise(self, error: Exception) -> NoReturn:
        """Raise, and remember it, since the function may catch it."""
        self.failure = self.failure or error
        raise error

    def check_end(self) -> None:
        """Raise if the second run has come to less than the first."""
        if self._first is not None and len(self.equations) < len(self._first):
            self.differ(self._first[len(self.equations)].origin.line)

    def differ(self, line: Line) -> NoReturn:
        """Raise, since the second run is another than the first."""
        self._raise(
            TypeError(
                f"compile: run twice, the function did not do the same, at "
                f"{place(line)}: it has a number from somewhere that is "
                "another one each time (random, a counter, or the time), and the "
                "program would have the first one at every call; pass it as an argument"
            )
        )

    # --- Memory -----------------------------------------------------------------------

    def place(self, node: Any) -> Memory:
        """Return the memory of a node; of one from outside, make it an input."""
        return self.value(node).memory

    def value(self, node: Any) -> Array:
        """Return the Array that has the memory of a Tensor."""
        if type(node) is Array:
            return node
        array = self._arrays.get(node)
        if array is None:
            memory = self.inputs.memory_of(node)
            # Else it was made inside, of an array that is not recorded.
            array = self.settle(node, memory or _constant(node.array))
        return array

    def settle(self, node: Any, memory: Memory, array: Array | None = None) -> Array:
        """Note the memory of a Tensor; return the Array that has it."""
        if array is None or array.is_scalar:
            array = Array.of(node.array, memory)
            memory.nodes.append(ref(array))
        self._arrays[node] = array
        memory.nodes.append(ref(node))
        return array

    def tensor(self, answer: Any, kind: Any = Tensor) -> Any:
        """Return a Tensor that has the memory of an Array, or of a constant."""
        if type(answer) is Array:
            node = new_constant(kind, answer.array)
            self.settle(node, answer.memory, answer)
        else:
            node = new_constant(kind, np.asarray(answer))
            self.settle(node, _constant(answer))
        self.inputs.made.append((ref(node), self._line()))
        return node

    def alias(self, node: Any, of: Any) -> None:
        """Note a new Tensor that has the memory of another one, or a copy of it."""
        array = self.value(of)
        if array.dtype != node.array.dtype:
            array = array.astype(node.array.dtype)
        elif node.requires_grad:
            array = array.copy()
        self.settle(node, array.memory)

    def rebind(self, leaf: Any, value: Any) -> None:
        """Give a Tensor other memory, as ``t.data = array`` does."""
        before, array = self.place(leaf), self._fitted(value)
        is_same = (leaf.shape, leaf.dtype) == (array.shape, array.dtype)
        if self.inputs.is_outside(leaf) and not is_same:
            self.fail(
                f"the function replaces {before.name}, {leaf.dtype} {leaf.shape}, by "
                f"{array.dtype} {array.shape}",
                "keep its shape and dtype, or assign outside of the function",
            )
        base = array.memory.base
        if base is not None and base.name:
            self.fail(
                f"the function gives {before.name} a view of {base.name}",
                "give it a copy()",
            )
        leaf.array = array.array
        self.settle(leaf, array.memory)

    def write(self, leaf: Any, value: Any) -> None:
        """Give the memory of a node another value."""
        memory = self.place(leaf)
        array = self._fitted(value, leaf.array.shape, leaf.array.dtype)
        if array.memory is memory:
            return
        if memory.base is not None or not memory.writable:
            what = f"its argument {memory.name}"
            if memory.base is not None:
                what = "a view of an array"
            elif not is_argument(self.inputs.accesses[memory]):
                what = f"the array {memory.name}"
            self.fail(
                f"the function writes to {what}",
                "compute a new array: x = x + 1 for x += 1",
            )
        memory.write(array.memory.read(), array.array, self._line())
        if memory.name:
            self.changed[memory] = memory.changed_at

    def write_out(self, out: Any, answer: Any) -> Any:
        """Do what ``out=`` asks for."""
        if not isinstance(out, Array):
            self.fail(
                "a value is written into an array of NumPy's own",
                "compute a new array: y = y + x for y += x",
            )
        self.write(out, answer)
        return out

    def _fitted(self, value: Any, shape: Any = None, dtype: Any = None) -> Any:
        """Return a value as an Array, of a shape and dtype, as writing makes it."""
        if type(value) is Number:
            value = self.enter(np.positive, (value,), {})
        elif not isinstance(value, Node):  # a constant of that shape and dtype
            whole = np.empty(np.shape(value) if shape is None else shape, dtype)
            whole[...] = value
            value = self.tensor(whole)
        value = self.value(value)
        if dtype is not None and value.dtype != dtype:
            value = self.enter(astype, (value, dtype), {})
        if shape is not None and value.shape != shape:
            value = self.enter(np.broadcast_to, (value, shape), {})
        return value

    def forget(self) -> None:
        """Let go of the nodes."""
        self._arrays.clear()

    # --- Equations --------------------------------------------------------------------

    def enter(
        self,
        function: Any,
        args: Sequence[Any],
        params: Any,
        run: Callable[..., Any] | None = None,
    ) -> Any:
        """Compute something, and write down the equation; return the answer.

        `run` computes it, if that is not done by the function itself.
        """
        if function is operator.getitem and any(map(_is_mask, parts(args[1]))):
            self.fail("how many elements a mask takes depends on its values", MASK)
        values, described = [], []
        for x in args:
            kind = type(x)
            if kind is Array:
                values.append(x.array)
                described.append(x.memory.read())
            elif kind is float or kind is int:
                values.append(x)
                described.append(x)
            else:
                values.append(change(x, plain))
                described.append(change(x, self.variable))
        try:
            keywords = change(params, plain) if params else {}
            answer = (run or function)(*values, **keywords)
        except ValueError as error:
            if "read-only" in str(error):
                self.fail("an array is written to", "compute a new array instead")
            raise
        text = tuple(described), params and change(params, self.variable)
        if not isinstance(answer, tuple | list):
            return self._entered(function, text, answer, (args, params))
        whole = self._write_down(function, text, ())
        found = [  # as of np.linalg.slogdet's
            self._entered(operator.getitem, ((whole, i), {}), x)
            for i, x in enumerate(answer)
        ]
        kind = type(answer)
        return kind(*found) if hasattr(answer, "_fields") else kind(found)

    def _entered(self, function: Any, text: Any, answer: Any, of: Any = ()) -> Any:
        """Write an equation down; return the stand-in for its answer."""
        if not isinstance(answer, ARRAYS):
            if answer is None:  # of a check, which did not raise
                self._write_down(function, text, (), None, CHECK)
                return None
            if not isinstance(answer, int | float):
                name = getattr(function, "__name__", "the function")
                self.fail(f"{name}() of a value is no array")
            return Number(answer, self._write_down(function, text, ()))
        variable = self._write_down(function, text, answer.shape, answer.dtype)
        base, is_scalar = None, isinstance(answer, np.generic)
        if is_scalar:
            answer = np.asarray(answer)
        elif answer.size and not answer.flags.writeable:  # a view, or an array itself
            arrays = [x for x in parts(of) if type(x) is Array]
            shared = (x for x in arrays if np.may_share_memory(answer, x.array))
            base = next((x.memory.base or x.memory for x in shared), None)
        answer.setflags(write=False)  # the variable has this value
        array = Array.of(answer, Memory(variable, base=base), is_scalar)
        here: ref[Node] = ref(array)
        array.memory.nodes.append(here)
        self.inputs.made.append((here, self.equations[-1].origin.line))
        return array

    def _write_down(
        self, function: Any, text: Any, shape: Any, dtype: Any = None, label: Any = None
    ) -> Variable:
        """Write an equation down, with its arguments in `text`; return its output."""
        args, params = text
        if self._first is None:
            output = Variable(shape, dtype, label)
            origin = self._at_work or EquationOrigin(line=user_line())
            e = Equation(output, function, args, params, origin)
        else:
            if len(self.equations) == len(self._first):
                self.differ(self._line())
            e = self._first[len(self.equations)]
            known = e.output
            if not (
                e.function == function
                and known.shape == shape
                and same_dtype(known.dtype, dtype)
                and alike(e.args, args)
                and (alike(e.params, params) if params else not e.params)
            ):
                self.differ(e.origin.line)
        self.equations.append(e)
        return e.output

    def variable(self, x: Any) -> Any:
        """Return the variable for `x`, or `x` itself if it is no data."""
        kind = type(x)
        if kind is Array:
            return x.memory.read()
        if kind is Number:
            return x.variable
        if isinstance(x, np.ndarray):
            return (self.inputs.known(x) or _constant(x)).variable
        return x

    def _line(self) -> Line:
        """Return the user's line that is at work."""
        return self._at_work.line if self._at_work else user_line()


def plain(x: Any) -> Any:
    """Return the value at recording time, read-only."""
    kind = type(x)
    if kind is Number:
        return x.value
    if issubclass(kind, Node):
        x = x.array
    elif not issubclass(kind, np.ndarray):
        return x
    view = x.view()
    view.setflags(write=False)
    return view


def _constant(x: Any) -> Memory:
    """Return new memory for an array that the tape does not know."""
    array = np.array(x)
    return Memory(Variable(array.shape, array.dtype, constant=array))


def _is_mask(i: Any) -> bool:
    return type(i) is Array and i.dtype == bool
