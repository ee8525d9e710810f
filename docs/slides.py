"""Slides: one page of the site, shown by reveal.js too, with a slide for each title.

What a cell printed stays hidden until the next key is pressed, so that a class can
predict it.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

PAGE = "teaching/slides"
FOLDER = "_slides"


def build(app: Sphinx, error: Exception | None) -> None:
    """Build the slides next to the site."""
    if error or app.builder.name != "html" or PAGE not in app.env.found_docs:
        return
    out = Path(app.outdir, FOLDER)
    settings = {
        "root_doc": PAGE,
        "include_patterns": f"{PAGE}.md",
        "nb_execution_mode": app.config.nb_execution_mode,
        "pygments_style": app.builder.theme.pygments_style_default,
    }
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "revealjs"]
    command += [f"-D{name}={value}" for name, value in settings.items()]
    command += ["-c", app.confdir, "-d", Path(app.doctreedir, FOLDER)]
    subprocess.run([*command, app.srcdir, out], check=True)
    shutil.rmtree(out / "_static" / "mathjax")  # see share_mathjax


def share_mathjax(app: Sphinx) -> None:
    """Load the site's copy, since MathJax is large."""
    if app.builder.name == "revealjs":
        app.config.mathjax_path = f"../../_static/{app.config.mathjax_path}"


def offer(app: Sphinx, page: str, _: str, context: dict[str, Any], __: Any) -> None:
    """Let the template link to the slides."""
    if page == PAGE:
        context["slides"] = f"{FOLDER}/{page}.html"


def prepare(app: Sphinx, doctree: nodes.document, _: str) -> None:
    """Colour the code, and hide what it printed until the next key is pressed."""
    if app.builder.name != "revealjs":
        return
    for cell in doctree.findall(nodes.container):
        if "cell_input" in cell["classes"]:
            del cell.next_node(nodes.literal_block)["language"]  # so Pygments is used
        elif "cell_output" in cell["classes"] and not cell.next_node(nodes.raw):
            cell["classes"].append("fragment")


def setup(app: Sphinx) -> None:
    app.connect("build-finished", build, priority=900)
    app.connect("builder-inited", share_mathjax)
    app.connect("html-page-context", offer)
    app.connect("doctree-resolved", prepare)
