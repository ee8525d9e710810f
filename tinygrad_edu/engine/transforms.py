"""Derivatives of functions, as functions: `grad`, `jacobian`, and their kin.

`vjp` is the one that does the work, the others are made of it. It runs the function on
*variables*, Tensors of its own that stand for the arguments, and pulls cotangents back
from the answer to them. To that walk, whatever is older than the variables is constant.
But a variable is itself recorded, as a copy of the Tensor that it stands for, so that
whoever differentiates by that one finds the way. Hence transforms nest, and no inner
derivative is taken for an outer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

from tinygrad_edu.engine.autodiff import pull_back
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
from tinygrad_edu.ops.joining import stack
from tinygrad_edu.ops.shapes import astype, reshape
from tinygrad_edu.support import tree

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

Function = Callable[..., Any]


def grad(
    f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Function:
    """Return the function that gives the gradient of `f`.

    Parameters
    ----------
    f : callable
        A function that gives a single number. It may call NumPy's functions and
        operators, the package's, and loop and branch as it likes.
    argnums : int or sequence of int
        By which of its positional arguments to differentiate. Each is a number, an
        array or a Tensor, of floats; or a tuple, list or dict of them, nested.
    has_aux : bool
        Whether `f` gives a pair, of which only the first is differentiated.

    Returns
    -------
    callable
        Takes what `f` takes. Gives the gradient, in the structure, shapes and dtypes of
        the argument; a tuple of them if `argnums` is a sequence; and with `has_aux` a
        pair of that and what `f` gave as the second. Gradients are arrays; but Tensors
        if an argument was one, and within a function that another transform
        differentiates. Then they can be differentiated on.

    Raises
    ------
    TypeError
        If `f` does not give a single number, or if an argument is not of floats.

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
        run = _Run(f, argnums, args, kwargs)
        y, aux = _pair(run.answer) if has_aux else (run.answer, None)
        g = run.gradient(y)
        return (g, run.settle(aux)) if has_aux else g

    return _describe(gradient, "gradient", f)


