"""What is to be drawn of a graph: boxes for values, with the op that each came from.

A `Picture` knows nothing of how it is laid out or written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.autodiff import RELEASED
from tinygrad_edu.drawing.measure import shorten
from tinygrad_edu.graph import Node, topological_order

__all__ = ["Box", "Module", "Picture", "picture_of"]

SYMBOLS = {
    "add": "+",
    "subtract": "−",
    "multiply": "×",
    "divide": "/",
    "floor_divide": "//",
    "remainder": "%",
    "power": "^",
    "matmul": "@",
}
ROWS = COLUMNS = 4  # a value is written out if it has no more
LONGEST = 28  # characters in a name or an op


@dataclass(frozen=True, slots=True)
class Box:
    """A value, and the op that computed it.

    Attributes
    ----------
    key : int
        The number of the node, ``node.index``; of a plain array, a negative number.
    kind : {"parameter", "constant", "computed", "result", "more"}
        What it is; "more" stands for several that are not shown.
    name, shape : str
        Both may be empty: not everything has a name, and a number needs no shape.
    value, gradient : tuple of str
        Line by line; empty if there is none.
    op : str
        The symbol or the name of the op; empty for a leaf.
    inputs : tuple of int
        The keys of what the op was applied to, in order. Numbers are part of `op`.
    module : int or None
        In which module it was computed: a position in ``picture.modules``.
    about : str
        The same in a sentence.
    """

    key: int
    kind: str
    name: str
    shape: str
    value: tuple[str, ...]
    gradient: tuple[str, ...]
    op: str
    inputs: tuple[int, ...]
    module: int | None
    about: str


class Module(NamedTuple):
    """A call of a module, and the call within which it was made."""

    name: str
    outer: int | None


class Picture(NamedTuple):
    """Boxes, each after its inputs; the modules they are in; what the keys stand for.

    `sources` has the Node or the array of every key but those of "more".
    """

    boxes: list[Box]
    modules: list[Module]
    sources: dict[int, Any]


def picture_of(
    y: Node,
    names: Mapping[int, str] | None = None,
    gradients: Mapping[int, Any] | None = None,
) -> Picture:
    """Return what is to be drawn of the graph behind `y`.

    Parameters
    ----------
    y : Tensor
        The end of the graph.
    names : dict of int to str, optional
        Names by ``id``, as `names_of` gives them.
    gradients : dict of int to array, optional
        Gradients by key; by default the ``.grad`` of the leaves.

    Raises
    ------
    ValueError
        If a part of the graph was released by ``backward()``.
    """
    nodes = topological_order(y)[::-1]
    if any(node.op is RELEASED for node in nodes):
        raise ValueError(
            "draw: a part of this graph was released by backward(); draw it before "
            "backward(), or pass retain_graph=True there"
        )
    names = names or {}
    if gradients is None:
        gradients = {n.index: n.grad.data for n in nodes if n.grad is not None}
    artist = _Artist(y, names, gradients)
    for node in nodes:
        artist.add(node)
    return Picture(artist.boxes, [], artist.sources)


class _Artist:
    """Makes the boxes of one picture."""

    def __init__(
        self, y: Node, names: Mapping[int, str], gradients: Mapping[int, Any]
    ) -> None:
        self.y, self.names, self.gradients = y, names, gradients
        self.boxes: list[Box] = []
        self.sources: dict[int, Any] = {}
        self.arrays: dict[int, int] = {}  # the keys of plain arrays, by id

    def add(self, node: Node) -> None:
        """Draw a node, after the plain arrays that it was computed from."""
        if node is not self.y and self._is_number(node):
            return
        for x in node.inputs:
            if not isinstance(x, Node) and not self._is_number(x):
                self._add_array(x)
        inputs = tuple(self.key(x) for x in node.inputs if not self._is_number(x))
        if node.op is None:
            kind = "parameter" if node.requires_grad else "constant"
            op = ""
        else:
            kind = "result" if node is self.y else "computed"
            op = self._op(node)
        self._draw(node.index, kind, node, op, inputs)

    def key(self, x: Any) -> int:
        return x.index if isinstance(x, Node) else self.arrays[id(x)]

    def _add_array(self, x: Any) -> None:
        if id(x) not in self.arrays:
            self.arrays[id(x)] = key = -1 - len(self.arrays)
            self._draw(key, "constant", x, "", ())

    def _draw(
        self, key: int, kind: str, x: Any, op: str, inputs: tuple[int, ...]
    ) -> None:
        data = x.data if isinstance(x, Node) else np.asarray(x)
        name = shorten(self.names.get(id(x), ""), LONGEST)
        shape = str(data.shape) if data.ndim else ""
        gradient = self.gradients.get(key)
        box = Box(
            key=key,
            kind=kind,
            name=name,
            shape=shape,
            value=describe(data),
            gradient=() if gradient is None else describe(gradient),
            op=op,
            inputs=inputs,
            module=None,
            about=f"{name or 'a value'}: {kind}, {data.dtype} {shape}".rstrip(),
        )
        self.sources[key] = x
        self.boxes.append(box)

    def _is_number(self, x: Any) -> bool:
        """Whether it is written into the op's label: a constant without a name."""
        if isinstance(x, Node):
            is_constant = x.op is None and not x.requires_grad
            return is_constant and x.data.ndim == 0 and id(x) not in self.names
        return np.ndim(x) == 0 and id(x) not in self.names

    def _op(self, node: Node) -> str:
        """Write the op with the numbers among its inputs: "× 0.5", "maximum(·, 0)"."""
        name = node.op.name
        given = [
            _number(x.data if isinstance(x, Node) else x) if self._is_number(x) else ""
            for x in node.inputs
        ]
        if name in SYMBOLS:
            text = f"{given[0]} {SYMBOLS[name]} {given[1]}".strip()
        elif name == "getitem":
            text = f"[{_index((node.params or {})['index'])}]"
        else:
            defaults = node.op.defaults
            more = [
                f"{k}={v}"
                for k, v in (node.params or {}).items()
                if v is not defaults.get(k) and isinstance(v, int | str | tuple)
            ]
            arguments = [x or "·" for x in given] if any(given) else []
            arguments += [x for x in more if len(x) < LONGEST // 2]
            text = f"{name}({', '.join(arguments)})" if arguments else name
        return shorten(text, LONGEST)


def _number(x: Any) -> str:
    return f"{np.asarray(x).item():.4g}"


def _index(index: Any) -> str:
    """Write an index as it stands in the program; an array in it as three dots."""
    if isinstance(index, tuple):
        return ", ".join(map(_index, index))
    if isinstance(index, slice):
        parts = (index.start, index.stop, index.step)
        written = ["" if part is None else str(part) for part in parts]
        return ":".join(written[:2] if index.step is None else written)
    if index is Ellipsis:
        return "..."
    return str(index) if np.ndim(index) == 0 else "…"


def describe(data: np.ndarray[Any, Any]) -> tuple[str, ...]:
    """Write a value down: all of it if it is small, else the range it is in.

    Examples
    --------
    >>> describe(np.array([[0.5, 10.0], [-1.0, 2.0]]))
    ('0.5  10', ' -1   2')
    >>> describe(np.linspace(-1, 2, 100))
    ('-1 to 2',)
    """
    if data.ndim <= 2 and data.shape[-1:] <= (COLUMNS,) and len(data.shape[:-1]) <= 1:
        rows = data.reshape(-1, data.shape[-1]) if data.ndim else data.reshape(1, 1)
        if rows.size > 0 and len(rows) <= ROWS:
            cells = [[_cell(x) for x in row] for row in rows.tolist()]
            widths = [max(map(len, column)) for column in zip(*cells)]
            return tuple(
                "  ".join(map(str.rjust, row, widths)).rstrip() for row in cells
            )
    if data.dtype.kind == "b" or data.size == 0:
        return ()
    low, high = data.min(), data.max()
    return (f"{_cell(low)} to {_cell(high)}",) if low < high else (f"all {_cell(low)}",)


def _cell(x: Any) -> str:
    return str(x) if isinstance(x, bool) else f"{x:.3g}"
