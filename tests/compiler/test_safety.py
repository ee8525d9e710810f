"""`compile` against what could make a program wrong: values, changes, aliases."""

import functools
import itertools
import math
import random
import threading
import time
from collections import deque, namedtuple
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from beside_eager import X, copied, leaf, lines_named, lines_of, right, same

import tinygrad_edu as tg

STYLES = ["fast", "readable"]
each_style = pytest.mark.parametrize("style", STYLES)
Pair = namedtuple("Pair", "a b")


def assert_as_eager(scenario: Any, style: str = "fast") -> Any:
    """A scenario gives f, and a generator of what is seen between calls of it."""
    f, script = scenario()
    wanted = [copied(x) for x in script(f)]
    f, script = scenario()
    compiled = tg.compile(f, style=style)
    found = [copied(x) for x in script(compiled)]
    assert len(found) == len(wanted)
    for i, (a, b) in enumerate(zip(found, wanted)):
        assert same(a, b), f"step {i}: {a} for {b}"
    return compiled


# --- Values ---------------------------------------------------------------------------

W = leaf()

LOOKS = {
    "if": lambda x: 1.0 if tg.sum(W * x) > 0 else 2.0,
    "if of an array": lambda x: 1.0 if x.sum() > 0 else 2.0,
    "and": lambda x: x.any() and 1.0,
    "chained": lambda x: 0 < x[0] < 2,
    "max": lambda x: max(x),
    "sorted": lambda x: sorted(x),
    "in": lambda x: 1.0 in x,
    "bool": lambda x: bool(tg.sum(W * x)),
    "float": lambda x: float(tg.sum(W * x)),
    "int": lambda x: int(tg.sum(W * x)),
    "item": lambda x: tg.sum(W * x).item(),
    "round": lambda x: round(x.sum()),
    "tolist": lambda x: x.tolist(),
    "tolist of a Tensor": lambda x: W.tolist(),
    "print": lambda x: print(x),
    "print of a Tensor": lambda x: print(W * x),
    "f-string": lambda x: f"{x.sum():.2f}",
    "%": lambda x: f"{x.sum():f}",
    "asarray": lambda x: np.asarray(W.data),
    "array of parts": lambda x: np.array([x[0], x[1]]),
    "fromiter": lambda x: np.fromiter(x, float),
    "an element": lambda x: np.zeros(3).__setitem__(0, x[0]),
    "math": lambda x: math.sqrt(x.sum()),
    "range": lambda x: list(range(x[0])),
    "shape": lambda x: np.zeros(x[0]),
    "reshape": lambda x: x.reshape(x[0]),
    "mask": lambda x: x[x > 0],
    "mask of a Tensor": lambda x: W[x > 1],
    "mask of Tensors": lambda x: W[W > 1],
    "where": lambda x: np.where(x > 0),
    "nonzero": lambda x: np.nonzero(x),
    "unique": lambda x: np.unique(x),
    "dict": lambda x: {1.0: 2.0}[x[0]],
    "list": lambda x: [1.0, 2.0, 3.0][x.argmax()],
    "pickle": lambda x: x.__reduce__(),
}


@pytest.mark.parametrize("name", LOOKS)
def test_looking_at_a_value_is_an_error_that_names_the_line(name: str) -> None:
    f = LOOKS[name]
    with pytest.raises(TypeError) as error:
        tg.compile(f)(X)
    line = f"{__file__}:{f.__code__.co_firstlineno}"
    assert str(error.value).startswith("compile: ")
    assert line in str(error.value)
    assert isinstance(W.data, np.ndarray)
    assert W.grad is None


def test_what_an_array_has_and_a_program_has_not_is_named() -> None:
    with pytest.raises(TypeError, match=r"an array's \.view is used, at .*safety"):
        tg.compile(lambda x: x.view(int))(X)


def test_a_function_may_ask_what_kind_of_thing_it_has() -> None:
    def f(x: Any, k: Any) -> Any:
        is_array = isinstance(x, np.ndarray) and isinstance(k, float)
        return x * 2 if is_array and hasattr(x, "shape") else x

    compiled = tg.compile(f)
    assert same(compiled(X, 1.0), X * 2)
    assert same(compiled(X, 1), X)


def refused_in_a_step(change: Any, match: str, error: Any = TypeError) -> set[Any]:
    """Assert that a training step which makes a change is refused; give the lines.

    What the step writes to is as before: the parameter and its gradient, the optimiser,
    the array that it reads.
    """
    w, a = leaf(), X.copy()
    w.grad = tg.Tensor(X)
    o = tg.optim.Adam([w], lr=0.1)
    inside = {"a": a}

    def step(x: Any) -> Any:
        tg.sum(w * x * inside["a"]).backward()
        o.step()
        o.lr *= 0.5
        inside["a"] = inside["a"] + x
        change(x)

    def held() -> list[Any]:
        return [w.data, w.grad, *o.state["m"], *o.state["v"], inside["a"]]

    def values() -> Any:
        return copied([held(), o, vars(o)])

    before, values_before = held(), values()
    with pytest.raises(error, match=match) as refusal:
        tg.compile(step)(X)
    assert all(x is y for x, y in zip(held(), before, strict=True))
    assert same(values(), values_before)
    return lines_named(refusal.value)


# --- Random numbers, and what else is another each time -------------------------------

RNG = np.random.default_rng(0)
HOLDER = SimpleNamespace(rng=np.random.RandomState(0), list=[random.Random(0)])


def in_a_helper(x: Any) -> Any:
    return x + RNG.random()


