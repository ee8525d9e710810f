"""Linear algebra as in `numpy.linalg`, for square matrices and stacks of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.graph import query
from tinygrad_edu.engine.op import as_array, composite, op
from tinygrad_edu.ops.arithmetic import abs
from tinygrad_edu.ops.functions import power, sqrt, square
from tinygrad_edu.ops.products import matrix_transpose
from tinygrad_edu.ops.reductions import max, min, sum
from tinygrad_edu.ops.shapes import align_stacks, astype
from tinygrad_edu.support.kinds import Axes

__all__ = ["cholesky", "det", "inv", "logabsdet", "norm", "slogdet", "solve"]

SINGULAR = (
    "its rows are linearly dependent; remove redundant rows, or add a small multiple "
    "of the identity"
)
NOT_POSITIVE = (
    "it has an eigenvalue that is not positive; if only by rounding, add a small "
    "multiple of the identity"
)


@contextmanager
def _advising(way_out: str) -> Iterator[None]:
    """Add a way out to NumPy's LinAlgError."""
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(f"{error}: {way_out}") from None


@op(tex="{x}^{{-1}}", signature="(n,n)->(n,n)")
def inv(x: Any) -> Any:
    """The inverse of a matrix. To multiply by it, `solve` is faster and more exact."""
    with _advising(SINGULAR):
        return np.linalg.inv(x)


inv.vjp(x=lambda g, y, x: -matrix_transpose(y) @ g @ matrix_transpose(y))


@op(tex="{a}^{{-1}} {b}", signature="(n,n),(n,k?)->(n,k?)")
def solve(a: Any, b: Any) -> Any:
    """Solve a x = b for x. `b` is a vector if it has one axis, else a matrix."""
    with _advising(SINGULAR):
        return np.linalg.solve(a, b)


def _solve_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    g_b = _solve_b(g, y, a, b)
    if b.ndim == 1:
        return -g_b[..., None] * y[..., None, :]
    return -g_b @ matrix_transpose(y)


def _solve_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return solve(matrix_transpose(a), g[..., None])[..., 0]
    return solve(matrix_transpose(a), g)


solve.vjp(a=_solve_a, b=_solve_b)


def _solve_stacks(stacked: Any, a: Any, b: Any) -> Any:
    if np.ndim(b) - stacked[1] == 1:
        return _solve_stacks(stacked, a, b[..., None])[..., 0]
    aligned = align_stacks(stacked, (a, b), (2, 2))
    return NotImplemented if aligned is None else solve(*aligned)


solve.vmap(_solve_stacks)


@op(tex=r"\det {x}", signature="(n,n)->()")
def det(x: Any) -> Any:
    """The determinant of a matrix.

    The gradient is right even for a singular matrix. There it is slow, since it
    computes the determinant of each minor.
    """
    return np.linalg.det(x)


def _cofactors(y: Any, x: Any) -> Any:
    """Return the cofactor of each element: the signed determinant of its minor."""
    try:
        return y[..., None, None] * matrix_transpose(inv(x))
    except np.linalg.LinAlgError:  # singular
        n = x.shape[-1]
        left = np.array([[k for k in range(n) if k != i] for i in range(n)], int)
        minors = x[..., left[:, None, :, None], left[:, None, :]]
        signs = (-1.0) ** np.add.outer(range(n), range(n))
        return det(minors) * signs.astype(x.dtype)


det.vjp(x=lambda g, y, x: g[..., None, None] * _cofactors(y, x))


@op(tex=r"\log \left|\det {x}\right|", signature="(n,n)->()")
def logabsdet(x: Any) -> Any:
    """log(abs(det(x))), without overflow; -inf for a singular matrix."""
    return np.linalg.slogdet(x).logabsdet


logabsdet.vjp(x=lambda g, y, x: g[..., None, None] * matrix_transpose(inv(x)))


class SlogdetResult(NamedTuple):
    """The sign and the logarithm: the determinant is ``sign * exp(logabsdet)``."""

    sign: Any
    logabsdet: Any


@composite(tex=r"\operatorname{{slogdet}} {x}", signature="(n,n)->(),()")
def slogdet(x: Any) -> SlogdetResult:
    """The determinant's sign, a constant, and the logarithm of its absolute value."""
    logarithm = logabsdet(x)
    sign = query(np.linalg.slogdet, x).sign
    kind: Any = type(logarithm)
    return SlogdetResult(sign if isinstance(sign, kind) else kind(sign), logarithm)


