"""`Table`: a tuple of rows that is printed as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tinygrad_edu.support.printable import columns_of

__all__ = ["Table", "aligned", "html_table"]


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

    header: tuple[str, ...] = ()

    def __str__(self) -> str:
        return aligned([self.header, *map(_cells, self)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self.header, map(_cells, self))


def html_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in HTML, for notebooks; the texts are escaped."""
    # The class is the one that Sphinx gives to tables.
    lines = ['<table class="docutils">', _html_row("th", header)]
    return "\n".join([*lines, *(_html_row("td", row) for row in rows), "</table>"])


def aligned(rows: Iterable[Sequence[str]]) -> str:
    """Write rows of texts as a table.

    >>> print(aligned([("形状", "值"), ("()", "4")]))
    形状  值
    ()    4
    """
    rows = list(rows)
    widths = [max(map(columns_of, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - columns_of(cell)) for cell, width in zip(row, widths)
        ).rstrip()
        for row in rows
    )


def _cells(row: tuple[Any, ...]) -> list[str]:
    return [f"{x:.1e}" if isinstance(x, float) else str(x) for x in row]


def _html_row(tag: str, cells: Iterable[str]) -> str:
    from html import escape  # loads a table of entities that only notebooks need

    start = f'<{tag} style="text-align: left">'
    return f"<tr>{''.join(f'{start}{escape(x)}</{tag}>' for x in cells)}</tr>"
