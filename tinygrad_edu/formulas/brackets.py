r"""Decide where brackets go, in mathematics and in Python.

Each piece of text says how strongly it holds together, and each place how strongly what
is put there must hold together; brackets make up the difference.

An op declares its LaTeX with places for its inputs: ``{a} - {b}``, ``\log {x}``,
``\frac{{{a}}}{{{b}}}``. The symbols next to a place decide which expressions need
brackets there. After a minus, a sum needs them and a product does not. Before ``^``,
everything but a single symbol needs them. Inside a fraction, nothing does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cache
from string import Formatter
from typing import NamedTuple

__all__ = ["Strength", "Written", "infixed", "strength_needed", "strength_of"]


class Strength(IntEnum):
    """How strongly an expression holds together, the weakest first."""

    COMPARISON = 1
    OR = 2
    XOR = 3
    AND = 4
    SUM = 5
    PRODUCT = 6
    # Python's signs, and functions without brackets round their argument: a factor
    # after it would join it.
    FUNCTION = 7
    POWER = 8
    ATOM = 9


class Written(NamedTuple):
    """A piece of text, and how strongly it holds together."""

    text: str
    strength: int = Strength.ATOM

    def within(self, least: int, bracket: Callable[[str], str] = "({})".format) -> str:
        """Return the text, in brackets if it is weaker than its place needs."""
        return bracket(self.text) if self.strength < least else self.text


def infixed(a: Written, symbol: str, b: Written, strength: int) -> Written:
    """Write one of Python's operators, which takes what is on its left first.

    Only ``**`` takes what is on its right; and ``a < b < c`` would be two comparisons.

    Examples
    --------
    >>> a, b = Written("a - b", Strength.SUM), Written("-2", Strength.FUNCTION)
    >>> infixed(a, "-", a, Strength.SUM).text, infixed(b, "*", b, Strength.PRODUCT).text
    ('a - b - (a - b)', '-2 * (-2)')
    """
    is_power = symbol == "**"
    left = a.within(strength + (is_power or strength == Strength.COMPARISON))
    right = b.within(strength + 1)
    if right.startswith("-") and strength >= Strength.SUM:
        right = f"({right})"
    space = "" if is_power else " "
    return Written(f"{left}{space}{symbol}{space}{right}", strength)


class _Piece(NamedTuple):
    """A token of a template, or a place; and how deep in brackets it stands."""

    text: str
    is_place: bool
    depth: int


_TOKEN = re.compile(r"\\operatorname\{[a-z]+\}|\\text\{[^}]*\}|\\[a-zA-Z]+|\\.|.", re.S)
_SPACES = {" ", r"\,", r"\left", r"\right"}
_OPENS = {*"{([", r"\lfloor", r"\lceil", r"\lVert", r"\lvert"}
_CLOSES = {*"})]", r"\rfloor", r"\rceil", r"\rVert", r"\rvert"}
_INFIX = {r"\odot", r"\cdot", r"\otimes", r"\times", r"\bmod"}


@cache
def _pieces(template: str) -> tuple[_Piece, ...]:
    found: list[_Piece] = []
    depth = 0
    literal = ""
    for text, place, _, _ in [*Formatter().parse(template), ("", "", "", "")]:
        literal += text
        if place is None:  # the text was cut at a brace
            continue
        for token in _TOKEN.findall(literal):
            if token in _SPACES:
                continue
            depth -= token in _CLOSES
            found.append(_Piece(token, False, depth))
            depth += token in _OPENS
        literal = ""
        if place:
            found.append(_Piece(place, True, depth))
    return tuple(found)


@cache
def strength_needed(template: str) -> dict[str, Strength]:
    """Return for each place how strongly what is put there must hold together.

    Examples
    --------
    >>> {k: v.name for k, v in strength_needed("{a} - {b}").items()}
    {'a': 'SUM', 'b': 'PRODUCT'}
    """
    pieces = _pieces(template)
    return {
        piece.text: max(
            _needed_after(_before(pieces[:i])), _needed_before(pieces[i + 1 :])
        )
        for i, piece in enumerate(pieces)
        if piece.is_place
    }


def _before(pieces: Sequence[_Piece]) -> _Piece | None:
    """Return the last piece; of something with a subscript, what has the subscript."""
    if not pieces:
        return None
    depth = pieces[-1].depth
    here = [piece for piece in pieces if piece.depth == depth]
    if [piece.text for piece in here[-3:]] == ["_", "{", "}"]:
        return here[-4]
    return pieces[-1]


def _needed_after(piece: _Piece | None) -> Strength:
    if piece is None or piece.text in _OPENS | {",", "+"} or _is_word(piece):
        return Strength.SUM
    if piece.text in ("-", r"\sum"):
        return Strength.PRODUCT
    return Strength.ATOM if _is_function(piece.text) else Strength.POWER


def _needed_before(pieces: Sequence[_Piece]) -> Strength:
    if not pieces or pieces[0].text in _CLOSES | {",", "+", "-"} or _is_word(pieces[0]):
        return Strength.SUM
    return Strength.ATOM if pieces[0].text in "^_" else Strength.POWER


def _is_word(piece: _Piece) -> bool:
    return piece.text.startswith(r"\text")


def _is_function(text: str) -> bool:
    return text.startswith("\\") and text not in _INFIX


@cache
def strength_of(template: str) -> Strength:
    r"""Return how strongly what a template writes holds together.

    Examples
    --------
    >>> strength_of("{a} - {b}").name, strength_of(r"\max({a}, {b})").name
    ('SUM', 'ATOM')
    """
    tops = [piece for piece in _pieces(template) if piece.depth == 0]
    texts = [piece.text for piece in tops if piece.text not in _CLOSES]
    while "_" in texts:
        del texts[texts.index("_") : texts.index("_") + 2]
    if {"+", "-"} & set(texts) or any(map(_is_word, tops)):
        return Strength.SUM
    match texts:
        case [_] | [_, "("]:
            return Strength.ATOM
        case [_, "^", _] | [_, "{"] | [_, "{", "{"]:
            return Strength.POWER
    is_function = _is_function(texts[0]) and not _INFIX & set(texts)
    return Strength.FUNCTION if is_function else Strength.PRODUCT
