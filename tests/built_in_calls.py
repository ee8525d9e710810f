"""Calls of the built-in ops: parameters and layouts that no declaration tells.

Two tables hold what `tinygrad_edu.testing.calls` cannot know: `PARAMETERS`, what to
pass for a parameter, and `LAYOUTS`, the few ops whose shapes and parameters depend on
each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_edu.checking import strategies
from tinygrad_edu.checking.strategies import (
    DTYPES,
    SIDES,
    Array,
    Call,
    Choice,
    Layout,
    Params,
    Shape,
    shapes_for,
)
from tinygrad_edu.engine.op import Op

# What is added to the diagonals of the first input, so that its matrices are far from
# singular; or positive definite, that is.
DIAGONALS: dict[str, list[float]] = {
    "cholesky": [16.0],
    "corrcoef": [16.0],
    "det": [16.0, -16.0],
    "eigensystem": [16.0, 32.0, 48.0],
    "eigh": [16.0, 32.0, 48.0],
    "eigvalsh": [16.0, 32.0, 48.0],
    "inv": [16.0, -16.0],
    "logabsdet": [16.0, -16.0],
    "matrix_power": [16.0, -16.0],
    "qr": [16.0, -16.0],
    "qr_factors": [16.0, -16.0],
    "singular_system": [16.0, 32.0, 48.0],
    "slogdet": [16.0, -16.0],
    "solve": [16.0, -16.0],
    "svd": [16.0, 32.0, 48.0],
    "svdvals": [16.0, 32.0, 48.0],
}

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
    "select": 1,
    "sort": 1,
    "swapaxes": 1,
    "take": 1,
    "take_along_axis": 1,
}


def calls(op: Op) -> st.SearchStrategy[Call]:
    """Calls of a built-in op, of all kinds that it takes."""
    if op.name in LAYOUTS:
        layout = LAYOUTS[op.name]()
    else:
        may_be_empty = op.elementwise or op.name in TAKES_NOTHING
        least = LEAST_DIMENSIONS.get(op.name, 0)
        shapes = shapes_for(op.signature, len(op.inputs), may_be_empty, least)
        layout = strategies.layouts(op, choices(op), shapes)
    return strategies.calls_in(op, layout).map(
        lambda call: call._replace(inputs=regular(op, call.inputs))
    )


def regular(op: Op, inputs: list[Array]) -> list[Array]:
    """Return an op's inputs: its matrices far from singular, or its points in order."""
    x, *others = inputs
    if op.name == "interp":
        others[0] = np.sort(others[0]) + np.arange(len(others[0]))
    if op.name in DIAGONALS:
        *_, rows, columns = x.shape
        x = x + np.eye(rows, columns) * np.resize(DIAGONALS[op.name], columns)
        # Where a symmetric matrix has a 0, the sign of an eigenvector may change.
        x = x + 1 / 32
    return [x, *others]


def choices(op: Op) -> dict[str, Choice]:
    """Return a strategy for each parameter; those without one keep their default."""
    names = (name for name in op.defaults if f"{op.name}.{name}" in PARAMETERS)
    return strategies.choices(op, {x: PARAMETERS[f"{op.name}.{x}"] for x in names})


# --- Parameters: from the first input's shape, and those that came before -------------


def one_axis(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, *range(-len(shape), len(shape))])


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


