"""Arrays that are written to, shared, viewed and copied: right, or refused.

Each case was wrong without a word in an earlier compiler, or is akin to one that was.
"""

import contextlib

import numpy as np
import pytest
from beside_eager import X, leaf, right, right_or_refused

import tinygrad_edu as tg

each_style = pytest.mark.parametrize("style", ["fast", "readable"])


def buffer_of_its_own():
    """A local array is written to again, after it was used."""
    w = leaf()

    def f(x):
        e, parts = np.zeros(3), []
        for i in range(3):
            e[:] = 0
            e[i] = 1
            parts.append((x * e * w).sum())
        return parts

    return f, [w]


def buffer_from_outside():
    w, e = leaf(), np.zeros(3)

    def f(x):
        parts = []
        for i in range(3):
            e[:] = 0
            e[i] = 1
            parts.append((x * e * w).sum())
        return parts

    return f, [w, e]


def copy_by(make, dtype=float):
    """What NumPy copies stays as it is when the original is written to."""

    def case():
        w, a = leaf(), X.astype(dtype)

        def f(x):
            local = np.ones(3, dtype)
            of_local, of_captured = make(local), make(a)
            local += 2
            with contextlib.suppress(ValueError):  # a view of it may be read-only
                of_local[0] = 5
            return w * x * of_local * of_captured + local

        return f, [w, a]

    return case


def captured_copy_by(make, dtype=float):
    def case():
        w, a = leaf(), X.astype(dtype)

        def f(x):
            b = make(a)
            np.add(a, 1, out=a)
            return w * x * b

        return f, [w, a]

    return case


def computed_copy_by(make, dtype=float):
    """As before, of an array that is computed from an argument."""

    def case():
        w = leaf()

        def f(x):
            local = x.astype(dtype) * 2
            of_local = make(local)
            local += 2
            return w * of_local + local

        return f, [w]

    return case


COPIES = {
    "astype": lambda a: a.astype(a.dtype),
    "astype, copy=False": lambda a: a.astype(a.dtype, copy=False),
    "flatten": lambda a: a.flatten(),
    "ravel": lambda a: a.ravel(),
    "reshape": lambda a: a.reshape(-1),
    "copy": lambda a: a.copy(),
    "array": lambda a: np.array(a),
    "asarray": lambda a: np.asarray(a),
    "array, copy=None": lambda a: np.array(a, copy=None),
    "slice": lambda a: a[:],
    "list": lambda a: a[[0, 1, 2]],
    "positive": lambda a: +a,
    "squeeze": lambda a: np.squeeze(a),
    "transpose": lambda a: a.T,
    "ascontiguous": lambda a: np.ascontiguousarray(a),
    "broadcast": lambda a: np.broadcast_to(a, (1, 3))[0],
    "real": lambda a: a.real,
    "atleast": lambda a: np.atleast_1d(a),
    "concatenate": lambda a: np.concatenate([a]),
    "where": lambda a: np.where(True, a, 0),
    "maximum": lambda a: np.maximum(a, -np.inf),
}


@each_style
@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_are_copies_and_views_are_views(dtype, name, style):
    for case in (copy_by, captured_copy_by, computed_copy_by):
        right_or_refused(case(COPIES[name], dtype), COPIES[name], style=style)


def row_before_a_step():
    """A view of a parameter sees what a step makes of it."""
    w = leaf()
    o = tg.optim.SGD([w], lr=0.1)

    def f(x):
        row, copy = w.data[:2], w.data[:2].copy()
        o.zero_grad()
        tg.sum((w * x) ** 2).backward()
        o.step()
        return row * 1, copy, w.data[0] * 1

    return f, [w, o]


def number_before_an_addition():
    w = leaf()

    def f(x):
        n = np.sum((w * x).detach().data ** 2)
        first = n
        n += np.sum(x)
        m = np.sum(x)
        second = m
        m += n
        return first, n, second, m

    return f, [w]


def element_before_an_addition():
    w = leaf()

    def f(x):
        n = x[0]
        first = n
        n *= 5
        return w * first * n

    return f, [w]


