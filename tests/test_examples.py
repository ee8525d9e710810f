"""The examples, run as a user runs them, with warnings as errors."""

import base64
import io
import json
import os
import re
import runpy
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ranks import mpiexec, needs_mpi

import shared
import tinygrad_edu as tg
from tinygrad_edu.train import batches

EXAMPLES = Path(__file__).parents[1] / "examples"
DRAWING = "train_xor.py", "train_mnist.py", "train_lenet.py", "plot_sigmoid.py"
HISTORY = {"train_cost", "test_cost", "test_accuracy", "seconds"}

needs_extra = pytest.mark.skipif(
    not all(map(find_spec, ("matplotlib", "PIL", "rich"))),
    reason="the extra named examples is not installed",
)
pytestmark = needs_extra

real_folder = os.environ.get("TINYGRAD_EDU_DATA")


def run(script, *options, status=0, cwd=None, **variables):
    """Run a script, check its exit status, and return (stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / script, *map(str, options)],
        env={**os.environ, "MPLBACKEND": "agg", **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def on_a_terminal(script, *options):
    """Run a script as `run` does, and return what a terminal shows."""
    screen, terminal = pytest.importorskip("pty").openpty()
    process = subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLES / script, *options],
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        stdout=terminal,
    )
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # Linux's way to say that the other end was closed
        while piece := os.read(screen, 4096):
            shown += piece
    os.close(screen)
    assert process.wait(timeout=100) == 0
    return shown.decode()


def assert_png(path, height=400):
    header = path.read_bytes()[:24]
    assert header.startswith(b"\x89PNG\r\n\x1a\n")
    size = struct.unpack(">2I", header[16:])
    assert size[0] >= 600
    assert size[1] >= height


def write_idx(path, array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.fixture
def tiny_mnist(tmp_path):
    """Make a folder with 43 training and 17 test images, of noise."""
    rng = np.random.default_rng(5)
    for part, n in {"train": 43, "t10k": 17}.items():
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", images)
        labels = rng.integers(0, 10, n, dtype=np.uint8)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    return tmp_path


# --- train_xor ------------------------------------------------------------------------


def test_xor_is_learnt_from_at_least_19_of_20_seeds():
    train = runpy.run_path(str(EXAMPLES / "train_xor.py"))["train"]
    x, y = tg.data.xor()
    models = [train(seed)[0] for seed in range(20)]
    assert sum(((m(x) > 0.5) == (y > 0.5)).all() for m in models) >= 19


def test_xor_is_learnt_compiled_or_not():
    train = runpy.run_path(str(EXAMPLES / "train_xor.py"))["train"]
    (model, history), (plain, other) = train(1, 100), train(1, 100, compiled=False)
    np.testing.assert_allclose(history["loss"], other["loss"], rtol=1e-12)
    for p, other in zip(model.parameters(), plain.parameters()):
        np.testing.assert_allclose(p.numpy(), other.numpy(), rtol=1e-12)
        assert (p.grad is None, other.grad is None) == (True, False)


def test_xor_prints_four_cases_and_draws(tmp_path):
    path = tmp_path / "xor.png"
    out, err = run("train_xor.py", "--plot", path)
    rows = re.findall(r"^ ([01]) ([01]) +([01]) +(0\.\d{3}|1\.000) +yes$", out, re.M)
    assert [(int(a) ^ int(b)) == int(target) for a, b, target, _ in rows] == [True] * 4
    assert all(abs(float(h) - int(target)) < 0.1 for _, _, target, h in rows)
    assert "4 of 4 right" in out
    assert not err
    assert_png(path)


def test_xor_says_when_it_got_stuck():
    options = "--epochs", 1, "--seed", 3, "--lr", 0.1
    out, _ = run("train_xor.py", *options)
    assert "NO" in out
    assert "another --seed" in out
    assert run("train_xor.py", *options, "--no-compile")[0] == out


# --- train_mnist ----------------------------------------------------------------------


def test_mnist_falls_back_on_5000_digits(tmp_path):
    out_file, picture = tmp_path / "history.json", tmp_path / "curves.png"
    options = ("--epochs", 2, "--json", out_file, "--plot", picture)
    # Even where colours are forced on, as some CI systems do, a log stays plain.
    variables = {"TINYGRAD_EDU_DATA": str(tmp_path), "FORCE_COLOR": "1"}
    out, err = run("train_mnist.py", *options, **variables)
    assert not err
    assert "\x1b" not in out
    assert "4,000 of the 5,000 real MNIST digits" in out
    assert "--data DIR" in out

    history = json.loads(out_file.read_text())
    assert history.keys() == HISTORY
    assert {len(values) for values in history.values()} == {2}
    assert history["train_cost"][1] < history["train_cost"][0]
    best = max(history["test_accuracy"])
    assert best > 0.85
    assert f"best test accuracy {best:.2%}" in out
    lines = re.findall(
        r"^epoch +(\d+)  train cost (\S+)  test cost (\S+)  test accuracy (\S+)$",
        out,
        re.M,
    )
    assert lines == [
        (str(epoch), f"{train:.4f}", f"{test:.4f}", f"{accuracy:.2%}")
        for epoch, (train, test, accuracy, _) in enumerate(zip(*history.values()), 1)
    ]
    assert_png(picture)


@pytest.mark.parametrize("cost", ["mse", "cross-entropy"])
@pytest.mark.parametrize("init", ["scaled", "large"])
def test_mnist_does_what_the_textbook_does(tiny_mnist, cost, init):
    """Its costs are those of the same training with the formulas by hand."""
    epochs, batch, lr, lam = 2, 10, 0.5, 3.0
    path = tiny_mnist / "history.json"
    run(
        "train_mnist.py",
        *("--data", tiny_mnist, "--json", path, "--hidden", 4, "--epochs", epochs),
        *("--batch-size", batch, "--lr", lr, "--l2", lam, "--seed", 7),
        *("--cost", cost, "--init", init),
    )
    history = json.loads(path.read_text())

    digits = tg.data.mnist(tiny_mnist)
    x, x_test = (
        tg.data.normalise(images, np.float64)
        for images in (digits.train_images, digits.test_images)
    )
    y, y_test = map(tg.data.one_hot, (digits.train_labels, digits.test_labels))
    rng = np.random.default_rng(7)
    model = tg.nn.MLP([784, 4, 10], rng, init)
    w, b = ([p.numpy() for p in ps] for ps in (model.weights, model.biases))
    for epoch in range(epochs):
        for xs, ys in tg.data.minibatches(x, y, batch, rng):
            dw, db = tg.reference.gradients(w, b, xs, ys, cost, lam, n=len(x))
            for p, g in zip(w + b, dw + db):
                p -= lr * g
        train_cost = tg.reference.cost(w, b, x, y, cost, lam)
        test_cost = tg.reference.cost(w, b, x_test, y_test, cost, lam)
        guess = tg.reference.feedforward(w, b, x_test).argmax(axis=1)
        assert history["train_cost"][epoch] == pytest.approx(train_cost, rel=1e-5)
        assert history["test_cost"][epoch] == pytest.approx(test_cost, rel=1e-5)
        assert history["test_accuracy"][epoch] == np.mean(guess == digits.test_labels)


@pytest.mark.parametrize("options", ["", "--cost cross-entropy --lr 0.5 --l2 5"])
def test_mnist_is_learnt_compiled_or_not(tmp_path, monkeypatch, options):
    """The same but for rounding, on 4,000 digits, with a short last mini-batch."""
    compiled = []
    monkeypatch.setattr(
        batches, "compile", lambda f: compiled.append(f) or tg.compile(f)
    )
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path))
    path = tmp_path / "history.json"
    common = f"train_mnist.py --epochs 1 --batch-size 30 --seed 3 --json {path}"
    histories = []
    for switch, functions in {"": 2, "--compile": 4, "--no-compile": 4}.items():
        monkeypatch.setattr("sys.argv", f"{common} {options} {switch}".split())
        runpy.run_path(str(EXAMPLES / "train_mnist.py"), run_name="__main__")
        assert len(compiled) == functions
        histories.append(json.loads(path.read_text()))
    default, chosen, plain = histories
    for name in ("train_cost", "test_cost", "test_accuracy"):
        assert default[name] == chosen[name]
        assert chosen[name] == pytest.approx(plain[name], rel=1e-4)


def test_mnist_shows_a_progress_bar_on_a_terminal(tiny_mnist):
    text = on_a_terminal("train_mnist.py", "--data", tiny_mnist, "--epochs", "2")
    assert re.search(r"loss \d\.\d{4} test accuracy \d+\.\d\d%.* left", text)
    assert re.search(r"epoch  2  train cost \d\.\d{4}  test cost", text)
    assert "best test accuracy" in text


def test_mnist_goes_on_from_a_checkpoint(tiny_mnist):
    def train(epochs, *options, name="history.json"):
        path = tiny_mnist / name
        common = "--data", tiny_mnist, "--hidden", 4, "--epochs", epochs, "--l2", 2
        out, err = run("train_mnist.py", *common, "--json", path, *options)
        assert not err
        return out, json.loads(path.read_text())

    folder = tiny_mnist / "run"
    _, whole = train(3, name="whole.json")
    train(2, "--checkpoint", folder)
    out, resumed = train(3, "--checkpoint", folder, "--resume")
    assert re.findall(r"^epoch +(\d+)", out, re.M) == ["3"]
    for figure in HISTORY - {"seconds"}:
        assert resumed[figure] == whole[figure]
    options = "--data", tiny_mnist, "--hidden", 4, "--checkpoint", folder
    _, err = run("train_mnist.py", *options, status=1)
    assert err.startswith("train_mnist: fit: ")
    assert "has checkpoints of an earlier training" in err
    (latest,) = folder.glob("epoch-0003-*")
    latest.write_bytes(latest.read_bytes()[:-1])
    _, err = run("train_mnist.py", *options, "--resume", status=1)
    assert err.startswith(f"train_mnist: {latest}: it is not a safetensors file")


@pytest.mark.usefixtures("usual_ctrl_c")
def test_mnist_ends_on_ctrl_c_with_what_it_has(tiny_mnist):
    path = tiny_mnist / "history.json"
    options = "--data", tiny_mnist, "--epochs", "100000", "--json", path
    process = subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLES / "train_mnist.py", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (130, "")
    ended = re.search(r"^ended: Ctrl-C, after step \d+ of epoch (\d+)$", out, re.M)
    assert "best test accuracy" in out
    history = json.loads(path.read_text())
    assert {len(values) for values in history.values()} == {int(ended[1]) - 1}


def test_mnist_names_the_damaged_file(tiny_mnist):
    labels = tiny_mnist / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    out, err = run("train_mnist.py", "--data", tiny_mnist, status=1)
    assert not out
    assert len(err.splitlines()) == 1
    assert str(labels) in err
    assert "too few" in err


def test_mnist_does_not_fall_back_when_told_where(tmp_path):
    out, err = run("train_mnist.py", "--data", tmp_path, status=1)
    assert not out
    assert len(err.splitlines()) == 1
    assert f"{tmp_path} does not contain" in err


@pytest.mark.skipif(
    not real_folder, reason="TINYGRAD_EDU_DATA names no folder with the real MNIST"
)
def test_mnist_learns_the_full_set():
    out, _ = run("train_mnist.py", "--epochs", 3)
    best = re.search(r"best test accuracy (\S+)%", out)
    assert float(best[1]) >= 94


# --- train_lenet ----------------------------------------------------------------------


def test_lenet_falls_back_on_5000_digits(tmp_path):
    out_file, picture = tmp_path / "history.json", tmp_path / "kernels.png"
    options = "--epochs", 2, "--json", out_file, "--plot", picture
    variables = {"TINYGRAD_EDU_DATA": str(tmp_path), "FORCE_COLOR": "1"}
    out, err = run("train_lenet.py", *options, **variables)
    assert not err
    assert "\x1b" not in out
    assert "4,000 of the 5,000 real MNIST digits" in out

    history = json.loads(out_file.read_text())
    assert history.keys() >= {"loss", "lr", "test_accuracy", "seconds"}
    lines = re.findall(r"^epoch +(\d+)  loss (\S+)  test accuracy (\S+)$", out, re.M)
    pairs = zip(history["loss"], history["test_accuracy"])
    assert lines == [
        (str(epoch), f"{loss:.4f}", f"{accuracy:.2%}")
        for epoch, (loss, accuracy) in enumerate(pairs, 1)
    ]
    last, seconds = history["test_accuracy"][-1], sum(history["seconds"])
    assert last > 0.9
    assert f"test accuracy {last:.2%} after 2 epochs, {seconds:.1f} s" in out
    assert_png(picture, height=250)


def test_lenet_checks_its_ops_instead_of_training(tmp_path):
    out, err = run("train_lenet.py", "--check", "--data", tmp_path)
    assert not err
    assert out == "values, gradients, second derivatives, dtypes: right in all calls\n"


def test_lenet_without_hypothesis_says_what_the_check_needs(tmp_path):
    (tmp_path / "hypothesis.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    out, err = run("train_lenet.py", "--check", status=1, PYTHONPATH=path)
    assert not out
    assert err.startswith("train_lenet: ")
    assert "pip install hypothesis" in err


def test_lenet_shows_a_progress_bar_on_a_terminal(tiny_mnist):
    text = on_a_terminal("train_lenet.py", "--data", tiny_mnist, "--epochs", "2")
    assert re.search(r"epoch  2  loss \d\.\d{4}  test accuracy \d+\.\d\d%", text)
    assert "━━━" in text
    assert re.search(r"test accuracy \S+% after 2 epochs", text)


def test_lenet_takes_other_steps_from_another_seed(tiny_mnist):
    options = "train_lenet.py", "--data", tiny_mnist, "--epochs", 1, "--seed"
    outs = [run(*options, seed)[0].splitlines()[0] for seed in (0, 0, 1)]
    assert outs[0] == outs[1] != outs[2]


def test_lenet_names_the_damaged_file(tiny_mnist):
    labels = tiny_mnist / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    out, err = run("train_lenet.py", "--data", tiny_mnist, status=1)
    assert not out
    assert len(err.splitlines()) == 1
    assert err.startswith(f"train_lenet: {labels}")


@pytest.mark.skipif(
    not real_folder, reason="TINYGRAD_EDU_DATA names no folder with the real MNIST"
)
def test_lenet_learns_the_full_set():
    out, _ = run("train_lenet.py", "--epochs", 1)
    last = re.search(r"test accuracy (\S+)% after 1 epochs", out)
    assert float(last[1]) >= 97.5


# --- train_mnist_mpi ------------------------------------------------------------------


@needs_mpi
@pytest.mark.parametrize("ranks", [None, 2, 3])  # None: without mpiexec
@pytest.mark.parametrize(
    "options",
    ["--cost mse --lr 2", "--cost cross-entropy --lr 0.5 --l2 5 --no-compile"],
)
def test_mnist_in_several_processes_is_mnist_in_one(tiny_mnist, ranks, options):
    """The same lines, printed once, and the same history but for rounding."""
    common = f"--data {tiny_mnist} --epochs 2 --seed 3 --hidden 4 --batch-size 10"
    path, picture = tiny_mnist / "history.json", tiny_mnist / "curves.png"
    arguments = [*common.split(), *options.split(), "--json", path, "--plot", picture]
    wanted, _ = run("train_mnist.py", *arguments)
    expected = json.loads(path.read_text())
    picture.unlink()
    if ranks:
        done = mpiexec(ranks, EXAMPLES / "train_mnist_mpi.py", *arguments)
        assert done.returncode == 0, done.stderr
        out = done.stdout
    else:
        out, _ = run("train_mnist_mpi.py", *arguments)
    assert f"{ranks} processes" in out if ranks else "1 process\n" in out
    varies = re.compile(r"; \d.*|The loss is .*")  # the time, and the usual --lr
    assert varies.sub("", out) == varies.sub("", wanted)
    assert_png(picture)
    history = json.loads(path.read_text())
    assert history.keys() == HISTORY
    assert history["test_accuracy"] == expected["test_accuracy"]
    for name in ("train_cost", "test_cost"):
        assert history[name] == pytest.approx(expected[name], rel=1e-5)


@needs_mpi
def test_mnist_in_two_processes_falls_back_on_5000_digits(tmp_path):
    script = EXAMPLES / "train_mnist_mpi.py"
    done = mpiexec(2, script, "--epochs", 5, TINYGRAD_EDU_DATA=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("4,000 of the 5,000 real MNIST digits") == 1
    best = re.search(r"best test accuracy (\S+)%.*2 processes", done.stdout)
    assert float(best[1]) > 80


@needs_mpi
def test_mnist_in_two_processes_names_what_is_missing_once(tmp_path):
    done = mpiexec(2, EXAMPLES / "train_mnist_mpi.py", "--data", tmp_path)
    assert done.returncode == 1
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert f"{tmp_path} does not contain" in done.stderr


# --- plot_sigmoid ---------------------------------------------------------------------


def test_sigmoid_is_drawn(tmp_path):
    path = tmp_path / "curve.png"
    out, err = run("plot_sigmoid.py", "--plot", path)
    assert float(re.search(r"within (\S+) of the formula", out)[1]) < 1e-15
    assert not err
    assert_png(path)


def test_sigmoid_without_a_display_goes_to_a_file(tmp_path):
    out, _ = run("plot_sigmoid.py", cwd=tmp_path)
    assert "Wrote sigmoid.png" in out
    assert_png(tmp_path / "sigmoid.png")


def test_sigmoid_slope_is_the_derivative():
    function = runpy.run_path(str(EXAMPLES / "plot_sigmoid.py"))["sigmoid_and_slope"]
    x, h = np.linspace(-5, 5, 11), 1e-6
    y, slope = function(x)
    difference = (tg.reference.sigmoid(x + h) - tg.reference.sigmoid(x - h)) / (2 * h)
    np.testing.assert_allclose(y, tg.reference.sigmoid(x), rtol=1e-14)
    np.testing.assert_allclose(slope, difference, rtol=1e-7)


# --- probability ----------------------------------------------------------------------


def test_three_models_are_fitted_and_drawn(tmp_path):
    path = tmp_path / "models.png"
    out, err = run("probability.py", "--plot", path)
    assert not err
    assert_png(path, 300)
    numbers = [float(x) for x in re.findall(r"\d+\.\d+", out.partition("Wrote")[0])]
    length, height, noise, intercept, _, slope, _, low, high = numbers
    assert 0.5 < length < 2
    assert 0.3 < height < 2
    assert 0.05 < noise < 0.3
    assert abs(intercept - 0.5) < 0.2
    assert abs(slope - 1.5) < 0.2
    assert 1 < low < 3
    assert 5 < high < 9


# --- check_gradients ------------------------------------------------------------------


def test_every_judge_agrees_about_every_gradient():
    out, _ = run("check_gradients.py")
    rows = re.findall(r"│ \[(?:784|2), .*\] +│ ([Wb][12]) +│ \(.*?\) +│(.*)│", out)
    assert [name for name, _ in rows] == ["W1", "W2", "b1", "b2"] * 2
    for _, columns in rows:
        by_hand, differences, *others = (float(x) for x in columns.split("│"))
        assert by_hand < 1e-12
        assert differences < 1e-8
        assert all(x < 1e-12 for x in others)


# --- watch_xor ------------------------------------------------------------------------


def frames_of(file):
    """Return the frames of an image as arrays, and for how long each is shown."""
    frames, times = [], []
    with pytest.importorskip("PIL.Image").open(file) as image:
        for frame in range(image.n_frames):
            image.seek(frame)
            frames.append(np.asarray(image.convert("RGB")))
            times.append(image.info.get("duration"))
    return frames, times


def test_watch_xor_makes_a_gif_and_a_page_of_the_same_frames(tmp_path):
    options = "--frames", 5, "--epochs", 300, "--save"
    out, err = run("watch_xor.py", *options, "film.gif", cwd=tmp_path)
    assert out.splitlines()[1:] == ["Wrote film.gif"]
    assert float(re.match(r"loss (\S+) after 300 epochs\n", out)[1]) < 0.1
    assert not err
    frames, times = frames_of(tmp_path / "film.gif")
    assert times == [80, 80, 80, 80, 3000]
    assert {frame.shape for frame in frames} == {(420, 800, 3)}

    out, err = run("watch_xor.py", *options, "film.html", cwd=tmp_path)
    assert "Wrote film.html" in out
    assert not err
    page = (tmp_path / "film.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "<title>Three hidden neurons learn exclusive or</title>" in page
    assert not re.search(r"https?:|<link|@import|\ssrc=", page), "it needs nothing else"
    pictures = re.findall(r'"data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == len(frames)
    for picture, frame in zip(pictures, frames):
        ((same,), _) = frames_of(io.BytesIO(base64.b64decode(picture)))
        np.testing.assert_array_equal(same, frame)


def test_watch_xor_shows_a_progress_bar_on_a_terminal(tmp_path):
    options = "--frames", "3", "--epochs", "9", "--save", tmp_path / "film.gif"
    shown = on_a_terminal("watch_xor.py", *options)
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown)  # without colours
    assert re.search(r"Drawing ━+ 100%", text)
    assert "Wrote " in text


# --- watch_mnist and watch_layers -----------------------------------------------------


def test_watch_mnist_reads_digits_and_draws(tmp_path):
    variables = {"TINYGRAD_EDU_DATA": str(tmp_path)}  # so it falls back on 5,000
    out, err = run("watch_mnist.py", "--epochs", 2, cwd=tmp_path, **variables)
    assert not err
    assert "4,000 of the 5,000 real MNIST digits" in out
    assert float(re.search(r"test accuracy (\S+)% after 2 epochs", out)[1]) > 85
    names = [f"pictures/{name}.png" for name in ("weights", "mistakes", "confusion")]
    assert re.findall("Wrote (.*)", out) == names
    for name in names:
        assert_png(tmp_path / name)


def test_watch_layers_draws_into_a_folder_that_is_there(tiny_mnist):
    out, err = run("watch_layers.py", "--data", tiny_mnist, "--save", tiny_mnist)
    assert not err
    names = ["gradients.png", "saturation.png"]
    assert re.findall(f"Wrote {tiny_mnist}/(.*)", out) == names
    for name in names:
        assert_png(tiny_mnist / name)


def test_watch_mnist_learns_as_the_textbook_does(tiny_mnist):
    digits = tg.data.mnist(tiny_mnist)
    names = runpy.run_path(str(EXAMPLES / "watch_mnist.py"))
    model = names["train"](digits, hidden=4, epochs=2, seed=7)
    x = tg.data.normalise(digits.train_images, np.float64)
    y = tg.data.one_hot(digits.train_labels)
    rng = np.random.default_rng(7)
    expected = tg.nn.MLP([784, 4, 10], rng)
    w, b = ([p.numpy() for p in ps] for ps in (expected.weights, expected.biases))
    for _ in range(2):
        for xs, ys in tg.data.minibatches(x, y, 10, rng):
            dw, db = tg.reference.gradients(w, b, xs, ys, "cross-entropy", 5.0, len(x))
            for p, g in zip(w + b, dw + db):
                p -= 0.5 * g
    for p, other in zip(model.parameters(), w + b):
        np.testing.assert_allclose(p.numpy(), other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("script", ["watch_mnist", "watch_layers"])
def test_watching_names_the_damaged_file(tiny_mnist, script):
    labels = tiny_mnist / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    options = "--data", tiny_mnist, "--save", tiny_mnist / "new"
    out, err = run(f"{script}.py", *options, status=1)
    assert not out
    assert len(err.splitlines()) == 1
    assert err.startswith(f"{script}: {labels}")
    assert not (tiny_mnist / "new").exists()


def test_watch_xor_says_when_the_weights_overflow(tmp_path):
    options = "--lr", "1e300", "--epochs", 20, "--save", tmp_path / "film.gif"
    out, err = run("watch_xor.py", *options, status=1)
    assert (out, err) == (
        "",
        "The loss is nan: --lr 1e+300 is too large; try 2\n",
    )
    assert os.listdir(tmp_path) == []


# --- What keeps an example from running -----------------------------------------------


@pytest.mark.parametrize(
    ("script", "options", "path"),
    [
        ("watch_xor.py", ["--epochs", 2, "--frames", 2, "--save"], "a.gif"),
        ("watch_xor.py", ["--epochs", 2, "--frames", 2, "--save"], "a.html"),
        ("step_through_xor.py", ["--epochs", 2, "--no-open", "--save"], "a.html"),
        ("train_xor.py", ["--epochs", 2, "--plot"], "a.png"),
        ("plot_sigmoid.py", ["--plot"], "a.png"),
    ],
)
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_file_that_cannot_be_written_is_told_in_a_line(
    tmp_path, script, options, path
):
    """Early if it can be known, and else when the disk is full."""
    full = tmp_path / path
    full.symlink_to("/dev/full")
    out, err = run(script, *options, full, status=1)
    assert "Wrote" not in out
    assert err.endswith(f"{full} cannot be written: No space left on device\n")
    assert len(err.splitlines()) == 1
    out, err = run(script, *options, f"/proc/{path}", status=2)
    assert not out
    assert "/proc cannot be written to: " in err


@pytest.mark.parametrize(
    ("script", "package"),
    [
        ("watch_xor.py", "PIL"),
        ("watch_mnist.py", "matplotlib"),
        ("watch_layers.py", "rich"),
        ("train_xor.py", "matplotlib"),
        ("train_lenet.py", "matplotlib"),
        ("plot_sigmoid.py", "matplotlib"),
        ("probability.py", "scipy"),
        ("check_gradients.py", "rich"),
        ("replay_book.py", "rich"),
        ("step_through_xor.py", "pygraphviz"),
        ("estimator.py", "sklearn"),
    ],
)
def test_an_example_tells_what_to_install(tmp_path, script, package):
    missing = f"raise ModuleNotFoundError('No module named {package}')"
    (tmp_path / f"{package}.py").write_text(missing)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    out, err = run(script, "--help", status=1, PYTHONPATH=path)
    assert not out
    packages = {"sklearn": "scikit-learn"}.get(package, '-e ".[examples]"')
    assert err == f"No module named {package}; it comes with pip install {packages}\n"


# --- Ends in plain words --------------------------------------------------------------

PROGRAMS = sorted(
    path.name for path in EXAMPLES.glob("*.py") if "__main__" in path.read_text()
)


@pytest.mark.parametrize("script", PROGRAMS)
def test_ctrl_c_is_a_line_and_a_status(tmp_path, script):
    """Even while it still imports."""
    (tmp_path / "tinygrad_edu.py").write_text("raise KeyboardInterrupt")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    out, err = run(script, status=130, PYTHONPATH=path)
    assert (out, err) == ("", "ended by Ctrl-C\n")


@pytest.mark.usefixtures("usual_ctrl_c")
@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("train_lenet.py", ["--epochs", 100_000]),
        ("train_mnist_mpi.py", ["--epochs", 100_000]),
    ],
)
def test_a_training_ends_on_ctrl_c(tiny_mnist, script, options):
    process = subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLES / script, "--data", tiny_mnist]
        + [str(option) for option in options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130
    if script == "train_lenet.py":
        epochs = (first + out).count("epoch ") - 1  # one is in how it ended
        assert f"after {epochs} epochs, " in out
        assert err == ""
    else:
        assert err == "ended by Ctrl-C\n"


@pytest.mark.parametrize("script", ["train_lenet", "train_mnist"])
def test_ctrl_c_in_the_first_epoch_is_no_error(tiny_mnist, script, monkeypatch, capsys):
    module, history = import_module(script), tg.train.History()
    history.stopped = "Ctrl-C, after step 3 of epoch 1"
    trained = {"train_lenet": (None, history), "train_mnist": history}[script]
    monkeypatch.setattr(module, "train", lambda *args: trained)
    path = tiny_mnist / "history.json"
    options = "--data", str(tiny_mnist), "--json", str(path)
    monkeypatch.setattr("sys.argv", [script, *options])
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 130
    assert capsys.readouterr().out == ""
    assert not path.exists()


def test_xor_shows_what_it_has_on_ctrl_c(monkeypatch, capsys):
    module = import_module("train_xor")
    model, history = module.train(epochs=700)
    history.stopped = "Ctrl-C, after step 0 of epoch 701"
    monkeypatch.setattr(module, "train", lambda *args: (model, history))
    monkeypatch.setattr("sys.argv", ["train_xor"])
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 130
    out = capsys.readouterr().out
    assert out.startswith("ended: Ctrl-C, after step 0 of epoch 701\ninput")
    assert "4 of 4 right" in out


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("train_xor.py", []),
        ("train_mnist.py", ["--epochs", 2]),
        ("train_lenet.py", ["--epochs", 2]),
        ("watch_xor.py", ["--help"]),
        ("check_gradients.py", []),
        ("plot_sigmoid.py", []),
    ],
)
def test_nobody_reads_on(tiny_mnist, script, options):
    """As with `head`, there is no error to be seen."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / script, *map(str, options)],
        env={**os.environ, "MPLBACKEND": "agg", "TINYGRAD_EDU_DATA": str(tiny_mnist)},
        cwd=tiny_mnist,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=100,
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode in (0, 141, 1)  # 1 is Rich's


