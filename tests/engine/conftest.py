"""What tests of the engine share."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def no_gc() -> Iterator[None]:
    """Switch the garbage collector off: what is freed is freed by counting."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
