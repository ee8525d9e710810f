"""The notebook of all exercises: it runs, empty and filled in, and tells no answer."""

import re
import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest
from kernels import run_notebook

from tinygrad_edu.exercising.listing import DECLARED

pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ["ipykernel", "nbclient", "nbformat", "sphinx"])),
    reason="the extra named docs is not installed",
)

SCRIPT = Path(__file__).parents[1] / "docs" / "workbook.py"
PLACE = re.compile(r"^(def answer.*\n    \.\.\.|answer = \.\.\.)$", re.MULTILINE)


@pytest.fixture(scope="module")
def make():
    return runpy.run_path(str(SCRIPT))["workbook"]


@pytest.fixture(params=["en", "zh"])
def lang(request):
    return request.param


@pytest.fixture
def workbook(lang, make):
    return make(lang)


def places(notebook):
    """Map the name of each exercise to its cell."""
    cells = [cell for cell in notebook.cells if "check(answer)" in cell.source]
    return {re.search(r'exercises\["(.+)"\]', x.source).group(1): x for x in cells}


def verdicts(notebook, tmp_path, monkeypatch):
    """Run all cells as Jupyter does; return what those of the exercises show."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    run_notebook(notebook)
    return {
        name: cell.outputs[-1]["data"]["text/plain"]
        for name, cell in places(notebook).items()
    }


def test_each_exercise_has_its_question_its_hints_and_a_place(lang, workbook):
    import nbformat

    nbformat.validate(workbook)
    first = workbook.cells[0].source
    assert first.startswith("# ")
    assert "`...`" in first
    assert list(places(workbook)) == list(DECLARED)
    words = [cell.source for cell in workbook.cells if "<details>" in cell.source]
    for text, declaration in zip(words, DECLARED.values(), strict=True):
        assert f"`{declaration.name}`" in text
        many = len(declaration.hints)
        for tag in "<details>", "<summary>", "</summary>", "</details>":
            assert text.count(tag) == many
        if lang == "en":
            assert all(hint in text for hint in declaration.hints)


def test_no_answer_is_in_the_notebook(workbook):
    text = "\n".join(cell.source for cell in workbook.cells)
    assert not [x.name for x in DECLARED.values() if x.solution in text]


def test_the_lessons_have_their_titles(make):
    english, chinese = (
        [x.source for x in make(lang).cells if x.source.startswith("## ")]
        for lang in ("en", "zh")
    )
    assert english[0] == "## 1. One path: derivatives are multiplied"
    assert chinese[0].startswith("## 1. 一条路径")
    assert len(english) == len(chinese) > 7


def test_an_empty_notebook_asks_for_answers(lang, workbook, tmp_path, monkeypatch):
    told = verdicts(workbook, tmp_path, monkeypatch)
    assert len(told) == len(DECLARED)
    beginning = {"en": "Not yet: ", "zh": "还不对："}[lang]
    for name, verdict in told.items():
        assert verdict.startswith(beginning), name


def test_answers_that_are_filled_in_are_right(lang, workbook, tmp_path, monkeypatch):
    for name, cell in places(workbook).items():
        solution = DECLARED[name].solution
        cell.source, filled = PLACE.subn(lambda _, x=solution: x, cell.source)
        assert filled == 1
    told = verdicts(workbook, tmp_path, monkeypatch)
    right = {"en": "Right: well done", "zh": "正确：做得好"}[lang]
    assert told == dict.fromkeys(DECLARED, right)
