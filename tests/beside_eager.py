"""A function beside its compiled form: what each gives and leaves behind, call by call.

A *case* takes no argument and returns a fresh ``(f, held)`` or ``(f, held, script)``.
``held`` lists what `f` uses from around it: Tensors, arrays, optimisers. The script
takes `f`, eager or compiled, and `held`. It is a generator: it calls `f` several times
and yields what there is to compare.
"""

import dataclasses
import re
from collections import deque
from types import CodeType

import leaves
import numpy as np

import tinygrad_edu as tg

__all__ = [
    "REFUSALS",
    "X",
    "copied",
    "leaf",
    "refusal_of",
    "right",
    "right_or_refused",
    "same",
    "several",
]

X = np.array([1.0, 2.0, 3.0])
# An AttributeError: an array's method that a program cannot have.
REFUSALS = TypeError, ValueError, AttributeError


def leaf(*values):
    """Make a parameter of some numbers, or of `X`."""
    return leaves.leaf(list(values) or X, "w", float)


def copied(x):
    """Return what `x` is now, in arrays that nobody changes later."""
    if isinstance(x, tg.Tensor):
        return ("Tensor", x.data.copy())
    if isinstance(x, tg.optim.Optimiser):
        return x.state_dict()
    if dataclasses.is_dataclass(x):
        return (type(x), [copied(getattr(x, f.name)) for f in dataclasses.fields(x)])
    if isinstance(x, dict):
        return {key: copied(part) for key, part in x.items()}
    if isinstance(x, list | tuple | deque):
        return (type(x), [copied(part) for part in x])
    return np.copy(x) if isinstance(x, np.ndarray) else x


def same(a, b):
    """Whether two copies are equal, to rounding; of the same dtypes and types."""
    if isinstance(a, np.ndarray | np.floating):
        if np.shape(a) != np.shape(b) or a.dtype != getattr(b, "dtype", None):
            return False
        close = 1e-12 if a.dtype.itemsize > 4 else 1e-5
        return np.allclose(a, b, close, close, equal_nan=True)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)


def several(g, held):
    """Call on several arrays; change all that is held between the calls."""
    for i in range(4):
        x = X * (1 - 0.3 * i) + 0.1
        yield g(x), x
        for part in held:
            if isinstance(part, tg.Tensor):
                part.data = 0.5 * part.data + 0.1 * i
            elif isinstance(part, np.ndarray):
                part += 1
            else:
                part.lr *= 0.5


def right(case, **options):
    """Assert that the compiled function does as the eager one."""
    refusal = refusal_of(case, **options)
    if refusal is not None:
        raise AssertionError("this is refused") from refusal


def right_or_refused(case, *helpers, **options):
    """Assert that the compiled function does as the eager one, or says why it cannot.

    It may raise an error of its own. The message names a line of the case, or of what
    it calls, and nothing that is held has changed.
    """
    refusal = refusal_of(case, **options)
    if refusal is not None:
        lines = set().union(*map(lines_of, [case, case()[0], *helpers]))
        assert str(refusal).startswith("compile: "), repr(refusal)
        assert lines_named(refusal) & lines, str(refusal)


def refusal_of(case, **options):
    """Run a case, eager and compiled; return the error of the compiled one, if any."""
    wanted = list(played(case, lambda f, held: f))
    found = []
    try:
        for now in played(case, lambda f, held: guarded(f, held, options)):
            found.append(now)
            i = len(found) - 1
            assert same(now, wanted[i]), f"call {i}: {now} for {wanted[i]}"
    except REFUSALS as error:
        return error
    assert len(found) == len(wanted)
    return None


def played(case, wrap):
    """Play the script of a case; yield what it yields, and what is held, as copies."""
    f, held, *scripts = case()
    (script,) = scripts or [several]
    for answer in script(wrap(f, held), held):
        yield copied([answer, held])


def guarded(f, held, options):
    """Compile `f`; assert that a call that raises changes nothing that is held."""
    compiled = tg.compile(f, **options)

    def call(*args, **kwargs):
        before = copied(held)
        try:
            return compiled(*args, **kwargs)
        except REFUSALS as error:
            if not same(copied(held), before):
                raise AssertionError("a refusal has changed something") from error
            raise

    return call


def lines_named(error):
    """List the places that a message names: pairs of a file and a line."""
    found = re.findall(r"(\S+?\.py):(\d+)", str(error))
    return {(file, int(line)) for file, line in found}


def lines_of(f):
    """List the lines of a function, and of the functions in it, in the same form."""
    codes, lines = [getattr(f, "__code__", None)], set()
    for code in codes:
        if isinstance(code, CodeType):
            lines |= {(code.co_filename, line) for *_, line in code.co_lines() if line}
            codes += code.co_consts
    return lines
