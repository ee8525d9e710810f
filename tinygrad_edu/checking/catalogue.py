"""The catalogue of slips: what people do wrong when they derive backpropagation.

Each entry is a function with the decorator `slip`. Its docstring says what the slip
looks like. The decorator says where the lesson is, and in which places of a graph the
slip can be made. For each place the function yields attempts: what to say, and how a
backward pass has to be changed to make the slip.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.replay import (
    Edits,
    Place,
    Run,
    cotangent_of,
    share_of,
    value_at,
)
from tinygrad_edu.checking.scene import Edge, Scene
from tinygrad_edu.engine.graph import Node, topological_order, value_of
from tinygrad_edu.engine.op import OPS
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.formulas.shares import Share

__all__ = ["CATALOGUE", "Attempt", "Slip", "attempts", "factor_in_words"]

Array = np.ndarray[Any, Any]


class Slip(NamedTuple):
    """An entry of the catalogue.

    Attributes
    ----------
    name : str
    looks : str
        What the slip looks like.
    lesson : str
        The section of the documentation that explains it.
    places : callable
        Returns the places of a scene, as arguments for `tried`.
    tried : callable
        Yields the attempts at a place: ``tried(scene, *place)``.
    """

    name: str
    looks: str
    lesson: str
    places: Callable[[Scene], Iterable[tuple[Any, ...]]]
    tried: Callable[..., Iterator[Attempt]]


class Attempt(NamedTuple):
    """One way to make a slip in a graph.

    Attributes
    ----------
    says : str, or callable
        What the slip is, with the names of the graph. A function of a number, the rate,
        if the slip has one: it returns nothing if the rate has no meaning.
    edits : dict
        The changes of the passes, by their place. With a rate, functions of it too.
    within : str
        The quantity whose gradient goes wrong first.
    lesson : str
        The section of the documentation that explains it.
    is_free : bool
        Whether any rate is possible. Then one number more is needed to believe it.
    """

    says: str | Callable[[float], list[str]]
    edits: Mapping[Place, Callable[..., Any]]
    within: str
    lesson: str = ""
    is_free: bool = False

    @property
    def has_rate(self) -> bool:
        """Whether the changes depend on a number, which is to be found."""
        return not isinstance(self.says, str)

    def at(self, rate: float) -> Edits:
        """Return the changes for a rate."""
        if not self.has_rate:
            return self.edits
        return {place: partial(edit, rate) for place, edit in self.edits.items()}

    def words(self, rate: float) -> list[str]:
        """Return what the slip may be, or nothing if the rate has no meaning."""
        return [self.says] if isinstance(self.says, str) else self.says(rate)


CATALOGUE: dict[str, Slip] = {}


def slip(
    lesson: str, places: Callable[[Scene], Iterable[tuple[Any, ...]]]
) -> Callable[[Any], Any]:
    """Put a function into the catalogue."""

    def put(tried: Callable[..., Iterator[Attempt]]) -> Any:
        looks, name = (tried.__doc__ or "").strip(), tried.__name__
        CATALOGUE[name] = Slip(name, looks, lesson, places, tried)
        return tried

    return put


def attempts(scene: Scene) -> Iterator[Attempt]:
    """Yield all attempts at all slips of the catalogue."""
    for entry in CATALOGUE.values():
        for place in entry.places(scene):
            for attempt in entry.tried(scene, *place):
                yield attempt._replace(lesson=entry.lesson)


# --- Functions: sigma' ----------------------------------------------------------------


@slip("the-chain-rule", Scene.functions)
def derivative_missing(scene: Scene, edge: Edge) -> Iterator[Attempt]:
    """All of sigma' is missing at one layer: delta1 = delta2 W2."""
    yield Attempt(
        f"{scene.derivative(edge)} is missing",
        {edge.place: lambda run, _: edge.g(run)},
        scene.delta(edge.x),
    )


@slip("the-chain-rule", Scene.rules)
def factor_missing(scene: Scene, share: Share) -> Iterator[Attempt]:
    """One factor is missing, such as 1 - a of sigma' = a (1 - a)."""
    for product in _behind(share.cotangent, share):
        if product.op is None or product.op.name != "multiply":
            continue
        for kept in (0, 1):
            factor = product.inputs[1 - kept]
            is_number = not np.ndim(value_of(factor)) and not isinstance(factor, Node)
            if not is_number and not any(z is share.g for z in _behind(factor, share)):
                yield Attempt(
                    f"the factor {scene.text(factor, share)} is missing",
                    {
                        share_of(share.node, share.position): partial(
                            _rule_without, share, product, kept
                        )
                    },
                    scene.delta(share.x),
                )


