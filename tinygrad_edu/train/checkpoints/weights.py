"""Weights in a file, and whether they fit a model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu.nn import Module
from tinygrad_edu.optim import Optimiser
from tinygrad_edu.support.printable import printable
from tinygrad_edu.support.states import matched
from tinygrad_edu.train.checkpoints.storage import Part, Stored, write

__all__ = ["fitting", "load", "naming", "save", "weights", "without_slash"]


def save(path: str | os.PathLike[str], model: Module) -> None:
    """Write a model's weights to a file in the safetensors format.

    A crash at any moment leaves the old file or the new one whole.

    Parameters
    ----------
    path : path
        Its name ends in ``.safetensors``, by custom.
    model : Module

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import tinygrad_edu as tg
    >>> model, other = tg.nn.MLP([2, 3, 1], rng=0), tg.nn.MLP([2, 3, 1], rng=1)
    >>> with TemporaryDirectory() as folder:
    ...     tg.checkpoints.save(f"{folder}/xor.safetensors", model)
    ...     tg.checkpoints.load(f"{folder}/xor.safetensors", other)
    >>> (model([[0.0, 1.0]]) == other([[0.0, 1.0]])).all()
    np.True_
    """
    write(path, weights(model))


def load(path: str | os.PathLike[str], model: Module) -> None:
    """Read a model's weights from a file, its own or that of a whole training.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged or of another format, or its weights are of other names, shapes or
        dtypes than the model's. Then the model is as it was.
    """
    with Stored(path) as stored, naming(path):
        model.load_state_dict(fitting(stored.part(""), model))


def weights(model: Module) -> dict[str, Any]:
    """Return the model's arrays, whose names leave room for what else is in a file."""
    arrays = model.state_dict(copy=False)
    for name in arrays:
        without_slash(name)
    return dict(arrays)


def without_slash(name: str) -> str:
    """Return a name, if it has none."""
    if "/" in name:
        raise ValueError(
            f"checkpoints: '{printable(name)}' has a slash in its name, which in a "
            "file tells weights from the rest; give it another one"
        )
    return name


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """See that an error tells which file it is about."""
    try:
        yield
    except ValueError as error:
        fault = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {fault}") from None


def fitting(part: Part, owner: Module | Optimiser) -> dict[str, Any]:
    """Return the state that is in a file, if it fits; what does not, is not read."""
    wanted = owner.state_dict(copy=False)
    shapes = {name: np.shape(x) for name, x in wanted.items()}
    faults = [
        f"{printable(name)} has the shape {part.shape(name)}, and {shape} is wanted"
        for name, shape in shapes.items()
        if name in part and part.shape(name) != shape
    ]
    if faults:
        raise ValueError(f"{type(owner).__name__}: {'; '.join(faults)}")
    return matched(part, wanted, type(owner).__name__)
