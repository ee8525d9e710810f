"""examples/estimator.py: a network as scikit-learn's own tools use it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import estimator

X, LABELS = make_blobs(90, centers=3, random_state=0)
Y = np.array(["red", "green", "blue"])[LABELS]


def test_a_clone_has_the_settings_and_learns_the_same():
    network = estimator.Network(hidden=5, epochs=3, seed=7).fit(X, Y)
    copy = clone(network)
    assert copy.get_params() == {"hidden": 5, "lr": 0.5, "epochs": 3, "seed": 7}
    with pytest.raises(NotFittedError):
        copy.predict(X)
    assert_array_equal(copy.fit(X, Y).predict_proba(X), network.predict_proba(X))
    assert clone(network).set_params(seed=8).fit(X, Y).score(X, Y) > 0
    assert_allclose(network.predict_proba(X).sum(axis=1), 1)


def test_it_learns_classes_by_name_in_a_pipeline():
    scaled = make_pipeline(StandardScaler(), estimator.Network(hidden=8))
    assert cross_val_score(scaled, X, Y, cv=3).min() > 0.8
    assert set(scaled.fit(X, Y).predict(X)) == {"red", "green", "blue"}


def test_a_search_finds_the_settings_that_learn():
    rates = {"lr": [1e-6, 0.5]}
    found = GridSearchCV(estimator.Network(hidden=8, epochs=5), rates, cv=3).fit(X, Y)
    assert found.best_params_ == {"lr": 0.5}
    assert found.best_estimator_.score(X, Y) == found.score(X, Y) > 0.8


def test_the_example_prints_a_line_for_each_combination(monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["estimator", "--hidden", "2", "6", "--lr", "0.5", "1e-6"]
    )
    small = estimator.search
    monkeypatch.setattr(estimator, "search", lambda **given: small(90, **given))
    estimator.main()
    *lines, best = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.endswith("% right") for line in lines)
    assert best.startswith("best: {'hidden': ")
