"""`draw`: the recorded graph as a picture.

Read in this order: `picture` chooses what to show (with `modules`, `repeats` and
`words`); `layout` arranges it (with `measure`); `svg`, `png` and `source` write it.
`source` writes text for Graphviz and Mermaid.
"""

from __future__ import annotations

import sys
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from tinygrad_edu.drawing.layout import Layout, lay_out
from tinygrad_edu.drawing.picture import Picture, picture_of
from tinygrad_edu.drawing.png import png_of
from tinygrad_edu.drawing.source import dot_of, mermaid_of
from tinygrad_edu.drawing.svg import THEMES, svg_of
from tinygrad_edu.engine.graph import Node, topological_order
from tinygrad_edu.formulas.naming import names_of
from tinygrad_edu.formulas.quantities import Quantities
from tinygrad_edu.formulas.shares import check_unchanged
from tinygrad_edu.support.extras import install
from tinygrad_edu.support.files import write

__all__ = ["Drawing", "draw"]

LARGEST_PNG = 8_000  # pixels


class Drawing:
    """A picture of a graph: `draw` makes it, notebooks show it.

    It shows the graph, the values and the gradients at the time of the call.

    Attributes
    ----------
    svg : str
        The picture as SVG. By default it follows the reader's light or dark mode.
    dot : str
        The graph in Graphviz's language.
    mermaid : str
        The graph in Mermaid's language, which Markdown on many sites supports.
    """

    def __init__(self, picture: Picture, theme: str = "auto") -> None:
        self._picture = picture
        self._theme = theme

    @cached_property
    def _layout(self) -> Layout:
        return lay_out(self._picture)

    @cached_property
    def svg(self) -> str:
        return svg_of(self._picture, self._layout, self._theme)

    @property
    def dot(self) -> str:
        return dot_of(self._picture)

    @property
    def mermaid(self) -> str:
        return mermaid_of(self._picture)

    def save(self, path: str | PathLike[str]) -> None:
        """Save the picture; the path's suffix is .svg, .png, .dot or .mmd (Mermaid).

        A .png cannot follow the reader's mode: it is light, unless the theme is "dark".

        Raises
        ------
        ValueError
            If it has another suffix.
        OSError
            If the file cannot be written, for example because the folder does not
            exist. An existing file is kept.
        ModuleNotFoundError
            If PyGraphviz is missing (for .svg and .png) or resvg (for .png).

        Examples
        --------
        >>> import tinygrad_edu as tg
        >>> x = tg.Tensor(3.0, requires_grad=True)
        >>> tg.draw(x * x).save("square.jpg")
        Traceback (most recent call last):
        ValueError: draw: save it as .svg, .png, .dot or .mmd, not as 'square.jpg'
        """
        match Path(path).suffix:
            case ".svg":
                content = self.svg.encode()
            case ".png":
                theme = "light" if self._theme == "auto" else self._theme
                svg = svg_of(self._picture, self._layout, theme)
                size = max(self._layout.width, self._layout.height)
                zoom = min(2.0, LARGEST_PNG / size)  # 2 is sharp on any screen
                content = png_of(svg, THEMES[theme].background, zoom)
            case ".dot":
                content = self.dot.encode()
            case ".mmd":
                content = self.mermaid.encode()
            case _:
                raise ValueError(
                    "draw: save it as .svg, .png, .dot or .mmd, not as "
                    f"{Path(path).name!r}"
                )
        write("draw", path, content)

    def _repr_svg_(self) -> str | None:
        try:
            return self.svg
        except ModuleNotFoundError:
            return None

    def _repr_markdown_(self) -> str | None:
        """Leave the layout to the notebook if it cannot be computed here."""
        if self._repr_svg_() is not None:
            return None
        return (
            f"```mermaid\n{self.mermaid}\n```\n\n"
            "Mermaid arranges this picture, because PyGraphviz is not installed: "
            f"`{install('pygraphviz')}`.\n"
        )

    def __repr__(self) -> str:
        name = self._picture.boxes[-1].name or "a value"
        return f"<Drawing of {name}; notebooks show it, save('graph.svg') keeps it>"


def draw(y: Any, *, collapse: bool = True, theme: str = "auto") -> Drawing:
    r"""Draw the graph of `y`: one box per value, with the op that computed it on top.

    The arrows into an op come from its inputs, from left to right if their order
    matters. Numbers among the inputs are written next to the op. A frame contains the
    values that a module (`nn.Module`) computed, and the parameters that only it uses.
    Small values are written in full. So are the gradients of leaves, after
    ``backward(retain_graph=True)``.

    A large picture leaves out details. In a graph of more than 24 ops, only the first
    and the last turn of a loop are shown. (The turns of a loop are the same ops on the
    same shapes, connected in the same way.) If more than 160 ops remain, only the first
    and the last 80 are shown. If an op has many inputs that are used nowhere else, only
    the first few and the last one are shown.

    Parameters
    ----------
    y : Tensor
        The result of the graph, for example a loss.
    collapse : bool
        Whether to leave out repeats.
    theme : {"auto", "light", "dark"}
        "auto" follows the reader's settings.

    Returns
    -------
    Drawing
        A notebook shows it. ``.save("graph.svg")`` writes it to a file; the suffix may
        also be ``.png``, ``.dot`` or ``.mmd``. ``.svg``, ``.dot`` and ``.mermaid`` are
        the text of these files.

    Raises
    ------
    TypeError
        If `y` is not a Tensor.
    ValueError
        If the graph was released by ``backward()``, if a value that it was computed
        from has changed since, or if the theme is unknown.
    ModuleNotFoundError
        If PyGraphviz is missing (when the picture is written as SVG or PNG) or resvg
        (for PNG). The message says how to install it.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> y = x * x * x
    >>> print(*tg.draw(y).mermaid.splitlines()[:4], sep="\n")
    flowchart TD
      v0("x<br>3"):::parameter
      v1("t1<br>9"):::computed
      v1op(["×"]):::op
    """
    if not isinstance(y, Node):
        raise TypeError(
            f"draw: expected a Tensor, not a value of type {type(y).__name__}"
        )
    if not isinstance(theme, str) or theme not in {"auto", *THEMES}:
        raise ValueError(
            f"draw: theme must be 'auto', 'light' or 'dark', not {theme!r}"
        )
    frame = sys._getframe(1)
    nodes = topological_order(y)
    names = Quantities(nodes, names_of(y, frame)).names
    picture = picture_of(y, names, collapse=collapse)
    check_unchanged("draw", nodes, frame)
    return Drawing(picture, theme)
