"""The steps in words, formulas and numbers: all of it is about this very graph."""

import numpy as np
import pytest
from hypothesis import given, settings
from leaves import leaf
from random_graphs import graphs, leaves_of

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order
from tinygrad_edu.explaining.narration import Narrator
from tinygrad_edu.formulas.naming import names_of
from tinygrad_edu.formulas.quantities import Quantities


def steps_of(y, /, **named):
    nodes = topological_order(y)
    names = {id(x): name for name, x in named.items()}
    return list(Narrator(Quantities(nodes, names)).steps())


def formulas_of(y, /, **named):
    return [step.formula for step in steps_of(y, **named) if step.formula]


def result_of(equation):
    return equation.figures[-1].array


def needs_gradient(x):
    return isinstance(x, tg.Tensor) and x.requires_grad


# --- What the steps are ---------------------------------------------------------------


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_there_is_a_step_for_each_op_and_each_edge_and_three_more(y):
    ops = [node for node in topological_order(y) if node.op is not None]
    edges = sum(needs_gradient(x) for node in ops for x in node.inputs)
    kinds = [step.kind for step in steps_of(y)]
    assert kinds == [
        "given",
        *["compute"] * len(ops),
        "start",
        *["contribute"] * edges,
        "done",
    ]


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_the_numbers_shown_are_the_engines(y):
    nodes = topological_order(y)
    names = Quantities(nodes, {})
    steps = list(Narrator(names).steps())
    y.backward(retain_graph=True)
    for step in steps:
        if step.kind == "compute":
            (equation,) = step.equations
            assert result_of(equation) is step.node.data
    gradients = {names.name(x): x.grad.data for x in leaves_of(y)}
    shown = {f.title.partition("/d")[2]: f.array for (f,), _ in steps[-1].equations}
    assert shown.keys() == gradients.keys()
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(shown[name], gradient)


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_the_equations_of_a_contribution_lead_from_what_arrives_to_the_sum(y):
    for step in steps_of(y):
        if step.kind != "contribute":
            continue
        share, before, total, *_ = step.contribution
        *_, last = step.equations
        np.testing.assert_array_equal(result_of(last), total)
        titles = [figure.title for e in step.equations for figure in e.figures]
        assert f"dy/d{'y' if share.node is y else ''}" in " ".join(titles)
        if before is not None:
            so_far, contribution, _ = last.figures
            assert (so_far.title, contribution.sign) == ("so far", "+")
            np.testing.assert_array_equal(so_far.array, before)
            np.testing.assert_array_equal(contribution.array, share.cotangent.data)


def signs_and_titles(equation):
    return " ".join(f"{f.sign} {f.title}".lstrip() for f in equation.figures)


def test_the_factors_of_a_local_derivative_are_multiplied_one_by_one():
    z = leaf([0.5, -1.0])
    y = (tg.sigmoid(z) * -2.0 + z * z).sum()
    equations = [signs_and_titles(step.equations[0]) for step in steps_of(y, z=z)]
    assert "dy/dt1 \u00d7 t1 \u00d7 1 - t1 = contribution" in equations
    assert "dy/dt4 \u00d7 dt4/dt2 = dy/dt2" in equations
    assert "dy/dt2 \u00d7 dt2/dt1 = dy/dt1" in equations
    (step,) = (s for s in steps_of(tg.square(z).sum(), z=z) if "dt1/dz" in s.sentence)
    assert signs_and_titles(step.equations[0]) == "dy/dt1 \u00d7 2 \u00d7 z = dy/dz"
    (step,) = (s for s in steps_of((-1.0 / z).sum(), z=z) if "dt1/dz" in s.sentence)
    assert signs_and_titles(step.equations[0]) == "- dy/dt1 \u00d7 t1 / z = dy/dz"


