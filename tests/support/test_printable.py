"""Whatever a name is, what shows it can be read, and nothing in it is run."""

import html
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.drawing.words import LONGEST as LONGEST_SHOWN
from tinygrad_edu.support.printable import LONGEST, printable, shorten, type_name

HOSTILE = {
    "terminal": "\x1b[31mred\x07\x08",
    "surrogate": "\ud800half",
    "direction": "abc\u202e321\u2066",
    "invisible": "a\u200bb\ufeffc\u00ad",
    "lines": "two\nlines\r\n\u2028| and | bars",
    "long": "n" * 20_000,
    "formula": "$x$ <script>alert(1)</script>",
    "braces": r"}\href{javascript:alert(1)}{x",
    "page": '"><img src=x onerror=alert(1)>&lt;b&gt;',
    "markdown": "![a](javascript:alert(1)) `*_~",
    "directive": "%%{init: {}}%% $$x$$ @{",
    "record": r"{a|<b> \N} \G",
    "nothing": "\u200b\n\x00",
}
each_name = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)


@given(st.text(st.characters(codec=None)) | st.binary() | st.integers())
def test_it_is_one_line_that_any_file_holds(name):
    text = printable(name)
    assert text.isprintable()
    assert text.encode().decode() == text
    assert text.splitlines() in ([], [text])
    assert len(text) <= LONGEST
    assert "  " not in text
    assert printable(text) == text


@given(st.text(st.characters(categories=["L", "N", "P"]), max_size=LONGEST))
def test_a_name_that_is_printable_stays_as_it_is(name):
    assert printable(name) == name


@given(st.text(), st.integers(1, 50))
def test_what_is_shortened_keeps_its_ends(text, length):
    short = shorten(text, length)
    assert len(short) == min(len(text), length)
    if len(text) > length > 2:
        head, _, tail = short.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail)


def graph(name):
    """Return a loss of a Tensor, an array, an op and a module that have a name."""

    class Array(np.ndarray):
        pass

    class Layer(tg.nn.Module):
        def __init__(self):
            setattr(self, name, tg.Tensor([1.0, 2.0], requires_grad=True, name=name))

        def forward(self, x):
            return tg.tanh(getattr(self, name) * x)

    Layer.__name__ = name.replace("\ud800", "").replace("\0", "")
    x = np.array([3.0, 4.0]).view(Array)
    x.name = name
    layer = Layer()
    known = dict(tg.OPS)

    def forward(z, *, how=name[:200]):
        return z * 2

    op = tg.op(forward, name=name + "op", signature="()->()")
    op.vjp(z=lambda g, y, z, how: 2 * g)
    tg.OPS.pop(op.name)
    assert known == tg.OPS
    loss = op(layer(x), how=name[:200][::-1]).sum()
    loss.name = name
    return loss, layer


def plain(text):
    """Whether there is nothing in a text that a terminal or a file would not take."""
    lines = text.replace("\N{NO-BREAK SPACE}", " ").split("\n")
    return all(map(str.isprintable, lines)) and bool(text.encode())


@each_name
def test_every_view_of_a_graph_is_plain_text(name):
    loss, layer = graph(name)
    explanation, drawing = tg.explain(loss), tg.draw(loss)
    views = [
        str(explanation),
        explanation.to_markdown(),
        explanation.to_latex(),
        drawing.svg,
        drawing.dot,
        drawing.mermaid,
        repr(drawing),
        repr(layer.summary((2,))),
        layer.summary((2,))._repr_html_(),
        repr(layer),
        repr(loss),
    ]
    for text in views:
        assert plain(text)
        assert name not in text or name == printable(name)
        assert len(text) < 12_000
    for element in ElementTree.fromstring(drawing.svg).iter():
        if element.tag.endswith(("}text", "}tspan")):
            assert len(element.text or "") <= LONGEST_SHOWN
    assert not set(explanation.to_markdown() + explanation.to_latex()) & set("<>`")


@each_name
def test_the_latex_is_balanced_and_has_no_command_of_the_names(name):
    loss, _ = graph(name)
    latex = tg.explain(loss).to_latex()
    bare = re.sub(r"\\[{}]", "", latex)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert len(re.findall(r"(?<!\\)\$", latex)) == latex.count("$$") * 2
    assert r"\href" not in latex


