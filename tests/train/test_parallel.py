"""Several ranks make the run that one makes: as threads here, and by MPI itself."""

import json
import os
import re
import sys
from functools import partial
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks import mpiexec, needs_mpi, on_ranks

import tinygrad_edu as tg
from tinygrad_edu.support import extras
from tinygrad_edu.train import job

SIZES = [5, 4, 3]  # the sizes of the networks here
OPTIMISERS = {
    "SGD": partial(tg.optim.SGD, lr=0.5),
    "momentum": partial(tg.optim.SGD, lr=0.2, momentum=0.9),
    # Its first step has the size of lr, whatever the gradient: rounding must not count.
    "Adam": partial(tg.optim.Adam, lr=0.02, eps=1e-3),
}
LOSSES = {
    "mse": lambda model, x, y: tg.losses.mse(model(x), y),
    "cross-entropy": lambda model, x, y: tg.losses.cross_entropy(model(x), y),
    "logits": lambda model, x, y: tg.losses.cross_entropy_with_logits(
        model.logits(x), y
    ),
    "softmax": lambda model, x, y: tg.losses.softmax_cross_entropy(model.logits(x), y),
    "l2": lambda model, x, y: (
        tg.losses.mse(model(x), y) + tg.losses.l2(model.weights, 2.0, 20)
    ),
}


def examples(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, SIZES[0]))
    return x, tg.data.one_hot(rng.integers(3, size=n), 3, float)


def train(x, y, batch_size, loss, optimiser, seed, comm=None, compiled=False, epochs=2):
    """Train on one rank of a communicator, or, without one, as anyone would.

    Return the losses, and the parameters at the end.
    """
    strange = 0 if comm is None else comm.rank  # only rank 0's network is to count
    model = tg.nn.MLP(SIZES, rng=seed + strange)
    opt = OPTIMISERS[optimiser](model.parameters())
    rng = np.random.default_rng(seed + strange)

    def gradients(x, y):
        value = LOSSES[loss](model, x, y)
        opt.zero_grad()
        value.backward()
        return value

    if compiled:
        gradients = tg.compile(gradients)
    if comm is None:
        minibatches, run = tg.data.minibatches, lambda f, x, y: f(x, y).item()
    else:
        parallel = tg.parallel.DataParallel(model.parameters(), comm)
        minibatches, run = parallel.minibatches, parallel.run

    losses = []
    for _ in range(epochs):
        for batch in minibatches(x, y, batch_size, rng):
            losses.append(run(gradients, *batch))
            opt.step()
    return losses, [p.data for p in model.parameters()]


def assert_same_run(ours, expected):
    (losses, parameters), (wanted, others) = ours, expected
    np.testing.assert_allclose(losses, wanted, rtol=1e-10, atol=0)
    for p, other in zip(parameters, others, strict=True):
        np.testing.assert_allclose(p, other, rtol=1e-10, atol=1e-10)


@settings(deadline=None)
@given(
    size=st.integers(1, 5),
    n=st.integers(1, 20),
    batch_size=st.integers(1, 12),
    loss=st.sampled_from([*LOSSES]),
    optimiser=st.sampled_from([*OPTIMISERS]),
    seed=st.integers(0, 1000),
)
def test_ranks_make_the_run_of_one(size, n, batch_size, loss, optimiser, seed):
    how = *examples(n, seed), batch_size, loss, optimiser, seed
    expected = train(*how)
    runs = on_ranks(size, lambda comm: train(*how, comm))
    for run in runs:
        assert_same_run(run, expected)
        for p, of_first in zip(run[1], runs[0][1]):
            np.testing.assert_array_equal(p, of_first)  # to the last bit


@pytest.mark.parametrize("size", [1, 3])
def test_the_gradients_may_be_compiled(size):
    how = *examples(17, 1), 7, "mse", "momentum", 1
    expected = train(*how)
    for run in on_ranks(size, lambda comm: train(*how, comm, compiled=True)):
        assert_same_run(run, expected)


