"""Files: whole or not at all, whatever the path, and whoever else writes there."""

import gzip
import hashlib
import os
import random
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from time import sleep
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.data import digits
from tinygrad_edu.support import files
from tinygrad_edu.support.files import UNFINISHED, replacing, write


@pytest.fixture(params=["page", "picture"])
def save(request):
    """Save by `step_through` or by `draw`: what they wrote is compared with `plain`."""
    x = tg.Tensor(3.0, requires_grad=True, name="x")
    y = x * x
    if request.param == "page":
        return lambda path: tg.step_through(y, path)
    drawing = tg.draw(y)
    return lambda path: drawing.save(path)


@pytest.fixture
def plain(save, tmp_path):
    """Give the content that any file shall have."""
    save(tmp_path / "plain.svg")
    content = (tmp_path / "plain.svg").read_bytes()
    (tmp_path / "plain.svg").unlink()
    return content


def test_a_file_that_was_there_is_replaced_and_keeps_its_rights(save, plain, tmp_path):
    path = tmp_path / "a.svg"
    path.write_text("old")
    path.chmod(0o604)
    save(path)
    assert path.read_bytes() == plain
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert os.listdir(tmp_path) == ["a.svg"]


def test_a_new_file_has_the_rights_of_a_new_file(save, tmp_path):
    save(tmp_path / "a.svg")
    (tmp_path / "b.svg").touch()
    modes = [(tmp_path / name).stat().st_mode for name in ("a.svg", "b.svg")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_replaced(save, plain, tmp_path, is_there):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target.svg", tmp_path / "link.svg"
    if is_there:
        target.write_text("old")
    link.symlink_to(os.path.join("far", "target.svg"))
    save(link)
    assert link.is_symlink()
    assert target.read_bytes() == plain
    assert os.listdir(tmp_path / "far") == ["target.svg"]


def test_a_pipe_is_written_to(save, plain, tmp_path):
    pipe, read = tmp_path / "pipe.svg", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    save(pipe)
    reader.join(10)
    assert read == [plain]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_stays_one(tmp_path):
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    write("draw", link, b"gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert link.is_symlink()


def test_a_long_name_is_a_name(save, plain, tmp_path):
    path = tmp_path / f"{'n' * 251}.svg"
    save(path)
    assert path.read_bytes() == plain


def test_many_may_save_to_one_path(save, plain, tmp_path):
    path = tmp_path / "a.svg"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, [path] * 32))
    assert path.read_bytes() == plain
    assert os.listdir(tmp_path) == ["a.svg"]


def test_what_is_not_finished_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.svg"
    path.write_text("old")

    def half():
        with replacing("draw", path) as new:
            new.write_text("ne")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"^draw: .*a\.svg cannot be written: No space"):
        half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.svg"]


def test_an_error_of_who_writes_stays_what_it_is(tmp_path):
    def odd():
        with replacing("draw", tmp_path / "a.svg"):
            raise ValueError("odd")

    with pytest.raises(ValueError, match=r"^odd$"):
        odd()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("folder.svg", IsADirectoryError, "folder.svg cannot be .*: it is a folder"),
        ("none/a.svg", FileNotFoundError, "there is no folder .*none; create it first"),
        ("file/a.svg", FileNotFoundError, "there is no folder .*file; create it first"),
        (f"{'n' * 300}.svg", OSError, "nnn.svg cannot be written: File name too long"),
        ("loop.svg", OSError, "loop.svg cannot be written: Too many levels"),
        ("\ud800.svg", ValueError, r"'\\ud800.svg' cannot be a file's name: "),
        ("a\0.svg", ValueError, r"'a\\x00.svg' cannot be a file's name: "),
    ],
)
def test_what_cannot_be_written_is_named(
    save, tmp_path, monkeypatch, path, error, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.svg").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop.svg").symlink_to("loop.svg")
    with pytest.raises(error, match=f"^(draw|step_through): .*{message}"):
        save(path)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.svg", "loop.svg"]


def test_an_empty_path_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y = tg.Tensor(3.0, requires_grad=True) * 2.0
    with pytest.raises(ValueError, match=r"^step_through: the path is empty"):
        tg.step_through(y, "")
    with pytest.raises(ValueError, match=r"^draw: save it as \.svg, .*, not as ''"):
        tg.draw(y).save("")
    assert os.listdir(tmp_path) == []


# --- All that writes files ------------------------------------------------------------

MODEL = tg.nn.MLP([2, 3, 1], rng=0)
HISTORY = tg.train.History({"loss": [0.5, 0.25]})


