"""SVG to PNG, and the fonts for it."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tinygrad_edu.support.extras import import_library, install

__all__ = ["png_of"]


def png_of(svg: str, background: str, zoom: float) -> bytes:
    """Render a picture, each of its pixels as `zoom` pixels.

    Raises
    ------
    ModuleNotFoundError
        If the renderer is not installed.
    ValueError
        If there is no font, so that no text would be seen.
    """
    if not _writes_text():
        raise ValueError(
            "draw: there is no font on this machine, and a .png would be without text; "
            f"{install('matplotlib')}, which brings one, or save it as .svg"
        )
    return _render(svg, background=background, zoom=zoom)


def _render(svg: str, **how: Any) -> bytes:
    fonts = _fonts_of_matplotlib()
    resvg = import_library("resvg_py", "draw: a .png", ".svg, .dot and .mmd do without")
    png: bytes = resvg.svg_to_bytes(svg_string=svg, font_dirs=fonts, **how)
    return png


@cache
def _writes_text() -> bool:
    """Test whether text is rendered: without a font the renderer silently skips it."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{}</svg>'
    text = '<text y="9" font-family="sans-serif, DejaVu Sans">M</text>'
    return _render(svg.format(text)) != _render(svg.format(""))


def _fonts_of_matplotlib() -> list[str]:
    """Name the folder with the fonts that come with Matplotlib, if it is there."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return []
    return [str(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf")]
