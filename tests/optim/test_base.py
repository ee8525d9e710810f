"""What optimisers share: what a step moves, what is refused, saving and resuming."""

import copy
import re
from typing import ClassVar
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimisers import (
    MAKERS,
    SHAPES,
    differentiate,
    draw,
    each_optimiser,
    leaves,
    shapes,
)

import tinygrad_edu as tg
from tinygrad_edu.optim import SGD, Adam, AdamW, Optimiser

# --- Without gradients ----------------------------------------------------------------


@each_optimiser
def test_a_step_without_any_gradient_raises(make, rng):
    params = leaves(rng)
    before = [p.data.copy() for p in params]
    with pytest.raises(ValueError, match=r"no parameter has a gradient; call backward"):
        make(params).step()
    for p, old in zip(params, before):
        np.testing.assert_array_equal(p.data, old)


@each_optimiser
def test_a_step_that_raised_does_not_count(make, rng):
    params, others = leaves(rng), leaves(np.random.default_rng(0))
    optimiser, other = make(params), make(others)
    with pytest.raises(ValueError, match="no parameter has a gradient"):
        optimiser.step()
    gradients = draw(rng, params)
    differentiate(params, gradients)
    differentiate(others, gradients)
    optimiser.step()
    other.step()
    for p, expected in zip(params, others):
        np.testing.assert_array_equal(p.data, expected.data)


@each_optimiser
def test_a_parameter_without_gradient_stays(make, rng):
    first, second, _ = params = leaves(rng)
    before = second.data.copy()
    (first * 2.0).backward()
    make(params).step()
    np.testing.assert_array_equal(second.data, before)


@each_optimiser
def test_zero_grad_forgets_every_gradient(make, rng):
    params = leaves(rng)
    optimiser = make(params)
    differentiate(params, draw(rng, params))
    assert all(p.grad is not None for p in params)
    optimiser.zero_grad()
    assert [p.grad for p in params] == [None] * 3


# --- Errors ---------------------------------------------------------------------------


@each_optimiser
def test_an_optimiser_wants_parameters(make):
    with pytest.raises(ValueError, match=r"^\w+: there are no parameters"):
        make([])


@each_optimiser
@pytest.mark.parametrize(
    "wrong",
    [
        tg.Tensor(1.0),
        tg.Tensor(1.0, requires_grad=True) * 2.0,
        np.ones(2),
        1.0,
        "W1",
    ],
    ids=["constant", "computed", "array", "number", "name"],
)
def test_an_optimiser_wants_leaves_that_require_a_gradient(make, wrong):
    right = tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(TypeError, match=r"^\w+: .*pass model\.parameters\(\)"):
        make([right, wrong])


def test_an_optimiser_of_ones_own_defines_update(rng):
    class Signs(Optimiser):
        def __init__(self, params):
            super().__init__(params, "last")

        def update(self, p, g, last):
            p -= 0.1 * np.sign(g + last)
            last[...] = g

    class Nothing(Optimiser):
        pass

    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    (w * np.array([3.0, -4.0])).sum().backward()
    memory = w.data
    optimiser = Signs(iter([w]))
    optimiser.step()
    np.testing.assert_allclose(memory, [0.9, 2.1])
    np.testing.assert_array_equal(optimiser.state["last"], [[3.0, -4.0]])
    with pytest.raises(TypeError, match=r"Nothing: define update\(self, p, g, mean\)"):
        Nothing([w], "mean").step()


# By kind of optimiser: numbers that it refuses, whoever sets them.
REFUSED = {
    "SGD with momentum": {
        "lr": [-1.0, np.nan, np.inf],
        "momentum": [-0.5, np.nan],
        "weight_decay": [-1, np.nan],
        "steps": [-1, np.nan],
    },
    "RMSprop": {"lr": [-1.0], "alpha": [1, -0.1, np.nan], "eps": [-1, np.inf]},
    "Adam": {"lr": [np.nan], "betas": [(2.0, 0.9), (0.9, -1), (np.nan, 0.9)]},
    "AdamW": {"eps": [-1.0], "weight_decay": [-1, np.nan], "betas": [(0.9, 1)]},
}
each_refused = pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (kind, name, value)
        for kind, numbers in REFUSED.items()
        for name, values in numbers.items()
        for value in values
    ],
)


@each_refused
def test_a_number_out_of_range_is_refused_from_a_state_and_as_an_attribute(
    kind, name, value, rng
):
    optimiser = MAKERS[kind](leaves(rng))
    state = optimiser.state_dict()
    before = getattr(optimiser, name)
    with pytest.raises(ValueError, match=f"^{kind.split()[0]}: .* must be at least 0"):
        setattr(optimiser, name, value)
    odd = {**state, name: value, "lr": 0.7 if name != "lr" else value}
    with pytest.raises(ValueError, match=r"nothing was changed:\n- .* be at least 0"):
        optimiser.load_state_dict(odd)
    assert getattr(optimiser, name) == before
    assert optimiser.lr == 0.3


