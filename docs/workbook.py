"""The workbook: a notebook of all exercises, with a cell for each answer.

The site offers it on the page of the exercises. No answer is in the file.
"""

import inspect
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from sphinx.application import Sphinx

import tinygrad_edu as tg
from tinygrad_edu.exercising import Exercise

DOCS = Path(__file__).parent
PAGE = "exercises"
SUFFIX = {"en": "", "zh": ".zh-CN"}  # of the pages in a language
FIRST_WORDS = re.compile(r"<!-- The notebook begins: -->\n\n(.*?)\n\n", re.DOTALL)
BEGINNING = """\
import numpy as np

import tinygrad_edu as tg

exercises = {exercises}
exercises"""


def workbook(lang: str) -> nbformat.NotebookNode:
    """Return the notebook in a language."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    notebook.cells = [*cells(lang)]
    return notebook


def cells(lang: str) -> Iterator[nbformat.NotebookNode]:
    new_code, new_text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    with TemporaryDirectory() as folder:  # else the builder's own progress would count
        exercises = tg.exercises.in_language(lang).kept_in(Path(folder, "progress"))
        yield new_text(f"# {title(PAGE, lang)}\n\n{first_words(lang)}")
        spoken = "" if lang == "en" else f'.in_language("{lang}")'
        yield new_code(BEGINNING.format(exercises=f"tg.exercises{spoken}"))
        by_lesson = groupby(exercises.values(), lambda e: e.declaration.lesson)
        for lesson, group in by_lesson:
            yield new_text(f"## {title(lesson, lang)}")
            for exercise in group:
                question = exercise._repr_markdown_()
                yield new_text(f"{question}\n\n{hints(exercise)}")
                yield new_code(place_for_answer(exercise))


def first_words(lang: str) -> str:
    """Return how to use the notebook, as the page of the exercises says it."""
    return FIRST_WORDS.search(read(PAGE, lang))[1]


def title(page: str, lang: str) -> str:
    return read(page, lang).partition("\n")[0].removeprefix("# ")


def read(page: str, lang: str) -> str:
    """Read a page, in a language if it is translated."""
    paths = [DOCS / f"{page}{suffix}.md" for suffix in (SUFFIX[lang], "")]
    return next(path for path in paths if path.exists()).read_text("utf-8")


def hints(exercise: Exercise) -> str:
    """Fold the hints, each into the one before."""
    folded = ""
    for told in reversed([exercise.hint() for _ in exercise.declaration.hints]):
        head, hint = re.split(r": |：", told, maxsplit=1)
        folded = (
            f"<details>\n<summary>{head}</summary>\n\n{hint}\n\n{folded}</details>\n"
        )
    return folded


def place_for_answer(exercise: Exercise) -> str:
    """Write the cell that a learner fills in."""
    answer, names = exercise.right(), ", ".join(exercise.given)
    beginning = f'e = exercises["{exercise.name}"]'
    if inspect.isfunction(answer):
        head = f"def answer{inspect.signature(answer)}:"
        return f"{beginning}\n\n\n{head}\n    ...\n\n\ne.check(answer)"
    if not callable(answer):
        one = f'e.given["{names}"]'
        beginning += f"\n{names} = {'e.given.values()' if ', ' in names else one}"
    return f"{beginning}\n\nanswer = ...\n\ne.check(answer)"


def offer(app: Sphinx, page: str, _: str, context: dict[str, Any], __: Any) -> None:
    """Let the template link to the workbook."""
    if page.removesuffix(SUFFIX["zh"]) == PAGE:
        context["workbook"] = address(page)


def keep(app: Sphinx, error: Exception | None) -> None:
    """Write the workbooks where the links lead."""
    if error or app.builder.name != "html":
        return
    for lang, suffix in SUFFIX.items():
        if (page := PAGE + suffix) in app.env.found_docs:
            path = Path(app.outdir, address(page))
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(workbook(lang), path)


def address(page: str) -> str:
    return f"_notebooks/{page.replace(PAGE, 'workbook')}.ipynb"


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", offer)
    app.connect("build-finished", keep)
