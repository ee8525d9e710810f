"""The mode: who changes it, for whom, and that it always comes back."""

import asyncio
import gc
import inspect
import itertools
import sys
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from leaves import leaf

import tinygrad_edu as tg
from tinygrad_edu.engine.modes import Mode, Setting, changed, current_mode


def told(mode):
    """Tell what an op may find in a mode."""
    return mode.recording, mode.watch is not None, mode.nested


USUAL = told(Mode())


def recording():
    """Tell whether an op is recorded just now, by applying one."""
    return (leaf() * 2.0).requires_grad


@pytest.fixture(autouse=True)
def the_mode_comes_back():
    before = current_mode.get()
    assert told(before) == USUAL
    yield
    assert current_mode.get() is before


# --- no_grad --------------------------------------------------------------------------


def test_no_grad_records_nothing():
    x = leaf()
    with tg.no_grad():
        y = x * x
    assert not y.requires_grad
    assert y.is_leaf
    assert (x * x).requires_grad


def test_no_grad_does_not_hinder_a_leaf():
    with tg.no_grad():
        x = leaf()
    assert (x * x).requires_grad


def test_no_grad_is_a_decorator_too():
    @tg.no_grad()
    def double(x):
        return x * 2.0

    assert not double(leaf()).requires_grad
    assert not double(leaf()).requires_grad, "the second call records no more than one"
    assert (leaf() * 2.0).requires_grad


def test_no_grad_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        _ = 1 / 0
    assert (leaf() * 2.0).requires_grad


def test_no_grad_nests():
    with tg.no_grad():
        with tg.no_grad():
            pass
        assert not (leaf() * 2.0).requires_grad
    assert current_mode.get().recording


def test_no_grad_belongs_to_its_thread():
    answers = []
    with tg.no_grad():
        other = threading.Thread(target=lambda: answers.append(leaf() * 2.0))
        other.start()
        other.join()
        mine = leaf() * 2.0
    assert answers[0].requires_grad
    assert not mine.requires_grad


def test_no_grad_belongs_to_its_asynchronous_task():
    async def inference(entered, leave):
        with tg.no_grad():
            entered.set()
            await leave.wait()
            return leaf() * 2.0

    async def training(entered, leave):
        await entered.wait()
        y = leaf() * 2.0
        leave.set()
        return y

    async def both():
        events = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(inference(*events), training(*events))

    inferred, trained = asyncio.run(both())
    assert not inferred.requires_grad
    assert trained.requires_grad


# --- Decorators -----------------------------------------------------------------------

FORMS = [tg.no_grad, tg.no_grad(), tg.no_grad()(tg.no_grad)]


@pytest.mark.parametrize("decorate", FORMS, ids=["plain", "called", "decorated"])
def test_no_grad_decorates_with_and_without_brackets(decorate):
    @decorate
    def double(x, *, times=2.0):
        """Twice as much."""
        return x * times

    assert not double(leaf()).requires_grad
    assert double(leaf(), times=3.0).item() == 6.0
    assert (double.__name__, double.__doc__) == ("double", "Twice as much.")
    assert recording()


@pytest.mark.parametrize("decorate", [tg.debug, tg.debug()], ids=["plain", "called"])
def test_debug_decorates_with_and_without_brackets(decorate):
    @decorate
    def root(x):
        return x.sqrt()

    with np.errstate(all="ignore"):
        with pytest.raises(ValueError, match=r"sqrt: .* NaN"):
            root(leaf(-1.0))
        assert np.isnan(leaf(-1.0).sqrt().item()), "nobody watches any more"


def test_what_is_decorated_may_be_any_kind_of_method():
    class Model:
        @tg.no_grad
        def method(self):
            return self, recording()

        @tg.no_grad
        @classmethod
        def of_class(cls):
            return cls, recording()

        @tg.no_grad()
        @staticmethod
        def static():
            return recording()

    model = Model()
    assert model.method() == (model, False)
    assert model.of_class() == Model.of_class() == (Model, False)
    assert model.static() is Model.static() is False


