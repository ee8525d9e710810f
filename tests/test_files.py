"""Files: whole or not at all, whatever the path, and whoever else writes there."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest

import tinygrad_edu as tg
from tinygrad_edu.files import replacing, write


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
    with pytest.raises(ValueError, match=r"^draw: save it as \.svg, .*, and not as ''"):
        tg.draw(y).save("")
    assert os.listdir(tmp_path) == []
