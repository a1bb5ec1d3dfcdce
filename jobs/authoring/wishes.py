"""What somebody wants of a new job, as far as they said, what is missing of it, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING

from features.clock import ZoneUnknown, zone
from jobs.authoring.facts import (
    PLAIN,
    amounts,
    entities,
    event_times,
    known_times,
    look_at,
    outcomes,
)
from jobs.queries.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jobs.authoring.facts import Facts, Table
    from jobs.authoring.warehouse import Looker

NO_KNOWN_TIME = "none"
_MOST_PROPOSED = 6
_MOST_DAYS = 366


class WishIncomplete(Exception):
    """It was not said of what, or what, a new job should predict."""


class WishRefused(Exception):
    """A new job cannot be as it was asked for: the warehouse has no such table or column, or it is of another kind."""


class KeyNotFound(Exception):
    """No columns of a table tell its rows apart."""


class Predict(StrEnum):
    """Of an entity: whether rows come, how many, what a column of them adds up to; of a row ahead: its outcome."""

    ANY = "any"
    COUNT = "count"
    SUM = "sum"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was said of a new job; null is not said. `known_time` may be `none`: the table has no such column."""

    name: str
    table: str | None = None
    entity: str | None = None
    event_time: str | None = None
    known_time: str | None = None
    predict: Predict | None = None
    amount: str | None = None
    horizon_days: int | None = None
    time_zone: str = "UTC"
    key: tuple[str, ...] = ()
    outcome: str | None = None
    outcome_is: str | None = None
    outcome_known: str | None = None
    group: tuple[str, ...] = ()

    @property
    def ahead(self) -> bool:
        """Whether rows that lie ahead are scored, and not entities."""
        return self.predict is Predict.OUTCOME


def require_complete(wish: Wish, looker: Looker) -> None:
    """Pass if everything was said that has to be.

    Raises:
        WishIncomplete: naming all that was not, with what the warehouse has to offer.
    """
    missing = list(_missing(wish, looker))
    if missing:
        raise WishIncomplete(f"score new {wish.name} needs also {'; '.join(missing)}")


def _missing(wish: Wish, looker: Looker) -> Iterator[str]:
    if wish.table is None:
        yield f"--table TABLE ({listed('.'.join(path) for path in looker.tables())})"
    path = find_table(looker, wish.table) if wish.table else None
    table = look_at(looker, path) if path else None
    for option, said, found in (
        *(() if wish.ahead else (("--entity", wish.entity, entities(table) if table else ()),)),
        ("--event-time", wish.event_time, event_times(table) if table else ()),
        ("--known-time", wish.known_time, known_times(table, wish.event_time or "") if table else ()),
    ):
        if said is None:
            names = [*(each.name for each in found), *([NO_KNOWN_TIME] if option == "--known-time" else [])]
            yield f"{option} COLUMN{f' ({listed(names)})' if names else ''}"
    if wish.predict is None:
        yield f"--predict {'|'.join(Predict)}"
    if wish.ahead and wish.outcome is None:
        yield f"--outcome COLUMN ({listed(each.name for each in outcomes(table)) if table else 'what became of a row'})"
    if wish.predict is Predict.SUM and wish.amount is None:
        yield f"--amount COLUMN ({listed(each.name for each in amounts(table)) if table else 'a number'})"
    if wish.horizon_days is None:
        yield "--horizon-days N"


def listed(names: Iterable[str]) -> str:
    """A few names, and how many more there are."""
    every = list(names)
    more = f", and {len(every) - _MOST_PROPOSED} more" if len(every) > _MOST_PROPOSED else ""
    return ", ".join(every[:_MOST_PROPOSED]) + more or "there is none"


def find_table(looker: Looker, name: str) -> tuple[str, ...] | None:
    """The table that a person means, in whichever case; its schema may be left out where one only is called so."""
    every = looker.tables()
    same = [path for path in every if ".".join(path) == name]
    alike = [path for path in every if ".".join(path).lower() == name.lower()]
    bare = [path for path in every if path[-1].lower() == name.lower()]
    return next(iter([*same, *alike, *(bare if len(bare) == 1 else [])]), None)


