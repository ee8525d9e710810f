"""`History`: the values measured in each epoch; saved, printed and plotted."""

from __future__ import annotations

import io
import os
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tinygrad_edu.support.extras import import_library
from tinygrad_edu.support.files import damaged, replacing, write
from tinygrad_edu.support.printable import shorten
from tinygrad_edu.train.columns import FORMATS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["History", "labelled", "shown"]

# These names need no quotes in CSV, and no escapes in HTML.
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,99}")
_LARGEST = 8 << 20  # bytes of a file, enough for about 400,000 numbers


class History:
    """A table of measured values (figures): a row per epoch, a column per figure.

    Parameters
    ----------
    columns : mapping of str to array_like, optional
        Columns of equal length. A name has letters, digits and underscores.

    Attributes
    ----------
    names : list of str
        The names of the columns.
    stopped : str
        Why the training ended; "" while it goes on.

    Raises
    ------
    ValueError
        If the columns differ in length, or a name is not valid.

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
        """Return a copy of a column, by its name, or of a row, by its number."""
        if not isinstance(which, str):
            return {name: column[which] for name, column in self._columns.items()}
        if which not in self._columns:
            names = ", ".join(self._columns) or "none yet"
            raise KeyError(f"History: no column {which!r}; the columns are: {names}")
        return np.array(self._columns[which])

    def __iter__(self) -> Iterator[dict[str, float]]:
        return (self[epoch] for epoch in range(len(self)))

    def append(self, figures: Mapping[str, float]) -> None:
        """Append the figures of a new epoch; missing ones are NaN."""
        self._add_columns(figures)
        for name, column in self._columns.items():
            column.append(figures.get(name, np.nan))

    def note(self, **figures: float) -> None:
        """Set figures of the latest epoch: add new ones, or replace old ones.

        Examples
        --------
        >>> history = History({"loss": [0.5, 0.25]})
        >>> history.note(penalty=0.5)
        >>> history["penalty"]
        array([nan, 0.5])
        """
        if not len(self):
            raise ValueError("note: there is no epoch yet; append() adds one")
        self._add_columns(figures)
        for name, value in figures.items():
            self._columns[name][-1] = value

    def _add_columns(self, names: Iterable[str]) -> None:
        """Add the columns that are new, with NaN for the epochs so far."""
        missing = array("d", [np.nan]) * len(self)
        new = {_checked(x): missing[:] for x in names if x not in self._columns}
        self._columns |= new

    def __eq__(self, other: object) -> bool:
        """Whether the figures are equal; here NaN equals NaN."""
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
            If the name ends otherwise, or the file would be larger than 8 MB, the most
            that `load` reads.
        OSError
            If the file cannot be written. An existing file is kept.
        """
        path = Path(path)
        content = _format(path)[0](self._columns).encode()
        if len(content) > _LARGEST:
            raise ValueError(
                f"History.save: {path} would have {len(content)} bytes, but load() "
                f"reads at most {_LARGEST}; save fewer epochs"
            )
        write("History.save", path, content)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        r"""Read a history from a ``.json`` or ``.csv`` file.

        `save` writes these files. So do ``frame.to_csv(path, index=False)`` and
        ``frame.to_json(path)`` of pandas, and ``json.dump({"loss": [0.5]}, file)``.

        Raises
        ------
        FileNotFoundError
            If the file does not exist.
        ValueError
            If the file is damaged, has another format, or is larger than 8 MB. The
            message names the file and the fault.

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

    # --- Display ----------------------------------------------------------------------

    def __repr__(self) -> str:
        if not len(self):
            return "History of 0 epochs"
        latest = ", ".join(labelled(name, value) for name, value in self[-1].items())
        return f"History of {len(self)} epochs: {latest}"

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Plot the figures over the epochs, with a panel for each kind.

        Parameters
        ----------
        path : path, optional
            The file to save the picture in; its suffix selects the format.

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
                epochs = range(1, len(values) + 1)
                style = ".-" if len(values) <= 60 else "-"
                label, colour = part or "training", colours[part]
                axes.plot(epochs, values, style, label=label, color=colour)
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
        """Group the columns by kind, then by data set.

        The last word of a name is the kind: test_loss and train_loss are of one kind.
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
    """Format a figure to be read: an accuracy in percent, others with a few digits.

    >>> shown("test_accuracy", 0.9648), shown("loss", 0.04821), shown("loss", 3e-7)
    ('96.48%', '0.0482', '3.00e-07')
    """
    if name.endswith("accuracy"):
        return f"{value:.2%}"
    if name.endswith("seconds"):
        return f"{value:.1f}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.2e}"


def labelled(name: str, value: float) -> str:
    return f"{_words(name)} {shown(name, value)}"


def _format(path: Path) -> Any:
    if path.suffix not in FORMATS:
        endings = " or ".join(FORMATS)
        raise ValueError(f"{path}: the name of a history's file must end in {endings}")
    return FORMATS[path.suffix]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _checked(name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"History: {name!r} is not a valid name: use at most 100 letters, digits "
            "and underscores, and no digit at the beginning"
        )
    return name


def _as_column(name: str, values: Any) -> array[float]:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1:
        raise ValueError(
            f"History: the column {name} must have one axis, but its shape is "
            f"{numbers.shape}"
        )
    return array("d", numbers.tolist())


def _spans_magnitudes(curves: Any) -> bool:
    values = np.concatenate(list(curves))
    values = values[np.isfinite(values)]
    least, most = (values.min(), values.max()) if values.size else (0, 0)
    return bool(0 < least < most / 30)
