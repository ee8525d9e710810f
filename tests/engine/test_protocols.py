"""NumPy's functions on Tensors: recorded, answered, or refused with a way out."""

import inspect
import warnings

import numpy as np
import pytest
from leaves import leaf
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.engine import protocols
from tinygrad_edu.engine.op import OPS


@pytest.fixture
def x():
    return leaf([[1.0, 2.0, 4.0], [3.0, 5.0, 0.5]])


# --- What records ---------------------------------------------------------------------

# Calls in every form that NumPy takes. Each is made on a Tensor and on its array.
CALLS = {
    "positional axis": lambda x: np.sum(x, 0),
    "axis, dtype, out, keepdims by place": lambda x: np.sum(x, 1, None, None, True),
    "dtype": lambda x: np.sum(x, dtype=np.float32),
    "the array by name": lambda x: np.sum(a=x, axis=1),
    "another's name for it": lambda x: np.expand_dims(a=x, axis=0),
    "amax": lambda x: np.amax(x, axis=1),
    "amin": lambda x: np.amin(x, axis=(0, 1), keepdims=True),
    "around": lambda x: np.around(x, 1),
    "round": lambda x: np.round(x, decimals=1),
    "clip by place": lambda x: np.clip(x, 1.5, 3.5),
    "clip by old names": lambda x: np.clip(x, a_min=1.5, a_max=None),
    "out=None": lambda x: np.max(x, axis=0, out=None),
    "the shape by place": lambda x: np.reshape(x, (3, 2)),
    "clip by new names": lambda x: np.clip(x, min=1.5, max=3.5),
    "the shape by its new name": lambda x: np.reshape(x, shape=(3, 2)),
    "order='C'": lambda x: np.reshape(x, (3, 2), order="C"),
    "mod": lambda x: np.mod(x, 1.25),
    "degrees": np.degrees,
    "radians": np.radians,
    "fabs": np.fabs,
    "absolute": np.absolute,
    "true_divide": lambda x: np.true_divide(2.0, x),
    "conj": np.conj,
    "real": np.real,
    "copy": np.copy,
    "where": lambda x: np.where(x > 2, x, 0.0),
    "permute_dims": lambda x: np.permute_dims(x, (1, 0)),
    "concatenate": lambda x: np.concatenate((x, np.ones((1, 3))), axis=0),
    "concat": lambda x: np.concat([x, x], 1),
    "concatenate by place": lambda x: np.concatenate([x, x], 1, None),
    "dot with out=None": lambda x: np.dot(x, x.T, None),
    "stack": lambda x: np.stack([x, 2 * x], axis=-1),
    "array @ tensor": lambda x: np.ones((2, 2)) @ x,
    "array - tensor": lambda x: np.ones(3) - x,
    "scalar * tensor": lambda x: np.float64(2.0) * x,
    "scalar ** tensor": lambda x: np.float32(2.0) ** x,
    "array // tensor": lambda x: np.full(3, 7.25) // x,
    "tensor % number": lambda x: x % 1.25,
    "number % tensor": lambda x: 7.25 % x,
    "number // tensor": lambda x: 7.25 // x,
    "tensor // number": lambda x: x // 1.75,
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "einsum, implicit": lambda x: np.einsum("ij", x, optimize=True),
    "einsum, lists": lambda x: np.einsum(x, [0, 1], [1]),
    "pad": lambda x: np.pad(x, 1, "edge"),
    "split": lambda x: np.split(x, 3, axis=1)[1],
    "vstack": lambda x: np.vstack([x, np.ones(3)]),
    "append": lambda x: np.append(x, np.ones((1, 3)), axis=0),
    "partition": lambda x: np.partition(x, 1),
    "flatten": lambda x: x.flatten(),
    "method copy": lambda x: x.copy(),
    "method round": lambda x: x.round(1),
    "method clip": lambda x: x.clip(1.5, 3.5),
    "method sum": lambda x: x.sum(axis=0),
}
if np.lib.NumpyVersion(np.__version__) < "2.1.0":  # NumPy itself has not these names
    del CALLS["clip by new names"], CALLS["the shape by its new name"]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_records_and_gives_what_numpy_gives(call, x):
    y = call(x)
    assert isinstance(y, Tensor)
    assert y.requires_grad
    expected = call(x.data)
    assert y.dtype == expected.dtype
    assert_allclose(y.data, expected, rtol=1e-15)


