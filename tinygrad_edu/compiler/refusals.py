"""What a program cannot be made of: the errors, and whose line they name."""

from __future__ import annotations

import sys
from functools import cache
from types import CodeType
from typing import Any

__all__ = [
    "CHOOSE",
    "LOOK",
    "MASK",
    "is_library",
    "is_library_code",
    "place",
    "refusal",
    "user_line",
]


@cache
def is_library(module: Any) -> bool:
    """Whether code is not the user's: Python's, this or another package's."""
    if not isinstance(module, str):  # as of what is written in C
        return module is not None
    root = module.partition(".")[0]
    known = ("numpy", "tinygrad_edu", "builtins")
    return root in sys.stdlib_module_names or root in known or _is_installed(root)


def _is_installed(package: str) -> bool:
    """Whether a package lies where pip puts them."""
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file


def is_library_code(code: CodeType, names: dict[str, Any]) -> bool:
    """The same of a function's code and globals; a doctest's are its module's."""
    is_doctest = code.co_filename.startswith("<doctest")
    return is_library(names.get("__name__")) and not is_doctest


def user_line() -> tuple[str, int]:
    """Return the file and the number of the user's line that is at work."""
    frame = sys._getframe()
    while frame.f_back and is_library_code(frame.f_code, frame.f_globals):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def place(line: tuple[Any, ...] | None = None) -> str:
    """Say which line of the user's it was, or is at work now."""
    return ":".join(map(str, line or user_line()))


LOOK = "return from the function what you want to look at, and look at it outside"
CHOOSE = "choose with np.where(condition, a, b), which computes both"
MASK = "multiply by the mask, or choose with np.where(mask, x, 0)"


def refusal(what: str, way_out: str = LOOK) -> TypeError:
    """The error where a program would have to know a value, which changes."""
    return TypeError(
        f"compile: {what}, at {place()}, while the function is being recorded. The "
        "program will run on other values as well, and this line's answer would be "
        f"frozen into it: {way_out}"
    )
