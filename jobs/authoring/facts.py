"""What a table of the warehouse is like, counted: what may be its key, its clocks, its entity, its amount.

Proposals only order what is possible; nothing here decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from jobs.authoring.warehouse import sql_name
from jobs.queries.kinds import Kind, kind_of
from jobs.warehouse.names import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobs.authoring.warehouse import Looker, SourceColumn

_CLOCKS = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.WIDE, Kind.DOUBLE})
_UNSCALED = "NUMERIC"  # of PostgreSQL, when it says no digits
_NAMES = frozenset({"UUID", "ENUM"})
_WIDER_THAN_BIGINT = frozenset({"HUGEINT", "UBIGINT", "UHUGEINT"})
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KNOWN_NAMES = re.compile(r"record|load|insert|updat|ingest|know|sync|creat|report|arriv|receiv|import|extract|_etl")
_ID_NAMES = re.compile(r"(^|_)(id|key|no|nr|number|uuid|code)$|id$", re.IGNORECASE)
_PERCENT = 0.99
_MOST_OUTCOMES = 20


@dataclass(frozen=True, slots=True)
class Facts:
    """One column: its type, and what was counted of it; `distinct` is null where nobody would group by it."""

    name: str
    type_sql: str
    kind: Kind | None
    nulls: int
    distinct: int | None
    lowest: date | None
    highest: date | None

    @property
    def is_clock(self) -> bool:
        """Whether it can be an instant."""
        return self.kind in _CLOCKS and self.is_plain

    @property
    def is_plain(self) -> bool:
        """Whether versioned SQL can name it at all."""
        return bool(PLAIN.fullmatch(self.name))

    @property
    def is_amount(self) -> bool:
        """Whether it can be summed, once it is scaled to an integer."""
        number = self.kind in _NUMBERS and self.type_sql not in _WIDER_THAN_BIGINT
        return self.is_plain and (number or self.type_sql == _UNSCALED)

    @property
    def is_outcome(self) -> bool:
        """Whether it can say what became of a row."""
        return self.is_plain and (self.kind is Kind.BOOLEAN or self.is_name)

    @property
    def is_name(self) -> bool:
        """Whether it can say which thing a row is of."""
        if self.type_sql in _WIDER_THAN_BIGINT or not self.is_plain:
            return False
        whole_decimal = bool(re.fullmatch(r"DECIMAL\((\d|1[0-8]),0\)", self.type_sql))
        return self.kind in {Kind.INTEGER, Kind.VARCHAR} or self.type_sql in _NAMES or whole_decimal


@dataclass(frozen=True, slots=True)
class Table:
    """One table or view: how many rows it has, and the facts of its columns, in its order."""

    path: tuple[str, ...]
    rows: int
    columns: tuple[Facts, ...]

    @property
    def name(self) -> str:
        """As a person writes it."""
        return ".".join(self.path)

    def column(self, name: str) -> Facts | None:
        """The column of that name, in whichever case."""
        same = [each for each in self.columns if each.name == name]
        alike = [each for each in self.columns if each.name.lower() == name.lower()]
        return next(iter([*same, *alike]), None)


def look_at(looker: Looker, path: tuple[str, ...]) -> Table:
    """The facts of a table, by one scan of it."""
    columns = looker.columns(path)
    asked = [part for column in columns for part in _counts(column)]
    text = f"SELECT count(*){''.join(', ' + part for part in asked)} FROM {sql_name(path)}"  # noqa: S608  quoted
    [(rows, *found)] = looker.rows(text)
    taken = iter(found)
    return Table(
        path, int(rows), tuple(_facts(column, int(rows), [next(taken) for _ in range(4)]) for column in columns)
    )


def _counts(column: SourceColumn) -> Iterable[str]:
    """SQL of four figures of a column: how many values, how many different ones, the first and the last day."""
    name, kind = quoted(column.name), kind_of(column.type_sql)
    named = kind in {Kind.INTEGER, Kind.VARCHAR, Kind.DECIMAL} or column.type_sql in _NAMES
    yield f"count({name})"
    yield f"count(DISTINCT {name})" if named or kind in _CLOCKS else "NULL"
    yield f"CAST(min({name}) AS DATE)" if kind in _CLOCKS else "NULL"
    yield f"CAST(max({name}) AS DATE)" if kind in _CLOCKS else "NULL"


def _facts(column: SourceColumn, rows: int, found: Sequence[Any]) -> Facts:
    values, distinct, lowest, highest = found
    return Facts(
        column.name, column.type_sql, kind_of(column.type_sql), rows - int(values),
        None if distinct is None else int(distinct), _day(lowest), _day(highest),
    )  # fmt: skip


def _day(value: object) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else None


def event_times(table: Table) -> tuple[Facts, ...]:
    """What may say when a row happened, likeliest first: clocks without nulls, those named like a loader's last.

    Of either the instants come first: what has no time zone is read as UTC, which it may not be.
    """
    clocks = [each for each in table.columns if each.is_clock and each.nulls == 0]
    return tuple(
        sorted(
            clocks, key=lambda each: (bool(_KNOWN_NAMES.search(each.name.lower())), each.kind is not Kind.TIMESTAMPTZ)
        )
    )


def known_times(table: Table, event_time: str) -> tuple[Facts, ...]:
    """What may say when the warehouse knew of a row: other clocks without nulls, named like a loader's first."""
    clocks = [each for each in table.columns if each.is_clock and each.nulls == 0 and each.name != event_time]
    return tuple(sorted(clocks, key=lambda each: not _KNOWN_NAMES.search(each.name.lower())))


