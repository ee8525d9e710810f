"""`ArrayLike`: a node that can be used as an ndarray.

Operators record, and so do the methods that come from the table of ops. Comparisons and
queries return plain arrays and numbers.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from dis import opmap
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine.errors import explain_failure
from tinygrad_edu.engine.graph import Node, current_mode, query, record, value_of
from tinygrad_edu.engine.op import Op
from tinygrad_edu.engine.protocols import apply_function, apply_ufunc
from tinygrad_edu.ops.arithmetic import abs as absolute
from tinygrad_edu.ops.arithmetic import (
    add,
    divide,
    floor_divide,
    multiply,
    negative,
    positive,
    remainder,
    subtract,
)
from tinygrad_edu.ops.functions import power
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.products import matmul
from tinygrad_edu.ops.shapes import reshape, transpose

__all__ = ["ArrayLike"]


class ArrayLike(Node):
    """A node with the operators and methods of an ndarray; `Tensor` is one."""

    __slots__ = ()

    # --- Queries ----------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def size(self) -> int:
        return self.array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.array.dtype
        return dtype

    def item(self) -> Any:
        """Return the one element as a Python number."""
        return self._known("item").item()

    def tolist(self) -> Any:
        """Return the elements as nested lists of Python numbers."""
        return self._known("tolist").tolist()

    def _known(self, what: str) -> np.ndarray[Any, Any]:
        """Return the array for `what`, which makes a Python object of it."""
        if (tape := current_mode.get().tape) is not None:
            tape.refuse(what)
        return self.array

    def __float__(self) -> float:
        if self.requires_grad and current_mode.get().recording:
            _refuse_to_be_stored(sys._getframe(1))
        return float(self._number("float"))

    def __int__(self) -> int:
        return int(self._number("int"))

    def _number(self, kind: str) -> Any:
        """Return the one element; raise if the derivative would be lost."""
        if self.requires_grad and current_mode.get().nested:
            raise TypeError(
                f"{kind}: a Python number has no derivative, and this Tensor is being "
                "differentiated; call np.sin(), not math.sin(), build arrays with "
                "np.stack() or np.where(); for the plain value write t.item()"
            )
        return self._known(kind).item()

    def __round__(self, ndigits: int | None = None) -> Any:
        return self.round(ndigits or 0)

    def __format__(self, spec: str) -> str:
        """Format the one element, as in ``f"{loss:.4f}"``."""
        if not spec:
            return str(self)
        if self.size != 1:
            raise TypeError(
                f"format: {spec!r} formats one number, and this Tensor has shape "
                f"{self.shape}; format its mean() or one element, t[0], or write the "
                "whole Tensor without a format"
            )
        return format(self.item(), spec)

    def __bool__(self) -> bool:
        return bool(self._known("bool"))

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError("iter: cannot loop over a Tensor without dimensions")
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self.requires_grad:
            raise TypeError(
                "array: converting this Tensor to an array would lose its graph; use "
                ".data for its value, and stack() or concatenate() to join Tensors"
            )
        return np.array(self._known("array"), dtype, copy=copy)

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        """Let ``array * tensor`` and ``np.exp(tensor)`` record."""
        return apply_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Let ``np.sum(tensor, axis=0)`` record."""
        return apply_function(function, args, kwargs)

    # --- Operators --------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return record(add, (self, other))

    def __radd__(self, other: Any) -> Any:
        return record(add, (other, self))

    def __sub__(self, other: Any) -> Any:
        return record(subtract, (self, other))

    def __rsub__(self, other: Any) -> Any:
        return record(subtract, (other, self))

    def __mul__(self, other: Any) -> Any:
        return record(multiply, (self, other))

    def __rmul__(self, other: Any) -> Any:
        return record(multiply, (other, self))

    def __truediv__(self, other: Any) -> Any:
        return record(divide, (self, other))

    def __rtruediv__(self, other: Any) -> Any:
        return record(divide, (other, self))

    def __pow__(self, other: Any) -> Any:
        return record(power, (self, other))

    def __rpow__(self, other: Any) -> Any:
        return record(power, (other, self))

    def __matmul__(self, other: Any) -> Any:
        return record(matmul, (self, other))

    def __rmatmul__(self, other: Any) -> Any:
        return record(matmul, (other, self))

    def __neg__(self) -> Any:
        return record(negative, (self,))

    def __pos__(self) -> Any:
        return record(positive, (self,))

    def __abs__(self) -> Any:
        return record(absolute, (self,))

    def __getitem__(self, index: Any) -> Any:
        return record(getitem, (self,), {"index": _plain_index(index)})

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "setitem: you cannot write to a Tensor, since the graph needs its value; "
            "build a new one with where(), concatenate() or stack(), "
            "or write to .data before an op uses it"
        )

    def __mod__(self, other: Any) -> Any:
        return record(remainder, (self, other))

    def __rmod__(self, other: Any) -> Any:
        return record(remainder, (other, self))

    def __floordiv__(self, other: Any) -> Any:
        return record(floor_divide, (self, other))

    def __rfloordiv__(self, other: Any) -> Any:
        return record(floor_divide, (other, self))

    # --- In place: under no_grad(), into a leaf that requires a gradient --------------

    def __iadd__(self, other: Any) -> Any:
        return self._in_place(add, operator.iadd, other)

    def __isub__(self, other: Any) -> Any:
        return self._in_place(subtract, operator.isub, other)

    def __imul__(self, other: Any) -> Any:
        return self._in_place(multiply, operator.imul, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._in_place(divide, operator.itruediv, other)

    def __ipow__(self, other: Any) -> Any:
        return self._in_place(power, operator.ipow, other)

    def __imatmul__(self, other: Any) -> Any:
        return self._in_place(matmul, operator.imatmul, other)

    def __imod__(self, other: Any) -> Any:
        return self._in_place(remainder, operator.imod, other)

    def __ifloordiv__(self, other: Any) -> Any:
        return self._in_place(floor_divide, operator.ifloordiv, other)

    def _in_place(self, op: Op, write: Callable[..., Any], other: Any) -> Any:
        """Write to a leaf that requires a gradient; else return a new Tensor."""
        if not self.requires_grad or self.op is not None or self.inputs:
            return record(op, (self, other))
        if current_mode.get().recording:
            raise TypeError(
                f"{op.name}: while ops are recorded, you cannot change a leaf that "
                "requires a gradient in place; update it within `with tg.no_grad():`, "
                "or make a new Tensor: t = t - u instead of t -= u"
            )
        if (tape := current_mode.get().tape) is not None:
            tape.write(self, record(op, (value_of(self), other)))
            return self
        value = value_of(other)
        try:
            self.array = write(self.array, value)
        except (TypeError, ValueError) as error:
            raise explain_failure(
                op.name, op.signature, (self.array, value), None, error
            ) from None
        return self

    # --- Comparisons return plain arrays of bool; hashing is by identity --------------

    def __lt__(self, other: Any) -> Any:
        return query(operator.lt, self, other)

    def __le__(self, other: Any) -> Any:
        return query(operator.le, self, other)

    def __gt__(self, other: Any) -> Any:
        return query(operator.gt, self, other)

    def __ge__(self, other: Any) -> Any:
        return query(operator.ge, self, other)

    def __eq__(self, other: Any) -> Any:
        return query(operator.eq, self, other)

    def __ne__(self, other: Any) -> Any:
        return query(operator.ne, self, other)

    __hash__ = object.__hash__

    # --- Methods that take arguments in several forms, as ndarray's do ----------------

    @property
    def T(self) -> Any:  # noqa: N802, as NumPy spells it
        """The transpose, with the axes reversed."""
        return record(transpose, (self,), {"axes": None})

    def reshape(self, *shape: Any) -> Any:
        """``t.reshape(2, 3)`` or ``t.reshape((2, 3))``."""
        return record(
            reshape, (self,), {"shape": shape[0] if len(shape) == 1 else shape}
        )

    def transpose(self, *axes: Any) -> Any:
        """``t.transpose()``, ``t.transpose(1, 0)`` or ``t.transpose((1, 0))``."""
        order: Any = axes or None
        if len(axes) == 1 and not isinstance(axes[0], int):
            (order,) = axes
        return record(transpose, (self,), {"axes": order})

    def flatten(self) -> Any:
        """Return the elements in one dimension."""
        return record(reshape, (self,), {"shape": -1})

    def copy(self) -> Any:
        """Return a copy; the copy is recorded."""
        return record(positive, (self,))

    if TYPE_CHECKING:  # the methods that come from the table of ops, and those below

        def __getattr__(self, name: str) -> Callable[..., Any]: ...


def _plain_index(index: Any) -> Any:
    """Convert Tensors of integers or booleans in an index to arrays."""
    if isinstance(index, tuple):
        return tuple(value_of(i) for i in index)
    return value_of(index)


_STORE = opmap["STORE_SUBSCR"]


def _refuse_to_be_stored(frame: FrameType) -> None:
    """Raise if the caller is ``array[i] = t``, which would lose the gradient.

    NumPy calls ``__float__`` for that, as ``float(t)`` does. Only the bytecode
    instruction of the caller tells which of the two it was.
    """
    if frame.f_code.co_code[frame.f_lasti] == _STORE:
        raise TypeError(
            "setitem: an array element is a plain number, so storing this Tensor in it "
            "would lose the gradient; build the array with tg.stack() or tg.where(), "
            "or store the plain value: a[i] = t.item()"
        )


def _array_method(name: str) -> Callable[..., Any]:
    """Make a method that calls the array's: its result has no derivative."""
    function = getattr(np, name)

    def method(self: ArrayLike, *args: Any, **kwargs: Any) -> Any:
        return query(function, self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"Same as `numpy.ndarray.{name}`."
    return method


for _name in [
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "nonzero",
]:
    setattr(ArrayLike, _name, _array_method(_name))
