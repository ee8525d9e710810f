"""Equations of arrays: the letters of the figures say how the result is made."""

import numpy as np
import pytest
from hypothesis import given, settings
from leaves import leaf
from random_graphs import graphs

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order
from tinygrad_edu.explaining.narration import Narrator
from tinygrad_edu.explaining.operands import equation_of
from tinygrad_edu.formulas.quantities import Quantities

RNG = np.random.default_rng(5)


def matrix(*shape):
    return leaf(RNG.standard_normal(shape))


def equation_for(y, **named):
    """Lay out how the last value was computed."""
    nodes = topological_order(y)
    found = Quantities(nodes, {id(x): name for name, x in named.items()} | {id(y): "y"})
    return equation_of(found.formula(y), "y", y.data)


def written(equation):
    """Write an equation in one line: signs, titles and letters; a prime for turned."""
    parts = [
        f"{f.sign} {f.title}{'`' if f.is_turned else ''}:{f.at}".lstrip()
        for f in equation.figures
    ]
    return " ".join(filter(None, [equation.call, *parts]))


def computed(equation):
    """Compute a sum of products from its letters."""
    *figures, result = equation.figures
    terms = []
    for figure in figures:
        if figure.sign in ("", "+", "-"):
            terms.append([])
        terms[-1].append(figure)
    total = 0.0
    for term in terms:
        arrays = [1 / f.array if f.sign == "/" else f.array for f in term]
        arrays = [
            a.reshape([n for n, letter in zip(a.shape, f.at) if letter != "."])
            for a, f in zip(arrays, term)
        ]
        letters = ",".join(f.at.replace(".", "") for f in term)
        ones = np.ones(result.array.shape)
        product = np.einsum(f"{letters},{result.at}->{result.at}", *arrays, ones)
        total = total + (-product if term[0].sign == "-" else product)
    return total


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_the_letters_and_signs_give_the_result(y):
    for step in Narrator(Quantities(topological_order(y), {})).steps():
        for equation in step.equations:
            if not equation.call and len(equation.figures) > 1:
                result = equation.figures[-1].array
                np.testing.assert_allclose(
                    computed(equation), result, rtol=1e-9, atol=1e-12
                )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        # Rows meet columns; what is not so is turned.
        (lambda a, b: a @ b.T, "a:ax @ t1:xb = y:ab"),
        (lambda a, b: a @ b[0], "a:ay @ t1:y = y:a"),
        (lambda a, b: a[0] @ b[1], "t1:z \u00d7 t2:z = y:"),
        (lambda a, b: tg.linear(a, b, b[:, 0]), "a:ax @ b^T`:bx + t1:b = y:ab"),
        (lambda a, b: tg.dot(a[0], b.T), "t1:y @ t2:ya = y:a"),
        # Broadcasting.
        (lambda a, b: a + b[0], "a:ab + t1:b = y:ab"),
        (lambda a, b: a - b[:, :1], "a:ab - t1:a. = y:ab"),
        (lambda a, b: -0.5 * a, "- 1/2: \u00d7 a:ab = y:ab"),
        # Powers and quotients.
        (lambda a, b: a * a, "a:ab \u00d7 a:ab = y:ab"),
        (lambda a, b: a**3, "a:ab \u00d7 a:ab \u00d7 a:ab = y:ab"),
        (lambda a, b: a**4, "a^4:ab = y:ab"),
        (lambda a, b: 1.0 / b, "1: / b:ab = y:ab"),
        (lambda a, b: a / b, "a:ab / b:ab = y:ab"),
        # Sums.
        (lambda a, b: a.sum(), "a:zy = y:"),
        (lambda a, b: a.sum(axis=0), "a:ya = y:a"),
        (lambda a, b: a.sum(axis=-1, keepdims=True), "a:ax = y:ab"),
        (lambda a, b: tg.squared_norm(a), "a:zy \u00d7 a:zy = y:"),
        # Other calls: with letters, if it is known what an element is made of.
        (lambda a, b: tg.sigmoid(a), "sigmoid a:ab = y:ab"),
        (lambda a, b: tg.maximum(a, 0.0), "maximum a:ab , 0: = y:ab"),
        (lambda a, b: tg.max(a, axis=1), "max a:ay = y:a"),
        (lambda a, b: tg.log_softmax(a), "log_softmax a:ax = y:ab"),
        (lambda a, b: a[1:], "getitem a:None = y:ab"),
        (lambda a, b: a[0, 0], "getitem a:None = y:"),
        (lambda a, b: tg.cumsum(a), "cumsum a:None = y:a"),
        (lambda a, b: tg.concatenate([a, b]), "concatenate a:None , b:None = y:ab"),
        (lambda a, b: tg.exp(a.T), "exp t1:ab = y:ab"),
    ],
)
def test_how_a_value_is_computed(make, text):
    a, b = matrix(3, 4), matrix(3, 4)
    y = make(a, b)
    assert written(equation_for(y, a=a, b=b)) == text


