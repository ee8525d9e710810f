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

from tinygrad_edu import losses, nn, ops, optim, reference
from tinygrad_edu.engine.batching import vmap
from tinygrad_edu.engine.debug import debug
from tinygrad_edu.engine.graph import no_grad
from tinygrad_edu.engine.op import OPS, op
from tinygrad_edu.engine.recompute import checkpoint, remat
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.engine.transforms import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from tinygrad_edu.ops import *

if TYPE_CHECKING:
    from tinygrad_edu import checkpoints, data, logpdf, parallel, special, train
    from tinygrad_edu import testing as testing  # not for *: it needs an extra
    from tinygrad_edu.checking.comparing import compare
    from tinygrad_edu.checking.gradient import GradientError, gradcheck
    from tinygrad_edu.compiler import compile
    from tinygrad_edu.drawing import draw
    from tinygrad_edu.exercising import exercises
    from tinygrad_edu.explaining.explanation import explain
    from tinygrad_edu.explaining.stepper import step_through
    from tinygrad_edu.train.checkpoints import load, save

__version__ = "0.1.0"

__all__ = [
    "OPS",
    "GradientError",
    "Tensor",
    "checkpoint",
    "checkpoints",
    "compare",
    "compile",
    "data",
    "debug",
    "draw",
    "exercises",
    "explain",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "load",
    "logpdf",
    "losses",
    "nn",
    "no_grad",
    "op",
    "optim",
    "parallel",
    "reference",
    "remat",
    "save",
    "special",
    "step_through",
    "train",
    "value_and_grad",
    "vjp",
    "vmap",
]
__all__ += ops.__all__

# Loaded when first asked for, so that importing the package stays quick: these names
# from these modules, and the modules in `__all__`.
_LAZY_NAMES = {
    "GradientError": "checking.gradient",
    "compare": "checking.comparing",
    "compile": "compiler",
    "draw": "drawing",
    "exercises": "exercising",
    "explain": "explaining.explanation",
    "gradcheck": "checking.gradient",
    "load": "train.checkpoints",
    "save": "train.checkpoints",
    "step_through": "explaining.stepper",
}


if not TYPE_CHECKING:  # type checkers shall find names that do not exist

    def __getattr__(name: str) -> Any:
        if name in _LAZY_NAMES:
            return getattr(import_module(f"{__name__}.{_LAZY_NAMES[name]}"), name)
        if name in __dir__():
            return import_module(f"{__name__}.{name}")
        foreign = import_module(f"{__name__}.support.foreign")
        raise foreign.absent("tg", __name__, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "testing"])
