"""What `compile` promises: a test for each sentence, in the order of the docs."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from beside_eager import X, copied, leaf, lines_named, lines_of, right, same

import tinygrad_edu as tg

each_style = pytest.mark.parametrize("style", ["fast", "readable"])


def step_of(loss_of, *parameters, optimiser=tg.optim.SGD, **numbers):
    """Make a training step, and its optimiser."""
    o = optimiser(parameters, **{"lr": 0.01} | numbers)

    def step(x):
        o.zero_grad()
        loss = loss_of(x)
        loss.backward()
        o.step()
        return loss

    return step, o


def refuses(f, *args, match="", lines=None):
    """Assert that `f` is refused, in words, with a line of its own."""
    with pytest.raises((TypeError, ValueError), match=rf"^compile: .*{match}") as error:
        tg.compile(f)(*args)
    assert lines_named(error.value) & (lines or lines_of(f)), str(error.value)


def recorded_anew(compiled, change, *args):
    """Whether a call after a change runs another program than before."""
    compiled(*args)
    before = compiled.source
    change()
    compiled(*args)
    return compiled.source is not before


# --- Read afresh at every call --------------------------------------------------------


@each_style
def test_arguments_are_read_afresh(style):
    """The arguments are read afresh at every call."""

    def case():
        w = leaf()

        def script(g, held):
            for x in (X, X + 1, X * 2):
                yield g(x, {"k": (x, tg.Tensor(x))}, 0.5 * float(x[0]))

        return (lambda x, d, k: (w * x * d["k"][0] + d["k"][1]) * k), [w], script

    right(case, style=style)


@each_style
def test_every_tensor_is_read_afresh(style):
    """The value of every Tensor that was there before: parameters, frozen ones too."""

    def case():
        w, frozen, layers = leaf(), tg.Tensor(X), [tg.nn.Linear(3, 2, rng=0)]
        held = [w, frozen, *layers[0].parameters()]
        return (lambda x: tg.sum(layers[0](x * w * frozen))), held

    right(case, style=style)


NUMBERS = {
    "SGD": (tg.optim.SGD, {"momentum": 0.9}, {"lr": 0.1, "momentum": 0.5}),
    "RMSprop": (tg.optim.RMSprop, {}, {"lr": 0.1, "alpha": 0.5, "eps": 1e-3}),
    "Adam": (tg.optim.Adam, {}, {"lr": 0.1, "betas": (0.5, 0.6), "eps": 1e-3}),
    "AdamW": (tg.optim.AdamW, {}, {"lr": 0.1, "weight_decay": 0.5}),
}


@each_style
@pytest.mark.parametrize("name", NUMBERS)
def test_optimisers_are_read_afresh(name, style):
    """Optimisers' state, learning rates and other numbers that they declare."""
    optimiser, first, changes = NUMBERS[name]

    def case():
        w = leaf()
        f, o = step_of(lambda x: tg.sum((w * x) ** 2), w, optimiser=optimiser, **first)

        def script(g, held):
            yield g(X)
            for number, value in changes.items():
                setattr(o, number, value)
                yield g(X)
            for arrays in o.state.values():
                arrays[0][...] = 0.5
            yield g(X)

        return f, [w, o], script

    right(case, style=style)


@each_style
def test_layers_draw_afresh(style):
    """Random draws of our own layers are made at every call."""

    def case():
        w, layer = leaf(), tg.nn.Dropout(0.5, rng=0)

        def script(g, held):
            for _ in range(5):
                yield g(X), str(layer.random_state())

        return (lambda x: layer(w * x)), [w], script

    right(case, style=style)


@each_style
def test_captured_arrays_are_read_by_reference(style):
    """What is written into an array that `f` captured is seen."""

    def case():
        w, a, c = leaf(), X.copy(), SimpleNamespace(deep=[X + 1])
        return (lambda x: w * x * a + c.deep[0]), [a, c.deep[0], w]

    right(case, style=style)


# --- Guarded: a change records anew ---------------------------------------------------

ARGUMENTS = {
    "shapes": [X, X[:2], np.ones((4, 1)), np.array(2.0), np.zeros((0, 1))],
    "dtypes": [X, X.astype(np.float32), X.astype(int), X > 1],
    "kinds": [X, tg.Tensor(X), X],
    "structure": [{"a": X}, {"a": X, "b": X}, [X], (X,), [X, X], [[X]]],
    "strings": ["mean", "sum", "mean"],
    "integers": [1, 2, 3, True, 1],
    "floats": [1.0, 2.0, 0.0, np.float32(3), np.inf],
    "none": [None, 1, None],
}


