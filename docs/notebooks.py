"""Pages are notebooks: a page that has Python is run, and can be downloaded.

What the site shows below a block is what it printed just now. In a downloaded notebook
the answers of the exercises stay hidden until they are unfolded, and pictures are part
of the file.
"""

import base64
import mimetypes
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from sphinx.application import Sphinx

HEAD = """\
---
jupyter:
  kernelspec: {name: python3, display_name: Python 3, language: python}
---
"""
SHOWN = re.compile(r"(```python\n.*?```\n)\n*```text\n.*?```\n", re.DOTALL)
# Stands for the page of `step_through` where nothing is run.
STILL = re.compile(r"^!\[[^\]]*\]\([^)]*/step-through\.\w+\)\n", re.MULTILINE)
DETAILS = re.compile(r"^(<details>|</details>)$", re.MULTILINE)
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")


def prepare(app: Sphinx, page: str, source: list[str]) -> None:
    """Make a notebook of a page that has Python, without the output in the file."""
    if "\n```python\n" in source[0]:
        source[0] = HEAD + STILL.sub("", SHOWN.sub(r"\1", source[0]))


def is_notebook(app: Sphinx, page: str) -> bool:
    return "kernelspec" in app.env.metadata.get(page, {})


def offer(app: Sphinx, page: str, _: str, context: dict[str, Any], __: Any) -> None:
    """Let the template link to the notebook."""
    if is_notebook(app, page):
        context["notebook"] = f"_notebooks/{page}.ipynb"


def keep(app: Sphinx, error: Exception | None) -> None:
    """Put the notebooks, as they were run, where the links lead."""
    if error or app.builder.name != "html":
        return
    for page in filter(lambda page: is_notebook(app, page), app.env.found_docs):
        run = Path(app.env.mystnb_config.output_folder, f"{page}.ipynb")
        notebook = nbformat.read(run, as_version=4)
        notebook.cells = [*with_hidden_answers(notebook.cells)]
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                folder = Path(app.srcdir, page).parent
                cell.source = with_pictures(cell.source, folder)
        target = Path(app.outdir, "_notebooks", f"{page}.ipynb")
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)


def with_hidden_answers(cells: list[Any]) -> Iterator[Any]:
    """Give an answer one cell, which is folded, and the reader an empty one before it.

    A ``<details>`` that begins in one cell and ends in another would hide nothing.
    """
    answer: list[str] | None = None
    for cell in cells:
        if cell.cell_type == "code":
            if answer is None:
                yield cell
            else:
                answer.append(as_text(cell))
            continue
        for piece in map(str.strip, DETAILS.split(cell.source)):
            if piece == "<details>":
                answer = [piece]
            elif piece == "</details>":
                yield nbformat.v4.new_code_cell()
                yield nbformat.v4.new_markdown_cell("\n\n".join([*answer, piece]))
                answer = None
            elif answer is not None:
                answer.append(piece)
            elif piece:
                yield nbformat.v4.new_markdown_cell(piece)


def as_text(cell: Any) -> str:
    """Write code and what it printed as Markdown."""
    blocks = [f"```python\n{cell.source}\n```"]
    for output in cell.outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain")
        blocks.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(blocks)


def with_pictures(text: str, folder: Path) -> str:
    """Put the pictures that a text shows into the text."""

    def embedded(found: re.Match[str]) -> str:
        alt, link = found.groups()
        kind, _ = mimetypes.guess_type(link)
        data = base64.b64encode((folder / link).read_bytes()).decode()
        return f'<img alt="{escape(alt)}" src="data:{kind};base64,{data}">'

    return PICTURE.sub(embedded, text)


def setup(app: Sphinx) -> None:
    app.connect("source-read", prepare)
    app.connect("html-page-context", offer)
    app.connect("build-finished", keep)
