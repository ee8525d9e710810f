"""The catalogue of slips: what people do wrong when they derive backpropagation.

Each entry is a function with the decorator `slip`. Its docstring says what the slip
looks like, the decorator where the lesson is. It goes through a graph and yields
attempts: what to say, and how a backward pass has to be changed to make the slip.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.replay import (
    Edits,
    Place,
    Replay,
    Run,
    cotangent_of,
    share_of,
    value_at,
)
from tinygrad_edu.engine.graph import Node, topological_order, value_of
from tinygrad_edu.engine.op import OPS
from tinygrad_edu.formulas.naming import names_of, needs_gradient
from tinygrad_edu.formulas.quantities import Quantities
from tinygrad_edu.formulas.shares import Share, walk_back
from tinygrad_edu.formulas.writing import in_text

__all__ = ["CATALOGUE", "Attempt", "Scene", "Slip", "attempts", "factor_in_words"]

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
    tried : callable
        Yields the attempts for a scene.
    """

    name: str
    looks: str
    lesson: str
    tried: Callable[[Scene], Iterator[Attempt]]


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
    """

    says: str | Callable[[float], list[str]]
    edits: Mapping[Place, Callable[..., Any]]
    within: str
    lesson: str = ""

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


def slip(lesson: str) -> Callable[[Any], Any]:
    """Put a function into the catalogue."""

    def put(tried: Callable[[Scene], Iterator[Attempt]]) -> Any:
        looks = (tried.__doc__ or "").strip()
        CATALOGUE[tried.__name__] = Slip(tried.__name__, looks, lesson, tried)
        return tried

    return put


def attempts(scene: Scene) -> Iterator[Attempt]:
    """Yield all attempts at all slips of the catalogue."""
    for entry in CATALOGUE.values():
        for attempt in entry.tried(scene):
            yield attempt._replace(lesson=entry.lesson)


# --- The graph, and its words ---------------------------------------------------------


class Edge(NamedTuple):
    """What a node passes back to one of its inputs."""

    node: Node
    position: int
    x: Node

    @property
    def place(self) -> Place:
        return share_of(self.node, self.position)

    def g(self, run: Run) -> Any:
        """Return the cotangent of the node."""
        return run.cotangents[id(self.node)]

    def share(self, run: Run, **how: Any) -> Any:
        """Return what the rule passes back, with other inputs if these are given."""
        return run.share(self.node, self.position, how.pop("g", self.g(run)), **how)


class Scene:
    """A recorded graph in which slips are looked for.

    Attributes
    ----------
    replay : Replay
    parameters : dict of str to Tensor
    edges : list of Edge
        In the order of the walk back.
    """

    def __init__(
        self, y: Node, parameters: dict[str, Node], frame: Any = None
    ) -> None:
        self.y, self.parameters = y, parameters
        self.replay = Replay(y)
        self.nodes = self.replay.nodes
        self._quantities = Quantities(self.nodes, names_of(y, frame, parameters))
        shares, _ = walk_back(self.nodes)
        self.shares = [share for found in shares.values() for share in found]
        self.edges = [
            Edge(node, position, x)
            for node in self.nodes
            if node.op is not None and node.requires_grad
            for position, x in enumerate(node.inputs)
            if needs_gradient(x)
        ]
        self._leaves = {id(x) for x in parameters.values()}

    def is_parameter(self, x: Any) -> bool:
        return id(x) in self._leaves

    def parameter(self, x: Any) -> Any:
        """Return the parameter that `x` is, or that it is the transpose of."""
        if isinstance(x, Node) and x.op is not None and x.op.name == "transpose":
            x = x.inputs[0]
        return x if self.is_parameter(x) else None

    def name(self, x: Any) -> str:
        """Return the name of a quantity: the caller's, or the textbook's."""
        return self._quantities.names.get(id(x), "a number")

    def delta(self, node: Node) -> str:
        """Return the name of a gradient: that of z2 is delta2."""
        name = self.name(node)
        if name[:1] == "z" and name[1:].isdigit():
            return f"delta{name[1:]}"
        return f"d{self.name(self.y)}/d{name}"

    def has_delta(self, node: Node) -> bool:
        """Whether the gradient of a node is a delta, that of a layer's z."""
        return self.delta(node).startswith("delta")

    def text(self, factor: Any, share: Share) -> str:
        """Write a factor of a rule."""
        known = ChainMap(share.known(self._quantities.known), self._quantities.known)
        text = in_text(self._quantities.read(factor, known))
        return f"({text})" if " " in text else text

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The numbers of examples and of outputs, by what they are."""
        inner = (x for x in self.nodes if not self.is_parameter(x))
        shapes = [x.shape for x in inner if x.ndim == 2]
        if not shapes:
            lengths = {len(x.data) for x in self.nodes if x.ndim}
            return {f"the number of elements, {n}": n for n in sorted(lengths)}
        n, m = shapes[0]
        return {f"the number of examples, {n}": n, f"the number of outputs, {m}": m}

    def targets(self) -> list[Any]:
        """Return the constants of the shape (N, 1) that meet a prediction."""
        found = {}
        for node in self.nodes:
            if node.op is not None and node.op.elementwise and len(node.inputs) == 2:
                for y in node.inputs:
                    shape = np.shape(value_of(y))
                    is_column = len(shape) == 2 and shape[0] > shape[1] == 1
                    if is_column and not needs_gradient(y):
                        found[id(y)] = y
        return list(found.values())

    def derivative(self, edge: Edge) -> str:
        """Return the name of a function's derivative: sigma'(z2)."""
        function = edge.node.op.name.removeprefix("np.")
        return f"{'sigma' if function == 'sigmoid' else function}'({self.name(edge.x)})"

    def arrays(self, like: Any) -> Iterator[Any]:
        """Yield the other quantities of the same shape."""
        shape, seen = np.shape(value_of(like)), {id(like)}
        for node in self.nodes:
            for x in (node, *node.inputs):
                value = value_of(x)
                if id(x) in seen or not isinstance(value, np.ndarray):
                    continue
                seen.add(id(x))
                if value.shape == shape and value.dtype.kind == "f":
                    yield x

    def functions(self) -> Iterator[Edge]:
        """Yield the edges of functions of one quantity: sigmoid, tanh, log, ..."""
        for edge in self.edges:
            if edge.node.op.elementwise and len(edge.node.inputs) == 1:
                yield edge

    def products(self) -> Iterator[tuple[Edge, int]]:
        """Yield the edges of products, and which other input is a factor."""
        for edge in self.edges:
            op = edge.node.op
            if op.name in ("dot", "matmul", "linear", "multiply"):
                other = 1 - edge.position if edge.position < 2 else None
                if other is not None and isinstance(
                    value_of(edge.node.inputs[other]), np.ndarray
                ):
                    yield edge, other

    def uses(self, x: Node) -> list[list[Edge]]:
        """Return the edges by which `x` gets its gradient, those of a node together."""
        by_node: dict[int, list[Edge]] = {}
        for edge in self.edges:
            if edge.x is x:
                by_node.setdefault(id(edge.node), []).append(edge)
        return list(by_node.values())

    def penalties(self) -> Iterator[tuple[Node, list[Edge]]]:
        """Yield each parameter with the edges of its penalty: those of a square."""
        for x in self.parameters.values():
            for edges in self.uses(x):
                if self._is_square(edges[0].node, x) and len(self.uses(x)) > 1:
                    yield x, edges

    def _is_square(self, node: Node, x: Node) -> bool:
        inputs = [z for z in node.inputs if isinstance(value_of(z), np.ndarray)]
        return (
            node.op.name in ("squared_norm", "square", "power", "multiply", "vdot")
            and all(z is x for z in inputs)
        )


# --- Factors --------------------------------------------------------------------------


@slip("the-chain-rule")
def derivative_missing(scene: Scene) -> Iterator[Attempt]:
    """All of sigma' is missing at one layer: delta1 = delta2 W2."""
    for edge in scene.functions():
        yield Attempt(
            f"{scene.derivative(edge)} is missing",
            {edge.place: lambda run, _, edge=edge: edge.g(run)},
            scene.delta(edge.x),
        )


