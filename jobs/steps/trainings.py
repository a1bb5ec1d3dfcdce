"""Training of several jobs, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.exits import Failure, failure_of, known_failures
from jobs.steps.begun import require_begun
from jobs.steps.training import train_version
from jobs.telling.log import SILENT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from jobs.definition import Job
    from jobs.screen import Tell
    from jobs.settings import Settings
    from jobs.steps.training import Trained
    from jobs.store.home import Home
    from jobs.telling.log import Log

INCOMPLETE = 3


@dataclass(frozen=True, slots=True)
class NotTrained:
    """A job that could not be trained, and why."""

    job: str
    failure: Failure


def train_jobs(
    jobs: Sequence[Job],
    settings: Settings,
    home: Home,
    as_of: date,
    *,
    threads: int,
    tell: Tell,
    log: Log = SILENT,
) -> tuple[list[Trained], list[NotTrained]]:
    """Train jobs: of several, one that cannot be trained does not stop the others; of one, the failure is raised."""
    for job in jobs:
        require_begun(job, settings, as_of)
    trained, failed = [], []
    for job in jobs:
        try:
            trained.append(train_version(job, settings, home, as_of, threads=threads, tell=tell, log=log))
        except known_failures() as error:
            failure = failure_of(error)
            if failure is None or len(jobs) == 1:
                raise
            failed.append(NotTrained(job.name, failure))
    return trained, failed


def exit_code(trained: Sequence[Trained], failed: Sequence[NotTrained]) -> int:
    """0 if every job was trained; the failure's code if none was; 3 if some were."""
    if not failed:
        return 0
    return INCOMPLETE if trained else failed[0].failure.code
