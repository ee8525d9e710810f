"""Derivations: what is printed has the value that the engine computes, for every op."""

import numpy as np
import pytest
from hypothesis import given
from programs import NAMES, OPS, PROFILE, close, loss_of, programs

import tinygrad_edu as tg
from tinygrad_edu.explaining.derivation import Derivation
from tinygrad_edu.formulas.shares import checked_graph


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
def test_the_formulas_of_any_program_have_the_values_of_the_engine(name):
    @PROFILE
    @given(programs(OPS[name]))
    def check(program):
        y, leaves = loss_of(program)
        derivation = Derivation(checked_graph("test", y), {})
        for line in derivation.lines:
            close(line.formula.value, line.y.data)
        for x in leaves:
            if x not in derivation.cotangents:
                continue
            for total, formula in derivation.back_to(x):
                close(np.broadcast_to(formula.value, total.shape), total.data)
            paths = derivation.paths(x, most=20, longest=100)
            if paths is not None:
                written = [derivation.along(path)[1].value for path in paths]
                close(np.sum(written, axis=0), derivation.cotangents[x].data)
        y.backward()
        for x in leaves:
            if x.grad is not None:
                close(derivation.cotangents[x].data, x.grad.data)

    check()


def test_a_rule_that_leaves_the_graph_is_told_by_its_value():
    @tg.op(signature="()->()")
    def triple(x):
        return 3 * x

    triple.vjp(x=lambda g, y, x: 3 * np.asarray(getattr(g, "data", g)))
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    derivation = Derivation(checked_graph("test", tg.sum(triple(x))), {})
    np.testing.assert_array_equal(derivation.cotangents[x].data, [3.0, 3.0])
