"""The list of all exercises, and which are done."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from tinygrad_edu.exercising import judging
from tinygrad_edu.exercising.exercise import Declaration, Exercise
from tinygrad_edu.exercising.progress import Progress
from tinygrad_edu.support.language import say, speaking
from tinygrad_edu.support.table import Table

__all__ = ["Exercises", "exercises"]

CHAPTERS = "derivatives", "networks", "programs"
SIGMOID = """\
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


"""


def _read(chapter: str) -> Iterator[Declaration]:
    """Read the declarations in a chapter's file."""
    text = Path(__file__).with_name(f"{chapter}.toml").read_text("utf-8")
    for name, fields in tomllib.loads(text).items():
        fields["judge"] = getattr(judging, fields.get("judge", "same"))
        if "sigmoid(" in fields["solution"]:
            fields["solution"] = SIGMOID + fields["solution"]
        yield Declaration(name=name, **fields)


DECLARED = {each.name: each for chapter in CHAPTERS for each in _read(chapter)}


class ExerciseTable(Table):
    """The rows of the list, with a header in their language; prints as a table."""

    def __init__(self, rows: Iterable[tuple[str, ...]]) -> None:
        self.header = say("exercise"), say("title"), say("lesson"), say("state")


class Exercises(Mapping[str, Exercise]):
    """All exercises by name; it prints as a table of what is done.

    Parameters
    ----------
    path : path_like, optional
        The file that keeps what is done, by default in your folder for data.
    lang : str, optional
        The language of the texts, such as ``"zh"``. The default is that of the
        environment variable ``TINYGRAD_EDU_LANG``, or else English.

    Examples
    --------
    >>> import numpy as np
    >>> mine = Exercises(getfixture("tmp_path") / "progress.json")
    >>> e = mine["sigma-prime"]
    >>> print(e)
    The slope of the sigmoid  [sigma-prime, seed 0]
    <BLANKLINE>
    What is the derivative of sigma(z) = 1 / (1 + e^-z) at this z?
    <BLANKLINE>
        z = 1.32
    >>> a = 1 / (1 + np.exp(-e.given["z"]))
    >>> e.check(a)
    Not yet: the factor (1 - a) is missing
    See lessons/01-one-path.
    >>> e.check(a * (1 - a))
    Right: well done
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, lang: str | None = None
    ) -> None:
        self._path, self._lang = path, lang
        self._progress = Progress(path)

    def __getitem__(self, name: str) -> Exercise:
        return self.one(name)

    def __iter__(self) -> Iterator[str]:
        return iter(DECLARED)

    def __len__(self) -> int:
        return len(DECLARED)

    def one(self, name: str, seed: int = 0) -> Exercise:
        """Return an exercise with the numbers of a seed.

        Raises
        ------
        KeyError
            If there is no exercise of this name; it suggests one.
        """
        if name not in DECLARED:
            near = get_close_matches(str(name), DECLARED, 1)
            hint = f"did you mean {near[0]!r}?" if near else "print(tg.exercises) lists"
            raise KeyError(f"exercises: there is no {name!r}; {hint}")
        return Exercise(DECLARED[name], seed, self._progress, self._lang)

    def next(self, seed: int = 0) -> Exercise | None:
        """Return the first exercise that is not done, or None."""
        marks = self._progress.marks()
        undone = (name for name in self if not marks[name].done)
        return next((self.one(name, seed) for name in undone), None)

    def kept_in(self, path: str | os.PathLike[str]) -> Exercises:
        """Return the same exercises, with another file for the progress."""
        return type(self)(path, self._lang)

    def in_language(self, lang: str) -> Exercises:
        """Return the same exercises in another language, such as ``"zh"``.

        Raises
        ------
        ValueError
            If there is no catalogue of this language.
        """
        with speaking(lang):
            return type(self)(self._path, lang)

    def table(self) -> ExerciseTable:
        """Return the list as a table."""
        marks = self._progress.marks()
        with speaking(self._lang):
            return ExerciseTable(
                (name, say(each.title), each.lesson, str(marks[name]))
                for name, each in DECLARED.items()
            )

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


exercises = Exercises()
