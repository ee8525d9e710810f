"""Random numbers that are easy to copy, and that tell slips apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["numbers"]


def numbers(
    **shapes: tuple[int, ...],
) -> Callable[[np.random.Generator], dict[str, Any]]:
    """Return a function that draws numbers with two decimals, none of them near 0.

    ``y``, a target, and ``a``, an activation, are from 0.1 to 0.9. The other numbers
    have either sign, and a size from 0.3 to 1.9.

    Examples
    --------
    >>> numbers(x=(), y=(2,))(np.random.default_rng(0))
    {'x': 1.32, 'y': array([0.13, 0.11])}
    """

    def one(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Any:
        if name in ("a", "y"):
            drawn = rng.uniform(0.1, 0.9, shape)
        else:
            drawn = rng.uniform(0.3, 1.9, shape) * rng.choice([-1.0, 1.0], shape)
        rounded = np.round(drawn, 2)
        return rounded if shape else float(rounded)

    return lambda rng: {name: one(rng, name, s) for name, s in shapes.items()}
