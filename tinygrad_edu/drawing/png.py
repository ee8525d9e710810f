"""Render SVG as PNG, and find fonts for that."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tinygrad_edu.support.extras import import_library, install

__all__ = ["png_of"]


def png_of(svg: str, background: str, zoom: float) -> bytes:
    """Render a picture, enlarged by `zoom`.

    Raises
    ------
    ModuleNotFoundError
        If the renderer is not installed.
    ValueError
        If there is no font, so that the picture would have no text.
    """
    if not _has_font():
        raise ValueError(
            "draw: this machine has no font, so a .png would have no text; "
            f"{install('matplotlib')}, which includes one, or save it as .svg"
        )
    return _render(svg, background=background, zoom=zoom)


def _render(svg: str, **options: Any) -> bytes:
    fonts = _fonts_of_matplotlib()
    resvg = import_library(
        "resvg_py", "draw: a .png", ".svg, .dot and .mmd do not need it"
    )
    png: bytes = resvg.svg_to_bytes(svg_string=svg, font_dirs=fonts, **options)
    return png


@cache
def _has_font() -> bool:
    """Test whether text is rendered: without a font the renderer silently skips it."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{}</svg>'
    text = '<text y="9" font-family="sans-serif, DejaVu Sans">M</text>'
    return _render(svg.format(text)) != _render(svg.format(""))


def _fonts_of_matplotlib() -> list[str]:
    """Return the folder of Matplotlib's fonts, if Matplotlib is installed."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return []
    return [str(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf")]
