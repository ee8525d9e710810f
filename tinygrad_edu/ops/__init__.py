"""The table of operations: how each is computed and how its gradient is passed back.

A rule is called with `g`, the cotangent of the answer, `y`, the answer, and the inputs;
it gives the cotangent of one input. Rules are written in ops and operators: run on
arrays they give numbers, run on Tensors they are recorded. They need not undo
broadcasting: the traversal does.

The names are NumPy's, so `sum`, `max`, `min` and `abs` here are not Python's. A chapter
uses what earlier ones have.
"""

from tinygrad_edu.op import BUILT_IN, OPS
from tinygrad_edu.ops import (
    arithmetic,
    choices,
    cumulative,
    einsum,
    functions,
    indexing,
    joining,
    linalg,
    products,
    rearranging,
    reductions,
    shapes,
    trigonometry,
)

__all__ = [
    "arithmetic",
    "choices",
    "cumulative",
    "einsum",
    "functions",
    "indexing",
    "joining",
    "linalg",
    "products",
    "rearranging",
    "reductions",
    "shapes",
    "trigonometry",
]

BUILT_IN.update(OPS)