@slip("the-chain-rule")
def factor_missing(scene: Scene) -> Iterator[Attempt]:
    """One factor is missing, such as 1 - a of sigma' = a (1 - a)."""
    for share in scene.shares:
        for product in _rule(share):
            if product.op is None or product.op.name != "multiply":
                continue
            for kept in (0, 1):
                factor = product.inputs[1 - kept]
                if not np.ndim(value_of(factor)) and not isinstance(factor, Node):
                    continue
                if any(z is share.g for z in _behind(factor, share)):
                    continue
                text = scene.text(factor, share)
                yield Attempt(
                    f"the factor {text} is missing",
                    {
                        share_of(share.node, share.position): partial(
                            _replay_rule, share, {id(product): kept}
                        )
                    },
                    scene.delta(share.x),
                )


def _rule(share: Share) -> list[Node]:
    """Return the nodes of a rule, oldest first."""
    return _behind(share.cotangent, share)


def _behind(x: Any, share: Share) -> list[Node]:
    if not isinstance(x, Node) or x.index < share.g.index:
        return []
    return [z for z in reversed(topological_order(x)) if z.index >= share.g.index]


def _replay_rule(share: Share, kept: dict[int, int], run: Run, _: Any) -> Any:
    """Apply a rule, but let some products keep only one of their factors."""
    values = {id(z): run.value(x) for z, x in zip(share.given, share.node.inputs)}
    values[id(share.g)] = run.cotangents[id(share.node)]
    for node in _rule(share):
        if node.op is None:
            continue
        inputs = [values.get(id(z), run.value(z)) for z in node.inputs]
        if id(node) in kept:
            value = np.broadcast_to(inputs[kept[id(node)]], node.shape)
        else:
            value = node.op.compute(inputs, node.params)
        values[id(node)] = value
    return values[id(share.cotangent)]


