"""Film the page of `step_through` for XOR: docs/images/step-through*.webp.

python docs/film.py
"""

import io
import runpy
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "examples"), str(ROOT / "tests")]

from chromium import launched  # noqa: E402  (one of the tests' modules)

FILMS = {
    "light": ROOT / "docs" / "images" / "step-through.webp",
    "dark": ROOT / "docs" / "images" / "step-through-dark.webp",
}
SIZE = {"width": 900, "height": 400}
SHARPNESS = 1.5  # pixels of the film for each of the page
STEP, REST = 1400, 4000  # milliseconds
# The film shows the graph and the sentence below it, and not what one would click on.
STYLE = """
#controls, #below, #figures, #hint, #card, #minimap { display: none !important }
main { grid-template-rows: minmax(0, 1fr) 6.2rem !important }
"""


def film(browser: Any, page: Path, scheme: str) -> Iterator[Image.Image]:
    """Take a picture of each step."""
    shown = browser.new_page(
        viewport=SIZE,
        device_scale_factor=SHARPNESS,
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    shown.goto(page.as_uri())
    shown.add_style_tag(content=STYLE)
    shown.evaluate("document.querySelector('#fit').click()")
    forward = shown.locator("#forward")
    while True:
        shown.wait_for_timeout(200)
        yield Image.open(io.BytesIO(shown.screenshot()))
        if forward.is_disabled():
            break
        forward.evaluate("button => button.click()")
    shown.close()


def main() -> None:
    example = runpy.run_path(str(ROOT / "examples" / "step_through_xor.py"))
    with tempfile.TemporaryDirectory() as folder, launched() as browser:
        page = Path(folder, "xor.html")
        example["write_page"](example["train"](), page)
        for scheme, path in FILMS.items():
            first, *others = film(browser, page, scheme)
            first.save(
                path,
                save_all=True,
                append_images=others,
                duration=[STEP] * len(others) + [REST],
                loop=0,
                lossless=True,
                method=6,
            )
            print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
