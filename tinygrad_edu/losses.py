"""Losses, which training minimises. They are made of ops, so they need no own rules.

N is the number of examples, one per row. A loss does not broadcast: prediction and
target must have equal shapes. If they could differ, (N, 1) and (N,) would silently
compare every prediction with every target.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine.graph import Node, query
from tinygrad_edu.engine.op import as_array
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.ops.arithmetic import subtract
from tinygrad_edu.ops.choices import where
from tinygrad_edu.ops.functions import sigmoid, sigmoid_cross_entropy, xlog1py, xlogy
from tinygrad_edu.ops.reductions import log_softmax, squared_norm, sum
from tinygrad_edu.ops.shapes import astype
from tinygrad_edu.support.foreign import raising
from tinygrad_edu.support.kinds import Operand

__all__ = [
    "cross_entropy",
    "cross_entropy_with_logits",
    "l2",
    "mse",
    "softmax_cross_entropy",
]


def mse(prediction: Operand, target: Operand) -> Tensor:
    r"""Mean squared error, :math:`\frac{1}{2N} \sum_i \|y_i - h_i\|^2`.

    Parameters
    ----------
    prediction : Tensor of shape (N, ...)
        The network's output `h`.
    target : array_like of shape (N, ...)
        The desired output `y`.

    Returns
    -------
    Tensor
        A single number, in the dtype of the difference.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> h = tg.Tensor([[0.5], [1.0]], requires_grad=True)
    >>> loss = tg.losses.mse(h, [[0.0], [0.0]])
    >>> loss.item()
    0.3125
    >>> loss.backward()
    >>> h.grad
    Tensor([[0.25],
            [0.5 ]])
    """
    n = _examples("mse", prediction, target)
    target = _in_dtype_of(prediction, target)
    return squared_norm(subtract(prediction, target)) * (0.5 / n)


def l2(weights: Iterable[Operand], lam: float, n: int) -> Tensor:
    r"""Penalty on large weights, :math:`\frac{\lambda}{2n} \sum_j w_j^2`.

    Parameters
    ----------
    weights : iterable of Tensor
        The weight matrices, ``model.weights``. Biases are not penalised.
    lam : float
        The strength, lambda.
    n : int
        The size of the *training set*, even if you add the penalty to the mean loss of
        a mini-batch.

    Returns
    -------
    Tensor
        A single number.

    Raises
    ------
    ValueError
        If there are no weights, or `n` is not positive.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    >>> tg.losses.l2([w], lam=0.5, n=10).item()
    0.125
    """
    if not isinstance(weights, Iterable):
        raise TypeError(
            f"l2: weights must be a list, not {type(weights).__name__}; pass "
            "model.weights"
        )
    weights = [weights] if isinstance(weights, Tensor) else list(weights)
    if not weights:
        raise ValueError("l2: the list of weights is empty; pass model.weights")
    if n <= 0:
        raise ValueError(f"l2: n is the size of the training set, 1 or more, not {n}")
    total = squared_norm(weights[0])
    for w in weights[1:]:
        total = total + squared_norm(w)
    return total * (0.5 * lam / n)


def cross_entropy(prediction: Operand, target: Operand) -> Tensor:
    r"""Sigmoid cross-entropy of probabilities, with :math:`0 \log 0 = 0`.

    .. math:: -\frac{1}{N} \sum_i \left[ y_i \log h_i + (1-y_i) \log(1-h_i) \right]

    summed over the outputs. If you have the output layer's `z`, prefer
    `cross_entropy_with_logits`: it is accurate even where `h` rounds to 1.

    Parameters
    ----------
    prediction : Tensor of shape (N, ...)
        The network's output `h`, probabilities.
    target : array_like of shape (N, ...)
        The desired output `y`, from 0 to 1.

    Returns
    -------
    Tensor
        A single number.

    Raises
    ------
    ValueError
        If the shapes differ, or if `prediction` or `target` has a number outside of
        [0, 1]. NaN is allowed and gives NaN. `compile` checks only the values of the
        first call, which it records.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> h = tg.Tensor([[0.5], [1.0]], requires_grad=True)
    >>> round(tg.losses.cross_entropy(h, [[0.0], [1.0]]).item(), 6)
    0.346574
    """
    n = _examples("cross_entropy", prediction, target)
    _check_probabilities("cross_entropy", "prediction", prediction)
    _check_probabilities("cross_entropy", "target", target)
    target = _in_dtype_of(prediction, target)
    likelihood = xlogy(target, prediction) + xlog1py(
        subtract(1.0, target), -1.0 * as_array(prediction)
    )
    return sum(likelihood) * (-1.0 / n)


def cross_entropy_with_logits(logits: Operand, target: Operand) -> Tensor:
    r"""`cross_entropy` of the probabilities sigmoid(z), from the logits `z`.

    .. math:: \frac{1}{N} \sum_i \left[ \log(1 + e^{z_i}) - y_i z_i \right]

    which is equal to `cross_entropy`, and accurate for very large and very small `z`.

    Parameters
    ----------
    logits : Tensor of shape (N, ...)
        The output layer's `z`, ``model.logits(x)``.
    target : array_like of shape (N, ...)
        The desired output `y`, from 0 to 1.

    Returns
    -------
    Tensor
        A single number.

    Raises
    ------
    ValueError
        If the shapes differ, or if `target` has a number outside of [0, 1]; see
        `cross_entropy`.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> z = tg.Tensor([[0.0], [1000.0]], requires_grad=True)
    >>> tg.losses.cross_entropy_with_logits(z, [[1.0], [1.0]]).backward()
    >>> z.grad
    Tensor([[-0.25],
            [ 0.  ]])
    """
    n = _examples("cross_entropy_with_logits", logits, target)
    _check_probabilities("cross_entropy_with_logits", "target", target)
    target = _in_dtype_of(logits, target)
    return sum(sigmoid_cross_entropy(logits, target)) * (1.0 / n)


def softmax_cross_entropy(logits: Operand, target: Operand) -> Tensor:
    r"""Cross-entropy of softmax(z): :math:`-\frac{1}{N} \sum_i y_i \log p_i`.

    Parameters
    ----------
    logits : Tensor of shape (N, classes), or (classes,) for one example
        The output layer's `z`, ``model.logits(x)``.
    target : array_like of that shape, or integers of shape (N,), or ()
        The probability of each class; or the number of the right class, from 0.

    Returns
    -------
    Tensor
        A single number.

    Raises
    ------
    ValueError
        If the shapes differ, if `target` has a number outside of [0, 1], see
        `cross_entropy`, or if there is no class of a label.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> z = tg.Tensor([[0.0, 0.0]], requires_grad=True)
    >>> tg.losses.softmax_cross_entropy(z, [[1.0, 0.0]]).backward()
    >>> z.grad
    Tensor([[-0.5,  0.5]])
    >>> tg.losses.softmax_cross_entropy(z, [0]).item().__round__(6)
    0.693147
    """
    rows = _rows_of_labels(target, logits)
    n = _examples("softmax_cross_entropy", logits, rows)
    if rows is target:
        _check_probabilities("softmax_cross_entropy", "target", target)
    rows = _in_dtype_of(logits, rows)
    if rows.ndim == 1:
        n = 1
    # A class of target 0 may have log p = -infinity: here 0 log 0 = 0.
    impossible = rows == 0
    return sum(rows * where(impossible, 0, log_softmax(logits))) * (-1.0 / n)


def _examples(loss: str, prediction: Any, target: Any) -> int:
    """Raise if the shapes differ; return the number of examples."""
    try:
        shape, wanted = prediction.shape, target.shape
    except AttributeError:  # a list
        shape, wanted = np.shape(prediction), np.shape(target)
    if shape != wanted:
        classes = shape[-1:] > (1,)
        labels = classes and as_array(target).dtype.kind in "iu"
        if labels and wanted in (shape[:-1], (*shape[:-1], 1)):
            way_out = (
                "convert integer labels to one-hot rows: "
                f"np.eye({shape[-1]})[labels]" + "[:, 0]" * (len(wanted) == len(shape))
            )
        elif classes and wanted == shape[:-1] and loss == "softmax_cross_entropy":
            way_out = "make integers of the labels: labels.astype(int)"
        else:
            way_out = "reshape the wrong one, since a loss does not broadcast"
        raise ValueError(
            f"{loss}: the prediction has shape {shape}, the target {wanted}; they must "
            f"be equal ({way_out})"
        )
    n = shape[0] if shape else 1
    if n == 0:
        raise ValueError(f"{loss}: there are no examples: the shape is {shape}")
    return n


def _in_dtype_of(prediction: Any, target: Any) -> Any:
    """Convert integers, if NumPy would make float64 of them and the prediction."""
    target = as_array(target)
    if target.dtype.kind in "iu":
        dtype = as_array(prediction).dtype
        if dtype in (np.float16, np.float32):
            return astype(target, dtype=dtype)
    return target


def _rows_of_labels(target: Any, logits: Any) -> Any:
    """Convert integer labels to one-hot rows; return any other target as it is."""
    labels, shape = as_array(target), as_array(logits).shape
    if labels.dtype.kind not in "iu" or labels.ndim != len(shape) - 1:
        return target
    query(check_labels, labels, shape[-1])
    return labels[..., None] == np.arange(shape[-1])


def _check_probabilities(loss: str, what: str, x: Any) -> None:
    """Raise if a number is outside of [0, 1]; allow NaN."""
    if not (isinstance(x, Node) and x.op is sigmoid):  # which is within
        query(check_within_0_and_1, x, f"{loss}: the {what}")


def check_labels(labels: Any, classes: int) -> None:
    """Raise if a label is not the number of a class."""
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"softmax_cross_entropy: the labels go from {labels.min()} to "
            f"{labels.max()}, but the {classes} classes have the numbers 0 to "
            f"{classes - 1}"
        )


FOR_OUTPUTS = (
    "for the output layer's z, which may be any number, call "
    "cross_entropy_with_logits()"
)
FOR_LABELS = "convert labels to one-hot rows: np.eye(classes)[labels]"


def check_within_0_and_1(x: Any, what: str) -> None:
    """Raise if a number is outside of [0, 1]; allow NaN."""
    x = np.asarray(x)
    if not x.size:
        return
    low, high = x.item(x.argmin()), x.item(x.argmax())  # faster than min() and max()
    if low < 0 or high > 1:
        way_out = FOR_OUTPUTS if what.endswith("prediction") else FOR_LABELS
        raise ValueError(
            f"{what} has numbers from {low} to {high}, but probabilities are between "
            f"0 and 1; {way_out}"
        )


if not TYPE_CHECKING:  # type checkers shall find names that do not exist
    __getattr__ = raising("tg.losses", __name__)
