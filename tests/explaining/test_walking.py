"""The walk: everything that passes an edge, and what it adds up to."""

import numpy as np
from hypothesis import given, settings
from random_graphs import graphs, leaves_of

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order
from tinygrad_edu.explaining.walking import backward_pass
from tinygrad_edu.formulas.naming import needs_gradient, quantities


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_contributions_add_up_to_the_gradient_of_the_engine(y):
    sums, before = {}, {}
    for share, earlier, total, *_ in backward_pass(topological_order(y)):
        assert earlier is before.get(share.x)
        value = share.cotangent.data
        sums[share.x] = value if share.x not in sums else sums[share.x] + value
        np.testing.assert_array_equal(total, sums[share.x])
        before[share.x] = total
    y.backward(retain_graph=True)
    for x in leaves_of(y):
        np.testing.assert_array_equal(sums[x], x.grad.data)
        assert sums[x].dtype == x.grad.dtype


@given(graphs())
@settings(max_examples=50, deadline=None)
def test_a_gradient_is_complete_when_it_is_passed_on(y):
    contributions = list(backward_pass(topological_order(y)))
    totals = {c.share.x: c.total for c in contributions}
    totals[y] = np.ones(())
    numbers = {}
    for c in contributions:
        numbers.setdefault(c.share.x, []).append((c.number, c.of))
        np.testing.assert_array_equal(c.share.g.data, totals[c.share.node])
    for counted in numbers.values():
        assert counted == [(i, len(counted)) for i in range(1, len(counted) + 1)]


def test_arrays_are_quantities_and_numbers_are_not():
    x, array = tg.Tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0])
    y = (x * array * 2.0 + array).sum()
    found = quantities(topological_order(y))
    assert found[0] is x
    assert found[1] is array
    assert len(found) == 6
    assert [needs_gradient(q) for q in found] == [True, False, True, True, True, True]
