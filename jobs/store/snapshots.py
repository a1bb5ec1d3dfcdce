"""Snapshots: the rows that the versioned SQL returned for one as-of, kept as a manifest over partitions.

A partition is (event day, visible day) in the job's zone, or one of 16 buckets of the key where a table has no event
time. One that did not change since an earlier snapshot is the same object, stored once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, cast

from jobs.kill_points import reach
from jobs.store.documents import Json, json_digest, read_document, write_document
from jobs.store.home import dated_folders, settle
from jobs.store.objects import FileSeal, object_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from jobs.store.home import Home


MARKS_FILE = "marks.json"
MARKS = "snapshot marks"
_DIGEST_DIGITS = 64


class SnapshotMissing(Exception):
    """There is no such snapshot."""


class SnapshotDamaged(Exception):
    """A snapshot's manifest does not say what its name says."""


@dataclass(frozen=True, slots=True)
class Partition:
    """The rows of one (event day, visible day), or of one bucket of the key."""

    event_day: date | None
    visible_day: date | None
    bucket: int | None
    rows: int
    digest: str
    seal: FileSeal


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """What one versioned query returned: its columns with our types, its bounds, its partitions in order.

    `source_types` are what it was read from: `table.column` and the warehouse's type; no part of its digest, for the
    rows are the same whatever they came from.
    """

    name: str
    version: int
    sql_fingerprint: str
    role: str
    known: str
    known_time: str | None
    key: tuple[str, ...]
    order: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    start: date | None
    end: date | None
    partitions: tuple[Partition, ...]
    source_types: tuple[tuple[str, str], ...] = ()

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return sum(partition.rows for partition in self.partitions)

    @property
    def size(self) -> int:
        """The bytes of its objects, those included that other snapshots share."""
        return sum(partition.seal.size for partition in self.partitions)

    @property
    def digest(self) -> str:
        """SHA-256 over columns and partitions; of rows alone, not of how they are stored."""
        return json_digest(
            {
                "columns": [[name, kind] for name, kind in self.columns],
                "partitions": [
                    [_iso(each.event_day), _iso(each.visible_day), each.bucket, each.rows, each.digest]
                    for each in self.partitions
                ],
            }
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tables of one job as of one date, for features of the nights from `first_night` on."""

    job: str
    as_of: date
    first_night: date
    zone: str
    tables: tuple[TableSnapshot, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over job, as-of, first night, zone, and each table's digest and SQL."""
        return json_digest(
            {
                "as_of": self.as_of.isoformat(),
                "first_night": self.first_night.isoformat(),
                "job": self.job,
                "sql": {table.name: table.sql_fingerprint for table in self.tables},
                "tables": {table.name: table.digest for table in self.tables},
                "zone": self.zone,
            }
        )

    @property
    def rows(self) -> int:
        """How many rows its tables hold."""
        return sum(table.rows for table in self.tables)

    @property
    def size(self) -> int:
        """The bytes of its objects, those included that other snapshots share."""
        return sum(table.size for table in self.tables)

    @property
    def scoring(self) -> bool:
        """Whether it was taken to score its own night; otherwise to train."""
        return self.first_night == self.as_of

    @property
    def sql_fingerprints(self) -> dict[str, str]:
        """The fingerprint of each table's SQL."""
        return {table.name: table.sql_fingerprint for table in self.tables}

    def taken_by(self, sql: Mapping[str, str]) -> bool:
        """Whether every table was taken by the SQL that has this fingerprint."""
        return all(sql.get(name) == taken for name, taken in self.sql_fingerprints.items())

    def table(self, name: str) -> TableSnapshot:
        """The table of that name.

        Raises:
            SnapshotMissing: if it has none.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise SnapshotMissing(f"snapshot {self.digest[:12]} has no table `{name}`")

    def seals(self, home: Home) -> dict[Path, FileSeal]:
        """Every file that the snapshot refers to, and what it must be."""
        return {
            object_path(home.objects, partition.digest): partition.seal
            for table in self.tables
            for partition in table.partitions
        }


def snapshot_folder(home: Home, job: str, as_of: date, digest: str) -> Path:
    """Where one snapshot's manifest lies."""
    return home.snapshots(job, as_of) / digest


def keep_snapshot(
    home: Home, snapshot: Snapshot, staged: Path, taken: dict[str, Json], marks: dict[str, Json] | None = None
) -> None:
    """Write the manifest, last of all, and beside it when it was taken, and the marks by which rows are recognised.

    The objects lie in the store already.
    """
    folder = staged / "snapshot"
    folder.mkdir()
    if marks:
        write_document(folder / MARKS_FILE, MARKS, marks)
    write_document(folder / "taken.json", "snapshot taken", taken)
    write_document(folder / "manifest.json", "snapshot", _to_json(snapshot))
    reach("snapshot-beside")
    settle(folder, snapshot_folder(home, snapshot.job, snapshot.as_of, snapshot.digest))


def write_snapshot(path: Path, kind: str, snapshot: Snapshot) -> None:
    """Write a snapshot's manifest as a document of its own, for whoever else refers to kept objects."""
    write_document(path, kind, _to_json(snapshot))


def read_snapshot_at(path: Path, kind: str, digest: str) -> Snapshot:
    """The snapshot that `write_snapshot` wrote; errors as `read_snapshot`."""
    snapshot = _from_json(read_document(path, kind))
    if snapshot.digest != digest:
        raise SnapshotDamaged(f"{path} describes other rows than the manifest beside it says; restore it")
    return snapshot


def as_known_on(snapshot: Snapshot, night: date, horizon_days: int) -> Snapshot:
    """What scoring `night` would have read of the rows that a training snapshot holds: no labels, nothing known later.

    Whole partitions: they are cut by the first as-of that sees them. Where nothing was rewritten in between, it is the
    snapshot that was taken on that night, digest and all. Only a reference table, cut by its key, is as training saw
    it: rows that became known in between are among its own, each with its day.
    """
    tables = (_as_known_on(table, snapshot.first_night, night, horizon_days) for table in snapshot.tables)
    return Snapshot(snapshot.job, night, night, snapshot.zone, tuple(table for table in tables if table))


def _as_known_on(table: TableSnapshot, first_night: date, night: date, horizon_days: int) -> TableSnapshot | None:
    if table.role == "labels":
        return None
    if table.start is None:
        return table
    population = table.role == "population"
    start = night if population else table.start + (night - first_night)
    end = night + timedelta(days=horizon_days) if population else night
    seen = (
        part
        for part in table.partitions
        if part.event_day and part.visible_day and start <= part.event_day < end and part.visible_day <= night
    )
    return replace(table, start=start, end=end, partitions=tuple(seen))


def read_snapshot(home: Home, job: str, as_of: date, digest: str) -> Snapshot:
    """The snapshot of that digest, its manifest checked.

    Raises:
        SnapshotMissing: if it is not kept.
        SnapshotDamaged: if the manifest describes other rows.
    """
    folder = snapshot_folder(home, job, as_of, digest)
    if not folder.is_dir():
        raise SnapshotMissing(f"snapshot {digest[:12]} of {job} as of {as_of} is not kept in {home.root}")
    snapshot = _from_json(read_document(folder / "manifest.json", "snapshot"))
    if (snapshot.digest, snapshot.job, snapshot.as_of) != (digest, job, as_of):
        raise SnapshotDamaged(f"{folder / 'manifest.json'} describes other rows than its name says; restore it")
    return snapshot


@dataclass(frozen=True, slots=True)
class Taken:
    """A kept snapshot, and when it was taken."""

    as_of: date
    digest: str
    taken_at: str


def kept_snapshots(home: Home, job: str, as_of: date | None = None) -> tuple[Taken, ...]:
    """What is kept, by as-of and then by when it was taken."""
    found = [Taken(day, folder.name, _taken_at(folder)) for day, folder in kept_snapshot_folders(home, job, as_of)]
    return tuple(sorted(found, key=lambda each: (each.as_of, each.taken_at, each.digest)))


def kept_snapshot_folders(home: Home, job: str, as_of: date | None = None) -> list[tuple[date, Path]]:
    """The as-of and the folder of each kept snapshot; nothing in them is read."""
    return dated_folders(home.snapshots(job), _DIGEST_DIGITS, as_of)


def newest_kept(
    home: Home, job: str, as_of: date, *, first_night: date, sql: Mapping[str, str] | None = None
) -> Snapshot | None:
    """The snapshot that was taken last for that as-of and purpose, or null.

    Where fingerprints by table are given, the last whose every table was taken by this SQL.
    """
    for taken in reversed(kept_snapshots(home, job, as_of)):
        snapshot = read_snapshot(home, job, as_of, taken.digest)
        if snapshot.first_night == first_night and (sql is None or snapshot.taken_by(sql)):
            return snapshot
    return None


def find_snapshots(home: Home, prefix: str, jobs: Iterable[str]) -> Snapshot:
    """The one snapshot whose digest begins so.

    Raises:
        SnapshotMissing: if there is none, or more than one.
    """
    found = [
        (job, taken)
        for job in jobs
        for taken in kept_snapshots(home, job)
        if prefix and taken.digest.startswith(prefix)
    ]
    if len(found) != 1:
        said = "no kept snapshot's digest begins" if not found else f"{len(found)} kept snapshots' digests begin"
        raise SnapshotMissing(f"{said} with {prefix[:64]!r}; see: score snapshots")
    job, taken = found[0]
    return read_snapshot(home, job, taken.as_of, taken.digest)


def with_seals(table: TableSnapshot, seals: dict[str, FileSeal]) -> TableSnapshot:
    """The table, with the seals of files that lay in the store already."""
    return replace(
        table,
        partitions=tuple(replace(each, seal=seals.get(each.digest, each.seal)) for each in table.partitions),
    )


def _taken_at(folder: Path) -> str:
    return cast("str", read_document(folder / "taken.json", "snapshot taken")["taken_at"])


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _day(text: Json) -> date | None:
    return date.fromisoformat(text) if isinstance(text, str) else None


def _to_json(snapshot: Snapshot) -> dict[str, Json]:
    return {
        "as_of": snapshot.as_of.isoformat(),
        "digest": snapshot.digest,
        "first_night": snapshot.first_night.isoformat(),
        "job": snapshot.job,
        "tables": [_table_to_json(table) for table in snapshot.tables],
        "zone": snapshot.zone,
    }


def _table_to_json(table: TableSnapshot) -> Json:
    types: dict[str, Json] = {"source_types": [list(each) for each in table.source_types]} if table.source_types else {}
    return {
        **types,
        "columns": [[name, kind] for name, kind in table.columns],
        "digest": table.digest,
        "end": _iso(table.end),
        "key": list(table.key),
        "known": table.known,
        "known_time": table.known_time,
        "name": table.name,
        "order": list(table.order),
        "partitions": [
            [_iso(p.event_day), _iso(p.visible_day), p.bucket, p.rows, p.digest, p.seal.sha256, p.seal.size]
            for p in table.partitions
        ],
        "role": table.role,
        "rows": table.rows,
        "sql_fingerprint": table.sql_fingerprint,
        "start": _iso(table.start),
        "version": table.version,
    }


def _from_json(body: dict[str, Json]) -> Snapshot:
    return Snapshot(
        job=cast("str", body["job"]),
        as_of=date.fromisoformat(cast("str", body["as_of"])),
        first_night=date.fromisoformat(cast("str", body["first_night"])),
        zone=cast("str", body["zone"]),
        tables=tuple(_table_from_json(table) for table in cast("list[dict[str, Json]]", body["tables"])),
    )


def _table_from_json(body: dict[str, Json]) -> TableSnapshot:
    return TableSnapshot(
        name=cast("str", body["name"]),
        version=cast("int", body["version"]),
        sql_fingerprint=cast("str", body["sql_fingerprint"]),
        role=cast("str", body["role"]),
        known=cast("str", body["known"]),
        known_time=cast("str | None", body["known_time"]),
        key=tuple(cast("list[str]", body["key"])),
        order=tuple(cast("list[str]", body["order"])),
        columns=tuple((name, kind) for name, kind in cast("list[list[str]]", body["columns"])),
        start=_day(body["start"]),
        end=_day(body["end"]),
        partitions=tuple(_partition_from_json(each) for each in cast("list[list[Json]]", body["partitions"])),
        source_types=tuple((name, kind) for name, kind in cast("list[list[str]]", body.get("source_types", []))),
    )


def _partition_from_json(entry: list[Json]) -> Partition:
    event_day, visible_day, bucket, rows, digest, sha256, size = entry
    return Partition(
        event_day=_day(event_day),
        visible_day=_day(visible_day),
        bucket=cast("int | None", bucket),
        rows=cast("int", rows),
        digest=cast("str", digest),
        seal=FileSeal(cast("str", sha256), cast("int", size)),
    )
