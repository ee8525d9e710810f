"""Checks for an op of your own, on calls of it that Hypothesis thinks of.

`check_op` makes all of the `CHECKS`, at random `calls` of the op. What a call may look
like is read from the op's declaration: values are of moderate size, and apart from the
ends of the input's domain, from its excluded points and from the op's kinks, so that
differences of the answer tell the derivative. Two tables hold what a declaration does
not tell: `PARAMETERS`, what to pass for a parameter, and `LAYOUTS`, the few ops whose
shapes and parameters depend on each other.

Derivatives are taken along random directions, with random cotangents: with ones for a
cotangent, a backward rule of softmax that gives zeros would pass.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import wraps
from itertools import chain, combinations
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tinygrad_edu.errors import core_dimensions
from tinygrad_edu.graph import Node, no_grad, topological_order
from tinygrad_edu.op import Domain, Op
from tinygrad_edu.ops import sum
from tinygrad_edu.tensor import Tensor

try:
    from hypothesis import Phase, Verbosity, assume, given, settings
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError as error:
    raise ImportError(
        'tinygrad_edu.testing needs Hypothesis: pip install "tinygrad_edu[test]"'
    ) from error

__all__ = ["CHECKS", "Call", "arrays", "calls", "check_op", "shapes_for", "values_in"]

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]
Params: TypeAlias = dict[str, Any]
# What to pass for a parameter, by the first input's shape and the parameters so far.
Choice: TypeAlias = Callable[[Shape, Params], st.SearchStrategy[Any]]

STEP = 2.0**-17  # near the cube root of float64's eps; a power of 2, to be exact

FROM_ENDS = 1 / 4  # the least distance from the ends of a domain, or what it excludes
FROM_KINKS = 1 / 32


class Call(NamedTuple):
    """A call of an op, and how to differentiate it."""

    op: Op
    inputs: list[Array]
    params: Params
    constant: frozenset[int] = frozenset()  # positions of inputs not differentiated by
    seed: int = 0  # of cotangents and directions

    def __str__(self) -> str:
        inputs = [_show(x) for x in self.inputs]
        named = [f"{name}={x}" for name, x in zip(self.op.inputs, inputs)]
        if self.op.variadic:
            named = [f"[{', '.join(inputs)}]"]
        params = [f"{name}={_show(value)}" for name, value in self.params.items()]
        return f"{self.op.name}({', '.join(named + params)})"

    def run(self, inputs: Sequence[Any]) -> Any:
        """Call the op on arrays or Tensors in place of the inputs."""
        if self.op.variadic:
            return self.op(list(inputs), **self.params)
        return self.op(*inputs, **self.params)

    def leaves(self, inputs: Sequence[Array] | None = None) -> list[Any]:
        """Return Tensors to differentiate by, and arrays for what is constant."""
        return [
            x
            if i in self.constant or x.dtype.kind != "f"
            else Tensor(x, requires_grad=True)
            for i, x in enumerate(self.inputs if inputs is None else inputs)
        ]

    def astype(self, dtype: Any) -> Call:
        """Convert the inputs that are floats."""
        return self._replace(
            inputs=[x.astype(dtype) if x.dtype.kind == "f" else x for x in self.inputs]
        )

    def name(self, position: int) -> str:
        """Name an input as the op's declaration does."""
        return f"arrays[{position}]" if self.op.variadic else self.op.inputs[position]


Check: TypeAlias = Callable[[Call], None]