@slip("the-chain-rule")
def derivative_at_the_output(scene: Scene) -> Iterator[Attempt]:
    """sigma' is taken at a instead of z."""
    for edge in scene.functions():

        def at_output(run: Run, _: Any, edge: Edge = edge) -> Any:
            a = run.value(edge.node)
            return edge.share(run, instead={0: a}, y=edge.node.op.compute([a], None))

        if not edge.node.params:
            prime = scene.derivative(edge)
            yield Attempt(
                f"{prime} is taken at {scene.name(edge.node)}, the output, "
                f"instead of {scene.name(edge.x)}",
                {edge.place: at_output},
                scene.delta(edge.x),
            )


@slip("the-chain-rule")
def derivative_of_another_layer(scene: Scene) -> Iterator[Attempt]:
    """sigma' of another layer is used: sigma'(z2) in place of sigma'(z1)."""
    for edge in scene.functions():
        for other in scene.functions():
            same = edge.node.op is other.node.op and edge.node.shape == other.node.shape
            if same and other.node is not edge.node:
                yield Attempt(
                    f"{scene.derivative(other)} is used in place of "
                    f"{scene.derivative(edge)}",
                    {
                        edge.place: lambda run, _, edge=edge, other=other: edge.share(
                            run,
                            instead={0: run.value(other.x)},
                            y=run.value(other.node),
                        )
                    },
                    scene.delta(edge.x),
                )


