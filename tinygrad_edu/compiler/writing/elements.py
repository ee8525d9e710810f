"""How one element of an array is written: that of a view is one of what it looks at.

No view is made for it: the index is computed, and Numba compiles that away.
"""

from __future__ import annotations

import copy
import math
import operator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_edu.compiler.expressions import write_view
from tinygrad_edu.compiler.namespace import Namespace
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.scheduling import is_view

__all__ = ["Elements"]


class Elements:
    """Writes elements, arrays and constants of a program.

    Attributes
    ----------
    names : dict of Variable to str
        Asked only for what is written.
    constants : dict of str to str
        By value, the names of constants and types.
    """

    def __init__(
        self,
        program: Program,
        in_place: dict[Variable, Variable],
        space: Namespace,
        names: dict[Variable, str],
    ) -> None:
        self._in_place, self._space, self.names = in_place, space, names
        self._inputs = set(program.inputs)
        self._views = {e.output: e for e in program.equations if is_fixed_view(e)}
        self.constants: dict[str, str] = {}

    def renamed(self, names: dict[Variable, str]) -> Elements:
        """Return what writes the same with other names."""
        other = copy.copy(self)
        other.names = names
        return other

    def element(self, x: Variable, index: list[str]) -> str:
        """Write an element; what has no dimensions and is computed is a number."""
        if x in self._views:
            e = self._views[x]
            return self.element(e.args[0], _index_below(e, index))
        if x.shape or x in self._in_place:
            return f"{self.array(x)}[{', '.join(index) or '()'}]"
        is_given = x in self._inputs or x.constant is not None
        if is_given and x.dtype is not None:  # an array, or a number of NumPy's
            return f"{self.array(x)}.item()"
        return self.names[x]

    def is_flat(self, x: Variable) -> bool:
        """Whether the elements lie in memory one after the other."""
        if x in self._views:
            e = self._views[x]
            return e.function is np.reshape and self.is_flat(e.args[0])
        return self._in_place.get(x, x).contiguous

    def flat(self, x: Variable, index: str) -> str:
        """Write the element with a number: right of any array, fast if `is_flat`."""
        while x in self._views:
            x = self._views[x].args[0]
        return f"{self.array(x)}.flat[{index}]"

    def array(self, x: Variable) -> str:
        """Write an array, or a view of one."""
        if x.constant is not None:
            return self.constant(x.constant)
        if x not in self._views:
            return self.names[self._in_place.get(x, x)]
        e = self._views[x]
        inner = self.array(e.args[0])
        if e.function is np.reshape:  # which Numba has for contiguous arrays only
            inner = f"np.ascontiguousarray({inner})"
        return write_view(e, inner, self._space.write)

    def constant(self, value: Any) -> str:
        """Write a known value: an ordinary number as it is, others by a name."""
        if type(value) is np.float64 and math.isfinite(value):
            text = repr(float(value))
            return f"({text})" if text.startswith("-") else text
        text = self._space.value(value)
        if text not in self.constants:
            self.constants[text] = self._space.taken.numbered("c")
        return self.constants[text]

    def cast(self, dtype: Any, text: str) -> str:
        """Write a number of a type."""
        return f"{self.type(dtype)}({text})"

    def type(self, dtype: Any) -> str:
        """Write the name of a type of numbers."""
        name = dtype.name if dtype.kind != "b" else "bool_"
        return self.constants.setdefault(self._space.dtype(dtype), name)


def is_fixed_view(e: Equation) -> bool:
    """Whether an equation looks at memory in a way that no number decides."""
    plain = len(e.inputs) == 1 and len(e.args) <= 2 and not e.params
    return plain and is_view(e) and e.output.size > 0


def _index_below(e: Equation, index: list[str]) -> list[str]:
    """Return where an element of a view is in the array that it looks at."""
    old = e.args[0].shape
    if e.function is np.reshape:
        return _reshaped(old, e.output.shape, index)
    args = e.args[1:]
    if e.function is operator.getitem:
        (key,) = args
        parts = key if isinstance(key, tuple) else (key,)
        args = (parts if Ellipsis in parts else (*parts, ...),)  # an array, no number
    found = []
    for axis in range(len(old)):
        # Here an element's address is its index along the axis; it is never read.
        strides = [int(k == axis) for k in range(len(old))]
        array = as_strided(np.empty(1, np.int8), old, strides)
        view = e.function(array, *args)
        terms = [
            i if step == 1 else f"({i}) * {step}"
            for i, step in zip(index, view.strides)
            if step
        ]
        start = view.ctypes.data - array.ctypes.data
        if start or not terms:
            terms.append(str(start))
        found.append(" + ".join(terms))
    return found


def _reshaped(
    old: tuple[int, ...], new: tuple[int, ...], index: list[str]
) -> list[str]:
    """Go through both shapes in the smallest blocks of axes that have equal sizes."""
    before, after = (np.cumprod(shape).tolist() for shape in (old, new))
    ends = {1, *before} & {1, *after}
    found: list[str] = []
    for n, size in zip(old, before):
        if n == 1:
            found.append("0")
            continue
        start = max(k for k in ends if k < size)
        end = min(k for k in ends if k >= size)
        text = ""  # the number of the element in its block
        for m, k, i in zip(new, after, index):
            if m > 1 and start < k <= end:
                text = f"({text}) * {m} + {i}" if text else i
        if end > size:
            text = f"({text}) // {end // size}"
        found.append(text if size == start * n else f"({text}) % {n}")
    return found
