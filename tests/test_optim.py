"""Optimisers: the formulas, step by step, in the parameters' own memory."""

import tracemalloc

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.optim import SGD, Adam, Optimiser

STEPS = 7
SHAPES = [(), (3,), (2, 3)]

MAKERS = {
    "SGD": lambda params: SGD(params, lr=0.3),
    "SGD with momentum": lambda params: SGD(params, lr=0.3, momentum=0.9),
    "Adam": lambda params: Adam(params, lr=0.3),
}
each_optimiser = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def leaves(rng, dtype=np.float64):
    return [
        tg.Tensor(rng.standard_normal(shape), requires_grad=True, dtype=dtype)
        for shape in SHAPES
    ]


def differentiate(params, gradients):
    """Give each parameter its gradient by way of a backward pass."""
    for p, g in zip(params, gradients):
        (p * g).sum().backward()


def draw(rng, params):
    return [rng.standard_normal(p.shape) for p in params]


# --- The formulas ---------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [None, 0.0, 0.9])
def test_sgd_is_that_of_the_formula(momentum, rng):
    params = leaves(rng)
    mu = momentum or 0.0
    expected = [p.data.copy() for p in params]
    velocity = [np.zeros(p.shape) for p in params]
    optimiser = SGD(params, 0.3, *([] if momentum is None else [momentum]))
    for _ in range(STEPS):
        gradients = draw(rng, params)
        differentiate(params, gradients)
        optimiser.step()
        optimiser.zero_grad()
        velocity = [mu * v + g for v, g in zip(velocity, gradients)]
        expected = [w - 0.3 * v for w, v in zip(expected, velocity)]
    for p, w in zip(params, expected):
        np.testing.assert_allclose(p.data, w, rtol=1e-13)


@pytest.mark.parametrize("options", [{}, {"betas": (0.8, 0.95), "eps": 1e-3}])
def test_adam_is_that_of_the_paper(options, rng):
    """Kingma and Ba (2015), algorithm 1, line by line."""
    params = leaves(rng)
    beta1, beta2 = options.get("betas", (0.9, 0.999))
    epsilon = options.get("eps", 1e-8)
    theta = [p.data.copy() for p in params]
    m = [np.zeros(p.shape) for p in params]
    v = [np.zeros(p.shape) for p in params]
    optimiser = Adam(params, lr=0.3, **options)
    for t in range(1, STEPS + 1):
        gradients = draw(rng, params)
        differentiate(params, gradients)
        optimiser.step()
        optimiser.zero_grad()
        for i, g in enumerate(gradients):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            m_hat = m[i] / (1 - beta1**t)
            v_hat = v[i] / (1 - beta2**t)
            theta[i] = theta[i] - 0.3 * m_hat / (np.sqrt(v_hat) + epsilon)
    for p, expected in zip(params, theta):
        np.testing.assert_allclose(p.data, expected, rtol=1e-12)


def test_adam_has_the_papers_defaults():
    adam = Adam(leaves(np.random.default_rng(0)))
    assert (adam.lr, adam.betas, adam.eps) == (0.001, (0.9, 0.999), 1e-8)


def test_the_first_step_of_adam_is_of_the_size_of_the_learning_rate(rng):
    params = leaves(rng)
    before, gradients = [p.data.copy() for p in params], draw(rng, params)
    differentiate(params, gradients)
    Adam(params, lr=0.25).step()
    for p, w, g in zip(params, before, gradients):
        np.testing.assert_allclose(p.data, w - 0.25 * np.sign(g), rtol=1e-6)


def test_a_learning_rate_may_be_changed_between_steps(rng):
    (w,) = params = leaves(rng)[1:2]
    optimiser, expected = SGD(params, lr=0.3), w.data.copy()
    for lr in (0.3, 0.1, 0.0):
        optimiser.lr = lr
        (g,) = draw(rng, params)
        differentiate(params, [g])
        optimiser.step()
        optimiser.zero_grad()
        expected -= lr * g
    np.testing.assert_allclose(w.data, expected, rtol=1e-14)


def test_accumulated_gradients_count_as_their_sum(rng):
    (w,) = params = leaves(rng)[1:2]
    first, second = rng.standard_normal((2, 3))
    expected = w.data - 0.3 * (first + second)
    differentiate(params, [first])
    differentiate(params, [second])
    SGD(params, lr=0.3).step()
    np.testing.assert_allclose(w.data, expected, rtol=1e-14)


def test_a_short_last_minibatch_uses_its_own_length():
    """The textbook's rule: w - (eta/m) * (sum of the mini-batch's gradients)."""
    eta, (x, y) = 0.5, tg.data.xor(np.float64)
    model = tg.nn.MLP([2, 3, 1], rng=0)
    weights = [w.data.copy() for w in model.weights]
    biases = [b.data.copy() for b in model.biases]
    optimiser = SGD(model.parameters(), lr=eta)
    lengths = []
    for xs, ys in tg.data.minibatches(x, y, batch_size=3):
        lengths.append(len(xs))
        tg.losses.mse(model(xs), ys).backward()
        optimiser.step()
        optimiser.zero_grad()
        examples = [tg.reference.backprop(weights, biases, *one) for one in zip(xs, ys)]
        for layer in range(2):
            dw = sum(dw[layer] for dw, _ in examples)
            db = sum(db[layer] for _, db in examples)
            weights[layer] = weights[layer] - eta / len(xs) * dw
            biases[layer] = biases[layer] - eta / len(xs) * db
    assert lengths == [3, 1]
    for p, expected in zip(model.parameters(), weights + biases):
        np.testing.assert_allclose(p.data, expected, rtol=1e-13)


# --- Memory and dtypes ----------------------------------------------------------------


