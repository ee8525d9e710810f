"""Networks: which parameters they have, how those are drawn, what comes out."""

import contextlib
import copy
import functools
import pickle
import random
import re
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from tinygrad_edu.nn import (
    MLP,
    Dropout,
    Function,
    Linear,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
)
from tinygrad_edu.nn.initialising import INITIALISATIONS, draw_bias, draw_weight


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


def test_parameters_are_found_in_a_dataclass():
    @dataclass(frozen=True)
    class Line:
        slope: tg.Tensor
        parts: list

    class Whole(Module):
        def __init__(self):
            self.line = Line(parameter(2.0), [parameter(3.0)])

    whole = Whole()
    found = {"line.slope": 2.0, "line.parts.0": 3.0}
    assert {path: x.item() for path, x in whole.state_dict().items()} == found
    whole.load_state_dict({path: np.array(-x) for path, x in found.items()})
    assert whole.line.slope.item() == -2


def test_a_dataclass_may_be_a_module():
    @dataclass(eq=False)
    class Scale(Module):
        by: tg.Tensor

        def forward(self, x):
            return self.by * x

    scale = Scale(parameter(3.0))
    assert list(scale.named_parameters()) == ["by"]
    assert tg.compile(lambda f, x: f(x))(scale, 2.0).item() == 6
    with pytest.raises(TypeError, match="grad: cannot differentiate with respect to"):
        tg.grad(lambda f: f(2.0))(scale)


def test_a_loop_over_pairs_of_parameters_is_told_of_items():
    layer = Linear(2, 3)
    with pytest.raises(TypeError, match=r"^named_parameters: .*write `for name, p in "):
        for _name, _parameter in layer.named_parameters():
            pass
    for name, p in layer.named_parameters().items():
        assert getattr(layer, name) is p
    assert type(next(iter(layer.state_dict()))) is str
    assert pickle.loads(pickle.dumps([*layer.named_parameters()])) == ["weight", "bias"]


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


def test_two_parameters_do_not_share_a_path():
    module = Module()
    module.heads = {3: parameter(), "3": parameter()}
    with pytest.raises(
        ValueError, match=r"Module: two parameters have the same path, heads\.3"
    ):
        module.parameters()


def test_parts_in_a_chain_of_thousands_are_found():
    chain = Module()
    chain.weight = weight = parameter()
    for _ in range(5000):
        outer = Module()
        outer.part = [chain]
        chain = outer
    (path,) = chain.named_parameters()
    assert path == "part.0." * 5000 + "weight"
    assert chain.parameters() == [weight]


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


class Activated(Module):
    """A model that holds an op, and a compiled function of its own."""

    def __init__(self):
        self.layer = Linear(2, 2, rng=0)
        self.activation = tg.relu
        self.compiled = tg.compile(self.forward, style="readable")

    def forward(self, x):
        return self.activation(self.layer(x))


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_a_model_that_holds_an_op_or_a_compiled_function_is_copied(duplicate, rng):
    model = Activated()
    x = rng.standard_normal((4, 2))
    expected = model.compiled(x).data
    twin = duplicate(model)
    assert twin.activation is tg.relu
    np.testing.assert_array_equal(twin.compiled(x).data, expected)
    assert "def step" in twin.compiled.source
    twin.layer.weight.data[...] = 0.0
    assert np.ptp(twin.compiled(x).data, axis=0).max() == 0.0, "its own layer's"
    np.testing.assert_array_equal(model.compiled(x).data, expected)


@tg.compile
def doubled(x):
    return 2.0 * x


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_of_a_compiled_function_of_a_module_is_itself(duplicate):
    assert duplicate(doubled) is doubled


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_of_another_compiled_function_compiles_on_its_own(duplicate):
    compiled = tg.compile(lambda x: 3.0 * x, style="readable", keep=1)
    compiled(1.0)
    twin = duplicate(compiled)
    assert twin is not compiled
    assert twin(2.0) == 6.0
    assert twin.source == compiled.source


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_model_and_its_optimiser_are_copied_together(duplicate, rng):
    model = Sequential(Linear(2, 2, rng=0), Dropout(0.5, rng=0), Linear(2, 1, rng=0))
    optimiser = tg.optim.Adam(model.parameters(), lr=0.1)
    x = rng.standard_normal((4, 2))

    def train(model, optimiser):
        for _ in range(3):
            optimiser.zero_grad()
            model(x).sum().backward()
            optimiser.step()
        return [p.data for p in model.parameters()]

    train(model, optimiser)
    twin, its_optimiser, history = duplicate(
        (model, optimiser, tg.train.History({"loss": [1.0]}))
    )
    assert history["loss"] == [1.0]
    expected = train(model, optimiser)
    for a, b in zip(train(twin, its_optimiser), expected, strict=True):
        np.testing.assert_array_equal(a, b)