def test_a_local_derivative_that_is_a_sum_has_an_equation_of_its_own():
    z = leaf([0.5, -1.0])
    step = next(s for s in steps_of(tg.tanh(z).sum(), z=z) if "dt1/dz" in s.sentence)
    local, product = step.equations
    assert signs_and_titles(local) == "1 - t1 \u00d7 t1 = dt1/dz"
    assert signs_and_titles(product) == "dy/dt1 \u00d7 dt1/dz = dy/dz"


@pytest.mark.parametrize(
    ("shapes", "f", "warning"),
    [
        (((4, 1), (4,)), tg.subtract, r"(4, 1) − (4,) made (4, 4): each input"),
        (((3,), (2, 1)), tg.maximum, r"maximum of (3,) and (2, 1) made (2, 3): each"),
        (((4, 3), (3,)), tg.add, ""),
        (((4, 3), ()), tg.multiply, ""),
        (((4,), (4, 3)), tg.matmul, ""),
    ],
)
def test_a_result_larger_than_both_inputs_is_warned_of(shapes, f, warning):
    a, b = (leaf(np.ones(shape)) for shape in shapes)
    steps = steps_of(f(a, b).sum())
    warnings = [step.warning for step in steps if step.warning]
    assert len(warnings) == bool(warning)
    assert all(text.startswith(warning) for text in warnings)


# --- Formulas -------------------------------------------------------------------------


def test_a_cube_is_a_sum_over_three_paths():
    x = leaf(3.0)
    z = x * x
    y = z * x
    assert formulas_of(y, x=x, y=y, z=z) == [
        "z = x^2",
        "y = z x",
        "dy/dy = 1",
        "dy/dz = x",
        "\u2202y/\u2202x = z",  # partial: z is made of x, too
        "\u2202z/\u2202x as first factor = x",
        "\u2202z/\u2202x as second factor = x",
    ]
    sums = [
        result_of(step.equations[-1])
        for step in steps_of(y)
        if step.kind == "contribute"
    ]
    assert sums == [3.0, 9.0, 18.0, 27.0]


def test_a_network_has_the_formulas_of_the_textbook():
    x, y = tg.data.xor()
    loss = tg.losses.mse(tg.nn.MLP([2, 3, 1], rng=0)(x), y)
    steps = Narrator(Quantities(topological_order(loss), names_of(loss))).steps()
    assert [step.formula for step in steps if step.formula] == [
        "z1 = x W1^T + b1",
        "a1 = sigmoid(z1)",
        "z2 = a1 W2^T + b2",
        "a2 = sigmoid(z2)",
        "t1 = a2 - c1",
        "t2 = squared_norm(t1)",
        "y = 1/8 t2",
        "dy/dy = 1",
        "dy/dt2 = 1/8",
        "dt2/dt1 = 2 t1",
        "dt1/da2 = 1",
        "da2/dz2 = a2 * (1 - a2)",
        "dy/da1 = dy/dz2 W2",
        "dy/dW2 = (dy/dz2)^T a1",
        "dy/db2 = sum(dy/dz2, axis=0)",
        "da1/dz1 = a1 * (1 - a1)",
        "dy/dW1 = (dy/dz1)^T x",
        "dy/db1 = sum(dy/dz1, axis=0)",
    ]


@pytest.mark.parametrize("hold", [np.asarray, np.asfortranarray, tg.Tensor])
@pytest.mark.parametrize("kind", [float, int])
def test_a_constant_keeps_its_name_when_it_is_transposed(hold, kind):
    x, w = hold(np.array([[1, 2], [3, 4]], kind)), leaf([[1.0], [2.0]])
    assert "dy/dw = x^T dy/dt1" in formulas_of((x @ w).sum(), x=x, w=w)


def test_several_contributions_by_rules_tell_which_way_they_come():
    v = leaf([1.0, 2.0, 3.0])
    u = v[1:]
    formulas = formulas_of((u * v[:2] * tg.concatenate([v, v])[:2]).sum(), v=v, u=u)
    ways = [formula.partition(" = ")[0] for formula in formulas if " via " in formula]
    assert ways == [
        "dy/dv via t3 as first input",
        "dy/dv via t3 as second input",
        "dy/dv via t1",
        "dy/dv via u",
    ]


