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
from tinygrad_edu.train.checkpoints.storage import Stored, StoredPart, write_arrays

__all__ = ["arrays_of", "fitting", "load", "naming", "save", "without_slash"]


def save(path: str | os.PathLike[str], model: Module) -> None:
    """Write a model's weights to a file in the safetensors format.

    A crash at any moment leaves the old file or the new one whole. A whole training,
    with its optimiser and random numbers, is saved by `checkpoints.Training`.

    Parameters
    ----------
    path : path
        Its name ends in ``.safetensors``, by custom.
    model : Module

    Raises
    ------
    TypeError
        The model is no `nn.Module`.
    OSError
        There is no such folder, or the file cannot be written.
    ValueError
        `load` could not read it again: for a parameter's name or dtype, or too many of
        them. Then the old file, if there was one, is as it was.

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
    write_arrays(path, arrays_of(model))


def load(path: str | os.PathLike[str], model: Module) -> None:
    r"""Read a model's weights from a file: of `save`, or of a whole training.

    Parameters
    ----------
    path : path
    model : Module
        Its parameters get the values from the file.

    Raises
    ------
    TypeError
        The model is no `nn.Module`.
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged or of another format, or its weights are of other names, shapes or
        dtypes than the model's. Then the model is as it was.

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
    : Linear: weight has the shape (3, 2), and (4, 2) is wanted;
    bias has the shape (3,), and (4,) is wanted
    """
    _check_model("load", model)
    with Stored(path) as stored, naming(path):
        model.load_state_dict(fitting(stored.part(""), model))


def _check_model(who: str, model: Any) -> None:
    if not isinstance(model, Module):
        raise TypeError(
            f"{who}: the model is an nn.Module, and this is of type "
            f"{type(model).__name__}; call {who}(path, model)"
        )


def arrays_of(model: Module) -> dict[str, Any]:
    """Return the model's arrays, whose names leave room for what else is in a file."""
    arrays = model.state_dict(copy=False)
    for name in arrays:
        without_slash(name)
    return dict(arrays)


def without_slash(name: str) -> str:
    """Return a name, if it has none."""
    if "/" in name:
        raise ValueError(
            f"save: '{printable(name)}' has a slash in its name, which in a "
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


def fitting(part: StoredPart, owner: Module | Optimiser) -> dict[str, Any]:
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