# --- Functions as parts ---------------------------------------------------------------


class Shift:
    def __call__(self, x):
        return x + 1.0


FUNCTIONS = {
    "relu": tg.relu,
    "softmax": functools.partial(functools.partial(tg.softmax), axis=-1),
    "tanh": np.tanh,
    "<lambda>": lambda x: 2.0 * x,
    "Shift": Shift(),
    "doubled": doubled,
    "logits": MLP([3, 2], rng=0).logits,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_function_may_be_a_part(name, rng):
    function, layer = FUNCTIONS[name], Linear(2, 3, rng=0)
    model = Sequential(layer, function)
    x = rng.standard_normal((4, 2))
    with tg.no_grad():  # where a compiled function may run
        expected = function(layer(x))
        np.testing.assert_array_equal(model(x).data, expected.data, strict=True)
    assert repr(model) == f"Sequential(Linear(2, 3), {name})"
    assert isinstance(model[1], Function)
    shapes = {row[0]: row[1] for row in model.summary((4, 2))}
    if name != "logits":
        assert shapes[f"1: {name}"] == expected.shape


def test_a_function_in_a_row_passes_its_gradient_on(rng):
    x, g = parameter(rng.standard_normal((4, 2))), rng.standard_normal((4, 2))
    Sequential(tg.tanh, last=np.square)(x).backward(g)
    y = np.tanh(x.data)
    np.testing.assert_allclose(x.grad.data, g * 2 * y * (1 - y**2), rtol=1e-13)


def test_a_method_of_a_module_has_its_parameters():
    inner = MLP([3, 2], rng=0)
    model = Sequential(Linear(2, 3, rng=0), inner.logits)
    assert [id(p) for p in model.parameters()[2:]] == [*map(id, inner.parameters())]


# --- What a module is called on -------------------------------------------------------


class Attention(Module):
    def __init__(self):
        self.inner = Scaled()

    def forward(self, q, k, *more, scale=1.0, **others):
        return self.inner(q, by=k) * scale + sum(more) + sum(others.values())


class Scaled(Module):
    def forward(self, x, *, by):
        return x * by


def test_a_module_takes_whatever_its_forward_takes():
    model, x = Attention(), parameter(2.0)
    assert model(x, 3.0).item() == 6.0
    assert model(x, 3.0, 5.0, 7.0, scale=2.0, other=11.0).item() == 35.0
    assert model(k=3.0, q=x).item() == 6.0
    assert model(function=3.0, q=x, k=1.0).item() == 5.0, "no keyword is taken away"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'k'"):
        model(x)
    y = model(x, 3.0, scale=2.0)
    y.backward()
    assert x.grad.item() == 6.0


def test_a_summary_follows_calls_with_several_arguments():
    class Siamese(Module):
        def __init__(self):
            self.scaled = Scaled()

        def forward(self, x):
            return self.scaled(x, by=2.0)

    rows = {row[0]: row[1] for row in Siamese().summary((4, 2))}
    assert rows["scaled: Scaled()"] == (4, 2)


# --- Parameters keep their place ------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w - 0.1 * w.grad,
        lambda w: w.data - 0.1 * w.grad.data,
        lambda w: w.detach(),
        lambda w: tg.Tensor([5.0, 6.0]),
        lambda w: np.float64(3.0),
        lambda w: 0,
        lambda w: 0.5,
    ],
    ids=["computed", "array", "detached", "constant", "scalar", "int", "float"],
)
def test_a_constant_does_not_take_the_place_of_a_parameter(change):
    model = Module()
    model.w = w = parameter([1.0, 2.0])
    (w * w).sum().backward()
    before = w.data.copy()
    for mode in (tg.no_grad, contextlib.nullcontext):
        with (
            mode(),
            pytest.raises(TypeError, match=r"Module: w is a parameter.*no_grad"),
        ):
            model.w = change(w)
    assert model.parameters() == [w]
    np.testing.assert_array_equal(w.data, before)
    assert w.grad is not None


