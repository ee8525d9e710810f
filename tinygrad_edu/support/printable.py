"""Make names printable: users, programs and files may use any string as a name."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["columns_of", "filled", "name_of", "printable", "shorten", "type_name"]

LONGEST = 100  # characters
# A word or a Chinese sign, with the punctuation that must not begin or end a line.
_PIECES = re.compile(
    r"\s*[（“]*(?:[\u3400-\u9fff]|[^\s\u3400-\u9fff]+)[，。：；？！、”）]*"
)


def printable(name: Any) -> str:
    r"""Return a name on one line that can be read and written to any file.

    White space becomes a single blank. Control characters, surrogates and characters
    that change the direction of writing are removed. A long name loses its middle. The
    result may be empty.

    Examples
    --------
    >>> printable("two\n lines\x1b[31m"), printable("\ud800\u202e")
    ('two lines[31m', '')
    """
    kept = (c for c in str(name) if c.isprintable() or c.isspace())
    return shorten(" ".join("".join(kept).split()), LONGEST)


def name_of(x: Any) -> str:
    """Return the printable name of a Tensor or an array, or ""."""
    name = getattr(x, "name", None)
    return "" if name is None else printable(name)


def type_name(x: Any) -> str:
    """Return the printable name of the type of `x`."""
    return printable(type(x).__name__)


def shorten(text: str, length: int) -> str:
    """Return the text; if it is longer than `length`, leave out its middle.

    Examples
    --------
    >>> shorten("a_rather_long_name", 9)
    'a_ra…name'
    """
    if len(text) <= length:
        return text
    end = (length - 1) // 2
    return f"{text[: length - 1 - end]}…{text[len(text) - end :]}"


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: a Chinese sign takes two.

    >>> columns_of("z1 的值")
    7
    """
    from unicodedata import east_asian_width  # only needed for tables

    return sum(2 if east_asian_width(c) in "FW" else 1 for c in text)


def filled(text: str, width: int) -> str:
    """Break a text into lines; unlike `textwrap.fill`, also between Chinese signs.

    >>> print(filled("损失对 h2 的导数是多少？", 10))
    损失对 h2
    的导数是多
    少？
    """
    lines = [""]
    for piece in _PIECES.findall(text):
        if columns_of(lines[-1] + piece) <= width:
            lines[-1] += piece
        else:
            lines.append(piece.lstrip())
    return "\n".join(lines)
