"""`step_through`: the forward and the backward pass in a browser, step by step.

It writes one file with the picture, the numbers and the script that shows them. The
sources of the page are in the folder `page`.
"""

from __future__ import annotations

import json
import linecache
import os
import re
import sys
from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from html import escape
from itertools import chain
from math import ceil, isqrt, prod
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import Variable
from tinygrad_edu.drawing.layout import LINE_HEIGHT, SMALL, lay_out
from tinygrad_edu.drawing.measure import mono_width
from tinygrad_edu.drawing.picture import (
    Box,
    Picture,
    is_computed,
    kind_in_words,
    picture_of,
)
from tinygrad_edu.drawing.svg import THEMES, svg_of
from tinygrad_edu.drawing.words import SPACE, describe, number_text
from tinygrad_edu.engine.debug import Origin
from tinygrad_edu.engine.graph import Node, value_of
from tinygrad_edu.engine.op import Op
from tinygrad_edu.explaining.narration import Narrator, Step
from tinygrad_edu.explaining.operands import ShownEquation
from tinygrad_edu.explaining.packing import Arrays
from tinygrad_edu.explaining.program import Writer
from tinygrad_edu.explaining.replaying import GraphProgram, UnknownError
from tinygrad_edu.explaining.shown import Page
from tinygrad_edu.explaining.slips import MOST, AskedNumber, Slips
from tinygrad_edu.formulas.algebra import Formula
from tinygrad_edu.formulas.naming import names_of, needs_gradient
from tinygrad_edu.formulas.quantities import Quantities
from tinygrad_edu.formulas.shares import checked_graph
from tinygrad_edu.support.files import write
from tinygrad_edu.support.language import say, speaking, spoken, words_of

__all__ = ["step_through"]

Json = dict[str, Any]

_FILES = Path(__file__).parent / "page"
# The parts of the page's one script, in order: each uses only earlier ones, except
# inside functions.
SCRIPTS = """
    elements theme arrays rasters figures sums equations thumbnails folds picture zoom
    words predict address steps details controls matrices program poke print
    start
""".split()  # noqa: SIM905
MOST_OPS = 1000
# The small pictures of arrays in the boxes, in px.
CELL, THINNEST = 11, 6
WIDEST, HIGHEST = 100, 45
# What is to be translated in the file of the page: _("learned").
MARKED = re.compile(r'_\("(.*?)"\)', re.DOTALL)
BUDGET = 700_000  # the most characters for a page's numbers
MOST_PROGRAM = 150_000  # and for its program


def step_through(
    y: Node, path: str | os.PathLike[str] = "page.html", *, lang: str | None = None
) -> Page:
    """Write a page that steps through the forward and the backward pass of `y`.

    The page is one HTML file without links to other files: open it in a browser, show
    it in a lecture, print it. A Jupyter notebook shows it below the cell. It shows the
    recorded graph. Each forward step fills in one value, each backward step adds one
    contribution to a gradient. A click on a node shows its arrays, and the line of your
    program if it was recorded under `debug()`. You can change the numbers of a leaf:
    the page then computes all others again.

    Parameters
    ----------
    y : Tensor
        A single number, whose graph has not been released: call this before
        ``backward()``. The graph is kept, and no ``.grad`` is changed.
    path : path_like
        The file to write. An existing file is replaced after the new one is complete.
    lang : str, optional
        The language of the page, such as ``"zh"``. The default is that of the
        environment variable ``TINYGRAD_EDU_LANG``, or else English.

    Returns
    -------
    Path
        The path of the file, which a notebook shows as the page.

    Raises
    ------
    ValueError
        If `y` is not a single number, if nothing requires a gradient, if the graph was
        released or has too many ops, if a value that `y` was computed from has changed,
        if `path` is not a valid file name, or if there is no catalogue of the language.
    TypeError
        If `y` is not a Tensor.
    OSError
        If the file cannot be written.
    ModuleNotFoundError
        If PyGraphviz is missing, which computes the layout of the picture.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> y = x * x * x
    >>> page = getfixture("tmp_path") / "cube.html"
    >>> tg.step_through(y, page).name
    'cube.html'
    """
    frame = sys._getframe(1)
    nodes = checked_graph("step_through", y, frame)
    ops = sum(node.op is not None for node in nodes)
    if ops > MOST_OPS:
        raise ValueError(
            f"step_through: this graph has {ops} ops, but a page shows at most "
            f"{MOST_OPS}; use a smaller example, with fewer turns of the loop"
        )
    narrator = Narrator(Quantities(nodes, names_of(y, frame)))
    with speaking(lang):
        title = say("{name}, step by step", name=narrator.name(y))
        content = _page(narrator, title)
    write("step_through", path, content.encode())
    return Page.of(Path(path), title, content)


