"""What a snapshot costs: taken for the first time, again when little changed, and read; against a bare ordered COPY.

    python bench/snapshots.py [--copies 12] [--rounds 3]

Makes a warehouse of the sample's flights of one window, each so many times under further carriers (12 copies: 1.0
million outcomes in the window of 90 days; 120: 10 million), and takes snapshots of the outcomes alone. Each round does

- `COPY (the same SQL, in the same order) TO` one Parquet file with the same options,
- a first snapshot in a new home: digests, objects, seals, manifest, marks,
- a second look when nothing changed, and a third after the rows of one day (1 %) were rewritten, comparison included,
- the rows of that snapshot with the seals of files checked, and `polars.read_parquet` of the same files, both ways:
  as features get them (`read_tables`), and by `check_seals` and then `read_parquet`.

Ratios are of medians, of elapsed and of processor seconds, with the least and the most of the rounds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.snapshots import take_snapshot
from jobs.store.home import open_home
from jobs.store.objects import PARQUET, check_seals, object_path
from jobs.store.opening import in_store, read_tables
from jobs.warehouse.bounds import bounded
from jobs.warehouse.engine import connect
from jobs.warehouse.opening import open_warehouse
from jobs.warehouse.sample import load_sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.definition import Job
    from jobs.settings import Settings
    from jobs.steps.snapshots import Look

AS_OF = date(2013, 9, 1)
SPAN = "flight_date BETWEEN DATE '2013-05-25' AND DATE '2013-09-02'"
REWRITE = "UPDATE flight_outcomes SET arr_delay_min = arr_delay_min + 1 WHERE flight_date = DATE '2013-07-10'"
PAIRS = (
    ("first snapshot / bare COPY", "first", "bare"),
    ("nothing changed / first", "same", "first"),
    ("one day rewritten / first", "rewritten", "first"),
    ("read_tables / read_parquet", "read", "plain"),
    ("checked, read_parquet / read_parquet", "checked", "plain"),
)


@dataclass
class Times:
    """Elapsed and processor seconds by what was done."""

    elapsed: dict[str, list[float]] = field(default_factory=dict)
    processor: dict[str, list[float]] = field(default_factory=dict)

    def of[T](self, name: str, work: Callable[[], T]) -> T:
        """What the work returns, timed."""
        began, before = time.perf_counter(), sum(os.times()[:2])
        made = work()
        self.elapsed.setdefault(name, []).append(time.perf_counter() - began)
        self.processor.setdefault(name, []).append(sum(os.times()[:2]) - before)
        return made


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    job = load_job("flight_delay")
    job = replace(job, sql_versions=tuple(each for each in job.sql_versions if each[0] == "outcomes"))
    times = Times()
    with tempfile.TemporaryDirectory() as folder:
        make_warehouse(Path(folder) / "warehouse.duckdb", given.copies)
        for _ in range(given.rounds):
            look = measure_round(Path(folder), job, times)
    parts = len(look.snapshot.table("outcomes").partitions)
    print(f"{look.snapshot.rows:,} rows in {parts} partitions, {look.snapshot.size:,} bytes; {given.rounds} rounds")
    report(times)


def make_warehouse(path: Path, copies: int) -> None:
    """The sample's flights of the window, each once more for every further copy of its carrier, in order of days."""
    load_sample(path)
    con = connect(path)
    for table in ("flight_outcomes", "scheduled_flights"):
        con.execute(f"ALTER TABLE {table} RENAME TO once")
        con.execute(
            f"CREATE TABLE {table} AS SELECT once.* REPLACE (carrier || lpad(copy::VARCHAR, 3, '0') AS carrier) "
            f"FROM once, range({copies}) AS copies(copy) WHERE {SPAN} ORDER BY flight_date"
        )
        con.execute("DROP TABLE once")
    con.close()


def measure_round(folder: Path, job: Job, times: Times) -> Look:
    """Each thing once, in a home of its own; the last look."""
    warehouse = folder / "warehouse.duckdb"
    named = {"SCORE_HOME": str(folder / "home"), "SCORE_WAREHOUSE": f"duckdb:///{warehouse}"}
    settings = read_settings(named, lambda: datetime.now(UTC))
    home = open_home(settings.home)
    times.of("bare", lambda: bare_copy(folder, job, settings))
    times.of("first", lambda: take_snapshot(job, settings, home, AS_OF))
    times.of("same", lambda: take_snapshot(job, settings, home, AS_OF, recognise=True))
    with connect(warehouse) as con:
        con.execute(REWRITE)
    look = times.of("rewritten", lambda: take_snapshot(job, settings, home, AS_OF, recognise=True))
    paths = [object_path(home.objects, part.digest) for part in look.snapshot.table("outcomes").partitions]
    times.of("plain", lambda: pl.read_parquet(paths))
    times.of("checked", lambda: (check_seals(look.snapshot.seals(home)), pl.read_parquet(paths)))
    times.of("read", lambda: pl.collect_all(read_tables(in_store(home), look.snapshot).values()))
    shutil.rmtree(settings.home)
    return look


def bare_copy(folder: Path, job: Job, settings: Settings) -> None:
    """The rows of the table as one file, in the order in which partitions stand, and nothing else."""
    asks = bounded(job.queries(), AS_OF, AS_OF, job.horizon_days)
    with open_warehouse(settings.warehouse, job, asks, folder) as extraction:
        for query, bounds in asks:
            rows = extraction.ordered(query, bounds)
            extraction.run(query, bounds, f"COPY ({rows}) TO '{folder / 'bare.parquet'}' ({PARQUET})")


def report(times: Times) -> None:
    """One line a ratio, then one a thing that was done."""
    print(f"{'ratio of medians':<38}{'elapsed':>24}{'processor':>24}")
    for said, above, below in PAIRS:
        print(f"{said:<38}{ratio(times.elapsed, above, below):>24}{ratio(times.processor, above, below):>24}")
    for name, seconds in times.elapsed.items():
        print(f"{name:<38}{statistics.median(seconds):>22.2f} s{statistics.median(times.processor[name]):>22.2f} s")


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> str:
    """The ratio of medians, and the least and most of the rounds."""
    rounds = [one / other for one, other in zip(seconds[above], seconds[below], strict=True)]
    medians = statistics.median(seconds[above]) / statistics.median(seconds[below])
    return f"{medians:.2f} ({min(rounds):.2f} to {max(rounds):.2f})"


if __name__ == "__main__":
    main()
