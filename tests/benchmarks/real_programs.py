"""Training steps as people write them: each loss once, for this package and for JAX.

A loss takes a library: its NumPy, and the few functions that NumPy has not. So both
sides compute the same, and each calls what its users would. All is in float32.
"""

from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

import tinygrad_edu as tg

Arrays = dict[str, np.ndarray]


class Problem(NamedTuple):
    """A loss, the parameters to begin with, and a batch."""

    loss: Callable[[Any, Any, Any, Any], Any]
    parameters: Arrays
    x: np.ndarray
    y: np.ndarray
    lr: float = 0.1


def draws(seed: int = 0) -> tuple[Callable[..., Any], np.random.Generator]:
    """Return what draws a matrix of weights, and the generator."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32) * np.float32(shape[0] ** -0.5)

    return weights, rng


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


# --- Multilayer perceptrons -----------------------------------------------------------


def mlp(*sizes: int, batch: int, classifies: bool = False) -> Problem:
    """Layers with W stored (out, in), as in `nn.Linear`.

    All are sigmoid, with mean squared error; or tanh, with softmax and cross-entropy.
    """
    weights, rng = draws()
    p = {}
    for i, (n_in, n_out) in enumerate(pairwise(sizes), 1):
        p |= {f"W{i}": weights(n_in, n_out).T.copy(), f"b{i}": zeros(n_out)}

    def loss(lib: Any, p: Any, x: Any, y: Any) -> Any:
        h = x
        for i in range(1, len(sizes)):
            z = h @ p[f"W{i}"].T + p[f"b{i}"]
            h = lib.np.tanh(z) if classifies else lib.sigmoid(z)
        if classifies:
            return -lib.np.sum(lib.log_softmax(z) * y) / len(y)
        return lib.np.sum((h - y) ** 2) / (2 * len(y))

    x = rng.random((batch, sizes[0]), np.float32)
    y = np.eye(sizes[-1], dtype=np.float32)[rng.integers(sizes[-1], size=batch)]
    return Problem(loss, p, x, y, lr=0.1)


def by_hand() -> Problem:
    """[784, 30, 10], batch 10: W stored (in, out), and x @ W + b written out."""
    weights, rng = draws()
    p = {
        "W1": weights(784, 30),
        "b1": zeros(30),
        "W2": weights(30, 10),
        "b2": zeros(10),
    }

    def loss(lib: Any, p: Any, x: Any, y: Any) -> Any:
        a1 = lib.sigmoid(x @ p["W1"] + p["b1"])
        a2 = lib.sigmoid(a1 @ p["W2"] + p["b2"])
        return lib.np.sum((a2 - y) ** 2) / (2 * len(y))

    x, y = rng.random((10, 784), np.float32), rng.random((10, 10), np.float32)
    return Problem(loss, p, x, y, lr=0.5)


# --- Recurrent networks ---------------------------------------------------------------

STEPS, HIDDEN, BATCH, INPUTS, OUTPUTS = 16, 32, 16, 16, 4


def recurrent(gates: int, cell: Callable[..., Any], apart: bool = False) -> Problem:
    """A cell over all steps, and a linear layer on what it ends with.

    The gates' weights are side by side in one matrix, or each in one of its own.
    """
    weights, rng = draws()
    matrices, width = (gates, HIDDEN) if apart else (1, gates * HIDDEN)
    p = {"V": weights(HIDDEN, OUTPUTS), "c": zeros(OUTPUTS)}
    for i in range(matrices):
        p |= {f"Wx{i}": weights(INPUTS, width), f"Wh{i}": weights(HIDDEN, width)}
        p |= {f"b{i}": zeros(width)}

    def linear(p: Any, i: int, x: Any, h: Any) -> Any:
        return x @ p[f"Wx{i}"] + h @ p[f"Wh{i}"] + p[f"b{i}"]

    def loss(lib: Any, p: Any, xs: Any, y: Any) -> Any:
        h = c = zeros(BATCH, HIDDEN)
        for x in xs:
            zs = [linear(p, i, x, h) for i in range(matrices)]
            if not apart:
                zs = [zs[0][:, k : k + HIDDEN] for k in range(0, width, HIDDEN)]
            h, c = cell(lib, zs, c)
        return lib.np.mean((h @ p["V"] + p["c"] - y) ** 2)

    xs = rng.standard_normal((STEPS, BATCH, INPUTS), np.float32)
    return Problem(loss, p, xs, rng.standard_normal((BATCH, OUTPUTS), np.float32))


def rnn_cell(lib: Any, zs: Any, c: Any) -> Any:
    return lib.np.tanh(zs[0]), c


def lstm_cell(lib: Any, zs: Any, c: Any) -> Any:
    i, f, o = map(lib.sigmoid, zs[:3])
    c = f * c + i * lib.np.tanh(zs[3])
    return o * lib.np.tanh(c), c


# --- A small GPT ----------------------------------------------------------------------


def mini_gpt() -> Problem:
    """Two blocks of attention and a perceptron; the output is tied to the embedding."""
    blocks, d, time, batch, heads, tokens = 2, 32, 16, 8, 4, 32
    weights, rng = draws()
    p = {"E": weights(tokens, d), "P": 0.1 * weights(time, d)}
    for i in range(blocks):
        p |= {f"qkv{i}": weights(d, 3 * d), f"out{i}": weights(d, d)}
        p |= {f"up{i}": weights(d, 4 * d), f"up_b{i}": zeros(4 * d)}
        p |= {f"down{i}": weights(4 * d, d), f"down_b{i}": zeros(d)}
        for norm in (f"first{i}", f"second{i}"):
            p |= {f"{norm}_scale": zeros(d) + 1, f"{norm}_shift": zeros(d)}
    future = np.triu(np.full((time, time), -1e9, np.float32), k=1)

    def normed(lib: Any, p: Any, h: Any, name: str) -> Any:
        h = h - lib.np.mean(h, axis=-1, keepdims=True)
        size = lib.np.sqrt(lib.np.mean(h**2, axis=-1, keepdims=True) + 1e-5)
        return h / size * p[f"{name}_scale"] + p[f"{name}_shift"]

    def attention(lib: Any, h: Any, qkv: Any, out: Any) -> Any:
        parts = (h @ qkv).reshape(batch, time, 3, heads, d // heads)
        q, k, v = (parts[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
        scores = q @ k.transpose(0, 1, 3, 2) * (d // heads) ** -0.5 + future
        mixed = (lib.softmax(scores) @ v).transpose(0, 2, 1, 3)
        return mixed.reshape(batch, time, d) @ out

    def loss(lib: Any, p: Any, x: Any, y: Any) -> Any:
        h = p["E"][x] + p["P"]
        for i in range(blocks):
            normal = normed(lib, p, h, f"first{i}")
            h = h + attention(lib, normal, p[f"qkv{i}"], p[f"out{i}"])
            up = normed(lib, p, h, f"second{i}") @ p[f"up{i}"] + p[f"up_b{i}"]
            h = h + lib.relu(up) @ p[f"down{i}"] + p[f"down_b{i}"]
        return -lib.np.mean(lib.np.sum(lib.log_softmax(h @ p["E"].T) * y, axis=-1))

    text = rng.integers(tokens, size=(batch, time + 1))
    y = np.eye(tokens, dtype=np.float32)[text[:, 1:]]
    return Problem(loss, p, text[:, :-1], y)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "RNN, T 16, H 32, B 16": lambda: recurrent(1, rnn_cell, apart=True),
    "LSTM, T 16, H 32, B 16": lambda: recurrent(4, lstm_cell),
    "LSTM, a matrix a gate": lambda: recurrent(4, lstm_cell, apart=True),
    "mini-GPT, 2 blocks, D 32, T 16, B 8": mini_gpt,
    "MLP 64-64-64-10 x 32": lambda: mlp(64, 64, 64, 10, batch=32),
    "MLP 64-64-64-10 x 32, softmax": lambda: mlp(
        64, 64, 64, 10, batch=32, classifies=True
    ),
    "MLP 20-20-20-20-20-5 x 16": lambda: mlp(20, 20, 20, 20, 20, 5, batch=16),
    "by hand 784-30-10 x 10": by_hand,
}

# --- Who computes a step: each returns a function that gives the loss -----------------


def ours(problem: Problem, wrap: Callable[..., Any] = tg.compile) -> Callable[[], Any]:
    lib = SimpleNamespace(np=np, sigmoid=tg.sigmoid, softmax=tg.softmax, relu=tg.relu)
    lib.log_softmax = tg.log_softmax
    p = {
        name: tg.Tensor(array.copy(), requires_grad=True, name=name)
        for name, array in problem.parameters.items()
    }
    optimiser = tg.optim.SGD(p.values(), lr=problem.lr)

    @wrap
    def step(x: Any, y: Any) -> Any:
        loss = problem.loss(lib, p, x, y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    return lambda: step(problem.x, problem.y)


def jax_jit(problem: Problem) -> Callable[[], Any]:
    import jax

    # Each step is waited for, so handing it to another thread would only cost time.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    lib = SimpleNamespace(np=jax.numpy, sigmoid=jax.nn.sigmoid, relu=jax.nn.relu)
    lib.softmax, lib.log_softmax = jax.nn.softmax, jax.nn.log_softmax

    @jax.jit
    def update(p: Any, x: Any, y: Any) -> Any:
        loss, grads = jax.value_and_grad(lambda p: problem.loss(lib, p, x, y))(p)
        return loss, jax.tree.map(lambda w, g: w - problem.lr * g, p, grads)

    p, x, y = jax.device_put((problem.parameters, problem.x, problem.y))

    def step() -> Any:
        nonlocal p
        loss, p = jax.block_until_ready(update(p, x, y))
        return loss

    return step


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def formulas_by_hand(problem: Problem) -> Callable[[], Any]:
    """The program `by_hand`, in the textbook's formulas."""
    W1, b1, W2, b2 = (array.copy() for array in problem.parameters.values())
    x, y, rate = problem.x, problem.y, problem.lr / len(problem.x)

    def step() -> Any:
        nonlocal W1, b1, W2, b2
        a1 = sigmoid(x @ W1 + b1)
        a2 = sigmoid(a1 @ W2 + b2)
        loss = np.sum((a2 - y) ** 2) / (2 * len(x))
        delta2 = (a2 - y) * a2 * (1 - a2)
        delta1 = delta2 @ W2.T * a1 * (1 - a1)
        W2 -= rate * (a1.T @ delta2)
        b2 -= rate * delta2.sum(axis=0)
        W1 -= rate * (x.T @ delta1)
        b1 -= rate * delta1.sum(axis=0)
        return loss

    return step


