"""Columns as text: they come back as they were, and other programs read them."""

import csv
import io
import json
from array import array
from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu.train.columns import FORMATS

each_format = pytest.mark.parametrize("end", FORMATS)

NAMES = st.from_regex("[A-Za-z_][A-Za-z0-9_]{0,99}", fullmatch=True)


@st.composite
def columns(draw: st.DrawFn) -> dict[str, array]:
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    rows = draw(st.integers(0, 5))
    values = st.lists(st.floats(), min_size=rows, max_size=rows)
    return {name: array("d", draw(values)) for name in names}


@each_format
@given(written=columns())
def test_columns_come_back_to_the_last_bit(end: str, written: dict[str, array]) -> None:
    write, read = FORMATS[end]
    found = read(write(written))
    assert list(found) == list(written)
    for name, column in written.items():
        numbers, others = found[name].tolist(), column.tolist()
        assert list(map(repr, numbers)) == list(map(repr, others))


@given(written=columns())
def test_other_programs_read_them_too(written: dict[str, array]) -> None:
    """By the standard: JSON has no NaN, so a reader that knows none gets along."""
    found = json.loads(FORMATS[".json"][0](written), parse_constant=pytest.fail)
    assert found.keys() == written.keys()
    for name, values in found.items():
        assert repr([*map(float, values)]) == repr(written[name].tolist())
    text = FORMATS[".csv"][0](written)
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == list(written)
    for row, numbers in zip(rows, zip(*written.values()), strict=True):
        pairs = zip(map(float, row), numbers, strict=True)
        assert all(a == b or (isnan(a) and isnan(b)) for a, b in pairs)


@pytest.mark.parametrize(
    ("end", "text", "found"),
    [
        (".json", ' {"a" :\n[ 1 ,2e0 ] , "b":[-0.5,"NaN"]}\r\n', None),
        (".json", '{"a": [1, 2], "b": [-0.5, NaN]}', None),
        (".json", '{"a": [1, 2], "b": [-0.5, null]}', None),
        (".json", '{"a":{"0":1,"1":2},"b":{"0":-0.5,"1":null}}', None),
        (".csv", "a,b\r\n1,-0.5\r\n2,nan\r\n", None),
        (".csv", "a,b\n1,-0.5\n2,nan", None),
        (".csv", "a,b\n1,-0.5\n\n2,NaN\n\n", None),
        (".csv", '"a","b"\n"1","-0.5"\n"2",""\n', None),
        (".json", "{}", {}),
        (".json", '{"a": [ ]}', {"a": []}),
        (".json", '{"\\u0061": [-0, Infinity, -Infinity]}', {"a": [-0.0, inf, -inf]}),
        (".json", '{"a": ["Infinity", "-Infinity"]}', {"a": [inf, -inf]}),
        (".json", '{"a": [1' + "0" * 30 + "]}", {"a": [1e30]}),
        (".csv", "", {}),
        (".csv", "\r\n", {}),
        (".csv", "a", {"a": []}),
        (".csv", 'a\n""\n-inf\n', {"a": [nan, -inf]}),
    ],
)
def test_text_by_others_is_read(
    end: str, text: str, found: dict[str, list[float]] | None
) -> None:
    if found is None:
        found = {"a": [1.0, 2.0], "b": [-0.5, nan]}
    columns = {name: x.tolist() for name, x in FORMATS[end][1](text).items()}
    assert repr(columns) == repr(found)


@pytest.mark.parametrize(
    ("end", "text", "fault"),
    [
        (".json", "", "Expecting value: line 1 column 1"),
        (".json", "[1]", "it is not an object"),
        (".json", '{"a" [1]}', "Expecting ':' delimiter: line 1 column 6"),
        (".json", '{"a": 1}', "'a' has no list of numbers"),
        (".json", '{"a": {"1": 1, "0": 2}}', "'a' has no list of numbers"),
        (".json", '{"a": {"0": {"0": 1}}}', "'a' has a value that is not a number"),
        (".json", '{"a": [1, [2]]}', "'a' has a value that is not a number"),
        (".json", '{"a": [true]}', "'a' has a value that is not a number"),
        (".json", '{"a": ["1"]}', "'a' has a value that is not a number"),
        (".json", '{"a": [1}', "Expecting ',' delimiter: line 1 column 9"),
        (".json", '{"a": [1,, 2]}', "Expecting value: line 1 column 10"),
        (".json", '{"a": [01]}', "Expecting ',' delimiter"),
        (".json", '{"a": [1], "a": [1]}', "a second column is named 'a'"),
        (".json", '{"a": {"0": 1, "0": 2}}', "a second column is named '0'"),
        (".json", '{"a": [1]} x', "Extra data: line 1 column 12"),
        (".json", "[" * 100_000, "its lists are nested too deep"),
        (".csv", "a,b,a\n", "line 1: a second column is named 'a'"),
        (".csv", "a,b\n1\n", "line 2: expected 2 fields, got 1"),
        (".csv", "a,b\n1,2\n2,3,4\n", "line 3: expected 2 fields, got 3"),
        (".csv", "a\nx\n", "line 2: could not convert string to float: 'x'"),
        (".csv", 'a\n"1', "line 2: unexpected end of data"),
        (".csv", 'a\n"1"2\n', "line 2: ',' expected after"),
        (".csv", "a\n" + "1" * 200_000, "line 2: field larger than field limit"),
    ],
)
def test_each_fault_is_named_with_its_place(end: str, text: str, fault: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (it is matched below)
        FORMATS[end][1](text)
    assert str(caught.value).startswith(fault)
