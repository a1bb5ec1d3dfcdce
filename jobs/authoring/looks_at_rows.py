"""Looks at the warehouse: source tables, columns and types as the SQL reads them, and keys among a month of rows."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from jobs.authoring.problems import problem_of
from jobs.queries.declaration import Role
from jobs.queries.rendering import RenderingStale
from jobs.queries.source import QueryRefused
from jobs.warehouse.addresses import FileAddress
from jobs.warehouse.bounds import Bounds
from jobs.warehouse.extraction import (
    KeyBroken,
    SourceDiffers,
    WarehouseForbidden,
    WarehouseMissing,
    WarehouseUnavailable,
)
from jobs.warehouse.opening import open_warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.authoring.case import Case
    from jobs.authoring.problems import Problem
    from jobs.definition import Job
    from jobs.queries.check import Query
    from jobs.settings import Settings
    from jobs.warehouse.extraction import Extraction

_LOOKED_BACK_DAYS = 30  # of however many the history has: a check is not to cost what a night costs
_LONG_AGO = date(1900, 1, 1)
_OF_THE_JOB = (SourceDiffers, KeyBroken, RenderingStale, QueryRefused)
_OF_THE_WAREHOUSE = (WarehouseMissing, WarehouseForbidden, WarehouseUnavailable)


def look_at_rows(case: Case, settings: Settings, as_of: date | None, found: set[Problem]) -> Iterator[str]:
    """What was not looked at, and why; what is wrong is added to `found`."""
    if case.job is None or not case.queries:
        yield "the warehouse: what is wrong with the job's files comes first"
        return
    day = as_of or settings.today(case.job.calendar)
    with TemporaryDirectory() as spill:
        for query in case.queries.values():
            bounds = few_rows(query, day, case.job.horizon_days)
            try:
                rows, newest = _look(case.job, settings, query, bounds, Path(spill))
            except _OF_THE_JOB as error:
                found.add(problem_of(error, query.path, _line_named(query, error)))
                continue
            except _OF_THE_WAREHOUSE as error:
                yield f"the warehouse: {error}"
                return
            case.said.append(f"{rows:,} rows of {query.table}")
            if rows == 0:
                yield f"the keys of {query.table}: no rows{_within(bounds)}; {_instead(newest)}"


def few_rows(query: Query, day: date, horizon_days: int) -> Bounds:
    """The bounds of at most a month of a table; of a table without event time there is only the whole."""
    match query.declaration.role:
        case Role.REFERENCE:
            return Bounds(None, None, day)
        case Role.POPULATION:
            return Bounds(day, day + timedelta(days=horizon_days), day)
        case _:
            days = min(query.declaration.lookback_days or _LOOKED_BACK_DAYS, _LOOKED_BACK_DAYS)
            return Bounds(day - timedelta(days=days), day, day)


def _look(job: Job, settings: Settings, query: Query, bounds: Bounds, spill: Path) -> tuple[int, date | None]:
    """How many rows of a table were looked at, which has all that its query asks for, and keys that are fit.

    Where there were none, also the day of the newest row before, if that is cheap to know.
    """
    with open_warehouse(settings.warehouse, job, [(query, bounds)], spill) as view:
        view.source_types(query)  # says all columns that are missing, where the query itself stops at the first
        view.check_columns(query, bounds)
        rows = view.check_keys(query, bounds)
        ask = rows == 0 and bounds.start is not None and isinstance(settings.warehouse, FileAddress)
        return rows, _newest(job, view, query, bounds) if ask else None


def _newest(job: Job, view: Extraction, query: Query, bounds: Bounds) -> date | None:
    """The event day of the newest row before the end of the bounds; null if there is none."""
    text = f'SELECT max("{query.declaration.event_time}") AS newest FROM {view.origin.relation(query)} AS source'  # noqa: S608  checked SQL
    [frame] = view.stream(query, replace(bounds, start=_LONG_AGO), text)
    newest = frame["newest"].item()
    return job.calendar.day_of(newest) if isinstance(newest, datetime) else newest


def _instead(newest: date | None) -> str:
    if newest is None:
        return "look as of another day: --as-of"
    return f"the newest before is of {newest}; look as of the day after it: --as-of {newest + timedelta(days=1)}"


def _line_named(query: Query, error: Exception) -> int:
    """The first line of the SQL that says a column which the error names; 1 if none does."""
    named = set(re.findall(r"[a-z_][a-z0-9_]*", str(error).partition(" has no column ")[2].partition(";")[0].lower()))
    lines = enumerate(query.text.lower().splitlines(), start=1)
    code = ((number, set(re.findall(r"[a-z_][a-z0-9_]*", line.partition("--")[0]))) for number, line in lines)
    return next((number for number, words in code if words & named), 1)


def _within(bounds: Bounds) -> str:
    return f" from {bounds.start} to before {bounds.end}" if bounds.start else ""