@slip("cross-entropy")
def derivative_too_much(scene: Scene) -> Iterator[Attempt]:
    """sigma' is there once too often, as for cross-entropy, which cancels it."""
    for edge in scene.functions():
        yield Attempt(
            f"{scene.derivative(edge)} is there one time too many",
            {
                edge.place: lambda run, share, edge=edge: edge.share(run, g=share),
            },
            scene.delta(edge.x),
        )
    for edge in scene.edges:
        if edge.node.op.name == "sigmoid_cross_entropy" and edge.position == 0:
            yield Attempt(
                f"sigma'({scene.name(edge.x)}) does not belong there: "
                "cross-entropy has delta = a - y",
                {edge.place: partial(_times_sigmoid_prime, edge)},
                scene.delta(edge.x),
            )


def _times_sigmoid_prime(edge: Edge, run: Run, share: Any) -> Any:
    a = OPS["sigmoid"](run.value(edge.x))
    return share * a * (1 - a)


@slip("products")
def another_factor(scene: Scene) -> Iterator[Attempt]:
    """Another quantity of the same shape is used: a2 for a1, h1 for x."""
    for edge, other in scene.products():
        right = edge.node.inputs[other]
        for wrong in scene.arrays(right):
            yield Attempt(
                f"{scene.name(wrong)} is used in place of {scene.name(right)}",
                {
                    edge.place: lambda run, _, edge=edge, other=other, wrong=wrong: (
                        edge.share(run, instead={other: run.value(wrong)})
                    )
                },
                scene.delta(edge.x),
            )


@slip("products")
def factor_transposed(scene: Scene) -> Iterator[Attempt]:
    """A square matrix is transposed: delta W^T where it should be delta W."""
    for edge, other in scene.products():
        right = edge.node.inputs[other]
        shape = np.shape(value_of(right))
        if len(shape) == 2 and shape[0] == shape[1] > 1:
            yield Attempt(
                f"{scene.name(right)} is transposed",
                {
                    edge.place: lambda run, _, edge=edge, other=other, right=right: (
                        edge.share(run, instead={other: run.value(right).T})
                    )
                },
                scene.delta(edge.x),
            )


@slip("layer-by-layer")
def another_delta(scene: Scene) -> Iterator[Attempt]:
    """The delta of another layer is used: delta2 in place of delta1."""
    right = scene.replay.right.cotangents
    for edge in scene.edges:
        if not scene.is_parameter(edge.x) and edge.node.op.name != "linear":
            continue
        for other in scene.nodes:
            g = right.get(id(other))
            if g is None or other is edge.node or np.shape(g) != edge.node.shape:
                continue
            if not scene.delta(other).startswith("delta"):
                continue
            yield Attempt(
                f"{scene.delta(other)} is used in place of {scene.delta(edge.node)}",
                {
                    edge.place: lambda run, _, edge=edge, other=other: edge.share(
                        run, g=_delta_of(scene, run, other)
                    )
                },
                scene.delta(edge.x),
            )


def _delta_of(scene: Scene, run: Run, other: Node) -> Any:
    """Return a delta of this run, or the right one if the run comes to it later."""
    later = scene.replay.right.cotangents
    return run.cotangents.get(id(other), later[id(other)])


@slip("products")
def updated_early(scene: Scene) -> Iterator[Attempt]:
    """A weight was updated before its gradient had been passed on."""
    for edge, other in scene.products():
        factor = edge.node.inputs[other]
        w = scene.parameter(factor)
        if w is not None and scene.parameter(edge.x) is None:

            def passed(
                rate: float,
                run: Run,
                _: Any,
                edge: Edge = edge,
                other: int = other,
                w: Any = w,
            ) -> Any:
                factor = edge.node.inputs[other]
                step = scene.replay.right.gradient(w)
                step = step if factor is w else step.T
                return edge.share(
                    run, instead={other: run.value(factor) - rate * step}
                )

            yield Attempt(
                partial(
                    _if_positive,
                    f"{scene.name(w)} was updated before this: compute all gradients "
                    "first, then update",
                ),
                {edge.place: passed},
                scene.delta(edge.x),
            )


