"""Write values and ops as text: small values in full, ops with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import Params
from tinygrad_edu.formulas.writing import parameter_in_text, parameters_of

__all__ = ["LONGEST", "SPACE", "SYMBOLS", "describe", "label", "number_text"]

SYMBOLS = {
    "add": "+",
    "subtract": "−",
    "multiply": "×",
    "divide": "/",
    "floor_divide": "//",
    "remainder": "%",
    "power": "^",
    "matmul": "@",
}
ROWS = COLUMNS = 4  # the most rows and columns of a value that is written in full
LONGEST = 30  # the most characters in a name or an op
LONGEST_PARAMETER = 14
SPACE = "\N{NO-BREAK SPACE}"  # several ordinary spaces would be drawn as one


def describe(data: np.ndarray[Any, Any]) -> tuple[str, ...]:
    """Write a value as lines of text: in full if it is small, else its range.

    Examples
    --------
    >>> [line.replace(SPACE, " ") for line in describe(np.array([[0.5, 10], [-1, 2]]))]
    ['0.5  10', ' -1   2']
    >>> describe(np.linspace(-1, 2, 100))
    ('-1 to 2',)
    """
    if data.size == 0:
        return ("empty",)
    if data.ndim == 0:
        return (number_text(data),)
    rows = data.size // data.shape[-1]
    if data.ndim <= 2 and rows <= ROWS and data.shape[-1] <= COLUMNS:
        return _in_full(data.reshape(rows, -1))
    if data.dtype.kind == "b":
        return (f"{np.count_nonzero(data)} of {data.size} True",)
    low, high = data.min(), data.max()
    if np.isnan(low):
        return ("has nan",)
    if low == high:
        return (f"all {number_text(low)}",)
    return (f"{number_text(low, 3)} to {number_text(high, 3)}",)


def number_text(x: Any, digits: int = 4) -> str:
    """Write a single number."""
    x = np.asarray(x).item()
    return str(x) if isinstance(x, bool) else f"{x:.{digits}g}"


def _in_full(rows: np.ndarray[Any, Any]) -> tuple[str, ...]:
    """Write each number with 3 digits of its own, in columns."""
    cells = [[number_text(x, 3) for x in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [[x.rjust(w, SPACE) for x, w in zip(row, widths)] for row in cells]
    return tuple(map((2 * SPACE).join, lines))


def label(op: Any, numbers: Sequence[str], params: Params | None) -> str:
    """Write an op with its parameters, and with its inputs that are numbers.

    Parameters
    ----------
    op : Op
    numbers : sequence of str
        An entry for each input: the number, or "" if an arrow shows the input.
    params : dict or None
        The parameters of the call. Defaults and long values are not written.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> label(tg.multiply, ["", "0.5"], None)
    '× 0.5'
    >>> label(tg.maximum, ["", "0"], None)
    'maximum(·, 0)'
    >>> label(tg.sum, [""], {"axis": 0, "keepdims": False})
    'sum(axis=0)'
    """
    if op.name in SYMBOLS:
        left, right = numbers
        return f"{left} {SYMBOLS[op.name]} {right}".strip()
    params = params or {}
    if op.name == "getitem":
        return f"[{parameter_in_text('index', params['index'])}]"
    arguments = [x or "·" for x in numbers] if any(numbers) else []
    arguments += [
        f"{name}={text}"
        for name, text in parameters_of(op, params).items()
        if len(text) <= LONGEST_PARAMETER
        and not isinstance(params[name], tuple | list | np.ndarray)
    ]
    return f"{op.name}({', '.join(arguments)})" if arguments else op.name