def total(x):
    """Use an argument of any kind."""
    if isinstance(x, dict | list | tuple):
        parts = x.values() if isinstance(x, dict) else x
        return sum((2 + i) * total(part) for i, part in enumerate(parts))
    if isinstance(x, str):
        return len(x)
    return 5.0 if x is None else x * 2


@each_style
@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_change_of_the_arguments_records_anew(name, style):
    """Structure, shapes, dtypes and plain values among the arguments."""

    def case():
        w = leaf(2)

        def script(g, held):
            for x in ARGUMENTS[name]:
                yield g(x)

        return (lambda x: w * total(x)), [w], script

    right(case, style=style)


READ = {
    "shape": lambda w: setattr(w, "data", np.ones((2, 3))),
    "dtype": lambda w: setattr(w, "data", X.astype(np.float32)),
    "requires_grad": lambda w: setattr(w, "requires_grad", False),
}


@each_style
@pytest.mark.parametrize("name", READ)
def test_a_change_of_what_is_read_records_anew(name, style):
    """Shapes, dtypes and `requires_grad` of what is read."""

    def case():
        w, v = leaf(), leaf()

        def f(x):
            y = tg.sum(w * v * x)
            y.backward()
            return y

        def script(g, held):
            yield g(X), w.grad, v.grad
            w.grad = v.grad = None
            READ[name](w)
            yield g(X), w.grad, v.grad

        return f, [], script

    right(case, style=style)


NUMBER = 2.0
SETTINGS = SimpleNamespace(power=2)


def scaled(x):
    return NUMBER * x


@pytest.mark.parametrize("style", ["fast", "readable"])
def test_a_change_of_globals_and_closures_records_anew(style, monkeypatch):
    """What `f`'s own closure and globals hold under the names that its code uses."""

    def case():
        w, k, layers = leaf(), 1.0, [tg.nn.Linear(3, 3, rng=0)]

        def f(x):
            for layer in layers:
                x = layer(x)
            y = scaled(x * w) ** SETTINGS.power * NUMBER
            return y if k is None else y * k

        def script(g, held):
            nonlocal k
            names = globals()
            yield g(X)
            for k in (3.0, 3, X + 1, np.ones((2, 1)), None, leaf()):  # noqa: B007
                yield g(X)
            names["NUMBER"] = 5.0
            yield g(X)
            SETTINGS.power = 3
            yield g(X)
            names["scaled"] = lambda x: x
            yield g(X)
            layers.append(tg.nn.Linear(3, 3, rng=1))
            yield g(X)

        for name, value in BEFORE.items():
            monkeypatch.setitem(globals(), name, value)
        monkeypatch.setattr(SETTINGS, "power", 2)
        return f, [w], script

    right(case, style=style)


BEFORE = {"NUMBER": NUMBER, "scaled": scaled}


class Scaled(tg.nn.Module):
    def __init__(self):
        self.linear = tg.nn.Linear(3, 2, rng=0)
        self.scale, self.square, self.rows = 2.0, False, [0, 1]

    def forward(self, x):
        y = self.linear(x) * self.scale
        return tg.stack([y[i] for i in self.rows]) ** (2 if self.square else 1)


@each_style
def test_a_change_of_plain_attributes_records_anew(style):
    """The plain attributes of the Modules and Optimisers that it called."""

    def case():
        model = tg.nn.Sequential(Scaled(), tg.nn.Dropout(0.5, rng=0))
        f, o = step_of(lambda x: tg.sum(model(x)), *model.parameters(), momentum=0.9)

        def script(g, held):
            yield g(X)
            for owner, name, value in [
                (model[0], "scale", 3.0),
                (model[0], "square", True),
                (model[0], "rows", [1]),
                (model[1], "rate", 0.25),
                (o, "nesterov", True),
                (o, "weight_decay", 0.1),
            ]:
                setattr(owner, name, value)
                yield g(X)
            model.eval()
            yield g(X)

        return f, [*model.parameters(), o], script

    right(case, style=style)


def test_without_a_change_nothing_is_recorded_anew():
    """Other values, and the return of an earlier signature, run what is there."""
    w = leaf()
    f, o = step_of(lambda x: tg.sum(w * x), w)
    compiled = tg.compile(f)
    assert not recorded_anew(compiled, lambda: setattr(w, "data", X + 1), X)
    assert not recorded_anew(compiled, lambda: setattr(o, "lr", 0.5), X)
    first = compiled.source
    compiled(X[:1])
    assert compiled.source is not first
    compiled(X + 1)
    assert compiled.source is first


