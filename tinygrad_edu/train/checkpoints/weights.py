"""Save a model's weights in a file, and check that they fit when loading."""

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
from tinygrad_edu.train.checkpoints.storage import (
    Stored,
    StoredPart,
    joined,
    write_arrays,
)

__all__ = ["fitting", "load", "naming", "save"]


def save(path: str | os.PathLike[str], model: Module) -> None:
    """Write a model's weights to a file in the safetensors format.

    After a crash at any moment, the old or the new file is intact. To save a whole
    training, with its optimiser and random generators, use `checkpoints.Training`.

    Parameters
    ----------
    path : path
        The file. By convention, its name ends in ``.safetensors``.
    model : Module
        The model.

    Raises
    ------
    TypeError
        If the model is not an `nn.Module`.
    OSError
        If the folder does not exist, or the file cannot be written.
    ValueError
        If `load` could not read the file, because of a parameter's name or dtype, or
        too many parameters. Then an existing file is unchanged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import tinygrad_edu as tg
    >>> model, other = tg.nn.MLP([2, 3, 1], rng=0), tg.nn.MLP([2, 3, 1], rng=1)
    >>> with TemporaryDirectory() as folder:
    ...     tg.save(f"{folder}/xor.safetensors", model)
    ...     tg.load(f"{folder}/xor.safetensors", other)
    >>> (model([[0.0, 1.0]]) == other([[0.0, 1.0]])).all()
    np.True_
    """
    _check_model("save", model)
    write_arrays(path, joined({"": model.state_dict(copy=False)}))


def load(path: str | os.PathLike[str], model: Module) -> None:
    r"""Read a model's weights from a file of `save`, or of a whole training.

    Parameters
    ----------
    path : path
        The file.
    model : Module
        The model whose parameters get the values from the file.

    Raises
    ------
    TypeError
        If the model is not an `nn.Module`.
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is damaged or has another format, or if names, shapes or dtypes
        differ from the model's. Then the model is unchanged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import tinygrad_edu as tg
    >>> model, other = tg.nn.Linear(2, 3, rng=0), tg.nn.Linear(2, 4, rng=0)
    >>> with TemporaryDirectory() as folder:
    ...     path = f"{folder}/layer.safetensors"
    ...     tg.save(path, model)
    ...     try:
    ...         tg.load(path, other)
    ...     except ValueError as error:
    ...         print(str(error).removeprefix(path).replace("; ", ";\n"))
    : Linear: weight has the shape (3, 2) instead of (4, 2);
    bias has the shape (3,) instead of (4,)
    """
    _check_model("load", model)
    with Stored(path) as stored, naming(path):
        model.load_state_dict(fitting(stored.part(""), model))


def _check_model(who: str, model: Any) -> None:
    if not isinstance(model, Module):
        raise TypeError(
            f"{who}: expected an nn.Module, not a value of type "
            f"{type(model).__name__}; call {who}(path, model)"
        )


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the file's path in front of any ValueError in the block."""
    try:
        yield
    except ValueError as error:
        fault = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {fault}") from None


def fitting(part: StoredPart, owner: Module | Optimiser) -> dict[str, Any]:
    """Return the state in a file, if it fits. Shapes are checked before reading."""
    wanted = owner.state_dict(copy=False)
    shapes = {name: np.shape(x) for name, x in wanted.items()}
    faults = [
        f"{printable(name)} has the shape {part.shape(name)} instead of {shape}"
        for name, shape in shapes.items()
        if name in part and part.shape(name) != shape
    ]
    if faults:
        raise ValueError(f"{type(owner).__name__}: {'; '.join(faults)}")
    return matched(part, wanted, type(owner).__name__)
