"""Where everything goes: Graphviz's `dot` arranges the boxes and the edges.

A box with the op that it came from is one rectangle to it. The arrows into an op end
side by side on the op, in the order of its inputs, so that ``a - b`` reads as such.
"""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from typing import Any, NamedTuple

from tinygrad_edu.drawing.measure import mono_width, width
from tinygrad_edu.drawing.picture import Box, Picture

__all__ = ["Edge", "Frame", "Layout", "Place", "lay_out", "measure"]

# Sizes in pixels; fonts too.
NAME, SMALL, OP = 13.0, 11.0, 12.0
HEADER_HEIGHT, LINE_HEIGHT, OP_HEIGHT, OP_OVERLAP = 18.0, 15.0, 22.0, 6.0
PADDING_X, PADDING_Y, GAP = 10.0, 6.0, 8.0
SLOT = 22.0  # the least room for the end of an arrow
FRAME_LABEL = 18.0


class Size(NamedTuple):
    """How large a box and its op are."""

    width: float
    height: float
    op_width: float  # 0 for a leaf

    @property
    def above(self) -> float:
        """How far the op stands out above the box."""
        return OP_HEIGHT - OP_OVERLAP if self.op_width else 0.0


class Place(NamedTuple):
    """Where a box is: its rectangle, and that of its op (None for a leaf)."""

    x: float
    y: float
    width: float
    height: float
    op: tuple[float, float, float, float] | None


class Edge(NamedTuple):
    """An arrow: a spline, point by point, and where its tip is."""

    start: int
    end: int
    points: list[tuple[float, float]]
    tip: tuple[float, float]


class Frame(NamedTuple):
    """The frame around a module."""

    name: str
    x: float
    y: float
    width: float
    height: float


class Layout(NamedTuple):
    """Coordinates run to the right and down, from the top left corner."""

    width: float
    height: float
    places: dict[int, Place]
    edges: list[Edge]
    frames: list[Frame]


def measure(box: Box) -> Size:
    """Return how much room a box needs."""
    header = width(box.name, NAME, bold=True) + width(box.shape, SMALL)
    if box.name and box.shape:
        header += GAP
    lines = [mono_width(line, SMALL) for line in box.value]
    label = width("grad ", SMALL)
    lines += [label + mono_width(line, SMALL) for line in box.gradient]
    has_header = bool(box.name or box.shape)
    height = HEADER_HEIGHT * has_header + LINE_HEIGHT * len(lines) + 2 * PADDING_Y
    op_width = 0.0
    if box.op:
        room = max(width(box.op, OP) + 2 * PADDING_X, SLOT * len(box.inputs))
        op_width = round(max(room, 2 * SLOT))
    widest = max([header, *lines, 0.0]) + 2 * PADDING_X
    return Size(float(round(max(widest, op_width, 2 * SLOT))), height, op_width)


def lay_out(picture: Picture) -> Layout:
    """Arrange a picture.

    Raises
    ------
    ModuleNotFoundError
        If PyGraphviz is not installed.
    """
    sizes = {box.key: measure(box) for box in picture.boxes}
    graph = _graphviz()(string=_program(picture, sizes))
    graph.layout(prog="dot")
    x0, y0, x1, y1 = _numbers(graph.graph_attr["bb"])
    places = {}
    for box in picture.boxes:
        size = sizes[box.key]
        x, y = _numbers(graph.get_node(str(box.key)).attr["pos"])
        total = size.height + size.above
        top = y1 - y - total / 2
        left = x - size.width / 2
        op = (x - size.op_width / 2, top, size.op_width, OP_HEIGHT) if box.op else None
        places[box.key] = Place(left, top + size.above, size.width, size.height, op)
    edges = []
    for edge in graph.edges_iter():
        tip, *points = edge.attr["pos"].removeprefix("e,").split()
        spline = [_point(point, y1) for point in points]
        edges.append(Edge(int(edge[0]), int(edge[1]), spline, _point(tip, y1)))
    frames = []
    for i, module in enumerate(picture.modules):
        left, low, right, high = _numbers(
            graph.get_subgraph(f"cluster_{i}").graph_attr["bb"]
        )
        frames.append(Frame(module.name, left, y1 - high, right - left, high - low))
    graph.close()
    return Layout(x1 - x0, y1 - y0, places, edges, frames)