def test_gradients_come_through_numpys_functions(x):
    weights = np.array([1.0, -2.0, 0.5])
    y = np.sum(np.concatenate((np.square(x), np.ones((1, 3)))) * weights, 0)
    np.dot(y, weights).backward()
    assert_allclose(x.grad.data, 2 * x.data * weights**2)


def test_every_function_that_has_an_op_of_its_name_goes_to_it():
    """And its parameters bear NumPy's names, so that they can be passed by name."""
    wrong = {}
    for function, op in protocols._OPS.items():
        if isinstance(function, np.ufunc):
            continue
        names = protocols.defaults_of(function)
        if not names or function is np.pad:  # it takes some by *args or **kwargs
            continue
        taken = [protocols.PARAMETERS.get(p, p) for p in names]
        if lacking := [p for p in op.defaults if p not in taken]:
            wrong[op.name] = lacking
    assert wrong == {}


def test_arrays_like_a_tensor_are_stacked(x):
    a, b = x[0, 0], x[0, 1]
    y = np.array([[a, b], [b * b, 3.0]], like=x)
    assert_array_equal(y.data, [[1, 2], [4, 3]])
    np.sum(y * np.array([[1.0, 10.0], [100.0, 1000.0]])).backward()
    assert_array_equal(x.grad.data, [[1, 410, 0], [0, 0, 0]])
    assert np.asarray([a, b], dtype=np.float32, like=x).dtype == np.float32


def test_lists_of_tensors_are_appended(x):
    y = np.append(x, [x[0, 1], 3.0, [x[1, 1], 1.0][0]])
    assert_array_equal(y.data, [1, 2, 4, 3, 5, 0.5, 2, 3, 5])
    y.backward(np.arange(9.0))
    assert_array_equal(x.grad.data, [[0, 1 + 6, 2], [3, 4 + 8, 5]])
    rows = np.append([[x[0, 0], 2.0, 3.0], [1.0, 1.0, 1.0]], x, axis=0)
    assert_array_equal(rows.data[:2], [[1, 2, 3], [1, 1, 1]])
    assert_array_equal(np.append([[1.0, 2.0]], x[:, :2], axis=0).data[0], [1, 2])


