"""`explain`: the derivation of a gradient, from the user's own graph and numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import Node
from tinygrad_edu.explaining.derivation import Derivation, Line, Link
from tinygrad_edu.formulas.algebra import Name, added, names_in
from tinygrad_edu.formulas.naming import names_of
from tinygrad_edu.formulas.shares import checked_graph
from tinygrad_edu.formulas.symbols import numbers_in_latex
from tinygrad_edu.formulas.writing import in_latex, in_text
from tinygrad_edu.support.language import say, speaking, spoken
from tinygrad_edu.support.printable import columns_of, name_of
from tinygrad_edu.support.table import aligned

__all__ = ["Explanation", "explain"]

MOST_PATHS = 12  # with more paths, the chain rule is written node by node
LONGEST_PATH = 60
MOST_CHAINS = 20  # gradients that are shown; wrt= selects others
MOST_NUMBERS = 6  # in an array that is shown in full
MOST_CHARACTERS = 24  # of an array in the table
LINE_LENGTH = 79

Write = Callable[..., str]  # takes a formula, and optionally the shape to show


def explain(y: Any, wrt: Any = None, *, lang: str | None = None) -> Explanation:
    r"""Derive the gradient of `y`, as you would by hand.

    First, a table lists each quantity with its formula and derivatives. Then the chain
    rule multiplies the derivatives along each path, from `y` back to the quantity to
    differentiate with respect to, and adds up the paths. The derivatives come from the
    ops' own backward rules.

    A quantity has the name of its Tensor, ``Tensor(..., name="w1")`` or
    ``z.name = "z"``. Without that, it has the name of your variable; a module's
    parameter has its path, conv1.kernel; a layer's values are z1, a1, ... All other
    quantities are numbered in the order of computation, t1, t2, ..., as in `draw` and
    `step_through`. If an intermediate result has no name, its formula is written into
    the line that uses it, unless the derivative would become hard to read.

    For arrays, ``*`` multiplies element by element (in LaTeX :math:`\odot`); a matrix
    product is written without a sign.

    Parameters
    ----------
    y : Tensor
        A single number with a recorded graph, which ``backward()`` has not released.
    wrt : Tensor or sequence of Tensor, optional
        The quantities to differentiate with respect to: any that `y` depends on. By
        default, all leaves that require a gradient.
    lang : str, optional
        The language of the words, such as ``"zh"``. The default is that of the
        environment variable ``TINYGRAD_EDU_LANG``, or else English.

    Returns
    -------
    Explanation
        ``print`` it or show it in a notebook; it has ``to_markdown()`` and
        ``to_latex()``.

    Raises
    ------
    TypeError
        If `y` or `wrt` is not a Tensor.
    ValueError
        If `y` is not a single number or has no graph, if its graph was released, if a
        value that it was computed from has changed, if `y` does not depend on `wrt`, or
        if there is no catalogue of the language.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(2.0, requires_grad=True)
    >>> u = x * x
    >>> y = u * x
    >>> print(tg.explain(y))
    function  first derivative      value  shape
    y = u x   ∂y/∂x = u, dy/du = x  8      ()
    u = x^2   du/dx = 2 x           4      ()
    <BLANKLINE>
    given: x = 2
    <BLANKLINE>
    dy/dx = ∂y/∂x + dy/du * du/dx
    ∂y/∂x = u = 4
    dy/du * du/dx = 2 x^2 = 2 * 4 = 8
    dy/dx = 4 + 8 = 12
    """
    frame = sys._getframe(1)
    nodes = checked_graph("explain", y, frame)
    wanted = _wanted(nodes, wrt)
    names = names_of(y, frame)
    try:
        with speaking(lang):
            return Explanation(nodes, names, wanted)
    except RecursionError:
        raise ValueError(
            "explain: the formula for an op's rule is too long to be written"
        ) from None


def _wanted(nodes: list[Node], wrt: Any) -> list[Node]:
    """Return the quantities to differentiate with respect to; raise if not in graph."""
    if wrt is None:
        return [x for x in reversed(nodes) if x.op is None and x.requires_grad]
    wanted = (
        list(wrt) if isinstance(wrt, Iterable) and not isinstance(wrt, Node) else [wrt]
    )
    behind = set(nodes)
    for x in wanted:
        if not isinstance(x, Node):
            raise TypeError(
                f"explain: wrt must be a Tensor or several, not {type(x).__name__}; "
                "only a Tensor has a gradient"
            )
        called = f"{name!r}" if (name := name_of(x)) else "a Tensor in wrt"
        if x not in behind:
            raise ValueError(
                f"explain: y was not computed from {called}, so it has no derivative "
                "with respect to it"
            )
        if not x.requires_grad:
            raise ValueError(
                f"explain: {called} is a constant; create it with requires_grad=True"
            )
    return wanted


def _in_its_language(write: Callable[[Explanation], str]) -> Callable[..., str]:
    """Let a method write in the language of the explanation."""

    @wraps(write)
    def written(self: Explanation) -> str:
        with speaking(self._lang):
            return write(self)

    return written


class Explanation:
    """A derivation. It prints as text; a notebook shows it as formulas.

    `explain` makes it; ``.derivation`` holds its formulas.
    """

    def __init__(
        self, nodes: list[Node], names: dict[int, str], wanted: list[Node]
    ) -> None:
        self.derivation = Derivation(nodes, names, wanted)
        self._lang = spoken()
        self._wanted, self._rest = wanted[:MOST_CHAINS], wanted[MOST_CHAINS:]

    def rows(self) -> list[tuple[str, list[str]]]:
        """Return the table as text: each function, and its derivatives."""
        lines = (self._row(line, in_text) for line in self.derivation.lines)
        return [(function, derivatives) for function, derivatives, *_ in lines]

    @_in_its_language
    def __str__(self) -> str:
        rows: list[Sequence[str]] = [_header()]
        for each in self.derivation.lines:
            function, derivatives, *rest = self._row(each, in_text)
            line = ", ".join(derivatives)
            fits = len(line) <= LINE_LENGTH // 2
            first, *others = [line] if fits else derivatives
            rows.append((function, first, *rest))
            rows += (("", other, "", "") for other in others)
        given = _in_width(say("given: "), self._given(in_text))
        chains = (
            "\n".join(map(_in_lines, self._chain(x, in_text))) for x in self._wanted
        )
        return "\n\n".join([aligned(rows), given, *chains, *self._left_out()])

    __repr__ = __str__

    @_in_its_language
    def to_markdown(self) -> str:
        """Return the derivation as Markdown, with formulas between dollar signs."""
        header = _header()
        rows = [header, ("---",) * len(header)]
        for function, derivatives, *rest in self._rows_in_latex():
            rows.append((f"${function}$", f"${derivatives}$", *rest))
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        given = say("given: ")
        given += ", ".join(f"${part}$" for part in self._given(in_latex))
        return "\n\n".join([table, given, *self._chains_in_latex(), *self._left_out()])

    _repr_markdown_ = to_markdown

    @_in_its_language
    def to_latex(self) -> str:
        """Return the derivation as LaTeX, in display mode."""
        rows = [tuple(map(_upright, _header()))]
        for function, derivatives, *rest in self._rows_in_latex():
            rows.append((function, derivatives, *map(_upright, rest)))
        table = " \\\\\n".join(map(" & ".join, rows)).replace("\n", " \\hline\n", 1)
        array = f"\\begin{{array}}{{l|l|l|l}}\n{table}\n\\end{{array}}"
        word, given = say("given"), r",\quad ".join(self._given(in_latex))
        parts = [array, rf"{_upright(word)}\quad {given}"]
        return "\n\n".join([*map(_displayed, parts), *self._chains_in_latex()])

    _repr_latex_ = to_latex

    # --- The table --------------------------------------------------------------------

    def _row(self, line: Line, write: Write) -> tuple[str, list[str], str, str]:
        """Write a quantity's formula, derivatives, value and shape."""
        derivatives = [
            f"{write(left)} = {write(right, left.shape)}"
            for left, right in map(self.derivation.equation, line.links)
        ]
        value = line.y.data
        return (
            f"{write(self.derivation.quantities[line.y])} = "
            f"{write(line.formula, value.shape)}",
            derivatives,
            _in_short(value),
            str(value.shape),
        )

    def _rows_in_latex(self) -> Iterator[tuple[str, ...]]:
        for line in self.derivation.lines:
            function, derivatives, *rest = self._row(line, in_latex)
            yield function, r",\quad ".join(derivatives), *rest

    def _given(self, write: Write) -> list[str]:
        """Write the leaves and constants that the derivation mentions.

        A leaf that cancels in a formula may still be mentioned in its derivative.
        """
        lines, quantities = self.derivation.lines, self.derivation.quantities
        links = [link for line in lines for link in line.links]
        formulas = [line.formula for line in lines]
        formulas += [link.factor or link.cotangent for link in links]
        formulas += [quantities[x] for x in (self.derivation.y, *(z.x for z in links))]
        mentioned = names_in(*formulas)
        leaves = [name for node, name in quantities.items() if node.op is None]
        return [
            f"{write(x)} = {value}"
            if (value := _numbers(x.data, write))
            else _of_shape(x, write)
            for x in [*leaves, *self.derivation.constants]
            if x in mentioned
        ]

    # --- The chain rule ---------------------------------------------------------------

    def _chains_in_latex(self) -> list[str]:
        chains = []
        for x in self._wanted:
            equations = [
                f"{left} &= " + " \\\\\n&= ".join(rights)
                for left, *rights in self._chain(x, in_latex)
            ]
            lines = " \\\\\n".join(equations)
            chains.append(_displayed(f"\\begin{{aligned}}\n{lines}\n\\end{{aligned}}"))
        return chains

    def _left_out(self) -> list[str]:
        """Return a sentence that counts the gradients that are not shown."""
        n = len(self._rest)
        return [say("{n} more: ask for them by explain(y, wrt=...)", n=n)] if n else []

    def _chain(self, x: Node, write: Write) -> list[list[str]]:
        """Derive the gradient with respect to `x`: equations, each a list of terms."""
        paths = self.derivation.paths(x, MOST_PATHS, LONGEST_PATH)
        if paths is None:  # as reverse mode does it: each gradient sums over its uses
            return [
                _distinct([write(z), write(sums, z.shape), _numbers(z.data, write)])
                for z, sums in self.derivation.back_to(x)
            ]
        total = self.derivation.cotangents[x]
        lines = [self._path(path, write) for path in paths]
        value = _numbers(total.data, write)
        if len(lines) == 1:
            return [_distinct([write(total), *lines[0], value])]
        symbols = added(*(self.derivation.along(path)[0] for path in paths))
        equations = [[write(total), write(symbols, total.shape)]]
        equations += map(_distinct, lines)
        if value:
            values = _joined(" + ", [line[-1] for line in lines])
            equations.append(_distinct([write(total), values, value]))
        return equations

    @np.errstate(all="ignore")
    def _path(self, path: Sequence[Link], write: Write) -> list[str]:
        """Write a path as symbols, as formulas, as a product of numbers, as a value."""
        symbols, written = self.derivation.along(path)
        factors = [link.factor for link in path if link.factor is not None]
        numbers = ""
        is_scalar = all(link.x.data.ndim == 0 for link in path)
        if factors and len(factors) == len(path) and is_scalar:
            times = " * " if write is in_text else r" \cdot "
            numbers = _joined(times, [_numbers(f.value, write) for f in factors])
        shape = written.shape
        formulas = [write(symbols, shape), write(written, shape)]
        return [*formulas, numbers, _numbers(written.value, write)]


