"""Editions: which SQL versions and which feature module go together. A job's models may be of different ones.

The TOML's own `[sql]` and `features` are the current edition, which training takes. Each `[[earlier]]` keeps one that
models were trained with before: they go on scoring, replaying and being compared as long as it stands there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.availability import Columns
from jobs.queries.source import QueryMissing, file_name, fingerprint, read_bytes
from jobs.store.registry import read_version, version_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jobs.definition import Edition, Job
    from jobs.store.home import Home
    from jobs.store.registry import ModelVersion


def editions_of(job: Job) -> Iterator[Job]:
    """The job in each of its editions, the current one first."""
    for edition in job.editions:
        yield in_edition(job, edition)


def in_edition(job: Job, edition: Edition) -> Job:
    """The job with the SQL and the features of one of its editions."""
    return replace(job, features_module=edition.features_module, sql_versions=edition.sql_versions)


def edition_of(job: Job, version: ModelVersion) -> Job:
    """The job as a model version was trained: with its feature set, most of its SQL, and its columns' policies.

    In the current edition if there is no such one: what differs is said, by name, where it matters.
    """
    return replace(_with_code_of(job, version), columns=Columns(version.columns))


def _with_code_of(job: Job, version: ModelVersion) -> Job:
    if len(job.editions) == 1:
        return job
    same_features = [
        each for each in editions_of(job) if each.features().FEATURE_SET.fingerprint == version.feature_fingerprint
    ]
    current = in_edition(job, job.editions[0])
    return max(same_features, key=lambda each: _same_tables(each, version.sql_fingerprints), default=current)


def in_editions_like(jobs: Sequence[Job], home: Home, name: str | None) -> list[Job]:
    """The jobs as they stand; or, where a model version is named, the one that has it, in that version's edition.

    Raises:
        ModelMissing: if none of them has it.
    """
    if name is None:
        return list(jobs)
    having = [job for job in jobs if name in version_names(home, job.name)] or list(jobs[:1])
    return [edition_of(job, read_version(home, job.name, name)) for job in having]


def edition_that_took(job: Job, sql: Mapping[str, str]) -> Job:
    """The first edition that takes these tables by SQL of these fingerprints; the job as it stands if none does."""
    took = (each for each in editions_of(job) if _same_tables(each, sql) == len(sql))
    return job if len(job.editions) == 1 else next(took, job)


def _same_tables(job: Job, sql: Mapping[str, str]) -> int:
    """How many of these tables the edition takes by the SQL of the same fingerprint."""
    same = 0
    for table, number in job.sql_versions:
        try:
            found = fingerprint(read_bytes(job.sql_folder / file_name(table, number)))
        except QueryMissing:  # told by whoever reads the edition's queries
            continue
        same += found == sql.get(table)
    return same
