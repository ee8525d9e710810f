"""Is my gradient right? Compare it with differences, and describe the fault if not.

`gradcheck` compares the gradients of reverse mode with differences of the function's
values. If they disagree, it checks each recorded op alone, at its recorded inputs. So
it can name the op, the input, and the likely fault.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.diagnosis import causes
from tinygrad_edu.checking.probe import FEW, Check, Probe, normal, scale
from tinygrad_edu.engine.graph import check_function
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support.language import ENGLISH, say_also, speaking, spoken
from tinygrad_edu.support.printable import name_of
from tinygrad_edu.support.table import Table

__all__ = ["GradientError", "Report", "gradcheck"]

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


class GradientError(AssertionError, ValueError):
    """The error for a wrong gradient; the message says where, and the likely fault."""


class CheckedInput(NamedTuple):
    """The result of the check for one input."""

    input: str
    shape: tuple[int, ...]
    dtype: str
    order: int
    checked: str
    relative_difference: float  # the largest one, divided by the largest derivative


class Report(Table):
    """The rows of a successful check; prints as a table."""

    __slots__ = ()

    header = tuple(CheckedInput._fields)


def gradcheck(
    f: Function,
    *inputs: Any,
    order: int = 1,
    rtol: float | None = None,
    atol: float | None = None,
    lang: str | None = None,
) -> Report:
    """Compare the gradients of a function with differences of its values.

    It multiplies the output by random weights and sums, to get one number. It then
    moves the inputs: along each coordinate for small inputs, along random directions
    (the same ones in each run) for large ones. Last, it compares the change of the
    number with the gradient.

    Parameters
    ----------
    f : callable
        Takes Tensors, and returns one.
    *inputs : array_like or Tensor
        The inputs at which to check: floats of any shape. A Tensor that requires a
        gradient is used itself, not copied. So you can also check parameters that are
        not arguments of `f`:
        ``gradcheck(lambda *_: loss(model(x), y), *model.parameters())``. Its ``.grad``
        is not changed, and its data is restored.
    order : {1, 2}
        2 checks the second derivatives too: the gradient of a random combination of the
        gradients.
    rtol, atol : float, optional
        The allowed relative and absolute difference. The default depends on the dtype
        (1e-6 relative for float64) and on the rounding error.
    lang : str, optional
        The language in which an error tells the fault, after the English, such as
        ``"zh"``. The default is that of the environment variable
        ``TINYGRAD_EDU_LANG``.

    Returns
    -------
    Report
        One row per input and order; ``print`` shows a table.

    Raises
    ------
    GradientError
        If a gradient is wrong. The message names the op, its input, the line of your
        program that called it, and the likely fault; or it says that there is a kink.
        (The check passes at a kink if the rule returns the mean of the slopes on the
        left and right, as that of `abs` does, because differences agree with it.)
    TypeError, ValueError
        If a check is impossible: for integers, NaN, or a function that returns no
        Tensor, draws random numbers, or changes its inputs.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> report = tg.gradcheck(lambda x: (x * x).sum(), [1.0, 2.0], order=2)
    >>> [(row.input, row.order, row.checked) for row in report]
    [('x', 1, '2 coordinates'), ('x', 2, '2 coordinates')]
    """
    with speaking(lang):
        check_function("gradcheck", f)
        if order not in (1, 2):
            raise ValueError(f"gradcheck: order must be 1 or 2, not {order!r}")
        leaves = _leaves(inputs)
        names = _names(f, leaves)
        rng = np.random.default_rng(0)
        probe = Probe(f, leaves, normal(rng, _output(f, leaves, names)))
        rows = _rows(probe, names, rng, 1, rtol, atol)
        if order == 2:
            rows += _rows(probe.second(rng), names, rng, 2, rtol, atol)
        return Report(rows)


def _rows(
    probe: Probe,
    names: list[str],
    rng: np.random.Generator,
    order: int,
    rtol: float | None,
    atol: float | None,
) -> list[CheckedInput]:
    """Check each input; raise for the first wrong one."""
    rows = []
    for position, checks in enumerate(probe.checks(rng)):
        x, name = probe.leaves[position], names[position]
        for check in checks:
            tolerance = probe.tolerance(position, check, rtol, atol)
            if not check.excess <= tolerance:
                worst = max(checks, key=lambda check: check.excess)
                with speaking(ENGLISH):
                    found = causes(probe, position, worst, order)
                if spoken() != ENGLISH:
                    found += causes(probe, position, worst, order)
                raise GradientError(
                    _headline(name, worst, order, tolerance)
                    + "".join(f"\n- {cause}" for cause in found)
                )
        what = "coordinates" if x.size <= FEW else "directions"
        apart = max((abs(c.reverse - c.difference) for c in checks), default=0.0)
        rows.append(
            CheckedInput(
                name,
                x.shape,
                str(x.dtype),
                order,
                f"{len(checks)} {what}",
                apart / (scale(checks) or 1.0),
            )
        )
    return rows


def _headline(name: str, check: Check, order: int, tolerance: float) -> str:
    which = "second derivative" if order == 2 else "gradient"
    verdict = "is wrong" if check.is_precise else "cannot be checked"
    return (
        f"gradcheck: the {which} for {name}{_place(check.direction)} {verdict}: "
        f"reverse mode gives {check.reverse:.8g}, differences give "
        f"{check.difference:.8g} (allowed difference: {tolerance:.1g})"
    )


def _place(direction: Array) -> str:
    """Write the coordinate that a direction follows; "" if it is none."""
    if direction.ndim == 0 or np.count_nonzero(direction) != 1:
        return ""
    return f" at {[int(i) for i in np.argwhere(direction)[0]]}"


# --- The function and its inputs ------------------------------------------------------


def _leaves(inputs: Sequence[Any]) -> list[Tensor]:
    if not inputs:
        raise ValueError("gradcheck: give the inputs at which to check the function")
    leaves = []
    for position, given in enumerate(inputs):
        is_parameter = isinstance(given, Tensor) and given.requires_grad
        if is_parameter and not given.is_leaf:
            raise ValueError(
                f"gradcheck: input {position} was computed; pass a leaf, or its .data"
            )
        x = given if is_parameter else _constant(position, given)
        if x.dtype.kind != "f":
            raise TypeError(
                f"gradcheck: input {position} is {x.dtype}, but only floats have a "
                "gradient; pass floats, or use the constant inside the function instead"
            )
        if not np.isfinite(x.data).all():
            raise ValueError(f"gradcheck: input {position} has a NaN or an infinity")
        leaves.append(x if is_parameter else Tensor(x, requires_grad=True))
    return leaves


def _constant(position: int, given: Any) -> Tensor:
    """Return an input as a Tensor; raise if it is no array, but a dict or a model."""
    try:
        return Tensor(given)
    except (TypeError, ValueError) as error:
        if isinstance(given, np.ndarray):
            raise
        raise TypeError(
            f"gradcheck: input {position} is of type {type(given).__name__}, but each "
            "input must be one array of floats; pass the arrays in it one by one, and "
            "put them together inside the function (for a model: *model.parameters())"
        ) from error


def _names(f: Function, leaves: Sequence[Tensor]) -> list[str]:
    """Name each input by its own name, or by the function's parameter."""
    parameters = inspect.signature(f).parameters if inspect.isroutine(f) else {}
    called = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    called += [f"input {i}" for i in range(len(called), len(leaves))]
    return [name_of(x) or name for x, name in zip(leaves, called)]