def _header() -> tuple[str, ...]:
    return say("function"), say("first derivative"), say("value"), say("shape")


def _distinct(parts: list[str]) -> list[str]:
    """Leave out empty parts, and parts that repeat the one before."""
    parts = list(filter(None, parts))
    return [x for x, before in zip(parts, ["", *parts]) if x != before]


def _in_lines(equation: list[str]) -> str:
    """Write an equation; if it is too long, each ``=`` on a line of its own."""
    line = " = ".join(equation)
    if len(line) <= LINE_LENGTH:
        return line
    left, *rights = equation
    return f"{left} = " + f"\n{' ' * len(left)} = ".join(rights)


def _shown(x: Any) -> str:
    """Write a number or a small array; "" for a large one."""
    x = np.asarray(x)
    if not x.ndim:
        return f"{x:.4g}"
    if x.size > MOST_NUMBERS:
        return ""
    if not x.size:
        return "[]"
    return f"[{', '.join(map(_shown, x))}]"


def _numbers(x: Any, write: Write) -> str:
    """Write a number or a small array in the notation of `write`."""
    return _shown(x) if write is in_text else numbers_in_latex(_shown(x))


def _in_short(x: Any) -> str:
    """Write a number or a short array; of a longer one, the range."""
    text = _shown(x)
    if 0 < len(text) <= MOST_CHARACTERS:
        return text
    return say("{least} to {most}", least=_shown(x.min()), most=_shown(x.max()))


def _in_width(head: str, parts: list[str]) -> str:
    """Join parts with commas, on several lines if they are long."""
    lines = [head + parts[0]]
    for part in parts[1:]:
        if columns_of(f"{lines[-1]}, {part}") <= LINE_LENGTH:
            lines[-1] += f", {part}"
        else:
            lines[-1] += ","
            lines.append(" " * columns_of(head) + part)
    return "\n".join(lines)


def _joined(operator: str, numbers: list[str]) -> str:
    """Join numbers with an operator; negative ones are in brackets."""
    first, *rest = numbers
    return operator.join([first, *(f"({x})" if x[0] == "-" else x for x in rest)])


def _of_shape(x: Name, write: Write) -> str:
    if write is in_text:
        return say("{x} of shape {shape}", x=write(x), shape=x.shape)
    return say(r"{x} \text{{ of shape }} {shape}", x=write(x), shape=x.shape)


def _upright(text: str) -> str:
    return rf"\text{{{text}}}"


def _displayed(text: str) -> str:
    return f"$$\n{text}\n$$"
