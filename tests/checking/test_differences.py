"""Differences find derivatives, and know how far they may be off."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu.checking.differences import bends, derivative, first_step


@given(a=st.floats(-3, 3), k=st.floats(0.01, 50))
def test_the_error_is_an_honest_bound(a, k):
    value, error = derivative(lambda t: math.sin(k * (a + t)), 0.05, rounding=1e-15)
    assert abs(value - k * math.cos(k * a)) <= 10 * error + 1e-12
    assert error < 1e-6 * k


def test_a_step_that_leaves_the_domain_is_skipped():
    value, error = derivative(lambda t: np.log(1e-3 + t), 0.05)
    assert abs(value - 1e3) < 1e-4
    assert error < 1e-3


def test_a_function_without_values_has_no_derivative():
    value, error = derivative(lambda t: math.nan, 0.05)
    assert math.isnan(value)
    assert error == math.inf


def test_rounding_is_part_of_the_error():
    assert derivative(math.exp, 0.05, rounding=1e-3).error >= 1e-3 / 0.05


@pytest.mark.parametrize("phi", [abs, lambda t: max(t, 0.0), lambda t: abs(t) + t * t])
def test_a_kink_bends(phi):
    assert bends(phi, 0.05)


@pytest.mark.parametrize(
    "phi",
    [math.exp, lambda t: 3 * t, lambda t: 1.0, lambda t: math.sin(1e9 * (t + 0.3))],
)
def test_a_smooth_function_does_not(phi):
    assert not bends(phi, 0.05)


def test_the_first_step_fits_dtype_and_size():
    x = np.array([0.5, -40.0])
    assert first_step(x, np.array([1.0, 0.0])) == 0.05
    assert first_step(x, np.array([0.0, 1.0])) == 2.0
    assert first_step(np.array([1.0], np.float32), np.ones(1)) == 0.2
    assert first_step(np.empty(0), np.empty(0)) == 0.05
