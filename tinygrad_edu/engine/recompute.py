"""`remat`: store less on the way forward, compute again on the way back.

To the graph, a run of a rematerialised function is one node, made of the older nodes
that its answer depends on. The values in between are dropped. When a cotangent arrives,
the function runs again, and the cotangent is pulled back through what is recorded then.
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
    StandIn,
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
    """Return the same function, whose values in between are not stored.

    They are computed again (rematerialised) when gradients are pulled back through it:
    memory for time. Of n such steps in a row only the n answers are stored.

    Parameters
    ----------
    f : callable
        Gives a Tensor, or nested tuples, lists and dicts of them. Called again it must
        give the same again: so it must not draw random numbers, nor depend on what
        changes in between. (What `nn.Dropout` draws is kept for the second run.)

    Returns
    -------
    callable
        Takes and gives what `f` does.

    Raises
    ------
    ValueError
        When gradients are pulled back, if `f` gives another answer than before.

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
        if not current_mode.get().recording:
            return f(*args, **kwargs)
        run = partial(f, *args, **kwargs)
        start = new_index()
        drawn: list[Any] = []
        inside = changed({"sample": partial(_keep, drawn, current_mode.get())})
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
            answer,
            (replaced.get(y, y) if isinstance(y, Node) else y for y in leaves),
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
    """The op of the node that stands for a run."""

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
        """Run the function again; tell the cotangent of each input by its position."""
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
        if not (isinstance(value, StandIn) or np.array_equal(value, self.value, True)):
            raise ValueError(
                "remat: run again, the function gave another answer; it must not "
                "draw random numbers, nor depend on what has changed since"
            )
        cotangents = dict(zip(outputs, _unpack(g, outputs)))
        # All that is older than the run counts as a variable.
        found, _ = pull_back(cotangents, isinstance(g, Node), range(start))
        return [found[x] for x in _behind(start, outputs)].__getitem__


def _keep(drawn: list[Any], outer: Mode, draw: Any, *args: Any) -> Any:
    """Draw random numbers, and remember them."""
    drawn.append((outer.sample or _plainly)(draw, *args))
    return drawn[-1]


def _plainly(draw: Any, *args: Any) -> Any:
    return draw(*args)


def _draw_again(drawn: Iterator[Any], draw: Any, *args: Any) -> Any:
    """Give what was drawn before; after that the answer cannot be the same."""
    for numbers in drawn:
        return numbers
    return draw(*args)


def _made_since(start: int, answer: Any) -> list[Node]:
    """Return the nodes in an answer that were recorded since, each once."""
    nodes = (y for y in tree.leaves(answer) if isinstance(y, Node))
    return list(dict.fromkeys(y for y in nodes if y.requires_grad and y.index > start))


def _behind(start: int, outputs: list[Node]) -> tuple[Node, ...]:
    """Return the older nodes that some newer ones depend on, in their order."""
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
