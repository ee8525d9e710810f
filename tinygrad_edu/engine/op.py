"""An operation is declared once; everything else reads it here.

An `Op` tells how an operation is computed, how its gradient is passed back, what it
looks like on paper, which shapes and numbers it takes. Called on arrays it computes;
called with a `Node` among its inputs it is recorded.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from itertools import count
from string import Formatter
from typing import Any, NamedTuple, Self, overload

import numpy as np

from tinygrad_edu.engine.errors import explain_failure
from tinygrad_edu.engine.graph import (
    Node,
    Params,
    StandIn,
    Untraceable,
    record,
    value_of,
)
from tinygrad_edu.support.printable import printable

__all__ = [
    "BUILT_IN",
    "OPS",
    "REAL",
    "Composite",
    "Domain",
    "Op",
    "as_array",
    "rules_of_arrays",
]

# A backward rule: (g, y, *inputs, **params) -> the cotangent of one input, where g is
# the cotangent of the answer y. It is written in ops and operators, never on `.data`:
# so it runs on arrays and is recorded on Tensors. That of `*arrays` gives a function of
# the position, which gives the cotangent.
Rule = Callable[..., Any]

_REQUIRED = inspect.Parameter.empty  # in place of the default of a parameter without


class Domain(NamedTuple):
    """The open interval on which an input makes sense, less some points."""

    low: float = -np.inf
    high: float = np.inf
    excluding: tuple[float, ...] = ()

    def __str__(self) -> str:
        without = ", ".join(f"{point:g}" for point in self.excluding)
        return f"({self.low:g}, {self.high:g})" + (
            f" without {without}" * bool(without)
        )


REAL = Domain()

OPS: dict[str, Op] = {}
BUILT_IN: set[str] = set()  # the names of those that no one may declare again
_METHODS: set[str] = set()  # the names of those that are methods too


class Op:
    r"""One operation, declared once; everything else reads it here.

    Parameters
    ----------
    forward : callable
        Computes the answer from arrays. Its positional arguments are the inputs, its
        keyword-only arguments the parameters; ``*arrays`` stands for any number of
        inputs.
    name : str, optional
        By default that of `forward`. What cannot be printed of it is left out.
    tex : str, optional
        The formula, with the inputs' names in braces: ``r"{a} \odot {b}"``; parameters
        may stand there as well. LaTeX's own braces are doubled.
    signature : str, optional
        NumPy's notation for shapes, ``"(m,k),(k,n)->(m,n)"``; ``"()->()"`` for what
        works elementwise. None where shapes depend on the parameters.
    domain : Domain or dict of str to Domain, optional
        Where the inputs make sense, the same for all or for each by name.
    kink : callable, optional
        A function of the inputs that is 0 where the op has no derivative.
    subgradient : str, optional
        What the rules give there.
    plainly : callable, optional
        The textbook's formula for what `forward` computes with more care, if all that
        can happen to it is an overflow to infinity from which the answer comes out
        right. Compiled programs use it: they are shorter, and silence that warning.
    selects : bool, optional
        Whether the op leaves out some of its inputs' elements, as `where` does. No NaN
        or infinity that came about in them, elementwise, reaches a gradient.
    doc : str, optional
        By default `forward`'s docstring.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        *,
        name: str | None = None,
        tex: str | None = None,
        signature: str | None = None,
        domain: Domain | Mapping[str, Domain] = REAL,
        kink: Callable[..., Any] | None = None,
        subgradient: str | None = None,
        plainly: Callable[..., Any] | None = None,
        selects: bool = False,
        doc: str | None = None,
    ) -> None:
        self.forward = forward
        self.name = self.__name__ = printable(name or forward.__name__.strip("_"))
        if not self.name:
            raise ValueError("op: its name has no letter that can be printed")
        self.inputs, self.defaults, self.variadic = _read_signature(forward)
        self.tex = tex
        self._check_places()
        self.signature = signature
        self.domain = (
            dict.fromkeys(self.inputs, domain)
            if isinstance(domain, Domain)
            else dict.fromkeys(self.inputs, REAL) | dict(domain)
        )
        self.kink = kink
        self.subgradient = subgradient
        self.plainly = plainly
        self.selects = selects
        self.rules: dict[str, Rule] = {}
        self.rule_of_each: Any = _NoRules(self)
        self.__doc__ = self._document(doc or forward.__doc__ or "")
        self._default_params = self.defaults or None
        self._required = [k for k, v in self.defaults.items() if v is _REQUIRED]
        # With how many arguments a call needs no binding; with none, if it always does.
        self._arity = -1 if self.variadic else len(self.inputs)
        self._plain = -1 if self._required else self._arity
        _register(self)

    def _check_places(self) -> None:
        """See that the formula has places for inputs and parameters only."""
        try:
            pieces = list(Formatter().parse(self.tex or ""))
        except ValueError as error:
            raise ValueError(
                f"{self.name}: the braces of its tex {self.tex!r} do not pair up "
                f"({error}); those that stand for themselves are doubled: {{{{ and }}}}"
            ) from None
        known = [*self.inputs, *self.defaults]
        for _, place, how, conversion in pieces:
            if place is None or (place in known and not how and not conversion):
                continue
            said = place + f"!{conversion}" * bool(conversion) + f":{how}" * bool(how)
            raise ValueError(
                f"{self.name}: its tex {self.tex!r} has the place {{{said}}}, and its "
                f"inputs and parameters are {', '.join(known)}; braces that stand "
                "for themselves are doubled: {{ and }}"
            )

    def _document(self, text: str) -> str:
        """Add to a docstring what the declaration tells."""
        domains = {
            name: str(domain) for name, domain in self.domain.items() if domain != REAL
        }
        facts = {
            "Formula": self.tex and self.tex.format_map(_ItsName()),
            "Shapes": self.signature,
            "Domain": ", ".join(f"{name} in {d}" for name, d in domains.items()),
            "Subgradient": self.subgradient,
        }
        lines = [f"{fact}: {told}." for fact, told in facts.items() if told]
        return "\n\n".join([f"{self}: {inspect.cleandoc(text)}", *lines])

    @property
    def elementwise(self) -> bool:
        """Whether each element of the answer depends on one element of each input."""
        return self.signature is not None and set(self.signature) <= set("(),->")

    def vjp(self, **rules: Rule) -> Op:
        """Declare the backward rule of every input, by its name; return the op.

        Each is called as ``rule(g, y, *inputs, **params)`` and gives the input's
        cotangent, where `g` is that of the answer `y`. It may have the broadcast shape:
        the traversal sums over what was broadcast. The rule of ``*arrays`` is called
        once for all of them. It gives a function, which is called with the position of
        one array and gives that array's cotangent; so what they share is computed once.
        """
        if rules.keys() != set(self.inputs):
            raise TypeError(
                f"{self.name}: its inputs are {', '.join(self.inputs)}; "
                f"rules were given for {', '.join(rules) or 'none'}"
            )
        self.rules = {name: rules[name] for name in self.inputs}
        self.rule_of_each = tuple(self.rules.values())
        return self

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        if not params and len(inputs) == self._plain:
            bound = self._default_params
        elif params.keys() == self.defaults.keys() and len(inputs) == self._arity:
            bound = params
        else:
            inputs, bound = self._bind(inputs, params)
        for x in inputs:
            if isinstance(x, Node):
                return record(self, inputs, bound)
        return self.compute(inputs, bound)

    def compute(self, values: Sequence[Any], params: Params | None) -> Any:
        """Compute the answer from arrays; an error tells what was met."""
        try:
            if params is None:
                return self.forward(*values)
            return self.forward(*values, **params)
        except Untraceable as met:
            return met.as_one_step(self, values, params or {})
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise explain_failure(
                self.name, self.signature, values, params, error
            ) from None

    def _bind(
        self, args: tuple[Any, ...], params: Params
    ) -> tuple[tuple[Any, ...], Params | None]:
        """Sort a call's arguments into the inputs and the full set of parameters."""
        n = len(self.inputs)
        named = tuple(params.pop(k) for k in self.inputs[len(args) :] if k in params)
        inputs, rest = args[:n] + named, dict(zip(self.defaults, args[n:]))
        bound = self.defaults | rest | params
        if self.variadic and inputs:
            inputs = tuple(inputs[0]) if isinstance(inputs[0], Iterable) else ()
            n = max(len(inputs), 1)
        if (
            len(inputs) != n
            or len(rest) < len(args) - len(self.inputs)
            or len(bound) > len(self.defaults)
            or rest.keys() & params.keys()
            or any(bound[k] is _REQUIRED for k in self._required)
        ):
            keywords = f" and the keywords {', '.join(params)}" if params else ""
            raise TypeError(
                f"{self.name}: call it as {self}; this call has {len(args)} "
                f"positional arguments{keywords}"
            )
        return inputs, bound or None

    # --- Copies, and pickles: there is one op of a name -------------------------------

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.name in BUILT_IN:
            return _built_in, (self.name,)
        home = str(getattr(self.forward, "__module__", None))
        modules = {home: sys.modules.get(home)} | sys.modules  # its own comes first
        for module, found in modules.items():
            for name, thing in getattr(found, "__dict__", {}).copy().items():
                if thing is self:
                    return _of_module, (module, name)
        raise TypeError(
            f"{self.name}: an op is pickled by the name it has in a module, and no "
            "module has this one; declare it at the top of a module, outside of "
            "functions and classes"
        )

    # --- In words ---------------------------------------------------------------------

    def __str__(self) -> str:
        inputs = [f"[{self.inputs[0]}, ...]"] if self.variadic else list(self.inputs)
        params = [
            name if default is _REQUIRED else f"{name}={default!r}"
            for name, default in self.defaults.items()
        ]
        return f"{self.name}({', '.join(inputs + params)})"

    def __repr__(self) -> str:
        return f"<op {self}>"


