"""The table of operations: the forward computation and the backward rules of each op.

A rule is called as ``rule(g, y, *inputs)``, where `g` is the cotangent of the result
`y`. It returns the cotangent of one input. Rules are written with ops and operators, so
they work on arrays, and are recorded on Tensors. They need not undo broadcasting: the
backward pass does.

The names are NumPy's, so `sum`, `max`, `min` and `abs` here are not Python's. A chapter
imports only from simpler ones. All ops are public: those of `linalg` in `tg.linalg`,
the others in `tg`.
"""

from tinygrad_edu.engine.op import BUILT_IN, OPS
from tinygrad_edu.ops import (  # noqa: F401  (each declares its ops)
    arithmetic,
    choices,
    contractions,
    cumulative,
    functions,
    grids,
    indexing,
    joining,
    linalg,
    products,
    rearranging,
    reductions,
    shapes,
    statistics,
    trigonometry,
)

BUILT_IN.update(OPS)
# What type checkers and editors read is written out, in `__init__.pyi`.
_OWN = {name: op for name, op in OPS.items() if name not in linalg.__all__}
globals().update(_OWN)
__all__ = ["linalg", *_OWN]
