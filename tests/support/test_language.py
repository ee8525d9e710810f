"""Every message can be said in each language that has a catalogue."""

import ast
import json
import os
import re
import shutil
import string
import subprocess
import sys
from gettext import GNUTranslations
from pathlib import Path

import messages
import numpy as np
import pytest
from terms import badly_said

import tinygrad_edu as tg
from tinygrad_edu.support import language
from tinygrad_edu.support.language import languages, say, say_also, speaking, spoken

EXTRACTED = messages.extracted()
TRANSLATED = languages()[1:]
each_language = pytest.mark.parametrize("lang", TRANSLATED)


def texts_of(catalogue):
    return {(m.context, m.id): m.string for m in catalogue if m.id}


def fields_of(text):
    """List the fields of a message, with how each is written."""
    return sorted(field[1:] for field in string.Formatter().parse(text) if field[1])


# --- The catalogues -------------------------------------------------------------------


@each_language
def test_every_message_is_translated(lang):
    """If not: python tests/messages.py, and translate."""
    catalogue = messages.read(messages.path_of(lang))
    texts = texts_of(catalogue)
    assert texts.keys() ^ texts_of(EXTRACTED).keys() == set()
    assert [key for key, text in texts.items() if not text] == []
    assert [m.id for m in catalogue if m.id and m.fuzzy] == []


@each_language
def test_a_translation_has_the_same_fields_and_the_same_formulas(lang):
    block = re.compile("^    .*", re.MULTILINE)
    texts = texts_of(messages.read(messages.path_of(lang)))
    for (_, text), translated in texts.items():
        assert fields_of(translated) == fields_of(text)
        assert block.findall(translated) == block.findall(text)


@each_language
def test_what_is_read_is_what_was_translated(lang):
    path = messages.path_of(lang)
    with open(path.with_suffix(".mo"), "rb") as file:
        compiled = GNUTranslations(file)
    for (context, text), translated in texts_of(messages.read(path)).items():
        told = compiled.pgettext(context, text) if context else compiled.gettext(text)
        assert told == translated


def test_every_call_of_say_is_extracted():
    """A message in an f-string, or one made of parts, would be missed."""
    package = Path(tg.__file__).parent
    said = {
        call.args[0].value
        for path in package.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("say", "say_also")
        and isinstance(call.args[0], ast.Constant)
    }
    assert len(said) > 100
    assert {text for _, text in texts_of(EXTRACTED)} >= said


def test_chinese_has_the_terms_of_the_textbooks():
    text = messages.path_of("zh_CN").read_text("utf-8")
    assert badly_said(text) == {}
    assert re.findall("[，。：；？！] ", text) == []
    for term in ("准确率", "上游梯度", "反向传播", "正则化", "交叉熵"):
        assert term in text


@pytest.fixture
def locale(tmp_path, monkeypatch):
    """Return a folder with copies of the catalogues."""
    shutil.copytree(language.LOCALE, tmp_path / "locale")
    monkeypatch.setattr(language, "LOCALE", tmp_path / "locale")
    return tmp_path / "locale"


def test_a_third_language_is_a_file(locale):
    path = messages.path_of("eo")
    todo = messages.bring_up_to_date(path)
    assert len(todo) == len(texts_of(EXTRACTED))
    text = path.read_text("utf-8")
    for english, translated in [
        ("its sign is flipped", "la signo estas inversa"),
        ("wrong: {slip}", "malĝuste: {slip}"),
    ]:
        text = text.replace(
            f'msgid "{english}"\nmsgstr ""', f'msgid "{english}"\nmsgstr "{translated}"'
        )
    path.write_text(text, "utf-8")
    assert len(messages.bring_up_to_date(path)) == len(todo) - 2
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    (row,) = tg.compare([-2 * w.data], (w * w).sum(), [w], lang="eo")
    assert row.verdict == "malĝuste: la signo estas inversa"
    (row,) = tg.compare([[np.nan, 0]], (w * w).sum(), [w], lang="eo")
    assert row.verdict == "malĝuste: it has a NaN or an infinity"  # not yet translated


