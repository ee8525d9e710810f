"""One process, one thread, and a place in the terminal summary for the tables."""

import os

import pytest
from threadpoolctl import threadpool_limits

REPORT = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Whoever is timed has the machine to itself: no pytest-xdist here."""
    config.option.numprocesses = 0


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Compare programs, not thread pools.

    threadpoolctl holds NumPy's BLAS to one thread whoever imported NumPy first, which
    an environment variable cannot. XLA has only the variable, and reads it when JAX
    starts. PyTorch is told in its own program.
    """
    os.environ.setdefault("NPROC", "1")
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="session")
def report(pytestconfig) -> list[str]:
    """Lines to print when all is done."""
    return pytestconfig.stash.setdefault(REPORT, [])


def pytest_terminal_summary(terminalreporter, config):
    if lines := config.stash.get(REPORT, []):
        terminalreporter.section("benchmarks")
        for line in lines:
            terminalreporter.write_line(line)
