"""draw: the picture shows the whole graph, and can be read."""

import html
import re
import subprocess
import sys
from collections import Counter
from importlib import import_module
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pygraphviz
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.drawing import layout, png, svg
from tinygrad_edu.drawing.measure import mono_width, width
from tinygrad_edu.drawing.modules import outwards
from tinygrad_edu.drawing.picture import picture_of
from tinygrad_edu.engine.graph import Node, topological_order
from tinygrad_edu.formulas.naming import names_of

SVG = "{http://www.w3.org/2000/svg}"
ODD_NAME = "<b>&\"'`x` #35; \\ {end}"


# --- Random graphs --------------------------------------------------------------------

UNARY = [tg.sigmoid, tg.negative, tg.sin, tg.sum, tg.transpose]
BINARY = [
    tg.add,
    tg.subtract,
    tg.maximum,
    lambda a, b: tg.cos(a) * b,
    lambda a, b: a * 0.5 - b,
]


class Part(tg.nn.Module):
    """Runs a part of a random program; its weight may be used elsewhere too."""

    def __init__(self, steps, values):
        self.steps, self.values = steps, values
        self.weight = tg.Tensor([0.3, -0.4], requires_grad=True, name="weight")

    def forward(self, x):
        self.values.append(x * self.weight)
        run(self.steps, self.values)
        return self.values[-1]


def run(steps, values):
    for step in steps:
        if isinstance(step, list):
            Part(step, values)(values[-1])
            continue
        op, i, j = step
        a, b = values[i % len(values)], values[-1 - j % 3]
        f = (UNARY + BINARY)[op % len(UNARY + BINARY)]
        values.append(f(b) if f in UNARY else f(a, b))


steps = st.recursive(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))),
    lambda parts: st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)) | parts,
        max_size=6,
    ),
    max_leaves=12,
)


@st.composite
def graphs(draw, turns=1):
    """The end of a graph that a loop of so many turns made."""
    values = [
        np.array([0.5, 0.25]),
        tg.Tensor([1.0, 2.0], requires_grad=True, name=draw(st.text(max_size=30))),
        tg.Tensor(
            [[3.0, 1.0], [0.5, 2.0]], name=draw(st.sampled_from(["x", ODD_NAME, ""]))
        ),
        tg.Tensor(0.5),
        tg.Tensor([0.1, 0.2], requires_grad=True),
    ]
    body = draw(steps)
    for _ in range(turns):
        run(body, values)
    return values[-1] + values[1]


small_graphs = graphs()
loops = graphs(turns=30)


def picture(y, **how):
    return picture_of(y, names_of(y), **how)


def is_number(x, names):
    """What is written with the op."""
    constant = not isinstance(x, Node) or (x.op is None and not x.requires_grad)
    return constant and np.ndim(getattr(x, "data", x)) == 0 and id(x) not in names


# --- What is shown --------------------------------------------------------------------


@given(small_graphs)
@settings(deadline=None)
def test_every_value_is_shown_once_and_every_use_is_an_arrow(y):
    names = names_of(y)
    shown = picture_of(y, names, collapse=False)
    nodes = topological_order(y)
    arrays = {id(x) for n in nodes for x in n.inputs if isinstance(x, np.ndarray)}
    values = {id(n) for n in nodes if not is_number(n, names)} | arrays
    assert sorted(map(id, shown.sources.values())) == sorted(values)
    assert [box.key for box in shown.boxes] == list(shown.sources)

    keys = {id(x): key for key, x in shown.sources.items()}
    for box in shown.boxes:
        source = shown.sources[box.key]
        inputs = source.inputs if isinstance(source, Node) else ()
        arrows = [keys[id(x)] for x in inputs if not is_number(x, names)]
        assert list(box.inputs) == arrows
        assert bool(box.op) == bool(inputs)
        if isinstance(source, Node):
            assert box.key == source.index


