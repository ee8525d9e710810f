"""The derivation of a gradient: as the textbook has it, and right to the value."""

import itertools
import re

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from leaves import leaf
from sympy.parsing.sympy_parser import (
    convert_xor,
    implicit_multiplication,
    parse_expr,
    standard_transformations,
)

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order


def scalar_network():
    """Return the two-layer scalar network of the textbook: its loss and its weights."""
    x, y = tg.Tensor(0.5, name="x"), tg.Tensor(1.0, name="y")
    w1, w2 = leaf(0.3, "w1"), leaf(-0.7, "w2")
    z1 = x * w1
    h1 = tg.sigmoid(z1)
    z2 = h1 * w2
    h2 = tg.sigmoid(z2)
    Loss = 0.5 * (y - h2) ** 2
    for node, name in zip([z1, h1, z2, h2, Loss], ["z1", "h1", "z2", "h2", "Loss"]):
        node.name = name
    return Loss, w1, w2


def rows_of(explanation):
    """Read the table: function to derivatives."""
    table, _, _ = str(explanation).partition("\n\n")
    header, *rows = table.splitlines()
    assert header.split("  ")[0] == "function"
    start, end = header.index("first derivative"), header.index("value")
    return {row[:start].rstrip(): row[start:end].rstrip() for row in rows}


# --- The textbook's network -----------------------------------------------------------


def test_the_table_of_the_scalar_network_is_that_of_the_textbook():
    loss, w1, _ = scalar_network()
    assert rows_of(tg.explain(loss, wrt=w1)) == {
        "Loss = 1/2 (y - h2)^2": "dLoss/dh2 = -(y - h2)",
        "h2 = sigmoid(z2)": "dh2/dz2 = h2 (1 - h2)",
        "z2 = h1 w2": "dz2/dw2 = h1, dz2/dh1 = w2",
        "h1 = sigmoid(z1)": "dh1/dz1 = h1 (1 - h1)",
        "z1 = x w1": "dz1/dw1 = x",
    }


def test_the_chain_of_the_scalar_network_is_that_of_the_textbook():
    loss, w1, _ = scalar_network()
    _, given, first, second = str(tg.explain(loss)).split("\n\n")
    assert given == "given: x = 0.5, y = 1, w1 = 0.3, w2 = -0.7"
    in_symbols, written, numbers, value = re.split(r"\n? *= ", first)[1:]
    assert in_symbols == "dLoss/dh2 * dh2/dz2 * dz2/dh1 * dh1/dz1 * dz1/dw1"
    assert written == "-(y - h2) h2 (1 - h2) w2 h1 (1 - h1) x"
    assert second.startswith("dLoss/dw2 = dLoss/dh2 * dh2/dz2 * dz2/dw2")
    loss.backward()
    product = np.prod([float(factor.strip("()")) for factor in numbers.split(" * ")])
    assert product == pytest.approx(w1.grad.item(), rel=1e-3)
    assert float(value) == pytest.approx(w1.grad.item(), rel=1e-3)


def test_each_quantity_is_told_with_its_value_and_its_shape():
    loss, *_ = scalar_network()
    text = str(tg.explain(loss))
    h2 = next(line for line in text.splitlines() if line.startswith("h2"))
    assert h2.split()[-2:] == ["0.407", "()"]


# --- Matrices -------------------------------------------------------------------------


def test_of_a_network_it_speaks_in_the_names_of_layers_and_transposes():
    x, y = tg.data.xor(float)
    model = tg.nn.MLP([2, 3, 1], rng=0)
    loss = tg.losses.mse(model(x), y)
    text = str(tg.explain(loss, wrt=model.weights))
    assert "z2 = a1 W2^T + b2 " in text
    assert "dloss/dW2 = (dloss/dz2)^T a1 " in text
    assert "dloss/da1 = dloss/dz2 W2" in text
    assert "a1 = sigmoid(z1)  " in text
    assert (
        "dloss/dW1 = (((dloss/da2 * da2/dz2) W2) * da1/dz1)^T x\n"
        "          = (((1/4 (a2 - y) * a2 * (1 - a2)) W2) * a1 * (1 - a1))^T x\n"
    ) in text
    latex = tg.explain(loss, wrt=model.weights).to_latex()
    assert r"z_2 = a_1 W_2^T + b_2" in latex
    assert r"\left( \frac{d\mathrm{loss}}{dz_1} \right)^T x" in latex


