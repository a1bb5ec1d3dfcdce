"""A session is the same whatever a database's defaults; names and texts are only ever names and texts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from jobs.definition import load_job
from jobs.settings import read_address
from jobs.store.home import Home
from jobs.warehouse.names import quoted
from jobs.warehouse.servers.postgres import literal
from jobs.warehouse.servers.score_tables import publish_tables
from jobs.warehouse.servers.session import open_session
from tests import postgres

if TYPE_CHECKING:
    from tests.conftest import ServerWorld
    from tests.postgres import Server

NASTY = [
    "it's",
    "a \\' b",
    "\\'; DROP SCHEMA scores CASCADE; --",
    "'; SELECT 1; --",
    '"; --',
    "two\nlines; and $$ and $1 and %s and ?",
    "\\",
    "\\\\",
    "é ß 漢 🛫",
]
DEFAULTS = ("standard_conforming_strings = off", "client_encoding = 'LATIN1'", "TimeZone = 'Asia/Kathmandu'")


@pytest.fixture
def contrary(postgres_server: Server, own_database: str) -> str:
    """The URL of a database with other defaults."""
    url = postgres_server.database(own_database)
    for default in DEFAULTS:
        postgres.run(url, f'ALTER DATABASE "{own_database}" SET {default}')
    return url


def test_a_session_is_the_same_whatever_the_defaults(contrary: str) -> None:
    """Its texts, its encoding, its limits."""
    names = (
        "standard_conforming_strings", "client_encoding", "TimeZone", "DateStyle", "lock_timeout", "statement_timeout",
        "idle_in_transaction_session_timeout", "client_connection_check_interval",
    )  # fmt: skip
    with open_session(read_address(contrary, 90.0)) as session:
        found = [session.rows(f"SELECT current_setting('{name}')")[0][0] for name in names]
        (umlaut,) = session.rows("SELECT 'ü', chr(252)")
    assert found == ["on", "UTF8", "UTC", "ISO, YMD", "90s", "90s", "90s", "10s"]
    assert umlaut == ("ü", "ü")


@pytest.mark.parametrize("text", NASTY)
def test_a_text_arrives_as_it_is_and_runs_nothing(contrary: str, text: str) -> None:
    """As a value, a column's name, a table's name and a comment, with backslashes that escape or do not."""
    name = text[:20]
    with open_session(read_address(contrary, 30.0)) as session:
        for setting in ("on", "off"):
            session.run(f"SET standard_conforming_strings = {setting}")
            assert session.rows(f"SELECT {literal(text)}") == [(text,)]
        session.run(f"CREATE TABLE {quoted(name)} ({quoted(name)} TEXT)")
        session.run(f"COMMENT ON COLUMN {quoted(name)}.{quoted(name)} IS {literal(text)}")
        session.run(f"INSERT INTO {quoted(name)} VALUES ({literal(text)})")
        assert session.rows(f"SELECT {quoted(name)} FROM {quoted(name)}") == [(text,)]
        commented = session.rows(f"SELECT col_description({literal(quoted(name))}::regclass, 1)")
    assert commented == [(text,)]


def test_what_a_job_says_of_itself_becomes_comments_and_no_statements(
    server_world: ServerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A title and a meaning with quotes, backslashes and semicolons."""
    server_world.sql(f'ALTER DATABASE "{server_world.database}" SET {DEFAULTS[0]}')
    with monkeypatch.context() as patch:
        patch.setattr("jobs.warehouse.servers.score_tables.publish_tables", lambda *_: 0)
        assert server_world.run("run", "--as-of", "2013-04-12").code == 0
    said = " ".join(NASTY)
    job = replace(load_job("flight_delay"), title=said, score_meaning=said)

    assert publish_tables(read_address(server_world.url), Home(server_world.home), [job]) == 1
    (comments,) = server_world.sql(
        "SELECT obj_description('scores.flight_delay_history'::regclass),"
        " col_description('scores.flight_delay'::regclass, (SELECT attnum FROM pg_attribute"
        " WHERE attrelid = 'scores.flight_delay'::regclass AND attname = 'score'))"
    )
    assert said in comments[0]
    assert comments[1] == said
    assert server_world.sql("SELECT count(*) FROM scores.publications") == [(1,)]
