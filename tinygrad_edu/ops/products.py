"""Products of vectors and matrices, and of stacks of matrices."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.op import as_array, composite, op
from tinygrad_edu.ops.indexing import add_at
from tinygrad_edu.ops.rearranging import diagonal, flip
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.shapes import (
    align_stacks,
    in_depth,
    moveaxis,
    reshape,
    swapaxes,
    transpose,
)

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def matrix_transpose(a: Any) -> Any:
    """Transpose a matrix or a stack of them: exchange the last two axes."""
    return a.T if a.ndim == 2 else swapaxes(a, -1, -2)


def _dot_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if np.ndim(b) == 2 and np.ndim(a):
        return np.dot(g, b.T)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return g * b
    summed = _summed_axis(b)
    others = [i for i in range(b.ndim) if i != summed]
    return tensordot(g, b, (list(range(a.ndim - 1, g.ndim)), others))


def _dot_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if np.ndim(a) == 2 and 0 < np.ndim(b) <= 2:
        return dot(a.T, g)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return g * a
    rows = list(range(a.ndim - 1))
    product = tensordot(a, g, (rows, rows))  # the axis that was summed comes first
    summed = _summed_axis(b)
    return transpose(product, (*range(1, summed + 1), 0, *range(summed + 1, b.ndim)))


def _summed_axis(b: Any) -> int:
    return b.ndim - 2 if b.ndim > 1 else 0


@op(tex=r"{a} {b}", signature="(m?,k),(k,n?)->(m?,n?)")
def dot(a: Any, b: Any) -> Any:
    """The product of matrices or vectors.

    It sums over the last axis of `a` and the last but one of `b`, as in NumPy.
    """
    return np.dot(a, b)


dot.vjp(a=_dot_a, b=_dot_b)


def _matmul_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 1:
        return g * b
    if b.ndim == 1:
        return g[..., None] * b
    if a.ndim == 1:
        return b @ g if b.ndim == 2 else matmul(b, g[..., None])[..., 0]
    return g @ matrix_transpose(b)


def _matmul_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 1:
        return g * a
    if a.ndim == 1 and b.ndim == 2:
        return a[..., None] * g
    if a.ndim == 1:
        return a[:, None] * g[..., None, :]
    if b.ndim == 1:
        a_t = matrix_transpose(a)
        return a_t @ g if a.ndim == 2 else matmul(a_t, g[..., None])[..., 0]
    return matrix_transpose(a) @ g


matmul = op(
    np.matmul,
    tex=r"{a} {b}",
    signature="(m?,k),(k,n?)->(m?,n?)",
    doc="The product of matrices, or of stacks of them: ``a @ b``.",
).vjp(a=_matmul_a, b=_matmul_b)


def _matmul_stacks(stacked: Any, a: Any, b: Any) -> Any:
    """Multiply in one product of matrices, if only one of them is a stack."""
    m, n = (np.ndim(x) - s for x, s in zip((a, b), stacked))
    if m == 0 or n == 0:
        return NotImplemented
    if stacked == (True, False) and n <= 2:
        return matmul(a, b)
    if stacked == (False, True) and n == 1 and m <= 2:
        return matmul(b, a.T)
    a = a[..., None, :] if m == 1 else a
    b = b[..., None] if n == 1 else b
    a, b = align_stacks(stacked, (a, b), (2, 2))
    y = a * b if a.shape[-1] == b.shape[-2] == 1 else matmul(a, b)
    if m == 1:
        y = y[..., 0, :]
    return y[..., 0] if n == 1 else y


matmul.vmap(_matmul_stacks)


def _dot_stacks(stacked: Any, a: Any, b: Any) -> Any:
    ndims = {np.ndim(x) - s for x, s in zip((a, b), stacked)}
    # Of more dimensions, `dot` is another product than `matmul`.
    return _matmul_stacks(stacked, a, b) if ndims <= {1, 2} else NotImplemented


dot.vmap(_dot_stacks)


@composite()
def tensordot(a: Any, b: Any, *, axes: Any = 2) -> Any:
    """Sum over pairs of axes: reshape both arrays to matrices and multiply them."""
    if isinstance(axes, int):
        axes = (range(np.ndim(a) - axes, np.ndim(a)), range(axes))
    a_summed = normalize_axis_tuple(axes[0], np.ndim(a))
    b_summed = normalize_axis_tuple(axes[1], np.ndim(b))
    a_kept = [i for i in range(np.ndim(a)) if i not in a_summed]
    b_kept = [i for i in range(np.ndim(b)) if i not in b_summed]
    summed = [np.shape(a)[i] for i in a_summed]
    if summed != [np.shape(b)[i] for i in b_summed]:
        raise ValueError(
            f"tensordot: shapes {np.shape(a)} and {np.shape(b)} do not align: the "
            f"sizes of the axes {a_summed} and {b_summed} must be equal"
        )
    k = math.prod(summed)
    rows = [np.shape(a)[i] for i in a_kept]
    columns = [np.shape(b)[i] for i in b_kept]
    left = reshape(transpose(a, (*a_kept, *a_summed)), (math.prod(rows), k))
    right = reshape(transpose(b, (*b_summed, *b_kept)), (k, math.prod(columns)))
    return reshape(dot(left, right), (*rows, *columns))


@composite(tex=r"{a} {b}^T", signature="(m?,k),(n?,k)->(m?,n?)")
def inner(a: Any, b: Any) -> Any:
    """The inner products of the vectors along the last axes of `a` and `b`."""
    a, b = as_array(a), as_array(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, (-1, -1))


@composite(tex=r"{a} {b}^T", signature="(m),(n)->(m,n)")
def outer(a: Any, b: Any) -> Any:
    """Multiply each element of `a` by each element of `b`; the result is a matrix."""
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


@composite(tex=r"{a} \cdot {b}")
def vdot(a: Any, b: Any) -> Any:
    """The inner product of two flattened arrays: one number."""
    return dot(reshape(a, -1), reshape(b, -1))


@composite(tex=r"{a} \otimes {b}")
def kron(a: Any, b: Any) -> Any:
    """The Kronecker product: replace each element of `a` by the element times `b`."""
    a, b = as_array(a), as_array(b)
    ndim = max(a.ndim, b.ndim)
    tall, wide = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    blocks = reshape(a, tuple(chain(*((n, 1) for n in tall))))
    copies = reshape(b, tuple(chain(*((1, n) for n in wide))))
    return reshape(blocks * copies, tuple(m * n for m, n in zip(tall, wide)))


@composite(tex=r"\operatorname{{tr}} {x}")
def trace(
    x: Any,
    *,
    offset: int = 0,
    axis1: int = 0,
    axis2: int = 1,
    dtype: DTypeLike | None = None,
) -> Any:
    """The sum of the diagonal of a matrix, or of each matrix in a stack.

    A positive `offset` means a diagonal above the main one, a negative one below it.
    """
    return sum(diagonal(x, offset, axis1, axis2), axis=-1, dtype=dtype)


@composite(tex=r"{a} \times {b}")
def cross(
    a: Any,
    b: Any,
    *,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Any:
    """The cross product of vectors of 3 numbers.

    The vectors lie along `axisa` of `a` and `axisb` of `b`, and along `axisc` of the
    result. `axis` sets all three.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = as_array(a), as_array(b)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if not a.shape[-1] == b.shape[-1] == 3:
        raise ValueError(
            f"cross: the vectors must have 3 elements each, not {a.shape[-1]} and "
            f"{b.shape[-1]}; for vectors in a plane, append a 0"
        )
    i, j = [1, 2, 0], [2, 0, 1]
    product = a[..., i] * b[..., j] - a[..., j] * b[..., i]
    return moveaxis(product, -1, axisc)


