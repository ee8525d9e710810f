"""Log-densities against `scipy.stats`, and their gradients."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
from leaves import leaf
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_edu as tg
from tinygrad_edu import logpdf

X = np.array([0.1, 0.45, 0.8])
ROOT = np.array([[1.5, 0.0, 0.0], [-0.5, 2.0, 0.0], [0.25, 1.0, 0.75]])

# The distribution, the values, and the parameters.
CASES: list[tuple[str, Any, list[Any]]] = [
    ("norm", 4 * X, [0.5, 2.0]),
    ("norm", 40 * X, [np.array([1.0, 2.0, -3.0]), np.array([0.5, 1e-2, 4.0])]),
    ("t", 40 * X, [3.5, 0.5, 2.0]),
    ("t", -X, [np.array([1.0, 2.0, 30.0])]),
    ("gamma", 4 * X, [2.5, 0.25, 3.0]),
    ("gamma", X, [np.array([0.5, 1.0, 20.0])]),
    ("beta", X, [2.5, 0.5]),
    ("beta", 3 * X - 0.25, [np.array([0.5, 1.0, 9.0]), 2.0, -0.5, 4.0]),
    ("chi2", 9 * X, [3.0]),
    ("chi2", 9 * X, [np.array([1.0, 2.5, 8.0]), 0.5, 2.0]),
    ("poisson", np.array([0.0, 3.0, 7.0]), [2.5]),
    ("poisson", np.array([1.0, 3.0, 7.0]), [np.array([0.5, 1e-3, 90.0]), 1]),
    ("multivariate_normal", 2 * X, [np.array([0.5, -1.0, 2.0]), ROOT @ ROOT.T]),
    ("multivariate_normal", np.outer([1, -2], X), [0.0, ROOT @ ROOT.T]),
]


def of_scipy(name: str, x: Any, parameters: list[Any]) -> Any:
    theirs = getattr(scipy.stats, name)
    if name == "multivariate_normal":
        parameters = [np.broadcast_to(parameters[0], 3), parameters[1]]
    return getattr(theirs, "logpmf" if name == "poisson" else "logpdf")(x, *parameters)


@pytest.mark.parametrize(("name", "x", "parameters"), CASES)
def test_a_density_is_that_of_scipy(name: str, x: Any, parameters: list[Any]) -> None:
    density = getattr(logpdf, name)
    answer = density(leaf(x), *parameters)
    assert_allclose(answer.data, of_scipy(name, x, parameters), rtol=1e-12)
    assert_allclose(density(x, *parameters), answer.data, rtol=1e-15)


@pytest.mark.parametrize(("name", "x", "parameters"), CASES)
def test_the_gradient_of_a_density(name: str, x: Any, parameters: list[Any]) -> None:
    """With respect to all that is no count: the values and the parameters."""
    weights = np.random.default_rng(0).standard_normal(3)
    inputs = [np.asarray(p, float) for p in (x, *parameters)]
    varied = slice(1, 2) if name == "poisson" else slice(None)

    def total(*some: Any) -> Any:
        inputs[varied] = some
        y = getattr(logpdf, name)(*inputs)
        return (y * weights[: y.size]).sum()

    assert tg.gradcheck(total, *inputs[varied], order=2)


def test_the_density_of_dirichlet() -> None:
    x, alpha = np.array([0.2, 0.5, 0.3]), np.array([0.5, 1.0, 7.5])
    assert_allclose(
        logpdf.dirichlet(x, alpha), scipy.stats.dirichlet.logpdf(x, alpha), rtol=1e-12
    )
    rows = np.stack([x, x[::-1]])
    expected = scipy.stats.dirichlet.logpdf(rows.T, alpha)
    assert_allclose(logpdf.dirichlet(rows, alpha), expected, rtol=1e-12)
    g = np.array([1.5, -2.0])
    assert tg.gradcheck(
        lambda x, a: (logpdf.dirichlet(x, a) * g).sum(), rows, alpha, order=2
    )


@pytest.mark.parametrize(
    ("name", "x", "parameters"),
    [
        ("gamma", [-1.0, 0.5], [2.0]),
        ("chi2", [0.5, -0.1], [3.0]),
        ("beta", [-0.1, 0.5, 1.1], [2.0, 3.0]),
        ("poisson", [-1.0, 2.0, 2.5], [3.0]),
    ],
)
def test_outside_the_support_the_density_is_0(
    name: str, x: Any, parameters: Any
) -> None:
    values, first = leaf(x), leaf(parameters[0])
    y = getattr(logpdf, name)(values, first, *parameters[1:])
    assert_allclose(y.data, of_scipy(name, x, parameters), rtol=1e-12)
    outside = np.isinf(y.data)
    y.backward(np.where(outside, 5.0, 0.0))
    assert_array_equal(values.grad.data, np.zeros(len(x)))
    assert first.grad.data == 0


def test_negative_probabilities_have_density_0() -> None:
    rows, alpha = leaf([[-0.1, 0.4, 0.7], [0.2, 0.5, 0.3]]), leaf([0.5, 1.0, 7.5])
    y = logpdf.dirichlet(rows, alpha)
    expected = scipy.stats.dirichlet.logpdf(rows.data[1], alpha.data)
    assert_allclose(y.data, [-np.inf, expected], rtol=1e-12)
    y.backward(np.array([5.0, 0.0]))
    assert_array_equal(rows.grad.data, np.zeros((2, 3)))
    assert_array_equal(alpha.grad.data, np.zeros(3))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("norm", [[0.5, 0.0, 1.0], [1.0, 2.0, 0.5]]),
        ("t", [[1.0, 2.0, 3.0]]),
        ("gamma", [[1.5, 2.0, 3.0], [0.0, -1.0, -2.0], [1.0, 2.0, 0.5]]),
        ("beta", [[1.5, 2.0, 3.0], [2.5, 1.5, 2.0]]),
        ("chi2", [[1.5, 2.0, 3.0], 0.0, [1.0, 2.0, 0.5]]),
        ("poisson", [[1.5, 2.0, 3.0], [0, -1, -2]]),
    ],
)
def test_parameters_may_be_lists(name: str, parameters: Any) -> None:
    x = [1.0, 0.0, 2.0] if name == "poisson" else X.tolist()
    arrays = map(np.array, parameters)
    assert_allclose(
        getattr(logpdf, name)(x, *parameters), of_scipy(name, x, list(arrays)), 1e-12
    )


@pytest.mark.parametrize("x", [1.0, [1.0, 2.0]])
def test_vectors_have_as_many_numbers_as_the_covariances(x: Any) -> None:
    with pytest.raises(ValueError, match=r"^multivariate_normal: .* are of 3 numbers"):
        logpdf.multivariate_normal(x, 0.0, ROOT @ ROOT.T)


@pytest.mark.parametrize("name", ["norm", "t", "gamma", "chi2", "poisson"])
def test_a_compiled_density_takes_numbers(name: str) -> None:
    density = getattr(logpdf, name)
    compiled = tg.compile(lambda x, parameter: density(x, parameter))
    x = np.array([1.0, 2.0, 4.0])
    for parameter in (2.5, 1.5):
        assert_allclose(compiled(x, parameter), density(x, parameter), rtol=1e-12)


@pytest.mark.parametrize("name", ["gamma", "chi2", "beta", "poisson", "dirichlet"])
def test_the_density_of_nan_is_nan(name: str) -> None:
    parameters = [2.0, 3.0] if name == "beta" else [2.0]
    y = getattr(logpdf, name)(np.array([[np.nan], [0.5]]), *parameters)
    assert_array_equal(np.isnan(y).ravel(), [True, False])


def test_vectors_with_covariances_of_their_own() -> None:
    x, sizes = np.outer([1, -2, 3], X), np.array([1.0, 2.0, 0.5])
    cov = sizes[:, None, None] * (ROOT @ ROOT.T)
    expected = [of_scipy("multivariate_normal", v, [0, c]) for v, c in zip(x, cov)]
    assert_allclose(logpdf.multivariate_normal(x, 0.0, cov), expected, rtol=1e-12)


def test_the_ends_of_a_support() -> None:
    assert_allclose(logpdf.gamma(0.0, 1.0), 0)
    assert_allclose(logpdf.beta([0.0, 1.0], 1.0, 1.0), [0, 0])
    assert logpdf.poisson(0, 2.5) == -2.5


@pytest.mark.parametrize(
    ("name", "parameters", "x", "expected"),
    [
        ("gamma", [[0.5, 1.0, 2.5]], [0.0, 0.0, 0.0], None),
        ("gamma", [[0.5, 2.5]], [np.inf, np.inf], [-np.inf, -np.inf]),
        ("chi2", [[1.0, 2.0, 4.0]], [0.0, 0.0, 0.0], None),
        ("beta", [[0.5, 1.0, 2.0], 3.0], [0.0, 0.0, 0.0], None),
        ("beta", [3.0, [0.5, 1.0, 2.0]], [1.0, 1.0, 1.0], None),
        ("poisson", [[0.0, 0.0]], [0.0, 2.0], None),
        ("poisson", [[2.0]], [np.inf], [-np.inf]),
        ("dirichlet", [[0.5, 2.0]], [[0.0, 1.0], [1.0, 0.0]], [np.inf, -np.inf]),
        ("dirichlet", [[1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]], [0.0, 0.0]),
    ],
)
def test_the_ends_of_a_support_give_no_warning(
    name: str, parameters: Any, x: Any, expected: Any
) -> None:
    density, values = getattr(logpdf, name), leaf(x)
    if expected is None:
        expected = of_scipy(name, x, [np.array(p) for p in parameters])
    free = [leaf(p) for p in parameters]
    y = density(values, *free)
    assert_allclose(y.data, expected, rtol=1e-12)
    y.backward(np.where(np.isinf(expected), 5.0, 0.0))
    for at_an_end in (values, *free):
        assert_array_equal(at_an_end.grad.data, np.zeros(at_an_end.shape))
    compiled = tg.compile(density)(*map(np.array, (x, *parameters)))
    assert_allclose(compiled, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "x", "parameters"),
    [
        ("norm", [1.0, 0.0], [0.0, [-1.0, 0.0]]),
        ("t", [1.0, 0.0, 0.0], [[-1.0, 2.0, 2.0], 0.0, [1.0, -1.0, 0.0]]),
        ("gamma", [1.0, 2.0, 2.0], [[-0.5, 2.0, 2.0], 0.0, [1.0, -1.0, 0.0]]),
        ("chi2", [1.0], [-0.5]),
        ("beta", [0.5, 0.5, 0.5], [[-0.5, 1.0, 1.0], [1.0, -0.5, 1.0], 0, [1, 1, -1]]),
        ("poisson", [0.0, 2.0], [[-1.0, -2.5]]),
        ("dirichlet", [[0.25, 0.75]], [[-0.5, 1.0]]),
        # ... also outside of the support
        ("gamma", [-1.0, 0.0, np.inf], [[-0.5, -2.0, -1.0]]),
        ("chi2", [-1.0], [-0.5]),
        ("beta", [-0.5, 2.0, 0, 1], [[-0.5, 2.0, -1, 1], [1.0, -1.0, 1, -1]]),
        ("poisson", [-1.0, 0.5, np.inf], [[-1.0, -2.5, -1.0]]),
        ("dirichlet", [[-0.25, 0.75], [0.0, 1.0]], [[-0.5, 1.0]]),
    ],
)
def test_parameters_outside_of_their_domain_give_nan(
    name: str, x: Any, parameters: Any
) -> None:
    density = getattr(logpdf, name)
    assert np.isnan(density(x, *parameters)).all()
    assert np.isnan(tg.compile(density)(*map(np.array, (x, *parameters)))).all()


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("poisson", [np.array([1, 4]), np.float32([0.5, 2])]),
        ("poisson", [[1, 4], np.float32([0.5, 2]), 1]),
        ("norm", [0.5, np.float32([0.5, 2]), np.array([1, 2])]),
        ("dirichlet", [np.float32([0.25, 0.75]), [1, 2]]),
        ("multivariate_normal", [[1, 2], np.float32([0.5, 2]), np.eye(2, dtype=int)]),
    ],
)
def test_integers_leave_single_precision(name: str, numbers: Any) -> None:
    density = getattr(logpdf, name)
    y = density(*numbers)
    assert y.dtype == np.float32
    expected = density(*(np.asarray(x, float) for x in numbers))
    assert_allclose(y, expected, rtol=1e-6)


def test_plain_numbers_are_doubles() -> None:
    assert logpdf.poisson(3, 2).dtype == float
    assert logpdf.poisson(3, 2) == logpdf.poisson(3.0, 2.0)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("norm", [1, 2.0]), ("t", [3]), ("gamma", [2.0]), ("beta", [2, 3]), ("chi2", [4])],
)
def test_single_precision_stays(name: str, parameters: Any) -> None:
    x = tg.Tensor(np.float32([0.25, 0.5]), requires_grad=True)
    y = getattr(logpdf, name)(x, *parameters)
    assert y.dtype == np.float32
    y.backward(np.float32([1.5, -2]))
    assert x.grad.dtype == np.float32
