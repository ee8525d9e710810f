"""Shorten gradients that are too long, before a step."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import current_mode
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.optim.base import checked_parameters

__all__ = ["clip_gradients"]


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Any:
    r"""Shorten the gradient, of all parameters as one vector, if it is too long.

    :math:`g \leftarrow g \, c / \max(\lVert g \rVert, c)` (Pascanu, Mikolov and Bengio,
    2013, algorithm 1), in place. Call it after ``backward()`` and before ``step()``,
    also in a compiled step.

    Parameters
    ----------
    parameters : iterable of Tensor
        Parameters without a gradient are skipped.
    max_norm : float
        The largest allowed length, c.

    Returns
    -------
    NumPy scalar
        The length before. If it is NaN or infinite, the gradients stay unchanged, since
        there is no length to scale by; so check it if that may happen.

    Raises
    ------
    ValueError
        If no parameter has a gradient, or `max_norm` is not positive.
    TypeError
        If a parameter is not a leaf Tensor that requires a gradient.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()  # the gradient is 2 w
    >>> tg.optim.clip_gradients([w], max_norm=5.0).item()
    10.0
    >>> w.grad
    Tensor([3., 4.])
    """
    if current_mode.get().tape is None and not max_norm > 0:
        raise ValueError(f"clip_gradients: max_norm={max_norm!r} must be above 0")
    leaves = checked_parameters(parameters, "clip_gradients")
    moved = [p for p in leaves if p.grad is not None]
    if not moved:
        raise ValueError(
            "clip_gradients: no parameter has a gradient; call backward() on the loss "
            "before"
        )
    for p in moved:
        if not p.grad.is_leaf:  # its graph needs the value
            p.grad = Tensor(p.grad.data.copy())
    gradients = [p.grad.data for p in moved]
    # In units of the largest element, so that no square overflows.
    largest = [np.max(np.abs(g)) for g in gradients if g.size]
    unit = reduce(np.maximum, largest or [0.0])
    unit = np.where(np.isfinite(unit) & (unit > 0), unit, 1)
    norm = unit * np.sqrt(sum(np.sum(np.square(g / unit)) for g in gradients))
    scale = np.where(np.isfinite(norm), max_norm / np.maximum(norm, max_norm), 1)
    for g in gradients:
        g *= scale
    return norm
