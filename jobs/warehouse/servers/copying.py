"""Copies of a server's tables in a DuckDB file, as far as some queries read them: what is changed in a trial."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from jobs.queries.rendering import table_names
from jobs.warehouse.names import quoted
from jobs.warehouse.servers.reading import columns_of, one_moment, persistently, source_types
from jobs.warehouse.servers.session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from jobs.queries.check import Query
    from jobs.warehouse.addresses import ServerAddress
    from jobs.warehouse.servers.session import Session

_ALIKE = frozenset({"BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP"}) | {
    "TIMESTAMP WITH TIME ZONE"
}
_UNLIMITED = "DECIMAL(38,9)"  # for a NUMERIC, which says no digits


def copy_tables(address: ServerAddress, con: duckdb.DuckDBPyConnection, queries: Sequence[Query]) -> None:
    """Copy the columns that the queries read of each table, all of one moment; errors as `open_server`."""

    def attempt() -> None:
        with open_session(address) as session, one_moment(session):
            for query in queries:
                source_types(session, query)  # that nothing is missing
            for path, (written, names) in _tables(queries, address.engine.dialect).items():
                _copy(session, con, path, written, names)

    persistently(address, attempt)


def _tables(queries: Sequence[Query], dialect: str) -> dict[tuple[str, ...], tuple[str, tuple[str, ...]]]:
    """By path, each table's name in the server's SQL, and the columns that are read of it."""
    found: dict[tuple[str, ...], tuple[str, tuple[str, ...]]] = {}
    for query in queries:
        for table, written in zip(query.reads, table_names(query, dialect), strict=True):
            _, names = found.get(table.path, ("", ()))
            found[table.path] = (written, tuple(dict.fromkeys((*names, *table.columns))))
    return found


def _copy(
    session: Session, con: duckdb.DuckDBPyConnection, path: tuple[str, ...], written: str, names: Sequence[str]
) -> None:
    there = {column.name.lower(): (column.name, column.type_sql) for column in columns_of(session, written)}
    columns = [(name, *there[name.lower()]) for name in names]
    kept = {name: _kept_type(kind) for name, _, kind in columns}
    asked = ", ".join(
        f"CAST({quoted(real)} AS TEXT) AS {quoted(name)}"
        if kept[name] == "VARCHAR"
        else f"{quoted(real)} AS {quoted(name)}"
        for name, real, _ in columns
    )
    place = ".".join(quoted(part) for part in path)
    if len(path) > 1:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(path[0])}")
    con.execute(f"CREATE OR REPLACE TABLE {place} ({', '.join(f'{quoted(name)} {kept[name]}' for name in kept)})")
    casts = ", ".join(f"CAST({quoted(name)} AS {kind})" for name, kind in kept.items())
    rows = session.batches(f"SELECT {asked} FROM {written}")  # noqa: S608  names of checked SQL and the catalog
    with closing(rows) as batches:
        for batch in batches:
            con.register("arrived", batch)
            con.execute(f"INSERT INTO {place} SELECT {casts} FROM arrived")  # noqa: S608  names, quoted
            con.unregister("arrived")


def _kept_type(kind: str) -> str:
    """The type that a column of some type on the server has in a copy; what DuckDB has no like of is a text there."""
    if kind == "NUMERIC":
        return _UNLIMITED
    return kind if kind in _ALIKE or kind.startswith("DECIMAL(") else "VARCHAR"
