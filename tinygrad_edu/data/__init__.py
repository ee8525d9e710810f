"""Data: exclusive or, MNIST, and mini-batches.

Read `sets` first. `digits` finds or downloads MNIST, and `idx` reads its files.
"""

from tinygrad_edu.data.digits import Mnist, mnist, mnist_5k
from tinygrad_edu.data.idx import read_idx
from tinygrad_edu.data.sets import minibatches, normalise, one_hot, xor

__all__ = [
    "Mnist",
    "minibatches",
    "mnist",
    "mnist_5k",
    "normalise",
    "one_hot",
    "read_idx",
    "xor",
]
