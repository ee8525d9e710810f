"""The catalogue of slips: what people do wrong when they derive backpropagation.

Each entry is a function with the decorator `slip`. Its docstring says what the slip
looks like. The decorator says where the lesson is, and in which places of a graph the
slip can be made. For each place the function yields attempts: what to say, and how a
backward pass has to be changed to make the slip.
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
from tinygrad_edu.checking.replay import (
    Edits,
    Rerun,
    Spot,
    cotangent_of,
    share_of,
    value_at,
)
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
    "usual_factors",
]

Array = np.ndarray[Any, Any]
# The page of the documentation that explains a slip, or which one it is for a rate.
Lesson = str | Callable[[float], str]


class Slip(NamedTuple):
    """An entry of the catalogue.

    Attributes
    ----------
    name : str
    looks : str
        What the slip looks like.
    lesson : str, or callable
        The page of the documentation that explains it; for a slip with a rate, it may
        be a function of the rate.
    places : callable
        Returns the places of a case, as arguments for `tried`.
    tried : callable
        Yields the attempts at a place: ``tried(case, *place)``.
    """

    name: str
    looks: str
    lesson: Lesson
    places: Callable[[Case], Iterable[tuple[Any, ...]]]
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
    lesson : str, or callable
        The page of the documentation that explains it.
    is_free : bool
        Whether any rate is possible. Then one number more is needed to believe it.
    """

    says: str | Callable[[float], list[str]]
    edits: Mapping[Spot, Callable[..., Any]]
    within: str
    lesson: Lesson = ""
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

    def page(self, rate: float = 1.0) -> str:
        """Return the page of the documentation that explains it."""
        return self.lesson if isinstance(self.lesson, str) else self.lesson(rate)


CATALOGUE: dict[str, Slip] = {}


def slip(
    lesson: Lesson, places: Callable[[Case], Iterable[tuple[Any, ...]]]
) -> Callable[[Any], Any]:
    """Put a function into the catalogue."""

    def put(tried: Callable[..., Iterator[Attempt]]) -> Any:
        looks, name = (tried.__doc__ or "").strip(), tried.__name__
        CATALOGUE[name] = Slip(name, looks, lesson, places, tried)
        return tried

    return put


def attempts(case: Case) -> Iterator[Attempt]:
    """Yield all attempts at all slips of the catalogue."""
    for entry in CATALOGUE.values():
        for place in entry.places(case):
            for attempt in entry.tried(case, *place):
                yield attempt._replace(lesson=entry.lesson)


# --- Functions: sigma' ----------------------------------------------------------------


@slip("lessons/01-one-path", Case.functions)
def derivative_missing(case: Case, use: Use) -> Iterator[Attempt]:
    """All of sigma' is missing at one layer: delta1 = delta2 W2."""
    yield Attempt(
        say("{derivative} is missing", derivative=case.derivative(use)),
        {use.spot: lambda run, _: use.g(run)},
        case.delta(use.x),
    )


@slip("lessons/01-one-path", Case.rules)
def factor_missing(case: Case, share: Share) -> Iterator[Attempt]:
    """One factor is missing, such as 1 - a of sigma' = a (1 - a)."""
    for product in _behind(share.cotangent, share):
        if product.op is None or product.op.name != "multiply":
            continue
        for kept in (0, 1):
            factor = product.inputs[1 - kept]
            is_number = not np.ndim(value_of(factor)) and not isinstance(factor, Node)
            if not is_number and not any(z is share.g for z in _behind(factor, share)):
                text = case.text(factor, share)
                is_square = factor is product.inputs[kept]
                yield Attempt(
                    say("{factor} is not squared", factor=text)
                    if is_square
                    else say("the factor {factor} is missing", factor=text),
                    {
                        share_of(share.node, share.position): partial(
                            _rule_without, share, product, kept
                        )
                    },
                    case.delta(share.x),
                )


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
def derivative_elsewhere(case: Case, use: Use) -> Iterator[Attempt]:
    """sigma' is taken at a, or at the z of another layer."""

    def at(x: Callable[[Rerun], Any]) -> Any:
        def share(run: Rerun, _: Any) -> Any:
            value = x(run)
            y = use.node.op.compute([value], use.node.params)
            return use.share(run, instead={0: value}, y=y)

        return {use.spot: share}

    prime = case.derivative(use)
    yield Attempt(
        say(
            "{derivative} is taken at {output}, the output, instead of {input}",
            derivative=prime,
            output=case.name(use.node),
            input=case.name(use.x),
        ),
        at(lambda run: run.value(use.node)),
        case.delta(use.x),
    )
    for z in case.inputs_of(use.node.op):
        if z is not use.x and z.shape == use.node.shape:
            yield Attempt(
                _confused(case.derivative(use, z), prime),
                at(partial(Rerun.value, x=z)),
                case.delta(use.x),
            )