@settings(deadline=None)
@given(n=st.integers(0, 50), size=st.integers(1, 60))
def test_every_example_is_in_one_share(n, size):
    def share(comm):
        w = tg.Tensor(1.0, requires_grad=True)
        return np.arange(n)[tg.parallel.DataParallel([w], comm).share(n)]

    solo = SimpleNamespace(allgather=lambda x: [x] * size, bcast=lambda x: x)
    solo.size, solo.Dup = size, lambda: solo
    shares = [share(SimpleNamespace(**vars(solo), rank=r)) for r in range(size)]
    np.testing.assert_array_equal(np.concatenate(shares), np.arange(n))
    lengths = [len(s) for s in shares]
    assert max(lengths) - min(lengths) <= 1


# --- What a step leaves behind --------------------------------------------------------


def with_parameters(*shapes):
    return [tg.Tensor(np.ones(shape), requires_grad=True) for shape in shapes]


def test_the_gradients_are_views_of_one_array():
    def bases(comm):
        params = with_parameters((2, 3), (3,), ())
        parallel = tg.parallel.DataParallel(params, comm)
        loss = sum((p * p).sum() for p in params)
        loss.backward()
        value = parallel.average(loss, n=2)
        assert value == 10
        for p in params:
            assert p.grad.shape == p.shape
            np.testing.assert_array_equal(p.grad.data, 2)
        return {id(p.grad.data.base) for p in params}

    for found in on_ranks(2, bases):
        assert len(found) == 1


def test_a_rank_without_examples_does_not_count():
    """Not even if it has gradients of an earlier step, and they are NaN."""

    def gradient(comm):
        (w,) = with_parameters((2,))
        parallel = tg.parallel.DataParallel([w], comm)
        w.grad = tg.Tensor([np.nan, 1.0])

        def f(x):
            w.zero_grad()
            loss = (w * x).sum() * (1 / len(x))
            loss.backward()
            return loss

        if comm.rank == 2:
            return parallel.average(np.nan, n=0), w.grad.data
        x = np.array([[3.0, 4.0], [5.0, 6.0]])[: 2 if comm.rank == 1 else 0]
        return parallel.run(f, x), w.grad.data

    for loss, grad in on_ranks(3, gradient):
        assert loss == 9
        np.testing.assert_array_equal(grad, [4, 5])


def test_examples_count_and_not_ranks():
    def gradient(comm):
        (w,) = with_parameters(())
        parallel = tg.parallel.DataParallel([w], comm)
        loss = w * (1.0 if comm.rank else 5.0)
        loss.backward()
        return parallel.average(loss, n=3 if comm.rank else 1), w.grad.item()

    assert on_ranks(2, gradient) == [(2.0, 2.0)] * 2


def test_gradients_accumulate_over_several_passes():
    """Two halves of a mini-batch, one after the other, without zero_grad()."""

    def gradient(comm):
        (w,) = with_parameters(())
        parallel = tg.parallel.DataParallel([w], comm)
        for factor in (1.0, 10.0):
            loss = w * (factor * (comm.rank + 1))
            loss.backward()
            parallel.average(loss, n=1)
        return w.grad.item()

    assert on_ranks(2, gradient) == [16.5] * 2


def test_a_parameter_that_no_rank_used_has_no_gradient():
    def gradients(comm):
        params = used, sometimes, never = with_parameters((), (), ())
        parallel = tg.parallel.DataParallel(params, comm)
        loss = used * 2.0
        if comm.rank == 1:
            loss = loss + sometimes * 3.0
        loss.backward()
        parallel.average(loss, n=1)
        return used.grad.item(), sometimes.grad.item(), never.grad

    assert on_ranks(3, gradients) == [(2.0, 1.0, None)] * 3


@pytest.mark.parametrize("dtypes", [["f2"], ["f2", "f8"], ["f4"], ["f8", "f4"]])
def test_dtypes_stay_what_they_are(dtypes):
    """Half precision is added up in single: n times a gradient would be too large."""

    def gradients(comm):
        params = [
            tg.Tensor(np.ones(3), requires_grad=True, dtype=dtype) for dtype in dtypes
        ]
        parallel = tg.parallel.DataParallel(params, comm)
        loss = sum((p * p.dtype.type(1000 / 3)).sum() for p in params)
        loss.backward()
        parallel.average(0.0, n=3000)
        return [p.grad for p in params]

    for grads in on_ranks(2, gradients):
        assert [g.dtype for g in grads] == dtypes
        for g in grads:
            eps = np.finfo(g.dtype).eps
            np.testing.assert_allclose(g.data, g.dtype.type(1000 / 3), rtol=2 * eps)


