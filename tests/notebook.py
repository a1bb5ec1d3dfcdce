"""Executes the notebook of docs/ in a kernel of this interpreter. As a program, it renews the notebook's outputs.

CONTRIBUTING.md says how.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs" / "a_night_in_a_notebook.ipynb"
EXECUTED = "executed_sha256"
_TIMEOUT_S = 900


class ThisInterpreter(KernelSpecManager):
    """One kernel, whatever is installed or configured elsewhere on the machine."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The command that starts it."""
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


def execute(folder: Path, environ: Mapping[str, str]) -> nbformat.NotebookNode:
    """The notebook after every cell ran, in a folder and with an environment; a cell that raises ends it.

    Kernel, IPython and Jupyter keep what they keep in a folder of their own, which is gone afterwards.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as own:
        manager = AsyncKernelManager(
            kernel_spec_manager=ThisInterpreter(),
            connection_file=str(Path(own) / "kernel.json"),
            transport="ipc",  # sockets in that folder: there is no port that somebody else could take
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=_TIMEOUT_S,
            startup_timeout=_TIMEOUT_S,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
        )
        kept_there = {f"JUPYTER_{kind}_DIR": own for kind in ("CONFIG", "DATA", "RUNTIME")} | {"IPYTHONDIR": own}
        client.execute(env={**environ, **kept_there, "PYTHONPATH": str(ROOT)}, cleanup_kc=True)
    return notebook


def sources_sha256(notebook: nbformat.NotebookNode) -> str:
    """SHA-256 over the code, cell by cell: outputs are of the code that they stand under, or this differs."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with nothing in its metadata of whoever executed it, and when."""
    for place, cell in enumerate(notebook.cells, start=1):
        cell["id"], cell["metadata"] = f"cell-{place:02}", {}
        for output in cell.get("outputs", ()):
            if "metadata" in output:
                output["metadata"] = {}
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        EXECUTED: sources_sha256(notebook),
    }
    return notebook


if __name__ == "__main__":
    nbformat.write(clean(execute(Path.cwd(), os.environ)), NOTEBOOK)
