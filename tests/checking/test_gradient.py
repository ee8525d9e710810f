"""gradcheck passes what is right, and names what is wrong with what is not."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.engine.op import OPS


@pytest.fixture
def declare():
    """Declare an op of any name, with its rules."""

    def op(forward, signature="()->()", **rules):
        name = f"trial{len(OPS)}"
        return tg.op(forward, name=name, signature=signature).vjp(**rules)

    return op


@pytest.fixture
def a(rng):
    return rng.standard_normal((3, 4))


def message(f, *inputs, **how):
    with pytest.raises(tg.GradientError) as caught:
        tg.gradcheck(f, *inputs, **how)
    return str(caught.value)


# --- What is right --------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_right_gradient_passes(a, rng, order, dtype):
    w = rng.standard_normal((4, 2)).astype(dtype)
    report = tg.gradcheck(
        lambda x, w: tg.sigmoid(x @ w).mean(axis=0), a.astype(dtype), w, order=order
    )
    assert [row.input for row in report] == ["x", "w"] * order
    assert [row.order for row in report] == [1, 1, 2, 2][: 2 * order]
    allowed = 1e-2 if dtype == np.float32 else 1e-9
    assert all(row.relative_difference < allowed for row in report)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_is_checked_by_its_parameters(rng, dtype):
    model = tg.nn.MLP([784, 30, 10], rng=0, dtype=dtype)
    x, y = rng.random((10, 784), dtype=dtype), rng.random((10, 10), dtype=dtype)
    before = [p.data.copy() for p in model.parameters()]
    report = tg.gradcheck(
        lambda *_: tg.losses.mse(model(x), y), *model.parameters(), order=2
    )
    assert [row.input for row in report[:4]] == ["W1", "W2", "b1", "b2"]
    assert [row.checked for row in report[2:4]] == ["8 directions", "10 coordinates"]
    for p, was in zip(model.parameters(), before):
        assert p.grad is None
        np.testing.assert_array_equal(p.data, was)


def test_a_large_and_a_fast_function_are_differenced_with_a_step_that_fits():
    tg.gradcheck(lambda x: tg.exp(x * 1e-6).sum(), [3e6, -2e6])
    tg.gradcheck(lambda x: tg.sin(1e4 * x).sum(), [0.3, 1.0])
    tg.gradcheck(lambda x: tg.log(x).sum(), [1e-3, 5.0])


def test_a_function_that_is_linear_has_no_second_derivative():
    report = tg.gradcheck(lambda x, y: (3.0 * x).sum(), [1.0, 2.0], [1.0], order=2)
    assert [row.relative_difference < 1e-9 for row in report] == [True] * 4


def test_empty_inputs_have_nothing_to_check():
    (row,) = tg.gradcheck(lambda x: x.sum() + x.prod(), np.empty((0, 3)))
    assert row.checked == "0 coordinates"


def test_a_report_prints_as_a_table():
    report = tg.gradcheck(lambda x: (x * x).sum(), [1.0, 2.0])
    header, line = str(report).splitlines()
    columns = "input shape dtype order checked relative_difference"
    assert header.split() == columns.split()
    assert line.startswith("x      (2,)   float64  1      2 coordinates  ")
    html = report._repr_html_()
    assert html.count("<tr>") == 2
    assert html.count("<th ") == html.count("<td ") == 6


# --- What is wrong, and what it looks like --------------------------------------------


def square(x):
    return np.square(x)


SLIPS = {
    "its sign is flipped": lambda g, y, x: -2 * g * x,
    "it is twice as large": lambda g, y, x: 4 * g * x,
    "it is half as large": lambda g, y, x: g * x,
    "it is zero": lambda g, y, x: 0 * g * x,
    "it ignores g": lambda g, y, x: 2 * x + 0 * g,
    "it passes g on": lambda g, y, x: g,
    "the factor x is there one time too many": lambda g, y, x: 2 * g * x * x,
    "it is 3 times too large": lambda g, y, x: 6 * g * x,
    "it is 4 times too small": lambda g, y, x: g * x / 2,
    "no common mistake explains it": lambda g, y, x: 2 * g * x + tg.sin(x),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_the_op_the_input_the_line_and_the_slip_are_named(declare, a, slip):
    wrong = declare(square, x=SLIPS[slip])
    text = message(lambda z: tg.exp(wrong(z)).sum(), a)  # the line that is named
    assert text.startswith("gradcheck: the gradient for z at [")
    assert f"the rule of {wrong.name} for its input x (shape (3, 4)" in text
    assert re.search(rf"called at {re.escape(__file__)}:\d+\) is wrong: {slip}", text)
    assert text.count("\n") == 1, "and no other op is blamed"


def test_a_rule_that_gives_nan_is_told(declare, a):
    wrong = declare(square, x=lambda g, y, x: g * np.nan)
    assert "it has a NaN or an infinity" in message(lambda x: wrong(x).sum(), a)


def test_a_missing_factor_is_named(declare, a):
    wrong = declare(lambda x: 1 / (1 + np.exp(-x)), x=lambda g, y, x: g * y)
    assert "the factor (1 - y) is missing" in message(lambda x: wrong(x).sum(), a)


def test_a_slip_that_a_factor_of_another_shape_does_not_explain(declare, a, rng):
    wrong = declare(
        lambda a, b: a * b,
        "(),()->()",
        a=lambda g, y, a, b: g * b + tg.sin(a),
        b=lambda g, y, a, b: g * a,
    )
    b = rng.standard_normal(4)
    text = message(lambda x: wrong(x, b).sum(), a)
    assert "no common mistake explains it" in text


def test_a_transposed_gradient_is_named(declare, rng):
    wrong = declare(
        lambda x: x.T * np.arange(9.0).reshape(3, 3),
        "(n,n)->(n,n)",
        x=lambda g, y, x: g * np.arange(9.0).reshape(3, 3),
    )
    text = message(lambda x: tg.sin(wrong(x)).sum(), rng.standard_normal((3, 3)))
    assert "it is transposed" in text


def test_a_transposed_gradient_of_another_shape_is_told_by_the_walk(declare, a, rng):
    wrong = declare(
        lambda a, b: a @ b,
        "(m,k),(k,n)->(m,n)",
        a=lambda g, y, a, b: g @ b.T,
        b=lambda g, y, a, b: g.T @ a,
    )
    with pytest.raises(ValueError, match=r"\(2, 4\) for an .* \(4, 2\).*transposed\?"):
        tg.gradcheck(lambda x: wrong(a, x).sum(), rng.standard_normal((4, 2)))


@pytest.mark.parametrize("which", [0, -1])
@pytest.mark.parametrize("keep", [False, True])
def test_a_missing_sum_over_a_broadcast_axis_is_named(declare, a, rng, which, keep):
    wrong = declare(
        np.add,
        "(),()->()",
        a=lambda g, y, a, b: g,
        b=lambda g, y, a, b: g[which].reshape(b.shape),
    )
    b = rng.standard_normal((1, 4) if keep else 4)
    text = message(lambda x: tg.sin(wrong(a, x)).sum(), b)
    assert "the sum over axis 0 of the output is missing" in text
    assert "input b" in text


def test_the_rule_of_another_input_is_named(declare, a):
    wrong = declare(
        np.multiply,
        "(),()->()",
        a=lambda g, y, a, b: g * a,
        b=lambda g, y, a, b: g * a,
    )
    text = message(lambda x, y: tg.sin(wrong(x, y)).sum(), a, a + 1)
    assert "input a" in text
    assert "it is the rule for the input b" in text


def test_one_of_many_inputs_is_named(declare, a):
    wrong = tg.op(lambda *xs: np.concatenate(xs), name=f"trial{len(OPS)}")
    wrong.vjp(xs=lambda g, y, *xs: lambda i: -g[i * 3 : i * 3 + 3])
    text = message(lambda x: wrong([x, x]).sin().sum(), a)
    assert f"the rule of {wrong.name} for its input xs[0] " in text
    assert "its sign is flipped" in text


def test_a_rule_that_is_not_recorded_is_found_in_second_order(declare):
    def rule(g, y, x):
        return g * (3 * (x.data if isinstance(x, tg.Tensor) else x) ** 2)

    cube = declare(lambda x: x**3, x=rule)
    tg.gradcheck(lambda x: cube(x).sum(), [1.0, 2.0])
    text = message(lambda x: cube(x).sum(), [1.0, 2.0], order=2)
    assert text.startswith("gradcheck: the second derivative for x at [")
    assert f"the gradient of {cube.name}" in text
    assert "does a rule use .data" in text


def test_what_is_not_recorded_is_guessed_at(a):
    text = message(lambda x: (x * x.data).sum(), a)
    assert "a part of the function is not recorded" in text


def test_a_scalar_input_has_no_coordinate():
    text = message(lambda x: x * x.data, 2.0)
    assert text.startswith("gradcheck: the gradient for x is wrong")


# --- Kinks, and steps that do not fit -------------------------------------------------


def test_a_kink_is_named_with_the_convention():
    text = message(lambda x: tg.relu(x).sum(), [0.0, 1.0])
    assert "you are at a kink of relu (called at " in text
    assert "a convention (0 at x = 0)" in text


def test_a_kink_of_an_op_that_declares_none_is_found(declare):
    own = declare(lambda x: np.maximum(x, 0), x=lambda g, y, x: g * tg.sign(y))
    text = message(lambda x: own(x).sum(), [0.0, 1.0])
    assert f"at a kink of {own.name}" in text
    assert "to the left and right" in text


def test_a_kink_does_not_hide_a_wrong_rule(declare):
    wrong = declare(square, x=lambda g, y, x: -2 * g * x)
    text = message(lambda x: (abs(x) + wrong(x)).sum(), [0.0, 1.0])
    assert f"the rule of {wrong.name}" in text
    assert "kink" not in text


def test_a_small_derivative_is_not_lost_beside_a_large_one(declare):
    wrong = declare(square, x=lambda g, y, x: 5 * g * x)
    text = message(lambda x: 1e6 * x[0] ** 2 + wrong(x[1]), [1.0, 1.0])
    assert text.startswith("gradcheck: the gradient for x at [1] is wrong")


def test_where_differences_tell_nothing_it_says_so():
    text = message(lambda x: tg.sin(1e12 * x).sum(), [0.3])
    assert text.startswith("gradcheck: the gradient for x at [0] cannot be checked")


def test_inputs_of_all_sizes_near_the_end_of_a_domain():
    tg.gradcheck(lambda x: tg.log(x).sum(), [0.01, 1e6])
    tg.gradcheck(lambda x: tg.sqrt(x).sum(), [1e-6, 5.0])


def test_a_rule_may_use_a_tensor_that_is_constant(declare):
    right = declare(square, x=lambda g, y, x: g * tg.Tensor(2.0) * x)
    tg.gradcheck(lambda x: right(x).sum(), [1.0, 2.0])


def test_a_kink_of_a_branch_that_is_not_recorded_is_found():
    text = message(lambda x: tg.where(x.data > 0, 2.0 * x, x).sum(), [0.0, 1.0])
    assert "you are at a kink: the slopes to the left and right of it differ" in text


def test_an_op_that_is_not_at_its_kink_is_not_blamed(declare):
    wrong = declare(square, x=lambda g, y, x: -2 * g * x)
    text = message(lambda x: wrong(tg.relu(x)).sum(), [2.0, 1.0])
    assert "kink" not in text


def test_a_step_that_is_too_coarse_is_not_blamed_on_a_rule():
    text = message(lambda x: tg.sin(1e9 * x).sum(), [0.3, 1.0])
    assert "the step is too large here" in text
    assert "rule" not in text


def test_tolerances_can_be_given(a):
    def nearly(x):
        return (x * x).sum() + 1e-3 * (x.data * x.data).sum()

    message(nearly, a)
    tg.gradcheck(nearly, a, rtol=1e-2)
    tg.gradcheck(nearly, a, atol=1e-1)


# --- What is no check -----------------------------------------------------------------


generator = np.random.default_rng(0)


def draws(x):
    return (x * generator.random()).sum()


def changes(x):
    x.data += 1.0
    return x.sum()


def not_finite(x):
    with np.errstate(all="ignore"):
        return tg.log(x - 5.0).sum()


@pytest.mark.parametrize(
    ("f", "inputs", "error", "text"),
    [
        (lambda x: None, [1.0], TypeError, "returns nothing (None)"),
        (lambda x: (x, x), [1.0], TypeError, "returns a tuple"),
        (lambda x: float(x.sum()), [1.0], TypeError, "returns a float"),
        (lambda x: x, [1, 2], TypeError, "input 0 is int64"),
        (lambda x: x, {"w": [1.0]}, TypeError, "type dict, but each input must be one"),
        (
            lambda x: x,
            tg.nn.Linear(2, 1),
            TypeError,
            "for a model: *model.parameters()",
        ),
        (
            lambda x: x,
            [[1.0], [1.0, 2.0]],
            TypeError,
            "pass the arrays in it one by one",
        ),
        (lambda x: x, np.array([1j]), TypeError, "pass .real and .imag separately"),
        (lambda x: tg.Tensor(x.data), [1.0], ValueError, "does not depend"),
        (draws, [1.0], ValueError, "random"),
        (changes, [1.0], ValueError, "changes its input x"),
        (lambda x: x.sum(), [np.nan], ValueError, "input 0 has a NaN"),
        (not_finite, [1.0], ValueError, "output has a NaN or an infinity"),
    ],
)
def test_what_cannot_be_checked_says_why(f, inputs, error, text):
    with pytest.raises(error, match=re.escape(text)):
        tg.gradcheck(f, inputs)


def test_calls_that_make_no_sense():
    with pytest.raises(ValueError, match="give the inputs"):
        tg.gradcheck(lambda: None)
    with pytest.raises(ValueError, match="order must be 1 or 2"):
        tg.gradcheck(lambda x: x, [1.0], order=3)
    x = tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="input 0 was computed"):
        tg.gradcheck(lambda x: x, x * 2.0)


def test_a_function_without_a_signature_has_inputs_by_number():
    (row,) = tg.gradcheck(tg.exp, [1.0])
    assert row.input == "input 0"
    (row,) = tg.gradcheck(np.exp, [1.0])
    assert row.input == "input 0"
