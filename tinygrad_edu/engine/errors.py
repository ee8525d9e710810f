"""Explain why an op failed: name the op, the shapes and dtypes, and the mismatch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

__all__ = ["core_dimensions", "explain_failure"]

# The kinds of error to keep; all others become a ValueError. AxisError comes before
# IndexError, since it is also an IndexError.
KINDS: tuple[type[Exception], ...] = (
    TypeError,
    np.linalg.LinAlgError,
    np.exceptions.AxisError,
    IndexError,
)


def explain_failure(
    name: str,
    signature: str | None,
    values: Sequence[Any],
    params: Mapping[str, Any] | None,
    error: Exception,
) -> Exception:
    """Return the error to raise instead of NumPy's `error`.

    It is a ValueError, a TypeError, an IndexError for an index out of bounds, or one of
    NumPy's own `LinAlgError` and `AxisError`, which are both ValueErrors.
    """
    kind = next((k for k in KINDS if isinstance(error, k)), ValueError)
    shapes = [np.shape(v) for v in values]
    reason = signature and _mismatch(signature, shapes)
    if reason:
        kind = kind if issubclass(kind, ValueError) else ValueError
        return kind(f"{name}: shapes {' and '.join(map(str, shapes))} {reason}")
    met = ", ".join(_describe(v) for v in values)
    given = "".join(f", {key}={value!r}" for key, value in (params or {}).items())
    message = f"{name}: {error} (inputs: {met}{given})"
    return kind(message)


@cache
def core_dimensions(signature: str) -> list[list[str]]:
    """Read the inputs of a NumPy gufunc signature.

    >>> core_dimensions("(m?,k),(k,n?)->(m?,n?)")
    [['m?', 'k'], ['k', 'n?']]
    """
    groups = re.findall(r"\(([^)]*)\)", signature.partition("->")[0])
    return [[d for d in group.split(",") if d] for group in groups]


def _mismatch(signature: str, shapes: list[tuple[int, ...]]) -> str | None:
    """Describe the first two dimensions that must be equal but differ."""
    met: dict[str, tuple[int, int]] = {}  # dimension -> (size, axis), first seen
    loops = []
    for dimensions, shape in zip(core_dimensions(signature), shapes, strict=False):
        if len(shape) < len(dimensions):  # a vector instead of a matrix
            dimensions = [d for d in dimensions if not d.endswith("?")]
        if len(shape) < len(dimensions):
            return f"do not fit {signature}: too few dimensions"
        first = len(shape) - len(dimensions)
        loops.append(shape[:first])
        for axis, dimension in enumerate(dimensions, first):
            size, where = met.setdefault(dimension, (shape[axis], axis))
            if size != shape[axis]:
                return (
                    f"do not align: {size} (dim {where}) != {shape[axis]} (dim {axis})"
                )
    return _broadcast_mismatch(loops)


def _broadcast_mismatch(shapes: list[tuple[int, ...]]) -> str | None:
    for a, b in combinations(shapes, 2):
        for j, n in enumerate(b):
            i = j + len(a) - len(b)  # the axis of a that meets axis j of b
            if i >= 0 and a[i] != n and 1 not in (a[i], n):
                return (
                    f"do not broadcast: {a[i]} (dim {i}) != {n} (dim {j}); "
                    "aligned from the right, sizes must be equal or 1"
                )
    return None


def _describe(value: Any) -> str:
    if hasattr(value, "dtype"):  # an array or a stand-in
        return f"{value.dtype} {value.shape}"
    return repr(value)
