"""What features of many nights cost: 30, 100 and 365 nights over the same history, against one night at a time.

    python bench/training_set.py [--write]

Builds the features of `flight_delay` for so many nights in one sweep, from one snapshot of the sample warehouse. Ratios
are of medians of three builds, taken in turn; "one at a time" is so many times the build of one night. With --write it
writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.page import machine, table, write_section
from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.snapshots import take_snapshot
from jobs.store.home import open_home
from jobs.store.opening import in_store, read_tables
from jobs.warehouse.sample import load_sample

AS_OF = date(2014, 1, 1)
NIGHTS = (1, 30, 100, 365)
REPEATS = 3
HEAD = ("nights", "rows", "median s (lowest-highest)", "÷ 30 nights", "÷ one at a time")


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        job = load_job("flight_delay")
        settings = read_settings({"SCORE_HOME": str(Path(folder) / "home")}, lambda: datetime.now(UTC))
        home = open_home(settings.home)
        load_sample(settings.home / "warehouse.duckdb")
        look = take_snapshot(job, settings, home, AS_OF, first_night=AS_OF - timedelta(days=365))
        tables = read_tables(in_store(home), look.snapshot)
    build = job.features().build_features
    seconds: dict[int, list[float]] = {count: [] for count in NIGHTS}
    rows: dict[int, int] = {}
    for _ in range(REPEATS):
        for count in NIGHTS:
            cutoffs = [job.cutoff(AS_OF - timedelta(days=n + 1)) for n in range(count)]
            began = time.perf_counter()
            rows[count] = build(tables, cutoffs).height
            seconds[count].append(time.perf_counter() - began)
    text = (
        f"{machine()}\n\n    python bench/training_set.py\n\n{table(HEAD, [_line(n, rows, seconds) for n in NIGHTS])}\n"
    )
    print(text)
    if write:
        write_section("training_set", "Features of many nights", text)


def _line(count: int, rows: dict[int, int], seconds: dict[int, list[float]]) -> tuple[str, ...]:
    median = {nights: statistics.median(each) for nights, each in seconds.items()}
    spread = f"{median[count]:.2f} ({min(seconds[count]):.2f}-{max(seconds[count]):.2f})"
    alone = median[count] / (count * median[1])
    return str(count), f"{rows[count]:,}", spread, f"{median[count] / median[30]:.2f}", f"{alone:.3f}"


if __name__ == "__main__":
    main()
