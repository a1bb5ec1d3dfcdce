"""A warehouse that is a DuckDB file: read-only, one view of the data for all queries of a snapshot."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from jobs.warehouse.engine import connect, first_line
from jobs.warehouse.extraction import (
    Extraction,
    WarehouseMissing,
    WarehouseUnavailable,
    body,
    missing_columns,
)
from jobs.warehouse.names import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from jobs.days import Calendar
    from jobs.queries.check import Query
    from jobs.queries.reading import SourceTable
    from jobs.warehouse.addresses import FileAddress
    from jobs.warehouse.bounds import Bounds

_ENUM = re.compile(r"ENUM\((?:'(?:[^']|'')*'(?:, )?)*\)")


@dataclass(frozen=True, slots=True)
class FileOrigin:
    """The tables of an open DuckDB file, read where they are."""

    con: duckdb.DuckDBPyConnection
    calendar: Calendar
    staged: bool = False

    def relation(self, query: Query) -> str:
        """The query itself."""
        return f"({body(query)}\n)"

    def parameters(self, query: Query, bounds: Bounds) -> dict[str, datetime]:
        """The instants of the bounds that the query's declaration has."""
        from jobs.queries.bounds import parameters  # noqa: PLC0415  loaded with the query; slow where there is none

        named = bounds.parameters(self.calendar)
        return {name: named[name] for name in parameters(query.declaration)}

    def source_types(self, query: Query) -> dict[str, str]:
        """By `table.column`; an ENUM without its labels."""
        return {
            f"{'.'.join(table.path)}.{column}": type_sql
            for table in query.reads
            for column, type_sql in self._types_of(query, table)
        }

    def _types_of(self, query: Query, table: SourceTable) -> Iterator[tuple[str, str]]:
        """Name and type of the columns that are read of one table, or view; names are compared as DuckDB does.

        DuckDB alone would not miss every column: it takes an output column of the same name instead.
        """
        found = self.con.sql(f"SELECT * FROM {'.'.join(quoted(part) for part in table.path)}")  # noqa: S608  names
        types = {column.lower(): str(kind) for column, kind in zip(found.columns, found.types, strict=True)}
        missing = [column for column in table.columns if column.lower() not in types]
        if missing:
            raise missing_columns(query, ".".join(table.path), missing)
        for column in table.columns:
            yield column, _ENUM.sub("ENUM", types[column.lower()])


@contextmanager
def open_duckdb_file(path: Path, calendar: Calendar, horizon_days: int, spill: Path) -> Iterator[Extraction]:
    """One read-only transaction on the warehouse; what does not fit into memory spills to the folder `spill`.

    Raises:
        WarehouseMissing: if there is no such file.
        WarehouseUnavailable: if another process has it open for writing.
    """
    with open_for_reading(path, spill) as con:
        yield Extraction(FileOrigin(con, calendar), calendar, horizon_days)


def require_there(address: FileAddress) -> None:
    """Pass if the file is there, or was not named from the current folder: then whoever opens it says what is wrong.

    Raises:
        WarehouseMissing: saying from where the name counts.
    """
    if address.relative and not address.path.is_file():
        raise WarehouseMissing(
            f"there is no warehouse at {address.path}: duckdb:///{address.relative} counts from the current folder, "
            f"{Path.cwd()}; cd to where the file is, or set SCORE_WAREHOUSE to an absolute path: duckdb:////PATH"
        )


@contextmanager
def open_for_reading(path: Path, spill: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """One read-only transaction on a DuckDB file, its connection alone; errors as `open_duckdb_file`."""
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
        yield con
    finally:
        con.close()
