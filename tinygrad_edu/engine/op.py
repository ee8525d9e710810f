"""`Op`: the single declaration of an operation, which all other modules read.

An `Op` declares how to compute an operation, how to pass its gradient back, how to
write it on paper, and which shapes and numbers it accepts. Called on arrays it only
computes. Called with a `Node` among its inputs it also records.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from itertools import count
from string import Formatter
from types import FunctionType
from typing import Any, NamedTuple, Self, overload

import numpy as np

from tinygrad_edu.engine.errors import explain_failure
from tinygrad_edu.engine.graph import Node, Params, current_mode, record, value_of
from tinygrad_edu.support.foreign import KEYWORDS
from tinygrad_edu.support.printable import printable

__all__ = [
    "BUILT_IN",
    "OPS",
    "REAL",
    "Composite",
    "Domain",
    "Each",
    "Op",
    "as_array",
    "rules_of_arrays",
]

# A backward rule: (g, y, *inputs, **params) -> the cotangent of one input, where g is
# the cotangent of the result y. Rules use ops and operators, never `.data`: so they
# work on arrays, and are recorded when they get Tensors. The rule of `*arrays` returns
# a function from an array's position to its cotangent.
Rule = Callable[..., Any]

_REQUIRED = inspect.Parameter.empty  # the "default" of a parameter that has none


class Domain(NamedTuple):
    """The open interval of valid input values, without the points in ``excluding``."""

    low: float = -np.inf
    high: float = np.inf
    excluding: tuple[float, ...] = ()

    def __str__(self) -> str:
        without = ", ".join(f"{point:g}" for point in self.excluding)
        interval = f"({self.low:g}, {self.high:g})"
        return f"{interval} without {without}" if without else interval


REAL = Domain()


class Each:
    """Within `vmap`: a parameter with one value for each example, in a stack."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array


OPS: dict[str, Op] = {}
BUILT_IN: set[str] = set()  # names that users may not declare again
_METHODS: set[str] = set()  # names of ops that are also methods of Tensor


class _Shown:
    """`Op.__signature__`: how to call an op, for `help` and completion.

    It shows the declaration; a call may also give parameters by position, as in NumPy.
    It is made when it is asked for, so that declaring an op takes no longer. For the
    class itself it is None: Python then reads the signature of ``__init__``.
    """

    def __get__(self, op: Op | None, kind: type) -> inspect.Signature | None:
        if op is None:
            return None
        inputs = [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for name in op.inputs
        ]
        params = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in op.defaults.items()
        ]
        return inspect.Signature(inputs + params)


