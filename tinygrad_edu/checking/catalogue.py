"""The catalogue of slips: what people do wrong when they derive backpropagation.

Each entry is a function with the decorator `slip`. Its docstring says what the slip
looks like. The decorator says where the lesson is, and in which places of a graph the
slip can be made. For each place the function yields what to say, and what the slip
passes on there in place of the right share or gradient; or an `Attempt`, if more than
that is to be said.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial, reduce
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.case import Case, Use
from tinygrad_edu.checking.replay import Edits, Rerun, Spot, cotangent_of, value_at
from tinygrad_edu.engine.graph import Node, topological_order, value_of
from tinygrad_edu.engine.op import OPS
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.formulas.shares import Share
from tinygrad_edu.support.language import say

__all__ = [
    "CATALOGUE",
    "Attempt",
    "Slip",
    "attempts",
    "both",
    "factor_in_words",
    "is_round",
    "usual_factors",
]

Array = np.ndarray[Any, Any]
ACTIVATIONS = ("sigmoid", "tanh", "relu")


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
    is_free : bool
        Whether any rate is possible. Then one number more is needed to believe it.
    scaled : str
        What is multiplied by the rate; it is said if that is not the whole gradient.
    lesson : str, or callable
        The page of the documentation that explains it, or a function of the rate.
    is_rare : bool
        Whether it is not tried together with another slip.
    """

    says: str | Callable[[float], list[str]]
    edits: Mapping[Spot, Callable[..., Any]]
    within: str
    is_free: bool = False
    scaled: str = ""
    lesson: str | Callable[[float], str] = ""
    is_rare: bool = False

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

    def page(self, rate: float = 1.0) -> str:
        """Return the page of the documentation that explains it."""
        return self.lesson if isinstance(self.lesson, str) else self.lesson(rate)


Tries = Iterator[Attempt | tuple[str, Callable[..., Any]]]


class Slip(NamedTuple):
    """An entry of the catalogue.

    Attributes
    ----------
    looks : str
        What the slip looks like.
    lesson, is_rare
        As for `Attempt`.
    places : callable
        Returns the places of a case, as arguments for `tried`.
    tried : callable
        Yields the attempts at a place: ``tried(case, *place)``.
    """

    looks: str
    lesson: str | Callable[[float], str]
    is_rare: bool
    places: Callable[[Case], Iterable[tuple[Any, ...]]]
    tried: Callable[..., Tries]


CATALOGUE: dict[str, Slip] = {}


def slip(
    lesson: str | Callable[[float], str],
    places: Callable[[Case], Iterable[tuple[Any, ...]]],
    is_rare: bool = False,
) -> Callable[[Any], Any]:
    """Put a function into the catalogue."""

    def put(tried: Callable[..., Tries]) -> Any:
        looks = (tried.__doc__ or "").strip()
        CATALOGUE[tried.__name__] = Slip(looks, lesson, is_rare, places, tried)
        return tried

    return put


def attempts(case: Case) -> Iterator[Attempt]:
    """Yield all attempts at all slips of the catalogue."""
    for entry in CATALOGUE.values():
        for place in entry.places(case):
            for found in entry.tried(case, *place):
                if not isinstance(found, Attempt):
                    found = _attempt(case, place, *found)
                yield found._replace(lesson=entry.lesson, is_rare=entry.is_rare)


def _attempt(case: Case, place: tuple[Any, ...], says: str, change: Any) -> Attempt:
    """Change what the uses of a place pass on, or else the gradient of a parameter."""
    uses = [part for part in place if isinstance(part, Use)]
    x = uses[0].x if uses else place[0]
    spots = [use.spot for use in uses] or [cotangent_of(x)]
    return Attempt(says, dict.fromkeys(spots, change), case.delta(x))


def _confused(wrong: str, right: str) -> str:
    return say("{wrong} is used in place of {right}", wrong=wrong, right=right)


def _nothing(run: Rerun, share: Any) -> Any:
    return np.zeros_like(share)


# --- Functions: sigma' ----------------------------------------------------------------


@slip("lessons/01-one-path", Case.functions)
def derivative_missing(case: Case, use: Use) -> Tries:
    """All of sigma' is missing at one layer: delta1 = delta2 W2."""
    yield say("{derivative} is missing", derivative=case.derivative(use)), use.pass_on


