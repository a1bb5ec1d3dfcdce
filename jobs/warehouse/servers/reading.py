"""Reading a server's rows: all queries in one read-only transaction, staged in a DuckDB file that is gone afterwards.

The server casts, joins and bounds; days, order and keys are made from the staged rows, as from a warehouse of files.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from jobs.queries.bounds import parameters
from jobs.queries.rendering import bound, kept_rendering, table_names
from jobs.warehouse.addresses import POSTGRESQL
from jobs.warehouse.engine import connect
from jobs.warehouse.extraction import (
    Extraction,
    SourceDiffers,
    WarehouseUnavailable,
    missing_columns,
    no_place,
)
from jobs.warehouse.names import quoted
from jobs.warehouse.servers import postgres
from jobs.warehouse.servers.column_types import SourceColumn, require_alike
from jobs.warehouse.servers.session import ServerFaltered, StatementRefused, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from jobs.definition import Job
    from jobs.queries.check import Query
    from jobs.warehouse.addresses import ServerAddress
    from jobs.warehouse.bounds import Bounds
    from jobs.warehouse.opening import Asks
    from jobs.warehouse.servers.session import Session

TRIES = 3
PAUSES_S = (1.0, 5.0)  # before the second try and before the third


@dataclass(frozen=True, slots=True)
class StagedOrigin:
    """Rows that a server sent, one table a query, and the types that their source columns have there."""

    con: duckdb.DuckDBPyConnection
    types: Mapping[str, dict[str, str]]
    staged: bool = True

    def relation(self, query: Query) -> str:
        """The staged table."""
        return quoted(query.table)

    def parameters(self, _query: Query, _bounds: Bounds) -> dict[str, datetime]:
        """None: the server has applied the bounds."""
        return {}

    def source_types(self, query: Query) -> dict[str, str]:
        """By `table.column`, as DuckDB spells the server's types."""
        return self.types[query.table]


@contextmanager
def open_server(address: ServerAddress, job: Job, asks: Asks, spill: Path) -> Iterator[Extraction]:
    """What a server holds for some queries, all of one moment; its connection is closed before anything is made of it.

    Raises:
        WarehouseMissing, WarehouseForbidden: if it cannot be read.
        WarehouseUnavailable: if it did not go well in `TRIES` tries, each from the start.
        SourceDiffers: if a table or column is missing, or a value has no place in its declared type.
        RenderingStale: if the SQL for this engine was not rendered, and so not reviewed.
    """
    for query, _ in asks:
        kept_rendering(query, address.engine.dialect)
    con = connect(spill / "server.duckdb", spill=spill)
    try:
        types = persistently(address, lambda: _read(address, job, asks, con))
        yield Extraction(StagedOrigin(con, types), job.calendar, job.horizon_days)
    finally:
        con.close()


def examine_server(address: ServerAddress, job: Job, asks: Asks) -> None:
    """Pass if the server has what the queries ask for; no row is read; errors as `open_server`."""

    def look() -> None:
        with open_session(address) as session:
            for query, bounds in asks:
                source_types(session, query)
                with _refusals(query):
                    session.schema(f"SELECT * FROM (\n{_bound(address, job, query, bounds)}\n) AS source LIMIT 0")  # noqa: S608

    for query, _ in asks:
        kept_rendering(query, address.engine.dialect)
    persistently(address, look)


def persistently[T](address: ServerAddress, attempt: Callable[[], T], remedy: str = "run again later") -> T:
    """What an attempt returns, made anew after a server faltered, at most three times.

    Raises:
        WarehouseUnavailable: if the last one did not go well either.
    """
    for tried in range(TRIES):
        try:
            return attempt()
        except ServerFaltered as error:
            said = str(error)
            if tried < len(PAUSES_S):
                time.sleep(PAUSES_S[tried])
    raise WarehouseUnavailable(f"{address}: {said}; tried {TRIES} times; {remedy}")


