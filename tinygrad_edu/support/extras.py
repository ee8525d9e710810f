"""Libraries that only a part of the package needs, imported where they are used.

NumPy is all that the package needs. What else a function takes, an extra of
``pyproject.toml`` names. If it is missing, the error names the library itself: the
package is installed from a checkout, so an index knows none of its extras.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["install", "load", "missing"]

# What to install, if it is not called as the module is, or needs another package.
_PACKAGES = {
    "mpi4py": "mpi4py mpich",
    "numba": "numba scipy",
    "resvg_py": "resvg-py",
}


def load(module: str, user: str, instead: str = "") -> Any:
    """Import a module of another library for `user`, or say how to get it.

    Parameters
    ----------
    module : str
        In full, as ``"matplotlib.figure"``.
    user : str
        What needs it: the error begins with this.
    instead : str
        What works without it.

    Raises
    ------
    ModuleNotFoundError
        If it cannot be imported: it is missing, or it lacks something itself.

    Examples
    --------
    >>> load("no_such", "History.plot", "History.save does without")
    Traceback (most recent call last):
    ModuleNotFoundError: History.plot: needs no_such (No module named 'no_such'): pip install no_such; History.save does without
    """  # noqa: E501 (an error is one line)
    try:
        return import_module(module)
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py finds no MPI
        reason = str(error).partition("\n")[0]
        raise missing(module.partition(".")[0], user, reason, instead) from error


def missing(
    library: str, user: str, reason: str = "not installed", instead: str = ""
) -> ModuleNotFoundError:
    """Return the error that says what `user` needs, and how to install it.

    >>> missing("numba", "compile: backend='numba'")
    ModuleNotFoundError("compile: backend='numba': needs numba (not installed): pip install numba scipy")
    """  # noqa: E501 (an error is one line)
    way_out = "; ".join(filter(None, [install(library), instead]))
    return ModuleNotFoundError(f"{user}: needs {library} ({reason}): {way_out}")


def install(library: str) -> str:
    """Return the command that installs a library.

    >>> install("resvg_py")
    'pip install resvg-py'
    """
    return f"pip install {_PACKAGES.get(library, library)}"
