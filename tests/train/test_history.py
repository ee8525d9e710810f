"""The history: figures by name and by epoch, kept whole, shown and drawn."""

import json
import re
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from math import nan
from pathlib import Path
from string import ascii_letters
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu.train import history as module
from tinygrad_edu.train.history import History, shown

FIGURES = {"loss": [0.5, 0.25, 0.125], "test_accuracy": [0.9, 0.92, 0.91]}


def test_a_column_by_name_and_a_row_by_number() -> None:
    history = History(FIGURES)
    assert history.names == ["loss", "test_accuracy"]
    assert len(history) == 3
    np.testing.assert_array_equal(history["loss"], [0.5, 0.25, 0.125], strict=True)
    assert history[0] == {"loss": 0.5, "test_accuracy": 0.9}
    assert history[-1] == {"loss": 0.125, "test_accuracy": 0.91}
    assert list(history) == [history[0], history[1], history[2]]
    with pytest.raises(IndexError):
        history[3]


def test_what_it_gives_are_copies() -> None:
    history = History(FIGURES)
    history["loss"][0] = 7
    history[0]["loss"] = 7
    assert history == History(FIGURES)
    column = np.array([1.0])
    history = History({"loss": column})
    column[0] = 2
    assert history["loss"].tolist() == [1.0]


@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), st.floats())))
def test_rows_are_entered_one_after_the_other(rows: list[dict[str, float]]) -> None:
    history = History()
    for row in rows:
        history.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    assert history.names == names
    for name in names:
        column = [row.get(name, nan) for row in rows]
        # Rows before the first figure of any kind have nothing to remember them by.
        np.testing.assert_array_equal(history[name], column[-len(history) :])


def test_a_note_adds_to_the_latest_row_or_changes_it() -> None:
    history = History(FIGURES)
    history.note(loss=1.0, penalty=2.0)
    assert history[-1] == {"loss": 1.0, "test_accuracy": 0.91, "penalty": 2.0}
    np.testing.assert_array_equal(history["penalty"], [nan, nan, 2.0])
    assert history[1]["loss"] == 0.25
    with pytest.raises(ValueError, match=r"note: there is no epoch yet"):
        History().note(loss=1.0)


