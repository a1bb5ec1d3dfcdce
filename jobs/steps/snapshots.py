"""Taking a snapshot: look at the warehouse once, keep what is new, say what changed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jobs.environment import environment, host
from jobs.kill_points import reach
from jobs.queries.released import require_released
from jobs.steps.begun import require_begun
from jobs.steps.tables import Reading, read_table
from jobs.store.home import staging
from jobs.store.ledger import Comparison, compare
from jobs.store.marks import known_tables, marks_document
from jobs.store.objects import ObjectStore
from jobs.store.opening import read_tables, rows_at, stored_rows
from jobs.store.snapshots import (
    Snapshot,
    Taken,
    keep_snapshot,
    kept_snapshots,
    newest_kept,
    read_snapshot,
    snapshot_folder,
    with_seals,
)
from jobs.telling.log import SILENT
from jobs.warehouse.bounds import bounded
from jobs.warehouse.opening import open_warehouse
from jobs.warehouse.source_types import require_same_types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path

    import polars as pl

    from jobs.definition import Job
    from jobs.queries.check import Query
    from jobs.settings import Settings
    from jobs.steps.tables import TableRead
    from jobs.store.documents import Json
    from jobs.store.home import Home
    from jobs.store.marks import TableMarks
    from jobs.store.opening import Locate
    from jobs.telling.log import Log
    from jobs.warehouse.bounds import Bounds
    from jobs.warehouse.extraction import Extraction


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the warehouse: what it holds, and what differs from an earlier snapshot, if there is one.

    `recognised` partitions have the marks of rows that the earlier snapshot read, and were not read again.
    """

    snapshot: Snapshot
    compared_with: Snapshot | None
    comparison: Comparison | None
    new_objects: int
    recognised: int
    marks: Mapping[str, TableMarks]
    kept: bool


def look(job: Job, settings: Settings, home: Home, as_of: date, *, fresh: bool, log: Log = SILENT) -> Look:
    """What is kept of a night, else taken now; with `fresh`, what the warehouse says today, keeping nothing."""
    require_begun(job, settings, as_of)
    if fresh:
        return look_again(job, settings, home, as_of)
    kept = find_kept(job, home, as_of, first_night=as_of)
    return Look(kept, None, None, 0, 0, {}, kept=True) if kept else take_snapshot(job, settings, home, as_of, log=log)


def find_kept(job: Job, home: Home, as_of: date, *, first_night: date) -> Snapshot | None:
    """The newest kept snapshot of that as-of and purpose that the job's SQL, in its edition, took."""
    queries = job.queries()
    for query in queries:
        require_released(query)
    wanted = {query.table: query.fingerprint for query in queries}
    return newest_kept(home, job.name, as_of, first_night=first_night, sql=wanted)


def take_snapshot(
    job: Job,
    settings: Settings,
    home: Home,
    as_of: date,
    *,
    first_night: date | None = None,
    require: Callable[[Snapshot], None] | None = None,
    recognise: bool = False,
    log: Log = SILENT,
) -> Look:
    """Look at the warehouse as of a date and keep what was seen, for features of the nights from `first_night` on.

    What `require` refuses is not kept. With `recognise`, partitions that have the marks of an earlier look are not read
    again (docs/decisions/0016-marks.md).
    """
    log = log.of(job=job.name, as_of=as_of)
    with _look(job, settings, home, as_of, first_night or as_of, recognise=recognise, log=log) as (look, store, staged):
        if require:
            require(look.snapshot)
        lay_there = store.keep()
        reach("snapshot-objects-kept")
        tables = tuple(with_seals(table, lay_there) for table in look.snapshot.tables)
        snapshot = replace(look.snapshot, tables=tables)
        if not snapshot_folder(home, job.name, as_of, snapshot.digest).exists():
            marks = marks_document(snapshot, look.marks, job.horizon_days)
            keep_snapshot(home, snapshot, staged, _taken(job, look, settings.clock()), marks)
    return replace(look, snapshot=snapshot, kept=True)


def look_again(job: Job, settings: Settings, home: Home, as_of: date) -> Look:
    """Look at the warehouse as of a date, compare with what is kept, keep nothing."""
    with _look(job, settings, home, as_of, as_of) as (look, _, _):
        return look


def read_fresh(job: Job, settings: Settings, home: Home, as_of: date) -> tuple[Snapshot, dict[str, pl.LazyFrame]]:
    """What the warehouse says of a night today, and its tables in memory; keep nothing."""
    require_begun(job, settings, as_of)
    with _look(job, settings, home, as_of, as_of) as (look, store, _):
        return look.snapshot, read_tables(store.path, look.snapshot)


