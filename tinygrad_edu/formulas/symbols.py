"""Write numbers and names as mathematics."""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = [
    "escaped",
    "latex_name",
    "numbers_in_latex",
    "numeral",
    "operator_name",
    "words",
]

_GREEK = frozenset(
    """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho
    sigma tau upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi
    Psi Omega""".split()  # noqa: SIM905
)
# Nothing of HTML's and Markdown's either: LaTeX may stand in a page of theirs.
_ESCAPES = {
    "\\": r"\backslash ",
    "~": r"\sim ",
    "^": r"\wedge ",
    "|": r"\vert ",
    "<": r"\lt ",
    ">": r"\gt ",
    "*": r"\ast ",
    "`": r"\backprime ",
    " ": r"\ ",
}


def numeral(x: float) -> str:
    """Write a number that is not negative: 0.25 as 1/4, if that is exact.

    Examples
    --------
    >>> numeral(0.25), numeral(2.0), numeral(0.3)
    ('1/4', '2', '0.3')
    """
    if float(x).is_integer() and x < 1e15:
        return str(int(x))
    decimal = f"{x:.12g}"
    if 1e-3 <= x < 100:
        fraction = Fraction(x).limit_denominator(1000)
        is_unit, is_short = fraction.numerator == 1, len(decimal) <= 6
        if float(fraction) == x and (is_unit or not is_short):
            return str(fraction)
    return decimal


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
    return rf"\mathrm{{{escaped(word)}}}"


def escaped(text: str) -> str:
    return "".join(_ESCAPES.get(c, rf"\{c}" if c in "{}$&#%_" else c) for c in text)


def words(text: str) -> str:
    r"""Write what is no formula, in upright letters.

    Examples
    --------
    >>> print(words("axis 0"), words("a^b"))
    \text{axis 0} \mathrm{a\wedge b}
    """
    plain = "".join(rf"\{c}" if c in "{}$&#%_" else c for c in text)
    is_plain = not set(text) & (_ESCAPES.keys() - {" "})
    return rf"\text{{{plain}}}" if is_plain else rf"\mathrm{{{escaped(text)}}}"


def operator_name(name: str) -> str:
    return rf"\operatorname{{{escaped(name)}}}"


def numbers_in_latex(text: str) -> str:
    r"""Write numbers as mathematics.

    Examples
    --------
    >>> print(numbers_in_latex("2.5e-07"), numbers_in_latex("-inf"))
    2.5 \cdot 10^{-7} -\infty
    """
    text = re.sub(r"e([+-])0*(\d+)", _power_of_ten, text)
    text = re.sub(r"(?<![\d.])1 \\cdot 10", "10", text)
    return text.replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")


def _power_of_ten(match: re.Match[str]) -> str:
    sign, exponent = match.groups()
    return rf" \cdot 10^{{{sign.strip('+')}{exponent}}}"
