"""What is done is kept; hints and answers come only when asked for."""

import json
import sys
from pathlib import Path

import pytest

import tinygrad_edu as tg
from tinygrad_edu.exercising import Exercises
from tinygrad_edu.support.files import data_folder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "progress.json"


@pytest.fixture
def mine(path):
    return tg.exercises.kept_in(path)


def state(mine, name):
    return {row[0]: row[3] for row in mine.table()}[name]


def test_what_is_done_is_kept_in_a_file(mine, path):
    assert state(mine, "cube") == ""
    mine["cube"].check(0)
    assert state(mine, "cube") == "tried"
    mine["cube"].check(mine["cube"].right())
    mine["cube"].check(0)
    assert state(Exercises(path), "cube") == "done"
    kept = json.loads(path.read_text())
    assert kept == {"cube": {"done": True, "tries": 3, "shown": []}}


def test_an_answer_that_was_shown_counts_with_other_numbers_only(mine):
    exercise = mine["square"]
    assert repr(exercise.reveal()) == "answer = -(y - h2)"
    assert state(mine, "square") == "answer shown"
    verdict = exercise.check(exercise.right())
    assert verdict.is_right
    assert verdict.says == (
        "but the answer was shown; try it with other numbers: seed=1"
    )
    assert state(mine, "square") == "answer shown"
    other = mine.one("square", seed=1)
    assert other.check(other.right())
    assert state(mine, "square") == "done"


def test_the_next_exercise_is_the_first_that_is_not_done(mine, path):
    assert mine.next().name == "cube"
    mine["cube"].check(mine["cube"].right())
    assert mine.next(seed=5).name == "sigma-prime"
    assert mine.next(seed=5).seed == 5
    mark = {"done": True, "tries": 1, "shown": []}
    path.write_text(json.dumps(dict.fromkeys(mine, mark)))
    assert mine.next() is None


def test_the_list_prints_as_a_table(mine):
    assert len(list(mine)) == len(mine) == 36
    assert str(mine) == repr(mine) == str(mine.table())
    assert str(mine).splitlines()[1].split()[0] == "cube"
    assert mine._repr_html_() == mine.table()._repr_html_()


def test_an_unknown_name_gets_a_suggestion(mine):
    with pytest.raises(KeyError, match="did you mean 'chain-w1'"):
        mine["chain-w11"]
    with pytest.raises(KeyError, match=r"print\(tg.exercises\) lists"):
        mine["7"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        '{"cube": 3}',
        '{"cube": {"done": 1}}',
        '{"cube": {"tries": 1.5}}',
        '{"cube": {"shown": ["a"]}}',
        '{"cube": {"shown": 3}}',
        '{"cube": {"unknown": 3}}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_named_and_not_lost(mine, path, content):
    content = content.encode() if isinstance(content, str) else content
    path.parent.mkdir()
    path.write_bytes(content)
    for asked in (lambda: mine["cube"].check(0), mine["cube"].reveal, mine.table):
        with pytest.raises(ValueError, match=r"progress.json: .* rename it to start"):
            asked()
    assert path.read_bytes() == content


def test_an_answer_is_checked_also_where_nothing_can_be_kept(tmp_path):
    (tmp_path / "file").touch()
    mine = Exercises(tmp_path / "file" / "progress.json")
    exercise = mine["cube"]
    with pytest.warns(UserWarning, match="progress is not kept: ") as caught:
        assert exercise.check(exercise.right())
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("platform", "below_home"),
    [
        ("linux", ".local/share/tinygrad_edu"),
        ("darwin", "Library/Application Support/tinygrad_edu"),
        ("win32", "AppData/Local/tinygrad_edu/tinygrad_edu/Data"),
    ],
)
def test_each_platform_has_its_folder(monkeypatch, tmp_path, platform, below_home):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert data_folder() == tmp_path / "data" / "tinygrad_edu"
    exercise = tg.exercises["cube"]
    exercise.check(exercise.right())
    assert (data_folder() / "exercises.json").exists()
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert data_folder() == tmp_path / below_home