@slip("lessons/01-one-path", Case.rules)
def factor_missing(case: Case, use: Use, share: Share) -> Tries:
    """One factor is missing, such as 1 - a of sigma' = a (1 - a)."""
    for product in _behind(share.cotangent, share):
        if product.op is None or product.op.name != "multiply":
            continue
        for kept in (0, 1):
            factor = product.inputs[1 - kept]
            has_g = any(z is share.g for z in _behind(factor, share))
            if case.is_quantity(factor) and not has_g:
                text = case.text(factor, share)
                says = say("the factor {factor} is missing", factor=text)
                if factor is product.inputs[kept]:
                    says = say("{factor} is not squared", factor=text)
                yield says, partial(_rule_without, share, product, kept)


def _behind(x: Any, share: Share) -> list[Node]:
    """Return the nodes of a rule that `x` was computed from, oldest first."""
    if not isinstance(x, Node) or x.index < share.g.index:
        return []
    return [z for z in reversed(topological_order(x)) if z.index >= share.g.index]


def _rule_without(share: Share, product: Node, kept: int, run: Rerun, _: Any) -> Any:
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


@slip("lessons/01-one-path", Case.functions)
def derivative_elsewhere(case: Case, use: Use) -> Tries:
    """sigma' is taken at a, or at the z of another layer."""
    op, params, shape = use.node.op, use.node.params, use.node.shape

    def at(x: Any, run: Rerun, _: Any) -> Any:
        value = run.value(x)
        y = op.compute([value], params)
        return use.share(run, instead={0: value}, y=y)

    prime = case.derivative(use)
    says = say(
        "{derivative} is taken at {output}, the output, instead of {input}",
        derivative=prime,
        output=case.name(use.node),
        input=case.name(use.x),
    )
    yield says, partial(at, use.node)
    for z in case.inputs_of(op):
        fits = z.ndim == len(shape) and all(
            n in (1, wanted) for n, wanted in zip(z.shape, shape)
        )
        if z is not use.x and fits:
            yield _confused(case.derivative(use, z), prime), partial(at, z)


@slip("lessons/01-one-path", Case.functions, is_rare=True)
def output_of_derivative(case: Case, use: Use) -> Tries:
    """sigma' = a (1 - a) has z in place of a; or a stands there alone."""
    a, prime = use.node, case.derivative(use)
    data = (x for node in case.nodes for x in node.inputs if isinstance(x, np.ndarray))
    for x in (use.x, *data):
        if x.shape == a.shape:
            confused = _confused(case.name(x), case.name(a))
            says = say(
                "{confused} in {derivative}", confused=confused, derivative=prime
            )
            yield says, lambda run, _, x=x: use.share(run, y=run.value(x))
    yield _confused(case.name(a), prime), lambda run, _: use.g(run) * run.value(a)
    if a.op.name == "relu":
        yield (
            say(
                "{derivative} has 1 in place of 0, and 0 in place of 1",
                derivative=prime,
            ),
            lambda run, share: use.g(run) - share,
        )


@slip("lessons/01-one-path", Case.functions)
def derivative_of_another(case: Case, use: Use) -> Tries:
    """The derivative of another function is used: for tanh, a (1 - a)."""
    for name in ("sigmoid", "tanh"):
        yield from _by_rule_of(name, case, use, of_a=True)


@slip("lessons/01-one-path", Case.functions, is_rare=True)
def derivative_of_another_at_z(case: Case, use: Use) -> Tries:
    """The derivative of another function is used: for tanh, sigma'(z)."""
    for name in ACTIVATIONS:
        yield from _by_rule_of(name, case, use, of_a=False)


def _by_rule_of(name: str, case: Case, use: Use, of_a: bool) -> Tries:
    other = OPS[name]
    (rule,) = other.rule_of_each

    def by_rule(run: Rerun, _: Any) -> Any:
        x = run.value(use.x)
        return rule(use.g(run), run.value(use.node) if of_a else other(x), x)

    if use.node.op is not other:
        yield (
            say(
                "the derivative of {function} is used in place of {right}",
                function=name,
                right=case.derivative(use),
            ),
            by_rule,
        )


@slip("lessons/05-cross-entropy", Case.functions)
def derivative_twice(case: Case, use: Use) -> Tries:
    """sigma' is there once too often, as for cross-entropy, which cancels it."""
    prime = case.derivative(use)
    yield (
        say("{derivative} is there one time too many", derivative=prime),
        lambda run, share: use.share(run, g=share),
    )