def test_cross_entropy_speaks_of_the_target_and_its_complement():
    x, y = tg.data.xor(float)
    model = tg.nn.MLP([2, 3, 1], rng=0)
    cost = tg.losses.cross_entropy(model(x), y)
    assert "cost = -1/4 sum(y log(a2) + (1 - y) log(1 - a2))" in rows_of(
        tg.explain(cost)
    )


def test_softmax_cross_entropy_is_told_without_what_was_impossible():
    z = leaf(np.array([[1.0, 2.0, 0.5], [0.1, -1.0, 0.0]]), "z")
    y = np.eye(3)[[0, 2]]
    (derivative,) = rows_of(tg.explain(tg.losses.softmax_cross_entropy(z, y))).values()
    softmax = "softmax(z) * sum(-1/2 y, axis=-1, keepdims=True)"
    assert derivative == f"dloss/dz = -1/2 y - {softmax}"


def test_what_was_not_chosen_is_not_told_and_what_is_equal_by_chance_is():
    x = leaf(1.0, "x")
    t = np.where(x.data > 0, 2 * x, 5 * x)
    assert rows_of(tg.explain((t - 2) ** 2)) == {
        "y = (t - 2)^2": "dy/dt = 2 (t - 2)",
        "t = 2 x": "dt/dx = 2",
    }
    v = leaf([1.0, -2.0, 3.0], "v")
    h = tg.maximum(v, 0.0)
    text = str(tg.explain(2 * h[1]))
    assert "dy/dv = where(m1, 0, dy/dh)" in text
    assert "m2" not in text


def test_numbers_that_happen_to_match_are_not_taken_for_a_complement():
    w = leaf([[0.5]], "w")
    first, second = np.array([0.0]), np.array([1.0])
    z = tg.tanh(w @ first) + tg.tanh(w @ second)
    assert "1 - " not in str(tg.explain(z.sum())).split("first derivative")[0]
    assert "(w first) + tanh(w second)" in str(tg.explain(z.sum()))


def test_vectors_are_told_as_in_the_textbook():
    w, b, x = leaf(np.ones((3, 2)), "w"), leaf(np.zeros(3), "b"), np.array([3.0, 4.0])
    h = tg.tanh(w @ x + b)
    u = leaf(np.ones((2, 3)), "u")
    text = str(tg.explain(tg.sum((u @ h) ** 2)))
    assert "dy/dw = dy/dz1 x^T" in text
    assert "dy/du = dy/dt2 h^T" in text
    assert "dy/dh = u^T dy/dt2" in text
    v = leaf(np.ones(3), "v")
    p = tg.sigmoid(v @ h)
    assert "dp/dt2 = p (1 - p)" in str(tg.explain(p))
    assert "dt2/dv = h" in str(tg.explain(p))


def test_a_factor_of_a_sum_is_found():
    x = leaf(2.0, "x")
    u = 3 * x
    t = u - u**2
    u = None
    assert rows_of(tg.explain(t**2))["t = 3 x - 9 x^2"] == "dt/dx = 3 (1 - 6 x)"


def test_what_debug_watches_is_verified():
    with tg.debug():
        x = np.array([1.0, 2.0])
        y = (leaf([3.0, 4.0], "w") * x).sum()
    x[0] = 7.0
    with pytest.raises(ValueError, match="its input b was changed"):
        tg.explain(y)


