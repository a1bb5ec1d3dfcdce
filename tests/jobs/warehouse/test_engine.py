"""Connections: what all of them have in common, and what a borrowed one leaves behind."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.warehouse import engine
from jobs.warehouse.engine import borrow, connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SETTINGS = ("TimeZone", "enable_progress_bar", "autoinstall_known_extensions", "autoload_known_extensions")


@pytest.mark.parametrize("opened", [connect, borrow])
def test_every_connection_is_offline_silent_and_in_utc_wherever_the_host_is(
    opened: Callable[[], duckdb.DuckDBPyConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the second one that is borrowed: these are settings of a connection, not of the database."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    for _ in range(2):
        with opened() as con:
            asked = ", ".join(f"current_setting('{name}')" for name in SETTINGS)
            assert con.execute(f"SELECT {asked}").fetchall() == [("UTC", False, False, False)]
    monkeypatch.undo()
    time.tzset()


def test_what_is_borrowed_is_closed_alone() -> None:
    first, second = borrow(), borrow()
    first.close()

    assert second.execute("SELECT 1").fetchall() == [(1,)]
    with pytest.raises(duckdb.ConnectionException):
        first.execute("SELECT 1")


def test_other_settings_are_those_of_the_next_one_that_is_borrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that tries another number of threads."""
    for count in (1, 3):
        monkeypatch.setitem(engine._OFFLINE, "threads", count)
        with borrow() as con:
            assert con.execute("SELECT current_setting('threads')").fetchall() == [(count,)]


def test_threads_borrow_at_once() -> None:
    def ask(number: int) -> int:
        with borrow() as con:
            return int(con.execute(f"SELECT sum(range) + {number} FROM range(1000)").fetchall()[0][0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(200))) == [499_500 + number for number in range(200)]


def test_a_connection_that_can_spill_takes_a_bounded_part_of_the_memory(tmp_path: Path) -> None:
    """However much the machine has: what is larger goes through the folder, and comes out the same."""
    con = connect(spill=tmp_path)

    [(limit,)] = con.sql("SELECT current_setting('memory_limit')").fetchall()
    con.execute("SET memory_limit = '60MB'")
    con.execute(
        "CREATE TEMP TABLE wide AS SELECT range AS n, hash(range) AS h, hash(range + 1) AS i FROM range(5000000)"
    )

    assert limit in {"1.8 GiB", "1.9 GiB"} or limit.endswith("MiB")
    assert con.sql("SELECT count(*), sum(n) FROM wide").fetchall() == [(5_000_000, 12_499_997_500_000)]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) > 0
