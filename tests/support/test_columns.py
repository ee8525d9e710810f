"""Columns in files: they come back as they were, and what is damaged is named."""

import csv
import json
import re
import tempfile
import tracemalloc
from array import array
from collections.abc import Iterator
from contextlib import nullcontext
from math import inf, isnan, nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu.support.columns import MOST_COLUMNS, NAME, read_columns, write_columns

each_ending = pytest.mark.parametrize("end", [".json", ".csv"])

Columns = dict[str, array]


@st.composite
def columns(draw: st.DrawFn) -> Columns:
    names = draw(st.lists(st.from_regex(NAME, fullmatch=True), max_size=4, unique=True))
    rows = draw(st.integers(0, 5))
    values = st.lists(st.floats(), min_size=rows, max_size=rows)
    return {name: array("d", draw(values)) for name in names}


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """Give a folder that Hypothesis may use from one example to the next."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@each_ending
@given(written=columns())
def test_columns_come_back_to_the_last_bit(
    scratch: Path, end: str, written: Columns
) -> None:
    path = scratch / f"columns{end}"
    write_columns(path, written)
    found = read_columns(path)
    assert list(found) == list(written)
    for name, column in written.items():
        numbers, others = found[name].tolist(), column.tolist()
        assert list(map(repr, numbers)) == list(map(repr, others))


@given(written=columns())
def test_other_programs_read_them_too(scratch: Path, written: Columns) -> None:
    """By the standard: JSON has no NaN, so a reader that knows none gets along."""
    path = scratch / "columns.json"
    write_columns(path, written)
    found = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert {name: [*map(float, x)] for name, x in found.items()}.keys() == {*written}
    path = scratch / "columns.csv"
    write_columns(path, written)
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == list(written)
    for row, numbers in zip(rows, zip(*written.values()), strict=True):
        pairs = zip(map(float, row), numbers, strict=True)
        assert all(a == b or (isnan(a) and isnan(b)) for a, b in pairs)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("x.json", ' {"a" :\n[ 1 ,2e0 ] , "b":[-0.5,"NaN"]}\r\n', None),
        ("x.csv", "a,b\r\n1,-0.5\r\n2,nan\r\n", None),
        ("x.csv", "a,b\n1,-0.5\n2,nan", None),
        ("x.json", "{}", {}),
        ("x.csv", "\n", {}),
        ("x.csv", "\r\n", {}),
        ("x.json", '{"a": [ ]}', {"a": []}),
        ("x.csv", "a", {"a": []}),
        ("x.csv", "a\n-inf\n", {"a": [-inf]}),
    ],
)
def test_files_by_others_are_read(
    tmp_path: Path, name: str, text: str, found: dict[str, list[float]] | None
) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    columns = {name: x.tolist() for name, x in read_columns(str(path)).items()}
    if found is None:
        found = {"a": [1.0, 2.0], "b": [-0.5, nan]}
    assert repr(columns) == repr(found)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("x.json", "", "it is empty"),
        ("x.json", "[1]", "{ is due at byte 0"),
        ("x.json", '{"a" [1]}', ": is due at byte 4"),
        ("x.json", '{"a": 1}', "[ is due at byte 5"),
        ("x.json", '{"a": [1}', "a list without an end begins at byte 7"),
        ("x.json", '{"a": [1 2]}', "] is due at byte 8"),
        ("x.json", '{"a": [1,, 2]}', "a number is due at byte 9"),
        ("x.json", '{"a": [1, [2]]}', "a number is due at byte 9"),
        ("x.json", '{"a": [,,,,,,]}', "more commas than numbers begins at byte 7"),
        ("x.json", '{"a": [01]}', "] is due at byte 8"),
        ("x.json", '{"a": [NaN]}', "a number is due at byte 7"),
        ("x.json", '{"a": [true]}', "a number is due at byte 7"),
        ("x.json", '{"a": [1' + "0" * 30 + "]}", "] is due"),
        ("x.json", '{"a": [1], "a": [1]}', "a second column is named a, at byte 14"),
        ("x.json", '{"a": [1], "b": []}', "columns of different lengths end"),
        ("x.json", '{"a b": [1]}', "a column's name is due at byte 1"),
        ("x.json", '{"\\u0061": [1]}', "a column's name is due at byte 1"),
        ("x.json", '{"": [1]}', "a column's name is due at byte 1"),
        ("x.json", '{"a": [1],}', "a column's name is due at byte 10"),
        ("x.json", '{"a": [1]', "} is due at byte 9"),
        ("x.json", '{"a": [1]} x', "the end is due at byte 10"),
        ("x.json", "\ufeff{}", "{ is due at byte 0"),
        ("x.csv", "", "it is empty"),
        ("x.csv", "1,2\n", "a column's name is due at byte 0"),
        ("x.csv", "a,a\n", "a second column is named a, at byte 3"),
        ("x.csv", "a;b\n1;2\n", "the end of the header is due at byte 1"),
        ("x.csv", "a,b\n1\n", "not each row has 2 numbers after the header"),
        ("x.csv", "a,b\n1\n2,3,4\n", "a comma is due at byte 5"),
        ("x.csv", "a\n\n\n\n", "not each row has 1 numbers"),
        ("x.csv", "a,b\n,\n,\n,\n", "not each row has 2 numbers"),
        ("x.csv", "a\nNaN\n", "a number is due at byte 2"),
        ("x.csv", 'a\n"1"\n', "a number is due at byte 2"),
        ("x.csv", "a\n1 \n", "the end of the row is due at byte 3"),
    ],
)
def test_each_fault_is_named_with_its_place(
    tmp_path: Path, name: str, text: str, fault: str
) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    with pytest.raises(ValueError, match=re.escape(f"{path}: ")) as caught:
        read_columns(path)
    assert fault in str(caught.value)


@each_ending
def test_there_may_not_be_more_columns_than_anyone_wants(
    tmp_path: Path, end: str
) -> None:
    path = tmp_path / f"many{end}"
    many = {f"c{i}": array("d", [0.5]) for i in range(MOST_COLUMNS)}
    write_columns(path, many)
    assert len(read_columns(path)) == MOST_COLUMNS
    many["more"] = array("d", [0.5])
    with pytest.raises(ValueError, match=f"at most {MOST_COLUMNS} columns, and there"):
        write_columns(path, many)
    assert len(read_columns(path)) == MOST_COLUMNS, "it is as it was"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinygrad_edu.support.columns.MOST_COLUMNS", MOST_COLUMNS + 1)
        write_columns(path, many)
    with pytest.raises(ValueError, match=f"more than {MOST_COLUMNS} columns"):
        read_columns(path)


@pytest.mark.parametrize("use", [read_columns, lambda path: write_columns(path, {})])
def test_the_ending_says_what_it_is(tmp_path: Path, use: object) -> None:
    with pytest.raises(ValueError, match=r"x\.txt: .* ends in \.json or \.csv"):
        use(tmp_path / "x.txt")


@each_ending
def test_an_absent_file_is_named(tmp_path: Path, end: str) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        read_columns(tmp_path / f"absent{end}")


HOSTILE = {
    "dense.json": '{"a":[' + "1," * 100_000 + "1]}",
    "dense.csv": "a\n" + "1\n" * 100_000,
    "wide.csv": "a,b\n" + "1,1\n" * 50_000,
    "nested.json": "[" * 1_000_000,
    "lists.json": '{"a":[' + "[]," * 300_000 + "[]]}",
    "commas.json": '{"a":[' + "," * 1_000_000 + "]}",
    "lines.csv": "a\n" + "\n" * 1_000_000,
    "names.csv": ",".join(f"n{i}" for i in range(150_000)) + "\n",
    "blank.json": '{"a":[' + " " * 1_000_000 + "]}",
    "name.json": '{"' + "a" * 1_000_000 + '":[]}',
    "digits.json": '{"a":[' + "1" * 1_000_000 + "]}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_takes_more_than_four_times_its_size(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(HOSTILE[name])
    bad = not name.startswith(("dense", "wide", "blank"))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=name) if bad else nullcontext():
            read_columns(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 4 * path.stat().st_size + (1 << 16)
