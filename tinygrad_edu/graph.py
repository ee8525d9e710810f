"""The graph: what a node remembers, and how an op's answer comes to be one.

An op called with a `Node` among its inputs gives a new node, which remembers the op and
the inputs it came from. Those memories are the graph. (`Tensor`, some floors up, is a
`Node` with operators.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any, NamedTuple

from numpy import asarray, ndarray

__all__ = [
    "Call",
    "Mode",
    "Node",
    "Params",
    "StandIn",
    "Untraceable",
    "current_mode",
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
        "calls",  # which calls of modules gave it, see `Call`; mostly not set
        "data",  # the value, always an ndarray
        "grad",  # a leaf's accumulated gradient, or None
        "index",  # the number in order of creation
        "inputs",  # what the op was applied to: Nodes, arrays, Python numbers
        "name",
        "op",  # the Op that made it; None for a leaf
        "origin",  # where it was recorded, under debug(); else None
        "params",  # the op's keyword parameters, or None
        "requires_grad",
    )

    calls: tuple[tuple[str, int, int, int], ...]
    data: ndarray[Any, Any]
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
        return self.data.base


class Call(NamedTuple):
    """A call of a module: what was computed in it has a number from `start` on.

    What the call gave remembers it, as a plain tuple, which costs less.
    """

    name: str
    start: int
    module: int  # the id of the module
    given: int  # the id of what it was called on


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
    return x.data if isinstance(x, Node) else x


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


class Mode(NamedTuple):
    """How ops treat Tensors just now; `no_grad` and `debug` change it for a while."""

    recording: bool = True
    watch: Callable[[Node, Any, tuple[Any, ...]], None] | None = None
    nested: bool = False  # in a function that a transform is differentiating
    sample: Callable[..., Any] | None = None  # called by `sampled` in place of a draw


# A context variable, so that each thread and each asynchronous task has its own.
current_mode: ContextVar[Mode] = ContextVar("mode", default=Mode())  # noqa: B039


@contextmanager
def mode(**changes: Any) -> Iterator[None]:
    """Change the current mode within a `with` block."""
    token = current_mode.set(current_mode.get()._replace(**changes))
    try:
        yield
    finally:
        current_mode.reset(token)


def no_grad() -> Any:
    """Record nothing within the block: answers are constants.

    Also a decorator. The state belongs to the current thread.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor(2.0, requires_grad=True)
    >>> with tg.no_grad():
    ...     y = w * w
    >>> y.requires_grad
    False
    """
    return mode(recording=False)


def sampled(
    draw: Callable[..., Any], shape: tuple[int, ...], dtype: Any
) -> ndarray[Any, Any]:
    """Return random numbers, ``draw(shape, dtype)``, or what stands for them just now.

    `compile` makes them an input of its program, drawn anew before each run, and
    `checkpoint` keeps them for its second run. What draws is a method of what has the
    generator.
    """
    sample = current_mode.get().sample
    numbers: ndarray[Any, Any] = (
        draw(shape, dtype) if sample is None else sample(draw, shape, dtype)
    )
    return numbers


def record(op: Any, inputs: tuple[Any, ...], params: Params | None = None) -> Any:
    """Apply `op` to inputs that include a Node, and remember it in the answer."""
    values: list[Any] = []
    needs_grad = False
    for x in inputs:
        if isinstance(x, Node):
            values.append(x.data)
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
    node.data = data
    node.grad = node.name = node.origin = None
    node.index = new_index()
    recording, watch, _, _ = current_mode.get()
    if recording and needs_grad and data.dtype.kind == "f":
        node.requires_grad = True
        node.op = op
        node.inputs = inputs
        node.params = params
    else:
        node.requires_grad = False
        node.op = node.params = None
        node.inputs = ()
    if watch is not None:
        watch(node, op, inputs)
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
