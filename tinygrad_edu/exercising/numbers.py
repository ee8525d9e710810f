"""Random numbers that are easy to copy, and that tell slips apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["drawn"]


def drawn(given: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return the numbers of a question, drawn as its `Declaration` says.

    ``y``, a target, and ``a``, an activation, are from 0.1 to 0.9.

    Examples
    --------
    >>> how = {"x": [], "y": [2], "lr": 0.5, "n": "rng.integers(9)"}
    >>> drawn(how, np.random.default_rng(0))
    {'x': 1.32, 'y': array([0.13, 0.11]), 'lr': 0.5, 'n': np.int64(2)}
    """
    found: dict[str, Any] = {}
    for name, how in given.items():
        if isinstance(how, str):
            found[name] = eval(how, {"np": np, "rng": rng, "numbers": numbers})
        elif not isinstance(how, list):
            found[name] = how
        elif name in ("a", "y"):
            found[name] = _rounded(rng.uniform(0.1, 0.9, how))
        else:
            found[name] = numbers(rng, *how)
    return found


def numbers(rng: np.random.Generator, *shape: int) -> Any:
    """Draw numbers of either sign, of a size from 0.3 to 1.9."""
    return _rounded(rng.uniform(0.3, 1.9, shape) * rng.choice([-1.0, 1.0], shape))


def _rounded(drawn: Any) -> Any:
    rounded = np.round(drawn, 2)
    return rounded if np.shape(rounded) else float(rounded)
