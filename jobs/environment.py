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
    from collections.abc import Iterator

    from jobs.project import Project
    from jobs.store.documents import Json

LIBRARIES = ("dataframely", "duckdb", "lightgbm", "numpy", "polars", "pyarrow", "rescore", "sqlglot", "tzdata")
_HERE = Path(__file__).parent
_PACKAGES = ("features", "jobs", "models")
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


def code(project: Project) -> dict[str, Json]:
    """One digest a package of ours, over the names and bytes of its modules in order; and one a room of a project."""
    ours: dict[str, Json] = {f"code_{name}": _sha256(_HERE.parent / name, "*.py") for name in _PACKAGES}
    return {**ours, **_of_project(project)}


def _of_project(project: Project) -> dict[str, Json]:
    """A digest over the modules and the TOMLs of each room; its SQL is fingerprinted with each snapshot."""
    if project.folder is None:
        return {}
    return {f"project_{name}": _sha256(project.folder / name, "*.py", "*.toml") for name in _PACKAGES}


def _cpu_features() -> str:
    """The features of the processor by which libraries choose between ways to calculate."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return platform.processor()
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", told, re.MULTILINE)
    names = found[1].split() if found else []
    return " ".join(sorted(name for name in names if _ARITHMETIC.match(name)))


def _sha256(package: Path, *patterns: str) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in package.rglob(pattern) if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode(errors="surrogateescape"))
        digest.update(content)
    return digest.hexdigest()


def host(project: Project) -> dict[str, Json]:
    """What no result may depend on, for whoever looks for a cause: host, process, cores, where the jobs' files lie."""
    there: dict[str, Json] = {"cores": os.cpu_count(), "host": platform.node(), "pid": os.getpid()}
    return {**there, "project": str(project.folder)} if project.folder else there


def lock_file(project: Project) -> bytes:
    """The lock file of a project, else the one that this code was installed from; empty if there is none."""
    return next(lock_files(project), b"")


def lock_files(project: Project) -> Iterator[bytes]:
    """The lock file of a project, and the one that this code was installed from: inside the package, else beside it."""
    own = project.folder / "uv.lock" if project.folder else None
    for places in ([own], [_HERE / "uv.lock", _HERE.parent / "uv.lock"]):
        yield from [place.read_bytes() for place in places if place and place.is_file()][:1]


def lock_sha256(project: Project) -> str:
    """SHA-256 of the lock file."""
    return hashlib.sha256(lock_file(project)).hexdigest()
