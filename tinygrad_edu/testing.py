"""Property-based checks for ops of your own; see `checking.properties`."""

from tinygrad_edu.checking.properties import (
    CHECKS,
    Call,
    arrays,
    calls,
    check_op,
    shapes_for,
    values_in,
)

__all__ = ["CHECKS", "Call", "arrays", "calls", "check_op", "shapes_for", "values_in"]
