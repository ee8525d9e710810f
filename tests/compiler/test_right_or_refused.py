"""What a program is easily wrong about: right or refused, and never anything else.

Each case was wrong without a word in an earlier compiler, or is akin to one that was.
Arrays that share memory have `test_memory.py` to themselves.
"""

import contextlib
from collections import OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from beside_eager import X, leaf, right, right_or_refused, same

import tinygrad_edu as tg

each_style = pytest.mark.parametrize("style", ["fast", "readable"])


def each(functions):
    return pytest.mark.parametrize("name", functions)


# --- Arguments dropped ----------------------------------------------------------------

GRID = np.array([[3.0, 1.0, 2.0], [0.5, 4.0, -1.0]])
MASK = np.array([[True, False, True], [False, True, True]])

KEYWORDS = {
    "full_matrices": lambda x: np.linalg.svd(x, full_matrices=False),
    "endpoint": lambda x: x * np.linspace(0, 1, 3, endpoint=False),
    "axis=None of sum": lambda x: np.sum(x, axis=None),
    "axis=None of concatenate": lambda x: np.concatenate([x, x], axis=None),
    "axis=None of sort": lambda x: np.sort(x, axis=None),
    "axis=None of cumsum": lambda x: np.cumsum(x, axis=None),
    "axis=None of repeat": lambda x: np.repeat(x, 2, axis=None),
    "axis=None of take": lambda x: np.take(x, [0, 4], axis=None),
    "axis=None of argmax": lambda x: np.argmax(x, axis=None),
    "axis=None of argsort": lambda x: np.argsort(x, axis=None),
    "axis=None of flip": lambda x: np.flip(x, axis=None),
    "axis=None of roll": lambda x: np.roll(x, 1, axis=None),
    "axis=None of delete": lambda x: np.delete(x, 1, axis=None),
    "axis=None of norm": lambda x: np.linalg.norm(x, axis=None),
    "axis=None of median": lambda x: np.median(x, axis=None),
    "rowvar": lambda x: np.cov(x, rowvar=False),
    "bias": lambda x: np.cov(x, bias=True),
    "where of sum": lambda x: np.sum(x, where=MASK),
    "where=False of sum": lambda x: np.sum(x, where=False),
    "where of mean": lambda x: np.mean(x, axis=1, where=MASK),
    "where of add": lambda x: np.add(x, 1, where=MASK, out=np.zeros((2, 3))),
    "initial of max": lambda x: np.max(x, initial=3.5),
    "initial of sum": lambda x: np.sum(x, initial=10),
    "initial=0 of prod": lambda x: np.prod(x, initial=0),
    "initial and where": lambda x: np.min(x, axis=0, initial=9.0, where=MASK),
    "order of reshape": lambda x: np.reshape(x, (3, 2), order="F"),
    "order of ravel": lambda x: x.ravel(order="F"),
    "order of flatten": lambda x: x.flatten("F"),
    "order of copy": lambda x: np.ravel(x.copy(order="F"), order="K"),
    "copy of astype": lambda x: x.astype(float, copy=False),
    "copy of nan_to_num": lambda x: np.nan_to_num(x * 1, copy=False),
    "keepdims": lambda x: (x.sum(1, keepdims=False), x.sum(1, keepdims=True)),
    "keepdims of max": lambda x: np.max(x, axis=0, keepdims=True),
    "ddof": lambda x: (np.var(x, ddof=1), np.std(x, axis=0, ddof=1)),
    "mean of var": lambda x: np.var(x, axis=0, mean=np.zeros((1, 3))),
    "dtype of sum": lambda x: np.sum(x, dtype=np.float32),
    "dtype of add": lambda x: np.add(x, 1, dtype=np.float32),
    "dtype of ones_like": lambda x: np.ones_like(x, dtype=int) * 2,
    "shape of zeros_like": lambda x: np.zeros_like(x, shape=(2, 2)) + 1,
    "casting": lambda x: np.add(x, 1, casting="unsafe", dtype=int),
    "returned": lambda x: np.average(x, returned=False),
    "weights": lambda x: np.average(x, axis=1, weights=[1, 2, 3]),
    "prepend": lambda x: np.diff(x, prepend=0),
    "n of diff": lambda x: np.diff(x, n=2),
    "indexing": lambda x: np.meshgrid(x[0], x[1], indexing="ij"),
    "sparse": lambda x: np.meshgrid(x[0], x[1], sparse=True)[0],
    "decimals": lambda x: np.round(x / 3, decimals=1),
    "k of triu": lambda x: np.triu(x, k=1),
    "k of eye": lambda x: x @ np.eye(3, k=1),
    "offset": lambda x: np.trace(x, offset=1),
    "mode of pad": lambda x: np.pad(x, 1, mode="edge"),
    "mode of take": lambda x: np.take(x, [7], mode="wrap"),
    "optimize": lambda x: np.einsum("ij,kj->ik", x, x, optimize=False),
    "ord=None": lambda x: np.linalg.norm(x, ord=None),
    "ord": lambda x: np.linalg.norm(x, ord=1),
    "upper": lambda x: np.linalg.cholesky(x @ x.T, upper=True),
    "hermitian": lambda x: np.linalg.pinv(x @ x.T, hermitian=False),
    "increasing": lambda x: np.vander(x[0], increasing=True),
    "side": lambda x: np.searchsorted([0.0, 1.0, 2.0], x[0], side="right"),
    "left of interp": lambda x: np.interp(x[0], [1.0, 2.0], [0.0, 1.0], left=-5.0),
    "density": lambda x: np.histogram(x, bins=2, density=True)[0],
    "equal_nan": lambda x: np.isclose(x, x * np.nan, equal_nan=True),
    "stable": lambda x: np.argsort(x[0], stable=True),
    "method": lambda x: np.quantile(x, 0.3, method="lower"),
}


