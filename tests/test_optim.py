"""Optimisers: the formulas, step by step, in the parameters' own memory."""

import copy
import math
import re
import tracemalloc
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from tinygrad_edu.optim import SGD, Adam, AdamW, Optimiser, RMSprop, clip_gradients

STEPS = 7
SHAPES = [(), (3,), (2, 3)]

MAKERS = {
    "SGD": lambda params: SGD(params, lr=0.3),
    "SGD with momentum": lambda params: SGD(params, lr=0.3, momentum=0.9),
    "SGD with all": lambda params: SGD(params, 0.3, 0.9, True, weight_decay=0.1),
    "RMSprop": lambda params: RMSprop(params, lr=0.3),
    "Adam": lambda params: Adam(params, lr=0.3),
    "AdamW": lambda params: AdamW(params, lr=0.3, weight_decay=0.1),
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


@pytest.mark.parametrize("mu", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.25])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_looks_ahead_and_decays(mu, decay, nesterov, rng):
    """Algorithm 1 of Loshchilov and Hutter (2019), and Nesterov's form of momentum."""
    if nesterov and not mu:
        with pytest.raises(ValueError, match="SGD: nesterov looks ahead by momentum"):
            SGD(leaves(rng), 0.3, mu, nesterov)
        return
    params = leaves(rng)
    expected = [p.data.copy() for p in params]
    velocity = [np.zeros(p.shape) for p in params]
    optimiser = SGD(params, 0.3, mu, nesterov, weight_decay=decay)
    for _ in range(STEPS):
        gradients = draw(rng, params)
        differentiate(params, gradients)
        optimiser.step()
        optimiser.zero_grad()
        velocity = [mu * v + g for v, g in zip(velocity, gradients)]
        ahead = [g + mu * v for v, g in zip(velocity, gradients)]
        steps = ahead if nesterov else velocity
        expected = [w - 0.3 * decay * w - 0.3 * s for w, s in zip(expected, steps)]
    for p, w in zip(params, expected):
        np.testing.assert_allclose(p.data, w, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"alpha": 0.8, "eps": 1e-3}])
def test_rmsprop_is_that_of_the_lecture(options, rng):
    params = leaves(rng)
    alpha, epsilon = options.get("alpha", 0.99), options.get("eps", 1e-8)
    expected = [p.data.copy() for p in params]
    mean = [np.zeros(p.shape) for p in params]
    optimiser = RMSprop(params, lr=0.3, **options)
    for _ in range(STEPS):
        gradients = draw(rng, params)
        differentiate(params, gradients)
        optimiser.step()
        optimiser.zero_grad()
        mean = [alpha * v + (1 - alpha) * g**2 for v, g in zip(mean, gradients)]
        for i, g in enumerate(gradients):
            expected[i] = expected[i] - 0.3 * g / (np.sqrt(mean[i]) + epsilon)
    for p, w in zip(params, expected):
        np.testing.assert_allclose(p.data, w, rtol=1e-12)


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


def test_the_defaults_are_those_of_the_papers_and_of_pytorch(rng):
    adam, adamw, rms = (kind(leaves(rng)) for kind in (Adam, AdamW, RMSprop))
    for optimiser in (adam, adamw):
        numbers = optimiser.lr, optimiser.betas, optimiser.eps
        assert numbers == (0.001, (0.9, 0.999), 1e-8)
    assert adamw.weight_decay == 0.01
    assert (rms.lr, rms.alpha, rms.eps) == (0.01, 0.99, 1e-8)
    sgd = SGD(leaves(rng), 0.1)
    assert (sgd.momentum, sgd.nesterov, sgd.weight_decay) == (0.0, False, 0.0)


# --- Against PyTorch ------------------------------------------------------------------

START = np.linspace(-2.0, 3.0, 6).reshape(2, 3)
CURVATURE = np.array([[1.0, 3.0, 0.1], [30.0, 0.01, 2.0]])


