"""The ops that examples/convolution.py declares, and the network built of them."""

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order

if not all(map(find_spec, ("matplotlib", "rich"))):
    pytest.skip("the extra named examples is not installed", allow_module_level=True)

properties = settings(
    deadline=None,
    max_examples=50,
    # The ops are the same in all examples, and no example changes them.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
sides = st.integers(1, 4)


@pytest.fixture
def lenet(monkeypatch):
    """Import the example anew, since its ops leave the table after each test."""
    for name in ("convolution", "train_lenet"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return import_module("train_lenet")


@pytest.fixture
def ops(lenet):
    return lenet.convolution


@pytest.fixture(scope="module")
def digits():
    return tg.data.mnist_5k()


@st.composite
def convolutions(draw):
    """Draw images and kernels that fit on them, of small whole numbers."""
    c, o, a, b, p, q, n = draw(st.tuples(*[sides] * 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.integers(-4, 5, (c, p + a - 1, q + b - 1, n)).astype(float)
    return x, rng.integers(-4, 5, (o, c, a, b)).astype(float)


def gradients(f, *inputs, g):
    """Return the gradients of f by each input, for the gradient g of its answer."""
    leaves = [tg.Tensor(x, requires_grad=True) for x in inputs]
    f(*leaves).backward(g)
    return [leaf.grad.numpy() for leaf in leaves]


def random(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# --- Against loops --------------------------------------------------------------------


def by_loops(x, w, g=None):
    """Return the convolution; or given its gradient, those of the images and kernels.

    One product after the other, by the definition.
    """
    (c, h, width, n), (o, _, a, b) = x.shape, w.shape
    y = np.zeros((o, h - a + 1, width - b + 1, n))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    every = [range(size) for size in (*y.shape, c, a, b)]
    for i, p, q, j, k, l, m in product(*every):  # noqa: E741
        pixel, weight = (k, p + l, q + m, j), (i, k, l, m)
        y[i, p, q, j] += w[weight] * x[pixel]
        if g is not None:
            dx[pixel] += w[weight] * g[i, p, q, j]
            dw[weight] += x[pixel] * g[i, p, q, j]
    return y if g is None else (dx, dw)


@properties
@given(convolutions())
def test_a_convolution_is_what_its_definition_says(ops, inputs):
    x, w = inputs
    np.testing.assert_array_equal(ops.conv2d(x, w), by_loops(x, w))


@properties
@given(convolutions())
def test_its_gradients_are_what_its_definition_says(ops, inputs):
    x, w = inputs
    y = ops.conv2d(x, w)
    g = np.random.default_rng(y.size).integers(-4, 5, y.shape)
    for found, expected in zip(gradients(ops.conv2d, x, w, g=g), by_loops(x, w, g)):
        np.testing.assert_array_equal(found, expected)


@properties
@given(convolutions())
def test_windows_are_what_is_cut_out(ops, inputs):
    x, w = inputs
    a, b = w.shape[2:]
    v = ops.windows(x, size=(a, b))
    assert np.shares_memory(v, x)
    for p, q in np.ndindex(v.shape[3:5]):
        expected = x[:, p : p + a, q : q + b]
        np.testing.assert_array_equal(v[:, :, :, p, q], expected)


@properties
@given(convolutions())
def test_overlapping_windows_count_each_pixel_as_often_as_it_is_seen(ops, inputs):
    x, w = inputs
    (_, h, width, _), (*_, a, b) = x.shape, w.shape
    again = ops.overlap_add(ops.windows(x, size=(a, b)))
    seen = [
        np.convolve(np.ones(m - k + 1), np.ones(k)) for m, k in [(h, a), (width, b)]
    ]
    np.testing.assert_array_equal(again, x * np.outer(*seen)[:, :, None])


@properties
@given(*[sides] * 4, st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_pooling_takes_the_largest_of_each_square(ops, c, p, q, n, size, seed):
    x = np.random.default_rng(seed).integers(-9, 9, (c, p * size, q * size, n))
    x = x.astype(float)
    y = ops.max_pool(x, size=size)
    g = random(y.shape, seed)
    expected = np.zeros_like(x)
    for i, r, s, j in np.ndindex(y.shape):
        square = (
            i,
            slice(r * size, (r + 1) * size),
            slice(s * size, (s + 1) * size),
            j,
        )
        assert y[i, r, s, j] == x[square].max()
        ties = x[square] == x[square].max()
        expected[square] = ties * g[i, r, s, j] / ties.sum()
    (found,) = gradients(lambda x: ops.max_pool(x, size=size), x, g=g)
    np.testing.assert_allclose(found, expected, rtol=1e-15)


# --- Against other ways to say the same -----------------------------------------------


@properties
@given(convolutions())
def test_the_gradient_by_the_images_is_a_convolution_too(ops, inputs):
    """With the kernels turned round, over a margin as wide as they overlap."""
    x, w = inputs
    a, b = w.shape[2:]
    g = random(ops.conv2d(x, w).shape)
    margins = (0, 0), (a - 1, a - 1), (b - 1, b - 1), (0, 0)
    turned = w[:, :, ::-1, ::-1].swapaxes(0, 1)
    found, _ = gradients(ops.conv2d, x, w, g=g)
    expected = ops.conv2d(np.pad(g, margins), turned)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@properties
@given(convolutions())
def test_the_rules_give_what_falls_out_of_a_composition(ops, inputs):
    x, w = inputs

    def composed(x, w):
        return tg.tensordot(w, ops.windows(x, size=w.shape[2:]), axes=3)

    g = random(ops.conv2d(x, w).shape)
    pairs = zip(gradients(ops.conv2d, x, w, g=g), gradients(composed, x, w, g=g))
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@settings(properties, max_examples=20)
@given(convolutions())
def test_it_agrees_with_pytorch_in_first_and_second_order(ops, inputs):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x, w = (random(array.shape, i) for i, array in enumerate(inputs))
    g, v = random(ops.conv2d(x, w).shape, 2), random(x.shape, 3)

    def layer(x, w):
        return tg.tanh(ops.conv2d(x, w))

    def theirs(x, w):
        y = torch.nn.functional.conv2d(x.permute(3, 0, 1, 2), w)
        return torch.tanh(y.permute(1, 2, 3, 0))

    tensors = [torch.tensor(array, requires_grad=True) for array in (x, w)]
    y = theirs(*tensors)
    first = torch.autograd.grad(y, tensors, torch.tensor(g), create_graph=True)
    second = torch.autograd.grad((first[0] * torch.tensor(v)).sum(), tensors)

    leaves = [tg.Tensor(array, requires_grad=True) for array in (x, w)]
    mine = layer(*leaves)
    mine.backward(g, create_graph=True)
    found = [leaf.grad for leaf in leaves]
    for leaf in leaves:
        leaf.zero_grad()
    (found[0] * v).sum().backward()
    found += [leaf.grad for leaf in leaves]

    np.testing.assert_allclose(mine.numpy(), y.detach(), rtol=1e-9, atol=1e-9)
    for ours, expected in zip(found, (*first, *second)):
        np.testing.assert_allclose(
            ours.numpy(), expected.detach(), rtol=1e-9, atol=1e-9
        )


@properties
@given(*[sides] * 4, st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_pooling_agrees_with_pytorch(ops, c, p, q, n, size, seed):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x, g = random((c, p * size, q * size, n), seed), random((c, p, q, n), seed + 1)
    theirs = torch.tensor(x.transpose(3, 0, 1, 2), requires_grad=True)
    y = torch.nn.functional.max_pool2d(theirs, size)
    y.backward(torch.tensor(g.transpose(3, 0, 1, 2)))
    (found,) = gradients(lambda x: ops.max_pool(x, size=size), x, g=g)
    np.testing.assert_array_equal(
        ops.max_pool(x, size=size).transpose(3, 0, 1, 2), y.detach()
    )
    np.testing.assert_array_equal(found.transpose(3, 0, 1, 2), theirs.grad)


# --- check() --------------------------------------------------------------------------


def test_the_ops_pass_all_checks(ops):
    ops.check(examples=10)


@pytest.mark.parametrize(
    ("name", "of", "complaint"),
    [
        ("windows", "x", "windows: the gradient with respect to x"),
        ("overlap_add", "v", "windows: the gradient's derivative"),  # whose rule it is
        ("conv2d", "x", "conv2d: the gradient with respect to x"),
        ("conv2d", "w", "conv2d: the gradient with respect to w"),
        ("max_pool", "x", "max_pool: the gradient with respect to x"),
    ],
)
def test_the_checks_find_a_rule_that_is_wrong(ops, name, of, complaint):
    op = getattr(ops, name)
    right = op.rules[of]

    def wrong(g, *others, **params):
        return 2 * right(g, *others, **params)

    op.vjp(**{**op.rules, of: wrong})
    with pytest.raises(AssertionError, match=complaint):
        ops.check(examples=5)


# --- Errors ---------------------------------------------------------------------------


def test_channels_that_differ_are_named(ops):
    message = (
        r"conv2d: shapes \(1, 6, 6, 2\) and \(4, 3, 5, 5\) do not align: 1 .* != 3"
    )
    with pytest.raises(ValueError, match=message):
        ops.conv2d(np.ones((1, 6, 6, 2)), np.ones((4, 3, 5, 5)))


def test_kernels_that_do_not_fit_are_refused(ops):
    w = tg.Tensor(np.ones((4, 1, 5, 5)), requires_grad=True)
    with pytest.raises(
        ValueError, match=r"conv2d: .*window shape .* larger than input"
    ):
        ops.conv2d(np.ones((1, 6, 4, 2)), w)


@pytest.mark.parametrize("shape", [(1, 6, 5, 2), (1, 5, 6, 2)])
def test_pixels_that_make_no_squares_are_refused(ops, shape):
    _, h, w, _ = shape
    message = f"max_pool: {h} by {w} pixels do not make squares of 2 by 2"
    with pytest.raises(ValueError, match=message):
        ops.max_pool(tg.Tensor(np.ones(shape), requires_grad=True))


# --- NaN, and what is not chosen ------------------------------------------------------


def test_a_pixel_that_is_not_a_number_is_not_hidden(ops):
    x = random((1, 4, 4, 1))
    x[0, 1, 1, 0] = np.nan
    assert np.isnan(ops.max_pool(x)).tolist() == [[[[True], [False]], [[False]] * 2]]


def test_what_pooling_leaves_out_has_no_say(ops):
    """The root's slope is infinite at 0, and 0 times infinity would be NaN."""
    x = tg.Tensor([[[[0.0], [4.0]], [[1.0], [0.0]]]], requires_grad=True)
    ops.max_pool(tg.sqrt(x)).sum().backward()
    assert x.grad.numpy().ravel().tolist() == [0, 0.25, 0, 0]


# --- Compiled -------------------------------------------------------------------------


def step_of(ops, seed=0):
    """Return a training step of all ops, what it changes, and images for it."""
    w = tg.Tensor(random((2, 1, 3, 3), seed), requires_grad=True, name="w")
    optimiser = tg.optim.SGD([w], lr=0.01)

    def step(x):
        loss = tg.tanh(ops.max_pool(ops.conv2d(x, w))).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    return step, w, random((1, 6, 8, 5), seed + 1)


@pytest.mark.parametrize("style", ["fast", "readable"])
def test_a_compiled_step_does_what_the_step_does(ops, style):
    (plain, expected, x), (step, w, _) = step_of(ops), step_of(ops)
    compiled = tg.compile(step, style=style)
    for images in (x, x[..., :3], x):
        assert compiled(images).item() == pytest.approx(plain(images).item(), rel=1e-12)
        np.testing.assert_allclose(w.numpy(), expected.numpy(), rtol=1e-12)


def test_the_program_needs_numpy_and_what_it_names(ops):
    (plain, expected, x), (step, w, _) = step_of(ops), step_of(ops)
    compiled = tg.compile(step, style="readable")
    compiled(x)
    imports = re.findall("^(?:import|from).*", compiled.source, re.M)
    assert imports == ["import numpy as np"]
    assert "given to the program:\n#   windows\n" in compiled.source
    names = {"windows": ops.windows}
    exec(compiled.source, names)
    for _ in range(2):
        plain(x)
    names["step"](x, w.data, 0.01)
    np.testing.assert_allclose(w.numpy(), expected.numpy(), rtol=1e-12)


def test_the_windows_are_laid_out_once_for_both_products(ops):
    step, _, x = step_of(ops)
    compiled = tg.compile(step)
    compiled(x)
    assert len(re.findall(r"= windows\(", compiled.source)) == 1


def test_a_second_derivative_can_be_compiled(ops):
    w, v = random((2, 1, 3, 3)), random((2, 1, 3, 3), 1)
    x = random((1, 6, 8, 5), 2)

    def product(w):
        return tg.hvp(lambda w: tg.tanh(ops.conv2d(x, w)).sum(), w, v)

    np.testing.assert_allclose(tg.compile(product)(w), product(w), rtol=1e-12)


def test_numba_calls_windows(ops):
    pytest.importorskip("numba", reason="Numba is not installed")
    pytest.importorskip("scipy", reason="SciPy, which it needs, is not installed")
    (step, w, x), (plain, v, _) = step_of(ops), step_of(ops)
    compiled = tg.compile(step, backend="numba")
    for _ in range(2):
        np.testing.assert_allclose(compiled(x).item(), plain(x).item(), rtol=1e-12)
        np.testing.assert_allclose(w.numpy(), v.numpy(), rtol=1e-12)


# --- The network ----------------------------------------------------------------------


def options(**changed):
    default = {"epochs": 2, "batch_size": 64, "lr": 0.003, "seed": 0, "compile": True}
    return SimpleNamespace(**default | changed)


def test_the_network_is_that_of_the_formulas(lenet):
    """In loops over images and pixels, and by the definition of each layer."""
    rng = np.random.default_rng(0)
    model, x = lenet.LeNet(rng), rng.random((2, 784))
    a = x.reshape(2, 28, 28).transpose(1, 2, 0)[None]
    for layer in model.convolutions:
        maps = by_loops(a, layer.kernels.numpy())
        c, h, w, n = maps.shape
        a = np.zeros((c, h // 2, w // 2, n))
        for p, q in np.ndindex(h // 2, w // 2):
            square = maps[:, 2 * p : 2 * p + 2, 2 * q : 2 * q + 2]
            a[:, p, q] = square.max(axis=(1, 2)) + layer.bias.numpy()[:, 0, 0]
        a = np.maximum(a, 0)
    rows = np.stack([a[..., i].ravel() for i in range(2)])
    w, b = model.hidden.weight.numpy(), model.hidden.bias.numpy()
    rows = np.maximum(rows @ w.T + b, 0)
    expected = rows @ model.output.weight.numpy().T + model.output.bias.numpy()
    assert a.shape == (16, 4, 4, 2)
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_the_network_is_float32_throughout(lenet):
    model = lenet.LeNet(np.random.default_rng(0))
    loss = model(np.ones((3, 784), np.float32)).sum()
    nodes = topological_order(loss)
    loss.backward()
    assert len(nodes) > 20
    assert {node.dtype for node in nodes} == {np.dtype(np.float32)}
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert len(model.parameters()) == 8


def test_digits_are_learnt(lenet, digits):
    model, history = lenet.train(digits, options(epochs=3))
    accuracy = history["test_accuracy"]
    assert accuracy[0] < accuracy[-1]
    assert accuracy[-1] > 0.93
    assert (np.diff(history["loss"]) < 0).all()
    guess = model(tg.data.normalise(digits.test_images)).numpy().argmax(axis=1)
    assert np.mean(guess == digits.test_labels) == accuracy[-1]


def test_digits_are_learnt_compiled_or_not(lenet, digits):
    """The same but for rounding, with a short last mini-batch."""
    few = SimpleNamespace(
        train_images=digits.train_images[:500],
        train_labels=digits.train_labels[:500],
        test_images=digits.test_images[:200],
        test_labels=digits.test_labels[:200],
    )
    model, history = lenet.train(few, options())
    other, expected = lenet.train(few, options(compile=False))
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-3)
    for p, q in zip(model.parameters(), other.parameters()):
        np.testing.assert_allclose(p.numpy(), q.numpy(), atol=5e-3)


def test_the_steps_get_smaller(lenet, digits, monkeypatch):
    rates, adam = [], tg.optim.Adam

    class Watched(adam):
        def step(self):
            rates.append(self.lr)
            super().step()

    monkeypatch.setattr(tg.optim, "Adam", Watched)
    few = SimpleNamespace(**{k: v[:64] for k, v in digits._asdict().items()})
    lenet.train(few, options(epochs=4, lr=0.4, compile=False))
    assert rates == pytest.approx([0.4, 0.3, 0.2, 0.1])
