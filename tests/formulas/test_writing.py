"""How formulas are written: precedence, numbers, names, for every op's template."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.formulas.algebra import Name, minus, number, plus, read, times, to_the
from tinygrad_edu.formulas.brackets import Strength, strength_needed, strength_of
from tinygrad_edu.formulas.writing import in_latex, in_text


def name(text, data=2.0):
    return Name(np.shape(data), text, data)


A, B, C = map(name, "abc")
X, Y = (name(letter, np.ones((2, 3))) for letter in "XY")


@pytest.mark.parametrize(
    ("formula", "text", "latex"),
    [
        (plus(A, minus(B)), "a - b", "a - b"),
        (minus(plus(A, B)), "-(a + b)", r"-\left( a + b \right)"),
        (plus(A, minus(plus(B, C))), "a - (b + c)", r"a - \left( b + c \right)"),
        (plus(minus(A), B), "-a + b", "-a + b"),
        (times(A, plus(B, C)), "a (b + c)", r"a \, \left( b + c \right)"),
        (times(number(2), A, B), "2 a b", r"2 \, a \, b"),
        (times(A, A, A), "a^3", "a^{3}"),
        (times(A, to_the(B, -1)), "a / b", r"\frac{a}{b}"),
        (to_the(times(A, B), -1), "1 / (a b)", r"\frac{1}{a \, b}"),
        (times(number(0.25), A), "1/4 a", r"\frac{1}{4} \, a"),
        (times(number(0.25), to_the(A, -1)), "1/4 / a", r"\frac{1}{4 \, a}"),
        (to_the(A, 0.5), "a^(1/2)", "a^{1/2}"),
        (to_the(plus(A, B), 2), "(a + b)^2", r"\left( a + b \right)^{2}"),
        (to_the(minus(A), 2), "(-a)^2", r"\left( -a \right)^{2}"),
        (times(X, Y), "X * Y", r"X \odot Y"),
        (times(A, X), "a X", r"a \, X"),
        (plus(A, A), "2 a", r"2 \, a"),
        (plus(A, minus(A)), "0", "0"),
        (plus(times(A, B), times(B, A)), "2 a b", r"2 \, a \, b"),
        (
            plus(times(number(0.1), A), times(number(0.2), A), times(number(-0.3), A)),
            "0",
            "0",
        ),
        (times(A, to_the(A, -1)), "1", "1"),
        (to_the(A, 0), "1", "1"),
    ],
)
def test_arithmetic(formula, text, latex):
    assert in_text(formula) == text
    assert in_latex(formula) == latex


def of(f, **names):
    """Read what a function of Tensors records."""
    leaves = {k: tg.Tensor(v, requires_grad=True) for k, v in names.items()}
    known = {id(x): name(k, x.data) for k, x in leaves.items()}
    return read(f(**leaves), known, lambda x: name("c", x))


M = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("f", "text", "latex"),
    [
        (lambda x: tg.log(x * x + 1), "log(x^2 + 1)", r"\log \left( x^{2} + 1 \right)"),
        (lambda x: tg.exp(-x), "exp(-x)", "e^{-x}"),
        (lambda x: tg.exp(x) ** x, "exp(x)^x", r"\left( e^{x} \right)^{x}"),
        (lambda x: x ** (x + 1), "x^(x + 1)", "x^{x + 1}"),
        (lambda x: tg.log(x) * x, "log(x) x", r"\left( \log x \right) \, x"),
        (lambda x: x * tg.log(x), "x log(x)", r"x \, \log x"),
        (lambda x: tg.abs(x - 1), "abs(x - 1)", r"\lvert x - 1 \rvert"),
        (lambda x: tg.sqrt(x + 1), "sqrt(x + 1)", r"\sqrt{x + 1}"),
        (lambda x: tg.maximum(x, 3.0), "maximum(x, 3)", r"\max(x, 3)"),
        (lambda x: tg.softplus(x) - x, "softplus(x) - x", r"\log(1 + e^{x}) - x"),
        (
            lambda x: 2 * tg.softplus(x) * tg.expm1(x),
            "2 softplus(x) expm1(x)",
            r"2 \, \log(1 + e^{x}) \, \left( e^{x} - 1 \right)",
        ),
        (lambda x: tg.floor(x) + 1, "floor(x) + 1", r"\lfloor x \rfloor + 1"),
    ],
)
def test_functions_of_numbers(f, text, latex):
    formula = of(f, x=2.5)
    assert in_text(formula) == text
    assert in_latex(formula) == latex
    assert formula.value == pytest.approx(f(tg.Tensor(2.5)).item())


@pytest.mark.parametrize(
    ("f", "text", "latex"),
    [
        (lambda x: x.T @ (x + 1), "x^T (x + 1)", r"x^T \left( x + 1 \right)"),
        (lambda x: (x * 2).T, "(2 x)^T", r"\left( 2 \, x \right)^T"),
        (lambda x: x[0, 1:] + x[-1, 1:], "x[0, 1:] + x[-1, 1:]", None),
        (lambda x: x[..., ::2] * x[:, None, 0], "x[..., ::2] * x[:, None, 0]", None),
        (lambda x: x[np.array([1, 0])], "x[[1, 0]]", None),
        (lambda x: x[np.zeros(9, int)], "x[...]", None),
        (lambda x: tg.sum(x, axis=0), "sum(x, axis=0)", r"\sum_{\text{axis 0}} x"),
        (lambda x: tg.sum(x), "sum(x)", r"\sum x"),
        (
            lambda x: tg.concatenate([x, x], axis=1),
            "concatenate([x, x], axis=1)",
            r"\operatorname{concatenate}([x, x],\; \text{axis=1})",
        ),
        (lambda x: tg.reshape(x, (3, 2)), "reshape(x, shape=(3, 2))", None),
        (lambda x: tg.expand_dims(x, 0) + 1, "x + 1", "x + 1"),
        (
            lambda x: tg.add_at(x, [0, 0], (4, 3)),
            None,
            r"\operatorname{add\_at}"
            r"(x,\; \text{index=[0, 0]},\; \text{shape=(4, 3)})",
        ),
        (lambda x: x.reshape(2, 1, 3) - x, "x[:, None, :] - x", None),
        (lambda x: x[:, :1].reshape(2) + 1, "x[:, :1][:, 0] + 1", None),
        (lambda x: tg.broadcast_to(x[0], (3, 3)) @ x.T, "(x[0] * ones) x^T", None),
        (
            lambda x: np.ones((1, 2)) @ (0 * x + 2),
            "c (2 ones)",
            r"c \left( 2 \, \mathbf{1} \right)",
        ),
        (
            lambda x: tg.linear(x, np.ones((2, 3)), np.ones(2)) - 1,
            "(x c^T + c) - 1",
            None,
        ),
        (lambda x: x[0][1], "x[0][1]", r"{x_{\text{0}}}_{\text{1}}"),
        (
            lambda x: tg.concatenate([x] * 9),
            "concatenate([x, x, x, ..., x])",
            r"\operatorname{concatenate}([x, x, x, \dots, x])",
        ),
    ],
)
def test_functions_of_arrays(f, text, latex):
    formula = of(f, x=M)
    assert text is None or in_text(formula) == text
    assert latex is None or in_latex(formula) == latex
    np.testing.assert_allclose(formula.value, f(tg.Tensor(M)).data)


@pytest.mark.parametrize("op", [op for op in tg.OPS.values() if op.tex], ids=str)
def test_a_sum_in_an_op_and_an_op_in_a_power_are_told_apart(op):
    """Whatever a template is, its strength and its places' are told without error."""
    needed = strength_needed(op.tex)
    assert needed.keys() <= {*op.inputs, *op.defaults}
    assert set(op.inputs) <= needed.keys() or op.variadic
    assert strength_of(op.tex) in Strength


