"""Teach a network of three hidden neurons what exclusive or is."""

import argparse
import sys
from pathlib import Path

import numpy as np

import tinygrad_edu as tg

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    sys.exit(f'{error}; it comes with pip install -e ".[examples]"')


def train(seed=0, epochs=1000, lr=2.0, compiled=True):
    """Return the trained network, and the loss before each epoch."""
    model = tg.nn.MLP([2, 3, 1], rng=seed)
    history = tg.train.fit(
        model.logits,
        tg.losses.cross_entropy_with_logits,
        tg.optim.SGD(model.parameters(), lr),
        tg.data.xor(),
        epochs,
        shuffle=False,
        compile=compiled,
        progress=False,
    )
    return model, history["loss"]


def report(model):
    x, y = tg.data.xor()
    prediction = model(x).numpy()
    right = (prediction > 0.5) == (y > 0.5)
    print("input  target  prediction  right?")
    for (a, b), (t,), (h,), (ok,) in zip(x, y, prediction, right):
        answer = "yes" if ok else "NO"
        print(f" {a:.0f} {b:.0f}     {t:.0f}       {h:.3f}      {answer}")
    print(f"{right.sum()} of 4 right")
    if not right.all():
        print("This start got stuck; try another --seed, or more --epochs.")


def plot(model, losses, path):
    x, y = tg.data.xor()
    side = np.linspace(-0.5, 1.5, 201)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    output = model(grid).numpy()[..., 0]

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    plane, curve = figure.subplots(1, 2)
    shades = plane.pcolormesh(side, side, output, cmap="coolwarm", vmin=0, vmax=1)
    figure.colorbar(shades, label="output")
    plane.contour(side, side, output, levels=[0.5], colors="black")
    plane.scatter(*x.T, s=250, color="white")
    for point, (target,) in zip(x, y):
        plane.text(*point, f"{target:.0f}", ha="center", va="center_baseline")
    plane.set(title="Decision boundary", xlabel="$x_1$", ylabel="$x_2$", aspect=1)
    plane.set(xticks=[0, 1], yticks=[0, 1])
    curve.semilogy(range(1, len(losses) + 1), losses, color="tab:blue")
    curve.set(title="Loss", xlabel="epoch", ylabel="cross-entropy")
    curve.grid(alpha=0.3)
    figure.savefig(path, dpi=150)
    print(f"Wrote {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of the initial weights (%(default)s)")
    add("--epochs", type=int, default=1000, help="steps on all four (%(default)s)")
    add("--lr", type=float, default=2.0, help="learning rate (%(default)s)")
    add(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="make a step one NumPy program, and run that (%(default)s)",
    )
    add("--plot", type=Path, metavar="FILE.png", help="draw boundary and loss")
    args = parser.parse_args()
    for name, least in {"seed": 0, "epochs": 1, "lr": 0}.items():
        value = getattr(args, name)
        if not least <= value < np.inf:
            a_finite = "a finite number of " * isinstance(value, float)
            parser.error(f"--{name} must be {a_finite}at least {least}")
    if args.plot and not args.plot.parent.is_dir():
        parser.error(f"--plot: there is no folder {args.plot.parent}")
    if args.plot and args.plot.is_dir():
        parser.error(f"--plot: {args.plot} is a folder; name a file")

    model, losses = train(args.seed, args.epochs, args.lr, args.compile)
    report(model)
    if args.plot:
        plot(model, losses, args.plot)


if __name__ == "__main__":
    main()
