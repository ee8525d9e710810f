"""Train a sigmoid network with one hidden layer on handwritten digits."""

import argparse
from pathlib import Path

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg

COSTS = "mse", "cross-entropy"
INITS = "scaled", "large"
WANTED = "train_cost", "test_cost", "test_accuracy", "seconds"


def train(digits, args):
    """Train with the given options; return the history."""
    x, x_test = map(tg.data.normalise, (digits.train_images, digits.test_images))
    y, y_test = map(tg.data.one_hot, (digits.train_labels, digits.test_labels))

    rng = np.random.default_rng(args.seed)
    sizes = [x.shape[1], args.hidden, y.shape[1]]
    model = tg.nn.MLP(sizes, rng, args.init, dtype=np.float32)
    output, cost = model, tg.losses.mse
    if args.cost == "cross-entropy":
        output, cost = model.logits, tg.losses.cross_entropy_with_logits

    def penalty(n):
        return tg.losses.l2(model.weights, args.l2, n)

    def loss(outputs, targets):
        mean = cost(outputs, targets)
        return mean + penalty(len(x)) if args.l2 else mean

    def add_penalties(history):  # as in the book, for the size of each set
        for name, n in {"train_cost": len(x), "test_cost": len(x_test)}.items():
            history.note(**{name: history[-1][name] + penalty(n).item()})

    history = tg.train.fit(
        output,
        loss,
        tg.optim.SGD(model.parameters(), args.lr),
        (x, y),
        args.epochs,
        batch_size=args.batch_size,
        rng=rng,
        validation={"train": (x, y), "test": (x_test, y_test)},
        metrics={"cost": cost, "accuracy": tg.train.accuracy},
        monitor="test_accuracy",
        best=max,
        callbacks=[add_penalties],
        compile=args.compile,
        progress=line,
        checkpoint=args.checkpoint,
        resume=args.resume,
    )
    if len(history):
        tell_fault(args, history[-1]["train_cost"] - penalty(len(x)).item(), y)
    return history


def tell_fault(args, train_cost, y):
    """Print a message if the network has learnt nothing."""
    cost = tg.losses.mse if args.cost == "mse" else tg.losses.cross_entropy
    fault = shared.remark(train_cost, shared.idle_loss(cost, y), args.lr, args.usual_lr)
    if fault:
        print(fault)


def line(history):
    figures = history[-1]
    return (
        f"epoch {len(history):>2}  train cost {figures['train_cost']:.4f}  "
        f"test cost {figures['test_cost']:.4f}  "
        f"test accuracy {figures['test_accuracy']:.2%}"
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
            f"digits that come with the package, and tests on the other "
            f"{len(digits.test_labels):,}.\nFor all 70,000: go online once, or pass "
            "--data DIR with the four IDX files.\n"
        )
        return digits


def parse_args(description=__doc__, resumable=True, **defaults):
    parser = argparse.ArgumentParser(
        description=description,
        epilog="Without --data, it uses the folder that TINYGRAD_EDU_DATA names, or "
        "else the cache, which is filled by download. If none has the full MNIST, it "
        "uses 5,000 digits instead. A better network: --hidden 100 --cost "
        "cross-entropy --l2 5 --lr 0.5",
    )

    def add(option, help, **how):
        default = " (%(default)s)" if "default" in how else ""
        parser.add_argument(option, help=help + default, **how)

    count, seed = shared.number(int, 1), shared.number(int, 0)
    rate = shared.number(float, 0)
    add("--hidden", "hidden neurons", type=count, default=30, metavar="N")
    add("--epochs", "passes over the training set", type=count, default=30, metavar="N")
    add("--batch-size", "examples per step", type=count, default=10, metavar="N")
    add("--lr", "learning rate", type=rate, default=3.0, metavar="ETA")
    add("--cost", "cost function", choices=COSTS, default="mse")
    add("--l2", "penalty on large weights", type=rate, default=0.0, metavar="LAMBDA")
    add("--init", "initialisation of the weights", choices=INITS, default="scaled")
    add("--seed", "random seed of the weights and the shuffling", type=seed, default=0)
    switch = {"action": argparse.BooleanOptionalAction, "default": True}
    add("--compile", "compile the training step", **switch)
    add("--data", "folder with the four IDX files of MNIST", type=Path, metavar="DIR")
    picture, table = shared.output(*shared.PICTURES), shared.output(*shared.TABLES)
    add("--plot", "draw the cost and the accuracy", type=picture, metavar="FILE.png")
    add("--json", "save the history", type=table, metavar="FILE.json")
    if resumable:
        add("--checkpoint", "folder for checkpoints", type=Path, metavar="DIR")
        add("--resume", "resume from the latest checkpoint", action="store_true")

    parser.set_defaults(**defaults)
    args = parser.parse_args()
    args.usual_lr = parser.get_default("lr")
    if resumable and args.resume and not args.checkpoint:
        parser.error("--resume needs a folder: add --checkpoint DIR")
    return args


def main():
    args = parse_args()
    with shared.telling_faults():
        history = train(load(args.data), args)

    if len(history):
        report(history, args)
    shared.end_of(history)


def report(history, args, end=""):
    """Print the best epoch, and write the files that the options name."""
    accuracies, seconds = history["test_accuracy"], history["seconds"].sum()
    print(
        f"best test accuracy {accuracies.max():.2%}, after epoch "
        f"{accuracies.argmax() + 1}; {seconds:.1f} s in all{end}"
    )
    history = tg.train.History({name: history[name] for name in WANTED})
    if args.json:
        with shared.writing(args.json):
            history.save(args.json)
    if args.plot:
        with shared.writing(args.plot):
            history.plot(args.plot)


if __name__ == "__main__":
    shared.run(main)
