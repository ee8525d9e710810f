"""Judges from outside: other engines, complex numbers, and 400 digits.

Random programs of all ops are differentiated twice, by this engine and by others;
analytic ops once, by a complex step, which has no rounding error to speak of; and in
the tails of sigmoid and its kin mpmath tells how many units in the last place are lost.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import built_in_calls
import numpy as np
import pytest
from hypothesis import given
from numpy.lib.array_utils import normalize_axis_tuple
from programs import (
    NAMES,
    NO_COUNTERPART,
    OPS,
    PROFILE,
    Program,
    programs,
    weighted_sum,
    without_dtype,
)

import tinygrad_edu as tg
from tinygrad_edu.checking.strategies import Call
from tinygrad_edu.engine.op import Op

# --- Three engines --------------------------------------------------------------------

# The outputs; the gradient of their sum, weighted; and the gradient of the gradient's
# sum, weighted.
Derivatives = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]


def ours(program: Program) -> Derivatives:
    def flat(op: Op) -> Callable[..., Any]:
        return lambda *xs, **params: Call(op, list(xs), params).run(xs)

    leaves = [tg.Tensor(x, requires_grad=True) for x in program.inputs]
    outputs = program.run({name: flat(op) for name, op in OPS.items()}, leaves)
    total = weighted_sum(outputs, program.weights([y.data for y in outputs], 0), tg.sum)
    total.backward(create_graph=True)
    gradients = [
        tg.Tensor(np.zeros(x.shape)) if x.grad is None else x.grad for x in leaves
    ]
    for x in leaves:
        x.zero_grad()
    along = weighted_sum(gradients, program.weights(program.inputs, 1), tg.sum)
    if along.requires_grad:
        along.backward()
    second = [np.zeros(x.shape) if x.grad is None else x.grad.data for x in leaves]
    return [y.data for y in outputs], [g.data for g in gradients], second


def by_torch(program: Program) -> Derivatives:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ops = torch_ops()
    leaves = [torch.tensor(x, requires_grad=True) for x in program.inputs]

    def gradient(values: list[Any], salt: int) -> list[Any]:
        arrays = [y.numpy(force=True) for y in values]
        weights = [torch.as_tensor(w) for w in program.weights(arrays, salt)]
        total = weighted_sum(values, weights, torch.sum)
        if not total.requires_grad:
            return [torch.zeros_like(x) for x in leaves]
        return list(
            torch.autograd.grad(
                total, leaves, create_graph=True, materialize_grads=True
            )
        )

    outputs = program.run(ops, leaves, torch.as_tensor)
    first = gradient(outputs, 0)
    second = gradient(first, 1)
    return tuple([x.numpy(force=True) for x in xs] for xs in (outputs, first, second))


def by_autograd(program: Program) -> Derivatives:
    autograd = pytest.importorskip("autograd", reason="HIPS autograd is not installed")
    anp = autograd.numpy
    ops = autograd_ops()
    n = len(program.inputs)

    def total(*inputs: Any) -> Any:
        outputs = program.run(ops, list(inputs))
        return weighted_sum(outputs, weights, anp.sum)

    def along(*inputs: Any) -> Any:
        gradients = autograd.grad(total, tuple(range(n)))(*inputs)
        return weighted_sum(gradients, program.weights(program.inputs, 1), anp.sum)

    outputs = program.run(ops, program.inputs)
    weights = program.weights(outputs, 0)
    first = autograd.grad(total, tuple(range(n)))(*program.inputs)
    second = autograd.grad(along, tuple(range(n)))(*program.inputs)
    return outputs, list(first), list(second)


@pytest.mark.filterwarnings("ignore:Output seems independent of input")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("peer", [by_torch, by_autograd], ids=["torch", "autograd"])
def test_a_program_has_the_derivatives_that_others_find(peer: Any, name: str) -> None:
    @PROFILE
    @given(programs(OPS[name]))
    def check(program: Program) -> None:
        for mine, other in zip(ours(program), peer(program)):
            scale = max(1.0, *(np.max(np.abs(x), initial=0) for x in other))
            for x, y in zip(mine, other, strict=True):
                np.testing.assert_allclose(x, y, rtol=0, atol=1e-9 * scale)

    check()


@pytest.mark.parametrize("module", ["torch", "autograd"])
def test_every_rule_has_a_counterpart_or_a_reason(module: str) -> None:
    pytest.importorskip(module, reason=f"{module} is not installed")
    counterparts = {"torch": torch_ops, "autograd": autograd_ops}[module]()
    assert counterparts.keys() == set(NAMES)
    assert NO_COUNTERPART.keys() <= OPS.keys()


# --- The others' names for things -----------------------------------------------------


def torch_ops() -> dict[str, Callable[..., Any]]:
    import torch
    from torch.nn import functional

    def reduce(f: Any) -> Any:
        def reduced(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            # An empty tuple means all axes there.
            axes = reduced_axes(x, axis)
            return f(x, axes, keepdims) if axes else f(x[None], (0,), False)

        return reduced

    def prod(x: Any, axes: Any, keepdims: bool) -> Any:
        for axis in sorted(axes, reverse=True):
            x = torch.prod(x, axis, keepdims)
        return x

    def var(x: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        return reduce(
            lambda x, axes, k: torch.var(x, axes, correction=ddof, keepdim=k)
        )(x, axis, keepdims)

    def log_softmax(x: Any, axis: Any = -1) -> Any:
        return x - reduce(torch.logsumexp)(x, axis, True)

    def cross_entropy(z: Any, t: Any) -> Any:
        z, t = torch.broadcast_tensors(z, t)
        return functional.binary_cross_entropy_with_logits(z, t, reduction="none")

    def clip(x: Any, min: Any = None, max: Any = None) -> Any:
        bounds = [
            b if b is None else torch.as_tensor(b, dtype=x.dtype) for b in (min, max)
        ]
        return x if min is max is None else torch.clip(x, *bounds)

    same = "abs add arccos arccosh arcsin arcsinh arctan arctan2 arctanh ceil cos cosh"
    same += " deg2rad divide exp exp2 expm1 floor fmax fmin hypot log log10 log1p log2"
    same += " logaddexp logaddexp2 matmul maximum minimum multiply negative positive"
    same += " rad2deg reciprocal relu remainder round sigmoid sign sin sinh sqrt square"
    same += " subtract tan tanh trunc copysign fmod sinc"

    def convolve(a: Any, v: Any, mode: str = "full") -> Any:
        turned = v.flip(0)[None, None]
        whole = functional.conv1d(a[None, None], turned, padding=len(v) - 1)[0, 0]
        return whole[part_of_convolution(len(a), len(v), mode)]

    return {name: getattr(torch, name) for name in same.split()} | {
        "add_at": lambda x, index, shape: (
            torch.zeros(math.prod(shape), dtype=x.dtype)
            .index_add(0, torch.as_tensor(places(shape, index).ravel()), x.reshape(-1))
            .reshape(shape)
        ),
        "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
        "cbrt": lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3),
        "clip": clip,
        "concatenate": lambda *xs, axis=0: torch.cat(xs, axis),
        "convolve": convolve,
        "cholesky": lambda x: torch.linalg.cholesky((x + x.mT) / 2),
        "cumsum": lambda x, axis=None: torch.cumsum(
            x.ravel() if axis is None else x, axis or 0
        ),
        "det": torch.linalg.det,
        "dot": lambda a, b: (
            a * b
            if not (a.ndim and b.ndim)
            else torch.tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))
        ),
        "einsum": lambda *xs, subscripts, optimize=False: torch.einsum(subscripts, *xs),
        "expand_dims": lambda x, axis: x.reshape(like(x, np.expand_dims, axis)),
        "floor_divide": lambda a, b: torch.floor(a / b),
        "getitem": lambda x, index: torch.take(
            x, torch.as_tensor(places(x.shape, index))
        ),
        "inv": torch.linalg.inv,
        "linear": functional.linear,
        "log_softmax": log_softmax,
        "logabsdet": lambda x: torch.linalg.slogdet(x).logabsdet,
        "logsumexp": reduce(torch.logsumexp),
        "max": reduce(torch.amax),
        "mean": reduce(torch.mean),
        "min": reduce(torch.amin),
        # Its own loses the mixed second derivative where b = 0.
        "power": lambda a, b: torch.exp(b * torch.log(a)),
        "prod": reduce(prod),
        "reshape": lambda x, shape: x.reshape(shape),
        "rint": torch.round,
        "roll": lambda x, shift, axis=None: torch.roll(x, shift, axis),
        "sigmoid_cross_entropy": cross_entropy,
        "softmax": lambda x, axis=-1: torch.exp(log_softmax(x, axis)),
        "softplus": functional.softplus,
        "solve": lambda a, b: torch.matmul(torch.linalg.inv(a), b),
        "squared_norm": lambda x: torch.vdot(x.ravel(), x.ravel()),
        "squeeze": lambda x, axis=None: x.reshape(like(x, np.squeeze, axis)),
        "stack": lambda *xs, axis=0: torch.stack(xs, axis),
        "sum": reduce(torch.sum),
        "tensordot": lambda a, b, axes=2: torch.tensordot(a, b, axes),
        "transpose": lambda x, axes=None: x.permute(
            axes or tuple(reversed(range(x.ndim)))
        ),
        "var": var,
        "where": torch.where,
        "xlog1py": torch.special.xlog1py,
        "xlogy": torch.special.xlogy,
    }


def autograd_ops() -> dict[str, Callable[..., Any]]:
    import autograd.numpy as anp

    def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        # Its own divides by each factor, and so gives NaN where one is 0.
        axes = reduced_axes(x, axis)
        kept = [i for i in range(anp.ndim(x)) if i not in axes]
        rows = anp.transpose(x, (*axes, *kept))
        rows = anp.reshape(rows, (-1, *(x.shape[i] for i in kept)))
        total = rows[0]
        for row in rows[1:]:
            total = total * row
        return anp.reshape(total, like(x, np.sum, axis, keepdims=keepdims))

    def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return anp.log(anp.sum(anp.exp(x), reduced_axes(x, axis), keepdims=keepdims))

    def log_softmax(x: Any, axis: Any = -1) -> Any:
        return x - logsumexp(x, axis, True)

    def clip(x: Any, min: Any = None, max: Any = None) -> Any:
        x = x if min is None else anp.maximum(x, min)
        return x if max is None else anp.minimum(x, max)

    def spread(x: Any, index: Any, shape: Any) -> Any:
        ones = np.eye(math.prod(shape))[places(shape, index).ravel()]
        return anp.reshape(anp.dot(anp.ravel(x), ones), shape)

    def where(condition: Any, a: Any, b: Any) -> Any:
        # Its own does not sum over what was broadcast.
        zeros = np.zeros(np.broadcast_shapes(*map(np.shape, (condition, a, b))))
        return anp.where(condition, a + zeros, b + zeros)

    def transpose(x: Any, axes: Any = None) -> Any:
        return anp.transpose(x, axes and normalize_axis_tuple(axes, anp.ndim(x)))

    same = "abs add arccos arccosh arcsin arcsinh arctan arctan2 arctanh ceil cos cosh"
    same += " deg2rad divide dot exp exp2 expm1 floor floor_divide fmax fmin hypot log"
    same += " log10 log1p log2 logaddexp logaddexp2 matmul max maximum mean min minimum"
    same += " multiply negative rad2deg reciprocal remainder roll round sign sin sinh"
    same += " sqrt square subtract sum tan tanh tensordot trunc var cumsum"

    def convolve(a: Any, v: Any, mode: str = "full") -> Any:
        diagonals = np.add.outer(np.arange(len(a)), np.arange(len(v)))
        whole = spread(anp.outer(a, v), diagonals, (len(a) + len(v) - 1,))
        return whole[part_of_convolution(len(a), len(v), mode)]

    def sinc(x: Any) -> Any:
        # Its own divides by 0 at 0.
        t = np.pi * anp.where(x == 0, 1.0, x)
        return anp.where(x == 0, 1 - (np.pi * x) ** 2 / 6, anp.sin(t) / t)

    def einsum(*xs: Any, subscripts: str, optimize: Any = False) -> Any:
        # Its own knows no letter twice in one operand. Here each operand is laid out
        # for all values of all letters.
        inputs, output = subscripts.split("->")
        terms = inputs.split(",")
        sizes: dict[str, int] = {}
        for term, x in zip(terms, xs):
            for letter, n in zip(term, x.shape):
                sizes[letter] = max(n, sizes.get(letter, 1))
        values = dict(zip(sizes, np.indices(tuple(sizes.values()))))
        total: Any = 1.0
        for term, x in zip(terms, xs):
            index = tuple(values[letter] % n for letter, n in zip(term, x.shape))
            total = total * anp.ravel(x)[places(x.shape, index)]
        kept = [letter for letter in sizes if letter in output]
        if summed := tuple(i for i, c in enumerate(sizes) if c not in output):
            total = anp.sum(total, summed)
        return anp.transpose(total, [kept.index(letter) for letter in output])

    return {name: getattr(anp, name) for name in same.split()} | {
        "add_at": spread,
        "broadcast_to": lambda x, shape: x + np.zeros(shape),
        "cbrt": lambda x: anp.sign(x) * anp.abs(x) ** (1 / 3),
        "clip": clip,
        "cholesky": lambda x: anp.linalg.cholesky((x + anp.swapaxes(x, -1, -2)) / 2),
        "concatenate": lambda *xs, axis=0: anp.concatenate(xs, axis),
        "convolve": convolve,
        "copysign": lambda a, b: anp.abs(a) * anp.sign(b),
        "det": anp.linalg.det,
        "einsum": einsum,
        "expand_dims": lambda x, axis: anp.reshape(x, like(x, np.expand_dims, axis)),
        "fmod": lambda a, b: a - b * anp.trunc(a / b),
        "getitem": lambda x, index: anp.ravel(x)[places(x.shape, index)],
        "inv": anp.linalg.inv,
        "linear": lambda x, w, b: anp.dot(x, w.T) + b,
        "log_softmax": log_softmax,
        "logabsdet": lambda x: anp.linalg.slogdet(x)[1],
        "logsumexp": logsumexp,
        "positive": lambda x: 1.0 * x,
        "power": lambda a, b: anp.exp(b * anp.log(a)),  # as for PyTorch
        "prod": prod,
        "relu": lambda x: anp.maximum(x, 0.0),
        "reshape": lambda x, shape: anp.reshape(x, shape),
        "rint": anp.round,
        "sigmoid": lambda x: 1 / (1 + anp.exp(-x)),
        "sigmoid_cross_entropy": lambda z, t: anp.logaddexp(0.0, z) - t * z,
        "sinc": sinc,
        "softmax": lambda x, axis=-1: anp.exp(log_softmax(x, axis)),
        "softplus": lambda x: anp.logaddexp(0.0, x),
        "solve": lambda a, b: anp.matmul(anp.linalg.inv(a), b),
        "squared_norm": lambda x: anp.sum(x * x),
        "squeeze": lambda x, axis=None: anp.reshape(x, like(x, np.squeeze, axis)),
        "stack": lambda *xs, axis=0: anp.stack(xs, axis),
        "transpose": transpose,
        "where": where,
        "xlog1py": lambda a, b: a * anp.log1p(b),
        "xlogy": lambda a, b: a * anp.log(b),
    }


def part_of_convolution(m: int, n: int, mode: str) -> slice:
    """Return where in the whole convolution a mode's part is; NumPy is asked."""
    k = np.convolve(np.ones(m), np.ones(n), mode).size
    first = (m + n - 1 - k) // 2
    return slice(first, first + k)


