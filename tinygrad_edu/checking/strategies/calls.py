"""A call of an op: values in its domain, in shapes that fit, with parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain, combinations
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_edu.checking.strategies.layouts import LAYOUTS, Layout, Shapes, layouts
from tinygrad_edu.checking.strategies.parameters import Params, Shape, choices
from tinygrad_edu.engine.op import Domain, Op
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.shapes import reshape

__all__ = [
    "DIAGONALS",
    "FROM_KINKS",
    "Array",
    "Call",
    "arrays",
    "calls",
    "show",
    "strung",
    "values_in",
]

Array: TypeAlias = np.ndarray[Any, Any]

FROM_ENDS = 1 / 4  # the least distance from the ends of a domain, or what it excludes
FROM_KINKS = 1 / 32

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
