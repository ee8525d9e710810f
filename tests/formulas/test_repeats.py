"""Repeats in a sequence of codes and numbers."""

import numpy as np
import pytest

from tinygrad_edu.formulas.repeats import Span, repeats


def spans(text, numbers=None, **how):
    """Find repeats in letters, whose numbers are their positions if not given."""
    numbers = np.arange(len(text)) if numbers is None else numbers
    code = np.array([ord(letter) for letter in text])
    nothing = np.empty((len(text), 0), int)
    return repeats(code, np.reshape(numbers, (len(text), -1)), nothing, **how)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("xabcabcabcabcy", [Span(1, 13, 3)]),
        ("xababababy", []),  # too few to be worth it
        ("xababababay", []),
        ("xabababababy", [Span(1, 11, 2)]),
        ("aaaaaaa", []),
        ("xaaaaaaaay", [Span(1, 9, 1)]),
        ("aaaaaaaacdcdcdcdcd", [Span(0, 8, 1), Span(8, 18, 2)]),
        ("abcdefgh", []),
    ],
)
def test_turns_are_found(text, wanted):
    assert spans(text) == wanted


def test_numbers_grow_by_the_same_step():
    assert spans("a" * 9, [0, 3, 6, 9, 12, 15, 18, 21, 24]) == [Span(0, 9, 1)]
    assert spans("a" * 9, [0, 3, 6, 9, 13, 15, 18, 21, 24]) == []
    assert spans("a" * 9, [7, 3, 6, 9, 12, 15, 18, 21, 24]) == [Span(0, 9, 1)]


def test_shorter_loops_are_found_where_they_are_asked_for():
    assert spans("xaaaay", fewest_between=2) == [Span(1, 5, 1)]
    assert spans("xaaay", fewest_between=2) == []


def test_spans_do_not_overlap():
    """What is left of a loop behind a longer one is found, too."""
    text = "mvw" * 8 + "mvb" * 8
    (first, second) = spans(text)
    assert first.stop <= second.start
    assert first.period == second.period == 3
    assert first.turns + second.turns >= 15
