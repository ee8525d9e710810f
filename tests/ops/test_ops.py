"""The table of ops: one suite walks it, and what is peculiar to an op is told exactly.

Each op passes the checks of `tinygrad_edu.testing`, as a user's own does, and is what
NumPy says or what a plain formula does.
"""

import itertools
import math
import os
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import built_in_calls
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_edu as tg
from tinygrad_edu import ops
from tinygrad_edu.checking import properties as testing
from tinygrad_edu.checking.strategies import Call
from tinygrad_edu.engine.op import Composite, Op

# As they are now: other tests may declare more.
OPS = dict(tg.OPS)

PROFILE = settings(
    max_examples=50, deadline=None, derandomize="CI" in os.environ, print_blob=False
)

nan, inf = np.nan, np.inf
floats = pytest.mark.parametrize("dtype", [np.float32, np.float64])

# --- The suite ------------------------------------------------------------------------

# LAPACK chooses the signs of the vectors; the decompositions have a test of their own.
CHOSEN_SIGNS = {"eigensystem", "eigh", "qr", "qr_factors", "singular_system", "svd"}

walk_ops = pytest.mark.parametrize("op", OPS.values(), ids=list(OPS))


@walk_ops
def test_op(op: Op) -> None:
    @PROFILE
    @given(built_in_calls.calls(op))
    def check_all(call: Call) -> None:
        for check in testing.CHECKS:
            check(call)

    check_all()


def test_norm_is_the_same_of_arrays_and_of_tensors():
    """In the last place as well: in NumPy 2.0, ``**`` is not `np.power` to the bit."""
    x = np.random.default_rng(0).random((99, 2))
    for p in (-1, 0.5, 2, 3):
        of_arrays = tg.linalg.norm(x, ord=p, axis=1)
        assert (of_arrays == tg.linalg.norm(tg.Tensor(x), ord=p, axis=1).data).all()


@pytest.mark.parametrize("name", sorted(OPS.keys() - CHOSEN_SIGNS))
@given(data=st.data())
@PROFILE
def test_value_is_that_of_numpy(name: str, data: st.DataObject) -> None:
    op = OPS[name]
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    call = data.draw(built_in_calls.calls(op)).astype(dtype)
    answer = call.run(call.inputs)
    exact = call.astype(np.longdouble).inputs
    formula = EXPECTED.get(op.name) or getattr(np, op.name)
    expected = formula(*exact, **call.params)
    if isinstance(expected, list | tuple):  # several answers, as `run` strings them
        expected = np.concatenate([np.ravel(y) for y in expected])
    assert np.shape(answer) == np.shape(expected)
    scale = np.max(np.abs(expected), initial=1)
    tolerance = float(256 * np.finfo(dtype).eps * scale)
    assert_allclose(answer, expected, rtol=0, atol=tolerance)


def _add_at(x: Any, index: Any, shape: Any) -> Any:
    numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape)[index]
    answer = np.zeros(numbers.size and numbers.max() + 1, x.dtype)
    for number, value in zip(np.ravel(numbers), np.ravel(x)):
        answer[number] += value
    return np.resize(np.append(answer, np.zeros(np.prod(shape, dtype=int))), shape)


def _logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def _softmax(x: Any, axis: Any = -1) -> Any:
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


def _einsum(*arrays: Any, subscripts: str, optimize: Any = False) -> Any:
    """Go through all values of all letters."""
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    sizes: dict[str, int] = {}
    for term, x in zip(terms, arrays):
        for letter, n in zip(term, x.shape):
            sizes[letter] = n if sizes.get(letter, 1) == 1 else sizes[letter]
    total = np.zeros([sizes[letter] for letter in output], arrays[0].dtype)
    for values in itertools.product(*map(range, sizes.values())):
        at = dict(zip(sizes, values))
        places = [
            tuple(at[letter] % n for letter, n in zip(term, x.shape))
            for term, x in zip(terms, arrays)
        ]
        total[tuple(at[letter] for letter in output)] += np.prod(
            [x[place] for x, place in zip(arrays, places)]
        )
    return total


def _det(x: Any) -> Any:
    """Leibniz's formula: over all permutations."""
    n = x.shape[-1]
    total = np.zeros(x.shape[:-2], x.dtype)
    for order in itertools.permutations(range(n)):
        later = itertools.combinations(order, 2)
        sign = (-1) ** sum(i > j for i, j in later)
        total += sign * np.prod(x[..., range(n), order], axis=-1)
    return total


def _inv(x: Any) -> Any:
    """Cramer's rule: the minors over the determinant."""
    answer = np.empty_like(x)
    for i, j in np.ndindex(x.shape[-2:]):
        minor = np.delete(np.delete(x, i, axis=-2), j, axis=-1)
        answer[..., j, i] = (-1) ** (i + j) * _det(minor) / _det(x)
    return answer


def _solve(a: Any, b: Any) -> Any:
    return (_inv(a) @ b[:, None])[..., 0] if b.ndim == 1 else _inv(a) @ b


def _logabsdet(x: Any) -> Any:
    return np.log(np.abs(_det(x)))


def _cholesky(x: Any) -> Any:
    """Column by column."""
    x = (x + np.swapaxes(x, -1, -2)) / 2
    answer = np.zeros_like(x)
    for i in range(x.shape[-1]):
        row = answer[..., i, :i, None]
        left = x[..., i:, i] - (answer[..., i:, :i] @ row)[..., 0]
        answer[..., i:, i] = left / np.sqrt(left[..., :1])
    return answer


def _make_diagonal(x: Any, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Any:
    side = x.shape[-1] + abs(offset)
    stack = np.zeros((*x.shape[:-1], side, side), x.dtype)
    for place in np.ndindex(x.shape[:-1]):
        stack[place] = np.diag(x[place], offset)
    return np.moveaxis(stack, (-2, -1), (axis1, axis2))


def _matrix_power(x: Any, n: int) -> Any:
    answer = np.zeros_like(x) + np.eye(x.shape[-1], dtype=x.dtype)
    for _ in range(abs(n)):
        answer = answer @ (x if n > 0 else _inv(x))
    return answer


def _norm(x: Any, ord: Any = None, **params: Any) -> Any:
    return np.linalg.norm(
        x.astype(float) if ord in (2, -2, "nuc") else x, ord, **params
    )


def _pad(x: Any, pad_width: Any, mode: str = "constant", **values: Any) -> Any:
    return np.pad(x, pad_width, mode, **values if mode == "constant" else {})


# Where NumPy has no function of that name, or gives its parameters others.
EXPECTED: dict[str, Callable[..., Any]] = {
    "add_at": _add_at,
    "astype": lambda x, dtype: x.astype(dtype),
    "append": lambda x, values, axis=None: np.append(x, values, axis),
    "central_differences": lambda x, spacing=1.0, axis=None, edge_order=1: np.gradient(
        x,
        *[spacing] * (x.ndim if axis is None else np.size(axis)),
        axis=axis,
        edge_order=edge_order,
    ),
    "cholesky": _cholesky,
    "column_stack": lambda *arrays: np.column_stack(arrays),
    "clip": lambda x, min=None, max=None: np.minimum(
        np.maximum(x, -inf if min is None else min), inf if max is None else max
    ),
    "concatenate": lambda *arrays, axis=0: np.concatenate(arrays, axis),
    "det": _det,
    "diff": lambda x, **params: np.diff(
        x, **{name: value for name, value in params.items() if value is not None}
    ),
    "dstack": lambda *arrays: np.dstack(arrays),
    "eigvalsh": lambda x: np.linalg.eigvalsh(
        np.asarray((x + np.swapaxes(x, -1, -2)) / 2, float)
    ),
    "einsum": _einsum,
    "getitem": lambda x, index: x[index],
    "hstack": lambda *arrays: np.hstack(arrays),
    "interp": lambda x, xp, fp, left=None, right=None: np.interp(
        *(np.asarray(a, float) for a in (x, xp, fp)), left, right
    ),
    "inv": _inv,
    "ldexp": lambda x, exponent: x * 2.0 ** np.asarray(exponent),
    "linear": lambda x, w, b: np.einsum("...k,nk->...n", x, w) + b,
    "log_softmax": lambda x, axis=-1: np.log(_softmax(x, axis)),
    "logabsdet": _logabsdet,
    "logsumexp": _logsumexp,
    "make_diagonal": _make_diagonal,
    "matrix_power": _matrix_power,
    "multi_dot": lambda *arrays: np.linalg.multi_dot(arrays),
    "norm": _norm,
    "pad": _pad,
    "relu": lambda x: (x + np.abs(x)) / 2,
    "reshape": lambda x, shape: x.reshape(shape),
    "select": lambda condition, choices, default=0: np.select(
        list(condition), list(choices), default
    ),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "slogdet": lambda x: [np.sign(_det(x)), _logabsdet(x)],
    "softmax": _softmax,
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "solve": _solve,
    "squared_norm": lambda x: np.sum(x * x),
    "svdvals": lambda x: np.linalg.svdvals(np.asarray(x, float)),
    "stack": lambda *arrays, axis=0: np.stack(arrays, axis),
    "take_along_axis": lambda x, indices, axis=-1: np.take_along_axis(x, indices, axis),
    "vstack": lambda *arrays: np.vstack(arrays),
    "xlog1py": lambda a, b: a * np.log(1 + b),
    "sigmoid_cross_entropy": lambda z, t: np.log(1 + np.exp(z)) - t * z,
    "xlogy": lambda a, b: a * np.log(b),
}

# --- The table is complete ------------------------------------------------------------

NO_FORMULA = {
    "add_at": "an index is no mathematics",
    "astype": "a conversion changes no number",
    "broadcast_to": "shapes only",
    "concatenate": "shapes only",
    "einsum": "its formula is in its subscripts",
    "expand_dims": "shapes only",
    "interp": "a line between any two points",
    "multi_dot": "any number of factors",
    "nan_to_num": "what it replaces is no number",
    "reshape": "shapes only",
    "roll": "it rearranges elements",
    "squeeze": "shapes only",
    "stack": "shapes only",
    "tensordot": "its formula is in its axes",
} | {
    name: "it rearranges elements"
    for chapter in (ops.indexing, ops.joining, ops.rearranging, ops.shapes)
    for name, thing in vars(chapter).items()
    if isinstance(thing, Composite) and thing.name == name and not thing.tex
}


def test_every_parameter_has_a_strategy() -> None:
    ops = {name: op for name, op in OPS.items() if name not in built_in_calls.LAYOUTS}
    assert built_in_calls.LAYOUTS.keys() <= OPS.keys()
    missing = {
        (op.name, parameter)
        for op in ops.values()
        for parameter in op.defaults.keys() - built_in_calls.choices(op).keys()
    }
    assert missing == set()
    known = {f"{op.name}.{name}" for op in ops.values() for name in op.defaults}
    assert built_in_calls.PARAMETERS.keys() - known == set()


def test_every_op_is_exported() -> None:
    """At the front door, or in `tg.linalg`, and not in both."""
    doors = dict.fromkeys(tg.__all__, tg)
    doors |= dict.fromkeys(tg.linalg.__all__, tg.linalg)
    assert len(doors) == len(tg.__all__) + len(tg.linalg.__all__)
    assert OPS.keys() - doors.keys() == set()
    assert [name for name in OPS if getattr(doors[name], name) is not OPS[name]] == []


def test_every_op_is_a_method() -> None:
    methods = {name for name, op in OPS.items() if not op.variadic}
    assert methods - set(dir(tg.Tensor)) == set()


def test_every_op_is_documented() -> None:
    assert [name for name, op in OPS.items() if not op.__doc__] == []
    assert {name for name, op in OPS.items() if op.tex is None} == NO_FORMULA.keys()


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.tex], ids=str)
def test_formulas_hold_the_inputs(op: Op) -> None:
    places = [*op.inputs, *op.defaults]
    formula = op.tex.format(**{name: f"<{name}>" for name in places})
    assert all(f"<{name}>" in formula for name in op.inputs)
    assert formula.count("{") == formula.count("}")


