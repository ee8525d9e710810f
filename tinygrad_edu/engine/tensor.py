"""`Tensor`: an array that records the ops applied to it.

What it has in common with an ndarray, operators above all, is in `array_like`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine import autodiff
from tinygrad_edu.engine.array_like import ArrayLike
from tinygrad_edu.engine.graph import Node, current_mode, new_index, value_of
from tinygrad_edu.engine.op import as_array
from tinygrad_edu.support.kinds import Operand

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Tensor"]


class Tensor(ArrayLike):
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
        data: Operand,
        *,
        requires_grad: bool = False,
        dtype: DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        data = as_array(data)
        array: Any = data.array if isinstance(data, Node) else data
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
        gradient: Operand | None = None,
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
    def data(self, value: Tensor | np.ndarray[Any, Any] | np.generic) -> None:
        array = _assigned_array("data", value)
        if array is self.array:  # `t.data -= 1` assigns the same array at the end
            return
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
    def grad(self) -> Tensor:  # or None; to say so would flag each ``w.grad.data``
        if (tape := current_mode.get().tape) is not None:
            tape.see(self)
        gradient: Tensor = self.accumulated
        return gradient

    @grad.setter
    def grad(self, value: Tensor | np.ndarray[Any, Any] | np.generic | None) -> None:
        if (tape := current_mode.get().tape) is not None:
            tape.see(self, is_read=False)
        if value is None:
            self.accumulated = None
            return
        array = _assigned_array("grad", value, ", or None to clear the gradient")
        if array.shape != self.array.shape:
            raise ValueError(
                f"grad: the gradient has shape {array.shape}, and the Tensor has "
                f"{self.array.shape}; they must be equal"
            )
        if array.dtype != self.array.dtype:
            value = value.astype(self.array.dtype)
        is_array = isinstance(value, np.ndarray | np.generic)
        self.accumulated = Tensor(value) if is_array else value

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op computed this Tensor."""
        return self.op is None

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return the value: the array itself, not a copy."""
        return self.data

    to_numpy = numpy  # pandas' name for it, which Matplotlib looks for

    def __dir__(self) -> list[str]:
        """Name what is for users, so not what `data` and `grad` are stored in."""
        inner = {"accumulated", "array", "calls", "index", "origin"}
        return sorted({*super().__dir__()} - inner)

    def __repr__(self) -> str:
        text = np.array2string(self._known("repr"), separator=", ", prefix="Tensor(")
        if self.dtype not in (np.float64, np.int64, np.bool_):
            text += f", dtype={self.dtype}"
        if self.requires_grad:
            text += ", requires_grad=True" if self.is_leaf else f", op={self.op.name}"
        return f"Tensor({text})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.op is not None:
            raise TypeError(
                "copy: an op computed this Tensor, and copying it would copy or lose "
                "its graph; copy t.detach() instead"
            )
        kind = partial(Tensor, requires_grad=self.requires_grad, name=self.name)
        return kind, (self.array,)


def _assigned_array(who: str, value: Any, other: str = "") -> np.ndarray[Any, Any]:
    """Return the array of what a user assigns to ``.data`` or ``.grad``."""
    array = value.array if isinstance(value, Node) else value
    if not isinstance(array, np.ndarray | np.generic):
        raise TypeError(
            f"{who}: assign an array or a Tensor of real numbers{other}, not "
            f"{value!r:.80}; for a list or a number write np.array(...)"
        )
    _check_real(who, array.dtype)
    return np.asarray(array)


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
