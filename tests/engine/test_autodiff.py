"""The traversal: what reaches the leaves, what is forgotten, what is never touched."""

import gc
import re
import sys
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from leaves import leaf

import tinygrad_edu as tg
from tinygrad_edu.engine.autodiff import pull_back


def clear(*leaves):
    for x in leaves:
        x.zero_grad()


def bits(array):
    return np.asarray(array).tobytes()


# --- The order ------------------------------------------------------------------------


def test_a_topological_order_is_needed(rng):
    """In the order of plain recursion b would pass on half of what reaches it."""
    a = leaf(rng.standard_normal(3))
    b = a + a
    c = b + b
    g = rng.standard_normal(3)
    c.backward(g)
    np.testing.assert_allclose(a.grad.data, 4 * g, rtol=1e-15)


def test_paths_of_different_length_meet(rng):
    a, g = leaf(rng.standard_normal(3)), rng.standard_normal(3)
    long = ((a * 2.0) * 3.0) * 5.0
    (a + long * a + long).backward(g)
    np.testing.assert_allclose(a.grad.data, g * (1 + 60 * a.data + 30), rtol=1e-14)


def test_a_node_used_twice_by_one_op(rng):
    a, g = leaf(rng.standard_normal(3)), rng.standard_normal(3)
    (a * a).backward(g)
    np.testing.assert_allclose(a.grad.data, 2 * g * a.data, rtol=1e-15)


def test_two_to_the_thirtieth_paths_are_walked_as_thirty_nodes(rng):
    a = y = leaf(1.0)
    for _ in range(30):
        y = y + y
    y.backward()
    assert a.grad.item() == 2.0**30


def test_each_node_is_visited_once_newest_first():
    """Out of order a node's share would come late, and the node have a second turn."""
    x = leaf(1.0)
    fibonacci = [x * 1.0, x * 1.0]
    for _ in range(15):
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    leaves, visited = pull_back({fibonacci[-1]: np.float64(1.0)})
    assert visited == fibonacci[::-1]
    assert leaves[x] == 1597.0


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_long_chain_needs_no_recursion(create_graph):
    x = y = leaf(3.0)
    for _ in range(20_000 if create_graph else 100_000):
        y = -y
    y.backward(gradient=0.7, create_graph=create_graph)
    assert x.grad.item() == 0.7
    x.zero_grad()


def test_only_nodes_that_lead_to_a_leaf_are_visited(rng):
    x, constant = leaf(rng.standard_normal(3)), tg.Tensor(rng.standard_normal(3))
    product = x * constant.exp()
    y = product + constant.sin()
    _ = product.exp(), y * x  # what is computed from y or beside it
    leaves, visited = pull_back({y: np.ones(3)})
    assert visited == [y, product]
    assert list(leaves) == [x]


def test_the_rules_of_constants_do_not_run(rng):
    asked = []
    product = tg.op(lambda a, b: a * b, name="observed_product").vjp(
        a=lambda g, y, a, b: asked.append("a") or g * b,
        b=lambda g, y, a, b: asked.append("b") or g * a,
    )
    x, constant = leaf(rng.standard_normal(3)), rng.standard_normal(3)
    product(x, constant).sum().backward()
    product(tg.Tensor(constant), x).sum().backward()
    assert asked == ["a", "b"]
    np.testing.assert_allclose(x.grad.data, 2 * constant, rtol=1e-15)


# --- Accumulation ---------------------------------------------------------------------


def test_gradients_reach_leaves_only(rng):
    x, constant = leaf(rng.standard_normal(3)), tg.Tensor(rng.standard_normal(3))
    hidden = x * constant
    y = hidden.sum()
    y.backward()
    assert x.grad is not None
    assert (hidden.grad, y.grad, constant.grad) == (None, None, None)


def test_gradients_accumulate_until_they_are_cleared(rng):
    x, c, d = leaf(rng.standard_normal(3)), *rng.standard_normal((2, 3))
    (x * c).sum().backward()
    np.testing.assert_array_equal(x.grad.data, c)
    (x * d).sum().backward()
    np.testing.assert_array_equal(x.grad.data, c + d)
    x.zero_grad()
    assert x.grad is None
    (x * d).sum().backward()
    np.testing.assert_array_equal(x.grad.data, d)


