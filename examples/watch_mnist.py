"""Watch how a network classifies handwritten digits: its weights and its mistakes."""

import argparse
from pathlib import Path

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg
import watch
from train_mnist import load


def train(digits, hidden=30, epochs=10, seed=0, batch_size=10, lr=0.5, lam=5.0):
    """Return a network that was trained on the training digits."""
    x, y = tg.data.normalise(digits.train_images), tg.data.one_hot(digits.train_labels)
    rng = np.random.default_rng(seed)
    model = tg.nn.MLP([x.shape[1], hidden, y.shape[1]], rng, dtype=np.float32)
    optimiser = tg.optim.SGD(model.parameters(), lr)

    @tg.compile
    def step(x_batch, y_batch):
        loss = tg.losses.cross_entropy_with_logits(model.logits(x_batch), y_batch)
        loss = loss + tg.losses.l2(model.weights, lam, len(x))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    for _ in watch.progress(range(epochs), "Training"):
        step.epoch(x, y, batch_size, rng)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    count, seed = shared.number(int, 1), shared.number(int, 0)
    add("--hidden", type=count, default=30, help="hidden neurons (%(default)s)")
    add("--epochs", type=count, default=10, help="passes over the digits (%(default)s)")
    add("--seed", type=seed, default=0, help="of the initial weights (%(default)s)")
    add("--data", type=Path, metavar="DIR", help="folder with MNIST (see train_mnist)")
    add(
        "--save",
        type=shared.output_folder,
        default="pictures",
        metavar="DIR",
        help="folder for the pictures, made if need be (%(default)s)",
    )
    args = parser.parse_args()

    with shared.telling_faults():
        digits = load(args.data)
    model = train(digits, args.hidden, args.epochs, args.seed)
    labels = digits.test_labels
    outputs = model(tg.data.normalise(digits.test_images)).numpy()
    answers = outputs.argmax(axis=1)
    print(f"test accuracy {np.mean(answers == labels):.2%} after {args.epochs} epochs")

    args.save.mkdir(exist_ok=True)
    pictures = {
        "weights": watch.draw_weights(model.weights[0].numpy()),
        "mistakes": watch.draw_mistakes(digits.test_images, labels, outputs),
        "confusion": watch.draw_confusion(watch.confusion_matrix(labels, answers)),
    }
    for name, figure in pictures.items():
        watch.save(figure, args.save / f"{name}.png")


if __name__ == "__main__":
    shared.run(main)
