"""The other kind of new job: every row that lies ahead is scored, such as an appointment, for its outcome."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from jobs.authoring.facts import days_until_known, is_unique, keys
from jobs.authoring.naming import Output, as_name, noun_of, output_of
from jobs.authoring.spans import delay_of, nights_of, remarks_on_clocks
from jobs.authoring.warehouse import sql_name
from jobs.authoring.wishes import NO_KNOWN_TIME, KeyNotFound, WishRefused, column_of
from jobs.queries.kinds import Kind
from jobs.warehouse.names import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.authoring.facts import Facts, Table
    from jobs.authoring.warehouse import Looker
    from jobs.authoring.wishes import Wish

OUTCOMES = "outcomes"
_MOST_GROUPS = 4
_FEWEST_ROWS_A_LABEL = 20
_MISSING_MAX = 0.05


@dataclass(frozen=True, slots=True)
class AheadPlan:
    """A job that scores rows ahead, decided. `outcome_is` is the value that counts, as Python writes it."""

    name: str
    source: tuple[str, ...]
    noun: str
    key: tuple[Output, ...]
    event_time: Output
    known_time: Output | None
    outcome: Output
    outcome_is: str
    outcome_known: Output | None
    groups: tuple[Output, ...]
    horizon_days: int
    label_delay_days: int
    time_zone: str
    windows: tuple[int, ...]
    nights: int
    validation_nights: int
    missing_labels_max: float
    first_as_of: date
    remarks: tuple[str, ...]

    @property
    def scored_columns(self) -> tuple[Output, ...]:
        """What is read of a row ahead: never its outcome."""
        return _once(*self.key, *self.groups, self.event_time, self.known_time)

    @property
    def outcome_columns(self) -> tuple[Output, ...]:
        """What is read of a row that is past."""
        return _once(*self.key, *self.groups, self.event_time, self.outcome, self.outcome_known)


def plan_ahead(wish: Wish, looker: Looker, table: Table) -> AheadPlan:
    """The plan of a complete wish that was found without fault.

    Raises:
        WishRefused: if no row, or every row, has the outcome that counts.
        KeyNotFound, HistoryTooShort: if the table's rows are not fit for it.
    """
    event, outcome = column_of(table, str(wish.event_time)), column_of(table, str(wish.outcome))
    known, closed = (
        None if name in {None, NO_KNOWN_TIME} else column_of(table, name or "")
        for name in (wish.known_time, wish.outcome_known)
    )
    key, literal = _key(wish, looker, table, event), _literal(wish, looker, table, outcome)
    delay = delay_of(days_until_known(looker, table, event.name, closed.name)) if closed else 1
    as_of = _first_as_of(event, known, int(wish.horizon_days or 0))
    lowest = event.lowest or as_of
    windows, nights, validated = nights_of(table, lowest, as_of - timedelta(days=1), int(wish.horizon_days or 0), delay)
    groups = _groups(wish, table, {*key, outcome.name})
    past = max(1, table.rows)
    return AheadPlan(
        name=wish.name,
        source=table.path,
        noun=noun_of(table.path[-1], {OUTCOMES}),
        key=tuple(output_of(column_of(table, name), table.rows) for name in key),
        event_time=output_of(event, table.rows),
        known_time=output_of(known, table.rows) if known else None,
        outcome=output_of(outcome, table.rows),
        outcome_is=literal,
        outcome_known=output_of(closed, table.rows) if closed else None,
        groups=tuple(output_of(each, table.rows) for each in groups),
        horizon_days=int(wish.horizon_days or 0),
        label_delay_days=delay,
        time_zone=wish.time_zone,
        windows=windows,
        nights=nights,
        validation_nights=validated,
        missing_labels_max=min(0.5, max(_MISSING_MAX, round(2 * outcome.nulls / past, 2))),
        first_as_of=as_of,
        remarks=tuple(_remarks(wish, table, event, known, closed, groups)),
    )


def _key(wish: Wish, looker: Looker, table: Table, event: Facts) -> tuple[str, ...]:
    if wish.key and is_unique(looker, table, wish.key):
        return tuple(column_of(table, name).name for name in wish.key)
    found, versions = ((), False) if wish.key else keys(looker, table, event.name, event.name, None)
    if not found or versions:
        raise KeyNotFound(
            f"{', '.join(wish.key) or f'no column of {table.name}'} does not tell its {table.rows:,} rows apart; "
            "name the columns that do: --key COLUMN --key COLUMN, or make the rows unique in a view"
        )
    return found


def _literal(wish: Wish, looker: Looker, table: Table, outcome: Facts) -> str:
    """The value that counts, as Python writes it; it occurs, and so does another."""
    said = wish.outcome_is or "true"
    text = said.replace("'", "''")
    counted = f"count(*) FILTER (WHERE CAST({quoted(outcome.name)} AS VARCHAR) = '{text}')"
    [(rows, having)] = looker.rows(f"SELECT count({quoted(outcome.name)}), {counted} FROM {sql_name(table.path)}")  # noqa: S608
    if not 0 < having < rows:
        which = "no row" if not having else "every row"
        raise WishRefused(
            f"--outcome-is: {which} of {table.name} has {said[:40]!r} in {outcome.name}; name another value"
        )
    if outcome.kind is Kind.BOOLEAN:
        return str(said == "true")
    return said if outcome.kind is Kind.INTEGER else json.dumps(said, ensure_ascii=False)


def _first_as_of(event: Facts, known: Facts | None, horizon_days: int) -> date:
    """The day after the newest row became known; where no one knows, so that the horizon still has rows."""
    newest = event.highest or date.min
    ahead = newest - timedelta(days=horizon_days - 1)
    return min(ahead, known.highest + timedelta(days=1)) if known and known.highest else ahead


def _groups(wish: Wish, table: Table, taken: set[str]) -> list[Facts]:
    """What rows have in common: what was said, else the few columns of which each label has many rows."""
    if wish.group:
        return [column_of(table, name) for name in wish.group]
    many = [
        each
        for each in table.columns
        if each.is_name and each.name not in taken and 1 < (each.distinct or 0) <= table.rows // _FEWEST_ROWS_A_LABEL
    ]
    return sorted(many, key=lambda each: each.distinct or 0)[:_MOST_GROUPS]


def _remarks(
    wish: Wish, table: Table, event: Facts, known: Facts | None, closed: Facts | None, groups: list[Facts]
) -> Iterator[str]:
    named = ", ".join(each.name for each in groups)
    yield f"features compare a row with past ones of the same {named}" if groups else "no column makes groups of rows"
    if known is None:
        yield (
            f"{table.name} does not say when a row became known (known: none): a night scores every row that is "
            "ahead of it, and training takes them all to have been known in time"
        )
    if closed is None:
        yield f"{table.name} does not say when an outcome became known: it counts as known on the day after the event"
    yield from remarks_on_clocks(table, filter(None, (event, known, closed)), wish.time_zone)


def _once(*columns: Output | None) -> tuple[Output, ...]:
    return tuple({each.name: each for each in columns if each}.values())


def label_name(group: Output) -> str:
    """The feature that is a group's own label."""
    return f"{as_name(group.name)}_code"
