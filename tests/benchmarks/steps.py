"""The competitors: one training step of the same network, framework by framework.

Each program below trains a sigmoid multilayer perceptron by gradient descent on

    C = 1/(2N) sum_i ||y_i - h_i||^2

and is written as a competent user of that framework would write it. All start from
the same arrays: `weights` of shape (out, in), `biases` of shape (out,), `x` and `y`
with one example a row; the arrays' dtype is the program's. Each returns two functions:

    step()        forward, backward, update; returns the cost before the update
    parameters()  the present weights, then the biases, as NumPy arrays

A rival is imported only by its own program: an absent one costs only its column.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

import tinygrad_edu as tg

Arrays = list[np.ndarray]
Program = tuple[Callable[[], object], Callable[[], Arrays]]


def hand_numpy(weights: Arrays, biases: Arrays, x, y, lr: float) -> Program:
    """The textbook's formulas over a whole batch. Its deltas need no cost, so it
    computes none: a lead over every other program, and left to it on purpose."""
    weights, biases = [w.copy() for w in weights], [b.copy() for b in biases]
    m = len(x)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def step():
        activations = [x]
        for w, b in zip(weights, biases, strict=True):
            activations.append(sigmoid(activations[-1] @ w.T + b))

        h = activations.pop()
        delta = (h - y) * h * (1 - h)
        for w, b in zip(reversed(weights), reversed(biases), strict=True):
            a = activations.pop()
            dw, db = delta.T @ a, delta.sum(axis=0)
            if activations:  # the gradient of x itself is nobody's business
                delta = delta @ w * a * (1 - a)
            w -= lr / m * dw
            b -= lr / m * db

    return step, lambda: weights + biases


def tinygrad_edu(
    weights: Arrays, biases: Arrays, x, y, lr: float, compiled=lambda step: step
) -> Program:
    sizes = [weights[0].shape[1], *map(len, weights)]
    model = tg.nn.MLP(sizes)
    parameters = [*model.weights, *model.biases]
    for p, start in zip(parameters, weights + biases, strict=True):
        p.data = start.copy()
    opt = tg.optim.SGD(model.parameters(), lr=lr)

    @compiled
    def step(x, y):
        loss = tg.losses.mse(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return lambda: step(x, y), lambda: [p.data for p in parameters]


def numba(*problem) -> Program:
    import numba  # noqa: F401

    return tinygrad_edu(*problem, compiled=tg.compile(backend="numba"))


def pytorch(weights: Arrays, biases: Arrays, x, y, lr: float) -> Program:
    import torch

    torch.set_num_threads(1)
    x, y, m = torch.tensor(x), torch.tensor(y), len(x)
    linears = [torch.nn.Linear(w.shape[1], w.shape[0]) for w in weights]
    parameters = [p.weight for p in linears] + [p.bias for p in linears]
    for p, start in zip(parameters, weights + biases, strict=True):
        p.data = torch.tensor(start)
    layers = (layer for linear in linears for layer in (linear, torch.nn.Sigmoid()))
    model = torch.nn.Sequential(*layers)
    squared_error = torch.nn.MSELoss(reduction="sum")
    opt = torch.optim.SGD(model.parameters(), lr=lr)

    def step():
        loss = squared_error(model(x), y) / (2 * m)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step, lambda: [p.detach().numpy() for p in parameters]


def jax_jit(weights: Arrays, biases: Arrays, x, y, lr: float) -> Program:
    import jax
    import jax.numpy as jnp

    # Each step is waited for, so handing it to another thread would only cost time.
    jax.config.update("jax_cpu_enable_async_dispatch", False)

    def cost(params, x, y):
        h = x
        for w, b in zip(*params, strict=True):
            h = jax.nn.sigmoid(h @ w.T + b)
        return jnp.square(h - y).sum() / (2 * len(x))

    @jax.jit
    def update(params, x, y):
        loss, grads = jax.value_and_grad(cost)(params, x, y)
        return loss, jax.tree.map(lambda p, g: p - lr * g, params, grads)

    params, x, y = jax.device_put(((weights, biases), x, y))

    def step():
        nonlocal params
        loss, params = jax.block_until_ready(update(params, x, y))
        return loss

    return step, lambda: [np.asarray(p) for p in jax.tree.leaves(params)]


def autograd(weights: Arrays, biases: Arrays, x, y, lr: float) -> Program:
    import autograd.numpy as anp
    from autograd import value_and_grad

    weights, biases = [w.copy() for w in weights], [b.copy() for b in biases]

    def cost(weights, biases):
        h = x
        for w, b in zip(weights, biases, strict=True):
            h = 1 / (1 + anp.exp(-(anp.dot(h, w.T) + b)))
        return anp.sum((h - y) ** 2) / (2 * len(x))

    cost_and_grads = value_and_grad(cost, argnum=(0, 1))

    def step():
        loss, (dws, dbs) = cost_and_grads(weights, biases)
        for p, g in zip(weights + biases, [*dws, *dbs], strict=True):
            p -= lr * g
        return loss

    return step, lambda: weights + biases


def mygrad(weights: Arrays, biases: Arrays, x, y, lr: float) -> Program:
    import mygrad as mg
    from mygrad.nnet.activations import sigmoid

    mg.turn_memory_guarding_off()  # as its documentation advises once a program works
    weights, biases = [mg.tensor(w) for w in weights], [mg.tensor(b) for b in biases]

    def step():
        h = x
        for w, b in zip(weights, biases, strict=True):
            h = sigmoid(mg.matmul(h, w.T) + b)
        loss = mg.sum((h - y) ** 2) / (2 * len(x))
        loss.backward()
        for p in weights + biases:
            p.data -= lr * p.grad
        return loss

    return step, lambda: [p.data for p in weights + biases]


OURS = "tinygrad_edu"
COMPILED = "tg.compile"
NUMBA = "by Numba"
PROGRAMS = {
    OURS: tinygrad_edu,
    COMPILED: partial(tinygrad_edu, compiled=tg.compile),
    NUMBA: numba,
    "hand NumPy": hand_numpy,
    "PyTorch": pytorch,
    "JAX jit": jax_jit,
    "autograd": autograd,
    "MyGrad": mygrad,
}
