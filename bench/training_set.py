"""What features of many nights cost: 30, 100 and 300 nights over the same history, against one night at a time.

    python bench/training_set.py

Builds the features of `flight_delay` for so many nights in one sweep, from one snapshot of the sample warehouse. Ratios
are of medians of three builds, taken in turn; "one at a time" is so many times the build of one night.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from jobs.definition import load_job
from jobs.settings import read_settings
from jobs.steps.snapshots import take_snapshot
from jobs.store.home import open_home
from jobs.store.opening import in_store, read_tables
from jobs.warehouse.sample import load_sample

AS_OF = date(2013, 12, 31)
NIGHTS = (1, 30, 100, 300)
REPEATS = 3


def main() -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        job = load_job("flight_delay")
        settings = read_settings({"SCORE_HOME": str(Path(folder) / "home")}, lambda: datetime.now(UTC))
        home = open_home(settings.home)
        load_sample(settings.home / "warehouse.duckdb")
        look = take_snapshot(job, settings, home, AS_OF, first_night=AS_OF - timedelta(days=364))
        tables = read_tables(in_store(home), look.snapshot)
    build = job.features().build_features
    last = AS_OF - timedelta(days=2)
    seconds: dict[int, list[float]] = {count: [] for count in NIGHTS}
    rows: dict[int, int] = {}
    for _ in range(REPEATS):
        for count in NIGHTS:
            cutoffs = [job.cutoff(last - timedelta(days=n)) for n in range(count)]
            began = time.perf_counter()
            rows[count] = build(tables, cutoffs).height
            seconds[count].append(time.perf_counter() - began)
    median = {count: statistics.median(seconds[count]) for count in NIGHTS}
    print(f"{'nights':>7}{'rows':>10}{'median s':>10}{'x 30 nights':>13}{'x one at a time':>17}")
    for count in NIGHTS:
        ratio, alone = median[count] / median[30], median[count] / (count * median[1])
        print(f"{count:>7}{rows[count]:>10,}{median[count]:>10.2f}{ratio:>13.2f}{alone:>17.3f}")


if __name__ == "__main__":
    main()
