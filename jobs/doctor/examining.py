"""Examining: named checks in their order, each ok, wrong, or not looked at; and what the environment is.

A check is a small function that returns what it found, and raises a known failure if that is wrong. Nothing is changed
but a file in staging, which is removed again. Nothing here loads LightGBM before a check found that it loads.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING

from jobs.definition import job_names, load_job
from jobs.doctor.checking import Diagnosis, Finding, NotYet, Patient
from jobs.doctor.of_jobs import AFTERWARDS, OF_A_JOB
from jobs.doctor.of_the_installation import OF_THE_INSTALLATION
from jobs.doctor.of_the_place import OF_THE_PLACE
from jobs.doctor.of_the_telling import OF_THE_TELLING
from jobs.environment import code, environment, host, lock_sha256, processor
from jobs.exits import Failure, failure_of
from jobs.steps.in_use import names_in_use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jobs.doctor.checking import Check
    from jobs.project import Project
    from jobs.screen import Tell
    from jobs.settings import Settings
    from jobs.store.documents import Json

BUG = 70


def examine(read_settings: Callable[[], Settings], project: Project, job: str | None, tell: Tell) -> Diagnosis:
    """Look at the machine, at one job or all that are in use, and at what analysts see.

    Raises:
        JobMissing, NameRefused: if there is no such job.
    """
    if job is not None and job not in job_names(project):
        load_job(job, project)
    patient = Patient(read_settings, project, (job,) if job else job_names(project))
    return Diagnosis(_environment(project), tuple(_findings(patient, _rounds(patient, job), tell)))


def _rounds(patient: Patient, job: str | None) -> Iterator[tuple[str, Sequence[Check]]]:
    """What is looked at, in its order; which jobs are in use is known once the home was found in order."""
    yield "", (*OF_THE_INSTALLATION, *OF_THE_PLACE, *OF_THE_TELLING)
    if job is None and patient.place is not None:
        patient.names = names_in_use(patient.names, patient.place)
    yield from ((name, OF_A_JOB) for name in patient.names)
    yield "", AFTERWARDS


def _findings(patient: Patient, rounds: Iterable[tuple[str, Sequence[Check]]], tell: Tell) -> Iterator[Finding]:
    good: set[tuple[str, str]] = set()
    for job, checks in rounds:
        for check in checks:
            tell(f"looking at {check.name}")
            lacking = [need for need in check.needs if not {(need, ""), (need, job)} & good]
            finding = _not_looked_at(check, job, f"needs `{lacking[0]}`") if lacking else _look(patient, check, job)
            if finding.ok:
                good.add((check.name, job))
            yield finding


def _look(patient: Patient, check: Check, job: str) -> Finding:
    try:
        found = check.look(patient, job)
    except Exception as error:  # noqa: BLE001  the table of known failures loads what may not load here; the rest goes on
        failure = failure_of(error) or Failure(BUG, f"a bug: {type(error).__name__}; please report it")
        return Finding(check.name, job, ok=False, detail=failure.message, code=failure.code)
    if isinstance(found, NotYet):
        return _not_looked_at(check, job, found.why)
    return Finding(check.name, job, ok=True, detail=found)


def _not_looked_at(check: Check, job: str, why: str) -> Finding:
    return Finding(check.name, job, ok=None, detail=f"not looked at: {why}")


def _environment(project: Project) -> dict[str, Json]:
    """All that a result may depend on, and the machine; what is not installed is said by a check."""
    try:
        found = environment()
    except PackageNotFoundError as error:
        found = {str(error.name): None}
    there: dict[str, Json] = {**found, **processor(), **code(project), "lock": lock_sha256(project)}
    return {**there, "platform": platform.platform(), **host(project)}