@pytest.mark.parametrize("what", [3.0, "w", leaf(), [leaf()], tg.nn.Tanh], ids=str)
@pytest.mark.parametrize("name", ["no_grad", "debug"])
def test_what_is_no_function_is_not_decorated(name, what):
    with pytest.raises(TypeError, match=rf"^{name}: use it to decorate a function, or"):
        getattr(tg, name)(what)
    with pytest.raises(TypeError, match=rf"`with tg.{name}\(\):`"):
        getattr(tg, name)()(what)


def test_a_block_may_be_used_again_within_itself_and_in_several_threads():
    block = tg.no_grad()
    answers = []

    def use():
        with block, block:
            answers.append(recording())
        answers.append(recording())

    with block:
        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not recording()
    assert answers.count(True) == answers.count(False) == 4


# --- Generators, async def, and asynchronous generators -------------------------------


def test_a_decorated_generator_records_nothing_and_its_user_does():
    @tg.no_grad
    def halves(x):
        """Halve, again and again."""
        while True:
            x = x / 2.0
            yield x

    assert inspect.isgeneratorfunction(halves)
    assert halves.__doc__ == "Halve, again and again."
    both = zip(halves(leaf()), halves(leaf(4.0)))
    for _ in range(3):
        a, b = next(both)
        assert not a.requires_grad
        assert not b.requires_grad
        assert recording()
    w = leaf()
    assert tg.grad(lambda v: next(both)[0] * v)(w).item() == 0.125


def test_a_decorated_generator_takes_and_gives_what_it_would():
    """As `yield from`: values sent, errors thrown, an answer at the end, a close."""

    @tg.no_grad()
    def echo(log):
        try:
            given = yield "first"
            while given != "enough":
                try:
                    given = yield given, recording()
                except KeyError as error:
                    given = yield error, recording()
            return "answer"
        finally:
            log.append(recording())

    log = []
    steps = echo(log)
    assert next(steps) == "first"
    assert steps.send(2) == (2, False)
    error = KeyError("k")
    assert steps.throw(error) == (error, False)
    with pytest.raises(StopIteration) as end:
        steps.send("enough")
    assert end.value.value == "answer"

    steps = echo(log)
    next(steps)
    steps.close()
    steps = echo(log)
    next(steps)
    with pytest.raises(ZeroDivisionError):
        steps.throw(ZeroDivisionError)
    assert log == [False] * 3
    assert recording()


def test_blocks_in_a_decorated_generator_last_while_it_waits():
    @tg.no_grad
    def steps():
        with tg.debug():
            yield current_mode.get()
            with Setting("test", nested=True):
                yield current_mode.get()
            yield current_mode.get()
        yield current_mode.get()

    seen = []
    for mode in steps():
        assert told(current_mode.get()) == USUAL
        seen.append(told(mode))
    watched = (False, True, False)
    assert seen == [watched, (False, True, True), watched, (False, False, False)]


def test_a_decorated_generator_has_the_rest_of_its_mode_from_whoever_goes_on_with_it():
    @tg.no_grad
    def steps():
        while True:
            yield current_mode.get()

    going = steps()
    assert next(going).watch is None
    with tg.debug():
        assert next(going).watch is not None
    assert next(going).watch is None


def test_a_decorated_coroutine_records_nothing_and_others_do():
    @tg.no_grad
    async def infer(log):
        for _ in range(3):
            log.append((leaf() * 2.0).requires_grad)
            await asyncio.sleep(0)
        with tg.debug():
            await asyncio.sleep(0)
            log.append(current_mode.get().watch is not None)
        return "answer"

    async def train(log):
        for _ in range(3):
            log.append((leaf() * 2.0).requires_grad)
            await asyncio.sleep(0)

    async def both():
        inferred, trained = [], []
        coroutine = infer(inferred)
        answer, _ = await asyncio.gather(coroutine, train(trained))
        return answer, inferred, trained, recording()

    assert inspect.iscoroutinefunction(infer)
    expected = "answer", [False] * 3 + [True], [True] * 3, True
    assert asyncio.run(both()) == expected


