"""Watch three hidden neurons learn XOR: animate the decision boundary."""

import argparse
import sys

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg
import watch

LR = 2.0
SIDE = np.linspace(-0.5, 1.5, 201)


def train(seed=0, epochs=500, lr=LR, frames=60):
    """Return the loss of each epoch, and the quantities to draw at some epochs."""
    x, y = tg.data.xor()
    model = tg.nn.MLP([2, 3, 1], rng=seed)
    optimiser = tg.optim.SGD(model.parameters(), lr)

    @tg.compile
    def step():
        loss = tg.losses.cross_entropy_with_logits(model.logits(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    history = watch.History()
    pictured = set(np.linspace(0, epochs, frames).astype(int))
    for epoch in range(epochs + 1):
        if epoch in pictured:
            history.record(
                epoch=epoch,
                output=watch.output_on_square(model, SIDE),
                weights=model.weights[0].numpy(),
                biases=model.biases[0].numpy(),
            )
        history.record(loss=step().item())  # before the step
    return history


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    count, seed = shared.number(int, 1), shared.number(int, 0)
    rate, frames = shared.number(float, 0), shared.number(int, 2)
    add("--seed", type=seed, default=0, help="of the initial weights (%(default)s)")
    add("--epochs", type=count, default=500, help="steps on all four (%(default)s)")
    add("--lr", type=rate, default=LR, help="learning rate (%(default)s)")
    add("--frames", type=frames, default=60, help="pictures in the film (%(default)s)")
    add(
        "--save",
        type=shared.output(".gif", ".html"),
        default="xor.gif",
        metavar="FILE.gif|html",
        help="the film: an image, or a page with a slider (%(default)s)",
    )
    args = parser.parse_args()

    history = train(args.seed, args.epochs, args.lr, args.frames)
    loss = history["loss"][-1]
    idle = shared.idle_loss(tg.losses.cross_entropy, tg.data.xor()[1])
    fault = shared.remark(loss, idle, args.lr, LR)
    if not (
        np.isfinite(history["output"]).all() and np.isfinite(history["loss"]).all()
    ):
        sys.exit(fault)
    print(f"loss {loss:.4f} after {args.epochs} epochs")
    if fault:
        print(fault)
    title = "Three hidden neurons learn exclusive or"
    film = watch.film_boundary(title, SIDE, *tg.data.xor(), history)
    film = watch.progress(film, "Drawing", len(history["epoch"]))
    watch.save_film(film, args.save, title)


if __name__ == "__main__":
    shared.run(main)
