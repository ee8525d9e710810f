"""Networks: a `Module` holds parameters, a layer is z = x w^T + b, an MLP is layers."""

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