def test_a_decorated_coroutine_that_is_cancelled_cleans_up_in_its_mode():
    log = []

    @tg.no_grad()
    async def wait():
        try:
            await asyncio.sleep(60)
        finally:
            log.append(recording())

    async def cancel():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert log == [False]


def test_coroutines_run_by_hand_do_not_share_their_mode():
    class Pause:
        def __await__(self):
            yield

    @tg.no_grad
    async def infer():
        await Pause()
        return recording()

    first, second = infer(), infer()
    for going in (first, second):
        going.send(None)
        assert recording()
    for going in (first, second):
        with pytest.raises(StopIteration) as end:
            going.send(None)
        assert end.value.value is False
        assert recording()


def test_a_decorated_asynchronous_generator_records_nothing_and_its_user_does():
    log = []

    @tg.no_grad
    async def echo():
        try:
            given = yield "first"
            while given != "enough":
                await asyncio.sleep(0)
                try:
                    given = yield given, recording()
                except KeyError:
                    with tg.debug():
                        given = yield "caught", current_mode.get().watch is not None
        finally:
            await asyncio.sleep(0)
            log.append(recording())

    async def use():
        steps = echo()
        seen = [await anext(steps), await steps.asend(2), await steps.athrow(KeyError)]
        assert recording()
        seen.append(await steps.asend(3))
        with pytest.raises(StopAsyncIteration):
            await steps.asend("enough")
        async for value in echo():  # sends None
            seen.append(value)
            if len(seen) == 6:
                break
        steps = echo()
        await anext(steps)
        await steps.aclose()
        steps = echo()
        await anext(steps)
        with pytest.raises(ZeroDivisionError):
            await steps.athrow(ZeroDivisionError)
        assert recording()
        return seen

    assert inspect.isasyncgenfunction(echo)
    seen = asyncio.run(use())
    expected = ["first", (2, False), ("caught", True), (3, False), "first"]
    assert seen == [*expected, (None, False)]
    assert log == [False] * 4


def test_what_is_called_like_a_generator_is_decorated_as_one():
    class Steps:
        def __call__(self, n):
            for _ in range(n):
                yield recording()

    assert list(tg.no_grad(Steps())(2)) == [False, False]
    assert list(tg.no_grad(partial(Steps.__call__, Steps()))(2)) == [False, False]


# --- Blocks that are not left in the order they were entered in -----------------------


def in_a_block(setting):
    with setting:
        yield
        yield


def leave(going):
    with pytest.raises(StopIteration):
        next(going)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_interleaved_generators_leave_nothing_behind(order, shared):
    one = tg.no_grad()
    goings = [in_a_block(one if shared else tg.no_grad()) for _ in range(3)]
    for going in goings + goings:
        next(going)
    for i in order:
        assert not recording(), "until the last one is left"
        leave(goings[i])
    assert recording()
    assert told(current_mode.get()) == USUAL


def test_what_is_left_first_takes_only_its_own_change_along():
    with Setting("outer", nested=True):
        first, second = in_a_block(tg.no_grad()), in_a_block(tg.debug())
        for going in (first, second, first, second):
            next(going)
        leave(first)
        assert recording()
        assert current_mode.get().watch is not None
        assert current_mode.get().nested
        leave(second)
        assert current_mode.get().watch is None
        assert current_mode.get().nested


def test_a_block_that_ends_within_a_transform_does_not_come_back_after_it():
    going = in_a_block(tg.no_grad())
    next(going)
    next(going)

    def f(x):
        leave(going)
        return x * x

    assert tg.grad(f)(3.0) == 6.0
    assert recording()