def value_and_grad(
    f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Function:
    """Return the function that gives the value of `f` and its gradient, as a pair.

    With `has_aux` it gives ``((value, aux), gradient)``. All else is as for `grad`.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.value_and_grad(lambda x: x * x)(3.0)
    (array(9.), array(6.))
    """
    _check_call("value_and_grad", f, argnums)

    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        run = _Run(f, argnums, args, kwargs)
        y, aux = _pair(run.answer) if has_aux else (run.answer, None)
        g = run.gradient(y)
        value = run.settle(y)
        return (value, run.settle(aux)) if has_aux else value, g

    return _describe(value_and_gradient, "value and gradient", f)


def vjp(f: Function, *primals: Any, has_aux: bool = False) -> Any:
    """Return the value of `f`, and the function that pulls cotangents back from it.

    A vector-Jacobian product: for the cotangent ``c`` of the answer, `pullback` gives
    ``c`` times the Jacobian.

    Parameters
    ----------
    f : callable
        Gives a number, an array or a Tensor, or nested tuples, lists and dicts of them.
    *primals
        Its arguments, as for `grad`.
    has_aux : bool
        Whether `f` gives a pair, of which only the first is differentiated.

    Returns
    -------
    y
        What `f` gave.
    pullback : callable
        Takes a cotangent, in the structure and the shapes of `y`; gives a tuple with
        the cotangent of each primal. It may be called again and again.
    aux
        With `has_aux`.

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
    run = _Run(f, range(len(primals)), primals, {})
    y, aux = _pair(run.answer) if has_aux else (run.answer, None)

    def pullback(cotangent: Any) -> Any:
        _check_matched("vjp", "cotangent", y, cotangent)
        cotangents: dict[Any, Any] = {}
        for output, c in tree.pairs(y, cotangent):
            if _varies(output):
                c = _convert(c, output.data.dtype)
                known = cotangents.get(output)  # an output may be there twice
                cotangents[output] = c if known is None else known + c
        as_tensors = run.as_tensors or current_mode.get().nested
        as_tensors = as_tensors or Tensor in map(type, cotangents.values())
        return run.pull_back(cotangents, as_tensors)

    value = run.settle(y)
    return (value, pullback, run.settle(aux)) if has_aux else (value, pullback)


def jvp(f: Function, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """Return the value of `f`, and its derivative along a direction: forward mode.

    A Jacobian-vector product: the Jacobian times the tangents.

    Parameters
    ----------
    f : callable
        As for `vjp`.
    primals : tuple or list
        The arguments; or the one argument.
    tangents : tuple or list
        The direction, in the primals' structure and shapes.
    has_aux : bool
        Whether `f` gives a pair, of which only the first is differentiated.

    Returns
    -------
    y, tangent, aux
        What `f` gave; the derivative, in its structure and shapes; and the rest with
        `has_aux`.

    Raises
    ------
    ValueError
        If the tangents differ in structure or shape from the primals.

    Notes
    -----
    There is no second set of rules. Pulling a cotangent u back is linear in u: it is
    u times the Jacobian. So the pull-back is recorded as a function of u, and its own
    pull-back, which is the transpose of the transpose, pushes the tangents forward
    (J. Townsend, "A new trick for calculating Jacobian vector products", 2017).

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
    """Return the function that gives the Jacobian of `f`: every output by every input.

    Parameters
    ----------
    f : callable
        As for `vjp`.
    argnums : int or sequence of int
        By which of its positional arguments to differentiate.
    mode : {None, "reverse", "forward"}
        A row at a time, one for each element of the answer, or a column at a time, one
        for each element of the arguments. None is whichever takes less time.
    has_aux : bool
        Whether `f` gives a pair, of which only the first is differentiated.

    Returns
    -------
    callable
        Takes what `f` takes. For each array in the answer it gives the structure of the
        arguments, in which each array has the shape of the output followed by that of
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
            f'jacobian: mode is {mode!r}; it may be "reverse", "forward" or None'
        )

    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        chosen = _choose(args, argnums)

        def of_chosen(chosen: Any) -> Any:
            return f(*_replace(args, argnums, chosen), **kwargs)

        y, pullback, *aux = vjp(of_chosen, chosen, has_aux=has_aux)
        outputs, inputs = tree.leaves(y), tree.leaves(chosen)
        for output in outputs:
            _check_answer("jacobian", output, as_array(value_of(output)))
        rows, columns = _count(outputs), _count(inputs)
        if mode == "forward" or (mode is None and COLUMN * columns < rows):
            push_forward = _transpose(pullback, y)
            found = [tree.leaves(push_forward((e,))) for e in _basis(chosen)]
            blocks = _blocks(found, inputs, outputs, axis=-1)
            blocks = [list(of_output) for of_output in zip(*blocks)]
        else:
            found = [tree.leaves(pullback(e)) for e in _basis(y)]
            blocks = _blocks(found, outputs, inputs, axis=0)
        whole = tree.rebuild(y, [tree.rebuild(chosen, row) for row in blocks])
        return (whole, *aux) if has_aux else whole

    return _describe(jacobian_of_f, "Jacobian", f)


COLUMN = 3  # about what a column costs, in rows


def hessian(
    f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Function:
    """Return the function that gives the Hessian of `f`: the Jacobian of its gradient.

    Parameters and errors are those of `grad`. For several arguments, or a structure of
    them, it gives a structure of structures: ``h[i][j]`` is the derivative by argument
    ``i``, then by argument ``j``.

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

    The Hessian is symmetric: so the vector is pulled back through the gradient, which
    takes less than half the time of pushing it forward, ``jvp(grad(f), ...)``.

    Parameters
    ----------
    f : callable
        A function that gives a single number.
    primals : tuple or list
        Its arguments; or the one argument.
    tangents : tuple or list
        The vector, in the primals' structure and shapes.

    Returns
    -------
    In the structure of the argument; a tuple of that for several arguments.

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


# --- Arguments, answers, and what stands in their place -------------------------------


NESTED = {"recording": True, "nested": True}  # the mode that a function runs in


class _Run:
    """A run of a function on variables, and the way back from its answer."""

    __slots__ = ("answer", "as_tensors", "chosen", "inside", "variables")

    def __init__(
        self,
        f: Function,
        argnums: int | Sequence[int],
        args: Sequence[Any],
        kwargs: dict[str, Any],
    ) -> None:
        chosen = self.chosen = _choose(args, argnums)
        self.inside: set[Node] = set()  # depends on the variables only
        one = not isinstance(chosen, tree.CONTAINERS)
        given = (chosen,) if one else tree.leaves(chosen)
        self.as_tensors = current_mode.get().nested or Tensor in map(type, given)
        nested = changed(NESTED)
        try:
            current_mode.set(nested)
            self.variables = list(map(_variable, given))
            variables = self.variables
            stand_ins = variables[0] if one else tree.rebuild(chosen, variables)
            self.answer = f(*_replace(args, argnums, stand_ins), **kwargs)
        finally:
            current_mode.set(nested.block.outside)

    def gradient(self, y: Any) -> Any:
        """Return the gradient of a number in the answer, in the chosen's structure."""
        is_whole = isinstance(y, tree.CONTAINERS)
        data = y.data if isinstance(y, Node) else as_array(None if is_whole else y)
        _check_answer("grad", y, data)
        if data.size != 1 or data.dtype.kind not in "fiub":
            raise TypeError(
                f"grad: the function gave {_tell(y)}, and only a single number has a "
                "gradient; sum() it, or take its jacobian()"
            )
        one = np.ones(data.shape, data.dtype) if data.ndim else data.dtype.type(1)
        return self.pull_back({y: one} if _varies(y) else {}, self.as_tensors)

    def pull_back(self, cotangents: dict[Any, Any], as_tensors: bool) -> Any:
        """Return the cotangents of what was chosen, in its structure."""
        recorded = as_tensors and current_mode.get().recording
        if as_tensors:
            convert = _as_tensor if recorded else value_of
            cotangents = {y: convert(c) for y, c in cotangents.items()}
        variables = self.variables
        if not variables:  # the structure was empty
            return self.chosen
        numbers = range(variables[0].index, variables[-1].index + 1)
        found, _ = pull_back(cotangents, recorded, numbers)
        answers = [found[x] if x in found else np.zeros_like(x.data) for x in variables]
        settled = [self._settled(answer, as_tensors) for answer in answers]
        return tree.rebuild(self.chosen, settled)

    def settle(self, answer: Any) -> Any:
        """Return what the function gave as the user gets it."""
        if isinstance(answer, Node):
            return self._settled(answer, self.as_tensors)
        if not isinstance(answer, tree.CONTAINERS):
            return answer
        return tree.rebuild(answer, map(self.settle, tree.leaves(answer)))

    def _settled(self, x: Any, as_tensor: bool) -> Any:
        """Return an array, or a Tensor that is recorded if others may ask for more."""
        if not as_tensor:
            return as_array(value_of(x))
        if isinstance(x, Node) and current_mode.get().recording and self._leads_out(x):
            return x
        return Tensor(value_of(x))

    def _leads_out(self, answer: Node) -> bool:
        """Return whether an answer depends on more than this run's variables.

        If not, nobody else can differentiate it, and it is a constant.
        """
        if any(variable.op is not None for variable in self.variables):
            return True  # it stands for a Tensor that is recorded itself
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
    """See that a transform was given a function, and numbers of arguments."""
    check_function(transform, f)
    numbers = argnums if isinstance(argnums, Sequence) else [argnums]
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError(
            f"{transform}: argnums are the numbers of positional arguments, and this "
            f"is {_tell(argnums)}; the arguments come later: tg.{transform}(f)(x)"
        )


def _check_answer(transform: str, y: Any, data: Any) -> None:
    """Raise if an answer is of whole numbers, but for a constant that is written so."""
    if data.dtype.kind in "iub" and type(y) is not int:
        raise TypeError(
            f"{transform}: the function gave {_tell(y)}, and whole numbers, as "
            "positions and counts, have no derivative; give a float that is computed "
            "from the arguments"
        )


def _choose(args: Sequence[Any], argnums: int | Sequence[int]) -> Any:
    """Return the argument with a number; a tuple of several."""
    try:
        if isinstance(argnums, int):
            return args[argnums]
        return tuple(args[place] for place in argnums)
    except IndexError:
        raise TypeError(
            f"grad: argnums is {argnums}, and the call has {len(args)} positional "
            "arguments (those passed by keyword are not differentiated by)"
        ) from None


def _replace(
    args: Sequence[Any], argnums: int | Sequence[int], stand_ins: Any
) -> list[Any]:
    """Return the arguments with others in place of those chosen."""
    whole = list(args)
    if isinstance(argnums, int):
        whole[argnums] = stand_ins
    else:
        for place, stand_in in zip(argnums, stand_ins):
            whole[place] = stand_in
    return whole


def _variable(x: Any) -> Any:
    """Return a Tensor to differentiate by, in place of a number, array or Tensor."""
    data = x.data if isinstance(x, Node) else as_array(x)
    if data.dtype.kind != "f":
        raise TypeError(
            f"grad: an argument to differentiate by is {_tell(x)}, and only floats "
            "have derivatives; pass 3.0 for 3, x.astype(float) for an array"
        )
    if isinstance(x, Node) and x.requires_grad:
        return record(positive, (x,))
    variable = Tensor(data)  # shares the memory: nobody writes to it here
    variable.requires_grad = True
    variable.inputs = (data,)  # made of something, so it is no leaf to write to
    return variable


def _check_matched(transform: str, what: str, likes: Any, others: Any) -> None:
    """Hold two structures, and the shapes in them, against each other."""
    try:
        pairs = list(tree.pairs(likes, others))
    except ValueError as error:
        raise ValueError(f"{transform}: in the {what}, {error}") from None
    for like, other in pairs:
        if np.shape(value_of(like)) != np.shape(value_of(other)):
            raise ValueError(
                f"{transform}: the {what} {_tell(other)} goes with {_tell(like)}; "
                "their shapes must be equal"
            )


def _pair(answer: Any) -> tuple[Any, Any]:
    if isinstance(answer, tuple | list) and len(answer) == 2:
        return answer[0], answer[1]
    raise TypeError(
        f"grad: with has_aux=True the function must give a pair, and it gave "
        f"{_tell(answer)}"
    )


def _varies(output: Any) -> bool:
    return isinstance(output, Node) and output.requires_grad


def _convert(cotangent: Any, dtype: Any) -> Any:
    """Give a cotangent its output's dtype; what is recorded, by recording."""
    if isinstance(cotangent, Node):
        return cotangent if cotangent.data.dtype == dtype else astype(cotangent, dtype)
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
    found: list[list[Any]], outer: Sequence[Any], inner: Sequence[Any], axis: int
) -> list[list[Any]]:
    """Put together the rows of a Jacobian, or its columns if the axis is -1.

    There is one for each element of the `outer` arrays; in each are the derivatives by,
    or of, the `inner` ones.
    """
    lines = iter(found)
    blocks = []
    for x in outer:
        of_x = [next(lines) for _ in range(_count([x]))]
        blocks.append(
            [
                _block([line[j] for line in of_x], x, z, axis)
                for j, z in enumerate(inner)
            ]
        )
    return blocks


