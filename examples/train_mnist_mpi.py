"""Train a network on handwritten digits, in several processes that share the work.

Start it with: mpiexec -n 2 python examples/train_mnist_mpi.py
"""

import sys
from contextlib import redirect_stderr
from io import StringIO
from time import perf_counter

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg
from train_mnist import load, parse_args, report, tell_fault

# A mini-batch of 10 would be too small for several processes.
DEFAULTS = {"hidden": 100, "batch_size": 250, "lr": 1.0, "cost": "cross-entropy"}


def train(digits, args, comm):
    """Train with the given options; return the history."""
    x, x_test = map(tg.data.normalise, (digits.train_images, digits.test_images))
    y, y_test = map(tg.data.one_hot, (digits.train_labels, digits.test_labels))

    rng = np.random.default_rng(args.seed)
    sizes = [x.shape[1], args.hidden, y.shape[1]]
    model = tg.nn.MLP(sizes, rng, args.init, dtype=np.float32)
    optimiser = tg.optim.SGD(model.parameters(), args.lr)
    parallel = tg.parallel.DataParallel(model.parameters(), comm, optimiser=optimiser)
    if args.cost == "mse":
        output, data_loss = model, tg.losses.mse
    else:
        output, data_loss = model.logits, tg.losses.cross_entropy_with_logits

    def gradients(inputs, targets):
        loss = data_loss(output(inputs), targets)
        if args.l2:
            loss = loss + tg.losses.l2(model.weights, args.l2, len(x))
        optimiser.zero_grad()
        loss.backward()
        return loss

    def judge(inputs, targets):
        a = output(inputs)
        right = a.numpy().argmax(axis=1) == targets.argmax(axis=1)
        return data_loss(a, targets) * len(targets), right.sum()

    if args.compile:
        gradients, judge = tg.compile(gradients), tg.compile(judge)

    def cost_and_accuracy(x, y, chunk=1000):  # each rank evaluates its share
        total, right = 0.0, 0
        share = parallel.share(len(x))
        with tg.no_grad():
            for first in range(share.start, share.stop, chunk):
                part = slice(first, min(first + chunk, share.stop))
                cost, hits = judge(x[part], y[part])
                total, right = total + cost.item(), right + hits.item()
            penalty = tg.losses.l2(model.weights, args.l2, len(x)).item()
        total, right = comm.allreduce(np.array([total, right]))
        return total / len(x) + penalty, right / len(x)

    history = tg.train.History()
    for epoch in range(args.epochs):
        start = perf_counter()
        for batch in parallel.minibatches(x, y, args.batch_size, rng):
            parallel.run(gradients, *batch)
            optimiser.step()
        train_cost, _ = cost_and_accuracy(x, y)
        test_cost, accuracy = cost_and_accuracy(x_test, y_test)
        history.append(
            {
                "train_cost": train_cost,
                "test_cost": test_cost,
                "test_accuracy": accuracy,
                "seconds": perf_counter() - start,
            }
        )
        print(
            f"epoch {epoch + 1:>2}  train cost {train_cost:.4f}  "
            f"test cost {test_cost:.4f}  test accuracy {accuracy:.2%}",
            flush=True,
        )
        if np.isnan(train_cost):
            print("ended: the cost is NaN")
            break
    penalty = tg.losses.l2(model.weights, args.l2, len(x)).item()
    tell_fault(args, train_cost - penalty, y)
    return history


def load_once(folder, comm):
    """Load the digits in rank 0 and send them to the others; if it fails, all exit."""
    digits = None
    if comm.rank == 0:
        try:
            digits = load(folder)
        except (OSError, ValueError) as error:
            print(f"train_mnist_mpi: {error}", file=sys.stderr)
    return comm.bcast(digits) or sys.exit(1)


def main():
    try:
        comm = tg.parallel.world()
    except ModuleNotFoundError as error:
        parse_args(__doc__, resumable=False, **DEFAULTS)  # --help needs no MPI
        sys.exit(f"train_mnist_mpi: {error}")
    errors = sys.stderr
    if comm.rank > 0:  # only rank 0 prints
        sys.stdout = errors = StringIO()
    with redirect_stderr(errors):
        args = parse_args(__doc__, resumable=False, **DEFAULTS)
    digits = load_once(args.data, comm)
    history = train(digits, args, comm)
    if comm.rank == 0:
        report(history, args, f", {comm.size} process{'es' * (comm.size > 1)}")
    if not np.isfinite(history["train_cost"][-1]):
        sys.exit(1)


if __name__ == "__main__":
    shared.run(main)
