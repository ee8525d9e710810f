"""Programs of loops as files, so that Numba keeps their machine code on disk."""

from __future__ import annotations

import builtins
import os
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from tinygrad_edu.support import files

__all__ = ["run_source"]


def run_source(source: str, names: dict[str, Any], before: str) -> None:
    """Run a source, with names that the source before defined.

    Numba finds what it compiled in an earlier process by the names of the file and of
    the module, which are a hash of both sources: all that the machine code depends on.
    Where no file can be kept, the source is run all the same.
    """
    digest = sha256(f"{before}\0{source}".encode()).hexdigest()
    path = _keep(digest, source)
    code = builtins.compile(source, path or "<compiled>", "exec")
    if path is None:
        exec(code, names)
        return
    # Numba imports the module again, and tells functions of one name apart by it.
    module = f"tinygrad_edu.compiled.{digest}"
    sys.modules.setdefault(module, ModuleType(module))
    names["__name__"] = module
    exec(code, names)
    for function in list(names.values()):
        is_jitted = hasattr(function, "enable_caching")
        if is_jitted and function.__module__ == module:
            function.enable_caching()


def _keep(digest: str, source: str) -> str | None:
    """Return a file that holds the source, in a folder of the user's own."""
    try:
        folder = files.cache_folder() / "numba"
        path = folder / f"{digest}.py"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_own(folder):
            return None
        # A file that is as it was stays: Numba asks when it was written.
        if not path.exists() or path.read_bytes() != source.encode():
            files.write("compile", path, source.encode())
    except (OSError, RuntimeError):  # no room, no rights, or no home
        return None
    return str(path)


def _is_own(folder: Path) -> bool:
    """Whether nobody else may write into a folder: machine code is read from it."""
    if os.name != "posix":
        return True
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022
