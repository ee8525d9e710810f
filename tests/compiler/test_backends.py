"""The same program by Numba's loops, and whole epochs, in both backends."""

import sys
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_edu as tg
from tinygrad_edu.compiler import compiling
from tinygrad_edu.compiler.functions import astype, spread
from tinygrad_edu.compiler.passes import tuning
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.writing import fast, nests
from tinygrad_edu.compiler.writing.loops import Loops
from tinygrad_edu.support import tree

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
    "joined": lambda x: (np.concatenate([x, x[:1] * 2]), np.stack([x, -x], axis=-1)),
    "windows": lambda x: (
        x.reshape(2, 6)[:, 1::2] + x.reshape(3, 2, 2)[::-1, 0, 1, None][:2]
    ),
    "heads": lambda x: x.reshape(3, 2, 2).transpose(1, 0, 2) @ x.reshape(2, 2, 3),
    "squeezed": lambda x: x[:, None].reshape(1, 12)[..., ::-1] + x.T.reshape(12),
    "moved axes": lambda x: np.transpose(x[None], (-1, 0, 1)) + x[0, 0],
    "logic": lambda x: (~(x > 0) | np.logical_not(x)).sum(axis=0),
    "integers": lambda x: (x * 9).astype(np.int32) // 2 + np.uint8(3),
    "averages": lambda x: x.mean(axis=0) + np.float32(2) * x.mean(axis=(0, 1)),
    "constants": lambda x: (np.full((2, 2), 3.0), x + np.inf, x * np.array(-2.0)),
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


