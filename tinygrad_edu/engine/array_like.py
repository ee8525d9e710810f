"""`ArrayLike`: a node that can be used as an ndarray.

Operators record, and so do the methods that come from the table of ops. Comparisons and
queries return plain arrays and numbers.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from dis import opmap
from functools import update_wrapper
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
from tinygrad_edu.support import foreign
from tinygrad_edu.support.kinds import Axes, Operand, Shape

if TYPE_CHECKING:
    # The methods that come from the table of ops; and `Tensor`, from further up.
    from tinygrad_edu.ops import Tensor, TensorMethods

    Method = Callable[[Any, Operand], Tensor]
else:
    TensorMethods = Node

__all__ = ["ArrayLike", "query_method"]


def _binary(op: Op) -> tuple[Method, Method]:
    """Return the methods of an operator, with the Tensor on the left or on the right.

    They call `record` and not the op, since one of the inputs is certainly a node.
    """
    return (
        lambda self, other: record(op, (self, other)),
        lambda self, other: record(op, (other, self)),
    )


def _assigned(op: Op, write: Callable[..., Any]) -> Method:
    return lambda self, other: self._in_place(op, write, other)


def query_method(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that has no derivative; its result is a plain array or number."""

    def method(self: Node, *args: Any, **kwargs: Any) -> Any:
        return query(function, self, *args, **kwargs)

    method.__doc__ = f"`{function.__name__}` of the value, as of an array."
    return update_wrapper(method, function, ["__name__"])


class ArrayLike(TensorMethods):
    """A node with the operators and methods of an ndarray; `Tensor` is one."""

    __slots__ = ()

    __dir__ = foreign.listed

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
        """Return the array, whose numbers `what` asks for; a tape may refuse it."""
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

    def __round__(self, ndigits: int | None = None) -> Tensor:
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

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("iter: cannot loop over a Tensor without dimensions")
        return (self[i] for i in range(len(self)))

    # NumPy's own types then promise nothing of the result of ``array * tensor`` and
    # ``np.mean(tensor)``, as of an array of any objects.
    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> np.ndarray[Any, np.dtype[np.object_]]:
        if self.requires_grad:
            raise TypeError(
                "array: converting this Tensor to an array would lose its graph; use "
                "t.numpy() for its value, to compare, plot or store it, and stack() or "
                "concatenate() to join Tensors; SciPy's softmax() and logsumexp() are "
                "in tg.special"
            )
        return np.array(self._known("array"), dtype, copy=copy)

    def __dlpack__(self, **how: Any) -> Any:
        """Share the value's memory, for ``torch.from_dlpack(t)`` and its like."""
        if self.requires_grad:
            raise TypeError(
                "dlpack: another library cannot share this Tensor's graph; share its "
                "value: t.detach()"
            )
        return self._known("dlpack").__dlpack__(**how)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    # A Series or a DataFrame on the left leaves the operator to the Tensor.
    __pandas_priority__ = 5000

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

    __add__, __radd__ = _binary(add)
    __sub__, __rsub__ = _binary(subtract)
    __mul__, __rmul__ = _binary(multiply)
    __truediv__, __rtruediv__ = _binary(divide)
    __pow__, __rpow__ = _binary(power)
    __matmul__, __rmatmul__ = _binary(matmul)
    __mod__, __rmod__ = _binary(remainder)
    __floordiv__, __rfloordiv__ = _binary(floor_divide)

    def __neg__(self) -> Tensor:
        return record(negative, (self,))

    def __pos__(self) -> Tensor:
        return record(positive, (self,))

    def __abs__(self) -> Tensor:
        return record(absolute, (self,))

    def __getitem__(self, index: Any) -> Tensor:
        return record(getitem, (self,), {"index": _plain_index(index)})

    if not TYPE_CHECKING:  # type checkers refuse it too

        def __setitem__(self, index: Any, value: Any) -> None:
            raise TypeError(
                "setitem: you cannot write to a Tensor, since the graph needs its "
                "value; build a new one with where(), concatenate() or stack(), "
                "or write to .data before an op uses it"
            )

    # --- In place: under no_grad(), into a leaf that requires a gradient --------------

    __iadd__ = _assigned(add, operator.iadd)
    __isub__ = _assigned(subtract, operator.isub)
    __imul__ = _assigned(multiply, operator.imul)
    __itruediv__ = _assigned(divide, operator.itruediv)
    __ipow__ = _assigned(power, operator.ipow)
    __imatmul__ = _assigned(matmul, operator.imatmul)
    __imod__ = _assigned(remainder, operator.imod)
    __ifloordiv__ = _assigned(floor_divide, operator.ifloordiv)

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

    __lt__ = query_method(operator.lt)
    __le__ = query_method(operator.le)
    __gt__ = query_method(operator.gt)
    __ge__ = query_method(operator.ge)
    __eq__: Callable[..., Any] = query_method(operator.eq)
    __ne__: Callable[..., Any] = query_method(operator.ne)
    __hash__ = object.__hash__

    # --- Positions, and what is true of elements --------------------------------------

    all = query_method(np.all)
    any = query_method(np.any)
    argmax = query_method(np.argmax)
    argmin = query_method(np.argmin)
    argpartition = query_method(np.argpartition)
    argsort = query_method(np.argsort)
    nonzero = query_method(np.nonzero)

    # --- Methods that take arguments in several forms, as ndarray's do ----------------

    @property
    def T(self) -> Tensor:  # noqa: N802, as NumPy spells it
        """The transpose, with the axes reversed."""
        return record(transpose, (self,), {"axes": None})

    def reshape(self, *shape: Shape) -> Tensor:
        """``t.reshape(2, 3)`` or ``t.reshape((2, 3))``."""
        return record(
            reshape, (self,), {"shape": shape[0] if len(shape) == 1 else shape}
        )

    def transpose(self, *axes: Axes) -> Tensor:
        """``t.transpose()``, ``t.transpose(1, 0)`` or ``t.transpose((1, 0))``."""
        order: Any = axes or None
        if len(axes) == 1 and not isinstance(axes[0], int):
            (order,) = axes
        return record(transpose, (self,), {"axes": order})

    def flatten(self) -> Tensor:
        """Return the elements in one dimension."""
        return record(reshape, (self,), {"shape": -1})

    def copy(self) -> Tensor:
        """Return a copy; the copy is recorded."""
        return record(positive, (self,))


def _plain_index(index: Any) -> Any:
    """Convert Tensors of integers or booleans in an index to arrays."""
    if isinstance(index, tuple):
        return tuple(value_of(i) for i in index)
    return value_of(index)


_STORE = opmap["STORE_SUBSCR"]


def _refuse_to_be_stored(frame: FrameType) -> None:
    """Raise if the caller is ``array[i] = t``, which would lose the gradient.

    NumPy calls ``__float__`` for that, as ``float(t)`` does. Only the caller's bytecode
    instruction shows which of the two it was.
    """
    if frame.f_code.co_code[frame.f_lasti] == _STORE:
        raise TypeError(
            "setitem: an array element is a plain number, so storing this Tensor in it "
            "would lose the gradient; build the array with tg.stack() or tg.where(), "
            "or store the plain value: a[i] = t.item()"
        )


for _name in foreign.TABLE["t"]:  # of a Node, so that a user's op may have the name
    setattr(Node, _name, foreign.Elsewhere("t", _name))
