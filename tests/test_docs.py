"""What the README and the pages in docs/ show is run as it stands."""

import ast
import importlib.util
import re
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SITE = [
    page
    for page in sorted(DOCS.rglob("*.*"))
    if page.suffix in (".md", ".rst") and DOCS / "_build" not in page.parents
]
PAGES = [ROOT / "README.md", *(page for page in SITE if page.suffix == ".md")]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Pages may write files."""
    monkeypatch.chdir(tmp_path)


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def cells(page):
    """Find the blocks of Python, each with the output that is shown below it, or ""."""
    pattern = r"```python\n(.*?)```\n(?:\n*```text\n(.*?)```)?"
    return re.findall(pattern, page.read_text("utf-8"), re.DOTALL)


def run(page, capsys):
    """Run a page's Python in one namespace; hold the shown output against the real."""
    found = cells(page)
    names = {}
    for number, (block, shown) in enumerate(found):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
        printed = capsys.readouterr().out
        assert not shown or printed == shown, f"{page.name}, block {number}"
    held = [shown for _, shown in found if shown]
    assert blocks(page, "text") == held, "a text block stands after what prints it"
    assert "tg" in names or "np" in names or not found


@each_page
def test_the_python_of_a_page_runs_from_top_to_bottom(page, capsys):
    run(page, capsys)


@pytest.mark.parametrize(
    ("end", "holds"),
    [
        ("\n```text\n3\n```\n", True),
        ("\n```text\n4\n```\n", False),
        ("That is\n\n```text\n3\n```\n", False),
    ],
)
def test_output_that_a_page_shows_is_held_against_what_it_prints(
    end, holds, tmp_path, capsys
):
    page = tmp_path / "page.md"
    page.write_text(f"```python\nimport numpy as np\n\nprint(1 + 2)\n```\n{end}")
    if holds:
        run(page, capsys)
        return
    with pytest.raises(AssertionError, match=r"block 0|a text block stands"):
        run(page, capsys)


def test_the_network_of_the_readme_learns_xor(capsys):
    exec(blocks(ROOT / "README.md", "python")[0], {})
    assert capsys.readouterr().out == "[0. 1. 1. 0.]\n"


def test_the_fault_in_the_readme_is_named():
    op = tg.op(lambda x: 1 / (1 + np.exp(-x)), name="sigma", signature="()->()")
    op.vjp(x=lambda g, y, x: g * y)
    (shown,) = blocks(ROOT / "README.md", "pycon")
    with pytest.raises(tg.GradientError) as caught:
        tg.gradcheck(lambda x: op(x).sum(), [0.5, -1.0])
    message = str(caught.value)
    assert "the gradient for x at [0] is wrong" in message
    assert "the gradient for x at [0] is wrong" in shown
    assert "is wrong: the factor (1 - y) is missing" in message
    assert "is wrong: the factor (1 - y) is missing" in shown


def test_the_slip_in_the_page_is_named(capsys):
    names = {}
    for block in blocks(ROOT / "docs" / "is-my-gradient-right.md", "python")[:2]:
        exec(block, names)
    rows = capsys.readouterr().out.splitlines()[-4:]
    slip = "the derivative of sigmoid is left out (whose answer has shape (5, 4))"
    assert [row.split()[0] for row in rows] == ["W2", "b2", "W1", "b1"]
    assert [slip in row for row in rows] == [False, False, True, True]


def test_the_table_of_ops_is_that_of_the_declarations():
    script = runpy.run_path(str(ROOT / "docs" / "op_table.py"))
    assert script["page"]() == script["PAGE"].read_text("utf-8"), script["__doc__"]
    told = re.findall(r"^\| (?:\*\*)?(\w+)", script["page"](), re.MULTILINE)
    assert sorted(told) == sorted([*tg.OPS, *["function"] * len(script["ops"].__all__)])


def test_the_page_of_figures_is_what_was_measured():
    script = runpy.run_path(str(DOCS / "performance.py"))
    assert script["page"]() == script["PAGE"].read_text("utf-8"), script["__doc__"]


