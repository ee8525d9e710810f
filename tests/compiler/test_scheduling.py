"""Updates in place come last."""

import numpy as np
from program_builder import Builder, functions, step_of

from tinygrad_edu.compiler.program import Program
from tinygrad_edu.compiler.scheduling import schedule
from tinygrad_edu.compiler.writing.fast import Fast


def assert_updates(program: Program) -> None:
    """What is written gives the outputs, and writes the new values."""
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(x.shape) for x in program.inputs]
    (expected,), new = program.evaluate(*(x.copy() for x in inputs))
    np.testing.assert_allclose(step_of(Fast(program))(*inputs), expected)
    for target, value in zip(program.updates, new):
        np.testing.assert_allclose(inputs[program.inputs.index(target)], value)


def test_an_update_is_done_where_the_parameter_is_once_all_is_computed() -> None:
    b = Builder()
    w, v, x = b.given(3), b.given(3), b.given(3)
    new = b(np.add, w, b(np.exp, w)), b(np.add, v, b(np.sin, v))
    program = b.program(b(np.sum, x), updates=dict(zip((w, v), new)))
    scheduled, in_place = schedule(program)
    assert functions(scheduled) == [np.exp, np.sin, np.sum, np.add, np.add]
    assert in_place == dict(zip(new, (w, v)))
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