DRAWS = {
    "legacy": lambda x: x + np.random.rand(3),  # noqa: NPY002
    "python": lambda x: x + random.random(),
    "python's library": lambda x: x + random.gauss(0, 1),
    "global": lambda x: x + RNG.random(3),
    "attribute": lambda x: x + HOLDER.rng.rand(3),
    "list": lambda x: x + HOLDER.list[0].random(),
    "helper": lambda x: in_a_helper(x),
    "default": lambda x, rng=RNG: x + rng.random(),
    "fresh": lambda x: x + np.random.default_rng().random(3),
    "fresh, python": lambda x: x + random.Random().random(),
    "of the system": lambda x: x + random.SystemRandom().random(),
    "time": lambda x: x + time.perf_counter(),
    "layer": lambda x: tg.nn.Linear(3, 2)(x),
}


@pytest.mark.parametrize("name", DRAWS)
def test_what_differs_from_run_to_run_is_refused(name: str) -> None:
    """With the line; and what the function writes to is as before."""
    lines = lines_of(in_a_helper if name == "helper" else DRAWS[name])
    assert refused_in_a_step(DRAWS[name], "did not do the same, at ") & lines


def test_a_fresh_generator_with_a_seed_is_the_same_each_time() -> None:
    def f(x: Any) -> Any:
        return x + np.random.default_rng(3).random(3)

    compiled = tg.compile(f)
    assert same(compiled(X), f(X))
    assert same(compiled(X), f(X))


# --- Changes --------------------------------------------------------------------------


class Layer(tg.nn.Module):
    calls = 0
    log: ClassVar[list[Any]] = []

    def __init__(self, seed: int = 0) -> None:
        self.linear = tg.nn.Linear(3, 2, rng=seed)

    def forward(self, x: Any) -> Any:
        return self.linear(x)


class Remembers(Layer):
    def forward(self, x: Any) -> Any:
        self.last = self.linear(x)
        return self.last


class Counts(Layer):
    def forward(self, x: Any) -> Any:
        Counts.calls += 1
        return self.linear(x)


class Slotted:
    __slots__ = ("n",)
    k = 1.0

    def __init__(self) -> None:
        self.n = 0


THINGS: Any = {}
COUNT = 0


@pytest.fixture
def things() -> Any:
    """What the changes below change."""
    global COUNT
    COUNT = 0
    Counts.calls = 0
    Layer.log.clear()
    with_default.__defaults__[0].clear()
    vars(has_attribute).clear()
    globals().pop("NEW", None)
    THINGS.update(
        list=[],
        long=list(range(3000)),
        dict={"a": 1},
        set={1},
        deque=deque([1]),
        space=SimpleNamespace(n=0),
        slots=Slotted(),
        remembers=Remembers(),
        counts=Counts(),
        iterator=iter([1.0, 2.0]),
        counter=itertools.count(),
        tensor=leaf(),
    )
    return THINGS


def counts_globally(x: Any) -> Any:
    global COUNT
    COUNT += 1
    return COUNT


def makes_a_global(x: Any) -> Any:
    global NEW
    NEW = x


def with_default(x: Any, log: Any = []) -> Any:  # noqa: B006
    log.append(x)


def has_attribute(x: Any) -> Any:
    has_attribute.last = x


KEPT = {
    "append": lambda x: THINGS["list"].append(x),
    "dict": lambda x: THINGS["dict"].update(a=x),
    "module": lambda x: THINGS["remembers"](x),
    "class list": lambda x: Layer.log.append(x),
    "new global": makes_a_global,
    "default": with_default,
    "function": has_attribute,
}


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.usefixtures("things")
def test_what_is_recorded_and_kept_is_refused(name: str) -> None:
    """Wherever it is put; and what the program would write to is as before."""
    refused_in_a_step(
        KEPT[name], r"what is computed at .*safety.* is kept after the call"
    )


COUNTED = {
    "iterator": lambda x: x * next(THINGS["iterator"]),
    "counter": lambda x: x * next(THINGS["counter"]),
    "attribute": lambda x: x * count(THINGS["space"]),
    "slot": lambda x: x * count(THINGS["slots"]),
    "global": lambda x: x * counts_globally(x),
    "length": lambda x: x * (THINGS["list"].append(1) or len(THINGS["list"])),
}


def count(owner: Any) -> int:
    owner.n += 1
    return int(owner.n)


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.usefixtures("things")
def test_a_counter_that_is_computed_with_is_refused(name: str) -> None:
    """The second run is another one than the first, at a line that the error names."""
    found = refused_in_a_step(COUNTED[name], "did not do the same, at ")
    assert found & lines_of(COUNTED[name])


def test_a_counter_in_a_closure() -> None:
    n = 0

    def f(x: Any) -> Any:
        nonlocal n
        n += 1
        return x * n

    assert refused_in_a_step(f, "did not do the same, at ") & lines_of(f)


EFFECTS = {
    "append": lambda: THINGS["list"].append(1),
    "long": lambda: THINGS["long"].__setitem__(2500, -1),
    "dict": lambda: THINGS["dict"].update(a=2),
    "set": lambda: THINGS["set"].add(2),
    "deque": lambda: THINGS["deque"].append(2),
    "attribute": lambda: setattr(THINGS["space"], "n", 1),
    "slot": lambda: setattr(THINGS["slots"], "n", 1),
    "class": lambda: THINGS["counts"](X).shape,
    "global": lambda: counts_globally(None),
    "name": lambda: setattr(THINGS["tensor"], "name", "v"),
    "requires_grad": lambda: setattr(THINGS["tensor"], "requires_grad", False),
}


def effects() -> Any:
    """What the effects above are seen by."""
    t = THINGS
    wholes = [list(t["list"]), list(t["long"]), dict(t["dict"]), set(t["set"])]
    tensor = t["tensor"].name, t["tensor"].requires_grad
    numbers = t["space"].n, t["slots"].n, Counts.calls, COUNT
    return [*wholes, list(t["deque"]), tensor, numbers]


