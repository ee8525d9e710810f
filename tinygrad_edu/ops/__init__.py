"""The table of operations: how each is computed and how its gradient is passed back.

A rule is called with `g`, the cotangent of the answer, `y`, the answer, and the inputs;
it gives the cotangent of one input. Rules are written in ops and operators: run on
arrays they give numbers, run on Tensors they are recorded. They need not undo
broadcasting: the traversal does.

The names are NumPy's, so `sum`, `max`, `min` and `abs` here are not Python's. A chapter
uses what earlier ones have, and its ``__all__`` says which names are public.
"""

from tinygrad_edu.engine.op import BUILT_IN, OPS
from tinygrad_edu.ops import (
    arithmetic,
    choices,
    contractions,
    cumulative,
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
from tinygrad_edu.ops.arithmetic import *
from tinygrad_edu.ops.choices import *
from tinygrad_edu.ops.contractions import *
from tinygrad_edu.ops.cumulative import *
from tinygrad_edu.ops.functions import *
from tinygrad_edu.ops.indexing import *
from tinygrad_edu.ops.joining import *
from tinygrad_edu.ops.products import *
from tinygrad_edu.ops.rearranging import *
from tinygrad_edu.ops.reductions import *
from tinygrad_edu.ops.shapes import *
from tinygrad_edu.ops.trigonometry import *

__all__ = ["linalg"]
__all__ += arithmetic.__all__
__all__ += choices.__all__
__all__ += cumulative.__all__
__all__ += contractions.__all__
__all__ += functions.__all__
__all__ += indexing.__all__
__all__ += joining.__all__
__all__ += products.__all__
__all__ += rearranging.__all__
__all__ += reductions.__all__
__all__ += shapes.__all__
__all__ += trigonometry.__all__

BUILT_IN.update(OPS)
