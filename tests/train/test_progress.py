"""Progress: a bar where it can move, and nothing but lines elsewhere."""

import io
import os
import re
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest

from tinygrad_edu.train import progress as module
from tinygrad_edu.train.progress import (
    Lines,
    NotebookBar,
    Silence,
    TerminalBar,
    progress,
)

PROGRAM = """
from time import sleep
from tinygrad_edu.train.progress import progress
with progress(True) as bar:
    for part in range(1, 4):
        bar.move(part / 3, f"epoch {part} [b]")
        sleep(0.3)
        bar.line(f"line {part} [b]")
print("after it")
"""


class Screen(io.StringIO):
    def isatty(self):
        return True


def on_a_terminal(monkeypatch):
    """Let the program believe that it runs on one; return what is written there."""
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv("TERM", "xterm")
    return sys.stdout


needs_rich = pytest.mark.skipif(
    not module.find_spec("rich"), reason="the extra named train is not installed"
)


def test_silence_if_it_is_not_wanted(monkeypatch):
    screen = on_a_terminal(monkeypatch)
    assert type(progress(False)) is Silence
    with progress(False) as bar:
        bar.line("a line")
        bar.move(0.5, "half")
    assert screen.getvalue() == ""


def test_a_pipe_gets_lines(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as some systems do for their logs
    with progress(True) as bar:
        bar.move(0.5, "half")
        bar.line("a line")
    assert type(bar) is Lines
    assert capsys.readouterr().out == "a line\n"


@needs_rich
def test_a_terminal_has_a_bar_unless_it_cannot_move(monkeypatch):
    on_a_terminal(monkeypatch)
    assert type(progress(True)) is TerminalBar
    monkeypatch.setenv("TERM", "dumb")
    assert type(progress(True)) is Lines
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert type(progress(True)) is Lines


@needs_rich
def test_the_bar_shows_how_far_it_is_and_goes_away(monkeypatch):
    screen = on_a_terminal(monkeypatch)
    with progress(True) as bar:
        bar.move(0.5, "epoch 1/2 [b] loss 0.5")
        bar._bar.refresh()
        bar.line("epoch 1/2")
    shown = screen.getvalue()
    assert re.search(r"epoch 1/2 \[b\] loss 0\.5.*left", shown)
    assert "\nepoch 1/2\n" in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]|\r", "\n", shown)
    assert shown.endswith("\x1b[2K")


@needs_rich
def test_on_a_real_terminal_the_lines_stay():
    screen, terminal = pytest.importorskip("pty").openpty()
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        stdout=terminal,
    )
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # Linux's way to say that the other end was closed
        while piece := os.read(screen, 4096):
            shown += piece
    os.close(screen)
    assert process.wait(timeout=60) == 0
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.decode())
    assert "epoch 2 [b] 0:00:0" in text
    kept = [line for line in re.split(r"[\r\n]+", text) if "━" not in line]
    assert [*filter(None, kept)] == [
        *(f"line {part} [b]" for part in (1, 2, 3)),
        "after it",
    ]


def test_a_program_in_a_pipe_prints_its_lines_at_once():
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env={**os.environ, "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "line 1 [b]\nline 2 [b]\nline 3 [b]\nafter it\n"
    assert run.stderr == ""


@pytest.fixture
def notebook(monkeypatch):
    """Stand in for IPython in a notebook; return what is shown at each moment."""
    shown = []

    def display(bundle, raw, display_id):
        assert raw
        assert display_id
        shown.append(bundle)
        return SimpleNamespace(update=lambda bundle, raw: shown.append(bundle))

    shell = SimpleNamespace(kernel=True)
    here = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", here)
    monkeypatch.setitem(
        sys.modules, "IPython.display", SimpleNamespace(display=display)
    )
    return shown


def test_a_notebook_has_a_bar_of_its_own(notebook, monkeypatch, capsys):
    now = iter([0.0, 0.1, 1.0, 1.1, 2.0])
    monkeypatch.setattr(module, "perf_counter", lambda: next(now))
    with progress(True) as bar:
        bar.move(0.1, "too early to be seen")
        bar.move(0.0, "epoch 1/4")
        bar.move(0.2, "soon after")
        bar.move(0.5, "epoch 2/4")
        bar.line("a line")
    assert type(bar) is NotebookBar
    nothing = {"text/html": "", "text/plain": ""}
    assert notebook == [
        nothing,
        {
            "text/html": '<progress value="0.0000"></progress> epoch 1/4, 0 s left',
            "text/plain": "epoch 1/4, 0 s left",
        },
        {
            "text/html": '<progress value="0.5000"></progress> epoch 2/4, 2 s left',
            "text/plain": "epoch 2/4, 2 s left",
        },
        nothing,
    ]
    assert capsys.readouterr().out == "a line\n"


def test_ipython_on_a_terminal_is_no_notebook(notebook, monkeypatch):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: object())
    assert type(progress(True)) is Lines
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    assert type(progress(True)) is Lines
