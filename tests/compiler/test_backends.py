"""The same program by Numba's loops, and whole epochs, in both backends."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_edu as tg
from tinygrad_edu.compiler import compiling, fast, tuning
from tinygrad_edu.compiler.loops import Loops
from tinygrad_edu.compiler.program import Program, Variable

pytest.importorskip("numba", reason="Numba is not installed")
pytest.importorskip("scipy", reason="SciPy, whose BLAS Numba calls, is not installed")

LOSSES = {
    "mse": lambda model, x, y: tg.losses.mse(model(x), y),
    "cross_entropy": lambda model, x, y: tg.losses.cross_entropy(model(x), y),
    "with logits": lambda model, x, y: tg.losses.cross_entropy_with_logits(
        model.logits(x), y
    ),
    "softmax": lambda model, x, y: tg.losses.softmax_cross_entropy(model.logits(x), y),
}
OPTIMISERS = {
    "SGD": lambda params: tg.optim.SGD(params, 0.5),
    "momentum": lambda params: tg.optim.SGD(params, 0.5, 0.9),
    "Nesterov": lambda params: tg.optim.SGD(params, 0.5, 0.9, True, weight_decay=0.1),
    "RMSprop": lambda params: tg.optim.RMSprop(params, 0.05),
    "Adam": lambda params: tg.optim.Adam(params, 0.05),
    "AdamW": lambda params: tg.optim.AdamW(params, 0.05, weight_decay=0.1),
}


def training(loss="mse", optimiser="SGD", sizes=(2, 3, 2), dtype=np.float64):
    """Return a model and a function that makes one step."""
    model = tg.nn.MLP(sizes, rng=1, dtype=dtype)
    opt = OPTIMISERS[optimiser](model.parameters())

    def step(x, y):
        cost = LOSSES[loss](model, x, y)
        opt.zero_grad()
        cost.backward()
        opt.step()
        return cost

    return model, step


@pytest.fixture
def examples():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((13, 2))
    return x, np.eye(2)[rng.integers(2, size=13)]


@pytest.mark.parametrize(
    ("loss", "optimiser"),
    [(loss, "SGD") for loss in LOSSES] + [("mse", o) for o in OPTIMISERS if o != "SGD"],
)
def test_steps_by_numba_are_the_eager_ones(loss, optimiser, examples):
    x, y = examples
    model, step = training(loss, optimiser)
    other, other_step = training(loss, optimiser)
    compiled = tg.compile(other_step, backend="numba")
    for _ in range(3):
        assert_allclose(compiled(x, y).data, step(x, y).data, rtol=1e-12)
    for p, q in zip(model.parameters(), other.parameters()):
        assert_allclose(q.data, p.data, rtol=1e-12, atol=1e-12)


def test_float32_stays_float32_by_numba(examples):
    x, y = (array.astype(np.float32) for array in examples)
    model, step = training(dtype=np.float32)
    compiled = tg.compile(step, backend="numba")
    assert compiled(x, y).dtype == np.float32
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_large_products_are_left_to_blas():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 50)), rng.standard_normal((64, 10))
    model, step = training(sizes=(50, 20, 10))
    other, other_step = training(sizes=(50, 20, 10))
    compiled = tg.compile(other_step, backend="numba")
    compiled(x, y)
    step(x, y)
    assert "np.dot(" in compiled.source
    for p, q in zip(model.parameters(), other.parameters()):
        assert_allclose(q.data, p.data, rtol=1e-12, atol=1e-12)


# Functions of arrays of several shapes, as loops.
FUNCTIONS = {
    "sums": lambda x: (x.sum(axis=0), x.sum(axis=1, keepdims=True), x.sum()),
    "largest": lambda x: (x.max(axis=1), x.min(axis=(0, 1)), x.prod(axis=-1)),
    "views": lambda x: (x.T, x.reshape(-1), (x + 1).T, x[::2, -1], x[0, 1] + x),
    "broadcast": lambda x: (np.broadcast_to(x[0], (2, 4)) * 2, x[:, None] - x),
    "choices": lambda x: np.where((x > 0) & ~(x > 1), x, -x),
    "signs": lambda x: (-x) ** 2 + abs(x) + np.square(x) / 3,
    "vectors": lambda x: (x[0].dot(x[1]), x @ x[0], x[:, 0] @ x),
    "numbers": lambda x: (x.sum() * 2, np.exp(x.mean()) - 1),
    "types": lambda x: (x > 0).astype(np.float32) + x.astype(np.float32),
    "rows": lambda x: x - x.mean(axis=0) + x[:, :1] * x[:1],
    "the argument": lambda x: (x, x.T.copy()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_by_numba_are_numpys(name):
    rng = np.random.default_rng(0)
    f = FUNCTIONS[name]
    compiled = tg.compile(f, backend="numba")
    for _ in range(2):
        x = rng.standard_normal((3, 4))
        expected, got = f(x), compiled(x)
        if not isinstance(expected, tuple):
            expected, got = (expected,), (got,)
        for a, b in zip(got, expected, strict=True):
            assert_allclose(a, b, rtol=1e-12)
            assert np.asarray(a).dtype == np.asarray(b).dtype


def test_what_has_no_loop_is_refused_by_name():
    compiled = tg.compile(lambda x: np.linalg.inv(x), backend="numba")
    with pytest.raises(
        ValueError, match=r"no loops for np\.linalg\.inv\(\), called at"
    ):
        compiled(np.eye(2))
    index = np.array([1, 0])
    compiled = tg.compile(lambda x: x[index] * 2, backend="numba")
    with pytest.raises(
        ValueError, match=r"no loops for getitem\(\), called at .*numpy"
    ):
        compiled(np.eye(2))


def test_backends_and_styles_that_do_not_go_together():
    with pytest.raises(ValueError, match=r"'numba' with style='readable'; these go"):
        tg.compile(len, backend="numba", style="readable")
    with pytest.raises(ValueError, match="backend='cuda'"):
        tg.compile(len, backend="cuda")


@pytest.mark.parametrize(
    ("absent", "way_out"), [("numba", "numba scipy"), ("scipy", "scipy")]
)
def test_what_numba_needs_is_named(absent, way_out, monkeypatch):
    monkeypatch.setattr(
        compiling, "find_spec", lambda name: None if name == absent else name
    )
    told = rf"needs {absent} \(not installed\): pip install {way_out}$"
    with pytest.raises(ModuleNotFoundError, match=told):
        tg.compile(len, backend="numba")


# --- Epochs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "optimiser"),
    [*(("numpy", optimiser) for optimiser in OPTIMISERS), ("numba", "Adam")],
)
def test_an_epoch_is_the_steps_on_all_mini_batches(optimiser, backend, examples):
    x, y = examples
    model, step = training(optimiser=optimiser)
    other, other_step = training(optimiser=optimiser)
    compiled = tg.compile(other_step, backend=backend)
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(2):
        batches = tg.data.minibatches(x, y, 5, rng)
        losses = [step(inputs, targets).item() for inputs, targets in batches]
        assert_allclose(compiled.epoch(x, y, 5, same), losses, rtol=1e-12)
    for p, q in zip(model.parameters(), other.parameters()):
        assert_allclose(q.data, p.data, rtol=1e-12, atol=1e-12)


def test_an_epoch_gives_what_the_function_gives(examples):
    x, y = examples

    @tg.compile
    def f(x, y):
        return {"error": (x - y) ** 2, "sums": x.sum(), "none": None}

    answer = f.epoch(x, y, 4)
    assert [e.shape for e in answer["error"]] == [(4, 2)] * 3 + [(1, 2)]
    assert_allclose(answer["sums"], [x[i : i + 4].sum() for i in range(0, 13, 4)])
    assert answer["none"] is None


def test_an_epoch_of_a_vector_a_mini_batch(examples):
    x, y = examples
    sums = tg.compile(lambda x, y: (x * y).sum(axis=0)).epoch(x, y, 6)
    assert_allclose(sums, [(x * y)[i : i + 6].sum(axis=0) for i in (0, 6, 12)])


def test_an_epoch_by_numba_of_what_is_more_than_a_loss(examples):
    """Then the mini-batches are a loop in Python."""
    x, y = examples
    compiled = tg.compile(lambda x, y: (x * y, x.sum()), backend="numba")
    products, sums = compiled.epoch(x, y, 13)
    assert_allclose(products[0], x * y)
    assert_allclose(sums, [x.sum()])


@pytest.mark.parametrize(
    ("n", "batch_size", "message"),
    [(5, 2, "13 rows in x, 5 in y"), (13, 0, "batch_size 0 must be 1 or more")],
)
def test_an_epoch_wants_examples(n, batch_size, message, examples):
    x, y = examples
    with pytest.raises(ValueError, match=message):
        tg.compile(lambda x, y: x).epoch(x, y[:n], batch_size)


def test_an_epoch_may_be_a_part_of_the_examples(examples):
    x, y = examples
    rows = np.array([7, 2, 12, 0, 5])
    products = tg.compile(lambda x, y: (x * y).sum())
    np.testing.assert_allclose(
        products.epoch(x, y, 2, rows=rows),
        [(x[part] * y[part]).sum() for part in (rows[:2], rows[2:4], rows[4:])],
        rtol=1e-12,
    )
    order = np.random.default_rng(3).permutation(rows)
    np.testing.assert_allclose(
        products.epoch(x, y, 5, np.random.default_rng(3), rows=rows),
        [(x[order] * y[order]).sum()],
        rtol=1e-12,
    )
    with pytest.raises(ValueError, match="of which 0 are to be used"):
        products.epoch(x, y, 2, rows=rows[:0])


# --- Large products -------------------------------------------------------------------


@pytest.mark.parametrize("faster", [True, False])
def test_a_large_product_may_be_made_in_blocks_of_rows(faster, monkeypatch):
    monkeypatch.setattr(fast, "small_products_are_faster", lambda: faster)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((100, 784)), rng.standard_normal((784, 30))
    compiled = tg.compile(lambda x: (x @ w) * 2)
    assert_allclose(compiled(x), x @ w * 2, rtol=1e-12)
    assert ("for rows in blocks_" in compiled.source) is faster


def test_products_of_equal_size_share_their_blocks(monkeypatch):
    monkeypatch.setattr(fast, "small_products_are_faster", lambda: True)
    rng = np.random.default_rng(0)
    x, v, w = (rng.standard_normal(shape) for shape in [(100, 784), *[(784, 30)] * 2])
    compiled = tg.compile(lambda x: (x @ v) * (x @ w))
    assert_allclose(compiled(x), (x @ v) * (x @ w), rtol=1e-12)
    assert compiled.source.count("blocks_100_") == 3  # once defined, used twice


def test_whether_small_products_are_faster_is_measured_once():
    answer = tuning.small_products_are_faster()
    assert answer in (True, False)
    assert tuning.small_products_are_faster() is answer


def test_products_are_in_blocks_only_where_blocks_have_many_rows():
    def rows(m, k, n):
        a, b = Variable((m, k), np.dtype(float)), Variable((k, n), np.dtype(float))
        return tuning.rows_at_once(a, b)

    assert rows(128, 784, 30) == 40
    assert rows(10, 784, 30) == 0
    assert rows(1000, 1000, 1000) == 0


def test_numba_is_not_imported_for_numpys_programs():
    assert "numba" not in vars(compiling)
    assert "tinygrad_edu.compiler" in sys.modules
    assert_array_equal(tg.compile(lambda x: x + 1)(np.ones(2)), [2, 2])


def test_an_epoch_notices_that_a_gradient_is_there_now(examples):
    """The first mini-batch finds none, the second adds to what the first one left."""
    x, y = examples
    w, same = (tg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))

    def accumulate(w):
        return lambda x, y: tg.losses.mse(x * w, y).backward()

    assert tg.compile(accumulate(w)).epoch(x, y, 5) is None
    for inputs, targets in tg.data.minibatches(x, y, 5):
        accumulate(same)(inputs, targets)
    assert_allclose(w.grad.data, same.grad.data, rtol=1e-12)


def test_an_update_by_numba_that_is_no_elementwise_function():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    @tg.compile(backend="numba")
    def f(x):
        w.data = x.sum(axis=0)
        return x * 2

    f(np.ones((3, 2)))
    assert_array_equal(w.data, [3, 3])


def test_a_program_of_loops_may_give_a_constant():
    assert "return 2.0" in Loops(Program((), (), (2.0,), {})).source


def test_numbers_and_constants_come_out_of_loops():
    w = tg.Tensor(2.0, requires_grad=True)
    optimiser = tg.optim.SGD([w], 0.5)
    constant = np.array([1.0, 2.0, 3.0])

    @tg.compile(backend="numba")
    def f(x):
        loss = (w * w).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return (
            x * np.array([1.0, 2.0, 3.0]),
            -optimiser.lr,
            loss,
            np.where(x > 0, True, False),
        )

    product, number, loss, positive = f(constant)
    assert_array_equal(product, [1, 4, 9])
    assert number == -0.5
    assert loss.item() == 4
    assert w.item() == 0
    assert positive.all()


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_an_epoch_starts_from_the_gradients_that_are_there(backend, examples):
    """They go into the first step only."""
    x, y = examples
    (w, opt), (same, other) = (
        (w, tg.optim.SGD([w], 0.1))
        for w in (tg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    )

    def step_of(w, opt):
        def step(x, y):
            loss = tg.losses.mse(x * w, y)
            loss.backward()
            opt.step()
            opt.zero_grad()
            return loss

        return step

    w.grad = same.grad = tg.Tensor([3.0, -5.0])
    compiled = tg.compile(step_of(w, opt), backend=backend)
    losses = compiled.epoch(x, y, 4)
    assert "def epoch(" in compiled.source
    batches = tg.data.minibatches(x, y, 4)
    wanted = [step_of(same, other)(*batch).item() for batch in batches]
    assert_allclose(losses, wanted, rtol=1e-12)
    assert_allclose(w.data, same.data, rtol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_an_epoch_keeps_the_structure_of_the_answers(backend, examples):
    x, y = examples
    f = tg.compile(lambda x, y: {"loss": (x * y).sum(), "n": 3}, backend=backend)
    answers = f.epoch(x, y, 13)
    assert_allclose(answers["loss"], [(x * y).sum()])
    assert_array_equal(answers["n"], [3])