@slip("lessons/01-one-path", Case.functions)
def derivative_of_another(case: Case, use: Use) -> Iterator[Attempt]:
    """The derivative of another function is used: a (1 - a) for tanh."""

    def share(other: Any, run: Rerun, _: Any) -> Any:
        (rule,) = other.rule_of_each
        return rule(use.g(run), run.value(use.node), run.value(use.x))

    for name in ("sigmoid", "tanh"):
        if use.node.op.name != name:
            yield Attempt(
                say(
                    "the derivative of {function} is used in place of {right}",
                    function=name,
                    right=case.derivative(use),
                ),
                {use.spot: partial(share, OPS[name])},
                case.delta(use.x),
            )


@slip("lessons/05-cross-entropy", Case.functions)
def derivative_twice(case: Case, use: Use) -> Iterator[Attempt]:
    """sigma' is there once too often, as for cross-entropy, which cancels it."""
    yield Attempt(
        say(
            "{derivative} is there one time too many",
            derivative=case.derivative(use),
        ),
        {use.spot: lambda run, share: use.share(run, g=share)},
        case.delta(use.x),
    )


@slip("lessons/05-cross-entropy", Case.logits)
def derivative_in_cross_entropy(case: Case, use: Use) -> Iterator[Attempt]:
    """sigma' is a factor, though cross-entropy has delta = a - y."""

    def times_prime(run: Rerun, share: Any) -> Any:
        a = OPS["sigmoid"](run.value(use.x))
        return share * a * (1 - a)

    yield Attempt(
        say(
            "sigma'({z}) does not belong there: cross-entropy has delta = a - y",
            z=case.name(use.x),
        ),
        {use.spot: times_prime},
        case.delta(use.x),
    )


@slip("lessons/01-one-path", Case.chains)
def chain_broken(case: Case, use: Use) -> Iterator[Attempt]:
    """The chain ends too early: a local derivative stands alone, without delta."""
    yield Attempt(
        say("the factor {factor} is missing", factor=case.delta(use.node)),
        {use.spot: lambda run, _: use.share(run, g=np.ones_like(use.g(run)))},
        case.delta(use.x),
    )


# --- Products: which factor -----------------------------------------------------------


@slip("lessons/03-layers", Case.products)
def factor_transposed(case: Case, use: Use, other: int) -> Iterator[Attempt]:
    """A square matrix is transposed: delta W^T where it should be delta W."""
    right = use.node.inputs[other]
    shape = np.shape(value_of(right))
    if len(shape) == 2 and shape[0] == shape[1] > 1:
        name = case.name(right).removesuffix("^T")
        yield Attempt(
            say("{name} and its transpose are confused", name=name),
            {
                use.spot: lambda run, _: use.share(
                    run, instead={other: run.value(right).T}
                )
            },
            case.delta(use.x),
        )


@slip("lessons/03-layers", Case.products)
def another_factor(case: Case, use: Use, other: int) -> Iterator[Attempt]:
    """Another quantity of the same shape is used: a2 for a1, h1 for x."""
    right = use.node.inputs[other]
    for name, value in case.arrays(right):
        yield Attempt(
            _confused(name, case.name(right)),
            {
                use.spot: lambda run, _, value=value: use.share(
                    run, instead={other: value(run)}
                )
            },
            case.delta(use.x),
        )


@slip("lessons/03-layers", Case.layers)
def another_delta(case: Case, use: Use) -> Iterator[Attempt]:
    """The delta of another layer is used: delta2 in place of delta1."""
    right = case.replay.right.cotangents

    def by_other(other: Any, run: Rerun, _: Any) -> Any:
        # A later layer's delta may be wrong as well; an earlier one is not known yet.
        return use.share(
            run, g=ChainMap(run.cotangents, run.right.cotangents)[id(other)]
        )

    for other in case.nodes:
        is_same = np.shape(right.get(id(other), 0)) == use.node.shape
        if other is not use.node and case.has_delta(other) and is_same:
            yield Attempt(
                _confused(case.delta(other), case.delta(use.node)),
                {use.spot: partial(by_other, other)},
                case.delta(use.x),
            )