def _rows(x: Any) -> Any:
    """Flatten all axes but the last."""
    *sizes, n = x.shape
    return x if len(sizes) == 1 else reshape(x, (math.prod(sizes), n))


@op(tex=r"{x} {w}^T + {b}", signature="(m?,k),(n,k),(n)->(m?,n)")
def linear(x: Any, w: Any, b: Any) -> Any:
    """Compute one layer, z = x w^T + b: one example per row of `x`; `w` is (out, in).

    This is one op instead of three because it is faster: the gradient of `w` gets the
    same memory order as `w`.
    """
    x, w, b = as_array(x), as_array(w), as_array(b)
    if w.ndim != 2 or b.shape != (len(w),) or x.ndim == 0:  # NumPy would broadcast
        raise ValueError("w must have the shape (n, k) and b the shape (n,)")
    return np.dot(x, w.T) + b


linear.vjp(
    x=lambda g, y, x, w, b: np.dot(g, w),
    w=lambda g, y, x, w, b: (
        outer(g, x) if x.ndim == 1 else np.dot(_rows(g).T, _rows(x))
    ),
    b=lambda g, y, x, w, b: g,
)


def _linear_stacks(stacked: Any, x: Any, w: Any, b: Any) -> Any:
    of_x, of_w, of_b = stacked
    if np.ndim(x) == of_x or b.shape[of_b:] != w.shape[of_w:-1]:
        return NotImplemented
    if stacked == (True, False, False):
        return linear(x, w, b)
    w = matrix_transpose(w)
    z = _matmul_stacks((of_x, of_w), x, w) if of_x or of_w else matmul(x, w)
    return z + (in_depth(b, z.ndim - (of_x or of_w)) if of_b else b)


linear.vmap(_linear_stacks)


@op(tex=r"{a} * {v}")
def convolve(a: Any, v: Any, *, mode: Literal["full", "same", "valid"] = "full") -> Any:
    """The convolution of two vectors: y_k is the sum of a_i v_j over i + j = k.

    With mode="same", the result is as long as the longer vector, and taken from the
    middle; with mode="valid", only where the vectors overlap completely.
    """
    if np.ndim(a) != 1 or np.ndim(v) != 1:
        raise ValueError("convolve: it takes two vectors; use reshape(x, -1)")
    if not isinstance(mode, str):  # NumPy also takes numbers, without saying so
        raise TypeError(
            f"convolve: mode must be 'full', 'same' or 'valid', not {mode!r}"
        )
    return np.convolve(a, v, mode)


def _convolve_a(g: Any, y: Any, a: Any, v: Any, mode: str) -> Any:
    """Each a_i meets v_0, v_1, ... in y_i, y_(i+1), ...: slide v along g."""
    most, least = sorted((a.size, v.size))[::-1]
    start = {"full": 0, "same": (least - 1) // 2, "valid": least - 1}[mode]
    whole = add_at(g, slice(start, start + y.size), most + least - 1)
    return convolve(whole, flip(v), "valid")


convolve.vjp(a=_convolve_a, v=lambda g, y, a, v, mode: _convolve_a(g, y, v, a, mode))
