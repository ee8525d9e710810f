"""Write formulas as text and as LaTeX."""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from itertools import dropwhile
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import Params
from tinygrad_edu.engine.op import Op
from tinygrad_edu.formulas.algebra import (
    Applied,
    Derivative,
    Formula,
    Name,
    Product,
    Sum,
    common_shape,
    times,
)
from tinygrad_edu.formulas.brackets import (
    Strength,
    Written,
    strength_needed,
    strength_of,
)
from tinygrad_edu.formulas.symbols import (
    latex_name,
    numbers_in_latex,
    numeral,
    operator_name,
    words,
)
from tinygrad_edu.support.printable import printable

__all__ = [
    "copied",
    "in_latex",
    "in_text",
    "parameter_in_text",
    "parameters_of",
    "write_index",
]

Shape = tuple[int, ...]
Factors = list[tuple[Formula, float]]

ONES = "ones"  # an array that is full of them
MANY = 8  # inputs of an op that are written in full


def in_text(x: Formula, shape: Shape | None = None) -> str:
    """Write a formula as text: ``h2 (1 - h2)``; and how it fills a larger shape."""
    words = "" if shape is None else copied(x, shape)
    return f"{_Text().write(x).text} {words}".rstrip()


def in_latex(x: Formula, shape: Shape | None = None) -> str:
    r"""Write a formula as LaTeX: ``h_2 \, \left( 1 - h_2 \right)``."""
    said = "" if shape is None else copied(x, shape)
    return _Latex().write(x).text + (said and rf" \text{{ {said}}}")


def copied(x: Formula, shape: Shape) -> str:
    """Say how what is written of a formula fills a shape, if it is of a smaller one.

    Examples
    --------
    >>> row = Name((3,), "r", np.ones(3))
    >>> copied(row, (4, 3)), copied(row, (1, 3)), copied(Product((), 2.0, ()), (4, 3))
    ('copied to each row', '', 'in each element')
    """
    written = _shape_written(x)
    extra = len(shape) - len(written)
    small = (1,) * extra + written[max(-extra, 0) :]
    axes = [i for i, (n, m) in enumerate(zip(small, shape)) if n != m]
    if not axes:
        return ""
    if all(n == 1 for n in small):
        return "in each element"
    if len(shape) == 2:
        return f"copied to each {('row', 'column')[axes[0]]}"
    return f"copied along axis {' and '.join(map(str, axes))}"


def _shape_written(x: Formula) -> Shape:
    """Return the shape of what is written: nothing is seen of what it is copied to."""
    match x:
        case Product(factors=factors):
            parts = [factor for factor, _ in factors]
        case Applied(op=op) if _change_of_axes(x) == "" or op.elementwise:
            parts = list(x.arguments)
        case Sum(terms=terms):
            parts = list(terms)
        case _:
            return x.shape
    return common_shape(*map(_shape_written, parts))


