"""What can change a bit beside the inputs: libraries, Python, platform, processor, our own code, and the lock file."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from models.engine import ENGINE

if TYPE_CHECKING:
    from jobs.store.documents import Json

LIBRARIES = ("dataframely", "duckdb", "lightgbm", "numpy", "polars", "pyarrow", "rescore", "sqlglot", "tzdata")
_HERE = Path(__file__).parent
_ARITHMETIC = re.compile(r"sse|ssse|pni|avx|fma|f16c|bmi|amx|asimd|neon|sve|fp")


def environment() -> dict[str, Json]:
    """Versions by name, of what a result may depend on; the same on every machine that is set up alike."""
    found: dict[str, Json] = {name: version(name) for name in LIBRARIES}
    return {
        **found,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "scoring_engine": ENGINE,
        "system": platform.system(),
    }


def processor() -> dict[str, Json]:
    """What may change a float between machines that are set up alike: the processor's arithmetic, and the C library."""
    return {"cpu": _cpu_features(), "libc": " ".join(platform.libc_ver()).strip()}


def code() -> dict[str, Json]:
    """One digest a package of ours, over the names and bytes of its modules in order."""
    return {f"code_{name}": _code_sha256(_HERE.parent / name) for name in ("features", "jobs", "models")}


def _cpu_features() -> str:
    """The features of the processor by which libraries choose between ways to calculate."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return platform.processor()
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", told, re.MULTILINE)
    names = found[1].split() if found else []
    return " ".join(sorted(name for name in names if _ARITHMETIC.match(name)))


def _code_sha256(package: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


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
