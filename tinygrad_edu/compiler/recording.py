"""One run of a function on tracers, and what it amounts to: a `Program`.

Nothing is changed by it: what the function would write to is written down, and done
when the program runs.
"""

from __future__ import annotations

import inspect
import os
import pickle
import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu import tree
from tinygrad_edu.compiler.expressions import INFIX
from tinygrad_edu.compiler.program import Program, Variable
from tinygrad_edu.compiler.surroundings import Condition, Site, Surroundings
from tinygrad_edu.compiler.tracer import Binding, Tape, Tracer
from tinygrad_edu.graph import Mode, Node, current_mode
from tinygrad_edu.tensor import Tensor

__all__ = ["Recording"]


class _Loan(NamedTuple):
    """What stands in a Tensor for the time of recording."""

    access: str
    data: Any  # a Tracer, in place of an array
    gradient: Tensor | None


class Recording:
    """What a function does with arguments of one signature.

    Attributes
    ----------
    program : Program
        Its outputs are the arrays in the function's answer, then the gradients, then
        the numbers that change.
    accesses : list of str
        For each of the program's inputs, the expression that gives its value.
    conditions : list of Condition
        What must hold for the program to be right: first of the arguments.
    names : dict
        What the expressions speak of.
    answer : str
        The expression that makes the function's answer of the outputs ``r[0], ...``.
    effects : list of str
        The statements that do the rest: set gradients, and numbers as an optimiser's
        count of steps.
    """

    def __init__(
        self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._f, self._args, self._kwargs = f, args, kwargs
        self._given: dict[str, Any] = {}  # the arguments that are data, by expression
        self._others: dict[str, Any] = {}
        self._kinds: dict[str, Any] = {}
        self.conditions: list[Condition] = []
        self._look_at(args, "args")
        self._look_at(kwargs, "kwargs")
        self._surroundings = Surroundings(f, self._others)
        self.names = self._surroundings.names | self._kinds

        absent: set[str] = set()  # the gradients that are not there, where that matters
        of_arguments = self.conditions
        while True:
            self.conditions = of_arguments.copy()
            read = self._record(absent)
            new = {g for g in read if self._gradient(g) is None} - absent
            if not new:
                break
            absent |= new
        for access in sorted(read | absent):
            source = f"{access} is{'' if access in absent else ' not'} None"
            self.conditions.append(Condition(source, access))
        self.conditions += self._surroundings.conditions

    def _gradient(self, access: str) -> Any:
        return eval(access, self.names | {"args": self._args, "kwargs": self._kwargs})

    # --- Arguments --------------------------------------------------------------------

    def _look_at(self, x: Any, access: str) -> None:
        """Note what must hold of an argument, and what of it is data."""

        def require(*sources: str) -> None:
            self.conditions.extend(Condition(source, access) for source in sources)

        if access not in ("args", "kwargs"):
            require(f"{access}.__class__ is {self._refer(type(x))}")
        if isinstance(x, tuple | list):
            require(f"len({access}) == {len(x)}")
            for i, part in enumerate(x):
                self._look_at(part, f"{access}[{i}]")
        elif isinstance(x, dict):
            require(
                f"{access}.keys() == {self._refer(set(x))}" if x else f"not {access}"
            )
            for key, part in x.items():
                self._look_at(part, f"{access}[{key!r}]")
        elif isinstance(x, Tensor | np.ndarray | np.generic):
            require(
                f"{access}.shape == {x.shape}",
                f"{access}.dtype == {self._refer(x.dtype)}",
            )
            if isinstance(x, Tensor):
                require(f"{access}.requires_grad is {x.requires_grad}")
                if x.op is not None:
                    raise ValueError(
                        "compile: an argument is a Tensor that was computed and requires "
                        "a gradient, which would be lost, since the answers of a "
                        "compiled function are constants; compile the whole step, or "
                        "pass detach()"
                    )
            self._given[access] = x
        elif type(x) is float:
            self._given[access] = x
        elif isinstance(x, int | str | bytes | None):
            require(f"{access} == {x!r}")
        else:
            self._others[access] = x

    def _refer(self, thing: Any) -> str:
        name = f"k{len(self._kinds)}"
        self._kinds[name] = thing
        return name

    # --- The run ----------------------------------------------------------------------

    def _record(self, absent: set[str]) -> set[str]:
        """Run the function; return the gradients, by expression, that it reads."""
        tape = self._tape = Tape()
        self._inputs: dict[Binding, str] = {}  # with the expression for the value
        generators = [np.random.mtrand._rand, random, *self._surroundings.generators]
        before = list(map(_state, generators))
        token = current_mode.set(Mode())
        try:
            with self._swapped(tape, absent):
                stand_ins = {
                    a: self._stand_in(x, a, absent) for a, x in self._given.items()
                }
                args = self._with_stand_ins(self._args, "args", stand_ins)
                kwargs = self._with_stand_ins(self._kwargs, "kwargs", stand_ins)
                answer = self._f(*args, **kwargs)
                self._read_off(answer, stand_ins, absent)
        finally:
            current_mode.reset(token)
        self._check_unchanged(generators, before)
        used = {x for e in self.program.equations for x in e.inputs}
        used |= set(self.program.results())
        return {
            access
            for binding, access in self._bound_gradients.items()
            if binding.variable in used
        }

    def _bind(
        self, name: str, value: Any, access: str, writable: bool = False
    ) -> Tracer:
        binding = Binding(name, value, writable)
        self._inputs[binding] = access
        return self._tape.bind(binding, value)

    def _stand_in(self, x: Any, access: str, absent: set[str]) -> Any:
        """Return what the function gets in place of an argument."""
        name = self._argument_name(access)
        if not isinstance(x, Tensor):
            return self._bind(name, x, access)
        if x in self._surroundings.tensors:
            condition = f"{access} is {self._surroundings.refer(x)}"
            self.conditions.append(Condition(condition, access))
            return x
        tensor = x.__class__.__new__(x.__class__)
        for slot in Node.__slots__[1:]:
            setattr(tensor, slot, getattr(x, slot))
        self._lend(tensor, access, x.name or name, absent)
        return tensor

    def _argument_name(self, access: str) -> str:
        """Say args[0] by the parameter's name."""
        whole, *inner = re.findall(r"\w+", access)[1:]
        if access.startswith("args"):
            names = list(inspect.signature(self._f).parameters)
            whole = names[min(int(whole), len(names) - 1)] if names else f"x{whole}"
        return "_".join([whole, *inner])

    def _lend(self, tensor: Tensor, access: str, name: str, absent: set[str]) -> None:
        """Put tracers in place of a Tensor's data, and of its gradient.

        A gradient that is not there is taken to be: then one sees whether it is read.
        """
        data = tensor.data
        tracer: Any = self._bind(name, data, f"{access}.data", tensor.requires_grad)
        tensor.data, tensor.grad = tracer, None
        if tensor.requires_grad and f"{access}.grad" not in absent:
            zeros = np.zeros_like(data)
            gradient = self._bind(f"d{name}", zeros, f"{access}.grad.data")
            self._bound_gradients[self._last_binding()] = f"{access}.grad"
            tensor.grad = Tensor(gradient)
        self._lent[tensor] = _Loan(access, tracer, tensor.grad)

    def _last_binding(self) -> Binding:
        return next(reversed(self._inputs))

    def _with_stand_ins(self, x: Any, access: str, stand_ins: dict[str, Any]) -> Any:
        if access in stand_ins:
            return stand_ins[access]
        if isinstance(x, dict):
            parts = [
                self._with_stand_ins(part, f"{access}[{key!r}]", stand_ins)
                for key, part in x.items()
            ]
            return dict(zip(x, parts)) if type(x) is dict else tree.rebuild(x, parts)
        if isinstance(x, tuple | list):
            parts = [
                self._with_stand_ins(part, f"{access}[{i}]", stand_ins)
                for i, part in enumerate(x)
            ]
            return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
        return x

    @contextmanager
    def _swapped(self, tape: Tape, absent: set[str]) -> Iterator[None]:
        """Put tracers in place of what the function uses besides its arguments."""
        around = self._surroundings
        self._bound_gradients: dict[Binding, str] = {}
        self._lent: dict[Tensor, _Loan] = {}
        self._sites: list[tuple[Site, Any]] = []
        tensors = [(t, t.data, t.grad) for t in around.tensors]
        sites = [(site, site.get()) for site in (*around.arrays, *around.numbers)]
        try:
            for t, *_ in tensors:
                self._lend(t, around.refer(t), around.tensors[t], absent)
            for site, value in sites:
                if isinstance(value, tuple):
                    stand_in: Any = tuple(
                        self._bind(f"{site.path}[{i}]", x, f"{site.access}[{i}]")
                        for i, x in enumerate(value)
                    )
                else:
                    is_array = isinstance(value, np.ndarray)
                    stand_in = self._bind(site.path, value, site.access, is_array)
                self._sites.append((site, stand_in))
                site.set(stand_in)
            yield
        finally:
            for t, data, gradient in tensors:
                t.data, t.grad = data, gradient
            for site, value in sites:
                site.set(value)

    # --- What came of it --------------------------------------------------------------

    def _read_off(
        self, answer: Any, stand_ins: dict[str, Any], absent: set[str]
    ) -> None:
        """Make the program, and the statements that do what it does not."""
        tape = self._tape
        outputs: list[Any] = []
        self.effects: list[str] = []

        def output(x: Tracer) -> str:
            outputs.append(x.variable)
            return f"r[{len(outputs) - 1}]"

        of_stand_ins = {id(x): access for access, x in stand_ins.items()}

        def expression(x: Any) -> str:
            if id(x) in of_stand_ins:
                return of_stand_ins[id(x)]
            if isinstance(x, tuple) and hasattr(x, "_fields"):
                return f"{self._name(type(x))}({', '.join(map(expression, x))})"
            if type(x) is tuple:
                return f"({''.join(expression(part) + ', ' for part in x)})"
            if type(x) is list:
                return f"[{', '.join(map(expression, x))}]"
            if type(x) is dict:
                items = (f"{self._name(k)}: {expression(v)}" for k, v in x.items())
                return f"{{{', '.join(items)}}}"
            if isinstance(x, Tracer):
                return output(x)
            if isinstance(x, Tensor) and isinstance(x.data, Tracer):
                if x in self._lent:
                    return self._name(x)
                return f"tensor({output(x.data)})"
            return self._name(x) + ".copy()" * isinstance(x, np.ndarray)

        self.answer = expression(answer)
        for t, (access, tracer, gradient) in self._lent.items():
            binding = tracer.binding
            if t.data is not tracer:  # t.data = something: as if it had been written to
                self._update(tracer, t.data)
            if t.grad is gradient:
                continue
            if t.grad is None or binding in tape.updates:
                self.effects.append(f"{access}.grad = None")
            else:
                value = output(self._as_tracer(t.grad.data))
                self.effects.append(f"{access}.grad = tensor({value})")
        for site, lent in self._sites:
            now = site.get()
            if now is lent:
                continue
            if isinstance(lent, Tracer) and lent.variable.dtype is not None:
                self._update(lent, now)
            elif isinstance(now, Tracer):
                number = self._number(now.variable)
                self.effects.append(f"{site.access} = {number or output(now)}")
        self._make_program(outputs)

    def _update(self, lent: Tracer, now: Any) -> None:
        """Note that what a tracer was lent for has become something else."""
        now = self._as_tracer(now)
        if now.shape != lent.shape or now.dtype != lent.dtype or lent.binding is None:
            raise TypeError(
                f"compile: the function replaces {lent.binding and lent.binding.name}, "
                f"{lent.dtype} {lent.shape}, by {now.dtype} {now.shape}, which a program "
                "cannot write into its memory"
            )
        self._tape.updates[lent.binding] = now.variable

    def _number(self, x: Variable) -> str | None:
        """Write a number as an expression of others that are there beforehand."""
        for binding, access in self._inputs.items():
            if binding.variable is x:
                return access
        for e in self._tape.equations:
            if e.output is x and e.function in INFIX and x.dtype is None:
                parts = [
                    self._number(z) if isinstance(z, Variable) else repr(z)
                    for z in e.args
                ]
                if None not in parts:
                    return f"({f' {INFIX[e.function][0]} '.join(map(str, parts))})"
        return None

    def _as_tracer(self, x: Any) -> Tracer:
        if isinstance(x, Tracer):
            return x
        tracer: Tracer = self._tape.apply(np.positive, x)
        return tracer

    def _name(self, thing: Any) -> str:
        reference = self._surroundings.refer(thing)
        self.names[reference] = thing
        return reference

    def _make_program(self, outputs: list[Any]) -> None:
        tape = self._tape
        updates = {b.variable: x for b, x in tape.updates.items()}
        read = {x for e in tape.equations for x in e.inputs}
        read |= {
            x
            for x in (*outputs, *updates, *updates.values())
            if isinstance(x, Variable)
        }
        used = {
            b: access
            for b, access in self._inputs.items()
            if b.variable in read or access in self._given
        }
        is_argument = {b: a.startswith(("args[", "kwargs[")) for b, a in used.items()}
        used = {b: used[b] for b in sorted(used, key=lambda b: not is_argument[b])}
        for binding in used:
            binding.variable.label = binding.name
        for output, x in tape.cotangents.values():
            output.label = output.label or ("cotangent", x)
        self.accesses = list(used.values())
        self.program = Program(
            tuple(b.variable for b in used),
            tuple(tape.equations),
            tuple(outputs),
            updates,
        )
        for b, access in used.items():
            tensor = access.removesuffix(".data")
            if access.endswith(".data") and not tensor.endswith(".grad"):
                source = f"{access}.shape == {b.variable.shape}"
                self.conditions.append(Condition(source, b.name))
                source = f"{access}.dtype == {self._name(b.variable.dtype)}"
                self.conditions.append(Condition(source, b.name))
            elif b.variable.dtype is not None and access not in self._given:
                source = f"{access}.shape == {b.variable.shape}"
                self.conditions.append(Condition(source, b.name))
        for x, truth in tape.guards:
            (access,) = (a for b, a in used.items() if b.variable is x)
            self.conditions.append(Condition(f"bool({access}) is {truth}", access))

    # --- What must not happen ---------------------------------------------------------

    def _check_unchanged(self, generators: list[Any], before: list[Any]) -> None:
        """Raise if the run drew random numbers, or changed what is not an array."""
        around = self._surroundings

        def changed() -> str:
            now = map(_state, generators)
            if any(pickle.dumps(a) != pickle.dumps(b) for a, b in zip(now, before)):
                return "random"
            broken = around.broken(self._args, self._kwargs)
            return broken[0].path if broken else ""

        def restore() -> None:
            around.restore()
            for g, state in zip(generators, before):
                _set_state(g, state)

        what = changed()
        if not what:
            return
        restore()
        try:
            where = self._find_line(changed)
        finally:
            restore()
        if what == "random":
            raise TypeError(
                f"compile: the function draws random numbers{where}, and the program "
                "would have the same ones at every call; draw them outside, and pass "
                "them as an argument"
            )
        raise TypeError(
            f"compile: the function changes {what}{where}, which the program would not "
            "do again; return the value instead, and change it outside"
        )

    def _find_line(self, changed: Callable[[], str]) -> str:
        """Run once more, line by line, to name the one that changes something."""
        found: list[str] = []

        def at(frame: FrameType, event: str, _: Any) -> Any:
            code = frame.f_code
            if code.co_filename.startswith(_PACKAGE) or found:
                return None
            lines = [f", at {code.co_filename}:{frame.f_lineno}"]

            def line(frame: FrameType, event: str, _: Any) -> Any:
                if not found and changed():
                    found.append(lines[0])
                lines[0] = f", at {code.co_filename}:{frame.f_lineno}"
                return line

            return line

        tape = Tape()
        self._tape, self._inputs = tape, {}
        previous = sys.gettrace()
        with self._swapped(tape, set()):
            stand_ins = {a: self._stand_in(x, a, set()) for a, x in self._given.items()}
            args = self._with_stand_ins(self._args, "args", stand_ins)
            kwargs = self._with_stand_ins(self._kwargs, "kwargs", stand_ins)
            sys.settrace(at)
            try:
                self._f(*args, **kwargs)
            finally:
                sys.settrace(previous)
        return found[0] if found else ""


_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


def _state(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)