def test_rank_0_says_what_the_network_and_the_order_are():
    def start(comm):
        model = tg.nn.MLP(SIZES, rng=comm.rank)
        parallel = tg.parallel.DataParallel(model.parameters(), comm)
        x = np.arange(11)
        rng = np.random.default_rng(comm.rank)
        batches = list(parallel.minibatches(x, 10 * x, 4, rng))
        return [p.data for p in model.parameters()], batches

    ranks = on_ranks(3, start)
    for parameters, _ in ranks:
        for p, of_first in zip(parameters, tg.nn.MLP(SIZES, rng=0).parameters()):
            np.testing.assert_array_equal(p, of_first.data)
    x = np.arange(11)
    wanted = tg.data.minibatches(x, 10 * x, 4, np.random.default_rng(0))
    for whole, *parts in zip(wanted, *(batches for _, batches in ranks), strict=True):
        for array, pieces in zip(whole, zip(*parts)):
            np.testing.assert_array_equal(np.concatenate(pieces), array)


# --- What is refused ------------------------------------------------------------------


def test_no_parameters():
    with pytest.raises(ValueError, match="there are no parameters"):
        on_ranks(1, lambda comm: tg.parallel.DataParallel([], comm))


def errors_on(ranks, f):
    """Return the message with which each rank ends, which is the same."""

    def run(comm):
        with pytest.raises((ValueError, RuntimeError)) as caught:
            f(comm)
        return str(caught.value)

    messages = on_ranks(ranks, run)
    assert len(set(messages)) == 1
    return messages[0]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (["f4"], ["f8"], ["parameter 0: float32 (3,) in rank 0, float64 (3,) in rank"]),
        ([3], [4], ["parameter 0: float64 (3,) in rank 0, float64 (4,) in rank 1"]),
        (
            [3, 2],
            [3],
            [
                "number of parameters: 2 in rank 0, 1 in rank 1",
                "parameter 1: float64 (2,) in rank 0, nothing in rank 1",
            ],
        ),
        ([], [1], ["number of parameters: 0 in rank 0, 1 in rank 1"]),
    ],
)
def test_other_parameters_in_another_rank(first, second, told):
    def start(comm):
        kinds = second if comm.rank == 1 else first
        arrays = [np.ones(k if isinstance(k, int) else 3) for k in kinds]
        dtypes = [k if isinstance(k, str) else None for k in kinds]
        params = [
            tg.Tensor(a, requires_grad=True, dtype=d) for a, d in zip(arrays, dtypes)
        ]
        tg.parallel.DataParallel(params, comm)

    message = errors_on(3, start)
    assert all(text in message for text in told)
    assert message.endswith(
        "Make the same network and the same optimiser in every rank"
    )


SGD, Adam = tg.optim.SGD, tg.optim.Adam


@pytest.mark.parametrize(
    ("first", "other", "told"),
    [
        ((SGD, {"lr": 0.5}), (SGD, {"lr": 0.25}), ["lr: 0.5 in rank 0, 0.25 in rank "]),
        ((SGD, {"lr": 1}), (Adam, {"lr": 1}), ["optimiser: SGD in rank 0, Adam in ra"]),
        (
            (Adam, {"betas": (0.9, 0.99)}),
            (Adam, {"betas": (0.9, 0.5)}),
            ["betas: [0.9, 0.99] in rank 0, [0.9, 0.5] in rank 2"],
        ),
        (None, (SGD, {"lr": 1.0}), ["optimiser: nothing in rank 0, SGD in rank 2"]),
    ],
)
def test_another_optimiser_in_another_rank(first, other, told):
    def start(comm):
        params = with_parameters((2,))
        kind = other if comm.rank == 2 else first
        optimiser = kind and kind[0](params, **kind[1])
        tg.parallel.DataParallel(params, comm, optimiser=optimiser)

    message = errors_on(3, start)
    assert all(text in message for text in told)
    assert "weight_decay: 0.0 in rank 0, 0.0" not in message


