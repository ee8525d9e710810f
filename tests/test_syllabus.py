"""The syllabus: each task fails until it is done, and a solution passes all of them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_edu.engine import simple

SYLLABUS = Path(__file__).parents[1] / "examples" / "syllabus"
SOLUTIONS = Path(__file__).parent / "solutions"
TASKS = sorted(path.name for path in SYLLABUS.glob("test_*.py"))


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(SYLLABUS, tmp_path / "syllabus"))


def solve(copy):
    for solution in SOLUTIONS.glob("*.py"):
        shutil.copy(solution, copy)
    shutil.copy(simple.__file__, copy / "engine.py")


def run(copy, *options):
    """Run the tests as a student does; return the exit status and what they print."""
    command = [sys.executable, "-W", "error", "-m", "pytest", *options]
    done = subprocess.run(
        command, cwd=copy, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout


def test_the_solutions_pass_every_task(copy):
    solve(copy)
    status, told = run(copy, "-v")
    assert status == 0, told
    assert len(TASKS) == 6
    assert all(f"{task}::" in told for task in TASKS)
    assert "skipped" not in told


def test_each_task_fails_until_it_is_done(copy):
    status, told = run(copy, "-v", "--maxfail=100")
    assert status == 1, told
    results = re.findall(r"^(\w+\.py)::.* ([A-Z]+) +\[", told, re.MULTILINE)
    assert {task for task, _ in results} == set(TASKS)
    assert {result for _, result in results} == {"FAILED"}
    assert "NotImplementedError: write sigmoid" in told


def test_the_first_task_that_is_not_done_ends_the_run(copy):
    shutil.copy(SOLUTIONS / "slopes.py", copy)
    status, told = run(copy)
    assert status == 1
    assert "1 failed, 2 passed" in told
    assert "NotImplementedError: write loss" in told


@pytest.mark.parametrize(
    ("module", "right", "wrong", "task", "told"),
    [
        ("slopes", "a * (1 - a)", "a", "test_1_slopes.py", r"\(1 - a\) is missing"),
        ("chain", "1 * x", "1 * h1", "test_2_chain.py", "h1 is used in place of x"),
        ("network", "/ len(x) ", "", "test_3_network.py", "5 times too large"),
        (
            "cross_entropy",
            "n * W1",
            "len(x) * W1",
            "test_4_cross_entropy.py",
            "divide lambda by n, the size of the training set",
        ),
        (
            "engine",
            "cotangents[x] + share if x in cotangents else share",
            "share",
            "test_5_engine.py",
            "the gradient with respect to input 0",
        ),
        (
            "engine",
            "g * y * (1 - y)",
            "g * y",
            "test_5_engine.py",
            "the gradient with respect to input 0",
        ),
        ("engine", "- lr *", "+ lr *", "test_6_training.py", "Arrays are not equal"),
    ],
)
def test_a_slip_is_named(copy, module, right, wrong, task, told):
    solve(copy)
    path = copy / f"{module}.py"
    program = path.read_text()
    assert right in program
    path.write_text(program.replace(right, wrong))
    status, output = run(copy, task)
    assert status == 1, output
    assert re.search(told, output), output
