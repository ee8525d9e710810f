"""A gradient of a plain NumPy function: by `grad`, by Tensors, and by HIPS autograd.

Each program below takes `W` and `b`, and returns a function: the gradient of
``tanh(x W + b).sum()`` at `x`.
"""

import numpy as np

import tinygrad_edu as tg


def by_grad(W, b):
    return tg.grad(lambda x: np.tanh(np.dot(x, W) + b).sum())


def by_tensors(W, b):
    def gradient(x):
        x = tg.Tensor(x, requires_grad=True)
        tg.tanh(tg.dot(x, W) + b).sum().backward()
        return x.grad.data

    return gradient


def by_autograd(W, b):
    import autograd
    import autograd.numpy as anp

    return autograd.grad(lambda x: anp.tanh(anp.dot(x, W) + b).sum())


GRAD, TENSOR, AUTOGRAD = "tg.grad", "Tensor", "autograd"
PROGRAMS = {GRAD: by_grad, TENSOR: by_tensors, AUTOGRAD: by_autograd}