@given(loops)
@settings(deadline=None)
def test_what_is_left_out_is_told(y):
    """A box stands for each group of hidden values, and tells how many there are."""
    shown = picture(y)
    told = {}
    for box in shown.boxes:
        if box.kind == "more":
            n, what = re.fullmatch(r"([\d,]+) more ([^:]*):? ?.*", box.about).groups()
            per_turn = len(box.about.split(",")) if what == "like this" else 1
            told[box.key] = int(n.replace(",", "")) * per_turn
    sources = {id(x) for x in shown.sources.values()}
    hidden = [n for n in topological_order(y) if n.op and id(n) not in sources]
    assert Counter(shown.keys[id(n)] for n in hidden) == told


@given(loops)
@settings(deadline=None)
def test_arrows_to_and_from_what_is_left_out_stand_for_uses(y):
    shown = picture(y)
    keys, names = shown.keys, names_of(y)
    wanted = {
        (keys[id(x)], keys[id(node)])
        for node in topological_order(y)
        if id(node) in keys
        for x in node.inputs
        if id(x) in keys and not is_number(x, names)
    }
    found = {(key, box.key) for box in shown.boxes for key in box.inputs}
    assert found == {(start, end) for start, end in wanted if start != end}
    for box in shown.boxes:
        if box.kind == "more":
            assert len(set(box.inputs)) == len(box.inputs)


@given(small_graphs)
@settings(deadline=None)
def test_boxes_come_after_what_they_are_made_of(y):
    shown = picture(y)
    met = set()
    for box in shown.boxes:
        assert met.issuperset(box.inputs)
        met.add(box.key)
    assert shown.boxes[-1].key == y.index


def by_name(shown):
    return {box.name: box for box in shown.boxes}


def test_kinds_are_told_apart():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    x = tg.Tensor([3.0, 4.0], name="x")
    array = np.array([5.0, 6.0])
    z = w * x
    y = (z + array).sum()
    boxes = by_name(
        picture_of(y, names_of(y) | {id(z): "z", id(y): "y", id(array): "c"})
    )
    kinds = {name: box.kind for name, box in boxes.items()}
    assert kinds == {
        "w": "parameter",
        "x": "constant",
        "c": "constant",
        "z": "computed",
        "": "computed",
        "y": "result",
    }
    assert boxes["c"].key < 0


