"""Networks: which parameters they have, how those are drawn, what comes out."""

import copy
import pickle
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.nn import MLP, Linear, Module


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def parameter(value=1.0):
    return tg.Tensor(value, requires_grad=True)


# --- Modules --------------------------------------------------------------------------


def test_parameters_are_found_in_attributes_lists_tuples_dicts_and_parts():
    class Part(Module):
        def __init__(self):
            self.scale = parameter()

    class Whole(Module):
        def __init__(self):
            self.bias = parameter()
            self.layers = [parameter(), Part()]
            self.pair = (parameter(), "no parameter")
            self.heads = {"left": parameter(), "right": [Part()], 3: parameter()}
            self.part = Part()

    whole = Whole()
    assert list(whole.named_parameters()) == [
        "bias",
        "layers.0",
        "layers.1.scale",
        "pair.0",
        "heads.left",
        "heads.right.0.scale",
        "heads.3",
        "part.scale",
    ]
    assert whole.parameters() == list(whole.named_parameters().values())
    assert whole.named_parameters()["part.scale"] is whole.part.scale


def test_constants_and_computed_tensors_are_no_parameters():
    module = Module()
    module.constant = tg.Tensor(1.0)
    module.computed = parameter() * 2.0
    module.number = 1.0
    module.nothing = None
    module.text = "text"
    assert module.parameters() == []


def test_a_shared_parameter_is_found_once_under_its_first_path():
    module = Module()
    module.first = module.second = parameter()
    module.parts = [module.first, {"again": module.first}]
    assert list(module.named_parameters()) == ["first"]


def test_equal_parameters_are_two():
    module = Module()
    module.first, module.second = parameter(), parameter()
    assert len(module.parameters()) == 2


def test_a_part_may_refer_to_its_owner():
    owner, part = Module(), Module()
    owner.part, part.owner = part, owner
    part.weight = parameter()
    assert owner.parameters() == [part.weight]


def test_a_module_is_called_on_its_input():
    class Double(Module):
        def forward(self, x):
            return 2 * x

    assert Double()(3) == 6


def test_a_module_without_forward_says_what_is_missing():
    class Empty(Module):
        pass

    with pytest.raises(TypeError, match=r"Empty: define forward\(self, x\)"):
        Empty()(1.0)


@pytest.mark.parametrize("module", [Module(), Linear(1, 1), MLP([1, 1])])
def test_a_mistyped_attribute_raises(module):
    with pytest.raises(AttributeError, match="wieghts"):
        _ = module.wieghts


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_a_copied_network_trains_on_its_own(duplicate, rng):
    model = MLP([2, 3, 1], rng=0)
    twin = duplicate(model)
    x = rng.standard_normal((4, 2))
    before = model(x).data
    np.testing.assert_array_equal(twin(x).data, before)
    assert list(twin.named_parameters()) == list(model.named_parameters())
    twin(x).sum().backward()
    tg.optim.SGD(twin.parameters(), lr=1.0).step()
    np.testing.assert_array_equal(model(x).data, before)
    assert not np.array_equal(twin(x).data, before)


# --- What comes out -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2,), (4, 2), (5, 4, 2)])
def test_a_layer_is_the_product_with_the_transpose_plus_the_bias(shape, rng):
    layer, x = Linear(2, 3, rng=0), rng.standard_normal(shape)
    assert (layer.weight.shape, layer.bias.shape) == ((3, 2), (3,))
    expected = x @ layer.weight.data.T + layer.bias.data
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-14)


def test_a_network_is_sigmoid_of_layer_after_layer(rng):
    model, x = MLP([2, 4, 3, 1], rng=0), rng.standard_normal((5, 2))
    a = x
    for w, b in zip(model.weights, model.biases):
        z = a @ w.data.T + b.data
        a = 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(model.logits(x).data, z, rtol=1e-13)
    np.testing.assert_allclose(model(x).data, a, rtol=1e-13)


def test_a_network_takes_tensors_and_their_gradient_comes_back(rng):
    model = MLP([2, 3, 1], rng=0)
    x, g = parameter(rng.standard_normal((4, 2))), rng.standard_normal((4, 1))
    model(x).backward(g)
    v, step = rng.standard_normal((4, 2)), 2.0**-17
    up, down = model(x.data + step * v).data, model(x.data - step * v).data
    slope = np.vdot(g, up - down) / (2 * step)
    np.testing.assert_allclose(np.vdot(x.grad.data, v), slope, rtol=1e-7)


def test_weights_and_biases_are_named():
    model = MLP([2, 3, 1])
    assert [w.name for w in model.weights] == ["W1", "W2"]
    assert [b.name for b in model.biases] == ["b1", "b2"]
    assert [w.shape for w in model.weights] == [(3, 2), (1, 3)]
    assert [b.shape for b in model.biases] == [(3,), (1,)]
    assert model.parameters() == [*model.weights, *model.biases]


