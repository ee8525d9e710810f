"""Checkpoints: a training goes on from them as if it had never stopped."""

import errno
import gc
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import numpy as np
import pytest
import stoppable

import tinygrad_edu as tg
from tinygrad_edu.support.files import UNFINISHED
from tinygrad_edu.train.checkpoints import Folder, Training, load, locking, save
from tinygrad_edu.train.checkpoints.locking import Lock
from tinygrad_edu.train.checkpoints.settings import of_model
from tinygrad_edu.train.checkpoints.storage import Stored, write_arrays

safetensors = pytest.importorskip(
    "safetensors.numpy", reason="the extra named train is not installed"
)

SCRIPT = Path(stoppable.__file__)


def equal(a, b):
    assert a.keys() == b.keys()
    for name, x in a.items():
        assert np.asarray(x).tobytes() == np.asarray(b[name]).tobytes(), name
    return True


def training(seed=0, **history):
    model, optimiser, _, rng = stoppable.build(seed)
    new = Training(model, optimiser, rng)
    for values in zip(*history.values()):
        new.end_epoch(dict(zip(history, values)))
    return new


def state(run):
    """Return all of a training, to be compared."""
    return {
        **run.model.state_dict(),
        **run.optimiser.state_dict(),
        **{name: run.history[name] for name in run.history.names},
        **{f"best {name}": x for name, x in (run.best or {}).items()},
        "losses": run.losses,
        "random": json.dumps([run.rng.bit_generator.state, run.model.random_state()]),
        "rest": json.dumps([run.seconds, run.ended, run.history.names]),
    }


# --- Weights --------------------------------------------------------------------------


def test_weights_come_back_in_their_own_memory(tmp_path):
    path = tmp_path / "model.safetensors"
    model, other = tg.nn.MLP([3, 4, 2], 0), tg.nn.MLP([3, 4, 2], 1)
    save(path, model)
    memory = [p.data for p in other.parameters()]
    load(path, other)
    assert equal(model.state_dict(), other.state_dict())
    assert all(p.data is array for p, array in zip(other.parameters(), memory))


