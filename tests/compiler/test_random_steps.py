"""Random training steps, compiled, beside the same steps run eagerly.

    pytest tests/compiler/test_random_steps.py -n 0 --hypothesis-profile=programs

Each run takes other steps: nothing here is derandomised. The profile takes 20,000. What
fails is printed as a program with its seed, made as short as it can be.
"""

import linecache

import numpy as np
import pytest
from beside_eager import REFUSALS, copied
from hypothesis import HealthCheck, Phase, given, note, settings
from random_steps import Step, World, steps

import tinygrad_edu as tg

FILE = "random_step.py"
LARGE = 1e8
PHASES = [Phase.reuse, Phase.generate, Phase.shrink]


def close(a, b, scale):
    """Whether two copies are equal, to the rounding of the largest numbers met."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k], scale) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(close(x, y, scale) for x, y in zip(a, b))
    if not isinstance(a, np.ndarray | np.floating | float):
        return a == b
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return np.allclose(a, b, 0, scale * (1e-9 if a.dtype == float else 1e-3))


def largest(x):
    """Return the largest number in a copy, or 1."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, list | tuple):
        return max(map(largest, x), default=1.0)
    is_number = isinstance(x, np.ndarray | np.number | float) and np.size(x)
    return max(1.0, float(np.max(np.abs(x)))) if is_number else 1.0


def check(step: Step, style: str) -> bool:
    """Return whether a step is refused; raise if it does other than the eager one."""
    linecache.cache[FILE] = (1, None, step.source.splitlines(True), FILE)
    eager, mine = World(step, FILE), World(step, FILE)
    compiled = tg.compile(mine.step, style=style)
    for arguments, change in zip(step.arguments, [*step.between, "pass"]):
        eager.draw(arguments)
        answer = eager.call(eager.step)
        wanted = copied([answer, eager.held(step.keeps_gradients)])
        if not largest(wanted) < LARGE:  # rounding will tell
            return False
        mine.draw(arguments)
        before = copied(mine.held(True))
        try:
            answer = mine.call(compiled)
        except REFUSALS as error:
            check_refusal(error)
            assert close(copied(mine.held(True)), before, 0.0), "it changed something"
            return True
        got = copied([answer, mine.held(step.keeps_gradients)])
        assert close(got, wanted, largest(wanted)), f"{got}\nfor {wanted}"
        eager.change(change)
        mine.change(change)
    return False


def check_refusal(error):
    assert str(error).startswith("compile: "), repr(error)
    assert f"{FILE}:" in str(error), str(error)


@pytest.mark.parametrize("style", ["fast", "readable"])
def test_a_random_step_does_as_the_eager_one(style):
    refused = []

    @settings(
        derandomize=False,
        phases=PHASES,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(steps())
    def run(step):
        note(str(step))
        with np.errstate(all="ignore"):
            refused.append(check(step, style))

    run()
    assert sum(refused) < len(refused) / 2, "most of them are refused"
