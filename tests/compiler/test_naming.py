"""How a program's variables are called: as in the textbook, where it has a name."""

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.compiler.naming import name_variables
from tinygrad_edu.compiler.program import Equation, EquationOrigin, Program, Variable
from tinygrad_edu.compiler.recording import Recording

X, M = np.arange(1.0, 4.0), np.ones((2, 3))


def names(f: Any, *args: Any) -> tuple[list[str], list[str]]:
    """Return the names of the inputs and of what is computed, in order."""
    program = Recording(f, args, {}).program
    called = name_variables(program)
    assert len(set(called.values())) == len(called)
    computed = [called[e.output] for e in program.equations]
    return [called[x] for x in program.inputs], computed


def training_step(**options: Any) -> Any:
    model = tg.nn.MLP([3, 4, 2], rng=0, dtype=float)
    optimiser = tg.optim.SGD(model.parameters(), 0.5, **options)

    def step(x: Any, y: Any) -> Any:
        cost = tg.losses.mse(model(x), y)
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
        return cost, np.sum(x), np.sin(x)

    return step


def test_a_training_step_has_the_names_of_the_textbook() -> None:
    inputs, computed = names(training_step(), M, np.ones((2, 2)))
    assert inputs == ["x", "y", "W1", "b1", "W2", "b2", "lr"]
    told = [name for name in computed if not name.startswith("t")]
    assert told == [
        *("z1", "a1", "z2", "a2", "loss", "da2", "delta2", "da1", "dW2", "db2"),
        *("delta1", "dW1", "db1", "new_W1", "new_W2", "new_b1", "new_b2", "y2", "y3"),
    ]
    rest = [int(name[1:]) for name in computed if name.startswith("t")]
    assert rest == sorted(set(rest))


def test_what_an_optimiser_keeps_is_called_so_and_numbered() -> None:
    inputs, computed = names(training_step(momentum=0.9), M, np.ones((2, 2)))
    assert inputs[6:] == [*(f"velocity_{i}" for i in range(4)), "lr", "momentum"]
    assert "new_velocity_3" in computed


def gradient(f: Any) -> Any:
    return lambda x, *args: tg.value_and_grad(lambda x: f(x, *args))(x)


@pytest.mark.parametrize(
    ("f", "args", "computed"),
    [
        # What an activation is applied to is a layer's z, if it has no name already.
        (lambda x: (tg.tanh(x), tg.tanh(x * 2)), (X,), "y1 z1 a1"),
        (lambda x: tg.softmax(x * 2, axis=-1), (X,), "z1 t1 t2 t3 t4 t5 t6 a1"),
        (lambda x: tg.tanh(tg.sigmoid(x * 2) * 3), (X,), "z1 t1 t2 t3 a1 z2 a2"),
        (lambda x: (lambda z: tg.tanh(z) * tg.relu(z))(x * 2), (X,), "z1 a1 a1_2 y"),
        # What has no dimensions is no layer.
        (lambda x: tg.tanh(np.sum(x) * 2), (X,), "t1 t2 y"),
        # The cotangent of z is a delta, that of x is dx; a term's is that of the sum.
        (
            gradient(lambda x, y: tg.sum(tg.tanh((x * y - 1.0) + y))),
            (X, X),
            "t1 t2 z1 a1 loss t3 t4 delta1 dx",
        ),
        (
            gradient(lambda x, y: tg.sum(tg.tanh(tg.tanh(x * y) * y))),
            (X, X),
            "z1 a1 z2 a2 loss t1 t2 delta2 da1 t3 t4 delta1 dx",
        ),
        (
            gradient(lambda x, y: tg.sum(tg.softmax(x * 2, axis=-1) * y)),
            (X, X),
            "z1 t1 t2 t3 t4 t5 t6 a1 t7 loss da1 d t8 t9 t10 delta1 dx",
        ),
        # A rule may be the first to compute the activation of a layer.
        (
            gradient(
                lambda x, y: tg.losses.cross_entropy_with_logits(
                    tg.linear(x, M, np.ones(2)), y
                )
            ),
            (M, np.ones((2, 2))),
            "t1 t2 z1 t3 t4 t5 t6 t7 t8 t9 t10 t11 loss t12 t13 t14 a1 t15 delta1 dx",
        ),
        (
            gradient(lambda x: tg.sum(tg.square(x) * x)),
            (X,),
            "t1 t2 loss d dx t3 t4 dx_2",
        ),
        # An answer is the loss if there is a gradient; several answers are numbered.
        (lambda x: np.sum(x) * 2.0, (X,), "t1 y"),
        (lambda x: (np.sum(x), x + 1), (X,), "y1 y2"),
        (lambda y: (np.sum(y) * 2.0, y * 2), (X,), "t1 y1 y2"),
    ],
)
def test_what_is_computed_has_these_names(f: Any, args: Any, computed: str) -> None:
    assert names(f, *args)[1] == computed.split()


def array(constant: Any = None, label: str | None = None) -> Variable:
    return Variable((3,), np.dtype(float), label, constant)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("optimiser.lr", "lr"),
        ("rates[1]", "rates_1"),
        ("optimiser.state['m'][0]", "m_0"),
        ("trainer.optimisers.second.state['m'][12]", "m_12"),
        ("...", "x"),
        (None, "x"),
    ],
)
def test_an_input_is_called_by_the_end_of_its_path(label: str, name: str) -> None:
    x = array(label=label)
    assert name_variables(Program((x,), (), (x,), {})) == {x: name}


def test_a_constant_is_numbered_and_no_layer() -> None:
    """Whether it stands before what the activation is applied to, or behind it."""
    x, z, t, a = (array() for _ in range(4))
    c, d = array(np.ones(3)), array(np.zeros(3))
    origin = EquationOrigin("sigmoid")
    equations = (
        Equation(z, np.negative, (x,)),
        Equation(t, np.add, (c, z), origin=origin),
        Equation(a, np.divide, (t, d), origin=origin),
    )
    called = name_variables(Program((x,), equations, (a,), {}))
    assert [called[v] for v in (x, c, d, z, t, a)] == [
        "x",
        "c1",
        "c2",
        "z1",
        "t1",
        "a1",
    ]


def test_a_name_that_is_taken_gets_a_number() -> None:
    program = Recording(lambda x: np.sin(x) * 2.0, (X,), {}).program
    assert [*name_variables(program, {"y", "x", "t1"}).values()] == [
        "x_2",
        "y_2",
        "t1_2",
    ]


def test_arguments_are_called_by_what_is_last_in_their_paths() -> None:
    inputs, _ = names(
        lambda d, lr: d["a b"]["c"] + d[0] * d["k"][1] + lr,
        {"a b": {"c": X}, 0: X, "k": [X, X]},
        X,
    )
    assert inputs == ["d__a_b___c", "d_0", "d__k__0", "d__k__1", "lr"]