def test_too_little_memory_is_told_in_a_line(tiny_mnist):
    options = "--hidden", 10**13, "--data", tiny_mnist
    out, err = run("train_mnist.py", *options, status=1)
    assert not out
    assert err.startswith("There is not enough memory: Unable to allocate")
    assert len(err.splitlines()) == 1


def test_a_fault_of_the_program_has_its_traceback(tmp_path):
    (tmp_path / "tinygrad_edu.py").write_text("1 / 0")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "train_xor.py"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_without_mpi_there_is_help_and_one_line(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('no mpi4py')")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    out, err = run("train_mnist_mpi.py", "--help", PYTHONPATH=path)
    assert "--batch-size N" in out
    assert not err
    out, err = run("train_mnist_mpi.py", status=1, PYTHONPATH=path)
    assert not out
    assert re.fullmatch(
        r"train_mnist_mpi: parallel: needs mpi4py .* pip install .*\n", err
    )


@needs_mpi
def test_ranks_complain_about_an_option_once():
    done = mpiexec(2, EXAMPLES / "train_mnist_mpi.py", "--lr", "nan")
    assert done.returncode == 2
    assert done.stderr.count("--lr: nan is not a finite number") == 1


# --- Networks that learn nothing ------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "options", "lr", "usual", "status"),
    [
        ("train_xor.py", [], "1e300", "2", 1),
        ("train_xor.py", ["--no-compile"], "1e300", "2", 0),
        ("train_xor.py", ["--epochs", 9], "1e4", "2", 0),
        ("step_through_xor.py", ["--no-open", "--save", "a.html"], "1e300", "2", 0),
        ("watch_xor.py", ["--frames", 2, "--save", "a.gif"], "1e5", "2", 0),
        ("train_mnist.py", [], "1e300", "3", 1),
        ("train_mnist.py", ["--epochs", 2], "1e10", "3", 0),
        ("train_mnist_mpi.py", [], "1e300", "1", 1),
        ("train_mnist_mpi.py", ["--epochs", 2], "1e10", "1", 0),
        ("train_lenet.py", [], "1e300", "0.003", 1),
    ],
)
def test_a_learning_rate_that_is_too_large_is_named(
    tiny_mnist, script, options, lr, usual, status
):
    data = {"TINYGRAD_EDU_DATA": str(tiny_mnist)}
    options = [*options, "--lr", lr]
    out, err = run(script, *options, status=status, cwd=tiny_mnist, **data)
    told = re.findall(r"^The loss is (.*): (--lr .*)$", out + err, re.M)
    ((fault, way_out),) = told
    assert way_out == f"--lr {float(lr):g} is too large; try {usual}"
    assert ("one and the same answer" in fault) == (status == 0)
    assert "another --seed" not in out


