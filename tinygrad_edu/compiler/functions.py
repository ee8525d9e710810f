"""What stands in equations beside NumPy's own functions, and what is known of some."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

__all__ = [
    "REDUCTIONS",
    "UFUNC_OF",
    "UFUNC_OF_OPERATOR",
    "assembled",
    "astype",
    "replaced",
    "restored",
    "spread",
]

# Functions that are a ufunc's ``reduce``, by the ufunc; and the other way round.
REDUCTIONS = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
UFUNC_OF: dict[Any, np.ufunc] = {
    np.sum: np.add,
    np.prod: np.multiply,
    np.max: np.maximum,
    np.min: np.minimum,
}
# NumPy's functions for Python's operators.
UFUNC_OF_OPERATOR = {
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
}


def astype(x: Any, dtype: Any) -> Any:
    """What ``x.astype(dtype)`` is in a program."""
    return x.astype(dtype)


def replaced(x: Any, index: Any, value: Any) -> Any:
    """A copy of x in which ``x[index] = value``: writing, in a program."""
    x = x.copy()
    x[index] = value
    return x


def spread(x: Any, shape: Any) -> Any:
    """A copy of x, broadcast to a shape."""
    return np.broadcast_to(x, shape).copy()


def assembled(parts: Any, indices: Any, shape: Any) -> Any:
    """An array that is put together of parts: each has its place in it."""
    whole = np.empty(shape, parts[0].dtype)
    for part, index in zip(parts, indices):
        whole[index] = part
    return whole


def restored(x: Any, g: Any) -> Any:
    """x, but 0 where g is 0 and x is not finite; x itself if it is finite."""
    if float(np.vdot(x, x)) < np.inf:  # faster than isfinite(), and never warns
        return x
    return np.where((g == 0) & ~np.isfinite(x), 0, x)
