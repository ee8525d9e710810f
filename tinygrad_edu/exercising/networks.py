"""Exercises on lessons 3 to 5: layers, batches, cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import losses
from tinygrad_edu.exercising.derivatives import SIGMOID, Quantities
from tinygrad_edu.exercising.exercise import Declaration
from tinygrad_edu.exercising.judging import gradient, same
from tinygrad_edu.exercising.numbers import numbers
from tinygrad_edu.ops import sigmoid

__all__ = ["EXERCISES"]

LAYERS, BATCHES = "lessons/03-layers", "lessons/04-batches"
CROSS_ENTROPY = "lessons/05-cross-entropy"


def layer(x: Any, y: Any, W: Any, b: Any) -> Quantities:
    z = W @ x + b
    a = sigmoid(z)
    loss = ((a - y) ** 2).sum() / 2
    return locals()


def layers(x: Any, y: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Quantities:
    z1 = W1 @ x + b1
    a1 = sigmoid(z1)
    z2 = W2 @ a1 + b2
    a2 = sigmoid(z2)
    loss = ((a2 - y) ** 2).sum() / 2
    return locals()


def batch(x: Any, y: Any, W: Any, b: Any) -> Quantities:
    z = x @ W.T + b
    a = sigmoid(z)
    loss = losses.mse(a, y)
    return locals()


def penalised(x: Any, y: Any, W: Any, b: Any, lam: Any) -> Quantities:
    z = x @ W.T + b
    a = sigmoid(z)
    loss = losses.mse(a, y) + lam / (2 * len(x)) * (W * W).sum()
    return locals()


def batch_in_layers(x: Any, y: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Quantities:
    z1 = x @ W1.T + b1
    a1 = sigmoid(z1)
    z2 = a1 @ W2.T + b2
    a2 = sigmoid(z2)
    loss = losses.mse(a2, y)
    return locals()


def layers_to_logits(x: Any, y: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Quantities:
    z1 = x @ W1.T + b1
    a1 = sigmoid(z1)
    z2 = a1 @ W2.T + b2
    loss = losses.cross_entropy_with_logits(z2, y)
    return locals()


def logit(z: Any, y: Any) -> Quantities:
    loss = losses.cross_entropy_with_logits(z, y)
    return locals()


def softmax_logits(z: Any, y: Any) -> Quantities:
    loss = losses.softmax_cross_entropy(z, y)
    return locals()


ONE_LAYER = """\
    z = W x + b    a = sigma(z)    loss = sum((a - y)^2) / 2
"""
TWO_LAYERS = """\
    z1 = W1 x + b1     a1 = sigma(z1)
    z2 = W2 a1 + b2    a2 = sigma(z2)    loss = sum((a2 - y)^2) / 2
"""
BATCH = """\
    z = x W^T + b    a = sigma(z)    loss = sum((a - y)^2) / (2 N)