def reduced_axes(x: Any, axis: Any) -> tuple[int, ...]:
    """Count the axes of a reduction from the front."""
    if axis is None or x.ndim == 0:
        return tuple(range(x.ndim))
    return normalize_axis_tuple(axis, x.ndim)


def like(x: Any, f: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[int, ...]:
    """Return the shape that NumPy's `f` gives."""
    return f(np.zeros(tuple(x.shape)), *args, **kwargs).shape


def places(shape: Any, index: Any) -> np.ndarray:
    """Number the elements of an array, and return the numbers at an index."""
    numbers = np.arange(math.prod(shape)).reshape(tuple(shape))
    return np.array(numbers[index])


# --- Complex step ---------------------------------------------------------------------

REAL_ONLY = "NumPy has it for real numbers only"
HERMITIAN = "of complex matrices, it conjugates some factors"
NOT_ANALYTIC = {
    "abs": "the absolute value has a derivative in one direction only",
    "arctan2": REAL_ONLY,
    "astype": "a conversion to real numbers loses what the step is in",
    "cbrt": REAL_ONLY,
    "ceil": REAL_ONLY,
    "copysign": REAL_ONLY,
    "deg2rad": REAL_ONLY,
    "eigensystem": HERMITIAN,
    "eigh": HERMITIAN,
    "eigvalsh": HERMITIAN,
    "floor": REAL_ONLY,
    "floor_divide": REAL_ONLY,
    "fmod": REAL_ONLY,
    "heaviside": "made of the sign",
    "hypot": REAL_ONLY,
    "ldexp": REAL_ONLY,
    "logaddexp": REAL_ONLY,
    "logaddexp2": REAL_ONLY,
    "qr": HERMITIAN,
    "qr_factors": HERMITIAN,
    "rad2deg": REAL_ONLY,
    "remainder": REAL_ONLY,
    "cholesky": HERMITIAN,
    "logabsdet": "made of the absolute value",
    "norm": "made of the absolute value",
    "sigmoid": "computed by the absolute value, for accuracy",
    "sigmoid_cross_entropy": "computed by the absolute value, for accuracy",
    "sign": "x / |x| for complex numbers",
    "singular_system": HERMITIAN,
    "slogdet": "made of the absolute value",
    "softplus": "computed by the absolute value, for accuracy",
    "squared_norm": "one of the factors is conjugated",
    "svd": HERMITIAN,
    "svdvals": HERMITIAN,
    "trunc": REAL_ONLY,
}


@pytest.mark.parametrize("name", sorted(OPS.keys() - NOT_ANALYTIC.keys()))
def test_the_gradient_is_that_of_a_complex_step(name: str) -> None:
    """f'(x) = Im f(x + ih) / h up to h^2, and without a difference of like numbers.

    W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real
    functions", SIAM Review 40 (1998), 110-112.
    """
    h = 1e-100

    @PROFILE
    @given(built_in_calls.calls(OPS[name]))
    def check(call: Call) -> None:
        call = call._replace(params=without_dtype(call.params))
        leaves = call.leaves()
        y = call.run(leaves)
        cotangent = np.random.default_rng(call.seed).standard_normal(y.shape)
        y.backward(cotangent)
        for position, leaf in enumerate(leaves):
            if not isinstance(leaf, tg.Tensor):
                continue
            expected = np.zeros(leaf.shape)
            for place in np.ndindex(leaf.shape):
                moved = list(call.inputs)
                moved[position] = moved[position].astype(complex)
                moved[position][place] += 1j * h
                expected[place] = np.sum(cotangent * np.imag(call.run(moved))) / h
            scale = np.max(np.abs(expected), initial=1)
            np.testing.assert_allclose(
                leaf.grad.data, expected, rtol=0, atol=1e-13 * scale
            )

    check()


def test_what_is_not_analytic_is_an_op() -> None:
    assert NOT_ANALYTIC.keys() <= OPS.keys()


# --- 400 digits -----------------------------------------------------------------------


class Accuracy(NamedTuple):
    """How many units in the last place a value and its derivative may be off.

    A unit is that of the exact answer; or that of the number 1, if this is larger and
    the bound is absolute. NumPy's own functions take up to 2.5 of the 4.
    """

    ours: Callable[[Any], Any]
    exact: Callable[[Any, Any], Any]  # of mpmath and a number
    where: str
    absolute: str = ""  # which of the two bounds are
    value: float = 4
    gradient: float = 4


def row(z: Any) -> Any:
    """Return z, 0 and 1: what a softmax is taken of."""
    return tg.stack([z, 0 * z, 0 * z + 1])


def target(z: Any, y: Any) -> np.ndarray:
    return np.array([y], z.dtype)


def loss(f: Callable[..., Any], y: float) -> Callable[[Any], Any]:
    """Return the loss of one number against `y`."""
    return lambda z: f(z.reshape(1, 1), target(z, [y]))


def softmax_loss(z: Any) -> Any:
    return tg.losses.softmax_cross_entropy(row(z).reshape(1, 3), target(z, [1, 0, 0]))


def softplus(mp: Any, z: Any) -> Any:
    return mp.log1p(mp.exp(z))


def logsumexp(mp: Any, z: Any) -> Any:
    return mp.log(mp.exp(z) + 1 + mp.e)


def first_of_log_softmax(mp: Any, z: Any) -> Any:
    return z - logsumexp(mp, z)


# What is near to 1 is known absolutely, and so is what is computed as the rest to 1; so
# is the derivative of sigmoid on the right, since its rule is y (1 - y).
ACCURACY = {
    "sigmoid, left": Accuracy(tg.sigmoid, lambda mp, z: 1 / (1 + mp.exp(-z)), "left"),
    "sigmoid, right": Accuracy(
        tg.sigmoid, lambda mp, z: 1 / (1 + mp.exp(-z)), "right", "gradient"
    ),
    "softplus": Accuracy(tg.softplus, softplus, "anywhere"),
    # Its rule goes by the answer, which is rounded at its own size.
    "logsumexp": Accuracy(
        lambda z: tg.logsumexp(row(z)), logsumexp, "anywhere", "gradient", gradient=24
    ),
    "log_softmax, left": Accuracy(
        lambda z: tg.log_softmax(row(z))[0], first_of_log_softmax, "left"
    ),
    "log_softmax, right": Accuracy(
        lambda z: tg.log_softmax(row(z))[0],
        first_of_log_softmax,
        "right",
        "value, gradient",
    ),
    "log_softmax of another": Accuracy(
        lambda z: tg.log_softmax(row(z))[1],
        lambda mp, z: -logsumexp(mp, z),
        "anywhere",
        "gradient",
    ),
    # The rules of this and of the tangent go by the answer's square.
    "cbrt": Accuracy(
        tg.cbrt,
        lambda mp, z: mp.sign(z) * mp.cbrt(abs(z)),
        "anywhere",
        gradient=8,
    ),
    "exp2": Accuracy(tg.exp2, lambda mp, z: mp.mpf(2) ** z, "anywhere"),
    "log2": Accuracy(tg.log2, lambda mp, p: mp.log(p, 2), "probabilities"),
    "log10": Accuracy(tg.log10, lambda mp, p: mp.log(p, 10), "probabilities"),
    "logaddexp with 0": Accuracy(lambda z: tg.logaddexp(z, 0.0), softplus, "anywhere"),
    "logaddexp with 1": Accuracy(
        lambda z: tg.logaddexp(1.0, z),
        lambda mp, z: mp.log(mp.e + mp.exp(z)),
        "anywhere",
        "gradient",
    ),
    "logaddexp2 with 0": Accuracy(
        lambda z: tg.logaddexp2(z, 0.0),
        lambda mp, z: mp.log1p(mp.mpf(2) ** z) / mp.log(2),
        "anywhere",
        "gradient",
    ),
    "tan": Accuracy(tg.tan, lambda mp, z: mp.tan(z), "anywhere", gradient=8),
    "arcsin": Accuracy(tg.arcsin, lambda mp, p: mp.asin(p), "probabilities"),
    "arccos": Accuracy(tg.arccos, lambda mp, p: mp.acos(p), "probabilities"),
    "arctan": Accuracy(tg.arctan, lambda mp, z: mp.atan(z), "anywhere"),
    "arctan2 with 1": Accuracy(
        lambda z: tg.arctan2(z, 1.0), lambda mp, z: mp.atan(z), "anywhere"
    ),
    "hypot with 1": Accuracy(
        lambda z: tg.hypot(z, 1.0), lambda mp, z: mp.hypot(z, 1), "anywhere"
    ),
    "sinc": Accuracy(
        tg.sinc, lambda mp, z: mp.sincpi(z), "anywhere", "value, gradient", gradient=8
    ),
    "sinh": Accuracy(tg.sinh, lambda mp, z: mp.sinh(z), "anywhere"),
    "cosh": Accuracy(tg.cosh, lambda mp, z: mp.cosh(z), "anywhere"),
    "arcsinh": Accuracy(tg.arcsinh, lambda mp, z: mp.asinh(z), "anywhere"),
    "arccosh": Accuracy(tg.arccosh, lambda mp, z: mp.acosh(z), "above 1"),
    "arctanh": Accuracy(tg.arctanh, lambda mp, p: mp.atanh(p), "probabilities"),
    "mse": Accuracy(
        loss(tg.losses.mse, 0.25), lambda mp, z: (z - 0.25) ** 2 / 2, "anywhere"
    ),
    "l2": Accuracy(
        lambda z: tg.losses.l2([z], 0.5, 10), lambda mp, z: z**2 / 40, "anywhere"
    ),
    "cross_entropy, 0": Accuracy(
        loss(tg.losses.cross_entropy, 0.0),
        lambda mp, h: -mp.log1p(-h),
        "probabilities",
    ),
    "cross_entropy, 1": Accuracy(
        loss(tg.losses.cross_entropy, 1.0), lambda mp, h: -mp.log(h), "probabilities"
    ),
    "cross_entropy, 1/4": Accuracy(
        loss(tg.losses.cross_entropy, 0.25),
        lambda mp, h: -(mp.log(h) + 3 * mp.log1p(-h)) / 4,
        "probabilities",
        "gradient",
    ),
    "cross_entropy_with_logits, 0": Accuracy(
        loss(tg.losses.cross_entropy_with_logits, 0.0), softplus, "anywhere"
    ),
    "cross_entropy_with_logits, 1": Accuracy(
        loss(tg.losses.cross_entropy_with_logits, 1.0),
        lambda mp, z: softplus(mp, z) - z,
        "anywhere",
        "gradient",
    ),
    "cross_entropy_with_logits, 1/4": Accuracy(
        loss(tg.losses.cross_entropy_with_logits, 0.25),
        lambda mp, z: softplus(mp, z) - z / 4,
        "anywhere",
        "gradient",
    ),
    "softmax_cross_entropy, left": Accuracy(
        softmax_loss, lambda mp, z: -first_of_log_softmax(mp, z), "left"
    ),
    "softmax_cross_entropy, right": Accuracy(
        softmax_loss,
        lambda mp, z: -first_of_log_softmax(mp, z),
        "right",
        "value, gradient",
    ),
}


def numbers(where: str, dtype: Any) -> np.ndarray:
    """Return numbers as far out as exp(z) goes; or probabilities, as near to 0 and 1.

    Or numbers above 1, as near to it and as far out as can be.
    What is computed from them is no smaller than the smallest normal number.
    """
    info = np.finfo(dtype)
    if where == "probabilities":
        small, large = np.geomspace(2 * info.tiny, 0.5, 40), np.geomspace(info.eps, 0.5)
        return np.concatenate([small, 1 - large]).astype(dtype)
    if where == "above 1":
        near, far = np.geomspace(info.eps, 1, 40), np.geomspace(2, info.max / 4, 40)
        return np.concatenate([1 + near, far]).astype(dtype)
    end = -np.log(info.tiny) - 1
    rng = np.random.default_rng(0)
    near = np.concatenate([rng.standard_normal(40) * size for size in (4, 1e-3)])
    z = np.concatenate([np.linspace(0, end, 40)[1:], np.abs(near)])
    signs = {"left": [-1], "right": [1], "anywhere": [-1, 1]}[where]
    return np.outer(signs, z).ravel().astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ACCURACY.values(), ids=list(ACCURACY))