def gradient(w, t):
    """A ravine, steep in some directions and flat in others, and a wind in it."""
    wind = np.cos(t + np.arange(6.0).reshape(2, 3))
    return CURVATURE * np.tanh(w - 1.0) + 0.1 * wind


class Case:
    """An optimiser here and in PyTorch, and where PyTorch 2.13 is after 100 steps.

    PyTorch's SGD adds weight decay to the gradient; where ours decays, that is done
    beforehand by hand.
    """

    def __init__(self, name, figures, decay_by_hand=0.0, **numbers):
        self.name, self.figures, self.numbers = name, figures, {"lr": 0.03, **numbers}
        self.decay_by_hand = decay_by_hand

    def ours(self):
        decay = {"weight_decay": self.decay_by_hand} if self.decay_by_hand else {}
        w = tg.Tensor(START, requires_grad=True)
        optimiser = getattr(tg.optim, self.name)([w], **self.numbers, **decay)
        for t in range(100):
            w.grad = tg.Tensor(gradient(w.data, t))
            optimiser.step()
        return w.data

    def theirs(self, torch):
        w = torch.tensor(START, requires_grad=True)
        optimiser = getattr(torch.optim, self.name)([w], **self.numbers)
        for t in range(100):
            w.grad = torch.tensor(gradient(w.detach().numpy(), t))
            with torch.no_grad():
                w.mul_(1 - self.numbers["lr"] * self.decay_by_hand)
            optimiser.step()
        return w.detach().numpy()


