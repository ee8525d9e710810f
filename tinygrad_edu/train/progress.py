"""Show the progress of a long run: lines everywhere, and a bar where possible.

A pipe or a log gets only whole lines. A terminal also shows a bar, if Rich is
installed; a notebook shows a bar in HTML.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter
from typing import Any

__all__ = ["Lines", "NotebookBar", "Silence", "TerminalBar", "progress"]


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
