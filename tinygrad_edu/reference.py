"""Backpropagation as textbooks derive it by hand, in plain NumPy, to test the engine.

This module does not use the engine. A network is a list of weight matrices `w`, of
shape (n_out, n_in), and a list of bias vectors `b`, of shape (n_out,), one per layer.

`backprop` treats one example, as M. Nielsen's "Neural Networks and Deep Learning"
(2015, chapter 2) does; `gradients` averages over a batch, with one example per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "backprop",
    "cost",
    "feedforward",
    "gradients",
    "per_example_gradients",
    "sigmoid",
    "sigmoid_prime",
]

Array = np.ndarray[Any, Any]
Gradients = tuple[list[Array], list[Array]]

COSTS = ("mse", "cross-entropy")


def sigmoid(z: Array) -> Array:
    r"""The logistic function :math:`\sigma(z) = 1/(1 + e^{-z})`.

    Examples
    --------
    >>> float(sigmoid(np.array(0.0)))
    0.5
    """
    return np.asarray(1 / (1 + np.exp(-z)))


def sigmoid_prime(z: Array) -> Array:
    r"""The derivative of `sigmoid`, :math:`\sigma'(z) = \sigma(z) (1 - \sigma(z))`.

    Examples
    --------
    >>> float(sigmoid_prime(np.array(0.0)))
    0.25
    """
    return np.asarray(sigmoid(z) * (1 - sigmoid(z)))


def feedforward(weights: Sequence[Array], biases: Sequence[Array], x: Array) -> Array:
    """Return the network's output for the examples in the rows of `x`.

    Examples
    --------
    >>> feedforward([np.zeros((1, 2))], [np.zeros(1)], np.ones((3, 2))).tolist()
    [[0.5], [0.5], [0.5]]
    """
    a = x
    for w, b in zip(weights, biases, strict=True):
        a = sigmoid(a @ w.T + b)
    return a


def cost(
    weights: Sequence[Array],
    biases: Sequence[Array],
    x: Array,
    y: Array,
    kind: str = "mse",
    lam: float = 0.0,
    n: int | None = None,
) -> float:
    r"""Return the cost over a batch.

    .. math::
        \text{mse:} \quad & \frac{1}{2N} \sum_i \|y_i - h_i\|^2 \\
        \text{cross-entropy:} \quad & -\frac{1}{N} \sum_i
            \left[ y_i \log h_i + (1 - y_i) \log(1 - h_i) \right] \\
        \text{L2:} \quad & + \frac{\lambda}{2n} \sum_j w_j^2

    Parameters
    ----------
    weights, biases : sequence of ndarray
        The network.
    x : ndarray of shape (N, n_in)
    y : ndarray of shape (N, n_out)
    kind : {"mse", "cross-entropy"}
    lam : float
        The strength of L2, lambda.
    n : int, optional
        The size of the training set; by default N.

    Raises
    ------
    ValueError
        If `kind` is neither of the two.

    Examples
    --------
    >>> w, b = [np.zeros((1, 2))], [np.zeros(1)]
    >>> float(cost(w, b, np.ones((3, 2)), np.ones((3, 1))))
    0.125
    """
    _check(kind)
    h = feedforward(weights, biases, x)
    if kind == "mse":
        data = np.sum((y - h) ** 2) / (2 * len(x))
    else:
        terms = _times_log(y, h) + _times_log(1 - y, 1 - h)
        data = -np.sum(terms) / len(x)
    penalty = lam / (2 * (n or len(x))) * sum(np.sum(w**2) for w in weights)
    return float(data + penalty)


def backprop(
    weights: Sequence[Array],
    biases: Sequence[Array],
    x: Array,
    y: Array,
    kind: str = "mse",
) -> Gradients:
    r"""Return the gradients (of the weights, of the biases) of one example's cost.

    The four equations of backpropagation, for the cost
    :math:`\frac12 \|a^L - y\|^2` or the cross-entropy of one example:

    .. math::
        \delta^L &= (a^L - y) \odot \sigma'(z^L)
            \quad\text{or, for cross-entropy,}\quad a^L - y \\
        \delta^l &= ((w^{l+1})^T \delta^{l+1}) \odot \sigma'(z^l) \\
        \partial C / \partial b^l &= \delta^l \\
        \partial C / \partial w^l &= \delta^l (a^{l-1})^T

    Parameters
    ----------
    weights, biases : sequence of ndarray
        The network.
    x : ndarray of shape (n_in,)
    y : ndarray of shape (n_out,)
    kind : {"mse", "cross-entropy"}

    Raises
    ------
    ValueError
        If `kind` is neither of the two.

    Examples
    --------
    >>> dw, db = backprop([np.zeros((1, 2))], [np.zeros(1)], np.ones(2), np.ones(1))
    >>> dw[0].tolist(), db[0].tolist()
    ([[-0.125, -0.125]], [-0.125])
    """
    _check(kind)
    a = [x]  # the activations, layer by layer, the input first
    z = []  # the weighted inputs
    for w, b in zip(weights, biases, strict=True):
        z.append(w @ a[-1] + b)
        a.append(sigmoid(z[-1]))

    dw = [np.zeros_like(w) for w in weights]
    db = [np.zeros_like(b) for b in biases]
    delta = a[-1] - y
    if kind == "mse":
        delta = delta * sigmoid_prime(z[-1])
    for layer in reversed(range(len(weights))):
        db[layer] = delta
        dw[layer] = np.outer(delta, a[layer])
        if layer > 0:
            delta = (weights[layer].T @ delta) * sigmoid_prime(z[layer - 1])
    return dw, db


def per_example_gradients(
    weights: Sequence[Array],
    biases: Sequence[Array],
    x: Array,
    y: Array,
    kind: str = "mse",
    lam: float = 0.0,
    n: int | None = None,
) -> Gradients:
    """Compute the same as `gradients`, but one example at a time, as the book does.

    Examples
    --------
    >>> w, b, x, y = [np.zeros((1, 2))], [np.zeros(1)], np.ones((3, 2)), np.ones((3, 1))
    >>> per_example_gradients(w, b, x, y)[0][0].tolist()
    [[-0.125, -0.125]]
    """
    dw = [np.zeros_like(w) for w in weights]
    db = [np.zeros_like(b) for b in biases]
    for example, target in zip(x, y, strict=True):
        dw_one, db_one = backprop(weights, biases, example, target, kind)
        dw = [total + one for total, one in zip(dw, dw_one, strict=True)]
        db = [total + one for total, one in zip(db, db_one, strict=True)]
    decay = lam / (n or len(x))
    return (
        [d / len(x) + decay * w for d, w in zip(dw, weights, strict=True)],
        [d / len(x) for d in db],
    )


def gradients(
    weights: Sequence[Array],
    biases: Sequence[Array],
    x: Array,
    y: Array,
    kind: str = "mse",
    lam: float = 0.0,
    n: int | None = None,
) -> Gradients:
    """Return the gradients (of the weights, of the biases) of `cost`, as matrices.

    Parameters
    ----------
    weights, biases : sequence of ndarray
        The network.
    x : ndarray of shape (N, n_in)
    y : ndarray of shape (N, n_out)
    kind, lam, n
        As for `cost`.

    Raises
    ------
    ValueError
        If `kind` is neither of the two.

    Examples
    --------
    >>> w, b, x, y = [np.zeros((1, 2))], [np.zeros(1)], np.ones((3, 2)), np.ones((3, 1))
    >>> gradients(w, b, x, y, lam=1.0)[0][0].tolist()
    [[-0.125, -0.125]]
    """
    _check(kind)
    a, z = [x], []
    for w, b in zip(weights, biases, strict=True):
        z.append(a[-1] @ w.T + b)
        a.append(sigmoid(z[-1]))

    decay = lam / (n or len(x))
    dw, db = list(weights), list(biases)
    delta = (a[-1] - y) / len(x)
    if kind == "mse":
        delta = delta * sigmoid_prime(z[-1])
    for layer in reversed(range(len(weights))):
        db[layer] = delta.sum(axis=0)
        dw[layer] = delta.T @ a[layer] + decay * weights[layer]
        if layer > 0:
            delta = (delta @ weights[layer]) * sigmoid_prime(z[layer - 1])
    return dw, db


def _times_log(y: Array, h: Array) -> Array:
    """Return y log h, with 0 log 0 = 0."""
    logarithm: Array = np.log(np.where(y == 0, 1, h))
    return y * logarithm


def _check(kind: str) -> None:
    if kind not in COSTS:
        raise ValueError(f"reference: kind must be one of {COSTS}, not {kind!r}")
