"""The marks of a kept snapshot: by which a later look recognises the partitions that did not change.

They lie beside the manifest and are no part of it: without them, or where they cannot be read, everything is read.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, cast

import duckdb

from jobs.store.documents import DocumentDamaged, DocumentMissing, read_document
from jobs.store.snapshots import MARKS, MARKS_FILE, Partition, Snapshot, TableSnapshot, snapshot_folder
from jobs.warehouse.looking import Cell, Seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from jobs.store.documents import Json
    from jobs.store.home import Home

    type TableMarks = Mapping[Cell, Seen]

_MADE = 1  # of how marks are made; another way of making them is another number


@dataclass(frozen=True, slots=True)
class Known:
    """A table as a kept snapshot saw it, and the marks of its partitions."""

    table: TableSnapshot
    marks: TableMarks

    @property
    def parts(self) -> dict[Cell, tuple[Partition, ...]]:
        """What that snapshot keeps of each partition that has a mark."""
        return {cell: tuple(parts) for cell, parts in groupby(self.table.partitions, cell_of)}


def cell_of(part: Partition) -> Cell:
    """The partition that a mark is of: buckets of a table without event time have one together."""
    return Cell(None, None) if part.bucket is not None else Cell(part.event_day, part.visible_day)


def marks_document(snapshot: Snapshot, marks: Mapping[str, TableMarks], horizon_days: int) -> dict[str, Json]:
    """The document that keeps the marks of each table."""
    tables: dict[str, Json] = {
        table.name: {"cells": _to_json(marks[table.name]), "table": table.digest} for table in snapshot.tables
    }
    return {"made": _made(snapshot.zone, horizon_days), "tables": tables}


def known_tables(home: Home, snapshots: Iterable[Snapshot], horizon_days: int) -> dict[str, Known]:
    """By table, the first of some kept snapshots that has marks which this process would make alike."""
    found: dict[str, Known] = {}
    for snapshot in snapshots:
        marks = _read(home, snapshot, horizon_days)
        for table in snapshot.tables:
            if table.name in marks:
                found.setdefault(table.name, Known(table, marks[table.name]))
    return found


def inspect_marks(folder: Path) -> None:
    """Pass if a snapshot has no marks, or they are what was written.

    Raises:
        DocumentDamaged: if they are not.
    """
    if (folder / MARKS_FILE).exists():
        read_document(folder / MARKS_FILE, MARKS)


def _read(home: Home, snapshot: Snapshot, horizon_days: int) -> dict[str, TableMarks]:
    """By table; of none if the marks are missing, damaged, of other rows, or were made otherwise."""
    folder = snapshot_folder(home, snapshot.job, snapshot.as_of, snapshot.digest)
    try:
        body = read_document(folder / MARKS_FILE, MARKS)
    except (DocumentMissing, DocumentDamaged):
        return {}
    if body["made"] != _made(snapshot.zone, horizon_days):
        return {}
    tables = cast("dict[str, dict[str, Json]]", body["tables"])
    digests = {table.name: table.digest for table in snapshot.tables}
    return {name: _from_json(each["cells"]) for name, each in tables.items() if each["table"] == digests.get(name)}


def _made(zone: str, horizon_days: int) -> dict[str, Json]:
    """What marks and days depend on beside rows and SQL."""
    return {
        "duckdb": duckdb.__version__,
        "horizon_days": horizon_days,
        "machine": f"{sys.platform} {platform.machine()} {sys.byteorder}",
        "way": _MADE,
        "zone": zone,
    }


def _to_json(marks: TableMarks) -> Json:
    return [[_iso(cell.event_day), _iso(cell.visible_day), seen.rows, seen.mark] for cell, seen in marks.items()]


def _from_json(cells: Json) -> dict[Cell, Seen]:
    listed = cast("list[tuple[str | None, str | None, int, str]]", cells)
    return {Cell(_day(event), _day(visible)): Seen(rows, mark) for event, visible, rows, mark in listed}


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