CASES = {
    "SGD": Case(
        "SGD",
        [
            [0.5272923368647925, 0.999510587717577, 0.213391994503778],
            [0.9994019181585407, 1.975674960572455, 1.0102362930487008],
        ],
    ),
    "momentum": Case(
        "SGD",
        [
            [1.016151963139691, 1.0079481356176025, 0.9808837031131012],
            [0.9875593198611448, 1.7896705192705602, 0.9994889502297741],
        ],
        momentum=0.9,
    ),
    "Nesterov": Case(
        "SGD",
        [
            [1.0087116265515097, 1.0025552311541885, 0.9740732561488075],
            [1.0016442228746885, 1.7878683527722046, 1.0023581884173816],
        ],
        momentum=0.9,
        nesterov=True,
    ),
    "decay": Case(
        "SGD",
        [
            [1.004956697323737, 1.0034005925581961, 0.8976912553548282],
            [0.9878640915595891, 1.334226861786269, 0.9952797684783111],
        ],
        momentum=0.9,
        decay_by_hand=0.1,
    ),
    "RMSprop": Case(
        "RMSprop",
        [
            [0.8912994408284711, 0.9899675615508033, 0.9404299971111401],
            [0.9864369983158136, 1.6925740311888702, 1.0255094419636743],
        ],
        alpha=0.9,
    ),
    "Adam": Case(
        "Adam",
        [
            [0.6582076148370158, 0.9689319979848823, 0.9789084558478001],
            [0.990091596587929, 1.7002349286357918, 1.031947884374356],
        ],
        betas=(0.8, 0.99),
        eps=1e-6,
    ),
    "AdamW": Case(
        "AdamW",
        [
            [0.7530526436389288, 0.9569245509721334, 0.9266235801784262],
            [0.9965354112016536, 1.2719986737425821, 0.9210890878425844],
        ],
        weight_decay=0.1,
    ),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@each_case
def test_a_hundred_steps_are_those_that_pytorch_made(case):
    np.testing.assert_allclose(case.ours(), case.figures, rtol=1e-12)


@each_case
def test_a_hundred_steps_are_those_that_pytorch_makes(case):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    np.testing.assert_allclose(case.ours(), case.theirs(torch), rtol=1e-12)
    np.testing.assert_allclose(case.theirs(torch), case.figures, rtol=1e-12)


def test_the_optimisers_go_different_ways():
    """The comparison would see it if one were another, or left out a number."""
    ends = [case.ours() for case in CASES.values()]
    for i, a in enumerate(ends):
        for b in ends[:i]:
            assert np.max(np.abs(a - b)) > 1e-3


@pytest.mark.parametrize("decay", [0.0, 0.25])
def test_adamw_is_adam_on_decayed_weights(decay, rng):
    """Loshchilov and Hutter (2019), algorithm 2: both begin from the old weight."""
    params = leaves(rng)
    twins = [tg.Tensor(p.data, requires_grad=True) for p in params]
    adam, adamw = Adam(twins, lr=0.3), AdamW(params, lr=0.3, weight_decay=decay)
    for _ in range(STEPS):
        gradients = draw(rng, params)
        differentiate(params, gradients)
        differentiate(twins, gradients)
        for p in twins:
            p.data -= 0.3 * decay * p.data
        adam.step()
        adamw.step()
        adam.zero_grad()
        adamw.zero_grad()
    for p, twin in zip(params, twins):
        np.testing.assert_allclose(p.data, twin.data, rtol=1e-13)


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
    with pytest.raises(ValueError, match=r"^\w+: there are no parameters"):
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
    with pytest.raises(TypeError, match=r"^\w+: .*pass model\.parameters\(\)"):
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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SGD(p, -1.0), "SGD: lr=-1.0 must be at least 0$"),
        (lambda p: SGD(p, np.nan), "SGD: lr=nan must be at least 0$"),
        (lambda p: SGD(p, 0.1, -0.5), "SGD: momentum=-0.5 must be at least 0$"),
        (lambda p: SGD(p, 0.1, weight_decay=-1), "SGD: weight_decay=-1 must be"),
        (lambda p: RMSprop(p, -1.0), "RMSprop: lr=-1.0 must be at least 0$"),
        (lambda p: RMSprop(p, alpha=1), "RMSprop: alpha=1 must be .* and below 1$"),
        (lambda p: RMSprop(p, eps=-1), "RMSprop: eps=-1 must be at least 0$"),
        (lambda p: Adam(p, -1.0), "Adam: lr=-1.0 must be at least 0$"),
        (lambda p: Adam(p, eps=-1.0), "Adam: eps=-1.0 must be at least 0$"),
        (lambda p: Adam(p, betas=(1.0, 0.9)), "Adam: beta1=1.0 must be .* below 1$"),
        (lambda p: AdamW(p, betas=(0.9, -1)), "AdamW: beta2=-1 must be at least 0"),
        (lambda p: AdamW(p, weight_decay=-1), "AdamW: weight_decay=-1 must be"),
    ],
)
def test_a_number_out_of_range_is_named(make, message, rng):
    with pytest.raises(ValueError, match=message):
        make(leaves(rng))


# By kind of optimiser: numbers that it refuses, whoever sets them.
REFUSED = {
    "SGD with momentum": {
        "lr": [-1.0, np.nan, np.inf],
        "momentum": [-0.5, np.nan],
        "weight_decay": [-1, np.nan],
        "steps": [-1, np.nan],
    },
    "RMSprop": {"lr": [-1.0], "alpha": [1, -0.1, np.nan], "eps": [-1, np.inf]},
    "Adam": {"lr": [np.nan], "betas": [(2.0, 0.9), (0.9, -1), (np.nan, 0.9)]},
    "AdamW": {"eps": [-1.0], "weight_decay": [-1, np.nan], "betas": [(0.9, 1)]},
}
each_refused = pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (kind, name, value)
        for kind, numbers in REFUSED.items()
        for name, values in numbers.items()
        for value in values
    ],
)


@each_refused
def test_a_number_out_of_range_is_refused_from_a_state_and_as_an_attribute(
    kind, name, value, rng
):
    optimiser = MAKERS[kind](leaves(rng))
    state = optimiser.state_dict()
    before = getattr(optimiser, name)
    with pytest.raises(ValueError, match=f"^{kind.split()[0]}: .* must be at least 0"):
        setattr(optimiser, name, value)
    odd = {**state, name: value, "lr": 0.7 if name != "lr" else value}
    with pytest.raises(ValueError, match=r"nothing was changed:\n- .* be at least 0"):
        optimiser.load_state_dict(odd)
    assert getattr(optimiser, name) == before
    assert optimiser.lr == 0.3


