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
        with self._source_errors(query, bounds):
            import polars as pl  # noqa: PLC0415  only here

            reader = self._relation(self._ordered(query, bounds), query, bounds).to_arrow_reader(_BATCH_ROWS)
            batches = (pl.from_arrow(batch) for batch in reader)
            first = next(batches, None)
            if first is None:  # `schema.empty_table()` would import pandas, where there is one: half a second
                first = pl.from_arrow(reader.read_all())
            yield from (frame for frame in chain((first,), batches) if isinstance(frame, pl.DataFrame))

    def check_columns(self, query: Query, bounds: Bounds) -> None:
        """Pass if the warehouse has the tables and columns that the query names; reads no row; errors as `rows`."""
        with self._source_errors(query, bounds):
            self._relation(f"EXPLAIN {self._ordered(query, bounds)}", query, bounds).fetchall()

    def _ordered(self, query: Query, bounds: Bounds) -> str:
        event_day, visible_day = days_sql(query, bounds, self.calendar, self.horizon_days)
        order = ", ".join(f'"{name}"' for name in query.order)
        return (
            f"SELECT {event_day} AS event_day, {visible_day} AS visible_day, source.* "  # noqa: S608  checked SQL
            f"FROM {self.origin.relation(query)} AS source ORDER BY event_day, visible_day, {order}"
        )

    def check_keys(self, query: Query, bounds: Bounds) -> int:
        """Refuse null and repeated keys, and versions of one row at different event times; returns the row count.

        Raises:
            KeyBroken: with counts.
            SourceDiffers: if a date or an instant is infinite, or not in the years 1 to 9999.
        """
        declaration = query.declaration
        versions = [declaration.known_time] if declaration.known == "appended" and declaration.known_time else []
        rows, nulls = self._one(query, bounds, _NULL_KEYS.format(nulls=_any_null([*declaration.key, *versions])))
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
        spanned = [column.name for column in query.columns if column.type_sql in _SPANS]
        if not spanned:
            return
        types = {column.name: column.type_sql for column in query.columns}
        counts = ", ".join(_OUTSIDE.format(name=quoted(name), span=_SPANS[types[name]]) for name in spanned)
        found = self._one(query, bounds, f"SELECT {counts} FROM $source AS source")  # noqa: S608  columns of checked SQL
        beyond = [f"{name} in {count} rows" for name, count in zip(spanned, found, strict=True) if count]
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
        return self.con.sql(text, params=dict(self.origin.parameters(query, bounds)))


_UNREADABLE = (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException, duckdb.InternalException)
_NULL_KEYS = "SELECT count(*), count(*) FILTER (WHERE {nulls}) FROM $source AS source"
_REPEATED = "SELECT count(*) FROM (SELECT 1 FROM $source AS source GROUP BY {key} HAVING count(*) > 1)"
_MOVING = "SELECT count(*) FROM (SELECT 1 FROM $source AS source GROUP BY {key} HAVING min({event}) <> max({event}))"
_OUTSIDE = "count(*) FILTER (WHERE {name} NOT BETWEEN {span})"
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


def body(query: Query) -> str:
    """The query's text without its last semicolon."""
    return query.text.rstrip().removesuffix(";")


def names(columns: list[str] | tuple[str, ...]) -> str:
    """Some columns as SQL lists them."""
    return ", ".join(map(quoted, columns))


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _any_null(columns: list[str]) -> str:
    return " OR ".join(f'"{name}" IS NULL' for name in columns)
