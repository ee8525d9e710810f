"""`check_op` lets a right op pass, and names the fault of a wrong one."""

import re

import numpy as np
import pytest
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import Node
from tinygrad_edu.engine.op import Domain
from tinygrad_edu.testing import check_op


def cube(forward=lambda x: x * x * x, rule=lambda g, y, x: 3 * g * x * x, **declared):
    """Declare an op that is right, but for what is given."""
    return tg.op(forward, name="cube", signature="()->()", **declared).vjp(x=rule)


# --- Right ops ------------------------------------------------------------------------


def test_a_right_op_passes():
    assert check_op(cube()) is None


def test_an_op_of_two_inputs_passes():
    op = tg.op(np.hypot, name="distance", signature="(),()->()").vjp(
        a=lambda g, y, a, b: g * a / y,
        b=lambda g, y, a, b: g * b / y,
    )
    check_op(op)


def test_an_op_of_matrices_passes():
    @tg.op(signature="(m,k),(k)->(m)")
    def apply(w, x):
        return np.matvec(w, x) if hasattr(np, "matvec") else (w @ x[..., None])[..., 0]

    apply.vjp(
        w=lambda g, y, w, x: tg.expand_dims(g, -1) * tg.expand_dims(x, -2),
        x=lambda g, y, w, x: tg.sum(tg.expand_dims(g, -1) * w, axis=-2),
    )
    check_op(apply, examples=20)


def test_a_reduction_passes():
    @tg.op(signature="(n)->()")
    def halved_sum(x, *, keepdims=False):
        return np.sum(x, axis=-1, keepdims=keepdims) / 2

    halved_sum.vjp(
        x=lambda g, y, x, keepdims: (
            tg.broadcast_to(g if keepdims else tg.expand_dims(g, -1), x.shape) / 2
        )
    )
    check_op(halved_sum, examples=20)


def test_an_op_with_domain_and_kink_passes():
    @tg.op(
        signature="()->()",
        domain=Domain(low=10, excluding=(12,)),
        kink=lambda x, slope: x - 11.3,
        subgradient="the slope",
    )
    def leaky(x, *, slope=0.25):
        return np.where(x > 11.3, x, slope * x)

    leaky.vjp(x=lambda g, y, x, slope: tg.where(x > 11.3, g, slope * g))
    check_op(leaky)


def test_an_op_of_many_inputs_passes():
    @tg.op
    def total(*arrays):
        return sum(arrays)

    total.vjp(arrays=lambda g, y, *arrays: lambda i: g)
    check_op(total, examples=20)


def test_an_integer_or_a_condition_has_no_gradient():
    @tg.op(signature="(),()->()")
    def masked(condition, x):
        return np.where(condition, x, 0)

    masked.vjp(
        condition=lambda g, y, condition, x: 0 * g,
        x=lambda g, y, condition, x: tg.where(condition, g, 0),
    )
    check_op(masked)


# --- Parameters -----------------------------------------------------------------------


@pytest.fixture
def scaled():
    seen = []

    @tg.op(signature="()->()")
    def scaled(x, *, factor, shift=0.0):
        seen.append((factor, shift))
        return factor * x + shift

    scaled.seen = seen
    return scaled.vjp(x=lambda g, y, x, factor, shift: factor * g)


def test_a_parameter_is_drawn_from_its_strategy(scaled):
    check_op(scaled, factor=st.floats(2, 3), examples=10)
    factors, shifts = zip(*scaled.seen)
    assert all(2 <= factor <= 3 for factor in factors)
    assert set(shifts) == {0.0}


def test_a_default_is_used_in_some_calls_and_not_in_others(scaled):
    check_op(scaled, factor=st.just(2.0), shift=st.just(1.0))
    assert set(scaled.seen) == {(2.0, 0.0), (2.0, 1.0)}


def test_a_strategy_may_depend_on_the_shape_and_on_other_parameters(scaled):
    check_op(
        scaled,
        factor=lambda shape, params: st.just(1.0 + len(shape)),
        shift=lambda shape, params: st.just(10 * params["factor"]),
        examples=10,
    )
    assert all(shift in (0, 10 * factor) for factor, shift in scaled.seen)
    assert {factor for factor, _ in scaled.seen} > {1.0}


def test_a_parameter_without_default_needs_a_strategy(scaled):
    message = r"scaled: its parameter factor .*: check_op\(scaled, factor=\.\.\.\)"
    with pytest.raises(TypeError, match=message):
        check_op(scaled)


