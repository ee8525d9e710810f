"""One nest of loops: equations of one shape, written element by element."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.compiler.expressions import INFIX, PREFIX
from tinygrad_edu.compiler.functions import astype, spread
from tinygrad_edu.compiler.program import Equation, Variable, same_dtype
from tinygrad_edu.compiler.writing.elements import Elements

__all__ = [
    "Nest",
    "has_loop",
    "is_alone",
    "is_plain",
    "reads_elsewhere",
]

# So many multiplications of numbers are worth a call: of BLAS for two matrices, of
# NumPy for stacks of them.
LARGE, LARGE_STACK = 1 << 9, 1 << 12

# Where a reduction starts, what each element does to it, and what is made of that.
REDUCTIONS = {
    np.sum: ("0", "{y} += {0}", "{y}"),
    np.mean: ("0", "{y} += {0}", "{y} / {n}"),
    np.vdot: ("0", "{y} += {0} * {1}", "{y}"),
    np.prod: ("1", "{y} *= {0}", "{y}"),
    np.max: ("-np.inf", "{y} = np.maximum({y}, {0})", "{y}"),
    np.min: ("np.inf", "{y} = np.minimum({y}, {0})", "{y}"),
}
PRODUCTS = {np.dot, np.matmul}
JOINS = {np.concatenate, np.stack}
COPIES = {astype, spread, np.positive}

# What is written in another way than it is called.
FORMULAS: dict[Any, str] = {
    **{f: f"{{0}} {INFIX[f][0]} {{1}}" for f in INFIX if isinstance(f, np.ufunc)},
    **{f: f"{PREFIX[f]}{{0}}" for f in PREFIX if isinstance(f, np.ufunc)},
    **dict.fromkeys(COPIES, "{0}"),
    np.reciprocal: "1.0 / {0}",
    np.square: "{0} * {0}",
    np.where: "{1} if {0} else {2}",
}
WHOLE = {np.absolute, np.maximum, np.minimum, *FORMULAS}  # for integers too
WHOLE |= {np.logical_and, np.logical_not, np.logical_or, np.logical_xor}
WHOLE -= {np.power, np.reciprocal, *PRODUCTS}
REAL = (
    "arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil copysign cos cosh "
    "exp expm1 fabs floor fmax fmin fmod hypot isfinite isinf isnan log log10 log1p "
    "logaddexp logaddexp2 power reciprocal rint sign signbit sin sinh sqrt tan tanh "
    "trunc"
)
ELEMENTWISE = WHOLE | {getattr(np, name) for name in REAL.split()}


def has_loop(e: Equation) -> bool:
    """Whether an equation can be computed element by element, by numbers of Numba's."""
    f, params = e.function, e.params
    if e.output.dtype is None or not all(map(is_plain, (e.output, *e.inputs))):
        return False
    if f in REDUCTIONS:
        real = e.output.dtype.kind == "f" or f in (np.sum, np.prod)
        known = params.keys() <= {"axis", "keepdims"} and _are_arrays(e.args)
        same = known and len({x.shape for x in e.args}) == 1
        return real and same and e.args[0].ndim > 0
    if f in PRODUCTS:
        return not params and _is_product(e)
    if f in JOINS:
        known = len(e.args) == 1 and isinstance(params.get("axis", 0), int)
        return known and params.keys() <= {"axis"} and _are_arrays(e.args[0])
    return not params and f in ELEMENTWISE and _loop_dtypes(e) is not None


def is_plain(x: Any) -> bool:
    """Whether Numba knows a number, or an array of numbers, as Python or NumPy does."""
    if not isinstance(x, Variable):
        return type(x) in (bool, int, float) and bool(abs(x) < 2**63)
    if x.dtype is None:
        return True
    known = x.dtype.kind in "biu" or x.dtype in (np.float32, np.float64)
    return bool(known and x.dtype.isnative and x.size)


def _are_arrays(pieces: Any) -> bool:
    return isinstance(pieces, list | tuple) and all(
        isinstance(x, Variable) and x.dtype is not None for x in pieces
    )


