"""How long `step_through` takes to write a page, and the page to take a step.

    pytest tests/benchmarks

As in `test_scaling.py` only what is shown is asserted, and times are printed, each
limit marked ok or over. In the browser a step is taken in each frame, by a click as a
user would; its work is the program's time, until there is a new layout to paint.
"""

from time import perf_counter

import numpy as np
import pytest
from chromium import in_browser, launched
from test_scaling import mark

import tinygrad_edu as tg

WRITE_LIMIT = 1000
FRAME_LIMIT = 16.7
STEPS = 300

# Goes forward to the end, and back to the first step, and so on.
DRIVE = """steps => new Promise((finish) => {
    const works = [], frames = [];
    let direction = "forward", before = performance.now();
    function frame(now) {
        if (document.getElementById(direction).disabled)
            direction = direction === "forward" ? "back" : "forward";
        const start = performance.now();
        document.getElementById(direction).click();
        document.body.offsetHeight;  // the browser lays the page out now
        works.push(performance.now() - start);
        frames.push(now - before);
        before = now;
        if (works.length < steps) requestAnimationFrame(frame);
        else finish([works, frames.slice(1)]);
    }
    requestAnimationFrame(frame);
})"""


def network(sizes, n, dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, sizes[0])).astype(dtype)
    y = rng.random((n, sizes[-1])).astype(dtype)
    return tg.losses.mse(tg.nn.MLP(sizes, rng=0, dtype=dtype)(x), y)


@pytest.mark.parametrize(
    ("sizes", "n"), [((2, 3, 1), 4), ((784, 30, 10), 10), ((784, 100, 10), 128)]
)
def test_a_page_is_written_in_a_second(report, tmp_path, sizes, n):
    loss = network(sizes, n, np.float32)
    times = []
    for _ in range(5):
        start = perf_counter()
        path = tg.step_through(loss, tmp_path / "page.html")
        times.append(1e3 * (perf_counter() - start))
    report += [
        "",
        f"step_through of {list(sizes)}, batch {n}: first {times[0]:.0f} ms, then "
        f"{min(times):.0f} ms {mark(max(times), WRITE_LIMIT)}; "
        f"{path.stat().st_size / 1e3:.0f} kB",
    ]


@in_browser
@pytest.mark.parametrize("sizes", [(2, 3, 1), (784, 30, 10)])
def test_a_step_is_taken_in_a_frame(report, tmp_path, sizes):
    path = tg.step_through(network(sizes, 4, np.float32), tmp_path / "page.html")
    with launched() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(path.as_uri())
        page.wait_for_timeout(500)  # the fonts are there
        steps = int(page.get_attribute("#scrubber", "max"))
        works, frames = map(np.array, page.evaluate(DRIVE, STEPS))
        shown = int(page.input_value("#scrubber"))
    period = 2 * steps
    assert shown == steps - abs(STEPS % period - steps)
    report += [
        "",
        f"{STEPS} steps of the page of {list(sizes)}, one a frame, milliseconds:",
        f"  work of a step: median {np.median(works):.2f}, worst {works.max():.2f} "
        + mark(works.max(), FRAME_LIMIT),
        f"  frame to frame: median {np.median(frames):.1f}, worst {frames.max():.1f}; "
        f"{1000 / frames.mean():.0f} frames a second",
    ]
