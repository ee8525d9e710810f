"""What the README and the pages in docs/ show is run as it stands."""

import ast
import importlib.util
import json
import re
import runpy
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest
from kernels import run_notebook
from newcomer import blocks, follow

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


def read(page, kind):
    """List the code of the blocks of a kind."""
    return [x.code for x in blocks(page.read_text("utf-8")) if x.kind == kind]


def run(page):
    """Run a page's Python in one namespace; hold the shown output against the real."""
    text = page.read_text("utf-8")
    found = [block for block in blocks(text) if block.kind != "console"]
    names = {}
    for block in found:
        block.run(names)
    held = [block.shown for block in found if block.shown]
    shown = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert shown == held, "a text block stands after what prints it"
    assert "tg" in names or "np" in names or not found


@each_page
def test_the_python_of_a_page_runs_from_top_to_bottom(page):
    run(page)


@pytest.mark.parametrize(
    ("end", "holds"),
    [
        ("\n```text\n3\n```\n", True),
        ("\n```text\n4\n```\n", False),
        ("That is\n\n```text\n3\n```\n", False),
    ],
)
def test_output_that_a_page_shows_is_held_against_what_it_prints(end, holds, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"```python\nimport numpy as np\n\nprint(1 + 2)\n```\n{end}")
    if holds:
        run(page)
        return
    with pytest.raises(AssertionError, match=r"line 1.*shows\n4|a text block stands"):
        run(page)


@pytest.mark.parametrize(
    ("answer", "holds"), [("31", True), ("4", False), ("3...", True)]
)
def test_a_session_is_held_against_what_it_prints(answer, holds):
    (block,) = blocks(f"```pycon\n>>> x = 30 + 1\n>>> x\n{answer}\n```\n")
    names = {}
    if holds:
        block.run(names)
        assert names["x"] == 31
        return
    with pytest.raises(AssertionError, match=r"Expected:\s+4\s+Got:\s+31"):
        block.run(names)