def _if_positive(text: str, rate: float) -> list[str]:
    return [text.format(rate=rate)] if 1e-9 < rate < 1e9 else []


# --- Sums -----------------------------------------------------------------------------


@slip("batches")
def sum_over_examples(scene: Scene) -> Iterator[Attempt]:
    """The sum over the batch is missing, is along another axis, or has one row."""
    for edge in scene.edges:
        x = scene.parameter(edge.x)
        if x is None or edge.node.ndim != 2 or edge.node.op.name == "transpose":
            continue
        n, within = len(edge.node.data), scene.delta(x)
        if n < 2 or len(scene.uses(edge.x)) > 1 and edge.node.op.elementwise:
            continue
        yield Attempt(
            f"it is not summed over the {n} examples",
            {cotangent_of(x): partial(_each_example, edge, x)},
            within,
        )
        if x.ndim == 1:
            yield Attempt(
                "it is summed over axis 1, the outputs, and not over axis 0, the "
                "examples",
                {cotangent_of(x): lambda run, _, edge=edge: edge.g(run).sum(axis=1)},
                within,
            )
        for which, row in (("first", 0), ("last", n - 1)):
            yield Attempt(
                f"only the {which} example counts; sum over all {n}",
                {edge.place: partial(_one_example, edge, row)},
                within,
            )


def _one_example(edge: Edge, row: int, run: Run, _: Any) -> Any:
    g = edge.g(run)
    one = np.zeros_like(g)
    one[row] = g[row]
    return edge.share(run, g=one)


def _each_example(edge: Edge, x: Node, run: Run, _: Any) -> Any:
    rows = [_one_example(edge, row, run, _) for row in range(len(edge.g(run)))]
    return np.stack(rows if edge.x is x else [row.T for row in rows])


@slip("shapes")
def shapes_broadcast(scene: Scene) -> Iterator[Attempt]:
    """(N,) against (N, 1): each prediction meets every target."""
    targets = scene.targets()
    if targets:
        n = len(value_of(targets[0]))
        yield Attempt(
            "each prediction meets every target: (N,) against (N, 1) makes "
            f"({n}, {n}); give both the shape (N, 1)",
            dict.fromkeys(map(value_at, targets), _mean_of_rows),
            f"d{scene.name(scene.y)}",
        )


def _mean_of_rows(run: Run, y: Any) -> Any:
    return np.broadcast_to(np.mean(y, axis=0, keepdims=True), np.shape(y))


@slip("several-paths")
def path_missing(scene: Scene) -> Iterator[Attempt]:
    """A quantity is used several times, and one of the paths is missing."""
    penalised = {id(x) for x, _ in scene.penalties()}
    for x in scene.nodes:
        uses = scene.uses(x)
        for edges in uses if len(uses) > 1 else ():
            if id(x) in penalised:
                continue
            yield Attempt(
                f"the path through {scene.name(edges[0].node)} is missing",
                {edge.place: _nothing for edge in edges},
                scene.delta(x),
            )
        for edge in scene.edges:
            if edge.x is x and len(edge.node.inputs) > 1:
                others = [z for z in edge.node.inputs if z is x]
                if len(others) > 1:
                    yield Attempt(
                        f"one of the {len(others)} uses of {scene.name(x)} in "
                        f"{scene.name(edge.node)} is missing",
                        {edge.place: _nothing},
                        scene.delta(x),
                    )


def _nothing(run: Run, share: Any) -> Any:
    return np.zeros_like(share)


# --- L2 and biases --------------------------------------------------------------------


@slip("l2")
def penalty_missing(scene: Scene) -> Iterator[Attempt]:
    """The penalty's part, (lambda / n) w, is forgotten."""
    for x, edges in scene.penalties():
        yield Attempt(
            f"the part of the penalty on {scene.name(x)} is missing",
            {edge.place: _nothing for edge in edges},
            scene.delta(x),
        )