@each_style
@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.usefixtures("things")
def test_what_python_does_is_done_while_recording_only(name: str, style: str) -> None:
    """The answer does not depend on it, and is eager's."""

    @tg.compile(style=style)
    def f(x: Any) -> Any:
        EFFECTS[name]()
        return x * 2

    before = effects()
    assert same(f(X), X * 2)
    after = effects()
    assert after != before
    assert same(f(X + 1), X * 2 + 2)
    assert effects() == after
    assert len(f._variants) == 1


def test_an_error_while_recording_leaves_what_it_writes_to_as_it_was() -> None:
    def f(x: Any) -> None:
        raise KeyError("mine")

    refused_in_a_step(f, "mine", KeyError)


# --- Changes between calls ------------------------------------------------------------

NUMBER = 2.0


def helper(x: Any) -> Any:
    return x


def numbers_in_closures() -> Any:
    a: Any = 2.0

    def f(x: Any) -> Any:
        return x * a

    def script(g: Any) -> Any:
        nonlocal a
        narrow = X.astype(np.float32)
        for a in [2.0, 3.0, 3, np.float64(3), True, 3.0, 0.0, -0.0, math.nan, math.nan]:  # noqa: B007
            yield g(X)
            yield g(narrow)
            yield np.signbit(g(X))
        for a in [X.copy(), X + 1, np.ones((2, 1)), np.ones((2, 1), np.float32), 2.0]:  # noqa: B007
            yield g(narrow)
        a = X.copy()
        yield g(X)
        a[0] = 7
        yield g(X)

    return f, script


def globals_and_functions() -> Any:
    def f(x: Any) -> Any:
        return abs(helper(x)) * NUMBER

    def script(g: Any) -> Any:
        names = globals()
        old = helper
        yield g(X)
        names["NUMBER"] = 5.0
        yield g(X)
        names["helper"] = lambda x: x * 3
        yield g(X)
        names["abs"] = lambda x: x * 0
        yield g(X)
        del names["abs"]
        names["helper"] = old
        yield g(X)

    return f, script


def defaults_and_code() -> Any:
    def f(x: Any, a: Any = 2.0, *, b: Any = 3) -> Any:
        return x * a + b + f.c

    f.c = 1.0

    def other(x: Any, a: Any = 2.0, *, b: Any = 3) -> Any:
        return (x * a - b) * f.c

    def script(g: Any) -> Any:
        yield [g(X), g(X, 3.0), g(X, b=4), g(X, a=X), g(x=X), g(X, 1)]
        f.__defaults__ = (9.0,)
        yield g(X)
        f.__kwdefaults__["b"] = 10
        yield g(X)
        f.c = 7.0
        yield g(X)
        f.__code__ = other.__code__
        yield g(X)

    return f, script


def containers() -> Any:
    s = SimpleNamespace(
        d={"a": 1.0, "b": [1, 2]},
        set={1},
        deque=deque([1.0]),
        long=[float(i) for i in range(2000)],
        data=(X.copy(), [X + 1, 2.0], (X * 2,)),
        pair=Pair(X.copy(), 2.0),
        mask=np.array([True, False, True]),
    )

    def f(x: Any) -> Any:
        y = x * s.d["a"] + s.d["b"][1] + len(s.d) + s.deque[0] + s.long[1500]
        y = y * (2 if 1 in s.set else 3) + s.data[0] * s.data[1][0] + s.data[2][0]
        return y + s.pair.a * s.pair.b + x[s.mask].sum()

    def script(g: Any) -> Any:
        yield g(X)
        for change in [
            lambda: s.d.update(a=5.0),
            lambda: s.d["b"].__setitem__(1, 7),
            lambda: s.d.update(c=1),
            lambda: s.d.pop("c"),
            lambda: s.set.clear(),
            lambda: s.deque.appendleft(4.0),
            lambda: s.long.__setitem__(1500, -1.0),
            lambda: s.data[0].__setitem__(0, 9.0),
            lambda: s.data[1].__setitem__(0, X * 7),
            lambda: s.data[2][0].__setitem__(1, 5.0),
            lambda: setattr(s, "data", (X * 0, [X, 1.0], (X,))),
            lambda: s.pair.a.__setitem__(0, 5.0),
            lambda: s.mask.__setitem__(1, True),
        ]:
            change()
            yield g(X)

    return f, script


def aliases() -> Any:
    s = SimpleNamespace(a=np.ones(3))
    s.b = s.a

    def f(x: Any) -> Any:
        return x + s.a * 10 + s.b

    def script(g: Any) -> Any:
        yield g(X)
        s.a[0] = 5
        yield g(X)
        s.b = np.zeros(3)
        yield g(X)
        s.b[1] = 2
        yield g(X)
        s.a = s.b
        yield g(X)

    return f, script


def modules_of_the_users() -> Any:
    m: Any = ModuleType("settings")
    m.k, m.a, m.f = 2.0, np.ones(3), lambda x: x

    def f(x: Any) -> Any:
        return m.f(x) * m.k + m.a

    def script(g: Any) -> Any:
        yield g(X)
        m.k = 3.0
        yield g(X)
        m.a[0] = 5
        yield g(X)
        m.f = lambda x: -x
        yield g(X)

    return f, script


