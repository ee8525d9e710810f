"""Checks for an op of your own, on calls of it that Hypothesis thinks of.

`check_op` makes all of the `CHECKS`, at random `calls` of the op; `strategies` tells
what these look like.

Derivatives are taken along random directions, with random cotangents: with ones for a
cotangent, a backward rule of softmax that gives zeros would pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import wraps
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from tinygrad_edu.checking.strategies import (
    Array,
    Call,
    arrays,
    calls,
    shapes_for,
    show,
    strung,
    values_in,
)
from tinygrad_edu.engine.graph import Node, no_grad, topological_order
from tinygrad_edu.engine.op import Op
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.engine.transforms import jvp, vjp
from tinygrad_edu.ops.reductions import sum

from hypothesis import Phase, Verbosity, given, settings  # isort: skip

__all__ = ["CHECKS", "Call", "arrays", "calls", "check_op", "shapes_for", "values_in"]

STEP = 2.0**-17  # near the cube root of float64's eps; a power of 2, to be exact

Check: TypeAlias = Callable[[Call], None]


def check_op(
    op: Op, /, *, examples: int = 50, shapes: Any = None, **parameters: Any
) -> None:
    """Check an op's values, gradients, shapes, dtypes and manners, on random calls.

    The same calls each time. A call must give finite numbers; first derivatives must be
    those of central differences, and second derivatives those of the first; float32
    stays float32; nothing that is passed in is changed; and the op gives one answer,
    called on arrays or Tensors, as a function or as a method.

    Parameters
    ----------
    op : Op
        What `tinygrad_edu.engine.op` made.
    examples : int
        How many calls to try.
    shapes : strategy, optional
        A strategy of Hypothesis for the shapes of the inputs, a list of them. Without
        it, shapes fit the signature; if there is none, all inputs have the same.
    **parameters
        For a parameter of the op, a strategy of Hypothesis; or a function that makes
        one from the first input's shape and the other parameters. Without it, a
        parameter is left at its default.

    Raises
    ------
    AssertionError
        If a check fails. The message names the op and shows the smallest such call that
        was found, the cotangent, what came out, and what should have.
    TypeError
        If there is no strategy for a parameter that has no default, or a strategy for
        one that the op has not; if an input is left without a shape.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> from hypothesis import strategies as st
    >>> from tinygrad_edu.testing import check_op
    >>> @tg.op(signature="()->()", kink=lambda x, slope: x, subgradient="the slope")
    ... def leaky(x, *, slope):
    ...     return np.where(x > 0, x, slope * x)
    >>> leaky = leaky.vjp(x=lambda g, y, x, slope: tg.where(x > 0, g, slope * g))
    >>> check_op(leaky, slope=st.floats(0.1, 1), examples=5)
    >>> leaky = leaky.vjp(x=lambda g, y, x, slope: tg.where(x > 0, g, -slope * g))
    >>> check_op(leaky, slope=st.just(0.5), examples=5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: leaky: the gradient by x is not that of central differences
        call       leaky(x=-0.0625, slope=0.5)
        ...
    """
    if not isinstance(op, Op):
        raise TypeError(
            f"check_op: it takes an op, made by tg.op, and this is of type "
            f"{type(op).__name__}"
        )
    # Derandomized, so that a failure comes back until its cause is gone.
    profile = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        verbosity=Verbosity.quiet,  # the message says all that there is to say
    )
    strategy = calls(op, shapes=shapes, **parameters)
    # One after the other, so that the most basic fault is told, not what follows of it.
    for check in CHECKS:
        profile(given(strategy)(_only_assertions(check)))()


def _only_assertions(check: Check) -> Check:
    """Let other errors be AssertionErrors too, which name the call."""

    @wraps(check)
    def checked(call: Call) -> None:
        try:
            check(call)
        except AssertionError:
            raise
        except Exception as error:
            _expect(False, call, f"{type(error).__name__}: {error}")

    return checked


# --- Checks: each takes a call, and raises AssertionError -----------------------------


def check_manners(call: Call) -> None:
    """Nothing that is passed in is changed, and gradients share memory with nothing."""
    leaves = call._replace(constant=frozenset()).leaves()
    variables = [x for x in leaves if isinstance(x, Tensor)]
    answer = call.run(deepcopy(call.inputs))
    _expect_array(answer, call)
    cotangent = np.random.default_rng(call.seed).standard_normal(answer.shape)
    passed = [*call.inputs, *call.params.values(), cotangent]
    held = [*passed, *(x.data for x in variables)]
    before = deepcopy(held)

    call.run(call.inputs)
    call.run(leaves).backward(cotangent)
    for now, then in zip(held, before):
        claim = "something that was passed in was changed"
        _expect(_same(now, then), call, claim, before=then, after=now)
    gradients = [x.grad.data for x in variables]
    shared = any(
        np.shares_memory(a, b) for a, b in combinations([cotangent, *gradients], 2)
    )
    _expect(not shared, call, "gradients share memory")


def check_ways_to_call(call: Call) -> None:
    """On arrays or Tensors, as function or method, by name or place: one answer."""
    op, params = call.op, call.params
    expected = call.run(call.inputs)
    _expect_array(expected, call)
    tensors = [Tensor(x) for x in call.inputs]
    answers = {
        "Tensors": call.run(tensors),
        "arrays and Tensors": call.run(call.leaves()),
    }
    with no_grad():
        answers["Tensors under no_grad()"] = unrecorded = call.run(call.leaves())
    _expect(unrecorded.is_leaf, call, "no_grad() does not keep it from being recorded")
    if not op.variadic:
        positional = [params.get(name, op.defaults[name]) for name in op.defaults]
        named = dict(zip(op.inputs, tensors))
        method = getattr(Tensor, op.name, None)
        _expect(callable(method), call, "Tensors have no such method")
        answers["Tensors by name"] = strung(op(**named, **params))
        answers["Tensors by place"] = strung(op(*tensors, *positional))
        answers["a Tensor, as its method,"] = strung(
            getattr(tensors[0], op.name)(*tensors[1:], *positional)
        )
    for way, answer in answers.items():
        claim = f"called on {way} it does not answer as on arrays"
        is_same = isinstance(answer, Tensor) and _same(answer.data, expected)
        _expect(is_same, call, claim, got=answer, expected=expected)


def check_value(call: Call) -> None:
    """Where all inputs make sense the answer is finite; elementwise, it broadcasts."""
    y = call.run(call.inputs)
    _expect(np.isfinite(y).all(), call, "the answer is not finite", got=y)
    if call.op.elementwise:
        shape = np.broadcast_shapes(*(x.shape for x in call.inputs))
        claim = "the answer's shape is not that of the signature"
        _expect(np.shape(y) == shape, call, claim, got=np.shape(y), expected=shape)


def check_gradient(call: Call) -> None:
    """The gradient is that of central differences, at each coordinate."""
    leaves = call.leaves()
    y = call.run(leaves)
    cotangent = np.random.default_rng(call.seed).standard_normal(y.shape)
    y.backward(cotangent)
    for position, x in enumerate(leaves):
        if isinstance(x, Tensor):
            expected = np.zeros(x.shape)
            for place in np.ndindex(x.shape):
                direction = np.zeros(x.shape)
                direction[place] = 1
                slope = _derivative(call.run, call.inputs, {position: direction})
                expected[place] = np.sum(cotangent * slope)
            claim = f"the gradient by {call.name(position)} is not that of central "
            _expect_close(x.grad.data, expected, call, claim + "differences", cotangent)


def check_second_order(call: Call) -> None:
    """The gradient of <v, gradient> is right, by the inputs and by the cotangent.

    By the inputs it is the Hessian times v, which is symmetric: so it is the derivative
    of the gradient along v, and one difference tells it. By the cotangent it is the
    derivative of the answer along v.
    """
    rng = np.random.default_rng(call.seed)
    leaves = call.leaves()
    directions = {
        i: rng.standard_normal(x.shape)
        for i, x in enumerate(leaves)
        if isinstance(x, Tensor)
    }
    y = call.run(leaves)
    cotangent = Tensor(rng.standard_normal(y.shape), requires_grad=True)
    y.backward(cotangent, create_graph=True)
    along: Any = 0
    for i, v in directions.items():
        along = along + sum(leaves[i].grad * v)
        leaves[i].zero_grad()
    along.backward()

    slope = _derivative(call.run, call.inputs, directions)
    claim = "the gradient's gradient by the cotangent is not the forward derivative"
    _expect_close(_gradient_of(cotangent), slope, call, claim, cotangent.data)

    def gradient(inputs: Sequence[Array]) -> Any:
        leaves = call.leaves(inputs)
        call.run(leaves).backward(cotangent.data)
        return np.concatenate([leaves[i].grad.data.ravel() for i in directions])

    second = np.concatenate([_gradient_of(leaves[i]).ravel() for i in directions])
    expected = _derivative(gradient, call.inputs, directions)
    claim = "the gradient's gradient is not that of differences of the gradient"
    _expect_close(second, expected, call, claim, cotangent.data)


def check_forward(call: Call) -> None:
    """Forward mode agrees with reverse mode: <c, J v> = <J^T c, v>."""
    rng = np.random.default_rng(call.seed)
    places = [i for i, x in enumerate(call.leaves()) if isinstance(x, Tensor)]
    primals = [call.inputs[i] for i in places]
    tangents = [rng.standard_normal(x.shape) for x in primals]

    def run(*variables: Any) -> Any:
        inputs = list(call.inputs)
        for i, x in zip(places, variables):
            inputs[i] = x
        return call.run(inputs)

    y, tangent = jvp(run, primals, tangents)
    cotangent = rng.standard_normal(y.shape)
    _, pullback = vjp(run, *primals)
    pairs = zip(tangents, pullback(cotangent))
    expected = np.add.reduce([np.vdot(v, g) for v, g in pairs])
    claim = "forward mode does not agree with reverse mode"
    _expect_close(np.vdot(cotangent, tangent), expected, call, claim, cotangent)


def check_float32(call: Call) -> None:
    """Float32 stays float32 in the answer and the gradients, and on the way to both."""
    call = call.astype(np.float32)._replace(constant=frozenset())
    converts = "dtype" in call.params
    leaves = call.leaves()
    y = call.run(leaves)
    if not converts:
        _expect_float32(topological_order(y), call, "the answer")
    y.backward(np.ones(y.shape, y.dtype), create_graph=True)
    for position, x in enumerate(leaves):
        if isinstance(x, Tensor):
            nodes = [x.grad] if converts else topological_order(x.grad)
            _expect_float32(nodes, call, f"the gradient by {call.name(position)}")
            x.zero_grad()


CHECKS: tuple[Check, ...] = (
    check_manners,  # first, since an op that changes its inputs spoils the rest
    check_ways_to_call,
    check_value,
    check_gradient,
    check_second_order,
    check_forward,
    check_float32,
)


def _derivative(
    f: Callable[[Sequence[Array]], Any],
    inputs: Sequence[Array],
    directions: Mapping[int, Array],
) -> Any:
    """The derivative along a direction, by central differences."""

    def at(step: float) -> Any:
        moves = {i: step * direction for i, direction in directions.items()}
        return f([x + moves[i] if i in moves else x for i, x in enumerate(inputs)])

    return (at(STEP) - at(-STEP)) / (2 * STEP)


def _gradient_of(leaf: Tensor) -> Array:
    """The gradient; zeros if the answer did not depend on the leaf at all."""
    gradient: Array = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.data
    return gradient


def _expect(holds: Any, call: Call, claim: str, **facts: Any) -> None:
    """Raise an AssertionError that tells what was met, unless something holds."""
    if not holds:
        told = {"call": str(call)} | {name: show(x) for name, x in facts.items()}
        lines = [f"    {name:9}  {fact}" for name, fact in told.items()]
        raise AssertionError("\n".join([f"{call.op.name}: {claim}", *lines]))


def _expect_close(
    got: Any, expected: Any, call: Call, claim: str, cotangent: Array
) -> None:
    """Expect two to be equal up to 1e-6, relative to the largest element or to 1."""
    tolerance = 1e-6 * np.max(np.abs(expected), initial=1)
    close = got.shape == np.shape(expected) and np.all(
        np.abs(got - expected) <= tolerance
    )
    _expect(close, call, claim, cotangent=cotangent, got=got, expected=expected)


def _expect_array(answer: Any, call: Call) -> None:
    is_array = isinstance(answer, np.ndarray | np.generic)
    _expect(is_array, call, "called on arrays it does not give an array", got=answer)


def _expect_float32(nodes: Sequence[Node], call: Call, what: str) -> None:
    floats = {node.data.dtype for node in nodes if node.data.dtype.kind == "f"}
    claim = (
        f"for float32, {what} is computed in {' and '.join(sorted(map(str, floats)))}"
    )
    _expect(floats == {np.dtype(np.float32)}, call, claim)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, list | tuple):
        return all(map(_same, a, b))
    return bool(a == b)
