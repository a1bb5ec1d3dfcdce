"""How good the scores of September 2013 are, by models trained as of 1 September and what was known each night.

    python bench/september.py [JOB...]

Runs the nightly job as cron would, on the sample warehouse in an empty home, then compares the published scores with
what really happened; every job of the repository, or those that are named. Prints what the README quotes.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.definition import job_names, load_job
from jobs.settings import read_settings
from jobs.steps.evaluating import evaluate
from jobs.steps.nights import Desk, run_nightly
from jobs.steps.qualities import quality_lines
from jobs.steps.training import train_version
from jobs.store.home import open_home
from jobs.warehouse.sample import load_sample

if TYPE_CHECKING:
    from jobs.settings import Settings

FIRST = date(2013, 9, 1)
NIGHTS = tuple(FIRST + timedelta(days=n) for n in range(30))


def main() -> None:
    """Train, score thirty nights, compare; job by job."""
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings({"SCORE_HOME": str(Path(folder) / "home")}, lambda: datetime.now(UTC))
        open_home(settings.home)
        load_sample(settings.home / "warehouse.duckdb")
        for name in sys.argv[1:] or job_names():
            measure(name, settings)


def measure(name: str, settings: Settings) -> None:
    """The September of one job."""
    home, job = open_home(settings.home), load_job(name)
    threads = len(os.sched_getaffinity(0))
    began, busy = time.perf_counter(), time.process_time()
    trained = train_version(job, settings, home, FIRST, threads=threads)
    took = f"{time.perf_counter() - began:.1f} s, {time.process_time() - busy:.1f} s of CPU"
    print(f"{name}: trained {trained.version.version} on {trained.rows:,} rows in {took}")
    desk = Desk(job, settings, home, (job,), threads)
    times = []
    for night in NIGHTS:
        began = time.perf_counter()
        run_nightly(desk, night)
        times.append(time.perf_counter() - began)
    print(f"{len(NIGHTS)} nights, median {statistics.median(times):.2f} s a night")
    found = evaluate(job, settings, home, NIGHTS)
    quality_lines(asdict(found), f"on {found.rows:,} {job.words.things}, September 2013")
    alone = [asdict(evaluate(job, settings, home, [night])) for night in NIGHTS]
    measures = ("auc",) if "auc" in alone[0] else ("rmse", "spearman", "top_tenth_share")
    for each in measures:
        within = statistics.median(one[each] for one in alone if one[each] is not None)
        print(f"median {each} within one night {within:.4f}")


if __name__ == "__main__":
    main()