def test_a_block_that_ends_within_remat_does_not_come_back_after_it():
    going = in_a_block(tg.debug())
    next(going)
    next(going)

    @tg.remat
    def f(x):
        if going.gi_frame is not None:
            leave(going)
        return x * x

    x = leaf(3.0)
    f(x).backward()
    assert x.grad.item() == 6.0
    assert current_mode.get().watch is None


def test_a_block_that_is_closed_is_left():
    going = in_a_block(tg.no_grad())
    next(going)
    going.close()
    assert recording()


def test_a_block_may_end_in_a_context_manager():
    @contextmanager
    def evaluating():
        with tg.no_grad():
            yield

    with evaluating():
        assert not recording()
    assert recording()


@pytest.mark.parametrize("name", ["no_grad", "debug"])
def test_a_block_that_is_left_in_another_thread_says_so(name):
    caught = []

    def enter_and_leave_elsewhere():
        going = in_a_block(getattr(tg, name)())
        next(going)
        next(going)

        def finish():
            with pytest.raises(ValueError, match=f"^{name}: .* thread") as error:
                next(going)
            caught.append(str(error.value))

        other = threading.Thread(target=finish)
        other.start()
        other.join()

    thread = threading.Thread(target=enter_and_leave_elsewhere)
    thread.start()
    thread.join()
    (message,) = caught
    assert message.endswith(f"decorate the generator with @tg.{name} instead")


def test_an_error_on_its_way_is_not_hidden_by_that_of_the_block():
    going = in_a_block(tg.no_grad())

    def f(x):
        next(going)
        return x

    tg.grad(f)(1.0)  # ends, and the block with it
    with pytest.raises(ZeroDivisionError):
        going.throw(ZeroDivisionError)
    assert recording()


# --- Ctrl-C ---------------------------------------------------------------------------


def interrupted(function):
    """Run a function again and again, with Ctrl-C wherever Python may see it.

    That is at the start of each call of a Python function, and after each call of
    another one; a profiler is told of just these.
    """
    for n in itertools.count():
        places = itertools.count()

        def press(frame, event, argument, n=n, places=places):
            if event in ("call", "c_return") and next(places) == n:
                raise KeyboardInterrupt

        sys.setprofile(press)
        try:
            function()
        except KeyboardInterrupt:
            sys.setprofile(None)
            yield n
        else:
            return
        finally:
            sys.setprofile(None)


CALLS = {
    "grad": lambda: tg.grad(lambda x: x * x)(3.0),
    "hvp": lambda: tg.hvp(lambda x: x * x, 3.0, 1.0),
    "remat": lambda: tg.grad(tg.remat(lambda x: x * x))(3.0),
    "decorator": lambda: tg.no_grad(recording)(),
    "generator": lambda: list(tg.no_grad(lambda: (yield recording()))()),
}


# A generator that is thrown away is closed, and there Python only prints an error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_ctrl_c_never_leaves_the_mode_behind(call):
    gc.collect()  # what it calls is no place in this program
    places = 0
    for _ in interrupted(call):
        assert told(current_mode.get()) == USUAL
        places += 1
    assert places > 3


def test_ctrl_c_while_a_block_is_entered_does_not_leave_the_mode_behind():
    block = tg.no_grad()
    places = 0
    for _ in interrupted(block.__enter__):
        assert recording()
        places += 1
    assert places > 3
    block.__exit__(None, None, None)


def test_ctrl_c_in_a_transform_does_not_keep_compile_from_compiling():
    @tg.compile
    def f(x):
        return x * 2.0

    for _ in interrupted(CALLS["grad"]):
        f(1.0)
        assert "def step" in f.source
        f._variants.clear()


def test_changed_gives_the_mode_in_a_new_block():
    inside = changed({"nested": True})
    assert told(inside) == (True, False, True)
    assert inside.block.outside is current_mode.get()
