"""Say messages in the learner's language, by gettext.

A message is written in English, where it is used: ``say("{name} is missing", name=w)``.
The catalogue of a language, ``locale/zh_CN/LC_MESSAGES/tinygrad_edu.mo``, has the same
messages in that language. So a further language is a further file; CONTRIBUTING.md
says how to make it. A message is a whole sentence, because other languages put its
parts in another order, and its fields have names.

The language is the first of these that is given: the argument ``lang`` of a public
function; the language of the `speaking` block around the call; the environment variable
``TINYGRAD_EDU_LANG``; English.

The scripts of a page cannot ask for one message after the other. So the page gets all
its messages at once, as a dict from the English: ``json.dumps(words_of("page"))``. In
the catalogue they have the context "page". A script in ``explaining/page`` passes each
message to its own function ``_``, which looks it up and fills in the fields:
``_("{name} is missing", {name: w})``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Any

__all__ = ["languages", "say", "say_also", "speaking", "spoken", "words_of"]

LOCALE = Path(__file__).parents[1] / "locale"
VARIABLE = "TINYGRAD_EDU_LANG"
ENGLISH = "en"
# Where Chinese is written in other characters than in zh_CN.
TRADITIONAL = frozenset({"hant", "hk", "mo", "tw"})

_spoken: ContextVar[str | None] = ContextVar("spoken", default=None)


def say(message: str, /, **fields: Any) -> str:
    """Return a message in the language that is spoken, with its fields filled in.

    Examples
    --------
    >>> say("{derivative} is missing", derivative="sigma'(z2)")
    "sigma'(z2) is missing"
    >>> with speaking("zh"):
    ...     say("{derivative} is missing", derivative="sigma'(z2)")
    "缺少 sigma'(z2)"
    """
    said = _catalogue(spoken()).gettext(message)
    return said.format(**fields) if fields else said


def say_also(message: str, /, **fields: Any) -> str:
    """Return a message in English, and below it in the language that is spoken.

    For errors: they are in English, so that they can be searched for.
    """
    english, said = message.format(**fields), say(message, **fields)
    return english if said == english else f"{english}\n{said}"


@contextmanager
def speaking(lang: str | None) -> Iterator[None]:
    """Choose the language for a block.

    Parameters
    ----------
    lang : str, optional
        Such as ``"zh"`` or ``"zh-CN"``. By default it stays as it is.

    Raises
    ------
    ValueError
        If there is no catalogue of this language.
    """
    before = _spoken.set(spoken() if lang is None else _fitting(lang, "lang"))
    try:
        yield
    finally:
        _spoken.reset(before)


def spoken() -> str:
    """Return the language that is spoken now, by the name of its catalogue."""
    chosen = os.environ.get(VARIABLE)
    return _spoken.get() or (_fitting(chosen, VARIABLE) if chosen else ENGLISH)


def languages() -> list[str]:
    """Return the languages that can be spoken.

    >>> languages()
    ['en', 'zh_CN']
    """
    files = LOCALE.glob("*/LC_MESSAGES/tinygrad_edu.mo")
    return [ENGLISH, *sorted(file.parts[-3] for file in files)]


def words_of(context: str) -> dict[str, str]:
    """Return a dict from the English messages of a context to those in the language.

    In English, it is empty.
    """
    known: dict[str, str] = getattr(_catalogue(spoken()), "_catalog", {})
    mark = f"{context}\4"
    return {
        key.removeprefix(mark): said
        for key, said in known.items()
        if key.startswith(mark)
    }


def _fitting(lang: str, who: str) -> str:
    """Return the language that is meant: "zh" and "zh-CN.UTF-8" mean "zh_CN"."""
    wanted = str(lang).partition(".")[0].replace("-", "_").lower().split("_")
    is_traditional = wanted[0] == "zh" and not TRADITIONAL.isdisjoint(wanted)
    for parts in (2,) if is_traditional else (2, 1):
        for known in languages():
            if known.lower().split("_")[:parts] == wanted[:parts]:
                return known
    raise ValueError(
        f"{who}: there is no catalogue for {lang!r}; there are "
        f"{', '.join(languages())}, and CONTRIBUTING.md tells how to make another"
    )


@cache
def _catalogue(language: str) -> NullTranslations:
    """Read the catalogue of a language."""
    if language == ENGLISH:
        return NullTranslations()
    with open(LOCALE / language / "LC_MESSAGES" / "tinygrad_edu.mo", "rb") as file:
        return GNUTranslations(file)
