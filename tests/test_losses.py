"""Losses: the formulas of the textbook, exact in the tails, and no broadcasting."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from leaves import leaf

import tinygrad_edu as tg
from tinygrad_edu import losses

PAIRED = {
    "mse": losses.mse,
    "cross_entropy": losses.cross_entropy,
    "cross_entropy_with_logits": losses.cross_entropy_with_logits,
    "softmax_cross_entropy": losses.softmax_cross_entropy,
}
each_loss = pytest.mark.parametrize("name", PAIRED)


def wide(*arrays):
    """Convert to NumPy's widest float, in which the formulas are judged."""
    return [np.asarray(array, np.longdouble) for array in arrays]


def value_and_gradient(loss, prediction, target, c=1.0):
    """Return both for c times the loss: `c` is the random cotangent."""
    x = leaf(prediction)
    y = loss(x, target)
    assert y.shape == ()
    y.backward(c)
    return y.item(), x.grad.data


# --- The formulas ---------------------------------------------------------------------


def mse_by_hand(h, y):
    h, y = wide(h, y)
    return np.sum((y - h) ** 2) / (2 * len(h)), (h - y) / len(h)


def cross_entropy_by_hand(h, y):
    h, y = wide(h, y)
    value = -np.sum(y * np.log(h) + (1 - y) * np.log1p(-h)) / len(h)
    return value, (h - y) / (h * (1 - h)) / len(h)


def cross_entropy_with_logits_by_hand(z, y):
    z, y = wide(z, y)
    h = 1 / (1 + np.exp(-z))
    return cross_entropy_by_hand(h, y)[0], (h - y) / len(z)


def softmax_cross_entropy_by_hand(z, y):
    z, y = wide(z, y)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    total = y.sum(axis=-1, keepdims=True)
    n = len(z) if z.ndim > 1 else 1  # a vector has the classes of one example
    return -np.sum(y * np.log(p)) / n, (p * total - y) / n


BY_HAND = {
    "mse": mse_by_hand,
    "cross_entropy": cross_entropy_by_hand,
    "cross_entropy_with_logits": cross_entropy_with_logits_by_hand,
    "softmax_cross_entropy": softmax_cross_entropy_by_hand,
}


@each_loss
@given(
    shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=5),
    seed=st.integers(0, 2**32 - 1),
)
def test_value_and_gradient_are_those_of_the_formula(name, shape, seed):
    rng = np.random.default_rng(seed)
    prediction = rng.uniform(0.01, 0.99, shape)
    if "softmax" in name or "logits" in name:
        prediction = rng.uniform(-5.0, 5.0, shape)
    target, c = rng.uniform(0, 1, shape), rng.standard_normal()
    value, gradient = value_and_gradient(PAIRED[name], prediction, target, c)
    expected, expected_gradient = BY_HAND[name](prediction, target)
    np.testing.assert_allclose(value, float(expected), rtol=1e-12)
    expected_gradient = (c * expected_gradient).astype(float)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-11, atol=1e-14)


@each_loss
def test_both_sides_have_their_gradients(name, rng):
    """A target may be computed as well: the teacher of another network, say."""
    h, y = leaf(rng.uniform(0.2, 0.8, (3, 2))), leaf(rng.uniform(0.2, 0.8, (3, 2)))
    c, v, step = rng.standard_normal(), rng.standard_normal((3, 2)), 2.0**-17
    PAIRED[name](h, y).backward(c)
    up, down = (PAIRED[name](h.data, y.data + s * v) for s in (step, -step))
    slope = c * (float(up) - float(down)) / (2 * step)
    np.testing.assert_allclose(np.vdot(y.grad.data, v), slope, rtol=1e-7)


@each_loss
def test_targets_may_be_lists_arrays_or_tensors(name, rng):
    h, y = leaf(rng.uniform(0.2, 0.8, (3, 2))), rng.uniform(0, 1, (3, 2))
    values = {PAIRED[name](h, t).item() for t in (y, y.tolist(), tg.Tensor(y))}
    assert len(values) == 1


