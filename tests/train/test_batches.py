"""Mini-batches: the same ones in any way of running them, a few at a time."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.train import batches
from tinygrad_edu.train.batches import (
    BatchFunction,
    as_arrays,
    evaluated,
    order_of,
    steps,
)


class Run:
    """As much of a training as `steps` needs."""

    def __init__(self, seed=0, done=()):
        self.rng, self.losses = np.random.default_rng(seed), list(done)
        self.history, self.told = [], []

    def begin_epoch(self):
        self.told.append("begun")

    def go_on(self):
        self.told.append(self.rng.bit_generator.state)


def sums(x, y):
    return (x * y).sum() * 2.0


def examples(n):
    rng = np.random.default_rng(7)
    return rng.random((n, 3)), rng.random((n, 3))


def joined(few):
    return [loss for losses in few for loss in losses]


class Clock:
    """Each look at it costs a moment."""

    def __init__(self, moment):
        self.now, self.moment = 0.0, moment

    def __call__(self):
        self.now += self.moment
        return self.now


@settings(deadline=None)
@given(
    n=st.integers(1, 30),
    size=st.integers(1, 12),
    every=st.integers(1, 7) | st.none(),
    part=st.floats(0, 1),
    shuffle=st.booleans(),
    compiled=st.booleans(),
    moment=st.sampled_from([0.0, 1e-3, 1.0]),
)
def test_the_steps_are_those_of_the_mini_batches(
    n, size, every, part, shuffle, compiled, moment
):
    """From wherever the epoch goes on; a few at a time, and after so many at latest."""
    x, y = examples(n)
    rng = np.random.default_rng(3)
    given = tg.data.minibatches(x, y, size, rng if shuffle else None)
    expected = [sums(*batch) for batch in given]
    done = round(part * len(expected))
    run = Run(seed=3, done=expected[:done])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "perf_counter", Clock(moment))
        function = BatchFunction(sums, compiled, "sum")
        few = list(steps(function, (x, y), run, size, shuffle, every))
    np.testing.assert_allclose(joined(few), expected[done:], rtol=1e-12)
    assert run.told[0] == "begun"
    ends = done + np.cumsum([len(losses) for losses in few])
    if every:
        due = {i for i in range(done + 1, len(expected) + 1) if i % every == 0}
        assert due <= set(ends.tolist())
    if moment == 1.0:
        assert len(few) == len(expected) - done


def test_many_steps_are_taken_at_once_if_they_are_short(monkeypatch):
    monkeypatch.setattr(batches, "perf_counter", Clock(0.0))
    few = list(
        steps(BatchFunction(sums, True, "sum"), examples(95), Run(), 10, True, None)
    )
    assert [len(losses) for losses in few] == [1, 8, 1], "the last is a short one"


@pytest.mark.parametrize("done", [0, 2])
@pytest.mark.parametrize("every", [None, 2])
@pytest.mark.parametrize("moment", [0.0, 1.0])
def test_mini_batches_of_ones_own(done, every, moment, monkeypatch):
    monkeypatch.setattr(batches, "perf_counter", Clock(moment))
    x, y = examples(9)
    given = list(tg.data.minibatches(x, y, 2))
    expected = [sums(*batch) for batch in given]
    function, run = BatchFunction(sums, True, "sum"), Run(done=expected[:done])
    few = list(steps(function, given, run, 99, True, every))
    np.testing.assert_allclose(joined(few), expected[done:], rtol=1e-12)
    lengths = [len(losses) for losses in few]
    if moment:
        assert set(lengths) == {1}
    elif every:
        assert lengths == [2, 2, 1][done // 2 :]
    else:
        assert lengths == [5 - done]


def test_a_function_makes_them_given_the_generator():
    x, y = examples(9)
    run, other = Run(seed=5), np.random.default_rng(5)
    found = steps(
        BatchFunction(sums, False, "sum"),
        lambda rng: tg.data.minibatches(x, y, 4, rng),
        run, 99, True, None,
    )  # fmt: skip
    expected = [sums(*batch) for batch in tg.data.minibatches(x, y, 4, other)]
    assert joined(found) == expected
    assert run.told[0] == "begun"


@pytest.mark.parametrize(
    ("data", "done", "complaint"),
    [
        (lambda: [], 0, "gave 0 mini-batches for epoch 1, of which 0 were"),
        (lambda: iter([]), 0, "a generator works only once"),
        (lambda: [examples(2)], 3, "gave 1 mini-batches for epoch 1, of which 3"),
    ],
)
def test_too_few_mini_batches_are_an_error(data, done, complaint):
    run = Run(done=[0.0] * done)
    with pytest.raises(ValueError, match=complaint):
        list(steps(BatchFunction(sums, False, "sum"), data(), run, 1, True, None))


def test_two_arrays_are_told_from_mini_batches():
    x, y = examples(3)
    assert as_arrays([x, y]) is None
    assert as_arrays((x, y, x)) is None
    found = as_arrays((tg.Tensor(x), y.tolist()))
    np.testing.assert_array_equal(found, (x, y))
    for wrong in ((x, y[:2]), (x[:0], y[:0])):
        with pytest.raises(ValueError, match=r"fit: the data have \d rows in x, \d in"):
            as_arrays(wrong)


# --- What cannot be compiled ----------------------------------------------------------


def test_what_cannot_be_compiled_runs_as_it_is_and_says_why():
    calls = []

    def branches(x, y):
        calls.append(len(x))
        return sums(x, y) if x.sum() > 0 else sums(y, x)

    function = BatchFunction(branches, True, "training step")
    with pytest.warns(UserWarning, match="training step cannot be compiled") as caught:
        losses = list(steps(function, examples(9), Run(), 4, False, None))
    assert "branches on a value" in str(caught[0].message)
    assert "test_batches.py" in str(caught[0].message)
    assert sum(map(len, losses)) == 3
    assert [n for n in calls if n == 4] == [4] * (len(calls) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        function(*examples(3))


def test_errors_of_the_users_own_are_left_as_they_are():
    def wrong(x, y):
        return tg.losses.mse(x, y[:, :2])

    with pytest.raises(ValueError, match=r"^mse: the prediction has shape \(4, 3\)"):
        list(
            steps(
                BatchFunction(wrong, True, "step"), examples(9), Run(), 4, False, None
            )
        )


# --- Evaluation -----------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [True, False])
def test_the_loss_is_the_mean_and_a_metric_is_told_all_at_once(compiled, monkeypatch):
    monkeypatch.setattr(batches, "CHUNK", 4)
    x, y = examples(11)
    told = []

    def worst(outputs, targets):
        told.append((outputs.copy(), targets))
        return np.abs(outputs - targets).max()

    def judge(x, y):
        return 2 * x, tg.losses.mse(2 * x, y)

    function = BatchFunction(judge, compiled, "evaluation")
    figures = evaluated(function, (x, y), {"worst": worst})
    assert list(figures) == ["loss", "worst"]
    assert figures["loss"] == pytest.approx(tg.losses.mse(2 * x, y).item(), rel=1e-12)
    assert figures["worst"] == np.abs(2 * x - y).max()
    ((outputs, targets),) = told
    np.testing.assert_array_equal(outputs, 2 * x)
    np.testing.assert_array_equal(targets, y)
    parts = [(x[:3], tg.Tensor(y[:3])), (tg.Tensor(x[3:]), y[3:])]
    assert evaluated(function, parts, {}) == pytest.approx({"loss": figures["loss"]})


def test_nothing_is_recorded_while_it_is_evaluated():
    w = tg.Tensor(2.0, requires_grad=True)
    seen = []

    def judge(x, y):
        seen.append((w * x).requires_grad)
        return w * x, tg.losses.mse(w * x, y)

    evaluated(BatchFunction(judge, False, "evaluation"), examples(3), {})
    assert seen == [False]
    with pytest.raises(ValueError, match="evaluate: there are no examples"):
        evaluated(SimpleNamespace(), [], {})


# --- What the order follows from ------------------------------------------------------


def test_data_are_told_from_others():
    x, y = examples(2_001)
    told = order_of((x, y), 10, shuffle=True)
    assert told == order_of((x.copy(), y), 10, shuffle=True)
    assert told == order_of((np.asfortranarray(x), tg.Tensor(y)), 10, shuffle=True)
    assert told["data"].startswith("2001 examples of float64 (3,) and float64 (3,), ")
    other = x.copy()
    other[-1, 2] += 1e-9
    for changed in ((other, y), (x[::-1], y), (x, y[::-1]), (y, x), (x[1:], y[1:])):
        assert order_of(changed, 10, shuffle=True)["data"] != told["data"]
    assert order_of((x.astype("f"), y), 10, shuffle=True)["data"] != told["data"]


def test_of_mini_batches_it_tells_what_it_can():
    batch = examples(2)
    assert order_of([batch, batch], 10, shuffle=True) == {"data": "2 batches"}
    assert order_of(lambda rng: [batch], 10, shuffle=True) == {"data": "batches"}
