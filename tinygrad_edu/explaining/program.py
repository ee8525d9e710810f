"""Write a replayed graph as data, with which the page computes for other leaves.

Each equation becomes a loop, which `page/program.js` runs, of one of these kinds:

- a *fold* computes ``do(a, b, c)`` for each element of the result, or folds many such
  values into it, as a sum or a maximum does. So it computes elementwise functions,
  products of matrices and reductions, and moves elements.
- a *scatter* adds the elements of its inputs to places in zeros.
- a *matrix* is a function of square matrices, such as the inverse.

Places are numbers in row order. A start and strides say where the elements of a loop
are, or else a list.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence
from math import prod
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu.compiler.functions import UFUNC_OF, astype
from tinygrad_edu.compiler.program import Equation, Variable, change, parts
from tinygrad_edu.engine.graph import value_of
from tinygrad_edu.engine.op import OPS
from tinygrad_edu.explaining.packing import Arrays
from tinygrad_edu.explaining.replaying import GraphProgram, UnknownError
from tinygrad_edu.support.language import say

__all__ = ["Writer"]

Json = dict[str, Any]
Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

# Functions of square matrices, and of stacks of them.
MATRICES = {
    OPS["cholesky"].forward: "cholesky",
    np.linalg.det: "det",
    OPS["inv"].forward: "inv",
    np.linalg.slogdet: "slogdet",
    OPS["solve"].forward: "solve",
}

# Functions that only move the elements of their first argument.
MOVES = {
    np.broadcast_to,
    np.reshape,
    np.roll,
    np.squeeze,
    np.take,
    np.take_along_axis,
    np.transpose,
    operator.getitem,
}


class Writer:
    """Writes the program of a page.

    Parameters
    ----------
    graph : GraphProgram
    arrays : Arrays
        The arrays of the page; the program's leaves and constants are added.

    Attributes
    ----------
    lines : list
        An entry for each slot: the number of a given array, or an equation of earlier
        slots.
    slots : dict of Variable to int

    Raises
    ------
    UnknownError
        If the page has no loop for an op.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.engine.graph import topological_order
    >>> from tinygrad_edu.formulas.quantities import Quantities
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> nodes = topological_order(tg.exp(x) / 2.0)
    >>> for line in Writer(GraphProgram(Quantities(nodes, {})), Arrays()).lines[:4]:
    ...     print(line)
    0
    {'do': 'exp', 'of': [[0, 0, []]], 'shape': []}
    1
    {'do': 'divide', 'of': [[1, 0, []], [2, 0, []]], 'shape': []}
    """

    def __init__(self, graph: GraphProgram, arrays: Arrays) -> None:
        self.lines: list[int | Json] = []
        self.slots: dict[Variable, int] = {}
        self._arrays = arrays
        self._numbers: dict[int, int] = {}  # the slots of plain numbers
        self._slogdets: dict[int, Equation] = {}  # they give a sign and a logarithm
        for x, leaf in zip(graph.program.inputs, graph.leaves):
            self._give(x, value_of(leaf))
        for e in graph.program.equations:
            if e.function is np.linalg.slogdet:
                self._slogdets[id(e.output)] = e
            else:
                self.slots[e.output] = self._fill(self._equation(e))
        for x in graph.program.results():
            self._slot(x)

    def _fill(self, line: int | Json) -> int:
        self.lines.append(line)
        return len(self.lines) - 1

    def _give(self, x: Variable, array: Any) -> None:
        self.slots[x] = self._fill(self._arrays.add(array, x, exact=True))

    def _slot(self, x: Any) -> int:
        """Return the slot of a variable or a number; give it one if it is constant."""
        if not isinstance(x, Variable):
            number = self._arrays.add(x, exact=True)
            if number not in self._numbers:
                self._numbers[number] = self._fill(number)
            return self._numbers[number]
        if x not in self.slots:
            self._give(x, x.constant)
        return self.slots[x]

    def _equation(self, e: Equation) -> Json:
        loop = self._loop(e)
        if loop is None or e.output.dtype == np.float16:
            raise UnknownError(say("it cannot compute {op}", op=e.origin.op))
        if e.output.dtype == np.float32:
            loop["single"] = True
        return loop | {"shape": list(e.output.shape)}

    # --- Loops ------------------------------------------------------------------------

    def _loop(self, e: Equation) -> Json | None:
        """Write the loop of an equation, if there is one."""
        f, args, params = e.function, e.args, e.params
        if f in LETTERS:
            return self._product(*LETTERS[f](*map(np.ndim, args)), args)
        if f is np.einsum and len(args) <= 3:
            terms, _, out = args[0].partition("->")
            return self._product(terms.split(","), out, args[1:])
        if f in UFUNC_OF and params.keys() <= {"axis", "keepdims", "dtype"}:
            return self._reduced(UFUNC_OF[f], args[0], **params)
        if f is np.cumsum and params.keys() <= {"axis", "dtype"}:
            return self._cumulated(args[0], params.get("axis"))
        if f in MATRICES:
            return self._of_matrices(e)
        if f is operator.getitem and id(args[0]) in self._slogdets:
            pair = self._slogdets[id(args[0])]
            return self._of_matrices(pair) if args[1] == 1 else None
        if f in MOVES:
            places = _moved(f, args[0].shape, args[1:], params)
            if places is None:
                return None
            return {"do": "positive", "of": [self._at(args[0], places)]}
        if f is np.concatenate:
            return self._joined(args[0], **params)
        if f is OPS["add_at"].forward:
            places = _moved(operator.getitem, params["shape"], [params["index"]], {})
            return None if places is None else {"scatter": [self._at(args[0], places)]}
        name, n = _elementwise(e)
        if name is None:
            return None
        return {"do": name, "of": [self._spread(x, e.output.shape) for x in args[:n]]}

    def _spread(self, x: Any, shape: Shape) -> Any:
        """Write how an array is broadcast to a shape."""
        own = np.shape(x)
        strides = [0 if n == 1 else s for n, s in zip(own, _strides(own))]
        return [self._slot(x), 0, [0] * (len(shape) - len(own)) + strides]

    def _product(
        self,
        terms: Sequence[str],
        out: str,
        args: Sequence[Any],
        shapes: Sequence[Shape] | None = None,
        fold: np.ufunc = np.add,
    ) -> Json:
        """Write a sum of products, where each axis of each array has a letter.

        Letters that the result does not have are summed over, or folded otherwise.
        """
        sizes: dict[str, int] = {}
        steps: list[Counter[str]] = []
        for term, shape in zip(terms, shapes or map(np.shape, args)):
            steps.append(Counter())
            for letter, n, stride in zip(term, shape, _strides(shape)):
                sizes[letter] = max(sizes.get(letter, 1), n) if n else 0
                steps[-1][letter] += stride if n > 1 else 0
        folded = [letter for letter in sizes if letter not in out]
        of = [
            [self._slot(x), 0, [step[letter] for letter in (*out, *folded)]]
            for x, step in zip(args, steps)
        ]
        return {
            "do": "multiply" if len(args) > 1 else "positive",
            "of": of,
            "fold": fold.__name__,
            "start": fold.identity,
            "over": [sizes[letter] for letter in folded],
        }

    def _reduced(
        self, f: np.ufunc, x: Any, axis: Any = None, keepdims: Any = False, **_: Any
    ) -> Json:
        """Write a reduction over some axes."""
        is_whole = axis is None or x.ndim == 0
        axes = range(x.ndim) if is_whole else normalize_axis_tuple(axis, x.ndim)
        letters = ascii_lowercase[: x.ndim]
        lost = "." if keepdims else ""
        out = [lost if i in axes else letter for i, letter in enumerate(letters)]
        return self._product([letters], "".join(out), [x], fold=f)

    def _cumulated(self, x: Any, axis: int | None) -> Json:
        """Write a cumulative sum: the product with a triangle of ones."""
        shape = (x.size,) if axis is None else x.shape
        axis = normalize_axis_index(axis or 0, len(shape))
        triangle, out = np.tri(shape[axis]), ascii_lowercase[: len(shape)]
        terms = [out.replace(out[axis], "z"), out[axis] + "z"]
        return self._product(terms, out, [x, triangle], [shape, triangle.shape])

    def _of_matrices(self, e: Equation) -> Json | None:
        """Write a function of matrices, if each has right sides of its own."""
        a, *others = e.args
        stack = a.shape[:-2]
        fits = all(b.shape[:-2] == stack and (b.ndim > 1 or not stack) for b in others)
        if not fits or not all(x.size for x in e.args):
            return None
        of = [self._slot(x) for x in e.args]
        return {"matrix": MATRICES[e.function], "of": of, "n": a.shape[-1]}

    def _joined(self, arrays: Sequence[Any], axis: int | None = 0) -> Json:
        """Write a concatenation: where each element of each array goes."""
        ends = np.cumsum([x.size for x in arrays])
        numbers = [_places(x.shape, end - x.size) for x, end in zip(arrays, ends)]
        places = np.argsort(np.concatenate(numbers, axis).ravel())
        return {"scatter": [self._at(x, places[i]) for x, i in zip(arrays, numbers)]}

    def _at(self, x: Any, places: Array) -> Any:
        """Write where elements lie: by a start and strides, if that is enough."""
        start = int(places.flat[0]) if places.size else 0
        strides = []
        for axis, n in enumerate(places.shape):
            second = tuple(int(i == axis) for i in range(places.ndim))
            strides.append(int(places[second]) - start if n > 1 < places.size else 0)
        there = np.full(places.shape, start)
        indices: Sequence[Array] = np.indices(places.shape, sparse=True)
        for i, stride in zip(indices, strides):
            there += i * stride
        if np.array_equal(there, places):
            return [self._slot(x), start, strides]
        return [self._slot(x), self._arrays.add(places, exact=True)]


def _elementwise(e: Equation) -> tuple[str | None, int]:
    """Return the page's name of an elementwise function, and the number of inputs."""
    f, (x, *others) = e.function, e.args
    if e.params:
        return None, 0
    if f is np.where:
        return "where", 3
    if f is np.round and not any(others):  # to whole numbers
        return "rint", 1
    if f is astype and others[0].kind in "fiu":
        return ("positive" if others[0].kind == "f" else "trunc"), 1
    if f is np.invert:
        return ("logical_not" if x.dtype == bool else "invert"), 1
    name = getattr(f, "__name__", "")
    if isinstance(f, np.ufunc) and f.signature is None and f.nout == 1:
        return (name, f.nin) if getattr(np, name, None) is f else (None, 0)
    return None, 0


