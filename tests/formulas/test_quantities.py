"""One name and one formula for each quantity, whoever tells of it."""

import re
import sys
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from programs import NAMES, OPS, PROFILE, loss_of, programs
from random_graphs import graphs

import tinygrad_edu as tg
from tinygrad_edu.drawing.picture import picture_of
from tinygrad_edu.engine.graph import topological_order
from tinygrad_edu.explaining.explanation import Explanation
from tinygrad_edu.explaining.narration import Narrator
from tinygrad_edu.formulas.algebra import Name
from tinygrad_edu.formulas.naming import names_of
from tinygrad_edu.formulas.quantities import Quantities
from tinygrad_edu.formulas.shares import walk_back
from tinygrad_edu.formulas.writing import copied, in_text


def leaf(*shape, seed=0):
    return tg.Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


class Convolution(tg.nn.Module):
    def __init__(self):
        self.kernel, self.bias = leaf(9, 2), leaf(2)

    def forward(self, x):
        parts = [x[:, i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
        return tg.relu(tg.stack(parts, axis=-1) @ self.kernel + self.bias)


class LeNet(tg.nn.Module):
    def __init__(self):
        self.conv1, self.readout = Convolution(), leaf(8, 2)

    def forward(self, x):
        h = self.conv1(x).reshape(2, 2, 2, 2, 2, 2).max(axis=(2, 4))
        return h.reshape(2, -1) @ self.readout


LENET = LeNet()


def recurrent():
    """Two steps that share their weights."""
    w, u, b, h = leaf(3, 3), leaf(2, 3), leaf(3), np.zeros((4, 3))
    for x in np.random.default_rng(1).normal(size=(2, 4, 2)):
        h = tg.tanh(x @ u + h @ w + b)
    return (h * h).mean()


def attention():
    q, k, v = (leaf(4, 3, seed=i) for i in range(3))
    weights = tg.softmax(q @ k.T / np.sqrt(3), axis=-1)
    return tg.square(weights @ v).sum()


def convolution():
    images = np.random.default_rng(2).normal(size=(2, 6, 6))
    return tg.losses.softmax_cross_entropy(LENET(images), np.eye(2))


def shared():
    w = leaf(3, 3)
    return (tg.maximum(w @ w, w.T) + w.sum(axis=0)).max(axis=1).sum() + w[0, 1]


def perceptron():
    x, y = tg.data.xor()
    return tg.losses.cross_entropy(tg.nn.MLP([2, 3, 1], rng=0)(x), y)


EXAMPLES = [recurrent, attention, convolution, shared, perceptron]


def formulas_of(explanation):
    """Return each line's formula, and all constants that are spoken of."""
    rows = dict(function.split(" = ", 1) for function, _ in explanation.rows())
    return rows, set(re.findall(r"\b[cm]\d+\b", str(explanation)))


def agree(y):
    """`explain` with a line for each quantity tells what each step of the page does."""
    nodes, given = topological_order(y), names_of(y)
    computed = [node for node in nodes if node.op is not None and node.requires_grad]
    names = Quantities(nodes, given)
    in_full = Explanation(nodes, given, computed)
    rows, constants = formulas_of(in_full)
    steps = list(Narrator(names).steps())
    told = dict(
        step.formula.split(" = ", 1) for step in steps if step.kind == "compute"
    )
    assert rows.items() <= told.items()
    assert rows.keys() == {names.name(node) for node in computed}
    of_page = set(re.findall(r"\b[cm]\d+\b", str([step.formula for step in steps])))
    assert constants <= of_page | set(names.names.values())

    # What it tells by itself has the same names; so does the picture.
    briefly = Explanation(nodes, given, []).derivation
    for node, name in briefly.quantities.items():
        assert name.text == names.name(node)
    picture = picture_of(y, Quantities(nodes, given).names, collapse=False)
    boxes = {box.key: box.name for box in picture.boxes}
    for node in (node for node in nodes if id(node) in names.names):
        if node.index in boxes:
            assert boxes[node.index] == names.name(node)
    assert len(set(names.names.values())) == len(names.names)


@pytest.mark.parametrize("make", EXAMPLES)
def test_explain_and_the_picture_and_the_page_agree(make):
    agree(make())


@given(graphs())
@settings(max_examples=50, deadline=None)
def test_they_agree_on_random_graphs(y):
    agree(y)


@pytest.mark.parametrize("name", NAMES)
def test_what_rules_make_of_constants_has_one_name(name):
    """The page reads them one by one, the table several at once: the names are one's.

    A rule makes its arrays anew each time, so they are told apart by their values.
    """

    @settings(PROFILE, max_examples=5)
    @given(programs(OPS[name]))
    def check(program):
        y, _ = loss_of(program)
        nodes = topological_order(y)
        found = []
        for lazily in (False, True):
            names = Quantities(nodes, {})
            shares = list(chain.from_iterable(walk_back(nodes)[0].values()))
            if not lazily:
                names.name_constants(shares)
            written = [in_text(names.cotangent(share)[1]) for share in shares]
            found.append((written, [(c.text, c.data.shape) for c in names.constants]))
        assert found[0] == found[1]

    check()


# --- Names ----------------------------------------------------------------------------


def test_parameters_have_the_names_of_their_module():
    names = set(names_of(convolution()).values())
    assert {"conv1.kernel", "conv1.bias", "readout"} <= names


def test_several_modules_are_told_apart_and_a_digit_is_no_beginning():
    encoder, decoder = Convolution(), LeNet()
    images = np.ones((2, 6, 6))
    y = encoder(images).sum() + decoder(images).sum()
    names = set(names_of(y, sys._getframe()).values())
    assert {"encoder.kernel", "decoder.conv1.kernel", "decoder.readout"} <= names
    assert "convolution.kernel" in names_of(y).values()
    parts = tg.nn.Sequential(Convolution())
    assert "sequential.0.kernel" in names_of(parts(images)).values()


def test_a_module_that_is_gone_or_has_a_path_twice_is_no_obstacle():
    class Twice(tg.nn.Module):
        def __init__(self):
            self.parts = {3: leaf(2), "3": leaf(2)}

        def forward(self, x):
            return (x * self.parts[3] * self.parts["3"]).sum()

    model = Twice()
    y = model(np.ones(2))
    assert set(names_of(y).values()) == set()
    del model
    assert set(names_of(y).values()) == set()


def test_only_what_was_given_to_a_network_is_x():
    hidden, w = leaf(4, 2), leaf(3, 2)
    h = tg.reshape(hidden, (2, 4))
    y = tg.OPS["linear"](h.reshape(4, 2), w, np.zeros(3))
    assert "x" not in names_of(y).values()


def test_what_was_made_of_a_constant_is_written_as_that():
    x, w, h = np.ones((2, 3)), leaf(2, 1), leaf(3, 1)
    y = (x @ h).sum() + (x.T @ w).sum()
    names = Quantities(topological_order(y), {id(x): "x"})
    assert "x^T" in names.names.values()
    assert "1 - c2" in Quantities(topological_order(perceptron()), {}).names.values()


def test_what_was_made_of_a_tensor_is_written_as_that():
    x, w, h = tg.Tensor(np.ones((2, 3))), leaf(2, 1), leaf(3, 1)
    y = (x.data.T @ w).sum() + (x @ h).sum()
    names = Quantities(topological_order(y), {id(x): "x"})
    assert "x^T" in names.names.values()
    assert [constant.text for constant in names.constants] == []


def test_a_constant_by_itself_is_no_complement():
    x, a = leaf(2), np.array([0.25, 0.5])
    names = Quantities(topological_order(tg.OPS["xlog1py"](a, x).sum()), {})
    assert names.name(a) == "c1"


def test_two_constants_of_a_cross_entropy_need_not_be_complements():
    a, y, k = tg.sigmoid(leaf(2)), np.array([0.25, 0.5]), np.array([0.5, 0.125])
    loss = (tg.OPS["xlogy"](y, a) + tg.OPS["xlog1py"](k, -a)).sum()
    names = Quantities(topological_order(loss), {})
    assert [names.name(y), names.name(k)] == ["c1", "c2"]


def test_a_rule_with_an_index_of_several_parts_is_written():
    x = tg.Tensor(np.ones((2, 2)), requires_grad=True, name="x")
    text = str(tg.explain((x[[0], ...] ** 2).sum()))
    assert "[0], ..." in text


def test_a_constant_is_known_by_its_array():
    c, w = tg.Tensor([1.0, 2.0], name="c"), leaf(2)
    names = Quantities(topological_order((w * c).sum()), {id(c): "c"})
    assert isinstance(names.constant(c.data), Name)


# --- Shapes ---------------------------------------------------------------------------


def test_a_row_that_is_summed_up_is_copied_back():
    w = tg.Tensor(np.ones((4, 3)), requires_grad=True, name="w")
    text = str(tg.explain((w.sum(axis=0) ** 2).sum()))
    assert text.endswith("\n\ndy/dw = 2 sum(w, axis=0) copied to each row")
    text = tg.explain((w.sum(axis=1) ** 2).sum()).to_latex()
    assert r"\text{ copied to each column}" in text
    text = str(tg.explain(w.mean() + w.mean()))
    assert text.endswith("dy/dw = 1/6 in each element")
    cube = tg.Tensor(np.ones((2, 3, 2)), requires_grad=True, name="cube")
    text = str(tg.explain((cube.sum(axis=(0, 1)) ** 2).sum()))
    assert "copied along axis 0 and 1" in text


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_both_sides_of_an_equation_have_one_shape_or_it_is_told(y):
    """What is written has the other side's shape, or says how it fills that."""
    nodes = topological_order(y)
    derivation = Explanation(nodes, names_of(y), []).derivation
    for line in derivation.lines:
        for left, right in map(derivation.equation, line.links):
            fills = np.shape(evaluated(right)) == left.shape
            assert fills == (copied(right, left.shape) == "")


def test_a_function_of_a_number_fills_each_element():
    w = leaf(2, 2)
    text = str(tg.explain((tg.tanh(w - w) * w).sum(), wrt=w))
    assert "tanh(0) in each element" in text


def evaluated(x):
    """Return the value of what is written: a product is no larger than its factors."""
    parts = getattr(x, "factors", None)
    if parts is not None:
        value = np.float64(x.coefficient)
        for factor, n in parts:
            value = value * evaluated(factor) ** n
        return value
    if hasattr(x, "terms"):
        return sum(map(evaluated, x.terms))
    if hasattr(x, "arguments") and x.op.elementwise:  # tanh(0) is a number
        return x.op(*map(evaluated, x.arguments), **x.params)
    return np.asarray(x.value)