def _confused(wrong: str, right: str) -> str:
    return say("{wrong} is used in place of {right}", wrong=wrong, right=right)


@slip("lessons/07-training", Case.products)
def updated_early(case: Case, use: Use, other: int) -> Iterator[Attempt]:
    """A weight was updated before its gradient had been passed on."""
    factor = use.node.inputs[other]
    w = case.parameter(factor)
    if w is None or w.size == 1 or case.parameter(use.x) is not None:
        return  # a single weight: any factor could be its update

    def by_new_weight(rate: float, run: Rerun, _: Any) -> Any:
        step = case.mine(w) if factor is w else case.mine(w).T
        return use.share(run, instead={other: run.value(factor) - rate * step})

    yield Attempt(
        lambda rate: _if_positive(
            rate,
            say(
                "{name} was updated before this: compute all gradients first, then "
                "update",
                name=case.name(w),
            ),
        ),
        {use.spot: by_new_weight},
        case.delta(use.x),
        is_free=True,
    )


def _if_positive(rate: float, text: str) -> list[str]:
    return [text] if 1e-9 < rate < 1e9 else []


# --- Sums: over examples, over paths --------------------------------------------------


@slip("lessons/04-batches", Case.layers)
def sum_over_examples(case: Case, use: Use) -> Iterator[Attempt]:
    """The sum over the batch is missing, is along another axis, or has one row."""
    x = case.parameter(use.x)
    if x is None or use.node.ndim != 2 or len(use.node.data) < 2:
        return
    n, within = len(use.node.data), case.delta(x)

    def one_example(row: int, run: Rerun, _: Any) -> Any:
        one = np.zeros_like(use.g(run))
        one[row] = use.g(run)[row]
        return use.share(run, g=one)

    def each_example(run: Rerun, _: Any) -> Any:
        rows = [one_example(row, run, _) for row in range(n)]
        return np.stack(rows if use.x is x else [row.T for row in rows])

    if not case.fits(x):
        yield Attempt(
            say("it is not summed over the {n} examples", n=n),
            {use.spot if use.x is x else share_of(use.x, 0): each_example},
            within,
        )
    if x.ndim == 1:
        yield Attempt(
            say(
                "it is summed over axis 1, the outputs, and not over axis 0, the "
                "examples"
            ),
            {use.spot: lambda run, _: use.g(run).sum(axis=1)},
            within,
        )
    for row, says in (
        (0, say("only the first example counts; sum over all {n}", n=n)),
        (n - 1, say("only the last example counts; sum over all {n}", n=n)),
    ):
        yield Attempt(says, {use.spot: partial(one_example, row)}, within)


@slip("lessons/04-batches", Case.columns)
def shapes_broadcast(case: Case, *targets: Any) -> Iterator[Attempt]:
    """(N,) against (N, 1): each prediction meets every target."""
    n = len(value_of(targets[0]))
    yield Attempt(
        say(
            "each prediction meets every target: (N,) against (N, 1) makes ({n}, {n}); "
            "give both the shape (N, 1)",
            n=n,
        ),
        dict.fromkeys(map(value_at, targets), _mean_of_rows),
        f"d{case.name(case.y)}",
    )


def _mean_of_rows(run: Rerun, y: Any) -> Any:
    return np.broadcast_to(np.mean(y, axis=0, keepdims=True), np.shape(y))


@slip("lessons/02-several-paths", Case.paths)
def path_missing(case: Case, *uses: Use) -> Iterator[Attempt]:
    """A quantity is used several times, and one of the paths is missing."""
    yield Attempt(
        say("the path through {name} is missing", name=case.name(uses[0].node)),
        {use.spot: _nothing for use in uses},
        case.delta(uses[0].x),
    )


@slip("lessons/02-several-paths", Case.paths)
def use_missing(case: Case, *uses: Use) -> Iterator[Attempt]:
    """A quantity is used twice in one op, as in x * x, and counts once."""
    for use in uses if len(uses) > 1 else ():
        yield Attempt(
            say(
                "one of the {n} uses of {input} in {output} is missing",
                n=len(uses),
                input=case.name(use.x),
                output=case.name(use.node),
            ),
            {use.spot: _nothing},
            case.delta(use.x),
        )


