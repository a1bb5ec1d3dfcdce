"""What somebody who writes a job wants to know of a warehouse: its tables, their columns, and counts of these."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import duckdb

from jobs.warehouse.addresses import FileAddress, publishes_tables
from jobs.warehouse.duckdb_file import open_for_reading, require_there
from jobs.warehouse.engine import first_line
from jobs.warehouse.extraction import WarehouseUnavailable
from jobs.warehouse.names import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.warehouse.addresses import Address, ServerAddress
    from jobs.warehouse.servers.session import Session

OURS = "scores"  # the schema into which this program publishes
_ENUM = re.compile(r"ENUM\(.*\)")
_LISTED = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_schema NOT IN ('information_schema', 'pg_catalog', 'scores') ORDER BY 1, 2
"""


class EngineNotRead(Exception):
    """A warehouse of a kind whose tables are not looked through for somebody who writes a job."""


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column of a table of the warehouse; its type as DuckDB spells it, an ENUM without its labels."""

    name: str
    type_sql: str


class Looker(Protocol):
    """One open view of a warehouse that answers small questions."""

    def tables(self) -> tuple[tuple[str, ...], ...]:
        """The tables and views, each as the SQL of a job names it: with its schema, where it is not the usual one."""

    def columns(self, table: tuple[str, ...]) -> tuple[SourceColumn, ...]:
        """The columns of a table, in its order."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query in SQL that every engine reads alike."""


@dataclass(frozen=True, slots=True)
class FileLooker:
    """A DuckDB file."""

    con: duckdb.DuckDBPyConnection

    def tables(self) -> tuple[tuple[str, ...], ...]:
        """Those of the usual schema by their names alone."""
        return _named(self.rows(_LISTED), usual="main")

    def columns(self, table: tuple[str, ...]) -> tuple[SourceColumn, ...]:
        """As DuckDB says them."""
        found = self.con.sql(f"SELECT * FROM {sql_name(table)} LIMIT 0")  # noqa: S608  quoted
        return tuple(
            SourceColumn(name, _ENUM.sub("ENUM", str(kind)))
            for name, kind in zip(found.columns, found.types, strict=True)
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What DuckDB answers."""
        try:
            return self.con.sql(query).fetchall()
        except duckdb.Error as error:
            raise WarehouseUnavailable(f"the warehouse cannot be read: {first_line(error)}") from None


@dataclass(frozen=True, slots=True)
class ServerLooker:
    """A PostgreSQL server."""

    session: Session

    def tables(self) -> tuple[tuple[str, ...], ...]:
        """Those of `public` by their names alone."""
        return _named(self.session.rows(_LISTED), usual="public")

    def columns(self, table: tuple[str, ...]) -> tuple[SourceColumn, ...]:
        """As its catalog says them."""
        from jobs.warehouse.servers.reading import columns_of  # noqa: PLC0415  a file needs no driver

        return tuple(SourceColumn(each.name, each.type_sql) for each in columns_of(self.session, sql_name(table)))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the server answers."""
        return self.session.rows(query)


def sql_name(table: tuple[str, ...]) -> str:
    """A table as any SQL has it, quoted."""
    return ".".join(quoted(part) for part in table)


@contextmanager
def open_looker(address: Address) -> Iterator[Looker]:
    """A view of the warehouse, for reading only.

    Raises:
        WarehouseMissing, WarehouseForbidden, WarehouseUnavailable: if it cannot be read.
        EngineNotRead: if it is neither a DuckDB file nor PostgreSQL.
    """
    if isinstance(address, FileAddress):
        require_there(address)
        with open_for_reading(address.path) as con:
            yield FileLooker(con)
        return
    if not publishes_tables(address):
        raise EngineNotRead(
            f"{address} is {address.engine.title}; `score new` looks at DuckDB files and PostgreSQL only. "
            "Copy some rows into a DuckDB file for it, or write the job's files by hand: docs/architecture.md"
        )
    with _open_server(address) as session:
        yield ServerLooker(session)


@contextmanager
def _open_server(address: ServerAddress) -> Iterator[Session]:
    from jobs.warehouse.servers.session import ServerFaltered, open_session  # noqa: PLC0415  a file needs no driver

    try:
        with open_session(address) as session:
            yield session
    except ServerFaltered as error:
        raise WarehouseUnavailable(f"{address}: {error}; run again later") from None


def _named(rows: list[tuple[Any, ...]], usual: str) -> tuple[tuple[str, ...], ...]:
    return tuple((str(name),) if schema == usual else (str(schema), str(name)) for schema, name in rows)