def _behind(x: Any, share: Share) -> list[Node]:
    """Return the nodes of a rule that `x` was computed from, oldest first."""
    if not isinstance(x, Node) or x.index < share.g.index:
        return []
    return [z for z in reversed(topological_order(x)) if z.index >= share.g.index]


def _rule_without(share: Share, product: Node, kept: int, run: Run, _: Any) -> Any:
    """Apply a rule, but let a product keep only one of its factors."""
    values = {id(z): run.value(x) for z, x in zip(share.given, share.node.inputs)}
    values[id(share.g)] = run.cotangents[id(share.node)]
    for node in _behind(share.cotangent, share):
        if node.op is not None:
            inputs = [values.get(id(z), run.value(z)) for z in node.inputs]
            values[id(node)] = (
                np.broadcast_to(inputs[kept], node.data.shape)
                if node is product
                else node.op.compute(inputs, node.params)
            )
    return values[id(share.cotangent)]


@slip("the-chain-rule", Scene.functions)
def derivative_elsewhere(scene: Scene, edge: Edge) -> Iterator[Attempt]:
    """sigma' is taken at a, or at the z of another layer."""

    def at(x: Callable[[Run], Any]) -> Any:
        def share(run: Run, _: Any) -> Any:
            value = x(run)
            y = edge.node.op.compute([value], edge.node.params)
            return edge.share(run, instead={0: value}, y=y)

        return {edge.place: share}

    prime = scene.derivative(edge)
    yield Attempt(
        f"{prime} is taken at {scene.name(edge.node)}, the output, instead of "
        f"{scene.name(edge.x)}",
        at(lambda run: run.value(edge.node)),
        scene.delta(edge.x),
    )
    for z in scene.inputs_of(edge.node.op):
        if z is not edge.x and z.shape == edge.node.shape:
            yield Attempt(
                f"{scene.derivative(edge, z)} is used in place of {prime}",
                at(partial(Run.value, x=z)),
                scene.delta(edge.x),
            )


@slip("cross-entropy", Scene.functions)
def derivative_twice(scene: Scene, edge: Edge) -> Iterator[Attempt]:
    """sigma' is there once too often, as for cross-entropy, which cancels it."""
    yield Attempt(
        f"{scene.derivative(edge)} is there one time too many",
        {edge.place: lambda run, share: edge.share(run, g=share)},
        scene.delta(edge.x),
    )


@slip("cross-entropy", Scene.logits)
def derivative_in_cross_entropy(scene: Scene, edge: Edge) -> Iterator[Attempt]:
    """sigma' is a factor, though cross-entropy has delta = a - y."""

    def times_prime(run: Run, share: Any) -> Any:
        a = OPS["sigmoid"](run.value(edge.x))
        return share * a * (1 - a)

    yield Attempt(
        f"sigma'({scene.name(edge.x)}) does not belong there: cross-entropy has "
        "delta = a - y",
        {edge.place: times_prime},
        scene.delta(edge.x),
    )


# --- Products: which factor -----------------------------------------------------------


@slip("products", Scene.products)
def factor_transposed(scene: Scene, edge: Edge, other: int) -> Iterator[Attempt]:
    """A square matrix is transposed: delta W^T where it should be delta W."""
    right = edge.node.inputs[other]
    shape = np.shape(value_of(right))
    if len(shape) == 2 and shape[0] == shape[1] > 1:
        name = scene.name(right).removesuffix("^T")
        yield Attempt(
            f"{name} and its transpose are confused",
            {
                edge.place: lambda run, _: edge.share(
                    run, instead={other: run.value(right).T}
                )
            },
            scene.delta(edge.x),
        )


@slip("products", Scene.products)
def another_factor(scene: Scene, edge: Edge, other: int) -> Iterator[Attempt]:
    """Another quantity of the same shape is used: a2 for a1, h1 for x."""
    right = edge.node.inputs[other]
    for name, value in scene.arrays(right):
        yield Attempt(
            f"{name} is used in place of {scene.name(right)}",
            {
                edge.place: lambda run, _, value=value: edge.share(
                    run, instead={other: value(run)}
                )
            },
            scene.delta(edge.x),
        )


@slip("layer-by-layer", Scene.layers)
def another_delta(scene: Scene, edge: Edge) -> Iterator[Attempt]:
    """The delta of another layer is used: delta2 in place of delta1."""
    right = scene.replay.right.cotangents

    def by_other(other: Any, run: Run, _: Any) -> Any:
        # A later layer's delta may be wrong as well; an earlier one is not known yet.
        return edge.share(run, g=run.cotangents.get(id(other), right[id(other)]))

    for other in scene.nodes:
        is_same = np.shape(right.get(id(other))) == edge.node.shape
        if other is not edge.node and scene.has_delta(other) and is_same:
            yield Attempt(
                f"{scene.delta(other)} is used in place of {scene.delta(edge.node)}",
                {edge.place: partial(by_other, other)},
                scene.delta(edge.x),
            )