@pytest.mark.parametrize("rate", [1, np.float32(1), np.float64(1.0)])
def test_numbers_are_the_same_whatever_their_type(rate):
    def start(comm):
        params = with_parameters((2,))
        optimiser = SGD(params, lr=1.0 if comm.rank else rate)
        tg.parallel.DataParallel(params, comm, optimiser=optimiser)
        return True

    assert on_ranks(2, start) == [True, True]


def in_step(comm, change=None, at=0, steps=20, optimiser=True, batch=4, n=40):
    """Train on ranks; rank 1 does something else before a step."""
    (w,) = with_parameters(())
    opt = SGD([w], lr=0.5)
    parallel = tg.parallel.DataParallel([w], comm, optimiser=opt if optimiser else None)
    x = np.arange(float(n))
    for i, _ in enumerate(parallel.minibatches(x, x, batch)):
        if i == at and comm.rank == 1 and change:
            change(parallel, opt, x)
        w.grad = tg.Tensor(1.0)
        parallel.average(0.0, n=1)
        opt.step()
    list(parallel.minibatches(x, x, batch))


def test_ranks_that_are_in_step_are_left_alone():
    on_ranks(2, in_step)


@pytest.mark.parametrize("at", [0, 1, 5, 9])
def test_a_drift_is_noticed(at):
    """After 1, 3, 7, ... steps, and in any case when the next pass begins."""

    def faster(parallel, optimiser, x):
        optimiser.lr = 0.25

    message = errors_on(2, lambda comm: in_step(comm, faster, at, optimiser=False))
    assert re.search(r"parameter 0: checksum \w+ in rank 0, checksum", message)
    assert "make the same steps with the same optimiser" in message
    if at == 9:
        message = errors_on(2, lambda comm: in_step(comm, faster, at))
        assert "lr: 0.5 in rank 0, 0.25 in rank 1" in message


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"batch": 5}, "batch_size: 4 in rank 0, 5 in rank 1"),
        ({"n": 39}, "rows_of_x: 40 in rank 0, 39 in rank 1"),
        ({"batch": 0}, "batch_size: 4 in rank 0, 0 in rank 1"),
    ],
)
def test_another_pass_in_another_rank(how, told):
    message = errors_on(2, lambda comm: in_step(comm, **how if comm.rank else {}))
    assert f"\n- {told}" in message


def test_an_unequal_number_of_steps_is_noticed():
    def give_up(parallel, optimiser, x):
        parallel.minibatches(x, x, 4)

    message = errors_on(2, lambda comm: in_step(comm, give_up, at=7))
    assert (
        "after 7 steps, rank 0 came for another step, and rank 1 came for a pass"
        in message
    )

    def again(comm):
        (w,) = with_parameters(())
        parallel = tg.parallel.DataParallel([w], comm)
        for _ in range(2):
            come = partial(parallel.minibatches, [1.0], [1.0], 1)
            if comm.rank == 1:
                come = partial(parallel.average, 0.0, n=1)
            with pytest.raises(RuntimeError, match=r"ranks 0, 2 came for a pass"):
                come()
        return True

    assert on_ranks(3, again) == [True] * 3


def late(answers, timeout):
    """Make what a rank has whose requests are answered so."""
    comm = SimpleNamespace(rank=0, size=1, bcast=lambda x: x, allgather=lambda x: [x])
    comm.Dup = lambda: comm
    comm.Iallreduce = lambda sent, array: SimpleNamespace(Test=answers.__next__)
    return tg.parallel.DataParallel(with_parameters(()), comm, timeout=timeout)


@pytest.mark.parametrize("tests", [0, 1, job.SPINS, job.SPINS + 5])
def test_a_rank_waits_as_long_as_it_takes(tests):
    answers = iter([False] * tests + [True])
    assert late(answers, timeout=60.0).average(3.0, n=1) == 3
    assert next(answers, None) is None