def download(path):
    content = gzip.compress(b"digits")
    pooch = SimpleNamespace(
        HTTPDownloader=lambda timeout: lambda url, to, _: Path(to).write_bytes(content)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pooch", pooch)
        digits._fetch("https://mirror/", path, hashlib.sha256(b"digits").hexdigest())


def training():
    optimiser = tg.optim.Adam(MODEL.parameters())
    return tg.checkpoints.Training(MODEL, optimiser, np.random.default_rng(0))


WRITERS = {
    "page.html": (
        None,
        lambda p: tg.step_through(tg.Tensor(1.0, requires_grad=True) * 2.0, p),
    ),
    "graph.svg": (
        "pygraphviz",
        lambda p: tg.draw(tg.Tensor(1.0, requires_grad=True) * 2.0).save(p),
    ),
    "history.csv": (None, HISTORY.save),
    "history.json": (None, HISTORY.save),
    "history.png": ("matplotlib", HISTORY.plot),
    "weights.safetensors": (
        "safetensors",
        lambda p: tg.save(p, MODEL),
    ),
    "training.safetensors": ("safetensors", lambda p: training().save(p)),
    "digits.gz": (None, download),
}


@pytest.fixture(params=WRITERS)
def writer(request):
    """Give a file's name, and what writes it."""
    package, save = WRITERS[request.param]
    if package and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    return request.param, save


def test_each_writer_leaves_the_old_file_until_the_new_one_is_whole(
    writer, tmp_path, monkeypatch
):
    name, save = writer
    path = tmp_path / name
    path.write_text("old")

    def full(self, target):
        assert self.parent.name.startswith(UNFINISHED)
        assert self.stat().st_size > 0
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="cannot be written: No space left"):
            save(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [name]
    save(path)
    assert path.read_bytes() != b"old"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
@pytest.mark.parametrize("umask", [0o027, 0o077])
def test_each_writer_follows_the_umask(writer, tmp_path, umask):
    name, save = writer
    before = os.umask(umask)
    try:
        save(tmp_path / name)
    finally:
        os.umask(before)
    mode = stat.S_IMODE((tmp_path / name).stat().st_mode)
    assert oct(mode) == oct(0o666 & ~umask)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="it asks Linux")
@pytest.mark.parametrize("fails", [False, True])
def test_each_writer_closes_what_it_opens(writer, tmp_path, monkeypatch, fails):
    name, save = writer
    save(tmp_path / name)  # what has to be imported opens files, too

    def fsync(handle):
        raise OSError(5, "Input/output error")

    if fails:
        monkeypatch.setattr(files.os, "fsync", fsync)
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        if fails:
            with pytest.raises(OSError, match="cannot be written: Input/output"):
                save(tmp_path / name)
        else:
            save(tmp_path / name)
    assert len(os.listdir("/proc/self/fd")) == len(before)


# --- The disk -------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="it asks Linux")
def test_the_disk_has_the_file_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(handle):
        calls.append(f"fsync {os.readlink(f'/proc/self/fd/{handle}')}")
        real_sync(handle)

    def replace(self, target):
        calls.append(f"replace {target}")
        real_replace(self, target)

    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    path = tmp_path / "a.txt"
    with replacing("draw", path) as new:
        new.write_text("new")
        assert calls == []
    assert calls == [f"fsync {new}", f"replace {path}", f"fsync {tmp_path}"]


@pytest.mark.parametrize("refused", ["open", "fsync"])
def test_a_folder_that_cannot_be_synced_is_no_fault(tmp_path, monkeypatch, refused):
    """Windows opens none, and some file systems sync none."""
    real = getattr(os, refused)

    def refuse(x, *flags):
        path = Path(os.readlink(f"/proc/self/fd/{x}") if isinstance(x, int) else x)
        if path == tmp_path:
            raise OSError(22, "Invalid argument")
        return real(x, *flags)

    if refused == "fsync" and not Path("/proc/self/fd").is_dir():
        pytest.skip("it asks Linux")
    with monkeypatch.context() as patch:
        patch.setattr(files.os, refused, refuse)
        write("draw", tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"


# --- Killed ---------------------------------------------------------------------------


def test_what_is_unfinished_is_called_by_the_end_of_the_name(tmp_path):
    name = "".join(chr(ord("0") + i) for i in range(60))
    with replacing("draw", tmp_path / name) as new:
        assert new.parent.name.startswith(UNFINISHED)
        assert new.parent.name.endswith(f"-{name[12:]}")
        assert name[11:] not in new.parent.name


def test_nobody_can_tell_the_name_of_what_is_unfinished(tmp_path):
    """It is in a folder of its own, that only its owner may enter."""
    path, seen = tmp_path / "a.txt", set()
    for _ in range(20):
        with replacing("draw", path) as new:
            seen.add(new.parent.name)
            assert stat.S_IMODE(new.parent.stat().st_mode) == 0o700
    assert len(seen) == 20
    for name in seen:
        assert name.startswith(UNFINISHED)
        assert name.endswith("-a.txt")
        assert str(os.getpid()) not in name


KILLED = """
import sys
from pathlib import Path
from tinygrad_edu.support.files import write
print("ready", flush=True)
for i in range(10**9):
    write("draw", sys.argv[1], str(i % 10).encode() * 300_000)
"""


def test_killed_at_any_moment_the_file_is_an_old_one_or_the_new_one(tmp_path):
    path, rng, left = tmp_path / "a.txt", random.Random(), 0
    write("draw", path, b"0" * 300_000)
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"ready\n"
        sleep(rng.uniform(0.001, 0.05))
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        process.communicate(timeout=100)
        content = path.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1
        unfinished = [name for name in os.listdir(tmp_path) if name != "a.txt"]
        assert all(name.startswith(UNFINISHED) for name in unfinished)
        left = len(unfinished)
    assert left > 0, "some were killed amid the writing"
    write("draw", path, b"new")
    assert path.read_bytes() == b"new"