class _Notation(ABC):
    """The base of all notations: order of factors and terms, and brackets."""

    space: str  # between a number and what it multiplies
    dots: str

    @abstractmethod
    def name(self, x: Name) -> Written: ...
    @abstractmethod
    def call(self, x: Applied) -> Written: ...
    @abstractmethod
    def quotient(self, size: float, above: Factors, below: Factors) -> Written: ...
    @abstractmethod
    def bracket(self, text: str) -> str: ...
    @abstractmethod
    def between(self, a: Formula, b: Formula) -> str: ...
    @abstractmethod
    def raised(self, base: str, exponent: str) -> str: ...
    @abstractmethod
    def parameter(self, name: str, value: Any) -> str: ...
    @abstractmethod
    def tidied(self, text: str) -> str: ...

    def write(self, x: Formula) -> Written:
        match x:
            case Name():
                return self.name(x)
            case Sum():
                return self.sum(x)
            case Product():
                return self.product(x)
        assert isinstance(x, Applied)
        axes = _change_of_axes(x)
        if axes is not None:  # a reshape that only adds or removes axes of size 1
            (inner,) = x.arguments
            return self.indexed(inner, axes) if axes else self.write(inner)
        if not x.op.elementwise:
            x = dataclasses.replace(x, arguments=tuple(map(_filled_up, x.arguments)))
        return self.call(x)

    def indexed(self, x: Formula, axes: str) -> Written:
        """Write ``x[:, None]``."""
        template = "{x}_{{{index}}}"
        text = self.within(self.write(x), Strength.ATOM)
        return Written(
            self.tidied(self.placed(template, x=text, index=axes)), Strength.ATOM
        )

    def placed(self, template: str, **places: str) -> str:
        """Insert written parts into the places of a template."""
        return template.format(**places)

    def within(self, written: Written, least: Strength) -> str:
        """Add brackets if an expression is weaker than the place needs."""
        return written.within(least, self.bracket)

    def sum(self, x: Sum) -> Written:
        text = ""
        for term in x.terms:
            sign, size = "+", term
            if isinstance(term, Product) and term.coefficient < 0:
                sign, size = (
                    "-",
                    dataclasses.replace(term, coefficient=-term.coefficient),
                )
            size_text = self.within(self.write(size), Strength.PRODUCT)
            text += f" {sign} {size_text}" if text else f"{sign}{size_text}".lstrip("+")
        return Written(text, Strength.SUM)

    def product(self, x: Product) -> Written:
        above = [(factor, n) for factor, n in x.factors if n > 0]
        below = [(factor, -n) for factor, n in x.factors if n < 0]
        written = self.quotient(abs(x.coefficient), above, below)
        if not x.coefficient < 0:  # NaN has no sign
            return written
        return Written(f"-{self.within(written, Strength.PRODUCT)}", Strength.SUM)

    def side_by_side(self, coefficient: str, factors: Factors) -> Written:
        """Write a number and factors next to each other."""
        if not factors:
            return Written(coefficient or "1", Strength.ATOM)
        if not coefficient and len(factors) == 1:
            return self.power(*factors[0])
        text, before = coefficient, None
        for i, (factor, n) in enumerate(factors, 1):
            if before is not None:
                text += self.between(before, factor)
            elif coefficient:
                text += self.space
            is_last = i == len(factors)
            least = Strength.FUNCTION if is_last else Strength.POWER
            text += self.within(self.power(factor, n), least)
            before = factor
        return Written(text, Strength.PRODUCT)

    def power(self, base: Formula, n: float) -> Written:
        written = self.write(base)
        if n == 1:
            return written
        base_text = self.within(written, Strength.ATOM)
        return Written(self.raised(base_text, numeral(n)), Strength.POWER)

    def filled(self, template: str, x: Applied) -> Written:
        """Write an op's template with its inputs and parameters in their places."""
        needed = strength_needed(template)
        places = {k: self.parameter(k, value) for k, value in x.params.items()}
        for name, argument in zip(x.op.inputs, x.arguments):
            least = needed.get(name, Strength.SUM)
            places[name] = self.within(self.write(argument), least)
        text = self.tidied(self.placed(template, **places)).replace("+ -", "- ")
        return Written(text, strength_of(template))

    def arguments(self, x: Applied) -> list[str]:
        """Write what stands in an op's brackets; of very many inputs, some."""
        inputs = x.arguments
        texts = [self.write(a).text for a in inputs[:MANY]]
        if len(inputs) > MANY:
            texts = [*texts[:3], self.dots, self.write(inputs[-1]).text]
        if x.op.variadic:
            texts = [f"[{', '.join(texts)}]"]
        return texts

    def params(self, x: Applied) -> list[str]:
        """Write the parameters that differ from their defaults."""
        return [f"{k}={text}" for k, text in parameters_of(x.op, x.params).items()]


class _Text(_Notation):
    space = " "
    dots = "..."

    def bracket(self, text: str) -> str:
        return f"({text})"

    def between(self, a: Formula, b: Formula) -> str:
        """Write "*" between arrays, as NumPy does, and between derivatives."""
        are_arrays = a.shape and b.shape
        return " * " if are_arrays or Derivative in (type(a), type(b)) else " "

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{exponent if exponent.isdigit() else self.bracket(exponent)}"

    def name(self, x: Name) -> Written:
        is_fraction = isinstance(x, Derivative)
        return Written(x.text, Strength.POWER if is_fraction else Strength.ATOM)

    def quotient(self, size: float, above: Factors, below: Factors) -> Written:
        number = numeral(size)
        top = self.side_by_side("" if number == "1" else number, above)
        if "/" in number and not above:
            top = Written(number, Strength.PRODUCT)
        if not below:
            return top
        under = self.within(self.side_by_side("", below), Strength.FUNCTION)
        over = self.within(top, Strength.PRODUCT)
        return Written(f"{over} / {under}", Strength.PRODUCT)

    def call(self, x: Applied) -> Written:
        template = _as_text(x.op.tex or "")
        if template is not None:
            return self.filled(template, x)
        inside = ", ".join(self.arguments(x) + self.params(x))
        return Written(f"{x.op.name}({inside})", Strength.ATOM)

    def parameter(self, name: str, value: Any) -> str:
        return parameter_in_text(name, value)

    def tidied(self, text: str) -> str:
        """Turn what little LaTeX is left into text: x_{0} into x[0]."""
        text = re.sub(r"_\{([^{}]*)\}", r"[\1]", text)
        text = re.sub(r"\^\{(\w+)\}", r"^\1", text)
        return re.sub(r"\^\{([^{}]*)\}", r"^(\1)", text)


