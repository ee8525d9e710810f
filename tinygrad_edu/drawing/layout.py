"""Arrange the boxes and edges with Graphviz's `dot`.

For Graphviz, a box and its op are one rectangle, with the op at the top. The arrows
into an op end next to each other, in the order of its inputs, so that ``a - b`` is not
read as ``b - a``. They come from above; in a picture that goes across the page, they
come from the left.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from tinygrad_edu.drawing.measure import mono_width, width
from tinygrad_edu.drawing.modules import DrawnModule, enclosed
from tinygrad_edu.drawing.picture import Box, Picture
from tinygrad_edu.support.extras import import_library

__all__ = ["Edge", "Frame", "Layout", "Place", "lay_out", "measure", "text_width"]

# All sizes are in pixels, font sizes too.
NAME, SMALL, OP = 13.0, 11.0, 12.0
HEADER_HEIGHT, LINE_HEIGHT, OP_HEIGHT, OP_OVERLAP = 18.0, 15.0, 22.0, 6.0
PADDING_X, PADDING_Y, GAP = 10.0, 6.0, 8.0
SLOT = 22.0  # the least width for the end of an arrow
MOST_SLOTS = 12  # if there are more arrows, all end at one point
GRADIENT = "grad "
FRAME_LABEL = 18.0
LARGE = 100  # a picture with more boxes gets a rougher layout, which is faster

Sizes = dict[int, tuple[int, int]]  # the width and the height of each box, by key
Slots = dict[int, list[int]]  # where the arrow of each input ends at the box's op


class Place(NamedTuple):
    """The rectangle of a box and its op, which takes the first `OP_HEIGHT` of it."""

    x: float
    y: float
    width: float
    height: float


class Edge(NamedTuple):
    """An arrow: the points of its spline, and its tip."""

    start: int
    end: int
    number: int  # which input of `end` it is
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
    """Positions of everything; coordinates grow to the right and down."""

    width: float
    height: float
    places: dict[int, Place]
    edges: list[Edge]
    frames: list[Frame]
    across: bool


def measure(box: Box, across: bool = False) -> tuple[int, int]:
    """Return the width and the height that a box and its op need for their text.

    The gradient is below the value; in a picture that goes across, it is beside it.
    """
    header = width(box.name, NAME, bold=True) + width(box.shape, SMALL)
    header += GAP if box.name and box.shape else 0.0
    value, gradient = text_width(box.value), text_width(box.gradient)
    if across:
        text = value + (GAP + gradient if gradient else 0.0)
        count = max(len(box.value), len(box.gradient))
    else:
        text = max(value, width(GRADIENT, SMALL) + gradient if gradient else 0.0)
        count = len(box.value) + len(box.gradient)
    arrows = 0 if across else min(len(box.inputs), MOST_SLOTS)
    inner = max(header, text, width(box.op, OP)) + 2 * PADDING_X
    height = LINE_HEIGHT * count + 2 * PADDING_Y
    height += HEADER_HEIGHT if header else 0.0
    height += OP_HEIGHT if box.op else 0.0
    return round(max(inner, SLOT * arrows, 2 * SLOT)), round(height)


def text_width(lines: Iterable[str]) -> float:
    return max((mono_width(line, SMALL) for line in lines), default=0.0)


def lay_out(picture: Picture, across: bool = False) -> Layout:
    """Arrange a picture from top to bottom, or `across`: from left to right.

    Raises
    ------
    ModuleNotFoundError
        If PyGraphviz is not installed.
    """
    sizes = {box.key: measure(box, across) for box in picture.boxes}
    spread = [b for b in picture.boxes if b.op and len(b.inputs) <= MOST_SLOTS]
    slots = {b.key: [0] * len(b.inputs) for b in picture.boxes if b.op}
    slots |= {b.key: list(range(len(b.inputs))) for b in spread if b.in_order}
    layout = _arrange(picture, sizes, slots, across)
    unordered = [b for b in spread if not b.in_order and len(b.inputs) > 1]
    if not unordered:
        return layout
    # If the order does not matter, sort the arrows by where they come from.
    side = 1 if across else 0
    starts = {(edge.end, edge.number): edge.points[0][side] for edge in layout.edges}
    for box in unordered:
        numbers = range(len(box.inputs))
        first = sorted(numbers, key=lambda n: starts[box.key, n])
        slots[box.key] = [first.index(n) for n in numbers]
    return _arrange(picture, sizes, slots, across)


def _arrange(picture: Picture, sizes: Sizes, slots: Slots, across: bool) -> Layout:
    """Let Graphviz arrange the picture."""
    graph = _graphviz()(string=_program(picture, sizes, slots, across))
    graph.layout(prog="dot")
    x0, y0, x1, y1 = _numbers(graph.graph_attr["bb"])
    places = {}
    for key, (w, h) in sizes.items():
        x, y = _point(graph.get_node(str(key)).attr["pos"], y1)
        places[key] = Place(x - w / 2, y - h / 2, w, h)
    edges = []
    for box in picture.boxes:
        for number, key in enumerate(box.inputs):
            edge = graph.get_edge(str(key), str(box.key), str(number))
            tip, *points = edge.attr["pos"].split()
            spline = [_point(point, y1) for point in points]
            tip_at = _point(tip.removeprefix("e,"), y1)
            edges.append(Edge(key, box.key, number, spline, tip_at))
    frames = []
    clusters: dict[DrawnModule | None, Any] = {None: graph}
    for module in picture.modules:
        cluster = clusters[module.outer].get_subgraph(f"cluster_{module.key}")
        clusters[module] = cluster
        left, low, right, high = _numbers(cluster.graph_attr["bb"])
        frames.append(Frame(module.name, left, y1 - high, right - left, high - low))
    graph.close()
    return Layout(x1 - x0, y1 - y0, places, edges, frames, across)


def _graphviz() -> Any:
    others = "draw(y).dot and .mermaid do not need it"
    return import_library("pygraphviz", "draw and step_through", others).AGraph


# --- The program for Graphviz: sizes and ports, no text -------------------------------


def _program(picture: Picture, sizes: Sizes, slots: Slots, across: bool) -> str:
    # In a large graph, the last small improvements would take most of the time.
    limit = "nslimit=2, " if len(picture.boxes) > LARGE else ""
    ranksep = 0.6 if picture.modules else 0.45
    nodesep = 0.1 if across else 0.3
    rankdir, start, end = ("LR", "e", "w") if across else ("TB", "s", "n")
    lines = [
        "digraph {",
        f"graph [{limit}nodesep={nodesep}, ranksep={ranksep}, labeljust=l]",
        f"graph [rankdir={rankdir}]",
        'node [shape=box, fixedsize=true, label=""]',
        f"edge [arrowsize=0.7, headport={end}, tailport={start}]",
    ]
    for module in picture.modules:
        room = _cell(width(module.name, SMALL) + GAP, FRAME_LABEL)
        lines.append(enclosed(module, f"label=<{_table(room)}>; margin=10"))
    count = {key: max(ends, default=0) + 1 for key, ends in slots.items()}
    for box in picture.boxes:
        wide, high = sizes[box.key]
        shape = f"width={wide / 72}, height={high / 72}"
        if box.op:
            table = _table(*_rows(wide, high, count[box.key], across))
            shape = f"shape=none, margin=0, fixedsize=false, label=<{table}>"
        lines.append(enclosed(box.module, f'"{box.key}" [{shape}]'))
    for box in picture.boxes:
        for number, key in enumerate(box.inputs):
            edge = f"key={number}"
            if box.op:
                edge += f', headport="{slots[box.key][number]}:{end}"'
            if across and key in count:  # from op to op
                edge += f', tailport="{count[key] // 2}:{start}"'
            lines.append(f'"{key}" -> "{box.key}" [{edge}]')
    return "\n".join([*lines, "}"])


def _rows(wide: int, high: int, slots: int, across: bool) -> list[str]:
    """Divide the op of a box into slots, at which arrows end."""
    length: float = OP_HEIGHT if across else wide
    ends = [round(length * i / slots) for i in range(slots + 1)]
    sides = [(wide, b - a) if across else (b - a, OP_HEIGHT) for a, b in pairwise(ends)]
    cells = [_cell(w, h, i) for i, (w, h) in enumerate(sides)]
    op = cells if across else ["".join(cells)]
    return [*op, _cell(wide, high - OP_HEIGHT, span=1 if across else slots)]


def _table(*rows: str) -> str:
    inner = "".join(f"<TR>{row}</TR>" for row in rows)
    style = 'BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'
    return f"<TABLE {style}>{inner}</TABLE>"


def _cell(w: float, h: float, port: int | None = None, span: int = 1) -> str:
    name = "" if port is None else f'PORT="{port}" '
    size = f'FIXEDSIZE="TRUE" WIDTH="{w:.0f}" HEIGHT="{h:.0f}"'
    return f'<TD {name}COLSPAN="{span}" {size}></TD>'


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _point(text: str, height: float) -> tuple[float, float]:
    x, y = _numbers(text)
    return x, height - y