@each_style
@each(KEYWORDS)
def test_a_keyword_is_understood_or_refused(name, style):
    def case():
        def script(g, held):
            for x in (GRID, GRID * 2, GRID[:, ::-1]):
                yield list_of(g(x.copy()))

        return KEYWORDS[name], [], script

    right_or_refused(case, style=style)


def list_of(answer):
    return list(answer) if isinstance(answer, tuple | list) else answer


# --- Refusals swallowed ---------------------------------------------------------------


def swallows_a_type_error(x):
    try:
        return W * float(x.sum())
    except TypeError:
        return W * 5.0


def swallows_anything(x):
    try:
        return W * 2.0 if x.sum() > 0 else W
    except Exception:
        return W * 5.0


def swallows_by_suppress(x):
    y = W * x
    with contextlib.suppress(TypeError, ValueError):
        y = y * x.tolist()[0]
    return y


def swallows_in_finally(x):
    k = 5.0
    try:
        k = float(x[0])
    finally:
        return W * k  # noqa: B012


def swallows_in_a_generator(x):
    def numbers():
        for part in x:
            try:
                yield float(part)
            except TypeError:
                yield 5.0

    return W * sum(numbers())


def asks_by_hasattr(x):
    return W * x if hasattr(x, "__array_interface__") else W * 5.0


def swallows_a_write(x):
    y = W * x
    with contextlib.suppress(TypeError, ValueError):
        x[0] = 7.0
    return y * x


W = leaf()
SWALLOWS = [
    swallows_a_type_error,
    swallows_anything,
    swallows_by_suppress,
    swallows_in_finally,
    swallows_in_a_generator,
    asks_by_hasattr,
    swallows_a_write,
]


@each_style
@pytest.mark.parametrize("f", SWALLOWS)
def test_a_refusal_that_was_raised_ends_the_recording(f, style):
    """Even if the function catches it."""
    right_or_refused(lambda: (f, []), style=style)


# --- State ----------------------------------------------------------------------------


