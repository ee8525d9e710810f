"""The history: figures by name and by epoch, kept whole, shown and drawn."""

import re
import sys
from math import nan
from pathlib import Path
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
        ({"a": [[1.0]]}, r"a is no column, its shape is \(1, 1\)"),
        ({"a": 1.0}, r"a is no column, its shape is \(\)"),
        ({"1st": [1.0]}, "'1st' names no figure"),
        ({"<b>": [1.0]}, "'<b>' names no figure"),
        ({"a" * 101: [1.0]}, "names no figure: a name is at most 100 letters"),
        ({1: [1.0]}, "1 names no figure"),
    ],
)
def test_what_is_no_history_is_refused(columns: object, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^History: .*{fault}"):
        History(columns)  # type: ignore[arg-type]


def test_a_figure_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(KeyError, match=r"no 'val_loss'; there is loss, test_accuracy"):
        History(FIGURES)["val_loss"]
    with pytest.raises(KeyError, match="there is nothing yet"):
        History()["loss"]
    for enter in (History(FIGURES).append, lambda x: History(FIGURES).note(**x)):
        with pytest.raises(ValueError, match="'no name' names no figure"):
            enter({"no name": 1.0})


@pytest.mark.parametrize("end", [".json", ".csv"])
def test_it_goes_to_a_file_and_back(tmp_path: Path, end: str) -> None:
    history = History(FIGURES | {"lr": [0.1, nan, 1e-300]})
    history.save(tmp_path / f"history{end}")
    assert History.load(tmp_path / f"history{end}") == history


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
