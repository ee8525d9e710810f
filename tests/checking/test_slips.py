"""A slip is named by the mending that makes the gradient right."""

import numpy as np
import pytest

from tinygrad_edu.checking.slips import likeliest_slip

RIGHT = np.random.default_rng(0).standard_normal((3, 3))
FACTOR = np.random.default_rng(1).random((3, 3)) + 0.5
OTHER = np.random.default_rng(2).standard_normal((3, 3))


def slip_of(wrong):
    return likeliest_slip(
        wrong,
        lambda g: bool(np.allclose(g, RIGHT)),
        sizes={"the batch": 7, "one": 1},
        factors={"y": FACTOR, "of another shape": np.ones(2)},
        others=[("of another shape", np.ones(2)), ("it is another", OTHER)],
    )


@pytest.mark.parametrize(
    ("wrong", "slip"),
    [
        (0 * RIGHT, "it is zero"),
        (np.nan * RIGHT, "it has a NaN or an infinity"),
        (-RIGHT, "its sign is flipped"),
        (2 * RIGHT, "it is twice as large as it should be"),
        (RIGHT / 2, "it is half as large as it should be"),
        (RIGHT.T, "it is transposed"),
        (7 * RIGHT, "it is 7 times too large: divide by the batch"),
        (RIGHT / 7, "it is 7 times too small: do not divide by the batch"),
        (RIGHT / FACTOR, "the factor y is missing"),
        (RIGHT * FACTOR, "the factor y is there one time too many"),
        (OTHER, "it is another"),
        (RIGHT + OTHER, None),
    ],
)
def test_each_slip_has_its_name(wrong, slip):
    assert slip_of(wrong) == slip


def test_a_vector_is_not_transposed():
    right = np.array([1.0, 2.0])
    wrong = np.array([2.0, 1.0])
    close = lambda g: bool(np.allclose(g, right))  # noqa: E731
    assert likeliest_slip(wrong, close, {}, {}, []) is None