def weights(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    """One for each element, or for each along the axes that are averaged over."""
    shapes = [shape]
    if params["axis"] is not None:
        axes = np.atleast_1d(np.array(params["axis"], int))
        shapes.append(tuple(shape[i] for i in axes))
    numbers = st.integers(1, 24).map(lambda k: k / 8)
    return st.none() | st.sampled_from(shapes).flatmap(
        lambda s: hnp.arrays(np.float16, s, elements=numbers)
    )


def sides(shape: Shape, params: Params) -> st.SearchStrategy[int]:
    """One of the axes, by its number."""
    return st.integers(-len(shape), len(shape) - 1)


def several_axes(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    """One axis or a few, which go to as many places, in turn, as are drawn next."""
    return sides(shape, params) | hnp.valid_tuple_axes(len(shape))


def as_many_axes(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    source = params["source"]
    if isinstance(source, int):
        return sides(shape, params)
    n = len(source)
    return hnp.valid_tuple_axes(len(shape), min_size=n, max_size=n)


def two_axes(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    return hnp.valid_tuple_axes(len(shape), min_size=2, max_size=2)


def shifts(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    return st.integers(-4, 4)


def repetitions(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    """A number for all; or one for each element along the axis."""
    axis = params["axis"]
    n = math.prod(shape) if axis is None else shape[axis]
    return st.integers(0, 3) | st.lists(st.integers(0, 2), min_size=n, max_size=n)


def along_axis(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    """Numbers of elements along the axis, which may repeat; of all, without an axis."""
    n = math.prod(shape) if params["axis"] is None else shape[params["axis"]]
    return hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=0, max_dims=2, max_side=3),
        elements=st.integers(-n, n - 1),
    )


def for_each_along(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    """Numbers of elements along the axis, in each row of its own."""
    axis = params["axis"]
    n = math.prod(shape) if axis is None else shape[axis]
    rows = [3] if axis is None else [*shape]
    if axis is not None:
        rows[axis] = 3
    return hnp.arrays(np.int64, tuple(rows), elements=st.integers(-n, n - 1))


def ranks(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    """All but one, if there is more than one, so that there is one answer."""
    n = math.prod(shape) if params["axis"] is None else shape[params["axis"]]
    last = st.integers(0, n - 1)
    return last.map(lambda i: [k for k in range(n) if k != i] or 0)


def margins(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    width = st.integers(0, 3)
    both = st.tuples(width, width)
    return width | both | st.lists(both, min_size=len(shape), max_size=len(shape))


def fillings(shape: Shape, params: Params) -> st.SearchStrategy[str]:
    of_its_own = ["edge", "reflect", "symmetric", "wrap"] if all(shape) else []
    return st.sampled_from(["constant", *of_its_own])


# By the op's name and the parameter's.
PARAMETERS: dict[str, Choice] = {
    "average.weights": weights,
    "broadcast_to.shape": larger_shapes,
    "clip.max": bounds,
    "clip.min": bounds,
    "cumprod.axis": one_axis,
    "cumsum.axis": one_axis,
    "diff.append": lambda shape, params: st.sampled_from([None, 0.5]),
    "diff.axis": sides,
    "diff.n": lambda shape, params: st.integers(0, 3),
    "diff.prepend": lambda shape, params: st.sampled_from([None, -0.5]),
    "expand_dims.axis": axes_to_expand,
    "getitem.index": indices,
    "ldexp.exponent": lambda shape, params: st.sampled_from([3, -2, [0, 1, -1][:1]]),
    "matrix_power.n": lambda shape, params: st.integers(-2, 4),
    "moveaxis.destination": as_many_axes,
    "moveaxis.source": several_axes,
    "nan_to_num.nan": lambda shape, params: st.just(0.5),
    "nan_to_num.neginf": lambda shape, params: st.just(-9.0),
    "nan_to_num.posinf": lambda shape, params: st.just(9.0),
    "pad.constant_values": lambda shape, params: st.sampled_from([2.5, (-1.5, 3.0)]),
    "pad.mode": fillings,
    "pad.pad_width": margins,
    "partition.axis": one_axis,
    "partition.kind": lambda shape, params: st.just("introselect"),
    "partition.kth": ranks,
    "ravel.order": lambda shape, params: st.sampled_from(["C", "F"]),
    "repeat.axis": one_axis,
    "repeat.repeats": repetitions,
    "reshape.shape": new_shapes,
    "roll.axis": one_axis,
    "roll.shift": shifts,
    "rollaxis.axis": sides,
    "rollaxis.start": sides,
    "rot90.axes": two_axes,
    "rot90.k": shifts,
    "round.decimals": lambda shape, params: st.integers(-1, 2),
    "sort.axis": one_axis,
    "sort.kind": lambda shape, params: st.sampled_from(["stable", "quicksort"]),
    "select.default": lambda shape, params: st.sampled_from([0, 2.5]),
    "squeeze.axis": axes_to_squeeze,
    "swapaxes.axis1": sides,
    "swapaxes.axis2": sides,
    "take.axis": one_axis,
    "take.indices": along_axis,
    "take.mode": lambda shape, params: st.sampled_from(["raise", "wrap", "clip"]),
    "take_along_axis.axis": one_axis,
    "take_along_axis.indices": for_each_along,
    "tile.reps": lambda shape, params: st.integers(0, 2) | hnp.array_shapes(max_side=2),
    "transpose.axes": permutations,
    "tril.k": shifts,
    "triu.k": shifts,
}

# --- Layouts: shapes and parameters that go together ----------------------------------


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
    kinds: list[Any] = ["fro", "nuc", 2, -2] if len(axes) == 2 else [2, 3, 1.5]
    params["ord"] = draw(st.sampled_from([None, 1, np.inf, -1, -np.inf, *kinds]))
    params["axis"] = axes[0] if len(axes) == 1 and draw(st.booleans()) else axes
    if len(axes) == ndim and draw(st.booleans()):
        del params["axis"]
    return [shape], params


@st.composite
def of_central_differences(draw: st.DrawFn) -> Layout:
    edge_order = draw(st.sampled_from([1, 2]))
    ndim, n = draw(st.integers(1, 2)), draw(st.integers(edge_order + 1, 4))
    params: Params = {"edge_order": edge_order} if edge_order > 1 else {}
    if draw(st.booleans()):
        places = np.cumsum([0.25, 1.0, 0.5, 0.75])[:n]
        params["spacing"] = draw(st.sampled_from([0.5, places]))
    if draw(st.booleans()):
        params["axis"] = draw(hnp.valid_tuple_axes(ndim, min_size=1) | st.just(-1))
    return [(n,) * ndim], params


@st.composite
def of_convolve(draw: st.DrawFn) -> Layout:
    sides = st.integers(1, 4)
    params: Any = st.sampled_from([{}, {"mode": "same"}, {"mode": "valid"}])
    return [(draw(sides),), (draw(sides),)], draw(params)


@st.composite
def of_cov(draw: st.DrawFn, name: str = "cov") -> Layout:
    """Three observations or more; and so that no variable is constant, no fewer."""
    rowvar = draw(st.booleans())
    shape = draw(st.sampled_from([(3, 3), (2, 3) if rowvar else (3, 2)]))
    params: Params = {} if rowvar else {"rowvar": False}
    if draw(st.booleans()):
        more = np.array([[1, 4, 2], [0, 3, -1], [5, -2, 2]], np.float16)
        params["y"] = more[: shape[0]]
    if name == "cov":
        params |= draw(st.sampled_from([{}, {"bias": True}, {"ddof": 2}]))
    return [shape], params


@st.composite
def of_interp(draw: st.DrawFn) -> Layout:
    n, x = draw(st.integers(2, 4)), draw(hnp.array_shapes(min_dims=0, max_dims=2))
    ends: Any = st.sampled_from([{}, {"left": -1.5}, {"right": 2.5}])
    return [x, (n,), (n,)], draw(ends)


@st.composite
def of_linspace(draw: st.DrawFn) -> Layout:
    shapes = draw(shapes_for("(),()->()", 2, may_be_empty=False))
    params: Params = {"num": draw(st.sampled_from([5, 1, 2, 0]))}
    if draw(st.booleans()):
        ndim = len(np.broadcast_shapes(*shapes))
        params |= {"endpoint": False, "axis": draw(st.integers(-ndim - 1, ndim))}
    return shapes, params


@st.composite
def of_make_diagonal(draw: st.DrawFn) -> Layout:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    if draw(st.booleans()):
        return [shape], {}
    axes = hnp.valid_tuple_axes(len(shape) + 1, min_size=2, max_size=2)
    axis1, axis2 = draw(axes)
    return [shape], {"offset": draw(st.integers(-2, 2)), "axis1": axis1, "axis2": axis2}


@st.composite
def of_multi_dot(draw: st.DrawFn) -> Layout:
    """Two matrices or more in a chain; the first and the last may be vectors."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=3, max_size=5))
    shapes: list[Shape] = list(pairwise(sizes))
    if draw(st.booleans()):
        shapes[0] = shapes[0][1:]
    if draw(st.booleans()):
        shapes[-1] = shapes[-1][:1]
    return shapes, {}


@st.composite
def of_factors(draw: st.DrawFn, tall: bool = False) -> Layout:
    """Matrices of any two sides, or no wider than tall; and stacks of them."""
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    stacks = draw(st.sampled_from([(), (), (2,)]))
    return [(*stacks, rows, min(rows, columns) if tall else columns)], {}


@st.composite
def of_svd(draw: st.DrawFn) -> Layout:
    ((*stacks, rows, columns),), _ = draw(of_factors())
    params: Params = {} if rows == columns else {"full_matrices": False}
    return [(*stacks, rows, columns)], params


LAYOUTS: dict[str, Callable[[], st.SearchStrategy[Layout]]] = {
    "add_at": of_add_at,
    "append": of_append,
    "array_split": lambda: of_split(uneven=True),
    "central_differences": of_central_differences,
    "column_stack": of_column_stack,
    "concatenate": of_concatenate,
    "convolve": of_convolve,
    "corrcoef": lambda: of_cov("corrcoef"),
    "cov": of_cov,
    "diag": of_diag,
    "diagonal": of_diagonal,
    "dsplit": lambda: of_split(axis=2),
    "dstack": lambda: of_neighbours(axis=2),
    "cross": of_cross,
    "einsum": of_einsum,
    "hsplit": lambda: of_split(axis=1),
    "hstack": lambda: of_neighbours(axis=1),
    "interp": of_interp,
    "kron": of_kron,
    "linear": of_linear,
    "linspace": of_linspace,
    "make_diagonal": of_make_diagonal,
    "multi_dot": of_multi_dot,
    "norm": of_norm,
    "qr": of_factors,
    "qr_factors": lambda: of_factors(tall=True),
    "singular_system": of_factors,
    "split": lambda: of_split(),
    "stack": of_stack,
    "svd": of_svd,
    "svdvals": of_factors,
    "tensordot": of_tensordot,
    "trace": of_trace,
    "vsplit": lambda: of_split(axis=0),
    "vstack": lambda: of_neighbours(axis=0),
}
