"""The logarithms of probability densities: ``tg.logpdf.norm(x, loc, scale)``.

Names and arguments are those of `scipy.stats`. Everything is differentiable: the values
and the parameters, each an array or a Tensor; they broadcast. Outside the support the
result is -inf, with gradient 0; of NaN, and of a parameter that is not positive but
should be, it is NaN. Where a density is infinite or 0 at an end of its support, the
gradient is 0 as well.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.engine.op import as_array
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.functions import log, log1p, square, xlog1py, xlogy
from tinygrad_edu.ops.linalg import cholesky, solve
from tinygrad_edu.ops.rearranging import diagonal
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.shapes import astype, reshape, transpose
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
    scale = _positive(scale)
    return -square((x - loc) / scale) / 2 - log(scale) - LOG_2_PI / 2


def t(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """Return the log-density of Student's t distribution, `df` degrees of freedom."""
    x, df, loc, scale = _of_one_kind(x, df, loc, scale)
    df, scale = _positive(df), _positive(scale)
    z = (x - loc) / scale
    factor = (
        gammaln((df + 1) / 2) - gammaln(df / 2) - log(math.pi * df) / 2 - log(scale)
    )
    return factor - (df + 1) / 2 * log1p(square(z) / df)


def gamma(x: Any, a: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """Return the log-density of the gamma distribution, of shape `a`."""
    x, a, loc, scale = _of_one_kind(x, a, loc, scale)
    a, scale = _positive(a), _positive(scale)
    z = (x - loc) / scale
    vanishes = (z < 0) | np.isinf(z) | ((z == 0) & (a > 1))
    diverges = (z == 0) & ~(a >= 1)
    z = where(vanishes | diverges, 1, z)
    y = xlogy(a - 1, z) - z - gammaln(a) - log(scale)
    return _with_ends(y, vanishes, diverges)


def chi2(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """Return the log-density of the chi-squared distribution."""
    x, df, loc, scale = _of_one_kind(x, df, loc, scale)
    return gamma(x, df / 2, loc, 2 * scale)


def beta(x: Any, a: Any, b: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """Return the log-density of the beta distribution."""
    x, a, b, loc, scale = _of_one_kind(x, a, b, loc, scale)
    a, b, scale = _positive(a), _positive(b), _positive(scale)
    z = (x - loc) / scale
    vanishes = (z < 0) | (z > 1) | ((z == 0) & (a > 1)) | ((z == 1) & (b > 1))
    diverges = ((z == 0) & ~(a >= 1)) | ((z == 1) & ~(b >= 1))
    z = where(vanishes | diverges, 0.5, z)
    powers = xlogy(a - 1, z) + xlog1py(b - 1, -z)
    y = powers - betaln(a, b) - log(scale)
    return _with_ends(y, vanishes, diverges)


def poisson(k: Any, mu: Any, loc: Any = 0) -> Any:
    """Return the log-probability of `k` events, where `mu` are expected.

    `k` is a constant. Where it is not a whole number, the result is -inf.
    """
    k, mu, loc = _of_one_kind(k, mu, loc)
    mu, n = where(mu < 0, np.nan, mu), k - loc
    vanishes = (n < 0) | (n > np.floor(n)) | np.isinf(n) | ((n > 0) & (mu == 0))
    n = where(vanishes, 0, n)
    return _with_ends(xlogy(n, mu) - gammaln(n + 1) - mu, vanishes)


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
    x, mean, cov = _of_one_kind(x, mean, cov)
    deviations, factor = x - mean, cholesky(cov)
    n = factor.shape[-1]
    if deviations.shape[-1:] != (n,):
        raise ValueError(
            f"multivariate_normal: x less the mean has shape {deviations.shape}, but "
            f"the covariances are of {n} numbers; pass vectors along the last axis"
        )
    if factor.ndim == 2:  # one matrix for all vectors: solve for all at once
        z = transpose(solve(factor, transpose(reshape(deviations, (-1, n)))))
        distances = reshape(sum(square(z), -1), deviations.shape[:-1])
    else:
        distances = sum(square(solve(factor, deviations[..., None])[..., 0]), -1)
    log_det = 2 * sum(log(diagonal(factor, axis1=-2, axis2=-1)), -1)
    return -(distances + log_det + n * LOG_2_PI) / 2


def dirichlet(x: Any, alpha: Any) -> Any:
    """Return the log-density of the Dirichlet distribution.

    `x` has probabilities along the last axis (in SciPy, the first); that they add up to
    1 is not checked.
    """
    x, alpha = _of_one_kind(x, alpha)
    alpha = _positive(alpha)
    vanishes = (x < 0) | ((x == 0) & (alpha > 1))
    diverges = (x == 0) & ~(alpha >= 1)
    powers = sum(xlogy(alpha - 1, where(vanishes | diverges, 1, x)), -1)
    y = powers - sum(gammaln(alpha), -1) + gammaln(sum(alpha, -1))
    return _with_ends(y, np.any(vanishes, -1), np.any(diverges, -1))


def _positive(parameter: Any) -> Any:
    """Return it, but NaN where it is not positive. Of NaN, ~(a >= 1) is true."""
    return where(parameter > 0, parameter, np.nan)


def _with_ends(y: Any, vanishes: Any, diverges: Any = False) -> Any:
    """Return y, but -inf or inf where the density is 0 or infinite.

    Where a parameter is NaN, y stays NaN.
    """
    infinity = astype(where(vanishes, -np.inf, np.inf), dtype=y.dtype)
    return where((vanishes | diverges) & ~np.isnan(y), infinity, y)


def _of_one_kind(*numbers: Any) -> tuple[Any, ...]:
    """Return lists as arrays, and plain numbers and integers in the others' dtype.

    So that a count, or the logarithm of a plain number, does not make float64 of
    float32.
    """
    kinds = [as_array(x).dtype for x in numbers if _has_floats(x)]
    dtype = np.result_type(*kinds or [float])
    return tuple(
        as_array(x) if _has_floats(x) else astype(x, dtype=dtype) for x in numbers
    )


def _has_floats(x: Any) -> bool:
    return not isinstance(x, int | float) and as_array(x).dtype.kind == "f"
