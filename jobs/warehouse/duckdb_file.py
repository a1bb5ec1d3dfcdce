"""A warehouse that is a DuckDB file: read-only, one view of the data for all queries of a snapshot."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import duckdb

from jobs.queries.bounds import parameters
from jobs.queries.source import QueryRefused
from jobs.warehouse.bounds import days_sql
from jobs.warehouse.engine import connect, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

    from jobs.days import Calendar
    from jobs.queries.check import Query
    from jobs.queries.reading import SourceTable
    from jobs.warehouse.bounds import Bounds

_BATCH_ROWS = 122_880


class WarehouseMissing(Exception):
    """There is no warehouse where the settings say."""


class WarehouseUnavailable(Exception):
    """The warehouse is there and cannot be read now."""


class SourceDiffers(Exception):
    """A source table has not what the versioned SQL asks of it."""


class KeyBroken(Exception):
    """Keys are null or not unique."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """One open, read-only view of the warehouse."""

    con: duckdb.DuckDBPyConnection
    calendar: Calendar
    horizon_days: int

    def source_types(self, query: Query) -> dict[str, str]:
        """The type of each source column that the query reads, by `table.column`, as DuckDB spells it.

        The labels of an ENUM are contents of rows, and left out.

        Raises:
            SourceDiffers: if a source table or column is missing.
        """
        return {
            f"{'.'.join(table.path)}.{column}": type_sql
            for table in query.reads
            for column, type_sql in self._types_of(query, table)
        }

    def _types_of(self, query: Query, table: SourceTable) -> Iterator[tuple[str, str]]:
        """Name and type of the columns that are read of one table, or view; names are compared as DuckDB does.

        DuckDB alone would not miss every column: it takes an output column of the same name instead.
        """
        name = ".".join(table.path)
        with self._source_errors(query):
            found = self.con.sql(f"SELECT * FROM {'.'.join(_quoted(part) for part in table.path)}")  # noqa: S608  names
            types = {column.lower(): str(kind) for column, kind in zip(found.columns, found.types, strict=True)}
        missing = [column for column in table.columns if column.lower() not in types]
        if missing:
            raise SourceDiffers(
                f"{query.path}: the source table {name} has no column {', '.join(missing)}; put it back under that "
                "name, or release a further version of the SQL that reads what is there"
            )
        for column in table.columns:
            yield column, _ENUM.sub("ENUM", types[column.lower()])

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
            first = next(batches, pl.from_arrow(reader.schema.empty_table()))
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
            f"FROM ({_body(query)}\n) AS source ORDER BY event_day, visible_day, {order}"
        )

    def check_keys(self, query: Query, bounds: Bounds) -> int:
        """Refuse null and repeated keys, and versions of one row at different event times; returns the row count.

        Raises:
            KeyBroken: with counts.
        """
        declaration = query.declaration
        versions = [declaration.known_time] if declaration.known == "appended" and declaration.known_time else []
        rows, nulls = self._one(query, bounds, _NULL_KEYS.format(nulls=_any_null([*declaration.key, *versions])))
        same = self._one(query, bounds, _REPEATED.format(key=_names([*declaration.key, *versions])))[0]
        moving = 0
        if versions and declaration.event_time:
            text = _MOVING.format(key=_names(declaration.key), event=_names([declaration.event_time]))
            moving = self._one(query, bounds, text)[0]
        if nulls or same or moving:
            raise KeyBroken(
                f"{query.path.name}: of {rows} rows {nulls} have a null in the key ({', '.join(declaration.key)}), "
                f"{same} keys occur more than once, {moving} keys have versions at different event times"
            )
        return rows

    def _one(self, query: Query, bounds: Bounds, text: str) -> tuple[int, ...]:
        with self._source_errors(query, bounds):
            found = self._relation(text.replace("$source", f"({_body(query)}\n)"), query, bounds).fetchall()
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
            columns = (
                ", ".join(self._unconvertible(query, bounds) if bounds else ()) or "a column that the bounds look at"
            )
            raise SourceDiffers(
                f"{query.path}: a value has no place in the type that the SQL casts it to: {columns}; "
                "look at the source's types and ranges"
            ) from None
        except _UNREADABLE as error:
            raise WarehouseUnavailable(f"the warehouse cannot be read: {first_line(error)}") from None

    def _unconvertible(self, query: Query, bounds: Bounds) -> Iterator[str]:
        """The columns whose cast fails, each tried alone; the failed transaction is over."""
        self.con.execute("ROLLBACK")
        for column in query.columns:
            try:
                self._relation(f'SELECT count("{column.name}") FROM ({_body(query)}\n)', query, bounds).fetchall()  # noqa: S608
            except (duckdb.ConversionException, duckdb.OutOfRangeException):
                yield column.name

    def _relation(self, text: str, query: Query, bounds: Bounds) -> duckdb.DuckDBPyRelation:
        named = bounds.parameters(self.calendar)
        return self.con.sql(text, params={name: named[name] for name in parameters(query.declaration)})


_ENUM = re.compile(r"ENUM\((?:'(?:[^']|'')*'(?:, )?)*\)")
_UNREADABLE = (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException, duckdb.InternalException)
_NULL_KEYS = "SELECT count(*), count(*) FILTER (WHERE {nulls}) FROM $source AS source"
_REPEATED = "SELECT count(*) FROM (SELECT 1 FROM $source AS source GROUP BY {key} HAVING count(*) > 1)"
_MOVING = "SELECT count(*) FROM (SELECT 1 FROM $source AS source GROUP BY {key} HAVING min({event}) <> max({event}))"


@contextmanager
def open_duckdb_file(path: Path, calendar: Calendar, horizon_days: int, spill: Path) -> Iterator[Extraction]:
    """One read-only transaction on the warehouse; what does not fit into memory spills to the folder `spill`.

    Raises:
        WarehouseMissing: if there is no such file.
        WarehouseUnavailable: if another process has it open for writing.
    """
    if not path.is_file():
        raise WarehouseMissing(
            f"there is no warehouse at {path}; set SCORE_WAREHOUSE, or make one: score demo --load-only"
        )
    try:
        con = connect(path, read_only=True, spill=spill)
    except duckdb.Error as error:
        if "could not set lock" in str(error).lower():
            raise WarehouseUnavailable(
                f"{path} is open for writing in another process; run again when it is done"
            ) from None
        if "not a valid duckdb" in str(error).lower():
            raise WarehouseMissing(f"{path} is no DuckDB file; set SCORE_WAREHOUSE to one") from None
        raise WarehouseUnavailable(f"{path} cannot be opened as a DuckDB file: {first_line(error)}") from None
    try:
        con.execute("SET python_enable_replacements = false")  # a missing table is no variable of ours
        con.execute("BEGIN TRANSACTION")
        yield Extraction(con, calendar, horizon_days)
    finally:
        con.close()


def _body(query: Query) -> str:
    return query.text.rstrip().removesuffix(";")


def _names(columns: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(_quoted, columns))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _any_null(columns: list[str]) -> str:
    return " OR ".join(f'"{name}" IS NULL' for name in columns)
