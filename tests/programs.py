"""Random programs of all ops, which other engines can run as well."""

import os
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple

import built_in_calls
import numpy as np
from hypothesis import assume, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.checking import strategies
from tinygrad_edu.checking.strategies import Call
from tinygrad_edu.engine.op import Domain, Op

__all__ = [
    "NAMES",
    "NO_COUNTERPART",
    "OPS",
    "PROFILE",
    "Program",
    "close",
    "loss_of",
    "programs",
    "weighted_sum",
]

# As they are now: other tests may declare more.
OPS = dict(tg.OPS)

PROFILE = settings(
    max_examples=20, deadline=None, derandomize="CI" in os.environ, print_blob=False
)


class Step(NamedTuple):
    """One line of a program."""

    op: Op
    operands: list[Any]  # the numbers of earlier values; or arrays, which are constant
    params: dict[str, Any]


class Program(NamedTuple):
    """Value 0, 1, ... are the inputs, then comes the answer of each step."""

    inputs: list[np.ndarray]
    steps: list[Step]
    seed: int

    def run(
        self,
        ops: Mapping[str, Callable[..., Any]],
        inputs: list[Any],
        constant: Callable[[np.ndarray], Any] = np.asarray,
    ) -> list[Any]:
        """Return the values that were not used further, in another engine's ops."""
        values = list(inputs)
        unused = set(range(len(values)))
        for step in self.steps:
            unused -= {i for i in step.operands if isinstance(i, int)}
            unused.add(len(values))
            operands = [
                values[i] if isinstance(i, int) else constant(i) for i in step.operands
            ]
            values.append(ops[step.op.name](*operands, **step.params))
        return [values[i] for i in sorted(unused)]

    def weights(self, arrays: list[np.ndarray], salt: int) -> list[np.ndarray]:
        """Return random numbers in the shapes of some arrays."""
        rng = np.random.default_rng([self.seed, salt])
        return [rng.standard_normal(np.shape(x)) for x in arrays]


# Of the ops, those with rules take part in programs; and of the compositions, these.
COMPOSED = {"clip", "expand_dims", "mean", "prod", "softmax", "squeeze", "stack"}
COMPOSED |= {"tensordot", "var"}
NO_COUNTERPART = {
    "astype": "programs are of float64 throughout",
    "eigensystem": "the signs of the vectors are chosen",
    "qr_factors": "the signs of the vectors are chosen",
    "singular_system": "the signs of the vectors are chosen",
}
NAMES = [
    name
    for name, op in OPS.items()
    if name not in NO_COUNTERPART and (op.rules or name in COMPOSED)
]

# What a step passes for parameters that depend on more than the first input's shape.
GIVEN: dict[str, list[dict[str, Any]]] = {
    "concatenate": [{"axis": 0}, {"axis": -1}],
    "convolve": [{}, {"mode": "same"}, {"mode": "valid"}],
    "einsum": [
        {"subscripts": "ij,kj->ki"},
        {"subscripts": "ij,ji->j"},
        {"subscripts": "i,j->ji"},
        {"subscripts": "ii,j->j"},
    ],
    "roll": [{"shift": 1}, {"shift": -2}],
    "stack": [{}, {"axis": -1}],
    "tensordot": [{"axes": 1}, {}, {"axes": 0}],
}


# Programs begin with them, but a matrix that comes about may well be singular.
ONLY_AT_FIRST = {"cholesky", "det", "inv", "logabsdet", "solve"}


def without_dtype(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters by which a call computes in the inputs' own dtype."""
    return {name: value for name, value in params.items() if name != "dtype"}


@st.composite
def programs(draw: st.DrawFn, op: Op) -> Program:
    """Draw a program that begins with a call of `op`, and goes on with up to 7 more."""
    call = draw(built_in_calls.calls(op))
    assume(all(x.size for x in [*call.inputs, call.run(call.inputs)]))
    inputs = [x for x in call.inputs if x.dtype.kind == "f"]
    numbers = iter(range(len(inputs)))
    operands = [next(numbers) if x.dtype.kind == "f" else x for x in call.inputs]
    steps = [Step(op, operands, without_dtype(call.params))]
    values = [*inputs, compute(steps[0], inputs)]
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=7)):
        add_steps(draw, OPS[name], steps, values)
    return Program(inputs, steps, draw(st.integers(0, 2**32 - 1)))


