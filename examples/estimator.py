"""Use a network as an estimator of scikit-learn, and search for its best settings.

It needs scikit-learn: ``pip install scikit-learn``.
"""

import argparse
from functools import partial

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg

with shared.extras("scikit-learn"):
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV
    from sklearn.utils.validation import check_is_fitted, validate_data


class Network(ClassifierMixin, BaseEstimator):
    """A classifier with one hidden layer.

    `BaseEstimator` reads the settings from the parameters of ``__init__``. What is
    learnt has a name that ends in an underscore.
    """

    def __init__(self, hidden=30, lr=0.5, epochs=20, seed=0):
        self.hidden = hidden
        self.lr = lr
        self.epochs = epochs
        self.seed = seed

    def fit(self, x, y):
        """Train a new network on the rows of `x`, and their labels `y`."""
        x, y = validate_data(self, x, y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        sizes = [x.shape[1], self.hidden, len(self.classes_)]
        self.model_ = tg.nn.MLP(sizes, rng=self.seed)
        self.history_ = tg.train.fit(
            self.model_.logits,
            tg.losses.softmax_cross_entropy,
            tg.optim.SGD(self.model_.parameters(), self.lr),
            (x, labels),
            self.epochs,
            rng=self.seed,
            progress=False,
        )
        return self

    def predict_proba(self, x):
        """Return the probability of each class, one row for each row of `x`."""
        check_is_fitted(self)
        x = validate_data(self, x, reset=False)
        return tg.softmax(self.model_.logits(x)).numpy()

    def predict(self, x):
        """Return the most probable class of each row."""
        best = self.predict_proba(x).argmax(axis=1)
        return self.classes_[best]


def search(n=1797, **settings):
    """Try all combinations of the settings on `n` digits of 8 by 8 pixels."""
    x, y = load_digits(return_X_y=True)
    found = GridSearchCV(Network(epochs=10), settings, cv=3)
    return found.fit(x[:n] / 16, y[:n])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = partial(parser.add_argument, nargs="+", metavar="N")
    count, positive = shared.number(int, 1), shared.number(float, 0.0)
    add("--hidden", help="hidden neurons (10 30)", type=count, default=[10, 30])
    add("--lr", help="learning rates (0.1 0.5)", type=positive, default=[0.1, 0.5])
    found = search(**vars(parser.parse_args()))
    table = found.cv_results_
    for settings, accuracy in zip(table["params"], table["mean_test_score"]):
        print(f"{settings}: {accuracy:.1%} right")
    print(f"best: {found.best_params_}")


if __name__ == "__main__":
    shared.run(main)
