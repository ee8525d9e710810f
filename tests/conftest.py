"""What all tests share: the table of ops is left as found; a profile of Hypothesis."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings

from tinygrad_edu.engine.graph import Node
from tinygrad_edu.engine.op import OPS

# No time is asserted: a busy machine is no fault of a test's.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

# For the readers of files, in tests/train/test_untrusted.py.
settings.register_profile("fuzz", max_examples=2_000, deadline=None)

# Mutation testing is content with the first failure.
settings.register_profile("mutation", phases=[Phase.generate])


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
