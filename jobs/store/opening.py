"""Opening a kept snapshot: as frames for features, or as a DuckDB database of views for SQL."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
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


type Locate = Callable[[str], Path]
type CountNulls = Callable[[TableSnapshot, Sequence[Partition], Sequence[str]], tuple[int, dict[str, int]]]


def in_store(home: Home) -> Locate:
    """Where the objects of a kept snapshot lie, by their digests."""
    return partial(object_path, home.objects)


@contextmanager
def open_snapshot(locate: Locate, snapshot: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
    """The snapshot as a DuckDB database: one view a table, in total order; the SHA-256 of every file is checked first.

    Raises:
        ObjectDamaged: if a file is not what was written.
        ObjectMissing: if a file is gone.
    """
    check_seals({locate(part.digest): part.seal for table in snapshot.tables for part in table.partitions})
    con = connect()
    try:
        for table in snapshot.tables:
            _create_view(con, locate, table)
        yield con
    finally:
        con.close()


def scan_tables(locate: Locate, snapshot: Snapshot) -> dict[str, pl.LazyFrame]:
    """The snapshot's tables by event day, visible day and key, with their day columns in front; errors as above.

    Every file was read once, and its SHA-256 compared, when this returns; rows are read where they are asked for, and
    only the columns that are: whoever needs a few of a large table selects them before collecting.
    """
    check_seals({locate(part.digest): part.seal for table in snapshot.tables for part in table.partitions})
    return {table.name: _scan(locate, table) for table in snapshot.tables}


def read_tables(locate: Locate, snapshot: Snapshot) -> dict[str, pl.LazyFrame]:
    """The same tables in memory, whatever becomes of the files, and in the total order of their queries: by key."""
    with open_snapshot(locate, snapshot) as con:
        return {table.name: con.sql(f'SELECT * FROM "{table.name}"').pl().lazy() for table in snapshot.tables}  # noqa: S608


def _scan(locate: Locate, table: TableSnapshot) -> pl.LazyFrame:
    if not table.partitions:
        return _no_rows(table).lazy()
    paths = [locate(part.digest) for part in table.partitions]
    return pl.scan_parquet(paths, glob=False, hive_partitioning=False)


def nulls_at(locate: Locate) -> CountNulls:
    """How rows, and nulls of some columns, are counted in some partitions; whoever asks has checked their seals."""

    def count(table: TableSnapshot, parts: Sequence[Partition], names: Sequence[str]) -> tuple[int, dict[str, int]]:
        rows = _scan(locate, replace(table, partitions=tuple(parts)))
        nulls = rows.select(pl.col(name).null_count() for name in names).collect()
        return sum(part.rows for part in parts), nulls.row(0, named=True)

    return count


def rows_at(locate: Locate) -> ReadRows:
    """How the rows of some partitions are read, where `locate` says in which file an object lies; seals are checked."""

    def read(table: TableSnapshot, parts: Sequence[Partition]) -> pl.DataFrame:
        if not parts:
            return _no_rows(table)
        check_seals({locate(part.digest): part.seal for part in parts})
        return read_rows(locate(part.digest) for part in parts)

    return read


def stored_rows(home: Home) -> ReadRows:
    """How the rows of some partitions are read from the store."""
    return rows_at(in_store(home))


def _no_rows(table: TableSnapshot) -> pl.DataFrame:
    return pl.DataFrame(schema={name: polars_type(kind) for name, kind in table.columns})


def _create_view(con: duckdb.DuckDBPyConnection, locate: Locate, table: TableSnapshot) -> None:
    if not table.partitions:
        con.register(table.name, _no_rows(table))
        return
    rows = parquet_rows(locate(part.digest) for part in table.partitions)
    order = ", ".join(f'"{name}"' for name in table.order)
    con.execute(f'CREATE VIEW "{table.name}" AS FROM {rows} ORDER BY {order}')
