"""The optimisers: the formulas, step by step, in the parameters' own memory."""

import tracemalloc

import numpy as np
import pytest
from optimisers import differentiate, draw, each_optimiser, leaves

import tinygrad_edu as tg
from tinygrad_edu.optim import SGD, Adam, AdamW, RMSprop

STEPS = 7


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


# --- Numbers --------------------------------------------------------------------------


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
