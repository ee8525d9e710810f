"""A table has a header, a line a row, and columns that align."""

from tinygrad_edu.table import Table


class Prices(Table):
    header = ("what", "price")


ROWS = Prices([("tea", 1.5), ("chocolate", 123.0)])


def test_it_is_a_tuple_of_its_rows():
    assert list(ROWS) == [("tea", 1.5), ("chocolate", 123.0)]


def test_columns_align():
    lines = str(ROWS).splitlines()
    assert lines == [
        "what       price",
        "tea        1.5e+00",
        "chocolate  1.2e+02",
    ]


def test_markdown_has_a_rule_below_the_header():
    assert ROWS._repr_markdown_().splitlines() == [
        "| what | price |",
        "| --- | --- |",
        "| tea | 1.5e+00 |",
        "| chocolate | 1.2e+02 |",
    ]