def test_a_vector_times_a_stack_of_matrices() -> None:
    rng = np.random.default_rng(0)
    vector, stack = rng.standard_normal(3), rng.standard_normal((2, 3, 4))
    assert tg.gradcheck(lambda a, b: (tg.matmul(a, b) ** 2).sum(), vector, stack)


def test_every_primitive_has_a_rule_for_each_input() -> None:
    for op in OPS.values():
        if not isinstance(op, Composite):
            assert tuple(op.rules) == op.inputs, op
        assert op.domain.keys() == set(op.inputs), op


# --- Kinks: the table of subgradients -------------------------------------------------

# (inputs, parameters, gradient by each input)
SUBGRADIENTS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any], Any]]] = {
    "abs": [((0.0,), {}, (0,)), ((-0.0,), {}, (0,))],
    "arctan2": [
        ((0.0, 0.0), {}, (0, 0)),
        (([0.0, -0.0], [-2.0, -2.0]), {}, ([-0.5, -0.5], [0, 0])),
    ],
    "cbrt": [((0.0,), {}, (0,)), (([0.0, 8.0, -8.0],), {}, ([0, 1 / 12, 1 / 12],))],
    "ceil": [(([-1.0, 0.0, 0.5, 1.0],), {}, ([0, 0, 0, 0],))],
    "clip": [
        ((0.0,), {"min": 0.0, "max": 1.0}, (0.5,)),
        ((1.0,), {"min": 0.0, "max": 1.0}, (0.5,)),
        ((1.0,), {"max": 1.0}, (0.5,)),
        (([-1.0, 0.0, 0.5],), {"min": 0.0}, ([0, 0.5, 1],)),
        (([0.5, 1.0, 2.0],), {"max": 1.0}, ([1, 0.5, 0],)),
        (([0.0, 1.0],), {"min": np.array([0, -1], np.float16)}, ([0.5, 1],)),
    ],
    "copysign": [
        ((0.0, -2.0), {}, (0, 0)),
        (([3.0, -3.0, -0.0], [-0.0, 0.0, -1.0]), {}, ([-1, -1, 0], [0, 0, 0])),
    ],
    "floor": [(([-1.0, 0.0, 0.5, 1.0],), {}, ([0, 0, 0, 0],))],
    "floor_divide": [(([0.0, 4.0, 5.0], [-2.0, 2.0, 2.0]), {}, ([0, 0, 0], [0, 0, 0]))],
    "fmax": [
        ((1.0, 1.0), {}, (0.5, 0.5)),
        ((inf, inf), {}, (0.5, 0.5)),
        ((nan, nan), {}, (0.5, 0.5)),
        (([1.0, nan, -inf], [nan, 1.0, nan]), {}, ([1, 0, 1], [0, 1, 0])),
        (([1.0, 2.0], [2.0, 2.0]), {}, ([0, 0.5], [1, 0.5])),
    ],
    "fmin": [
        ((1.0, 1.0), {}, (0.5, 0.5)),
        ((-inf, -inf), {}, (0.5, 0.5)),
        ((nan, nan), {}, (0.5, 0.5)),
        (([1.0, nan, inf], [nan, 1.0, nan]), {}, ([1, 0, 1], [0, 1, 0])),
        (([1.0, 2.0], [2.0, 2.0]), {}, ([1, 0.5], [0, 0.5])),
    ],
    "fmod": [
        ((6.0, 2.0), {}, (1, -3)),
        ((-6.0, 2.0), {}, (1, 3)),
        (([0.0, 6.0, -7.0], [2.0, -2.0, 2.0]), {}, ([1, 1, 1], [0, 3, 3])),
    ],
    "heaviside": [
        (([-2.0, 0.0, 2.0], [0.5, 0.5, 0.5]), {}, ([0, 0, 0], [0, 1, 0])),
        ((nan, 0.5), {}, (0, 0)),
    ],
    "hypot": [
        ((0.0, 0.0), {}, (0, 0)),
        (([0.0, 0.0, 3.0], [0.0, -2.0, 4.0]), {}, ([0, 0, 0.6], [0, -1, 0.8])),
    ],
    "interp": [
        ((1.0, [0.0, 1.0, 3.0], [2.0, 3.0, 9.0]), {}, (3, [0, -3, 0], [0, 1, 0])),
        ((3.0, [0.0, 1.0, 3.0], [2.0, 3.0, 9.0]), {}, (3, [0, 0, -3], [0, 0, 1])),
        ((0.0, [0.0, 1.0], [2.0, 3.0]), {"left": 9.0}, (1, [-1, 0], [1, 0])),
    ],
    "logaddexp": [
        (([-inf, inf], [-inf, inf]), {}, ([0.5, 0.5], [0.5, 0.5])),
        (([-inf, -inf, 1.0], [-inf, 1.0, inf]), {}, ([0.5, 0, 0], [0.5, 1, 1])),
    ],
    "logaddexp2": [
        (([-inf, inf], [-inf, inf]), {}, ([0.5, 0.5], [0.5, 0.5])),
        (([-inf, -inf, 1.0], [-inf, 1.0, inf]), {}, ([0.5, 0, 0], [0.5, 1, 1])),
    ],
    "max": [
        (([2.0, 1.0, 2.0],), {}, ([0.5, 0, 0.5],)),
        (([0.0, -0.0, 0.0],), {"axis": 0, "keepdims": True}, ([1 / 3] * 3,)),
        (([[3.0, 3.0], [3.0, 1.0]],), {"axis": 0}, ([[0.5, 1], [0.5, 0]],)),
        (([[3.0, 3.0], [3.0, 1.0]],), {"axis": (0, 1)}, ([[1 / 3] * 2, [1 / 3, 0]],)),
        (([inf, 1.0, inf],), {}, ([0.5, 0, 0.5],)),
    ],
    "maximum": [
        ((1.0, 1.0), {}, (0.5, 0.5)),
        ((0.0, -0.0), {}, (0.5, 0.5)),
        ((inf, inf), {}, (0.5, 0.5)),
        (([1.0, 2.0], [2.0, 2.0]), {}, ([0, 0.5], [1, 0.5])),
    ],
    "min": [
        (([2.0, 1.0, 1.0],), {}, ([0, 0.5, 0.5],)),
        (([[3.0, 3.0], [3.0, 4.0]],), {"axis": -1}, ([[0.5, 0.5], [1, 0]],)),
        (([-inf, 1.0, -inf],), {}, ([0.5, 0, 0.5],)),
    ],
    "minimum": [
        ((1.0, 1.0), {}, (0.5, 0.5)),
        ((-0.0, 0.0), {}, (0.5, 0.5)),
        (([1.0, 2.0], [2.0, 2.0]), {}, ([1, 0.5], [0, 0.5])),
    ],
    "norm": [
        (([0.0, 0.0],), {}, ([0, 0],)),
        (([[0.0, 0.0]],), {"ord": "fro"}, ([[0, 0]],)),
        (([[0.0, 0.0], [3.0, 4.0]],), {"axis": 1}, ([[0, 0], [0.6, 0.8]],)),
        (([0.0, 0.0],), {"ord": 3}, ([0, 0],)),
        (([0.0, -2.0],), {"ord": 3}, ([0, -1],)),
        (([0.0, -2.0],), {"ord": 1}, ([0, -1],)),
        (([0.0, 0.0],), {"ord": inf}, ([0, 0],)),
        (([2.0, -2.0, 1.0],), {"ord": inf}, ([0.5, -0.5, 0],)),
        (([2.0, -1.0, 1.0],), {"ord": -inf}, ([0, -0.5, 0.5],)),
        (([[1.0, -2.0], [2.0, 1.0]],), {"ord": 1}, ([[0.5, -0.5], [0.5, 0.5]],)),
        (([[1.0, 0.0], [-2.0, 9.0]],), {"ord": -1}, ([[1, 0], [-1, 0]],)),
        (([[1.0, -2.0], [-3.0, 0.0]],), {"ord": inf}, ([[0.5, -0.5], [-0.5, 0]],)),
        (([[1.0, -2.0], [4.0, 5.0]],), {"ord": -inf}, ([[1, -1], [0, 0]],)),
        (([[2.0, 0.0], [0.0, -2.0]],), {"ord": 2}, ([[0.5, 0], [0, -0.5]],)),
    ],
    "partition": [
        (([3.0, 1.0, 2.0],), {"kth": 1}, ([-0.5, -0.5, 4],)),
        (([1.0, 1.0],), {"kth": 0}, ([1, 1],)),
    ],
    "power": [
        ((0.0, 0.0), {}, (0, 0)),
        ((0.0, 0.5), {}, (0, 0)),
        ((0.0, 1.0), {}, (1, 0)),
        ((0.0, 1.5), {}, (0, 0)),
        ((0.0, 2.0), {}, (0, 0)),
        ((0.0, 3.0), {}, (0, 0)),
        (([0.0, 2.0], [0.5, 3.0]), {}, ([0, 12], [0, 8 * np.log(2)])),
        ((-2.0, 3.0), {}, (12, nan)),
        ((-2.0, 0.0), {}, (0, nan)),
        ((-2.0, -1.0), {}, (-0.25, nan)),
    ],
    "ptp": [
        (([2.0, 1.0, 2.0],), {}, ([0.5, -1, 0.5],)),
        (([3.0, 3.0],), {}, ([0, 0],)),
        (
            ([[1.0, 1.0, 4.0], [5.0, 5.0, 5.0]],),
            {"axis": 1},
            ([[-0.5, -0.5, 1], [0] * 3],),
        ),
    ],
    "relu": [((0.0,), {}, (0,)), ((-0.0,), {}, (0,)), ((nan,), {}, (nan,))],
    "remainder": [
        ((6.0, 2.0), {}, (1, -3)),
        ((-6.0, 2.0), {}, (1, 3)),
        (([0.0, 6.0, 7.0], [2.0, -2.0, -2.0]), {}, ([1, 1, 1], [0, 3, 4])),
    ],
    "rint": [(([-0.5, 0.0, 0.5, 1.5],), {}, ([0, 0, 0, 0],))],
    "round": [
        (([-0.5, 0.0, 0.5, 1.5],), {}, ([0, 0, 0, 0],)),
        (([0.25, 0.5],), {"decimals": 1}, ([0, 0],)),
    ],
    "sign": [(([-2.0, 0.0, 2.0],), {}, ([0, 0, 0],))],
    "sort": [
        (([1.0, 0.0, 1.0],), {}, ([-2, -0.5, 1],)),
    ],
    "sqrt": [((0.0,), {}, (0,)), (([0.0, 4.0],), {}, ([0, 0.25],))],
    "trunc": [(([-1.0, 0.0, 0.5, 1.0],), {}, ([0, 0, 0, 0],))],
    "std": [
        (([2.0, 2.0],), {}, ([0, 0],)),
        ((2.0,), {}, (0,)),
        (([[1.0, 1.0], [1.0, 3.0]],), {"axis": 1}, ([[0, 0], [-0.5, 0.5]],)),
    ],
    "xlog1py": [
        ((0.0, -1.0), {}, (0, 0)),
        (([0.0, 0.0, 2.0], [-1.0, 1.0, 0.0]), {}, ([0, np.log(2), 0], [0, 0, 2])),
    ],
    "xlogy": [
        ((0.0, 0.0), {}, (0, 0)),
        (([0.0, 0.0, 2.0], [0.0, 2.0, 1.0]), {}, ([0, np.log(2), 0], [0, 0, 2])),
    ],
}


