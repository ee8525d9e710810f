"""Exercises on lessons 1 and 2: derivatives along one path, and along several."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.exercising.exercise import Declaration
from tinygrad_edu.exercising.judging import gradient
from tinygrad_edu.exercising.numbers import numbers
from tinygrad_edu.ops import log, sigmoid, tanh

__all__ = ["EXERCISES"]

Quantities = dict[str, Any]

ONE_PATH, SEVERAL_PATHS = "lessons/01-one-path", "lessons/02-several-paths"

SIGMOID = """\
def sigmoid(z):
    return 1 / (1 + np.exp(-z))

"""


def cube(x: Any) -> Quantities:
    loss = x * x * x + 2 * x
    return locals()


def one_sigmoid(z: Any) -> Quantities:
    a = sigmoid(z)
    loss = a * 1
    return locals()


def one_tanh(z: Any) -> Quantities:
    a = tanh(z)
    loss = a.sum()
    return locals()


def square(h2: Any, y: Any) -> Quantities:
    loss = (y - h2) ** 2 / 2
    return locals()


def logarithms(a: Any, y: Any) -> Quantities:
    loss = -(y * log(a) + (1 - y) * log(1 - a))
    return locals()


def neuron(x: Any, w: Any, b: Any, y: Any) -> Quantities:
    z = x * w + b
    a = sigmoid(z)
    loss = (y - a) ** 2 / 2
    return locals()


def chain(x: Any, y: Any, w1: Any, w2: Any) -> Quantities:
    z1 = x * w1
    h1 = sigmoid(z1)
    z2 = h1 * w2
    h2 = sigmoid(z2)
    loss = (y - h2) ** 2 / 2
    return locals()


def product_with_itself(x: Any) -> Quantities:
    s = sigmoid(x)
    loss = x * s
    return locals()


def two_paths(a: Any, b: Any) -> Quantities:
    p = a * b
    s = sigmoid(a)
    loss = p + s
    return locals()


def shared_weight(x: Any, w: Any) -> Quantities:
    z1 = x * w
    h1 = sigmoid(z1)
    z2 = h1 * w
    loss = sigmoid(z2)
    return locals()


CHAIN = """\
    z1 = x w1    h1 = sigma(z1)    z2 = h1 w2    h2 = sigma(z2)
    loss = (y - h2)^2 / 2
