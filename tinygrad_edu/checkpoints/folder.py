"""A folder with the latest few checkpoints of a training."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tinygrad_edu.checkpoints.storage import UNFINISHED
from tinygrad_edu.checkpoints.training import Training

__all__ = ["Folder"]

_NAME = re.compile(r"epoch-(\d{4,9})-step-(\d{6,12})\.safetensors")


class Folder:
    """Where the checkpoints of one training are, the latest few of them.

    Parameters
    ----------
    path : path
        Made if it is not there.
    keep : int
        How many are kept.
    every : int, optional
        Write one each time that so many steps of an epoch are done, and not only at its
        end.

    Raises
    ------
    ValueError
        If a number is below 1.
    """

    def __init__(
        self, path: str | os.PathLike[str], keep: int = 2, every: int | None = None
    ) -> None:
        if keep < 1 or (every is not None and every < 1):
            raise ValueError(f"Folder: keep={keep} and every={every} are 1 or more")
        self.path, self.keep, self.every = Path(path), keep, every

    def checkpoints(self) -> list[Path]:
        """Return the files, the earliest first."""
        found = {
            path: tuple(map(int, name.groups()))
            for path in (self.path.iterdir() if self.path.is_dir() else ())
            if (name := _NAME.fullmatch(path.name))
        }
        return sorted(found, key=found.__getitem__)

    def begin(self, training: Training, resume: bool) -> None:
        """Take up a training from the latest checkpoint, or see that there is none.

        Raises
        ------
        ValueError
            If there is one, and it will not do or is not wanted.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for pattern in (f"{UNFINISHED}*", ".tmp??????"):  # the library has its own
            for left in self.path.glob(pattern):  # by a crash
                left.unlink()
        there = self.checkpoints()
        if there and not resume:
            raise ValueError(
                f"fit: {self.path} holds checkpoints of an earlier training; go on "
                "with it by resume=True, or name another folder"
            )
        if there:
            training.load(there[-1])

    def save(self, training: Training) -> None:
        """Write a checkpoint, and then remove those that are not kept."""
        epoch, step = len(training.history), len(training.losses)
        training.save(self.path / f"epoch-{epoch:04}-step-{step:06}.safetensors")
        for path in self.checkpoints()[: -self.keep]:
            path.unlink()