# Where the test below tells what is declared.
EQUAL_VALUES = {"eigensystem", "eigh", "eigvalsh", "singular_system", "svd", "svdvals"}


def test_every_subgradient_has_its_line() -> None:
    declared = {name for name, op in OPS.items() if op.subgradient or op.kink}
    assert declared == SUBGRADIENTS.keys() | EQUAL_VALUES
    assert [name for name in declared if not OPS[name].subgradient] == []


@floats
@pytest.mark.parametrize("graph", [False, True], ids=["arrays", "recorded"])
@pytest.mark.parametrize(
    ("name", "inputs", "params", "expected"),
    [(name, *line) for name, lines in SUBGRADIENTS.items() for line in lines],
)
def test_subgradient(
    name: str, inputs: Any, params: Any, expected: Any, graph: bool, dtype: Any
) -> None:
    leaves = [tg.Tensor(x, requires_grad=True, dtype=dtype) for x in inputs]
    y = OPS[name](*leaves, **params)
    cotangent = np.resize(np.array([-1.5, 3.0, 0.75], dtype), y.shape)
    y.backward(cotangent, create_graph=graph)
    if cotangent.size != 1 and "axis" in params:
        cotangent = np.expand_dims(cotangent, params["axis"])
    for leaf, slope in zip(leaves, expected, strict=True):
        wanted = (cotangent * slope).astype(dtype)
        assert_allclose(leaf.grad.data, wanted.reshape(leaf.shape), rtol=1e-6)
        leaf.zero_grad()


def _weighted(y: Any) -> Any:
    weights = np.array([[1.5, -2.0, 0.5], [0.25, 3.0, -1.0], [2.0, 0.75, -0.5]])
    return np.sum(y * weights[: y.shape[0]])


@pytest.mark.parametrize("q", [np.eye(3), np.linalg.qr(np.vander([1.0, 2, 4]))[0]])
@pytest.mark.parametrize("values", [[2.0, 2.0, -3.0], [-5.0, 4.0, 4.0], [4.0] * 3])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.exp(np.linalg.eigvalsh(x) / 4).sum(),
        lambda x: np.linalg.svdvals(x).prod(),
        lambda x: _weighted(np.matmul(*np.linalg.svd(x)[::2])),  # the nearest rotation
    ],
    ids=["eigenvalues", "singular values", "rotation"],
)
def test_equal_values_have_the_gradient_of_what_does_not_depend_on_the_choice(
    f: Any, values: list[float], q: np.ndarray
) -> None:
    assert tg.gradcheck(f, q @ np.diag(values) @ q.T)


def test_the_space_of_equal_values_has_a_gradient() -> None:
    """That of the projection on it; though its two vectors are LAPACK's choice."""
    q = np.linalg.qr(np.vander([1.0, 2, 4]))[0]

    def project(x: Any) -> Any:
        plane = np.linalg.eigh(x).eigenvectors[:, 1:]
        return _weighted(plane @ plane.T)

    assert tg.gradcheck(project, q @ np.diag([-3.0, 2.0, 2.0]) @ q.T)


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("as_array", [False, True])
def test_power_to_the_zeroth_is_constant_next_to_zero(
    graph: bool, as_array: bool
) -> None:
    """Its slope is b a^(b-1), where a^(b-1) overflows."""
    for a in (1e-310, 5e-324, -1e-310, 0.0, inf, 2.0):
        x = tg.Tensor([a, 3.0] if as_array else a, requires_grad=True)
        y = x ** (np.array([0.0, 2.0]) if as_array else 0)
        y.sum().backward(create_graph=graph)
        assert_array_equal(x.grad.data, [0.0, 6.0] if as_array else 0.0)
        x.zero_grad()
        slope = tg.compile(tg.grad(lambda x, b: (x**b).sum()))
        zeros = np.zeros_like(x.data)
        assert_array_equal(slope(x.data, zeros), zeros)


@floats
@pytest.mark.parametrize("graph", [False, True])
def test_power_of_zero_has_the_slope_0_for_each_exponent(
    dtype: Any, graph: bool
) -> None:
    """Also for a negative one, though the power is infinite there."""
    a = tg.Tensor([0.0, 0.0, 0.0, 2.0], requires_grad=True, dtype=dtype)
    b = tg.Tensor([-1.0, -0.5, 2.0, -1.0], requires_grad=True, dtype=dtype)
    g = np.array([-1.5, 3.0, 0.75, 2.0], dtype)
    with np.errstate(divide="ignore"):
        (a**b).backward(g, create_graph=graph)
    assert_allclose(b.grad.data, [0, 0, 0, np.log(2)], rtol=1e-6)
    assert_allclose(a.grad.data, [0, 0, 0, -0.5], rtol=1e-6)
    a.zero_grad()
    b.zero_grad()


# Where a rule has to take care, though the function is smooth. The last: what of the
# inputs is constant.
SMOOTH: list[tuple[str, tuple[Any, ...], set[int]]] = [
    ("abs", (-2.0,), set()),
    ("arccos", (0.0,), set()),
    ("arcsin", (0.0,), set()),
    ("arctan", (0.0,), set()),
    ("arctan2", (0.0, 2.0), set()),
    ("arctan2", (2.0, 0.0), set()),
    ("arctan2", (-2.0, 0.0), set()),
    ("cumprod", ([0.0, 2.0, 0.0, 3.0, -1.0],), set()),
    ("det", ([[0.0]],), set()),
    ("det", ([[1.0, 2.0], [2.0, 4.0]],), set()),
    ("det", ([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]],), set()),
    ("det", (np.ones((3, 3)),), set()),
    ("det", ([np.zeros((2, 2)), np.eye(2)],), set()),
    ("divide", (0.0, 2.0), set()),
    ("hypot", (0.0, 2.0), set()),
    ("hypot", (-2.0, 0.0), set()),
    ("log1p", (0.0,), set()),
    ("logaddexp", (2.0, 2.0), set()),
    ("logaddexp2", (2.0, 2.0), set()),
    ("logsumexp", ([2.0, 2.0],), set()),
    ("multiply", (0.0, 0.0), set()),
    ("norm", ([0.0, 3.0, 4.0],), set()),
    ("power", (-2.0, -1.0), {1}),
    ("power", (-2.0, 0.0), {1}),
    ("power", (-2.0, 3.0), {1}),
    ("power", (0.0, 0.0), {1}),
    ("power", (0.0, 1.0), {1}),
    ("power", (0.0, 2.0), {1}),
    ("power", (0.0, 3.0), {1}),
    ("power", (0.0, 2.5), {0}),
    ("power", (2.0, 0.0), set()),
    ("power", (2.0, 1.0), set()),
    ("power", (2.0, 2.0), set()),
    ("prod", ([0.0, 2.0, 3.0],), set()),
    ("prod", ([0.0, 2.0, 0.0],), set()),
    ("sigmoid", (0.0,), set()),
    ("sinc", (0.0,), set()),
    ("sinc", ([1 / 3, 0.0, 1e-9],), set()),
    ("sinh", (0.0,), set()),
    ("softplus", (0.0,), set()),
    ("squared_norm", ([0.0, 0.0],), set()),
    ("tan", (0.0,), set()),
    ("tanh", (0.0,), set()),
    ("trunc", (0.0,), set()),
    ("var", ([2.0, 2.0],), set()),
    ("xlog1py", (0.0, 1.0), set()),
    ("xlog1py", (2.0, 0.0), set()),
    ("xlogy", (0.0, 2.0), set()),
    ("xlogy", (2.0, 1.0), set()),
]


@pytest.mark.parametrize(
    ("name", "inputs", "constant"),
    SMOOTH,
    ids=[f"{line[0]}{line[1]}" for line in SMOOTH],
)
def test_smooth_at_a_peculiar_point(name: str, inputs: Any, constant: set[int]) -> None:
    call = Call(OPS[name], [np.array(x) for x in inputs], {}, frozenset(constant))
    testing.check_gradient(call)
    testing.check_second_order(call)


