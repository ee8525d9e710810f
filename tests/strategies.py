"""Calls of an op for Hypothesis to try, made from what the op's declaration says.

`calls` is made for any op, built in or one's own. Its values are such that differences
of the answer tell the derivative: of moderate size, and apart from the ends of the
input's domain, from its excluded points and from the op's kinks. Two tables hold what a
declaration does not tell: `PARAMETERS`, what to pass for a parameter, and `LAYOUTS`,
the few ops whose shapes and parameters depend on each other.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_edu.errors import core_dimensions
from tinygrad_edu.op import Domain, Op

Shape = tuple[int, ...]
Params = dict[str, Any]
Layout = tuple[list[Shape], Params]  # the inputs' shapes, and the parameters

FROM_ENDS = 1 / 4  # the least distance from the ends of a domain, or what it excludes
FROM_KINKS = 1 / 32

SIDES = st.sampled_from([2, 1, 3, 2, 3, 0])  # where shapes are put together by hand

# What with an axis has an answer for no elements; a mean, say, has none.
TAKES_NOTHING = {"concatenate", "expand_dims", "prod", "squeeze", "stack", "sum"}


@st.composite
def calls(
    draw: st.DrawFn, op: Op, dtype: Any = np.float64
) -> tuple[list[np.ndarray], Params]:
    """Draw the inputs, arrays of `dtype`, and the parameters of a call of `op`.

    Parameters that have a default are passed in some calls and left out in others.
    """
    shapes, params = draw(LAYOUTS.get(op.name, layouts)(op))
    names = op.inputs * len(shapes) if op.variadic else op.inputs
    # A subgradient without a kink is about ties.
    unique = op.subgradient is not None and op.kink is None
    inputs = [
        draw(arrays(name, op.domain[name], shape, dtype, unique))
        for name, shape in zip(names, shapes)
    ]
    if op.kink is not None:
        distance = op.kink(*inputs, **op.defaults | params)
        assume(np.all(np.abs(distance) >= FROM_KINKS))
    return inputs, params


def arrays(
    name: str, domain: Domain, shape: Shape, dtype: Any, unique: bool = False
) -> st.SearchStrategy[np.ndarray]:
    """Arrays of values in a domain; of booleans, if the name is ``condition``."""
    if name == "condition":
        return hnp.arrays(bool, shape)
    values = st.sampled_from(values_in(domain))
    return hnp.arrays(dtype, shape, elements=values, fill=st.nothing(), unique=unique)


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


@st.composite
def layouts(draw: st.DrawFn, op: Op) -> Layout:
    """Shapes that fit the signature, and parameters that fit the first shape."""
    may_be_empty = "axis" not in op.defaults or op.name in TAKES_NOTHING
    shapes = draw(shapes_for(op.signature, len(op.inputs), may_be_empty))
    params: Params = {}
    for name, default in op.defaults.items():
        required = default is inspect.Parameter.empty
        strategy = parameter(op, name)
        if strategy is None:
            if required:
                raise TypeError(f"{op.name}: there is no strategy for {name}")
        elif required or draw(st.sampled_from([True, True, False])):
            params[name] = draw(strategy(shapes[0], op.defaults | params))
    return shapes, params


def shapes_for(
    signature: str | None, count: int, may_be_empty: bool
) -> st.SearchStrategy[list[Shape]]:
    """Shapes of at most 3 axes of at most 3; without a signature all are the same."""

    def at_least(side: int) -> st.SearchStrategy[list[Shape]]:
        if signature is None:
            one = hnp.array_shapes(min_dims=0, max_dims=3, min_side=side, max_side=3)
            return one.map(lambda shape: [shape] * count)
        stacked = 1 if any(core_dimensions(signature)) else 2
        return hnp.mutually_broadcastable_shapes(
            signature=signature, max_dims=stacked, min_side=side, max_side=3
        ).map(lambda shapes: list(shapes.input_shapes))

    return st.sampled_from([1, 1, 1, 0] if may_be_empty else [1]).flatmap(at_least)


@st.composite
def of_linear(draw: st.DrawFn, op: Op) -> Layout:
    """Only `x` may come in stacks; nothing is broadcast against `w` and `b`."""
    m, k, n = draw(st.tuples(SIDES, SIDES, SIDES))
    stacks = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    x = draw(st.sampled_from([(k,), (m, k), (*stacks, m, k)]))
    return [x, (n, k), (n,)], {}


@st.composite
def of_tensordot(draw: st.DrawFn, op: Op) -> Layout:
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
def of_concatenate(draw: st.DrawFn, op: Op) -> Layout:
    before, after = draw(st.tuples(*[st.lists(SIDES, max_size=1)] * 2))
    lengths = draw(st.lists(SIDES, min_size=1, max_size=3))
    axis = draw(st.sampled_from([len(before), -1 - len(after)]))
    shapes = [(*before, n, *after) for n in lengths]
    return shapes, {"axis": axis} if axis or draw(st.booleans()) else {}


@st.composite
def of_stack(draw: st.DrawFn, op: Op) -> Layout:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    params = draw(st.just({}) | axes_of_new(shape).map(lambda axis: {"axis": axis}))
    return [shape] * draw(st.integers(1, 3)), params


@st.composite
def of_add_at(draw: st.DrawFn, op: Op) -> Layout:
    (shape,) = draw(shapes_for(None, 1, may_be_empty=True))
    index = draw(indices(shape, {}))
    return [np.empty(shape)[index].shape], {"index": index, "shape": shape}


LAYOUTS: dict[str, Callable[[Op], st.SearchStrategy[Layout]]] = {
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
    kinds = [hnp.basic_indices(shape, allow_newaxis=True), hnp.arrays(bool, shape)]
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


# By the parameter's name; where ops differ, by the op's and the parameter's.
PARAMETERS: dict[str, Callable[[Shape, Params], st.SearchStrategy[Any]]] = {
    "axis": axes,
    "ddof": degrees,
    # Nothing coarser than what comes in, since differences of it must stay sharp.
    "dtype": lambda shape, params: st.sampled_from([np.float64, np.longdouble]),
    "index": indices,
    "keepdims": lambda shape, params: st.booleans(),
    "max": bounds,
    "min": bounds,
    "broadcast_to.shape": larger_shapes,
    "expand_dims.axis": axes_to_expand,
    "reshape.shape": new_shapes,
    "squeeze.axis": axes_to_squeeze,
    "transpose.axes": permutations,
}


def parameter(
    op: Op, name: str
) -> Callable[[Shape, Params], st.SearchStrategy[Any]] | None:
    return PARAMETERS.get(f"{op.name}.{name}", PARAMETERS.get(name))
