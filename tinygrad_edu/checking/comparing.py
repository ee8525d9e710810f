"""Compare a gradient derived by hand with the engine's, layer by layer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.slips import likeliest_slip
from tinygrad_edu.engine.autodiff import pull_back
from tinygrad_edu.engine.graph import Node, topological_order, value_of
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.formulas.shares import checked_graph
from tinygrad_edu.nn import Module
from tinygrad_edu.ops.functions import sigmoid
from tinygrad_edu.support.printable import name_of, printable
from tinygrad_edu.support.table import Table

__all__ = ["Comparison", "compare"]

Array = np.ndarray[Any, Any]
Rules = Sequence[Callable[..., Any]]
Change = Callable[[Rules], Rules]


class ComparedParameter(NamedTuple):
    """One parameter's gradient by hand against the engine's."""

    parameter: str
    shape: tuple[int, ...]
    relative_difference: float  # the largest one, divided by the largest element
    verdict: str


class Comparison(Table):
    """The rows of a comparison; true if all agree; prints as a table."""

    __slots__ = ()

    header = tuple(ComparedParameter._fields)

    def __bool__(self) -> bool:
        return all(row.verdict == "right" for row in self)


def compare(
    mine: Any, loss: Tensor, wrt: Any, *, rtol: float | None = None
) -> Comparison:
    """Compare a gradient that you derived with the engine's, and guess the slip.

    Parameters
    ----------
    mine : sequence of arrays, dict of str to array, or callable
        Your gradient: one array per parameter, in the order (or with the names) of
        `wrt`; or a function without arguments that returns these. A Module's parameters
        go by their own names (``"W1"``) or by those of ``named_parameters()``.
    loss : Tensor
        The number to differentiate, computed from the parameters by ops. Its graph is
        kept, and no ``.grad`` is changed.
    wrt : Module, sequence of Tensor, dict of str to Tensor, or Tensor
        The parameters.
    rtol : float, optional
        The allowed difference, relative to the largest element of the gradient. The
        default is 1e-7, or 1e-3 for float32.

    Returns
    -------
    Comparison
        One row per parameter, in the order of backpropagation: the last layer first. So
        the first wrong row is where you made the slip. It is true if all rows agree;
        ``print`` shows a table.

    Raises
    ------
    ValueError
        If there is not one array per parameter, if the loss is not a single number that
        depends on them, or if a value that it was computed from has changed.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> loss = (w * w).sum()
    >>> print(tg.compare([-2.0 * w.data], loss, [w]))
    parameter  shape  relative_difference  verdict
    w          (2,)   2.0e+00              wrong: its sign is flipped
    """
    if not isinstance(loss, Tensor) or loss.size != 1 or not loss.requires_grad:
        raise ValueError(
            "compare: the loss must be a Tensor with one number, computed from the "
            "parameters by recorded ops"
        )
    mine = mine() if callable(mine) else mine
    parameters = _by_name(wrt, mine)
    if isinstance(wrt, Tensor) and not isinstance(mine, Mapping | list | tuple):
        mine = [mine]
    if not isinstance(mine, Iterable):
        raise TypeError(
            "compare: mine must be a list of arrays, or a dict of name to array, not a "
            f"{type(mine).__name__}"
        )
    arrays = _arrays_by_name(mine, parameters)
    checked_graph("compare", loss, sys._getframe(1))
    right = _gradients(loss, parameters)
    slips: list[tuple[str, dict[str, Array]]] = []
    rows = []
    for name in _in_backward_order(loss, parameters):
        gradient = right[name]
        tolerance = rtol
        if tolerance is None:
            tolerance = 1e-7 if gradient.dtype.itemsize >= 8 else 1e-3
        array = arrays[name]
        difference = _difference(array, gradient)
        verdict = "right"
        if not difference <= tolerance:
            slips = slips or list(_slips(loss, parameters))
            slip = likeliest_slip(
                array,
                lambda g: _difference(g, gradient) <= tolerance,  # noqa: B023
                sizes=_sizes(loss),
                factors={},
                others=[(slip, wrong[name]) for slip, wrong in slips],
            )
            verdict = f"wrong: {slip or _worst_element(array, gradient)}"
        rows.append(
            ComparedParameter(printable(name), gradient.shape, difference, verdict)
        )
    return Comparison(rows)


def _by_name(wrt: Any, mine: Any) -> dict[str, Tensor]:
    """Name the parameters by their own names, or by their paths if `mine` does."""
    if isinstance(wrt, Mapping):
        return dict(wrt)
    if isinstance(wrt, Module):
        paths = wrt.named_parameters()
    else:
        parameters = [wrt] if isinstance(wrt, Tensor) else list(wrt)
        paths = {f"parameter {i}": p for i, p in enumerate(parameters)}
    named = {p.name: p for p in paths.values() if p.name}
    by_path = isinstance(mine, Mapping) and mine.keys() & (paths.keys() - named.keys())
    return paths if by_path or len(named) < len(paths) else named


def _arrays_by_name(mine: Any, parameters: Mapping[str, Tensor]) -> dict[str, Array]:
    if not isinstance(mine, Mapping):
        arrays = list(mine)
        if len(arrays) != len(parameters):
            raise ValueError(
                f"compare: there are {len(arrays)} arrays for {len(parameters)} "
                f"parameters: {_listed(parameters)}"
            )
        mine = dict(zip(parameters, arrays))
    if mine.keys() != parameters.keys():
        raise ValueError(
            f"compare: the gradients are for {_listed(mine)}, and the parameters are "
            f"{_listed(parameters)}"
        )
    for name, array in mine.items():
        if array is None:
            raise ValueError(
                f"compare: the gradient for {printable(name)} is None; was backward() "
                "called?"
            )
    return {
        name: np.asarray(array.data if isinstance(array, Node) else array, float)
        for name, array in mine.items()
    }


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(printable, names))


def _in_backward_order(loss: Tensor, parameters: Mapping[str, Tensor]) -> list[str]:
    """List the names of the parameters in the order of backpropagation."""
    names: dict[Node, str] = {p: name for name, p in parameters.items()}
    inputs = (x for node in topological_order(loss) for x in node.inputs)
    visited = [names[x] for x in inputs if isinstance(x, Node) and x in names]
    return list(dict.fromkeys([*visited, *parameters]))


def _gradients(loss: Tensor, parameters: Mapping[str, Tensor]) -> dict[str, Array]:
    found, _ = pull_back({loss: np.ones(loss.shape, loss.dtype)})
    return {name: found.get(p, np.zeros_like(p.data)) for name, p in parameters.items()}


def _difference(array: Array, gradient: Array) -> float:
    """Return the largest difference, relative to the gradient's largest element."""
    if array.shape != gradient.shape:
        return np.inf
    size = np.max(np.abs(gradient), initial=0.0) or 1.0
    return float(np.max(np.abs(array - gradient), initial=0.0) / size)


