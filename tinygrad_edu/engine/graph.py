"""The graph: what a node remembers, and how an op's answer comes to be one.

An op called with a `Node` among its inputs gives a new node, which remembers the op and
the inputs it came from. Those memories are the graph. (`Tensor`, some floors up, is a
`Node` with operators.)
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple
from weakref import ref

from numpy import asarray, ndarray

from tinygrad_edu.engine.modes import Mode, current_mode, no_grad, sampled

__all__ = [
    "Mode",
    "ModuleCall",
    "Node",
    "Params",
    "StandIn",
    "Untraceable",
    "check_function",
    "current_mode",
    "is_recorded",
    "new_index",
    "no_grad",
    "record",
    "sampled",
    "value_of",
]

Params = dict[str, Any]


class Node:
    """A value in the graph, and how it was computed.

    A *leaf* was computed by no recorded op: the user made it. Nodes are numbered in
    the order of their creation, and a node is newer than its inputs. So newest first is
    an order in which whatever uses a node comes before the node itself: a topological
    order, and no search was needed to find it.
    """

    __slots__ = (
        "__weakref__",
        "accumulated",  # a leaf's gradient so far, or None; for users it is `grad`
        "array",  # the value, always an ndarray; for users it is `data`
        "calls",  # which calls of modules gave it, see `ModuleCall`; mostly not set
        "index",  # the number in order of creation
        "inputs",  # what the op was applied to: Nodes, arrays, Python numbers
        "name",
        "op",  # the Op that made it; None for a leaf
        "origin",  # where it was recorded, under debug(); else None
        "params",  # the op's keyword parameters, or None
        "requires_grad",
    )

    accumulated: Any
    array: ndarray[Any, Any]
    calls: tuple[tuple[str, int, ref[Any], tuple[int, ...]], ...]
    data: ndarray[Any, Any]  # as Tensor has these two, which checks what is assigned
    grad: Any
    index: int
    inputs: tuple[Any, ...]
    name: str | None
    op: Any
    origin: Any
    params: Params | None
    requires_grad: bool

    @property
    def base(self) -> Any:
        """The object whose memory the value is a view of, or None: as ndarray's."""
        return self.array.base


class ModuleCall(NamedTuple):
    """A call of a module: what was computed in it has a number from `start` on.

    What the call gave remembers it, as a plain tuple, which costs less.
    """

    name: str
    start: int
    module: ref[Any]
    given: tuple[int, ...]  # the ids of what it was called on


class StandIn:
    """What takes an array's place while a function is recorded as a program."""

    __slots__ = ()

    tape: Any  # what it is recorded on
    value: Any  # what it stands for just now; the program will be run with others


class Untraceable(TypeError):  # noqa: N818
    """Raised where only an array will do, and a `StandIn` was met.

    An op then is one step of the program, whatever it does inside.
    """

    def __init__(self, message: str, as_one_step: Callable[..., Any]) -> None:
        super().__init__(message)
        self.as_one_step = as_one_step


def value_of(x: Any) -> Any:
    """Return a node's value; anything else as it is."""
    return x.array if isinstance(x, Node) else x


def is_recorded(x: Any) -> bool:
    """Return whether what is computed from `x` just now remembers it."""
    return isinstance(x, Node) and x.requires_grad and current_mode.get().recording


def check_function(who: str, f: Any) -> None:
    """Raise a TypeError if `f` is no function, as where a loss is passed for it."""
    if not callable(f):
        raise TypeError(
            f"{who}: its first argument is a function, and this is of type "
            f"{type(f).__name__}"
            + "; to differentiate a Tensor that was computed already, call "
            "loss.backward() and read w.grad" * isinstance(f, Node)
        )


def topological_order(*roots: Node) -> list[Node]:
    """Return the roots and all nodes behind them, each before what it was made of.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> a = tg.Tensor(2.0, requires_grad=True)
    >>> b = a + a
    >>> topological_order(b * b)[1:] == [b, a]
    True
    """
    found = set(roots)
    stack = list(roots)
    while stack:
        new = {x for x in stack.pop().inputs if isinstance(x, Node)} - found
        found |= new
        stack += new
    return sorted(found, key=lambda node: node.index, reverse=True)


new_index = count().__next__
_new = object.__new__


def record(op: Any, inputs: tuple[Any, ...], params: Params | None = None) -> Any:
    """Apply `op` to inputs that include a Node, and remember it in the answer."""
    values: list[Any] = []
    needs_grad = False
    for x in inputs:
        if isinstance(x, Node):
            values.append(x.array)
            kind = x.__class__
            if x.requires_grad:
                needs_grad = True
        elif x.__class__ is float or (x.__class__ is ndarray and x.dtype.kind == "f"):
            values.append(x)  # the usual cases of _is_plain, in line since it is faster
        elif _is_plain(x):
            values.append(x)
        else:  # a list, a NumPy scalar: made a constant; or an error that says why not
            return record(op, _constants(inputs), params)

    data = op.compute(values, params)
    if data.__class__ is not ndarray and not isinstance(data, StandIn):
        data = asarray(data)  # NumPy makes scalars of answers without dimensions

    node = _new(kind)
    node.array = data
    node.accumulated = node.name = node.origin = None
    node.index = new_index()
    mode = current_mode.get()
    if mode.recording and needs_grad and data.dtype.kind == "f":
        node.requires_grad = True
        node.op = op
        node.inputs = inputs
        node.params = params
    else:
        node.requires_grad = False
        node.op = node.params = None
        node.inputs = ()
    if mode.watch is not None:
        mode.watch(node, op, inputs)
    return node


def _is_plain(x: Any) -> bool:
    kind = x.__class__
    if kind is float or kind is int or isinstance(x, StandIn):
        return True
    return kind is ndarray and x.dtype.kind in "fiub"


def _constants(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    tensor: Any = next(x.__class__ for x in inputs if isinstance(x, Node))
    return tuple(
        x if isinstance(x, Node) or _is_plain(x) else tensor(x) for x in inputs
    )