def row_of_a_local_array():
    w = leaf()

    def f(x):
        a = np.outer(x, x)
        row, column, flipped = a[0], a.T[0], a[::-1]
        a[0] = 7
        row[1] = 3
        flipped[2] *= 2
        return w * a * row * column

    return f, [w]


def assigned_then_changed():
    w, v = leaf(), leaf(3, 2, 1)

    def f(x):
        before = w.data
        w.data = w.data * 2
        y = v.data
        v.data = w.data
        return before * 1, y * 1, (w * x * v).data

    return f, [w, v]


def parameters_swapped():
    w, v = leaf(), leaf(3, 2, 1)

    def f(x):
        w.data, v.data = v.data, w.data
        return w * x - v

    return f, [w, v]


def argument_that_is_a_parameter():
    """The argument is, or views, the parameter's own array, at a later call only."""
    w = leaf()
    o = tg.optim.SGD([w], lr=0.1)

    def f(x):
        o.zero_grad()
        loss = tg.sum((w * x) ** 2)
        loss.backward()
        o.step()
        return loss.data + np.sum(x)

    def script(g, held):
        for x in (X.copy(), w.data, w.data[::-1], X.copy(), w.data.reshape(3)):
            yield g(x)

    return f, [w, o], script


def step_of(w):
    """Return a step of gradient descent on w, and its optimiser."""
    o = tg.optim.SGD([w], lr=0.1)

    def f(x):
        o.zero_grad()
        tg.sum(w * x).backward()
        o.step()
        return np.sum(x)

    return f, o


def parameter_that_views_an_argument():
    """At a later call only, and the argument has the memory."""
    w = leaf()
    f, o = step_of(w)

    def script(g, held):
        yield g(X.copy())
        x = X.copy()
        w.data = x[::-1]
        yield g(x), x

    return f, [w, o], script


def argument_that_a_parameter_views():
    """From the first call on, but it is given only later."""
    w, whole = leaf(), X.copy()
    w.data = whole[::-1]
    f, o = step_of(w)

    def script(g, held):
        yield g(X.copy())
        yield g(whole), whole

    return f, [w, o], script


def parameter_that_a_captured_array_views():
    """At a later call only."""
    w, whole = leaf(), X.copy()
    o, view = tg.optim.SGD([w], lr=0.1), whole[:2]

    def f(x):
        o.zero_grad()
        tg.sum(w * x).backward()
        o.step()
        return view * 1

    def script(g, held):
        yield g(X)
        w.data = whole
        yield g(X)

    return f, [w, o], script


def updated_argument(others):
    """At a later call it is a view of what `others` names."""

    def case():
        p, q, c = leaf(), leaf(3, 1, 2), X.copy()

        def f(p, q, x):
            with tg.no_grad():
                p -= 0.1 * q * x
                q -= 0.5 * p
            return tg.sum(p * x * c) + tg.sum(q)

        def script(g, held):
            x = X.copy()
            for _ in range(2):
                yield g(p, q, x), x
            p.data = {"q": q.data, "c": c, "x": x}[others][::-1]
            yield g(p, q, x), x

        return f, [p, q, c], script

    return case


def updated_argument_that_is_captured():
    """At a later call it is an array that owns its memory and is known."""
    p, c = leaf(), X.copy()

    def f(p):
        with tg.no_grad():
            p -= 0.1 * c
        return tg.sum(p * c)

    def script(g, held):
        yield g(p)
        p.data = c
        yield g(p)

    return f, [p, c], script


def arguments_that_share_memory():
    w = leaf(2, 2)

    def f(x, y):
        w.data = w.data + x
        return w * y

    def script(g, held):
        both = np.arange(4.0)
        for x, y in [(both[:2], both[2:]), (both[:2], both[1:3]), (w.data, w.data)]:
            yield g(x, y)

    return f, [w], script


def parameters_that_share_memory():
    w, v = leaf(), leaf()
    o = tg.optim.SGD([w, v], lr=0.01)

    def f(x):
        o.zero_grad()
        loss = tg.sum(w * x * v)
        loss.backward()
        o.step()
        return loss

    def script(g, held):
        yield g(X)
        v.data = w.data
        yield g(X)
        v.data = w.data[::-1]
        yield g(X)

    return f, [w, v, o], script


