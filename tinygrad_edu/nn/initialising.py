"""Draw the initial values of parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support.randomness import generator

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["INITIALISATIONS", "draw_bias", "draw_layers", "draw_weight"]

Array = np.ndarray[Any, Any]


def scaled(rng: Any, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
    """Standard deviation 1/sqrt(n_in) (Nielsen, chapter 3)."""
    return np.asarray(rng.standard_normal(shape) / np.sqrt(n_in))


def large(rng: Any, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
    """Standard deviation 1 (Nielsen, chapter 1)."""
    return np.asarray(rng.standard_normal(shape))


def xavier(rng: Any, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
    """Uniform, of variance 2/(n_in + n_out) (Glorot and Bengio, 2010, equation 16)."""
    limit = np.sqrt(6 / (n_in + n_out))
    return np.asarray(rng.uniform(-limit, limit, shape))


def he(rng: Any, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
    """Standard deviation sqrt(2/n_in) (He et al., 2015, equation 10)."""
    return np.asarray(rng.standard_normal(shape) * np.sqrt(2 / n_in))


INITIALISATIONS = {f.__name__: f for f in (scaled, large, xavier, he)}
ZERO_BIAS = {"xavier", "he"}  # as in these papers; else standard deviation 1


def draw_weight(shape: tuple[int, ...], rng: Any, init: str) -> Array:
    """Draw a weight of shape (n_out, n_in), or (n_out, n_in, *window)."""
    window = math.prod(shape[2:])
    n_out, n_in = shape[0] * window, shape[1] * window
    return INITIALISATIONS[init](rng, shape, n_in, n_out)


def draw_bias(n_out: int, rng: Any, init: str) -> Array:
    """Draw a bias; if it is 0, do not use the generator."""
    zero = init in ZERO_BIAS
    return np.zeros(n_out) if zero else np.asarray(rng.standard_normal(n_out))


def draw_layers(
    sizes: Sequence[int], rng: Any, init: str, dtype: DTypeLike
) -> tuple[list[Tensor], list[Tensor]]:
    """Draw the weights and the biases: first all biases, then all weights.

    M. Nielsen's programs use this order, so a generator in the same state gives the
    same network as his.
    """
    is_list = isinstance(sizes, Sequence | np.ndarray)
    if not (is_list and all(isinstance(n, int | np.integer) for n in sizes)):
        raise TypeError(
            "nn: sizes must be a list of integers, such as [784, 30, 10], not "
            f"{sizes!r}"
        )
    if len(sizes) < 2 or any(n < 1 for n in sizes):
        raise ValueError(
            f"nn: sizes must be at least two integers of 1 or more, inputs first, not "
            f"{list(sizes)}"
        )
    if init not in INITIALISATIONS:
        *known, last = map(repr, INITIALISATIONS)
        raise ValueError(f"nn: init must be {', '.join(known)} or {last}, not {init!r}")
    rng = generator(rng)
    layers = list(pairwise(sizes))
    biases = [draw_bias(n_out, rng, init) for _, n_out in layers]
    weights = [draw_weight((n_out, n_in), rng, init) for n_in, n_out in layers]
    return _tensors("W", weights, dtype), _tensors("b", biases, dtype)


def _tensors(letter: str, arrays: list[Array], dtype: DTypeLike) -> list[Tensor]:
    return [
        Tensor(array, requires_grad=True, dtype=dtype, name=f"{letter}{layer}")
        for layer, array in enumerate(arrays, 1)
    ]