@slip("lessons/05-cross-entropy", Case.logits)
def derivative_in_cross_entropy(case: Case, use: Use) -> Tries:
    """sigma' is a factor, though cross-entropy has delta = a - y."""

    def times_prime(run: Rerun, share: Any) -> Any:
        a = OPS["sigmoid"](run.value(use.x))
        return share * a * (1 - a)

    z = case.name(use.x)
    yield (
        say("sigma'({z}) does not belong there: cross-entropy has delta = a - y", z=z),
        times_prime,
    )


@slip("lessons/05-cross-entropy", Case.softmaxes, is_rare=True)
def softmax_of_each(case: Case, use: Use) -> Tries:
    """Softmax is treated as a function of each z alone, like sigmoid."""

    def p(run: Rerun) -> Any:
        return np.exp(run.value(use.node))

    yield (
        say(
            "the factor p (1 - p) does not belong there: softmax and cross-entropy "
            "together have delta = p - y"
        ),
        lambda run, share: share * p(run) * (1 - p(run)),
    )
    yield (
        say("each p of softmax depends on every z, not on its own alone"),
        lambda run, _: use.g(run) * (1 - p(run)),
    )


@slip("lessons/01-one-path", Case.chains)
def chain_broken(case: Case, use: Use) -> Tries:
    """The chain ends too early: a local derivative stands alone, without delta."""
    yield (
        say("the factor {factor} is missing", factor=case.delta(use.node)),
        lambda run, _: use.share(run, g=np.ones_like(use.g(run))),
    )


# --- Products: which factor -----------------------------------------------------------


@slip("lessons/03-layers", Case.products)
def factor_transposed(case: Case, use: Use, other: int) -> Tries:
    """A square matrix is transposed: delta W^T where it should be delta W."""
    right = use.node.inputs[other]
    shape = np.shape(value_of(right))
    if len(shape) == 2 and shape[0] == shape[1] > 1:
        name = case.name(right).removesuffix("^T")
        yield (
            say("{name} and its transpose are confused", name=name),
            lambda run, _: use.share(run, instead={other: run.value(right).T}),
        )


@slip("lessons/03-layers", Case.products)
def another_factor(case: Case, use: Use, other: int) -> Tries:
    """Another quantity is used, mostly of the same shape: a2 for a1, h1 for x."""
    right, w = use.node.inputs[other], case.parameter(use.x)
    for name, value in case.arrays(right, of_shape=w is None or case.fits(w)):
        yield (
            _confused(name, case.name(right)),
            lambda run, _, value=value: use.share(run, instead={other: value(run)}),
        )


@slip("lessons/03-layers", Case.products, is_rare=True)
def factor_of_ones(case: Case, use: Use, other: int) -> Tries:
    """A delta is passed on without the weights, as it is or as its sum."""
    factor = use.node.inputs[other]
    says = say("the factor {factor} is missing", factor=case.name(factor))
    if use.node.shape == use.x.shape:
        yield says, use.pass_on
    ones = np.ones_like(value_of(factor))
    yield says, lambda run, _: use.share(run, instead={other: ones})


@slip("lessons/03-layers", Case.layers)
def another_delta(case: Case, use: Use) -> Tries:
    """The delta of another layer is used: delta2 in place of delta1."""
    right = case.replay.right.cotangents

    def by_other(other: Any, run: Rerun, _: Any) -> Any:
        # A later layer's delta may be wrong as well; an earlier one is not known yet.
        known = ChainMap(run.cotangents, run.right.cotangents)
        return use.share(run, g=known[id(other)])

    for other in case.nodes:
        is_same = np.shape(right.get(id(other), 0)) == use.node.shape
        if other is not use.node and case.has_delta(other) and is_same:
            says = _confused(case.delta(other), case.delta(use.node))
            yield says, partial(by_other, other)


@slip("lessons/07-training", Case.products)
def updated_early(case: Case, use: Use, other: int) -> Tries:
    """A weight was updated before its gradient had been passed on."""
    factor = use.node.inputs[other]
    w = case.parameter(factor)
    if w is None or case.is_parameter(use.x):
        return

    def by_new_weight(rate: float, run: Rerun, _: Any) -> Any:
        step = case.mine(w) if factor is w else case.mine(w).T
        return use.share(run, instead={other: run.value(factor) - rate * step})

    def says(rate: float) -> list[str]:
        # Any factor can be the update of a single weight, but not at a usual rate.
        if w.size == 1 and (is_round(case.mine(w).item()) or not is_round(rate)):
            return []
        updated = say(
            "{name} was updated before this: compute all gradients first, then update",
            name=case.name(w),
        )
        return _if_positive(rate, updated)

    within = case.delta(use.x)
    yield Attempt(says, {use.spot: by_new_weight}, within, is_free=w.size > 1)


