"""Recording: a `Tracer` takes an array's place, and writes down what is done with it.

The engine runs unchanged. Whatever NumPy function it calls, forward, backward or in an
optimiser's step, NumPy hands over to the tracer (`__array_ufunc__`,
`__array_function__`), which computes it and enters an equation on the `Tape`.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import FrameType
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.compiler.functions import REDUCTIONS, astype, replaced
from tinygrad_edu.compiler.program import (
    Equation,
    EquationOrigin,
    Variable,
    change,
    parts,
)
from tinygrad_edu.compiler.refusals import (
    CHOOSE,
    MASK,
    masked,
    place,
    untraceable,
)
from tinygrad_edu.engine import autodiff
from tinygrad_edu.engine.graph import Node, StandIn, Untraceable
from tinygrad_edu.engine.op import Composite, Op

__all__ = [
    "Binding",
    "Tape",
    "Tracer",
]


class Binding:
    """Where an input comes from: what it is called, and if it may be written to."""

    def __init__(self, name: str, value: Any, writable: bool = False) -> None:
        self.name = name
        self.array = value
        self.variable = _variable(value)
        self.writable = writable


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
VIEWS = {np.transpose, np.reshape, np.broadcast_to, operator.getitem}


class Tape:
    """What has been done with the tracers so far."""

    def __init__(self, put_back: Callable[[], Any] = nullcontext) -> None:
        self._put_back = put_back
        self.equations: list[Equation] = []
        self.updates: dict[Binding, Variable] = {}
        self.cotangents: dict[Any, tuple[Variable, Variable]] = {}
        self.guards: list[tuple[Variable, bool]] = []  # numbers whose truth was asked

    def bind(self, binding: Binding, value: Any) -> Tracer:
        """Return a tracer for something that the program will be given."""
        return Tracer(self, value, binding.variable, binding)

    def apply(self, function: Callable[..., Any], *args: Any, **params: Any) -> Any:
        """Compute something and enter the equation; return a tracer of the answer."""
        origin = self._origin()
        if function is operator.getitem and any(map(_is_mask, parts(args[1]))):
            raise masked()
        values, keywords = change(args, _value), change(params, _value)
        with np.errstate(all="ignore"):
            answer = function(*values, **keywords)
        if isinstance(answer, tuple | list):  # as np.linalg.slogdet's
            whole = Variable((), None)
            self._enter(whole, function, args, params, origin)
            pairs = enumerate(answer)
            kind = type(answer)
            found = [
                self._answer(operator.getitem, (whole, i), {}, x, origin)
                for i, x in pairs
            ]
            return kind(*found) if hasattr(answer, "_fields") else kind(found)
        return self._answer(function, args, params, answer, origin)

    def _answer(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        params: dict[str, Any],
        answer: Any,
        origin: EquationOrigin,
    ) -> Tracer:
        if not isinstance(answer, np.ndarray | np.generic | int | float):
            raise untraceable(f"{_name(function)}() of a value is no array")
        if isinstance(answer, np.generic):
            answer = np.asarray(answer)
        variable = _variable(answer)
        self._enter(variable, function, args, params, origin)
        of = [x.value for x in parts(args, params) if isinstance(x, Tracer)]
        is_view = function in VIEWS or any(np.may_share_memory(answer, x) for x in of)
        return Tracer(self, answer, variable, is_view=is_view)

    def _enter(
        self,
        output: Variable,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        params: dict[str, Any],
        origin: EquationOrigin,
    ) -> None:
        args, params = change(args, _constant), change(params, _constant)
        self.equations.append(Equation(output, function, args, params, origin))
        if self._cotangent_of is not None:
            self.cotangents[self._cotangent_of] = output, self._cotangent_of[2]

    def _origin(self) -> EquationOrigin:
        """Read off the stack which op or rule is at work, and on whose line."""
        op, rule = "", ""
        self._cotangent_of: Any = None
        frame: FrameType | None = sys._getframe(2)
        innermost = True
        while frame is not None and _is_ours(frame):
            code = frame.f_code
            if code is _COMPUTE or code is _COMPOSITE:
                at_work = frame.f_locals["self"]
                if innermost and at_work.textbook is not None:
                    raise Untraceable("", self.as_one_step)
                op, innermost = at_work.name if not rule else op, False
            elif code is _AS_ONE_STEP:
                innermost = False
            elif code is _PULL_BACK and not rule:
                at = frame.f_locals
                if "rule" in at:
                    names = [
                        name
                        for name, r in getattr(at["op"], "rules", {}).items()
                        if r is at["rule"]
                    ]
                    rule = ".".join([at["op"].name, *names[:1]])
                    of = getattr(at["x"].data, "variable", None)
                    if of is not None:
                        self._cotangent_of = id(at["node"]), id(at["x"]), of
            frame = frame.f_back
        place = (frame.f_code.co_filename, frame.f_lineno) if frame else ()
        return EquationOrigin(op, rule, *place)

    def as_one_step(self, op: Op, values: Any, params: dict[str, Any]) -> Any:
        """Apply an op that cannot be looked into, or is better written plainly."""
        if op.textbook is not None:
            return op.textbook(*values, **params)
        if op.name == "broadcast_to":  # which copies, as a program need not
            return self.apply(np.broadcast_to, *values, params["shape"])
        if op.name == "getitem":  # an index that is traced, of an array that is not
            return self.apply(operator.getitem, *values, params["index"])
        forward: Any = op.forward
        if type(forward).__hash__ is None:  # as of a dataclass that can be called
            forward = forward.__call__
        with self._put_back():
            return self.apply(forward, *values, **params)


def _variable(value: Any) -> Variable:
    dtype = getattr(value, "dtype", None)  # a Python number has none
    return Variable(np.shape(value), dtype)


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Tracer) else x


def _constant(x: Any) -> Any:
    """What stands for x in an equation."""
    if isinstance(x, Tracer):
        return x.variable
    if isinstance(x, np.ndarray):
        return Variable(x.shape, x.dtype, constant=x)
    return x


def _is_mask(i: Any) -> bool:
    return isinstance(i, Tracer) and i.dtype == bool


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", function))


_PACKAGE = __file__.rpartition("compiler")[0]
_COMPUTE = Op.compute.__code__
_COMPOSITE = Composite.__call__.__code__
_PULL_BACK = autodiff.pull_back.__code__
_AS_ONE_STEP = Tape.as_one_step.__code__


def _is_ours(frame: FrameType) -> bool:
    """Whether a frame is this package's, or NumPy's on the way to it."""
    name = frame.f_code.co_filename
    return name.startswith((_PACKAGE, _NUMPY)) or name.startswith("<__array_function__")


_NUMPY = np.__file__.rpartition("__init__")[0]


class Tracer(StandIn):
    """An array's, or a number's, stand-in while a function is recorded."""

    __slots__ = ("binding", "is_view", "tape", "value", "variable")

    def __init__(
        self,
        tape: Tape,
        value: Any,
        variable: Variable,
        binding: Binding | None = None,
        is_view: bool = False,
    ) -> None:
        self.tape = tape
        self.value = value
        self.variable = variable
        self.binding = binding
        self.is_view = is_view

    # --- What NumPy hands over --------------------------------------------------------

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        if any(isinstance(x, Node) for x in inputs):
            return NotImplemented
        out = kwargs.pop("out", None)
        if method == "__call__":
            answer = self.tape.apply(ufunc, *inputs, **kwargs)
        elif method == "reduce" and ufunc in REDUCTIONS:
            kwargs.setdefault("axis", inputs[1] if len(inputs) > 1 else 0)
            answer = self._call(REDUCTIONS[ufunc], inputs[:1], kwargs)
        else:
            answer = self.tape.apply(getattr(ufunc, method), *inputs, **kwargs)
        return answer if out is None else _write(out[0], answer)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if any(issubclass(kind, Node) for kind in types):
            return NotImplemented
        return self._call(function, args, kwargs)

    def _call(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Apply a function of NumPy's, in the form that passes know."""
        if function in STATIC:
            with np.errstate(all="ignore"):
                return function(*change(args, _value), **change(kwargs, _value))
        if function is np.copyto:
            _write(args[0], args[1])
            return None
        if function in REDUCTIONS.values() and len(args) == 2:
            *args_, axis = args
            args, kwargs = tuple(args_), {"axis": axis, **kwargs}
        out = kwargs.pop("out", None)
        kwargs = {k: v for k, v in kwargs.items() if v is not None and v is not False}
        if function is np.reshape:
            answer = self._reshaped(*args[1:], **kwargs)
        elif function is np.transpose:
            answer = self._transposed(*args[1:], **kwargs)
        elif function is np.copy:
            answer = self.tape.apply(np.positive, args[0])
        elif function is np.mean and self.dtype.kind == "f" and self.dtype.itemsize > 2:
            total = self._call(np.sum, args, kwargs)
            answer = total / (args[0].size // total.size)
        elif _is_shaped_by_values(function, args, kwargs):
            raise untraceable(
                f"the shape of {_name(function)}() depends on values", MASK
            )
        else:
            answer = self.tape.apply(function, *args, **kwargs)
        return answer if out is None else _write(out, answer)

    def _reshaped(self, shape: Any, **kwargs: Any) -> Any:
        shape = np.reshape(self.value, shape, **kwargs).shape
        return self if shape == self.shape else self.tape.apply(np.reshape, self, shape)

    def _transposed(self, axes: Any = None) -> Any:
        backwards = tuple(range(self.ndim))[::-1]
        if axes is None or normalize_axis_tuple(axes, self.ndim) == backwards:
            return self.tape.apply(np.transpose, self)
        return self.tape.apply(np.transpose, self, tuple(axes))

    # --- What is known while recording ------------------------------------------------

    base = None

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What isinstance() goes by: a program does what is done for an array."""
        return type(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.variable.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return self.variable.size

    @property
    def dtype(self) -> Any:
        return np.asarray(self.value).dtype

    @property
    def nbytes(self) -> int:
        return self.variable.nbytes

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    # --- What is not ------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise untraceable(
            "a value is put into an array of NumPy's own",
            "build arrays with np.stack(), np.concatenate() or np.where(); "
            "np.asarray(x) is not needed",
        )

    def __bool__(self) -> bool:
        if self.variable.dtype is None and self.binding is not None:
            truth = bool(self.value)
            self.tape.guards.append((self.variable, truth))
            return truth
        raise untraceable("the function branches on a value", CHOOSE)

    def _number(self, *args: Any) -> Any:
        raise untraceable(
            "a value is made a Python number",
            "compute with NumPy's functions, np.sqrt() and not math.sqrt(); as a size "
            "or an index pass an int",
        )

    def _text(self, *args: Any, **kwargs: Any) -> Any:
        raise untraceable("a value is printed, or made text")

    def _copied_out(self, *args: Any, **kwargs: Any) -> Any:
        raise untraceable("a value is taken out of its array")

    def _looked_up(self) -> int:
        raise untraceable(
            "a value is looked up in a dict or set",
            "let an array be the table: table[i]",
        )

    __float__ = __int__ = __index__ = __complex__ = __round__ = _number
    __trunc__ = __floor__ = __ceil__ = _number
    __repr__ = __str__ = __format__ = _text
    item = tolist = tobytes = __reduce__ = _copied_out
    __hash__ = _looked_up

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(f"an array has no attribute {name!r}")
        raise AttributeError(
            f"compile: an array's .{name} is used, at {place()}, which is not known "
            f"while a function is being recorded; look for a function of NumPy's"
        )

    # --- Arithmetic and indexing ------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        return self.tape.apply(operator.getitem, self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if index is Ellipsis:
            _write(self, value)
        else:
            _write(self, self.tape.apply(replaced, self, index, value))

    @property
    def T(self) -> Any:  # noqa: N802, as NumPy spells it
        return self.tape.apply(np.transpose, self) if self.ndim > 1 else self

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        if self.variable.dtype == np.dtype(dtype):
            return self
        return self.tape.apply(astype, self, np.dtype(dtype))

    def reshape(self, *shape: Any) -> Any:
        return self._reshaped(shape[0] if len(shape) == 1 else shape)

    def flatten(self) -> Any:
        return self._reshaped(-1)

    def transpose(self, *axes: Any) -> Any:
        if len(axes) == 1 and not isinstance(axes[0], int):
            (axes,) = axes
        return self._transposed(axes or None)


def _is_shaped_by_values(function: Any, args: Any, kwargs: Any) -> bool:
    """Whether the shape of an answer would be another for other values."""
    if function is np.repeat:
        return any(isinstance(x, Tracer) for x in parts(args[1:], kwargs))
    return function in SHAPED_BY_VALUES or (function is np.where and len(args) == 1)


def _write(target: Any, value: Any) -> Any:
    """Write to a tracer: from here on it stands for the new value."""
    if not isinstance(target, Tracer):
        raise TypeError(
            f"compile: an array is written to, at {place()}, that the compiled "
            "function cannot see: an array of its own (compute a new one instead), or "
            "state in a place where it is not looked for (keep it in an attribute, a "
            "list or a dict of what the function uses)"
        )
    tape, binding = target.tape, target.binding
    if target.is_view or (binding is not None and not binding.writable):
        what = "a view of an array"
        if binding is not None and not target.is_view:
            what = f"its argument {binding.name}"
        raise TypeError(
            f"compile: the function writes to {what}, at {place()}; compute a new "
            "array instead: x = x + 1 for x += 1"
        )
    if not isinstance(value, Tracer):
        value = tape.apply(np.positive, value)
    if value.variable.dtype is None or value.dtype != target.dtype:
        value = tape.apply(astype, tape.apply(np.positive, value), target.dtype)
    if value.shape != target.shape:
        value = tape.apply(np.broadcast_to, value, target.shape)
    target.value, target.variable = value.value, value.variable
    if binding is not None:
        tape.updates[binding] = target.variable
    return target


OPERATORS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "matmul": np.matmul,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "neg": np.negative,
    "pos": np.positive,
    "abs": np.absolute,
    "invert": np.invert,
}
COMPARISONS = {"lt", "le", "gt", "ge", "eq", "ne"}
UNARY = {"neg", "pos", "abs", "invert"}


def _operator(name: str, ufunc: Any) -> None:
    """Give Tracer an operator; between Python numbers it is Python's own."""
    of_numbers = getattr(operator, f"__{name}__")

    def apply(a: Any, *b: Any) -> Any:
        inputs = (a, *b)
        if any(isinstance(x, Node) for x in inputs):
            return NotImplemented
        (tape, *_) = (x.tape for x in inputs if isinstance(x, Tracer))
        numbers = all(
            x.variable.dtype is None
            if isinstance(x, Tracer)
            else type(x) in (int, float)
            for x in inputs
        )
        if numbers and name in COMPARISONS:
            raise untraceable("the function branches on a number", CHOOSE)
        return tape.apply(of_numbers if numbers else ufunc, *inputs)

    setattr(Tracer, f"__{name}__", apply)
    if name in COMPARISONS | UNARY:
        return
    setattr(Tracer, f"__r{name}__", lambda a, b: apply(b, a))

    def in_place(a: Any, b: Any) -> Any:
        if isinstance(b, Node):  # a Tensor, which says whether it may be written
            return ufunc(a, b, out=a)
        if a.variable.dtype is None:  # numbers are not written to
            return apply(a, b)
        return _write(a, apply(a, b))

    setattr(Tracer, f"__i{name}__", in_place)


for _name_, _ufunc in OPERATORS.items():
    _operator(_name_, _ufunc)


def _method(name: str) -> None:
    function = getattr(np, name)

    def method(self: Tracer, *args: Any, **kwargs: Any) -> Any:
        return self._call(function, (self, *args), kwargs)

    setattr(Tracer, name, method)


for _name_ in [
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "clip",
    "copy",
    "cumprod",
    "cumsum",
    "diagonal",
    "dot",
    "max",
    "mean",
    "min",
    "nonzero",
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
    _method(_name_)
