"""`step_through`: the forward and the backward pass in a browser, step by step.

One file holds all: the picture, the numbers, and the program that shows them, which is
kept beside this module as `stepper.html`, `stepper.css` and `stepper.js`.
"""

from __future__ import annotations

import json
import linecache
import os
import sys
from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from tinygrad_edu.derivation import checked_graph
from tinygrad_edu.drawing.layout import lay_out
from tinygrad_edu.drawing.picture import Box, Picture, describe, picture_of
from tinygrad_edu.drawing.svg import svg_of
from tinygrad_edu.graph import Node, value_of
from tinygrad_edu.naming import names_of
from tinygrad_edu.narration import Narrator, Step, all_names
from tinygrad_edu.packing import Arrays

__all__ = ["step_through"]

Json = dict[str, Any]

_FILES = Path(__file__).parent
BUDGET = 700_000  # characters that a page's numbers may take


def step_through(y: Node, path: str | os.PathLike[str] = "page.html") -> Path:
    """Write a page that goes through the forward and the backward pass of `y`.

    It is one HTML file without any link to elsewhere: open it in a browser, show it in
    a lecture, print it. It shows the graph as it was recorded, and fills in a value at
    each step, and then a contribution to a gradient at each step; a click on a node
    shows its arrays. Where the graph was recorded under `debug()`, the line of your
    program is shown as well.

    Parameters
    ----------
    y : Tensor
        A single number, whose graph has not been released: call this before
        ``backward()``. The graph is kept, and no ``.grad`` is changed.
    path : path_like
        Where to write the page; a file that is there is replaced.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    ValueError
        If `y` is no single number, if nothing requires a gradient, or if the graph was
        released.
    TypeError
        If `y` is no Tensor.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> y = x * x * x
    >>> page = getfixture("tmp_path") / "cube.html"
    >>> tg.step_through(y, page).name
    'cube.html'
    """
    nodes = checked_graph("step_through", y)
    narrator = Narrator(nodes, all_names(nodes, names_of(y, sys._getframe(1))))
    return _write(Path(path), _page(narrator))


def _write(path: Path, page: str) -> Path:
    """Write the whole file, or leave what was there."""
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"step_through: there is no folder {path.parent}; create it first"
        )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(page, encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError as error:
        raise type(error)(
            f"step_through: {path} cannot be written ({error.strerror})"
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return path


def _page(narrator: Narrator) -> str:
    """Put the page together."""
    y = narrator.y
    steps = list(narrator.steps())
    gradients = {y.index: np.ones_like(y.data)}
    for step in steps:
        if step.contribution is not None:
            gradients[step.contribution.share.x.index] = step.contribution.total
    picture = picture_of(y, narrator.names, gradients)
    model = _model(picture, steps, gradients, narrator)
    script = _read("stepper.js")
    of_script = b64encode(sha256(script.encode()).digest()).decode()
    return Template(_read("stepper.html")).substitute(
        policy=f"default-src 'none'; script-src 'sha256-{of_script}'; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'",
        title=escape(narrator.name(y)),
        style=_read("stepper.css"),
        picture=svg_of(picture, lay_out(picture)),
        # In JSON a "<" stands in strings only; written like this it ends no element.
        model=json.dumps(model, allow_nan=False).replace("<", r"\u003c"),
        script=script,
    )


def _read(name: str) -> str:
    return (_FILES / name).read_text("utf-8")


# --- The model: all that the page shows, in plain dicts and lists ---------------------


def _model(
    picture: Picture, steps: list[Step], gradients: dict[int, Any], narrator: Narrator
) -> Json:
    arrays = Arrays()
    keys = {id(x): key for key, x in picture.sources.items()}
    rules: dict[int, list[str]] = {}
    for step in steps:
        if step.contribution is not None:
            rules.setdefault(id(step.node), []).append(step.formulas[0])
    nodes = []
    for box in picture.boxes:
        if box.key in picture.sources:
            x = picture.sources[box.key]
            gradient = gradients.get(box.key)
            told = {
                "value": arrays.add(value_of(x)),
                "gradient": None if gradient is None else arrays.add(gradient),
                "rules": rules.get(id(x), []),
            }
            nodes.append(_thing(box, x, narrator) | told)
    return {
        "nodes": nodes,
        "steps": [_step(step, keys, arrays) for step in steps],
        "arrays": arrays.packed(BUDGET),
    }


def _thing(box: Box, x: Any, narrator: Narrator) -> Json:
    """Describe a node, or an array that went in."""
    op = getattr(x, "op", None)
    value = value_of(x)
    return {
        "key": box.key,
        "name": narrator.name(x),
        "kind": box.kind,
        "shape": list(value.shape),
        "dtype": str(value.dtype),
        "op": op and op.name,
        "about": op and _about(op),
        "formula": op and narrator.formula(x),
        "source": _source(getattr(x, "origin", None)),
    }


def _about(op: Any) -> str:
    """The first sentence of the op's docstring, without the call that begins it."""
    first: str = op.__doc__.partition("\n\n")[0]
    return first.removeprefix(f"{op}: ").replace("\n", " ").replace("`", "")


def _source(origin: Any) -> Json | None:
    """The line of the user's program, if it was recorded under debug()."""
    if origin is None:
        return None
    text = linecache.getline(origin.file, origin.line).strip()
    return {"file": os.path.basename(origin.file), "line": origin.line, "text": text}


def _step(step: Step, keys: dict[int, int], arrays: Arrays) -> Json:
    told: Json = {
        "kind": step.kind,
        "sentence": step.sentence,
        "formulas": step.formulas,
        "figures": [
            {"title": title, "array": arrays.add(array), "sign": sign}
            for title, array, sign in step.figures
        ],
    }
    if step.node is not None:
        told["node"] = step.node.index
        if step.kind == "compute":
            told["inputs"] = [keys[id(x)] for x in step.node.inputs if id(x) in keys]
        elif step.kind == "start":
            told["gradient"] = _gradient(step.figures[0].array, True, arrays)
    if step.contribution is not None:
        share, _, total, number, of = step.contribution
        told["to"] = share.x.index
        # Of several edges between the two, which one.
        told["edge"] = sum(x is share.x for x in share.node.inputs[: share.position])
        told["gradient"] = _gradient(total, number == of, arrays)
    return told


def _gradient(array: Any, is_complete: bool, arrays: Arrays) -> Json:
    """A gradient as it stands, and how the picture shows it."""
    return {
        "array": arrays.add(array),
        "lines": list(describe(array)),
        "complete": is_complete,
    }