def test_what_the_error_names_works():
    model = Module()
    model.w = w = parameter([1.0, 2.0])
    model.w.data = np.array([3.0, 4.0])
    assert model.parameters() == [w]
    model.w.requires_grad = False
    assert model.parameters() == []
    model.w = w = parameter([1.0, 2.0])
    del model.w
    model.w = tg.Tensor([5.0, 6.0])
    assert model.parameters() == []


@pytest.mark.parametrize("value", [None, Tanh(), [parameter()], parameter(3.0), "tied"])
def test_other_things_take_the_place_of_a_parameter(value):
    model = Module()
    model.w = parameter()
    model.w = value
    assert model.w is value


def test_other_attributes_are_set_as_ever():
    model = Module()
    for value in (
        parameter() * 2.0,
        3.0,
        np.ones(2),
        tg.Tensor(1.0),
        parameter(),
        None,
    ):
        model.kept = value
        assert model.kept is value


# --- What comes out -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2,), (4, 2), (5, 4, 2)])
def test_a_layer_is_the_product_with_the_transpose_plus_the_bias(shape, rng):
    layer, x = Linear(2, 3, rng=0), rng.standard_normal(shape)
    assert (layer.weight.shape, layer.bias.shape) == ((3, 2), (3,))
    expected = x @ layer.weight.data.T + layer.bias.data
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-14)


@pytest.mark.parametrize("shape", [(2,), (4, 2), (5, 4, 2)])
def test_a_layer_without_a_bias_is_the_product_alone(shape, rng):
    layer, x = Linear(2, 3, rng=0, bias=False), rng.standard_normal(shape)
    assert layer.bias is None
    assert list(layer.named_parameters()) == ["weight"]
    np.testing.assert_array_equal(layer.weight.data, Linear(2, 3, rng=0).weight.data)
    c = rng.standard_normal((*shape[:-1], 3))
    y = layer(x)
    y.backward(c)
    np.testing.assert_allclose(y.data, x @ layer.weight.data.T, rtol=1e-14)
    expected = c.reshape(-1, 3).T @ x.reshape(-1, 2)
    np.testing.assert_allclose(layer.weight.grad.data, expected, rtol=1e-13)
    np.testing.assert_allclose(tg.compile(layer)(x).data, y.data, rtol=1e-14)


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


# --- Layers in a row ------------------------------------------------------------------


def small(rng=0, rate=0.5):
    rng = np.random.default_rng(rng)
    return Sequential(
        Linear(2, 4, rng), Tanh(), Dropout(rate, rng), output=Linear(4, 3, rng)
    )


def test_parts_are_called_one_after_the_other(rng):
    model, x = small().eval(), rng.standard_normal((5, 2))
    first, _, _, last = model
    expected = np.tanh(x @ first.weight.data.T + first.bias.data)
    expected = expected @ last.weight.data.T + last.bias.data
    np.testing.assert_allclose(model(x).data, expected, rtol=1e-13)
    assert Sequential()(x) is x


def test_parts_are_found_by_position_name_and_slice():
    model = small()
    parts = list(model)
    assert [type(part) for part in parts] == [Linear, Tanh, Dropout, Linear]
    assert len(model) == 4
    assert [model[i] for i in range(-4, 4)] == parts * 2
    assert model["0"] is parts[0]
    assert model["output"] is model.output is parts[3]
    tail = model[2:]
    assert type(tail) is Sequential
    assert list(tail) == parts[2:]
    assert list(tail.named_parameters()) == ["output.weight", "output.bias"]
    assert model[::-2][1] is parts[1]
    with pytest.raises(IndexError):
        model[4]
    with pytest.raises(KeyError):
        model["input"]


def test_a_part_may_be_replaced():
    model, x = small().eval(), np.ones((1, 2))
    model.output = Tanh()
    assert len(model) == 4
    np.testing.assert_array_equal(model(x).data, np.tanh(model[:2](x).data))


def test_the_parameters_of_layers_in_a_row_are_named_as_in_the_textbook():
    model = Sequential(small(), Sequential(Linear(3, 2), Sigmoid()))
    names = {path: p.name for path, p in model.named_parameters().items()}
    assert names == {
        "0.0.weight": "W1",
        "0.0.bias": "b1",
        "0.output.weight": "W2",
        "0.output.bias": "b2",
        "1.0.weight": "W3",
        "1.0.bias": "b3",
    }
    before = [p.name for p in model.parameters()]
    assert len(model[1:]) == 1
    assert [p.name for p in model.parameters()] == before


