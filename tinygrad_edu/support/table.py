"""`Table`: a tuple of rows that is printed as a table."""

from __future__ import annotations

import re
from typing import Any, ClassVar

__all__ = ["Table"]


class Table(tuple[Any, ...]):
    """Rows of equal length under a header; a subclass defines the header.

    Examples
    --------
    >>> class Powers(Table):
    ...     header = ("n", "2 to the n")
    >>> print(Powers([(1, 2.0), (10, 1024.0)]))
    n   2 to the n
    1   2.0e+00
    10  1.0e+03
    """

    __slots__ = ()

    header: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        lines = [self.header, *map(_cells, self)]
        widths = [max(map(len, column)) for column in zip(*lines)]
        return "\n".join(
            "  ".join(map(str.ljust, cells, widths)).rstrip() for cells in lines
        )

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        lines = [self.header, *map(_cells, self)]
        lines = [tuple(map(_in_markdown, cells)) for cells in lines]
        lines.insert(1, ("---",) * len(self.header))
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: tuple[Any, ...]) -> list[str]:
    return [f"{x:.1e}" if isinstance(x, float) else str(x) for x in row]


def _in_markdown(text: str) -> str:
    """Escape a text so that Markdown shows it literally."""
    from html import escape  # loads a table of entities that only notebooks need

    return re.sub(r"([\\`*_~$|\[\]])", r"\\\1", escape(text, quote=False))
