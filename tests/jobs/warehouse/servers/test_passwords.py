"""A password in the warehouse's URL, or beside it: it opens the server, and stands nowhere afterwards."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from jobs.settings import read_address, read_settings
from tests import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Result, ServerWorld
    from tests.postgres import Proxy

ROLE = "guarded"
PASSWORD = "s3cr:t/w%rd?'x"  # noqa: S105  of a role of the tests
WRITTEN = quote(PASSWORD, safe="")
SPELLINGS = (PASSWORD, WRITTEN, PASSWORD.replace("'", "''"), PASSWORD.replace("'", "\\'"))


@pytest.fixture
def guarded(server_world: ServerWorld) -> Iterator[tuple[ServerWorld, Proxy]]:
    """The role `guarded` gets in over TCP, and only with its password, by scram."""
    server = server_world.server
    if server.data is None:
        pytest.skip("the server's rules of entry are not ours to change")
    rules = server.data / "pg_hba.conf"
    before = rules.read_text()
    server_world.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD {_literal(PASSWORD)}")
    server_world.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}")
    server_world.sql(f'GRANT CREATE ON DATABASE "{server_world.database}" TO {ROLE}')
    rules.write_text(f"local all {ROLE} scram-sha-256\n{before}")
    server_world.sql("SELECT pg_reload_conf()")
    try:
        with postgres.proxy(server) as between:
            yield server_world, between
    finally:
        rules.write_text(before)
        server_world.sql("SELECT pg_reload_conf()")
        server_world.sql(f"DROP OWNED BY {ROLE}")
        server_world.sql(f"DROP ROLE {ROLE}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def url(between: Proxy, database: str, password: str = WRITTEN) -> str:
    """The URL with a password in it."""
    return f"postgresql://{ROLE}:{password}@127.0.0.1:{between.port}/{database}"


def shows(text: str) -> bool:
    """Whether a text holds the password, however it is spelled."""
    return any(spelling in text for spelling in SPELLINGS)


@contextmanager
def watched_processes() -> Iterator[list[str]]:
    """The command lines, of any process meanwhile, that show the password."""
    found: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    line = path.read_bytes().decode(errors="replace")
                    found.extend([line] * shows(line))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def files_that_show_it(folder: Path) -> list[Path]:
    """The files below a folder that hold the password."""
    spellings = [spelling.encode() for spelling in SPELLINGS]
    return [
        path for path in folder.rglob("*") if path.is_file() and any(each in path.read_bytes() for each in spellings)
    ]


COMMANDS = [
    ["snapshot", "--as-of", "2013-04-12"],
    ["run", "--as-of", "2013-04-12"],
    ["backfill", "--as-of", "2013-04-12", "--restate"],
    ["train", "flight_delay", "--as-of", "2013-04-12"],
    ["doctor"],
    ["prove", "--as-of", "2013-04-12", "--only", "row_order"],
    ["mutations", "--since", "2013-04-12"],
    ["verify"],
    ["runs", "--json"],
    ["sql", "SELECT * FROM runs", "--json"],
]


def test_no_command_shows_the_password_anywhere(
    guarded: tuple[ServerWorld, Proxy], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not on the screen, in no file of the home, no process list, no table, no session of the server."""
    world, between = guarded
    monkeypatch.setenv("SCORE_WAREHOUSE", url(between, world.database))
    results: list[Result] = []
    with watched_processes() as lines:
        results.extend(world.run(*command) for command in COMMANDS)
        monkeypatch.setattr("jobs.steps.nights.score_snapshot", lambda *_, **__: {}["a bug"])
        results.append(world.run("run", "--as-of", "2013-04-13"))

    assert [result.code for result in results[:4]] == [0, 0, 0, 0], [result.err for result in results]
    assert results[-1].code == 70
    assert [result.code for result in results[5:-1]] == [0] * 5, [result.err for result in results]
    assert not any(shows(result.out + result.err) for result in results)
    assert lines == []
    assert files_that_show_it(world.home) == []
    assert files_that_show_it(tmp_path) == []
    assert (world.home / "log" / "score.log").exists()
    said = world.sql("SELECT query FROM pg_stat_activity WHERE query IS NOT NULL AND pid <> pg_backend_pid()")
    said += world.sql("SELECT r::text FROM scores.runs AS r UNION ALL SELECT p::text FROM scores.publications AS p")
    assert not any(shows(str(text)) for (text,) in said)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("no-such-password", None, None), 77),
        ((WRITTEN, "no_such_database", None), 66),
        ((WRITTEN, None, "127.0.0.1:1"), 69),
        ((WRITTEN, None, "no-such-host.invalid"), 69),
    ],
)
def test_a_refusal_is_said_without_the_password(
    guarded: tuple[ServerWorld, Proxy],
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str | None, str | None],
    code: int,
) -> None:
    """77, 66 or 69 in one line, which names the place."""
    world, between = guarded
    password, database, host = change
    wrong = url(between, database or world.database, password)
    if host:
        wrong = wrong.replace(f"127.0.0.1:{between.port}", host)
    monkeypatch.setenv("SCORE_WAREHOUSE", wrong)
    result = world.run("snapshot", "--as-of", "2013-04-12")

    assert (result.code, result.out, len(result.err.splitlines())) == (code, "", 1), result.err
    assert ROLE in result.err
    assert not shows(result.err)
    assert password not in result.err
    assert files_that_show_it(world.home) == []


@pytest.mark.parametrize("way", ["parameter", "variable", "file"])
def test_the_password_may_stand_beside_the_url(
    guarded: tuple[ServerWorld, Proxy], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    """As a parameter, in PGPASSWORD, or in a file that only its owner may read."""
    world, between = guarded
    bare = f"postgresql://{ROLE}@127.0.0.1:{between.port}/{world.database}"
    if way == "variable":
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    elif way == "file":
        escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
        (tmp_path / "pgpass").write_text(f"127.0.0.1:{between.port}:*:{ROLE}:{escaped}\n")
        (tmp_path / "pgpass").chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    monkeypatch.setenv("SCORE_WAREHOUSE", f"{bare}?password={WRITTEN}" if way == "parameter" else bare)
    result = world.run("snapshot", "--as-of", "2013-04-12", "--json")

    assert result.code == 0, result.err
    assert not shows(result.out + result.err)
    assert files_that_show_it(world.home) == []


def test_addresses_and_settings_print_no_password(server_world: ServerWorld) -> None:
    """Neither str nor repr, by a logger or in a trace."""
    for written in (f"postgresql://u:{WRITTEN}@h:5432/d", f"postgresql://u@h/d?password={WRITTEN}&sslmode=prefer"):
        address = read_address(written)
        settings = read_settings({"SCORE_WAREHOUSE": written}, lambda: datetime.now(UTC))
        for text in (str(address), repr(address), str(settings), repr(settings), f"{address}"):
            assert not shows(text)
            assert "u@h" in text
        for spelling in (PASSWORD, WRITTEN, written):
            assert not shows(address.without_secrets(f"could not connect: {spelling}!"))
    assert server_world.database in str(read_address(server_world.url))
