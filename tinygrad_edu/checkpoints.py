"""Weights in a file, and trainings that go on; see `train.checkpoints`."""

from tinygrad_edu.train.checkpoints import Folder, Stored, Training, load, save

__all__ = ["Folder", "Stored", "Training", "load", "save"]
