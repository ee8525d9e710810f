"""Guess what is wrong with a gradient, by trying common mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["likeliest_slip"]

Array = np.ndarray[Any, Any]


def likeliest_slip(
    wrong: Array,
    agrees: Callable[[Array], bool],
    sizes: Mapping[str, int],
    factors: Mapping[str, Array],
    others: Iterable[tuple[str, Array]],
) -> str | None:
    """Return the mistake that turns the right gradient into the wrong one, or None.

    Parameters
    ----------
    wrong : ndarray
        The wrong gradient.
    agrees : callable
        Returns whether an array agrees with what is known of the right gradient.
    sizes : dict of str to int
        Numbers that may be missing as a factor, keyed by what they count.
    factors : dict of str to ndarray
        Quantities that may be missing as a factor, by name.
    others : iterable of (str, ndarray)
        Known mistakes, each with the wrong gradient that it gives.

    Examples
    --------
    >>> right = np.array([1.0, 2.0])
    >>> likeliest_slip(-right, lambda g: bool(np.allclose(g, right)), {}, {}, [])
    'its sign is flipped'
    """
    if not np.isfinite(wrong).all():
        return "it has a NaN or an infinity"
    if not np.any(wrong):
        return "it is zero"
    with np.errstate(all="ignore"):
        for slip, repaired in _repaired(wrong, sizes, factors):
            if agrees(repaired):
                return slip
    atol = 1e-6 * float(np.max(np.abs(wrong)))
    for slip, other in others:
        if other.shape == wrong.shape and np.allclose(other, wrong, 0, atol):
            return slip
    return None


def _repaired(
    wrong: Array, sizes: Mapping[str, int], factors: Mapping[str, Array]
) -> Iterator[tuple[str, Array]]:
    """Yield each slip, with the gradient after undoing it."""
    yield "its sign is flipped", -wrong
    yield "it is twice as large as it should be", wrong / 2
    yield "it is half as large as it should be", wrong * 2
    if wrong.ndim == 2 and len(wrong) > 1:
        yield "it is transposed", wrong.T
    for what, n in sizes.items():
        if n > 1:
            yield f"it is {n} times too large: divide by {what}", wrong / n
            yield f"it is {n} times too small: do not divide by {what}", wrong * n
    for what, factor in factors.items():
        if factor.shape in (wrong.shape, ()):
            yield f"the factor {what} is missing", wrong * factor
            yield f"the factor {what} is there one time too many", wrong / factor
