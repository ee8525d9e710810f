"""`debug()`: the line, the op, the input by its name; and silence without it."""

import weakref
from pathlib import Path

import numpy as np
import pytest
from leaves import leaf

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import current_mode


@pytest.fixture(autouse=True)
def numpy_does_not_warn():
    """Let `debug()` be the first to find the NaN or infinity."""
    with np.errstate(all="ignore"):
        yield


def run(program, file="lesson.py", **names):
    """Run a program as if it stood in a file of its own; return its names."""
    names |= {"np": np, "tg": tg}
    exec(compile(program, file, "exec"), names)
    return names


# --- The line -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        "x * 2.0",
        "2.0 * x",
        "np.ones(1) * x",
        "np.exp(x)",
        "x.exp()",
        "tg.exp(x)",
        "x[0]",
        "x.T",
        "x.mean()",
        "tg.stack([x, x])",
        "tg.losses.mse(x, np.ones(1))",
        "tg.nn.Linear(1, 1)(x)",
        "np.sum(x)",
        "list(x)[0]",
        "(lambda t: t * 2.0)(x)",
    ],
)
def test_a_node_remembers_the_users_line(expression):
    with tg.debug():
        y = run(f"\n\ny = {expression}\n", x=leaf([1.0]))["y"]
    assert str(y.origin) == "lesson.py:3"
    assert (y.origin.file, y.origin.line) == ("lesson.py", 3)


def test_a_node_of_the_backward_pass_remembers_the_line_of_backward():
    x = leaf([1.0])
    with tg.debug():
        run("\ny = (x * x).sum()\n\ny.backward(create_graph=True)", x=x)
    assert str(x.grad.origin) == "lesson.py:4"
    x.zero_grad()


def test_a_file_whose_name_begins_as_the_packages_is_the_users():
    file = f"{Path(tg.__file__).parent}_lesson.py"
    with tg.debug():
        y = run("\ny = x * 2.0", file, x=leaf(1.0))["y"]
    assert y.origin.file == file


# --- NaN and infinity -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "op", "what"),
    [
        ("x.log()", "log", "a NaN"),
        ("x.sqrt()", "sqrt", "a NaN"),
        ("(x * 1e3).square().exp()", "exp", "an infinity"),
        ("x / 0.0", "divide", "an infinity"),
        ("(x - x) / (x - x)", "divide", "a NaN"),
    ],
)
@pytest.mark.parametrize("requires_grad", [True, False])
def test_the_op_that_made_it_is_named(expression, op, what, requires_grad):
    x = tg.Tensor([-1.0, -2.0], requires_grad=requires_grad)
    message = rf"^{op}: its result contains {what}, .* finite \(at lesson\.py:2\)$"
    with pytest.raises(ValueError, match=message), tg.debug():
        run(f"\ny = {expression} * 0.0 + 1.0", x=x)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("x * np.array([np.nan, 1.0])", r"multiply: its input b contains a NaN "),
        ("np.array([np.inf, 1.0]) * x", r"multiply: its input a contains an infinity "),
        ("bad + x", r"add: its input a \('bad'\) contains a NaN "),
        ("x * float('inf')", r"multiply: its input b contains an infinity "),
        (
            "tg.concatenate([x, bad])",
            r"concatenate: its input arrays\[1\] \('bad'\) contains a NaN ",
        ),
    ],
)
def test_the_input_it_came_in_with_is_named(expression, message):
    bad = tg.Tensor([np.nan, 1.0], name="bad")
    with (
        pytest.raises(ValueError, match=rf"^{message}\(at lesson\.py:1\)$"),
        tg.debug(),
    ):
        run(f"y = {expression}", x=leaf([1.0, 2.0]), bad=bad)


def test_a_nan_that_was_left_out_is_the_inputs_fault_only_if_it_gets_through():
    with tg.debug():
        y = tg.where([True, False], leaf([1.0, 2.0]), tg.Tensor([3.0, np.nan]).data[0])
    assert y.data.tolist() == [1.0, 3.0]


def test_integers_are_always_finite():
    with tg.debug():
        assert (tg.Tensor([1, 2]) + tg.Tensor([3, 4])).data.tolist() == [4, 6]


# --- Gradients ------------------------------------------------------------------------


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("create_graph", [True, False])
def test_a_gradient_that_is_not_finite_is_named(inside, create_graph):
    x = leaf([1e-200, 1.0], name="rate")
    message = (
        r"divide: the gradient of its input b \('rate'\) has an infinity "
        r"\(recorded at lesson\.py:3\)"
    )
    if inside and create_graph:  # the rule's own ops are watched, and find it first
        message = r"result contains an infinity, .* \(at "
    with tg.debug():
        y = run("\n\ny = 1.0 / x", x=x)["y"]
        if inside:
            with pytest.raises(ValueError, match=message):
                y.backward([0.3, 0.7], create_graph=create_graph)
    if not inside:
        with pytest.raises(ValueError, match=message):
            y.backward([0.3, 0.7], create_graph=create_graph)
    assert x.grad is None


def test_a_gradient_that_is_nan_is_named():
    x = leaf([-1.0])
    with tg.debug():
        y = run("y = 2.0 * x", x=x)["y"]
    with pytest.raises(
        ValueError, match=r"multiply: the gradient of its input b has a "
    ):
        y.backward([np.nan])
    assert x.grad is None


