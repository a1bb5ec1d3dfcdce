"""Every connection to DuckDB is made here: offline, in UTC, and silent."""

from __future__ import annotations

import os
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

_OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_LENDING = Lock()
_MOST_MB = 2_000


def use_threads(count: int) -> None:
    """Let every connection that this process opens from now on use so many threads; the default is one a core."""
    _OFFLINE["threads"] = count


def borrow() -> duckdb.DuckDBPyConnection:
    """A connection to memory for statements that leave nothing in its database, such as one that reads a file.

    A process has one such database: to make one costs a hundredth of a second, to borrow it a thousandth. Close it as
    any other.
    """
    settings = tuple(sorted((name, str(value)) for name, value in _OFFLINE.items()))
    with _LENDING:
        return _as_agreed(_lent(settings).cursor())


@cache
def _lent(_settings: tuple[tuple[str, str], ...]) -> duckdb.DuckDBPyConnection:
    """The database that is lent; others, once this process opens connections with other settings."""
    return connect()


def first_line(error: duckdb.Error) -> str:
    """What DuckDB says, without the hints and the excerpt of SQL that follow."""
    return str(error).split("\n", maxsplit=1)[0]


def connect(
    path: Path | None = None, *, read_only: bool = False, spill: Path | None = None, storage: str | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection to a file, or to memory: it never looks for an extension, and prints no progress on stdout.

    With a folder `spill`, what does not fit into two gigabytes (or most of the memory, where there is less) lies there
    meanwhile: however large a warehouse is, a night needs no more. A new file has the format of the DuckDB release
    `storage`, so that clients from that release on can open it; by default in that of the library.
    """
    config = dict(_OFFLINE)
    if spill:
        config["temp_directory"] = str(spill)
        config.setdefault("memory_limit", f"{_memory_mb()}MB")
    if storage:
        config["storage_compatibility_version"] = storage
    return _as_agreed(duckdb.connect(str(path) if path else ":memory:", read_only=read_only, config=config))


def _memory_mb() -> int:
    """What a connection may take that has where to spill to."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    return min(_MOST_MB, physical * 8 // 10)


def _as_agreed(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """What is agreed of every connection: these are settings of each of them, not of a database."""
    con.execute("SET TimeZone = 'UTC'")
    if con.execute("SELECT current_setting('enable_progress_bar')").fetchall() != [(False,)]:
        con.execute("SET enable_progress_bar = false")  # a notebook without ipywidgets has none, and takes no order
    return con
