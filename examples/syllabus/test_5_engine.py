"""Task 5: random calls and random programs, held against tinygrad_edu."""

import engine
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.testing import calls

# The same examples in each run, and however slow the machine is.
same = settings(derandomize=True, deadline=None, max_examples=50)

sides = st.integers(1, 4)
matrices = st.builds(lambda m, k, n: [(m, k), (k, n)], sides, sides, sides)


def check(f, arrays, seed=0):
    """Hold a function's value and gradients against tinygrad_edu's.

    `f` gets an engine, and its Tensors. The gradients are those of the sum of the value
    times random numbers.
    """
    theirs = [tg.Tensor(x, requires_grad=True) for x in arrays]
    expected = f(tg, *theirs)
    weights = np.random.default_rng(seed).normal(size=expected.shape)
    expected.backward(weights)

    mine = [engine.Tensor(x) for x in arrays]
    value = f(engine, *mine)
    np.testing.assert_allclose(value.data, expected.data, err_msg="the value")
    engine.total(engine.multiply(weights, value)).backward()
    for i, (x, right) in enumerate(zip(mine, theirs)):
        gradient = np.zeros(x.data.shape) if right.grad is None else right.grad.data
        message = f"the gradient with respect to input {i}"
        np.testing.assert_allclose(
            x.grad, gradient, rtol=1e-7, atol=1e-12, err_msg=message
        )


def check_op(name, call):
    check(lambda tg, *inputs: getattr(tg, name)(*inputs), call.inputs, call.seed)


@same
@given(calls(tg.OPS["sigmoid"]))
def test_sigmoid(call):
    check_op("sigmoid", call)


@same
@given(calls(tg.OPS["add"]))
def test_add_broadcasts(call):
    check_op("add", call)


@same
@given(calls(tg.OPS["subtract"]))
def test_subtract_broadcasts(call):
    check_op("subtract", call)


@same
@given(calls(tg.OPS["multiply"]))
def test_multiply_broadcasts(call):
    check_op("multiply", call)


@same
@given(calls(tg.OPS["dot"], shapes=matrices))
def test_dot(call):
    check_op("dot", call)


# A step of a program: an op, and which of the earlier values it gets.
steps = st.tuples(
    st.sampled_from(["add", "subtract", "multiply", "dot", "sigmoid"]),
    st.integers(0, 9),
    st.integers(0, 9),
)


@same
@given(st.lists(steps, min_size=1, max_size=10), st.integers(0, 99))
def test_random_programs_use_values_several_times(program, seed):
    """Two square matrices, and new ones of these, again and again."""
    arrays = np.random.default_rng(seed).uniform(-0.5, 0.5, (2, 2, 2))

    def run(tg, *inputs):
        values = list(inputs)
        for name, i, j in program:
            a, b = values[i % len(values)], values[j % len(values)]
            op = getattr(tg, name)
            values.append(op(a) if name == "sigmoid" else op(a, b))
        return values[-1]

    check(run, arrays, seed)


def test_gradients_add_up_in_a_leaf_until_they_are_cleared():
    x = engine.Tensor([1.5, -2.0])
    for _ in range(2):
        engine.total(engine.multiply(x, x)).backward()
    np.testing.assert_allclose(x.grad, [6.0, -8.0])
