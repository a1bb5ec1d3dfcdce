"""The versioned SQL of a new job: the history of its entities, and the rows that labels are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.authoring.naming import LABELS, as_source
from jobs.queries.declaration import Known
from jobs.queries.source import file_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobs.authoring.entities import Plan


def sql_files(plan: Plan) -> Mapping[str, str]:
    """File name to text."""
    return {
        file_name(plan.noun, 1): _history(plan),
        file_name(LABELS, 1): _labels(plan),
    }


def _history(plan: Plan) -> str:
    remark = (
        "-- What features are made of: the rows that happened, and were known, before a night's cutoff. Columns that a new\n"
        "-- feature needs are added here, each with its CAST: of a released file as a further version, "
        f"{file_name(plan.noun, 2)}.\n"
    )
    return _declaration(plan, "history", f"-- lookback: {plan.seen_days} days\n") + remark + _select(plan)


def _labels(plan: Plan) -> str:
    remark = (
        "-- What happened from a training night on, as far as it is known by now. A condition on what counts may be added\n"
        "-- to WHERE, such as AND status = 'paid'.\n"
    )
    return _declaration(plan, "labels", "") + remark + _select(plan)


def _declaration(plan: Plan, role: str, lookback: str) -> str:
    known_time = f"-- known time: {plan.known_time.name}\n" if plan.known_time else ""
    grain = f"one row of {'.'.join(plan.source)}"
    versions = "; a correction is a further row" if plan.known is Known.APPENDED else ""
    return (
        f"-- grain: {grain}{versions}\n"
        f"-- role: {role}\n"
        f"-- key: {', '.join(each.name for each in plan.key)}\n"
        f"-- event time: {plan.event_time.name}\n"
        f"{known_time}"
        f"-- known: {plan.known}\n"
        f"{lookback}\n"
    )


def _select(plan: Plan) -> str:
    columns = ",\n  ".join(each.sql for each in plan.columns)
    event = plan.event_time.expression
    bounds = [f"{event} >= $start", f"{event} < $end"]
    bounds += [f"{plan.known_time.expression} < $cutoff"] if plan.known_time else []
    key = [each.name for each in plan.key]
    versions = [plan.known_time.name] if plan.known is Known.APPENDED and plan.known_time else []
    table = ".".join(as_source(part) for part in plan.source)
    return (
        f"SELECT\n  {columns}\nFROM {table}\nWHERE "
        + "\n  AND ".join(bounds)
        + f"\nORDER BY {', '.join(key + versions)}\n"
    )
