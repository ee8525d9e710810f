"""Each slip of the catalogue is named right, in many networks, and none is misnamed."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from slip_table import NETWORKS, pairs_of, slips_of, verdict_on

import tinygrad_edu as tg
from tinygrad_edu.checking.catalogue import CATALOGUE, Attempt, factor_in_words

SMALL = [n for n in NETWORKS if n.sizes in [(3, 2), (3, 3, 3)]]
DOCS = Path(__file__).parents[2] / "docs"


def outcomes(made):
    found = Counter(
        verdict_on(network, slips, by_ops)[0] for network, slips, by_ops in made
    )
    del found[None]  # it changed nothing
    return found


@pytest.mark.parametrize("network", SMALL, ids=str)
def test_every_slip_is_named_right(network):
    found = outcomes(
        (network, [slip], by_ops) for slip in slips_of(network) for by_ops in (0, 1)
    )
    assert found["wrong"] == 0
    assert found["right"] >= 0.95 * found.total()


def test_slips_are_named_in_chinese_without_english_words(monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_LANG", "zh")
    network = max(SMALL, key=lambda network: (network.lam, network.examples))
    compared = (verdict_on(network, [slip])[1] for slip in slips_of(network))
    said = {row.verdict for table in compared if table is not None for row in table}
    assert len(said) > 20
    english = re.compile(r"\b(a|is|it|not|of|the|to)\b")
    assert [verdict for verdict in said if english.search(verdict)] == []


def test_pairs_of_slips_are_named_right():
    every = [(network, pair, 0) for network in NETWORKS for pair in pairs_of(network)]
    found = outcomes(random.Random(0).sample(every, 60))
    assert found["wrong"] == 0
    assert found["right"] >= 0.8 * found.total()


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_every_slip_has_a_lesson(entry):
    assert entry.looks.endswith(".")
    attempt = Attempt("", {}, "", lesson=entry.lesson)
    for rate in (-1.0, 5.0):
        assert (DOCS / f"{attempt.page(rate)}.md").exists()


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (-1, ["its sign is flipped"]),
        (2.0, ["it is twice as large as it should be"]),
        (1 / 7, ["it is 7 times too small: do not divide by the rows"]),
        (-7, ["its sign is flipped, and it is 7 times too large: divide by the rows"]),
        (1.3, []),
    ],
)
def test_a_factor_in_words(factor, words):
    assert factor_in_words(factor, {"the rows": 7, "one": 1}) == words


def test_logarithms_of_another_base_are_recognised():
    w = tg.Tensor([0.5, 3.0], requires_grad=True, name="w")
    (row,) = tg.compare([1 / w.data / 2.302585092994046], tg.log(w).sum(), [w])
    assert "ln 10" in row.verdict
