"""The workbook: a notebook of all exercises, with a cell for each answer.

The site offers it on the page of the exercises. No answer is in the file.
"""

import inspect
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from sphinx.application import Sphinx

import tinygrad_edu as tg
from tinygrad_edu.exercising import Exercise

PAGES = {"exercises": "en", "exercises.zh-CN": "zh"}
INTRODUCTION = {
    "en": """\
# {count} exercises

Run the cell below. Then write your answer to each question in place of `...`, and run
its cell (Shift and Enter). If the answer is wrong, you are told the slip, and the page
that explains it.

Hints are folded: unfold one at a time. `e.reveal()` in a cell of its own shows the
answer to the exercise that you ran last. For other numbers, write
`e = exercises.one("cube", seed=1)`, and then `print(e)`.""",
    "zh": """\
# {count} 道练习

先运行下面的单元格。然后在每道题下面，把 `...` 换成你的答案，再运行那个单元格（Shift 加回车）。如果答案不对，它会指出错在哪里、哪一页有解释。

提示是折叠起来的，请一次展开一条。在另一个单元格中运行 `e.reveal()`，就会显示最近运行的那道练习的答案。想换一组数，请写 `e = exercises.one("cube", seed=1)`，再运行 `print(e)`。""",
}
HINT = {"en": "A hint", "zh": "提示"}
BEGINNING = """\
import numpy as np

import tinygrad_edu as tg

exercises = tg.exercises
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
        exercises = tg.exercises.kept_in(Path(folder, "progress.json"))
        yield new_text(INTRODUCTION[lang].format(count=len(exercises)))
        yield new_code(BEGINNING)
        by_lesson = groupby(exercises.values(), lambda e: e.declaration.lesson)
        for lesson, group in by_lesson:
            yield new_text(f"## {title(lesson, lang)}")
            for exercise in group:
                yield new_text(f"{exercise._repr_markdown_()}\n\n{hints(exercise, lang)}")
                yield new_code(place_for_answer(exercise))


def title(lesson: str, lang: str) -> str:
    """Return the title of a page, in a language if it is translated."""
    page = Path(__file__).parent / f"{lesson}.md"
    translated = page.with_suffix(".zh-CN.md")
    if lang == "zh" and translated.exists():
        page = translated
    return page.read_text("utf-8").partition("\n")[0].removeprefix("# ")


def hints(exercise: Exercise, lang: str) -> str:
    """Fold the hints, each into the one before."""
    told = [str(exercise.hint()) for _ in exercise.declaration.hints]
    opening = f"<details>\n<summary>{HINT[lang]}</summary>\n\n"
    return "\n\n".join(
        [*(opening + hint for hint in told), "\n".join(["</details>"] * len(told))]
    )


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
    if page in PAGES:
        context["workbook"] = address(page)


def keep(app: Sphinx, error: Exception | None) -> None:
    """Write the workbooks where the links lead."""
    if error or app.builder.name != "html":
        return
    for page in PAGES.keys() & app.env.found_docs:
        path = Path(app.outdir, address(page))
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(workbook(PAGES[page]), path)


def address(page: str) -> str:
    return f"_notebooks/{page.replace('exercises', 'workbook')}.ipynb"


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", offer)
    app.connect("build-finished", keep)