@given(
    targets=arrays(float, (7, 3), elements=st.sampled_from([0.0, 1.0])),
    other=st.floats(0.01, 0.99),
    loss=st.sampled_from([tg.losses.mse, tg.losses.cross_entropy]),
)
def test_no_other_guess_is_better_than_the_mean(targets, other, loss):
    least = shared.idle_loss(loss, targets)
    assert least <= loss(np.full_like(targets, other), targets).item() + 1e-12
    mean = np.repeat(targets.mean(axis=0, keepdims=True), 7, axis=0)
    assert least == pytest.approx(loss(mean, targets).item())


@pytest.mark.parametrize(
    ("loss", "lr", "told"),
    [
        (0.4, 9.0, ""),
        (0.5, 2.1, "--lr 2.1 is too large; try 2"),
        (np.inf, 2.1, "The loss is inf: --lr 2.1 is too large; try 2"),
        (0.5, 2.0, "try more --epochs, or another --seed"),
        (0.5, 1.0, "try more --epochs, a larger --lr, or another --seed"),
        (np.nan, 1.0, "The loss is nan: try a smaller --lr than 1"),
    ],
)
def test_a_remark_names_the_way_out(loss, lr, told):
    assert shared.remark(loss, 0.5, lr, 2.0).endswith(told)
    assert bool(shared.remark(loss, 0.5, lr, 2.0)) == bool(told)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may do all")