def test_a_strategy_needs_a_parameter(scaled):
    message = r"scaled: scaled\(x, factor, shift=0.0\) has no parameter facto$"
    with pytest.raises(TypeError, match=message):
        check_op(scaled, facto=st.just(1.0))


# --- Shapes ---------------------------------------------------------------------------


@pytest.fixture
def moving():
    """Declare the moving average: there is one where the weights fit on the signal."""
    seen = []

    @tg.op
    def moving(x, w, *, step=1):
        seen.append((x.shape, w.shape, step))
        return np.correlate(x, w)[::step]

    def to_signal(g, y, x, w, step):
        places = np.arange(len(w)) + step * np.arange(len(y))[:, None]
        return tg.add_at(g[:, None] * w, places, x.shape)

    def to_weights(g, y, x, w, step):
        places = np.arange(len(w))[:, None] + step * np.arange(len(y))
        return x[places] @ g

    moving.seen = seen
    return moving.vjp(x=to_signal, w=to_weights)


lengths = st.integers(1, 3)
fitting = st.builds(lambda m, n: [(m + n - 1,), (m,)], lengths, lengths)


def test_shapes_are_drawn_from_their_strategy(moving):
    check_op(moving, shapes=fitting)
    pairs = {(m + n - 1, m) for m in (1, 2, 3) for n in (1, 2, 3)}
    assert {(*x, *w) for x, w, _ in moving.seen} == pairs


def test_a_parameter_sees_the_first_of_the_shapes(moving):
    steps = {"step": lambda shape, params: st.integers(1, *shape)}
    two = st.sampled_from([[(5,), (3,)], [(2,), (1,)]])
    check_op(moving, shapes=two, **steps)
    assert {step for *_, step in moving.seen} == {1, 2, 3, 4, 5}
    assert all(step <= n for (n,), _, step in moving.seen)


def test_without_shapes_such_an_op_gets_calls_that_it_refuses(moving):
    with pytest.raises(AssertionError, match="moving: ValueError: moving:"):
        check_op(moving)


def test_a_fault_is_found_in_the_given_shapes(moving):
    rules = {**moving.rules, "w": lambda g, y, x, w, step: 2 * w}
    fault = "moving: the gradient with respect to w disagrees"
    with pytest.raises(AssertionError, match=fault) as met:
        check_op(moving.vjp(**rules), shapes=fitting)
    assert re.search(r"call +moving\(x=\[-?\d\.\d+\], w=\[-?\d\.\d+\]", str(met.value))


def test_each_input_needs_a_shape(moving):
    message = r"moving: shapes= gave \[\(2,\)\], .*: \[shape of x, shape of w\]"
    with pytest.raises(TypeError, match=message):
        check_op(moving, shapes=st.just([(2,)]))


def test_shapes_for_an_op_of_many_inputs_say_how_many():
    seen = set()

    @tg.op
    def total(*arrays):
        seen.add(len(arrays))
        return sum(arrays)

    total.vjp(arrays=lambda g, y, *arrays: lambda i: g)
    check_op(total, shapes=st.lists(st.just((2,)), min_size=2, max_size=4), examples=20)
    assert seen == {2, 3, 4}


# --- Wrong ops ------------------------------------------------------------------------

FIRST = "the gradient with respect to x disagrees with central differences"
SECOND = "the second derivative disagrees with differences of the gradient"
BY_COTANGENT = "the gradient's derivative with respect to the cotangent is wrong"


def in_place(x):
    x = np.asarray(x)
    x *= 2
    return x


def rule_in_place(g, y, x):
    g = g.data if isinstance(g, Node) else g
    g *= 3 * np.asarray(x.data) ** 2
    return g


def on_data(g, y, x):
    return g * (3 * np.asarray(x.data if isinstance(x, Node) else x) ** 2)


def by_data(g, y, x):
    return 3 * (g.data if isinstance(g, Node) else g) * x * x


