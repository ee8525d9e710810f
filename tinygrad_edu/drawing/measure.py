"""Estimate the width of a text without a font: an upper bound per character.

The widths are those of DejaVu Sans, one of the widest fonts that a browser may use. So
a text fits its box in every browser.
"""

from __future__ import annotations

from unicodedata import combining, east_asian_width

__all__ = ["mono_width", "width"]

# In units of the font size; any other character counts as _OTHER.
_WIDTHS = {
    character: units
    for units, characters in {
        0.35: " ijlIJ'.,·/:;\\|",
        0.43: "()[]frt-!",
        0.56: 'cszL*_`?"',
        0.65: "abdeghknopquvxyEFPSTY0123456789${}",
        0.70: "ABCKRVXZ",
        0.80: "DGHNOQU&",
        0.85: "w+−×=<>^~#",
        1.00: "mMW@%…",
    }.items()
    for character in characters
}
_OTHER = 0.85
_FULL_WIDTH = 1.1
_BOLD = 1.2
_MONO = 0.61


def width(text: str, size: float, bold: bool = False) -> float:
    """Return an upper bound of the width of a text in a sans-serif font."""
    units = sum(_WIDTHS[c] if c in _WIDTHS else _unusual(c) for c in text)
    return units * size * (_BOLD if bold else 1.0)


def mono_width(text: str, size: float) -> float:
    """Return an upper bound of the width of a text in a monospace font."""
    return len(text) * size * _MONO


def _unusual(character: str) -> float:
    if combining(character):
        return 0.0
    return _FULL_WIDTH if east_asian_width(character) in "FW" else _OTHER