@pytest.mark.parametrize(
    ("compute", "op"),
    [
        (lambda x: x * 0.5, "× 0.5"),
        (lambda x: 1 - x, "1 −"),
        (lambda x: x - 1, "− 1"),
        (lambda x: x / np.float64(3), "/ 3"),
        (lambda x: x**2, "^ 2"),
        (lambda x: x * tg.Tensor(7.0), "× 7"),
        (lambda x: x // 2, "// 2"),
        (lambda x: x @ x, "@"),
        (lambda x: x + x, "+"),
        (lambda x: tg.maximum(x, 0), "maximum(·, 0)"),
        (lambda x: tg.where(np.array([True, False]), 0, x), "where(·, 0, ·)"),
        (lambda x: -x, "negative"),
        (lambda x: x.sum(axis=0), "sum(axis=0)"),
        (lambda x: x.sum(), "sum"),
        (lambda x: x.reshape(2, 1), "reshape"),
        (lambda x: x[0], "[0]"),
        (lambda x: x[::2], "[::2]"),
        (lambda x: x[1:, None], "[1:, None]"),
        (lambda x: x[..., -1], "[..., -1]"),
        (lambda x: x[np.array([0, 1])], "[[0, 1]]"),
    ],
)
def test_an_op_is_written_with_its_numbers(compute, op):
    y = compute(tg.Tensor([1.0, 2.0], requires_grad=True))
    assert picture_of(y).boxes[-1].op == op


def test_a_number_with_a_name_has_a_box():
    rate = tg.Tensor(0.5, name="rate")
    y = tg.Tensor([1.0], requires_grad=True) * rate
    assert by_name(picture(y))["rate"].value == ("0.5",)


def test_names_are_those_of_the_caller():
    weight = tg.Tensor([1.0], requires_grad=True)
    loss = (weight * 2).sum()
    assert [
        text for text in texts(tg.draw(loss).svg) if text in ("weight", "loss")
    ] == [
        "weight",
        "loss",
    ]


def test_a_long_name_is_shortened():
    w = tg.Tensor([1.0], requires_grad=True, name="w" * 100)
    name = picture(w).boxes[0].name
    assert len(name) == 30
    assert "…" in name


def test_gradients_are_shown_when_there_are_any():
    x = tg.Tensor(3.0, requires_grad=True, name="x")
    y = x * x * x
    assert by_name(picture(y))["x"].gradient == ()
    y.backward(retain_graph=True)
    assert by_name(picture(y))["x"].gradient == ("27",)
    given = {y.index: np.array(1.0)}
    assert picture_of(y, gradients=given).boxes[-1].gradient == ("1",)
    assert picture_of(y, gradients=given).boxes[0].gradient == ()


@pytest.mark.parametrize("value", [3.0, [1.0, 2.0], True])
def test_without_a_graph_there_is_one_box(value):
    y = tg.Tensor(value)
    (box,) = picture_of(y).boxes
    assert (box.kind, box.key, box.op) == ("constant", y.index, "")
    assert len(ElementTree.fromstring(tg.draw(y).svg)) > 3


def test_of_many_inputs_the_first_and_the_last_are_shown():
    parts = [tg.Tensor([float(i)], requires_grad=True) for i in range(1000)]
    y = tg.concatenate(parts)
    boxes = picture(y).boxes
    assert [box.value for box in boxes[:3]] == [("0",), ("1",), ("2",)]
    assert [box.name for box in boxes[3:-2]] == ["… 996 more inputs …"]
    assert boxes[-2].value == ("999",)
    assert "… 996 more inputs …" in texts(tg.draw(y).svg)
    assert len(boxes[-1].inputs) == 5
    shared = tg.concatenate(parts[:20]).sum() + sum(parts[:20], 0.0).sum()
    assert sum(box.kind == "parameter" for box in picture(shared).boxes) == 20


# --- Refusals -------------------------------------------------------------------------


def test_a_released_graph_is_refused():
    x = tg.Tensor([3.0], requires_grad=True)
    square = x * x
    y = square.sum()
    y.backward()
    with pytest.raises(ValueError, match=r"draw: .* released .* retain_graph=True"):
        tg.draw(y)
    with pytest.raises(ValueError, match="released"):
        tg.draw(square * 2)


@pytest.mark.parametrize("thing", [3.0, np.ones(3), None, tg.nn.Linear(1, 1, rng=0)])
def test_what_is_no_tensor_is_refused(thing):
    with pytest.raises(TypeError, match=rf"draw: .* {type(thing).__name__}"):
        tg.draw(thing)


def test_an_unknown_theme_is_refused():
    with pytest.raises(ValueError, match="'auto', 'light' or 'dark', not 'pink'"):
        tg.draw(tg.Tensor(1.0), theme="pink")


# --- Where it is ----------------------------------------------------------------------


def overlap(a, b):
    (ax, ay, aw, ah), (bx, by, bw, bh) = a, b
    return ax < bx + bw and bx < ax + aw and ay < by + bh and by < ay + ah


def inside(a, b):
    (ax, ay, aw, ah), (bx, by, bw, bh) = a, b
    return bx <= ax and by <= ay and ax + aw <= bx + bw and ay + ah <= by + bh


@given(small_graphs | loops)
@settings(deadline=None)
def test_nothing_overlaps_and_frames_hold_what_is_in_them(y):
    shown = picture(y)
    laid = layout.lay_out(shown)
    page = (-0.5, -0.5, laid.width + 1, laid.height + 1)
    assert all(inside(place, page) for place in laid.places.values())
    assert not any(overlap(a, b) for a, b in combinations(laid.places.values(), 2))
    framed = [(m, frame[1:]) for m, frame in zip(shown.modules, laid.frames)]
    for box in shown.boxes:
        place = laid.places[box.key]
        for module, frame in framed:
            is_in = module in outwards(box.module)
            assert inside(place, frame) if is_in else not overlap(place, frame)
    for (one, a), (other, b) in combinations(framed, 2):  # outer ones come first
        assert inside(b, a) if one in outwards(other) else not overlap(a, b)


@given(small_graphs)
@settings(deadline=None)
def test_every_arrow_goes_from_its_value_to_its_op(y):
    shown = picture(y)
    laid = layout.lay_out(shown)
    wanted = [
        (key, box.key, i) for box in shown.boxes for i, key in enumerate(box.inputs)
    ]
    found = [(edge.start, edge.end, edge.number) for edge in laid.edges]
    assert found == wanted
    for edge in laid.edges:
        start, end = laid.places[edge.start], laid.places[edge.end]
        x, y_ = edge.points[0]
        assert abs(x - (start.x + start.width / 2)) < 2
        assert abs(y_ - (start.y + start.height)) < 2
        assert end.x < edge.tip[0] < end.x + end.width
        assert abs(edge.tip[1] - end.y) < 2


@given(small_graphs)
@settings(deadline=None)
def test_where_the_order_of_the_inputs_matters_it_is_seen(y):
    shown = picture(y)
    laid = layout.lay_out(shown)
    for box in shown.boxes:
        tips = [e.tip[0] for e in laid.edges if e.end == box.key]
        numbers = [e.number for e in laid.edges if e.end == box.key]
        if box.op and len(tips) > 1:
            assert len(set(tips)) == len(tips)
            if box.in_order:
                assert sorted(numbers, key=lambda n: tips[numbers.index(n)]) == sorted(
                    numbers
                )


def test_where_it_does_not_matter_arrows_end_on_the_side_they_come_from(monkeypatch):
    x, w, b = (tg.Tensor(np.eye(2), requires_grad=True) for _ in range(3))
    y = tg.linear(x, w, b[0])
    shown = picture(y)
    given = []

    def arrange(picture, sizes, slots, across):
        """From the left come the third, the first and the second."""
        given.append(slots)
        points = {0: (0.0, -99.0), 1: (50.0, -99.0), 2: (-50.0, -99.0)}
        edges = [
            layout.Edge(key, y.index, i, [points[i], (0.0, -5.0)], (0.0, 0.0))
            for i, key in enumerate(shown.boxes[-1].inputs)
        ]
        return layout.Layout(0.0, 0.0, {}, edges, [], across)

    monkeypatch.setattr(layout, "_arrange", arrange)
    layout.lay_out(shown)
    assert given[-1][y.index] == [1, 2, 0]


def test_very_many_arrows_end_in_one_place():
    parts = [tg.sin(tg.Tensor([float(i)], requires_grad=True)) for i in range(20)]
    laid = layout.lay_out(picture(tg.concatenate(parts)))
    assert len({edge.tip for edge in laid.edges if edge.number > 0}) == 1


# --- SVG ------------------------------------------------------------------------------


def texts(source):
    return [
        e.text for e in ElementTree.fromstring(source).iter() if e.tag.endswith("text")
    ]


def groups(root, kind):
    for group in root.iter(f"{SVG}g"):
        if set(kind.split()) <= set(group.get("class", "").split()):
            yield group


@given(small_graphs)
@settings(deadline=None)
def test_the_svg_has_what_scripts_look_for(y):
    shown = picture(y)
    root = ElementTree.fromstring(svg.svg_of(shown, layout.lay_out(shown)))
    keys = [str(box.key) for box in shown.boxes]
    assert [g.get("data-node") for g in groups(root, "node data")] == keys
    ops = [g.get("data-node") for g in groups(root, "node op") if g.get("data-node")]
    assert ops == [str(box.key) for box in shown.boxes if box.op]
    edges = Counter(
        (g.get("data-from"), g.get("data-to")) for g in groups(root, "edge")
    )
    wanted = Counter((str(k), str(b.key)) for b in shown.boxes for k in b.inputs)
    assert edges == wanted
    for group, box in zip(groups(root, "node data"), shown.boxes):
        value = [e for e in group.iter() if e.get("class") == "value"]
        assert len(value) == (box.kind != "more")
        if value:
            assert tuple(line.text for line in value[0]) == box.value
        assert box.kind in group.get("class").split()


@given(small_graphs, st.booleans())
@settings(deadline=None)
def test_text_fits_its_box(y, with_gradients):
    nodes = topological_order(y)
    gradients = (
        {node.index: -1.5 * node.data for node in nodes} if with_gradients else {}
    )
    shown = picture(y, gradients=gradients)
    root = ElementTree.fromstring(svg.svg_of(shown, layout.lay_out(shown)))
    with_op = {str(box.key) for box in shown.boxes if box.op}
    for group in root.iter(f"{SVG}g"):
        key = group.get("data-node")
        if key is None:
            continue
        frame = next(group.iter(f"{SVG}rect"))
        x, y_, w, h = (float(frame.get(k)) for k in ("x", "y", "width", "height"))
        if key in with_op and "data" in group.get("class"):
            y_, h = y_ + layout.OP_OVERLAP, h - layout.OP_OVERLAP
        lines = list(lines_of(group))
        assert all(inside(line, (x, y_ + 4, w + 0.1, h - 8)) for line in lines)
        assert not any(overlap(a, b) for a, b in combinations(lines, 2))


def lines_of(group):
    """Give the rectangle that each line of text takes, above and below its baseline."""
    for text in group.iter(f"{SVG}text"):
        for line in list(text) or [text]:
            kind = text.get("class")
            size = {"name": layout.NAME, "middle": layout.OP}.get(kind, layout.SMALL)
            is_mono = kind in ("value", "numbers", "ops")
            room = mono_width(line.text, size)
            if not is_mono:
                room = width(line.text, size, bold=kind == "name")
            x, y = float(line.get("x")), float(line.get("y"))
            x -= {"middle": room / 2, "shape end": room}.get(kind, 0.0)
            yield x, y - 0.8 * size, room, size


def test_names_are_escaped():
    x = tg.Tensor([1.0], requires_grad=True, name=ODD_NAME)
    drawing = tg.draw(x * 2)
    assert ODD_NAME in texts(drawing.svg)
    assert f"of {ODD_NAME}" in ElementTree.fromstring(drawing.svg).findtext(
        f"{SVG}desc"
    )
    graph = pygraphviz.AGraph(string=drawing.dot)
    labels = [html.unescape(node.attr["label"]) for node in graph.nodes()]
    assert any(label.replace("\\\\", "\\").startswith(ODD_NAME) for label in labels)
    assert any(label.startswith(ODD_NAME) for label in mermaid_labels(drawing.mermaid))


def test_names_that_no_file_could_hold():
    x = tg.Tensor([1.0], requires_grad=True, name="a\x00b\nc\ud800")
    assert "ab c" in texts(tg.draw(x * 2).svg)


@pytest.mark.parametrize("name", [3, ["a"], np.ones(2), "\ud800"])
@pytest.mark.parametrize("part", ["svg", "dot", "mermaid"])
def test_whatever_a_name_was_set_to_can_be_drawn(name, part):
    x = tg.Tensor([1.0], requires_grad=True)
    x.name = name
    drawn = getattr(tg.draw(x * 2), part)
    assert "parameter" in drawn or part == "dot"
    assert drawn.encode().decode() == drawn


@pytest.mark.parametrize("theme", ["blue", "", None, 3, ["x"], {}])
def test_another_theme_is_refused(theme):
    x = tg.Tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"^draw: theme must be 'auto', 'light' or"):
        tg.draw(x * 2, theme=theme)