def _page(narrator: Narrator, title: str) -> str:
    """Assemble the page."""
    model = _Model(narrator)
    words = words_of("page")
    page = MARKED.sub(lambda found: _said(found[1], words), _read("page.html"))
    script = "\n".join(_read(f"{name}.js") for name in SCRIPTS)
    script_hash = b64encode(sha256(script.encode()).digest()).decode()
    return Template(page).substitute(
        lang=spoken().replace("_", "-"),
        policy=f"default-src 'none'; script-src 'sha256-{script_hash}'; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'",
        title=escape(title),
        style=_read("page.css"),
        gradient=THEMES["light"].gradient,
        gradient_if_dark=THEMES["dark"].gradient,
        picture=_drawn(model.picture),
        opened="" if model.opened is model.picture else _drawn(model.opened),
        # JSON has "<" only inside strings; escaped, it cannot end the script element.
        model=json.dumps(model.content(), allow_nan=False).replace("<", r"\u003c"),
        script=script,
    )


def _said(text: str, words: Mapping[str, str]) -> str:
    """Translate a text of the page's file, which may have several lines."""
    message = " ".join(text.split())
    return words.get(message, message)


def _drawn(picture: Picture) -> str:
    return svg_of(picture, lay_out(picture, across=True), with_legend=False)


def _read(name: str) -> str:
    return (_FILES / name).read_text("utf-8")


