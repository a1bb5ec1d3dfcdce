"""The score tables in PostgreSQL: what analysts see there, and that they follow the events whatever happened."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.store.views import COLUMNS
from jobs.warehouse.servers import score_tables
from tests import postgres

if TYPE_CHECKING:
    from tests.conftest import ServerWorld

ROOT = Path(__file__).parents[4]
NIGHTS = ("2013-04-12", "2013-04-13")
KEY = ("flight_date", "carrier", "flight", "origin")
SCORES = (*KEY, "as_of", "score", "raw_score", "rank", "model_version", "run_id", "scored_at")
RELATIONS = ("flight_delay", "flight_delay_latest", "flight_delay_history")


@pytest.fixture
def published(server_world: ServerWorld) -> ServerWorld:
    """Two nights are scored."""
    for night in NIGHTS:
        done = server_world.run("run", "--as-of", night)
        assert done.code == 0, done.err
    return server_world


def on_server(world: ServerWorld, relation: str, columns: tuple[str, ...] = SCORES) -> list[tuple]:
    return sorted(world.sql(f"SELECT {', '.join(columns)} FROM scores.{relation}"))


def in_home(world: ServerWorld, relation: str, columns: tuple[str, ...] = SCORES) -> list[tuple]:
    with duckdb.connect(str(world.home / "scores.duckdb"), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        return sorted(con.execute(f"SELECT {', '.join(columns)} FROM {relation}").fetchall())


def assert_same(world: ServerWorld) -> None:
    """Every relation has the same rows as in scores.duckdb, every bit of a score among them."""
    for relation in RELATIONS:
        assert on_server(world, relation) == in_home(world, relation)
    publications = ("seq", "job", "as_of", "run_id", "published_at", "reason")
    assert on_server(world, "publications", publications) == in_home(world, "publications", publications)
    runs = ("run_id", "job", "as_of", "model_version", "snapshot_digest", "scores_digest", "row_count", "current")
    assert on_server(world, "runs", runs) == in_home(world, "runs", runs)


def test_the_relations_have_the_rows_of_the_embedded_ones(published: ServerWorld) -> None:
    assert_same(published)
    assert len(on_server(published, "flight_delay_latest")) < len(on_server(published, "flight_delay"))


def test_columns_keys_indexes_and_comments_are_there(published: ServerWorld) -> None:
    of_history = "attrelid = 'scores.flight_delay_history'::regclass AND attnum > 0"
    types = dict(published.sql(f"SELECT attname::text, atttypid::regtype::text FROM pg_attribute WHERE {of_history}"))
    indexes = published.sql("SELECT indexdef::text FROM pg_indexes WHERE tablename = 'flight_delay_history'")
    uncommented = published.sql(
        "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relnamespace = 'scores'::regnamespace AND c.relkind IN ('v', 'r') AND a.attnum > 0 "
        "AND col_description(c.oid, a.attnum) IS NULL AND c.relname::text LIKE 'flight%'"
    )

    assert tuple(types) == SCORES
    assert {types[name] for name in ("score", "raw_score")} == {"double precision"}
    assert (types["rank"], types["scored_at"], types["as_of"]) == ("bigint", "timestamp with time zone", "date")
    assert [text for (text,) in indexes if "UNIQUE" in text and "(run_id, flight_date, carrier" in text]
    assert {name for _, name in uncommented} == set(KEY)
    assert set(COLUMNS) < set(SCORES)
    assert published.sql("SELECT obj_description('scores.flight_delay'::regclass)")[0][0].endswith("its current run")


def test_the_same_night_again_adds_nothing(published: ServerWorld) -> None:
    before = {relation: on_server(published, relation) for relation in RELATIONS}

    for _ in range(3):
        assert published.run("run", "--as-of", NIGHTS[1]).code == 0
    assert published.run("backfill", "--as-of", NIGHTS[0]).code == 0

    assert {relation: on_server(published, relation) for relation in RELATIONS} == before


def test_restating_moves_the_current_run_and_keeps_the_history(published: ServerWorld) -> None:
    published.sql("UPDATE flight_outcomes SET arr_delay_min = arr_delay_min + 30 WHERE flight_date = '2013-04-09'")

    assert published.run("backfill", "--as-of", NIGHTS[0], "--restate").code == 0

    assert_same(published)
    assert published.sql(f"SELECT count(DISTINCT run_id) FROM scores.flight_delay_history WHERE as_of = '{NIGHTS[0]}'")[
        0
    ] == (2,)
    assert published.sql(f"SELECT count(DISTINCT run_id) FROM scores.flight_delay WHERE as_of = '{NIGHTS[0]}'") == [
        (1,)
    ]


def test_what_is_missing_on_the_server_comes_with_the_next_run(published: ServerWorld) -> None:
    """The tables are derived: the schema is dropped, or one night was published while the server was away."""
    published.sql("DROP SCHEMA scores CASCADE")
    assert published.run("doctor").code == 3

    assert published.run("run", "--as-of", NIGHTS[1]).code == 0

    assert_same(published)
    assert "ok  tables" in published.run("doctor").out


def test_a_kill_between_event_and_tables_is_mended_by_the_next_run(
    published: ServerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("jobs.warehouse.servers.score_tables.publish_tables", lambda *_: 0)
        assert published.run("run", "--as-of", "2013-04-14").code == 0
    assert len(on_server(published, "publications", ("seq",))) == len(NIGHTS)

    assert published.run("run", "--as-of", "2013-04-14").code == 0

    assert_same(published)


def test_a_transaction_that_breaks_off_shows_the_state_before(
    published: ServerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is written, and not yet committed: analysts see two nights, and then three."""
    before = {relation: on_server(published, relation) for relation in RELATIONS}
    real = score_tables._show
    broken = []

    def break_off(session: object, *arguments: object) -> None:
        real(session, *arguments)  # type: ignore[arg-type]
        broken.append(len(on_server(published, "publications", ("seq",))))
        raise PermissionError(13, "for a test")

    with monkeypatch.context() as patch:
        patch.setattr(score_tables, "_show", break_off)
        assert published.run("run", "--as-of", "2013-04-14").code == 77
    assert set(broken) == {len(NIGHTS)}
    assert {relation: on_server(published, relation) for relation in RELATIONS} == before

    assert published.run("run", "--as-of", "2013-04-14").code == 0
    assert_same(published)