# --- Arrays that were changed ---------------------------------------------------------


@pytest.mark.parametrize("inside", [True, False])
def test_an_array_that_was_changed_is_named(inside):
    x, weights = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    message = r"multiply: its input b was changed after it was used \(at lesson\.py:2\)"
    with tg.debug():
        y = run("\ny = (x * weights).sum()", x=x, weights=weights)["y"]
        weights[1] = 5.0
        if inside:
            with pytest.raises(ValueError, match=message):
                y.backward()
    if not inside:
        with pytest.raises(ValueError, match=message):
            y.backward()
    assert x.grad is None


def test_a_parameter_that_was_updated_too_soon_is_named():
    w = leaf([1.0, 2.0], name="W1")
    with tg.debug():
        y = (w * w).sum()
    w.data -= 0.1
    with pytest.raises(ValueError, match=r"multiply: its input a \('W1'\) was changed"):
        y.backward()


def test_a_list_of_inputs_is_watched_as_well():
    x, array = leaf([1.0]), np.array([2.0])
    with tg.debug():
        y = tg.concatenate([x, array, x])
    array[0] = 3.0
    with pytest.raises(
        ValueError, match=r"concatenate: its input arrays\[1\] was chang"
    ):
        y.sum().backward()


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array.__setitem__(0, -array[0]),
        lambda array: array.__setitem__(slice(None), array[::-1].copy()),
        lambda array: array.sort(),
        lambda array: array.resize((3, 1), refcheck=False),
    ],
)
def test_any_change_is_found(change):
    array = np.array([3.0, 1.0, 2.0])
    with tg.debug():
        y = (leaf(1.0) * array).sum()
    change(array)
    with pytest.raises(ValueError, match="was changed"):
        y.backward()


def test_an_array_that_has_its_old_values_again_is_no_fault():
    x, array = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    with tg.debug():
        y = (x * array).sum()
    array += 1.0
    array -= 1.0
    y.backward()
    np.testing.assert_array_equal(x.grad.data, array)


def test_an_answer_that_was_changed_is_found():
    """The rule of exp reads the answer, so the gradient would be wrong."""
    x = leaf([1.0, 2.0])
    with tg.debug():
        y = x.exp()
    y.data[0] = 0.0
    with pytest.raises(ValueError, match=r"exp: .*was changed"):
        y.backward([0.3, 0.7])
    assert x.grad is None


def test_an_index_that_was_changed_is_found():
    x, index = leaf([1.0, 2.0]), np.array([0])
    with tg.debug():
        y = x[index]
    index[0] = 1
    with pytest.raises(ValueError, match=r"getitem: .*index.* was changed"):
        y.backward([0.3])
    assert x.grad is None


# --- On and off -----------------------------------------------------------------------


def test_debug_is_off_by_default():
    x, array = leaf([1.0, 2.0]), np.array([3.0, np.nan])
    y = (x * array).sum()
    assert np.isnan(y.item())
    assert y.origin is None
    array[1] = 4.0
    y.backward()
    assert x.grad.data.tolist() == [3.0, 4.0]


def test_debug_ends_with_its_block_and_with_an_error():
    with tg.debug():
        assert current_mode.get().watch is not None
    assert current_mode.get().watch is None
    with pytest.raises(ValueError, match="log: its result contains a NaN"), tg.debug():
        leaf(-1.0).log()
    assert current_mode.get().watch is None
    assert np.isnan(leaf(-1.0).log().item())


def test_debug_is_a_decorator_too():
    @tg.debug()
    def logarithm(x):
        return x.log()

    for _ in range(2):
        with pytest.raises(ValueError, match="log: its result contains a NaN"):
            logarithm(leaf(-1.0))


def test_debug_nests_with_no_grad():
    x = leaf(-1.0)
    with tg.debug(), tg.no_grad():
        assert not (x * 2.0).requires_grad
        with pytest.raises(ValueError, match="log: its result contains a NaN"):
            x.log()
    with tg.no_grad():
        with tg.debug():
            assert not (x * 2.0).requires_grad
            with pytest.raises(ValueError, match="log: its result contains a NaN"):
                x.log()
        assert not (x * 2.0).requires_grad
        assert np.isnan(x.log().item())
    with tg.debug():
        with tg.no_grad():
            pass
        assert (x * 2.0).requires_grad
        assert (x * 2.0).origin is not None


def test_debug_changes_no_number():
    rng = np.random.default_rng(0)
    model = tg.nn.MLP([3, 4, 2], rng=0)
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))

    def gradients():
        for p in model.parameters():
            p.zero_grad()
        tg.losses.mse(model(x), y).backward()
        return [p.grad.data.tobytes() for p in model.parameters()]

    expected = gradients()
    with tg.debug():
        assert gradients() == expected


@pytest.mark.usefixtures("no_gc")
def test_a_constant_recorded_under_debug_does_not_keep_its_inputs_alive():
    x = tg.Tensor([1.0])
    memory = weakref.ref(x)
    with tg.debug():
        y = x * 2.0
    del x
    assert memory() is None
    assert y.item() == 2.0
