"""A server that falters while scores are published: analysts see the old run or the new one, whole, and never twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.definition import load_job
from jobs.settings import read_address
from jobs.store.home import Home
from jobs.warehouse.extraction import WarehouseUnavailable
from jobs.warehouse.servers.score_tables import publish_tables
from jobs.warehouse.servers.session import ServerFaltered, Session
from tests import postgres

if TYPE_CHECKING:
    from tests.conftest import ServerWorld

JOB = load_job("flight_delay")
LOCK = "SELECT pg_advisory_xact_lock(7033702)"
SEEN = """
SELECT (SELECT array_agg(DISTINCT run_id || ' ' || as_of) FROM scores.flight_delay)::text,
       (SELECT array_agg(DISTINCT as_of)::text FROM scores.flight_delay_latest),
       (SELECT count(*) FROM scores.flight_delay_history), (SELECT sum(row_count)::bigint FROM scores.runs),
       (SELECT count(*) FROM scores.publications), (SELECT count(*) FROM scores.runs WHERE current)
"""


@dataclass
class Published:
    """A server that shows one night, of a home that has published two."""

    world: ServerWorld
    old: list[tuple]

    def publish(self, url: str, silence_s: float = 30.0) -> int:
        """What the end of every run does."""
        return publish_tables(read_address(url, silence_s), Home(self.world.home), [JOB])

    def seen(self) -> list[tuple]:
        """What analysts see."""
        return self.world.sql(SEEN)

    def shows_the_new(self) -> bool:
        """Whether both nights are there, once, and whole."""
        ((_, latest, rows, counted, publications, current),) = self.seen()
        return (latest, publications, current) == ("{2013-04-12}", 2, 2) and rows == counted


@pytest.fixture
def published(server_world: ServerWorld, monkeypatch: pytest.MonkeyPatch) -> Published:
    """The second night was scored while its server could not take it."""
    assert server_world.run("run", "--as-of", "2013-04-11").code == 0
    with monkeypatch.context() as patch:
        patch.setattr("jobs.warehouse.servers.score_tables.publish_tables", lambda *_: 0)
        assert server_world.run("run", "--as-of", "2013-04-12").code == 0
    return Published(server_world, server_world.sql(SEEN))


WORDS = [
    b"to_regclass('scores.runs')",
    b"pg_advisory_xact_lock",
    b"CREATE TABLE IF NOT EXISTS scores.runs",
    b'COPY "scores"',
    b"INSERT INTO scores.runs",
    b"UPDATE scores.runs SET current = true",
    b"INSERT INTO scores.publications",
]


@pytest.mark.parametrize("mode", ["reset", "end"])
def test_a_connection_that_breaks_at_any_statement_leaves_the_old_run_or_the_new(
    published: Published, mode: str
) -> None:
    """After three such tries 69 and the old run; after one, the new run; the server holds no session, no lock."""
    for word in WORDS:
        with postgres.proxy(published.world.server, mode, failures=3, at=word) as between:
            with pytest.raises(WarehouseUnavailable, match="kept in SCORE_HOME, and the next run shows them"):
                published.publish(between.url(published.world.database))
            assert between.failed == 3
        assert published.seen() == published.old
    postgres.wait_until(lambda: not postgres.backends(published.world.url))
    with postgres.proxy(published.world.server, mode, failures=1, at=WORDS[-1]) as between:
        assert published.publish(between.url(published.world.database)) == 1
    assert published.shows_the_new()


@pytest.mark.parametrize("mode", ["reset", "stall"])
def test_a_commit_without_an_answer_is_not_made_twice(published: Published, mode: str) -> None:
    """The server committed, the job does not know: the next try looks first."""
    with postgres.proxy(published.world.server, mode, failures=2, at=b"COMMIT") as between:
        published.publish(between.url(published.world.database), 2.0)
        assert between.failed == 2  # of the shared tables, and of the run
    assert published.shows_the_new()
    assert published.publish(published.world.url) == 0


def test_a_session_that_is_terminated_before_any_call_leaves_the_old_run(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call after the other, to the last before COMMIT; then, untroubled, the new one."""
    monkeypatch.setattr("jobs.warehouse.servers.reading.TRIES", 1)
    url = published.world.url
    calls: list[str] = []
    troubled = [0]

    def wrapped(name: str) -> None:
        real = getattr(Session, name)

        def call(session: Session, *arguments: object) -> object:
            calls.append(name)
            if len(calls) == troubled[0]:
                postgres.run(url, f"SELECT pg_terminate_backend({postgres.backends(url)[0]}, 5000)")
            return real(session, *arguments)

        monkeypatch.setattr(Session, name, call)

    for name in ("run", "rows", "insert"):
        wrapped(name)
    seen = []
    while True:
        calls.clear()
        troubled[0] += 1
        try:
            published.publish(url)
        except WarehouseUnavailable:
            seen.append(published.seen() == published.old)
            continue
        break
    assert len(seen) > 20
    assert all(seen)
    assert published.shows_the_new()


