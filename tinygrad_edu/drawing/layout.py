"""Arrange the boxes and edges with Graphviz's `dot`.

For Graphviz, a box and its op are one rectangle. The arrows into an op end next to each
other, in the order of its inputs, so that ``a - b`` is not read as ``b - a``. They come
from above. In a picture that goes across the page, they come from the left, and the op
is as wide as its box: an arrow goes from op to op.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from tinygrad_edu.drawing.measure import mono_width, width
from tinygrad_edu.drawing.modules import enclosed
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


class Size(NamedTuple):
    """The size of a box and its op."""

    width: int
    height: int
    op_width: int  # 0 for a leaf

    @property
    def above(self) -> float:
        """How far the op extends above the box."""
        return OP_HEIGHT - OP_OVERLAP if self.op_width else 0.0


class Place(NamedTuple):
    """The rectangles of a box and of its op (None for a leaf)."""

    x: float
    y: float
    width: float
    height: float
    op: tuple[float, float, float, float] | None


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


def measure(box: Box, across: bool = False) -> Size:
    """Return the size that a box needs for its text.

    The gradient is below the value; in a picture that goes across, it is beside it.
    """
    header = width(box.name, NAME, bold=True) + width(box.shape, SMALL)
    header += GAP if box.name and box.shape else 0.0
    value, gradient = text_width(box.value), text_width(box.gradient)
    count = len(box.value) + len(box.gradient)
    if not across:
        text = max(value, width(GRADIENT, SMALL) + gradient if gradient else 0.0)
    else:
        text = value + (GAP + gradient if gradient else 0.0)
        count = max(len(box.value), len(box.gradient))
    op_width = 0.0
    if box.op:
        arrows = 0.0 if across else SLOT * min(len(box.inputs), MOST_SLOTS)
        op_width = max(width(box.op, OP) + 2 * PADDING_X, arrows, 2 * SLOT)
    inner = max(header, text) + 2 * PADDING_X
    height = LINE_HEIGHT * count + 2 * PADDING_Y
    height += HEADER_HEIGHT if header else 0.0
    height += OP_OVERLAP if box.op else 0.0
    return Size(round(max(inner, op_width, 2 * SLOT)), round(height), round(op_width))


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
    several = [b for b in picture.boxes if b.op and 1 < len(b.inputs) <= MOST_SLOTS]
    slots = {b.key: list(range(len(b.inputs))) for b in several if b.in_order}
    layout = _arrange(picture, sizes, slots, across)
    if len(slots) == len(several):
        return layout
    # If the order does not matter, sort the arrows by the side that they come from.
    directions = {(e.end, e.number): _direction(e, across) for e in layout.edges}
    for box in several:
        if not box.in_order:
            numbers = range(len(box.inputs))
            first = sorted(numbers, key=lambda n: directions[box.key, n])
            slots[box.key] = [first.index(n) for n in numbers]
    return _arrange(picture, sizes, slots, across)


def _direction(edge: Edge, across: bool) -> float:
    """Return how far from the right an arrow comes to its box, from above.

    Across: how far from below, from the left.
    """
    side, along = (1, 0) if across else (0, 1)
    before = [
        point[side] - edge.tip[side]
        for point in edge.points
        if point[along] < edge.tip[along] - OP_HEIGHT
    ]
    return before[-1] if before else 0.0


def _arrange(
    picture: Picture, sizes: dict[int, Size], slots: dict[int, list[int]], across: bool
) -> Layout:
    """Let Graphviz arrange the picture; arrows without a slot end in the middle."""
    graph = _graphviz()(string=_program(picture, sizes, slots, across))
    graph.layout(prog="dot")
    x0, y0, x1, y1 = _numbers(graph.graph_attr["bb"])
    places = {}
    for box in picture.boxes:
        size = sizes[box.key]
        x, y = _numbers(graph.get_node(str(box.key)).attr["pos"])
        top = y1 - y - (size.height + size.above) / 2
        rectangle = x - size.width / 2, top + size.above, size.width, size.height
        wide = size.width if across else size.op_width
        op = (x - wide / 2, top, wide, OP_HEIGHT) if box.op else None
        places[box.key] = Place(*rectangle, op)
    edges = []
    for box in picture.boxes:
        for number, key in enumerate(box.inputs):
            edge = graph.get_edge(str(key), str(box.key), str(number))
            tip, *points = edge.attr["pos"].split()
            spline = [_point(point, y1) for point in points]
            tip_at = _point(tip.removeprefix("e,"), y1)
            edges.append(Edge(key, box.key, number, spline, tip_at))
    frames = []
    clusters: dict[int | None, Any] = {None: graph}
    for i, module in enumerate(picture.modules):
        clusters[i] = clusters[module.outer].get_subgraph(f"cluster_{i}")
        left, low, right, high = _numbers(clusters[i].graph_attr["bb"])
        frames.append(Frame(module.name, left, y1 - high, right - left, high - low))
    graph.close()
    return Layout(x1 - x0, y1 - y0, places, edges, frames, across)


def _graphviz() -> Any:
    others = "draw(y).dot and .mermaid do not need it"
    return import_library("pygraphviz", "draw and step_through", others).AGraph


# --- The program for Graphviz: sizes and ports, no text -------------------------------


def _program(
    picture: Picture, sizes: dict[int, Size], slots: dict[int, list[int]], across: bool
) -> str:
    # In a large graph, the last small improvements would take most of the time.
    limit = "nslimit=2, " if len(picture.boxes) > LARGE else ""
    ranksep = 0.6 if picture.modules and not across else 0.45
    nodesep = 0.1 if across else 0.3
    end, shape = ("w", _shape_across) if across else ("n", _shape)
    lines = [
        "digraph {",
        f"graph [{limit}nodesep={nodesep}, ranksep={ranksep}, labeljust=l]",
        f"graph [rankdir={'LR' if across else 'TB'}]",
        'node [shape=box, fixedsize=true, label=""]',
        f"edge [arrowsize=0.7, tailport={'e' if across else 's'}]",
    ]
    for i, module in enumerate(picture.modules):
        room = _cell(width(module.name, SMALL) + GAP, FRAME_LABEL)
        label = f"label=<{_table(room)}>; margin=10"
        cluster = f"subgraph cluster_{i} {{{label}}}"
        lines.append(enclosed(picture.modules, module.outer, cluster))
    for box in picture.boxes:
        size = sizes[box.key]
        node = f'"{box.key}" [{shape(size, len(slots.get(box.key, [])))}]'
        lines.append(enclosed(picture.modules, box.module, node))
    has_op = {box.key: bool(box.op) for box in picture.boxes}
    for box in picture.boxes:
        for number, key in enumerate(box.inputs):
            slot = slots[box.key][number] if box.key in slots else 0
            has_slot = box.key in slots or (across and box.op)
            port = f'"{slot}:{end}"' if has_slot else end
            edge = f"key={number}, headport={port}"
            if across and has_op[key]:
                edge += f', tailport="{len(slots.get(key, [])) // 2}:e"'
            lines.append(f'"{key}" -> "{box.key}" [{edge}]')
    return "\n".join([*lines, "}"])


def _shape(size: Size, slots: int) -> str:
    total = size.height + size.above
    if not slots:
        return f"width={size.width / 72}, height={total / 72}"
    ends = [round(size.op_width * i / slots) for i in range(slots + 1)]
    cells = [_cell(b - a, OP_HEIGHT, i) for i, (a, b) in enumerate(pairwise(ends))]
    if (margin := size.width - size.op_width) >= 2:
        beside = _cell(margin // 2, OP_HEIGHT), _cell(margin - margin // 2, OP_HEIGHT)
        cells = [beside[0], *cells, beside[1]]
    below = _cell(size.width, total - OP_HEIGHT, span=len(cells))
    return _shape_of(_table("".join(cells), below))


def _shape_across(size: Size, slots: int) -> str:
    """Let the arrows end at the left of the op, one below the other."""
    if not size.op_width:
        return _shape(size, 0)
    ends = [round(OP_HEIGHT * i / (slots or 1)) for i in range((slots or 1) + 1)]
    cells = [_cell(size.width, b - a, i) for i, (a, b) in enumerate(pairwise(ends))]
    return _shape_of(_table(*cells, _cell(size.width, size.height - OP_OVERLAP)))


def _shape_of(table: str) -> str:
    return f"shape=none, margin=0, fixedsize=false, label=<{table}>"


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
