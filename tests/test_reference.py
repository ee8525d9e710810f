"""The judge is judged by differences; then the engine is judged by the judge."""

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import losses, reference

COSTS = ["mse", "cross-entropy"]

sizes = st.lists(st.integers(1, 6), min_size=2, max_size=5)
batches = st.integers(1, 7)
costs = st.sampled_from(COSTS)
strengths = st.sampled_from([0.0, 0.1, 5.0])
training_sets = st.sampled_from([None, 1, 50])
seeds = st.integers(0, 2**32 - 1)


def task(sizes, batch, seed):
    """Draw a network and examples for it, targets from 0 to 1."""
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((n_out, n_in)) for n_in, n_out in pairwise(sizes)]
    biases = [rng.standard_normal(n_out) for n_out in sizes[1:]]
    x = rng.standard_normal((batch, sizes[0]))
    y = rng.uniform(0, 1, (batch, sizes[-1]))
    if seed % 2:
        y = np.round(y)
    return weights, biases, x, y


def assert_close(gradients, expected, tolerance):
    """Compare relative to the largest element of each array."""
    for found, wanted in zip(chain(*gradients), chain(*expected), strict=True):
        assert found.shape == wanted.shape
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(
            found, wanted, rtol=tolerance, atol=tolerance * scale
        )


# --- The judge ------------------------------------------------------------------------


@given(sizes, batches, costs, strengths, training_sets, seeds)
def test_the_gradients_are_those_of_central_differences(
    sizes, batch, kind, lam, n, seed
):
    weights, biases, x, y = task(sizes, batch, seed)
    step = 2.0**-17

    def slope(array, place):
        value = array[place]
        array[place] = value + step
        up = reference.cost(weights, biases, x, y, kind, lam, n)
        array[place] = value - step
        down = reference.cost(weights, biases, x, y, kind, lam, n)
        array[place] = value
        return (up - down) / (2 * step)

    gradients = reference.gradients(weights, biases, x, y, kind, lam, n)
    rng = np.random.default_rng(seed)
    for arrays, found in zip((weights, biases), gradients):
        for array, gradient in zip(arrays, found):
            place = tuple(rng.integers(0, array.shape))
            expected = slope(array, place)
            np.testing.assert_allclose(gradient[place], expected, rtol=1e-6, atol=1e-8)


@given(sizes, batches, costs, strengths, training_sets, seeds)
def test_batch_at_once_is_one_example_at_a_time(sizes, batch, kind, lam, n, seed):
    weights, biases, x, y = task(sizes, batch, seed)
    assert_close(
        reference.gradients(weights, biases, x, y, kind, lam, n),
        reference.per_example_gradients(weights, biases, x, y, kind, lam, n),
        1e-12,
    )


@given(sizes, batches, costs, seeds)
def test_the_gradients_are_the_mean_of_backprop(sizes, batch, kind, seed):
    weights, biases, x, y = task(sizes, batch, seed)
    examples = [reference.backprop(weights, biases, *one, kind) for one in zip(x, y)]
    mean = tuple(
        [sum(layer) / batch for layer in zip(*(example[part] for example in examples))]
        for part in (0, 1)
    )
    assert_close(reference.gradients(weights, biases, x, y, kind), mean, 1e-12)


@pytest.mark.parametrize("kind", COSTS)
def test_cost_is_that_of_the_formula(kind):
    weights, biases, x, y = task([2, 3, 2], 4, seed=0)
    h = reference.feedforward(weights, biases, x)
    total = 0.0
    for target, output in zip(y, h):
        for t, o in zip(target, output):
            if kind == "mse":
                total += (t - o) ** 2 / 2
            else:
                total -= t * np.log(o) + (1 - t) * np.log(1 - o)
    squares = sum(v**2 for w in weights for v in w.ravel())
    found = reference.cost(weights, biases, x, y, kind, lam=0.3, n=50)
    np.testing.assert_allclose(found, total / 4 + 0.3 / (2 * 50) * squares, rtol=1e-14)
    found = reference.cost(weights, biases, x, y, kind, lam=0.3)
    np.testing.assert_allclose(found, total / 4 + 0.3 / (2 * 4) * squares, rtol=1e-14)


def test_cost_knows_that_zero_log_zero_is_zero():
    weights, biases = [np.full((1, 1), 1000.0)], [np.zeros(1)]
    x = y = np.ones((1, 1))
    assert reference.cost(weights, biases, x, y, "cross-entropy") == 0.0


def test_feedforward_is_sigmoid_after_sigmoid():
    weights, biases, x, _ = task([2, 3, 1], 4, seed=0)
    hidden = 1 / (1 + np.exp(-(x @ weights[0].T + biases[0])))
    expected = 1 / (1 + np.exp(-(hidden @ weights[1].T + biases[1])))
    found = reference.feedforward(weights, biases, x)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_sigmoid_prime_is_the_slope_of_sigmoid():
    z, step = np.linspace(-5, 5, 21), 2.0**-17
    slope = (reference.sigmoid(z + step) - reference.sigmoid(z - step)) / (2 * step)
    np.testing.assert_allclose(reference.sigmoid_prime(z), slope, rtol=1e-8)


