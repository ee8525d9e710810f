"""The pages of `step_through` on the site: live, and each with an address of its own.

A notebook holds such a page in an ``<iframe srcdoc>``. The site makes a file of it, so
that one can link to a step, and the text around it loads fast.
"""

import re
from html import unescape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

CALL = re.compile(r"^(tg\.step_through\(.*)\)$", re.MULTILINE)
FRAME = re.compile(r"<iframe title='([^']*)' srcdoc='([^']*)'.*?</iframe>", re.DOTALL)
FOLDER = "_pages"


def translate(app: Sphinx, page: str, source: list[str]) -> None:
    """Let a Chinese page of the site show a page in Chinese."""
    if page.endswith(".zh-CN"):
        source[0] = CALL.sub(r'\1, lang="zh")', source[0])


def give_address(app: Sphinx, doctree: nodes.document, page: str) -> None:
    if app.builder.format != "html":
        return
    words = "单独打开" if page.endswith(".zh-CN") else "Open this page on its own"
    frames = (raw for raw in doctree.findall(nodes.raw) if FRAME.match(raw.astext()))
    for number, frame in enumerate(frames, 1):
        title, content = FRAME.match(frame.astext()).groups()
        name = f"{FOLDER}/{page}-{number}.html"
        path = Path(app.outdir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(unescape(content), "utf-8")
        link = "../" * page.count("/") + name
        frame.children = [
            nodes.Text(
                f"<div class='live'><iframe title='{title}' src='{link}' "
                f"loading='lazy'></iframe><a href='{link}'>{words}</a></div>"
            )
        ]


def setup(app: Sphinx) -> None:
    app.connect("source-read", translate)
    app.connect("doctree-resolved", give_address)
