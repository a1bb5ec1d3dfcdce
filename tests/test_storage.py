"""A year of nights must cost little more than the data once; `bench/store_growth.py` measures sixty nights."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from bench.store_growth import once_stored
from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.snapshots import take_snapshot
from jobs.store.home import open_home
from jobs.store.objects import object_path, read_rows
from jobs.warehouse.sample import load_sample

if TYPE_CHECKING:
    from pathlib import Path

FIRST, NIGHTS, MOST = date(2013, 6, 1), 12, 1.2


def test_nightly_snapshots_store_every_row_once_and_call_no_late_row_a_mutation(tmp_path: Path) -> None:
    """Twelve nights of a 90-day window of all flights, against each distinct outcome once in one file an event day."""
    job = load_job("flight_delay")
    settings = read_settings({"SCORE_HOME": str(tmp_path / "home")}, lambda: datetime.now(UTC))
    home = open_home(settings.home)
    load_sample(settings.home / "warehouse.duckdb")
    looks = [take_snapshot(job, settings, home, FIRST + timedelta(days=n)) for n in range(NIGHTS)]

    compared = [look.comparison for look in looks if look.comparison]
    assert len(compared) == NIGHTS - 1
    assert [mutation for each in compared for mutation in each.mutations] == []
    assert all(each.arrivals["outcomes"] > 0 for each in compared)

    tables = [look.snapshot.table("outcomes") for look in looks]
    parts = {part.digest: part for table in tables for part in table.partitions}
    stored = sum(part.seal.size for part in parts.values())
    rows = read_rows(object_path(home.objects, digest) for digest in parts)
    assert rows.unique().height == rows.height
    assert stored <= MOST * once_stored(rows, ["event_day"], list(tables[0].order), tmp_path)
    assert len(list(home.objects.glob("*/*.parquet"))) == len(
        {part.digest for look in looks for table in look.snapshot.tables for part in table.partitions}
    )


def test_nights_that_recognise_rows_keep_what_a_night_that_reads_all_keeps(tmp_path: Path) -> None:
    """Two nights of a 90-day window, the second also alone: the same digest, file by file the same seals."""
    job = load_job("flight_delay")
    load_sample(tmp_path / "warehouse.duckdb")
    named = {"SCORE_HOME": str(tmp_path / "home"), "SCORE_WAREHOUSE": f"duckdb:///{tmp_path / 'warehouse.duckdb'}"}
    settings = read_settings(named, lambda: datetime.now(UTC))
    home, alone = open_home(tmp_path / "home"), open_home(tmp_path / "alone")
    take_snapshot(job, settings, home, FIRST, recognise=True)

    second = take_snapshot(job, settings, home, FIRST + timedelta(days=1), recognise=True)
    whole = take_snapshot(job, settings, alone, FIRST + timedelta(days=1), recognise=True)

    assert whole.recognised == 0
    assert second.recognised > len([part for table in second.snapshot.tables for part in table.partitions]) * 9 // 10
    assert second.snapshot == whole.snapshot
    assert second.marks == whole.marks
    assert second.comparison is not None
    assert second.comparison.mutations == ()
