"""What must hold of the inputs for a program to be right, besides the arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import Program
from tinygrad_edu.compiler.recording.accesses import References
from tinygrad_edu.compiler.recording.arguments import is_argument
from tinygrad_edu.compiler.recording.inputs import Inputs
from tinygrad_edu.compiler.recording.tape import Tape
from tinygrad_edu.engine.tensor import Tensor

__all__ = ["conditions_of"]


def conditions_of(program: Program, tape: Tape, refer: References) -> Iterator[str]:
    """Yield the conditions, in the order in which they are asked."""
    inputs = tape.inputs
    accesses = {memory.first: access for memory, access in inputs.accesses.items()}
    used = {x: accesses[x] for x in program.inputs}
    written = [used[x] for x in program.updates]
    yield from inputs.conditions
    yield from _of_arguments(inputs, refer)
    given = [a for x, a in used.items() if is_argument(a) and x.dtype is not None]
    read = [access for access in given if access not in written]
    changed = [access for access in given if access in written]
    others = [access for access in written if access not in given]
    if read and others:
        are_views = any(refer.evaluate(access).base is not None for access in others)
        both = f"{_tuple(read)}, {_tuple(others)}"
        yield f"{refer(_are_apart)}({both}, {are_views})"
    for x, truth in tape.guards:
        yield f"bool({accesses[x]}) is {truth}"
    for key, tensor in inputs.tensors.items():
        access = inputs.access(tensor)
        if not is_argument(access):
            yield f"{access}.requires_grad is {tensor.requires_grad}"
        if key in inputs.read:
            is_none = "is" if tensor.accumulated is None else "is not"
            yield f"{access}.accumulated {is_none} None"
    arrays: dict[str, Any] = {}
    for x, access in used.items():
        if is_argument(access) or access in inputs.drawn:
            continue
        if x.dtype is None:
            yield f"{access}.__class__ in {refer((int, float))}"
        else:
            arrays[access] = refer.evaluate(access)
    if arrays:
        # In most calls they are those of the last call, so ask that first.
        same = " and ".join(f"{access} is {refer(x)}" for access, x in arrays.items())
        known = [(x, x.shape, x.dtype, type(x)) for x in arrays.values()]
        places = {i for i, access in enumerate(arrays) if access in written}
        rest = f"{_tuple(given)}, {refer(known)}, {refer(places)}"
        yield f"({same} or {refer(_fit)}({_tuple(arrays)}, {rest}))"
    if changed:
        yield f"{refer(_are_alone)}({_tuple(changed)}, {_tuple([*read, *arrays])})"


def _tuple(accesses: Iterable[str]) -> str:
    return f"({''.join(f'{access}, ' for access in accesses)})"


def _of_arguments(inputs: Inputs, refer: References) -> Iterator[str]:
    """Yield which Tensors among the arguments are the same one, and which are not."""
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


def _fit(arrays: Any, given: Any, known: Any, written: set[int]) -> bool:
    """Whether arrays can be in place of the known ones.

    Those that are written to must be apart from all others, and from the arguments.
    """
    for x, (before, shape, dtype, kind) in zip(arrays, known):
        if x is not before and (
            x.shape != shape or x.dtype != dtype or x.__class__ is not kind
        ):
            return False
    to_write = [arrays[i] for i in written]
    for i, x in enumerate(arrays if written else ()):
        if x is not known[i][0]:
            others = (*given, *arrays[:i], *arrays[i + 1 :])
            if not _are_apart((x,), others if i in written else to_write):
                return False
    return True


def _are_apart(
    given: Iterable[Any], written: Iterable[Any], are_views: bool = True
) -> bool:
    """Whether no array that is given has memory of one that is written to."""
    for x in given:
        may_share = are_views or x.base is not None
        for array in written:
            if x is array or (may_share and np.may_share_memory(x, array)):
                return False
    return True


def _are_alone(changed: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    """Whether arrays have no memory of others, nor of one another."""
    ids = {*map(id, changed)}
    if len(ids) < len(changed) or not ids.isdisjoint(map(id, others)):
        return False
    every = (*changed, *others)
    views = [x for x in every if x.base is not None]  # others own their memory
    return not any(
        x is not view and np.may_share_memory(x, view)
        for view in views
        for x in (every if id(view) in ids else changed)
    )