def learning_rates_of_two():
    w, v = leaf(), leaf()
    o, p = tg.optim.SGD([w], lr=0.1), tg.optim.SGD([v], lr=0.1)

    def f(x):
        o.zero_grad()
        p.zero_grad()
        tg.sum(w * x * v).backward()
        o.step()
        p.step()
        o.lr = o.lr * 0.9
        p.lr = o.lr * 0.5
        return o.lr, p.lr

    return f, [w, v, o, p]


def learning_rates_swapped():
    w, v = leaf(), leaf()
    o, p = tg.optim.SGD([w], lr=0.1), tg.optim.SGD([v], lr=0.2)

    def f(x):
        o.zero_grad()
        p.zero_grad()
        tg.sum(w * x * v).backward()
        o.lr, p.lr = p.lr, o.lr
        o.step()
        p.step()
        return w * v

    return f, [w, v, o, p]


def steps_that_count():
    w = leaf()
    o = tg.optim.Adam([w], lr=0.1)

    def f(x):
        for _ in range(2):
            o.zero_grad()
            tg.sum((w * x) ** 2).backward()
            o.step()
        return w * o.steps

    return f, [w, o]


def state_written_by_hand():
    w = leaf()
    o = tg.optim.SGD([w], lr=0.1, momentum=0.9)

    def f(x):
        o.zero_grad()
        tg.sum((w * x) ** 2).backward()
        o.step()
        o.state["velocity"][0] *= 0.5
        return w * x

    return f, [w, o]


def state_from_outside():
    """The list that holds the state is captured by itself, too."""
    w = leaf()
    o = tg.optim.SGD([w], lr=0.1, momentum=0.9)
    velocity = o.state["velocity"]

    def f(x):
        o.zero_grad()
        tg.sum((w * x) ** 2).backward()
        o.step()
        return velocity[0] * x

    return f, [w, o]


STATE = [
    learning_rates_of_two,
    learning_rates_swapped,
    steps_that_count,
    state_written_by_hand,
]


@each_style
@pytest.mark.parametrize("case", STATE)
def test_state(case, style):
    right_or_refused(case, style=style)


@each_style
def test_state_that_is_captured_by_itself_is_the_optimisers(style):
    right(state_from_outside, style=style)


def step_of_an_epoch(answer, **captured):
    """Make a step, and its parameter."""
    w = leaf()
    o = tg.optim.SGD([w], lr=0.1)
    i = order = size = rows = captured.get("array")

    def step(x, y):
        o.zero_grad()
        loss = tg.sum((x @ w - y) ** 2)
        if i is not None:
            loss = loss + tg.sum(w * i * order * size * rows)
        loss.backward()
        o.step()
        return answer(loss, x, w)

    return step, w


ANSWERS_OF_AN_EPOCH = {
    "loss": lambda loss, x, w: loss,
    "the batch itself": lambda loss, x, w: x,
    "a view of the batch": lambda loss, x, w: x[0],
    "the parameter": lambda loss, x, w: w.data,
    "the parameter, a part": lambda loss, x, w: w.data[:2],
    "a product": lambda loss, x, w: x * 2,
}
ROWS = np.random.default_rng(0).standard_normal((7, 3))


@each_style
@each(ANSWERS_OF_AN_EPOCH)
@pytest.mark.parametrize("array", [None, X])
def test_an_epoch_is_the_calls_one_after_the_other(array, name, style):
    """Whatever the function returns, and however what it captures is called."""
    (eager, w), (f, v) = (
        step_of_an_epoch(ANSWERS_OF_AN_EPOCH[name], array=array) for _ in range(2)
    )
    x, y = ROWS * 0.1, ROWS[:, 0]
    compiled = tg.compile(f, style=style)
    for n in (2, 7):
        answers = compiled.epoch(x, y, n)
        for i, got in zip(range(0, 7, n), answers, strict=True):
            wanted = eager(x[i : i + n], y[i : i + n])
            wanted = wanted.data if isinstance(wanted, tg.Tensor) else wanted
            np.testing.assert_allclose(got, wanted, 1e-12)
        np.testing.assert_allclose(v.data, w.data, 1e-12)