# --- Refused, with the user's line ----------------------------------------------------

W = leaf()

LOOKS = {
    "float": lambda x: W * float(tg.sum(W * x)),
    "int": lambda x: W * int(tg.sum(W * x)),
    "if": lambda x: W * (1.0 if tg.sum(W * x) > 0 else 2.0),
    "bool": lambda x: W * bool(x.sum() > 0),
    "and": lambda x: W * (tg.sum(W * x) and 1.0),
    "item": lambda x: W * tg.sum(W * x).item(),
    "tolist": lambda x: W.tolist(),
    "asarray": lambda x: W * np.asarray(x),
    "array": lambda x: W * np.array([x[0], x[1], x[2]]),
    "numpy": lambda x: W * (W * x).numpy().max().item(),
    "argument": lambda x: W * float(x.sum()),
    "parameter": lambda x: W * float(W.data[0]),
    "range": lambda x: W * sum(range(int(x[0]))),
    "f-string": lambda x: W * len(f"{x.sum():.2f}"),
    "max": lambda x: W * max(x),
    "mask": lambda x: W[x > 1],
}


@pytest.mark.parametrize("name", LOOKS)
def test_asking_for_a_value_is_refused(name):
    """`float(t)`, `if t > 0`, `t.item()`, `np.asarray(t)`."""
    refuses(LOOKS[name], X, match="value")
    assert type(W.data) is np.ndarray
    assert W.grad is None


CAPTURED = X.copy()

WRITES = {
    "given": lambda x: x.__setitem__(0, 5.0),
    "given, whole": lambda x: x.__iadd__(1),
    "given, a view": lambda x: x[1:].__imul__(2),
    "given, out": lambda x: np.add(x, 1, out=x),
    "captured": lambda x: CAPTURED.__setitem__(0, x[0]),
    "captured, plain": lambda x: CAPTURED.__setitem__(0, 5.0),
    "captured, whole": lambda x: CAPTURED.__iadd__(x),
    "captured, plain whole": lambda x: CAPTURED.__iadd__(1),
    "captured, out": lambda x: np.multiply(x, 2, out=CAPTURED),
    "captured, out by position": lambda x: np.multiply(x, 2, CAPTURED),
    "captured, at": lambda x: np.add.at(CAPTURED, [0], x[:1]),
    "captured, copyto": lambda x: np.copyto(CAPTURED, x),
}


@pytest.mark.parametrize("name", WRITES)
def test_writing_into_what_is_captured_or_given_is_refused(name):
    """Writing into an array that is captured or given."""
    CAPTURED[:], x = X, X.copy()
    refuses(lambda x: (WRITES[name](x), W * x * CAPTURED), x, lines=LINES[name])
    assert same(x, X)
    assert same(CAPTURED, X)


LINES = {name: lines_of(f) for name, f in WRITES.items()}

RNG = np.random.default_rng(0)

DIFFERS = {
    "global generator": lambda x: W * x + RNG.random(3),
    "legacy": lambda x: W * x * np.random.rand(3),  # noqa: NPY002
    "fresh generator": lambda x: W * x + np.random.default_rng().random(3),
    "time": lambda x: W * x * time.perf_counter(),
    "layer": lambda x: tg.nn.Linear(3, 2)(W * x),
    "counter": lambda x: W * x * next(COUNTER),
    "more steps": lambda x: sum(W * x for _ in range(next(COUNTER))),
}
COUNTER = iter(range(1, 1000))


@pytest.mark.parametrize("name", DIFFERS)
def test_a_second_recording_that_differs_is_refused(name):
    """Random numbers, the time, a counter."""
    refuses(DIFFERS[name], X)


KEPT = SimpleNamespace(list=[], dict={}, last=None)


class Remembers(tg.nn.Module):
    def forward(self, x):
        self.last = W * x
        return self.last


REMEMBERS = Remembers()
OUTLIVES = {
    "appended": lambda x: KEPT.list.append(W * x),
    "appended, as an array": lambda x: KEPT.list.append(x * 2),
    "appended, in a tuple": lambda x: KEPT.list.append((1, tg.sum(W * x))),
    "key": lambda x: KEPT.dict.update(y=W * x),
    "attribute": lambda x: setattr(KEPT, "last", W * x),
    "attribute of a module": lambda x: REMEMBERS(x),
}


