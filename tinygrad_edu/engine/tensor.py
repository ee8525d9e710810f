"""`Tensor`: an array that records the ops applied to it.

Operators record, and so do the methods that come from the table of ops. Comparisons and
queries return plain arrays and numbers.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from dis import opmap
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine import autodiff, graph
from tinygrad_edu.engine.errors import explain_failure
from tinygrad_edu.engine.graph import Node, current_mode, new_index, query, value_of
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

__all__ = ["Tensor"]

record: Callable[..., Tensor] = graph.record


class Tensor(Node):
    """An array that records the ops applied to it, so that it can be differentiated.

    Parameters
    ----------
    data : array_like
        Real numbers. Floats keep their dtype; integers and booleans are constants.
    requires_grad : bool
        If true, `backward` adds the gradient to ``.grad``. The Tensor then copies the
        data, since optimisers change it in place; otherwise it shares the array's
        memory. This and all following parameters are keyword-only.
    dtype : dtype, optional
        Convert the data to this dtype first.
    name : str, optional
        Shown where the graph is printed or drawn.

    Attributes
    ----------
    data : ndarray
        The value. Assign an array or a Tensor of real numbers to change the value of a
        leaf. The leaf then shares that memory, and takes its shape and dtype; if these
        differ from before, ``grad`` is set to None.
    grad : Tensor or None
        For a leaf: the sum of all gradients passed back to it so far, in the leaf's
        shape and dtype. You may assign None, or an array or a Tensor of that shape; it
        is converted to the leaf's dtype.
    op, inputs, params
        How the value was computed; ``op`` is None for a leaf.

    Raises
    ------
    TypeError
        If the data are complex or not an array of numbers, if the gradient of integers
        or booleans is asked for, or if the name is not a string.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    Tensor([2., 4., 6.])
    """

    __slots__ = ()

    def __init__(
        self,
        data: Any,
        *,
        requires_grad: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        array: Any = data.array if isinstance(data, Node) else np.asarray(data)
        _check_real("Tensor", array.dtype)
        if dtype is not None and array.dtype != dtype:
            _check_real("Tensor", np.dtype(dtype))
            array = array.astype(dtype)
        if requires_grad:
            _check_float("Tensor", array.dtype, "pass dtype=float")
            array = array.copy()
        if name is not None and not isinstance(name, str):
            raise TypeError(
                f"Tensor: the name must be a string, but it is of type "
                f"{type(name).__name__}: {name!r}"
            )
        self.array = array
        self.requires_grad = requires_grad
        self.name = name
        self.accumulated = self.op = self.params = self.origin = None
        self.inputs = ()
        self.index = new_index()
        if isinstance(data, Node) and (tape := current_mode.get().tape) is not None:
            tape.alias(self, data)

    # --- Differentiation --------------------------------------------------------------

    def backward(
        self,
        gradient: Any = None,
        *,
        retain_graph: bool = False,
        create_graph: bool = False,
    ) -> None:
        """Add the gradient of this value to the ``.grad`` of every leaf it depends on.

        Parameters
        ----------
        gradient : array_like, optional
            The cotangent to start from, in this Tensor's shape. Default for a single
            number: 1.
        retain_graph : bool
            Keep the graph for another ``backward``; else release it.
        create_graph : bool
            Record the backward pass too, so that gradients can be differentiated. It
            implies `retain_graph`. The leaf and its gradient then keep each other
            alive until you call ``zero_grad()``.

        Raises
        ------
        ValueError
            If this Tensor depends on no leaf that requires a gradient, if the graph was
            released before, or if `gradient` is missing or has another shape.
        """
        if not self.requires_grad:
            raise ValueError(
                "backward: this Tensor depends on no leaf that requires a gradient "
                "(create leaves with requires_grad=True, and compute outside of "
                "no_grad())"
            )
        value = self.array
        if gradient is None:
            if value.size != 1:
                raise ValueError(
                    f"backward: this Tensor has shape {self.shape}, and only a single "
                    "number has a gradient; call sum() first, or pass gradient="
                )
            one = value.dtype.type(1)
            gradient = np.full(value.shape, one) if value.ndim else one
        elif np.shape(gradient) != value.shape:
            raise ValueError(
                f"backward: the gradient has shape {np.shape(gradient)}, "
                f"and this Tensor has {self.shape}; they must be equal"
            )
        elif isinstance(gradient, Tensor) and create_graph:
            gradient = gradient.astype(self.dtype)  # part of the graph, if it has one
        else:
            gradient = Tensor(gradient, dtype=self.dtype).data
        if create_graph and not isinstance(gradient, Tensor):
            gradient = Tensor(gradient)
        autodiff.backward(self, gradient, retain_graph, create_graph)

    def zero_grad(self) -> None:
        """Set ``.grad`` to None."""
        self.grad = None

    def detach(self) -> Tensor:
        """Return a constant Tensor of the same value, sharing its memory."""
        return Tensor(self, name=self.name)

    # --- The value --------------------------------------------------------------------

    @property
    def data(self) -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any] = value_of(self)
        return array

    @data.setter
    def data(self, value: Any) -> None:
        array: Any = value.array if isinstance(value, Node) else value
        if array is self.array:  # `t.data -= 1` assigns the same array at the end
            return
        if not isinstance(array, np.ndarray | np.generic):
            raise TypeError(
                "data: assign an array or a Tensor of real numbers, not "
                f"{value!r:.80}; for a list or a number write np.array(...)"
            )
        array = np.asarray(array)
        _check_real("data", array.dtype)
        if self.op is not None:
            raise TypeError(
                "data: an op computed this Tensor, and the graph needs its value; "
                "assign to the .data of a leaf, or make a new Tensor"
            )
        if self.requires_grad:
            _check_float("data", array.dtype, "convert it with .astype(float)")
        if array.shape != self.array.shape or array.dtype != self.array.dtype:
            self.grad = None
        tape = current_mode.get().tape
        if tape is not None:
            tape.rebind(self, value)
        else:
            self.array = array

    @property
    def grad(self) -> Any:
        if (tape := current_mode.get().tape) is not None:
            tape.see(self)
        return self.accumulated

    @grad.setter
    def grad(self, value: Any) -> None:
        if (tape := current_mode.get().tape) is not None:
            tape.see(self, is_read=False)
        if value is None:
            self.accumulated = None
            return
        array: Any = value.array if isinstance(value, Node) else value
        if not isinstance(array, np.ndarray | np.generic):
            raise TypeError(
                "grad: assign an array or a Tensor of real numbers, or None to clear "
                f"the gradient, not {value!r:.80}"
            )
        _check_real("grad", array.dtype)
        if array.shape != self.array.shape:
            raise ValueError(
                f"grad: the gradient has shape {array.shape}, and the Tensor has "
                f"{self.array.shape}; they must be equal"
            )
        if array.dtype != self.array.dtype:
            value = value.astype(self.array.dtype)
        is_array = isinstance(value, np.ndarray | np.generic)
        self.accumulated = Tensor(value) if is_array else value

    # --- Queries ----------------------------------------------------------------------

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op computed this Tensor."""
        return self.op is None

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

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return the value: the array itself, not a copy."""
        return self.data

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

    def __repr__(self) -> str:
        text = np.array2string(self._known("repr"), separator=", ", prefix="Tensor(")
        if self.dtype not in (np.float64, np.int64, np.bool_):
            text += f", dtype={self.dtype}"
        if self.requires_grad:
            text += ", requires_grad=True" if self.is_leaf else f", op={self.op.name}"
        return f"Tensor({text})"

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

    def __reduce__(self) -> tuple[Any, ...]:
        if self.op is not None:
            raise TypeError(
                "copy: an op computed this Tensor, and copying it would copy or lose "
                "its graph; copy t.detach() instead"
            )
        kind = partial(Tensor, requires_grad=self.requires_grad, name=self.name)
        return kind, (self.array,)

    # --- Operators --------------------------------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return record(add, (self, other))

    def __radd__(self, other: Any) -> Tensor:
        return record(add, (other, self))

    def __sub__(self, other: Any) -> Tensor:
        return record(subtract, (self, other))

    def __rsub__(self, other: Any) -> Tensor:
        return record(subtract, (other, self))

    def __mul__(self, other: Any) -> Tensor:
        return record(multiply, (self, other))

    def __rmul__(self, other: Any) -> Tensor:
        return record(multiply, (other, self))

    def __truediv__(self, other: Any) -> Tensor:
        return record(divide, (self, other))

    def __rtruediv__(self, other: Any) -> Tensor:
        return record(divide, (other, self))

    def __pow__(self, other: Any) -> Tensor:
        return record(power, (self, other))

    def __rpow__(self, other: Any) -> Tensor:
        return record(power, (other, self))

    def __matmul__(self, other: Any) -> Tensor:
        return record(matmul, (self, other))

    def __rmatmul__(self, other: Any) -> Tensor:
        return record(matmul, (other, self))

    def __neg__(self) -> Tensor:
        return record(negative, (self,))

    def __pos__(self) -> Tensor:
        return record(positive, (self,))

    def __abs__(self) -> Tensor:
        return record(absolute, (self,))

    def __getitem__(self, index: Any) -> Tensor:
        return record(getitem, (self,), {"index": _plain_index(index)})

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "setitem: you cannot write to a Tensor, since the graph needs its value; "
            "build a new one with where(), concatenate() or stack(), "
            "or write to .data before an op uses it"
        )

    def __mod__(self, other: Any) -> Tensor:
        return record(remainder, (self, other))

    def __rmod__(self, other: Any) -> Tensor:
        return record(remainder, (other, self))

    def __floordiv__(self, other: Any) -> Tensor:
        return record(floor_divide, (self, other))

    def __rfloordiv__(self, other: Any) -> Tensor:
        return record(floor_divide, (other, self))

    # --- In place: under no_grad(), into a leaf that requires a gradient --------------

    def __iadd__(self, other: Any) -> Tensor:
        return self._in_place(add, operator.iadd, other)

    def __isub__(self, other: Any) -> Tensor:
        return self._in_place(subtract, operator.isub, other)

    def __imul__(self, other: Any) -> Tensor:
        return self._in_place(multiply, operator.imul, other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self._in_place(divide, operator.itruediv, other)

    def __ipow__(self, other: Any) -> Tensor:
        return self._in_place(power, operator.ipow, other)

    def __imatmul__(self, other: Any) -> Tensor:
        return self._in_place(matmul, operator.imatmul, other)

    def __imod__(self, other: Any) -> Tensor:
        return self._in_place(remainder, operator.imod, other)

    def __ifloordiv__(self, other: Any) -> Tensor:
        return self._in_place(floor_divide, operator.ifloordiv, other)

    def _in_place(self, op: Op, write: Callable[..., Any], other: Any) -> Tensor:
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
    def T(self) -> Tensor:  # noqa: N802, as NumPy spells it
        """The transpose, with the axes reversed."""
        return record(transpose, (self,), {"axes": None})

    def reshape(self, *shape: Any) -> Tensor:
        """``t.reshape(2, 3)`` or ``t.reshape((2, 3))``."""
        return record(
            reshape, (self,), {"shape": shape[0] if len(shape) == 1 else shape}
        )

    def transpose(self, *axes: Any) -> Tensor:
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

    if TYPE_CHECKING:  # the methods that come from the table of ops, and those below

        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...


def _plain_index(index: Any) -> Any:
    """Convert Tensors of integers or booleans in an index to arrays."""
    if isinstance(index, tuple):
        return tuple(value_of(i) for i in index)
    return value_of(index)


def _check_real(who: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "fiub":
        raise TypeError(
            f"{who}: a Tensor holds real numbers, not numbers of dtype {dtype}"
            + ("; pass .real and .imag separately" if dtype.kind == "c" else "")
        )


def _check_float(who: str, dtype: np.dtype[Any], way_out: str) -> None:
    if dtype.kind != "f":
        raise TypeError(
            f"{who}: only floats can have a gradient, not {dtype}; {way_out}"
        )


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

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
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
    setattr(Tensor, _name, _array_method(_name))
