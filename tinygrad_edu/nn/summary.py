"""The table of a network's layers: output shapes and numbers of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import no_grad
from tinygrad_edu.support.table import Table

__all__ = ["Shapes", "Sizes", "output_shapes"]


class Sizes(Table):
    """A row for each layer."""

    header = ("layer", "parameters")


class Shapes(Table):
    """A row for each layer, with the shape of its output."""

    header = ("layer", "output shape", "parameters")


def output_shapes(modules: list[Any], run: Callable[[], Any]) -> dict[int, Any]:
    """Call `run`; return the output shape of each module, by the module's id.

    The modules are in evaluation mode during the call, and unchanged after it.
    """
    shapes: dict[int, Any] = {}

    def watched(module: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*args: Any, **kwargs: Any) -> Any:
            y = forward(*args, **kwargs)
            shapes[id(module)] = _shape(y)
            return y

        return watching

    before = [dict(vars(module)) for module in modules]
    try:
        for module in modules:
            forward = watched(module, module.forward)
            vars(module).update(forward=forward, training=False)
        with no_grad(), np.errstate(all="ignore"):
            run()
    finally:
        for module, attributes in zip(modules, before):
            vars(module).clear()
            vars(module).update(attributes)
    return shapes


def _shape(y: Any) -> Any:
    """Return the shape of an array; for a tuple or a list, a list of shapes."""
    return [*map(_shape, y)] if isinstance(y, tuple | list) else np.shape(y)
