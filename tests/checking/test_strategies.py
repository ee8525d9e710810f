"""Calls of ops are such that differences tell the derivative."""

import runpy
import subprocess
import sys

import built_in_calls
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import testing
from tinygrad_edu.checking import strategies
from tinygrad_edu.checking.strategies import Call, arrays, calls, values_in
from tinygrad_edu.engine.op import Domain


@pytest.mark.parametrize(
    "domain",
    [
        Domain(),
        Domain(low=0.0),
        Domain(high=-3.0),
        Domain(0.0, 1.0),
        Domain(low=-1.0, excluding=(0.0, 2.0)),
    ],
    ids=str,
)
def test_values_lie_well_within_the_domain(domain):
    values = np.array(values_in(domain))
    assert 16 <= len(values) <= 64
    assert (domain.low < values).all()
    assert (values < domain.high).all()
    assert not set(values) & set(domain.excluding)
    np.testing.assert_array_equal(values, values.astype(np.float32))


@given(arrays("x", Domain(low=0.0), (2, 3)))
def test_arrays_have_the_shape_and_the_domain(x):
    assert x.shape == (2, 3)
    assert (x > 0).all()


@given(arrays("condition", Domain(), (2,)))
def test_a_condition_is_of_booleans(condition):
    assert condition.dtype == bool


@given(calls(tg.maximum))
def test_calls_keep_away_from_kinks(call):
    a, b = call.inputs
    assert np.all(np.abs(a - b) >= strategies.FROM_KINKS)


@given(calls(tg.where))
def test_something_is_always_left_to_differentiate(call):
    assert any(isinstance(x, tg.Tensor) for x in call.leaves())


@given(calls(tg.linear, shapes=st.just([(2, 3), (1, 3), (1,)])))
def test_calls_of_a_built_in_op_can_have_the_shapes_that_one_wants(call):
    assert [x.shape for x in call.inputs] == [(2, 3), (1, 3), (1,)]


# The ops that are called without more than their declarations tell.
SPECIAL = {name.partition(".")[0] for name in built_in_calls.PARAMETERS}
SPECIAL |= {*built_in_calls.LAYOUTS, *built_in_calls.DIAGONALS}
SPECIAL |= built_in_calls.LEAST_DIMENSIONS.keys()
PLAIN = {name: op for name, op in tg.OPS.items() if name not in SPECIAL}


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_built_in_op_can_be_checked_as_an_op_of_your_own(name):
    assert len(PLAIN) > 50
    testing.check_op(PLAIN[name], examples=3)


def test_parameters_of_a_built_in_op_are_given_where_it_needs_them():
    with pytest.raises(TypeError, match="reshape: its parameter shape has no default"):
        testing.check_op(tg.reshape)
    testing.check_op(tg.reshape, shape=st.just(-1), examples=3)


def test_a_call_is_written_as_one_writes_it():
    x = np.array([[1.0, 2.0]])
    assert str(Call(tg.exp, [x], {})) == "exp(x=[[1.0, 2.0]])"
    assert str(Call(tg.sum, [x], {"axis": None})) == "sum(x=[[1.0, 2.0]], axis=None)"
    narrow = Call(tg.add, [x, np.empty((0, 2))], {}).astype(np.float32)
    assert str(narrow) == "add(a=[[1.0, 2.0]] float32, b=empty((0, 2)) float32)"
    joined = Call(tg.stack, [x, x], {"axis": 1})
    assert str(joined) == "stack([[[1.0, 2.0]], [[1.0, 2.0]]], axis=1)"


# --- Without Hypothesis ---------------------------------------------------------------


def test_without_hypothesis_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match=r"pip install hypothesis$"):
        runpy.run_path(strategies.__file__)


def test_without_hypothesis_all_else_can_be_imported():
    code = "import sys; sys.modules['hypothesis'] = None; from tinygrad_edu import *"
    subprocess.run([sys.executable, "-c", code], check=True)
