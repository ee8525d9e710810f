"""`remat`: store less in the forward pass, recompute it in the backward pass.

In the graph, a run of a rematerialised function is one node. Its inputs are the older
nodes that the result depends on. The intermediate values are not stored. When the
cotangent arrives, the function runs again, and the cotangent is pulled back through the
graph that this second run records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import numpy as np

from tinygrad_edu.engine.autodiff import pull_back
from tinygrad_edu.engine.graph import (
    Mode,
    Node,
    check_function,
    current_mode,
    new_index,
    record,
)
from tinygrad_edu.engine.modes import changed
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.shapes import astype, reshape
from tinygrad_edu.support import tree

__all__ = ["checkpoint", "remat"]


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same function, but do not store its intermediate values.

    The backward pass computes them again (rematerialises them). This saves memory and
    costs time: n such steps in a row store only their n results.

    Parameters
    ----------
    f : callable
        Returns a Tensor, or nested tuples, lists and dicts of Tensors. A second call
        must return the same: so `f` must not draw random numbers or depend on anything
        that changes. (The random numbers of `nn.Dropout` are kept for the second call.)

    Returns
    -------
    callable
        Takes the arguments of `f` and returns its result.

    Raises
    ------
    ValueError
        In the backward pass, if `f` returns another result than before.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> @tg.remat
    ... def step(x):
    ...     return x + 0.1 * np.sin(x)
    >>> tg.grad(lambda x: step(step(step(x))))(0.0)
    array(1.331)
    """
    check_function("remat", f)

    @wraps(f)
    def recomputed(*args: Any, **kwargs: Any) -> Any:
        mode = current_mode.get()
        if not mode.recording or mode.tape is not None:
            return f(*args, **kwargs)
        run = partial(f, *args, **kwargs)
        start = new_index()
        drawn: list[Any] = []
        inside = changed({"sample": partial(_keep, drawn, mode)})
        try:
            current_mode.set(inside)
            answer = run()
        finally:
            current_mode.set(inside.block.outside)
        outputs = _made_since(start, answer)
        if not outputs:
            return answer
        op = _Remat(run, outputs, drawn)
        packed = record(op, _behind(start, outputs))
        replaced = dict(zip(outputs, _unpack(packed, outputs)))
        leaves = tree.leaves(answer)
        return tree.rebuild(
            answer, (replaced.get(y, y) if isinstance(y, Node) else y for y in leaves)
        )

    return recomputed


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``remat(f)``: an alias of `remat`, the name that PyTorch and JAX use.

    It saves nothing to a file: `save` does.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.grad(tg.checkpoint(lambda x: x * x))(3.0)
    array(6.)
    """
    return remat(f)


class _Remat:
    """The op of the node that represents one run of the function."""

    name = "remat"
    tex = None
    inputs = ("values",)
    variadic = True
    selects = elementwise = False

    def __init__(
        self, run: Callable[[], Any], outputs: list[Any], drawn: list[Any]
    ) -> None:
        self.run = run
        self.drawn = drawn
        mode = current_mode.get()
        self.mode = {"recording": True, "watch": mode.watch, "nested": mode.nested}
        self.value = _pack([y.data for y in outputs])

    def compute(self, values: Any, params: Any) -> Any:
        return self.value

    @property
    def rule_of_each(self) -> tuple[Any]:
        return (self.pull_back,)

    def pull_back(self, g: Any, y: Any, *inputs: Any) -> Callable[[int], Any]:
        """Run the function again; return a function: position -> input's cotangent."""
        start = new_index()
        again = partial(_draw_again, iter(self.drawn))
        inside = changed(self.mode | {"sample": again})
        try:
            current_mode.set(inside)
            answer = self.run()
        finally:
            current_mode.set(inside.block.outside)
        outputs = _made_since(start, answer)
        value = _pack([y.data for y in outputs])
        if not np.array_equal(value, self.value, True):
            raise ValueError(
                "remat: the function returned another result when it was run "
                "again; it must not draw random numbers or depend on anything that "
                "changed in between"
            )
        cotangents = dict(zip(outputs, _unpack(g, outputs)))
        # Every node older than this run counts as a variable.
        found, _ = pull_back(cotangents, isinstance(g, Node), range(start))
        return [found[x] for x in _behind(start, outputs)].__getitem__


def _keep(drawn: list[Any], outer: Mode, draw: Any, *args: Any) -> Any:
    """Draw random numbers, and store them in `drawn`."""
    drawn.append(outer.sample(draw, *args) if outer.sample else draw(*args))
    return drawn[-1]


def _draw_again(drawn: Iterator[Any], draw: Any, *args: Any) -> Any:
    """Return the numbers of the first run; draw new ones if it drew fewer."""
    for numbers in drawn:
        return numbers
    return draw(*args)


def _made_since(start: int, answer: Any) -> list[Node]:
    """Return the nodes in a result with an index above `start`, each once."""
    nodes = (y for y in tree.leaves(answer) if isinstance(y, Node))
    return list(dict.fromkeys(y for y in nodes if y.requires_grad and y.index > start))


def _behind(start: int, outputs: list[Node]) -> tuple[Node, ...]:
    """Return the nodes older than `start` that the outputs depend on, oldest first."""
    found, stack = set(outputs), list(outputs)
    while stack:
        node = stack.pop()
        if node.index > start:
            inputs = {x for x in node.inputs if isinstance(x, Node) and x.requires_grad}
            stack += inputs - found
            found |= inputs
    older = (x for x in found if x.index < start)
    return tuple(sorted(older, key=lambda x: x.index))


def _pack(arrays: list[Any]) -> Any:
    if len(arrays) == 1:
        return arrays[0]
    return concatenate([reshape(x, -1) for x in arrays])


def _unpack(packed: Any, likes: list[Node]) -> list[Any]:
    if len(likes) == 1:
        return [packed]
    parts = []
    start = 0
    for like in likes:
        size = like.data.size
        part = reshape(packed[start : start + size], like.data.shape)
        parts.append(astype(part, like.data.dtype))
        start += size
    return parts