"""

EXERCISES = (
    Declaration(
        name="cube",
        title="A derivative to begin with",
        lesson=ONE_PATH,
        question="What is the derivative of f(x) = x^3 + 2 x at this x?",
        draw=numbers(x=()),
        judge=gradient(cube, "x"),
        hints=(
            "Differentiate each term alone, and add.",
            "The derivative of x^n is n x^(n-1).",
        ),
        solution="answer = 3 * x**2 + 2",
    ),
    Declaration(
        name="sigma-prime",
        title="The slope of the sigmoid",
        lesson=ONE_PATH,
        question="What is the derivative of sigma(z) = 1 / (1 + e^-z) at this z?",
        draw=numbers(z=()),
        judge=gradient(one_sigmoid, "z"),
        hints=(
            "Compute a = sigma(z) first.",
            "The derivative can be written with a alone.",
            "sigma'(z) = a (1 - a)",
        ),
        solution="a = 1 / (1 + np.exp(-z))\nanswer = a * (1 - a)",
    ),
    Declaration(
        name="tanh-prime",
        title="The slope of tanh, as a function",
        lesson=ONE_PATH,
        question=(
            "Write a function tanh_prime(z) that returns the derivative of tanh at "
            "each element of an array. Check the function itself."
        ),
        draw=numbers(z=(4,)),
        judge=gradient(one_tanh, "z"),
        hints=(
            "As with the sigmoid, the value of the function is enough.",
            "tanh'(z) = 1 - tanh(z)^2",
        ),
        solution="def answer(z):\n    return 1 - np.tanh(z) ** 2",
    ),
    Declaration(
        name="square",
        title="The first factor: the loss",
        lesson=ONE_PATH,
        question=(
            "The loss is (y - h2)^2 / 2. What is its derivative with respect to h2, "
            "the output?"
        ),
        draw=numbers(h2=(), y=()),
        judge=gradient(square, "h2"),
        hints=(
            "The outer derivative is (y - h2). And the inner one?",
            "Mind the sign: y - h2 falls when h2 grows.",
        ),
        solution="answer = -(y - h2)",
    ),
    Declaration(
        name="logarithms",
        title="Another loss: cross-entropy",
        lesson=ONE_PATH,
        question=(
            "The loss is -(y log(a) + (1 - y) log(1 - a)), with the natural "
            "logarithm. What is its derivative with respect to a?"
        ),
        draw=numbers(a=(), y=()),
        judge=gradient(logarithms, "a"),
        hints=(
            "The derivative of log(a) is 1 / a. And that of log(1 - a)?",
            "There are two fractions, one with a and one with 1 - a below the line.",
            "Together they are (a - y) / (a (1 - a)).",
        ),
        solution="answer = (a - y) / (a * (1 - a))",
    ),
    Declaration(
        name="neuron-w",
        title="One neuron: its weight",
        lesson=ONE_PATH,
        question=(
            "One neuron, with a bias:\n\n"
            "    z = x w + b    a = sigma(z)    loss = (y - a)^2 / 2\n\n"
            "What is the derivative of the loss with respect to w?"
        ),
        draw=numbers(x=(), w=(), b=(), y=()),
        judge=gradient(neuron, "w"),
        hints=(
            "Write the chain from the loss back to w: three factors.",
            "dloss/dw = dloss/da * da/dz * dz/dw",
            "The last factor is dz/dw = x.",
        ),
        solution=(
            "a = 1 / (1 + np.exp(-(x * w + b)))\nanswer = -(y - a) * a * (1 - a) * x"
        ),
    ),
    Declaration(
        name="neuron-b",
        title="One neuron: its bias",
        lesson=ONE_PATH,
        question=(
            "One neuron, with a bias:\n\n"
            "    z = x w + b    a = sigma(z)    loss = (y - a)^2 / 2\n\n"
            "What is the derivative of the loss with respect to b?"
        ),
        draw=numbers(x=(), w=(), b=(), y=()),
        judge=gradient(neuron, "b"),
        hints=(
            "Only the last factor of the chain differs from that for w.",
            "dz/db = 1",
        ),
        solution=(
            "a = 1 / (1 + np.exp(-(x * w + b)))\nanswer = -(y - a) * a * (1 - a)"
        ),
    ),
    Declaration(
        name="chain-w2",
        title="Two layers: the last weight",
        lesson=ONE_PATH,
        question=(
            f"Two layers of one neuron each:\n\n{CHAIN}\n"
            "What is the derivative of the loss with respect to w2?"
        ),
        draw=numbers(x=(), y=(), w1=(), w2=()),
        judge=gradient(chain, "w2"),
        hints=(
            "Go back from the loss: h2, z2, and there is w2.",
            "delta2 = dloss/dz2 = -(y - h2) h2 (1 - h2)",
            "dz2/dw2 = h1",
        ),
        solution=(
            f"{SIGMOID}\nh1 = sigmoid(x * w1)\nh2 = sigmoid(h1 * w2)\n"
            "delta2 = -(y - h2) * h2 * (1 - h2)\nanswer = delta2 * h1"
        ),
    ),
    Declaration(
        name="chain-w1",
        title="Two layers: the first weight",
        lesson=ONE_PATH,
        question=(
            f"Two layers of one neuron each:\n\n{CHAIN}\n"
            "What is the derivative of the loss with respect to w1?"
        ),
        draw=numbers(x=(), y=(), w1=(), w2=()),
        judge=gradient(chain, "w1"),
        hints=(
            "Begin with delta2, as for w2. Then pass z2 = h1 w2 and h1 = sigma(z1).",
            "delta1 = delta2 * dz2/dh1 * dh1/dz1",
            "dz2/dh1 = w2, and dz1/dw1 = x.",
        ),
        solution=(
            f"{SIGMOID}\nh1 = sigmoid(x * w1)\nh2 = sigmoid(h1 * w2)\n"
            "delta2 = -(y - h2) * h2 * (1 - h2)\n"
            "delta1 = delta2 * w2 * h1 * (1 - h1)\nanswer = delta1 * x"
        ),
    ),
    Declaration(
        name="twice",
        title="Two paths from one number",
        lesson=SEVERAL_PATHS,
        question="What is the derivative of f(x) = x sigma(x) at this x?",
        draw=numbers(x=()),
        judge=gradient(product_with_itself, "x"),
        hints=(
            "x is used twice. Each use is a path; their derivatives are added.",
            "One path: sigma(x). The other one: x sigma'(x).",
        ),
        solution="s = 1 / (1 + np.exp(-x))\nanswer = s + x * s * (1 - s)",
    ),
    Declaration(
        name="two-paths",
        title="Which paths lead there?",
        lesson=SEVERAL_PATHS,
        question=(
            "f(a, b) = a b + sigma(a). What are its derivatives with respect to a and "
            "b? Give a list of two numbers."
        ),
        draw=numbers(a=(), b=()),
        judge=gradient(two_paths, "a", "b"),
        hints=(
            "Two paths lead to a, and one to b.",
            "a b gives b to a, and a to b.",
        ),
        solution="s = 1 / (1 + np.exp(-a))\nanswer = [b + s * (1 - s), a]",
    ),
    Declaration(
        name="shared-weight",
        title="One weight in two layers",
        lesson=SEVERAL_PATHS,
        question=(
            "Both layers share their weight:\n\n"
            "    z1 = x w    h1 = sigma(z1)    z2 = h1 w    loss = sigma(z2)\n\n"
            "What is the derivative of the loss with respect to w?"
        ),
        draw=numbers(x=(), w=()),
        judge=gradient(shared_weight, "w"),
        hints=(
            "The short path: loss, z2, w. The long one: loss, z2, h1, z1, w.",
            "With delta2 = sigma'(z2), the short path gives delta2 h1.",
            "The long path gives delta2 w sigma'(z1) x.",
        ),
        solution=(
            f"{SIGMOID}\nh1 = sigmoid(x * w)\nh2 = sigmoid(h1 * w)\n"
            "delta2 = h2 * (1 - h2)\n"
            "answer = delta2 * h1 + delta2 * w * h1 * (1 - h1) * x"
        ),
    ),
)
