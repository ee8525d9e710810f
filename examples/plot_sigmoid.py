"""Draw the sigmoid and its derivative, which the backward pass computes."""

import argparse
from pathlib import Path

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg

with shared.extras():
    import matplotlib.pyplot as plt


def sigmoid_and_slope(grid):
    """Return the sigmoid and its derivative at each point of the grid."""
    x = tg.Tensor(grid, requires_grad=True)
    y = tg.sigmoid(x)
    # Each y depends only on its own x, so a cotangent of ones gives dy/dx at every
    # point at once.
    y.backward(np.ones_like(grid))
    return y.numpy(), x.grad.numpy()


def draw():
    x = np.linspace(-8, 8, 401)
    y, slope = sigmoid_and_slope(x)
    every = slice(None, None, 20)
    by_hand = tg.reference.sigmoid_prime(x)

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(x, y, label=r"$\sigma(x) = 1/(1 + e^{-x})$")
    axes.plot(x, slope, label=r"$\sigma'(x)$, by backward()")
    formula = r"$\sigma(x)\,(1 - \sigma(x))$, by hand"
    axes.plot(x[every], by_hand[every], "k.", label=formula)
    axes.set(title="The sigmoid and its derivative", xlabel="x", xlim=(-8, 8))
    axes.grid(alpha=0.3)
    axes.legend()
    error = abs(slope - by_hand).max()
    print(f"backward() is within {error:.0e} of the formula by hand")
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--plot",
        type=shared.output(*shared.PICTURES),
        metavar="FILE.png",
        help="write this file; else a window opens or, where there is no display, "
        "sigmoid.png is written",
    )
    path = parser.parse_args().plot

    figure = draw()
    if path is None and plt.get_backend().lower() != "agg":
        plt.show()
    else:
        path = path or Path("sigmoid.png")
        with shared.writing(path):
            figure.savefig(path, dpi=150)


if __name__ == "__main__":
    shared.run(main)
