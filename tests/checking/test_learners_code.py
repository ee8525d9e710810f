"""Slips as learners make them: one line of a program for backpropagation is changed."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.reference import sigmoid

CHAIN = """
x, y = 2.0, 1.0
w1 = tg.Tensor(0.3, requires_grad=True, name="w1")
w2 = tg.Tensor(-1.5, requires_grad=True, name="w2")
h1 = tg.sigmoid(x * w1)
h2 = tg.sigmoid(h1 * w2)
loss = (y - h2) ** 2 / 2

def by_hand(w1, w2):
    z1 = x * w1
    h1 = sigmoid(z1)
    h2 = sigmoid(h1 * w2)
    dloss_dz2 = -(y - h2) * h2 * (1 - h2)
    dw2 = dloss_dz2 * h1
    dh1 = dloss_dz2 * w2
    dw1 = dh1 * h1 * (1 - h1) * x
    return [dw1, dw2]

found = tg.compare(by_hand(w1.data, w2.data), loss, [w1, w2])
"""

COLUMNS = """
sizes = [4, 3, 3, 2]
rng = np.random.default_rng(3)
weights = [rng.standard_normal((m, n)) for n, m in zip(sizes, sizes[1:])]
biases = [rng.standard_normal((m, 1)) for m in sizes[1:]]
x, y = rng.random((4, 1)), rng.random((2, 1))
w = [tg.Tensor(a, requires_grad=True, name=f"w{i}") for i, a in enumerate(weights)]
b = [tg.Tensor(a, requires_grad=True, name=f"b{i}") for i, a in enumerate(biases)]
a = x
for w_l, b_l in zip(w, b):
    a = tg.sigmoid(w_l @ a + b_l)
loss = ((a - y) ** 2).sum() / 2

def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))

def backprop(x, y):
    nabla_b, nabla_w = [None] * 3, [None] * 3
    activation = x
    activations, zs = [x], []
    for w, b in zip(weights, biases):
        z = np.dot(w, activation) + b
        zs.append(z)
        activation = sigmoid(z)
        activations.append(activation)
    delta = (activations[-1] - y) * sigmoid_prime(zs[-1])
    nabla_b[-1] = delta
    nabla_w[-1] = np.dot(delta, activations[-2].T)
    for l in (2, 3):
        delta = np.dot(weights[-l + 1].T, delta) * sigmoid_prime(zs[-l])
        nabla_b[-l] = delta
        nabla_w[-l] = np.dot(delta, activations[-l - 1].T)
    return nabla_b, nabla_w

found = tg.compare(backprop(x, y), loss, [*w, *b])
"""

BATCH_OF_COLUMNS = (
    COLUMNS.replace("random((4, 1))", "random((4, 5))")
    .replace("random((2, 1))", "random((2, 5))")
    .replace("] = delta\n", "] = delta.sum(axis=1, keepdims=True)\n")
)

ROWS = """
model = tg.nn.MLP([3, 4, 4, 2], rng=1)
rng = np.random.default_rng(7)
x, y = rng.random((6, 3)), rng.random((6, 2))
m, n, lam, lr = 6, 60, 0.8, 0.5
loss = tg.losses.mse(model(x), y) + tg.losses.l2(model.weights, lam, n)

def gradients(w1, w2, w3, b1, b2, b3):
    z1 = x @ w1.T + b1
    a1 = sigmoid(z1)
    z2 = a1 @ w2.T + b2
    a2 = sigmoid(z2)
    z3 = a2 @ w3.T + b3
    a3 = sigmoid(z3)
    delta3 = (a3 - y) * a3 * (1 - a3)
    delta2 = delta3 @ w3 * a2 * (1 - a2)
    delta1 = delta2 @ w2 * a1 * (1 - a1)
    dw3 = delta3.T @ a2 / m + lam / n * w3
    dw2 = delta2.T @ a1 / m + lam / n * w2
    dw1 = delta1.T @ x / m + lam / n * w1
    db3 = delta3.sum(axis=0) / m
    db2 = delta2.sum(axis=0) / m
    db1 = delta1.sum(axis=0) / m
    return [dw1, dw2, dw3, db1, db2, db3]

