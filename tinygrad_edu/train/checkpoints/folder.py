"""A folder with the latest few checkpoints of a training."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from tinygrad_edu.support.files import UNFINISHED
from tinygrad_edu.train.checkpoints.locking import Lock
from tinygrad_edu.train.checkpoints.training import Training

__all__ = ["Folder"]

_NAME = re.compile(r"epoch-(\d{4,9})-step-(\d{6,12})\.safetensors")
_LEFTOVERS = f"{UNFINISHED}*-epoch-*-step-*.safetensors"  # of a process that was killed
_LOCK = ".lock"


class Folder:
    """The folder with the latest few checkpoints of one training.

    Parameters
    ----------
    path : path
        The folder. It is created if needed.
    keep : int
        How many checkpoints to keep.
    every : int, optional
        Write a checkpoint after every `every` steps of an epoch, not only at its end.

    Raises
    ------
    ValueError
        If a number is below 1.
    """

    def __init__(
        self, path: str | os.PathLike[str], keep: int = 2, every: int | None = None
    ) -> None:
        if keep < 1 or (every is not None and every < 1):
            raise ValueError(f"Folder: keep={keep} and every={every} must be 1 or more")
        self.path, self.keep, self.every = Path(path), keep, every
        self._lock: Lock | None = None

    def checkpoints(self) -> list[Path]:
        """Return the checkpoint files, the earliest first."""
        found = {
            path: tuple(map(int, name.groups()))
            for path in (self.path.iterdir() if self.path.is_dir() else ())
            if (name := _NAME.fullmatch(path.name)) and path.is_file()
        }
        return sorted(found, key=found.__getitem__)

    def begin(self, training: Training, resume: bool) -> None:
        """Resume a training from the latest checkpoint, or check that there is none.

        The folder is locked until `end`, or until the process ends.

        Raises
        ------
        ValueError
            If another training uses the folder; if there are checkpoints but `resume`
            is False; or if the latest one cannot be loaded. Then the error names the
            latest one that can.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            for left in self.path.glob(_LEFTOVERS):
                rmtree(left, ignore_errors=True)
            if there := self.checkpoints():
                self._load_latest(training, there, resume)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Unlock the folder, so that another training can use it."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def save(self, training: Training) -> None:
        """Write a checkpoint, then remove old ones."""
        epoch, step = len(training.history), len(training.losses)
        training.save(self.path / f"epoch-{epoch:04}-step-{step:06}.safetensors")
        for path in self.checkpoints()[: -self.keep]:
            path.unlink(missing_ok=True)

    def _take_lock(self) -> None:
        try:
            self._lock = Lock(self.path / _LOCK)
        except BlockingIOError as holder:
            raise ValueError(
                f"fit: another training is using {self.path} (process {holder}); wait "
                "until it ends, or use another folder"
            ) from None

    def _load_latest(self, training: Training, there: list[Path], resume: bool) -> None:
        if not resume:
            raise ValueError(
                f"fit: {self.path} has checkpoints of an earlier training; resume it "
                "with resume=True, or use another folder"
            )
        try:
            training.load(there[-1])
        except ValueError as error:
            way_out = _way_out(training, there)
            raise ValueError(f"{error}{way_out}") from None


def _way_out(training: Training, there: list[Path]) -> str:
    """Name the latest checkpoint that can be loaded."""
    for i, path in reversed([*enumerate(there)][:-1]):
        with suppress(ValueError):
            training.check(path)
            later = " and ".join(each.name for each in there[i + 1 :])
            return (
                f". The earlier {path.name} is intact: remove {later} to resume from "
                "there"
            )
    return ""
