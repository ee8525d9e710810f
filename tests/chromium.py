"""The browser that pages are opened in: a Chromium that is there, without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])),
    None,
)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@contextmanager
def launched(*arguments: str) -> Iterator:
    """Start the browser, which reaches for nothing by itself."""
    playwright = pytest.importorskip("playwright.sync_api")
    arguments = ("--no-sandbox", "--disable-background-networking", *arguments)
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()
