"""`score check`: everything that is wrong with a job before it runs, all at once.

Each look is a function of the case that yields problems. A look needs what earlier ones found; where that is not
there, what is wrong with it has been said already. Nothing is changed, nothing is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.authoring.case import Case
from jobs.authoring.looks_at_champion import look_at_champion
from jobs.authoring.looks_at_features import categories, empty, members, module, source, transforms, windows
from jobs.authoring.looks_at_files import columns, definition, nights, parameters, queries, releases, roles
from jobs.authoring.looks_at_rows import look_at_rows
from jobs.authoring.problems import Checked
from jobs.definition import JobMissing, job_names
from jobs.editions import in_edition
from jobs.settings import read_project, read_settings
from jobs.store.home import safe_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date, datetime

    from jobs.authoring.problems import Problem
    from jobs.definition import Job
    from jobs.project import Project
    from jobs.settings import Settings

LOOKS: tuple[Callable[[Case], Iterator[Problem]], ...] = (
    *(queries, releases, roles, parameters, nights, columns),
    *(source, module, transforms, windows, empty, categories, members),
)
LOOKS_AT_EARLIER = (queries, releases, roles, source, module, transforms, empty)


def check_jobs(
    name: str | None, environ: Mapping[str, str], clock: Callable[[], datetime], as_of: date | None
) -> tuple[Checked, ...]:
    """What is wrong with one job of the project, or with all of them.

    Raises:
        JobMissing, NameRefused: if there is no such job.
    """
    project = read_project(environ)
    names = job_names(project) if name is None else (safe_name(name),)
    missing = [each for each in names if not (project.jobs / f"{each}.toml").is_file()]
    if missing or not names:
        there = ", ".join(job_names(project)) or "none"
        raise JobMissing(f"there is no job{f' `{name}`' if name else ''} in {project}; there is {there}")
    settings = read_settings(environ, clock)
    return tuple(check_job(project, each, settings, as_of) for each in names)


def _earlier(case: Case) -> Iterator[Job]:
    """The job in each edition that models were trained with before; models still score with these."""
    if case.job is not None:
        yield from (in_edition(case.job, edition) for edition in case.job.editions[1:])


def check_job(project: Project, name: str, settings: Settings, as_of: date | None = None) -> Checked:
    """What is wrong with one job; its rows are looked at as of `as_of`, or of today."""
    case = Case(project, name)
    found = set(definition(case))
    case.earlier += [Case(project, name, job=job, module_name=job.features_module) for job in _earlier(case)]
    for each, looks in (*((each, LOOKS_AT_EARLIER) for each in case.earlier), (case, LOOKS)):
        for look in looks:
            found |= set(look(each))
    unseen = (*look_at_champion(case, settings, as_of, found), *look_at_rows(case, settings, as_of, found))
    return Checked(name, tuple(sorted(found)), unseen, tuple(case.said))
