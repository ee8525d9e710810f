"""The first call of a compiled function: its work is linear, whatever the program."""

import gc
from typing import Any

import numpy as np
import pytest
from counting import calls
from numpy.testing import assert_allclose

import tinygrad_edu as tg
from tinygrad_edu.compiler.recording.recorder import Recording
from tinygrad_edu.engine.graph import value_of

MOST = 750  # functions that are called for an equation, Python's and NumPy's


def chain(n: int) -> Any:
    """Train one parameter, which is used n times."""
    w = tg.Tensor(np.full(3, 0.5), requires_grad=True)
    optimiser = tg.optim.SGD([w], lr=0.1)

    def step(h: Any, k: float) -> Any:
        for _ in range(n):
            h = tg.tanh(h) * w + 0.1
        optimiser.zero_grad()
        loss = tg.sum(h)
        loss.backward()
        optimiser.step()
        return loss

    return step


def parameters(n: int) -> Any:
    """Train n parameters, beside n that are frozen."""
    weights = [tg.Tensor(np.eye(3), requires_grad=True) for _ in range(n)]
    biases = [tg.Tensor(np.ones(3)) for _ in range(n)]
    optimiser = tg.optim.Adam(weights)

    def step(h: Any, k: float) -> Any:
        for w, b in zip(weights, biases):
            h = tg.tanh(h @ w + b)
        optimiser.zero_grad()
        tg.sum(h).backward()
        optimiser.step()
        return h

    return step


def steps(n: int) -> Any:
    """Make n steps of an optimiser, each with gradients of its own."""
    w = tg.Tensor(np.full(3, 0.5), requires_grad=True)
    optimiser = tg.optim.Adam([w])

    def step(x: Any, k: float) -> Any:
        for _ in range(n):
            optimiser.zero_grad()
            loss = tg.sum((w * x - 1) ** 2)
            loss.backward()
            optimiser.step()
        return loss

    return step


def numbers(n: int) -> Any:
    """Compute with a Python number n times."""

    def f(x: Any, k: float) -> Any:
        for _ in range(n):
            k = k * 0.5 + 1.0
        return x * k

    return f


def written(n: int) -> Any:
    """Write to memory that others look at, n times."""

    def f(x: Any, k: float) -> Any:
        x = x.copy()
        for _ in range(n):
            x += x[::-1] * k
        return x

    return f


def views(n: int) -> Any:
    def f(x: Any, k: float) -> Any:
        for _ in range(n):
            x = np.concatenate([x[1:], x[:1]])
        return x

    return f


@pytest.mark.parametrize("style", ["fast", "readable"])
@pytest.mark.parametrize("f", [chain, parameters, steps, numbers, written, views])
def test_twice_the_program_is_twice_the_work(f: Any, style: str) -> None:
    """Only what is added counts, since some work is the same for all programs."""
    work, lengths = [], []
    for n in (20, 40, 80, 160):  # the first call of all does more
        args = np.ones(3), 0.5
        work.append(calls(tg.compile(f(n), style=style), *args))
        lengths.append(len(Recording(f(n), args, {}).program.equations))
    (_, first, second), (_, few, many) = np.diff(work), np.diff(lengths)
    assert second / first <= 1.1 * many / few
    assert second / many <= MOST


@pytest.mark.parametrize("f", [chain, steps, numbers, written, views])
def test_a_long_program_is_right(f: Any) -> None:
    """A thousand ops are no recursion, and no brackets within brackets."""
    x = np.linspace(0.1, 0.9, 3)
    n = 1200 if f is not steps else 200
    answers = value_of(tg.compile(f(n))(x, 0.5)), value_of(f(n)(x, 0.5))
    assert_allclose(*answers, rtol=1e-9)


def test_guards_are_as_long_as_the_list_of_parameters() -> None:
    def length(n: int) -> int:
        recording = Recording(parameters(n), (np.ones(3), 0.5), {})
        return sum(map(len, recording.conditions))

    lengths = [length(n) for n in (20, 40, 80)]
    first, second = np.diff(lengths)
    assert second <= 2.2 * first


def test_each_parameter_is_apart_from_all_others() -> None:
    """Memory that two of them share is noticed, whichever of them it is given to."""
    step = parameters(3)
    compiled = tg.compile(step)
    weights = next(c.cell_contents for c in step.__closure__ if _is_list(c))
    compiled(np.ones(3), 0.5)
    weights[2].array = weights[0].array
    with pytest.raises(TypeError, match="looks at the same memory"):
        compiled(np.ones(3), 0.5)


def _is_list(cell: Any) -> bool:
    x = cell.cell_contents
    return isinstance(x, list) and x[0].requires_grad


def test_which_arguments_are_the_same_tensor() -> None:
    @tg.compile
    def f(a: Any, b: Any, c: Any) -> Any:
        return a + 2 * b + 3 * c * (b is c) + 5 * (a is b)

    x, y = tg.Tensor([1.0]), tg.Tensor([10.0])
    z = tg.Tensor([100.0])
    for args in ((x, y, z), (x, y, y), (x, x, y), (z, y, x), (x, y, x), (x, x, x)):
        a, b, c = args
        want = a + 2 * b + 3 * c * (b is c) + 5 * (a is b)
        assert_allclose(f(*args), want)


def test_an_update_is_in_place_only_after_the_last_reader() -> None:
    """Each of two parameters becomes what the other one was: one can be in place."""
    p, q = (tg.Tensor(np.full(2, v), requires_grad=True) for v in (1.0, 5.0))

    def swap(x: Any) -> None:
        new = q.data + x, p.data + x
        p.data, q.data = new

    compiled = tg.compile(swap)
    for _ in range(2):
        compiled(np.ones(2))
    assert_allclose(p.data, [3.0, 3.0])
    assert_allclose(q.data, [7.0, 7.0])


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_it_was(enabled: bool) -> None:
    def f(x: Any) -> Any:
        assert not gc.isenabled()
        return x + 1

    try:
        if not enabled:
            gc.disable()
        tg.compile(f)(np.ones(2))
        assert gc.isenabled() == enabled
        with pytest.raises(ZeroDivisionError):
            tg.compile(lambda x: x / (1 // 0))(np.ones(2))
        assert gc.isenabled() == enabled
    finally:
        gc.enable()
