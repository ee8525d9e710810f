"""Reproduce the experiments of M. Nielsen's book, chapter 3, number for number."""

import argparse
import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import cached_property
from itertools import product, zip_longest
from math import isclose
from time import perf_counter
from typing import NamedTuple

# `shared` sets one BLAS thread. Training and evaluation run in parallel, with one
# thread each. This is faster than two threads for each in turn.
import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg

with shared.extras():
    from matplotlib.figure import Figure
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TimeRemainingColumn,
    )

SEED = 12345678
FIGURES = "evaluation cost", "evaluation right", "training cost", "training right"


class Experiment(NamedTuple):
    runs: dict[str, tuple[str, float]]  # run by name, in order: init and eta
    lam: float
    images: int = 50_000
    epochs: int = 30
    hidden: int = 30
    evaluation: str = "test"
    monitors: tuple[str, ...] = FIGURES


LARGE = {"large_weight_initialization": ("large", 0.5)}
BOTH = {
    "default_weight_initialization": ("scaled", 0.1),
    "large_weight_initialization": ("large", 0.1),
}
ETAS = {f"eta = {eta}": ("scaled", eta) for eta in (0.025, 0.25, 2.5)}
VALIDATION = {"evaluation": "validation", "monitors": ("evaluation right",)}
EXPERIMENTS = {
    "overfitting": Experiment(LARGE, lam=0.0, images=1000, epochs=400),
    "regularized": Experiment(LARGE, lam=0.1, images=1000, epochs=400),
    "overfitting_full": Experiment(LARGE, lam=0.0),
    "regularized_full": Experiment(LARGE, lam=5.0),
    "weight_initialization_30": Experiment(BOTH, lam=5.0, **VALIDATION),
    "weight_initialization_100": Experiment(BOTH, lam=5.0, hidden=100, **VALIDATION),
    "multiple_eta": Experiment(ETAS, lam=5.0, monitors=("training cost",)),
}

# FIGURES after some epochs, from the files overfitting.json and regularized.json of
# M. Nielsen, Neural Networks and Deep Learning, 2015, chapter 3.
PUBLISHED = {
    "overfitting": {
        1: (2.076277232332908, 5887, 1.8433647860328504, 690),
        20: (1.2284082512336671, 8107, 0.21675013886039948, 985),
        50: (1.3492461107256304, 8145, 0.06945712969205214, 998),
        100: (1.5052999301275902, 8173, 0.02488908331796308, 1000),
        200: (1.6370499538617151, 8190, 0.009766380011545773, 1000),
        280: (1.7030610036769165, 8223, 0.006501159138526262, 1000),
        400: (1.7731493757222807, 8223, 0.0042016444290295845, 1000),
    },
    "regularized": {
        1: (2.1903999605374445, 5898, 3.005466860217319, 690),
        20: (1.2735961691755695, 8163, 1.2185580400821583, 986),
        50: (1.258224144889975, 8278, 0.8533898215211329, 998),
        100: (1.1712541492322308, 8409, 0.5443467851746822, 1000),
        200: (1.0078593577776735, 8558, 0.26031808133537176, 1000),
        280: (0.9295351297025508, 8644, 0.16895358154624776, 1000),
        400: (0.8910413169859033, 8695, 0.1153905733766095, 1000),
    },
}


class Examples:
    """Images, as rows of 784 bytes, with their labels and targets `y`."""

    def __init__(self, images, labels):
        self.images = images.reshape(len(images), -1)
        self.labels = labels
        self.y = tg.data.one_hot(labels, dtype=np.float64)

    def batch(self, chosen):
        # The book's pixels are k/256, not k/255.
        return self.images.take(chosen, axis=0) / 256, self.y.take(chosen, axis=0)

    @cached_property
    def inked(self):
        """Which pixels are nonzero in some image; the others add nothing to z."""
        return self.images.any(axis=0)

    @cached_property
    def x_inked(self):
        return self.images.compress(self.inked, axis=1) / 256  # row by row in memory


def load(experiment):
    """Return the training examples and the evaluation examples."""
    images, labels, *test, source = tg.data.mnist()
    if len(images) != 60_000:
        raise ValueError(
            f"{source} holds {len(images):,} training images, and the book's figures "
            "are from MNIST's 60,000"
        )
    train = Examples(images[: experiment.images], labels[: experiment.images])
    if experiment.evaluation == "validation":
        return train, Examples(images[50_000:], labels[50_000:])
    return train, Examples(*test)


