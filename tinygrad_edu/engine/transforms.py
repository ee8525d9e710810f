"""Transforms: `grad`, `jacobian` and others turn a function into its derivative.

`vjp` does the work; the others call it. It replaces the arguments by *variables*, which
are new Tensors, runs the function on them, and pulls cotangents back from the result to
the variables. This walk treats every node older than the variables as a constant.

Transforms can be nested. If an argument is a recorded Tensor, its variable is recorded
as a copy of it. So an outer transform can differentiate through the variable, and an
inner derivative is never confused with an outer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import update_wrapper
from itertools import accumulate
from typing import Any, Literal, overload

import numpy as np

from tinygrad_edu.engine.autodiff import pull_back
from tinygrad_edu.engine.batching import vmap
from tinygrad_edu.engine.graph import (
    Node,
    check_function,
    current_mode,
    record,
    value_of,
)
from tinygrad_edu.engine.modes import changed
from tinygrad_edu.engine.op import as_array
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.ops.arithmetic import positive
from tinygrad_edu.ops.joining import concatenate, stack
from tinygrad_edu.ops.shapes import astype, moveaxis, reshape
from tinygrad_edu.support import tree
from tinygrad_edu.support.printable import printable

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

Function = Callable[..., Any]


@overload
def grad(
    f: Function, argnums: int | Sequence[int] = 0, *, has_aux: Literal[True]
) -> Callable[..., tuple[Any, Any]]: ...
@overload
def grad(
    f: Function, argnums: Sequence[int], has_aux: bool = False
) -> Callable[..., tuple[Any, ...]]: ...
@overload
def grad(f: Function, argnums: int = 0, has_aux: bool = False) -> Function: ...


def grad(
    f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Function:
    """Return a function that computes the gradient of `f`.

    Parameters
    ----------
    f : callable
        A function that returns a single number. It may use operators, NumPy's functions
        and this package's, loops and branches.
    argnums : int or sequence of int
        The positions of the arguments to differentiate with respect to. Each argument
        is a number, an array or a Tensor, of floats; or a nested tuple, list, dict or
        dataclass of these.
    has_aux : bool
        Whether `f` returns a pair. Only its first element is then differentiated.

    Returns
    -------
    callable
        Takes the arguments of `f`. Returns the gradient, in the structure, shapes and
        dtypes of the argument, or a tuple of gradients if `argnums` is a sequence. With
        `has_aux` it returns the pair ``(gradient, aux)``. Gradients are arrays. They
        are Tensors, which can be differentiated again, if an argument is a Tensor or if
        another transform is differentiating this call.

    Raises
    ------
    TypeError
        If `f` does not return a single number, or if an argument is not of floats.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> def f(x, p):
    ...     return np.sum(p["scale"] * x**2)
    >>> x, p = np.array([1.0, 3.0]), {"scale": 2.0}
    >>> tg.grad(f)(x, p)
    array([ 4., 12.])
    >>> tg.grad(f, argnums=(0, 1))(x, p)
    (array([ 4., 12.]), {'scale': array(10.)})
    >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
    array(12.)
    """
    _check_call("grad", f, argnums)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        run = _Run(f, argnums, args, kwargs, has_aux)
        g = run.gradient()
        return (g, run.settle(run.aux)) if has_aux else g

    return _describe(gradient, "gradient", f)


def value_and_grad(
    f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """Return a function that computes the pair ``(value, gradient)`` of `f`.

    With `has_aux` it returns ``((value, aux), gradient)``. Parameters and errors are
    those of `grad`.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.value_and_grad(lambda x: x * x)(3.0)
    (array(9.), array(6.))
    """
    _check_call("value_and_grad", f, argnums)

    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        run = _Run(f, argnums, args, kwargs, has_aux)
        g = run.gradient()
        value = run.settle(run.answer)
        return (value, run.settle(run.aux)) if has_aux else value, g

    return _describe(value_and_gradient, "value and gradient", f)


def vjp(f: Function, *primals: Any, has_aux: bool = False) -> Any:
    """Return the value of `f`, and a function that pulls cotangents back from it.

    This is the vector-Jacobian product: for a cotangent ``c`` of the result, `pullback`
    returns ``c`` times the Jacobian.

    Parameters
    ----------
    f : callable
        Returns a number, an array or a Tensor, or nested tuples, lists and dicts of
        these.
    *primals
        The arguments of `f`, as for `grad`.
    has_aux : bool
        Whether `f` returns a pair. Only its first element is then differentiated.

    Returns
    -------
    y
        The result of `f`.
    pullback : callable
        Takes a cotangent in the structure and shapes of `y`; returns a tuple with the
        cotangent of each primal. It may be called many times.
    aux
        Only with `has_aux`: the second element of the pair.

    Raises
    ------
    ValueError
        From `pullback`, if the cotangent differs in structure or shape from `y`.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> y, pullback = tg.vjp(lambda x: x**2, np.array([1.0, 2.0]))
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    _check_call("vjp", f)
    run = _Run(f, range(len(primals)), primals, {}, has_aux)
    value = run.settle(run.answer)
    if has_aux:
        return value, run.pullback, run.settle(run.aux)
    return value, run.pullback


