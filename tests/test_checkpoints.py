"""Checkpoints: a training goes on from them as if it had never stopped."""

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
from tinygrad_edu.checkpoints import Folder, Training, load, save
from tinygrad_edu.checkpoints.storage import UNFINISHED, Stored, write

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
        ({"slope": np.ones(2)}, r"slope has the shape \(2,\), and \(3,\) is wanted"),
        ({"slope": np.ones(3, np.float32)}, r"slope: float32 \(3,\), where float64"),
    ],
)
def test_weights_of_another_model_are_refused(tmp_path, arrays, fault):
    class Line(tg.nn.Module):
        def __init__(self):
            self.slope = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)

    path, model = tmp_path / "model.safetensors", Line()
    write(path, arrays)
    with pytest.raises(ValueError, match=re.escape(f"{path}: Line: ")) as caught:
        load(path, model)
    assert re.search(fault, str(caught.value))
    assert model.slope.numpy().tolist() == [1, 2, 3]


def test_a_name_with_a_slash_is_refused_when_it_is_saved(tmp_path):
    class Odd(tg.nn.Module):
        def __init__(self):
            self.parts = {"a/b": tg.Tensor(1.0, requires_grad=True)}

    with pytest.raises(ValueError, match=r"parts\.a/b has a slash"):
        save(tmp_path / "odd.safetensors", Odd())


# --- All of a training ----------------------------------------------------------------


def test_a_training_comes_back_whole(tmp_path):
    path = tmp_path / "training.safetensors"
    run = training(loss=[0.5, np.nan], test_accuracy=[0.1, 0.2], a=[1.0, 2.0])
    run.best, run.ended, run.seconds = run.model.state_dict(), True, 1.5
    for p in run.optimiser.params:
        p.grad = p
    run.optimiser.step()
    run.begin_epoch("some data")
    run.rng.permutation(5)
    run.losses.extend([0.1, 0.3])
    run.save(path)

    other = training(seed=1)
    other.load(path)
    at_the_start_of_the_epoch = training().rng.bit_generator.state
    other.begin_epoch("some data")
    assert other.rng.bit_generator.state == at_the_start_of_the_epoch
    other.rng.permutation(5)
    other.go_on()
    assert equal(state(other), state(run))
    assert other.history.names == ["loss", "test_accuracy", "a"]
    load(path, tg.nn.Sequential(*run.model))  # its weights alone


def test_another_kind_of_data_is_refused_amid_an_epoch(tmp_path):
    run, path = training(), tmp_path / "training.safetensors"
    run.begin_epoch("70 examples, 10 a step")
    run.losses.append(0.5)
    run.save(path)
    run.load(path)
    with pytest.raises(
        ValueError, match="amid an epoch of 70 examples, 10 a step, and"
    ):
        run.begin_epoch("70 examples, 20 a step")


def test_too_many_generators_are_refused_when_they_are_saved(tmp_path):
    parts = [tg.nn.Dropout(0.5, np.random.RandomState(i)) for i in range(30)]
    model = tg.nn.Sequential(tg.nn.Linear(1, 1, 0), *parts)
    run = Training(
        model, tg.optim.SGD(model.parameters(), 0.1), np.random.default_rng(0)
    )
    path = tmp_path / "training.safetensors"
    with pytest.raises(ValueError, match="states of 30 random generators are"):
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
    write(path, arrays, texts if isinstance(texts, dict) else written)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda arrays, about: {}, "it holds no training"),
        (lambda arrays, about: {"tinygrad_edu": "[" * 1000}, "it holds no training"),
        (lambda arrays, about: {"tinygrad_edu": "[" * 9000}, "it holds no training"),
        (lambda arrays, about: {"tinygrad_edu": '"text"'}, "it holds no training"),
        (lambda arrays, about: {"tinygrad_edu": " " * 200_000}, "it holds no training"),
        (lambda arrays, about: about.update(format=2), "it holds no training"),
        (lambda arrays, about: about.update(ended=1), "it holds no training"),
        (lambda arrays, about: about.update(more=1), "it holds no training"),
        (lambda arrays, about: about.pop("rng") and None, "it holds no training"),
        (
            lambda arrays, about: about.update(figures=["a"]),
            r"it has .* \['a'\] are due",
        ),
        (lambda arrays, about: about.update(figures=[[], {}]), "figures .* are due"),
        (lambda arrays, about: about.update(rng={}), "state of a random generator"),
        (lambda arrays, about: about.update(shuffling={}), "of a random generator"),
        (lambda arrays, about: about.update(generators={}), "the layers of a random"),
        (
            lambda arrays, about: about["rng"].update(bit_generator="MT19937"),
            "a random generator is a PCG64, and not a 'MT19937'",
        ),
        (
            lambda arrays, about: about["generators"]["2.rng"]["state"].update(inc=-1),
            "inc of a random generator",
        ),
        (
            lambda arrays, about: arrays.update({"0.weight": np.ones((5, 8))}),
            r"Sequential: 0.weight has the shape \(5, 8\), and \(8, 5\) is wanted",
        ),
        (
            lambda arrays, about: arrays.update({"best/0.weight": np.ones((8, 5))}),
            "Sequential: .*\n- missing: 0.bias",
        ),
        (
            lambda arrays, about: arrays.update({"optimiser/lr": np.ones(2)}),
            r"Adam: lr has the shape \(2,\), and \(\) is wanted",
        ),
        (
            lambda arrays, about: arrays.update(
                {"optimiser/m.0": np.ones((8, 5), "f")}
            ),
            r"Adam: .*\n- m.0: float32 \(8, 5\), where float64",
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
            "loss is no column",
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
            r"epoch: .*\n- losses: uint8 \(9,\), where float64 \(9,\) is wanted",
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
    assert [path.name for path in Folder(tmp_path).checkpoints()] == names
    assert Folder(tmp_path / "absent").checkpoints() == []


def test_an_earlier_training_is_not_overwritten(tmp_path):
    folder, run = Folder(tmp_path), training(loss=[0.5])
    folder.begin(run, resume=True)  # there is none yet
    folder.save(run)
    with pytest.raises(ValueError, match="holds checkpoints of an earlier training"):
        folder.begin(training(), resume=False)
    resumed = training(seed=1)
    folder.begin(resumed, resume=True)
    assert equal(state(resumed), state(run))


def test_what_a_crash_left_is_removed(tmp_path):
    for name in (f"{UNFINISHED}123-epoch-0001-step-000000.safetensors", ".tmpAb3xYz"):
        (tmp_path / name).write_text("half")
    (tmp_path / "notes.txt").touch()
    Folder(tmp_path).begin(training(), resume=False)
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("numbers", [{"keep": 0}, {"every": 0}])
def test_a_folder_wants_numbers_of_1_or_more(numbers):
    with pytest.raises(ValueError, match="are 1 or more"):
        Folder("run", **numbers)


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
