"""The warehouse's tables that a job reads, and copies of them: in another order, or with another future."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from jobs.queries.declaration import Known, Role
from jobs.warehouse.engine import connect, first_line
from jobs.warehouse.extraction import WarehouseUnavailable
from jobs.warehouse.names import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from jobs.queries.check import Query
    from jobs.queries.reading import SourceTable
    from jobs.warehouse.addresses import ServerAddress

    type Change = Callable[[Source, Mapping[str, str]], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Source:
    """One table of the warehouse, over all queries that read it: its columns, keys and clocks.

    `population` says that things to score come from it. `bounded`: every query that reads it bounds its event time, so
    that nothing which happens later may be read. `appended`: every query takes a further row of a key as a correction.
    """

    path: tuple[str, ...]
    columns: tuple[str, ...]
    key: tuple[str, ...]
    event_time: tuple[str, ...]
    known_time: tuple[str, ...]
    population: bool
    bounded: bool
    appended: bool

    @property
    def name(self) -> str:
        """Its name in SQL."""
        return ".".join(quoted(part) for part in self.path)

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that are neither key nor clock."""
        return tuple(each for each in self.columns if each not in {*self.key, *self.event_time, *self.known_time})


def sources_of(queries: Sequence[Query]) -> tuple[Source, ...]:
    """The tables that some queries read, each once, in the order in which they are first named."""
    found: dict[tuple[str, ...], list[tuple[Query, SourceTable]]] = {}
    for query in queries:
        for table in query.reads:
            found.setdefault(table.path, []).append((query, table))
    return tuple(_source(path, readings) for path, readings in found.items())


def _source(path: tuple[str, ...], readings: Sequence[tuple[Query, SourceTable]]) -> Source:
    tables = [table for _, table in readings]
    return Source(
        path=path,
        columns=_once(table.columns for table in tables),
        key=_once(table.key for table in tables),
        event_time=_once(table.event_time for table in tables),
        known_time=_once(table.known_time for table in tables),
        population=any(query.declaration.role is Role.POPULATION and table.event_time for query, table in readings),
        bounded=all(table.event_time for table in tables),
        appended=all(query.declaration.known is Known.APPENDED for query, _ in readings),
    )


def copy_sources(warehouse: Path, copy: Path, sources: Sequence[Source], order: str | None, change: Change) -> None:
    """Write the columns that the job reads into a new DuckDB file, in an order, and change the rows there.

    `order` is an SQL expression over a whole row (`source`), or null for the order in which the warehouse gives them;
    `change` gives SQL statements for one table, whose columns have the types that it is told.

    Raises:
        WarehouseUnavailable: if the warehouse cannot be read now.
    """
    copy.unlink(missing_ok=True)
    with connect(copy) as con:
        try:
            con.execute(f"ATTACH '{str(warehouse).replace(chr(39), chr(39) * 2)}' AS warehouse_to_copy (READ_ONLY)")
            for source in sources:
                _copy(con, source, order)
        except (duckdb.IOException, duckdb.BinderException) as error:
            raise WarehouseUnavailable(f"{warehouse} cannot be copied for a proof: {first_line(error)}") from None
        for source in sources:
            for statement in change(source, _types(con, source)):
                con.execute(statement)
        con.execute("DETACH warehouse_to_copy")


def copy_server(address: ServerAddress, copy: Path, queries: Sequence[Query]) -> None:
    """Write the columns that some queries read of a server into a new DuckDB file, of the types that they have there.

    Raises:
        WarehouseUnavailable: if the server cannot be read now.
    """
    from jobs.warehouse.servers.copying import copy_tables  # noqa: PLC0415  a file needs no driver

    copy.unlink(missing_ok=True)
    with connect(copy) as con:
        copy_tables(address, con, queries)


def unchanged(_source: Source, _types: Mapping[str, str]) -> Iterable[str]:
    """No change of the rows."""
    return ()


def _copy(con: duckdb.DuckDBPyConnection, source: Source, order: str | None) -> None:
    if len(source.path) > 1:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(source.path[0])}")
    columns = ", ".join(quoted(name) for name in source.columns)
    ordered = f" ORDER BY {order}" if order else ""
    rows = f"SELECT {columns} FROM warehouse_to_copy.{source.name} AS source{ordered}"  # noqa: S608  quoted above
    con.execute(f"CREATE TABLE {source.name} AS {rows}")


def _types(con: duckdb.DuckDBPyConnection, source: Source) -> dict[str, str]:
    """Column to type, as DuckDB spells it."""
    return {str(name): str(kind) for name, kind, *_ in con.execute(f"DESCRIBE {source.name}").fetchall()}


def _once(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists for name in names))
