"""Networks: `Module` holds parameters, `Linear` is one layer, `MLP` is a whole network.

Read `module` first, then `layers` and `mlp`. `initialising` draws the first parameters,
and `summary` makes the table of layers.
"""

from typing import TYPE_CHECKING

from tinygrad_edu.nn.layers import (
    Dropout,
    Function,
    Linear,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
)
from tinygrad_edu.nn.mlp import MLP
from tinygrad_edu.nn.module import Module
from tinygrad_edu.support.foreign import raising

__all__ = [
    "MLP",
    "Dropout",
    "Function",
    "Linear",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
]

if not TYPE_CHECKING:  # type checkers shall find names that do not exist
    __getattr__ = raising("tg.nn", __name__)
