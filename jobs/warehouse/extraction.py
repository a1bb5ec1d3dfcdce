"""One open view of a warehouse, of one moment: its rows as the versioned SQL returns them, whichever engine holds them.

Days, total order and keys are made by DuckDB for every engine, so that no digest depends on one.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Protocol

import duckdb

from jobs.queries.source import QueryRefused
from jobs.warehouse.bounds import days_sql
from jobs.warehouse.engine import first_line
from jobs.warehouse.names import names, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import polars as pl

    from jobs.days import Calendar
    from jobs.queries.check import Query
    from jobs.warehouse.bounds import Bounds

_BATCH_ROWS = 122_880


class WarehouseMissing(Exception):
    """There is no warehouse where the settings say."""


class WarehouseForbidden(Exception):
    """The warehouse does not let us in, or not read, or not write."""


class WarehouseUnavailable(Exception):
    """The warehouse is there and cannot be used now."""


class SourceDiffers(Exception):
    """A source table has not what the versioned SQL asks of it."""


class KeyBroken(Exception):
    """Keys are null or not unique."""


class Origin(Protocol):
    """Where DuckDB finds the rows of a query, and what the source columns are."""

    @property
    def con(self) -> duckdb.DuckDBPyConnection:
        """The connection that sees them."""

    @property
    def staged(self) -> bool:
        """Whether the rows lie there as tables, so that asking for them again costs no query."""

    def relation(self, query: Query) -> str:
        """The query's rows within the bounds that they are asked for, as SQL that may stand after FROM."""

    def parameters(self, query: Query, bounds: Bounds) -> Mapping[str, datetime]:
        """What the relation's parameters are bound to."""

    def source_types(self, query: Query) -> dict[str, str]:
        """The type of each source column that the query reads, by `table.column`, as DuckDB spells it."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """One open, read-only view of the warehouse."""

    origin: Origin
    calendar: Calendar
    horizon_days: int

    @property
    def con(self) -> duckdb.DuckDBPyConnection:
        """The connection that sees the rows."""
        return self.origin.con

    def source_types(self, query: Query) -> dict[str, str]:
        """The type of each source column that the query reads, by `table.column`, as DuckDB spells it.

        The labels of an ENUM are contents of rows, and left out.

        Raises:
            SourceDiffers: if a source table or column is missing.
        """
        with self._source_errors(query):
            return self.origin.source_types(query)

    def rows(self, query: Query, bounds: Bounds) -> Iterator[pl.DataFrame]:
        """The query's rows within the bounds, with their days in front, by event day, visible day and total order.

        In batches; where there is no row, one batch without rows says which columns there would be.

        Raises:
            SourceDiffers: if a source column or table is missing, or a value has no place in its declared type.
        """
        return self.stream(query, bounds, self.ordered(query, bounds))

    def none_of(self, query: Query, bounds: Bounds) -> Iterator[pl.DataFrame]:
        """One batch without rows, which says which columns there would be; errors as `rows`."""
        return self.stream(query, bounds, f"SELECT * FROM ({self.ordered(query, bounds)}) LIMIT 0")  # noqa: S608

    def stream(self, query: Query, bounds: Bounds, text: str) -> Iterator[pl.DataFrame]:
        """What a text over the query's relation returns, in batches; at least one, which may have no row."""
        with self._source_errors(query, bounds):
            import polars as pl  # noqa: PLC0415  only here

            reader = self._relation(text, query, bounds).to_arrow_reader(_BATCH_ROWS)
            batches = (pl.from_arrow(batch) for batch in reader)
            first = next(batches, None)
            if first is None:  # `schema.empty_table()` would import pandas, where there is one: half a second
                first = pl.from_arrow(reader.read_all())
            yield from (frame for frame in chain((first,), batches) if isinstance(frame, pl.DataFrame))

    def run(self, query: Query, bounds: Bounds, text: str) -> None:
        """Execute a text over the query's relation."""
        with self._source_errors(query, bounds):
            self.con.execute(text, dict(self.origin.parameters(query, bounds)))

    def check_columns(self, query: Query, bounds: Bounds) -> None:
        """Pass if the warehouse has the tables and columns that the query names; reads no row; errors as `rows`."""
        with self._source_errors(query, bounds):
            self._relation(f"EXPLAIN {self.ordered(query, bounds)}", query, bounds).fetchall()

    def ordered(self, query: Query, bounds: Bounds) -> str:
        """The query's rows with their days in front, by event day, visible day and total order, as SQL."""
        return (
            f"SELECT {self.days(query, bounds)}, source.* FROM {self.origin.relation(query)} AS source {order(query)}"  # noqa: S608  checked SQL
        )

    def days(self, query: Query, bounds: Bounds) -> str:
        """The day columns of the query's rows, as SQL selects them."""
        event_day, visible_day = days_sql(query, bounds, self.calendar, self.horizon_days)
        return f"{event_day} AS event_day, {visible_day} AS visible_day"

    def check_keys(self, query: Query, bounds: Bounds) -> int:
        """Refuse null and repeated keys, and versions of one row at different event times; returns the row count.

        Raises:
            KeyBroken: with counts.
            SourceDiffers: if a date or an instant is infinite, or not in the years 1 to 9999.
        """
        declaration = query.declaration
        versions = versioned(query)
        rows, nulls = self._one(query, bounds, _NULL_KEYS.format(nulls=_any_null(query)))
        self._check_spans(query, bounds)
        same = self._one(query, bounds, _REPEATED.format(key=names([*declaration.key, *versions])))[0]
        moving = 0
        if versions and declaration.event_time:
            text = _MOVING.format(key=names(declaration.key), event=names([declaration.event_time]))
            moving = self._one(query, bounds, text)[0]
        if nulls or same or moving:
            raise KeyBroken(
                f"{query.path.name}: of {rows} rows {nulls} have a null in the key ({', '.join(declaration.key)}), "
                f"{same} keys occur more than once, {moving} keys have versions at different event times"
            )
        return rows

    def _check_spans(self, query: Query, bounds: Bounds) -> None:
        """The engines agree on dates of four digits only; what is infinite in one arrives as any number from it."""
        outside = _outside(query)
        if not outside:
            return
        counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in outside.values())
        found = self._one(query, bounds, f"SELECT {counts} FROM $source AS source")  # noqa: S608  columns of checked SQL
        beyond = [f"{name} in {count} rows" for name, count in zip(outside, found, strict=True) if count]
        if beyond:
            raise SourceDiffers(
                f"{query.path}: a date or an instant is infinite, or not in the years 1 to 9999: {', '.join(beyond)}; "
                "turn it into NULL in the SQL, or mend the source"
            )

    def _one(self, query: Query, bounds: Bounds, text: str) -> tuple[int, ...]:
        with self._source_errors(query, bounds):
            found = self._relation(text.replace("$source", self.origin.relation(query)), query, bounds).fetchall()
        return tuple(int(number) for number in found[0])

    @contextmanager
    def _source_errors(self, query: Query, bounds: Bounds | None = None) -> Iterator[None]:
        """What DuckDB says of a source that differs, in one line; a value of a row is never repeated."""
        try:
            yield
        except duckdb.ParserException as error:
            raise QueryRefused(query.path, 1, f"DuckDB does not take it: {first_line(error)}") from None
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            raise SourceDiffers(f"{query.path}: {first_line(error)}") from None
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            raise no_place(query, self._unconvertible(query, bounds) if bounds else ()) from None
        except _UNREADABLE as error:
            raise WarehouseUnavailable(f"the warehouse cannot be read: {first_line(error)}") from None

    def _unconvertible(self, query: Query, bounds: Bounds) -> Iterator[str]:
        """The columns whose cast fails, each tried alone; the failed transaction is over."""
        self.con.execute("ROLLBACK")
        for column in query.columns:
            text = f'SELECT count("{column.name}") FROM {self.origin.relation(query)} AS source'  # noqa: S608  checked SQL
            try:
                self._relation(text, query, bounds).fetchall()
            except (duckdb.ConversionException, duckdb.OutOfRangeException):
                yield column.name

    def _relation(self, text: str, query: Query, bounds: Bounds) -> duckdb.DuckDBPyRelation:
        named = self.origin.parameters(query, bounds)
        return self.con.sql(text, params={name: value for name, value in named.items() if f"${name}" in text})