class _Model:
    """The content of a page: the picture, and the steps as plain dicts and lists.

    The page refers to nodes by their numbers in the picture, and to arrays by number.

    Attributes
    ----------
    picture : Picture
    opened : Picture
        The picture in which one of the hidden turns of each loop is shown too.
    """

    def __init__(self, narrator: Narrator) -> None:
        self.narrator = narrator
        self.steps = list(narrator.steps())
        self.gradients = {x.index: g for x, g in narrator.gradients.items()}
        draw = partial(
            picture_of, narrator.y, narrator.names.names, self.gradients, lines=_lines
        )
        self.picture = self.opened = draw()
        if any(len(turns) > 1 for turns in self.picture.folds.values()):
            self.opened = draw(opened=True)
        slips = Slips(narrator)
        self.factors = slips.factors
        self.asked = [
            slips.at(step, 0 if self._is_hidden(step.node) else MOST)
            for step in self.steps
        ]
        self.arrays = Arrays()
        self.variables: Mapping[Any, Variable] = {}

    def content(self) -> Json:
        """Return all of it; if it cannot have the program, the reason instead."""
        try:
            return self._content_with_program()
        except UnknownError as error:
            self.arrays, self.variables = Arrays(), {}
            return self._content() | {
                "program": {"without": str(error)},
                "arrays": self.arrays.packed(BUDGET),
            }

    def _content_with_program(self) -> Json:
        formulas = [
            figure.of
            for step in self.steps
            for equation in step.equations
            for figure in equation.figures
            if isinstance(figure.of, Formula)
        ]
        graph = GraphProgram(self.narrator.names, formulas, self.narrator.meanings)
        writer = Writer(graph, self.arrays)
        if len(json.dumps(writer.lines)) <= MOST_PROGRAM:
            self.variables = graph.variables
            content = self._content()
            program = self._program(graph, writer)
            exact = self.arrays.exact
            # If not all arrays have room, the program computes what it can.
            for computed in (set(), {n for n, _ in program["shown"]} - exact):
                packed = self.arrays.packed(BUDGET, computed)
                if all(packed[n]["steps"] == [1, 1] for n in exact):
                    return content | {"program": program, "arrays": packed}
        raise UnknownError(say("this graph is too large for that"))

    def _program(self, graph: GraphProgram, writer: Writer) -> Json:
        """Describe how the page computes its arrays for other leaves."""
        numbers = self.arrays.numbers
        slots = {of: writer.slots[x] for of, x in graph.variables.items()}
        return {
            "lines": writer.lines,
            "shown": [
                [numbers[x], n]
                for x, n in writer.slots.items()
                if x in numbers and x.constant is None
            ],
            "loss": slots["value", id(self.narrator.y)],
            "leaves": [  # which have the first slots
                {
                    "name": self.narrator.name(x),
                    "gradient": slots.get(("gradient", id(x))),
                    "single": value_of(x).dtype == np.float32,
                }
                for x in graph.leaves
            ],
        }

    def _add(self, array: Any, of: Any) -> int:
        """Keep an array of the page; if the program computes it, by its variable."""
        return self.arrays.add(array, self.variables.get(of))

    def _content(self) -> Json:
        things = dict(self.picture.sources)
        for turn in chain.from_iterable(self.picture.folds.values()):
            things |= self._things_of(turn)
        ops = {x.op.name: _about(x.op) for x in self.narrator.nodes if x.op is not None}
        return {
            "name": self.narrator.name(self.narrator.y),
            "nodes": [self._node(number, x) for number, x in things.items()],
            "ops": ops,
            "steps": [self._step(*each) for each in zip(self.steps, self.asked)],
            "folds": [
                self._fold(box)
                for box in self.picture.boxes
                if box.key in self.picture.folds
            ],
            "factors": self.factors,
            "words": words_of("page"),
        }

    def _things_of(self, turn: list[Node]) -> dict[int, Any]:
        """Return what a turn computes, and the leaves that it uses, by number."""
        inputs = chain.from_iterable(node.inputs for node in turn)
        things = [*turn, *(x for x in inputs if not is_computed(x))]
        numbers = self.picture.numbers
        return {numbers[id(x)]: x for x in things if id(x) in numbers}

    def _is_hidden(self, x: Any) -> bool:
        """Whether a value is in a turn that the picture hides."""
        return self.picture.keys.get(id(x)) in self.picture.folds

    def _fold(self, box: Box) -> Json:
        """Describe hidden turns, and the boxes for them where one turn is shown.

        The boxes of the shown turn can show the values of any turn; two more boxes are
        for all turns before it, and after it.
        """
        turns = self.picture.folds[box.key]
        things = [list(self._things_of(turn)) for turn in turns]
        content: Json = {"box": box.key, "about": box.about, "turns": things}
        if len(turns) > 2:
            content |= {
                "shown": things[len(turns) // 2],
                "before": self.opened.keys[id(turns[0][0])],
                "after": self.opened.keys[id(turns[-1][0])],
            }
        return content

    def _node(self, number: int, x: Any) -> Json:
        """Describe a node, or an array that is an input of the graph."""
        value, gradient = value_of(x), self.gradients.get(number)
        content: Json = {
            "key": number,
            "name": self.narrator.name(x),
            "shape": list(value.shape),
            "dtype": str(value.dtype),
            "value": self._add(value, ("value", id(x))),
            "room": _room(value.shape),
        }
        if gradient is not None:
            content["gradient"] = self._add(gradient, ("gradient", id(x)))
        if is_computed(x):
            return content | {"op": x.op.name, "source": _source(x.origin)}
        kind = "parameter" if needs_gradient(x) else "constant"
        return content | {"kind": kind_in_words(kind)}

    def _step(self, step: Step, asked: AskedNumber | None) -> Json:
        numbers = self.picture.numbers
        content: Json = {
            "kind": step.kind,
            "sentence": step.sentence,
            "formula": step.formula,
            "equations": [self._equation(each) for each in step.equations],
        }
        if step.warning:
            content["warning"] = step.warning
        if asked is not None:
            slips = [(what, float(f"{number:.4g}")) for what, number in asked.slips]
            content |= {"place": asked.place, "slips": slips}
        if step.node is not None:
            content["node"] = numbers.get(id(step.node))
        if step.node is not None and step.kind == "compute":
            shown = [x for x in step.node.inputs if id(x) in self.narrator.names.names]
            content["inputs"] = [numbers.get(id(x)) for x in shown]
        if step.kind == "start":
            (seed,) = step.equations[0].figures
            content["gradient"] = self._gradient(seed.array, seed.of, True)
        if step.contribution is not None:
            share, _, total, number, of = step.contribution
            content["to"] = numbers.get(id(share.x))
            # Which one of several edges between the two nodes.
            before = share.node.inputs[: share.position]
            content["edge"] = sum(x is share.x for x in before)
            at = id(share.node), share.position
            content["gradient"] = self._gradient(total, ("total", *at), number == of)
        return content

    def _equation(self, equation: ShownEquation) -> Json:
        figures = []
        for figure in equation.figures:
            array = self._add(figure.array, figure.of)
            content: Json = {"title": figure.title, "array": array}
            content |= {"sign": figure.sign} if figure.sign else {}
            content |= {"at": figure.at} if figure.at is not None else {}
            figures.append(content | ({"turned": True} if figure.is_turned else {}))
        return {"call": equation.call, "figures": figures}

    def _gradient(self, array: Any, of: Any, is_complete: bool) -> Json:
        """Describe a gradient as it is now."""
        return {"array": self._add(array, of), "complete": is_complete}


def _lines(array: Any) -> tuple[str, ...]:
    """Return the lines of a box; blank ones where the script draws an array."""
    if array.size == 0:
        return describe(array)
    if array.size == 1:
        return (number_text(array),)
    width, height = _room(array.shape)
    return (SPACE * ceil(width / mono_width(SPACE, SMALL)),) * ceil(
        height / LINE_HEIGHT
    )


def _room(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the width and height, in pixels, of the small picture of an array."""
    rows, columns = max(prod(shape[:-1]), 1), max((1, *shape[-1:]))
    if len(shape) > 2 or (columns >= 16 and isqrt(columns) ** 2 == columns):  # images
        return WIDEST, HIGHEST
    side = min(CELL, WIDEST / columns, HIGHEST / rows)
    return max(round(side * columns), THINNEST), max(round(side * rows), THINNEST)


def _about(op: Op) -> str:
    """Return the first paragraph of the op's docstring, without the call."""
    first = (op.__doc__ or "").partition("\n\n")[0]
    return first.removeprefix(f"{op}: ").replace("\n", " ").replace("`", "")


def _source(origin: Origin | None) -> Json | None:
    """Return the line of the user's program, if recorded under debug()."""
    if origin is None:
        return None
    text = linecache.getline(origin.file, origin.line).strip()
    return {"file": os.path.basename(origin.file), "line": origin.line, "text": text}