def replay(experiment, train, evaluation, epochs):
    """Train and evaluate; yield (run, epoch, the monitored quantities)."""
    for run, epoch, model in one_ahead(snapshots(experiment, train, epochs)):
        figures = {}
        for name, examples in ("evaluation", evaluation), ("training", train):
            if any(monitor.startswith(name) for monitor in experiment.monitors):
                cost, right = evaluate(model, examples, experiment.lam)
                figures |= {f"{name} cost": cost, f"{name} right": right}
        yield run, epoch, {monitor: figures[monitor] for monitor in experiment.monitors}


def one_ahead(items):
    """Yield each item while a thread computes the next, to train during evaluation."""
    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(next, items, None)
        while (item := ahead.result()) is not None:
            ahead = thread.submit(next, items, None)
            yield item


def snapshots(experiment, train, epochs):
    """Train like the book's program; yield (run, epoch, a copy of the network).

    Each run starts with a new network. The random numbers continue from the last run,
    and so does the order of the images, which each epoch shuffles again.
    """
    normal, uniform = np.random.RandomState(SEED), random.Random(SEED)
    sizes = [train.images.shape[1], experiment.hidden, train.y.shape[1]]
    order = list(range(len(train.y)))
    for number, (run, (init, eta)) in enumerate(experiment.runs.items()):
        if number == 0 and init == "large":
            # The book's program first draws scaled weights, and then draws again.
            tg.nn.MLP(sizes, normal, "scaled")
        model = tg.nn.MLP(sizes, normal, init)
        step = training_step(model, eta, experiment.lam / len(order))
        for epoch in range(1, epochs + 1):
            shuffle(order, uniform)
            train_epoch(step, train, np.array(order))
            yield run, epoch, deepcopy(model)


def shuffle(order, rng):
    """Shuffle in place with the algorithm of Python 2; Python 3 has another one."""
    for i in reversed(range(1, len(order))):
        j = int(rng.random() * (i + 1))
        order[i], order[j] = order[j], order[i]


def training_step(model, eta, decay):
    """Return the compiled training step for one mini-batch.

    The compiler moves the factor eta/m to a cheaper place, which changes the rounding.
    The costs still equal the published ones to 1e-13, even after 400 epochs.
    """
    optimiser = tg.optim.SGD(model.parameters(), eta)

    @tg.compile
    def step(x, y):
        loss = tg.losses.cross_entropy_with_logits(model.logits(x), y)
        optimiser.zero_grad()
        loss.backward()
        # L2 as weight decay: (1 - eta lambda/n) w - (eta/m) sum of gradients. It is
        # rounded as in the book, and cheaper than an L2 term in the loss.
        for w in model.weights:
            w.data *= 1 - eta * decay
        optimiser.step()

    return step


def train_epoch(step, examples, order, batch_size=10):
    for first in range(0, len(order), batch_size):
        step(*examples.batch(order[first : first + batch_size]))


def evaluate(model, examples, lam):
    """Return the cost and the number of correctly classified images."""
    n = len(examples.y)
    first, *rest = (w.numpy() for w in model.weights)
    biases = [b.numpy() for b in model.biases]
    a = tg.reference.feedforward(
        [first[:, examples.inked], *rest], biases, examples.x_inked
    )
    # y is 0 or 1, so y log a + (1-y) log(1-a) is one logarithm, of the rounded 1-a as
    # in the book. From the logits it would be more accurate, so it would differ.
    cost = -np.log(np.where(examples.y == 1, a, 1 - a)).sum() / n
    cost += tg.losses.l2(model.weights, lam, n).item()
    return float(cost), int((a.argmax(axis=1) == examples.labels).sum())


def report(name, train, evaluation, epochs):
    """Train and print; return the curves, and which published numbers are equal."""
    experiment = EXPERIMENTS[name]
    curves = {run: {figure: [] for figure in FIGURES} for run in experiment.runs}
    equal = []
    with progress_bar() as progress:
        task = progress.add_task(name, total=epochs * len(curves))
        for run, epoch, figures in replay(experiment, train, evaluation, epochs):
            progress.advance(task)
            for figure, value in figures.items():
                curves[run][figure].append(value)
            if epoch == 1:
                heads = [
                    f.replace("evaluation", experiment.evaluation) for f in figures
                ]
                print(f"{run}\n{row('', heads)}")
            book = PUBLISHED.get(name, {}).get(epoch)
            if book or epoch % max(1, epochs // 20) == 0:
                print(row(f"epoch {epoch}", figures.values()), flush=True)
            if book:
                # The costs are summed in another order. A count within 1e-9 is equal.
                pairs = zip(figures.values(), book)
                marks = [isclose(own, other, rel_tol=1e-9) for own, other in pairs]
                print(row("the book", book, marks), flush=True)
                equal += marks
    return curves, equal


def row(head, values, equal=()):
    """Return a line of the table, with a mark after each value that was compared."""
    cells = (f"{v:15.12f}" if isinstance(v, float) else f"{v:>15}" for v in values)
    marks = (" =" if e else " !" for e in equal)
    pairs = zip_longest(cells, marks, fillvalue="  ")
    return f"{head:9}{''.join(map(''.join, pairs))}".rstrip()


def progress_bar():
    return Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        "left",
        transient=True,
        disable=not sys.stdout.isatty(),  # then only the table is printed
    )


