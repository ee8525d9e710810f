"""The walk back: what it keeps adds up to what `backward` leaves behind."""

import numpy as np
import pytest
from hypothesis import given
from programs import NAMES, OPS, PROFILE, close, loss_of, programs

from tinygrad_edu.shares import checked_graph, walk_back


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
