"""Make NumPy functions work on Tensors: ``np.tanh(t)`` calls the op `tanh`.

NumPy passes such a call to the Tensor (`__array_ufunc__`, NEP 13; `__array_function__`,
NEP 18), and this module calls the op of the same name. Functions without a derivative
(shapes, positions, comparisons) return plain arrays and numbers.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import is_recorded, query, record
from tinygrad_edu.engine.op import OPS, Op, as_array
from tinygrad_edu.ops.joining import stacked
from tinygrad_edu.ops.shapes import astype
from tinygrad_edu.support.foreign import advice

__all__ = ["STATIC", "apply_function", "apply_ufunc", "defaults_of"]

# NumPy's other names for ops in the table.
ALIASES = {
    "amax": "max",
    "amin": "min",
    "around": "round",
    "conjugate": "positive",
    "copy": "positive",
    "degrees": "rad2deg",
    "fabs": "abs",
    "gradient": "central_differences",
    "radians": "deg2rad",
    "real": "positive",
    "real_if_close": "positive",
}

# Functions that return plain arrays and numbers, or write them to a file.
QUERIES = """
    all allclose any argmax argmin argpartition argsort argwhere array2string
    array_equal array_equiv array_repr array_str bitwise_and bitwise_or bitwise_xor
    can_cast common_type count_nonzero digitize empty_like equal flatnonzero full_like
    greater greater_equal imag invert iscomplex iscomplexobj isclose isfinite isin isinf
    isnan isneginf isposinf isreal isrealobj less less_equal lexsort logical_and
    logical_not logical_or logical_xor may_share_memory min_scalar_type ndim nonzero
    not_equal ones_like result_type save savetxt savez savez_compressed searchsorted
    shape shares_memory signbit size unique zeros_like
"""
OF_SHAPES_AND_DTYPES = """
    can_cast common_type empty_like iscomplexobj isrealobj may_share_memory
    min_scalar_type ndim ones_like result_type shape shares_memory size zeros_like
"""

# NumPy's parameter names that differ from the op's.
PARAMETERS = {"a_max": "max", "a_min": "min", "newshape": "shape"}

# Libraries with ufuncs of their own, and where the ops for these are declared. The
# module is loaded when such a ufunc is first met.
UFUNCS = {"scipy.special": "tinygrad_edu.special"}

# The signatures of functions written in C, which NumPy itself has from 2.4 on.
WRITTEN_IN_C: dict[Any, Any] = {
    np.concatenate: (
        lambda arrays, axis=0, out=None, dtype=None, casting="same_kind": ...
    ),
    np.dot: lambda a, b, out=None: ...,
    np.inner: lambda a, b: ...,
    np.vdot: lambda a, b: ...,
    np.where: lambda condition, x=None, y=None: ...,
}

# The function to call instead of a method of a ufunc.
METHODS = {
    "add.accumulate": "cumsum",
    "add.reduce": "sum",
    "maximum.reduce": "max",
    "minimum.reduce": "min",
    "multiply.accumulate": "cumprod",
    "multiply.outer": "outer",
    "multiply.reduce": "prod",
}

_IN_PLACE = (
    "writing a recorded value to an array would lose its gradient; write a = a + t "
    "instead of a += t, and y = np.exp(t) instead of np.exp(t, out=y)"
)


def _numpy(name: str) -> Any:
    """Return the NumPy function of that name, or None."""
    return getattr(np, name, None) or getattr(np.linalg, name, None)


_QUERIES = {_numpy(name) for name in QUERIES.split()}
# Those whose answer depends on shapes and dtypes only.
STATIC = {_numpy(name) for name in OF_SHAPES_AND_DTYPES.split()}
_OPS: dict[Any, Op] = {
    _numpy(name): OPS[to]
    for name, to in [*zip(OPS, OPS), *ALIASES.items()]
    if _numpy(name) is not None
}


def apply_ufunc(
    ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply a NumPy ufunc to inputs that include a Tensor."""
    op = _OPS.get(ufunc)
    if op is not None and method == "__call__" and not kwargs:
        return record(op, inputs) if op.rules else op(*inputs)
    if method != "__call__":
        name = f"{ufunc.__name__}.{method}"
        instead = METHODS.get(name)
        raise TypeError(
            f"{name}: it does not work on Tensors; "
            + (f"write np.{instead}" if instead else "for the plain value pass .data")
        )
    if kwargs.keys() == {"out"}:
        return _write(ufunc, inputs, kwargs["out"])
    if kwargs:
        raise TypeError(
            f"{ufunc.__name__}: for Tensors it does not accept "
            f"{', '.join(f'{k}=' for k in kwargs)}; use np.where() or .astype()"
        )
    if ufunc in _QUERIES:
        return query(ufunc, *inputs)
    return _own_op(ufunc)(*inputs)


