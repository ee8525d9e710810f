"""Find the module call in which each node of a graph was computed.

An output stores its module call, with the index of the first node of the call. So the
module computed the nodes from that index up to the output's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tinygrad_edu.engine.graph import Call, Node
from tinygrad_edu.support.printable import printable

__all__ = ["Module", "common", "modules_of", "outwards"]


class Module(NamedTuple):
    """A call of a module, and the position of the call that it was made in."""

    name: str
    outer: int | None
    call: Call
    stop: int  # the number of its last output


def modules_of(nodes: Sequence[Node]) -> tuple[list[Module], dict[Node, int | None]]:
    """Return the calls, outer ones first, and the innermost call of each node.

    If a module calls itself, both calls count as one.

    Parameters
    ----------
    nodes : sequence of Node
        In the order of creation.
    """
    stops: dict[int, tuple[Call, int]] = {}  # by where they start
    for node in nodes:
        for call in map(Call._make, getattr(node, "calls", ())):
            stops[call.start] = call, node.index
    waiting = [stops[start] for start in sorted(stops, reverse=True)]
    modules: list[Module] = []
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
                modules.append(Module(printable(call.name), now, call, stop))
                now = len(modules) - 1
        inside[node] = now
    return modules, inside


def common(modules: Sequence[Module], places: Iterable[int | None]) -> int | None:
    """Return the innermost call that all of the places are in."""
    first, *others = set(places)
    for other in others:
        around = set(outwards(modules, other))
        first = next((m for m in outwards(modules, first) if m in around), None)
    return first


def outwards(modules: Sequence[Module], module: int | None) -> Iterable[int]:
    """List a call, the call that it was made in, and so on."""
    while module is not None:
        yield module
        module = modules[module].outer


def _within(modules: Sequence[Module], place: int | None, module: int) -> bool:
    return any(modules[m].call.module == module for m in outwards(modules, place))