def test_all_numbers_out_of_range_are_told_at_once(rng):
    optimiser = Adam(leaves(rng))
    state = {**optimiser.state_dict(), "lr": np.nan, "betas": (2, -3)}
    message = (
        "Adam: the state does not fit, and nothing was changed:\n"
        "- lr=nan must be at least 0\n"
        "- beta1=2 must be at least 0 and below 1\n"
        "- beta2=-3 must be at least 0 and below 1"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        optimiser.load_state_dict(state)


@each_optimiser
@pytest.mark.parametrize("value", ["0.1", None, np.array([0.1]), 1j, (0.1, "x")])
def test_what_is_no_number_is_refused(make, value, rng):
    optimiser = make(leaves(rng))
    with pytest.raises(TypeError, match=r"^\w+: lr?\d?=.* is no number"):
        optimiser.lr = value
    assert optimiser.lr == 0.3


def test_betas_may_be_a_list_and_are_saved_all_the_same(rng):
    params = leaves(rng)
    assert Adam(params, betas=[0.5, 0.25]).state_dict()["betas"] == (0.5, 0.25)


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_momentum_that_would_do_nothing_is_refused(name, rng):
    """There is no velocity, since there was no momentum at first."""
    optimiser = SGD(leaves(rng), 0.1)
    with pytest.raises(ValueError, match=f"^SGD: {name} .* momentum"):
        setattr(optimiser, name, 0.9)
    with pytest.raises(ValueError, match=f"nothing was changed:\n- {name} .* momentum"):
        optimiser.load_state_dict(
            optimiser.state_dict() | {name: name == "nesterov" or 0.9}
        )
    assert getattr(optimiser, name) == 0
    setattr(optimiser, name, 0)


def test_an_optimiser_of_ones_own_has_limits_of_its_own(rng):
    class Signs(Optimiser):
        limits: ClassVar = {**Optimiser.limits, "lr": 10}

        def __init__(self, params, lr, free):
            super().__init__(params)
            self.lr, self.free = lr, free

    optimiser = Signs(leaves(rng), 1.0, -5.0)
    with pytest.raises(ValueError, match=r"^Signs: lr=10 must be at least 0 and below"):
        optimiser.lr = 10
    optimiser.free = np.nan
    assert optimiser.lr == 1.0


def test_parameters_are_given_in_a_list_and_once():
    w = tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(TypeError, match=r"SGD: Linear is no list.*parameters\(\)"):
        tg.optim.SGD(tg.nn.Linear(1, 1), lr=0.1)
    with pytest.raises(ValueError, match="SGD: a parameter is there twice"):
        tg.optim.SGD([w, w], lr=0.1)


@each_optimiser
def test_a_step_allocates_no_array_once_its_memory_is_there(make, rng):
    """In 100 steps less than an array as of weights here, of 2.4 or 188 kB, takes."""
    params = tg.nn.MLP([784, 30, 10], rng=0).parameters()
    optimiser = make(params)
    before = [p.data.copy() for p in params]
    for p in params:
        p.grad = tg.Tensor(rng.standard_normal(p.shape))
    optimiser.step()
    tracemalloc.start()
    start, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for _ in range(100):
        optimiser.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - start < 2000
    for p, old in zip(params, before):
        assert (p.data != old).all()


# --- Saving and resuming --------------------------------------------------------------

makers = st.sampled_from(list(MAKERS.values()))
seeds = st.integers(0, 2**32 - 1)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)
dtypes = st.sampled_from([np.float32, np.float64])


def numbers_of(optimiser):
    return {
        k: x for k, x in vars(optimiser).items() if isinstance(x, int | float | tuple)
    }


def arrays_of(optimiser):
    return [array for arrays in optimiser.state.values() for array in arrays]