def _is_product(e: Equation) -> bool:
    if not _are_arrays(e.args) or not all(x.ndim for x in e.args):
        return False
    a, b = e.args
    if max(a.ndim, b.ndim) > 2:
        is_stack = e.function is np.matmul and min(a.ndim, b.ndim) > 1
        return is_stack and _multiplications(e) <= LARGE_STACK
    is_for_blas = a.dtype == b.dtype == e.output.dtype and a.dtype.kind == "f"
    return is_for_blas or not is_large(e)


def _multiplications(e: Equation) -> int:
    return int(e.output.size * e.args[0].shape[-1])


def is_large(e: Equation) -> bool:
    """Whether an equation is a product that is better left to BLAS."""
    if e.function not in PRODUCTS or not 0 < e.output.ndim <= 2:
        return False
    return _multiplications(e) > LARGE


def is_alone(e: Equation) -> bool:
    """Whether nothing can share the loops of an equation."""
    return is_large(e) or e.function in JOINS


def _loop_dtypes(e: Equation) -> tuple[Any, ...] | None:
    """Return of which dtypes NumPy's own loop takes its operands; None, if unknown."""
    dtype = e.output.dtype
    number = float if dtype.kind in "fb" else int
    operands = []
    for x in e.args[:1] if e.function in COPIES else e.args:
        if isinstance(x, Variable):
            operands.append(number if x.dtype is None else x.dtype)
        elif type(x) is float or is_plain(x):
            operands.append(np.dtype(bool) if x is True or x is False else type(x))
        elif isinstance(x, np.generic):
            operands.append(x.dtype)
        else:
            return None
    if e.function is np.where:
        return np.dtype(bool), dtype, dtype
    if e.function in COPIES:
        return (dtype,)
    function: Any = e.function
    found = function.resolve_dtypes((*operands, None))
    real = all(d in (np.float32, np.float64) for d in found[:-1])
    return found[:-1] if real or e.function in WHOLE else None


def reads_elsewhere(e: Equation, x: Variable, root: Variable) -> bool:
    """Whether an equation reads other elements of an operand than it writes."""
    return root is not x or x.shape != e.output.shape or e.function not in ELEMENTWISE


Place = tuple[Variable, list[str]]  # an array, and an index into it


