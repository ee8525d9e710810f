"""Numbers and names in mathematics."""

import numpy as np
import pytest

from tinygrad_edu.formulas.symbols import latex_name, numeral


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.125, "1/8"),
        (2 / 3, "2/3"),
        (0.75, "0.75"),
        (1 / 3, "1/3"),
        (0.3, "0.3"),
        (1e-5, "1e-05"),
        (12.0, "12"),
        (2.5, "2.5"),
        (1e20, "1e+20"),
        (np.inf, "inf"),
    ],
)
def test_numbers_are_written_as_one_would(value, written):
    assert numeral(value) == written


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("w", "w"),
        ("w1", "w_1"),
        ("W12", "W_{12}"),
        ("theta_2", r"\theta_2"),
        ("loss", r"\mathrm{loss}"),
        ("a_b", r"\mathrm{a\_b}"),
        ("100", r"\mathrm{100}"),
        ("a b|c", r"\mathrm{a\ b\vert c}"),
        (r"\{}$&#%_^~", r"\mathrm{\backslash \{\}\$\&\#\%\_\wedge \sim }"),
    ],
)
def test_names_are_mathematics(given, written):
    assert latex_name(given) == written
