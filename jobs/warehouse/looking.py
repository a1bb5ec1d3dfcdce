"""One scan of a query's rows, in any order: which partitions there are, the mark of each, whether the keys are fit.

The mark of a partition is made of DuckDB's `hash()` of each of its rows, in a way that their order does not matter. It
recognises rows that were seen before, and is never a digest (docs/decisions/0016-marks.md): it is compared with what
the same release of DuckDB made of the same SQL on the same kind of machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from jobs.warehouse.extraction import order, unfit, versioned
from jobs.warehouse.names import names, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    import polars as pl

    from jobs.queries.check import Query
    from jobs.warehouse.bounds import Bounds
    from jobs.warehouse.extraction import Extraction

_LOW = (1 << 64) - 1
_DAY = timedelta(days=1)
# What is scanned lies beside the user's tables meanwhile; no checked SQL can name a table, or a column, with a space.
_PLACE = '"rows looked at"'
_OURS = '"mark of key", "mark of row", "unfit row"'


@dataclass(frozen=True, slots=True)
class Cell:
    """Event day and visible day of a partition; neither for a whole table without event time."""

    event_day: date | None
    visible_day: date | None


@dataclass(frozen=True, slots=True)
class Seen:
    """How many rows a partition has, and their mark."""

    rows: int
    mark: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What a scan found, by partition; `whole`: it left every column of the rows, and not only what keys need."""

    query: Query
    bounds: Bounds
    cells: dict[Cell, Seen]
    unfit: bool
    whole: bool


def look_once(extraction: Extraction, query: Query, bounds: Bounds, *, whole: bool) -> Looked:
    """Scan the query's rows within the bounds; with `whole`, so that `rows_of` need not ask the source again.

    What it leaves on the extraction's connection is there until the next one.

    Raises:
        SourceDiffers: as `Extraction.rows`.
    """
    whole = whole and not extraction.origin.staged
    kept = "*" if whole else names(("event_day", "visible_day", *_clocks(query)))
    marks = (
        f'hash({names(query.declaration.key)}) AS "mark of key", '
        f'hash(hash({names(column.name for column in query.columns)})) AS "mark of row", {unfit(query)} AS "unfit row"'
    )
    rows = f"SELECT {extraction.days(query, bounds)}, source.* FROM {extraction.origin.relation(query)} AS source"  # noqa: S608  checked SQL
    extraction.run(query, bounds, f"CREATE OR REPLACE TEMP TABLE {_PLACE} AS SELECT {kept}, {marks} FROM ({rows})")  # noqa: S608
    days = "event_day, visible_day" if bounds.start else "NULL, NULL"
    figures = 'count(*), sum("mark of row"), bit_xor("mark of row"), bool_or("unfit row")'
    found = extraction.con.sql(f"SELECT {days}, {figures} FROM {_PLACE} GROUP BY 1, 2 ORDER BY 1, 2").fetchall()  # noqa: S608
    cells = {
        Cell(event, visible): Seen(rows, f"{total & _LOW:016x}{xor:016x}")
        for event, visible, rows, total, xor, _ in found
    }
    return Looked(query, bounds, cells, any(row[-1] for row in found), whole)


def keys_are_fit(extraction: Extraction, looked: Looked, among: Collection[Cell]) -> bool:
    """Whether no key of the partitions `among` is null, or repeated, or at two event times, anywhere in the table.

    Equal keys have equal hashes, so that a yes is exact. A no may also be two keys of one hash: ask `check_keys`.
    """
    if looked.unfit:
        return False
    all_of_them = len(among) == len(looked.cells)
    near = "" if all_of_them else f'WHERE "mark of key" IN (SELECT "mark of key" FROM {_PLACE} WHERE {_in(among)})'  # noqa: S608
    several = f'SELECT "mark of key" FROM {_PLACE} {near} GROUP BY 1 HAVING count(*) > 1'  # noqa: S608  names of ours
    if not versioned(looked.query):
        return not extraction.con.sql(f"{several} LIMIT 1").fetchall()
    clash = " OR ".join(_clash(looked.query))
    text = f'SELECT 1 FROM {_PLACE} WHERE "mark of key" IN ({several}) GROUP BY "mark of key" HAVING {clash} LIMIT 1'  # noqa: S608
    return not extraction.con.sql(text).fetchall()


def rows_of(extraction: Extraction, looked: Looked, among: Collection[Cell]) -> Iterator[pl.DataFrame]:
    """The rows of some partitions, as `Extraction.rows` gives those of all."""
    query, bounds = looked.query, looked.bounds
    where = f"WHERE {_in(among)}" if len(among) < len(looked.cells) else ""
    if looked.whole:
        text = f"SELECT * EXCLUDE ({_OURS}) FROM {_PLACE} {where} {order(query)}"  # noqa: S608  names of ours
    else:
        within = f"WHERE {_at_days(extraction, query, among)}" if where else ""
        text = (
            f"SELECT * FROM (SELECT {extraction.days(query, bounds)}, source.* "  # noqa: S608  checked SQL
            f"FROM {extraction.origin.relation(query)} AS source {within}) {where} {order(query)}"
        )
    return extraction.stream(query, bounds, text)


def _clocks(query: Query) -> tuple[str, ...]:
    """The columns beside its key that say whether versions of a row are fit."""
    event = query.declaration.event_time
    return (*((event,) if event else ()), *versioned(query)) if versioned(query) else ()


def _clash(query: Query) -> Iterator[str]:
    """Versions of one row that became known at once, or are at different event times."""
    yield f"count(DISTINCT {names(versioned(query))}) < count(*)"
    if query.declaration.event_time:
        event = quoted(query.declaration.event_time)
        yield f"min({event}) <> max({event})"


def _in(cells: Collection[Cell]) -> str:
    """The condition that a row is of one of these partitions."""
    if not cells:
        return "false"
    if Cell(None, None) in cells:
        return "true"
    listed = ", ".join(f"(DATE '{cell.event_day}', DATE '{cell.visible_day}')" for cell in cells)
    return f"(event_day, visible_day) IN ({listed})"


def _at_days(extraction: Extraction, query: Query, cells: Collection[Cell]) -> str:
    """The condition that a row's event lies in the days of these partitions: lets an engine pass over the rest."""
    days = sorted({cell.event_day for cell in cells if cell.event_day})
    if not days or not query.declaration.event_time:
        return "true"
    name = quoted(query.declaration.event_time)
    cutoff = extraction.calendar.cutoff
    spans = (
        f"({name} >= TIMESTAMPTZ '{cutoff(first).isoformat()}' AND {name} < TIMESTAMPTZ '{cutoff(end).isoformat()}')"
        for first, end in _stretches(days)
    )
    return f"({' OR '.join(spans)})"


def _stretches(days: list[date]) -> Iterator[tuple[date, date]]:
    """First day and end of each stretch of consecutive days."""
    breaks = [later for earlier, later in pairwise(days) if later != earlier + _DAY]
    ends = [earlier + _DAY for earlier, later in pairwise(days) if later != earlier + _DAY]
    yield from zip([days[0], *breaks], [*ends, days[-1] + _DAY], strict=True)