def _graphviz() -> Any:
    try:
        return import_module("pygraphviz").AGraph
    except ImportError as error:
        raise ModuleNotFoundError(
            "draw: the layout is Graphviz's, which comes with PyGraphviz; "
            'pip install "tinygrad_edu[draw]" (.dot and .mermaid do without)'
        ) from error


def _program(picture: Picture, sizes: dict[int, Size]) -> str:
    """Write the picture for Graphviz: sizes and ports, and no text."""
    lines = [
        "digraph {",
        "graph [nodesep=0.3, ranksep=0.4]",
        'node [shape=box, fixedsize=true, label=""]',
        "edge [arrowsize=0.7, tailport=s]",
    ]
    members: dict[int | None, list[str]] = {}
    for box in picture.boxes:
        members.setdefault(box.module, []).append(_node(box, sizes[box.key]))
    inner: dict[int | None, list[int]] = {}
    for i, module in enumerate(picture.modules):
        inner.setdefault(module.outer, []).append(i)
    todo: list[int | str | None] = [None]
    while todo:  # what is written, and the modules that are still to be written
        module_or_text = todo.pop()
        if isinstance(module_or_text, str):
            lines.append(module_or_text)
            continue
        if module_or_text is not None:
            label = _room(width(picture.modules[module_or_text].name, SMALL) + 8)
            lines.append(
                f"subgraph cluster_{module_or_text} "
                f"{{ margin=10; labeljust=l; label={label}"
            )
            todo.append("}")
        lines += members.get(module_or_text, [])
        todo += inner.get(module_or_text, [])
    for box in picture.boxes:
        for slot, key in enumerate(box.inputs):
            port = f'"{slot}:n"' if len(box.inputs) > 1 else "n"
            lines.append(f'"{key}" -> "{box.key}" [headport={port}]')
    return "\n".join([*lines, "}"])


def _node(box: Box, size: Size) -> str:
    total = size.height + size.above
    if len(box.inputs) < 2:
        return f'"{box.key}" [width={size.width / 72}, height={total / 72}]'
    slots = len(box.inputs)
    ends = [round(size.op_width * i / slots) for i in range(slots + 1)]
    left = (size.width - size.op_width) // 2
    right = size.width - size.op_width - left
    cells = [_cell(end - start, OP_HEIGHT, i) for i, (start, end) in _steps(ends)]
    below = _cell(size.width, total - OP_HEIGHT, span=slots + (left > 0) + (right > 0))
    row = (_cell(left, OP_HEIGHT) if left else "") + "".join(cells)
    row += _cell(right, OP_HEIGHT) if right else ""
    return (
        f'"{box.key}" [shape=none, margin=0, fixedsize=false, label=<<TABLE BORDER="0" '
        f'CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{row}</TR>'
        f"<TR>{below}</TR></TABLE>>]"
    )


def _steps(ends: list[int]) -> list[tuple[int, tuple[int, int]]]:
    return list(enumerate(pairwise(ends)))


def _cell(w: float, h: float, port: int | None = None, span: int = 1) -> str:
    name = "" if port is None else f' PORT="{port}"'
    return (
        f'<TD{name} COLSPAN="{span}" FIXEDSIZE="TRUE" WIDTH="{w:.0f}" '
        f'HEIGHT="{h:.0f}"></TD>'
    )


def _room(w: float) -> str:
    """Write a label of that width without text."""
    return (
        '<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>'
        f"{_cell(w, FRAME_LABEL)}</TR></TABLE>>"
    )


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _point(text: str, height: float) -> tuple[float, float]:
    x, y = _numbers(text)
    return x, height - y
