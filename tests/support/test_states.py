"""Saved states: what fits is copied, and of what does not every fault is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from tinygrad_edu.support.states import is_number, matched

arrays = hnp.arrays(
    st.sampled_from([np.float32, np.float64]), hnp.array_shapes(min_dims=0, max_side=3)
)
numbers = st.one_of(
    st.integers(-9, 9),
    st.floats(-9, 9),
    st.booleans(),
    st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
)


@given(st.dictionaries(st.text(max_size=3), st.one_of(arrays, numbers)))
def test_a_state_fits_itself_and_is_copied(state):
    found = matched(state, state, "mine")
    assert list(found) == list(state)
    for name, x in state.items():
        assert type(found[name]) is type(x)
        np.testing.assert_array_equal(found[name], x)
        assert found[name] is not x or is_number(x)
        assert not (isinstance(x, np.ndarray) and np.shares_memory(found[name], x))


@given(st.dictionaries(st.text(max_size=3), numbers))
def test_numbers_may_be_arrays_and_tuples_lists(state):
    for convert in (np.array, lambda x: list(x) if isinstance(x, tuple) else x):
        found = matched({k: convert(x) for k, x in state.items()}, state, "mine")
        assert found == state
        assert [type(x) for x in found.values()] == [type(x) for x in state.values()]


@pytest.mark.parametrize("x", [tg.Tensor([1.0, 2.0]), np.array([1.0, 2.0])])
def test_values_are_arrays_or_tensors(x):
    found = matched({"w": x}, {"w": np.zeros(2)}, "mine")["w"]
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, [1, 2])
    number = matched({"w": np.float64(3)}, {"w": np.array(0.0)}, "mine")["w"]
    assert type(number) is np.ndarray


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        ("high", 0.1, "expected a number, got 'high'"),
        (True, 0.1, "expected a number, got True"),
        (np.bool(True), 1, "expected a number, got"),
        (1.0, False, "expected True or False, got 1.0"),
        ((1.0,), (0.9, 0.5), r"expected a tuple of 2 numbers, got \(1.0,\)"),
        ((1.0, "x"), (0.9, 0.5), "expected a tuple of 2 numbers, got"),
        (0.1, (0.9, 0.5), "expected a tuple of 2 numbers, got 0.1"),
        (None, 0.1, "expected a number, got None"),
        (np.zeros((2, 2)), 0.1, r"expected a number, got float64 \(2, 2\)"),
        ([1.0, 2.0], np.zeros(2), r"expected float64 \(2,\), got \[1.0, 2.0\]"),
        (np.zeros(2, int), np.zeros(2), r"got int64 \(2,\); convert it: np.as"),
        (np.zeros((2, 1)), np.zeros(2), r"expected .* \(2,\), got float64 \(2, 1\)$"),
        (np.zeros(3, int), np.zeros(2), r"expected .* \(2,\), got int64 \(3,\)$"),
        (
            np.zeros(2, object),
            np.zeros(2),
            r"expected float64 \(2,\), got object \(2,\)",
        ),
    ],
)
def test_what_is_of_another_kind_is_told(found, wanted, told):
    with pytest.raises(
        ValueError, match=f"mine: the state does not fit.*\n- x: .*{told}"
    ):
        matched({"x": found}, {"x": wanted}, "mine")


@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")))
def test_names_that_are_missing_and_unknown_are_told(given_names, wanted_names):
    state, wanted = dict.fromkeys(given_names, 1), dict.fromkeys(wanted_names, 1)
    if given_names == wanted_names:
        assert matched(state, wanted, "mine") == state
        return
    with pytest.raises(ValueError, match="mine: the state does not fit") as error:
        matched(state, wanted, "mine")
    lines = {line.split(": ")[0]: line for line in str(error.value).splitlines()[1:]}
    for told, names in (
        ("- missing", wanted_names - given_names),
        ("- unknown", given_names - wanted_names),
    ):
        found = lines.get(told, f"{told}: ").removeprefix(f"{told}: ")
        assert set(filter(None, found.split(", "))) == names


@pytest.mark.parametrize("error", [TypeError, RuntimeError])
def test_an_array_of_another_library_may_refuse(error):
    class Recorded:
        def __array__(self, dtype=None, copy=None):
            raise error("on some other device")

    with pytest.raises(ValueError, match=r"- w: Recorded is no array: .* other device"):
        matched({"w": Recorded()}, {"w": np.zeros(2)}, "mine")
