"""Train a network with three hidden neurons on exclusive or (XOR)."""

import argparse
import sys

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg

with shared.extras():
    from matplotlib.figure import Figure


LR = 2.0


def train(seed=0, epochs=1000, lr=LR, compiled=True):
    """Return the trained network, and the history: the loss before each epoch."""
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
    return model, history


def report(model):
    """Print the outputs of the network; return whether all are right."""
    x, y = tg.data.xor()
    prediction = model(x).numpy()
    right = (prediction > 0.5) == (y > 0.5)
    print("input  target  prediction  right?")
    for (a, b), (t,), (h,), (ok,) in zip(x, y, prediction, right):
        answer = "yes" if ok else "NO"
        print(f" {a:.0f} {b:.0f}     {t:.0f}       {h:.3f}      {answer}")
    print(f"{right.sum()} of 4 right")
    return right.all()


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
    with shared.writing(path):
        figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    count, seed = shared.number(int, 1), shared.number(int, 0)
    rate, picture = shared.number(float, 0), shared.output(*shared.PICTURES)
    add(
        "--seed", type=seed, default=0, help="seed of the initial weights (%(default)s)"
    )
    add("--epochs", type=count, default=1000, help="steps on all four (%(default)s)")
    add("--lr", type=rate, default=LR, help="learning rate (%(default)s)")
    add(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compile the training step (%(default)s)",
    )
    add("--plot", type=picture, metavar="FILE.png", help="draw boundary and loss")
    args = parser.parse_args()

    model, history = train(args.seed, args.epochs, args.lr, args.compile)
    if len(history) < args.epochs:
        print(f"ended: {history.stopped}")
    x, y = tg.data.xor()
    loss = tg.losses.cross_entropy_with_logits(model.logits(x), y).item()
    idle = shared.idle_loss(tg.losses.cross_entropy, y)
    fault = shared.remark(loss, idle, args.lr, LR)
    if not np.isfinite(loss):
        sys.exit(fault)
    if not report(model):
        print(fault or "This start got stuck; try another --seed, or more --epochs.")
    if args.plot and len(history):
        plot(model, history["loss"], args.plot)
    shared.end_of(history)


if __name__ == "__main__":
    shared.run(main)
