"""Which rows a query may return: its role's span of event time, and the cutoff below which it must have been known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from jobs.queries.declaration import Role
from jobs.warehouse.names import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jobs.days import Calendar
    from jobs.queries.check import Query

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Event days `[start, end)`, both null for a reference; known before `cutoff` begins."""

    start: date | None
    end: date | None
    cutoff: date

    def parameters(self, calendar: Calendar) -> dict[str, datetime]:
        """The instants that the SQL's parameters are bound to."""
        named = {"start": self.start, "end": self.end, "cutoff": self.cutoff}
        return {name: calendar.cutoff(day) for name, day in named.items() if day is not None}


def bounds_of(query: Query, as_of: date, first_night: date, horizon_days: int) -> Bounds | None:
    """The bounds of a query's table as of a date, for features of the nights from `first_night` on; null: not read.

    Scoring has one night, `first_night == as_of`, and reads no labels.
    """
    scoring = first_night == as_of
    match query.declaration.role:
        case Role.HISTORY:
            return Bounds(first_night - timedelta(days=query.declaration.lookback_days or 0), as_of, as_of)
        case Role.POPULATION:
            return Bounds(first_night, as_of + timedelta(days=horizon_days) if scoring else as_of, as_of)
        case Role.LABELS:
            return None if scoring else Bounds(first_night, as_of, as_of)
        case Role.REFERENCE:
            return Bounds(None, None, as_of)


def bounded(
    queries: Sequence[Query], as_of: date, first_night: date, horizon_days: int
) -> tuple[tuple[Query, Bounds], ...]:
    """The queries that are read for these nights, with their bounds, in their order."""
    bounded = ((query, bounds_of(query, as_of, first_night, horizon_days)) for query in queries)
    return tuple((query, bounds) for query, bounds in bounded if bounds is not None)


def days_sql(query: Query, bounds: Bounds, calendar: Calendar, horizon_days: int) -> tuple[str, str]:
    """DuckDB expressions of `event_day` and `visible_day` over the query's own columns.

    A known day before the bounds begin cannot decide when a row becomes visible, and counts as the day before them.
    """
    declaration = query.declaration
    if declaration.event_time is None or bounds.start is None or bounds.end is None:
        known = declaration.known_time
        return (
            "CAST(NULL AS DATE)",
            f"{_day(known, calendar, _EPOCH, bounds.cutoff)} + 1" if known else "CAST(NULL AS DATE)",
        )
    event = _day(declaration.event_time, calendar, bounds.start, bounds.end)
    ahead = horizon_days if declaration.role is Role.POPULATION else 0
    if declaration.known_time is None:
        return event, f"{event} + {1 - ahead}"
    known = _day(declaration.known_time, calendar, bounds.start - timedelta(days=ahead), bounds.cutoff)
    return event, f"greatest({event} - {ahead}, {known}) + 1"


def _day(column: str, calendar: Calendar, first: date, last: date) -> str:
    """The day of an instant: whole days since the beginning of the stretch of equally long days that it lies in."""
    runs = calendar.runs(first, last)
    name = quoted(column)
    cases = "".join(
        f"WHEN {name} >= TIMESTAMPTZ '{run.begins.isoformat()}' THEN DATE '{run.first}' + CAST("
        f"(epoch_us({name}) - {int(run.begins.timestamp()) * 1_000_000}) // {run.day_us} AS INTEGER) "
        for run in reversed(runs)
    )
    return f"CASE {cases}ELSE DATE '{first - timedelta(days=1)}' END"
