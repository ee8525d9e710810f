"""The picture as text for other programs: Graphviz's DOT, and Mermaid."""

from __future__ import annotations

from tinygrad_edu.drawing.picture import Box, Picture

__all__ = ["dot_of", "mermaid_of"]


def dot_of(picture: Picture) -> str:
    """Write a picture in Graphviz's language."""
    lines = ["digraph {", '  node [fontname="sans-serif"];']
    for box in picture.boxes:
        label = "\n".join(_label(box))
        lines.append(
            f'  "{box.key}" [shape=box, style=rounded, label={_quoted(label)}];'
        )
        if box.op:
            lines.append(f'  "{box.key} op" [shape=oval, label={_quoted(box.op)}];')
            lines.append(f'  "{box.key} op" -> "{box.key}";')
        lines += [f'  "{key}" -> "{box.key} op";' for key in box.inputs]
    return "\n".join([*lines, "}", ""])


def mermaid_of(picture: Picture) -> str:
    """Write a picture in Mermaid's language."""
    ids = {box.key: f"n{i}" for i, box in enumerate(picture.boxes)}
    lines = ["flowchart TD"]
    for box in picture.boxes:
        n = ids[box.key]
        label = "<br>".join(map(_entities, _label(box)))
        lines.append(f'  {n}["{label}"]')
        if box.op:
            lines.append(f'  {n}op(["{_entities(box.op)}"]) --> {n}')
        lines += [f"  {ids[key]} --> {n}op" for key in box.inputs]
    return "\n".join([*lines, ""])


def _label(box: Box) -> list[str]:
    header = f"{box.name} {box.shape}".strip()
    return [
        *([header] if header else []),
        *box.value,
        *(f"grad {x}" for x in box.gradient),
    ]


def _quoted(text: str) -> str:
    return (
        '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    )


def _entities(text: str) -> str:
    return "".join(
        c if c.isalnum() or c in " .,()[]=+-_" else f"#{ord(c)};" for c in text
    )
