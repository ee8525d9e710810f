"""Runs the scripts of a page under Node, without a browser."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinygrad_edu import explaining

__all__ = ["Node", "started"]

NODE = shutil.which("node")

# Each line is what the scripts shall see as `model`, and what to return.
HARNESS = """
const [, source] = process.argv;
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  let answer;
  try {
    const { model, task, given } = JSON.parse(line);
    const run = new Function("model", "given", `${source}; ${task}`);
    answer = { answer: run(model, given) };
  } catch (error) {
    answer = { error: error.stack };
  }
  console.log(JSON.stringify(answer, (_, x) =>
    ArrayBuffer.isView(x) ? Array.from(x, String) : x));
});
"""


class Node:
    """A running Node that knows some of the page's scripts."""

    def __init__(self, process: Any) -> None:
        self._process = process

    def __call__(self, task: str, model: Any, given: Any = None) -> Any:
        """Return what a task returns; numbers in typed arrays come as text."""
        line = json.dumps({"model": model, "task": task, "given": given})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["answer"]


@contextmanager
def started(*names: str) -> Iterator[Node | None]:
    """Start Node with some of the page's scripts; give None if it is not there."""
    if NODE is None:
        yield None
        return
    folder = Path(explaining.__file__).parent / "page"
    source = "\n".join((folder / f"{name}.js").read_text("utf-8") for name in names)
    command = [NODE, "-e", HARNESS, source]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Node(process)
        process.stdin.close()
