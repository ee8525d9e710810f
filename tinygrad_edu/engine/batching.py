"""`vmap`: run a function of one example on many examples at once.

For each mapped argument the function gets a *stand-in*: a node that has the shape of
one example. It represents a *stack*: the values of all examples, along a new first
axis. While the function runs, every op calls `Examples.apply`, which applies the op to
the stacks instead. The op's declaration says how: an elementwise op and an op with a
signature work on stacks as they are; the others have a rule, declared with `Op.vmap`.

The ops on stacks are computed and recorded outside of the function. So a transform or
`compile` around `vmap` finds ordinary ops on ordinary arrays. A transform inside the
function records the stand-ins, and its backward rules call `apply`, as all ops do.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, NoReturn

import numpy as np

from tinygrad_edu.engine.array_like import ArrayLike, query_method
from tinygrad_edu.engine.errors import core_dimensions
from tinygrad_edu.engine.graph import (
    Mode,
    Node,
    Params,
    check_function,
    current_mode,
    new_constant,
    new_index,
    query,
    record,
    sampled,
    value_of,
)
from tinygrad_edu.engine.modes import TapeHook, changed
from tinygrad_edu.engine.op import Each, Op
from tinygrad_edu.engine.protocols import STATIC, defaults_of
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.ops.joining import stack
from tinygrad_edu.ops.shapes import (
    align_stacks,
    broadcast_to,
    in_stack,
    moveaxis,
    reshape,
)
from tinygrad_edu.support import tree

__all__ = ["Example", "Examples", "vmap"]

Function = Callable[..., Any]
Axes = Any  # an int, None, or tuples, lists and dicts of them


def vmap(f: Function, in_axes: Axes = 0, out_axes: Axes = 0) -> Function:
    """Return a function that applies `f` to many examples at once.

    It returns the same as a loop over the examples, with the results stacked. It is
    faster, since each op runs once, on all examples.

    Parameters
    ----------
    f : callable
        A function of one example: of numbers, arrays or Tensors, or nested tuples,
        lists and dicts of them. It may use operators, NumPy's functions, this package's
        and its transforms: ``vmap(grad(f))`` computes per-example gradients.
    in_axes : int, None, or a tuple or list with one entry per argument
        The axis of each argument that counts the examples; None for an argument that is
        the same for all. An entry for a nested argument may be nested in the same way.
        Keyword arguments are mapped along axis 0.
    out_axes : int, None, or nested as the result of `f`
        The position of the examples' axis in each result; None for a result that does
        not depend on the example.

    Returns
    -------
    callable
        Takes the arguments of `f`, with the additional axis. Returns the results of
        `f`, with the additional axis: arrays for arrays, Tensors for Tensors.

    Raises
    ------
    TypeError
        If `f` needs the value of an example: ``if x > 0``, ``float(x)``,
        ``backward()``.
    ValueError
        If there is no mapped argument or no example, if the arguments differ in the
        number of examples, or if an argument or a result has no such axis.

    Notes
    -----
    An op of your own runs on all examples at once if it has a signature, or a rule
    declared with `Op.vmap`; otherwise it runs in a loop over the examples. Random
    numbers, as those of `nn.Dropout`, are drawn anew for each example.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> def loss(w, x, y):
    ...     return (np.dot(w, x) - y) ** 2
    >>> w = np.array([1.0, 2.0])
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> y = np.array([1.0, 1.0, 1.0])
    >>> tg.vmap(tg.grad(loss), in_axes=(None, 0, 0))(w, x, y)
    array([[0., 0.],
           [0., 2.],
           [4., 4.]])
    """
    check_function("vmap", f)

    @wraps(f)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        per_argument = in_axes
        if not isinstance(in_axes, tuple | list):
            per_argument = [in_axes] * len(args)
        if len(per_argument) != len(args):
            raise ValueError(
                f"vmap: in_axes has {len(per_argument)} entries, but the call has "
                f"{len(args)} positional arguments; pass one axis, or None, for each"
            )
        given: Any = (list(args), kwargs)
        leaves = tree.leaves(given)
        axes = _spread("in_axes", (list(per_argument), 0), given)
        stacks = [_stacked(x, axis) for x, axis in zip(leaves, axes)]
        examples = Examples(_count(stacks, axes))
        inside = changed({"tape": examples, "sample": examples.sample})
        try:
            current_mode.set(inside)
            stand_ins = [
                x if axis is None else examples.stand_in(x)
                for x, axis in zip(stacks, axes)
            ]
            args, kwargs = tree.rebuild(given, stand_ins)
            answer = f(*args, **kwargs)
            results = [
                (*examples.outside(y), isinstance(y, Tensor))
                for y in tree.leaves(answer)
            ]
        finally:
            current_mode.set(inside.block.outside)
            examples.end()
        if examples.failure is not None:
            raise examples.failure
        places = _spread("out_axes", out_axes, answer)
        n = examples.count
        return tree.rebuild(
            answer, [_result(*result, axis, n) for result, axis in zip(results, places)]
        )

    return mapped


def _spread(name: str, axes: Axes, whole: Any) -> list[int | None]:
    """Return the axis for each leaf of a structure."""
    is_axis = isinstance(axes, int | np.integer) and not isinstance(axes, bool)
    if axes is None or is_axis:
        axis = None if axes is None else int(axes)
        return [axis] * len(tree.leaves(whole))
    parts, of_parts = (tree.fields(x) or x for x in (whole, axes))
    if isinstance(parts, dict):
        places: Any = parts.keys()
        fits = isinstance(of_parts, dict) and of_parts.keys() == places
    else:
        fits = isinstance(parts, tuple | list) and isinstance(of_parts, tuple | list)
        places = range(len(parts)) if fits else ()
        fits = fits and len(of_parts) == len(places)
    if not fits:
        raise ValueError(
            f"vmap: {name} must be an int or None, or nested as the values are; "
            f"{axes!r} does not fit {type(whole).__name__}"
        )
    return [axis for k in places for axis in _spread(name, of_parts[k], parts[k])]


def _stacked(x: Any, axis: int | None) -> Any:
    """Return an argument with the examples along the first axis."""
    if axis is None:
        return x
    way_out = (
        "if it is the same for all, write None at its place in in_axes (pass it by "
        "position: keyword arguments are always mapped)"
    )
    try:
        x = _real(x)
    except TypeError as error:
        kind = type(x).__name__
        raise TypeError(
            f"vmap: an argument of type {kind} cannot be mapped: {error}; {way_out}"
        ) from None
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(
            f"vmap: an argument of shape {x.shape} has no axis {axis} that could count "
            f"the examples; {way_out}"
        )
    return moveaxis(x, axis, 0) if axis % x.ndim else x


def _count(stacks: list[Any], axes: list[int | None]) -> int:
    """Return the number of examples."""
    shapes: list[Any] = [x.shape for x, axis in zip(stacks, axes) if axis is not None]
    counts = {shape[0] for shape in shapes}
    if not counts:
        raise ValueError(
            "vmap: no argument is mapped, so the number of examples is unknown; give "
            "an axis for at least one in in_axes"
        )
    if len(counts) > 1 or 0 in counts:
        raise ValueError(
            f"vmap: the arguments have {' and '.join(map(str, sorted(counts)))} "
            f"examples (shapes with the examples first: {shapes}); each needs the same "
            "number, 1 or more; what is the same for all gets None in in_axes"
        )
    (count,) = counts
    return int(count)


def _result(y: Any, varies: bool, as_tensor: bool, axis: int | None, n: int) -> Any:
    """Return what the user gets for a result."""
    y = _real(y)
    if varies and axis is None:
        raise ValueError(
            "vmap: out_axes is None for a result that differs from example to example; "
            "give the position of the examples' axis"
        )
    if not varies and axis is not None:
        y = broadcast_to(y, (n, *y.shape))
    if as_tensor and not isinstance(y, Node):
        y = Tensor(y)
    if axis is not None and not -y.ndim <= axis < y.ndim:
        raise ValueError(
            f"vmap: out_axes is {axis}, but a result has shape {y.shape}, with the "
            f"examples first; give a position below {y.ndim}"
        )
    return moveaxis(y, 0, axis) if axis else y


class Example(ArrayLike):
    """The stand-in for an array, with the shape of one example."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Example({self.dtype} {self.shape})"

    def __index__(self) -> Any:
        return self._known("index")

    __invert__ = query_method(np.invert)
    __and__ = __rand__ = query_method(np.bitwise_and)
    __or__ = __ror__ = query_method(np.bitwise_or)
    __xor__ = __rxor__ = query_method(np.bitwise_xor)