def class_attributes() -> Any:
    class Base(tg.nn.Module):
        scale, array, tensor = 2.0, np.ones(3), leaf()
        items: ClassVar[list[float]] = [1.0]

        def __init__(self) -> None:
            self.linear = tg.nn.Linear(3, 3, rng=0)

        def helper(self, x: Any) -> Any:
            return x

        def forward(self, x: Any) -> Any:
            y = self.helper(self.linear(x)) * self.scale + self.items[0]
            return y + self.array * self.tensor

    class Net(Base):
        @staticmethod
        def plain(x: Any) -> Any:
            return x

        @classmethod
        def of_class(cls, x: Any) -> Any:
            return x * cls.scale

        @property
        def number(self) -> float:
            return 3.0

        def forward(self, x: Any) -> Any:
            return self.plain(super().forward(x)) + self.of_class(x) * self.number

    net = Net()

    def f(x: Any) -> Any:
        return net(x)

    def script(g: Any) -> Any:
        yield g(X)
        for owner, name, value in [
            (Base, "scale", 3.0),
            (Net, "scale", 4.0),
            (net, "scale", 5.0),
            (Base, "array", np.zeros(3)),
            (Base, "tensor", leaf(0, 0, 1)),
            (Net, "items", [4.0]),
            (Base, "helper", lambda self, x: x + 1),
            (net, "helper", lambda x: x * 3),
            (Net, "plain", staticmethod(lambda x: -x)),
            (Net, "of_class", classmethod(lambda cls, x: x)),
            (Net, "number", property(lambda self: 11.0)),
            (Net, "forward", lambda self, x: self.linear(x)),
            (net, "forward", lambda x: 2.0 * x),
        ]:
            setattr(owner, name, value)
            yield g(X)
        del net.forward, net.scale
        yield g(X)

    return f, script


def classes_that_are_named() -> Any:
    """The code speaks of a class, and of no object of it."""

    class Base:
        rate = 2.0

        @staticmethod
        def helper(x: Any) -> Any:
            return x

    class Settings(Base):
        array = np.ones(3)

    def f(x: Any) -> Any:
        return Settings.helper(x) * Settings.rate + Settings.array

    def script(g: Any) -> Any:
        yield g(X)
        for owner, name, value in [
            (Base, "rate", 3.0),
            (Settings, "rate", 4.0),
            (Settings, "array", np.zeros(3)),
            (Base, "helper", staticmethod(lambda x: -x)),
        ]:
            setattr(owner, name, value)
            yield g(X)

    return f, script


def parameters() -> Any:
    s = SimpleNamespace(w=leaf(), layers=[tg.nn.Linear(3, 3, rng=0)])

    def f(x: Any) -> Any:
        for layer in s.layers:
            x = layer(x)
        return x * (s.w if hasattr(s, "w") else 2.0)

    def script(g: Any) -> Any:
        yield g(X)
        for w in [
            leaf(5, 6, 7),
            leaf(2),
            tg.Tensor(np.ones(3, np.float32)),
            np.ones(3),
            2.0,
            3,
            leaf(),
        ]:
            s.w = w
            yield g(X)
        for data in [X + 1, np.array(2.0), np.ones(3, np.float32)]:
            s.w.data = data
            yield g(X)
        del s.w
        yield g(X)
        s.layers.append(tg.nn.Linear(3, 3, rng=1))
        yield g(X)
        del s.layers[0].weight
        s.layers[0].weight = leaf(*range(9)).reshape(3, 3).detach()
        yield g(X)
        s.layers.pop()
        s.layers[0].forward = lambda x: -x
        yield g(X)

    return f, script


def names_that_are_computed() -> Any:
    """Beside names that are written, in a module and in a class."""
    s, m, c = SimpleNamespace(w0=leaf(), w1=leaf(2, 2, 2)), ModuleType("m"), Slotted()
    m.k, c.n = 2.0, 3.0

    def f(x: Any) -> Any:
        loss = tg.sum(getattr(s, f"w{0}") * x * getattr(s, f"w{1}")) * m.k * c.n * c.k
        loss.backward()
        return loss

    def script(g: Any) -> Any:
        Slotted.k = 1.0
        yield g(X), s.w0.grad, s.w1.grad
        yield g(X + 1), s.w0.grad, s.w1.grad
        s.w0 = leaf(5, 5, 5)
        yield g(X), s.w0.grad, s.w1.grad
        for owner, name in ((m, "k"), (c, "n"), (Slotted, "k")):
            setattr(owner, name, 7.0)
            yield g(X)

    return f, script


def slots() -> Any:
    s: Any = Slotted()

    def f(x: Any) -> Any:
        return x * s.n if hasattr(s, "n") else x

    def script(g: Any) -> Any:
        for s.n in [1.0, 2.0, X, X + 1, leaf()]:
            yield g(X)
        del s.n
        yield g(X)
        s.n = 3.0
        yield g(X)

    return f, script


def partials() -> Any:
    w = leaf()
    part = functools.partial(lambda a, x, k=1.0: w * x * a * k, 2.0, k=3.0)
    return part, lambda g: [g(X), g(X, k=5.0), g(X + 1)]


@each_style
@pytest.mark.parametrize(
    "scenario",
    [
        numbers_in_closures,
        globals_and_functions,
        defaults_and_code,
        containers,
        aliases,
        modules_of_the_users,
        class_attributes,
        classes_that_are_named,
        parameters,
        names_that_are_computed,
        slots,
        partials,
    ],
)
def test_a_change_between_calls_is_noticed(scenario: Any, style: str) -> None:
    global NUMBER
    NUMBER = 2.0
    assert_as_eager(lambda: setattr_number() or scenario(), style)


def setattr_number() -> None:
    globals()["NUMBER"] = 2.0


# --- Optimisers and gradients ---------------------------------------------------------


def training(optimiser: Any, *changes: Any) -> Any:
    def scenario() -> Any:
        w = leaf()
        o = optimiser([w])

        def f(x: Any) -> Any:
            o.zero_grad()
            loss = tg.sum((w * x) ** 2)
            loss.backward()
            o.step()
            return loss

        def script(g: Any) -> Any:
            yield g(X), w
            for name, value in changes:
                setattr(o, name, value)
                yield g(X * 0.1), w, o.state, o.steps

        return f, script

    return scenario


