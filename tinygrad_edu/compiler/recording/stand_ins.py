"""Stand-ins for arrays and Python numbers while a function is recorded.

An `Array` is a node, so that ops and NumPy's functions come to the tape, but for
isinstance() it is an ndarray, and it can be written to as one.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.compiler.functions import (
    REDUCTIONS,
    UFUNC_OF_OPERATOR,
    astype,
    replaced,
)
from tinygrad_edu.compiler.program import Variable
from tinygrad_edu.compiler.recording.memory import Memory
from tinygrad_edu.compiler.recording.refusals import current_tape
from tinygrad_edu.engine.array_like import ArrayLike
from tinygrad_edu.engine.graph import Node, new_constant
from tinygrad_edu.engine.op import Op, as_array

__all__ = ["Array", "Number", "reshaped", "transposed"]


class Array(ArrayLike):
    """An array, while a function is recorded: it writes down what is done with it."""

    __slots__ = ("is_scalar", "memory")
    is_scalar: bool  # as of NumPy's scalars, which cannot be written to
    memory: Memory

    @classmethod
    def of(cls, array: Any, memory: Memory, is_scalar: bool = False) -> Array:
        if array.flags.writeable:  # nobody may write to it while recording
            array = array.view()
            array.setflags(write=False)
        new: Array = new_constant(cls, array)
        new.memory, new.is_scalar = memory, is_scalar
        return new

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The class that isinstance() sees: an array's, since a program gets arrays."""
        current_tape()  # raises if the recording is over
        return self.dtype.type if self.is_scalar else np.ndarray

    # --- What NumPy hands over --------------------------------------------------------

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        for x in inputs:
            if type(x) is not Array and isinstance(x, Node):
                return NotImplemented
        if method == "__call__":
            return current_tape().call(ufunc, inputs, kwargs)
        out = kwargs.pop("out", None)
        if method == "reduce" and ufunc in REDUCTIONS:
            kwargs.setdefault("axis", inputs[1] if len(inputs) > 1 else 0)
            answer = current_tape().call(REDUCTIONS[ufunc], inputs[:1], kwargs)
        elif method == "at":
            current_tape().fail("an array is written to", "compute a new array instead")
        else:
            answer = current_tape().enter(getattr(ufunc, method), inputs, kwargs)
        return answer if out is None else current_tape().write_out(out[0], answer)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if any(issubclass(kind, Node) and kind is not Array for kind in types):
            return NotImplemented
        return current_tape().call(function, args, kwargs)

    def __getitem__(self, index: Any) -> Any:
        return current_tape().enter(operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        tape = current_tape()
        if index is Ellipsis:
            tape.write(self, value)
        else:
            tape.write(self, tape.enter(replaced, (self, index, value), {}))

    def _in_place(self, op: Op, write: Any, other: Any) -> Any:
        if self.is_scalar:
            return current_tape().apply(op, (self, other), None)
        if isinstance(other, Node) and type(other) is not Array:
            return op.forward(self, other, out=self)  # raises if it would be recorded
        current_tape().write(self, current_tape().apply(op, (self, other), None))
        return self

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        if name in ("__array_interface__", "__array_struct__", "__dlpack__"):
            current_tape().refuse("array")
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(f"an array has no attribute {name!r}")
        current_tape().fail(
            f"an array's .{name} is used", "look for a function of NumPy's"
        )

    @property
    def base(self) -> Any:
        """What it is a view of, or None."""
        return self.memory.base

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        if not copy and self.dtype == np.dtype(dtype):
            return self
        return current_tape().enter(astype, (self, np.dtype(dtype)), {})

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        return reshaped(self, shape[0] if len(shape) == 1 else shape, order)

    def flatten(self, order: str = "C") -> Any:
        return reshaped(self, -1, order).copy()

    # The result is None, as that of ndarray's methods.
    def sort(self, *args: Any, **kwargs: Any) -> Any:
        self[...] = np.sort(self, *args, **kwargs)

    def partition(self, *args: Any, **kwargs: Any) -> Any:
        self[...] = np.partition(self, *args, **kwargs)

    def copy(self, order: str = "C") -> Any:
        if order != "C":
            current_tape().fail("order= asks for a layout in memory", "leave it out")
        return current_tape().enter(np.positive, (self,), {})

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    @property
    def T(self) -> Any:  # noqa: N802, as NumPy spells it
        return transposed(self) if self.ndim > 1 else self

    def __invert__(self) -> Any:
        return current_tape().enter(np.invert, (self,), {})


def _bitwise(name: str) -> None:
    ufunc = getattr(np, f"bitwise_{name}")
    setattr(Array, f"__{name}__", lambda a, b: current_tape().enter(ufunc, (a, b), {}))
    setattr(Array, f"__r{name}__", lambda a, b: current_tape().enter(ufunc, (b, a), {}))

    def in_place(a: Any, b: Any) -> Any:
        current_tape().write(a, current_tape().enter(ufunc, (a, b), {}))
        return a

    setattr(Array, f"__i{name}__", in_place)


for _name in ("and", "or", "xor"):
    _bitwise(_name)


def _refusing(what: str) -> Any:
    """Return a method that refuses what Python asks for."""
    return lambda self, *args: current_tape().refuse(what)


for _name in ("complex", "hash", "index", "reduce", "repr", "round"):
    setattr(Array, f"__{_name}__", _refusing(_name))


def _array_method(name: str) -> None:
    function = getattr(np, name)

    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        return current_tape().call(function, (self, *args), kwargs)

    setattr(Array, name, method)


ARRAY_METHODS = (
    "clip cumprod cumsum diagonal dot max mean min prod ravel repeat round "
    "searchsorted squeeze std sum swapaxes take trace var"
)
for _name in ARRAY_METHODS.split():
    _array_method(_name)


def reshaped(x: Any, shape: Any = None, order: Any = "C", **kwargs: Any) -> Any:
    """Reshape; column by column (order="F") is row by row of the transposes."""
    x, shape = as_array(x), kwargs.get("newshape", shape)
    if order == "F":
        full = np.reshape(x.array, shape).shape
        return transposed(reshaped(transposed(x), full[::-1]))
    return current_tape().enter(np.reshape, (x, np.reshape(x.array, shape).shape), {})


def transposed(x: Any, axes: Any = None) -> Any:
    x = as_array(x)
    backwards = tuple(range(x.ndim))[::-1]
    if axes is None or tuple(a % x.ndim for a in axes) == backwards:
        return current_tape().enter(np.transpose, (x,), {})
    return current_tape().enter(np.transpose, (x, tuple(axes)), {})


class Number:
    """A Python number that may be another one when the program runs."""

    __slots__ = ("_is_input", "value", "variable")

    def __init__(self, value: Any, variable: Variable, is_input: bool = False) -> None:
        self.value, self.variable, self._is_input = value, variable, is_input

    def __bool__(self) -> bool:
        if not self._is_input:
            current_tape().refuse("bool")
        truth = bool(self.value)
        current_tape().guards.append((self.variable, truth))
        return truth

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        if any(isinstance(x, Node) for x in inputs):
            return NotImplemented
        if method == "__call__":
            return current_tape().call(ufunc, inputs, kwargs)
        return current_tape().enter(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if any(issubclass(kind, Node) for kind in types):
            return NotImplemented
        return current_tape().call(function, args, kwargs)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.value)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        current_tape().refuse("array")

    def _refuse(self, *args: Any) -> Any:
        current_tape().refuse("number")

    __float__ = __int__ = __index__ = __complex__ = __round__ = __hash__ = _refuse
    __trunc__ = __floor__ = __ceil__ = __repr__ = __str__ = __format__ = _refuse


def _number_operator(name: str) -> None:
    """Give Number one of Python's operators."""
    function = getattr(operator, f"__{name}__")
    compares = function in UFUNC_OF_OPERATOR

    def apply(*inputs: Any) -> Any:
        if not all(type(x) in (bool, int, float, Number) for x in inputs):
            return NotImplemented
        if compares:
            current_tape().refuse("comparison")
        return current_tape().enter(function, inputs, {})

    setattr(Number, f"__{name}__", apply)
    if not compares and name not in ("neg", "pos", "abs"):
        setattr(Number, f"__r{name}__", lambda a, b: apply(b, a))


NUMBER_OPERATORS = "add sub mul truediv floordiv mod pow neg pos abs lt le gt ge eq ne"
for _name in NUMBER_OPERATORS.split():
    _number_operator(_name)
