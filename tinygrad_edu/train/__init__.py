"""Training: `fit` is the loop over epochs and mini-batches.

Read `fitting` first: it contains the loop. `schedules` changes the learning rate,
`batches` goes through the mini-batches of an epoch, `progress` shows how far training
is, `interrupts` handles Ctrl-C, and `history` stores the measured values, which
`columns` reads and writes. `checkpoints` saves a training to resume it later. `job` and
`parallel` train in several processes.
"""

from tinygrad_edu.train import schedules
from tinygrad_edu.train.fitting import accuracy, evaluate, fit
from tinygrad_edu.train.history import History

__all__ = ["History", "accuracy", "evaluate", "fit", "schedules"]
