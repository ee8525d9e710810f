"""Calls of ops that Hypothesis thinks of.

What a call may look like is read from the op's declaration. Values are of moderate
size, and apart from the ends of the input's domain, from its excluded points and from
the op's kinks, so that differences of the answer tell the derivative. Shapes fit the
signature. `PARAMETERS` holds what to pass for the parameters that many ops have.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, combinations
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tinygrad_edu.engine.errors import core_dimensions
from tinygrad_edu.engine.op import Domain, Op
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.shapes import reshape
from tinygrad_edu.support.extras import missing

try:
    from hypothesis import assume
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError as error:
    raise missing("hypothesis", "tinygrad_edu.testing", str(error)) from error

__all__ = [
    "DTYPES",
    "FROM_KINKS",
    "SIDES",
    "Array",
    "Call",
    "Choice",
    "Layout",
    "Params",
    "Shape",
    "arrays",
    "calls",
    "calls_in",
    "choices",
    "layouts",
    "shapes_for",
    "show",
    "strung",
    "values_in",
]

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]
Params: TypeAlias = dict[str, Any]
Shapes: TypeAlias = st.SearchStrategy[Sequence[Shape]]
# The shapes of an op's inputs, and the parameters that go with them.
Layout: TypeAlias = tuple[Sequence[Shape], Params]
# What to pass for a parameter, by the first input's shape and the parameters so far.
Choice: TypeAlias = Callable[[Shape, Params], st.SearchStrategy[Any]]

FROM_ENDS = 1 / 4  # the least distance from the ends of a domain, or what it excludes
FROM_KINKS = 1 / 32

SIDES = st.sampled_from([2, 1, 3, 2, 3, 0])  # of shapes that may be empty
# Nothing coarser than what comes in, since differences of it must stay sharp.
DTYPES = st.sampled_from([np.float64, np.longdouble])


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


def calls(
    op: Op, /, *, shapes: Shapes | None = None, **parameters: Any
) -> st.SearchStrategy[Call]:
    """Calls of `op` on arrays of float64, of numbers that float32 has as well.

    Some of the inputs may be constant. Parameters that have a default are passed in
    some calls and left out in others; see `check_op` on strategies for them, and for
    shapes.
    """
    return calls_in(op, layouts(op, choices(op, parameters), shapes))


@st.composite
def calls_in(draw: st.DrawFn, op: Op, layout: st.SearchStrategy[Layout]) -> Call:
    """Calls of `op` on arrays of such shapes, with such parameters."""
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


# --- Shapes and parameters ------------------------------------------------------------


@st.composite
def layouts(
    draw: st.DrawFn, op: Op, chosen: Mapping[str, Choice], given: Shapes | None = None
) -> Layout:
    """Shapes that fit the signature, if none are given; parameters that fit the first.

    An axis comes first, since others depend on it.
    """
    if given is None:
        given = shapes_for(op.signature, len(op.inputs), op.elementwise)
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


def axes(shape: Shape, params: Params) -> st.SearchStrategy[Any]:
    ndim = len(shape)
    if ndim == 0:
        return st.sampled_from([None, ()])
    return st.none() | st.integers(-ndim, ndim - 1) | hnp.valid_tuple_axes(ndim)


def degrees(shape: Shape, params: Params) -> st.SearchStrategy[int]:
    """Degrees of freedom to subtract from the number of elements, leaving some."""
    x = np.empty(shape)
    count = x.size // np.add.reduce(x, axis=params["axis"]).size
    return st.integers(0, min(1, count - 1))


# By the parameter's name.
PARAMETERS: dict[str, Choice] = {
    "axis": axes,
    "ddof": degrees,
    "dtype": lambda shape, params: DTYPES,
    "keepdims": lambda shape, params: st.booleans(),
}


def choices(op: Op, given: Mapping[str, Any]) -> dict[str, Choice]:
    """Find what to pass for each parameter; what has none is left at its default."""
    if unknown := given.keys() - op.defaults.keys():
        raise TypeError(f"{op.name}: {op} has no parameter {', '.join(unknown)}")
    known = PARAMETERS | {name: _choice(x) for name, x in given.items()}
    found: dict[str, Choice] = {}
    for name, default in op.defaults.items():
        if name in known:
            found[name] = known[name]
        elif default is inspect.Parameter.empty:
            raise TypeError(
                f"{op.name}: its parameter {name} has no default, so say what to pass: "
                f"check_op({op.name}, {name}=...), a strategy of Hypothesis"
            )
    return found


def _choice(strategy: Any) -> Choice:
    return strategy if callable(strategy) else lambda shape, params: strategy