@pytest.mark.parametrize(
    ("f", "x", "second"),
    [
        (lambda x: x**2, 0.0, 2),
        (lambda x: x**2.0, 0.0, 2),
        (lambda x: x**3, 0.0, 0),
        (lambda x: x**1, 0.0, 0),
        (lambda x: x**0, 0.0, 0),
        (lambda x: x**0.5, 0.0, 0),
        (lambda x: x**3, -2.0, -12),
        (lambda x: x**-1, -2.0, -0.25),
        (tg.sqrt, 0.0, 0),
        (tg.cbrt, 0.0, 0),
        (lambda x: tg.hypot(x, 2 * x), 0.0, 0),
        (lambda x: tg.arctan2(x, 2 * x), 0.0, 0),
        (lambda x: tg.logaddexp(x, x), -inf, 0),
        (lambda x: tg.logaddexp2(x, x), inf, 0),
        (tg.abs, 0.0, 0),
        (tg.relu, 0.0, 0),
        (lambda x: tg.maximum(x * x, x * x), 0.0, 2),
        (lambda x: tg.prod(tg.stack([x, x, x + 1])), 0.0, 2),
    ],
)
def test_second_derivative_at_a_peculiar_point(f: Any, x: float, second: float) -> None:
    x = tg.Tensor(x, requires_grad=True)
    assert second_derivative(f, x) == pytest.approx(second)


def second_derivative(f: Callable[[tg.Tensor], tg.Tensor], x: tg.Tensor) -> float:
    f(x).backward(create_graph=True)
    first = x.grad
    x.zero_grad()
    if first.requires_grad:
        first.backward()
    return gradient_of(x).item()


def gradient_of(leaf: tg.Tensor) -> np.ndarray:
    """The gradient; zeros if the answer did not depend on the leaf at all."""
    return np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.data


def test_partition_keeps_the_smaller_before_and_the_larger_after() -> None:
    x = np.random.default_rng(0).permutation(np.arange(20.0))
    y = tg.partition(tg.Tensor(x), 7)
    assert y.data[7] == 7
    assert_array_equal(np.sort(y.data[:7]), np.arange(7))


def test_diff_by_what_is_set_before_and_after() -> None:
    x, before = np.array([[1.0, 4.0, 9.0]]), tg.Tensor(0.5, requires_grad=True)
    y = tg.diff(x, prepend=before, append=np.array([[16.0]]))
    assert_array_equal(y.data, [[0.5, 3, 5, 7]])
    y.backward([[2.0, 3.0, 5.0, 7.0]])
    assert before.grad.item() == -2


def test_correlation_of_one_variable_is_1() -> None:
    x = tg.Tensor([1.0, 4.0, 2.0], requires_grad=True)
    y = np.corrcoef(x)
    y.backward(3.0)
    assert y.item() == np.corrcoef(x.data) == 1
    assert_allclose(x.grad.data, np.zeros(3), atol=1e-15)


@floats
def test_what_is_no_number_is_replaced_and_has_no_gradient(dtype: Any) -> None:
    x = tg.Tensor([nan, inf, -inf, 2.0], requires_grad=True, dtype=dtype)
    for params in ({}, {"nan": 1.5, "posinf": 3.0, "neginf": -4.0}):
        y = np.nan_to_num(x, **params)
        assert_array_equal(y.data, np.nan_to_num(x.data, **params))
        assert y.dtype == dtype
        y.backward(np.array([5.0, -7.0, 9.0, 0.5], dtype))
        assert_array_equal(x.grad.data, [0, 0, 0, 0.5])
        x.zero_grad()
    assert_array_equal(tg.nan_to_num(np.array([1, 2])), [1, 2])


def test_ldexp_where_the_power_alone_overflows_or_vanishes() -> None:
    for number, exponent in [(2.0**-1000, 1900), (2.0**1000, -1900)]:
        y = np.ldexp(tg.Tensor(number), exponent)
        assert y.item() == math.ldexp(number, exponent)


def test_the_order_of_a_long_product_is_the_cheapest(monkeypatch: Any) -> None:
    """A column times a row is large, so the row goes first with what comes after."""
    rng = np.random.default_rng(0)
    shapes = [(9, 1), (1, 9), (9, 1), (1, 5)]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    made = []
    monkeypatch.setattr(
        ops.linalg, "dot", lambda a, b: made.append((a @ b).shape) or a @ b
    )
    assert_allclose(tg.linalg.multi_dot(arrays), np.linalg.multi_dot(arrays))
    assert made == [(1, 1), (1, 5), (9, 5)]


def test_vectors_have_triangles() -> None:
    assert_array_equal(tg.tril([1.0, 2.0]), np.tril([1.0, 2.0]))
    assert_array_equal(tg.triu([1.0, 2.0], 1), np.triu([1.0, 2.0], 1))


def test_norm_at_zero_has_the_gradient_zero() -> None:
    x = tg.Tensor(np.zeros(3), requires_grad=True)
    tg.sqrt(tg.sum(x**2)).backward(create_graph=True)
    assert_array_equal(x.grad.data, np.zeros(3))
    along = tg.sum(x.grad * np.array([1.5, -2.0, 0.5]))
    x.zero_grad()
    along.backward()
    assert_array_equal(x.grad.data, np.zeros(3))


def test_prod_with_zeros() -> None:
    x = tg.Tensor([[0.0, 2.0, 3.0], [0.0, 0.0, 5.0]], requires_grad=True)
    tg.prod(x, axis=1).backward([1.0, -2.0])
    assert_array_equal(x.grad.data, [[6, 0, 0], [0, 0, 0]])


def test_repeated_indices_add_up() -> None:
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x[[0, 0, 2, -3]]
    (y * y).backward([1.0, 10.0, 100.0, 1000.0], create_graph=True)
    assert_array_equal(x.grad.data, [2022, 0, 600])
    along = tg.sum(x.grad * np.array([1.0, 1.0, -1.0]))
    x.zero_grad()
    along.backward()
    assert_array_equal(x.grad.data, [2022, 0, -200])


@pytest.mark.parametrize(
    ("shift", "axis"), [(3, None), ((1, 1), None), (-1, 0), ((1, -2), (0, 1))]
)
def test_a_gradient_is_rolled_back(shift: Any, axis: Any) -> None:
    x, g = np.random.default_rng(0).standard_normal((2, 3, 4))
    origins = np.roll(np.arange(12).reshape(3, 4), shift, axis)
    expected = np.empty(12)
    expected[origins] = 2 * g * x.ravel()[origins]
    leaf = tg.Tensor(x, requires_grad=True)
    (tg.roll(leaf, shift, axis) ** 2).backward(g)
    assert_array_equal(leaf.grad.data, expected.reshape(3, 4))


# --- What was not taken has no say ----------------------------------------------------


def _norm(x: Any) -> Any:
    return tg.sqrt(tg.sum(x * x, keepdims=True))


# (function, x, its derivative, its second derivative), elementwise or of one element
NOT_TAKEN: dict[str, tuple[Callable[[Any], Any], Any, Any, Any]] = {
    "log": (
        lambda x: tg.where(x > 0, tg.log(x), 0),
        [-1.0, 0.0, 2.0],
        [0, 0, 0.5],
        [0, 0, -0.25],
    ),
    "log in b": (
        lambda x: tg.where(x <= 0, x, tg.log(x)),
        [-1.0, 0.0, 2.0],
        [1, 1, 0.5],
        [0, 0, -0.25],
    ),
    "exp": (lambda x: tg.where(x < 100, tg.exp(x), 0), [1000.0, 0.0], [0, 1], [0, 1]),
    "sqrt": (
        lambda x: tg.where(x > 0, tg.sqrt(x), 0),
        [-1.0, 0.0, 4.0],
        [0, 0, 0.25],
        [0, 0, -1 / 32],
    ),
    "divide": (lambda x: tg.where(x != 0, 1 / x, 0), [0.0, 2.0], [0, -0.25], [0, 0.25]),
    "sine over x": (
        lambda x: tg.where(x != 0, tg.sin(x) / x, 1),
        [0.0, np.pi],
        [0, -1 / np.pi],
        [0, 2 / np.pi**2],
    ),
    "power": (
        lambda x: tg.where(x > 0, x**-0.5, 0),
        [-1.0, 0.0, 4.0],
        [0, 0, -1 / 16],
        [0, 0, 3 / 128],
    ),
    "power of itself": (
        lambda x: tg.where(x > 0, x**x, 0),
        [-1.5, 0.0, 1.0],
        [0, 0, 1],
        [0, 0, 2],
    ),
    "several on end": (
        lambda x: tg.where(x > 1, tg.sqrt(tg.log(x)), 0),
        [-1.0, 0.0, 0.5, 1.0, np.e],
        [0, 0, 0, 0, 1 / (2 * np.e)],
        [0, 0, 0, 0, -3 / (4 * np.e**2)],
    ),
    "twice chosen": (
        lambda x: tg.where(x > 0, tg.relu(tg.log(x)), 0),
        [-1.0, 0.0, 0.5, 2.0],
        [0, 0, 0, 0.5],
        [0, 0, 0, -0.25],
    ),
    "maximum": (lambda x: tg.maximum(tg.log(x), -1), [0.0, 2.0], [0, 0.5], [0, -0.25]),
    "minimum": (lambda x: tg.minimum(1 / x, 1), [0.0, 2.0], [0, -0.25], [0, 0.25]),
    "fmax": (
        lambda x: tg.fmax(tg.log(x), -1),
        [-1.0, 0.0, 2.0],
        [0, 0, 0.5],
        [0, 0, -0.25],
    ),
    "fmin": (
        lambda x: tg.fmin(tg.sqrt(x), 3),
        [-1.0, 4.0, 16.0],
        [0, 0.25, 0],
        [0, -1 / 32, 0],
    ),
    "relu": (lambda x: tg.relu(tg.log(x)), [0.0, 2.0], [0, 0.5], [0, -0.25]),
    "clip": (
        lambda x: tg.clip(tg.log(x), min=-1, max=5),
        [0.0, 2.0, inf],
        [0, 0.5, 0],
        [0, -0.25, 0],
    ),
    "max": (lambda x: tg.max(tg.log(x)), [0.0, 2.0], [0, 0.5], [0, -0.25]),
    "min": (lambda x: tg.min(1 / x), [0.0, 2.0], [0, -0.25], [0, 0.25]),
    "getitem": (lambda x: tg.log(x)[1], [0.0, 2.0, -1.0], [0, 0.5, 0], [0, -0.25, 0]),
    "getitem of a slice": (lambda x: tg.exp(x)[:1], [0.0, 1000.0], [1, 0], [1, 0]),
    "a vector over its norm": (
        lambda x: tg.where(_norm(x) > 0, x / _norm(x), 0),
        [0.0, 0.0],
        [0, 0],
        [0, 0],
    ),
    "trace": (
        lambda x: tg.trace(tg.log(x).reshape(2, 2)),
        [1.0, 0.0, -1.0, 2.0],
        [1, 0, 0, 0.5],
        [-1, 0, 0, -0.25],
    ),
    "einsum": (
        lambda x: tg.einsum("ii", tg.log(x).reshape(2, 2)),
        [1.0, 0.0, -1.0, 2.0],
        [1, 0, 0, 0.5],
        [-1, 0, 0, -0.25],
    ),
    "reduced": (
        lambda x: tg.where(x > 0, tg.sum(tg.log(x), keepdims=True), x),
        [-1.0, 0.0],
        [1, 1],
        [0, 0],
    ),
    "broadcast": (
        lambda x: tg.where(x > 0, tg.broadcast_to(tg.log(tg.sum(x)), (2,)), x),
        [0.0, 0.0],
        [1, 1],
        [0, 0],
    ),
    "joined": (
        lambda x: tg.concatenate([tg.log(x), tg.exp(x)])[2:],
        [0.0, 1.0],
        [1, np.e],
        [1, np.e],
    ),
    "logsumexp": (
        lambda x: tg.where(x > 0, tg.logsumexp(x), 2 * x),
        [-inf, -inf],
        [2, 2],
        [0, 0],
    ),
    "log_softmax": (
        lambda x: tg.where(np.isfinite(x.data), tg.log_softmax(x), 0),
        [-inf, 0.0],
        [0, 0],
        [0, 0],
    ),
    # Here a cotangent is 0 though the element was taken: its derivative is not lost.
    "zero, where": (
        lambda x: tg.where(x > -1, tg.sin(x), 0) ** 2,
        [0.0, -2.0],
        [0, 0],
        [2, 0],
    ),
    "zero, maximum": (lambda x: tg.maximum(tg.sin(x), -1) ** 2, [0.0], [0], [2]),
    "zero, clip": (lambda x: tg.clip(tg.sin(x), -1, 1) ** 2, [0.0], [0], [2]),
    "zero, max": (lambda x: tg.max(tg.sin(x)) ** 2, [0.0, -1.0], [0, 0], [2, 0]),
    "zero, getitem": (lambda x: tg.sin(x)[0] ** 2, [0.0, 1.0], [0, 0], [2, 0]),
    "zero, relu": (lambda x: (tg.relu(tg.exp(x)) - 1) ** 2, [0.0], [0], [2]),
}


