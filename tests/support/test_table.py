"""A table has a header, a line a row, and columns that align."""

from xml.etree import ElementTree

import tinygrad_edu as tg
from tinygrad_edu.support.table import Table


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


def test_a_console_shows_it_as_print_does():
    """The answers of `summary`, `gradcheck` and `compare` are such tables."""
    assert repr(ROWS) == str(ROWS)
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    tables = [
        tg.nn.MLP([2, 1]).summary(),
        tg.nn.MLP([2, 1]).summary((4, 2)),
        tg.gradcheck(lambda w: (w * w).sum(), w),
        tg.compare([2 * w.data], (w * w).sum(), [w]),
    ]
    for table in tables:
        header, *lines = repr(table).splitlines()
        assert header.split("  ")[0] == table.header[0]
        assert len(lines) == len(table)
        assert isinstance(table, tuple)


def test_a_notebook_shows_a_text_as_it_is():
    text = r"""<script>alert("1")</script> | *a* $d$ ' \\ &lt;"""
    table = ElementTree.fromstring(Prices([(text, 1.0), ("tea", 2.0)])._repr_html_())
    rows = [[(cell.tag, cell.text) for cell in row] for row in table]
    assert rows == [
        [("th", "what"), ("th", "price")],
        [("td", text), ("td", "1.0e+00")],
        [("td", "tea"), ("td", "2.0e+00")],
    ]
