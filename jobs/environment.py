"""What can change a bit beside the inputs: the versions of libraries, Python and platform, and the lock file."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.store.documents import Json

LIBRARIES = ("dataframely", "duckdb", "lightgbm", "numpy", "polars", "pyarrow", "rescore", "sqlglot", "tzdata")
_HERE = Path(__file__).parent


def environment() -> dict[str, Json]:
    """Versions by name, of what a result may depend on; the same on every machine that is set up alike."""
    found: dict[str, Json] = {name: version(name) for name in LIBRARIES}
    return {**found, "machine": platform.machine(), "python": platform.python_version(), "system": platform.system()}


def host() -> dict[str, Json]:
    """What no result may depend on, for whoever looks for a cause: host, process, cores."""
    return {"cores": os.cpu_count(), "host": platform.node(), "pid": os.getpid()}


def lock_file() -> bytes:
    """The lock file that this code was installed from: inside the package, else beside it; empty if there is none."""
    for place in (_HERE / "uv.lock", _HERE.parent / "uv.lock"):
        if place.is_file():
            return place.read_bytes()
    return b""


def lock_sha256() -> str:
    """SHA-256 of the lock file."""
    return hashlib.sha256(lock_file()).hexdigest()