def test_a_layer_that_is_there_twice_has_its_parameters_once(rng):
    layer, x = Linear(2, 2, 0), rng.standard_normal((3, 2))
    model = Sequential(layer, Tanh(), layer)
    assert list(model.named_parameters()) == ["0.weight", "0.bias"]
    np.testing.assert_array_equal(model(x).data, layer(tg.tanh(layer(x))).data)
    assert len(model.summary()) == 3


@pytest.mark.parametrize(
    ("module", "function"),
    [(Sigmoid(), tg.sigmoid), (Tanh(), tg.tanh), (ReLU(), tg.relu)],
)
def test_activations_are_the_ops_of_their_names(module, function, rng):
    x, g = parameter(rng.standard_normal((2, 3))), rng.standard_normal((2, 3))
    module(x).backward(g)
    found, x.grad = x.grad.data, None
    function(x).backward(g)
    np.testing.assert_array_equal(module(x).data, function(x).data)
    np.testing.assert_array_equal(found, x.grad.data)
    assert module.parameters() == []


def test_what_cannot_be_a_part():
    with pytest.raises(
        TypeError, match=r"^Sequential: part 1: ReLU is a class.* ReLU\("
    ):
        Sequential(Linear(1, 1), ReLU)
    for what in (None, 3.0, "relu", parameter(), [Tanh()]):
        with pytest.raises(TypeError, match=r"^Sequential: part last: .* called"):
            Sequential(last=what)
        with pytest.raises(TypeError, match=r"^Function: .* cannot be called"):
            Function(what)
    for name in ("forward", "training", "eval"):
        with pytest.raises(ValueError, match=f"{name} is already an attribute"):
            Sequential(**{name: Tanh()})


def test_what_a_module_looks_like():
    assert repr(small()) == (
        "Sequential(Linear(2, 4), Tanh(), Dropout(0.5), Linear(4, 3))"
    )
    assert repr(Sequential(MLP([2, 3, 1]), ReLU())) == (
        "Sequential(MLP([2, 3, 1]), ReLU())"
    )
    model = Sequential(Linear(2, 3, bias=False), Linear(3, 1))
    assert repr(model) == "Sequential(Linear(2, 3, bias=False), Linear(3, 1))"
    assert [p.name for p in model.parameters()] == ["W1", "W2", "b2"]


# --- Dropout --------------------------------------------------------------------------

rates = st.floats(0, 0.95)
seeds = st.integers(0, 2**32 - 1)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=5)


@given(rates, seeds, shapes, st.sampled_from([np.float16, np.float32, np.float64]))
def test_what_is_kept_is_scaled_and_the_rest_is_0(rate, seed, shape, dtype):
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype) + dtype(7)
    layer, same = Dropout(rate, rng=seed), np.random.default_rng(seed)
    y = layer(x)
    assert (y.dtype, y.shape) == (dtype, shape)
    kept = same.random(shape) >= rate if rate else np.ones(shape, bool)
    rtol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, np.where(kept, x / (1 - rate), 0), rtol=rtol)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_mean_and_drops_the_rate(rate):
    y = Dropout(rate, rng=0)(np.ones(100_000))
    deviation = np.sqrt(rate / (1 - rate) / y.size)
    assert abs(y.mean() - 1) < 4 * deviation
    assert abs((y == 0).mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / y.size)
    np.testing.assert_allclose(y[y > 0], 1 / (1 - rate), rtol=1e-15)


def test_the_gradient_passes_where_the_value_did(rng):
    x, g = parameter(rng.standard_normal((4, 5))), rng.standard_normal((4, 5))
    y = Dropout(0.4, rng=1)(x)
    y.backward(g)
    expected = np.where(y.data == 0, 0, g / 0.6)
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-15)
    assert 0 < (y.data == 0).sum() < y.size


def test_dropout_takes_lists_and_whole_numbers():
    layer = Dropout(0.5, rng=0)
    for x in ([2, 4], np.array([2, 4])):
        y = layer(x)
        assert y.dtype == float
        assert set(y) <= {0.0, 4.0, 8.0}


