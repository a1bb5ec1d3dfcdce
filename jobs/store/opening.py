"""Opening a kept snapshot: as frames for features, or as a DuckDB database of views for SQL."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl

from jobs.store.digest import polars_type
from jobs.store.objects import check_seals, object_path, parquet_rows, read_rows
from jobs.warehouse.engine import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import duckdb

    from jobs.store.home import Home
    from jobs.store.ledger import ReadRows
    from jobs.store.snapshots import Partition, Snapshot, TableSnapshot


@contextmanager
def open_snapshot(home: Home, snapshot: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
    """The snapshot as a DuckDB database: one view a table, in total order; the SHA-256 of every file is checked first.

    Raises:
        ObjectDamaged: if a file is not what was written.
        ObjectMissing: if a file is gone.
    """
    check_seals(snapshot.seals(home))
    con = connect()
    try:
        for table in snapshot.tables:
            _create_view(con, home.objects, table)
        yield con
    finally:
        con.close()


def read_tables(home: Home, snapshot: Snapshot) -> dict[str, pl.LazyFrame]:
    """The snapshot's tables in total order, with their day columns in front; errors as `open_snapshot`."""
    with open_snapshot(home, snapshot) as con:
        return {table.name: con.sql(f'SELECT * FROM "{table.name}"').pl().lazy() for table in snapshot.tables}  # noqa: S608


def rows_at(locate: Callable[[str], Path]) -> ReadRows:
    """How the rows of some partitions are read, where `locate` says in which file an object lies; seals are checked."""

    def read(table: TableSnapshot, parts: Sequence[Partition]) -> pl.DataFrame:
        if not parts:
            return _no_rows(table)
        check_seals({locate(part.digest): part.seal for part in parts})
        return read_rows(locate(part.digest) for part in parts)

    return read


def stored_rows(home: Home) -> ReadRows:
    """How the rows of some partitions are read from the store."""
    return rows_at(lambda digest: object_path(home.objects, digest))


def _no_rows(table: TableSnapshot) -> pl.DataFrame:
    return pl.DataFrame(schema={name: polars_type(kind) for name, kind in table.columns})


def _create_view(con: duckdb.DuckDBPyConnection, objects: Path, table: TableSnapshot) -> None:
    if not table.partitions:
        con.register(table.name, _no_rows(table))
        return
    rows = parquet_rows(object_path(objects, part.digest) for part in table.partitions)
    order = ", ".join(f'"{name}"' for name in table.order)
    con.execute(f'CREATE VIEW "{table.name}" AS FROM {rows} ORDER BY {order}')
