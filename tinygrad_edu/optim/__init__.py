"""Optimisers: what a step does to the parameters, given their gradients.

Read `optimisers` first: each class is the formula of its paper. `base` contains what
they share: the step over all parameters, the checks of numbers, saving and resuming.
`clipping` shortens gradients that are too long.
"""

from tinygrad_edu.optim.base import Optimiser
from tinygrad_edu.optim.clipping import clip_gradients
from tinygrad_edu.optim.optimisers import SGD, Adam, AdamW, RMSprop

__all__ = ["SGD", "Adam", "AdamW", "Optimiser", "RMSprop", "clip_gradients"]