def test_what_must_not_be_written_is_told_at_once(tmp_path):
    path = tmp_path / "a.png"
    path.touch(mode=0o400)
    _, err = run("train_xor.py", "--plot", path, status=2)
    assert "a.png must not be overwritten" in err
    tmp_path.chmod(0o500)
    _, err = run("train_xor.py", "--plot", tmp_path / "b.png", status=2)
    assert "cannot be written to: Permission denied" in err


# --- step_through_xor -----------------------------------------------------------------


def test_step_through_xor_writes_a_page_of_the_trained_network(tmp_path):
    variables = {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
    out, err = run("step_through_xor.py", cwd=tmp_path, **variables)
    page = tmp_path / "xor.html"
    assert out == f"Wrote xor.html\nOpen it in a browser: {page.as_uri()}\n"
    assert not err
    text = page.read_text("utf-8")
    assert "<title>loss, step by step</title>" in text
    assert "dloss/dW1 = (dloss/dz1)^T x" in text
    assert "h = model(x)" in text  # the line of the program


@pytest.mark.parametrize(
    ("options", "display", "opened"),
    [([], ":0", True), (["--no-open"], ":0", False), ([], "", False)],
)
def test_step_through_xor_opens_the_browser_where_there_is_one(
    tmp_path, monkeypatch, capsys, options, display, opened
):
    path, shown = tmp_path / "page.html", []
    argv = ["step_through_xor.py", "--save", str(path), "--epochs", "0", *options]
    monkeypatch.setattr("sys.argv", argv)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("webbrowser.open", shown.append)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    runpy.run_path(str(EXAMPLES / argv[0]), run_name="__main__")
    assert shown == [path.as_uri()] * opened
    assert ("Open it in a browser" in capsys.readouterr().out) == (not opened)
    assert path.is_file()


def test_step_through_xor_trains():
    names = runpy.run_path(str(EXAMPLES / "step_through_xor.py"))
    lines = {}
    for epochs in (0, 200):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tg, "step_through", lambda loss, path: None)
            lines[epochs] = names["write_page"](names["train"](epochs=epochs), None)
    assert lines[200] < 0.9 * lines[0]


