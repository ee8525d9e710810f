"""Checkpoints: files with the weights, and everything else to resume a training.

In a file, the model's arrays have their names from ``state_dict()``. All other arrays
have names with a slash: ``optimiser/velocity.0``, ``history/loss``. `storage` writes
and reads the files. `weights` checks that they fit a model. `training` adds everything
else: the random generators (`random_states`) and the settings (`settings`). `folder`
keeps the latest few files, and locks the folder (`locking`).
"""

from tinygrad_edu.train.checkpoints.folder import Folder
from tinygrad_edu.train.checkpoints.storage import Stored
from tinygrad_edu.train.checkpoints.training import Training
from tinygrad_edu.train.checkpoints.weights import load, save

__all__ = ["Folder", "Stored", "Training", "load", "save"]