def test_of_many_leaves_some_are_derived():
    leaves = [leaf(float(i), f"v{i}") for i in range(30)]
    text = str(tg.explain(tg.stack(leaves).sum()))
    assert text.endswith("\n\n10 more: ask for them by explain(y, wrt=...)")
    assert "concatenate([v0, v1, v2, ..., " in text
    assert "10 more" not in str(tg.explain(tg.stack(leaves).sum(), wrt=leaves[25]))


def test_numbers_in_latex_are_mathematics():
    y = leaf(1.0, "x") * 1e-7
    assert r"10^{-7} \, x" in tg.explain(y).to_latex()
    assert r"= 10^{-7}" in tg.explain(y).to_markdown()


def test_a_rule_of_too_many_steps_is_refused():
    @tg.op(signature="()->()")
    def slow(x):
        return 1 * x

    def rule(g, y, x):
        for _ in range(3000):
            g = tg.sin(g)
        return g

    slow.vjp(x=rule)
    y = slow(leaf(0.5, "x")) ** 2
    with pytest.raises(ValueError, match="the formula for an op's rule is too long"):
        tg.explain(y)


def test_what_several_lines_add_to_a_gradient_is_told_with_the_line():
    x, y = tg.data.xor(float)
    model = tg.nn.MLP([2, 3, 1], rng=0)
    w1 = model.weights[0]
    cost = tg.losses.mse(model(x), y) + tg.losses.l2([w1 @ w1.T], 0.1, 4)
    text = str(tg.explain(cost, wrt=w1))
    assert "dcost/dW1 via z1 = (dcost/dz1)^T x" in text
    paths = [
        "dcost/dt5 W1",
        "(W1^T dcost/dt5)^T",
        "(((dcost/da2 * da2/dz2) W2) * da1/dz1)^T x",
    ]
    assert text.split("\n\n")[2].startswith(f"dcost/dW1 = {' + '.join(paths)}\n")


# --- Several paths --------------------------------------------------------------------


def test_each_path_has_its_line_and_their_sum_is_the_gradient():
    x = leaf(2.0, "x")
    u = x * x
    y = u * x + u
    _, _, chain = str(tg.explain(y, wrt=x)).split("\n\n")
    assert chain.splitlines() == [
        "dy/dx = ∂y/∂x + dy/du * du/dx",
        "∂y/∂x = u = 4",
        "dy/du * du/dx = 2 (1 + x) x = 3 * 4 = 12",
        "dy/dx = 4 + 12 = 16",
    ]


def test_many_paths_are_told_node_by_node():
    x = leaf(0.5, "x")
    y = x
    for i in range(6):
        u = tg.sin(y) * tg.cos(y)
        u.name = f"u{i}"
        y = u * y
        y.name = f"y{i}"
    text = str(tg.explain(y, wrt=x))
    chain = text.split("\n\n")[2].splitlines()
    assert chain[0].startswith("dy5/du5 = y4 = ")
    assert chain[3].startswith(
        "dy5/dy4 = u5 - dy5/dt12 * sin(y4) + dy5/dt11 * cos(y4) ="
    )
    y.backward()
    last = float(text.rpartition("= ")[2])
    assert last == pytest.approx(x.grad.item(), rel=1e-3)


def test_a_long_chain_is_explained_without_recursion():
    x = leaf(0.5, "x")
    y = x
    for _ in range(3000):
        y = tg.sin(y)
    text = str(tg.explain(y))
    assert text.count("\n") > 3000
    y.backward()
    last = float(text.rpartition("= ")[2])
    assert last == pytest.approx(x.grad.item(), rel=1e-3)


@pytest.mark.parametrize(("n", "by_paths"), [(12, True), (13, False)])
def test_a_dozen_paths_are_told_one_by_one(n, by_paths):
    x = leaf(0.5, "x")
    y = 0.0
    for i in range(n):
        u = tg.sin(x)
        u.name = f"u{i}"
        y = y + u
    chain = str(tg.explain(y, wrt=x)).split("\n\n")[2]
    assert chain.startswith("dy/dx = ") is by_paths
    y.backward()
    assert float(chain.rpartition("= ")[2]) == pytest.approx(x.grad.item(), rel=1e-3)


