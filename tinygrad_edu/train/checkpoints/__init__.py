"""Checkpoints: weights in a file, and all else that a training needs to go on.

In a file, the arrays of the model have their names in ``state_dict()``; what there is
besides has names with a slash: ``optimiser/velocity.0``, ``history/loss``. `storage`
writes and reads files, whole or not at all; `weights` sees whether they fit a model;
`training` is all the rest, with the state of the random numbers (`random_states`); and
`folder` keeps the latest few.
"""

from tinygrad_edu.train.checkpoints.folder import Folder
from tinygrad_edu.train.checkpoints.storage import Stored
from tinygrad_edu.train.checkpoints.training import Training
from tinygrad_edu.train.checkpoints.weights import load, save

__all__ = ["Folder", "Stored", "Training", "load", "save"]
