"""Follow a page as a newcomer does: each command and each block of Python, in turn.

    python tests/newcomer.py README.md docs/quick-start.md

Run it in a fresh environment and a fresh copy of the repository: what a command
installs is there for the blocks below it, and nothing else is. Commands run in the root
of the copy; a block has the names of the blocks above it, and must print what is shown.
"""

import doctest
import importlib
import io
import os
import re
import site
import subprocess
import sys
import sysconfig
from contextlib import redirect_stdout
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Block(NamedTuple):
    """Code of a page, and the output that is shown below it, or ""."""

    kind: str  # console, python or pycon
    code: str
    shown: str
    line: int

    def run(self, names):
        """Run Python with the names of the blocks above; hold the output to the page.

        A session is held to the page as `doctest` does: ``...`` stands for any text.
        """
        if self.kind == "pycon":
            session = doctest.DocTestParser().get_doctest(
                self.code, names, f"line {self.line}", None, None
            )
            runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
            told = io.StringIO()
            failed, _ = runner.run(session, out=told.write, clear_globs=False)
            assert not failed, told.getvalue()
            names.update(session.globs)
            return
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(self.code, f"line {self.line}", "exec"), names)
        assert self.shown in ("", printed.getvalue()), (
            f"line {self.line}: the page shows\n{self.shown}\n"
            f"but it prints\n{printed.getvalue()}"
        )


def blocks(text):
    """List the blocks of a page, in order."""
    pattern = r"^```(console|python|pycon)\n(.*?)^```\n(?:\n*```text\n(.*?)^```)?"
    return [
        Block(kind, code, shown or "", text[: found.start()].count("\n") + 1)
        for found in re.finditer(pattern, text, re.DOTALL | re.MULTILINE)
        for kind, code, shown in [found.groups()]
    ]


def follow(page):
    """Run all that a page shows; stop at the first that fails."""
    names = {}
    for block in blocks(page.read_text("utf-8")):
        start = perf_counter()
        print(f"-- {page.name}, line {block.line}", flush=True)
        if block.kind == "console":
            print(block.code, end="", flush=True)
            subprocess.run(["bash", "-ec", block.code], cwd=ROOT, check=True)
            # What was installed is found, as by a Python that starts now.
            importlib.invalidate_caches()
            site.addsitedir(sysconfig.get_path("purelib"))
        else:
            block.run(names)
        print(f"   {perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    for variable in "DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH":
        os.environ.pop(variable, None)  # no window is opened
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    sys.path.pop(0)  # the folder of the tests
    for name in sys.argv[1:]:
        follow(ROOT / name)
