"""An exercise: its question, its numbers, its judge, its hints, its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from textwrap import indent
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.exercising.numbers import drawn
from tinygrad_edu.exercising.progress import Progress
from tinygrad_edu.support.language import say, say_also, speaking, spoken
from tinygrad_edu.support.printable import filled
from tinygrad_edu.support.randomness import generator

__all__ = ["Declaration", "Exercise", "Judge", "Verdict"]


@dataclass(frozen=True, repr=False)
class Verdict:
    """What `check` says of an answer; true if the answer is right.

    Attributes
    ----------
    is_right : bool
    says : str
        What is wrong, without the right numbers.
    lesson : str
        The page of the documentation about it.
    lang : str
        The language that it is in.
    """

    is_right: bool
    says: str
    lesson: str = ""
    lang: str = field(default_factory=spoken)

    def __bool__(self) -> bool:
        return self.is_right

    def __str__(self) -> str:
        with speaking(self.lang):
            if self:
                return say("Right: {says}", says=self.says)
            says = say("Not yet: {says}", says=self.says)
            see = [say("See {lesson}.", lesson=self.lesson)] if self.lesson else []
            return "\n".join([says, *see])

    __repr__ = __str__


class Note(str):
    """A text that notebooks and terminals show without quotes."""

    __slots__ = ()

    __repr__ = str.__str__


Judge = Callable[["Exercise", Any], Verdict]


class Declaration(NamedTuple):
    """All that is said once about an exercise.

    Attributes
    ----------
    name, title : str
    lesson : str
        The page of the documentation to read before.
    question : str
    given : dict
        How to draw the given numbers, by name: a list is the shape of random numbers, a
        number is itself, and a text is an expression of ``np``, the generator ``rng``
        and ``numbers(rng, *shape)``.
    hints : list of str
        The first says little, the last one most.
    solution : str
        A program that computes ``answer`` from the given numbers.
    judge : callable
        Returns the `Verdict` on an answer.
    program : str
        What a judge compares with: for `gradient` the network, up to its ``loss``; for
        `own_op` the op's ``value``.
    wrt : list of str
        For `gradient`: the numbers to differentiate with respect to.
    slips : dict of str to str
        For `same`: what to say of a wrong answer, and the expression that gives it.
    """

    name: str
    title: str
    lesson: str
    question: str
    given: Mapping[str, Any]
    hints: Sequence[str]
    solution: str
    judge: Judge
    program: str = ""
    wrt: Sequence[str] = ()
    slips: Mapping[str, str] = {}

    def texts(self) -> list[str]:
        """Return all that a learner reads, for the catalogues of other languages."""
        return [self.title, self.question, *self.hints, *self.slips]


class Exercise:
    """One exercise with its numbers; it prints as a question.

    Parameters
    ----------
    declaration : Declaration
    seed : int
        Which numbers are drawn.
    progress : Progress
        Keeps what was done.
    lang : str, optional
        The language of the texts.

    Attributes
    ----------
    given : dict of str to float or ndarray
        The numbers of the question, by name.
    """

    def __init__(
        self,
        declaration: Declaration,
        seed: int,
        progress: Progress,
        lang: str | None = None,
    ) -> None:
        self.declaration, self.seed, self._progress = declaration, seed, progress
        self.lang = lang
        self._given = drawn(declaration.given, generator(seed))
        self._hints = 0

    @property
    def name(self) -> str:
        """The exercise's name in the list."""
        return self.declaration.name

    @property
    def given(self) -> dict[str, Any]:
        """Copies of the numbers."""
        return deepcopy(self._given)

    def __str__(self) -> str:
        with speaking(self.lang):
            head = say("{title}  [{name}, seed {seed}]", **self._head())
            question = "\n".join(
                line if line.startswith("    ") else filled(line, 80)
                for line in say(self.declaration.question).splitlines()
            )
        return f"{head}\n\n{question}\n\n{indent(self._numbers(), '    ')}"

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        with speaking(self.lang):
            head = say("**{title}** (`{name}`, seed {seed})", **self._head())
            question = say(self.declaration.question)
        return f"{head}\n\n{question}\n\n```python\n{self._numbers()}\n```"

    def _head(self) -> dict[str, Any]:
        title = say(self.declaration.title)
        return {"title": title, "name": self.name, "seed": self.seed}

    def _numbers(self) -> str:
        """Write the given numbers as Python that can be pasted."""
        return "\n".join(
            f"{name} = np.array({x.tolist()})"
            if isinstance(x, np.ndarray)
            else f"{name} = {x}"
            for name, x in self._given.items()
        )

    def check(self, answer: Any) -> Verdict:
        """Check an answer, and keep the result.

        Parameters
        ----------
        answer : number, array, list of arrays, or function
            As the question says. Three digits are enough for numbers. A function is
            called with the given numbers, in their order.

        Returns
        -------
        Verdict
            True if the answer is right. If not, it names the slip, and never the right
            numbers.

        Raises
        ------
        Exception
            What an answer that is a function raises, with a note that it is yours.
        """
        with speaking(self.lang):
            if answer is ...:
                return Verdict(False, say("write your answer in place of ..."))
            try:
                verdict = self.declaration.judge(self, answer)
            except Exception as error:
                error.add_note(
                    say_also("This error is in your answer, not in the exercise.")
                )
                raise
            mark = self._progress[self.name]
            is_shown = self.seed in mark.shown
            self._progress[self.name] = mark._replace(
                tries=mark.tries + 1,
                done=mark.done or (verdict.is_right and not is_shown),
            )
            if verdict and is_shown:
                says = say(
                    "but the answer was shown; try it with other numbers: seed={seed}",
                    seed=self.seed + 1,
                )
                return replace(verdict, says=says)
            return verdict

    def hint(self) -> Note:
        """Return the next hint; the last one again when there is no other."""
        hints = self.declaration.hints
        self._hints = min(self._hints + 1, len(hints))
        with speaking(self.lang):
            return Note(
                say(
                    "Hint {count} of {many}: {hint}",
                    count=self._hints,
                    many=len(hints),
                    hint=say(hints[self._hints - 1]),
                )
            )

    def reveal(self) -> Note:
        """Return the answer, as a program. These numbers do not count any more."""
        mark = self._progress[self.name]
        self._progress[self.name] = mark._replace(shown=tuple({*mark.shown, self.seed}))
        return Note(self.declaration.solution)

    def right(self) -> Any:
        """Return the right answer: run the solution."""
        return self.run(self.declaration.solution)["answer"]

    def run(self, program: str, **names: Any) -> dict[str, Any]:
        """Run a program on the given numbers; return all its variables."""
        variables = {**self.given, **names}
        exec(f"import numpy as np\nimport tinygrad_edu as tg\n{program}", variables)
        return variables