@each_style
def test_the_numbers_of_an_optimiser_are_read_afresh(style: str) -> None:
    """An int in place of a float too."""
    momentum = functools.partial(tg.optim.SGD, lr=0.01, momentum=0.9)
    numbers = [("lr", 0.1), ("momentum", 0.5), ("momentum", 0), ("lr", 0), ("lr", 1)]
    compiled = assert_as_eager(training(momentum, *numbers), style)
    assert len(compiled._variants) == 1
    numbers = [("lr", 0.1), ("betas", (0.5, 0.6)), ("eps", 1e-3), ("steps", 0)]
    compiled = assert_as_eager(training(tg.optim.Adam, *numbers), style)
    assert len(compiled._variants) == 1
    numbers += [("weight_decay", 0.5), ("weight_decay", 0)]
    compiled = assert_as_eager(training(tg.optim.AdamW, *numbers), style)
    assert len(compiled._variants) == 1
    numbers = [("lr", 0.1), ("alpha", 0.5), ("eps", 1e-3), ("lr", 0.0)]
    compiled = assert_as_eager(training(tg.optim.RMSprop, *numbers), style)
    assert len(compiled._variants) == 1
    nesterov = functools.partial(momentum, nesterov=True, weight_decay=0.1)
    numbers = [("lr", 0.1), ("momentum", 0.5), ("weight_decay", 0.2), ("lr", 0)]
    compiled = assert_as_eager(training(nesterov, *numbers), style)
    assert len(compiled._variants) == 1


@each_style
def test_what_an_optimiser_branches_on_is_noticed(style: str) -> None:
    plain = functools.partial(tg.optim.SGD, lr=0.01, momentum=0.9)
    switches = [("weight_decay", 0.1), ("nesterov", True), ("weight_decay", 0.0)]
    compiled = assert_as_eager(training(plain, *switches, ("lr", 0.1)), style)
    assert len(compiled._variants) == 4


@each_style
def test_momentum_is_switched_on(style: str) -> None:
    plain = functools.partial(tg.optim.SGD, lr=0.01)
    changes = [("state", None), ("momentum", 0.9), ("lr", 0.1), ("momentum", 0)]

    def scenario() -> Any:
        velocity = {"velocity": [np.zeros(3)]}
        changed = [(n, velocity if v is None else v) for n, v in changes]
        return training(plain, *changed)()

    compiled = assert_as_eager(scenario, style)
    assert len(compiled._variants) == 2


def gradients(body: Any) -> Any:
    def scenario() -> Any:
        s = SimpleNamespace(w=leaf(), v=leaf(2, 1, 0))
        s.o = tg.optim.SGD([s.w], lr=0.1)
        s.p = tg.optim.Adam([s.v], lr=0.1)

        def f(x: Any) -> Any:
            return body(s, x)

        def script(g: Any) -> Any:
            for i in range(3):
                yield g(X * 0.1 + i), s.w, s.v, s.o.lr, s.o.steps
            s.w.grad, s.v.grad = tg.Tensor(X), None
            yield g(X), s.w, s.v
            if body is not two_optimisers:
                s.v.requires_grad = False
                yield g(X), s.w, s.v
            s.v.requires_grad = True
            yield g(X), s.w, s.v, s.p.state

        def with_gradients(g: Any) -> Any:
            for found in script(g):
                kept = [p for p in "wv" if p not in USED_IN_STEPS.get(body, "")]
                yield found, [getattr(s, p).grad for p in kept]

        return f, with_gradients

    return scenario


def accumulates(s: Any, x: Any) -> Any:
    loss = tg.sum((s.w * x * s.v) ** 2)
    loss.backward()
    return loss


def zero_first(s: Any, x: Any) -> Any:
    s.w.zero_grad()
    accumulates(s, x)
    return s.w.grad


def zero_after(s: Any, x: Any) -> Any:
    loss = accumulates(s, x)
    s.w.zero_grad()
    return loss


def several_backward(s: Any, x: Any) -> Any:
    accumulates(s, x)
    loss = tg.sum(s.w * s.w)
    loss.backward(retain_graph=True)
    loss.backward()
    return loss, s.w.grad


def several_steps(s: Any, x: Any) -> Any:
    for _ in range(3):
        s.o.zero_grad()
        loss = accumulates(s, x * 0.1)
        s.o.step()
    return loss


def two_optimisers(s: Any, x: Any) -> Any:
    s.o.zero_grad()
    s.p.zero_grad()
    loss = tg.sum(s.w**2) + accumulates(s, x * 0.1)
    tg.sum((s.w + s.v) ** 2).backward()
    s.o.step()
    s.p.step()
    return loss


def by_hand(s: Any, x: Any) -> Any:
    s.w.zero_grad()
    loss = accumulates(s, x)
    s.w.grad.data *= 0.5
    s.w.data = s.w.data - 0.1 * s.w.grad.data
    s.w.grad = None
    s.o.lr = s.o.lr * 0.5
    return loss


def swaps(s: Any, x: Any) -> Any:
    s.w.data, s.v.data = s.v.data, s.w.data
    return s.w * x


# The parameters whose gradients a step() uses: only these have none afterwards.
USED_IN_STEPS = {several_steps: "w", two_optimisers: "wv"}


@each_style
@pytest.mark.parametrize(
    "body",
    [
        accumulates,
        zero_first,
        zero_after,
        several_backward,
        several_steps,
        two_optimisers,
        by_hand,
        swaps,
    ],
)
def test_gradients_and_steps_are_as_eager(body: Any, style: str) -> None:
    assert_as_eager(gradients(body), style)


@each_style
def test_a_tensor_that_comes_twice(style: str) -> None:
    def scenario() -> Any:
        w, v = leaf(), leaf(2, 2, 2)

        def f(a: Any, b: Any) -> Any:
            loss = tg.sum((a * b * w) ** 2)
            loss.backward()
            return loss

        def script(g: Any) -> Any:
            for a, b in [
                (v, leaf()),
                (v, v),
                (v, w),
                (w, v),
                (w, w),
                (v, v),
                (leaf(), v),
            ]:
                yield g(a, b), w.grad, v.grad, a.grad

        return f, script

    assert_as_eager(scenario, style)


