"""What somebody wants of a new job, as far as they said, and what is wrong with that; and the plan that it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from features.clock import ZoneUnknown, zone
from jobs.authoring.facts import (
    PLAIN,
    amounts,
    days_until_known,
    entities,
    event_times,
    is_unique,
    keys,
    known_times,
    look_at,
)
from jobs.authoring.naming import Output, amount_of, as_name, noun_of, output_of
from jobs.queries.declaration import Known
from jobs.queries.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jobs.authoring.facts import Facts, Table
    from jobs.authoring.warehouse import Looker

NO_KNOWN_TIME = "none"
_WINDOWS = (7, 28, 90)
_FEWEST_NIGHTS = 14  # to learn from and to validate on, beside those whose labels are not known yet
_MOST_NIGHTS, _MOST_ROWS = 365, 1_000_000
_MOST_PROPOSED = 6
_MOST_DAYS = 366
_VALIDATED = 28
_MOST_DELAY = 30


class WishIncomplete(Exception):
    """It was not said of what, or what, a new job should predict."""


class WishRefused(Exception):
    """A new job cannot be as it was asked for: the warehouse has no such table or column, or it is of another kind."""


class KeyNotFound(Exception):
    """No columns of a table tell its rows apart."""


class HistoryTooShort(Exception):
    """A table reaches over too few days to learn anything from."""


class Predict(StrEnum):
    """What is predicted of an entity: whether rows come, how many, or what a column of them adds up to."""

    ANY = "any"
    COUNT = "count"
    SUM = "sum"


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


@dataclass(frozen=True, slots=True)
class Plan:
    """A new job, decided: what its files say."""

    name: str
    source: tuple[str, ...]
    noun: str
    entity: Output
    event_time: Output
    known_time: Output | None
    known: Known
    key: tuple[Output, ...]
    amount: Output | None
    predict: Predict
    horizon_days: int
    label_delay_days: int
    time_zone: str
    windows: tuple[int, ...]
    nights: int
    validation_nights: int
    newest: date
    remarks: tuple[str, ...]

    @property
    def seen_days(self) -> int:
        """For how long after a row its entity is scored."""
        return self.windows[-1]

    @property
    def columns(self) -> tuple[Output, ...]:
        """What the SQL returns, each column once."""
        every = (*self.key, self.entity, self.event_time, self.amount, self.known_time)
        return tuple({each.name: each for each in every if each}.values())

    @property
    def first_as_of(self) -> date:
        """The first day that begins after the newest row happened."""
        return self.newest + timedelta(days=1)


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
        yield f"--table TABLE ({_listed('.'.join(path) for path in looker.tables())})"
    path = find_table(looker, wish.table) if wish.table else None
    table = look_at(looker, path) if path else None
    for option, said, found in (
        ("--entity", wish.entity, entities(table) if table else ()),
        ("--event-time", wish.event_time, event_times(table) if table else ()),
        ("--known-time", wish.known_time, known_times(table, wish.event_time or "") if table else ()),
    ):
        if said is None:
            names = [*(each.name for each in found), *([NO_KNOWN_TIME] if option == "--known-time" else [])]
            yield f"{option} COLUMN{f' ({_listed(names)})' if names else ''}"
    if wish.predict is None:
        yield f"--predict {'|'.join(Predict)}"
    if wish.predict is Predict.SUM and wish.amount is None:
        yield f"--amount COLUMN ({_listed(each.name for each in amounts(table)) if table else 'a number'})"
    if wish.horizon_days is None:
        yield "--horizon-days N"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f", and {len(every) - _MOST_PROPOSED} more" if len(every) > _MOST_PROPOSED else ""
    return ", ".join(every[:_MOST_PROPOSED]) + more or "there is none"


def find_table(looker: Looker, name: str) -> tuple[str, ...] | None:
    """The table that a person means, in whichever case; null if there is none."""
    every = looker.tables()
    same = [path for path in every if ".".join(path) == name]
    alike = [path for path in every if ".".join(path).lower() == name.lower()]
    return next(iter([*same, *alike]), None)


def plan_of(wish: Wish, looker: Looker) -> Plan:
    """The plan of a complete wish.

    Raises:
        WishIncomplete: if it is not complete.
        WishRefused: naming everything that cannot be so.
        KeyNotFound, HistoryTooShort: if the table's rows are not fit for it.
    """
    path = find_table(looker, wish.table) if wish.table else None
    if wish.table and path is None:
        raise WishRefused(f"the warehouse has no table {wish.table}; it has {_listed(map('.'.join, looker.tables()))}")
    require_complete(wish, looker)
    if path is None:
        raise WishIncomplete("no table was named")
    table = look_at(looker, path)
    faults = list(_faults(wish, table))
    if faults:
        raise WishRefused(f"{'; '.join(faults)}")
    return _planned(wish, looker, table)


def _faults(wish: Wish, table: Table) -> Iterator[str]:
    known = None if wish.known_time == NO_KNOWN_TIME else wish.known_time
    for option, name in (
        ("--entity", wish.entity), ("--event-time", wish.event_time), ("--known-time", known),
        ("--amount", wish.amount), *(("--key", name) for name in wish.key),
    ):  # fmt: skip
        if name and table.column(name) is None:
            yield f"{option}: {table.name} has no column {name}; it has {_listed(each.name for each in table.columns)}"
        elif name:
            yield from _unfit(option, table, _column(table, name))
    if known and known == wish.event_time:
        yield f"--known-time: {known} is the event time already; name another column, or none"
    event = table.column(wish.event_time or "")
    if event and event.kind is Kind.DATE and wish.time_zone != "UTC":
        yield (f"--time-zone: {event.name} is a DATE, which is read as midnight in UTC, another day elsewhere; say UTC")
    try:
        zone(wish.time_zone)
    except ZoneUnknown as error:
        yield f"--time-zone: {error}"
    if not 1 <= (wish.horizon_days or 0) <= _MOST_DAYS:
        yield f"--horizon-days: {wish.horizon_days} is not from 1 to {_MOST_DAYS}"
    if not all(PLAIN.fullmatch(part) for part in table.path):
        yield f"--table: {table.name} is no plain name, as versioned SQL has them; read it through a view"
    if table.rows == 0:
        yield f"--table: {table.name} has no rows yet; load some first"


def _unfit(option: str, table: Table, column: Facts) -> Iterator[str]:
    fit, what = {
        "--entity": (column.is_name, "text or a whole number, which says what a row is of"),
        "--key": (column.is_name or column.is_clock, "text, a whole number, a date or an instant"),
        "--amount": (column.is_amount, "a number that can be scaled to a whole one"),
    }.get(option, (column.is_clock, "a DATE or a TIMESTAMP"))
    if not column.is_plain:
        yield f"{option}: {column.name} is no plain name, as versioned SQL has them; read it through a view"
    elif not fit:
        yield f"{option}: {column.name} of {table.name} is {column.type_sql}; it must be {what}"
    if option in {"--event-time", "--known-time", "--key"} and column.nulls:
        yield f"{option}: {column.name} is null in {column.nulls:,} of {table.rows:,} rows; it must never be"


def _column(table: Table, name: str) -> Facts:
    found = table.column(name)
    if found is None:
        raise WishRefused(f"{table.name} has no column {name}")
    return found


def _planned(wish: Wish, looker: Looker, table: Table) -> Plan:
    entity, event = _column(table, str(wish.entity)), _column(table, str(wish.event_time))
    known = None if wish.known_time == NO_KNOWN_TIME else _column(table, str(wish.known_time))
    key, versions = _key(wish, looker, table, entity.name, event.name, known.name if known else None)
    horizon = int(wish.horizon_days or 0)
    delay = _delay(looker, table, event, known)
    windows, nights, validated = _nights(table, event, entity, horizon, delay)
    taken = as_name(entity.name)
    return Plan(
        name=wish.name,
        source=table.path,
        noun=noun_of(table.path[-1], {taken}),
        entity=output_of(entity, table.rows),
        event_time=output_of(event, table.rows),
        known_time=output_of(known, table.rows) if known else None,
        known=Known.APPENDED if versions else Known.REWRITTEN if known else Known.NONE,
        key=tuple(output_of(_column(table, name), table.rows) for name in key),
        amount=amount_of(_column(table, wish.amount), table.rows) if wish.amount else None,
        predict=wish.predict or Predict.ANY,
        horizon_days=horizon,
        label_delay_days=delay,
        time_zone=wish.time_zone,
        windows=windows,
        nights=nights,
        validation_nights=validated,
        newest=event.highest or date.min,
        remarks=tuple(_remarks(wish, table, entity, event, known, versions=versions)),
    )


def _key(
    wish: Wish, looker: Looker, table: Table, entity: str, event: str, known: str | None
) -> tuple[tuple[str, ...], bool]:
    """The key and whether it has versions.

    Raises:
        KeyNotFound: if there is none, or the one that was named is none.
    """
    if not wish.key:
        found, versions = keys(looker, table, entity, event, known)
        if not found:
            raise KeyNotFound(
                f"no column of {table.name}, and not {entity} with {event}, tells its {table.rows:,} rows apart; "
                "name the columns that do: --key COLUMN --key COLUMN, or make the rows unique in a view"
            )
        return found, versions
    if is_unique(looker, table, wish.key):
        return wish.key, False
    if known and known not in wish.key and is_unique(looker, table, (*wish.key, known)):
        if is_unique(looker, table, wish.key, and_one=event):
            return wish.key, True
        raise KeyNotFound(f"rows of one {', '.join(wish.key)} have several {event}; versions of a row share it")
    raise KeyNotFound(f"{', '.join(wish.key)} does not tell the rows of {table.name} apart; name more columns: --key")


def _delay(looker: Looker, table: Table, event: Facts, known: Facts | None) -> int:
    """How many whole nights after the horizon nearly all of its rows are known; at least one."""
    days = days_until_known(looker, table, event.name, known.name) if known else 0.0
    return min(_MOST_DELAY, max(1, -int(-days // 1)))


def _nights(table: Table, event: Facts, entity: Facts, horizon: int, delay: int) -> tuple[tuple[int, ...], int, int]:
    """The windows of the features, how many nights to train on at most, and how many of these to validate on.

    Raises:
        HistoryTooShort: if not even the shortest window leaves nights to learn from.
    """
    lowest, highest = event.lowest or date.min, event.highest or date.min
    span = (highest - lowest).days + 1
    later = horizon + delay  # nights whose labels are not known yet, and as many between learning and validation
    for most in range(len(_WINDOWS), 0, -1):
        windows = _WINDOWS[:most]
        wanted = _FEWEST_NIGHTS * most + later
        available = span - windows[-1] - later
        if available >= wanted:
            validated = max(_WINDOWS[0], min(_VALIDATED, (available - later) // 4))
            fits = _MOST_ROWS // max(1, entity.distinct or 1)
            return windows, min(_MOST_NIGHTS, max(fits, wanted, validated + wanted)), validated
    needed = _WINDOWS[0] + 2 * later + _FEWEST_NIGHTS
    raise HistoryTooShort(
        f"{table.name} reaches over {span} days, from {lowest} to {highest}; predicting {horizon} days ahead takes at "
        f"least {needed}: choose a shorter horizon, or load more of its past"
    )


def _remarks(
    wish: Wish, table: Table, entity: Facts, event: Facts, known: Facts | None, *, versions: bool
) -> Iterator[str]:
    """What somebody should know of how the table is read."""
    if known is None:
        yield (
            f"{table.name} does not say when the warehouse knew of a row (known: none): a night sees every row that "
            "happened before it, also those that arrive later. Its own kept snapshot shows what it saw"
        )
    elif versions:
        yield f"further rows of one {', '.join(wish.key) or 'key'} are read as corrections (known: appended)"
    else:
        yield (
            f"rows of {table.name} are taken to be overwritten in place when they change (known: rewritten): past "
            "values are those of kept snapshots"
        )
    for clock in filter(None, (event, known)):
        if clock.kind in {Kind.TIMESTAMP, Kind.DATE}:
            yield f"{clock.name} is {clock.type_sql}, without a time zone: it is read as UTC"
    if entity.nulls:
        yield f"{entity.nulls:,} rows without {entity.name} count for nobody"