@slip("products", Scene.products)
def updated_early(scene: Scene, edge: Edge, other: int) -> Iterator[Attempt]:
    """A weight was updated before its gradient had been passed on."""
    factor = edge.node.inputs[other]
    w = scene.parameter(factor)
    if w is None or scene.parameter(edge.x) is not None:
        return

    def by_new_weight(rate: float, run: Run, _: Any) -> Any:
        step = scene.mine(w) if factor is w else scene.mine(w).T
        return edge.share(run, instead={other: run.value(factor) - rate * step})

    yield Attempt(
        partial(
            _if_positive,
            f"{scene.name(w)} was updated before this: compute all gradients first, "
            "then update",
        ),
        {edge.place: by_new_weight},
        scene.delta(edge.x),
        is_free=True,
    )


def _if_positive(text: str, rate: float) -> list[str]:
    return [text.format(rate=rate)] if 1e-9 < rate < 1e9 else []


# --- Sums: over examples, over paths --------------------------------------------------


@slip("batches", Scene.layers)
def sum_over_examples(scene: Scene, edge: Edge) -> Iterator[Attempt]:
    """The sum over the batch is missing, is along another axis, or has one row."""
    x = scene.parameter(edge.x)
    if x is None or edge.node.ndim != 2 or len(edge.node.data) < 2:
        return
    n, within = len(edge.node.data), scene.delta(x)

    def one_example(row: int, run: Run, _: Any) -> Any:
        one = np.zeros_like(edge.g(run))
        one[row] = edge.g(run)[row]
        return edge.share(run, g=one)

    def each_example(run: Run, _: Any) -> Any:
        rows = [one_example(row, run, _) for row in range(n)]
        return np.stack(rows if edge.x is x else [row.T for row in rows])

    yield Attempt(
        f"it is not summed over the {n} examples",
        {edge.place if edge.x is x else share_of(edge.x, 0): each_example},
        within,
    )
    if x.ndim == 1:
        yield Attempt(
            "it is summed over axis 1, the outputs, and not over axis 0, the examples",
            {edge.place: lambda run, _: edge.g(run).sum(axis=1)},
            within,
        )
    for which, row in (("first", 0), ("last", n - 1)):
        yield Attempt(
            f"only the {which} example counts; sum over all {n}",
            {edge.place: partial(one_example, row)},
            within,
        )


@slip("shapes", Scene.columns)
def shapes_broadcast(scene: Scene, *targets: Any) -> Iterator[Attempt]:
    """(N,) against (N, 1): each prediction meets every target."""
    n = len(value_of(targets[0]))
    yield Attempt(
        f"each prediction meets every target: (N,) against (N, 1) makes ({n}, {n}); "
        "give both the shape (N, 1)",
        dict.fromkeys(map(value_at, targets), _mean_of_rows),
        f"d{scene.name(scene.y)}",
    )


def _mean_of_rows(run: Run, y: Any) -> Any:
    return np.broadcast_to(np.mean(y, axis=0, keepdims=True), np.shape(y))


@slip("several-paths", Scene.paths)
def path_missing(scene: Scene, *edges: Edge) -> Iterator[Attempt]:
    """A quantity is used several times, and one of the paths is missing."""
    yield Attempt(
        f"the path through {scene.name(edges[0].node)} is missing",
        {edge.place: _nothing for edge in edges},
        scene.delta(edges[0].x),
    )


@slip("several-paths", Scene.paths)
def use_missing(scene: Scene, *edges: Edge) -> Iterator[Attempt]:
    """A quantity is used twice in one op, as in x * x, and counts once."""
    for edge in edges if len(edges) > 1 else ():
        yield Attempt(
            f"one of the {len(edges)} uses of {scene.name(edge.x)} in "
            f"{scene.name(edge.node)} is missing",
            {edge.place: _nothing},
            scene.delta(edge.x),
        )


def _nothing(run: Run, share: Any) -> Any:
    return np.zeros_like(share)


# --- L2 and biases --------------------------------------------------------------------


@slip("l2", Scene.penalties)
def penalty_missing(scene: Scene, *edges: Edge) -> Iterator[Attempt]:
    """The penalty's part, (lambda / n) w, is forgotten."""
    x = edges[0].x
    yield Attempt(
        f"the part of the penalty on {scene.name(x)} is missing",
        {edge.place: _nothing for edge in edges},
        scene.delta(x),
    )