class Nest:
    """Writes equations of one shape down as one nest of loops.

    Attributes
    ----------
    lines : list of str
    """

    def __init__(
        self, equations: list[Equation], elements: Elements, stored: list[Variable]
    ) -> None:
        self.lines: list[str] = []
        self._elements = elements
        self._made = {e.output for e in equations}
        self._depth = 0
        first = equations[0]
        if first.function in JOINS:
            self._join(first)
        elif is_large(first):
            arrays = map(elements.array, (*first.args, first.output))
            self._add(f"np.dot({', '.join(arrays)})")
        else:
            size, shape = first.output.size, first.output.shape
            self._is_flat = self._can_be_flat(equations)
            self._index = self._open("i", [size] if self._is_flat else shape)
            for e in equations:
                self._write(e)
            for y in stored:
                self._add(f"{self._element(y)} = {self._number(y)}")

    def _can_be_flat(self, equations: list[Equation]) -> bool:
        """Whether one loop over the memory will do, which LLVM makes faster."""
        shape = equations[0].output.shape
        arrays = {x for e in equations for x in (*e.inputs, e.output) if x.ndim}
        return (
            len(shape) > 1
            and all(e.function in ELEMENTWISE for e in equations)
            and all(x.shape == shape and self._elements.is_flat(x) for x in arrays)
        )

    def _add(self, line: str) -> None:
        self.lines.append("    " * self._depth + line)

    def _open(self, letter: str, shape: Iterable[int]) -> list[str]:
        """Begin a loop for each axis, and return the index."""
        index = []
        for k, n in enumerate(shape):
            index.append(f"{letter}{k}")
            self._add(f"for {index[-1]} in range({n}):")
            self._depth += 1
        return index

    def _element(self, x: Variable) -> str:
        """Write the element of an array that the loops are at."""
        if self._is_flat and x.ndim:
            return self._elements.flat(x, self._index[0])
        return self._elements.element(x, _aligned(x.shape, self._index))

    def _number(self, y: Variable) -> str:
        """Return the name of an element on its own: no array's name ends like that."""
        return self._elements.names[y] + "_" * (y.ndim > 0)

    def _write(self, e: Equation) -> None:
        if e.function in PRODUCTS:
            self._write_product(e)
        elif e.function in REDUCTIONS:
            self._write_reduction(e)
        else:
            operands = [*map(self._operand, e.args, _loop_dtypes(e) or ())]
            text = self._as(e.output.dtype, _formula(e, operands))
            self._add(f"{self._number(e.output)} = {text}")

    def _as(self, dtype: Any, text: str) -> str:
        """Convert what Numba computes, which has wider integers than NumPy."""
        return text if dtype == np.float64 else self._elements.cast(dtype, text)

    def _operand(self, x: Any, dtype: Any) -> str:
        if not isinstance(x, Variable):
            return self._elements.constant(dtype.type(x))
        text = self._number(x) if x in self._made else self._element(x)
        is_same = same_dtype(x.dtype, dtype)
        return text if is_same else self._elements.cast(dtype, text)

    def _write_product(self, e: Equation) -> None:
        """Sum over the last axis of a and the one before the last of b."""
        a, b = e.args
        rows = self._index[: -1 if b.ndim > 1 else None]
        columns = self._index[len(rows) :]
        batch = rows[: -1 if a.ndim > 1 else None]
        left = [*_aligned(a.shape[:-1], rows), "k0"]
        right = [*_aligned(b.shape[:-2], batch), "k0", *columns]
        self._accumulate(e, np.vdot, a.shape[-1:], [(a, left), (b, right)])

    def _write_reduction(self, e: Equation) -> None:
        """Go over the axes that are summed, in loops of their own."""
        x, axis = e.args[0], e.params.get("axis")
        reduced = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
        index = list(self._index)
        for k, i in enumerate(sorted(reduced)):
            index[i : i + bool(e.params.get("keepdims"))] = [f"k{k}"]
        sizes = [x.shape[i] for i in sorted(reduced)]
        self._accumulate(e, e.function, sizes, [(z, index) for z in e.args])

    def _accumulate(
        self, e: Equation, function: Any, sizes: Sequence[int], read: Sequence[Place]
    ) -> None:
        """Sum, or the like; what is short of digits in a variable that has more."""
        start, change, end = REDUCTIONS[function]
        y, dtype = self._number(e.output), e.output.dtype
        wide = np.dtype(float) if dtype.kind == "f" else dtype
        total = y if dtype == wide else f"{y.rstrip('_')}__"
        self._add(f"{total} = {self._elements.cast(wide, start)}")
        self._open("k", sizes)
        elements = [self._elements.element(x, index) for x, index in read]
        self._add(change.format(*elements, y=total))
        self._depth -= len(sizes)
        found = end.format(y=total, n=math.prod(sizes))
        if found != y:
            self._add(f"{y} = {self._as(dtype, found)}")

    def _join(self, e: Equation) -> None:
        """Copy one array after the other to its place along an axis."""
        y, axis = e.output, e.params.get("axis", 0) % e.output.ndim
        begin = 0
        for k, x in enumerate(e.args[0]):
            index = self._open("i", x.shape)
            place = list(index)
            if e.function is np.stack:
                place.insert(axis, str(k))
            else:
                place[axis] += f" + {begin}"
                begin += x.shape[axis]
            into = self._elements.element(y, place)
            self._add(f"{into} = {self._elements.element(x, index)}")
            self._depth = 0


def _formula(e: Equation, operands: list[str]) -> str:
    if e.function is np.invert and e.output.dtype == bool:
        return f"not {operands[0]}"
    if e.function in FORMULAS:
        return FORMULAS[e.function].format(*operands)
    return f"np.{e.function.__name__}({', '.join(operands)})"


def _aligned(shape: tuple[int, ...], index: list[str]) -> list[str]:
    """Return the index into what is broadcast."""
    places = index[len(index) - len(shape) :]
    return ["0" if n == 1 else i for n, i in zip(shape, places)]