"""
ROWS = "Each row of x and y is an example; N is their number."

NETWORK = {"W1": (3, 2), "b1": (3,), "W2": (2, 3), "b2": (2,)}

EXERCISES = (
    Declaration(
        name="forward",
        title="Forward through a layer",
        lesson=LAYERS,
        question="What is a = sigma(W x + b)? Give a vector of two numbers.",
        draw=numbers(x=(2,), W=(2, 2), b=(2,)),
        judge=same,
        hints=(
            "Row j of W has the weights of neuron j.",
            "z = W @ x + b in NumPy; sigma works on each element.",
        ),
        solution="answer = 1 / (1 + np.exp(-(W @ x + b)))",
        slips={
            "the bias is missing": "1 / (1 + np.exp(-(W @ x)))",
            "W and its transpose are confused": "1 / (1 + np.exp(-(x @ W + b)))",
            "that is z without sigma": "W @ x + b",
        },
    ),
    Declaration(
        name="layer-b",
        title="A layer: the biases",
        lesson=LAYERS,
        question=(
            f"One layer and one example:\n\n{ONE_LAYER}\n"
            "What is the gradient of the loss with respect to b?"
        ),
        draw=numbers(x=(3,), y=(2,), W=(2, 3), b=(2,)),
        judge=gradient(layer, "b"),
        hints=(
            "Neuron by neuron, it is the exercise neuron-b.",
            "It is delta = (a - y) * a * (1 - a), element by element.",
        ),
        solution=(f"{SIGMOID}\na = sigmoid(W @ x + b)\nanswer = (a - y) * a * (1 - a)"),
    ),
    Declaration(
        name="layer-w",
        title="A layer: the weights",
        lesson=LAYERS,
        question=(
            f"One layer and one example:\n\n{ONE_LAYER}\n"
            "What is the gradient of the loss with respect to W? It has the shape of W."
        ),
        draw=numbers(x=(2,), y=(2,), W=(2, 2), b=(2,)),
        judge=gradient(layer, "W"),
        hints=(
            "The weight in row j and column k leads from x[k] to z[j].",
            "So its derivative is delta[j] x[k].",
            "np.outer(delta, x)",
        ),
        solution=(
            f"{SIGMOID}\na = sigmoid(W @ x + b)\ndelta = (a - y) * a * (1 - a)\n"
            "answer = np.outer(delta, x)"
        ),
    ),
    Declaration(
        name="hidden-delta",
        title="Back through a layer",
        lesson=LAYERS,
        question=(
            f"Two layers and one example:\n\n{TWO_LAYERS}\n"
            "What is the gradient of the loss with respect to b1? It is delta1."
        ),
        draw=numbers(x=(2,), y=(2,), W1=(2, 2), b1=(2,), W2=(2, 2), b2=(2,)),
        judge=gradient(layers, "b1"),
        hints=(
            "Each hidden neuron has a path through each output neuron.",
            "Summed over these paths: W2^T delta2.",
            "delta1 = (W2^T delta2) * a1 * (1 - a1)",
        ),
        solution=(
            f"{SIGMOID}\na1 = sigmoid(W1 @ x + b1)\na2 = sigmoid(W2 @ a1 + b2)\n"
            "delta2 = (a2 - y) * a2 * (1 - a2)\n"
            "answer = W2.T @ delta2 * a1 * (1 - a1)"
        ),
    ),
    Declaration(
        name="backprop",
        title="Backpropagation, as a function",
        lesson=LAYERS,
        question=(
            f"Two layers and one example:\n\n{TWO_LAYERS}\n"
            "Write a function backprop(x, y, W1, b1, W2, b2) that returns the "
            "gradients with respect to W1, b1, W2, b2, as a list in this order."
        ),
        draw=numbers(x=(2,), y=(2,), **NETWORK),
        judge=gradient(layers, *NETWORK),
        hints=(
            "Run forward, and keep a1 and a2. Then compute delta2, then delta1.",
            "Each layer: the gradient of b is delta, that of W is an outer product.",
            "W1 meets x: np.outer(delta1, x). W2 meets a1: np.outer(delta2, a1).",
        ),
        solution=(
            f"{SIGMOID}\ndef answer(x, y, W1, b1, W2, b2):\n"
            "    a1 = sigmoid(W1 @ x + b1)\n"
            "    a2 = sigmoid(W2 @ a1 + b2)\n"
            "    delta2 = (a2 - y) * a2 * (1 - a2)\n"
            "    delta1 = W2.T @ delta2 * a1 * (1 - a1)\n"
            "    return [np.outer(delta1, x), delta1, np.outer(delta2, a1), delta2]"
        ),
    ),
    Declaration(
        name="mean-loss",
        title="The loss of a batch",
        lesson=BATCHES,
        question=(
            "What is the mean squared error of the outputs h, "
            f"sum((h - y)^2) / (2 N)? {ROWS.replace('x and y', 'h and y')}"
        ),
        draw=numbers(h=(4, 2), y=(4, 2)),
        judge=same,
        hints=(
            "Sum over both outputs of an example, and average over examples.",
            "N = len(h) = 4",
        ),
        solution="answer = ((h - y) ** 2).sum() / (2 * len(h))",
        slips={
            "that is the sum over the examples and not the mean": (
                "((h - y) ** 2).sum() / 2"
            ),
            "the factor one half is missing": "((h - y) ** 2).sum() / len(h)",
            "it is divided by the number of elements and not of examples": (
                "((h - y) ** 2).mean() / 2"
            ),
            "the difference is not squared": "(h - y).sum() / (2 * len(h))",
        },
    ),
    Declaration(
        name="batch-b",
        title="A batch: the biases",
        lesson=BATCHES,
        question=(
            f"A batch through one layer:\n\n{BATCH}\n{ROWS} "
            "What is the gradient of the loss with respect to b?"
        ),
        draw=numbers(x=(4, 3), y=(4, 2), W=(2, 3), b=(2,)),
        judge=gradient(batch, "b"),
        hints=(
            "b is used by every example: one path for each.",
            "delta has a row for each example; sum over axis 0, and mind the 1 / N.",
        ),
        solution=(
            f"{SIGMOID}\na = sigmoid(x @ W.T + b)\n"
            "delta = (a - y) / len(x) * a * (1 - a)\nanswer = delta.sum(axis=0)"
        ),
    ),
    Declaration(
        name="batch-w",
        title="A batch: the weights",
        lesson=BATCHES,
        question=(
            f"A batch through one layer:\n\n{BATCH}\n{ROWS} "
            "What is the gradient of the loss with respect to W?"
        ),
        draw=numbers(x=(4, 2), y=(4, 2), W=(2, 2), b=(2,)),
        judge=gradient(batch, "W"),
        hints=(
            "For one example it is an outer product; sum these over the examples.",
            "A product of matrices sums: delta.T @ x",
        ),
        solution=(
            f"{SIGMOID}\na = sigmoid(x @ W.T + b)\n"
            "delta = (a - y) / len(x) * a * (1 - a)\nanswer = delta.T @ x"
        ),
    ),
    Declaration(
        name="penalty",
        title="A batch with L2",
        lesson=BATCHES,
        question=(
            "The loss has a penalty on the weights, not on the biases:\n\n"
            "    z = x W^T + b    a = sigma(z)\n"
            "    loss = sum((a - y)^2) / (2 N) + lam / (2 N) sum(W^2)\n\n"
            f"{ROWS} What are the gradients with respect to W and b? Give a list of "
            "two arrays, or a function of (x, y, W, b, lam) that returns it."
        ),
        draw=numbers(x=(4, 2), y=(4, 2), W=(2, 2), b=(2,), lam=()),
        judge=gradient(penalised, "W", "b"),
        hints=(
            "The gradient of a sum: that of the error, as before, plus another.",
            "The penalty adds lam / N * W to the gradient of W, and nothing to b's.",
        ),
        solution=(
            f"{SIGMOID}\na = sigmoid(x @ W.T + b)\n"
            "delta = (a - y) / len(x) * a * (1 - a)\n"
            "answer = [delta.T @ x + lam / len(x) * W, delta.sum(axis=0)]"
        ),
    ),
    Declaration(
        name="backprop-batch",
        title="Backpropagation of a batch",
        lesson=BATCHES,
        question=(
            "Two layers and a batch:\n\n"
            "    z1 = x W1^T + b1     a1 = sigma(z1)\n"
            "    z2 = a1 W2^T + b2    a2 = sigma(z2)\n"
            "    loss = sum((a2 - y)^2) / (2 N)\n\n"
            f"{ROWS} Write a function backprop(x, y, W1, b1, W2, b2) that returns the "
            "gradients with respect to W1, b1, W2, b2, as a list. No loop over the "
            "examples is needed."
        ),
        draw=numbers(x=(5, 2), y=(5, 2), **NETWORK),
        judge=gradient(batch_in_layers, *NETWORK),
        hints=(
            "Every delta has one row for each example.",
            "delta1 = delta2 @ W2 * a1 * (1 - a1)",
            "Gradients: delta.T @ (what came in), and delta.sum(axis=0).",
        ),
        solution=(
            f"{SIGMOID}\ndef answer(x, y, W1, b1, W2, b2):\n"
            "    a1 = sigmoid(x @ W1.T + b1)\n"
            "    a2 = sigmoid(a1 @ W2.T + b2)\n"
            "    delta2 = (a2 - y) / len(x) * a2 * (1 - a2)\n"
            "    delta1 = delta2 @ W2 * a1 * (1 - a1)\n"
            "    return [delta1.T @ x, delta1.sum(axis=0),\n"
            "            delta2.T @ a1, delta2.sum(axis=0)]"
        ),
    ),
    Declaration(
        name="logit",
        title="Cross-entropy: delta",
        lesson=CROSS_ENTROPY,
        question=(
            "One output, a = sigma(z), with the loss "
            "-(y log(a) + (1 - y) log(1 - a)). "
            "What is the derivative of the loss with respect to z?"
        ),
        draw=numbers(z=(1, 1), y=(1, 1)),
        judge=gradient(logit, "z"),
        hints=(
            "Multiply the answer to the exercise logarithms by sigma'(z).",
            "A factor cancels.",
            "delta = a - y",
        ),
        solution="answer = 1 / (1 + np.exp(-z)) - y",
    ),
    Declaration(
        name="backprop-cross-entropy",
        title="Backpropagation from cross-entropy",
        lesson=CROSS_ENTROPY,
        question=(
            "Two layers and a batch:\n\n"
            "    z1 = x W1^T + b1     a1 = sigma(z1)\n"
            "    z2 = a1 W2^T + b2    a2 = sigma(z2)\n"
            "    loss = -sum(y log(a2) + (1 - y) log(1 - a2)) / N\n\n"
            f"{ROWS} Write a function backprop(x, y, W1, b1, W2, b2) that returns the "
            "gradients with respect to W1, b1, W2, b2, as a list."
        ),
        draw=numbers(x=(5, 2), y=(5, 2), **NETWORK),
        judge=gradient(layers_to_logits, *NETWORK),
        hints=(
            "Only one line differs from the exercise backprop-batch.",
            "delta2 = (a2 - y) / N",
        ),
        solution=(
            f"{SIGMOID}\ndef answer(x, y, W1, b1, W2, b2):\n"
            "    a1 = sigmoid(x @ W1.T + b1)\n"
            "    a2 = sigmoid(a1 @ W2.T + b2)\n"
            "    delta2 = (a2 - y) / len(x)\n"
            "    delta1 = delta2 @ W2 * a1 * (1 - a1)\n"
            "    return [delta1.T @ x, delta1.sum(axis=0),\n"
            "            delta2.T @ a1, delta2.sum(axis=0)]"
        ),
    ),
    Declaration(
        name="softmax",
        title="Softmax and its delta",
        lesson=CROSS_ENTROPY,
        question=(
            "Each row of z has the logits of one example, p = softmax(z) its "
            "probabilities, and y the target, a 1 and zeros. The loss is "
            "-sum(y log(p)) / N. What is its gradient with respect to z?"
        ),
        draw=lambda rng: {
            **numbers(z=(2, 3))(rng),
            "y": rng.permuted([[1.0, 0.0, 0.0]] * 2, axis=1),
        },
        judge=gradient(softmax_logits, "z"),
        hints=(
            "p = e^z, divided by its sum over the row.",
            "As for one output, almost everything cancels.",
            "(p - y) / N",
        ),
        solution=(
            "p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)\n"
            "answer = (p - y) / len(z)"
        ),
    ),
    Declaration(
        name="stable-sigmoid",
        title="A sigmoid that does not overflow",
        lesson=CROSS_ENTROPY,
        question=(
            "1 / (1 + np.exp(-z)) overflows at z = -1000, with a warning. Write a "
            "function stable_sigmoid(z) that is right for any array, without warnings."
        ),
        draw=lambda rng: {"z": np.array([-1000.0, *numbers(z=(3,))(rng)["z"], 1000.0])},
        judge=same,
        hints=(
            "e^-z overflows only if z is negative; e^z only if it is positive.",
            "With e = np.exp(-np.abs(z)), which is at most 1: two cases.",
            "1 / (1 + e) if z >= 0, else e / (1 + e)",
        ),
        solution=(
            "def answer(z):\n    e = np.exp(-np.abs(z))\n"
            "    return np.where(z >= 0, 1, e) / (1 + e)"
        ),
    ),
)