def test_each_call_drops_others_and_a_seed_the_same_again():
    x = np.ones(50)
    one, other = (Dropout(0.5, rng=3) for _ in range(2))
    masks = [one(x) for _ in range(4)]
    assert [m.tolist() for m in masks] == [other(x).tolist() for _ in range(4)]
    assert len({m.tobytes() for m in masks}) == 4
    legacy = Dropout(0.5, rng=np.random.RandomState(3))
    expected = np.random.RandomState(3).random_sample(50) >= 0.5
    np.testing.assert_array_equal(legacy(x), 2.0 * expected)


@pytest.mark.parametrize("still", ["evaluation", "rate 0"])
def test_where_nothing_is_dropped_nothing_is_drawn(still):
    layer = Dropout(0.5, rng=0).eval() if still == "evaluation" else Dropout(0, rng=0)
    state = layer.random_state()
    x = np.ones(5)
    assert layer(x) is x
    assert layer.random_state() == state


def test_a_network_is_switched_as_a_whole():
    class Whole(Module):
        def __init__(self):
            self.parts = {"a": [small()], "b": Dropout(0.5)}
            self.again = self.parts["b"]

    whole = Whole()
    modules = [whole, whole.again, *whole.parts["a"], *whole.parts["a"][0]]
    assert all(m.training for m in modules)
    assert whole.eval() is whole
    assert not any(m.training for m in modules)
    assert whole.train() is whole
    assert all(m.training for m in modules)
    assert not whole.train(False).again.training
    assert Module().training  # of others, nothing has changed


@pytest.mark.parametrize("rate", [1, 1.5, -0.1, np.nan])
def test_a_rate_is_a_part(rate):
    with pytest.raises(ValueError, match=f"Dropout: rate must be .*, not {rate}"):
        Dropout(rate)


def test_a_layer_drops_the_same_when_remat_runs_it_again(rng):
    x, g = rng.standard_normal((3, 2)), rng.standard_normal((3, 3))
    found, states = [], []
    for wrap in (lambda f: f, tg.remat, lambda f: tg.remat(tg.remat(f))):
        model = small()
        wrap(model)(x).backward(g)
        found.append([p.grad.data for p in model.parameters()])
        states.append(model.random_state())
    assert states == states[:1] * 3
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_array_equal(a, b)


def test_a_function_that_draws_more_when_remat_runs_it_again_is_refused():
    layer, calls = Dropout(0.5, rng=0), []

    @tg.remat
    def unsteady(x):
        calls.append(x)
        for _ in calls:
            x = layer(x)
        return x

    y = unsteady(parameter(np.ones(50)))
    with pytest.raises(ValueError, match="the function returned another result"):
        y.sum().backward()


def test_dropout_in_a_function_that_is_differentiated(rng):
    x = rng.standard_normal(20)
    layer, same = Dropout(0.5, rng=0), Dropout(0.5, rng=0)
    mask = same(np.ones(20))
    np.testing.assert_allclose(
        tg.grad(lambda x: (layer(x) ** 2).sum())(x), 2 * mask**2 * x, rtol=1e-14
    )
    recomputed = tg.remat(lambda x: tg.grad(lambda z: (layer(z) ** 2).sum())(x))
    t = parameter(x)
    recomputed(t).sum().backward()
    np.testing.assert_allclose(t.grad.data, 2 * same(np.ones(20)) ** 2, rtol=1e-14)


def test_gradcheck_wants_evaluation(rng):
    model, x = small(), rng.standard_normal((3, 2))
    with pytest.raises(ValueError, match="two calls of the function give different"):
        tg.gradcheck(lambda x: (model(x) ** 2).sum(), x)
    model.eval()
    tg.gradcheck(lambda x: (model(x) ** 2).sum(), x)


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


DEVIATIONS = {
    "scaled": (lambda n_in, n_out: 1 / np.sqrt(n_in), 1),
    "large": (lambda n_in, n_out: 1.0, 1),
    "xavier": (lambda n_in, n_out: np.sqrt(2 / (n_in + n_out)), 0),
    "he": (lambda n_in, n_out: np.sqrt(2 / n_in), 0),
}