@op(tex=r"\operatorname{{chol}} {x}", signature="(n,n)->(n,n)")
def cholesky(x: Any) -> Any:
    """The Cholesky factor of a positive definite x: lower triangular L, with L L^T = x.

    The op decomposes (x + x^T)/2, so that the gradient is symmetric.
    """
    x = np.asarray(x)
    if x.shape[-2] != x.shape[-1]:
        raise np.linalg.LinAlgError("the matrix is not square")
    with _advising(NOT_POSITIVE):
        return np.linalg.cholesky((x + np.swapaxes(x, -1, -2)) / 2)


def _cholesky_x(g: Any, y: Any, x: Any) -> Any:
    """Return L^-T P L^-1, made symmetric, where P is the lower half of L^T g.

    I. Murray, "Differentiation of the Cholesky decomposition" (2016), section 3.3.
    """
    n = y.shape[-1]
    lower_half = np.tri(n, dtype=g.dtype) - np.eye(n, dtype=g.dtype) / 2
    p = lower_half * (matrix_transpose(y) @ g)
    z = inv(y)
    s = matrix_transpose(z) @ p @ z
    return (s + matrix_transpose(s)) / 2


cholesky.vjp(x=_cholesky_x)


def _extreme(ord: Any, axes: tuple[int, ...]) -> Any:
    """Describe a norm that is the largest or smallest sum of absolute values.

    Return `max` or `min`, and the axes to sum over; None for any other norm.
    """
    best = max if ord in (1, np.inf) else min
    if len(axes) == 2 and ord in (1, -1):
        return best, axes[0]
    if ord in (np.inf, -np.inf):
        return best, axes[1:]
    return None


def _norm_kink(x: Any, ord: Any, axis: Any, keepdims: Any) -> Any:
    """Return the distances of elements from 0, and of the best sum from the next."""
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    distances = np.abs(x).ravel()
    extreme = _extreme(ord, axes)
    if extreme is None:
        return distances
    best, summed = extreme
    sums = np.sum(np.abs(x), axis=summed, keepdims=True)
    return np.append(distances, best.kink(sums, axes, keepdims))


@composite(
    tex=r"\lVert {x} \rVert",
    kink=_norm_kink,
    subgradient="0 where the norm is 0; else as for `abs`, `max` and `min`, where the "
    "norm uses them",
)
def norm(
    x: Any, *, ord: float | str | None = None, axis: Axes = None, keepdims: bool = False
) -> Any:
    """The norm of a vector or a matrix; without `ord` and axis, of all elements.

    With one axis, the norm of vectors. `ord` may be 2 or None (the root of the sum of
    squares), another number p (sum(abs(x)^p)^(1/p)), inf or -inf (the largest or
    smallest absolute value).

    With two axes, the norm of matrices. `ord` may be "fro" or None (the root of the sum
    of squares), 1 or inf (the largest sum of absolute values of a column or a row), -1
    or -inf (the smallest such sum).
    """
    x = as_array(x)
    if x.dtype.kind in "iub":
        x = astype(x, float)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) not in (1, 2) and not (ord is None and axis is None):
        raise ValueError(
            f"norm: axis={axis} means {len(axes)} axes of an array of shape {x.shape}; "
            "pass one axis for norms of vectors, two for norms of matrices, or leave "
            "out ord and axis for the norm of all elements"
        )
    if ord is None or (ord == "fro" if len(axes) == 2 else ord == 2):
        return sqrt(sum(square(x), axes, keepdims=keepdims))
    if extreme := _extreme(ord, axes):
        best, summed = extreme
        return best(sum(abs(x), summed, keepdims=True), axes, keepdims)
    if len(axes) == 2:
        raise ValueError(
            f"norm: for a matrix, ord must be 'fro', 1, -1, inf or -inf, not {ord!r} "
            "(norms of singular values are not supported); for the norm of all its "
            "elements as one vector, use reshape(x, -1)"
        )
    if ord == 0 or isinstance(ord, str):
        raise ValueError(
            f"norm: for a vector, ord must be a number other than 0, inf or -inf, not "
            f"{ord!r}; to count the elements that are not 0, use np.count_nonzero"
        )
    if ord == 1:
        return sum(abs(x), axes, keepdims=keepdims)
    p = float(ord)
    # Not ``**``: NumPy 2.0 computes it differently, with another last digit.
    return power(sum(power(abs(x), p), axes, keepdims=keepdims), 1 / p)
