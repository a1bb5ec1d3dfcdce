"""The mutation ledger: what the warehouse changed of its past, row by row.

Two snapshots are compared among what was known before the earlier cutoff and lies inside both bounds. Partitions with
the same digest hold the same rows and are not read. What became known later is an arrival: counted, not a mutation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from jobs.store.snapshots import Partition, Snapshot, TableSnapshot

    type _Rows = dict[tuple[object, ...], dict[str, object]]
    type ReadRows = Callable[[TableSnapshot, Sequence[Partition]], pl.DataFrame]

_DAYS = ("event_day", "visible_day")


class Kind(StrEnum):
    """What happened to a row that was known already."""

    INSERTED = "inserted"
    CHANGED = "changed"
    VANISHED = "vanished"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One row of the past that is not what it was; `before` and `after` hold what differs, or the whole row.

    `was` and `now` are always the whole rows, with their day columns: for whoever puts one in the place of the other.
    """

    table: str
    kind: Kind
    key: Mapping[str, object]
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None
    was: Mapping[str, object] | None
    now: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two snapshots: mutations by table and key; how many rows merely arrived since, by table.

    A table that other SQL took has neither: what is another there is not the warehouse's doing.
    """

    mutations: tuple[Mutation, ...]
    arrivals: Mapping[str, int]


def compare(earlier: Snapshot, later: Snapshot, read_earlier: ReadRows, read_later: ReadRows) -> Comparison:
    """What `later` sees differently of what `earlier` saw; the two may be of one as-of, or of any two."""
    mutations: list[Mutation] = []
    arrivals: dict[str, int] = {}
    cutoff = min(earlier.as_of, later.as_of)
    for old in earlier.tables:
        new = next((table for table in later.tables if table.name == old.name), None)
        if new is None or new.sql_fingerprint != old.sql_fingerprint or new.columns != old.columns:
            continue
        found, arrived = _compare_tables(_Side(old, read_earlier), _Side(new, read_later), cutoff)
        mutations += found
        arrivals[old.name] = arrived
    return Comparison(tuple(mutations), arrivals)


@dataclass(frozen=True, slots=True)
class _Side:
    """One snapshot's table, and how its rows are read."""

    table: TableSnapshot
    read: ReadRows


def _compare_tables(old: _Side, new: _Side, cutoff: date) -> tuple[list[Mutation], int]:
    inside = _inside_both(old.table, new.table)
    old_parts = [part for part in old.table.partitions if inside(part) and _known(part, cutoff)]
    new_parts = [part for part in new.table.partitions if inside(part) and _known(part, cutoff)]
    later_parts = [part for part in new.table.partitions if inside(part) and not _known(part, cutoff)]
    arrived = sum(part.rows for part in later_parts)
    same = {_identity(part) for part in old_parts} & {_identity(part) for part in new_parts}
    old_rows = _rows(old, [part for part in old_parts if _identity(part) not in same])
    new_rows = _rows(new, [part for part in new_parts if _identity(part) not in same])
    before = old_rows.join(new_rows, on=old_rows.columns, how="anti", nulls_equal=True, maintain_order="left")
    after = new_rows.join(old_rows, on=old_rows.columns, how="anti", nulls_equal=True, maintain_order="left")
    if old.table.start is None:
        before, after, late = _known_rows(before, after, cutoff)
        arrived = late.height
    else:
        late = _later_rows(new, later_parts, before)
    found, from_late = _mutations(old.table, before, after, late)
    return found, arrived - from_late


def _inside_both(old: TableSnapshot, new: TableSnapshot) -> Callable[[Partition], bool]:
    if old.start is None or new.start is None or old.end is None or new.end is None:
        return lambda _: True
    start, end = max(old.start, new.start), min(old.end, new.end)
    return lambda part: part.event_day is not None and start <= part.event_day < end