def captured_view_of_a_parameter():
    w = leaf()
    view, o = w.data[:2], tg.optim.SGD([w], lr=0.1)

    def f(x):
        o.zero_grad()
        loss = tg.sum(w * x)
        loss.backward()
        o.step()
        return loss * view

    return f, [w, o]


def gradient_that_is_kept():
    w = leaf()
    seen = tg.Tensor(X)
    w.grad = seen

    def f(x):
        before = w.grad
        tg.sum(w * x).backward()
        return before * 1, w.grad * 1

    return f, [w, seen]


MEMORY = [
    buffer_of_its_own,
    buffer_from_outside,
    row_before_a_step,
    number_before_an_addition,
    element_before_an_addition,
    row_of_a_local_array,
    assigned_then_changed,
    parameters_swapped,
    argument_that_is_a_parameter,
    parameter_that_views_an_argument,
    argument_that_a_parameter_views,
    parameter_that_a_captured_array_views,
    updated_argument("q"),
    updated_argument("c"),
    updated_argument("x"),
    updated_argument_that_is_captured,
    arguments_that_share_memory,
    parameters_that_share_memory,
    captured_view_of_a_parameter,
    gradient_that_is_kept,
]


@each_style
@pytest.mark.parametrize("case", MEMORY)
def test_memory(case, style):
    right_or_refused(case, style=style)


def test_a_constant_is_copied_when_it_enters():
    """And so a local array may be written to again."""
    right(buffer_of_its_own)


OUT = {
    "clip": lambda y, x: np.clip(y, 0, 1, y),
    "clip of a method": lambda y, x: y.clip(0, 1, y),
    "add": lambda y, x: np.add(y, x, y),
    "dot": lambda y, x: np.dot(np.eye(3), x, y),
    "cumsum": lambda y, x: np.cumsum(x, 0, None, y),
    "sum": lambda y, x: np.sum(np.outer(x, x), 0, None, y),
    "round": lambda y, x: np.round(y, 0, y),
    "take": lambda y, x: np.take(x, [0, 1, 2], None, y),
    "add.at": lambda y, x: np.add.at(y, [0, 0], 1.0),
    "add.reduce": lambda y, x: np.add.reduce(np.outer(x, x), 0, None, y),
    "add.accumulate": lambda y, x: np.add.accumulate(x, 0, None, y),
    "put": lambda y, x: np.put(y, [0], 5.0),
    "put of a method": lambda y, x: y.put([0], 5.0),
    "place": lambda y, x: np.place(y, [True, False, True], 5.0),
    "putmask": lambda y, x: np.putmask(y, [True, False, True], 5.0),
    "put_along_axis": lambda y, x: np.put_along_axis(y, np.array([1]), 5.0, 0),
    "copyto": lambda y, x: np.copyto(y, x),
    "fill_diagonal": lambda y, x: np.fill_diagonal(y[None].repeat(3, 0), 0.0),
    "fill_diagonal of a view": lambda y, x: np.fill_diagonal(y.reshape(1, 3), 0.0),
    "fill": lambda y, x: y.fill(5.0),
    "sort": lambda y, x: y[::-1].sort(),
    "flat": lambda y, x: y.flat.__setitem__(0, 5.0),
    "ellipsis": lambda y, x: y.__setitem__(..., x),
    "a view": lambda y, x: y[1:].__iadd__(1.0),
}


@each_style
@pytest.mark.parametrize("name", OUT)
@pytest.mark.parametrize("what", ["parameter", "captured", "argument", "local"])
def test_writing_in_many_ways(what, name, style):
    """Nobody's array changes while a function is recorded that is then refused."""

    def case():
        w, a = leaf(), X[::-1].copy()

        def f(x):
            local = np.full(3, 0.5)
            y = {"parameter": w.data, "captured": a, "argument": x, "local": local}
            OUT[name](y[what], x)
            return w * x * a * local

        return f, [w, a]

    right_or_refused(case, OUT[name], style=style)
