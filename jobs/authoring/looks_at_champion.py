"""Looks at the home: whether the champion that scores next finds the features and the SQL that it was trained with."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

from jobs.authoring.looks_at_features import line_of_name
from jobs.authoring.problems import Problem
from jobs.editions import edition_of
from jobs.exits import failure_of
from jobs.queries.declaration import Role
from jobs.queries.source import file_name, fingerprint, read_bytes
from jobs.store.events import ChampionMissing, read_chain
from jobs.store.home import read_home
from jobs.store.registry import read_version
from models.parameter_file import line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.authoring.case import Case
    from jobs.definition import Job
    from jobs.settings import Settings
    from jobs.store.registry import ModelVersion


def look_at_champion(case: Case, settings: Settings, as_of: date | None, found: set[Problem]) -> Iterator[str]:
    """What was not looked at, and why; what is wrong is added to `found`. Nothing where there is no model yet."""
    editions = (case, *case.earlier)
    if case.job is None or not all(each.module and each.whole for each in editions):
        return  # what is wrong with the job's files is said already
    try:
        champions = _champions(case.job, settings, as_of or settings.today(case.job.calendar))
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        yield f"the champion: {failure.message}"
        return
    for version in champions:
        found |= {*_features(case, case.job, version), *_sql(case, case.job, version)}


def _champions(job: Job, settings: Settings, day: date) -> list[ModelVersion]:
    """The champion as of the day, and the one that was promoted last, if it is another."""
    home, names = read_home(settings.home), []
    chain = read_chain(home, job.name)
    for night in (day, date.max):
        with suppress(ChampionMissing):
            names.append(chain.champion(night))
    return [read_version(home, job.name, name) for name in dict.fromkeys(names)]


def _features(case: Case, job: Job, version: ModelVersion) -> Iterator[Problem]:
    """One of the job's editions builds its features, and no other columns go by the version of its feature set."""
    from jobs.steps.scoring import changed_columns  # noqa: PLC0415  it loads LightGBM, and not every look needs it

    now = job.features().FEATURE_SET
    called = f"{now.name} version {now.version}"
    builds = edition_of(job, version).features().FEATURE_SET.fingerprint == version.feature_fingerprint
    earlier = f"keep the module and the SQL of before under [[earlier]] in jobs/{job.name}.toml (docs/versions.md)"
    if called == version.feature_set and now.fingerprint != version.feature_fingerprint:
        yield Problem(
            str(case.module_file), line_of_name(case.module_file, "FEATURE_SET"),
            f"FEATURE_SET is {called}, and so is that of the champion {version.version}, with other columns: "
            f"{changed_columns(now, version)}", f"raise its version{'' if builds else f', and {earlier}'}",
        )  # fmt: skip
    elif not builds:
        yield Problem(
            str(case.toml), line_of(_text(case), "features", ""),
            f"the champion {version.version} was trained with {version.feature_set}, which no edition builds; "
            f"{called}: {changed_columns(now, version)}", earlier,
        )  # fmt: skip


def _sql(case: Case, job: Job, version: ModelVersion) -> Iterator[Problem]:
    """The edition that it scores in takes each table by the SQL that took its training rows."""
    edition = edition_of(job, version)
    here = next(each for each in (case, *case.earlier) if each.job and _same(each.job, edition))
    for query in here.queries.values():
        if query.declaration.role is Role.LABELS or version.sql_fingerprints.get(query.table) == query.fingerprint:
            continue
        number = dict(edition.sql_versions)[query.table]
        yield Problem(
            str(case.toml), line_of(_text(case), query.table, "sql"),
            f"the champion {version.version} was trained with {_trained_with(case, version, query.table)}, and the "
            f"edition that it scores in has version {number}",
            "keep the versions and the feature module of before under [[earlier]] (docs/versions.md)",
        )  # fmt: skip


def _same(one: Job, other: Job) -> bool:
    return (one.features_module, one.sql_versions) == (other.features_module, other.sql_versions)


def _trained_with(case: Case, version: ModelVersion, table: str) -> str:
    """The file of the table's SQL that took the training rows, if it is still there."""
    sql = version.sql_fingerprints.get(table)
    if sql is None:
        return f"no table {table}"
    numbers = range(1, len(list(case.sql.glob(f"{table}_v*.sql"))) + 1)
    paths = (case.sql / file_name(table, number) for number in numbers)
    took = (path.name for path in paths if path.is_file() and fingerprint(read_bytes(path)) == sql)
    return next(took, f"other SQL of {table}")


def _text(case: Case) -> str:
    return case.toml.read_text(encoding="utf-8")
