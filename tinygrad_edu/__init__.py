"""Autodiff from scratch on NumPy: a `Tensor` records, `backward` replays in reverse.

>>> import tinygrad_edu as tg
>>> x = tg.Tensor(3.0, requires_grad=True)
>>> y = x * x * x
>>> y.backward()
>>> x.grad
Tensor(27.)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tinygrad_edu import losses, nn, optim, reference
from tinygrad_edu.debug import debug
from tinygrad_edu.graph import no_grad
from tinygrad_edu.op import OPS, op
from tinygrad_edu.ops import linalg
from tinygrad_edu.ops.arithmetic import (
    abs,
    add,
    ceil,
    divide,
    floor,
    floor_divide,
    multiply,
    negative,
    positive,
    reciprocal,
    remainder,
    rint,
    round,
    sign,
    subtract,
    trunc,
)
from tinygrad_edu.ops.choices import (
    clip,
    fmax,
    fmin,
    maximum,
    minimum,
    where,
)
from tinygrad_edu.ops.cumulative import cumprod, cumsum
from tinygrad_edu.ops.einsum import einsum
from tinygrad_edu.ops.functions import (
    cbrt,
    exp,
    exp2,
    expm1,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logaddexp2,
    power,
    relu,
    sigmoid,
    sigmoid_cross_entropy,
    softplus,
    sqrt,
    square,
    xlog1py,
    xlogy,
)
from tinygrad_edu.ops.indexing import (
    add_at,
    getitem,
    take,
    take_along_axis,
)
from tinygrad_edu.ops.joining import (
    append,
    array_split,
    column_stack,
    concatenate,
    dsplit,
    dstack,
    hsplit,
    hstack,
    split,
    stack,
    vsplit,
    vstack,
)
from tinygrad_edu.ops.products import (
    cross,
    dot,
    inner,
    kron,
    linear,
    matmul,
    outer,
    tensordot,
    trace,
    vdot,
)
from tinygrad_edu.ops.rearranging import (
    diag,
    diagonal,
    diff,
    flip,
    fliplr,
    flipud,
    pad,
    partition,
    repeat,
    roll,
    rot90,
    sort,
    tile,
    tril,
    triu,
)
from tinygrad_edu.ops.reductions import (
    average,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    prod,
    ptp,
    softmax,
    squared_norm,
    std,
    sum,
    var,
)
from tinygrad_edu.ops.shapes import (
    astype,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_to,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
    rollaxis,
    squeeze,
    swapaxes,
    transpose,
)
from tinygrad_edu.ops.trigonometry import (
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    cos,
    cosh,
    deg2rad,
    hypot,
    rad2deg,
    sin,
    sinh,
    tan,
    tanh,
)
from tinygrad_edu.recompute import checkpoint
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)

if TYPE_CHECKING:
    from tinygrad_edu import checkpoints, data, parallel, train
    from tinygrad_edu import testing as testing  # not for *: it needs an extra
    from tinygrad_edu.checking import GradientError, gradcheck
    from tinygrad_edu.comparing import compare
    from tinygrad_edu.compiler import compile
    from tinygrad_edu.drawing import draw
    from tinygrad_edu.explaining import explain
    from tinygrad_edu.stepper import step_through

__version__ = "0.1.0"

__all__ = [
    "OPS",
    "GradientError",
    "Tensor",
    "abs",
    "add",
    "add_at",
    "append",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "array_split",
    "astype",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "average",
    "broadcast_to",
    "cbrt",
    "ceil",
    "checkpoint",
    "checkpoints",
    "clip",
    "column_stack",
    "compare",
    "compile",
    "concatenate",
    "cos",
    "cosh",
    "cross",
    "cumprod",
    "cumsum",
    "data",
    "debug",
    "deg2rad",
    "diag",
    "diagonal",
    "diff",
    "divide",
    "dot",
    "draw",
    "dsplit",
    "dstack",
    "einsum",
    "exp",
    "exp2",
    "expand_dims",
    "explain",
    "expm1",
    "flip",
    "fliplr",
    "flipud",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "getitem",
    "grad",
    "gradcheck",
    "hessian",
    "hsplit",
    "hstack",
    "hvp",
    "hypot",
    "inner",
    "jacobian",
    "jvp",
    "kron",
    "linalg",
    "linear",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logaddexp2",
    "logsumexp",
    "losses",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "negative",
    "nn",
    "no_grad",
    "op",
    "optim",
    "outer",
    "pad",
    "parallel",
    "partition",
    "positive",
    "power",
    "prod",
    "ptp",
    "rad2deg",
    "ravel",
    "reciprocal",
    "reference",
    "relu",
    "remainder",
    "repeat",
    "reshape",
    "rint",
    "roll",
    "rollaxis",
    "rot90",
    "round",
    "sigmoid",
    "sigmoid_cross_entropy",
    "sign",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "square",
    "squared_norm",
    "squeeze",
    "stack",
    "std",
    "step_through",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensordot",
    "tile",
    "trace",
    "train",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "value_and_grad",
    "var",
    "vdot",
    "vjp",
    "vsplit",
    "vstack",
    "where",
    "xlog1py",
    "xlogy",
]

# Loaded when first asked for, so that importing the package stays quick: what is a
# module, and what is in which module.
_LAZY_MODULES = {"checkpoints", "data", "parallel", "testing", "train"}
_LAZY_NAMES = {
    "GradientError": "checking",
    "compare": "comparing",
    "compile": "compiler",
    "draw": "drawing",
    "explain": "explaining",
    "gradcheck": "checking",
    "step_through": "stepper",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _LAZY_NAMES:
        return getattr(import_module(f"{__name__}.{_LAZY_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_LAZY_MODULES})
