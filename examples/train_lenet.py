"""Train a convolutional network on handwritten digits, with your own ops."""

import argparse
from pathlib import Path

import shared  # isort: skip  (before NumPy)
import numpy as np

import convolution
import tinygrad_edu as tg
from train_mnist import load

with shared.extras():
    from matplotlib.figure import Figure


LR = 0.003


class Convolution(tg.nn.Module):
    """Compute feature maps: convolve with 5 by 5 kernels, pool, apply relu."""

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
    """Two convolutions and two dense layers, like LeNet-5 (LeCun et al., 1998)."""

    def __init__(self, rng):
        self.convolutions = [Convolution(1, 8, rng), Convolution(8, 16, rng)]
        self.hidden = tg.nn.Linear(256, 128, rng, dtype=np.float32)
        self.output = tg.nn.Linear(128, 10, rng, dtype=np.float32)

    def forward(self, x):
        """Return a row of logits for each image, a row of 784 pixels."""
        a = x.T.reshape(1, 28, 28, -1)  # the examples become the last axis
        for convolve in self.convolutions:  # 8 maps of 12 by 12, then 16 of 4 by 4
            a = convolve(a)
        a = a.reshape(256, -1).T
        return self.output(tg.relu(self.hidden(a)))


def train(digits, args):
    """Train with the given options; return the network and the history."""
    x, x_test = map(tg.data.normalise, (digits.train_images, digits.test_images))
    y, y_test = map(tg.data.one_hot, (digits.train_labels, digits.test_labels))
    rng = np.random.default_rng(args.seed)
    model = LeNet(rng)
    history = tg.train.fit(
        model,
        tg.losses.softmax_cross_entropy,
        tg.optim.Adam(model.parameters(), args.lr),
        (x, y),
        args.epochs,
        batch_size=args.batch_size,
        rng=rng,
        validation={"test": (x_test, y_test)},
        metrics={"accuracy": tg.train.accuracy},
        schedule=lambda epoch, _: args.lr * (1 - epoch / args.epochs),  # decreasing
        compile=args.compile,
        progress=line,
    )
    return model, history


def line(history):
    figures = history[-1]
    return (
        f"epoch {len(history):>2}  loss {figures['loss']:.4f}  "
        f"test accuracy {figures['test_accuracy']:.2%}"
    )


def plot(model, image, path):
    """Draw the first kernels, and the feature map of each for a digit."""
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
    with shared.writing(path):
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

    count, seed = shared.number(int, 1), shared.number(int, 0)
    rate = shared.number(float, 0)
    add("--epochs", "passes over the training set", type=count, default=5, metavar="N")
    add("--batch-size", "examples a step", type=count, default=64, metavar="N")
    add("--lr", "learning rate of Adam", type=rate, default=LR, metavar="ETA")
    add("--seed", "of the first weights and the shuffling", type=seed, default=0)
    switch = {"action": argparse.BooleanOptionalAction, "default": True}
    add("--compile", "make a step one NumPy program, and run that", **switch)
    add("--check", "check the ops by random calls, and stop", action="store_true")
    add("--data", "folder with the four IDX files of MNIST", type=Path, metavar="DIR")
    picture, table = shared.output(*shared.PICTURES), shared.output(*shared.TABLES)
    add("--plot", "draw the first kernels", type=picture, metavar="FILE.png")
    add("--json", "write down every epoch", type=table, metavar="FILE.json")
    return parser.parse_args()


def main():
    args = parse_args()
    with shared.telling_faults():
        if args.check:
            convolution.check()
            print("values, gradients, second derivatives, dtypes: right in all calls")
            return
        digits = load(args.data)
    model, history = train(digits, args)
    if len(history):
        report(model, history, digits, args)
    shared.end_of(history)


def report(model, history, digits, args):
    """Print the accuracy, and write the files that the options name."""
    accuracy, seconds = history["test_accuracy"][-1], history["seconds"].sum()
    print(f"test accuracy {accuracy:.2%} after {len(history)} epochs, {seconds:.1f} s")
    y = tg.data.one_hot(digits.train_labels)
    idle = shared.idle_loss(
        lambda h, y: -(y * np.log(np.maximum(h, 1e-9))).sum(1).mean(), y
    )
    if fault := shared.remark(history["loss"][-1], idle, args.lr, LR):
        print(fault)
    if args.json:
        with shared.writing(args.json):
            history.save(args.json)
    if args.plot:
        plot(model, digits.test_images[0], args.plot)


if __name__ == "__main__":
    shared.run(main)
