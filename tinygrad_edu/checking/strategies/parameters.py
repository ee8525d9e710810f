"""Parameters of ops: from the first input's shape, and those that came before."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_edu.engine.op import Op

__all__ = [
    "DTYPES",
    "PARAMETERS",
    "Choice",
    "Params",
    "Shape",
    "axes_of_new",
    "choices",
    "indices",
]

Shape: TypeAlias = tuple[int, ...]
Params: TypeAlias = dict[str, Any]
# What to pass for a parameter, by the first input's shape and the parameters so far.
Choice: TypeAlias = Callable[[Shape, Params], st.SearchStrategy[Any]]

# Nothing coarser than what comes in, since differences of it must stay sharp.
DTYPES = st.sampled_from([np.float64, np.longdouble])


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
