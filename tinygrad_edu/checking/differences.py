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

SHRINK = 4.0  # from one step to the next
_EPS = float(np.finfo(float).eps)
ROUNDS = 10  # and so many more, if the first ones leave the domain


class Estimate(NamedTuple):
    """A derivative, and about how far it may be off."""

    value: float
    error: float


def first_step(x: np.ndarray[Any, Any], direction: np.ndarray[Any, Any]) -> float:
    """Return the largest step to take from `x`, by the dtype and size of what moves.

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

    A step that leaves the function's domain, so that a value is not finite, is skipped;
    if all do, the answer is NaN and its error infinite. `rounding` is how far the
    values of phi may be off.

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
        feigned = max(rounding, _EPS * max(abs(right), abs(left))) / h
        h /= SHRINK
        if not np.isfinite(row[0]):
            continue
        for order, old in enumerate(previous, 1):
            finer = row[-1]
            row.append(finer + (finer - old) / (SHRINK ** (2 * order) - 1))
            error = max(abs(row[-1] - finer), abs(row[-1] - old), feigned)
            if error < best.error:
                best = Estimate(float(row[-1]), float(error))
        previous = row
        if len(row) == ROUNDS:
            break
    # Where phi swings faster than the steps, some agree by chance: but not the finest.
    if previous and abs(previous[0] - best.value) > 10 * feigned + 1e-4 * abs(
        best.value
    ):
        return Estimate(best.value, float(abs(previous[0] - best.value)))
    return best


def bends(phi: Callable[[float], float], h: float) -> bool:
    """Whether the slopes to the left and right of 0 differ, however small the step.

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
    # At a kink the difference stays as it is; where the function is smooth it shrinks
    # with the step.
    slope = max(abs(right), abs(left))
    steady = abs(differences[-1] - differences[-2]) <= 0.1 * differences[-1]
    return bool(steady and differences[-1] > 1e-4 * slope)
