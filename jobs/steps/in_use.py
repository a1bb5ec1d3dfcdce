"""Which jobs a command is about when none is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.definition import job_names
from jobs.project import OURS, is_in_source, project_around
from jobs.settings import home_or_var
from jobs.store.home import Home
from jobs.store.registry import version_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jobs.definition import Job


def jobs_in_use(jobs: Sequence[Job], home: Home) -> list[Job]:
    """The jobs that have a model or anything on record in a home; before the first has, all.

    A job that came with an upgrade, or is never trained here, does not make the nights of the others fail.
    """
    used = names_in_use([job.name for job in jobs], home)
    return [job for job in jobs if job.name in used]


def names_in_use(names: Sequence[str], home: Home) -> tuple[str, ...]:
    """The same, by name."""
    return tuple(name for name in names if _is_in_use(name, home)) or tuple(names)


def whose_jobs(name: str | None, environ: Mapping[str, str], folder: Path) -> str | None:
    """What to say where a command fell back on our own jobs and nobody asked for these; null where somebody did.

    Somebody did who names one of them, who works in our source, or in whose home one was trained.
    """
    names = job_names(OURS)
    if name in names or environ.get("SCORE_PROJECT") or is_in_source(folder) or project_around(folder) != OURS:
        return None
    home = Home(home_or_var(environ))
    if any(_is_in_use(each, home) for each in names):
        return None
    return (
        f"no project here: these are the program's own jobs ({', '.join(names)}), and their home is {home.root}; cd "
        "into your project, or name it: score --project DIR"
    )


def _is_in_use(job: str, home: Home) -> bool:
    """Whether a job was ever trained in a home, or has anything else on record."""
    return bool(version_names(home, job)) or any(home.events(job).glob("[0-9]*.json"))