def _output(f: Function, leaves: list[Tensor], names: list[str]) -> Tensor:
    """Evaluate the function; raise if it cannot be checked."""
    before = [x.data.copy() for x in leaves]
    y, again = f(*leaves), f(*leaves)
    for x, array, name in zip(leaves, before, names):
        if x.data.tobytes() != array.tobytes():
            raise ValueError(
                say_also(
                    "gradcheck: the function changes its input {name}; change a copy",
                    name=name,
                )
            )
    if not isinstance(y, Tensor):
        raise TypeError(_no_tensor(y))
    if not y.requires_grad:
        raise ValueError(
            say_also(
                "gradcheck: the output does not depend on the inputs through recorded "
                "ops, so it cannot be differentiated; do you use .data, detach(), "
                "no_grad() or integers?"
            )
        )
    if not np.isfinite(y.data).all():
        raise ValueError("gradcheck: the function's output has a NaN or an infinity")
    if y.data.tobytes() != again.data.tobytes():
        raise ValueError(
            say_also(
                "gradcheck: two calls of the function give different outputs; if it "
                "draws random numbers, draw them before, or seed the generator inside"
            )
        )
    return y


def _no_tensor(y: Any) -> str:
    """Say what is wrong with a function that returns `y`."""
    if y is None:
        return say_also(
            "gradcheck: the function returns nothing (None), not a Tensor; return the "
            "result of the ops, without .data, item() or float()"
        )
    if isinstance(y, tuple | list | dict):
        return say_also(
            "gradcheck: the function returns a {type}, not a Tensor; check its parts "
            "one by one, or return a combination of them",
            type=type(y).__name__,
        )
    return say_also(
        "gradcheck: the function returns a {type}, not a Tensor; return the result of "
        "the ops, without .data, item() or float()",
        type=type(y).__name__,
    )