def test_nothing_changes_a_catalogue_that_is_up_to_date(locale):
    path = messages.path_of("zh_CN")
    before = path.read_text("utf-8")
    assert messages.bring_up_to_date(path) == []
    generator = re.compile('"Generated-By: .*')
    assert generator.sub("", path.read_text("utf-8")) == generator.sub("", before)


def test_what_is_not_said_any_more_leaves_the_catalogue(locale):
    path = messages.path_of("zh_CN")
    with open(path, "a", encoding="utf-8") as file:
        file.write('\nmsgid "no longer said"\nmsgstr "不再用了"\n')
    messages.bring_up_to_date(path)
    assert "no longer said" not in path.read_text("utf-8")


def test_the_page_gets_its_words_at_once(locale):
    path = messages.path_of("zh_CN")
    catalogue = messages.read(path)
    catalogue.add("{n} steps", "{n} 步", context="page")
    with open(path.with_suffix(".mo"), "wb") as file:
        messages.write_mo(file, catalogue)
    language._catalogue.cache_clear()
    with speaking("zh"):
        words = json.loads(json.dumps(language.words_of("page")))
        assert words["{n} steps"] == "{n} 步"
        assert "its sign is flipped" not in words
        assert say("{n} steps", n=3) == "3 steps"
    language._catalogue.cache_clear()
    assert language.words_of("page") == {}


# --- Which language -------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["zh", "zh_CN", "zh-CN", "zh_CN.UTF-8", "ZH", "zh_SG"])
def test_a_language_is_found_by_its_usual_names(lang):
    with speaking(lang):
        assert spoken() == "zh_CN"
        assert say("its sign is flipped") == "符号反了"
    assert say("its sign is flipped") == "its sign is flipped"


@pytest.mark.parametrize("lang", ["en", "en_US", "en-HK", "en_TW.UTF-8"])
def test_english_is_the_same_everywhere(lang):
    with speaking(lang):
        assert spoken() == "en"


@pytest.mark.parametrize("lang", ["xx", "z", "", 5, "zh_TW", "zh-Hant", "zh-Hant-HK"])
def test_a_language_without_a_catalogue_is_refused(lang, tmp_path):
    w = tg.Tensor(2.0, requires_grad=True)
    expected = f"lang: there is no catalogue for {lang!r}; there are en, zh_CN"
    for call in (
        lambda: tg.compare([4.0], w * w, [w], lang=lang),
        lambda: tg.explain(w * w, lang=lang),
        lambda: tg.gradcheck(lambda w: w * w, w, lang=lang),
        lambda: tg.exercises.in_language(lang),
        lambda: tg.step_through(w * w, tmp_path / "page.html", lang=lang),
    ):
        with pytest.raises(ValueError, match=re.escape(expected)):
            call()


def test_the_argument_beats_the_variable_which_beats_english(monkeypatch):
    w = tg.Tensor(2.0, requires_grad=True)

    def verdict(lang=None):
        return tg.compare([-4.0], w * w, [w], lang=lang)[0].verdict

    assert verdict() == verdict("en") == "wrong: its sign is flipped"
    monkeypatch.setenv("TINYGRAD_EDU_LANG", "zh")
    assert verdict() == "错误：符号反了"
    assert verdict("en") == "wrong: its sign is flipped"
    monkeypatch.setenv("TINYGRAD_EDU_LANG", "xx")
    with pytest.raises(ValueError, match=r"^TINYGRAD_EDU_LANG: there is no"):
        verdict()
    assert verdict("zh") == "错误：符号反了"
    monkeypatch.setenv("TINYGRAD_EDU_LANG", "")
    assert verdict() == "wrong: its sign is flipped"


def test_blocks_can_be_nested_and_end_also_with_an_error():
    with speaking("zh"):
        with speaking("en"), pytest.raises(ZeroDivisionError), speaking("zh"):
            1 / 0  # noqa: B018
        with speaking(None):
            assert spoken() == "zh_CN"
    assert spoken() == "en"