@pytest.mark.parametrize("init", DEVIATIONS)
@pytest.mark.parametrize(("n_in", "n_out"), [(900, 400), (400, 900)])
def test_the_moments_of_drawn_parameters(init, n_in, n_out):
    deviation, of_bias = DEVIATIONS[init]
    deviation = deviation(n_in, n_out)
    layer = Linear(n_in, n_out, rng=0, init=init)
    w, b = layer.weight.data, layer.bias.data
    np.testing.assert_allclose(w.std(), deviation, rtol=0.01)
    assert abs(w.mean()) < 0.01 * deviation
    kurtosis = 9 / 5 if init == "xavier" else 3  # of uniform and normal numbers
    np.testing.assert_allclose(np.mean((w / deviation) ** 4), kurtosis, rtol=0.03)
    np.testing.assert_allclose(b.std(), of_bias, rtol=0.1)


def test_xaviers_weights_are_within_their_limit():
    w = Linear(300, 500, rng=0, init="xavier").weight.data
    limit = np.sqrt(6 / 800)
    assert 0.999 * limit < np.abs(w).max() < limit


def test_no_initialisation_is_left_out():
    assert DEVIATIONS.keys() == INITIALISATIONS.keys()


@pytest.mark.parametrize("init", DEVIATIONS)
def test_the_weights_of_a_window_count_each_of_its_inputs(init):
    w = draw_weight((64, 32, 5, 5), np.random.default_rng(0), init)
    assert w.shape == (64, 32, 5, 5)
    deviation, of_bias = DEVIATIONS[init]
    np.testing.assert_allclose(w.std(), deviation(32 * 25, 64 * 25), rtol=0.01)
    bias = draw_bias(10_000, np.random.default_rng(0), init)
    np.testing.assert_allclose(bias.std(), of_bias, rtol=0.02)


@pytest.mark.parametrize(
    ("init", "activation", "gain"),
    [("he", [ReLU()], 1.0), ("xavier", [], 1.0), ("xavier", [ReLU()], 0.5)],
)
def test_signals_keep_their_size_through_the_layers(init, activation, gain, rng):
    """What the papers derive of the mean square, forward and, if square, backward."""
    n, depth = 400, 15
    layers = [(Linear(n, n, rng, init), *activation) for _ in range(depth)]
    model = Sequential(*(part for layer in layers for part in layer))
    x, g = parameter(rng.standard_normal((50, n))), rng.standard_normal((50, n))
    y = model(x)
    y.backward(g)
    forward = np.mean(y.data**2) / np.mean(x.data**2)
    backward = np.mean(x.grad.data**2) / np.mean(g**2)
    np.testing.assert_allclose(forward ** (1 / depth), gain, rtol=0.06)
    np.testing.assert_allclose(backward ** (1 / depth), gain, rtol=0.06)


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
@pytest.mark.parametrize("init", ["xavier", "he"])
def test_a_network_draws_only_weights_where_biases_are_0(make, init):
    sizes = [5, 4, 3, 2]
    model, rng = MLP(sizes, rng=make(7), init=init), make(7)
    for w, n_in, n_out in zip(model.weights, sizes, sizes[1:]):
        limit = np.sqrt(6 / (n_in + n_out))
        shape = n_out, n_in
        expected = (
            rng.uniform(-limit, limit, shape)
            if init == "xavier"
            else rng.standard_normal(shape) * np.sqrt(2 / n_in)
        )
        np.testing.assert_array_equal(w.data, expected)
    assert not any(b.data.any() for b in model.biases)


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
    message = "nn: sizes must be at least two .*" + re.escape(f"not {sizes}")
    with pytest.raises(ValueError, match=message):
        MLP(sizes)


def test_a_layer_has_positive_sizes():
    for sizes in ((0, 1), (1, 0), (-1, 2)):
        with pytest.raises(ValueError, match="integers of 1 or more"):
            Linear(*sizes)


def test_an_unknown_initialisation_is_told_the_known_ones():
    message = "init must be 'scaled', 'large', 'xavier' or 'he', not 'huge'"
    for make in (lambda: MLP([2, 1], init="huge"), lambda: Linear(2, 1, init="huge")):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize("dtype", [int, complex])
def test_parameters_are_real_floats(dtype):
    with pytest.raises(TypeError, match="Tensor"):
        MLP([2, 1], dtype=dtype)


def test_sizes_are_a_list():
    with pytest.raises(
        TypeError, match=r"sizes must be a list of integers, such as \[784, 30, 10\]"
    ):
        tg.nn.MLP(2, 3)