def _nothing(run: Rerun, share: Any) -> Any:
    return np.zeros_like(share)


# --- L2 and biases --------------------------------------------------------------------


@slip("lessons/04-batches", Case.penalties)
def penalty_missing(case: Case, *uses: Use) -> Iterator[Attempt]:
    """The penalty's part, (lambda / n) w, is forgotten."""
    x = uses[0].x
    yield Attempt(
        say("the part of the penalty on {name} is missing", name=case.name(x)),
        {use.spot: _nothing for use in uses},
        case.delta(x),
    )


@slip("lessons/04-batches", Case.penalties)
def penalty_by_another_size(case: Case, *uses: Use) -> Iterator[Attempt]:
    """The penalty is divided by the batch's size, not the training set's."""
    yield Attempt(
        lambda rate: _if_positive(
            rate,
            say(
                "the part of the penalty is {rate:.4g} times as large as it should be: "
                "divide lambda by the size of the training set, not of the batch",
                rate=rate,
            ),
        ),
        {use.spot: _scaled for use in uses},
        case.delta(uses[0].x),
        is_free=True,
    )


def _scaled(rate: float, run: Rerun, share: Any) -> Any:
    return rate * share


@slip("lessons/04-batches", Case.unpenalised)
def penalty_on_another(case: Case, x: Tensor) -> Iterator[Attempt]:
    """A bias is penalised too, or a weight whose loss has no penalty."""
    name = case.name(x)

    def says(rate: float) -> str:
        if x.ndim < 2:
            return say(
                "a penalty, {rate:.4g} {name}, is added, which the loss does not have: "
                "biases are not penalised",
                rate=rate,
                name=name,
            )
        return say(
            "a penalty, {rate:.4g} {name}, is added, which the loss does not have",
            rate=rate,
            name=name,
        )

    yield Attempt(
        lambda rate: _if_positive(rate, says(rate)),
        {cotangent_of(x): lambda rate, run, g: g + rate * run.value(x)},
        case.delta(x),
        is_free=True,
    )


@slip("lessons/03-layers", Case.layers)
def bias_left_out(case: Case, use: Use) -> Iterator[Attempt]:
    """The forward pass left the bias out: z = W a."""
    if case.is_parameter(use.x) and use.x.ndim < use.node.ndim:
        yield Attempt(
            say("{name} is left out of the forward pass", name=case.name(use.x)),
            {value_at(use.x): _nothing},
            case.delta(use.node),
        )


# --- Numbers --------------------------------------------------------------------------


def _where_met(factor: float) -> str:
    """Find the lesson: a sign is met in the first, a sum over examples later."""
    is_sign = math.isclose(factor, -1.0, rel_tol=1e-6)
    return "lessons/01-one-path" if is_sign else "lessons/04-batches"


@slip(_where_met, Case.scales)
def wrong_factor(case: Case, place: Spot, name: str) -> Iterator[Attempt]:
    """A sign or a number is wrong: sum for mean, the 2 of a square, a log's base."""
    yield Attempt(partial(factor_in_words, sizes=case.sizes), {place: _scaled}, name)


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
def gradient_transposed(case: Case, x: Tensor) -> Iterator[Attempt]:
    """The gradient itself is transposed."""
    if x.ndim == 2 and x.size > 1:
        yield Attempt(
            say("it is transposed"),
            {cotangent_of(x): lambda run, g: g.T},
            case.delta(x),
        )


@slip("lessons/03-layers", Case.each_parameter)
def gradient_of_another(case: Case, x: Tensor) -> Iterator[Attempt]:
    """The gradient of another parameter is given: an index is off by one."""
    for name, other in case.parameters.items():
        if other is not x and other.shape == x.shape and other.size > 1:
            yield Attempt(
                say("it is the gradient with respect to {name}", name=name),
                {cotangent_of(x): lambda run, _, z=other: run.right.gradient(z)},
                case.delta(x),
            )


@slip("lessons/03-layers", Case.each_parameter)
def gradient_missing(case: Case, x: Tensor) -> Iterator[Attempt]:
    """Nothing was computed: the gradient is zero."""
    yield Attempt(say("it is zero"), {cotangent_of(x): _nothing}, case.delta(x))