@each_name
def test_html_and_markdown_have_no_markup_of_the_names(name):
    markdown_it = pytest.importorskip("markdown_it", reason="it comes with the docs")
    loss, layer = graph(name)
    for table in (
        layer.summary(),
        tg.compare([2 * np.ones(2)], loss, layer),
        tg.gradcheck(lambda w: w * w, *layer.parameters()),
    ):
        rows = list(ElementTree.fromstring(table._repr_html_()))
        assert len(rows) == 1 + len(table)
        assert {x.tag for row in rows for x in row.iter()} == {"tr", "th", "td"}
    reader = markdown_it.MarkdownIt("commonmark").enable("table")
    tokens = reader.parse(tg.explain(loss).to_markdown())
    inside = {child.type for t in tokens for child in t.children or []}
    assert not inside & {"html_inline", "link_open", "image", "code_inline"}


@each_name
def test_other_programs_read_the_name_as_it_is(name):
    pygraphviz = pytest.importorskip("pygraphviz", reason="no extra named draw")
    loss, _ = graph(name)
    drawing = tg.draw(loss)
    shown = shorten(printable(name), LONGEST_SHOWN)
    program = pygraphviz.AGraph(string=drawing.dot)
    labels = [html.unescape(node.attr["label"]) for node in program.nodes()]
    assert any(label.replace("\\\\", "\\").startswith(shown) for label in labels)
    lines = [line for line in drawing.mermaid.splitlines() if '"' in line]
    for line in lines:
        (label,) = re.findall(r'"([^"]*)"', line)
        label = label.replace("<br>", "")
        assert not set(re.sub(r"#\d+;", "", label)) & set("#&<>`;\\$%{}*_~")


@each_name
def test_a_page_shows_the_name_and_runs_nothing(name, tmp_path):
    pytest.importorskip("pygraphviz", reason="no extra named draw")
    loss, _ = graph(name)
    page = tg.step_through(loss, tmp_path / "page.html").read_text("utf-8")
    assert page.count("<script") == 2
    assert "<img" not in page
    model = re.search(r'id="model">(.*?)</script>', page, re.S)[1]
    names = {node["name"] for node in json.loads(model)["nodes"]}
    assert all(map(str.isprintable, names))
    assert printable(name) in names or not printable(name)


def in_debug(w):
    w.data[0] = np.nan
    with tg.debug():
        tg.exp(w)


MISTAKES = {
    "explain": lambda name, loss, layer, w: tg.explain(w * w * 2, wrt=w.detach()),
    "missing": lambda name, loss, layer, w: layer.load_state_dict({name + "?": 1}),
    "shape": lambda name, loss, layer, w: layer.load_state_dict({name: np.ones(3)}),
    "others": lambda name, loss, layer, w: tg.compare({name + "?": 1}, loss, [w]),
    "none": lambda name, loss, layer, w: tg.compare({name: None}, loss, {name: w}),
    "many": lambda name, loss, layer, w: tg.compare([1, 2], loss, {name: w}),
    "wrong": lambda name, loss, layer, w: tg.gradcheck(
        lambda w: (w * np.copy(w.data)).sum(), w
    ),
    "changed": lambda name, loss, layer, w: [
        w.data.fill(7),
        tg.explain(loss),
    ],
    "forward": lambda name, loss, layer, w: tg.nn.Module.forward(layer, 1),
    "call": lambda name, loss, layer, w: loss.inputs[0].op(1, 2, 3),
    "shapes": lambda name, loss, layer, w: loss.inputs[0].op({}),
    "debug": lambda name, loss, layer, w: in_debug(w),
}


@each_name
@pytest.mark.parametrize("mistake", MISTAKES)
def test_errors_show_the_name_on_one_line(name, mistake):
    loss, layer = graph(name)
    (w,) = layer.parameters()
    with pytest.raises((ValueError, TypeError)) as error:
        MISTAKES[mistake](name, loss, layer, w)
    message = str(error.value)
    assert plain(message)
    assert len(message) < 1_000
    assert name not in message or name == printable(name)


def test_an_op_needs_a_letter_that_can_be_printed():
    with pytest.raises(ValueError, match="no printable character"):
        tg.op(lambda x: x, name="\u200b")
    with pytest.raises(ValueError, match="no printable character"):
        tg.op(lambda x: x, name="\n")


def test_what_is_blank_gives_the_name_of_the_variable():
    w = tg.Tensor(2.0, requires_grad=True, name=" \n")
    assert str(tg.explain(w * w)).splitlines()[1].startswith("y = w^2")


def test_the_name_of_a_type_is_printable():
    assert type_name(type("a\nb\x1b", (), {})()) == "a b"