@floats
@pytest.mark.parametrize(
    ("f", "x", "first", "second"), NOT_TAKEN.values(), ids=list(NOT_TAKEN)
)
def test_not_taken(f: Any, x: Any, first: Any, second: Any, dtype: Any) -> None:
    """Neither NaN nor a warning comes of it, at the first and the second order."""
    x = tg.Tensor(x, requires_grad=True, dtype=dtype)
    with np.errstate(all="ignore"):  # NumPy may well complain on the way forward
        y = f(x)
    weights = np.resize(np.array([1.5, -2.25, 0.75], dtype), y.shape)
    y.backward(weights, retain_graph=True)
    assert_allclose(x.grad.data, weights * first, rtol=1e-5, atol=1e-6)

    x.zero_grad()
    y.backward(weights, create_graph=True)
    along = tg.sum(x.grad * np.array(0.5, dtype))
    assert_allclose(x.grad.data, weights * first, rtol=1e-5, atol=1e-6)
    x.zero_grad()
    if along.requires_grad:
        along.backward()
    assert_allclose(gradient_of(x), weights * second / 2, rtol=1e-5, atol=1e-6)


def test_nan_that_was_taken_is_not_hidden() -> None:
    x = tg.Tensor([-1.0, nan, 1.0], requires_grad=True)
    tg.sum(tg.where(x > 0, x, 2 * x) * x).backward()
    assert_array_equal(x.grad.data, [-4, nan, 2])
    x.zero_grad()
    tg.max(x * x).backward()
    assert np.isnan(x.grad.data[1])


# --- Both tails -----------------------------------------------------------------------


def exact_sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def exact_softplus(x: Decimal) -> Decimal:
    return (1 + x.exp()).ln()


def ulps(actual: Any, exact: Decimal, at_least: float = 0) -> float:
    """The error in units of the last place of the exact answer, or of `at_least`."""
    size = max(abs(actual.dtype.type(exact)), actual.dtype.type(at_least))
    return float(abs(Decimal(float(actual)) - exact) / Decimal(float(np.spacing(size))))


@floats
@pytest.mark.parametrize(
    ("op", "exact"),
    [(tg.sigmoid, exact_sigmoid), (tg.softplus, exact_softplus)],
    ids=["sigmoid", "softplus"],
)
def test_a_few_ulp_in_both_tails(op: Op, exact: Any, dtype: Any) -> None:
    limit = -np.log(np.finfo(dtype).smallest_subnormal)  # where the answer becomes 0

    @settings(PROFILE, max_examples=300)
    @given(st.floats(-limit, limit).map(dtype))
    @example(dtype(0))
    @example(dtype(-limit))
    @example(dtype(np.log(np.finfo(dtype).tiny)))
    @example(dtype(np.log(np.finfo(dtype).eps)))
    def check(x: Any) -> None:
        with localcontext(prec=400):
            assert ulps(op(x), exact(Decimal(float(x)))) <= 4

    check()


@floats
def test_logsumexp_in_both_tails(dtype: Any) -> None:
    @PROFILE
    @given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=4))
    def check(values: list[float]) -> None:
        x = np.array(values, dtype)
        with localcontext(prec=50):
            top = Decimal(float(x.max()))
            total = sum((Decimal(float(v)) - top).exp() for v in x)
            exact = top + total.ln()
        size = max(1, abs(float(top)))
        assert ulps(tg.logsumexp(x), exact, at_least=size) <= 4

    check()


@floats
@pytest.mark.parametrize(
    "name", ["arcsinh", "arctan", "cbrt", "relu", "sigmoid", "softplus", "tanh"]
)
@given(x=st.floats())
@example(x=1000.0)
@example(x=-1000.0)
@PROFILE
def test_no_warning_for_any_number(name: str, dtype: Any, x: float) -> None:
    with np.errstate(over="ignore"):
        leaf = tg.Tensor(np.array(x, dtype), requires_grad=True)
    y = OPS[name](leaf)
    y.backward(create_graph=True)
    assert np.isnan(y.data) == np.isnan(x)
    assert np.isnan(leaf.grad.data) == np.isnan(x)
    leaf.zero_grad()


@floats
@pytest.mark.parametrize("far", [True, False], ids=["large", "small"])
def test_slopes_where_squares_overflow_or_vanish(dtype: Any, far: bool) -> None:
    info = np.finfo(dtype)
    most, least = float(info.max), float(info.smallest_subnormal)
    s = math.sqrt(most) * 64 if far else math.sqrt(info.tiny) / 64
    for op, inputs, expected in [
        (tg.hypot, (3 * s, -4 * s), (0.6, -0.8)),
        (tg.arctan2, (3 * s, -4 * s), (-0.16 / s, -0.12 / s)),
        (tg.arcsinh, (s,), (1 / s if far else 1,)),
        *[(tg.arccosh, (s,), (1 / s,))] * far,
        (tg.cbrt, (-s,), (math.cbrt(s) / s / 3,)),
        (tg.log2, (s,), (1 / math.log(2) / s,)),
        *[(tg.log10, (most,), (1 / math.log(10) / most,))] * far,
    ]:
        leaves = [tg.Tensor(dtype(x), requires_grad=True) for x in inputs]
        op(*leaves).backward()
        gradients = [x.grad.item() for x in leaves]
        assert_allclose(gradients, expected, rtol=8 * info.eps, atol=least)


@floats
def test_infinities(dtype: Any) -> None:
    x = tg.Tensor([-inf, inf, nan], requires_grad=True, dtype=dtype)
    assert_array_equal(tg.sigmoid(x).data, [0, 1, nan])
    assert_array_equal(tg.softplus(x).data, [0, inf, nan])
    tg.sum(tg.sigmoid(x) + tg.softplus(x)).backward()
    assert_array_equal(x.grad.data, [0, 1, nan])


@pytest.mark.parametrize(
    ("x", "value", "gradient"),
    [
        ([-inf, 0.0], 0, [0, 1]),
        ([-inf, -inf], -inf, None),
        ([inf, 0.0], inf, None),
        ([nan, 0.0], nan, [nan, nan]),
        ([1e5, 1e5], 1e5 + np.log(2), [0.5, 0.5]),
        ([-1e5, -1e5], np.log(2) - 1e5, [0.5, 0.5]),
    ],
)
def test_logsumexp_of_what_is_infinite_or_large(
    x: Any, value: float, gradient: Any
) -> None:
    x = tg.Tensor(x, requires_grad=True)
    y = tg.logsumexp(x)
    assert_array_equal(y.data, value)
    if gradient is not None:
        y.backward()
        # Its rule goes by the answer, which is rounded at its own size.
        assert_allclose(x.grad.data, gradient, rtol=1e-11)


@floats
def test_softmax_of_large_numbers(dtype: Any) -> None:
    """Only differences matter, and these numbers' differences are exact."""
    small = np.array([0, 1, -2], dtype)
    for op in (tg.softmax, tg.log_softmax):
        tolerance = 16 * np.finfo(dtype).eps
        assert_allclose(op(small + 8192), op(small), rtol=tolerance)


# --- Dtypes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "op", [op for op in OPS.values() if op.elementwise and len(op.inputs) > 1], ids=str
)
@pytest.mark.parametrize("number", [2, 2.0, np.float32(2)], ids=repr)
def test_python_numbers_are_weak(op: Op, number: Any) -> None:
    for position in range(len(op.inputs)):
        if op.inputs[position] == "condition":
            continue
        inputs: list[Any] = [number] * len(op.inputs)
        x = inputs[position] = tg.Tensor(np.float32([1.5]), requires_grad=True)
        y = op(*inputs)
        assert y.dtype == np.float32
        y.backward([1.0])
        assert x.grad.dtype == np.float32


def test_a_plain_number_as_an_end_of_linspace() -> None:
    x = tg.Tensor(np.float32(1.5), requires_grad=True)
    for y in (tg.linspace(0, x, num=3), tg.linspace(x, 2.0, num=3)):
        assert y.dtype == np.float32
        y.backward(np.array([0.5, -2.0, 1.0], np.float32))
    assert x.grad.dtype == np.float32
    assert tg.linspace([0, 1], 2, num=3).dtype == np.float64
    compiled = tg.compile(lambda stop: tg.linspace(0.5, stop, num=3))
    for stop in (1.5, 4):
        assert_allclose(compiled(stop), np.linspace(0.5, stop, 3), rtol=1e-15)