# What is wrong: the declaration, and what is said of it.
WRONG = {
    "negated": ({"rule": lambda g, y, x: -3 * g * x * x}, FIRST),
    "twice as large": ({"rule": lambda g, y, x: 6 * g * x * x}, FIRST),
    "zero": ({"rule": lambda g, y, x: 0 * g}, FIRST),
    "of another op": ({"rule": lambda g, y, x: 2 * g * x}, FIRST),
    "without g": ({"rule": lambda g, y, x: 3 * x * x + 0 * g}, FIRST),
    "a sum": ({"rule": lambda g, y, x: tg.sum(3 * g * x * x) + 0 * g}, FIRST),
    "x is not recorded": ({"rule": on_data}, SECOND),
    "g is not recorded": ({"rule": by_data}, BY_COTANGENT),
    "no array": ({"rule": lambda g, y, x: 3.0}, "TypeError: cube: a backward rule"),
    "the rule raises": (
        {"rule": lambda g, y, x: g.no_such_attribute},
        "AttributeError: ",
    ),
    "the op raises": ({"forward": lambda x: x + "a"}, "TypeError: cube: "),
    "a NaN": ({"forward": lambda x: x * np.nan}, "the result is not finite"),
    "another shape": (
        {"forward": lambda x: np.sum(x * x * x)},
        "the result does not have the shape of the signature",
    ),
    "a list": (
        {"forward": lambda x: (x * x * x).tolist()},
        "called on arrays it does not return an array",
    ),
    "float64": (
        {"forward": lambda x: x * x * np.multiply(x, 1.0, dtype=np.float64)},
        "for float32, the result is computed in float32 and float64",
    ),
    "float64 on the way back": (
        {"rule": lambda g, y, x: np.float64(3.0) * g * x * x},
        "for float32, the gradient with respect to x is computed in ",
    ),
    "changes its input": (
        {"forward": in_place},
        "it changes an array that was passed in",
    ),
    "changes the cotangent": (
        {"rule": rule_in_place},
        "it changes an array that was passed in",
    ),
}


@pytest.mark.parametrize(("wrong", "claim"), WRONG.values(), ids=WRONG)
def test_a_wrong_op_is_named_with_its_fault_and_call(wrong, claim):
    with pytest.raises(AssertionError) as caught:
        check_op(cube(**wrong))
    first, call, *rest = str(caught.value).splitlines()
    assert first.startswith(f"cube: {claim}")
    assert re.fullmatch(r" +call +cube\(x=.+\)", call)
    if claim in (FIRST, SECOND, BY_COTANGENT):
        facts = [line.split()[0] for line in rest]
        assert facts == ["cotangent", "got", "expected"]


def test_the_failure_is_the_smallest_and_the_same_each_time():
    messages = []
    for _ in range(2):
        with pytest.raises(AssertionError) as caught:
            check_op(cube(rule=lambda g, y, x: -3 * g * x * x))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "cube(x=0.0625)" in messages[0] or "cube(x=-0.0625)" in messages[0]


def test_a_wrong_rule_is_named_by_its_input():
    op = tg.op(np.hypot, name="distance", signature="(),()->()").vjp(
        a=lambda g, y, a, b: g * a / y,
        b=lambda g, y, a, b: g * a / y,
    )
    with pytest.raises(
        AssertionError, match="distance: the gradient with respect to b disagrees"
    ):
        check_op(op)


def test_one_of_many_inputs_is_named_by_its_position():
    @tg.op
    def total(*arrays):
        return sum(arrays)

    total.vjp(arrays=lambda g, y, *arrays: lambda i: -g)
    message = r"total: the gradient with respect to arrays\[0\] [^$]*total\(\[.*\]\)"
    with pytest.raises(AssertionError, match=message):
        check_op(total)


def test_gradients_that_share_memory_are_named():
    memory = {}

    def shared(g, y, a, b):
        answer = memory.setdefault(g.shape, np.zeros(g.shape))
        answer[...] = g
        return answer

    op = tg.op(np.add, name="sum_of_two").vjp(a=shared, b=shared)
    with pytest.raises(AssertionError, match="sum_of_two: gradients share"):
        check_op(op)


def test_an_op_that_is_no_method_is_named():
    op = tg.op(lambda x: x * 1.0, name="ndim").vjp(x=lambda g, y, x: g)
    with pytest.raises(AssertionError, match="ndim: Tensor has no method of this name"):
        check_op(op)


def test_a_method_that_is_another_is_named():
    op = tg.op(lambda x: 2.0 * x, name="detach").vjp(x=lambda g, y, x: 2.0 * g)
    with pytest.raises(AssertionError, match="detach: called on a Tensor, as its meth"):
        check_op(op)


def test_an_op_without_rules_is_named():
    op = tg.op(lambda x: 2 * x, name="twice")
    with pytest.raises(AssertionError, match=r"twice: TypeError: .* no backward rules"):
        check_op(op)