def test_the_shape_of_the_input_is_checked():
    with pytest.raises(ValueError, match=r"linear: .*do not align: 3 .* != 2"):
        MLP([2, 1])(np.ones((4, 3)))


# --- How parameters are drawn ---------------------------------------------------------


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
@pytest.mark.parametrize("init", ["scaled", "large"])
def test_all_biases_are_drawn_first_and_then_all_weights(make, init):
    sizes = [5, 4, 3, 2]
    model, rng = MLP(sizes, rng=make(7), init=init), make(7)
    for b, n_out in zip(model.biases, sizes[1:]):
        np.testing.assert_array_equal(b.data, rng.standard_normal(n_out))
    for w, n_in, n_out in zip(model.weights, sizes, sizes[1:]):
        scale = np.sqrt(n_in) if init == "scaled" else 1.0
        expected = rng.standard_normal((n_out, n_in)) / scale
        np.testing.assert_array_equal(w.data, expected)


def test_the_legacy_generator_draws_what_randn_draws():
    """Nielsen's programs: ``randn(n, 1)`` for a bias, ``randn(n, m)`` for a weight."""
    model, legacy = MLP([3, 2, 1], np.random.RandomState(1)), np.random.RandomState(1)
    expected = [legacy.randn(2, 1), legacy.randn(1, 1)]
    for b, column in zip(model.biases, expected):
        np.testing.assert_array_equal(b.data, column[:, 0])
    np.testing.assert_array_equal(model.weights[0].data, legacy.randn(2, 3) / 3**0.5)
    np.testing.assert_array_equal(model.weights[1].data, legacy.randn(1, 2) / 2**0.5)


def test_a_generator_is_advanced_by_what_is_drawn():
    rng = np.random.default_rng(0)
    first, second = MLP([2, 1], rng=rng), MLP([2, 1], rng=rng)
    assert not np.array_equal(first.weights[0].data, second.weights[0].data)


def test_a_seed_gives_the_same_network_again():
    def bits(model):
        return [p.data.tobytes() for p in model.parameters()]

    for make in (lambda seed: MLP([3, 2, 1], seed), lambda seed: Linear(3, 2, seed)):
        assert bits(make(5)) == bits(make(5)) == bits(make(np.random.default_rng(5)))
        assert bits(make(5)) != bits(make(6))
        assert bits(make(None)) != bits(make(None))


def test_a_layer_draws_its_bias_and_then_its_weight():
    layer, rng = Linear(3, 2, rng=4), np.random.default_rng(4)
    np.testing.assert_array_equal(layer.bias.data, rng.standard_normal(2))
    expected = rng.standard_normal((2, 3)) / np.sqrt(3)
    np.testing.assert_array_equal(layer.weight.data, expected)


def test_scaled_weights_give_moderate_sums_whatever_the_number_of_inputs():
    for init, deviation in (("scaled", 1 / np.sqrt(900)), ("large", 1.0)):
        w = Linear(900, 400, rng=0, init=init).weight.data
        np.testing.assert_allclose(w.std(), deviation, rtol=0.01)
        assert abs(w.mean()) < 0.01 * deviation


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_have_the_dtype_that_is_asked_for(dtype):
    x = np.ones((4, 2), dtype)
    for module in (MLP([2, 3, 1], 0, dtype=dtype), Linear(2, 1, 0, dtype=dtype)):
        assert {p.dtype for p in module.parameters()} == {np.dtype(dtype)}
        y = module(x)
        assert y.dtype == dtype
        y.sum().backward()
        assert {p.grad.dtype for p in module.parameters()} == {np.dtype(dtype)}


def test_parameters_are_double_precision_by_default():
    assert {p.dtype for p in MLP([2, 1]).parameters()} == {np.dtype(np.float64)}


# --- Errors ---------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[], [2], [2, 0], [0, 2], [2, -1, 2]])
def test_a_network_has_at_least_two_sizes_each_at_least_one(sizes):
    message = re.escape(f"nn: the sizes are {sizes}; give at least two")
    with pytest.raises(ValueError, match=message):
        MLP(sizes)


def test_a_layer_has_positive_sizes():
    for sizes in ((0, 1), (1, 0), (-1, 2)):
        with pytest.raises(ValueError, match="each at least 1"):
            Linear(*sizes)


def test_an_unknown_initialisation_is_told_the_known_ones():
    message = "init is 'scaled', 'large', 'xavier' or 'he', and not 'huge'"
    for make in (lambda: MLP([2, 1], init="huge"), lambda: Linear(2, 1, init="huge")):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize("dtype", [int, complex])
def test_parameters_are_real_floats(dtype):
    with pytest.raises(TypeError, match="Tensor"):
        MLP([2, 1], dtype=dtype)


def test_sizes_are_a_list():
    with pytest.raises(TypeError, match=r"the sizes are a list, as in \[784, 30, 10\]"):
        tg.nn.MLP(2, 3)
