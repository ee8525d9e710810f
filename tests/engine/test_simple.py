"""The engine on one page has the engine's gradients, and learns exclusive or."""

import runpy

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import tinygrad_edu as tg
from tinygrad_edu.engine import simple

# The op of that page, and what it is called at the front door.
OPS = {
    simple.add: tg.add,
    simple.subtract: tg.subtract,
    simple.multiply: tg.multiply,
}


@given(st.data())
def test_gradients_of_random_graphs_are_the_engines(data):
    """Graphs of matrices and rows: with shared values, and with broadcasting."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    arrays = [rng.standard_normal(shape) for shape in [(3, 3), (1, 3), (3, 1), (1, 1)]]
    mine = leaves = [simple.Tensor(a) for a in arrays]
    theirs = their_leaves = [tg.Tensor(a, requires_grad=True) for a in arrays]
    place = st.integers(0, 100)
    for _ in range(data.draw(st.integers(1, 8))):
        i, j = (data.draw(place) % len(mine) for _ in range(2))
        kind = data.draw(st.sampled_from(["sigmoid", "dot", *OPS]))
        if kind == "sigmoid":
            mine = [*mine, simple.sigmoid(mine[i])]
            theirs = [*theirs, tg.sigmoid(theirs[i])]
        elif kind == "dot":
            if theirs[i].shape[1] == theirs[j].shape[0]:
                mine = [*mine, simple.dot(mine[i], mine[j])]
                theirs = [*theirs, tg.dot(theirs[i], theirs[j])]
        else:
            mine = [*mine, kind(mine[i], mine[j])]
            theirs = [*theirs, OPS[kind](theirs[i], theirs[j])]
    g = rng.standard_normal(theirs[-1].shape)  # a random cotangent
    simple.total(simple.multiply(g, mine[-1])).backward()
    theirs[-1].backward(g)
    assert_allclose(mine[-1].data, theirs[-1].data, rtol=1e-12)
    for x, y in zip(leaves, their_leaves):
        expected = np.zeros(y.shape) if y.grad is None else y.grad.data
        assert_allclose(x.grad, expected, rtol=1e-9, atol=1e-12)


def test_gradients_accumulate_and_a_shared_value_is_counted_once_for_each_use():
    a = simple.Tensor(2.0)
    b = simple.add(a, a)
    c = simple.add(b, b)
    c.backward()
    assert a.grad == 4.0
    simple.multiply(a, 3.0).backward()
    assert a.grad == 7.0


def test_it_learns_exclusive_or(capsys):
    runpy.run_path(simple.__file__, run_name="__main__")
    out = capsys.readouterr().out
    answers = [float(x) for x in out[out.index("[") + 1 : out.index("]")].split()]
    assert [round(x) for x in answers] == [0, 1, 1, 0]
    assert float(out.split("loss:")[1]) < 0.01
