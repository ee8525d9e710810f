"""`draw`: the recorded graph as a picture."""

from __future__ import annotations

import sys
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

from tinygrad_edu.drawing.layout import lay_out
from tinygrad_edu.drawing.picture import Picture, picture_of
from tinygrad_edu.drawing.source import dot_of, mermaid_of
from tinygrad_edu.drawing.svg import svg_of
from tinygrad_edu.graph import Node
from tinygrad_edu.naming import names_of

__all__ = ["Drawing", "draw"]


class Drawing:
    """A picture of a graph; `draw` makes it, notebooks show it."""

    def __init__(self, picture: Picture, theme: str = "auto") -> None:
        self.picture = picture
        self.theme = theme

    @property
    def svg(self) -> str:
        return svg_of(self.picture, lay_out(self.picture), self.theme)

    @property
    def dot(self) -> str:
        return dot_of(self.picture)

    @property
    def mermaid(self) -> str:
        return mermaid_of(self.picture)

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | PathLike[str]) -> None:
        """Save by suffix."""
        path = Path(path)
        if path.suffix == ".svg":
            path.write_text(self.svg, encoding="utf-8")
        elif path.suffix == ".dot":
            path.write_text(self.dot, encoding="utf-8")
        elif path.suffix == ".mmd":
            path.write_text(self.mermaid, encoding="utf-8")
        else:
            theme = "light" if self.theme == "auto" else self.theme
            svg = svg_of(self.picture, lay_out(self.picture), theme)
            path.write_bytes(import_module("resvg_py").svg_to_bytes(svg, zoom=2))


def draw(y: Any, theme: str = "auto") -> Drawing:
    """Draw the graph behind `y`."""
    if not isinstance(y, Node):
        raise TypeError(f"draw: it draws the graph of a Tensor, not of {y!r}")
    return Drawing(picture_of(y, names_of(y, sys._getframe(1))), theme)
