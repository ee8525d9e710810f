"""Describe the steps of the forward and backward pass in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.drawing.words import SYMBOLS
from tinygrad_edu.engine.graph import Node, value_of
from tinygrad_edu.explaining.operands import Figure, ShownEquation, equation_of
from tinygrad_edu.explaining.walking import (
    Contribution,
    Key,
    acts_on_any,
    backward_pass,
)
from tinygrad_edu.formulas.algebra import (
    Formula,
    Name,
    Product,
    added,
    parts_of,
    times,
    without,
)
from tinygrad_edu.formulas.naming import needs_gradient
from tinygrad_edu.formulas.quantities import Quantities
from tinygrad_edu.formulas.shares import Share
from tinygrad_edu.formulas.writing import in_text
from tinygrad_edu.support.language import say

__all__ = ["Narrator", "Step"]

Array = np.ndarray[Any, Any]
MOST_NAMES = 8  # in a sentence


class Step(NamedTuple):
    """One step of the forward or the backward pass."""

    kind: str  # "given", "compute", "start", "contribute" or "done"
    sentence: str
    formula: str
    equations: list[ShownEquation]  # the numbers: the last figure of each is the result
    node: Node | None = None  # the op's output
    contribution: Contribution | None = None  # of a step along one edge
    warning: str = ""


class Narrator:
    """Describes the forward and the backward pass of a graph.

    Parameters
    ----------
    names : Quantities
        The names of all quantities; the last quantity is a single number.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.engine.graph import topological_order
    >>> from tinygrad_edu.formulas.quantities import Quantities
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> y = x.square() * 0.5
    >>> nodes = topological_order(y)
    >>> for step in Narrator(Quantities(nodes, {})).steps():
    ...     numbers = [f.array.item() for f in step.equations[-1].figures]
    ...     print(f"{step.kind}: {step.formula}", numbers)
    given:  [3.0]
    compute: t1 = x1^2 [3.0, 3.0, 9.0]
    compute: y = 1/2 t1 [0.5, 9.0, 4.5]
    start: dy/dy = 1 [1.0]
    contribute: dy/dt1 = 1/2 [1.0, 0.5, 0.5]
    contribute: dt1/dx1 = 2 x1 [0.5, 2.0, 3.0, 3.0]
    done:  [3.0]
    """

    def __init__(self, names: Quantities) -> None:
        self.names, self.name = names, names.name
        self.nodes, self.y = names.nodes, names.y
        self.gradients: dict[Node, Array] = {}  # so far
        # What the names in equations stand for that are not names of quantities.
        self.meanings: dict[Formula, Key | Formula] = {}

    def slope(self, x: Node) -> str:
        """Write the derivative of the last quantity with respect to another."""
        return self.names.gradient(x).text

    def steps(self) -> Iterator[Step]:
        """Yield the steps of the forward pass, then those of the backward pass."""
        yield self._given()
        for node in reversed(self.nodes):
            if node.op is not None:
                yield self._compute(node)
        yield self._start()
        for contribution in backward_pass(self.nodes):
            self.gradients[contribution.share.x] = contribution.total
            yield self._contribute(contribution)
        yield self._done()

    def _given(self) -> Step:
        leaves = self.names.leaves
        wanted = [self.name(x) for x in leaves if needs_gradient(x)]
        others = [self.name(x) for x in leaves if not needs_gradient(x)]
        sentence = say(
            "The leaves are given. We want the gradient for {wanted}.",
            wanted=_listed(wanted),
        )
        if others:
            sentence += say(" The rest is constant: {others}.", others=_listed(others))
        shown = [_alone(self.name(x), value_of(x), ("value", id(x))) for x in leaves]
        return Step("given", sentence, "", shown)

    def _compute(self, node: Node) -> Step:
        sources = [self.name(x) for x in node.inputs if id(x) in self.names.names]
        sentence = say(
            "{op} computes {result} from {inputs}.",
            op=node.op.name,
            result=self.name(node),
            inputs=_listed(sources),
        )
        name, right = self.name(node), self.names.formula(node)
        formula = f"{name} = {in_text(right, node.data.shape)}"
        equation = equation_of(right, name, node.data, ("value", id(node)))
        warning = _warning(node)
        return Step("compute", sentence, formula, [equation], node, warning=warning)

    def _start(self) -> Step:
        sentence = say(
            "The backward pass begins at the end. The derivative of {y} with respect "
            "to itself is 1.",
            y=self.name(self.y),
        )
        slope, one = self.slope(self.y), np.ones_like(self.y.data)
        self.gradients[self.y] = one
        shown = [_alone(slope, one, ("gradient", id(self.y)))]
        return Step("start", sentence, f"{slope} = 1", shown, self.y)

    def _contribute(self, contribution: Contribution) -> Step:
        share, before, total, _, of = contribution
        node, x = share.node, share.x
        wanted = self.slope(x)
        value = share.cotangent.data
        g, cotangent = self.names.cotangent(share)
        at = id(node), share.position
        self.meanings[g] = "gradient", id(node)
        factor = without(cotangent, g)

        names = {"y": self.name(node), "op": node.op.name, "x": self.name(x)}
        title = say("contribution") if of > 1 else wanted
        result = title, value, ("share", *at)
        role = _role(share)
        if factor is None:
            via = self.name(node) if of > 1 else ""
            part = self.names.gradient(x, via=via, role=role)
            sentence = say(
                "The gradient of {y} passes back through {op} to {x}, by its rule.",
                **names,
            )
            formula = f"{part.text} = {in_text(cotangent, part.shape)}"
            equations = [equation_of(cotangent, *result)]
        else:
            partial = bool(role) or (of > 1 and _acts_indirectly(share))
            slope = self.names.slope(node, x, factor, partial=partial, role=role)
            local = slope.text
            sentence = say(
                "The gradient of {y} passes back through {op} to {x}: it is multiplied "
                "by the local derivative {local}.",
                local=local,
                **names,
            )
            formula = f"{local} = {in_text(factor, slope.shape)}"
            with np.errstate(all="ignore"):
                if isinstance(factor, Product) and factor.factors:
                    equations = [_with_first(g, equation_of(times(g, factor), *result))]
                else:
                    same = f" = {factor.text}" if isinstance(factor, Name) else ""
                    shown = Name(slope.shape, f"{local}{same}", factor.value)
                    self.meanings[shown] = factor
                    equations = [equation_of(times(g, shown), *result)]
                    if parts_of(factor):
                        first = equation_of(factor, local, factor.value, factor)
                        equations.insert(0, first)
        if before is not None:
            so_far = Name(value.shape, say("so far"), before)
            parts = so_far, Name(value.shape, title, value)
            self.meanings |= zip(parts, [("before", *at), ("share", *at)])
            sum_of_both = equation_of(added(*parts), wanted, total, ("total", *at))
            equations.append(sum_of_both)
        sentence = say(
            "{what_happens} {which_contribution}",
            what_happens=sentence,
            which_contribution=self._count(contribution),
        )
        return Step("contribute", sentence, formula, equations, node, contribution)

    def _count(self, contribution: Contribution) -> str:
        """Say which contribution this is, and whether the gradient is complete."""
        *_, number, of = contribution
        which = {"x": self.name(contribution.share.x), "number": number, "of": of}
        if of == 1:
            return say("Nothing else uses {x}: this is its gradient.", **which)
        if number == 1:
            return say(
                "This is the first of {of} contributions to the gradient of {x}.",
                **which,
            )
        if number < of:
            return say("This is contribution {number} of {of}: it is added.", **which)
        return say(
            "This is the last of {of} contributions: their sum is the gradient of {x}.",
            **which,
        )

    def _done(self) -> Step:
        sentence = say(
            "Done: every leaf has its gradient. {y}.backward() adds these to their "
            ".grad.",
            y=self.name(self.y),
        )
        leaves = [x for x in self.names.leaves if needs_gradient(x)]
        shown = [
            _alone(self.slope(x), self.gradients[x], ("gradient", id(x)))
            for x in leaves
        ]
        return Step("done", sentence, "", shown)


def _with_first(name: Name, equation: ShownEquation) -> ShownEquation:
    """Put a number that comes before a quantity after it: 2 g x becomes g 2 x."""
    first, second, *others = equation.figures
    if second.title == name.text and not first.sign:
        first, second = second._replace(sign=""), first._replace(sign=second.sign)
    return equation._replace(figures=[first, second, *others])


def _warning(node: Node) -> str:
    """Warn of a result that broadcasting has made larger than each of the inputs."""
    shapes = [np.shape(value_of(x)) for x in node.inputs]
    if not node.op.elementwise or node.data.size <= max(map(prod, shapes)):
        return ""
    if len(shapes) == 2 and node.op.name in SYMBOLS:
        met = f"{shapes[0]} {SYMBOLS[node.op.name]} {shapes[1]}"
    else:
        met = say("{op} of {inputs}", op=node.op.name, inputs=_listed(map(str, shapes)))
    return say(
        "{inputs} made {result}: each input was copied along an axis of the other. Is "
        "that what you want? To combine them element by element, give them the same "
        "shape.",
        inputs=met,
        result=node.data.shape,
    )


def _alone(title: str, value: Any, of: Key) -> ShownEquation:
    return ShownEquation([Figure(title, np.asarray(value), of=of)])


def _listed(names: Iterable[str]) -> str:
    """Join names for a sentence: each name once, and not too many."""
    *others, last = dict.fromkeys(names)
    if len(others) >= MOST_NAMES:
        last = say("{n} more", n=len(others) - MOST_NAMES + 2)
        others = others[: MOST_NAMES - 1]
    if not others:
        return last
    return say("{others} and {last}", others=say(", ").join(others), last=last)


def _acts_indirectly(share: Share) -> bool:
    """Whether an input affects the output also through another input."""
    return acts_on_any(share.x, _sources(share.node), _sources)


def _sources(node: Node) -> list[Node]:
    return [x for x in node.inputs if isinstance(x, Node)]


def _role(share: Share) -> str:
    """Distinguish two uses of a quantity by the same op: "as first factor"."""
    if sum(x is share.x for x in share.node.inputs) == 1:
        return ""
    factors = say("as first factor"), say("as second factor")
    terms = say("as first term"), say("as second term")
    roles = {
        "add": terms,
        "subtract": terms,
        "multiply": factors,
        "dot": factors,
        "matmul": factors,
        "outer": factors,
        "divide": (say("as numerator"), say("as denominator")),
        "power": (say("as base"), say("as exponent")),
    }
    inputs = say("as first input"), say("as second input"), say("as third input")
    known, n = roles.get(share.node.op.name, inputs), share.position
    return known[n] if n < len(known) else say("as input {n}", n=n + 1)