def _worst_element(array: Array, gradient: Array) -> str:
    if array.shape != gradient.shape:
        return f"it has the shape {array.shape}"
    worst = np.unravel_index(np.argmax(np.abs(array - gradient)), array.shape)
    where = f" at {[int(i) for i in worst]}" if worst else ""
    return f"it is {array[worst]:.4g} and should be {gradient[worst]:.4g}{where}"


# --- Common slips ---------------------------------------------------------------------


def _sizes(loss: Tensor) -> dict[str, int]:
    """Return the row counts of all arrays; one of them is the number of examples."""
    rows = {len(x.data) for x in topological_order(loss) if x.data.ndim}
    return {f"the number of rows, {n}": n for n in sorted(rows)}


def _slips(
    loss: Tensor, parameters: Mapping[str, Tensor]
) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yield each common slip, with the gradients that it leads to.

    To make a slip, run the engine's own backward pass with other rules at one node.
    """
    activations: dict[Any, Array] = {}  # a node, and an elementwise op's output for it
    for node in topological_order(loss):
        if node.op is None:
            continue
        slips: dict[str, Change] = {}
        if node.op.elementwise and len(node.inputs) == 1:
            activations[node.inputs[0]] = node.data
            slips[f"the derivative of {node.op.name} is left out"] = _without_derivative
        if node.op.name == "sigmoid_cross_entropy":
            slip = "sigmoid'(z) is one factor too many: cross-entropy has delta = a - y"
            slips[slip] = _times_sigmoid_prime
        if node.op.name == "linear":
            x, w, _ = map(value_of, node.inputs)
            if w.shape == w.T.shape:
                slips["delta is passed back through the transposed weight"] = _by_w_t
            a = activations.get(node)
            if a is not None and a.shape == np.shape(x):
                slip = "the layer's own activation is used, not the previous layer's"
                slips[slip] = partial(_by_activation, a)
        if any(x is p for x in node.inputs for p in parameters.values()):
            slips[f"the part through {node.op.name} is left out"] = _nothing
        for slip, change in slips.items():
            with _changed(node, change):
                yield f"{slip} ({_describe(node)})", _gradients(loss, parameters)


def _without_derivative(rules: Rules) -> Rules:
    return [lambda g, *args, **params: g for _ in rules]


def _times_sigmoid_prime(rules: Rules) -> Rules:
    (of_z, *others) = rules

    def times_prime(g: Any, y: Any, z: Any, t: Any) -> Any:
        return of_z(g, y, z, t) * sigmoid(z) * (1 - sigmoid(z))

    return [times_prime, *others]


def _by_w_t(rules: Rules) -> Rules:
    (of_x, *others) = rules
    return [lambda g, y, x, w, b: of_x(g, y, x, w.T, b), *others]


def _by_activation(a: Array, rules: Rules) -> Rules:
    of_x, of_w, of_b = rules
    return [of_x, lambda g, y, x, w, b: of_w(g, y, a, w, b), of_b]


def _nothing(rules: Rules) -> Rules:
    return [partial(_zeros, i) for i, _ in enumerate(rules)]


def _zeros(i: int, g: Any, y: Any, *inputs: Any, **params: Any) -> Array:
    return np.zeros_like(inputs[i])


class _ChangedOp(NamedTuple):
    """An op with other rules; it has only the attributes that a backward pass uses."""

    name: str
    rule_of_each: Rules
    variadic: bool = False
    selects: bool = False
    elementwise: bool = False


@contextmanager
def _changed(node: Node, change: Change) -> Iterator[None]:
    """Replace the rules of one node within the block."""
    op = node.op
    rules = [*op.rule_of_each] * (len(node.inputs) if op.variadic else 1)
    node.op = _ChangedOp(op.name, change(rules))
    try:
        yield
    finally:
        node.op = op


def _describe(node: Node) -> str:
    parameters = [name_of(x) for x in node.inputs if name_of(x)]
    shape = f"output shape {node.data.shape}"
    return f"of {', '.join(parameters)}" if parameters else shape
