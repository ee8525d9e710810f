"""The steps of the forward and the backward pass, in words, formulas and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.graph import Node, value_of
from tinygrad_edu.naming import unused
from tinygrad_edu.walking import (
    Share,
    backward_pass,
    forward_pass,
    needs_gradient,
    quantities,
)

__all__ = ["Figure", "Names", "Step", "all_names", "all_steps", "formula"]

Array = np.ndarray[Any, Any]
Names = dict[int, str]  # by id
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
MANY = 8  # names in a sentence


class Figure(NamedTuple):
    """Numbers that a step shows, and how they go with those before them."""

    title: str
    array: Array
    sign: str = ""


class Step(NamedTuple):
    """One step of the walk."""

    kind: str  # "given", "compute", "start", "share" or "done"
    sentence: str
    formulas: tuple[str, ...]
    figures: list[Figure]
    node: Node | None = None  # whose op is at work
    share: Share | None = None  # what passes an edge

    @property
    def is_backward(self) -> bool:
        return self.kind in ("start", "share", "done")


def all_steps(y: Node, names: Names) -> Iterator[Step]:
    """Go through the forward pass, then through the backward pass.

    Parameters
    ----------
    y : Tensor
        The end of the graph: a single number.
    names : dict of int to str
        What everything is called, by `id`.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> for step in all_steps(y, {id(x): "x", id(y): "y"}):
    ...     print(step.kind, *(figure.array for figure in step.figures))
    given 3.0
    compute 9.0
    start 1.0
    share 1.0 3.0 3.0
    share 1.0 3.0 3.0 3.0 6.0
    done 6.0
    """
    yield _given(y, names)
    for node in forward_pass(y):
        yield _compute(node, names)
    yield _start(y, names)
    gradients = {y: np.ones_like(y.data)}
    for share in backward_pass(y):
        gradients[share.x] = share.total
        yield _share(share, y, names)
    yield _done(y, names, gradients)


def all_names(y: Node, names: Names) -> Names:
    """Name also what has no name: t1, t2, ...; but a number stands for itself."""
    names = dict(names)
    taken = set(names.values())
    free = (name for i in count(1) if (name := f"t{i}") not in taken)
    if id(y) not in names:
        names[id(y)] = unused("y", taken)
    for x in quantities(y):
        if id(x) not in names and (value_of(x).ndim or needs_gradient(x)):
            names[id(x)] = next(free)
    return names


def _given(y: Node, names: Names) -> Step:
    leaves = [x for x in _named(y, names) if getattr(x, "op", None) is None]
    wanted = [names[id(x)] for x in leaves if needs_gradient(x)]
    others = [names[id(x)] for x in leaves if not needs_gradient(x)]
    sentence = f"The leaves are given. We want the gradient for {_listed(wanted)}"
    if others:
        verb = "is" if len(others) == 1 else "are"
        sentence += f"; {_listed(others)} {verb} constant"
    figures = [Figure(names[id(x)], np.asarray(value_of(x))) for x in leaves]
    return Step("given", f"{sentence}.", (), figures)


def _compute(node: Node, names: Names) -> Step:
    name = names[id(node)]
    sources = [names[id(x)] for x in node.inputs if id(x) in names]
    sentence = f"{node.op.name} computes {name} from {_listed(sources)}."
    figures = [Figure(name, node.data)]
    return Step("compute", sentence, (formula(node, names),), figures, node)


def _start(y: Node, names: Names) -> Step:
    name = names[id(y)]
    sentence = (
        f"The backward pass begins at the end. {name} changes exactly as much as "
        "itself: its gradient is 1."
    )
    slope = f"d{name}/d{name}"
    figures = [Figure(slope, np.ones_like(y.data))]
    return Step("start", sentence, (f"{slope} = 1",), figures, y)


def _share(share: Share, y: Node, names: Names) -> Step:
    node, x, end = (names[id(thing)] for thing in (share.node, share.x, y))
    op = share.node.op.name
    arrived, wanted, local = f"d{end}/d{node}", f"d{end}/d{x}", f"d{node}/d{x}"
    sign = "=" if share.number == 1 else "+="
    figures = [Figure(arrived, share.gradient)]
    formulas = [local_formula(share, names)]
    if share.local is None:
        sentence = f"The gradient of {node} goes back through {op}, to {x}."
        figures.append(Figure("contribution", share.contribution, "\u2192"))
    else:
        sentence = (
            f"The gradient of {node} goes back through {op}, to {x}: it is multiplied "
            "by the local derivative."
        )
        formulas.append(f"{wanted} {sign} {arrived} * {local}")
        figures.append(Figure(local, share.local, "\u00d7"))
        figures.append(Figure("contribution", share.contribution, "="))
        if share.x.data.shape != share.node.data.shape:
            sentence += (
                f" {x} was repeated to the shape {share.node.data.shape}, so what "
                "reaches it is summed."
            )
    if share.before is None:
        figures[-1] = figures[-1]._replace(title=wanted)
    else:
        figures.append(Figure("so far", share.before, "+"))
        figures.append(Figure(wanted, share.total, "="))
    sentence += " " + _standing(share, x)
    return Step("share", sentence, tuple(formulas), figures, share.node, share)


def _standing(share: Share, x: str) -> str:
    """Tell where the sum of contributions stands."""
    if share.of == 1:
        return f"Nothing else uses {x}: this is its gradient."
    if share.number == 1:
        return f"This is the first of {share.of} contributions to the gradient of {x}."
    if share.number < share.of:
        return f"This is contribution {share.number} of {share.of}: it is added."
    return f"This is the last of {share.of} contributions: their sum is the gradient."


def _done(y: Node, names: Names, gradients: dict[Node, Array]) -> Step:
    sentence = (
        f"Done: every leaf has its gradient. {names[id(y)]}.backward() adds these to "
        "their .grad."
    )
    figures = [
        Figure(f"d{names[id(y)]}/d{names[id(x)]}", gradients[x])
        for x in _named(y, names)
        if needs_gradient(x) and x.op is None
    ]
    return Step("done", sentence, (), figures)


def _named(y: Node, names: Names) -> list[Any]:
    return [x for x in quantities(y) if id(x) in names]


def _listed(names: Sequence[str]) -> str:
    """Write names as a sentence has them; each once, and not too many."""
    names = list(dict.fromkeys(names))
    if len(names) > MANY:
        names = [*names[: MANY - 1], f"{len(names) - MANY + 1} more"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


# --- Until the printer of formulas is there -------------------------------------------


def formula(node: Node, names: Names) -> str:
    inputs = [names.get(id(x)) or f"{x}" for x in node.inputs]
    return f"{names[id(node)]} = {node.op.name}({', '.join(inputs)})"


def local_formula(share: Share, names: Names) -> str:
    node, x = names[id(share.node)], names[id(share.x)]
    return f"d{node}/d{x} = rule {share.position} of {share.node.op.name}"
