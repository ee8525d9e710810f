"""One run of a function on a tape, and what it amounts to: a `Program`.

Nothing is changed by it: what the function would write to is written down, and done
when the program runs.
"""

from __future__ import annotations

import gc
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from operator import itemgetter
from typing import Any
from weakref import ref

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tinygrad_edu.compiler.captured import (
    PLAIN,
    Captured,
    Condition,
    Site,
    check_kind,
    is_lent,
    is_setting,
    key_text,
)
from tinygrad_edu.compiler.expressions import INFIX, literal, subscript
from tinygrad_edu.compiler.naming import label_variables, short_path
from tinygrad_edu.compiler.program import Program, Variable
from tinygrad_edu.compiler.refusals import place
from tinygrad_edu.compiler.tape import Array, Line, Memory, Number, Tape
from tinygrad_edu.engine.graph import Node, current_mode
from tinygrad_edu.engine.modes import changed
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support import tree

__all__ = ["Recording"]

LONGEST = 500  # characters of a number's expression: Python reads few nested brackets


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
        self.names: dict[str, Any] = {}
        self._references: dict[int, str] = {}
        self._given: dict[str, Any] = {}  # the arguments that are data, by expression
        self._paths: dict[str, str] = {}  # what the user calls those
        self._others = {self._refer(f): f}
        self.conditions: list[Condition] = []
        self._look_at(args, "args", "")
        self._look_at(kwargs, "kwargs", "")
        self._captured = Captured(self._others, self._refer)
        self._record()
        first = self._tape.equations, list(self._inputs)
        self._record(is_last=True)
        self._check_same(*first)
        # A function may change what it leads to, if it does the same all the same.
        self.conditions += Captured(self._others, self._refer).conditions
        self.conditions += self._of_inputs()

    def _evaluate(self, access: str) -> Any:
        return eval(access, self.names, {"args": self._args, "kwargs": self._kwargs})

    def _refer(self, thing: Any) -> str:
        """Return the name under which conditions and effects find an object."""
        name = self._references.setdefault(id(thing), f"o{len(self.names)}")
        self.names[name] = thing
        return name

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
            require(f"[*{access}] == {self._refer(list(x))}" if x else f"not {access}")
            for key, part in x.items():
                self._look_at(part, self._item(access, key), f"{path}_{key_text(key)}")
        elif isinstance(x, Tensor | np.ndarray | np.generic):
            require(
                f"{access}.shape == {x.shape}",
                f"{access}.dtype == {self._refer(x.dtype)}",
            )
            check_kind(x.array if isinstance(x, Tensor) else x, "an argument")
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

    def _parameter(self, i: int) -> str:
        """Say args[i] by the parameter's name."""
        names = list(inspect.signature(self._f).parameters)
        return names[min(i, len(names) - 1)] if names else f"x{i}"

    def _item(self, access: str, key: Any) -> str:
        return f"{access}[{subscript(key, self._refer)}]"

    # --- The run ----------------------------------------------------------------------

    def _record(self, is_last: bool = False) -> None:
        """Run the function once."""
        self._tape = tape = Tape(self)
        self._inputs: dict[Memory, str] = {}  # with the expressions for the values
        self._drawn: set[str] = set()  # those of random numbers
        self._tensors: dict[int, Tensor] = {}  # those from outside that are used
        self._accesses: dict[int, str] = {}  # to these
        self._gradients: dict[int, Any] = {}  # what they are at first, where it matters
        self._bound: dict[Memory, Any] = {}  # those that had this memory at first
        self._lent_conditions: list[Condition] = []
        self._remembered: set[str] = set()  # what optimisers remember
        self._used: dict[int, Any] = {}  # gradients of a step
        self._read: set[int] = set()  # those whose gradient was there, or not, at first
        self._sites: list[tuple[Site, Any, Any]] = []  # with what is there at first
        self._lent: set[int] = set()  # optimisers
        self._arrays: dict[int, Memory] = {}  # that arrays found have, by id
        inside = changed({"tape": tape, "sample": self._sample, "nested": False})
        try:
            current_mode.set(inside)
            with self._restored(), np.errstate(all="ignore"):  # the program warns
                self._lend_all()
                args, kwargs, stand_ins = self._arguments()
                answer = self._f(*args, **kwargs)
                if tape.failure is None:
                    self._read_off(answer, stand_ins)
        except Exception as error:
            if tape.failure is not None and error is not tape.failure:
                raise tape.failure from None
            raise
        finally:
            current_mode.set(inside.block.outside)
        if tape.failure is not None:
            raise tape.failure
        self._check_memory()
        if is_last:
            label_variables(tape, self.program.inputs, self.program.outputs)
        del args, kwargs, answer, stand_ins
        self._check_forgotten()

    @contextmanager
    def _restored(self) -> Iterator[None]:
        """Put everything back that the function writes to."""
        try:
            yield
        finally:
            for tensor, array, gradient in self._before:
                tensor.array, tensor.accumulated = array, gradient
            for site, value, _ in reversed(self._sites):
                site.set(value)
            for mask in self._frozen:
                mask.flags.writeable = True

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Put the arrays back for a while, for a function that is one step."""
        stand_ins = [(site, site.get()) for site, _, _ in self._sites]
        try:
            for site, value, _ in self._sites:
                site.set(value)
            yield
        finally:
            for site, stand_in in stand_ins:
                site.set(stand_in)

    def _lend_all(self) -> None:
        """Put Arrays in place of the arrays that the function leads to."""
        self._before: list[tuple[Tensor, Any, Any]] = []
        self._frozen = [x for x in self._captured.masks if x.flags.writeable]
        for mask in self._frozen:
            mask.flags.writeable = False
        for site in self._captured.sites:
            self._swap(site, self._array(site.get(), site.access, site.path))
        for optimiser in self._captured.optimisers:
            self.lend(optimiser)

    def _swap(self, site: Site, stand_in: Any) -> None:
        self._sites.append((site, site.get(), stand_in))
        site.set(stand_in)

    def _bind(self, name: str, value: Any, access: str, writable: bool) -> Memory:
        """Make something an input of the program."""
        dtype = getattr(value, "dtype", None)  # a Python number has none
        variable = Variable(np.shape(value), dtype, short_path(name))
        bound = Memory(variable, name, writable)
        self._inputs[bound] = access
        return bound

    def _array(self, x: Any, access: str, path: str) -> Any:
        """Return what stands for an array, or for a tuple with arrays in it."""
        if isinstance(x, tuple):
            parts = [
                self._array(part, f"{access}[{i}]", f"{path}[{i}]")
                for i, part in enumerate(x)
            ]
            return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
        if type(x) is Array or not is_lent(x):  # two functions may share a place
            return x
        bound = self._arrays.get(id(x))
        if bound is None:
            bound = self._arrays[id(x)] = self._bind(path, x, access, False)
        array = Array.of(x, bound)
        self._tape.made.append((ref(array), self._line()))
        return array

    def _line(self) -> Line:
        """Return where the function is."""
        code = getattr(inspect.unwrap(self._f), "__code__", None)
        return (code.co_filename, code.co_firstlineno) if code else (repr(self._f),)

    def _arguments(self) -> tuple[Any, Any, dict[str, Any]]:
        """Return what the function gets, and the parts of it that are data."""
        stand_ins: dict[str, Any] = {}
        for access, x in self._given.items():
            name = "_".join(re.findall(r"\w+", self._paths[access]))
            if isinstance(x, Tensor):
                self._accesses.setdefault(id(x), access)
                self._captured.paths.setdefault(id(x), name)
                stand_ins[access] = x
                self._tape.place(x)  # in the order of the arguments
            elif type(x) is float:
                bound = self._bind(name, x, access, False)
                stand_ins[access] = Number(self._tape, x, bound.variable, True)
            else:
                bound = self._bind(name, x, access, False)
                is_scalar = isinstance(x, np.generic)
                array = Array.of(np.asarray(x), bound, is_scalar)
                stand_ins[access] = array
                self._tape.made.append((ref(array), self._line()))
        args = self._with_stand_ins(self._args, "args", stand_ins)
        return args, self._with_stand_ins(self._kwargs, "kwargs", stand_ins), stand_ins

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

    # --- Called by the tape -----------------------------------------------------------

    def place_of(self, x: Any, is_outside: bool) -> Memory | None:
        """Return the memory of a Tensor or array that the tape meets first."""
        if not isinstance(x, Node):
            return self._arrays.get(id(x))
        if not is_outside:
            return self.place_of(x.array, True)
        if x.op is not None and current_mode.get().recording:
            raise TypeError(
                f"compile: the function uses a Tensor{_named(x)} that was computed "
                f"outside of it, at {place()}, and its gradient would be lost; compute "
                "it inside, or take its detach()"
            )
        access = self._access(x)
        name = x.name or self._captured.paths.get(id(x)) or "x"
        bound = self._bind(name, x.array, f"{access}.array", True)
        self._bound[bound] = x
        return bound

    def is_argument(self, bound: Memory) -> bool:
        return self._inputs[bound].startswith(("args[", "kwargs["))

    def _access(self, tensor: Any) -> str:
        """Return the expression for a Tensor from outside, which may be changed."""
        if id(tensor) not in self._tensors:
            self._tensors[id(tensor)] = tensor
            self._before.append((tensor, tensor.array, tensor.accumulated))
        access = self._accesses.get(id(tensor))
        if access is None:
            access = self._accesses[id(tensor)] = self._refer(tensor)
        return access

    def see(self, leaf: Any, is_read: bool) -> None:
        """Have the gradient of a leaf be an input, unless it is overwritten first."""
        if leaf.index > self._tape.start or id(leaf) in self._gradients:
            return
        access = self._access(leaf)
        gradient = leaf.accumulated
        if is_read:
            self._read.add(id(leaf))
        if is_read and gradient is not None:
            name = f"grad_{leaf.name or self._captured.paths.get(id(leaf)) or 'x'}"
            of = f"{access}.accumulated.array"
            stand_in = Tensor(gradient.array)
            self._tape.settle(stand_in, self._bind(name, gradient.array, of, True))
            leaf.accumulated = gradient = stand_in
        self._gradients[id(leaf)] = gradient

    def step(self, optimiser: Any) -> None:
        """Note which gradients an optimiser uses: they are not kept."""
        self.lend(optimiser)
        self._used |= {id(p.accumulated): p.accumulated for p in optimiser.params}

    def lend(self, optimiser: Any) -> None:
        """Read the numbers and the state of an optimiser afresh."""
        if id(optimiser) in self._lent:
            return
        self._lent.add(id(optimiser))
        path = self._captured.paths.get(id(optimiser), "optimiser")
        attributes = vars(optimiser)
        for name, value in list(attributes.items()):
            if is_setting(value):
                access = self._item(self._refer(attributes), name)
                site = Site(access, f"{path}.{name}", attributes, name)
                self._swap(site, self._number(value, access, name))
        state = self._refer(optimiser.state)
        self._lent_conditions += [
            Condition(
                f"{self._item(self._refer(attributes), 'state')} is {state}", path
            ),
            Condition(f"[*{state}] == {list(optimiser.state)!r}", path),
        ]
        for name, arrays in optimiser.state.items():
            same = f"{self._item(state, name)} is {self._refer(arrays)}"
            self._lent_conditions.append(Condition(same, path))
            for i, array in enumerate(arrays):
                access = f"{self._refer(arrays)}[{i}]"
                site = Site(access, f"{path}.{name}[{i}]", arrays, i)
                self._remembered.add(access)
                bound = self._bind(f"{name}_{i}", array, access, True)
                self._swap(site, Array.of(array, bound))

    def _number(self, value: Any, access: str, name: str) -> Any:
        """Return what stands for a number, or for a tuple of numbers."""
        if isinstance(value, tuple):
            return tuple(
                self._number(x, f"{access}[{i}]", f"{name}_{i}")
                for i, x in enumerate(value)
            )
        bound = self._bind(name, value, access, False)
        if isinstance(value, np.generic):
            return Array.of(np.asarray(value), bound, is_scalar=True)
        return Number(self._tape, value, bound.variable, True)

    def _sample(self, draw: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Make random numbers an input of the program, drawn anew before each run.

        Not so those of something made inside, which is a new one in each run.
        """
        if not self._captured.knows(draw.__self__):
            return draw(shape, dtype)
        access = f"{self._refer(draw)}({shape}, {self._refer(np.dtype(dtype))})"
        self._drawn.add(access)
        name = f"{draw.__name__}{len(self._drawn)}"
        bound = self._bind(name, np.ones(shape, dtype), access, False)
        return Array.of(np.ones(shape, dtype), bound)

    # --- What came of it --------------------------------------------------------------

    def _read_off(self, answer: Any, stand_ins: dict[str, Any]) -> None:
        """Make the program, and the statements that do what it does not."""
        tape = self._tape
        outputs: list[Any] = []
        self.effects: list[str] = []
        self._counts: dict[str, Variable] = {}
        accesses = {b.first: access for b, access in self._inputs.items()}
        known = {id(x): access for access, x in stand_ins.items()}
        known |= {id(x): site.access for site, _, x in self._sites}

        def output(x: Variable) -> str:
            outputs.append(x)
            return f"r[{len(outputs) - 1}]"

        def expression(x: Any) -> str:
            if id(x) in known:
                return known[id(x)]
            text = written(x)
            if isinstance(x, Node | np.ndarray):  # may be there once more
                known[id(x)] = f"a{len(known)}"
                text = f"({known[id(x)]} := {text})"
            return text

        def written(x: Any) -> str:
            if isinstance(x, tuple) and hasattr(x, "_fields"):
                return f"{self._refer(type(x))}({', '.join(map(expression, x))})"
            if type(x) is tuple:
                return f"({''.join(expression(part) + ', ' for part in x)})"
            if type(x) is list:
                return f"[{', '.join(map(expression, x))}]"
            if type(x) is dict:
                items = (f"{self._refer(k)}: {expression(v)}" for k, v in x.items())
                return f"{{{', '.join(items)}}}"
            if type(x) is Array or type(x) is Number:
                return output(tape.variable(x))
            if isinstance(x, Tensor):
                if id(x) in self._tensors or x.index < tape.start:
                    return self._access(x)
                return f"tensor({output(tape.place(x).read())})"
            return self._refer(x) + ".copy()" * isinstance(x, np.ndarray)

        self.answer = expression(answer)
        for tensor in list(self._tensors.values()):
            access = self._accesses[id(tensor)]
            if id(tensor) in self._gradients:
                now = tensor.accumulated
                if id(tensor) in self._read and now is self._gradients[id(tensor)]:
                    continue
                if now is None or id(now) in self._used:
                    self.effects.append(f"{access}.accumulated = None")
                else:
                    value = output(tape.place(now).read())
                    self.effects.append(f"{access}.accumulated = tensor({value})")
        set_to: dict[str, str] = {}
        for bound, tensor in self._bound.items():
            now = tape.place(tensor)
            if now is not bound:
                value = self._inputs.get(now) or f"array({output(now.read())})"
                set_to[f"{self._accesses[id(tensor)]}.array"] = value
        for site, _, lent in self._sites:
            now = site.get()
            if now is lent:
                continue
            number = type(now) is Number and self._numbers(accesses).get(now.variable)
            if number:
                set_to[site.access] = number
                self._counts[site.access] = now.variable
            else:
                set_to[site.access] = expression(now)
        if set_to:  # read all, then assign
            places, values = ", ".join(set_to), ", ".join(set_to.values())
            self.effects.append(f"{places} = {values}")
        self._assigned = len(set_to)
        self._make_program(outputs)

    def _numbers(self, known: dict[Variable, str]) -> dict[Variable, str]:
        """Write numbers as expressions of others, known beforehand, unless too long."""
        texts = dict(known)
        for e in self._tape.equations:
            if e.output.dtype is None and e.function in INFIX:
                pair = [
                    texts.get(x) if isinstance(x, Variable) else literal(x)
                    for x in e.args
                ]
                text = f"({f' {INFIX[e.function][0]} '.join(map(str, pair))})"
                if None not in pair and len(text) <= LONGEST:
                    texts[e.output] = text
        return texts

    def _make_program(self, outputs: list[Any]) -> None:
        tape = self._tape
        updates = {bound.first: bound.read() for bound in tape.changed}
        read = {x for x in (*outputs, *updates, *updates.values()) if _is_variable(x)}
        for e in reversed(tape.equations):
            if e.output in read:
                read.update(e.inputs)
        used = {
            b.first: access
            for b, access in self._inputs.items()
            if b.first in read
            or access.startswith(("args[", "kwargs["))
            or access in self._drawn
        }

        def order(x: Variable) -> int:
            """Arguments first, then parameters, state, random numbers, numbers."""
            if used[x].startswith(("args[", "kwargs[")):
                return 0
            return (
                4
                if x.dtype is None
                else 3
                if used[x] in self._drawn
                else (2 if used[x] in self._remembered else 1)
            )

        used = {x: used[x] for x in sorted(used, key=order)}
        self.accesses = list(used.values())
        self.program = Program(
            tuple(used), tuple(tape.equations), tuple(outputs), updates
        )

    def _of_inputs(self) -> Iterator[Condition]:
        """Give what must hold of the inputs that are not arguments."""
        yield from self._lent_conditions
        yield from self._of_arguments()
        yield from self._apart()
        for x, truth in self._tape.guards:
            (access,) = (a for b, a in self._inputs.items() if b.first is x)
            yield Condition(f"bool({access}) is {truth}", access)
        for key, tensor in self._tensors.items():
            access = self._accesses[key]
            if not access.startswith(("args[", "kwargs[")):
                needs_grad = f"{access}.requires_grad is {tensor.requires_grad}"
                yield Condition(needs_grad, str(tensor.name))
            if key in self._read:
                is_none = "is" if tensor.accumulated is None else "is not"
                yield Condition(f"{access}.accumulated {is_none} None", access)
        inputs = dict(zip(self.program.inputs, self.accesses))
        written = {inputs[x]: None for x in self.program.updates}
        arrays = [a for x, a in inputs.items() if x.ndim and a not in self._drawn]
        place_of = {access: i for i, access in enumerate(arrays)}
        # Read by functions, so that no condition is as long as the list of inputs.
        all_written, all_arrays = self._read_all(written), self._read_all(arrays)
        all_but = self._refer(_all_but)
        for x, access in inputs.items():
            is_argument = access.startswith(("args[", "kwargs["))
            if is_argument or access in self._drawn:
                continue
            array = self._evaluate(access)
            if x.dtype is None:
                is_plain = f"{access}.__class__ in {self._refer((int, float))}"
                yield Condition(is_plain, str(x.label))
                continue
            # In most calls that is the same array as in the last, so ask that first.
            is_new = (
                f"{access}.shape == {x.shape} "
                f"and {access}.dtype == {self._refer(x.dtype)} "
                f"and {access}.__class__ is {self._refer(type(array))}"
            )
            others = all_written
            if access in written:
                others = f"{all_but}({all_arrays}, {place_of.get(access)})"
            is_new += f" and apart(({access},), {others})"
            yield Condition(f"({access} is {self._refer(array)} or {is_new})", access)

    def _read_all(self, accesses: Iterable[str]) -> str:
        """Write a call that gives the values of expressions, as a tuple."""
        values = "".join(f"{access}, " for access in accesses)
        function = eval(f"lambda args, kwargs: ({values})", self.names)
        return f"{self._refer(function)}(args, kwargs)"

    def _apart(self) -> Iterator[Condition]:
        """Require that no argument has the memory of what is written to."""
        inputs = dict(zip(self.program.inputs, self.accesses))
        written = {inputs[x]: None for x in self.program.updates}
        given = [
            access
            for x, access in inputs.items()
            if access.startswith(("args[", "kwargs[")) and access not in written
            if x.dtype is not None and isinstance(self._evaluate(access), np.ndarray)
        ]
        if given and written:
            source = f"apart(({', '.join(given)},), ({', '.join(written)},))"
            yield Condition(source, "the arguments")

    def _of_arguments(self) -> Iterator[Condition]:
        """Give which of the Tensors that are arguments are the same, and which not."""
        arguments = {a: x for a, x in self._given.items() if isinstance(x, Tensor)}
        found = self._captured.tensors | self._tensors
        given = set(map(id, arguments.values()))
        others = frozenset(x for k, x in found.items() if k not in given)
        no = self._refer(others)
        first: dict[int, str] = {}
        for access, x in arguments.items():
            if id(x) in self._captured.tensors:
                yield Condition(f"{access} is {self._refer(x)}", access)
            elif others:
                yield Condition(f"{access} not in {no}", access)
            if first.setdefault(id(x), access) != access:
                yield Condition(f"{access} is {first[id(x)]}", access)
        if len(first) > 1:
            different = f"len({{*map(id, ({', '.join(first.values())}))}})"
            yield Condition(f"{different} == {len(first)}", "the arguments")

    def counts(self) -> dict[str, str] | None:
        """Tell what becomes of each number, with ``{0}`` for the first input.

        None, if there is more to do after a run, or anything to give but one number; or
        if something has to be drawn before each run.
        """
        outputs = self.program.outputs
        keeps = any("accumulated = tensor" in effect for effect in self.effects)
        batch = self.accesses[:2] == ["args[0]", "args[1]"]
        if not batch or self._drawn or keeps or self._assigned > len(self._counts):
            return None
        just_one = re.fullmatch(r"(\(a\d+ := )?(tensor\()?r\[0\]\)*", self.answer)
        if not just_one or len(outputs) != 1:
            return None
        if outputs[0].shape != () or outputs[0].dtype is None:
            return None

        places = {x: f"{{{i}}}" for i, x in enumerate(self.program.inputs)}
        place_of = dict(zip(self.accesses, places.values()))
        texts = self._numbers(places) if self._counts else {}
        counts = {
            place_of[access]: texts.get(x)
            for access, x in self._counts.items()
            if access in place_of
        }
        known = {place: number for place, number in counts.items() if number}
        return known if len(known) == len(counts) else None

    # --- What must not happen ---------------------------------------------------------

    def _check_memory(self) -> None:
        """Raise if memory that is written to is also read as another input."""
        spans = []
        for b, access in self._inputs.items():
            if b.first.dtype is not None and access not in self._drawn:
                array = np.asarray(self._evaluate(access))
                spans += [(*byte_bounds(array), b)] * bool(array.size)
        spans.sort(key=itemgetter(0))
        changed = self._tape.changed
        before: list[tuple[int, Memory]] = []  # those that may reach as far as the next
        for low, high, b in spans:
            before = [(end, other) for end, other in before if end > low]
            for _, other in before:
                if b in changed or other in changed:
                    one, two = (b, other) if b in changed else (other, b)
                    raise TypeError(
                        f"compile: the function changes {one.name}, at "
                        f"{place(changed[one])}, and {two.name} looks at the same "
                        "memory, which a program could not follow; pass or keep a "
                        "copy()"
                    )
            before.append((high, b))

    def _check_forgotten(self) -> None:
        """Raise if something that was recorded is kept somewhere."""
        made, self._tape.made = self._tape.made, []
        self._tape.forget()
        self._sites, self._gradients, self._used = [], {}, {}
        kept = [(node, line) for node, line in made if node() is not None]
        if kept:
            gc.collect()  # gradients with a graph refer to themselves
        for node, line in reversed(kept):  # the last one is what was kept
            if node() is not None:
                raise TypeError(
                    f"compile: what is computed at {place(line)} is kept "
                    "after the call (in a list, an attribute or another object), where "
                    "it would hold no value; return it from the function instead"
                )

    def _check_same(self, equations: list[Any], inputs: list[Memory]) -> None:
        """Raise if the function did another thing when it was run once more."""
        same = {a.first: b.first for a, b in zip(inputs, self._inputs)}
        for e, again in zip_longest(equations, self._tape.equations):
            if (
                e
                and again
                and e.function == again.function
                and _alike((e.args, e.params), (again.args, again.params), same)
            ):
                same[e.output] = again.output
                continue
            origin = (e or again).origin
            line = origin.file, origin.line
            raise TypeError(
                f"compile: run twice, the function did not do the same, at "
                f"{place(line)}: it has a number from somewhere that is "
                "another one each time (random, a counter, or the time), and the "
                "program would have the first one at every call; pass it as an argument"
            )


def _alike(a: Any, b: Any, same: dict[Variable, Variable]) -> bool:
    """Whether arguments of two runs are the same."""
    if type(a) is not type(b):
        return False
    if type(a) is Variable:
        if a.constant is None or b.constant is None:
            return same.get(a) is b
        a, b = a.constant, b.constant
        nan = a.dtype.kind in "fc"
        return a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=nan))
    if isinstance(a, slice):
        a, b = (a.start, a.stop, a.step), (b.start, b.stop, b.step)
    elif isinstance(a, dict):
        a, b = [*a.items()], [*b.items()]
    elif not isinstance(a, list | tuple):
        return not isinstance(a, PLAIN) or bool(a == b) or a != a
    if len(a) != len(b):
        return False
    return all(_alike(x, y, same) for x, y in zip(a, b))


def _all_but(values: tuple[Any, ...], i: int | None) -> tuple[Any, ...]:
    return tuple(x for j, x in enumerate(values) if j != i)


def _named(x: Any) -> str:
    return f" {x.name}" * bool(x.name)


def _is_variable(x: Any) -> bool:
    return isinstance(x, Variable)
