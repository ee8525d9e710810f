"""A page in a notebook, as a part of it."""

import pickle
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from chromium import in_browser, launched
from leaves import leaf

import tinygrad_edu as tg

NAME = """it's "<b>&amp;"""


@pytest.fixture
def page(tmp_path):
    x = leaf(3.0, NAME)
    return tg.step_through(x * x, tmp_path / "page.html")


def test_it_is_a_path(page, tmp_path):
    path = tmp_path / "page.html"
    assert isinstance(page, Path)
    assert (page, hash(page), str(page)) == (path, hash(path), str(path))
    assert (tmp_path / page).read_bytes() == path.read_bytes()
    assert pickle.loads(pickle.dumps(page)) == path


def test_a_notebook_holds_the_whole_page(page):
    content = page.read_text("utf-8")
    page.unlink()  # no file is needed
    (frame,) = elements(page._repr_html_())
    assert frame["srcdoc"] == content
    assert frame["title"].endswith(", step by step")


def elements(html):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(dict(attributes))
    parser.feed(html)
    return found


def test_a_path_that_is_made_of_it_is_shown_as_a_path(page):
    for path in (page.parent, page.with_suffix(".txt"), page / "other"):
        assert getattr(path, "_repr_html_", lambda: None)() is None


POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src https: data:; child-src https: data:"
)
# How notebooks show what a cell gives: in their own document; under a policy, as VS
# Code's; in a frame that may only run scripts, as Colab's.
HOSTS = {
    "JupyterLab": lambda cell: f"<h1>A notebook</h1>{cell}",
    "VS Code": lambda cell: (
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">{cell}'
    ),
    "Colab": lambda cell: (
        f'<iframe sandbox="allow-scripts" srcdoc="{escape(cell)}"></iframe>'
    ),
}


@in_browser
@pytest.mark.parametrize("host", HOSTS)
def test_it_lives_in_the_document_of_a_notebook(page, host):
    with launched("--disable-gpu") as browser:
        document = browser.new_page(viewport={"width": 900, "height": 800})
        complaints = []
        document.on("console", lambda message: complaints.append(message.text))
        document.on("pageerror", lambda error: complaints.append(str(error)))
        document.set_content(HOSTS[host](page._repr_html_()))
        frame = document.frame_locator("iframe")
        if host == "Colab":
            frame = frame.frame_locator("iframe")
        count = frame.locator("#count")
        before = count.inner_text()
        assert re.search(r"\d", before)
        frame.locator("#forward").click()
        assert count.inner_text() != before
        assert complaints == []


@in_browser
@pytest.mark.parametrize(
    ("attribute", "light", "dark"),
    [("data-theme", "light", "dark"), ("data-jp-theme-light", "true", "false")],
)
def test_it_is_dark_when_the_page_around_it_is_set_so(page, attribute, light, dark):
    """Furo's switch, and JupyterLab's; without them it is as the system is."""
    with launched("--disable-gpu") as browser:
        document = browser.new_page(color_scheme="light")
        document.set_content(page._repr_html_())
        (_, frame) = document.frames
        frame.wait_for_selector("#picture image, #picture .value")
        brightness = """() => {
            const canvas = new OffscreenCanvas(1, 1).getContext("2d");
            return ["#picture .op rect", "#graph"].map((selector) => {
                const style = getComputedStyle(document.querySelector(selector));
                const shape = selector.includes("rect");
                canvas.fillStyle = shape ? style.fill : style.backgroundColor;
                canvas.fillRect(0, 0, 1, 1);
                return canvas.getImageData(0, 0, 1, 1).data[1] > 128;
            });
        }"""

        def shown(set_to, system):
            document.emulate_media(color_scheme=system)
            document.evaluate(
                f"value => document.body.setAttribute('{attribute}', value)", set_to
            )
            document.wait_for_timeout(50)
            return frame.evaluate(brightness)  # of an op, of the paper

        assert shown("auto", "light") == [False, True]
        assert shown("auto", "dark") == [True, False]
        assert shown(light, "dark") == [False, True]
        assert shown(dark, "dark") == [True, False]
        assert shown(dark, "light") == [True, False]
        assert frame.evaluate("getComputedStyle(document.body).colorScheme") == "dark"
        assert shown(light, "light") == [False, True]
