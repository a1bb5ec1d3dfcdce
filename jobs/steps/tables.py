"""Reading one table of a snapshot: recognise what did not change, read the rest into staged objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from jobs.kill_points import reach
from jobs.store.digest import type_name
from jobs.store.marks import cell_of
from jobs.store.partitions import by_bucket, by_days, finite
from jobs.store.snapshots import Partition, TableSnapshot
from jobs.warehouse.looking import keys_are_fit, look_once, rows_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import date

    from jobs.queries.check import Query
    from jobs.store.marks import Known, TableMarks
    from jobs.store.objects import ObjectStore
    from jobs.warehouse.bounds import Bounds
    from jobs.warehouse.extraction import Extraction
    from jobs.warehouse.looking import Cell, Looked

_READ_AGAIN_DAYS = 30  # so often a partition is read, recognised or not


class ExtractEmpty(Exception):
    """A table of the job has no rows within its bounds."""


class ExtractTorn(Exception):
    """The rows that arrived are not as many as the warehouse counted."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Where tables are read from and staged, the types of their source columns, and what is known of them already."""

    extraction: Extraction
    store: ObjectStore
    types: Mapping[str, Mapping[str, str]]
    known: Mapping[str, Known]
    as_of: date


@dataclass(frozen=True, slots=True)
class TableRead:
    """A table as it is kept, the marks of its partitions, and how many of these were recognised, and so not read."""

    table: TableSnapshot
    marks: TableMarks
    recognised: int


def read_table(query: Query, bounds: Bounds, reading: Reading) -> TableRead:
    """Stage the rows of a table that are not known.

    Raises:
        ExtractEmpty, ExtractTorn, KeyBroken, NotFinite, SourceDiffers: what is wrong with the data, with figures.
    """
    columns = _columns(query, bounds, reading.extraction)
    known = _comparable(query, columns, reading)
    looked = look_once(reading.extraction, query, bounds, whole=known is None)
    if not looked.cells:
        raise ExtractEmpty(
            f"{query.path.name} returned no rows as of {bounds.cutoff}{_span(bounds)}; is the warehouse loaded?"
        )
    same = _recognised(known, looked, reading.as_of) if known else {}
    others = [cell for cell in looked.cells if cell not in same]
    if not keys_are_fit(reading.extraction, looked, others):
        reading.extraction.check_keys(query, bounds)
    parts = same | _staged(looked, others, reading)
    reach("table-extracted")
    table = TableSnapshot(
        name=query.table,
        version=query.version,
        sql_fingerprint=query.fingerprint,
        role=query.declaration.role.value,
        known=query.declaration.known.value,
        known_time=query.declaration.known_time,
        key=query.declaration.key,
        order=query.order,
        columns=columns,
        start=bounds.start,
        end=bounds.end,
        partitions=tuple(part for cell in looked.cells for part in parts[cell]),
        source_types=tuple(sorted(reading.types[query.table].items())),
    )
    return TableRead(table, looked.cells, sum(len(each) for each in same.values()))


def _columns(query: Query, bounds: Bounds, extraction: Extraction) -> tuple[tuple[str, str], ...]:
    """The columns of the table with our types; reads no row."""
    empty = next(extraction.none_of(query, bounds))
    return tuple((name, type_name(dtype)) for name, dtype in empty.schema.items())


def _comparable(query: Query, columns: tuple[tuple[str, str], ...], reading: Reading) -> Known | None:
    """What is known of the table, if the same SQL made the same columns of the same source columns."""
    known = reading.known.get(query.table)
    types = tuple(sorted(reading.types[query.table].items()))
    same = known and (known.table.sql_fingerprint, known.table.columns, known.table.source_types) == (
        query.fingerprint,
        columns,
        types,
    )
    return known if same else None


def _recognised(known: Known, looked: Looked, as_of: date) -> dict[Cell, tuple[Partition, ...]]:
    """What is kept of the partitions that have the marks that they had, but for those whose turn it is to be read."""
    kept = known.parts
    return {
        cell: kept[cell]
        for cell, seen in looked.cells.items()
        if known.marks.get(cell) == seen and cell in kept and not _due(cell, as_of)
    }


def _due(cell: Cell, as_of: date) -> bool:
    """Whether a partition is read on this night in any case; a table without event time, on certain dates."""
    age_days = (as_of - cell.event_day).days if cell.event_day else as_of.toordinal()
    return age_days % _READ_AGAIN_DAYS == 0


def _staged(looked: Looked, among: Collection[Cell], reading: Reading) -> dict[Cell, tuple[Partition, ...]]:
    """Stage some partitions, as many rows of each as the look counted."""
    places: list[tuple[date | None, date | None, int | None, int]] = []

    def frames() -> Iterator[pl.DataFrame]:
        for event_day, visible_day, bucket, rows in _pieces(looked, among, reading.extraction):
            places.append((event_day, visible_day, bucket, rows.height))
            yield rows

    staged: dict[Cell, tuple[Partition, ...]] = {}
    put = reading.store.put_each(frames())
    for place, (digest, seal) in zip(places, put, strict=True):
        part = Partition(*place, digest, seal)
        staged[cell_of(part)] = (*staged.get(cell_of(part), ()), part)
    arrived = {cell: sum(part.rows for part in parts) for cell, parts in staged.items()}
    counted = {cell: looked.cells[cell].rows for cell in among}
    if arrived != counted:
        raise ExtractTorn(
            f"{looked.query.path.name}: {sum(arrived.values())} rows arrived of the {sum(counted.values())} that the "
            "warehouse counted; run again"
        )
    return staged


def _pieces(
    looked: Looked, among: Collection[Cell], extraction: Extraction
) -> Iterator[tuple[date | None, date | None, int | None, pl.DataFrame]]:
    if not among:
        return
    batches = (finite(batch, looked.query.path.name) for batch in rows_of(extraction, looked, among))
    if looked.bounds.start is None:
        whole = pl.concat(list(batches), rechunk=True)
        for bucket, rows in by_bucket(whole, looked.query.declaration.key):
            yield None, None, bucket, rows
        return
    for event_day, visible_day, rows in by_days(batches):
        yield event_day, visible_day, None, rows


def _span(bounds: Bounds) -> str:
    return f" for the days from {bounds.start} to before {bounds.end}" if bounds.start else ""
