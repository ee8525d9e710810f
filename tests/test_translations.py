"""A translation shows what its original shows: the same code, formulas and links."""

import re
from pathlib import Path

import pytest
from terms import badly_said

ROOT = Path(__file__).parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *(page for page in ROOT.glob("docs/**/*.md") if "_build" not in page.parts),
]
TRANSLATIONS = sorted(page for page in PAGES if ".zh-CN" in page.name)


def original(page):
    return page.with_name(page.name.replace(".zh-CN", ""))


BLOCK = re.compile(
    r"(?P<code>^```.*?^```$)|(?P<formula>^\$\$$.*?^\$\$$)|(?P<other>^\S.*?)(?=\n\n|\n*\Z)",
    re.DOTALL | re.MULTILINE,
)
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)]+)\)")
INLINE = re.compile(r"`[^`]+`|\$[^$]+\$")


def blocks(text):
    """List what must be equal: of each block its kind, and all in it but the words."""
    return [_block(found) for found in BLOCK.finditer(text)]


def _block(found):
    text = found.group()
    if found["code"]:
        return ["code", text.replace(".zh-CN", "")]  # a table of contents names pages
    if found["formula"]:
        return ["formula", re.sub(r"\\text\{(?!Loss)[^}]*\}", "", text)]
    inline = sorted(INLINE.findall(text))
    links = sorted(link.replace(".zh-CN", "") for link in LINK.findall(text))
    return [_shape(text), *inline, *links]


def _shape(text):
    if heading := re.match(r"#+ ", text):
        return heading.group()
    if text.startswith("<"):
        return re.sub(r'(?<=>)[^<]+(?=<)|(?<= alt=")[^"]+', "", text)
    if text.startswith("|"):
        return [row.count("|") for row in text.splitlines()]
    items = re.findall(r"^(?:- |\d+\. )", text, re.MULTILINE)
    return items or "paragraph"


def links(text):
    found = LINK.findall(CODE.sub("", text))
    return [link for link in found if not link.startswith("http")]


def check(page):
    """Fail at the first block that differs, or at a link that leads elsewhere."""
    text, source = page.read_text("utf-8"), original(page).read_text("utf-8")
    ours, theirs = blocks(text), blocks(source)
    for number, (mine, other) in enumerate(zip(ours, theirs)):
        assert mine == other, f"{page.name}, block {number}"
    assert len(ours) == len(theirs), f"{page.name}: blocks"

    assert original(page).name in links(text), f"{page.name}: no way to the original"
    assert page.name in links(source), f"{original(page).name}: no way here"
    for link in links(text):
        target = page.parent / link.partition("#")[0]
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        translated = target.with_suffix(".zh-CN.md")
        assert target == original(page) or not translated.exists(), (
            f"{page.name}: {link} is translated too"
        )


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.name)
def test_a_translation_shows_what_its_original_shows(page):
    check(page)


def test_what_is_translated():
    lessons = [page for page in PAGES if page.parent == ROOT / "docs" / "lessons"]
    assert len(lessons) == 14
    originals = {original(page) for page in TRANSLATIONS}
    assert originals == {
        ROOT / "README.md",
        ROOT / "docs" / "backpropagation.md",
        ROOT / "docs" / "exercises.md",
        ROOT / "docs" / "faq.md",
        ROOT / "docs" / "from-the-page-in-your-hand.md",
        ROOT / "docs" / "is-my-gradient-right.md",
        ROOT / "docs" / "quick-start.md",
        ROOT / "docs" / "see-it.md",
        *(page for page in lessons if ".zh-CN" not in page.name),
    }


PAGE = r"""# A page

[中文](page.zh-CN.md), [more](more.md)

The area of a circle is $\pi r^2$, by `area(r)`.

- one
- two

$$
A = \pi r^2 \quad\text{where}\quad r = 1
$$

```python
print(3.14)  # about
```

| a | b |
|---|---|
| 1 | 2 |

<details>
<summary>Answer</summary>

</details>

<img src="a.png" alt="A circle">
"""
TRANSLATED = (
    PAGE.replace("A page", "一页")
    .replace("page.zh-CN.md", "page.md")
    .replace("more.md", "more.zh-CN.md")
    .replace("The area of a circle is", "圆的面积是")
    .replace("where", "其中")
    .replace("Answer", "答案")
    .replace("A circle", "圆")
)


