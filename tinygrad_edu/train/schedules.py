"""Learning rates that change: a schedule is a plain function, called before each epoch.

``schedule(epoch, history)`` gets the number of finished epochs and their history. It
returns the learning rate of the next epoch, or None to end the training. It depends on
nothing else, so it has no state to save when a training is stopped and resumed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = ["Schedule", "Watch", "constant", "cosine", "halve_on_stall", "step"]

Schedule = Callable[[int, Any], float | None]


def constant(lr: float) -> Schedule:
    """Keep the learning rate constant.

    >>> constant(0.5)(7, {})
    0.5
    """
    return lambda epoch, history: lr


def step(lr: float, every: int, factor: float = 0.5) -> Schedule:
    """Multiply the learning rate by a factor, each time after `every` epochs.

    >>> [step(0.5, every=2)(epoch, {}) for epoch in range(5)]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    """
    if every < 1:
        raise ValueError(f"step: every must be 1 epoch or more, not {every}")
    return lambda epoch, history: lr * factor ** (epoch // every)


def cosine(lr: float, epochs: int, least: float = 0.0) -> Schedule:
    r"""Lower the learning rate from `lr` to `least` along half a cosine wave.

    See Loshchilov and Hutter, 2017.

    .. math:: least + \tfrac12 (lr - least) (1 + \cos(\pi\, epoch / epochs))

    >>> [round(cosine(0.5, epochs=4)(epoch, {}), 3) for epoch in range(5)]
    [0.5, 0.427, 0.25, 0.073, 0.0]
    """
    if epochs < 1:
        raise ValueError(f"cosine: epochs must be 1 or more, not {epochs}")

    def schedule(epoch: int, history: Any) -> float:
        done = min(epoch / epochs, 1)
        return least + 0.5 * (lr - least) * (1 + math.cos(math.pi * done))

    return schedule


def halve_on_stall(
    lr: float,
    patience: int = 10,
    monitor: str = "validation_accuracy",
    best: Callable[..., float] = max,
    least: float = 1 / 128,
) -> Schedule:
    """Halve the learning rate each time that training stalls; end when it is small.

    Training stalls if a figure has not improved for `patience` epochs. (M. Nielsen,
    Neural Networks and Deep Learning, chapter 3, exercise on the learning schedule.)

    Parameters
    ----------
    lr : float
        The first learning rate.
    patience : int
        The number of epochs without improvement after which training stalls.
    monitor : str
        The figure to watch: a column of the history.
    best : {max, min}
        Returns the better of two values: `max` for an accuracy, `min` for a loss.
    least : float
        The rate at which training ends, as a fraction of the first one.

    Examples
    --------
    >>> halve = halve_on_stall(0.5, patience=2)
    >>> halve(5, {"validation_accuracy": [0.90, 0.91, 0.90, 0.91, 0.92]})
    0.25
    """
    if patience < 1:
        raise ValueError(f"halve_on_stall: patience must be 1 or more, not {patience}")

    def schedule(epoch: int, history: Any) -> float | None:
        rate, watch = lr, Watch(best)
        for value in history[monitor] if epoch else ():
            watch.see(value)
            if watch.stalled == patience:
                rate, watch.stalled = rate / 2, 0
        return rate if rate > lr * least else None

    return schedule


class Watch:
    """Counts the epochs since a figure has improved; NaN is no improvement.

    >>> watch = Watch(max)
    >>> [watch.see(value) for value in (0.90, 0.92, 0.91, 0.92)], watch.stalled
    ([True, True, False, False], 2)
    """

    def __init__(self, best: Callable[..., float]) -> None:
        self.best, self.top, self.stalled = best, math.nan, 0

    def see(self, value: float) -> bool:
        """Note the next value; return whether it is better than all before."""
        improved = value == value and self.best(self.top, value) != self.top
        self.top = value if improved else self.top
        self.stalled = 0 if improved else self.stalled + 1
        return improved