def is_round(number: float) -> bool:
    """Whether a number has two digits at most, as learning rates do."""
    return math.isclose(number, float(f"{number:.2g}"), rel_tol=1e-6)


def _if_positive(rate: float, text: str) -> list[str]:
    return [text] if 1e-9 < rate < 1e9 else []


# --- Sums: over examples, over paths --------------------------------------------------


@slip("lessons/04-batches", Case.sums)
def sum_over_examples(case: Case, use: Use, axis: int, n: int) -> Tries:
    """The sum over the batch is missing, is along another axis, or has one row."""
    x = case.parameter(use.x)

    def each_example(run: Rerun, _: Any) -> Any:
        rows = [_one_example(use, axis, row, run, _) for row in range(n)]
        return np.stack(rows if use.x is x else [row.T for row in rows])

    if not case.fits(x):
        spot = use.spot if use.x is x else Use(use.x, 0, x).spot
        says = say("it is not summed over the {n} examples", n=n)
        yield Attempt(says, {spot: each_example}, case.delta(x))
        yield (
            say("it is summed over both axes: sum over axis 0, the examples, alone"),
            lambda run, _: use.g(run).sum(),
        )
    if axis == 0 and (x.ndim < 2 or len(x.data) == 1):
        yield (
            say(
                "it is summed over axis 1, the outputs, and not over axis 0, the "
                "examples"
            ),
            lambda run, _: use.g(run).sum(axis=1, keepdims=x.ndim == 2),
        )
    for row, says in (
        (0, say("only the first example counts")),
        (n - 1, say("only the last example counts")),
    ):
        says = say("{slip}; sum over all {n}", slip=says, n=n)
        yield says, partial(_one_example, use, axis, row)


@slip("lessons/04-batches", Case.sums, is_rare=True)
def example_left_out(case: Case, use: Use, axis: int, n: int) -> Tries:
    """The loop over the examples begins too late, or ends too early."""

    def others(row: int, run: Rerun, share: Any) -> Any:
        return share - _one_example(use, axis, row, run, share)

    for row, says in (
        (0, say("the first example is left out")),
        (n - 1, say("the last example is left out")),
    ):
        yield say("{slip}; sum over all {n}", slip=says, n=n), partial(others, row)


def _one_example(use: Use, axis: int, row: int, run: Rerun, _: Any) -> Any:
    """Return what a node passes back of one example."""
    n = use.node.shape[axis]
    is_it = np.expand_dims(np.arange(n) == row, 1 - axis)
    return use.share(run, g=np.where(is_it, use.g(run), 0))


@slip("lessons/04-batches", Case.columns)
def shapes_broadcast(case: Case, *targets: tuple[Any, Node]) -> Tries:
    """(N,) against (N, 1): each prediction meets every target."""
    n = len(value_of(targets[0][0]))
    says = say(
        "each prediction meets every target: (N,) against (N, 1) makes ({n}, {n}); "
        "give both the shape (N, 1)",
        n=n,
    )
    mean: Edits = {value_at(y): _mean_of_rows for y, _ in targets}
    total: Edits = {cotangent_of(node): lambda run, g: n * g for _, node in targets}
    for edits in (mean, {**mean, **total}):
        yield Attempt(says, edits, case.delta(case.y))


def _mean_of_rows(run: Rerun, y: Any) -> Any:
    return np.broadcast_to(np.mean(y, axis=0, keepdims=True), np.shape(y))


@slip("lessons/02-several-paths", Case.paths)
def path_missing(case: Case, *uses: Use) -> Tries:
    """A quantity is used several times, and one of the paths is missing."""
    name = case.with_formula(uses[0].node)
    yield say("the path through {name} is missing", name=name), _nothing


@slip("lessons/02-several-paths", Case.paths)
def use_missing(case: Case, *uses: Use) -> Tries:
    """A quantity is used twice in one op, as in x * x, and counts once."""
    for use in uses if len(uses) > 1 else ():
        says = say(
            "one of the {n} uses of {input} in {output} is missing",
            n=len(uses),
            input=case.name(use.x),
            output=case.name(use.node),
        )
        yield Attempt(says, {use.spot: _nothing}, case.delta(use.x))


