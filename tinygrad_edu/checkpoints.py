"""Checkpoints: weights in a file, and all else that a training needs to go on.

In a file, the arrays of the model have their names in ``state_dict()``; what there is
besides has names with a slash: ``optimiser/velocity.0``, ``history/loss``.
"""

from __future__ import annotations

import json
import os
import re
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.history import History
from tinygrad_edu.nn import Module
from tinygrad_edu.optim import Optimiser
from tinygrad_edu.random_states import from_plain, to_plain
from tinygrad_edu.randomness import set_state, state_of
from tinygrad_edu.states import matched
from tinygrad_edu.storage import UNFINISHED, Part, Stored, write

__all__ = ["Folder", "Stored", "Training", "load", "save"]

Array = np.ndarray[Any, Any]

FORMAT = 1
_ABOUT = "tinygrad_edu"  # the name under which a file has what is no array,
_FACTS = {"format": int, "ended": bool, "data": str}  # which is this,
_FACTS |= {"figures": list, "shuffling": dict, "rng": dict, "generators": dict}
_LONGEST = 1 << 17  # in so many characters

_NAME = re.compile(r"epoch-(\d{4,9})-step-(\d{6,12})\.safetensors")


def save(path: str | os.PathLike[str], model: Module) -> None:
    """Write a model's weights to a file in the safetensors format.

    A crash at any moment leaves the old file or the new one whole.

    Parameters
    ----------
    path : path
        Its name ends in ``.safetensors``, by custom.
    model : Module

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import tinygrad_edu as tg
    >>> model, other = tg.nn.MLP([2, 3, 1], rng=0), tg.nn.MLP([2, 3, 1], rng=1)
    >>> with TemporaryDirectory() as folder:
    ...     tg.checkpoints.save(f"{folder}/xor.safetensors", model)
    ...     tg.checkpoints.load(f"{folder}/xor.safetensors", other)
    >>> (model([[0.0, 1.0]]) == other([[0.0, 1.0]])).all()
    np.True_
    """
    write(path, _weights(model))


def load(path: str | os.PathLike[str], model: Module) -> None:
    """Read a model's weights from a file, its own or that of a whole training.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged or of another format, or its weights are of other names, shapes or
        dtypes than the model's. Then the model is as it was.
    """
    with Stored(path) as stored, _naming(path):
        model.load_state_dict(_matched(stored.part(""), model))


