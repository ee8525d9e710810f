"""Generators of random numbers: made of a seed, and their state read and set."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

__all__ = ["generator", "is_generator", "set_state", "shuffled", "state_of"]


def generator(rng: Any) -> Any:
    """Return a generator of NumPy's as it is, and for a seed, or None, a new one.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if hasattr(rng, "standard_normal"):
        return rng
    try:
        return np.random.default_rng(rng)
    except TypeError:
        raise TypeError(
            f"rng is a generator of NumPy's, np.random.default_rng(0), or a seed such "
            f"as 0, and not {rng!r}"
        ) from None


def shuffled(order: Any, rng: Any) -> Any:
    """Return an array as it is without a generator or a seed, else a shuffled copy."""
    return order if rng is None else generator(rng).permutation(order)


def is_generator(x: Any) -> bool:
    """Whether x is a generator, of NumPy's or of Python's."""
    # Not a constant of this module: NumPy loads its random numbers when asked for them.
    kinds = np.random.Generator, np.random.RandomState, random.Random
    return isinstance(x, kinds)


def state_of(generator: Any) -> Any:
    """Return what the next random numbers depend on."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def set_state(generator: Any, state: Any) -> None:
    """Make a generator go on from a state that `state_of` gave."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)
