"""Save everything that the rest of a training depends on, and resume from it."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Mapping
from contextlib import suppress
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
from tinygrad_edu.train.checkpoints.storage import (
    Stored,
    StoredPart,
    joined,
    write_arrays,
)
from tinygrad_edu.train.checkpoints.weights import fitting, naming
from tinygrad_edu.train.history import History

__all__ = ["Training"]

Array = np.ndarray[Any, Any]

FORMAT = 2
# Everything but arrays is one JSON text in a file: these facts, with their types.
_ABOUT = "tinygrad_edu"
_FACTS = {"format": int, "ended": bool, "settings": dict}
_FACTS |= {"figures": list, "shuffling": dict, "rng": dict, "generators": dict}
_LONGEST = 1 << 17  # the most characters of that text


class Training:
    """Everything that the rest of a training depends on: `fit` updates and saves it.

    Parameters
    ----------
    model : Module
    optimiser : Optimiser
    rng : Generator
        The generator that shuffles.
    **settings
        Everything else that the steps depend on: numbers and text. `load` compares them
        with the saved ones. In the middle of an epoch, those with the names ``data``,
        ``batch_size`` and ``shuffle`` must not differ.

    Attributes
    ----------
    history : History
        The figures of the finished epochs.
    losses : array of float
        The losses of the finished steps in the current epoch.
    seconds : float
        How long the current epoch has been running.
    best : dict of str to ndarray, or None
        The model's state after the best epoch so far, if it is kept.
    ended : bool
        Whether a callback has ended the training.
    differences : list of str
        A description of each setting that differs from the file that `load` read.

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
        # The generator's states: before it shuffled this epoch, and, if loaded from the
        # middle of an epoch, when the file was written.
        self._shuffling = state_of(rng)
        self._resume_at: Any = None
        self._given = as_text(settings) | of_optimiser(optimiser)

    def begin_epoch(self) -> None:
        """Prepare the generator to shuffle; in a resumed epoch, in the same order."""
        if self._resume_at is None:
            self._shuffling = state_of(self.rng)
        else:
            set_state(self.rng, self._shuffling)

    def go_on(self) -> None:
        """Restore the generator's saved state, after skipping the finished steps."""
        if self._resume_at is not None:
            set_state(self.rng, self._resume_at)
            self._resume_at = None

    def end_epoch(self, figures: Mapping[str, float]) -> None:
        """Add the figures of the epoch to the history."""
        self.history.append(figures)
        self.losses, self.seconds = array("d"), 0.0

    # --- Files ------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the training to a file; after a crash, it is the old or the new one.

        Raises
        ------
        ValueError
            If it could not be loaded again. Then the old file is kept.
        """
        parts = {
            "": self.model.state_dict(copy=False),
            "optimiser": self.optimiser.state_dict(copy=False),
            "history": {name: self.history[name] for name in self.history.names},
            "best": self.best or {},
            "epoch": {"losses": np.array(self.losses), "seconds": self.seconds},
        }
        is_between = not self.losses  # between epochs: the next one is not yet shuffled
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
                f"save: the states of {len(about['generators'])} random generators "
                f"take {len(text)} characters, but load() reads at most {_LONGEST}; "
                "let the layers share a generator"
            )
        write_arrays(path, joined(parts), {_ABOUT: text})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Resume from a file; `differences` then lists the settings that differ.

        The optimiser gets its saved numbers. All other settings stay as they are now.

        Raises
        ------
        FileNotFoundError
            If the file does not exist.
        ValueError
            If it is damaged, has another format, or is from another model or optimiser;
            or if it is from the middle of an epoch, and the data or their order are
            different. Then nothing has changed.
        """
        self._read(path)()

    def check(self, path: str | os.PathLike[str]) -> None:
        """Raise the error that `load` would raise, if any."""
        self._read(path)

    def _read(self, path: str | os.PathLike[str]) -> Callable[[], None]:
        """Read and check a file; return a function that resumes from it."""
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
            generator_state = from_plain(about["rng"], own)
            generators = from_plain(about["generators"], layers, "the layers")
            saved, given = about["settings"], self._given | of_model(self.model)
            differences = what_differs(saved, given, bool(losses))

        def resume() -> None:
            with naming(path):
                self.model.load_random_state(generators)  # all of it, or it raises
            self.model.load_state_dict(model)
            self.optimiser.load_state_dict(optimiser)
            self.history, self.best, self.ended = history, kept, about["ended"]
            self.losses, self.seconds = losses, seconds
            self._shuffling = shuffling
            for name in saved:
                if name.startswith(OF_OPTIMISER):  # the saved value is in use now
                    self._given[name] = saved[name]
            if losses:
                self._resume_at = generator_state
            else:
                set_state(self.rng, generator_state)
            self.differences = differences

        return resume


def _read_about(stored: Stored) -> dict[str, Any]:
    """Return everything but arrays; raise if the file contains no training."""
    text = stored.texts.get(_ABOUT, "")
    with suppress(ValueError, AttributeError, RecursionError):
        about: dict[str, Any] = {} if _is_too_long(text) else json.loads(text)
        kinds = {name: type(fact) for name, fact in about.items()}
        if kinds == _FACTS and about["format"] == FORMAT:
            return about
    raise ValueError(
        "it contains no training that this version can resume (tg.load reads the "
        "weights alone)"
    )


def _is_too_long(text: str) -> bool:
    return len(text) > _LONGEST or text.count("[") > _LONGEST // 100


def _read_history(part: StoredPart, names: list[Any]) -> History:
    """Return the history, with the figures in their order."""
    if sorted(map(repr, names)) != sorted(map(repr, part)):
        raise ValueError(f"it has the figures {list(part)} instead of {names}")
    return History({name: part[name] for name in names})


def _read_epoch(part: StoredPart) -> tuple[array[float], float]:
    """Return the losses of the finished steps, and the seconds they took."""
    shape = part.shape("losses") if "losses" in part else (0,)
    if len(shape) != 1:
        raise ValueError(f"the losses have the shape {shape} instead of (steps,)")
    like = {"losses": np.broadcast_to(0.0, shape), "seconds": 0.0}
    found = matched(part, like, "epoch")
    return array("d", memoryview(found["losses"])), float(found["seconds"])