@slip("l2")
def penalty_by_another_size(scene: Scene) -> Iterator[Attempt]:
    """The penalty is divided by the batch's size, not the training set's."""
    for x, edges in scene.penalties():
        yield Attempt(
            partial(
                _if_positive,
                "the part of the penalty is {rate:.4g} times as large as it should be: "
                "divide lambda by the size of the training set, not of the batch",
            ),
            {edge.place: _scaled for edge in edges},
            scene.delta(x),
        )


def _scaled(rate: float, run: Run, share: Any) -> Any:
    return rate * share


@slip("l2")
def penalty_on_another(scene: Scene) -> Iterator[Attempt]:
    """A bias is penalised too, or a weight whose loss has no penalty."""
    penalised = {id(x) for x, _ in scene.penalties()}
    for name, x in scene.parameters.items():
        if id(x) not in penalised:
            yield Attempt(
                partial(
                    _if_positive,
                    f"a penalty, {{rate:.4g}} {name}, is added, which the loss does "
                    "not have" + (": biases are not penalised" if x.ndim < 2 else ""),
                ),
                {cotangent_of(x): partial(_penalised, x)},
                scene.delta(x),
            )


def _penalised(x: Node, rate: float, run: Run, g: Any) -> Any:
    return g + rate * run.value(x)


@slip("forward")
def bias_left_out(scene: Scene) -> Iterator[Attempt]:
    """The forward pass left the bias out: z = W a."""
    for edge in scene.edges:
        is_added = edge.node.op.name in ("add", "linear") and edge.node.ndim
        if is_added and scene.is_parameter(edge.x) and edge.x.ndim < edge.node.ndim:
            yield Attempt(
                f"{scene.name(edge.x)} is left out of the forward pass",
                {value_at(edge.x): lambda run, b: np.zeros_like(b)},
                scene.delta(edge.node),
            )


# --- Numbers --------------------------------------------------------------------------


@slip("sums-and-means")
def scaled(scene: Scene) -> Iterator[Attempt]:
    """A sign or a number is wrong: sum for mean, the 2 of a square, a log's base."""
    inner = [x for x in scene.nodes if x.requires_grad and x.op is not None]
    inner.sort(key=scene.has_delta, reverse=True)
    in_words = partial(factor_in_words, sizes=scene.sizes)
    for x in [*inner, *scene.parameters.values()]:
        yield Attempt(in_words, {cotangent_of(x): _scaled}, scene.delta(x))
    for edge in scene.edges:
        if scene.is_parameter(edge.x):
            yield Attempt(in_words, {edge.place: _scaled}, scene.delta(edge.x))


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


@slip("products")
def gradient_transposed(scene: Scene) -> Iterator[Attempt]:
    """The gradient itself is transposed."""
    for x in scene.parameters.values():
        if x.ndim == 2 and x.shape != (1, 1):
            yield Attempt(
                "it is transposed",
                {cotangent_of(x): lambda run, g: g.T},
                scene.delta(x),
            )


@slip("layer-by-layer")
def gradient_of_another(scene: Scene) -> Iterator[Attempt]:
    """The gradient of another parameter is given, as by an index that is off by one."""
    right = scene.replay.right
    for x in scene.parameters.values():
        for name, other in scene.parameters.items():
            if other is not x and other.shape == x.shape and other.size > 1:
                gradient = right.gradient(other)
                yield Attempt(
                    f"it is the gradient with respect to {name}",
                    {cotangent_of(x): lambda run, g, gradient=gradient: gradient},
                    scene.delta(x),
                )


@slip("layer-by-layer")
def gradient_missing(scene: Scene) -> Iterator[Attempt]:
    """Nothing was computed: the gradient is zero."""
    for x in scene.parameters.values():
        yield Attempt("it is zero", {cotangent_of(x): _nothing}, scene.delta(x))