def test_it_is_told_to_those_who_cannot_see_it():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    y = (w * 2).sum()
    root = ElementTree.fromstring(tg.draw(y).svg)
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == "The graph of y"
    assert root[1].text == "t1 = × 2 of w; y = sum of t1"
    (tooltip,) = (
        g.findtext(f"{SVG}title")
        for g in groups(root, "parameter")
        if g.get("data-node")
    )
    assert tooltip == "w, parameter (requires_grad), float64, (2,)"
    leaf = ElementTree.fromstring(tg.draw(w).svg)
    assert leaf[1].text == tooltip


# --- Colours --------------------------------------------------------------------------


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def contrast(a, b):
    dark, light = sorted([luminance(a), luminance(b)])
    return (light + 0.05) / (dark + 0.05)


each_theme = pytest.mark.parametrize("theme", svg.THEMES.values(), ids=list(svg.THEMES))


@each_theme
def test_colours_have_the_contrast_that_wcag_asks_for(theme):
    kinds = [theme.parameter, theme.constant, theme.computed, theme.result, theme.more]
    for fill, border in kinds:
        for text in (theme.text, theme.muted, theme.gradient):
            assert contrast(text, fill) >= 4.5
        assert contrast(border, theme.background) >= 3
        assert contrast(border, theme.frame[0]) >= 3
    assert contrast(*theme.op) >= 4.5
    assert contrast(theme.op[0], theme.background) >= 3
    assert contrast(theme.line, theme.background) >= 3
    assert contrast(theme.line, theme.frame[0]) >= 3
    for ground in (theme.background, theme.frame[0]):
        assert contrast(theme.muted, ground) >= 4.5


