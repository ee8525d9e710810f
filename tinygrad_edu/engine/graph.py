"""The graph: nodes, and `record`, which makes a node from the result of an op.

An op that is called with a `Node` among its inputs returns a new node. The new node
stores the op and the inputs. These references are the graph. (`Tensor`, in a higher
module, is a `Node` with operators.)
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
    "check_function",
    "current_mode",
    "is_recorded",
    "new_constant",
    "new_index",
    "no_grad",
    "query",
    "record",
    "sampled",
    "value_of",
]

Params = dict[str, Any]


class Node:
    """A value in the graph, and how it was computed.

    A *leaf* is a node that the user made: no recorded op computed it. Nodes are
    numbered in order of creation, so a node has a higher number than its inputs. Sorted
    by number, newest first, they are therefore in topological order: every node comes
    after all nodes that use it. No graph search is needed.
    """

    __slots__ = (
        "__weakref__",
        "accumulated",  # a leaf's gradient so far, or None; users see it as `grad`
        "array",  # the value, always an ndarray; users see it as `data`
        "calls",  # the module calls that returned it, see `ModuleCall`; mostly not set
        "index",  # the number in order of creation
        "inputs",  # the inputs of the op: Nodes, arrays, Python numbers
        "name",
        "op",  # the Op that made it; None for a leaf
        "origin",  # where it was recorded, under debug(); else None
        "params",  # the op's keyword parameters, or None
        "requires_grad",
    )

    accumulated: Any
    array: ndarray[Any, Any]
    calls: tuple[tuple[str, int, ref[Any], tuple[int, ...]], ...]
    data: ndarray[Any, Any]  # `data` and `grad` are properties of Tensor, with checks
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
        """The array that the value is a view of, or None: `ndarray.base`."""
        return self.array.base


class ModuleCall(NamedTuple):
    """A call of a module: nodes computed in it have an index of `start` or higher.

    The nodes that the call returned store it, as a plain tuple, since that is faster.
    """

    name: str
    start: int
    module: ref[Any]
    given: tuple[int, ...]  # the ids of its arguments


def value_of(x: Any) -> Any:
    """Return the value of a node; return anything else unchanged."""
    if not isinstance(x, Node):
        return x
    tape = current_mode.get().tape
    return x.array if tape is None else tape.value(x)


def query(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Apply a function that has no derivative; the result is a plain array."""
    tape = current_mode.get().tape
    if tape is not None:
        return tape.query(function, args, kwargs)
    kwargs = {name: value_of(x) for name, x in kwargs.items()}
    return function(*map(value_of, args), **kwargs)


def is_recorded(x: Any) -> bool:
    """Return whether an op applied to `x` now would be recorded."""
    return isinstance(x, Node) and x.requires_grad and current_mode.get().recording


def check_function(who: str, f: Any) -> None:
    """Raise a TypeError if `f` is not a function: users often pass a loss instead."""
    if not callable(f):
        raise TypeError(
            f"{who}: the first argument must be a function, but it is of type "
            f"{type(f).__name__}"
            + "; to differentiate a Tensor that was computed already, call "
            "loss.backward() and read w.grad" * isinstance(f, Node)
        )


def topological_order(*roots: Node) -> list[Node]:
    """Return the roots and all nodes they depend on; each comes before its inputs.

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


def new_constant(kind: type[Node], array: Any) -> Any:
    """Return a constant node of this class, without the checks of `Tensor`."""
    node = _new(kind)
    node.array = array
    node.requires_grad = False
    node.accumulated = node.name = node.op = node.params = node.origin = None
    node.inputs = ()
    node.index = new_index()
    return node


def record(op: Any, inputs: tuple[Any, ...], params: Params | None = None) -> Any:
    """Apply `op` to inputs that include a Node; return a node that records the op."""
    mode = current_mode.get()
    if mode.tape is not None:
        return mode.tape.apply(op, inputs, params)
    values: list[Any] = []
    needs_grad = False
    for x in inputs:
        if isinstance(x, Node):
            values.append(x.array)
            kind = x.__class__
            if x.requires_grad:
                needs_grad = True
        elif x.__class__ is float or (x.__class__ is ndarray and x.dtype.kind == "f"):
            values.append(x)  # the usual cases of _is_plain, inlined for speed
        elif _is_plain(x):
            values.append(x)
        else:  # a list or NumPy scalar becomes a constant Tensor, or the Tensor raises
            return record(op, _constants(inputs), params)

    data = op.compute(values, params)
    if data.__class__ is not ndarray:
        data = asarray(data)  # NumPy returns a scalar for a result without dimensions

    node = _new(kind)
    node.array = data
    node.accumulated = node.name = node.origin = None
    node.index = new_index()
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
    if kind is float or kind is int:
        return True
    return kind is ndarray and x.dtype.kind in "fiub"


def _constants(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    tensor: Any = next(x.__class__ for x in inputs if isinstance(x, Node))
    return tuple(
        x if isinstance(x, Node) or _is_plain(x) else tensor(x) for x in inputs
    )
