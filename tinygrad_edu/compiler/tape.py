"""The tape: follows a function that runs on Tensors, and writes down equations.

While it records, arrays are `Array`s: Tensors that know which variable of the program
they are. Every op comes to the tape. An op is *lowered* to NumPy's functions by running
its forward function, or its textbook formula, on Arrays; an op of the user's own is one
equation. Backward passes and optimisers are made of ops and NumPy functions too, so
they come to the tape like everything else.

Memory is followed by `Memory`: writing to an Array or a parameter gives its place
another variable. So a program needs no writing, but for its last lines.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from weakref import ref

import numpy as np

from tinygrad_edu.compiler.functions import REDUCTIONS, astype, replaced
from tinygrad_edu.compiler.program import (
    CHECK,
    Equation,
    EquationOrigin,
    Variable,
    change,
    parts,
)
from tinygrad_edu.compiler.refusals import (
    CHOOSE,
    LOOK,
    MASK,
    refusal,
    user_line,
)
from tinygrad_edu.compiler.refusals import (
    place as user_place,
)
from tinygrad_edu.engine.array_like import ArrayLike
from tinygrad_edu.engine.graph import Node, current_mode, new_constant, new_index
from tinygrad_edu.engine.op import BUILT_IN, Op
from tinygrad_edu.engine.protocols import defaults_of
from tinygrad_edu.engine.tensor import Tensor

__all__ = ["Array", "Line", "Memory", "Number", "Tape"]

# What depends on shapes and dtypes only is answered at once.
STATIC = {
    np.can_cast,
    np.common_type,
    np.empty_like,
    np.full_like,
    np.iscomplexobj,
    np.isrealobj,
    np.may_share_memory,
    np.min_scalar_type,
    np.ndim,
    np.ones_like,
    np.result_type,
    np.shape,
    np.shares_memory,
    np.size,
    np.zeros_like,
}

SHAPED_BY_VALUES = {
    np.argwhere,
    np.bincount,
    np.compress,
    np.extract,
    np.flatnonzero,
    np.intersect1d,
    np.nonzero,
    np.setdiff1d,
    np.trim_zeros,
    np.union1d,
    np.unique,
}

# NumPy's functions for Python's operators.
COMPARISONS = {
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
}


Line = tuple[Any, ...]  # a file, and the number of a line in it
ARRAYS = (np.ndarray, np.generic)


class Memory:
    """A piece of memory: which variable it holds, and whose it is.

    Attributes
    ----------
    variable, first : Variable
        What it holds now, and what it held at first.
    name : str
        What the user calls it; empty for what the function computes.
    writable : bool
        Whether the function may write to it.
    base : Memory or None
        The memory that this one is a view of.
    """

    __slots__ = (
        "_seen",
        "base",
        "changed_at",
        "first",
        "name",
        "nodes",
        "variable",
        "writable",
        "writes",
    )

    def __init__(
        self,
        variable: Variable,
        name: str = "",
        writable: bool = True,
        base: Memory | None = None,
    ) -> None:
        self.first = self.variable = variable
        self.name = name
        self.writable = writable
        self.base = base
        self.writes = 0
        self.changed_at: Line = ("", 0)  # of the last one
        self._seen = base.writes if base is not None else 0
        self.nodes: list[ref[Node]] = []  # those that have this memory

    def read(self) -> Variable:
        """Return the variable; refuse a view of memory that was written to since."""
        if self.base is not None and self.base.writes != self._seen:
            _tape().fail(
                "an array is read that looks at the memory of another one "
                f"({self.base.name or 'an array of its own'}), which was changed "
                f"since, at {user_place(self.base.changed_at)}",
                "take a copy() of it before, or take the part again after the change",
            )
        return self.variable


class Tape:
    """What a function has done so far.

    Attributes
    ----------
    equations : list of Equation
    changed : dict of Memory to tuple
        The memory from outside that is to be written to, with the line that says so.
    failure : Exception or None
        The first refusal, even if the function has caught it.
    """

    def __init__(self, recording: Any) -> None:
        self.recording = recording
        self.equations: list[Equation] = []
        self.changed: dict[Memory, Line] = {}
        self.guards: list[tuple[Variable, bool]] = []  # numbers whose truth was asked
        self.failure: Exception | None = None
        self.start = new_index()
        self._arrays: dict[int, Array] = {}  # that have the memory of Tensors, by id
        self._alive: list[Node] = []  # the Tensors, so that no id is used twice
        self._op = ""  # the one at work, and the line of the user's that calls it
        self._line: Line = ("", 0)
        # The ops that were applied: result, variable, op, inputs, parameters.
        self.applied: list[tuple[Any, Variable, Any, Any, Any]] = []
        self._cotangents: dict[Variable, Variable] = {}
        self.roots: list[Any] = []  # where walks back began
        self._done = 0  # equations that belong to no rule, or know it
        self.made: list[tuple[ref[Node], Line]] = []

    # --- Called by the engine ---------------------------------------------------------

    def apply(self, op: Any, inputs: tuple[Any, ...], params: Any) -> Any:
        """Apply an op: lower it to equations, and make the node that it makes."""
        if current_mode.get().watch is not None:
            self.fail(
                "debug() looks at values",
                "put debug() around the call, which then runs the function as it is",
            )
        tensors = [x for x in inputs if isinstance(x, Node) and type(x) is not Array]
        if tensors:
            inputs = tuple(map(self._as_input, inputs))
        elif not any(isinstance(x, Node) for x in parts(*inputs, params or {})):
            return op.compute(inputs, params)  # of constants
        arrays = [self.value(x) if isinstance(x, Node) else x for x in inputs]
        outer = self._op
        if not outer:
            self._op, self._line = op.name, user_line()
        try:
            answer = self._lower(op, arrays, params)
            if not tensors or not isinstance(answer, ARRAYS):
                if not outer and type(answer) is Array:
                    of = answer._place.variable
                    self.applied.append((answer, of, op, inputs, params))
                return answer
            node = self._tensor(answer, type(tensors[-1]))
        finally:
            self._op = outer
        mode = current_mode.get()
        if (
            mode.recording
            and node.array.dtype.kind == "f"
            and any(x.requires_grad for x in tensors)
        ):
            node.requires_grad, node.op = True, op
            node.inputs, node.params = inputs, params
        if not outer:
            variable = self.place(node).variable
            self.applied.append((node, variable, op, inputs, params))
        return node

    def _as_input(self, x: Any) -> Any:
        """Return a constant Tensor for a list, as the engine does."""
        if type(x) in (float, int):
            return x
        plain = isinstance(x, np.ndarray) and x.dtype.kind in "fiub"
        return x if plain or isinstance(x, Node | Number) else Tensor(x)

    def _lower(self, op: Any, arrays: list[Any], params: Any) -> Any:
        params = params or {}
        special = LOWERED.get(op.name) if op.name in BUILT_IN else _if_possible
        if special is not None:
            return special(self, op, arrays, params)
        if op.textbook is not None:
            return op.textbook(*arrays, **params)
        return op.compute(arrays, params)

    def _tensor(self, answer: Any, kind: Any = Tensor) -> Any:
        """Return a Tensor that has the memory of an Array."""
        is_array = type(answer) is Array
        node = new_constant(kind, answer.array if is_array else np.asarray(answer))
        self.settle(node, answer._place if is_array else self._constant(answer))
        self.made.append((ref(node), self.line()))
        return node

    def line(self) -> Line:
        """Return the user's line that is at work."""
        return self._line if self._op else user_line()

    def query(self, function: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Apply a function without a derivative: its answer is an Array."""
        args, kwargs = change(args, self._plain), change(kwargs, self._plain)
        if function in COMPARISONS:
            other = args[1]
            if not isinstance(
                other, Node | Number | np.ndarray | np.generic | int | float
            ):
                return function(args[0].array, other)
        return self.call(COMPARISONS.get(function, function), args, kwargs)

    def _plain(self, x: Any) -> Any:
        return self.value(x) if isinstance(x, Node) else x

    def value(self, node: Any) -> Array:
        """Return the Array that has the memory of a Tensor."""
        if type(node) is Array:
            return node
        array = self._arrays.get(id(node))
        if array is None:
            place = self.recording.place_of(node, node.index < self.start)
            # Else it was made inside, of an array that is not recorded.
            array = self.settle(node, place or self._constant(node.array))
        return array

    def alias(self, node: Any, of: Any) -> None:
        """Note a new Tensor that has the memory of another one, or a copy of it."""
        array = self.value(of)
        if array.dtype != node.array.dtype:
            array = array.astype(node.array.dtype)
        elif node.requires_grad:
            array = array.copy()
        self.settle(node, array._place)

    def see(self, leaf: Any, is_read: bool = True) -> None:
        """Have the gradient of a leaf from outside be an input of the program."""
        self.recording.see(leaf, is_read)

    def step(self, optimiser: Any) -> None:
        """Follow an optimiser that makes a step."""
        self.recording.step(optimiser)

    def rebind(self, leaf: Any, value: Any) -> None:
        """Give a Tensor other memory, as ``t.data = array`` does."""
        before, array = self.place(leaf), self._fitted(value)
        is_same = (leaf.shape, leaf.dtype) == (array.shape, array.dtype)
        if leaf.index < self.start and not is_same:
            self.fail(
                f"the function replaces {before.name}, {leaf.dtype} {leaf.shape}, by "
                f"{array.dtype} {array.shape}",
                "keep its shape and dtype, or assign outside of the function",
            )
        base = array._place.base
        if base is not None and base.name:
            self.fail(
                f"the function gives {before.name} a view of {base.name}",
                "give it a copy()",
            )
        leaf.array = array.array
        self.settle(leaf, array._place)

    def write(self, leaf: Any, value: Any) -> None:
        """Give the memory of a node another value."""
        place = self.place(leaf)
        array = self._fitted(value, leaf.array.shape, leaf.array.dtype)
        if array._place is place:
            return
        if place.base is not None or not place.writable:
            what = f"its argument {place.name}"
            if place.base is not None:
                what = "a view of an array"
            elif not self.recording.is_argument(place):
                what = f"the array {place.name}"
            self.fail(
                f"the function writes to {what}",
                "compute a new array: x = x + 1 for x += 1",
            )
        place.variable = array._place.read()
        place.writes += 1
        place.changed_at = self.line()
        if place.name:
            self.changed[place] = place.changed_at
        alive = [node for find in place.nodes if (node := find()) is not None]
        place.nodes = [ref(node) for node in alive]
        for node in alive:
            node.array = array.array

    def _fitted(self, value: Any, shape: Any = None, dtype: Any = None) -> Any:
        """Return a value as an Array, of a shape and dtype, as writing makes it."""
        if type(value) is Number:
            value = self.enter(np.positive, (value,), {})
        elif not isinstance(value, Node):  # a constant of that shape and dtype
            whole = np.empty(np.shape(value) if shape is None else shape, dtype)
            whole[...] = value
            value = self._tensor(whole)
        value = self.value(value)
        if dtype is not None and value.dtype != dtype:
            value = self.enter(astype, (value, dtype), {})
        if shape is not None and value.shape != shape:
            value = self.enter(np.broadcast_to, (value, shape), {})
        return value

    def walk_back(self, roots: Any) -> None:
        self.roots += roots

    def pass_back(self, node: Any) -> None:
        """Note that the equations from here on belong to the rules of a node."""
        self._done = len(self.equations)

    def passed_back(self, node: Any, x: Any, cotangent: Any) -> None:
        """Note which rule the latest equations belong to, and whose cotangent it is."""
        op = node.op
        position = next(i for i, z in enumerate(node.inputs) if z is x)
        rule = f"{op.name}.{op.inputs[0 if op.variadic else position]}"
        for e in self.equations[self._done :]:
            e.origin.rule = rule
        self._done = len(self.equations)
        if isinstance(cotangent, Node):
            variable = self.place(cotangent).variable
            of = self.place(x).variable
            if (before := self._cotangents.get(of)) is not None:
                before.label = None  # of a part of the sum
            if variable.label is None:
                variable.label = "cotangent", of
                self._cotangents[of] = variable

    def refuse(self, what: str) -> NoReturn:
        why, way_out = REASONS.get(what, ("a value is made a Python number", NUMBERS))
        self.fail(why, way_out)

    def fail(self, what: str, way_out: str = LOOK) -> NoReturn:
        """Raise, and remember it, since the function may catch it."""
        error = refusal(what, way_out)
        self.failure = self.failure or error
        raise error

    def forget(self) -> None:
        """Let go of the nodes."""
        self.applied.clear()
        self.roots.clear()
        self._arrays.clear()
        self._alive.clear()

    # --- Memory -----------------------------------------------------------------------

    def place(self, node: Any) -> Memory:
        """Return the memory of a node; of one from outside, make it an input."""
        return self.value(node)._place

    def settle(self, node: Any, place: Memory) -> Array:
        """Note the memory of a Tensor; return the Array that has it."""
        array = self._arrays[id(node)] = Array.of(node.array, place)
        self._alive.append(node)
        place.nodes += [ref(node), ref(array)]
        return array

    def _constant(self, x: Any) -> Memory:
        """Return new memory for an array that is no recorded one."""
        array = np.array(x)
        return Memory(Variable(array.shape, array.dtype, constant=array))

    # --- Equations --------------------------------------------------------------------

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Apply a function of NumPy's to Arrays, in the form that the passes know."""
        if isinstance(function, np.ufunc) and not kwargs:
            return self.enter(function, args, kwargs)
        if function in STATIC:
            answer = function(*change(args, _value), **change(kwargs, _value))
            if not isinstance(answer, np.ndarray):
                return answer
            return self.value(self._tensor(answer))  # which may be written to
        if function is np.copyto and len(args) == 2 and not kwargs:
            self.write_out(*args)
            return None
        args, kwargs, out = _normal(function, args, kwargs)
        if isinstance(function, np.ufunc) and "where" in kwargs:
            self.fail("where= leaves out elements", "choose with np.where(mask, a, b)")
        if function is np.reshape:
            answer = _reshaped(args[0], *args[1:], **kwargs)
        elif function is np.transpose:
            answer = _transposed(args[0], *args[1:], **kwargs)
        elif function is np.copy:
            answer = self.enter(np.positive, args[:1], {})
        elif function is np.mean and _is_simple_mean(args, kwargs):
            total = self.call(np.sum, args, kwargs)
            answer = total / (args[0].size // total.size)
        elif _is_shaped_by_values(function, args, kwargs):
            name = getattr(function, "__name__", "the function")
            self.fail(f"the shape of {name}() depends on values", MASK)
        else:
            answer = self.enter(function, args, kwargs)
        if out is None:
            return answer
        return self.write_out(out, answer)

    def write_out(self, out: Any, answer: Any) -> Any:
        """Do what ``out=`` asks for."""
        if not isinstance(out, Array):
            self.fail(
                "a value is written into an array of NumPy's own",
                "compute a new array: y = y + x for y += x",
            )
        self.write(out, answer)
        return out

    def enter(self, function: Any, args: tuple[Any, ...], params: Any) -> Any:
        """Compute something, and write down the equation; return the answer."""
        origin = EquationOrigin(self._op, "", *self.line())
        if function is operator.getitem and any(map(_is_mask, parts(args[1]))):
            self.fail("how many elements a mask takes depends on its values", MASK)
        values, keywords = change(args, _value), params and change(params, _value)
        try:
            answer = function(*values, **keywords)
        except ValueError as error:
            if "read-only" in str(error):
                self.fail("an array is written to", "compute a new array instead")
            raise
        if isinstance(answer, tuple | list):  # as np.linalg.slogdet's
            whole = Variable((), None)
            self._write_down(whole, function, args, params, origin)
            pairs = enumerate(answer)
            kind = type(answer)
            found = [
                self._entered(operator.getitem, (whole, i), {}, x, origin)
                for i, x in pairs
            ]
            return kind(*found) if hasattr(answer, "_fields") else kind(found)
        return self._entered(function, args, params, answer, origin)

    def _entered(
        self, function: Any, args: Any, params: Any, answer: Any, origin: EquationOrigin
    ) -> Any:
        if answer is None:  # of a check, which did not raise
            check = Variable((), None, CHECK)
            self._write_down(check, function, args, params, origin)
            return None
        if not isinstance(answer, ARRAYS):
            if not isinstance(answer, int | float):
                name = getattr(function, "__name__", "the function")
                self.fail(f"{name}() of a value is no array")
            variable = Variable((), None)
            self._write_down(variable, function, args, params, origin)
            return Number(self, answer, variable)
        variable = Variable(answer.shape, answer.dtype)
        self._write_down(variable, function, args, params, origin)
        base = None
        if answer.base is not None and answer.size:  # it may be a view
            of = [x for x in parts(args, params) if type(x) is Array]
            shared = (x for x in of if np.may_share_memory(answer, x.array))
            base = next((x._place.base or x._place for x in shared), None)
        place = Memory(variable, base=base)
        array = Array.of(np.asarray(answer), place, isinstance(answer, np.generic))
        place.nodes.append(ref(array))
        self.made.append((ref(array), (origin.file, origin.line)))
        return array

    def _write_down(
        self,
        output: Variable,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        params: dict[str, Any],
        origin: EquationOrigin,
    ) -> None:
        args, params = change(args, self.variable), change(params, self.variable)
        self.equations.append(Equation(output, function, args, params, origin))

    def variable(self, x: Any) -> Any:
        """Return what an equation has for `x`."""
        if type(x) is Array:
            return x._place.read()
        if type(x) is Number:
            return x.variable
        if isinstance(x, np.ndarray):
            place = self.recording.place_of(x, True)
            return (place or self._constant(x)).variable
        return x


class Array(ArrayLike):
    """An array, while a function is recorded: it writes down what is done with it.

    It is a node, so that ops and NumPy functions record it, but for isinstance() it is
    an ndarray, and it can be written to as one.
    """

    __slots__ = ("_is_scalar", "_place")
    _is_scalar: bool  # as of NumPy's scalars, which cannot be written to
    _place: Memory

    @classmethod
    def of(cls, array: Any, place: Memory, is_scalar: bool = False) -> Array:
        new: Array = new_constant(cls, array)
        new._place, new._is_scalar = place, is_scalar
        return new

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What isinstance() goes by: a program does what is done for an array."""
        _tape()  # raises if the recording is over
        return self.dtype.type if self._is_scalar else np.ndarray

    # --- What NumPy hands over --------------------------------------------------------

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        for x in inputs:
            if type(x) is not Array and isinstance(x, Node):
                return NotImplemented
        if method == "__call__":
            return _tape().call(ufunc, inputs, kwargs)
        out = kwargs.pop("out", None)
        if method == "reduce" and ufunc in REDUCTIONS:
            kwargs.setdefault("axis", inputs[1] if len(inputs) > 1 else 0)
            answer = _tape().call(REDUCTIONS[ufunc], inputs[:1], kwargs)
        elif method == "at":
            _tape().fail("an array is written to", "compute a new array instead")
        else:
            answer = _tape().enter(getattr(ufunc, method), inputs, kwargs)
        return answer if out is None else _tape().write_out(out[0], answer)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if any(issubclass(kind, Node) and kind is not Array for kind in types):
            return NotImplemented
        return _tape().call(function, args, kwargs)

    def __getitem__(self, index: Any) -> Any:
        return _tape().enter(operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        tape = _tape()
        if index is Ellipsis:
            tape.write(self, value)
        else:
            tape.write(self, tape.enter(replaced, (self, index, value), {}))

    def _in_place(self, op: Op, write: Any, other: Any) -> Any:
        if self._is_scalar:
            return _tape().apply(op, (self, other), None)
        if isinstance(other, Node) and type(other) is not Array:
            return op.forward(self, other, out=self)  # raises if it would be recorded
        _tape().write(self, _tape().apply(op, (self, other), None))
        return self

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        if name in ("__array_interface__", "__array_struct__", "__dlpack__"):
            _tape().refuse("array")
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(f"an array has no attribute {name!r}")
        _tape().fail(f"an array's .{name} is used", "look for a function of NumPy's")

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        if not copy and self.dtype == np.dtype(dtype):
            return self
        return _tape().enter(astype, (self, np.dtype(dtype)), {})

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        return _reshaped(self, shape[0] if len(shape) == 1 else shape, order)

    def flatten(self, order: str = "C") -> Any:
        return _reshaped(self, -1, order).copy()

    def sort(self, axis: int = -1, **kwargs: Any) -> None:
        self[...] = np.sort(self, axis, **kwargs)

    def partition(self, kth: Any, axis: int = -1, **kwargs: Any) -> None:
        self[...] = np.partition(self, kth, axis, **kwargs)

    def copy(self, order: str = "C") -> Any:
        if order != "C":
            _tape().fail("order= asks for a layout in memory", "leave it out")
        return _tape().enter(np.positive, (self,), {})

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def transpose(self, *axes: Any) -> Any:
        if len(axes) == 1 and not isinstance(axes[0], int):
            (axes,) = axes
        return _transposed(self, axes or None)

    @property
    def T(self) -> Any:  # noqa: N802, as NumPy spells it
        return _transposed(self) if self.ndim > 1 else self

    def __invert__(self) -> Any:
        return _tape().enter(np.invert, (self,), {})

    def __copy__(self) -> Any:
        return self.copy()


def _bitwise(name: str, ufunc: Any) -> None:
    setattr(Array, f"__{name}__", lambda a, b: _tape().enter(ufunc, (a, b), {}))
    setattr(Array, f"__r{name}__", lambda a, b: _tape().enter(ufunc, (b, a), {}))

    def in_place(a: Any, b: Any) -> Any:
        _tape().write(a, _tape().enter(ufunc, (a, b), {}))
        return a

    setattr(Array, f"__i{name}__", in_place)


for _name, _ufunc in {
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}.items():
    _bitwise(_name, _ufunc)


def _refusing(what: str) -> Any:
    """Return a method that refuses what Python asks for."""
    return lambda self, *args: _tape().refuse(what)


for _name in ("complex", "hash", "index", "reduce", "repr", "round"):
    setattr(Array, f"__{_name}__", _refusing(_name))


def _array_method(name: str) -> None:
    function = getattr(np, name)

    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        return _tape().call(function, (self, *args), kwargs)

    setattr(Array, name, method)


for _name in [
    "clip",
    "cumprod",
    "cumsum",
    "diagonal",
    "dot",
    "max",
    "mean",
    "min",
    "prod",
    "ravel",
    "repeat",
    "round",
    "searchsorted",
    "squeeze",
    "std",
    "sum",
    "swapaxes",
    "take",
    "trace",
    "var",
]:
    _array_method(_name)


class Number:
    """A Python number that may be another one when the program runs."""

    __slots__ = ("_is_input", "tape", "value", "variable")

    def __init__(
        self, tape: Tape, value: Any, variable: Variable, is_input: bool = False
    ) -> None:
        self.tape, self.value, self.variable = tape, value, variable
        self._is_input = is_input

    def __bool__(self) -> bool:
        if not self._is_input:
            self.tape.refuse("bool")
        truth = bool(self.value)
        self.tape.guards.append((self.variable, truth))
        return truth

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        if any(isinstance(x, Node) for x in inputs):
            return NotImplemented
        if method == "__call__":
            return self.tape.call(ufunc, inputs, kwargs)
        return self.tape.enter(getattr(ufunc, method), inputs, kwargs)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.value)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        self.tape.refuse("array")

    def _refuse(self, *args: Any) -> Any:
        self.tape.refuse("number")

    __float__ = __int__ = __index__ = __complex__ = __round__ = __hash__ = _refuse
    __trunc__ = __floor__ = __ceil__ = __repr__ = __str__ = __format__ = _refuse


def _number_operator(name: str) -> None:
    """Give Number one of Python's operators."""
    function = getattr(operator, f"__{name}__")
    compares = function in COMPARISONS

    def apply(*inputs: Any) -> Any:
        (tape, *_) = (x.tape for x in inputs if type(x) is Number)
        if not all(type(x) in (bool, int, float, Number) for x in inputs):
            return NotImplemented
        if compares:
            tape.refuse("comparison")
        return tape.enter(function, inputs, {})

    setattr(Number, f"__{name}__", apply)
    if not compares and name not in ("neg", "pos", "abs"):
        setattr(Number, f"__r{name}__", lambda a, b: apply(b, a))


NUMBER_OPERATORS = "add sub mul truediv floordiv mod pow neg pos abs lt le gt ge eq ne"
for _name in NUMBER_OPERATORS.split():
    _number_operator(_name)


NUMBERS = (
    "compute with NumPy's functions, np.sqrt() and not math.sqrt(); as a size or an "
    "index pass an int"
)
OUT = "a value is taken out of its array", LOOK
TEXT = "a value is printed, or made text", LOOK
REASONS = {
    "array": (
        "a value is put into an array of NumPy's own",
        "build arrays with np.stack(), np.concatenate() or np.where(); np.asarray(x) "
        "is not needed",
    ),
    "bool": ("the function branches on a value", CHOOSE),
    "comparison": ("the function branches on a number", CHOOSE),
    "format": TEXT,
    "hash": (
        "a value is looked up in a dict or set",
        "let an array be the table: table[i]",
    ),
    "item": OUT,
    "reduce": OUT,
    "repr": TEXT,
    "tolist": OUT,
}


def _tape() -> Any:
    tape: Any = current_mode.get().tape
    if tape is None:
        raise TypeError(
            "compile: an array is used that was recorded while a function was "
            "compiled; it holds no value; return it from the function instead"
        )
    return tape


def _value(x: Any) -> Any:
    """Return the value at recording time, which nobody may write to."""
    if type(x) is Number:
        return x.value
    if not isinstance(x, Node):
        return x
    view = x.array.view()
    view.flags.writeable = False
    return view


def _is_mask(i: Any) -> bool:
    return type(i) is Array and i.dtype == bool


def _is_simple_mean(args: Any, kwargs: Any) -> bool:
    (x, *_) = args
    is_float = type(x) is Array and x.dtype.kind == "f" and x.dtype.itemsize > 2
    return is_float and kwargs.keys() <= {"axis", "keepdims"} and x.size > 0


def _is_shaped_by_values(function: Any, args: Any, kwargs: Any) -> bool:
    """Whether the shape of an answer would be another for other values."""
    if function is np.repeat:
        return any(isinstance(x, Node) for x in parts(args[1:], kwargs))
    return function in SHAPED_BY_VALUES or (function is np.where and len(args) == 1)


def _normal(function: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """Return the arguments without those at their defaults, and what ``out`` is."""
    if isinstance(function, np.ufunc):
        (out,) = kwargs.pop("out", (None,))
        return args, kwargs, out
    defaults = defaults_of(function)
    names = list(defaults)
    n = names.index("out") if "out" in names else len(args)
    if function in REDUCTIONS.values():
        n = 1
    if len(args) > n:
        kwargs = dict(zip(names[n:], args[n:])) | kwargs
        args = args[:n]
    out = kwargs.get("out")
    kwargs = {
        name: x
        for name, x in kwargs.items()
        if name != "out"
        and not (name in defaults and x is defaults[name])
        and not (name == "keepdims" and x is False)
    }
    return args, kwargs, out


def _reshaped(x: Any, shape: Any = None, order: Any = "C", **kwargs: Any) -> Any:
    """Reshape; column by column (order="F") is row by row of the transposes."""
    shape = kwargs.get("newshape", shape)
    if order == "F":
        full = np.reshape(x.array, shape).shape
        return _transposed(_reshaped(_transposed(x), full[::-1]))
    return _tape().enter(np.reshape, (x, np.reshape(x.array, shape).shape), {})


def _transposed(x: Any, axes: Any = None) -> Any:
    backwards = tuple(range(x.ndim))[::-1]
    if axes is None or tuple(a % x.ndim for a in axes) == backwards:
        return _tape().enter(np.transpose, (x,), {})
    return _tape().enter(np.transpose, (x, tuple(axes)), {})


def _one_step(tape: Tape, op: Op, arrays: list[Any], params: Any) -> Any:
    """Enter an op as one equation."""
    forward: Any = op.forward
    if type(forward).__hash__ is None:  # as of a dataclass that can be called
        forward = forward.__call__
    with tape.recording.put_back():
        answer = tape.enter(forward, tuple(arrays), params)
    return tape.enter(np.asarray, (answer,), {}) if type(answer) is Number else answer


def _if_possible(tape: Tape, op: Op, arrays: list[Any], params: Any) -> Any:
    """Lower an op of the user's own; if it needs values, enter it as one equation."""
    before = len(tape.equations), tape.failure
    try:
        answer = op.compute(arrays, params)
        if type(answer) is Array:
            return answer
    except Exception:  # whatever it is, the op itself will say it
        pass
    del tape.equations[before[0] :]
    tape.failure = before[1]
    return _one_step(tape, op, arrays, params)


# Ops whose forward function makes an array of NumPy's own.
LOWERED: dict[str, Any] = {
    "broadcast_to": lambda tape, op, arrays, params: tape.enter(
        np.broadcast_to, (*arrays, params["shape"]), {}
    ),
    "getitem": lambda tape, op, arrays, params: tape.enter(
        operator.getitem, (*arrays, params["index"]), {}
    ),
} | dict.fromkeys(["add_at", "cholesky", "inv", "solve"], _one_step)
