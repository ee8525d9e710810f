"""What a training was given, as text: to tell what differs when it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_edu.nn import Module
from tinygrad_edu.nn.module import walk
from tinygrad_edu.optim import Optimiser
from tinygrad_edu.support.states import is_number

__all__ = ["OF_OPTIMISER", "as_text", "of_model", "of_optimiser", "what_differs"]

OF_OPTIMISER = "optimiser."  # how the names of its numbers begin
_LONGEST = 200
# What the order of the steps of an epoch follows from.
_OF_ORDER = "data", "batch_size", "shuffle"


def as_text(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return settings as text, so that equal ones are equal in a file too.

    >>> as_text({"lr": 1.0, "betas": (0.9, 0.5), "clip": None})
    {'lr': '1', 'betas': '(0.9, 0.5)', 'clip': 'None'}
    """
    return {_short(prefix + name): _short(_text(x)) for name, x in settings.items()}


def of_optimiser(optimiser: Optimiser) -> dict[str, str]:
    """Return its numbers, but for how many steps it has made."""
    state = optimiser.state_dict(copy=False)
    numbers = {k: x for k, x in state.items() if is_number(x) and k != "steps"}
    return as_text(numbers, OF_OPTIMISER)


def of_model(model: Module) -> dict[str, str]:
    """Return the numbers and texts that its modules have as attributes, by path.

    >>> import tinygrad_edu as tg
    >>> of_model(tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.Dropout(0.5)))
    {'model.1.rate': '0.5'}
    """
    found: dict[str, str] = {}
    for part in walk(model):
        if isinstance(part.thing, Module):
            prefix = f"model.{part.path}." if part.path else "model."
            own = vars(part.thing).items()
            plain = {k: x for k, x in own if is_number(x) or isinstance(x, str)}
            plain.pop("training", None)
            found |= as_text(plain, prefix)
    return found


def what_differs(
    saved: Mapping[str, Any], given: Mapping[str, str], is_amid: bool
) -> list[str]:
    """Tell what differs.

    Parameters
    ----------
    saved : mapping
        From a file, so anything.
    given : mapping
    is_amid : bool
        Whether some steps of an epoch are done.

    Raises
    ------
    ValueError
        If `saved` are no settings; or if it is amid an epoch, and the steps would be
        others.

    Examples
    --------
    >>> what_differs({"clip": "1"}, {"clip": "2"}, is_amid=True)
    ['clip was 1, and now is 2']
    """
    for name, text in saved.items():
        if not isinstance(text, str) or _short(name) + _short(text) != name + text:
            raise ValueError(f"{_short(name)!r} is no setting")
    told = []
    for name in {**saved, **given}:
        was, now = (which.get(name, "not there") for which in (saved, given))
        if was == now:
            continue
        if is_amid and name in _OF_ORDER:
            raise ValueError(
                f"it stopped amid an epoch where {name} was {was}, and it cannot go on "
                f"exactly where {name} is {now}; give what it had until the epoch is "
                "done"
            )
        goes_on = " (what was saved goes on)" * name.startswith(OF_OPTIMISER)
        told.append(f"{name} was {was}, and now is {now}{goes_on}")
    return told


def _text(x: Any) -> str:
    if isinstance(x, tuple):
        return f"({', '.join(map(_text, x))})"
    return str(x).removesuffix(".0")


def _short(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:_LONGEST])
