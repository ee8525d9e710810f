"""Write the picture as text for other programs: Graphviz's DOT, and Mermaid."""

from __future__ import annotations

from tinygrad_edu.drawing.modules import DrawnModule, enclosed
from tinygrad_edu.drawing.picture import KINDS, Box, Picture
from tinygrad_edu.drawing.svg import THEMES
from tinygrad_edu.drawing.words import SPACE

__all__ = ["dot_of", "mermaid_of"]

# Characters with a meaning in Mermaid are written as their numbers. Mermaid also reads
# Markdown, formulas ($$) and directives (%%) in texts. No-break spaces keep it from
# turning "1. 2." into a list.
_IN_MERMAID = str.maketrans(
    {c: f"#{ord(c)};" for c in '"#&<>`;\\$%{}*_~'} | {" ": SPACE}
)
# Graphviz reads HTML entities.
_IN_DOT = str.maketrans({"&": "&amp;", "\\": r"\\", '"': r"\"", "\n": r"\n"})
# One theme is enough: boxes have their own fill and text colour, for any background.
_LIGHT = THEMES["light"]
_COLOURS = {kind: (*getattr(_LIGHT, kind), _LIGHT.text) for kind in KINDS}
_COLOURS["op"] = _LIGHT.op[0], *_LIGHT.op


def dot_of(picture: Picture) -> str:
    """Write a picture in Graphviz's language."""
    lines = ["digraph {", "  graph [labeljust=l, style=dashed, fontname=sans]"]
    lines.append('  node [style="rounded,filled", fontname=sans]')

    def add(module: DrawnModule | None, statement: str) -> None:
        lines.append(f"  {enclosed(module, statement)}")

    def node(key: str, shape: str, kind: str, label: str) -> str:
        fill, border, text = _COLOURS[kind]
        colours = f'fillcolor="{fill}", color="{border}", fontcolor="{text}"'
        return f'"{key}" [shape={shape}, {colours}, label={_quoted(label)}]'

    for module in picture.modules:
        add(module, f"label={_quoted(module.name)}")
    for box in picture.boxes:
        end = str(box.key)
        add(box.module, node(end, "box", box.kind, "\n".join(_lines(box))))
        if box.op:
            end = f"{box.key} op"
            add(box.module, node(end, "oval", "op", box.op))
            lines.append(f'  "{end}" -> "{box.key}"')
        lines += [f'  "{key}" -> "{end}"' for key in box.inputs]
    return "\n".join([*lines, "}", ""])


def mermaid_of(picture: Picture) -> str:
    """Write a picture in Mermaid's language, which many Markdown sites show."""
    ids = {box.key: f"v{i}" for i, box in enumerate(picture.boxes)}
    lines = ["flowchart TD"]

    def write(module: DrawnModule | None) -> None:
        """Write what is in a module, and then the modules in it."""
        for box in picture.boxes:
            if box.module is module:
                lines.append(f"  {ids[box.key]}({_text(_lines(box))}):::{box.kind}")
                if box.op:
                    lines.append(f"  {ids[box.key]}op([{_text([box.op])}]):::op")
        for i, inner in enumerate(picture.modules):
            if inner.outer is module:
                lines.append(f"  subgraph m{i}[{_text([inner.name])}]")
                write(inner)
                lines.append("  end")

    write(None)
    for box in picture.boxes:
        here = ids[box.key]
        if box.op:
            lines.append(f"  {here}op --> {here}")
            here = f"{here}op"
        lines += [f"  {ids[key]} --> {here}" for key in box.inputs]
    for kind, (fill, border, text) in _COLOURS.items():
        lines.append(f"  classDef {kind} fill:{fill},stroke:{border},color:{text}")
    return "\n".join([*lines, ""])


def _lines(box: Box) -> list[str]:
    """Return the lines of text in a box."""
    header = f"{box.name} {box.shape}".strip()
    gradient = [f"grad {line}" for line in box.gradient]
    return [line for line in (header, *box.value, *gradient) if line]


def _quoted(text: str) -> str:
    return f'"{text.translate(_IN_DOT)}"'


def _text(lines: list[str]) -> str:
    """Quote lines for Mermaid."""
    text = "<br>".join(line.translate(_IN_MERMAID) for line in lines)
    return f'"{text}"'
