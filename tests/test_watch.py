"""examples/watch.py and what its scripts measure: the pictures show what is true."""

from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_edu as tg

if not all(map(find_spec, ("matplotlib", "PIL", "rich"))):
    pytest.skip("the extra named examples is not installed", allow_module_level=True)

from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

train_xor, watch, watch_layers, watch_xor = map(
    import_module, ("train_xor", "watch", "watch_layers", "watch_xor")
)
SIDE = np.linspace(-0.5, 1.5, 9)

few_labels = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[arrays(np.uint8, n, elements=st.integers(0, 9))] * 2)
)


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def network(sizes, seed):
    model = tg.nn.MLP(sizes, seed, "large")
    return model, *([p.numpy() for p in ps] for ps in (model.weights, model.biases))


# --- Record ---------------------------------------------------------------------------


def test_history_keeps_what_was_there():
    history, w = watch.History(), np.array([1.0, 2.0])
    history.record(w=w, loss=0.5)
    w += 1
    history.record(w=w)
    np.testing.assert_array_equal(history["w"], [[1, 2], [2, 3]])
    np.testing.assert_array_equal(history["loss"], [0.5])


def test_the_square_has_x1_in_columns_and_x2_in_rows():
    model, w, b = network([2, 3, 1], 5)
    output = watch.output_on_square(model, SIDE)
    for i, x2 in enumerate(SIDE):
        row = np.stack([SIDE, np.full_like(SIDE, x2)], axis=1)
        expected = tg.reference.feedforward(w, b, row)[:, 0]
        np.testing.assert_allclose(output[i], expected, rtol=1e-12)


def test_activations_are_those_of_each_layer():
    model, w, b = network([5, 4, 3, 2], 6)
    x = np.random.default_rng(7).normal(size=(6, 5))
    layers = watch.activations(model, x)
    assert [a.shape for a in layers] == [(6, 4), (6, 3), (6, 2)]
    for depth, a in enumerate(layers, 1):
        expected = tg.reference.feedforward(w[:depth], b[:depth], x)
        np.testing.assert_allclose(a, expected, rtol=1e-12)


def test_saturation_of_a_known_network():
    """Its neurons answer 0.04, 0.06, 0.5, 0.94 and 0.96, whatever they see."""
    known = np.array([0.04, 0.06, 0.5, 0.94, 0.96])
    model = tg.nn.MLP([3, 5, 1])
    for p in model.weights:
        p.data[...] = 0
    model.biases[0].data[...] = np.log(known / (1 - known))
    model.biases[1].data[...] = 9
    layers = watch.activations(model, np.ones((7, 3)))
    assert watch.saturation(layers) == [0.4, 1]
    assert watch.saturation(layers, margin=0.07) == [0.8, 1]
    assert watch.saturation(layers, margin=0.03) == [0, 1]


@pytest.mark.parametrize("kind", ["mse", "cross-entropy"])
def test_gradient_norms_are_those_of_the_formulas_by_hand(kind):
    model, w, b = network([5, 4, 3, 2], 8)
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(6, 5)), rng.random((6, 2))
    if kind == "mse":
        tg.losses.mse(model(x), y).backward()
    else:
        tg.losses.cross_entropy_with_logits(model.logits(x), y).backward()
    per_example = [tg.reference.backprop(w, b, *pair, kind)[1] for pair in zip(x, y)]
    for norm, deltas in zip(watch.gradient_norms(model.biases), zip(*per_example)):
        assert norm == pytest.approx(np.sqrt((np.mean(deltas, axis=0) ** 2).sum()))


@given(few_labels)
def test_confusion_matrix_counts_each_pair(labels_and_answers):
    labels, answers = labels_and_answers
    counts = watch.confusion_matrix(labels, answers)
    pairs = list(zip(labels.tolist(), answers.tolist()))
    assert counts.tolist() == [
        [pairs.count((i, j)) for j in range(10)] for i in range(10)
    ]
    assert np.trace(counts) / counts.sum() == pytest.approx(np.mean(labels == answers))