def _block(parts: list[Any], outer: Any, inner: Any, axis: int) -> Any:
    shapes = [np.shape(value_of(outer)), np.shape(value_of(inner))]
    first, second = shapes if axis == 0 else reversed(shapes)
    if not parts:
        return np.zeros(first + second)
    return reshape(stack(parts, axis), first + second)


def _transpose(pullback: Function, y: Any) -> Any:
    """Pull back from a pull-back, which is linear in the cotangent."""
    ones = tree.rebuild(y, map(_ones_like, tree.leaves(y)))
    _, push_forward = vjp(pullback, ones)
    return push_forward


def _basis(whole: Any) -> Iterator[Any]:
    """For each element in turn, the same structure with 1 there and 0 elsewhere."""
    zeros = [np.asarray(0 * _ones_like(x)) for x in tree.leaves(whole)]
    for k, x in enumerate(zeros):
        for place in np.ndindex(x.shape):
            one_hot = x.copy()
            one_hot[place] = 1
            yield tree.rebuild(whole, [*zeros[:k], one_hot, *zeros[k + 1 :]])


def _tell(x: Any) -> str:
    """Say what was met, by dtype and shape where it has them."""
    if isinstance(x, Node | np.ndarray | np.generic):
        data = value_of(x)
        return f"{data.dtype} {data.shape}"
    if x is None:
        return "None (is there a return?)"
    return repr(x)


def _describe(g: Function, what: str, f: Function) -> Function:
    """Give a derivative the name and the parameters of what it is the derivative of."""
    update_wrapper(g, f)
    name = getattr(f, "__name__", repr(f))
    g.__name__ = f"{what.replace(' ', '_')}_of_{name}"
    g.__doc__ = f"The {what} of {name}." + (f"\n\n{f.__doc__}" if f.__doc__ else "")
    return g
