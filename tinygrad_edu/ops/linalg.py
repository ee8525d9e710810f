"""Linear algebra as in `numpy.linalg`, for matrices and stacks of them."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.graph import query, value_of
from tinygrad_edu.engine.op import as_array, composite, op
from tinygrad_edu.ops.arithmetic import abs, add, subtract
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.functions import as_float, power, sqrt, square
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.products import dot, matrix_transpose
from tinygrad_edu.ops.rearranging import tril
from tinygrad_edu.ops.reductions import max, min, sum
from tinygrad_edu.ops.shapes import align_stacks, expand_dims, moveaxis
from tinygrad_edu.support.kinds import Axes

__all__ = [
    "cholesky",
    "det",
    "eigensystem",
    "eigh",
    "eigvalsh",
    "inv",
    "logabsdet",
    "matrix_power",
    "multi_dot",
    "norm",
    "qr",
    "qr_factors",
    "singular_system",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
]

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


# --- Decompositions. An op has one result, so the factors lie in one matrix, one below
# the other, and a function takes them apart. The sign of a vector is LAPACK's choice.

CHOSEN = (
    "where values are equal, their vectors are a choice: how these turn into each "
    "other is left out, which is right for functions of the space that they span"
)
OWN_VECTOR = "where values are equal, for each the gradient of the vector found for it"


def _diagonal_times(d: Any, x: Any) -> Any:
    """Multiply the rows of a matrix by the numbers of a vector."""
    return d[..., :, None] * x


def _pairs(f: Any, w: Any) -> Any:
    """Return f(w_j, w_i) in row i and column j."""
    return f(w[..., None, :], w[..., :, None])


def _inverse(x: Any, w: Any) -> Any:
    """Return 1 / x, but 0 where x is 0 to the rounding error of the values w."""
    values = value_of(w)
    eps = np.finfo(values.dtype).eps
    *stack, n = values.shape
    largest = np.max(np.abs(values), -1) if n else np.zeros(stack)
    error = 4 * n * eps * largest
    error = error.reshape(error.shape + (1,) * (x.ndim - error.ndim))
    return 1 / where(np.abs(value_of(x)) <= error, np.inf, x)


@op(tex=r"\operatorname{{eigh}} {x}", signature="(n,n)->(k,n)", subgradient=CHOSEN)
def eigensystem(x: Any) -> Any:
    """The eigenvalues of `eigh` and, in the rows below, its eigenvectors."""
    x = np.asarray(x)
    values, vectors = np.linalg.eigh((x + np.swapaxes(x, -1, -2)) / 2)
    return np.concatenate([values[..., None, :], vectors], -2)


def _eigensystem_x(g: Any, y: Any, x: Any) -> Any:
    """Return V (diag(g_w) + F * (V^T g_V)) V^T, made symmetric; F = 1 / (w_j - w_i).

    M. B. Giles, "An extended collection of matrix derivative results for forward and
    reverse mode algorithmic differentiation" (2008), section 3.1.
    """
    w, v = y[..., 0, :], y[..., 1:, :]
    v_t = matrix_transpose(v)
    turned = _inverse(_pairs(subtract, w), w) * (v_t @ g[..., 1:, :])
    s = v @ (turned @ v_t + _diagonal_times(g[..., 0, :], v_t))
    return (s + matrix_transpose(s)) / 2


eigensystem.vjp(x=_eigensystem_x)


class EighResult(NamedTuple):
    """The eigenvalues, in rising order, and the eigenvectors, as columns."""

    eigenvalues: Any
    eigenvectors: Any


@composite(
    tex=r"\operatorname{{eigh}} {x}", signature="(n,n)->(n),(n,n)", subgradient=CHOSEN
)
def eigh(x: Any) -> EighResult:
    """The eigenvalues and eigenvectors of a symmetric matrix x = V diag(w) V^T.

    The op decomposes (x + x^T)/2, so that the gradient is symmetric.
    """
    y = eigensystem(x)
    return EighResult(y[..., 0, :], y[..., 1:, :])


@composite(
    tex=r"\operatorname{{eigvalsh}} {x}", signature="(n,n)->(n)", subgradient=OWN_VECTOR
)
def eigvalsh(x: Any) -> Any:
    """The eigenvalues of a symmetric matrix, in rising order."""
    return eigh(x).eigenvalues


@op(
    tex=r"\operatorname{{svd}} {x}",
    signature="(m,n)->(p,k)",
    subgradient=CHOSEN + "; the same for values that are 0",
)
def singular_system(x: Any) -> Any:
    """The singular values of `svd` and, in the rows below, its vectors U and V."""
    u, s, v_t = np.linalg.svd(x, full_matrices=False)
    return np.concatenate([s[..., None, :], u, np.swapaxes(v_t, -1, -2)], -2)


def _singular_system_x(g: Any, y: Any, x: Any) -> Any:
    """Return the sum of what comes through U, through s and through V.

    Vectors turn into each other, together in U and V or against each other, and out of
    the space that they span.
    J. Townsend, "Differentiating the singular value decomposition" (2016).
    With A = U^T g_U and B = V^T g_V, each less its transpose, the paper's
    (A s_j + B s_i) / (s_j^2 - s_i^2) is the mean of (A + B) / (s_j - s_i) and
    (A - B) / (s_j + s_i).
    """
    u_at, v_at = slice(1, 1 + x.shape[-2]), slice(1 + x.shape[-2], None)
    s, u, v = y[..., 0, :], y[..., u_at, :], y[..., v_at, :]
    g_s, g_u, g_v = g[..., 0, :], g[..., u_at, :], g[..., v_at, :]
    u_t, v_t = matrix_transpose(u), matrix_transpose(v)
    a, b = u_t @ g_u, v_t @ g_v
    a_turned, b_turned = a - matrix_transpose(a), b - matrix_transpose(b)
    together = _inverse(_pairs(subtract, s), s) * (a_turned + b_turned) / 2
    against = _inverse(_pairs(add, s), s) * (a_turned - b_turned) / 2
    out_of_u = (g_u - u @ a) * _inverse(s, s)[..., None, :]
    out_of_v = _diagonal_times(_inverse(s, s), matrix_transpose(g_v - v @ b))
    within = (together + against) @ v_t + _diagonal_times(g_s, v_t)
    return u @ (within + out_of_v) + out_of_u @ v_t


singular_system.vjp(x=_singular_system_x)


class SVDResult(NamedTuple):
    """The factors of x = U diag(S) Vh; the values S fall."""

    U: Any
    S: Any
    Vh: Any


@composite(
    tex=r"\operatorname{{svd}} {x}",
    signature="(m,n)->(m,k),(k),(k,n)",
    subgradient=singular_system.subgradient,
)
def svd(x: Any, *, full_matrices: bool = True) -> SVDResult:
    """The singular value decomposition x = U diag(S) Vh.

    For a matrix that is not square, pass ``full_matrices=False``: the vectors that
    would complete U or Vh to a square are arbitrary, so they have no gradient.
    """
    m, n = np.shape(x)[-2:]
    if full_matrices and m != n:
        raise ValueError(
            f"svd: a matrix of shape {(m, n)} does not determine all vectors of a full "
            "decomposition, so they have no gradient; pass full_matrices=False"
        )
    y = singular_system(x)
    v = y[..., 1 + m :, :]
    return SVDResult(y[..., 1 : 1 + m, :], y[..., 0, :], matrix_transpose(v))


@composite(
    tex=r"\operatorname{{svdvals}} {x}", signature="(m,n)->(k)", subgradient=OWN_VECTOR
)
def svdvals(x: Any) -> Any:
    """The singular values, in falling order."""
    return svd(x, full_matrices=False).S


@op(tex=r"\operatorname{{qr}} {x}", signature="(m,n)->(p,n)")
def qr_factors(x: Any) -> Any:
    """The factor Q of `qr` and, in the rows below, R; of no more columns than rows."""
    return np.concatenate(np.linalg.qr(x), -2)


def _qr_factors_x(g: Any, y: Any, x: Any) -> Any:
    """Return (g_Q + Q C) R^-T; C is the lower half of R g_R^T - g_Q^T Q, mirrored.

    S. F. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions
    with application in optimum experimental design" (2010).
    """
    m = x.shape[-2]
    q, r, g_q, g_r = y[..., :m, :], y[..., m:, :], g[..., :m, :], g[..., m:, :]
    c = tril(r @ matrix_transpose(g_r) - matrix_transpose(g_q) @ q)
    c = c + matrix_transpose(tril(c, -1))
    return matrix_transpose(solve(r, matrix_transpose(g_q + q @ c)))


qr_factors.vjp(x=_qr_factors_x)


class QRResult(NamedTuple):
    """The factors: Q has orthonormal columns, and R is upper triangular."""

    Q: Any
    R: Any


@composite(tex=r"\operatorname{{qr}} {x}", signature="(m,n)->(m,k),(k,n)")
def qr(x: Any) -> QRResult:
    """The decomposition x = Q R, reduced: Q has k columns, k the lesser of m and n.

    The first k columns of `x` must be linearly independent.
    """
    x = as_array(x)
    m, n = x.shape[-2:]
    y = qr_factors(x[..., :m])
    q, r = y[..., :m, :], y[..., m:, :]
    if n > m:
        r = concatenate([r, matrix_transpose(q) @ x[..., m:]], -1)
    return QRResult(q, r)


# --- Products and norms ---------------------------------------------------------------


@composite(tex="{x}^{{{n}}}", signature="(n,n)->(n,n)")
def matrix_power(x: Any, *, n: int) -> Any:
    """The n-th power of a matrix, by repeated squares; of the inverse, if n < 0."""
    x, n = as_array(x), operator.index(n)
    if n < 0:
        x, n = inv(x), -n
    if n == 0:
        return where(False, x, np.eye(x.shape[-1], dtype=x.dtype))
    result, rest = x, n - 1
    while rest:
        if rest % 2:
            result = result @ x
        x, rest = x @ x, rest // 2
    return result


@composite()
def multi_dot(*arrays: Any) -> Any:
    """The product of several matrices, in the order that needs the fewest products.

    The first and the last may be vectors.
    """
    sizes = [np.shape(a)[0] for a in arrays]  # of the axes, along the chain
    sizes[0] = np.shape(arrays[0])[0] if np.ndim(arrays[0]) == 2 else 1
    sizes.append(np.shape(arrays[-1])[1] if np.ndim(arrays[-1]) == 2 else 1)

    @cache
    def best(i: int, j: int) -> tuple[int, int]:
        """Return the least count for the factors i to j, and where to split these."""
        ways = [
            (best(i, k)[0] + best(k, j)[0] + sizes[i] * sizes[k] * sizes[j], k)
            for k in range(i + 1, j)
        ]
        return sorted(ways)[0] if ways else (0, i)

    def product(i: int, j: int) -> Any:
        _, k = best(i, j)
        return dot(product(i, k), product(k, j)) if k > i else arrays[i]

    return product(0, len(arrays))


OF_SINGULAR_VALUES = {2: max, -2: min, "nuc": sum}


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
    if len(axes) == 2 and ord in OF_SINGULAR_VALUES:
        values = np.linalg.svdvals(np.moveaxis(x, axes, (-2, -1)))
        return np.diff(values, prepend=np.inf, append=0.0)
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
    "norm uses them; of singular values, as for `svdvals`",
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
    or -inf (the smallest such sum), 2, -2 or "nuc" (the largest singular value, the
    smallest, or their sum).
    """
    x = as_float(x)
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
    if len(axes) == 2 and ord in OF_SINGULAR_VALUES:
        values = svdvals(moveaxis(x, axes, (-2, -1)))
        answer = OF_SINGULAR_VALUES[ord](values, axis=-1)
        return expand_dims(answer, axes) if keepdims else answer
    if len(axes) == 2:
        raise ValueError(
            "norm: for a matrix, ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, "
            f"not {ord!r}; for the norm of all its elements as one vector, use "
            "reshape(x, -1)"
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
