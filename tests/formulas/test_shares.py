"""The walk back: what it keeps adds up to what `backward` leaves behind."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import NAMES, OPS, PROFILE, close, loss_of, programs
from random_graphs import graphs, leaves_of

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order
from tinygrad_edu.formulas.shares import check_unchanged, checked_graph, walk_back


@pytest.mark.parametrize("name", NAMES)
def test_the_walk_back_adds_up_to_what_backward_leaves_behind(name):
    @PROFILE
    @given(programs(OPS[name]))
    def check(program):
        y, leaves = loss_of(program)
        shares, cotangents = walk_back(checked_graph("test", y))
        y.backward()
        for x in leaves:
            mine = [
                s.cotangent.data for found in shares.values() for s in found if s.x is x
            ]
            if x.grad is not None:
                close(np.sum(mine, axis=0), x.grad.data)
                close(cotangents[x], x.grad.data)

    check()


# --- What was changed since -----------------------------------------------------------


@given(graphs(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_leaf_that_was_changed_since_is_noticed(y, data):
    """Each matrix is multiplied by a number at the end, so no change has no effect."""
    nodes = topological_order(y)
    check_unchanged("test", nodes)
    x = data.draw(st.sampled_from([x for x in leaves_of(y) if x.ndim == 2]))
    before = x.data.copy()
    change = data.draw(st.sampled_from([-1.0, 1e-9, 0.5, np.nan]))
    if data.draw(st.booleans()):
        x.data = before + change
    else:
        x.data[0, 1] += change
    with pytest.raises(ValueError, match=r"test: .* was changed since"):
        check_unchanged("test", nodes)
    x.data[...] = before
    check_unchanged("test", nodes)


VIEWS = {
    "explain": lambda loss, w: tg.explain(loss),
    "step_through": lambda loss, w: tg.step_through(loss, "page.html"),
    "draw": lambda loss, w: tg.draw(loss),
    "compare": lambda loss, w: tg.compare([2 * w.data], loss, [w]),
}
each_view = pytest.mark.parametrize("view", VIEWS)


@each_view
def test_after_a_step_of_the_optimiser_the_way_out_is_told(view, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")

    def compute():
        return (w * w).sum()

    loss = compute()
    loss.backward(retain_graph=True)
    VIEWS[view](loss, w)
    tg.optim.SGD([w], lr=0.1).step()
    said = (
        f"{view}: multiply gives another answer now than when this graph was recorded, "
        "so w was changed since (by a step of an optimiser?), and derivatives would be "
        f"wrong; compute the value again, or call {view} before the change"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        VIEWS[view](loss, w)
    VIEWS[view](compute(), w)


def test_compare_does_not_call_a_right_gradient_wrong():
    w, x = tg.Tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0])
    before = tg.exp(w * x).sum()
    mine = x * np.exp(w.data * x)
    assert tg.compare([mine], before, [w])
    w.data = w.data - 0.1
    with pytest.raises(ValueError, match="w or x was changed since"):
        tg.compare([mine], before, [w])
    assert tg.compare([x * np.exp(w.data * x)], tg.exp(w * x).sum(), [w])


@pytest.mark.parametrize("shape", [3, (2, 5), (2, 2)])
def test_data_of_another_shape_or_value_are_noticed(shape):
    w = tg.Tensor(np.ones((2, 2)), requires_grad=True)
    loss = (np.ones((2, 2)) @ w).sum()
    w.data = np.zeros(shape)
    with pytest.raises(ValueError, match=r"so an array of shape \(2, 2\) or w was"):
        tg.explain(loss)


def test_an_answer_that_was_overwritten_is_noticed():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    u = w * 2
    y = (u * u).sum()
    u.data[0] = 5.0
    with pytest.raises(ValueError, match="multiply gives another answer now"):
        tg.explain(y)


def test_of_very_many_inputs_some_are_named():
    leaves = [tg.Tensor([1.0], requires_grad=True, name=f"v{i}") for i in range(30)]
    y = tg.concatenate(leaves).sum()
    leaves[20].data[0] = 5.0
    with pytest.raises(ValueError, match=r"so v0 or v1 or .* or v6 or another was"):
        tg.explain(y)


def test_a_view_of_what_was_changed_is_named():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    u = w[:1]
    y = (u * u).sum()
    w.data[0] = 5.0
    with pytest.raises(ValueError, match="so u was changed since"):
        tg.explain(y)


def test_infinities_and_nan_are_the_same_again():
    w = tg.Tensor([1.0, 0.0], requires_grad=True)
    with np.errstate(all="ignore"):
        y = (1 / w + tg.log(-w)).sum()
    check_unchanged("test", topological_order(y))