@slip("l2", Scene.penalties)
def penalty_by_another_size(scene: Scene, *edges: Edge) -> Iterator[Attempt]:
    """The penalty is divided by the batch's size, not the training set's."""
    yield Attempt(
        partial(
            _if_positive,
            "the part of the penalty is {rate:.4g} times as large as it should be: "
            "divide lambda by the size of the training set, not of the batch",
        ),
        {edge.place: _scaled for edge in edges},
        scene.delta(edges[0].x),
        is_free=True,
    )


def _scaled(rate: float, run: Run, share: Any) -> Any:
    return rate * share


@slip("l2", Scene.unpenalised)
def penalty_on_another(scene: Scene, x: Tensor) -> Iterator[Attempt]:
    """A bias is penalised too, or a weight whose loss has no penalty."""
    name = scene.name(x)
    yield Attempt(
        partial(
            _if_positive,
            f"a penalty, {{rate:.4g}} {name}, is added, which the loss does not have"
            + (": biases are not penalised" if x.ndim < 2 else ""),
        ),
        {cotangent_of(x): lambda rate, run, g: g + rate * run.value(x)},
        scene.delta(x),
        is_free=True,
    )


@slip("forward", Scene.layers)
def bias_left_out(scene: Scene, edge: Edge) -> Iterator[Attempt]:
    """The forward pass left the bias out: z = W a."""
    if scene.is_parameter(edge.x) and edge.x.ndim < edge.node.ndim:
        yield Attempt(
            f"{scene.name(edge.x)} is left out of the forward pass",
            {value_at(edge.x): _nothing},
            scene.delta(edge.node),
        )


# --- Numbers --------------------------------------------------------------------------


@slip("sums-and-means", Scene.scales)
def scaled(scene: Scene, place: Place, name: str) -> Iterator[Attempt]:
    """A sign or a number is wrong: sum for mean, the 2 of a square, a log's base."""
    yield Attempt(partial(factor_in_words, sizes=scene.sizes), {place: _scaled}, name)


def factor_in_words(factor: float, sizes: Mapping[str, int]) -> list[str]:
    """Return what may have made a gradient wrong by a factor; the simplest causes.

    Parameters
    ----------
    factor : float
        The wrong gradient divided by the right one.
    sizes : dict of str to int
        The numbers of things to sum over, or to average, by what they count.

    Examples
    --------
    >>> factor_in_words(-5.0, {"the batch's size": 5})
    ["its sign is flipped, and it is 5 times too large: divide by the batch's size"]
    >>> factor_in_words(1.234, {})
    []
    """
    causes = [
        (-1.0, "its sign is flipped"),
        (2.0, "it is twice as large as it should be"),
        (0.5, "it is half as large as it should be"),
    ]
    for what, n in sizes.items():
        if n > 1:
            causes += [
                (n, f"it is {n} times too large: divide by {what}"),
                (1 / n, f"it is {n} times too small: do not divide by {what}"),
            ]
    for base in (2, 10):
        log = math.log(base)
        causes += [
            (1 / log, f"it is divided by ln {base}: use the natural logarithm"),
            (log, f"it is multiplied by ln {base}: use the natural logarithm"),
        ]
    for many in (1, 2):
        found = [
            ", and ".join(text for _, text in together)
            for together in combinations(causes, many)
            if math.isclose(math.prod(k for k, _ in together), factor, rel_tol=1e-6)
        ]
        if found:
            return found
    return []


# --- Whole gradients ------------------------------------------------------------------


@slip("products", Scene.each_parameter)
def gradient_transposed(scene: Scene, x: Tensor) -> Iterator[Attempt]:
    """The gradient itself is transposed."""
    if x.ndim == 2 and x.size > 1:
        yield Attempt(
            "it is transposed", {cotangent_of(x): lambda run, g: g.T}, scene.delta(x)
        )


@slip("layer-by-layer", Scene.each_parameter)
def gradient_of_another(scene: Scene, x: Tensor) -> Iterator[Attempt]:
    """The gradient of another parameter is given: an index is off by one."""
    for name, other in scene.parameters.items():
        if other is not x and other.shape == x.shape and other.size > 1:
            gradient = scene.replay.right.gradient(other)
            yield Attempt(
                f"it is the gradient with respect to {name}",
                {cotangent_of(x): lambda run, g, gradient=gradient: gradient},
                scene.delta(x),
            )


@slip("layer-by-layer", Scene.each_parameter)
def gradient_missing(scene: Scene, x: Tensor) -> Iterator[Attempt]:
    """Nothing was computed: the gradient is zero."""
    yield Attempt("it is zero", {cotangent_of(x): _nothing}, scene.delta(x))
