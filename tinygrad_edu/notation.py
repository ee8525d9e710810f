"""How formulas are written: as text, and as LaTeX."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.formula import Call, Derivative, Formula, Name, Product, Sum
from tinygrad_edu.op import Op
from tinygrad_edu.templates import Strength, strength_needed, strength_of

__all__ = ["in_latex", "in_text", "latex_name", "numeral"]

Factors = list[tuple[Formula, float]]


class Written(NamedTuple):
    """A piece of text, and how strongly it holds together."""

    text: str
    strength: Strength


def in_text(x: Formula) -> str:
    """Write a formula as text: ``h2 (1 - h2)``."""
    return _Text().write(x).text


def in_latex(x: Formula) -> str:
    r"""Write a formula as LaTeX: ``h_2 \, \left( 1 - h_2 \right)``."""
    return _Latex().write(x).text


def numeral(x: float) -> str:
    """Write a number that is not negative: 0.25 as 1/4, if that is exact.

    Examples
    --------
    >>> numeral(0.25), numeral(2.0), numeral(0.3)
    ('1/4', '2', '0.3')
    """
    if float(x).is_integer() and x < 1e15:
        return str(int(x))
    if 1e-3 <= x < 1:
        fraction = Fraction(x).limit_denominator(1000)
        if fraction.numerator == 1 and float(fraction) == x:
            return str(fraction)
    return f"{x:.12g}"


class _Notation(ABC):
    """What all notations share: the order of things, and where brackets go."""

    space: str  # between a number and what it multiplies

    @abstractmethod
    def name(self, x: Name) -> Written: ...
    @abstractmethod
    def call(self, x: Call) -> Written: ...
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
            case Call(op=op) if op.name == "reshape" and _only_adds_axes(x):
                return self.write(x.arguments[0])
        assert isinstance(x, Call)
        return self.call(x)

    def within(self, written: Written, least: Strength) -> str:
        """Put brackets round what holds together less than it must."""
        is_loose = written.strength < least
        return self.bracket(written.text) if is_loose else written.text

    def sum(self, x: Sum) -> Written:
        first, *rest = (self.write(term) for term in x.terms)
        text = first.text
        for written in rest:
            term = written.text
            text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
        return Written(text, Strength.SUM)

    def product(self, x: Product) -> Written:
        above = [(factor, n) for factor, n in x.factors if n > 0]
        below = [(factor, -n) for factor, n in x.factors if n < 0]
        written = self.quotient(abs(x.coefficient), above, below)
        if x.coefficient >= 0:
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

    def filled(self, template: str, x: Call) -> Written:
        """Write an op's template with its inputs and parameters in their places."""
        needed = strength_needed(template)
        places = {k: self.parameter(k, value) for k, value in x.params.items()}
        for name, argument in zip(x.op.inputs, x.arguments):
            least = needed.get(name, Strength.SUM)
            places[name] = self.within(self.write(argument), least)
        text = self.tidied(template.format(**places)).replace("+ -", "- ")
        return Written(text, strength_of(template))


class _Text(_Notation):
    space = " "

    def bracket(self, text: str) -> str:
        return f"({text})"

    def between(self, a: Formula, b: Formula) -> str:
        """Write "*" between arrays, as NumPy does, and between derivatives."""
        return " * " if (a.shape and b.shape) or _is_derivative(a, b) else " "

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{exponent if exponent.isdigit() else self.bracket(exponent)}"

    def name(self, x: Name) -> Written:
        return Written(x.text, Strength.POWER if _is_derivative(x) else Strength.ATOM)

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

    def call(self, x: Call) -> Written:
        template = _as_text(x.op.tex or "")
        if template is not None:
            return self.filled(template, x)
        arguments = [self.write(a).text for a in x.arguments]
        if x.op.variadic:
            arguments = [f"[{', '.join(arguments)}]"]
        params = [
            f"{name}={_parameter(value)}"
            for name, value in x.params.items()
            if not _is_default(x.op, name, value)
        ]
        return Written(f"{x.op.name}({', '.join(arguments + params)})", Strength.ATOM)

    def parameter(self, name: str, value: Any) -> str:
        return _parameter(value)

    def tidied(self, text: str) -> str:
        """Turn what little LaTeX is left into text: x_{0} into x[0]."""
        text = re.sub(r"_\{([^{}]*)\}", r"[\1]", text)
        text = re.sub(r"\^\{(\w+)\}", r"^\1", text)
        return re.sub(r"\^\{([^{}]*)\}", r"^(\1)", text)


