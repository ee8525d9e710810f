"""The catalogue of slips, at the steps of a page."""

import numpy as np
import pytest
from hypothesis import given, settings
from leaves import leaf
from random_graphs import graphs

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order
from tinygrad_edu.explaining.narration import Narrator
from tinygrad_edu.explaining.slips import MOST, Slips
from tinygrad_edu.formulas.naming import names_of
from tinygrad_edu.formulas.quantities import Quantities


def asked(y):
    """Return what each step asks for, by the title of its result."""
    narrator = Narrator(Quantities(topological_order(y), names_of(y)))
    slips = Slips(narrator)
    found = {}
    for step in narrator.steps():
        result = step.equations[-1].figures[-1]
        found.setdefault(result.title, []).append((slips.at(step), result.array))
    return found


def network(n=5):
    rng = np.random.default_rng(2)
    x, y = rng.random((n, 3)), rng.random((n, 2))
    model = tg.nn.MLP([3, 4, 2], rng=0)
    loss = tg.losses.mse(model(x), y)
    loss.name = "loss"
    return loss, x, y, model


def numbers_of(asked):
    return dict(reversed(asked.slips))  # of two with the same words, the first


def test_a_slip_gives_the_number_that_it_gives_on_paper():
    loss, x, y, model = network()
    (w1, w2), (b1, b2) = ([p.data for p in ps] for ps in (model.weights, model.biases))
    a1 = 1 / (1 + np.exp(-(x @ w1.T + b1)))
    a2 = 1 / (1 + np.exp(-(a1 @ w2.T + b2)))
    delta2 = (a2 - y) * a2 * (1 - a2) / len(x)
    da1 = delta2 @ w2
    found = asked(loss)
    ((at_z1, right),) = found["dloss/dz1"]
    np.testing.assert_allclose(right, da1 * a1 * (1 - a1))
    assert at_z1.place == np.argmax(np.abs(right))
    told = numbers_of(at_z1)
    for what, expected in [
        ("sigma'(z1) is missing", da1),
        ("the factor a1 is missing", da1 * (1 - a1)),
        ("the factor (1 - a1) is missing", da1 * a1),
        ("the factor dloss/da1 is missing", a1 * (1 - a1)),
        ("the derivative of tanh is used in place of sigma'(z1)", da1 * (1 - a1**2)),
    ]:
        assert told[what] == pytest.approx(expected.flat[at_z1.place])
    ((at_w2, right),) = found["dloss/dW2"]
    np.testing.assert_allclose(right, delta2.T @ a1)
    last = numbers_of(at_w2)["only the last example counts; sum over all 5"]
    assert last == pytest.approx(np.outer(delta2[-1], a1[-1]).flat[at_w2.place])


def test_a_layer_without_its_bias_is_told_in_the_forward_pass():
    loss, x, _, model = network()
    ((at_z1, right),) = asked(loss)["z1"]
    (slip,) = at_z1.slips
    bare = x @ model.weights[0].data.T
    what = "b1 is left out of the forward pass"
    assert slip == (what, pytest.approx(bare.flat[at_z1.place]))
    assert right.flat[at_z1.place] == np.abs(right).max()


def test_a_gradient_so_far_lacks_only_what_has_come():
    x = leaf(3.0, "x")
    z = x * x
    y = z * x
    z.name, y.name = "z", "y"
    told = [
        {
            what: number
            for what, number in found.slips
            if "missing" in what and "factor" not in what
        }
        for found, _ in asked(y)["dy/dx"]
        if found
    ]
    path, use = (
        "the path through {} is missing",
        "one of the 2 uses of x in z is missing",
    )
    assert told == [
        {path.format("y"): 9.0, use: 9.0, path.format("z"): 9.0},
        {path.format("y"): 18.0, path.format("z"): 9.0, use: 18.0},
    ]


def test_numbers_may_be_wrong_by_a_factor_that_the_graph_suggests():
    loss, *_ = network()
    factors = Slips(Narrator(Quantities(topological_order(loss), {}))).factors
    assert (-1.0, "its sign is flipped") in factors
    assert {5, 2} <= {factor for factor, _ in factors}


def test_a_step_without_a_number_asks_for_nothing():
    with np.errstate(all="ignore"):
        y = (leaf(np.zeros((0, 2)), "x") * 2.0).sum() + leaf(np.nan, "n")
    found = asked(y)
    assert found["t1"][0][0] is None  # it is empty
    assert found["y"][0][0] is None  # it is not a number
    assert found["n"][0][0] is None  # it was given


def test_an_op_may_refuse_what_it_is_tried_with():
    @tg.op(signature="()->()")
    def fourfold(x):
        if np.max(x) > 2:
            raise RuntimeError("too large")
        return 4 * x * x

    fourfold.vjp(x=lambda g, y, x: g * 8 * x)
    (found, _), _ = asked(fourfold(leaf([1.0, 0.5], "x")).sum())["dy/dx"]
    assert numbers_of(found)["fourfold'(x) is missing"] == 1.0
    assert not any("is taken at" in what for what, _ in found.slips)


@given(graphs())
@settings(max_examples=30, deadline=None)
def test_no_slip_gives_the_right_number_and_they_are_few(y):
    for each in asked(y).values():
        for found, array in each:
            if found is not None:
                value = np.asarray(array).flat[found.place]
                assert len(found.slips) <= MOST
                for _, number in found.slips:
                    assert np.isfinite(number)
                    assert number != pytest.approx(value, rel=1e-4, abs=0)
