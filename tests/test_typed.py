"""The types that a user's program is checked against, and what completion shows.

The programs in `tests/typed` are the suite: mistakes that type checkers find, and right
programs that they have nothing to say against.
"""

import ast
import inspect
import json
import subprocess
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from rlcompleter import Completer

import pytest
import typed_ops

from tinygrad_edu.engine.tensor import Tensor

ROOT = Path(__file__).parents[1]
PROGRAMS = {name: ROOT / f"tests/typed/{name}.py" for name in ("mistakes", "right")}


def functions(name):
    """Return the programs of a file: its functions without arguments, by name."""
    module = import_module(f"typed.{name}")
    return {
        name: f
        for name, f in vars(module).items()
        if inspect.isfunction(f) and f.__module__ == module.__name__
        if not inspect.signature(f).parameters
    }


def marked(name, comment):
    """Return the names of the functions with a line that ends in a comment."""
    text = PROGRAMS[name].read_text()
    lines = [n for n, line in enumerate(text.splitlines(), 1) if line.endswith(comment)]
    return around(name, lines)


def around(name, lines):
    """Return the names of the functions that contain the lines."""
    tree = ast.parse(PROGRAMS[name].read_text())
    bounds = {
        part.name: range(part.lineno, part.end_lineno + 1)
        for part in tree.body
        if isinstance(part, ast.FunctionDef | ast.ClassDef)
    }
    return {next(n for n, at in bounds.items() if line in at) for line in lines}


@pytest.mark.parametrize("name", functions("mistakes"))
def test_a_mistake_raises(name):
    with pytest.raises((AttributeError, TypeError, ValueError)):
        functions("mistakes")[name]()


@pytest.mark.parametrize("name", functions("right"))
def test_a_right_program_runs(name):
    functions("right")[name]()


def test_there_is_one_mistake_in_each_program_and_few_false_alarms():
    wrong, unseen = marked("mistakes", "# wrong"), marked("mistakes", ", unseen")
    assert wrong | unseen == functions("mistakes").keys()
    assert len(wrong) >= 24 / 28 * len(functions("mistakes"))
    assert len(functions("right")) >= len(functions("mistakes")) >= 28
    assert len(marked("right", "# false alarm")) <= 1


def mypy():
    """Return the lines with errors, by file."""
    run = checked("mypy", "--strict", "--output=json")
    for line in run.splitlines():
        error = json.loads(line)
        if error["severity"] == "error":
            yield Path(error["file"]).stem, error["line"]


def pyright():
    run = checked("pyright", "--outputjson", f"--pythonpath={sys.executable}")
    for error in json.loads(run)["generalDiagnostics"]:
        yield Path(error["file"]).stem, error["range"]["start"]["line"] + 1


def checked(checker, *options):
    """Run a type checker on all programs at once; return what it prints."""
    pytest.importorskip(checker)
    command = [sys.executable, "-m", checker, *options, *PROGRAMS.values()]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("checker", [mypy, pyright], ids=lambda f: f.__name__)
def test_a_type_checker_finds_the_mistakes_and_nothing_else(checker):
    lines = defaultdict(set)
    for name, line in checker():
        lines[name].add(line)
    assert around("mistakes", lines["mistakes"]) == marked("mistakes", "# wrong")
    assert around("right", lines["right"]) == marked("right", "# false alarm")


def test_the_stub_says_what_the_declarations_say():
    """If not, run ``python tests/typed_ops.py``."""
    assert typed_ops.STUB.read_text() == typed_ops.stub()


# --- Completion -----------------------------------------------------------------------


def test_a_prompt_completes_a_method():
    completer = Completer({"t": Tensor(1.0)})
    completer.complete("t.su", 0)
    assert completer.matches == ["t.subtract(", "t.sum("]


def test_a_tensor_lists_what_is_for_users():
    names = dir(Tensor(1.0))
    assert {"T", "backward", "data", "grad", "op", "sum", "zero_grad"} <= set(names)
    assert {"accumulated", "array", "calls", "index", "origin"} & set(names) == set()
    assert names == sorted(names)


@pytest.mark.parametrize("source", ["tg.Tensor(1.0)", "tg.exp(tg.Tensor(1.0)) * 2"])
def test_an_editor_completes_a_method_without_running_the_program(source):
    jedi = pytest.importorskip("jedi")
    code = f"import tinygrad_edu as tg\nt = {source}\nt.su"
    assert [c.name for c in jedi.Script(code).complete()] == ["subtract", "sum"]
