"""Random generators: make one from a seed, read and set its state."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["generator", "is_generator", "set_state", "shuffled", "state_of"]


def generator(rng: Any) -> Any:
    """Return a NumPy generator unchanged; make a new one from a seed or None.

    Raises
    ------
    TypeError
        If `rng` is neither a generator nor a seed.
    """
    if hasattr(rng, "standard_normal"):
        return rng
    try:
        return np.random.default_rng(rng)
    except TypeError:
        raise TypeError(
            f"rng must be a NumPy generator, np.random.default_rng(0), or a seed such "
            f"as 0, not {rng!r}"
        ) from None


def shuffled(order: Any, rng: Any) -> Any:
    """Return a shuffled copy of an array; if `rng` is None, the array itself."""
    return order if rng is None else generator(rng).permutation(order)


def is_generator(x: Any) -> bool:
    """Whether x is a random generator of NumPy or Python."""
    import random  # here, as is np.random: each import takes 1 ms and more

    kinds = np.random.Generator, np.random.RandomState, random.Random
    return isinstance(x, kinds)


def state_of(generator: Any) -> Any:
    """Return the state of a generator, which determines its next numbers."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def set_state(generator: Any, state: Any) -> None:
    """Set a generator to a state that `state_of` returned."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)
