"""The mode: how ops treat Tensors just now, and what changes it for a while.

The mode is a context variable: each thread and each asynchronous task has its own. A
`Block` is a stretch of the program with another mode. Blocks nest, but a generator may
leave one while a later one lasts; so each block knows the mode outside of it, and is
told when that changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

if TYPE_CHECKING:
    from numpy import ndarray

__all__ = ["Block", "Mode", "Setting", "changed", "current_mode", "no_grad", "sampled"]

F = TypeVar("F", bound=Callable[..., Any])


class Mode:
    """How ops treat Tensors just now; `no_grad` and `debug` change it for a while."""

    __slots__ = ("block", "nested", "recording", "sample", "watch")

    def __init__(
        self,
        recording: bool = True,
        watch: Callable[[Any, Any, tuple[Any, ...]], None] | None = None,
        nested: bool = False,  # in a function that a transform is differentiating
        sample: Callable[..., Any] | None = None,  # called in place of a random draw
        block: Any = None,  # the innermost `Block` that we are in
    ) -> None:
        self.recording = recording
        self.watch = watch
        self.nested = nested
        self.sample = sample
        self.block = block


current_mode: ContextVar[Mode] = ContextVar("mode", default=Mode())  # noqa: B039


class Block:
    """A stretch of the program in which the mode is another."""

    __slots__ = ("changes", "outside")

    changes: dict[str, Any]
    outside: Mode

    def __init__(self, changes: dict[str, Any]) -> None:
        self.changes = changes

    def within(self, mode: Mode) -> Mode:
        """Return the mode in this block, where `mode` is the one outside of it."""
        self.outside = mode
        get = self.changes.get
        return Mode(
            get("recording", mode.recording),
            get("watch", mode.watch),
            get("nested", mode.nested),
            get("sample", mode.sample),
            self,
        )


def changed(changes: dict[str, Any]) -> Mode:
    """Return the mode in a new block: the current one with changes.

    Enter and leave the block in this way. Python raises KeyboardInterrupt after a call
    or at the start of one, and here is no place where that would leave the mode
    behind::

        inside = changed({"recording": False})
        try:
            current_mode.set(inside)
            ...
        finally:
            current_mode.set(inside.block.outside)
    """
    return Block(changes).within(current_mode.get())


def _nested(blocks: Iterable[Block], mode: Mode) -> Mode:
    """Return the mode in the last of some blocks, each within the one before."""
    for block in blocks:
        mode = block.within(mode)
    return mode


def _blocks_since(changes: dict[str, Any]) -> list[Block]:
    """List the innermost block that makes these very changes, and those within it.

    There is none in another thread or task than the one that entered the block.
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
    """A change of the mode: for a `with` block, or for a function as its decorator.

    A decorated generator or ``async def`` has the changed mode whenever it runs; while
    it waits, nobody else has.

    Parameters
    ----------
    name : str
        What errors call it.
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
        except BaseException:  # Ctrl-C, just after it was set
            current_mode.set(inside.block.outside)
            raise

    def __exit__(self, kind: Any, *_: Any) -> None:
        blocks = _blocks_since(self._changes)
        if blocks:
            current_mode.set(_nested(blocks[1:], blocks[0].outside))
        elif kind is None:
            raise ValueError(
                f"{self._name}: this block was entered in another thread or task, or "
                "in a function that has ended; if a generator enters it, decorate the "
                f"generator with @tg.{self._name} instead"
            )

    def __call__(self, function: F) -> F:
        """Decorate a function."""
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self(function.__func__))
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"{self._name}: it decorates a function, or opens a block as in "
                f"`with tg.{self._name}():`, and this is {function!r:.80}"
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
    """Ask of a function, or of the ``__call__`` of what is called like one."""
    return kind(function) or kind(function.__call__)


class _Runs:
    """A block that is left and entered again, with the blocks that are open in it."""

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
    """Go through a generator or what is awaited, each of its steps run in a block."""
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
    """Record nothing within the block: answers are constants.

    Also a decorator, with or without brackets. The state belongs to the current thread,
    or the current asynchronous task.

    Raises
    ------
    TypeError
        If it decorates what is no function.
    ValueError
        If the block is left in another thread or task than it was entered in.

    Notes
    -----
    A generator with such a block in it, which is left with ``yield`` in the middle,
    leaves the state to whoever asked it for a value. Decorate the generator: then
    nothing is recorded while it runs, and no longer.

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
    """Return random numbers, ``draw(shape, dtype)``, or what stands for them just now.

    `compile` makes them an input of its program, drawn anew before each run, and
    `remat` keeps them for its second run. What draws is a method of what has the
    generator.
    """
    sample = current_mode.get().sample
    numbers: ndarray[Any, Any] = (
        draw(shape, dtype) if sample is None else sample(draw, shape, dtype)
    )
    return numbers
