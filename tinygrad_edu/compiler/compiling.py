"""`compile`: record a function once for each signature, then run the program."""

from __future__ import annotations

import gc
import random
import sys
import threading
from collections.abc import Callable
from functools import partial, update_wrapper
from importlib.util import find_spec
from operator import attrgetter
from types import MethodType
from typing import Any, overload

import numpy as np

from tinygrad_edu.compiler.passes.assembling import (
    parts_in_one,
    steps_in_one,
    sums_over_steps,
)
from tinygrad_edu.compiler.passes.cancelling import cancel_fractions
from tinygrad_edu.compiler.passes.laws import simplify
from tinygrad_edu.compiler.passes.redundant import common_subexpressions, dead_code
from tinygrad_edu.compiler.passes.scaling import move_factors
from tinygrad_edu.compiler.passes.tuning import (
    products_in_one,
    quick_functions,
    spread_out,
    sums_as_products,
)
from tinygrad_edu.compiler.recording.recorder import Recording
from tinygrad_edu.compiler.report import CostReport
from tinygrad_edu.compiler.variant import Passes, Variant, Writer
from tinygrad_edu.compiler.writing.fast import Fast
from tinygrad_edu.compiler.writing.loops import Loops
from tinygrad_edu.compiler.writing.readable import Readable
from tinygrad_edu.engine.graph import check_function, current_mode, value_of
from tinygrad_edu.support import tree
from tinygrad_edu.support.extras import missing
from tinygrad_edu.support.printable import printable, shorten, type_name
from tinygrad_edu.support.randomness import shuffled

__all__ = ["Compiled", "compile"]

# What makes the formulas shorter, what makes any program faster, and what NumPy's.
SHORTER: Passes = [
    ("dead code", dead_code),
    ("algebra", simplify),
    ("common subexpressions", common_subexpressions),
    ("cancelling fractions", cancel_fractions),
]
FASTER: Passes = [("moving factors", move_factors)]
FOR_NUMPY: Passes = [
    ("quick functions", quick_functions),
    ("parts in one", parts_in_one),
    ("sums over steps", sums_over_steps),
    ("steps in one", steps_in_one),
    ("products in one", products_in_one),
    ("sums as products", sums_as_products),
    ("rows spread out", spread_out),
]
# By backend and style: the passes, and what writes the program.
WAYS: dict[tuple[str, str], tuple[Passes, type[Writer]]] = {
    ("numpy", "fast"): ([*SHORTER, *FASTER, *FOR_NUMPY], Fast),
    ("numpy", "readable"): (SHORTER, Readable),
    ("numba", "fast"): ([*SHORTER, *FASTER], Loops),
}
_MOST_SHOWN = 20_000  # characters of a program, in a notebook


