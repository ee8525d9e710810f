"""What quantities are called."""

import sys

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order
from tinygrad_edu.formulas.naming import names_of


def names(y, frame=None):
    """Return the names in the order of creation."""
    found = names_of(y, frame)
    return [found.get(id(node)) for node in topological_order(y)[::-1]]


def test_a_name_of_its_own_comes_before_that_of_a_variable():
    mine = tg.Tensor(1.0, requires_grad=True, name="w")
    other = mine * 2
    assert names(other * 3, sys._getframe()) == ["w", "other", None]
    assert names(other * 3) == ["w", None, None]


def test_no_name_is_given_twice():
    a, b, c = (tg.Tensor(1.0, requires_grad=True, name="w") for _ in range(3))
    assert names(a * b * c) == ["w", "w_2", "w_3", None, None]


def test_many_may_ask_for_one_name():
    """Each gets its own, without trying all that were given before."""
    parts = [tg.Tensor([1.0], requires_grad=True, name="w") for _ in range(20_000)]
    last = tg.Tensor([1.0], requires_grad=True, name="w_7")
    found = names(tg.concatenate([*parts, last]))
    assert found[:3] == ["w", "w_2", "w_3"]
    assert found[-3:] == ["w_20000", "w_7_2", None]
    assert len(set(found)) == len(found)


def test_what_is_private_is_no_name():
    _hidden = tg.Tensor(1.0, requires_grad=True)
    assert names(_hidden * 2, sys._getframe()) == [None, None]


def test_layers_are_z_and_a():
    w = [tg.Tensor(np.ones((2, 2)), requires_grad=True) for _ in range(3)]
    x = np.ones((4, 2))
    y = tg.tanh(tg.sigmoid(x @ w[0].T + 1.0) @ w[1].T + 1.0)
    y = y @ w[2].T
    assert [name for name in names(y) if name] == ["z1", "a1", "z2", "a2"]


def test_the_z_of_a_recurrent_network_is_the_whole_sum():
    w = [tg.Tensor(np.ones((2, 2)), requires_grad=True) for _ in range(2)]
    b = tg.Tensor(np.ones(2), requires_grad=True)
    h = tg.tanh(np.ones(2) @ w[0] + np.ones(2) @ w[1] + b)
    h = tg.tanh(h @ w[0] + np.ones(2) @ w[1] + b)
    found = [name for name in names(h) if name]
    assert found == ["z1", "a1", "z2", "a2"]


def test_a_number_has_no_layer():
    w = tg.Tensor(1.0, requires_grad=True)
    assert names(tg.sigmoid(tg.dot(w, w) + 1.0)) == [None] * 4


def test_the_input_of_a_network_is_x():
    model = tg.nn.MLP([2, 3, 1], rng=0)
    given = np.ones((4, 2))
    found = names_of(model(given))
    assert found[id(given)] == "x"


def test_a_variable_that_holds_the_array_of_a_constant_names_it():
    inputs = np.ones(3)
    y = tg.Tensor(inputs) * tg.Tensor(np.ones(3), requires_grad=True, name="w")
    assert names(y, sys._getframe()) == ["inputs", "w", "y"]