def buffers_by_hand(problem: Problem) -> Callable[[], Any]:
    """The same, in memory that is there from step to step; lr goes into the deltas."""
    W1, b1, W2, b2 = (array.copy() for array in problem.parameters.values())
    x, y, rate = problem.x, problem.y, np.float32(problem.lr / len(problem.x))
    a1, delta1, slope1 = (np.empty((len(x), 30), np.float32) for _ in range(3))
    a2, delta2, slope2 = (np.empty((len(x), 10), np.float32) for _ in range(3))
    dW1, dW2 = np.empty_like(W1), np.empty_like(W2)

    def layer(x: Any, W: Any, b: Any, a: Any) -> None:
        np.matmul(x, W, out=a)
        a += b
        np.negative(a, out=a)
        np.exp(a, out=a)
        a += 1
        np.reciprocal(a, out=a)

    def through_sigmoid(delta: Any, a: Any, slope: Any) -> None:
        np.subtract(1, a, out=slope)
        slope *= a
        delta *= slope

    def step() -> Any:
        nonlocal W1, b1, W2, b2, delta2
        layer(x, W1, b1, a1)
        layer(a1, W2, b2, a2)
        np.subtract(a2, y, out=delta2)
        loss = np.vdot(delta2, delta2) / (2 * len(x))
        through_sigmoid(delta2, a2, slope2)
        delta2 *= rate
        np.matmul(delta2, W2.T, out=delta1)
        through_sigmoid(delta1, a1, slope1)
        W2 -= np.matmul(a1.T, delta2, out=dW2)
        b2 -= delta2.sum(axis=0)
        W1 -= np.matmul(x.T, delta1, out=dW1)
        b1 -= delta1.sum(axis=0)
        return loss

    return step
