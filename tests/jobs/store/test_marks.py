"""Marks beside a kept snapshot: kept, read again, and left alone where another process would make them otherwise."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.store import marks as marks_module
from jobs.store.documents import DocumentDamaged, write_document
from jobs.store.home import Home, open_home, staging
from jobs.store.marks import inspect_marks, known_tables, marks_document
from jobs.store.objects import FileSeal
from jobs.store.snapshots import MARKS, MARKS_FILE, Partition, Snapshot, TableSnapshot, keep_snapshot, snapshot_folder
from jobs.warehouse.looking import Cell, Seen

if TYPE_CHECKING:
    from pathlib import Path

AS_OF, DAY, NEXT = date(2013, 9, 1), date(2013, 8, 30), date(2013, 8, 31)
SEAL = FileSeal("0" * 64, 1)


def table_of(name: str, *partitions: Partition) -> TableSnapshot:
    return TableSnapshot(
        name, 1, "f" * 64, "history", "none", None, ("id",), ("id",), (("id", "int32"),), DAY, AS_OF, partitions
    )


EVENTS = table_of(
    "events", Partition(DAY, NEXT, None, 3, "a" * 64, SEAL), Partition(NEXT, AS_OF, None, 2, "b" * 64, SEAL)
)
PLACES = table_of("places", Partition(None, None, 3, 1, "c" * 64, SEAL), Partition(None, None, 9, 4, "d" * 64, SEAL))
SNAPSHOT = Snapshot("events", AS_OF, AS_OF, "America/New_York", (EVENTS, PLACES))
FOUND = {
    "events": {Cell(DAY, NEXT): Seen(3, "1" * 32), Cell(NEXT, AS_OF): Seen(2, "2" * 32)},
    "places": {Cell(None, None): Seen(5, "3" * 32)},
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = open_home(tmp_path / "home")
    with staging(home) as staged:
        keep_snapshot(
            home, SNAPSHOT, staged, {"taken_at": "2013-09-01T04:45:00+00:00"}, marks_document(SNAPSHOT, FOUND, 1)
        )
    return home


def folder(home: Home) -> Path:
    return snapshot_folder(home, SNAPSHOT.job, AS_OF, SNAPSHOT.digest)


def test_marks_come_back_with_the_partitions_that_they_are_of(home: Home) -> None:
    known = known_tables(home, [SNAPSHOT], 1)

    assert {name: each.marks for name, each in known.items()} == FOUND
    assert known["events"].parts[Cell(NEXT, AS_OF)] == EVENTS.partitions[1:]
    assert known["places"].parts == {Cell(None, None): PLACES.partitions}


def test_nothing_is_known_without_marks_or_with_damaged_ones(home: Home) -> None:
    """A night then reads everything; a reader of every file names the damaged one."""
    path = folder(home) / MARKS_FILE
    inspect_marks(folder(home))
    path.write_bytes(path.read_bytes().replace(b"1111", b"1112", 1))
    assert known_tables(home, [SNAPSHOT], 1) == {}
    with pytest.raises(DocumentDamaged, match=MARKS_FILE):
        inspect_marks(folder(home))

    path.unlink()
    assert known_tables(home, [SNAPSHOT], 1) == {}
    inspect_marks(folder(home))


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (duckdb, "__version__", "2.0.1"),
        (marks_module.platform, "machine", lambda: "riscv64"),
        (marks_module, "_MADE", 2),
    ],
)
def test_nothing_is_known_to_another_duckdb_machine_or_way(
    home: Home, monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: object
) -> None:
    monkeypatch.setattr(module, name, value)

    assert known_tables(home, [SNAPSHOT], 1) == {}


def test_nothing_is_known_of_other_days(home: Home) -> None:
    """A partition's days depend on the horizon and the zone."""
    assert known_tables(home, [SNAPSHOT], 2) == {}
    assert known_tables(home, [], 1) == {}


def test_marks_of_other_rows_are_not_taken(home: Home) -> None:
    """As a backup leaves them that was put together from two."""
    other = Snapshot("events", AS_OF, AS_OF, "America/New_York", (table_of("events", EVENTS.partitions[0]), PLACES))
    write_document(folder(home) / MARKS_FILE, MARKS, marks_document(other, FOUND, 1))

    assert set(known_tables(home, [SNAPSHOT], 1)) == {"places"}
