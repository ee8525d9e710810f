"""The Tensor: what it takes, how it answers, and what it refuses to do in silence."""

import contextlib
import copy
import operator
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaves import leaf

import tinygrad_edu as tg
from tinygrad_edu.engine.tensor import Tensor

# --- Making one -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (2.0, np.float64, ()),
        (2, np.int64, ()),
        (True, np.bool_, ()),
        ([1.0, 2], np.float64, (2,)),
        ([[1, 2], [3, 4]], np.int64, (2, 2)),
        ((), np.float64, (0,)),
        (np.float16(2), np.float16, ()),
        (np.ones((2, 3), np.float32), np.float32, (2, 3)),
        (np.ones(2, np.longdouble), np.longdouble, (2,)),
        (np.ones(2, np.uint8), np.uint8, (2,)),
        (Tensor([1.0]), np.float64, (1,)),
        ([Tensor([1.0]), Tensor([2.0])], np.float64, (2, 1)),
        (range(3), np.int64, (3,)),
    ],
    ids=repr,
)
def test_a_tensor_has_the_dtype_and_shape_that_numpy_gives(data, dtype, shape):
    t = Tensor(data)
    assert (t.dtype, t.shape, t.ndim) == (dtype, shape, len(shape))
    assert t.size == t.data.size
    assert type(t.data) is np.ndarray
    assert not t.requires_grad
    assert t.is_leaf
    assert t.grad is None
    assert t.name is None


def test_dtype_converts():
    assert Tensor([1, 2], dtype=np.float32).dtype == np.float32
    assert Tensor([1.9], dtype=int).data.tolist() == [1]
    assert Tensor([1, 2], requires_grad=True, dtype=float).requires_grad


def test_a_name_is_kept():
    assert Tensor(1.0, name="slope").name == "slope"


def test_a_constant_shares_the_arrays_memory(rng):
    array = rng.standard_normal(3)
    assert Tensor(array).data is array
    assert Tensor(Tensor(array)).data is array
    assert np.shares_memory(Tensor(array[1:]).data, array)


