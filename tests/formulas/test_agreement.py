"""`explain`, `draw`, `step_through` and `compile` call a quantity by the same name."""

import inspect
import re
import sys
from importlib import import_module

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order, value_of
from tinygrad_edu.explaining.walking import backward_pass
from tinygrad_edu.formulas.naming import names_of
from tinygrad_edu.formulas.quantities import Quantities

RNG = np.random.default_rng(0)


def leaf(name, *shape):
    data = RNG.standard_normal(shape) * 0.5
    return tg.Tensor(data, requires_grad=True, name=name)


def perceptron(cost, sizes=(3, 4, 2)):
    model = tg.nn.MLP(sizes, rng=0, dtype=float)
    x, y = RNG.random((5, 3)), RNG.random((5, 2))
    return lambda x, y: cost(model(x), y), x, y


def l2():
    model = tg.nn.MLP([3, 4, 2], rng=0, dtype=float)

    def f(x, y):
        cost = tg.losses.mse(model(x), y)
        return cost + tg.losses.l2(model.weights, 0.1, 5)

    return f, RNG.random((5, 3)), RNG.random((5, 2))


def rnn_steps(steps=3):
    W, U, b = leaf("W", 3, 4), leaf("U", 4, 4), leaf("b", 4)

    def f(x, y):
        h = np.zeros((2, 4))
        for t in range(steps):
            h = np.tanh(x[t] @ W + h @ U + b)
        return tg.losses.mse(h, y)

    return f, RNG.random((steps, 2, 3)), RNG.random((2, 4))


def attention():
    Q, K, V = (leaf(name, 4, 4) for name in "QKV")

    def f(x, y):
        scores = (x @ Q) @ (x @ K).T / 2.0
        return tg.losses.mse(tg.softmax(scores) @ (x @ V), y)

    return f, RNG.random((5, 4)), RNG.random((5, 4))


def lenet():
    for name in ("convolution", "train_lenet"):  # its ops are not in the table now
        sys.modules.pop(name, None)
    train_lenet = import_module("train_lenet")
    model = train_lenet.LeNet(np.random.default_rng(0))
    loss = tg.losses.softmax_cross_entropy
    x = RNG.random((2, 784)).astype(np.float32)
    return lambda x, y: loss(model(x), y), x, np.eye(10, dtype=np.float32)[:2]


def shared_weights():
    W = leaf("W", 3, 3)

    def f(x, y):
        return tg.losses.mse(tg.sigmoid(tg.sigmoid(x @ W) @ W) @ W.T, y)

    return f, RNG.random((4, 3)), RNG.random((4, 3))


def residual():
    w, v = leaf("w", 3), leaf("v", 3)

    def f(x, y):
        h = w * x
        h = h + 0.1 * np.tanh(h * v)
        h = h + 0.1 * np.tanh(h * v)
        return np.sum((h - y) ** 2)

    return f, RNG.random((4, 3)), RNG.random((4, 3))


def probabilities(p, y):
    return tg.losses.cross_entropy(p, y)


GRAPHS = {
    "MSE": lambda: perceptron(tg.losses.mse),
    "cross-entropy": lambda: perceptron(probabilities),
    "L2": l2,
    "RNN": rnn_steps,
    # Whose programs are loops:
    "long RNN": lambda: rnn_steps(12),
    "deep": lambda: perceptron(tg.losses.mse, (3, *[4] * 8, 2)),
    "attention": attention,
    "LeNet": lenet,
    "shared weights": shared_weights,
    "residual": residual,
}


def source_of(f, x, y):
    """Return the readable program of a step."""

    def step(x, y):
        loss = f(x, y)
        loss.backward()
        return loss

    compiled = tg.compile(step, style="readable")
    compiled(x, y)
    return compiled.source


def values_in(source, things):
    """Run a program on the things of its arguments' names; return its variables.

    Those of every turn of a loop are among them.
    """
    scope = {name: op.forward for name, op in tg.OPS.items()}  # as if it was given them
    del scope["sum"]  # which is Python's in a program
    body = source.rpartition("\n    return ")[0]
    exec(f"{body}\n    return locals()", scope)
    names = inspect.signature(scope["step"]).parameters
    values = scope["step"](**{name: things[name].copy() for name in names})
    for name in ("t", "l"):  # which count
        values.pop(name, None)
    families = {name: x for name, x in values.items() if isinstance(x, dict)}
    for name, family in families.items():  # z[1] is z1
        del values[name]
        values |= {f"{name}{n}": x for n, x in family.items()}
    return values


def identifier(name):
    return name.replace(".", "_")


@pytest.mark.parametrize("name", GRAPHS)
def test_a_program_has_the_names_and_the_values_of_the_explanation(name):
    f, x, y = GRAPHS[name]()
    loss = f(x, y)
    nodes = topological_order(loss)
    names = Quantities(nodes, names_of(loss, variables={"x": x, "y": y}))
    things = {"x": x, "y": y}
    for node in nodes:
        for thing in (*node.inputs, node):
            if id(thing) in names.names:
                things[identifier(names.name(thing))] = value_of(thing)
    for contribution in backward_pass(nodes):
        of = identifier(names.name(contribution.share.x))
        is_z = re.fullmatch(r"z\d+", of)
        things[f"delta{of[1:]}" if is_z else f"d{of}"] = contribution.total

    source = source_of(f, x, y)
    values = values_in(source, things)
    common = things.keys() & values.keys()
    assert len(common) >= 5
    for key in common:
        np.testing.assert_allclose(values[key], things[key], 1e-10, 1e-12, err_msg=key)
    others = values.keys() - things.keys()  # what is of no quantity of the graph
    assert all(re.fullmatch(r"t\d+", name) for name in others), others