@pytest.mark.parametrize(("n", "as_product"), [(60, True), (61, False)])
def test_a_path_of_sixty_factors_is_told_as_a_product(n, as_product):
    y = x = leaf(0.5, "x")
    for i in range(n):
        y = tg.sin(y)
        y.name = f"u{i}"
    chain = str(tg.explain(y)).split("\n\n")[2]
    assert chain.startswith(f"du{n - 1}/dx = ") is as_product
    y.backward()
    assert float(chain.rpartition("= ")[2]) == pytest.approx(x.grad.item(), rel=1e-3)


# --- How wide it is -------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_what_is_given_fills_the_lines(lengths):
    leaves = [leaf(float(i), f"{'v' * n}{i}") for i, n in enumerate(lengths)]
    text = str(tg.explain(tg.stack(leaves).sum(), wrt=leaves[0]))
    lines = text.split("\n\n")[1].splitlines()
    assert lines[0].startswith("given: ")
    assert all(line.startswith(" " * 7 + "v") for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == "given: " + ", ".join(
        f"{x.name} = {x.item():g}" for x in leaves
    )
    for line, after in itertools.pairwise(lines):
        assert line.endswith(",")
        assert len(line[:-1]) <= 79
        assert len(f"{line} {after.strip().partition(',')[0]}") > 79
    assert len(lines[-1]) <= 79


@pytest.mark.parametrize("length", [78, 79, 80])
def test_an_equation_is_broken_if_it_is_longer_than_a_line(length):
    x, w = leaf(2.0, "x"), leaf(3.0, "w" * (length - len("dy/dx =  = 3")))
    chain = str(tg.explain(x * w, wrt=x)).split("\n\n")[2]
    end = " = 3" if length <= 79 else "\n      = 3"
    assert chain == f"dy/dx = {w.name}{end}"


@pytest.mark.parametrize("length", [38, 39, 40])
def test_derivatives_stand_side_by_side_in_half_a_line(length):
    w = "w" * (length - len("dy/dx = 1, dy/d = 1"))
    told = list(rows_of(tg.explain(leaf(2.0, "x") + leaf(3.0, w))).values())
    if length <= 39:
        assert told == [f"dy/dx = 1, dy/d{w} = 1"]
    else:
        assert told == ["dy/dx = 1", f"dy/d{w} = 1"]


@pytest.mark.parametrize(("n", "more"), [(20, 0), (21, 1)])
def test_of_twenty_leaves_all_are_derived(n, more):
    leaves = [leaf(float(i), f"v{i}") for i in range(n)]
    chains = str(tg.explain(tg.stack(leaves).sum())).split("\n\n")[2:]
    assert [chain.split()[0] for chain in chains] == [
        *(f"dy/dv{i}" for i in range(20)),
        *["1"] * more,
    ]
    if more:
        assert chains[-1] == "1 more: ask for them by explain(y, wrt=...)"


# --- SymPy reads it, and agrees -------------------------------------------------------

FUNCTIONS = ["exp", "log", "sin", "cos", "tanh", "sigmoid", "sqrt", "square"]
SYMPY = {"sigmoid": lambda z: 1 / (1 + sympy.exp(-z)), "abs": sympy.Abs}
READ = (*standard_transformations, convert_xor, implicit_multiplication)


@st.composite
def scalars(draw):
    """Draw a scalar graph of named leaves, some of its nodes named."""
    values = draw(
        st.lists(st.sampled_from([0.3, 0.7, 1.3, 2.1]), min_size=2, max_size=4)
    )
    nodes = [leaf(value, f"v{i}") for i, value in enumerate(values)]
    for i in range(draw(st.integers(1, 8))):
        a, b = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
        kind = draw(st.integers(0, 7))
        if kind == 0:
            y = a + b
        elif kind == 1:
            y = a - b * draw(st.sampled_from([0.5, 2.0, -3.0]))
        elif kind == 2:
            y = a * b
        elif kind == 3:
            y = a / (b * b + 1)
        elif kind == 4:
            y = (a * a + 0.5) ** draw(st.sampled_from([2, 3, -1, 0.5]))
        elif kind == 5:
            y = (a * a + 0.5) ** b
        elif kind == 6:
            y = -a
        else:
            name = draw(st.sampled_from(FUNCTIONS))
            y = getattr(tg, name)(a * a + 0.1 if name in ("log", "sqrt") else a)
        if np.abs(y.data) < 50:
            nodes.append(y)
            if draw(st.booleans()):
                y.name = f"u{i}"
    return nodes[-1]


def parsed(text, symbols):
    return parse_expr(text, local_dict=SYMPY | symbols, transformations=READ)


@settings(max_examples=150, deadline=None)
@given(scalars())
def test_sympy_reads_each_line_and_finds_the_same_derivatives(y):
    if y.is_leaf:
        return
    explanation = tg.explain(y)
    text = str(explanation)
    names = set(re.findall(r"\b[a-z]+\d*\b", text)) - SYMPY.keys() - set(FUNCTIONS)
    symbols = {name: sympy.Symbol(name) for name in names if not name.startswith("d")}
    derivation = explanation.derivation
    values = {
        symbols[name.text]: float(node.data)
        for node, name in derivation.quantities.items()
        if name.text in symbols
    }
    compared = 0
    for function, derivatives in explanation.rows():
        name, formula = function.split(" = ", 1)
        formula = parsed(formula, symbols)
        assert float(formula.subs(values)) == pytest.approx(values[symbols[name]])
        for derivative in derivatives:
            left, right = derivative.split(" = ", 1)
            by = symbols[re.search(r"/[d∂](\w+)", left)[1]]
            mine, its = parsed(right, symbols), sympy.diff(formula, by)
            assert float(mine.subs(values)) == pytest.approx(
                float(its.subs(values)), rel=1e-9, abs=1e-12
            )
            compared += 1
    assert compared


# --- What cancels ---------------------------------------------------------------------


CANCELLING = [
    lambda a, b, n: a - a,
    lambda a, b, n: a + -a,
    lambda a, b, n: n * a,
    lambda a, b, n: a**n,
    lambda a, b, n: a / a,
    lambda a, b, n: a - 0.5 * a * 2,
    lambda a, b, n: a * b - b * a,
    lambda a, b, n: tg.exp(a) - tg.exp(a),
    lambda a, b, n: a + b,
    lambda a, b, n: a * b,
]


@st.composite
def cancelling(draw):
    """Draw a scalar graph of which parts, or all, cancel."""
    values = st.sampled_from([0.5, 1.0, 2.0, 1e200])
    nodes = [leaf(draw(values), f"v{i}") for i in range(draw(st.integers(1, 3)))]
    for _ in range(draw(st.integers(1, 6))):
        a, b = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
        n = draw(st.sampled_from([0, 0.0, 1, 2, -1, 0.5]))
        make = draw(st.sampled_from(CANCELLING))
        with np.errstate(all="ignore"):
            nodes.append(make(a, b, n))
    return nodes[-1]


@settings(max_examples=200, deadline=None)
@given(cancelling())
def test_what_cancels_is_explained_in_every_form(y):
    explanation = tg.explain(y)
    text, markdown, latex = (
        str(explanation),
        explanation.to_markdown(),
        explanation.to_latex(),
    )
    derivation = explanation.derivation
    leaves = [x for x in derivation.quantities if x.is_leaf]
    for x in leaves:
        assert re.search(rf"\b{x.name} = ", text.split("\n\n")[1])
        assert f"d{derivation.quantities[y].text}/d{x.name} = " in text
    assert markdown.count("$$") == 2 * len(leaves)
    assert latex.count("{") == latex.count("}")
    # What cancels on paper leaves the rounding of what is subtracted in the engine.
    is_small = all(abs(x.data) < 1e3 for x in topological_order(y))
    with np.errstate(all="ignore"):
        y.backward()
        for x in leaves:
            mine, right = derivation.cotangents[x].value, x.grad.data
            np.testing.assert_allclose(mine, right, rtol=1e-12)
            if is_small and np.isfinite(right):
                paths = derivation.paths(x, most=10**6, longest=100)
                written = sum(derivation.along(path)[1].value for path in paths)
                np.testing.assert_allclose(written, right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("f", "said"),
    [
        (lambda x: x - x, "y = 0     dy/dx = 0         0 "),
        (lambda x: 0 * x, "y = 0     dy/dx = 0         0 "),
        (lambda x: x**0, "y = 1     dy/dx = 0         1 "),
        (lambda x: x - 0.5 * x * 2, "y = 0     dy/dx = 0         0 "),
        (lambda x: (x - x) ** 2, "y = 0     dy/dx = 0         0 "),
        (lambda x: 0 * tg.stack([x, x]).sum(), "y = 0     dy/dx = 0         0 "),
    ],
)
def test_what_cancels_has_the_derivative_zero(f, said):
    text = str(tg.explain(f(leaf(2.0, "x"))))
    assert text.splitlines()[1].startswith(said)
    assert text.endswith("\n\ngiven: x = 2\n\ndy/dx = 0")


def test_a_leaf_is_its_own_derivative():
    x = leaf(2.0, "x")
    assert str(tg.explain(x)).endswith("\n\ngiven: x = 2\n\ndx/dx = 1")
    y = 3 * x
    assert str(tg.explain(y, wrt=[y, x])).endswith("\n\ndy/dy = 1\n\ndy/dx = 3")


def test_what_overflows_is_explained():
    with np.errstate(over="ignore"):
        y = (leaf(2.0, "x") * 1e200) ** 2
    assert rows_of(tg.explain(y)) == {"y = inf x^2": "dy/dx = inf x"}


def test_nan_has_no_sign():
    assert rows_of(tg.explain(leaf(2.0, "x") * np.nan)) == {"y = nan x": "dy/dx = nan"}


# --- Its forms ------------------------------------------------------------------------


def test_markdown_has_a_table_and_the_chains_as_mathematics():
    loss, w1, _ = scalar_network()
    explanation = tg.explain(loss, wrt=w1)
    markdown = explanation.to_markdown()
    assert markdown == explanation._repr_markdown_()
    table, given, chain = markdown.split("\n\n")
    lines = table.splitlines()
    assert [line.count("|") for line in lines] == [5] * 7
    assert r"$\frac{dz_2}{dw_2} = h_1,\quad \frac{dz_2}{dh_1} = w_2$" in table
    assert given == "given: $x = 0.5$, $y = 1$, $w_1 = 0.3$, $w_2 = -0.7$"
    assert chain.startswith("$$\n\\begin{aligned}\n\\frac{d\\mathrm{Loss}}{dw_1} &= ")


def test_latex_is_balanced():
    x, y = tg.data.xor(float)
    model = tg.nn.MLP([2, 3, 1], rng=0)
    cost = tg.losses.cross_entropy(model(x), y) + tg.losses.l2(model.weights, 0.1, 4)
    explanation = tg.explain(cost)
    latex = explanation.to_latex()
    assert latex == explanation._repr_latex_()
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") == latex.count(r"\right") > 0
    assert latex.count("$$") == 2 * (2 + 4)
    for kind in ("array", "aligned"):
        assert latex.count(rf"\begin{{{kind}}}") == latex.count(rf"\end{{{kind}}}")


def test_arrays_that_are_large_are_told_by_their_range_and_shape():
    x = np.arange(20.0).reshape(10, 2)
    w = leaf(np.ones((3, 2)), "w")
    loss = tg.sum(tg.tanh(x @ w.T))
    text = str(tg.explain(loss))
    assert "x of shape (10, 2)" in text
    assert "dloss/dw = (x^T (1 - tanh(x w^T)^2))^T" in text
    z = tg.explain(tg.sum(tg.exp(tg.tanh(x @ w.T))))
    assert re.search(r"^t3 = tanh.* 0\.7616 to 1 +\(10, 3\)$", str(z), re.M)
    assert r"x \text{ of shape } (10, 2)" in tg.explain(loss).to_latex()
    v = leaf(np.ones(9), "v")
    _, _, chain = str(tg.explain(tg.sum(v.exp()) + tg.sum(v))).split("\n\n")
    assert chain == "dy/dv = 1 + exp(v)"
    w = leaf(np.ones(9), "w")
    u = w * w
    _, _, chain = str(tg.explain(tg.sum(u * w))).split("\n\n")
    assert chain.splitlines() == [
        "dy/dw = ∂y/∂w + dy/du * du/dw",
        "∂y/∂w = u",
        "dy/du * du/dw = 2 w^2",
    ]


@pytest.mark.parametrize(
    ("values", "value"),
    [
        ([1000, 2000, 3000, 40], "[1000, 2000, 3000, 40]"),
        ([1000, 2000, 3000, 4000], "[1000, 2000, 3000, 4000]"),  # 24 characters
        ([1000, 2000, 3000, -4000], "-4000 to 3000"),  # 25
        ([1, 2, 3, 4, 5, 6], "[1, 2, 3, 4, 5, 6]"),
        ([1, 2, 3, 4, 5, 6, 7], "1 to 7"),
        (5, "5"),
    ],
)
def test_numbers_are_in_the_table_as_far_as_they_take_little_room(values, value):
    t = leaf(np.array(values, float), "v") * 1
    t.name = "t"
    (row,) = re.findall(r"^t = .*", str(tg.explain(tg.sum(t * t))), re.M)
    assert re.split(r" {2,}", row)[2] == value


def test_an_array_without_elements_is_explained():
    v = leaf(np.ones((0, 3)), "v")
    text = str(tg.explain(tg.sum(tg.exp(tg.exp(v)))))
    assert re.search(r"^t1 = exp\(v\) +dt1/dv = t1 +\[\] +\(0, 3\)$", text, re.M)


# --- Names ----------------------------------------------------------------------------


def test_what_has_no_name_is_called_like_its_variable():
    weight = tg.Tensor(0.5, requires_grad=True)
    squared = weight * weight
    assert list(rows_of(tg.explain(squared * 2 + squared.exp()))) == [
        "y = 2 squared + exp(squared)",
        "squared = weight^2",
    ]


@pytest.mark.parametrize("kind", [float, np.float32, int, np.int8])
@pytest.mark.parametrize("hold", [np.array, tg.Tensor])
def test_a_constant_has_its_name_in_the_rules_too(kind, hold):
    x = hold(np.array([[1, 2], [3, 4], [5, 6]], kind))
    W, b = leaf([[1.0, 1.0], [0.5, 2.0]], "W"), leaf([1.0, 1.0], "b")
    L = tg.mean((x @ W + b) ** 2)
    text = str(tg.explain(L))
    assert rows_of(text)["z1 = x W + b"] == "dL/dW = x^T dL/dz1"
    assert "dL/dW = x^T dL/dz1 = x^T (1/3 z1) = [[22, 44], [28, 56]]" in text
    assert "c1" not in text
    assert "c1" not in tg.explain(L).to_latex()
    assert r"\frac{dL}{dW} = x^T \frac{dL}{dz_1}" in tg.explain(L).to_markdown()


@pytest.mark.parametrize("kind", [float, int])
def test_a_constant_has_its_name_whatever_a_rule_makes_of_it(kind):
    w, x = leaf([1.0, 2.0, 3.0], "w"), np.array([1, 2, 4], kind)
    for f, rule in [
        (lambda: x**w, "x^w * log(x)"),
        (lambda: w**x, "x * w^(x - 1)"),
        (lambda: np.logaddexp(w, x), "sigmoid(w - x)"),
        (lambda: x / w, "-x / w^2"),
    ]:
        explanation = tg.explain(f().sum())
        assert [told for _, told in explanation.rows()] == [[f"dy/dw = {rule}"]]
    W = leaf(np.ones((3, 2)), "W")
    text = str(tg.explain(tg.sum((x @ W) ** 2 + tg.dot(x, W))))
    assert "c1" not in text
    stack = np.array(np.ones((2, 4, 3)), kind)
    assert "dy/dW = sum(stack^T " in str(tg.explain(tg.sum((stack @ W) ** 2)))


def test_a_constant_that_was_transposed_has_its_name():
    x, w = np.array([[1.0, 2.0], [3.0, 4.0]]), leaf(np.ones((2, 2)), "w")
    assert list(rows_of(tg.explain(tg.sum(x @ w @ x.T)))) == ["y = sum((x w) x^T)"]


def test_a_rule_may_ask_for_the_numbers_of_a_constant():
    @tg.op
    def pick(w, labels):
        return w[labels]

    def rule(g, y, w, labels):
        one_hot = np.eye(3)[np.asarray(labels)]
        return tg.sum(tg.expand_dims(g, -1) * one_hot, axis=0)

    pick.vjp(w=rule, labels=lambda g, y, w, labels: 0 * g)
    w, labels = leaf([1.0, 2.0, 3.0], "w"), np.array([2, 0, 2])
    y = tg.sum(pick(w, labels))
    assert str(tg.explain(y)).endswith("= [1, 0, 2]")
    y.backward()
    np.testing.assert_array_equal(w.grad.data, [1.0, 0.0, 2.0])


def test_what_is_computed_again_is_explained():
    w = leaf([1.0, 2.0], "w")
    y = tg.remat(lambda: w * w)().sum()
    assert list(rows_of(tg.explain(y))) == ["y = sum(remat([w]))"]


# --- What it does not do --------------------------------------------------------------


def test_it_changes_nothing():
    loss, w1, _ = scalar_network()
    tg.explain(loss)
    assert w1.grad is None
    loss.backward()
    first = w1.grad.item()
    loss, w1, _ = scalar_network()
    loss.backward(retain_graph=True)
    tg.explain(loss)
    assert w1.grad.item() == first


def test_it_records_nothing_that_debug_would_watch_and_works_without_recording():
    loss, *_ = scalar_network()
    expected = str(tg.explain(loss))
    with tg.no_grad():
        assert str(tg.explain(loss)) == expected
    with tg.debug():
        assert str(tg.explain(loss)) == expected


def test_infinite_values_are_explained_without_a_warning():
    x = leaf(0.0, "x")
    with np.errstate(all="ignore"):
        y = tg.log(x) * x
    assert "nan" in str(tg.explain(y))


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: tg.explain(3.0), TypeError, "it takes a Tensor, and this is of type"),
        (lambda: tg.explain(tg.Tensor(1.0)), ValueError, "requires a gradient"),
        (lambda: tg.explain(leaf([1.0, 2.0], "v") * 2), ValueError, r"sum\(\) it"),
        (
            lambda: tg.explain(leaf(1.0, "v") * 2, wrt=leaf(1.0, "w")),
            ValueError,
            "not computed from 'w'",
        ),
        (
            lambda: tg.explain(leaf(1.0, "v") * 2, wrt=[3.0]),
            TypeError,
            "not float",
        ),
    ],
)
def test_errors_say_what_to_do(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_a_constant_has_no_derivative():
    x = tg.Tensor(2.0, name="x")
    y = x * leaf(1.0, "w")
    with pytest.raises(ValueError, match="'x' is a constant"):
        tg.explain(y, wrt=x)


def test_a_graph_that_was_released_is_named_as_such():
    loss, *_ = scalar_network()
    loss.backward()
    with pytest.raises(ValueError, match=r"released by backward.*retain_graph=True"):
        tg.explain(loss)