@each_loss
def test_targets_may_be_integers_or_booleans(name):
    h = leaf([[0.25, 0.75], [0.5, 0.5]])
    y = np.array([[0, 1], [1, 0]])
    expected = PAIRED[name](h, y.astype(float)).item()
    assert PAIRED[name](h, y).item() == expected
    assert PAIRED[name](h, y.tolist()).item() == expected


def test_the_two_forms_of_cross_entropy_agree(rng):
    z, y = rng.uniform(-5, 5, (4, 3)), rng.uniform(0, 1, (4, 3))
    from_logits = value_and_gradient(losses.cross_entropy_with_logits, z, y)
    x = leaf(z)
    from_h = losses.cross_entropy(x.sigmoid(), y)
    from_h.backward()
    np.testing.assert_allclose(from_h.item(), from_logits[0], rtol=1e-13)
    np.testing.assert_allclose(x.grad.data, from_logits[1], rtol=1e-11)


@each_loss
def test_losses_are_plain_functions_of_arrays_too(name, rng):
    h, y = rng.uniform(0.2, 0.8, (3, 2)), rng.uniform(0, 1, (3, 2))
    value = PAIRED[name](h, y)
    assert value == PAIRED[name](h.tolist(), y.tolist())
    assert not isinstance(value, tg.Tensor)
    assert float(value) == PAIRED[name](leaf(h), y).item()


@each_loss
def test_losses_stay_float32(name, rng):
    h = leaf(rng.uniform(0.2, 0.8, (3, 2)), dtype=np.float32)
    loss = PAIRED[name](h, rng.uniform(0, 1, (3, 2)).astype(np.float32))
    assert loss.dtype == np.float32
    loss.backward()
    assert h.grad.dtype == np.float32


# --- Shapes ---------------------------------------------------------------------------


@each_loss
@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        ((4, 1), (4,)),
        ((4,), (4, 1)),
        ((4, 1), (1, 4)),
        ((4, 2), (4, 1)),
        ((4, 1), ()),
        ((4, 2), (2,)),
        ((1, 4, 2), (4, 2)),
    ],
)
@pytest.mark.parametrize("wrap", [np.asarray, tg.Tensor, np.ndarray.tolist])
def test_a_loss_does_not_broadcast(name, prediction, target, wrap):
    h = leaf(np.full(prediction, 0.5))
    message = f"{name}: the prediction has shape {prediction}, the target {target}; "
    with pytest.raises(ValueError, match=re.escape(message)):
        PAIRED[name](h, wrap(np.full(target, 0.5)))


@each_loss
def test_a_loss_of_no_examples_is_an_error_that_names_it(name):
    with pytest.raises(ValueError, match=f"{name}: "):
        PAIRED[name](leaf(np.empty((0, 2))), np.empty((0, 2)))


# --- Tails ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_log_zero_is_zero(dtype):
    """Right and certain: the value is exactly 0, and the gradient finite."""
    h = np.array([[0.0, 1.0], [1.0, 0.0]], dtype)
    value, gradient = value_and_gradient(losses.cross_entropy, h, h.copy())
    assert value == 0.0
    np.testing.assert_array_equal(gradient, np.array([[1, -1], [-1, 1]], dtype) / 2)


def test_wrong_and_certain_is_infinitely_bad():
    h, y = np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]])
    with np.errstate(divide="ignore"):
        value, gradient = value_and_gradient(losses.cross_entropy, h, y)
    assert value == np.inf
    assert gradient.tolist() == [[-np.inf], [np.inf]]