def jvp(f: Function, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """Return the value of `f`, and its derivative along a direction: forward mode.

    This is the Jacobian-vector product: the Jacobian times the tangents.

    Parameters
    ----------
    f : callable
        As for `vjp`.
    primals : tuple or list
        The arguments of `f`. A single argument needs no tuple.
    tangents : tuple or list
        The direction, in the structure and shapes of the primals.
    has_aux : bool
        Whether `f` returns a pair. Only its first element is then differentiated.

    Returns
    -------
    y
        The result of `f`.
    tangent
        The derivative, in the structure and shapes of `y`.
    aux
        Only with `has_aux`: the second element of the pair.

    Raises
    ------
    ValueError
        If the tangents differ in structure or shape from the primals.

    Notes
    -----
    Forward mode needs no rules of its own. The pullback is linear in the cotangent u:
    it returns u times the Jacobian. So we record the pullback as a function of u and
    take the pullback of that. It multiplies by the Jacobian from the other side, which
    pushes the tangents forward (J. Townsend, "A new trick for calculating Jacobian
    vector products", 2017).

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.jvp(lambda x: x**2, (np.array([1.0, 2.0]),), (np.array([1.0, 10.0]),))
    (array([1., 4.]), array([ 2., 40.]))
    """
    _check_call("jvp", f)
    if not isinstance(primals, tuple | list):
        primals, tangents = (primals,), (tangents,)
    primals, tangents = tuple(primals), tuple(tangents)
    y, pullback, *aux = vjp(f, *primals, has_aux=has_aux)
    _check_matched("jvp", "tangent", primals, tangents)
    (tangent,) = _transpose(pullback, y)(tangents)
    return (y, tangent, *aux)


def jacobian(
    f: Function,
    argnums: int | Sequence[int] = 0,
    mode: str | None = None,
    has_aux: bool = False,
) -> Function:
    """Return a function that computes the Jacobian of `f`.

    The Jacobian has the derivative of every output element with respect to every input
    element.

    Parameters
    ----------
    f : callable
        As for `vjp`.
    argnums : int or sequence of int
        The positions of the arguments to differentiate with respect to.
    mode : {None, "reverse", "forward"}
        "reverse" computes one row per element of the output, "forward" one column per
        element of the input, many at once by `vmap`. None chooses the faster one.
    has_aux : bool
        Whether `f` returns a pair. Only its first element is then differentiated.

    Returns
    -------
    callable
        Takes the arguments of `f`. Replaces each output array by the structure of the
        arguments. Each array in it has the shape of the output followed by the shape of
        the input.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.jacobian(lambda x: x[1:] * x[:-1])(np.array([1.0, 2.0, 3.0]))
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """
    _check_call("jacobian", f, argnums)
    if mode not in (None, "reverse", "forward"):
        raise ValueError(
            f'jacobian: mode must be "reverse", "forward" or None, not {mode!r}'
        )

    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        run = _Run(f, argnums, args, kwargs, has_aux)
        y = run.settle(run.answer)
        outputs, inputs = tree.leaves(y), tree.leaves(run.chosen)
        for output in outputs:
            _check_answer("jacobian", output, as_array(value_of(output)))
        rows, columns = _count(outputs), _count(inputs)
        at_once = ELEMENTS // run.largest()
        if mode == "forward" or (mode is None and COLUMN * columns < rows):
            found = _of_basis(_transpose(run.pullback, y), run.chosen, at_once)
            blocks = _blocks(found, inputs, outputs, axis=-1)
            blocks = [list(of_output) for of_output in zip(*blocks)]
        else:
            found = _of_basis(run.pullback, y, at_once)
            blocks = _blocks(found, outputs, inputs, axis=0)
        whole = tree.rebuild(y, [tree.rebuild(run.chosen, row) for row in blocks])
        return (whole, run.settle(run.aux)) if has_aux else whole

    return _describe(jacobian_of_f, "Jacobian", f)


COLUMN = 3  # a column takes about as long as 3 rows
ELEMENTS = 2**18  # so many elements of an array stay in the processor's cache
FEW = 8  # fewer rows are faster one by one than by `vmap`


def hessian(
    f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Function:
    """Return a function that computes the Hessian of `f`: the Jacobian of its gradient.

    Parameters and errors are those of `grad`. For several arguments, or a structure of
    them, the Hessian is a structure of structures: ``h[i][j]`` is the derivative with
    respect to argument ``i``, then with respect to argument ``j``.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    _check_call("hessian", f, argnums)
    gradient = grad(f, argnums, has_aux)
    return _describe(jacobian(gradient, argnums, None, has_aux), "Hessian", f)


def hvp(f: Function, primals: Any, tangents: Any) -> Any:
    """Return the Hessian of `f` times a vector, without computing the Hessian.

    The Hessian is symmetric. So the vector can be pulled back through the gradient,
    which takes less than half the time of ``jvp(grad(f), ...)``.

    Parameters
    ----------
    f : callable
        A function that returns a single number.
    primals : tuple or list
        The arguments of `f`. A single argument needs no tuple.
    tangents : tuple or list
        The vector, in the structure and shapes of the primals.

    Returns
    -------
    The product, in the structure of the argument; a tuple for several arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> x, v = np.array([1.0, 3.0]), np.array([1.0, 10.0])
    >>> tg.hvp(lambda x: x[0] ** 2 * x[1], (x,), (v,))
    array([26.,  2.])
    """
    _check_call("hvp", f)
    if not isinstance(primals, tuple | list):
        primals, tangents = (primals,), (tangents,)
    _check_matched("hvp", "tangent", tuple(primals), tuple(tangents))
    several = len(primals) > 1
    _, pullback = vjp(grad(f, range(len(primals)) if several else 0), *primals)
    product = pullback(tangents if several else tangents[0])
    return product if several else product[0]


# --- Running a function on variables --------------------------------------------------


NESTED = {"recording": True, "nested": True}  # the mode while the function runs


class _Run:
    """Runs a function on variables, and pulls cotangents back from its result."""

    __slots__ = ("answer", "as_tensors", "aux", "chosen", "inside", "variables")

    def __init__(
        self,
        f: Function,
        argnums: int | Sequence[int],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        has_aux: bool,
    ) -> None:
        chosen = self.chosen = _choose(args, argnums)
        self.inside: set[Node] = set()  # nodes that depend on nothing but variables
        one = not tree.is_structure(chosen)
        given = (chosen,) if one else tree.leaves(chosen)
        self.as_tensors = current_mode.get().nested or Tensor in map(type, given)
        nested = changed(NESTED)
        try:
            current_mode.set(nested)
            variables = self.variables = list(map(_variable, given))
            stand_ins = variables[0] if one else tree.rebuild(chosen, variables)
            answer = f(*_replace(args, argnums, stand_ins), **kwargs)
        finally:
            current_mode.set(nested.block.outside)
        if has_aux:
            answer, self.aux = _pair(answer)
        self.answer = answer

    def gradient(self) -> Any:
        """Return the gradient of the number, in the structure of the arguments."""
        y = self.answer
        is_whole = tree.is_structure(y)
        data = y.array if isinstance(y, Node) else as_array(None if is_whole else y)
        _check_answer("grad", y, data)
        if data.size != 1 or data.dtype.kind not in "fiub":
            raise TypeError(
                f"grad: the function returned {_tell(y)}, and only a single number has "
                "a gradient; return its sum(), or use tg.jacobian"
            )
        one = np.ones(data.shape, data.dtype) if data.ndim else data.dtype.type(1)
        return self._pull_back({y: one} if _varies(y) else {}, self.as_tensors)

    def pullback(self, cotangent: Any) -> Any:
        """Pull a cotangent of the result back to the arguments."""
        _check_matched("vjp", "cotangent", self.answer, cotangent)
        cotangents: dict[Any, Any] = {}
        for y, c in tree.pairs(self.answer, cotangent):
            if _varies(y):
                c = _convert(c, y.data.dtype)
                # The result may contain a Tensor twice.
                cotangents[y] = cotangents[y] + c if y in cotangents else c
        as_tensors = self.as_tensors or current_mode.get().nested
        as_tensors = as_tensors or Tensor in map(type, cotangents.values())
        return self._pull_back(cotangents, as_tensors)

    def _pull_back(self, cotangents: dict[Any, Any], as_tensors: bool) -> Any:
        """Return the cotangents of the chosen arguments, in their structure."""
        recorded = as_tensors and current_mode.get().recording
        if as_tensors:
            convert = _as_tensor if recorded else value_of
            cotangents = {y: convert(c) for y, c in cotangents.items()}
        variables = self.variables
        if not variables:  # the arguments are empty containers
            return self.chosen
        numbers = range(variables[0].index, variables[-1].index + 1)
        found, _ = pull_back(cotangents, recorded, numbers)
        answers = [
            found[x] if x in found else np.zeros_like(x.array) for x in variables
        ]
        settled = [self._settled(answer, as_tensors) for answer in answers]
        return tree.rebuild(self.chosen, settled)

    def largest(self) -> int:
        """Return the number of elements of the largest array in the graph."""
        oldest = min((x.index for x in self.variables), default=0)
        found: set[Any] = set()
        stack = list(filter(_varies, tree.leaves(self.answer)))
        while stack:
            node = stack.pop()
            if node not in found and node.index >= oldest:
                found.add(node)
                stack += filter(_varies, node.inputs)
        return max((node.array.size for node in found), default=1) or 1

    def settle(self, answer: Any) -> Any:
        """Convert the result of the function to what the user gets."""
        if isinstance(answer, Node):
            return self._settled(answer, self.as_tensors)
        if not tree.is_structure(answer):
            return answer
        return tree.rebuild(answer, map(self.settle, tree.leaves(answer)))

    def _settled(self, x: Any, as_tensor: bool) -> Any:
        """Return an array or a Tensor, recorded if an outer transform may need it."""
        if not as_tensor:
            return as_array(value_of(x))
        if isinstance(x, Node) and current_mode.get().recording and self._leads_out(x):
            return x
        return Tensor(value_of(x))

    def _leads_out(self, answer: Node) -> bool:
        """Return whether a result depends on more than the variables of this run.

        If not, nobody else can differentiate it, so it becomes a constant.
        """
        if any(variable.op is not None for variable in self.variables):
            return True  # the variable is a copy of a recorded Tensor
        found, stack = set(self.variables), [answer]
        while stack:
            node = stack.pop()
            if node in found or node in self.inside or not node.requires_grad:
                continue
            if node.op is None:
                return True
            found.add(node)
            stack += [x for x in node.inputs if isinstance(x, Node)]
        self.inside |= found
        return False


def _check_call(transform: str, f: Any, argnums: Any = 0) -> None:
    """Raise if `f` is not a function, or `argnums` are not positions."""
    check_function(transform, f)
    numbers = argnums if isinstance(argnums, Sequence) else [argnums]
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError(
            f"{transform}: argnums must be positions of arguments, such as 0 or (0, 1),"
            f" not {_tell(argnums)}; pass the arguments later: tg.{transform}(f)(x)"
        )


def _check_answer(transform: str, y: Any, data: Any) -> None:
    """Raise if a result has an integer dtype; allow a Python int, as a constant."""
    if data.dtype.kind in "iub" and type(y) is not int:
        raise TypeError(
            f"{transform}: the function returned {_tell(y)}, and integers, such as "
            "positions and counts, have no derivative; return floats that are computed "
            "from the arguments"
        )


def _choose(args: Sequence[Any], argnums: int | Sequence[int]) -> Any:
    """Return the argument at a position; for several positions, a tuple."""
    try:
        if isinstance(argnums, int):
            return args[argnums]
        return tuple(args[place] for place in argnums)
    except IndexError:
        raise TypeError(
            f"grad: argnums is {argnums}, but the call has {len(args)} positional "
            "arguments (keyword arguments are never differentiated)"
        ) from None


def _replace(
    args: Sequence[Any], argnums: int | Sequence[int], stand_ins: Any
) -> list[Any]:
    """Return the arguments, with the chosen ones replaced by `stand_ins`."""
    if isinstance(argnums, int):
        argnums, stand_ins = (argnums,), (stand_ins,)
    whole = list(args)
    for place, stand_in in zip(argnums, stand_ins):
        whole[place] = stand_in
    return whole


def _variable(x: Any) -> Any:
    """Return a variable for an argument: a Tensor to differentiate with respect to."""
    number = as_array(x)
    data = number.array if isinstance(number, Node) else number
    if data.dtype.kind != "f":
        way_out = (
            "pass 3.0 instead of 3, x.astype(float) for an array"
            if data.dtype.kind in "iub"
            else "pass it as an argument of its own, outside of those in argnums"
        )
        raise TypeError(
            f"grad: cannot differentiate with respect to {_tell(x)}, since only floats "
            f"have derivatives; {way_out}"
        )
    if isinstance(x, Node) and x.requires_grad:
        return record(positive, (x,))
    variable = Tensor(number)  # shares the memory, since nothing here writes to it
    variable.requires_grad = True
    variable.inputs = (data,)  # with inputs, Tensor does not allow writing in place
    return variable


def _check_matched(transform: str, what: str, likes: Any, others: Any) -> None:
    """Raise if two structures, or the shapes in them, differ."""
    try:
        pairs = list(tree.pairs(likes, others))
    except ValueError as error:
        raise ValueError(f"{transform}: in the {what}, {error}") from None
    for like, other in pairs:
        if np.shape(value_of(like)) != np.shape(value_of(other)):
            raise ValueError(
                f"{transform}: the {what} is {_tell(other)}, but it belongs to "
                f"{_tell(like)}; their shapes must be equal"
            )


def _pair(answer: Any) -> tuple[Any, Any]:
    if isinstance(answer, tuple | list) and len(answer) == 2:
        return answer[0], answer[1]
    raise TypeError(
        f"grad: with has_aux=True the function must return a pair, but it returned "
        f"{_tell(answer)}"
    )


def _varies(output: Any) -> bool:
    return isinstance(output, Node) and output.requires_grad


def _convert(cotangent: Any, dtype: Any) -> Any:
    """Convert a cotangent to its output's dtype; record this for a Tensor."""
    if isinstance(cotangent, Node):
        return cotangent if cotangent.array.dtype == dtype else astype(cotangent, dtype)
    return as_array(cotangent).astype(dtype, copy=False)


def _as_tensor(x: Any) -> Any:
    return x if isinstance(x, Node) else Tensor(x)


def _count(arrays: Iterable[Any]) -> int:
    return sum(np.size(value_of(x)) for x in arrays)


def _ones_like(x: Any) -> Any:
    x = as_array(value_of(x))
    kind = x.dtype.type if x.dtype.kind == "f" else np.float64
    return np.ones(x.shape, kind) if x.ndim else kind(1)


def _blocks(
    found: list[Any], outer: Sequence[Any], inner: Sequence[Any], axis: int
) -> list[list[Any]]:
    """Cut the rows of a Jacobian (axis 0) or its columns (axis -1) into blocks.

    `found` has one array per `inner` array. Its first axis has one row or column per
    element of the `outer` arrays.
    """
    found = found or [np.zeros((0, _count([z]))) for z in inner]  # there is no line
    ends = [0, *accumulate(_count([x]) for x in outer)]
    return [
        [_block(lines[a:b], x, z, axis) for lines, z in zip(found, inner)]
        for x, a, b in zip(outer, ends, ends[1:])
    ]


def _block(lines: Any, outer: Any, inner: Any, axis: int) -> Any:
    shapes = [np.shape(value_of(outer)), np.shape(value_of(inner))]
    first, second = shapes if axis == 0 else reversed(shapes)
    return reshape(moveaxis(lines, 0, axis), first + second)


def _transpose(pullback: Function, y: Any) -> Any:
    """Return the pullback of a pullback: since that is linear, it needs no point."""
    ones = tree.rebuild(y, map(_ones_like, tree.leaves(y)))
    _, push_forward = vjp(pullback, ones)
    return push_forward


def _of_basis(function: Function, whole: Any, at_once: int) -> list[Any]:
    """Apply a linear function to each unit vector of a structure; stack the results.

    A unit vector is the structure with 1 for one element, and 0 for all others.
    """
    n = _count(tree.leaves(whole))
    if n >= FEW and at_once >= FEW:
        starts = range(0, n, at_once)
        vectors = (_unit_vectors(whole, a, min(at_once, n - a)) for a in starts)
        try:
            parts = [tree.leaves(vmap(function)(v)) for v in vectors]
        except TypeError:  # a user's rule that looks at values
            pass
        else:
            return [concatenate(p) if len(p) > 1 else p[0] for p in zip(*parts)]
    vectors = (_unit_vectors(whole, a, None) for a in range(n))
    return [stack(list(p)) for p in zip(*(tree.leaves(function(v)) for v in vectors))]


def _unit_vectors(whole: Any, first: int, count: int | None) -> Any:
    """Return some unit vectors along a new axis; for None, one without that axis."""
    ones = [_ones_like(x) for x in tree.leaves(whole)]
    ends = [0, *accumulate(one.size for one in ones)]
    rows = np.eye(count or 1, ends[-1], first)
    axis = () if count is None else (count,)
    return tree.rebuild(
        whole,
        [
            rows[:, a:b].reshape((*axis, *one.shape)).astype(one.dtype)
            for one, a, b in zip(ones, ends, ends[1:])
        ],
    )


def _tell(x: Any) -> str:
    """Describe a value for an error: by dtype and shape if it has them."""
    if isinstance(x, Node | np.ndarray | np.generic):
        data = value_of(x)
        return f"{data.dtype} {data.shape}"
    if x is None:
        return "None (is there a return?)"
    return printable(repr(x))


def _describe(g: Function, what: str, f: Function) -> Function:
    """Set the name, docstring and signature of a derivative from those of `f`."""
    update_wrapper(g, f)
    name = getattr(f, "__name__", repr(f))
    g.__name__ = f"{what.replace(' ', '_')}_of_{name}"
    g.__doc__ = f"The {what} of {name}." + (f"\n\n{f.__doc__}" if f.__doc__ else "")
    return g
