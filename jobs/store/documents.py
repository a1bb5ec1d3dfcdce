"""Small sealed JSON files: manifests, events, pointers. Each carries the digest of its own content.

A document is one line of canonical JSON, `{"body": …, "format": 1, "kind": …, "sha256": …}`; the digest is of the
other three.
A file whose bytes are not exactly what its content renders to is damaged, whichever bit it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, cast

from jobs.kill_points import reach

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

type Json = str | int | float | bool | list[Json] | dict[str, Json] | None

FORMAT = 1
BESIDE = ".tmp"  # how the name of a file ends that is being written


class DocumentDamaged(Exception):
    """A stored document's bytes are not what was written."""


class DocumentMissing(Exception):
    """A document that something else refers to is not there."""


def canonical_json(content: Mapping[str, Json] | list[Json]) -> str:
    """JSON with sorted keys and no spaces; a number as its shortest text that reads back the same; no NaN."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def json_digest(content: Mapping[str, Json] | list[Json]) -> str:
    """SHA-256 over the canonical JSON of `content`: 64 lower-case hex digits."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def seal(kind: str, body: Mapping[str, Json]) -> tuple[bytes, str]:
    """The bytes of a document, and its digest."""
    content: dict[str, Json] = {"body": dict(body), "format": FORMAT, "kind": kind}
    digest = json_digest(content)
    return (canonical_json({**content, "sha256": digest}) + "\n").encode(), digest


def read_document(path: Path, kind: str) -> dict[str, Json]:
    """The body of the document at `path`, checked to the bit.

    Raises:
        DocumentMissing: if there is no such file.
        DocumentDamaged: if its bytes are not those of a document of this kind.
    """
    body, _ = read_sealed(path, kind)
    return body


def read_sealed(path: Path, kind: str) -> tuple[dict[str, Json], str]:
    """The body of the document at `path`, and its digest; errors as `read_document`."""
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        raise DocumentMissing(f"{path} is missing; restore it from a backup of SCORE_HOME") from None
    body = _body(written, kind)
    if body is None:
        raise DocumentDamaged(f"{path} is not what was written (its digest differs); restore it from a backup")
    return body, str(json.loads(written)["sha256"])


def _body(written: bytes, kind: str) -> dict[str, Json] | None:
    """The body, if the bytes are exactly what a document of this kind with that body renders to."""
    try:
        content = json.loads(written)
        body = content["body"] if isinstance(content, dict) else None
        if isinstance(body, dict) and seal(kind, body)[0] == written:
            return cast("dict[str, Json]", body)
    except (KeyError, ValueError, RecursionError):
        return None
    return None


def write_document(path: Path, kind: str, body: Mapping[str, Json]) -> str:
    """Write a document beside `path`, fsync it, rename it there, fsync the folder; returns its digest."""
    content, digest = seal(kind, body)
    write_durably(path, content, f"{kind}-half-written")
    return digest


def write_durably(path: Path, content: bytes, point: str = "") -> None:
    """Put a whole file in place: a reader, or the next start after a kill, finds the old one or the new one.

    `point` is the kill point in the middle of it, if it has one.
    """
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.{os.getpid()}{BESIDE}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        reach(point, half=beside)
        beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, durably: what is put into it cannot be lost with it."""
    missing = [path for path in [*reversed(folder.parents), folder] if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make a finished file durable; an error here means that it was not written, and is not tried again."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make renames within `folder` durable."""
    sync_file(folder)