def _write(ufunc: Any, inputs: tuple[Any, ...], out: tuple[Any, ...]) -> Any:
    """Write the result to arrays, for ``array -= t``; raise if a gradient is lost."""
    name = ufunc.__name__
    if not all(isinstance(array, np.ndarray) for array in out):
        raise TypeError(
            f"{name}: out= must be an array, not a Tensor; write y = np.exp(t) instead "
            "of np.exp(t, out=y)"
        )
    if any(map(is_recorded, inputs)):
        raise TypeError(
            f"{name}: {_IN_PLACE}; if you need no gradient, write it within "
            "`with tg.no_grad():`"
        )
    return query(ufunc, *inputs, out=out)


def apply_function(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Apply a NumPy function, not a ufunc, to arguments that include a Tensor."""
    op = _OPS.get(function)
    if op is None:
        if function in _QUERIES:
            return query(function, *args, **kwargs)
        if function is np.array or function is np.asarray:
            return _array(*args, **kwargs)
        op = _own_op(function)
    n = len(op.inputs)
    if len(args) > n or (kwargs and not kwargs.keys() <= op.defaults.keys()):
        args, kwargs = _translate(function, op, n, args, kwargs)
    return op(*args, **kwargs)


def _translate(
    function: Any, op: Op, n: int, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """Translate the arguments of a NumPy call into those of the op.

    The first `n` parameters are inputs. Of the others, those that have their default,
    such as ``out=None``, are dropped.
    """
    defaults = defaults_of(function)
    names = list(defaults)
    if function is np.gradient and len(args) > 2:
        return (args[0], tuple(args[1:])), kwargs  # a spacing for each axis
    if len(args) > len(names):
        return args, kwargs
    given = dict(zip(names, args)) | kwargs
    inputs = [given.pop(name) for name in names[:n] if name in given]
    params = {}
    for name, value in given.items():
        if value is defaults.get(name, given):
            continue
        if PARAMETERS.get(name, name) not in op.defaults:
            raise TypeError(
                f"{function.__name__}: for Tensors it does not accept {name}=; "
                + (_IN_PLACE if name == "out" else f"call it as {op}")
            )
        params[PARAMETERS.get(name, name)] = value
    return inputs, params


@cache
def defaults_of(function: Any) -> dict[str, Any]:
    """Return the parameters of a NumPy function, with their defaults.

    The dict is empty if the operands have no names, as those of einsum.
    """
    signature = inspect.signature(WRITTEN_IN_C.get(function, function))
    parameters = signature.parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return {}
    return {p.name: p.default for p in parameters}


def _array(whole: Any, dtype: Any = None) -> Any:
    """Stack nested lists of Tensors and numbers."""
    whole = as_array(stacked(whole))
    return whole if dtype is None else astype(whole, dtype=dtype)


def _own_op(function: Any) -> Op:
    """Find the op of a function that has none in the table of NumPy's functions.

    The user may have declared one, of that name or from that very function. Or it is a
    ufunc of another library.
    """
    name = function.__name__
    if name in OPS and function in (_numpy(name), OPS[name].forward):
        return OPS[name]
    for library, module in UFUNCS.items():
        if getattr(sys.modules.get(library), name, None) is function:
            own = getattr(import_module(module), name, None)
            if isinstance(own, Op):
                return own
    raise TypeError(
        f"{name}: this NumPy function does not work on Tensors"
        + advice("np", name)
        + "; for the plain value pass .data"
    )