class Exporter:
    """Something that NumPy makes an array of in its own way."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize(
    "wrap",
    [
        lambda array: array,
        lambda array: array[1:],
        lambda array: array.T,
        lambda array: array.view(np.matrix) if array.ndim == 2 else array[:],
        lambda array: Tensor(array),
        lambda array: Tensor(array, requires_grad=True),
        lambda array: memoryview(array),
        lambda array: Exporter(array),
        lambda array: Exporter(array[1:]),
    ],
)
@pytest.mark.parametrize("dtype", [None, np.float64])
def test_a_leaf_has_a_copy_of_the_data(rng, wrap, dtype):
    array = rng.standard_normal((3, 2))
    data = wrap(array)
    x = Tensor(data, requires_grad=True, dtype=dtype)
    source = data.data if isinstance(data, Tensor) else array
    assert not np.shares_memory(x.data, source)
    before = x.data.copy()
    source[...] = 0.0
    np.testing.assert_array_equal(x.data, before)


def test_a_tensor_made_of_a_tensor_is_a_new_leaf():
    x = leaf([1.0, 2.0])
    y = Tensor(x, requires_grad=True)
    (y * 3.0).sum().backward()
    assert x.grad is None
    assert y.grad.data.tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    "data",
    [
        1j,
        [1.0, 1j],
        np.ones(2, np.complex64),
        "1.0",
        ["a"],
        b"1",
        None,
        [None],
        ...,
        {"a": 1.0},
        [[1.0], "a"],
        np.array(["2020-01-01"], "M8[D]"),
        np.array([1], "m8[s]"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [None, float])
def test_a_tensor_holds_real_numbers_only(data, dtype):
    for requires_grad in (False, True):
        with pytest.raises((TypeError, ValueError)):
            Tensor(data, requires_grad, dtype)


def test_complex_numbers_are_told_the_way_out():
    with pytest.raises(TypeError, match=r"complex128; pass \.real and \.imag"):
        Tensor([1j])


@pytest.mark.parametrize("data", [1, [1, 2], True, np.ones(2, np.uint8)], ids=repr)
def test_integers_and_booleans_have_no_gradient(data):
    with pytest.raises(TypeError, match=r"(int|bool).* pass dtype=float"):
        Tensor(data, requires_grad=True)


@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_a_dtype_without_gradient_is_refused(dtype):
    with pytest.raises(TypeError, match="only floats can have a gradient"):
        Tensor([1.0], requires_grad=True, dtype=dtype)


# --- Operators ------------------------------------------------------------------------

ARITHMETIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
OTHERS = {
    "number": 1.5,
    "integer": 2,
    "list": [0.5, 1.5, 2.5],
    "nested list": [[0.5], [1.5]],
    "tuple": (0.5, 1.5, 2.5),
    "array": np.array([[0.5, 1.5, 2.5], [1.25, 0.75, 2.0]]),
    "array without dimensions": np.array(1.5),
    "NumPy number": np.float64(1.5),
    "NumPy integer": np.int64(2),
    "Tensor": Tensor([0.5, 1.5, 2.5]),
}


def check_value_and_gradient(function, x, rng):
    """Judge by NumPy, and by a difference along a random direction."""
    y = function(x)
    assert type(y) is Tensor
    assert y.requires_grad
    assert y.op is not None
    np.testing.assert_array_equal(y.data, function(x.data))
    g, v, step = rng.standard_normal(y.shape), rng.standard_normal(x.shape), 2.0**-17
    x.zero_grad()
    y.backward(g)
    up, down = function(x.data + step * v), function(x.data - step * v)
    slope = np.sum(g * (np.asarray(up) - down)) / (2 * step)
    np.testing.assert_allclose(np.sum(x.grad.data * v), slope, rtol=1e-7, atol=1e-8)


def plain(x):
    return x.data if isinstance(x, Tensor) else np.asarray(x)


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize("sign", ARITHMETIC)
def test_arithmetic_from_either_side(sign, other, rng):
    operate = ARITHMETIC[sign]
    x = leaf(rng.uniform(0.5, 2.0, 3))

    def on_the_left(t):
        return operate(t, other if isinstance(t, Tensor) else plain(other))

    def on_the_right(t):
        return operate(other if isinstance(t, Tensor) else plain(other), t)

    check_value_and_gradient(on_the_left, x, rng)
    check_value_and_gradient(on_the_right, x, rng)


@pytest.mark.parametrize("wrap", [list, np.asarray, Tensor])
def test_matrix_products_from_either_side(wrap, rng):
    matrix = rng.standard_normal((3, 3))
    other = wrap(matrix.tolist() if wrap is list else matrix)
    x = leaf(rng.standard_normal((3, 3)))
    check_value_and_gradient(
        lambda t: t @ (other if isinstance(t, Tensor) else matrix), x, rng
    )
    check_value_and_gradient(
        lambda t: (other if isinstance(t, Tensor) else matrix) @ t, x, rng
    )


@pytest.mark.parametrize(
    "function",
    [
        operator.neg,
        operator.pos,
        operator.abs,
        np.exp,
        np.negative,
        np.tanh,
        lambda x: np.add(x, np.ones(3)),
        lambda x: np.multiply(np.full((2, 1), 3.0), x),
        lambda x: np.sum(x, axis=0),
        lambda x: np.mean(x),
    ],
)
def test_unary_operators_and_numpys_functions_record(function, rng):
    check_value_and_gradient(function, leaf(rng.uniform(0.5, 2.0, 3)), rng)


@pytest.mark.parametrize("other", [None, "a", ..., 1j, {}], ids=repr)
@pytest.mark.parametrize("sign", ARITHMETIC)
def test_what_is_no_number_is_no_operand(sign, other):
    with pytest.raises(TypeError):
        ARITHMETIC[sign](leaf([1.0]), other)
    with pytest.raises(TypeError):
        ARITHMETIC[sign](other, leaf([1.0]))


# --- Comparisons ----------------------------------------------------------------------

COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize("sign", COMPARISONS)
def test_comparisons_give_plain_arrays_of_bool_from_either_side(sign, other):
    compare = COMPARISONS[sign]
    x = leaf([0.5, 1.5, 2.0])
    for answer, expected in (
        (compare(x, other), compare(x.data, plain(other))),
        (compare(other, x), compare(plain(other), x.data)),
    ):
        assert not isinstance(answer, Tensor)
        np.testing.assert_array_equal(answer, expected, strict=True)
        assert answer.dtype == bool


def test_a_comparison_chooses_without_being_differentiated():
    x = leaf([-1.0, 2.0])
    tg.where(x > 0, x * 3.0, 0.0).backward([0.5, 0.7])
    np.testing.assert_allclose(x.grad.data, [0.0, 2.1])


def test_equal_tensors_are_two_keys():
    a, b = Tensor([1.0]), Tensor([1.0])
    assert (a == b).all()
    assert len({a, b, a}) == 2
    assert {a: "first", b: "second"}[b] == "second"
    assert hash(a) != hash(b)


# --- Numbers, lengths, rows -----------------------------------------------------------


def test_one_element_becomes_a_python_number():
    for x in (leaf(2.5), leaf([2.5]), leaf([[2.5]])):
        assert (float(x), int(x), x.item(), bool(x)) == (2.5, 2, 2.5, True)
        assert type(x.item()) is type(float(x)) is float
    assert type(int(Tensor(3))) is type(Tensor(3).item()) is int
    assert not Tensor(0.0)


@pytest.mark.parametrize("convert", [float, int, bool, Tensor.item])
def test_more_than_one_element_is_no_number(convert):
    with pytest.raises((TypeError, ValueError)):
        convert(leaf([1.0, 2.0]))


def test_len_counts_rows():
    assert len(leaf(np.ones((2, 3)))) == 2
    assert len(Tensor([])) == 0
    with pytest.raises(TypeError):
        len(leaf(1.0))


def test_iteration_gives_recorded_rows(rng):
    x = leaf(rng.standard_normal((2, 3)))
    first, second = x
    np.testing.assert_array_equal(second.data, x.data[1])
    g = rng.standard_normal(3)
    (first * second).backward(g)
    np.testing.assert_allclose(x.grad.data, g * x.data[::-1], rtol=1e-15)


def test_a_number_has_no_rows():
    with pytest.raises(TypeError, match="without dimensions"):
        iter(leaf(1.0))


def test_numpy_gives_the_array_itself():
    x = leaf([1.0])
    assert x.numpy() is x.data


def test_detach_gives_a_constant_that_shares_memory():
    x = leaf([1.0, 2.0], name="x")
    y = (x * 2.0).detach()
    assert not y.requires_grad
    assert y.is_leaf
    d = x.detach()
    assert d.data is x.data
    assert d.name == "x"
    (d * x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, x.data)


def test_zero_grad_forgets_the_gradient():
    x = leaf(2.0)
    (x * 3.0).backward()
    assert x.grad.item() == 3.0
    x.zero_grad()
    assert x.grad is None


# --- Shapes and indices ---------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.T,
        lambda x: x.transpose(),
        lambda x: x.transpose(2, 0, 1),
        lambda x: x.transpose((2, 0, 1)),
        lambda x: x.transpose([2, 0, 1]),
        lambda x: x.transpose(-1, 0, 1),
        lambda x: x.transpose(None),
        lambda x: x.transpose(np.int64(2), np.int64(0), np.int64(1)),
        lambda x: x.reshape(6, 4),
        lambda x: x.reshape((6, 4)),
        lambda x: x.reshape([6, 4]),
        lambda x: x.reshape(-1),
        lambda x: x.reshape(2, -1),
        lambda x: x[0],
        lambda x: x[-1, 1:, ::2],
        lambda x: x[..., None, 0],
        lambda x: x[[0, 0, 1]],
        lambda x: x[np.array([1, 0]), :, [0, 3]],
        lambda x: x[np.ones((2, 3), bool)],
        lambda x: x[1, 2, 3],
        lambda x: x[()],
    ],
)
def test_shapes_and_indices_are_those_of_numpy(function, rng):
    check_value_and_gradient(function, leaf(rng.standard_normal((2, 3, 4))), rng)


@pytest.mark.parametrize("axes", [(1, 2, 0), (-1, 0, 1), (1, -1, -3), (-3, -2, -1)])
def test_the_gradient_of_a_transpose_finds_its_way_back(axes, rng):
    """The sides are equal, so that a wrong way back would have the right shape."""
    x, g = leaf(rng.standard_normal((3, 3, 3))), rng.standard_normal((3, 3, 3))
    x.transpose(axes).backward(g)
    v = rng.standard_normal((3, 3, 3))
    expected = np.vdot(g, v.transpose(axes))
    np.testing.assert_allclose(np.vdot(x.grad.data, v), expected, rtol=1e-13)


def test_transpose_of_a_vector_takes_its_one_axis(rng):
    for axis in (0, -1, np.int64(0)):
        check_value_and_gradient(lambda x, a=axis: x.transpose(a), leaf([1.0, 2]), rng)


def test_transpose_takes_an_array_of_axes(rng):
    x = leaf(rng.standard_normal((2, 3)))
    check_value_and_gradient(lambda x: x.transpose(np.array([1, 0])), x, rng)


def test_reshape_to_no_dimensions(rng):
    check_value_and_gradient(lambda x: x.reshape(()), leaf([2.0]), rng)


@pytest.mark.parametrize(
    ("index", "same"),
    [
        (Tensor([2, 0, 0]), np.array([2, 0, 0])),
        (Tensor(1), 1),
        (Tensor([True, False, True]), np.array([True, False, True])),
        ((Tensor([0, 1]), Tensor([1, 1])), (np.array([0, 1]), np.array([1, 1]))),
        ((slice(None), Tensor([1])), (slice(None), np.array([1]))),
        (Tensor(np.array([2, 1], np.uint8)), np.array([2, 1])),
    ],
    ids=repr,
)
def test_integer_and_boolean_tensors_are_indices(index, same, rng):
    x = leaf(rng.standard_normal((3, 2)))
    check_value_and_gradient(
        lambda t: t[index if isinstance(t, Tensor) else same], x, rng
    )


def test_a_constant_tensor_is_an_index_of_an_array():
    array = np.arange(5.0)
    np.testing.assert_array_equal(array[Tensor([2, 0])], [2.0, 0.0])


def test_a_float_tensor_is_no_index():
    with pytest.raises(IndexError, match="getitem"):
        _ = leaf([1.0, 2.0])[Tensor([0.0])]


# --- In words -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (Tensor(2.0), "Tensor(2.)"),
        (Tensor([1, 2]), "Tensor([1, 2])"),
        (Tensor([True]), "Tensor([ True])"),
        (Tensor([1.0, 2.5]), "Tensor([1. , 2.5])"),
        (Tensor([[1.0], [2.0]]), "Tensor([[1.],\n        [2.]])"),
        (Tensor(np.float32(2)), "Tensor(2., dtype=float32)"),
        (leaf([1.0]), "Tensor([1.], requires_grad=True)"),
        (leaf([1.0]) * 2.0, "Tensor([2.], op=multiply)"),
        (
            leaf([1.0], dtype=np.float32).exp() * 0.0,
            "Tensor([0.], dtype=float32, op=multiply)",
        ),
    ],
    ids=lambda x: "" if isinstance(x, str) else None,
)
def test_repr_shows_value_dtype_and_origin(tensor, text):
    assert repr(tensor) == text


# --- What is not written to -----------------------------------------------------------


@pytest.mark.parametrize("tensor", [leaf([1.0, 2.0]), Tensor([1.0, 2.0])])
def test_writing_into_a_tensor_is_refused_with_a_way_out(tensor):
    for index in (0, slice(None), np.array([True, False])):
        with pytest.raises(TypeError, match=r"where\(\), concatenate\(\) or stack\(\)"):
            tensor[index] = 5.0
    assert tensor.data.tolist() == [1.0, 2.0]


IN_PLACE = [
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.ipow,
    operator.imod,
    operator.ifloordiv,
]


@pytest.mark.parametrize("operate", IN_PLACE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("wrap", [Tensor, np.asarray, leaf, list])
def test_a_leaf_is_written_to_under_no_grad(operate, dtype, wrap, rng):
    t = other_name = leaf(rng.uniform(1, 3, 4), dtype=dtype)
    memory, wanted = t.data, t.data.copy()
    numbers = rng.uniform(1, 3, 4)
    wanted = operate(wanted, numbers)
    with tg.no_grad():
        t = operate(t, wrap(numbers))
    assert t is other_name
    assert t.is_leaf
    assert t.requires_grad
    assert t.data is memory, "in its own memory"
    assert t.dtype == dtype
    np.testing.assert_array_equal(memory, wanted)


def test_a_matrix_is_multiplied_in_place(rng):
    t = leaf(rng.standard_normal((3, 3)))
    memory, a, before = t.data, rng.standard_normal((3, 3)), t.data.copy()
    with tg.no_grad():
        t @= a
    assert t.data is memory
    np.testing.assert_allclose(memory, before @ a)


@pytest.mark.parametrize("operate", [*IN_PLACE, operator.imatmul])
def test_a_leaf_is_not_written_to_while_recording(operate):
    t = leaf(np.eye(2))
    with pytest.raises(
        TypeError, match=r"\w+: .* a leaf .*with tg\.no_grad.*t = t - u"
    ):
        operate(t, np.eye(2))
    assert t.data.tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("operate", IN_PLACE)
@pytest.mark.parametrize("recording", [True, False])
@pytest.mark.parametrize("make", [Tensor, lambda x: leaf(x) * 1.0])
def test_any_other_tensor_becomes_a_new_one(operate, make, recording, rng):
    old = t = make([1.0, 2.0])
    array, before = old.data, old.data.copy()
    with contextlib.nullcontext() if recording else tg.no_grad():
        t = operate(t, 3.0)
    assert t is not old
    assert old.data is array
    np.testing.assert_array_equal(old.data, before)
    np.testing.assert_array_equal(t.data, operate(before, 3.0))
    assert t.requires_grad == (old.requires_grad and recording)


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (np.ones((2, 3)), ValueError, r"subtract: .*\(3,\).*\(2, ?3\)"),
        (
            np.ones(2),
            ValueError,
            r"subtract: shapes .* do not broadcast",
        ),
        (1j, TypeError, "subtract: .*complex"),
    ],
)
def test_what_does_not_fit_a_leaf_changes_nothing(other, error, message):
    t = leaf([1.0, 2.0, 3.0])
    with tg.no_grad(), pytest.raises(error, match=message):
        t -= other
    assert t.data.tolist() == [1.0, 2.0, 3.0]


def descend_in_place(p, lr):
    with tg.no_grad():
        p -= lr * p.grad


def descend_in_the_array(p, lr):
    p.data -= lr * p.grad


def assign_a_tensor(p, lr):
    p.data = p.data - lr * p.grad


def assign_an_array(p, lr):
    p.data = p.data - lr * p.grad.data


def descend_by_a_ufunc(p, lr):
    np.subtract(p.data, lr * p.grad, out=p.data)


DESCENTS = [
    descend_in_place,
    descend_in_the_array,
    assign_a_tensor,
    assign_an_array,
    descend_by_a_ufunc,
]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("descend", DESCENTS)
def test_the_loop_that_every_tutorial_writes_trains_as_sgd_does(descend, compiled):
    """Whichever way the update is written; in a compiled step as well."""
    x, y = tg.data.xor(np.float32)

    def train(update_of):
        model = tg.nn.MLP([2, 3, 1], rng=0, dtype=np.float32)
        update = update_of(model)

        def step(x, y):
            loss = tg.losses.mse(model(x), y)
            for p in model.parameters():
                p.zero_grad()
            loss.backward()
            update()
            return loss

        run = tg.compile(step) if compiled else step
        losses = [run(x, y).item() for _ in range(5)]
        return losses, [p.data for p in model.parameters()]

    def by_hand(model):
        def update():
            for p in model.parameters():
                descend(p, 0.5)

        return update

    wanted = train(lambda model: tg.optim.SGD(model.parameters(), lr=0.5).step)
    found = train(by_hand)
    assert found[0][-1] < found[0][0]
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-6)
    for p, q in zip(found[1], wanted[1]):
        assert p.dtype == np.float32
        np.testing.assert_allclose(p, q, rtol=1e-5, atol=1e-7)


def test_a_recorded_value_is_not_written_to_an_array():
    array, t = np.ones(2), leaf([1.0, 2.0])
    for lose in (lambda: operator.iadd(array, t), lambda: np.add(array, t, out=array)):
        with pytest.raises(TypeError, match=r"add: .*a = a \+ t.*no_grad"):
            lose()
    assert array.tolist() == [1.0, 1.0]
    with pytest.raises(TypeError, match="exp: out= must be an array"):
        np.exp(array, out=Tensor([1.0, 2.0]))
    with tg.no_grad():
        array += t
    array += Tensor([1.0, 2.0])
    assert array.tolist() == [3.0, 5.0]


# --- What may be assigned to `.data` --------------------------------------------------


@pytest.mark.parametrize(
    "value", ["x", [1.0, 2.0], 3.0, None, np.array(["a"]), np.array([1j]), object()]
)
def test_data_takes_arrays_and_tensors_of_real_numbers_only(value):
    t = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match=r"data: (assign an array|a Tensor holds real)"):
        t.data = value
    assert t.data.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("make", [np.asarray, Tensor, leaf])
def test_data_becomes_an_array(make, rng):
    t, value = leaf([1.0, 2.0]), make(rng.standard_normal(2))
    t.grad = Tensor([1.0, 1.0])
    t.data = value
    assert type(t.data) is np.ndarray
    assert np.shares_memory(t.data, value if make is np.asarray else value.data)
    assert t.grad is not None
    number = leaf(1.0)
    number.data = np.float64(2.0)
    assert type(number.data) is np.ndarray


@pytest.mark.parametrize(
    "value", [np.ones(3), np.ones((2, 1)), np.ones(2, np.float32)], ids=repr
)
def test_data_of_another_shape_or_dtype_takes_the_place_of_value_and_gradient(value):
    t = leaf([1.0, 2.0])
    (t * t).sum().backward()
    t.data = value
    assert (t.shape, t.dtype) == (value.shape, value.dtype)
    assert t.grad is None, "it would not fit"
    (t * t).sum().backward()
    assert (t.grad.shape, t.grad.dtype) == (value.shape, value.dtype)


def test_data_of_integers_is_for_constants():
    t, constant = leaf([1.0, 2.0]), Tensor([1.0, 2.0])
    with pytest.raises(
        TypeError, match=r"data: only floats .* not int64; .*astype\(float\)"
    ):
        t.data = np.array([1, 2])
    constant.data = np.array([1, 2])
    assert constant.dtype == np.int64


def test_the_value_of_a_computed_tensor_is_not_assigned():
    t = leaf([1.0, 2.0])
    y = t * t
    with pytest.raises(TypeError, match="data: an op computed this Tensor"):
        y.data = np.zeros(2)
    y.sum().backward()
    assert t.grad.data.tolist() == [2.0, 4.0]


def test_what_comes_after_data_is_named():
    with pytest.raises(TypeError, match="positional"):
        Tensor([1.0, 2.0], "float32")


@pytest.mark.parametrize(
    "tensor",
    [leaf([1.0]), leaf([1.0]) * 2.0, leaf(1.0), leaf(1.0) * 2.0],
    ids=["leaf", "computed", "leaf number", "computed number"],
)
@pytest.mark.parametrize(
    "lose",
    [
        np.asarray,
        np.array,
        lambda t: np.array([t, t]),
        lambda t: np.asarray(t, np.float32),
        lambda t: np.full(2, t),
        lambda t: np.ones(1).__setitem__(slice(None), t),
        lambda t: np.ones((2, 2)).__setitem__((0, slice(1)), t),
        lambda t: Tensor([t, t]),
    ],
)
def test_a_graph_is_not_lost_in_an_array(tensor, lose):
    with pytest.raises(TypeError, match=r"graph.*t\.numpy\(\).*stack\(\) or concat"):
        lose(tensor)


def test_a_graph_of_many_elements_is_not_lost_in_one_element_of_an_array():
    array = np.ones(2)
    with pytest.raises((TypeError, ValueError), match=r"graph|array element"):
        array[0] = leaf([1.0, 2.0])
    assert array.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("make", [leaf, lambda x: leaf(x) * 1.0])
def test_an_element_of_an_array_takes_no_recorded_number(make):
    """NumPy asks for ``float(t)``, and the instruction says what for."""
    array, x = np.zeros(2), make(3.0)
    with pytest.raises(ValueError, match="setting an array element") as caught:
        array[0] = x
    assert re.match(
        "setitem: .* lose the gradient; .*item", str(caught.value.__cause__)
    )
    with pytest.raises(ValueError, match="setting an array element"):
        array[1] += x
    assert array.tolist() == [0.0, 0.0]
    array[0] = float(x)
    array[1] = x.item()
    with tg.no_grad():
        array[1] += x
    assert array.tolist() == [3.0, 6.0]
    array[0] = Tensor(5.0)
    assert array[0] == 5.0


def test_a_constant_becomes_an_array():
    t = Tensor([1, 2])
    assert np.asarray(t) is t.data or np.shares_memory(np.asarray(t), t.data)
    assert not np.shares_memory(np.array(t), t.data)
    assert np.asarray(t, np.float32).dtype == np.float32
    array = np.zeros(2)
    array[:] = t
    assert array.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="copy"):
        np.array(t, float, copy=False)


def test_what_numpy_offers_beyond_a_call_is_refused():
    x = leaf([1.0, 2.0])
    for call in (
        lambda: np.add(x, 1.0, out=np.ones(2)),
        lambda: np.add(x, 1.0, where=np.array([True, False])),
        lambda: np.add.at(np.ones(2), [0], x),
        lambda: np.nextafter(x, 0.5),
    ):
        with pytest.raises(TypeError):
            call()


# --- The gradient is assigned to ------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (2, 3)])
@pytest.mark.parametrize(
    "wrap", [np.asarray, np.float64, Tensor, lambda g: g.astype(np.float32)]
)
def test_an_array_or_a_tensor_may_be_the_gradient_so_far(wrap, shape, dtype, rng):
    w, c, before = (
        leaf(np.ones(shape), dtype=dtype),
        rng.normal(size=shape),
        rng.normal(size=shape),
    )
    w.grad = wrap(before)
    assert type(w.grad) is Tensor
    assert w.grad.dtype == dtype
    (w * c).sum().backward()
    np.testing.assert_allclose(w.grad.data, before + c, rtol=1e-5, atol=1e-6)
    assert w.grad.dtype == dtype
    w.grad = None
    assert w.grad is None


def test_whole_numbers_as_a_gradient_become_floats():
    w = leaf(np.ones(2))
    w.grad = np.array([1, 2])
    assert w.grad.dtype == np.float64
    tg.optim.SGD([w], lr=1.0).step()
    assert w.data.tolist() == [0.0, -1.0]


def test_a_recorded_gradient_stays_recorded():
    w = leaf(np.float32(3.0), dtype=np.float32)
    w.grad = (w * w).astype(np.float64)
    assert w.grad.dtype == np.float32
    w.grad.backward()
    assert w.grad.item() == 15.0, "9 that was there, and 2 w"


@pytest.mark.parametrize("value", [0, 0.0, 1, False, "0", [0.0, 0.0], {}, object()])
def test_what_is_no_gradient_is_refused_where_it_is_assigned(value):
    w = leaf(np.ones(2))
    w.grad = np.ones(2)
    with pytest.raises(TypeError, match=r"^grad: assign an array .* None to clear"):
        w.grad = value
    assert w.grad.data.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("wrap", [np.asarray, Tensor])
def test_a_gradient_of_another_shape_or_kind_is_refused(wrap):
    w = leaf(np.ones(2))
    with pytest.raises(
        ValueError, match=r"^grad: the gradient has shape \(3,\), and .* \(2,\)"
    ):
        w.grad = wrap(np.ones(3))
    with pytest.raises(TypeError, match=r"^grad: .* real numbers.*complex128"):
        w.grad = np.ones(2) * 1j
    assert w.grad is None


def test_a_gradient_is_assigned_in_a_compiled_function_too():
    w = leaf(np.ones(2))
    optimiser = tg.optim.SGD([w], lr=1.0)

    @tg.compile
    def step(g):
        w.grad = g
        optimiser.step()

    for n in (1.0, 2.0):
        step(np.array([n, 0.5]))
    assert w.data.tolist() == [-2.0, 0.0]
    with pytest.raises(ValueError, match="grad: the gradient has shape"):
        step(np.ones(3))
    assert w.data.tolist() == [-2.0, 0.0]


# --- Copies ---------------------------------------------------------------------------

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
}
each_copy = pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES.keys())


@each_copy
def test_a_copied_leaf_trains_on_its_own(duplicate, rng):
    for shape in ((), (2, 3)):
        x = leaf(rng.standard_normal(shape), name="W1", dtype=np.float32)
        y = duplicate(x)
        np.testing.assert_array_equal(y.data, x.data, strict=True)
        assert (type(y), y.name, y.requires_grad, y.is_leaf) == (Tensor, "W1", 1, 1)
        assert y is not x
        before, c = x.data.copy(), rng.standard_normal(shape)
        (y * c).sum().backward()
        np.testing.assert_allclose(y.grad.data, c, rtol=1e-6)
        assert x.grad is None
        tg.optim.SGD([y], lr=0.5).step()
        np.testing.assert_array_equal(x.data, before)
        np.testing.assert_allclose(y.data, before - 0.5 * c, rtol=1e-5, atol=1e-6)


@each_copy
def test_a_copied_constant_is_a_constant(duplicate):
    y = duplicate(Tensor([1, 2], name="labels"))
    assert y.data.tolist() == [1, 2]
    assert (y.name, y.requires_grad) == ("labels", False)


@each_copy
def test_a_copy_is_newer_than_what_was_made_before(duplicate):
    x = leaf(2.0)
    y = x * 3.0
    assert duplicate(x).index > y.index


@each_copy
def test_a_computed_tensor_is_not_copied(duplicate):
    y = leaf([1.0]) * 2.0
    with pytest.raises(TypeError, match=r"copy: .*detach\(\)"):
        duplicate(y)
    y.sum().backward()
    with pytest.raises(TypeError, match=r"copy: .*detach\(\)"):
        duplicate(y)


# --- Sizes ----------------------------------------------------------------------------


@given(shape=st.lists(st.integers(0, 3), max_size=4))
def test_size_and_ndim_are_those_of_the_array(shape):
    t = Tensor(np.empty(shape))
    assert (t.shape, t.ndim, t.size) == (t.data.shape, t.data.ndim, t.data.size)


@pytest.mark.parametrize("name", [3, ["a"], b"x", np.ones(2)])
def test_a_name_is_a_string(name):
    kind = type(name).__name__
    with pytest.raises(
        TypeError, match=f"^Tensor: the name must be a string, .* {kind}:"
    ):
        tg.Tensor(2.0, name=name)
