"""Every connection to DuckDB is made here: offline, in UTC, and silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

_OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def use_threads(count: int) -> None:
    """Let every connection that this process opens from now on use so many threads; the default is one a core."""
    _OFFLINE["threads"] = count


def first_line(error: duckdb.Error) -> str:
    """What DuckDB says, without the hints and the excerpt of SQL that follow."""
    return str(error).split("\n", maxsplit=1)[0]


def connect(
    path: Path | None = None, *, read_only: bool = False, spill: Path | None = None, storage: str | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection to a file, or to memory: it never looks for an extension, and prints no progress on stdout.

    What does not fit into memory spills to the folder `spill`. A new file has the format of the DuckDB release
    `storage`, so that clients from that release on can open it; by default in that of the library.
    """
    config = dict(_OFFLINE)
    if spill:
        config["temp_directory"] = str(spill)
    if storage:
        config["storage_compatibility_version"] = storage
    con = duckdb.connect(str(path) if path else ":memory:", read_only=read_only, config=config)
    con.execute("SET TimeZone = 'UTC'")
    if con.execute("SELECT current_setting('enable_progress_bar')").fetchall() != [(False,)]:
        con.execute("SET enable_progress_bar = false")  # a notebook without ipywidgets has none, and takes no order
    return con
