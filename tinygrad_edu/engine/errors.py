"""What to say when an op cannot be computed: the op, what it met, the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["core_dimensions", "explain_failure"]

# What stays of its kind; all else is a ValueError. An AxisError is an IndexError, too.
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
    """Return the error to raise in place of NumPy's `error`.

    A ValueError or TypeError, or an IndexError, for an index out of bounds; where NumPy
    raises a kind of its own (`LinAlgError`, `AxisError`: both are ValueErrors), that.
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


def core_dimensions(signature: str) -> list[list[str]]:
    """Read the inputs of a NumPy gufunc signature.

    >>> core_dimensions("(m?,k),(k,n?)->(m?,n?)")
    [['m?', 'k'], ['k', 'n?']]
    """
    groups = re.findall(r"\(([^)]*)\)", signature.partition("->")[0])
    return [[d for d in group.split(",") if d] for group in groups]


def _mismatch(signature: str, shapes: list[tuple[int, ...]]) -> str | None:
    """Name the first two dimensions that ought to be equal and are not."""
    met: dict[str, tuple[int, int]] = {}  # dimension -> (size, axis), first seen
    loops = []
    for dimensions, shape in zip(core_dimensions(signature), shapes, strict=False):
        if len(shape) < len(dimensions):  # a vector where a matrix could stand
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
    sizes: dict[int, tuple[int, int]] = {}  # place from the right -> (size, axis)
    for shape in shapes:
        for axis, size in enumerate(shape):
            place = len(shape) - axis
            seen, where = sizes.get(place, (1, 0))
            if seen == 1:
                sizes[place] = (size, axis)
            elif size not in (1, seen):
                return (
                    f"do not broadcast: {seen} (dim {where}) != {size} (dim {axis}); "
                    "aligned from the right, sizes must be equal or 1"
                )
    return None


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray | np.generic):
        return f"{value.dtype} {value.shape}"
    return repr(value)