def test_each_gradient_has_its_inputs_dtype() -> None:
    narrow = tg.Tensor([1.5, 2.5], requires_grad=True, dtype=np.float32)
    wide = tg.Tensor([[2.0], [3.0]], requires_grad=True)
    y = narrow * wide
    assert y.dtype == np.float64
    tg.sum(y).backward()
    assert (narrow.grad.dtype, wide.grad.dtype) == (np.float32, np.float64)
    assert_array_equal(narrow.grad.data, [5, 5])


def test_astype_gives_the_gradient_back_in_the_dtype_that_came() -> None:
    x = tg.Tensor([1.5, 2.5], requires_grad=True)
    y = x.astype(np.float32)
    assert y.dtype == np.float32
    tg.sum(y * y).backward()
    assert x.grad.dtype == np.float64
    assert_array_equal(x.grad.data, [3, 5])


def test_integers_are_constants() -> None:
    x = tg.Tensor([1.5, 2.5], requires_grad=True)
    n = tg.Tensor([2, 3])
    assert_array_equal((x**n).data, [2.25, 15.625])
    tg.sum(x**n).backward()
    assert_array_equal(x.grad.data, [3, 18.75])
    assert n.grad is None


def test_where_takes_a_condition_of_numbers() -> None:
    condition = tg.Tensor([0.0, 2.0], requires_grad=True)
    x = tg.Tensor([3.0, 4.0], requires_grad=True)
    y = condition.where(x, -x)
    assert_array_equal(y.data, [-3, 4])
    tg.sum(y).backward()
    assert_array_equal(condition.grad.data, [0, 0])
    assert_array_equal(x.grad.data, [-1, 1])


def test_dot_of_numbers_and_of_stacks() -> None:
    a = tg.Tensor(2.0, requires_grad=True)
    b = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    for product in (tg.dot(a, b), tg.dot(b, a)):
        assert_array_equal(product.data, [[2, 4]])
        product.backward([[1.0, 10.0]])
    assert_array_equal(a.grad.data, 42)
    assert_array_equal(b.grad.data, [[4, 40]])
    assert tg.dot(np.ones((2, 3, 4)), np.ones((5, 4, 6))).shape == (2, 3, 5, 6)


# --- Sums, means and products: as NumPy, dtypes too -----------------------------------

INPUT_DTYPES = [bool, np.int8, np.uint8, np.int64, np.float16, np.float32, np.float64]


@pytest.mark.parametrize("dtype", [None, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("given", INPUT_DTYPES)
@pytest.mark.parametrize(
    "name", ["sum", "mean", "prod", "var", "std", "cumsum", "cumprod", "trace"]
)
def test_the_dtype_is_that_of_numpy(name: str, given: Any, dtype: Any) -> None:
    x = np.array([[1, 0, 1], [1, 1, 1], [0, 1, 1]], given)
    expected = getattr(np, name)(x, dtype=dtype)
    for answer in (
        OPS[name](x, dtype=dtype),
        OPS[name](tg.Tensor(x), dtype=dtype).data,
    ):
        assert answer.dtype == expected.dtype
        assert_allclose(answer, expected, rtol=2 * np.finfo(np.float16).eps)


@pytest.mark.parametrize("given", INPUT_DTYPES)
@pytest.mark.parametrize("kind", [bool, np.int8, np.float32])
def test_the_dtype_of_an_average_is_that_of_numpy(given: Any, kind: Any) -> None:
    x, weights = np.array([0, 1, 100], given), np.array([1, 0, 1], kind)
    answer, expected = (f(x, weights=weights) for f in (tg.average, np.average))
    assert answer.dtype == expected.dtype
    assert answer == expected


def test_a_mean_of_half_precision_does_not_overflow() -> None:
    x = tg.Tensor(np.full(4096, 48.0), requires_grad=True, dtype=np.float16)
    y = tg.mean(x)
    assert (y.data, y.dtype) == (48, np.float16)
    y.backward()
    assert_array_equal(x.grad.data, np.full(4096, 1 / 4096, np.float16))


@pytest.mark.parametrize("ddof", [2, 3])
@pytest.mark.parametrize("name", ["var", "std"])
def test_a_variance_of_too_few_is_that_of_numpy(name: str, ddof: int) -> None:
    for x in ([1.0, 2.0], [1.0, 1.0]):
        with pytest.warns(RuntimeWarning):
            expected = getattr(np, name)(x, ddof=ddof)
        with pytest.warns(RuntimeWarning, match="divi"):
            assert_array_equal(OPS[name](x, ddof=ddof), expected)


def test_the_gradient_reaches_the_weights_of_an_average() -> None:
    x = tg.Tensor([[1.0, 2.0, 4.0], [3.0, 5.0, 8.0]], requires_grad=True)
    w = tg.Tensor([0.5, 0.25, 0.25], requires_grad=True)
    v = tg.Tensor([[0.5, 1.0, 2.0], [3.0, 0.25, 0.25]], requires_grad=True)
    for f, inputs in [
        (lambda x, w: tg.average(x, axis=1, weights=w), (x, w)),
        (lambda x, w: x.average(axis=-1, weights=w, keepdims=True), (x, w)),
        (lambda x, w: np.average(x, axis=1, weights=w), (x, w)),
        (lambda w: np.average(x.data, axis=1, weights=w), (w,)),
        (lambda x, v: tg.average(x, weights=v), (x, v)),
        (lambda x, v: tg.average(x, axis=0, weights=v), (x, v)),
        (lambda x, v: tg.average(x, axis=(1, 0), weights=v.T), (x, v)),
    ]:
        report = tg.gradcheck(lambda *a, f=f: tg.sum(tg.sin(f(*a))), *inputs, order=2)
        assert report


# --- Products -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shapes", "subscripts"),
    [
        ([(2, 3), (3, 4)], "ij,jk->ik"),
        ([(2, 3), (3, 4)], "ij,jk"),
        ([(2, 3)], "ba"),
        ([(2, 3), (2, 3)], " a b , a b -> a "),
        ([(3, 3)], "ii"),
        ([(3, 3)], "ii->i"),
        ([(3, 3, 2)], "iij->ji"),
        ([(2, 3)], "ij->"),
        ([(3,), (2,)], "i,j"),
        ([(), (2,)], ",i"),
        ([()], ""),
        ([(5, 2, 3), (3, 4)], "...ij,...jk->...ik"),
        ([(5, 1, 2, 3), (4, 3, 2)], "...ij,...jk"),
        ([(2, 3, 4)], "i...->..."),
        ([(2, 3, 4)], "i...->i..."),
        ([(2, 3, 4)], "...i"),
        ([(3,)], "...i->i..."),
        ([(3,)], "i->...i"),
        ([(2, 3), (3,), (2,)], "ij,j,i->ij"),
        ([(2, 1), (3, 4)], "ij,jk->ik"),
        ([(2, 3), (2, 3)], "aZ,aZ"),
        ([(2, 3, 2)], "bZa"),
    ],
)
def test_einsum_takes_subscripts_as_numpy(shapes: Any, subscripts: str) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    expected = np.einsum(subscripts, *arrays)
    for optimize in (False, True, "greedy"):
        tensors = [tg.Tensor(x, requires_grad=True) for x in arrays]
        y = tg.einsum(subscripts, *tensors, optimize=optimize)
        assert_allclose(y.data, expected, rtol=1e-12, atol=1e-12)
        assert_array_equal(tg.einsum(subscripts, *arrays, optimize=optimize), y.data)
        y.backward(rng.standard_normal(y.shape))
        assert all(np.all(x.grad.data != 0) or "ii" in subscripts for x in tensors)
    report = tg.gradcheck(lambda *a: tg.sum(tg.sin(tg.einsum(subscripts, *a))), *arrays)
    assert report


@pytest.mark.parametrize(
    "labels",
    [
        [[0, 1], [1, 2], [0, 2]],
        [[0, 1], [1, 2]],
        [[30, 1], (1, 2)],
        [range(2), [1, 51], [51]],
        [[..., 1], [1, 2], [..., 2]],
        [[np.int64(3), ...], [..., 2]],
    ],
)
def test_einsum_takes_lists_as_numpy(labels: Any) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 3))
    args = [a, labels[0], b, *labels[1:]]
    expected = np.einsum(*args)
    assert_allclose(tg.einsum(*args), expected)
    x = tg.Tensor(a, requires_grad=True)
    y = np.einsum(x, *args[1:])  # by way of NumPy
    assert_allclose(y.data, expected)
    y.backward(np.ones(y.shape))
    assert x.grad.shape == a.shape


def test_einsum_optimizes_along_a_path_that_is_given() -> None:
    a, b, c = np.ones((2, 3)), np.ones((3, 4)), np.ones((4, 2))
    path, _ = np.einsum_path("ij,jk,kl->il", a, b, c)
    f = tg.gradcheck(
        lambda *xs: tg.sum(tg.einsum("ij,jk,kl->il", *xs, optimize=path)), a, b, c
    )
    assert f


def test_products_of_numbers() -> None:
    a, b = tg.Tensor(2.0, requires_grad=True), tg.Tensor([1.0, 3.0], requires_grad=True)
    for op in (tg.inner, tg.kron):
        assert_array_equal(op(a, b).data, [2, 6])
        assert_array_equal(op(b, a).data, [2, 6])
        assert_array_equal(op([1, 2], 3), [3, 6])
    assert tg.inner(2, 3) == 6
    assert_array_equal(tg.outer(a, b).data, [[2, 6]])
    assert_array_equal(tg.outer([1, 2], [[3], [4]]), [[3, 4], [6, 8]])
    assert tg.vdot(a, 3.0).data == 6
    assert tg.vdot([[1, 2]], [[3], [4]]) == 11


def test_interp_at_an_infinity_is_the_value_at_the_end() -> None:
    x, xp = np.array([-np.inf, 0.5, 1e308, np.inf]), np.array([0.0, 1.0, 3.0])
    for fp in (np.array([2.0, 2.0, 5e9]), np.array([-1.0, 4.0, 4.0])):
        assert_array_equal(tg.interp(x, xp, fp), np.interp(x, xp, fp))
        slopes = tg.grad(lambda x, fp=fp: tg.interp(x, xp, fp).sum())(x)
        assert_array_equal(slopes, [0, fp[1] - fp[0], 0, 0])
        shares = tg.jacobian(lambda fp: tg.interp(x, xp, fp))(fp)
        assert_array_equal(shares, [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1], [0, 0, 1]])


# --- Linear algebra -------------------------------------------------------------------

MATRIX = np.array([[4.0, 1.0, -2.0], [0.5, -3.0, 1.0], [1.0, 2.0, 5.0]])


