"""A week of nights of the demonstration from a DuckDB file and from a PostgreSQL server: the same runs, and their time.

    python bench/both_warehouses.py [--nights 7]

The server is the one whose URL stands in SCORE_TEST_POSTGRES, else one that is started from the package of the tests.
Both are loaded with the whole sample, both homes train as of the first night. Prints run ids and digests side by side,
the seconds of either, and their ratio; exit 1 if a digest differs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jobs.definition import load_job
from jobs.screen import silent
from jobs.settings import read_settings
from jobs.steps.demo import load_demo
from jobs.steps.nights import Desk, run_nightly
from jobs.steps.training import train_version
from jobs.store.home import open_home
from tests import postgres

if TYPE_CHECKING:
    from jobs.store.runs import Run

FIRST = date(2013, 9, 1)


@dataclass(frozen=True)
class Week:
    """What one warehouse gave: the run of each night, and the seconds that it took."""

    trained_s: float
    runs: list[Run]
    seconds: list[float]


def main() -> int:
    """Score the nights from both, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=7)
    nights = [FIRST + timedelta(days=n) for n in range(parser.parse_args().nights)]
    with tempfile.TemporaryDirectory() as folder:
        of_file = score(Path(folder) / "file", f"duckdb:///{folder}/warehouse.duckdb", nights)
        of_server = score(Path(folder) / "server", postgres.start().make("both_warehouses"), nights)
    shown = [show(*pair) for pair in zip(nights, of_file.runs, of_server.runs, strict=True)]
    print(f"training: file {of_file.trained_s:.2f} s, server {of_server.trained_s:.2f} s")
    file_s, server_s = (statistics.median(week.seconds) for week in (of_file, of_server))
    print(f"a night, median: file {file_s:.2f} s, server {server_s:.2f} s, ratio {server_s / file_s:.2f}")
    return 0 if all(shown) else 1


def score(home: Path, url: str, nights: list[date]) -> Week:
    """Load the sample, train, and score the nights one at a time."""
    settings = read_settings({"SCORE_HOME": str(home), "SCORE_WAREHOUSE": url}, lambda: datetime.now(UTC))
    job, threads = load_job("flight_delay"), len(os.sched_getaffinity(0))
    load_demo(settings, None, silent)
    place = open_home(settings.home)
    began = time.perf_counter()
    train_version(job, settings, place, nights[0], threads=threads, tell=silent)
    trained_s = time.perf_counter() - began
    desk, runs, seconds = Desk(job, settings, place, (job,), threads), [], []
    for night in nights:
        began = time.perf_counter()
        runs += [outcome.run for outcome in run_nightly(desk, night) if outcome.run]
        seconds.append(time.perf_counter() - began)
    return Week(trained_s, runs, seconds)


def show(night: date, of_file: Run, of_server: Run) -> bool:
    """One night's run ids and digests, and whether they are equal."""
    of_both = [(run.run_id, run.inputs.snapshot_digest, run.scores_digest) for run in (of_file, of_server)]
    same = of_both[0] == of_both[1]
    print(f"{night}, {of_file.row_count} rows: {'equal' if same else 'DIFFERENT'}")
    for name, here, there in zip(("run", "snapshot", "scores"), *of_both, strict=True):
        print(f"  {name:<9}{here[:32]}  {there[:32]}")
    return same


if __name__ == "__main__":
    sys.exit(main())
