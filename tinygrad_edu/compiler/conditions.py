"""What must hold of the inputs for a program to be right, besides the arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.compiler.accesses import References
from tinygrad_edu.compiler.arguments import is_argument
from tinygrad_edu.compiler.inputs import Inputs
from tinygrad_edu.compiler.program import Program, Variable
from tinygrad_edu.compiler.tape import Tape
from tinygrad_edu.engine.tensor import Tensor

__all__ = ["conditions_of"]


def conditions_of(program: Program, tape: Tape, refer: References) -> Iterator[str]:
    """Give what must hold of a program's inputs, in the order in which it is asked."""
    inputs = tape.inputs
    accesses = {memory.first: access for memory, access in inputs.accesses.items()}
    used = {x: accesses[x] for x in program.inputs}
    written = [used[x] for x in program.updates]
    yield from inputs.conditions
    yield from _of_arguments(inputs, refer)
    given = [
        access
        for x, access in used.items()
        if is_argument(access) and access not in written
        if x.dtype is not None and isinstance(refer.evaluate(access), np.ndarray)
    ]
    if given and written:
        yield f"apart(({', '.join(given)},), ({', '.join(written)},))"
    for x, truth in tape.guards:
        yield f"bool({accesses[x]}) is {truth}"
    for key, tensor in inputs.tensors.items():
        access = inputs.access(tensor)
        if not is_argument(access):
            yield f"{access}.requires_grad is {tensor.requires_grad}"
        if key in inputs.read:
            is_none = "is" if tensor.accumulated is None else "is not"
            yield f"{access}.accumulated {is_none} None"
    yield from _of_arrays(used, written, inputs.drawn, refer)


def _of_arguments(inputs: Inputs, refer: References) -> Iterator[str]:
    """Give which of the Tensors that are arguments are the same, and which not."""
    data, captured = inputs.arguments.data, inputs.captured.tensors
    tensors = {a: x for a, x in data.items() if isinstance(x, Tensor)}
    given = set(map(id, tensors.values()))
    found = captured | inputs.tensors
    others = frozenset(x for key, x in found.items() if key not in given)
    first: dict[int, str] = {}
    for access, x in tensors.items():
        if id(x) in captured:
            yield f"{access} is {refer(x)}"
        elif others:
            yield f"{access} not in {refer(others)}"
        if first.setdefault(id(x), access) != access:
            yield f"{access} is {first[id(x)]}"
    if len(first) > 1:
        yield f"len({{*map(id, ({', '.join(first.values())}))}}) == {len(first)}"


def _of_arrays(
    used: dict[Variable, str], written: list[str], drawn: set[str], refer: References
) -> Iterator[str]:
    """Give what must hold of the arrays and numbers that are read afresh."""
    arrays = [a for x, a in used.items() if x.ndim and a not in drawn]
    place_of = {access: i for i, access in enumerate(arrays)}
    # Read by functions, so that no condition is as long as the list of inputs.
    all_written, all_arrays = _read_all(written, refer), _read_all(arrays, refer)
    all_but, are_written = refer(_all_but), set(written)
    for x, access in used.items():
        if is_argument(access) or access in drawn:
            continue
        if x.dtype is None:
            yield f"{access}.__class__ in {refer((int, float))}"
            continue
        # In most calls that is the same array as in the last, so ask that first.
        array = refer.evaluate(access)
        others = all_written
        if access in are_written:
            others = f"{all_but}({all_arrays}, {place_of.get(access)})"
        is_new = (
            f"{access}.shape == {x.shape} "
            f"and {access}.dtype == {refer(x.dtype)} "
            f"and {access}.__class__ is {refer(type(array))} "
            f"and apart(({access},), {others})"
        )
        yield f"({access} is {refer(array)} or {is_new})"


def _read_all(accesses: Iterable[str], refer: References) -> str:
    """Write a call that gives the values of expressions, as a tuple."""
    values = "".join(f"{access}, " for access in accesses)
    function = refer.evaluate(f"lambda args, kwargs: ({values})")
    return f"{refer(function)}(args, kwargs)"


def _all_but(values: tuple[Any, ...], i: int | None) -> tuple[Any, ...]:
    return tuple(x for j, x in enumerate(values) if j != i)
