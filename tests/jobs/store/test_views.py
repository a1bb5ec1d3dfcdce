"""What analysts open: whole versions only, at any time, in any number."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from jobs.definition import Job, load_job
from jobs.store.digest import rows_digest
from jobs.store.events import NIGHTLY, PUBLISHED, RECORDED, SKIPPED, append, read_chain
from jobs.store.home import Home, open_home, staging
from jobs.store.objects import write_parquet
from jobs.store.runs import SCORES_FILE, Run, RunInputs, keep_run
from jobs.store.views import refresh_views, shown_state
from jobs.warehouse.engine import connect

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

JOB = load_job("flight_delay")

KEEPS_OPEN = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=True)
seen = lambda: con.execute("SELECT count(*), count(DISTINCT run_id) FROM flight_delay_history").fetchone()
seen()
print("ready", flush=True)
for line in sys.stdin:
    print(*seen(), flush=True)
"""
OPENS_AGAIN_AND_AGAIN = """
import sys, threading, duckdb
stop = threading.Event()
def look():
    done = 0
    while not stop.is_set() or not done:
        with duckdb.connect(sys.argv[1], read_only=True) as con:
            rows, runs = con.execute("SELECT count(*), count(DISTINCT run_id) FROM flight_delay").fetchone()
            said, = con.execute("SELECT sum(row_count) FROM runs WHERE current").fetchone()
            assert rows == said == 3 * runs, (rows, said, runs)
        done += 1
    print(done, flush=True)
looker = threading.Thread(target=look)
looker.start()
print("ready", flush=True)
sys.stdin.readline()
stop.set()
looker.join()
"""


def scored(home: Home, as_of: date, *, model: str = "2013-01-01-aaaaaaaaaaaa", job: Job = JOB) -> Run:
    """A kept run of three flights."""
    inputs = RunInputs(job.name, as_of, "5" * 64, {"outcomes": "1" * 64}, "f" * 64, model)
    scores = pl.DataFrame(
        {
            "flight_date": [as_of] * 3,
            "carrier": ["AA", "UA", "UA"],
            "flight": pl.Series([1, 1, 2], dtype=pl.Int32),
            "origin": ["JFK", "EWR", "LGA"],
            "as_of": [as_of] * 3,
            "score": [0.25, 0.5, 0.75],
            "raw_score": [-1.0, 0.0, 1.0],
            "rank": [3, 2, 1],
            "model_version": [model] * 3,
            "run_id": [inputs.run_id] * 3,
        }
    )
    with staging(home) as staged:
        folder = staged / "run"
        folder.mkdir()
        with connect() as con:
            seal = write_parquet(con, scores, folder / SCORES_FILE)
        digest = rows_digest(scores)
        run = Run(inputs, 3, (), "e" * 64, digest, digest, {SCORES_FILE: seal})
        keep_run(home, run, folder, {"at": "now"})
    return run


def show(home: Home, run: Run, kind: str = PUBLISHED, reason: str = NIGHTLY, hour: int = 5) -> None:
    append(
        home,
        read_chain(home, run.inputs.job),
        kind,
        at=datetime(2013, 9, run.inputs.as_of.day, hour, tzinfo=UTC),
        reason=reason,
        as_of=run.inputs.as_of,
        run_id=run.run_id,
        model_version=run.inputs.model_version,
    )


