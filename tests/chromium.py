"""The browser that pages are opened in: a Chromium that is there, without a window."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])),
    None,
)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

# axe-core, which checks what a page is to people who do not see it, or not well: where
# AXE_CORE says that its axe.min.js is, or where npm puts it.
AXE = Path(
    os.environ.get("AXE_CORE")
    or Path(__file__).parents[1] / "node_modules/axe-core/axe.min.js"
)
needs_axe = pytest.mark.skipif(
    not AXE.is_file(), reason="there is no axe-core here (npm install axe-core)"
)


def expect(locator):
    """Wait until what is said next holds: ``expect(title).to_have_text("XOR")``."""
    return pytest.importorskip("playwright.sync_api").expect(locator)


@contextmanager
def launched(*arguments: str) -> Iterator:
    """Start the browser, which reaches for nothing by itself."""
    playwright = pytest.importorskip("playwright.sync_api")
    arguments = ("--no-sandbox", "--disable-background-networking", *arguments)
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()
