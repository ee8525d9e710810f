"""A part of an array, by its index; and the inverse, zeros with a part added in."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.op import op


@op(selects=True)
def getitem(x: Any, *, index: Any) -> Any:
    """``x[index]``, with any index that NumPy takes."""
    return np.asarray(x)[index]


getitem.vjp(x=lambda g, y, x, index: add_at(g, index, x.shape))


@op()
def add_at(x: Any, *, index: Any, shape: Any) -> Any:
    """Zeros of a shape, with `x` added at an index; where it repeats, values add up."""
    answer = np.zeros(shape, np.asarray(x).dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(isinstance(part, int | slice) for part in parts):
        answer[index] = x  # nothing repeats, and this is faster
    else:
        np.add.at(answer, index, x)
    return answer


add_at.vjp(x=lambda g, y, x, index, shape: getitem(g, index))
