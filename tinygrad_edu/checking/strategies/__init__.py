"""Calls of ops that Hypothesis thinks of.

What a call may look like is read from the op's declaration: values are of moderate
size, and apart from the ends of the input's domain, from its excluded points and from
the op's kinks, so that differences of the answer tell the derivative. Two tables hold
what a declaration does not tell: `PARAMETERS`, what to pass for a parameter, and
`LAYOUTS`, the few ops whose shapes and parameters depend on each other.
"""

from tinygrad_edu.support.extras import missing

try:
    import hypothesis as hypothesis
except ImportError as error:
    raise missing("hypothesis", "tinygrad_edu.testing", str(error)) from error

from tinygrad_edu.checking.strategies.calls import (
    DIAGONALS,
    FROM_KINKS,
    Array,
    Call,
    arrays,
    calls,
    show,
    strung,
    values_in,
)
from tinygrad_edu.checking.strategies.layouts import LAYOUTS, shapes_for
from tinygrad_edu.checking.strategies.parameters import PARAMETERS, choices

__all__ = [
    "DIAGONALS",
    "FROM_KINKS",
    "LAYOUTS",
    "PARAMETERS",
    "Array",
    "Call",
    "arrays",
    "calls",
    "choices",
    "shapes_for",
    "show",
    "strung",
    "values_in",
]