def seen(home: Home, text: str) -> list[tuple]:
    """What an analyst with a plain DuckDB sees."""
    with duckdb.connect(str(home.published), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        return con.execute(text).fetchall()


@pytest.fixture
def night(home: Home) -> Run:
    """One published night."""
    run = scored(home, date(2013, 9, 1))
    show(home, run)
    assert refresh_views(home, [JOB])
    return run


@pytest.mark.usefixtures("night")
def test_the_relations_and_their_columns_are_those_of_the_design(home: Home) -> None:
    score_table = [
        ("flight_date", "DATE"), ("carrier", "VARCHAR"), ("flight", "INTEGER"), ("origin", "VARCHAR"),
        ("as_of", "DATE"), ("score", "DOUBLE"), ("raw_score", "DOUBLE"), ("rank", "BIGINT"),
        ("model_version", "VARCHAR"), ("run_id", "VARCHAR"), ("scored_at", "TIMESTAMP WITH TIME ZONE"),
    ]  # fmt: skip
    for relation in ("flight_delay", "flight_delay_latest", "flight_delay_history"):
        assert [column[:2] for column in seen(home, f"DESCRIBE {relation}")] == score_table
    assert [column[:2] for column in seen(home, "DESCRIBE publications")] == [
        ("seq", "BIGINT"), ("job", "VARCHAR"), ("as_of", "DATE"), ("run_id", "VARCHAR"),
        ("published_at", "TIMESTAMP WITH TIME ZONE"), ("reason", "VARCHAR"),
    ]  # fmt: skip
    assert {column[0] for column in seen(home, "DESCRIBE runs")} >= {
        "run_id", "job", "as_of", "model_version", "snapshot_digest", "scores_digest", "row_count",
    }  # fmt: skip


@pytest.mark.usefixtures("night")
def test_comments_say_what_the_columns_mean(home: Home) -> None:
    said = dict(seen(home, "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'flight_delay'"))

    assert said["score"] == JOB.score_meaning
    assert all(said[name] for name in ("as_of", "raw_score", "rank", "model_version", "run_id", "scored_at"))
    assert all(comment for (comment,) in seen(home, "SELECT comment FROM duckdb_views() WHERE NOT internal"))


def test_current_latest_and_history_show_what_the_events_say(home: Home, night: Run) -> None:
    second = scored(home, date(2013, 9, 2))
    restated = scored(home, night.inputs.as_of, model="2013-01-01-bbbbbbbbbbbb")
    hindsight = scored(home, night.inputs.as_of, model="2014-01-01-cccccccccccc")
    show(home, second)
    show(home, restated, reason="restate", hour=7)
    show(home, hindsight, RECORDED, reason="backfill", hour=8)
    assert refresh_views(home, [JOB])

    def runs_of(relation: str) -> set[str]:
        found = seen(home, f"SELECT run_id, count(*) FROM {relation} GROUP BY run_id")
        assert all(count == 3 for _, count in found)
        return {run_id for run_id, _ in found}

    assert runs_of("flight_delay") == {restated.run_id, second.run_id}
    assert runs_of("flight_delay_latest") == {second.run_id}
    assert runs_of("flight_delay_history") == {night.run_id, restated.run_id, second.run_id, hindsight.run_id}
    assert seen(home, "SELECT seq, as_of, run_id, reason FROM publications ORDER BY seq") == [
        (1, date(2013, 9, 1), night.run_id, "nightly"),
        (2, date(2013, 9, 2), second.run_id, "nightly"),
        (3, date(2013, 9, 1), restated.run_id, "restate"),
    ]
    assert dict(seen(home, "SELECT run_id, current FROM runs")) == {
        night.run_id: False, second.run_id: True, restated.run_id: True, hindsight.run_id: False,
    }  # fmt: skip


def test_a_run_keeps_the_instant_in_which_it_was_first_shown(home: Home, night: Run) -> None:
    show(home, scored(home, night.inputs.as_of, model="2013-01-01-bbbbbbbbbbbb"), hour=7)
    show(home, night, reason="back", hour=9)
    refresh_views(home, [JOB])

    assert seen(home, "SELECT DISTINCT epoch(scored_at) FROM flight_delay") == [
        (datetime(2013, 9, 1, 5, tzinfo=UTC).timestamp(),)
    ]
    assert seen(home, "SELECT epoch(max(published_at)) FROM publications") == [
        (datetime(2013, 9, 1, 9, tzinfo=UTC).timestamp(),)
    ]


def test_nothing_new_is_not_built_again(home: Home, night: Run) -> None:
    inode = home.published.stat().st_ino

    assert not refresh_views(home, [JOB])
    assert home.published.stat().st_ino == inode

    at, chain = datetime(2013, 9, 2, tzinfo=UTC), read_chain(home, JOB.name)
    chain = append(home, chain, SKIPPED, at=at, reason="x", as_of=date(2013, 9, 2))
    assert not refresh_views(home, [JOB])

    append(home, chain, PUBLISHED, at=at, reason="again", as_of=night.inputs.as_of, run_id=night.run_id)
    assert refresh_views(home, [JOB])
    assert seen(home, "SELECT DISTINCT run_id FROM flight_delay_latest") == [(night.run_id,)]


@pytest.mark.usefixtures("night")
def test_the_file_can_be_opened_for_reading_only(home: Home) -> None:
    assert stat.S_IMODE(home.published.stat().st_mode) == 0o444
    assert sorted(path.name for path in home.root.iterdir() if path.name.startswith("scores")) == ["scores.duckdb"]
    assert list((home.root / "staging").iterdir()) == []


def test_a_job_without_runs_has_its_tables_and_no_views(home: Home) -> None:
    assert refresh_views(home, [JOB])

    assert seen(home, "SELECT view_name FROM duckdb_views() WHERE NOT internal") == []
    assert seen(home, "SELECT count(*) FROM publications") == [(0,)]


def test_a_run_that_is_kept_in_the_history_only_is_in_the_history_only(home: Home) -> None:
    show(home, scored(home, date(2013, 9, 1)), RECORDED)
    refresh_views(home, [JOB])

    assert seen(home, "SELECT view_name FROM duckdb_views() WHERE NOT internal") == [("flight_delay_history",)]
    assert seen(home, "SELECT count(*) FROM flight_delay_history") == [(3,)]


def test_every_job_has_relations_of_its_own(home: Home) -> None:
    other = replace(JOB, name="other-2", score_meaning="it's another")
    show(home, scored(home, date(2013, 9, 1)))
    show(home, scored(home, date(2013, 9, 5), job=other))
    refresh_views(home, [JOB, other])

    assert seen(home, "SELECT DISTINCT as_of FROM flight_delay_latest") == [(date(2013, 9, 1),)]
    assert seen(home, 'SELECT DISTINCT as_of FROM "other-2_latest"') == [(date(2013, 9, 5),)]
    assert seen(home, "SELECT job, seq FROM publications ORDER BY job") == [("flight_delay", 1), ("other-2", 1)]


@pytest.mark.parametrize("damage", [b"", b"no database", None], ids=["empty", "text", "missing"])
def test_a_published_file_that_cannot_be_read_is_built_anew(home: Home, night: Run, damage: bytes | None) -> None:
    home.published.unlink()
    if damage is not None:
        home.published.write_bytes(damage)

    assert shown_state(home.published) is None
    assert refresh_views(home, [JOB])
    assert seen(home, "SELECT DISTINCT run_id FROM flight_delay") == [(night.run_id,)]


@pytest.mark.parametrize("name", ["moved", "it's [1] moved=2"])
def test_a_moved_home_is_rebuilt(home: Home, night: Run, tmp_path: Path, name: str) -> None:
    """The views name files by absolute path: opened before, they find nothing; the next refresh mends it."""
    shutil.move(home.root, tmp_path / name)
    moved = open_home(tmp_path / name)
    with pytest.raises(duckdb.IOException):
        seen(moved, "SELECT * FROM flight_delay")

    assert refresh_views(moved, [JOB])
    assert seen(moved, "SELECT count(*), min(run_id) FROM flight_delay") == [(3, night.run_id)]
    assert not refresh_views(moved, [JOB])


@pytest.mark.usefixtures("night")
def test_it_can_be_attached_under_another_name(home: Home) -> None:
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{home.published}' AS another (READ_ONLY)")

        assert con.execute("SELECT count(*) FROM another.flight_delay").fetchone() == (3,)


def test_a_reader_keeps_the_version_that_it_opened(
    home: Home, night: Run, process: Callable[..., subprocess.Popen[str]]
) -> None:
    """It waits for nobody, and nobody waits for it."""
    reader = process(KEEPS_OPEN, home.published)
    show(home, scored(home, date(2013, 9, 2)))
    assert refresh_views(home, [JOB])

    out, _ = reader.communicate("\n")

    assert out == "3 1\n"
    assert seen(home, "SELECT count(*) FROM flight_delay_history") == [(6,)]
    assert night.run_id


@pytest.mark.usefixtures("night")
def test_a_reader_that_opens_again_and_again_sees_whole_versions_only(
    home: Home, process: Callable[..., subprocess.Popen[str]]
) -> None:
    reader = process(OPENS_AGAIN_AND_AGAIN, home.published)
    for day in range(2, 10):
        show(home, scored(home, date(2013, 9, day)))
        assert refresh_views(home, [JOB])

    out, _ = reader.communicate("\n")

    assert int(out) > 0
    assert reader.returncode == 0