@given(few_labels, st.integers(0, 2**32 - 1))
def test_mistakes_are_the_wrong_answers_the_surest_first(labels_and_answers, seed):
    labels, answers = labels_and_answers
    outputs = np.random.default_rng(seed).random((len(labels), 10))
    outputs[np.arange(len(labels)), answers] += 1
    wrong = watch.mistakes(outputs, labels)
    assert sorted(wrong) == np.flatnonzero(labels != answers).tolist()
    assert (np.diff(outputs[wrong].max(axis=1)) <= 0).all()


# --- What the scripts measure ---------------------------------------------------------


def test_the_film_shows_the_training_of_train_xor():
    history = watch_xor.train(seed=3, epochs=20, frames=4)
    assert np.array_equal(history["epoch"], [0, 6, 13, 20])
    losses = train_xor.train(3, 21)[1]["loss"]
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)
    for epoch, output, w, b in zip(
        *map(history.get, ("epoch", "output", "weights", "biases"))
    ):
        model = tg.nn.MLP([2, 3, 1], rng=3)
        if epoch:
            model, _ = train_xor.train(3, int(epoch))
        expected = watch.output_on_square(model, watch_xor.SIDE)
        np.testing.assert_allclose(output, expected, rtol=1e-12)
        np.testing.assert_allclose(w, model.weights[0].numpy(), rtol=1e-12)
        np.testing.assert_allclose(b, model.biases[0].numpy(), rtol=1e-12)


@pytest.mark.parametrize("hidden", [[4, 4], [4, 3, 4]])
def test_the_norms_over_training_are_those_of_the_formulas_by_hand(hidden):
    rng = np.random.default_rng(10)
    x, y = rng.random((30, 6)).astype("f"), tg.data.one_hot(rng.integers(0, 3, 30), 3)
    norms = watch_layers.gradients(x, y, hidden, seed=2, epochs=12, lr=0.7, lam=2.0)
    model = tg.nn.MLP([6, *hidden, 3], 2)
    w, b = ([p.numpy() for p in ps] for ps in (model.weights, model.biases))
    assert norms.shape == (13, len(hidden))
    for row in norms:
        dw, db = tg.reference.gradients(w, b, x, y, "cross-entropy", 2.0)
        np.testing.assert_allclose(row, [np.linalg.norm(d) for d in db[:-1]], rtol=1e-4)
        for p, g in zip(w + b, dw + db):
            p -= 0.7 * g


@pytest.mark.parametrize("init", ["scaled", "large"])
def test_the_saturation_over_training_is_that_of_the_formulas_by_hand(init):
    rng = np.random.default_rng(11)
    x, y = rng.random((40, 9)).astype("f"), tg.data.one_hot(rng.integers(0, 4, 40), 4)
    seen = rng.random((50, 9)).astype("f")
    shares = watch_layers.saturation(x, y, seen, init, seed=4, epochs=3, batch_size=16)

    rng = np.random.default_rng(4)
    model = tg.nn.MLP([9, 30, 30, 30, 4], rng, init)
    w, b = ([p.numpy() for p in ps] for ps in (model.weights, model.biases))
    assert shares.shape == (4, 3)
    for row in shares:
        layers = [tg.reference.feedforward(w[:n], b[:n], seen) for n in (1, 2, 3)]
        expected = [((a < 0.05) | (a > 0.95)).mean() for a in layers]
        # One activation may be so near to the bound that rounding decides.
        np.testing.assert_allclose(row, expected, atol=1.5 / layers[0].size)
        for xs, ys in tg.data.minibatches(x, y, 16, rng):
            dw, db = tg.reference.gradients(w, b, xs, ys, "cross-entropy")
            for p, g in zip(w + b, dw + db):
                p -= 0.5 * g


