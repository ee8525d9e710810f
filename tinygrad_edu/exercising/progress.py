"""What a learner has done, kept in a file."""

from __future__ import annotations

import json
import os
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from tinygrad_edu.support.files import damaged, data_folder, write
from tinygrad_edu.support.language import say

__all__ = ["Mark", "Progress"]


class Mark(NamedTuple):
    """What a learner has done with one exercise."""

    done: bool = False
    tries: int = 0
    shown: tuple[int, ...] = ()  # the seeds of the numbers whose answer was shown

    def __str__(self) -> str:
        if self.done:
            return say("done")
        if self.shown:
            return say("answer shown")
        return say("tried") if self.tries else ""


class Progress:
    """The marks of all exercises, in a JSON file that is written whole or not at all.

    Parameters
    ----------
    path : path_like, optional
        The file; by default in the user's folder for data.

    Examples
    --------
    >>> progress = Progress(getfixture("tmp_path") / "progress.json")
    >>> progress["chain-w1"] = progress["chain-w1"]._replace(tries=1)
    >>> str(progress["chain-w1"]), str(progress["chain-w2"])
    ('tried', '')
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self._path or data_folder() / "exercises.json")

    def marks(self) -> defaultdict[str, Mark]:
        """Return the marks of all exercises by name."""
        return defaultdict(Mark, self._read())

    def __getitem__(self, name: str) -> Mark:
        return self.marks()[name]

    def __setitem__(self, name: str, mark: Mark) -> None:
        marks = {**self._read(), name: mark}
        content = {name: mark._asdict() for name, mark in marks.items()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write("exercises", self.path, json.dumps(content, indent=1).encode())
        except OSError as error:  # an answer can be checked all the same
            warnings.warn(f"progress is not kept: {error}", stacklevel=3)

    def _read(self) -> dict[str, Mark]:
        try:
            content = json.loads(self.path.read_bytes())
            return {name: _mark(fields) for name, fields in content.items()}
        except OSError:
            return {}
        except (ValueError, TypeError, AttributeError) as error:
            raise damaged(
                self.path,
                f"this is not a file of progress ({error})",
                "repair it, or rename it to start anew",
            ) from None


def _mark(fields: dict[str, Any]) -> Mark:
    mark = Mark(**fields)
    mark = mark._replace(shown=tuple(mark.shown))
    kinds = [type(mark.done), type(mark.tries), *map(type, mark.shown)]
    if kinds != [bool] + [int] * (1 + len(mark.shown)):
        raise TypeError(f"{fields} is not a mark")
    return mark
