"""Training: `fit` is the loop over epochs and mini-batches, with what one wants of it.

The loop is in `fitting`, and reads on a screen. Around it there are rooms for the
learning rate (`schedules`), the mini-batches of an epoch (`batches`), the eye of the
user (`progress`) and Ctrl-C (`interrupts`). The figures are kept in a `History`, and
what it takes to go on later in `tinygrad_edu.train.checkpoints`.
"""

from tinygrad_edu.train import schedules
from tinygrad_edu.train.fitting import accuracy, evaluate, fit
from tinygrad_edu.train.history import History

__all__ = ["History", "accuracy", "evaluate", "fit", "schedules"]