class _Latex(_Notation):
    space = r" \, "
    dots = r"\dots"

    def bracket(self, text: str) -> str:
        return rf"\left( {text} \right)"

    def between(self, a: Formula, b: Formula) -> str:
        if a.shape and b.shape:
            return r" \odot "
        return r" \cdot " if Derivative in (type(a), type(b)) else r" \, "

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def name(self, x: Name) -> Written:
        if not isinstance(x, Derivative):
            text = r"\mathbf{1}" if x.text == ONES else latex_name(x.text)
            return Written(text, Strength.ATOM)
        d = r"\partial " if x.partial else "d"
        text = rf"\frac{{{d}{latex_name(x.of)}}}{{{d}{latex_name(x.by)}}}"
        if x.via:
            text += rf" \text{{ via }} {latex_name(x.via)}"
        return Written(text, Strength.POWER)

    def quotient(self, size: float, above: Factors, below: Factors) -> Written:
        top, _, bottom = numbers_in_latex(numeral(size)).partition("/")
        if below:
            over = self.side_by_side("" if top == "1" else top, above)
            under = self.side_by_side(bottom, below)
            return Written(rf"\frac{{{over.text}}}{{{under.text}}}", Strength.POWER)
        if not bottom:
            return self.side_by_side("" if top == "1" else top, above)
        written = self.side_by_side(rf"\frac{{{top}}}{{{bottom}}}", above)
        return written if above else Written(written.text, Strength.POWER)

    def call(self, x: Applied) -> Written:
        if x.op.tex:
            return self.filled(x.op.tex, x)
        params = [words(text) for text in self.params(x)]
        inside = r",\; ".join(self.arguments(x) + params)
        return Written(rf"{operator_name(x.op.name)}({inside})", Strength.ATOM)

    def parameter(self, name: str, value: Any) -> str:
        if value is None:
            return ""
        said = parameter_in_text(name, value)
        return words(f"axis {said}" if name == "axis" else said)

    def placed(self, template: str, **places: str) -> str:
        """Put braces round what gets an index: it may have one already."""
        for name, text in places.items():
            if f"{{{name}}}_" in template and "_" in text:
                places[name] = f"{{{text}}}"
        return template.format(**places)

    def tidied(self, text: str) -> str:
        return text.replace("_{}", "")


def _filled_up(x: Formula) -> Formula:
    """Write out what a number, or a row, is repeated to, where the shape matters."""
    if not isinstance(x, Product) or not x.shape:
        return x
    if common_shape((), *(factor.shape for factor, _ in x.factors)) == x.shape:
        return x
    return times(x, Name(x.shape, ONES, np.ones(x.shape)))


def _change_of_axes(x: Applied) -> str | None:
    """Return the index that adds or removes axes of size 1, if that is all a call does.

    It is empty if nothing is to be seen of it: arrays are aligned from the right.
    """
    if x.op.name != "reshape":
        return None
    before, after = list(x.arguments[0].shape), list(x.shape)
    if [n for n in before if n != 1] != [n for n in after if n != 1]:
        return None
    if _without_leading(before) == _without_leading(after):
        return ""
    index = []
    while before or after:
        if before and after and before[0] == after[0]:
            index.append(":")
            del before[0], after[0]
        elif after and after[0] == 1:
            index.append("None")
            del after[0]
        else:
            index.append("0")
            del before[0]
    return ", ".join(index)


def _without_leading(shape: list[int]) -> list[int]:
    """Leave out the axes of size 1 that a shape begins with."""
    return list(dropwhile(lambda n: n == 1, shape))


@cache
def _as_text(template: str) -> str | None:
    r"""Return a template that reads as text: "{x}^T", but not "e^{x}".

    Of LaTeX's commands only the logarithm may occur in it.
    """
    template = re.sub(r"\\log \{(\w+)\}", r"log({\1})", template)
    template = template.replace(r"\log(", "log(")
    reads = template.startswith("{") and "\\" not in template
    return template if reads else None


def _is_default(op: Op, name: str, value: Any) -> bool:
    default = op.defaults[name]
    several = isinstance(value, tuple | list | np.ndarray)
    return value is default or (not several and value == default)


def parameters_of(op: Op, params: Params) -> dict[str, str]:
    """Write the parameters that differ from their defaults."""
    return {
        name: parameter_in_text(name, value)
        for name, value in params.items()
        if not _is_default(op, name, value)
    }


def parameter_in_text(name: str, value: Any) -> str:
    """Write a parameter as one passes it; an index as it stands in its brackets.

    Examples
    --------
    >>> parameter_in_text("index", (slice(1, None), None, np.array([0, 2])))
    '1:, None, [0, 2]'
    """
    if name == "index" or isinstance(value, np.ndarray):
        return write_index(value, _entry).removesuffix(",")
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    return printable(value)


def _entry(x: Any) -> str:
    """Write one part of an index, which may be an array of integers."""
    if isinstance(x, np.ndarray):
        return "..." if x.size > 6 else str(x.tolist())
    return str(x)


def write_index(index: Any, write: Callable[[Any], str]) -> str:
    """Write an index as it stands in its brackets, with `write` for its entries."""
    if isinstance(index, tuple) and index:
        return ", ".join(_part(i, write) for i in index) + "," * (len(index) == 1)
    return _part(index, write)


def _part(i: Any, write: Callable[[Any], str]) -> str:
    if isinstance(i, slice):
        bounds = ["" if b is None else write(b) for b in (i.start, i.stop)]
        return ":".join(bounds) + (f":{write(i.step)}" if i.step is not None else "")
    return "..." if i is Ellipsis else write(i)