def test_all_numbers_out_of_range_are_told_at_once(rng):
    optimiser = Adam(leaves(rng))
    state = {**optimiser.state_dict(), "lr": np.nan, "betas": (2, -3)}
    message = (
        "Adam: the state does not fit, and nothing was changed:\n"
        "- lr=nan must be at least 0\n"
        "- beta1=2 must be at least 0 and below 1\n"
        "- beta2=-3 must be at least 0 and below 1"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        optimiser.load_state_dict(state)


@each_optimiser
@pytest.mark.parametrize("value", ["0.1", None, np.array([0.1]), 1j, (0.1, "x")])
def test_what_is_no_number_is_refused(make, value, rng):
    optimiser = make(leaves(rng))
    with pytest.raises(TypeError, match=r"^\w+: lr?\d?=.* is not a number"):
        optimiser.lr = value
    assert optimiser.lr == 0.3


def test_an_optimiser_of_ones_own_has_limits_of_its_own(rng):
    class Signs(Optimiser):
        limits: ClassVar = {**Optimiser.limits, "lr": 10}

        def __init__(self, params, lr, free):
            super().__init__(params)
            self.lr, self.free = lr, free

    optimiser = Signs(leaves(rng), 1.0, -5.0)
    with pytest.raises(ValueError, match=r"^Signs: lr=10 must be at least 0 and below"):
        optimiser.lr = 10
    optimiser.free = np.nan
    assert optimiser.lr == 1.0


def test_parameters_are_given_in_a_list_and_once():
    w = tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(TypeError, match=r"SGD: Linear is not a list.*parameters\(\)"):
        tg.optim.SGD(tg.nn.Linear(1, 1), lr=0.1)
    with pytest.raises(ValueError, match="SGD: a parameter occurs twice"):
        tg.optim.SGD([w, w], lr=0.1)


# --- Saving and resuming --------------------------------------------------------------

makers = st.sampled_from(list(MAKERS.values()))
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float32, np.float64])


def numbers_of(optimiser):
    return {
        k: x for k, x in vars(optimiser).items() if isinstance(x, int | float | tuple)
    }


def arrays_of(optimiser):
    return [array for arrays in optimiser.state.values() for array in arrays]


def bits(arrays):
    return [(x.dtype, x.shape, x.tobytes()) for x in arrays]


def run(optimiser, gradients):
    for of_a_step in gradients:
        for p, g in zip(optimiser.params, of_a_step):
            p.grad = tg.Tensor(g.astype(p.dtype))
        optimiser.step()


@given(
    makers, st.lists(shapes, min_size=1, max_size=3), dtypes, st.integers(0, 4), seeds
)
def test_a_resumed_run_is_bitwise_the_one_that_went_on(make, sizes, dtype, k, seed):
    rng = np.random.default_rng(seed)
    start = [rng.standard_normal(shape).astype(dtype) for shape in sizes]
    gradients = [[rng.standard_normal(shape) for shape in sizes] for _ in range(7)]
    through = make([tg.Tensor(x, requires_grad=True) for x in start])
    run(through, gradients)

    first = make([tg.Tensor(x, requires_grad=True) for x in start])
    run(first, gradients[:k])
    saved = first.state_dict()
    weights = [p.data.copy() for p in first.params]
    run(first, gradients[k : k + 1])  # what was saved does not follow
    second = make([tg.Tensor(x, requires_grad=True) for x in weights])
    memory = arrays_of(second)
    second.lr = 17.0
    run(second, gradients[:1])
    for p, w in zip(second.params, weights):
        p.data[...] = w
    second.load_state_dict(saved)
    run(second, gradients[k:])
    assert bits(p.data for p in second.params) == bits(p.data for p in through.params)
    assert bits(arrays_of(second)) == bits(arrays_of(through))
    assert numbers_of(second) == numbers_of(through)
    assert all(a is b for a, b in zip(arrays_of(second), memory))


@each_optimiser
def test_what_is_saved_is_all_numbers_and_arrays(make, rng):
    optimiser = make(leaves(rng))
    names = {f"{name}.{i}" for name in optimiser.state for i in range(len(SHAPES))}
    state = optimiser.state_dict()
    assert state.keys() == names | numbers_of(optimiser).keys()
    assert {"lr", "steps"} <= state.keys()