def test_a_rank_does_not_wait_for_ever():
    parallel = late(repeat(False), timeout=0.02)
    with pytest.raises(TimeoutError, match=r"rank 0 has waited 0\.02 seconds"):
        parallel.average(0.0, n=1)
    with pytest.raises(RuntimeError, match="use a larger timeout"):
        parallel.average(0.0, n=1)


def test_no_rank_has_an_example():
    def step(comm):
        parallel = tg.parallel.DataParallel(with_parameters(()), comm)
        with pytest.raises(ValueError, match="no rank has an example"):
            parallel.run(lambda x: pytest.fail("there is none"), np.empty((0, 2)))
        return True

    assert on_ranks(2, step) == [True, True]


@pytest.mark.parametrize(
    ("rows", "batch_size", "message"),
    [((3, 4), 1, "x has 3 rows and y has 4"), ((3, 3), 0, "batch_size must be 1")],
)
def test_minibatches_refuse_what_those_of_data_do(rows, batch_size, message):
    def ask(comm):
        parallel = tg.parallel.DataParallel(with_parameters(()), comm)
        parallel.minibatches(*map(np.ones, rows), batch_size)

    with pytest.raises(ValueError, match=message):
        on_ranks(1, ask)


def test_the_exchange_can_be_neither_compiled_nor_differentiated():
    """Not even where the function itself uses no parameter."""
    (w,) = with_parameters((2,))
    optimiser = tg.optim.SGD([w], lr=1.0)

    def gradients(x):
        loss = (w * x).sum()
        optimiser.zero_grad()
        loss.backward()
        return loss

    def ask(comm):
        parallel = tg.parallel.DataParallel([w], comm)

        def step(x):
            loss = parallel.run(gradients, x)
            optimiser.step()
            return loss

        def average(x):
            return x * parallel.average(0.0, n=1)

        for f in (tg.compile(step), tg.compile(average), tg.grad(average)):
            with pytest.raises(TypeError, match="compile only the function that"):
                f(np.ones(1))
        np.testing.assert_array_equal(w.data, 1)
        with tg.debug():
            assert step(np.ones((1, 2))) == 2
        np.testing.assert_array_equal(w.data, 0)

    on_ranks(1, ask)


# --- Starting and failing -------------------------------------------------------------


def test_without_mpi4py_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install mpi4py mpich$"):
        job.world.__wrapped__()


def test_without_a_library_for_mpi4py_it_says_what_to_install(monkeypatch):
    def fail(name):
        raise RuntimeError("cannot load MPI library\nlibmpi.so: No such file")

    monkeypatch.setattr(extras, "import_module", fail)
    told = (
        r"parallel: needs mpi4py \(cannot load MPI library\): pip install mpi4py mpich"
    )
    with pytest.raises(ModuleNotFoundError, match=told):
        job.world.__wrapped__()


class Events(list):
    comm = None


@pytest.fixture
def events(monkeypatch, capsys):
    """Make `world()` that of rank 1 of 2; return what happens there.

    That is what has been shown when it waits, and the status when it aborts or exits.
    """
    events = Events()
    comm = SimpleNamespace(rank=1, size=2, Abort=events.append)
    comm.Dup = lambda: comm
    monkeypatch.setattr(
        job, "sleep", lambda s: s == 1 and events.append(capsys.readouterr().err)
    )
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", SimpleNamespace(COMM_WORLD=comm))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "exit", sys.exit)
    monkeypatch.setattr(os, "_exit", events.append)
    ends = []
    monkeypatch.setattr(job.atexit, "register", ends.append)
    monkeypatch.setattr(job, "_meetings", [])
    assert job.world.__wrapped__() is comm
    (comm.end,) = ends
    events.comm = comm
    return events


def test_one_rank_by_itself_fails_as_any_program(monkeypatch):
    comm = SimpleNamespace(rank=0, size=1)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", SimpleNamespace(COMM_WORLD=comm))
    hook = sys.excepthook
    assert job.world.__wrapped__() is comm
    assert sys.excepthook is hook


def fail_uncaught():
    try:
        raise KeyError("spilt milk")
    except KeyError:
        sys.excepthook(*sys.exc_info())