def check_op(op: Op, /, *, examples: int = 50, **parameters: Any) -> None:
    """Check an op's values, gradients, shapes, dtypes and manners, on random calls.

    The same calls each time. A call must give finite numbers; first derivatives must be
    those of central differences, and second derivatives those of the first; float32
    stays float32; nothing that is passed in is changed; and the op gives one answer,
    called on arrays or Tensors, as a function or as a method.

    Parameters
    ----------
    op : Op
        What `tinygrad_edu.op` made.
    examples : int
        How many calls to try.
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
        one that the op has not.

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
    # One after the other, so that the most basic fault is told, not what follows of it.
    for check in CHECKS:
        profile(given(calls(op, **parameters))(_only_assertions(check)))()


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
        answers["Tensors by name"] = op(**named, **params)
        answers["Tensors by place"] = op(*tensors, *positional)
        answers["a Tensor, as its method,"] = getattr(tensors[0], op.name)(
            *tensors[1:], *positional
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
        told = {"call": str(call)} | {name: _show(x) for name, x in facts.items()}
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


def _show(x: Any) -> str:
    """Write a value in one line; arrays as lists, since those can be pasted."""
    if isinstance(x, Tensor):
        x = x.data
    if not isinstance(x, np.ndarray | np.generic):
        return repr(x)
    text = str(x.tolist()) if x.size else f"empty({x.shape})"
    return text if x.dtype in (np.float64, np.int64, np.bool_) else f"{text} {x.dtype}"


# --- Calls ----------------------------------------------------------------------------


def calls(op: Op, /, **parameters: Any) -> st.SearchStrategy[Call]:
    """Calls of `op` on arrays of float64, of numbers that float32 has as well.

    Some of the inputs may be constant. Parameters that have a default are passed in
    some calls and left out in others; see `check_op` on strategies for them.
    """
    layout = LAYOUTS.get(op.name)
    return _calls(op, layout() if layout else layouts(op, choices(op, parameters)))


@st.composite
def _calls(draw: st.DrawFn, op: Op, layout: st.SearchStrategy[Layout]) -> Call:
    shapes, params = draw(layout)
    names = op.inputs * len(shapes) if op.variadic else op.inputs
    inputs = [
        draw(arrays(name, op.domain[name], shape, unique=op.kink is not None))
        for name, shape in zip(names, shapes)
    ]
    for i, x in enumerate(inputs):
        if x.dtype.kind == "f":
            x += i % 4 * FROM_KINKS  # so that no two inputs meet
    if op.kink is not None:
        distance = op.kink(*inputs, **op.defaults | params)
        assume(np.all(np.abs(distance) >= FROM_KINKS))
    variable = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]
    some = chain(*(combinations(variable, n) for n in range(len(variable))))
    constant = frozenset(draw(st.sampled_from([*some] or [()])))
    return Call(op, inputs, params, constant, draw(st.integers(0, 2**32 - 1)))


def arrays(
    name: str, domain: Domain, shape: Shape, *, unique: bool = False
) -> st.SearchStrategy[Array]:
    """Arrays of values in a domain; of booleans, if the name is ``condition``.

    If they shall be unique they are, unless there are too few values for that.
    """
    if name == "condition":
        return hnp.arrays(bool, shape)
    values = values_in(domain)
    return hnp.arrays(
        np.float64,
        shape,
        elements=st.sampled_from(values),
        fill=st.nothing(),
        unique=unique and len(values) >= math.prod(shape),
    )


def values_in(domain: Domain) -> list[float]:
    """Return at most 64 values of the domain, the simplest first.

    They are exact also in float32. On the whole line they are odd sixteenths, so that
    no accident has them meet the numbers at which functions are peculiar.
    """
    low, high, excluding = domain
    margin = min(FROM_ENDS, (high - low) / 8)
    low = max(low + margin, min(-4.0, high - 8.0))
    high = min(high - margin, max(4.0, low + 8.0))
    values = (low + (high - low) * (2 * k + 1) / 128 for k in range(64))
    return sorted(
        (v for v in values if all(abs(v - e) >= margin for e in excluding)), key=abs
    )


# --- Layouts: the shapes of the inputs, and the parameters ----------------------------

Layout: TypeAlias = tuple[list[Shape], Params]

SIDES = st.sampled_from([2, 1, 3, 2, 3, 0])  # where shapes are put together by hand

# What is not elementwise and takes arrays without elements all the same.
TAKES_NOTHING = {
    "astype",
    "broadcast_to",
    "dot",
    "expand_dims",
    "getitem",
    "matmul",
    "prod",
    "reshape",
    "squared_norm",
    "squeeze",
    "sum",
    "transpose",
}


@st.composite
def layouts(draw: st.DrawFn, op: Op, chosen: Mapping[str, Choice]) -> Layout:
    """Shapes that fit the signature, and parameters that fit the first shape."""
    may_be_empty = op.elementwise or op.name in TAKES_NOTHING
    shapes = draw(shapes_for(op.signature, len(op.inputs), may_be_empty))
    params: Params = {}
    for name, choice in chosen.items():
        required = op.defaults[name] is inspect.Parameter.empty
        if required or draw(st.sampled_from([True, True, False])):
            params[name] = draw(choice(shapes[0], op.defaults | params))
    return shapes, params


@st.composite
def shapes_for(
    draw: st.DrawFn, signature: str | None, count: int, may_be_empty: bool
) -> list[Shape]:
    """Shapes that fit a signature, by broadcasting too; without one, all the same.

    At most 3 axes of at most 3, and square matrices above all: a small thing passes for
    its own transpose, or for its sum.
    """
    sides = st.sampled_from([1, 2, 3, 2])
    if may_be_empty and draw(st.sampled_from([False] * 5 + [True])):
        sides = SIDES
    groups = [[]] * count if signature is None else core_dimensions(signature)
    names = dict.fromkeys(chain(*groups))
    core = {name: draw(sides) for name in names}
    seldom = st.sampled_from([False, False, False, True])
    left_out = {name for name in names if name[-1] == "?" and draw(seldom)}
    ndims = st.sampled_from([0, 1, 1] if names else [0, 2, 1, 2, 3])
    ndim = 0 if left_out else draw(ndims)
    loop = draw(st.tuples(*[sides] * ndim))
    if signature is None:
        return [loop] * count
    fewer = [loop[i + 1 :] for i in range(ndim)]
    ones = [(*loop[:i], 1, *loop[i + 1 :]) for i in range(ndim)]
    stacks = st.sampled_from([loop] * (2 * ndim or 1) + fewer + ones)
    return [
        (*draw(stacks), *(core[name] for name in group if name not in left_out))
        for group in groups
    ]


@st.composite
def of_linear(draw: st.DrawFn) -> Layout:
    """Only `x` may come in stacks; nothing is broadcast against `w` and `b`."""
    m, k, n = draw(st.tuples(SIDES, SIDES, SIDES))
    stacks = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    x = draw(st.sampled_from([(k,), (m, k), (*stacks, m, k)]))
    return [x, (n, k), (n,)], {}


@st.composite
def of_tensordot(draw: st.DrawFn) -> Layout:
    sides = st.lists(SIDES, max_size=2)
    kept_a, summed, kept_b = draw(st.tuples(sides, sides, sides))
    a, b = (*kept_a, *summed), (*summed, *kept_b)
    if len(summed) == 2 and draw(st.booleans()):
        return [a, b], {}
    if draw(st.booleans()):
        return [a, b], {"axes": len(summed)}
    # The same axes in any order: axis i of the array goes to the place order[i].
    order_a = draw(st.permutations(range(len(a))))
    order_b = draw(st.permutations(range(len(b))))
    from_end = draw(st.sampled_from([0, len(a)]))
    axes_a = [place - from_end for place in order_a[len(kept_a) :]]
    axes_b = order_b[: len(summed)]
    shapes = [
        tuple(side for _, side in sorted(zip(order, shape)))
        for order, shape in [(order_a, a), (order_b, b)]
    ]
    return shapes, {"axes": (axes_a, axes_b)}


@st.composite
def of_concatenate(draw: st.DrawFn) -> Layout:
    before, after = draw(st.tuples(*[st.lists(SIDES, max_size=1)] * 2))
    lengths = draw(st.lists(SIDES, min_size=1, max_size=3))
    axis = draw(st.sampled_from([len(before), -1 - len(after)]))
    shapes = [(*before, n, *after) for n in lengths]
    return shapes, {"axis": axis} if axis or draw(st.booleans()) else {}


@st.composite
def of_stack(draw: st.DrawFn) -> Layout:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    params = draw(st.just({}) | axes_of_new(shape).map(lambda axis: {"axis": axis}))
    return [shape] * draw(st.integers(1, 3)), params


@st.composite
def of_add_at(draw: st.DrawFn) -> Layout:
    (shape,) = draw(shapes_for(None, 1, may_be_empty=True))
    index = draw(indices(shape, {}))
    return [np.empty(shape)[index].shape], {"index": index, "shape": shape}


LAYOUTS: dict[str, Callable[[], st.SearchStrategy[Layout]]] = {
    "add_at": of_add_at,
    "concatenate": of_concatenate,
    "linear": of_linear,
    "stack": of_stack,
    "tensordot": of_tensordot,
}

# --- Parameters: from the first input's shape, and the parameters that came before ----


def axes(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    ndim = len(shape)
    if ndim == 0:
        return st.sampled_from([None, ()])
    return st.none() | st.integers(-ndim, ndim - 1) | hnp.valid_tuple_axes(ndim)


def axes_of_new(shape: Shape, params: Params | None = None) -> st.SearchStrategy[int]:
    return st.integers(-len(shape) - 1, len(shape))


def axes_to_expand(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    two = hnp.valid_tuple_axes(len(shape) + 2, min_size=2, max_size=2)
    return axes_of_new(shape) | two


def axes_to_squeeze(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    ones = [i for i, side in enumerate(shape) if side == 1]
    if not ones:
        return st.sampled_from([None, ()])
    one = st.sampled_from(ones + [i - len(shape) for i in ones])
    return one | st.sets(st.sampled_from(ones)).map(tuple)


def permutations(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    return hnp.valid_tuple_axes(len(shape), min_size=len(shape))


def new_shapes(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    n = math.prod(shape)
    divisors = [d for d in range(1, n + 1) if n % d == 0] or [1]
    tables = [(d, n // d) for d in divisors]
    return st.sampled_from([n, -1, (n,), (-1,), (1, n, 1), (divisors[-1], -1), *tables])


def larger_shapes(shape: Shape, params: Params) -> st.SearchStrategy[Shape]:
    return hnp.broadcastable_shapes(shape, max_dims=4, max_side=3).map(
        lambda other: np.broadcast_shapes(shape, other)
    )


def indices(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    """Slices and numbers, masks, and integers, which may repeat."""
    kinds: list[st.SearchStrategy[Any]] = [
        hnp.basic_indices(shape, allow_newaxis=True),
        hnp.arrays(bool, shape),
    ]
    if shape and all(shape):
        rows = st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4)
        kinds += [hnp.integer_array_indices(shape), rows, st.tuples(rows, st.just(...))]
    return st.one_of(kinds)


def bounds(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    """Even sixteenths, where the values are odd; as arrays they promote nothing."""
    numbers = st.integers(-24, 24).map(lambda k: k / 8)
    return st.none() | numbers | hnp.arrays(np.float16, shape[-1:], elements=numbers)


def degrees(shape: Shape, params: Params) -> st.SearchStrategy[int]:
    """Degrees of freedom to subtract from the number of elements, leaving some."""
    x = np.empty(shape)
    count = x.size // np.add.reduce(x, axis=params["axis"]).size
    return st.integers(0, min(1, count - 1))


# By the parameter's name, or by the op's and the parameter's.
PARAMETERS: dict[str, Choice] = {
    "axis": axes,
    "keepdims": lambda shape, params: st.booleans(),
    # Nothing coarser than what comes in, since differences of it must stay sharp.
    "astype.dtype": lambda shape, params: st.sampled_from([np.float64, np.longdouble]),
    "broadcast_to.shape": larger_shapes,
    "clip.max": bounds,
    "clip.min": bounds,
    "expand_dims.axis": axes_to_expand,
    "getitem.index": indices,
    "reshape.shape": new_shapes,
    "squeeze.axis": axes_to_squeeze,
    "transpose.axes": permutations,
    "var.ddof": degrees,
}


def choices(op: Op, given: Mapping[str, Any]) -> dict[str, Choice]:
    """Find what to pass for each parameter; what has none is left at its default."""
    if unknown := given.keys() - op.defaults.keys():
        raise TypeError(f"{op.name}: {op} has no parameter {', '.join(unknown)}")
    known = PARAMETERS | {f"{op.name}.{name}": _choice(x) for name, x in given.items()}
    found: dict[str, Choice] = {}
    for name, default in op.defaults.items():
        choice = known.get(f"{op.name}.{name}") or known.get(name)
        if choice is not None:
            found[name] = choice
        elif default is inspect.Parameter.empty:
            raise TypeError(
                f"{op.name}: its parameter {name} has no default, so say what to pass: "
                f"check_op({op.name}, {name}=...), a strategy of Hypothesis"
            )
    return found


def _choice(strategy: Any) -> Choice:
    return strategy if callable(strategy) else lambda shape, params: strategy
