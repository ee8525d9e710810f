"""What all tests share: the table of ops is left as found; a profile of Hypothesis."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import launched
from hypothesis import Phase, settings

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import Node
from tinygrad_edu.engine.op import OPS

# No time is asserted: a busy machine is no fault of a test's.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

# For the readers of files, in tests/train/test_untrusted.py.
settings.register_profile("fuzz", max_examples=2_000, deadline=None)

# For random steps, in tests/compiler/test_random_steps.py.
settings.register_profile("programs", max_examples=20_000, deadline=None)

# Mutation testing is content with the first failure.
settings.register_profile("mutation", phases=[Phase.generate])


# For `pytest -m quick`, the everyday loop.
settings.register_profile("quick", max_examples=10, deadline=None)

# What takes long: other programs, browsers, processes, and every op against everything.
SLOW = {
    "tests/checking/test_catalogue.py",
    "tests/checking/test_properties.py",
    "tests/checking/test_sabotage.py",
    "tests/compiler/test_backends.py",
    "tests/compiler/test_first_call.py",
    "tests/compiler/test_laws.py",
    "tests/compiler/test_names.py",
    "tests/compiler/test_passes.py",
    "tests/compiler/test_programs.py",
    "tests/compiler/test_random.py",
    "tests/compiler/test_random_steps.py",
    "tests/compiler/test_right_or_refused.py",
    "tests/compiler/test_safety.py",
    "tests/data/test_idx.py",
    "tests/drawing/test_draw.py",
    "tests/drawing/test_draw_parts.py",
    "tests/engine/test_batching.py",
    "tests/exercising/test_exercising.py",
    "tests/explaining/test_derivation.py",
    "tests/explaining/test_folds.py",
    "tests/explaining/test_program.py",
    "tests/explaining/test_shown.py",
    "tests/explaining/test_stepper.py",
    "tests/formulas/test_shares.py",
    "tests/ops/test_ops.py",
    "tests/ops/test_oracles.py",
    "tests/test_docs.py",
    "tests/test_estimator.py",
    "tests/test_examples.py",
    "tests/test_lenet.py",
    "tests/test_replay_book.py",
    "tests/test_site.py",
    "tests/test_syllabus.py",
    "tests/test_try_it.py",
    "tests/test_typed.py",
    "tests/test_watch.py",
    "tests/test_workbook.py",
    "tests/train/test_checkpoints.py",
    "tests/train/test_history.py",
    "tests/train/test_parallel.py",
    "tests/train/test_untrusted.py",
}


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr == "quick":
        settings.load_profile("quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.partition("::")[0] not in SLOW:
            item.add_marker("quick")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """Give a folder that Hypothesis may use from one example to the next."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    """Give Ctrl-C its usual effect, which it has not where a script runs pytest &."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    after = signal.signal(signal.SIGINT, before)
    assert after is signal.default_int_handler


@pytest.fixture(autouse=True)
def table_left_as_found() -> Iterator[None]:
    """Forget the ops that a test declares: other tests walk the table."""
    ops, methods = set(OPS), set(vars(Node))
    yield
    for name in OPS.keys() - ops:
        del OPS[name]
    for name in vars(Node).keys() - methods:
        delattr(Node, name)


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window."""
    with launched("--disable-gpu") as chromium:
        yield chromium


@pytest.fixture
def show(browser, tmp_path):
    """Open the page of a graph; in the end nothing has gone wrong in it.

    It has complained of nothing, and asked for nothing but itself.
    """
    complaints, requests, contexts = [], [], []

    def show(y, address="", clock=False, lang=None, **options):
        path = tg.step_through(y, tmp_path / "page.html", lang=lang)
        options = {"viewport": {"width": 1280, "height": 800}} | options
        context = browser.new_context(**{"reduced_motion": "reduce"} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        if clock:
            page.clock.install(time=0)
        page.goto(path.as_uri() + address)
        if clock:
            page.clock.pause_at(60)  # else it runs as well as being told to
        return page

    yield show
    for context in contexts:
        context.close()
    assert complaints == []
    addresses = {url.split("#")[0] for url in requests if not url.startswith("data:")}
    assert addresses == {(tmp_path / "page.html").as_uri()}
