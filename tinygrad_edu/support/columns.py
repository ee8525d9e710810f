"""Columns of numbers in JSON and CSV files: plain to write, read with suspicion.

What is read is eight bytes a number, made once as many numbers were counted; of what
does not belong nothing is made.
"""

from __future__ import annotations

import mmap
import os
import re
from array import array
from collections.abc import Mapping
from math import inf, isfinite, nan
from pathlib import Path

from tinygrad_edu.support.files import damaged, write

__all__ = ["NAME", "read_columns", "write_columns"]

# So a name needs no quoting, in CSV and in HTML neither.
NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,99}")
MOST_COLUMNS = 256

_NAME = NAME.pattern.encode()
_NUMBER = rb"-?(?:0|[1-9][0-9]{0,24})(?:\.[0-9]{1,25})?(?:[eE][+-]?[0-9]{1,3})?"
_NOT_FINITE = {b'"NaN"': nan, b'"Infinity"': inf, b'"-Infinity"': -inf}
_JSON_NUMBER = rb'(%s|"NaN"|"-?Infinity")' % _NUMBER
_CSV_NUMBER = rb"(%s|nan|-?inf)" % _NUMBER
_CHUNK = 1 << 16


def write_columns(
    path: str | os.PathLike[str], columns: Mapping[str, array[float]]
) -> None:
    """Write columns of one length to a file that ends in ``.json`` or ``.csv``.

    JSON has no number for what is not finite: it is written as "NaN", "Infinity" or
    "-Infinity".

    Raises
    ------
    ValueError
        If the name ends otherwise, or there are more columns than are read again.
    OSError
        If it cannot be written. Then what was there stays.
    """
    path = Path(path)
    kind = _kind(path)
    if len(columns) > MOST_COLUMNS:
        raise ValueError(
            f"{path}: such a file has at most {MOST_COLUMNS} columns, and there are "
            f"{len(columns)}"
        )
    if kind == ".json":
        rows = [f'  "{name}": [{_join(x)}]' for name, x in columns.items()]
        text = "{\n" + ",\n".join(rows) + "\n}\n"
    else:
        lines = [columns.keys(), *(map(repr, row) for row in zip(*columns.values()))]
        text = "".join(",".join(line) + "\n" for line in lines)
    write("History.save", path, text.encode())


def _join(column: array[float]) -> str:
    names = {str(float(key.decode()[1:-1])): key.decode() for key in _NOT_FINITE}
    return ", ".join(repr(x) if isfinite(x) else names[str(x)] for x in column)


def read_columns(path: str | os.PathLike[str]) -> dict[str, array[float]]:
    r"""Read what `write_columns` wrote, or the like.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged or of another format; the message tells at which byte.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "losses.csv")
    ...     size = path.write_text("loss,test_loss\n0.5,0.7\n0.25,0.5\n")
    ...     read_columns(path)
    {'loss': array('d', [0.5, 0.25]), 'test_loss': array('d', [0.7, 0.5])}
    """
    path = Path(path)
    read = {".json": _read_json, ".csv": _read_csv}[_kind(path)]
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise damaged(path, "it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return read(_Scanner(path, text))


def _kind(path: Path) -> str:
    if path.suffix not in (".json", ".csv"):
        raise ValueError(f"{path}: the name of such a file ends in .json or .csv")
    return path.suffix


class _Scanner:
    """Goes through a file from its first byte to its last, a piece at a time."""

    def __init__(self, path: Path, text: mmap.mmap) -> None:
        self.path, self.text, self.at = path, text, 0

    def take(self, pattern: bytes) -> bytes | None:
        """Return what the pattern's group matches here, and go on; None if it fails."""
        found = re.compile(pattern).match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[1]

    def demand(self, pattern: bytes, what: str) -> bytes:
        taken = self.take(pattern)
        if taken is None:
            raise self.fault(f"{what} is due")
        return taken

    def fault(self, what: str) -> ValueError:
        return damaged(self.path, f"{what} at byte {self.at}")

    def new_name(self, pattern: bytes, others: Mapping[str, array[float]]) -> str:
        name = self.demand(pattern, "a column's name").decode()
        if name in others:
            raise self.fault(f"a second column is named {name},")
        if len(others) == MOST_COLUMNS:
            raise self.fault(f"there are more than {MOST_COLUMNS} columns")
        return name

    def count_values(self) -> int:
        """Count the numbers in the list that begins here, so that there is room."""
        end = self.text.find(b"]", self.at)
        if end < 0:
            raise self.fault("a list without an end begins")
        commas = self._count(b",", end)
        if not commas and not self.text[self.at : end].strip():
            return 0
        if end - self.at < 2 * commas + 1:
            raise self.fault("a list with more commas than numbers begins")
        return commas + 1

    def count_rows(self, width: int) -> int:
        """Count the rows from here to the end, each of so many numbers."""
        size = len(self.text)
        is_open = self.at < size and self.text[size - 1 :] != b"\n"
        rows = self._count(b"\n", size) + is_open
        is_short = size - self.at + is_open < 2 * rows * width
        if is_short or self._count(b",", size) != rows * (width - 1):
            raise self.fault(f"not each row has {width} numbers after the header")
        return rows

    def _count(self, byte: bytes, end: int) -> int:
        starts = range(self.at, end, _CHUNK)
        return sum(self.text[i : min(i + _CHUNK, end)].count(byte) for i in starts)


def _read_json(scan: _Scanner) -> dict[str, array[float]]:
    def token(pattern: bytes) -> bytes:
        return rb"[ \t\r\n]*+" + pattern

    def symbol(byte: str) -> None:
        scan.demand(token(rb"(\%s)" % byte.encode()), byte)

    columns: dict[str, array[float]] = {}
    symbol("{")
    is_empty = scan.take(token(rb"()\}")) is not None
    while not is_empty and (not columns or scan.take(token(b"(,)"))):
        name = scan.new_name(token(rb'"(%s)"' % _NAME), columns)
        symbol(":")
        symbol("[")
        columns[name] = column = _zeros(scan.count_values())
        for i in range(len(column)):
            if i:
                symbol(",")
            value = scan.demand(token(_JSON_NUMBER), "a number")
            column[i] = _NOT_FINITE.get(value) or float(value)
        symbol("]")
        if len({len(x) for x in columns.values()}) > 1:
            raise scan.fault("columns of different lengths end")
    if not is_empty:
        symbol("}")
    scan.demand(token(rb"()\Z"), "the end")
    return columns


def _read_csv(scan: _Scanner) -> dict[str, array[float]]:
    columns: dict[str, array[float]] = {}
    is_empty = scan.take(rb"()\r?\n\Z") is not None
    while not is_empty and (not columns or scan.take(b"(,)")):
        columns[scan.new_name(b"(%s)" % _NAME, columns)] = _zeros(0)
    scan.demand(rb"()(?:\r?\n|\Z)", "the end of the header")
    rows = scan.count_rows(len(columns))
    columns = {name: _zeros(rows) for name in columns}
    for row in range(rows):
        for i, column in enumerate(columns.values()):
            if i:
                scan.demand(b"(,)", "a comma")
            column[row] = float(scan.demand(_CSV_NUMBER, "a number"))
        scan.demand(rb"()(?:\r?\n|\Z)", "the end of the row")
    return columns


def _zeros(length: int) -> array[float]:
    return array("d", [0.0]) * length
