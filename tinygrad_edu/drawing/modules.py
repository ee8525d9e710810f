"""Find the module call in which each node of a graph was computed.

An output stores its module call, with the index of the first node of the call. So the
module computed the nodes from that index up to the output's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinygrad_edu.drawing.words import LONGEST
from tinygrad_edu.engine.graph import ModuleCall, Node
from tinygrad_edu.support.printable import printable, shorten

__all__ = ["DrawnModule", "common", "enclosed", "modules_of", "outwards"]


@dataclass(frozen=True, eq=False, slots=True)
class DrawnModule:
    """A call of a module, drawn as a frame around what it computed."""

    name: str
    key: int  # the index of its first node
    stop: int  # the index of its last output
    call: ModuleCall
    outer: DrawnModule | None  # the frame around it


def modules_of(nodes: Sequence[Node]) -> dict[Node, DrawnModule | None]:
    """Return the innermost call in which each node was computed.

    If a module calls itself, both calls count as one.

    Parameters
    ----------
    nodes : sequence of Node
        The nodes in the order of creation.
    """
    calls: dict[int, tuple[ModuleCall, int]] = {}  # by the first node's index
    for node in nodes:
        for call in map(ModuleCall._make, getattr(node, "calls", ())):
            calls[call.start] = call, node.index
    waiting = sorted(calls, reverse=True)
    inside: dict[Node, DrawnModule | None] = {}
    now: DrawnModule | None = None
    for node in nodes:
        while now is not None and now.stop < node.index:
            now = now.outer
        while waiting and waiting[-1] < node.index:
            key = waiting.pop()
            call, stop = calls[key]
            if now is not None:
                stop = min(stop, now.stop)
            if all(call.module is not m.call.module for m in outwards(now)):
                name = shorten(printable(call.name), LONGEST)
                now = DrawnModule(name, key, stop, call, now)
        inside[node] = now
    return inside


def common(modules: Iterable[DrawnModule | None]) -> DrawnModule | None:
    """Return the innermost call that contains all of the calls."""
    first, *others = set(modules)
    return next(
        (m for m in outwards(first) if all(m in outwards(x) for x in others)), None
    )


def outwards(module: DrawnModule | None) -> Iterable[DrawnModule]:
    """Yield a call, then the call around it, and so on."""
    while module is not None:
        yield module
        module = module.outer


def enclosed(module: DrawnModule | None, statement: str) -> str:
    """Nest a Graphviz statement in the clusters of all calls around it."""
    for around in outwards(module):
        statement = f"subgraph cluster_{around.key} {{ {statement} }}"
    return statement