def bits(arrays):
    return [(x.dtype, x.shape, x.tobytes()) for x in arrays]


def run(optimiser, gradients):
    for of_a_step in gradients:
        for p, g in zip(optimiser.params, of_a_step):
            p.grad = tg.Tensor(g.astype(p.dtype))
        optimiser.step()


@settings(deadline=None)
@given(
    makers, st.lists(shapes, min_size=1, max_size=3), dtypes, st.integers(0, 4), seeds
)
def test_a_resumed_run_is_bitwise_the_one_that_went_on(make, sizes, dtype, k, seed):
    rng = np.random.default_rng(seed)
    start = [rng.standard_normal(shape).astype(dtype) for shape in sizes]
    gradients = [[rng.standard_normal(shape) for shape in sizes] for _ in range(7)]
    through = make([tg.Tensor(x, requires_grad=True) for x in start])
    run(through, gradients)

    first = make([tg.Tensor(x, requires_grad=True) for x in start])
    run(first, gradients[:k])
    saved = first.state_dict()
    weights = [p.data.copy() for p in first.params]
    run(first, gradients[k : k + 1])  # what was saved does not follow
    second = make([tg.Tensor(x, requires_grad=True) for x in weights])
    memory = arrays_of(second)
    second.lr = 17.0
    run(second, gradients[:1])
    for p, w in zip(second.params, weights):
        p.data[...] = w
    second.load_state_dict(saved)
    run(second, gradients[k:])
    assert bits(p.data for p in second.params) == bits(p.data for p in through.params)
    assert bits(arrays_of(second)) == bits(arrays_of(through))
    assert numbers_of(second) == numbers_of(through)
    assert all(a is b for a, b in zip(arrays_of(second), memory))


@each_optimiser
def test_what_is_saved_is_all_numbers_and_arrays(make, rng):
    optimiser = make(leaves(rng))
    names = {f"{name}.{i}" for name in optimiser.state for i in range(len(SHAPES))}
    state = optimiser.state_dict()
    assert state.keys() == names | numbers_of(optimiser).keys()
    assert {"lr", "steps"} <= state.keys()


@each_optimiser
def test_a_state_comes_back_from_a_file(make, rng, tmp_path):
    """Where numbers are arrays without dimensions, and tuples are arrays."""
    one, other = make(leaves(rng)), make(leaves(rng))
    run(one, [draw(rng, one.params) for _ in range(3)])
    np.savez(tmp_path / "state.npz", **one.state_dict())
    other.lr = 17.0
    with np.load(tmp_path / "state.npz") as file:
        other.load_state_dict(dict(file))
    assert numbers_of(other) == numbers_of(one)
    assert list(map(type, numbers_of(other).values())) == list(
        map(type, numbers_of(one).values())
    )
    assert bits(arrays_of(other)) == bits(arrays_of(one))


@given(makers, seeds, st.data())
def test_a_state_that_does_not_fit_names_every_fault_and_changes_nothing(
    make, seed, data
):
    rng = np.random.default_rng(seed)
    optimiser = make(leaves(rng))
    run(optimiser, [draw(rng, optimiser.params)])
    before = copy.deepcopy((numbers_of(optimiser), arrays_of(optimiser)))
    state = optimiser.state_dict() | {"lr": 17.0, "steps": 23}
    for k in optimiser.state_dict().keys() - numbers_of(optimiser).keys():
        state[k] = np.asarray(state[k] + 1)
    wrong = data.draw(
        st.sets(
            st.sampled_from(["missing", "unknown", "number", "shape", "dtype"]),
            min_size=1,
        )
    )
    arrays = [k for k, x in state.items() if isinstance(x, np.ndarray)]
    told = []
    if "missing" in wrong:
        del state["steps"]
        told.append("missing: steps")
    if "unknown" in wrong:
        state["m.17"] = np.zeros(2)
        told.append("unknown: m.17")
    if "number" in wrong:
        state["lr"] = data.draw(
            st.sampled_from(["high", None, (1.0, 2.0), True, [0.1]])
        )
        told.append("lr: ")
    if "shape" in wrong and arrays:
        state[arrays[0]] = np.zeros(7)
        told.append(f"{arrays[0]}: expected float64 (), got float64 (7,)")
    if "dtype" in wrong and arrays:
        state[arrays[1]] = state[arrays[1]].astype(np.float32)
        told.append(f"{arrays[1]}: expected float64 (3,), got float32 (3,); convert")
    if not told:
        return
    with pytest.raises(
        ValueError, match="the state does not fit, and nothing"
    ) as error:
        optimiser.load_state_dict(state)
    assert all(f"- {fault}" in str(error.value) for fault in told)
    assert str(error.value).count("\n- ") == len(told)
    after = numbers_of(optimiser), arrays_of(optimiser)
    assert after[0] == before[0]
    assert bits(after[1]) == bits(before[1])


