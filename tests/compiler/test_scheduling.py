"""Updates in place come last, and what only they need comes with them."""

from typing import Any

import numpy as np
from program_builder import Builder, functions

import tinygrad_edu as tg
from tinygrad_edu.compiler.fast import Fast
from tinygrad_edu.compiler.program import EquationOrigin, Program
from tinygrad_edu.compiler.scheduling import schedule


def assert_updates(program: Program) -> None:
    """What is written gives the outputs, and writes the new values."""
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(x.shape) for x in program.inputs]
    (expected,), new = program.evaluate(*(x.copy() for x in inputs))
    fast = Fast(program)
    names = dict(fast.space.given)
    exec(fast.source, names)
    np.testing.assert_allclose(names["step"](*inputs), expected)
    for target, value in zip(program.updates, new):
        np.testing.assert_allclose(inputs[program.inputs.index(target)], value)


def two_updates(rule: str = "") -> tuple[Any, Program]:
    b = Builder()
    w, v, x = b.given(3), b.given(3), b.given(3)
    b.origin = EquationOrigin(rule=rule)
    terms = b(np.exp, w), b(np.sin, v)
    b.origin = EquationOrigin()
    new = [b(np.add, w, b(np.square, terms[0])), b(np.add, v, terms[1])]
    return b, b.program(b(np.sum, x), updates=dict(zip((w, v), new)))


def test_what_only_an_update_needs_is_beside_it() -> None:
    _, program = two_updates()
    order = functions(schedule(program)[0])
    assert order == [np.sum, np.exp, np.square, np.add, np.sin, np.add]
    assert_updates(program)


def test_what_comes_from_a_rule_stays_before_all_updates() -> None:
    _, program = two_updates(rule="exp.x")
    order = functions(schedule(program)[0])
    assert order == [np.exp, np.sin, np.sum, np.square, np.add, np.add]
    assert_updates(program)


def test_what_is_not_elementwise_or_is_answered_stays_before_all_updates() -> None:
    b = Builder()
    w, v = b.given(2, 2), b.given(2, 2)
    other, shown = b(np.cumsum, w, axis=0), b(np.exp, v)
    new = b(np.add, w, 1.0), b(np.add, v, b(np.add, other, shown))
    program = b.program(shown, updates=dict(zip((w, v), new)))
    order = functions(schedule(program)[0])
    assert order[:2] == [np.cumsum, np.exp]
    assert_updates(program)


def test_what_reads_an_old_value_comes_before_its_update() -> None:
    b = Builder()
    w, v, x = b.given(3), b.given(3), b.given(3)
    of_w = b(np.exp, w)
    new = b(np.add, w, 1.0), b(np.multiply, v, b(np.sin, of_w))
    program = b.program(b(np.sum, x), updates=dict(zip((w, v), new)))
    order = functions(schedule(program)[0])
    assert order.index(np.exp) < order.index(np.add)
    assert_updates(program)


def test_adam_finishes_one_parameter_before_the_next() -> None:
    w, v = (tg.Tensor(np.ones(n), requires_grad=True, name=f"w{n}") for n in (3, 4))
    optimiser = tg.optim.Adam([w, v], lr=0.1)

    @tg.compile
    def step(x: Any) -> Any:
        loss = tg.sum((w * x) ** 2) + tg.sum(v**2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    step(2.0)
    lines = [line.strip() for line in step.source.splitlines()]
    done = lines.index(next(line for line in lines if line.endswith(", w3)")))
    assert all("m_1," not in line or line.startswith("def") for line in lines[:done])