@pytest.mark.parametrize(
    ("template", "strength", "needed"),
    [
        ("{a} + {b}", "SUM", {"a": "SUM", "b": "SUM"}),
        ("{a} - {b}", "SUM", {"a": "SUM", "b": "PRODUCT"}),
        (r"{a} \odot {b}", "PRODUCT", {"a": "POWER", "b": "POWER"}),
        ("{x}^T", "POWER", {"x": "ATOM"}),
        (r"\log {x}", "FUNCTION", {"x": "ATOM"}),
        (r"\sigma({x})", "ATOM", {"x": "SUM"}),
        (r"\frac{{{a}}}{{{b}}}", "POWER", {"a": "SUM", "b": "SUM"}),
        (r"\lVert {x} \rVert^2", "POWER", {"x": "SUM"}),
        ("{x} {w}^T + {b}", "SUM", {"x": "POWER", "w": "ATOM", "b": "SUM"}),
        (r"\sum_{{{axis}}} {x}", "FUNCTION", {"axis": "SUM", "x": "PRODUCT"}),
        (r"{a} \text{{ where }} {b}", "SUM", {"a": "SUM", "b": "SUM"}),
    ],
)
def test_a_template_tells_where_brackets_go(template, strength, needed):
    assert strength_of(template).name == strength
    assert {k: v.name for k, v in strength_needed(template).items()} == needed


def test_an_op_of_ones_own_is_written_by_its_declaration():
    @tg.op(tex=r"{x}^3", signature="()->()")
    def cube(x):
        return x**3

    formula = of(lambda x: cube.vjp(x=lambda g, y, x: g * 3 * x**2)(x + 1), x=2.0)
    assert in_text(formula) == "(x + 1)^3"
    assert in_latex(formula) == r"\left( x + 1 \right)^3"


def test_a_parameter_that_is_an_array_is_told_in_a_line():
    @tg.op()
    def scaled(x, *, scale):
        return x * scale

    scaled.vjp(x=lambda g, y, x, scale: g * scale)
    formula = of(lambda x: scaled(x, scale=np.array([1, 2, 3])), x=M)
    assert in_text(formula) == "scaled(x, scale=[1, 2, 3])"