def test_equal_are_those_with_the_same_figures() -> None:
    assert History({"a": [1.0, nan]}) == History({"a": [1.0, nan]})
    assert History({"a": [1.0]}) != History({"a": [2.0]})
    assert History({"a": [1.0]}) != History({"b": [1.0]})
    assert History({"a": [1.0]}) != {"a": [1.0]}


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"a": [1.0], "b": []}, "the columns differ in length: {'a': 1, 'b': 0}"),
        ({"a": [[1.0]]}, r"a must have one axis, but its shape is \(1, 1\)"),
        ({"a": 1.0}, r"a must have one axis, but its shape is \(\)"),
        ({"1st": [1.0]}, "'1st' is not a valid name"),
        ({"<b>": [1.0]}, "'<b>' is not a valid name"),
        ({"a" * 101: [1.0]}, "is not a valid name: use at most 100 letters"),
        ({1: [1.0]}, "1 is not a valid name"),
    ],
)
def test_what_is_no_history_is_refused(columns: object, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^History: .*{fault}"):
        History(columns)  # type: ignore[arg-type]


def test_a_figure_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(KeyError, match=r"no column 'val_loss'; .* loss, test_accuracy"):
        History(FIGURES)["val_loss"]
    with pytest.raises(KeyError, match="columns are: none yet"):
        History()["loss"]
    for enter in (History(FIGURES).append, lambda x: History(FIGURES).note(**x)):
        with pytest.raises(ValueError, match="'no name' is not a valid name"):
            enter({"no name": 1.0})


@pytest.mark.parametrize("end", [".json", ".csv"])
def test_it_goes_to_a_file_and_back(tmp_path: Path, end: str) -> None:
    history = History(FIGURES | {"lr": [0.1, nan, 1e-300]})
    history.save(tmp_path / f"history{end}")
    assert History.load(tmp_path / f"history{end}") == history


def test_what_pandas_and_json_write_is_read(tmp_path: Path) -> None:
    """Pandas writes NaN as an empty field or null, json.dump as it is."""
    pandas = pytest.importorskip("pandas", reason="the extra examples brings it")
    for figures in ({"loss": [0.1, 1e-300, nan], "lr": [1 / 3, 2, 3]}, {"loss": [nan]}):
        frame, history = pandas.DataFrame(figures), History(figures)
        csv, by_pandas, by_json = (tmp_path / x for x in ("a.csv", "b.json", "c.json"))
        frame.to_csv(csv, index=False)
        frame.to_json(by_pandas, double_precision=15)
        by_json.write_text(json.dumps(frame.to_dict("list")))
        assert History.load(csv) == History.load(by_json) == history
        found = History.load(by_pandas)
        assert found.names == history.names
        for name in found.names:  # it writes 15 decimals
            np.testing.assert_allclose(found[name], history[name], rtol=0, atol=1e-15)
    infinite = History({"loss": [np.inf, -np.inf]})
    pandas.DataFrame({"loss": infinite["loss"]}).to_csv(csv, index=False)
    by_json.write_text(json.dumps({"loss": [np.inf, -np.inf]}))
    assert History.load(csv) == History.load(by_json) == infinite
    pandas.DataFrame({"loss": [0.5]}).to_csv(csv)  # with a column of row numbers
    with pytest.raises(ValueError, match=r"a\.csv: History: '' is not a valid name"):
        History.load(csv)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_mark_of_the_encoding_does_no_harm(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes(mark + b"loss\n0.5\n")
    assert History.load(path) == History({"loss": [0.5]})


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("x.json", b"", "it is empty"),
        ("x.csv", b"", "it is empty"),
        ("x.json", b"[1]", "it is not an object"),
        ("x.json", b'{"a": [1], "b": []}', "the columns differ in length"),
        ("x.json", b'{"a b": [1]}', "'a b' is not a valid name"),
        ("x.csv", b"1,2\n", "'1' is not a valid name"),
        ("x.csv", b"a;b\n1;2\n", "line 2: could not convert string to float: '1;2'"),
        ("x.csv", b"a\n\x001\n", "line 2: could not convert string to float"),
        ("x.csv", b"a\n\xff\n", "can't decode byte 0xff in position 2"),
        ("x.csv", b"a" * 100_000, "is not a valid name"),
    ],
)
def test_a_damaged_file_is_named_with_its_fault(
    tmp_path: Path, name: str, content: bytes, fault: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: ") as caught:
        History.load(path)
    message = str(caught.value)
    assert fault in message
    assert message.endswith("; put an intact copy in its place")
    assert len(message) < 400 + len(str(path)), "however long what is in the file"


@pytest.mark.parametrize("end", [".json", ".csv"])
def test_a_file_has_a_limit(tmp_path: Path, end: str, monkeypatch) -> None:
    path, history = tmp_path / f"history{end}", History(FIGURES)
    history.save(path)
    size = path.stat().st_size
    monkeypatch.setattr(module, "_LARGEST", size)
    assert History.load(path) == history
    history.note(more=1.0)
    with pytest.raises(ValueError, match=f"^History.save: .*at most {size};"):
        history.save(path)
    assert History.load(path) == History(FIGURES), "what was there is kept"
    monkeypatch.setattr(module, "_LARGEST", size - 1)
    with pytest.raises(
        ValueError, match=f"history{end}: it has {size} bytes, more than"
    ):
        History.load(path)


@pytest.mark.parametrize("use", [History.load, History().save])
def test_the_ending_says_what_it_is(tmp_path: Path, use: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=r"x\.txt: .* end in \.json or \.csv"):
        use(tmp_path / "x.txt")


@pytest.mark.parametrize("end", [".json", ".csv"])
def test_an_absent_file_is_named(tmp_path: Path, end: str) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        History.load(tmp_path / f"absent{end}")


NAMES = [*map("".join, product(ascii_letters, repeat=3))]
HOSTILE = {
    "dense.json": '{"a":[' + "1," * 100_000 + "1]}",
    "dense.csv": "a\n" + "1\n" * 100_000,
    "lists.json": '{"a":[' + "[]," * 300_000 + "[]]}",
    "full.json": '{"a":[' + "[0]," * 300_000 + "[0]]}",
    "objects.json": '{"a":[' + "{}," * 300_000 + "{}]}",
    "object.json": '{"a":{' + ",".join(f'"{i:x}":0' for i in range(100_000)) + "}}",
    "nested.json": "[" * 1_000_000,
    "names.csv": ",".join(NAMES) + "\n",
    "names.json": "{" + ",".join(f'"{name}":[]' for name in NAMES) + "}",
    "numbers.csv": ",".join(f"{i}" for i in range(150_000)) + "\n",
    "fields.csv": "a\n" + "," * 1_000_000,
    "lines.csv": "a\n" + "\n" * 1_000_000,
    "digits.json": '{"a":[' + "1" * 1_000_000 + "]}",
    "digits.csv": "a\n" + "1" * 1_000_000 + "\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_takes_more_than_eighty_times_its_size(
    tmp_path: Path, name: str
) -> None:
    """So 640 MB at the most, for a file of 8 MB that someone made to do harm."""
    path = tmp_path / name
    path.write_text(HOSTILE[name])
    tracemalloc.start()
    try:
        with suppress(ValueError):
            History.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 80 * path.stat().st_size + (1 << 16), peak / path.stat().st_size


def test_it_is_told_in_a_line() -> None:
    assert repr(History()) == "History of 0 epochs"
    line = "History of 3 epochs: loss 0.1250, test accuracy 91.00%"
    assert repr(History(FIGURES)) == line


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 1.0, "100.00%"),
        ("seconds", 12.34, "12.3"),
        ("loss", 0.0, "0.0000"),
        ("loss", 1e-3, "0.0010"),
        ("loss", -9e-4, "-9.00e-04"),
        ("loss", 99_999.0, "99999.0000"),
        ("loss", 1e5, "1.00e+05"),
        ("loss", nan, "nan"),
    ],
)
def test_figures_are_written_for_people(name: str, value: float, text: str) -> None:
    assert shown(name, value) == text


