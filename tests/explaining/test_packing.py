"""Arrays as text: exact, each once, and never more than there is room for."""

from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_edu.explaining.packing import Arrays

PLENTY = 10**6


def unpack(packed):
    """Read an array as the page does: its rows, and how far they are apart."""
    shape, (down, across) = packed["shape"], packed["steps"]
    numbers = np.frombuffer(b64decode(packed["data"]), f"<{packed['type']}")
    width = shape[-1] if shape else 1
    columns = -(-width // across)
    return numbers.reshape(-1, columns) if columns else numbers, down, across


def pack(array, budget=PLENTY):
    arrays = Arrays()
    arrays.add(array)
    return arrays.packed(budget)[0]


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=4, max_side=5),
    )
)
def test_an_array_comes_back_to_seven_digits(array):
    packed = pack(array)
    rows, *steps = unpack(packed)
    assert steps == [1, 1]
    assert packed["shape"] == list(array.shape)
    np.testing.assert_allclose(
        rows.reshape(array.shape).astype(float), array.astype(float), rtol=1e-6
    )


@pytest.mark.parametrize("value", [1e300, 1e-300, -1e-45, 123456789012.5])
def test_what_float32_cannot_tell_is_written_in_float64(value):
    packed = pack(np.array([value, 1.0]))
    rows, *_ = unpack(packed)
    np.testing.assert_allclose(rows, [[value, 1.0]], rtol=1e-6)
    assert (packed["type"] == "f4") == (value == 123456789012.5)


def test_an_empty_array_has_no_rows():
    rows, *_ = unpack(pack(np.zeros((0, 3))))
    assert rows.size == 0
    assert pack(np.zeros((3, 0)))["shape"] == [3, 0]


def test_equal_arrays_are_kept_once():
    arrays = Arrays()
    x = np.arange(3.0)
    assert [arrays.add(a) for a in (x, x.copy(), x + 1, x[None], x)] == [0, 0, 1, 2, 0]
    x += 1  # what was added is as it was
    assert arrays.add(x) == 1
    assert len(arrays.packed(PLENTY)) == 3


@given(
    st.lists(hnp.array_shapes(min_dims=1, max_dims=3, max_side=40), max_size=5),
    st.integers(500, 20_000),
)
def test_a_large_array_is_thinned_out_to_the_budget(shapes, budget):
    rng = np.random.default_rng(0)
    arrays, originals = Arrays(), [rng.standard_normal(shape) for shape in shapes]
    originals = [array.astype(np.float32) for array in originals]
    for array in originals:
        arrays.add(array)
    packed = arrays.packed(budget)
    assert sum(len(each["data"]) for each in packed) <= budget
    for each, array in zip(packed, originals):
        rows, down, across = unpack(each)
        whole = array.reshape(-1, array.shape[-1])
        np.testing.assert_array_equal(rows, whole[::down, ::across])


def test_small_arrays_stay_whole_beside_a_large_one():
    arrays = Arrays()
    arrays.add(np.random.default_rng(0).standard_normal((100, 784)))
    arrays.add(np.arange(100.0))
    large, small = arrays.packed(60_000)
    assert large["steps"] != [1, 1]
    assert small["steps"] == [1, 1]
    assert 40_000 < len(large["data"]) + len(small["data"]) <= 60_000


def test_what_a_program_computes_takes_no_room():
    arrays = Arrays()
    given, made = np.random.default_rng(0).standard_normal((2, 90, 100))
    numbers = [arrays.add(x) for x in (given, made, made + given)]
    packed = arrays.packed(100_000, {numbers[1]})
    assert packed[0]["steps"] == packed[2]["steps"] == [1, 1]
    assert packed[1] == {
        "shape": [90, 100],
        "steps": [1, 1],
        "type": "f4",
        "data": None,
    }
    assert arrays.packed(100_000)[0]["steps"] != [1, 1]


@pytest.mark.parametrize(
    ("shape", "steps"), [((50_000,), [1, 25]), ((3, 5000, 2), [8, 1])]
)
def test_no_axis_is_longer_than_a_screen(shape, steps):
    packed = pack(np.zeros(shape))
    assert packed["steps"] == steps
    assert max(unpack(packed)[0].shape) <= 2000