def test_an_epoch_adds_up_gradients():
    """Its only output is a gradient, and no answer."""
    w, v = tg.Tensor(2.0, requires_grad=True), tg.Tensor(2.0, requires_grad=True)

    def step_of(p):
        def step(x, y):
            tg.sum(p * p * x * y).backward()
            return p

        return step

    x, y = ROWS[:4, :1], ROWS[:4, 1:2]
    answers = tg.compile(step_of(w)).epoch(x, y, 1)
    for i in range(4):
        step_of(v)(x[i : i + 1], y[i : i + 1])
    assert same(w.grad.data, v.grad.data)
    assert same(answers, np.full(4, 2.0))


def test_an_epoch_does_not_train_under_no_grad():
    f, w = step_of_an_epoch(ANSWERS_OF_AN_EPOCH["loss"])
    compiled = tg.compile(f)
    compiled.epoch(ROWS, ROWS[:, 0], 2)
    before = w.data.copy()
    with tg.no_grad(), pytest.raises(ValueError, match="backward"):
        compiled.epoch(ROWS, ROWS[:, 0], 2)
    assert same(w.data, before)


def test_negative_rows_of_an_epoch_count_from_the_end():
    (f, w), (eager, v) = (
        step_of_an_epoch(ANSWERS_OF_AN_EPOCH["loss"]) for _ in range(2)
    )
    x, y, rows = ROWS * 0.1, ROWS[:, 0], np.array([-1, 0, -7, 3])
    compiled = tg.compile(f)
    for _ in range(2):
        compiled.epoch(x, y, 2, rows=rows)
        for some in (rows[:2], rows[2:]):
            eager(x[some], y[some])
    assert same(w.data, v.data)
    with pytest.raises((ValueError, IndexError)):
        compiled.epoch(x, y, 2, rows=np.array([0, 1, 2, 7]))


# --- Answers --------------------------------------------------------------------------


@dataclass
class Result:
    loss: object
    n: int = 3


Pair = namedtuple("Pair", "a b")


class Holder:
    def __init__(self, y):
        self.y = y


ANSWERS = {
    "dataclass": lambda x: Result(W * x),
    "deque": lambda x: deque([W * x, x]),
    "OrderedDict": lambda x: OrderedDict(b=W * x, a=x * 2),
    "defaultdict": lambda x: defaultdict(list, a=W * x),
    "namedtuple": lambda x: Pair(W * x, [x * 2]),
    "namespace": lambda x: SimpleNamespace(y=W * x),
    "object": lambda x: Holder(W * x),
    "set": lambda x: {1, W * x},
    "closure": lambda x: (lambda y: lambda: y)(W * x),
    "default": lambda x: lambda y=W * x: y,
    "generator": lambda x: (W * part for part in x),
    "iterator": lambda x: iter([W * x, x]),
    "map": lambda x: map(W.__mul__, [x, x + 1]),
    "zip": lambda x: zip([W * x], [1]),
    "dict of keys": lambda x: {W: W * x},
    "parameter": lambda x: {"w": W, "y": [W * x, (None, "s", 1.5)]},
    "method": lambda x: (W * x).sum,
}


def opened(answer):
    """Return what is in an answer, so that it can be compared."""
    if isinstance(answer, SimpleNamespace | Holder):
        return [type(answer), vars(answer)]
    if isinstance(answer, set):
        return sorted((opened(y) for y in answer), key=str)
    if hasattr(answer, "__next__"):
        return [opened(y) for y in answer]
    if isinstance(answer, dict):
        return type(answer), list(answer.values())
    is_function = callable(answer) and not isinstance(answer, type)
    return answer() if is_function else answer


@each_style
@each(ANSWERS)
def test_an_answer_has_no_dead_parts(name, style):
    def case():
        def script(g, held):
            for x in (X, X + 1, X * 2):
                yield opened(g(x))

        return ANSWERS[name], [], script

    right_or_refused(case, style=style)


class WithAttribute:
    """What is called like an attribute of a compiled function is not taken for it."""

    _f = staticmethod(lambda x: x * 100)
    __wrapped__ = _f

    def __call__(self, x):
        return W * x


