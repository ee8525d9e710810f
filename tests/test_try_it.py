"""The page that runs the package in a browser: what it says, and all that it does.

NODE_PATH names the folder `node_modules` in which npm has installed what the page loads
from npm. NumPy for Pyodide is on no package index: its wheel is beside pyodide.mjs. If
something is missing, the tests that need it are skipped. `.ci/run` gets it all.
"""

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from base64 import b64encode
from contextlib import contextmanager
from hashlib import new
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from chromium import in_browser, launched
from newcomer import blocks

import tinygrad_edu as tg
from tinygrad_edu.drawing.layout import lay_out
from tinygrad_edu.drawing.picture import picture_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "try-it.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = blocks(TEXT)
SOURCES = ROOT / "docs" / "_static" / "try-it"
WORKER = (SOURCES / "worker.js").read_text("utf-8")

SITE = "https://site.test/"
CDN = "https://cdn.jsdelivr.net/"
TYPES = {".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm"}

MODULES = Path(os.environ.get("NODE_PATH") or ROOT / "node_modules")
PYODIDE, GRAPHVIZ = MODULES / "pyodide", MODULES / "@viz-js" / "viz"
has_pyodide = PYODIDE.is_dir() and GRAPHVIZ.is_dir() and shutil.which("node")
in_pyodide = pytest.mark.skipif(
    not has_pyodide, reason="there is no Node with Pyodide and Viz.js here"
)
with_numpy = pytest.mark.skipif(
    not (has_pyodide and list(PYODIDE.glob("numpy-*.whl"))),
    reason="there is no NumPy for Pyodide here",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the page, without the others, and without the output of its cells."""
    for needed in "sphinx", "myst_nb", "hatchling":
        pytest.importorskip(needed, reason="the extra named docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    options = ["include_patterns=try-it.md", "root_doc=try-it", "nb_execution_mode=off"]
    build = [sys.executable, "-m", "sphinx", "-Q", *(f"-D{x}" for x in options)]
    subprocess.run([*build, ROOT / "docs", folder], check=True)
    return folder


# --- The files that it loads ----------------------------------------------------------


def test_the_page_names_the_versions_that_it_loads():
    (pyodide,) = set(re.findall(r"pyodide(?:@|/v)([\d.]+)/", WORKER))
    (numpy,) = set(re.findall(r"numpy-([\d.]+)-", WORKER))
    assert f"[Pyodide](https://pyodide.org) {pyodide}," in TEXT
    assert f"NumPy {numpy}." in TEXT


@in_pyodide
def test_it_accepts_what_the_registries_have():
    files = ["pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip"]
    files = [PYODIDE / name for name in [*files, "pyodide-lock.json"]]
    files += [GRAPHVIZ / "dist" / "viz-global.js"]
    hashes = [("sha384", new("sha384", file.read_bytes()).digest()) for file in files]
    numpy = json.loads(files[4].read_text("utf-8"))["packages"]["numpy"]
    hashes += [("sha256", bytes.fromhex(numpy["sha256"]))]
    accepted = re.findall(r'"(sha\d+)-(.+)"', WORKER)
    assert sorted(accepted) == sorted((x, b64encode(y).decode()) for x, y in hashes)
    assert f'/{numpy["file_name"]}"' in WORKER


# --- The package in Pyodide -----------------------------------------------------------

COMPILE = """
import warnings
from pathlib import Path

warnings.simplefilter("error")
for file in sorted(Path("tinygrad_edu").rglob("*.py")):
    compile(file.read_text("utf-8"), file, "exec")
    print(file)
"""
IMPORT = """
import pkgutil
from importlib import import_module
import tinygrad_edu

for module in pkgutil.walk_packages(tinygrad_edu.__path__, "tinygrad_edu."):
    try:
        import_module(module.name)
    except ModuleNotFoundError as error:
        print(error)
"""


def run(site, program):
    """Run a Python program in Pyodide under Node; list the lines that it prints."""
    wheel = site / "_static" / "try-it" / "tinygrad_edu.whl"
    command = ["node", Path(__file__).with_name("in_pyodide.mjs"), PYODIDE, wheel]
    done = subprocess.run(
        command, input=program, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@in_pyodide
def test_every_module_of_the_wheel_compiles(site):
    sources = sorted((ROOT / "tinygrad_edu").rglob("*.py"))
    assert run(site, COMPILE) == [x.relative_to(ROOT).as_posix() for x in sources]


CELLS = """
from pathlib import Path


class Picture:
    def _repr_svg_(self):
        return "<svg/>"


Path("page.html").write_text("<p>")
cells = "x = 1", "x", "Path('page.html')", "Path('page.txt')", "Picture()"
faulty = "raise SystemExit", "def f(:", "def f():\\n    1 / x\\nx = 0; f()"
NAMES |= globals()
for i, code in enumerate(cells + faulty):
    print(run(code, i))
"""


@in_pyodide
def test_a_cell_shows_its_last_value_or_its_error(site):
    shown = run(site, (SOURCES / "cells.py").read_text("utf-8") + CELLS)
    kinds, contents = zip(*map(ast.literal_eval, shown))
    assert kinds == ("nothing", "value", "page", "value", "picture", *["error"] * 3)
    assert contents[:5] == ("", "1\n", "<p>", "PosixPath('page.txt')\n", "<svg/>")
    assert contents[5] == (
        "Traceback (most recent call last):\n"
        '  File "cell 5", line 1, in <module>\n    raise SystemExit\nSystemExit\n'
    )
    assert contents[6].startswith('  File "cell 6", line 1\n    def f(:\n')
    assert re.findall("File (.*)", contents[7]) == [
        '"cell 7", line 3, in <module>',
        '"cell 7", line 2, in f',
    ]


@with_numpy
def test_every_module_can_be_imported(site):
    missing = set(run(site, IMPORT))
    assert len(missing) == 1
    assert "needs hypothesis" in missing.pop()


def test_the_layout_without_pygraphviz_is_that_of_pygraphviz(monkeypatch):
    """With the same Graphviz; only what reads its answer differs."""
    real = pytest.importorskip("pygraphviz", reason="the extra named draw is missing")

    def lay_out_by(program, engine):
        return real.AGraph(string=program).draw(format="json0", prog=engine)

    model = tg.nn.MLP([2, 3, 1], rng=0)
    x = model(np.ones((4, 2)))
    picture = picture_of((x * x + x).sum(), {}, {})
    expected = lay_out(picture)
    monkeypatch.setitem(sys.modules, "js", SimpleNamespace(layOut=lay_out_by))
    instead = SimpleNamespace(**runpy.run_path(str(SOURCES / "pygraphviz.py")))
    monkeypatch.setitem(sys.modules, "pygraphviz", instead)
    assert lay_out(picture) == expected
    assert len(expected.frames) == 1
    assert {edge.number for edge in expected.edges} == {0, 1, 2}


# --- The page in a browser ------------------------------------------------------------


@contextmanager
def opened(site, others, errors, **options):
    """Open the page; `others(address)` has the content of files of other servers."""
    with launched() as browser:
        page = browser.new_context(**options).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))

        def answer(route):
            address = route.request.url.partition("?")[0]
            file = site / address.removeprefix(SITE)
            body = file.read_bytes() if address.startswith(SITE) else others(address)
            if body is None:
                route.abort()
                return
            kind = TYPES.get(Path(address).suffix, "text/plain")
            headers = {"access-control-allow-origin": "*", "content-type": kind}
            route.fulfill(body=body, headers=headers)

        page.context.route("**/*", answer)
        page.goto(f"{SITE}try-it.html")
        yield page


def from_npm(address):
    package = re.fullmatch(rf"{CDN}npm/(.+)@[\d.]+/(.+)", address)
    name = address.rpartition("/")[2]
    file = MODULES.joinpath(*package.groups()) if package else PYODIDE / name
    return file.read_bytes()


class Cell:
    """One cell of the page, by what a screen reader calls its parts."""

    def __init__(self, page, number):
        self.code = page.get_by_label(f"Code of cell {number}", exact=True)
        self.run = page.get_by_role("button", name=f"Run cell {number}")
        self.stop = page.get_by_role("button", name=f"Stop cell {number}")
        self.reset = page.get_by_role("button", name=f"Reset the code of cell {number}")
        self.output = page.get_by_label(f"Output of cell {number}", exact=True)
        self.status = page.locator("div.cell").nth(number - 1).get_by_role("status")

    def run_to(self, status):
        self.run.click()
        self.wait(status)

    def wait(self, status):
        self.run.wait_for(timeout=120_000)  # its name is "Stop" until the end
        assert status in self.status.inner_text()


@in_browser
@pytest.mark.parametrize("content", [None, b"postMessage({kind: 'text'})", b""])
def test_without_the_right_files_it_says_what_to_do(content, site):
    """Without a network, or if somebody has changed what a server gives."""
    errors = []
    with opened(site, lambda address: content, errors) as page:
        second = Cell(page, 2)
        second.code.fill("print('mine')")
        for _ in range(2):
            second.run_to("Cell 1: Python could not be loaded (Failed to fetch)")
            assert "is there a network connection" in second.status.inner_text()
        assert second.code.input_value() == "print('mine')"
        assert second.output.inner_text() == ""
    assert errors == []


@in_browser
def test_from_a_file_it_asks_for_a_server(site):
    with launched() as browser:
        page = browser.new_page()
        page.goto((site / "try-it.html").as_uri())
        Cell(page, 1).run_to("python -m http.server")


@with_numpy
@in_browser
def test_the_lessons_run(site):
    """What the cells show is what the page says, and what they draw can be used."""
    errors = []
    with opened(site, from_npm, errors) as page:
        cells = [Cell(page, 1 + i) for i in range(len(BLOCKS))]
        cells[-1].run_to("Done")
        for cell, block in zip(cells, BLOCKS):
            assert cell.code.input_value() == block.code[:-1]
            assert cell.status.inner_text() == "Done"
            assert block.shown in ("", cell.output.text_content())
        picture = cells[-2].output.get_by_role("img")
        assert picture.evaluate("image => image.naturalWidth") > 100
        stepper = page.frame_locator("iframe[title='Page of cell 7']")
        stepper.locator("svg").first.wait_for()
        added = Cell(page, len(BLOCKS) + 1)
        added.code.fill("len(model.weights)")
        added.code.press("Shift+Enter")
        added.wait("Done")
        assert added.output.text_content() == "2\n"
        page.keyboard.type("model")  # in the cell that was added below
        assert Cell(page, len(BLOCKS) + 2).code.input_value() == "model"
    assert errors == []


@with_numpy
@in_browser
def test_a_cell_is_edited_and_run_by_keyboard(site):
    errors = []
    with opened(site, from_npm, errors) as page:
        second, prediction = Cell(page, 2), Cell(page, 4)
        second.code.fill("for i in range(3):")
        second.code.press("End")
        second.code.press("Enter")
        page.keyboard.type("print(i)")
        page.keyboard.press("Enter")
        page.keyboard.type("1 / 0")
        page.keyboard.press("Shift+Enter")
        second.wait("Stopped with an error")
        shown = second.output.text_content().splitlines()
        assert shown[:2] == ["0", "Traceback (most recent call last):"]
        assert shown[2] == '  File "cell 2", line 3, in <module>'
        assert shown[-1] == "ZeroDivisionError: division by zero"
        prediction.run_to("Cell 2: Stopped with an error")

        second.reset.click()
        assert second.code.input_value() == BLOCKS[1].code[:-1]
        right = prediction.code.input_value().replace("0.0\n", "0.0001245\n", 1)
        prediction.code.fill(right)
        prediction.run_to("Done")
        assert prediction.output.inner_text().startswith("Right: it rises by 0.000124")
    assert errors == []


@with_numpy
@in_browser
def test_an_endless_loop_can_be_stopped(site):
    errors = []
    with opened(site, from_npm, errors) as page:
        first, second = Cell(page, 1), Cell(page, 2)
        first.code.fill("n = 1\nprint('é', 1)\nwhile n: pass")
        first.run.click()
        first.output.filter(has_text="é 1").wait_for(timeout=120_000)
        second.run_to("Another cell is running")
        first.stop.click()
        first.wait("Stopped")
        first.code.fill("print(dir().count('n'))\nexit()")
        first.run_to("Stopped with an error")
        assert first.output.inner_text().splitlines()[0] == "0"
        assert "SystemExit" in first.output.inner_text()
        first.code.fill("'a value'")
        second.code.fill("_ = 1; print('no newline', end='')")
        second.run_to("Done")
        assert first.output.text_content() == "'a value'\n"
        assert second.output.text_content() == "no newline"
    assert errors == []
