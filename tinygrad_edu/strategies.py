"""Calls of ops that Hypothesis thinks of.

What a call may look like is read from the op's declaration: values are of moderate
size, and apart from the ends of the input's domain, from its excluded points and from
the op's kinks, so that differences of the answer tell the derivative. Two tables hold
what a declaration does not tell: `PARAMETERS`, what to pass for a parameter, and
`LAYOUTS`, the few ops whose shapes and parameters depend on each other.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, combinations
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tinygrad_edu.errors import core_dimensions
from tinygrad_edu.op import Domain, Op
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.shapes import reshape
from tinygrad_edu.tensor import Tensor

try:
    from hypothesis import assume
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError as error:
    raise ImportError(
        'tinygrad_edu.testing needs Hypothesis: pip install "tinygrad_edu[test]"'
    ) from error

__all__ = [
    "Array",
    "Call",
    "arrays",
    "calls",
    "choices",
    "shapes_for",
    "show",
    "strung",
    "values_in",
]

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]
Params: TypeAlias = dict[str, Any]
# What to pass for a parameter, by the first input's shape and the parameters so far.
Choice: TypeAlias = Callable[[Shape, Params], st.SearchStrategy[Any]]

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
        inputs = [show(x) for x in self.inputs]
        named = [f"{name}={x}" for name, x in zip(self.op.inputs, inputs)]
        if self.op.variadic:
            named = [f"[{', '.join(inputs)}]"]
        params = [f"{name}={show(value)}" for name, value in self.params.items()]
        return f"{self.op.name}({', '.join(named + params)})"

    def run(self, inputs: Sequence[Any]) -> Any:
        """Call the op on arrays or Tensors in place of the inputs.

        If it gives several answers, they are strung together to one vector.
        """
        args = [list(inputs)] if self.op.variadic else inputs
        return strung(self.op(*args, **self.params))

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


def strung(answer: Any) -> Any:
    """String several answers together to one vector; one stays as it is."""
    if isinstance(answer, list | tuple):
        return concatenate([reshape(y, -1) for y in answer])
    return answer


def show(x: Any) -> str:
    """Write a value in one line; arrays as lists, since those can be pasted."""
    if isinstance(x, Tensor):
        x = x.data
    if not isinstance(x, np.ndarray | np.generic):
        return repr(x)
    text = str(x.tolist()) if x.size else f"empty({x.shape})"
    return text if x.dtype in (np.float64, np.int64, np.bool_) else f"{text} {x.dtype}"


# --- Calls ----------------------------------------------------------------------------


def calls(
    op: Op, /, *, shapes: Shapes | None = None, **parameters: Any
) -> st.SearchStrategy[Call]:
    """Calls of `op` on arrays of float64, of numbers that float32 has as well.

    Some of the inputs may be constant. Parameters that have a default are passed in
    some calls and left out in others; see `check_op` on strategies for them, and for
    shapes.
    """
    if shapes is None and op.name in LAYOUTS:
        return _calls(op, LAYOUTS[op.name]())
    return _calls(op, layouts(op, choices(op, parameters), shapes))


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
    if op.name in DIAGONALS:
        n = inputs[0].shape[-1]
        inputs[0] += np.diag(np.resize(DIAGONALS[op.name], n))
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

Shapes: TypeAlias = st.SearchStrategy[Sequence[Shape]]
Layout: TypeAlias = tuple[Sequence[Shape], Params]

SIDES = st.sampled_from([2, 1, 3, 2, 3, 0])  # where shapes are put together by hand

# Nothing coarser than what comes in, since differences of it must stay sharp.
DTYPES = st.sampled_from([np.float64, np.longdouble])

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
    kinds = ["fro"] if len(axes) == 2 else [2, 3, 1.5]
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

# What is added to the diagonals of the first input, so that its matrices are far from
# singular; or positive definite, that is.
DIAGONALS: dict[str, list[float]] = {
    "cholesky": [16.0],
    "det": [16.0, -16.0],
    "inv": [16.0, -16.0],
    "logabsdet": [16.0, -16.0],
    "slogdet": [16.0, -16.0],
    "solve": [16.0, -16.0],
}

# --- Parameters: from the first input's shape, and the parameters that came before ----


def axes(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    ndim = len(shape)
    if ndim == 0:
        return st.sampled_from([None, ()])
    return st.none() | st.integers(-ndim, ndim - 1) | hnp.valid_tuple_axes(ndim)


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


def degrees(shape: Shape, params: Params) -> st.SearchStrategy[int]:
    """Degrees of freedom to subtract from the number of elements, leaving some."""
    x = np.empty(shape)
    count = x.size // np.add.reduce(x, axis=params["axis"]).size
    return st.integers(0, min(1, count - 1))


# By the parameter's name, or by the op's and the parameter's.
PARAMETERS: dict[str, Choice] = {
    "axis": axes,
    "ddof": degrees,
    "dtype": lambda shape, params: DTYPES,
    "keepdims": lambda shape, params: st.booleans(),
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
    "moveaxis.destination": as_many_axes,
    "moveaxis.source": several_axes,
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
