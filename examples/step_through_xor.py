"""Walk through a training step on exclusive or in the browser, op by op."""

import argparse
import os
import sys
import webbrowser
from pathlib import Path

import numpy as np

import tinygrad_edu as tg


def write_page(path, seed=0, epochs=200, lr=2.0):
    """Train a little; then write down the next step, forward and backward."""
    x, y = tg.data.xor()
    model = tg.nn.MLP([2, 3, 1], rng=seed)
    optimiser = tg.optim.SGD(model.parameters(), lr)
    for _ in range(epochs):
        loss = tg.losses.mse(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    with tg.debug():  # the page can show these lines then
        h = model(x)
        loss = tg.losses.mse(h, y)
    return tg.step_through(loss, path)


def has_display():
    variables = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, variables))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of the initial weights (%(default)s)")
    add("--epochs", type=int, default=200, help="steps before (%(default)s)")
    add("--lr", type=float, default=2.0, help="learning rate (%(default)s)")
    add("--save", type=Path, default="xor.html", metavar="FILE.html", help="the page")
    add("--no-open", action="store_true", help="write the page, open no browser")
    args = parser.parse_args()
    for name, least in {"seed": 0, "epochs": 0, "lr": 0}.items():
        if not least <= getattr(args, name) < np.inf:
            parser.error(f"--{name} must be at least {least}")
    if not args.save.parent.is_dir():
        parser.error(f"--save: there is no folder {args.save.parent}")

    path = write_page(args.save, args.seed, args.epochs, args.lr)
    print(f"Wrote {path}")
    if args.no_open or not has_display():
        print(f"Open it in a browser: {path.resolve().as_uri()}")
    else:
        webbrowser.open(path.resolve().as_uri())


if __name__ == "__main__":
    main()
