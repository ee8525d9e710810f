"""What a program cannot be made of: the errors, and whose line they name."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from tinygrad_edu.engine.batching import Examples
from tinygrad_edu.engine.modes import current_mode

__all__ = [
    "LOOK",
    "MASK",
    "REASONS",
    "Line",
    "current_tape",
    "is_library",
    "is_library_code",
    "place",
    "user_line",
]

Line = tuple[Any, ...]  # a file, and the number of a line in it


def current_tape() -> Any:
    """Return the tape that follows the function; raise if the recording is over."""
    tape: Any = current_mode.get().tape
    while isinstance(tape, Examples):
        tape = tape.outer
    if tape is None:
        raise TypeError(
            "compile: an array is used that was recorded while a function was "
            "compiled; it holds no value; return it from the function instead"
        )
    return tape


@cache
def is_library(module: Any) -> bool:
    """Whether code is not the user's: Python's, this or another package's."""
    if not isinstance(module, str):  # as of what is written in C
        return module is not None
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or root in ("numpy", "tinygrad_edu"):
        return True
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file  # where pip puts it


@cache
def is_library_code(file: str, module: Any) -> bool:
    """The same of a file and its module's name; that of a doctest is the library's."""
    return is_library(module) and not file.startswith("<doctest")


def user_line() -> tuple[str, int]:
    """Return the file and the number of the user's line that is at work."""
    frame = sys._getframe()
    while frame.f_back and is_library_code(
        frame.f_code.co_filename, frame.f_globals.get("__name__")
    ):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def place(line: tuple[Any, ...] | None = None) -> str:
    """Say which line of the user's it was, or is at work now."""
    return ":".join(map(str, line or user_line()))


LOOK = "return from the function what you want to look at, and look at it outside"
MASK = "multiply by the mask, or choose with np.where(mask, x, 0)"
_CHOOSE = "choose with np.where(condition, a, b), which computes both"
_OUT = "a value is taken out of its array", LOOK
_TEXT = "a value is printed, or made text", LOOK
# By what Python asks for: what the function does, and what to do instead.
REASONS = {
    "array": (
        "a value is put into an array of NumPy's own",
        "build arrays with np.stack(), np.concatenate() or np.where(); np.asarray(x) "
        "is not needed",
    ),
    "bool": ("the function branches on a value", _CHOOSE),
    "comparison": ("the function branches on a number", _CHOOSE),
    "format": _TEXT,
    "hash": (
        "a value is looked up in a dict or set",
        "let an array be the table: table[i]",
    ),
    "item": _OUT,
    "number": (
        "a value is made a Python number",
        "compute with NumPy's functions, np.sqrt() and not math.sqrt(); as a size or "
        "an index pass an int",
    ),
    "reduce": _OUT,
    "repr": _TEXT,
    "tolist": _OUT,
}
