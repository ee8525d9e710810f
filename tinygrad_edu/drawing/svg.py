"""Write the picture as SVG: shapes and text with classes, and a style sheet.

Scripts can find these elements: ``<g class="node data" data-node="K">`` is the box of
the value with the key K, ``<g class="node op" data-node="K">`` is the op that computed
it, and ``<g class="edge" data-from="K" data-to="K2">`` is the arrow from a value to an
op. In a box, the elements of class "value" and "gradient" contain the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import hypot
from types import SimpleNamespace
from xml.etree import ElementTree

from tinygrad_edu.drawing.layout import (
    FRAME_LABEL,
    GAP,
    GRADIENT,
    HEADER_HEIGHT,
    LINE_HEIGHT,
    NAME,
    OP,
    OP_HEIGHT,
    OP_OVERLAP,
    PADDING_X,
    PADDING_Y,
    SMALL,
    Edge,
    Layout,
    Place,
    text_width,
)
from tinygrad_edu.drawing.measure import width
from tinygrad_edu.drawing.picture import KINDS, Box, Picture, kind_in_words
from tinygrad_edu.support.language import say

__all__ = ["THEMES", "svg_of"]

MARGIN = 16.0
RADIUS = 7.0
FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', "
    "sans-serif"
)
MONO = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


# The colours of the light and of the dark theme. Boxes and frames have a fill and a
# border; an op has a fill, and a colour for its text.
COLOURS = {
    "background": ("#ffffff", "#14191f"),
    "text": ("#16202c", "#eef2f6"),
    "muted": ("#4e5b6b", "#a9b6c4"),
    "line": ("#66727f", "#8f9dab"),
    "gradient": ("#7c3aed", "#b79cff"),
    "op": (("#2f3b4a", "#ffffff"), ("#d5dee8", "#14191f")),
    "parameter": (("#dcebfb", "#0b63b0"), ("#12355a", "#62b0f5")),
    "constant": (("#eceff2", "#7b8794"), ("#2a323b", "#8794a2")),
    "computed": (("#ffffff", "#7b8794"), ("#1b222a", "#8794a2")),
    "result": (("#fff0c9", "#a65d00"), ("#4a3508", "#f0b541")),
    "more": (("#ffffff", "#66727f"), ("#14191f", "#8f9dab")),
    "frame": (("#f6f8fa", "#a9b4c0"), ("#191f26", "#4d5965")),
}
THEMES = {
    theme: SimpleNamespace(**{name: pair[i] for name, pair in COLOURS.items()})
    for i, theme in enumerate(["light", "dark"])
}


def svg_of(
    picture: Picture, layout: Layout, theme: str = "auto", with_legend: bool = True
) -> str:
    """Write a picture as SVG.

    Parameters
    ----------
    picture : Picture
    layout : Layout
    theme : {"auto", "light", "dark"}
        "auto" follows the reader's settings.
    with_legend : bool
        Whether to explain the colours of the boxes.
    """
    legend, end = _legend(picture) if with_legend else ([], MARGIN)
    right = max(layout.width + MARGIN, end) + MARGIN
    bottom = layout.height + 2 * MARGIN + (MARGIN + OP_HEIGHT if legend else 0.0)
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": f"tinygrad-graph {theme}",
            "role": "img",
            "width": _short(right),
            "height": _short(bottom),
            "viewBox": f"0 0 {_short(right)} {_short(bottom)}",
        },
    )
    name = picture.boxes[-1].name or say("a value")
    _add(root, "title").text = say("The graph of {name}", name=name)
    _add(root, "desc").text = _description(picture)
    _add(root, "style").text = style_sheet(theme)
    _rectangle(root, 0, 0, right, bottom, 8).set("class", "background")
    left = (right - layout.width) / 2
    graph = _add(root, "g", {"transform": f"translate({_short(left)} {MARGIN:g})"})
    for frame in layout.frames:
        inner = _add(graph, "g", {"class": "module"})
        _rectangle(inner, frame.x, frame.y, frame.width, frame.height, RADIUS)
    for edge in layout.edges:
        _draw_edge(graph, edge)
    for frame in layout.frames:  # the label is drawn over edges that cross it
        inner = _add(graph, "g", {"class": "module"})
        _text(inner, frame.x + GAP, frame.y + FRAME_LABEL - 3, frame.name, "label")
    for box in picture.boxes:
        _draw_box(graph, box, layout.places[box.key], layout.across)
    y = layout.height + 2 * MARGIN
    for kind, words, x in legend:
        item = _add(root, "g", {"class": f"node {kind}"})
        _rectangle(item, x, y + 5, 16, 12, 6 if kind == "op" else 3)
        _text(root, x + 22, y + 15, words, "label")
    return ElementTree.tostring(root, encoding="unicode")


def _description(picture: Picture) -> str:
    """Describe the graph op by op, for readers who cannot see it."""
    names = {box.key: box.name or f"#{box.key}" for box in picture.boxes}
    steps = [
        say(
            "{name} = {op} of {inputs}",
            name=names[box.key],
            op=box.op,
            inputs=", ".join(names[k] for k in box.inputs),
        )
        for box in picture.boxes
        if box.op
    ]
    return "; ".join(steps or [box.about for box in picture.boxes])


# --- Shapes ---------------------------------------------------------------------------


def _draw_box(
    parent: ElementTree.Element, box: Box, place: Place, across: bool
) -> None:
    key = str(box.key)
    group = _add(parent, "g", {"class": f"node data {box.kind}", "data-node": key})
    _add(group, "title").text = box.about
    left, top, wide, high = place
    hidden = OP_HEIGHT - OP_OVERLAP if box.op else 0.0  # behind the op
    _rectangle(group, left, top + hidden, wide, high - hidden, RADIUS)
    x, y = left + PADDING_X, top + PADDING_Y
    y += OP_HEIGHT if box.op else 0.0
    if box.name:
        _text(group, x, y + 13, box.name, "name")
    if box.shape:
        _text(group, left + wide - PADDING_X, y + 13, box.shape, "shape end")
    y += HEADER_HEIGHT if box.name or box.shape else 0.0
    if box.value:
        _lines(group, x, y, box.value, "ops" if box.kind == "more" else "value")
    if box.gradient and across:
        inner = _add(group, "g", {"class": "gradient"})
        _lines(inner, x + text_width(box.value) + GAP, y, box.gradient, "numbers")
    elif box.gradient:
        y += LINE_HEIGHT * len(box.value)
        inner = _add(group, "g", {"class": "gradient"})
        _text(inner, x, y + 11, GRADIENT.strip(), "label")
        _lines(inner, x + width(GRADIENT, SMALL), y, box.gradient, "numbers")
    if box.op:
        group = _add(parent, "g", {"class": "node op", "data-node": key})
        _rectangle(group, left, top, wide, OP_HEIGHT, OP_HEIGHT / 2)
        _text(group, left + wide / 2, top + OP_HEIGHT / 2 + 4.2, box.op, "middle")


def _lines(
    parent: ElementTree.Element, x: float, y: float, lines: Iterable[str], kind: str
) -> None:
    text = _add(parent, "text", {"class": kind})
    for i, line in enumerate(lines):
        baseline = {"x": _short(x), "y": _short(y + LINE_HEIGHT * i + 11)}
        _add(text, "tspan", baseline).text = line


def _draw_edge(parent: ElementTree.Element, edge: Edge) -> None:
    data = {"data-from": str(edge.start), "data-to": str(edge.end)}
    group = _add(parent, "g", {"class": "edge", **data})
    first, *rest = (f"{_short(x)} {_short(y)}" for x, y in edge.points)
    _add(group, "path", {"class": "line", "d": f"M{first}C{' '.join(rest)}"})
    (x0, y0), (x1, y1) = edge.points[-1], edge.tip
    length = hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = 3.2 * (y1 - y0) / length, -3.2 * (x1 - x0) / length
    corners = [(x1, y1), (x0 + dx, y0 + dy), (x0 - dx, y0 - dy)]
    d = "L".join(f"{_short(x)} {_short(y)}" for x, y in corners)
    _add(group, "path", {"class": "head", "d": f"M{d}Z"})


def _legend(picture: Picture) -> tuple[list[tuple[str, str, float]], float]:
    """Return the kinds of boxes that occur, in words, and where each item begins.

    The last number is where the last item ends.
    """
    kinds = {box.kind for box in picture.boxes}
    items, x = [], MARGIN
    for kind in [*KINDS, "op"]:
        if kind in kinds or (kind == "op" and any(box.op for box in picture.boxes)):
            words = kind_in_words(kind)
            items.append((kind, words, x))
            x += 22 + width(words, SMALL) + 2 * GAP
    return items, x


def _add(
    parent: ElementTree.Element, tag: str, attributes: dict[str, str] | None = None
) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes or {})


def _rectangle(
    parent: ElementTree.Element, x: float, y: float, w: float, h: float, radius: float
) -> ElementTree.Element:
    sides = {"x": x, "y": y, "width": w, "height": h, "rx": radius}
    return _add(parent, "rect", {name: _short(value) for name, value in sides.items()})


def _text(
    parent: ElementTree.Element, x: float, y: float, text: str, kind: str
) -> None:
    at = {"x": _short(x), "y": _short(y), "class": kind}
    _add(parent, "text", at).text = text


def _short(x: float) -> str:
    return f"{x:.1f}".removesuffix(".0")


# --- Style ----------------------------------------------------------------------------


SHAPES = {
    "": f"font-family: {FONT}; max-width: 100%; height: auto",
    "text": f"font-size: {SMALL:g}px",
    "tspan": f"font-family: {MONO}",
    ".name": f"font-size: {NAME:g}px; font-weight: 600",
    ".op text": f"font-size: {OP:g}px",
    ".end": "text-anchor: end",
    ".middle": "text-anchor: middle",
    ".line": "fill: none; stroke-width: 1.3",
    ".node rect": "stroke-width: 1.3",
    ".result rect": "stroke-width: 2.4",
    ".more rect": "stroke-dasharray: 2 3",
    ".module rect": "stroke-width: 1; stroke-dasharray: 4 3",
    ".module text": "paint-order: stroke; stroke-width: 4",
}


def style_sheet(theme: str) -> str:
    """Return the style sheet for a theme; its rules apply only to these pictures."""

    def rules(of: Mapping[str, str]) -> list[str]:
        ours = f"svg.tinygrad-graph.{theme}"
        return [f"{ours} {selector} {{ {rule} }}" for selector, rule in of.items()]

    lines = rules(SHAPES) + rules(_colours("light" if theme == "auto" else theme))
    if theme == "auto":
        dark = rules(_colours("dark"))
        lines += ["@media (prefers-color-scheme: dark) {", *dark, "}"]
    return "\n".join(lines)


def _colours(name: str) -> dict[str, str]:
    theme = THEMES[name]
    kinds = {kind: getattr(theme, kind) for kind in KINDS} | {"module": theme.frame}
    return {
        ".background": f"fill: {theme.background}",
        "text": f"fill: {theme.text}",
        ".shape": f"fill: {theme.muted}",
        ".label": f"fill: {theme.muted}",
        ".gradient text": f"fill: {theme.gradient}",
        ".line": f"stroke: {theme.line}",
        ".head": f"fill: {theme.line}",
        ".op rect": f"fill: {theme.op[0]}; stroke: {theme.background}",
        ".op text": f"fill: {theme.op[1]}",
        ".module text": f"stroke: {theme.frame[0]}",
    } | {
        f".{kind} rect": f"fill: {fill}; stroke: {border}"
        for kind, (fill, border) in kinds.items()
    }