@pytest.fixture
def page(tmp_path):
    (tmp_path / "page.md").write_text(PAGE, "utf-8")
    for name in ("more.md", "more.zh-CN.md", "other.md"):
        (tmp_path / name).write_text("# More\n", "utf-8")
    return tmp_path / "page.zh-CN.md"


def test_words_may_differ(page):
    page.write_text(TRANSLATED, "utf-8")
    check(page)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("# 一页", "## 一页", "block 0"),
        ("page.md", "other.md", "block 1"),
        (", [more](more.zh-CN.md)", "", "block 1"),
        ("more.zh-CN.md", "more.md", "more.md is translated too"),
        (r"$\pi r^2$", r"$\pi r$", "block 2"),
        ("`area(r)`", "`area(R)`", "block 2"),
        ("- one\n", "", "block 3"),
        (r"A = \pi", r"A = 2 \pi", "block 4"),
        ("3.14", "3.15", "block 5"),
        ("# about", "# 大约", "block 5"),
        ("| 1 | 2 |", "| 1 | 2 | 3 |", "block 6"),
        ("<details>", "<details open>", "block 7"),
        ("圆的面积是", "圆。\n\n圆的面积是", "block 2"),
        ("\n</details>\n", "", "block 8"),
        ("a.png", "b.png", "block 9"),
    ],
)
def test_whatever_else_differs_is_found(page, old, new, fault):
    assert TRANSLATED.count(old) == 1
    page.write_text(TRANSLATED.replace(old, new), "utf-8")
    with pytest.raises(AssertionError, match=rf"page\.zh-CN\.md.*{fault}"):
        check(page)


def test_a_page_and_its_translation_lead_to_each_other(page):
    page.write_text(TRANSLATED, "utf-8")
    source = original(page)
    source.write_text(PAGE.replace("(page.zh-CN.md)", "(page.md)"), "utf-8")
    with pytest.raises(AssertionError, match=r"page\.md: no way here"):
        check(page)


def test_a_link_that_leads_nowhere_is_found(page):
    (page.parent / "more.zh-CN.md").unlink()
    page.write_text(TRANSLATED, "utf-8")
    with pytest.raises(AssertionError, match=r"more\.zh-CN\.md leads nowhere"):
        check(page)


# --- Terms ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.name)
def test_a_term_is_the_same_on_every_page(page):
    assert badly_said(CODE.sub("", page.read_text("utf-8"))) == {}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Jupyter 笔记本显示余切向量", []),
        ("笔记本显示余切", ["笔记本", "余切"]),
        ("因为一个值总比它的输入更新。", ["比它的输入更新"]),
        ("比较之后。再更新权重", []),
        ("链式法则、正则化、计算图", []),
        ("链法则、规格化、运算图", ["链法则", "运算图", "规格化"]),
        ("五个周期后的正确率", ["周期", "正确率"]),
    ],
)
def test_a_term_that_is_not_ours_is_found(text, wrong):
    assert list(badly_said(text)) == wrong


# --- Formulas, as GitHub reads them ---------------------------------------------------


def badly_set(text):
    """Find what GitHub does not set as a formula, or not as it is meant.

    A dollar sign opens a formula after a space, and closes one before anything but a
    letter or digit. A backslash before a sign is taken away by Markdown.
    """
    text = CODE.sub("", text)
    text = re.sub(r"^\$\$\n(.*?)\n\$\$$", r"", text, flags=re.DOTALL | re.MULTILINE)
    found = re.finditer(r"(?<!\$)\$([^$]+)\$", " " + text + " ")
    return [
        m.group()
        for m in found
        if not m.string[m.start() - 1].isspace()
        or re.match("[A-Za-z0-9]", m.string[m.end()])
        or re.search(r"^\s|\s$|\n|\\[^A-Za-z]", m.group(1))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_formulas_are_set_as_github_wants_them(page):
    assert badly_set(page.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("let $x$ be", []),
        ("设 $x$", []),
        ("$x$是", []),
        ("$x$, `a$b` and $y$", []),
        ("设$x$", ["$x$"]),
        ("($x$)", ["$x$"]),
        ("$x$y", ["$x$"]),
        ("$ x$", ["$ x$"]),
        ("$x +\ny$", ["$x +\ny$"]),
        (r"$\{x\}$", [r"$\{x\}$"]),
        ("$$\nx \\, y\n$$", []),
    ],
)
def test_a_formula_that_github_would_not_set_is_found(text, wrong):
    assert badly_set(text) == wrong