def test_a_gradient_is_a_constant_tensor_of_its_leafs_shape_and_dtype(rng):
    x = leaf(rng.standard_normal((2, 3)), dtype=np.float32)
    (x * rng.standard_normal(3)).sum().backward()
    assert type(x.grad) is tg.Tensor
    assert (x.grad.shape, x.grad.dtype) == (x.shape, x.dtype)
    assert not x.grad.requires_grad


def test_each_leaf_has_the_gradient_in_its_own_dtype(rng):
    a = leaf(rng.standard_normal(3), dtype=np.float32)
    b = leaf(rng.standard_normal(3), dtype=np.float64)
    c = leaf(rng.standard_normal(3), dtype=np.float16)
    y, g = a * b * c, rng.standard_normal(3)
    assert y.dtype == np.float64
    y.backward(g)
    for x, expected in (
        (a, g * b.data * c.data),
        (b, g * a.data * c.data),
        (c, g * a.data * b.data),
    ):
        assert x.grad.dtype == x.dtype
        np.testing.assert_allclose(
            x.grad.data, expected, rtol=4 * float(np.finfo(x.dtype).eps)
        )


def test_a_root_that_is_a_leaf_gets_what_it_is_given(rng):
    x, g = leaf(rng.standard_normal(3)), rng.standard_normal(3)
    x.backward(g)
    x.backward(g)
    np.testing.assert_array_equal(x.grad.data, 2 * g)


# --- The gradient to start from -------------------------------------------------------


def test_the_gradient_of_a_number_starts_from_one(rng):
    for shape in ((), (1,), (1, 1)):
        x = leaf(rng.standard_normal(shape), dtype=np.float32)
        (x * 3.0).backward()
        np.testing.assert_array_equal(
            x.grad.data, np.full(shape, 3, np.float32), strict=True
        )


def test_more_than_a_number_needs_a_gradient_to_start_from():
    with pytest.raises(ValueError, match=r"shape \(2, 3\).*sum\(\) first, or pass"):
        (leaf(np.ones((2, 3))) * 2.0).backward()


@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (3, 1), (3, 2), (2, 3, 1)])
@pytest.mark.parametrize("create_graph", [False, True])
def test_the_starting_gradient_has_the_shape_of_the_answer(shape, create_graph):
    x = leaf(np.ones((2, 3)))
    y = x * 2.0
    message = re.escape(f"the gradient has shape {shape}, and this Tensor has (2, 3)")
    for gradient in (np.ones(shape), tg.Tensor(np.ones(shape))):
        with pytest.raises(ValueError, match=message):
            y.backward(gradient, create_graph=create_graph)
    assert x.grad is None


