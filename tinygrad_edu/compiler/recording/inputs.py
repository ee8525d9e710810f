"""The inputs of one run: all that the function uses from outside.

Each array and number there becomes an input of the program, with the expression that
gives its value at every call. In its place stands an `Array` or a `Number` for a while.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_edu.compiler.naming import short_path
from tinygrad_edu.compiler.program import Variable, same_dtype
from tinygrad_edu.compiler.recording.accesses import References, Site
from tinygrad_edu.compiler.recording.arguments import Arguments
from tinygrad_edu.compiler.recording.captured import Captured, is_lent
from tinygrad_edu.compiler.recording.memory import Memory
from tinygrad_edu.compiler.recording.refusals import Line, place
from tinygrad_edu.compiler.recording.stand_ins import Array, Number
from tinygrad_edu.engine.graph import Node, current_mode, new_index
from tinygrad_edu.engine.tensor import Tensor

__all__ = ["Inputs"]


class Inputs:
    """The inputs that a run has come to so far.

    Attributes
    ----------
    line : tuple
        Where the function is.
    arguments, captured
        The function's, for both runs.
    accesses : dict of Memory to str
        All of them, with the expressions for their values.
    conditions : list of str
        What must hold of optimisers that the function's code does not lead to.
    tensors : dict of int to Tensor
        Those from outside that are used, by `id`.
    gradients : dict of int to Tensor or None
        By the `id` of the Tensor: what they are at first, where it matters.
    read : set of int
        Those among them whose gradient was there, or not, at first.
    used : dict of int to Tensor
        Gradients that an optimiser has used, by their `id`.
    bound : dict of Memory to Tensor
        The Tensors that had this memory at first.
    sites : list of tuple
        The places, what they hold outside of the run, and the stand-ins.
    drawn, remembered : set of str
        The expressions of random numbers, and of what optimisers remember.
    made : list of tuple
        References to all Arrays and Tensors, with the lines that made them.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        arguments: Arguments,
        captured: Captured,
        refer: References,
        first: Sequence[tuple[Variable, str]],
    ) -> None:
        code = getattr(inspect.unwrap(f), "__code__", None)
        self.line: Line = (
            (code.co_filename, code.co_firstlineno) if code else (repr(f),)
        )
        self._refer = refer
        self.arguments, self.captured = arguments, captured
        self._found = [captured]  # and what belongs to other optimisers
        self._first = first  # those of the first run, with their expressions
        self._start = new_index()
        self.accesses: dict[Memory, str] = {}
        self.conditions: list[str] = []
        self.tensors: dict[int, Tensor] = {}
        self.gradients: dict[int, Any] = {}
        self.read: set[int] = set()
        self.used: dict[int, Any] = {}
        self.bound: dict[Memory, Any] = {}
        self.sites: list[tuple[Site, Any, Any]] = []
        self.drawn: set[str] = set()
        self.remembered: set[str] = set()
        self.made: list[tuple[ref[Node], Line]] = []
        self._memories: dict[int, Memory] = {}  # of Tensors and arrays, by id
        self._given: dict[int, str] = {}  # Tensors that are arguments: where
        self._before: list[tuple[Any, Any, Any]] = []  # Tensors, as they were
        self._frozen = [x for x in captured.masks if x.flags.writeable]

    # --- Stand-ins, and their end -----------------------------------------------------

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Put stand-ins in all places; put everything back at the end."""
        try:
            for mask in self._frozen:
                mask.flags.writeable = False
            self._lend(self.captured)
            yield
        finally:
            for tensor, array, gradient in self._before:
                tensor.array, tensor.accumulated = array, gradient
            for site, value, _ in reversed(self.sites):
                site.set(value)
            for mask in self._frozen:
                mask.flags.writeable = True

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Put the arrays back for a while, for a function that is one step."""
        stand_ins = [(site, site.get()) for site, _, _ in self.sites]
        try:
            for site, value, _ in self.sites:
                site.set(value)
            yield
        finally:
            for site, stand_in in stand_ins:
                site.set(stand_in)

    def _lend(self, captured: Captured) -> None:
        for site in captured.sites.values():
            value = site.get()
            stand_in = self._stand_in(value, site)
            self.sites.append((site, value, stand_in))
            site.set(stand_in)

    def forget(self) -> None:
        """Drop the stand-ins."""
        self.sites, self.gradients, self.used = [], {}, {}

    # --- Binding ----------------------------------------------------------------------

    def _bind(
        self, value: Any, access: str, path: str, writable: bool = False
    ) -> Memory:
        """Make something an input of the program."""
        shape = np.shape(value)
        dtype = getattr(value, "dtype", None)  # a Python number has none
        variable = Variable(shape, dtype, short_path(path))
        variable.contiguous = not shape or value.flags.c_contiguous
        if len(self.accesses) < len(self._first):
            before, known = self._first[len(self.accesses)]
            same_kind = before.shape == shape and same_dtype(before.dtype, dtype)
            if same_kind and known == access:
                variable = before
        memory = Memory(variable, path, writable)
        self.accesses[memory] = access
        return memory

    def _stand_in(self, x: Any, site: Site) -> Any:
        """Return the stand-in for an array or a number, or a tuple of stand-ins."""
        access, path = site.access, site.path
        if isinstance(x, tuple):
            parts = [
                self._stand_in(
                    part, site._replace(access=f"{access}[{i}]", path=f"{path}[{i}]")
                )
                for i, part in enumerate(x)
            ]
            return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
        if not is_lent(x):
            return self._input(x, access, path) if site.of_optimiser else x
        if site.of_optimiser:
            self.remembered.add(access)
        memory = self._memories.get(id(x))
        if memory is None:
            memory = self._bind(x, access, path, writable=site.of_optimiser)
            self._memories[id(x)] = memory
        return self._array(x, memory)

    def _input(self, x: Any, access: str, path: str) -> Any:
        """Make something an input; return its stand-in."""
        memory = self._bind(x, access, path)
        if memory.first.dtype is None:
            return Number(x, memory.first, True)
        return self._array(x, memory)

    def _array(self, x: Any, memory: Memory) -> Array:
        """Return an Array, which must not be kept."""
        array = Array.of(np.asarray(x), memory, isinstance(x, np.generic))
        self.made.append((ref(array), self.line))
        return array

    def stand_ins(self) -> dict[str, Any]:
        """Return the stand-ins for the data among the arguments, by expression."""
        found: dict[str, Any] = {}
        for access, x in self.arguments.data.items():
            name = "_".join(re.findall(r"\w+", self.arguments.paths[access]))
            if isinstance(x, Tensor):
                self._given.setdefault(id(x), access)
                self.captured.paths.setdefault(id(x), name)
                found[access] = x
                self.memory_of(x)  # in the order of the arguments
            else:
                found[access] = self._input(x, access, name)
        return found

    def sample(self, draw: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Make random numbers an input of the program, drawn anew before each run.

        Not so those of something made inside, which is a new one in each run.
        """
        if not self.captured.knows(draw.__self__):
            return draw(shape, dtype)
        whose, of = draw.__self__, self._refer(np.dtype(dtype))
        access = f"{self._refer(whose)}.{draw.__name__}({shape}, {of})"
        self.drawn.add(access)
        name = f"{draw.__name__}{len(self.drawn)}"
        return self._input(np.ones(shape, dtype), access, name)

    # --- Tensors ----------------------------------------------------------------------

    def is_outside(self, node: Any) -> bool:
        """Whether a Tensor was there before the function ran."""
        return bool(node.index < self._start)

    def known(self, array: Any) -> Memory | None:
        """Return the memory of an array that was found outside."""
        return self._memories.get(id(array))

    def memory_of(self, x: Any) -> Memory | None:
        """Return the memory of a Tensor that the tape meets first."""
        if not self.is_outside(x):
            return self.known(x.array)
        if (known := self.known(x)) is not None:
            return known
        if x.op is not None and current_mode.get().recording:
            name = f" {x.name}" * bool(x.name)
            raise TypeError(
                f"compile: the function uses a Tensor{name} that was computed "
                f"outside of it, at {place()}, and its gradient would be lost; compute "
                "it inside, or take its detach()"
            )
        array = f"{self.access(x)}.array"
        memory = self._bind(x.array, array, self.path(x), writable=True)
        self._memories[id(x)] = memory
        self.bound[memory] = x
        return memory

    def path(self, tensor: Any) -> str:
        """Say what the user calls a Tensor."""
        return tensor.name or self.captured.paths.get(id(tensor)) or "x"

    def access(self, tensor: Any) -> str:
        """Return the expression for a Tensor from outside, which may be changed."""
        key = id(tensor)
        if key not in self.tensors:
            self.tensors[key] = tensor
            self._before.append((tensor, tensor.array, tensor.accumulated))
        return self._given.get(key) or self._refer(tensor)

    def see(self, leaf: Any, is_read: bool) -> tuple[Tensor, Memory] | None:
        """Have the gradient of a leaf be an input, unless it is overwritten first.

        Return its stand-in and the memory.
        """
        if not self.is_outside(leaf) or id(leaf) in self.gradients:
            return None
        access, gradient = self.access(leaf), leaf.accumulated
        self.gradients[id(leaf)] = gradient
        if is_read:
            self.read.add(id(leaf))
        if not is_read or gradient is None:
            return None
        of, path = f"{access}.accumulated.array", f"grad_{self.path(leaf)}"
        leaf.accumulated = self.gradients[id(leaf)] = Tensor(gradient.array)
        return leaf.accumulated, self._bind(gradient.array, of, path, writable=True)

    # --- Optimisers -------------------------------------------------------------------

    def lend(self, optimiser: Any) -> None:
        """Read an optimiser's numbers and state afresh, if that is not yet done."""
        if not any(found.knows(optimiser) for found in self._found):
            found = Captured({self._refer(optimiser): optimiser}, self._refer)
            self._found.append(found)
            self.conditions += found.conditions
            self._lend(found)
