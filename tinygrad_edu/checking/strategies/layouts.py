"""Layouts: the shapes of an op's inputs, and the parameters that go with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_edu.checking.strategies.parameters import (
    DTYPES,
    Choice,
    Params,
    Shape,
    axes_of_new,
    indices,
)
from tinygrad_edu.engine.errors import core_dimensions
from tinygrad_edu.engine.op import Op

__all__ = ["LAYOUTS", "Layout", "Shapes", "layouts", "shapes_for"]

Shapes: TypeAlias = st.SearchStrategy[Sequence[Shape]]
Layout: TypeAlias = tuple[Sequence[Shape], Params]

SIDES = st.sampled_from([2, 1, 3, 2, 3, 0])  # where shapes are put together by hand

# What is not elementwise and takes arrays without elements all the same.
TAKES_NOTHING = {
    "astype",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_to",
    "cholesky",
    "cumprod",
    "cumsum",
    "det",
    "diag",
    "diff",
    "dot",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "getitem",
    "inner",
    "inv",
    "logabsdet",
    "matmul",
    "moveaxis",
    "outer",
    "pad",
    "prod",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "rollaxis",
    "rot90",
    "slogdet",
    "solve",
    "sort",
    "squared_norm",
    "squeeze",
    "sum",
    "swapaxes",
    "tile",
    "transpose",
    "tril",
    "triu",
    "vdot",
}


# With how many dimensions of the first input an op begins, if not with none.
LEAST_DIMENSIONS = {
    "diff": 1,
    "fliplr": 2,
    "flipud": 1,
    "moveaxis": 1,
    "pad": 1,
    "partition": 1,
    "rollaxis": 1,
    "rot90": 2,
    "sort": 1,
    "swapaxes": 1,
    "take": 1,
    "take_along_axis": 1,
}


@st.composite
def layouts(
    draw: st.DrawFn, op: Op, chosen: Mapping[str, Choice], given: Shapes | None = None
) -> Layout:
    """Shapes that fit the signature, if none are given; parameters that fit the first.

    An axis comes first, since others depend on it.
    """
    may_be_empty = op.elementwise or op.name in TAKES_NOTHING
    least = LEAST_DIMENSIONS.get(op.name, 0)
    if given is None:
        given = shapes_for(op.signature, len(op.inputs), may_be_empty, least)
    shapes = draw(given)
    if not op.variadic and len(shapes) != len(op.inputs):
        raise TypeError(
            f"{op.name}: shapes= gave {shapes}, and each input needs one: "
            f"[{', '.join(f'shape of {name}' for name in op.inputs)}]"
        )
    params: Params = {}
    for name, choice in sorted(chosen.items(), key=lambda item: item[0] != "axis"):
        required = op.defaults[name] is inspect.Parameter.empty
        if required or draw(st.sampled_from([True, True, False])):
            params[name] = draw(choice(shapes[0], op.defaults | params))
    return shapes, params


@st.composite
def shapes_for(
    draw: st.DrawFn,
    signature: str | None,
    count: int,
    may_be_empty: bool,
    least: int = 0,
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
    ndims = st.sampled_from([0, 1, 1] if names else [0, 2, 1, 2, 3][least > 0 :])
    ndims = ndims.map(lambda n: max(n, least))
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


@st.composite
def of_einsum(draw: st.DrawFn) -> Layout:
    """Any letters for each operand, some of them for the output; an axis may be 1."""
    sizes = dict(zip("ijk", draw(st.tuples(SIDES, SIDES, SIDES))))
    terms = draw(st.lists(st.text("ijk", max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(terms)))
    output = draw(st.permutations(letters))[: draw(st.integers(0, len(letters)))]
    narrow = draw(st.tuples(*[st.sampled_from(["", "", *letters])] * len(terms)))
    shapes = [
        tuple(1 if letter == one else sizes[letter] for letter in term)
        for term, one in zip(terms, narrow)
    ]
    subscripts = f"{','.join(terms)}->{''.join(output)}"
    return shapes, {"subscripts": subscripts, "optimize": draw(st.booleans())}


@st.composite
def of_cross(draw: st.DrawFn) -> Layout:
    a, b, answer = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2).map(
            lambda found: [*found.input_shapes, found.result_shape]
        )
    )
    if draw(st.booleans()):
        return [(*a, 3), (*b, 3)], draw(st.sampled_from([{}, {"axis": -1}]))
    axisa, axisb, axisc = (draw(st.integers(0, len(x))) for x in (a, b, answer))
    shapes = [(*x[:i], 3, *x[i:]) for x, i in [(a, axisa), (b, axisb)]]
    return shapes, {"axisa": axisa, "axisb": axisb, "axisc": axisc}


@st.composite
def of_kron(draw: st.DrawFn) -> Layout:
    return [tuple(draw(st.lists(SIDES, max_size=2))) for _ in range(2)], {}


@st.composite
def of_diag(draw: st.DrawFn) -> Layout:
    shape = tuple(draw(st.lists(SIDES, min_size=1, max_size=2)))
    return [shape], {"k": draw(st.integers(-2, 2))}


@st.composite
def of_diagonal(draw: st.DrawFn) -> Layout:
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=3))
    if draw(st.booleans()):
        return [shape], {}
    axis1, axis2 = draw(hnp.valid_tuple_axes(len(shape), min_size=2, max_size=2))
    return [shape], {"offset": draw(st.integers(-2, 2)), "axis1": axis1, "axis2": axis2}


@st.composite
def of_trace(draw: st.DrawFn) -> Layout:
    shapes, params = draw(of_diagonal())
    return shapes, params and params | {"dtype": draw(st.none() | DTYPES)}


@st.composite
def of_append(draw: st.DrawFn) -> Layout:
    shapes, params = draw(of_concatenate())
    if len(shapes) == 2:
        return shapes, {"axis": 0} | params
    return [shapes[0], shapes[-1][:1]], {}


@st.composite
def of_neighbours(draw: st.DrawFn, axis: int) -> Layout:
    """Arrays that differ along one axis; or vectors, which have it or are given it."""
    if draw(st.booleans()):
        n, lengths = draw(SIDES), draw(st.lists(SIDES, min_size=1, max_size=3))
        sides = lengths if axis == 1 else [n] * len(lengths)
        return [(side,) for side in sides], {}
    ndim = draw(st.integers(max(axis, 1) + 1, 3))
    shape = draw(st.tuples(*[SIDES] * ndim))
    lengths = draw(st.lists(SIDES, min_size=1, max_size=3))
    return [(*shape[:axis], n, *shape[axis + 1 :]) for n in lengths], {}


@st.composite
def of_column_stack(draw: st.DrawFn) -> Layout:
    rows, columns = draw(SIDES), st.sampled_from([(), (1,), (2,)])
    return [(rows, *draw(columns)) for _ in range(draw(st.integers(1, 3)))], {}


@st.composite
def of_split(draw: st.DrawFn, axis: int | None = None, uneven: bool = False) -> Layout:
    ndim = draw(st.integers(1 if axis is None else [2, 1, 3][axis], 3))
    shape = draw(st.tuples(*[SIDES] * ndim))
    params: Params = {}
    if axis is None:
        axis = draw(st.integers(-ndim, ndim - 1))
        params["axis"] = axis
    n = shape[min(axis, ndim - 1)]
    parts = [k for k in range(1, 4) if uneven or n % k == 0]
    at = st.lists(st.integers(0, 3), max_size=2).map(sorted)
    params["indices_or_sections"] = draw(st.sampled_from(parts) | at)
    return [shape], params


@st.composite
def of_norm(draw: st.DrawFn) -> Layout:
    ndim = draw(st.integers(0, 3))
    shape = draw(hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=3))
    params: Params = {"keepdims": draw(st.booleans())}
    if ndim == 0 or draw(st.booleans()):
        return [shape], params
    axes = draw(hnp.valid_tuple_axes(ndim, min_size=1, max_size=min(ndim, 2)))
    kinds: list[Any] = ["fro"] if len(axes) == 2 else [2, 3, 1.5]
    params["ord"] = draw(st.sampled_from([None, 1, np.inf, -1, -np.inf, *kinds]))
    params["axis"] = axes[0] if len(axes) == 1 and draw(st.booleans()) else axes
    if len(axes) == ndim and draw(st.booleans()):
        del params["axis"]
    return [shape], params


LAYOUTS: dict[str, Callable[[], st.SearchStrategy[Layout]]] = {
    "add_at": of_add_at,
    "append": of_append,
    "array_split": lambda: of_split(uneven=True),
    "column_stack": of_column_stack,
    "concatenate": of_concatenate,
    "diag": of_diag,
    "diagonal": of_diagonal,
    "dsplit": lambda: of_split(axis=2),
    "dstack": lambda: of_neighbours(axis=2),
    "cross": of_cross,
    "einsum": of_einsum,
    "hsplit": lambda: of_split(axis=1),
    "hstack": lambda: of_neighbours(axis=1),
    "kron": of_kron,
    "linear": of_linear,
    "norm": of_norm,
    "split": lambda: of_split(),
    "stack": of_stack,
    "tensordot": of_tensordot,
    "trace": of_trace,
    "vsplit": lambda: of_split(axis=0),
    "vstack": lambda: of_neighbours(axis=0),
}