class Composite(Op):
    """A function of ops that is told of in the table like an op, but has no rule.

    Its gradient falls out of the ops it is made of.
    """

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        inputs, bound = self._bind(inputs, params)
        try:
            return self.forward(*inputs, **(bound or {}))
        except Untraceable:
            raise
        except (TypeError, ValueError, IndexError) as error:
            if str(error).partition(":")[0] in OPS:  # an op has explained it
                raise
            values = [value_of(x) for x in inputs]
            raise explain_failure(
                self.name, self.signature, values, bound, error
            ) from None


def _built_in(name: str) -> Op:
    return OPS[name]


def _of_module(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


class _ItsName(dict[str, str]):
    """What fills each place of a formula with the name that stands there."""

    def __missing__(self, name: str) -> str:
        return name


class _NoRules:
    """In place of the rules of an op that was given none."""

    def __init__(self, op: Op) -> None:
        self.op = op

    def __iter__(self) -> Iterator[Rule]:
        raise TypeError(
            f"{self.op.name}: it has no backward rules; declare one for each input "
            f"with {self.op.name}.vjp({', '.join(f'{x}=...' for x in self.op.inputs)})"
        )


def rules_of_arrays(
    rules: Iterable[Rule], arguments: Sequence[Any], params: Params | None
) -> Iterator[Callable[[], Any]]:
    """Give a rule for each of ``*arrays``, from the one for all of them.

    They take no arguments, since the one has them. It is called when the first of them
    is, and never again: so the work is linear in the number of arrays.
    """
    (rule,) = rules

    @cache
    def cotangent_at() -> Callable[[int], Any]:
        at: Callable[[int], Any] = rule(*arguments, **(params or {}))
        return at

    return (partial(lambda i: cotangent_at()(i), i) for i in count())


def _read_signature(
    forward: Callable[..., Any],
) -> tuple[tuple[str, ...], Params, bool]:
    """Return the inputs' names, the parameters' defaults, and if it is variadic."""
    if isinstance(forward, np.ufunc):
        return (("x",) if forward.nin == 1 else ("a", "b")), {}, False
    parameters = inspect.signature(forward).parameters.values()
    keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    inputs = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return inputs, keywords, variadic


def _register(op: Op) -> None:
    """Enter the op in the table, and make it a method where that makes sense.

    One's own ops may be declared again, as happens in a notebook.
    """
    if op.name in BUILT_IN:
        raise ValueError(
            f"op: {op.name!r} is built in already; give yours another name"
        )
    OPS[op.name] = op

    def method(self: Node, *inputs: Any, **params: Any) -> Any:
        return op(self, *inputs, **params)

    method.__name__ = op.name
    method.__doc__ = op.__doc__
    if not op.variadic and (op.name in _METHODS or not hasattr(Node, op.name)):
        setattr(Node, op.name, method)
        _METHODS.add(op.name)


@overload
def op(forward: Callable[..., Any], /, **declaration: Any) -> Op: ...
@overload
def op(**declaration: Any) -> Callable[[Callable[..., Any]], Op]: ...


def op(forward: Callable[..., Any] | None = None, /, **declaration: Any) -> Any:
    """Declare an op of your own; a decorator, with or without arguments.

    The arguments are those of `Op`. Give its rules with `Op.vjp`, one for each input.
    The new op is a function of arrays and Tensors and a method of Tensors; it stands in
    `OPS`, and everything that walks the table finds it there.

    Raises
    ------
    ValueError
        If a built-in op has that name, if nothing of it can be printed, or if the
        formula has a place for something that is neither an input nor a parameter.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> @tg.op(tex=r"{x}^3", signature="()->()")
    ... def cube(x):
    ...     return x**3
    >>> cube = cube.vjp(x=lambda g, y, x: g * 3 * x**2)
    >>> x = tg.Tensor(2.0, requires_grad=True)
    >>> x.cube().backward()
    >>> x.grad.item()
    12.0
    """
    return partial(Op, **declaration) if forward is None else Op(forward, **declaration)


def composite(**declaration: Any) -> Callable[[Callable[..., Any]], Composite]:
    """Enter a function that is composed of ops in the table; a decorator."""
    return partial(Composite, **declaration)


def as_array(x: Any) -> Any:
    """Make a list or a number an array, so that it has a shape; Tensors stay."""
    return x if isinstance(x, Node | StandIn) else np.asarray(x)