def test_what_a_rule_makes_of_constants_has_a_name():
    v = leaf([1.0, 2.0, 3.0])
    (rule,) = (f for f in formulas_of(tg.maximum(v, 2.0).sum(), v=v) if "where" in f)
    assert rule == "dy/dv = where(m1, 0, where(m2, 1/2 dy/dt1, dy/dt1))"
    (rule,) = (f for f in formulas_of(v.max(), v=v) if "where" in f)
    assert rule == "dy/dv = where(m1, dy/dy / c1, 0)"


# --- Words ----------------------------------------------------------------------------


def test_the_sentences_of_a_small_graph():
    x, c = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    t = x * c
    y = (t + x).sum()
    back = "The gradient of {} passes back through {} to {}: it is multiplied by the "
    back += "local derivative {}. "
    alone = "Nothing else uses {}: this is its gradient."
    assert [step.sentence for step in steps_of(y, x=x, c=c, t=t, y=y)] == [
        "The leaves are given. We want the gradient for x. The rest is constant: c.",
        "multiply computes t from x and c.",
        "add computes t1 from t and x.",
        "sum computes y from t1.",
        "The backward pass begins at the end. The derivative of y with respect to "
        "itself is 1.",
        back.format("y", "sum", "t1", "dy/dt1") + alone.format("t1"),
        back.format("t1", "add", "t", "dt1/dt") + alone.format("t"),
        back.format("t1", "add", "x", "\u2202t1/\u2202x")
        + "This is the first of 2 contributions to the gradient of x.",
        back.format("t", "multiply", "x", "dt/dx")
        + "This is the last of 2 contributions: their sum is the gradient of x.",
        "Done: every leaf has its gradient. y.backward() adds these to their .grad.",
    ]


def test_of_three_contributions_the_second_is_added():
    x = leaf(3.0)
    sentences = [step.sentence for step in steps_of(x * x * x, x=x)]
    assert sentences[-3].endswith("This is contribution 2 of 3: it is added.")


def test_no_sentence_lists_more_than_eight_names():
    y = sum((leaf(float(i)) for i in range(12)), leaf(0.0))
    sentence = steps_of(y)[0].sentence
    assert "x1, x2, x3, x4, x5, x6, x7 and 6 more." in sentence


def test_a_leaf_alone_has_the_gradient_1():
    given, start, done = steps_of(x := leaf(2.0), x=x)
    assert [s.kind for s in (given, start, done)] == ["given", "start", "done"]
    ((figure,), _), *others = done.equations
    assert (figure.title, figure.array, others) == ("dx/dx", 1.0, [])


# --- Names ----------------------------------------------------------------------------


def test_all_but_plain_numbers_have_a_name_and_none_twice():
    x, half = leaf([1.0, 2.0]), tg.Tensor(0.5)
    t1 = leaf(1.0)
    y = ((x * np.array([1.0, 3.0]) + leaf(2.0)) * half * t1).sum()
    nodes = topological_order(y)
    names = Quantities(nodes, {id(t1): "t1"}).names
    assert id(half) not in names
    assert len(set(names.values())) == len(names) == 9
    assert names[id(x)] == "x1"
    assert names[id(y)] == "y"
    assert {"t1", "t2", "t3", "t4", "t5", "c1", "x2"} < set(names.values())


@pytest.mark.parametrize(
    ("taken", "name"), [([], "y"), (["y"], "loss"), (["y", "loss"], "t1")]
)
def test_the_end_is_y_or_loss_unless_something_else_is(taken, name):
    leaves = [leaf(1.0), leaf(2.0)]
    y = leaves[0] * leaves[1]
    names = {id(x): word for x, word in zip(leaves, taken)}
    assert Quantities(topological_order(y), names).name(y) == name
