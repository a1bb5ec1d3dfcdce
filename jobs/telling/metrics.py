"""Figures for Prometheus: the text file that node_exporter's textfile collector reads.

One file for all jobs, a series a job. What a run does not know is taken over from the file before, so it is its own
memory; a job that is gone is forgotten. Whoever writes holds a lock on the folder, and renames the file into place.
"""

from __future__ import annotations

import fcntl
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.store.documents import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

# By name, what it says. All of them are gauges.
GAUGES: Mapping[str, str] = {
    "rescore_last_success_timestamp_seconds": "When the nightly command last ended with exit code 0; 0 if never.",
    "rescore_last_run_timestamp_seconds": "When the nightly command last ended.",
    "rescore_last_run_exit_code": "Its exit code for this job, see the runbook; 0 is published or nothing to do.",
    "rescore_last_run_duration_seconds": "How long it took, with waiting for the lock.",
    "rescore_last_run_nights_published": "Nights that it published.",
    "rescore_last_run_nights_failed": "Nights that it could not score.",
    "rescore_last_run_nights_waiting": "Nights that it left to the next run, having done as many as it does at once.",
    "rescore_newest_night_timestamp_seconds": "First instant of the newest night that was found published.",
    "rescore_newest_night_rows": "Scores of that night.",
    "rescore_unseen_label_ratio": "Share of the newest scored night's rows with a label that training did not see, "
    "in the text feature with most of them.",
}
_SERIES = re.compile(r'(rescore_[a-z_]+)\{score_job="([A-Za-z0-9_-]+)"\} ([0-9.e+-]+)')

SUFFIX = ".prom"

type Series = dict[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run of the nightly command did for one job."""

    code: int
    published: int = 0
    failed: int = 0
    waiting: int = 0
    newest_at: datetime | None = None
    newest_rows: int = 0
    unseen: float | None = None


def problem_of(place: str) -> str | None:
    """What is wrong with a place for the file; null if the collector would find it."""
    return None if place.endswith(SUFFIX) else f"must be a path that ends in {SUFFIX}"


def write_metrics(
    path: Path, figures: Mapping[str, Figures], all_jobs: Sequence[str], at: datetime, seconds: float
) -> None:
    """Write the figures of some jobs, with what the file before says of the others.

    Raises:
        OSError: if the folder is not there, or takes no file.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        series = {key: value for key, value in read_metrics(path).items() if key[1] in all_jobs}
        for job, found in figures.items():
            series |= dict(_of(job, found, series, at, seconds))
        write_durably(path, render(series).encode())
    finally:
        os.close(folder)


def read_metrics(path: Path) -> Series:
    """The series of a file that we wrote, by name and job; what else stands there is not ours."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    matched = (_SERIES.fullmatch(line) for line in lines)
    return {(each[1], each[2]): value for each in matched if each and (value := _number(each[3])) is not None}


def render(series: Series) -> str:
    """The text format: for each name what it means, its type, and a line a job."""
    lines: list[str] = []
    for name, meaning in GAUGES.items():
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
        lines += [f'{name}{{score_job="{job}"}} {value!r}' for (of, job), value in sorted(series.items()) if of == name]
    return "\n".join(lines) + "\n"


def _of(
    job: str, found: Figures, before: Series, at: datetime, seconds: float
) -> Iterator[tuple[tuple[str, str], float]]:
    success, newest = "rescore_last_success_timestamp_seconds", "rescore_newest_night_timestamp_seconds"
    now = round(at.timestamp(), 3)
    yield (success, job), before.get((success, job), 0) if found.code else now
    yield ("rescore_last_run_timestamp_seconds", job), now
    yield ("rescore_last_run_exit_code", job), found.code
    yield ("rescore_last_run_duration_seconds", job), round(seconds, 3)
    yield ("rescore_last_run_nights_published", job), found.published
    yield ("rescore_last_run_nights_failed", job), found.failed
    yield ("rescore_last_run_nights_waiting", job), found.waiting
    if found.newest_at is not None and found.newest_at.timestamp() >= before.get((newest, job), 0):
        yield (newest, job), found.newest_at.timestamp()
        yield ("rescore_newest_night_rows", job), found.newest_rows
    if found.unseen is not None:
        yield ("rescore_unseen_label_ratio", job), found.unseen


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
