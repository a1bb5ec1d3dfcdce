"""Snapshots: manifests over partitions, known by the rows alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.store.documents import DocumentDamaged, read_document
from jobs.store.home import staging
from jobs.store.objects import FileSeal, ObjectDamaged, ObjectMissing
from jobs.store.opening import in_store, open_snapshot, read_tables
from jobs.store.snapshots import (
    Snapshot,
    SnapshotDamaged,
    SnapshotMissing,
    find_snapshots,
    keep_snapshot,
    kept_snapshots,
    newest_kept,
    read_snapshot,
    snapshot_folder,
    with_seals,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.store.home import Home

    type Keep = Callable[..., Snapshot]

JOB, AS_OF = "flight_delay", date(2013, 9, 1)
ROWS = [
    (1, "2013-08-30 10:00", "2013-08-30 12:00", "a"),
    (2, "2013-08-30 11:00", "2013-08-31 12:00", None),
    (3, "2013-08-31 10:00", "2013-08-31 12:00", ""),
]


@pytest.fixture
def snapshot(kept: Keep) -> Snapshot:
    """Three rows in three partitions."""
    return kept("2013-09-01", ROWS)


def keep(home: Home, snapshot: Snapshot, at: str = "2013-09-01T04:45:00+00:00") -> None:
    with staging(home) as staged:
        keep_snapshot(home, snapshot, staged, {"taken_at": at})


def test_a_snapshot_reads_back_as_it_was_written(home: Home, snapshot: Snapshot, kept: Keep) -> None:
    reference = replace(kept("2013-09-01", ROWS, days=None).tables[0], name="planes", known="none", known_time=None)
    both = replace(snapshot, tables=(*snapshot.tables, reference))
    keep(home, both)

    assert read_snapshot(home, JOB, AS_OF, both.digest) == both
    assert [part.rows for part in snapshot.tables[0].partitions] == [1, 1, 1]
    assert (both.table("events").rows, both.table("planes").rows) == (3, 3)
    with pytest.raises(SnapshotMissing, match="has no table `weather`"):
        both.table("weather")


def test_its_digest_is_of_the_rows_and_not_of_their_files_or_of_time(home: Home, snapshot: Snapshot) -> None:
    other_files = {part.digest: FileSeal("f" * 64, 1) for part in snapshot.tables[0].partitions}
    sealed_otherwise = replace(snapshot, tables=(with_seals(snapshot.tables[0], other_files),))

    assert sealed_otherwise.seals(home) != snapshot.seals(home)
    assert sealed_otherwise.digest == snapshot.digest
    assert replace(snapshot, tables=snapshot.tables[::-1]).digest == snapshot.digest
    keep(home, snapshot, "2013-09-01T04:45:00+00:00")
    keep(home, snapshot, "2014-01-01T00:00:00+00:00")
    assert [each.taken_at for each in kept_snapshots(home, JOB)] == ["2013-09-01T04:45:00+00:00"]


def test_it_remembers_what_it_was_read_from_and_its_digest_is_not_of_that(home: Home, snapshot: Snapshot) -> None:
    """The same rows out of a wider column are the same snapshot."""
    table = replace(snapshot.tables[0], source_types=(("raw.id", "BIGINT"), ("raw.value", "VARCHAR")))
    typed = replace(snapshot, tables=(table,))
    keep(home, typed)

    assert typed.digest == snapshot.digest
    assert read_snapshot(home, JOB, AS_OF, snapshot.digest) == typed


def test_a_manifest_without_the_types_of_its_sources_is_what_it_always_was(home: Home, snapshot: Snapshot) -> None:
    """As an earlier release wrote it."""
    keep(home, snapshot)
    body = read_document(snapshot_folder(home, JOB, AS_OF, snapshot.digest) / "manifest.json", "snapshot")

    assert [sorted(table) for table in body["tables"]] == [
        ["columns", "digest", "end", "key", "known", "known_time", "name", "order", "partitions", "role", "rows",
         "sql_fingerprint", "start", "version"],
    ]  # fmt: skip
    assert read_snapshot(home, JOB, AS_OF, snapshot.digest).tables[0].source_types == ()


def test_its_digest_is_of_everything_that_the_rows_are_and_for(snapshot: Snapshot) -> None:
    table = snapshot.tables[0]
    first, *rest = table.partitions
    digests = {
        snapshot.digest,
        replace(snapshot, job="other").digest,
        replace(snapshot, as_of=date(2013, 9, 2)).digest,
        replace(snapshot, first_night=date(2013, 8, 1)).digest,
        replace(snapshot, zone="Europe/Berlin").digest,
        replace(snapshot, tables=(replace(table, sql_fingerprint="9" * 64),)).digest,
        replace(snapshot, tables=(replace(table, name="other"),)).digest,
        replace(snapshot, tables=(replace(table, columns=table.columns[1:]),)).digest,
        replace(snapshot, tables=(replace(table, partitions=tuple(rest)),)).digest,
        replace(snapshot, tables=(replace(table, partitions=(*rest, first)),)).digest,
        replace(snapshot, tables=(replace(table, partitions=(replace(first, digest="0" * 64), *rest)),)).digest,
        replace(snapshot, tables=(replace(table, partitions=(replace(first, visible_day=AS_OF), *rest)),)).digest,
        replace(snapshot, tables=(replace(table, partitions=(replace(first, bucket=1), *rest)),)).digest,
    }

    assert len(digests) == 13


def test_with_seals_changes_only_the_files_that_lay_there(snapshot: Snapshot) -> None:
    table = snapshot.tables[0]
    seal = FileSeal("f" * 64, 1)

    changed = with_seals(table, {table.partitions[1].digest: seal})

    assert [part.seal == seal for part in changed.partitions] == [False, True, False]
    assert changed.digest == table.digest


def test_a_renamed_folder_is_refused(home: Home, snapshot: Snapshot) -> None:
    keep(home, snapshot)
    folder = snapshot_folder(home, JOB, AS_OF, snapshot.digest)
    folder.rename(folder.with_name("0" * 64))

    with pytest.raises(SnapshotDamaged, match="describes other rows than its name says"):
        read_snapshot(home, JOB, AS_OF, "0" * 64)


def test_the_folder_of_another_as_of_or_job_is_refused(home: Home, snapshot: Snapshot) -> None:
    keep(home, snapshot)
    folder = snapshot_folder(home, JOB, AS_OF, snapshot.digest)
    later = folder.parent.with_name("2013-09-02")
    folder.parent.rename(later)
    with pytest.raises(SnapshotDamaged):
        read_snapshot(home, JOB, date(2013, 9, 2), snapshot.digest)

    later.rename(folder.parent)
    home.snapshots(JOB).rename(home.snapshots("other"))
    with pytest.raises(SnapshotDamaged):
        read_snapshot(home, "other", AS_OF, snapshot.digest)


def test_a_damaged_manifest_and_a_missing_snapshot_are_named(home: Home, snapshot: Snapshot) -> None:
    with pytest.raises(SnapshotMissing, match=r"of flight_delay as of 2013-09-01 is not kept"):
        read_snapshot(home, JOB, AS_OF, snapshot.digest)

    keep(home, snapshot)
    manifest = snapshot_folder(home, JOB, AS_OF, snapshot.digest) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows":3', b'"rows":4'))
    with pytest.raises(DocumentDamaged):
        read_snapshot(home, JOB, AS_OF, snapshot.digest)


def test_what_is_kept_is_listed_by_as_of_and_then_by_time(home: Home, kept: Keep) -> None:
    assert kept_snapshots(home, JOB) == ()
    assert kept_snapshots(home, JOB, AS_OF) == ()
    second, first, later = kept("2013-09-01", ROWS[:2]), kept("2013-09-01", ROWS), kept("2013-09-02", ROWS)
    keep(home, later, "2013-09-02T04:45:00+00:00")
    keep(home, second, "2013-09-01T05:45:00.5+00:00")
    keep(home, first, "2013-09-01T05:45:00+00:00")

    assert [each.digest for each in kept_snapshots(home, JOB)] == [first.digest, second.digest, later.digest]
    assert [each.digest for each in kept_snapshots(home, JOB, AS_OF)] == [first.digest, second.digest]
    assert newest_kept(home, JOB, AS_OF, first_night=AS_OF) == second
    assert newest_kept(home, JOB, AS_OF, first_night=date(2013, 1, 1)) is None
    assert newest_kept(home, JOB, date(2013, 9, 3), first_night=AS_OF) is None


def test_a_snapshot_is_found_by_the_beginning_of_its_digest(home: Home, kept: Keep) -> None:
    one, two = kept("2013-09-01", ROWS), kept("2013-09-02", ROWS)
    keep(home, one)
    keep(home, two)

    assert find_snapshots(home, one.digest[:12], ["other", JOB]) == one
    assert find_snapshots(home, two.digest, [JOB]) == two
    for prefix in ("", "no digest", one.digest + "0"):
        with pytest.raises(SnapshotMissing, match="no kept snapshot's digest begins"):
            find_snapshots(home, prefix, [JOB])
    with pytest.raises(SnapshotMissing, match="2 kept snapshots' digests begin"):
        find_snapshots(home, one.digest[:12], [JOB, JOB])


def test_it_opens_as_a_database_in_total_order(home: Home, kept: Keep) -> None:
    """Partitions come by event day and visible day, the rows of the view by key."""
    snapshot = kept("2013-09-01", [(4 - number, *rest) for number, *rest in ROWS])

    with open_snapshot(in_store(home), snapshot) as con:
        assert con.execute("SELECT id, value FROM events").fetchall() == [(1, ""), (2, None), (3, "a")]
        assert con.execute("DESCRIBE events").fetchall()[0][:2] == ("event_day", "DATE")
    frame = read_tables(in_store(home), snapshot)["events"].collect()
    assert frame.columns == ["event_day", "visible_day", "id", "happened_at", "known_at", "value"]
    assert frame["event_day"].to_list() == [date(2013, 8, 31), date(2013, 8, 30), date(2013, 8, 30)]


def test_a_table_without_rows_opens_with_its_types(home: Home, kept: Keep) -> None:
    frame = read_tables(in_store(home), kept("2013-09-01", []))["events"].collect()

    assert frame.height == 0
    assert frame.schema == read_tables(in_store(home), kept("2013-09-01", ROWS))["events"].collect_schema()


def test_no_row_of_a_damaged_or_missing_object_is_read(home: Home, snapshot: Snapshot) -> None:
    path = list(snapshot.seals(home))[1]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ObjectDamaged, match=path.name), open_snapshot(in_store(home), snapshot):
        pass

    path.unlink()
    with pytest.raises(ObjectMissing, match=path.name), open_snapshot(in_store(home), snapshot):
        pass


def test_nothing_can_be_written_through_an_opened_snapshot(home: Home, snapshot: Snapshot) -> None:
    with open_snapshot(in_store(home), snapshot) as con, pytest.raises(duckdb.Error):
        con.execute("INSERT INTO events VALUES (NULL, NULL, 9, NULL, NULL, '')")
