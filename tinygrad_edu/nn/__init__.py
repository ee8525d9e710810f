"""Networks: `Module` holds parameters, `Linear` is one layer, `MLP` is a whole network.

Read `module` first, then `layers` and `mlp`. `initialising` draws the first parameters,
and `summary` makes the table of layers.
"""

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
