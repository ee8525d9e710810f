"""Watch hidden layers learn digits: vanishing gradients and saturated sigmoids."""

import argparse
from pathlib import Path

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg
import watch
from train_mnist import load


def gradients(x, y, hidden, seed=0, epochs=500, lr=0.1, lam=5.0):
    """Return each hidden layer's gradient norm before each epoch.

    The gradient is the one with respect to the biases. It is the error delta of the
    layer, averaged over all examples, and shows how fast the layer learns. An epoch is
    one step on all examples, as in M. Nielsen, Neural Networks and Deep Learning, 2015,
    chapter 5.
    """
    sizes = [x.shape[1], *hidden, y.shape[1]]
    model = tg.nn.MLP(sizes, seed, dtype=np.float32)
    optimiser = tg.optim.SGD(model.parameters(), lr)
    history = watch.History()
    for _ in watch.progress(range(epochs + 1), f"Training {sizes}"):
        loss = tg.losses.cross_entropy_with_logits(model.logits(x), y)
        loss = loss + tg.losses.l2(model.weights, lam, len(x))
        optimiser.zero_grad()
        loss.backward()
        history.record(norms=watch.gradient_norms(model.biases[:-1]))
        optimiser.step()
    return np.array(history["norms"])


def saturation(x, y, seen, init, seed=0, epochs=20, batch_size=10, lr=0.5):
    """Return the share of saturated activations in each hidden layer."""
    rng = np.random.default_rng(seed)
    sizes = [x.shape[1], 30, 30, 30, y.shape[1]]
    model = tg.nn.MLP(sizes, rng, init, dtype=np.float32)
    optimiser = tg.optim.SGD(model.parameters(), lr)

    @tg.compile
    def step(x, y):
        loss = tg.losses.cross_entropy_with_logits(model.logits(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    history = watch.History()
    for epoch in watch.progress(range(epochs + 1), f"Training {sizes}, {init}"):
        if epoch > 0:
            step.epoch(x, y, batch_size, rng)
        hidden = watch.activations(model, seen)[:-1]
        history.record(shares=watch.saturation(hidden))
    return np.array(history["shares"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    seed = shared.number(int, 0)
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
    x = tg.data.normalise(digits.train_images[:4000])
    y = tg.data.one_hot(digits.train_labels[:4000])
    seen = tg.data.normalise(digits.test_images[:1000])

    args.save.mkdir(exist_ok=True)

    panels = {}
    for hidden in ([30, 30], [30, 30, 30]):
        norms = gradients(x[:1000], y[:1000], hidden, args.seed)
        panels[f"{len(hidden)} hidden layers"] = norms
        print(f"hidden {hidden}: gradient norms at first", *norms[0].round(4))
    figure = watch.draw_layers(
        panels,
        "Vanishing gradients: the earlier a hidden layer, the slower it learns",
        r"speed of learning, $\|\partial C / \partial b\|$",
        f"epoch (a step on {len(x[:1000]):,} digits)",
        yscale="log",
    )
    watch.save(figure, args.save / "gradients.png")

    panels = {}
    for init, deviation in {"scaled": r"1/\sqrt{n_{\rm in}}", "large": "1"}.items():
        shares = 100 * saturation(x, y, seen, init, args.seed)
        panels[f"Initial weights of deviation ${deviation}$"] = shares
        print(f"{init} initial weights: % saturated at first", *shares[0].round(1))
    figure = watch.draw_layers(
        panels,
        "Large initial weights saturate hidden layers before training begins",
        "activations below 0.05 or above 0.95 (%)",
        f"epoch ({len(x):,} digits, 10 a step)",
        ylim=(0, 100),
    )
    watch.save(figure, args.save / "saturation.png")


if __name__ == "__main__":
    shared.run(main)