def test_small_probabilities_are_told_apart():
    """It is log1p(-h), and not the log of a rounded 1 - h."""
    h, y = np.array([[1e-20]]), np.array([[0.0]])
    value, gradient = value_and_gradient(losses.cross_entropy, h, y)
    assert value == 1e-20
    assert gradient == [[1.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_a_thousand_are_exact(dtype):
    z = np.array([[1000.0], [-1000.0], [1000.0], [-1000.0]], dtype)
    y = np.array([[1.0], [0.0], [0.0], [1.0]], dtype)
    value, gradient = value_and_gradient(losses.cross_entropy_with_logits, z, y)
    assert value == 500.0
    assert gradient.ravel().tolist() == [0.0, 0.0, 0.25, -0.25]


def test_logits_in_the_tails_keep_their_accuracy():
    z = np.array([[40.0], [-40.0]])
    y = np.array([[1.0], [0.0]])
    value, gradient = value_and_gradient(losses.cross_entropy_with_logits, z, y)
    small = float(np.exp(np.longdouble(-40)))
    np.testing.assert_allclose(gradient[1], small / 2, rtol=1e-14)
    np.testing.assert_allclose(value, small, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_of_logits_of_a_thousand_is_exact(dtype):
    z = np.array([[1000.0, 0.0, -1000.0], [0.0, 1000.0, 0.0]], dtype)
    y = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype)
    value, gradient = value_and_gradient(losses.softmax_cross_entropy, z, y)
    assert value == 500.0
    assert gradient.tolist() == [[0.0, 0.0, 0.0], [0.0, 0.5, -0.5]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_impossible_classes_may_have_a_logit_of_minus_infinity(dtype):
    z = np.array([[0.5, -np.inf, 1.5], [-np.inf, 2.0, -np.inf]], dtype)
    y = np.array([[0.25, 0.0, 0.75], [0.0, 1.0, 0.0]], dtype)
    value, gradient = value_and_gradient(losses.softmax_cross_entropy, z, y)
    possible = softmax_cross_entropy_by_hand(z[:1, [0, 2]], y[:1, [0, 2]])
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(value, float(possible[0]) / 2, rtol=tolerance)
    expected = np.zeros((2, 3))
    expected[0, [0, 2]] = possible[1][0] / 2
    np.testing.assert_allclose(gradient, expected, rtol=tolerance, atol=tolerance)


def test_an_impossible_class_that_came_true_is_infinitely_bad():
    z, y = leaf([[0.0, -np.inf]]), np.array([[0.0, 1.0]])
    assert losses.softmax_cross_entropy(z, y).item() == np.inf


# --- L2 -------------------------------------------------------------------------------


def test_l2_is_that_of_the_formula(rng):
    weights = [leaf(rng.standard_normal((3, 2))), leaf(rng.standard_normal((1, 3)))]
    c = rng.standard_normal()
    penalty = losses.l2(weights, lam=0.3, n=50)
    expected = 0.3 / (2 * 50) * sum(np.sum(wide(w.data)[0] ** 2) for w in weights)
    np.testing.assert_allclose(penalty.item(), float(expected), rtol=1e-14)
    penalty.backward(c)
    for w in weights:
        np.testing.assert_allclose(w.grad.data, c * 0.3 / 50 * w.data, rtol=1e-14)


def test_l2_counts_weights_and_never_biases(rng):
    model = tg.nn.MLP([2, 3, 1], rng=0)
    losses.l2(model.weights, lam=0.3, n=4).backward()
    for w in model.weights:
        np.testing.assert_allclose(w.grad.data, 0.3 / 4 * w.data, rtol=1e-14)
    assert [b.grad for b in model.biases] == [None, None]


def test_l2_takes_one_weight_or_an_iterator(rng):
    w = leaf(rng.standard_normal((3, 2)))
    expected = losses.l2([w], 0.3, 4).item()
    assert losses.l2(w, 0.3, 4).item() == expected
    assert losses.l2(iter([w]), 0.3, 4).item() == expected


def test_l2_stays_float32():
    w = leaf([[1.0, 2.0]], dtype=np.float32)
    penalty = losses.l2([w, w], lam=0.3, n=4)
    assert penalty.dtype == np.float32
    penalty.backward()
    assert w.grad.dtype == np.float32


def test_l2_of_no_weights_is_an_error():
    with pytest.raises(ValueError, match=r"l2: .*pass model\.weights"):
        losses.l2([], 0.3, 4)


@pytest.mark.parametrize("n", [0, -1])
def test_l2_wants_the_size_of_the_training_set(n):
    with pytest.raises(ValueError, match=f"l2: .*training set, .*, not {n}"):
        losses.l2([leaf([1.0])], 0.3, n)


# --- Probabilities --------------------------------------------------------------------

WITH_TARGETS_IN_UNIT = [name for name in PAIRED if name != "mse"]
each_wrap = pytest.mark.parametrize("wrap", [np.asarray, leaf, np.ndarray.tolist])


@each_wrap
@pytest.mark.parametrize("wrong", [-1.0, -5e-324, np.nextafter(1, 2), 2.0, np.inf])
def test_predictions_that_are_no_probabilities_are_refused(wrong, wrap):
    h, y = np.array([[0.5, wrong]]), np.array([[1.0, 0.0]])
    with pytest.raises(ValueError, match="cross_entropy: the prediction has") as caught:
        losses.cross_entropy(wrap(h), y)
    assert f"from {h.min()} to {h.max()}, but probab" in str(caught.value)
    assert "call cross_entropy_with_logits()" in str(caught.value)


@each_wrap
@pytest.mark.parametrize("wrong", [-1.0, -5e-324, np.nextafter(1, 2), 2.0, -np.inf])
@pytest.mark.parametrize("name", WITH_TARGETS_IN_UNIT)
def test_targets_that_are_no_probabilities_are_refused(name, wrong, wrap):
    h, y = np.array([[0.5, 0.5]]), np.array([[wrong, 0.0]])
    message = f"{name}: the target has numbers from {y.min()} to {y.max()}, but"
    with pytest.raises(ValueError, match=re.escape(message)):
        PAIRED[name](h, wrap(y))
    with pytest.raises(ValueError, match=r"target has numbers from 0 to 3, .*one-hot"):
        PAIRED[name](h, [[3, 0]])


@pytest.mark.parametrize("name", WITH_TARGETS_IN_UNIT)
def test_both_ends_of_the_interval_are_probabilities(name):
    h, y = leaf([[1.0, 0.0]]), np.array([[1.0, 0.0]])
    assert np.isfinite(PAIRED[name](h, y).item())
    assert PAIRED[name](h, np.array([[True, False]])).item() >= 0


@pytest.mark.parametrize("name", WITH_TARGETS_IN_UNIT)
def test_a_nan_goes_through_as_nan(name):
    h = np.array([[0.5, 0.5]])
    assert np.isnan(PAIRED[name](h, [[np.nan, 1.0]]))
    if name == "cross_entropy":
        assert np.isnan(PAIRED[name]([[np.nan, 0.5]], h))


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_with_logits"])
def test_examples_without_outputs_have_the_loss_zero(name):
    assert PAIRED[name](np.zeros((3, 0)), np.zeros((3, 0))) == 0


def test_what_a_program_is_recorded_with_is_checked():
    program = tg.compile(losses.cross_entropy)
    y = np.array([[1.0, 0.0]])
    with pytest.raises(ValueError, match="cross_entropy: the prediction has numbers"):
        program(np.array([[2.0, 0.5]]), y)
    with pytest.raises(ValueError, match="cross_entropy: the target has numbers"):
        program(np.array([[0.5, 0.5]]), 3 * y)
    expected = losses.cross_entropy([[0.5, 0.25]], y)
    assert program(np.array([[0.5, 0.25]]), y) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5)])