def likely_known_times(looker: Looker, table: Table, event_time: str) -> tuple[Facts, ...]:
    """Of `known_times` those that are named like a loader's and never lie before the event."""
    named = [each for each in known_times(table, event_time) if _KNOWN_NAMES.search(each.name.lower())]
    return tuple(each for each in named if not _ever_before(looker, table, each.name, event_time))


def _ever_before(looker: Looker, table: Table, known: str, event_time: str) -> bool:
    later, event = (f"CAST({quoted(name)} AS TIMESTAMPTZ)" for name in (known, event_time))
    text = f"SELECT count(*) FROM {sql_name(table.path)} WHERE {later} < {event}"  # noqa: S608  quoted
    return bool(looker.rows(text) != [(0,)])


def entities(table: Table) -> tuple[Facts, ...]:
    """What rows may be of, likeliest first: names that occur again, identifiers before others."""
    names = [each for each in table.columns if each.is_name and each.distinct and each.distinct < table.rows]
    return tuple(sorted(names, key=lambda each: (not _ID_NAMES.search(each.name), -(each.distinct or 0))))


def outcomes(table: Table) -> tuple[Facts, ...]:
    """What may say what became of a row: few different values, null where nothing did yet."""
    found = [each for each in table.columns if each.is_outcome and (each.distinct or 2) <= _MOST_OUTCOMES]
    return tuple(sorted(found, key=lambda each: (each.kind is not Kind.BOOLEAN, each.nulls == 0)))


def amounts(table: Table, but: Iterable[str] = ()) -> tuple[Facts, ...]:
    """What may be summed, fractions before whole numbers, identifiers last."""
    taken = set(but)
    found = [each for each in table.columns if each.is_amount and each.name not in taken]
    return tuple(sorted(found, key=lambda each: (bool(_ID_NAMES.search(each.name)), each.kind is Kind.INTEGER)))


def keys(looker: Looker, table: Table, entity: str, event_time: str, known: str | None) -> tuple[tuple[str, ...], bool]:
    """The columns that tell the rows of a table apart, and whether a key has several versions by known time; counted.

    Empty if nothing that was tried does.
    """
    whole = [each for each in table.columns if each.is_name and each.nulls == 0]
    for each in sorted(whole, key=lambda each: not _ID_NAMES.search(each.name)):
        if each.distinct == table.rows:
            return (each.name,), False
    several = [(entity, event_time), *((entity, event_time, each.name) for each in whole if each.name != entity)]
    named = [(each.name,) for each in whole if _ID_NAMES.search(each.name) and each.name != entity]
    if known:
        for columns in named:
            if is_unique(looker, table, (*columns, known)) and is_unique(looker, table, columns, and_one=event_time):
                return columns, True
    return next((columns for columns in several if is_unique(looker, table, columns)), ()), False


def is_unique(looker: Looker, table: Table, columns: Sequence[str], *, and_one: str | None = None) -> bool:
    """Whether no two rows agree in these columns and none is null; with `and_one`, whether they decide that column."""
    listed = ", ".join(map(quoted, columns))
    nulls = " OR ".join(f"{quoted(name)} IS NULL" for name in columns)
    twice = f"min({quoted(and_one)}) <> max({quoted(and_one)})" if and_one else "count(*) > 1"
    text = (
        f"SELECT count(*) FROM (SELECT 1 FROM {sql_name(table.path)} GROUP BY {listed} HAVING {twice} OR {nulls}) AS t"  # noqa: S608
    )
    return bool(looker.rows(text) == [(0,)])


def days_until_known(looker: Looker, table: Table, event_time: str, known: str) -> float:
    """After how many days 99 of 100 rows are known."""
    event, later = (f"extract(epoch FROM CAST({quoted(name)} AS TIMESTAMPTZ))" for name in (event_time, known))
    text = (
        f"SELECT percentile_disc({_PERCENT}) WITHIN GROUP (ORDER BY {later} - {event}) "  # noqa: S608  quoted
        f"FROM {sql_name(table.path)}"
    )
    [(seconds,)] = looker.rows(text)
    return max(0.0, float(seconds or 0.0) / 86_400)