def test_a_constant_that_was_turned_is_turned_back_where_rows_meet_columns():
    x, c = matrix(3, 4), RNG.standard_normal((4, 2))
    y = (x @ c) * tg.linear(x, c.T, np.zeros(2))
    equations = [
        written(step.equations[0])
        for step in Narrator(
            Quantities(topological_order(y.sum()), {id(c): "c"})
        ).steps()
        if step.kind == "compute"
    ]
    assert equations[:2] == ["x1:ax @ c:xb = t1:ab", "x1:ax @ c:xb + c1:b = t2:ab"]


def test_how_gradients_are_computed():
    a, b, row = matrix(3, 4), matrix(4, 2), matrix(2)
    z = a @ b + row
    names = {id(x): name for x, name in [(a, "a"), (b, "b"), (row, "r"), (z, "z")]}
    steps = Narrator(Quantities(topological_order(tg.sum(z * z)), names)).steps()
    backward = [step for step in steps if step.kind == "contribute"]
    assert [written(step.equations[-1]) for step in backward[3:]] == [
        "dy/dz:ab \u00d7 dz/dt1: = dy/dt1:ab",
        "dy/dz:ya = dy/dr:a",
        "dy/dt1:ax @ b^T`:bx = dy/da:ab",
        "a^T`:xa @ dy/dt1:xb = dy/db:ab",
    ]


def test_a_rule_that_does_several_things_shows_the_quantities_in_it():
    x = matrix(3, 4)
    nodes = topological_order(tg.sum(x[::-1][:2] * 2.0))
    steps = list(Narrator(Quantities(nodes, {id(x): "x"})).steps())
    assert {written(step.equations[-1]) for step in steps} >= {
        "add_at dy/dt2:None = dy/dt1:ab"
    }
    nodes = topological_order(tg.sum(tg.cumsum(x, axis=0) * 2.0))
    *_, step, _ = Narrator(Quantities(nodes, {id(x): "x"})).steps()
    assert written(step.equations[-1]) == "rule dy/dt1:None = dy/dx:ab"


# --- Your own ops ---------------------------------------------------------------------


def made_by(op, *shapes):
    y = op(*(matrix(*shape) for shape in shapes))
    nodes = topological_order(y)
    names = {id(x): name for x, name in zip(y.inputs, "abc")} | {id(y): "y"}
    return written(equation_of(Quantities(nodes, names).formula(y), "y", y.data))


def test_what_an_op_of_your_own_computes_is_found_by_calling_it():
    @tg.op(signature="(i,j,k),(k,j)->(i)")
    def twofold(a, b):
        return np.einsum("ijk,kj->i", a, b)

    twofold.vjp(a=lambda g, y, a, b: g, b=lambda g, y, a, b: g)
    assert made_by(twofold, (2, 3, 4), (4, 3)) == "a:ayx @ b:xy = y:a"


def test_a_number_times_a_product_of_matrices_is_one_product():
    @tg.op
    def thrice(a, b):
        return 3.0 * a @ b

    thrice.vjp(
        a=lambda g, y, a, b: tg.matmul(g, b.T) * 3.0,
        b=lambda g, y, a, b: tg.matmul(a.T, g) * -3.0,
    )
    a, b = matrix(3, 4), matrix(4, 2)
    nodes = topological_order(thrice(a, b).sum())
    *_, to_a, to_b, _ = Narrator(Quantities(nodes, {id(a): "a", id(b): "b"})).steps()
    assert written(to_a.equations[0]) == ("3: \u00d7 dy/dt1:ax @ b^T`:bx = dy/da:ab")
    assert written(to_b.equations[0]) == ("- 3: \u00d7 a^T`:xa @ dy/dt1:xb = dy/db:ab")


def test_an_op_that_is_no_sum_of_products_is_a_call():
    @tg.op(signature="(m,k),(k)->(m)")
    def distance(a, b):
        return np.abs(a - b).sum(-1)

    @tg.op(signature="(m,k)->(m)")
    def picky(a):
        if a.shape != (3, 4):
            raise ValueError("only of 3 by 4")
        return a.sum(-1)

    @tg.op(signature="(m,k)->(m)")
    def two_answers(a):
        return a

    @tg.op(signature="(m,k)->(m),(k)")
    def first_of_two(a):
        return a.sum(-1)

    for op in (distance, picky, two_answers, first_of_two):
        op.vjp(**dict.fromkeys(op.inputs, lambda g, y, *inputs: g))
    assert made_by(distance, (3, 4), (4,)) == "distance a:ay , b:y = y:a"
    assert made_by(picky, (3, 4)) == "picky a:ay = y:a"
    assert made_by(two_answers, (3, 4)) == "two_answers a:bx = y:ab"
    assert made_by(first_of_two, (3, 4)) == "first_of_two a:None = y:a"


def test_where_axes_cannot_be_told_apart_nothing_is_said():
    assert made_by(tg.OPS["inv"], (3, 3)) == "inv a:None = y:ab"
    assert made_by(tg.dot, (2, 3, 4), (4,)) == "a:abx @ b:x = y:ab"