@contextmanager
def looking(job: Job, settings: Settings, home: Home, as_of: date) -> Iterator[tuple[Snapshot, Locate]]:
    """What the warehouse says today of a night, and where its rows lie meanwhile; nothing of it is kept."""
    with _look(job, settings, home, as_of, as_of) as (look, store, _):
        yield look.snapshot, store.path


@contextmanager
def _look(
    job: Job,
    settings: Settings,
    home: Home,
    as_of: date,
    first_night: date,
    *,
    recognise: bool = False,
    log: Log = SILENT,
) -> Iterator[tuple[Look, ObjectStore, Path]]:
    queries = job.queries()
    for query in queries:
        require_released(query)
    with staging(home) as staged:  # before anything is read: what is referred to by now, gc leaves alone
        earlier = _to_compare(home, job.name, as_of, first_night)
        store = ObjectStore(home.objects, staged)
        for snapshot in earlier:
            store.known |= {part.digest: part.seal for table in snapshot.tables for part in table.partitions}
        known = known_tables(home, earlier, job.horizon_days) if recognise else {}
        asks = bounded(queries, as_of, first_night, job.horizon_days)
        with open_warehouse(settings.warehouse, job, asks, staged) as extraction:
            types = _source_types(home, job.name, [query for query, _ in asks], extraction)
            read = Reading(extraction, store, types, known, as_of)
            tables = tuple(_tables(asks, read, log))
        snapshot = Snapshot(job.name, as_of, first_night, job.calendar.zone_name, tuple(each.table for each in tables))
        before = earlier[0] if earlier else None
        found = compare(before, snapshot, stored_rows(home), rows_at(store.path)) if before else None
        new = len(list(staged.glob("*.parquet")))
        marks = {each.table.name: each.marks for each in tables}
        yield (
            Look(snapshot, before, found, new, sum(each.recognised for each in tables), marks, kept=False),
            store,
            staged,
        )


def _to_compare(home: Home, job: str, as_of: date, first_night: date) -> list[Snapshot]:
    """The kept snapshots that most of the rows will be in: of the same as-of, the one before, the one after."""
    kept = kept_snapshots(home, job)
    same = [each for each in kept if each.as_of == as_of]
    before = [each for each in kept if each.as_of < as_of]
    after = [each for each in kept if each.as_of > as_of]
    near = [*reversed(same), *before[-1:], *after[:1]]
    snapshots = [read_snapshot(home, job, each.as_of, each.digest) for each in near]
    scoring = first_night == as_of
    return sorted(snapshots, key=lambda each: each.scoring != scoring)


def _source_types(
    home: Home, job: str, queries: Sequence[Query], extraction: Extraction
) -> Mapping[str, Mapping[str, str]]:
    """By table, the types of the source columns: those of the last look by the same SQL, or as exact.

    Raises:
        SourceDiffers: naming the columns that are gone, or of a type that might mean something else.
    """
    found = {query.table: extraction.source_types(query) for query in queries}
    for query, taken, before in _last_types(home, job, queries):
        since = f"snapshot {taken.digest[:12]} as of {taken.as_of}"
        require_same_types(query.path, since, before, found[query.table])
    return found


def _last_types(home: Home, job: str, queries: Sequence[Query]) -> Iterator[tuple[Query, Taken, Mapping[str, str]]]:
    """Each query that took a kept snapshot, with the one that was taken last, and what it was read from.

    Of any as-of: only training reads labels, and the nights since then did not.
    """
    waiting = {(query.table, query.fingerprint): query for query in queries}
    for taken in sorted(kept_snapshots(home, job), key=lambda each: each.taken_at, reverse=True):
        if not waiting:
            return
        for table in read_snapshot(home, job, taken.as_of, taken.digest).tables:
            same = (table.name, table.sql_fingerprint)
            if table.source_types and same in waiting:
                yield waiting.pop(same), taken, dict(table.source_types)


def _tables(asks: Sequence[tuple[Query, Bounds]], reading: Reading, log: Log) -> Iterator[TableRead]:
    """Read table after table; errors as `read_table`."""
    for query, bounds in asks:
        with log.timed("table", phase="snapshot", table=query.table) as line:
            read = read_table(query, bounds, reading)
            line.update(rows=read.table.rows, bytes=read.table.size, recognised=read.recognised)
        yield read


def _taken(job: Job, look: Look, at: datetime) -> dict[str, Json]:
    """When a snapshot was taken, and how much of the past it sees otherwise than the one that it was compared with."""
    kinds = [f"{each.table} {each.kind}" for each in look.comparison.mutations] if look.comparison else []
    return {
        "compared_with": look.compared_with.digest if look.compared_with else None,
        "environment": environment(),
        "host": host(job.project),
        "mutations": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "new_objects": look.new_objects,
        "recognised": look.recognised,
        "taken_at": at.isoformat(),
    }