@pytest.mark.parametrize(
    "gradient",
    [
        [1, 2],
        (1.0, 2.0),
        np.array([1, 2]),
        np.array([1, 2], np.float64),
        np.array([1, 2], np.float16),
        tg.Tensor([1.0, 2.0]),
        tg.Tensor([1, 2]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_the_starting_gradient_is_converted(gradient, create_graph):
    x = leaf([3.0, 5.0], dtype=np.float32)
    (x * 2.0).backward(gradient, create_graph=create_graph)
    np.testing.assert_array_equal(
        x.grad.data, np.array([2, 4], np.float32), strict=True
    )
    x.zero_grad()


@pytest.mark.parametrize(
    "gradient", [[1j], np.array([1j]), np.array([1 + 0j], np.complex64), ["a"], [None]]
)
def test_what_is_no_real_number_is_no_gradient(gradient):
    x = leaf([3.0])
    with pytest.raises((TypeError, ValueError)):
        (x * 2.0).backward(gradient)
    assert x.grad is None


def test_there_must_be_something_to_differentiate_by():
    for y in (tg.Tensor(2.0), tg.Tensor(2.0) * 3.0, tg.Tensor([1, 2]).sum()):
        with pytest.raises(ValueError, match="requires_grad=True"):
            y.backward()


def test_an_answer_of_integers_is_a_constant():
    y = leaf([1.5, 2.5]).astype(int)
    assert not y.requires_grad
    with pytest.raises(ValueError, match="requires_grad=True"):
        y.sum().backward()


# --- Releasing the graph --------------------------------------------------------------


def test_a_second_backward_raises_and_the_gradient_stays_right():
    x = leaf(3.0)
    y = x * x * x
    y.backward()
    assert x.grad.item() == 27.0
    with pytest.raises(ValueError, match="retain_graph=True"):
        y.backward()
    assert x.grad.item() == 27.0


def test_a_retained_graph_serves_again():
    x = leaf(3.0)
    y = x * x * x
    y.backward(retain_graph=True)
    assert x.grad.item() == 27.0
    y.backward()
    assert x.grad.item() == 54.0
    with pytest.raises(ValueError, match="retain_graph=True"):
        y.backward()


def test_a_graph_released_in_a_shared_part_raises(rng):
    x, other = leaf(rng.standard_normal(3)), leaf(rng.standard_normal(3))
    shared = x.exp()
    first, second = (shared * 2.0).sum(), (shared * other).sum()
    first.backward()
    kept = bits(x.grad.data)
    with pytest.raises(ValueError, match="retain_graph=True"):
        second.backward()
    assert bits(x.grad.data) == kept
    assert other.grad is None


def test_what_is_computed_from_a_released_value_raises(rng):
    x = leaf(rng.standard_normal(3))
    y = x.exp()
    y.sum().backward()
    with pytest.raises(ValueError, match="retain_graph=True"):
        (y * 2.0).sum().backward()


def test_a_released_value_is_still_a_value():
    y = leaf(3.0) * 2.0
    y.backward()
    assert y.item() == 6.0
    assert not y.is_leaf
    assert "6." in repr(y)
    assert y.detach().item() == 6.0


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize("debug", [False, True])
def test_backward_releases_the_graph_without_the_garbage_collector(rng, debug):
    x = leaf(rng.standard_normal(3))
    if debug:
        with tg.debug():
            hidden = x.exp()
            y = hidden.sum()
    else:
        hidden = x.exp()
        y = hidden.sum()
    memory = weakref.ref(hidden)
    del hidden
    y.backward()
    assert memory() is None
    assert x.grad is not None


@pytest.mark.usefixtures("no_gc")
def test_a_retained_graph_lives_as_long_as_its_answer(rng):
    x = leaf(rng.standard_normal(3))
    hidden = x.exp()
    y = hidden.sum()
    memory = weakref.ref(hidden)
    del hidden
    y.backward(retain_graph=True)
    assert memory() is not None
    del y
    assert memory() is None


@pytest.mark.usefixtures("no_gc")
def test_a_gradient_keeps_nothing_of_the_graph_alive(rng):
    x = leaf(rng.standard_normal(3))
    hidden = x.exp()
    memory = weakref.ref(hidden)
    hidden.sum().backward()
    del hidden
    assert memory() is None


# --- Higher order ---------------------------------------------------------------------


def test_second_and_third_derivatives(rng):
    x, g, h, k = leaf(rng.standard_normal(4)), *rng.standard_normal((3, 4))
    (x**4.0).backward(g, create_graph=True)
    first = x.grad
    np.testing.assert_allclose(first.data, g * 4 * x.data**3, rtol=1e-13)
    x.zero_grad()
    first.backward(h, create_graph=True)
    second = x.grad
    np.testing.assert_allclose(second.data, g * h * 12 * x.data**2, rtol=1e-13)
    x.zero_grad()
    second.backward(k)
    np.testing.assert_allclose(x.grad.data, g * h * k * 24 * x.data, rtol=1e-13)


def test_mixed_second_derivatives_are_equal(rng):
    a, b = leaf(rng.standard_normal(3)), leaf(rng.standard_normal(3))
    u = rng.standard_normal(3)

    def mixed(one, other):
        (a * b.sin()).sum().backward(create_graph=True)
        first = one.grad
        clear(a, b)
        first.backward(u)
        second = other.grad.data
        clear(a, b)
        return second

    np.testing.assert_allclose(mixed(a, b), u * np.cos(b.data), rtol=1e-14)
    np.testing.assert_allclose(mixed(b, a), u * np.cos(b.data), rtol=1e-14)


def test_create_graph_retains_the_graph():
    x = leaf(3.0)
    y = x * x * x
    y.backward(create_graph=True)
    x.zero_grad()
    y.backward()
    assert x.grad.item() == 27.0


def test_recorded_gradients_accumulate_with_their_graphs(rng):
    x, g = leaf(rng.standard_normal(3)), rng.standard_normal(3)
    (x**2.0).sum().backward(create_graph=True)
    (x**3.0).sum().backward(create_graph=True)
    total = x.grad
    np.testing.assert_allclose(total.data, 2 * x.data + 3 * x.data**2, rtol=1e-14)
    x.zero_grad()
    total.backward(g)
    np.testing.assert_allclose(x.grad.data, g * (2 + 6 * x.data), rtol=1e-14)


def test_a_plain_gradient_added_to_a_recorded_one_is_a_constant(rng):
    x = leaf(rng.standard_normal(3))
    (x**2.0).sum().backward(create_graph=True)
    (x**3.0).sum().backward()
    assert not x.grad.requires_grad
    np.testing.assert_allclose(x.grad.data, 2 * x.data + 3 * x.data**2, rtol=1e-14)


def test_the_derivative_by_the_cotangent_is_the_forward_derivative(rng):
    """Reverse mode is linear in the cotangent, so its transpose is forward mode."""
    x, v = leaf(rng.standard_normal(4)), leaf(rng.standard_normal(4), dtype=np.float32)
    x.sin().backward(v, create_graph=True)
    product = x.grad
    np.testing.assert_allclose(product.data, v.data * np.cos(x.data), rtol=1e-14)
    x.zero_grad()
    u = rng.standard_normal(4)
    product.backward(u)
    np.testing.assert_allclose(v.grad.data, u * np.cos(x.data), rtol=1e-6)
    assert v.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad.data, -u * v.data * np.sin(x.data), rtol=1e-14)


def test_without_create_graph_a_tensors_own_graph_plays_no_part(rng):
    x, v = leaf(rng.standard_normal(4)), leaf(rng.standard_normal(4))
    x.sin().backward(v * 2.0)
    assert not x.grad.requires_grad
    np.testing.assert_allclose(x.grad.data, 2 * v.data * np.cos(x.data), rtol=1e-15)


def test_a_leaf_as_root_keeps_the_graph_of_the_cotangent(rng):
    x, v, g = leaf(rng.standard_normal(3)), *rng.standard_normal((2, 3))
    v = leaf(v)
    x.backward(v, create_graph=True)
    x.grad.backward(g)
    np.testing.assert_array_equal(v.grad.data, g)


@pytest.mark.usefixtures("no_gc")
def test_a_recorded_gradient_and_its_leaf_are_parted_by_zero_grad(rng):
    kept, parted = leaf(rng.standard_normal(3)), leaf(rng.standard_normal(3))
    memories = weakref.ref(kept), weakref.ref(parted)
    for x in (kept, parted):
        (x * x).sum().backward(create_graph=True)
        assert x.grad.requires_grad
    parted.zero_grad()
    del x, kept, parted
    assert memories[0]() is not None, "the gradient's graph refers to its leaf"
    assert memories[1]() is None
    gc.collect()
    assert memories[0]() is None


# --- Who shares memory, and what is written to ----------------------------------------

PASS_ON = {
    "itself": lambda a: a,
    "add": lambda a: a + 1.0,
    "subtract": lambda a: a - 1.0,
    "positive": lambda a: +a,
    "reshape": lambda a: a.reshape(3, 2),
    "transpose": lambda a: a.T,
    "getitem": lambda a: a[:, ::-1],
    "astype": lambda a: a.astype(np.float64),
    "expand_dims": lambda a: a.expand_dims(0),
    "broadcast_to": lambda a: a.broadcast_to((2, 3)),
    "concatenate": lambda a: tg.concatenate([a]),
    "stack": lambda a: tg.stack([a]),
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("pass_on", PASS_ON.values(), ids=PASS_ON.keys())
def test_a_leafs_gradient_shares_memory_with_nothing(rng, pass_on, create_graph):
    a, b = leaf(rng.standard_normal((2, 3))), leaf(rng.standard_normal((2, 3)))
    y = pass_on(a) if pass_on is PASS_ON["itself"] else pass_on(a) + pass_on(b)
    g = rng.standard_normal(y.shape)
    before = bits(g)
    y.backward(g, create_graph=create_graph)
    held = [g, a.data, b.data, y.data]
    if b.grad is not None:
        assert not np.shares_memory(a.grad.data, b.grad.data)
        held += [b.grad.data]
    assert not any(np.shares_memory(a.grad.data, array) for array in held)
    assert bits(g) == before
    clear(a, b)


@pytest.mark.parametrize("create_graph", [False, True])
def test_the_gradients_of_a_sum_are_two_arrays(rng, create_graph):
    a, b = leaf(rng.standard_normal(3)), leaf(rng.standard_normal(3))
    g = rng.standard_normal(3)
    (a + b).backward(g, create_graph=create_graph)
    a.grad.data[...] = 0.0
    np.testing.assert_array_equal(b.grad.data, g)
    assert a.grad is not b.grad


def test_a_rule_that_gives_complex_numbers_is_taught():
    op = tg.op(np.positive, name="turned").vjp(x=lambda g, y, x: g * 1j)
    with pytest.raises(TypeError, match=r"turned: .*j.*real numbers"):
        op(leaf([1.0, 2.0])).backward([1.0, 1.0])


def test_nothing_accumulates_in_place(rng):
    x, c, g = leaf(rng.standard_normal(3)), *rng.standard_normal((2, 3))
    (x * c).backward(g)
    first, array = x.grad, x.grad.data
    before = bits(array)
    (x * c).backward(g)
    assert bits(array) == before
    assert first.data is array
    assert x.grad is not first


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_cotangent_that_goes_two_ways_is_not_added_to(rng, create_graph):
    """Where `y = t + t` passes g to t twice, no sum may be formed in g itself."""
    x, g = leaf(rng.standard_normal(3)), rng.standard_normal(3)
    before = bits(g)
    t = x + 0.0
    (t + t + t + x).backward(g, create_graph=create_graph)
    assert bits(g) == before
    np.testing.assert_allclose(x.grad.data, 4 * g, rtol=1e-15)
    x.zero_grad()


def test_a_tensor_given_as_gradient_is_not_changed(rng):
    x, g = leaf(rng.standard_normal(3)), tg.Tensor(rng.standard_normal(3))
    before = bits(g.data)
    (x + x).backward(g)
    x.backward(g)
    assert bits(g.data) == before
    assert not np.shares_memory(x.grad.data, g.data)


# --- Broadcasting ---------------------------------------------------------------------

BINARY = {
    "add": (tg.add, lambda a, b, v: v, lambda a, b, v: v),
    "multiply": (tg.multiply, lambda a, b, v: v * b, lambda a, b, v: a * v),
    "subtract": (tg.subtract, lambda a, b, v: v, lambda a, b, v: -v),
    "maximum": (
        tg.maximum,
        lambda a, b, v: np.where(a > b, v, 0.0),
        lambda a, b, v: np.where(a > b, 0.0, v),
    ),
}


@pytest.mark.parametrize("name", BINARY)
@given(
    shapes=hnp.mutually_broadcastable_shapes(
        num_shapes=2, min_dims=0, max_dims=3, min_side=0, max_side=3
    ),
    seed=st.integers(0, 2**32 - 1),
    create_graph=st.booleans(),
)
def test_broadcast_gradients_have_the_inputs_shapes(name, shapes, seed, create_graph):
    """Judged by <g, J v> = <J^T g, v>, where J v broadcasts as NumPy does."""
    op, along_a, along_b = BINARY[name]
    rng = np.random.default_rng(seed)
    a, b = (leaf(rng.standard_normal(shape)) for shape in shapes.input_shapes)
    g = rng.standard_normal(shapes.result_shape)
    op(a, b).backward(g, create_graph=create_graph)
    for x, along in ((a, along_a), (b, along_b)):
        assert x.grad.shape == x.shape
        v = rng.standard_normal(x.shape)
        expected = np.sum(g * along(a.data, b.data, v))
        np.testing.assert_allclose(np.vdot(x.grad.data, v), expected, atol=1e-12)
        x.zero_grad()


def test_a_number_added_to_a_table_gets_the_sum(rng):
    x, g = leaf(2.0), rng.standard_normal((2, 3))
    (x + rng.standard_normal((2, 3))).backward(g)
    np.testing.assert_allclose(x.grad.data, g.sum(), rtol=1e-14)
    assert x.grad.shape == ()


# --- Elements that were left out ------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
def test_what_was_left_out_reaches_no_gradient(create_graph):
    x = leaf([-1.0, 4.0])
    with np.errstate(invalid="ignore"):
        y = tg.where(x.data > 0, x.log().sqrt(), 0.0)
    y.backward([0.3, 0.7], create_graph=create_graph)
    expected = 0.7 / (2 * np.sqrt(np.log(4)) * 4)
    np.testing.assert_allclose(x.grad.data, [0.0, expected], rtol=1e-15)
    x.zero_grad()


def test_what_was_left_out_may_lie_behind_an_op_that_is_not_elementwise(rng):
    x, w = leaf([0.0, 4.0]), rng.standard_normal((2, 2))
    with np.errstate(divide="ignore"):
        y = tg.linear(x.log().reshape(2, 1), w[:, :1], w[0])[1]
    g = rng.standard_normal(2)
    y.backward(g)
    np.testing.assert_allclose(x.grad.data, [0, g @ w[:, 0] / 4], rtol=1e-14)


@pytest.mark.parametrize("chosen_last", [False, True])
def test_what_one_op_left_out_and_another_used_is_not_left_out(chosen_last):
    """Its gradient is 0 / 0, and there is no reason to call that 0."""
    x = leaf([0.0, 4.0])
    with np.errstate(all="ignore"):
        y = x.log()
        uses = [lambda: tg.where(x.data > 0, y, 0.0), lambda: y * 0.0]
        parts = [use() for use in (uses[::-1] if chosen_last else uses)]
        tg.add(*parts).backward([0.3, 0.7])
    np.testing.assert_allclose(x.grad.data, [np.nan, 0.7 / 4], rtol=1e-15)


# --- Rules that fail ------------------------------------------------------------------


def test_a_rule_that_raises_leaves_every_gradient_and_the_graph_as_they_were(rng):
    def rule(g, y, x):
        if failing:
            raise RuntimeError("the rule's own words")
        return 2.0 * g

    twice = tg.op(lambda x: 2.0 * x, name="twice").vjp(x=rule)
    a, b = leaf(rng.standard_normal(3)), leaf(rng.standard_normal(3))
    (a * b).sum().backward()
    before = bits(a.grad.data), bits(b.grad.data)
    g = rng.standard_normal(3)
    y = a * twice(b)

    failing = True
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the rule's own words"):
            y.backward(g)
        assert (bits(a.grad.data), bits(b.grad.data)) == before

    failing = False
    clear(a, b)
    y.backward(g)
    np.testing.assert_allclose(a.grad.data, g * 2 * b.data, rtol=1e-15)
    np.testing.assert_allclose(b.grad.data, g * 2 * a.data, rtol=1e-15)


@pytest.mark.parametrize(
    ("shape", "wrong"),
    [((3,), (2,)), ((3,), ()), ((3,), (1,)), ((2, 3), (3,)), ((2, 1), (3, 3))],
)
def test_a_rule_of_the_wrong_shape_is_taught(shape, wrong):
    op = tg.op(lambda x: 2.0 * x, name="careless").vjp(
        x=lambda g, y, x: np.zeros(wrong)
    )
    x = leaf(np.ones(shape))
    message = (
        f"careless: a backward rule returned shape {wrong} for an input of shape "
        f"{shape}; it must return the input's shape, or a shape that the input was "
        "broadcast to"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        op(x).sum().backward()
    assert x.grad is None


@pytest.mark.parametrize("answer", [None, 0, [1.0, 1.0]], ids=repr)
def test_a_rule_that_gives_no_array_is_taught(answer):
    op = tg.op(lambda x: 2.0 * x, name="careless").vjp(x=lambda g, y, x: answer)
    with pytest.raises((TypeError, ValueError), match="careless"):
        op(leaf([1.0, 2.0])).sum().backward()


def test_threads_that_share_a_leaf_lose_nothing():
    w = leaf(np.zeros(10_000))  # long enough for NumPy to let another thread run
    before = sys.getswitchinterval()

    def add_up():
        for _ in range(300):
            (w * 1.0).sum().backward()

    threads = [threading.Thread(target=add_up) for _ in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert (w.grad.data == 2400.0).all()
