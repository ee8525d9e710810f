"""Derivations: what is printed has the value that the engine computes, for every op."""

import numpy as np
import pytest
from hypothesis import given
from programs import NAMES, OPS, PROFILE, Program, programs, weighted_sum

import tinygrad_edu as tg
from tinygrad_edu.derivation import Derivation, checked_graph, walk_back
from tinygrad_edu.strategies import Call


def loss_of(program: Program):
    """Run a program on Tensors; its outputs are weighted at random and added up."""
    leaves = [tg.Tensor(x, requires_grad=True) for x in program.inputs]

    def flat(op):
        return lambda *xs, **params: Call(op, list(xs), params).run(xs)

    outputs = program.run({name: flat(op) for name, op in OPS.items()}, leaves)
    weights = program.weights([y.data for y in outputs], 0)
    return weighted_sum(outputs, weights, tg.sum), leaves


def close(x, y):
    scale = max(1.0, np.max(np.abs(y), initial=0))
    np.testing.assert_allclose(x, y, rtol=0, atol=1e-9 * scale)


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


@pytest.mark.parametrize("name", NAMES)
def test_the_walk_back_adds_up_to_what_backward_leaves_behind(name):
    @PROFILE
    @given(programs(OPS[name]))
    def check(program):
        y, leaves = loss_of(program)
        shares, cotangents = walk_back(checked_graph("test", y))
        y.backward()
        for x in leaves:
            mine = [
                s.cotangent.data for found in shares.values() for s in found if s.x is x
            ]
            if x.grad is not None:
                close(np.sum(mine, axis=0), x.grad.data)
                close(cotangents[x], x.grad.data)

    check()


def test_a_rule_that_leaves_the_graph_is_told_by_its_value():
    @tg.op(signature="()->()")
    def triple(x):
        return 3 * x

    triple.vjp(x=lambda g, y, x: 3 * np.asarray(getattr(g, "data", g)))
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    derivation = Derivation(checked_graph("test", tg.sum(triple(x))), {})
    np.testing.assert_array_equal(derivation.cotangents[x].data, [3.0, 3.0])