def test_the_state_of_another_kind_of_optimiser_does_not_fit(rng):
    params = leaves(rng)[:1]
    state = SGD(params, lr=0.1, momentum=0.9).state_dict()
    message = (
        "Adam: the state does not fit, and nothing was changed:\n"
        "- missing: betas, eps, m.0, v.0\n"
        "- unknown: momentum, nesterov, weight_decay, velocity.0"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Adam(params).load_state_dict(state)
    with pytest.raises(
        TypeError, match=r"Adam: a state must be a mapping, .* not a list"
    ):
        Adam(params).load_state_dict([state])


@pytest.mark.parametrize("style", ["fast", "readable"])
def test_a_compiled_step_goes_on_from_a_loaded_state_without_being_made_again(style):
    def training():
        (w,) = params = [tg.Tensor([1.0, -2.0], requires_grad=True)]
        optimiser = AdamW(params, lr=0.1)

        def step(x):
            optimiser.zero_grad()
            ((w * x - 1) ** 2).sum().backward()
            optimiser.step()

        return w, optimiser, step

    x = np.array([0.5, 1.5])
    (w, optimiser, step), (other, plain, eager) = training(), training()
    compiled = tg.compile(step, style=style)
    compiled(x)
    eager(x)
    saved = plain.state_dict() | {"lr": 0.02}
    for target in (optimiser, plain):
        target.load_state_dict(saved)
    sources = set()
    for _ in range(3):
        compiled(x)
        eager(x)
        sources.add(compiled.source)
    np.testing.assert_allclose(w.data, other.data, rtol=1e-13)
    assert len(sources) == len(compiled._variants) == 1


# --- Clipping -------------------------------------------------------------------------

finite = st.floats(-1e150, 1e150, allow_subnormal=False)


def with_gradients(arrays):
    params = [tg.Tensor(np.zeros_like(g), requires_grad=True) for g in arrays]
    for p, g in zip(params, arrays):
        p.grad = tg.Tensor(g.copy())
    return params


def length(arrays):
    return math.hypot(*(float(x) for g in arrays for x in g.ravel()))


@given(
    st.lists(hnp.arrays(float, shapes, elements=finite), min_size=1, max_size=3),
    st.floats(1e-3, 1e9),
)
def test_gradients_are_shortened_together_if_they_are_too_long(gradients, max_norm):
    params = with_gradients(gradients)
    memory = [p.grad.data for p in params]
    norm = clip_gradients(params, max_norm)
    np.testing.assert_allclose(norm, length(gradients), rtol=1e-12)
    scale = max_norm / max(norm, max_norm)
    for p, g, array in zip(params, gradients, memory):
        assert p.grad.data is array
        np.testing.assert_allclose(array, g * scale, rtol=1e-12)
        if norm <= max_norm:
            np.testing.assert_array_equal(array, g)
    assert length(memory) <= max_norm * (1 + 1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_no_square_overflows_or_vanishes_on_the_way_to_the_length(dtype):
    for size in (np.finfo(dtype).max / 8, np.finfo(dtype).tiny * 4):
        (p,) = with_gradients([np.array([3 * size, -4 * size], dtype)])
        norm = clip_gradients([p], 1.0)
        assert norm.dtype == p.grad.dtype == dtype
        rtol = 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(norm, dtype(5 * size), rtol=rtol)
        expected = [0.6, -0.8] if size > 1 else [3 * size, -4 * size]
        np.testing.assert_allclose(p.grad.data, np.array(expected, dtype), rtol=rtol)


@pytest.mark.parametrize("zeros", [np.zeros(3), np.zeros((0, 3))])
def test_no_gradient_to_speak_of_is_left_alone(zeros):
    (p,) = with_gradients([zeros])
    assert clip_gradients([p], 1.0) == 0
    np.testing.assert_array_equal(p.grad.data, zeros)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_without_a_length_the_gradients_stay_and_the_norm_tells(bad):
    gradients = [np.array([3.0, bad]), np.array([4.0])]
    params = with_gradients(gradients)
    norm = clip_gradients(params, 1.0)
    assert np.isnan(norm) if np.isnan(bad) else np.isposinf(norm)
    for p, g in zip(params, gradients):
        np.testing.assert_array_equal(p.grad.data, g)


def test_clipping_leaves_out_parameters_without_a_gradient():
    (first, second), extra = with_gradients([np.array(3.0), np.array(4.0)]), None
    extra = tg.Tensor(1.0, requires_grad=True)
    assert clip_gradients(iter([first, extra, second]), 1.0) == 5
    assert extra.grad is None
    np.testing.assert_allclose([first.grad.item(), second.grad.item()], [0.6, 0.8])


def test_clipping_leaves_a_graph_of_gradients_whole():
    """It remembers the gradient's value, which second derivatives need."""
    w = tg.Tensor(3.0, requires_grad=True)
    (w**3).backward(create_graph=True)
    remembered = w.grad
    assert clip_gradients([w], 1.0) == 27
    assert remembered.item() == 27
    assert w.grad.item() == 1
    assert w.grad.is_leaf
    w.zero_grad()
    (remembered**2).backward()
    assert w.grad.item() == 2 * 27 * 18


def test_what_clipping_cannot_do():
    w = tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="clip_gradients: no parameter has a gradient"):
        clip_gradients([w], 1.0)
    with pytest.raises(ValueError, match="clip_gradients: there are no parameters"):
        clip_gradients([], 1.0)
    with pytest.raises(TypeError, match="clip_gradients: Linear is no list"):
        clip_gradients(tg.nn.Linear(1, 1), 1.0)
    with pytest.raises(TypeError, match=r"clip_gradients: .* is no leaf Tensor"):
        clip_gradients([w * 1.0], 1.0)
    for max_norm in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match=f"max_norm={max_norm} must be above 0"):
            clip_gradients([w], max_norm)


@pytest.mark.parametrize("backend", ["numpy", "readable", "numba"])
def test_clipping_in_a_compiled_step(backend):
    if backend == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
        pytest.importorskip("scipy", reason="SciPy, which it needs, is not installed")
    options = {"style": backend} if backend == "readable" else {"backend": backend}

    def training():
        w = tg.Tensor([3.0, 4.0], requires_grad=True)
        optimiser = SGD([w], lr=0.5)

        def step(x, max_norm):
            optimiser.zero_grad()
            (w * x).sum().backward()
            norm = clip_gradients(optimiser.params, max_norm)
            optimiser.step()
            return norm

        return w, step

    (w, step), (other, eager) = training(), training()
    compiled = tg.compile(step, **options)
    for x in ([3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [np.inf, 0.0], [np.nan, 1.0]):
        for max_norm in (1.0, 2.5):
            got, wanted = compiled(np.array(x), max_norm), eager(np.array(x), max_norm)
            np.testing.assert_allclose(got, wanted, rtol=1e-14)
            np.testing.assert_allclose(w.data, other.data, rtol=1e-14)
    assert len(compiled._variants) == 1
