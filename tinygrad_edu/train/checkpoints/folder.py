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
        self._lock: Lock | None = None

    def checkpoints(self) -> list[Path]:
        """Return the files, the earliest first."""
        found = {
            path: tuple(map(int, name.groups()))
            for path in (self.path.iterdir() if self.path.is_dir() else ())
            if (name := _NAME.fullmatch(path.name)) and path.is_file()
        }
        return sorted(found, key=found.__getitem__)

    def begin(self, training: Training, resume: bool) -> None:
        """Take up a training from the latest checkpoint, or see that there is none.

        The folder is locked until `end`, or until the process ends.

        Raises
        ------
        ValueError
            If another training is at work there, or there is a checkpoint that will not
            do or is not wanted. The error names the latest one that will do.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            for left in self.path.glob(_LEFTOVERS):
                rmtree(left, ignore_errors=True)
            if there := self.checkpoints():
                self._go_on(training, there, resume)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Let another training use the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def save(self, training: Training) -> None:
        """Write a checkpoint, and then remove those that are not kept."""
        epoch, step = len(training.history), len(training.losses)
        training.save(self.path / f"epoch-{epoch:04}-step-{step:06}.safetensors")
        for path in self.checkpoints()[: -self.keep]:
            path.unlink(missing_ok=True)

    def _take_lock(self) -> None:
        try:
            self._lock = Lock(self.path / _LOCK)
        except BlockingIOError as holder:
            raise ValueError(
                f"fit: another training is at work in {self.path} (process {holder}); "
                "wait for its end, or name another folder"
            ) from None

    def _go_on(self, training: Training, there: list[Path], resume: bool) -> None:
        if not resume:
            raise ValueError(
                f"fit: {self.path} holds checkpoints of an earlier training; go on "
                "with it by resume=True, or name another folder"
            )
        try:
            training.load(there[-1])
        except ValueError as error:
            way_out = _way_out(training, there)
            raise ValueError(f"{error}{way_out}") from None


def _way_out(training: Training, there: list[Path]) -> str:
    """Name the latest checkpoint that will do."""
    for i, path in reversed([*enumerate(there)][:-1]):
        with suppress(ValueError):
            training.check(path)
            later = " and ".join(each.name for each in there[i + 1 :])
            return (
                f". {path.name}, before it, is intact: remove {later}, and resume=True "
                "goes on from there"
            )
    return ""
