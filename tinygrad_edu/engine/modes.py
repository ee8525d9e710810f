"""The mode: settings for all ops, such as whether to record, and blocks that change it.

The mode is a context variable: each thread and each asynchronous task has its own. A
`Block` is a part of the program that runs in another mode. Blocks can be nested, but
with generators they may end in another order than the reverse one. So each block stores
the mode outside of it, and this is updated when an outer block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import coroutine
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar, cast, overload

if TYPE_CHECKING:
    from numpy import ndarray

__all__ = [
    "Block",
    "Mode",
    "Setting",
    "TapeHook",
    "changed",
    "current_mode",
    "no_grad",
    "sampled",
]

F = TypeVar("F", bound=Callable[..., Any])


class TapeHook(Protocol):
    """Follows everything that is done with Tensors, whether it needs a gradient or not.

    While the mode has a tape, the value of a Tensor is not an array, but a constant
    Tensor, so that the tape also follows what is done with the value. The two notes of
    a walk back are for tapes that need them.
    """

    def apply(self, op: Any, inputs: tuple[Any, ...], params: Any) -> Any:
        """Apply an op and return the result, in place of `record`."""

    def query(self, function: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Apply a function that has no derivative."""

    def value(self, node: Any) -> Any:
        """Return the value of a Tensor, as a constant Tensor."""

    def alias(self, node: Any, of: Any) -> None:
        """Note that a new Tensor has the value of another one."""

    def see(self, leaf: Any, is_read: bool = True) -> None:
        """Note that the gradient of a leaf is read, or only set."""

    def step(self, optimiser: Any) -> None:
        """Follow the numbers and the state of an optimiser, which makes a step."""

    def write(self, leaf: Any, value: Any) -> None:
        """Write to the memory of a leaf."""

    def rebind(self, leaf: Any, value: Any) -> None:
        """Give a leaf other memory, as ``t.data = array`` does."""

    def walk_back(self, roots: Any) -> None:
        """Note that a walk back begins at these nodes."""
        return

    def passed_back(self, node: Any, x: Any, cotangent: Any) -> None:
        """Note the cotangent of `x` after the rule of `node` has added its share."""
        return

    def refuse(self, what: str) -> NoReturn:
        """Raise, since Python asks for a number, which the next run may change."""


class Mode:
    """The settings that ops read; `no_grad` and `debug` change them for a while."""

    __slots__ = ("block", "nested", "recording", "sample", "tape", "watch")

    def __init__(
        self,
        recording: bool = True,
        watch: Callable[[Any, Any, tuple[Any, ...]], None] | None = None,
        nested: bool = False,  # true while a transform runs the user's function
        sample: Callable[..., Any] | None = None,  # replaces random draws
        tape: TapeHook | None = None,  # follows everything that is computed
        block: Any = None,  # the innermost open `Block`
    ) -> None:
        self.recording = recording
        self.watch = watch
        self.nested = nested
        self.sample = sample
        self.tape = tape
        self.block = block


current_mode: ContextVar[Mode] = ContextVar("mode", default=Mode())  # noqa: B039


class Block:
    """A part of the program that runs in another mode."""

    __slots__ = ("changes", "outside")

    changes: dict[str, Any]
    outside: Mode

    def __init__(self, changes: dict[str, Any]) -> None:
        self.changes = changes

    def within(self, mode: Mode) -> Mode:
        """Return the mode inside this block, if `mode` is the mode outside."""
        self.outside = mode
        get = self.changes.get
        return Mode(
            get("recording", mode.recording),
            get("watch", mode.watch),
            get("nested", mode.nested),
            get("sample", mode.sample),
            get("tape", mode.tape),
            self,
        )


def changed(changes: dict[str, Any]) -> Mode:
    """Return the mode of a new block: the current mode with changes.

    Enter and leave the block as below. Python may raise KeyboardInterrupt at the start
    or the end of any call; written like this, no interrupt can leave the changed mode
    set::

        inside = changed({"recording": False})
        try:
            current_mode.set(inside)
            ...
        finally:
            current_mode.set(inside.block.outside)
    """
    return Block(changes).within(current_mode.get())


def _nested(blocks: Iterable[Block], mode: Mode) -> Mode:
    """Return the mode in the last of the blocks, each nested in the one before."""
    for block in blocks:
        mode = block.within(mode)
    return mode


def _blocks_since(changes: dict[str, Any]) -> list[Block]:
    """List the innermost block that has this `changes` dict, and the blocks inside it.

    The list is empty in any other thread or task than the one that entered the block.
    """
    blocks: list[Block] = []
    block = current_mode.get().block
    while block is not None:
        blocks.append(block)
        if block.changes is changes:
            return blocks[::-1]
        block = block.outside.block
    return []