def _read(address: ServerAddress, job: Job, asks: Asks, con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Stage the rows of all queries, and give the types of what they were read from, by table and column."""
    types: dict[str, dict[str, str]] = {}
    with open_session(address) as session, one_moment(session):
        for query, bounds in asks:
            types[query.table] = source_types(session, query)
            text = _bound(address, job, query, bounds)
            with _refusals(query):
                _stage(session, query, text, con)
    return types


@contextmanager
def one_moment(session: Session) -> Iterator[None]:
    """A transaction in which all tables are of one moment; an engine without it reads each at its own."""
    if session.address.engine is not POSTGRESQL:
        yield
        return
    with session.transaction(postgres.READ_ONE_MOMENT):
        session.run(postgres.STREAM_AS_LONG_AS_IT_TAKES)
        yield


def _bound(address: ServerAddress, job: Job, query: Query, bounds: Bounds) -> str:
    named = bounds.parameters(job.calendar)
    return bound(query, address.engine.dialect, {name: named[name] for name in parameters(query.declaration)})


def _stage(session: Session, query: Query, text: str, con: duckdb.DuckDBPyConnection) -> None:
    """Copy the rows of a query into a table of its name; as many as the server counts, in the same transaction.

    Raises:
        ServerFaltered: if the stream broke, or ended early.
        SourceDiffers: if a value has no place in its type.
    """
    try:
        with closing(session.batches(text)) as batches:  # while its connection is open, whatever happens here
            arrived = _insert(batches, query, con)
    except ServerFaltered:
        columns = _unconvertible(session, query, text) if session.alive() else []
        if columns:
            raise no_place(query, tuple(columns)) from None
        raise
    counted = session.rows(f"SELECT count(*) FROM (\n{text}\n) AS source")[0][0]  # noqa: S608  rendered from checked SQL
    if arrived != counted:
        raise ServerFaltered(f"{arrived} rows of {query.table} arrived, and there are {counted}")


def _insert(batches: Iterator[pa.RecordBatch], query: Query, con: duckdb.DuckDBPyConnection) -> int:
    columns = ", ".join(f"{quoted(column.name)} {column.type_sql}" for column in query.columns)
    con.execute(f"CREATE OR REPLACE TABLE {quoted(query.table)} ({columns})")
    casts = ", ".join(f"CAST({quoted(column.name)} AS {column.type_sql})" for column in query.columns)
    arrived = 0
    for batch in batches:
        con.register("arrived", batch)
        try:
            con.execute(f"INSERT INTO {quoted(query.table)} SELECT {casts} FROM arrived")  # noqa: S608  checked names
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            raise no_place(query, tuple(_without_place(query, con))) from None
        finally:
            con.unregister("arrived")
        arrived += batch.num_rows
    return arrived


def _without_place(query: Query, con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """The columns of a batch whose values do not fit the declared type, such as a numeric that is NaN."""
    for column in query.columns:
        try:
            con.sql(f"SELECT count(CAST({quoted(column.name)} AS {column.type_sql})) FROM arrived").fetchall()  # noqa: S608
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            yield column.name


def _unconvertible(session: Session, query: Query, text: str) -> list[str]:
    """The columns whose cast fails, each asked for alone: a COPY that breaks off does not say why."""
    found = []
    for column in query.columns:
        try:
            session.rows(f"SELECT count({quoted(column.name)}) FROM (\n{text}\n) AS source")  # noqa: S608  rendered
        except StatementRefused as refused:
            if not postgres.is_of_a_value(refused.sqlstate):
                raise
            found.append(column.name)
    return found


@contextmanager
def _refusals(query: Query) -> Iterator[None]:
    """What the server does not take of a query, as a failure of its source."""
    try:
        yield
    except StatementRefused as refused:
        if postgres.is_of_a_value(refused.sqlstate):
            raise no_place(query, ()) from None
        raise SourceDiffers(f"{query.path}: {refused}") from None


def source_types(session: Session, query: Query) -> dict[str, str]:
    """The type of each source column that the query reads, by `table.column`, as DuckDB spells it.

    Raises:
        SourceDiffers: if a source table or column is missing, or is of a type that does not mean the same there.
    """
    found: dict[str, dict[str, SourceColumn]] = {}
    for table, written in zip(query.reads, table_names(query, session.address.engine.dialect), strict=True):
        name = ".".join(table.path)
        with _refusals(query):
            there = {column.name.lower(): column for column in columns_of(session, written)}
        missing = [column for column in table.columns if column.lower() not in there]
        if missing:
            raise missing_columns(query, name, missing)
        found[name] = {**found.get(name, {}), **{column: there[column.lower()] for column in table.columns}}
    require_alike(query, session.address.engine, found)
    return {f"{table}.{name}": column.type_sql for table, read in found.items() for name, column in read.items()}


def columns_of(session: Session, table: str) -> Iterator[SourceColumn]:
    """The columns of one table or view."""
    if session.address.engine is POSTGRESQL:
        text = postgres.COLUMN_TYPES.format(table=postgres.literal(table))
        for name, formatted, kind, bytewise in session.rows(text):
            yield SourceColumn(name, postgres.type_name(formatted, kind), formatted, bytewise)
        return
    empty = session.schema(f"SELECT * FROM {table} LIMIT 0").empty_table()  # noqa: S608  a name of checked SQL
    with connect() as con:
        spelled = con.from_arrow(empty).types
    for column, kind in zip(empty.schema, spelled, strict=True):
        yield SourceColumn(column.name, str(kind), str(column.type))
