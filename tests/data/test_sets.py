"""Data: the arrays hold what they should, and wrong arrays are refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tinygrad_edu import data
from tinygrad_edu.data import digits, idx

# XOR


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_xor_is_the_truth_table(dtype: Any) -> None:
    x, y = data.xor(dtype)
    assert (x.shape, y.shape) == ((4, 2), (4, 1))
    assert x.dtype == y.dtype == dtype
    assert {(a, b): c for (a, b), (c,) in zip(x.tolist(), y.tolist(), strict=True)} == {
        (a, b): a ^ b for a in (0, 1) for b in (0, 1)
    }


# Rows, one-hot labels and mini-batches


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalise_scales_every_byte_to_the_nearest_number(dtype: Any) -> None:
    images = np.arange(256, dtype=np.uint8).reshape(2, 8, 16)
    rows = data.normalise(images, dtype)
    assert rows.shape == (2, 128)
    assert rows.dtype == dtype
    np.testing.assert_array_equal(rows.ravel(), (np.arange(256) / 255).astype(dtype))


def test_normalise_takes_no_images_at_all() -> None:
    assert data.normalise(np.empty((0, 28, 28), np.uint8)).shape == (0, 784)


@pytest.mark.parametrize(
    "images", [np.ones((2, 28, 28), np.float32), np.ones((28, 28), np.uint8)]
)
def test_normalise_refuses_what_is_no_raw_image(images: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"normalise: images must be uint8 of shape"):
        data.normalise(images)


@given(
    labels=hnp.arrays(
        hnp.integer_dtypes(), st.integers(0, 9), elements={"max_value": 6}
    ),
    dtype=hnp.floating_dtypes(sizes=(32, 64), endianness="="),
)
def test_one_hot_marks_the_label_and_nothing_else(
    labels: NDArray[Any], dtype: np.dtype[Any]
) -> None:
    labels = abs(labels) % 7
    rows = data.one_hot(labels, 7, dtype)
    assert rows.shape == (len(labels), 7)
    assert rows.dtype == dtype
    for row, label in zip(rows, labels, strict=True):
        assert row.tolist() == [float(column == label) for column in range(7)]


@pytest.mark.parametrize("stray", [-1, 10, 255])
def test_one_hot_names_the_label_out_of_range(stray: int) -> None:
    labels = np.array([3, stray, 0], np.int16 if stray < 0 else np.uint8)
    with pytest.raises(ValueError, match=rf"label {stray} \(at index 1\)"):
        data.one_hot(labels)


@pytest.mark.parametrize("labels", [[1.0, 2.0], [True, False], ["1"], [[1], [2]], 1])
def test_one_hot_refuses_what_is_no_row_of_integers(labels: Any) -> None:
    with pytest.raises(ValueError, match=r"one_hot: labels must be integers of shape"):
        data.one_hot(labels)


@given(
    n=st.integers(0, 40),
    batch_size=st.integers(1, 50),
    seed=st.none() | st.integers(0, 9),
)
def test_minibatches_give_each_example_once_beside_its_target(
    n: int, batch_size: int, seed: int | None
) -> None:
    x = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    y = x[:, :1] + 100
    rng = None if seed is None else np.random.default_rng(seed)
    batches = list(data.minibatches(x, y, batch_size, rng))
    full, rest = divmod(n, batch_size)
    assert [len(inputs) for inputs, _ in batches] == [batch_size] * full + [rest] * (
        rest > 0
    )
    for inputs, outputs in batches:
        np.testing.assert_array_equal(outputs, inputs[:, :1] + 100, strict=True)
    rows = [row for inputs, _ in batches for row in inputs.tolist()]
    assert (rows if rng is None else sorted(rows)) == x.tolist()


def test_minibatches_shuffle_by_the_generator_alone() -> None:
    x = np.arange(100)
    once, again, later = (
        np.concatenate([inputs for inputs, _ in data.minibatches(x, x, 8, rng)])
        for rng in (*map(np.random.default_rng, (1, 1, 2)),)
    )
    assert (once == again).all()
    assert (once != later).any()
    assert (once != x).any()
    assert (x == np.arange(100)).all(), "the data keep their order"


def test_minibatches_are_the_readers_to_write_on() -> None:
    x = np.zeros(4)
    for inputs, _ in data.minibatches(x, x, 2):
        inputs += 1
    assert (x == 0).all()


def test_minibatches_complain_when_called_and_not_when_first_used() -> None:
    x, y = data.xor()
    with pytest.raises(ValueError, match="x has 4 rows and y has 3"):
        data.minibatches(x, y[:3], 2)
    with pytest.raises(ValueError, match=r"batch_size must .* not 0"):
        data.minibatches(x, y, 0)


# The module itself


def test_the_readers_of_files_are_in_the_room() -> None:
    assert data.read_idx is idx.read_idx
    for name in digits.__all__:
        assert name in data.__all__
        assert getattr(data, name) is getattr(digits, name)


def test_importing_it_loads_nothing_that_only_a_download_needs() -> None:
    # An empty stand-in for the package keeps its other modules out of the count.
    program = """if True:
        import sys, types, numpy
        package = sys.modules["tinygrad_edu"] = types.ModuleType("tinygrad_edu")
        package.__path__ = sys.argv[1:]
        before = set(sys.modules)
        import tinygrad_edu.data
        print(*sorted(set(sys.modules) - before))
    """
    command = [sys.executable, "-c", program, str(Path(data.__file__).parents[1])]
    loaded = subprocess.check_output(command, text=True).split()
    assert "tinygrad_edu.data.digits" in loaded
    heavy = "hashlib importlib.util numpy.random numpy.typing shutil tempfile"
    assert not set(heavy.split()) & set(loaded)
