"""`draw`: the recorded graph as a picture.

What is shown of the graph (`picture`, with `modules`, `repeats` and `words`) is
arranged (`layout`, with `measure`), and becomes SVG (`svg`), PNG (`png`), or text for
other programs (`source`).
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
from tinygrad_edu.support.files import write

__all__ = ["Drawing", "draw"]

LARGEST_PNG = 8_000  # pixels


class Drawing:
    """A picture of a graph: `draw` makes it, notebooks show it.

    It shows the graph, the values and the gradients as they were when it was made.

    Attributes
    ----------
    svg : str
        Follows the reader's light or dark mode, unless another theme was asked for.
    dot : str
        For Graphviz.
    mermaid : str
        For Markdown on many sites.
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
        """Save the picture; the suffix says how: .svg, .png, .dot or .mmd (Mermaid).

        A .png has no reader whose mode it could follow: it is light, unless the theme
        is "dark".

        Raises
        ------
        ValueError
            If the suffix is another one.
        OSError
            If the file cannot be written: there is no such folder, say. A file that was
            there is kept.
        ModuleNotFoundError
            If PyGraphviz is missing, for .svg and .png, or resvg, for .png.

        Examples
        --------
        >>> import tinygrad_edu as tg
        >>> x = tg.Tensor(3.0, requires_grad=True)
        >>> tg.draw(x * x).save("square.jpg")
        Traceback (most recent call last):
        ValueError: draw: save it as .svg, .png, .dot or .mmd, and not as 'square.jpg'
        """
        match Path(path).suffix:
            case ".svg":
                content = self.svg.encode()
            case ".png":
                theme = "light" if self._theme == "auto" else self._theme
                svg = svg_of(self._picture, self._layout, theme)
                size = max(self._layout.width, self._layout.height)
                zoom = min(2.0, LARGEST_PNG / size)  # 2 is sharp on fine screens too
                content = png_of(svg, THEMES[theme].background, zoom)
            case ".dot":
                content = self.dot.encode()
            case ".mmd":
                content = self.mermaid.encode()
            case _:
                raise ValueError(
                    "draw: save it as .svg, .png, .dot or .mmd, and not as "
                    f"{Path(path).name!r}"
                )
        write("draw", path, content)

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        name = self._picture.boxes[-1].name or "a value"
        return f"<Drawing of {name}; notebooks show it, save('graph.svg') keeps it>"


def draw(y: Any, *, collapse: bool = True, theme: str = "auto") -> Drawing:
    r"""Draw the graph behind `y`: each value in a box, on it the op that computed it.

    The arrows into an op come from its inputs, from left to right where their order
    matters; numbers among them are written with the op. What a module (`nn.Module`)
    computed is in a frame, with the parameters that only it uses. Small values are
    written in full, and so are the gradients of leaves after ``backward()``, which is
    to be called with ``retain_graph=True`` here.

    A large picture leaves out what can be done without. Where more than 24 ops are in
    the graph, what a loop computed is shown once as the first and once as the last
    turn: the same ops on the same shapes, wired in the same way. Of what then remains,
    no more than the first and the last 80 ops are shown. Of many inputs to a single op
    that are used nowhere else, the first and the last are.

    Parameters
    ----------
    y : Tensor
        The end of the graph: a loss, say.
    collapse : bool
        Whether to leave out repeats.
    theme : {"auto", "light", "dark"}
        By default it follows the reader's settings.

    Returns
    -------
    Drawing
        A notebook shows it; ``.save("graph.svg")`` keeps it, also as ``.png``, ``.dot``
        or ``.mmd``; ``.svg``, ``.dot`` and ``.mermaid`` are the text of these files.

    Raises
    ------
    TypeError
        If `y` is no Tensor.
    ValueError
        If the graph was released by ``backward()``, if what it was computed from has
        changed since, or if there is no such theme.
    ModuleNotFoundError
        If PyGraphviz is missing, once the picture is asked for as SVG or PNG; or
        resvg, for PNG. The message says how to install it.

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
            f"draw: it draws the graph behind a Tensor, and this is {type(y).__name__}"
        )
    if not isinstance(theme, str) or theme not in {"auto", *THEMES}:
        raise ValueError(f"draw: theme is 'auto', 'light' or 'dark', and not {theme!r}")
    frame = sys._getframe(1)
    nodes = topological_order(y)
    names = Quantities(nodes, names_of(y, frame)).names
    picture = picture_of(y, names, collapse=collapse)
    check_unchanged("draw", nodes, frame)
    return Drawing(picture, theme)