def test_an_error_is_shown_before_the_job_ends(events):
    """There is time for mpiexec to pass it on: else it is lost, once in many times."""
    fail_uncaught()
    shown, status = events
    assert shown.startswith("rank 1 of 2: Traceback (most recent call last)")
    assert "KeyError: 'spilt milk'" in shown
    assert status == 1


def test_an_error_that_cannot_be_shown_ends_the_job(events, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # to print to None is to print nowhere
    fail_uncaught()
    broken = SimpleNamespace(write=lambda text: (_ for _ in ()).throw(OSError("full")))
    monkeypatch.setattr(sys, "stderr", broken)
    with pytest.raises(OSError, match="full"):
        fail_uncaught()
    assert events == ["", 1, 1]


def test_ctrl_c_is_a_line_and_no_traceback(events):
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert events == ["rank 1 of 2: ended by Ctrl-C\n", 130]


@pytest.mark.parametrize(("status", "of_job"), [(0, 1), (3, 3)])
def test_leaving_at_once_is_no_success(events, monkeypatch, status, of_job):
    os._exit(status)
    shown, aborted, exited = events
    assert shown == f"rank 1 of 2: os._exit({status}) ends the whole job\n"
    assert (aborted, exited) == (of_job, status)
    events.clear()
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as if it were forked off
    os._exit(status)
    assert events == [status]


@pytest.mark.parametrize("status", [None, 0, 2, "a reason"])
def test_a_rank_that_ends_waits_for_the_others(events, monkeypatch, status):
    """If it ends with an error, not for long."""
    with pytest.raises(SystemExit) as caught:
        sys.exit(status)
    assert caught.value.code == status
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(job, "perf_counter", clock.__next__)
    tests = iter([False] * 50 + [True])
    request = SimpleNamespace(Test=lambda: bool(events[1:]) or next(tests))
    events.comm.Ibarrier = lambda: request
    events.comm.end()
    if status:
        shown, aborted = events
        assert "sys.exit() was called here, but not in all ranks" in shown
        assert aborted == 1
        assert next(clock) == 8, "after five seconds and more"
    else:
        (shown,) = events
        assert "this rank has ended, and waits for the others" in shown
        assert next(tests, None) is None


def test_a_rank_that_ends_says_so_in_every_meeting(events, monkeypatch):
    comm = SimpleNamespace(rank=1, size=3, Ibarrier=lambda: None)
    comm.Dup = lambda: comm
    brought = []

    def come(sent, array):
        brought.append(array.tolist())
        answers = iter([False, True, True])
        return SimpleNamespace(Test=answers.__next__)

    comm.Iallreduce = come
    whole, faulty = (job.Meeting(comm, 2, float, 1.0) for _ in range(2))
    whole.array[:] = 7.0
    faulty._fault = "they are out of step"
    events.comm.Ibarrier = lambda: SimpleNamespace(Test=lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        events.comm.end()
        assert not brought, "a process that was forked off is no rank"
    events.comm.end()
    assert brought == [[7.0, 7.0, 0.0, job.END, 0.0]]
    assert not events


# --- MPI itself -----------------------------------------------------------------------


def on_mpi(ranks, program, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(program)
    return mpiexec(ranks, path)


RUNS = [
    (17, 6, "mse", "SGD", 0, False),
    (17, 5, "cross-entropy", "momentum", 1, False),
    (10, 4, "l2", "Adam", 2, True),
    (4, 2, "softmax", "momentum", 3, True),  # of 3 ranks, one has no example
]


@needs_mpi
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_processes_make_the_run_of_one(ranks, tmp_path):
    program = f"""if True:
        import json, sys
        sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
        import test_parallel as t
        comm = t.tg.parallel.world()
        runs = []
        for n, batch_size, loss, optimiser, seed, compiled in t.RUNS:
            how = *t.examples(n, seed), batch_size, loss, optimiser, seed
            losses, parameters = t.train(*how, comm, compiled)
            runs.append((losses, [p.tolist() for p in parameters]))
        gathered = comm.gather(runs)
        if comm.rank == 0:
            print(json.dumps(gathered))
    """
    done = on_mpi(ranks, program, tmp_path)
    assert done.returncode == 0, done.stderr
    gathered = json.loads(done.stdout)
    assert len(gathered) == ranks
    assert all(runs == gathered[0] for runs in gathered)  # to the last bit
    for run, (n, batch_size, loss, optimiser, seed, _) in zip(gathered[0], RUNS):
        how = *examples(n, seed), batch_size, loss, optimiser, seed
        assert_same_run(run, train(*how))


@needs_mpi
def test_without_mpiexec_there_is_one_rank(tmp_path):
    x, y = examples(7, 0)
    expected = train(x, y, 3, "mse", "SGD", 0)
    assert_same_run(train(x, y, 3, "mse", "SGD", 0, tg.parallel.world()), expected)


FAILING = """if True:
    import os, signal, sys
    import numpy as np
    import tinygrad_edu as tg
    w = tg.Tensor(1.0, requires_grad=True)
    parallel = tg.parallel.DataParallel([w])
    for step in range(1000):
        if step == 10 and parallel.rank == 1:
            {fail}
        w.grad = tg.Tensor(1.0)
        parallel.average(0.0, n=1)
    print("came to the end")
"""


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 3])
def test_a_rank_that_fails_ends_the_job_with_its_error(ranks, tmp_path):
    done = on_mpi(ranks, FAILING.format(fail="np.ones(3) @ np.ones(4)"), tmp_path)
    assert done.returncode != 0
    assert f"rank 1 of {ranks}: Traceback" in done.stderr
    assert "np.ones(3) @ np.ones(4)" in done.stderr
    assert "ValueError: matmul" in done.stderr
    assert "came to the end" not in done.stdout


@needs_mpi
def test_a_rank_that_is_killed_ends_the_job(tmp_path):
    fail = "os.kill(os.getpid(), signal.SIGKILL)"
    done = on_mpi(2, FAILING.format(fail=fail), tmp_path)
    assert done.returncode != 0
    assert "came to the end" not in done.stdout


@needs_mpi
@pytest.mark.parametrize(
    ("fail", "told"),
    [
        ("os._exit(0)", "rank 1 of 2: os._exit(0) ends the whole job"),
        ("sys.exit()", "rank 0 came for another step, and rank 1 came for the end"),
        ("raise SystemExit(0)", "rank 1 came for the end"),
        ("break", "after 10 steps, rank 0 came for another step"),
        ("raise KeyboardInterrupt", "rank 1 of 2: ended by Ctrl-C"),
        ("w.data += 1", "make the same steps with the same optimiser"),
    ],
)
def test_no_rank_ends_or_drifts_without_a_word(fail, told, tmp_path):
    done = on_mpi(2, FAILING.format(fail=fail), tmp_path)
    assert done.returncode != 0
    assert told in done.stderr


@needs_mpi
def test_an_exit_with_an_error_ends_ranks_that_wait_for_something_else(tmp_path):
    program = """if True:
        import sys
        import tinygrad_edu as tg
        comm = tg.parallel.world()
        if comm.rank == 1:
            sys.exit("a file is missing here")
        comm.bcast(1)
        comm.gather(1)
    """
    done = on_mpi(2, program, tmp_path)
    assert done.returncode == 1
    assert "a file is missing here" in done.stderr
    assert "rank 1 of 2: sys.exit() was called here, but not in all" in done.stderr


@needs_mpi
@pytest.mark.parametrize("status", [0, 3])
def test_an_exit_in_all_ranks_is_an_exit(status, tmp_path):
    program = f"""if True:
        import sys, time
        import tinygrad_edu as tg
        parallel = tg.parallel.DataParallel([tg.Tensor(1.0, requires_grad=True)])
        time.sleep(parallel.rank / 2)
        sys.exit({status})
    """
    done = on_mpi(2, program, tmp_path)
    assert done.returncode == status
    assert "rank" not in done.stderr


@needs_mpi
def test_the_program_of_the_page_prints_what_the_page_shows(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "many-processes.md"
    text = page.read_text("utf-8")
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    ranks, shown = re.search(
        r"\$ mpiexec -n (\d) .*?\n(.*?)```", text, re.DOTALL
    ).groups()
    done = on_mpi(ranks, program, tmp_path)
    assert done.stdout == shown, done.stderr
