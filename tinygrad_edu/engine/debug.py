"""`debug()`: find the line that made a NaN, or an array that was changed too early."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar, overload
from zlib import crc32

import numpy as np

from tinygrad_edu.engine.graph import Node, value_of
from tinygrad_edu.engine.modes import Setting
from tinygrad_edu.engine.op import Op
from tinygrad_edu.support.printable import name_of

__all__ = ["Origin", "debug"]

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


F = TypeVar("F", bound=Callable[..., Any])


@overload
def debug() -> Setting: ...
@overload
def debug(function: F, /) -> F: ...


def debug(function: Any = None, /) -> Any:
    """Check every op within the block; this is slow, so it is off by default.

    It is also a decorator, with or without brackets, like `no_grad`.

    Within the block

    - every result stores the line of your program that called the op, in ``.origin``;
    - the first NaN or infinity raises an error that names the op that made it;
    - ``backward()`` does the same for gradients, and raises if an array was changed
      after an op used it. It does so for every op recorded in the block, even if you
      call ``backward()`` after the block.

    Raises
    ------
    ValueError
        From the op or from ``backward()``, if a check fails.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([4.0, 1.0], requires_grad=True)
    >>> with tg.debug():
    ...     y = x.sqrt()
    >>> x.data[0] = 9.0
    >>> y.sum().backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: sqrt: its input x was changed after it was used (at ...
    """
    setting = Setting("debug", watch=watch)
    return setting if function is None else setting(function)


class Origin:
    """The line that recorded a node, and fingerprints of its value and inputs."""

    def __init__(self, file: str, line: int, node: Node) -> None:
        self.file = file
        self.line = line
        self._fingerprints = _fingerprints(node)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def verify(self, node: Node) -> None:
        """Raise if an array or parameter that the rules need has changed."""
        for what, fingerprint in _fingerprints(node).items():
            if self._fingerprints[what] != fingerprint:
                raise ValueError(
                    f"{node.op.name}: its {what} was changed after it was used (at "
                    f"{self}), so its gradient would be wrong; change arrays only "
                    "after backward(), or pass a copy to the op"
                )

    def verify_gradient(self, node: Node, x: Any, cotangent: Any) -> None:
        """Raise if the cotangent of the input `x` is not finite."""
        if not np.isfinite(value_of(cotangent)).all():
            (position, *_) = (i for i, y in enumerate(node.inputs) if y is x)
            raise ValueError(
                f"{node.op.name}: the gradient of its "
                f"{_describe(node.op, node.inputs, position)} has "
                f"{_what(cotangent)} (recorded at {self})"
            )


def _describe(op: Op, inputs: tuple[Any, ...], position: int) -> str:
    name = f"{op.inputs[0]}[{position}]" if op.variadic else op.inputs[position]
    given = name_of(inputs[position])
    return f"input {name} ({given!r})" if given else f"input {name}"


def _what(x: Any) -> str:
    return "a NaN" if np.isnan(value_of(x)).any() else "an infinity"


def watch(node: Node, op: Op, inputs: tuple[Any, ...]) -> None:
    """Store the origin of a new node, and raise if its value is not finite."""
    node.origin = origin = Origin(*caller(), node)
    if np.isfinite(node.data).all():
        return
    for position, x in enumerate(inputs):
        if not np.isfinite(value_of(x)).all():
            raise ValueError(
                f"{op.name}: its {_describe(op, inputs, position)} contains "
                f"{_what(x)} (at {origin})"
            )
    raise ValueError(
        f"{op.name}: its result contains {_what(node)}, but its inputs are finite "
        f"(at {origin})"
    )


def caller() -> tuple[str, int]:
    """Find the innermost line that is outside of this package."""
    frame = sys._getframe()
    while frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _fingerprints(node: Node) -> dict[str, Any]:
    """Return fingerprints of the result, the inputs and the parameters."""
    found = {"result": _fingerprint(node.data)}
    for position, x in enumerate(node.inputs):
        found[_describe(node.op, node.inputs, position)] = _fingerprint(value_of(x))
    for name, value in (node.params or {}).items():
        parts = value if isinstance(value, tuple) else (value,)
        found[f"parameter {name}"] = [
            _fingerprint(part) if isinstance(part, np.ndarray) else repr(part)
            for part in parts
        ]
    return found


def _fingerprint(array: Any) -> Any:
    array = np.asarray(array)
    return array.shape, str(array.dtype), crc32(array.tobytes())
