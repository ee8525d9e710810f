"""Write columns of numbers as JSON or CSV, and read what other programs write.

NaN is ``"NaN"`` in JSON, which has no such number, and ``nan`` in CSV. ``null`` and an
empty field are read as NaN too, since pandas writes them for NaN.
"""

from __future__ import annotations

import csv
import io
import json
from array import array
from collections.abc import Callable, Iterable, Mapping
from math import inf, isfinite, nan
from typing import Any, TypeAlias, TypeVar

__all__ = ["FORMATS", "Columns"]

Columns: TypeAlias = "Mapping[str, array[float]]"
T = TypeVar("T")

_NAMES = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_NOT_FINITE = {None: nan, "NaN": nan, "Infinity": inf, "-Infinity": -inf}


def _to_json(columns: Columns) -> str:
    rows = []
    for name, column in columns.items():
        values = [x if isfinite(x) else _NAMES[str(x)] for x in column]
        rows.append(f'  "{name}": {json.dumps(values)}')
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _from_json(text: str) -> Columns:
    try:
        found = json.loads(text, parse_int=float, object_pairs_hook=_distinct)
    except RecursionError:
        raise ValueError("its lists are nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("it is not an object with a list of numbers for each name")
    return {name: _column(name, values) for name, values in found.items()}


def _column(name: str, values: Any) -> array[float]:
    # pandas' DataFrame.to_json() writes {"0": 0.5, "1": 0.25} instead of a list.
    if isinstance(values, dict) and [*values] == [*map(str, range(len(values)))]:
        values = values.values()
    elif not isinstance(values, list):
        raise ValueError(f"{name!r} has no list of numbers")
    try:
        return array("d", (_number(x) for x in values))
    except (KeyError, TypeError):
        raise ValueError(f"{name!r} has a value that is not a number") from None


def _number(value: Any) -> float:
    return value if isinstance(value, float) else _NOT_FINITE[value]


def _to_csv(columns: Columns) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values()))
    return text.getvalue()


def _from_csv(text: str) -> Columns:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = filter(None, reader)  # without blank lines
    try:
        columns = _distinct((name, array("d")) for name in next(rows, []))
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"expected {len(columns)} fields, got {len(row)}")
            for column, field in zip(columns.values(), row):
                column.append(float(field) if field else nan)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
    return columns


def _distinct(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"a second column is named {name!r}")
        found[name] = value
    return found


# By the ending of a file's name: the functions that write and read such a text. The
# second one raises a ValueError that says what is wrong with the text, and where.
FORMATS: dict[str, tuple[Callable[[Columns], str], Callable[[str], Columns]]] = {
    ".json": (_to_json, _from_json),
    ".csv": (_to_csv, _from_csv),
}
