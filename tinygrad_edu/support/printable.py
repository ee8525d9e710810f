"""Names as they can be read: users, programs and files may give any string as one."""

from __future__ import annotations

from typing import Any

__all__ = ["name_of", "printable", "shorten", "type_name"]

LONGEST = 100  # characters


def printable(name: Any) -> str:
    r"""Return a name on one line, without what no reader or file could take.

    Space of any kind becomes a single blank; control characters, surrogates, and what
    turns the direction of writing are left out, and so is the middle of a long name.
    May be empty.

    Examples
    --------
    >>> printable("two\n lines\x1b[31m"), printable("\ud800\u202e")
    ('two lines[31m', '')
    """
    kept = (c for c in str(name) if c.isprintable() or c.isspace())
    return shorten(" ".join("".join(kept).split()), LONGEST)


def name_of(x: Any) -> str:
    """Return the name that a Tensor or an array was given, printable, or nothing."""
    name = getattr(x, "name", None)
    return "" if name is None else printable(name)


def type_name(x: Any) -> str:
    """Return the name of the type of `x`, printable."""
    return printable(type(x).__name__)


def shorten(text: str, length: int) -> str:
    """Return the text, with its middle left out if it has more characters than that.

    Examples
    --------
    >>> shorten("a_rather_long_name", 9)
    'a_ra…name'
    """
    if len(text) <= length:
        return text
    end = (length - 1) // 2
    return f"{text[: length - 1 - end]}…{text[len(text) - end :]}"
