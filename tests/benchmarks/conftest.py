"""One process, one thread, and a place in the terminal summary for the tables."""

import json
import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

REPORT = pytest.StashKey[list[str]]()
FIGURES = pytest.StashKey[dict[str, object]]()
LOAD = pytest.StashKey[float | None]()


def pytest_addoption(parser):
    parser.addoption(
        "--figures",
        type=Path,
        metavar="FILE.json",
        help="write what was measured; docs/performance.py makes a page of it",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Whoever is timed has the machine to itself: no pytest-xdist here."""
    config.option.numprocesses = 0


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Compare programs, not thread pools.

    threadpoolctl holds NumPy's BLAS to one thread whoever imported NumPy first, which
    an environment variable cannot. SciPy's, which Numba calls, is not loaded yet, and
    XLA has only a variable: both are read when they start. PyTorch is told in its own
    program.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("NPROC", "1")
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="session")
def report(pytestconfig) -> list[str]:
    """Lines to print when all is done."""
    return pytestconfig.stash.setdefault(REPORT, [])


@pytest.fixture(scope="session")
def figures(pytestconfig) -> dict[str, object]:
    """What was measured, by the name of the measurement."""
    return pytestconfig.stash.setdefault(FIGURES, {})


def pytest_sessionstart(session):
    session.config.stash[LOAD] = load()  # before the benchmarks are a part of it


def pytest_sessionfinish(session, exitstatus):
    path = session.config.getoption("figures")
    if path and exitstatus == 0:
        measured = {
            "machine": machine(session.config.stash[LOAD], load())
        } | session.config.stash.get(FIGURES, {})
        path.write_text(json.dumps(measured, indent=2) + "\n")


def load():
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def machine(before, after):
    """Name what a time depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if "model name" in line]
    versions = {}
    for package in "numpy", "torch", "jax", "numba", "autograd", "mygrad":
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    (blas,) = (pool for pool in threadpool_info() if "numpy" in pool["filepath"])
    return {
        "date": date.today().isoformat(),
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": [before, after],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "blas": f"{blas['internal_api']} {blas['version']} ({blas['architecture']})",
        "versions": versions,
    }


def pytest_terminal_summary(terminalreporter, config):
    if lines := config.stash.get(REPORT, []):
        terminalreporter.section("benchmarks")
        for line in lines:
            terminalreporter.write_line(line)
