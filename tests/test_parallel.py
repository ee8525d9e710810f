"""Several ranks make the run that one makes: as threads here, and by MPI itself."""

import json
import re
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks import mpiexec, needs_mpi, on_ranks

import tinygrad_edu as tg
from tinygrad_edu import extras
from tinygrad_edu import parallel as module

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

    solo = SimpleNamespace(
        size=size, allgather=lambda x: [x] * size, Bcast=lambda x: None
    )
    shares = [share(SimpleNamespace(rank=r, **vars(solo))) for r in range(size)]
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
        params = [tg.Tensor(np.ones(3), True, dtype=dtype) for dtype in dtypes]
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


@pytest.mark.parametrize("how", [{"dtype": np.float32}, {"shape": (4,)}])
def test_other_parameters_in_another_rank(how):
    def start(comm):
        odd = how if comm.rank == 1 else {}
        array = np.ones(odd.get("shape", (3,)), odd.get("dtype", float))
        w = tg.Tensor(array, requires_grad=True)
        with pytest.raises(ValueError, match=r"rank \d has the parameters .* the same"):
            tg.parallel.DataParallel([w], comm)
        return True

    assert on_ranks(2, start) == [True, True]


def test_no_rank_has_an_example():
    def step(comm):
        parallel = tg.parallel.DataParallel(with_parameters(()), comm)
        with pytest.raises(ValueError, match="no rank has an example"):
            parallel.run(lambda x: pytest.fail("there is none"), np.empty((0, 2)))
        return True

    assert on_ranks(2, step) == [True, True]


@pytest.mark.parametrize(
    ("rows", "batch_size", "message"),
    [((3, 4), 1, "3 rows in x, 4 in y"), ((3, 3), 0, "batch_size 0 must be 1")],
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
            with pytest.raises(TypeError, match="let it be the function that computes"):
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
        module.world.__wrapped__()


def test_without_a_library_for_mpi4py_it_says_what_to_install(monkeypatch):
    def fail(name):
        raise RuntimeError("cannot load MPI library\nlibmpi.so: No such file")

    monkeypatch.setattr(extras, "import_module", fail)
    told = (
        r"parallel: needs mpi4py \(cannot load MPI library\): pip install mpi4py mpich"
    )
    with pytest.raises(ModuleNotFoundError, match=told):
        module.world.__wrapped__()


@pytest.fixture
def events(monkeypatch, capsys):
    """Make `world()` that of rank 1 of 2; return what happens there.

    That is what has been shown when it waits, and the status when it aborts.
    """
    events = []
    comm = SimpleNamespace(rank=1, size=2, Abort=events.append)
    monkeypatch.setattr(
        module, "sleep", lambda _: events.append(capsys.readouterr().err)
    )
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", SimpleNamespace(COMM_WORLD=comm))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    assert module.world.__wrapped__() is comm
    return events


def test_one_rank_by_itself_fails_as_any_program(monkeypatch):
    comm = SimpleNamespace(rank=0, size=1)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", SimpleNamespace(COMM_WORLD=comm))
    hook = sys.excepthook
    assert module.world.__wrapped__() is comm
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
        sys.path.insert(0, {str(Path(__file__).parent)!r})
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
def test_the_program_of_the_page_prints_what_the_page_shows(tmp_path):
    page = Path(__file__).parents[1] / "docs" / "many-processes.md"
    text = page.read_text("utf-8")
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    ranks, shown = re.search(
        r"\$ mpiexec -n (\d) .*?\n(.*?)```", text, re.DOTALL
    ).groups()
    done = on_mpi(ranks, program, tmp_path)
    assert done.stdout == shown, done.stderr
