"""Which jobs a command is about when none is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.store.registry import version_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.definition import Job
    from jobs.store.home import Home


def jobs_in_use(jobs: Sequence[Job], home: Home) -> list[Job]:
    """The jobs that have a model or anything on record in a home; before the first has, all.

    A job that came with an upgrade, or is never trained here, does not make the nights of the others fail.
    """
    used = names_in_use([job.name for job in jobs], home)
    return [job for job in jobs if job.name in used]


def names_in_use(names: Sequence[str], home: Home) -> tuple[str, ...]:
    """The same, by name."""
    return tuple(name for name in names if _is_in_use(name, home)) or tuple(names)


def _is_in_use(job: str, home: Home) -> bool:
    """Whether a job was ever trained in a home, or has anything else on record."""
    return bool(version_names(home, job)) or any(home.events(job).glob("[0-9]*.json"))