# --- Summary --------------------------------------------------------------------------


def test_a_summary_has_a_row_for_each_layer_and_the_total():
    model = small()
    shapes = ("layer", "output shape", "parameters")
    assert model.summary().header == ("layer", "parameters")
    assert model.summary((5, 2)).header == shapes
    assert list(model.summary((5, 2))) == [
        ("0: Linear(2, 4)", (5, 4), 12),
        ("1: Tanh()", (5, 4), 0),
        ("2: Dropout(0.5)", (5, 4), 0),
        ("output: Linear(4, 3)", (5, 3), 15),
        ("total", "", 27),
    ]
    without = [(layer, size) for layer, _, size in model.summary((5, 2))]
    assert list(model.summary()) == without


def test_the_summary_of_a_perceptron_has_its_layers():
    model = MLP([5, 4, 3])
    model.weights[0].name = "first"
    assert list(model.summary((7, 5))) == [
        ("z1: Linear(5, 4)", (7, 4), 24),
        ("a1: Sigmoid()", (7, 4), 0),
        ("z2: Linear(4, 3)", (7, 3), 15),
        ("a2: Sigmoid()", (7, 3), 0),
        ("total", "", 39),
    ]
    assert model.weights[0].name == "first"


class Several(Module):
    """Parameters of its own, a part that it uses, one that it does not, two outputs."""

    def __init__(self):
        self.used, self.unused, self.scale = Linear(2, 3), MLP([2, 1]), parameter()
        self.shared = self.used.weight
        self.last = None

    def forward(self, x):
        self.last = self.used(x) * self.scale
        return self.last, [x, x.sum()]


def test_a_summary_of_a_module_of_ones_own_counts_each_parameter_once():
    model = Several()
    assert list(model.summary((4, 2))) == [
        ("Several()", [(4, 3), [(4, 2), ()]], 1),
        ("used: Linear(2, 3)", (4, 3), 9),
        ("unused: MLP([2, 1])", "", 3),
        ("total", "", 13),
    ]
    assert sum(p.size for p in model.parameters()) == 13
    assert list(Tanh().summary()) == [("Tanh()", 0), ("total", 0)]


def test_a_summary_changes_nothing():
    for model in (Several(), Sequential(small(), Several())):
        parts = [model, *(x for x in vars(model).values() if isinstance(x, Module))]
        before = [dict(vars(part)) for part in parts]
        state = model.random_state()
        model.summary((4, 2)) if len(parts) > 3 else None
        with pytest.raises(ValueError, match="linear: "):
            model.summary((4, 17))
        assert [dict(vars(part)) for part in parts] == before
        assert model.random_state() == state


def test_a_summary_is_made_in_the_parameters_dtype():
    class Remembers(Module):
        def __init__(self):
            self.layer, self.seen = Linear(2, 3, dtype=np.float32), []

        def forward(self, x):
            self.seen.append((x.dtype, self.training, self.layer(x).requires_grad))
            return self.layer(x)

    model = Remembers()
    assert "(4, 3)" in str(model.summary((4, 2)))
    assert model.seen == [(np.float32, False, False)]


# --- States ---------------------------------------------------------------------------

sizes_of_mlps = st.lists(st.integers(1, 5), min_size=2, max_size=4)


@given(sizes_of_mlps, seeds, st.sampled_from([np.float32, np.float64]))
def test_a_state_makes_another_network_the_same(sizes, seed, dtype):
    one, other = (MLP(sizes, rng=seed + i, dtype=dtype) for i in range(2))
    memory = [p.data for p in other.parameters()]
    state = one.state_dict()
    assert list(state) == list(one.named_parameters())
    other.load_state_dict(state)
    x = np.random.default_rng(seed).standard_normal((3, sizes[0])).astype(dtype)
    np.testing.assert_array_equal(other(x).data, one(x).data)
    assert all(p.data is array for p, array in zip(other.parameters(), memory))


def test_a_state_is_copied_both_ways():
    model = small()
    state = model.state_dict()
    before = {path: x.copy() for path, x in state.items()}
    for p in model.parameters():
        p.data += 1
    for path, x in state.items():
        np.testing.assert_array_equal(x, before[path])
    model.load_state_dict({path: tg.Tensor(x) for path, x in state.items()})
    for x in state.values():
        x += 1
    for path, p in model.named_parameters().items():
        np.testing.assert_array_equal(p.data, before[path])