@each_style
def test_two_tensors_are_not_taken_for_one(style: str) -> None:
    def scenario() -> Any:
        v = leaf(2, 2, 2)

        def f(a: Any, b: Any) -> None:
            tg.sum(a * b * b).backward()

        def script(g: Any) -> Any:
            for a, b in [(leaf(), leaf()), (v, v), (leaf(), leaf())]:
                g(a, b)
                yield a.grad, b.grad
                v.grad = None

        return f, script

    assert_as_eager(scenario, style)


def test_a_mask_is_not_written_to() -> None:
    mask = np.array([True, False, True])

    def f(x: Any) -> Any:
        mask[1] = True
        return x[mask]

    with pytest.raises(ValueError, match="read-only"):
        tg.compile(f)(X)
    assert mask.tolist() == [True, False, True]
    assert mask.flags.writeable


def test_a_layer_shared() -> None:
    def scenario() -> Any:
        w = tg.Tensor(np.eye(3), requires_grad=True)
        a, b = SimpleNamespace(w=w), SimpleNamespace(w=w)
        o = tg.optim.SGD([w], lr=0.1)

        def f(x: Any) -> Any:
            o.zero_grad()
            loss = tg.sum((x @ a.w @ b.w) ** 2)
            loss.backward()
            o.step()
            return loss

        def script(g: Any) -> Any:
            yield g(X * 0.1), w
            b.w = tg.Tensor(np.eye(3) * 2)
            yield g(X * 0.1), w

        return f, script

    assert_as_eager(scenario)


def test_after_a_step_there_is_no_gradient_of_what_it_changed() -> None:
    """That of another parameter is there, as in eager."""
    w, v = leaf(), leaf()
    optimiser = tg.optim.SGD([w], lr=0.1)

    @tg.compile
    def step(x: Any) -> None:
        tg.sum(w * v * x).backward()
        optimiser.step()

    assert step(X) is None
    assert w.grad is None
    assert same(v.grad.data, X * X)


def test_state_that_is_replaced_and_grows() -> None:
    def scenario() -> Any:
        s = {"a": np.zeros(1), "b": np.zeros(3)}
        first = s["b"]

        def f(x: Any) -> Any:
            s["a"] = np.concatenate([s["a"], x])
            s["b"] = s["b"] + x
            return s["a"]

        return f, lambda g: [(g(X), s, first) for _ in range(3)]

    assert_as_eager(scenario)


# --- Arguments ------------------------------------------------------------------------


@each_style
def test_arguments_of_all_kinds(style: str) -> None:
    def f(x: Any, *rest: Any, **others: Any) -> Any:
        y = x["a"] if isinstance(x, dict) else x
        return y * 2, [r for r in rest if r is not None], others

    def script(g: Any) -> Any:
        grid = np.arange(24.0).reshape(4, 6)
        frozen = X.copy()
        frozen.flags.writeable = False
        arrays = [X, X.astype(np.float32), np.array(2.0), np.zeros((0, 3)), X[::-1]]
        arrays += [grid[::2, ::3], np.asfortranarray(grid), frozen, np.arange(3)]
        arrays += [X.astype(">f8"), np.array([True, False])]
        numbers = [2.0, 3.0, 2, 3, True, np.float64(2), np.float32(2), np.int64(3)]
        for x in [*arrays, *numbers, tg.Tensor(X), {"a": X}]:
            yield g(x)
        yield (
            g(X, 1, "s", None, k=1),
            g(X, 2, "t", k=None),
            g(X, k={"a": [X, (X, 2.0)]}),
        )

    def scenario() -> Any:
        return f, script

    f.__defaults__ = None
    assert_as_eager(scenario, style)


def test_a_float_is_data_and_an_int_is_structure() -> None:
    compiled = tg.compile(lambda x, k: x * k)
    for k in [0.1, 0.2, math.inf]:
        assert same(compiled(X, k), X * k)
    assert len(compiled._variants) == 1
    assert same(compiled(X, 2), X * 2)
    assert same(compiled(X, 3), X * 3)
    assert len(compiled._variants) == 3
    branching = tg.compile(lambda x, k: x * k if k else x)
    assert [branching(X, k).tolist() for k in (2.0, 0.0, 3.0)] == [
        [2, 4, 6],
        [1, 2, 3],
        [3, 6, 9],
    ]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("kind", [np.matrix, np.ma.masked_array])
def test_arrays_that_compute_otherwise_are_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match="computes otherwise than an array"):
        tg.compile(lambda x: x * x)(kind(np.eye(2)))


def test_arguments_are_not_written_to() -> None:
    def f(x: Any) -> Any:
        x += 1
        return x

    x = X.copy()
    with pytest.raises(TypeError, match=r"writes to its argument x, at .*safety.py:"):
        tg.compile(f)(x)
    assert same(x, X)


def test_a_module_as_an_argument() -> None:
    def scenario() -> Any:
        a, b = Layer(0), Layer(1)

        def f(m: Any, x: Any) -> Any:
            loss = tg.sum(m(x) ** 2)
            loss.backward()
            return loss

        def script(g: Any) -> Any:
            for m in [a, b, a]:
                yield g(m, X), m.linear.weight.grad

        return f, script

    assert_as_eager(scenario)


def test_what_was_computed_outside_is_refused() -> None:
    w = leaf()
    h = w * 2
    with pytest.raises(TypeError, match=r"computed outside of it, at .*safety\.py"):
        tg.compile(lambda x: tg.sum(h * x).backward())(X)
    assert h.op is not None
    assert w.grad is None
    with pytest.raises(ValueError, match="an argument is a Tensor that was computed"):
        tg.compile(lambda h: tg.sum(h))(h)