@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 3), (3,)), ((2, 3, 3), (3,)), ((3, 3), (2, 3, 1)), ((2, 1, 3, 3), (4, 3, 2))],
)
def test_solve_takes_vectors_and_stacks_as_numpy(a: Any, b: Any) -> None:
    rng = np.random.default_rng(0)
    a = MATRIX + rng.uniform(-0.5, 0.5, a)
    b = rng.standard_normal(b)
    assert_allclose(tg.linalg.solve(a, b), np.linalg.solve(a, b))
    call = Call(tg.linalg.solve, [a, b], {})
    testing.check_gradient(call)
    testing.check_second_order(call)


def test_slogdet_has_a_constant_sign_and_fields() -> None:
    x = tg.Tensor([MATRIX, np.eye(3)[[1, 0, 2]]], requires_grad=True)
    sign, logabsdet = tg.linalg.slogdet(x)
    assert_array_equal(sign.data, [-1, -1])
    assert not sign.requires_grad
    logabsdet.backward([1.0, 1.0])
    assert_allclose(x.grad.data, np.linalg.inv(x.data).swapaxes(1, 2))
    plain, expected = tg.linalg.slogdet(MATRIX), np.linalg.slogdet(MATRIX)
    assert (plain.sign, plain.logabsdet) == (expected.sign, expected.logabsdet)
    assert isinstance(plain.sign, np.floating)


def test_logabsdet_where_the_determinant_overflows() -> None:
    x = tg.Tensor(1e100 * MATRIX, requires_grad=True)
    y = tg.linalg.logabsdet(np.stack([x.data, 1e-200 * x.data, np.zeros((3, 3))]))
    small = np.log(abs(np.linalg.det(MATRIX)))
    shift = 300 * np.log(10)
    assert_allclose(y, [small + shift, small - shift, -inf])
    x.logabsdet().backward()
    assert_allclose(x.grad.data, 1e-100 * np.linalg.inv(MATRIX).T)


def test_det_that_underflows_has_a_gradient() -> None:
    x = tg.Tensor(1e-2 * np.eye(200), requires_grad=True)
    y = x.det()
    assert y.data == 0
    y.backward()
    assert_array_equal(x.grad.data, np.zeros((200, 200)))


def test_the_third_derivative_of_a_singular_determinant() -> None:
    """That of det(t I) = t^3 at 0 is 6."""
    t = tg.Tensor(0.0, requires_grad=True)
    y = tg.linalg.det(t * np.eye(3))
    for expected in (0, 0, 6):
        y.backward(create_graph=True)
        y = t.grad
        t.zero_grad()
        assert y.item() == pytest.approx(expected)


def test_cholesky_takes_the_symmetric_part() -> None:
    x = tg.Tensor(MATRIX @ MATRIX.T + np.triu(np.ones((3, 3)), 1), requires_grad=True)
    y = tg.linalg.cholesky(x)
    assert_allclose(y.data @ y.data.T, (x.data + x.data.T) / 2, atol=1e-14)
    y.backward(np.arange(9.0).reshape(3, 3))
    assert_allclose(x.grad.data, x.grad.data.T, rtol=1e-12)
    assert np.all(x.grad.data != 0)


@pytest.mark.parametrize("name", ["inv", "det", "cholesky", "logabsdet"])
def test_integer_matrices(name: str) -> None:
    x = [[2, 1], [1, 3]]
    expected = OPS[name](np.array(x, float))
    for answer in (OPS[name](x), OPS[name](tg.Tensor(x)).data):
        assert_array_equal(answer, expected)
    assert tg.linalg.norm([[3, 4]]) == 5


@pytest.mark.parametrize("ord", [None, 2, 3, 0.5, inf, -inf, 1, -1, -2])
@pytest.mark.parametrize("axis", [0, -1, (1,), None])
def test_norm_of_vectors_is_that_of_numpy(ord: Any, axis: Any) -> None:
    x = MATRIX if axis is not None else MATRIX[0]
    expected = np.linalg.norm(x, ord, axis, keepdims=True)
    assert_allclose(tg.linalg.norm(x, ord, axis, True), expected)
    assert tg.linalg.norm(np.float32(x), ord, axis).dtype == np.float32


# --- Errors: the op, what it met, the way out -----------------------------------------

X = np.ones((2, 3))


