"""Looks at a job's TOML, its SQL and its model's TOML, each by itself; nothing is executed."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from jobs.authoring.mending import read_all
from jobs.authoring.problems import Problem, problem_of
from jobs.definition import JobRefused, job_of
from jobs.queries.check import check_queries, read_query
from jobs.queries.declaration import Role
from jobs.queries.released import ReleaseListDamaged, read_released, require_released
from jobs.queries.source import file_name, parse_name
from models.parameter_file import ParametersRefused, line_of
from models.parameters import parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from jobs.authoring.case import Case

# What stands in for an entry that is refused, so that the rest is read.
_JOB = {
    "title": "-", "score": "-", "time_zone": "UTC", "key": ["-"], "horizon_days": 1, "label_delay_days": 1,
    "features": "features", "sql": {"table": 1}, "training": {}, "training.nights": 100, "training.warm_up_days": 0,
    "training.missing_labels_max": 0.1, "scoring": {}, "scoring.unseen_max": 0.1,
}  # fmt: skip
_MODEL = {"objective": "binary", "rounds": 1, "seed": 1, "validation_nights": 1}
_CASE = re.compile(r".*_v.*\.sql", re.IGNORECASE)


def definition(case: Case) -> Iterator[Problem]:
    """The job's TOML: what is missing, unknown or mistyped."""
    text = _text_of(case.toml)
    if text is None:
        yield Problem(str(case.toml), 0, "it is not UTF-8", "save it as UTF-8")
        return
    case.job, problems = read_all(
        case.toml, text, lambda entries: job_of(case.name, entries, str(case.toml), case.project), JobRefused, _JOB
    )
    yield from problems
    case.module_name = case.job.features_module if case.job else _text_entry(text, "features")


def queries(case: Case) -> Iterator[Problem]:
    """The SQL that the TOML names, and what lies beside it: declarations, grammar, bounds, total order."""
    wanted = _wanted(case)
    for table, version in wanted:
        path = case.sql / file_name(table, version)
        line = line_of(_text_of(case.toml) or "", table, "sql")
        if parse_name(path.name) is None or not path.is_file():
            there = ", ".join(sorted(each.name for each in case.sql.glob("*.sql"))) or "no SQL file"
            yield Problem(
                str(case.toml), line, f"`sql.{table}` is version {version}, and there is no {path}; there is {there}",
                f"write {path.name}, or name a version that there is",
            )  # fmt: skip
            continue
        refusals = check_queries([path])
        yield from (problem_of(refused, path) for refused in refusals)
        if not refusals:
            case.queries[table] = read_query(path)
    yield from _beside(case, {file_name(table, version) for table, version in wanted})
    if case.queries:
        case.said.append(f"{len(case.queries)} queries")


def _wanted(case: Case) -> tuple[tuple[str, int], ...]:
    """Table and version of the current edition; of a TOML that is refused as far as it can be read."""
    if case.job is not None:
        return case.job.sql_versions
    sql = _entries(_text_of(case.toml) or "").get("sql")
    pairs = sql.items() if isinstance(sql, dict) else ()
    return tuple((table, version) for table, version in pairs if isinstance(version, int) and version > 0)


def _beside(case: Case, wanted: set[str]) -> Iterator[Problem]:
    """SQL files that no version of the TOML names: their rules count all the same, a release takes them along."""
    for path in sorted(case.sql.glob("*")):
        if path.name not in wanted and path.is_file() and _CASE.fullmatch(path.name):
            yield from (problem_of(refused, path) for refused in check_queries([path]))


def releases(case: Case) -> Iterator[Problem]:
    """Every query is released, and none was edited since."""
    try:
        released = read_released(case.sql)
    except ReleaseListDamaged as error:
        yield problem_of(error, case.sql / "released.txt")
        return
    for query in case.queries.values():
        try:
            require_released(query)
        except Exception as error:  # noqa: BLE001  its kinds are many, and each is a problem
            what = problem_of(error, query.path)
            yield Problem(str(query.path), 1, what.problem, what.what_to_do)
    for name in released:
        if not (case.sql / name).is_file():
            yield Problem(
                str(case.sql / name), 0, "it was released and is gone", "restore it, old snapshots refer to it"
            )


def roles(case: Case) -> Iterator[Problem]:
    """The tables together are what a job needs: something to see, and labels."""
    if not case.whole or case.job is None:
        return
    found = {query.declaration.role for query in case.queries.values()}
    line = line_of(_text_of(case.toml) or "", "sql", "")
    if Role.LABELS not in found:
        yield Problem(str(case.toml), line, "no table has the role labels", "declare one, or nothing can be learnt")
    if not found & {Role.HISTORY, Role.POPULATION}:
        yield Problem(
            str(case.toml), line, "no table has the role history or population", "declare one: it says who is scored"
        )


def parameters(case: Case) -> Iterator[Problem]:
    """The model's TOML."""
    if not case.model_toml.is_file():
        yield Problem(str(case.model_toml), 0, "it is not there", "write it: how the job's model is trained")
        return
    text = _text_of(case.model_toml)
    if text is None:
        yield Problem(str(case.model_toml), 0, "it is not UTF-8", "save it as UTF-8")
        return
    case.parameters, problems = read_all(
        case.model_toml,
        text,
        lambda entries: parameters_of(entries, text, str(case.model_toml)),
        ParametersRefused,
        _MODEL,
    )
    yield from problems


def nights(case: Case) -> Iterator[Problem]:
    """Enough nights are trained on for some to be validated on."""
    job, chosen = case.job, case.parameters
    if job is None:
        return
    text = _text_of(case.toml) or ""
    later = job.horizon_days + job.label_delay_days
    if chosen and job.training.nights <= chosen.validation_nights + later:
        yield Problem(
            str(case.toml), line_of(text, "nights", "training"),
            f"training.nights is {job.training.nights}; {chosen.validation_nights} of them are for validation, and "
            f"before these lie {later} whose labels were not known yet",
            "train on more nights, or validate on fewer",
        )  # fmt: skip


def columns(case: Case) -> Iterator[Problem]:
    """Each column says what happens where it is null in production."""
    from jobs.availability import FORMS, DefaultRefused, require_defaults, undeclared, unknown  # noqa: PLC0415

    if not case.whole or case.job is None:
        return
    found, text = list(case.queries.values()), _text_of(case.toml) or ""
    for query, name in undeclared(found, case.job.columns):
        yield Problem(
            str(case.toml), line_of(text, query.table, "columns"),
            f"it does not say what happens in production when {query.table}.{name} is null",
            f"write it into [columns.{query.table}]: {FORMS}",
        )  # fmt: skip
    every = [query for each in (case, *case.earlier) for query in each.queries.values()]
    for name in unknown(every, case.job.columns):
        yield Problem(
            str(case.toml), line_of(text, name.partition(".")[2], f"columns.{name.partition('.')[0]}"),
            f"columns.{name} is no column that can be null", "take it out, or correct its name",
        )  # fmt: skip
    try:
        require_defaults(found, case.job.columns)
    except DefaultRefused as error:
        yield problem_of(error, case.toml, line_of(text, "columns", ""))


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def _entries(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _text_entry(text: str, name: str) -> str | None:
    value = _entries(text).get(name)
    return value if isinstance(value, str) and value.isidentifier() else None
