"""`compile` and `Dropout`: at each call a program drops what the function would."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.nn import Dropout, Linear, ReLU, Sequential

OPTIONS = {
    "fast": {},
    "readable": {"style": "readable"},
    "numba": {"backend": "numba"},
}
DIFFERS = r"run twice, the function did not do the same, at .*test_random\.py:"
each_way = pytest.mark.parametrize("way", OPTIONS)


def options(way):
    if way == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
        pytest.importorskip("scipy", reason="SciPy, which it needs, is not installed")
    return OPTIONS[way]


class Training:
    """A network with two Dropouts that draw from one generator, and its step."""

    def __init__(self, seed=0, dtype=float, wrap=lambda layer: layer):
        rng = np.random.default_rng(seed)
        self.model = Sequential(
            Linear(3, 8, rng, "he", dtype),
            ReLU(),
            Dropout(0.5, rng),
            Linear(8, 2, rng, dtype=dtype),
            Dropout(0.25, rng),
        )
        self.call = wrap(self.model)
        self.optimiser = tg.optim.SGD(self.model.parameters(), lr=0.1)

    def step(self, x, y):
        self.optimiser.zero_grad()
        loss = tg.losses.mse(self.call(x), y)
        loss.backward()
        self.optimiser.step()
        return loss

    def state(self):
        return [p.data for p in self.model.parameters()]


@pytest.fixture
def examples():
    rng = np.random.default_rng(1)
    return rng.standard_normal((13, 3)), rng.standard_normal((13, 2))


def assert_same(mine, plain):
    for a, b in zip(mine.state(), plain.state(), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    assert mine.model.random_state() == plain.model.random_state()


@each_way
def test_a_step_drops_what_the_eager_one_drops(way, examples):
    mine, plain = Training(), Training()
    compiled = tg.compile(mine.step, **options(way))
    losses, sources = [], set()
    for _ in range(4):
        losses.append(compiled(*examples).item())
        np.testing.assert_allclose(losses[-1], plain.step(*examples).item(), rtol=1e-12)
        sources.add(compiled.source)
        assert_same(mine, plain)
    assert len(sources) == len(compiled._variants) == 1
    assert re.search(r"def step\([^)]*mask, mask_2", compiled.source)


def test_other_elements_are_dropped_at_each_call():
    layer = Dropout(0.5, rng=0)
    compiled = tg.compile(lambda x: layer(x), style="readable")
    x = np.ones(64)
    answers = [compiled(x).tobytes() for _ in range(5)]
    assert len(set(answers)) == 5


@each_way
def test_an_epoch_is_the_steps_on_all_mini_batches(way, examples):
    mine, plain = Training(), Training()
    compiled = tg.compile(mine.step, **options(way))
    losses = compiled.epoch(*examples, 3, np.random.default_rng(5))
    batches = tg.data.minibatches(*examples, 3, np.random.default_rng(5))
    expected = [plain.step(*batch).item() for batch in batches]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    assert_same(mine, plain)


@each_way
def test_evaluation_has_a_program_of_its_own(way, examples):
    mine, plain = Training(), Training()
    compiled = tg.compile(mine.step, **options(way))
    programs = []
    for change in ("train", "eval") * 3:
        for of in (mine, plain):
            getattr(of.model, change)()
        for _ in range(2):
            compiled(*examples)
            plain.step(*examples)
            assert_same(mine, plain)
        assert ("mask" in compiled.source) == (change == "train")
        programs.append(len(compiled._variants))
    assert programs[2:] == programs[2:3] * 4


def test_a_step_may_say_that_it_trains(examples):
    """It does so while it is recorded; eval() from outside has it recorded anew."""
    mine, plain = Training(), Training()

    def step(of, x, y):
        of.model.train()
        return of.step(x, y)

    compiled = tg.compile(lambda x, y: step(mine, x, y))
    for _ in range(3):
        for _ in range(2):
            compiled(*examples)
            step(plain, *examples)
            assert_same(mine, plain)
            assert mine.model.training
        mine.model.eval()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype, examples):
    x, y = (array.astype(dtype) for array in examples)
    mine, plain = Training(dtype=dtype), Training(dtype=dtype)
    compiled = tg.compile(mine.step, style="readable")
    for _ in range(2):
        loss = compiled(x, y)
        plain.step(x, y)
    assert loss.dtype == dtype
    other = "float64" if dtype == np.float32 else "float32"
    assert other not in compiled.source
    for a, b in zip(mine.state(), plain.state(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_a_mask_that_nothing_depends_on_is_drawn_all_the_same():
    def f(layer, x):
        layer(x)
        return layer(x)

    mine, plain = Dropout(0.5, rng=0), Dropout(0.5, rng=0)
    compiled = tg.compile(lambda x: f(mine, x))
    x = np.ones(20)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x), f(plain, x))
    assert mine.random_state() == plain.random_state()


def test_what_is_changed_between_calls_counts():
    mine, plain = Training(), Training()
    compiled = tg.compile(mine.step)
    x, y = np.ones((4, 3)), np.ones((4, 2))

    def both(change=lambda model: None):
        for of in (mine, plain):
            change(of.model)
        compiled(x, y)
        plain.step(x, y)
        assert_same(mine, plain)

    both()
    state = plain.model.random_state()
    both(lambda model: setattr(model[2], "rate", 0.75))
    both(lambda model: setattr(model[4], "rng", np.random.default_rng(7)))
    both(lambda model: setattr(model[4], "rng", model[2].rng))
    both(lambda model: model.load_random_state(state))
    both(lambda model: setattr(model[2], "rate", 0))


def test_an_error_while_recording_draws_nothing():
    layer = Dropout(0.5, rng=0)
    before = layer.random_state()
    with pytest.raises(TypeError, match="the function branches on a value"):
        tg.compile(lambda x: 1.0 if layer(x).sum() > 0 else 2.0)(np.ones(3))
    assert layer.random_state() == before


def test_random_numbers_of_ones_own_are_refused():
    layer, rng = Dropout(0.5, rng=0), np.random.default_rng(0)
    before = layer.random_state()
    for f in (
        lambda x: layer(x) + rng.random(3),
        lambda x: layer(x) * tg.nn.Dropout(0.5, rng).mask((3,), float),
    ):
        with pytest.raises(TypeError, match=DIFFERS):
            tg.compile(f)(np.ones(3))
        assert layer.random_state() == before


def test_a_dropout_made_inside_draws_afresh_from_its_seed():
    """As the eager function does: its generator is a new one each time."""

    def f(x):
        return Dropout(0.5, rng=3)(x)

    compiled, x = tg.compile(f), np.ones(20)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x), f(x))


def test_a_dropout_made_inside_cannot_draw_from_elsewhere():
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match=DIFFERS):
        tg.compile(lambda x: Dropout(0.5)(x))(np.ones(20))
    with pytest.raises(TypeError, match=DIFFERS):
        tg.compile(lambda x: Dropout(0.5, rng)(x))(np.ones(20))


def test_a_dropout_that_cannot_be_found_is_refused():
    hidden = {id(layer): layer for layer in [Dropout(0.5, rng=0)]}
    find = dict.__getitem__.__get__(hidden)
    key = next(iter(hidden))
    with pytest.raises(TypeError, match=DIFFERS):
        tg.compile(lambda x: find(key)(x))(np.ones(20))


@pytest.mark.parametrize("wrap", [tg.remat, lambda f: tg.remat(tg.remat(f))])
def test_recomputed_layers_in_a_program(wrap, examples):
    mine, plain = Training(wrap=wrap), Training()
    compiled = tg.compile(mine.step)
    for _ in range(3):
        compiled(*examples)
        plain.step(*examples)
        assert_same(mine, plain)


def test_a_gradient_inside_a_program():
    mine, plain = Dropout(0.5, rng=0), Dropout(0.5, rng=0)

    def f(layer, x):
        return tg.grad(lambda z: (layer(z) ** 2).sum())(x)

    compiled = tg.compile(lambda x: f(mine, x))
    for k in range(3):
        x = np.arange(1.0, 9.0) + k
        np.testing.assert_allclose(compiled(x), f(plain, x), rtol=1e-14)
    assert mine.random_state() == plain.random_state()


def test_without_recording_gradients():
    mine, plain = Training(), Training()
    compiled = tg.compile(lambda x: mine.model(x))
    x = np.ones((4, 3))
    with tg.no_grad():
        for _ in range(2):
            np.testing.assert_allclose(compiled(x).data, plain.model(x).data)