# --- Pictures -------------------------------------------------------------------------

drawn = pytest.mark.skipif(
    not module.find_spec("matplotlib"), reason="the extra named train is not installed"
)


@drawn
def test_there_is_a_panel_for_each_kind_of_figure() -> None:
    """The same data set has the same colour everywhere."""
    figures = {
        "loss": [0.5, 0.25],
        "test_loss": [0.6, 0.3],
        "test_accuracy": [0.9, 0.92],
        "lr": [0.1, 0.05],
        "seconds": [3.0, 3.0],
    }
    loss, accuracy, rate = History(figures).plot().axes
    titles = [axes.get_title() for axes in (loss, accuracy, rate)]
    assert titles == ["loss", "accuracy", "learning rate"]
    own, test = loss.get_lines()
    np.testing.assert_array_equal(own.get_xydata(), [[1, 0.5], [2, 0.25]])
    np.testing.assert_array_equal(test.get_xydata(), [[1, 0.6], [2, 0.3]])
    labels = [text.get_text() for text in loss.get_legend().get_texts()]
    assert labels == ["training", "test"]
    (shares,) = accuracy.get_lines()
    assert shares.get_color() == test.get_color() != own.get_color()
    assert accuracy.yaxis.get_major_formatter()(0.9).endswith("%")
    assert rate.get_legend() is None


@drawn
@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 0.01], "log"),
        ([1.0, 0.5], "linear"),
        ([1.0, 0.01, 0.0], "linear"),
        ([1.0, -0.01], "linear"),
        ([nan, nan], "linear"),
        ([1.0, 0.01, nan], "log"),
        ([], "linear"),
    ],
)
def test_the_scale_is_that_of_the_figures(values: list[float], scale: str) -> None:
    (axes,) = History({"loss": values}).plot().axes
    assert axes.get_yscale() == scale


@drawn
def test_a_constant_learning_rate_is_no_picture() -> None:
    assert len(History({"loss": [1.0, 2.0], "lr": [0.1, 0.1]}).plot().axes) == 1
    (axes,) = History({"loss": np.ones(61)}).plot().axes
    assert axes.get_lines()[0].get_marker() == "None"  # too many for dots
    assert len(History().plot().axes) == 1


@drawn
def test_a_picture_goes_to_a_file(tmp_path: Path) -> None:
    History(FIGURES).plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


@drawn
def test_a_notebook_shows_the_picture_with_what_it_tells() -> None:
    svg = History(FIGURES)._repr_html_()
    root = ElementTree.fromstring(svg.replace("xlink:", "").partition("?>")[2] or svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == repr(History(FIGURES))
    assert svg == History(FIGURES)._repr_html_(), "the same figures, the same picture"
    assert re.sub(r"<[^>]*>", "", History()._repr_html_()) == "History of 0 epochs"


def test_without_matplotlib_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in "matplotlib", "matplotlib.figure":
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install matplotlib$"):
        History(FIGURES).plot()
    assert History(FIGURES)._repr_html_() == f"<p>{History(FIGURES)!r}</p>"