@each_style
def test_a_tensor_that_no_guard_finds_is_read_afresh(style: str) -> None:
    """The graph reaches it, and that is what counts."""

    def case() -> Any:
        hidden = [leaf()]
        get = itertools.cycle(hidden).__next__

        def f(x: Any) -> Any:
            tg.sum(get() * x).backward()

        def script(g: Any, held: Any) -> Any:
            yield g(X), hidden[0].grad
            hidden[0].data = X * 2
            yield g(X + 1), hidden[0].grad

        return f, hidden, script

    right(case, style=style)


@each_style
@pytest.mark.parametrize("optimiser", [tg.optim.SGD, tg.optim.Adam])
def test_an_optimiser_that_no_guard_finds_is_read_afresh(
    optimiser: Any, style: str
) -> None:
    """Its numbers and its state, from its first step on; two steps are as one."""

    def case() -> Any:
        w = leaf()
        momentum = {"momentum": 0.9} if optimiser is tg.optim.SGD else {}
        o = optimiser([w], lr=0.1, **momentum)
        get = itertools.cycle([o]).__next__

        def f(x: Any) -> Any:
            for _ in range(2):
                w.zero_grad()
                tg.sum((w * x) ** 2).backward()
                get().step()

        def script(g: Any, held: Any) -> Any:
            for lr in (0.1, 0.01, 0.5):
                o.lr = lr
                yield g(X)

        return f, [w, o], script

    right(case, style=style)


def test_arrays_that_look_at_a_parameter_are_refused() -> None:
    flat = np.arange(6.0)
    a, b = leaf(), leaf()
    a.data, b.data = flat[:3], flat[3:]
    optimiser = tg.optim.SGD([a, b], lr=0.1)

    def step(x: Any) -> None:
        tg.sum(a * b * x).backward()
        optimiser.step()

    tg.compile(step)(X)
    assert same(flat, np.array([-0.3, 0.2, 0.5, 3, 3.8, 4.4]))
    with pytest.raises(TypeError, match="looks at the same memory"):
        tg.compile(lambda: (step(X), np.sum(flat)))()


# --- Answers --------------------------------------------------------------------------


@each_style
def test_answers_of_all_kinds(style: str) -> None:
    def scenario() -> Any:
        w = leaf()

        def f(x: Any, y: Any = None) -> Any:
            z = w * x
            numbers = {"n": 3.5, "s": "hi", "none": None, "shape": x.shape, "e": ()}
            return {
                **numbers,
                "z": (z, [x, w]),
                "p": Pair(z, None),
                "y": y,
                "d": w.data,
            }

        return f, lambda g: [g(X), g(X + 1, 2), g(X, {"k": [X]})]

    assert_as_eager(scenario, style)


@each_style
def test_answers_are_the_same_objects(style: str) -> None:
    w = leaf()

    def f(x: Any) -> Any:
        z = w * x
        return x, w, z, z, [z, x]

    x, v, z, again, (inner, y) = tg.compile(f, style=style)(X)
    assert x is X
    assert y is X
    assert v is w
    assert z is again
    assert z is inner


@each_style
def test_answers_have_memory_of_their_own(style: str) -> None:
    w = tg.Tensor(np.ones((2, 3)), requires_grad=True)
    optimiser = tg.optim.SGD([w], lr=0.1)

    @tg.compile(style=style)
    def step(x: Any) -> Any:
        optimiser.zero_grad()
        loss = tg.sum(w * x)
        loss.backward()
        optimiser.step()
        parts = [w.data, w.data + 0, x * 1, x + 0, x.copy(), np.zeros(3), np.zeros(3)]
        return [*parts, w * x, w * x, (w * x).data, loss]

    def arrays(answer: Any) -> list[Any]:
        return [y.data if isinstance(y, tg.Tensor) else y for y in answer]

    first = step(X)
    kept = copied(first)
    second = arrays(step(X))
    assert same(copied(first), kept)
    everything = [*arrays(first), *second, X, w.data]
    for i, a in enumerate(everything):
        assert not any(np.shares_memory(a, b) for b in everything[:i])
    before = w.data.copy()
    for y in second:
        y[...] = 77
    assert same(w.data, before)
    assert not any((y == 77).any() for y in arrays(step(X)))


# --- Programs kept --------------------------------------------------------------------


def test_programs_are_kept_and_the_one_unused_for_longest_goes_first() -> None:
    @tg.compile(keep=2)
    def f(x: Any) -> Any:
        return x * 2

    def is_recorded(n: int) -> bool:
        before = set(f._variants)
        assert same(f(np.ones(n)), np.full(n, 2.0))
        return not set(f._variants) <= before

    found = [is_recorded(n) for n in (1, 2, 1, 3, 1, 2, 3)]
    assert found == [True, True, False, True, False, True, True]
    assert len(f._variants) == 2


# --- Together with everything else ----------------------------------------------------


def test_methods() -> None:
    def class_with(decorate: Any) -> Any:
        class Net(Layer):
            k = 1.0

            @decorate
            def forward(self, x: Any) -> Any:
                return self.linear(x) * self.k

            @decorate
            def step(self, x: Any) -> Any:
                loss = tg.sum(self(x) ** 2)
                loss.backward()
                return loss

        return Net

    def seen(Net: Any) -> Any:
        a, b = Net(0), Net(1)
        yield [a(X), b(X), a.step(X), b.step(X), a.step(X + 1), a.linear.weight.grad]
        a.k = 2.0
        yield [a(X), b(X), a.step(X), a.linear.weight.grad, b.linear.weight.grad]

    wanted = [copied(x) for x in seen(class_with(lambda f: f))]
    assert same([copied(x) for x in seen(class_with(tg.compile))], wanted)


