"""A network's layers in a table: what they give, and how many parameters they have."""

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
    """Run something; return the shape of what each module gave, by the module's id.

    It runs in evaluation, and the modules are left as they were.
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
    """The shape of an array; of a tuple or list of them, those."""
    return [*map(_shape, y)] if isinstance(y, tuple | list) else np.shape(y)
