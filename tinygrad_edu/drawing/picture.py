"""Choose what to show of a graph: a box for each value, with its op.

A `Picture` does not depend on layout or file format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.drawing.modules import DrawnModule, common, modules_of, outwards
from tinygrad_edu.drawing.repeats import spans_to_hide
from tinygrad_edu.drawing.words import LONGEST, describe, label, number_text
from tinygrad_edu.engine.autodiff import RELEASED
from tinygrad_edu.engine.graph import Node, topological_order, value_of
from tinygrad_edu.formulas.naming import needs_gradient
from tinygrad_edu.formulas.repeats import Span
from tinygrad_edu.support.language import say
from tinygrad_edu.support.printable import shorten

__all__ = ["KINDS", "Box", "Picture", "is_computed", "kind_in_words", "picture_of"]

KINDS = ["parameter", "constant", "computed", "result", "more"]
# Ops whose inputs are shown in any order: it does not matter, or names show it.
IN_ANY_ORDER = {"add", "multiply", "maximum", "minimum", "linear"}
MANY = 8  # an op with more inputs shows only some of the leaves among them


class Box(NamedTuple):
    """A value, and the op that computed it.

    Attributes
    ----------
    key : int
        For a node, ``node.index``; for a plain array, a negative number; for "more",
        the key of the first value that it replaces.
    kind : {"parameter", "constant", "computed", "result", "more"}
        "more" is one box for several values that are not shown.
    op : str
        The symbol or the name of the op; empty for a leaf and for "more".
    inputs : tuple of int
        The keys of the op's inputs. Inputs that are numbers are part of `op` instead.
    in_order : bool
        Whether the arrows must be in the order of the inputs.
    module : DrawnModule or None
        The module that computed the value.
    name, shape : str
        Empty for a value without a name, and for a single number.
    value, gradient : tuple of str
        Lines of text; empty if there is none.
    about : str
        A description for a tooltip.
    """

    key: int
    kind: str
    op: str = ""
    inputs: tuple[int, ...] = ()
    in_order: bool = True
    module: DrawnModule | None = None
    name: str = ""
    shape: str = ""
    value: tuple[str, ...] = ()
    gradient: tuple[str, ...] = ()
    about: str = ""


def is_computed(x: Any) -> bool:
    return isinstance(x, Node) and x.op is not None


def kind_in_words(kind: str) -> str:
    """Say what a box is."""
    return {
        "parameter": say("parameter (requires_grad)"),
        "constant": say("input or constant"),
        "computed": say("computed"),
        "result": say("result"),
        "more": say("not shown"),
        "op": say("op"),
    }[kind]


class Picture(NamedTuple):
    """The boxes, each after its inputs, and their modules.

    `sources` gives the Node or array for each key, except for "more". `keys` gives the
    key of the box that shows a value (also a "more"), by the value's ``id``. `numbers`
    gives the key that a value has where its box is its own, in all pictures of a graph;
    leaves that share a box have one key.
    `folds` gives the ops that a "more" hides, by its key: turn by turn if it is a loop.
    """

    boxes: list[Box]
    modules: list[DrawnModule]
    sources: dict[int, Any]
    keys: dict[int, int]
    numbers: dict[int, int]
    folds: dict[int, list[list[Node]]]


def picture_of(
    y: Node,
    names: Mapping[int, str] | None = None,
    gradients: Mapping[int, Any] | None = None,
    collapse: bool = True,
    lines: Callable[[Any], tuple[str, ...]] = describe,
    opened: bool = False,
) -> Picture:
    """Return the picture of the graph of `y`.

    Parameters
    ----------
    y : Tensor
        The result of the graph.
    names : dict of int to str, optional
        Names by ``id``, as `names_of` gives them.
    gradients : dict of int to array, optional
        Gradients by key; by default, the ``.grad`` of the leaves.
    collapse : bool
        Whether to leave out repeats; see `spans_to_hide`.
    lines : callable
        Writes a value or a gradient as lines of text.
    opened : bool
        Whether to show, of the turns that are hidden, the middle one too.

    Raises
    ------
    ValueError
        If a part of the graph was released by ``backward()``.
    """
    nodes = topological_order(y)[::-1]
    if any(node.op is RELEASED for node in nodes):
        raise ValueError(
            "draw: a part of this graph was released by backward(); draw it before "
            "that, or pass retain_graph=True to backward()"
        )
    if gradients is None:
        gradients = {n.index: n.grad.data for n in nodes if n.grad is not None}
    scene = _Scene(y, nodes, names or {}, collapse, opened)
    artist = _Artist(scene, gradients, lines)
    artist.draw()
    boxes = list(artist.boxes.values())
    modules = {m for box in boxes for m in outwards(box.module)}
    return Picture(
        boxes,
        sorted(modules, key=lambda module: module.key),
        artist.sources,
        scene.keys,
        scene.numbers,
        scene.folds(),
    )


class _Scene:
    """Chooses which values of a graph share a box, and which have one of their own.

    `keys` gives the key of the box that shows a value, by the value's id. A box for
    several values is in `crowds`. Values without a key are not shown.
    """

    def __init__(
        self,
        y: Node,
        nodes: list[Node],
        names: Mapping[int, str],
        collapse: bool,
        opened: bool,
    ) -> None:
        self.y, self.names = y, names
        self.computed = [node for node in nodes if node.op is not None]
        self.inside = modules_of(nodes)
        self.homes = self._homes_of_parameters()
        self.keys = {id(node): node.index for node in (*self.computed, y)}
        self.numbers = self._numbers()
        # For the key of a crowd: the number of turns, and the values.
        self.crowds: dict[int, tuple[int, list[Any]]] = {}
        for span in spans_to_hide(self.computed, self._looks(), collapse):
            for part in _around_middle(span) if opened else [span]:
                self._crowd(self.computed[part.start : part.stop], part.turns)
        self._choose_leaves()

    def _looks(self) -> list[Any]:
        """Describe each op; two ops with equal descriptions may be repeats."""
        looks = []
        before = None
        for node in self.computed:
            module = self.inside[node]
            name = module and module.name
            enters = module is not None and module is not before
            inputs = tuple(getattr(value_of(x), "shape", None) for x in node.inputs)
            looks.append((node.op.name, node.data.shape, name, enters, inputs))
            before = module
        return looks

    def _numbers(self) -> dict[int, int]:
        """Number all values, also those that are not shown."""
        numbers = dict(self.keys)
        arrays = count(-1, -1)
        for x in chain.from_iterable(node.inputs for node in self.computed):
            if self.is_leaf(x) and id(x) not in numbers:
                numbers[id(x)] = x.index if isinstance(x, Node) else next(arrays)
        return numbers

    def _choose_leaves(self) -> None:
        """Show the inputs of the shown ops; if they are many, most as a crowd."""
        shown = [x for x in self.computed if self.keys[id(x)] not in self.crowds]
        uses = Counter(id(x) for node in shown for x in node.inputs)
        for node in shown:
            leaves = [x for x in node.inputs if self.is_leaf(x)]
            for x in leaves:
                self.keys.setdefault(id(x), self.numbers[id(x)])
            only_here = [x for x in leaves if uses[id(x)] == 1]
            if len(node.inputs) > MANY and len(only_here) > MANY // 2:
                self._crowd(only_here[MANY // 2 - 1 : -1], 0)

    def folds(self) -> dict[int, list[list[Node]]]:
        """Return the ops of each crowd, turn by turn."""
        folds = {}
        for key, (turns, values) in self.crowds.items():
            if not self.is_leaf(values[0]):
                period = len(values) // max(turns, 1)
                starts = range(0, len(values), period)
                folds[key] = [values[i : i + period] for i in starts]
        return folds

    def _crowd(self, values: Sequence[Any], turns: int) -> None:
        key = self.keys[id(values[0])]
        self.crowds[key] = turns, list(values)
        self.keys |= dict.fromkeys(map(id, values), key)
        if self.is_leaf(values[0]):
            self.numbers |= dict.fromkeys(map(id, values), key)

    def is_number(self, x: Any) -> bool:
        """Whether a value is written into the op: a single constant without a name."""
        is_constant = not (is_computed(x) or needs_gradient(x))
        return is_constant and np.ndim(value_of(x)) == 0 and id(x) not in self.names

    def is_leaf(self, x: Any) -> bool:
        return not is_computed(x) and not self.is_number(x)

    def home(self, x: Any) -> DrawnModule | None:
        """Return the module that a value belongs to."""
        made_in = self.inside[x] if isinstance(x, Node) else None
        return made_in or self.homes.get(id(x))

    def _homes_of_parameters(self) -> dict[int, DrawnModule | None]:
        """Find the module of each parameter: no other module uses it.

        A parameter that is an argument of a module does not belong to it.
        """
        homes: dict[int, DrawnModule | None] = {}
        for node in self.computed:
            for x in node.inputs:
                if isinstance(x, Node) and x.op is None and x.requires_grad:
                    here = self.inside[node]
                    homes[id(x)] = common({homes.get(id(x), here), here})
        for x, home in homes.items():
            for module in outwards(home):
                if x in module.call.given:
                    homes[x] = module.outer
        return homes


def _around_middle(span: Span) -> list[Span]:
    """Leave out the middle turn of a span; of two turns, both."""
    if not span.period:
        return [span]
    middle = span.start + span.turns // 2 * span.period
    parts = [span._replace(stop=middle), span._replace(start=middle + span.period)]
    return parts if span.turns > 2 else []


class _Artist:
    """Makes the boxes of a scene."""

    def __init__(
        self,
        scene: _Scene,
        gradients: Mapping[int, Any],
        lines: Callable[[Any], tuple[str, ...]],
    ) -> None:
        self.scene, self.gradients, self.lines = scene, gradients, lines
        self.boxes: dict[int, Box] = {}
        self.sources: dict[int, Any] = {}

    def draw(self) -> None:
        """Draw computed values in order, and each leaf just before its first use."""
        for node in self.scene.computed or [self.scene.y]:
            if self.scene.keys[id(node)] not in self.boxes:
                self._draw(node)

    def _draw(self, x: Any) -> None:
        key = self.scene.keys[id(x)]
        if key in self.scene.crowds:
            self._draw_crowd(key, *self.scene.crowds[key])
        elif is_computed(x):
            numbers = [
                number_text(value_of(z)) if self.scene.is_number(z) else ""
                for z in x.inputs
            ]
            box = Box(
                key,
                kind="result" if x is self.scene.y else "computed",
                op=shorten(label(x.op, numbers, x.params), LONGEST),
                inputs=self._arrows(key, [x]),
                in_order=x.op.name not in IN_ANY_ORDER,
            )
            self._add(box, x)
        else:
            self._add(Box(key, "parameter" if needs_gradient(x) else "constant"), x)

    def _draw_crowd(self, key: int, turns: int, values: Sequence[Any]) -> None:
        nodes = [x for x in values if isinstance(x, Node)]
        ops = [x.op.name for x in nodes if x.op is not None]
        n = f"{turns or len(values):,}"
        if turns:
            name = say("{n} more like this", n=n)
            what = ", ".join(ops[: len(ops) // turns])
        else:
            name = say("{n} more ops", n=n) if ops else say("{n} more inputs", n=n)
            what = ", ".join(name for name, _ in Counter(ops).most_common(4))
        self.boxes[key] = Box(
            key,
            kind="more",
            inputs=self._arrows(key, nodes),
            module=common(map(self.scene.home, values)),
            name=f"… {name} …",
            value=tuple(wrap(what, LONGEST, max_lines=2, placeholder=" …")),
            about=say("{hidden}: {ops}", hidden=name, ops=what) if what else name,
        )

    def _arrows(self, key: int, nodes: Iterable[Node]) -> tuple[int, ...]:
        """Return the keys of the nodes' inputs; draw inputs that have no box yet.

        There is one key for each input; but a crowd has only one arrow from or to it.
        """
        crowds = self.scene.crowds
        arrows: list[int] = []
        seen = {key}
        for node in nodes:
            for x in node.inputs:
                start = self.scene.keys.get(id(x))
                if start is None or (
                    start in seen and (start in crowds or key in crowds)
                ):
                    continue
                seen.add(start)
                arrows.append(start)
                if start not in self.boxes:
                    self._draw(x)
        return tuple(arrows)

    def _add(self, box: Box, x: Any) -> None:
        """Complete a box with its text, and add it."""
        data = np.asarray(value_of(x))
        name = shorten(self.scene.names.get(id(x), ""), LONGEST)
        shape = str(data.shape) if data.ndim else ""
        gradient = self.gradients.get(box.key)
        about = [name, kind_in_words(box.kind), str(data.dtype), shape]
        self.sources[box.key] = x
        self.boxes[box.key] = box._replace(
            module=self.scene.home(x),
            name=name,
            shape=shape,
            value=self.lines(data),
            gradient=() if gradient is None else self.lines(np.asarray(gradient)),
            about=", ".join(filter(None, about)),
        )
