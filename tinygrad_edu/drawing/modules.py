"""Find the module call in which each node of a graph was computed.

An output stores its module call, with the index of the first node of the call. So the
module computed the nodes from that index up to the output's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from weakref import ref

from tinygrad_edu.engine.graph import ModuleCall, Node
from tinygrad_edu.support.printable import printable

__all__ = ["DrawnModule", "common", "enclosed", "modules_of", "outwards"]


class DrawnModule(NamedTuple):
    """A call of a module, drawn as a frame around what it computed."""

    name: str
    outer: int | None  # the position of the frame around it
    call: ModuleCall
    stop: int  # the index of its last output


def modules_of(
    nodes: Sequence[Node],
) -> tuple[list[DrawnModule], dict[Node, int | None]]:
    """Return the calls, outer ones first, and the innermost call of each node.

    If a module calls itself, both calls count as one.

    Parameters
    ----------
    nodes : sequence of Node
        The nodes in the order of creation.
    """
    stops: dict[int, tuple[ModuleCall, int]] = {}  # by the first node's index
    for node in nodes:
        for call in map(ModuleCall._make, getattr(node, "calls", ())):
            stops[call.start] = call, node.index
    waiting = [stops[start] for start in sorted(stops, reverse=True)]
    modules: list[DrawnModule] = []
    inside: dict[Node, int | None] = {}
    now: int | None = None
    for node in nodes:
        while now is not None and modules[now].stop < node.index:
            now = modules[now].outer
        while waiting and waiting[-1][0].start < node.index:
            call, stop = waiting.pop()
            if now is not None:
                stop = min(stop, modules[now].stop)
            if not _within(modules, now, call.module):
                modules.append(DrawnModule(printable(call.name), now, call, stop))
                now = len(modules) - 1
        inside[node] = now
    return modules, inside


def common(modules: Sequence[DrawnModule], places: Iterable[int | None]) -> int | None:
    """Return the innermost call that contains all of the places."""
    first, *others = set(places)
    for other in others:
        around = set(outwards(modules, other))
        first = next((m for m in outwards(modules, first) if m in around), None)
    return first


def outwards(modules: Sequence[DrawnModule], module: int | None) -> Iterable[int]:
    """Yield a call, then the call around it, and so on."""
    while module is not None:
        yield module
        module = modules[module].outer


def enclosed(modules: Sequence[DrawnModule], module: int | None, statement: str) -> str:
    """Nest a Graphviz statement in the clusters of all calls around it."""
    for around in outwards(modules, module):
        statement = f"subgraph cluster_{around} {{ {statement} }}"
    return statement


def _within(
    modules: Sequence[DrawnModule], place: int | None, module: ref[Any]
) -> bool:
    return any(modules[m].call.module is module for m in outwards(modules, place))
