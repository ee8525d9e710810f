"""Run the cells of the page "Try it", and tell the page what to show."""

import os
import sys
import traceback
from pathlib import Path

from pyodide.code import eval_code

NAMES = {"__name__": "__main__"}

sys.stdout.reconfigure(line_buffering=True)  # so a loop shows how far it is


def run(code, number):
    """Run a cell: return the kind of its last value, and what the page shows of it."""
    try:
        return _shown(eval_code(code, NAMES, filename=f"cell {number}"))
    except BaseException as error:  # exit() too: the page goes on
        return "error", _traceback(error, f"cell {number}")
    finally:
        sys.stdout.flush()


def _shown(value):
    if value is None:
        return "nothing", ""
    if isinstance(value, os.PathLike) and os.fspath(value).endswith(".html"):
        return "page", Path(value).read_text("utf-8")
    if hasattr(value, "_repr_svg_"):
        return "picture", value._repr_svg_()
    return "value", f"{value!r}\n"


def _traceback(error, name):
    """Write the traceback from the cell on, without the frames that ran it."""
    frame = error.__traceback__
    while frame and frame.tb_frame.f_code.co_filename != name:
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))