class Setting:
    """Changes the mode, in a `with` block or in a decorated function.

    A decorated generator or ``async def`` has the changed mode only while it runs.
    While it waits, other code has its own mode.

    Parameters
    ----------
    name : str
        The name in error messages.
    **changes
        Fields of `Mode`.
    """

    def __init__(self, name: str, **changes: Any) -> None:
        self._name = name
        self._changes = changes

    def __enter__(self) -> None:
        inside = changed(self._changes)
        try:
            current_mode.set(inside)
        except BaseException:  # Ctrl-C just after the mode was set
            current_mode.set(inside.block.outside)
            raise

    def __exit__(self, kind: Any, *_: Any) -> None:
        blocks = _blocks_since(self._changes)
        if blocks:
            current_mode.set(_nested(blocks[1:], blocks[0].outside))
        elif kind is None:
            raise ValueError(
                f"{self._name}: this block was entered in another thread or task, or "
                "in a function that has ended; if a generator entered it, decorate the "
                f"generator with @tg.{self._name} instead"
            )

    def __call__(self, function: F) -> F:
        """Decorate a function."""
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self(function.__func__))
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"{self._name}: use it to decorate a function, or as a block, "
                f"`with tg.{self._name}():`; it cannot decorate {function!r:.80}"
            )
        wrapper: Any
        if _is(isgeneratorfunction, function):

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                run = _Runs(self._changes)
                return (yield from _resumed(run, function(*args, **kwargs)))

        elif _is(iscoroutinefunction, function):

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                run = _Runs(self._changes)
                return await _resumed(run, function(*args, **kwargs))

        elif _is(isasyncgenfunction, function):

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                run, steps = _Runs(self._changes), function(*args, **kwargs)
                try:
                    value = await _resumed(run, steps.asend(None))
                    while True:
                        try:
                            given = yield value
                        except GeneratorExit:
                            await _resumed(run, steps.aclose())
                            raise
                        except BaseException as error:
                            value = await _resumed(run, steps.athrow(error))
                        else:
                            value = await _resumed(run, steps.asend(given))
                except StopAsyncIteration:
                    return

        else:

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return _Runs(self._changes)(function, *args, **kwargs)

        return cast("F", wraps(function)(wrapper))


def _is(kind: Callable[[Any], bool], function: Any) -> bool:
    """Test a function, or the ``__call__`` of a callable object."""
    return kind(function) or kind(function.__call__)


class _Runs:
    """A block that is left and entered again, together with the open blocks in it."""

    def __init__(self, changes: dict[str, Any]) -> None:
        self._blocks = [Block(changes.copy())]

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function in the block."""
        first = self._blocks[0]
        inside = _nested(self._blocks, current_mode.get())
        try:
            current_mode.set(inside)
            try:
                return function(*args, **kwargs)
            finally:
                self._blocks = _blocks_since(first.changes)
        finally:
            current_mode.set(first.outside)


@coroutine
def _resumed(run: _Runs, steps: Any) -> Any:
    """Run each step of a generator or coroutine in the block."""
    try:
        value = run(steps.send, None)
        while True:
            try:
                given = yield value
            except GeneratorExit:
                run(steps.close)
                raise
            except BaseException as error:
                value = run(steps.throw, error)
            else:
                value = run(steps.send, given)
    except StopIteration as end:
        return end.value


@overload
def no_grad() -> Setting: ...
@overload
def no_grad(function: F, /) -> F: ...


def no_grad(function: Any = None, /) -> Any:
    """Stop recording within the block: all results are constants.

    It is also a decorator, with or without brackets. The setting holds for the current
    thread or asynchronous task only.

    Raises
    ------
    TypeError
        If it decorates something that is not a function.
    ValueError
        If the block is left in another thread or task than it was entered in.

    Notes
    -----
    A generator that yields inside such a block keeps the block open: its caller then
    records nothing either. Decorate the generator instead. Then recording stops only
    while the generator runs.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor(2.0, requires_grad=True)
    >>> with tg.no_grad():
    ...     y = w * w
    >>> y.requires_grad
    False
    >>> @tg.no_grad
    ... def predict(x):
    ...     return w * x
    >>> predict(3.0).requires_grad
    False
    """
    setting = Setting("no_grad", recording=False)
    return setting if function is None else setting(function)


def sampled(
    draw: Callable[..., Any], shape: tuple[int, ...], dtype: Any
) -> ndarray[Any, Any]:
    """Return random numbers, ``draw(shape, dtype)``, unless the mode replaces them.

    `compile` makes them an input of its program and draws new ones before each run.
    `remat` keeps them for its second run. `draw` is a method of the object that
    has the random generator.
    """
    sample = current_mode.get().sample
    numbers: ndarray[Any, Any] = (
        draw(shape, dtype) if sample is None else sample(draw, shape, dtype)
    )
    return numbers