# Arguments in the forms that NumPy takes, for each shape of array that fits.
FLAT, TABLE, CUBE = (3,), (2, 3), (2, 3, 2)
SHAPES = [(), (1,), (0,), FLAT, TABLE, (2, 0), CUBE]
AXES = [None, 0, -1, 1, -2, (), (0,), (0, -1), np.array(0), np.array([0]), np.int64(-1)]
FORMS = [
    (np.append, TABLE, lambda f, x: f(x, x)),
    (np.append, TABLE, lambda f, x: f(x, x, axis=np.int64(-1))),
    (np.array_split, FLAT, lambda f, x: f(x, np.array([1, 2]))[1]),
    (np.atleast_2d, (), lambda f, x: f(x)),
    (np.average, TABLE, lambda f, x: f(x, -1, [1.0, 2.0, 3.0])),
    (np.broadcast_to, FLAT, lambda f, x: f(x, np.array([2, 3]))),
    (np.clip, TABLE, lambda f, x: f(x, np.array([0.9, 1.0, 1.1]), None)),
    (np.concatenate, TABLE, lambda f, x: f((x, 2 * x, np.ones(2)), None)),
    (np.concatenate, TABLE, lambda f, x: f([x, 2 * x], axis=np.array(1))),
    (np.convolve, FLAT, lambda f, x: f(x, np.arange(5.0), "same")),
    (np.convolve, FLAT, lambda f, x: f([1.0, 2.0], x, mode="valid")),
    (np.corrcoef, TABLE, lambda f, x: f(x, None, False)),
    (np.cov, TABLE, lambda f, x: f(x, x[:1], True, True)),
    (np.cov, FLAT, lambda f, x: f(x, ddof=0)),
    (np.cross, FLAT, lambda f, x: f(x, np.arange(3.0), -1, -1, -1, 0)),
    (np.cumprod, (), lambda f, x: f(x, 0)),
    (np.cumprod, (), lambda f, x: f(x, axis=-1)),
    (np.cumsum, CUBE, lambda f, x: f(x, np.array(1), None)),
    (np.diag, TABLE, lambda f, x: f(x, np.int64(1))),
    (np.diagonal, CUBE, lambda f, x: f(x, 0, -1, 0)),
    (np.diff, TABLE, lambda f, x: f(x, 1, np.array(0), x[:1])),
    (np.diff, TABLE, lambda f, x: f(x, 2, append=0.5, axis=-1)),
    (np.expand_dims, TABLE, lambda f, x: f(x, (0, -1))),
    (np.expand_dims, TABLE, lambda f, x: f(x, np.int64(-1))),
    (np.flip, CUBE, lambda f, x: f(x, (0, np.int64(-1)))),
    (np.gradient, FLAT, lambda f, x: f(x)),
    (np.gradient, FLAT, lambda f, x: f(x, np.array([0.0, 1.0, 3.0]), edge_order=2)),
    (np.gradient, TABLE, lambda f, x: f(x, 0.5, axis=1)),
    (np.gradient, TABLE, lambda f, x: f(x, 0.5)[1]),
    (np.gradient, TABLE, lambda f, x: f(x, 1, 1)[0]),
    (np.gradient, TABLE, lambda f, x: f(x, 0.5, np.array([0.0, 1.0, 3.0]))[1]),
    (np.gradient, CUBE, lambda f, x: f(x, 0.5, 2.0, axis=(2, 0))[1]),
    (np.heaviside, TABLE, lambda f, x: f(x, 0.5)),
    (np.interp, FLAT, lambda f, x: f(x, [0.0, 1.0, 3.0], [2.0, 3.0, 5.0], None, -1.0)),
    (np.kron, TABLE, lambda f, x: f(x, np.ones((0, 2)))),
    (np.ldexp, TABLE, lambda f, x: f(x, np.array([3, -1, 0]))),
    (np.linalg.eigh, (2, 2), lambda f, x: f(x + x.T)[0]),
    (np.linalg.eigvalsh, (2, 2), lambda f, x: f(x + x.T)),
    (np.linalg.matrix_power, (2, 2), lambda f, x: f(x, 3)),
    (np.linalg.multi_dot, TABLE, lambda f, x: f([x, x.T, np.ones(2)])),
    (np.linalg.norm, TABLE, lambda f, x: f(x, None, np.int64(1), True)),
    (np.linalg.norm, TABLE, lambda f, x: f(x, "fro", (-1, 0))),
    (np.linalg.norm, TABLE, lambda f, x: f(x, "nuc", keepdims=True)),
    (np.linalg.norm, CUBE, lambda f, x: f(x, 2, (0, 2))),
    (np.linalg.norm, CUBE, lambda f, x: f(x, -2, (2, 1), keepdims=True)),
    (np.linalg.qr, TABLE, lambda f, x: f(x)[1]),
    (np.linalg.svd, TABLE, lambda f, x: f(x, False).S),
    (np.linalg.svdvals, TABLE, lambda f, x: f(x)),
    (np.linspace, FLAT, lambda f, x: f(x, 9.0, 4, False)),
    (np.linspace, FLAT, lambda f, x: f(-1, x, num=3, axis=-1)),
    (np.matmul, TABLE, lambda f, x: f(x, np.ones((3, 0)))),
    (np.moveaxis, CUBE, lambda f, x: f(x, np.array([0, 1]), np.array([-1, 0]))),
    (np.nan_to_num, FLAT, lambda f, x: f(x, nan=1.0)),
    (np.pad, TABLE, lambda f, x: f(x, np.array([[1, 0], [0, 2]]))),
    (np.partition, TABLE, lambda f, x: f(x, np.array([1]), None)),
    (np.ravel, TABLE, lambda f, x: f(x, "F")),
    (np.repeat, TABLE, lambda f, x: f(x, np.array([1, 0, 2]), np.array(1))),
    (np.reshape, TABLE, lambda f, x: f(x, np.array([3, 2]))),
    (np.reshape, TABLE, lambda f, x: f(x, [-1, 2])),
    (np.reshape, (2, 0), lambda f, x: f(x, (0, 5))),
    (np.reshape, TABLE, lambda f, x: f(x, np.int64(-1), "C")),
    (np.roll, TABLE, lambda f, x: f(x, np.array([1, -1]), (0, 1))),
    (np.rollaxis, CUBE, lambda f, x: f(x, -1)),
    (np.rot90, TABLE, lambda f, x: f(x, -1, np.array([1, 0]))),
    (np.select, FLAT, lambda f, x: f([x > 1, x > 0], [x, 2 * x], 3.0)),
    (np.select, FLAT, lambda f, x: f([x > 1], [x], default=9.0)),
    (np.sinc, TABLE, lambda f, x: f(x)),
    (np.sort, TABLE, lambda f, x: f(x, None)),
    (np.split, TABLE, lambda f, x: f(x, np.array([1]), -1)[1]),
    (np.squeeze, (1, 2, 1), lambda f, x: f(x, np.int64(-1))),
    (np.stack, TABLE, lambda f, x: f((x, x), -2)),
    (np.stack, (), lambda f, x: f([x, 2 * x])),
    (np.sum, TABLE, lambda f, x: f(x, -1, None, None, True)),
    (np.swapaxes, CUBE, lambda f, x: f(x, np.array(0), -1)),
    (np.take, TABLE, lambda f, x: f(x, np.array([[0, -1]]), np.array(1))),
    (np.take, TABLE, lambda f, x: f(x, 2)),
    (np.take_along_axis, TABLE, lambda f, x: f(x, np.array([[0, 2]]), -1)),
    (np.tensordot, TABLE, lambda f, x: f(x, x, np.array([[1], [1]]))),
    (np.tensordot, TABLE, lambda f, x: f(x, np.ones(2), ([0], [0]))),
    (np.tile, TABLE, lambda f, x: f(x, np.array([2, 1]))),
    (np.trace, CUBE, lambda f, x: f(x, 0, -2, -1)),
    (np.transpose, CUBE, lambda f, x: f(x, np.array([2, 0, 1]))),
    (np.transpose, TABLE, lambda f, x: f(x, [-1, 0])),
    (np.transpose, (), lambda f, x: f(x, ())),
    (np.tril, TABLE, lambda f, x: f(x, np.int64(-1))),
    (np.var, TABLE, lambda f, x: f(x, (0, 1), None, None, 1, True)),
    (np.vsplit, TABLE, lambda f, x: f(x, np.array([1]))[0]),
]
BY_AXIS = [
    f
    for f, op in protocols._OPS.items()
    if "axis" in op.defaults
    and (op.variadic or op.inputs == ("x",))
    and set(op._required) <= {"axis"}
    and f is not np.gradient  # of several axes, it gives several arrays
]