def test_fields_are_filled_in_and_braces_in_them_stay():
    assert say("{x} of shape {shape}", x="{y}", shape=(2,)) == "{y} of shape (2,)"
    with speaking("zh"):
        assert say("{x} of shape {shape}", x="{y}", shape=(2,)) == "{y}（形状 (2,)）"


def test_an_error_is_in_english_with_a_line_in_another_language():
    message = "compare: the gradient for {name} is None; was backward() called?"
    english = "compare: the gradient for w is None; was backward() called?"
    assert say_also(message, name="w") == english
    with speaking("zh"):
        assert say_also(message, name="w").splitlines() == [
            english,
            "compare：对 w 的梯度是 None；调用过 backward() 吗？",
        ]


def test_the_variable_counts_in_a_program(tmp_path):
    program = "import tinygrad_edu as tg; print(tg.exercises['cube'])"
    run = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program],
        env={**os.environ, "TINYGRAD_EDU_LANG": "zh", "XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "在给定的 x 处的导数是多少？" in run.stdout


# --- What is said ---------------------------------------------------------------------


def han(text):
    return re.findall("[一-鿿]", text)


def test_explain_speaks_chinese_in_all_its_forms():
    w = tg.Tensor(np.ones((3, 3)), requires_grad=True, name="w")
    many = [tg.Tensor(1.0, requires_grad=True, name=f"p{i}") for i in range(21)]
    loss = sum(many, (w * w).sum())
    english, chinese = tg.explain(loss), tg.explain(loss, lang="zh")
    forms = [str, type(english).to_markdown, type(english).to_latex]
    for form in forms:
        assert han(form(english)) == []
        assert "函数" in form(chinese)
        assert "已知" in form(chinese)
        words = re.findall("function|value|shape|given|more", form(chinese))
        assert words == []
    assert "还有 2 个：用 explain(y, wrt=...) 查看" in str(chinese)
    header, *rows = str(chinese).split("\n\n")[0].splitlines()
    place = len(rows[0].split("  ()")[0].encode("gbk"))
    assert len(header.split("  形状")[0].encode("gbk")) == place


def test_gradcheck_tells_the_fault_in_chinese_below_the_english():
    @tg.op
    def wrong_cube(x):
        return x**3

    wrong = wrong_cube.vjp(x=lambda g, y, x: -3 * g * x * x)

    def message(lang):
        with pytest.raises(tg.GradientError) as caught:
            tg.gradcheck(wrong, [1.0, 2.0], lang=lang)
        return re.sub(r"test_language.py:\d+", "", str(caught.value)).splitlines()

    english, both = message("en"), message("zh")
    assert both[: len(english)] == english
    (line,) = both[len(english) :]
    assert line.startswith("- wrong_cube 对输入 x 的规则")
    assert line.endswith("有误：符号反了")


def test_exercises_speak_chinese(tmp_path):
    path = tmp_path / "progress.json"
    exercises = tg.exercises.kept_in(path).in_language("zh")
    assert exercises.kept_in(path)["cube"].lang == "zh"
    for exercise in exercises.values():
        title, question = str(exercise).splitlines()[0:3:2]
        assert han(title)
        assert len(question.encode("gbk")) <= 80
        assert han(exercise._repr_markdown_())
        assert exercise.hint().startswith("提示 1/")
        verdict = exercise.check(exercise.right())
        assert str(verdict) == "正确：做得好"
    exercise = exercises["sigma-prime"]
    a = 1 / (1 + np.exp(-exercise.given["z"]))
    wrong = "还不对：缺少因子 (1 - a)\n参见 lessons/01-one-path。"
    assert str(exercise.check(a)) == wrong
    assert exercise.check(round(a, 3)).says == "也许是：缺少因子 (1 - a)"
    exercise.reveal()
    assert str(exercise.check(exercise.right())).endswith("换一组数再试：seed=1")
    uphill = exercises["sgd"].check(lambda w, g, lr: w + lr * g)
    assert uphill.says == "这一步是往山上走的"
    header, *rows = str(exercises.table()).splitlines()
    assert header.split() == ["练习", "标题", "课程", "状态"]
    assert rows[0].endswith("已完成")
