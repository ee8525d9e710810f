"""Replay a graph on the compiler's tape: how each number of a page follows from leaves.

The tape lowers the forward pass and the backward rules to equations of a few NumPy
functions. Nothing is declared for this: the ops' own functions and rules run once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from tinygrad_edu.compiler.passes.redundant import common_subexpressions, dead_code
from tinygrad_edu.compiler.program import Program, Variable
from tinygrad_edu.compiler.recording.lowering import Lowering
from tinygrad_edu.compiler.recording.memory import Memory
from tinygrad_edu.compiler.recording.stand_ins import Array
from tinygrad_edu.engine.graph import Node, record, value_of
from tinygrad_edu.engine.modes import Setting
from tinygrad_edu.explaining.walking import Key, backward_pass
from tinygrad_edu.formulas.algebra import Formula, Name
from tinygrad_edu.formulas.quantities import Quantities
from tinygrad_edu.formulas.writing import in_text
from tinygrad_edu.support.language import say

__all__ = ["GraphProgram", "UnknownError"]


class UnknownError(Exception):
    """A page cannot compute its numbers; the error says why."""


class GraphProgram:
    """A recorded graph as a program of NumPy functions.

    Parameters
    ----------
    names : Quantities
        The graph, and which of its constants were made of others.
    formulas : iterable of Formula
        More to compute than the quantities, their gradients and the shares of these.
    meanings : dict of Formula to Key or Formula
        What the names in formulas stand for that are not quantities.

    Attributes
    ----------
    leaves : list
        The Tensors and arrays that may be changed: the program's inputs.
    program : Program
    variables : dict of Key or Formula to Variable
        Which variable of the program is which array of the page.

    Raises
    ------
    UnknownError
        If an op or rule looks at values.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.engine.graph import topological_order
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> y = x * x * x
    >>> graph = GraphProgram(Quantities(topological_order(y), {}))
    >>> values, _ = graph.program.evaluate(2.0)
    >>> of = dict(zip(graph.variables, values))
    >>> of["value", id(y)], of["gradient", id(x)]
    (np.float64(8.0), np.float64(12.0))
    """

    def __init__(
        self,
        names: Quantities,
        formulas: Iterable[Formula] = (),
        meanings: Mapping[Formula, Key | Formula] = MappingProxyType({}),
    ) -> None:
        self._names = names
        self.leaves = [
            x
            for x in names.leaves
            if isinstance(names.known[id(x)], Name) and value_of(x).dtype != bool
        ]
        arrays = {id(x): value_of(x) for x in self.leaves}
        self._places = {
            key: Memory(Variable(array.shape, array.dtype))
            for key, array in arrays.items()
        }
        self.made: list[Any] = []
        self._tape = Lowering(cast(Any, self), None)
        self._found: dict[Any, Any] = {}
        self._values: dict[Formula, Any] = {}  # of the names in formulas
        self._op = "a constant"  # what is being replayed
        setting = Setting("step_through", tape=self._tape, recording=True, watch=None)
        with setting, np.errstate(all="ignore"):
            try:
                self._run()
                self._evaluate(formulas, meanings)
            except Exception as error:  # of an op of the user's, which looks at values
                raise UnknownError(
                    say("it cannot compute {op}", op=self._op)
                ) from error
            found = {key: self._variable(x) for key, x in self._found.items()}
        self._tape.forget()
        program = Program(
            tuple(self._places[id(x)].first for x in self.leaves),
            tuple(self._tape.equations),
            tuple(found.values()),
            {},
        )
        self.program = dead_code(common_subexpressions(program))
        self.variables: dict[Any, Variable] = dict(zip(found, self.program.outputs))

    # --- What the tape asks of its inputs ---------------------------------------------

    def memory_of(self, x: Any) -> Memory | None:
        """Return the memory of a Tensor or array, if it is a leaf."""
        return self._places.get(id(x))

    known = memory_of

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Do nothing: no array was replaced."""
        yield

    # --- The run ----------------------------------------------------------------------

    def _run(self) -> None:
        """Go forward and back once more."""
        known, nodes = self._names.known, self._names.nodes
        again: dict[int, Any] = {}  # the replayed quantities
        for x in self.leaves:
            self._values[known[id(x)]] = self._array(x)
        for x in self._names.leaves:
            if not isinstance(known[id(x)], Name):  # 1 - y, made of y
                made = known[id(x)].value_with(self._values)
                self._places[id(x)] = self._tape.place(made)
            self._found["value", id(x)] = x
            again[id(x)] = x if isinstance(x, Node) else self._array(x)
        for node in reversed(nodes):
            if node.op is None:
                continue
            self._op = node.op.name
            inputs = tuple(again.get(id(x), x) for x in node.inputs)
            again[id(node)] = copy = record(node.op, inputs, node.params)
            self._found["value", id(node)] = copy
            self._values[known[id(node)]] = self._array(copy)
        self._op = "a backward rule"
        copies = [again.get(id(node), node) for node in nodes]
        of = {id(copy): id(node) for copy, node in zip(copies, nodes)}
        self._found["gradient", id(nodes[0])] = np.ones_like(nodes[0].data)
        for share, before, total, *_ in backward_pass(copies):
            at = of[id(share.node)], share.position
            self._found["share", *at] = share.cotangent
            self._found["total", *at] = total
            self._found["gradient", of[id(share.x)]] = total
            if before is not None:
                self._found["before", *at] = before

    def _evaluate(
        self, formulas: Iterable[Formula], meanings: Mapping[Formula, Key | Formula]
    ) -> None:
        """Compute formulas of what was found."""
        for name, meaning in meanings.items():
            if isinstance(meaning, Formula):
                self._values[name] = meaning.value_with(self._values)
            else:
                self._values[name] = self._array(self._found[meaning])
        for formula in formulas:
            self._op = in_text(formula)
            self._found[formula] = formula.value_with(self._values)

    def _array(self, x: Any) -> Any:
        """Return the Array on the tape for a Tensor; or for an array, if it has one."""
        if isinstance(x, Node):
            return self._tape.value(x)
        place = self._places.get(id(x))
        return x if place is None else Array.of(x, place)

    def _variable(self, x: Any) -> Variable:
        if isinstance(x, Node):
            return self._tape.place(x).read()
        variable: Variable = self._tape.variable(np.asarray(x))
        return variable