@each_optimiser
def test_a_step_is_made_in_the_parameters_own_memory(make, rng):
    params = leaves(rng)
    arrays, before = [p.data for p in params], [p.data.copy() for p in params]
    optimiser = make(params)
    for _ in range(2):
        differentiate(params, draw(rng, params))
        optimiser.step()
        optimiser.zero_grad()
    for p, array, old in zip(params, arrays, before):
        assert p.data is array
        assert (array != old).all()


@each_optimiser
def test_a_step_leaves_the_gradient_alone(make, rng):
    params = leaves(rng)
    optimiser = make(params)
    for _ in range(2):
        differentiate(params, draw(rng, params))
        held = [p.grad for p in params]
        before = [p.grad.data.copy() for p in params]
        optimiser.step()
        for p, grad, old in zip(params, held, before):
            assert p.grad is grad
            np.testing.assert_array_equal(grad.data, old)


@each_optimiser
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_parameters_keep_their_dtype(make, dtype, rng):
    params = leaves(rng, dtype)
    optimiser = make(params)
    optimiser.lr = np.float64(0.3)
    for _ in range(2):
        differentiate(params, draw(rng, params))
        optimiser.step()
    assert {p.dtype for p in params} == {np.dtype(dtype)}
    assert all(np.isfinite(p.data).all() for p in params)


@each_optimiser
def test_a_float32_network_stays_float32_as_it_trains(make):
    x, y = tg.data.xor()
    model = tg.nn.MLP([2, 3, 1], rng=0, dtype=np.float32)
    optimiser = make(model.parameters())
    start = tg.losses.mse(model(x), y).item()
    for _ in range(300):
        optimiser.zero_grad()
        loss = tg.losses.mse(model(x), y) + tg.losses.l2(model.weights, 1e-6, 4)
        loss.backward()
        optimiser.step()
    assert loss.dtype == np.float32
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert loss.item() < start


# --- Without gradients ----------------------------------------------------------------


@each_optimiser
def test_a_step_without_any_gradient_raises(make, rng):
    params = leaves(rng)
    before = [p.data.copy() for p in params]
    with pytest.raises(ValueError, match=r"no parameter has a gradient; call backward"):
        make(params).step()
    for p, old in zip(params, before):
        np.testing.assert_array_equal(p.data, old)


@each_optimiser
def test_a_step_that_raised_does_not_count(make, rng):
    params, others = leaves(rng), leaves(np.random.default_rng(0))
    optimiser, other = make(params), make(others)
    with pytest.raises(ValueError, match="no parameter has a gradient"):
        optimiser.step()
    gradients = draw(rng, params)
    differentiate(params, gradients)
    differentiate(others, gradients)
    optimiser.step()
    other.step()
    for p, expected in zip(params, others):
        np.testing.assert_array_equal(p.data, expected.data)


@each_optimiser
def test_a_parameter_without_gradient_stays(make, rng):
    first, second, _ = params = leaves(rng)
    before = second.data.copy()
    (first * 2.0).backward()
    make(params).step()
    np.testing.assert_array_equal(second.data, before)


@each_optimiser
def test_zero_grad_forgets_every_gradient(make, rng):
    params = leaves(rng)
    optimiser = make(params)
    differentiate(params, draw(rng, params))
    assert all(p.grad is not None for p in params)
    optimiser.zero_grad()
    assert [p.grad for p in params] == [None] * 3


# --- Errors ---------------------------------------------------------------------------


@each_optimiser
def test_an_optimiser_wants_parameters(make):
    with pytest.raises(ValueError, match=r"(SGD|Adam): there are no parameters"):
        make([])


@each_optimiser
@pytest.mark.parametrize(
    "wrong",
    [
        tg.Tensor(1.0),
        tg.Tensor(1.0, requires_grad=True) * 2.0,
        np.ones(2),
        1.0,
        "W1",
    ],
    ids=["constant", "computed", "array", "number", "name"],
)
def test_an_optimiser_wants_leaves_that_require_a_gradient(make, wrong):
    right = tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(TypeError, match=r"(SGD|Adam): .*pass model\.parameters\(\)"):
        make([right, wrong])


def test_an_optimiser_of_ones_own_defines_update(rng):
    class Signs(Optimiser):
        def __init__(self, params):
            super().__init__(params, "last")

        def update(self, p, g, last):
            p -= 0.1 * np.sign(g + last)
            last[...] = g

    class Nothing(Optimiser):
        pass

    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    (w * np.array([3.0, -4.0])).sum().backward()
    memory = w.data
    optimiser = Signs(iter([w]))
    optimiser.step()
    np.testing.assert_allclose(memory, [0.9, 2.1])
    np.testing.assert_array_equal(optimiser.state["last"], [[3.0, -4.0]])
    with pytest.raises(TypeError, match=r"Nothing: define update\(self, p, g, mean\)"):
        Nothing([w], "mean").step()


def test_parameters_are_given_in_a_list_and_once():
    w = tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(TypeError, match=r"SGD: Linear is no list.*parameters\(\)"):
        tg.optim.SGD(tg.nn.Linear(1, 1), lr=0.1)
    with pytest.raises(ValueError, match="SGD: a parameter is there twice"):
        tg.optim.SGD([w, w], lr=0.1)


def test_a_step_of_gradient_descent_allocates_nothing_in_proportion():
    """Once the memory that it computes in is there."""
    w = tg.Tensor(np.ones(100_000), requires_grad=True)
    optimiser = tg.optim.SGD([w], lr=0.1, momentum=0.9)
    w.grad = tg.Tensor(np.ones(100_000))
    optimiser.step()
    tracemalloc.start()
    optimiser.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000
    np.testing.assert_allclose(w.data, 1 - 0.1 - 0.19)