# Functions of which a part has no loop, with what is called for it.
CALLS = {
    "an inverse": (lambda x: np.linalg.inv(x + 1) * 2, "np.linalg.inv(t1)"),
    "rows": (lambda x: x[[1, 0]] * 2, "x[[1, 0]]"),
    "a mask": (lambda x: x[True] * 2, "x[True]"),
    "a column of rows": (lambda x: (x + 1)[[0, 2], 1] + x[0, 0], "t1[[0, 2], 1]"),
    "complex numbers": (lambda x: ((x + 0j) * 1j, x.sum()), "np.multiply(o2, t1)"),
    "a choice of terms": (lambda x: np.sum(x, where=x > 0) + x.sum(), "where="),
    "a dtype": (lambda x: np.add(x, x, dtype=np.float32) * x, "dtype=np.float32"),
    "integers": (lambda x: (np.argmax(x, axis=1) ** 2, x * 3), "np.argmax(x, axis=1)"),
    "the largest integer": (lambda x: x.astype(int).max() + x, "np.max("),
    "a view of what is called": (lambda x: np.flip(x).T * 2, "np.flip(x)"),
    "a large stack": (lambda x: np.ones((200, 3, 1)) * x @ x[None] + x, "np.matmul("),
    "nothing": (lambda x: (x[:0] + 1, x.sum()), "np.add"),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_has_no_loop_is_called(name):
    f, call = CALLS[name]
    compiled = tg.compile(f, backend="numba")
    x = np.array([[2.0, 1, -1], [0, 3, 1], [1, 1, 4]])
    for y in (x, x * 1.5):
        for a, b in zip(tree.leaves(compiled(y)), tree.leaves(f(y)), strict=True):
            assert_allclose(a, b, rtol=1e-12)
            assert np.asarray(a).dtype == np.asarray(b).dtype
    assert call in compiled.source


def test_nothing_is_written_before_all_calls_are_made():
    """A call may fail, and then parameters are as before."""
    u, v, w = (
        tg.Tensor(np.full((2, 2), k), requires_grad=True) for k in (0.0, 2.0, 1.0)
    )
    weights = [u]  # which are updated in place; the others are new arrays

    @tg.compile(backend="numba")
    def f(x):
        with tg.no_grad():
            weights[0] -= x
        w.data = w.data * 2 + x
        v.data = v.data * 3
        return np.linalg.inv(x)

    assert_allclose(f(np.eye(2) * 2), np.eye(2) / 2)
    before = [x.numpy().copy() for x in (u, v, w)]
    assert_array_equal(before, [[[-2, 0], [0, -2]], [[6, 6], [6, 6]], [[4, 2], [2, 4]]])
    with pytest.raises(np.linalg.LinAlgError):
        f(np.ones((2, 2)))
    assert_array_equal([x.numpy() for x in (u, v, w)], before)


def test_a_step_may_return_nothing(examples):
    (model, step), (other, other_step) = training(), training()

    @tg.compile(backend="numba")
    def compiled(x, y):
        other_step(x, y)

    assert compiled(*examples) is None
    step(*examples)
    for p, q in zip(model.parameters(), other.parameters()):
        assert_allclose(q.data, p.data, rtol=1e-12)


@pytest.mark.parametrize("call", [False, True])
def test_equal_layers_share_their_loops(call):
    """Of a long program: twice as many layers take no more functions."""

    def f(x, n):
        for _ in range(n):
            x = np.tanh(x @ x * 0.1 + 1)
            x = np.sort(x) if call else x - x.sum(axis=0)
        return x, x.sum()

    compiled = tg.compile(f, backend="numba")
    x, functions = np.random.default_rng(0).standard_normal((3, 3)), []
    for n in (40, 80):
        for a, b in zip(compiled(x, n), f(x, n), strict=True):
            assert_allclose(a, b, rtol=1e-9)
        functions.append(compiled.source.count("@njit"))
    assert functions[0] == functions[1] < 8


def test_a_long_formula_is_several_nests():
    def f(x):
        y = x
        for k in range(90):
            y = np.sin(y) + x / (k + 1)
        return y

    compiled = tg.compile(f, backend="numba")
    x = np.ones(3)
    assert_allclose(compiled(x), f(x), rtol=1e-12)
    assert 3 < compiled.source.count("for i0") < 10


def test_numbers_of_numpys_are_taken_as_arrays_are():
    compiled = tg.compile(lambda x, k: (x * k, k * k, k), backend="numba")
    for k in (np.float64(3), np.array(3.0)):
        product, square, same = compiled(np.ones(2), k)
        assert_array_equal(product, [3, 3])
        assert (square, same) == (9, 3)


def test_a_step_with_calls_has_epochs_too():
    compiled = tg.compile(lambda x, y: np.sort(x * y).sum(), backend="numba")
    x, y = np.arange(12.0).reshape(6, 2), np.ones((6, 2))
    assert_allclose(compiled.epoch(x, y, 2), x.reshape(3, 4).sum(axis=1))
    assert "@njit" not in compiled.source.partition("def step")[2]


# --- Element by element ---------------------------------------------------------------

KINDS = ["float64", "float32", "int64", "int32", "uint8", "bool"]
VALUES = {
    "f": [-2.5, -1, -0.0, 0, 0.3, 1, 2, np.inf, -np.inf, np.nan],
    "i": [-7, -2, -1, 0, 1, 2, 3, 5, 7, 9],
    "u": [0, 1, 2, 3, 5, 7, 100, 200, 250, 255],
    "b": [False, True] * 5,
}


@pytest.mark.parametrize(
    "f",
    sorted(nests.ELEMENTWISE - {np.where, astype, spread}, key=lambda f: f.__name__),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_elements_are_numpys(f):
    """Of every function that has loops, for every dtype that it has them for."""
    equations, arrays, expected = [], [], []
    pairs = zip(KINDS * 2, [*KINDS, *KINDS[1:], KINDS[0]])
    for dtypes in {tuple(map(np.dtype, pair[: f.nin])) for pair in pairs}:
        columns = product(*(VALUES[d.kind] for d in dtypes))
        given = [np.array(c, d) for c, d in zip(zip(*columns), dtypes)]
        try:
            answer = f(*given)
        except (TypeError, ValueError):  # which NumPy refuses
            continue
        variables = tuple(Variable(x.shape, x.dtype, "x") for x in given)
        e = Equation(Variable(answer.shape, answer.dtype), f, variables)
        if nests.has_loop(e):
            equations.append(e)
            arrays += given
            expected.append(answer)
    inputs = [x for e in equations for x in e.args]
    outputs = tuple(e.output for e in equations)
    loops = Loops(Program(tuple(inputs), tuple(equations), outputs, {}))
    names = {}
    exec(loops.source, names)
    found = names["step"](*arrays)
    for a, b in zip(found if len(outputs) > 1 else [found], expected, strict=True):
        assert a.dtype == b.dtype
        small = 1e-6 if a.dtype == np.float32 else 1e-13
        assert_allclose(a.astype(float), b.astype(float), rtol=small, atol=small)


def test_operands_that_are_no_arrays_have_no_loops():
    x = Variable((3,), np.dtype(float))
    for function in (np.dot, np.add, np.where, np.sum, np.concatenate):
        assert not nests.has_loop(Equation(x.like(), function, ([1, 2, 3], x, 2.0)))


def test_what_numba_has_no_numbers_for_is_updated_by_a_call():
    w, x = (Variable((2,), np.dtype(complex)) for _ in range(2))
    new = Equation(x.like(), np.multiply, (w, x))
    loops = Loops(Program((w, x), (new,), (), {w: new.output}))
    names = dict(loops.space.given)
    exec(loops.source, names)
    z = np.array([1j, 2])
    assert names["step"](z, np.array([1j, 3])) == ()
    assert_array_equal(z, [-1, 6])


def test_a_large_product_of_what_has_another_shape():
    x = np.random.default_rng(0).standard_normal((20, 2, 15))
    w = np.random.default_rng(1).standard_normal((30, 20))
    compiled = tg.compile(lambda x: x.reshape(20, 30) @ w, backend="numba")
    for y in (x, np.asfortranarray(x)):
        assert_allclose(compiled(y), y.reshape(20, 30) @ w, rtol=1e-12)


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "with gaps": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("first", LAYOUTS)
def test_contiguous_arrays_take_one_loop(first):
    """What they were at first decides, and the program is right for all of them."""
    rng = np.random.default_rng(0)
    w = tg.Tensor(np.zeros((3, 4)))

    @tg.compile(backend="numba")
    def f(x):
        w.data = w.data * 2 + x
        return x.reshape(2, 6) / 3

    for name in (first, *LAYOUTS):
        start, x = map(LAYOUTS[name], rng.standard_normal((2, 3, 4)))
        w.data = start.view()
        assert_allclose(f(x), x.reshape(2, 6) / 3)
        assert_allclose(w.numpy(), start * 2 + x)
    loops = f.source.count("for ")
    assert loops == (2 if first == "C" else 4)


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
