"""Write the settings of a training as text, to compare them when it resumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_edu.nn import Module
from tinygrad_edu.nn.module import walk
from tinygrad_edu.optim import Optimiser
from tinygrad_edu.support.states import is_number

__all__ = ["OF_OPTIMISER", "as_text", "of_model", "of_optimiser", "what_differs"]

OF_OPTIMISER = "optimiser."  # the prefix of the names of its numbers
_LONGEST = 200
# The settings that decide the order of steps in an epoch.
_OF_ORDER = "data", "batch_size", "shuffle"


def as_text(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Write settings as text, the same text for equal settings.

    >>> as_text({"lr": 1.0, "betas": (0.9, 0.5), "clip": None})
    {'lr': '1', 'betas': '(0.9, 0.5)', 'clip': 'None'}
    """
    return {_short(prefix + name): _short(_text(x)) for name, x in settings.items()}


def of_optimiser(optimiser: Optimiser) -> dict[str, str]:
    """Return an optimiser's numbers as text, without the number of steps made."""
    state = optimiser.state_dict(copy=False)
    numbers = {k: x for k, x in state.items() if is_number(x) and k != "steps"}
    return as_text(numbers, OF_OPTIMISER)


def of_model(model: Module) -> dict[str, str]:
    """Return the numbers and texts among the attributes of all modules, by path.

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
    saved: Mapping[str, Any], given: Mapping[str, str], in_epoch: bool
) -> list[str]:
    """Describe the settings that differ.

    Parameters
    ----------
    saved : mapping
        The settings from a file. They are checked, since a file may contain anything.
    given : mapping
        The present settings.
    in_epoch : bool
        Whether the file is from the middle of an epoch.

    Raises
    ------
    ValueError
        If `saved` does not contain valid settings; or if it is from the middle of an
        epoch whose other steps would differ.

    Examples
    --------
    >>> what_differs({"clip": "1"}, {"clip": "2"}, in_epoch=True)
    ['clip was 1, and now is 2']
    """
    for name, text in saved.items():
        if not isinstance(text, str) or _short(name) + _short(text) != name + text:
            raise ValueError(f"{_short(name)!r} is not a valid setting")
    differences = []
    for name in {**saved, **given}:
        was, now = (which.get(name, "not there") for which in (saved, given))
        if was == now:
            continue
        if in_epoch and name in _OF_ORDER:
            raise ValueError(
                f"it stopped in the middle of an epoch, where {name} was {was}, and "
                f"cannot continue exactly with {now}; use the old one until this epoch "
                "is done"
            )
        note = " (the saved one is used)" * name.startswith(OF_OPTIMISER)
        differences.append(f"{name} was {was}, and now is {now}{note}")
    return differences


def _text(x: Any) -> str:
    if isinstance(x, tuple):
        return f"({', '.join(map(_text, x))})"
    return str(x).removesuffix(".0")


def _short(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:_LONGEST])