@each_optimiser
def test_a_state_comes_back_from_a_file(make, rng, tmp_path):
    """Where numbers are arrays without dimensions, and tuples are arrays."""
    one, other = make(leaves(rng)), make(leaves(rng))
    run(one, [draw(rng, one.params) for _ in range(3)])
    np.savez(tmp_path / "state.npz", **one.state_dict())
    other.lr = 17.0
    with np.load(tmp_path / "state.npz") as file:
        other.load_state_dict(dict(file))
    assert numbers_of(other) == numbers_of(one)
    assert list(map(type, numbers_of(other).values())) == list(
        map(type, numbers_of(one).values())
    )
    assert bits(arrays_of(other)) == bits(arrays_of(one))


@given(makers, seeds, st.data())
def test_a_state_that_does_not_fit_names_every_fault_and_changes_nothing(
    make, seed, data
):
    rng = np.random.default_rng(seed)
    optimiser = make(leaves(rng))
    run(optimiser, [draw(rng, optimiser.params)])
    before = copy.deepcopy((numbers_of(optimiser), arrays_of(optimiser)))
    state = optimiser.state_dict() | {"lr": 17.0, "steps": 23}
    for k in optimiser.state_dict().keys() - numbers_of(optimiser).keys():
        state[k] = np.asarray(state[k] + 1)
    wrong = data.draw(
        st.sets(
            st.sampled_from(["missing", "unknown", "number", "shape", "dtype"]),
            min_size=1,
        )
    )
    arrays = [k for k, x in state.items() if isinstance(x, np.ndarray)]
    told = []
    if "missing" in wrong:
        del state["steps"]
        told.append("missing: steps")
    if "unknown" in wrong:
        state["m.17"] = np.zeros(2)
        told.append("unknown: m.17")
    if "number" in wrong:
        state["lr"] = data.draw(
            st.sampled_from(["high", None, (1.0, 2.0), True, [0.1]])
        )
        told.append("lr: ")
    if "shape" in wrong and arrays:
        state[arrays[0]] = np.zeros(7)
        told.append(f"{arrays[0]}: expected float64 (), got float64 (7,)")
    if "dtype" in wrong and arrays:
        state[arrays[1]] = state[arrays[1]].astype(np.float32)
        told.append(f"{arrays[1]}: expected float64 (3,), got float32 (3,); convert")
    if not told:
        return
    with pytest.raises(
        ValueError, match="the state does not fit, and nothing"
    ) as error:
        optimiser.load_state_dict(state)
    assert all(f"- {fault}" in str(error.value) for fault in told)
    assert str(error.value).count("\n- ") == len(told)
    after = numbers_of(optimiser), arrays_of(optimiser)
    assert after[0] == before[0]
    assert bits(after[1]) == bits(before[1])


def test_the_state_of_another_kind_of_optimiser_does_not_fit(rng):
    params = leaves(rng)[:1]
    state = SGD(params, lr=0.1, momentum=0.9).state_dict()
    message = (
        "Adam: the state does not fit, and nothing was changed:\n"
        "- missing: betas, eps, m.0, v.0\n"
        "- unknown: momentum, nesterov, weight_decay, velocity.0"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Adam(params).load_state_dict(state)
    with pytest.raises(
        TypeError, match=r"Adam: a state must be a mapping, .* not a list"
    ):
        Adam(params).load_state_dict([state])


@pytest.mark.parametrize("style", ["fast", "readable"])
def test_a_compiled_step_goes_on_from_a_loaded_state_without_being_made_again(style):
    def training():
        (w,) = params = [tg.Tensor([1.0, -2.0], requires_grad=True)]
        optimiser = AdamW(params, lr=0.1)

        def step(x):
            optimiser.zero_grad()
            ((w * x - 1) ** 2).sum().backward()
            optimiser.step()

        return w, optimiser, step

    x = np.array([0.5, 1.5])
    (w, optimiser, step), (other, plain, eager) = training(), training()
    compiled = tg.compile(step, style=style)
    compiled(x)
    eager(x)
    saved = plain.state_dict() | {"lr": 0.02}
    for target in (optimiser, plain):
        target.load_state_dict(saved)
    sources = set()
    for _ in range(3):
        compiled(x)
        eager(x)
        sources.add(compiled.source)
    np.testing.assert_allclose(w.data, other.data, rtol=1e-13)
    assert len(sources) == len(compiled._variants) == 1


# --- What is seen ---------------------------------------------------------------------


def test_it_is_shown_with_its_numbers():
    w = tg.Tensor([1.0, -2.0], requires_grad=True)
    optimiser = Adam([w], lr=0.5)
    w.sum().backward()
    optimiser.step()
    facts = ["parameters=1", "steps=1", "lr=0.5", "betas=(0.9, 0.999)", "eps=1e-08"]
    assert repr(optimiser) == f"Adam({', '.join(facts)})"
    table = ElementTree.fromstring(optimiser._repr_html_())
    assert [[cell.text or "" for cell in row] for row in table] == [
        ["Adam", ""],
        *(fact.split("=") for fact in facts),
    ]