class Training:
    """All that the rest of a training depends on: `fit` keeps it, a file holds it.

    Parameters
    ----------
    model : Module
    optimiser : Optimiser
    rng : Generator
        What shuffles.

    Attributes
    ----------
    history : History
        Of the epochs that are done.
    losses : array of float
        Of the steps that are done of the current epoch.
    seconds : float
        For how long that has been running.
    best : dict of str to ndarray, or None
        The model's state after the best epoch so far, where it is kept.
    ended : bool
        Whether a callback has ended the training.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import tinygrad_edu as tg
    >>> def new():
    ...     model = tg.nn.MLP([2, 3, 1], rng=0)
    ...     optimiser = tg.optim.Adam(model.parameters())
    ...     return tg.checkpoints.Training(model, optimiser, np.random.default_rng(0))
    >>> training = new()
    >>> training.end_epoch({"loss": 0.5})
    >>> with TemporaryDirectory() as folder:
    ...     training.save(f"{folder}/epoch-1.safetensors")
    ...     resumed = new()
    ...     resumed.load(f"{folder}/epoch-1.safetensors")
    >>> resumed.history
    History of 1 epochs: loss 0.5000
    """

    def __init__(
        self, model: Module, optimiser: Optimiser, rng: np.random.Generator
    ) -> None:
        self.model, self.optimiser, self.rng = model, optimiser, rng
        self.history = History()
        self.losses = array("d")
        self.seconds = 0.0
        self.best: dict[str, Array] | None = None
        self.ended = False
        # The state that the epoch's order follows from; and where the generator was
        # when a checkpoint was written in the midst of it.
        self._shuffling = state_of(rng)
        self._amid: Any = None
        self._data = ""

    def begin_epoch(self, data: str) -> None:
        """Make the generator shuffle: as it did, if the epoch has begun before.

        Raises
        ------
        ValueError
            If so, and the data are described otherwise than then.
        """
        if self._amid is None:
            self._shuffling, self._data = state_of(self.rng), data
            return
        if data != self._data:
            raise ValueError(
                f"fit: the training stopped amid an epoch of {self._data}, and cannot "
                f"go on with {data}"
            )
        set_state(self.rng, self._shuffling)

    def go_on(self) -> None:
        """Put the generator where it was, once the steps that are done are skipped."""
        if self._amid is not None:
            set_state(self.rng, self._amid)
            self._amid = None

    def end_epoch(self, figures: Mapping[str, float]) -> None:
        """Enter the figures of the epoch."""
        self.history.append(figures)
        self.losses, self.seconds = array("d"), 0.0

    # --- Files ------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file; a crash leaves the old one or the new one whole."""
        arrays = _weights(self.model)
        states: dict[str, Mapping[str, Any]] = {
            "optimiser": self.optimiser.state_dict(copy=False),
            "history": {name: self.history[name] for name in self.history.names},
            "best": self.best or {},
            "epoch": {"losses": np.array(self.losses), "seconds": self.seconds},
        }
        for part, state in states.items():
            arrays |= {f"{part}/{name}": np.asarray(x) for name, x in state.items()}
        is_between = not self.losses  # two epochs: the next one has not been shuffled
        about = {
            "format": FORMAT,
            "ended": self.ended,
            "data": self._data,
            "figures": self.history.names,  # arrays in a file have no order
            "shuffling": state_of(self.rng) if is_between else self._shuffling,
            "rng": state_of(self.rng),
            "generators": self.model.random_state(),
        }
        text = json.dumps(to_plain(about))
        if len(text) > _LONGEST:
            raise ValueError(
                f"checkpoints: the states of {len(about['generators'])} random "
                f"generators are {len(text)} characters, more than the {_LONGEST} that "
                "are read again; let the layers share a generator"
            )
        write(path, arrays, {_ABOUT: text})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from a file.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            It is damaged, of another format, or of another model or optimiser. Then
            nothing has changed.
        """
        with Stored(path) as stored, _naming(path):
            about = _read_about(stored)
            model = _matched(stored.part(""), self.model)
            optimiser = _matched(stored.part("optimiser"), self.optimiser)
            best = stored.part("best")
            kept = _matched(best, self.model) if best else None
            history = _read_history(stored.part("history"), about["figures"])
            losses, seconds = _read_epoch(stored.part("epoch"))
            own, of_model = state_of(self.rng), self.model.random_state()
            shuffling = from_plain(about["shuffling"], own)
            amid = from_plain(about["rng"], own)
            generators = from_plain(about["generators"], of_model, "the layers")
            self.model.load_random_state(generators)  # all of it, or it raises
        self.model.load_state_dict(model)
        self.optimiser.load_state_dict(optimiser)
        self.history, self.best, self.ended = history, kept, about["ended"]
        self.losses, self.seconds = losses, seconds
        self._data, self._shuffling = about["data"], shuffling
        if losses:
            self._amid = amid
        else:
            set_state(self.rng, amid)


def _weights(model: Module) -> dict[str, Any]:
    """Return the model's arrays, whose names leave room for what else is in a file."""
    arrays = model.state_dict(copy=False)
    for name in arrays:
        if "/" in name:
            raise ValueError(
                f"checkpoints: the parameter {name} has a slash in its name, which a "
                "file has for what is no weight; give it another one"
            )
    return dict(arrays)


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """See that an error tells which file it is about."""
    try:
        yield
    except ValueError as error:
        fault = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {fault}") from None


def _matched(part: Part, owner: Module | Optimiser) -> dict[str, Any]:
    """Return the state that is in a file, if it fits; what does not, is not read."""
    wanted = owner.state_dict(copy=False)
    shapes = {name: np.shape(x) for name, x in wanted.items()}
    faults = [
        f"{name} has the shape {part.shape(name)}, and {shape} is wanted"
        for name, shape in shapes.items()
        if name in part and part.shape(name) != shape
    ]
    if faults:
        raise ValueError(f"{type(owner).__name__}: {'; '.join(faults)}")
    return matched(part, wanted, type(owner).__name__)


def _read_about(stored: Stored) -> dict[str, Any]:
    """Return what is no array, or say that the file holds no training."""
    text = stored.texts.get(_ABOUT, "")
    try:
        if len(text) > _LONGEST or text.count("[") > _LONGEST // 100:
            raise ValueError
        about: Any = json.loads(text)
        if about.keys() != _FACTS.keys() or about["format"] != FORMAT:
            raise ValueError
        if any(not isinstance(about[key], kind) for key, kind in _FACTS.items()):
            raise ValueError
    except (ValueError, AttributeError, RecursionError):
        raise ValueError(
            "it holds no training that this version can go on with (for weights alone "
            "there is tg.checkpoints.load)"
        ) from None
    facts: dict[str, Any] = about
    return facts


def _read_history(part: Part, names: list[Any]) -> History:
    """Return the figures, in their order."""
    if sorted(map(repr, names)) != sorted(map(repr, part)):
        raise ValueError(f"it has the figures {list(part)}, and {names} are due")
    return History({name: part[name] for name in names})


def _read_epoch(part: Part) -> tuple[array[float], float]:
    """Return the losses of the steps that are done, and for how long it has run."""
    shape = part.shape("losses") if "losses" in part else (0,)
    if len(shape) != 1:
        raise ValueError(f"the losses have the shape {shape}, and not (steps,)")
    like = {"losses": np.broadcast_to(0.0, shape), "seconds": 0.0}
    found = matched(part, like, "epoch")
    return array("d", memoryview(found["losses"])), float(found["seconds"])


# --- A folder of them -----------------------------------------------------------------


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