def test_units_in_the_last_place(case: Accuracy, dtype: Any) -> None:
    mp = pytest.importorskip("mpmath", reason="mpmath is not installed").mp

    def units(actual: Any, exact: Any, absolute: bool) -> float:
        size = max(abs(dtype(float(exact))), dtype(absolute), np.finfo(dtype).tiny)
        return float(abs(float(actual) - exact) / float(np.spacing(size)))

    with mp.workdps(400):
        for number in numbers(case.where, dtype):
            x, exact_x = tg.Tensor(number, requires_grad=True), mp.mpf(float(number))
            y = case.ours(x)
            y.backward()
            assert y.dtype == x.grad.dtype == dtype
            exact_y = case.exact(mp, exact_x)
            slope = mp.diff(lambda z: case.exact(mp, z), exact_x)
            assert units(y.data, exact_y, "value" in case.absolute) <= case.value
            assert units(x.grad.data, slope, "grad" in case.absolute) <= case.gradient


# The Hessian of a function of two numbers by mpmath, what of it is the unit of the
# error, and how far out the numbers go. (The rule of the sigmoid is y (1 - y), which is
# known absolutely.)
SECOND: dict[str, tuple[Any, Any, Any, float]] = {
    "arctan": (
        lambda x: tg.arctan(x[0]) + tg.arctan(x[1]),
        lambda mp, a, b: [-2 * a / (1 + a**2) ** 2, 0, 0, -2 * b / (1 + b**2) ** 2],
        lambda a, b: abs(2 * a / (1 + a**2) ** 2) + abs(2 * b / (1 + b**2) ** 2),
        150.0,
    ),
    "arctan2": (
        lambda x: tg.arctan2(x[0], x[1]),
        lambda mp, a, b: [
            top / (a**2 + b**2) ** 2
            for top in (-2 * a * b, a**2 - b**2, a**2 - b**2, 2 * a * b)
        ],
        lambda a, b: 1 / (a**2 + b**2),
        150.0,
    ),
    "logaddexp": (
        lambda x: tg.logaddexp(x[0], x[1]),
        lambda mp, a, b: [sign / (2 + 2 * mp.cosh(a - b)) for sign in (1, -1, -1, 1)],
        lambda a, b: 1,
        4.0,
    ),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives_in_the_tails(name: str) -> None:
    mp = pytest.importorskip("mpmath", reason="mpmath is not installed").mp
    f, exact, unit, far = SECOND[name]
    rng = np.random.default_rng(0)
    for exponents in rng.uniform(-far, far, (100, 2)):
        numbers = 10.0**exponents * rng.choice([-1, 1], 2)
        ours = tg.hessian(f)(numbers).ravel()
        with mp.workdps(400):
            a, b = map(mp.mpf, map(float, numbers))
            errors = [abs(mp.mpf(x) - y) for x, y in zip(ours, exact(mp, a, b))]
            assert max(errors) <= 1e-14 * unit(a, b) + np.finfo(float).tiny