def add_steps(draw: st.DrawFn, op: Op, steps: list[Step], values: list[Any]) -> None:
    """Add a call of `op` on earlier values, if there are any that it can take.

    What has grown large is made small first, and what leaves the domain is put into it.
    """
    params = draw(st.sampled_from(GIVEN.get(op.name, [{}])))
    names = [name for name in op.inputs if name != "condition"] * (1 + op.variadic)
    first = draw(st.integers(0, len(values) - 1))
    others = product(range(len(values)), repeat=len(names) - 1)
    fitting = [i for i in others if fits(op, [values[j] for j in (first, *i)], params)]
    if not fitting:
        return
    operands: list[Any] = [first, *draw(st.sampled_from(fitting))]
    for i, (number, name) in enumerate(zip(operands, names)):
        for repair, *constants in repairs(values[number], op.domain[name]):
            steps.append(Step(repair, [operands[i], *map(np.array, constants)], {}))
            operands[i] = len(values)
            values.append(compute(steps[-1], values))

    arrays = [values[i] for i in operands]
    if op.name == "add_at":
        if arrays[0].ndim == 0:
            return
        length, *rest = arrays[0].shape
        rows = st.lists(st.integers(0, 2), min_size=length, max_size=length)
        params = {"index": draw(rows), "shape": (3, *rest)}
    elif op.name not in GIVEN:
        for name, choice in without_dtype(built_in_calls.choices(op)).items():
            strategy = choice(arrays[0].shape, op.defaults | params)
            params = params | {name: draw(strategy)}
    if op.name == "where":
        shape = np.broadcast_shapes(*(x.shape for x in arrays))
        operands = [
            draw(strategies.arrays("condition", op.domain["a"], shape)),
            *operands,
        ]
    if op.kink is not None:
        distance = op.kink(*arrays, **op.defaults | params)
        if np.min(np.abs(distance), initial=1) < 1e-3:
            return
    step = Step(op, operands, params)
    answer = compute(step, values)
    if 0 < answer.size <= 64:
        steps.append(step)
        values.append(answer)


def repairs(x: np.ndarray, domain: Domain) -> list[tuple[Any, ...]]:
    """Tell which ops, with which constants, make `x` small and put it into a domain."""
    low, high, excluding = domain
    half = np.max(np.abs(x)) / 2
    shrink = [(tg.divide, half)] if half > 4 else []
    x = x / half if half > 4 else x
    margin = min((np.min(np.abs(x - end)) for end in excluding), default=1)
    if low + 0.1 < np.min(x) and np.max(x) < high - 0.1 and margin > 0.1:
        return shrink
    if np.isfinite(high):  # tanh lies between -1 and 1
        middle, scale = (low + high) / 2, 0.75 * (high - low) / 2
        return [*shrink, (tg.tanh,), (tg.multiply, scale), (tg.add, middle)]
    return [*shrink, (tg.tanh,), (tg.exp,), (tg.add, max(low, 0.0))]


def fits(op: Op, arrays: list[np.ndarray], params: dict[str, Any]) -> bool:
    """Whether the arrays' shapes go together: NumPy is asked, where it knows."""
    if op is tg.linear:
        x, w, b = (x.shape for x in arrays)
        return len(x) > 0 and len(w) == 2 and x[-1] == w[1] and b == w[:1]
    if op is tg.convolve:
        return all(x.ndim == 1 for x in arrays)
    if op.name in ONLY_AT_FIRST:
        return False
    try:
        if op is tg.einsum:
            np.einsum(params["subscripts"], *arrays)
        elif op.elementwise:
            np.broadcast_shapes(*(x.shape for x in arrays))
        elif len(arrays) > 1:
            args = [arrays] if op.variadic else arrays
            getattr(np, op.name)(*args, **params)
    except (ValueError, IndexError):
        return False
    return True


def compute(step: Step, values: list[Any]) -> np.ndarray:
    arrays = [values[i] if isinstance(i, int) else i for i in step.operands]
    return np.asarray(Call(step.op, arrays, step.params).run(arrays))


def weighted_sum(values: list[Any], weights: list[Any], add_up: Any) -> Any:
    total: Any = 0.0
    for value, weight in zip(values, weights):
        total = total + add_up(value * weight)
    return total


def loss_of(program: Program) -> tuple[tg.Tensor, list[tg.Tensor]]:
    """Run a program on Tensors; its outputs are weighted at random and added up."""
    leaves = [tg.Tensor(x, requires_grad=True) for x in program.inputs]

    def flat(op: Op) -> Callable[..., Any]:
        return lambda *xs, **params: Call(op, list(xs), params).run(xs)

    outputs = program.run({name: flat(op) for name, op in OPS.items()}, leaves)
    weights = program.weights([y.data for y in outputs], 0)
    return weighted_sum(outputs, weights, tg.sum), leaves


def close(x: Any, y: Any) -> None:
    """Assert that two are equal but for rounding."""
    scale = max(1.0, np.max(np.abs(y), initial=0))
    np.testing.assert_allclose(x, y, rtol=0, atol=1e-9 * scale)