@pytest.mark.parametrize("name", OUTLIVES)
def test_a_tensor_that_outlives_the_recording_is_refused(name):
    """Appended to a list, kept in an attribute."""
    KEPT.list, KEPT.dict, KEPT.last = [], {}, None
    lines = lines_of(OUTLIVES[name]) | lines_of(Remembers.forward)
    refuses(lambda x: (OUTLIVES[name](x), W * x)[1], X, lines=lines)


# --- As in eager ----------------------------------------------------------------------


def hand_written(s, x):
    """`p.data = ...`"""
    loss = tg.sum((s.w * x) ** 2)
    loss.backward()
    s.w.data = s.w.data - 0.01 * s.w.grad.data
    s.w.zero_grad()
    return loss


def in_place(s, x):
    """`p -= lr * p.grad` under `no_grad()`."""
    loss = tg.sum((s.w * x) ** 2)
    loss.backward()
    with tg.no_grad():
        s.w -= 0.01 * s.w.grad
    s.w.zero_grad()
    return loss


def with_optimisers(s, x):
    """Optimisers."""
    s.o.zero_grad()
    s.p.zero_grad()
    loss = tg.sum((s.w * x) ** 2 * s.v)
    loss.backward()
    s.o.step()
    s.p.step()
    return loss


def gradient_read_and_set(s, x):
    """`.grad` read and set."""
    loss = tg.sum(s.w * x * s.v)
    loss.backward()
    size = tg.sqrt(tg.sum(s.w.grad**2))
    s.w.grad = s.w.grad / (1 + size)
    s.v.grad = None
    return loss, size, s.w.grad


def accumulated(s, x):
    """Gradients accumulated, from call to call too."""
    loss = tg.sum(s.w * s.v * x)
    loss.backward()
    return loss


def several_backward_passes(s, x):
    """Several backward passes."""
    loss = tg.sum((s.w * x) ** 3)
    loss.backward(retain_graph=True)
    first = s.w.grad * 1
    loss.backward()
    tg.sum(s.w * s.v).backward()
    return loss, first


def create_graph(s, x):
    """`create_graph`: a penalty on the gradient."""
    s.w.zero_grad()
    tg.sum((s.w * x) ** 3).backward(create_graph=True)
    penalty = tg.sum(s.w.grad**2)
    s.w.zero_grad()
    penalty.backward()
    return penalty


def transforms_inside(s, x):
    """Transforms inside."""
    return [
        tg.grad(lambda y: tg.sum(y**3 * s.w))(x),
        tg.grad(lambda z: tg.grad(lambda y: tg.sum(y**3))(z).sum())(x),
        tg.jacobian(lambda y: s.w * y**2)(x),
        tg.hessian(lambda y: tg.sum(y**3 * s.w))(x),
        tg.vjp(lambda y: s.w * y, x)[1](x),
        tg.jvp(lambda y: y**3 * s.w, (x,), (x,)),
        tg.hvp(lambda y: tg.sum(y**4 * s.w), (x,), (x,)),
    ]


AS_IN_EAGER = [
    hand_written,
    in_place,
    with_optimisers,
    gradient_read_and_set,
    accumulated,
    several_backward_passes,
    create_graph,
    transforms_inside,
]
KEEP_GRADIENTS = {gradient_read_and_set, accumulated, several_backward_passes}


@each_style
@pytest.mark.parametrize("body", AS_IN_EAGER)
def test_as_in_eager(body, style):
    """Updates, gradients, backward passes and transforms, as their names say."""

    def case():
        s = SimpleNamespace(w=leaf(), v=leaf(2, 1, 0))
        s.o = tg.optim.SGD([s.w], lr=0.01, momentum=0.9)
        s.p = tg.optim.Adam([s.v], lr=0.01)

        def script(g, held):
            for i in range(3):
                y = g(X * 0.5 + i)
                yield y, (s.w.grad, s.v.grad) if body in KEEP_GRADIENTS else ()

        return (lambda x: body(s, x)), [s.w, s.v, s.o, s.p], script

    right(case, style=style)


@each_style
def test_transforms_around(style):
    """Transforms around: they differentiate through the compiled function."""
    w = leaf()

    def f(x):
        return tg.sum(w * x**3)

    compiled = tg.compile(f, style=style)
    compiled(X)
    for transform in (tg.grad, tg.hessian, lambda f: tg.grad(lambda x: f(x) ** 2)):
        assert same(copied(transform(compiled)(X)), copied(transform(f)(X)))
    assert same(*(copied(tg.jvp(g, (X,), (X,))) for g in (compiled, f)))


