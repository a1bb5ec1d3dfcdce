"""The sample warehouse on a PostgreSQL server: the same tables and rows as in a file, in one transaction.

Names in the SQL here are those of our own literals in `sample_tables`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs.warehouse.addresses import POSTGRESQL
from jobs.warehouse.extraction import WarehouseMissing
from jobs.warehouse.sample import SampleLoaded, plan, rows_to_add
from jobs.warehouse.sample_database import Extent, WarehouseExists
from jobs.warehouse.sample_files import read_sample, sample_folder
from jobs.warehouse.sample_tables import LOADS, TABLES
from jobs.warehouse.servers.postgres import literal
from jobs.warehouse.servers.reading import persistently
from jobs.warehouse.servers.session import StatementRefused, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from jobs.warehouse.addresses import ServerAddress
    from jobs.warehouse.sample_tables import Table
    from jobs.warehouse.servers.session import Session

_LOCK = 7_033_701  # of this loader, among the advisory locks of a database
_TYPES = {"DOUBLE": "DOUBLE PRECISION"}
_INDEXED = ("sched_dep_at", "observed_at")


def load_sample_on_server(
    address: ServerAddress, until: datetime | None, progress: Callable[[str], None]
) -> SampleLoaded:
    """Make the sample's tables in the schema that the server takes first, or bring ours there forward.

    Rows that stand there are never touched, as in a file.

    Raises:
        WarehouseExists: if tables of these names are there that are not ours, or ours reach further.
        WarehouseMissing: if it is no PostgreSQL.
        SampleMissing, SampleDamaged: if the sample's files are not there, or not as expected.
    """
    if address.engine is not POSTGRESQL:
        raise WarehouseMissing(f"{address}: the sample is made in a DuckDB file or on PostgreSQL; this is neither")
    wanted = Extent(until and until.astimezone(UTC))
    return persistently(address, lambda: _load(address, wanted, progress))


def _load(address: ServerAddress, wanted: Extent, progress: Callable[[str], None]) -> SampleLoaded:
    with open_session(address) as session, session.transaction():
        session.rows(f"SELECT pg_advisory_xact_lock({_LOCK})")
        held = _held(session)
        step = plan(address, held, wanted)
        fresh: Mapping[str, pl.DataFrame] = {}
        if step != "unchanged":
            progress("reading the flights of 2013")
            fresh = rows_to_add(read_sample(sample_folder()), held, wanted)
        if held is None:
            _create(session)
        before = _rows(session)
        for table in TABLES:
            if table.name in fresh:
                progress(f"writing {table.name} to {address}")
                _add(session, table, fresh[table.name])
        if step != "unchanged":
            end = literal(wanted.until.isoformat()) if wanted.until else "NULL"
            session.run(f"INSERT INTO {LOADS.name} SELECT count(*) + 1, {end}::timestamptz FROM {LOADS.name}")  # noqa: S608
        after = _rows(session)
    if step != "unchanged":
        _analyse(address)
    added = {name: after[name] - before[name] for name in after}
    kept = {name: fresh[name].height - added[name] if name in fresh else 0 for name in after}
    return SampleLoaded(address, step, wanted.until, after, added, kept)


def _held(session: Session) -> Extent | None:
    """How far our sample there reaches; null if there is none.

    Raises:
        WarehouseExists: if a table is there that the sample would make.
    """
    there = {table.name: _exists(session, table) for table in (*TABLES, LOADS)}
    if not there[LOADS.name]:
        others = [name for name, found in there.items() if found]
        if others:
            raise WarehouseExists(
                f"{session.address} has a table {others[0]} that is not of the sample; give another database"
            )
        return None
    loads = f"SELECT bool_or(until IS NULL), max(until) FROM {LOADS.name}"  # noqa: S608
    everything, until = session.rows(loads)[0]
    return Extent(None if everything else until.astimezone(UTC))


def _exists(session: Session, table: Table) -> bool:
    return bool(session.rows(f"SELECT to_regclass({literal(table.name)}) IS NOT NULL")[0][0])


def _create(session: Session) -> None:
    """The empty tables, with indexes on event time and on the key, which corrections repeat, and comments."""
    for table in (*TABLES, LOADS):
        columns = ", ".join(f"{column.name} {_TYPES.get(column.type, column.type)}" for column in table.columns)
        session.run(f"CREATE TABLE {table.name} ({columns})")
        session.run(f"CREATE INDEX ON {table.name} ({', '.join(table.key)})")
        session.run(f"COMMENT ON TABLE {table.name} IS {literal(table.comment)}")
        for column in table.columns:
            session.run(f"COMMENT ON COLUMN {table.name}.{column.name} IS {literal(column.comment)}")
            if column.name in _INDEXED:
                session.run(f"CREATE INDEX ON {table.name} ({column.name})")


def _rows(session: Session) -> dict[str, int]:
    """The number of rows of each table of the sample; 0 for one that the user dropped."""
    return {
        table.name: session.rows(f"SELECT count(*) FROM {table.name}")[0][0] if _exists(session, table) else 0  # noqa: S608
        for table in TABLES
    }


def _add(session: Session, table: Table, fresh: pl.DataFrame) -> None:
    """Insert the rows whose key does not stand there yet."""
    if not _exists(session, table):
        raise WarehouseExists(f"{session.address} lost the table {table.name}; give another database")
    names = ", ".join(column.name for column in table.columns)
    session.run(f"CREATE TEMPORARY TABLE fresh ON COMMIT DROP AS SELECT {names} FROM {table.name} LIMIT 0")  # noqa: S608
    session.insert("pg_temp", "fresh", fresh.select(column.name for column in table.columns).to_arrow().to_reader())
    same = " AND ".join(f"held.{name} = fresh.{name}" for name in table.key)
    try:
        session.run(
            f"INSERT INTO {table.name} ({names}) SELECT {names} FROM fresh "  # noqa: S608  names of ours
            f"WHERE NOT EXISTS (SELECT 1 FROM {table.name} AS held WHERE {same})"
        )
    except StatementRefused as refused:
        raise WarehouseExists(f"{session.address} was reshaped, {table.name} takes no rows: {refused}") from None
    session.run("DROP TABLE fresh")


def _analyse(address: ServerAddress) -> None:
    """Let the server's planner know what came, rather than wait for its own daemon."""
    with open_session(address) as session:
        for table in TABLES:
            session.run(f"ANALYZE {table.name}")
