"""One kind of new job: every entity of whom there were rows lately is scored, for the rows that it will have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from jobs.authoring.facts import days_until_known, is_unique, keys
from jobs.authoring.naming import Output, amount_of, as_name, noun_of, output_of
from jobs.authoring.spans import delay_of, nights_of, remarks_on_clocks
from jobs.authoring.wishes import NO_KNOWN_TIME, KeyNotFound, Predict, column_of
from jobs.queries.declaration import Known
from jobs.queries.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.authoring.facts import Facts, Table
    from jobs.authoring.warehouse import Looker
    from jobs.authoring.wishes import Wish


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


def plan_entities(wish: Wish, looker: Looker, table: Table) -> Plan:
    """The plan of a complete wish that was found without fault.

    Raises:
        KeyNotFound, HistoryTooShort: if the table's rows are not fit for it.
    """
    entity, event = column_of(table, str(wish.entity)), column_of(table, str(wish.event_time))
    known = None if wish.known_time == NO_KNOWN_TIME else column_of(table, str(wish.known_time))
    key, versions = _key(wish, looker, table, entity.name, event.name, known.name if known else None)
    horizon = int(wish.horizon_days or 0)
    delay = delay_of(days_until_known(looker, table, event.name, known.name) if known else 0.0)
    lowest, highest = event.lowest or date.min, event.highest or date.min
    windows, nights, validated = nights_of(table, lowest, highest, horizon, delay, entity.distinct or 1)
    taken = as_name(entity.name)
    return Plan(
        name=wish.name,
        source=table.path,
        noun=noun_of(table.path[-1], {taken}),
        entity=output_of(entity, table.rows),
        event_time=output_of(event, table.rows),
        known_time=output_of(known, table.rows) if known else None,
        known=Known.APPENDED if versions else Known.REWRITTEN if known else Known.NONE,
        key=tuple(output_of(column_of(table, name), table.rows) for name in key),
        amount=amount_of(column_of(table, wish.amount), table.rows) if wish.amount else None,
        predict=wish.predict or Predict.ANY,
        horizon_days=horizon,
        label_delay_days=delay,
        time_zone=wish.time_zone,
        windows=windows,
        nights=nights,
        validation_nights=validated,
        newest=highest,
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
    yield from remarks_on_clocks(table, filter(None, (event, known)), wish.time_zone)
    if wish.amount and column_of(table, wish.amount).kind is Kind.DOUBLE:
        yield (
            f"{wish.amount} is DOUBLE, which does not say how many places it has: it is rounded to hundredths; "
            "for more, make it a DECIMAL in a view"
        )
    if entity.nulls:
        yield f"{entity.nulls:,} rows without {entity.name} count for nobody"