@pytest.mark.parametrize("wrap", [np.asarray, tg.Tensor, np.ndarray.tolist])
def test_labels_are_the_numbers_of_classes(wrap, shape, dtype, rng):
    z, c = rng.standard_normal(shape).astype(dtype), rng.standard_normal()
    labels = rng.integers(shape[-1], size=shape[:-1])
    rows = np.eye(shape[-1])[labels]
    expected = value_and_gradient(losses.softmax_cross_entropy, z, rows, c)
    found = value_and_gradient(losses.softmax_cross_entropy, z, wrap(labels), c)
    for x, y in zip(found, expected):
        np.testing.assert_allclose(x, y, rtol=1e-6 if dtype == np.float32 else 1e-13)
    assert found[1].dtype == dtype


def test_a_vector_of_logits_is_one_example(rng):
    z, labels = rng.standard_normal((4, 3)), np.array([2, 0, 1, 2])
    loss = losses.softmax_cross_entropy
    of_each = tg.vmap(loss)(z, labels)
    expected = [loss(z[i : i + 1], labels[i : i + 1]) for i in range(4)]
    np.testing.assert_allclose(of_each, expected, rtol=1e-14)
    assert loss(z[0], 2) == pytest.approx(expected[0], rel=1e-14)
    assert loss(z[0], [0, 0, 1]) == pytest.approx(expected[0], rel=1e-14)


