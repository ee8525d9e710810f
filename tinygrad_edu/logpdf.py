"""The logarithms of probability densities: ``tg.logpdf.norm(x, loc, scale)``.

Names and arguments are those of `scipy.stats`. Everything is differentiable: the values
and the parameters, each an array or a Tensor; they broadcast. Outside the support the
result is -inf, with gradient 0; of NaN it is NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.engine.op import as_array
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.functions import as_float, log, log1p, square, xlog1py, xlogy
from tinygrad_edu.ops.linalg import cholesky, solve
from tinygrad_edu.ops.rearranging import diagonal
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.special import betaln, gammaln

__all__ = [
    "beta",
    "chi2",
    "dirichlet",
    "gamma",
    "multivariate_normal",
    "norm",
    "poisson",
    "t",
]

LOG_2_PI = math.log(2 * math.pi)


def norm(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """Return the log-density of the normal distribution.

    Parameters
    ----------
    x : array_like
        Where to evaluate it.
    loc, scale : array_like
        The mean and the standard deviation.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([0.0, 2.0], requires_grad=True)
    >>> y = norm(x, 1.0, 0.5)
    >>> y.sum().backward()
    >>> x.grad
    Tensor([ 4., -4.])
    """
    x, loc, scale = _of_one_kind(x, loc, scale)
    return -square((x - loc) / scale) / 2 - log(scale) - LOG_2_PI / 2


def t(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """Return the log-density of Student's t distribution, `df` degrees of freedom."""
    x, df, loc, scale = _of_one_kind(x, df, loc, scale)
    z = (x - loc) / scale
    factor = (
        gammaln((df + 1) / 2) - gammaln(df / 2) - log(math.pi * df) / 2 - log(scale)
    )
    return factor - (df + 1) / 2 * log1p(square(z) / df)


def gamma(x: Any, a: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """Return the log-density of the gamma distribution, of shape `a`."""
    x, a, loc, scale = _of_one_kind(x, a, loc, scale)
    z = (x - loc) / scale
    outside = z < 0
    z = where(outside, 1, z)
    return where(outside, -np.inf, xlogy(a - 1, z) - z - gammaln(a) - log(scale))


def chi2(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """Return the log-density of the chi-squared distribution."""
    x, df, loc, scale = _of_one_kind(x, df, loc, scale)
    return gamma(x, df / 2, loc, 2 * scale)


def beta(x: Any, a: Any, b: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """Return the log-density of the beta distribution."""
    x, a, b, loc, scale = _of_one_kind(x, a, b, loc, scale)
    z = (x - loc) / scale
    outside = (z < 0) | (z > 1)
    z = where(outside, 0.5, z)
    powers = xlogy(a - 1, z) + xlog1py(b - 1, -z)
    return where(outside, -np.inf, powers - betaln(a, b) - log(scale))


def poisson(k: Any, mu: Any, loc: Any = 0) -> Any:
    """Return the log-probability of `k` events, where `mu` are expected.

    `k` is a constant. For what is no whole number, the result is -inf.
    """
    k, mu, loc = _of_one_kind(k, mu, loc)
    n = k - loc
    outside = (n < 0) | (n > np.floor(n))
    n = where(outside, 1, n)
    return where(outside, -np.inf, xlogy(n, mu) - gammaln(n + 1) - mu)


def multivariate_normal(x: Any, mean: Any, cov: Any) -> Any:
    """Return the log-density of a vector with a normal distribution.

    Parameters
    ----------
    x : array_like
        Vectors of n numbers, along the last axis.
    mean : array_like
        A vector of n numbers, or one number.
    cov : array_like
        The n x n matrix of covariances, symmetric and positive definite; or a stack of
        them.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the covariances are not positive definite.
    ValueError
        If the vectors do not have n numbers.

    Examples
    --------
    >>> float(multivariate_normal([1.0, 2.0], 0.0, np.eye(2)).round(6))
    -4.337877
    """
    x, mean = _of_one_kind(x, mean)
    deviations, factor = x - mean, cholesky(cov)
    n = factor.shape[-1]
    if deviations.shape[-1:] != (n,):
        raise ValueError(
            f"multivariate_normal: x less the mean has shape {deviations.shape}, but "
            f"the covariances are of {n} numbers; pass vectors along the last axis"
        )
    z = solve(factor, deviations[..., None])[..., 0]
    log_det = 2 * sum(log(diagonal(factor, axis1=-2, axis2=-1)), -1)
    return -(sum(square(z), -1) + log_det + n * LOG_2_PI) / 2


def dirichlet(x: Any, alpha: Any) -> Any:
    """Return the log-density of the Dirichlet distribution.

    `x` has probabilities along the last axis (in SciPy, the first); that they add up to
    1 is not checked.
    """
    x, alpha = as_float(x), as_float(alpha)
    outside = x < 0
    powers = sum(xlogy(alpha - 1, where(outside, 1, x)), -1)
    total = powers - sum(gammaln(alpha), -1) + gammaln(sum(alpha, -1))
    return where(np.any(outside, -1), -np.inf, total)


def _of_one_kind(x: Any, *parameters: Any) -> tuple[Any, ...]:
    """Return x as floats, plain numbers in its dtype, and lists as arrays.

    So that the logarithm of a plain number does not make float64 of float32.
    """
    x = as_float(x)
    one = x.dtype.type(1)
    plain = int | float
    return x, *(p * one if isinstance(p, plain) else as_array(p) for p in parameters)
