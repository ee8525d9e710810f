# ruff: noqa: NPY002 (the book draws from NumPy's legacy generator)
"""examples/replay_book.py against published figures and the book's own algorithm.

"The book" is M. Nielsen, Neural Networks and Deep Learning, 2015.
"""

import importlib.util
import json
import os
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg

needed = ("matplotlib", "rich")
if not all(map(importlib.util.find_spec, needed)):
    pytest.skip("the extra named examples is not installed", allow_module_level=True)

SCRIPT = Path(__file__).parents[1] / "examples" / "replay_book.py"

spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
book = importlib.util.module_from_spec(spec)
spec.loader.exec_module(book)

# The figures after some of the first 20 epochs, from overfitting.json and
# regularized.json, published with chapter 3 of the book: test cost, test images right
# (of 10,000), training cost, training images right (of 1,000).
PUBLISHED = {
    "overfitting": {
        1: (2.076277232332908, 5887, 1.8433647860328504, 690),
        2: (1.8232334122685845, 6505, 1.4777434227600235, 749),
        5: (1.4626645665352562, 7433, 0.9046315580572455, 872),
        10: (1.2353298430277617, 7899, 0.47790622727830795, 949),
        15: (1.202838510821453, 8046, 0.30704391068438625, 979),
        20: (1.2284082512336671, 8107, 0.21675013886039948, 985),
    },
    "regularized": {
        1: (2.1903999605374445, 5898, 3.005466860217319, 690),
        2: (1.935511698609431, 6512, 2.630540182112914, 749),
        5: (1.5652172568011837, 7455, 2.0293529993091846, 874),
        10: (1.321296899671962, 7942, 1.561089754744465, 950),
        15: (1.2700513563686027, 8089, 1.349371353235345, 980),
        20: (1.2735961691755695, 8163, 1.2185580400821583, 986),
    },
}


def noise(n, seed):
    """Make n images of noise, blank at the border, and n labels."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 4:24, 4:24] = rng.integers(0, 256, (n, 20, 20))
    return images, rng.integers(0, 10, n)


@pytest.fixture
def tiny(monkeypatch):
    """Let the script train on 53 images, so that a mini-batch is short; judge 17."""
    train, evaluation = noise(53, 1), noise(17, 2)
    examples = [book.Examples(*train), book.Examples(*evaluation)]
    monkeypatch.setattr(book, "load", lambda experiment: examples)
    return train, evaluation


def curves_of(name, epochs, tmp_path):
    path = tmp_path / "curves.json"
    book.main([name, "--epochs", str(epochs), "--json", str(path)])
    return json.loads(path.read_text())


# --- What was published -----------------------------------------------------------


@pytest.mark.skipif(
    not os.environ.get("TINYGRAD_EDU_DATA"),
    reason="TINYGRAD_EDU_DATA names no folder with the real MNIST",
)
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_figures(name, tmp_path, capsys):
    curves = curves_of(name, 20, tmp_path)
    assert {len(curve) for curve in curves} == {20}
    for epoch, expected in PUBLISHED[name].items():
        cost, right, training_cost, training_right = expected
        own = [curve[epoch - 1] for curve in curves]
        assert own[0] == pytest.approx(cost, rel=1e-9, abs=0)
        assert own[2] == pytest.approx(training_cost, rel=1e-9, abs=0)
        assert own[1] == right
        assert own[3] == training_right
    out = capsys.readouterr().out
    assert "8 of 8 published figures are equal" in out  # of epochs 1 and 20
    assert "!" not in out


def test_a_figure_that_differs_is_marked(tiny, tmp_path, capsys):
    curves_of("overfitting", 1, tmp_path)
    out = capsys.readouterr().out
    assert "0 of 4 published figures are equal" in out
    (line,) = (line for line in out.splitlines() if line.startswith("the book"))
    assert line.split()[2::2] == ["2.076277232333", "5887", "1.843364786033", "690"]
    assert line.count("!") == 4


# --- The recipe -------------------------------------------------------------------


def test_shuffle_is_that_of_python_2():
    """CPython 2.7.18's random.seed(12345678), then random.shuffle twice, gave these."""
    order, rng = list(range(12)), random.Random(12345678)
    book.shuffle(order, rng)
    assert order == [11, 3, 10, 1, 0, 5, 7, 4, 9, 2, 6, 8]
    book.shuffle(order, rng)
    assert order == [2, 8, 1, 4, 10, 3, 5, 9, 7, 0, 6, 11]


