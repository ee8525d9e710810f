"""Einstein notation: a product of arrays, summed over chosen axes."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

from tinygrad_edu.engine.graph import Params
from tinygrad_edu.engine.op import Op
from tinygrad_edu.ops.indexing import add_at
from tinygrad_edu.ops.shapes import broadcast_to, expand_dims

LABELS = ascii_uppercase + ascii_lowercase  # NumPy sorts letters in this order
NUMBERS = range(len(LABELS))


class Einsum(Op):
    """The op `einsum`, which accepts both of NumPy's call forms.

    It converts them to one form: a list of operands, and subscripts with one letter for
    each axis of each operand and of the output.
    """

    __signature__ = signature(lambda subscripts, *arrays, optimize=False: ...)

    def _bind(
        self, args: tuple[Any, ...], params: Params
    ) -> tuple[tuple[Any, ...], Params | None]:
        if "subscripts" not in params:
            operands, subscripts = _operands_and_subscripts(args)
            args, params = (operands,), params | {"subscripts": subscripts}
        arrays, bound = super()._bind(args, params)
        given = bound or {}  # never None, since subscripts are required
        ndims = [np.ndim(x) for x in arrays]
        return arrays, given | {"subscripts": _explicit(given["subscripts"], ndims)}

    def __str__(self) -> str:
        return f"{self.name}{self.__signature__}"


def _operands_and_subscripts(args: tuple[Any, ...]) -> tuple[list[Any], str]:
    """Read ``"ij,jk->ik", a, b``, or ``a, [0, 1], b, [1, 2], [0, 2]``."""
    if args and isinstance(args[0], str):
        return list(args[1:]), args[0]
    pairs = len(args) // 2 * 2
    subscripts = ",".join(map(_letters, args[1:pairs:2]))
    if len(args) > pairs:
        subscripts += "->" + _letters(args[-1])
    return list(args[:pairs:2]), subscripts


def _letters(labels: Any) -> str:
    """Convert a list of axis numbers to letters."""
    try:
        return "".join("..." if n is ... else LABELS[NUMBERS.index(n)] for n in labels)
    except (TypeError, ValueError):
        raise TypeError(
            "einsum: name the axes by letters, einsum('ij,jk->ik', a, b), or by lists "
            "of integers below 52, einsum(a, [0, 1], b, [1, 2], [0, 2]), "
            f"not by {labels!r}"
        ) from None


def _explicit(subscripts: str, ndims: list[int]) -> str:
    """Replace each ellipsis by letters, and add the output's letters if missing."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ndims):
        raise ValueError(
            f"einsum: {subscripts!r} names the axes of {len(terms)} operands, but "
            f"the call has {len(ndims)}"
        )
    unnamed = [n - len(term.replace("...", "")) for term, n in zip(terms, ndims)]
    for term, ndim, n in zip(terms, ndims, unnamed):
        if n < 0 or (n > 0 and "..." not in term):
            raise ValueError(
                f"einsum: {term!r} in {subscripts!r} does not fit an operand of {ndim} "
                "dimensions; write one letter per axis, or '...' for several axes"
            )
    most = max(unnamed)
    free = "".join(c for c in ascii_letters if c not in subscripts)[:most]
    if not arrow:
        once = sorted(c for c in inputs if c.isalpha() and inputs.count(c) == 1)
        output = "..." + "".join(once)
    elif most and "..." not in output:
        raise ValueError(
            f"einsum: {subscripts!r} has '...' for {most} axes of the operands, but "
            "no '...' in the output; to sum over axes, name them by letters"
        )
    written = [term.replace("...", free[most - n :]) for term, n in zip(terms, unnamed)]
    return f"{','.join(written)}->{output.replace('...', free)}"


def _einsum(*arrays: Any, subscripts: Any, optimize: Any = False) -> Any:
    """Compute the sum of products described by NumPy's einsum subscripts.

    The subscripts name each axis of each operand by a letter. Axes with the same letter
    are multiplied element by element. Letters that are not in the output are summed
    over.
    """
    return np.einsum(subscripts, *arrays, optimize=optimize)


def _einsum_arrays(
    g: Any, y: Any, *arrays: Any, subscripts: str, optimize: Any
) -> Callable[[int], Any]:
    """Compute an einsum in which g and the operand have changed places."""
    inputs, output = subscripts.split("->")

    def of_operand(i: int) -> Any:
        terms, operands = inputs.split(","), list(arrays)
        x, letters = operands[i], terms[i]
        operands[i], terms[i] = g, output

        names = list(dict.fromkeys(letters))
        alone = [k for k, c in enumerate(names) if not any(c in term for term in terms)]
        summed = "".join(c for k, c in enumerate(names) if k not in alone)
        to_letters = f"{','.join(terms)}->{summed}"
        part = einsum(operands, subscripts=to_letters, optimize=optimize)
        # An axis that only this operand has was summed over: its elements share g.
        part = expand_dims(part, alone)
        sizes = dict(zip(letters, x.shape))
        shape = np.broadcast_shapes(part.shape, tuple(sizes.values()))
        if part.shape != shape:
            part = broadcast_to(part, shape)
        if len(names) == len(letters):
            return part
        # A letter that occurs twice took the diagonal only. (An axis of size 1 was
        # broadcast.)
        places = dict(zip(names, np.ix_(*map(range, part.shape))))
        diagonal = tuple(places[c] % n for c, n in zip(letters, x.shape))
        return add_at(part, diagonal, x.shape)

    return of_operand


def _einsum_stacks(stacked: Any, *arrays: Any, subscripts: str, optimize: Any) -> Any:
    """Give the axis of the examples a letter of its own."""
    letter = next(c for c in LABELS if c not in subscripts)
    inputs, output = subscripts.split("->")
    terms = [letter * s + term for term, s in zip(inputs.split(","), stacked)]
    subscripts = f"{','.join(terms)}->{letter}{output}"
    return einsum(arrays, subscripts=subscripts, optimize=optimize)


einsum = Einsum(_einsum, selects=True).vjp(arrays=_einsum_arrays).vmap(_einsum_stacks)