def _dot(a: int, b: int) -> tuple[list[str], str]:
    """Name the axes of a product, by the numbers of dimensions."""
    left, right = ascii_lowercase[:a], ascii_uppercase[:b]
    if not (a and b):
        return [left, right], left + right
    summed = right[-2:][0]
    return (
        [left, right.replace(summed, left[-1])],
        left[:-1] + right.replace(summed, ""),
    )


def _matmul(a: int, b: int) -> tuple[list[str], str]:
    stack = ascii_uppercase[: max(a, b, 2) - 2]
    rows, columns = "i" * (a > 1), "j" * (b > 1)
    left, right = stack[len(stack) + 2 - a :], stack[len(stack) + 2 - b :]
    return [left + rows + "k", right + "k" + columns], stack + rows + columns


def _vdot(a: int, b: int) -> tuple[list[str], str]:
    return [ascii_lowercase[:a], ascii_lowercase[:b]], ""


LETTERS = {np.dot: _dot, np.matmul: _matmul, np.vdot: _vdot}


def _places(shape: Shape, start: int = 0) -> Array:
    """Number the elements of an array in row order."""
    return np.arange(start, start + prod(shape)).reshape(shape)


def _moved(f: Any, shape: Shape, others: Any, params: Json) -> Array | None:
    """Let a function move the numbers of places, if nothing it gets is computed."""
    if any(_is_computed(part) for part in parts(others, params)):
        return None
    others, params = change(others, _constant), change(params, _constant)
    return np.asarray(f(_places(shape), *others, **params))


def _strides(shape: Shape) -> list[int]:
    """Return how many elements further the next one along each axis is."""
    return [prod(shape[i + 1 :]) for i in range(len(shape))]


def _is_computed(x: Any) -> bool:
    return isinstance(x, Variable) and x.constant is None


def _constant(x: Any) -> Any:
    return x.constant if isinstance(x, Variable) else x
