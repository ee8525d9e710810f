"""Compute a function's derivatives twice: by reverse mode and by differences.

A `Probe` multiplies the output of a function by a cotangent c and sums, to get one
number, <c, f(x)>. Then it measures how that number changes when an input moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.differences import Estimate, bends, derivative, first_step
from tinygrad_edu.engine.autodiff import pull_back
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.ops.arithmetic import multiply
from tinygrad_edu.ops.reductions import sum

__all__ = ["FEW", "Check", "Probe", "normal"]

Array = np.ndarray[Any, Any]

FEW = 24  # an input with at most this many elements is moved along each coordinate,
DIRECTIONS = 8  # a larger one along this many random directions
RTOL = {2: 1e-1, 4: 2e-3, 8: 1e-6}  # by the number of bytes of the dtype


class Check(NamedTuple):
    """One directional derivative, found in two ways."""

    direction: Array
    reverse: float
    difference: float
    error: float  # an estimate of the error of the difference

    @property
    def is_precise(self) -> bool:
        """Whether the error of the difference is at most 1 %, or next to nothing."""
        return self.error <= max(1e-2 * abs(self.difference), 1e-8 * abs(self.reverse))

    @property
    def excess(self) -> float:
        """How far the two are apart, beyond the error of the difference."""
        apart = abs(self.reverse - self.difference)
        if self.is_precise:
            return apart - 2 * self.error
        return max(apart, self.error) if np.isfinite(self.error) else np.inf


class Probe:
    """A function of Tensors, the leaves to evaluate it at, and a cotangent."""

    def __init__(
        self, f: Callable[..., Any], leaves: Sequence[Tensor], cotangent: Array
    ) -> None:
        self.f = f
        self.leaves = leaves
        self.cotangent = cotangent

    def gradients(self) -> list[Array]:
        """Return the gradient for each leaf, by reverse mode."""
        y = self.f(*self.leaves)
        if not y.requires_grad:
            return [np.zeros_like(x.data) for x in self.leaves]
        found, _ = pull_back({y: np.asarray(self.cotangent, y.dtype)})
        found = {x: g.data if isinstance(g, Tensor) else g for x, g in found.items()}
        return [found.get(x, np.zeros_like(x.data)) for x in self.leaves]

    def value(self, position: int, move: Array) -> float:
        """Return <c, f> with the leaf number `position` moved."""
        x = self.leaves[position]
        here = x.data
        x.array = (here + move).astype(here.dtype)
        try:
            y = self.f(*self.leaves).data
            return float(np.vdot(self.cotangent.astype(float), y.astype(float)))
        finally:
            x.array = here

    def difference(self, position: int, direction: Array) -> Estimate:
        """Return the derivative along a direction, by differences."""
        return derivative(
            lambda t: self.value(position, t * direction),
            first_step(self.leaves[position].data, direction),
            self.rounding,
        )

    @cached_property
    def rounding(self) -> float:
        """Return a bound on the rounding error of <c, f>."""
        y = self.f(*self.leaves).data
        terms = float(np.sum(np.abs(self.cotangent * y)))
        return float(np.finfo(y.dtype).eps) * terms

    def bends(self, position: int, direction: Array) -> bool:
        """Whether there is a kink in a direction."""
        h = first_step(self.leaves[position].data, direction)
        return bends(lambda t: self.value(position, t * direction), h)

    def checks(self, rng: np.random.Generator) -> list[list[Check]]:
        """Return a list for each leaf: the derivatives along some directions."""
        return [
            [
                Check(
                    direction,
                    float(np.vdot(gradient.astype(float), direction)),
                    *self.difference(position, direction),
                )
                for direction in _directions(x, rng)
            ]
            for position, (x, gradient) in enumerate(zip(self.leaves, self.gradients()))
        ]

    def tolerance(
        self,
        position: int,
        check: Check,
        rtol: float | None = None,
        atol: float | None = None,
    ) -> float:
        """Return the largest allowed difference of a check's two derivatives."""
        if rtol is None:
            rtol = RTOL[min(8, self.leaves[position].dtype.itemsize)]
        if atol is None:
            atol = 1e3 * self.rounding
        return rtol * max(abs(check.reverse), abs(check.difference)) + atol

    def second(self, rng: np.random.Generator) -> Probe:
        """Return the probe that checks the second derivatives.

        Its function is a random combination of the gradients. Their backward pass is
        recorded, so it can be differentiated.
        """
        weights = [normal(rng, x) for x in self.leaves]

        def combination(*leaves: Tensor) -> Tensor:
            y = self.f(*leaves)
            g, _ = pull_back({y: Tensor(self.cotangent, dtype=y.dtype)}, True)
            total = Tensor(0.0, dtype=y.dtype)
            for x, w in zip(leaves, weights):
                if x in g:
                    total = total + sum(multiply(g[x], w))
            return total

        return Probe(combination, self.leaves, np.ones(()))


def scale(checks: Sequence[Check]) -> float:
    """Return the largest absolute value of all derivatives."""
    sizes = [max(abs(c.reverse), abs(c.difference)) for c in checks]
    return max(filter(np.isfinite, sizes), default=0.0)


def normal(rng: np.random.Generator, x: Tensor) -> Array:
    """Draw a random array of the shape and dtype of `x`."""
    return np.asarray(rng.standard_normal(x.shape), x.dtype)


def _directions(x: Tensor, rng: np.random.Generator) -> Iterator[Array]:
    if x.size <= FEW:
        yield from np.eye(x.size).reshape(x.size, *x.shape)
        return
    for _ in range(DIRECTIONS):
        direction = rng.standard_normal(x.shape)
        yield direction / np.max(np.abs(direction))