# --- Kept -----------------------------------------------------------------------------


@each_style
def test_results_belong_to_the_caller(style):
    """Results are never overwritten by later calls, and writing to them is safe."""
    w = leaf()
    f, _ = step_of(lambda x: tg.sum((w * x) ** 2), w)

    @tg.compile(style=style)
    def step(x):
        loss, y = f(x), w * x
        return [loss, y, y.reshape(3, 1), x * 2, w.data, w.data * 1, np.zeros(3) * x]

    def arrays(answer):
        return [y.data if isinstance(y, tg.Tensor) else y for y in answer]

    first = arrays(step(X))
    kept = copied(first)
    second = arrays(step(X + 1))
    assert same(copied(first), kept)
    for a in first:
        assert not any(np.shares_memory(a, b) for b in [*second, w.data])
    before = w.data.copy()
    for y in [*first, *second]:
        y[...] = 77
    assert same(w.data, before)
    assert not any((y == 77).any() for y in arrays(step(X)))


def test_sets_and_bytes_in_a_result_belong_to_the_caller():
    compiled = tg.compile(lambda x: (x * 2, {1}, bytearray(b"a")))
    for _ in range(2):
        _, numbers, data = compiled(X)
        assert (numbers, data) == ({1}, b"a")
        numbers.add(2)
        data += b"b"


def singular(s, x):
    return tg.sum(np.linalg.inv(tg.reshape(x, (1, 1)) * s.v[:1]))


def beyond_the_domain(s, x):
    return tg.losses.cross_entropy(x * s.v[:1] / s.v.data[:1], np.ones(1))


def overflows(s, x):
    return tg.sum(1 / (x * s.v))


FAILS = {singular: 0.0, beyond_the_domain: 2.0, overflows: 0.0}


@each_style
@pytest.mark.parametrize("late", FAILS)
@pytest.mark.parametrize("optimiser", [tg.optim.SGD, tg.optim.Adam])
def test_a_call_that_raises_changes_nothing(optimiser, late, style):
    """If a call raises, parameters and state are as before it."""
    s = SimpleNamespace(w=leaf(), v=leaf())
    first, o = step_of(lambda x: tg.sum((s.w * x) ** 2), s.w, optimiser=optimiser)
    second, p = step_of(lambda x: late(s, x), s.v, optimiser=optimiser)
    held = [s.w, s.v, o, p]

    @tg.compile(style=style)
    def step(x):
        loss = first(x)
        o.lr = o.lr * 0.5
        return loss + second(x)

    step(np.array([0.5]))
    before, gradients = copied(held), [s.w.grad, s.v.grad]
    with np.errstate(all="raise"):
        errors = (np.linalg.LinAlgError, ValueError, FloatingPointError)
        with pytest.raises(errors):
            step(np.array([FAILS[late]]))
    assert same(copied(held), before)
    assert same(copied([s.w.grad, s.v.grad]), copied(gradients))
    step(np.array([0.5]))


@pytest.mark.parametrize("how", [{}, {"style": "readable"}, {"backend": "numba"}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_equal_eagers_to_rounding(how, dtype):
    """A network trained for twenty steps has the eager one's parameters."""
    if "backend" in how:
        pytest.importorskip("numba", reason="Numba is not installed")
        pytest.importorskip("scipy", reason="SciPy, which it needs, is not installed")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 4)).astype(dtype), rng.random((8, 2)).astype(dtype)
    trained = []
    for wrap in (lambda f: f, tg.compile(**how)):
        model = tg.nn.MLP([4, 5, 2], rng=0, dtype=dtype)
        step, _ = step_of(
            lambda x, m=model: tg.losses.mse(m(x), y), *model.parameters(), lr=0.5
        )
        step = wrap(step)
        losses = [step(x).data for _ in range(20)]
        trained.append([losses, *(p.data for p in model.parameters())])
    for got, wanted in zip(*trained):
        assert np.asarray(got).dtype == dtype
        np.testing.assert_allclose(got, wanted, 1e-5 if dtype == np.float32 else 1e-12)


# --- Not promised ---------------------------------------------------------------------


def test_side_effects_happen_while_recording_only(capsys):
    """`print` is Python's: a program has nothing of it."""

    @tg.compile
    def f(x):
        print("recorded")
        return W * x

    f(X)
    assert "recorded" in capsys.readouterr().out
    f(X + 1)
    assert capsys.readouterr().out == ""
    f(X[:1])
    assert "recorded" in capsys.readouterr().out