_UNREADABLE = (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException, duckdb.InternalException)
_NULL_KEYS = "SELECT count(*), count(*) FILTER (WHERE {nulls}) FROM $source AS source"
_REPEATED = "SELECT count(*) FROM (SELECT 1 FROM $source AS source GROUP BY {key} HAVING count(*) > 1)"
_MOVING = "SELECT count(*) FROM (SELECT 1 FROM $source AS source GROUP BY {key} HAVING min({event}) <> max({event}))"
_SPANS = {
    "DATE": "DATE '0001-01-01' AND DATE '9999-12-31'",
    "TIMESTAMPTZ": "TIMESTAMPTZ '0001-01-01 00:00:00+00' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'",
}


def no_place(query: Query, columns: Iterator[str] | tuple[str, ...]) -> SourceDiffers:
    """The failure of a cast: it names the columns, and repeats no value."""
    named = ", ".join(columns) or "a column that the bounds look at"
    return SourceDiffers(
        f"{query.path}: a value has no place in the type that the SQL casts it to: {named}; "
        "look at the source's types and ranges"
    )


def missing_columns(query: Query, table: str, missing: list[str]) -> SourceDiffers:
    """The failure of a source table that lost columns."""
    return SourceDiffers(
        f"{query.path}: the source table {table} has no column {', '.join(missing)}; put it back under that "
        "name, or release a further version of the SQL that reads what is there"
    )


def order(query: Query) -> str:
    """The order in which partitions, and the rows of each, stand."""
    return f"ORDER BY event_day, visible_day, {names(query.order)}"


def versioned(query: Query) -> tuple[str, ...]:
    """What tells the versions of one key apart: the known time of a table whose corrections are further rows."""
    declaration = query.declaration
    return (declaration.known_time,) if declaration.known == "appended" and declaration.known_time else ()


def unfit(query: Query) -> str:
    """Whether a row has a null in its key, or a date or an instant outside the span; as SQL, never null."""
    return " OR ".join([_any_null(query), *(f"coalesce({each}, false)" for each in _outside(query).values())])


def body(query: Query) -> str:
    """The query's text without its last semicolon."""
    return query.text.rstrip().removesuffix(";")


def _any_null(query: Query) -> str:
    return " OR ".join(f"{quoted(name)} IS NULL" for name in (*query.declaration.key, *versioned(query)))


def _outside(query: Query) -> dict[str, str]:
    """The columns that hold dates or instants, each with the SQL that says that one is outside the span."""
    spans = {column.name: _SPANS[column.type_sql] for column in query.columns if column.type_sql in _SPANS}
    return {name: f"{quoted(name)} NOT BETWEEN {span}" for name, span in spans.items()}
