"""Optimisers: what a step does to the parameters, given their gradients.

Read `optimisers` first: each class is the formula of its paper. `base` contains what
they share: the step over all parameters, the checks of numbers, saving and resuming.
`clipping` shortens gradients that are too long.
"""

from typing import TYPE_CHECKING

from tinygrad_edu.optim.base import Optimiser
from tinygrad_edu.optim.clipping import clip_gradients
from tinygrad_edu.optim.optimisers import SGD, Adam, AdamW, RMSprop
from tinygrad_edu.support.foreign import raising

__all__ = ["SGD", "Adam", "AdamW", "Optimiser", "RMSprop", "clip_gradients"]

if not TYPE_CHECKING:  # type checkers shall find names that do not exist
    __getattr__ = raising("tg.optim", __name__)