def test_a_page_is_followed_from_command_to_command(tmp_path, capfd):
    """What a command installs is there for the blocks below it, and not before."""
    library = tmp_path / "newcomers_library.py"
    page = tmp_path / "page.md"
    block = "```python\nimport newcomers_library\n\nprint(newcomers_library.x)\n```\n"
    shown = "\n```text\n3\n```\n"
    page.write_text(f"```console\necho 'x = 3' > {library}\n```\n\n{block}{shown}")
    program = (
        f"import sys; sys.path += [{str(tmp_path)!r}, {str(ROOT / 'tests')!r}]; "
        "from pathlib import Path; import newcomer; "
        f"newcomer.follow(Path({str(page)!r}))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert "echo 'x = 3'" in capfd.readouterr().out

    page.write_text(f"{block}\n```console\ntrue\n```\n")
    library.unlink()
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 1
    assert "No module named 'newcomers_library'" in capfd.readouterr().err


def test_a_command_that_fails_ends_the_walk(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```console\nfalse && true\n```\n")
    with pytest.raises(subprocess.CalledProcessError):
        follow(page)


def test_the_network_of_the_readme_learns_xor(capsys):
    first, second, *_ = read(ROOT / "README.md", "python")
    exec(first + second, {})
    assert capsys.readouterr().out.endswith("\n[0. 1. 1. 0.]\n")


def test_the_slip_in_the_page_is_named(capsys):
    names = {}
    for block in read(ROOT / "docs" / "is-my-gradient-right.md", "python")[:2]:
        exec(block, names)
    rows = capsys.readouterr().out.splitlines()[-4:]
    assert [row.split()[0] for row in rows] == ["W2", "b2", "W1", "b1"]
    says = ["right", "right", "wrong: sigma'(z1) is missing", "inherited from delta1"]
    assert all(text in row for text, row in zip(says, rows, strict=True))


@pytest.mark.parametrize("name", ["autograd-in-pytorchs-words", "coming-from"])
def test_pytorch_prints_what_the_page_says(name, capsys):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    page = (DOCS / f"{name}.md").read_text("utf-8")
    code = "".join(re.findall(r"^```py\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    told = re.findall(r"print\(.*\)  # (.*)", code)
    exec(code, {"np": np, "tg": tg})
    assert capsys.readouterr().out.splitlines() == told
    assert len(told) == code.count("print(") > 0


@pytest.mark.parametrize(
    ("page", "example", "more"),
    [
        ("outgrowing", "convolution", {"check"}),
        (
            "probability",
            "probability",
            {"draw_process", "draw_posterior", "draw_chain", "main"},
        ),
    ],
)
def test_the_page_declares_what_the_example_declares(page, example, more):
    shown, real = (
        {f.name: ast.unparse(f) for f in ast.parse(x).body if hasattr(f, "args")}
        for x in (
            "".join(read(DOCS / f"{page}.md", "python")),
            (ROOT / "examples" / f"{example}.py").read_text("utf-8"),
        )
    )
    kept = {name: text for name, text in real.items() if name not in more}
    assert len(kept) == len(real) - len(more) > 8
    assert {name: shown.get(name) for name in kept} == kept


def test_the_table_of_ops_is_that_of_the_declarations():
    script = runpy.run_path(str(ROOT / "docs" / "op_table.py"))
    page = script["page"]()
    assert page == script["PAGE"].read_text("utf-8"), script["__doc__"]
    listed, special = page.split("\n## Special\n")
    first_cells = re.findall(r"^\| (?:\*\*)?(\w+)", listed, re.MULTILINE)
    headers = ["function"] * listed.count("\n## ")
    assert sorted(first_cells) == sorted([*tg.OPS, *headers])
    assert special.count("\n| **") > 20


def test_the_page_of_figures_is_what_was_measured():
    script = runpy.run_path(str(DOCS / "performance.py"))
    assert script["page"]() == script["PAGE"].read_text("utf-8"), script["__doc__"]
    for name in script["SENTENCES"]:
        readme = (ROOT / name).read_text("utf-8")
        assert script["corrected"](name) == readme, script["__doc__"]


@pytest.mark.parametrize(("away", "figures"), [(0.5, 0), (0.001, 2)])
def test_a_readme_gives_no_figures_of_a_busy_machine(
    away, figures, tmp_path, monkeypatch
):
    script = runpy.run_path(str(DOCS / "performance.py"))
    measured = json.loads(script["FIGURES"].read_text("utf-8"))
    measured["share of the time without a processor"] = away
    (tmp_path / "measured.json").write_text(json.dumps(measured))
    names = script["corrected"].__globals__
    monkeypatch.setitem(names, "ROOT", tmp_path)
    monkeypatch.setitem(names, "FIGURES", tmp_path / "measured.json")
    for name, (always, if_idle) in script["SENTENCES"].items():
        for before in always, always + if_idle.format(low="0.9", high="12.0"):
            (tmp_path / name).write_text(f"- {before}; beside others\n", "utf-8")
            after = script["corrected"](name)
            assert len(re.findall(r"\d+\.\d", after)) == figures
            assert after.startswith(f"- {always}")
            assert after.endswith("; beside others\n")


def test_no_two_figures_of_a_case_can_contradict_each_other():
    """Of each case the page has one time; all else are ratios, each there once."""
    page = runpy.run_path(str(DOCS / "performance.py"))["page"]()
    tables = re.findall(r"^\| program.*?(?=\n\n)", page, re.DOTALL | re.MULTILINE)
    assert len(tables) == 2
    for table in tables:
        _, _, *rows = table.splitlines()
        kinds = [re.search(r", ([a-z ]+?)\W* \|", row).group(1) for row in rows]
        assert kinds == ["microseconds", *["times as long"] * (len(rows) - 1)]
        names = [row.partition(",")[0] for row in rows]
        assert len(names) == len(set(names)) > 2


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
    for lesson, name in ("01-one-path", "chain"), ("02-several-paths", "shared"):
        names = {}
        for block in read(DOCS / "lessons" / f"{lesson}.md", "python"):
            exec(block, names)
            if name in names:
                break
        told, shown = (
            re.findall(r"<(?:text|tspan|style)[^>]*>([^<]*)", svg)
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
        for link in re.findall(r'(?:\]\(|src(?:set)?=")(?!http)([^)#"]+)', source):
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

    chapters = [name for _, name, _ in iter_modules(tg.ops.__path__)]
    assert sorted(named("ops")) == sorted(chapters)
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

    notebook = jupytext.read(page)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found = [x for x in blocks(page.read_text("utf-8")) if x.kind == "python"]
    assert [cell.source for cell in code] == [block.code[:-1] for block in found]
    run_notebook(notebook)
    for cell, block in zip(code, found):
        streams = [x for x in cell.outputs if x.output_type == "stream"]
        assert not any(stream.name == "stderr" for stream in streams)
        printed = "".join(stream.text for stream in streams)
        assert block.shown in ("", printed)
