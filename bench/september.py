"""How good the scores of September 2013 are, by a model trained as of 1 September and what was known each night.

    python bench/september.py

Runs the nightly job as cron would, on the sample warehouse in an empty home, then compares the published scores with
what really happened. Prints what the README quotes.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from jobs.definition import load_job
from jobs.screen import silent
from jobs.settings import read_settings
from jobs.steps.evaluating import evaluate
from jobs.steps.nights import Desk, run_nightly
from jobs.steps.training import train_version
from jobs.store.home import open_home
from jobs.warehouse.sample import load_sample

FIRST = date(2013, 9, 1)
NIGHTS = tuple(FIRST + timedelta(days=n) for n in range(30))


def main() -> None:
    """Train, score thirty nights, compare."""
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings({"SCORE_HOME": str(Path(folder) / "home")}, lambda: datetime.now(UTC))
        home, job = open_home(settings.home), load_job("flight_delay")
        load_sample(settings.home / "warehouse.duckdb")
        threads = len(os.sched_getaffinity(0))
        began = time.perf_counter()
        trained = train_version(job, settings, home, FIRST, threads=threads, tell=silent)
        print(f"trained {trained.version.version} on {trained.rows:,} rows in {time.perf_counter() - began:.1f} s")
        desk = Desk(job, settings, home, (job,), threads)
        times = []
        for night in NIGHTS:
            began = time.perf_counter()
            run_nightly(desk, night)
            times.append(time.perf_counter() - began)
        print(f"{len(NIGHTS)} nights, median {sorted(times)[len(times) // 2]:.2f} s a night")
        found = evaluate(job, settings, home, NIGHTS)
        print(f"September 2013, {found.rows:,} flights, {found.positives:,} late or cancelled: AUC {found.auc:.4f}")
        print(f"log loss {found.log_loss:.4f} (base rate {found.base_log_loss:.4f})")
        print(f"Brier {found.brier:.4f} (base rate {found.base_brier:.4f})")
        alone = [evaluate(job, settings, home, [night]).auc for night in NIGHTS]
        print(f"median AUC within one night {statistics.median(each for each in alone if each is not None):.4f}")


if __name__ == "__main__":
    main()
