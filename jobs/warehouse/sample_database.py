"""The DuckDB side of the sample: opens the user's file for reading, builds the next one beside it, switches.

Names in the SQL here are those of our own literals in `sample_tables`; everything from outside is bound.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from shutil import copymode
from typing import TYPE_CHECKING

import duckdb

from jobs.store.documents import sync_file, sync_folder
from jobs.store.locks import Busy
from jobs.warehouse.engine import connect
from jobs.warehouse.sample_tables import LOADS, TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import polars as pl

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class WarehouseExists(Exception):
    """The file that stands at the path stays as it is: it is not ours, reaches further, or was reshaped."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a sample warehouse reaches: what was recorded before `until`; None is all there is."""

    until: datetime | None

    def reaches_past(self, other: Extent) -> bool:
        """Whether some instant is inside this extent and not inside the other."""
        if other.until is None:
            return False
        return self.until is None or self.until > other.until

    def __str__(self) -> str:
        return "everything" if self.until is None else f"what was known before {self.until.isoformat()}"


@contextmanager
def offline() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of its own, in memory, that loads nothing from the network."""
    with connect() as engine:
        yield engine


def held_at(engine: duckdb.DuckDBPyConnection, place: Path) -> Extent | None:
    """How far our warehouse at `place` reaches; it stays attached for reading, as `present`. None if there is no file.

    Raises:
        WarehouseExists: if the file there was not made by this loader.
        Busy: if it is open elsewhere.
    """
    if not place.exists():
        return None
    _settle(engine, place)
    _attach(engine, place, "present", "READ_ONLY")
    if not _columns(engine, LOADS):
        raise WarehouseExists(f"{place} exists and is not a sample warehouse; give another path, or move the file away")
    loads = "SELECT bool_or(until IS NULL), max(epoch_us(until)) FROM present.rescore_sample_loads"
    everything, until_us = engine.execute(loads).fetchall()[0]
    return Extent(None if everything else _EPOCH + until_us * _MICROSECOND)


def build(
    engine: duckdb.DuckDBPyConnection,
    place: Path,
    held: Extent | None,
    wanted: Extent,
    fresh: Mapping[str, pl.DataFrame],
) -> tuple[dict[str, int], dict[str, int]]:
    """Build the file beside, from nothing or from a copy of what stands there, and rename it into place.

    Returns the rows of each table, and how many of them are new.

    Raises:
        WarehouseExists: if the tables that stand there cannot take our rows any more.
    """
    with _beside(place) as building:
        _attach(engine, building, "building", "READ_WRITE")
        if held:
            _copy(engine, place)
        else:
            _create(engine)
        before = rows_held(engine, "building")
        _add(engine, fresh, wanted)
        after = rows_held(engine, "building")
        engine.execute("CHECKPOINT building")
        engine.execute("DETACH building")
        if held:
            copymode(place, building)
        sync_file(building)
        building.rename(place)
        sync_folder(place.parent)
    return after, {name: after[name] - before[name] for name in after}


def rows_held(engine: duckdb.DuckDBPyConnection, database: str) -> dict[str, int]:
    """The number of rows of each table of the sample; 0 for one that the user dropped."""
    catalog = "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'main'"
    there = {name for (name,) in engine.execute(catalog, [database]).fetchall()}
    return {
        table.name: engine.table(f"{database}.{table.name}").shape[0] if table.name in there else 0 for table in TABLES
    }


def _settle(engine: duckdb.DuckDBPyConnection, place: Path) -> None:
    """Fold a log that a killed writer left into its file: beside the renamed copy it would be of another file."""
    if place.with_name(f"{place.name}.wal").exists():
        _attach(engine, place, "unsettled", "READ_WRITE")
        engine.execute("CHECKPOINT unsettled")
        engine.execute("DETACH unsettled")


def _attach(engine: duckdb.DuckDBPyConnection, place: Path, name: str, mode: str) -> None:
    """Open a database file under a name; while it is open for reading, DuckDB keeps writers out."""
    try:
        engine.execute(f"ATTACH ? AS {name} (TYPE duckdb, {mode})", [str(place)])
    except duckdb.ResourceInUseException:
        raise Busy(f"{place} is open in this very process; close it and load again") from None
    except duckdb.IOException as error:
        if "set lock" in str(error):
            raise Busy(f"{place} is open in another process; close it there and load again") from None
        if "not a valid DuckDB" in str(error):
            raise WarehouseExists(
                f"{place} exists and is not a DuckDB file; give another path, or move the file away"
            ) from None
        raise


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """A name in the folder of `place` for the file that is being built; what a kill left there goes first."""
    building = place.with_name(f".{place.name}.loading")
    log = building.with_name(f"{building.name}.wal")
    building.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    try:
        yield building
    finally:
        building.unlink(missing_ok=True)
        log.unlink(missing_ok=True)


def _create(engine: duckdb.DuckDBPyConnection) -> None:
    """The empty tables, each table and column with its comment."""
    for table in (*TABLES, LOADS):
        columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
        engine.execute(f"CREATE TABLE building.{table.name} ({columns})")
        engine.execute(f"COMMENT ON TABLE building.{table.name} IS {_quoted(table.comment)}")
        for column in table.columns:
            engine.execute(f"COMMENT ON COLUMN building.{table.name}.{column.name} IS {_quoted(column.comment)}")


def _copy(engine: duckdb.DuckDBPyConnection, place: Path) -> None:
    """All that the user's warehouse holds, whoever put it there; refused if it cannot take our rows any more."""
    for table in TABLES:
        found = _columns(engine, table)
        for column in table.columns if table.clocked else ():
            if found.get(column.name) != column.type:
                raise WarehouseExists(
                    f"{place} was reshaped: {table.name}.{column.name} is {found.get(column.name, 'missing')}, not "
                    f"{column.type}; it cannot be brought forward, give another path or move the file away"
                )
    try:
        engine.execute("COPY FROM DATABASE present TO building")
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise WarehouseExists(
            f"{place} holds something that cannot be copied, perhaps a broken view; drop it, or give another path: "
            f"{str(error).splitlines()[0]}"
        ) from None


def _add(engine: duckdb.DuckDBPyConnection, fresh: Mapping[str, pl.DataFrame], wanted: Extent) -> None:
    """Insert the rows whose key does not stand there yet, and the record of this load."""
    for table in TABLES:
        if table.name not in fresh:
            continue
        new = f"SELECT * FROM fresh ANTI JOIN building.{table.name} USING ({', '.join(table.key)})"  # noqa: S608 - ours
        engine.register("fresh", fresh[table.name].to_arrow())
        engine.execute(f"INSERT INTO building.{table.name} BY NAME {new}")
        engine.unregister("fresh")
    load = "INSERT INTO building.rescore_sample_loads SELECT count(*) + 1, ? FROM building.rescore_sample_loads"
    engine.execute(load, [wanted.until])


def _columns(engine: duckdb.DuckDBPyConnection, table: Table) -> dict[str, str]:
    """Columns and types of a table of the user's file; empty if it has no such table."""
    catalog = (
        "SELECT column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = 'present' AND schema_name = 'main' AND table_name = ?"
    )
    return dict(engine.execute(catalog, [table.name]).fetchall())


def _quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