class Original:
    """The book's algorithm, an example at a time, on the global random numbers."""

    def __init__(self, sizes):
        self.sizes = sizes
        self.draw()

    def draw(self, large=False):
        layers = list(pairwise(self.sizes))
        self.biases = [np.random.randn(n) for _, n in layers]
        self.weights = [
            np.random.randn(n, n_in) / (1 if large else np.sqrt(n_in))
            for n_in, n in layers
        ]

    def epoch(self, data, eta, lam):
        for i in reversed(range(1, len(data))):
            j = int(random.random() * (i + 1))
            data[i], data[j] = data[j], data[i]
        for first in range(0, len(data), 10):
            self.step(data[first : first + 10], eta, lam / len(data))

    def step(self, batch, eta, decay):
        sums = [np.zeros_like(p) for p in self.weights + self.biases]
        for x, y in batch:
            dw, db = tg.reference.backprop(
                self.weights, self.biases, x, y, "cross-entropy"
            )
            sums = [total + g for total, g in zip(sums, dw + db)]
        layers = len(self.weights)
        self.weights = [
            (1 - eta * decay) * w - eta / len(batch) * g
            for w, g in zip(self.weights, sums[:layers])
        ]
        self.biases = [
            b - eta / len(batch) * g for b, g in zip(self.biases, sums[layers:])
        ]

    def outputs(self, data):
        return [tg.reference.feedforward(self.weights, self.biases, x) for x, _ in data]

    def cost(self, data, lam):
        total = 0.0
        for a, (_, y) in zip(self.outputs(data), data):
            total += np.sum(-y * np.log(a) - (1 - y) * np.log(1 - a)) / len(data)
        return total + 0.5 * (lam / len(data)) * sum(
            np.linalg.norm(w) ** 2 for w in self.weights
        )

    def right(self, data):
        pairs = zip(self.outputs(data), data)
        return sum(int(a.argmax() == y.argmax()) for a, (_, y) in pairs)

    def train(self, epochs, data, judge, eta, lam):
        """Return evaluation cost, evaluation right, training cost, training right."""
        rows = []
        for _ in range(epochs):
            self.epoch(data, eta, lam)
            rows.append([f for d in (judge, data) for f in self.figures(d, lam)])
        return [list(curve) for curve in zip(*rows)]

    def figures(self, data, lam):
        return self.cost(data, lam), self.right(data)


@pytest.fixture
def original(tiny):
    """Return the data as the book holds it; its seeds are set meanwhile."""
    states = random.getstate(), np.random.get_state()
    random.seed(12345678)
    np.random.seed(12345678)
    yield [
        [
            (image.ravel().astype(np.float32) / 256, np.eye(10)[label])
            for image, label in zip(images, labels)
        ]
        for images, labels in tiny
    ]
    random.setstate(states[0])
    np.random.set_state(states[1])


def assert_same(own, expected):
    """Compare, but for the figures that the experiment does not monitor."""
    assert any(own)
    for curve, other in zip(own, expected, strict=True):
        if curve:
            np.testing.assert_allclose(curve, other, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "lam"),
    [
        ("overfitting", 0.0),
        ("regularized", 0.1),
        ("overfitting_full", 0.0),
        ("regularized_full", 5.0),
    ],
)
def test_one_network_is_trained_as_by_the_book(name, lam, original, tmp_path):
    network = Original([784, 30, 10])
    network.draw(large=True)
    own = curves_of(name, 2, tmp_path)
    assert [len(curve) for curve in own] == [2, 2, 2, 2]
    assert_same(own, network.train(2, *original, 0.5, lam))


@pytest.mark.parametrize("hidden", [30, 100])
def test_two_initialisations_are_trained_as_by_the_book(hidden, original, tmp_path):
    own = curves_of(f"weight_initialization_{hidden}", 2, tmp_path)
    default, large = "default_weight_initialization", "large_weight_initialization"
    assert list(own) == [default, large]
    assert {tuple(map(len, curves)) for curves in own.values()} == {(0, 2, 0, 0)}
    network = Original([784, hidden, 10])
    assert_same(own[default], network.train(2, *original, 0.1, 5.0))
    network.draw(large=True)
    assert_same(own[large], network.train(2, *original, 0.1, 5.0))


