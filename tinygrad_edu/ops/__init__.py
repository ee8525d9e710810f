"""The table of operations: the forward computation and the backward rules of each op.

A rule is called as ``rule(g, y, *inputs)``, where `g` is the cotangent of the result
`y`. It returns the cotangent of one input. Rules are written with ops and operators, so
they work on arrays, and are recorded on Tensors. They need not undo broadcasting: the
backward pass does.

The names are NumPy's, so `sum`, `max`, `min` and `abs` here are not Python's. A chapter
imports only from simpler ones, and its ``__all__`` lists the public names.
"""

from tinygrad_edu.engine.op import BUILT_IN, OPS
from tinygrad_edu.ops import (
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
from tinygrad_edu.ops.arithmetic import *
from tinygrad_edu.ops.choices import *
from tinygrad_edu.ops.contractions import *
from tinygrad_edu.ops.cumulative import *
from tinygrad_edu.ops.functions import *
from tinygrad_edu.ops.grids import *
from tinygrad_edu.ops.indexing import *
from tinygrad_edu.ops.joining import *
from tinygrad_edu.ops.products import *
from tinygrad_edu.ops.rearranging import *
from tinygrad_edu.ops.reductions import *
from tinygrad_edu.ops.shapes import *
from tinygrad_edu.ops.statistics import *
from tinygrad_edu.ops.trigonometry import *

__all__ = ["linalg"]
__all__ += arithmetic.__all__
__all__ += choices.__all__
__all__ += cumulative.__all__
__all__ += contractions.__all__
__all__ += functions.__all__
__all__ += grids.__all__
__all__ += indexing.__all__
__all__ += joining.__all__
__all__ += products.__all__
__all__ += rearranging.__all__
__all__ += reductions.__all__
__all__ += shapes.__all__
__all__ += statistics.__all__
__all__ += trigonometry.__all__

BUILT_IN.update(OPS)
