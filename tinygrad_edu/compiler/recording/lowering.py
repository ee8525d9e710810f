"""The calls of ops and of NumPy's functions, lowered to equations.

Every op comes to the tape. An op is *lowered* to NumPy's functions by running its
forward function, or its textbook formula, on Arrays; an op of the user's own is one
equation. Backward passes and optimisers are made of ops and NumPy functions too, so
they come to the tape like everything else.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tinygrad_edu.compiler.functions import REDUCTIONS, UFUNC_OF_OPERATOR
from tinygrad_edu.compiler.program import (
    Equation,
    EquationOrigin,
    Variable,
    change,
    parts,
)
from tinygrad_edu.compiler.recording.inputs import Inputs
from tinygrad_edu.compiler.recording.refusals import MASK, user_line
from tinygrad_edu.compiler.recording.stand_ins import (
    Array,
    Number,
    reshaped,
    transposed,
)
from tinygrad_edu.compiler.recording.tape import ARRAYS, Tape, plain
from tinygrad_edu.engine.errors import explain_failure
from tinygrad_edu.engine.graph import Node, current_mode
from tinygrad_edu.engine.op import BUILT_IN, Op
from tinygrad_edu.engine.protocols import STATIC, defaults_of
from tinygrad_edu.engine.tensor import Tensor

__all__ = ["Lowering"]

# Functions whose answer has another shape for other values.
_NAMES = (
    "argwhere bincount compress extract flatnonzero intersect1d nonzero setdiff1d "
    "trim_zeros union1d unique"
)
SHAPED_BY_VALUES = {getattr(np, name) for name in _NAMES.split()}


# Ops whose forward function makes an array of NumPy's own.
WHOLE = {
    "add_at",
    "cholesky",
    "eigensystem",
    "inv",
    "qr_factors",
    "singular_system",
    "solve",
}


class Lowering(Tape):
    """The tape, as the engine knows it: see `TapeHook`.

    Attributes
    ----------
    applied : list of tuple
        The ops that were applied: result, variable, op, inputs, parameters. Only those
        of the second run.
    roots : list of Node
        Where walks back began.
    """

    def __init__(self, inputs: Inputs, first: list[Equation] | None) -> None:
        super().__init__(inputs, first)
        self.applied: list[tuple[Any, Variable, Any, Any, Any]] = []
        self.roots: list[Any] = []
        self._cotangents: dict[Variable, Variable] = {}
        self._done = 0  # equations that belong to no rule, or know it

    # --- Ops --------------------------------------------------------------------------

    def apply(self, op: Any, inputs: tuple[Any, ...], params: Any) -> Any:
        """Apply an op: lower it to equations, and make the node that it makes."""
        mode = current_mode.get()
        if mode.watch is not None:
            self.fail(
                "debug() looks at values",
                "put debug() around the call, which then runs the function as it is",
            )
        tensors = [
            x for x in inputs if type(x) is not Array and issubclass(type(x), Node)
        ]
        arrays = list(inputs)
        if tensors:
            if len(tensors) < len(inputs):
                inputs = tuple(map(_as_input, inputs))
            arrays = [self.value(x) if issubclass(type(x), Node) else x for x in inputs]
        elif Array not in map(type, inputs) and not any(
            map(_is_node, parts(*inputs, params or {}))
        ):
            return op.compute(inputs, params)  # of constants
        is_outer = self._at_work is None
        if is_outer:
            self._at_work = self._next_origin(op.name)
        try:
            answer = self._lower(op, arrays, params or {})
            if not tensors or not isinstance(answer, ARRAYS):
                node = answer
            else:
                node = self.tensor(answer, type(tensors[-1]))
                needs_grad = any(x.requires_grad for x in tensors)
                if mode.recording and needs_grad and answer.dtype.kind == "f":
                    node.requires_grad, node.op = True, op
                    node.inputs, node.params = inputs, params
        finally:
            if is_outer:
                self._at_work = None
        if is_outer and self._first is not None and _is_node(node):
            variable = self.place(node).variable
            self.applied.append((node, variable, op, inputs, params))
        return node

    def _next_origin(self, op: str) -> EquationOrigin:
        """Return the origin of the next equation; in the second run, it is known."""
        i = len(self.equations)
        if self._first is not None and i < len(self._first):
            return self._first[i].origin
        return EquationOrigin(op, line=user_line())

    def _lower(self, op: Op, arrays: list[Any], params: dict[str, Any]) -> Any:
        """Apply an op to Arrays, as equations of NumPy's functions where it can be."""
        if op.name not in BUILT_IN:
            return self._lower_or_enter(op, arrays, params)
        if op.name == "broadcast_to":
            return self.enter(np.broadcast_to, (*arrays, params["shape"]), {})
        if op.name == "getitem":
            return self.enter(operator.getitem, (*arrays, params["index"]), {})
        if op.name in WHOLE:
            return self._enter_whole(op, arrays, params)
        if op.textbook is not None:
            return op.textbook(*arrays, **params)
        if not isinstance(op.forward, np.ufunc):
            return op.compute(arrays, params)
        try:
            return self.enter(op.forward, arrays, params)
        except (TypeError, ValueError, OverflowError) as error:  # as `Op.compute` does
            raise explain_failure(op.name, op.signature, arrays, None, error) from None

    def _lower_or_enter(self, op: Op, arrays: list[Any], params: Any) -> Any:
        """Apply an op of the user's own: if it needs values, as one equation."""
        before = len(self.equations), self.failure
        try:
            answer = op.compute(arrays, params)
            if type(answer) is Array:
                return answer
        except Exception:  # whatever it is, the op itself will say it
            pass
        del self.equations[before[0] :]
        self.failure = before[1]
        return self._enter_whole(op, arrays, params)

    def _enter_whole(self, op: Op, arrays: list[Any], params: Any) -> Any:
        """Apply an op as one equation."""
        forward: Any = op.forward
        if type(forward).__hash__ is None:  # as of a dataclass that can be called
            forward = forward.__call__

        def run(*args: Any, **kwargs: Any) -> Any:
            with self.inputs.put_back():
                return change(forward(*args, **kwargs), plain)

        answer = self.enter(forward, tuple(arrays), params, run)
        is_number = type(answer) is Number
        return self.enter(np.asarray, (answer,), {}) if is_number else answer

    def query(self, function: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Apply a function without a derivative: its answer is an Array."""
        args, kwargs = change(args, self._known), change(kwargs, self._known)
        ufunc = UFUNC_OF_OPERATOR.get(function)
        kinds = (Node, Number, np.ndarray, np.generic, int, float)
        if ufunc is not None and not isinstance(args[1], kinds):
            return function(args[0].array, args[1])
        return self.call(ufunc or function, args, kwargs)

    def _known(self, x: Any) -> Any:
        return self.value(x) if _is_node(x) else x

    # --- NumPy's functions ------------------------------------------------------------

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Apply a function of NumPy's to Arrays, in the form that the passes know."""
        if isinstance(function, np.ufunc) and not kwargs:
            return self.enter(function, args, kwargs)
        if function in STATIC or function is np.full_like:  # answered at once
            answer = function(*change(args, plain), **change(kwargs, plain))
            if not isinstance(answer, np.ndarray):
                return answer
            return self.value(self.tensor(answer))  # which may be written to
        if function is np.copyto and len(args) == 2 and not kwargs:
            self.write_out(*args)
            return None
        args, kwargs, out = _normal(function, args, kwargs)
        if isinstance(function, np.ufunc) and "where" in kwargs:
            self.fail("where= leaves out elements", "choose with np.where(mask, a, b)")
        if function is np.reshape:
            answer = reshaped(args[0], *args[1:], **kwargs)
        elif function is np.transpose:
            answer = transposed(args[0], *args[1:], **kwargs)
        elif function is np.copy:
            answer = self.enter(np.positive, args[:1], {})
        elif function is np.mean and _is_simple_mean(args, kwargs):
            total = self.call(np.sum, args, kwargs)
            answer = total / (args[0].size // total.size)
        elif _is_shaped_by_values(function, args, kwargs):
            self.fail(f"the shape of {function.__name__}() depends on values", MASK)
        else:
            answer = self.enter(function, args, kwargs)
        if out is None:
            return answer
        return self.write_out(out, answer)

    # --- The walk back ----------------------------------------------------------------

    def walk_back(self, roots: Any) -> None:
        """Note that the equations from here on belong to rules."""
        self.roots += roots
        self._done = len(self.equations)

    def passed_back(self, node: Any, x: Any, cotangent: Any) -> None:
        """Note which rule the latest equations belong to, and whose cotangent it is."""
        if self._first is not None:  # noted in the first run
            return
        op = node.op
        position = next(i for i, z in enumerate(node.inputs) if z is x)
        rule = f"{op.name}.{op.inputs[0 if op.variadic else position]}"
        for e in self.equations[self._done :]:
            e.origin.rule = rule
        self._done = len(self.equations)
        if isinstance(cotangent, Node):
            variable = self.place(cotangent).variable
            of = self.place(x).variable
            if (before := self._cotangents.get(of)) is not None:
                before.label = None  # of a part of the sum
            if variable.label is None:
                variable.label = "cotangent", of
                self._cotangents[of] = variable

    # --- What else the engine tells ---------------------------------------------------

    def see(self, leaf: Any, is_read: bool = True) -> None:
        """Have the gradient of a leaf from outside be an input of the program."""
        if (stand_in := self.inputs.see(leaf, is_read)) is not None:
            self.settle(*stand_in)

    def step(self, optimiser: Any) -> None:
        """Follow an optimiser that makes a step: its gradients are not kept."""
        self.inputs.lend(optimiser)
        self.inputs.used |= {id(p.accumulated): p.accumulated for p in optimiser.params}

    def forget(self) -> None:
        super().forget()
        self.applied.clear()
        self.roots.clear()


def _is_node(x: Any) -> bool:
    """The same as isinstance(), which is slow where a class pretends to be another."""
    return issubclass(type(x), Node)


def _as_input(x: Any) -> Any:
    """Return a constant Tensor for a list, as the engine does."""
    if _is_node(x) or type(x) in (float, int, Number):
        return x
    is_array = isinstance(x, np.ndarray) and x.dtype.kind in "fiub"
    return x if is_array else Tensor(x)


def _is_simple_mean(args: Any, kwargs: Any) -> bool:
    (x, *_) = args
    is_float = type(x) is Array and x.dtype.kind == "f" and x.dtype.itemsize > 2
    return is_float and kwargs.keys() <= {"axis", "keepdims"} and x.size > 0


def _is_shaped_by_values(function: Any, args: Any, kwargs: Any) -> bool:
    """Whether the shape of an answer would be another for other values."""
    if function is np.repeat:
        return any(isinstance(x, Node) for x in parts(args[1:], kwargs))
    return function in SHAPED_BY_VALUES or (function is np.where and len(args) == 1)


def _normal(function: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """Return the arguments without those at their defaults, and what ``out`` is."""
    if isinstance(function, np.ufunc):
        (out,) = kwargs.pop("out", (None,))
        return args, kwargs, out
    defaults = defaults_of(function)
    names = list(defaults)
    n = names.index("out") if "out" in names else len(args)
    if function in REDUCTIONS.values():
        n = 1
    if len(args) > n:
        kwargs = dict(zip(names[n:], args[n:])) | kwargs
        args = args[:n]
    out = kwargs.get("out")
    kwargs = {
        name: x
        for name, x in kwargs.items()
        if name != "out"
        and not (name in defaults and x is defaults[name])
        and not (name == "keepdims" and x is False)
    }
    return args, kwargs, out
