"""`compile`: record a function once for each signature, then run the program."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial, update_wrapper
from types import MethodType
from typing import Any

import numpy as np

from tinygrad_edu.compiler.cancelling import cancel_fractions
from tinygrad_edu.compiler.fast import Fast, protect, spread_out, sums_as_products
from tinygrad_edu.compiler.passes import (
    common_subexpressions,
    dead_code,
    fold_constants,
    simplify,
    uniform_constants,
    use_broadcasting,
)
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.readable import write_readable
from tinygrad_edu.compiler.recording import Recording
from tinygrad_edu.compiler.report import Cost, Report, cost
from tinygrad_edu.compiler.scaling import move_factors
from tinygrad_edu.graph import current_mode, new_index
from tinygrad_edu.tensor import Tensor

__all__ = ["Compiled", "compile"]

Pass = Callable[[Program], Program]

# What makes the formulas shorter, and then what makes the program faster.
SHORTER: list[tuple[str, Pass]] = [
    ("dead code", dead_code),
    ("constant folding", fold_constants),
    ("uniform constants", uniform_constants),
    ("algebra", simplify),
    ("broadcasting", use_broadcasting),
    ("common subexpressions", common_subexpressions),
    ("cancelling fractions", cancel_fractions),
    ("algebra", simplify),
]
FASTER: list[tuple[str, Pass]] = [
    ("moving factors", move_factors),
    ("algebra", simplify),
    ("common subexpressions", common_subexpressions),
    ("sums as products", sums_as_products),
    ("rows spread out", spread_out),
]
STYLES = {"readable": SHORTER, "fast": SHORTER + FASTER}
BACKENDS = ("numpy",)


class Compiled:
    """A function that is recorded at the first call for each signature, then run.

    Attributes
    ----------
    source : str
        The program of the latest call, in the style that was chosen.
    """

    def __init__(
        self, f: Callable[..., Any], backend: str, style: str, keep: int
    ) -> None:
        self._f, self._backend, self._style, self._keep = f, backend, style, keep
        # The latest first; those for within no_grad() by themselves.
        self._variants: list[_Variant] = []
        self._without_grad: list[_Variant] = []
        self._lock = threading.RLock()
        update_wrapper(self, f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mode = current_mode.get()
        if mode.nested or mode.watch is not None:  # differentiated, watched, recorded
            return self._f(*args, **kwargs)
        with self._lock:
            return self._find(args, kwargs, mode.recording).run(args, kwargs)

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        """Be a method, where a class has this as an attribute."""
        return self if owner is None else MethodType(self, owner)

    def _find(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], recording: bool
    ) -> _Variant:
        """Return the program for these arguments, made now if there is none."""
        variants = self._variants if recording else self._without_grad
        for i, variant in enumerate(variants):
            if variant.fits(args, kwargs):
                if i:
                    variants.insert(0, variants.pop(i))
                return variant
        variant = _Variant(Recording(self._f, args, kwargs), self._style)
        variants.insert(0, variant)
        del variants[self._keep :]
        return variant

    @property
    def source(self) -> str:
        return self._latest().source

    def report(self) -> Report:
        """Return what each pass brought, for the program of the latest call."""
        return self._latest().report()

    def _latest(self) -> _Variant:
        if not self._variants:
            raise ValueError(
                "compile: nothing has been recorded yet; call the function once"
            )
        return self._variants[0]


class _Variant:
    """A program for one signature, and when and how to run it."""

    def __init__(self, recording: Recording, style: str) -> None:
        stages: list[tuple[str, Program]] = [("recording", recording.program)]
        for name, change in STYLES[style]:
            stages.append((name, change(stages[-1][1])))
        apart = protect(_told_apart(stages[-1][1], recording.program.outputs))
        stages.append(("copies of answers", apart))
        self._stages = stages
        program = stages[-1][1]
        self._buffers: list[int] | None = None
        if style == "fast":
            fast = Fast(program)
            self.source, self._buffers = fast.source, fast.buffers
        else:
            self.source = write_readable(program)
        namespace: dict[str, Any] = {}
        exec(builtins.compile(self.source, "<compiled>", "exec"), namespace)
        self.step = namespace["step"]
        self._link(recording)

    def _link(self, recording: Recording) -> None:
        """Write the functions that say whether the program fits, and that run it."""
        names = recording.names | {"step": self.step, "tensor": _tensor}
        conditions = dict.fromkeys(c.source for c in recording.conditions)
        call = f"step({', '.join(recording.accesses)})"
        if len(recording.program.outputs) == 1:
            call = f"({call},)"
        lines = [f"r = {call}", f"return {recording.answer}"]
        if recording.effects:
            lines[1:] = [f"y = {recording.answer}", *recording.effects, "return y"]
        source = (
            "def fits(args, kwargs):\n    try:\n        return ("
            + "\n            and ".join(conditions)
            + ")\n    except (LookupError, AttributeError, ValueError):\n"
            + "        return False\n\n"
            + "def run(args, kwargs):\n    "
            + "\n    ".join(lines)
            + "\n"
        )
        exec(builtins.compile(source, "<guards>", "exec"), names)
        self.fits: Callable[..., bool] = names["fits"]
        self.run: Callable[..., Any] = names["run"]

    def report(self) -> Report:
        rows = [(name, *cost(program)) for name, program in self._stages]
        if self._buffers is not None:
            last = cost(self._stages[-1][1])
            final = Cost(
                last.operations, last.flops, len(self._buffers), sum(self._buffers)
            )
            rows.append(("sharing buffers", *final))
        return Report(rows)


def _told_apart(program: Program, as_recorded: tuple[Any, ...]) -> Program:
    """Copy an answer that has come to be the same as another, computed by itself."""
    outputs: list[Any] = []
    copies: list[Equation] = []
    for i, x in enumerate(program.outputs):
        twins = [j for j, y in enumerate(program.outputs[:i]) if y is x]
        if isinstance(x, Variable) and x.dtype is not None and twins:
            same = [j for j in twins if as_recorded[j] is as_recorded[i]]
            if same:
                x = outputs[same[0]]
            else:
                copies.append(Equation(Variable(x.shape, x.dtype), np.positive, (x,)))
                x = copies[-1].output
        outputs.append(x)
    equations = (*program.equations, *copies)
    return replace(program, equations=equations, outputs=tuple(outputs))


_new = object.__new__


def _tensor(value: Any) -> Tensor:
    """Make a constant Tensor of what a program gave; `Tensor()` takes longer."""
    tensor = _new(Tensor)
    tensor.data = value if value.__class__ is np.ndarray else np.asarray(value)
    tensor.grad = tensor.op = tensor.params = tensor.origin = tensor.name = None
    tensor.requires_grad = False
    tensor.inputs = ()
    tensor.index = new_index()
    return tensor


def compile(
    f: Callable[..., Any] | None = None,
    *,
    backend: str = "numpy",
    style: str = "fast",
    keep: int = 16,
) -> Any:
    """Return a function that does what `f` does, as one NumPy program. Also a decorator.

    Parameters
    ----------
    f : callable
        A function of arrays, Tensors, numbers, and nested tuples, lists and dicts of
        them. It may call ``backward()``, an optimiser's ``step()`` and ``zero_grad()``,
        and use Tensors, modules, optimisers and arrays from around it.
    backend : {"numpy"}
        What runs the program.
    style : {"fast", "readable"}
        How it is written: with buffers and updates in place, or a formula a line.
    keep : int
        How many programs are kept: the one unused for longest is dropped first.

    Returns
    -------
    callable
        The first call with arguments of a new signature (their structure, shapes and
        dtypes; the values of ints and strings) records `f`: forward, backward and
        update. The program that comes of it is simplified, written as NumPy source, and
        run, then and from then on. ``.source`` shows it, ``.report()`` what was gained.

    Raises
    ------
    TypeError
        From the first call, if `f` branches on a value, makes it a Python number or
        prints it, draws random numbers, changes what is no array, or writes to its
        arguments. The message names the line, and nothing is left changed.

    Notes
    -----
    The program reads parameters, closed-over arrays and an optimiser's numbers afresh
    at every call, and updates parameters in their own memory. Whatever else `f` leads
    to is checked at every call, and a change means that `f` is recorded again.
    A parameter that is updated has no ``.grad`` afterwards. What `f` returns is
    constant, in memory of its own. `f` is run twice to be recorded, which shows whether
    it does the same each time. Within `debug()`, and where a transform differentiates
    it, it runs as it is written. Calls from several threads take turns; while a new signature is recorded,
    the Tensors it uses are not to be used by others.

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
    if backend not in BACKENDS:
        raise ValueError(f"compile: backend is {backend!r}; it may be {_or(BACKENDS)}")
    if style not in STYLES:
        raise ValueError(f"compile: style is {style!r}; it may be {_or(STYLES)}")
    if not callable(f):
        raise TypeError(f"compile: {f!r} is no function")
    return Compiled(f, backend, style, keep)


def _or(names: Any) -> str:
    return " or ".join(map(repr, names))
