"""What the site adds to the pages, on a small one built as the real one is."""

import functools
import http.server
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from chromium import in_browser

pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ["furo", "myst_nb", "sphinx", "sphinx_revealjs"])),
    reason="the extra named docs is not installed",
)

ROOT = Path(__file__).parents[1]
INDEX = """\
# Front page

```{toctree}
:caption: Start

lesson
exercises
teaching/slides
```

```{toctree}
:caption: 简体中文

lesson.zh-CN
questions.zh-CN
```
"""
LESSON = """\
# A lesson

Words, and `nabla_b`.

![A picture](images/sigmoid.png)

```python
import tinygrad_edu as tg

x = tg.Tensor(3.0, requires_grad=True, name="x")
tg.step_through(x * x, "square.html")
```

![It stands for the page](images/step-through.webp)

**1.1** How much is it?

<details>
<summary>Answer</summary>

It is

```python
print(2**5)
```

```text
32
```

</details>

**1.2** Why?

<details>
<summary>Answer</summary>

Because.

</details>

![Another picture](images/xor.png)
"""
SLIDES = """\
# The talk

Nothing is known yet.

## Predict

How much is $2^5$?

```python
print(2**5)
```

```text
32
```

## Watch

```python
import tinygrad_edu as tg

x = tg.Tensor(3.0, requires_grad=True, name="x")
tg.step_through(x * x, "square.html")
```
"""
CHINESE = """\
# 一课

沿着**梯度下降**网络就在学习。

```{toctree}
more.zh-CN
```
"""
MORE = """\
# 第二课

反向传播求出梯度。

```python
import tinygrad_edu as tg

x = tg.Tensor(3.0, requires_grad=True, name="x")
tg.step_through(x * x, "square.html")
```
"""
EXERCISES = """\
# Exercises
"""
QUESTIONS = """\
# 常见问题
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build a small site."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for folder in "images", "teaching":
        (source / folder).mkdir()
    for name in "step-through.webp", "sigmoid.png", "xor.png":
        picture = ROOT / "docs" / "images" / name
        (source / "images" / name).write_bytes(picture.read_bytes())
    pages = {"index": INDEX, "lesson": LESSON, "lesson.zh-CN": CHINESE}
    pages |= {"more.zh-CN": MORE, "questions.zh-CN": QUESTIONS}
    pages |= {"exercises": EXERCISES, "teaching/slides": SLIDES}
    for name, text in pages.items():
        (source / f"{name}.md").write_text(text, "utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-c", ROOT / "docs"]
    subprocess.run([*command, source, out], check=True)
    return out


def read(path):
    bs4 = pytest.importorskip("bs4")
    return bs4.BeautifulSoup(path.read_text("utf-8"), "html.parser")


def sidebar(page):
    return [link.get_text() for link in page.select(".sidebar-tree a")]


def test_a_page_has_the_sidebar_of_its_language(site):
    english = ["A lesson", "Exercises", "The talk", "一课"]
    assert sidebar(read(site / "lesson.html")) == english
    for name in "lesson.zh-CN.html", "more.zh-CN.html":
        assert sidebar(read(site / name)) == ["一课", "第二课", "常见问题"]


def test_a_page_in_chinese_has_chinese_buttons(site):
    english, chinese = read(site / "lesson.html"), read(site / "more.zh-CN.html")
    assert (english.html["lang"], chinese.html["lang"]) == ("en", "zh-CN")
    assert english.select_one(".prev-page .context").get_text(strip=True) == "Previous"
    assert chinese.select_one(".prev-page .context").get_text(strip=True) == "上一页"


def test_the_page_of_a_graph_is_live_and_has_an_address(site):
    page = read(site / "lesson.html")
    frame, link = page.select_one("iframe"), page.select_one(".live a")
    assert frame["src"] == link["href"] == "_pages/lesson-1.html"
    assert "srcdoc" not in str(page)
    text = (site / frame["src"]).read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    # The picture that stands for it is left out; others are there.
    shown = [picture["alt"] for picture in page.select("article img")]
    assert shown == ["A picture", "Another picture"]


def test_a_page_in_chinese_has_graphs_in_chinese(site):
    pages = read(site / "more.zh-CN.html"), read(site / "_pages/more.zh-CN-1.html")
    assert [page.html["lang"] for page in pages] == ["zh-CN"] * 2
    assert 'lang="zh"' in pages[0].select_one("article").get_text()
    assert read(site / "_pages/lesson-1.html").html["lang"] == "en"


def test_a_notebook_hides_answers_and_has_its_pictures(site):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(site / "_notebooks" / "lesson.ipynb", as_version=4)
    nbformat.validate(notebook)
    words = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    first, second = (text for text in words if "Answer" in text)
    for answer in first, second:
        assert answer.startswith("<details>\n\n<summary>Answer</summary>")
        assert answer.endswith("</details>")
    assert "```python\nprint(2**5)\n```\n\n```text\n32\n```" in first
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].startswith("import tinygrad_edu")
    assert code[1:] == ["", ""]  # to try it before one looks
    text = "".join(words)
    assert "images/" not in text
    for alt in "A picture", "Another picture":
        assert f'<img alt="{alt}" src="data:image/png;base64,' in text


def test_the_exercises_can_be_downloaded_as_a_notebook(site):
    nbformat = pytest.importorskip("nbformat")
    (link,) = read(site / "exercises.html").select("a.notebook")
    assert link.text == "↓ Exercises"
    nbformat.validate(nbformat.read(site / link["href"], as_version=4))


def test_a_page_is_shown_as_slides_too(site):
    page = read(site / "teaching" / "slides.html")
    (link,) = (a["href"] for a in page.select("a.notebook") if a.text == "Slides")
    path = (site / "teaching" / link).resolve()
    slides = read(path).select(".slides section > h1, .slides section > h2")
    assert [slide.contents[0] for slide in slides] == ["The talk", "Predict", "Watch"]
    _, predict, watch = (slide.parent for slide in slides)
    assert predict.select_one(".fragment").get_text(strip=True) == "32"
    assert predict.select_one(".highlight .nb").text == "print"
    assert not watch.select(".fragment")
    frame = path.parent / watch.iframe["src"]
    assert "<!doctype html>" in frame.read_text("utf-8")


def test_slides_need_no_network(site):
    path = site / "_slides" / "teaching" / "slides.html"
    page = read(path)
    loaded = [x["src"] for x in page.select("script[src]")]
    loaded += [x["href"] for x in page.select("link[rel=stylesheet]")]
    assert any("mathjax" in name for name in loaded)
    for name in loaded:
        assert (path.parent / name.partition("?")[0]).exists(), name


@in_browser
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("梯度", {"一课", "第二课"}),
        ("学习", {"一课"}),
        ("梯度下降", {"一课"}),
        ("反向传播", {"第二课"}),
        ("就", {"一课"}),
        ("度梯", set()),
        ("words", {"A lesson"}),
        ("word", {"A lesson"}),
        ("nabla_b", {"A lesson"}),
    ],
)
def test_the_search_finds_what_stands_on_a_page(address, browser, query, found):
    page = browser.new_page()
    page.goto(f"{address}/search.html?q={query}")
    page.wait_for_selector("#search-results p.search-summary:not(:empty)")
    assert {*page.locator("#search-results li a").all_inner_texts()} == found
    page.close()


@pytest.fixture(scope="module")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
