"""SciPy's special functions: their rules, also in the tails, and how they are met."""

import copy
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.special
from built_in_calls import Call
from hypothesis import given, settings
from hypothesis import strategies as st
from leaves import leaf
from numpy.testing import assert_allclose, assert_array_equal
from programs import PROFILE

import tinygrad_edu as tg
from tinygrad_edu import special
from tinygrad_edu.checking import properties, strategies
from tinygrad_edu.engine.op import Op

OWN = {
    name: thing
    for name, thing in vars(special).items()
    if isinstance(thing, Op) and tg.OPS.get(thing.name) is not thing
}
ORDERED = {"gammainc", "gammaincc", "iv", "jn", "jv", "polygamma", "yn", "yv"}


def calls(op: Op) -> st.SearchStrategy[Call]:
    """Calls of an op; an order is an integer, and so has no gradient."""

    def ordered(call: Call) -> Call:
        order, *others = call.inputs
        order = np.rint(np.abs(order)).astype(np.int8) + np.int8(1)
        return call._replace(inputs=[order, *others], constant=frozenset())

    drawn = strategies.calls(op)
    return drawn.map(ordered) if op.name in ORDERED else drawn


@pytest.mark.parametrize("name", OWN)
def test_op(name: str) -> None:
    @settings(PROFILE, max_examples=8)
    @given(calls(OWN[name]))
    def check_all(call: Call) -> None:
        for check in properties.CHECKS:
            # With an integer, SciPy computes these two in float64.
            if not (name.startswith("gammainc") and check is properties.check_float32):
                check(call)

    check_all()


# --- As SciPy's -----------------------------------------------------------------------

UFUNCS = sorted(
    n for n in special.__all__ if isinstance(getattr(scipy.special, n), np.ufunc)
)


@pytest.mark.parametrize("name", UFUNCS)
def test_a_ufunc_of_scipys_finds_its_rule(name: str) -> None:
    ufunc = getattr(scipy.special, name)
    values = np.array([0.25, 0.5, 0.75])
    x = leaf(values)
    orders = [2] * (ufunc.nin - 1)
    y = ufunc(*orders, x)
    assert y.op is getattr(special, name)
    assert_allclose(y.data, ufunc(*orders, values), rtol=1e-15)
    y.backward([1.5, -2.0, 0.25])
    h = 1e-6
    up, down = (ufunc(*orders, values + d) for d in (h, -h))
    slopes = (up - down) / (2 * h) * [1.5, -2.0, 0.25]
    assert_allclose(x.grad.data, slopes, rtol=1e-7)


def test_scipys_rules_are_loaded_when_they_are_needed() -> None:
    """Neither by the package nor by SciPy, but by the first of its ufuncs."""
    program = """
        import sys, tinygrad_edu as tg
        assert "scipy" not in sys.modules
        import scipy.special
        assert "tinygrad_edu.special" not in sys.modules
        x = tg.Tensor(0.5, requires_grad=True)
        scipy.special.erf(x).backward()
        print(x.grad.item(), "erf" in tg.OPS)
    """
    code = "\n".join(line.strip() for line in program.splitlines())
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout == "0.8787825789354448 False\n"


def test_a_ufunc_without_a_rule_is_refused() -> None:
    with pytest.raises(TypeError, match=r"erfcx: .* does not work on Tensors.* \.data"):
        scipy.special.erfcx(leaf([1.0]))


def test_an_op_of_ones_own_for_a_ufunc_comes_first() -> None:
    own = tg.op(scipy.special.erf).vjp(x=lambda g, y, x: 2 * g)
    assert scipy.special.erf(leaf([1.0])).op is own


@pytest.mark.parametrize("name", sorted(ORDERED - {"jn", "yn"}))
def test_an_order_has_no_rule(name: str) -> None:
    y = getattr(special, name)(leaf([1.0]), np.array([0.5]))
    with pytest.raises(
        TypeError, match=f"^{name}: there is no rule .* pass a constant"
    ):
        y.backward(np.array([1.0]))


def test_the_ops_are_kept_by_name() -> None:
    for op in OWN.values():
        assert copy.deepcopy(op) is op
        assert pickle.loads(pickle.dumps(op)) is op


