"""The list of released SQL files: one line a file, `<SHA-256>  <name>`, as `sha256sum -c` reads it.

A file that stands in the list is never edited again (law 7); a change is a new version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jobs.queries.source import QueryMissing, file_name, fingerprint, parse_name, read_bytes
from jobs.store.documents import write_durably

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jobs.queries.check import Query

LIST = "released.txt"

_LINE = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?P<name>[A-Za-z0-9_]+\.sql)")


class QueryEdited(Exception):
    """A released SQL file is not what it was when it was released."""


class QueryNotReleased(Exception):
    """An SQL file was never released, so nothing may be scored with it yet."""


class ReleaseListDamaged(Exception):
    """A line of the list is not of the form of `sha256sum`, or a file stands in it twice."""


def read_released(folder: Path) -> Mapping[str, str]:
    """File name to SHA-256 of every released file of a job, in the order of the list; empty before the first release.

    Raises:
        ReleaseListDamaged: if the list cannot be read as one.
    """
    path = folder / LIST
    if not path.exists():
        return {}
    released: dict[str, str] = {}
    for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None or match["name"] in released:
            wrong = "names a file twice" if match else "is not `<SHA-256>  <file>`"
            raise ReleaseListDamaged(f"{path}:{number}: the line {wrong}; restore the list")
        released[match["name"]] = match["digest"]
    return released


def require_released(query: Query) -> None:
    """Pass if the query is, byte for byte, what was released under its name.

    Raises:
        QueryEdited: if it is not.
        QueryNotReleased: if nothing was released under its name.
        ReleaseListDamaged: if the list cannot be read.
    """
    released = read_released(query.path.parent).get(query.path.name)
    if released is None:
        raise QueryNotReleased(
            f"{query.path} is not released; look at it once more, then run `score release {query.path.parent.name}`"
        )
    if released != query.fingerprint:
        raise _edited(query.path, query.table, query.version)


def require_unedited(folder: Path, versions: Mapping[str, int]) -> None:
    """Pass if none of a job's released files was edited; looked at before any of them is parsed.

    Raises:
        QueryEdited: naming the first that was.
        QueryMissing: if one is gone.
        ReleaseListDamaged: if the list cannot be read.
    """
    wanted = {file_name(table, version) for table, version in versions.items()}
    for name, digest in read_released(folder).items():
        if name in wanted:
            _require_unchanged(folder / name, digest)


def release(folder: Path) -> tuple[str, ...]:
    """Add every SQL file of a job that is not in the list, after all rules passed; the names that were added.

    Raises:
        QueryEdited: if a released file was edited.
        QueryMissing: if a released file is gone.
        QueryRefused: if one that is to be released breaks a rule.
        ReleaseListDamaged: if the list cannot be read.
    """
    from jobs.queries.check import read_query  # noqa: PLC0415  it parses: a tenth of a second to import

    released = read_released(folder)
    for name, digest in released.items():
        _require_unchanged(folder / name, digest)
    added = {query.path.name: query.fingerprint for query in map(read_query, _unreleased(folder, released))}
    if added:
        _write(folder / LIST, {**released, **added})
    return tuple(added)


def find_queries(folder: Path, versions: Mapping[str, int]) -> Mapping[str, Query]:
    """The query of each table in the version that a job names.

    Raises:
        QueryMissing: if one is not there; it names what there is.
        QueryRefused: if one breaks a rule.
    """
    from jobs.queries.check import read_query  # noqa: PLC0415  as above

    for table, version in versions.items():
        name = file_name(table, version)
        if parse_name(name) is None or not (folder / name).is_file():
            there = ", ".join(path.name for path in _queries(folder)) or "no SQL file"
            raise QueryMissing(f"{folder} has no {name}; there is {there}")
    return {table: read_query(folder / file_name(table, version)) for table, version in versions.items()}


def _queries(folder: Path) -> tuple[Path, ...]:
    """The SQL files of a folder, by table and version."""
    named = ((parse_name(path.name), path) for path in folder.glob("*.sql"))
    return tuple(path for _, path in sorted((name, path) for name, path in named if name))


def _unreleased(folder: Path, released: Mapping[str, str]) -> tuple[Path, ...]:
    return tuple(path for path in sorted(folder.glob("*_v*.sql")) if path.name not in released)


def _require_unchanged(path: Path, digest: str) -> None:
    if not path.is_file():
        raise QueryMissing(f"{path} was released and is gone; restore it, old snapshots refer to it")
    if fingerprint(read_bytes(path)) != digest:
        raise _edited(path, *(parse_name(path.name) or (path.stem, 0)))


def _edited(path: Path, table: str, version: int) -> QueryEdited:
    successor = file_name(table, version + 1)
    return QueryEdited(f"{path} was edited after its release; restore it and write the change as {successor}")


def _write(path: Path, released: Mapping[str, str]) -> None:
    """Write the list beside, then switch; on return it is on the disk."""
    write_durably(path, "".join(f"{digest}  {name}\n" for name, digest in released.items()).encode())
