"""Tensors to start from."""

import tinygrad_edu as tg


def leaf(value=2.0, name=None, dtype=None):
    return tg.Tensor(value, requires_grad=True, dtype=dtype, name=name)
