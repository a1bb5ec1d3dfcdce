"""A server that refuses, resets, stalls, cancels or restarts while its rows are read: tried again, never half read."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import pytest

from jobs.definition import load_job
from jobs.settings import read_address
from jobs.warehouse.bounds import bounded
from jobs.warehouse.extraction import SourceDiffers, WarehouseUnavailable
from jobs.warehouse.servers import reading
from jobs.warehouse.servers.reading import open_server
from jobs.warehouse.servers.session import Session
from tests import postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from tests.conftest import ServerWorld
    from tests.postgres import Server

JOB = load_job("flight_delay")
NIGHT = date(2013, 4, 12)
ASKS = bounded(JOB.queries(), NIGHT, NIGHT, JOB.horizon_days)
PASSING = 2  # connections that fail; one try makes two, the driver's own for the types first


def extracted(url: str, folder: Path, silence_s: float = 30.0) -> dict[str, tuple[int, int]]:
    """By table, the rows that are read and a checksum of them."""
    with open_server(read_address(url, silence_s), JOB, ASKS, folder) as extraction:
        return {
            query.table: extraction.con.sql(
                f'SELECT count(*), sum(hash(staged)::HUGEINT) FROM "{query.table}" AS staged'
            ).fetchall()[0]
            for query, _ in ASKS
        }


@pytest.fixture(scope="module")
def whole(
    postgres_server: Server, small_database: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[int, int]]:
    """What a server gives that does not falter."""
    return extracted(postgres_server.database(small_database), tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def sent_bytes(postgres_server: Server, small_database: str, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How much the server sends on the connection that reads."""
    with postgres.proxy(postgres_server) as between:
        extracted(between.url(small_database), tmp_path_factory.mktemp("sent"))
        postgres.wait_until(lambda: len(between.sent) == between.accepted)
        return max(between.sent)


@pytest.mark.parametrize("mode", ["reset", "end"])
@pytest.mark.parametrize("percent", [0, 5, 40, 80, 99])
def test_a_connection_that_breaks_anywhere_is_made_anew_from_the_start(
    postgres_server: Server,
    small_database: str,
    whole: dict[str, tuple[int, int]],
    sent_bytes: int,
    tmp_path: Path,
    mode: str,
    percent: int,
) -> None:
    """In each query and in the middle of a COPY, by RST or by FIN: the third try at the latest gives the same rows."""
    after = sent_bytes * percent // 100
    with postgres.proxy(postgres_server, mode, after, failures=PASSING) as between:
        assert extracted(between.url(small_database), tmp_path) == whole
        assert between.failed > 0
    postgres.wait_until(lambda: not postgres.backends(postgres_server.database(small_database)))


