"""One run of a function on tracers, and what it amounts to: a `Program`.

Nothing is changed by it: what the function would write to is written down, and done
when the program runs.
"""

from __future__ import annotations

import inspect
import pickle
import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.compiler.expressions import INFIX, literal, subscript
from tinygrad_edu.compiler.program import Program, Variable
from tinygrad_edu.compiler.refusals import is_library_code, place
from tinygrad_edu.compiler.repeating import OutOfReach, alike
from tinygrad_edu.compiler.surroundings import (
    Condition,
    Site,
    Surroundings,
    may_be_lent,
    said,
)
from tinygrad_edu.compiler.tracer import Binding, Tape, Tracer
from tinygrad_edu.engine.graph import Node, Untraceable, current_mode, new_index
from tinygrad_edu.engine.modes import changed
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support import tree
from tinygrad_edu.support.randomness import set_state, state_of

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
        self._paths: dict[str, str] = {}  # what the user calls those
        self._others: dict[str, Any] = {}
        self._kinds: dict[str, Any] = {}
        self._references: dict[int, str] = {}
        self.conditions: list[Condition] = []
        self._look_at(args, "args", "")
        self._look_at(kwargs, "kwargs", "")
        self._surroundings = Surroundings(f, self._others)
        self.names = self._surroundings.names | self._kinds

        absent: set[str] = set()  # the gradients that are not there, where that matters
        of_arguments = self.conditions
        while True:
            self.conditions = of_arguments.copy()
            read = self._record(absent)
            new = {g for g in read if self._evaluate(g) is None} - absent
            if not new:
                break
            absent |= new
        first = self._tape, list(self._inputs)
        self.conditions = of_arguments.copy()
        self._record(absent)
        self._check_same(*first)
        for access in sorted(read | absent):
            source = f"{access} is{'' if access in absent else ' not'} None"
            self.conditions.append(Condition(source, access))
        self.conditions += self._surroundings.conditions
        self._require_arrays()

    def _require_arrays(self) -> None:
        """Require the same shapes and dtypes of what is read from around.

        In most calls that is the same array as in the last, so ask that first.
        """
        for x, access in zip(self.program.inputs, self.accesses):
            is_argument = access.startswith(("args[", "kwargs["))
            if x.dtype is not None and not is_argument and access not in self._drawn:
                array = self._evaluate(access)
                source = (
                    f"({access} is {self._name(array)} or {access}.shape == {x.shape} "
                    f"and {access}.dtype == {self._name(x.dtype)} "
                    f"and {access}.__class__ is {self._name(type(array))})"
                )
                self.conditions.append(Condition(source, str(x.label)))

    def _evaluate(self, access: str) -> Any:
        return eval(access, self.names | {"args": self._args, "kwargs": self._kwargs})

    def counts(self) -> dict[str, str] | None:
        """Tell what becomes of each number, with ``{0}`` for the first input.

        None, if there is more to do after a run, or anything to give but one number; or
        if something has to be drawn before each run.
        """
        outputs = self.program.outputs
        others = [e for e in self.effects if not e.endswith(".accumulated = None")]
        batch = self.accesses[:2] == ["args[0]", "args[1]"]
        if not batch or self._drawn or len(others) > len(self._counts):
            return None
        just_one = re.fullmatch(r"(\(a\d+ := )?(tensor\()?r\[0\]\)*", self.answer)
        if not just_one or len(outputs) != 1:
            return None
        if outputs[0].shape != () or outputs[0].dtype is None:
            return None

        places = {x: f"{{{i}}}" for i, x in enumerate(self.program.inputs)}
        place_of = dict(zip(self.accesses, places.values()))
        counts = {
            place_of[access]: self._number(x, places)
            for access, x in self._counts.items()
            if access in place_of
        }
        known = {place: number for place, number in counts.items() if number}
        return known if len(known) == len(counts) else None

    # --- Arguments --------------------------------------------------------------------

    def _look_at(self, x: Any, access: str, path: str) -> None:
        """Note what must hold of an argument, and what of it is data."""
        self._paths[access] = path

        def require(*sources: str) -> None:
            self.conditions.extend(Condition(source, access) for source in sources)

        if access not in ("args", "kwargs"):
            require(f"{access}.__class__ is {self._refer(type(x))}")
        if isinstance(x, tuple | list):
            require(f"len({access}) == {len(x)}")
            for i, part in enumerate(x):
                inner = self._parameter(i) if access == "args" else f"{path}_{i}"
                self._look_at(part, f"{access}[{i}]", inner)
        elif isinstance(x, dict):
            require(
                f"{access}.keys() == {self._refer(set(x))}" if x else f"not {access}"
            )
            for key, part in x.items():
                self._look_at(part, self._item(access, key), f"{path}_{said(key)}")
        elif isinstance(x, Tensor | np.ndarray | np.generic):
            require(
                f"{access}.shape == {x.shape}",
                f"{access}.dtype == {self._refer(x.dtype)}",
            )
            array = x.data if isinstance(x, Tensor) else x
            if isinstance(array, np.matrix | np.ma.MaskedArray | np.recarray):
                raise TypeError(
                    f"compile: an argument is a {type(array).__name__}, which computes "
                    "otherwise than an array does; pass np.asarray(x)"
                )
            if isinstance(x, Tensor):
                require(f"{access}.requires_grad is {x.requires_grad}")
                if x.op is not None:
                    raise ValueError(
                        "compile: an argument is a Tensor that was computed and "
                        "requires a gradient, which would be lost, since the answers "
                        "of a compiled function are constants; compile the whole step, "
                        "or pass detach()"
                    )
            self._given[access] = x
        elif type(x) is float:
            self._given[access] = x
        elif isinstance(x, int | str | bytes | None):
            require(f"{access} == {literal(x) or self._refer(x)}")
        else:
            self._others[access] = x

    def _refer(self, thing: Any) -> str:
        name = self._references.setdefault(id(thing), f"k{len(self._kinds)}")
        self._kinds[name] = thing
        return name

    def _item(self, access: str, key: Any) -> str:
        return f"{access}[{subscript(key, self._refer)}]"

    # --- The run ----------------------------------------------------------------------

    def _record(self, absent: set[str]) -> set[str]:
        """Run the function; return the gradients, by expression, that it reads."""
        tape = self._tape = Tape(self._put_back)
        self._inputs: dict[Binding, str] = {}  # with the expression for the value
        self._drawn: set[str] = set()  # those of random numbers
        generators = [np.random.mtrand._rand, random, *self._surroundings.generators]
        before = list(map(state_of, generators))
        try:
            with self._swapped(tape, absent):
                args, kwargs, stand_ins = self._arguments(absent)
                answer = self._f(*args, **kwargs)
                self._read_off(answer, stand_ins, absent)
        except Exception as error:
            self._surroundings.restore()
            for g, state in zip(generators, before):
                set_state(g, state)
            if isinstance(error.__cause__, Untraceable):  # as NumPy passes it on
                raise error.__cause__ from None
            raise
        self._check_unchanged(generators, before)
        used = {x for e in self.program.equations for x in e.inputs}
        used |= set(self.program.results())
        return {
            access
            for binding, access in self._bound_gradients.items()
            if binding.variable in used
        }

    def _arguments(self, absent: set[str]) -> tuple[Any, Any, dict[str, Any]]:
        """Return what the function gets, and the stand-ins in it."""
        stand_ins: dict[str, Any] = {}
        for access, x in self._given.items():
            stand_ins[access] = self._stand_in(x, access, absent, stand_ins)
        args = self._with_stand_ins(self._args, "args", stand_ins)
        return args, self._with_stand_ins(self._kwargs, "kwargs", stand_ins), stand_ins

    def _watch(self, node: Node, op: Any, inputs: tuple[Any, ...]) -> None:
        """Refuse a Tensor from outside that a program could not follow."""
        for x in inputs:
            if not isinstance(x, Node) or x.index > self._start:
                continue
            if x in self._lent and (x.op is None or not current_mode.get().recording):
                continue
            name = f" {x.name}" * bool(x.name)
            if x.op is not None:
                raise TypeError(
                    f"compile: the function uses a Tensor{name} that was computed "
                    f"outside of it, at {place()}, and its gradient would be lost; "
                    "compute it inside, or take its detach()"
                )
            raise TypeError(
                f"compile: the function uses a Tensor{name}, at {place()}, that it "
                "comes by in a way that cannot be followed; keep it in a variable, an "
                "attribute, a list or a dict, or pass it as an argument"
            )

    def _bind(
        self, name: str, value: Any, access: str, writable: bool = False
    ) -> Tracer:
        binding = Binding(name, value, writable)
        self._inputs[binding] = access
        return self._tape.bind(binding, value)

    def _sample(self, draw: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Make random numbers an input of the program, drawn anew before each run.

        Not so those of something made inside, which is a new one in each run.
        """
        if not self._surroundings.knows(draw.__self__):
            return draw(shape, dtype)
        access = f"{self._name(draw)}({shape}, {self._name(np.dtype(dtype))})"
        self._drawn.add(access)
        name = f"{draw.__name__}{len(self._drawn)}"
        return self._bind(name, np.ones(shape, dtype), access)

    def _stand_in(
        self, x: Any, access: str, absent: set[str], others: dict[str, Any]
    ) -> Any:
        """Return what the function gets in place of an argument."""
        name = "_".join(re.findall(r"\w+", self._paths[access]))
        if not isinstance(x, Tensor):
            return self._bind(name, x, access)

        def require(source: str) -> None:
            self.conditions.append(Condition(source, access))

        if x in self._surroundings.tensors:
            require(f"{access} is {self._name(x)}")
            return x
        if x.requires_grad:
            for other in others:
                if self._given[other] is x:
                    require(f"{access} is {other}")
                    return others[other]
                require(f"{access} is not {other}")
            known = {t for t in self._surroundings.tensors if t.requires_grad}
            if known:
                require(f"{access} not in {self._name(frozenset(known))}")
        tensor = x.__class__.__new__(x.__class__)
        for slot in Node.__slots__[1:]:
            if hasattr(x, slot):  # one may not be set
                setattr(tensor, slot, getattr(x, slot))
        self._lend(tensor, access, x.name or name, absent)
        return tensor

    def _parameter(self, i: int) -> str:
        """Say args[i] by the parameter's name."""
        names = list(inspect.signature(self._f).parameters)
        return names[min(i, len(names) - 1)] if names else f"x{i}"

    def _lend(self, tensor: Tensor, access: str, name: str, absent: set[str]) -> None:
        """Put tracers in place of a Tensor's data, and of its gradient.

        A gradient that is not there is taken to be: then one sees whether it is read.
        """
        data = tensor.data
        tracer: Any = self._bind(name, data, f"{access}.data", tensor.requires_grad)
        tensor.array, tensor.grad = tracer, None
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
                self._with_stand_ins(part, self._item(access, key), stand_ins)
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
        self._start = new_index()
        slots = ("array", "accumulated", "name", "requires_grad")
        tensors = [(t, [getattr(t, slot) for slot in slots]) for t in around.tensors]
        places = (*around.arrays, *around.numbers, *around.iterators)
        sites = [(site, site.get()) for site in places]
        self._originals = sites[: len(around.arrays)]
        lent: dict[int, Any] = {}  # the arrays' stand-ins
        writeable = [array for array in around.frozen if array.flags.writeable]
        inside = changed(
            {"watch": self._watch, "sample": self._sample, "nested": False}
        )
        try:
            current_mode.set(inside)
            for array in writeable:
                array.flags.writeable = False
            for t, _ in tensors:
                self._lend(t, around.refer(t), around.tensors[t], absent)
            for site, value in sites:
                numbers = any(site is s for s in around.numbers)
                stand_in = self._lend_site(value, site.access, site.path, lent, numbers)
                self._sites.append((site, stand_in))
                site.set(stand_in)
            yield
        finally:
            current_mode.set(inside.block.outside)
            for array in writeable:
                array.flags.writeable = True
            self._changed_tensor = ""
            for t, before in tensors:
                for slot, value in zip(slots, before):
                    if slot in slots[2:] and getattr(t, slot) is not value:
                        self._changed_tensor = f"{around.tensors[t]}.{slot}"
                    setattr(t, slot, value)
            for site, value in sites:
                site.set(value)

    @contextmanager
    def _put_back(self) -> Iterator[None]:
        """Put the arrays back for a while, for a function that is one step."""
        stand_ins = [(site, site.get()) for site in self._surroundings.arrays]
        try:
            for site, value in self._originals:
                site.set(value)
            yield
        finally:
            for site, stand_in in stand_ins:
                site.set(stand_in)

    def _lend_site(
        self, value: Any, access: str, path: str, lent: dict[int, Any], numbers: bool
    ) -> Any:
        """Return what stands for an array, a number, or a tuple with such in it."""
        if isinstance(value, tuple):
            parts = [
                self._lend_site(x, f"{access}[{i}]", f"{path}[{i}]", lent, numbers)
                if numbers or isinstance(x, np.ndarray | tuple)
                else x
                for i, x in enumerate(value)
            ]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        if isinstance(value, np.ndarray):
            if not may_be_lent(value):
                return value
            if id(value) not in lent:
                lent[id(value)] = self._bind(path, value, access, True)
            return lent[id(value)]
        if isinstance(value, Iterator):
            return OutOfReach(path)
        return self._bind(path, value, access)

    # --- What came of it --------------------------------------------------------------

    def _read_off(
        self, answer: Any, stand_ins: dict[str, Any], absent: set[str]
    ) -> None:
        """Make the program, and the statements that do what it does not."""
        tape = self._tape
        outputs: list[Any] = []
        self.effects: list[str] = []
        self._counts: dict[str, Variable] = {}
        accesses = {b.variable: access for b, access in self._inputs.items()}

        def output(x: Tracer) -> str:
            outputs.append(x.variable)
            return f"r[{len(outputs) - 1}]"

        known = {id(x): access for access, x in stand_ins.items()}

        def expression(x: Any) -> str:
            if id(x) in known:
                return known[id(x)]
            text = written(x)
            if isinstance(x, Tensor | Tracer | np.ndarray):  # may be there once more
                known[id(x)] = f"a{len(known)}"
                text = f"({known[id(x)]} := {text})"
            return text

        def written(x: Any) -> str:
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
                self.effects.append(f"{access}.accumulated = None")
            else:
                value = output(self._as_tracer(t.grad.data))
                self.effects.append(f"{access}.accumulated = tensor({value})")
        for site, lent in self._sites:
            now = site.get()
            if now is lent:
                continue
            if isinstance(now, Tracer) and now.variable.dtype is None:
                number = self._number(now.variable, accesses)
                self.effects.append(f"{site.access} = {number or output(now)}")
                if number:
                    self._counts[site.access] = now.variable
            else:
                self.effects.append(f"{site.access} = {expression(now)}")
        self._make_program(outputs)

    def _update(self, lent: Tracer, now: Any) -> None:
        """Note that what a tracer was lent for has become something else."""
        now = self._as_tracer(now)
        if now.shape != lent.shape or now.dtype != lent.dtype or lent.binding is None:
            raise TypeError(
                f"compile: the function replaces {lent.binding and lent.binding.name}, "
                f"{lent.dtype} {lent.shape}, by {now.dtype} {now.shape}, which a "
                "program cannot write into its memory"
            )
        self._tape.updates[lent.binding] = now.variable

    def _number(self, x: Variable, known: dict[Variable, str]) -> str | None:
        """Write a number as an expression of others that are known beforehand."""
        if x in known:
            return known[x]
        for e in self._tape.equations:
            if e.output is x and e.function in INFIX and x.dtype is None:
                parts = [
                    self._number(z, known) if isinstance(z, Variable) else literal(z)
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
        read = {x for x in (*outputs, *updates, *updates.values()) if _is_variable(x)}
        for e in reversed(tape.equations):
            if e.output in read:
                read.update(e.inputs)
        used = {
            b: access
            for b, access in self._inputs.items()
            if b.variable in read or access in self._given or access in self._drawn
        }
        is_argument = {b: a.startswith(("args[", "kwargs[")) for b, a in used.items()}
        used = {b: used[b] for b in sorted(used, key=lambda b: not is_argument[b])}
        for binding in used:
            binding.variable.label = binding.name
        for output, x in tape.cotangents.values():
            output.label = output.label or ("cotangent", x)
        self._check_memory(list(used))
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
                needs_grad = f"{tensor}.requires_grad is {b.writable}"
                self.conditions.append(Condition(needs_grad, b.name))
        for x, truth in tape.guards:
            (access,) = (a for b, a in self._inputs.items() if b.variable is x)
            self.conditions.append(Condition(f"bool({access}) is {truth}", access))

    # --- What must not happen ---------------------------------------------------------

    def _check_unchanged(self, generators: list[Any], before: list[Any]) -> None:
        """Raise if the run drew random numbers, or changed what is not an array."""
        around = self._surroundings

        def changed() -> str:
            now = map(state_of, generators)
            if any(pickle.dumps(a) != pickle.dumps(b) for a, b in zip(now, before)):
                return "random"
            return around.changed() or self._changed_tensor

        def restore() -> None:
            around.restore()
            for g, state in zip(generators, before):
                set_state(g, state)

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

    def _check_memory(self, used: list[Binding]) -> None:
        """Raise if an array is written to that another one is a view of."""
        for written in self._tape.updates:
            for other in used:
                if written is not other and np.shares_memory(
                    written.array, other.array
                ):
                    raise TypeError(
                        f"compile: the function changes {written.name}, and "
                        f"{other.name} looks at the same memory, which a program could "
                        "not follow; pass or keep a copy()"
                    )

    def _check_same(self, tape: Tape, inputs: list[Binding]) -> None:
        """Raise if the function did another thing when it was run once more."""
        same = {a.variable: b.variable for a, b in zip(inputs, self._inputs)}
        for e, again in zip_longest(tape.equations, self._tape.equations):
            if (
                e
                and again
                and e.function == again.function
                and alike((e.args, e.params), (again.args, again.params), same)
            ):
                same[e.output] = again.output
                continue
            origin = (e or again).origin
            raise TypeError(
                f"compile: run twice, the function did not do the same, at "
                f"{origin.file}:{origin.line}: it has a number from somewhere that is "
                "another one each time (random, or the time), and the program would "
                "have the first one at every call; pass it as an argument"
            )

    def _find_line(self, changed: Callable[[], str]) -> str:
        """Run once more, line by line, to name the one that changes something."""
        found: list[str] = []

        # Coverage is measured by a tracer too, and this is in its place.
        def at(frame: FrameType, event: str, _: Any) -> Any:  # pragma: no cover
            code = frame.f_code
            if is_library_code(code, frame.f_globals) or found:
                return None
            lines = [f", at {code.co_filename}:{frame.f_lineno}"]

            def line(frame: FrameType, event: str, _: Any) -> Any:
                if not found and changed():
                    found.append(lines[0])
                lines[0] = f", at {code.co_filename}:{frame.f_lineno}"
                return line

            return line

        tape = Tape(self._put_back)
        self._tape, self._inputs = tape, {}
        previous = sys.gettrace()
        with self._swapped(tape, set()):
            args, kwargs, _ = self._arguments(set())
            sys.settrace(at)
            try:
                self._f(*args, **kwargs)
            finally:
                sys.settrace(previous)
        return found[0] if found else ""


def _is_variable(x: Any) -> bool:
    return isinstance(x, Variable)