def test_torch_gives_the_same_outputs_from_the_same_file(tmp_path):
    """``weights.0`` has the shape (out, in), as ``weight`` of torch.nn.Linear."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import load_file, load_model

    path = tmp_path / "model.safetensors"
    for make, dtype in ((np.float32, torch.float32), (np.float64, torch.float64)):
        model = tg.nn.MLP([3, 4, 2], 0, dtype=make)
        save(path, model)
        layers = (torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
        net = torch.nn.Sequential(layers[0], torch.nn.Sigmoid(), layers[1])
        net = net.append(torch.nn.Sigmoid()).to(dtype)
        net.load_state_dict(
            {
                f"{2 * int(layer)}.{kind[:-1].replace('biase', 'bias')}": x
                for name, x in load_file(path).items()
                for kind, _, layer in [name.partition(".")]
            }
        )
        x = np.random.default_rng(1).random((5, 3)).astype(make)
        ours, theirs = model(x).numpy(), net(torch.tensor(x)).detach().numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, strict=True)

    model = tg.nn.Sequential(tg.nn.Linear(3, 4, 0), tg.nn.Tanh(), tg.nn.Linear(4, 2, 0))
    save(path, model)
    net = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1]).double()
    load_model(net, path)  # of a Sequential the names are the same
    x = np.random.default_rng(1).random((5, 3))
    ours, theirs = model(x).numpy(), net(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, strict=True)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({}, "missing: slope"),
        ({"slope": np.ones(3), "more": np.ones(1)}, "unknown: more"),
        ({"slope": np.ones(2)}, r"slope has the shape \(2,\) instead of \(3,\)"),
        (
            {"slope": np.ones(3, np.float32)},
            r"slope: expected float64 \(3,\), got float32",
        ),
    ],
)
def test_weights_of_another_model_are_refused(tmp_path, arrays, fault):
    class Line(tg.nn.Module):
        def __init__(self):
            self.slope = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)

    path, model = tmp_path / "model.safetensors", Line()
    write_arrays(path, arrays)
    with pytest.raises(ValueError, match=re.escape(f"{path}: Line: ")) as caught:
        load(path, model)
    assert re.search(fault, str(caught.value))
    assert model.slope.numpy().tolist() == [1, 2, 3]


def test_a_name_with_a_slash_is_refused_when_it_is_saved(tmp_path):
    class Odd(tg.nn.Module):
        def __init__(self):
            self.parts = {"a/b": tg.Tensor(1.0, requires_grad=True)}

    with pytest.raises(ValueError, match=r"^save: .parts\.a/b. has a slash"):
        save(tmp_path / "odd.safetensors", Odd())


# --- All of a training ----------------------------------------------------------------


def test_a_training_comes_back_whole(tmp_path):
    path = tmp_path / "training.safetensors"
    run = training(loss=[0.5, np.nan], test_accuracy=[0.1, 0.2], a=[1.0, 2.0])
    run.best, run.ended, run.seconds = run.model.state_dict(), True, 1.5
    for p in run.optimiser.params:
        p.grad = p
    run.optimiser.step()
    run.begin_epoch()
    run.rng.permutation(5)
    run.losses.extend([0.1, 0.3])
    run.save(path)

    other = training(seed=1)
    other.load(path)
    at_the_start_of_the_epoch = training().rng.bit_generator.state
    other.begin_epoch()
    assert other.rng.bit_generator.state == at_the_start_of_the_epoch
    other.rng.permutation(5)
    other.go_on()
    assert equal(state(other), state(run))
    assert other.history.names == ["loss", "test_accuracy", "a"]
    load(path, tg.nn.Sequential(*run.model))  # its weights alone


def test_too_many_generators_are_refused_when_they_are_saved(tmp_path):
    parts = [tg.nn.Dropout(0.5, np.random.RandomState(i)) for i in range(30)]
    model = tg.nn.Sequential(tg.nn.Linear(1, 1, 0), *parts)
    run = Training(
        model, tg.optim.SGD(model.parameters(), 0.1), np.random.default_rng(0)
    )
    path = tmp_path / "training.safetensors"
    with pytest.raises(ValueError, match="states of 30 random generators take"):
        run.save(path)
    assert not path.exists()
    for part in parts:
        part.rng = parts[0].rng
    run.save(path)
    run.load(path)


def changed(path, change):
    """Write a checkpoint again, changed by a function; it may give other texts."""
    with Stored(path) as stored:
        arrays, about = dict(stored), json.loads(stored.texts["tinygrad_edu"])
    texts = change(arrays, about)
    written = {"tinygrad_edu": json.dumps(about)}
    write_arrays(path, arrays, texts if isinstance(texts, dict) else written)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda arrays, about: {}, "contains no training"),
        (lambda arrays, about: {"tinygrad_edu": "[" * 1000}, "contains no training"),
        (lambda arrays, about: {"tinygrad_edu": "[" * 9000}, "contains no training"),
        (lambda arrays, about: {"tinygrad_edu": '"text"'}, "contains no training"),
        (
            lambda arrays, about: {"tinygrad_edu": " " * 200_000},
            "contains no training",
        ),
        (lambda arrays, about: about.update(format=1), "contains no training"),
        (lambda arrays, about: about.update(ended=1), "contains no training"),
        (
            lambda arrays, about: about.update(settings={"a": 1}),
            "'a' is not a valid setting",
        ),
        (
            lambda arrays, about: about.update(settings={"\n": "x"}),
            "'.' is not a valid setting",
        ),
        (
            lambda arrays, about: about.update(settings={"a": "x" * 201}),
            "'a' is not a valid setting",
        ),
        (
            lambda arrays, about: arrays.update({"optimiser/lr": np.array(np.nan)}),
            r"Adam: .*\n- lr=nan must be at least 0",
        ),
        (
            lambda arrays, about: arrays.update({"optimiser/betas": np.array([2, 0])}),
            r"Adam: .*\n- beta1=2 must be at least 0 and below 1",
        ),
        (lambda arrays, about: about.update(more=1), "contains no training"),
        (lambda arrays, about: about.pop("rng") and None, "contains no training"),
        (
            lambda arrays, about: about.update(figures=["a"]),
            r"it has .* instead of \['a'\]",
        ),
        (lambda arrays, about: about.update(figures=[[], {}]), "figures .* instead of"),
        (lambda arrays, about: about.update(rng={}), "state of a random generator"),
        (lambda arrays, about: about.update(shuffling={}), "of a random generator"),
        (lambda arrays, about: about.update(generators={}), "the layers of a random"),
        (
            lambda arrays, about: about["rng"].update(bit_generator="MT19937"),
            "a random generator is a PCG64, not a 'MT19937'",
        ),
        (
            lambda arrays, about: about["generators"]["2.rng"]["state"].update(inc=-1),
            "inc of a random generator",
        ),
        (
            lambda arrays, about: arrays.update({"0.weight": np.ones((5, 8))}),
            r"Sequential: 0.weight has the shape \(5, 8\) instead of \(8, 5\)",
        ),
        (
            lambda arrays, about: arrays.update({"best/0.weight": np.ones((8, 5))}),
            "Sequential: .*\n- missing: 0.bias",
        ),
        (
            lambda arrays, about: arrays.update({"optimiser/lr": np.ones(2)}),
            r"Adam: lr has the shape \(2,\) instead of \(\)",
        ),
        (
            lambda arrays, about: arrays.update(
                {"optimiser/m.0": np.ones((8, 5), "f")}
            ),
            r"Adam: .*\n- m.0: expected float64 .*, got float32 \(8, 5\)",
        ),
        (
            lambda arrays, about: arrays.pop("optimiser/steps"),
            "Adam: .*\n- missing: steps",
        ),
        (
            lambda arrays, about: arrays.update({"history/loss": np.ones(3)}),
            "the columns differ in length",
        ),
        (
            lambda arrays, about: arrays.update({"history/loss": np.ones((1, 1))}),
            "column loss must have one axis",
        ),
        (
            lambda arrays, about: arrays.pop("epoch/losses"),
            "epoch: .*\n- missing: losses",
        ),
        (
            lambda arrays, about: arrays.update({"epoch/losses": np.ones((1, 2))}),
            r"the losses have the shape \(1, 2\)",
        ),
        (
            lambda arrays, about: arrays.update({"epoch/losses": np.ones(9, np.uint8)}),
            r"epoch: .*\n- losses: expected float64 \(9,\), got uint8 \(9,\)",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(tmp_path, change, fault):
    path = tmp_path / "training.safetensors"
    training(seed=1, loss=[0.5], test_loss=[0.7]).save(path)
    changed(path, change)
    run = training(loss=[0.25])
    before = state(run)
    with pytest.raises(ValueError, match=re.escape(f"{path}: ")) as caught:
        run.load(path)
    assert re.search(fault, str(caught.value), re.DOTALL)
    assert str(caught.value).count(str(path)) == 1
    assert equal(state(run), before)


def test_the_state_of_another_optimiser_is_refused(tmp_path):
    path = tmp_path / "training.safetensors"
    training().save(path)
    model, _, _, rng = stoppable.build()
    run = Training(model, tg.optim.SGD(model.parameters(), 0.1, momentum=0.9), rng)
    before = state(run)
    with pytest.raises(ValueError, match=r"SGD: .*\n- missing: momentum"):
        run.load(path)
    assert equal(state(run), before)


# --- A folder of them -----------------------------------------------------------------


def test_the_latest_few_are_kept(tmp_path):
    folder, run = Folder(tmp_path / "run", keep=3), training()
    folder.begin(run, resume=False)
    for epoch in range(12):
        run.end_epoch({"loss": epoch})
        folder.save(run)
    there = [f"epoch-00{epoch}-step-000000.safetensors" for epoch in (10, 11, 12)]
    assert [path.name for path in folder.checkpoints()] == there
    folder.end()
    assert sorted(os.listdir(folder.path)) == there


def test_the_latest_is_that_with_the_largest_numbers(tmp_path):
    names = [
        "epoch-0002-step-000007.safetensors",
        "epoch-9999-step-000009.safetensors",
        "epoch-10000-step-000000.safetensors",
        "epoch-10000-step-1000000.safetensors",
    ]
    others = ["epoch-1-step-1.safetensors", "notes.txt", "epoch-0003-step-000000.json"]
    for name in names[::-1] + others:
        (tmp_path / name).touch()
    (tmp_path / "epoch-99999-step-000000.safetensors").mkdir()
    assert [path.name for path in Folder(tmp_path).checkpoints()] == names
    assert Folder(tmp_path / "absent").checkpoints() == []


def test_an_earlier_training_is_not_overwritten(tmp_path):
    folder, run = Folder(tmp_path), training(loss=[0.5])
    folder.begin(run, resume=True)  # there is none yet
    folder.save(run)
    folder.end()
    with pytest.raises(ValueError, match="has checkpoints of an earlier training"):
        folder.begin(training(), resume=False)
    resumed = training(seed=1)
    folder.begin(resumed, resume=True)
    assert equal(state(resumed), state(run))


def test_what_a_crash_left_is_removed_and_what_others_have_is_not(tmp_path):
    left = tmp_path / f"{UNFINISHED}ab12cd34-epoch-0001-step-000000.safetensors"
    left.mkdir()
    (left / ".tmpAb3xYz").write_text("half")
    (tmp_path / f"{UNFINISHED}ef56gh78-g.svg").mkdir()
    (tmp_path / "notes.txt").touch()
    folder = Folder(tmp_path)
    folder.begin(training(), resume=False)
    folder.end()
    there = [f"{UNFINISHED}ef56gh78-g.svg", "notes.txt"]
    assert sorted(os.listdir(tmp_path)) == there


def test_a_checkpoint_that_someone_removed_is_no_fault(tmp_path, monkeypatch):
    folder, run = Folder(tmp_path, keep=1), training()
    folder.save(run)
    gone = folder.checkpoints()
    monkeypatch.setattr(folder, "checkpoints", lambda: [*gone, *gone])
    folder.save(run)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("numbers", [{"keep": 0}, {"every": 0}])
def test_a_folder_wants_numbers_of_1_or_more(numbers):
    with pytest.raises(ValueError, match="must be 1 or more"):
        Folder("run", **numbers)


# --- The latest is damaged ------------------------------------------------------------


def filled(path, epochs, **options):
    """Return a folder with that many checkpoints, all of them kept."""
    folder, run = Folder(path, keep=epochs), training(**options)
    for epoch in range(epochs):
        run.end_epoch({"loss": epoch})
        folder.save(run)
    return folder


@pytest.mark.parametrize("damaged", [1, 2, 3])
def test_the_error_names_the_checkpoint_that_is_intact(tmp_path, damaged):
    folder = filled(tmp_path, 3)
    there = folder.checkpoints()
    for path in there[3 - damaged :]:
        path.write_bytes(path.read_bytes()[:-1])
    run = training(seed=1, loss=[0.25])
    before = state(run)
    with pytest.raises(ValueError, match=re.escape(str(there[-1]))) as caught:
        folder.begin(run, resume=True)
    assert equal(state(run), before)
    told = str(caught.value)
    if damaged == 3:
        assert "resume" not in told
        return
    names = " and ".join(path.name for path in there[3 - damaged :])
    way_out = f"The earlier {there[2 - damaged].name} is intact: remove {names} to "
    assert way_out in told
    for path in there[3 - damaged :]:
        path.unlink()
    folder.begin(run, resume=True)
    assert len(run.history) == 3 - damaged


# --- What differs when it goes on -----------------------------------------------------


def go_on(folder, epochs, *, lr=0.01, rate=0.2, stop=None, **options):
    """Train some more, with other settings perhaps; stop after some epochs of it."""
    model, _, (x, y), rng = stoppable.build()
    model[2].rate = rate
    optimiser = tg.optim.Adam(model.parameters(), lr)
    options = {"data": (x, y), "batch_size": 10, "resume": True} | options
    return optimiser, tg.train.fit(
        model.forward, tg.losses.cross_entropy_with_logits, optimiser,
        epochs=epochs, rng=rng, checkpoint=folder, progress=False, **options,
    )  # fmt: skip


@pytest.fixture
def other_data():
    x, y = stoppable.build()[2]
    x = x.copy()
    x[50, 3] += 1e-6
    return x, y


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("lr", 0.5, ["optimiser.lr was 0.01, and now is 0.5 (the saved one is used)"]),
        ("batch_size", 20, ["batch_size was 10, and now is 20"]),
        ("shuffle", False, ["shuffle was True, and now is False"]),
        ("clip", 1.0, ["clip was None, and now is 1"]),
        ("rate", 0.5, ["model.2.rate was 0.2, and now is 0.5"]),
        ("data", None, ["data was 73 examples of ", ", and now is 73 examples of "]),
    ],
)
def test_what_differs_is_told_on_a_line(tmp_path, other_data, name, value, told):
    go_on(tmp_path, 2)
    different = {name: other_data if name == "data" else value}
    with pytest.warns(UserWarning, match="differ from those of the checkpoint") as seen:
        optimiser, history = go_on(tmp_path, 3, **different)
    (warning,) = seen
    text = str(warning.message)
    assert all(part in text for part in told)
    assert text.count(", and now is ") == 1, "nothing else differs"
    assert "\n" not in text
    assert text.startswith("fit: the settings differ from ")
    assert Path(warning.filename).name == "test_checkpoints.py"
    assert len(history) == 3
    assert optimiser.lr == 0.01
    if name == "lr":  # it is not what is used, so it is told again
        with pytest.warns(
            UserWarning, match=r"optimiser\.lr was 0\.01, and now is 0\.5"
        ):
            go_on(tmp_path, 4, **different)
    else:  # from now on that is what it is
        go_on(tmp_path, 4, **different)


def test_a_rate_that_a_schedule_set_is_no_difference(tmp_path):
    schedule = tg.train.schedules.cosine(0.01, 4)
    go_on(tmp_path, 2, schedule=schedule)
    _, history = go_on(tmp_path, 4, schedule=schedule)
    assert len(set(history["lr"])) == 4


@pytest.mark.parametrize("name", ["batch_size", "shuffle", "data"])
def test_amid_an_epoch_another_order_is_refused(tmp_path, other_data, name):
    class StoppedError(Exception):
        pass

    model, optimiser, (x, y), rng = stoppable.build()
    steps = []

    def loss(outputs, targets):
        steps.append(1)
        if len(steps) == 11:
            raise StoppedError
        return tg.losses.cross_entropy_with_logits(outputs, targets)

    with pytest.raises(StoppedError):
        tg.train.fit(
            model.forward, loss, optimiser, (x, y), 2, batch_size=10, rng=rng,
            compile=False, progress=False,
            checkpoint=Folder(tmp_path, every=1),
        )  # fmt: skip
    latest = Folder(tmp_path).checkpoints()[-1]
    assert latest.name == "epoch-0001-step-000002.safetensors"
    other = {"batch_size": 20, "shuffle": False, "data": other_data}[name]
    with pytest.raises(ValueError, match=f"of an epoch, where {name} was .*exactly"):
        go_on(tmp_path, 2, **{name: other})
    _, history = go_on(tmp_path, 2)
    assert len(history) == 2


def test_a_figure_that_an_earlier_training_has_not_is_told(tmp_path):
    go_on(tmp_path, 1)
    with pytest.raises(
        ValueError, match=r"no figure 'validation_loss' .* only loss, se"
    ):
        go_on(tmp_path, 2, validation=stoppable.build()[2])
    _, history = go_on(tmp_path, 2, validation=stoppable.build()[2], monitor="loss")
    assert np.isnan(history["validation_loss"]).tolist() == [True, False]


def test_settings_are_text_that_can_be_shown():
    class Odd(tg.nn.Module):
        def __init__(self):
            self.layers = {"a\n\ud800": tg.nn.Dropout(np.float32(0.5))}
            self.kind, self.sizes, self.count, self.long = "x", (1, 2.0), 3, "y" * 999

        def forward(self, x):
            return x

    assert of_model(Odd()) == {
        "model.layers.a??.rate": "0.5",
        "model.kind": "x",
        "model.sizes": "(1, 2)",
        "model.count": "3",
        "model.long": "y" * 200,
    }


# --- What is saved can be loaded ------------------------------------------------------


def test_a_training_of_many_parameters_comes_back(tmp_path):
    """Of Adam, with the weights of the best epoch: four arrays for each of them."""
    path = tmp_path / "training.safetensors"

    def new(seed):
        rng = np.random.default_rng(seed)
        model = tg.nn.Sequential(*(tg.nn.Linear(1, 1, rng) for _ in range(600)))
        return Training(model, tg.optim.Adam(model.parameters()), rng)

    run, other = new(0), new(1)
    run.best = run.model.state_dict()
    run.save(path)
    other.load(path)
    assert equal(state(run), state(other))


@pytest.mark.parametrize("name", ["__metadata__", "\ud800"])
def test_a_name_that_no_file_can_hold_is_refused(tmp_path, name):
    class Odd(tg.nn.Module):
        def __init__(self):
            vars(self)[name] = tg.Tensor(1.0, requires_grad=True)

    with pytest.raises(ValueError, match=r"has a name that .*; use another one"):
        save(tmp_path / "odd.safetensors", Odd())
    assert os.listdir(tmp_path) == []


def test_the_state_of_an_optimiser_needs_a_name_without_a_slash(tmp_path):
    model = tg.nn.Linear(1, 1, 0)
    run = Training(
        model, tg.optim.Optimiser(model.parameters(), "a/b"), np.random.default_rng(0)
    )
    with pytest.raises(ValueError, match=r"'a/b\.0' has a slash"):
        run.save(tmp_path / "training.safetensors")


def test_brackets_in_names_are_refused_when_there_are_too_many_to_read(tmp_path):
    class Odd(tg.nn.Module):
        def __init__(self):
            self.weight = tg.Tensor(1.0, requires_grad=True)
            self.parts = {"[" * 2_000: np.random.default_rng(0)}

    model = Odd()
    run = Training(
        model, tg.optim.SGD(model.parameters(), 0.1), np.random.default_rng(0)
    )
    with pytest.raises(ValueError, match=r"load\(\) reads at most"):
        run.save(tmp_path / "training.safetensors")


# --- One training a folder ------------------------------------------------------------

HOLDER = """
import sys
import numpy as np
import tinygrad_edu as tg
model = tg.nn.Linear(1, 1)
run = tg.checkpoints.Training(
    model, tg.optim.SGD(model.parameters(), 0.1), np.random.default_rng(0)
)
folder = tg.checkpoints.Folder(sys.argv[1])
folder.begin(run, resume=False)
print("held", flush=True)
sys.stdin.read()
"""


def hold(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_training_in_a_folder_is_refused_until_the_first_one_ends(tmp_path):
    """Also if that one is killed."""
    process = hold(tmp_path)
    folder = Folder(tmp_path)
    refusal = (
        f"fit: another training is using {tmp_path} (process {process.pid}); wait "
        "until it ends, or use another folder"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(refusal)}$"):
        folder.begin(training(), resume=True)
    process.kill()
    process.communicate(timeout=100)
    assert os.listdir(tmp_path) == [".lock"], "it had no time to remove it"
    folder.begin(training(), resume=True)
    with pytest.raises(ValueError, match=rf"another training .*process {os.getpid()}"):
        go_on(tmp_path, 1)
    folder.end()
    folder.end()  # more often does no harm
    go_on(tmp_path, 1)
    assert len(os.listdir(tmp_path)) == 1


def test_a_training_that_fails_lets_go_of_the_folder(tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="43 rows in x, 73 in y"):
            go_on(tmp_path, 1, data=(np.zeros((43, 5)), np.zeros((73, 2))))
    go_on(tmp_path, 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="has checkpoints of an earlier training"):
            go_on(tmp_path, 1, resume=False)


def test_a_folder_that_nobody_refers_to_any_more_is_let_go_of(tmp_path):
    Folder(tmp_path).begin(training(), resume=False)
    gc.collect()
    go_on(tmp_path, 1)


def test_a_lock_that_is_removed_meanwhile_is_made_again(tmp_path, monkeypatch):
    """Its owner removes it and ends, just when another one has opened it."""
    path, removed = tmp_path / "lock", []
    real = locking._lock

    def lock(handle):
        assert real(handle)
        if len(removed) < 2:
            removed.append(handle)
            path.unlink()
            if len(removed) == 2:
                path.touch()  # it is another one's now
        return True

    monkeypatch.setattr(locking, "_lock", lock)
    before = os.listdir("/dev/fd") if os.path.isdir("/dev/fd") else []
    held = Lock(path)
    assert len(removed) == 2
    assert not before or len(os.listdir("/dev/fd")) == len(before) + 1
    assert path.read_text() == str(os.getpid())
    monkeypatch.undo()
    for text, told in (("", "unknown"), ("\n1", "unknown"), ("12", "12")):
        path.write_text(text)
        with pytest.raises(BlockingIOError, match=f"^{told}$"):
            Lock(path)
    held.release()
    Lock(path).release()
    assert not path.exists()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="it asks Linux")
def test_a_lock_closes_what_it_opens(tmp_path):
    before = os.listdir("/proc/self/fd")
    lock = Lock(tmp_path / "lock")
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            Lock(tmp_path / "lock")
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    lock.release()
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="it asks for O_NOFOLLOW")
def test_a_link_in_its_place_harms_nothing(tmp_path):
    """In a folder that others may write to, someone could lead it elsewhere."""
    (tmp_path / "precious").write_text("all of it")
    (tmp_path / "lock").symlink_to("precious")
    with pytest.raises(OSError, match="lock"):
        Lock(tmp_path / "lock")
    assert (tmp_path / "precious").read_text() == "all of it"


@pytest.mark.skipif(sys.platform == "win32", reason="it is about fcntl")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_does_without(tmp_path, monkeypatch, number):
    def flock(handle, how):
        raise OSError(number, "no locks here")

    monkeypatch.setattr("fcntl.flock", flock)
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.release()
    second.release()


def test_the_lock_of_windows_leaves_the_number_to_read(tmp_path, monkeypatch):
    """It locks bytes, and nobody else can read them: so one far beyond the end."""
    held = set()

    class Msvcrt:
        LK_NBLCK = 2

        @staticmethod
        def locking(handle, how, size):
            place = os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR)
            assert (how, size) == (2, 1)
            assert place[1] > 1_000_000
            if place in held:
                raise PermissionError(errno.EACCES, "Permission denied")
            held.add(place)

    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt)
    monkeypatch.setattr(locking.sys, "platform", "win32")
    lock = Lock(tmp_path / "lock")
    with pytest.raises(BlockingIOError, match=f"^{os.getpid()}$"):
        Lock(tmp_path / "lock")
    assert (tmp_path / "lock").read_text() == str(os.getpid())
    lock.release()


# --- Stopped and resumed --------------------------------------------------------------


def start(folder, epochs):
    return subprocess.Popen(
        [sys.executable, "-W", "error", SCRIPT, folder, str(epochs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder, epochs):
    process = start(folder, epochs)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, "")
    assert out.endswith("all epochs are done\n")
    with Stored(folder / "final.safetensors") as stored:
        return dict(stored)


def test_killed_at_any_moment_it_ends_with_the_same_weights(tmp_path):
    """Killed 20 times; each process is let live for an epoch, so there is an end."""
    epochs, rng = 70, random.Random()
    for _ in range(20):
        process = start(tmp_path, epochs)
        assert process.stdout.readline().startswith("epoch"), process.stderr.read()
        sleep(rng.uniform(0, 0.08))
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        out, _ = process.communicate(timeout=100)
        assert "done" not in out
        if rng.random() < 0.3:  # another program was killed there, too
            (tmp_path / f"{UNFINISHED}{rng.random()}-g.svg").mkdir()
    for left in tmp_path.glob(f"{UNFINISHED}*-g.svg"):
        left.rmdir()  # each is still there, and empty
    expected = stoppable.state(*stoppable.train(None, epochs))
    assert equal(finish(tmp_path, epochs), expected)
    assert not any(name.startswith(".") for name in os.listdir(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT")
@pytest.mark.usefixtures("usual_ctrl_c")
def test_ctrl_c_ends_it_after_the_running_step_and_it_can_go_on(tmp_path):
    epochs = 30
    process = start(tmp_path, epochs)
    line = process.stdout.readline()
    sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, "")
    *lines, ended, stopped = [line, *out.splitlines()]
    said = re.fullmatch(r"Ctrl-C, after step (\d+) of epoch (\d+)", stopped)
    assert ended == f"ended: {stopped}"
    assert len(lines) == int(said[2]) - 1, "the history is kept"
    latest = f"epoch-{len(lines):04}-step-{int(said[1]):06}.safetensors"
    assert Folder(tmp_path).checkpoints()[-1].name == latest
    expected = stoppable.state(*stoppable.train(None, epochs))
    assert equal(finish(tmp_path, epochs), expected)