def test_a_server_that_refuses_twice_is_asked_a_third_time(
    postgres_server: Server, small_database: str, whole: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    """A restart takes a moment."""
    with postgres.proxy(postgres_server, "refuse", failures=2) as between:
        assert extracted(between.url(small_database), tmp_path) == whole


@pytest.mark.parametrize("percent", [0, 1, 50, 98])
def test_a_server_that_falls_silent_costs_the_limit_and_no_more(
    postgres_server: Server,
    small_database: str,
    whole: dict[str, tuple[int, int]],
    sent_bytes: int,
    tmp_path: Path,
    percent: int,
) -> None:
    """A black hole: while connecting, and in a query; the next try goes well."""
    after = sent_bytes * percent // 100
    began = time.monotonic()
    with postgres.proxy(postgres_server, "stall", after, failures=PASSING) as between:
        assert extracted(between.url(small_database), tmp_path, 1.0) == whole
        assert between.failed > 0
    assert time.monotonic() - began < 15.0


@pytest.mark.parametrize(("mode", "limit_s"), [("refuse", 10.0), ("reset", 10.0), ("stall", 25.0)])
def test_a_fault_that_stays_is_said_in_one_line_and_nothing_is_left(
    server_world: ServerWorld, monkeypatch: pytest.MonkeyPatch, mode: str, limit_s: float
) -> None:
    """69, in bounded time, after three tries; nothing published, nothing staged, no connection."""
    with postgres.proxy(server_world.server, mode, 60_000) as between:
        monkeypatch.setenv("SCORE_WAREHOUSE", between.url(server_world.database))
        monkeypatch.setenv("SCORE_WAREHOUSE_TIMEOUT", "1s")
        began = time.monotonic()
        result = server_world.run("run", "--as-of", "2013-04-12")
        took_s = time.monotonic() - began

    assert (result.code, result.out) == (69, "")
    assert len(result.err.splitlines()) == 1
    assert "tried 3 times; run again later" in result.err
    assert took_s < limit_s
    assert list((server_world.home / "staging").iterdir()) == []
    assert not list(server_world.home.glob("runs/*/*/*"))
    assert server_world.sql("SELECT to_regclass('scores.runs') IS NULL") == [(True,)]
    postgres.wait_until(lambda: not postgres.backends(server_world.url))


@contextmanager
def at_the_lock(url: str, table: str = "planes") -> Iterator[Callable[[], int]]:
    """A table that another session has locked; gives whom to ask for the job's session that waits for it."""
    with postgres.held_lock(url, f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"):

        def waiting() -> int:
            postgres.wait_until(lambda: postgres.backends(url, "Lock"))
            return postgres.backends(url, "Lock")[0]

        yield waiting


@pytest.mark.parametrize("command", ["pg_cancel_backend", "pg_terminate_backend"])
def test_a_session_that_is_cancelled_or_terminated_is_tried_again(
    postgres_server: Server,
    own_database: str,
    whole: dict[str, tuple[int, int]],
    tmp_path: Path,
    command: str,
) -> None:
    """By an administrator, while a query runs."""
    url = postgres_server.database(own_database)
    with ThreadPoolExecutor(1) as pool:
        with at_the_lock(url) as waiting:
            found = pool.submit(extracted, url, tmp_path)
            postgres.run(url, f"SELECT {command}({waiting()})")
            postgres.wait_until(lambda: postgres.backends(url, "Lock"))  # the next try
        assert found.result() == whole
    postgres.wait_until(lambda: not postgres.backends(url))


def test_a_lock_that_stays_is_given_up_and_no_session_waits_on(
    postgres_server: Server, own_database: str, tmp_path: Path
) -> None:
    """Three tries of a second; the waiting sessions were cancelled, and do not queue at the server."""
    url = postgres_server.database(own_database)
    with at_the_lock(url):
        began = time.monotonic()
        with pytest.raises(WarehouseUnavailable, match="tried 3 times"):
            extracted(url, tmp_path, 1.0)
        assert time.monotonic() - began < 15.0
        postgres.wait_until(lambda: not postgres.backends(url), 2.0)


def test_a_session_whose_process_is_stopped_is_left_and_another_made(
    postgres_server: Server, own_database: str, whole: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    """SIGSTOP of the server's process: neither an answer nor a cancel."""
    if postgres_server.data is None:
        pytest.skip("the server's processes are not on this machine")
    url = postgres_server.database(own_database)
    with ThreadPoolExecutor(1) as pool:
        with at_the_lock(url) as waiting:
            found = pool.submit(extracted, url, tmp_path, 2.0)
            stopped = waiting()
            os.kill(stopped, signal.SIGSTOP)
        try:
            assert found.result() == whole
        finally:
            os.kill(stopped, signal.SIGCONT)
    postgres.wait_until(lambda: not postgres.backends(url))


def test_a_server_that_restarts_while_it_is_read_is_read_again(
    postgres_server: Server, own_database: str, whole: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    """Its sessions are gone, and for a moment it refuses."""
    if postgres_server.data is None:
        pytest.skip("the server is not ours to restart")
    url = postgres_server.database(own_database)
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.warehouse.servers.reading.PAUSES_S", (3.0, 5.0))
        with at_the_lock(url) as waiting:
            found = pool.submit(extracted, url, tmp_path)
            waiting()
            postgres_server.restart()
        assert found.result() == whole


@pytest.mark.parametrize("times", [1, 3])
def test_rows_that_are_lost_on_the_way_are_missed(
    postgres_server: Server,
    small_database: str,
    whole: dict[str, tuple[int, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
) -> None:
    """A stream that ends early and cleanly: the rows are counted in the same transaction."""
    real, lost = Session.batches, []

    def losing(session: Session, query: str) -> Iterator[pa.RecordBatch]:
        for batch in real(session, query):
            short = len(lost) < times and batch.num_rows > 0
            lost.extend([1] * short)
            yield batch.slice(0, batch.num_rows - 1) if short else batch

    monkeypatch.setattr(Session, "batches", losing)
    url = postgres_server.database(small_database)
    if times < reading.TRIES:
        assert extracted(url, tmp_path) == whole
        return
    with pytest.raises(WarehouseUnavailable, match="33 rows of timetable arrived, and there are 34"):
        extracted(url, tmp_path)


def test_all_tables_are_of_one_moment(
    postgres_server: Server, own_database: str, whole: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    """What others write, delete and add between two queries is not seen."""
    url = postgres_server.database(own_database)
    real, changed = reading._stage, []

    def staged(*arguments: object) -> None:
        real(*arguments)
        if not changed:
            changed.append(postgres.run(url, "DELETE FROM planes"))
            postgres.run(url, "UPDATE flight_outcomes SET arr_delay_min = arr_delay_min + 1")
            postgres.run(url, "INSERT INTO weather SELECT * FROM weather")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_stage", staged)
        assert extracted(url, tmp_path) == whole
    assert changed
    assert extracted(url, tmp_path) != whole


def test_a_stream_that_takes_longer_than_the_limit_is_not_cut(
    postgres_server: Server, small_database: str, whole: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    """Only silence counts: statements have no limit while rows are read."""
    said: list[tuple] = []
    real = reading._stage

    def staged(session: Session, *others: object) -> None:
        said.extend(session.rows("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"))
        real(session, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_stage", staged)
        assert extracted(postgres_server.database(small_database), tmp_path, 30.0) == whole
    assert set(said) == {("0", "30s")}


def test_a_failure_of_ours_amid_a_stream_ends_at_once(
    postgres_server: Server, small_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream is closed while its connection is open; nobody waits for a thread that is gone."""

    def refuses(batches: Iterator[pa.RecordBatch], *_: object) -> int:
        next(batches)
        raise SourceDiffers("of ours")

    monkeypatch.setattr(reading, "_insert", refuses)
    url = postgres_server.database(small_database)
    began, before = time.monotonic(), threading.active_count()
    with pytest.raises(SourceDiffers, match="of ours"):
        extracted(url, tmp_path)
    assert time.monotonic() - began < 10.0
    postgres.wait_until(lambda: not postgres.backends(url))
    postgres.wait_until(lambda: threading.active_count() <= before, 5.0)


def test_a_value_that_the_server_cannot_cast_is_named_by_its_column(
    postgres_server: Server, own_database: str, tmp_path: Path
) -> None:
    """A NaN has no place in an integer; PostgreSQL calls that a feature that it does not support."""
    url = postgres_server.database(own_database)
    postgres.run(url, "ALTER TABLE flight_outcomes ALTER arr_delay_min TYPE numeric")
    postgres.run(url, "UPDATE flight_outcomes SET arr_delay_min = 'NaN' WHERE flight_date = '2013-04-09'")
    with pytest.raises(SourceDiffers, match="no place in the type that the SQL casts it to: arr_delay_min"):
        extracted(url, tmp_path)
