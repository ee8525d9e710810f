"""`History`: what was measured after each epoch of training, kept, shown and drawn."""

from __future__ import annotations

import io
import os
import re
from array import array
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tinygrad_edu.support.columns import FORMATS
from tinygrad_edu.support.extras import import_library
from tinygrad_edu.support.files import damaged, replacing, write
from tinygrad_edu.support.printable import shorten

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["History", "shown"]

# Such a name needs no quoting, neither in CSV nor in HTML.
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,99}")
_LARGEST = 8 << 20  # bytes of a file: some 400,000 numbers


class History:
    """A row of figures for each epoch; a column for each figure.

    Parameters
    ----------
    columns : mapping of str to array_like, optional
        Of one length. A name is letters, digits and underscores.

    Attributes
    ----------
    names : list of str
        Of the columns.
    stopped : str
        Why the training ended; "" while it goes on.

    Raises
    ------
    ValueError
        If the columns differ in length, or a name will not do.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> history = tg.train.History({"loss": [0.5, 0.25]})
    >>> history.append({"loss": 0.125})
    >>> len(history), history["loss"].min(), history[-1]
    (3, np.float64(0.125), {'loss': 0.125})
    """

    def __init__(self, columns: Mapping[str, ArrayLike] | None = None) -> None:
        self._columns = {
            _checked(name): _as_column(name, column)
            for name, column in (columns or {}).items()
        }
        if len({len(column) for column in self._columns.values()}) > 1:
            lengths = {name: len(column) for name, column in self._columns.items()}
            raise ValueError(f"History: the columns differ in length: {lengths}")
        self.stopped = ""

    @property
    def names(self) -> list[str]:
        return list(self._columns)

    def __len__(self) -> int:
        """Return the number of epochs."""
        return max(map(len, self._columns.values()), default=0)

    @overload
    def __getitem__(self, which: str) -> NDArray[np.float64]: ...
    @overload
    def __getitem__(self, which: int) -> dict[str, float]: ...
    def __getitem__(self, which: str | int) -> Any:
        """Return a column by its name, a row by its number; both are copies."""
        if not isinstance(which, str):
            return {name: column[which] for name, column in self._columns.items()}
        if which not in self._columns:
            there = ", ".join(self._columns) or "nothing yet"
            raise KeyError(f"History: there is no {which!r}; there is {there}")
        return np.array(self._columns[which])

    def __iter__(self) -> Iterator[dict[str, float]]:
        return (self[epoch] for epoch in range(len(self)))

    def append(self, figures: Mapping[str, float]) -> None:
        """Enter the figures of another epoch; what is missing is NaN."""
        rows = len(self)
        for name in figures:
            if name not in self._columns:
                self._columns[_checked(name)] = array("d", [np.nan] * rows)
        for name, column in self._columns.items():
            column.append(figures.get(name, np.nan))

    def note(self, **figures: float) -> None:
        """Enter more figures of the latest epoch, or other ones.

        Examples
        --------
        >>> history = History({"loss": [0.5, 0.25]})
        >>> history.note(penalty=0.5)
        >>> history["penalty"]
        array([nan, 0.5])
        """
        rows = len(self)
        if not rows:
            raise ValueError("note: there is no epoch yet; append() enters one")
        for name, value in figures.items():
            new = array("d", [np.nan] * rows)
            self._columns.setdefault(_checked(name), new)[-1] = value

    def __eq__(self, other: object) -> bool:
        """Whether the figures are equal, where NaN equals NaN."""
        if not isinstance(other, History) or self.names != other.names:
            return False
        pairs = zip(self._columns.values(), other._columns.values())
        return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]

    # --- Files ------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the figures to a file whose name ends in ``.json`` or ``.csv``.

        Raises
        ------
        ValueError
            If it ends otherwise, or the file would be larger than `load` reads, 8 MB.
        OSError
            If the file cannot be written. A file that was there is kept.
        """
        path = Path(path)
        content = _format(path)[0](self._columns).encode()
        if len(content) > _LARGEST:
            raise ValueError(
                f"History.save: {path} would have {len(content)} bytes, and at most "
                f"{_LARGEST} are read again; keep the figures of fewer epochs"
            )
        write("History.save", path, content)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        r"""Read such a file, or one that pandas or the module ``json`` wrote.

        That is, what ``frame.to_csv(path, index=False)``, ``frame.to_json(path)`` or
        ``json.dump({"loss": [0.5, 0.25]}, file)`` writes.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is damaged, of another format, or larger than 8 MB. The message
            names the file and the fault.

        Examples
        --------
        >>> path = getfixture("tmp_path") / "history.csv"
        >>> size = path.write_text("loss,test_loss\n0.5,0.7\n0.25,\n")
        >>> History.load(path)["test_loss"]
        array([0.7, nan])
        """
        path = Path(path)
        read = _format(path)[1]
        size = path.stat().st_size
        if not size:
            raise damaged(path, "it is empty")
        if size > _LARGEST:
            raise damaged(path, f"it has {size} bytes, more than {_LARGEST}")
        try:
            return cls(read(path.read_text("utf-8-sig")))
        except ValueError as error:
            raise damaged(path, shorten(str(error), 300)) from None

    # --- To look at -------------------------------------------------------------------

    def __repr__(self) -> str:
        if not len(self):
            return "History of 0 epochs"
        latest = ", ".join(f"{_words(k)} {shown(k, x)}" for k, x in self[-1].items())
        return f"History of {len(self)} epochs: {latest}"

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the figures over the epochs, a panel for each kind.

        Parameters
        ----------
        path : path, optional
            Where to save the picture; the format is that of the name.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ModuleNotFoundError
            If Matplotlib is not installed.
        """
        library = import_library("matplotlib.figure", "History.plot")
        panels = self._panels()
        size = (1 + 3.6 * max(1, len(panels)), 3.4)
        figure = library.Figure(size, layout="constrained")
        sets = dict.fromkeys(part for curves in panels.values() for part in curves)
        colours = {part: f"C{i}" for i, part in enumerate(sets)}
        all_axes = figure.subplots(1, max(1, len(panels)), squeeze=False)[0]
        for axes, (kind, curves) in zip(all_axes, panels.items()):
            for part, values in curves.items():
                _draw(axes, values, part or "training", colours[part])
            axes.set(title={"lr": "learning rate"}.get(kind, kind), xlabel="epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
            if kind == "accuracy":
                percent = import_module("matplotlib.ticker").PercentFormatter(1)
                axes.yaxis.set_major_formatter(percent)
            elif _spans_magnitudes(curves.values()):
                axes.set_yscale("log")
            if any(curves):
                axes.legend()
        if path is not None:
            with replacing("History.plot", path) as new:
                figure.savefig(new, dpi=150)
        return figure

    def _panels(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Sort the columns by kind, then by the data set they are of.

        A name's last word is its kind: test_loss and train_loss are of a kind.
        """
        panels: dict[str, dict[str, NDArray[np.float64]]] = {}
        for name in self._columns:
            part, _, kind = name.rpartition("_")
            values = self[name]
            if kind != "seconds" and not (kind == "lr" and len(set(values)) == 1):
                panels.setdefault(kind, {})[_words(part)] = values
        return panels

    def _repr_html_(self) -> str:
        if find_spec("matplotlib") is None or not len(self):
            return f"<p>{self!r}</p>"
        text = io.StringIO()
        with import_module("matplotlib").rc_context({"svg.hashsalt": "history"}):
            self.plot().savefig(text, format="svg", metadata={"Date": None})
        _, _, svg = text.getvalue().partition("<svg")
        style = "max-width: 100%; height: auto"
        return f'<svg role="img" aria-label="{self!r}" style="{style}"{svg}'


def shown(name: str, value: float) -> str:
    """Write a figure for people: a share in percent, else some digits.

    >>> shown("test_accuracy", 0.9648), shown("loss", 0.04821), shown("loss", 3e-7)
    ('96.48%', '0.0482', '3.00e-07')
    """
    if name.endswith("accuracy"):
        return f"{value:.2%}"
    if name.endswith("seconds"):
        return f"{value:.1f}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.2e}"


def _format(path: Path) -> Any:
    if path.suffix not in FORMATS:
        endings = " or ".join(FORMATS)
        raise ValueError(f"{path}: the name of a history's file ends in {endings}")
    return FORMATS[path.suffix]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _checked(name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"History: {name!r} names no figure: a name is at most 100 letters, digits "
            "and underscores, and begins with no digit"
        )
    return name


def _as_column(name: str, values: Any) -> array[float]:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1:
        raise ValueError(f"History: {name} is no column, its shape is {numbers.shape}")
    column = array("d")
    column.frombytes(numbers.tobytes())
    return column


def _draw(axes: Any, values: NDArray[np.float64], label: str, colour: str) -> None:
    style = ".-" if len(values) <= 60 else "-"
    axes.plot(range(1, len(values) + 1), values, style, label=label, color=colour)


def _spans_magnitudes(curves: Any) -> bool:
    values = np.concatenate(list(curves))
    values = values[np.isfinite(values)]
    least, most = (values.min(), values.max()) if values.size else (0, 0)
    return bool(0 < least < most / 30)
