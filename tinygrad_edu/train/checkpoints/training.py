"""All that the rest of a training depends on: written to a file, and read from one."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.nn import Module
from tinygrad_edu.optim import Optimiser
from tinygrad_edu.support.randomness import set_state, state_of
from tinygrad_edu.support.states import matched
from tinygrad_edu.train.checkpoints.random_states import from_plain, to_plain
from tinygrad_edu.train.checkpoints.settings import (
    OF_OPTIMISER,
    as_text,
    of_model,
    of_optimiser,
    what_differs,
)
from tinygrad_edu.train.checkpoints.storage import Stored, StoredPart, write_arrays
from tinygrad_edu.train.checkpoints.weights import (
    arrays_of,
    fitting,
    naming,
    without_slash,
)
from tinygrad_edu.train.history import History

__all__ = ["Training"]

Array = np.ndarray[Any, Any]

FORMAT = 2
# What is no array has a name in a file, as JSON: these facts, in so many characters.
_ABOUT = "tinygrad_edu"
_FACTS = {"format": int, "ended": bool, "settings": dict}
_FACTS |= {"figures": list, "shuffling": dict, "rng": dict, "generators": dict}
_LONGEST = 1 << 17


class Training:
    """All that the rest of a training depends on: `fit` keeps it, a file holds it.

    Parameters
    ----------
    model : Module
    optimiser : Optimiser
    rng : Generator
        What shuffles.
    **settings
        What else the steps depend on: numbers and text. Where a training is taken up
        with other ones than it was saved with, `load` tells them. Those called
        ``data``, ``batch_size`` and ``shuffle`` may not differ amid an epoch.

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
    differences : list of str
        What `load` found to be given otherwise than it was saved, each in some words.

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
        self,
        model: Module,
        optimiser: Optimiser,
        rng: np.random.Generator,
        **settings: Any,
    ) -> None:
        self.model, self.optimiser, self.rng = model, optimiser, rng
        self.history = History()
        self.losses = array("d")
        self.seconds = 0.0
        self.best: dict[str, Array] | None = None
        self.ended = False
        self.differences: list[str] = []
        # The state that the epoch's order follows from; and where the generator was
        # when a checkpoint was written in the midst of it.
        self._shuffling = state_of(rng)
        self._amid: Any = None
        self._given = as_text(settings) | of_optimiser(optimiser)

    def begin_epoch(self) -> None:
        """Make the generator shuffle: as it did, if the epoch has begun before."""
        if self._amid is None:
            self._shuffling = state_of(self.rng)
        else:
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
        """Write it to a file; a crash leaves the old one or the new one whole.

        Raises
        ------
        ValueError
            If it could not be loaded again. What was there stays.
        """
        arrays = arrays_of(self.model)
        states: dict[str, Mapping[str, Any]] = {
            "optimiser": self.optimiser.state_dict(copy=False),
            "history": {name: self.history[name] for name in self.history.names},
            "best": self.best or {},
            "epoch": {"losses": np.array(self.losses), "seconds": self.seconds},
        }
        for part, state in states.items():
            for name, x in state.items():
                arrays[f"{part}/{without_slash(name)}"] = np.asarray(x)
        is_between = not self.losses  # two epochs: the next one has not been shuffled
        about = {
            "format": FORMAT,
            "ended": self.ended,
            "settings": self._given | of_model(self.model),
            "figures": self.history.names,  # arrays in a file have no order
            "shuffling": state_of(self.rng) if is_between else self._shuffling,
            "rng": state_of(self.rng),
            "generators": self.model.random_state(),
        }
        text = json.dumps(to_plain(about))
        if _is_too_long(text):
            raise ValueError(
                f"save: the states of {len(about['generators'])} random "
                f"generators are {len(text)} characters, more than the {_LONGEST} that "
                "are read again; let the layers share a generator"
            )
        write_arrays(path, arrays, {_ABOUT: text})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from a file; `differences` then has what was given otherwise.

        A saved number of the optimiser goes on, and so does what is given of the rest.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            It is damaged, of another format, or of another model or optimiser; or amid
            an epoch it cannot go on exactly, since the data are others, or in another
            order. Then nothing has changed.
        """
        self._checked(path)()

    def check(self, path: str | os.PathLike[str]) -> None:
        """Raise what `load` would."""
        self._checked(path)

    def _checked(self, path: str | os.PathLike[str]) -> Callable[[], None]:
        """Read a file; return what goes on from it."""
        with Stored(path) as stored, naming(path):
            about = _read_about(stored)
            model = fitting(stored.part(""), self.model)
            optimiser = fitting(stored.part("optimiser"), self.optimiser)
            self.optimiser.check_numbers(optimiser)
            best = stored.part("best")
            kept = fitting(best, self.model) if best else None
            history = _read_history(stored.part("history"), about["figures"])
            losses, seconds = _read_epoch(stored.part("epoch"))
            own, layers = state_of(self.rng), self.model.random_state()
            shuffling = from_plain(about["shuffling"], own)
            amid = from_plain(about["rng"], own)
            generators = from_plain(about["generators"], layers, "the layers")
            saved, given = about["settings"], self._given | of_model(self.model)
            differences = what_differs(saved, given, bool(losses))

        def go_on() -> None:
            with naming(path):
                self.model.load_random_state(generators)  # all of it, or it raises
            self.model.load_state_dict(model)
            self.optimiser.load_state_dict(optimiser)
            self.history, self.best, self.ended = history, kept, about["ended"]
            self.losses, self.seconds = losses, seconds
            self._shuffling = shuffling
            for name in saved:
                if name.startswith(OF_OPTIMISER):  # and so it goes on
                    self._given[name] = saved[name]
            if losses:
                self._amid = amid
            else:
                set_state(self.rng, amid)
            self.differences = differences

        return go_on


def _read_about(stored: Stored) -> dict[str, Any]:
    """Return what is no array, or say that the file holds no training."""
    text = stored.texts.get(_ABOUT, "")
    try:
        if _is_too_long(text):
            raise ValueError
        about: Any = json.loads(text)
        if about.keys() != _FACTS.keys() or about["format"] != FORMAT:
            raise ValueError
        if any(not isinstance(about[key], kind) for key, kind in _FACTS.items()):
            raise ValueError
    except (ValueError, AttributeError, RecursionError):
        raise ValueError(
            "it holds no training that this version can go on with (for weights alone "
            "there is tg.load)"
        ) from None
    facts: dict[str, Any] = about
    return facts


def _is_too_long(text: str) -> bool:
    return len(text) > _LONGEST or text.count("[") > _LONGEST // 100


def _read_history(part: StoredPart, names: list[Any]) -> History:
    """Return the figures, in their order."""
    if sorted(map(repr, names)) != sorted(map(repr, part)):
        raise ValueError(f"it has the figures {list(part)}, and {names} are due")
    return History({name: part[name] for name in names})


def _read_epoch(part: StoredPart) -> tuple[array[float], float]:
    """Return the losses of the steps that are done, and for how long it has run."""
    shape = part.shape("losses") if "losses" in part else (0,)
    if len(shape) != 1:
        raise ValueError(f"the losses have the shape {shape}, and not (steps,)")
    like = {"losses": np.broadcast_to(0.0, shape), "seconds": 0.0}
    found = matched(part, like, "epoch")
    return array("d", memoryview(found["losses"])), float(found["seconds"])
