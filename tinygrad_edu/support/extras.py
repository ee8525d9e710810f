"""Import optional libraries where they are used, or say how to install them.

The package itself needs only NumPy. The extras in ``pyproject.toml`` list the optional
libraries. An error names the library, not the extra: the package is installed from a
checkout, so a package index does not know its extras.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["import_library", "install", "missing"]

# The packages to install, if they differ from the module's name.
_PACKAGES = {"mpi4py": "mpi4py mpich", "numba": "numba scipy", "resvg_py": "resvg-py"}


def import_library(module: str, user: str, instead: str = "") -> Any:
    """Import a module of another library for `user`, or say how to get it.

    Parameters
    ----------
    module : str
        The full name, such as ``"matplotlib.figure"``.
    user : str
        The function that needs it; the error starts with this name.
    instead : str
        An alternative that works without it.

    Raises
    ------
    ModuleNotFoundError
        If it cannot be imported: it, or something it needs, is missing.

    Examples
    --------
    >>> import_library("no_such", "History.plot", "History.save does without")
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
    """Return an error that names the library and how to install it.

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
