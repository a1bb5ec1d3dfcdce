"""What `score prove` found: one document a time, named by its digest, which an event of the job carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.store.documents import DocumentDamaged, Json, json_digest, read_document, write_document

if TYPE_CHECKING:
    from pathlib import Path

    from jobs.store.home import Home

_KIND = "proofs"


def keep_proofs(home: Home, job: str, found: dict[str, Json]) -> str:
    """Write what was found; returns the digest that names it."""
    digest = json_digest(found)
    write_document(_path(home, job, digest), _KIND, found)
    return digest


def read_proofs(home: Home, job: str, digest: str) -> dict[str, Json]:
    """What was found, checked.

    Raises:
        DocumentDamaged, DocumentMissing: if it is not what was written.
    """
    path = _path(home, job, digest)
    found = read_document(path, _KIND)
    if json_digest(found) != digest:
        raise DocumentDamaged(f"{path} is of other proofs than its name says; restore it from a backup")
    return found


def _path(home: Home, job: str, digest: str) -> Path:
    return home.proofs(job) / f"{digest}.json"