# How it looks without one of the three kinds of cones, in linear RGB: Machado, Oliveira
# and Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency
# (2009), table 1, severity 1.0.
SEEN_BY = {
    "all cones": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


@each_theme
@pytest.mark.parametrize("seen", SEEN_BY.values(), ids=list(SEEN_BY))
def test_borders_are_told_apart_without_some_cones(theme, seen):
    def look(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        return np.asarray(seen) @ np.power(channels, 2.2)

    borders = [theme.parameter[1], theme.constant[1], theme.result[1]]
    for a, b in combinations(borders, 2):
        assert np.abs(look(a) - look(b)).max() > 0.1


def test_the_style_sheet_speaks_of_our_pictures_only():
    sheet = svg.style_sheet("auto")
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", sheet.replace("{\n", "\n"))
    selectors = [s for rule in rules for s in rule.split("\n")[-1].split(",")]
    assert len(selectors) > 20
    assert all(
        selector.strip().startswith("svg.tinygrad-graph.auto") for selector in selectors
    )


def test_themes():
    y = tg.Tensor(3.0, requires_grad=True) * 2
    auto, light, dark = (tg.draw(y, theme=t).svg for t in ("auto", "light", "dark"))
    assert "prefers-color-scheme: dark" in auto
    assert "prefers-color-scheme" not in light + dark
    assert svg.THEMES["light"].background in light
    assert svg.THEMES["light"].background not in dark
    assert svg.THEMES["dark"].background in dark


# --- Text for other programs ----------------------------------------------------------


@given(small_graphs)
@settings(deadline=None)
def test_graphviz_reads_the_dot(y):
    shown = picture(y)
    graph = pygraphviz.AGraph(string=tg.drawing.dot_of(shown))
    graph.layout(prog="dot")
    ops = [box for box in shown.boxes if box.op]
    assert len(graph.nodes()) == len(shown.boxes) + len(ops)
    wanted = Counter(
        (str(key), f"{box.key} op" if box.op else str(box.key))
        for box in shown.boxes
        for key in box.inputs
    )
    wanted.update((f"{box.key} op", str(box.key)) for box in ops)
    assert Counter((a, b) for a, b in graph.edges()) == wanted
    assert graph.to_string().count("subgraph") == len(shown.modules)


def mermaid_labels(source):
    def character(match):
        return chr(int(match[1]))

    quoted = re.findall(r'"([^"]*)"', source)
    return [re.sub(r"#(\d+);", character, q.replace("\xa0", " ")) for q in quoted]


@given(small_graphs)
@settings(deadline=None)
def test_the_mermaid_is_sound(y):
    shown = picture(y)
    source = tg.drawing.mermaid_of(shown)
    first, *lines = source.splitlines()
    assert first == "flowchart TD"
    ids = {f"v{i}" for i in range(len(shown.boxes))}
    ids |= {f"v{i}op" for i, box in enumerate(shown.boxes) if box.op}
    defined, edges, depth = [], 0, 0
    for line in lines:
        if node := re.fullmatch(
            r'  (v\d+(?:op)?)(\("[^"`<]*(<br>[^"`<]*)*"\)|\(\["[^"`<]*"\]\)):::\w+',
            line,
        ):
            defined.append(node[1])
        elif edge := re.fullmatch(r"  (v\d+(?:op)?) --> (v\d+(?:op)?)", line):
            assert {edge[1], edge[2]} <= ids
            edges += 1
        elif re.fullmatch(r'  subgraph m\d+\["\w+"\]', line):
            depth += 1
        elif line == "  end":
            depth -= 1
        else:
            assert re.fullmatch(
                r"  classDef \w+ fill:#\w{6},stroke:#\w{6},color:#\w{6}", line
            )
        assert depth >= 0
    assert depth == 0
    assert sorted(defined) == sorted(ids)
    ops = sum(bool(box.op) for box in shown.boxes)
    assert edges == ops + sum(len(box.inputs) for box in shown.boxes)


def test_frames_nest_in_the_mermaid():
    layers = tg.nn.Sequential(tg.nn.Linear(2, 2, rng=0), tg.nn.Linear(2, 1, rng=0))
    source = tg.draw(layers(np.ones((1, 2))) * 2).mermaid
    frames = re.findall(r"^  (subgraph .*|end)$", source, re.M)
    first, second = 'subgraph m1["Linear"]', 'subgraph m2["Linear"]'
    assert frames == ['subgraph m0["Sequential"]', first, "end", second, "end", "end"]
    inside = source[source.index(first) : source.index(second)]
    assert inside.count("linear") == 1


# --- Files ----------------------------------------------------------------------------


@pytest.fixture
def drawing():
    x = tg.Tensor(3.0, requires_grad=True, name="x")
    return tg.draw(x * x)


def test_the_suffix_says_how_it_is_saved(drawing, tmp_path):
    for suffix, text in {
        ".svg": drawing.svg,
        ".dot": drawing.dot,
        ".mmd": drawing.mermaid,
    }.items():
        path = tmp_path / f"graph{suffix}"
        drawing.save(path)
        assert path.read_text(encoding="utf-8") == text
    drawing.save(str(tmp_path / "graph.png"))
    header = (tmp_path / "graph.png").read_bytes()[:24]
    assert header.startswith(b"\x89PNG\r\n")
    root = ElementTree.fromstring(drawing.svg)
    size = [int.from_bytes(header[i : i + 4], "big") for i in (16, 20)]
    assert size == [
        pytest.approx(2 * float(root.get(side)), abs=1) for side in ("width", "height")
    ]


def test_a_png_is_light_unless_it_shall_be_dark(tmp_path):
    y = tg.Tensor(3.0, requires_grad=True) * 2
    for theme in ("auto", "light", "dark"):
        tg.draw(y, theme=theme).save(tmp_path / f"{theme}.png")
    auto, light, dark = (
        (tmp_path / f"{theme}.png").read_bytes() for theme in ("auto", "light", "dark")
    )
    assert auto == light != dark


def test_a_large_png_is_of_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(tg.drawing, "LARGEST_PNG", 50)
    tg.draw(tg.Tensor(3.0, requires_grad=True) * 2).save(tmp_path / "graph.png")
    header = (tmp_path / "graph.png").read_bytes()[:24]
    assert max(int.from_bytes(header[i : i + 4], "big") for i in (16, 20)) < 200


@pytest.mark.parametrize("name", ["graph.jpg", "graph", "graph.svgz"])
def test_an_unknown_suffix_is_refused(drawing, tmp_path, name):
    with pytest.raises(ValueError, match=rf"\.svg, \.png, \.dot or \.mmd.*'{name}'"):
        drawing.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_large_irregular_graph_is_not_polished_to_the_last_pixel():
    """Graphviz is told to stop early, or it would take most of a minute."""
    rng = np.random.default_rng(0)
    values = [tg.Tensor(float(i), requires_grad=True, name=f"p{i}") for i in range(5)]
    for _ in range(300):
        a, b = (values[i] for i in rng.integers(len(values), size=2))
        values.append(
            [tg.add, tg.multiply, lambda a, b: tg.tanh(a)][rng.integers(3)](a, b)
        )
    pictures = [picture_of(y, collapse=False) for y in (sum(values[5:]), values[5])]
    for picture, is_large in zip(pictures, (True, False)):
        sizes = {box.key: layout.measure(box) for box in picture.boxes}
        slots = {box.key: [0] * len(box.inputs) for box in picture.boxes if box.op}
        assert ("nslimit" in layout._program(picture, sizes, slots, False)) == is_large
        assert layout.lay_out(picture).places.keys() == sizes.keys()


def test_a_missing_folder_is_named(drawing, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"^draw: there is no folder .*nowhere; create it"
    ):
        drawing.save(tmp_path / "nowhere" / "graph.svg")


@pytest.mark.parametrize(
    ("package", "suffix"),
    [("pygraphviz", ".svg"), ("pygraphviz", ".png"), ("resvg_py", ".png")],
)
def test_a_missing_library_is_named(tmp_path, monkeypatch, package, suffix):
    drawing = tg.draw(tg.Tensor(3.0, requires_grad=True) * 2)
    monkeypatch.setitem(sys.modules, package, None)
    png._has_font.cache_clear()
    way_out = f"^draw.*: pip install {package.replace('_', '-')}; .* do not need it$"
    with pytest.raises(ModuleNotFoundError, match=way_out):
        drawing.save(tmp_path / f"graph{suffix}")
    drawing.save(tmp_path / "graph.dot")
    drawing.save(tmp_path / "graph.mmd")


def test_without_a_font_there_is_no_png(drawing, tmp_path, monkeypatch):
    """The renderer would leave out the text without a word."""
    resvg = import_module("resvg_py")
    render = resvg.svg_to_bytes

    def without_system_fonts(**how):
        return render(skip_system_fonts=True, **how)

    monkeypatch.setattr(resvg, "svg_to_bytes", without_system_fonts)
    png._has_font.cache_clear()
    drawing.save(tmp_path / "graph.png")  # Matplotlib's fonts do
    monkeypatch.setattr(png, "find_spec", lambda name: None)
    png._has_font.cache_clear()
    with pytest.raises(ValueError, match="draw: this machine has no font"):
        drawing.save(tmp_path / "graph.png")
    png._has_font.cache_clear()


def test_notebooks_show_it(drawing):
    assert drawing._repr_svg_() == drawing.svg
    assert drawing._repr_markdown_() is None
    assert repr(drawing).startswith("<Drawing of y; ")


def test_where_graphviz_is_missing_a_notebook_shows_mermaid_and_says_so(monkeypatch):
    drawing = tg.draw(tg.Tensor(3.0, requires_grad=True) * 2)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    assert drawing._repr_svg_() is None
    program, note = drawing._repr_markdown_().split("\n```\n")
    assert program == f"```mermaid\n{drawing.mermaid}"
    assert "PyGraphviz is not installed: `pip install pygraphviz`" in note


def test_drawing_needs_no_extra_until_it_is_laid_out():
    program = """if True:
        import sys
        import tinygrad_edu as tg
        x = tg.Tensor(3.0, requires_grad=True)
        print(tg.draw(x * x).mermaid)
        print({"pygraphviz", "resvg_py", "matplotlib"} & sys.modules.keys())
    """
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.endswith("set()\n")