# --- Draw -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_boundary_and_hidden_lines_are_where_they_belong(seed):
    x, y = tg.data.xor()
    model, _ = train_xor.train(seed, 500)
    side = np.linspace(-1, 2, 301)
    output = watch.output_on_square(model, side)
    w, b = model.weights[0].numpy(), model.biases[0].numpy()
    axes = Figure().subplots()
    shades = watch.draw_boundary(axes, side, output, x, y, w, b)
    np.testing.assert_array_equal(shades.get_array(), output)
    extent = np.array([-1, 2, -1, 2]) + np.array([-1, 1, -1, 1]) * 0.005
    np.testing.assert_allclose(shades.get_extent(), extent)
    assert shades.origin == "lower"

    (contour,) = (c for c in axes.collections if isinstance(c, ContourSet))
    (path,) = contour.get_paths()
    assert len(path.vertices) > 100
    # Between grid points the contour is a straight line, wrong by the curvature / 8.
    curvature = max(abs(np.diff(output, 2, axis)).max() for axis in (0, 1))
    np.testing.assert_allclose(model(path.vertices).numpy(), 0.5, atol=curvature / 7)

    assert len(axes.lines) == 3
    for line, weight, bias in zip(axes.lines, w, b):
        ends = line.get_xydata()
        np.testing.assert_allclose(ends @ weight + bias, 0, atol=1e-12 * abs(w).max())
        # It is long enough to cross the square, of a diagonal of 4.24.
        assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(6)
        centre = np.array([0.5, 0.5])
        assert (ends.mean(axis=0) - centre) @ (ends[1] - ends[0]) == pytest.approx(0)
    assert texts(axes) == ["0", "1", "1", "0"]
    assert [t.get_position() for t in axes.texts] == [tuple(point) for point in x]


def test_an_output_on_one_side_of_a_half_has_no_boundary():
    axes = Figure().subplots()
    watch.draw_boundary(axes, SIDE, np.full((9, 9), 0.3), *tg.data.xor())
    assert not any(isinstance(c, ContourSet) for c in axes.collections)
    assert not axes.lines


def test_the_film_goes_on_from_frame_to_frame():
    history = watch_xor.train(seed=0, epochs=30, frames=4)
    losses = np.array(history["loss"])
    film = watch.film_boundary("A title", watch_xor.SIDE, *tg.data.xor(), history)
    epochs, sizes = [], set()
    for figure, output in zip(film, history["output"]):
        plane, curve, colorbar = figure.axes
        epochs.append(int(plane.get_title().split()[1]))
        (image,) = plane.images
        np.testing.assert_array_equal(image.get_array(), output)
        _, line, tip = curve.lines
        np.testing.assert_array_equal(line.get_ydata(), losses[: epochs[-1] + 1])
        np.testing.assert_array_equal(line.get_xdata(), range(epochs[-1] + 1))
        assert tip.get_xydata().tolist() == [[epochs[-1], losses[epochs[-1]]]]
        figure.draw_without_rendering()
        sizes.add(tuple(axes.bbox.bounds for axes in figure.axes))
    assert epochs == [0, 10, 20, 30]
    assert colorbar.get_ylabel() == "output"
    assert len(sizes) == 1


@pytest.mark.parametrize(("n", "rows"), [(30, 3), (7, 1), (11, 2), (100, 10)])
def test_each_neurons_weights_are_an_image(n, rows):
    weights = np.random.default_rng(12).normal(size=(n, 12))
    figure = watch.draw_weights(weights, shape=(3, 4))
    axes, colorbar = figure.axes
    (image,) = axes.images
    wall = image.get_array()
    assert wall.shape == (5 * rows, 6 * 10)
    for i, w in enumerate(weights):
        top, left = 5 * (i // 10) + 1, 6 * (i % 10) + 1
        tile = wall[top : top + 3, left : left + 4]
        np.testing.assert_array_equal(tile, w.reshape(3, 4))
    assert (~wall.mask).sum() == weights.size
    low, high = image.get_clim()
    assert low == -high
    assert high == np.quantile(abs(weights), 0.995)
    assert f"What {n} hidden neurons look for" in axes.get_title()
    assert colorbar.get_ylabel() == "weight"


@pytest.mark.parametrize(("n_wrong", "n_shown"), [(0, 0), (5, 5), (6, 6), (9, 6)])
def test_only_misread_images_are_shown(n_wrong, n_shown):
    rng = np.random.default_rng(13)
    images, outputs = rng.integers(0, 256, (20, 4, 4)), rng.random((20, 10))
    labels = outputs.argmax(axis=1)
    chosen = rng.permutation(20)[:n_wrong]
    labels[chosen] = (labels[chosen] + rng.integers(1, 10, n_wrong)) % 10
    figure = watch.draw_mistakes(images, labels, outputs, columns=3, rows=2)

    surest = sorted(chosen, key=lambda i: -outputs[i].max())[:n_shown]
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == n_shown
    for axes, i in zip(panels, surest):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[i])
        says = (
            f"says {outputs[i].argmax()}, is {labels[i]}\n{outputs[i].max():.1%} sure"
        )
        assert axes.get_title() == says
    assert not any(axes.axison for axes in figure.axes)
    title = f": {n_shown} of {n_wrong} mistakes on 20 digits"
    assert figure.get_suptitle().endswith(title)