@pytest.mark.parametrize("wrap", [np.asarray, tg.Tensor], ids=["array", "Tensor"])
def test_dot_tells_which_dimensions_do_not_align(wrap: Any) -> None:
    with pytest.raises(ValueError, match="dot") as caught:
        tg.dot(wrap(np.ones((4, 3))), wrap(np.ones((4, 1))))
    assert str(caught.value) == (
        "dot: shapes (4, 3) and (4, 1) do not align: 3 (dim 1) != 4 (dim 0)"
    )


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (
            lambda x: x + np.ones(2),
            ValueError,
            r"add: shapes \(2, 3\) and \(2,\) do not broadcast: "
            r"3 \(dim 1\) != 2 \(dim 0\); aligned from the right",
        ),
        (
            lambda x: x @ np.ones((2, 3)),
            ValueError,
            r"matmul: shapes \(2, 3\) and \(2, 3\) do not align: "
            r"3 \(dim 1\) != 2 \(dim 0\)",
        ),
        (
            lambda x: tg.matmul(x, 2.0),
            ValueError,
            r"matmul: shapes \(2, 3\) and \(\) .*too few dimensions",
        ),
        (
            lambda x: tg.linear(x, np.ones((4, 3)), np.ones(5)),
            ValueError,
            r"linear: shapes .*: 4 \(dim 0\) != 5 \(dim 0\)",
        ),
        # What NumPy would broadcast.
        (
            lambda x: tg.linear(x, np.ones(3), np.ones(2)),
            ValueError,
            r"linear: shapes \(2, 3\) and \(3,\) and \(2,\) .*too few dimensions",
        ),
        (
            lambda x: tg.linear(x, np.ones((1, 3)), np.ones(2)),
            ValueError,
            r"linear: shapes .*: 1 \(dim 0\) != 2 \(dim 0\)",
        ),
        (
            lambda x: tg.linear(x, np.ones((2, 3)), 1.0),
            ValueError,
            r"linear: shapes .*too few dimensions",
        ),
        (
            lambda x: tg.linear(2.0, x, np.ones(2)),
            ValueError,
            r"linear: shapes .*too few dimensions",
        ),
        (
            lambda x: tg.linear(x, np.ones((3, 2, 2)), np.ones(3)),
            ValueError,
            r"linear: shapes",
        ),
        (
            lambda x: tg.average(x, weights=[1.0, 2.0]),
            ValueError,
            r"average: the weights have shape \(2,\); they must .* x, \(2, 3\)",
        ),
        (
            lambda x: tg.average(x, axis=1, weights=[1.0, 2.0]),
            ValueError,
            r"average: the weights .* or the shape of the axes in axis=1",
        ),
        (
            lambda x: tg.average(x, axis=0, weights=[1.0, -1.0]),
            ValueError,
            "average: the weights add up to 0",
        ),
        (
            lambda x: tg.inner(x, np.ones((4, 2))),
            ValueError,
            r"tensordot: shapes \(2, 3\) and \(4, 2\) do not align",
        ),
        (
            lambda x: tg.vdot(x, np.ones((4, 2))),
            ValueError,
            r"dot: shapes \(6,\) and \(8,\) do not align",
        ),
        (
            lambda x: tg.trace(x, axis1=1, axis2=-1),
            ValueError,
            r"diagonal: axis1 and axis2 cannot be the same .* axis1=1, axis2=-1",
        ),
        (lambda x: tg.trace(x[0]), ValueError, "diagonal: .* at least two dimensions"),
        (lambda x: tg.diag(x[None]), ValueError, "diag: .* a vector or a matrix"),
        (lambda x: tg.diff(x, -1), ValueError, "diff: n must be 0 or more, .*-1"),
        (
            lambda x: tg.pad(x, 1, "mean"),
            ValueError,
            "pad: mode must be .*, not 'mean'",
        ),
        (lambda x: tg.ravel(x, "K"), ValueError, "ravel: order must be .* 'F', .*'K'"),
        (
            lambda x: tg.dsplit(x, 1),
            ValueError,
            r"dsplit: .* 3 dim.* \(2, 3\); use split",
        ),
        (lambda x: tg.split(x, 2, 1), ValueError, "split: .* equal division"),
        (lambda x: tg.take(x, [6]), IndexError, "take: index 6 is out of bounds"),
        (lambda x: tg.tril(x[0, 0]), ValueError, "tril: "),
        (
            lambda x: tg.cross(x, np.ones((2, 2))),
            ValueError,
            "cross: .* 3 elements each, not 3 and 2; .* append a 0",
        ),
        (lambda x: tg.cross(x, 2.0), ValueError, "axis -1 is out of bounds"),
        (
            lambda x: tg.einsum(),
            TypeError,
            r"einsum: call it as einsum\(subscripts, \*",
        ),
        (
            lambda x: tg.einsum("ij", x, axis=0),
            TypeError,
            r"einsum: call it as .* the keywords axis, subscripts",
        ),
        (
            lambda x: tg.einsum("ij,jk", x),
            ValueError,
            "einsum: 'ij,jk' names the axes of 2 operands, but .* 1",
        ),
        (
            lambda x: tg.einsum("ijk", x),
            ValueError,
            "einsum: 'ijk' in 'ijk' does not fit an operand of 2 dimensions",
        ),
        (
            lambda x: tg.einsum("i,ij->j", x, x),
            ValueError,
            "einsum: 'i' in 'i,ij->j' does not fit an operand of 2 dimensions",
        ),
        (
            lambda x: tg.einsum("ij...k->...", x),
            ValueError,
            "einsum: 'ij...k' in .* does not fit an operand of 2 dimensions",
        ),
        (
            lambda x: tg.einsum("...j->j", x),
            ValueError,
            "einsum: .* has '...' for 1 axes .* in the output",
        ),
        (lambda x: tg.einsum("ij->k", x), ValueError, "einsum: .*'k'.*subscripts="),
        (lambda x: tg.einsum("ii", x), ValueError, "einsum: .*inputs: float64"),
        (lambda x: tg.einsum(x, [0, 52]), TypeError, r"einsum: .* not by \[0, 52\]"),
        (lambda x: tg.einsum(x, [0, -1]), TypeError, r"einsum: .* not by \[0, -1\]"),
        (lambda x: tg.einsum(x, "ij"), TypeError, "einsum: .* lists of integers"),
        (lambda x: tg.einsum(x, 2.0), TypeError, "einsum: .* not by 2.0"),
        (
            lambda x: tg.linalg.inv(x),
            ValueError,
            r"inv: shapes \(2, 3\) do not align: 2 \(dim 0\) != 3 \(dim 1\)",
        ),
        (lambda x: tg.linalg.det(x), ValueError, "det: shapes .* do not align"),
        (lambda x: tg.linalg.slogdet(x), ValueError, "logabsdet: shapes .* not align"),
        (lambda x: tg.linalg.cholesky(x), ValueError, "cholesky: shapes .* not align"),
        (lambda x: tg.linalg.cholesky(x[:1, :]), ValueError, "cholesky: shapes"),
        (lambda x: tg.linalg.cholesky(x[0]), ValueError, "cholesky: .*too few dim"),
        (
            lambda x: tg.linalg.inv(x[:, :2]),
            ValueError,
            "inv: Singular matrix: its rows are linearly dependent; .* the identity",
        ),
        (
            lambda x: tg.linalg.solve(x[:, :2], [1.0, 2.0]),
            ValueError,
            "solve: Singular matrix: its rows are linearly dependent",
        ),
        (
            lambda x: tg.linalg.solve(np.eye(3), x),
            ValueError,
            r"solve: shapes .*: 3 \(dim 0\) != 2 \(dim 0\)",
        ),
        (
            lambda x: tg.linalg.cholesky(-np.eye(2) * x[0, 0]),
            ValueError,
            "cholesky: Matrix is not positive definite: .* multiple of the identity",
        ),
        (
            lambda x: tg.linalg.norm(x, 3),
            ValueError,
            "norm: for a matrix, .*, not 3;",
        ),
        (
            lambda x: tg.linalg.norm(x, 0, axis=1),
            ValueError,
            "norm: for a vector, .* 0; .* np.count_nonzero",
        ),
        (lambda x: tg.linalg.norm(x[0], "fro"), ValueError, "norm: for a vec.*'fro'"),
        (
            lambda x: tg.linalg.norm(x[None], 1),
            ValueError,
            r"norm: axis=None means 3 axes of an array of shape \(1, 2, 3\)",
        ),
        (lambda x: tg.linalg.norm(x, axis=()), ValueError, r"norm: axis=\(\) means 0"),
        (
            lambda x: np.linalg.svd(x),
            ValueError,
            r"svd: a matrix of shape \(2, 3\) .* pass full_matrices=False",
        ),
        (
            lambda x: np.select([x > 1], [x, x]),
            ValueError,
            "select: 1 cond.* 2 choices",
        ),
        (
            lambda x: np.interp(0.5, x[0], x[1, :2]),
            ValueError,
            r"interp: xp has shape \(3,\) and fp has shape \(2,\); .* same length",
        ),
        (lambda x: tg.interp(0.5, x[0, :1], [1]), ValueError, "interp: .* two points"),
        (
            lambda x: np.gradient(x, axis=0, edge_order=2),
            ValueError,
            "central_differences: edge_order=2 and 2 values",
        ),
        (
            lambda x: np.gradient(x, 1.0, 2.0, axis=1),
            ValueError,
            "central_differences: 2 spacings for 1 axes; .* one for each",
        ),
        (
            lambda x: np.linalg.matrix_power(x[:, :2], 0.5),
            TypeError,
            "matrix_power: .*float.* integer .*n=0.5",
        ),
        (lambda x: np.gradient(x, edge_order=3), ValueError, "central_.*=3 and 2 val"),
        (
            lambda x: np.gradient(x, [1.0, 2.0], axis=1),
            ValueError,
            r"central_differences: spacing has shape \(2,\); .* 3 coordinates",
        ),
        (lambda x: np.linspace(x, 1, -1), ValueError, "linspace: num is -1"),
        (lambda x: np.convolve(x[0], 2.0), ValueError, "convolve: .* two vectors"),
        (lambda x: np.convolve(x[0], x[0], 2), TypeError, "convolve: mode must .* 2"),
        (lambda x: np.cov(x[None]), ValueError, r"cov: .* shape \(1, 2, 3\)"),
        (
            lambda x: tg.sum(x, axes=0),
            TypeError,
            r"sum: call it as sum\(x, axis=None, dtype=None, keepdims=False\); "
            "this call has 1 positional arguments and the keywords axes",
        ),
        (lambda x: tg.mean(x, dim=0), TypeError, r"mean: call it as mean\(x, axis"),
        (lambda x: tg.add(x), TypeError, r"add: call it as add\(a, b\)"),
        (lambda x: tg.add(x, x, x), TypeError, r"add: call it as add\(a, b\)"),
        (lambda x: tg.reshape(x), TypeError, r"reshape: call it as .*\(x, shape\)"),
        (lambda x: tg.concatenate([]), TypeError, r"concatenate: call it as"),
        (
            lambda x: tg.reshape(x, (4, 2)),
            ValueError,
            r"reshape: .* \(inputs: float64 \(2, 3\), shape=\(4, 2\)\)",
        ),
        (lambda x: tg.concatenate([x, x[0]]), ValueError, "concatenate: "),
        (
            lambda x: tg.stack([x, x[0]]),
            ValueError,
            r"stack: .* they have \(2, 3\) and \(3,\); .* concatenate\(\)",
        ),
        (lambda x: tg.broadcast_to(x, (2, 2)), ValueError, "broadcast_to: "),
        (lambda x: tg.transpose(x, (0, 0)), ValueError, "transpose: "),
        # As many elements to sum over on both sides, but of axes that do not match.
        (lambda x: tg.tensordot(x, x.T, 2), ValueError, "tensordot: "),
        (lambda x: x[5], IndexError, "getitem: index 5 is out of bounds"),
        (lambda x: tg.getitem(x, 5), IndexError, "getitem: index 5 is out of bounds"),
        (lambda x: x["a"], IndexError, "getitem: "),
        (lambda x: tg.max(x[:0]), ValueError, "max: "),
        (lambda x: x + 1j, TypeError, "complex"),
        (lambda x: tg.multiply(x, np.ones(3) * 1j), TypeError, "complex"),
        (lambda x: tg.Tensor([1j]), TypeError, "complex128; pass .real and .imag"),
        (lambda x: tg.Tensor("a"), TypeError, "real numbers"),
        (lambda x: x * "a", TypeError, "real numbers"),
        (lambda x: tg.add(X, "a"), TypeError, "add: "),
        (lambda x: x + None, TypeError, "real numbers"),
    ],
)
def test_error(f: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        f(tg.Tensor(X, requires_grad=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.linalg.cholesky(-x), "cholesky: Matrix is not positive def"),
        (lambda x: np.linalg.cholesky(x[:1]), r"cholesky: shapes \(1, 2\) do not"),
        (lambda x: np.linalg.inv(x * 0), "inv: Singular matrix: .* multiple of the id"),
        (lambda x: np.linalg.inv(x[:1]), r"inv: shapes \(1, 2\) do not align"),
        (lambda x: np.linalg.solve(0 * x, [1.0, 2.0]), "solve: Singular matrix: "),
        (lambda x: np.linalg.det(x[0]), r"det: shapes \(2,\) .*too few dimensions"),
        (lambda x: np.linalg.slogdet(x[:1]), r"logabsdet: shapes \(1, 2\) do not"),
    ],
)
def test_an_error_of_linear_algebra_is_numpys_too(call: Any, message: str) -> None:
    """So that a program that catches it, to add to the diagonal, goes on."""
    x = np.eye(2)
    with pytest.raises(np.linalg.LinAlgError):
        call(x)
    with pytest.raises(np.linalg.LinAlgError, match=message) as caught:
        call(tg.Tensor(x, requires_grad=True))
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("wrap", [np.asarray, tg.Tensor], ids=["array", "Tensor"])
@pytest.mark.parametrize(
    "op", [op for op in OPS.values() if "axis" in op.defaults], ids=str
)
def test_wrong_axis(op: Op, wrap: Any) -> None:
    """The error names the op, or the one that it is made of."""
    x = wrap(X)
    inputs = [[x, x]] if op.variadic else [x] * len(op.inputs)
    params = dict.fromkeys(op._required, 1) | {"axis": 7}
    with pytest.raises(np.exceptions.AxisError, match="axis 7 is out of") as caught:
        op(*inputs, **params)
    assert isinstance(caught.value, ValueError | IndexError)
    assert str(caught.value).partition(":")[0] in OPS


# --- Ops of one's own -----------------------------------------------------------------


def test_own_op_is_function_method_and_entry() -> None:
    def twice(x: Any) -> Any:
        return 2 * x

    first = tg.op(twice).vjp(x=lambda g, y, x: 2 * g)
    assert tg.OPS["twice"] is first
    second = tg.op(twice).vjp(x=lambda g, y, x: 2 * g)  # as in a notebook
    assert tg.OPS["twice"] is second
    assert second(3.0) == 6.0
    x = tg.Tensor(3.0, requires_grad=True)
    x.twice().backward()
    assert x.grad.item() == 2


def test_declarations_that_are_refused() -> None:
    with pytest.raises(ValueError, match="op: 'exp' is the name of a built-in op"):
        tg.op(lambda x: x, name="exp")
    assert tg.OPS["exp"] is tg.exp

    triple = tg.op(lambda x: 3 * x, name="triple")
    with pytest.raises(TypeError, match=r"triple: .* x; .* rules for y"):
        triple.vjp(y=lambda g, y, x: 3 * g)
    with pytest.raises(TypeError, match=r"triple: .* x; .* rules for none"):
        triple.vjp()

    triple.vjp(x=lambda g, y, x: g[:1])
    y = triple(tg.Tensor([1.0, 2.0], requires_grad=True))
    with pytest.raises(ValueError, match=r"triple: a backward rule .* \(1,\) for"):
        y.backward([1.0, 1.0])


# --- What mutation testing found untested ---------------------------------------------


def test_a_logarithm_of_zero_that_counts_has_an_infinite_slope() -> None:
    a = tg.Tensor([2.0, 0.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        tg.xlogy(a, [0.0, 0.0]).backward([1.0, 1.0])
    np.testing.assert_array_equal(a.grad.data, [-inf, 0.0])


def test_a_nan_is_not_hidden_by_a_factor_zero() -> None:
    np.testing.assert_array_equal(tg.xlogy([0.0, 0.0], [nan, 0.0]), [nan, 0.0])
    np.testing.assert_array_equal(tg.xlog1py([0.0, 0.0], [nan, -1.0]), [nan, 0.0])


def test_the_convention_for_powers_of_zero_is_for_each_element() -> None:
    a = tg.Tensor([0.0, 0.0, 3.0], requires_grad=True)
    (a ** np.array([2.0, 0.5, -1.0])).backward([1.0, 1.0, 1.0])
    np.testing.assert_allclose(a.grad.data, [0.0, 0.0, -1 / 9])