# --- L2 -------------------------------------------------------------------------------


@slip("lessons/04-batches", Case.penalties)
def penalty_missing(case: Case, *uses: Use) -> Tries:
    """The penalty's part, (lambda / n) w, is forgotten."""
    name = case.name(uses[0].x)
    yield say("the part of the penalty on {name} is missing", name=name), _nothing


@slip("lessons/04-batches", Case.penalties)
def penalty_by_another_size(case: Case, *uses: Use) -> Tries:
    """The penalty is divided by the batch's size, not the training set's."""

    def says(rate: float) -> list[str]:
        if math.isclose(rate, -1):
            return [say("the sign of the penalty's part is flipped")]
        text = say(
            "the part of the penalty is {rate:.4g} times as large as it should be",
            rate=rate,
        )
        if rate > 1 and not math.isclose(rate, 2):
            text = say(
                "{slip}: divide lambda by n, the size of the training set (not of the "
                "batch)",
                slip=text,
            )
        return _if_positive(rate, text)

    edits = {use.spot: _scaled for use in uses}
    yield Attempt(says, edits, case.delta(uses[0].x), is_free=True)


def _scaled(rate: float, run: Rerun, share: Any) -> Any:
    return rate * share


@slip("lessons/04-batches", Case.unpenalised)
def penalty_on_another(case: Case, x: Tensor) -> Tries:
    """A bias is penalised too, or a weight whose loss has no penalty."""

    def says(rate: float) -> list[str]:
        added = say(
            "a penalty, {rate:.4g} {name}, is added, which the loss does not have",
            rate=rate,
            name=case.name(x),
        )
        if x.ndim < 2:
            added = say("{penalty}: biases are not penalised", penalty=added)
        return _if_positive(rate, added)

    def with_penalty(rate: float, run: Rerun, g: Any) -> Any:
        return g + rate * run.value(x)

    edits = {cotangent_of(x): with_penalty}
    yield Attempt(says, edits, case.delta(x), is_free=True)


# --- The forward pass -----------------------------------------------------------------


@slip("lessons/03-layers", Case.biases)
def bias_left_out(case: Case, *biases: Tensor) -> Tries:
    """The forward pass left a bias out, z = W a, or all of them."""
    says = say("the biases are left out of the forward pass")
    if len(biases) == 1:
        name = case.name(biases[0])
        says = say("{name} is left out of the forward pass", name=name)
    edits: Edits = dict.fromkeys(map(value_at, biases), _nothing)
    yield Attempt(says, edits, say("the forward pass"))


@slip("lessons/03-layers", Case.each_parameter, is_rare=True)
def another_parameter(case: Case, x: Tensor) -> Tries:
    """The forward pass has another layer's parameter: b1 for b2."""
    for other in case.parameters.values():
        if other is not x and other.shape == x.shape:
            confused = _confused(case.name(other), case.name(x))
            yield Attempt(
                say("{confused} in the forward pass", confused=confused),
                {value_at(x): lambda run, _, z=other: z.data},
                say("the forward pass"),
            )


@slip("lessons/03-layers", Case.functions, is_rare=True)
def another_function(case: Case, use: Use) -> Tries:
    """The forward pass has no activation at a layer, or another one."""
    right, a = use.node.op.name, case.name(use.node)
    if right not in ACTIVATIONS:
        return

    def derivative_at_z(run: Rerun, _: Any) -> Any:
        return use.share(run, y=OPS[right](run.value(use.x)))

    for other in ACTIVATIONS:
        if other == right:
            says = say(
                "{function} is left out of the forward pass, for {output}",
                function=right,
                output=a,
            )
        else:
            says = say(
                "{confused} in the forward pass, for {output}",
                confused=_confused(other, right),
                output=a,
            )

        def forward(run: Rerun, _: Any, other: str = other) -> Any:
            z = run.value(use.x)
            return z if other == right else OPS[other](z)

        # The derivative is written with a, or with z.
        for edits in ({}, {use.spot: derivative_at_z}):
            edits = {value_at(use.node): forward, **edits}
            yield Attempt(says, edits, say("the forward pass"))


# --- Numbers --------------------------------------------------------------------------


