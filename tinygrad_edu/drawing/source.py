"""Write the picture as text for other programs: Graphviz's DOT, and Mermaid."""

from __future__ import annotations

from itertools import takewhile
from operator import eq

from tinygrad_edu.drawing.modules import enclosed, outwards
from tinygrad_edu.drawing.picture import Box, Picture
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
_COLOURS = {
    kind: (*getattr(THEMES["light"], kind), THEMES["light"].text)
    for kind in ("parameter", "constant", "computed", "result", "more")
} | {"op": (THEMES["light"].op[0], THEMES["light"].op[0], THEMES["light"].op[1])}


def dot_of(picture: Picture) -> str:
    """Write a picture in Graphviz's language."""
    lines = ["digraph {", "  graph [labeljust=l, style=dashed, fontname=sans]"]
    lines.append('  node [style="rounded,filled", fontname=sans]')

    def add(module: int | None, statement: str) -> None:
        lines.append(f"  {enclosed(picture.modules, module, statement)}")

    def node(key: str, shape: str, kind: str, label: str) -> str:
        fill, border, text = _COLOURS[kind]
        colours = f'fillcolor="{fill}", color="{border}", fontcolor="{text}"'
        return f'"{key}" [shape={shape}, {colours}, label={_quoted(label)}]'

    for i, module in enumerate(picture.modules):
        label = f"label={_quoted(module.name)}"
        add(module.outer, f"subgraph cluster_{i} {{ {label} }}")
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
    opened: tuple[int, ...] = ()

    def within(modules: tuple[int, ...]) -> None:
        nonlocal opened
        same = len(list(takewhile(bool, map(eq, opened, modules))))
        lines.extend("  end" for _ in opened[same:])
        lines.extend(
            f"  subgraph m{m}[{_text([picture.modules[m].name])}]"
            for m in modules[same:]
        )
        opened = modules

    places = {
        b.key: tuple(outwards(picture.modules, b.module))[::-1] for b in picture.boxes
    }
    for box in sorted(picture.boxes, key=lambda box: places[box.key]):
        within(places[box.key])
        lines.append(f"  {ids[box.key]}({_text(_lines(box))}):::{box.kind}")
        if box.op:
            lines.append(f"  {ids[box.key]}op([{_text([box.op])}]):::op")
    within(())
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
