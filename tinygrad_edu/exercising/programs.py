"""Exercises on lessons 6 and 7: rules, ops, optimisers, a compiled step."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import losses
from tinygrad_edu.compiler.compiling import Compiled
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.exercising.exercise import Declaration, Exercise, Verdict
from tinygrad_edu.exercising.judging import own_op, same, well_done
from tinygrad_edu.exercising.numbers import numbers
from tinygrad_edu.nn import MLP
from tinygrad_edu.optim import SGD, Optimiser
from tinygrad_edu.support.language import say

__all__ = ["EXERCISES"]

TAPE, TRAINING = "lessons/06-the-tape", "lessons/07-training"
OWN_OP, PROGRAM = "write-your-own-op", "from-tape-to-program"

STEPS = 3


def own_optimiser(exercise: Exercise, answer: Any) -> Verdict:
    """Judge an optimiser with momentum by a few steps of `SGD`."""
    page = "optimisers-and-layers"
    if not (isinstance(answer, type) and issubclass(answer, Optimiser)):
        says = say("this is no subclass of tg.optim.Optimiser")
        return Verdict(False, says, page)
    w, lr, mu = exercise.given.values()
    mine, right = (Tensor(w, requires_grad=True) for _ in range(2))
    optimisers = answer([mine], lr, mu), SGD([right], lr, momentum=mu)
    for step in range(1, STEPS + 1):
        for p, optimiser in zip((mine, right), optimisers):
            optimiser.zero_grad()
            (p**4).sum().backward()
            optimiser.step()
        if not np.allclose(mine.data, right.data, rtol=1e-9, atol=0):
            if step == 1:
                says = say("already step 1; mind what v keeps")
            else:
                says = say(
                    "the first is right, but not step {step}; mind what v keeps",
                    step=step,
                )
            return Verdict(False, says, page)
    return well_done()


def compiled_step(exercise: Exercise, answer: Any) -> Verdict:
    """Judge a compiled step by the same step without `compile`."""
    x, y, lr = exercise.given.values()
    mine, right = (MLP([2, 3, 1], rng=exercise.seed) for _ in range(2))
    optimiser = SGD(right.parameters(), lr)
    step = answer(mine, SGD(mine.parameters(), lr))
    if not isinstance(step, Compiled):
        says = say("it should return what tg.compile returned")
        return Verdict(False, says, PROGRAM)
    for count in range(1, STEPS + 1):
        loss = losses.mse(right(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        told = step(x, y)
        if told is None:
            return Verdict(False, say("step returns None, and should return the loss"))
        if not np.allclose(np.asarray(told), loss.data, rtol=1e-9):
            return Verdict(
                False,
                say(
                    "the loss of step {step} is not right; which loss is it, and is "
                    "the gradient zeroed before each step?",
                    step=count,
                ),
                TRAINING,
            )
    pairs = zip(mine.parameters(), right.parameters())
    if not all(np.allclose(p.data, q.data, rtol=1e-9) for p, q in pairs):
        says = say("the parameters are not right after the steps")
        return Verdict(False, says, TRAINING)
    return well_done()


EXERCISES = (
    Declaration(
        name="multiply-rules",
        title="The rules of a product",
        lesson=TAPE,
        question=(
            "y = a b, element by element, and g is the gradient of the loss with "
            "respect to y. Write a function rules(g, a, b) that returns the gradients "
            "with respect to a and b, as a tuple."
        ),
        draw=numbers(g=(3,), a=(3,), b=(3,)),
        judge=same,
        hints=("dy/da = b", "Multiply by g, what came from above."),
        solution="def answer(g, a, b):\n    return g * b, g * a",
        slips={
            "g is missing as a factor": "(b, a)",
            "each gradient has the other factor": "(g * a, g * b)",
        },
    ),
    Declaration(
        name="matmul-rules",
        title="The rules of a product of matrices",
        lesson=TAPE,
        question=(
            "Y = A B, a product of matrices, and G is the gradient of the loss with "
            "respect to Y. Write a function rules(G, A, B) that returns the gradients "
            "with respect to A and B, as a tuple."
        ),
        draw=numbers(G=(3, 3), A=(3, 3), B=(3, 3)),
        judge=same,
        hints=(
            "With matrices that are not square, only one product has the right shape.",
            "G B^T has the shape of A.",
        ),
        solution="def answer(G, A, B):\n    return G @ B.T, A.T @ G",
        slips={
            "the transposes are missing": "(G @ B, A @ G)",
            "the factors are in the other order": "(B.T @ G, G @ A.T)",
        },
    ),
    Declaration(
        name="unbroadcast",
        title="Undo broadcasting",
        lesson=TAPE,
        question=(
            "An input of this shape was broadcast to the shape of g, the gradient with "
            "respect to the result. Write a function unbroadcast(g, shape) that "
            "returns the gradient with respect to the input."
        ),
        draw=lambda rng: {"g": numbers(g=(2, 3, 2))(rng)["g"], "shape": (3, 1)},
        judge=same,
        hints=(
            "Each copy is a path, and paths are added.",
            "Sum over the axes in front, which the input has not.",
            "Then sum over the axes where the shape has a 1, with keepdims=True.",
        ),
        solution=(
            "def answer(g, shape):\n"
            "    g = g.sum(axis=tuple(range(g.ndim - len(shape))))\n"
            "    ones = tuple(i for i, n in enumerate(shape) if n == 1)\n"
            "    return g.sum(axis=ones, keepdims=True)"
        ),
        slips={
            "that is the mean over the copies and not the sum": (
                "g.mean(axis=(0, 2)).reshape(shape)"
            ),
            "only one of the copies counts": "g[0, :, :1]",
        },
    ),
    Declaration(
        name="own-op",
        title="An op of your own",
        lesson=OWN_OP,
        question=(
            "Declare an op, x / (1 + |x|), with its rule. Check the op itself: first "
            "its values are tried, then its first and second derivatives."
        ),
        draw=numbers(x=(4,)),
        judge=own_op(lambda x: x / (1 + np.abs(x))),
        hints=(
            "@tg.op above the function; then op = op.vjp(x=lambda g, y, x: ...).",
            "The derivative is 1 / (1 + |x|)^2.",
            "In the rule, use tg.abs: a rule is made of ops.",
        ),
        solution=(
            "@tg.op\ndef soft_sign(x):\n    return x / (1 + np.abs(x))\n\n"
            "answer = soft_sign.vjp(x=lambda g, y, x: g / (1 + tg.abs(x)) ** 2)"
        ),
    ),
    Declaration(
        name="own-op-of-two",
        title="An op of two inputs",
        lesson=OWN_OP,
        question=(
            "Declare an op of a and b, sqrt(a^2 + b^2), with a rule for each input. "
            "Check the op itself."
        ),
        draw=numbers(a=(3,), b=(3,)),
        judge=own_op(lambda a, b: np.sqrt(a * a + b * b)),
        hints=(
            "op.vjp(a=lambda g, y, a, b: ..., b=lambda g, y, a, b: ...)",
            "y, the value, is of use: the derivative with respect to a is a / y.",
        ),
        solution=(
            "@tg.op\ndef length(a, b):\n    return np.sqrt(a * a + b * b)\n\n"
            "answer = length.vjp(\n    a=lambda g, y, a, b: g * a / y,\n"
            "    b=lambda g, y, a, b: g * b / y,\n)"
        ),
    ),
    Declaration(
        name="sgd",
        title="A step downhill",
        lesson=TRAINING,
        question=(
            "Write a function step(w, g, lr) that returns the weights after a step of "
            "gradient descent, where g is the gradient. Do not change w."
        ),
        draw=numbers(w=(3,), g=(3,), lr=()),
        judge=same,
        hints=("Against the gradient, the loss falls.", "w - lr g"),
        solution="def answer(w, g, lr):\n    return w - lr * g",
        slips={
            "that is a step uphill": "w + lr * g",
            "the learning rate is missing": "w - g",
            "that is the change and not the new weights": "-lr * g",
        },
    ),
    Declaration(
        name="momentum",
        title="A step with momentum",
        lesson=TRAINING,
        question=(
            "Momentum keeps a velocity: v becomes mu v + g, and then w becomes "
            "w - lr v. Write a function step(w, v, g, lr, mu) that returns the new "
            "w and the new v, as a tuple."
        ),
        draw=numbers(w=(3,), v=(3,), g=(3,), lr=(), mu=()),
        judge=same,
        hints=("Compute the new v first.", "The step uses the new v."),
        solution=(
            "def answer(w, v, g, lr, mu):\n    v = mu * v + g\n    return w - lr * v, v"
        ),
        slips={
            "w moves by the old velocity": "(w - lr * v, mu * v + g)",
            "the order is w and then v": "(mu * v + g, w - lr * (mu * v + g))",
        },
    ),
    Declaration(
        name="accuracy",
        title="How many are right?",
        lesson=TRAINING,
        question=(
            "Each row of outputs belongs to an example, and the column of the largest "
            "number is the answer. Write a function accuracy(outputs, labels) that "
            "returns the fraction of right answers."
        ),
        draw=lambda rng: {
            "outputs": numbers(h=(8, 3))(rng)["h"],
            "labels": rng.integers(0, 3, 8),
        },
        judge=same,
        hints=("outputs.argmax(axis=1)", "The mean of an array of True and False."),
        solution=(
            "def answer(outputs, labels):\n"
            "    return (outputs.argmax(axis=1) == labels).mean()"
        ),
        slips={
            "that is their number and not the fraction": (
                "(outputs.argmax(axis=1) == labels).sum()"
            ),
        },
    ),
    Declaration(
        name="own-optimiser",
        title="An optimiser of your own",
        lesson=TRAINING,
        question=(
            "Write momentum as a subclass of tg.optim.Optimiser, with the arguments "
            "(params, lr, mu). Check the class itself: it is tried for some steps."
        ),
        draw=lambda rng: {"w": numbers(w=(3,))(rng)["w"], "lr": 0.01, "mu": 0.9},
        judge=own_optimiser,
        hints=(
            'super().__init__(params, "v") keeps an array v for each parameter.',
            "def update(self, p, g, v): change p and v in place.",
            "v *= self.mu, then v += g, then p -= self.lr * v",
        ),
        solution=(
            "class Momentum(tg.optim.Optimiser):\n"
            "    def __init__(self, params, lr, mu):\n"
            '        super().__init__(params, "v")\n'
            "        self.lr, self.mu = lr, mu\n\n"
            "    def update(self, p, g, v):\n"
            "        v *= self.mu\n        v += g\n        p -= self.lr * v\n\n"
            "answer = Momentum"
        ),
    ),
    Declaration(
        name="compiled-step",
        title="A compiled training step",
        lesson=PROGRAM,
        question=(
            "Write a function make_step(model, optimiser) that returns a compiled "
            "function step(x, y): it makes one training step with tg.losses.mse, and "
            "returns the loss. Check make_step itself."
        ),
        draw=lambda rng: {**numbers(x=(4, 2), y=(4, 1))(rng), "lr": 0.5},
        judge=compiled_step,
        hints=(
            "First write step(x, y) without compiling it.",
            "loss, zero_grad, backward, step, return loss",
            "Put @tg.compile above step, inside make_step.",
        ),
        solution=(
            "def answer(model, optimiser):\n"
            "    @tg.compile\n    def step(x, y):\n"
            "        loss = tg.losses.mse(model(x), y)\n"
            "        optimiser.zero_grad()\n        loss.backward()\n"
            "        optimiser.step()\n        return loss\n\n"
            "    return step"
        ),
    ),
)