def test_compiled_calls_compiled_and_itself() -> None:
    w = leaf()
    inner = tg.compile(lambda x: w * x)

    @tg.compile
    def outer(x: Any) -> Any:
        loss = tg.sum(inner(x) ** 2)
        loss.backward()
        return loss

    assert outer(X).item() == 98
    assert w.grad.data.tolist() == [2, 16, 54]

    @tg.compile
    def power(x: Any, n: int) -> Any:
        return x if n == 0 else x * power(x, n - 1)

    assert same(power(X, 2), X**3)
    assert same(power(X, 1), X**2)


def test_no_grad_around_and_inside() -> None:
    w = leaf()

    @tg.compile
    def f(x: Any) -> Any:
        with tg.no_grad():
            c = w * 2
        loss = tg.sum(w * x * c)
        loss.backward()
        return loss

    assert f(X).item() == 72
    assert w.grad.data.tolist() == [2, 8, 18]
    with tg.no_grad(), pytest.raises(ValueError, match="backward: this Tensor depend"):
        f(X)
    assert w.grad.data.tolist() == [2, 8, 18]
    forward = tg.compile(lambda x: w * x)
    with tg.no_grad():
        assert forward(X).data.tolist() == forward(X).data.tolist() == [1, 4, 9]
        inside = forward.source
        assert "def step(x, w)" in inside
    forward(X)
    assert forward.source is not inside
    assert len(forward._variants) == 2


def test_debug_around_and_inside() -> None:
    logarithm = tg.compile(lambda x: tg.log(x))
    assert logarithm(tg.Tensor(X)).data[0] == 0
    with (
        tg.debug(),
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match="log: its result contains a NaN"),
    ):
        logarithm(tg.Tensor(-X))

    @tg.compile
    def inside(x: Any) -> Any:
        with tg.debug():
            return tg.log(x)

    with pytest.raises(TypeError, match=r"debug\(\) looks at values.*around the call"):
        inside(tg.Tensor(X))


TABLE = np.array([1.0, 2.0, 3.0])


@each_style
def test_ops_of_ones_own(style: str) -> None:
    erf = np.vectorize(math.erf)

    @tg.op
    def looping(x):
        y = np.empty_like(x)
        for i in range(len(x)):
            y[i] = x[i] ** 2 if x[i] > 2 else x[i]
        y += 1
        return y

    looping.vjp(x=lambda g, y, x: g * np.where(x > 2, 2 * x, 1.0))

    @tg.op
    def opaque(x):
        return erf(x) + TABLE

    opaque.vjp(x=lambda g, y, x: g * 2 / np.sqrt(np.pi) * np.exp(-(x**2)))
    squares = tg.op(lambda x: np.array([v * v for v in x]), name="squares")
    squares.vjp(x=lambda g, y, x: g * 2 * x)

    def scenario() -> Any:
        w = leaf()
        TABLE[:] = 1

        def f(x: Any) -> Any:
            loss = tg.sum(looping(w * x) * squares(opaque(w * x)))
            loss.backward()
            return loss

        def script(g: Any) -> Any:
            yield g(X), w.grad
            yield g(X - 1), w.grad
            TABLE[0] = 5
            yield g(X), w.grad

        return f, script

    assert_as_eager(scenario, style)


@each_style
def test_remat_inside(style: str) -> None:
    def scenario() -> Any:
        w = leaf()
        c = tg.remat(lambda a: tg.sigmoid(a * w))

        def f(x: Any) -> Any:
            loss = tg.sum(c(c(w * x)))
            loss.backward()
            return loss

        return f, lambda g: [(g(X), w.grad), (g(X + 1), w.grad)]

    assert_as_eager(scenario, style)


@pytest.mark.parametrize("sizes", [[3], [3, 4]])
def test_threads_take_turns(sizes: list[int]) -> None:
    w = tg.Tensor(0.0, requires_grad=True)
    optimiser = tg.optim.SGD([w], lr=1.0)
    calls = 200

    @tg.compile
    def step(x: Any) -> Any:
        optimiser.zero_grad()
        loss = tg.sum(w * x)
        loss.backward()
        optimiser.step()
        return w.data

    seen: list[Any] = []

    def run(n: int) -> None:
        x = np.full(n, -1.0 / n)
        for _ in range(calls):
            seen.append(step(x))

    threads = [threading.Thread(target=run, args=(n,)) for n in sizes * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = calls * len(threads)
    assert optimiser.steps == total
    found = sorted(float(value) for value in seen)
    np.testing.assert_allclose(found, np.arange(1, total + 1), 1e-9)


def test_recording_is_silent_and_the_program_warns_as_numpy_does(
    recwarn: pytest.WarningsRecorder,
) -> None:
    compiled = tg.compile(lambda x: (np.log(x), 1 / x))
    with np.errstate(all="raise"):
        compiled(X)
        with pytest.raises(FloatingPointError):
            compiled(X * 0)
    assert not recwarn.list
    fresh = tg.compile(lambda x: np.log(x))
    with pytest.warns(RuntimeWarning, match="divide by zero") as warned:
        fresh(X * 0)
    assert len(warned) == 1
    squash = tg.compile(lambda x: tg.sigmoid(x))
    with np.errstate(all="raise", under="ignore"):
        got = squash(np.array([-1e4, 0.0, 1e4]))
        np.testing.assert_allclose(got, [0, 0.5, 1], rtol=0, atol=1e-300)


@each_style
def test_a_number_is_changed_by_an_augmented_assignment(style: str) -> None:
    def scenario() -> Any:
        s = SimpleNamespace(w=leaf())
        s.o = tg.optim.SGD([s.w], lr=0.1)

        def f(x: Any) -> Any:
            loss = tg.sum((s.w - x) ** 2)
            s.o.zero_grad()
            loss.backward()
            s.o.step()
            s.o.lr *= 0.5
            return loss

        def script(g: Any) -> Any:
            for i in range(3):
                yield g(X * 0.1 + i), s.w, s.o.lr

        return f, script

    assert_as_eager(scenario, style)
