"""`debug()`: find the line that made a NaN, or the array that was changed too soon."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from tinygrad_edu.graph import Node, mode
from tinygrad_edu.op import Op

__all__ = ["Origin", "debug"]

_PACKAGE = str(Path(__file__).parent)


def debug() -> AbstractContextManager[None]:
    """Watch every op within the block; it costs time, so it is off by default.

    Within the block

    - every op remembers the line of your program that called it, in ``.origin``;
    - the first NaN or infinity raises an error that names the op that made it;
    - ``backward()`` does the same for gradients (also after the block, for what was
      recorded within), and raises if an array was changed after an op used it.

    Raises
    ------
    ValueError
        From the op, or from ``backward()``, where one of these is found.

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
    return mode(watch=_watch)


class Origin:
    """Where a node was recorded, and what its inputs were then."""

    def __init__(self, file: str, line: int, op: Op, inputs: tuple[Any, ...]) -> None:
        self.file = file
        self.line = line
        self.op = op
        self.inputs = inputs
        self._fingerprints = [_fingerprint(_value(x)) for x in inputs]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def verify_inputs(self, node: Node) -> None:
        """Raise if an input was changed since it was used."""
        for position, fingerprint in enumerate(self._fingerprints):
            if _fingerprint(_value(node.inputs[position])) != fingerprint:
                raise ValueError(
                    f"{self.op.name}: its input {self._describe(position)} was changed "
                    f"after it was used (at {self}), so its gradient would be wrong; "
                    "change arrays after backward(), or give the op a copy"
                )

    def verify_answer(self, value: np.ndarray[Any, Any]) -> None:
        """Raise if the answer is not finite."""
        if np.isfinite(value).all():
            return
        what = "a NaN" if np.isnan(value).any() else "an infinity"
        for position, x in enumerate(self.inputs):
            if not np.isfinite(_value(x)).all():
                raise ValueError(
                    f"{self.op.name}: {what} came in with the input "
                    f"{self._describe(position)} (at {self})"
                )
        raise ValueError(f"{self.op.name}: made {what} (at {self})")

    def verify_gradient(self, x: Any, cotangent: Any) -> None:
        """Raise if what a rule gave for the input `x` is not finite."""
        if not np.isfinite(_value(cotangent)).all():
            what = "a NaN" if np.isnan(_value(cotangent)).any() else "an infinity"
            (position, *_) = (i for i, y in enumerate(self.inputs) if y is x)
            raise ValueError(
                f"{self.op.name}: the gradient of its input {self._describe(position)} "
                f"has {what} (recorded at {self})"
            )

    def _describe(self, position: int) -> str:
        names = self.op.inputs
        name = f"{names[0]}[{position}]" if self.op.variadic else names[position]
        given = getattr(self.inputs[position], "name", None)
        return f"{name} ({given!r})" if given else name


def _watch(node: Node, op: Op, inputs: tuple[Any, ...]) -> None:
    origin = Origin(*caller(), op, inputs)
    origin.verify_answer(node.data)
    node.origin = origin


def caller() -> tuple[str, int]:
    """Find the innermost line that is not this package's own."""
    frame = sys._getframe()
    while frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _value(x: Any) -> Any:
    return x.data if isinstance(x, Node) else np.asarray(x)


def _fingerprint(array: np.ndarray[Any, Any]) -> tuple[tuple[int, ...], str, int]:
    return array.shape, str(array.dtype), crc32(array.tobytes())
