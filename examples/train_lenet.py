"""Train a convolutional network to read handwritten digits, with ops of one's own."""

import argparse
import json
import os
import sys
from pathlib import Path
from time import perf_counter

# Products this small gain next to nothing from a second BLAS thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from matplotlib.figure import Figure

import convolution
import tinygrad_edu as tg
from train_mnist import load, progress_bar


class Convolution(tg.nn.Module):
    """Feature maps of images: convolve with 5 by 5 kernels, pool, cut off below 0."""

    def __init__(self, n_in, n_out, rng):
        scale = np.sqrt(2 / (n_in * 25))  # K. He et al., 2015
        kernels = scale * rng.standard_normal((n_out, n_in, 5, 5))
        self.kernels = tg.Tensor(kernels, requires_grad=True, dtype=np.float32)
        bias = np.zeros((n_out, 1, 1, 1))
        self.bias = tg.Tensor(bias, requires_grad=True, dtype=np.float32)

    def forward(self, x):
        maps = convolution.conv2d(x, self.kernels)
        return tg.relu(convolution.max_pool(maps) + self.bias)


class LeNet(tg.nn.Module):
    """Two convolutions and two dense layers, much like LeNet-5 (LeCun et al., 1998)."""

    def __init__(self, rng):
        self.convolutions = [Convolution(1, 8, rng), Convolution(8, 16, rng)]
        self.hidden = tg.nn.Linear(256, 128, rng, dtype=np.float32)
        self.output = tg.nn.Linear(128, 10, rng, dtype=np.float32)

    def forward(self, x):
        """Return logits, a row per example, for images of 784 pixels, one a row."""
        a = x.T.reshape(1, 28, 28, -1)  # the examples go last
        for convolve in self.convolutions:  # to 8 of 12 by 12, to 16 of 4 by 4
            a = convolve(a)
        a = a.reshape(256, -1).T
        return self.output(tg.relu(self.hidden(a)))


def train(digits, args):
    """Train as the options say; return the network, and a list per quantity."""
    x, x_test = map(tg.data.normalise, (digits.train_images, digits.test_images))
    y = tg.data.one_hot(digits.train_labels)
    rng = np.random.default_rng(args.seed)
    model = LeNet(rng)
    optimiser = tg.optim.Adam(model.parameters(), args.lr)

    def step(inputs, targets):
        loss = tg.losses.softmax_cross_entropy(model(inputs), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    if args.compile:
        step = tg.compile(step)

    def train_epoch():
        if args.compile:
            return step.epoch(x, y, args.batch_size, rng)
        batches = tg.data.minibatches(x, y, args.batch_size, rng)
        return [step(*batch).item() for batch in batches]

    history = {"loss": [], "test_accuracy": [], "seconds": []}
    with progress_bar() as progress:
        task = progress.add_task("", total=args.epochs, loss="-", accuracy="-")
        for epoch in range(args.epochs):
            start = perf_counter()
            optimiser.lr = args.lr * (1 - epoch / args.epochs)  # ever smaller steps
            loss = float(np.mean(train_epoch()))
            accuracy = float(np.mean(classify(model, x_test) == digits.test_labels))
            figures = loss, accuracy, perf_counter() - start
            for name, value in zip(history, figures):
                history[name].append(value)
            progress.update(
                task, advance=1, loss=f"{loss:.4f}", accuracy=f"{accuracy:.2%}"
            )
            print(
                f"epoch {epoch + 1:>2}  loss {loss:.4f}  test accuracy {accuracy:.2%}",
                flush=True,
            )
    return model, history


def classify(model, x, chunk=500):
    """Return the digit that each image shows, in the network's opinion."""
    with tg.no_grad():
        parts = [model(x[i : i + chunk]).numpy() for i in range(0, len(x), chunk)]
    return np.concatenate(parts).argmax(axis=1)


def plot(model, image, path):
    """Draw the first kernels, and what each makes of a digit."""
    kernels = model.convolutions[0].kernels.numpy()
    x = tg.data.normalise(image[None]).reshape(1, 28, 28, 1)
    maps = convolution.conv2d(x, kernels)
    figure = Figure(figsize=(8, 1.9), layout="constrained")
    (corner, digit), *columns = figure.subplots(2, 1 + len(kernels)).T
    corner.set_axis_off()
    digit.imshow(image, cmap="gray_r")
    for column, *pictures in zip(columns, kernels[:, 0], maps[..., 0]):
        for axes, picture in zip(column, pictures):
            top = np.abs(picture).max()
            axes.imshow(picture, cmap="RdBu_r", vmin=-top, vmax=top)  # 0 is white
    for axes in figure.axes:
        axes.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=150)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="The ops are declared in convolution.py. MNIST is looked for as "
        "train_mnist.py does; where it cannot be had, 5,000 digits stand in for it.",
    )

    def add(option, help, **how):
        default = " (%(default)s)" if "default" in how else ""
        parser.add_argument(option, help=help + default, **how)

    add("--epochs", "passes over the training set", type=int, default=5, metavar="N")
    add("--batch-size", "examples a step", type=int, default=64, metavar="N")
    add("--lr", "learning rate of Adam", type=float, default=0.003, metavar="ETA")
    add("--seed", "of the first weights and the shuffling", type=int, default=0)
    switch = {"action": argparse.BooleanOptionalAction, "default": True}
    add("--compile", "make a step one NumPy program, and run that", **switch)
    add("--check", "check the ops by random calls, and stop", action="store_true")
    add("--data", "folder with the four IDX files of MNIST", type=Path, metavar="DIR")
    add("--plot", "draw the first kernels", type=Path, metavar="FILE.png")
    add("--json", "write down every epoch", type=Path, metavar="FILE")

    args = parser.parse_args()
    for name, low in {"epochs": 1, "batch_size": 1, "lr": 0, "seed": 0}.items():
        if not low <= getattr(args, name) < np.inf:
            parser.error(f"--{name.replace('_', '-')} must be at least {low}")
    for name in ("plot", "json"):  # better now than after the training
        path = getattr(args, name)
        if path and not path.parent.is_dir():
            parser.error(f"--{name}: there is no folder {path.parent}")
    return args


def main():
    args = parse_args()
    try:
        if args.check:
            convolution.check()
            print("values, gradients, second derivatives, dtypes: right in all calls")
            return
        digits = load(args.data)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"train_lenet: {error}")
    model, history = train(digits, args)

    accuracy, seconds = history["test_accuracy"][-1], sum(history["seconds"])
    print(f"test accuracy {accuracy:.2%} after {args.epochs} epochs, {seconds:.1f} s")
    if args.json:
        args.json.write_text(json.dumps(history, indent=2) + "\n")
        print(f"Wrote {args.json}")
    if args.plot:
        plot(model, digits.test_images[0], args.plot)
        print(f"Wrote {args.plot}")


if __name__ == "__main__":
    main()