def faults_of(wish: Wish, table: Table) -> Iterator[str]:
    """Everything that cannot be as it was said, of a table that is there."""
    known, closed = (None if name == NO_KNOWN_TIME else name for name in (wish.known_time, wish.outcome_known))
    for option, name in (
        ("--entity", wish.entity), ("--event-time", wish.event_time), ("--known-time", known),
        ("--amount", wish.amount), ("--outcome", wish.outcome), ("--outcome-known", closed),
        *(("--key", name) for name in wish.key), *(("--group", name) for name in wish.group),
    ):  # fmt: skip
        if name and table.column(name) is None:
            yield f"{option}: {table.name} has no column {name}; it has {listed(each.name for each in table.columns)}"
        elif name:
            yield from _unfit(option, table, column_of(table, name))
    if known and known == wish.event_time:
        yield f"--known-time: {known} is the event time already; name another column, or none"
    if fault := zone_fault(wish.time_zone, table, wish.event_time or ""):
        yield f"--time-zone: {fault}"
    if fault := horizon_fault(str(wish.horizon_days)):
        yield f"--horizon-days: {fault}"
    if not all(PLAIN.fullmatch(part) for part in table.path):
        yield f"--table: {table.name} is no plain name, as versioned SQL has them; read it through a view"
    if table.rows == 0:
        yield f"--table: {table.name} has no rows yet; load some first"


def zone_fault(name: str, table: Table, event_time: str) -> str:
    """What is wrong with a time zone for events of a table; empty if nothing is."""
    event = table.column(event_time)
    if event and event.kind is Kind.DATE and name != "UTC":
        return f"{event.name} is a DATE, which is read as midnight in UTC, another day elsewhere; say UTC"
    try:
        zone(name)
    except ZoneUnknown as error:
        alike = _zones_like(name)
        return f"{error}{f'; do you mean {listed(alike)}?' if alike else ''}"
    return ""


def _zones_like(name: str) -> list[str]:
    """The zones of the pinned tzdata package that end so, in whichever case and with blanks for underscores."""
    wanted = name.strip().lower().replace(" ", "_")
    every = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return [each for each in every if wanted in {each.lower(), each.lower().rpartition("/")[2]}]


def horizon_fault(text: str) -> str:
    """What is wrong with a number of days ahead; empty if nothing is."""
    fits = text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MOST_DAYS
    return "" if fits else f"{text[:20]} is not from 1 to {_MOST_DAYS}"


def _unfit(option: str, table: Table, column: Facts) -> Iterator[str]:
    fit, what = {
        "--entity": (column.is_name, "text or a whole number, which says what a row is of"),
        "--key": (column.is_name or column.is_clock, "text, a whole number, a date or an instant"),
        "--amount": (column.is_amount, "a number that can be scaled to a whole one"),
        "--outcome": (column.is_outcome, "a BOOLEAN, text or a whole number"),
        "--group": (column.is_name, "text or a whole number"),
    }.get(option, (column.is_clock, "a DATE or a TIMESTAMP"))
    if not column.is_plain:
        yield f"{option}: {column.name} is no plain name, as versioned SQL has them; read it through a view"
    elif not fit:
        yield f"{option}: {column.name} of {table.name} is {column.type_sql}; it must be {what}"
    or_none = ", or say none" if option == "--known-time" else ""
    if option in {"--event-time", "--known-time", "--key"} and column.nulls:
        yield f"{option}: {column.name} is null in {column.nulls:,} of {table.rows:,} rows; it must never be{or_none}"


def column_of(table: Table, name: str) -> Facts:
    """The column of that name, in whichever case."""
    found = table.column(name)
    if found is None:
        raise WishRefused(f"{table.name} has no column {name}")
    return found