class _Latex(_Notation):
    space = r" \, "

    def bracket(self, text: str) -> str:
        return rf"\left( {text} \right)"

    def between(self, a: Formula, b: Formula) -> str:
        if a.shape and b.shape:
            return r" \odot "
        return r" \cdot " if _is_derivative(a, b) else r" \, "

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def name(self, x: Name) -> Written:
        if not isinstance(x, Derivative):
            return Written(latex_name(x.text), Strength.ATOM)
        d = r"\partial " if x.partial else "d"
        text = rf"\frac{{{d}{latex_name(x.of)}}}{{{d}{latex_name(x.by)}}}"
        if x.via is not None:
            text += rf" \text{{ via }} {latex_name(x.via)}"
        return Written(text, Strength.POWER)

    def quotient(self, size: float, above: Factors, below: Factors) -> Written:
        top, _, bottom = numeral(size).partition("/")
        if below:
            over = self.side_by_side("" if top == "1" else top, above)
            under = self.side_by_side(bottom, below)
            return Written(rf"\frac{{{over.text}}}{{{under.text}}}", Strength.POWER)
        if not bottom:
            return self.side_by_side("" if top == "1" else top, above)
        written = self.side_by_side(rf"\frac{{{top}}}{{{bottom}}}", above)
        return written if above else Written(written.text, Strength.POWER)

    def call(self, x: Call) -> Written:
        if x.op.tex:
            return self.filled(x.op.tex, x)
        arguments = ", ".join(self.write(a).text for a in x.arguments)
        return Written(rf"{_operator(x.op.name)}({arguments})", Strength.ATOM)

    def parameter(self, name: str, value: Any) -> str:
        if value is None:
            return ""
        said = f"axis {_parameter(value)}" if name == "axis" else _parameter(value)
        return rf"\text{{{said}}}"

    def tidied(self, text: str) -> str:
        return text.replace("_{}", "")


def _is_derivative(*formulas: Formula) -> bool:
    return any(isinstance(x, Derivative) for x in formulas)


def _only_adds_axes(x: Call) -> bool:
    """Whether a reshape only adds or removes axes of size 1."""
    before, after = ([n for n in s if n != 1] for s in (x.arguments[0].shape, x.shape))
    return before == after


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
    return value is default or (np.ndim(value) == 0 and value == default)


def _parameter(value: Any) -> str:
    """Write a parameter, an index as it stands between its brackets."""
    match value:
        case slice(start=start, stop=stop, step=step):
            bounds = ["" if x is None else str(x) for x in (start, stop)]
            return ":".join([*bounds, str(step)] if step else bounds)
        case tuple() if value:
            return ", ".join(map(_parameter, value))
        case np.ndarray():
            return "..." if value.size > 6 else str(value.tolist())
    return "..." if value is Ellipsis else str(value)


# --- Names in LaTeX -------------------------------------------------------------------

_GREEK = frozenset(
    """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho
    sigma tau upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi
    Psi Omega""".split()  # noqa: SIM905
)
_ESCAPES = {"\\": r"\backslash ", "~": r"\sim ", "^": r"\wedge "}


def latex_name(name: str) -> str:
    r"""Write a name: w1 with an index, theta2 with a Greek letter, loss upright.

    Examples
    --------
    >>> print(latex_name("w1"), latex_name("theta2"), latex_name("loss"))
    w_1 \theta_2 \mathrm{loss}
    """
    stem, index = re.sub(r"_?\d+\Z", "", name), re.search(r"\d+\Z", name)
    if not stem or index is None:
        return _letters(name)
    number = index[0]
    return f"{_letters(stem)}_{number if len(number) == 1 else f'{{{number}}}'}"


def _letters(word: str) -> str:
    if word in _GREEK:
        return f"\\{word}"
    if len(word) == 1 and word.isalpha():
        return word
    escaped = (_ESCAPES.get(c, rf"\{c}") if c in r"\{}$&#%_^~" else c for c in word)
    return rf"\mathrm{{{''.join(escaped)}}}"


def _operator(name: str) -> str:
    escaped = name.replace("_", r"\_")
    return rf"\operatorname{{{escaped}}}"
