"""What sixty nightly snapshots cost: bytes against every distinct row version stored once, and false mutations.

    python bench/store_growth.py [--nights 60] [--first 2013-06-01]

Takes snapshots of `flight_delay` (a 90-day window of outcomes) for consecutive nights of the sample warehouse, as the
nightly job would, and compares what the store holds then with each distinct row stored once: in the same partitions, in
one file an event day (the coarsest cut that still lets days come and go), and in one key-ordered file a table (which no
night could add to). Every mutation that the ledger lists would be a false one, since nothing was rewritten.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.snapshots import take_snapshot
from jobs.store.home import Home, open_home
from jobs.store.objects import object_path, read_rows, write_parquet
from jobs.warehouse.engine import connect
from jobs.warehouse.sample import load_sample

if TYPE_CHECKING:
    import polars as pl

    from jobs.store.snapshots import Snapshot


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=60)
    parser.add_argument("--first", type=date.fromisoformat, default=date(2013, 6, 1))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.first, given.nights)


def measure(folder: Path, first: date, nights: int) -> None:
    """Take the snapshots in an empty home below `folder` and print what they cost."""
    job = load_job("flight_delay")
    settings = read_settings({"SCORE_HOME": str(folder / "home")}, lambda: datetime.now(UTC))
    home = open_home(settings.home)
    load_sample(settings.home / "warehouse.duckdb")
    snapshots: list[Snapshot] = []
    mutations = 0
    times: list[float] = []
    for n in range(nights):
        began = time.perf_counter()
        look = take_snapshot(job, settings, home, first + timedelta(days=n))
        times.append(time.perf_counter() - began)
        snapshots.append(look.snapshot)
        mutations += len(look.comparison.mutations) if look.comparison else 0
    median = sorted(times[1:])[len(times) // 2]
    print(f"{nights} nights from {first}; first night {times[0]:.2f} s, median of the others {median:.2f} s")
    print(f"mutations listed, all of them false: {mutations}")
    print("bytes stored, against every distinct row stored once in ... (ratio)")
    print(f"{'table':<10}{'rows':>9}{'parts':>7}{'stored':>11}{'same parts':>19}{'event days':>19}{'one file':>19}")
    for table in snapshots[0].tables:
        report(home, folder, table.name, snapshots)


def report(home: Home, folder: Path, name: str, snapshots: list[Snapshot]) -> None:
    """One line: what a table's objects take, against its distinct rows stored once."""
    table = snapshots[0].table(name)
    parts = {part.digest: part for each in snapshots for part in each.table(name).partitions}
    stored = sum(part.seal.size for part in parts.values())
    rows = read_rows(object_path(home.objects, digest) for digest in parts).unique()
    cuts = [["event_day", "visible_day"], ["event_day"], []] if table.start else [[]]
    once = [once_stored(rows, cut, list(table.order), folder) for cut in cuts]
    columns = "".join(f"{size:>11,} ({stored / size:.3f})" for size in once)
    print(f"{name:<10}{rows.height:>9,}{len(parts):>7,}{stored:>11,}{columns:>57}")


def once_stored(rows: pl.DataFrame, cut: list[str], order: list[str], folder: Path) -> int:
    """Bytes of the rows, each stored once in key order, in one file for each value of the columns `cut`."""
    con = connect()
    ordered = rows.sort(*cut, *order)
    pieces = ordered.partition_by(cut, maintain_order=True) if cut else [ordered]
    return sum(write_parquet(con, piece, folder / "piece.parquet").size for piece in pieces)


if __name__ == "__main__":
    main()
