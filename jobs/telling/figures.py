"""What the outcomes of a run come to: figures a job, and the lines that a ping carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.definition import load_job
from jobs.steps.nights import exit_code
from jobs.steps.reports import outcome_line
from jobs.telling.metrics import Figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.definition import Job
    from jobs.project import Project
    from jobs.steps.nights import Outcome

_DONE = {"published", "already_published"}


def figures_of(outcomes: Sequence[Outcome], project: Project) -> dict[str, Figures]:
    """By job of a project, what became of its nights."""
    jobs = dict.fromkeys(outcome.job for outcome in outcomes)
    return {job: _of(load_job(job, project), [each for each in outcomes if each.job == job]) for job in jobs}


def _of(job: Job, outcomes: Sequence[Outcome]) -> Figures:
    published = [each for each in outcomes if each.status == "published"]
    waiting = sum(each.waiting for each in outcomes)
    done = {each.as_of: each.run.row_count for each in outcomes if each.run and each.status in _DONE}
    newest = max(done, default=None)
    unseen = [each.unseen for each in outcomes if each.unseen is not None]
    return Figures(
        code=exit_code(outcomes),
        published=len(published),
        failed=sum(1 for each in outcomes if each.failure and not each.waiting),
        waiting=waiting,
        newest_at=job.cutoff(newest).at if newest else None,
        newest_rows=done[newest] if newest else 0,
        unseen=unseen[-1] if unseen else None,
    )


def lines_of(outcomes: Sequence[Outcome]) -> str:
    """A line a night, as the screen has it; a failure with its message."""
    return "\n".join(outcome_line(each) for each in outcomes)
