"""What the recorder makes of what functions do: as in eager, or refused with the line.

A test for each thing that a program may say and that no other test needs.
"""

import copy
import dataclasses
import itertools
import math

import numpy as np
import pytest
from beside_eager import X, copied, leaf, lines_named, lines_of, right, same

import tinygrad_edu as tg

each_style = pytest.mark.parametrize("style", ["fast", "readable"])
M = np.arange(6.0).reshape(2, 3)


def changed(x, change):
    """Change a copy of an array, and return it."""
    y = x * 1
    change(y)
    return y


def both(x):
    y = x > 1
    y &= x < 3
    y |= x > 5
    y ^= x == 2
    return y


# What eager does, a program does too.
LIKE_EAGER = {
    "an array is compared with text": lambda x: x * (2 if x is None else 3),
    "equal to text": lambda x: (x * 2, x == "mean", x != "mean"),
    "equal to nothing": lambda x: (x * 2, x == None),  # noqa: E711
    "a Tensor of integers": lambda x: tg.Tensor(x.astype(int)) * 2,
    "a Tensor of another dtype": lambda x: tg.Tensor(x, dtype=np.float32) * 2,
    "transposed by np": lambda x: (np.transpose(x), np.transpose(x, (1, 0))),
    "transposed as it is": lambda x: np.transpose(x, (0, 1)) * 2,
    "partitioned": lambda x: changed(x, lambda y: y.partition(1)),
    "partitioned along": lambda x: changed(x, lambda y: y.partition(1, axis=0)),
    "sorted": lambda x: changed(x, lambda y: y.sort(axis=0)),
    "bits in place": both,
    "a Python function of a library's": lambda x: copy.deepcopy(x) * 2,
}


@each_style
@pytest.mark.parametrize("name", LIKE_EAGER)
def test_arrays_do_as_in_eager(name, style):
    """As the name says, and whatever the numbers are."""

    def script(g, held):
        for x in (M, M[::-1] + 1):
            yield g(x)

    right(lambda: (LIKE_EAGER[name], [], script), style=style)


@each_style
def test_a_leaf_that_is_made_inside(style):
    """It has a gradient, and memory of its own: changing it leaves the argument."""

    def f(x):
        v = tg.Tensor(x, requires_grad=True)
        tg.sum(v * v * x).backward()
        v.data[0] = 7
        return v, v.grad, x * 1

    right(lambda: ((lambda x: [y * 1 for y in f(x)]), []), style=style)


@each_style
def test_a_number_is_computed_with(style):
    """By NumPy's functions, by Python's operators; also written into a parameter."""

    def case():
        w = leaf()

        def f(x, k):
            w.data[...] = k
            y = np.sqrt(k) * x + np.add(k, x) + np.multiply(k, w) + np.add(k, 1)
            return y * (k**2 - 1 / k + -k + abs(k)), w * 1

        def script(g, held):
            for k in (2.0, 3.0, 0.5):
                yield g(X, k)

        return f, [w], script

    right(case, style=style)


@dataclasses.dataclass
class Scale:
    """A function that cannot be hashed."""

    factor: float

    def __call__(self, x):
        return x * self.factor


@each_style
def test_an_op_that_does_not_look_at_its_input(style):
    ones = tg.op(lambda x: np.ones(3), name="ones_of_three")
    assert same(tg.compile(lambda x: ones(x) * x, style=style)(X), X * 1)


@each_style
def test_an_op_of_what_cannot_be_hashed(style):
    def case():
        w = leaf()
        scale = tg.op(Scale(3.0), name="scale")
        scale.vjp(x=lambda g, y, x: g * 3.0)

        def f(x):
            loss = tg.sum(scale(w * x))
            loss.backward()
            return loss

        return f, [w], lambda g, held: ((g(X + i), w.grad) for i in range(3))

    right(case, style=style)


@each_style
def test_what_a_function_uses_may_be_of_the_librarys(style):
    """An op, a transform and a function of Python's, kept in a closure."""
    act, slope, again = tg.sin, tg.grad(lambda x: tg.sum(x**3)), copy.deepcopy
    right(lambda: ((lambda x: act(x) * slope(again(x))), []), style=style)


@each_style
def test_a_gradient_is_removed_by_the_function(style):
    """Whether there was one when the function was recorded, or not."""

    def case(first):
        w = leaf()
        w.grad = first

        def f(x):
            w.grad = None
            return x * 1

        def script(g, held):
            yield g(X), w.grad
            w.grad = tg.Tensor(X)
            yield g(X), w.grad

        return f, [w], script

    for first in (None, tg.Tensor(X)):
        right(lambda first=first: case(first), style=style)


