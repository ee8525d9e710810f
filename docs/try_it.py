"""The page that runs in the browser: its script, and the package that it installs."""

from contextlib import chdir
from pathlib import Path
from typing import Any

from hatchling.builders.wheel import WheelBuilder
from sphinx.application import Sphinx

FOLDER = "try-it"  # of the files in _static


def add_files(app: Sphinx, page: str, _: str, __: dict[str, Any], ___: Any) -> None:
    if page == "try-it":
        app.add_css_file(f"{FOLDER}/try-it.css")
        app.add_js_file(f"{FOLDER}/try-it.js", defer="defer")


def pack(app: Sphinx, error: Exception | None) -> None:
    """Build the wheel of the package, as it is now, for the worker of the page."""
    if error or app.builder.name != "html":
        return
    folder = Path(app.outdir, "_static", FOLDER)
    root = Path(__file__).parents[1]
    with chdir(root):  # the README is read from there
        builder = WheelBuilder(str(root))
        (wheel,) = builder.build(directory=str(folder), versions=["standard"])
    Path(wheel).replace(folder / "tinygrad_edu.whl")


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_files)
    app.connect("build-finished", pack)
