"""Products of vectors, matrices, and stacks of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.op import composite, op
from tinygrad_edu.ops.shapes import reshape, transpose


def _matrix_transpose(a: Any) -> Any:
    """Transpose matrices: exchange the last two axes."""
    if a.ndim == 2:
        return a.T
    return transpose(a, (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))


def _dot_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if np.ndim(b) == 2 and np.ndim(a):
        return g.dot(b.T)
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

    It sums over the last axis of `a` and the last but one of `b`, as NumPy's.
    """
    return np.dot(a, b)


dot.vjp(a=_dot_a, b=_dot_b)


def _matmul_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return g[..., None] * b
    if a.ndim == 1:
        return matmul(b, g[..., None])[..., 0]
    return g @ _matrix_transpose(b)


def _matmul_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1 and b.ndim == 1:
        return g * a
    if a.ndim == 1:
        return a[:, None] * g[..., None, :]
    if b.ndim == 1:
        return matmul(_matrix_transpose(a), g[..., None])[..., 0]
    return _matrix_transpose(a) @ g


matmul = op(
    np.matmul,
    tex=r"{a} {b}",
    signature="(m?,k),(k,n?)->(m?,n?)",
    doc="The product of matrices, or of stacks of them: ``a @ b``.",
).vjp(a=_matmul_a, b=_matmul_b)


@composite()
def tensordot(a: Any, b: Any, *, axes: Any = 2) -> Any:
    """Sum over pairs of axes: lay both flat as matrices and multiply them."""
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


def _rows(x: Any) -> Any:
    """Lay all axes but the last flat."""
    *sizes, n = x.shape
    return x if len(sizes) == 1 else reshape(x, (math.prod(sizes), n))


@op(tex=r"{x} {w}^T + {b}", signature="(m?,k),(n,k),(n)->(m?,n)")
def linear(x: Any, w: Any, b: Any) -> Any:
    """One layer's z = x w^T + b: `x` has an example a row, `w` the shape (out, in).

    One op and not three, since it is faster: the gradient of `w` comes out in `w`'s own
    memory order.
    """
    return np.asarray(x).dot(np.asarray(w).T) + b


linear.vjp(
    x=lambda g, y, x, w, b: g.dot(w),
    w=lambda g, y, x, w, b: _rows(g).T.dot(_rows(x)),
    b=lambda g, y, x, w, b: g,
)