def test_nothing_passed_in_is_changed():
    given = task([2, 3, 1], 4, seed=0)
    weights, biases, x, y = task([2, 3, 1], 4, seed=0)
    for kind in COSTS:
        reference.cost(weights, biases, x, y, kind, lam=0.1)
        reference.gradients(weights, biases, x, y, kind, lam=0.1)
        reference.per_example_gradients(weights, biases, x, y, kind, lam=0.1)
    for found, expected in zip(
        [*weights, *biases, x, y], [*given[0], *given[1], *given[2:]]
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "function",
    [
        reference.cost,
        reference.gradients,
        reference.per_example_gradients,
        lambda w, b, x, y, kind: reference.backprop(w, b, x[0], y[0], kind),
    ],
)
def test_an_unknown_cost_is_told_the_known_ones(function):
    with pytest.raises(ValueError, match=r"'mse', 'cross-entropy'.*not 'huber'"):
        function(*task([2, 1], 3, seed=0), "huber")


# --- The engine -----------------------------------------------------------------------


def engine_gradients(weights, biases, x, y, loss, lam=0.0, n=None):
    model = tg.nn.MLP([w.shape[1] for w in weights] + [len(biases[-1])])
    for p, value in zip(model.parameters(), [*weights, *biases]):
        p.data[...] = value
    cost = loss(model, x, y)
    if lam:
        cost = cost + losses.l2(model.weights, lam, n or len(x))
    cost.backward()
    gradients = (
        [w.grad.data for w in model.weights],
        [b.grad.data for b in model.biases],
    )
    return cost.item(), gradients


LOSSES = [
    ("mse", lambda model, x, y: losses.mse(model(x), y)),
    ("cross-entropy", lambda model, x, y: losses.cross_entropy(model(x), y)),
    (
        "cross-entropy",
        lambda model, x, y: losses.cross_entropy_with_logits(model.logits(x), y),
    ),
]


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
@given(sizes=sizes, batch=batches, lam=strengths, n=training_sets, seed=seeds)
def test_the_engines_gradients_are_those_of_the_textbook(
    kind, loss, sizes, batch, lam, n, seed
):
    weights, biases, x, y = task(sizes, batch, seed)
    value, found = engine_gradients(weights, biases, x, y, loss, lam, n)
    expected = reference.cost(weights, biases, x, y, kind, lam, n)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for formula in (reference.gradients, reference.per_example_gradients):
        assert_close(found, formula(weights, biases, x, y, kind, lam, n), 1e-12)


@given(sizes=sizes, seed=seeds)
def test_the_cross_entropy_gradient_of_the_last_layer_is_error_times_activation(
    sizes, seed
):
    """dJ/dtheta = 1/n sum_i (a_i - y_i) times the *previous* layer's activation."""
    weights, biases, x, y = task(sizes, 3, seed)
    _, (dw, db) = engine_gradients(weights, biases, x, y, LOSSES[2][1])
    before = reference.feedforward(weights[:-1], biases[:-1], x)
    error = reference.feedforward(weights, biases, x) - y
    expected = sum(np.outer(e, a) for e, a in zip(error, before)) / 3
    assert_close(([dw[-1]], [db[-1]]), ([expected], [error.mean(axis=0)]), 1e-12)


# --- The table of the two-layer scalar example ----------------------------------------

X, Y, W1, W2 = 0.7, 0.2, -1.3, 0.9
Z1 = X * W1
H1 = 1 / (1 + np.exp(-Z1))
Z2 = H1 * W2
H2 = 1 / (1 + np.exp(-Z2))

# function, where it is differentiated, what the table says
TABLE = {
    "dLoss/dh2": (lambda h2: 0.5 * (Y - h2) ** 2, H2, -(Y - H2)),
    "dh2/dz2": (tg.sigmoid, Z2, H2 * (1 - H2)),
    "dz2/dw2": (lambda w2: H1 * w2, W2, H1),
    "dz2/dh1": (lambda h1: h1 * W2, H1, W2),
    "dh1/dz1": (tg.sigmoid, Z1, H1 * (1 - H1)),
    "dz1/dw1": (lambda w1: X * w1, W1, X),
}


@pytest.mark.parametrize("line", TABLE)
def test_a_line_of_the_table_of_local_derivatives(line):
    function, at, derivative = TABLE[line]
    leaf = tg.Tensor(at, requires_grad=True)
    function(leaf).backward(gradient=-0.37)
    np.testing.assert_allclose(leaf.grad.item(), -0.37 * derivative, rtol=1e-14)


def test_the_chain_of_the_table():
    w1, w2 = tg.Tensor(W1, requires_grad=True), tg.Tensor(W2, requires_grad=True)
    loss = 0.5 * (Y - tg.sigmoid(tg.sigmoid(X * w1) * w2)) ** 2
    loss.backward()
    factor = {line: derivative for line, (_, _, derivative) in TABLE.items()}
    shared = factor["dLoss/dh2"] * factor["dh2/dz2"]
    chain = shared * factor["dz2/dh1"] * factor["dh1/dz1"] * factor["dz1/dw1"]
    np.testing.assert_allclose(w1.grad.item(), chain, rtol=1e-14)
    np.testing.assert_allclose(w2.grad.item(), shared * factor["dz2/dw2"], rtol=1e-14)
