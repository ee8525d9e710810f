"""Learning rates that change: a schedule is a plain function, called before each epoch.

``schedule(epoch, history)`` is told how many epochs are done and what they brought, and
gives the learning rate of the next one; or None, which ends the training. It depends on
nothing else, so there is nothing to save when a training is stopped and resumed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = ["Schedule", "Watch", "constant", "cosine", "halve_on_stall", "step"]

Schedule = Callable[[int, Any], float | None]


def constant(lr: float) -> Schedule:
    """The same learning rate throughout.

    >>> constant(0.5)(7, {})
    0.5
    """
    return lambda epoch, history: lr


def step(lr: float, every: int, factor: float = 0.5) -> Schedule:
    """The learning rate is multiplied by a factor every so many epochs.

    >>> [step(0.5, every=2)(epoch, {}) for epoch in range(5)]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    """
    if every < 1:
        raise ValueError(f"step: every is a number of epochs, 1 or more, not {every}")
    return lambda epoch, history: lr * factor ** (epoch // every)


def cosine(lr: float, epochs: int, least: float = 0.0) -> Schedule:
    r"""Half a cosine wave from `lr` down to `least` (Loshchilov and Hutter, 2017).

    .. math:: least + \tfrac12 (lr - least) (1 + \cos(\pi\, epoch / epochs))

    >>> [round(cosine(0.5, epochs=4)(epoch, {}), 3) for epoch in range(5)]
    [0.5, 0.427, 0.25, 0.073, 0.0]
    """
    if epochs < 1:
        raise ValueError(f"cosine: epochs is a number, 1 or more, and not {epochs}")

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
    """The learning rate is halved each time that training stalls; then training ends.

    It stalls if a figure has not improved for some epochs. (M. Nielsen, Neural Networks
    and Deep Learning, chapter 3, exercise on the learning schedule.)

    Parameters
    ----------
    lr : float
        The first learning rate.
    patience : int
        For how many epochs there may be no improvement.
    monitor : str
        The figure, a column of the history.
    best : {max, min}
        Which is the best of its values: for an accuracy `max`, for a loss `min`.
    least : float
        Where training ends, as a fraction of the first learning rate.

    Examples
    --------
    >>> halve = halve_on_stall(0.5, patience=2)
    >>> halve(5, {"validation_accuracy": [0.90, 0.91, 0.90, 0.91, 0.92]})
    0.25
    """
    if patience < 1:
        raise ValueError(f"halve_on_stall: patience is 1 or more, and not {patience}")

    def schedule(epoch: int, history: Any) -> float | None:
        rate, watch = lr, Watch(best)
        for value in history[monitor] if epoch else ():
            watch.see(value)
            if watch.stalled == patience:
                rate, watch.stalled = rate / 2, 0
        return rate if rate > lr * least else None

    return schedule


class Watch:
    """Tells how long a figure has not improved; NaN is no improvement.

    >>> watch = Watch(max)
    >>> [watch.see(value) for value in (0.90, 0.92, 0.91, 0.92)], watch.stalled
    ([True, True, False, False], 2)
    """

    def __init__(self, best: Callable[..., float]) -> None:
        self.best, self.top, self.stalled = best, math.nan, 0

    def see(self, value: float) -> bool:
        """Take in the next value; return whether it is better than all before."""
        improved = value == value and self.best(self.top, value) != self.top
        self.top = value if improved else self.top
        self.stalled = 0 if improved else self.stalled + 1
        return improved