@given(few_labels)
@settings(max_examples=10, deadline=None)
def test_the_confusion_matrix_is_drawn_as_it_is(labels_and_answers):
    labels, answers = labels_and_answers
    counts = 400 * watch.confusion_matrix(labels, answers)
    (axes,) = watch.draw_confusion(counts).axes
    (image,) = axes.images
    shown = image.get_array()
    np.testing.assert_array_equal(shown.mask, np.eye(10, dtype=bool))
    off_diagonal = ~np.eye(10, dtype=bool)
    np.testing.assert_array_equal(shown[off_diagonal], counts[off_diagonal])

    written = np.zeros((10, 10), int)
    shares = {}
    for text in axes.texts:
        j, i = text.get_position()
        if j < 9.5:
            written[int(i), int(j)] = int(text.get_text().replace(",", ""))
        else:
            shares[int(i)] = text.get_text()
    np.testing.assert_array_equal(written, counts)
    for digit, share in shares.items():
        of_digit = labels == digit
        right = np.mean(answers[of_digit] == digit) if of_digit.any() else 0
        assert share == f"{right:.1%} right"
    assert shares.keys() == set(range(10))

    wrong = counts[off_diagonal].sum()
    title = axes.get_title()
    assert title.startswith(f"{wrong:,} of {counts.sum():,} digits are misread")
    if wrong:
        digit, answer = map(int, title.split("most often ")[1].split(" as "))
        assert digit != answer
        assert counts[digit, answer] == counts[off_diagonal].max()
    else:
        assert "most often" not in title


@pytest.mark.parametrize("yscale", ["linear", "log"])
def test_a_curve_for_each_layer_with_its_label_at_its_end(yscale):
    rng = np.random.default_rng(14)
    panels = {"one": rng.random((8, 3)), "two": rng.random((5, 6)) + 0.01}
    panels["one"][-1] = 0.2, 0.9, 0.5  # apart
    panels["two"][-1] = 0.5  # all at one place
    figure = watch.draw_layers(panels, "Title", "norm", yscale=yscale)
    one, two = figure.axes
    for axes, (name, values) in zip(figure.axes, panels.items()):
        assert axes.get_title() == name
        assert axes.get_yscale() == yscale
        curves = [line.get_ydata() for line in axes.lines]
        np.testing.assert_array_equal(np.transpose(curves), values)
        labels = {t.get_text(): t.get_color() for t in axes.texts}
        assert labels == {f"layer {i}": c for i, c in colours(axes)}
    assert (one.get_ylabel(), two.get_ylabel()) == ("norm", "")

    figure.draw_without_rendering()
    for text in one.texts:
        height = text.get_transform().transform(text.get_position())[1]
        end = panels["one"][-1, int(text.get_text().split()[1]) - 1]
        assert height == pytest.approx(one.transData.transform((7, end))[1])
    boxes = sorted((t.get_window_extent() for t in two.texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))


def colours(axes):
    return [(i, line.get_color()) for i, line in enumerate(axes.lines, 1)]
