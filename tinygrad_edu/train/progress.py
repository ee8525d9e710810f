"""Show the progress of a long run: lines everywhere, and a bar where possible.

A pipe or a log gets only whole lines. A terminal also shows a bar, if Rich is
installed; a notebook shows a bar in HTML. `EpochReport` says what they show.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from tinygrad_edu.train.history import History, labelled, shown

__all__ = ["EpochReport", "Lines", "NotebookBar", "Silence", "TerminalBar", "progress"]


def progress(wanted: bool) -> Silence:
    """Return the way to show progress that suits where the program runs."""
    if not wanted:
        return Silence()
    notebook = sys.modules.get("IPython")
    if notebook is not None and hasattr(notebook.get_ipython(), "kernel"):
        return NotebookBar()
    can_move = sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    return TerminalBar() if can_move and find_spec("rich") else Lines()


class Silence:
    """Shows nothing; the base class of the others."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def line(self, text: str) -> None:
        """Print a line."""

    def move(self, done: float, text: str) -> None:
        """Move the bar to the finished part, from 0 to 1, with a text."""


class Lines(Silence):
    """Prints lines, without buffering."""

    def line(self, text: str) -> None:
        print(text, flush=True)


class TerminalBar(Lines):
    """Shows a bar, drawn by Rich, below the lines; it disappears at the end."""

    def __enter__(self) -> TerminalBar:
        rich = import_module("rich.progress")
        self._bar: Any = rich.Progress(
            rich.BarColumn(),
            rich.TextColumn("{task.fields[text]}", markup=False),
            rich.TimeRemainingColumn(),
            rich.TextColumn("left"),
            console=import_module("rich.console").Console(file=sys.stdout),
            refresh_per_second=4,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0, text="")
        self._bar.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.__exit__(*error)

    def move(self, done: float, text: str) -> None:
        self._bar.update(self._task, completed=done, text=text)


class NotebookBar(Lines):
    """Shows the browser's own bar above the lines; it disappears at the end."""

    def __enter__(self) -> NotebookBar:
        self._start = self._latest = perf_counter()
        display = import_module("IPython.display").display
        self._display: Any = display(_bundle("", ""), raw=True, display_id=True)
        return self

    def __exit__(self, *error: Any) -> None:
        self._display.update(_bundle("", ""), raw=True)

    def move(self, done: float, text: str) -> None:
        now = perf_counter()
        if now < self._latest + 0.25:  # as often as the bar on a terminal
            return
        self._latest = now
        left = (now - self._start) * (1 - done) / done if done else 0.0
        text = f"{text}, {left:.0f} s left"
        bar = f'<progress value="{done:.4f}"></progress> {text}'
        self._display.update(_bundle(bar, text), raw=True)


def _bundle(html: str, text: str) -> dict[str, str]:
    return {"text/html": html, "text/plain": text}


class EpochReport:
    """Moves a bar after steps, and prints lines after epochs, made by `progress`."""

    def __init__(
        self, bar: Silence, history: History, epochs: int, monitor: str, progress: Any
    ) -> None:
        self._bar, self._history = bar, history
        self._epochs, self._monitor = epochs, monitor
        self._before = self._printed = len(history)
        self._line = progress if callable(progress) else partial(_line, epochs=epochs)
        self._stride = 1 if callable(progress) else _stride(epochs)
        self.steps_per_epoch = 0  # not known before the first epoch is done

    def after_steps(self, done: int, loss: float) -> None:
        """Move the bar; `done` counts the steps of this epoch."""
        history, monitor = self._history, self._monitor
        part = done / self.steps_per_epoch if self.steps_per_epoch else 0
        text = f"epoch {len(history) + 1}/{self._epochs} {labelled('loss', loss)}"
        if monitor in history.names and monitor != "loss":
            text += f" {labelled(monitor, history[-1][monitor])}"
        self._bar.move((len(history) + part) / self._epochs, text)

    def after_epoch(self) -> None:
        """Print a line, for some of the epochs."""
        if len(self._history) == 1 or len(self._history) % self._stride == 0:
            self._print_line()

    def end(self) -> None:
        """Print a line for the last epoch, and why there are no more."""
        history, epochs = self._history, self._epochs
        if self._printed < len(history):
            self._print_line()
        if len(history) < epochs:
            self._bar.line(f"ended: {history.stopped}")
        elif len(history) == self._before:
            self._bar.line(f"nothing to do: {self._before} of {epochs} epochs are done")

    def _print_line(self) -> None:
        self._bar.line(self._line(self._history))
        self._printed = len(self._history)


def _stride(epochs: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50, ... with at most 20 multiples.

    >>> [_stride(epochs) for epochs in (1, 20, 21, 50, 1000)]
    [1, 1, 2, 5, 50]
    """
    strides = (digit * 10**zeros for zeros in range(18) for digit in (1, 2, 5))
    return next((stride for stride in strides if 20 * stride >= epochs), 1)


def _line(history: History, epochs: int) -> str:
    """Write the figures of the latest epoch in one line."""
    row = history[-1]
    seconds = row.pop("seconds")
    epoch = f"epoch {len(history):>{len(str(epochs))}}/{epochs}"
    figures = [labelled(name, value) for name, value in row.items()]
    return "  ".join([epoch, *figures, f"{shown('seconds', seconds)} s"])