def test_a_key_that_cannot_be_written_down():
    """A number of five thousand digits."""
    compiled = tg.compile(lambda d: sum(d.values()) * 2)
    for key in (10**5000, 10**5001):
        for x in (X, X + 1):
            assert same(compiled({key: x}), x * 2)


# --- Refused, with the line -----------------------------------------------------------

W, V = leaf(), tg.Tensor(X, requires_grad=True, name="v")


def times_a_value(x):
    return x * tg.sum(W * x).item()


def an_op_that_looks(x, k):
    return tg.op(times_a_value)(W * x)


REFUSED = {
    "given a view": (
        lambda x, k: setattr(W, "data", x[::-1]),
        "gives w a view of x",
    ),
    "given a view of a parameter": (
        lambda x, k: setattr(W, "data", V.data[::-1]),
        "gives w a view of v",
    ),
    "given as text": (lambda x, k: np.array2string(x), "of a value is no array"),
    "complex": (lambda x, k: complex(x.sum()), "made a Python number"),
    "computed number, if": (lambda x, k: x if k - 1 else W, "branches on a value"),
    "number, <": (lambda x, k: x if k < 1 else W, "branches on a number"),
    "number, int": (lambda x, k: x * int(k), "made a Python number"),
    "number, math": (lambda x, k: x * math.sqrt(k), "made a Python number"),
    "number, text": (lambda x, k: f"{k}", "made a Python number"),
    "number, size": (lambda x, k: np.zeros(k), "made a Python number"),
    "an op that looks": (an_op_that_looks, "value"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_names_the_line(name):
    """And nothing is changed."""
    f, match = REFUSED[name]
    with pytest.raises(TypeError, match=rf"^compile: .*{match}") as error:
        tg.compile(f)(X, 2.0)
    lines = lines_of(f) | lines_of(times_a_value)
    assert lines_named(error.value) & lines, str(error.value)
    assert same(copied([W, V]), copied([leaf(), leaf()]))


# What eager refuses, the recorder refuses in the same words.
ERRORS = {
    "shapes": lambda x, k: np.stack([x, x[:2]]),
    "text times a number": lambda x, k: x * (k * "ab"),
    "a list plus a number": lambda x, k: [1.0] + k,  # noqa: RUF005
    "a Tensor added in place": lambda x, k: changed(x, lambda y: y.__iadd__(W)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_eager_refuses_is_the_users_own_error(name):
    errors = []
    for f in (ERRORS[name], tg.compile(ERRORS[name])):
        with pytest.raises((TypeError, ValueError)) as error:
            f(X, 2.0)
        errors.append(error)
    assert errors[0].type is errors[1].type


TIMES = {
    "more": lambda x, n: [x * 2 for _ in range(n)],
    "less": lambda x, n: [x * 2 for _ in range(5 - n)],
    "of another shape": lambda x, n: np.broadcast_to(x, (n, 3)),
    "with another function": lambda x, n: (np.sin, np.cos)[n % 2](x),
    "along other axes": lambda x, n: np.sum(M * x[:1], axis=n % 2),
    "on an array of another shape": lambda x, n: (W * 2, tg.Tensor(M) * 2)[n % 2],
    "with a number of another kind": lambda x, n: x * (2, 2.0)[n % 2],
    "with another constant": lambda x, n: x * np.array([1.0, n, 2.0]),
    "on another tensor": lambda x, n: tg.exp((W, LARGE)[n % 2]),
    "on another tensor of its shape": lambda x, n: tg.exp((W, V)[n % 2]),
    "with another optimiser": lambda x, n: train((SLOW, QUICK)[n % 2], x),
    "with what another layer draws": lambda x, n: DROPOUTS[n % 2](x),
    "to another number of an optimiser": lambda x, n: setattr(QUICK, "lr", 0.1 * n),
    "but gives another tensor": lambda x, n: (W, V)[n % 2],
    "but gives another number": lambda x, n: (x * 2, 0.1 * n),
    "but gives another array": lambda x, n: (x * 2, np.full(2, n)),
    "but gives another set": lambda x, n: [x * 2, {n}],
    "but gives it under another key": lambda x, n: {n: x * 2},
    "but gives it in another structure": lambda x, n: (tuple, list)[n % 2]([x * 2]),
    "but gives it more often": lambda x, n: [x] * n,
}
LARGE = tg.Tensor(np.ones((2, 3)), name="large")
SLOW, QUICK = (tg.optim.SGD([W], lr=lr) for lr in (0.1, 0.2))
DROPOUTS = [tg.nn.Dropout(0.5, rng=seed) for seed in (0, 1)]


def train(optimiser, x):
    tg.sum(W * x).backward()
    optimiser.step()


@pytest.mark.parametrize("name", TIMES)
def test_a_second_run_that_is_another_is_refused(name):
    """Even if the function catches what is raised."""
    f, times = TIMES[name], itertools.count(1)

    def caught(x):
        try:
            return f(x, next(times) + 1)
        except TypeError:
            return x

    with pytest.raises(TypeError, match="run twice, the function did not do") as error:
        tg.compile(caught)(X)
    lines = lines_of(f) | lines_of(caught) | lines_of(train)
    assert lines_named(error.value) & lines


USES = {
    "operator": lambda y: y + 1,
    "operator with a Tensor": lambda y: W * y,
    "op": tg.exp,
    "function": np.sum,
    "method": lambda y: y.sum(),
    "element": lambda y: y[0],
    "text": str,
    "value": np.asarray,
}


@pytest.mark.parametrize("name", USES)
def test_an_array_that_was_recorded_and_kept_says_so(name):
    """When it is used later, after the refusal."""
    kept = []
    with pytest.raises(TypeError, match="is kept after the call"):
        tg.compile(lambda x: kept.append(x * 2))(X)
    with pytest.raises(TypeError, match="recorded while a function was compiled"):
        USES[name](kept[0])


def test_a_captured_array_that_computes_in_its_own_way_is_refused():
    masked = np.ma.masked_array([1.0, 2.0, 3.0], [True, False, False])
    with pytest.raises(TypeError, match="masked is a MaskedArray, which computes"):
        tg.compile(lambda x: x * masked)(X)


# --- What trying found ----------------------------------------------------------------

LABELS = np.array([0, 2, 2])


def gradient_of(loss):
    """Make a case: the loss of a matrix of parameters, and its gradient."""

    def case():
        w = tg.Tensor(np.arange(9.0).reshape(3, 3) / 7, requires_grad=True, name="w")

        def f(x, k):
            w.grad = None
            y = loss(w, x, k)
            y.backward()
            return y

        def script(g, held):
            for i in range(3):
                yield g(np.ones((3, 3)) + i, np.roll(LABELS, i)), w.grad

        return f, [w], script

    return case


GRADIENTS = {
    "a linear layer under a mean": lambda w, x, k: tg.linear(x, w, x[0]).mean(),
    "a product under a sum": lambda w, x, k: (x @ w).sum(),
    "labels": lambda w, x, k: -tg.log_softmax(x @ w)[np.arange(3), k].mean(),
    "rows": lambda w, x, k: w[k].sum(),
    "rows taken": lambda w, x, k: (np.take(w, k, axis=0) ** 2).sum(),
    "sorted": lambda w, x, k: np.sort(w * x).sum(),
    "an average": lambda w, x, k: np.average(w, weights=x[0] ** 2, axis=0).sum(),
}


@each_style
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_of_what_has_a_constant_cotangent(name, style):
    right(gradient_of(GRADIENTS[name]), style=style)


@each_style
def test_a_gradient_inside_of_two_uses(style):
    w = leaf()

    def f(x):
        return tg.grad(lambda v: np.sqrt((v * v).sum()) + (x * v).sum())(w)

    np.testing.assert_allclose(tg.compile(f, style=style)(X).data, f(X).data, 1e-12)


def test_a_number_and_a_truth():
    f = tg.compile(lambda x, a, flag: x + flag * a)
    assert same(f(X, 1.5, True), X + 1.5)
    assert same(f(X, 2.5, True), X + 2.5)


def test_a_number_in_an_outer_product():
    f = tg.compile(lambda x, a: np.multiply.outer(np.arange(3.0), a) * x)
    for a in (2.0, 3.0):
        assert same(f(X, a), np.arange(3.0) * a * X)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, a: np.zeros(3).__iadd__(a) * x,
        lambda x, a: np.multiply(np.ones(3), a, out=np.ones(3)),
        lambda x, a: np.full(3, a),
        lambda x, a: np.array([a, a]),
    ],
)
def test_a_number_is_not_put_into_an_array_of_numpys(f):
    with pytest.raises(TypeError, match=r"^compile: a value is "):
        tg.compile(f)(X, 2.0)


@each_style
@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (lambda w, i: w[i], np.array([0]), np.array([9])),
        (lambda w, k: np.linalg.inv(w[:1].reshape(1, 1) * k), np.ones(1), np.zeros(1)),
    ],
    ids=["index", "inverse"],
)
def test_what_fails_after_the_step_leaves_all_as_it_was(read, good, bad, style):
    w = leaf()
    o = tg.optim.Adam([w], lr=0.1)

    @tg.compile(style=style)
    def step(x, i):
        o.zero_grad()
        tg.sum(w * x).backward()
        o.step()
        return read(w, i)

    step(X, good)
    before = copied([w, o])
    with pytest.raises((IndexError, np.linalg.LinAlgError)):
        step(X, bad)
    assert same(copied([w, o]), before)


def test_a_whole_number_stays_one():
    assert same(tg.compile(lambda x: np.ldexp(x, 2))(X), X * 4)
