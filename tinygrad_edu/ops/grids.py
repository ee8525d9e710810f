"""Numbers on a grid: points between two ends, interpolation, slopes by differences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine.graph import value_of
from tinygrad_edu.engine.op import as_array, composite
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.functions import as_float
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.shapes import astype, moveaxis, reshape
from tinygrad_edu.support.kinds import Axes, Operand


@composite(tex=r"{start} + \frac{{i}}{{n - 1}} ({stop} - {start})")
def linspace(
    start: Any, stop: Any, *, num: int = 50, endpoint: bool = True, axis: int = 0
) -> Any:
    """Return `num` numbers from `start` to `stop`, at equal distances, along an axis.

    With ``endpoint=False``, `stop` is where the next number would be.
    """
    if num < 0:
        raise ValueError(f"linspace: num is {num}; it counts numbers, so 0 or more")
    plain = float | int  # takes the dtype of the other end
    ends = [x if isinstance(x, plain) else as_array(x) for x in (start, stop)]
    dtype = np.result_type(*(getattr(x, "dtype", 1.0) for x in ends), 1.0)
    step = max(num - 1 if endpoint else num, 1)
    ndim = max(getattr(x, "ndim", 0) for x in ends)
    share = (np.arange(num) / step).astype(dtype).reshape(num, *[1] * ndim)
    start, stop = ends
    return moveaxis(start * (1 - share) + stop * share, 0, axis)


@composite(
    kink=lambda x, xp, fp, left, right: np.subtract.outer(x, xp),
    subgradient="at a point of `xp`, the slope on its right; at the last, on its left",
)
def interp(
    x: Any,
    xp: Any,
    fp: Any,
    *,
    left: Operand | None = None,
    right: Operand | None = None,
) -> Any:
    """Interpolate linearly: the values at `x` of a function that is `fp` at `xp`.

    `xp` must rise. Before its first point the result is `left`, and after its last
    `right`; by default the first and last values of `fp`.
    """
    x, xp, fp = as_float(x), as_array(xp), as_array(fp)
    if xp.ndim != 1 or xp.shape != fp.shape or xp.size < 2:
        raise ValueError(
            f"interp: xp has shape {xp.shape} and fp has shape {fp.shape}; they must "
            "be vectors of the same length, of two points at least"
        )
    after = np.searchsorted(value_of(xp), value_of(x), "right")
    i = np.clip(after - 1, 0, xp.size - 2)
    # Not xp[i]: within `vmap`, i is a stand-in, and cannot index an array.
    before, start = getitem(xp, i), getitem(fp, i)
    slope = (getitem(fp, i + 1) - start) / (getitem(xp, i + 1) - before)
    outside = (x < xp[0]) | (x > xp[-1])
    y = start + slope * where(outside, 0, x - before)  # not 0 times infinity
    y = where(x < xp[0], fp[0] if left is None else left, y)
    return where(x > xp[-1], fp[-1] if right is None else right, y)


@composite(tex=r"\frac{{{x}_{{i+1}} - {x}_{{i-1}}}}{{2h}}")
def central_differences(
    x: Any, *, spacing: Operand = 1.0, axis: Axes = None, edge_order: int = 1
) -> Any:
    """Slopes along an axis of values on a grid: `numpy.gradient`, no derivative of x.

    They are those of the parabola through a value and its two neighbours. At the ends,
    of the line through two values; with ``edge_order=2``, of the nearest parabola.

    `spacing` is the distance of the points, or a vector of their coordinates; a tuple
    has one for each axis. Several axes give a tuple of arrays; without an axis, these
    are all.
    """
    x = as_float(x)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    spacings = spacing if isinstance(spacing, tuple) else (spacing,) * len(axes)
    if len(spacings) != len(axes):
        raise ValueError(
            f"central_differences: {len(spacings)} spacings for {len(axes)} axes; pass "
            "one for all axes, or one for each"
        )
    slopes = tuple(
        moveaxis(_slopes(moveaxis(x, i, 0), h, edge_order), 0, i)
        for i, h in zip(axes, spacings)
    )
    return slopes[0] if len(slopes) == 1 else slopes


def _slopes(x: Any, spacing: Any, edge_order: int) -> Any:
    """Return the slopes along the first axis."""
    n = len(x)
    if edge_order not in (1, 2) or n <= edge_order:
        raise ValueError(
            f"central_differences: edge_order={edge_order} and {n} values along the "
            "axis; edge_order=1 needs 2 values or more, edge_order=2 needs 3"
        )
    places = spacing if np.ndim(spacing) else spacing * np.arange(n)
    if np.shape(places) != (n,):
        raise ValueError(
            f"central_differences: spacing has shape {np.shape(places)}; pass a number "
            f"or the {n} coordinates along the axis"
        )
    t = reshape(astype(places, x.dtype), (n, *[1] * (x.ndim - 1)))
    h = t[1:] - t[:-1]
    lines = (x[1:] - x[:-1]) / h
    inside = (lines[:-1] * h[1:] + lines[1:] * h[:-1]) / (h[:-1] + h[1:])
    first, last = lines[:1], lines[-1:]
    if edge_order == 2:  # a parabola's slopes at two points have the line's as mean
        first, last = 2 * first - inside[:1], 2 * last - inside[-1:]
    return concatenate([first, inside, last])
