"""Compare the gradients of reverse mode with four other ways to compute them.

The other ways are the formulas derived by hand, central differences, the complex step,
and PyTorch if it is installed. Each column shows the largest difference, relative to
the largest element of the gradient. For a parameter with many elements, central
differences and the complex step check a hundred of them.
"""

import argparse

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.checking.differences import derivative

with shared.extras():
    from rich.console import Console
    from rich.table import Table

try:
    import torch
except ImportError:
    torch = None

SAMPLE = 100


def cost(weights, biases, x, y):
    """Return the MSE cost in plain NumPy; parameters may be complex."""
    a = x
    for w, b in zip(weights, biases):
        a = 1 / (1 + np.exp(-(a @ w.T + b)))
    return ((a - y) ** 2).sum() / (2 * len(x))


def moved(parameters, at, index, step):
    """Return the arguments of the cost, with one element of one parameter changed."""
    copies = [p.astype(np.result_type(p, step)) for p in parameters]
    copies[at][index] += step
    half = len(copies) // 2
    return copies[:half], copies[half:]


def elements(parameter, rng):
    """Choose at most SAMPLE elements of a parameter."""
    chosen = rng.permutation(parameter.size)[:SAMPLE]
    return [np.unravel_index(i, parameter.shape) for i in chosen]


def by_torch(parameters, x, y):
    tensors = [torch.tensor(p, requires_grad=True) for p in parameters]
    half = len(tensors) // 2
    a = torch.tensor(x)
    for w, b in zip(tensors[:half], tensors[half:]):
        a = torch.sigmoid(a @ w.T + b)
    (((a - torch.tensor(y)) ** 2).sum() / (2 * len(x))).backward()
    return [t.grad.numpy() for t in tensors]


def judge(sizes, n, rng):
    """Return a row for each parameter, which compares its gradient in five ways."""
    model = tg.nn.MLP(sizes, rng)
    x, y = rng.random((n, sizes[0])), rng.random((n, sizes[-1]))
    tg.losses.mse(model(x), y).backward()

    arrays = [p.data for p in model.parameters()]
    layers = len(arrays) // 2
    weights, biases = arrays[:layers], arrays[layers:]
    dw, db = tg.reference.gradients(weights, biases, x, y)
    by_hand = dw + db
    of_torch = by_torch(arrays, x, y) if torch else [None] * len(arrays)

    for at, p in enumerate(model.parameters()):
        gradient = p.grad.numpy()
        size = np.abs(gradient).max()
        differences, complex_steps = [], []
        for index in elements(p, rng):

            def along(step):
                return cost(*moved(arrays, at, index, step), x, y)  # noqa: B023

            differences.append(
                derivative(along, 0.05, rounding=1e-16).value - gradient[index]
            )
            complex_steps.append(along(1e-30j).imag / 1e-30 - gradient[index])
        found = [by_hand[at] - gradient, differences, complex_steps]
        found += [of_torch[at] - gradient] if torch else []
        yield p.name, str(p.shape), *(f"{np.abs(d).max() / size:.1e}" for d in found)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    seed = shared.number(int, 0)
    parser.add_argument("--seed", type=seed, default=0, help="of networks and data (0)")
    rng = np.random.default_rng(parser.parse_args().seed)

    table = Table("network", "parameter", "shape", "by hand", "differences")
    for column in ["complex step", *(["PyTorch"] if torch else [])]:
        table.add_column(column)
    for sizes, n in (([2, 3, 1], 4), ([784, 30, 10], 10)):
        for row in judge(sizes, n, rng):
            table.add_row(str(sizes), *row)
        table.add_section()
    Console(width=100).print(table)
    if not torch:
        print("PyTorch is not installed, so it is not among the judges.")


if __name__ == "__main__":
    shared.run(main)
