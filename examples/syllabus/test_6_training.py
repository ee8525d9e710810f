"""Task 6."""

import engine
import numpy as np


def test_your_engine_learns_exclusive_or():
    result = engine.train()
    output = result[0] if isinstance(result, tuple) else result
    assert output.data.shape == (4, 1)
    np.testing.assert_array_equal(output.data.round(), [[0], [1], [1], [0]])