# --- Options --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "options", "complaint"),
    [
        (
            "train_xor.py",
            ["--epochs", "0"],
            "--epochs: 0 is not a whole number of",
        ),
        ("train_xor.py", ["--seed", "-1"], "--seed: -1 is not a whole number"),
        ("train_xor.py", ["--lr", "inf"], "--lr: inf is not a finite number of at"),
        ("train_xor.py", ["--plot", "."], "--plot: . is a folder; name a file"),
        ("step_through_xor.py", ["--lr", "nan"], "--lr: nan is not a finite number"),
        ("step_through_xor.py", ["--save", "no/such/file.html"], "no folder"),
        ("step_through_xor.py", ["--save", "."], "--save: . is a folder; name a file"),
        ("step_through_xor.py", ["--save", ""], "--save: . is a folder; name a file"),
        ("step_through_xor.py", ["--save", EXAMPLES], "is a folder; name a file"),
        ("train_mnist.py", ["--epochs", "-3"], "--epochs: -3 is not a whole"),
        ("train_mnist.py", ["--batch-size", "0"], "--batch-size: 0 is not a"),
        ("train_mnist.py", ["--lr", "nan"], "--lr: nan is not a finite number of"),
        ("train_mnist.py", ["--json", "."], "--json: . is a folder; name a file"),
        ("train_mnist.py", ["--json", "x.txt"], "x.txt does not end in .json or .csv"),
        (
            "train_mnist.py",
            ["--resume"],
            "--resume needs a folder: add --checkpoint DIR",
        ),
        ("train_mnist.py", ["--l2", "-0.1"], "--l2: -0.1 is not a finite number"),
        ("train_mnist.py", ["--cost", "hinge"], "invalid choice: 'hinge'"),
        ("train_mnist.py", ["--json", "no/such/file"], "no folder"),
        ("train_lenet.py", ["--epochs", "x"], "--epochs: x is not a whole number"),
        ("train_lenet.py", ["--batch-size", "-1"], "--batch-size: -1 is not a"),
        ("train_lenet.py", ["--lr", "inf"], "--lr: inf is not a finite number"),
        ("train_lenet.py", ["--seed", "-1"], "--seed: -1 is not a whole number"),
        ("train_lenet.py", ["--plot", "no/such/file.png"], "no folder no/such"),
        ("plot_sigmoid.py", ["--plot", "no/such/file.png"], "no folder"),
        ("plot_sigmoid.py", ["--plot", "."], "--plot: . is a folder; name a file"),
        ("check_gradients.py", ["--seed", "-1"], "--seed: -1 is not a whole number"),
        ("replay_book.py", ["regularized", "--json", "x"], "x does not end in .json"),
        *(
            (script, ["--plot", "m.xyz"], "m.xyz does not end in .png or .svg or .pdf")
            for script in DRAWING
        ),
        ("watch_xor.py", ["--save", "no/such/file.gif"], "there is no folder no/such"),
        (
            "watch_xor.py",
            ["--save", "x.mp4"],
            "x.mp4 does not end in .gif or .html",
        ),
        ("watch_xor.py", ["--frames", "1"], "--frames: 1 is not a whole number"),
        ("watch_xor.py", ["--lr", "nan"], "--lr: nan is not a finite number of"),
        ("watch_mnist.py", ["--save", "no/such"], "there is no folder no"),
        ("watch_mnist.py", ["--save", __file__], "there is no folder"),
        ("watch_mnist.py", ["--hidden", "0"], "--hidden: 0 is not a whole number"),
        ("watch_layers.py", ["--save", "no/such"], "there is no folder no"),
        ("watch_layers.py", ["--seed", "-1"], "--seed: -1 is not a whole number"),
    ],
)
def test_bad_options_are_refused(tmp_path, script, options, complaint):
    out, err = run(script, *options, status=2, cwd=tmp_path)
    assert not out
    assert complaint in err


@pytest.mark.parametrize("script", sorted(p.name for p in EXAMPLES.glob("*.py")))
def test_help_tells_every_option(script):
    out, _ = run(script, "--help")
    source = (EXAMPLES / script).read_text()
    for option in re.findall(r'"(--[a-z0-9-]+)",', source):
        assert re.search(rf"^  {option}\b.*\n?.* [a-z]{{2}}", out, re.M)