@each_style
def test_an_object_is_compiled_by_its_call(style):
    right(lambda: (WithAttribute(), []), style=style)


# --- Laws -----------------------------------------------------------------------------

NAN, INF = np.nan, np.inf
SPECIAL = np.array([0.0, -0.0, 1.0, -2.0, NAN, INF, -INF, 1e-300, 1e300])
WHOLE = np.array([-1, 0, 1, 2, 100], np.int8)
A, B, C = np.array([1.0, 2.0]), np.array([1e16, 3.0]), np.array([1e16, -1e16])

LAWS = {
    # integers and dtypes
    "integer * 1": (lambda x: (x * 1, x + 0, x**1, x - 0), WHOLE),
    "integer * 1.0": (lambda x: (x * 1.0, x + 0.0, x / 1, x**1.0), WHOLE),
    "integer // 1": (lambda x: (x // 1, x % 2, x**2), WHOLE),
    "integers wrap": (lambda x: (x * 2 + x, (x + x) - x, x * x), WHOLE),
    "integers divided": (lambda x: (x * 2) / 2, WHOLE),
    "negative of unsigned": (lambda x: (-x, x - 1), np.array([0, 1], np.uint8)),
    "booleans": (lambda x: (x * 1, x + x, ~x, x * x), np.array([True, False])),
    "float32 / np.float64": (lambda x: x / np.float64(2), X.astype(np.float32)),
    "float32 * np.float64": (lambda x: x * np.float64(1), X.astype(np.float32)),
    "float32 + np.float64": (lambda x: x + np.float64(0), X.astype(np.float32)),
    "float32 * an integer": (lambda x: x * np.int64(1), X.astype(np.float32)),
    "float16 twice": (lambda x: (x * 300) / 300, np.array([1, 400], np.float16)),
    "to float32 and back": (lambda x: x.astype(np.float32).astype(float), X / 3),
    "to integer and back": (lambda x: x.astype(int).astype(float), X / 2),
    # where
    "where of not": (lambda x: np.where(~x, 1.0, 2.0), WHOLE),
    "where of not, boolean": (lambda x: np.where(~(x > 1), x, -x), X),
    "where of one branch": (lambda x: np.where(x > 1, x, x), X),
    "where of a number": (lambda x: np.where(x, x, -1.0), X * [1, 0, NAN]),
    "nested where, shape": (
        lambda x: np.where(x > 1, np.where(x > 1, np.ones((2, 3)), x), 0.0),
        X,
    ),
    "nested where, dtype": (
        lambda x: np.where(x > 1, np.where(x > 1, x, np.float64(1)), x),
        X.astype(np.float32),
    ),
    "nested where, other": (lambda x: np.where(x > 1, x, np.where(x > 1, 7, x * 2)), X),
    # zeros with a sign, NaN and infinity
    "plus zero": (lambda x: (x + 0.0, x - 0.0, 0.0 + x, x + -0.0), SPECIAL),
    "minus": (lambda x: (0.0 - x, -x, x * -1, -1.0 * x), SPECIAL),
    "minus a difference": (lambda x: (-(x - 1.0), 1.0 - x, -(1.0 - x)), SPECIAL),
    "times zero": (lambda x: (x * 0, 0.0 * x), SPECIAL),
    "minus itself": (lambda x: (x - x, x + -x), SPECIAL),
    "over itself": (lambda x: (x / x, x * (1 / x)), SPECIAL),
    "inverse of an inverse": (lambda x: 1 / (1 / x), SPECIAL),
    "square of a root": (lambda x: (np.sqrt(x) ** 2, np.sqrt(x**2)), SPECIAL),
    "power 0": (lambda x: (x**0, x**1, x**-1, x**0.5), SPECIAL),
    "log of exp": (lambda x: (np.log(np.exp(x)), np.exp(np.log(x))), SPECIAL),
    "absolute": (lambda x: (abs(abs(x)), abs(-x), np.maximum(x, -x)), SPECIAL),
    "maximum of itself": (lambda x: (np.maximum(x, x), np.maximum(x, 0.0)), SPECIAL),
    "guard by itself": (lambda x: np.where(x == x, x, 0.0), SPECIAL),
    "guard by a comparison": (lambda x: np.where(x != 0, x, 1.0) * x, SPECIAL),
    "guard of a quotient": (lambda x: x / np.where(x == 0, 1, x) * x[::-1], SPECIAL),
    "quotient times": (lambda x: x / (x * 1) * np.where(x > 0, NAN, 2.0), SPECIAL),
    "not less": (lambda x: (~(x < 0), ~(x == x), ~(x >= 1)), SPECIAL),
    "clip": (lambda x: (np.clip(np.clip(x, -1, 1), -2, 2), np.clip(x, 1, -1)), SPECIAL),
    # what overflows in one order only
    "two factors": (lambda x: 1e200 * (1e200 * x), np.array([1e-300, 1.0])),
    "two small factors": (lambda x: 1e-200 * (1e-200 * x), np.array([1e300, 1.0])),
    "factor and divisor": (lambda x: 1e200 * x / 1e200, np.array([1e200, 1.0])),
    "two divisors": (lambda x: x / 1e200 / 1e200, np.array([1e300, 1.0])),
    "product of squares": (lambda x: x**2 * x**-2, np.array([1e200, 1e-200])),
    "mean of large": (lambda x: np.sum(x / 4), np.full(4, 1e308)),
    "sum, then a factor": (lambda x: 0.25 * np.sum(x), np.full(4, 1e308)),
    "factor of a product": (lambda x: (1e200 * x) @ x, np.array([1e-300, 1e200])),
    "halved after exp": (lambda x: np.exp(x) * np.exp(-x), np.array([800.0, 1.0])),
    "powers of powers": (lambda x: (x**3) ** (1 / 3), np.array([1e200, -1.0])),
    # brackets that matter
    "a + (b - c)": (lambda a: (a + (B - C), (a + B) - C), A),
    "a - (b - c)": (lambda a: (a - (B - C), (a - B) - C), A),
    "a - (b + c)": (lambda a: (a - (B + C), (a - B) + C), A),
    "a * (b / c)": (lambda a: (a * (B / C), (a * B) / C, a / (B * C), a / B / C), A),
    "powers": (lambda a: ((-a) ** 2, -(a**2), (a**2) ** 3, a ** (2 ** np.sqrt(a))), A),
    "differences": (lambda a: ((a - 1) - (a - 2), a - (1 - a) - (2 - (a - 3))), A),
    "comparisons": (lambda a: ((a > 1) & (a < 3) | ~(a == 2), (a > 1) == (a < 3)), A),
    "products": (lambda a: (a @ (a * 2), -(a @ a), (-a) @ a, 2 ** (a @ a)), A),
    "remainders": (lambda a: (a % (2 * a), (a % 2) * a, a // (a / 3), a // a / 3), A),
}


@each_style
@each(LAWS)
def test_a_law_keeps_the_numbers_to_the_sign_of_zero(name, style):
    f, x = LAWS[name]

    def case():
        def script(g, held):
            for array in (x, x[::-1].copy()):
                answer = g(array)
                parts = answer if isinstance(answer, tuple) else (answer,)
                yield answer, [sign_bit(y) for y in parts if is_float(y)]

        return f, [], script

    with np.errstate(all="ignore"):
        right_or_refused(case, style=style)


def sign_bit(y):
    """Tell the signs, those of zeros too; NaN has none that means anything."""
    return np.signbit(np.where(np.isnan(y), 0, y))


def is_float(y):
    return np.asarray(y).dtype.kind == "f"


@each_style
@pytest.mark.parametrize("scale", [1e-200, 1e200])
@pytest.mark.parametrize("shape", [(2, 3), (40, 30)])
def test_a_learning_rate_that_is_moved_does_not_overflow(shape, scale, style):
    """Of lr * (d.T @ x) each order has numbers that it alone can do."""

    def case():
        w = tg.Tensor(np.ones((shape[1], 2)), requires_grad=True)
        o = tg.optim.SGD([w], lr=1 / scale)

        def f(x):
            o.zero_grad()
            loss = tg.sum((x @ w) * scale)
            loss.backward()
            o.step()
            return loss

        def script(g, held):
            for k in (1.0, 1e-150, 1e-200):
                yield g(np.full(shape, k) * min(1.0, 1 / scale))

        return f, [w, o], script

    with np.errstate(all="ignore"):
        right_or_refused(case, style=style)


# --- Needless trouble: these are to be right ------------------------------------------


def trained(optimiser=tg.optim.SGD, lr=0.01, name="w"):
    w = tg.Tensor(X.copy(), requires_grad=True, name=name)
    o = optimiser([w], lr=lr)

    def step(x):
        o.zero_grad()
        loss = tg.sum((w * x) ** 2)
        loss.backward()
        o.step()
        return loss

    return step, w, o


@pytest.mark.parametrize("kind", [np.float64, np.float32, float])
def test_a_learning_rate_of_numpys_is_recorded_once(kind):
    step, _, o = trained(lr=0.01)
    compiled = tg.compile(step)
    compiled(X)
    o.lr = kind(0.02)
    compiled(X)
    sources = []
    for i in range(3):
        o.lr = kind(0.01 / (i + 1))
        compiled(X)
        sources.append(compiled.source)
    assert all(source is sources[0] for source in sources)


def test_many_batch_sizes_in_turn_are_not_recorded_each_time():
    """More than are kept: most of them are still there in the next round."""
    compiled = tg.compile(trained()[0], keep=16)
    rounds = []
    for _ in range(3):
        sources = {}
        for n in range(1, 18):
            compiled(np.full((n, 3), 0.1))
            sources[n] = compiled.source
        rounds.append(sources)
    assert sum(rounds[1][n] is rounds[2][n] for n in range(1, 18)) >= 9


def test_a_step_that_returns_nothing_runs_by_numba():
    pytest.importorskip("numba", reason="Numba is not installed")
    pytest.importorskip("scipy", reason="SciPy, which it needs, is not installed")
    (step, w, _), (eager, v, _) = trained(), trained()

    @tg.compile(backend="numba")
    def silent(x):
        step(x)

    for _ in range(3):
        assert silent(X) is None
        eager(X)
    assert same(w.data, v.data)


NAMES = ["W₁", "θ", "x", "step", "np", "lambda", "a b", "1", "", "é", "ﬁ", "loss", "w'"]


@each_style
@pytest.mark.parametrize("name", NAMES)
def test_any_name_will_do(name, style):
    def case():
        step, w, o = trained(name=name)
        return step, [w, o]

    right(case, style=style)


@each_style
@pytest.mark.parametrize("dtype", [float, "float32", np.dtype("f4"), np.float64, int])
def test_a_dtype_may_be_said_in_any_way(dtype, style):
    right(
        lambda: (lambda x: (x.sum(dtype=dtype), np.sum(x * 2, dtype=dtype)), []),
        style=style,
    )


@each_style
def test_a_guard_is_only_where_it_can_act(style):
    """The network is finite throughout: nothing in its step asks if a number is."""
    rng = np.random.default_rng(0)
    w, u = (tg.Tensor(rng.standard_normal((3, 3)), requires_grad=True) for _ in "wu")

    def step(xs):
        h = np.zeros((2, 3))
        for x in xs:
            h = tg.tanh(x @ w + tg.sigmoid(h @ u))
        tg.mean(h**2).backward()

    compiled = tg.compile(step, style=style)
    compiled(rng.standard_normal((4, 2, 3)))
    assert "isfinite" not in compiled.source
    assert "isnan" not in compiled.source


@each_style
def test_one_sigmoid_does_not_silence_the_program(style):
    compiled = tg.compile(lambda x: (tg.sigmoid(x), np.exp(-x * 2)), style=style)
    compiled(X)
    with pytest.warns(RuntimeWarning, match="overflow"):
        compiled(np.array([-1e3, 0.0]))