def test_tables_that_another_home_wrote_are_left_alone(
    published: ServerWorld, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or this home, of an earlier day: a restored backup. The message says how to build them anew."""
    shutil.copytree(trained, tmp_path / "other")
    monkeypatch.setenv("SCORE_HOME", str(tmp_path / "other"))
    before = {relation: on_server(published, relation) for relation in RELATIONS}

    done = published.run("run", "--as-of", NIGHTS[1])

    assert (done.code, done.err.count("\n")) == (80, 1)
    assert "DROP SCHEMA scores CASCADE" in done.err
    assert {relation: on_server(published, relation) for relation in RELATIONS} == before


def test_a_table_of_other_columns_is_not_written_to(published: ServerWorld) -> None:
    published.sql("ALTER TABLE scores.flight_delay_history RENAME COLUMN score TO probability")

    done = published.run("run", "--as-of", "2013-04-14")

    assert (done.code, done.err.count("\n")) == (65, 1)
    assert "probability" in done.err


def test_a_damaged_run_is_not_shown(published: ServerWorld) -> None:
    published.sql("DROP SCHEMA scores CASCADE")
    path = next((published.home / "runs" / "flight_delay" / NIGHTS[0]).glob("*/scores.parquet"))
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)

    done = published.run("run", "--as-of", NIGHTS[1])

    assert done.code == 80
    assert str(path) in done.err
    assert published.sql("SELECT count(*) FROM scores.runs") == [(0,)]


def test_the_roles_that_are_described_are_enough(published: ServerWorld, worker_id: str) -> None:
    """The job writes and reads its sources; an analyst reads the scores, and can neither write them nor the sources."""
    job, analyst = f"score_job_{worker_id}", f"analysts_{worker_id}"
    published.sql("DROP SCHEMA scores CASCADE")
    [text] = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "postgresql.md").read_text(), re.DOTALL)
    for statement in filter(None, map(str.strip, text.split(";\n"))):
        published.sql(re.sub(r"\b(score_job|analysts)\b", rf"\1_{worker_id}", statement))
    published.sql(f"ALTER ROLE {analyst} LOGIN")
    try:
        as_job = published.url.replace("postgres@", f"{job}@")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SCORE_WAREHOUSE", as_job)
            done = published.run("run", "--as-of", "2013-04-14")
            assert done.code == 0, done.err
        as_analyst = published.url.replace("postgres@", f"{analyst}@")
        assert postgres.run(as_analyst, "SELECT count(*) FROM scores.flight_delay_latest")[0][0] > 0
        for forbidden in ("DELETE FROM scores.flight_delay_history", "SELECT * FROM flight_outcomes"):
            with pytest.raises(Exception, match="permission denied"):
                postgres.run(as_analyst, forbidden)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SCORE_WAREHOUSE", as_analyst)
            refused = published.run("snapshot", "--as-of", "2013-04-15")
            assert (refused.code, refused.err.count("\n")) == (77, 1)
    finally:
        for role in (job, analyst):
            published.sql(f"DROP OWNED BY {role} CASCADE")
            published.sql(f"DROP ROLE {role}")


def test_the_sample_is_made_on_a_server_and_brought_forward(
    server_world: ServerWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the user changed stays changed; tables that are not the sample's are not touched."""
    url = server_world.server.make(f"{server_world.database}_sample")
    monkeypatch.setenv("SCORE_HOME", str(tmp_path / "home"))
    first = server_world.run("demo", "--load-only", "--until", "2013-02-01", "--warehouse", url, "--json")
    assert (first.code, first.json["step"]) == (0, "created")
    postgres.run(url, "UPDATE weather SET temp_f = 451 WHERE observed_at = '2013-01-02 12:00+00'")
    postgres.run(url, "DELETE FROM flight_outcomes WHERE carrier = 'AA'")

    then = server_world.run("demo", "--load-only", "--until", "2013-02-03", "--warehouse", url, "--json")

    assert (then.json["step"], then.json["rows"]["weather"] > first.json["rows"]["weather"]) == (
        "brought forward",
        True,
    )
    assert postgres.run(url, "SELECT DISTINCT temp_f FROM weather WHERE observed_at = '2013-01-02 12:00+00'") == [
        (451.0,)
    ]
    assert postgres.run(url, "SELECT min(recorded_at) > '2013-01-31' FROM flight_outcomes WHERE carrier = 'AA'") == [
        (True,)
    ]
    back = server_world.run("demo", "--load-only", "--until", "2013-01-03", "--warehouse", url)
    assert (back.code, back.err.count("\n")) == (66, 1)
    postgres.run(url, "DROP TABLE rescore_sample_loads")
    theirs = server_world.run("demo", "--load-only", "--warehouse", url)
    assert (theirs.code, "not of the sample" in theirs.err) == (66, True)
    postgres.run(server_world.server.url, f"DROP DATABASE {server_world.database}_sample WITH (FORCE)")


def test_a_password_on_the_command_line_is_refused(server_world: ServerWorld) -> None:
    done = server_world.run("demo", "--load-only", "--warehouse", "postgresql://me:hunter2@127.0.0.1/x")

    assert (done.code, "hunter2" in done.err + done.out, "SCORE_WAREHOUSE" in done.err) == (78, False, True)


def test_a_policy_that_would_hide_rows_is_an_error_and_not_fewer_rows(
    server_world: ServerWorld, worker_id: str
) -> None:
    role = f"half_blind_{worker_id}"
    for statement in (
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        "ALTER TABLE flight_outcomes ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY half ON flight_outcomes TO {role} USING (flight > 500)",
    ):
        server_world.sql(statement)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SCORE_WAREHOUSE", server_world.url.replace("postgres@", f"{role}@"))
            done = server_world.run("snapshot", "--as-of", "2013-04-12")
        assert (done.code, done.err.count("\n")) == (77, 1)
        assert "row-level security" in done.err
    finally:
        server_world.sql(f"DROP OWNED BY {role}")
        server_world.sql(f"DROP ROLE {role}")
