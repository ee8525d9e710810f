"""How the site is built: `sphinx-build -W --keep-going docs docs/_build/html`.

A page is plain Markdown, and a notebook if it has Python: see `notebooks`.
"""

import sys
from pathlib import Path

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
    "notebooks",
    "workbook",
    "live",
    "sphinx_revealjs",
    "slides",
    "chinese",
]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", ".*"),  # types in docstrings are prose: "list of ndarray"
    ("py:(obj|exc)", r"numpy\..*"),
]

nb_custom_formats = {".md": ["jupytext.reads", {"fmt": "md"}]}
nb_execution_raise_on_error = True
nb_execution_in_temp = True  # pages may write files
nb_execution_timeout = 120
nb_merge_streams = True
nb_render_markdown_format = "myst"  # explain() shows formulas
nb_mime_priority_overrides = [("revealjs", "text/html", 1)]  # as the builder "html"
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

revealjs_style_theme = "white"
revealjs_static_path = ["_static/slides"]
revealjs_css_files = ["pygments.css", "slides.css"]
revealjs_script_conf = {"width": 1280, "height": 800, "margin": 0.03, "hash": True}
