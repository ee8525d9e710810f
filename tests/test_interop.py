"""Tensors among the arrays of other libraries: each gets the value, or keeps the graph.

Where a graph would be lost, the error says how to get the value.
"""

import io

import numpy as np
import pytest
from leaves import leaf
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_edu as tg

VALUE = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])


@pytest.fixture
def t():
    """Return a Tensor that has a graph."""
    return leaf(VALUE) * 2.0


# --- Memory that is shared, by DLPack -------------------------------------------------


def from_numpy():
    return np.from_dlpack


def from_torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed").from_dlpack


def from_jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    return jax.numpy.from_dlpack


each_library = pytest.mark.parametrize("get", [from_numpy, from_torch, from_jax])


@each_library
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_another_library_takes_the_value(get, dtype):
    t = tg.Tensor(VALUE, dtype=dtype)
    theirs = get()(t)
    assert type(theirs) is not tg.Tensor
    assert t.__dlpack_device__() == VALUE.__dlpack_device__()
    assert_array_equal(np.asarray(theirs), VALUE.astype(dtype))
    if get is not from_jax:  # whose arrays do not change
        t.data[0, 0] = 7
        assert float(theirs[0, 0]) == 7


@each_library
def test_a_graph_is_not_shared(get, t):
    for recorded in t, leaf(VALUE):
        with pytest.raises(TypeError, match=r"^dlpack: .* graph; .*: t\.detach\(\)$"):
            get()(recorded)
    assert_allclose(np.asarray(get()(t.detach())), 2 * VALUE)


def test_a_compiled_function_does_not_give_its_memory_away():
    f = tg.compile(lambda x: np.from_dlpack(tg.Tensor(x)))
    with pytest.raises(TypeError, match="compile: "):
        f(VALUE)


@pytest.mark.parametrize("name", ["torch", "jax.numpy"])
def test_the_arrays_of_another_library_are_operands(name, t):
    other = pytest.importorskip(name, reason="it is not installed")
    theirs = other.asarray([1.0, 2.0, 4.0])
    for y in (t * theirs, theirs * t, tg.multiply(t, theirs)):
        assert type(y) is tg.Tensor
        x = t.inputs[0]
        y.backward(VALUE, retain_graph=True)
        assert_allclose(y.data, 2 * VALUE * [1, 2, 4])
        assert_allclose(x.grad.data, 2 * VALUE * [1, 2, 4])
        x.zero_grad()


# --- pandas ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda pd, x: pd.Series(x[0]),
        lambda pd, x: pd.DataFrame(x),
        lambda pd, x: pd.Index(x[1]),
        lambda pd, x: np.exp(pd.Series(x[0])),
    ],
)
def test_a_table_on_either_side_of_a_tensor_records(make, t):
    table = make(pytest.importorskip("pandas", reason="pandas is not installed"), VALUE)
    x, array = t.inputs[0], np.asarray(table)
    for y, slope in [
        (table * t, 2 * array),
        (t * table, 2 * array),
        (table - t, np.full(array.shape, -2.0)),
        (np.multiply(table, t), 2 * array),
    ]:
        assert type(y) is tg.Tensor
        y.backward(VALUE, retain_graph=True)
        assert_allclose(x.grad.data, VALUE * slope)
        x.zero_grad()


def test_a_product_with_a_table_says_what_to_write(t):
    table = pytest.importorskip("pandas", reason="pandas is not installed").DataFrame
    with pytest.raises(TypeError, match=r"array: .*graph; use t\.numpy\(\)"):
        table(VALUE) @ t.T
    for y in tg.matmul(table(VALUE), t.T), t @ table(VALUE.T):
        assert y.requires_grad
        assert_allclose(y.data, 2 * VALUE @ VALUE.T)


# --- Value, file and picture ----------------------------------------------------------


def test_numpy_stores_the_value(t, tmp_path):
    file = io.BytesIO()
    np.save(file, t)
    file.seek(0)
    assert_array_equal(np.load(file), t.numpy())
    for save in np.savez, np.savez_compressed:
        save(tmp_path / "x.npz", t, named=t)
        with np.load(tmp_path / "x.npz") as stored:
            assert stored.keys() == {"arr_0", "named"}
            assert_array_equal(stored["named"], t.numpy())
    np.savetxt(tmp_path / "x.txt", t)
    assert_array_equal(np.loadtxt(tmp_path / "x.txt"), t.numpy())


@pytest.mark.parametrize(
    "check",
    [
        np.testing.assert_allclose,
        np.testing.assert_array_equal,
        np.testing.assert_array_almost_equal,
    ],
)
def test_numpys_checks_ask_for_the_value(check, t):
    with pytest.raises(TypeError, match=r"array: .*use t\.numpy\(\) .* to compare"):
        check(t, 2 * VALUE)
    check(t.numpy(), 2 * VALUE)
    check(t.detach(), 2 * VALUE)
    with pytest.raises(AssertionError):
        check(t.detach(), VALUE)


@pytest.fixture
def axes():
    figure = pytest.importorskip("matplotlib.figure", reason="it is not installed")
    return figure.Figure().subplots()


def test_matplotlib_draws_the_value(t, axes):
    (line,) = axes.plot(t[0])
    assert_array_equal(line.get_ydata(), 2 * VALUE[0])
    (line,) = axes.plot(t[1], t[0])
    assert_array_equal(line.get_xdata(), 2 * VALUE[1])
    counts, _, _ = axes.hist(t[0], bins=2)
    assert counts.tolist() == [1, 2]


def test_matplotlib_elsewhere_asks_for_the_value(t, axes):
    with pytest.raises(TypeError, match=r"array: .*use t\.numpy\(\) .* plot"):
        axes.imshow(t)
    axes.imshow(t.numpy())


# --- Weights --------------------------------------------------------------------------


def torch_network(torch):
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2, bias=False)
    )


def own_network(dtype):
    last = tg.nn.Linear(4, 2, bias=False, dtype=dtype)
    return tg.nn.Sequential(tg.nn.Linear(3, 4, dtype=dtype), tg.tanh, last)


def test_a_network_of_pytorch_gives_its_weights():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs, ours = torch_network(torch), own_network(np.float32)
    ours.load_state_dict(theirs.state_dict())
    x = VALUE.astype(np.float32)
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    assert_allclose(ours(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    for p in theirs.parameters():  # the memory is not shared
        p.data.zero_()
    assert_allclose(ours(x).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_weights_of_pytorch_that_do_not_fit_are_told_and_how_to_convert_them():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs, ours = torch_network(torch), own_network(np.float64)
    state = theirs.state_dict()
    with pytest.raises(ValueError, match=r"float32 \(4, 3\); convert it: np\.asarray"):
        ours.load_state_dict(state)
    ours.load_state_dict({k: np.asarray(x, "float64") for k, x in state.items()})
    with pytest.raises(ValueError, match=r"0\.weight: Parameter is no array: .*detach"):
        ours.load_state_dict(dict(theirs.named_parameters()))
    state["0.bias"] = torch.zeros(4, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"0\.bias: Tensor is no array: .*BFloat16"):
        ours.load_state_dict(state)


def test_pytorch_takes_our_weights():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs, ours = torch_network(torch), own_network(np.float32)
    state = {k: torch.from_dlpack(x) for k, x in ours.state_dict().items()}
    theirs.load_state_dict(state)
    x = VALUE.astype(np.float32)
    found = theirs(torch.from_numpy(x)).detach().numpy()
    assert_allclose(found, ours(x).numpy(), rtol=1e-5, atol=1e-6)