def test_the_replay_that_is_shown_is_that_of_the_published_figures():
    pytest.importorskip("rich", reason="the script shows its progress by Rich")
    script = runpy.run_path(str(ROOT / "examples" / "replay_book.py"))
    lines = (DOCS / "replay_overfitting.txt").read_text("utf-8").splitlines()
    rows = {}
    for ours, book in pairwise(lines):
        if book.startswith("the book"):
            epoch = int(ours.split()[1])
            assert ours.split()[2:] == book.replace(" =", "").split()[2:]
            rows[epoch] = book
    published = script["PUBLISHED"]["overfitting"]
    equal = [True] * 4
    assert rows == {
        epoch: script["row"]("the book", figures, equal)
        for epoch, figures in published.items()
    }


def test_the_graphs_that_the_tutorial_shows_are_those_that_it_draws(capsys):
    names = {}
    for block, _ in cells(DOCS / "backpropagation.md"):
        exec(block, names)
        if "shared" in names:
            break
    for name in ("chain", "shared"):
        told, shown = (
            re.findall(r"<(?:text|tspan)[^>]*>([^<]*)", svg)
            for svg in (
                names[name].svg,
                (DOCS / "images" / f"{name}.svg").read_text("utf-8"),
            )
        )
        assert told == shown, f"{name}.svg is old: save it again"
        assert "loss" in told


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        source = page.read_text("utf-8")
        for link in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", source):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


# --- The site -------------------------------------------------------------------------


def test_every_page_is_in_one_table_of_contents():
    markdown = re.compile(r"^```\{toctree\}\n(.*?)```", re.DOTALL | re.MULTILINE)
    restructured = re.compile(r"^\.\. toctree::\n((?:\n|   .*\n)*)", re.MULTILINE)
    found = []
    for page in SITE:
        source = page.read_text("utf-8")
        for tree in markdown.findall(source) + restructured.findall(source):
            for entry in re.sub(r":.*", "", tree).split():
                child = page.parent / entry
                found += [other for other in SITE if other.with_suffix("") == child]
    assert sorted(found) == [page for page in SITE if page != DOCS / "index.md"]


def test_source_that_is_shown_is_there():
    for page in SITE:
        shown = re.findall(
            r"```\{literalinclude\} (.*)\n((?::.*\n)*)", page.read_text("utf-8")
        )
        for path, options in shown:
            source = (page.parent / path).read_text("utf-8")
            options = dict(re.findall(r":(\S+): (.*)", options))
            if "pyobject" in options:
                *outer, name = options["pyobject"].split(".")
                body = ast.parse(source).body
                for part in outer:
                    (body,) = (x.body for x in body if getattr(x, "name", "") == part)
                assert name in {getattr(x, "name", "") for x in body}, page.name


def test_the_reference_has_every_name():
    pages = (DOCS / "reference").rglob("*.rst")
    text = "".join(page.read_text("utf-8") for page in pages)

    def named(directives):
        return re.findall(rf"^\.\. (?:{directives}):: (\S+)$", text, re.MULTILINE)

    assert sorted(named("ops")) == sorted(tg.ops.__all__)
    modules = {name.removeprefix("tinygrad_edu.") for name in named("currentmodule")}
    told = {*named(r"auto(?!summary)\w+|py:data"), *modules, *tg.OPS, "linalg"}
    assert set(tg.__all__) - told == set()


@each_page
def test_a_page_runs_as_a_notebook(page):
    """As whoever opens the file in Jupyter finds it, or converts it with Jupytext."""
    for needed in "jupytext", "nbclient", "ipykernel":
        if not importlib.util.find_spec(needed):
            pytest.skip("the extra named docs is not installed")
    import jupytext
    import nbclient

    notebook = jupytext.read(page)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in code] == [block[:-1] for block, _ in cells(page)]
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    for cell, (_, shown) in zip(code, cells(page)):
        streams = [x for x in cell.outputs if x.output_type == "stream"]
        assert not any(stream.name == "stderr" for stream in streams)
        assert not shown or "".join(stream.text for stream in streams) == shown
