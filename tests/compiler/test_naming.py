"""How a program's variables are called: as `explain` calls them, or numbered."""

import re
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.compiler.naming import name_variables, short_path
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.recording.recorder import Recording
from tinygrad_edu.formulas.naming import Taken

X, M = np.arange(1.0, 4.0), np.ones((2, 3))
W, TARGET = np.eye(3), np.ones((2, 3))


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
    told = [name for name in computed if not re.fullmatch(r"d?t\d+", name)]
    assert told == [
        *("z1", "a1", "z2", "a2", "loss", "delta2", "da1", "dW2", "db2"),
        *("delta1", "dW1", "db1", "new_W1", "new_W2", "new_b1", "new_b2", "y2", "y3"),
    ]


def test_what_an_optimiser_keeps_is_called_so_and_numbered() -> None:
    inputs, computed = names(training_step(momentum=0.9), M, np.ones((2, 2)))
    assert inputs[6:] == [*(f"velocity_{i}" for i in range(4)), "lr", "momentum"]
    assert "new_velocity_3" in computed


def gradient(f: Any) -> Any:
    return lambda x, y: tg.value_and_grad(lambda x: f(x, y))(x)


@pytest.mark.parametrize(
    ("f", "args", "computed"),
    [
        # A layer's z has a product in it, and its activation is a; others have numbers.
        (lambda x: tg.tanh(x @ W + 1.0), (M,), "t1 z1 a1"),
        (lambda x: tg.tanh(tg.tanh(x @ W + x) @ W + x), (M,), "t1 z1 a1 t2 z2 a2"),
        (
            lambda x: (lambda z: tg.tanh(z) * tg.relu(z))(x @ W + x),
            (M,),
            "t1 z1 a1 a1_2 y",
        ),
        (lambda x: tg.tanh(x * 2 + 1), (X,), "t1 t2 y"),
        (lambda x: tg.tanh(x @ X + 1.0), (X,), "t1 t2 y"),  # it has no dimensions
        # The answers are y, or y1, y2, ...
        (lambda x: np.sum(x) * 2.0, (X,), "t1 y"),
        (lambda x: (np.sum(x), x + 1), (X,), "y1 y2"),
        (lambda y: (np.sum(y) * 2.0, y * 2), (X,), "t1 y1 y2"),
        (lambda x: (tg.tanh(x), tg.tanh(x @ W + 1.0)), (M,), "y1 t1 z1 a1"),
        # The cotangent of z is a delta, that of x is dx; a term's is that of the sum.
        (gradient(lambda x, y: tg.sum(x * y)), (X, X + 1), "t1 loss dx"),
        (
            gradient(lambda x, y: tg.sum(tg.tanh((x * y - 1.0) + y))),
            (X, X + 1),
            "t1 t2 t3 t4 loss t5 t6 dt3 dx",
        ),
        (
            gradient(lambda x, y: tg.sum(tg.tanh(x @ W + 1.0) * y)),
            (M, TARGET),
            "t1 z1 a1 t2 loss da1 t3 t4 delta1 t5 dx",
        ),
        # The shares of several uses are numbered, and their sum is dx.
        (
            gradient(lambda x, y: tg.sum(tg.square(x) * x - y)),
            (X, X + 1),
            "t1 t2 t3 loss dt1 t4 t5 t6 dx",
        ),
        # What an op is made of comes after the last number in the graph.
        (
            gradient(lambda x, y: tg.sum(tg.sigmoid(x) * y)),
            (X, X + 1),
            "t3 t4 t5 t1 t2 loss dt1 t6 t7 dx",
        ),
    ],
)
def test_what_is_computed_has_these_names(f: Any, args: Any, computed: str) -> None:
    assert names(f, *args)[1] == computed.split()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("optimiser.lr", "lr"),
        ("rates[1]", "rates_1"),
        ("optimiser.state['m'][0]", "m_0"),
        ("trainer.optimisers.second.state['m'][12]", "m_12"),
        ("...", "x"),
    ],
)
def test_an_input_is_called_by_the_end_of_its_path(path: str, name: str) -> None:
    assert short_path(path) == name


def test_what_has_no_label_is_x_or_numbered() -> None:
    x, y, t, u, c, d = (
        Variable((3,), np.dtype(float), constant=constant)
        for constant in (None, None, None, None, np.ones(3), np.zeros(3))
    )
    equations = (
        Equation(t, np.add, (c, x)),
        Equation(u, np.divide, (t, d)),
        Equation(y, np.negative, (u,)),
    )
    called = name_variables(Program((x,), equations, (y,), {}))
    assert [called[v] for v in (x, t, u, y, c, d)] == ["x", "t1", "t2", "y", "c1", "c2"]


def test_a_name_that_is_taken_gets_a_number() -> None:
    program = Recording(lambda x: np.sin(x) * 2.0, (X,), {}).program
    assert [*name_variables(program, Taken(["y", "x", "t1"])).values()] == [
        "x_2",
        "y_2",
        "t2",
    ]


def test_arguments_are_called_by_what_is_last_in_their_paths() -> None:
    inputs, _ = names(
        lambda d, lr: d["a b"]["c"] + d[0] * d["k"][1] + lr,
        {"a b": {"c": X}, 0: X + 1, "k": [X + 2, X + 3]},
        X + 4,
    )
    assert inputs == ["d__a_b___c", "d_0", "d__k__0", "d__k__1", "lr"]


def test_one_array_may_be_two_arguments() -> None:
    assert names(lambda x, y: x + 2 * y, X, X) == (["x", "y"], ["t1", "y_2"])
