"""The graph: who remembers what, in which order, and who forgets in time."""

import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaves import leaf

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import Node, record

# --- What a node remembers ------------------------------------------------------------


def test_a_leaf_was_computed_by_no_op():
    x = leaf()
    assert isinstance(x, Node)
    assert (x.op, x.inputs, x.params, x.grad) == (None, (), None, None)


def test_a_node_remembers_its_op_its_inputs_and_its_parameters():
    x, array = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    y = x * array
    assert y.op is tg.multiply
    assert y.inputs[0] is x
    assert y.inputs[1] is array
    assert y.params is None
    params = {"axis": None, "dtype": None, "keepdims": True}
    assert y.sum(keepdims=True).params == params


def test_record_gives_a_node_of_the_class_of_its_inputs():
    y = record(tg.add, (1.0, leaf()))
    assert type(y) is tg.Tensor
    assert y.item() == 3.0


def test_an_answer_is_an_array_also_without_dimensions():
    assert type((leaf() * 2.0).data) is np.ndarray


def test_one_input_that_requires_a_gradient_is_enough():
    assert (leaf() * tg.Tensor(1.0)).requires_grad
    assert (tg.Tensor(1.0) * leaf()).requires_grad
    assert not (tg.Tensor(1.0) * tg.Tensor(1.0)).requires_grad


@given(program=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=30))
def test_the_order_of_creation_is_a_topological_order(program):
    nodes = [leaf(), leaf()]
    for i, j in program:
        nodes.append(nodes[i % len(nodes)] + nodes[j % len(nodes)])
    for node in nodes:
        assert all(x.index < node.index for x in node.inputs)
    indices = [node.index for node in nodes]
    assert indices == sorted(set(indices))


def test_the_graph_of_a_gradient_is_newer_than_the_graph_of_its_value():
    x = leaf()
    y = x * x * x
    y.backward(create_graph=True)
    assert x.grad.index > y.index


# --- What constants forget ------------------------------------------------------------


def test_a_constant_holds_no_graph():
    y = tg.Tensor(2.0) * tg.Tensor(3.0)
    assert (y.op, y.inputs, y.params) == (None, (), None)


@pytest.mark.usefixtures("no_gc")
def test_a_constant_does_not_keep_its_inputs_alive():
    x = tg.Tensor([1.0, 2.0])
    memory = weakref.ref(x)
    y = x.reshape(2, 1) * x
    del x
    assert memory() is None
    assert y.shape == (2, 2)


@pytest.mark.usefixtures("no_gc")
def test_what_is_computed_under_no_grad_does_not_keep_its_inputs_alive():
    x = leaf()
    memory = weakref.ref(x)
    with tg.no_grad():
        y = (x * x).exp()
    del x
    assert memory() is None
    assert y.item() == np.exp(4.0)


@pytest.mark.usefixtures("no_gc")
def test_a_graph_is_freed_with_its_answer():
    x = leaf()
    hidden = x * x
    memory = weakref.ref(hidden)
    y = hidden + 1.0
    del hidden
    assert memory() is y.inputs[0]
    del y
    assert memory() is None


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize("debug", [False, True])
def test_a_long_chain_is_destroyed_without_recursion(debug):
    length = 20_000 if debug else 200_000
    y = oldest = -leaf()
    memory = weakref.ref(oldest)
    del oldest
    if debug:
        with tg.debug():
            for _ in range(length):
                y = -y
    else:
        for _ in range(length):
            y = -y
    assert memory() is not None
    del y
    assert memory() is None


# --- Raw operands ---------------------------------------------------------------------

OPERANDS = [
    2,
    2.5,
    True,
    np.float32(2.5),
    np.float64(2.5),
    np.int64(2),
    np.bool_(True),
    [1.0, 2.0, 3.0],
    [[1], [2]],
    (True, False, True),
    np.array(2.5, np.float32),
    np.array([[1], [2]], np.int8),
    np.array([True, False, True]),
]


@pytest.mark.parametrize("operand", OPERANDS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_raw_operands_count_as_they_do_for_numpy(operand, dtype):
    """Python numbers are weak (NEP 50): float32 stays float32; NumPy's are not."""
    x = leaf(np.array([0.5, 1.5, 2.5], dtype))
    for answer in (x * operand, operand * x):
        expected = x.data * operand
        assert answer.requires_grad
        np.testing.assert_array_equal(answer.data, expected, strict=True)


@pytest.mark.parametrize("number", [2, 2.5, True])
def test_python_numbers_leave_float32_alone(number):
    assert (leaf(np.float32(0.5)) * number).dtype == np.float32


@pytest.mark.parametrize("operand", OPERANDS, ids=repr)
def test_raw_operands_are_constants_in_the_backward_pass(operand):
    x = leaf([0.5, 1.5, 2.5])
    y = x * operand
    g = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(g)
    expected = (g * np.asarray(operand)).reshape(-1, 3).sum(axis=0)
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-14)


@pytest.mark.parametrize("operand", [1j, np.array([1j]), "2", None, {}, ...])
def test_what_is_no_real_number_is_refused(operand):
    with pytest.raises(TypeError, match="real numbers"):
        _ = leaf() * operand
