"""Derivatives by differences of function values: slow, inexact, and independent.

A central difference, (phi(h) - phi(-h)) / 2h, is off by about h^2, and its rounding
error grows as h shrinks. Ridders' method takes several steps h, extrapolates to h = 0,
and estimates the error of the result (C. Ridders, "Accurate computation of F'(x)
and F'(x) F''(x)", Advances in Engineering Software 4 (1982), 75-76).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Estimate", "bends", "derivative", "first_step"]

SHRINK = 4.0  # each step is this many times smaller than the one before
_EPS = float(np.finfo(float).eps)
ROUNDS = 10  # steps to use; up to as many more are tried outside the domain


class Estimate(NamedTuple):
    """A derivative, and an estimate of its error."""

    value: float
    error: float


def first_step(x: np.ndarray[Any, Any], direction: np.ndarray[Any, Any]) -> float:
    """Return the largest step from `x`, given the dtype and size of what moves.

    Examples
    --------
    >>> first_step(np.array([100.0, 1.0]), np.array([1.0, 0.0]))
    5.0
    """
    relative = 0.05 if x.dtype.itemsize >= 8 else 0.2
    return relative * float(np.max(np.abs(x[direction != 0]), initial=1.0))


def derivative(
    phi: Callable[[float], float], h: float, rounding: float = 0.0
) -> Estimate:
    """Return phi'(0) by central differences with steps from `h` downwards.

    A step that leaves the function's domain gives a value that is not finite; it is
    skipped. If all steps do, the result is NaN, with an infinite error. `rounding`
    is the rounding error of phi's values.

    Examples
    --------
    >>> value, error = derivative(np.exp, 0.1)
    >>> round(value, 9), error < 1e-9
    (1.0, True)
    """
    best = Estimate(np.nan, np.inf)
    previous: list[float] = []
    for _ in range(2 * ROUNDS):
        with np.errstate(all="ignore"):
            right, left = phi(h), phi(-h)
            row = [(right - left) / (2 * h)]
        noise = max(rounding, _EPS * max(abs(right), abs(left))) / h
        h /= SHRINK
        if not np.isfinite(row[0]):
            continue
        for order, old in enumerate(previous, 1):
            finer = row[-1]
            row.append(finer + (finer - old) / (SHRINK ** (2 * order) - 1))
            error = max(abs(row[-1] - finer), abs(row[-1] - old), noise)
            if error < best.error:
                best = Estimate(float(row[-1]), float(error))
        previous = row
        if len(row) == ROUNDS:
            break
    # If phi oscillates faster than the steps, some steps agree by chance, but the
    # finest one does not.
    if previous and abs(previous[0] - best.value) > 10 * noise + 1e-4 * abs(best.value):
        return Estimate(best.value, float(abs(previous[0] - best.value)))
    return best


def bends(phi: Callable[[float], float], h: float) -> bool:
    """Whether the slopes to the left and right of 0 differ even for small steps.

    Examples
    --------
    >>> bends(abs, 0.1), bends(np.exp, 0.1)
    (True, False)
    """
    here = phi(0.0)
    differences = []
    for _ in range(ROUNDS):
        right, left = (phi(h) - here) / h, (here - phi(-h)) / h
        differences.append(abs(right - left))
        h /= SHRINK
    # At a kink the difference stays the same; where the function is smooth, it shrinks
    # with the step.
    slope = max(abs(right), abs(left))
    steady = abs(differences[-1] - differences[-2]) <= 0.1 * differences[-1]
    return bool(steady and differences[-1] > 1e-4 * slope)