def _where_met(factor: float) -> str:
    """Find the lesson: a sign is met in the first, a sum over examples later."""
    is_sign = math.isclose(factor, -1.0, rel_tol=1e-6)
    return "lessons/01-one-path" if is_sign else "lessons/04-batches"


@slip(_where_met, Case.scales)
def wrong_factor(case: Case, place: Spot, name: str) -> Tries:
    """A sign or a number is wrong: sum for mean, the 2 of a square, a log's base."""
    yield Attempt(
        partial(factor_in_words, sizes=case.sizes), {place: _scaled}, name, scaled=name
    )


def factor_in_words(
    factor: float, sizes: Mapping[str, int], most: int = 2, tolerance: float = 1e-6
) -> list[str]:
    """Return what may have made a gradient wrong by a factor, the simplest first.

    Parameters
    ----------
    factor : float
        The wrong gradient divided by the right one.
    sizes : dict of str to int
        The numbers of things to sum over, or to average, by what they count.
    most : int
        How many causes may come together.
    tolerance : float
        The relative error of the factor.

    Examples
    --------
    >>> factor_in_words(-5.0, {"the batch's size": 5})
    ["its sign is flipped, and it is 5 times too large: divide by the batch's size"]
    >>> factor_in_words(1.234, {})
    []
    """
    bare, causes = usual_factors(sizes)

    def made_by(causes: list[tuple[float, str]], many: int) -> list[str]:
        return [
            reduce(both, (text for _, text in together))
            for together in combinations(causes, many)
            if math.isclose(
                math.prod(k for k, _ in together), factor, rel_tol=tolerance
            )
        ]

    # If a bare number says it, the same in two bare numbers is no news.
    found = made_by(bare, 1)
    pairs = made_by(causes if found else bare + causes, 2) if most == 2 else []
    return found + made_by(causes, 1) + pairs


def both(one: str, other: str) -> str:
    """Join what two slips say."""
    return say("{one}, and {other}", one=one, other=other)


def usual_factors(
    sizes: Mapping[str, int],
) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """Return the factors by which a number is often wrong, with what each says.

    Parameters
    ----------
    sizes : dict of str to int
        As for `factor_in_words`.

    Returns
    -------
    bare, causes : list of (float, str)
        The factors without a reason, and those with one.
    """
    bare = [
        (-1.0, say("its sign is flipped")),
        (2.0, say("it is twice as large as it should be")),
        (0.5, say("it is half as large as it should be")),
    ]
    causes = []
    for what, n in sizes.items():
        if n > 1:
            large = say("it is {n} times too large: divide by {what}", n=n, what=what)
            small = say(
                "it is {n} times too small: do not divide by {what}", n=n, what=what
            )
            causes += [(n, large), (1 / n, small)]
    for base in (2, 10):
        log = math.log(base)
        divided = say(
            "it is divided by ln {base}: use the natural logarithm", base=base
        )
        multiplied = say(
            "it is multiplied by ln {base}: use the natural logarithm", base=base
        )
        causes += [(1 / log, divided), (log, multiplied)]
    return bare, causes


# --- Whole gradients ------------------------------------------------------------------


@slip("lessons/03-layers", Case.each_parameter)
def gradient_transposed(case: Case, x: Tensor) -> Tries:
    """The gradient itself is transposed, with the penalty's part or without it."""
    if x.ndim == 2 and x.size > 1:
        yield say("it is transposed"), lambda run, g: g.T
        for use in case.uses if x.shape[0] == x.shape[1] else ():
            if use.x is x and not case.is_penalty(use.node):
                name = case.name(use.node)
                says = say("the part through {name} is transposed", name=name)
                yield Attempt(says, {use.spot: lambda run, g: g.T}, case.delta(x))


@slip("lessons/03-layers", Case.each_parameter)
def gradient_of_another(case: Case, x: Tensor) -> Tries:
    """The gradient of another parameter is given: an index is off by one."""
    for name, other in case.parameters.items():
        may_be = other.shape == x.shape or not case.fits(x)
        if other is not x and other.size > 1 and may_be:
            says = say("it is the gradient with respect to {name}", name=name)
            yield says, lambda run, _, z=other: run.right.gradient(z)


@slip("lessons/03-layers", Case.each_parameter)
def gradient_missing(case: Case, x: Tensor) -> Tries:
    """Nothing was computed: the gradient is zero."""
    yield say("it is zero"), _nothing