class Op:
    r"""One operation: computation, backward rules, formula, shapes and domain.

    Parameters
    ----------
    forward : callable
        Computes the result from arrays. Its positional arguments are the inputs, its
        keyword-only arguments are the parameters. ``*arrays`` means any number of
        inputs.
    name : str, optional
        Default: the name of `forward`. Unprintable characters are removed.
    tex : str, optional
        The formula in LaTeX, with the names of inputs and parameters in braces:
        ``r"{a} \odot {b}"``. Double the braces that belong to LaTeX.
    signature : str, optional
        The shapes in NumPy's notation: ``"(m,k),(k,n)->(m,n)"``, or ``"()->()"`` for an
        elementwise op. Default for a NumPy ufunc: the ufunc's own. None if the shapes
        depend on the parameters.
    domain : Domain or dict of str to Domain, optional
        The valid values: one Domain for all inputs, or one per input name.
    kink : callable, optional
        A function of the inputs that is 0 where the op has no derivative.
    subgradient : str, optional
        The gradient that the rules choose at the kink.
    textbook : callable, optional
        The textbook formula, if `forward` computes the same more carefully. The formula
        may overflow to infinity on the way, but its result must be right. Compiled
        programs use it, because it is shorter, and silence the overflow warning.
    selects : bool, optional
        Whether the op leaves out some elements of its inputs, as `where` does. The
        gradient of an element left out is 0, even where the derivative of an
        elementwise op before it is NaN or infinite.
    listed : bool, optional
        Whether the op is in the table ``OPS``, and a method of Tensors.
    doc : str, optional
        Default: the docstring of `forward`.
    """

    __signature__ = _Shown()

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
        textbook: Callable[..., Any] | None = None,
        selects: bool = False,
        listed: bool = True,
        doc: str | None = None,
    ) -> None:
        self.forward = forward
        self.name = self.__name__ = printable(name or forward.__name__.strip("_"))
        if not self.name:
            raise ValueError("op: the name has no printable character; pass name=")
        self.inputs, self.defaults, self.variadic = _read_signature(forward)
        self.tex = tex
        self._check_places()
        self.signature = signature or _signature_of(forward)
        self.domain = (
            dict.fromkeys(self.inputs, domain)
            if isinstance(domain, Domain)
            else dict.fromkeys(self.inputs, REAL) | dict(domain)
        )
        self.kink = kink
        self.subgradient = subgradient
        self.textbook = textbook
        self.selects = selects
        self.listed = listed
        self.batching: Rule | None = None
        self.rules: dict[str, Rule] = {}
        self.rule_of_each: Any = _NoRules(self)
        self.__doc__ = self._document(doc or forward.__doc__ or "")
        self._default_params = self.defaults or None
        self._required = [k for k, v in self.defaults.items() if v is _REQUIRED]
        # Argument count of the fast path in __call__, with and without parameters;
        # -1: never.
        self._arity = -1 if self.variadic else len(self.inputs)
        self._plain = -1 if self._required else self._arity
        if listed:
            _register(self)

    def _check_places(self) -> None:
        """Raise if the formula names anything but inputs and parameters."""
        try:
            pieces = list(Formatter().parse(self.tex or ""))
        except ValueError as error:
            raise ValueError(
                f"{self.name}: the braces in tex={self.tex!r} do not match "
                f"({error}); double the braces that belong to LaTeX: {{{{ and }}}}"
            ) from None
        known = [*self.inputs, *self.defaults]
        for _, place, how, conversion in pieces:
            if place is None or (place in known and not how and not conversion):
                continue
            said = place + f"!{conversion}" * bool(conversion) + f":{how}" * bool(how)
            raise ValueError(
                f"{self.name}: tex={self.tex!r} contains {{{said}}}, but the "
                f"inputs and parameters are {', '.join(known)}; double the braces "
                "that belong to LaTeX: {{ and }}"
            )

    def _document(self, text: str) -> str:
        """Add the facts of the declaration to a docstring."""
        names = [*self.inputs, *self.defaults]
        domains = [f"{x} in {d}" for x, d in self.domain.items() if d != REAL]
        facts = {
            "Formula": self.tex and self.tex.format(**dict(zip(names, names))),
            "Shapes": self.signature,
            "Domain": ", ".join(domains),
            "Subgradient": self.subgradient,
        }
        lines = [f"{label}: {fact}." for label, fact in facts.items() if fact]
        return "\n\n".join([f"{self}: {inspect.cleandoc(text)}", *lines])

    @property
    def elementwise(self) -> bool:
        """Whether each element of the result depends on one element of each input."""
        return self.signature is not None and set(self.signature) <= set("(),->")

    def vjp(self, **rules: Rule) -> Op:
        """Declare one backward rule per input name; return the op.

        A rule is called as ``rule(g, y, *inputs, **params)``, where `g` is the
        cotangent of the result `y`. It returns the cotangent of its input, in the
        input's shape or the broadcast shape: `pull_back` sums over the broadcast axes.
        The rule of ``*arrays`` is called once for all arrays. It returns a function
        from the position of an array to that array's cotangent, so that shared work is
        done only once.
        """
        if rules.keys() != set(self.inputs):
            raise TypeError(
                f"{self.name}: vjp() needs one rule per input, "
                f"{', '.join(self.inputs)}; it got rules for "
                f"{', '.join(rules) or 'none'}"
            )
        self.rules = {name: rules[name] for name in self.inputs}
        self.rule_of_each = tuple(self.rules.values())
        return self

    def vmap(self, rule: Rule) -> Op:
        """Declare how `tg.vmap` applies the op to many examples; return the op.

        An op with a signature needs no rule: it works on stacks as NumPy's ufuncs do.
        For any other op without a rule, `tg.vmap` loops over the examples.

        The rule is called as ``rule(stacked, *inputs, **params)``. `stacked` says for
        each input whether it is a stack, which has the examples along its first axis,
        or the same for all examples. A parameter that differs from example to example
        is an `Each`. The rule returns the stack of the results, or NotImplemented; then
        `tg.vmap` loops over the examples. Write it with ops, as a backward rule, since
        it may be called with Tensors.

        Examples
        --------
        >>> import numpy as np
        >>> import tinygrad_edu as tg
        >>> @tg.op(listed=False)
        ... def total(x):
        ...     return np.sum(x)
        >>> total = total.vmap(lambda stacked, x: tg.sum(x.reshape(len(x), -1), 1))
        >>> tg.vmap(total)(np.ones((3, 2, 2)))
        array([4., 4., 4.])
        """
        self.batching = rule
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
        if bound is not None and current_mode.get().tape is not None:
            return record(self, inputs, bound)  # a parameter may be a Node
        return self.compute(inputs, bound)

    def compute(self, values: Sequence[Any], params: Params | None) -> Any:
        """Compute the result from arrays; errors name the op and its inputs."""
        try:
            if params is None:
                return self.forward(*values)
            return self.forward(*values, **params)
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise explain_failure(
                self.name, self.signature, values, params, error
            ) from None

    def _bind(
        self, args: tuple[Any, ...], params: Params
    ) -> tuple[tuple[Any, ...], Params | None]:
        """Split the arguments of a call into inputs and the full set of parameters."""
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
                + "".join(
                    f"; write {ours}= instead of {theirs}="
                    for theirs, ours in KEYWORDS.items()
                    if theirs in params and ours in self.defaults
                )
            )
        return inputs, bound or None

    # --- Copying and pickling: each name has exactly one op ---------------------------

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.name in BUILT_IN and OPS[self.name] is self:
            return _built_in, (self.name,)
        home = str(getattr(self.forward, "__module__", None))
        modules = {home: sys.modules.get(home)} | sys.modules  # try its own first
        for module, found in modules.items():
            for name, thing in getattr(found, "__dict__", {}).copy().items():
                if thing is self:
                    return _of_module, (module, name)
        raise TypeError(
            f"{self.name}: an op is pickled by its name in a module, and this op is in "
            "no module; declare it at the top of a module, outside of functions and "
            "classes"
        )

    # --- Printing ---------------------------------------------------------------------

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
    """A function made of ops. It is listed in the table like an op, but has no rules.

    Its gradient comes from the rules of the ops that it calls.
    """

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        inputs, bound = self._bind(inputs, params)
        try:
            return self.forward(*inputs, **(bound or {}))
        except (TypeError, ValueError, IndexError) as error:
            if str(error).partition(":")[0] in OPS:  # an inner op explained it already
                raise
            values = [value_of(x) for x in inputs]
            raise explain_failure(
                self.name, self.signature, values, bound, error
            ) from None