@each_loss
@pytest.mark.parametrize("wrap", [np.asarray, tg.Tensor, np.ndarray.tolist])
def test_integer_targets_leave_the_dtype_of_the_prediction(name, wrap, rng):
    h = rng.uniform(0.1, 0.9, (2, 3)).astype(np.float32)
    rows, c = np.eye(3, dtype=int)[[2, 0]], rng.standard_normal()
    x = leaf(h)
    y = PAIRED[name](x, wrap(rows))
    y.backward(c)
    assert y.dtype == x.grad.dtype == np.float32
    expected = value_and_gradient(PAIRED[name], h.astype(float), rows, c)
    np.testing.assert_allclose(y.data, expected[0], rtol=1e-6)
    np.testing.assert_allclose(x.grad.data, expected[1], rtol=1e-5)


def test_integer_targets_keep_their_numbers_if_the_prediction_is_of_integers_too():
    """Only floats take them in: 8 bits would make 44 of 300."""
    loss = losses.mse(np.array([[100]], np.int8), np.array([[300]]))
    assert loss == 0.5 * (100 - 300) ** 2


def test_integer_targets_keep_their_name_in_an_explanation():
    x, y = np.array([[0.0], [1.0]]), np.array([[0], [1]])
    w = leaf([[0.5]])
    assert "y = [[0], [1]]" in str(tg.explain(losses.mse(x @ w, y)))


def test_a_compiled_loss_reads_labels_afresh_and_checks_them(rng):
    z = rng.standard_normal((4, 3))
    loss = tg.compile(lambda labels: losses.softmax_cross_entropy(z, labels))
    for labels in np.array([[0, 2, 1, 1], [2, 2, 0, 1]]):
        expected = losses.softmax_cross_entropy(z, np.eye(3)[labels])
        np.testing.assert_allclose(loss(labels), expected, rtol=1e-14)
    with pytest.raises(ValueError, match="labels go from 0 to 3, but the 3 classes"):
        loss(np.array([0, 1, 2, 3]))


@pytest.mark.parametrize("wrong", [[0, 3], [-1, 0], [-100, 2]])
def test_a_label_that_is_no_class_is_refused(wrong):
    message = f"labels go from {min(wrong)} to {max(wrong)}, but the 3 .* 0 to 2$"
    with pytest.raises(ValueError, match=message):
        losses.softmax_cross_entropy(np.zeros((2, 3)), wrong)


@each_loss
def test_labels_are_told_to_become_one_hot_rows(name):
    z, labels = leaf(np.full((2, 3), 0.5)), np.array([2, 0])
    if name != "softmax_cross_entropy":  # which takes labels
        with pytest.raises(ValueError, match=re.escape("np.eye(3)[labels])")):
            PAIRED[name](z, labels)
    with pytest.raises(ValueError, match=re.escape("np.eye(3)[labels][:, 0])")):
        PAIRED[name](z, tg.Tensor(labels[:, None]))
    softmax = name == "softmax_cross_entropy"
    message = "labels.astype(int))" if softmax else "reshape the wrong one"
    with pytest.raises(ValueError, match=re.escape(message)):
        PAIRED[name](z, labels.astype(float))
    for other in (labels[:1], np.array([[1, 0]])):
        with pytest.raises(ValueError, match="reshape the wrong one"):
            PAIRED[name](z, other)
    with pytest.raises(ValueError, match="reshape the wrong one"):
        PAIRED[name](z[:, :1], labels.astype(float))
