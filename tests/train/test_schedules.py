"""Learning rates: each schedule is the formula that it says it is."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu.train import schedules
from tinygrad_edu.train.schedules import Watch

accuracies = st.lists(st.floats(0, 1) | st.just(math.nan), max_size=60)


def test_constant_and_step() -> None:
    assert [schedules.constant(0.3)(e, None) for e in (0, 5, 99)] == [0.3] * 3
    rates = [schedules.step(0.8, every=3, factor=0.1)(e, None) for e in range(7)]
    np.testing.assert_allclose(rates, [0.8] * 3 + [0.08] * 3 + [0.008], rtol=1e-15)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (schedules.step(0.8, every=1), [0.8, 0.4, 0.2]),
        (schedules.cosine(0.8, epochs=1, least=0.2), [0.8, 0.2, 0.2]),
        (schedules.halve_on_stall(0.8, 1, "loss", min), [0.8, 0.8, 0.4]),
    ],
    ids=["step", "cosine", "halve_on_stall"],
)
def test_the_shortest_time_is_one_epoch(
    schedule: schedules.Schedule, rates: list[float]
) -> None:
    found = [schedule(epoch, {"loss": [1.0] * epoch}) for epoch in range(3)]
    assert found == pytest.approx(rates, rel=1e-15)


def test_cosine_falls_along_half_a_wave_and_stays() -> None:
    rate = schedules.cosine(0.9, epochs=10, least=0.1)
    assert rate(0, None) == 0.9
    assert rate(5, None) == pytest.approx(0.5)
    assert rate(10, None) == rate(25, None) == pytest.approx(0.1)
    falls = np.diff([rate(e, None) for e in range(11)])
    assert (falls < 0).all()
    np.testing.assert_allclose(falls, falls[::-1])


@given(values=accuracies, patience=st.integers(1, 4))
def test_halving_is_what_the_book_says(values: list[float], patience: int) -> None:
    """Told here as a training that remembers, epoch by epoch."""
    schedule = schedules.halve_on_stall(0.5, patience, "accuracy", max, least=1 / 8)
    rate, top, since = 0.5, -1.0, 0
    for epoch, value in enumerate(values):
        history = {"accuracy": values[:epoch]}
        assert schedule(epoch, history) == (rate if rate > 0.5 / 8 else None)
        since += 1
        if value > top:
            top, since = value, 0
        if since == patience:
            rate, since = rate / 2, 0


def test_halving_ends_at_one_128th() -> None:
    schedule = schedules.halve_on_stall(1.0, patience=1, monitor="loss", best=min)
    rates = [schedule(e, {"loss": [1.0] * e}) for e in range(10)]
    assert rates == [1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, None, None]
    assert schedule(0, {}) == 1.0, "before there are figures"


def test_halving_waits_ten_epochs_if_nothing_else_is_said() -> None:
    schedule = schedules.halve_on_stall(1.0)
    rates = [schedule(e, {"validation_accuracy": [0.5] * e}) for e in (10, 11, 20, 21)]
    assert rates == [1, 1 / 2, 1 / 2, 1 / 4]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: schedules.step(0.1, every=0), "step: every must be 1"),
        (lambda: schedules.cosine(0.1, epochs=0), "cosine: epochs must be 1"),
        (
            lambda: schedules.halve_on_stall(0.1, 0),
            "patience must be 1 or more",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    make: Callable[[], object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        make()


@given(values=accuracies)
def test_a_watch_tells_how_long_nothing_got_better(values: list[float]) -> None:
    watch = Watch(min)
    improved = [watch.see(value) for value in values]
    for i, value in enumerate(values):
        before = [x for x in values[:i] if not math.isnan(x)]
        assert improved[i] == (value < min(before, default=math.inf))
    latest = max((i for i, better in enumerate(improved) if better), default=-1)
    assert watch.stalled == len(values) - 1 - latest