def _known(part: Partition, cutoff: date) -> bool:
    """Whether the partition's rows were known before `cutoff`; a bucket of a reference is looked at row by row."""
    return part.visible_day is None or part.visible_day <= cutoff


def _identity(part: Partition) -> tuple[date | None, date | None, int | None, str]:
    return part.event_day, part.visible_day, part.bucket, part.digest


def _rows(side: _Side, parts: Sequence[Partition]) -> pl.DataFrame:
    return side.read(side.table, parts)


def _known_rows(
    before: pl.DataFrame, after: pl.DataFrame, cutoff: date
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Of a reference: the rows without a known time, or known before the cutoff; and those that became known since."""
    known = pl.col("visible_day").is_null() | (pl.col("visible_day") <= cutoff)
    return before.filter(known), after.filter(known), after.filter(~known)


def _later_rows(new: _Side, parts: Sequence[Partition], before: pl.DataFrame) -> pl.DataFrame:
    """Rows that became known after the cutoff, of keys that are no longer what they were."""
    if not before.height or not parts:
        return before.clear()
    days = before.get_column("event_day").unique(maintain_order=True).implode()
    near = [part for part in parts if part.event_day in days.item()]
    key = list(new.table.key)
    return _rows(new, near).join(before.select(key), on=key, how="semi", maintain_order="left")


def _mutations(
    table: TableSnapshot, before: pl.DataFrame, after: pl.DataFrame, late: pl.DataFrame
) -> tuple[list[Mutation], int]:
    """Pair what was with what is: the same version of the same key, another version of it, a later one, nothing.

    Returns the mutations by key, and how many of the later rows turned out to be one's other side.
    """
    key = list(table.key)
    version = [*key, table.known_time] if table.known == "appended" and table.known_time else key
    was, now, later = _by(before, version), _by(after, version), _by(late, version)
    pairs = [(was.pop(name), now.pop(name)) for name in list(was) if name in now]
    pairs += _pairs_by_key(was, now, len(key))
    moved_later = _pairs_by_key(was, later, len(key))
    found = [_pair(table, *pair) for pair in [*pairs, *moved_later]]
    found += [_single(table, Kind.VANISHED, row) for row in was.values()]
    found += [_single(table, Kind.INSERTED, row) for row in now.values()]
    found.sort(key=lambda each: (tuple(each.key.values()), each.kind))
    return found, len(moved_later)


def _by(rows: pl.DataFrame, names: Sequence[str]) -> _Rows:
    return {tuple(row[name] for name in names): row for row in rows.iter_rows(named=True)}


def _pairs_by_key(was: _Rows, others: _Rows, width: int) -> list[tuple[dict[str, object], dict[str, object]]]:
    """Take out of both what has the same key, whichever versions of it."""
    versions: dict[tuple[object, ...], list[tuple[object, ...]]] = {}
    for name in others:
        versions.setdefault(name[:width], []).append(name)
    shared = [name for name in was if name[:width] in versions]
    return [(was.pop(name), others.pop(versions[name[:width]].pop(0))) for name in shared if versions[name[:width]]]


def _pair(table: TableSnapshot, before: dict[str, object], after: dict[str, object]) -> Mutation:
    differing = [name for name in before if name not in _DAYS and before[name] != after[name]]
    moved = table.known_time in differing
    return Mutation(
        table.name,
        Kind.MOVED if moved else Kind.CHANGED,
        {name: before[name] for name in table.key},
        {name: before[name] for name in differing},
        {name: after[name] for name in differing},
        before,
        after,
    )


def _single(table: TableSnapshot, kind: Kind, row: dict[str, object]) -> Mutation:
    values = {name: value for name, value in row.items() if name not in _DAYS}
    key = {name: row[name] for name in table.key}
    if kind is Kind.VANISHED:
        return Mutation(table.name, kind, key, before=values, after=None, was=row, now=None)
    return Mutation(table.name, kind, key, before=None, after=values, was=None, now=row)