class Compiled:
    """A function that is recorded at the first call for each signature, then run.

    Attributes
    ----------
    source : str
        The program of the latest call.
    """

    def __init__(
        self, f: Callable[..., Any], backend: str, style: str, keep: int
    ) -> None:
        self._f, self._backend, self._style, self._keep = f, backend, style, keep
        self._variants: list[Variant] = []  # the latest first
        self._lock = threading.RLock()
        self._dice = random.Random(0)
        update_wrapper(self, f)

    def __repr__(self) -> str:
        name = printable(vars(self).get("__name__", type_name(self._f)))
        count = len(self._variants)
        return f"compiled {name}: {self._backend}, {self._style}, programs: {count}"

    def _repr_html_(self) -> str:
        """Return the text above; the latest program unfolds below it."""
        from html import escape  # loads a table of entities that only notebooks need

        source = self._variants[0].source if self._variants else ""
        program = escape(shorten(source, _MOST_SHOWN))
        return (
            f"<details><summary>{escape(repr(self))}</summary>"
            f"<pre>{program}</pre></details>"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mode = current_mode.get()
        # Where it is differentiated, recorded or debugged, the function runs as it is.
        if mode.nested or mode.tape is not None or mode.watch is not None:
            return self._f(*args, **kwargs)
        with self._lock:
            variants = self._variants
            if variants and variants[0].fits(args, kwargs):  # the usual case
                return variants[0].run(args, kwargs)
            return self._find(args, kwargs).run(args, kwargs)

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        """Bind to an object, as a function does that is an attribute of its class."""
        return self if owner is None else MethodType(self, owner)

    def __reduce__(self) -> Any:
        """Pickle by name, as a function; otherwise to be compiled again."""
        try:
            path: str = vars(self)["__qualname__"]
            if attrgetter(path)(sys.modules[self.__module__]) is self:
                return path
        except (AttributeError, KeyError):
            pass
        return type(self), (self._f, self._backend, self._style, self._keep)

    def _find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Variant:
        """Return the program for these arguments, made now if there is none."""
        variants = self._variants
        for i, variant in enumerate(variants):
            if variant.fits(args, kwargs):
                variants.insert(0, variants.pop(i))
                return variant
        was_enabled = gc.isenabled()
        gc.disable()  # a long program is many objects, all in use
        try:
            recording = Recording(self._f, args, kwargs)
            variants.insert(0, Variant(recording, *WAYS[self._backend, self._style]))
        finally:
            if was_enabled:
                gc.enable()
        if len(variants) > self._keep:
            # The one unused for longest may be the next one, where signatures take
            # turns; so any of the others goes.
            del variants[self._dice.randrange(1, len(variants))]
        return variants[0]

    def epoch(
        self, x: Any, y: Any, batch_size: int, rng: Any = None, *, rows: Any = None
    ) -> Any:
        """Call the function on every mini-batch of the examples, in one go.

        Parameters
        ----------
        x, y : ndarray, shapes (n, ...)
            One example a row. The function takes two such arrays.
        batch_size : int
            The last mini-batch may be shorter.
        rng : Generator, RandomState or int, optional
            Shuffles the examples, as `tg.data.minibatches` does; without it they keep
            their order.
        rows : ndarray of int, optional
            The examples to take, in their order, in place of all: a part of an epoch.

        Returns
        -------
        What the function gave, the arrays of all mini-batches in one, along a new first
        axis: for a loss, an array of the losses. A list of them, if the last mini-batch
        gave other shapes.
        """
        order = np.arange(len(x)) if rows is None else rows
        if len(x) != len(y) or len(order) == 0:
            raise ValueError(
                f"epoch: {len(x)} rows in x, {len(y)} in y, of which {len(order)} are "
                "to be used; an example needs both, and one is needed at least"
            )
        if batch_size < 1:
            raise ValueError(f"epoch: batch_size {batch_size} must be 1 or more")
        order = shuffled(order, rng)
        if order.min() < -len(x) or order.max() >= len(x):
            raise IndexError(
                f"epoch: rows from {order.min()} to {order.max()}, of {len(x)}"
            )
        order = order % len(x)  # -1 is the last
        whole = len(order) // batch_size * batch_size
        with self._lock:
            answers = []
            for rows in (order[:whole], order[whole:]):
                if len(rows):
                    answers += self._run_batches(x, y, rows, min(batch_size, len(rows)))
        return _stacked(answers)

    def _run_batches(self, x: Any, y: Any, order: Any, size: int) -> list[Any]:
        """Call the function on the rows, `size` of them at a time."""
        args = x.take(order[:size], axis=0), y.take(order[:size], axis=0)
        answers = []
        for i in range(0, len(order), size):
            for array, batch in zip((x, y), args):
                array.take(order[i : i + size], 0, batch, "clip")
            variant = self._find(args, {})
            answers.append(_copied(variant.run(args, {})))
            # Where the first run left all as it needs it, so will the others.
            if variant.epoch is not None and variant.fits(args, {}):
                return answers + list(variant.epoch(args, x, y, order[i + size :]))
        return answers

    @property
    def source(self) -> str:
        return self._latest().source

    def report(self) -> CostReport:
        """Return what each pass brought, for the program of the latest call."""
        return self._latest().report()

    def _latest(self) -> Variant:
        if not self._variants:
            raise ValueError(
                "compile: nothing has been recorded yet; call the function once"
            )
        return self._variants[0]


def _copied(answer: Any) -> Any:
    """Copy the arrays of an answer: they may be those of the mini-batch."""
    values = [np.array(value_of(x)) for x in tree.leaves(answer)]
    return tree.rebuild(answer, values)


def _stacked(answers: list[Any]) -> Any:
    """Stack the arrays in answers of one structure."""
    stacked: list[Any] = []
    for column in map(list, zip(*map(tree.leaves, answers))):
        shapes = set(map(np.shape, column))
        stacked.append(np.array(column) if len(shapes) == 1 else column)
    return tree.rebuild(answers[0], stacked)


@overload
def compile(
    f: Callable[..., Any], *, backend: str = ..., style: str = ..., keep: int = ...
) -> Compiled: ...
@overload
def compile(
    *, backend: str = ..., style: str = ..., keep: int = ...
) -> Callable[[Callable[..., Any]], Compiled]: ...


def compile(
    f: Callable[..., Any] | None = None,
    *,
    backend: str = "numpy",
    style: str = "fast",
    keep: int = 16,
) -> Any:
    """Return a function that does what `f` does as one NumPy program; a decorator too.

    Parameters
    ----------
    f : callable
        A function of arrays, Tensors, numbers, and nested tuples, lists and dicts of
        them. It may call ``backward()``, an optimiser's ``step()`` and ``zero_grad()``,
        and use Tensors, modules, optimisers and arrays from around it.
    backend : {"numpy", "numba"}
        What runs the program: NumPy's functions; or loops that Numba compiles, which
        takes seconds once, for networks so small that calling NumPy takes longer than
        computing. It takes Numba and SciPy: ``pip install numba scipy``.
    style : {"fast", "readable"}
        How a program for NumPy is written: with buffers and updates in place, or a
        formula a line.
    keep : int
        How many programs are kept. If there are more signatures, some are recorded anew
        when they come again.

    Returns
    -------
    callable
        The first call with arguments of a new signature (their structure, shapes and
        dtypes; the values of ints and strings) records `f`: forward, backward and
        update. The program that comes of it is simplified, written as NumPy source, and
        run, then and from then on. ``.source`` shows it, ``.report()`` what was gained;
        ``.epoch(x, y, batch_size, rng)`` runs it on all mini-batches.

    Raises
    ------
    TypeError
        From the first call, if `f` branches on a value, makes it a Python number or
        prints it, writes to its arguments or to an array from around it, keeps what is
        recorded, or does another thing when it is run again, as with random numbers.
        The message names the line; parameters and optimisers are as before.

    Notes
    -----
    The page "What compile promises" says all of this at length. `f` is run twice to be
    recorded, which shows whether it does the same each time; side effects, as those of
    ``print``, happen only then. The program reads Tensors, arrays from around `f` and
    an optimiser's numbers afresh at every call. Whatever else `f` leads to is checked
    at every call, and a change means that `f` is recorded again. What `nn.Dropout`
    drops is drawn anew at each call. A parameter that an optimiser has updated has no
    ``.grad`` afterwards. What `f` returns is constant, in memory of its own. Within
    `debug()`, and where a transform differentiates it, `f` runs as it is written. Calls
    from several threads take turns; while a new signature is recorded, the Tensors it
    uses are not to be used by others.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> optimiser = tg.optim.SGD([w], lr=0.1)
    >>> @tg.compile(style="readable")
    ... def step(x):
    ...     loss = tg.sum((w * x) ** 2)
    ...     optimiser.zero_grad()
    ...     loss.backward()
    ...     optimiser.step()
    ...     return loss
    >>> step(np.array([1.0, 1.0]))
    Tensor(5.)
    >>> w.data
    array([0.8, 1.6])
    """
    if f is None:
        return partial(compile, backend=backend, style=style, keep=keep)
    if (backend, style) not in WAYS:
        raise ValueError(
            f"compile: backend={backend!r} with style={style!r}; these go together: "
            + ", ".join(f"{b!r} with {s!r}" for b, s in WAYS)
        )
    for library in ("numba", "scipy") if backend == "numba" else ():
        if find_spec(library) is None:
            raise missing(library, "compile: backend='numba'")
    check_function("compile", f)
    return Compiled(f, backend, style, keep)