def test_parameters_may_be_swapped():
    """The state's arrays are the parameters' own memory: all is read before a write."""
    model = Sequential(Linear(3, 3, 0), Linear(3, 3, 1))
    first, second = (p.data for p in (model[0].weight, model[1].weight))
    expected = second.copy(), first.T.copy()
    own = {path: p.data for path, p in model.named_parameters().items()}
    model.load_state_dict(own | {"0.weight": second, "1.weight": first.T})
    np.testing.assert_array_equal(first, expected[0])
    np.testing.assert_array_equal(second, expected[1])


@given(
    seeds,
    st.sets(
        st.sampled_from(["missing", "unknown", "shape", "dtype", "kind"]), min_size=1
    ),
)
def test_a_state_that_does_not_fit_names_every_fault_and_changes_nothing(seed, wrong):
    model = small(seed)
    before = {path: x.tobytes() for path, x in model.state_dict().items()}
    state = {path: x + 1 for path, x in model.state_dict().items()}
    told = {
        "missing": "missing: 0.weight",
        "unknown": "unknown: 1.weight, 17",
        "shape": "0.bias: expected float64 (4,), got float64 (2, 2)",
        "dtype": "output.weight: expected float64 (3, 4), got float32 (3, 4); "
        "convert it: np.asarray(x, 'float64')",
        "kind": "output.bias: expected float64 (3,), got [1, 2, 3]",
    }
    if "missing" in wrong:
        del state["0.weight"]
    if "unknown" in wrong:
        state |= {"1.weight": np.zeros(2), 17: None}
    if "shape" in wrong:
        state["0.bias"] = np.zeros((2, 2))
    if "dtype" in wrong:
        state["output.weight"] = state["output.weight"].astype(np.float32)
    if "kind" in wrong:
        state["output.bias"] = [1, 2, 3]
    with pytest.raises(ValueError, match="Sequential: the state does not fit") as error:
        model.load_state_dict(state)
    lines = str(error.value).splitlines()[1:]
    assert lines == [f"- {fault}" for name, fault in told.items() if name in wrong]
    after = {path: x.tobytes() for path, x in model.state_dict().items()}
    assert after == before


def test_a_state_is_a_mapping():
    with pytest.raises(
        TypeError, match=r"Linear: a state must be a mapping, .* not a list"
    ):
        Linear(1, 1).load_state_dict([np.ones((1, 1)), np.ones(1)])


class Noisy(Module):
    """A generator of each kind."""

    def __init__(self, seed=0):
        self.drop = Dropout(0.5, rng=seed)
        self.legacy = Dropout(0.5, rng=np.random.RandomState(seed))
        self.python = [random.Random(seed)]

    def forward(self, x):
        return self.legacy(self.drop(x)) * self.python[0].random()


@settings(deadline=None)
@given(seeds, st.integers(0, 3), st.integers(1, 3))
def test_random_numbers_go_on_from_a_state(seed, before, after):
    one, other, x = Noisy(seed), Noisy(17), np.ones(20)
    for _ in range(before):
        one(x)
    state = one.random_state()
    assert list(state) == ["drop.rng", "legacy.rng", "python.0"]
    generator = other.drop.rng
    other.load_random_state(state)
    for _ in range(after):
        np.testing.assert_array_equal(other(x), one(x))
    assert other.drop.rng is generator


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda s: s.pop("drop.rng"), "missing: drop.rng"),
        (lambda s: s.update(other=1), "unknown: other"),
        (lambda s: s.update({"drop.rng": {}}), "drop.rng: state must be for a PCG64"),
        (lambda s: s.update({"legacy.rng": s["drop.rng"]}), "legacy.rng: "),
        (lambda s: s.update({"python.0": (1, 2)}), "python.0: "),
    ],
)
def test_a_state_that_a_generator_cannot_take_changes_nothing(change, fault):
    model, x = Noisy(), np.ones(20)
    state = Noisy(1).random_state()
    change(state)
    with pytest.raises(ValueError, match="Noisy: the state does not fit") as error:
        model.load_random_state(state)
    assert f"- {fault}" in str(error.value)
    np.testing.assert_array_equal(model(x), Noisy()(x))
    with pytest.raises(TypeError, match="Noisy: a state must be a mapping"):
        model.load_random_state(17)
