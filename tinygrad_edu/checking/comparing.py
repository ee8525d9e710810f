"""Compare a gradient derived by hand with the engine's, layer by layer."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checking.case import Case
from tinygrad_edu.checking.catalogue import is_round
from tinygrad_edu.checking.replay import difference
from tinygrad_edu.checking.searching import Search
from tinygrad_edu.engine.graph import Node
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.formulas.naming import names_of
from tinygrad_edu.formulas.quantities import Quantities
from tinygrad_edu.formulas.shares import checked_graph
from tinygrad_edu.nn import Module
from tinygrad_edu.support.language import say, say_also, speaking
from tinygrad_edu.support.printable import printable
from tinygrad_edu.support.table import Table

__all__ = ["Comparison", "Judgement", "compare"]

Array = np.ndarray[Any, Any]


class Judgement(str):
    """What `compare` says of a gradient, in the language that was asked for.

    Attributes
    ----------
    is_right : bool
    says : str
        What is wrong, without the word for "wrong" before it.
    """

    is_right: bool
    says: str

    def __new__(cls, text: str, says: str = "", is_right: bool = False) -> Judgement:
        judgement = super().__new__(cls, text)
        judgement.is_right, judgement.says = is_right, says or text
        return judgement


class ComparedParameter(NamedTuple):
    """One parameter's gradient by hand against the engine's."""

    parameter: str
    shape: tuple[int, ...]
    relative_difference: float  # the largest one, divided by the largest element
    verdict: Judgement
    lesson: str


class Comparison(Table):
    """The rows of a comparison; true if all agree; prints as a table."""

    __slots__ = ()

    header = tuple(ComparedParameter._fields)

    def __bool__(self) -> bool:
        return all(row.verdict.is_right for row in self)


def compare(
    mine: Any,
    loss: Tensor,
    wrt: Any,
    *,
    rtol: float | None = None,
    reveal: bool = True,
    lang: str | None = None,
) -> Comparison:
    """Compare a gradient that you derived with the engine's, and guess the slip.

    Parameters
    ----------
    mine : sequence of arrays, dict of str to array, or callable
        Your gradient: one array per parameter, in the order (or with the names) of
        `wrt`; or a function without arguments that returns these. A Module's parameters
        go by their own names (``"W1"``) or by those of ``named_parameters()``. The pair
        of lists ``(nabla_b, nabla_w)`` is understood, and columns for biases.
    loss : Tensor
        The number to differentiate, computed from the parameters by ops. Its graph is
        kept, and no ``.grad`` is changed.
    wrt : Module, sequence of Tensor, dict of str to Tensor, or Tensor
        The parameters.
    rtol : float, optional
        The allowed difference, relative to the largest element of the gradient. The
        default is 1e-7, or 1e-3 for float32; it is larger if the terms of a
        gradient cancel, as at the minimum of a loss.
    reveal : bool
        If false, no verdict tells a right number, for grading.
    lang : str, optional
        The language of the verdicts, such as ``"zh"``. The default is that of the
        environment variable ``TINYGRAD_EDU_LANG``, or else English.

    Returns
    -------
    Comparison
        One row per parameter, in the order of backpropagation: the last layer first. So
        the first wrong row is where you made the slip; later ones may have inherited
        it. A verdict names the slips of the catalogue that give exactly your numbers;
        ``lesson`` is the page of the documentation about them. It is true if all rows
        agree, and so is ``verdict.is_right`` of each row, in every language; ``print``
        shows a table.

    Raises
    ------
    ValueError
        If there is not one array per parameter, if the loss is not a single number that
        depends on them, if a value that it was computed from has changed, or if there
        is no catalogue of the language.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> loss = (w * w).sum()
    >>> (row,) = tg.compare([-2.0 * w.data], loss, [w])
    >>> row.verdict, row.lesson
    ('wrong: its sign is flipped', 'lessons/01-one-path')
    >>> tg.compare([-2.0 * w.data], loss, [w], lang="zh")[0].verdict
    '错误：符号反了'
    """
    frame = sys._getframe(1)
    with speaking(lang):
        if not isinstance(loss, Tensor) or loss.size != 1 or not loss.requires_grad:
            raise ValueError(
                "compare: the loss must be a Tensor with one number, computed from the "
                "parameters by recorded ops"
            )
        parameters, arrays = _read(mine, wrt)
        nodes = checked_graph("compare", loss, frame)
        names = {id(x): printable(name) for name, x in parameters.items()}
        names |= names_of(loss, frame, parameters) | _numbers(nodes, frame)
        case = Case(Quantities(nodes, names), parameters, arrays)
        tolerances = {
            name: case.tolerance(p) if rtol is None else rtol
            for name, p in parameters.items()
        }
        search = Search(case, arrays, tolerances)
        order = _in_backward_order(nodes, parameters)
        return Comparison(_row(search, name, reveal) for name in order)


def _read(mine: Any, wrt: Any) -> tuple[dict[str, Tensor], dict[str, Array]]:
    """Return the parameters and the gradients derived by hand, by name."""
    if callable(mine):
        mine = mine()
        if mine is None:
            raise TypeError(
                say_also(
                    "compare: your function returned None; end it with a return of the "
                    "gradients"
                )
            )
    parameters = _by_name(wrt, mine)
    if _is_two_lists(mine, parameters):
        mine = _merged(mine, parameters)
    if isinstance(wrt, Tensor) and not isinstance(mine, Mapping | list | tuple):
        mine = [mine]
    if not isinstance(mine, Iterable):
        raise TypeError(
            "compare: mine must be a list of arrays, or a dict of name to array, not a "
            f"{type(mine).__name__}"
        )
    return parameters, _arrays_by_name(mine, parameters)


def _row(search: Search, name: str, reveal: bool) -> ComparedParameter:
    right = search.case.replay.right.gradient(search.case.parameters[name])
    wrong = difference(search.mine[name], right)
    verdict, lesson = Judgement(say("right"), is_right=True), ""
    if not wrong <= search.tolerance[name]:
        verdict, lesson = _verdict(search, name, right, reveal)
    return ComparedParameter(printable(name), right.shape, wrong, verdict, lesson)


def _numbers(nodes: Iterable[Node], frame: FrameType) -> dict[int, str]:
    """Name the plain numbers of a graph that are variables of the caller."""
    variables = (frame.f_globals | frame.f_locals).items()
    # In one file, ``lr = 0.5`` and the 0.5 of a loss are the same object.
    floats = {id(x): name for name, x in variables if isinstance(x, float) and x != 0.5}
    every = {id(x) for node in nodes for x in node.inputs}
    return {i: printable(name) for i, name in floats.items() if i in every}


def _verdict(
    search: Search, name: str, right: Array, reveal: bool
) -> tuple[Judgement, str]:
    mine = search.mine[name]
    if not np.isfinite(mine).all():
        return _wrong(say("it has a NaN or an infinity")), ""
    finding = search.finding(name)
    if finding is not None:
        return _wrong(finding.says), finding.lesson
    step = search.step_of_differences(name)
    if step is not None:
        says = say(
            "close: this is a forward difference with the step {step:g}, whose error "
            "is as large as that; derive the formula",
            step=step,
        )
        return Judgement(says), "is-my-gradient-right"
    whole = _with_learning_rate(mine, right, search.case.parameters[name].data)
    if whole is not None:
        return _wrong(whole), "lessons/07-training"
    return _wrong(_worst_element(mine, right, reveal)), ""


def _wrong(says: str) -> Judgement:
    return Judgement(say("wrong: {slip}", slip=says), says)


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


def _is_two_lists(mine: Any, parameters: Mapping[str, Tensor]) -> bool:
    """Whether it is ``(nabla_b, nabla_w)``, or the other way round."""
    return (
        isinstance(mine, list | tuple)
        and len(mine) == 2
        and len(parameters) > 1
        and all(isinstance(each, list | tuple) for each in mine)
        and len(mine[0]) + len(mine[1]) == len(parameters)
    )


def _merged(mine: Any, parameters: Mapping[str, Tensor]) -> list[Any]:
    """Put the gradients of two lists in the order of the parameters."""
    biases, weights = map(list, mine)
    arrays = []
    for p in parameters.values():
        order = [weights, biases] if p.ndim == 2 else [biases, weights]
        left = [each for each in order if each]
        fitting = [each for each in left if _has_shape_of(p, each[0])]
        arrays.append((fitting or left)[0].pop(0))
    return arrays


def _has_shape_of(p: Tensor, gradient: Any) -> bool:
    """Whether a gradient has the shape of a parameter, or is the column of a bias."""
    return np.shape(gradient) == p.shape or (
        p.ndim == 1 and np.shape(gradient) == (p.size, 1)
    )


def _arrays_by_name(mine: Any, parameters: Mapping[str, Tensor]) -> dict[str, Array]:
    if not isinstance(mine, Mapping):
        arrays = list(mine)
        if len(arrays) != len(parameters):
            raise ValueError(
                say_also(
                    "compare: there are {given} arrays for {wanted} parameters: "
                    "{names}",
                    given=len(arrays),
                    wanted=len(parameters),
                    names=_listed(parameters),
                )
            )
        mine = dict(zip(parameters, arrays))
    if mine.keys() != parameters.keys():
        raise ValueError(
            say_also(
                "compare: the gradients are for {given}, and the parameters are "
                "{names}",
                given=_listed(mine),
                names=_listed(parameters),
            )
        )
    found = {name: _as_floats(name, array) for name, array in mine.items()}
    for name, p in parameters.items():
        if _has_shape_of(p, found[name]):
            found[name] = found[name].reshape(p.shape)
    return found


def _as_floats(name: Any, gradient: Any) -> Array:
    if gradient is None:
        raise ValueError(
            say_also(
                "compare: the gradient for {name} is None; was backward() called?",
                name=printable(name),
            )
        )
    array = np.asarray(gradient.data if isinstance(gradient, Node) else gradient)
    if array.dtype.kind not in "biufO":
        raise TypeError(
            say_also(
                "compare: the gradient for {name} must be an array of real numbers, "
                "but its dtype is {dtype}",
                name=printable(name),
                dtype=array.dtype,
            )
        )
    return array.astype(float)


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(printable, names))


def _in_backward_order(
    nodes: Iterable[Node], parameters: Mapping[str, Tensor]
) -> list[str]:
    """List the names of the parameters in the order of backpropagation."""
    names = {id(p): name for name, p in parameters.items()}
    visited = [names[id(x)] for node in nodes for x in node.inputs if id(x) in names]
    last_first = list(dict.fromkeys(reversed(visited)))
    return list(dict.fromkeys([*reversed(last_first), *parameters]))


def _with_learning_rate(mine: Array, right: Array, w: Array) -> str | None:
    """Recognise a gradient times a number, and a parameter that was updated."""
    is_plain = right.size == 1 and is_round(right.item())  # any ratio may be round
    if mine.shape != right.shape or not right.any() or is_plain:
        return None
    for array, says in (
        (
            mine,
            say(
                "it is {rate:.4g} times what it should be: is it multiplied by a "
                "learning rate, or divided by another n?"
            ),
        ),
        (
            w - mine,
            say(
                "it is the updated parameter, with the learning rate {rate:.4g}: give "
                "the gradient"
            ),
        ),
    ):
        rate = float(np.vdot(array, right) / np.vdot(right, right))
        if rate and is_round(rate) and difference(array, rate * right) < 1e-6:
            return says.format(rate=rate)
    return None


def _worst_element(array: Array, gradient: Array, reveal: bool) -> str:
    if array.shape != gradient.shape:
        return say("it has the shape {shape}", shape=array.shape)
    worst = np.unravel_index(np.argmax(np.abs(array - gradient)), array.shape)
    numbers = {"mine": array[worst], "right": gradient[worst]}
    place = [int(i) for i in worst]
    if reveal and place:
        return say(
            "it is {mine:.4g} and should be {right:.4g} at {place}",
            **numbers,
            place=place,
        )
    if reveal:
        return say("it is {mine:.4g} and should be {right:.4g}", **numbers)
    if place:
        return say(
            "no common slip explains it; it differs most at {place}", place=place
        )
    return say("no common slip explains it")