def test_a_compiled_program_calls_scipy() -> None:
    x, g = leaf([0.5, 1.5]), np.array([1.5, -2.0])

    def f(x: Any) -> Any:
        return (scipy.special.erf(x) * scipy.special.gammaln(x) * g).sum()

    slope = tg.compile(tg.grad(f))
    assert_allclose(slope(x).data, tg.grad(f)(x).data, rtol=1e-14)
    assert "psi(" in slope.source


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("factors", [None, [2.0, 0.0, 0.5], [2.0, -0.25, 0.0]])
def test_logsumexp_is_that_of_scipy(axis: Any, keepdims: bool, factors: Any) -> None:
    a = np.array([[1.0, -np.inf, 2.0], [3.0, 0.5, -1.0]])
    for signs in (True, False):
        arguments = {"b": factors, "keepdims": keepdims, "return_sign": signs}
        with np.errstate(invalid="ignore"):  # SciPy 1.13 complains
            expected = scipy.special.logsumexp(a, axis, **arguments)
        answer = special.logsumexp(a, axis, **arguments)
        for x, y in zip(*map(np.atleast_1d, (answer, expected)), strict=True):
            assert np.shape(x) == np.shape(y)
            assert_allclose(x, y, rtol=1e-14)


def test_logsumexp_has_the_gradients_of_exponents_and_factors() -> None:
    rng = np.random.default_rng(0)
    a, b, g = rng.normal(0, 3, (3, 4)), rng.normal(0, 1, 4), rng.normal(0, 1, 3)

    def f(a: Any, b: Any) -> Any:
        return (special.logsumexp(a, 1, b, return_sign=True)[0] * g).sum()

    assert tg.gradcheck(f, a, b, order=2)
    b[1] = 0
    assert tg.gradcheck(f, a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_far_out_the_error_function_has_slope_0(name: str, dtype: Any) -> None:
    far = np.array([-np.inf, -np.finfo(dtype).max, 151, np.inf, np.nan], dtype)
    slope = tg.grad(lambda x: getattr(special, name)(x).sum())
    curvature = tg.grad(lambda x: slope(x).sum())
    for derivative in (slope(far), curvature(far), tg.compile(slope)(far)):
        assert_array_equal(derivative, [0, 0, 0, 0, np.nan])
        assert derivative.dtype == dtype


def test_logsumexp_leaves_out_what_a_factor_0_would_let_overflow() -> None:
    a, b = leaf([1.0, 5000.0, 2.0]), leaf([1.0, 0.0, 3.0])
    y = special.logsumexp(a, b=b)
    y.backward(2.0)
    total = np.e + 3 * np.e**2
    assert_allclose(y.data, np.log(total))
    assert_allclose(a.grad.data, 2 * np.array([np.e, 0, 3 * np.e**2]) / total)
    assert_allclose(b.grad.data, 2 * np.array([np.e, 0, np.e**2]) / total)


def test_logsumexp_of_nothing_that_counts() -> None:
    assert special.logsumexp([1.0, 2.0], b=[0.0, 0.0]) == -np.inf
    assert_array_equal(
        special.logsumexp([-np.inf], b=[2.0], return_sign=True)[0], -np.inf
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_softmax_is_that_of_scipy(name: str, axis: Any) -> None:
    x = np.random.default_rng(0).normal(0, 5, (3, 4))
    ours, theirs = getattr(special, name), getattr(scipy.special, name)
    assert_allclose(ours(x, axis=axis), theirs(x, axis=axis), rtol=1e-13)
    g = np.random.default_rng(1).normal(size=x.shape)
    assert tg.gradcheck(lambda x: (ours(x, axis) * g).sum(), x)


def test_the_logarithm_of_the_gamma_function_of_matrices() -> None:
    a = np.array([2.0, 3.5])
    assert_allclose(
        special.multigammaln(a, 3), [scipy.special.multigammaln(x, 3) for x in a]
    )
    assert tg.gradcheck(lambda a: (special.multigammaln(a, 3) * [1.5, -2]).sum(), a)
    assert special.multigammaln(np.float32(a), 3).dtype == np.float32
    for wrong in (1.0, leaf([3.0, 0.5])):
        with pytest.raises(ValueError, match=r"^multigammaln: with d=3, .* above 1\.0"):
            special.multigammaln(wrong, 3)


@pytest.mark.parametrize("b", [None, 2, 2.0])
def test_logsumexp_stays_in_single_precision(b: Any) -> None:
    a = np.float32([1.0, 2.0])
    y, sign = special.logsumexp(a, b=b, return_sign=True)
    assert y.dtype == sign.dtype == np.float32
    assert_allclose(y, scipy.special.logsumexp(a, b=b or 1), rtol=1e-6)


# --- The tails, by mpmath -------------------------------------------------------------

FAR = np.array([1e-8, 1e-3, 0.3, 1.0, 2.5, 6.0, 11.0, 25.0])
# The formula, the numbers, and the relative error that the gradient may have.
TAILS: dict[str, tuple[Any, Any, float]] = {
    "erf": (lambda mp, x: -mp.sign(x) * mp.erfc(abs(x)), [*-FAR, *FAR], 3e-13),
    "erfc": (lambda mp, x: mp.erfc(x) if x > 0 else -mp.erfc(-x), [*-FAR, *FAR], 3e-13),
    "erfinv": (lambda mp, x: mp.erfinv(x), [-0.999, 1e-9, 0.5, 0.9999], 1e-12),
    "expit": (lambda mp, x: 1 / (1 + mp.exp(-x)), [*-FAR, 0.5, 5.0], 3e-14),
    "logit": (lambda mp, x: mp.log(x / (1 - x)), [1e-300, 1e-9, 0.4, 0.9999], 1e-14),
    "gamma": (lambda mp, x: mp.gamma(x), [*FAR, 150.0, -0.5, -3.25], 1e-12),
    "gammaln": (lambda mp, x: mp.loggamma(x), [*FAR, 1e5, 1e200], 1e-14),
    "digamma": (lambda mp, x: mp.digamma(x), [*FAR, 1e5, 1e100], 1e-13),
    "j0": (lambda mp, x: mp.besselj(0, x), [*-FAR, *FAR, 300.0], 2e-13),
    "j1": (lambda mp, x: mp.besselj(1, x), [0.0, *-FAR, *FAR, 300.0], 2e-13),
    "y0": (lambda mp, x: mp.bessely(0, x), [*FAR, 300.0], 2e-13),
    "y1": (lambda mp, x: mp.bessely(1, x), [*FAR, 300.0], 2e-13),
    "i0": (lambda mp, x: mp.besseli(0, x), [*-FAR, *FAR, 600.0], 1e-14),
    "i1": (lambda mp, x: mp.besseli(1, x), [0.0, *-FAR, *FAR, 600.0], 1e-14),
}


@pytest.mark.parametrize("name", TAILS)
def test_the_slope_in_the_tails(name: str) -> None:
    mp = pytest.importorskip("mpmath", reason="mpmath is not installed").mp
    formula, numbers, error = TAILS[name]
    x = leaf(numbers)
    getattr(special, name)(x).backward(np.ones(len(numbers)))
    exact = []
    with mp.workdps(100):
        for number in map(mp.mpf, map(float, numbers)):
            h = mp.mpf(10) ** -25 * (abs(number) or 1)
            up, down = formula(mp, number + h), formula(mp, number - h)
            exact.append(float((up - down) / (2 * h)))
    assert_allclose(x.grad.data, exact, rtol=error)


def test_the_slope_of_an_incomplete_gamma_function_in_the_tails() -> None:
    mp = pytest.importorskip("mpmath", reason="mpmath is not installed").mp
    for a in (0.5, 1.0, 30.0):
        x = leaf(FAR)
        special.gammaincc(a, x).backward(np.ones(len(FAR)))
        with mp.workdps(60):
            exact = [-(mp.mpf(b) ** (a - 1)) * mp.exp(-b) / mp.gamma(a) for b in FAR]
        assert_allclose(x.grad.data, np.array(exact, float), rtol=1e-13)
