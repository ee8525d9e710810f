"""What the README and the pages in docs/ show is run as it stands."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def run(page, capsys):
    """Run a page's Python in one namespace; hold the shown output against the real."""
    source = page.read_text("utf-8")
    pattern = r"```python\n(.*?)```\n(?:\n*```text\n(.*?)```)?"
    found = re.findall(pattern, source, re.DOTALL)
    names = {}
    for number, (block, shown) in enumerate(found):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
        printed = capsys.readouterr().out
        assert not shown or printed == shown, f"{page.name}, block {number}"
    held = [shown for _, shown in found if shown]
    assert blocks(page, "text") == held, "a text block stands after what prints it"
    assert "np" in names or not found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
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


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
