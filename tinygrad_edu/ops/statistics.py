"""Statistics of several variables: covariances and correlations."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.engine.op import as_array, composite
from tinygrad_edu.ops.functions import as_float, sqrt
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.rearranging import diagonal
from tinygrad_edu.ops.reductions import mean
from tinygrad_edu.ops.shapes import atleast_2d, squeeze
from tinygrad_edu.support.kinds import Operand


@composite(tex=r"\operatorname{{cov}} {x}")
def cov(
    x: Any,
    *,
    y: Operand | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
) -> Any:
    """The covariances of variables, one a row; with ``rowvar=False``, one a column.

    `y` has more variables, for the same observations. The sums of products of
    deviations from the mean are divided by n - `ddof` for n observations; by default
    `ddof` is 1, or 0 with ``bias=True``.
    """
    rows = [_rows_of(part, rowvar) for part in (x, y) if part is not None]
    z = concatenate(rows) if len(rows) > 1 else rows[0]
    deviations = z - mean(z, 1, keepdims=True)
    if ddof is None:
        ddof = 0 if bias else 1
    return squeeze(deviations @ deviations.T / (z.shape[1] - ddof))


def _rows_of(x: Any, rowvar: bool) -> Any:
    """Return a matrix with one variable a row; a vector is one variable."""
    x = as_float(x)
    if x.ndim > 2:
        raise ValueError(
            f"cov: an argument has shape {x.shape}; pass a matrix, with one variable "
            "a row, or a vector"
        )
    return atleast_2d(x) if rowvar or x.ndim < 2 else x.T


@composite(tex=r"\operatorname{{corr}} {x}")
def corrcoef(x: Any, *, y: Operand | None = None, rowvar: bool = True) -> Any:
    """The correlations of variables: covariances, divided by standard deviations.

    The arguments are those of `cov`.
    """
    c = as_array(cov(x, y=y, rowvar=rowvar))
    if c.ndim == 0:
        return c / c
    deviations = sqrt(diagonal(c))
    return c / deviations / deviations[:, None]