def test_a_cancelled_wait_and_a_lock_that_stays(published: Published) -> None:
    """Another publisher holds the lock: cancelled, it is tried again; for too long, 69."""
    url = published.world.url
    with postgres.held_lock(url, LOCK):
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(published.publish, url, 1.0)
            postgres.wait_until(lambda: postgres.backends(url, "Lock"))
            postgres.run(url, f"SELECT pg_cancel_backend({postgres.backends(url, 'Lock')[0]})")
            assert "tried 3 times" in str(done.exception())
        assert published.seen() == published.old
        postgres.wait_until(lambda: not postgres.backends(url), 5.0)
    assert published.publish(url) == 1
    assert published.shows_the_new()


@pytest.mark.parametrize("defaults", ["serializable", "read committed"])
def test_two_publishers_at_once_publish_once(published: Published, defaults: str) -> None:
    """Whoever gets the lock second sees what the first wrote, whatever the database's defaults are."""
    url = published.world.url
    postgres.run(url, f'ALTER DATABASE "{published.world.database}" SET default_transaction_isolation = "{defaults}"')
    postgres.run(url, f'ALTER DATABASE "{published.world.database}" SET default_transaction_read_only = on')
    with ThreadPoolExecutor(2) as pool:
        with postgres.held_lock(url, LOCK):
            both = [pool.submit(published.publish, url) for _ in range(2)]
            postgres.wait_until(lambda: len(postgres.backends(url, "Lock")) == 2)
        assert [each.result() for each in both] == [1, 1]
    assert published.shows_the_new()


def test_a_server_that_cannot_take_the_scores_is_said_once(
    server_world: ServerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """69 in one line that says that nothing is lost; it is not waited for twice; the next run shows them."""
    faltered: list[int] = []
    real = Session.insert

    def falters(*_: object) -> int:
        faltered.append(1)
        raise ServerFaltered("it broke")

    monkeypatch.setattr(Session, "insert", falters)
    result = server_world.run("run", "--as-of", "2013-04-12")
    assert (result.code, result.out) == (69, "")
    assert "it broke; tried 3 times; the scores are kept in SCORE_HOME, and the next run shows them" in result.err
    assert len(result.err.splitlines()) == 1
    assert len(faltered) == 3
    assert str(server_world.url) not in result.err

    monkeypatch.setattr(Session, "insert", real)
    assert server_world.run("run", "--as-of", "2013-04-12", "--json").json["runs"][0]["status"] == "already_published"
    assert server_world.sql("SELECT count(*) FROM scores.publications") == [(1,)]


@pytest.mark.parametrize("word", [b"to_regclass('scores.runs')", b"INSERT INTO scores.publications"])
def test_a_kill_before_or_within_the_transaction_needs_nobody(server_world: ServerWorld, word: bytes) -> None:
    """-9 between the event and the tables, and amid them: the next run shows the night, once."""
    with postgres.proxy(server_world.server, "stall", failures=1, at=word) as between:
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path.cwd()),
            "SCORE_WAREHOUSE": between.url(server_world.database),
        }
        program = [sys.executable, "-c", "from jobs.cli import main; main()", "run", "--as-of", "2013-04-12"]
        with subprocess.Popen(program, env=environment) as process:
            between.wait_until_it_failed()
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        postgres.wait_until(lambda: not postgres.backends(server_world.url))

    assert server_world.sql("SELECT coalesce(to_regclass('scores.runs')::text, '')") in ([("",)], [("scores.runs",)])
    assert server_world.run("run", "--as-of", "2013-04-12").code == 0
    assert server_world.sql("SELECT count(*) FROM scores.publications") == [(1,)]
    assert server_world.sql("SELECT count(*) FROM scores.runs WHERE current") == [(1,)]


def test_a_schema_that_was_made_for_the_job_is_enough(
    server_world: ServerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its role needs no CREATE on the database."""
    server_world.sql("DROP ROLE IF EXISTS writing")
    server_world.sql("CREATE ROLE writing LOGIN")
    try:
        server_world.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO writing")
        server_world.sql("CREATE SCHEMA scores AUTHORIZATION writing")
        monkeypatch.setenv("SCORE_WAREHOUSE", server_world.url.replace("//postgres@", "//writing@"))
        result = server_world.run("run", "--as-of", "2013-04-12")
        assert (result.code, result.err) == (0, "")
    finally:
        server_world.sql("DROP OWNED BY writing")
        server_world.sql("DROP ROLE writing")
