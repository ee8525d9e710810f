"""How the site is built: `sphinx-build -W --keep-going docs docs/_build/html`.

A page is plain Markdown. Its ```python blocks are read as the cells of a notebook and
run, and what the site shows below a block is what it printed just now.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent))

project = "tinygrad_edu"
author = copyright = "The tinygrad_edu authors"
version = release = tg.__version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # brings MathJax along: formulas need no network
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "try_it",
    "op_entries",
]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", ".*"),  # types in docstrings are prose: "list of ndarray"
    ("py:obj", r"numpy\..*"),
]

nb_custom_formats = {".md": ["jupytext.reads", {"fmt": "md"}]}
nb_execution_raise_on_error = True
nb_execution_in_temp = True  # pages may write files
nb_execution_timeout = 120
nb_merge_streams = True
nb_render_markdown_format = "myst"  # explain() shows formulas
nb_output_stderr = "warn"  # so a warning in a cell fails the build
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# A name in `backticks` is a link if there is something of that name to link to.
default_role = "autolink"
add_module_names = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_param = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "tinygrad_edu"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]

# --- Pages are notebooks --------------------------------------------------------------

HEAD = """\
---
jupyter:
  kernelspec: {name: python3, display_name: Python 3, language: python}
---
"""
SHOWN = re.compile(r"(```python\n.*?```\n)\n*```text\n.*?```\n", re.DOTALL)


def prepare(app: Sphinx, page: str, source: list[str]) -> None:
    """Make a notebook of a page that has Python, without the output in the file."""
    if "\n```python\n" in source[0]:
        source[0] = HEAD + SHOWN.sub(r"\1", source[0])


def is_notebook(app: Sphinx, page: str) -> bool:
    return "kernelspec" in app.env.metadata.get(page, {})


def offer(app: Sphinx, page: str, _: str, context: dict[str, Any], __: Any) -> None:
    """Let the template link to the notebook, and know a translation's language."""
    if page.endswith(".zh-CN"):
        context["language"] = "zh-CN"  # else browsers take Japanese forms of the signs
    if is_notebook(app, page):
        context["notebook"] = f"_notebooks/{page}.ipynb"


def keep(app: Sphinx, error: Exception | None) -> None:
    """Put the notebooks, as they were run, where the links lead."""
    if error or app.builder.format != "html":
        return
    for page in filter(lambda page: is_notebook(app, page), app.env.found_docs):
        target = Path(app.outdir, "_notebooks", f"{page}.ipynb")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(app.env.mystnb_config.output_folder, f"{page}.ipynb"), target)


def setup(app: Sphinx) -> None:
    app.connect("source-read", prepare)
    app.connect("html-page-context", offer)
    app.connect("build-finished", keep)
