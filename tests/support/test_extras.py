"""Libraries that only a part of the package needs: what is said if one is missing."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from tinygrad_edu.support import extras

ROOT = Path(__file__).parents[2]


def test_a_library_is_imported():
    decoder = extras.import_library("json.decoder", "reading")
    assert decoder is sys.modules["json.decoder"]


@pytest.mark.parametrize("error", [ImportError, RuntimeError])
def test_one_that_cannot_be_imported_is_named_with_the_reason(error, monkeypatch):
    def fail(name):
        raise error("no library\nand a second line")

    monkeypatch.setattr(extras, "import_module", fail)
    with pytest.raises(ModuleNotFoundError) as caught:
        extras.import_library("mpi4py.MPI", "parallel", "one process does without")
    assert str(caught.value) == (
        "parallel: needs mpi4py (no library): pip install mpi4py mpich; "
        "one process does without"
    )
    assert isinstance(caught.value.__cause__, error)


def test_what_is_installed_is_what_the_extras_name():
    """The packages that an error names stand in pyproject.toml too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extra = project["optional-dependencies"]
    named = {re.split(r"[^\w-]", line)[0] for lines in extra.values() for line in lines}
    source = "".join(p.read_text("utf-8") for p in ROOT.glob("tinygrad_edu/**/*.py"))
    naming = r"\b(?:import_library|missing|install)\(\s*[\"'](\w+)"
    libraries = set(re.findall(naming, source))
    libraries -= {"no_such"}
    assert libraries >= {"matplotlib", "numba", "pygraphviz", "safetensors"}
    for library in libraries:
        assert set(extras.install(library).split()[2:]) <= named


# --- No index knows this package, and anybody could claim its name --------------------

INSTALLS = re.compile(
    r"pip3? install(?:\s+[-.\w\"'\\\[\]=<>~,]+)*?\s+[\"'`\\]*tinygrad[_-]edu\b"
    r"|tinygrad[_-]edu\\?\[[a-z]",
    re.IGNORECASE,
)


def advice(text):
    """Find what would have the reader install this package from an index."""
    return [found.group() for found in INSTALLS.finditer(text)]


@pytest.mark.parametrize(
    "text",
    [
        "pip install tinygrad_edu",
        "pip install -U tinygrad-edu",
        'pip install "tinygrad_edu[fast]"',
        "`pip install\n'tinygrad_edu[fast]'`",
        "uv pip install numba tinygrad_edu",
        "comes with ``tinygrad_edu[fast]``",
    ],
)
def test_advice_to_install_it_from_an_index_is_found(text):
    assert advice(f"see: {text}.")


@pytest.mark.parametrize(
    "text",
    [
        'pip install -e ".[fast]" && python examples/train_xor.py',
        "pip install numba scipy",
        "To install it, get tinygrad_edu from elsewhere",
        "git clone URL && cd tinygrad_edu && pip install -e .",
    ],
)
def test_other_advice_is_none(text):
    assert not advice(text)


def test_nothing_advises_to_install_it_from_an_index():
    """No page, error, docstring or test; pyproject.toml refers to its own extras."""
    kinds = {".md", ".py", ".rst", ".txt", ".html", ".js", ".ipynb"}
    rooms = ("docs", "examples", "tests", "tinygrad_edu")
    files = [*ROOT.glob("*.md"), *(p for r in rooms for p in (ROOT / r).rglob("*.*"))]
    texts = [
        path
        for path in files
        if path.suffix in kinds and "_build" not in path.parts and path.is_file()
    ]
    assert len(texts) > 200
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in texts
        if path != Path(__file__) and (found := advice(path.read_text("utf-8")))
    }
    assert wrong == {}