def _run(call, function, x):
    """Return what a call gives, or the error with which NumPy refuses it."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of nothing, say
        try:
            return call(function, x)
        except (TypeError, ValueError, ZeroDivisionError) as error:
            return error


def _check_form(call, function, value):
    """Hold a call against NumPy's on arrays, and its gradient against differences."""
    expected = _run(call, function, value)
    if isinstance(expected, Exception):
        return  # what NumPy does not take, we may
    x = leaf(value)
    y = _run(call, function, x)
    assert isinstance(y, Tensor), y
    assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
    assert_allclose(y.data, expected, rtol=1e-14)
    rng = np.random.default_rng(0)
    g, v = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    with np.errstate(all="ignore"):
        y.backward(g)
    if x.size == 0:  # there is nothing to move
        assert x.grad.shape == value.shape
        return
    up, down = (_run(call, function, value + h * v) for h in (1e-6, -1e-6))
    slope = np.sum(g * (up - down)) / 2e-6
    assert_allclose(np.sum(x.grad.data * v), slope, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("function", "shape", "call"),
    FORMS,
    ids=[f"{f.__name__}-{i}" for i, (f, *_) in enumerate(FORMS)],
)
def test_each_form_of_an_argument_is_taken(function, shape, call):
    assert not isinstance(_run(call, function, np.ones(shape)), Exception)
    _check_form(call, function, np.random.default_rng(1).uniform(0.5, 2.0, shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("function", BY_AXIS, ids=lambda f: f.__name__)
def test_each_form_of_an_axis_is_taken(function, shape):
    value = np.random.default_rng(1).uniform(0.5, 2.0, shape)
    given = (lambda x: [x, x]) if protocols._OPS[function].variadic else lambda x: x
    for axis in AXES:
        _check_form(lambda f, x, a=axis: f(given(x), axis=a), function, value)
        if list(protocols.defaults_of(function))[1:2] == ["axis"]:
            _check_form(lambda f, x, a=axis: f(given(x), a), function, value)


def test_functions_written_in_c_are_called_as_numpy_tells():
    if np.lib.NumpyVersion(np.__version__) < "2.4.0":
        pytest.skip("NumPy before 2.4 does not tell")
    for function in protocols.WRITTEN_IN_C:
        theirs = inspect.signature(function).parameters.values()
        assert protocols.defaults_of(function) == {p.name: p.default for p in theirs}


@pytest.mark.parametrize("digits", [(), (0,), (2,), (-1,)])
def test_pythons_round_is_numpys(digits):
    x = leaf([12.345, -6.5])
    y = round(x, *digits)
    assert y.op is tg.round
    assert_array_equal(y.data, np.round(x.data, *digits))


@pytest.mark.parametrize("value", [3.14159, [2.71828], [[7]], np.float32(0.1), True])
@pytest.mark.parametrize("spec", [".3f", "10.2e", "+", ".0%", ""])
def test_one_element_is_formatted_as_pythons_number(value, spec):
    t = Tensor(value)
    expected = format(t.data.item(), spec) if spec else repr(t)
    assert format(t, spec) == expected
    assert format(leaf(t.data.astype(float)) * 1.0, ".2f") == f"{t.data.item():.2f}"


def test_several_elements_have_no_format(x):
    with pytest.raises(
        TypeError, match=r"format: '.2f' formats one .* \(2, 3\); format"
    ):
        format(x, ".2f")
    assert f"{x}" == repr(x)


def test_a_loss_is_printed_while_it_is_differentiated(capsys):
    def f(x):
        y = x * x
        print(f"loss {y:.2f}")
        return y

    assert tg.grad(f)(3.0) == 6
    assert capsys.readouterr().out == "loss 9.00\n"


# --- What is answered at once ---------------------------------------------------------

QUERIES = {
    "shape": np.shape,
    "ndim": np.ndim,
    "size": np.size,
    "argmax": lambda x: np.argmax(x, axis=1),
    "argmin": np.argmin,
    "argsort": lambda x: np.argsort(x, axis=0),
    "nonzero": lambda x: np.nonzero(x > 2),
    "count_nonzero": np.count_nonzero,
    "searchsorted": lambda x: np.searchsorted([1.0, 2.0], x),
    "isfinite": np.isfinite,
    "isnan": np.isnan,
    "signbit": np.signbit,
    "all": np.all,
    "any": lambda x: np.any(x, axis=0),
    "isclose": lambda x: np.isclose(x, 2.0),
    "allclose": lambda x: np.allclose(x, b=x),
    "array_equal": lambda x: np.array_equal(x, x),
    "zeros_like": np.zeros_like,
    "ones_like": np.ones_like,
    "full_like": lambda x: np.full_like(x, 3.0),
    "result_type": lambda x: np.result_type(x, np.float32),
    "iscomplexobj": np.iscomplexobj,
    "isreal": np.isreal,
    "imag": np.imag,
    "logical_not": np.logical_not,
    "less": lambda x: np.less(x, 2.0),
    "array >= tensor": lambda x: np.ones(3) >= x,
    "isin": lambda x: np.isin(x, [2.0, 3.0]),
    "unique": np.unique,
    "method argmax": lambda x: x.argmax(axis=1),
    "method any": lambda x: x.any(),
    "method tolist": lambda x: x.tolist(),
    "method nonzero": lambda x: x.nonzero(),
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_query_gives_plain_arrays_and_numbers(query, x):
    answer, expected = query(x), query(x.data)
    parts = answer if isinstance(answer, tuple | list) else [answer]
    assert not any(isinstance(part, Tensor) for part in parts)
    assert type(answer) is type(expected)
    assert_array_equal(answer, expected)


def test_numpys_own_words_for_an_array(x):
    assert np.array2string(x) == np.array2string(x.data)
    assert np.array_repr(x) == np.array_repr(x.data)


# --- What is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.nansum(x), r"nansum: .*; write tg\.where\(.*\.sum.* \.data"),
        (lambda x: np.histogram(x), r"histogram: .* work on Tensors; for .* \.data"),
        (lambda x: np.nextafter(x, 0.5), "nextafter: .* does not work on Tensors"),
        (lambda x: np.linalg.eig(x), r"eig: .* pass \.data"),
        (lambda x: np.fft.fft(x), "fft: .* does not work on Tensors"),
        (
            lambda x: np.sum(x, out=np.ones(())),
            "sum: .* accept out=; .* a = a [+] t",
        ),
        (lambda x: np.sum(x, where=x > 1), "sum: .* not accept where=; call it as sum"),
        (
            lambda x: np.sum(x, initial=1.0),
            "sum: .* accept initial=; call it as sum",
        ),
        (
            lambda x: np.reshape(x, (3, 2), order="F"),
            "reshape: .* not accept order=; call",
        ),
        (lambda x: np.exp(x, out=np.ones((2, 3))), "exp: .*a = a [+] t"),
        (
            lambda x: np.add(x, 1, where=x > 1),
            r"add: .* not accept where=; use np\.where",
        ),
        (
            lambda x: np.exp(x, dtype=np.float32),
            "exp: .* not accept dtype=; use .*astype",
        ),
        (lambda x: np.add.reduce(x), r"add\.reduce: .*write np\.sum"),
        (lambda x: np.maximum.accumulate(x), r"maximum\.accumulate: .* \.data"),
        (lambda x: np.sum(x, axes=0), "axes"),
        (
            lambda x: np.ones((2, 3)).__iadd__(x),
            "add: writing .* to an array",
        ),
        (lambda x: np.ones((2, 3)).__imul__(x), "multiply: writing .* to an array"),
        (lambda x: np.copyto(np.ones((2, 3)), x), "copyto: .* does not work"),
        (lambda x: np.asarray([x, x]), "stack"),
    ],
)
def test_what_is_refused_names_the_function_and_the_way_out(call, message, x):
    with pytest.raises(TypeError, match=message):
        call(x)


def test_an_error_in_a_call_is_the_ops_own(x):
    with pytest.raises(ValueError, match=r"add: shapes \(2, 3\) and \(2,\) do not br"):
        np.add(x, np.ones(2))
    with pytest.raises(ValueError, match="sum: axis 7 is out of bounds"):
        np.sum(x, 7)
    with pytest.raises(ValueError, match="concatenate: "):
        np.concatenate([x, np.ones(3)])


def test_an_op_of_ones_own_takes_the_calls_of_its_name(x):
    i0 = tg.op(np.i0, signature="()->()").vjp(x=lambda g, y, x: g * y)
    assert np.i0(x).op is i0


# --- The table ------------------------------------------------------------------------


def test_parameters_stand_in_numpys_order():
    """So that a call by place means the same here as there, less what is left out."""
    wrong = {}
    for name, op in OPS.items():
        function = protocols._numpy(name)
        if function is None or isinstance(function, np.ufunc) or op.variadic:
            continue
        names = list(protocols.defaults_of(function))[len(op.inputs) :]
        names = [protocols.PARAMETERS.get(p, p) for p in names]
        ours = [p for p in op.defaults if p in names]
        assert ours or not (names and op.defaults), name
        if ours != sorted(ours, key=names.index):
            wrong[name] = ours
    assert wrong == {}
