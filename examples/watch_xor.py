"""Watch three hidden neurons learn exclusive or: a film of the decision boundary."""

import argparse
import sys

import numpy as np

import tinygrad_edu as tg
import watch

SIDE = np.linspace(-0.5, 1.5, 201)


def train(seed=0, epochs=500, lr=2.0, frames=60):
    """Return the loss of each epoch, and what is seen at some of them."""
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
    add("--seed", type=int, default=0, help="of the initial weights (%(default)s)")
    add("--epochs", type=int, default=500, help="steps on all four (%(default)s)")
    add("--lr", type=float, default=2.0, help="learning rate (%(default)s)")
    add("--frames", type=int, default=60, help="pictures in the film (%(default)s)")
    add(
        "--save",
        type=watch.film_path,
        default="xor.gif",
        metavar="FILE.gif|html",
        help="the film: an image, or a page with a slider (%(default)s)",
    )
    args = parser.parse_args()
    for name, least in {"seed": 0, "epochs": 1, "lr": 0, "frames": 2}.items():
        value = getattr(args, name)
        if not least <= value < np.inf:
            a_finite = "a finite number of " * isinstance(value, float)
            parser.error(f"--{name} must be {a_finite}at least {least}")

    with np.errstate(over="ignore", invalid="ignore"):  # the next lines tell of it
        history = train(args.seed, args.epochs, args.lr, args.frames)
    if not (
        np.isfinite(history["output"]).all() and np.isfinite(history["loss"]).all()
    ):
        sys.exit(f"The weights overflowed; try a smaller --lr than {args.lr:g}")
    print(f"loss {history['loss'][-1]:.4f} after {args.epochs} epochs")
    title = "Three hidden neurons learn exclusive or"
    film = watch.film_boundary(title, SIDE, *tg.data.xor(), history)
    film = watch.progress(film, "Drawing", len(history["epoch"]))
    watch.save_film(film, args.save, title)


if __name__ == "__main__":
    main()