class Examples(TapeHook):
    """Applies ops to the stacks of all examples.

    Attributes
    ----------
    count : int
        The number of examples.
    outer : TapeHook or None
        The tape outside of the function: of another `vmap`, or of `compile`.
    failure : Exception or None
        The first refusal, even if the function has caught it.
    """

    def __init__(self, count: int) -> None:
        mode = current_mode.get()
        self.count = count
        self.outer = mode.tape
        self.failure: Exception | None = None
        self._sample = mode.sample
        self._start = new_index()
        # For each node made inside: its value outside, and whether that is a stack.
        self._values: dict[Node, tuple[Any, bool]] = {}
        self._modes: tuple[Any, Any] = (None, None)  # the latest one, and that outside

    # --- Inside and outside -----------------------------------------------------------

    def stand_in(self, stack: Any) -> Any:
        """Return the stand-in for a stack: a Tensor for a Tensor."""
        kind = Tensor if issubclass(type(stack), Tensor) else Example
        node = self._node(kind, stack, True)
        if isinstance(stack, Node):
            node.requires_grad = stack.requires_grad
        return node

    def _node(self, kind: type[Node], value: Any, varies: bool) -> Any:
        """Return a node for a value outside."""
        array: Any = value.array if isinstance(value, Node) else np.asarray(value)
        if varies:
            array = array[0, ...]
            if value.base is None:  # else the node is a view, as the stack is
                array = np.zeros(array.shape, array.dtype)  # nobody reads the numbers
        node = new_constant(kind, array)
        self._values[node] = value, varies
        return node

    def outside(self, x: Any) -> tuple[Any, bool]:
        """Return the value outside of the function, and whether it is a stack."""
        is_tensor = issubclass(type(x), Tensor)
        if is_tensor or type(x) is Example:
            known = self._values.get(x)
            if known is not None:
                return known
            if is_tensor and x.index > self._start:  # made inside, of an array
                return x.array, False
        return x, False

    def _call_outside(self, function: Function, *args: Any) -> Any:
        """Call a function in the mode outside."""
        mode = current_mode.get()
        if mode is not self._modes[0]:
            settings = mode.recording, mode.watch, mode.nested
            outer = Mode(*settings, self._sample, self.outer, mode.block)
            self._modes = mode, outer
        try:
            current_mode.set(self._modes[1])
            return function(*args)
        finally:
            current_mode.set(mode)

    def _parts_outside(self, x: Any) -> tuple[Any, bool]:
        """Do as `outside` in nested containers too, and put each stack in an `Each`."""
        leaves = tree.leaves(x)
        if not any(issubclass(type(leaf), Node) for leaf in leaves):
            return x, False
        found = list(map(self.outside, leaves))
        parts = [Each(value) if varies else value for value, varies in found]
        return tree.rebuild(x, parts), any(varies for _, varies in found)

    def end(self) -> None:
        """Release the stacks. Stand-ins that the function keeps raise from now on."""
        for node in self._values:
            node.array = ENDED  # type: ignore[assignment]
        self._values.clear()

    # --- What the engine calls --------------------------------------------------------

    def apply(self, op: Any, inputs: tuple[Any, ...], params: Params | None) -> Any:
        """Apply an op to the stacks; return the node for one example."""
        mode = current_mode.get()
        inputs = tuple(map(_as_input, inputs))
        values, stacked = zip(*map(self.outside, inputs))
        bound, has_each = params, False
        if params:
            bound, has_each = self._parts_outside(params)
        varies = has_each or any(stacked)
        try:
            if varies:
                answer = self._call_outside(
                    _apply_to_stacks, self.count, op, stacked, values, bound
                )
            else:
                answer = self._call_outside(_apply, op, values, bound)
        except (TypeError, ValueError, IndexError):
            if not has_each:  # the error of one example names its shapes
                with np.errstate(all="ignore"):
                    op.compute(list(map(_one_of, inputs)), params)
            raise
        if varies and getattr(answer, "shape", ())[:1] != (self.count,):
            _refuse_as_stack(op, answer, self.count)
        tensors = [x for x in inputs if issubclass(type(x), Tensor)]
        if not tensors and not varies:
            return answer
        if mode.watch is not None and tensors and not isinstance(answer, Node):
            mode.watch(Tensor(answer), op, values)  # nobody watches arrays outside
        node = self._node(Tensor if tensors else Example, answer, varies)
        needs_grad = any(x.requires_grad for x in tensors)
        if mode.recording and needs_grad and node.array.dtype.kind == "f":
            node.requires_grad, node.op = True, op
            node.inputs, node.params = inputs, params
        return node

    def query(self, function: Function, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Apply a function without a derivative: its answer is an Example."""
        if function in STATIC:  # only shapes and dtypes matter
            return function(*map(_one_of, args), **kwargs)
        (args, kwargs), varies = self._parts_outside((args, kwargs))
        if not varies:
            return self._call_outside(partial(query, function, **kwargs), *args)
        if "out" in kwargs:
            self._refuse_to_write()
        answer = self._call_outside(_query_stacks, self.count, function, args, kwargs)
        return tree.rebuild(answer, map(self.stand_in, tree.leaves(answer)))

    def value(self, node: Any) -> Any:
        """Return the value of a node, as an Example if it is a stack."""
        value, varies = self.outside(node)
        if self.outer is not None:
            value = self._call_outside(value_of, value)
        elif isinstance(value, Node):  # faster
            value = value.array
        if not varies:
            return value
        example = new_constant(Example, node.array)
        self._values[example] = value, True
        return example

    def alias(self, node: Any, of: Any) -> None:
        """Note the value of a Tensor that was made of another node."""
        value, varies = self.outside(of)
        value = self._call_outside(value_of, value)
        if value.dtype != node.array.dtype:
            value = self._call_outside(value.astype, node.array.dtype)
        self._values[node] = value, varies

    def sample(self, draw: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Draw random numbers for each example."""
        numbers = self._call_outside(sampled, draw, (self.count, *shape), dtype)
        return self.stand_in(numbers)

    # --- Refusals ---------------------------------------------------------------------

    def refuse(self, what: str) -> NoReturn:
        """Raise, since Python asks for the number of an example."""
        self._fail(
            f"{what}() asks for the value of one example, but the function runs on all "
            "examples at once; "
            + WAYS_OUT.get(what, "compute with arrays, by np.where() and others")
        )

    def see(self, leaf: Any, is_read: bool = True) -> None:
        self._fail(
            ".grad and backward() do not work within the function, since a leaf has "
            "one gradient, not one per example; use tg.grad within, or call backward() "
            "on the result"
        )

    def _refuse_to_write(self, *_: Any, **__: Any) -> NoReturn:
        self._fail(
            "the function writes to an array or a Tensor, but it runs once for all "
            "examples; return the new value instead, and write outside"
        )

    step = write = rebind = _refuse_to_write

    def _fail(self, what: str) -> NoReturn:
        """Raise, and remember it, since the function may catch it."""
        error = TypeError(f"vmap: {what}")
        self.failure = self.failure or error
        raise error


WAYS_OUT = {
    "array": "write tg.take(table, i, axis=0) instead of table[i], and np.stack() "
    "instead of np.array()",
    "bool": "write np.where(x > 0, a, b) instead of `if x > 0`; a loop needs a fixed "
    "number of steps",
    "float": "write np.exp(x) instead of math.exp(x)",
    "repr": "print x.shape, or call the function on one example to see its values",
}


class _Ended:
    """Replaces the value of a stand-in after the function has ended."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ValueError(
            "vmap: this value was computed within the function, for one example, and "
            "the function has ended; return it from the function instead"
        )


ENDED = _Ended()

# --- In the mode outside: apply an op or a query to stacks ----------------------------


def _apply(op: Op, inputs: Sequence[Any], params: Params | None) -> Any:
    if current_mode.get().tape is not None or any(isinstance(x, Node) for x in inputs):
        return record(op, tuple(inputs), params)
    return op.compute(inputs, params)


def _apply_to_stacks(
    n: int, op: Any, stacked: Any, inputs: Any, params: Params | None
) -> Any:
    """Apply an op to inputs of which some are stacks."""
    params = params or {}
    answer = NotImplemented
    if op.batching is not None:
        answer = op.batching(stacked, *inputs, **params)
    elif op.signature is not None and not _has_each(params):
        cores = [len(names) for names in core_dimensions(op.signature)]
        aligned = align_stacks(stacked, inputs, cores)
        if aligned is not None:
            answer = _apply(op, aligned, params or None)
    if answer is not NotImplemented:
        return answer
    inputs = tuple(Each(x) if s else x for x, s in zip(inputs, stacked))
    return _in_turn(
        n, op.name, lambda *xs, **params: _apply(op, xs, params or None), inputs, params
    )


# Queries that work on stacks, if their inputs are aligned; and those along an axis.
ON_STACKS: set[Function] = {
    operator.eq,
    operator.ge,
    operator.gt,
    operator.le,
    operator.lt,
    operator.ne,
    np.isclose,
    np.linalg.slogdet,
    np.take,  # only the op `take` calls it, to take numbers from a row of them
}
ALONG_AN_AXIS: set[Function] = {
    np.all,
    np.any,
    np.argmax,
    np.argmin,
    np.argpartition,
    np.argsort,
    np.count_nonzero,
}


def _query_stacks(n: int, function: Any, args: Any, kwargs: Any) -> Any:
    """Apply a function without a derivative to arguments of which some are stacks."""
    stacked = [isinstance(x, Each) for x in args]
    values = [value_of(x.array) if s else x for x, s in zip(args, stacked)]
    if not kwargs and (isinstance(function, np.ufunc) or function in ON_STACKS):
        return query(function, *align_stacks(stacked, values, [0] * len(values)))
    x, *others = values
    if function in ALONG_AN_AXIS and stacked[0] and not _has_each((args[1:], kwargs)):
        names = list(defaults_of(function))[1:]
        given = dict(zip(names, others)) | kwargs
        axis = given.pop("axis", defaults_of(function)["axis"])
        if axis is None and not given.get("keepdims"):
            x, axis = reshape(x, (n, -1)), 0
        if axis is not None:
            return query(function, x, axis=in_stack(axis, x.ndim - 1), **given)
    return _in_turn(n, function.__name__, partial(query, function), args, kwargs)


def _in_turn(n: int, name: str, function: Function, args: Any, kwargs: Any) -> Any:
    """Apply a function to one example after the other, and stack the results."""
    answers = [function(*_one(args, i), **_one(kwargs, i)) for i in range(n)]
    if isinstance(answers[0], tuple):
        stacks = [_restacked(name, parts) for parts in zip(*answers)]
        return tree.rebuild(answers[0], stacks)
    return None if answers[0] is None else _restacked(name, answers)


def _restacked(name: str, answers: Sequence[Any]) -> Any:
    shapes = dict.fromkeys(np.shape(y) for y in answers)
    if len(shapes) > 1:
        raise ValueError(
            f"vmap: {name} returned results of different shapes for different examples,"
            f" {' and '.join(map(str, shapes))}, which no stack can hold; choose with "
            "np.where(mask, x, 0) instead of x[mask]"
        )
    return stack(list(answers))


def _one(x: Any, i: int) -> Any:
    """Return the i-th example."""
    leaves = tree.leaves(x)
    return tree.rebuild(x, (y.array[i] if isinstance(y, Each) else y for y in leaves))


# --- Small helpers --------------------------------------------------------------------


def _as_input(x: Any) -> Any:
    """Return an input that is a node or a number; convert anything else to an array."""
    return x if isinstance(x, float | int) else _real(x)


def _real(x: Any) -> Any:
    """Return a node, or an array of real numbers; raise for anything else."""
    is_array = type(x) is np.ndarray and x.dtype.kind in "fiub"
    return x if is_array or issubclass(type(x), Node) else Tensor(x).array


def _has_each(x: Any) -> bool:
    return any(isinstance(leaf, Each) for leaf in tree.leaves(x))


def _one_of(x: Any) -> Any:
    """Return the array of a node: it has the shape of one example."""
    return x.array if issubclass(type(x), Node) else x


def _refuse_as_stack(op: Op, answer: Any, n: int) -> NoReturn:
    """Raise, since an op of the user's is not what its declaration says."""
    declared = "`Op.vmap` rule" if op.batching is not None else "signature"
    raise ValueError(
        f"vmap: {op.name} returned, of {n} examples, {type(answer).__name__} of shape "
        f"{np.shape(answer)}, but needs an array with {n} as first size; its "
        f"{declared} is wrong"
    )
