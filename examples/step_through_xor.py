"""Walk through a training step on exclusive or (XOR) in the browser, op by op."""

import argparse
import os
import sys
import webbrowser

import shared  # isort: skip  (before NumPy)

import tinygrad_edu as tg

with shared.extras():
    import pygraphviz  # noqa: F401  (step_through uses its layout)

LR = 2.0


def train(seed=0, epochs=200, lr=LR):
    """Return a network after some training steps."""
    x, y = tg.data.xor()
    model = tg.nn.MLP([2, 3, 1], rng=seed)
    optimiser = tg.optim.SGD(model.parameters(), lr)
    for _ in range(epochs):
        loss = tg.losses.mse(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def write_page(model, path):
    """Write the page of the next training step; return the loss."""
    x, y = tg.data.xor()
    with tg.debug():  # so that the page can show these lines
        h = model(x)
        loss = tg.losses.mse(h, y)
    tg.step_through(loss, path)
    return loss.item()


def has_display():
    variables = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, variables))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    count, rate = shared.number(int, 0), shared.number(float, 0)
    page = shared.output(".html")
    add("--seed", type=count, default=0, help="of the initial weights (%(default)s)")
    add("--epochs", type=count, default=200, help="steps before (%(default)s)")
    add("--lr", type=rate, default=LR, help="learning rate (%(default)s)")
    add("--save", type=page, default="xor.html", metavar="FILE.html", help="the page")
    add("--no-open", action="store_true", help="write the page, open no browser")
    args = parser.parse_args()

    model = train(args.seed, args.epochs, args.lr)
    with shared.writing(args.save):
        loss = write_page(model, args.save)
    idle = shared.idle_loss(tg.losses.mse, tg.data.xor()[1])
    if args.epochs and (fault := shared.remark(loss, idle, args.lr, LR)):
        print(fault)
    if args.no_open or not has_display():
        print(f"Open it in a browser: {args.save.resolve().as_uri()}")
    else:
        webbrowser.open(args.save.resolve().as_uri())


if __name__ == "__main__":
    shared.run(main)