def _built_in(name: str) -> Op:
    return OPS[name]


def _of_module(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


class _NoRules:
    """Raises if an op is differentiated that was declared without rules."""

    def __init__(self, op: Op) -> None:
        self.op = op

    def __iter__(self) -> Iterator[Rule]:
        raise TypeError(
            f"{self.op.name}: this op has no backward rules; declare one per input: "
            f"{self.op.name}.vjp({', '.join(f'{x}=...' for x in self.op.inputs)})"
        )


def rules_of_arrays(
    rules: Iterable[Rule], arguments: Sequence[Any], params: Params | None
) -> Iterator[Callable[[], Any]]:
    """Return an iterator of rules, one per array, from the one rule of ``*arrays``.

    The returned rules take no arguments. The first one that is called runs the common
    rule; the others reuse its result. So the work is linear in the number of arrays.
    """
    (rule,) = rules

    cotangent_at = cache(lambda: rule(*arguments, **(params or {})))
    return (partial(lambda i: cotangent_at()(i), i) for i in count())


def _read_signature(
    forward: Callable[..., Any],
) -> tuple[tuple[str, ...], Params, bool]:
    """Return the input names, the parameters' defaults, and whether it is variadic."""
    if isinstance(forward, np.ufunc):
        return (("x",) if forward.nin == 1 else ("a", "b")), {}, False
    if isinstance(forward, FunctionType) and not vars(forward):
        # As below, but quicker, since importing the package does it for most ops.
        code, defaults = forward.__code__, forward.__kwdefaults__ or {}
        names, n = code.co_varnames, code.co_argcount
        k = n + code.co_kwonlyargcount
        stars = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
        inputs = names[:n] + names[k : k + stars.bit_count()]
        keywords = {name: defaults.get(name, _REQUIRED) for name in names[n:k]}
        return inputs, keywords, bool(stars & inspect.CO_VARARGS)
    parameters = inspect.signature(forward).parameters.values()
    keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    inputs = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return inputs, keywords, variadic


def _signature_of(forward: Callable[..., Any]) -> str | None:
    """Return the signature of a NumPy ufunc, which is elementwise unless it says so."""
    if not isinstance(forward, np.ufunc):
        return None
    inputs, outputs = (",".join(["()"] * n) for n in (forward.nin, forward.nout))
    return forward.signature or f"{inputs}->{outputs}"


def _register(op: Op) -> None:
    """Add the op to the table, and make it a method of Tensor if the name is free.

    Users may declare their own op again, since notebook cells are often run twice.
    """
    if op.name in BUILT_IN:
        raise ValueError(
            f"op: {op.name!r} is the name of a built-in op; choose another name"
        )
    OPS[op.name] = op

    def method(self: Node, *inputs: Any, **params: Any) -> Any:
        return op(self, *inputs, **params)

    method.__name__ = op.name
    method.__doc__ = op.__doc__
    method.__dict__["__wrapped__"] = op  # whose signature is the method's
    if not op.variadic and (op.name in _METHODS or not hasattr(Node, op.name)):
        setattr(Node, op.name, method)
        _METHODS.add(op.name)


@overload
def op(forward: Callable[..., Any], /, **declaration: Any) -> Op: ...
@overload
def op(**declaration: Any) -> Callable[[Callable[..., Any]], Op]: ...


def op(forward: Callable[..., Any] | None = None, /, **declaration: Any) -> Any:
    """Declare your own op; a decorator, with or without arguments.

    It takes the arguments of `Op`. Declare the backward rules with `Op.vjp`, one per
    input. The new op is a function of arrays and Tensors, and a method of Tensors (of
    which type checkers do not know). It is added to `OPS`, where every tool of the
    package finds it.

    Raises
    ------
    ValueError
        If a built-in op has that name, if no character of the name is printable, or if
        the formula names something that is neither an input nor a parameter.

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
    """Add a function that is made of ops to the table; a decorator."""
    return partial(Composite, **declaration)


def as_array(x: Any) -> Any:
    """Convert a list or a number to an array, so that it has a shape; keep Tensors.

    An object that only looks like a number converts itself, when a ufunc calls it.
    """
    if x.__class__ is np.ndarray or isinstance(x, Node):
        return x
    if type(x) is not x.__class__:
        return np.positive(x)
    return np.asarray(x)