def as_published(experiment, curves):
    """Arrange the curves as in the book's JSON files."""
    lists = {run: list(curve.values()) for run, curve in curves.items()}
    if experiment.runs is BOTH:
        return lists
    return list(lists.values()) if len(lists) > 1 else lists.popitem()[1]


def plot(name, curves, sizes, path):
    """Draw our curves as lines, and the published numbers as dots."""
    experiment = EXPERIMENTS[name]
    quantities = sorted({monitor.split()[1] for monitor in experiment.monitors})
    picture = Figure(figsize=(1 + 4 * len(quantities), 3.6), layout="constrained")
    panels = dict(
        zip(quantities, picture.subplots(1, len(quantities), squeeze=False)[0])
    )
    for run, monitor in product(curves, experiment.monitors):
        images, quantity = monitor.split()
        axes, unit = panels[quantity], 1 if quantity == "cost" else sizes[images]
        own = np.array(curves[run][monitor]) / unit
        images = images.replace("evaluation", experiment.evaluation) + " set"
        label = images if len(curves) == 1 else f"{run.replace('_', ' ')}, {images}"
        (line,) = axes.plot(range(1, len(own) + 1), own, label=label)
        column, colour = FIGURES.index(monitor), line.get_color()
        book = {e: f[column] / unit for e, f in PUBLISHED.get(name, {}).items()}
        book = {e: value for e, value in book.items() if e <= len(own)}
        if book:
            axes.plot(
                *zip(*book.items()), "o", color=colour, label="the same, published"
            )
    for quantity, axes in panels.items():
        if quantity == "right":
            axes.yaxis.set_major_formatter("{x:.0%}")
        axes.set(
            title="Classified right" if quantity == "right" else "Cost", xlabel="epoch"
        )
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    with shared.writing(path):
        picture.savefig(path, dpi=150)


def parse_args(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="It needs the full MNIST: in the folder that TINYGRAD_EDU_DATA names, "
        "or in the cache, which is filled by download. In overfitting_full, rounding "
        "errors grow until the numbers differ after some epochs. The book: Neural "
        "Networks and Deep Learning, 2015.",
    )
    parser.add_argument(
        "experiment",
        choices=EXPERIMENTS,
        metavar="EXPERIMENT",
        help=", ".join(EXPERIMENTS),
    )

    def add(option, help, **how):
        parser.add_argument(option, help=help, **how)

    count, curves = shared.number(int, 1), shared.output(".json")
    picture = shared.output(*shared.PICTURES)
    add("--epochs", "epochs of each run (as in the book)", type=count, metavar="N")
    add("--json", "write the curves as the book does", type=curves, metavar="FILE.json")
    add("--plot", "draw the curves", type=picture, metavar="FILE.png")

    args = parser.parse_args(arguments)
    if args.epochs is None:
        args.epochs = EXPERIMENTS[args.experiment].epochs
    return args


def main(arguments=None):
    args = parse_args(arguments)
    experiment = EXPERIMENTS[args.experiment]
    with shared.telling_faults():
        train, evaluation = load(experiment)

    start = perf_counter()
    curves, equal = report(args.experiment, train, evaluation, args.epochs)
    print(f"{perf_counter() - start:.1f} s")
    if equal:
        print(
            f"{sum(equal)} of {len(equal)} published figures are equal (costs to 1e-9)"
        )
    if args.json:
        with shared.writing(args.json):
            args.json.write_text(json.dumps(as_published(experiment, curves)) + "\n")
    if args.plot:
        sizes = {"training": len(train.y), "evaluation": len(evaluation.y)}
        plot(args.experiment, curves, sizes, args.plot)


if __name__ == "__main__":
    shared.run(main)
