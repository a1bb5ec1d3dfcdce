"""An as-of is a day that has begun: before its cutoff nobody can know what will have been known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from jobs.definition import Job
    from jobs.settings import Settings


class AsOfInFuture(Exception):
    """The as-of has not begun yet."""


def require_begun(job: Job, settings: Settings, as_of: date) -> None:
    """Refuse an as-of that lies in the future.

    Raises:
        AsOfInFuture: naming the last as-of that can be asked for.
    """
    today = settings.today(job.calendar)
    if as_of > today:
        raise AsOfInFuture(f"{as_of} has not begun yet in {job.calendar.zone_name}; the last as-of is {today}")