found = tg.compare(gradients(*(p.data for p in model.parameters())), loss, model)
"""

LOGISTIC = """
rng = np.random.default_rng(4)
X, y = rng.standard_normal((8, 3)), (rng.random((8, 1)) > 0.5).astype(float)
theta = tg.Tensor(rng.standard_normal((3, 1)), requires_grad=True, name="theta")
b = tg.Tensor(rng.standard_normal(1), requires_grad=True, name="b")
P = tg.sigmoid(X @ theta + b)
loss = tg.losses.cross_entropy(P, y)

def gradient(theta, b):
    h = sigmoid(X @ theta + b)
    diff = h - y
    return {"theta": X.T @ diff / 8, "b": diff.sum(axis=0) / 8}

found = tg.compare(gradient(theta.data, b.data), loss, {"theta": theta, "b": b})
"""

CLASSES = """
rng = np.random.default_rng(9)
X, Y = rng.standard_normal((7, 5)), np.eye(3)[rng.integers(0, 3, 7)]
shapes = {"W1": (5, 4), "b1": 4, "W2": (4, 3), "b2": 3}
p = {
    name: tg.Tensor(rng.standard_normal(shape), requires_grad=True, name=name)
    for name, shape in shapes.items()
}
z = tg.relu(X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
loss = tg.losses.softmax_cross_entropy(z, Y)

def gradient(W1, b1, W2, b2):
    N = len(X)
    z1 = X @ W1 + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ W2 + b2
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    dz2 = (p - Y) / N
    dz1 = (dz2 @ W2.T) * (z1 > 0)
    dW2, dW1 = a1.T @ dz2, X.T @ dz1
    db2, db1 = dz2.sum(axis=0), dz1.sum(axis=0)
    return dict(W1=dW1, b1=db1, W2=dW2, b2=db2)

found = tg.compare(gradient(**{name: x.data for name, x in p.items()}), loss, p)
"""

SOFTMAX = CLASSES.replace(
    "loss = tg.losses.softmax_cross_entropy(z, Y)",
    "loss = -(Y * tg.log(tg.softmax(z, axis=1))).sum() / len(X)",
)

PER_EXAMPLE = """
model = tg.nn.MLP([2, 3, 1], rng=5)
rng = np.random.default_rng(12)
X, Y = rng.random((5, 2)), rng.random((5, 1))
loss = tg.losses.cross_entropy(model(X), Y)

def mini_batch(w1, w2, b1, b2):
    nabla_w1, nabla_w2, nabla_b1, nabla_b2 = 0, 0, 0, 0
    for x, y in zip(X, Y):
        a1 = sigmoid(w1 @ x + b1)
        a2 = sigmoid(w2 @ a1 + b2)
        d2 = a2 - y
        d1 = (w2.T @ d2) * a1 * (1 - a1)
        nabla_w2 += np.outer(d2, a1)
        nabla_b2 += d2
        nabla_w1 += np.outer(d1, x)
        nabla_b1 += d1
    return [nabla_w1 / 5, nabla_w2 / 5, nabla_b1 / 5, nabla_b2 / 5]

found = tg.compare(mini_batch(*(p.data for p in model.parameters())), loss, model)
"""

FORWARD = "inherited from the forward pass"
EVERY_TARGET = "each prediction meets every target: (N,) against (N, 1) makes (8, 8)"

# The program, what a line says, what the learner wrote, and some of the verdicts.
SLIPS = [
    (CHAIN, "-(y - h2)", "(y - h2)", {"w2": "its sign is", "w1": "from dloss"}),
    (CHAIN, "(1 - h1) * x", "(1 - h1) * h1", {"w1": "h1 is used in place of x"}),
    (CHAIN, "(1 - h1) * x", "(1 - h1)", {"w1": "factor x is missing.* half as large"}),
    (CHAIN, "dloss_dz2 * h1", "dloss_dz2 * h2", {"w2": "h2 is used in place of h1"}),
    (CHAIN, "h1 * (1 - h1)", "z1 * (1 - z1)", {"w1": ".* place of h1 in sigma'(t1)"}),
    (CHAIN, "dh1 =", "w2 = w2 - 0.1 * dw2; dh1 =", {"w1": "w2 was updated before"}),
    (COLUMNS, "[-l - 1]", "[-l]", {"w1": "a2 is used in place of a1", "w0": "a1 is"}),
    (COLUMNS, "[-2].T", "[-1].T", {"w2": "a is used in place of a2", "b2": "right"}),
    (COLUMNS, "+ b\n", "\n", {"b2": "the biases are left out", "w0": FORWARD}),
    (COLUMNS, "return sigmoid(z) * (1 - sigmoid(z))", "return z * (1 - z)",
     {"b2": "z3 is used in place of a in sigma'(z3)", "w0": "inherited from delta1"}),
    (COLUMNS, "sigmoid_prime(zs[-l])", "sigmoid_prime(activations[-l])",
     {"b1": "sigma'(z2) is taken at a2", "b0": "sigma'(z1) is taken at a1"}),
    (COLUMNS, "np.dot(weights[-l + 1].T, delta)", "delta.sum()",
     {"b1": "the factor w2 is missing", "w1": "inherited from dloss/da2"}),
    (COLUMNS, "activations.append(activation)", "activations.append(z)",
     {"b2": "sigmoid is left out of the forward pass", "w2": "z2 is used in place"}),
    (COLUMNS, "nabla_b[-l] = delta", "nabla_b[-l] = 2 * delta",
     {"b1": "it is twice .* divide by the number of outputs, 2", "w1": "right"}),
    (BATCH_OF_COLUMNS, "delta.sum(axis=1, keepdims=True)", "delta[:, -1:]",
     {"b2": "only the last example counts; sum over all 5", "w2": "right"}),
    (BATCH_OF_COLUMNS, "delta.sum(axis=1,", "delta.mean(axis=1,",
     {"b1": "5 times too small: do not divide by the number of ex", "w1": "right"}),
    (ROWS, "delta2.T @ a1 / m", "delta2.T @ a1",
     {"W2": "the part through z2: it is 6 times too large", "b2": "right"}),
    (ROWS, "(a3 - y)", "(y - a3)", {"W3": "delta3: its sign is flipped", "b1": "inh"}),
    (ROWS, "lam / n * w2", "lam / m * w2",
     {"W2": "the part of the penalty is 10 times .* size of the training set"}),
    (ROWS, "lam / n", "lam / (2 * n)",
     {"W3": "the part of the penalty is 0.5 times as large as it should be"}),
    (ROWS, "+ lam", "- lam", {"W2": "the sign of the penalty's part is flipped"}),
    (ROWS, "delta2.T @ a1", "a1.T @ delta2", {"W2": "the part through z2 is transp"}),
    (ROWS, "delta2 @ w2", "delta2", {"W1": "the factor W2 is missing", "W2": "right"}),
    (ROWS, "delta2.sum(axis=0)", "delta2.sum()", {"b2": "it is summed over both axes"}),
    (ROWS, "= delta2.sum(axis=0) / m", "= 0.3 * delta2.sum(axis=0) / m",
     {"b2": "it is 0.3 times what it should be"}),
    (ROWS, "[dw1, dw2, dw3,", "[w1 - lr * dw1, dw2, dw3,",
     {"W1": "it is the updated parameter, with the learning rate 0.5"}),
    (ROWS, "a2 = sigmoid(z2)", "a2 = z2",
     {"W3": "sigmoid is left out of the forward pass, for a2", "b1": FORWARD}),
    (ROWS, "a1 = sigmoid(z1)", "a1 = np.maximum(z1, 0)",
     {"W3": "relu is used in place of sigmoid in the forward pass, for a1"}),
    (ROWS, "w2.T + b2", "w2.T + b1", {"W3": "b1 is used in place of b2 in the forw"}),
    (ROWS, "w2 * a1 * (1 - a1)", "w2 * a1", {"W1": "the factor (1 - a1) is missing"}),
    (ROWS, "delta2 @ w2 * a1 * (1 - a1)", "delta2 @ w2 * (z1 > 0)",
     {"W1": "the derivative of relu is used in place of sigma'(z1)"}),
    (LOGISTIC, "h - y", "(h - y.ravel()).sum(axis=1, keepdims=True)",
     {"b": EVERY_TARGET, "theta": "inherited from dloss"}),
    (LOGISTIC, "h - y", "(h - y.ravel()).mean(axis=1, keepdims=True)",
     {"b": "right", "theta": EVERY_TARGET}),
    (LOGISTIC, "h - y", "(-y / h - (1 - y) / (1 - h)) * h * (1 - h)",
     {"b": "dloss/dt4: its sign is flipped"}),
    (LOGISTIC, "h - y", "-y * (1 - h)", {"b": "the path through t3 = -P is missing"}),
    (LOGISTIC, "diff / 8", "diff / 8 + 0.1 * theta",
     {"theta": "a penalty, 0.1 theta, is added, which the loss does not have"}),
    (CLASSES, "(p - Y)", "(p - Y) * p * (1 - p)",
     {"b2": "the factor p (1 - p) does not belong there", "W1": "inherited"}),
    (CLASSES, "(p - Y)", "-Y * (1 - p)", {"b2": "each p of softmax depends on every"}),
    (SOFTMAX, "(p - Y)", "-Y * (1 - p)", {"b2": "each p of softmax depends on every"}),
    (CLASSES, "z1 > 0", "z1 < 0", {"b1": "relu'(z1) has 1 in place of 0, and 0 in"}),
    (CLASSES, "* (z1 > 0)", "* a1", {"b1": "a1 is used in place of relu'(z1)"}),
    (CLASSES, "np.maximum(z1, 0)", "z1",
     {"b2": "relu is left out of the forward pass", "W1": FORWARD}),
    (CLASSES, "(p - Y) / N", "(Y - p)", {"b2": "its sign is flipped, and .* 7 times"}),
    (PER_EXAMPLE, "zip(X, Y)", "zip(X[:-1], Y)",
     {"W2": "the last example is left out", "b1": "the last example is left out"}),
    (PER_EXAMPLE, "zip(X, Y)", "zip(X[1:], Y[1:])", {"W1": "the first example is"}),
    (PER_EXAMPLE, "nabla_w2 +=", "nabla_w2 =", {"W2": "only the last example counts"}),
    (PER_EXAMPLE, "* a1 * (1 - a1)", "* a2 * (1 - a2)",
     {"W1": "sigma'(z2) is used in place of sigma'(z1)", "b1": "from delta1"}),
    (PER_EXAMPLE, "[nabla_w1 / 5, nabla_w2 / 5,", "[nabla_w2 / 5, nabla_w1 / 5,",
     {"W1": "it is the gradient with respect to W2"}),
]  # fmt: skip


def verdicts(program):
    names = {"np": np, "tg": tg, "sigmoid": sigmoid}
    exec(program, names)
    return {row.parameter: row.verdict for row in names["found"]}


@pytest.mark.parametrize(
    "program",
    [CHAIN, COLUMNS, BATCH_OF_COLUMNS, ROWS, LOGISTIC, CLASSES, SOFTMAX, PER_EXAMPLE],
)
def test_the_programs_are_right(program):
    assert set(verdicts(program).values()) == {"right"}


@pytest.mark.parametrize(("program", "right", "wrong", "expected"), SLIPS)
def test_a_slip_in_a_line_is_named(program, right, wrong, expected):
    assert right in program
    found = verdicts(program.replace(right, wrong))
    for name, text in expected.items():
        pattern = re.escape(text).replace(re.escape(".*"), ".*")
        assert re.search(pattern, found[name]), found


def test_the_half_of_a_loss_is_not_called_as_a_rate_of_the_same_size():
    program = """
lr = 0.5
x, y = np.array([1.0, -2.0, 0.7]), np.array([0.3, 1.1, -0.4])
w = tg.Tensor(np.array([0.6, 1.3, -0.2]), requires_grad=True, name="w")
loss = 0.5 * ((x * w - y) ** 2).sum()
found = tg.compare([2 * (x * w.data - y) * x], loss, [w])
"""
    assert verdicts(program)["w"].startswith("wrong: it is twice as large")
