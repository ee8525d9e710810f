"""Notebooks, run as Jupyter runs them."""

import os
from tempfile import TemporaryDirectory


def run_notebook(notebook):
    """Run all cells, which then hold their outputs."""
    from nbclient import NotebookClient

    with TemporaryDirectory() as folder:
        client = NotebookClient(notebook, kernel_name="python3", timeout=120)
        manager = client.create_kernel_manager()
        if os.name == "posix":  # two kernels that start at once may choose one port
            manager.transport, manager.ip = "ipc", f"{folder}/kernel"
        client.execute()