def test_three_learning_rates_are_trained_as_by_the_book(original, tmp_path):
    own = curves_of("multiple_eta", 2, tmp_path)
    assert [list(map(len, curves)) for curves in own] == [[0, 0, 2, 0]] * 3
    for curves, eta in zip(own, (0.025, 0.25, 2.5)):
        network = Original([784, 30, 10])
        assert_same(curves, network.train(2, *original, eta, 5.0))


def test_a_compiled_step_is_that_of_the_book():
    rng = np.random.default_rng(4)
    model = tg.nn.MLP([784, 30, 10], rng, "large")
    network = Original([784, 30, 10])
    network.weights = [w.numpy().copy() for w in model.weights]
    network.biases = [b.numpy().copy() for b in model.biases]
    step = book.training_step(model, 0.5, 0.1)
    for n in (10, 10, 3):
        x, y = rng.random((n, 784)), np.eye(10)[rng.integers(0, 10, n)]
        step(x, y)
        network.step(list(zip(x, y)), 0.5, 0.1)
    assert "def step(" in step.source
    for p, expected in zip(
        model.weights + model.biases, network.weights + network.biases
    ):
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-12, atol=1e-13)


def test_numbers_of_images_and_epochs():
    told = {
        name: (e.images, e.epochs, e.hidden) for name, e in book.EXPERIMENTS.items()
    }
    assert told == {
        "overfitting": (1000, 400, 30),
        "regularized": (1000, 400, 30),
        "overfitting_full": (50_000, 30, 30),
        "regularized_full": (50_000, 30, 30),
        "weight_initialization_30": (50_000, 30, 30),
        "weight_initialization_100": (50_000, 30, 100),
        "multiple_eta": (50_000, 30, 30),
    }


def test_which_images_are_for_what(monkeypatch):
    images = np.zeros((70_000, 1, 1), np.uint8)
    labels = np.arange(70_000)
    digits = tg.data.Mnist(
        images[:60_000], labels[:60_000] % 10, images[60_000:], labels[60_000:] % 7, ""
    )
    monkeypatch.setattr(tg.data, "mnist", lambda: digits)
    for name, experiment in book.EXPERIMENTS.items():
        train, evaluation = book.load(experiment)
        np.testing.assert_array_equal(
            train.labels, digits.train_labels[: experiment.images]
        )
        held_out = digits.test_labels
        if name.startswith("weight_initialization"):
            held_out = digits.train_labels[50_000:]
        np.testing.assert_array_equal(evaluation.labels, held_out)


# --- The command line -------------------------------------------------------------


@pytest.mark.parametrize("name", book.EXPERIMENTS)
def test_it_draws(name, tiny, tmp_path, capsys):
    path = tmp_path / "curves.png"
    book.main([name, "--epochs", "2", "--plot", str(path)])
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    out = capsys.readouterr().out
    assert "\x1b" not in out  # a pipe gets no progress bar
    runs = len(book.EXPERIMENTS[name].runs)
    assert sum(line.startswith("epoch") for line in out.splitlines()) == 2 * runs


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["no_such"], "invalid choice: 'no_such'"),
        (
            ["overfitting", "--epochs", "0"],
            "--epochs: 0 is not a whole number",
        ),
        (["overfitting", "--json", "no/such/file"], "no folder"),
    ],
)
def test_bad_options_are_refused(options, complaint, capsys):
    with pytest.raises(SystemExit, match="2"):
        book.main(options)
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("complete", [True, False])
def test_it_says_what_data_it_lacks(complete, monkeypatch, tmp_path):
    if complete:
        digits = tg.data.Mnist(*noise(53, 1), *noise(17, 2), "a folder of mine")
        monkeypatch.setattr(tg.data, "mnist", lambda: digits)
        complaint = "a folder of mine holds 53 training images"
    else:
        monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path))
        complaint = "does not contain train-images"
    with pytest.raises(SystemExit, match=complaint):
        book.main(["overfitting"])
